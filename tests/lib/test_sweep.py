import errno
import logging
import os
import pathlib
import signal
import subprocess
import sys
import textwrap
import time

import joblib
import numpy as np
import pandas as pd
import pytest
import xarray as xr

from twolayer import activations, data, kernels
from twolayer.lab import sweep as module
from twolayer.lab.sweep import cached, load, standard_error, store, sweep
from twolayer.network import TwoLayer
from twolayer.theory.one_step import FirstStep

OVER = {"n": [10, 100], "shift": [0.0, 1.0, 5.0]}


def mean(n, shift, rng):
    draws = rng.standard_normal(n) + shift
    return {"average": draws.mean(), "ends": draws[[0, -1]]}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    module._say.cache_clear()
    monkeypatch.setenv("TWOLAYER_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def entries(folder):
    return sorted(folder.rglob("*.pkl"))


def test_results_have_names():
    runs = sweep(mean, OVER, 4, axes={"end": ["first", "last"]}, progress=False)
    assert runs.average.dims == ("n", "shift", "seed")
    assert runs.ends.dims == ("n", "shift", "seed", "end")
    assert runs.sizes == {"n": 2, "shift": 3, "seed": 4, "end": 2}
    rng = np.random.default_rng(np.random.SeedSequence(seeds_of({"n": 100, "shift": 5.0}, 2)))
    draws = rng.standard_normal(100) + 5.0
    at = {"n": 100, "shift": 5.0, "seed": 2}
    assert runs.average.sel(at).item() == draws.mean()
    assert runs.ends.sel({**at, "end": "last"}).item() == draws[-1]
    assert len(np.unique(runs.average)) == 24
    other = sweep(mean, OVER, 4, root=1, progress=False)
    assert not np.intersect1d(runs.average, other.average).size


def seeds_of(point, seed):
    return [0, seed, int(joblib.hash(point)[:16], 16)]


def test_axes_by_result_by_default_and_unnamed():
    def curves(rng):
        return {"a": np.arange(2), "b": np.ones((3, 2)), "c": np.ones(4), "number": 1.0}

    def f(n, rng):
        return curves(rng)

    axes = {"step": [0.1, 0.2], "b": {"row": None, "step": [0.1, 0.2]}, "c": {}}
    runs = sweep(f, {"n": [1]}, 1, axes=axes, progress=False)
    assert runs.a.dims[2:] == ("step",)
    assert runs.b.dims[2:] == ("row", "step")
    assert runs.c.dims[2:] == ("c_0",)
    assert runs.a.sel(step=0.2).item() == 1
    with pytest.raises(ValueError, match="axes: 'step' has 2 coordinates, but b has 3 along it"):
        sweep(f, {"n": [1]}, 1, axes={"step": [0.1, 0.2]}, progress=False)


def test_a_function_that_runs_many_seeds_at_once():
    def batch(n, rng):
        return {"value": rng.standard_normal((3, 5)), "size": n}

    runs = sweep(batch, {"n": [1, 2]}, 1, axes={"t": None, "seed": None}, progress=False)
    assert runs.value.dims == ("n", "t", "seed")
    assert runs["size"].dims == ("n",)
    assert standard_error(runs.value).dims == ("n", "t")
    assert np.array_equal(runs.value.sel(n=2), cached(batch, n=2)["value"])
    with pytest.raises(ValueError, match="seeds=2 must be 1: the results have an axis 'seed'"):
        sweep(batch, {"n": [1, 2]}, 2, axes={"t": None, "seed": None}, progress=False)


def test_fixed_settings_are_settings():
    """Moved between the grid and the keywords a setting keeps its seeds."""
    whole = sweep(mean, OVER, 3, progress=False).average
    fixed = sweep(mean, {"n": [100]}, 3, shift=1.0, progress=False).average
    assert np.array_equal(fixed.sel(n=100), whole.sel(n=100, shift=1.0))
    one = sweep(mean, {}, 3, n=100, shift=1.0, progress=False).average
    assert np.array_equal(one, fixed.squeeze())
    once = cached(mean, shift=1.0, n=100)
    assert once["average"] == whole.sel(n=100, shift=1.0, seed=0)
    assert type(cached(lambda rng: "any object")) is str


def test_labels_stand_for_values_without_a_short_name():
    def f(link, rng):
        return {"value": float(link(2.0))}

    links = {"square": np.square, "cube": activations.get("he3"), "both": (1, 2)}
    assert sweep(f, {"link": dict(list(links.items())[:1])}, 1, progress=False).value.item() == 4
    runs = sweep(f, {"link": [np.square, np.negative]}, 1, progress=False)
    assert runs.value.sel(link=np.negative).item() == -2

    def g(pair, rng):
        return {"value": sum(pair)}

    runs = sweep(g, {"pair": [(1, 2), (3, 4)]}, 1, progress=False)
    assert runs.value.squeeze("seed").values.tolist() == [3, 7]


def test_truth_values_select_by_value():
    def f(flag, rng):
        return {"value": 1.0 + flag}

    runs = sweep(f, {"flag": [True, False]}, 1, progress=False)
    assert runs.value.sel(flag=True).item() == 2


def test_numbers_do_not_depend_on_the_rest_of_the_grid_nor_on_the_cache():
    whole = sweep(mean, OVER, 4, progress=False).average
    part = sweep(mean, {"n": [100], "shift": [1.0]}, 2, cache=False, progress=False).average
    assert np.array_equal(part.squeeze(), whole.sel(n=100, shift=1.0)[:2])


def test_paired_points_share_their_seeds():
    out = sweep(mean, OVER, 3, paired=True, progress=False).average
    np.testing.assert_allclose(out.sel(shift=1.0) - out.sel(shift=0.0), 1.0)


def scaled(z):
    return 2 * z


EQUAL = {
    "tuples, shared or not": ([(1, 2)] * 2, [tuple(range(1, 3)), tuple(range(1, 3))]),
    "texts": (["ab", "ab", b"c"], [np.str_("ab"), "a" + chr(98), np.bytes_(b"c")]),
    "numpy's numbers": ([np.float64(0.5), np.int64(3), np.bool_(True)], [0.5, 3, True]),
    "dicts": ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
    "sets": ({"a", "b", "c"}, {"c", "b", "a"}),
    "arrays": (np.arange(6).reshape(2, 3).T, np.arange(6).reshape(2, 3).T.copy()),
    "arrays read-only": (np.arange(3), np.broadcast_to(np.arange(3), (1, 3))[0]),
    "data": (data.SingleIndex(5, "sign"), data.SingleIndex(5, "sign")),
    "configs": (FirstStep("tanh", (0, 1.0), 2.0, 1.0), FirstStep("tanh", (0, 1.0), 2.0, 1.0)),
    "activations": (activations.get("he3"), activations.get("he3")),
    "links": (data.as_link([0.0, 2.0]), data.as_link((0.0, 2.0))),
    "kernels": (kernels.polynomial(3), kernels.polynomial(3)),
    "networks": tuple(
        TwoLayer.mean_field(3, 2, "tanh", np.random.default_rng(0)) for _ in range(2)
    ),
    "functions": (scaled, scaled),
    "ufuncs": (np.tanh, np.tanh),
}


@pytest.mark.parametrize("kind", EQUAL)
def test_equal_settings_have_equal_seeds(kind):
    def draw(setting, rng):
        return rng.standard_normal()

    a, b = EQUAL[kind]
    assert cached(draw, setting=a) == cached(draw, setting=b)
    assert cached(draw, setting=a) != cached(draw, setting=[b, b])


def test_other_settings_have_other_seeds():
    def draw(setting, rng):
        return rng.standard_normal()

    networks = [TwoLayer.mean_field(3, 2, "tanh", np.random.default_rng(s)) for s in (0, 1)]
    wider = TwoLayer(np.eye(2), [1.0, 1.0], "tanh"), TwoLayer(np.eye(2), [1.0, 1.0], "relu")
    others = [5, 5.0, True, "5", (5,), [5], None, np.array([5]), *networks, *wider]
    others += [activations.get("tanh"), activations.get("relu"), data.SingleIndex(5, "sign")]
    others += [data.SingleIndex(5, "sign", 0.1), scaled, np.tanh, np.sinh]
    assert len({cached(draw, setting=s) for s in others}) == len(others)


@pytest.mark.slow
def test_seeds_do_not_depend_on_the_process(tmp_path):
    """Sets and functions by name: nothing hashes an address or an order of its own."""
    script = textwrap.dedent(
        """
        from twolayer import activations, data
        from twolayer.lab.sweep import cached
        def draw(setting, rng): return rng.standard_normal()
        settings = [{"a", "b", "c"}, data.SingleIndex(3, activations.get("gelu")), draw]
        print([cached(draw, setting=s) for s in settings])
        """
    )
    (tmp_path / "work.py").write_text(script)
    out = {
        subprocess.run(
            [sys.executable, "work.py"], cwd=tmp_path, text=True, check=True, capture_output=True,
            env=os.environ | {"PYTHONHASHSEED": seed, "TWOLAYER_CACHE": str(tmp_path / seed)},
        ).stdout
        for seed in "12"
    }  # fmt: skip
    assert len(out) == 1


KEPT = """
from twolayer.lab.sweep import cached
def draw(n, rng): return rng.standard_normal(n).sum()
print([float(cached(draw, n=n)) for n in range(8)])
"""


@pytest.mark.slow
@pytest.mark.parametrize("damage", ["truncated", "empty", "garbage", "one bit"])
def test_damaged_entries_are_computed_again_with_a_warning(tmp_path, folder, damage):
    script = tmp_path / "work.py"
    script.write_text(KEPT)
    command = [sys.executable, "-W", "always", str(script)]
    want = subprocess.run(command, text=True, check=True, capture_output=True).stdout
    victim = entries(folder)[3]
    content = victim.read_bytes()
    flipped = content[:-3] + bytes([content[-3] ^ 1]) + content[-2:]
    bad = {"truncated": content[: len(content) // 2], "empty": b"", "garbage": b"\x80\x04nonsense"}
    victim.write_bytes({**bad, "one bit": flipped}[damage])
    done = subprocess.run(command, text=True, check=True, capture_output=True)
    assert done.stdout == want
    assert done.stderr.count("damaged, and computed again") == 1
    again = subprocess.run(command, text=True, check=True, capture_output=True)
    assert (again.stdout, again.stderr) == (want, "")


@pytest.mark.parametrize("place", ["a file", "under a file", "a name too long"])
def test_without_a_usable_folder_it_says_so_in_a_line_and_runs(
    tmp_path, monkeypatch, capsys, place
):
    file = tmp_path / "file"
    file.touch()
    names = {"a file": file, "under a file": file / "x", "a name too long": tmp_path / ("x" * 300)}
    monkeypatch.setenv("TWOLAYER_CACHE", str(names[place]))
    for _ in range(2):
        assert sweep(mean, OVER, 2, progress=False).sizes["seed"] == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "cannot be used" in line
    assert "nothing is kept" in line


def test_what_does_not_pickle_is_computed_and_said(capsys):
    assert callable(cached(lambda rng: lambda: 3))
    assert "cannot be pickled and is not kept" in capsys.readouterr().err


SCRIPT = textwrap.dedent(
    """
    import sys, time
    from twolayer.lab.sweep import sweep

    def slow(n, rng):
        with open(sys.argv[1], "a") as log:
            log.write(f"{n} ")
        time.sleep(0.25)
        return {"value": rng.standard_normal()}

    print(repr(sweep(slow, {"n": range(8)}, 1, progress=False)["value"].values.tolist()))
    """
)


@pytest.mark.slow
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


@pytest.mark.slow
def test_processes_give_the_same_numbers():
    want = sweep(mean, OVER, 2, cache=False, progress=False)
    with joblib.parallel_config(backend="loky", n_jobs=2):
        got = sweep(mean, OVER, 2, progress=False)
    assert got.identical(want)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_dask_cluster_gives_the_same_numbers(folder):
    distributed = pytest.importorskip("distributed")
    want = sweep(mean, OVER, 2, cache=False, progress=False)
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=None, host="127.0.0.1"
        ) as cluster,
        distributed.Client(cluster),
        joblib.parallel_config(backend="dask"),
    ):
        got = sweep(mean, OVER, 2, progress=False)
        kept = len(entries(folder))
    assert got.identical(want)
    assert kept == 12


def dies_once(n, rng):
    """Kills its own worker at one point, the first time; notes each of its turns."""
    folder = module.cache_folder()
    with open(folder / "log", "a") as log:
        log.write(f"{n} ")
    if n == 9 and not (folder / "died").exists():
        (folder / "died").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return {"value": rng.standard_normal()}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_worker_that_dies_takes_nothing_with_it(folder, caplog):
    """What it had in hand begins anew; all else is evaluated once; no data lay with it alone."""
    distributed = pytest.importorskip("distributed")
    folder.mkdir()
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=None, host="127.0.0.1"
        ) as cluster,
        distributed.Client(cluster),
        joblib.parallel_config(backend="dask"),
    ):
        logging.getLogger("distributed.scheduler").propagate = True
        got = sweep(dies_once, {"n": range(30)}, 1, progress=False)
    turns = sorted(map(int, (folder / "log").read_text().split()))
    assert turns == sorted([*range(30), 9])
    assert len(entries(folder)) == 30
    assert "scattered data" not in caplog.text
    want = sweep(dies_once, {"n": range(30)}, 1, cache=False, progress=False)
    assert got.identical(want)


def test_folder(monkeypatch, tmp_path):
    monkeypatch.delenv("TWOLAYER_CACHE")
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "_config.yml").touch()
    monkeypatch.chdir(tmp_path / "a" / "b")
    assert module.cache_folder() == tmp_path / "_build" / "sweep"
    (tmp_path / "_config.yml").unlink()
    assert module.cache_folder() == pathlib.Path.cwd() / "_build" / "sweep"


def no_dict(n, rng):
    return 3.0


def more_later(n, rng):
    return {"a": 1.0} | ({"b": 2.0} if n == 2 else {})


def longer_later(n, rng):
    return {"a": np.ones(n)}


def fails(n, rng):
    raise RuntimeError("of its own")


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"seeds": 0}, ValueError, "seeds=0 must be a positive integer"),
        ({"root": -1}, ValueError, "root=-1 must be an integer >= 0"),
        ({"over": [1]}, TypeError, r"over=\[1\] must be a dict of argument to values"),
        ({"over": {"n": []}}, ValueError, r"over\['n'\] must hold at least one value"),
        ({"over": {"n": 5}}, TypeError, r"over\['n'\]=5 must be a list of values"),
        ({"over": {"n": "tanh"}}, TypeError, r"over\['n'\]='tanh' must be a list of values"),
        ({"over": {"seed": [1]}}, ValueError, "over names 'seed', which is given elsewhere"),
        ({"n": 3}, ValueError, "over names 'n', which is given elsewhere"),
        ({"function": 3}, TypeError, "function=3 must be callable"),
        (
            {"function": no_dict},
            TypeError,
            "no_dict returned a float at n=1; it must return a dict",
        ),
        ({"function": more_later}, ValueError, "b is not given by all, see n=2"),
        ({"function": longer_later}, ValueError, r"a has shape \(2,\) at n=2, and \(1,\) at the"),
        ({"over": {"n": [lambda z: z]}}, TypeError, r"n=<function.* has no name by which"),
        ({"over": {"n": [{"a": (os,)}]}}, TypeError, r"n\['a'\]\[0\]=<module.* cannot be pickled"),
    ],
)
def test_bad_input(change, error, words):
    with pytest.raises(error, match=words):
        sweep(**{"function": lambda n, rng: {"a": 1}, "over": {"n": [1, 2]}, "seeds": 1, **change})


def test_an_error_says_at_which_point():
    with pytest.raises(RuntimeError, match="of its own") as error:
        sweep(fails, {"n": [7]}, 1, progress=False)
    assert error.value.__notes__ == ["in fails at n=7, seed 0"]


def test_standard_error():
    values = np.arange(12.0).reshape(3, 4)
    np.testing.assert_allclose(standard_error(values, 0), np.std(values, 0, ddof=1) / np.sqrt(3))
    labelled = standard_error(xr.DataArray(values, dims=("seed", "n")))
    assert labelled.dims == ("n",)
    np.testing.assert_allclose(labelled, standard_error(values, 0))
    with pytest.raises(ValueError, match="values has 1 seeds"):
        standard_error([1.0])
    with pytest.raises(ValueError, match="values has 1 seeds"):
        standard_error(xr.DataArray([1.0], dims="seed"))


def test_a_stored_table_comes_back_with_its_provenance(tmp_path):
    path = tmp_path / "large.csv"
    columns = {"d": [16, 32], "method": ["kernel, # 2", "one step"], "error": [0.5, 1 / 3]}
    store(path, columns, command="papermill chapter.ipynb", seconds=3.2)
    header = path.read_text().splitlines()[:3]
    assert header[0] == "# command: papermill chapter.ipynb"
    assert "numpy" in header[1]
    assert header[2] == "# run time: 3 s"
    back = load(path)
    assert isinstance(back, pd.DataFrame)
    assert back.method.tolist() == columns["method"]
    assert back.d.tolist() == [16, 32]
    np.testing.assert_allclose(back.error, columns["error"], rtol=1e-5)


def test_tables_that_are_refused(tmp_path):
    for columns, command, message in [
        ({}, "make", "at least one"),
        ({"a": [1], "b": [1, 2]}, "make", "same length"),
        ({"a": [1]}, "two\nlines", "one line"),
    ]:
        with pytest.raises(ValueError, match=message):
            store(tmp_path / "t.csv", columns, command=command, seconds=1)
    (tmp_path / "t.csv").write_text("d\n1\n")
    with pytest.raises(ValueError, match="not a table"):
        load(tmp_path / "t.csv")


def test_a_bare_name_is_a_table_of_the_library(monkeypatch, tmp_path):
    monkeypatch.setattr(sys.modules[load.__module__], "__file__", str(tmp_path / "sweep.py"))
    (tmp_path / "tables").mkdir()
    monkeypatch.chdir(tmp_path)
    store("large", {"d": [16]}, command="make", seconds=1)
    assert load("large").d.tolist() == [16]
    assert (tmp_path / "tables" / "large.csv").exists()
    store("large.csv", {"d": [32]}, command="make", seconds=1)  # a file in this folder
    assert load(tmp_path / "large.csv").d.tolist() == [32]
    assert load("large").d.tolist() == [16]


def test_a_full_disk_is_said_in_a_line(monkeypatch, capsys, folder):
    def replace(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(module._files.os, "replace", replace)
    for _ in range(2):
        assert sweep(mean, OVER, 2, progress=False).sizes["seed"] == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith("cannot be written (No space left on device); results are not kept")
    assert not any(path.is_file() for path in folder.rglob("*"))
