"""Exported notebooks: text without markup, numbers of the page, code and outputs of the twin."""

import collections
import re
import shutil
import subprocess
import sys
import types
import zipfile

import chapters
import export
import nbformat
import pytest
import yaml
from docutils.core import publish_doctree
from nbclient import NotebookClient
from papermill.iorw import load_notebook_node
from papermill.parameterize import parameterize_notebook
from prose import MATH, Prose
from sphinx.errors import SphinxError

from .conftest import AROUND, CHAPTERS, HTML, PRIMERS, ROOT, name, source

each_chapter = pytest.mark.parametrize("path", CHAPTERS, ids=name)


def exported(path):
    return nbformat.read(HTML / export.SITE_FOLDER / f"{name(path)}.ipynb", 4)


def prose(notebook):
    return "\n\n".join(c.source for c in notebook.cells if c.cell_type == "markdown")


def formulas(text):
    """Displayed and inline formulas, each without what an export adds."""
    found = [match.strip("$") for match in MATH.findall(text)]
    added = r"\\tag\{[\d.]+\}|\\(begin|end)\{split\}|^> ?"
    return [re.sub(r"\s+", "", re.sub(added, "", formula, flags=re.M)) for formula in found]


@pytest.mark.built
@each_chapter
def test_code_and_outputs_are_those_of_the_twin(html, path):
    notebook = exported(path)
    nbformat.validate(notebook)
    twin = nbformat.read(chapters.current(path), 4)
    keys = ("source", "outputs", "execution_count")
    code = [[c[k] for k in keys] for c in notebook.cells if c.cell_type == "code"]
    code = [cell for cell in code if not cell[0].startswith("%pip")]
    assert code == [[c[k] for k in keys] for c in export.twin_cells(twin)]
    sizes = sum("parameters" in c.metadata.get("tags", ()) for c in notebook.cells)
    assert sizes == (path not in PRIMERS)
    assert notebook.cells[0].source.startswith("# ")


@pytest.mark.built
@each_chapter
def test_no_markup_is_left_and_every_formula_is_there(html, path):
    notebook, cells = exported(path), source(path).cells
    assert list(export.leftovers(notebook)) == []
    captions = [c.metadata.get("mystnb", {}).get("figure", {}).get("caption", "") for c in cells]
    text = "\n\n".join([*(c.source for c in cells if c.cell_type == "markdown"), *captions])
    text = re.sub(r"`[^`\n]+`", "", text)
    here, there = (collections.Counter(formulas(t)) for t in (prose(notebook), text))
    assert there - here == collections.Counter()


@pytest.mark.built
@each_chapter
def test_numbers_are_those_of_the_page(html, path):
    page = (html / "book" / f"{name(path)}.html").read_text("utf-8")
    text = prose(exported(path))
    eqno = re.findall(r'class="eqno">\(([\d.]+)\)?', page)
    assert re.findall(r"\\tag\{([\d.]+)\}", text) == eqno
    captions = re.findall(r'class="caption-number">([A-Z][a-z]+\.? [\d.]+) ?<', page)
    captions = [c.replace("Fig.", "Figure") for c in captions if not c.startswith("Proof")]
    words = re.findall(r"^(?:> )?\*\*([A-Z][a-z]+ [\d.]*\d)\.?\*\*", text, re.M)
    assert words == captions
    if path in AROUND:
        assert "section-number" not in page.partition("</h1>")[0].partition("<h1>")[2]
        return
    heading = re.search(r'<h1><span class="section-number">([\d.]+) ?</span>', page)[1]
    assert text.startswith(f"# {heading} ")


@pytest.mark.parametrize(
    ("left", "kind"),
    [
        ("See {eq}`eq-risk`.", "role"),
        ("See {cite:t}`ba2022`.", "role"),
        ("By {prf:ref}`thm-outlier`.", "role"),
        (":::{admonition} Note", "directive"),
        ("```{margin}", "directive"),
        ("Words\n:::", "fence"),
        ("> :::", "fence"),
        (":label: ex-one", "option"),
        ("(sec-here)=\n# Here", "label"),
        ("$$\nx\n$$ (eq-x)", "equation label"),
        ("+++", "cell break"),
        ("% a note", "comment"),
        ("Fig. ??", "unresolved reference"),
        ("As in ba2022 and before", "label"),
    ],
)
def test_the_audit_sees_leftovers(left, kind):
    cells = [nbformat.v4.new_markdown_cell(text) for text in ("Fine.", left)]
    found = list(export.leftovers(nbformat.v4.new_notebook(cells=cells), {"ba2022"}))
    assert (1, kind) in [fault[:2] for fault in found]


def test_the_audit_leaves_readable_text_alone():
    text = (
        "A set $\\{x\\}$, 3 % of [Ba (2022)](https://example.org/ba2022) <a id='ba2022'></a>\n\n"
        "> $$ (a-b)^2 \\tag{1.2} $$\n\n```python\nx = {1: 'a'}\n```"
    )
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell(text)])
    assert list(export.leftovers(notebook, {"ba2022"})) == []


def test_leftovers_fail_the_build_and_name_the_place(monkeypatch, tmp_path):
    cell = nbformat.v4.new_markdown_cell("By {eq}`eq-x`")
    new = nbformat.v4.new_notebook(cells=[cell])
    monkeypatch.setattr(export, "FOLDER", tmp_path / "notebooks")
    monkeypatch.setattr(export, "notebook", lambda app, page, twin, tree: new)
    monkeypatch.setattr(export, "texts", lambda app, page, tree: {})
    monkeypatch.setattr(export, "TEXTS", tmp_path / "course" / "texts.json")
    monkeypatch.setattr(export, "labels", lambda env: set())
    monkeypatch.setattr(chapters, "current", lambda path, draft: chapters.twin(path))
    pages = {f"book/{name(CHAPTERS[0])}"}
    app = types.SimpleNamespace(
        builder=types.SimpleNamespace(name="html"),
        env=types.SimpleNamespace(
            found_docs=pages, get_and_resolve_doctree=lambda page, builder: None
        ),
        outdir=tmp_path,
    )
    words = re.escape(f"{name(CHAPTERS[0])}.ipynb, cell 0: role '{{eq}}`'")
    with pytest.raises(SphinxError, match=words):
        export.finish(app, None)
    assert not (tmp_path / export.SITE_FOLDER).exists()
    cell.source = "By (1.1)"
    export.finish(app, None)
    assert len(list((tmp_path / export.SITE_FOLDER).rglob("*.ipynb"))) == 1


def reference(text="", **attributes):
    from docutils import nodes

    inline = nodes.inline("", text, classes=attributes.pop("classes", []))
    return nodes.reference("", "", inline, **attributes)


@pytest.mark.parametrize(
    ("node", "offline", "published"),
    [
        ({"refid": "equation-eq-x"}, "#equation-eq-x", "s/book/a/one.html#equation-eq-x"),
        ({"refuri": "two.html#fig"}, "two.ipynb#fig", "s/book/a/two.html#fig"),
        ({"refuri": "../b/three.html"}, "../b/three.ipynb", "s/book/b/three.html"),
        ({"refuri": "../notation.html"}, None, "s/book/notation.html"),
        ({"refuri": "../references.html#id1"}, "https://doi.org/x", "https://doi.org/x"),
        ({"refuri": "https://example.org/"}, "https://example.org/", "https://example.org/"),
        ({"refuri": "../glossary.html#term", "classes": ["std-term"]}, None, None),
    ],
)
def test_references_lead_to_pages_cells_notebooks_and_papers(node, offline, published):
    pages = {"book/a/one", "book/a/two", "book/b/three"}
    papers = {("book/references", "id1"): "https://doi.org/x"}
    for site, want in (("", offline), ("s", published)):
        assert export.Links("book/a/one", pages, papers, site)(reference(**node)) == want


@pytest.mark.built
def test_links_between_notebooks_lead_to_cells_that_are_there(html):
    notebooks = {path.with_suffix(".ipynb"): exported(path) for path in CHAPTERS}
    ids = {path: {cell.id for cell in notebook.cells} for path, notebook in notebooks.items()}
    count = 0
    for path, notebook in notebooks.items():
        for file, cell in re.findall(
            r"\]\(([\w./]*\.ipynb|)(?:#cell-id=([^)]*))?\)", prose(notebook)
        ):
            other = (path.parent / file).resolve() if file else path
            assert not cell or cell in ids[other], (path, file, cell)
            assert other in ids
            count += bool(cell)
    assert count > 100


def test_anchors_become_the_cells_that_hold_them():
    texts = {"a/one": ['(1) <a id="x"></a>', "[(1)](#x), [2](../b/two.ipynb#y)"]}
    texts["b/two"] = ['# <a id="y"></a>Two, [lost](#z)']
    notebooks = {}
    for page, cells in texts.items():
        cells = [nbformat.v4.new_markdown_cell(text, id=f"c{i}") for i, text in enumerate(cells)]
        notebooks[page] = nbformat.v4.new_notebook(cells=cells)
    export.lead_to_cells(notebooks)
    assert (
        notebooks["a/one"].cells[1].source == "[(1)](#cell-id=c0), [2](../b/two.ipynb#cell-id=c0)"
    )
    assert notebooks["b/two"].cells[0].source == "# Two, [lost](#z)"
    assert [fault[1] for fault in export.leftovers(notebooks["b/two"])] == ["unresolved reference"]


REST = r"""
Words with ``a`b``, 2*3*4, a_b and _c.

.. image:: figures/cat.png
   :alt: A cat

=====  ========================
a      b
=====  ========================
a|b    :math:`|x|`, :math:`\|x\|`
=====  ========================

.. note::

   First

   .. math:: x +
      y

1. one

   more
2. two
"""


def plainly(text, anchors=False):
    env = types.SimpleNamespace(toc_fignumbers={}, toc_secnumbers={"page": {}})
    links = Prose(
        env, "page", lambda node: None, lambda uri: f"attachment:{uri[8:]}", anchors=anchors
    )
    tree = publish_doctree(text)
    for block in tree.findall(lambda node: node.tagname == "math_block"):
        block["nowrap"] = False
    return "\n\n".join(links.blocks(tree))


def test_text_becomes_markdown():
    text = plainly(REST)
    assert r"Words with `` a`b ``, 2\*3\*4, a_b and \_c." in text
    assert "![A cat](attachment:cat.png)" in text
    assert "| a | b |\n| --- | --- |\n| a\\|b | $\\vert x\\vert $, $\\Vert x\\Vert $ |" in text
    assert "> First\n>\n> $$ x + y $$" in text  # on one line: marks would stand in the formula
    assert "1. one\n\n   more\n2. two" in text


def test_below_the_title_stand_the_page_and_the_installation(tmp_path):
    (tmp_path / "cat.png").write_bytes(b"image")
    prose = types.SimpleNamespace(blocks=lambda tree: ["# Title", "![A cat](attachment:cat.png)"])
    for site, repository in [("", ""), ("https://example.org/page.html", "https://example.org/a")]:
        cells = export.Cells({"cat.png": tmp_path / "cat.png"})
        export.assemble(prose, None, iter(()), cells, site, repository)
        assert ("page](https://example.org/page.html)" in cells[0].source) == bool(site)
        installs = [cell.source for cell in cells if cell.cell_type == "code"]
        line = f'%pip install -q "twolayer @ git+{repository}"'
        assert installs == ([line] if repository else [])
        assert cells[-1].attachments == {"cat.png": {"image/png": "aW1hZ2U="}}


@pytest.mark.built
@pytest.mark.parametrize("path", [p for p in CHAPTERS if p not in PRIMERS], ids=name)
def test_papermill_sets_the_parameters_of_an_exported_notebook(html, path):
    place = HTML / export.SITE_FOLDER / f"{name(path)}.ipynb"
    notebook = parameterize_notebook(load_notebook_node(str(place)), {"SEEDS": 3})
    tags = [cell.metadata.get("tags") for cell in notebook.cells]
    place = tags.index(["injected-parameters"])
    assert tags[place - 1] == ["parameters"]
    assert "SEEDS = 3" in notebook.cells[place].source


@pytest.mark.built
@pytest.mark.slow
def test_an_exported_notebook_runs_as_far_as_its_first_figure(html, tmp_path, monkeypatch):
    monkeypatch.delenv("MPLBACKEND", raising=False)  # the kernel shows figures
    notebook = exported(ROOT / "book/first_step/one_step.md")
    figure = next(i for i, c in enumerate(notebook.cells) if "image/png" in str(c.get("outputs")))
    notebook.cells = notebook.cells[: figure + 1]
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    NotebookClient(notebook, timeout=120, resources={"metadata": {"path": tmp_path}}).execute()
    assert any("image/png" in output.get("data", {}) for output in notebook.cells[-1].outputs)


class Pages(dict):
    """What the theme hands to a page."""

    def __init__(self):
        menu = {"label": "download-buttons", "buttons": [{"text": ".md"}, {"text": ".pdf"}]}
        super().__init__(header_buttons=[menu], pathto=lambda path, kind: f"../../{path}")


def test_buttons_open_the_exported_notebook(monkeypatch):
    monkeypatch.setenv("BOOK_REPOSITORY", "https://github.com/some/book/")
    context = Pages()
    export.add_buttons(None, f"book/{name(CHAPTERS[0])}", "", context, None)
    run, download = context["header_buttons"]
    assert [button["text"] for button in download["buttons"]] == [".ipynb", ".md", ".pdf"]
    end = f"{name(CHAPTERS[0])}.ipynb"
    assert [button["url"] for button in run["buttons"]] == [
        f"https://colab.research.google.com/github/some/book/blob/notebooks/{end}",
        f"https://mybinder.org/v2/gh/some/book/notebooks?urlpath=lab/tree/{end}",
    ]
    export.add_buttons(None, "book/intro", "", intro := Pages(), None)
    assert intro["header_buttons"] == Pages()["header_buttons"]
    monkeypatch.setenv("BOOK_REPOSITORY", "https://example.org/some/book")  # which neither opens
    export.add_buttons(None, f"book/{name(CHAPTERS[0])}", "", elsewhere := Pages(), None)
    assert len(elsewhere["header_buttons"]) == 1


@pytest.mark.built
@pytest.mark.browser
def test_the_download_button_gives_the_notebook(chromium, site):
    page = chromium.new_page()
    page.goto(f"{site}/book/{name(CHAPTERS[0])}.html")
    page.locator(".dropdown-download-buttons > button").click()
    with page.expect_download() as download:
        page.locator(".btn-download-notebook-button").click()
    assert download.value.suggested_filename == f"{CHAPTERS[0].stem}.ipynb"
    assert nbformat.read(download.value.path(), 4).cells == exported(CHAPTERS[0]).cells
    page.close()


def test_only_the_job_that_publishes_notebooks_may_write():
    workflow = yaml.safe_load((ROOT / ".github/workflows/pages.yml").read_text("utf-8"))
    may_write = {
        job
        for job, what in workflow["jobs"].items()
        if "write" in what.get("permissions", {}).get("contents", "")
    }
    assert may_write == {export.BRANCH}
    steps = workflow["jobs"][export.BRANCH]["steps"]
    (push,) = [step["run"] for step in steps if "push --force" in step.get("run", "")]
    assert f"HEAD:{export.BRANCH}" in push


@pytest.mark.slow
def test_stored_tables_travel_with_the_package(tmp_path):
    for file in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / file, tmp_path)
    ignore = shutil.ignore_patterns("__pycache__", "*.egg-info")
    shutil.copytree(ROOT / "lib", tmp_path / "lib", ignore=ignore)
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        ".",
    ]
    subprocess.run(command, cwd=tmp_path, check=True)
    (wheel,) = tmp_path.glob("*.whl")
    held = {file.rpartition("/")[2] for file in zipfile.ZipFile(wheel).namelist()}
    tables = {path.name for path in (ROOT / "lib").rglob("*.csv")}
    assert tables
    assert tables <= held
