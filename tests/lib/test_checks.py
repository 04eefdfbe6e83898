"""What comes in: anything like an array or a number, or an error that names the argument."""

import fractions

import numpy as np
import pandas
import pytest
import torch

from twolayer import _checks

LIVE = torch.ones(3, requires_grad=True)


@pytest.mark.parametrize(
    ("value", "dtype", "shape"),
    [
        ([1, 2], np.float64, (2,)),
        (3, np.float64, ()),
        (np.float32(3), np.float32, ()),
        (np.arange(6)[::-1], np.float64, (6,)),
        (np.arange(3.0).astype(">f4"), np.float64, (3,)),
        (np.ones(2, np.float16), np.float64, (2,)),
        (np.array([1, fractions.Fraction(1, 2)], dtype=object), np.float64, (2,)),
        (LIVE, np.float32, (3,)),
        (LIVE.bfloat16(), np.float32, (3,)),
        ([LIVE, 2 * LIVE], np.float32, (2, 3)),
        ([LIVE[0], LIVE[1]], np.float32, (2,)),
        (torch.arange(3), np.float64, (3,)),
        (pandas.DataFrame({"a": [1, 2], "b": [0.5, 1]}), np.float64, (2, 2)),
        (pandas.DataFrame({"a": [1, 2]}, dtype="Int64"), np.float64, (2, 1)),
    ],
)
def test_what_is_like_an_array(value, dtype, shape):
    kept = _checks.real_array("v", value, dtype=None)
    assert type(kept) is np.ndarray
    assert (kept.dtype, kept.shape) == (dtype, shape)
    assert _checks.real_array("v", value, len(shape)).dtype == float


@pytest.mark.parametrize(
    "value",
    [None, "ab", ["a"], [True], 1j, [[1], [1, 2]], [LIVE, [1]], {"a": 1}, torch.eye(2).to_sparse()],
)
def test_what_is_not(value):
    with pytest.raises(TypeError, match="^v "):
        _checks.real_array("v", value)


def test_entries_are_finite_also_where_their_sum_is_not():
    assert _checks.real_array("v", [1e308, 1e308]).tolist() == [1e308, 1e308]
    assert _checks.real_array("v", np.full(2, 3e38, np.float32), dtype=None).dtype == np.float32
    for bad in ([1.0, np.inf], [np.inf, -np.inf], [np.nan], pandas.DataFrame({"a": [1.0, None]})):
        with pytest.raises(ValueError, match="v must be finite, got"):
            _checks.real_array("v", bad)
    with pytest.raises(ValueError, match="v must be finite and > 0, got 0.0"):
        _checks.real_array("v", [1.0, 0.0], minimum=0, strict=True)


def test_a_copy_is_ones_own():
    given = np.ones(3)
    assert not np.shares_memory(given, _checks.real_array("v", given))
    assert np.shares_memory(given, _checks.real_array("v", given, copy=False))


@pytest.mark.parametrize("kind", [int, np.int64, np.uint8, np.array, torch.tensor])
def test_numbers_of_any_kind(kind):
    for number in (
        _checks.positive_int("n", kind(3)),
        _checks.integer("n", kind(3), 0, 5),
    ):
        assert type(number) is int
        assert number == 3
    assert type(_checks.real("x", kind(3))) is float
    for bad in (2.5, np.array(2.5), True, np.array(True), torch.tensor(True), np.array([3]), "3"):
        with pytest.raises(TypeError, match="n="):
            _checks.positive_int("n", bad)
    assert _checks.real("x", torch.tensor(0.5, requires_grad=True)) == 0.5


def test_tensors_of_arrays_that_torch_does_not_take():
    """Negative strides, and memory that is read-only."""
    frozen = np.arange(6.0)
    frozen.flags.writeable = False
    for value in (np.arange(6.0)[::-1], frozen, np.arange(6.0).astype(">f8")):
        assert _checks.tensor("x", value, 1).tolist() == value.tolist()
    mask = np.eye(3, dtype=bool)[::-1]
    assert _checks.masks("masks", mask, (3, 3), "cpu").tolist() == mask.tolist()
