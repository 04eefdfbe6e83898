"""The assignments, through otter-grader itself."""

import functools
import json
import os
import re
import subprocess
import sys

import assignments
import exercises
import nbformat
import pytest

from .conftest import EXERCISES, WEEKS

# one of them here; the weekly run sets the variable
NUMBERS = range(1, 7) if os.environ.get("ALL_ASSIGNMENTS") else [1]
each_assignment = pytest.mark.parametrize("number", NUMBERS)
pytestmark = [pytest.mark.slow, pytest.mark.built]


@pytest.fixture(scope="module")
def built(texts, tmp_path_factory):
    """An assignment as `make course` builds it, in a folder of its own."""
    folder = tmp_path_factory.mktemp("course")

    @functools.cache
    def build(number):
        command = [sys.executable, assignments.__file__, str(number), str(folder)]
        subprocess.run(command, check=True, timeout=300, env=os.environ | {"MPLBACKEND": "agg"})
        return folder / f"assignment_{number}"

    return build


def student(folder):
    return nbformat.read(folder / f"{folder.name}.ipynb", 4)


def labels(number):
    return [label for label in WEEKS[number - 1]["homework"] if EXERCISES[label].call]


def answered(notebook, answers):
    """A student's notebook with the answers written in, by label."""
    for label, source in answers.items():
        function = exercises.starter(EXERCISES[label])
        (cell,) = [c for c in notebook.cells if c.source == function]
        cell.source = source
    return notebook


def graded(folder, notebook, path):
    """What otter gives: points and words of each question."""
    nbformat.write(notebook, path / "submission.ipynb")
    archive = folder / f"{folder.name}_autograder.zip"
    otter = [sys.executable, "-m", "otter", "run", "--no-logo", "-a", str(archive)]
    command = [*otter, "-o", str(path), "submission.ipynb"]
    subprocess.run(command, check=True, timeout=500, cwd=path, capture_output=True)
    results = json.loads((path / "results.json").read_text("utf-8"))["tests"]
    return {r["name"]: (r["score"], r["output"]) for r in results if "score" in r}


@each_assignment
def test_students_get_no_solution(built, number):
    text = (built(number) / f"assignment_{number}.ipynb").read_text("utf-8")
    for label in WEEKS[number - 1]["homework"]:
        exercise = EXERCISES[label]
        solution = assignments.texts()["exercises"][label]["solution"]
        for line in [*solution.split("\n\n"), *exercise.solution.split("\n\n")]:
            assert len(line) < 20 or json.dumps(line)[1:-1] not in text, label
        if exercise.call:
            for line in exercises.reference(exercise).splitlines()[1:]:
                words = json.dumps(line.strip())[1:-1]
                given = "\n".join([*exercise.starters, *exercises.given(exercise)])
                assert len(words) < 12 or line.strip() in given or words not in text, label
    assert "_solution" not in text
    assert "BEGIN SOLUTION" not in text
    assert "grade(" not in text


@each_assignment
def test_both_editions_hold_the_questions_of_the_week(built, number):
    homework, folder = WEEKS[number - 1]["homework"], built(number)
    solutions = nbformat.read(folder / f"assignment_{number}_solutions.ipynb", 4)
    for notebook in (student(folder), solutions):
        assert all(cell.source.strip() for cell in notebook.cells)
        text = "\n".join(cell.source for cell in notebook.cells)
        for label in homework:
            assert f"## {assignments.texts()['exercises'][label]['title']}" in text
        assert not re.search(r"\{(eq|doc|numref|term)\}`", text)
        points = re.findall(r"_Points:_ ([\d.]+)", text)
        assert [float(p) for p in points] == list(homework.values())


@each_assignment
def test_the_reference_has_full_marks(built, number, tmp_path):
    answers = {label: exercises.reference(EXERCISES[label]) for label in labels(number)}
    folder = built(number)
    found = graded(folder, answered(student(folder), answers), tmp_path)
    wanted = {label: WEEKS[number - 1]["homework"][label] for label in labels(number)}
    assert {label: score for label, (score, _) in found.items()} == wanted


@each_assignment
def test_an_empty_submission_has_none(built, number, tmp_path):
    found = graded(built(number), student(built(number)), tmp_path)
    assert set(found) == set(labels(number))
    for score, words in found.values():
        assert score == 0
        assert "not answered yet" in words


def test_a_fault_costs_its_own_question_only(built, tmp_path):
    """An exception, an endless loop and a syntax error; the fourth answer is right."""
    first, second, third, fourth = labels(1)
    heads = {label: exercises.starter(EXERCISES[label]).splitlines()[0] for label in labels(1)}
    answers = {
        first: f"{heads[first]}\n    return float('nan')",
        second: f"{heads[second]}\n    while True:\n        pass",
        third: f"{heads[third]}\n    return (",
        fourth: exercises.reference(EXERCISES[fourth]),
    }
    notebook = answered(student(built(1)), answers)
    for cell in notebook.cells:  # students may; it saves this test half a minute
        cell.source = re.sub(r"(?m)^(check\(.*)\)$", r"\1, seconds=1)", cell.source)
    found = graded(built(1), notebook, tmp_path)
    assert [score for score, _ in found.values()].count(0) == 3
    assert found[fourth][0] == WEEKS[0]["homework"][fourth]
    assert "not a number" in found[first][1]
    assert "takes longer than" in found[second][1]
    assert "there is no such function" in found[third][1]


def test_tampering_gains_nothing(built, tmp_path):
    """A check of one's own, a library and a NumPy that agree with all, a look into the caller."""
    notebook = student(built(1))
    cheat = "def check(*arguments, **options):\n    return 'correct'\n\n\n"
    cheat += "import sys\nimport twolayer.lab.exercises\n\n"
    cheat += "twolayer.lab.exercises.check = check\nnp.all = lambda *a, **k: True\n"
    cheat += "np.allclose = np.array_equal = np.all"
    notebook.cells.insert(4, nbformat.v4.new_code_cell(cheat))
    first, *_ = labels(1)
    head = exercises.starter(EXERCISES[first]).splitlines()[0]
    look = "[v for k in range(1, 4) for n, v in sys._getframe(k).f_locals.items() if 'expect' in n]"
    answers = {first: f"{head}\n    found = {look}\n    return found[0][0] if found else 3.0"}
    found = graded(built(1), answered(notebook, answers), tmp_path)
    assert {score for score, _ in found.values()} == {0}


def test_the_second_route_is_not_in_the_students_file(built):
    text = "\n".join(cell.source for cell in student(built(1)).cells)
    for label in labels(1):
        route = EXERCISES[label].call.args[2]
        assert f"def {route.id}(" not in text


def test_a_known_error_is_named(built, tmp_path):
    label = labels(1)[0]
    text, reason = next(iter(exercises.graded()[label]["wrong"].items()))
    answers = {label: exercises.written(EXERCISES[label], text)}
    found = graded(built(1), answered(student(built(1)), answers), tmp_path)
    assert reason in found[label][1]
