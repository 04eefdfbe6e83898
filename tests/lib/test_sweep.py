import os
import pathlib
import signal
import subprocess
import sys
import textwrap
import time

import joblib
import numpy as np
import pytest

from twolayer import sweep as module
from twolayer.sweep import load, standard_error, store, sweep

GRID = {"n": [10, 100], "shift": [0.0, 1.0, 5.0]}


def mean(n, shift, rng):
    draws = rng.standard_normal(n) + shift
    return {"mean": draws.mean(), "ends": draws[[0, -1]]}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("TWOLAYER_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def entries(folder):
    return sorted(folder.rglob("output.pkl"))


def test_shapes_and_seeds():
    out = sweep(mean, GRID, seeds=4, progress=False)
    assert out["mean"].shape == (2, 3, 4)
    assert out["ends"].shape == (2, 3, 4, 2)
    assert len(np.unique(out["mean"])) == 24
    other = sweep(mean, GRID, seeds=4, root=1, progress=False)
    assert not np.intersect1d(out["mean"], other["mean"]).size


def test_numbers_do_not_depend_on_the_rest_of_the_grid_nor_on_the_cache():
    whole = sweep(mean, GRID, seeds=4, progress=False)["mean"]
    part = sweep(mean, {"n": [100], "shift": [1.0]}, seeds=2, cache=False, progress=False)["mean"]
    assert np.array_equal(part[0, 0], whole[1, 1, :2])


def test_paired_points_share_their_seeds():
    out = sweep(mean, GRID, seeds=3, paired=True, progress=False)["mean"]
    np.testing.assert_allclose(out[:, 1] - out[:, 0], 1.0)


def test_finished_work_is_read_back(folder, tmp_path):
    log = tmp_path / "log"

    def logged(n, rng):
        with open(log, "a") as file:
            file.write("x")
        return {"value": rng.standard_normal(n).sum()}

    first = sweep(logged, {"n": [1, 2]}, seeds=3, progress=False)["value"]
    again = sweep(logged, {"n": [1, 2, 3]}, seeds=3, progress=False)["value"]
    assert np.array_equal(again[:2], first)
    assert log.read_text() == "x" * 9


def variants(value):
    """Functions of one source whose results depend on `value` in ways that are easy to miss."""
    import functools

    def inner(n):
        return value * n

    class Holder:
        def get(self):
            return value

    def by_closure(n, rng):
        return {"v": value * n}

    def by_helper(n, rng):
        return {"v": inner(n)}

    def by_default(n, rng, scale=value):
        return {"v": scale * n}

    def by_lambda(n, rng):
        return {"v": (lambda: value)() * n}

    def by_comprehension(n, rng):
        return {"v": sum([value for _ in range(n)])}

    def by_class(n, rng):
        return {"v": Holder().get() * n}

    cached = functools.lru_cache(inner)

    def by_cached_helper(n, rng):
        return {"v": cached(n)}

    def by_partial(n, rng, scale):
        return {"v": scale * n}

    yield from (by_closure, by_helper, by_default, by_lambda, by_comprehension, by_class)
    yield from (by_cached_helper, functools.partial(by_partial, scale=value))


def test_another_value_behind_a_function_is_another_result():
    for two, three in zip(variants(2.0), variants(3.0), strict=True):
        got = [sweep(f, {"n": [5]}, seeds=1, progress=False)["v"].item() for f in (two, three)]
        assert got == [10.0, 15.0], two


@pytest.mark.parametrize("damage", ["truncated", "empty", "garbage"])
def test_damaged_entries_are_computed_again_with_a_warning(folder, damage):
    want = sweep(mean, GRID, seeds=2, progress=False)["mean"]
    victim = entries(folder)[3]
    content = victim.read_bytes()
    bad = {"truncated": content[: len(content) // 2], "empty": b"", "garbage": b"\x80\x04nonsense"}
    victim.write_bytes(bad[damage])
    with pytest.warns(UserWarning, match="computed again"):
        got = sweep(mean, GRID, seeds=2, progress=False)["mean"]
    assert np.array_equal(got, want)
    assert np.array_equal(sweep(mean, GRID, seeds=2, progress=False)["mean"], want)


SCRIPT = textwrap.dedent(
    """
    import sys, time
    from twolayer.sweep import sweep

    def slow(n, rng):
        with open(sys.argv[1], "a") as log:
            log.write(f"{n} ")
        time.sleep(0.25)
        return {"value": rng.standard_normal()}

    print(repr(sweep(slow, {"n": list(range(8))}, seeds=1, progress=False)["value"].tolist()))
    """
)


def test_killed_half_way_it_goes_on_from_what_was_finished(folder, tmp_path):
    script, log = tmp_path / "work.py", tmp_path / "log"
    script.write_text(SCRIPT)
    command = [sys.executable, str(script), str(log)]
    process = subprocess.Popen(command, env=os.environ | {"OMP_NUM_THREADS": "1"})
    deadline = time.monotonic() + 120
    while (not log.exists() or len(log.read_text().split()) < 4) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    started = log.read_text().split()
    assert started == ["0", "1", "2", "3"]
    finished = len(entries(folder))
    assert finished == 3  # the fourth was under way
    log.write_text("")
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert log.read_text().split() == [str(n) for n in range(finished, 8)]
    fresh = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"TWOLAYER_CACHE": str(tmp_path / "other")},
    )
    assert done.stdout == fresh.stdout


def test_processes_give_the_same_numbers():
    want = sweep(mean, GRID, seeds=2, cache=False, progress=False)
    with joblib.parallel_config(backend="loky", n_jobs=2):
        got = sweep(mean, GRID, seeds=2, progress=False)
    for key, value in want.items():
        assert np.array_equal(got[key], value)


@pytest.mark.filterwarnings("ignore")
def test_a_dask_cluster_gives_the_same_numbers(folder):
    distributed = pytest.importorskip("distributed")
    want = sweep(mean, GRID, seeds=2, cache=False, progress=False)
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=None, host="127.0.0.1"
        ) as cluster,
        distributed.Client(cluster),
        joblib.parallel_config(backend="dask"),
    ):
        got = sweep(mean, GRID, seeds=2, progress=False)
        kept = len(entries(folder))
    for key, value in want.items():
        assert np.array_equal(got[key], value)
    assert kept == 12


def test_folder(monkeypatch, tmp_path):
    monkeypatch.delenv("TWOLAYER_CACHE")
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "_config.yml").touch()
    monkeypatch.chdir(tmp_path / "a" / "b")
    assert module.cache_folder() == tmp_path / "_build" / "sweep"
    (tmp_path / "_config.yml").unlink()
    assert module.cache_folder() == pathlib.Path.cwd() / "_build" / "sweep"


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"seeds": 0}, ValueError, "seeds=0 must be a positive integer"),
        ({"root": -1}, ValueError, "root=-1 must be an integer >= 0"),
        ({"grid": {}}, ValueError, "grid={} must name at least one argument"),
        ({"grid": {"n": []}}, ValueError, "each with values"),
        ({"function": 3}, TypeError, "function=3 must be callable"),
    ],
)
def test_bad_input(change, error, words):
    with pytest.raises(error, match=words):
        sweep(**{"function": mean, "grid": GRID, "seeds": 2, **change})


def test_standard_error():
    values = np.arange(12.0).reshape(3, 4)
    np.testing.assert_allclose(standard_error(values, 0), np.std(values, 0, ddof=1) / np.sqrt(3))
    with pytest.raises(ValueError, match="values has 1 seeds"):
        standard_error([1.0])


def test_a_stored_table_comes_back_with_its_provenance(tmp_path):
    path = tmp_path / "large.csv"
    columns = {"d": [16, 32], "method": ["kernel", "one step"], "error": [0.5, 1 / 3]}
    store(path, columns, command="papermill chapter.ipynb", seconds=3.2)
    header = path.read_text().splitlines()[:3]
    assert header[0] == "# command: papermill chapter.ipynb"
    assert "numpy" in header[1]
    assert header[2] == "# run time: 3 s"
    back = load(path)
    assert back["method"].tolist() == ["kernel", "one step"]
    np.testing.assert_allclose(back["error"], columns["error"], rtol=1e-5)
    np.testing.assert_array_equal(back["d"], [16, 32])


def test_tables_that_are_refused(tmp_path):
    for columns, message in [
        ({}, "at least one"),
        ({"a": [1], "b": [1, 2]}, "one length"),
        ({"a": [[1, 2]]}, "vectors"),
        ({"a": ["x,y"]}, "without commas"),
        ({"a": ["#x"]}, "'#'"),
        ({"a,b": [1.0]}, "without commas"),
    ]:
        with pytest.raises(ValueError, match=message):
            store(tmp_path / "t.csv", columns, command="make", seconds=1)
    (tmp_path / "t.csv").write_text("d\n1\n")
    with pytest.raises(ValueError, match="not a table"):
        load(tmp_path / "t.csv")
