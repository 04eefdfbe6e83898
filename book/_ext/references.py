"""References carry the labels that the text cites by, authors and year; arXiv numbers are links."""

import re

from docutils import nodes
from pybtex.plugin import register_plugin
from pybtex.style.formatting.unsrt import Style
from pybtex.style.labels import BaseLabelStyle


def label(entry):
    """As the citations are written: Bach, 2017; Zhou and Ge, 2024; Ba et al., 2022."""
    names = [" ".join(map(str, p.rich_last_names)) for p in entry.persons["author"]]
    authors = " and ".join(names) if len(names) < 3 else f"{names[0]} et al."
    return f"{authors}, {entry.fields['year']}"


class Labels(BaseLabelStyle):
    def format_labels(self, sorted_entries):
        return map(label, sorted_entries)


class AuthorYear(Style):
    default_sorting_style = "author_year_title"
    default_label_style = Labels


def link_arxiv(app, doctree):
    """Numbers that stand in running text, as in docstrings."""
    for text in list(doctree.findall(nodes.Text)):
        parts = re.split(r"(arXiv[: ]\d{4}\.\d{4,5})", text)
        if len(parts) > 1 and not isinstance(text.parent, nodes.reference | nodes.literal):
            parts[1::2] = [
                nodes.reference("", part, refuri=f"https://arxiv.org/abs/{part[6:]}")
                for part in parts[1::2]
            ]
            parts[::2] = map(nodes.Text, parts[::2])
            text.parent.replace(text, parts)


def setup(app):
    app.connect("doctree-read", link_arxiv)
    register_plugin("pybtex.style.formatting", "author_year", AuthorYear)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
