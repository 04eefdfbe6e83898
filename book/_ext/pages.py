"""A Sphinx extension: what every page does for its readers, whatever chapter it is.

Bars over folded code say what the code is; figures link to their image; without JavaScript the page
says what is missing; links carry the address of the site only where it is known.
"""

import ast
import os
import posixpath
import re
from html import escape

from docutils import nodes
from myst_nb.sphinx_ import HideCodeCellNode
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util.osutil import relative_uri

NO_SCRIPT = (
    '<noscript><p class="no-script">Formulas and interactive figures need JavaScript, which is '
    "switched off here. Formulas are shown as TeX.</p></noscript>"
)
NO_CHART = (
    '<noscript><p class="no-script">The interactive figure stands here when JavaScript is '
    "switched on.</p></noscript>"
)
FORMULA = re.compile(r'(<span class="math [^>]*>[^<]*</span>)([,.;:?!)]+)')
DEPRECATED, ROLE = ' role="doc-biblioentry"', ' role="listitem"'  # ARIA 1.2 has dropped it


def label(cell):
    """What the folded code of a cell is, in words: by its tags, its output and its statements."""
    classes, source = cell["classes"], cell.children[0].astext()
    if "tag_parameters" in classes:
        return "Sizes of this page"
    if any(parent.get("classes", [""])[:1] == ["solution"] for parent in _parents(cell)):
        return "Solution in code"
    if re.search(r"\bclaims\.(?:add|verify)\(", source):
        return "Code of the checks"
    if "explorer." in source or "vegaEmbed" in cell.astext():
        return "Code of the interactive figure"
    if next(cell.findall(nodes.figure), None):
        return "Code of this figure"
    if _only_imports(source):
        return "Imports"
    if found := re.match(r"# ([A-Z][a-z].{2,50}?)\.?\n", source):
        return found[1]
    return "Code of the experiment" if _defines(source) else "Code"


def _parents(node):
    while node := node.parent:
        yield node


def _statements(source):
    try:
        return ast.parse(re.sub(r"^\s*[%!].*$", "", source, flags=re.M)).body
    except SyntaxError:
        return []


def _only_imports(source):
    """Whether a cell imports and calls, and neither defines nor assigns anything."""
    found = _statements(source)
    kinds = (ast.Import, ast.ImportFrom)
    return any(isinstance(s, kinds) for s in found) and all(
        isinstance(s, (*kinds, ast.Expr)) for s in found
    )


def _defines(source):
    return any(isinstance(s, ast.FunctionDef | ast.ClassDef) for s in _statements(source))


class Bars(SphinxPostTransform):
    """Label the bars over folded code by content, before MyST-NB draws them."""

    default_priority = 198
    formats = ("html",)

    def run(self, **options):
        default = self.config.nb_code_prompt_show
        for cell in self.document.findall(nodes.container):
            folded = cell.get("nb_element") == "cell_code" and cell.get("hide_mode") == "input"
            if folded and cell["prompt_show"] == default:
                cell["prompt_show"] = label(cell)


def open_bar(translator, node):
    """The summary is its own name: no other label, one text whether open or closed."""
    classes, text = " ".join(node["classes"]), escape(node["prompt_show"])
    translator.body.append(
        f'<details class="admonition hide {classes}">\n'
        f'<summary><p class="admonition-title">{text}</p></summary>\n'
    )


def close_bar(translator, node):
    translator.body.append("</details>\n")


class Figures(SphinxPostTransform):
    """Each figure links to its image; a chart that is not drawn leaves a word."""

    default_priority = 900
    formats = ("html",)

    def run(self, **options):
        builder, here = self.app.builder, self.env.docname
        folder = relative_uri(builder.get_target_uri(here), builder.imagedir)
        for image in list(self.document.findall(nodes.image)):
            kept = self.env.images.get(image["uri"])
            if kept and isinstance(image.parent, nodes.figure):
                link = nodes.reference(refuri=posixpath.join(folder, kept[1]), classes=["enlarge"])
                image.replace_self(link)
                link += image
        for chart in list(self.document.findall(nodes.raw)):
            if "vegaEmbed" in chart.astext():
                chart.parent.insert(
                    chart.parent.index(chart), nodes.raw("", NO_CHART, format="html")
                )


def finish(app, pagename, templatename, context, doctree):
    """The last word on a page: without scripts, for link previews, for assistive technology."""
    if not doctree:
        return
    body = context["body"].replace(DEPRECATED, ROLE)
    body = FORMULA.sub(r'<span class="tied">\1\2</span>', body)  # no line begins with a comma
    context["body"] = (NO_SCRIPT if 'class="math' in body or "vegaEmbed" in body else "") + body
    if not os.environ.get("BOOK_URL"):
        tags = context["metatags"]
        context["metatags"] = re.sub(r'<meta property="og:url"[^>]*>\n?', "", tags)
    if pagename == app.config.root_doc:
        context["title"] = "Introduction"  # else the book's, twice


def setup(app):
    app.add_post_transform(Bars)
    app.add_post_transform(Figures)
    app.add_node(HideCodeCellNode, override=True, html=(open_bar, close_bar))
    app.connect("html-page-context", finish, priority=900)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
