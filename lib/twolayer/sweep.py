"""A function over a grid of settings and several seeds: cached, resumable, in parallel."""

import datetime
import dis
import functools
import hashlib
import inspect
import itertools
import os
import pathlib
import platform
import sys
import sysconfig
import types
import warnings
from importlib import metadata

import joblib
import numpy as np
from tqdm import tqdm

from twolayer import _checks

__all__ = ["cache_folder", "library_hash", "load", "standard_error", "store", "sweep"]


@functools.cache
def library_hash():
    """A short hash of the library's source: results of another version are not reused.

    Returns
    -------
    str
    """
    digest = hashlib.sha256()
    for path in sorted(pathlib.Path(__file__).parent.rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def cache_folder():
    """Where results are kept: ``$TWOLAYER_CACHE``, or ``_build/sweep`` beside the book's config.

    Outside the book's tree it is ``_build/sweep`` in the current folder.

    Returns
    -------
    pathlib.Path
    """
    if folder := os.environ.get("TWOLAYER_CACHE"):
        return pathlib.Path(folder)
    here = pathlib.Path.cwd()
    roots = (p for p in (here, *here.parents) if (p / "_config.yml").exists())
    return next(roots, here) / "_build" / "sweep"


def _installed(module):
    """Whether a module belongs to an installed package (whose code a reader does not edit)."""
    file = getattr(sys.modules.get(module), "__file__", None)
    here = pathlib.Path(__file__).parent
    roots = (*sysconfig.get_paths().values(), here)
    return module != "__main__" and (file is None or any(file.startswith(str(r)) for r in roots))


def _globals_of(code):
    """Names of the globals that a code object reads, nested functions and lambdas included."""
    names = {i.argval for i in dis.get_instructions(code) if i.opname == "LOAD_GLOBAL"}
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            names |= _globals_of(constant)
    return names


def _identity(function):
    """A hash of what a function's result depends on besides its arguments.

    For code of a notebook or a script: its source, its defaults and, in turn, the functions,
    classes and values that it takes from around it. For code of an installed package: its name (the
    version of this library is in the cache's folder).
    """
    parts, seen = [], set()

    def visit(name, value):
        if isinstance(value, functools.partial):
            visit(name, value.func)
            visit(name, (value.args, value.keywords))
            return
        value = inspect.unwrap(value) if callable(value) else value
        if isinstance(value, types.ModuleType):
            parts.append(value.__name__)
        elif not isinstance(value, types.FunctionType | type) or isinstance(
            value, types.GenericAlias
        ):
            parts.append(f"{name}={joblib.hash(value)}")
        elif _installed(value.__module__):
            parts.append(f"{value.__module__}.{value.__qualname__}")
        elif value not in seen:
            seen.add(value)
            parts.append(inspect.getsource(value))
            inner = vars(value).values() if isinstance(value, type) else (value,)
            for f in (inspect.unwrap(v) for v in inner if isinstance(v, types.FunctionType)):
                around = {
                    k: f.__globals__[k] for k in _globals_of(f.__code__) if k in f.__globals__
                }
                cells = zip(f.__code__.co_freevars, f.__closure__ or (), strict=True)
                around |= {k: cell.cell_contents for k, cell in cells}
                around |= {"defaults": (f.__defaults__, f.__kwdefaults__)}
                for item in sorted(around.items(), key=lambda pair: pair[0]):
                    visit(*item)

    visit("function", function)
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _warn(message):
    """Stands in for joblib's own message on a log."""
    last = message.strip().splitlines()[-1]
    warnings.warn(f"a cached result could not be read and is computed again: {last}", stacklevel=2)


def _evaluate(identity, point, entropy, function):
    rng = np.random.default_rng(np.random.SeedSequence(entropy))
    return {key: np.asarray(value) for key, value in function(**point, rng=rng).items()}


def sweep(function, grid, seeds=10, *, root=0, paired=False, cache=True, progress=True):
    """Evaluate `function` at every point of a grid, for several seeds.

    Parallel by joblib: one process unless the caller says otherwise, for instance with
    ``joblib.parallel_config(backend="loky", n_jobs=2)`` or ``backend="dask"``. The numbers do
    not depend on the backend, nor on what else is in the grid.

    Parameters
    ----------
    function : callable
        ``function(**point, rng)`` -> dict of name to number or array of fixed shape, which takes
        its randomness from `rng` alone.
    grid : dict
        Name of an argument to the list of its values. Values of different type are different
        points, with other seeds: 5 is not 5.0.
    seeds : int
        Number of seeds a point.
    root : int
        Root of all seeds, >= 0.
    paired : bool
        True gives each point the same seeds (common random numbers: differences between points
        are sharper, but their errors are not independent).
    cache : bool
        Keep each finished evaluation on disk (`cache_folder`), as soon as it is finished: work
        that was killed goes on from there. A damaged entry is computed again, with a warning.
    progress : bool
        Show a bar on stderr.

    Returns
    -------
    dict of ndarray
        Name to array of shape (sizes of the grid in order, seeds, shape of the value).

    Raises
    ------
    ValueError, TypeError
        If the grid is empty, or `seeds` or `root` out of range.

    Examples
    --------
    >>> def mean(n, rng):
    ...     return {"mean": rng.standard_normal(n).mean()}
    >>> sweep(mean, {"n": [10, 1000]}, seeds=3, cache=False, progress=False)["mean"].shape
    (2, 3)
    """
    seeds = _checks.positive_int("seeds", seeds)
    if isinstance(root, bool) or not isinstance(root, int) or root < 0:
        raise ValueError(f"root={root!r} must be an integer >= 0")
    if not callable(function):
        raise TypeError(f"function={function!r} must be callable")
    if not grid or not all(len(values) for values in grid.values()):
        raise ValueError(f"grid={grid!r} must name at least one argument, each with values")
    points = [dict(zip(grid, v, strict=True)) for v in itertools.product(*grid.values())]

    def entropy(point, seed):
        words = [] if paired else [int(joblib.hash(point)[:16], 16)]
        return [root, seed, *words]

    evaluate, identity = _evaluate, None
    if cache:
        memory = joblib.Memory(cache_folder() / library_hash(), verbose=0)
        evaluate = memory.cache(_evaluate, ignore=["function"])
        evaluate.warn = _warn
        identity = _identity(function)
    jobs = [
        joblib.delayed(evaluate)(identity, point, entropy(point, seed), function)
        for point in points
        for seed in range(seeds)
    ]
    name = getattr(function, "__name__", "sweep")
    results = joblib.Parallel(return_as="generator")(jobs)
    silent = {} if progress else {"disable": True}  # else as TQDM_DISABLE says
    results = list(tqdm(results, name, total=len(jobs), **silent))
    shape = (*(len(values) for values in grid.values()), seeds)
    return {
        key: np.stack([r[key] for r in results]).reshape(*shape, *results[0][key].shape)
        for key in results[0]
    }


def standard_error(values, axis=-1):
    """Standard error of the mean over seeds: sample standard deviation / sqrt(seeds).

    Parameters
    ----------
    values : array_like
    axis : int
        The axis of the seeds, of length >= 2.

    Returns
    -------
    ndarray or float

    Examples
    --------
    >>> float(standard_error([1.0, 3.0]))
    1.0
    """
    values = _checks.real_array("values", values)
    if values.shape[axis] < 2:
        raise ValueError(f"values has {values.shape[axis]} seeds along axis {axis}; it needs 2")
    return (values.std(axis, ddof=1) / np.sqrt(values.shape[axis]))[()]


def store(path, columns, *, command, seconds):
    """Write the results of a large run as a table that a chapter can read back.

    The header says which command made it, when, with which versions and in what time.

    Parameters
    ----------
    path : str or path
        A CSV file; its folder must exist.
    columns : dict of str to array_like, shape (k,)
        Numbers (six digits are kept), or words without commas, ``#`` or line breaks.
    command : str
        What a reader runs to make the table again.
    seconds : float
        How long it took.

    Raises
    ------
    ValueError
        If the columns are no vectors of one length, or a name, word or the command has a mark
        that the file could not give back.

    See Also
    --------
    load
    """
    seconds = _checks.real("seconds", seconds, minimum=0)
    columns = {name: np.asarray(values) for name, values in columns.items()}
    rows = list(zip(*columns.values(), strict=False))
    if any(v.ndim != 1 for v in columns.values()) or len({len(v) for v in columns.values()}) != 1:
        raise ValueError("columns must be vectors of one length, at least one")
    if not rows or "\n" in command:
        raise ValueError("columns must have at least one row, and the command one line")
    versions = " ".join(f"{name} {metadata.version(name)}" for name in ("torch", "numpy", "scipy"))
    lines = [
        f"# command: {command}",
        f"# date: {datetime.date.today()}; python {platform.python_version()} {versions}",
        f"# run time: {seconds:.0f} s",
        ",".join(columns),
    ]
    words = [
        [f"{v:.6g}" if isinstance(v, float | np.floating) else str(v) for v in row] for row in rows
    ]
    if any(mark in word for row in (*words, columns) for word in row for mark in ",\n#"):
        raise ValueError("columns must hold words without commas, '#' or line breaks")
    lines += [",".join(row) for row in words]
    pathlib.Path(path).write_text("\n".join(lines) + "\n", "utf-8")


def load(path):
    """Read a table of `store`.

    Parameters
    ----------
    path : str or path

    Returns
    -------
    dict of str to ndarray, shape (k,)
        A column that holds numbers only is one of floats.

    Raises
    ------
    ValueError
        If the file has no header with its command, or no rows.
    """
    lines = pathlib.Path(path).read_text("utf-8").splitlines()
    body = list(itertools.dropwhile(lambda line: line.startswith("#"), lines))
    if not lines or not lines[0].startswith("# command: ") or len(body) < 2:
        raise ValueError(f"path={str(path)!r} is not a table of twolayer.sweep.store")
    values = zip(*(line.split(",") for line in body[1:]), strict=True)
    columns = {}
    for name, column in zip(body[0].split(","), values, strict=True):
        try:
            columns[name] = np.array(column, dtype=float)
        except ValueError:
            columns[name] = np.array(column)
    return columns
