import functools
import os
import pathlib

import chapters
import jupytext

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


AROUND = [path for path in CHAPTERS if chapters.around(path)]  # of the whole book
PRIMERS = [path for path in CHAPTERS if path.stem.endswith("_primer")]  # no claims, no slider
SLIDERS = [p for p in CHAPTERS if not p.stem.endswith("_in_depth") and p not in PRIMERS + AROUND]


@functools.cache
def source(path):
    """A chapter's cells, as jupytext reads its Markdown."""
    return jupytext.read(path)
