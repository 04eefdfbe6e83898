"""The exercises: their grammar and kinds, and that answers are graded as they should be."""

import collections
import re

import exercises
import pytest

from twolayer.lab.exercises import check as exercise_check

from .conftest import CHECKED, EXERCISES

CHAPTERS = collections.defaultdict(list)
for exercise in EXERCISES.values():
    CHAPTERS[exercise.page.removesuffix("_in_depth")].append(exercise)
FULL = {page: found for page, found in CHAPTERS.items() if not page.endswith("_primer")}
each_checked = pytest.mark.parametrize("label", CHECKED)


def test_there_are_enough():
    assert len(EXERCISES) >= 80


@pytest.mark.parametrize("label", EXERCISES)
def test_the_first_line_says_kind_level_time_and_importance(label):
    kind, level, time, _, _ = EXERCISES[label].line
    assert (level == "research") == (kind == "Open-ended")
    assert level == "research" or time.endswith("minutes")


@pytest.mark.parametrize("label", EXERCISES)
def test_solutions_have_words(label):
    text = re.sub(r"\$\$.*?\$\$", " formula ", EXERCISES[label].solution, flags=re.S)
    assert len(re.sub(r"\$[^$]+\$", "x", text).split()) >= 12


@pytest.mark.parametrize("page", FULL)
def test_a_chapter_has_every_kind(page):
    flags = [exercise.line[4] for exercise in FULL[page]]
    assert set(exercises.FLAGS) <= set(flags)
    levels = [exercise.line[1] for exercise in FULL[page]]
    assert levels.count("hard") >= 2
    assert set(levels) == set(exercises.LEVELS)
    assert "core" in [exercise.line[3] for exercise in FULL[page]]


def test_graded_cases_are_those_of_checked_exercises():
    assert set(exercises.graded()) == set(CHECKED)


@each_checked
def test_a_slice_of_the_chapter_is_short_and_runs_no_sweep(label):
    given = exercises.given(EXERCISES[label])
    assert sum(len(part.splitlines()) for part in given) <= 35
    assert "sweep(" not in "\n".join(given)


@pytest.fixture
def no_sound(monkeypatch):
    monkeypatch.setenv("TQDM_DISABLE", "1")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@each_checked
def test_answers_are_graded(label, no_sound):
    """The reference is right, an empty answer is none, each wrong answer is told its reason."""
    exercise, entry = EXERCISES[label], exercises.graded()[label]
    say = exercises.grader(exercise)
    assert say(exercises.reference(exercise)) == ""
    assert say(exercises.written(exercise, "...")) == "not answered yet"
    seen = [*exercises.given(exercise, students=True), exercises.reference(exercise)]
    *lines, last = exercises.visible(exercise)
    space = {"check": exercise_check}
    exec("\n".join([*seen, *lines, f"said = {last}"]), space)
    assert space["said"] == "correct", "what students run says so"
    assert len(entry["wrong"]) >= 3
    for text, reason in entry["wrong"].items():
        assert say(exercises.written(exercise, text)).endswith(f": {reason}"), text


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("np.nan", "not a number"),
        ("1 / 0", "your function raised ZeroDivisionError"),
        ("[1.0, 2.0]", "shape"),
        ("exit(3)", "your function raised SystemExit"),
    ],
)
def test_bad_answers_are_told_what_is_wrong(answer, said):
    exercise = EXERCISES["ex-critical"]
    source = exercises.starter(exercise).replace("...", answer)
    assert said in exercises.grader(exercise)(source)


def test_an_endless_loop_ends(monkeypatch):
    monkeypatch.setattr(exercises, "SECONDS", 0.2)
    source = "def critical_step(alpha0, noise):\n    while True:\n        pass"
    said = exercises.grader(EXERCISES["ex-critical"])(source)
    assert "your function takes longer than 0.2 seconds" in said


def test_a_wrong_answer_that_passes_is_seen(monkeypatch):
    """The test of graded answers can fail: the right formula, listed as wrong, is found."""
    exercise = EXERCISES["ex-critical"]
    right = "1 / (0.6057 * np.sqrt(2 / np.pi + (1 + noise**2) / alpha0))"
    assert exercises.grader(exercise)(exercises.written(exercise, right)) == ""


def test_names_that_a_cell_needs():
    cells = ["import numpy as np\nn = 3\nm = 4", "def f(x):\n    return n * x", "n = 5", "t = {}"]
    cells += ["t['a'] = f(1)", "u = t"]
    lines = exercises.statements(cells)
    names = [s.source for s in exercises.needed({"u"}, lines)]
    assert names == ["def f(x):\n    return n * x", "n = 5", "t = {}", "t['a'] = f(1)", "u = t"]
    assert [s.source for s in exercises.needed({"m"}, lines)] == ["m = 4"]
