"""Glossary words: their meaning at every link to them, and their place in the search.

An entry of the glossary is a meaning, and below it the chapter where the word is at home.
"""

from docutils import nodes
from sphinx import addnodes
from sphinx.domains.std import StandardDomain
from sphinx.util import docname_join

PAGE = "book/glossary"


def text(paragraph):
    """A paragraph as plain text; formulas stay TeX, in the delimiters that MathJax knows."""
    parts = paragraph.children
    return "".join(rf"\({p.astext()}\)" if isinstance(p, nodes.math) else p.astext() for p in parts)


def entries(page):
    """Each anchor of the glossary, with its word, the meaning and the word's home (or None)."""
    found = {}
    for item in page.findall(nodes.definition_list_item):
        *terms, definition = item.children
        meaning, *rest = definition.children
        links = [x for p in rest for x in p.findall(addnodes.pending_xref)]
        home = docname_join(PAGE, links[0]["reftarget"]) if links else None
        for term in terms:
            found[term["ids"][0]] = term.astext(), text(meaning), home
    return found


def gather(app, env):
    """Read the glossary; where it has changed, all pages are written again."""
    before, env.glossary_entries = getattr(env, "glossary_entries", None), {}
    if PAGE in env.found_docs:
        env.glossary_entries = entries(env.get_doctree(PAGE))
    return [] if env.glossary_entries == before else sorted(env.found_docs)


def explain(app, doctree, docname):
    """Give links to the glossary their meaning as a title: `glossary.js` makes it a tooltip."""
    known = app.env.glossary_entries
    for word in doctree.findall(nodes.inline):
        if "std-term" in word["classes"] and isinstance(word.parent, nodes.reference):
            anchor = word.parent.get("refid") or word.parent["refuri"].rpartition("#")[2]
            word.parent["reftitle"] = known[anchor][1]


def index(app):
    """A search for a word finds its home; the glossary itself is found by the word's own name.

    All pages' words are set in each build: Sphinx forgets those of pages that it does not write.
    """
    found = {docname: [] for docname in (PAGE, *app.env.found_docs & homes(app))}
    for word, _, home in app.env.glossary_entries.values():
        if home in found:
            found[home].append((word, "", "main"))
    app.builder.indexer._index_entries.update(found)
    return []


def homes(app):
    return {home for _, _, home in app.env.glossary_entries.values()}


def add_search(app, pagename, templatename, context, doctree):
    if pagename == "search":
        app.add_js_file("search.js", loading_method="defer")


def setup(app):
    StandardDomain.object_types["term"].attrs["searchprio"] = 0  # by default they are not found
    app.connect("env-updated", gather)
    app.connect("doctree-resolved", explain)
    app.connect("html-collect-pages", index)
    app.connect("html-page-context", add_search)
    app.add_css_file("glossary.css")
    app.add_js_file("glossary.js", loading_method="defer")
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
