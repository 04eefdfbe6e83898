"""The step on a device of torch's, and the script that measures it on a card."""

import importlib.util
import json
import pathlib

import numpy as np
import pytest
import torch

from twolayer.simulation import one_step
from twolayer.theory.one_step import FirstStep

SCRIPT = pathlib.Path(__file__).resolve().parents[2] / "benchmarks" / "gpu.py"
SMALL = ["--device", "cpu", "--small", "100", "--large", "200", "--seeds", "5"]


@pytest.fixture(scope="module")
def gpu():
    spec = importlib.util.spec_from_file_location("gpu", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_device_gives_the_numbers_of_numpy():
    setting = FirstStep("tanh", "sign", alpha0=4.0, width_ratio=1.0)
    here = one_step.run(setting, [2.0, 3.0], 120, np.random.default_rng(0))
    there = one_step.run(setting, [2.0, 3.0], 120, np.random.default_rng(0), device="cpu")
    for name, value in here.items():
        np.testing.assert_allclose(there[name], value, rtol=1e-5)


@pytest.mark.parametrize("device", ["nowhere", "cuda:99"])
def test_a_device_that_is_not_there_is_refused(device):
    setting = FirstStep("tanh", "sign", alpha0=4.0, width_ratio=1.0)
    with pytest.raises(ValueError, match=f"device='{device}' must be one that torch can use here"):
        one_step.run(setting, [2.0], 50, np.random.default_rng(0), device=device)


def test_the_script_on_a_processor(gpu, capsys, tmp_path):
    assert gpu.main([*SMALL, "--out", str(tmp_path / "gpu.json")]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found == json.loads((tmp_path / "gpu.json").read_text())
    assert found["holds"]
    assert found["same_inputs"]["relative_difference"] <= found["same_inputs"]["allowed"] < 1e-5
    assert len(found["sizes"]) == 4
    (speed,) = found["speed"]
    assert 0 < speed["share"] < 1.5
    assert speed["step_tflops"] * 1e12 * speed["seconds_of_a_step"] == pytest.approx(
        4 * 800 * 200**2
    )


def shortened(x):
    """As TF32 has it: ten bits of mantissa."""
    bits = np.array(x, dtype="float32").view("int32")
    return (bits & ~0x1FFF).view("float32")


def test_tf32_would_be_found_out(gpu, monkeypatch):
    """What the script allows lets no shorter arithmetic pass."""
    true = one_step._direction

    def short(network, x, y, device):
        return true(network.with_weights(shortened(network.W)), shortened(x), y, device)

    monkeypatch.setattr(one_step, "_direction", short)
    found = gpu.same_inputs("cpu", 100)
    assert not found["holds"]
    assert found["relative_difference"] > 10 * found["allowed"]


def test_numbers_of_another_step_are_found_out(gpu, monkeypatch):
    """Twice the step at the large size is not the theory's spike."""
    true = one_step._direction
    monkeypatch.setattr(
        one_step, "_direction", lambda *given: true(*given) * (1 if given[3] is None else 2)
    )
    rows = gpu.sizes("cpu", 100, 200, 5)
    assert not any(row["holds"] for row in rows if row["what"].startswith("value"))


def test_without_a_card_it_says_so(gpu, capsys, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert gpu.main([]) == 0
    found = json.loads(capsys.readouterr().out)
    assert list(found) == ["skipped"]
    assert "finds no CUDA device" in found["skipped"]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device on this machine")
def test_the_script_on_a_card(gpu):
    assert gpu.main(["--small", "1024", "--large", "4096"]) == 0
