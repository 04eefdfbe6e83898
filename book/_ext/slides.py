"""Slides for the lectures, from ``course/decks``: offline HTML and PDF, both with speaker notes.

A deck is Markdown, a heading a slide. ``@fig-label`` and ``@hero chapter`` pull a chapter's figure,
drawn anew at the size of a slide, so that its text is large; ``@eq-label`` pulls an equation.
"""

import base64
import functools
import json
import logging
import re
import shutil
import struct

import chapters
import jupytext
import nbformat
import notebooks
from assignments import OUT, texts
from exercises import needed, statements

from twolayer.lab._files import write

DECKS, SOURCE = chapters.ROOT / "course" / "decks", OUT / "decks"
SLIDES, PDF = OUT / "slides", OUT / "slides_pdf"
# inches of a figure, and how many pixels of a slide show one of its own (200 an inch): text of
# 9.5 points is shown with 24 pixels, which is 18 points on a slide of 1280 pixels
WIDTH, HEIGHT, SHOWN = 6.6, 3.2, 0.92
PULL = re.compile(r"^@(?:(hero) (\w+)|(fig-[\w-]+)|(eq-[\w-]+))$", re.M)
SMALL = f"""
import matplotlib.pyplot as _plt
_drawn = _plt.subplots
def _subplots(*rows, figsize=(7.4, 4.0), **more):
    factor = {WIDTH} / 7.4
    size = figsize[0] * factor, min(figsize[1] * factor, {HEIGHT})
    return _drawn(*rows, figsize=size, **more)
_plt.subplots = _subplots
"""
SETTINGS = {
    "project": "Learning Features by Gradient Descent",
    "extensions": ["myst_parser", "sphinx.ext.mathjax", "sphinx_revealjs"],
    "myst_enable_extensions": ["dollarmath", "colon_fence"],
    "myst_dmath_double_inline": True,
    "suppress_warnings": ["myst.header"],
    "highlight_language": "none",
    "smartquotes": False,
    "html_scaled_image_link": False,
    "mathjax_path": "mathjax/tex-svg.js",
    "revealjs_static_path": ["_static"],
    "revealjs_css_files": ["slides.css"],
    "revealjs_style_theme": "white",
    "revealjs_script_plugins": [{"name": "RevealNotes", "src": "revealjs/plugin/notes/notes.js"}],
    "revealjs_script_conf": {
        "width": 1280,
        "height": 720,
        "margin": 0,
        "center": False,
        "controls": False,  # they lie over the figures; keys, swipes and the overview move on
        "hash": True,
        "slideNumber": "c",
        "transition": "none",
        "showNotes": False,
        "pdfMaxPagesPerSlide": 1,  # pages are laid out before formulas are set, which need less
    },
}


def decks():
    return sorted(DECKS.glob("*.md"))


@functools.cache
def _pages():
    """The page on which each figure is drawn, by its label."""
    found = {}
    for path in chapters.chapters():
        for label in re.findall(r"name: (fig-[\w-]+)", path.read_text("utf-8")):
            found[label] = path
    return found


def wanted():
    """The pages whose figures the decks show, each with the labels; a hero by its page's name."""
    found = {}
    for deck in decks():
        for _, hero, figure, _ in PULL.findall(deck.read_text("utf-8")):
            if hero:
                (path,) = (p for p in chapters.chapters() if p.stem == hero)
                found.setdefault(path, set()).add(f"hero-{hero}")
            elif figure:
                found.setdefault(_pages()[figure], set()).add(figure)
    return found


def label_of(cell, path):
    """What a deck calls the figure of a cell; None where it has none."""
    name = cell.metadata.get("mystnb", {}).get("figure", {}).get("name")
    hero = "hero" in cell.metadata.get("tags", ())
    return name or (f"hero-{path.stem}" if hero else None)


def drawing(path, labels):
    """The cells that draw the figures of a page, and those on which they rest."""
    cells = [cell for cell in jupytext.read(path).cells if cell.cell_type == "code"]
    lines = [(k, s) for k, cell in enumerate(cells) for s in statements([cell.source])]
    kept = {k for k, cell in enumerate(cells) if label_of(cell, path) in labels}
    before, grown = [s for _, s in lines], None
    while grown != kept:  # whole cells: each may need more than its statement that is wanted
        grown, places = set(kept), {s: k for k, s in lines}
        for k in grown:
            first = next(n for n, (place, _) in enumerate(lines) if place == k)
            uses = set().union(*(s.uses for place, s in lines if place == k))
            kept |= {places[s] for s in needed(uses, before[:first])}
    return [cells[k] for k in sorted(kept)]


def draw(path, labels, folder, prelude=SMALL):
    """Run what draws the figures of a page that are wanted; keep them, with their alt text."""
    cells = [nbformat.v4.new_code_cell(prelude), *drawing(path, labels)]
    notebook = nbformat.v4.new_notebook(cells=cells, metadata=jupytext.read(path).metadata)
    notebooks.run_cells(notebook, path, folder / "sweeps")
    folder.mkdir(parents=True, exist_ok=True)
    for cell in notebook.cells[1:]:
        label = label_of(cell, path)
        if label not in labels:
            continue
        shown = (o["data"] for o in cell.outputs if "data" in o)
        image = next(data["image/png"] for data in shown if "image/png" in data)
        write(folder / f"{label}.png", base64.b64decode(image))
        alt = cell.metadata.get("mystnb", {}).get("image", {}).get("alt") or hero_text(path)
        write(folder / f"{label}.json", json.dumps(" ".join(alt.split())))


def hero_text(path):
    """The alt text of the picture that opens a page."""
    return re.search(r"^!\[([^\]]+)\]\(\.\./figures/", path.read_text("utf-8"), re.M)[1]


def expanded(text):
    """A deck with its figures and equations in it."""
    known = texts()

    def pull(found):
        _, hero, figure, equation = found.groups()
        if equation:
            return equation_lines(**known["equations"][equation])
        label = figure or f"hero-{hero}"
        return figure_lines(label, known["figures"].get(label))

    return PULL.sub(pull, text).replace(":::{notes}", ":::{revealjs-notes}")


def equation_lines(number, tex):
    """An equation with its number in the book."""
    if r"\\" in re.sub(r"\\begin\{(\w+\*?)\}.*?\\end\{\1\}", "", tex, flags=re.S):
        tex = f"\\begin{{split}}\n{tex}\n\\end{{split}}"
    body = f"\\begin{{equation}}\n{tex}\n\\tag{{{number}}}\n\\end{{equation}}"
    return f"```{{math}}\n:nowrap:\n\n{body}\n```"


def figure_lines(label, number):
    """A figure that can be read from the last row, and its number in the book."""
    image = SOURCE / "figures" / f"{label}.png"
    alt = json.loads(image.with_suffix(".json").read_text("utf-8"))
    width, _ = struct.unpack(">II", image.read_bytes()[16:24])
    lines = [f"```{{image}} figures/{label}.png", f":alt: {alt}", ":class: figure"]
    lines += [f":width: {round(width * SHOWN)}px", "```"]
    if number:
        lines += ["", "```{container} number", f"Figure {number}", "```"]
    return "\n".join(lines)


def write_sources():
    for file in SOURCE.glob("*.md"):
        file.unlink()
    for deck in decks():
        text = expanded(deck.read_text("utf-8"))
        write(SOURCE / deck.name, f"---\norphan: true\n---\n{text}")
    names = "\n".join(f"- [{title(deck)}]({deck.stem}.md)" for deck in decks())
    write(SOURCE / "index.md", f"# Slides\n\n## Lectures\n\n{names}\n")
    static = SOURCE / "_static"
    shutil.copytree(chapters.ROOT / "book/_static/mathjax", static / "mathjax", dirs_exist_ok=True)
    shutil.copy(DECKS / "slides.css", static)


def title(deck):
    return re.match(r"# (.+)", deck.read_text("utf-8"))[1]


def build():
    """All decks as HTML that needs no network."""
    from sphinx.application import Sphinx
    from sphinx.util.docutils import docutils_namespace

    write_sources()
    logging.getLogger("sphinx").setLevel(logging.WARNING)
    with docutils_namespace():
        app = Sphinx(
            SOURCE,
            None,
            SLIDES,
            OUT / "doctrees",
            "revealjs",
            SETTINGS,
            status=None,
            warningiserror=True,
            keep_going=True,
        )
        app.build()
    if app.statuscode:
        raise SystemExit("the slides have warnings")


def print_deck(name):
    """A deck as PDF, a page a slide, each followed by its notes."""
    import pypdf
    from pdf import SET, chromium

    PDF.mkdir(parents=True, exist_ok=True)
    with chromium() as browser:
        page = browser.new_page(viewport={"width": 1280, "height": 720})
        page.route(re.compile("^https?:"), lambda route: route.abort())
        page.goto((SLIDES / f"{name}.html").as_uri() + "?print-pdf&showNotes=separate-page")
        page.wait_for_selector(".pdf-page")
        page.evaluate(SET)
        page.pdf(path=PDF / f"{name}.pdf", prefer_css_page_size=True, print_background=True)
    writer = pypdf.PdfWriter(clone_from=PDF / f"{name}.pdf")
    writer.metadata = {"/Title": title(DECKS / f"{name}.md")}
    writer.write(PDF / f"{name}.pdf")
