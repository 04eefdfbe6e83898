"""What one large step learns: three laws against the step itself, and their constants."""

import math

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.optimize import brentq
from scipy.stats import kstest

from twolayer.activations import Activation
from twolayer.data import MultiIndex, SingleIndex, as_link
from twolayer.gradients import learn_directions, remove_linear_part
from twolayer.hermite import expectation, he
from twolayer.measures import subspace_overlap
from twolayer.network import TwoLayer
from twolayer.simulation.learning_directions import draw, run
from twolayer.theory.learning_directions import Step, wide_spectrum
from twolayer.theory.ridge_curves import learning_curve, optimal_curve
from twolayer.theory.spectra import feature_moments, feature_spectrum

TARGETS = [
    lambda d: SingleIndex(d, "he2"),
    lambda d: SingleIndex(d, (0.4, 0.3, 1.0, 0.5), noise=1.0),
    lambda d: MultiIndex(d, (0.4, 0.3, 1.0, 0.0, 0.15), r=2),
    lambda d: MultiIndex(d, (0.0, 0.0, 0.8, 0.3), r=3, noise=0.7),
]
CONSTANTS = ("second_moment", "hessian", "snr", "noise_ratio", "spread", "pull")


# --- the constants


@pytest.mark.parametrize("make", TARGETS)
def test_constants_by_monte_carlo(make):
    """Each within 4 standard errors; the linear part is taken off by regression."""
    step, n = Step(make(40), 900), 150_000
    data, d, r = make(8), 40, step.r
    x, y = data.sample(n, np.random.default_rng(3))
    inputs = np.column_stack([np.ones(n), x])
    rest = y - inputs @ np.linalg.lstsq(inputs, y, rcond=None)[0]
    h = 1e-3
    bend = sum(data.target(x + v) - data.target(x) for v in (h * np.eye(8)[0], -h * np.eye(8)[0]))
    for values, want in [
        (rest**2, step.second_moment),
        (bend / h**2, step.hessian),  # E[grad^2 f*] along a direction, by second differences
        (rest**2 * x[:, 0] ** 2, step.noise_ratio * step.hessian**2),
        (rest**2 * x[:, r - 1] ** 2, step.spread * step.second_moment),
        (rest**2 * x[:, -1] ** 2, step.second_moment),  # across: no direction of the target
    ]:
        error = values.std(ddof=1) / np.sqrt(n)
        assert abs(values.mean() - want) < 4 * error + 1e-5
        assert error < 0.06 * want
    assert step.snr == pytest.approx(
        2 * 900 * step.hessian**2 / (math.pi * d**2 * step.second_moment)
    )
    assert step.pull == pytest.approx(step.snr + step.spread / d)


def test_constants_of_he2_by_hand():
    """He_2/sqrt 2: h = sqrt 2, E y^2 = 1, E y^2 z^2 = E (z^2-1)^2 z^2 / 2 = 10 / 2 = 5."""
    for r, mixed in [(1, 5.0), (2, 3.0), (5, 9 / 5)]:  # (5 + r - 1) / r
        step = Step(MultiIndex(50, "he2", r=r), 1000)
        assert step.hessian == pytest.approx(math.sqrt(2 / r))
        assert step.second_moment == pytest.approx(1)
        assert step.spread == pytest.approx(mixed)
        assert step.noise_ratio == pytest.approx(mixed * r / 2)
        assert step.snr == pytest.approx(4 * 1000 / (math.pi * r * 2500))
        assert step.subspace_overlap == pytest.approx(1 / (1 + mixed * r / 2 * 50 / 1000))


@pytest.mark.parametrize("link", ["relu", "abs"])
def test_constants_of_links_with_a_kink(link):
    step = Step(SingleIndex(30, link), 500)
    f = as_link(link)
    assert step.hessian == pytest.approx((1 if link == "relu" else 2) / math.sqrt(2 * math.pi))
    mean, slope = expectation(f, (0.0,)), expectation(lambda z: z * f(z), (0.0,))
    rest = expectation(lambda z: f(z) ** 2, (0.0,)) - mean**2 - slope**2
    assert step.second_moment == pytest.approx(rest)

    def integrand(z):
        return ((float(f(z)) - mean - slope * z) * z) ** 2 * math.exp(-z * z / 2)

    mixed = sum(quad(integrand, *ends, epsabs=1e-10)[0] for ends in [(-12, 0), (0, 12)])
    assert step.spread * step.second_moment == pytest.approx(
        mixed / math.sqrt(2 * math.pi), rel=1e-7
    )


def bent(z):
    return np.sign(z - 0.3) + abs(z + 1.2)


def test_kinks_that_a_link_does_not_declare_are_refused():
    with pytest.raises(ValueError, match="quadrature does not converge; where the link jumps"):
        Step(SingleIndex(30, bent), 500)
    with pytest.raises(ValueError, match="quadrature does not converge"):  # one of two declared
        Step(SingleIndex(30, Activation("bent", bent, np.zeros_like, kinks=(-1.2,))), 500)


@pytest.mark.parametrize("declared", [True, False])
def test_constants_of_links_with_a_jump_by_the_normal_integral(declared):
    """sign(z - k): h = 2 k phi(k); at an undeclared 0 the panels of an unknown link meet it."""
    k = 0.3 if declared else 0.0
    link = lambda z: np.sign(z - k) + 0.5 * z**2  # noqa: E731
    f = Activation("jump", link, np.zeros_like, kinks=(k,)) if declared else link
    step = Step(SingleIndex(30, f), 500)
    density = math.exp(-k * k / 2) / math.sqrt(2 * math.pi)
    assert step.hessian == pytest.approx(2 * k * density + 1, rel=1e-9)
    mean, slope = math.erfc(k / math.sqrt(2)) - 1, 2 * density
    # E[sign(z - k) z^2] / 2 = Q(k) + k phi(k) - 1/2, with the upper tail Q
    mixed = (mean + 1) / 2 + k * density - 0.5
    square = 1 + 0.75 + 2 * mixed
    assert step.second_moment == pytest.approx(square - (mean + 0.5) ** 2 - slope**2, rel=1e-9)


@pytest.mark.parametrize("noise", [0.0, 0.5])
def test_constant_and_linear_parts_do_not_count(noise):
    plain = Step(MultiIndex(30, (0.0, 0.0, 1.0, 0.5), r=2, noise=noise), 700)
    more = Step(MultiIndex(30, (2.0, -3.0, 1.0, 0.5), r=2, noise=noise), 700)
    for name in (*CONSTANTS, "mean_squared_overlap", "subspace_overlap"):
        assert getattr(more, name) == pytest.approx(getattr(plain, name), rel=1e-9)


def test_the_noise_adds_to_the_second_moment_and_to_the_mixed_moment():
    quiet = Step(SingleIndex(30, "he2"), 700)
    loud = Step(SingleIndex(30, "he2", noise=2.0), 700)
    assert loud.second_moment == pytest.approx(quiet.second_moment + 4)
    assert loud.spread * loud.second_moment == pytest.approx(quiet.spread * quiet.second_moment + 4)
    assert loud.hessian == pytest.approx(quiet.hessian)


def test_a_name_is_its_coefficients_and_one_direction_is_a_single_index():
    one, two = Step(SingleIndex(20, "he2"), 400), Step(MultiIndex(20, (0.0, 0.0, 1.0), r=1), 400)
    for name in CONSTANTS:
        assert getattr(one, name) == pytest.approx(getattr(two, name), rel=1e-10)


def test_the_pull_of_a_neuron_for_a_small_projection_by_quadrature():
    """E[f 1(w.x > 0) x_1] = h k / sqrt(2 pi) + O(k^2) at projection k, and its noise's variance."""
    f, t = as_link((0.0, 0.0, 1.0, 0.4)), 1e-4
    step = Step(SingleIndex(50, (0.0, 0.0, 1.0, 0.4)), 100)
    z, p = np.polynomial.hermite_e.hermegauss(40)
    p = p / p.sum()

    def pull(t):  # w.x = z' at angle t: x_1 = sin(t) z' + cos(t) z
        def inner(s):
            first = math.sin(t) * s[:, None] + math.cos(t) * z
            return (f(first) * first) @ p

        return float(expectation(lambda s: (s > 0) * inner(s), (0.0,)))

    slope = (pull(t) - pull(-t)) / (2 * t)
    assert slope == pytest.approx(step.hessian / math.sqrt(2 * math.pi), rel=1e-6)
    # across: the mean over samples of r sign(w.x)/2 x_i, the mean of r x_i being zero
    noise = step.second_moment / (
        4 * step.n
    )  # a coordinate; d of them, and the projection's variance is 1/d
    assert step.snr == pytest.approx(slope**2 / 50 / (50 * noise), rel=1e-6)


# --- the law of the squared overlaps


laws = st.tuples(st.integers(1, 4), st.integers(50, 50_000))


def some_step(law):
    r, n = law
    return Step(MultiIndex(30, "he2", r=r), n)


@given(laws, st.floats(0.02, 0.98))
def test_density_is_the_slope_of_the_distribution(law, t):
    step, h = some_step(law), 1e-5 * min(t, 1 - t)
    slope = (step.squared_overlap_cdf(t + h) - step.squared_overlap_cdf(t - h)) / (2 * h)
    assert step.squared_overlap_density(t) == pytest.approx(slope, rel=1e-5, abs=1e-5)


@settings(max_examples=25, deadline=None)
@given(laws)
def test_density_integrates_to_one_and_to_the_mean(law):
    step = some_step(law)

    def integral(g):  # t = q/(1+q), q = e^v: no singular end
        def f(v):
            t = 1 / (1 + np.exp(-v))
            return g(t) * step.squared_overlap_density(t) * t * (1 - t)

        middle = math.log(step.pull)
        return quad(f, middle - 45, middle + 5, limit=200, points=[middle])[0]

    assert integral(lambda t: 1) == pytest.approx(1, abs=1e-7)
    assert integral(lambda t: t) == pytest.approx(step.mean_squared_overlap, rel=1e-6)


def test_the_law_is_that_of_a_gaussian_ratio(rng):
    """Squared cosine pull q / (1 + pull q) by drawing q; Kolmogorov-Smirnov at level 1e-3."""
    for r in (1, 2, 3):
        step = Step(MultiIndex(30, "he2", r=r), 900)
        q = (rng.standard_normal((4000, r)) ** 2).sum(1)
        t = step.pull * q / (1 + step.pull * q)
        assert kstest(t, step.squared_overlap_cdf).pvalue > 1e-3
        assert abs(t.mean() - step.mean_squared_overlap) < 4 * t.std() / np.sqrt(4000)


@pytest.mark.parametrize("r", [20, 200])
def test_the_mean_over_many_directions(r, rng):
    step = Step(MultiIndex(300, "he2", r=r), 90_000)
    q = rng.chisquare(r, 4000)
    t = step.pull * q / (1 + step.pull * q)
    assert abs(t.mean() - step.mean_squared_overlap) < 4 * t.std() / np.sqrt(4000)


@pytest.mark.parametrize("r", [1, 2, 3, 50, 1000])
@pytest.mark.parametrize("n", [1, 10**5, 10**12, 10**300])
def test_the_mean_in_forty_digits(r, n):
    """int_0^1 exp(-x (v^(-2/r) - 1)) dv, x = 1/(2 pull): 1 + 7e-10 was given at n = 1e12, r = 1."""
    step = Step(MultiIndex(1000, "he2", r=r), n)
    with mpmath.workdps(40):
        x = 1 / (2 * mpmath.mpf(step.pull))
        size = mpmath.mpf(r) / 2 * mpmath.exp(x)
        want = float(size * mpmath.expint(1 + mpmath.mpf(r) / 2, x))
    assert step.mean_squared_overlap == pytest.approx(want, rel=1e-12)
    assert step.mean_squared_overlap <= 1


def test_ends_and_shapes():
    step = Step(MultiIndex(30, "he2", r=2), 900)
    assert step.squared_overlap_cdf(0) == 0
    assert step.squared_overlap_cdf(1) == 1
    assert np.ndim(step.squared_overlap_cdf(0.5)) == 0
    t = np.array([[0.1, 0.5], [0.7, 0.9]])
    for law in (step.squared_overlap_cdf, step.squared_overlap_density):
        assert law(t).shape == (2, 2)
        assert law(t)[1, 0] == law(0.7)


@settings(max_examples=20, deadline=None)
@given(laws, st.integers(2, 9))
def test_more_samples_raise_the_overlaps(law, factor):
    less, more = some_step(law), some_step((law[0], law[1] * factor))
    assert more.mean_squared_overlap > less.mean_squared_overlap
    assert more.subspace_overlap > less.subspace_overlap
    assert more.squared_overlap_cdf(0.3) <= less.squared_overlap_cdf(0.3)


# --- against the step


def within(values, want, slack):
    """Mean over seeds within 3 standard errors and the finite-size terms of the law."""
    values = np.array(values)
    error = values.std(0, ddof=1) / np.sqrt(len(values))
    assert np.all(abs(values.mean(0) - want) < 3 * error + slack)
    return error


@pytest.mark.parametrize("make", TARGETS[:3])
@pytest.mark.parametrize("per_dimension", [24, 64])
def test_squared_overlaps_of_the_step(make, per_dimension):
    """d = 64; the laws hold up to terms of relative order d/n (+ 1/d where n is of order d^2)."""
    d, m, seeds, grid = 64, 512, 12, np.array([0.1, 0.3, 0.6])
    n, data = per_dimension * d, make(d)
    step, means, shares, slopes = Step(data, n), [], [], []
    for seed in range(seeds):
        x, y = data.sample(n, np.random.default_rng([21, seed]))
        W = learn_directions(x, y, m, np.random.default_rng([22, seed])).W
        # the initial projections, in units of their standard deviation: the step's first draws
        start = np.random.default_rng([22, seed]).standard_normal((m // 2, d))[:, : step.r]
        along = W[: m // 2, : step.r]
        t = (along**2).sum(1)
        means.append(t.mean())
        shares.append((t[:, None] <= grid).mean(0))
        slopes.append((along * start).mean() / np.sqrt((1 - t).mean()))
    slack = d / n + 1 / d
    error = within(means, step.mean_squared_overlap, slack * step.mean_squared_overlap)
    assert 3 * error < 0.15 * step.mean_squared_overlap
    within(shares, step.squared_overlap_cdf(grid), slack)
    # tan of the angle is sqrt(snr) times the start: E[start along] over the root of E[1 - t]
    q, p = np.polynomial.hermite_e.hermegauss(60)
    q = np.stack(np.meshgrid(*[q] * step.r), -1).reshape(-1, step.r)
    p = np.stack(np.meshgrid(*[p] * step.r), -1).reshape(-1, step.r).prod(1)
    root = 1 / np.sqrt(1 + step.pull * (q**2).sum(1))
    want = math.sqrt(step.snr) * (p @ (q[:, 0] ** 2 * root)) / p.sum()
    want /= math.sqrt(1 - step.mean_squared_overlap)
    within(slopes, want, 2 * slack * want)


def test_without_a_hessian_only_the_noise_along_the_directions_is_left():
    """He_3: h = 0, and E y^2 z^2 = 7 (Hermite products) makes the mean cosine several times 1/d."""
    d, n, m, seeds = 48, 48 * 48, 256, 24
    data = SingleIndex(d, "he3")
    step, means = Step(data, n), []
    assert step.snr == pytest.approx(0, abs=1e-20)
    assert step.spread == pytest.approx(7)
    assert step.noise_ratio == math.inf
    assert step.subspace_overlap == 0
    for seed in range(seeds):
        rng = np.random.default_rng([23, seed])
        W = learn_directions(*data.sample(n, rng), m, rng).W
        means.append((W[:, 0] ** 2).mean())
    error = within(means, step.mean_squared_overlap, 2 / d * step.mean_squared_overlap)
    assert step.mean_squared_overlap - 1 / d > 6 * error  # no isotropic noise


@pytest.mark.parametrize("make", TARGETS[:3])
def test_overlap_of_the_leading_subspace(make):
    """Off by kappa d/n for n >> d; the next order is relative r/d (d - r coordinates) and d/n."""
    d, m, seeds = 24, 1024, 16
    n, data = 128 * d, make(d)
    step = Step(data, n)
    off = []
    for seed in range(seeds):
        rng = np.random.default_rng([24, seed])
        W = learn_directions(*data.sample(n, rng), m, rng).W
        off.append(1 - subspace_overlap(W, data.directions))
    want = 1 - step.subspace_overlap
    error = within(off, want, (2 * step.r / d + d / n + want) * want)
    assert 3 * error < 0.35 * want


def test_the_run_is_the_step_on_its_samples():
    step = Step(MultiIndex(12, "he2", r=2), 600)
    measured = run(step, 40, np.random.default_rng(4))
    rng = np.random.default_rng(4)
    W = learn_directions(*step.data.sample(600, rng), 40, rng).W
    np.testing.assert_array_equal(measured["squared_overlap"], W[:, 0] ** 2 + W[:, 1] ** 2)
    assert measured["subspace_overlap"] == subspace_overlap(W, np.eye(2, 12))


def test_a_step_is_a_value():
    one, two = (Step(SingleIndex(20, "he2"), 400) for _ in range(2))
    assert one == two
    assert len({one, two, Step(SingleIndex(20, "he2"), 401)}) == 2
    with pytest.raises(AttributeError, match="cannot assign to field 'n'"):
        one.n = 5


def test_linear_part_and_constant_are_ignored_by_the_step(rng):
    x, y = SingleIndex(20, "he2", noise=0.3).sample(500, rng)
    beta = rng.standard_normal(20)
    plain, shifted = (
        learn_directions(x, v, 64, np.random.default_rng(0)).W for v in (y, 5.0 + x @ beta + y)
    )
    np.testing.assert_allclose(shifted, plain, atol=1e-10)


# --- draws without data


@pytest.mark.parametrize("make", TARGETS)
@pytest.mark.parametrize("per_dimension", [2, 64])  # 2: mostly noise, more of it along than across
def test_draws_follow_the_law(make, per_dimension):
    d, m, seeds, grid = 64, 1000, 20, np.array([0.1, 0.3, 0.6])
    data = make(d)
    step, means, shares = Step(data, per_dimension * d), [], []
    for seed in range(seeds):
        net = draw(step, m, np.random.default_rng([25, seed]))
        W = net.W
        assert not net.a.any()
        assert W.shape == (m, d)
        np.testing.assert_allclose(np.linalg.norm(W, axis=1), 1)
        np.testing.assert_array_equal(W[: m // 2], -W[m // 2 :])
        t = (W[: m // 2, : step.r] ** 2).sum(1)
        means.append(t.mean())
        shares.append((t[:, None] <= grid).mean(0))
    # the norm across fluctuates by 1/d, and r of the d coordinates are along; pull is exact
    error = within(means, step.mean_squared_overlap, (step.r + 1) / d * step.mean_squared_overlap)
    assert 3 * error < 0.1 * step.mean_squared_overlap
    within(shares, step.squared_overlap_cdf(grid), (step.r + 1) / d)


def test_draws_share_their_error():
    """n >> d^2, where the own noise of each row is small: off by kappa (d - r)/n."""
    d, m, seeds = 32, 1000, 20
    for make in TARGETS[:3]:
        step = Step(make(d), 64 * d * d)
        rows = [draw(step, m, np.random.default_rng([26, seed])).W for seed in range(seeds)]
        off = [1 - subspace_overlap(W, step.data.directions) for W in rows]
        want = (1 - step.subspace_overlap) * (d - step.r) / d
        slack = (step.spread / d + 1) / (step.snr * d) + 2 / (m * step.snr) / want
        error = within(off, want, slack * want)
        assert 3 * error < 0.3 * want


def test_draws_of_one_generator_share_starts_and_biases():
    """At a huge n only the start is left: the same signs and biases in every dimension."""
    nets = [
        draw(Step(SingleIndex(d, "he2"), 10**9 * d), 20, np.random.default_rng(0)) for d in (8, 90)
    ]
    np.testing.assert_array_equal(nets[0].b, nets[1].b)
    np.testing.assert_allclose(nets[0].W[:, 0], nets[1].W[:, 0], atol=1e-2)


def test_draws_across_the_directions_are_isotropic():
    """Mean squares of the coordinates across: equal, the rest of the unit norm."""
    d = 16
    step = Step(MultiIndex(d, "he2", r=2), d * d)
    nets = [draw(step, 400, np.random.default_rng(seed)) for seed in range(60)]
    rows = np.array([net.W[:200] for net in nets])
    squares = (rows**2).mean(1)
    across = (1 - squares[:, :2].sum(1).mean()) / (d - 2)
    error = squares.std(0, ddof=1) / np.sqrt(60)
    assert np.all(abs(squares.mean(0)[2:] - across) < 4 * error[2:])
    assert abs(squares[:, 0] - squares[:, 1]).mean() < 0.2
    assert abs((squares[:, 0] - squares[:, 1]).mean()) < 4 * np.hypot(*error[:2])


# --- bad input


def test_bad_input(rng):
    parity = MultiIndex(4, lambda z: np.sign(z[:, 0] * z[:, 1]))
    for data in (parity, "he2"):
        with pytest.raises(TypeError, match=r"data=.* must be a SingleIndex, or a MultiIndex"):
            Step(data, 10)
    good = SingleIndex(10, "he2")
    with pytest.raises(ValueError, match="n=0 must be a positive integer"):
        Step(good, 0)
    with pytest.raises(TypeError, match="n=10.0 must be a positive integer"):
        Step(good, 10.0)
    for link in ("identity", (1.0, 2.0), (3.0,), (0.0,)):
        with pytest.raises(ValueError, match="the target is linear; the step needs a part of degr"):
            Step(SingleIndex(10, link, noise=1.0), 10)
    with pytest.raises(ValueError, match="m=3 must be even"):
        draw(Step(good, 10), 3, rng)
    with pytest.raises(ValueError, match="m=0 must be a positive integer"):
        draw(Step(good, 10), 0, rng)
    with pytest.raises(TypeError, match="rng=0 must be a numpy.random.Generator"):
        draw(Step(good, 10), 4, 0)


def test_shares_beyond_one_are_refused():
    with pytest.raises(ValueError, match="t must lie between 0 and 1"):
        Step(SingleIndex(9, "he2"), 50).squared_overlap_cdf([0.5, 1.5])


# --- the layer as a whole, and what it shows of a cube


def test_the_mean_of_a_pull_times_itself_is_an_arcsine(rng):
    """E_w q q' = sum y_i y_k arcsin(cos) x_i x_k' / (2 pi n^2), labels without mean and slope."""
    x, y = SingleIndex(5, (0.0, 0.0, 0.6, 0.8)).sample(40, rng)
    rest = remove_linear_part(x, y)[0]
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    angle = np.arcsin(np.clip(unit @ unit.T, -1, 1)) / (2 * math.pi)
    weighted = rest[:, None] * x / 40
    want = weighted.T @ angle @ weighted
    draws = []
    for _ in range(20):
        pull = ((x @ rng.standard_normal((5, 20_000)) > 0) * rest[:, None]).T @ x / 40
        draws.append(pull.T @ pull / 20_000)
    error = np.std(draws, axis=0, ddof=1) / math.sqrt(20)
    assert np.all(abs(np.mean(draws, axis=0) - want) < 4.5 * error)
    assert error.max() < 0.02 * want.max()


def test_the_constant_of_the_cube():
    """C = V / E c_3^2 of the book, c_k(b) by quadrature over z, against closed forms: 11.297."""
    b, p = np.polynomial.hermite_e.hermegauss(60)
    p = p / p.sum()

    def moment(k):  # E_b of the squared Hermite coefficient of relu(z + b)
        c = [expectation(lambda z, s=s: np.maximum(z + s, 0) * he(k, z), (-s,)) for s in b]
        return p @ np.array(c) ** 2 / math.factorial(k)

    zero = (math.sqrt(3) / 2 + math.pi / 3) / math.pi  # of two Gaussians of correlation 1/2
    cube = 3**-1.5 / (12 * math.pi)
    assert moment(0) == pytest.approx(zero, rel=1e-6)
    assert moment(1) == pytest.approx(1 / 3, rel=1e-6)
    assert moment(3) == pytest.approx(cube, rel=1e-6)
    assert (1 - zero - 1 / 3) / cube == pytest.approx(11.297, abs=1e-3)


# --- infinitely many neurons


def rows_of_the_law(step, m, rng):
    """Pulls in the plane of eq-ld-draw, their smaller axis left out; uniform across the larger."""
    d, spread = step.data.d, step.spread
    signal = np.array([math.sqrt(step.snr), math.sqrt(2 * spread / (math.pi * d))])
    axes, sizes, _ = np.linalg.svd(np.outer(signal, signal) + np.diag([spread / d, 0.0]))
    u = np.zeros(d)
    u[:2] = axes[:, 0]
    across = rng.standard_normal((m, d))
    across -= np.outer(across @ u, u)
    across /= np.linalg.norm(across, axis=1, keepdims=True)
    rows = math.sqrt(sizes[0]) * rng.standard_normal((m, 1)) * u + across
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return TwoLayer(rows, np.zeros(m), "relu", rng.standard_normal(m))


@pytest.mark.parametrize(("d", "n", "samples"), [(12, 60, 100), (24, 600, 300)])
def test_wide_layer_is_the_limit_of_many_neurons(d, n, samples):
    """At m neurons the error is higher by about 1/m; the first half of a layer takes that off."""
    step = Step(SingleIndex(d, (0.3, 0.2, 0.6, 0.7), noise=0.3), n)
    want = float(learning_curve(wide_spectrum(step), samples, 0.05))

    def error(net):
        return float(learning_curve(feature_spectrum(net, step.data), samples, 0.05))

    found = []
    for seed in range(24):
        net = rows_of_the_law(step, 800, np.random.default_rng(seed))
        half = TwoLayer(net.W[:400], net.a[:400], "relu", net.b[:400])
        found.append(2 * error(net) - error(half))
    se = np.std(found, ddof=1) / math.sqrt(24)
    assert abs(np.mean(found) - want) < 4 * se
    assert se < 0.015 * want


def test_traces_of_a_wide_layer_by_monte_carlo():
    """Sum N l = E K(x, x), sum N l^2 = E K(x, x')^2, and E f*(x) K(x, x') f*(x')."""
    step = Step(SingleIndex(10, (0.0, 0.0, 0.6, 0.8)), 300)
    wide = wide_spectrum(step, degree=20)
    got = []
    for seed in range(8):
        net = rows_of_the_law(step, 1500, np.random.default_rng(seed))
        covariance, cross, _ = feature_moments(net, step.data)
        m = len(covariance)
        pairs = (np.sum(covariance**2) - np.sum(np.diag(covariance) ** 2)) * m / (m - 1)
        got.append([np.trace(covariance), pairs, cross @ cross])
    lam, count = wide.eigenvalues, wide.multiplicity
    want = [1.0, count @ lam**2, wide.second_moment @ lam]
    assert wide.trace == pytest.approx(1, abs=1e-12)
    assert wide.tail < 2e-3  # beyond Hermite degree 40
    se = np.std(got, axis=0, ddof=1) / math.sqrt(8)
    assert np.all(abs(np.mean(got, axis=0) - want) < 4 * se)
    assert np.all(se < 0.05 * np.array(want))
    assert wide.second_moment.sum() + wide.outside == pytest.approx(1, abs=1e-9)
    assert wide.outside < 1e-5


def test_a_wide_layer_learns_the_cube_from_d_to_the_three_halves():
    """n* at error 0.35: its exponents in d rise to 3/2, where at a fixed width they go to 2."""
    target, stars = (0.0, 0.0, 0.5**0.5, 0.5**0.5), []
    for d in (2**12, 2**15, 2**18):
        data = SingleIndex(d, target)

        def above(log, data=data):
            n = round(math.exp(log))
            return float(optimal_curve(wide_spectrum(Step(data, n)), n)) - 0.35

        middle = math.log(d) * 1.5
        stars.append(brentq(above, middle - 1.5, middle + 1.5, xtol=1e-3))
    slopes = np.diff(stars) / math.log(8)
    assert slopes == pytest.approx(1.5, abs=0.015)
    assert slopes[1] > slopes[0]


def test_a_wide_layer_refuses_more_directions():
    with pytest.raises(ValueError, match="step is on r=2 directions"):
        wide_spectrum(Step(MultiIndex(30, "he2", r=2), 500))
    with pytest.raises(ValueError, match="degree"):
        wide_spectrum(Step(SingleIndex(30, "he2"), 500), degree=2)
