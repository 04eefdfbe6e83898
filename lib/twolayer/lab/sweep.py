"""A function over a grid of settings and several seeds: results with names, kept on disk."""

from __future__ import annotations

import copyreg
import datetime
import functools
import hashlib
import importlib
import io
import itertools
import numbers
import os
import pathlib
import pickle
import platform
import sys
import tempfile
import types
import warnings
from collections.abc import Callable, Mapping
from importlib import metadata
from typing import TYPE_CHECKING, Any

import joblib
import numpy as np
from numpy.typing import ArrayLike
from tqdm import tqdm

from twolayer import _checks
from twolayer.lab import _files, _program

if TYPE_CHECKING:
    import pandas
    import xarray

__all__ = ["cache_folder", "cached", "load", "standard_error", "store", "sweep"]


def cache_folder() -> pathlib.Path:
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


@functools.cache  # each line once
def _say(line):
    print(f"twolayer.lab.sweep: {line}", file=sys.stderr, flush=True)


def _plain(name, value, above=()):
    """A setting as numbers, texts and containers of its own: equal settings are equal here."""
    if isinstance(value, np.generic):
        return _plain(name, value.item())
    if value is None or value is ... or type(value) in (bool, int, float, str, bytes):
        return value
    if id(value) in above:
        raise TypeError(f"{name}: {type(value).__name__} contains itself; it cannot be a setting")
    inside = functools.partial(_plain, above=(*above, id(value)))
    if type(value) in (tuple, list):
        return type(value)([inside(f"{name}[{i}]", v) for i, v in enumerate(value)])
    if type(value) is dict:
        return {inside(name, k): inside(f"{name}[{k!r}]", v) for k, v in value.items()}
    if isinstance(value, set | frozenset):
        return type(value).__name__, sorted(joblib.hash(inside(name, v)) for v in value)
    if isinstance(value, np.ndarray) and not value.dtype.hasobject:
        return np.array(value, dtype=value.dtype.newbyteorder("="), order="C")
    if isinstance(value, np.ndarray):
        return "objects", value.shape, inside(name, value.ravel().tolist())
    if type(value).__module__.startswith("torch") and hasattr(value, "detach"):
        return "tensor", inside(name, value.detach().cpu().numpy())
    if isinstance(value, types.FunctionType | types.BuiltinFunctionType | type):
        return _by_reference(name, value)
    reduce = copyreg.dispatch_table.get(type(value), lambda v: v.__reduce_ex__(4))
    try:
        reduced = reduce(value)
    except Exception as error:
        raise TypeError(f"{name}={value!r} cannot be pickled, so it cannot be a setting") from error
    if isinstance(reduced, str):
        return _by_reference(name, value, reduced)
    parts = [v if i < 3 else list(v or ()) for i, v in enumerate(reduced)]
    return inside(f"{name} ({type(value).__name__})", parts)


def _by_reference(name, value, qualname=None):
    qualname = qualname or value.__qualname__
    module = pickle.whichmodule(value, qualname)
    try:
        found = functools.reduce(getattr, qualname.split("."), importlib.import_module(module))
    except (ImportError, AttributeError):
        found = None
    if found is not value:
        raise TypeError(
            f"{name}={value!r} has no name by which it can be found again (a lambda, or a function "
            "inside another): give it a `def` at the top level"
        )
    return module, qualname


def _usable(folder):
    """Whether results can be kept in a folder; says so where not."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"x")
    except OSError as error:
        _say(f"{folder} cannot be used ({error.strerror}); nothing is kept on disk")
        return False
    return True


def _read(path):
    """A kept result, as (files it loaded, value); None where there is none or it is damaged."""
    try:
        content = path.read_bytes()
    except OSError:
        return None
    if hashlib.sha256(content[32:]).digest() == content[:32]:
        try:
            return pickle.loads(content[32:])
        except Exception:  # of a class that is no more, for instance
            pass
    warnings.warn(f"{path.name}: damaged, and computed again", stacklevel=2)
    return None


def _write(path, files, value):
    try:
        content = pickle.dumps((files, value))
    except Exception as error:
        _say(f"a result cannot be pickled and is not kept ({error})")
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _files.write(path, hashlib.sha256(content).digest() + content)
    except OSError as error:
        _say(f"{path.parents[1]} cannot be written ({error.strerror}); results are not kept")


def _evaluate(function, point, entropy, path, known):
    """One evaluation, read back where it is kept: the files that it loaded, and its value."""
    if path is not None and (kept := _read(path)) and _program.unchanged(kept[0]):
        return kept
    rng = np.random.default_rng(np.random.SeedSequence(entropy))
    with _program.evaluation(path and str(path)):
        try:
            value = function(**point, rng=rng)
        except Exception as error:
            words = ", ".join(f"{k}={v!r}"[:80] for k, v in point.items())
            error.add_note(f"in {_name(function)} at {words}, seed {entropy[1]}")
            raise
    files = []
    if path is not None:
        try:
            files = sorted(_program.ran().difference(known))
            if any(file == "string" for file, _ in files):
                raise _program.Unknown(f"{_name(function)} executes code from a string")
            _write(path, files, value)
        except _program.Unknown as why:
            _say(f"{why}: results are not kept")
    return files, value


def _name(function):
    return getattr(function, "__name__", type(function).__name__)


def _seeds_of(point, seed, root, paired):
    words = [] if paired else [int(joblib.hash(point)[:16], 16)]
    return [root, seed, *words]


def _jobs(function, points, seeds, root, paired, cache):
    """The evaluations of a call, each with the file where its result is kept."""
    plain = [{k: _plain(k, v) for k, v in point.items()} for point in points]
    key, known = None, ()
    if cache and _usable(folder := cache_folder()):
        try:
            # a tuple: Dask would leave pieces of a set with one worker, to die with it
            known, key = tuple(_program.ran()), _program.call()
        except _program.Unknown as why:
            _say(f"{why}: results are not kept")
    for point, settings in zip(points, plain, strict=True):
        for seed in range(seeds):
            entropy = _seeds_of(settings, seed, root, paired)
            path = None
            if key:
                text = f"{key} {_name(function)} {joblib.hash(settings)} {entropy}"
                text = hashlib.sha256(text.encode()).hexdigest()
                path = folder / text[:2] / f"{text[2:34]}.pkl"
            yield function, point, entropy, path, known


def cached(function: Callable, /, **settings: Any) -> Any:
    """Call a function once, ``function(**settings, rng=rng)``, and keep its result on disk.

    The generator is that of the first seed of `sweep` at these settings. The result is read back
    only where the same program runs again and has run the same code up to this call (`sweep`).

    Parameters
    ----------
    function : callable
        Takes its randomness from `rng` alone. Its result should pickle; one that does not is not
        kept.
    **settings
        As in `sweep`.

    Returns
    -------
    object
        What the function returns.

    Examples
    --------
    >>> def mean(n, rng):
    ...     return rng.standard_normal(n).mean()
    >>> bool(abs(cached(mean, n=10_000)) < 0.05)
    True
    """
    _check_function(function)
    (job,) = _jobs(function, [settings], 1, 0, False, True)
    files, value = _evaluate(*job)
    _program.as_if_run(files)
    return value


def sweep(
    function: Callable[..., Mapping],
    over: Mapping,
    seeds: int = 10,
    *,
    axes: Mapping | None = None,
    root: int = 0,
    paired: bool = False,
    cache: bool = True,
    progress: bool = True,
    **fixed: Any,
) -> xarray.Dataset:
    """Evaluate `function` at every point of a grid, for several seeds.

    Parallel by joblib: one process unless the caller says otherwise, for instance with
    ``joblib.parallel_config(backend="loky", n_jobs=2)`` or ``backend="dask"``. The numbers do
    not depend on the backend, nor on what else is in the grid.

    Each finished evaluation is kept in `cache_folder`, as soon as it is finished: work that was
    killed goes on from there. It is served again only to the same program, and only if all code
    that has run up to this call is the same: the notebook's cells so far, or the script and its
    arguments; every module from outside the installed packages, this library included; their
    versions. Files that a function reads are not looked at: pass data as settings.

    Parameters
    ----------
    function : callable
        ``function(**point, **fixed, rng)`` -> dict of name to number or array, of the same shapes
        everywhere, which takes its randomness from `rng` alone.
    over : dict
        Name of an argument to its values: a list, a tuple, a range or a vector; or a dict of label
        to value, where values have no short name. Empty for one point. Equal values have equal
        seeds; 5 is not 5.0.
    seeds : int
        Number of seeds a point.
    axes : dict, optional
        Names of the axes of the function's own arrays: name to the coordinates along it, or to
        None. An array with k axes has the first k of them. Where results differ, a name of a
        result to such a dict of its own: ``{"curve": {"alpha": ALPHAS}}``. An axis "seed" is that
        of a function which runs many seeds at once: then `seeds` is 1.
    root : int
        Root of all seeds, >= 0.
    paired : bool
        True gives each point the same seeds (common random numbers: differences between points
        are sharper, but their errors are not independent).
    cache : bool
        Keep results, and read back those kept.
    progress : bool
        Show a bar on stderr.
    **fixed
        Further arguments of the function, the same at each point. The seeds depend on them.

    Returns
    -------
    xarray.Dataset
        A variable for each name, with the dimensions (names of `over`, "seed", `axes`).

    Examples
    --------
    >>> def mean(n, shift, rng):
    ...     return {"mean": rng.standard_normal(n).mean() + shift}
    >>> runs = sweep(mean, {"n": [10, 1000]}, 3, shift=5.0, cache=False, progress=False)
    >>> runs["mean"].sel(n=1000).shape
    (3,)
    """
    seeds = _checks.positive_int("seeds", seeds)
    if isinstance(root, bool) or not isinstance(root, numbers.Integral) or root < 0:
        raise ValueError(f"root={root!r} must be an integer >= 0")
    _check_function(function)
    over = _grid(over, fixed)
    points = [
        {**dict(zip(over, v, strict=True)), **fixed}
        for v in itertools.product(*(values for values, _ in over.values()))
    ]
    jobs = list(_jobs(function, points, seeds, int(root), paired, cache))
    work = joblib.Parallel(return_as="generator")(joblib.delayed(_evaluate)(*job) for job in jobs)
    results = []
    silent = {} if progress else {"disable": True}  # else as TQDM_DISABLE says
    for files, value in tqdm(work, _name(function), total=len(jobs), **silent):
        _program.as_if_run(files)
        results.append(_checked(function, value, results, points[len(results) // seeds]))
    return _dataset(results, over, seeds, axes or {})


def _check_function(function):
    if not callable(function):
        raise TypeError(f"function={function!r} must be callable")


def _grid(over, fixed):
    """The grid as name to (values, labels)."""
    if not isinstance(over, dict):
        raise TypeError(f"over={over!r} must be a dict of argument to values")
    grid = {}
    for name, values in over.items():
        if name in ("seed", "rng") or name in fixed:
            raise ValueError(f"over names {name!r}, which is given elsewhere")
        if isinstance(values, dict):
            labels, values = list(values), list(values.values())
        elif isinstance(values, list | tuple | range) or getattr(values, "ndim", 0) == 1:
            labels = values = list(values)
        else:
            raise TypeError(f"over[{name!r}]={values!r} must be a list of values")
        if not values:
            raise ValueError(f"over[{name!r}] must hold at least one value")
        grid[name] = (values, labels)
    return grid


def _checked(function, value, before, point):
    """The results of one evaluation as arrays, with the names and shapes of the first."""
    where = ", ".join(f"{k}={v!r}"[:80] for k, v in point.items())
    if not isinstance(value, dict):
        kind = type(value).__name__
        raise TypeError(f"{_name(function)} returned a {kind} at {where}; it must return a dict")
    value = {key: np.asarray(v) for key, v in value.items()}
    if before and value.keys() != before[0].keys():
        odd = ", ".join(sorted(value.keys() ^ before[0].keys()))
        raise ValueError(f"results differ between points: {odd} is not given by all, see {where}")
    for key, v in value.items() if before else ():
        if v.shape != before[0][key].shape:
            first = before[0][key].shape
            raise ValueError(
                f"{key} has shape {v.shape} at {where}, and {first} at the first point"
            )
    return value


def _dataset(results, over, seeds, axes):
    import xarray  # here: it takes a second

    first = results[0]
    own = {key: _own_axes(key, value, axes) for key, value in first.items()}
    at_once = any("seed" in names for names in own.values())
    if at_once and seeds != 1:
        raise ValueError(f"seeds={seeds} must be 1: the results have an axis 'seed' of their own")
    outer, sizes = tuple(over), tuple(len(values) for values, _ in over.values())
    if not at_once:
        outer, sizes = (*outer, "seed"), (*sizes, seeds)
    variables, coordinates = {}, {name: _coordinate(labels) for name, (_, labels) in over.items()}
    for key, names in own.items():
        values = np.stack([result[key] for result in results])
        variables[key] = (*outer, *names), values.reshape(*sizes, *first[key].shape)
        along = {name: labels for name, labels in names.items() if labels is not None}
        coordinates |= {name: _coordinate(labels) for name, labels in along.items()}
    runs = xarray.Dataset(variables, coordinates)
    return runs if "seed" in runs.coords else runs.assign_coords(seed=range(runs.sizes["seed"]))


def _own_axes(key, value, axes):
    """The axes of a function's own array: name to coordinates, or None."""
    mine = axes[key] if isinstance(axes.get(key), dict) else axes
    mine = {name: along for name, along in mine.items() if not isinstance(along, dict)}
    names = list(mine)[: value.ndim]
    names += [f"{key}_{i}" for i in range(len(names), value.ndim)]
    for name, size in zip(names, value.shape, strict=True):
        along = mine.get(name)
        if along is not None and len(along) != size:
            raise ValueError(
                f"axes: {name!r} has {len(along)} coordinates, but {key} has {size} along it"
            )
    return {name: mine.get(name) for name in names}


def _coordinate(labels):
    """Labels as a vector: of objects, where not all are numbers or all texts (True is neither)."""
    labels = [v.item() if isinstance(v, np.generic) else v for v in labels]
    for kind in (str, numbers.Real):
        if all(isinstance(v, kind) and not isinstance(v, bool) for v in labels):
            return np.array(labels)
    array = np.empty(len(labels), dtype=object)
    array[:] = labels
    return array


def standard_error(values: ArrayLike, axis: int = -1) -> Any:
    """Standard error of the mean over seeds: sample standard deviation / sqrt(seeds).

    Parameters
    ----------
    values : xarray.DataArray or array_like
    axis : int
        The axis of the seeds, of length >= 2; of labelled data it is the dimension "seed".

    Returns
    -------
    DataArray, ndarray or float

    Examples
    --------
    >>> float(standard_error([1.0, 3.0]))
    1.0
    """
    labelled, values = values, _checks.real_array("values", values)
    if hasattr(labelled, "dims"):
        count = labelled.sizes["seed"]
        if count < 2:
            raise ValueError(f"values has {count} seeds; it needs 2")
        return labelled.std("seed", ddof=1) / np.sqrt(count)
    if values.shape[axis] < 2:
        raise ValueError(f"values has {values.shape[axis]} seeds along axis {axis}; it needs 2")
    return (values.std(axis, ddof=1) / np.sqrt(values.shape[axis]))[()]


def _table(path):
    """A CSV file; a bare name is that of a table which comes with the library."""
    path = pathlib.Path(path)
    bare = path.name == str(path) and not path.suffix
    return pathlib.Path(__file__).parent / "tables" / f"{path}.csv" if bare else path


def store(path: str | os.PathLike, columns: Mapping, *, command: str, seconds: float) -> None:
    """Write the results of a large run as a table that a chapter can read back.

    The header says which command made it, when, with which versions and in what time, and holds a
    digest of the rest.

    Parameters
    ----------
    path : str or path
        A CSV file, whose folder must exist; or a name without folder and suffix: then it becomes
        the library's own table of that name.
    columns : pandas.DataFrame or dict of str to array_like, shape (k,)
        Numbers (six digits are kept) or words.
    command : str
        What a reader runs to make the table again.
    seconds : float
        How long it took.

    See Also
    --------
    load
    """
    import pandas

    seconds = _checks.real("seconds", seconds, minimum=0)
    frame = pandas.DataFrame(columns)
    if frame.empty or not command.strip() or "\n" in command:
        raise ValueError("columns must have at least one row, and the command be one line")
    versions = " ".join(f"{name} {metadata.version(name)}" for name in ("torch", "numpy", "scipy"))
    body = frame.to_csv(index=False, float_format="%.6g", lineterminator="\n")
    header = (
        f"# command: {command}\n"
        f"# date: {datetime.date.today()}; python {platform.python_version()} {versions}\n"
        f"# run time: {seconds:.0f} s\n"
        f"# digest: {_digest(body)}\n"
    )
    _files.write(_table(path), header + body)


def _digest(text):
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def load(path: str | os.PathLike) -> pandas.DataFrame:
    """Read a table of `store`.

    Parameters
    ----------
    path : str or path
        A CSV file, or the name of a table that comes with the library.

    Returns
    -------
    pandas.DataFrame

    Raises
    ------
    ValueError
        If it is none, or is damaged: not what was stored. Then it says which command mends it.

    Examples
    --------
    >>> load("learning_directions").columns.tolist()
    ['d', 'q', 'method', 'seed', 'value']
    """
    import pandas

    path = _table(path)
    lines = path.read_bytes().decode("utf-8", "replace").splitlines(keepends=True)
    header = list(itertools.takewhile(lambda line: line.startswith("# "), lines))
    said = dict(line[2:].rstrip("\n").split(": ", 1) for line in header if ": " in line)
    if "command" not in said:
        raise ValueError(f"path={str(path)!r} is not a table of twolayer.lab.sweep.store")
    body = "".join(lines[len(header) :])
    if said.get("digest") != _digest(body):
        raise ValueError(
            f"path={str(path)!r} is damaged: its rows are not those that were stored. Take it from "
            f"version control again, or make it: {said['command']}"
        )
    return pandas.read_csv(io.StringIO(body))
