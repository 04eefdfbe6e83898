"""The course: assignments, slides and handouts into ``_build/course``, each made once.

A product whose inputs are as they were is not made again. What finishes is kept: after an
interruption the same command goes on from there.
"""

import concurrent.futures
import hashlib
import json
import multiprocessing
import os
import sys
import time

import assignments
import chapters
import pdf
import slides
import yaml
from assignments import OUT
from notebooks import say

from twolayer.lab._files import write

COURSE, KEYS = chapters.ROOT / "course", OUT / "keys.json"
HERE = chapters.pathlib.Path(__file__).parent


def plan():
    """``course.yml``: the weeks."""
    return yaml.safe_load((COURSE / "course.yml").read_text("utf-8"))


def digest(*parts):
    """One hash of texts, bytes and what JSON can say."""
    total = hashlib.sha256()
    for part in parts:
        text = part if isinstance(part, str | bytes) else json.dumps(part, sort_keys=True)
        total.update(text if isinstance(text, bytes) else text.encode())
        total.update(b"\0")
    return total.hexdigest()[:16]


def code(*names):
    return [(HERE / f"{name}.py").read_text("utf-8") for name in names]


def files(folder, pattern="*"):
    return [f.read_bytes() for f in sorted(folder.rglob(pattern)) if f.is_file()]


# products: (name, key, function, arguments, what it makes)


def assignment_products():
    for number, week in enumerate(plan()["weeks"], 1):
        master = assignments.master(number, week)
        made = OUT / "assignments" / f"assignment_{number}"
        key = digest(master, *code("assignments"))
        yield f"assignment {number}", key, assignments.build, (number, week), made


def figure_products():
    folder = slides.SOURCE / "figures"
    for path, labels in slides.wanted().items():
        names = sorted(labels)
        key = digest(chapters.key(path), path.read_text("utf-8"), names, *code("slides"))
        last = folder / f"{names[-1]}.png"
        yield f"figures of {chapters.name(path)}", key, slides.draw, (path, labels, folder), last


def slide_products():
    sources = [deck.read_text("utf-8") for deck in slides.decks()]
    figures = files(slides.SOURCE / "figures", "*.png")
    css, words = (slides.DECKS / "slides.css").read_text("utf-8"), assignments.texts()
    key = digest(*sources, *figures, css, words["equations"], words["figures"], *code("slides"))
    yield "slides", key, slides.build, (), slides.SLIDES / "index.html"


def printed_products():
    css = (slides.DECKS / "slides.css").read_text("utf-8")
    figures = files(slides.SOURCE / "figures", "*.png")
    for deck in slides.decks():
        page = (slides.SLIDES / f"{deck.stem}.html").read_text("utf-8")
        key = digest(page, css, *figures, *code("slides"))
        made = slides.PDF / f"{deck.stem}.pdf"
        yield f"slides {deck.stem} as PDF", key, slides.print_deck, (deck.stem,), made


def handed_out():
    """The tutorials, and the pages in depth that assignments ask about."""
    also = {name for week in plan()["weeks"] for name in week["also"]}
    pages = [p for p in chapters.chapters() if not chapters.around(p)]
    return [p for p in pages if not p.stem.endswith("_in_depth") or chapters.name(p) in also]


def handout_products():
    styles = [(pdf.HTML / "_static" / name).read_bytes() for name in ("book.css", "print.css")]
    for path in handed_out():
        page = f"book/{chapters.name(path)}"
        key = digest((pdf.HTML / f"{page}.html").read_bytes(), *styles, *code("pdf"))
        made = OUT / "handouts" / f"{path.stem}.pdf"
        yield f"handout {path.stem}", key, pdf.handout, (page, made), made


def known():
    try:
        return json.loads(KEYS.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError:
        say(f"{KEYS}: damaged, so that all is made again")
        return {}


def keep(keys):
    write(KEYS, json.dumps(keys, indent=1, sort_keys=True))


def make(products, pool):
    """Make what is not current; returns how many products were made."""
    keys, running = known(), {}
    for name, key, function, arguments, made in products:
        if keys.get(name) != key or not made.exists():
            if keys.pop(name, None):
                keep(keys)  # half a product is not the old one: its key may come back
            running[pool.submit(timed, function, *arguments)] = name, key
    for done, future in enumerate(concurrent.futures.as_completed(running), 1):
        name, key = running[future]
        seconds = future.result()
        keys[name] = key
        keep(keys)
        say(f"{done} of {len(running)}: {name}, {seconds:.0f} s")
    return len(running)


def timed(function, *arguments):
    begin = time.monotonic()
    function(*arguments)
    return time.monotonic() - begin


def main(only=""):
    """Make all, or of the course only the ``slides``."""
    if not assignments.TEXTS.exists():
        sys.exit("the book is not built: run `make book` first")
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("TQDM_DISABLE", "1")
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(os.cpu_count(), mp_context=context) as pool:
        try:
            first = [*figure_products()]
            if only != "slides":
                first += [*assignment_products(), *handout_products()]
            made = make(first, pool) + make([*slide_products()], pool)
            if only != "slides":
                made += make([*printed_products()], pool)
        except KeyboardInterrupt:
            pool.shutdown(wait=False, cancel_futures=True)
            sys.exit("interrupted: what finished is kept; the same command goes on from there")
    say("The course: _build/course" + ("" if made else " (nothing had changed)"))


if __name__ == "__main__":
    sys.exit(chapters.in_a_line(main, *sys.argv[1:]))
