"""Simplified gradients of mixtures and parities: every closed form by a second route."""

import itertools
import math

import mpmath
import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import multivariate_normal, norm

from twolayer.data import GaussianMixture, Parity
from twolayer.measures import cosine
from twolayer.theory.gradient_features import (
    mixture_gradient,
    parity_gradient,
    ring_probability,
    threshold_fourier,
    xor_accuracy,
)
from twolayer.theory.lottery_tickets import coverage

LOPSIDED = GaussianMixture(  # unequal weights and labels, sigma not one
    [[1.0, 0.5, -2.0], [-1.5, 0.3, 0.4], [0.2, 2.0, 1.0], [0.0, -1.0, 0.5]],
    [1, -1, -1, 1],
    sigma=1.6,
    weights=[1.0, 2.5, 0.5, 3.0],
)
NEURONS = np.random.default_rng(40).standard_normal((5, 3))
BIASES = np.array([0.0, 1.2, -0.7, 3.0, -4.0])


def bits(d):
    return np.array(list(itertools.product([-1.0, 1.0], repeat=d)))


# --- mixtures


def test_mixture_gradient_by_monte_carlo():
    """Each coordinate within 4 standard errors of the sample, which are small."""
    n = 200_000
    x, y = LOPSIDED.sample(n, np.random.default_rng(41))
    for w, b, want in zip(
        NEURONS, BIASES, mixture_gradient(LOPSIDED, NEURONS, BIASES), strict=True
    ):
        values = y[:, None] * x * (x @ w + b > 0)[:, None]
        error = values.std(0, ddof=1) / math.sqrt(n)
        assert np.all(abs(values.mean(0) - want) < 4 * error)
        assert np.all(error < 0.006)


def test_mixture_gradient_is_the_slope_of_a_quadrature():
    """The gradient in w of E[y relu(w.x + b)]: one integral a cluster, central differences."""

    def potential(w, b):
        s = LOPSIDED.sigma * np.linalg.norm(w)
        means = LOPSIDED.means @ w + b
        parts = [quad(lambda z, m=m: (m + s * z) * norm.pdf(z), -m / s, 14)[0] for m in means]
        return (LOPSIDED.weights * LOPSIDED.labels) @ parts

    h, got = 1e-4, mixture_gradient(LOPSIDED, NEURONS, BIASES)
    for w, b, row in zip(NEURONS[:3], BIASES, got, strict=False):
        slope = [(potential(w + h * e, b) - potential(w - h * e, b)) / (2 * h) for e in np.eye(3)]
        np.testing.assert_allclose(row, slope, atol=1e-7)  # h^2 times third derivatives


def test_a_single_bias_serves_all_neurons_and_lengths_do_not_matter():
    one = mixture_gradient(LOPSIDED, NEURONS, 0.4)
    np.testing.assert_array_equal(one, mixture_gradient(LOPSIDED, NEURONS, np.full(5, 0.4)))
    np.testing.assert_allclose(mixture_gradient(LOPSIDED, 3 * NEURONS, 1.2), one, rtol=1e-12)
    assert np.array_equal(
        mixture_gradient(LOPSIDED, NEURONS), mixture_gradient(LOPSIDED, NEURONS, 0)
    )


def by_forty_digits(data, w, b):
    """The sum over clusters as it stands in the book."""
    with mpmath.workdps(40):
        w = [mpmath.mpf(v) for v in w.tolist()]
        length = mpmath.sqrt(mpmath.fsum(v * v for v in w))
        out = [mpmath.mpf(0)] * len(w)
        for mean, y in zip(data.means.tolist(), data.labels.tolist(), strict=True):
            t = mpmath.fsum([b, *(u * mpmath.mpf(v) for u, v in zip(w, mean, strict=True))])
            t /= data.sigma * length
            gate, density = mpmath.ncdf(t), mpmath.npdf(t) * data.sigma / length
            parts = zip(out, mean, w, strict=True)
            out = [o + y * (v * gate + u * density) / len(data.means) for o, v, u in parts]
        return [float(v) for v in out]


CROSS = np.array([[1.0, 0, 0], [0, 1, 0], [-1, 0, 0], [0, -1, 0]])


@pytest.mark.parametrize(
    ("radius", "bias", "tolerance"),
    [(1e-7, 0.0, 1e-14), (1e-4, 0.5, 1e-12), (1e-4, -3.0, 1e-10), (0.3, 2.0, 1e-13)]
    + [(2.0, b, 1e-13) for b in (0.0, -0.7, 9.0, -9.0)],
)
def test_classes_that_nearly_cancel(radius, bias, tolerance):
    """Close clusters, and gates that nearly always open: each entry to nearly all digits."""
    data = GaussianMixture(radius * CROSS, [1, -1, 1, -1], sigma=1.25)
    w = np.array([0.3, -1.2, 0.8])
    got = mixture_gradient(data, [w], bias)[0]
    np.testing.assert_allclose(got, by_forty_digits(data, w, bias), rtol=tolerance)


def test_neurons_of_any_size():
    """The gate depends on b / |w| alone; sizes whose squares leave the range of numbers count."""
    want = mixture_gradient(LOPSIDED, NEURONS, BIASES)
    for size in (1e-300, 1e-200, 1e200, 1e300):
        got = mixture_gradient(LOPSIDED, size * NEURONS, size * BIASES)
        np.testing.assert_allclose(got, want, rtol=1e-12)
    always = mixture_gradient(LOPSIDED, 1e-300 * NEURONS, 1e10)  # E[y x]
    mean = (LOPSIDED.weights * LOPSIDED.labels) @ LOPSIDED.means
    np.testing.assert_allclose(always, np.tile(mean, (5, 1)), rtol=1e-12)
    signs = np.ones((1, 5))
    for b in (1.0, -1.0):
        wide = parity_gradient(Parity(5, 2, agree=0.5), signs, 9 * b)
        far = parity_gradient(Parity(5, 2, agree=0.5), 1e-306 * signs, b)
        np.testing.assert_array_equal(far, wide)


def test_single_precision_and_data_frames():
    """Ties are those of the signs, though sizes are rounded to single precision."""
    data, signs = Parity(5, 2, rotation=1), np.ones((1, 5))
    W, b = signs @ data.dictionary.T, np.array([1.0])
    for size in (0.7, 1 / np.sqrt(5)):
        single = parity_gradient(data, (size * W).astype("float32"), (size * b).astype("float32"))
        np.testing.assert_allclose(single, parity_gradient(data, W, b), atol=1e-15)
    pandas = pytest.importorskip("pandas")
    frame = mixture_gradient(LOPSIDED, pandas.DataFrame(NEURONS), pandas.Series(BIASES))
    np.testing.assert_array_equal(frame, mixture_gradient(LOPSIDED, NEURONS, BIASES))


@pytest.mark.parametrize("d", [2, 3, 10])
def test_the_limit_of_small_separation(d):
    """r^2 phi(0) / (2 |w|) times (w_1, -w_2, 0, ...) less half of (cos_1^2 - cos_2^2) w."""
    r, sigma = 1e-2, 0.8
    W = np.random.default_rng(42).standard_normal((20, d))
    length = np.linalg.norm(W, axis=1, keepdims=True)
    flip = np.zeros(d)
    flip[:2] = 1, -1
    bend = (W**2 @ flip)[:, None] / length**2
    want = r**2 * norm.pdf(0) / (2 * sigma * length) * (W * flip - bend * W / 2)
    got = mixture_gradient(GaussianMixture.ring(d, 4, r, sigma), W)
    # the next order is (r / sigma)^2 = 1.6e-4 smaller
    np.testing.assert_allclose(got, want, atol=2e-4 * abs(want).max())


def many_directions(d, count, seed):
    """Gaussian neurons of d dimensions in three: in the plane, and the length across it."""
    rng = np.random.default_rng(seed)
    return np.column_stack([rng.standard_normal((count, 2)), np.sqrt(rng.chisquare(d - 2, count))])


@pytest.mark.parametrize("gamma", [0.01, 0.05, 0.1, 0.2])
def test_in_high_dimension_gradients_point_evenly_around_the_plane(gamma):
    """Shares of cones within 4 binomial errors; gamma is worn by 1/(4d), here 1e-6."""
    count, xor = 20_000, GaussianMixture.ring(d=3, clusters=4, radius=0.1)
    gradients = mixture_gradient(xor, many_directions(250_000, count, 43))
    cones = np.stack([cosine(gradients, mean) >= 1 - gamma for mean in xor.means], 1)
    p = float(ring_probability(gamma))
    assert abs(cones.any(1).mean() - p) < 4 * math.sqrt(p * (1 - p) / count)
    assert np.all(abs(cones.mean(0) - p / 4) < 4 * math.sqrt(p / 4 * (1 - p / 4) / count))


@pytest.mark.parametrize("clusters", [1, 2, 3, 4, np.int64(6)])
def test_ring_probability_by_angles(clusters):
    angles, n = np.linspace(0, 2 * math.pi, 100_000, endpoint=False) + 1e-9, 100_000
    best = np.cos(angles[:, None] - 2 * math.pi * np.arange(clusters) / clusters).max(1)
    gammas = np.array([0.0, 0.02, 0.3, 0.5, 0.9, 1.0])
    shares = (best[:, None] >= 1 - gammas).mean(0)
    np.testing.assert_allclose(ring_probability(gammas, clusters), shares, atol=2 * clusters / n)
    assert np.ndim(ring_probability(0.3, clusters)) == 0


@pytest.mark.parametrize("gamma", [1e-20, 1e-17, 1e-12, 1e-3, 0.2])
def test_narrow_cones_are_not_rounded_away(gamma):
    """By 40 digits: 1 - gamma is one in double precision."""
    with mpmath.workdps(40):
        want = float(4 * mpmath.acos(1 - mpmath.mpf(gamma)) / mpmath.pi)
    assert ring_probability(gamma) == pytest.approx(want, rel=1e-14, abs=0)


@pytest.mark.parametrize(("radius", "sigma"), [(1.5, 1.0), (3.0, 1.0), (3.0, 2.0)])
def test_xor_accuracy_is_that_of_bayes_on_samples(radius, sigma):
    n, xor = 100_000, GaussianMixture.ring(5, 4, radius, sigma)
    x, y = xor.sample(n, np.random.default_rng(44))
    p = xor_accuracy(radius, sigma)
    score = xor.log_odds(x)
    assert abs((score * y > 0).mean() - p) < 4 * math.sqrt(p * (1 - p) / n)
    across = x[:, :2] @ np.array([[1, 1], [1, -1]])  # the same classifier: the two diagonals
    assert np.array_equal(score > 0, across.prod(1) > 0)
    assert xor_accuracy(0.0, sigma) == 0.5


def test_bayes_is_the_log_ratio_of_densities():
    x = 3 * np.random.default_rng(45).standard_normal((50, 3))
    density = {1: 0, -1: 0}
    for mean, label, p in zip(LOPSIDED.means, LOPSIDED.labels, LOPSIDED.weights, strict=True):
        density[label] += p * multivariate_normal(mean, LOPSIDED.sigma**2 * np.eye(3)).pdf(x)
    want = np.log(density[1]) - np.log(density[-1])
    np.testing.assert_allclose(LOPSIDED.log_odds(x), want, rtol=1e-9, atol=1e-9)
    far = LOPSIDED.log_odds(1e3 * x)  # no density is left there
    assert np.isfinite(far).all()


# --- threshold functions


@pytest.mark.parametrize("d", range(1, 9))
def test_threshold_fourier_by_enumeration(d):
    """Whole and half thresholds, on the values of the sum and beyond them."""
    u = bits(d)
    for threshold in np.arange(-d - 1.5, d + 2, 0.5).tolist():
        fires = u.sum(1) > threshold
        for order in range(d + 1):
            want = (u[:, :order].prod(1) * fires).mean()  # of 2^d terms +-1: exact
            got = threshold_fourier(d, order, threshold)
            assert got == (want if order else pytest.approx(want, rel=1e-12, abs=1e-15))


def test_threshold_fourier_of_many_bits():
    """Exact integers: the sum over s of C(d, s) f_s^2 is the mean square (Parseval)."""
    d = 101
    squares = [math.comb(d, s) * threshold_fourier(d, s, 6.5) ** 2 for s in range(d + 1)]
    assert sum(squares) == pytest.approx(threshold_fourier(d, 0, 6.5), rel=1e-10)
    majority = math.comb(100, 50) / 2**101  # E[u_1 majority(u)] / 2
    assert threshold_fourier(d, 1, 0.0) == pytest.approx(majority, rel=1e-12)


# --- parities


def by_enumeration(data, signs, size, b):
    """E[y x 1(w.x + b > 0)] over all bit strings, in the hidden bits: ties are exact."""
    u = bits(data.d)
    equal = abs(u[:, : data.degree].sum(1)) == data.degree
    odds = (1 - data.agree) / 2**data.d + data.agree * equal / 2 ** (data.d - data.degree + 1)
    assert odds.sum() == pytest.approx(1)
    y = u[:, : data.degree].prod(1)
    fires = size[:, None] * (signs @ u.T) + b[:, None] > 0
    return (fires * (odds * y)) @ u @ data.dictionary.T


PARITIES = [(d, k) for d in (1, 2, 3, 5, 8) for k in range(1, d + 1)]


@pytest.mark.parametrize("agree", [0.0, 0.5, 0.9])
@pytest.mark.parametrize("rotation", [None, 3])
def test_parity_gradient_by_enumeration(agree, rotation):
    """Sizes are powers of two: without a rotation, thresholds on the values of the sum count."""
    for d, k in PARITIES:
        rng = np.random.default_rng([46, d, k])
        data = Parity(d, k, agree, rotation)
        b = np.array([0.0, 0.3, -0.8, 2.2, -20.0, 20.0])
        if rotation is None:
            b = np.append(b, np.arange(-d - 1.0, d + 2) / 2)
        size = np.full(len(b), 0.5)
        size[:2] = 4.0, 0.25
        signs = rng.choice([-1.0, 1.0], (len(b), d))
        W = (size[:, None] * signs) @ data.dictionary.T
        want = by_enumeration(data, signs, size, b)
        np.testing.assert_allclose(parity_gradient(data, W, b), want, atol=1e-14)


@pytest.mark.parametrize(("d", "k"), [(3, 3), (7, 3), (7, 5), (101, 3)])
def test_odd_parities_of_uniform_bits_give_no_gradient(d, k):
    """Without biases and ties the gate is a half plus an odd function: exactly zero."""
    W = np.random.default_rng(47).choice([-1.0, 1.0], (20, d))
    assert not parity_gradient(Parity(d, k), W).any()
    for other, b in [
        (Parity(d, k, agree=0.5), 0.0),
        (Parity(d, k), 2.0),
        (Parity(d, k - 1), 0.0),
        (Parity(d + 1, k), 0.0),  # ties
    ]:
        W = np.random.default_rng(47).choice([-1.0, 1.0], (20, other.d))
        assert parity_gradient(other, W, b)[:, :k].any(1).all()


@pytest.mark.parametrize("k", [1, 2, 3, 4])
@pytest.mark.parametrize("agree", [0.0, 0.4])
def test_a_neuron_and_its_opposite_see_everything(k, agree):
    """Gates without ties add up to one: their gradients to E[y x]."""
    d = 6
    W, b = np.random.default_rng(48).choice([-1.0, 1.0], (10, d)), np.linspace(-3.1, 3.1, 10)
    data = Parity(d, k, agree)
    mean = np.zeros(d)
    mean[:k] = 1.0 if k == 1 else agree * (k % 2)
    both = parity_gradient(data, W, b) + parity_gradient(data, -W, -b)
    np.testing.assert_allclose(both, np.tile(mean, (10, 1)), atol=1e-14)


def test_parity_gradient_by_monte_carlo():
    """Samples of `Parity` itself, rotated and with bits that agree, within 4 standard errors."""
    n, data = 100_000, Parity(7, 3, agree=0.3, rotation=5)
    x, y = data.sample(n, np.random.default_rng(49))
    signs = np.random.default_rng(50).choice([-1.0, 1.0], (3, 7))
    W, b = signs @ data.dictionary.T, np.array([0.5, -1.5, 2.5])
    for w, c, want in zip(W, b, parity_gradient(data, W, b), strict=True):
        values = y[:, None] * x * (x @ w + c > 0)[:, None]
        error = values.std(0, ddof=1) / math.sqrt(n)
        assert np.all(abs(values.mean(0) - want) < 4 * error)
        assert np.all(error < 0.004)


# --- coverage


@pytest.mark.parametrize("features", [1, 2, 3, np.int64(4)])
def test_coverage_by_enumeration(features):
    """All ways in which neurons hold features; no neuron, fewer than features, and more."""
    neurons = np.arange(7)
    share, everything = coverage(neurons, features)
    for count, got, whole in zip(neurons.tolist(), share, everything, strict=True):
        held = [len(set(way)) for way in itertools.product(range(features), repeat=count)]
        assert got == pytest.approx(np.mean(held) / features, abs=1e-12)
        assert whole == pytest.approx(np.mean([h == features for h in held]), abs=1e-12)
        assert all(np.ndim(v) == 0 for v in coverage(count, features))
    assert coverage(np.ones((2, 3)), features)[1].shape == (2, 3)


def test_coverage_by_simulation():
    features, neurons, n = 10, 30, 20_000
    drawn = np.random.default_rng(51).integers(features, size=(n, neurons))
    held = (drawn[..., None] == np.arange(features)).any(1)
    share, everything = coverage(neurons, features)
    assert abs(held.mean() - share) < 4 * held.mean(1).std() / math.sqrt(n)
    assert abs(held.all(1).mean() - everything) < 4 * math.sqrt(everything * (1 - everything) / n)


def test_coverage_of_many_features():
    features = 256
    everything = coverage(np.arange(0, 3000, 50), features)[1]
    assert np.all((everything >= 0) & (everything <= 1))
    assert not everything[:6].any()
    assert np.all(np.diff(everything) >= 0)


@pytest.mark.parametrize("features", [10**6, 10**12, 10**17])
def test_small_shares_are_not_rounded_away(features):
    """By 40 digits: 1 - 1/k is nearly one in double precision."""
    with mpmath.workdps(40):
        want = float(1 - (1 - mpmath.mpf(1) / features) ** 3)
    share, everything = coverage(3, features)
    assert share == pytest.approx(want, rel=1e-14, abs=0)
    assert everything == 0


# --- bad input


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: mixture_gradient(Parity(3, 2), NEURONS), TypeError, "data=.* GaussianMixture"),
        (lambda: parity_gradient(LOPSIDED, NEURONS), TypeError, "must be a Parity"),
        (lambda: ring_probability(1.1), ValueError, r"gamma=1.1 must be in \[0, 1\]"),
        (lambda: ring_probability([0.5, -0.1]), ValueError, "gamma must be finite and >= 0"),
        (lambda: ring_probability(0.5, 0), ValueError, "clusters=0 must be a positive integer"),
        (lambda: xor_accuracy(-1.0), ValueError, "radius=-1.0 must be finite and >= 0"),
        (lambda: xor_accuracy(1.0, 0.0), ValueError, "sigma=0.0 must be finite and > 0"),
        (lambda: threshold_fourier(0, 0, 0.0), ValueError, "d=0 must be a positive integer"),
        (lambda: threshold_fourier(3, 4, 0.0), ValueError, "order=4 .* between 0 and 3"),
        (lambda: threshold_fourier(3, -1, 0.0), ValueError, "order=-1 .* between 0 and 3"),
        (lambda: threshold_fourier(3, 2.0, 0.1), TypeError, "order=2.0 must be an integer"),
        (lambda: threshold_fourier(3, True, 0.2), TypeError, "order=True must be an integer"),
        (lambda: threshold_fourier(3, 1, math.inf), ValueError, "threshold=inf must be finite"),
        (lambda: coverage(-1, 3), ValueError, "neurons must be finite and >= 0, got -1.0"),
        (lambda: coverage(3, 0), ValueError, "features=0 must be a positive integer"),
        (lambda: coverage(2.5, 3), ValueError, "neurons=2.5 must hold integers"),
        (
            lambda: parity_gradient(Parity(3, 1), [[1.0, 1.0, 1.1]]),
            ValueError,
            "W must have entries of one size in each row",
        ),
        (
            lambda: parity_gradient(Parity(3, 1), 1e-9 * np.array([[1.0, 2, 3]])),
            ValueError,
            "W must have entries of one size in each row",
        ),
    ],
)
def test_bad_input(call, error, words):
    with pytest.raises(error, match=words):
        call()


@pytest.mark.parametrize(
    ("gradient", "data"), [(mixture_gradient, LOPSIDED), (parity_gradient, Parity(3, 2))]
)
def test_bad_neurons(gradient, data):
    ones = np.ones((2, 3))
    for W, b, words in [
        (np.ones((2, 4)), 0.0, r"W has shape \(2, 4\); it must be \(m, 3\)"),
        (np.ones(3), 0.0, r"W has shape \(3,\); it must be \(m, 3\)"),
        (ones, np.ones(3), r"b has shape \(3,\); it must be \(2,\)"),
        (ones, [[0.0], [0.0]], r"b has shape \(2, 1\); it must be \(2,\)"),
        (ones * [[1.0], [0.0]], 0.0, "W must have no row of zeros"),
        (ones * np.nan, 0.0, "W must be finite"),
        (ones, np.inf, "b must be finite"),
    ]:
        with pytest.raises(ValueError, match=words):
            gradient(data, W, b)


@pytest.mark.parametrize("size", [0.7, 1 / np.sqrt(7)])
def test_ties_do_not_depend_on_the_size(size):
    b = np.arange(-7.0, 8)
    ones = np.ones((15, 7))
    np.testing.assert_allclose(
        parity_gradient(Parity(7, 1), size * ones, size * b), parity_gradient(Parity(7, 1), ones, b)
    )


# --- laws for many dimensions


def test_second_order_is_the_hessian():
    """Balanced clusters of equal class means, not on a ring: the rest is of third order."""
    rng = np.random.default_rng(50)
    centres = rng.standard_normal((3, 8))
    means = np.concatenate([centres, -centres])
    weights = np.tile([1.0, 2.0, 3.0], 2)  # 1 + 2 = 3: the classes are balanced
    labels = np.tile([1, 1, -1], 2)
    w = rng.standard_normal((6, 8))
    w /= np.linalg.norm(w, axis=1, keepdims=True)
    rest = []
    for size in (0.2, 0.1):
        data = GaussianMixture(size * means, labels, weights=weights)
        H = (data.means.T * data.labels * data.weights) @ data.means
        Hw = w @ H
        law = Hw - 0.5 * (w * Hw).sum(1, keepdims=True) * w
        got = mixture_gradient(data, w) * math.sqrt(2 * math.pi)
        rest.append(abs(got - law).max())
    assert rest[0] / rest[1] == pytest.approx(16, rel=0.05)  # the fourth power: opposite pairs
    assert rest[1] < 0.02 * abs(law).max()


def test_second_order_is_that_of_a_quadratic_target():
    """Gaussian inputs, y = (x.Hx - tr H) / 2: the same formula, exactly, by samples."""
    rng = np.random.default_rng(51)
    H = np.diag([1.0, -0.5, 0.3])
    x = rng.standard_normal((400_000, 3))
    y = ((x @ H * x).sum(1) - np.trace(H)) / 2
    for w in np.array([[1.0, 0.0, 0.0], [0.6, 0.8, 0.0], [0.6, 0.0, -0.8]]):
        values = (y * (x @ w > 0))[:, None] * x
        error = values.std(0) / math.sqrt(len(x))
        law = (H @ w - 0.5 * (w @ H @ w) * w) / math.sqrt(2 * math.pi)
        assert np.all(abs(values.mean(0) - law) < 4 * error)


@pytest.mark.parametrize(
    ("clusters", "law"),
    [
        (4, lambda r, part: r**2 * part.conj() / 2),
        (8, lambda r, part: -(r**4) * part.conj() ** 3 / 48),
        (6, lambda r, part: 0 * part),
    ],
)
def test_rings_at_small_radius(clusters, law):
    """eq-gf-rings: the pull in the plane, as a complex number."""
    rng = np.random.default_rng(52)
    w = rng.standard_normal((50, 400))
    w /= np.linalg.norm(w, axis=1, keepdims=True)
    q = mixture_gradient(GaussianMixture.ring(400, clusters, 0.3), w)
    got = (q[:, 0] + 1j * q[:, 1]) * math.sqrt(2 * math.pi)
    want = law(0.3, w[:, 0] + 1j * w[:, 1])
    if clusters == 6:
        assert abs(got).max() < 1e-12
        return
    assert np.linalg.norm(got - want) < 0.05 * np.linalg.norm(want)


def test_squared_cosine_of_a_sampled_pull():
    """eq-gf-cosine: mean over samples of numerator and of denominator, one neuron on XOR."""
    d, n, radius = 40, 300, 3.0
    data, rng = GaussianMixture.ring(d, 4, radius), np.random.default_rng(53)
    w = rng.standard_normal(d)
    w[0] = 2.5  # a neuron that sees the plane
    q = mixture_gradient(data, w[None])[0]
    u = data.means[0] / radius
    pulls = np.array(
        [
            (y * (x @ w > 0)) @ x / n
            for x, y in (data.sample(n, np.random.default_rng([54, k])) for k in range(400))
        ]
    )
    power = q @ q
    trace = (d + radius**2) / 2 - power
    along = (1 + radius**2 / 2) / 2 - (q @ u) ** 2
    got = np.mean(cosine(pulls, u) ** 2)
    want = ((q @ u) ** 2 + along / n) / (power + trace / n)
    assert got == pytest.approx(want, abs=0.01)
    assert want < 0.9 * (q @ u) ** 2 / power  # the noise counts
