"""The six assignments: masters for otter-grader, made from the chapters' exercises.

A question is an exercise as its chapter has it: statement, starter, check. All points lie on a
hidden test, which grades on more cases and brings its own `check`. An exercise without a check is
graded by hand. Texts come from the built pages (``_build/course/texts.json``).
"""

import contextlib
import io
import json
import re
import shutil
import tempfile
import warnings

import chapters
import exercises
import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_raw_cell

OUT = chapters.ROOT / "_build" / "course"
TEXTS = OUT / "texts.json"
CONFIG = """# ASSIGNMENT CONFIG
name: {name}
requirements: requirements.txt
init_cell: false
export_cell: false
check_all_cell: false
show_question_points: true
tests: {{ok_format: false}}
generate: {{show_hidden: true, logo: false}}"""
FRONT = """# {title}

{words} There are {points} points. A code cell holds a function whose body is `...`: write your
answer over it and run the cell below it, which says *not answered yet*, what is wrong, or
*correct*, and never shows the right value. It is graded on these cases and on others. Where words
are asked for, write them in the cell below the question. Before you hand it in, restart the kernel
and run all cells: a cell with an error, or one that takes longer than five minutes, costs its own
question only."""
TEST = """def test_{name}(env):
    space = {{"__name__": "grading"}}
    exec({grading!r}, space)
    said = space["grade"](env.get({name!r}))
    assert not said, said
"""
SETUP = "from twolayer.lab.exercises import check, limit_cells\n\nlimit_cells()"


def texts():
    return json.loads(TEXTS.read_text("utf-8"))


def head(exercise, text):
    """Title and statement, and where they stand in the book."""
    kind, level, time, weight, flag = exercise.line
    line = f"*{kind}, {level}, {time}.*" + (f" **{flag}.**" if flag else "")
    statement = re.sub(r"^\*[^*]+\*\s*", "", text["statement"])
    where = f"Exercise {text['number']} of the book, in {text['page']}."
    return f"## {text['title']}\n\n{line} {statement}\n\n{where}"


def blank_lines(sources):
    """Statements as one cell: functions apart, the rest together."""
    text = "\n".join(
        f"\n\n{s}\n\n" if s.startswith(("def ", "class ", "@")) else s for s in sources
    )
    return re.sub(r"\n{4,}", "\n\n\n", text).strip("\n")


def question(exercise, text, points):
    """The cells of a question in a master."""
    config = {"name": exercise.label, "points": points}
    if not exercise.call:
        yield new_raw_cell(
            f"# BEGIN QUESTION\nname: {exercise.label}\nmanual: true\npoints: {points}"
        )
        yield new_markdown_cell(head(exercise, text))
        yield new_raw_cell("# BEGIN SOLUTION")
        yield new_markdown_cell(text["solution"])
        yield new_raw_cell("# END SOLUTION")
        yield new_raw_cell("# END QUESTION")
        return
    lines = "\n".join(f"{k}: {v}" for k, v in config.items())
    yield new_raw_cell(f"# BEGIN QUESTION\n{lines}\nall_or_nothing: true\ncheck_cell: false")
    yield new_markdown_cell(head(exercise, text))
    if code := blank_lines([s for s in exercises.given(exercise) if "import check" not in s]):
        yield new_code_cell(code)
    yield new_raw_cell("# BEGIN PROMPT")
    yield new_code_cell(exercises.starter(exercise))
    yield new_raw_cell("# END PROMPT")
    yield new_raw_cell("# BEGIN SOLUTION")
    yield new_markdown_cell(text["solution"])
    yield new_code_cell(exercises.reference(exercise))
    yield new_raw_cell("# END SOLUTION")
    own = [s.source for s in exercises.helpers(exercise)]
    call = next(s.source for s in exercises.statements(exercise.starters) if exercises.is_check(s))
    yield new_code_cell(blank_lines([*own, call]))
    yield new_raw_cell("# BEGIN TESTS")
    name, grading = exercise.answer, exercises.grading(exercise)
    test = TEST.format(name=name, grading=grading)
    yield new_code_cell(
        f'""" # BEGIN TEST CONFIG\nhidden: true\npoints: {points}\n""" # END TEST CONFIG\n{test}'
    )
    yield new_raw_cell("# END TESTS")
    yield new_raw_cell("# END QUESTION")


def master(number, week):
    """The master notebook of a week's assignment."""
    book, known = exercises.all_exercises(), texts()["exercises"]
    points = week["homework"]
    title = f"Assignment {number}: {week['title']}"
    front = FRONT.format(title=title, words=week["words"], points=sum(points.values()))
    cells = [
        new_raw_cell(CONFIG.format(name=f"assignment_{number}")),
        new_markdown_cell(front),
        new_code_cell(SETUP),
    ]
    for label, value in points.items():
        cells += question(book[label], known[label], value)
    for index, cell in enumerate(cells):
        cell.id = f"cell-{index:03d}"
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel})


def build(number, week):
    """Student and instructor editions and the autograder of a week's assignment."""
    from otter.assign import main as assign

    name, out = f"assignment_{number}", OUT / "assignments"
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        nbformat.write(master(number, week), f"{folder}/{name}.ipynb")
        with open(f"{folder}/requirements.txt", "w", encoding="utf-8") as file:
            file.write("twolayer\n")
        with contextlib.redirect_stdout(io.StringIO()):
            assign(f"{folder}/{name}.ipynb", f"{folder}/dist", no_pdfs=True)
        shutil.rmtree(out / name, ignore_errors=True)
        (out / name).mkdir(parents=True)
        shutil.copy(f"{folder}/dist/student/{name}.ipynb", out / name / f"{name}.ipynb")
        shutil.copy(
            f"{folder}/dist/autograder/{name}.ipynb", out / name / f"{name}_solutions.ipynb"
        )
        for file in (chapters.pathlib.Path(folder) / "dist/autograder").glob("*.zip"):
            shutil.copy(file, out / name / "autograder.zip")
