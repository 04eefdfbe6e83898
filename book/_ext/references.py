"""The list of references carries the labels that the text cites by: authors and year."""

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


def setup(app):
    register_plugin("pybtex.style.formatting", "author_year", AuthorYear)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
