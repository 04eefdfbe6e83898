"""One picture a chapter: the directive ``gallery`` of the introduction."""

import base64
import re

import chapters
import scorecard
from docutils import nodes
from docutils.parsers.rst import Directive
from docutils.statemachine import StringList

from twolayer.lab._files import write

FOLDER = chapters.ROOT / "_build" / "gallery"


def picture(notebook):
    """The first figure of an executed page, or the one it opens with: bytes and words."""
    shown = [c for c in notebook.cells if "image" in c.metadata.get("mystnb", {})]
    image = chapters.hero(notebook)
    if image:
        return image, re.search(r"!\[([^\]]+)\]", notebook.cells[0].source)[1]
    first = shown[0]
    data = next(o.data["image/png"] for o in first.outputs if "image/png" in o.get("data", {}))
    return base64.b64decode(data), first.metadata["mystnb"]["image"]["alt"]


def card(path):
    """Title, picture and the bold sentence of a chapter, as a card in Markdown."""
    import nbformat

    place, name = chapters.current(path) or chapters.twin(path), chapters.name(path)
    notebook = nbformat.read(place, 4)
    image, alternative = picture(notebook)
    place = FOLDER / f"{path.stem}.png"
    place.parent.mkdir(parents=True, exist_ok=True)
    write(place, image)
    text = "\n".join(c.source for c in notebook.cells if c.cell_type == "markdown")
    title = re.search(r"^# (.+)$", text, re.M)[1]
    (sentence, *_) = re.findall(r"\*\*([^*]{60,})\*\*", text)
    return [
        f":::{{grid-item-card}} {title}",
        f":img-top: /_build/gallery/{path.stem}.png",
        f":img-alt: {' '.join(alternative.split())}",
        f":link: /book/{name}",
        ":link-type: doc",
        sentence,
        ":::",
    ]


class Gallery(Directive):
    def run(self):
        lines = ["::::{grid} 1 2 2 2", ":gutter: 3", ""]
        for _, group in scorecard.parts(chapters.chapters()):
            for chapter, *_ in group:
                if not chapters.around(chapter):
                    lines += [*card(chapter), ""]
        box = nodes.container(classes=["gallery"])
        self.state.nested_parse(StringList([*lines, "::::"], "gallery"), self.content_offset, box)
        return [box]


def setup(app):
    app.add_directive("gallery", Gallery)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
