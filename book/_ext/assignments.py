"""The six assignments: masters for otter-grader, made from the chapters' exercises.

A question is an exercise as its chapter has it: statement, starter, check. All points lie on a
hidden test, which grades on more cases and brings its own `check`. An exercise without a check is
graded by hand. Texts come from the built pages (``_build/course/texts.json``).
"""

import contextlib
import hashlib
import json
import os
import pathlib
import re
import shutil
import sys
import tempfile
import warnings

import chapters
import exercises
import nbformat
import yaml
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

{words} There are {points} points: {automatic} for code, {by_hand} for words.

A code cell holds a function whose body is `...`: write your answer over it and run the cell below
it, which says *not answered yet*, what is wrong, or *correct*, and never shows the right value. It
is graded on these cases and on others, all or nothing. Words that a question asks for beside its
code go into a comment, for yourself; only questions without code are graded by their words. Before
you hand it in, restart the kernel and run all cells: a cell with an error, or one that takes longer
than five minutes, costs its own question only."""
TEST = """\"\"\" # BEGIN TEST CONFIG
hidden: true
points: {points}
\"\"\" # END TEST CONFIG
def test_{name}(env):
    own = {{"__name__": "grading"}}
    exec({tools!r}, own)
    said = own["ask"](env.get({name!r}), {program!r}, {seconds}, {word!r})
    assert said == {word!r}, said
"""
SETUP = "from twolayer.lab.exercises import check, limit_cells\n\nlimit_cells()"


def texts():
    return json.loads(TEXTS.read_text("utf-8"))


def head(exercise, text):
    """Title and statement, and where they stand in the book."""
    kind, level, time, _, flag = exercise.line
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
    checked = exercise.call is not None
    kind = "all_or_nothing: true\ncheck_cell: false" if checked else "manual: true"
    yield new_raw_cell(f"# BEGIN QUESTION\nname: {exercise.label}\npoints: {points}\n{kind}")
    yield new_markdown_cell(head(exercise, text))
    yield from (
        code_cells(exercise, text, points)
        if checked
        else within("SOLUTION", new_markdown_cell(text["solution"]))
    )
    yield new_raw_cell("# END QUESTION")


def within(block, *cells):
    return [new_raw_cell(f"# BEGIN {block}"), *cells, new_raw_cell(f"# END {block}")]


def code_cells(exercise, text, points):
    """What is given, the answer, the check that a learner sees and the test that grades."""
    given = exercises.given(exercise, students=True)
    given = [line for line in given if "import check" not in line]
    yield new_code_cell(blank_lines(given))
    yield from within("PROMPT", new_code_cell(exercises.starter(exercise)))
    solution = (
        new_markdown_cell(text["solution"]),
        new_code_cell(
            f"# BEGIN SOLUTION NO PROMPT\n{exercises.reference(exercise)}\n# END SOLUTION"
        ),
    )
    yield from within("SOLUTION", *solution)
    yield new_code_cell(blank_lines(exercises.visible(exercise)))
    program = exercises.SERVE.format(grading=exercises.grading(exercise))
    test = TEST.format(
        points=points,
        name=exercise.answer,
        tools=exercises.tools(),
        program=program,
        seconds=exercises.SECONDS,
        word=hashlib.sha256(program.encode()).hexdigest(),
    )
    yield from within("TESTS", new_code_cell(test))


def master(number, week):
    """The master notebook of a week's assignment."""
    book, known = exercises.all_exercises(), texts()["exercises"]
    points = week["homework"]
    title = f"Assignment {number}: {week['title']}"
    automatic = sum(value for label, value in points.items() if book[label].call)
    total = sum(points.values())
    front = FRONT.format(
        title=title,
        words=week["words"],
        points=total,
        automatic=automatic,
        by_hand=total - automatic,
    )
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


@contextlib.contextmanager
def quiet():
    """Without what otter and its kernels say; if they fail, the exception says it."""
    sys.stdout.flush()
    kept = os.dup(1), os.dup(2)
    with open(os.devnull, "w", encoding="utf-8") as nowhere:
        os.dup2(nowhere.fileno(), 1)
        os.dup2(nowhere.fileno(), 2)
        try:
            yield
        finally:
            sys.stdout.flush()
            for number, old in enumerate(kept, 1):
                os.dup2(old, number)
                os.close(old)


def build(number, week, out=OUT / "assignments"):
    """Student and instructor editions and the autograder of a week's assignment."""
    from otter.assign import main as assign

    name = f"assignment_{number}"
    out = out / name
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        folder = pathlib.Path(folder)
        nbformat.write(master(number, week), folder / f"{name}.ipynb")
        (folder / "requirements.txt").write_text(requirement(), "utf-8")
        with quiet():
            assign(str(folder / f"{name}.ipynb"), str(folder / "dist"), no_pdfs=True)
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir(parents=True)
        for edition, file in (
            ("student", f"{name}.ipynb"),
            ("autograder", f"{name}_solutions.ipynb"),
        ):
            notebook = nbformat.read(folder / "dist" / edition / f"{name}.ipynb", 4)
            notebook.cells = [cell for cell in notebook.cells if cell.source.strip()]
            nbformat.write(notebook, out / file)  # a solution that is taken out leaves a blank
        (archive,) = (folder / "dist" / "autograder").glob("*.zip")
        shutil.copy(archive, out / f"{name}_autograder.zip")
    return out


def requirement():
    repository = os.environ.get("BOOK_REPOSITORY", "")
    return f"twolayer @ git+{repository}\n" if repository else "twolayer\n"


if __name__ == "__main__":
    weeks = yaml.safe_load((chapters.ROOT / "course" / "course.yml").read_text("utf-8"))["weeks"]
    build(int(sys.argv[1]), weeks[int(sys.argv[1]) - 1], pathlib.Path(sys.argv[2]))
