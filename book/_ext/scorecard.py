"""Every claim of the book with what was predicted and measured: ``make scorecard``.

Prints one tab-separated line a claim and a summary; exits with 1 where one does not hold, a chapter
has no table, or its results are older than the code that made them.
"""

import os
import sys

import yaml
from chapters import ROOT, chapters, name, stale, twin

from twolayer.lab.claims import number, read

CONTENTS = ROOT / "_toc.yml"
HEAD = (
    "chapter",
    "claim",
    "source",
    "predicted",
    "measured",
    "standard error",
    "tolerance",
    "holds",
)


def parts(sources):
    """Captions of the parts, each with its chapters among `sources`, in the order of the contents.

    A chapter is a list of pages: its own, and the sections under it.
    """
    for part in yaml.safe_load(CONTENTS.read_text("utf-8"))["parts"]:
        found = []
        for chapter in part["chapters"]:
            files = [e["file"] for e in (chapter, *chapter.get("sections", ()))]
            found.append([p for p in (ROOT / f"{file}.md" for file in files) if p in sources])
        if any(found):
            yield part["caption"], [pages for pages in found if pages]


def ordered(sources):
    """The sources in the order of the contents; what is not in them comes last."""
    known = [page for _, group in parts(sources) for pages in group for page in pages]
    return known + [page for page in sources if page not in known]


def lines(chapter, rows):
    """The claims of a chapter as lines."""
    for row in rows:
        measured, error, tolerance = (
            number(row[k]) for k in ("measured", "standard_error", "tolerance")
        )
        predicted = f"{row['relation']} {number(row['predicted'])}"
        holds = "yes" if row["holds"] else "no"
        cells = (row["claim"], row["source"], predicted, measured, error, tolerance, holds)
        yield "\t".join((chapter, *(" ".join(cell.split()) for cell in cells)))


def claiming(sources):
    """Those that end in a table of claims; a primer has none."""
    return [path for path in sources if "claims.verify()" in path.read_text("utf-8")]


def main(sources, old):
    """Print the claims of the chapters that are not among the `old`; 1 if anything is amiss."""
    sources = claiming(sources)
    tables = {path: read(twin(path)) for path in sources if path not in old}
    print("\t".join(HEAD))
    for path, rows in tables.items():
        for line in lines(name(path), rows):
            print(line)
    held = sum(row["holds"] for rows in tables.values() for row in rows)
    total = sum(map(len, tables.values()))
    print(f"{held} of {total} claims hold, in {len(tables)} of {len(sources)} chapters")
    sys.stdout.flush()
    for line in old.values():
        print(line, file=sys.stderr)
    for path, rows in tables.items():
        if not rows:
            print(f"{name(path)}: no claim table", file=sys.stderr)
    return int(bool(old) or not tables or not all(tables.values()) or held < total)


if __name__ == "__main__":
    try:
        code = main(ordered(chapters()), stale())
    except BrokenPipeError:  # as under `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    sys.exit(code)
