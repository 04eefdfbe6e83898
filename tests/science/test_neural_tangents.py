"""The kernels against Neural Tangents, another implementation, where it is installed.

It is no dependency of the book: it brings jax and tensorflow, about 2 GB. Version 0.6.5 needs a jax
before 0.6, which brings a tf2jax to match; in an environment of its own beside the book's packages:
``pip install neural-tangents==0.6.5 jax==0.5.3``.

Its dense layer is ``W_std / sqrt(fan-in) W x + b_std b``, entries of W and b standard Gaussian and
trained. So weights N(0, 1/d) are ``W_std = 1``, and so is 1/sqrt(m) before a readout of entries of
order 1: the limits need no constants. `empirical_ntk` takes gradients in W itself, where Neural
Tangents takes them in sqrt(d) W / W_std: they agree at ``W_std = sqrt(d)`` and ``b_std = 1``, and
elsewhere with the weights W_std^2 / d of W and b_std^2 of b.
"""

import os
import warnings

import numpy as np
import pytest

from twolayer.kernels import arc_cosine, empirical_ntk, relu_ntk
from twolayer.network import TwoLayer

os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # theirs, while they are imported
    nt = pytest.importorskip(
        "neural_tangents",
        reason="Neural Tangents cannot be imported (optional: see the head of this file)",
        exc_type=ImportError,
    )
    import jax
    from neural_tangents import stax

pytestmark = pytest.mark.filterwarnings("ignore")  # of jax: rounding, not style, is tested here

EPS, D = np.finfo(float).eps, 9
NEAR = np.array([0, 1e-9, 1e-8, 1e-6, 1e-4, 0.01])
ANGLES = np.concatenate([NEAR, [0.4, 1.0, np.pi / 2, 2.0], np.pi - NEAR[::-1]])
KERNELS = {"nngp": arc_cosine, "ntk": relu_ntk}


@pytest.fixture(autouse=True)
def double():
    """jax computes in float64 within a test."""
    with jax.experimental.enable_x64():
        yield


def theirs(which, x, z, *, W_std=1.0, b_std=None, readout=1.0):
    """Their kernel of an infinitely wide ReLU network whose readout has no bias."""
    layers = stax.Dense(1, W_std=W_std, b_std=b_std), stax.Relu(), stax.Dense(1, W_std=readout)
    kernel = np.asarray(stax.serial(*layers)[2](x, z, which))
    assert kernel.dtype == float
    return kernel


def norms_and_angles(x, z, b):
    """Norms over sqrt(d) with the constant coordinate; angles by Kahan's formula, stable at 0."""
    x, z = (np.column_stack([v, np.full(len(v), b * np.sqrt(D))]) / np.sqrt(D) for v in (x, z))
    s, t = (np.linalg.norm(v, axis=1) for v in (x, z))
    u, v = (y / np.where(n == 0, 1, n)[:, None] for y, n in ((x, s), (z, t)))
    far, near = (np.linalg.norm(u[:, None] + sign * v, axis=2) for sign in (1, -1))
    return np.outer(s, t), 2 * np.arctan2(near, far)


def allowed(which, angle):
    """Rounding of a kernel in units of ``|x| |z| / d``: what an error e of the cosine does.

    The angle moves by e / sin t, at most by sqrt(2 e), and the kernel by its slope times that: the
    arc-cosine kernel, of slope (pi - t) sin t / (2 pi), by e / 2, the ReLU NTK by up to 1e-8 near
    0 and pi. And 1 - cos^2 has an error of EPS / 4: 3e-14 of its root where that is not exact.
    """
    e = 2 * (D + 4) * EPS  # of D products and two norms, on either side
    if which == "nngp":
        return e + 5e-14
    with np.errstate(divide="ignore"):
        moved = np.minimum(np.sqrt(2 * e), e / np.sin(angle))
    slope = (abs(np.cos(angle)) + 2 * (np.pi - angle) * np.sin(angle)) / (2 * np.pi)
    return slope * moved + e + 5e-14


def assert_same(which, got, want, x, z, b):
    size, angle = norms_and_angles(x, z, b)
    assert np.all(abs(got - want) <= allowed(which, angle) * size)


@pytest.mark.parametrize("b", [0.0, 0.5, 2.0])
@pytest.mark.parametrize("which", KERNELS)
def test_limits_at_any_norms_and_angles(rng, which, b):
    """Inputs of many sizes, then given angles from 0 to pi, with the zero vector in each."""
    x = rng.standard_normal((60, D)) * np.exp(2 * rng.standard_normal((60, 1)))
    x[0] = 0
    u, v = np.linalg.qr(rng.standard_normal((D, 2)))[0].T
    fan = np.cos(ANGLES)[:, None] * u + np.sin(ANGLES)[:, None] * v
    kernel = KERNELS[which].with_bias(b) if b else KERNELS[which]
    for left, right in [
        (x, x.copy()),
        (x, -x),
        (np.array([u, 1e3 * u, 1e-3 * u, 0 * u]), np.concatenate([fan, 1e3 * fan, 1e-3 * fan])),
    ]:
        want = theirs(which, left, right, b_std=b or None)
        assert_same(which, kernel(left, right), want, left, right, b)
    assert_same(which, kernel(x), theirs(which, x, None, b_std=b or None), x, x, b)


@pytest.mark.parametrize("which", KERNELS)
def test_scales_of_the_weights_factor_out(rng, which):
    """W_std = u, b_std = u b and a readout of v: u^2 v^2 times the kernel, of either kind."""
    x, z, u, v, b = rng.standard_normal((5, D)), rng.standard_normal((7, D)), 0.6, 1.7, 0.8
    want = theirs(which, x, z, W_std=u, b_std=u * b, readout=v) / (u * v) ** 2
    assert_same(which, KERNELS[which].with_bias(b)(x, z), want, x, z, b)


def test_random_features_are_the_network_without_its_readout(rng):
    """The arc-cosine kernel is their covariance after the ReLU; its scale is that of features."""
    x = rng.standard_normal((5, D))
    features = stax.serial(stax.Dense(1), stax.Relu())[2]
    assert_same("nngp", arc_cosine(x), np.asarray(features(x, None, "nngp")), x, x, 0.0)


@pytest.mark.parametrize(
    ("activation", "layer"),
    [
        ("relu", stax.Relu()),
        ("abs", stax.Abs()),
        ("erf", stax.Erf(b=0.5**0.5)),  # ours is erf(z / sqrt 2)
        ("gelu", stax.Gelu()),
        ("sin", stax.Sin()),
        ("he2", stax.Hermite(2)),
    ],
)
@pytest.mark.parametrize("way", ["JACOBIAN_CONTRACTION", "NTK_VECTOR_PRODUCTS"])
@pytest.mark.parametrize("scales", [None, (1.0, 1.0, 1.0), (0.6, 0.8, 1.7)])
def test_empirical(rng, activation, layer, way, scales):
    """The same network in both: values and tangent kernels within a few EPS of the largest sum.

    Its W, b, a are u / sqrt(d), v, w times theirs at the scales W_std = u, b_std = v, readout w:
    our weights of the layers are the squares of that. Random biases: where a pre-activation is
    exactly 0, jax takes 1/2 for the slope of a ReLU.
    """
    m, d = 7, 5
    W, b, a = rng.standard_normal((m, d)), rng.standard_normal(m), rng.standard_normal(m)
    net = TwoLayer(W, a, activation, b)
    u, v, w = scales or (d**0.5, 1.0, 1.0)
    rates = scales and {"W": u**2 / d, "b": v**2, "a": w**2}
    dense, readout = stax.Dense(m, W_std=u, b_std=v), stax.Dense(1, W_std=w)
    _, f, _ = stax.serial(dense, layer, readout)
    weights = [(W.T * d**0.5 / u, b[None] / v), (), (a[:, None] / w, None)]
    x, z = rng.standard_normal((6, d)), rng.standard_normal((4, d))
    x[0], z[0], z[1] = 0, x[1], -2 * x[1]

    scale = np.linalg.norm(net.features(x), axis=1) * np.linalg.norm(a)
    gap = np.asarray(f(weights, x))[:, 0] - net(x)
    assert np.all(abs(gap) <= 4 * (d + m) * EPS * scale + EPS)

    ours, implementation = empirical_ntk(net, rates), nt.NtkImplementation[way]
    tangent = nt.empirical_ntk_fn(f, trace_axes=(-1,), implementation=implementation)
    want = np.asarray(tangent(x, z, weights))
    assert want.dtype == float
    size = np.sqrt(np.outer(np.diag(ours(x)), np.diag(ours(z))))  # Cauchy-Schwarz
    assert np.all(abs(ours(x, z) - want) <= 4 * (2 * d + m) * EPS * size)
    np.testing.assert_allclose(ours(x), tangent(x, None, weights), rtol=1e-12, atol=1e-12)
