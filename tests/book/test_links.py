"""Links that need no network: addresses within the site, references, citations."""

import functools
import html as entities
import re
import urllib.parse
from html.parser import HTMLParser

import api
import pybtex.database
import pytest
import references

from .conftest import BOOK, HTML

NOWHERE = {"oko2022"}  # in its conference's proceedings, under no address that could be checked


class Page(HTMLParser):
    """A page's anchors, its addresses, and the text and address of its links."""

    def __init__(self, path):
        super().__init__()
        self.anchors, self.addresses, self.links, self.open = {""}, [], [], None
        self.feed(path.read_text("utf-8"))

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.anchors |= {attrs[k] for k in ("id", "name") if attrs.get(k)}
        self.addresses += [attrs[k] for k in ("href", "src") if attrs.get(k)]
        if tag == "a" and "href" in attrs:
            self.open = [attrs["href"], ""]
            self.links.append(self.open)

    def handle_data(self, data):
        if self.open:
            self.open[1] += data

    def handle_endtag(self, tag):
        if tag == "a":
            self.open = None


page = functools.cache(Page)


def within(path, address):
    """The file and the anchor that an address of this site names; None for all others."""
    parts = urllib.parse.urlsplit(address)
    if parts.scheme or parts.netloc:
        return None
    target = (path.parent / urllib.parse.unquote(parts.path)).resolve() if parts.path else path
    return target, urllib.parse.unquote(parts.fragment)


def reachable(start):
    """All pages that links lead to."""
    found, todo = set(), list(start)
    while todo:
        path = todo.pop()
        if path not in found and path.suffix == ".html" and path.exists():
            found.add(path)
            todo += [place[0] for a in page(path).addresses if (place := within(path, a))]
    return sorted(found)


def plain(text):
    """Without tags, brackets and commas."""
    return " ".join(re.sub(r"[\[\],]", "", entities.unescape(re.sub("<[^>]*>", "", text))).split())


@pytest.mark.built
def test_every_address_within_the_site_exists(html):
    pages, broken = reachable([HTML / "book" / "intro.html", HTML / "search.html"]), []
    assert len(pages) > 15
    for path in pages:
        for address in page(path).addresses:
            if place := within(path, address):
                target, anchor = place
                known = page(target).anchors if target.suffix == ".html" and anchor else {anchor}
                if not target.exists() or anchor not in known:
                    broken.append((path.name, address))
    assert broken == []


def test_every_reference_has_an_address():
    entries = pybtex.database.parse_file(str(BOOK / "references.bib"), "bibtex").entries
    found = {key for key, e in entries.items() if {"doi", "eprint", "url"} & set(e.fields)}
    assert set(entries) - found == NOWHERE
    for entry in entries.values():
        assert "note" not in entry.fields
        assert re.fullmatch(r"\d{4}\.\d{4,5}", entry.fields.get("eprint", "0000.0000"))


@pytest.mark.built
def test_arxiv_numbers_are_links(html):
    number = re.compile(r"arXiv[: ](\d{4}\.\d{4,5})")
    for path in reachable([HTML / "book" / "intro.html"]):
        links = [(address, text) for address, text in page(path).links if number.search(text)]
        for address, text in links:
            assert address == f"https://arxiv.org/abs/{number.search(text)[1]}"
        text = re.sub("<[^>]+>", "", path.read_text("utf-8"))
        assert len(number.findall(text)) == len(links), path.name


@pytest.mark.built
def test_labels_of_references_are_what_the_text_cites(html):
    listed = (HTML / "book" / "references.html").read_text("utf-8")
    item = r'class="citation" id="(id\d+)"[^>]*>\s*<span class="label">(.*?)</span></span>'
    labels = {key: plain(label) for key, label in re.findall(item, listed)}
    entries = pybtex.database.parse_file(str(BOOK / "references.bib"), "bibtex").entries
    assert set(labels.values()) == {plain(references.label(e)) for e in entries.values()}
    for path in reachable([HTML / "book" / "intro.html"]):
        text = path.read_text("utf-8")
        for cited in re.findall(r'<span class="bibtex-citation"[^>]*>(.*?)</span>', text, re.S):
            for key in re.findall(r"references\.html#(id\d+)", cited):
                assert labels[key] in plain(cited), (path.name, plain(cited))


@pytest.mark.built
def test_the_api_page_begins_with_all_names(html):
    path = HTML / "book" / "api.html"
    text = path.read_text("utf-8")
    names = re.findall(r'<dt class="sig[^>]* id="(twolayer\.[\w.]+)"', text)
    top = [a for a, _ in page(path).links if a.startswith("#twolayer.")]
    functions = {n for n in names if not n.split(".")[-2][0].isupper()}
    assert len(functions) > 100
    assert {f"#{name}" for name in functions} <= set(top)
    assert text.index(f'href="#{names[-1]}"') < text.index(f'id="{names[0]}"')


@pytest.mark.built
def test_names_of_the_library_in_the_text_lead_to_the_api_page(html):
    path = HTML / "book" / "foundations" / "lazy_and_rich.html"
    found = {text: address for address, text in page(path).links if "api.html#" in address}
    assert found["relu_ntk"] == "../api.html#twolayer.kernels.relu_ntk"


def test_a_name_that_two_modules_have_or_a_plain_word_is_no_link():
    names = ("a.squared_overlap", "b.squared_overlap", "a.run", "a.Teacher")
    known = api.unambiguous(dict.fromkeys(names, "entry"))
    assert known["squared_overlap"] is None
    assert "run" not in known
    assert known["Teacher"] == known["a.run"] == "entry"
