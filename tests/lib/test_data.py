import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twolayer.data import MultiIndex, SingleIndex, as_link

sizes = st.integers(1, 20)


@given(sizes, sizes, sizes, st.sampled_from(["sign", "he2", (0.0, 1.0, 0.5), np.cos]))
def test_shapes_dtypes_and_seeds(n, d, r, link):
    for model in (
        SingleIndex(d, link, noise=0.1),
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
        (lambda: SingleIndex(3, "sing"), ValueError, "activation='sing' is unknown; allowed"),
        (lambda: SingleIndex(3, "sign", noise=-1), ValueError, "noise=-1 must be finite and >= 0"),
        (lambda: SingleIndex(3, [np.nan]), ValueError, "link must be finite"),
        (lambda: SingleIndex(3, []), ValueError, "link="),
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
