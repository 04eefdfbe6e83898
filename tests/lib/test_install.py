"""The library as it is installed: from the wheel and the source archive, outside the repository."""

import email
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile

import pytest
from packaging.requirements import Requirement

ROOT = pathlib.Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
PAGE = ROOT / PROJECT["readme"]
SECTIONS = {"the library": "dependencies", "the book": "book", "the course": "course"}


# --- one list of names: the project's, with ranges, and the pins


def asked(extra):
    """What an extra asks for, by name; another extra that it includes is none."""
    lines = PROJECT["dependencies"] if extra == "dependencies" else None
    found = map(Requirement, lines or PROJECT["optional-dependencies"][extra])
    return {r.name.lower(): r.specifier for r in found if r.name != PROJECT["name"]}


def pinned():
    """The pins by section; torch stands above all sections."""
    text = (ROOT / "requirements.txt").read_text("utf-8")
    found = {}
    for title, lines in re.findall(r"^# (the [\w ]+)\n((?:[\w.-]+==\S+\n)+)", text, re.M):
        found[title] = dict(re.findall(r"^(\S+)==(\S+)", lines, re.M))
    found["the library"] |= dict(re.findall(r"^(torch)==(\S+)", text, re.M))
    cluster = (ROOT / "requirements-cluster.txt").read_text("utf-8")
    return found | {"cluster": dict(re.findall(r"^(\S+)==(\S+)", cluster, re.M))}


@pytest.mark.parametrize(("section", "extra"), [*SECTIONS.items(), ("cluster", "cluster")])
def test_extras_and_pins_name_the_same_packages(section, extra):
    pins, ranges = pinned()[section], asked(extra)
    assert set(pins) == set(ranges)
    for name, version in pins.items():
        assert ranges[name].contains(version), f"{name}=={version} is outside {ranges[name]}"


# --- what is built


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Source archive and, from it, wheel, as `make dist` builds them, in a copy of the tree."""
    tree = tmp_path_factory.mktemp("tree")
    skip = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for folder in ("lib", "tests/lib", "book/_ext"):
        shutil.copytree(ROOT / folder, tree / folder, ignore=skip)
    for file in ("pyproject.toml", "README.md", "LICENSE", "LICENSE-TEXT", "_config.yml"):
        shutil.copy(ROOT / file, tree)
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", tree / "dist", tree]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,), (sdist,) = (tree / "dist").glob("*.whl"), (tree / "dist").glob("*.tar.gz")
    return {"wheel": wheel, "sdist": sdist}


def sources():
    """The library's files, as they should lie in what is built."""
    kept = (p for p in (ROOT / "lib/twolayer").rglob("*") if p.suffix in (".py", ".csv", ".typed"))
    found = {p.relative_to(ROOT / "lib").as_posix() for p in kept}
    assert {"twolayer/py.typed", "twolayer/theory/one_step.py"} <= found
    assert any(name.startswith("twolayer/lab/tables/") for name in found)
    return found


@pytest.mark.slow
def test_the_wheel_holds_the_library_and_its_licence(built):
    with zipfile.ZipFile(built["wheel"]) as wheel:
        names = set(wheel.namelist())
        (licence,) = (name for name in names if name.endswith("/LICENSE"))
        assert wheel.read(licence) == (ROOT / "LICENSE").read_bytes()
        assert {n for n in names if ".dist-info/" not in n} == sources()
        metadata = email.message_from_bytes(
            wheel.read(next(n for n in names if n.endswith(".dist-info/METADATA")))
        )
    assert (metadata["Name"], metadata["Version"]) == ("twolayer", PROJECT["version"])
    assert set(metadata.get_all("Provides-Extra")) == {"book", "cluster", "course"}
    assert metadata["License-Expression"] == "BSD-3-Clause"
    needed = {
        Requirement(line).name.lower()
        for line in metadata.get_all("Requires-Dist")
        if "extra" not in line
    }
    assert needed == set(asked("dependencies"))
    assert metadata.get_payload().startswith("# twolayer")


@pytest.mark.slow
def test_the_source_archive_holds_neither_tests_nor_book(built):
    with tarfile.open(built["sdist"]) as archive:
        names = {n.partition("/")[2] for n in archive.getnames()} - {""}
    assert {f"lib/{name}" for name in sources()} <= names
    assert {"LICENSE", "pyproject.toml", "lib/README.md"} <= names
    top = {name.partition("/")[0] for name in names}
    assert top <= {"LICENSE", "PKG-INFO", "README.md", "lib", "pyproject.toml", "setup.cfg"}


# --- what is installed


@pytest.fixture(scope="module", params=["wheel", "sdist"])
def installed(request, built, tmp_path_factory):
    """The Python of an empty environment with the library; what it needs is this one's."""
    folder = tmp_path_factory.mktemp(request.param)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / "venv"], check=True)
    python = folder / "venv" / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    install = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps"]
    install += ["--ignore-installed"]  # another installation of this version is in sight here
    options = ["--no-index", "--no-build-isolation", "--disable-pip-version-check"]
    # their own .pth files, so this tree, don't count there
    borrowed = [p for p in sys.path if pathlib.Path(p).name.endswith("-packages")]
    home = subprocess.run(
        [python, "-I", "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    (pathlib.Path(home.stdout.strip()) / "borrowed.pth").write_text("\n".join(borrowed))
    done = subprocess.run(
        [*install, *options, built[request.param]], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return python


def run(python, folder, *arguments):
    command = [python, "-I", *arguments]
    env = {k: v for k, v in os.environ.items() if k != "TWOLAYER_CACHE"}  # of `make test`
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, env=env)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_it_runs_outside_the_repository(installed, tmp_path):
    code = re.search(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.S)[1]
    code += "\nimport twolayer\nprint(twolayer.__file__)\nprint(twolayer.__version__)\n"
    (tmp_path / "example.py").write_text(code)
    *numbers, file, version = run(installed, tmp_path, "example.py").splitlines()
    predicted, measured = (float(line.split()[1]) for line in numbers)
    assert abs(predicted - measured) < 0.1  # three standard deviations over draws
    assert predicted > 2.4  # the bulk ends at 2
    assert installed.parents[1] in pathlib.Path(file).parents
    assert version == PROJECT["version"]


@pytest.mark.slow
def test_stored_tables_and_results_have_their_places(installed, tmp_path):
    (tmp_path / "script.py").write_text(
        "from twolayer.lab.sweep import load, sweep\n"
        "def f(n, rng):\n    return {'x': n + rng.random()}\n"
        "print(len(load('learning_directions')))\n"
        "print(sweep(f, {'n': [1, 2]}, seeds=2, progress=False).x.shape)\n"
    )
    rows, shape = run(installed, tmp_path, "script.py").splitlines()
    assert int(rows) > 0
    assert shape == "(2, 2)"
    assert list((tmp_path / "_build" / "sweep").rglob("*.pkl"))
