"""The house is as it is drawn: rooms, directions of imports, what loads what, sizes, labels."""

import ast
import importlib
import inspect
import pathlib
import re
import subprocess
import sys

import grimp
import pytest
from chapters import chapters, name

import twolayer

LIBRARY = pathlib.Path(twolayer.__file__).parent
BOOK = LIBRARY.parents[1] / "book"
FILES = sorted(LIBRARY.rglob("*.py"))
SHARED = {"spectra", "ridge_curves"}
# from the ground up: a room imports only from floors below its own
FLOORS = [
    {"_checks", "_renamed"},
    {"hermite"},
    {"activations"},
    {"data"},
    {"_links"},
    {"network", "kernels", "measures", "ridge"},
    {"gradients"},
    {"descent", "pruning", "estimators", "coordinates"},
    {"theory"},
    {"simulation"},
    {"lab"},
]
THEORY_SEES = {
    "_checks",
    "_links",
    "_renamed",
    "hermite",
    "activations",
    "data",
    "kernels",
    "theory",
}

MOST_LINES, MOST_NAMES, LONGEST = 400, 10, 40
EXCEPTIONS = {}


def parts(path):
    return path.relative_to(LIBRARY).with_suffix("").parts


def names(path):
    return ".".join(parts(path))


def room(module):
    return module.split(".")[1] if "." in module else ""


def floor(module):
    return next(i for i, rooms in enumerate(FLOORS) if room(module) in rooms)


@pytest.fixture(scope="module")
def graph():
    return grimp.build_graph("twolayer", cache_dir=None)


def test_one_guess():
    """A file in theory or simulation is named after a chapter, or is shared, or private."""
    allowed = {name(path).split("/")[-1] for path in chapters()} | SHARED
    for wing in ("theory", "simulation"):
        found = {p.stem for p in (LIBRARY / wing).glob("*.py") if not p.stem.startswith("_")}
        assert found <= allowed, f"{wing}: {found - allowed} is no chapter's name"


def test_nothing_imports_upwards(graph):
    """Imports inside functions count too."""
    for module in graph.modules - {"twolayer"}:
        for other in graph.find_modules_directly_imported_by(module):
            if room(module) == room(other) or other == "twolayer":
                continue
            assert floor(other) < floor(module), f"{module} imports {other}"
            if room(module) == "theory":
                assert room(other) in THEORY_SEES, f"{module} imports {other}"


def test_no_circles(graph):
    for module in sorted(graph.modules - {"twolayer"}):
        below = graph.find_upstream_modules(module)
        assert module not in below, f"{module} imports itself through others"


def fresh(code):
    """What a new process prints."""
    run = [sys.executable, "-c", code]
    return subprocess.run(run, capture_output=True, text=True, check=True).stdout.split()


ROOMS = [f"theory.{p.stem}" for p in sorted((LIBRARY / "theory").glob("[a-z]*.py"))]


def test_what_needs_no_torch_loads_without_it():
    for extra in ("torch", "sklearn"):
        code = "import importlib, sys\n"
        for module in [
            *ROOMS,
            "network",
            "measures",
            "coordinates",
            "ridge",
            "kernels",
            "data",
            "lab.claims",
        ]:
            code += f"importlib.import_module('twolayer.{module}')\n"
            code += f"if '{extra}' in sys.modules: print('{module}'); sys.exit()\n"
        assert fresh(code) == [], f"the first to load {extra}"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("module", "most"),
    [("theory.one_step", 0.8), ("theory.exact_curves", 0.8), ("lab.claims", 0.5)],
)
def test_what_is_small_loads_fast(module, most):
    code = (
        f"import time; t = time.process_time(); import twolayer.{module}; "
        "print(time.process_time() - t)"
    )
    assert min(float(fresh(code)[0]) for _ in range(3)) <= most


def test_the_package_is_lazy():
    code = (
        "import sys, twolayer; assert 'numpy' not in sys.modules; "
        "twolayer.estimators.OneStepRegressor; assert twolayer.__version__; "
        "assert 'theory' in dir(twolayer); import twolayer.theory; twolayer.lab"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    with pytest.raises(AttributeError, match="module 'twolayer' has no attribute 'nothing'"):
        twolayer.nothing  # noqa: B018
    assert (LIBRARY / "py.typed").exists()


# --- sizes


def docstrings(tree):
    """Lines that docstrings take."""
    for node in ast.walk(tree):
        kinds = (ast.Module, ast.ClassDef, ast.FunctionDef)
        if isinstance(node, kinds) and ast.get_docstring(node):
            text = node.body[0]
            yield from range(text.lineno, text.end_lineno + 1)


def code_lines(path):
    text = path.read_text("utf-8")
    lines = text.splitlines()
    skipped = set(docstrings(ast.parse(text)))
    return [
        i
        for i, line in enumerate(lines, 1)
        if line.strip() and not line.strip().startswith("#") and i not in skipped
    ]


@pytest.mark.parametrize("path", FILES, ids=names)
def test_modules_are_small(path):
    size, tree = len(code_lines(path)), ast.parse(path.read_text("utf-8"))
    assert size <= EXCEPTIONS.get(names(path), MOST_LINES), f"{size} lines of code"
    public = [
        len(node.value.elts)
        for node in tree.body
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "__all__"
    ]
    if path.name != "__init__.py":
        assert sum(public) <= MOST_NAMES, f"{public} public names"


@pytest.mark.parametrize("path", FILES, ids=names)
def test_functions_are_short(path):
    lines = set(code_lines(path))
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.FunctionDef):
            body = range(node.body[0].lineno, node.end_lineno + 1)
            size = len(lines.intersection(body))
            key = f"{names(path)}.{node.name}"
            assert size <= EXCEPTIONS.get(key, LONGEST), f"{key}: {size} lines"


def test_exceptions_are_needed():
    """The list names nothing that has been made short since."""
    found = set()
    for path in FILES:
        lines = code_lines(path)
        if len(lines) > MOST_LINES:
            found.add(names(path))
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.FunctionDef):
                body = range(node.body[0].lineno, node.end_lineno + 1)
                if len(set(lines).intersection(body)) > LONGEST:
                    found.add(f"{names(path)}.{node.name}")
    assert set(EXCEPTIONS) <= found


def test_docstrings_are_short():
    """At most two fifths of all lines, and half of a larger module's."""
    total, written = 0, 0
    for path in FILES:
        text = path.read_text("utf-8")
        lines, words = len(text.splitlines()), len(set(docstrings(ast.parse(text))))
        total, written = total + lines, written + words
        assert lines < 250 or words <= 0.5 * lines, names(path)
    assert written <= 0.4 * total


# --- signatures and labels


def signatures():
    for path in FILES:
        if any(part.startswith("_") for part in parts(path)):
            continue
        module = importlib.import_module("twolayer." + names(path))
        for public in module.__all__:
            thing = getattr(module, public)
            if inspect.isclass(thing):
                for label, member in vars(thing).items():
                    function = getattr(member, "__func__", getattr(member, "fget", member))
                    if inspect.isfunction(function) and not label.startswith("_"):
                        yield f"{names(path)}.{public}.{label}", function
                own = vars(thing).get("__init__")
                if inspect.isfunction(own) and not hasattr(thing, "__dataclass_fields__"):
                    yield f"{names(path)}.{public}.__init__", own
            elif inspect.isfunction(thing):
                yield f"{names(path)}.{public}", thing


def test_every_public_signature_is_annotated():
    bare = []
    for label, function in signatures():
        given = inspect.signature(function)
        missing = [
            v.name
            for v in given.parameters.values()
            if v.annotation is v.empty and v.name not in ("self", "cls")
        ]
        if given.return_annotation is given.empty and not label.endswith("__init__"):
            missing.append("return")
        if missing:
            bare.append(f"{label}: {', '.join(missing)}")
    assert not bare, "\n".join(bare)


def test_every_label_stands_in_the_book():
    numbered = {
        label
        for path in chapters()
        for label in re.findall(r"^\$\$ \((eq-[\w-]+)\)", path.read_text("utf-8"), re.M)
    }
    used = {}
    for path in FILES:
        for label in re.findall(r"#.*?\b(eq-[\w-]+)", path.read_text("utf-8")):
            used.setdefault(label, names(path))
    assert set(used) <= numbered, {k: v for k, v in used.items() if k not in numbered}
    assert len(used) >= 91
