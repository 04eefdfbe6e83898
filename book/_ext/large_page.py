"""The page of the larger sizes: a row a chapter's page, that opens to its checks; what is left."""

import html

import chapters
import large
import scorecard
import yaml
from docutils import nodes
from sphinx.util.docutils import SphinxDirective

from twolayer.lab import claims

TABLES = chapters.ROOT / "lib" / "twolayer" / "lab" / "tables"


def heading(path):
    """A page's title, which leads to it."""
    lines = path.read_text("utf-8").splitlines()
    title = next(line[2:] for line in lines if line.startswith("# "))
    address = f"{chapters.name(path)}.html"
    return f'<span class="chapter"><a href="{address}">{html.escape(title)}</a></span>'


def header(table):
    """The command, the versions and the time of a stored table."""
    command, versions, seconds = table.read_text("utf-8").splitlines()[:3]
    command, seconds = (line.partition(": ")[2] for line in (command, seconds))
    return command, versions.removeprefix("# date: "), seconds


def reasons(path, rows):
    """Each check that does not hold, with its numbers and its reason."""
    known = yaml.safe_load((large.FOLDER / "reasons.yml").read_text("utf-8")).get(path.stem, {})
    for row in rows:
        if not row["holds"]:
            words = (
                f"{row['claim']}: {claims.number(row['measured'])} ± "
                f"{claims.number(row['standard_error'])}, not {row['relation']} "
                f"{claims.number(row['predicted'])} within {claims.number(row['tolerance'])}."
            )
            reason = known.get(row["claim"], "The reason is not known yet.")
            yield f"<p><strong>{html.escape(words)}</strong> {html.escape(reason)}</p>"


def entry(path):
    """A page at its larger sizes: its checks, how they were made, why some do not hold."""
    rows = large.rows(path)
    command, versions, seconds = header(large.table(path))
    made = f"<p><code>{html.escape(command)}</code><br>{html.escape(versions)}; {seconds}</p>"
    table = claims.table(rows, heading(path)).replace(" open>", ">", 1)  # what fails stands below
    return "".join((table, made, *reasons(path, rows))), rows


def listed(lines):
    return f"<ul>{''.join(f'<li>{line}</li>' for line in lines)}</ul>"


class Large(SphinxDirective):
    """The stored claim tables, the pages that have none yet, and the tables of chapters."""

    def run(self):
        every, larger, seeds, left = [], [], [], []
        self.env.note_dependency(str(large.FOLDER))
        for path in scorecard.ordered(large.pages()):
            self.env.note_dependency(str(path))
            if large.table(path).exists():
                self.env.note_dependency(str(large.table(path)))
                text, rows = entry(path)
                only = set(large.sizes(large.parameters(path))) == {"SEEDS"}
                (seeds if only else larger).append(text)
                every += rows
            else:
                left.append(f"{heading(path)}: at most {large.minutes(path):.0f} minutes")
        made = {p.stem: header(p) for p in sorted(TABLES.glob("*.csv"))}
        stored = [
            f"<code>{stem}</code>: {seconds}"
            for stem, (command, _, seconds) in made.items()
            if command.startswith("papermill")
        ]
        done = len(larger) + len(seeds)
        verdict = f"{claims.verdict(every)}, on {done} of {done + len(left)} pages."
        found = [nodes.paragraph("", "", nodes.strong(text=verdict))]
        parts = {
            "Larger sizes": "".join(larger),
            "More seeds, at the pages' own sizes": "".join(seeds),
            "Not run yet": listed(left) if left else "",
            "Tables of the chapters": listed(stored),
        }
        for title, text in parts.items():
            if text:
                found += [nodes.rubric(title, title), nodes.raw("", text, format="html")]
        return found


def setup(app):
    app.add_directive("large", Large)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
