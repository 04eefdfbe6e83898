"""Notation: the page of the whole book and a folded table in each chapter, from `notation.yml`.

A page gets its table where it says ```{notation}```; a chapter that does not say it gets it at the
end of "The setting". NAME and NAME_in_depth are pages of one chapter.
"""

import functools
import re

import chapters
import yaml

SOURCE = chapters.ROOT / "book" / "notation.yml"
PAGE = "book/notation"
PLACE = "```{notation}\n```\n"
SETTING = re.compile(r"^## The setting\n.*?(?=^(?:\(\S+\)=\n+)?## )", re.M | re.S)


def groups():
    """The source: groups of symbols, each with the chapters in which they hold."""
    return _parsed(SOURCE.read_text("utf-8"))


@functools.cache
def _parsed(text):
    return yaml.safe_load(text)


def symbols(row):
    """The symbols of a row, without what they are equal to."""
    return {symbol.partition("=")[0].strip("$") for symbol in re.split("[,;] ", row["symbol"])}


def local(chapter):
    """The rows that hold in a chapter and not in all."""
    return [row for g in groups() if chapter in g["chapters"] for row in g["symbols"]]


def common():
    """The rows that hold in all chapters, where a chapter has no other meaning for the symbol."""
    return [row for g in groups() if g["chapters"] == "all" for row in g["symbols"]]


def of(chapter):
    """All rows of a chapter."""
    own = local(chapter)
    taken = set().union(*map(symbols, own))
    return [row for row in common() if not symbols(row) & taken] + own


def table(rows, papers=()):
    """Rows as a Markdown table, with the symbols of some papers."""
    lines = [["symbol", "meaning", "in code", *(f"{{cite:t}}`{paper}`" for paper in papers)]]
    lines.append(["---"] * len(lines[0]))
    for row in rows:
        code = re.sub(r"([\w.]+)", r"`\1`", row.get("code", ""))
        lines.append([row["symbol"], row["meaning"], code, *(row.get(p, "") for p in papers)])
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def title(chapter):
    text = (chapters.ROOT / "book" / f"{chapter}.md").read_text("utf-8")
    return re.search(r"^# (.+)$", text, re.M)[1]


def whole():
    """The tables of the page: what holds everywhere, then chapter by chapter."""
    parts = []
    for group in groups():
        if group["chapters"] == "all":
            head, rows = "In every chapter", common()
        elif len(group["chapters"]) == 1:  # these stand in the order of the book
            (chapter,) = group["chapters"]
            head, rows = f"[{title(chapter)}]({chapter}.md)", local(chapter)
        else:
            continue
        text = table(rows, group.get("papers", ()))
        parts.append(f"## {head}\n\n:::{{container}} notation\n{text}:::\n")
    return "\n".join(parts)


def folded(rows):
    head = ":::{admonition} Notation of this chapter\n:class: dropdown notation\n"
    return f"{head}\n{table(rows)}:::\n\n"


def place(app, docname, source):
    """Put its table into a page's source."""
    chapter = docname.removeprefix("book/").removesuffix("_in_depth")
    if docname == PAGE:
        text = whole()
    elif rows := local(chapter) and of(chapter):
        text = folded(rows)
    else:
        return
    app.env.note_dependency(str(SOURCE))
    if PLACE not in source[0]:
        setting = SETTING.search(source[0])
        end = setting.end() if setting else len(source[0])
        source[0] = f"{source[0][:end]}\n{PLACE}\n{source[0][end:]}"
    source[0] = source[0].replace(PLACE, text)


def setup(app):
    app.connect("source-read", place)
    app.add_css_file("notation.css")
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
