"""What a tag releases: the changelog's section of its version, if all files name that version.

``python .github/release.py vX.Y.Z`` prints the section, for the release's page.
"""

import pathlib
import re
import sys
import tomllib

ROOT = pathlib.Path(__file__).resolve().parents[1]
SECTION = re.compile(r"^## (\d+\.\d+\.\d+) \((\d{4}-\d\d-\d\d)\)\n(.*?)(?=^## |\Z)", re.M | re.S)


def last_release(root=ROOT):
    """Version, date and text of the changelog's last numbered section."""
    version, date, text = SECTION.search((root / "CHANGELOG.md").read_text("utf-8")).groups()
    return version, date, text.strip()


def citation(root=ROOT):
    """Version and date of CITATION.cff."""
    text = (root / "CITATION.cff").read_text("utf-8")
    fields = dict(re.findall(r"^(version|date-released): *[\"']?([^\s\"']+)", text, re.M))
    return fields["version"], fields["date-released"]


def project(root=ROOT):
    """The version in pyproject.toml."""
    return tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["project"]["version"]


def notes(tag, root=ROOT):
    """The section of a tag's version; an error where a file names another."""
    version, date, text = last_release(root)
    cited, cited_date = citation(root)
    named = {"CHANGELOG.md": version, "CITATION.cff": cited, "pyproject.toml": project(root)}
    for file, says in named.items():
        if tag != f"v{says}":
            raise SystemExit(f"the tag is {tag}; {file} says {says}")
    if cited_date != date:
        raise SystemExit(f"CHANGELOG.md dates {tag} {date}; CITATION.cff says {cited_date}")
    return text


if __name__ == "__main__":
    print(notes(sys.argv[1]))
