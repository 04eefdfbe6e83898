"""A result is never served after the code behind it was edited: each way in fresh processes.

In each situation `work.py` calls `cached` on a function whose result is V times 5, where V stands
somewhere in the code. Run twice, the second run must read the kept result (so that the test could
fail); with V edited it must compute anew.
"""

import os
import pathlib
import subprocess
import sys
import textwrap

import pytest

pytestmark = pytest.mark.slow

START = """
import functools
from twolayer.lab.sweep import cached
def log():
    with open("log", "a") as file:
        file.write("x")
"""
# name: the body of work.py, between START and a call of `f`, or {file: text}
IN_SCRIPT = {
    "literal": "def f(n, rng): log(); return V * n",
    "global": "SCALE = V\ndef f(n, rng): log(); return SCALE * n",
    "helper": "def h(n): return V * n\ndef f(n, rng): log(); return h(n)",
    "helper of a helper": """
        def g(n): return V * n
        def h(n): return g(n)
        def f(n, rng): log(); return h(n)""",
    "closure": """
        def make(v):
            def f(n, rng): log(); return v * n
            return f
        f = make(V)""",
    "default": "def f(n, rng, scale=V): log(); return scale * n",
    "keyword-only default": "def f(n, rng, *, scale=V): log(); return scale * n",
    "partial": """
        def g(n, rng, scale): log(); return scale * n
        f = functools.partial(g, scale=V)""",
    "function inside a partial": """
        def h(n): return V * n
        def g(n, rng, h): log(); return h(n)
        f = functools.partial(g, h=h)""",
    "lambda": "f = lambda n, rng: (log(), V * n)[1]",
    "two lambdas on one line": """
        f, g = (lambda n, rng: (log(), V * n)[1]), (lambda n, rng: (log(), 7 * n)[1])""",
    "lambda inside": "def f(n, rng): log(); return (lambda: V)() * n",
    "comprehension": "def f(n, rng): log(); return sum([V for _ in range(n)])",
    "generator": """
        def g(n):
            for _ in range(n): yield V
        def f(n, rng): log(); return sum(g(n))""",
    "class": """
        class H:
            def get(self): return V
        def f(n, rng): log(); return H().get() * n""",
    "bound method": """
        class H:
            def f(self, n, rng): log(); return V * n
        f = H().f""",
    "attribute of an instance": """
        class H:
            def __init__(self, v): self.v = v
            def f(self, n, rng): log(); return self.v * n
        f = H(V).f""",
    "callable instance": """
        class H:
            def __call__(self, n, rng): log(); return V * n
        f = H()""",
    "base class": """
        class B:
            def get(self): return V
        class H(B): pass
        def f(n, rng): log(); return H().get() * n""",
    "property's helper": """
        def h(): return V
        class H:
            @property
            def v(self): return h()
        def f(n, rng): log(); return H().v * n""",
    "class and static methods": """
        class H:
            @staticmethod
            def a(): return V
            @classmethod
            def b(cls): return cls.a()
        def f(n, rng): log(); return H.b() * n""",
    "metaclass": """
        class M(type):
            @property
            def v(cls): return V
        class H(metaclass=M): pass
        def f(n, rng): log(); return H.v * n""",
    "descriptor": """
        class D:
            def __get__(self, *a): return V
        class H: v = D()
        def f(n, rng): log(); return H.v * n""",
    "decorator with wraps": """
        def times(g):
            @functools.wraps(g)
            def inner(n, rng): return V * g(n, rng)
            return inner
        @times
        def f(n, rng): log(); return n""",
    "lru_cache": """
        @functools.lru_cache
        def h(n): return V * n
        def f(n, rng): log(); return h(n)""",
    "singledispatch": """
        @functools.singledispatch
        def h(n): return 7
        @h.register
        def _(n: int): return V * n
        def f(n, rng): log(); return h(n)""",
    "function in a dict": """
        def h(n): return V * n
        TABLE = {"h": h}
        def f(n, rng): log(); return TABLE["h"](n)""",
    "lambda in a list": "TABLE = [lambda n: V * n]\ndef f(n, rng): log(); return TABLE[0](n)",
    "function as a default": """
        def h(n): return V * n
        def f(n, rng, h=h): log(); return h(n)""",
    "monkeypatch": """
        import math
        math.tau = V
        def f(n, rng): log(); return math.tau * n""",
    "value changed later": """
        STATE = {"v": 1}
        def f(n, rng): log(); return STATE["v"] * n
        STATE["v"] = V""",
    "getattr by name": """
        class H: v = V
        def f(n, rng): log(); return getattr(H, "".join("v")) * n""",
    "code in a string": """
        exec("def h(n): return V * n")
        def f(n, rng): log(); return h(n)""",
}
CALL = {
    "function as a setting": """
        def h(n): return V * n
        def f(h, n, rng): log(); return h(n)
        print(cached(f, h=h, n=5))""",
    "data object that holds a function": """
        import dataclasses
        @dataclasses.dataclass(frozen=True)
        class Data:
            link: object
        def h(n): return V * n
        def f(data, n, rng): log(); return data.link(n)
        print(cached(f, data=Data(h), n=5))""",
    "nested calls": """
        def g(n, rng): return V * n
        def f(n, rng): log(); return cached(g, n=n)
        print(cached(f, n=5))""",
}
H = {"mod.py": "def h(n): return V * n\nSCALE = V\n"}
MODULES = {
    "attribute of a module": (H, "import mod\ndef f(n, rng): log(); return mod.h(n)"),
    "constant of a module": (H, "import mod\ndef f(n, rng): log(); return mod.SCALE * n"),
    "name from a module": (H, "from mod import h\ndef f(n, rng): log(); return h(n)"),
    "constant from a module": (H, "from mod import SCALE\ndef f(n, rng): log(); return SCALE * n"),
    "star": (H, "from mod import *\ndef f(n, rng): log(); return h(n)"),
    "import inside the function": (H, "def f(n, rng): log(); import mod; return mod.h(n)"),
    "import by name inside": (
        H,
        "import importlib\ndef f(n, rng): log(); return importlib.import_module('mod').h(n)",
    ),
    "import that a setting asks for": (
        H,
        "def f(n, rng):\n    log()\n    if n > 4:\n        from mod import h\n    return h(n)",
    ),
    "base class in a module": (
        {"mod.py": "class B:\n    def get(self): return V"},
        "from mod import B\nclass H(B): pass\ndef f(n, rng): log(); return H().get() * n",
    ),
    "decorator in a module": (
        {"mod.py": "def times(g):\n    return lambda n, rng: V * g(n, rng)"},
        "from mod import times\n@times\ndef f(n, rng): log(); return n",
    ),
    "module behind a module": (
        {"mod.py": "from deep import h", "deep.py": "def h(n): return V * n"},
        "import mod\ndef f(n, rng): log(); return mod.h(n)",
    ),
    "init of a package": (
        {"pkg/__init__.py": "SCALE = V"},
        "import pkg\ndef f(n, rng): log(); return pkg.SCALE * n",
    ),
    "submodule by a relative import": (
        {"pkg/__init__.py": "from .sub import h", "pkg/sub.py": "def h(n): return V * n"},
        "import pkg\ndef f(n, rng): log(); return pkg.h(n)",
    ),
    "namespace package": (
        {"space/sub.py": "def h(n): return V * n"},
        "import space.sub\ndef f(n, rng): log(); return space.sub.h(n)",
    ),
    "module's getattr": (
        {"mod.py": "def __getattr__(name): return V"},
        "import mod\ndef f(n, rng): log(); return mod.anything * n",
    ),
    "module without an entry in sys.modules": (
        H,
        "import importlib.util as u\nspec = u.spec_from_file_location('odd', 'mod.py')\n"
        "m = u.module_from_spec(spec)\nspec.loader.exec_module(m)\n"
        "def f(n, rng): log(); return m.h(n)",
    ),
    "runpy": (
        H,
        "import runpy\nscale = runpy.run_path('mod.py')['SCALE']\n"
        "def f(n, rng): log(); return scale * n",
    ),
    "exec of a file": (H, "exec(open('mod.py').read())\ndef f(n, rng): log(); return h(n)"),
    "module that patches another": (
        {"mod.py": "import math\nmath.tau = V"},
        "import math, mod\ndef f(n, rng): log(); return math.tau * n",
    ),
    "folder that begins like an installed one": (
        {"SITE-extra/odd.py": "def h(n): return V * n"},
        "import sys\nsys.path.insert(0, SITE + '-extra')\n"
        "import odd\ndef f(n, rng): log(); return odd.h(n)",
    ),
}


#: Situations in which the code lies outside of the program itself.
IN_MODULES = {START + body + "\nprint(cached(f, n=5))" for _, body in MODULES.values()}


class Program:
    def __init__(self, folder):
        self.folder = folder
        keep = {k: v for k, v in os.environ.items() if not k.startswith(("TWOLAYER", "PYTHON"))}
        self.environment = keep | {"TWOLAYER_CACHE": str(folder / "kept")}
        # an edit within one second that keeps the size is not seen by Python's own bytecode cache
        self.environment["PYTHONDONTWRITEBYTECODE"] = "1"

    def write(self, files, v):
        for name, text in files.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text.replace("V", str(v)))

    def run(self, *arguments, command=("work.py",)):
        """What the program prints, how often its function ran, and what it said."""
        (self.folder / "log").write_text("")
        done = subprocess.run(
            [sys.executable, *command, *map(str, arguments)],
            cwd=self.folder, env=self.environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout.strip(), len((self.folder / "log").read_text()), done.stderr


@pytest.fixture
def program(tmp_path):
    return Program(tmp_path)


def situation(name):
    if name in IN_SCRIPT:
        return {"work.py": START + textwrap.dedent(IN_SCRIPT[name]) + "\nprint(cached(f, n=5))"}
    if name in CALL:
        return {"work.py": START + textwrap.dedent(CALL[name])}
    files, body = MODULES[name]
    return {**files, "work.py": START + body + "\nprint(cached(f, n=5))"}


@pytest.mark.parametrize("name", [*IN_SCRIPT, *CALL, *MODULES])
def test_an_edit_is_seen(program, name):
    files = situation(name)
    if "SITE" in str(files):
        import sysconfig

        extra = pathlib.Path(sysconfig.get_paths()["purelib"] + "-extra")
        site = repr(str(extra).removesuffix("-extra"))
        files = {"work.py": files["work.py"].replace("SITE", site)}
        extra.mkdir()
        try:
            odd = Program(extra)
            odd.write({"odd.py": "def h(n): return V * n"}, 2)
            check_edit(program, files, lambda v: odd.write({"odd.py": "def h(n): return V * n"}, v))
        finally:
            import shutil

            shutil.rmtree(extra)
        return
    check_edit(program, files)


def check_edit(program, files, edit=None):
    program.write(files, 2)
    first = program.run()
    assert first == ("10", 1, "")
    if files["work.py"] in IN_MODULES:  # the others are alike in this
        assert program.run() == ("10", 0, ""), "an unchanged program reads what it kept"
    assert list(program.folder.glob("kept/*/*.pkl"))
    (edit or (lambda v: program.write(files, v)))(3)
    assert program.run() == ("15", 1, "")


def test_arguments_of_the_program_count(program):
    program.write({"work.py": START + ARGUMENT}, 0)
    assert [program.run(v)[:2] for v in (2, 3, 2)] == [("10", 1), ("15", 1), ("10", 0)]


ARGUMENT = """
import sys
def f(n, rng): log(); return int(sys.argv[1]) * n
print(cached(f, n=5))
"""


def test_code_on_the_command_line_counts(program):
    texts = [
        START + f"\ndef f(n, rng): log(); return {v} * n\nprint(cached(f, n=5))" for v in (2, 3)
    ]
    got = [program.run(command=("-c", text))[:2] for text in (*texts, texts[0])]
    assert got == [("10", 1), ("15", 1), ("10", 0)]


def test_one_function_in_several_states_is_several_results(program):
    body = """
for v in (2, 3, 2):
    def f(n, rng): log(); return v * n
    print(cached(f, n=5), end=" ")
"""
    program.write({"work.py": START + body}, 0)
    assert [program.run()[:2] for _ in range(2)] == [("10 15 10", 3), ("10 15 10", 0)]


def test_a_nested_call_whose_turn_moves_is_not_confused(program):
    """The second run reads the first outer results, so that fewer inner calls come before."""
    body = """
import os, sys
STATE = {"v": 0}
def g(n, rng): return STATE["v"] * n
def f(v, rng):
    log()
    STATE["v"] = v
    if v == 4 and not os.path.exists("again"):
        open("again", "w").close()
        sys.exit()
    return cached(g, n=5)
for v in (2, 3, 4):
    print(cached(f, v=v), end=" ", flush=True)
"""
    program.write({"work.py": START + body}, 0)
    assert program.run()[:2] == ("10 15", 3)
    assert program.run()[:2] == ("10 15 20", 1)


def test_a_call_inside_one_that_is_not_kept_is_not_kept(program):
    body = """
from twolayer.lab.sweep import sweep
def g(n, rng): log(); return {"v": V * n}
def f(n, rng): return cached(g, n=n)
print(sweep(f, {"n": [5]}, 1, cache=False, progress=False).v.item())
"""
    for v, want in ((2, "10"), (3, "15")):
        program.write({"work.py": START + body}, v)
        out, count, said = program.run()
        assert (out, count) == (want, 1)
        assert "part of one that is not kept" in said


def test_a_module_edited_after_its_import_does_not_poison_the_next_process(program):
    body = """
import mod, pathlib
def f(n, rng): log(); return mod.h(n)
if not pathlib.Path("done").exists():
    pathlib.Path("mod.py").write_text("def h(n): return 3 * n")
    pathlib.Path("done").touch()
print(cached(f, n=5))
"""
    program.write({"mod.py": "def h(n): return V * n", "work.py": START + body}, 2)
    assert program.run()[:2] == ("10", 1)
    assert program.run()[:2] == ("15", 1)


def test_a_module_loaded_before_the_library_and_then_edited_is_not_trusted(program):
    body = """
import mod, pathlib, time
pathlib.Path("mod.py").write_text("def h(n): return 3 * n")
"""
    end = "\ndef f(n, rng): log(); return mod.h(n)\nprint(cached(f, n=5))"
    program.write({"mod.py": "def h(n): return V * n", "work.py": body + START + end}, 2)
    out, count, said = program.run()
    assert (out, count) == ("10", 1)
    assert "mod.py was changed after this process began" in said
    assert program.run()[:2] == ("15", 1)


def test_bytecode_older_than_its_source_does_not_poison_either(program):
    """Python trusts a bytecode file whose source has the same size and time."""
    files = {"mod.py": H["mod.py"], "work.py": START + MODULES["attribute of a module"][1]}
    files["work.py"] += "\nprint(cached(f, n=5))"
    del program.environment["PYTHONDONTWRITEBYTECODE"]
    program.write(files, 2)
    times = os.stat(program.folder / "mod.py")
    assert program.run()[:2] == ("10", 1)
    program.write(files, 3)
    os.utime(program.folder / "mod.py", ns=(times.st_atime_ns, times.st_mtime_ns))
    assert program.run()[0] == "10", "Python itself runs the old bytecode"
    for file in (program.folder / "__pycache__").iterdir():
        file.unlink()
    assert program.run()[:2] == ("15", 1)


def test_a_reload_is_another_program(program):
    body = """
import importlib, mod, pathlib
def f(n, rng): log(); return mod.h(n)
print(cached(f, n=5), end=" ")
pathlib.Path("mod.py").write_text("def h(n): return 34 * n")
importlib.reload(mod)
print(cached(f, n=5))
pathlib.Path("mod.py").write_text("def h(n): return 2 * n")
"""
    program.write({"mod.py": "def h(n): return V * n", "work.py": START + body}, 2)
    assert program.run()[:2] == ("10 170", 2)
    assert program.run()[:2] == ("10 170", 0)


def test_what_a_result_loaded_counts_for_the_calls_after_it(program):
    body = """
def f(n, rng): log(); import mod; return mod.h(n)
def g(n, rng): log(); import mod; return mod.h(n)
print(cached(f, n=5), cached(g, n=5))
"""
    files = {"mod.py": "def h(n): return V * n", "work.py": START + body}
    program.write(files, 2)
    assert [program.run()[:2] for _ in range(2)] == [("10 10", 2), ("10 10", 0)]
    program.write(files, 3)
    assert program.run()[:2] == ("15 15", 2)


NOTEBOOK = """
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
for cell in open("cells").read().split("###"):
    shell.run_cell(cell, store_history=True)
"""


@pytest.mark.parametrize("place", ["in the cell", "in a cell before", "in a file that is run"])
def test_the_cells_of_a_notebook_count(program, place):
    cells = {
        "in the cell": "\nv = V\ndef f(n, rng): log(); return v * n\nprint(cached(f, n=5))",
        "in a cell before": "\nv = V\n###def f(n, rng): log(); return v * n\nprint(cached(f, n=5))",
        "in a file that is run": "\n%run mod.py\n###\ndef f(n, rng): log(); return h(n)\n"
        "print(cached(f, n=5))",
    }
    files = {"cells": START + cells[place], "work.py": NOTEBOOK, "mod.py": H["mod.py"]}
    program.write(files, 2)
    assert [program.run()[:2] for _ in range(2)] == [("10", 1), ("10", 0)]
    program.write(files, 3)
    assert program.run()[:2] == ("15", 1)


def test_a_cell_run_twice_is_another_program(program):
    cells = "\nv = 1\n###v *= 2\ndef f(n, rng): log(); return v * n\nprint(cached(f, n=5))"
    cells += cells[cells.index("###") :]
    program.write({"cells": START + cells, "work.py": NOTEBOOK}, 0)
    assert [program.run()[:2] for _ in range(2)] == [("10\n20", 2), ("10\n20", 0)]


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("import threading\nt = threading.Thread(target=call)\nt.start()\nt.join()", "a thread"),
        (
            "import multiprocessing\nt = multiprocessing.Process(target=call)\nt.start()\nt.join()",
            "worker process",
        ),
        ("import sys\nsys.ps1 = '>>> '\ncall()\ncall()", "typed at a prompt"),
    ],
)
def test_where_the_code_cannot_be_known_nothing_is_kept_and_it_says_so_once(program, body, why):
    call = "\ndef f(n, rng): log(); return 2 * n\ndef call(): print(cached(f, n=5))\n"
    program.write({"work.py": START + call + body}, 0)
    for _ in range(2):
        out, count, said = program.run()
        assert out.split() == ["10"] * count
        assert said.count(why) == 1
        assert len(said.splitlines()) == 1


def test_code_typed_into_an_interpreter_is_computed(program):
    text = START + "\n\ndef f(n, rng): log(); return 2 * n\n\nprint(cached(f, n=5))\n"
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-i"], input=text, cwd=program.folder, env=program.environment,
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert done.stdout.strip() == "10"
    assert (program.folder / "log").read_text() == "xx"
