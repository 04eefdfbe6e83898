import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.linalg import subspace_angles

from twolayer import measures
from twolayer.network import TwoLayer

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
        (np.full((1, 3), np.nan), "U holds non-finite"),
        (np.ones(3), r"U has shape \(3,\); it must have 2 axes"),
    ]:
        with pytest.raises(ValueError, match=words):
            measures.subspace_overlap(np.eye(2, 3), U)
    with pytest.raises(ValueError, match="W has shape"):
        measures.subspace_overlap(np.ones(3), np.eye(1, 3))


# --- gradient features


def test_simplified_gradient_is_autograds(rng):
    """Times a_j / sqrt(m) it is the gradient of mean(y f); single precision is close."""
    W, a, b = rng.standard_normal((6, 3)), rng.standard_normal(6), rng.standard_normal(6)
    x, y = rng.standard_normal((20, 3)), rng.standard_normal(20)
    net = TwoLayer(W, a, "relu", b)
    (slope,) = torch.autograd.grad((torch.as_tensor(y) * net(x)).mean(), net.W)
    got = measures.simplified_gradient(net, x, y)
    np.testing.assert_allclose(got * a[:, None] / np.sqrt(6), slope, rtol=1e-12, atol=1e-14)
    assert isinstance(got, np.ndarray)
    other = TwoLayer(torch.as_tensor(W, dtype=torch.float32), -a, "tanh", b)
    close = measures.simplified_gradient(other, x, y)  # readout and activation do not count
    np.testing.assert_allclose(close, got, atol=1e-6)
    shut = TwoLayer([[1.0, 0.0]], [1.0], "relu")  # 1(0 > 0) = 0
    assert not measures.simplified_gradient(shut, [[0.0, 1.0]], [1.0]).any()


@given(st.integers(1, 9), st.integers(1, 4), st.integers(2, 5), st.floats(0.01, 1.9))
def test_in_cone_is_the_cosine(m, k, d, gamma):
    rng = np.random.default_rng([m, k, d])
    gradients, directions = rng.standard_normal((m, d)), 3 * rng.standard_normal((k, d))
    for bound in (0.0, 1.0):
        got = measures.in_cone(gradients, directions, gamma, bound)
        assert got.shape == (m, k)
        for i, g in enumerate(gradients):
            for j, D in enumerate(directions):
                length = np.sqrt(g @ g)
                want = g @ D >= (1 - gamma) * length * np.sqrt(D @ D) and length >= bound
                assert got[i, j] == want


def test_ends_of_cones():
    """Both bounds belong to the set; a gradient of zero has no direction, and is in no cone."""
    assert measures.in_cone([[3.0, 4.0]], [[1.0, 0.0]], gamma=0.4 + 1e-15, bound=5.0).all()
    assert not measures.in_cone([[3.0, 4.0]], [[1.0, 0.0]], gamma=0.4 - 1e-15, bound=5.0).any()
    assert not measures.in_cone([[3.0, 4.0]], [[1.0, 0.0]], gamma=0.4 + 1e-15, bound=5.1).any()
    for gamma in (0.5, 1.5):
        assert not measures.in_cone([[0.0, 0.0]], [[1.0, 0.0]], gamma).any()


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


def test_kernel_alignment(rng):
    f, g = rng.standard_normal((2, 6, 3))
    K, L, y = f @ f.T, g @ g.T, rng.standard_normal(6)
    want = np.trace(K @ L) / np.sqrt(np.trace(K @ K) * np.trace(L @ L))
    assert measures.kernel_alignment(K, L) == pytest.approx(want)
    assert measures.kernel_alignment(3 * K, 0.5 * K) == pytest.approx(1)
    assert measures.kernel_alignment(K, -K) == pytest.approx(-1)
    target = y @ K @ y / (y @ y * np.sqrt(np.trace(K @ K)))
    assert measures.kernel_alignment(torch.as_tensor(K), y) == pytest.approx(target)
    assert measures.kernel_alignment(K, torch.as_tensor(np.outer(y, y))) == pytest.approx(target)
    assert isinstance(measures.kernel_alignment(K, y.tolist()), float)


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


NET = TwoLayer(np.eye(2), [1.0, 1.0], "relu")


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (
            lambda: measures.simplified_gradient(NET, np.ones((3, 2)), np.ones(4)),
            ValueError,
            "x has 3 rows and y has 4",
        ),
        (
            lambda: measures.simplified_gradient(NET, np.ones((3, 1)), np.ones(3)),
            ValueError,
            "x has 1 columns; the network takes d = 2",
        ),
        (
            lambda: measures.simplified_gradient(NET, np.ones((3, 2)), np.full(3, np.nan)),
            ValueError,
            "y holds non-finite",
        ),
        (
            lambda: measures.in_cone(np.eye(2), np.eye(2), 0.0),
            ValueError,
            r"gamma=0.0 must be in \(0, 2\)",
        ),
        (
            lambda: measures.in_cone(np.eye(2), np.eye(2), 2),
            ValueError,
            r"gamma=2 must be in \(0, 2\)",
        ),
        (
            lambda: measures.in_cone(np.eye(2), np.eye(2), 0.1, -1.0),
            ValueError,
            "bound=-1.0 must be finite and >= 0",
        ),
        (
            lambda: measures.in_cone(np.eye(2), np.zeros((1, 2)), 0.1),
            ValueError,
            "direction is the zero vector",
        ),
        (
            lambda: measures.in_cone(np.eye(2), np.eye(3), 0.1),
            ValueError,
            "direction has 3 entries; W has 2 columns",
        ),
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
            lambda: measures.kernel_alignment(np.eye(2), np.eye(3)),
            ValueError,
            r"K has shape \(2, 2\) and L \(3, 3\); both must be \(n, n\)",
        ),
        (
            lambda: measures.kernel_alignment(np.ones((2, 3)), np.ones((2, 3))),
            ValueError,
            r"K has shape \(2, 3\) and L \(2, 3\); both must be",
        ),
        (lambda: measures.kernel_alignment(np.eye(2), np.ones(3)), ValueError, r"and L \(3, 3\)"),
        (
            lambda: measures.kernel_alignment(np.eye(2), np.zeros((2, 2))),
            ValueError,
            "K and L must not be zero",
        ),
        (
            lambda: measures.kernel_alignment(np.eye(2), [0.0, 0.0]),
            ValueError,
            "L is the zero vector",
        ),
        (
            lambda: measures.kernel_alignment(np.eye(2), [np.nan, 1.0]),
            ValueError,
            "L holds non-finite",
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
    ],
)
def test_bad_gradient_features(call, error, words):
    with pytest.raises(error, match=words):
        call()


def test_alignment_takes_labels_that_require_a_gradient():
    got = measures.kernel_alignment(torch.eye(2), torch.ones(2, requires_grad=True))
    assert got == pytest.approx(0.5**0.5)


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
        ({"W": [[np.nan, 0.0]] * 2}, ValueError, "W holds non-finite values"),
        ({"a": [1.0]}, ValueError, r"a has shape \(1,\); W has 2 rows"),
        ({"a": [0.0, 0.0]}, ValueError, "a is the zero vector"),
        ({"a": [np.inf, 0.0]}, ValueError, "a holds non-finite values"),
        ({"W": [[0.0, 0.0], [1.0, 0.0]], "a": [1.0, 0.0]}, ValueError, "W and a have no mass"),
        ({"directions": [1.0, 0.0]}, ValueError, r"directions has shape \(2,\); it must have 2"),
        ({"directions": [[1.0, 0.0, 0.0]]}, ValueError, "direction has 3 entries; W has 2 columns"),
        ({"directions": [[0.0, 0.0]]}, ValueError, "direction is the zero vector"),
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
