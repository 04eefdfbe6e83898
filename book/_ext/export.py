"""Each chapter as a notebook without markup, from its page as it was built and its executed twin.

Text, numbers and references are the page's, code and outputs the twin's. The notebooks lie in
``_build/notebooks``, and in the site, where the download button gives them; the repository's branch
``notebooks``, which Colab and Binder open, holds the same.
"""

import base64
import json
import mimetypes
import os
import pathlib
import posixpath
import re
import shutil
import urllib.parse

import chapters
import nbformat
from book_machinery import DRAFT
from docutils import nodes
from markupsafe import Markup
from prose import MATH, Prose, plain
from sphinx.errors import SphinxError

from twolayer.lab._files import write

FOLDER, SITE_FOLDER, BRANCH = chapters.ROOT / "_build" / "notebooks", "_notebooks", "notebooks"
TEXTS = chapters.ROOT / "_build" / "course" / "texts.json"
HIDDEN = {"hide-input", "hide-cell"}

ANCHOR = re.compile(r'<a id="([^"]+)"></a>')
INNER = re.compile(r"\]\(((?:[\w./-]+\.ipynb)?)#([^)]+)\)")
LEFTOVERS = {
    "role": r"\{[a-z][\w:.+-]*\}`",
    "directive": r"(`{3,}|~{3,}|:{3,}) *\{",
    "fence": r"^[> ]*:{3,}",
    "option": r"^[> ]*:(label|class|name|tags|width|alt):",
    "label": r"^[> ]*\([\w:.-]+\)=\s*$",
    "equation label": r"\$\$ *\([a-z]+[-:][\w:-]+\)\s*$",
    "cell break": r"^\+\+\+",
    "comment": r"^% ",
    "unresolved reference": r"\?\?|\]\((?:[\w./-]+\.ipynb)?#(?!cell-id=)",
}


def address(variable):
    """The address of the repository or of the site, where it is known; without a slash."""
    return os.environ.get(variable, "").rstrip("/")


def papers(env):
    """Page and anchor of each reference, to where the paper lies."""
    found = {}
    for citation in env.get_domain("cite").citations:
        fields = citation.entry.fields
        text = " ".join(fields.get(name, "") for name in ("eprint", "note", "url"))
        arxiv = re.search(r"\b\d{4}\.\d{4,5}\b|\b[a-z-]+/\d{7}\b", text)
        place = citation.bibliography_key.docname, citation.citation_id
        if "doi" in fields:
            found[place] = f"https://doi.org/{fields['doi']}"
        elif arxiv:
            found[place] = f"https://arxiv.org/abs/{arxiv[0]}"
        elif "url" in fields:
            found[place] = fields["url"]
    return found


class Links:
    """Where the references of a page lead: to papers, published pages, cells or notebooks."""

    def __init__(self, page, pages, papers, site):
        self.page, self.pages, self.papers, self.site = page, pages, papers, site

    def __call__(self, node):
        if any("std-term" in part["classes"] for part in node.findall(nodes.inline)):
            return None
        target = urllib.parse.urljoin(f"/{self.page}.html", node.get("refuri", ""))
        if urllib.parse.urlsplit(target).scheme:
            return target
        path, _, anchor = target.partition("#")
        page, anchor = path[1:].removesuffix(".html"), node.get("refid", anchor)
        if paper := self.papers.get((page, anchor)):
            return paper
        end = f"#{anchor}" if anchor else ""
        if self.site:
            return f"{self.site}/{page}.html{end}"
        if page not in self.pages or page == self.page:
            return end if page == self.page else None
        return posixpath.relpath(page, posixpath.dirname(self.page)) + f".ipynb{end}"


def code_cell(cell):
    """A cell of the twin as readers meet it: folded where the page folds it, except parameters."""
    tags = cell.metadata.get("tags", [])
    fold = HIDDEN.intersection(tags) and "parameters" not in tags
    own = {"jupyter": {"source_hidden": True}, "cellView": "form"} if fold else {}
    kept = {"tags": ["parameters"]} if "parameters" in tags else {}
    new = nbformat.v4.new_code_cell(cell.source, outputs=cell.outputs, metadata=kept | own)
    new.execution_count = cell.execution_count
    return new


def source_of(node):
    """The code that a page shows for a cell."""
    return next(node.findall(nodes.literal_block)).astext()


class Cells(list):
    """The cells of a notebook: a heading begins one, and so does text after code."""

    def __init__(self, images):
        self.images = images

    def add(self, text):
        if not self or self[-1].cell_type == "code" or text.startswith("#"):
            self.append(nbformat.v4.new_markdown_cell(text))
        else:
            self[-1].source += f"\n\n{text}"
        for name in re.findall(r"\(attachment:([^)]+)\)", text):
            data = base64.b64encode(self.images[name].read_bytes()).decode()
            kind = mimetypes.guess_type(name)[0]
            self[-1].setdefault("attachments", {})[name] = {kind: data}


def twin_cells(twin):
    """The code cells that a page shows; a set-up of the twin's own is none of them."""
    code = (cell for cell in twin.cells if cell.cell_type == "code")
    return [cell for cell in code if "remove-cell" not in cell.metadata.get("tags", ())]


def assemble(prose, tree, code, cells, site, repository):
    """Text and code in the page's order; below the title the page's address and an installation."""
    for part in prose.blocks(tree):
        if not isinstance(part, str):
            cell = next(code)
            if source_of(part).strip() != cell.source.strip():
                raise SphinxError(f"the page shows other code than its twin:\n{cell.source}")
            cells.append(code_cell(cell))
            captions = map(prose.caption, part.findall(nodes.figure))
            cells.extend(map(nbformat.v4.new_markdown_cell, captions))
        elif cells:
            cells.add(part)
        else:
            cells.add(f"{part}\n\n[This chapter's page]({site})" if site else part)
            if repository:
                line = f'%pip install -q "twolayer @ git+{repository}"'
                cells.append(nbformat.v4.new_code_cell(line))
    if missing := list(code):
        raise SphinxError(f"the page lacks a cell of its twin:\n{missing[0].source}")
    for index, cell in enumerate(cells):
        cell.id = f"cell-{index:03d}"


class Words(Links):
    """References without links, but to papers and to the published site."""

    def __call__(self, node):
        found = super().__call__(node)
        return found if found and found.startswith("http") else None


def texts(app, page, tree):
    """What the course takes from a page, by label: exercises, equations, figures."""
    words = Words(page, set(), papers(app.env), address("BOOK_URL"))
    prose = Prose(app.env, page, words, lambda uri: uri, anchors=False)
    found = {"exercises": {}, "equations": {}, "figures": {}}
    for node in tree.findall(nodes.Element):
        kind = type(node).__name__
        if kind == "exercise_enumerable_node":
            found["exercises"][node["label"]] = {
                "number": prose.number("exercise", node),
                "title": plain(node[0]).strip("() "),
                "page": plain(next(tree.findall(nodes.title))),
                "statement": text_of(prose, node),
            }
        elif kind == "solution_node":
            found["exercises"][node["target_label"]]["solution"] = text_of(prose, node)
        elif kind == "math_block" and node.get("label"):
            number = prose.number("displaymath", node)
            found["equations"][node["label"]] = {"number": number, "tex": node.astext().strip()}
        elif kind == "figure":
            found["figures"] |= dict.fromkeys(node["ids"], prose.number("figure", node))
    return found


def text_of(prose, node):
    return "\n\n".join(part for part in prose.body(node) if isinstance(part, str))


def notebook(app, page, twin, tree):
    """The notebook of a page, given its executed twin and its resolved text."""
    site, images, code = address("BOOK_URL"), {}, twin_cells(twin)
    pages = {f"book/{chapters.name(path)}" for path in chapters.chapters()}

    def image(uri):
        path = pathlib.Path(app.srcdir, uri)
        images[path.name] = path
        return f"attachment:{path.name}"

    links = Links(page, pages, papers(app.env), site)
    prose, cells = Prose(app.env, page, links, image, anchors=not site), Cells(images)
    at = site and f"{site}/{page}.html"
    assemble(prose, tree, iter(code), cells, at, address("BOOK_REPOSITORY"))
    metadata = {"kernelspec": dict(twin.metadata.kernelspec), "language_info": {"name": "python"}}
    return nbformat.v4.new_notebook(cells=list(cells), metadata=metadata)


def labels(env):
    """What sources call equations, figures and papers: none of it stands in a text for readers."""
    known = {citation.key for citation in env.get_domain("cite").citations}
    known |= {*env.get_domain("std").anonlabels, *env.get_domain("math").equations}
    return {label for label in known if re.search(r"[-\d]", label)}


def leftovers(notebook, names=frozenset()):
    """What is left of the source's markup in the text of a notebook: (cell, kind, words)."""
    for index, cell in enumerate(notebook.cells):
        if cell.cell_type != "markdown":
            continue
        found = [
            (kind, match[0].strip())
            for kind, pattern in LEFTOVERS.items()
            for match in re.finditer(pattern, cell.source, re.M)
        ]
        text = re.sub(r"\]\([^)]*\)|<a id=[^>]*>", " ", MATH.sub(" ", cell.source))
        found += [("label", word) for word in re.findall(r"[\w:-]+", text) if word in names]
        yield from ((index, *fault) for fault in found)


def lead_to_cells(notebooks):
    """Let links to anchors lead to the cells that hold them, in JupyterLab; drop the anchors."""
    places = {}
    for page, notebook in notebooks.items():
        for cell in notebook.cells:
            if cell.cell_type == "markdown":
                places |= {(page, anchor): cell.id for anchor in ANCHOR.findall(cell.source)}
                cell.source = ANCHOR.sub("", cell.source)

    def lead(page, found):
        file, anchor = found.groups()
        other = posixpath.normpath(posixpath.join(posixpath.dirname(page), file))
        cell = places.get((other.removesuffix(".ipynb") if file else page, anchor))
        return f"]({file}#cell-id={cell})" if cell else found[0]

    for page, notebook in notebooks.items():
        for cell in notebook.cells:
            if cell.cell_type == "markdown":
                cell.source = INNER.sub(lambda found, page=page: lead(page, found), cell.source)


def finish(app, error):
    """Write the notebooks beside the built pages; fail on what readers could not read."""
    if error or app.builder.name != "html":
        return
    shutil.rmtree(FOLDER, ignore_errors=True)
    notebooks, faults, names = {}, [], labels(app.env)
    course = {"exercises": {}, "equations": {}, "figures": {}}
    for path in chapters.chapters():
        name, place = chapters.name(path), chapters.current(path, draft=DRAFT)
        if place is None or f"book/{name}" not in app.env.found_docs:
            continue
        page = f"book/{name}"
        tree = app.env.get_and_resolve_doctree(page, app.builder)
        notebooks[name] = notebook(app, page, nbformat.read(place, 4), tree)
        for kind, by_label in texts(app, page, tree).items():
            course[kind] |= by_label
    lead_to_cells(notebooks)
    for name, new in notebooks.items():
        for cell, kind, words in leftovers(new, names):
            faults.append(f"{name}.ipynb, cell {cell}: {kind} {words!r}")
        file = FOLDER / f"{name}.ipynb"
        file.parent.mkdir(parents=True, exist_ok=True)
        write(file, nbformat.writes(new) + "\n")
    if repository := address("BOOK_REPOSITORY"):  # what Binder installs
        (FOLDER / "requirements.txt").write_text(f"twolayer @ git+{repository}\n", "utf-8")
        (FOLDER / "runtime.txt").write_text("python-3.11\n", "utf-8")
    TEXTS.parent.mkdir(parents=True, exist_ok=True)
    write(TEXTS, json.dumps(course, indent=1))
    if faults:
        raise SphinxError("markup is left in exported notebooks:\n" + "\n".join(faults))
    shutil.rmtree(site := pathlib.Path(app.outdir, SITE_FOLDER), ignore_errors=True)
    if FOLDER.exists():
        shutil.copytree(FOLDER, site)


def launches(repository, name):
    """Buttons that open a chapter's notebook where it can be run."""
    path = urllib.parse.urlsplit(repository).path
    colab, binder = "https://colab.research.google.com/github", "https://mybinder.org/v2/gh"
    places = {
        "Colab": (f"{colab}{path}/blob/{BRANCH}/{name}.ipynb", "logo_colab.png"),
        "Binder": (f"{binder}{path}/{BRANCH}?urlpath=lab/tree/{name}.ipynb", "logo_binder.svg"),
    }
    return [
        {
            "type": "link",
            "text": place,
            "tooltip": f"Run on {place}",
            "icon": f"_static/images/{logo}",
            "url": url,
        }
        for place, (url, logo) in places.items()
    ]


def add_buttons(app, pagename, templatename, context, doctree):
    """On a chapter's page: its notebook to download and, with an address, where to run it."""
    name = pagename.removeprefix("book/")
    if name not in map(chapters.name, chapters.chapters()):
        return
    buttons = context["header_buttons"]
    menu = next(group for group in buttons if group.get("label") == "download-buttons")
    url = context["pathto"](f"{SITE_FOLDER}/{name}.ipynb", 1)
    file = posixpath.basename(f"{name}.ipynb")
    notebook = {
        "type": "link",
        "text": ".ipynb",
        "tooltip": "Download the notebook",
        "icon": "fas fa-code",
        "label": "download-notebook-button",
        "url": Markup('{}" download="{}').format(url, file),  # the theme has no place for it
    }
    menu["buttons"].insert(0, notebook)
    repository = address("BOOK_REPOSITORY")
    if repository.startswith("https://github.com/"):
        group = {
            "type": "group",
            "tooltip": "Run this chapter",
            "icon": "fas fa-rocket",
            "label": "launch-buttons",
            "buttons": launches(repository, name),
        }
        buttons.insert(0, group)


def setup(app):
    app.connect("html-page-context", add_buttons, priority=600)  # after the theme's own
    app.connect("build-finished", finish)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
