import re

import numpy as np
import pytest

from twolayer.lab.exercises import check

CASES = [(3.0, 0.5), (5.0, 0.25), (7.0, 2.0)]


def ratio(a, b):
    return a / b


def unanswered(a, b):
    return ...


def unfinished(a, b):
    slope = ...  # noqa: F841


def without_return(a, b):
    a / b


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (ratio, "correct"),
        (unanswered, "not answered yet"),
        (unfinished, "not answered yet"),
        (without_return, r"0 of 3 cases right; case \(3.0, 0.5\): did you forget `return`\?"),
        (lambda a, b: b / a, r"0 of 3 .* case \(3.0, 0.5\): right shape, wrong value"),
        (lambda a, b: a, "0 of 3 cases right; .* wrong value"),
        (lambda a, b: 6.0, r"1 of 3 cases right; case \(5.0, 0.25\): .* wrong value"),
        (lambda a, b: [a / b] * 2, r"0 of 3 .* shape \(2,\); it should be \(\)"),
        (lambda a, b: np.nan, "0 of 3 .* not a number"),
        (lambda a, b: undefined / b, "0 of 3 .* your function raised NameError: name 'undefined'"),  # noqa: F821
        (lambda a: a, "0 of 3 .* your function raised TypeError: "),
        (lambda a, b: "a/b", "0 of 3 .* your function raised ValueError: "),
        (lambda a, b: np.array([1, [2, 3]], dtype=object), "0 of 3 .* your function raised"),
    ],
)
@pytest.mark.parametrize("expected", [ratio, [6.0, 20.0, 3.5]])
def test_says_what_is_wrong_and_does_not_raise(answer, words, expected):
    message = check(answer, CASES, expected)
    assert isinstance(message, str)
    assert repr(message) == message
    assert re.fullmatch(words + ("" if message == "correct" else ".*"), message), message
    assert "20.0" not in message


def test_tolerance():
    assert check(lambda x: x * (1 + 1e-3), [(2.0,)], [2.0], rtol=2e-3) == "correct"
    assert (
        check(lambda x: x * (1 + 1e-3), [(2.0,)], [2.0]) == "case (2.0): right shape, wrong value"
    )
    assert check(lambda: [1e-7, 1.0], [()], [[0.0, 1.0]]) == "correct"


def test_arguments_are_copies():
    def spoil(x):
        x *= 2
        return x.sum()

    x = np.ones(3)
    assert check(spoil, [(x,)], [6.0]) == "correct"
    assert check(spoil, [(x,)], spoil) == "correct"
    np.testing.assert_array_equal(x, 1.0)
    draw = np.random.default_rng(0), np.random.default_rng(0).random()
    assert check(lambda rng: rng.random(), [(draw[0],)], [draw[1]]) == "correct"
    assert check(lambda x: x.sum() + 1, [(x,)], [3.0]) == (
        "case (ndarray(3,)): right shape, wrong value"
    )


@pytest.mark.parametrize(
    ("cases", "expected", "words"),
    [
        ([], [], r"cases=\[\] must hold at least one"),
        ([(2.0,)], [2.0, 3.0], "must hold 1 values"),
        ([(2.0,)], [np.nan], r"expected\[0\]=nan must be finite"),
        ([(2.0,), (3.0,)], lambda x: 5.0, r"expected\[1\]=5.0 must differ"),
        ([(2.0,), (1.0,)], lambda x: x, r"expected\[1\]=1.0 must be neither 0 nor 1"),
    ],
)
def test_cases_that_prove_nothing_are_refused(cases, expected, words):
    with pytest.raises(ValueError, match=words):
        check(lambda x: ..., cases, expected)
