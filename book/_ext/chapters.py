"""The chapters: which there are, what their results depend on, and where the current ones lie.

A chapter is a pair: NAME.md, its source, and NAME.ipynb, its executed twin. The twin records the
key of its run: all that its numbers can depend on. Results whose key is another than today's are
stale, and are never shown as current.

``python book/_ext/chapters.py`` prints the sources, with ``--twins`` the twins; with ``--stale`` it
fails where a twin is not current, and says what has changed.
"""

import ast
import base64
import errno
import functools
import hashlib
import io
import json
import pathlib
import re
import sys
import tokenize
import tomllib

ROOT = pathlib.Path(__file__).resolve().parents[2]
MEND = "make notebooks"
NO_RESULT = {"twolayer._renamed"}  # old names, which no chapter uses (tests/lib/test_renamed.py)


def chapters(root=ROOT):
    """Sources of all chapters, Markdown files paired with a notebook; those around them last."""
    files = sorted((root / "book").rglob("*.md"), key=lambda file: (around(file, root), file))
    return [f for f in files if "formats: ipynb,md:myst" in f.read_text(encoding="utf-8")[:400]]


def around(path, root=ROOT):
    """Whether an executed page is about the whole book: it lies in no part's folder."""
    return path.parent == root / "book"


def name(path, root=ROOT):
    """A chapter by the name that readers see: its path below ``book``, without suffix."""
    return path.relative_to(root / "book").with_suffix("").as_posix()


def code(path):
    """The sources of a chapter's code cells."""
    import jupytext

    return [c.source for c in jupytext.read(path).cells if c.cell_type == "code"]


def _without_magics(source):
    return re.sub(r"^(\s*)[%!].*$", r"\1pass", source, flags=re.M)


@functools.cache
def _graph():
    import grimp

    return grimp.build_graph("twolayer", cache_dir=None)


def modules(sources):
    """The library's modules that code reaches through its imports, directly or not."""
    graph, found = _graph(), set()
    for node in ast.walk(ast.parse("\n".join(map(_without_magics, sources)))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
            if "twolayer" in names:  # its rooms may be reached as attributes
                names += graph.modules
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        else:
            continue
        found |= graph.modules.intersection(names)
    found = found.union(*(graph.find_upstream_modules(module) for module in found))
    parents = {m.rpartition(".")[0] for m in found} - {""}
    found |= parents.union(*(graph.find_upstream_modules(p) for p in parents))
    return sorted(found - NO_RESULT)


@functools.cache
def pins(root=ROOT):
    """The pinned versions of the library's dependencies: those that numbers and figures need."""
    project = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["project"]
    names = {re.match(r"[\w-]+", line)[0] for line in project["dependencies"]}
    pinned = re.findall(r"^([\w-]+)==(\S+)", (root / "requirements.txt").read_text("utf-8"), re.M)
    return {name: version for name, version in sorted(pinned) if name in names}


def _file_of(module, root):
    path = root / "lib" / pathlib.Path(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def without_comments(source):
    """Source code without comments, blank lines and strings that stand as statements."""
    rows = source.splitlines(keepends=True)
    lines, text, last, only_strings = [], "", None, True
    skip = {tokenize.COMMENT, tokenize.NL, tokenize.INDENT, tokenize.DEDENT, tokenize.ENCODING}
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.NEWLINE:
            if not only_strings:
                lines.append(text)
            text, last, only_strings = "", None, True
        elif token.type not in skip and token.type != tokenize.ENDMARKER:
            (row, column), (end_row, end_column) = token.start, token.end
            if last is None:
                text = " " * column
            else:
                text += rows[row - 1][last[1] : column] if last[0] == row else "\n"
            body = rows[row - 1 : end_row]
            body[-1] = body[-1][:end_column]
            text += "".join(body)[column:]
            last, only_strings = token.end, only_strings and token.type == tokenize.STRING
    return "\n".join(lines) + "\n"


@functools.cache
def _module_digest(path):
    return _digest(without_comments(path.read_text("utf-8")).encode())


def _digest(data):
    return hashlib.sha256(data).hexdigest()[:12]


def key(path, root=ROOT):
    """All that a chapter's results depend on, each part with a hash or a version.

    Its code; the modules of the library that it reaches, without docstrings and comments; the
    pinned versions; the stored tables that it names.
    """
    sources = code(path)
    text = "\n".join(sources)
    stored = sorted((root / "lib/twolayer/lab/tables").glob("*.csv"))
    tables = [f for f in stored if f'"{f.stem}"' in text]
    return {
        "code": _digest(json.dumps(sources).encode()),
        "library": {m: _module_digest(_file_of(m, root)) for m in modules(sources)},
        "pins": pins(root),
        "tables": {f.name: _digest(f.read_bytes()) for f in tables},
    }


def changes(path, recorded, root=ROOT):
    """What differs from a recorded key, in words; an empty list where nothing does."""
    now, found = key(path, root), []
    if not recorded:
        return ["code (they record no key)"]
    if recorded["code"] != now["code"]:
        found.append("code")
    for part in ("library", "pins", "tables"):
        names = {k for k, _ in recorded[part].items() ^ now[part].items()}
        found += sorted(names)
    return found


def twin(path):
    return path.with_suffix(".ipynb")


def recorded(notebook):
    """The key that an executed notebook (a path or a dict) records; None without one."""
    if isinstance(notebook, pathlib.Path):
        notebook = _read(notebook)
    return notebook["metadata"].get("twolayer") if notebook else None


def _read(path):
    """A notebook as a dict; None where there is none, or where the file is damaged."""
    try:
        found = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValueError:
        found = None
    if isinstance(found, dict) and isinstance(found.get("metadata"), dict) and found.get("cells"):
        return found
    _say(f"{path}: damaged, no whole notebook; `{MEND}` runs the chapter again")
    return None


@functools.cache  # each line once
def _say(line):
    print(line, file=sys.stderr, flush=True)


def hero(notebook):
    """The picture that a page opens with: that of its cell tagged ``hero``; None without one."""
    for cell in notebook["cells"]:
        if "hero" in cell["metadata"].get("tags", ()):
            return base64.b64decode(
                next(o["data"]["image/png"] for o in cell["outputs"] if "image/png" in o["data"])
            )
    return None


def store(path, root=ROOT, *, draft=False):
    """Where `make book` keeps the results of a chapter that is not (yet) written to its twin."""
    folder = root / "_build" / ("draft" if draft else "executed")
    return folder / f"{name(path, root)}.ipynb"


def current(path, root=ROOT, *, draft=False):
    """The file with a chapter's current results: its twin or what `make book` kept; else None."""
    now = key(path, root)
    places = [twin(path), store(path, root)] + [store(path, root, draft=True)] * draft
    return next((place for place in places if recorded(place) == now), None)


def stale(root=ROOT):
    """Chapters whose twin is not current, each with a line that says why, and what mends it."""
    reasons = {p: changes(p, recorded(twin(p)), root) for p in chapters(root)}
    return {
        path: f"{name(path, root)}: its results do not come from today's {', '.join(why)}; "
        f"`{MEND}` mends it"
        for path, why in reasons.items()
        if why
    }


def in_a_line(main, *arguments):
    """Run a command's `main`: what the disk refuses is a line that says where, no traceback."""
    try:
        return main(*arguments)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EFBIG):
            raise
        line = f"{error.filename or ROOT} cannot be written: {error.strerror}."
        return f"{line} What finished is kept; the same command goes on from there"


def main(option=""):
    if option == "--stale":
        old = stale()
        for line in old.values():
            print(line, file=sys.stderr)
        return int(bool(old))
    for source in chapters():
        print((twin(source) if option == "--twins" else source).relative_to(ROOT))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
