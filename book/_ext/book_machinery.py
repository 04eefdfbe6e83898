"""The book's Sphinx extension: execution cache, repository buttons, charts, scorecard."""

import hashlib
import html
import os
import pathlib

from docutils import nodes
from docutils.parsers.rst import Directive

from twolayer import claims

ROOT = pathlib.Path(__file__).resolve().parents[2]
VEGA = ("vega/versions.js", "vega/vega.min.js", "vega/vega-lite.min.js", "vega/vega-embed.min.js")


def execution_cache(root=ROOT):
    """The folder of executed chapters: another one whenever the library or a pin changes."""
    digest = hashlib.sha256((root / "requirements.txt").read_bytes())
    for path in sorted((root / "lib").rglob("*.py")):
        digest.update(path.read_bytes())
    return root / "_build" / ".jupyter_cache" / digest.hexdigest()[:12]


def configure(app, config):
    """Set what depends on the state of the tree or on the environment."""
    config.nb_execution_cache_path = str(execution_cache())
    if site := os.environ.get("BOOK_URL"):
        config.ogp_site_url = site
    if repository := os.environ.get("BOOK_REPOSITORY", "").removesuffix("/"):
        config.html_theme_options |= {
            "repository_url": repository,
            "repository_branch": os.environ.get("BOOK_BRANCH", "main"),
            "path_to_docs": "",
            "use_repository_button": True,
            "use_issues_button": True,
            "use_edit_page_button": True,
            "launch_buttons": {
                "notebook_interface": "jupyterlab",
                "binderhub_url": "https://mybinder.org",
                "colab_url": "https://colab.research.google.com",
            },
        }


def add_charts(app, pagename, templatename, context, doctree):
    """Load the vendored Vega bundles, in order, on the pages that hold a chart."""
    if "vegaEmbed" in context.get("body", ""):
        for name in VEGA:
            app.add_js_file(name, priority=300)


class Scorecard(Directive):
    """The claim tables of all executed notebooks, chapter by chapter."""

    def run(self):
        env = self.state.document.settings.env
        book, parts = ROOT / "book", []
        for chapter, rows in claims.collect(book).items():
            env.note_dependency(str(book / f"{chapter}.ipynb"))
            held = sum(row["holds"] for row in rows)
            link = html.escape(f"{chapter}.html")
            parts.append(
                f'<p><a href="{link}">{html.escape(chapter)}</a>: {held} of {len(rows)} hold.</p>'
                f'<div class="claims-wrapper">{claims.table(rows)}</div>'
            )
        return [nodes.raw("", "".join(parts), format="html")]


def setup(app):
    app.connect("config-inited", configure, priority=100)
    app.connect("html-page-context", add_charts)
    app.add_directive("scorecard", Scorecard)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
