"""The book's Sphinx extension: current results into the build, buttons, charts."""

import json
import os
import pathlib
import shutil
import tomllib
import zlib

import chapters

from twolayer.lab._files import write

ROOT, HERE = chapters.ROOT, pathlib.Path(__file__).parent
VEGA = ("vega/versions.js", "vega/vega.min.js", "vega/vega-lite.min.js", "vega/vega-embed.min.js")
DRAFT = bool(os.environ.get("BOOK_DRAFT"))


def _as_built(path):
    """The notebook of a chapter as the build reads it: what its cache looks up."""
    from myst_nb.core.read import read_myst_markdown_notebook
    from myst_parser.config.main import MdParserConfig

    return read_myst_markdown_notebook(
        path.read_text(encoding="utf-8"),
        config=MdParserConfig(enable_extensions={"dollarmath", "colon_fence"}),
        code_directive="{code-cell}",
        raw_directive="{raw-cell}",
        add_source_map=True,
        path=str(path),
    )


def fill(folder):
    """Bring the cache that the build reads up to date: current results in, all others out.

    Results come from the committed twins and from what `make book` has run. A chapter that has
    none is executed by the build itself.
    """
    import nbformat
    from jupyter_cache import get_cache
    from jupyter_cache.base import CacheBundleIn

    cache, index = get_cache(str(folder)), folder / "keys.json"
    known = _known(index)
    index.unlink(missing_ok=True)  # until all is in the cache: a build may be killed
    keys = {}
    for path in chapters.chapters():
        name, place = chapters.name(path), chapters.current(path, draft=DRAFT)
        notebook = _as_built(path)
        try:
            kept = cache.match_cache_notebook(notebook)
        except KeyError:
            kept = None
        if place is None:
            if kept:
                cache.remove_cache(kept.pk)
            continue
        keys[name] = chapters.recorded(place) | {"from": place.parent.as_posix()}
        if kept and known.get(name) == keys[name]:
            continue
        done = [c for c in nbformat.read(place, 4).cells if c.cell_type == "code"]
        code = [c for c in notebook.cells if c.cell_type == "code"]
        for cell, result in zip(code, done, strict=True):
            cell.outputs, cell.execution_count = result.outputs, result.execution_count
        bundle = CacheBundleIn(notebook, str(path), data={"execution_seconds": 0.0})
        cache.cache_notebook_bundle(bundle, check_validity=False, overwrite=True)
    write(index, json.dumps(keys))


def _known(index):
    """What the cache holds by its index; nothing where that is missing or damaged."""
    try:
        return json.loads(index.read_text("utf-8"))
    except (FileNotFoundError, ValueError):
        return {}


def begin(app):
    """Of a build that was cut off trust nothing: Sphinx takes half a page for a whole one."""
    mark = pathlib.Path(app.doctreedir, "unfinished")
    if mark.exists():
        shutil.rmtree(app.doctreedir)
    mark.parent.mkdir(parents=True, exist_ok=True)
    mark.touch()


def end(app, error):
    """The build came to its end."""
    if error is None:
        pathlib.Path(app.doctreedir, "unfinished").unlink(missing_ok=True)


def configure(app, config):
    """Set what depends on the state of the tree or on the environment."""
    folder = ROOT / "_build" / ".jupyter_cache" / "book"
    folder.mkdir(parents=True, exist_ok=True)
    fill(folder)
    config.nb_execution_cache_path = str(folder)
    if DRAFT:
        config.nb_execution_raise_on_error = False
    buttons(config)
    foot(config)


def foot(config):
    """The version, at each page's foot; where several are published, links to the others follow."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    words = f'<p class="version">Version {project["version"]}</p>'
    config.html_theme_options["extra_footer"] += words  # .github/versions.py finds it


def buttons(config):
    """The address of the site, and the buttons that need the repository's, from the environment."""
    if site := os.environ.get("BOOK_URL"):
        config.ogp_site_url = site
    if repository := os.environ.get("BOOK_REPOSITORY", "").removesuffix("/"):
        config.html_theme_options |= {
            "repository_url": repository,
            "repository_branch": os.environ.get("BOOK_BRANCH", "main"),
            "path_to_docs": "",
            "use_repository_button": True,
            "use_issues_button": True,
            "use_edit_page_button": True,
        }


def outdated(app, env, added, changed, removed):
    """Pages to read again although their text is the same: their results are others."""
    before, now = getattr(env, "book_results", {}), {}
    for path in chapters.chapters():
        place = chapters.current(path, draft=DRAFT)
        now[f"book/{chapters.name(path)}"] = (
            str(place),
            chapters.recorded(place) if place else None,
        )
    env.book_results = now
    pages = [page for page, results in now.items() if before.get(page) != results]
    return [*pages, *(["book/scorecard", "book/intro"] if pages else [])]


def add_charts(app, pagename, templatename, context, doctree):
    """Load the vendored Vega bundles, in order, on the pages that hold a chart."""
    if "vegaEmbed" in context.get("body", ""):
        for name in VEGA:
            app.add_js_file(name, priority=300)


def setup(app):
    app.connect("config-inited", configure, priority=100)
    begin(app)
    app.connect("build-finished", end)
    app.connect("env-get-outdated", outdated)
    app.connect("html-page-context", add_charts)
    code = b"".join(path.read_bytes() for path in sorted(HERE.glob("*.py")))
    return {
        "version": "2",
        "env_version": zlib.crc32(code),  # all pages are made anew after a change here
        "parallel_read_safe": True,
        "parallel_write_safe": True,
    }
