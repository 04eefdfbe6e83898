"""One picture a chapter: the directive ``gallery`` of the introduction."""

import base64
import re

import chapters
from docutils import nodes
from docutils.parsers.rst import Directive
from docutils.statemachine import StringList

FOLDER = chapters.ROOT / "_build" / "gallery"


def order():
    """Chapters as the table of contents has them; pages behind a chapter are none."""
    toc = (chapters.ROOT / "_toc.yml").read_text("utf-8")
    sources = {f"book/{chapters.name(path)}": path for path in chapters.chapters()}
    listed = re.findall(r"file: (\S+)", toc)
    return [sources[file] for file in listed if file in sources and not file.endswith("_in_depth")]


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

    notebook, name = nbformat.read(chapters.twin(path), 4), chapters.name(path)
    image, alternative = picture(notebook)
    place = FOLDER / f"{path.stem}.png"
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(image)
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
        for path in order():
            lines += [*card(path), ""]
        box = nodes.container(classes=["gallery"])
        self.state.nested_parse(StringList([*lines, "::::"], "gallery"), self.content_offset, box)
        return [box]


def setup(app):
    app.add_directive("gallery", Gallery)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
