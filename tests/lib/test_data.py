import math

import mpmath
import numpy as np
import pandas
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from twolayer import activations
from twolayer.data import (
    GaussianMixture,
    MultiIndex,
    Parity,
    SingleIndex,
    Teacher,
    additive,
    as_link,
)
from twolayer.network import TwoLayer
from twolayer.theory.learning_directions import Step
from twolayer.theory.spectra import feature_moments, feature_spectrum
from twolayer.theory.transfer import FrozenFeatures

sizes = st.integers(1, 20)


@given(sizes, sizes, sizes, st.sampled_from(["sign", "he2", (0.0, 1.0, 0.5), np.cos]))
def test_shapes_dtypes_and_seeds(n, d, r, link):
    for model in (
        SingleIndex(d, link, noise=0.1),
        SingleIndex(d, link, noise=0.1, inputs="sphere"),
        MultiIndex(d, link if not callable(link) else (lambda z: z.sum(1)), r=min(r, d)),
    ):
        x, y = model.sample(n, np.random.default_rng(3))
        again = model.sample(n, np.random.default_rng(3))
        assert x.shape == (n, d)
        assert y.shape == (n,)
        assert x.dtype == y.dtype == float
        assert np.array_equal(x, again[0])
        assert np.array_equal(y, again[1])
        u = model.directions
        np.testing.assert_allclose(u @ u.T, np.eye(len(u)))


def test_labels_follow_the_hidden_directions(rng):
    model = SingleIndex(5, "sign")
    x, y = model.sample(50, rng)
    assert np.array_equal(y, np.sign(x @ model.directions[0]))
    model = MultiIndex(5, "he2", r=2)
    x, y = model.sample(50, rng)
    z = x @ model.directions.T
    np.testing.assert_allclose(y, ((z**2 - 1) / np.sqrt(2)).sum(1) / np.sqrt(2))


def test_links_by_name_callable_and_coefficients_agree():
    z = np.linspace(-2, 2, 7)
    np.testing.assert_allclose(as_link([0, 0, 1])(z), as_link("he2")(z))
    np.testing.assert_allclose(as_link(np.tanh)(z), as_link("tanh")(z))


def test_noise_has_its_standard_deviation(rng):
    n = 40_000
    _, y = SingleIndex(1, lambda z: 0 * z, noise=0.7).sample(n, rng)
    assert y.std() == pytest.approx(0.7, abs=4 * 0.7 / np.sqrt(2 * n))


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: SingleIndex(0, "sign"), ValueError, "d=0 must be a positive integer"),
        (lambda: SingleIndex(2.0, "sign"), TypeError, "d=2.0 must be a positive integer"),
        (lambda: SingleIndex(3, "sing"), ValueError, "link='sing' is unknown; allowed"),
        (lambda: SingleIndex(3, "sign", noise=-1), ValueError, "noise=-1 must be finite and >= 0"),
        (lambda: SingleIndex(3, [np.nan]), ValueError, "link must be finite"),
        (lambda: SingleIndex(3, []), ValueError, "link="),
        (
            lambda: SingleIndex(3, "sign", inputs="cube"),
            ValueError,
            "inputs='cube' is unknown; all",
        ),
        (lambda: MultiIndex(3, "sign", r=4), ValueError, "r=4 must be at most d=3"),
    ],
)
def test_bad_models(make, error, words):
    with pytest.raises(error, match=words):
        make()


def test_bad_samples(rng):
    model = SingleIndex(3, "sign")
    for bad in (0, -1):
        with pytest.raises(ValueError, match="n="):
            model.sample(bad, rng)
    with pytest.raises(TypeError, match="n=True"):
        model.sample(True, rng)
    with pytest.raises(TypeError, match="numpy.random.Generator"):
        model.sample(3, 0)


def test_links_that_return_the_wrong_thing(rng):
    with pytest.raises(ValueError, match=r"link gave shape \(4, 1\).*must give \(4,\)"):
        SingleIndex(3, lambda z: z[:, None]).sample(4, rng)
    with pytest.raises(ValueError, match=r"link gave shape \(4, 2\) for z of shape \(n, 2\)"):
        MultiIndex(3, lambda z: z).sample(4, rng)
    with pytest.raises(ValueError, match="non-finite"):
        SingleIndex(3, lambda z: z / 0 * 0 if False else np.full(len(z), np.inf)).sample(4, rng)


def test_inputs_on_the_sphere(rng):
    """Norms exactly; moments of a coordinate within 4.5 standard errors, and not the Gaussian's."""
    d, n = 5, 100_000
    model = SingleIndex(d, "he2", inputs="sphere")
    x, y = model.sample(n, rng)
    np.testing.assert_allclose(np.linalg.norm(x, axis=1), math.sqrt(d), rtol=1e-14)
    np.testing.assert_allclose(y, (x[:, 0] ** 2 - 1) / math.sqrt(2))
    for power, want in [(1, 0.0), (2, 1.0), (3, 0.0), (4, 3 * d / (d + 2))]:
        values = x**power
        error = values.std(0) / math.sqrt(n)
        assert np.all(abs(values.mean(0) - want) < 4.5 * error)
        assert np.all(error < 0.02)
    assert abs(np.mean(x[:, 0] * x[:, 1])) < 4.5 / math.sqrt(n)
    _, noisy = SingleIndex(d, lambda z: 0 * z, noise=0.7, inputs="sphere").sample(n, rng)
    assert noisy.std() == pytest.approx(0.7, abs=4 * 0.7 / math.sqrt(2 * n))


def test_theory_for_gaussian_inputs_refuses_the_sphere():
    data, net = SingleIndex(4, "he2", inputs="sphere"), TwoLayer(np.eye(2, 4) + 0.1, [1, 1], "relu")
    for law in (
        lambda: additive(data),
        lambda: Step(data, 10),
        lambda: FrozenFeatures(net, data),
        lambda: feature_moments(net, data),
        lambda: feature_spectrum(net, data),
    ):
        with pytest.raises(ValueError, match="inputs='sphere' must be 'gaussian' here"):
            law()
    link, r = additive(data, sphere=True)
    assert (link(np.array([2.0]))[0], r) == (pytest.approx(3 / math.sqrt(2)), 1)


# --- mixtures


MIXTURE = GaussianMixture(
    [[1.0, 0.5], [-1.5, 0.3], [0.2, 4.0]], [1, -1, 1], sigma=0.7, weights=[1, 5, 2]
)


def test_samples_of_a_mixture_have_its_shares_means_and_spread():
    """Clusters are told apart by a label of their own; all within 4.5 standard errors."""
    n, p = 40_000, np.array([1, 5, 2]) / 8
    np.testing.assert_allclose(MIXTURE.weights, p)
    for cluster in range(3):
        one = GaussianMixture(MIXTURE.means, 2.0 * np.eye(3)[cluster] - 1, 0.7, [1, 5, 2])
        x, y = one.sample(n, np.random.default_rng(9))
        mine = x[y == 1]
        share = len(mine) / n
        assert abs(share - p[cluster]) < 4.5 * np.sqrt(share * (1 - share) / n)
        error = 4.5 * 0.7 / np.sqrt(len(mine))
        assert np.all(abs(mine.mean(0) - MIXTURE.means[cluster]) < error)
        covariance = np.cov(mine.T)
        assert np.all(abs(covariance - 0.49 * np.eye(2)) < 4.5 * 0.49 * np.sqrt(2 / len(mine)))


@pytest.mark.parametrize("k", [2, 4, 6])
def test_a_ring_is_even_and_alternates(k):
    ring = GaussianMixture.ring(5, k, 3.0, 0.4)
    assert (ring.d, ring.sigma, ring.means.shape) == (5, 0.4, (k, 5))
    assert not ring.means[:, 2:].any()
    np.testing.assert_allclose(np.linalg.norm(ring.means, axis=1), 3.0)
    around = np.roll(ring.means, -1, 0)[:, :2]
    turn = 2 * np.pi / k
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    np.testing.assert_allclose(around, ring.means[:, :2] @ rotation.T, atol=1e-12)
    np.testing.assert_allclose(ring.means[0, :2], [3.0, 0.0])
    assert ring.labels.tolist() == [1, -1] * (k // 2)
    np.testing.assert_allclose(ring.weights, 1 / k)


def test_without_clusters_of_a_label_the_odds_are_infinite():
    one = GaussianMixture([[1.0, 0.0]], [-1])
    assert one.log_odds([[2.0, 3.0], [0.0, 0.0]]).tolist() == [-np.inf, -np.inf]


# --- parities


@pytest.mark.parametrize("rotation", [None, 4])
@pytest.mark.parametrize(("k", "agree"), [(1, 0.0), (2, 0.0), (3, 0.5), (5, 0.5)])
def test_parities_are_products_of_hidden_bits(k, agree, rotation):
    """Odds of all 2^5 strings within 4.5 binomial errors."""
    n, d = 20_000, 5
    data = Parity(d, k, agree, rotation)
    M = data.dictionary
    np.testing.assert_allclose(M.T @ M, np.eye(d), atol=1e-12)
    np.testing.assert_array_equal(data.directions, M[:, :k].T)
    assert (rotation is None) == np.array_equal(M, np.eye(d))
    x, y = data.sample(n, np.random.default_rng(8))
    assert x.shape == (n, d)
    bits = np.rint(x @ M)
    np.testing.assert_allclose(x, bits @ M.T, atol=1e-12)
    assert np.array_equal(abs(bits), np.ones((n, d)))
    assert np.array_equal(y, bits[:, :k].prod(1))
    assert np.array_equal(data.target(x), y)
    shares = np.bincount(((bits > 0) @ 2 ** np.arange(d)).astype(int), minlength=2**d) / n
    strings = 2 * (np.arange(2**d)[:, None] >> np.arange(d) & 1) - 1
    equal = abs(strings[:, :k].sum(1)) == k
    p = (1 - agree) / 2**d + agree * equal / 2 ** (d - k + 1)
    assert np.all(abs(shares - p) < 4.5 * np.sqrt(p * (1 - p) / n))


def test_dictionaries_follow_their_seeds():
    one, same, other = (Parity(4, 2, rotation=seed).dictionary for seed in (1, 1, 2))
    assert np.array_equal(one, same)
    assert not np.allclose(one, other)
    assert Parity(1, 1, rotation=0).dictionary.tolist() == [[1.0]]


@pytest.mark.parametrize("data", [MIXTURE, Parity(3, 2, 0.5), Parity(3, 2, rotation=0)])
def test_classes_of_data_sample_by_seed(data):
    x, y = data.sample(30, np.random.default_rng(3))
    again = data.sample(30, np.random.default_rng(3))
    assert np.array_equal(x, again[0])
    assert np.array_equal(y, again[1])
    assert x.shape == (30, data.d)
    assert x.dtype == y.dtype == float
    assert set(y.tolist()) == {-1.0, 1.0}
    with pytest.raises(ValueError, match="n=0 must be a positive integer"):
        data.sample(0, np.random.default_rng(3))
    with pytest.raises(TypeError, match="rng=3 must be a numpy.random.Generator"):
        data.sample(4, 3)


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (
            lambda: GaussianMixture([1.0, 2.0], [1, 1]),
            ValueError,
            r"means has shape \(2,\); it must",
        ),
        (lambda: GaussianMixture(np.ones((0, 2)), []), ValueError, r"means has shape \(0, 2\)"),
        (lambda: GaussianMixture([[np.nan]], [1]), ValueError, "means must be finite"),
        (lambda: GaussianMixture([[1.0]], [0]), ValueError, "labels=.* 1 numbers, each -1 or 1"),
        (lambda: GaussianMixture([[1.0]], [1, -1]), ValueError, "labels=.* 1 numbers, each -1"),
        (
            lambda: GaussianMixture([[1.0]], [1], 0.0),
            ValueError,
            "sigma=0.0 must be finite and > 0",
        ),
        (lambda: GaussianMixture([[1.0]], [1], "1"), TypeError, "sigma='1' must be a real number"),
        (
            lambda: GaussianMixture(np.eye(2), [1, 1], 1.0, [1.0, 0.0]),
            ValueError,
            "weights must be finite and > 0, got 0.0",
        ),
        (
            lambda: GaussianMixture(np.eye(2), [1, 1], 1.0, [1.0]),
            ValueError,
            r"weights has shape \(1,\); it must be \(2,\)",
        ),
        (
            lambda: GaussianMixture.ring(3, 3, 1.0),
            ValueError,
            "clusters=3 must be even: labels alternate",
        ),
        (
            lambda: GaussianMixture.ring(3, 0, 1.0),
            ValueError,
            "clusters=0 must be a positive integer",
        ),
        (lambda: GaussianMixture.ring(1, 2, 1.0), ValueError, "d=1 must be at least 2"),
        (lambda: GaussianMixture.ring(2, 2, -1.0), ValueError, "radius=-1.0 must be finite and >="),
        (lambda: MIXTURE.log_odds([[np.inf, 0.0]]), ValueError, "x must be finite"),
        (
            lambda: MIXTURE.log_odds(np.ones((2, 3))),
            ValueError,
            r"x has shape \(2, 3\); it must be",
        ),
        (lambda: Parity(0, 1), ValueError, "d=0 must be a positive integer"),
        (lambda: Parity(3, 4), ValueError, "degree=4 must be at most d=3"),
        (lambda: Parity(3, 0), ValueError, "degree=0 must be a positive integer"),
        (lambda: Parity(3, 1.0), TypeError, "degree=1.0 must be a positive integer"),
        (lambda: Parity(3, 1, 1.0), ValueError, "agree=1.0 must be below 1"),
        (lambda: Parity(3, 1, -0.1), ValueError, "agree=-0.1 must be finite and >= 0"),
        (lambda: Parity(3, 1, rotation=-1), ValueError, "rotation=-1 must be an integer >= 0"),
        (lambda: Parity(3, 1, rotation=0.5), TypeError, "rotation=0.5 must be an integer"),
        (lambda: Parity(3, 1, rotation=True), TypeError, "rotation=True must be an integer"),
    ],
)
def test_bad_mixtures_and_parities(make, error, words):
    with pytest.raises(error, match=words):
        make()


# --- teachers


TILTED = np.array([[1.0, 0.0, 0.0], [0.6, -0.8, 0.0], [0.0, 0.0, -1.0]])


@pytest.mark.parametrize("name", ["abs", "relu", "tanh", "he2"])
def test_labels_of_a_teacher_are_its_neurons_sum(name, rng):
    """No factor 1/sqrt(m); noise on top, with its standard deviation and nowhere else."""
    a = np.array([1.0, -2.5, 0.5])
    teacher = Teacher(TILTED.tolist(), a.tolist(), name)
    assert teacher.d == 3
    assert np.array_equal(teacher.directions, TILTED)
    assert teacher.activation.name == name
    x, y = teacher.sample(50, np.random.default_rng(7))
    assert x.shape == (50, 3)
    assert x.dtype == y.dtype == float
    sigma = activations.get(name)
    want = sum(aj * sigma(x @ w) for aj, w in zip(a, TILTED, strict=True))
    np.testing.assert_allclose(y, want, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(teacher.target(x), want, rtol=1e-12, atol=1e-14)
    again = teacher.sample(50, np.random.default_rng(7))
    assert np.array_equal(x, again[0])
    n, noisy = 40_000, Teacher(TILTED, a, sigma, noise=0.3)
    x, y = noisy.sample(n, rng)
    rest = y - noisy.target(x)
    assert abs(rest.mean()) < 4 * 0.3 / np.sqrt(n)
    assert rest.std() == pytest.approx(0.3, abs=4 * 0.3 / np.sqrt(2 * n))
    assert np.all(abs(x.mean(0)) < 4.5 / np.sqrt(n))
    assert np.all(abs(np.cov(x.T) - np.eye(3)) < 4.5 * np.sqrt(2 / n))


def test_teachers_default_and_keep_their_own_arrays():
    W, a = TILTED.copy(), np.ones(3)
    teacher = Teacher(W, a)
    assert (teacher.activation.name, teacher.noise) == ("abs", 0.0)
    W[:], a[:] = 0, 0
    assert np.array_equal(teacher.W, TILTED)
    assert np.array_equal(teacher.a, np.ones(3))
    with pytest.raises(AttributeError):
        teacher.a = a


def test_random_teachers_have_room_between_their_lines():
    """Over many draws: any angle that is allowed comes up, none that is not."""
    rng, least = np.random.default_rng(12), []
    for _ in range(200):
        teacher = Teacher.random(3, [1.0, -1.0], rng, min_angle=40.0)
        assert teacher.W.shape == (2, 3)
        np.testing.assert_allclose(np.linalg.norm(teacher.W, axis=1), 1, rtol=1e-12)
        least.append(np.degrees(np.arccos(abs(teacher.W[0] @ teacher.W[1]))))
    assert min(least) >= 40
    # lines at 40 degrees and more: the cosine is uniform up to cos 40 = 0.77
    assert min(least) < 42
    assert max(least) > 88
    default = [Teacher.random(3, [1.0, -1.0], rng) for _ in range(200)]
    least = [np.degrees(np.arccos(abs(t.W[0] @ t.W[1]))) for t in default]
    assert 45 <= min(least) < 47
    free = [Teacher.random(2, [1.0, -1.0], rng, min_angle=0).W for _ in range(100)]
    assert min(np.degrees(np.arccos(abs(W[0] @ W[1]))) for W in free) < 5
    cosines = np.array([W[0] @ W[1] for W in free])
    assert cosines.min() < -0.9
    assert cosines.max() > 0.9


def test_random_teachers_take_their_other_arguments():
    teacher = Teacher.random(5, [2.0, -1.0, 0.5], np.random.default_rng(0), activation="relu")
    again = Teacher.random(5, [2.0, -1.0, 0.5], np.random.default_rng(0), noise=0.7)
    assert np.array_equal(teacher.W, again.W)
    assert teacher.a.tolist() == [2.0, -1.0, 0.5]
    assert (teacher.activation.name, teacher.noise) == ("relu", 0.0)
    assert (again.activation.name, again.noise) == ("abs", 0.7)
    assert Teacher.random(1, [1.0], np.random.default_rng(0)).W.tolist() in ([[1.0]], [[-1.0]])
    cosines = teacher.W @ teacher.W.T - np.eye(3)
    assert abs(cosines).max() <= np.cos(np.radians(45)) + 1e-12


def test_directions_may_be_opposite_or_near_where_they_tell_apart():
    opposite = np.array([[0.6, 0.8], [-0.6, -0.8]])
    assert Teacher(opposite, [1.0, 1.0], "relu").d == 2
    assert Teacher(opposite, [1.0, 1.0], "tanh").d == 2
    for name in ("abs", "he2"):
        with pytest.raises(ValueError, match="W: rows 0 and 1 are duplicates; directions must"):
            Teacher(opposite, [1.0, 1.0], name)
    near = np.array([[1.0, 0.0], [np.cos(1e-5), np.sin(1e-5)]])  # a cosine of 1 - 5e-11
    assert Teacher(near, [1.0, 1.0]).d == 2
    near = np.array([[1.0, 0.0], [np.cos(1e-7), np.sin(1e-7)]])
    with pytest.raises(ValueError, match="W: rows 0 and 1 are duplicates"):
        Teacher(near, [1.0, 1.0])
    assert Teacher(np.eye(2) * (1 + 1e-9), [1.0, 1.0]).d == 2  # a rounding of the norm


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (
            lambda: Teacher([1.0, 0.0], [1.0]),
            ValueError,
            r"W has shape \(2,\); it must be \(k, d\)",
        ),
        (lambda: Teacher(np.ones((0, 2)), []), ValueError, r"W has shape \(0, 2\); it must be"),
        (lambda: Teacher(np.ones((2, 0)), [1, 1]), ValueError, r"W has shape \(2, 0\); it must be"),
        (lambda: Teacher([[np.nan, 1.0]], [1.0]), ValueError, "W must be finite"),
        (lambda: Teacher([["x"]], [1.0]), TypeError, "W must hold real numbers"),
        (lambda: Teacher(np.eye(2), [1.0, np.inf]), ValueError, "a must be finite"),
        (
            lambda: Teacher(np.eye(2), [1.0]),
            ValueError,
            "a=.* must be 2 numbers, none of them zero",
        ),
        (lambda: Teacher(np.eye(1), 1.0), ValueError, "a=1.0 must be 1 numbers, none of them zero"),
        (lambda: Teacher(np.eye(2), [[1.0, 1.0]]), ValueError, "a=.* must be 2 numbers"),
        (
            lambda: Teacher(np.eye(2), [1.0, 0.0]),
            ValueError,
            "a=.* must be 2 numbers, none of them",
        ),
        (
            lambda: Teacher([[1.0, 0.0], [0.0, 2.5]], [1.0, 1.0]),
            ValueError,
            "W: row 1 has norm 2.5; rows must be unit",
        ),
        (
            lambda: Teacher([[1.0, 1e-3]], [1.0]),
            ValueError,
            "W: row 0 has norm 1; rows must be unit",
        ),
        (lambda: Teacher([[0.999, 0.0]], [1.0]), ValueError, "W: row 0 has norm 0.999; rows must"),
        (
            lambda: Teacher(np.eye(3)[[0, 1, 2, 1]], np.ones(4)),
            ValueError,
            "W: rows 1 and 3 are duplicates; directions must differ",
        ),
        (
            lambda: Teacher(np.eye(3)[[2, 0, 0]], np.ones(3), "relu"),
            ValueError,
            "W: rows 1 and 2 are duplicates; directions must differ",
        ),
        (lambda: Teacher(np.eye(2), [1, 1], "ab"), ValueError, "activation='ab' is unknown"),
        (lambda: Teacher(np.eye(2), [1, 1], abs), TypeError, "activation=.* must be a name or an"),
        (
            lambda: Teacher(np.eye(2), [1, 1], noise=-1),
            ValueError,
            "noise=-1 must be finite and >=",
        ),
        (lambda: Teacher(np.eye(2), [1, 1], noise="1"), TypeError, "noise='1' must be a real numb"),
        (lambda: random_teacher(d=0), ValueError, "d=0 must be a positive integer"),
        (lambda: random_teacher(d=2.0), TypeError, "d=2.0 must be a positive integer"),
        (lambda: random_teacher(a=[1.0, 0.0]), ValueError, "a=.* must be 2 numbers, none of them"),
        (
            lambda: random_teacher(min_angle=-1.0),
            ValueError,
            "min_angle=-1.0 must be finite and >=",
        ),
        (lambda: random_teacher(rng=3), TypeError, "rng=3 must be a numpy.random.Generator"),
        (
            lambda: random_teacher(d=2, a=np.ones(5)),
            ValueError,
            "min_angle=45.0 is too wide for 5 random directions in d=2",
        ),
        (
            lambda: random_teacher(d=1),
            ValueError,
            "min_angle=45.0 is too wide for 2 random directions in d=1",
        ),
        (lambda: random_teacher(activation="ab"), ValueError, "activation='ab' is unknown"),
        (lambda: random_teacher(noise=-1), ValueError, "noise=-1 must be finite and >= 0"),
    ],
)
def test_bad_teachers(make, error, words):
    with pytest.raises(error, match=words):
        make()


def random_teacher(d=3, a=(1.0, -1.0), rng=None, **keywords):
    return Teacher.random(d, a, np.random.default_rng(0) if rng is None else rng, **keywords)


def test_a_teacher_samples_as_other_data(rng):
    teacher = Teacher(TILTED, np.ones(3))
    with pytest.raises(ValueError, match="n=0 must be a positive integer"):
        teacher.sample(0, rng)
    with pytest.raises(TypeError, match="rng=3 must be a numpy.random.Generator"):
        teacher.sample(4, 3)


# --- what comes in, and what is kept


def test_links_of_high_degree_stay_in_range():
    """h_k at 40 digits; k! leaves the doubles at k = 171, He_k long before."""
    mpmath.mp.dps = 40
    z = np.array([-1.3, 0.0, 0.4, 2.5])
    for degree in (0, 1, 2, 7, 60, 200):
        got = as_link([0.0] * degree + [1.0])(z)
        scale = mpmath.sqrt(mpmath.mpf(2) ** degree * mpmath.factorial(degree))
        want = [float(mpmath.hermite(degree, v / mpmath.sqrt(2)) / scale) for v in z]
        np.testing.assert_allclose(got, want, rtol=1e-11, atol=1e-13)
    assert as_link([2.0])(np.arange(3)).tolist() == [2.0, 2.0, 2.0]
    assert as_link([0, 0, 0, 1])(np.array([3_000_000]))[0] == pytest.approx(2.7e19 / 6**0.5)


def test_numbers_of_any_kind_are_kept_as_pythons():
    """NumPy's numbers, arrays without axes and tensors: equal objects, which hash."""
    plain = SingleIndex(5, (0.0, 1.0), 0.5)
    for number in (np.int64(5), np.array(5), torch.tensor(5)):
        model = SingleIndex(number, np.array([0, 1]), np.float32(0.5))
        assert model == plain
        assert hash(model) == hash(plain)
    assert MultiIndex(np.int64(5), [0, 1], r=np.array(2)) == MultiIndex(5, (0.0, 1.0), r=2)
    assert Parity(np.array(3), np.int64(2), agree=np.array(0.5), rotation=np.int64(1)) == Parity(
        3, 2, 0.5, 1
    )
    assert Teacher.random(3, torch.tensor([1.0, 2.0]), np.random.default_rng(0), noise=0).noise == 0


def test_targets_take_what_is_like_an_array(rng):
    models = [
        SingleIndex(3, "tanh"),
        MultiIndex(3, "tanh", r=2),
        Teacher(np.eye(2, 3), [1.0, -1.0]),
        Parity(3, 2),
    ]
    for model in models:
        x, y = model.sample(6, rng)
        frame = pandas.DataFrame(x, columns=list("abc"))
        for like in (x.tolist(), torch.tensor(x, requires_grad=True), frame):
            np.testing.assert_allclose(model.target(like), y, rtol=1e-13)
        np.testing.assert_allclose(model.target(x[::-1]), y[::-1])
        for bad in (x[:, :2], x[0], np.ones((2, 4))):  # the first columns alone would do
            with pytest.raises(ValueError, match=r"x has shape .*; it must be \(n, 3\)"):
                model.target(bad)
    x = rng.standard_normal((4, 2))
    np.testing.assert_allclose(MIXTURE.log_odds(torch.tensor(x)), MIXTURE.log_odds(x))


def test_nothing_is_changed_in_place():
    teacher = Teacher(np.eye(2, 3), [1.0, -1.0])
    for array in (MIXTURE.means, MIXTURE.labels, MIXTURE.weights, teacher.W, teacher.a):
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0
    coefficients = [0.0, 1.0]
    model = SingleIndex(2, coefficients)
    coefficients[1] = np.nan
    assert model.target([[2.0, 0.0]]) == [2.0]


def test_weights_of_any_size_are_probabilities():
    mixture = GaussianMixture(np.eye(2), [1, -1], weights=[1e308, 1e308])
    assert mixture.weights.tolist() == [0.5, 0.5]
