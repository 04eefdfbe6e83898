"""A release: one version everywhere, notes from the changelog, and sites of all versions in one."""

import datetime
import importlib.util
import re
import shutil
import types
import zipfile

import book_machinery
import pytest
import yaml
from packaging.version import Version

from .conftest import ROOT


def script(name):
    spec = importlib.util.spec_from_file_location(name, ROOT / ".github" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


release, versions = script("release"), script("versions")
PROJECT = Version(release.project())


def test_the_citation_is_that_of_the_last_release():
    version, date, text = release.last_release()
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    assert (cited["version"], str(cited["date-released"])) == (version, date)
    assert release.citation() == (version, date)
    assert datetime.date.fromisoformat(date)
    assert text


def test_the_project_is_the_last_release_or_on_its_way_to_the_next():
    last = Version(release.last_release()[0])
    assert last == PROJECT or (PROJECT.is_devrelease and PROJECT.release > last.release)
    assert len(PROJECT.release) == 3


@pytest.fixture
def tree(tmp_path):
    """The files that name the version, as on the day of a release."""
    for file in ("CHANGELOG.md", "CITATION.cff", "pyproject.toml"):
        shutil.copy(ROOT / file, tmp_path)
    edit(tmp_path / "pyproject.toml", r'^version = ".*"', 'version = "7.8.9"')
    edit(tmp_path / "CITATION.cff", r"^version: .*", "version: 7.8.9")
    edit(tmp_path / "CITATION.cff", r"^date-released: .*", "date-released: 2031-02-03")
    edit(tmp_path / "CHANGELOG.md", r"^## Unreleased", "## Unreleased\n\n## 7.8.9 (2031-02-03)")
    return tmp_path


def edit(file, old, new):
    text, count = re.subn(old, new, file.read_text("utf-8"), count=1, flags=re.M)
    assert count == 1
    file.write_text(text, "utf-8")


def test_a_tag_gives_the_section_of_its_version(tree):
    edit(
        tree / "CHANGELOG.md",
        r"^(## 7.8.9.*)$",
        r"\1\n\nAll is new.\n\n### Parts\n\nTwo.\n\n## 7.8.8 (2030-01-01)",
    )
    assert release.notes("v7.8.9", tree) == "All is new.\n\n### Parts\n\nTwo."


@pytest.mark.parametrize(
    ("tag", "file", "old", "new", "words"),
    [
        ("v7.8.8", "pyproject.toml", "x^", "", "the tag is v7.8.8; CHANGELOG.md says 7.8.9"),
        ("v7.8.9", "pyproject.toml", r"7\.8\.9", "7.8.9.dev0", "pyproject.toml says 7.8.9.dev0"),
        ("v7.8.9", "CITATION.cff", r"7\.8\.9", "7.8", "the tag is v7.8.9; CITATION.cff says 7.8"),
        ("v7.8.9", "CITATION.cff", "2031", "2030", "CITATION.cff says 2030-02-03"),
        ("v7.8.9", "CHANGELOG.md", r"^## 7.*\n", "", "CHANGELOG.md says"),
    ],
)
def test_a_tag_that_a_file_contradicts_is_refused(tree, tag, file, old, new, words):
    if old != "x^":
        edit(tree / file, old, new)
    with pytest.raises(SystemExit, match=re.escape(words)):
        release.notes(tag, tree)


# --- versions of the site


def write(folder, version, *pages):
    for page in pages:
        file = folder / page
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f'<p>Text</p>\n<p class="version">Version {version}</p>\n')


@pytest.fixture
def site(tmp_path):
    """A built book, and releases as they are downloaded, a patch and a stranger among them."""
    write(tmp_path / "site", "0.11.0.dev0", "index.html", "book/part/one.html", "book/new.html")
    for tag, pages in {
        "v0.9.0": ("index.html", "book/old.html"),
        "v0.10.0": ("index.html",),
        "v0.10.1": ("index.html", "book/part/one.html"),
        "nightly": ("index.html",),
    }.items():
        write(tmp_path / "html", tag[1:], *pages)
        folder = tmp_path / "releases" / tag
        folder.mkdir(parents=True)
        with zipfile.ZipFile(folder / "offline-site.zip", "w") as packed:
            for file in sorted((tmp_path / "html").rglob("*.html")):
                packed.write(file, file.relative_to(tmp_path))
        shutil.rmtree(tmp_path / "html")
    return tmp_path / "site"


def links(page):
    text = page.read_text()
    assert text.startswith("<p>Text</p>\n")
    return dict(re.findall(r'<a href="([^"]*)">([^<]*)</a>', text))


def test_each_version_is_kept_and_linked_page_by_page(site):
    versions.main(site, site.parent / "releases")
    assert {p.name for p in site.iterdir()} == {"index.html", "book", "v0.10", "v0.9"}
    assert "Version 0.10.1; others: " in (site / "v0.10/index.html").read_text()
    assert links(site / "book/part/one.html") == {
        "../../v0.10/book/part/one.html": "v0.10",
        "../../v0.9/index.html": "v0.9",
    }
    assert links(site / "v0.9/book/old.html") == {
        "../../index.html": "newest",
        "../../v0.10/index.html": "v0.10",
    }
    for page in site.rglob("*.html"):
        assert len(links(page)) == 2
        for target in links(page):
            assert (page.parent / target).resolve().exists()


def test_without_releases_a_page_says_its_own_version_only(site):
    before = (site / "index.html").read_text()
    versions.main(site, site.parent / "nowhere")
    assert (site / "index.html").read_text() == before


def test_a_page_says_its_version():
    config = types.SimpleNamespace(html_theme_options={"extra_footer": "<p>Text: CC-BY-4.0.</p>"})
    book_machinery.foot(config)
    text = config.html_theme_options["extra_footer"]
    assert text == f'<p>Text: CC-BY-4.0.</p><p class="version">Version {release.project()}</p>'
    assert versions.FOOT.search(text)


@pytest.mark.built
def test_the_version_stands_at_the_foot_of_the_built_pages(html):
    (found,) = versions.FOOT.findall((html / "book/intro.html").read_text("utf-8"))
    assert found == f"Version {release.project()}"
