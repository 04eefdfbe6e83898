import functools
import http.server
import os
import pathlib
import shutil
import threading

import chapters
import jupytext
import pytest

ROOT = chapters.ROOT
BOOK, HTML = ROOT / "book", ROOT / "_build" / "html"
PAGES = sorted(
    p
    for p in BOOK.rglob("*.md")
    if not any(part.startswith(("_", ".")) for part in p.relative_to(BOOK).parts)
)
COURSE = [
    p for part in ("", "notes", "labs") for p in sorted((ROOT / "course" / part).glob("*.md"))
]
CHAPTERS = chapters.chapters()


def name(path):
    """A page by its path from the folder ``book``, without suffix."""
    return pathlib.Path(os.path.relpath(path, BOOK)).with_suffix("").as_posix()


PRIMERS = [path for path in CHAPTERS if path.stem.endswith("_primer")]  # no claims, no slider
SLIDERS = [p for p in CHAPTERS if not p.stem.endswith("_in_depth") and p not in PRIMERS]


@functools.cache
def source(path):
    """A chapter's cells, as jupytext reads its Markdown."""
    return jupytext.read(path)


@pytest.fixture(scope="session")
def html():
    if not (HTML / "index.html").exists():
        pytest.fail("the book is not built: run `make book` first")
    return HTML


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments):
        pass


@pytest.fixture(scope="session")
def site(html):
    """The built book on a port of this machine."""
    handler = functools.partial(_Quiet, directory=html)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(scope="session")
def chromium():
    found = next(
        filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
    )
    if found is None:
        stop = pytest.fail if os.environ.get("REQUIRE_BROWSER") else pytest.skip
        stop("no Chromium on this machine (Debian: apt-get install chromium)")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=found,
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        yield browser
        browser.close()
