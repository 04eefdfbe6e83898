import math

import mpmath
import numpy as np
import pandas
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad
from sklearn.kernel_ridge import KernelRidge
from sklearn.metrics.pairwise import polynomial_kernel, rbf_kernel

from twolayer import kernels
from twolayer.network import TwoLayer

KERNELS = [
    kernels.arc_cosine,
    kernels.relu_ntk,
    kernels.arc_cosine.with_bias(),
    kernels.relu_ntk.with_bias(0.5),
    kernels.polynomial(3, 0.5),
    kernels.exponential,
]


@given(st.sampled_from(KERNELS), st.integers(1, 8), st.integers(1, 6))
def test_symmetric_and_positive(kernel, n, d):
    x = np.random.default_rng(n).standard_normal((n, d))
    k = kernel(x)
    np.testing.assert_allclose(k, k.T)
    assert np.linalg.eigvalsh(k).min() > -1e-12
    np.testing.assert_allclose(kernel(x, x[:1])[:, 0], k[:, 0])
    assert kernel(x[0], x[-1]) == pytest.approx(k[0, -1])


def test_against_wide_networks(rng):
    d, m = 5, 200_000
    x = rng.standard_normal((4, d))
    net = TwoLayer.ntk(m, d, "relu", rng)
    features = net.features(x)
    gates = (x @ net.W.T > 0) / np.sqrt(m)
    for want, got, top in [
        (kernels.arc_cosine(x), features @ features.T, 4.0),
        (kernels.relu_ntk(x), features @ features.T + (x @ x.T / d) * (gates @ gates.T), 6.0),
    ]:
        scale = np.sqrt(np.outer(np.diag(want), np.diag(want)))
        assert (abs(got - want) / scale).max() < top * 3 / np.sqrt(m)


def test_scikit_learn_takes_them(rng):
    x, y = rng.standard_normal((12, 3)), rng.standard_normal(12)
    fast = (
        KernelRidge(kernel="precomputed").fit(kernels.relu_ntk(x), y).predict(kernels.relu_ntk(x))
    )
    slow = KernelRidge(kernel=kernels.relu_ntk).fit(x, y).predict(x)
    np.testing.assert_allclose(fast, slow)


@given(st.sampled_from(KERNELS), st.integers(1, 5), st.floats(0.1, 3))
def test_depends_on_norms_and_angles_only(kernel, d, scale):
    rng = np.random.default_rng(d)
    x, z = rng.standard_normal((3, d)), scale * rng.standard_normal((4, d))
    turn = np.linalg.qr(rng.standard_normal((d, d)))[0]
    np.testing.assert_allclose(kernel(x @ turn, z @ turn), kernel(x, z), rtol=1e-9, atol=1e-12)
    s, t = (np.linalg.norm(v, axis=1) / np.sqrt(d) for v in (x, z))
    cosine = np.clip(x @ z.T / (d * np.outer(s, t)), -1, 1)
    np.testing.assert_allclose(kernel(x, z), kernel.profile(s[:, None], t, cosine))


@pytest.mark.parametrize("shape", [(300, 700), (1, 70_000), (70_000, 1), (0, 3), (3, 0)])
def test_in_blocks_as_at_once(rng, shape):
    """More entries than a block has, and none: the formula on whole arrays, within rounding."""
    x, z = rng.standard_normal((shape[0], 3)), rng.standard_normal((shape[1], 3))
    s, t = (np.linalg.norm(v, axis=1) / np.sqrt(3) for v in (x, z))
    size = np.outer(s, t)
    cosine = np.clip(x @ z.T / 3 / size, -1, 1)
    want = kernels.arc_cosine.profile(s[:, None], t, cosine)
    assert kernels.arc_cosine(x, z).shape == shape
    assert np.all(abs(kernels.arc_cosine(x, z) - want) <= 1e-13 * size)


@given(st.integers(1, 5), st.sampled_from([0.0, 0.3, 2.0]), st.integers(1, 6))
def test_polynomial_is_scikit_learns(degree, offset, d):
    x, z = np.random.default_rng(d).standard_normal((2, 5, d))
    want = polynomial_kernel(x, z, degree=degree, gamma=1 / d, coef0=offset)
    got = kernels.polynomial(degree, offset)(x, z)
    np.testing.assert_allclose(got, want, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(
        kernels.polynomial(degree, 0.3).with_bias(0.7)(x, z),
        polynomial_kernel(x, z, degree=degree, gamma=1 / d, coef0=0.3 + 0.49),
        rtol=1e-9,
    )


def test_exponential_is_a_gaussian_kernel_on_the_sphere(rng):
    x, z = rng.standard_normal((2, 4, 6))
    np.testing.assert_allclose(kernels.exponential(x, z), np.exp(x @ z.T / 6))
    x, z = (v * math.sqrt(6) / np.linalg.norm(v, axis=1, keepdims=True) for v in (x, z))
    want = math.e * rbf_kernel(x, z, gamma=1 / 12)
    np.testing.assert_allclose(kernels.exponential(x, z), want)


@pytest.mark.parametrize("scale", [0.5, 1.0, 2.0])
def test_with_bias_against_wide_networks_with_biases(rng, scale):
    """Means over neurons within 4.5 standard errors, w ~ N(0, I/d) and b ~ N(0, scale^2)."""
    d, m = 5, 200_000
    x = rng.standard_normal((4, d))
    z = x @ rng.standard_normal((d, m)) / np.sqrt(d) + scale * rng.standard_normal(m)
    products = np.maximum(z, 0)[:, None] * np.maximum(z, 0)
    gates = (z > 0)[:, None] * (z > 0)
    first_layer = (x @ x.T / d + scale**2)[:, :, None] * gates  # gradients in w and in b
    for kernel, values in [
        (kernels.arc_cosine, products),
        (kernels.relu_ntk, products + first_layer),
    ]:
        error = values.std(2) / np.sqrt(m)
        got = kernel.with_bias(scale)(x)
        assert np.all(abs(got - values.mean(2)) < 4.5 * error + 1e-12)
        assert np.all(error < 0.01 * np.sqrt(np.outer(np.diag(got), np.diag(got))))


def test_with_bias_is_the_kernel_of_inputs_with_a_constant(rng):
    """relu_ntk on (x, scale sqrt d), with its norms in units of sqrt(d), not sqrt(d + 1)."""
    x, d = rng.standard_normal((4, 6)), 6
    longer = np.column_stack([x, np.full(4, 0.7 * np.sqrt(d))]) * np.sqrt((d + 1) / d)
    for kernel in (kernels.arc_cosine, kernels.relu_ntk):
        np.testing.assert_allclose(kernel.with_bias(0.7)(x), kernel(longer))
        np.testing.assert_allclose(kernel.with_bias(0)(x), kernel(x))
    assert kernels.arc_cosine.with_bias(0.7)(np.zeros(3), np.zeros(3)) == pytest.approx(0.49 / 2)
    assert kernels.arc_cosine.with_bias().name == "arc-cosine with bias"


def test_zero_rows_and_one_argument():
    x = np.array([[0.0, 0.0], [3.0, 4.0]])
    np.testing.assert_allclose(kernels.arc_cosine(x), [[0, 0], [0, 25 / 4]])  # |x|^2 / (2 d)
    np.testing.assert_allclose(kernels.polynomial(2, 1.0)(x), [[1, 1], [1, 13.5**2]])
    assert kernels.arc_cosine(x[1]) == pytest.approx(25 / 4)
    np.testing.assert_allclose(kernels.arc_cosine.with_bias(0)(x), kernels.arc_cosine(x))


def test_bad_input():
    with pytest.raises(ValueError, match="rows must have the same length"):
        kernels.arc_cosine(np.ones((2, 3)), np.ones((2, 4)))
    with pytest.raises(ValueError, match="x must be finite"):
        kernels.relu_ntk(np.full((2, 3), np.nan))
    with pytest.raises(ValueError, match="degree=0 must be a positive integer"):
        kernels.polynomial(0)
    with pytest.raises(TypeError, match="degree=1.5 must be a positive integer"):
        kernels.polynomial(1.5)
    with pytest.raises(ValueError, match="offset=-1.0 must be finite and >= 0"):
        kernels.polynomial(2, -1.0)
    with pytest.raises(ValueError, match="bias_std=-1.0 must be finite and >= 0"):
        kernels.arc_cosine.with_bias(-1.0)
    with pytest.raises(TypeError, match="bias_std='1' must be a real number"):
        kernels.arc_cosine.with_bias("1")


def test_diagonals_are_exact(rng):
    """At the angle zero: a cosine of 1 - 1e-16 would be an angle of 1e-8."""
    x = np.concatenate([rng.standard_normal((50, 7)), np.zeros((1, 7))])
    square = np.square(x).sum(1) / 7
    np.testing.assert_allclose(np.diag(kernels.relu_ntk(x)), square, rtol=1e-14)
    np.testing.assert_allclose(np.diag(kernels.arc_cosine(x)), square / 2, rtol=1e-14)
    assert np.array_equal(kernels.relu_ntk(x), kernels.relu_ntk(x).T)


@pytest.mark.parametrize("kernel", KERNELS, ids=lambda kernel: kernel.name)
def test_symmetric_tiles(rng, kernel):
    """Of a Gram matrix half of the tiles are mirrored: symmetric to the bit, and all in place."""
    x = rng.standard_normal((611, 3))
    gram = kernel(x)
    assert np.array_equal(gram, gram.T)
    np.testing.assert_allclose(gram, kernel(x, x.copy()), rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize(("kernel", "weight"), [(kernels.arc_cosine, 1), (kernels.relu_ntk, 2)])
def test_small_angles_to_rounding(kernel, weight):
    """Against 40 digits, also where 1 - cos^2 cancels (then it would be 3e-14)."""
    near = np.geomspace(1e-15, 1e-2, 50)
    cosines = np.concatenate([near - 1, np.linspace(-0.9, 0.9, 50), 1 - near])
    got = kernel.profile(1.0, 1.0, cosines)
    with mpmath.workdps(40):
        for value, cosine in zip(got, map(mpmath.mpf, cosines.tolist()), strict=True):
            want = mpmath.sqrt(1 - cosine**2) + weight * mpmath.acos(-cosine) * cosine
            assert abs(value - want / (2 * mpmath.pi)) < 4e-16


def test_what_is_like_an_array(rng):
    x = rng.standard_normal((6, 3))
    want = kernels.relu_ntk(x, x[::-1])
    frame = pandas.DataFrame(x, columns=list("abc"))
    for one in (x.tolist(), torch.tensor(x, requires_grad=True), frame, list(torch.tensor(x))):
        np.testing.assert_allclose(kernels.relu_ntk(one, x[::-1]), want, rtol=1e-12)
    for bad in (1.0, np.ones((2, 2, 3)), np.ones((2, 0)), []):
        with pytest.raises(ValueError, match="rows must have the same length"):
            kernels.arc_cosine(bad)


# --- the tangent kernel of a network


@pytest.mark.parametrize("activation", ["relu", "tanh", "he2"])
def test_tangent_is_the_product_of_autograds_gradients(rng, activation):
    W, a, b = rng.standard_normal((7, 3)), rng.standard_normal(7), rng.standard_normal(7)
    net, x, z = (
        TwoLayer(W, a, activation, b),
        rng.standard_normal((4, 3)),
        rng.standard_normal((2, 3)),
    )

    def gradients(rows):
        per = [torch.autograd.grad(live(row[None]).sum(), parts) for row in torch.tensor(rows)]
        return np.array([np.concatenate([g.flatten() for g in row]) for row in per])

    parts = [torch.tensor(v, requires_grad=True) for v in (W, b, a)]
    live = TwoLayer(parts[0], parts[2], activation, parts[1])
    kernel = kernels.empirical_ntk(net)
    np.testing.assert_allclose(kernel(x, z), gradients(x) @ gradients(z).T, rtol=1e-11, atol=1e-12)
    np.testing.assert_allclose(kernel(x), gradients(x) @ gradients(x).T, rtol=1e-11, atol=1e-12)
    assert kernel(x[0], z[1]) == pytest.approx(kernel(x, z)[0, 1])
    assert isinstance(kernel(x[0]), float)
    np.testing.assert_allclose(kernels.empirical_ntk(live)(x), kernel(x), rtol=1e-12)
    single = net.astype("float32")
    np.testing.assert_allclose(kernels.empirical_ntk(single)(x), kernel(x), rtol=1e-4, atol=1e-4)
    assert kernels.empirical_ntk(single)(x).dtype == float


def test_tangent_of_wide_networks_is_their_limit(rng):
    """Rows of W ~ N(0, I/d) and a = +-1: arc-cosine, and (1 + x.z) times the share of gates."""
    d, m = 5, 100_000
    x = rng.standard_normal((4, d))
    net = TwoLayer.ntk(m, d, "relu", rng)
    # relu_ntk has x.z/d for the first layer, whose rows it takes as w / sqrt(d), and no biases
    gates = (kernels.relu_ntk(x) - kernels.arc_cosine(x)) / (x @ x.T / d)
    want = kernels.arc_cosine(x) + (1 + x @ x.T) * gates
    z = x @ net.W.T
    on, values = z > 0, np.maximum(z, 0)
    terms = values[:, None] * values + (1 + x @ x.T)[..., None] * (on[:, None] & on)
    assert np.all(
        abs(kernels.empirical_ntk(net)(x) - want) < 4.5 * terms.std(2) / np.sqrt(m) + 1e-9
    )


@pytest.mark.parametrize("activation", ["relu", "gelu"])
def test_tangent_with_rates_weighs_autograds_gradients(rng, activation):
    """J R J' with R written out; each layer alone; linear in the rates; those left out are zero."""
    W, a, b = rng.standard_normal((7, 3)), rng.standard_normal(7), rng.standard_normal(7)
    net, x, z = TwoLayer(W, a, activation, b), *(rng.standard_normal((k, 3)) for k in (4, 2))

    def gradients(rows, name):
        part = getattr(live, name)
        of = [torch.autograd.grad(live(row[None]).sum(), part)[0] for row in torch.tensor(rows)]
        return np.array([g.numpy().ravel() for g in of])

    live = TwoLayer(
        *(torch.tensor(v, requires_grad=True) for v in (W, a)),
        activation,
        torch.tensor(b, requires_grad=True),
    )
    parts = {name: gradients(x, name) @ gradients(z, name).T for name in "Wba"}
    chosen = (
        {"W": 1.0},
        {"b": 1},
        {"a": 1.0},
        {"W": 0.3, "a": 2.0},
        {"a": 0.7, "b": 5.0, "W": 0.1},
        {"W": 0.0, "b": 2.0},
        {},
    )
    for rates in chosen:
        given = dict(rates)
        kernel = kernels.empirical_ntk(net, rates)
        want = sum((rate * parts[name] for name, rate in rates.items()), np.zeros((4, 2)))
        np.testing.assert_allclose(kernel(x, z), want, rtol=1e-11, atol=1e-12)
        np.testing.assert_allclose(kernel(z, x), want.T, rtol=1e-11, atol=1e-12)
        assert kernel(x[1], z[1]) == pytest.approx(want[1, 1], abs=1e-12)
        rates["W"] = 100.0  # the kernel keeps its own
        np.testing.assert_allclose(kernel(x, z), want, rtol=1e-11, atol=1e-12)
        twice = kernels.empirical_ntk(net, {name: 2 * rate for name, rate in given.items()})
        np.testing.assert_allclose(twice(x), 2 * kernel(x), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(
        kernels.empirical_ntk(net)(x),
        kernels.empirical_ntk(net, dict.fromkeys("abW", 1.0))(x),
        rtol=1e-13,
    )


def test_bad_rates_of_tangents(rng):
    net = TwoLayer.ntk(4, 3, "relu", rng)
    with pytest.raises(ValueError, match="rates='w' is unknown; allowed: 'W', 'b', 'a'"):
        kernels.empirical_ntk(net, {"W": 1.0, "w": 1.0})
    for bad in (-1.0, np.nan, np.inf):
        with pytest.raises(ValueError, match=rf"rates\['a'\]={bad} must be finite and >= 0"):
            kernels.empirical_ntk(net, {"a": bad})
    with pytest.raises(TypeError, match=r"rates\['b'\]='1' must be a real number"):
        kernels.empirical_ntk(net, {"b": "1"})


# --- its fluctuation


PAIRS = [(angle, s, t) for angle in (0.0, 0.4, 1.2, 2.0, 2.9, np.pi) for s, t in ((1, 1), (0.5, 3))]


def two_inputs(angle, s, t, d):
    """Rows of length s sqrt(d) and t sqrt(d) at an angle, turned out of the axes."""
    plane = np.zeros((2, d))
    plane[0, 0], plane[1, :2] = s, (t * np.cos(angle), t * np.sin(angle))
    turn = np.linalg.qr(np.random.default_rng(d).standard_normal((d, d)))[0]
    return d**0.5 * plane @ turn


@pytest.mark.parametrize(("angle", "s", "t"), PAIRS)
def test_relu_deviation_by_quadrature(angle, s, t):
    """Moments of one neuron's term over the direction of w in the plane; radius^2 is Exp(1/2)."""

    def moment(power):
        def around(phi):
            """Mean of term^power over the radius: E[radius^2k] = 2^k k!."""
            cosines, gate = np.cos(phi) * np.cos(phi - angle), np.cos(angle)
            if power == 1:
                return s * t * (2 * cosines + gate)
            return (s * t) ** 2 * (8 * cosines**2 + 4 * cosines * gate + gate**2)

        low, high = angle - np.pi / 2, np.pi / 2  # where both fire
        return quad(around, low, high)[0] / (2 * np.pi) if high > low else 0.0

    x, z = two_inputs(angle, s, t, 5)
    want = np.sqrt(moment(2) - moment(1) ** 2)
    assert kernels.relu_ntk(x, z) == pytest.approx(moment(1), rel=1e-6, abs=1e-7)
    # the angle is known to 1e-8 where its cosine is 1 to rounding, the deviation to its root
    assert kernels.relu_ntk_deviation(x, z) == pytest.approx(want, rel=1e-6, abs=2e-4 * s * t)
    if 0 < angle < 3:
        assert kernels.relu_ntk_deviation(x, z) == pytest.approx(want, rel=1e-9)


@pytest.mark.parametrize(("angle", "s", "t"), PAIRS)
def test_relu_deviation_by_monte_carlo(rng, angle, s, t):
    """One neuron's term, with gates and slopes of a network of width 1; 4.5 standard errors."""
    d, m = 3, 200_000
    x, z = two_inputs(angle, s, t, d)
    w = rng.standard_normal((m, d)) / d**0.5
    u, v = w @ x, w @ z
    term = np.maximum(u, 0) * np.maximum(v, 0) + x @ z / d * ((u > 0) & (v > 0))
    one = TwoLayer(w[:1], [-1.0], "relu")  # a = +-1: the sign drops out
    assert kernels.empirical_ntk(one, {"W": 1 / d, "a": 1.0})(x, z) == pytest.approx(term[0])
    centred = term - term.mean()
    variance, spread = np.mean(centred**2), np.std(centred**2) / m**0.5
    got = kernels.relu_ntk_deviation(x, z)
    assert abs(got**2 - variance) < 4.5 * spread + 1e-7 * (s * t) ** 2
    mean_error = 4.5 * np.sqrt(variance / m) + 1e-7 * s * t
    assert abs(kernels.relu_ntk(x, z) - term.mean()) < mean_error
    assert spread < 0.02 * (s * t) ** 2


def test_relu_deviation_of_networks(rng):
    """Over sqrt(m) for independent neurons; sqrt(2) more in pairs, where m/2 are independent."""
    d, m, count = 4, 40, 1500
    x, z = two_inputs(1.0, 1.0, 1.3, d)
    for make, factor in ((TwoLayer.mean_field, 1), (TwoLayer.symmetric, 2)):
        nets = (make(m, d, "relu", rng) for _ in range(count))
        values = np.array([kernels.empirical_ntk(v, {"W": m / d, "a": 1.0})(x, z) for v in nets])
        squares = (values - kernels.relu_ntk(x, z)) ** 2
        want = factor * kernels.relu_ntk_deviation(x, z) ** 2 / m
        assert abs(squares.mean() - want) < 4.5 * squares.std() / count**0.5
        assert squares.std() / count**0.5 < 0.06 * want


def test_relu_deviation_with_bias(rng):
    """Inputs get a constant coordinate, as for the kernel."""
    x, d = rng.standard_normal((4, 6)), 6
    longer = np.column_stack([x, np.full(4, 0.7 * np.sqrt(d))]) * np.sqrt((d + 1) / d)
    got = kernels.relu_ntk_deviation.with_bias(0.7)(x)
    np.testing.assert_allclose(got, kernels.relu_ntk_deviation(longer), rtol=1e-6)
    assert (kernels.relu_ntk_deviation(x) >= 0).all()
    assert kernels.relu_ntk_deviation(np.zeros(3), np.ones(3)) == 0


def test_bad_tangents(rng):
    kernel = kernels.empirical_ntk(TwoLayer.ntk(4, 3, "relu", rng))
    with pytest.raises(ValueError, match=r"x has shape \(4, 2\)"):
        kernel(np.ones((4, 2)))
    with pytest.raises(ValueError, match="rows must have the same length"):
        kernel(np.ones((4, 3)), np.ones((4, 2)))
    with pytest.raises(ValueError, match="x must be finite"):
        kernel(np.full((4, 3), np.inf))
