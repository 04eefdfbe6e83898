"""Execute the chapters whose results are not current, in parallel, and keep each as it finishes.

``python book/_ext/notebooks.py`` runs what the book needs; ``--write`` also writes the executed
twins (NAME.ipynb), without timestamps; ``--draft`` goes on after an error: the book shows it.
"""

import argparse
import concurrent.futures
import json
import logging
import os
import pathlib
import platform
import re
import shutil
import signal
import sys
import tempfile
import threading
import time

import jupytext
import nbformat
from chapters import MEND, ROOT, chapters, current, hero, in_a_line, key, name, store, twin
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

from twolayer.lab._files import write

TIMEOUT = 600  # seconds a cell, as in _config.yml

stopping, clients, lock = threading.Event(), set(), threading.Lock()


def say(line):
    """A line of progress in one piece: chapters side by side do not speak into each other's."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def merged(outputs):
    """The outputs without stderr, stdout in one piece: the kernel may flush it in several."""
    kept = []
    for output in outputs:
        if output.get("name") == "stderr":
            continue
        if output.output_type == "stream" and kept and kept[-1].output_type == "stream":
            kept[-1].text += output.text
        else:
            kept.append(output)
    return kept


def run(client, environment):
    """Run the cells. What a kernel complains of as it ends is noise, unless it died of it."""
    with tempfile.TemporaryFile() as log:
        try:
            client.execute(env=environment, stdout=log, stderr=log)
        except DeadKernelError as error:
            log.seek(0)
            said = log.read().decode("utf-8", "replace").strip().splitlines()[-15:]
            raise DeadKernelError("\n".join([str(error), *said])) from error


def stop_kernels(patience=3):
    """End the kernels that run, and those that are just being started."""
    deadline, starting = time.monotonic() + patience, True
    while starting and time.monotonic() < deadline:
        with lock:
            provisioners = [getattr(client.km, "provisioner", None) for client in clients]
        processes = [getattr(provisioner, "process", None) for provisioner in provisioners]
        for process in filter(None, processes):
            process.kill()
        starting = None in processes
        time.sleep(0.05)


def processor():
    """The kind of processor: others round otherwise, and long training enlarges it."""
    try:
        said = pathlib.Path("/proc/cpuinfo").read_text("utf-8")
    except OSError:
        return platform.machine()
    vendor = re.search(r"^vendor_id\s*: (\S+)", said, re.M)
    wide = "avx512f" if " avx512f" in said else "avx2" if " avx2" in said else ""
    return " ".join(filter(None, (vendor and vendor[1], platform.machine(), wide)))


def run_cells(notebook, path, sweeps, *, draft=False):
    """Run a notebook in the folder of a chapter, its sweeps kept in a folder of their own."""
    client = NotebookClient(
        notebook,
        timeout=TIMEOUT,
        allow_errors=draft,
        record_timing=False,
        extra_arguments=["--log-level=ERROR"],  # else each kernel warns that it listens locally
        resources={"metadata": {"path": str(path.parent)}},
    )
    with lock:
        clients.add(client)
    try:
        if not stopping.is_set():
            run(client, os.environ | {"TWOLAYER_CACHE": str(sweeps)})
    finally:
        with lock:
            clients.discard(client)


def sweeps_of(path):
    """Where the sweeps of a chapter lie until its results are kept: a killed run goes on."""
    return ROOT / "_build" / "sweep" / name(path)


def execute(path, *, draft=False):
    """Execute a chapter in its folder: the notebook with its outputs and its key.

    The key is that of the files as they are before the run: what is edited meanwhile makes the
    results stale.
    """
    notebook, run_of = jupytext.read(path), key(path)
    notebook.cells.append(nbformat.v4.new_code_cell("import time\nprint(time.process_time())"))
    sweeps = sweeps_of(path)
    resumed = sweeps.exists()
    run_cells(notebook, path, sweeps, draft=draft)
    clock = notebook.cells.pop()
    for index, cell in enumerate(notebook.cells):
        cell.id = f"cell-{index:03d}"
        if cell.cell_type == "code":
            cell.outputs = merged(cell.outputs)
    notebook.metadata["jupytext"].pop("text_representation", None)  # as jupytext --sync leaves it
    notebook.metadata.pop("language_info", None)
    notebook.metadata["twolayer"] = run_of
    notebook.metadata["processor"] = processor()
    if clock.outputs and not resumed:
        notebook.metadata["cpu_seconds"] = round(float(clock.outputs[0].text), 1)
    return notebook


def keep(notebook, place):
    """Write an executed notebook in one piece: whoever reads it never sees half of one."""
    place.parent.mkdir(parents=True, exist_ok=True)
    write(place, nbformat.writes(notebook) + "\n")


def write_twin(path, source):
    """Write NAME.ipynb from kept results: the cells of NAME.md, the outputs of the run."""
    notebook, kept = jupytext.read(path), json.loads(source.read_text("utf-8"))
    ran = (c for c in kept["cells"] if c["cell_type"] == "code")
    for index, cell in enumerate(notebook.cells):
        cell.id = f"cell-{index:03d}"
        if cell.cell_type == "code":
            done = nbformat.from_dict(next(ran))
            cell.outputs, cell.execution_count = done.outputs, done.execution_count
    notebook.metadata["jupytext"].pop("text_representation", None)
    for entry in ("twolayer", "cpu_seconds", "processor"):
        if entry in kept["metadata"]:
            notebook.metadata[entry] = kept["metadata"][entry]
    if image := hero(notebook):
        write(ROOT / "book" / "figures" / f"{path.stem}.png", image)
    keep(notebook, twin(path))


def explain(error):
    """What went wrong, without the whole cell: the failing claims, or the end of the traceback."""
    if not isinstance(error, CellExecutionError):
        return f"{type(error).__name__}: {error}"
    if error.ename == "AssertionError" and error.evalue.startswith("claims"):
        return error.evalue
    plain = re.sub(r"\x1b\[[\d;]*m", "", error.traceback)
    lines = plain.rpartition("Traceback (most recent call last)")[2].strip().splitlines()
    return "\n".join(lines[-15:])


def run_all(paths, draft=False):
    """Execute chapters side by side; returns those that failed. Stops at Ctrl-C."""
    workers, failed, done = max(1, min(len(paths), os.cpu_count() or 1)), [], 0
    begun = {}

    def work(path):
        if stopping.is_set():
            return None
        begun[path] = time.monotonic()
        say(f"running {name(path)} ...")
        return execute(path, draft=draft)

    pool = concurrent.futures.ThreadPoolExecutor(workers)
    futures = {pool.submit(work, path): path for path in paths}
    try:
        for future in concurrent.futures.as_completed(futures):
            path = futures[future]
            try:
                notebook = future.result()
            except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
                failed.append(path)
                print(f"{name(path)}: failed\n{explain(error)}", file=sys.stderr, flush=True)
                continue
            errors = any(
                o.output_type == "error" for c in notebook.cells for o in c.get("outputs", ())
            )
            keep(notebook, store(path, draft=errors))
            shutil.rmtree(sweeps_of(path), ignore_errors=True)
            done += 1
            seconds = time.monotonic() - begun[path]
            say(f"{done} of {len(paths)}: {name(path)}, {seconds:.0f} s")
    except KeyboardInterrupt:
        stopping.set()
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # once is enough
        stop_kernels()
        pool.shutdown(wait=False, cancel_futures=True)
        print(
            f"\ninterrupted: {done} of {len(paths)} chapters are done and kept; "
            "the same command goes on from there",
            file=sys.stderr,
            flush=True,
        )
        os._exit(130)  # no thread has anything left to say
    return failed


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="write the executed notebooks")
    parser.add_argument("--draft", action="store_true", help="go on after an error in a cell")
    options = parser.parse_args()
    logging.getLogger("traitlets").setLevel(logging.ERROR)
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # matrices here are small: threads cost more
    os.environ.setdefault("TQDM_DISABLE", "1")
    every = chapters()
    missing = [path for path in every if current(path, draft=options.draft) is None]
    if missing:
        kept = len(every) - len(missing)
        say(f"{kept} of {len(every)} chapters are current, {len(missing)} to run")
    probe = ROOT / "_build" / "probe"
    keep(nbformat.v4.new_notebook(), probe)  # before hours of work that could not be kept
    probe.unlink()
    failed = run_all(missing, options.draft)
    if failed:
        print(
            f"{len(failed)} of {len(missing)} chapters failed; what finished is kept. "
            "To build the book anyway, with the errors on its pages: make book DRAFT=1",
            file=sys.stderr,
        )
    for path in every if options.write else ():
        source = current(path)
        if source is None:
            continue
        before = twin(path).read_bytes() if twin(path).exists() else b""
        write_twin(path, source)  # also where only the prose has changed
        if twin(path).read_bytes() != before:
            print(f"written: {twin(path).relative_to(ROOT)}")
    if not options.write and not failed and missing and not options.draft:
        print(f"the committed notebooks are older than this: `{MEND}` writes them")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(in_a_line(main))
