"""What a label tells of its projection: posterior means by roots, against second routes."""

import math

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.special import log_ndtr

from twolayer.activations import Activation
from twolayer.hermite import he, nodes
from twolayer.theory import _labels

MEDIAN = math.sqrt(2 * math.log(2))  # of |z|, weighted by |z|


def binary(z):
    return np.sign(z) * np.sign(abs(z) - MEDIAN)


def bump(z):
    return z**2 * np.exp(-(z**2))


@pytest.mark.parametrize(
    ("link", "first", "second"),
    [
        ("he1", 1, 2),
        ("tanh", 1, 2),
        ("sign", 2 / math.pi, 0),
        ("relu", 1 / 2 + 1 / math.pi, 1),  # y = 0 half of the time: E[z|z<0]^2 / 2
        (lambda z: np.maximum(z, 0), 1 / 2 + 1 / math.pi, 1),  # a bend that is not declared
        ("abs", 0, 2),
        ("he2", 0, 2),
        (lambda z: np.sign(abs(z) - 1), 0, None),
        (binary, 0, 0),  # jumps that are not declared
        (Activation("binary", binary, lambda z: 0 * z, -1, (-MEDIAN, 0.0, MEDIAN)), 0, 0),
        (bump, 0, 0),  # weights of the four roots go as 1/|1 - z^2|
    ],
)
def test_information_in_closed_form(link, first, second):
    if second is None:  # a coin: E[z^2 - 1 | y] = +-2 phi(1)/share
        share = math.erfc(math.sqrt(0.5))
        part = 2 * math.exp(-0.5) / math.sqrt(2 * math.pi)
        second = part**2 * (1 / share + 1 / (1 - share))
    found = _labels.information(link)
    assert found == pytest.approx((first, second), abs=2e-6)


@pytest.mark.parametrize("degree", [3, 4, 5])
def test_information_by_polynomial_roots(degree):
    """The roots by companion matrices, the average by midpoints."""
    z = np.arange(-6, 6, 0.01) + 0.0037
    w = 0.01 * np.exp(-(z**2) / 2) / math.sqrt(2 * math.pi)
    c = np.zeros(degree + 1)
    c[degree] = 1
    poly = np.polynomial.hermite_e.herme2poly(c)[::-1]
    slope = np.polyder(poly)
    sums = np.zeros(2)
    for place, weight in zip(z, w, strict=True):
        roots = np.roots(np.r_[poly[:-1], poly[-1] - np.polyval(poly, place)])
        real = roots[abs(roots.imag) < 1e-7].real
        p = np.exp(-(real**2) / 2) / abs(np.polyval(slope, real))
        sums += weight * np.array([(p @ real) ** 2, (p @ (real**2 - 1)) ** 2]) / p.sum() ** 2
    # the integrand jumps where the number of roots does: an error of order the spacing
    assert _labels.information(f"he{degree}") == pytest.approx(tuple(sums), abs=5e-3)


def test_thresholds_of_the_literature():
    assert 1 / _labels.information("he2")[1] == pytest.approx(0.5)
    assert 1 / _labels.information("he4")[1] == pytest.approx(0.64485, abs=1e-5)


@pytest.mark.parametrize("link", ["he3", "relu", binary])
def test_finer_rules_agree(link, monkeypatch):
    q = _labels.overlap(link, np.array([0.3, 0.7, 1.1]))
    lambdas = _labels.information(link)
    monkeypatch.setattr(_labels, "_CELL", 0.31)
    monkeypatch.setattr(_labels, "_NODES", 41)
    for function in (_labels.table, _labels.information, _labels.precision):
        function.cache_clear()
    assert _labels.information(link) == pytest.approx(lambdas, abs=2e-6)
    assert _labels.overlap(link, np.array([0.3, 0.7, 1.1])) == pytest.approx(q, abs=2e-4)
    for function in (_labels.table, _labels.information, _labels.precision):
        function.cache_clear()


def test_posterior_by_rejection(rng):
    """Draw from N(mean, variance), keep what has nearly the label."""
    y, mean, variance = 0.4, 0.5, 0.3
    first, spread = _labels.posterior(
        _labels.known("he3", np.array([y])), np.array([mean]), variance
    )
    z = mean + math.sqrt(variance) * rng.standard_normal(2_000_000)
    kept = z[abs(he(3, z) / math.sqrt(6) - y) < 0.01]
    error = kept.std() / math.sqrt(len(kept))
    assert abs(kept.mean() - first[0]) < 4 * error
    squares = (kept - kept.mean()) ** 2
    assert abs(squares.mean() - spread[0]) < 4 * squares.std() / math.sqrt(len(kept))


def test_flat_parts_are_truncated_gaussians(rng):
    behind = _labels.table("relu")
    place = int(np.flatnonzero(behind.z < 0)[0])
    mean = np.full((len(behind.z), 1), 0.7)
    first, spread = _labels.posterior(behind, mean, 0.5)
    z = 0.7 + math.sqrt(0.5) * rng.standard_normal(1_000_000)
    z = z[z < 0]
    assert first[place, 0] == pytest.approx(z.mean(), abs=4 * z.std() / math.sqrt(len(z)))
    assert spread[place, 0] == pytest.approx(z.var(), rel=0.02)


def test_state_evolution_of_a_line_is_least_squares():
    """Noise-free labels of a line: n equations show n of d directions."""
    alpha = np.array([0.1, 0.4, 0.9])
    assert _labels.overlap("he1", alpha) == pytest.approx(alpha, abs=2e-3)


def test_state_evolution_of_signs_by_its_own_formula():
    """The posterior of a sign is a half-Gaussian: q = alpha (1 - q) E[(phi/Phi)^2]-like sums."""
    z, w = nodes()

    def step(q):
        v = 1 - q
        t = math.sqrt(q / v) * z
        log_density = -(t**2) / 2 - math.log(2 * math.pi) / 2
        return 2 * w @ np.exp(2 * log_density - log_ndtr(t)) / v

    for alpha in (0.5, 1.5):
        q = brentq(lambda q, a=alpha: a * step(q) / (1 + a * step(q)) - q, 0.01, 0.95)
        assert _labels.overlap("sign", np.array([alpha]))[0] == pytest.approx(q, abs=2e-4)


def test_even_links_start_at_the_threshold():
    """Above 1/lambda_2 only; close to it the overlap grows in proportion."""
    threshold = 1 / _labels.information("he4")[1]
    q = _labels.overlap("he4", threshold * np.array([0.9, 0.999, 1.01, 1.02]))
    assert (q[:2] == 0).all()
    assert 0 < q[2] < q[3] < 0.02
    assert q[3] / q[2] == pytest.approx(2, rel=0.1)
    assert (_labels.overlap(binary, np.array([1.0, 100.0])) == 0).all()
