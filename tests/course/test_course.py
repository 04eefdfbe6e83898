"""Syllabus, quizzes, notes and labs say the same and are whole; nothing is made twice."""

import itertools
import re

import chapters
import course
import pdf
import pytest
import quiz
import yaml

from .conftest import EXERCISES, WEEKS

HERE = course.COURSE
SYLLABUS = (HERE / "syllabus.md").read_text("utf-8")
LECTURES = [name for week in WEEKS for name in week["lectures"]]
QUIZZES = [*(week["quiz"] for week in WEEKS), "prerequisites"]
each_lecture = pytest.mark.parametrize("name", LECTURES)


def test_six_weeks_of_two_lectures_a_lab_a_quiz_and_an_assignment():
    assert len(WEEKS) == 6
    assert len(course.plan()["short"]) == 3
    for week in WEEKS:
        assert len(week["lectures"]) == 2
        assert sum(week["homework"].values()) == 10
        checked = [label for label in week["homework"] if EXERCISES[label].call]
        assert 3 <= len(checked) < len(week["homework"]), "one in words"
        pages = {EXERCISES[label].page for label in week["homework"]}
        assert pages <= {*week["read"], *week["also"]}
        for page in week["read"] + week["also"]:
            assert (chapters.ROOT / "book" / f"{page}.md").exists()


def test_the_first_assignment_needs_the_tutorials_only():
    pages = {EXERCISES[label].page for label in WEEKS[0]["homework"] if EXERCISES[label].call}
    assert pages <= set(WEEKS[0]["read"])


@pytest.mark.parametrize("number", range(1, 7))
def test_the_syllabus_says_the_same(number):
    week = WEEKS[number - 1]
    part = SYLLABUS.partition(f"\n## Week {number}:")[2].partition("\n## ")[0]
    for page in week["read"] + week["also"]:
        assert f"{{doc}}`/book/{page}`" in part
    for file in (*week["lectures"], week["lab"]):
        assert f"{{doc}}`notes/{file}`" in part
    assert f"{{doc}}`labs/{week['lab']}`" in part
    found = re.findall(r"<(ex-[\w-]+)>` \((\d+) point", part.partition("**Optional.**")[0])
    assert {label: int(points) for label, points in found} == week["homework"]


def test_every_file_is_used():
    labs = {week["lab"] for week in WEEKS}
    assert {p.stem for p in (HERE / "notes").glob("*.md")} == {*LECTURES, *labs}
    assert {p.stem for p in (HERE / "labs").glob("*.md")} == labs
    assert {p.stem for p in (HERE / "decks").glob("*.md")} == set(LECTURES)
    assert {p.stem for p in (HERE / "quizzes").glob("*.yml")} == set(QUIZZES)
    toc = (chapters.ROOT / "_toc.yml").read_text("utf-8")
    pages = [*(HERE / "notes").glob("*.md"), *(HERE / "labs").glob("*.md")]
    for page in [*pages, HERE / "syllabus.md", HERE / "projects.md"]:
        assert f"file: {page.relative_to(chapters.ROOT).with_suffix('').as_posix()}\n" in toc
    text = (chapters.ROOT / "book" / "quizzes.md").read_text("utf-8")
    assert re.findall(r"```\{quiz\} (\w+)", text) == ["prerequisites", *QUIZZES[:-1]]


@each_lecture
def test_notes_of_a_lecture_are_whole(name):
    text = (HERE / "notes" / f"{name}.md").read_text("utf-8")
    for part in ("Plan", "On the board", "Before the main figure", "Misconceptions", "The control"):
        assert f"\n## {part}\n" in text
    times = [(int(a), int(b)) for a, b in re.findall(r"^\| (\d+)[-–](\d+)", text, re.M)]
    assert times[0][0] == 0
    assert times[-1][1] == 90
    assert all(end == begin for (_, end), (begin, _) in itertools.pairwise(times))
    said = text.partition("\n## Misconceptions\n")[2].partition("\n## ")[0]
    assert len(re.findall(r"^(?:- |\d+\. )", said, re.M)) >= 3


def test_every_open_exercise_is_a_project():
    text = (HERE / "projects.md").read_text("utf-8")
    open_ones = {label for label, e in EXERCISES.items() if e.line[1] == "research"}
    assert open_ones == set(re.findall(r"<(ex-[\w-]+)>", text))
    assert "## The form" in text
    assert "## Marks" in text


@pytest.mark.parametrize("name", QUIZZES)
def test_quizzes(name):
    questions = quiz.read(name)["questions"]
    assert len(questions) == (12 if name == "prerequisites" else 5)
    places = set()
    for question in questions:
        right = ["right" in answer for answer in question["answers"]]
        assert 3 <= len(right) <= 4
        assert right.count(True) == 1
        places.add(right.index(True))
        for answer in question["answers"]:
            assert len(answer["why"].split()) >= 8
            if "wrong" in answer:
                assert re.search(
                    r"\{(doc|ref|numref|eq|term|prf:ref)\}`|\[[^]]+\]\(http", answer["why"]
                )
    assert len(places) >= 3, "the right answer is not always at the same place"


def test_nothing_is_made_twice(tmp_path, monkeypatch):
    monkeypatch.setattr(course, "KEYS", tmp_path / "keys.json")
    made, calls = tmp_path / "made", []

    def write(text):
        calls.append(text)
        made.write_text(text, "utf-8")

    class Pool:
        def submit(self, function, *arguments):
            future = course.concurrent.futures.Future()
            try:
                future.set_result(function(*arguments))
            except Exception as error:
                future.set_exception(error)
            return future

    def make(key, function=write):
        return course.make([("it", key, function, ("text",), made)], Pool())

    def broken(text):
        raise ValueError(text)

    assert make("1") == 1
    assert make("1") == 0
    assert make("2") == 1
    made.unlink()
    assert make("2") == 1
    with pytest.raises(ValueError, match="text"):
        make("3", broken)
    assert make("2") == 1, "what failed half-way is neither the new one nor the old one"
    assert len(calls) == 4


def test_what_finished_before_a_failure_is_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(course, "KEYS", tmp_path / "keys.json")
    course.keep({"a": "1"})
    assert course.known() == {"a": "1"}


@pytest.mark.built
@pytest.mark.slow
@pytest.mark.browser
def test_a_handout_has_no_solution(html, chromium, tmp_path):
    import pypdf

    page = "book/foundations/what_kernels_miss"
    assert "solution" in (html / f"{page}.html").read_text("utf-8")
    pdf.handout(page, tmp_path / "handout.pdf", chromium)
    text = " ".join(p.extract_text() for p in pypdf.PdfReader(tmp_path / "handout.pdf").pages)
    assert "Exercise" in text
    assert "Solution" not in text
    for label in ("ex-wk-count", "ex-wk-flat"):
        line = EXERCISES[label].solutions[0].splitlines()[0]
        assert line not in text


def test_course_yml_is_yaml_of_plain_words():
    assert yaml.safe_load((HERE / "course.yml").read_text("utf-8"))["weeks"] == WEEKS
