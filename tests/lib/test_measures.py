import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.linalg import subspace_angles

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


@given(sizes, sizes, sizes, st.integers(0, 99))
def test_subspace_overlap_by_scipys_angles(m, d, r, seed):
    r = min(m, d, r)
    rng = np.random.default_rng(seed)
    W, U = rng.standard_normal((m, d)), rng.standard_normal((r, d))
    s, vt = np.linalg.svd(W)[1:]
    q = measures.subspace_overlap(W, U)
    assert 0 <= q <= 1
    if r == len(s) or s[r] < 0.99 * s[r - 1]:  # the leading subspace is well defined
        assert q == pytest.approx(np.mean(np.cos(subspace_angles(vt[:r].T, U.T)) ** 2), abs=1e-7)


@given(st.integers(1, 4), st.integers(4, 9), st.integers(0, 99), st.floats(1e-3, 1e3))
def test_subspace_overlap_sees_spans_only(r, d, seed, scale):
    rng = np.random.default_rng(seed)
    U, W = rng.standard_normal((r, d)), rng.standard_normal((12, d))
    q = measures.subspace_overlap(W, U)
    rotation = np.linalg.qr(rng.standard_normal((r, r)))[0]
    turned = np.linalg.qr(rng.standard_normal((d, d)))[0]
    assert measures.subspace_overlap(W, scale * rotation @ U) == pytest.approx(q, abs=1e-9)
    assert measures.subspace_overlap(W, U * np.geomspace(1, scale, r)[:, None]) == pytest.approx(
        q, abs=1e-7
    )
    assert measures.subspace_overlap(-scale * W, U) == pytest.approx(q, abs=1e-9)
    assert measures.subspace_overlap(W @ turned, U @ turned) == pytest.approx(q, abs=1e-9)


def test_subspace_overlap_by_hand(rng):
    W = np.diag([3.0, 2.0, 1.0, 0.0])
    assert measures.subspace_overlap(W, np.eye(2, 4)) == pytest.approx(1)
    assert measures.subspace_overlap(W, np.eye(4)[2:]) == pytest.approx(0)
    assert measures.subspace_overlap(W, np.eye(4)[1:3]) == pytest.approx(1 / 2)
    for rows in (4, 2):  # by either of the two decompositions
        assert measures.subspace_overlap(W[:rows], [[1.0, 1.0, 0.0, 0.0]]) == pytest.approx(1 / 2)
    q = [
        measures.subspace_overlap(rng.standard_normal((30, 20)), np.eye(3, 20)) for _ in range(400)
    ]
    assert np.mean(q) == pytest.approx(3 / 20, abs=4 * np.std(q) / 20)  # isotropic: r/d exactly
    W = torch.as_tensor(rng.standard_normal((6, 5)), dtype=torch.float32).requires_grad_()
    once = measures.subspace_overlap(W, torch.eye(2, 5))
    assert isinstance(once, float)
    assert once == measures.subspace_overlap(W.detach().double().numpy(), np.eye(2, 5))


def test_bad_input():
    with pytest.raises(ValueError, match="u is the zero vector"):
        measures.squared_overlap([0.0, 0.0], [1.0, 0.0])
    with pytest.raises(ValueError, match="u has 2 entries and v has 3"):
        measures.squared_overlap([1.0, 0.0], [1.0, 0.0, 0.0])
    with pytest.raises(ValueError, match="direction has 2 entries; W has 3 columns"):
        measures.alignment(np.ones((2, 3)), [1.0, 0.0])
    with pytest.raises(ValueError, match="W has shape"):
        measures.singular_values(np.ones(3))
    for U, words in [
        (np.ones((1, 4)), r"U has shape \(1, 4\) and W \(2, 3\); U must have as many columns"),
        (np.eye(3), r"U has shape \(3, 3\) .* and between 1 and 2 rows"),
        (np.ones((0, 3)), r"U has shape \(0, 3\) .* and between 1 and 2 rows"),
        (np.ones((2, 3)), "the 2 rows of U are linearly dependent; they must span 2 directions"),
        (np.zeros((1, 3)), "the 1 rows of U are linearly dependent"),
        (np.full((1, 3), np.nan), "U holds non-finite"),
        (np.ones(3), r"U has shape \(3,\); it must have 2 axes"),
    ]:
        with pytest.raises(ValueError, match=words):
            measures.subspace_overlap(np.eye(2, 3), U)
    with pytest.raises(ValueError, match="W has shape"):
        measures.subspace_overlap(np.ones(3), np.eye(1, 3))
