"""One step on the middle layer of three: closed forms against sampling, matrices and networks."""

import math

import numpy as np
import pytest
from scipy.special import eval_gegenbauer
from sklearn.kernel_ridge import KernelRidge

from twolayer.hermite import nodes
from twolayer.kernels import arc_cosine, polynomial
from twolayer.simulation import three_layers as simulation
from twolayer.simulation.three_layers import gates, learn_feature, run, sample, train, two_features
from twolayer.theory import three_layers as theory
from twolayer.theory.ridge_curves import optimal_curve, optimal_ridge
from twolayer.theory.spectra import gegenbauer
from twolayer.theory.three_layers import (
    QuadraticFeature,
    feature_correlation,
    gate_overlap,
    kernel_spectrum_of,
    layer_overlap,
    limit_error,
    polynomials,
    rank_correlation,
    readout_error,
    two_features_floor,
)

EVEN = (0.5**0.5, 0.5**0.5)


def over_seeds(measure, seeds):
    """Mean and standard error."""
    found = np.array([measure(np.random.default_rng(seed)) for seed in range(seeds)])
    return found.mean(0), found.std(0, ddof=1) / seeds**0.5


# --- target and feature


@pytest.mark.parametrize("d", [4, 10, 32])
def test_polynomials_are_gegenbauers(d):
    p = np.linspace(-1, 1, 9) * math.sqrt((d + 2) / 2)
    found = polynomials(d, p, 5)
    index = d / 4 - 0.5
    for k in range(1, 6):
        want = eval_gegenbauer(k, index, p * math.sqrt(2 / (d + 2)))
        np.testing.assert_allclose(found[k] / found[k, -1], want / want[-1], atol=1e-12)
    np.testing.assert_allclose(found[1], p)


def test_polynomials_are_orthonormal_over_the_sphere():
    config = QuadraticFeature(12)
    _, _, p = sample(config, 400_000, np.random.default_rng(0))
    q = polynomials(12, p, 3)
    pairs = q[:, None] * q
    error = pairs.std(-1) / 400_000**0.5
    assert (abs(pairs.mean(-1) - np.eye(4)) < 4 * error + 1e-9).all()


def test_each_part_is_one_harmonic():
    """Of q_k(p) the mean over rotations about z is q_k(p(z)) P_2k: Funk-Hecke."""
    d, rng = 8, np.random.default_rng(1)
    config = QuadraticFeature(d)
    z = sample(config, 1, rng)[0][0]
    w = rng.standard_normal((200_000, d))
    w -= np.outer(w @ z, z) / d
    w *= (d / (w**2).sum(1))[:, None] ** 0.5
    cosine = 0.6
    values = polynomials(d, config.feature(cosine * z + 0.8 * w), 2)
    at = polynomials(d, config.feature(z[None]), 2)[:, 0]
    zonal = np.array(list(gegenbauer(np.array(cosine), d, 4)))
    for k in (1, 2):
        error = values[k].std() / 200_000**0.5
        assert abs(values[k].mean() - at[k] * zonal[2 * k]) < 4 * error


@pytest.mark.parametrize("rank", [None, 1, 3, 9])
def test_feature_and_its_moments(rank):
    config = QuadraticFeature(12, (0.3, 0.8, 0.2), rank, noise=0.3)
    a = config.eigenvalues
    assert a.sum() == pytest.approx(0, abs=1e-12)
    assert (a**2).sum() == pytest.approx(1)
    x, y, p = sample(config, 400_000, np.random.default_rng(0))
    np.testing.assert_allclose(p, math.sqrt(14 / 24) * ((x * a) * x).sum(1))
    moments = theory._moments(config)
    centred = y - y.mean()
    checks = {
        1.0: p**2,
        config.c1: centred * p,
        config.P: centred**2,
        moments.y2p2: (centred * p) ** 2,
        moments.y3p: centred**3 * p,
        moments.y4: centred**4,
    }
    for want, values in checks.items():
        assert abs(values.mean() - want) < 4 * values.std() / 400_000**0.5


@pytest.mark.parametrize("rank", [1, 4, 8])
def test_skewness_gives_a_linear_part(rank):
    """c_1 of q_2(p): 2 tr A^3, up to d/(d+4) and the like."""
    exact = {d: QuadraticFeature(d, (0.0, 1.0), rank) for d in (400, 4000)}
    for d, config in exact.items():
        assert config.c1 == pytest.approx(2 * (config.eigenvalues**3).sum(), rel=5 / d)
    assert exact[4000].c1 == pytest.approx(2 / rank**0.5, rel=0.01)


# --- the learnt feature


@pytest.mark.parametrize(
    ("coefficients", "d", "per_mode", "seeds"),
    [
        (EVEN, 16, 1, 150),
        (EVEN, 16, 4, 100),
        (EVEN, 32, 1, 40),
        (EVEN, 32, 4, 30),
        ((1.0,), 16, 2, 100),
        ((0.3, 0.954), 16, 8, 60),
        ((0.0, 1.0), 16, 4, 100),
    ],
)
def test_correlation(coefficients, d, per_mode, seeds):
    config = QuadraticFeature(d, coefficients)
    n = per_mode * config.N

    def measure(rng):
        return learn_feature(config, n, rng, n_test=d + 2)["squared_correlation"]

    mean, error = over_seeds(measure, seeds)
    moments = theory._moments(config)
    order = moments.y2p2 / moments.P * config.N / n  # fluctuations of signal over noise, squared
    slack = min(1.0, order) / n
    want = feature_correlation(d, n, coefficients)
    assert abs(mean - want) < 3 * error + slack
    assert abs(want - feature_correlation(d, n, coefficients, corrected=False)) < 5 / n + 0.03 * (
        not coefficients[0]
    )


def test_correlation_is_that_of_the_outer_product():
    """By the definition: V after one step from zero, through the kernel of all neurons."""
    config, rng = QuadraticFeature(6), np.random.default_rng(0)
    W = rng.standard_normal((50, 6))
    W /= np.linalg.norm(W, axis=1)[:, None]
    x, y, _ = sample(config, 40, rng)
    design = np.column_stack([np.ones(40), x])
    residual = y - design @ np.linalg.lstsq(design, y, rcond=None)[0]
    neurons = ((x @ W.T) ** 2 - 1) / 2**0.5
    a = rng.choice([-1.0, 1.0], 7)
    V = np.outer(a, residual @ neurons)  # minus the gradient of the loss at V = 0, times n
    z, _, _ = sample(config, 30, rng)
    after = (((z @ W.T) ** 2 - 1) / 2**0.5) @ V.T
    layer = simulation._Feature(x, residual, W, simulation._Neuron("he2", 6, "sphere"))
    ratio = after / layer(z)[:, None]
    np.testing.assert_allclose(ratio, ratio[:1] * np.ones((30, 1)))
    np.testing.assert_allclose(abs(ratio[0]), ratio[0, 0] * a[0])


def test_infinite_width_is_a_large_width():
    config = QuadraticFeature(6)
    for inputs in ("sphere", "gaussian"):
        x, y, _ = sample(config, 60, np.random.default_rng(0), inputs=inputs)
        W = simulation.sphere((200_000, 6), np.random.default_rng(1))
        neuron = simulation._Neuron("he2", 6, inputs)
        wide = simulation._Feature(x, y - y.mean(), W, neuron)
        whole = simulation._Feature(x, y - y.mean(), None, neuron)
        z, _, _ = sample(config, 200, np.random.default_rng(2), inputs=inputs)
        scale = wide(z).std() / whole(z).std()
        np.testing.assert_allclose(wide(z), scale * whole(z), atol=0.05 * wide(z).std())


@pytest.mark.parametrize(
    ("width", "activation", "seeds"),
    [(1, "he2", 200), (8, "he2", 100), (128, "he2", 60), (200, "relu", 40), (1000, "relu", 16)],
)
def test_correlation_at_finite_width(width, activation, seeds):
    config, n = QuadraticFeature(16), 4 * 135

    def measure(rng):
        return learn_feature(config, n, rng, width, activation)["squared_correlation"]

    mean, error = over_seeds(measure, seeds)
    want = feature_correlation(16, n, width=width, activation=activation)
    assert abs(mean - want) < 3 * error + 2 * want / (width + 135)


def test_limits_in_the_width():
    n = 4 * 135
    whole = feature_correlation(16, n)
    assert feature_correlation(16, n, width=10**9) == pytest.approx(whole, rel=1e-5)
    assert feature_correlation(16, n, width=1) == pytest.approx(1 / 135)
    simple = feature_correlation(16, n, width=10**4, activation="relu", corrected=False)
    omega, noise = theory._excess("relu", 16), 2 * 135 / (n - 17)
    series = 1 + noise + 135 / 10**4 * omega * (1 + omega * noise)
    assert simple == pytest.approx(1 / series, rel=3 / 10**4)


def test_excess_of_activations():
    assert theory._excess("he2", 16) == pytest.approx(1)
    exact = (0.25 - 1 / (2 * math.pi)) * 4 * math.pi  # Gaussian: (1/2 - 1/4 - 1/2pi) / (1/4pi)
    assert exact == pytest.approx(1.1416, abs=1e-4)
    assert theory._excess("relu", 4000) == pytest.approx(exact, rel=1e-3)
    x = sample(QuadraticFeature(16), 400_000, np.random.default_rng(0))[0]
    z = x[:, 0]
    relu, two = np.maximum(z, 0), math.sqrt(18 / 30) * (z**2 - 1)
    beyond = relu.var() - np.mean(relu * z) ** 2
    assert theory._excess("relu", 16) == pytest.approx(beyond / np.mean(relu * two) ** 2, rel=0.01)


@pytest.mark.parametrize(("rank", "seeds"), [(1, 12), (4, 12), (12, 20), (16, 30)])
def test_rank_rescues(rank, seeds):
    config = QuadraticFeature(32, (0.0, 1.0), rank)
    n = 8 * 527

    def measure(rng):
        return learn_feature(config, n, rng, n_test=34)["squared_correlation"]

    mean, error = over_seeds(measure, seeds)
    assert abs(mean - rank_correlation(config, n)) < 3 * error + 10 / n


def test_label_noise_counts_in_the_variance():
    config = QuadraticFeature(16, noise=1.0)
    n = 4 * 135
    mean, error = over_seeds(
        lambda rng: learn_feature(config, n, rng, n_test=18)["squared_correlation"], 100
    )
    want = rank_correlation(config, n)
    assert abs(mean - want) < 3 * error + 1 / n
    assert want < feature_correlation(16, n) - 0.1


def test_gaussian_inputs_let_the_norm_swallow_the_feature():
    config, n = QuadraticFeature(32), 8 * 527

    def measure(rng, radial):
        found = learn_feature(config, n, rng, inputs="gaussian", radial=radial, n_test=34)
        return found["squared_correlation"]

    kept, _ = over_seeds(lambda rng: measure(rng, True), 6)
    removed, _ = over_seeds(lambda rng: measure(rng, False), 6)
    assert kept < 0.06 < 0.6 < removed < feature_correlation(32, n)


def test_scale_of_coefficients_cancels():
    for scale in (0.1, 7.0):
        got = feature_correlation(16, [200, 2000], scale * np.array(EVEN), 300, "relu")
        np.testing.assert_allclose(got, feature_correlation(16, [200, 2000], EVEN, 300, "relu"))
        found = [
            run(QuadraticFeature(16, c), 500, np.random.default_rng(0))["error"]
            for c in (EVEN, scale * np.array(EVEN))
        ]
        assert found[1] == pytest.approx(scale**2 * found[0], rel=1e-6)


# --- the readout


@pytest.mark.parametrize(("d", "per_mode", "seeds"), [(16, 8, 40), (32, 4, 8), (32, 16, 8)])
def test_readout(d, per_mode, seeds):
    config = QuadraticFeature(d)
    n = per_mode * config.N

    def measure(rng):
        return run(config, n, rng, n_readout=20_000)["error"]

    mean, error = over_seeds(measure, seeds)
    want = readout_error(config, n)
    fitted = 25 * want / 20_000  # parameters over samples
    assert abs(mean - want) < 3 * error + want / (2 * d) + fitted


def test_noise_is_one_number_a_block():
    """Isotropic noise of the same correlation gives a smaller error than networks have."""
    config, n = QuadraticFeature(16), 8 * 135
    mean, error = over_seeds(lambda rng: run(config, n, rng, n_readout=20_000)["error"], 40)
    law, rho2 = theory._law(config, 600), feature_correlation(16, n, corrected=False)
    isotropic = theory._unexplained(law, np.full(600, 1 / rho2 - 1))
    assert abs(mean - isotropic) > 3 * error + isotropic / 32


def test_blocks_hold_all_harmonics():
    for rank in (None, 1, 5):
        config = QuadraticFeature(12, rank=rank)
        law = theory._law(config)
        sizes, counts = theory._blocks(config, law.u)
        np.testing.assert_allclose(sizes.sum(0) + law.p**2, config.N)
        np.testing.assert_allclose(sizes @ law.weights, counts)
        assert counts.sum() == config.N - 1


def test_readout_in_the_limits():
    config = QuadraticFeature(600)
    n = 4 * config.N
    limit = limit_error(EVEN, feature_correlation(600, n, corrected=False))
    assert readout_error(config, n) == pytest.approx(limit, rel=0.01)
    small = readout_error(QuadraticFeature(32), np.array([0.97e6, 1.03e6, 1e7]))
    assert small[0] / small[1] == pytest.approx(1.03 / 0.97, rel=0.02)  # over both methods
    assert small[1] / small[2] == pytest.approx(1 / 0.103, rel=0.02)
    line = QuadraticFeature(300, (1.0,))
    rho2 = feature_correlation(300, 2 * line.N, (1.0,), corrected=False)
    assert readout_error(line, 2 * line.N) == pytest.approx(1 - rho2, rel=0.02)


def test_limit_error_by_quadrature():
    """E[h_k(p) | rho p + noise] in Gaussian variables, degree by degree."""
    rho, (z, w) = 0.8, nodes((), 60)
    p, seen = rho * z[:, None] + math.sqrt(1 - rho**2) * z, z  # of p, given what is seen
    for c, h in ((1.0, p), (1.0, (p * p - 1) / 2**0.5)):
        left = w @ (h**2 @ w - (h @ w) ** 2)
        coefficients = (c,) if h is p else (0.0, c)
        assert left == pytest.approx(float(limit_error(coefficients, rho**2)))
    assert seen is z
    assert limit_error(EVEN, [0.0, 1.0]).tolist() == [pytest.approx(1), pytest.approx(0)]


def test_parts_are_the_error():
    found = run(
        QuadraticFeature(16), 1080, np.random.default_rng(0), n_readout=20_000, n_test=40_000
    )
    assert found["parts"].sum() == pytest.approx(found["error"], rel=0.03)
    assert found["parts"][1] > found["parts"][0] > 0


@pytest.mark.parametrize(("width", "activation"), [(None, "he2"), (400, "relu")])
def test_leave_one_out(width, activation):
    """Without its own label, at the step's samples; with it, the readout fits the labels' noise."""
    config, rng = QuadraticFeature(10), np.random.default_rng(0)
    layer, x, _, residual = simulation._step(config, 300, rng, width, activation)
    got = layer.without_own(x, residual)
    for i in (0, 7):
        left = residual.copy()
        left[i] = 0
        other = simulation._Feature(x, left, layer.W, layer.neuron)
        assert got[i] == pytest.approx(other(x[i : i + 1])[0])
    config = QuadraticFeature(16)

    def measure(rng, n_readout):
        return run(config, 1080, rng, width, activation, n_readout=n_readout)["error"]

    own, error = over_seeds(lambda rng: measure(rng, None), 10)
    fresh, other = over_seeds(lambda rng: measure(rng, 1080), 10)
    assert abs(own - fresh) < 3 * math.hypot(error, other)


# --- kernels


@pytest.mark.parametrize(("n", "seeds"), [(270, 8), (1080, 3)])
def test_kernel_curve(n, seeds):
    config = QuadraticFeature(16)
    spectrum = kernel_spectrum_of(config, arc_cosine)

    def measure(rng):
        x, y, _ = sample(config, n, rng)
        z, f, _ = sample(config, 1000, rng)
        model = KernelRidge(alpha=optimal_ridge(spectrum, n), kernel="precomputed")
        return np.mean((model.fit(arc_cosine(x), y).predict(arc_cosine(z, x)) - f) ** 2)

    mean, error = over_seeds(measure, seeds)
    assert abs(mean - optimal_curve(spectrum, n)) < 3 * error + 1 / n**0.5


def test_degrees_of_the_target():
    spectrum = kernel_spectrum_of(QuadraticFeature(16, (0.6, 0.8), noise=0.5), arc_cosine)
    seen = dict(zip(spectrum.degrees, spectrum.second_moment, strict=True))
    assert (seen[2], seen[4]) == (pytest.approx(0.36), pytest.approx(0.64))
    assert spectrum.noise == 0.25
    skew = QuadraticFeature(16, (0.0, 1.0), rank=2)
    spectrum = kernel_spectrum_of(skew, arc_cosine)
    seen = dict(zip(spectrum.degrees, spectrum.second_moment, strict=True))
    assert seen[2] == pytest.approx(skew.c1**2)
    assert seen[2] + seen[4] == pytest.approx(skew.P)
    short = kernel_spectrum_of(QuadraticFeature(16), polynomial(2))
    assert short.outside == pytest.approx(0.5)


# --- gates, the layer's eigenvector, two features


@pytest.mark.parametrize(("d", "per_square"), [(8, 4), (16, 0.25), (16, 2)])
def test_gates(d, per_square):
    N = (d + 2) * (d - 1) // 2
    n = int(per_square * N**2)
    found = gates(d, n, np.random.default_rng(d), neurons=2500)["neurons"]
    error = found.std() / 2500**0.5
    assert abs(found.mean() - gate_overlap(d, n)) < 3 * error + 1 / N


def test_ceiling_of_gates():
    """E[Q / (Q + 2)], by sampling; the population's operator by sampling inputs."""
    q = np.random.default_rng(0).chisquare(1, 1_000_000)
    assert gate_overlap(math.inf) == pytest.approx(np.mean(q / (q + 2)), abs=1e-3)
    assert gate_overlap(2000) == pytest.approx(gate_overlap(math.inf), abs=1e-3)
    config = QuadraticFeature(8, (0.0, 1.0))
    x, y, p = sample(config, 400_000, np.random.default_rng(0))
    along, mean, across, counts = theory._second(8)
    plus = math.sqrt(10 / 8) * x[:, 0] * x[:, 1]  # one harmonic of each block
    mixed = math.sqrt(10 / 8) * x[:, 0] * x[:, 7]
    for want, one in ((along, p), (mean[0], plus), (mean[1], mixed)):
        values = y * one**2
        assert abs(values.mean() - want) < 4 * values.std() / 400_000**0.5
    for want, one in ((across[0], plus), (across[1], mixed)):
        values = (y * p * one) ** 2
        assert abs(values.mean() - want) < 4 * values.std() / 400_000**0.5
    assert counts.tolist() == [9, 16, 9]


@pytest.mark.parametrize(
    ("d", "per_mode", "seeds"), [(8, 64, 20), (8, 400, 40), (16, 16, 16), (16, 64, 8)]
)
def test_layer(d, per_mode, seeds):
    n = per_mode * (d + 2) * (d - 1) // 2
    mean, error = over_seeds(lambda rng: gates(d, n, rng, neurons=1)["layer"], seeds)
    want = layer_overlap(d, n)
    assert abs(mean - want) < 3 * error + (1 / want - 1) ** 2  # of the second order


def test_harmonics_are_orthonormal():
    x = sample(QuadraticFeature(6), 200_000, np.random.default_rng(0))[0]
    Y = simulation._harmonics(x)
    assert Y.shape[1] == QuadraticFeature(6).N
    np.testing.assert_allclose((Y**2).sum(1), Y.shape[1])
    np.testing.assert_allclose(Y.T @ Y / len(Y), np.eye(20), atol=0.03)


@pytest.mark.parametrize("d", [8, 16])
def test_floor_of_two_features(d):
    """The target on p_1 + p_2 itself, in many bins; and what a step learns, with enough samples."""
    rng = np.random.default_rng(0)
    x, y = simulation._two(d, 400_000, rng)
    quarter = np.arange(d) * 4 // d
    total = x**2 @ np.where(quarter == 0, 1.0, np.where(quarter == 3, -1.0, 0.0))
    bins = np.argsort(np.argsort(total)) // 1000
    within = y - (np.bincount(bins, y) / 1000)[bins]
    floor = two_features_floor(d)
    squares = within**2 * 1000 / 999
    assert abs(squares.mean() - floor) < 4 * squares.std() / 400_000**0.5 + 1e-3
    n = 100 * (d + 2) * (d - 1) // 2
    found = [two_features(d, n, np.random.default_rng(seed)) for seed in range(3)]
    one = np.mean([v["one"] for v in found])
    assert floor - 0.02 < one < floor + 0.06
    assert np.mean([v["two"] for v in found]) < 0.3 * one


def test_floor_in_the_limit():
    floors = [two_features_floor(d) for d in (4, 40, 400, 4000)]
    assert np.all(np.diff(floors) < 0)
    assert floors[3] == pytest.approx(two_features_floor(), rel=0.01)


# --- networks by Adam


def test_gradient_of_networks():
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((7, 5)), rng.standard_normal(7)
    for sizes in ([5, 6, 4], [5, 6]):
        weights = simulation._initial(sizes, rng)
        for k, slope in enumerate(simulation._gradient(weights, x, y)):
            for place in np.ndindex(weights[k].shape):
                values = []
                for step in (1e-6, -1e-6):
                    moved = [v.copy() for v in weights]
                    moved[k][place] += step
                    values.append(np.mean((simulation._forward(moved, x) - y) ** 2) / 2)
                assert slope[place] == pytest.approx((values[0] - values[1]) / 2e-6, abs=1e-6)


def test_adam_is_torchs():
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((40, 3)), rng.standard_normal(40)
    sizes, steps, rate, decay = [3, 5, 4], 6, 0.01, 0.1
    got = simulation._adam(x, y, sizes, rate, decay, steps, 16, np.random.default_rng(1))
    again = np.random.default_rng(1)
    weights = [torch.tensor(v, requires_grad=True) for v in simulation._initial(sizes, again)]
    optimiser = torch.optim.AdamW(weights, lr=rate, weight_decay=decay)
    errors = []
    for step in range(1, steps + 1):
        rows = again.integers(0, 32, 16)
        optimiser.param_groups[0]["lr"] = rate * min(1, 2 * (1 - step / (steps + 1)))
        optimiser.zero_grad()
        out = torch.tensor(x[8:][rows])
        for k in (0, 2):
            out = torch.relu(out @ weights[k] + weights[k + 1])
        out = (out @ weights[4] + weights[5])[:, 0]
        ((out - torch.tensor(y[8:][rows])) ** 2).mean().div(2).backward()
        optimiser.step()
        fit = simulation._forward([v.detach().numpy() for v in weights], x[:8])
        errors.append(np.mean((fit - y[:8]) ** 2))
    assert got[0] == pytest.approx(min(errors))
    assert got[1] == 1 + int(np.argmin(errors))


def test_three_layers_beat_two():
    config = QuadraticFeature(8)
    found = {
        layers: train(config, 1500, np.random.default_rng(0), layers, width=48, steps=1500)
        for layers in (3, 2)
    }
    assert found[3]["error"] < 0.5 * found[2]["error"]
    assert found[3]["validation"].shape == (2, 3)
    best = np.unravel_index(found[3]["validation"].argmin(), (2, 3))
    assert found[3]["rate"] == (3e-3, 1e-2)[best[0]]


# --- bad input


@pytest.mark.parametrize(
    ("more", "error", "match"),
    [
        ({"d": 15}, ValueError, "d=15 must be even where no rank is given"),
        ({"d": 3}, ValueError, "d=3"),
        ({"d": 8.5}, TypeError, "d=8.5"),
        ({"coefficients": (0.0, 0.0)}, ValueError, "coefficients=.*not all zero"),
        ({"coefficients": 1.0}, ValueError, "coefficients="),
        ({"rank": 16}, ValueError, "rank=16 must be an integer between 1 and 15"),
        ({"noise": -1}, ValueError, "noise=-1"),
    ],
)
def test_bad_configs(more, error, match):
    with pytest.raises(error, match=match):
        QuadraticFeature(**({"d": 16} | more))


def test_odd_dimensions_have_ranks():
    config = QuadraticFeature(15, rank=4)
    mean, error = over_seeds(
        lambda rng: learn_feature(config, 600, rng, n_test=20)["squared_correlation"], 30
    )
    assert abs(mean - rank_correlation(config, 600)) < 3 * error + 10 / 600


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (lambda: feature_correlation(16, 17), ValueError, "n=17 must exceed d . 1 = 17"),
        (lambda: feature_correlation(16, 100, activation="tanh"), ValueError, "no part of degree"),
        (lambda: feature_correlation(16, 100, activation="swish"), ValueError, "is unknown"),
        (lambda: feature_correlation(16, 100, width=0), ValueError, "width=0"),
        (lambda: rank_correlation(16, 100), TypeError, "config=16"),
        (lambda: readout_error(QuadraticFeature(16, (0, 1)), 100), ValueError, "c1 = 0"),
        (lambda: limit_error(EVEN, 1.5), ValueError, "rho2=1.5 must be at most 1"),
        (lambda: gate_overlap(15), ValueError, "d=15"),
        (lambda: layer_overlap(16, 0), ValueError, "n must be finite and > 0"),
        (lambda: two_features_floor(6), ValueError, "d=6 must be divisible by 4"),
        (lambda: polynomials(16, 0.5, -1), ValueError, "degree=-1"),
        (lambda: QuadraticFeature(16).feature(np.ones((2, 5))), ValueError, "shape .2, 5."),
    ],
)
def test_bad_arguments(call, error, match):
    with pytest.raises(error, match=match):
        call()


def test_bad_simulations():
    config, rng = QuadraticFeature(16), np.random.default_rng(0)
    with pytest.raises(ValueError, match="n=17 must be an integer >= 18"):
        learn_feature(config, 17, rng)
    with pytest.raises(TypeError, match="config=16"):
        run(16, 100, rng)
    with pytest.raises(TypeError, match="rng=0"):
        learn_feature(config, 100, 0)
    with pytest.raises(ValueError, match="inputs='cube'"):
        sample(config, 10, rng, inputs="cube")
    with pytest.raises(ValueError, match="width=0"):
        run(config, 100, rng, 0)
    with pytest.raises(ValueError, match="n_readout=3"):
        run(config, 100, rng, n_readout=3)
    with pytest.raises(ValueError, match="layers=4"):
        train(config, 100, rng, 4)
    with pytest.raises(ValueError, match="d=6 must be divisible by 4"):
        two_features(6, 100, rng)
