"""Every claim under seeds that nobody chose: ``make robust``, and ``ROOTS=20`` says how many.

Each notebook runs anew under each root, in a process of its own: the root goes before every seed of
its sweeps and of its generators. What has run is kept in ``_build/robust`` until the page or the
library changes, so a run that was stopped goes on; roots come one after another, so that an early
table has all pages. At the end the table ``book/robust.csv``: how often each claim holds.
"""

import argparse
import concurrent.futures
import contextlib
import csv
import importlib
import io
import json
import linecache
import os
import pathlib
import subprocess
import sys
import tempfile
import time
import types

import jupytext
from chapters import ROOT, chapters, key, name
from scorecard import claiming, ordered
from tqdm import tqdm

from twolayer.lab._files import write

KEPT, TABLE = ROOT / "_build" / "robust", ROOT / "book" / "robust.csv"
HEAD = ("page", "claim", "kind", "roots", "holds")
ROOTS, LEAST = 20, 0.95


def place(path, root):
    """Where the rows of a page under a root are kept."""
    return KEPT / name(path) / f"{root}.json"


def recorded(path, root):
    """The rows of a page under a root; None where it has not run, or not as it is today."""
    try:
        kept = json.loads(place(path, root).read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return kept if kept["key"] == key(path) else None


def prefixed(root):
    """`numpy.random.default_rng` whose seeds, where they are numbers, begin with the root."""
    import numpy as np

    plain = np.random.default_rng

    def default_rng(seed=None):
        numbers = isinstance(seed, int | np.integer | list | tuple)
        return plain([root, *np.atleast_1d(seed).tolist()] if numbers else seed)

    return default_rng


def begin_with(root):
    """From now on the seeds of this process, of its sweeps and of its generators, begin so."""
    import numpy as np

    sweeps = importlib.import_module("twolayer.lab.sweep")
    seeds_of = sweeps._seeds_of
    sweeps._seeds_of = lambda *args: [root, *seeds_of(*args)]
    np.random.default_rng = prefixed(root)


def pass_on(root, folder):
    """Scripts that a page starts begin with the root, too (workers are given their seeds)."""
    lines = f"if sys.orig_argv[-1].endswith('.py'):\n    import robust; robust.begin_with({root})\n"
    (folder / "sitecustomize.py").write_text("import sys\n" + lines)
    paths = [str(folder), str(pathlib.Path(__file__).parent), os.environ.get("PYTHONPATH")]
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, paths))


def rows_under(path, root):
    """Run a page's cells under a root: its claims as rows, and the error that stopped it."""
    import matplotlib as mpl

    mpl.use("agg")
    import matplotlib.pyplot as plt

    from twolayer.lab import claims

    begin_with(root)
    pass_on(root, pathlib.Path(os.environ["TWOLAYER_CACHE"]))
    found = []
    claims.Claims.verify = lambda table: found.extend(table.rows)
    sys.modules["__main__"] = page = types.ModuleType("__main__")  # where its functions are found
    sys.argv[0] = "-c"  # a program without a file: only then its results may be kept
    space, error = vars(page), None
    os.chdir(path.parent)
    for index, cell in enumerate(jupytext.read(path).cells):
        if cell.cell_type != "code":
            continue
        file, lines = f"{name(path)}, cell {index}", cell.source.splitlines(keepends=True)
        linecache.cache[file] = len(cell.source), None, lines, file  # for `inspect.getsource`
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                exec(compile(cell.source, file, "exec"), space)
        except Exception as why:
            error = f"cell {index}: {type(why).__name__}: {why}"
            break
        plt.close("all")
    if error:  # what was said before it, in cells that did run
        tables = [value for value in space.values() if isinstance(value, claims.Claims)]
        found = found or [row for table in tables for row in table.rows]
    numbers = ("predicted", "measured", "standard_error", "tolerance")
    rows = [
        {"claim": r.claim, "relation": r.relation, "holds": r.holds}
        | {k: float(getattr(r, k)) for k in numbers}
        for r in found
    ]
    return {"rows": rows, "error": error}


def run(path, root):
    """A page under a root, in a process of its own; what it gave is written in one piece."""
    today, out = key(path), place(path, root)
    with tempfile.TemporaryDirectory() as scratch:
        env = os.environ | {
            "TWOLAYER_CACHE": scratch,
            "OMP_NUM_THREADS": "1",
            "TQDM_DISABLE": "1",
            "MPLBACKEND": "agg",
        }
        one = [sys.executable, "-W", "ignore", __file__, "--one", str(path), str(root)]
        done = subprocess.run(one, env=env, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{name(path)} under root {root}:\n{done.stderr[-2000:]}")
    out.parent.mkdir(parents=True, exist_ok=True)
    write(out, json.dumps({"key": today, **json.loads(done.stdout)}))


def named(rows):
    """Rows by claim; a claim that occurs again has its number behind it."""
    found = {}
    for row in rows:
        claim, count = " ".join(row["claim"].split()), 1
        while (label := claim if count == 1 else f"{claim} ({count})") in found:
            count += 1
        found[label] = row
    return found


def table(path, roots):
    """Lines of a page: each claim, whether seeds move it, and in how many roots it holds."""
    kept = [found for root in roots if (found := recorded(path, root))]
    runs = [named(found["rows"]) for found in kept]
    for claim in dict.fromkeys(c for rows in runs for c in rows):
        rows = [rows[claim] for rows in runs if claim in rows]
        moved = len({(row["measured"], row["predicted"]) for row in rows}) > 1
        kind = "drawn" if moved else "fixed"
        yield name(path), claim, kind, len(runs), sum(row["holds"] for row in rows)
    whole = sum(not found["error"] for found in kept)
    if kept:
        yield name(path), "the page runs to its end", "fixed", len(kept), whole


def below(lines):
    """Those that hold less often than they should."""
    return [line for line in lines if line[-1] < LEAST * line[-2]]


def store(lines):
    """Write the table, with the day on which the newest of its runs ended."""
    ended = max(place.stat().st_mtime for place in KEPT.rglob("*.json"))
    text = io.StringIO(f"# make robust, {time.strftime('%Y-%m-%d', time.gmtime(ended))}\n")
    text.seek(0, io.SEEK_END)
    csv.writer(text, lineterminator="\n").writerows([HEAD, *lines])
    write(TABLE, text.getvalue())


def stored():
    """The day and the lines of the stored table; an empty text and none where there is no table."""
    if not TABLE.exists():
        return "", []
    with TABLE.open(encoding="utf-8", newline="") as file:
        day = file.readline().strip().rpartition(" ")[2]
        lines = [
            (*words, int(roots), int(holds)) for *words, roots, holds in list(csv.reader(file))[1:]
        ]
    return day, lines


def report(lines):
    """Print what holds less often than it should, and the rate over all claims."""
    for page, claim, _, roots, holds in below(lines):
        print(f"{holds:3d} of {roots}: {page}: {claim}")
    for kinds, words in (({"drawn"}, "that seeds move"), ({"drawn", "fixed"}, "in all")):
        mine = [(holds, roots) for *_, kind, roots, holds in lines if kind in kinds]
        held, total = (sum(column) for column in zip(*mine, strict=True)) if mine else (0, 0)
        rate = f", {held / total:.2%}" if total else ""
        print(f"{len(mine)} claims {words}: {held} of {total} runs hold{rate}")


def main(arguments=None):
    parser = argparse.ArgumentParser()
    parser.add_argument("pages", nargs="*", help="part/name; all where none is given")
    parser.add_argument("--roots", type=int, default=ROOTS)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--table", action="store_true", help="only the table of what has run")
    options = parser.parse_args(arguments)
    sources = [p for p in claiming(ordered(chapters())) if name(p) in (options.pages or [name(p)])]
    roots = range(1, options.roots + 1)
    jobs = [(path, root) for root in roots for path in sources if not recorded(path, root)]
    failed = []
    if jobs and not options.table:
        with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
            work = [pool.submit(run, *job) for job in jobs]
            try:
                for done in tqdm(concurrent.futures.as_completed(work), "robust", total=len(work)):
                    failed += [str(done.exception())] if done.exception() else []
            except KeyboardInterrupt:
                pool.shutdown(wait=False, cancel_futures=True)
                sys.exit("interrupted: what finished is kept; the same command goes on from there")
    lines = [line for path in sources for line in table(path, roots)]
    if not options.pages:
        store(lines)
    report(lines)
    for words in failed:
        print(words, file=sys.stderr)
    return int(bool(failed or below(lines)))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        found = rows_under(pathlib.Path(sys.argv[2]), int(sys.argv[3]))
        print(json.dumps(found))
        sys.exit()
    sys.exit(main())
