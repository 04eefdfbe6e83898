"""Execute the chapters in parallel, into the cache that the book is built from.

``python book/_ext/notebooks.py`` executes what is not in the cache; ``--write`` also writes the
executed twin (NAME.ipynb) of each chapter (NAME.md), without timestamps.
"""

import argparse
import base64
import concurrent.futures
import os
import sys

import jupytext
import nbformat
from book_machinery import ROOT, execution_cache
from jupyter_cache import get_cache
from jupyter_cache.base import CacheBundleIn
from jupyter_cache.executors.utils import single_nb_execution
from myst_nb.core.read import read_myst_markdown_notebook
from myst_parser.config.main import MdParserConfig

COVER = "fig-particles"  # the figure that README and introduction show
TIMEOUT = 600  # seconds a cell, as in _config.yml


def chapters():
    """Sources of all chapters: Markdown files paired with a notebook."""
    files = sorted((ROOT / "book").rglob("*.md"))
    return [f for f in files if "formats: ipynb,md:myst" in f.read_text(encoding="utf-8")[:400]]


def read(path):
    """The notebook of a chapter as the book's build reads it (the cache's key)."""
    return read_myst_markdown_notebook(
        path.read_text(encoding="utf-8"),
        config=MdParserConfig(enable_extensions={"dollarmath", "colon_fence"}),
        code_directive="{code-cell}",
        raw_directive="{raw-cell}",
        add_source_map=True,
        path=str(path),
    )


def execute(path):
    """Execute one chapter in its folder."""
    notebook = read(path)
    return notebook, single_nb_execution(
        notebook, cwd=str(path.parent), timeout=TIMEOUT, allow_errors=False, meta_override=True
    )


def merged(outputs):
    """The outputs without stderr, stdout in one piece: the kernel may flush it in several."""
    kept = []
    for output in outputs:
        if output.get("name") == "stderr":
            continue
        if output.output_type == "stream" and kept and kept[-1].output_type == "stream":
            kept[-1].text += output.text
        else:
            kept.append(output)
    return kept


def write_twin(path, executed):
    """Write NAME.ipynb: the cells of NAME.md, the outputs of the execution."""
    twin = jupytext.read(path)
    code = [c for c in twin.cells if c.cell_type == "code"]
    run = [c for c in executed.cells if c.cell_type == "code"]
    if [c.source for c in code] != [c.source for c in run]:
        raise SystemExit(f"{path}: the build and jupytext read different cells")
    for cell, source in zip(code, run, strict=True):
        cell.outputs, cell.execution_count = merged(source.outputs), source.execution_count
    twin.metadata["jupytext"].pop("text_representation", None)  # as jupytext --sync leaves it
    for index, cell in enumerate(twin.cells):
        cell.id = f"cell-{index:03d}"
        figure = cell.metadata.get("mystnb", {}).get("figure", {}).get("name")
        if figure == COVER:
            images = [o.data.get("image/png") for o in cell.outputs if "data" in o]
            image = next(filter(None, images))
            (ROOT / "book" / "figures" / "cover.png").write_bytes(base64.b64decode(image))
    nbformat.write(twin, path.with_suffix(".ipynb"))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="write the executed notebooks")
    write = parser.parse_args().write
    cache = get_cache(str(execution_cache()))
    executed, missing = {}, []
    for path in chapters():
        notebook = read(path)
        try:
            cache.match_cache_notebook(notebook)
            executed[path] = cache.merge_match_into_notebook(notebook)[1]
        except KeyError:
            missing.append(path)
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # matrices here are small: threads cost more
    workers = max(1, min(len(missing), os.cpu_count() or 1))
    failed = False
    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        for path, (notebook, result) in zip(missing, pool.map(execute, missing), strict=True):
            name = path.relative_to(ROOT)
            if result.err is not None:
                print(f"{name}: failed\n{result.exc_string}", file=sys.stderr)
                failed = True
                continue
            print(f"{name}: executed in {result.time:.1f} s")
            bundle = CacheBundleIn(notebook, str(path), data={"execution_seconds": result.time})
            cache.cache_notebook_bundle(bundle, check_validity=False, overwrite=True)
            executed[path] = notebook
    if write:
        for path, notebook in executed.items():
            write_twin(path, notebook)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
