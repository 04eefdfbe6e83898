import numpy as np
import pytest

from twolayer.lab.exercises import check


def test_answers():
    assert check(lambda x: ..., (1.0,), 2.0) == "not answered yet"
    assert check(lambda x: None, (1.0,), 2.0) == "not answered yet"
    assert check(lambda x: [x, x], (1.0,), np.ones(2)) == "correct"
    with pytest.raises(AssertionError, match=r"shape \(2,\); it should be \(\)"):
        check(lambda x: [x, x], (1.0,), 1.0)
    with pytest.raises(AssertionError, match="right shape, wrong value"):
        check(lambda x: 2 * x, (1.0,), 1.0)
    with pytest.raises(AssertionError, match="wrong value"):
        check(lambda x: np.nan, (1.0,), 1.0)
