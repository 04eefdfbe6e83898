"""The directive ``quiz``: multiple-choice questions from ``course/quizzes``.

An answer is a fold that opens on why it is right or wrong. So it needs no script, works by
keyboard, and prints.
"""

import chapters
import yaml
from docutils import nodes
from docutils.parsers.rst import Directive
from docutils.statemachine import StringList

FOLDER = chapters.ROOT / "course" / "quizzes"


def read(name):
    return yaml.safe_load((FOLDER / f"{name}.yml").read_text("utf-8"))


def answer_lines(answer):
    """One answer as a fold: the right one says so first."""
    right = "right" in answer
    yield f"::::{{dropdown}} {answer['right' if right else 'wrong'].strip()}"
    yield f":class-container: quiz-{'right' if right else 'wrong'}"
    yield ""
    yield f"**{'Right.' if right else 'No.'}** {answer['why'].strip()}"
    yield "::::"
    yield ""


def lines(quiz):
    for number, question in enumerate(quiz["questions"], 1):
        yield f"**{number}.** {question['ask'].strip()}"
        yield ""
        for answer in question["answers"]:
            yield from answer_lines(answer)


class Quiz(Directive):
    required_arguments = 1

    def run(self):
        (name,) = self.arguments
        environment = self.state.document.settings.env
        environment.note_dependency(str(FOLDER / f"{name}.yml"))
        box = nodes.container(classes=["quiz"])
        text = "\n".join(lines(read(name))).split("\n")
        self.state.nested_parse(StringList(text, f"{name}.yml"), self.content_offset, box)
        return [box]


def setup(app):
    app.add_directive("quiz", Quiz)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
