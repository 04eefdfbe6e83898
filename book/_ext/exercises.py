"""The exercises of the chapters: what each asks for, and how an answer is graded.

An exercise is *checked* where a cell ends in ``check(answer, cases, expected)``. It is graded on
those cases and on more, from ``course/cases.py``; a wrong answer listed there is told its reason.

``python book/_ext/exercises.py`` grades, for all chapters or for those named, each reference, an
empty answer and each wrong answer.
"""

import ast
import base64
import builtins
import copy
import dataclasses
import functools
import json
import pathlib
import re
import runpy
import symtable
import sys
import time
import zlib

import chapters
import jupytext
import numpy as np

KINDS = ("Computation", "Derivation", "Experiment", "Discussion", "Open-ended")
LEVELS = ("easy", "medium", "hard", "research")
WEIGHTS = ("core", "useful", "extra")
FLAGS = ("Predict first", "Read the figure", "Find the bug", "Criticise a claim")
TIMES = {"an hour": 60, "an afternoon": 240, "a day": 480, "a week": 2400}
GRAMMAR = re.compile(
    rf"\*({'|'.join(KINDS)}), ({'|'.join(LEVELS)}), (\d+ minutes|{'|'.join(TIMES)}), "
    rf"({'|'.join(WEIGHTS)})\.(?: ({'|'.join(FLAGS)})\.)?\*"
)
SECONDS = 30  # for one call of an answer that is graded
PART = re.compile(
    r"^:::\{(exercise-start|exercise-end|solution-start|solution-end)\} ?(.*)\n((?::\w.*\n)*):::$|"
    r"^(## .+)$",
    re.M,
)


@dataclasses.dataclass
class Exercise:
    """An exercise as its chapter has it: texts in MyST, code as it stands in the cells."""

    label: str
    title: str
    page: str
    before: list  # the page's code up to here
    statement: str = ""
    starters: list = dataclasses.field(default_factory=list)
    solution: str = ""
    solutions: list = dataclasses.field(default_factory=list)

    @functools.cached_property
    def line(self):
        """Kind, level, time, importance and flag, by the first line of the statement."""
        found = GRAMMAR.match(self.statement.strip())
        if not found:
            raise ValueError(f"{self.label}: the first line says no kind, level, time, importance")
        return found.groups()

    @property
    def minutes(self):
        time = self.line[2]
        return TIMES[time] if time in TIMES else int(time.split()[0])

    @functools.cached_property
    def call(self):
        """The call of ``check``; None where the exercise is not checked."""
        for statement in ast.parse("\n".join(self.starters)).body:
            call = getattr(statement, "value", None)
            if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "check":
                return call
        return None

    @property
    def answer(self):
        """The name of the function that a learner writes."""
        return self.call.args[0].id


def read(path):
    """The exercises of a page, in order."""
    found, code, state, now = [], [], "page", None
    for cell in jupytext.read(path).cells:
        if cell.cell_type == "code":
            if state in ("exercise-start", "exercise-end"):
                now.starters.append(cell.source)
            elif state == "solution-start":
                now.solutions.append(cell.source)
            else:
                code.append(cell.source)
            continue
        last = 0
        for mark in [*PART.finditer(cell.source), None]:
            text = cell.source[last : mark.start() if mark else None].strip()
            if state == "exercise-start":
                now.statement = f"{now.statement}\n\n{text}".strip()
            elif state == "solution-start":
                now.solution = f"{now.solution}\n\n{text}".strip()
            if mark is None:
                break
            last, state = mark.end(), "page" if mark[4] else mark[1]
            if state == "exercise-start":
                label = re.search(r":label: (\S+)", mark[3])[1]
                now = Exercise(label, mark[2], chapters.name(path), list(code))
                found.append(now)
    return found


@functools.cache
def all_exercises():
    """Every exercise of the book, by its label."""
    return {e.label: e for path in chapters.chapters() for e in read(path)}


# the part of a chapter's code that an exercise needs


def _names(source):
    """Names that a statement binds, and global names that it uses."""
    bound, used = set(), set()

    def walk(table, top):
        for symbol in table.get_symbols():
            name = symbol.get_name()
            if top and (symbol.is_assigned() or symbol.is_imported()):
                bound.add(name)
            if symbol.is_referenced() and (top or symbol.is_global()):
                used.add(name)
        for child in table.get_children():
            walk(child, False)

    walk(symtable.symtable(source, "cell", "exec"), True)
    return bound, used


def _filled(node):
    """Names of what a statement fills in place, as in ``table[key] = value``."""
    stores = (n for n in ast.walk(node) if isinstance(n, ast.Subscript | ast.Attribute))
    stores = (n.value for n in stores if isinstance(n.ctx, ast.Store))
    return {n.id for n in stores if isinstance(n, ast.Name)}


class Statement:
    """A top-level statement of a cell, with the names that it binds and uses."""

    def __init__(self, node, source):
        self.node, self.source = node, ast.get_source_segment(source, node)
        if getattr(node, "decorator_list", ()):
            first = node.decorator_list[0].lineno - 1
            self.source = "\n".join(source.splitlines()[first : node.end_lineno])
        self.binds, self.uses = _names(self.source)
        self.fills = _filled(node)
        self.late = isinstance(node, ast.FunctionDef)  # looks its names up when it is called


def statements(cells):
    sources = [re.sub(r"^\s*[%!].*$", "", cell, flags=re.M) for cell in cells]
    return [Statement(node, s) for s in sources for node in ast.parse(s).body]


def needed(wanted, before):
    """The statements among ``before`` that define the names ``wanted``, in order."""
    chosen, open_names, seen = set(), [(name, len(before)) for name in sorted(wanted)], set()
    while open_names:
        name, until = open_names.pop()
        if (name, until) in seen or hasattr(builtins, name):
            continue
        seen.add((name, until))
        binders = [k for k in range(until) if name in before[k].binds]
        if not binders:
            continue
        fills = [k for k in range(binders[-1] + 1, until) if name in before[k].fills]
        for k in [binders[-1], *fills]:
            chosen.add(k)
            limit = len(before) if before[k].late else k
            open_names += [(other, limit) for other in before[k].uses]
    return [before[k] for k in sorted(chosen)]


def trimmed(statement, wanted):
    """The source of a statement; of an import only the names that are wanted."""
    node = statement.node
    if not isinstance(node, ast.ImportFrom | ast.Import):
        return statement.source
    kept = [a for a in node.names if (a.asname or a.name.partition(".")[0]) in wanted]
    return ast.unparse(type(node)(**{**vars(node), "names": kept}))


def given(exercise, *, students=False):
    """The code of the chapter that statement and reference need, as a list of statements.

    For students: without what only the second route needs.
    """
    own = statements([*exercise.starters, reference(exercise)])
    if students:
        told = [s for part in shown_helpers(exercise) for s in part]
        own = [*statements([starter(exercise), reference(exercise)]), *told]
    wanted = set().union(*(s.uses for s in own))
    defined = set().union(*(s.binds for s in own))
    chosen = needed(wanted - defined, statements(exercise.before))
    wanted = wanted.union(*(s.uses for s in chosen))
    lines = [trimmed(s, wanted) for s in chosen]
    if students:
        lines += [s.source for s in shown_helpers(exercise)[0]]
    return lines if "import numpy as np" in lines else ["import numpy as np", *lines]


def is_check(statement):
    return isinstance(statement.node, ast.Expr) and "check(" in statement.source


def helpers(exercise):
    """What the starter defines beside the answer: cases and the second route."""
    own = statements(exercise.starters)
    return [s for s in own if s.binds != {exercise.answer} and not is_check(s)]


def starter(exercise):
    """The function that a learner fills in."""
    return next(s.source for s in statements(exercise.starters) if s.binds == {exercise.answer})


def reference(exercise):
    """The chapter's solution, under the name of the answer, with what it needs of its cells."""
    own, name = statements(exercise.solutions), f"{exercise.answer}_solution"
    kept = needed({name}, [s for s in own if not isinstance(s.node, ast.Assert)])
    return re.sub(rf"\b{name}\b", exercise.answer, "\n\n".join(s.source for s in kept))


def written(exercise, text):
    """The learner's function with a text over its ``...``; a text with ``def`` replaces it."""
    if text.startswith("def "):
        return text
    return re.sub(r"(?m)^(\s+return )\.\.\.$", lambda m: m[1] + text, starter(exercise), count=1)


# grading


@functools.cache
def graded():
    """What ``course/cases.py`` says, by label."""
    file = chapters.ROOT / "course" / "cases.py"
    return runpy.run_path(str(file))["GRADED"] if file.exists() else {}


def grading(exercise):
    """The judge's program: it defines ``_cases`` and ``judge(outputs)``, which says what is wrong.

    It brings its own `check`, its own copy of all that the exercise needs and the wrong answers
    that are known.
    """
    more = graded().get(exercise.label, {"cases": "[]", "wrong": {}})
    call, lines = exercise.call, []
    by_name, own = isinstance(call.args[1], ast.Name), helpers(exercise)
    bound = [k for k, s in enumerate(own) if by_name and call.args[1].id in s.binds]
    for k, statement in enumerate(own):
        lines.append(statement.source)
        if k in bound[-1:]:
            lines.append(f"{call.args[1].id} = [*{call.args[1].id}, *{more['cases']}]")
    wrong = [(written(exercise, text), reason) for text, reason in more["wrong"].items()]
    judge = JUDGE.format(
        tools=tools(),
        cases=ast.unparse(call.args[1]) + ("" if by_name else f" + {more['cases']}"),
        expected=ast.unparse(call.args[2]),
        options="".join(f"{k.arg!r}: {ast.unparse(k.value)}, " for k in call.keywords),
        wrong=wrong,
        name=exercise.answer,
        seconds=SECONDS,
    )
    return "\n".join([*given(exercise), *lines, judge])


def tools():
    """The texts of `check` and of what the grading does beside it."""
    files = ("lib/twolayer/lab/exercises.py", "book/_ext/grading.py")
    return "\n\n".join((chapters.ROOT / file).read_text("utf-8") for file in files)


def visible(exercise):
    """The cell with which students check themselves: cases, and values that are not spelt out.

    Not the second route: written into the answer, it would be right on all cases.
    """
    call, own = exercise.call, helpers(exercise)
    space = {"__name__": "grading"}
    exec("\n".join([*given(exercise), *(s.source for s in own)]), space)
    cases, expected = (eval(ast.unparse(arg), space) for arg in call.args[1:3])
    if callable(expected):
        cases = [case if isinstance(case, tuple) else (case,) for case in cases]
        expected = [expected(*copy.deepcopy(case)) for case in cases]
    values = json.dumps([np.asarray(value, float).tolist() for value in expected])
    packed = base64.b64encode(zlib.compress(values.encode())).decode()
    rest = "".join(f", {k.arg}={ast.unparse(k.value)}" for k in call.keywords)
    lines = [s.source for s in shown_helpers(exercise)[1]]
    lines += ["values = json.loads(zlib.decompress(base64.b64decode(", *quoted(packed), ")))"]
    lines += [f"check({exercise.answer}, {ast.unparse(call.args[1])}, values{rest})"]
    return ["import base64", "import json", "import zlib", *lines]


def quoted(text, width=70):
    return [f'    "{text[k : k + width]}"' for k in range(0, len(text), width)]


def shown_helpers(exercise):
    """The statements beside the answer that students get: all but what only the second route needs.

    Those that answer or reference need come first, and those that the cases need after them.
    """
    own = helpers(exercise)
    uses = set().union(*(s.uses for s in statements([starter(exercise), reference(exercise)])))
    before = needed(uses, own)
    cases = needed(_names(ast.unparse(exercise.call.args[1]))[1], own)
    route = needed(_names(ast.unparse(exercise.call.args[2]))[1], own)
    names = set().union(*(s.binds for s in cases if s not in before))
    told = [s for s in own if s in before or not (s in route or s in cases or s.uses & names)]
    return told, [s for s in own if s not in told and (s in cases or s not in route)]


JUDGE = """
_own, _known = {{"__name__": "grading"}}, {{}}
exec({tools!r}, _own)
_cases, _expected = [c if isinstance(c, tuple) else (c,) for c in {cases}], {expected}
if callable(_expected):
    _expected = [_expected(*_own["copy"].deepcopy(case)) for case in _cases]


def _wrong():
    for source, reason in {wrong!r}:
        if source not in _known:
            space = dict(globals())
            exec(source, space)
            _known[source] = _own["collect"](space["{name}"], _cases, {seconds})
        yield _known[source], reason


def judge(outputs):
    return _own["say"](outputs, _cases, _expected, _wrong(), {{{options}"seconds": {seconds}}})
"""
SERVE = """import sys

_pipe, sys.stdout = sys.stdout.buffer, sys.stderr
{grading}
_own["serve"](_pipe, _cases, judge)
"""


def grader(exercise):
    """Says of an answer's source what the grading says, in this process; for many answers."""
    judge, side = {"__name__": "grading"}, {"__name__": "grading"}
    exec(grading(exercise), judge)
    exec(tools(), side)
    given_code = "\n".join([*given(exercise), *(s.source for s in helpers(exercise))])

    def say(answer):
        own = {"__name__": "submission"}
        exec(f"{given_code}\n{answer}", own)
        function = own[exercise.answer]
        return judge["judge"](side["collect"](function, judge["_cases"], SECONDS))

    return say


def main(*names):
    import warnings

    warnings.simplefilter("ignore")
    failed = 0
    for exercise in all_exercises().values():
        if not exercise.call or (names and exercise.page.removesuffix("_in_depth") not in names):
            continue
        begin, entry = time.perf_counter(), graded().get(exercise.label)
        try:
            say = grader(exercise)
            said = say(reference(exercise))
            faults = [f"reference: {said}"] if said else []
            if (said := say(written(exercise, "..."))) != "not answered yet":
                faults.append(f"empty answer: {said}")
            for text, reason in (entry or {"wrong": {}})["wrong"].items():
                said = say(written(exercise, text))
                if not said.endswith(f": {reason}"):
                    faults.append(f"{text!r}: {said or 'PASSES'}")
        except Exception as error:
            faults = [f"{type(error).__name__}: {error}"]
        if entry is None:
            faults.append("no entry in course/cases.py")
        failed += bool(faults)
        print(
            f"{exercise.label}: {time.perf_counter() - begin:.1f} s {'; '.join(faults)}", flush=True
        )
    return int(failed > 0)


if __name__ == "__main__":
    sys.path.insert(0, str(pathlib.Path(__file__).parent))
    sys.exit(main(*sys.argv[1:]))
