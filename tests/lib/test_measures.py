import warnings

import numpy as np
import pandas
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.linalg import subspace_angles
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.linear_model import Ridge
from sklearn.neural_network import MLPRegressor

from twolayer import measures
from twolayer.network import TwoLayer

sizes = st.integers(1, 12)


@given(sizes, sizes, st.integers(0, 99))
def test_spectra_are_numpys(m, d, seed):
    W = np.random.default_rng(seed).standard_normal((m, d))
    u, s, vt = np.linalg.svd(W, full_matrices=False)
    np.testing.assert_allclose(measures.singular_values(W), s, atol=1e-14 * s[0])
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


def test_cosine(rng):
    W = rng.standard_normal((5, 3))
    W[2] = 0
    cosine = measures.cosine(W, [0.0, 2.0, 0.0])
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


# --- digits


def planted(values, m, d, seed=0):
    """A matrix with these singular values, and its right vectors as rows."""
    rng, r = np.random.default_rng(seed), len(values)
    left = np.linalg.qr(rng.standard_normal((m, r)))[0]
    right = np.linalg.qr(rng.standard_normal((d, r)))[0]
    return (left * values) @ right.T, right.T


@pytest.mark.parametrize(("m", "d"), [(300, 20), (20, 300), (20, 20)])
def test_small_singular_values_keep_their_digits(m, d):
    """Of W'W those below 1e-8 of the largest would be noise."""
    values = [1.0, 1e-5, 1e-9, 1e-12]
    W, right = planted(values, m, d)
    np.testing.assert_allclose(measures.singular_values(W)[:4], values, rtol=1e-3)
    for r in (2, 3):
        assert measures.subspace_overlap(W, right[:r]) == pytest.approx(1, abs=1e-6)
    assert measures.subspace_overlap(W, right[[0, 3]]) == pytest.approx(0.5, abs=1e-6)


def test_a_small_direction_of_a_tall_matrix():
    """One direction of size 1, one of 1e-9 and noise of 1e-12: .77 through W'W."""
    W, right = planted([1.0, 1e-9, *[1e-12] * 18], 300, 20)
    assert measures.subspace_overlap(W, right[:2]) == pytest.approx(1, abs=1e-5)


def test_what_a_layer_does_not_hold_does_not_count():
    """Right vectors of singular value zero are arbitrary: they hold nothing."""
    one = np.outer(np.arange(1.0, 7), [1.0, 0, 0, 0])
    for W in (one, one.T[:, :4]):
        U = np.eye(4)[:2] if W is one else np.array([[1.0, 2, 3, 4], [4, -3, 2, -1]])
        assert measures.subspace_overlap(W, U) == pytest.approx(0.5)
    for shape in ((5, 3), (3, 5)):
        assert measures.subspace_overlap(np.zeros(shape), np.eye(2, shape[1])) == 0
        assert not measures.singular_values(np.zeros(shape)).any()
        assert not measures.cosine(np.zeros(shape), np.ones(shape[1])).any()
        with pytest.raises(ValueError, match="is zero; it has no leading direction"):
            measures.leading_singular(np.zeros(shape))


def test_rows_of_a_subspace_may_have_any_length(rng):
    U = rng.standard_normal((3, 6))
    W = rng.standard_normal((20, 6))
    want = measures.subspace_overlap(W, U)
    for lengths in ([1e-200, 1.0, 1e200], [1e-17, 1.0, 1.0]):
        got = measures.subspace_overlap(W, U * np.array(lengths)[:, None])
        assert got == pytest.approx(want, abs=1e-12)


@pytest.mark.parametrize("d", [25, 63, 64, 65, 200])
def test_a_leading_direction_that_is_orthogonal_to_the_ones(d):
    """Lanczos from W'W 1 never sees it: at d = 25 it gave 25, right is 140.007."""
    W = np.diag(np.arange(1.0, d + 1))
    W[0, :2] = 99, -99
    W[1, :2] = 1, 1
    value, u, v = measures.leading_singular(W)
    # the block of the first two columns: its singular values are 99 sqrt 2 and sqrt 2
    right = max(99 * 2**0.5, d)
    assert value == pytest.approx(right, rel=1e-12)
    np.testing.assert_allclose(W @ v, value * u, atol=1e-6 * value)
    np.testing.assert_allclose(np.linalg.norm([u, v], axis=1), 1, rtol=1e-12)
    rank_one = np.outer(np.arange(1.0, 2 * d + 1), np.where(np.arange(d) % 2, 1.0, -1.0))
    rank_one = rank_one[:, : d - d % 2]  # rows that sum to zero
    value, u, v = measures.leading_singular(rank_one)
    assert value == pytest.approx(np.linalg.norm(rank_one), rel=1e-12)
    np.testing.assert_allclose(np.outer(value * u, v), rank_one, atol=1e-7 * value)


@pytest.mark.parametrize("size", [1e-200, 1e-3, 1e200])
def test_sizes_whose_squares_are_out_of_range(size, rng):
    W, v = rng.standard_normal((80, 70)), rng.standard_normal(70)
    want = measures.leading_singular(W)
    got = measures.leading_singular(size * W)
    assert got[0] == pytest.approx(size * want[0], rel=1e-12)
    assert measures.squared_overlap(got[2], want[2]) == pytest.approx(1)
    np.testing.assert_allclose(measures.cosine(size * W, v / size), measures.cosine(W, v))
    assert measures.squared_overlap(size * v, W[0] / size) == pytest.approx(
        measures.squared_overlap(v, W[0])
    )
    assert measures.recovered_mass(size * W, size * W[:, 0], [v], [1.0], 85.0) == pytest.approx(
        measures.recovered_mass(W, W[:, 0], [v], [1.0], 85.0)
    )


def test_cosines_end_at_one(rng):
    """Rounding takes one in some hundred of the plain formula's beyond it."""
    W = rng.standard_normal((20_000, 3))
    assert max(measures.cosine(W, w)[i] for i, w in enumerate(W[:2000])) == 1
    assert min(measures.cosine(-W[:2000], w)[i] for i, w in enumerate(W[:2000])) == -1
    assert max(measures.squared_overlap(w, 3 * w) for w in W[:2000]) == 1


def test_mass_within_tiny_angles():
    """The cosine of 1e-7 degrees is 1 - 1.5e-18: no cosine tells it from zero."""
    turn = np.radians([0.0, 0.5e-7, 2e-7])
    W = np.column_stack([np.cos(turn), np.sin(turn)])
    masses = [
        measures.recovered_mass(W, [1.0, 2, 4], [[5.0, 0]], [1.0], v) for v in (0, 1e-7, 3e-7)
    ]
    assert masses == [pytest.approx(1 / 7), pytest.approx(3 / 7), 1]
    rng = np.random.default_rng(0)
    W = rng.standard_normal((500, 3))  # each on its own line, whatever the rounding
    assert measures.recovered_mass(3 * W, np.ones(500), 7 * W, np.ones(500), 0) == 1


# --- what comes in


def test_networks_are_taken_for_their_first_layers(rng):
    W, v = rng.standard_normal((6, 4)), rng.standard_normal(4)
    network = TwoLayer(W, np.ones(6), "relu")
    linear = torch.nn.Linear(4, 6)
    linear.weight.data = torch.tensor(W)
    modules = (linear, torch.nn.Sequential(torch.nn.BatchNorm1d(4), linear, torch.nn.Linear(6, 1)))
    for whole in (network, *modules):
        assert np.array_equal(measures.cosine(whole, v), measures.cosine(W, v))
        assert np.array_equal(measures.singular_values(whole), measures.singular_values(W))
        assert measures.leading_singular(whole)[0] == measures.leading_singular(W)[0]
        assert measures.subspace_overlap(whole, [v]) == measures.subspace_overlap(W, [v])
        mass = measures.recovered_mass(whole, np.ones(6), [v], [1.0], 60.0)
        assert mass == measures.recovered_mass(W, np.ones(6), [v], [1.0], 60.0)
    regressor = MLPRegressor(hidden_layer_sizes=(6,), max_iter=1, solver="lbfgs")
    with pytest.raises(NotFittedError):
        measures.singular_values(regressor)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        regressor.fit(rng.standard_normal((9, 4)), np.arange(9.0))
    rows = regressor.coefs_[0].T
    assert rows.shape == (6, 4)
    assert np.array_equal(measures.cosine(regressor, v), measures.cosine(rows, v))
    with pytest.raises(TypeError, match="W is a Ridge; it must be a matrix, a TwoLayer, a torch"):
        measures.cosine(Ridge(), v)
    with pytest.raises(TypeError, match="W is a ReLU without a layer of weights"):
        measures.cosine(torch.nn.ReLU(), v)
    with pytest.raises(ValueError, match=r"W has shape \(2, 3, 3, 3\); it must have 2 axes"):
        measures.singular_values(torch.nn.Conv2d(3, 2, 3))
    with pytest.raises(ValueError, match=r"W has shape \(2, 6, 4\)"):
        measures.singular_values(TwoLayer.stack([network, network]))


def test_what_is_like_an_array(rng):
    W, v, y = rng.standard_normal((6, 4)), rng.standard_normal(4), rng.choice([-1.0, 1.0], 6)
    frame = pandas.DataFrame(W, columns=list("WXYZ"))  # a column W is no first layer
    likes = (
        (W.tolist(), v.tolist()),
        (torch.tensor(W, requires_grad=True), torch.tensor(v, requires_grad=True)),
        (torch.tensor(W).requires_grad_()[:, :], list(torch.tensor(v, requires_grad=True))),
        (frame, pandas.Series(v)),
        (np.ascontiguousarray(W[::-1])[::-1], np.ascontiguousarray(v[::-1])[::-1]),
    )
    for A, u in likes:
        np.testing.assert_allclose(measures.cosine(A, u), measures.cosine(W, v), rtol=1e-14)
        np.testing.assert_allclose(measures.singular_values(A), measures.singular_values(W))
        assert measures.squared_overlap(u, [1, 0, 0, 0]) == measures.squared_overlap(
            v, np.eye(4)[0]
        )
        assert measures.subspace_overlap(A, [v, W[0]]) == pytest.approx(
            measures.subspace_overlap(W, [v, W[0]])
        )
        assert measures.cluster_directions(A, np.int64(2))[1].shape == (6,)
    assert measures.accuracy(torch.tensor(W[:, 0]), y.astype(int)) == measures.accuracy(W[:, 0], y)
    for bad in (3.0, np.array(3.0), torch.tensor(3.0), v, W[None]):
        with pytest.raises(ValueError, match=r"W has shape .*; it must have 2 axes"):
            measures.singular_values(bad)
    for bad in (None, "abc", [[1], [1, 2]], np.array([[1j]]), np.array([[True]])):
        with pytest.raises(TypeError, match="W "):
            measures.singular_values(bad)


def test_bad_input():
    with pytest.raises(ValueError, match="u is the zero vector"):
        measures.squared_overlap([0.0, 0.0], [1.0, 0.0])
    with pytest.raises(ValueError, match="u has 2 entries and v has 3"):
        measures.squared_overlap([1.0, 0.0], [1.0, 0.0, 0.0])
    with pytest.raises(ValueError, match="direction has 2 entries; W has 3 columns"):
        measures.cosine(np.ones((2, 3)), [1.0, 0.0])
    with pytest.raises(ValueError, match="W has shape"):
        measures.singular_values(np.ones(3))
    for U, words in [
        (np.ones((1, 4)), r"U has shape \(1, 4\) and W \(2, 3\); U must have as many columns"),
        (np.eye(3), r"U has shape \(3, 3\) .* and between 1 and 2 rows"),
        (np.ones((0, 3)), r"U has shape \(0, 3\) .* and between 1 and 2 rows"),
        (np.ones((2, 3)), "the 2 rows of U are linearly dependent; they must span 2 directions"),
        (np.zeros((1, 3)), "the 1 rows of U are linearly dependent"),
        (np.full((1, 3), np.nan), "U must be finite, got nan"),
        (np.ones(3), r"U has shape \(3,\); it must have 2 axes"),
    ]:
        with pytest.raises(ValueError, match=words):
            measures.subspace_overlap(np.eye(2, 3), U)
    with pytest.raises(ValueError, match="W has shape"):
        measures.subspace_overlap(np.ones(3), np.eye(1, 3))


# --- clusters and accuracy


@pytest.mark.parametrize("random_state", range(6))  # k-means numbers clusters by chance
def test_cluster_directions_finds_planted_ones(random_state):
    """Four tight bundles of 60, 30, 20 and 10 gradients, and zeros: by size, within the spread."""
    rng, sizes = np.random.default_rng(11), [60, 30, 20, 10]
    planted, truth = np.linalg.qr(rng.standard_normal((6, 4)))[0].T, np.repeat(range(4), sizes)
    gradients = planted[truth] + 0.05 * rng.standard_normal((120, 6))
    unit = gradients / np.linalg.norm(gradients, axis=1, keepdims=True)
    gradients *= rng.uniform(0.1, 9, (120, 1))
    order = rng.permutation(124)
    shuffled = np.concatenate([gradients, np.zeros((4, 6))])[order]
    got, labels = measures.cluster_directions(torch.as_tensor(shuffled), 4, random_state)
    assert np.array_equal(labels, np.append(truth, [-1] * 4)[order])
    for j in range(4):
        mean = unit[truth == j].mean(0)
        np.testing.assert_allclose(got[j], mean / np.linalg.norm(mean), atol=1e-9)
    assert np.all((got * planted).sum(1) > 1 - 4 * 0.05**2)


def test_as_many_clusters_as_gradients():
    got, labels = measures.cluster_directions(np.diag([1.0, 2.0, 0.0, 3.0]), 3)
    np.testing.assert_allclose(got[labels[[0, 1, 3]]], np.eye(4)[[0, 1, 3]], atol=1e-12)
    assert labels[2] == -1


def test_accuracy(rng):
    outputs, y = rng.standard_normal((3, 40)), rng.choice([-1, 1], (3, 40))
    want = np.mean((outputs > 0) == (y > 0), axis=1)
    np.testing.assert_allclose(
        measures.accuracy(torch.as_tensor(outputs).requires_grad_(), y), want
    )
    one = measures.accuracy(outputs, y[1])
    assert one.shape == (3,)
    assert one[1] == pytest.approx(want[1])
    assert measures.accuracy([0.0, 0.0, -0.0], [1, -1, 1]) == 0.5
    assert measures.accuracy(outputs[0], y[0]) + measures.accuracy(-outputs[0], y[0]) == 1


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (
            lambda: measures.cluster_directions([[1.0, 0.0], [0.0, 0.0]], 2),
            ValueError,
            "clusters=2 needs 2 gradients that are not zero, got 1",
        ),
        (
            lambda: measures.cluster_directions(np.eye(2), 0),
            ValueError,
            "clusters=0 must be a positive integer",
        ),
        (
            lambda: measures.cluster_directions([[1.0, 0.0], [-1.0, 0.0]], 1),
            ValueError,
            "clusters=1 is too few",
        ),
        (lambda: measures.accuracy([np.nan, 1.0], [1, 1]), ValueError, "outputs must be finite"),
        (lambda: measures.accuracy(1.0, 1), ValueError, r"outputs has shape \(\); its last axis"),
        (lambda: measures.accuracy([1.0], [0]), ValueError, "y must hold labels -1 or 1"),
        (
            lambda: measures.accuracy([1.0, 2.0], [1]),
            ValueError,
            r"outputs has shape \(2,\) and y \(1,\); they must fit",
        ),
        (
            lambda: measures.accuracy(np.ones((3, 4)), np.ones((2, 4))),
            ValueError,
            r"outputs has shape \(3, 4\) and y \(2, 4\); they must fit",
        ),
    ],
)
def test_bad_clusters_and_outputs(call, error, words):
    with pytest.raises(error, match=words):
        call()


# --- mass at directions


def plain_mass(W, a, directions, signs, degrees):
    """Neuron by neuron, by angles: on lines, so at most 90 degrees."""
    near = total = 0.0
    for w, ai in zip(W, a, strict=True):
        mass = abs(ai) * np.linalg.norm(w)
        total += mass
        if not mass:
            continue
        angles = [np.degrees(subspace_angles(w[:, None], u[:, None])[0]) for u in directions]
        j = int(np.argmin(angles))
        if angles[j] <= degrees and np.sign(ai) == signs[j]:
            near += mass
    return near / total


@pytest.mark.parametrize("degrees", [0.5, 5.0, 20.0, 60.0, 90.0])
def test_recovered_mass_is_counted_neuron_by_neuron(degrees, rng):
    directions = rng.standard_normal((3, 4)) * [[0.1], [1.0], [30.0]]
    signs = [1.0, -1.0, 1.0]
    pick = rng.integers(0, 3, 80)
    W = directions[pick] * rng.choice([-1.0, 1.0], (80, 1)) * rng.uniform(0.1, 3, (80, 1))
    length = np.linalg.norm(W, axis=1, keepdims=True)
    W += rng.standard_normal((80, 4)) * length * np.geomspace(1e-3, 1, 80)[:, None]
    a = rng.standard_normal(80)
    W[0], a[1] = 0, 0
    want = plain_mass(W, a, directions, signs, degrees)
    assert 0 < want < 1
    got = measures.recovered_mass(W, a, directions, signs, degrees)
    assert isinstance(got, float)
    assert got == pytest.approx(want, rel=1e-12)
    tensors = (torch.tensor(v, requires_grad=True) for v in (W, a, directions))
    assert measures.recovered_mass(*tensors, signs, degrees) == pytest.approx(want, rel=1e-12)
    swapped = measures.recovered_mass(W, -a, directions, -np.array(signs), degrees)
    assert swapped == pytest.approx(want, rel=1e-12)
    scaled = measures.recovered_mass(-3 * W, 0.1 * a, -directions, signs, degrees)
    assert scaled == pytest.approx(want, rel=1e-12)


def test_recovered_mass_near_one_line_and_at_its_edge():
    """The nearest line decides the sign; 5 degrees without a word."""
    turn = np.radians([0.0, 4.999, 5.001, 30.0, 90.0])
    W, u = np.column_stack([np.cos(turn), np.sin(turn)]), [[2.0, 0.0]]
    a = np.array([1.0, 2.0, 4.0, 8.0, 16.0])
    assert measures.recovered_mass(W, a, u, [1.0]) == pytest.approx(3 / 31)
    assert measures.recovered_mass(W, a, u, [1.0], 5.0) == pytest.approx(3 / 31)
    assert measures.recovered_mass(W, a, u, [1.0], degrees=31) == pytest.approx(15 / 31)
    assert measures.recovered_mass(W, a, u, [1.0], degrees=90) == pytest.approx(1)
    assert measures.recovered_mass(W, a, u, [-1.0], degrees=90) == 0
    # of two lines at hand, the nearer: neurons at 0 and 5 go to the first, 30 and 90 to the other
    both = [[1.0, 0.0], [0.0, 1.0]]
    assert measures.recovered_mass(W, a, both, [1.0, -1.0], degrees=70) == pytest.approx(15 / 31)
    assert measures.recovered_mass(W, a, both, [-1.0, 1.0], degrees=70) == pytest.approx(16 / 31)
    assert measures.recovered_mass(W, -a, both, [1.0, -1.0], degrees=70) == pytest.approx(16 / 31)


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"W": [1.0, 0.0]}, ValueError, r"W has shape \(2,\); it must have 2 axes"),
        ({"W": [[np.nan, 0.0]] * 2}, ValueError, "W must be finite, got nan"),
        ({"a": [1.0]}, ValueError, r"a has shape \(1,\); W has 2 rows"),
        ({"a": [0.0, 0.0]}, ValueError, "W and a have no mass"),
        ({"a": [np.inf, 0.0]}, ValueError, "a must be finite, got inf"),
        ({"W": [[0.0, 0.0], [1.0, 0.0]], "a": [1.0, 0.0]}, ValueError, "W and a have no mass"),
        ({"directions": [1.0, 0.0]}, ValueError, r"directions has shape \(2,\); it must have 2"),
        (
            {"directions": [[1.0, 0.0, 0.0]]},
            ValueError,
            r"directions has shape \(1, 3\); W has 2 columns",
        ),
        ({"directions": [[0.0, 0.0]]}, ValueError, "directions holds a zero row"),
        ({"directions": np.eye(2)}, ValueError, "signs=.* must be 2 numbers, each -1 or 1"),
        ({"signs": [0.5]}, ValueError, "signs=.* must be 1 numbers, each -1 or 1"),
        ({"signs": [1.0, 1.0]}, ValueError, "signs=.* must be 1 numbers, each -1 or 1"),
        ({"degrees": -1.0}, ValueError, "degrees=-1.0 must be finite and >= 0"),
        ({"degrees": "5"}, TypeError, "degrees='5' must be a real number"),
    ],
)
def test_bad_masses(change, error, words):
    arguments = {"W": np.eye(2), "a": [1.0, 3.0], "directions": [[1.0, 0.0]], "signs": [1.0]}
    with pytest.raises(error, match=words):
        measures.recovered_mass(**(arguments | change))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"degrees": 330.0}, "degrees=330.0"),
        ({"directions": np.ones((0, 2)), "signs": []}, "direc"),
    ],
)
def test_bad_masses_that_are_not_checked(change, words):
    arguments = {"W": np.eye(2), "a": [1.0, 3.0], "directions": [[1.0, 0.0]], "signs": [1.0]}
    with pytest.raises(ValueError, match=f"^{words}"):
        measures.recovered_mass(**(arguments | change))
