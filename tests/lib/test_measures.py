import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twolayer import measures

sizes = st.integers(1, 12)


@given(sizes, sizes, st.integers(0, 99))
def test_spectra_are_numpys(m, d, seed):
    W = np.random.default_rng(seed).standard_normal((m, d))
    u, s, vt = np.linalg.svd(W, full_matrices=False)
    np.testing.assert_allclose(measures.singular_values(W), s, atol=1e-7)
    value, left, right = measures.leading_singular(W)
    assert value == pytest.approx(s[0], rel=1e-9)
    if len(s) == 1 or s[1] < 0.999 * s[0]:
        assert measures.squared_overlap(left, u[:, 0]) == pytest.approx(1, abs=1e-6)
        assert measures.squared_overlap(right, vt[0]) == pytest.approx(1, abs=1e-6)


@given(st.lists(st.floats(-5, 5), min_size=2, max_size=6), st.floats(0.1, 9))
def test_overlap_is_scale_free_and_bounded(v, scale):
    v = np.array([*v, 1.0])
    w = np.arange(1.0, len(v) + 1)
    q = measures.squared_overlap(v, w)
    assert 0 <= q <= 1 + 1e-12
    assert measures.squared_overlap(-scale * v, w) == pytest.approx(q, abs=1e-12)
    assert measures.squared_overlap(v, v) == pytest.approx(1)


def test_alignment(rng):
    W = rng.standard_normal((5, 3))
    W[2] = 0
    cosine = measures.alignment(W, [0.0, 2.0, 0.0])
    rest = np.arange(5) != 2
    np.testing.assert_allclose(cosine[rest], (W[:, 1] / np.linalg.norm(W, axis=1).clip(1e-9))[rest])
    assert cosine[2] == 0


def test_bad_input():
    with pytest.raises(ValueError, match="u is the zero vector"):
        measures.squared_overlap([0.0, 0.0], [1.0, 0.0])
    with pytest.raises(ValueError, match="u has 2 entries and v has 3"):
        measures.squared_overlap([1.0, 0.0], [1.0, 0.0, 0.0])
    with pytest.raises(ValueError, match="direction has 2 entries; W has 3 columns"):
        measures.alignment(np.ones((2, 3)), [1.0, 0.0])
    with pytest.raises(ValueError, match="W has shape"):
        measures.singular_values(np.ones(3))
