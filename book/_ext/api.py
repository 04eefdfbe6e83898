"""The API page begins with all names; names of the library in the text are links to it."""

import importlib
import re

from docutils import nodes
from sphinx.util.nodes import make_refnode

PAGE = "book/api"
PLACE = "```{names}\n```\n"


def listing(source):
    """A Markdown list: a module a line, its public names as links to their entries below."""
    lines = []
    for module in re.findall(r"automodule:: (\S+)", source):
        names = [n for n in importlib.import_module(module).__all__ if not n.isupper()]
        links = ", ".join(f"{{py:obj}}`~{module}.{name}`" for name in names)
        lines.append(f"- {{py:mod}}`{module.removeprefix('twolayer.')} <{module}>`: {links}\n")
    return "".join(lines)


def place(app, docname, source):
    if docname == PAGE:
        source[0] = source[0].replace(PLACE, listing(source[0]))


def unambiguous(objects):
    """Entries by full name and, where only one has it and it is no plain word, by last name."""
    found = dict(objects)
    for name, entry in objects.items():
        last = name.rpartition(".")[2]
        if "_" in last or last != last.lower():
            found[last] = None if last in found else entry
    return found


def link_names(app, doctree, docname):
    """Turn code in the text that is a name of the library into a link."""
    known = unambiguous(app.env.get_domain("py").objects)
    for code in list(doctree.findall(nodes.literal)):
        entry = known.get(code.astext().removesuffix("()"))
        if entry and docname != PAGE and isinstance(code.parent, nodes.paragraph):
            link = make_refnode(app.builder, docname, PAGE, entry.node_id, code.deepcopy())
            code.parent.replace(code, link)


def setup(app):
    app.connect("source-read", place)
    app.connect("doctree-resolved", link_names)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
