"""The scorecard page: a row a chapter, in the order of the contents, that opens to its checks."""

import html
import os

import chapters
import robust
import scorecard
from docutils import nodes
from sphinx.util.docutils import SphinxDirective

from twolayer.lab import claims

PAGE = "book/scorecard"
DRAFT = bool(os.environ.get("BOOK_DRAFT"))
FILTER = """<form id="scorecard-filter" role="search" hidden>
<label>Filter the checks <input type="search" autocomplete="off" placeholder="outlier"></label>
<label><input type="checkbox" autocomplete="off"> measured over seeds</label>
<label><input type="checkbox" autocomplete="off"> does not hold</label>
<span role="status"></span></form>"""


def link(page, words):
    return f'<a href="{chapters.name(page)}.html">{words}</a>'


def entry(number, pages, places):
    """A chapter: its number (None around the book), title and links, and its pages' checks."""
    text = pages[0].read_text(encoding="utf-8")
    title = next(line[2:] for line in text.splitlines() if line.startswith("# "))
    links = [link(pages[0], f"{number}. {html.escape(title)}" if number else html.escape(title))]
    links += [link(page, "in depth") for page in pages[1:]]
    heading = f'<span class="chapter">{" · ".join(links)}</span>'
    if not all(places):
        words = f"no current results (<code>{chapters.MEND}</code> makes them)"
        return f"<p>{heading} {words}</p>", []
    rows = [row for place in places for row in claims.read(place)]
    return claims.table(rows, heading), rows


def rate(lines):
    """How often checks hold under fresh roots, in words."""
    runs, holds = sum(line[-2] for line in lines), sum(line[-1] for line in lines)
    return f"{100 * holds / runs:.1f} % of {runs:,}"


def under_roots(pages, lines):
    """How often a chapter's checks hold under fresh roots; by name what does so in under 95 %."""
    mine = [line for line in lines if line[0] in map(chapters.name, pages)]
    if not mine:
        return ""
    words = f"<p>Under {max(line[-2] for line in mine)} fresh roots: {rate(mine)} runs hold.</p>"
    low = "".join(
        f"<li>{html.escape(claim)}: {holds} of {roots}</li>"
        for _, claim, _, roots, holds in robust.below(mine)
    )
    return words + (f"<ul>{low}</ul>" if low else "")


def total(rows, count):
    """The line above all chapters."""
    checks, _, words = claims.verdict(rows).partition(", ")
    return (
        f"{checks} in {count} {'chapter' if count == 1 else 'chapters'} and around them: {words}."
    )


class Scorecard(SphinxDirective):
    """The claim tables of all chapters, from the results that their pages show."""

    def run(self):
        sections, every, number, count = [], [], 0, 0
        day, roots = robust.stored()
        self.env.note_dependency(str(robust.TABLE))
        sources = chapters.chapters()
        for path in (*sources, scorecard.CONTENTS):
            self.env.note_dependency(str(path))  # titles and order
        for caption, group in scorecard.parts(sources):
            section = nodes.section(ids=[nodes.make_id(caption)])
            section += nodes.title(caption, caption)
            for pages in group:
                numbered = not chapters.around(pages[0])
                number += numbered
                if not scorecard.claiming(pages):
                    continue
                count += numbered
                places = [chapters.current(page, draft=DRAFT) for page in pages]
                text, rows = entry(number if numbered else None, pages, places)
                text += under_roots(pages, roots)
                section += nodes.raw("", text, format="html")
                every += rows
            sections.append(section)
        words = total(every, count)
        if roots:
            words += f" Under fresh roots, {day}: {rate(roots)} runs hold."
        line = nodes.paragraph("", "", nodes.strong(text=words))
        return [line, nodes.raw("", FILTER, format="html"), *sections]


def add_filter(app, pagename, templatename, context, doctree):
    if pagename == PAGE:
        app.add_js_file("scorecard.js", loading_method="defer")


def setup(app):
    app.connect("html-page-context", add_filter)
    app.add_directive("scorecard", Scorecard)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
