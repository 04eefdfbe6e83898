"""The book and each of its parts as PDF, printed by headless Chromium from the built pages.

``python book/_ext/pdf.py`` writes ``_build/pdf/book.pdf`` and a file a part; with names of parts
(``the_first_step``) it writes only these. A file is one document: the pages' articles one after
another, so that links between them stay alive.
"""

import contextlib
import copy
import logging
import os
import pathlib
import re
import shutil
import sys
import urllib.parse

import pypdf
import yaml
from bs4 import BeautifulSoup
from chapters import in_a_line
from pypdf.generic import NameObject, TextStringObject

logging.getLogger("pypdf").setLevel(logging.ERROR)  # Chromium counts its objects otherwise
ROOT = pathlib.Path(__file__).resolve().parents[2]
HTML, OUT = ROOT / "_build" / "html", ROOT / "_build" / "pdf"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
ONLINE_ONLY = {"book/api"}  # as long as the rest of the book, and of use only where code runs
COURSE = "The course"  # a document of its own, and no part of the book's
FURNITURE = "a.headerlink, button, details.hide, noscript, script[type*=config], script[type*=json]"
NUMERALS = ("I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X")
PAGE = """<!doctype html><html lang="en" data-theme="light" data-mode="light">
<head><meta charset="utf-8"><title>{title}</title></head>
<body class="document"><header class="front"></header><main class="bd-content"></main></body>
</html>"""
SET = """async () => {
    await MathJax.startup.promise;
    await document.fonts.ready;
    await Promise.all([...document.images].map(image => image.decode()));
}"""
DRAWN = """() => document.querySelectorAll('.vega-embed:has(svg, canvas)').length
    >= [...document.scripts].filter(script => script.text.includes('vegaEmbed(')).length"""
# a heading that moved to the next page has its title twice in Chromium's outline
TITLES = """all => all.map(heading => {
    const copy = heading.cloneNode(true);
    copy.querySelectorAll('mjx-container svg').forEach(svg => svg.remove());
    return copy.textContent.replace(/\\s+/g, ' ').trim();
})"""
NUMBER = """pages => document.querySelectorAll('.contents a').forEach(
    a => a.querySelector('.page').textContent = pages[decodeURIComponent(a.hash.slice(1))])"""


def outline(root=ROOT):
    """The book's title and its parts in order: (caption, numbered, pages)."""
    toc = yaml.safe_load((root / "_toc.yml").read_text("utf-8"))
    title = yaml.safe_load((root / "_config.yml").read_text("utf-8"))["title"]

    def pages(entries):
        for entry in entries:
            yield entry["file"]
            yield from pages(entry.get("sections", ()))

    parts = toc["parts"]
    return (
        title,
        toc["root"],
        [(part["caption"], "numbered" in part, [*pages(part["chapters"])]) for part in parts],
    )


def name_of(caption):
    return re.sub(r"\W+", "_", caption.lower())


def documents(root=ROOT):
    """What is printed: by name of file, its title and its groups of pages, each under a heading."""
    title, first, parts = outline(root)
    numerals = iter(NUMERALS)
    groups = [
        (f"{next(numerals)}. {caption}" if numbered else caption, pages)
        for caption, numbered, pages in parts
    ]
    references = [page for page in parts[-1][2] if page.endswith("/references")]
    course = [group for group in groups if group[0] == COURSE]
    found = {"book": (title, [("", [first]), *(g for g in groups if g not in course)])}
    for (caption, numbered, _), (heading, pages) in zip(parts, groups, strict=True):
        if numbered:
            found[name_of(caption)] = (title, [(heading, [*pages, *references])])
    return found | {name_of(COURSE): (title, course)}


def needed(tag):
    """What a document takes from the head of a page."""
    return (
        tag.get("rel") == ["stylesheet"]
        or re.search(r"_static/(mathjax|vega)/", tag.get("src", ""))
        or "window.MathJax" in tag.text
    )


class Document:
    """Pages as one: unique names, links within where they can be, headings a level down."""

    def __init__(self, title, groups, html=HTML, site=None):
        self.title = " · ".join([title, *(groups[0][:1] if len(groups) == 1 else ())])
        self.html, self.site = html, site or os.environ.get("BOOK_URL", "")
        groups = [
            (heading, [p for p in pages if p not in ONLINE_ONLY]) for heading, pages in groups
        ]
        self.inside = {page for _, pages in groups for page in pages}
        self.soup = BeautifulSoup(PAGE.format(title=self.title), "html.parser")
        self.short = len(groups) == 1
        self.soup.header.append(self._new("p", title, cls="title"))
        for heading, pages in groups:
            if heading:
                where = self.soup.header if self.short else self.soup.main
                where.append(self._new("h1", heading, cls="part", id=name_of(heading)))
            for page in pages:
                self.soup.main.append(self._article(page))
        self.soup.header.append(self._contents())

    def _new(self, tag, text="", cls=None, **attributes):
        new = self.soup.new_tag(tag, attrs=attributes | ({"class": cls} if cls else {}))
        new.string = text
        return new

    def _head(self, head, page):
        """Style, and what sets mathematics and charts, from the pages' own heads, each once."""
        for tag in head.find_all(needed):
            self._localise(tag, page)
            if tag not in self.soup.head.contents:
                self.soup.head.append(tag.extract())

    def _localise(self, tag, page):
        for key in ("src", "href"):
            if tag.get(key) and not re.match(r"[a-z]+:", tag[key]):
                tag[key] = "../html/" + self._resolve(page, tag[key])

    def _resolve(self, page, address):
        return urllib.parse.urljoin(f"//x/{page}", address).removeprefix("//x/")

    def _article(self, page):
        whole = BeautifulSoup((self.html / f"{page}.html").read_text("utf-8"), "html.parser")
        self._head(whole.head, page)
        article = whole.find("article", class_="bd-article").extract()
        for tag in article.select(FURNITURE):
            tag.decompose()
        article["id"] = name = page.replace("/", "-")
        scripts = " ".join(script.text for script in article.find_all("script"))
        for tag in article.find_all(True):
            words = (f'"{tag.get("id")}"', f'"#{tag.get("id")}"')
            # those that scripts name are a chart's: unique, and they stay
            if tag.get("id") and not any(word in scripts for word in words):
                tag["id"] = f"{name}--{tag['id']}"
            if level := re.fullmatch("h([1-5])", tag.name):
                tag.name = f"h{int(level[1]) + 1}"
            if tag.name == "a" and tag.get("href"):
                self._link(tag, page)
            elif tag.get("src"):
                self._localise(tag, page)
        return article

    def _link(self, tag, page):
        """Into this document, else to the site where its address is known, else plain text."""
        if re.match(r"[a-z]+:", tag["href"]):
            return
        path, _, anchor = self._resolve(page, tag["href"]).partition("#")
        target = path.removesuffix(".html")
        if target in self.inside:
            tag["href"] = f"#{target.replace('/', '-')}" + (f"--{anchor}" if anchor else "")
        elif self.site:
            tag["href"] = urllib.parse.urljoin(self.site, path + f"#{anchor}" * bool(anchor))
        else:
            tag.unwrap()

    def _contents(self):
        """Chapters, and in a part their sections, with room for page numbers."""
        contents = self._new("nav", cls="contents")
        for heading in self.soup.find_all(["h1", "h2", "h3"] if self.short else ["h1", "h2"]):
            if self.short and heading.name == "h1":
                continue
            target = heading.get("id") or heading.find_parent(["section", "article"])["id"]
            line = self._new("a", cls=f"to-{heading.name}", href=f"#{target}")
            words = self._new("span", cls="words")
            words.extend(copy.copy(heading).contents[:])
            line.extend([words, self._new("span", "000", cls="page")])
            contents.append(line)
        return contents


@contextlib.contextmanager
def chromium():
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        sys.exit("no Chromium on this machine (Debian: apt-get install chromium)")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield browser
        browser.close()


def typeset(browser, document, path):
    """Print a document, twice: the second time with the page numbers of its contents."""
    path.parent.mkdir(parents=True, exist_ok=True)
    source = path.with_suffix(".html")
    source.write_text(str(document.soup), "utf-8")
    # charts are drawn as wide as the text on the paper, and as sharp
    view = {"viewport": {"width": 755, "height": 1000}, "device_scale_factor": 2}
    with browser.new_context(**view) as context:
        page = context.new_page()
        page.set_default_timeout(300_000)
        page.route(re.compile("^https?:"), lambda route: route.abort())
        page.emulate_media(media="print", color_scheme="light")
        page.goto(source.as_uri())
        page.evaluate(SET)
        page.wait_for_function(DRAWN)
        options = {"path": path, "prefer_css_page_size": True, "print_background": True}
        options |= {"outline": True, "tagged": True, "scale": 0.85}
        page.pdf(**options)
        page.evaluate(NUMBER, pages_of(pypdf.PdfReader(path)))
        page.pdf(**options)
        titles = page.locator("h1, h2, h3, h4, h5, h6").evaluate_all(TITLES)
    finish(path, document.title, titles)
    source.unlink()


def finish(path, title, titles):
    """Set what Chromium gets wrong or takes from the clock: the outline's titles, the metadata."""
    writer = pypdf.PdfWriter(clone_from=path)
    for entry, words in zip(entries(writer.root_object["/Outlines"]), titles, strict=True):
        entry[NameObject("/Title")] = TextStringObject(words)
    writer.metadata = {"/Title": title}
    writer.write(path)


def entries(item):
    """An outline's entries below one of them, in order."""
    child = item.get("/First")
    while child is not None:
        yield child.get_object()
        yield from entries(child.get_object())
        child = child.get_object().get("/Next")


def pages_of(reader):
    """The page on which each name that a link points to stands."""
    return {
        name.removeprefix("/"): reader.get_destination_page_number(target) + 1
        for name, target in reader.named_destinations.items()
    }


def handout(page, path, browser=None):
    """A page for students: as a document of its own, without the solutions of its exercises."""
    document = Document(outline()[0], [("", [page])])
    for solution in document.soup.select(".solution"):
        solution.decompose()
    draft = OUT / f"{path.stem}_handout.pdf"  # its page takes what it needs from beside there
    with contextlib.nullcontext(browser) if browser else chromium() as browser:
        typeset(browser, document, draft)
    path.parent.mkdir(parents=True, exist_ok=True)
    draft.replace(path)


def main(*names):
    if not (HTML / "index.html").exists():
        sys.exit("the book is not built: run `make book` first")
    with chromium() as browser:
        for name, (title, groups) in documents().items():
            if not names or name in names:
                path = OUT / f"{name}.pdf"
                typeset(browser, Document(title, groups), path)
                print(f"{path.relative_to(ROOT)}: {len(pypdf.PdfReader(path).pages)} pages")


if __name__ == "__main__":
    sys.exit(in_a_line(main, *sys.argv[1:]))
