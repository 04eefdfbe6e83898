"""Which code has run in this process: what a remembered result must be tied to.

A result may be served again only to a program that has run the same code up to the same call. So
the key of a call is *all of it*: every cell of a notebook executed so far (or the script and its
arguments), the source of every module from outside the standard library and the installed packages,
whatever the program has executed from files or strings, the versions of the packages, and how many
such calls came before. Nothing is inferred from the function itself.
"""

import functools
import hashlib
import itertools
import multiprocessing
import os
import pathlib
import platform
import site
import sys
import sysconfig
import threading
import time
import types
from contextlib import contextmanager

_LIBRARY = os.path.dirname(os.path.realpath(__file__)) + os.sep


class Unknown(Exception):
    """The code that has run cannot be known; the text says why."""


def _digest(data):
    return hashlib.sha256(data).hexdigest()[:16]


def _of_code(code):
    """A hash of what code does: not of its comments, its lines or where it lies."""

    def parts(value):
        if isinstance(value, types.CodeType):
            names = value.co_names, value.co_varnames, value.co_freevars, value.co_cellvars
            body = value.co_name, value.co_flags, value.co_code
            handlers = getattr(value, "co_exceptiontable", b"")  # from Python 3.11 on
            return *body, handlers, *names, parts(value.co_consts)
        if isinstance(value, tuple):
            return tuple(map(parts, value))
        if isinstance(value, frozenset):  # in another order in each process
            return sorted(repr(parts(item)) for item in value)
        return type(value), value

    return _digest(repr(parts(code)).encode())


def digest(path):
    """A hash of a file as it would be run now."""
    data = pathlib.Path(path).read_bytes()
    if not str(path).endswith(".py"):
        return _digest(data)
    return _of_code(compile(data, str(path), "exec", dont_inherit=True))


def _as_imported(module, path):
    """A hash of a module as the import found it: a bytecode file may be older than the source."""
    loader = getattr(module.__spec__, "loader", None)
    if path.endswith(".py") and hasattr(loader, "get_code"):
        return _of_code(loader.get_code(module.__spec__.name))
    return digest(path)


@functools.cache
def _roots():
    """Folders of the standard library and of installed packages, each with its separator."""
    paths = sysconfig.get_paths()
    roots = {paths[key] for key in ("stdlib", "purelib", "platlib")}
    roots |= {
        sysconfig.get_path("platstdlib", vars={"platbase": sys.base_exec_prefix}),
        *site.getsitepackages(),
        site.getusersitepackages(),
    }
    return tuple(sorted(os.path.realpath(root) + os.sep for root in roots))


@functools.cache
def _readers_own(file):
    """The real path of a file that a reader may edit; None for installed and built-in code."""
    if not file or file.startswith("<"):
        return None
    path = os.path.realpath(file)
    return path if path.startswith(_LIBRARY) or not path.startswith(_roots()) else None


@functools.cache
def _versions():
    folders = (path for path in _roots() if os.path.isdir(path))
    names = {name for f in folders for name in os.listdir(f) if name.endswith("-info")}
    return [platform.python_version(), *sorted(names)]


def _process_start():
    """When this process began, in seconds since the epoch."""
    try:
        fields = pathlib.Path("/proc/self/stat").read_text().rpartition(")")[2].split()
        ticks = int(fields[19]) + 1  # rounded up: no interpreter reads a file in its first tick
        age = time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
        return time.time() - age
    except (OSError, AttributeError, ValueError, IndexError):  # elsewhere than on Linux
        return time.time()


_START, _PID = _process_start(), os.getpid()
_ran = []  # (file, digest as it was run) or ("string", digest), in order
_seen = set()  # files and digests of strings in _ran
_doubts = []  # why the code cannot be known, if so
_calls = itertools.count()
_scopes = []  # (key of the evaluation that is running, its own count of calls)


def _note(file, text):
    _ran.append((file, text))
    _seen.add(file)


def _watch(event, arguments):
    """Note each file, and each string of the reader's own, at the moment when it is executed."""
    if event not in ("exec", "compile"):
        return
    try:
        if event == "exec":
            file = arguments[0].co_filename
            if file in ("<stdin>", "<console>"):
                _doubts.append("code was typed at a prompt")
            elif (path := _readers_own(file)) and os.path.isfile(path):
                _note(path, _of_code(arguments[0]))
        elif isinstance(arguments[0], str | bytes):
            caller, data = sys._getframe(1).f_code.co_filename, arguments[0]
            if caller.startswith(("<frozen", _LIBRARY)):
                return
            if not caller.startswith("<") and _readers_own(caller) is None:
                return
            text = _digest(data.encode() if isinstance(data, str) else data)
            if text not in _seen:  # a loop may evaluate one text a million times
                _note("string", text)
                _seen.add(text)
    except Exception as error:  # never in the way of the program
        _doubts.append(f"{type(error).__name__}: {error}")


sys.addaudithook(_watch)


def _within_installed(name):
    """Whether a module is made by an installed package, under a file name that is none."""
    package = getattr(sys.modules.get(name.partition(".")[0]), "__file__", None)
    return isinstance(package, str) and _readers_own(package) is None


def _loaded():
    """Note the modules that were loaded before the watch began, or without it (extensions)."""
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        path = _readers_own(file) if isinstance(file, str) else None
        if path is None or path in _seen or (not os.path.isfile(path) and _within_installed(name)):
            continue
        try:
            if os.stat(path).st_ctime >= _START:
                raise Unknown(f"{file} was changed after this process began")
            _note(path, _as_imported(module, path) if module.__spec__ else digest(path))
        except (OSError, ImportError, SyntaxError) as error:
            raise Unknown(f"the source of module {name} cannot be read") from error


def _start_of_program():
    """What the program is besides its modules: cells, or a script's arguments, or -c."""
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    if shell is not None:
        return ["notebook", *shell.history_manager.input_hist_raw]
    if hasattr(sys, "ps1"):
        raise Unknown("code typed at a prompt is not kept")
    main = sys.modules.get("__main__")
    if getattr(main, "__file__", None) is None and sys.argv[0] != "-c":
        raise Unknown("the program has no source file")
    code = sys.orig_argv[1:] if sys.argv[0] == "-c" else []
    return ["script", *code, *sys.argv[1:]]


def call():
    """The identity of this call, another one for each: a hash. Raises `Unknown`."""
    if _scopes:
        key, count = _scopes[-1]
        if key is None:
            raise Unknown("the call is part of one that is not kept")
        return _digest(f"{key} {next(count)}".encode())
    if os.getpid() != _PID or multiprocessing.parent_process() is not None:
        raise Unknown("the call comes from a worker process")
    if threading.current_thread() is not threading.main_thread():
        raise Unknown("the call comes from a thread, whose turn may change")
    number = next(_calls)
    _loaded()
    if _doubts:
        raise Unknown(_doubts[0])
    return _digest(repr((number, _start_of_program(), _ran, _versions())).encode())


def ran():
    """What has been run from files and strings so far, as a set of (name, digest)."""
    _loaded()
    if _doubts:
        raise Unknown(_doubts[0])
    return frozenset(_ran)


@contextmanager
def evaluation(key):
    """Calls made inside belong to the evaluation of this key, wherever it runs (None: unknown)."""
    _scopes.append((key, itertools.count()))
    try:
        yield
    finally:
        _scopes.pop()


def as_if_run(files):
    """Take code as run: that of a result which was read instead of computed."""
    for file, text in files:
        if (file, text) not in _ran:
            _note(file, text)


def unchanged(files):
    """Whether each file would be run today as it was then."""
    try:
        return all(digest(file) == text for file, text in files)
    except (OSError, SyntaxError):
        return False
