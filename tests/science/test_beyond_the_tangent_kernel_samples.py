"""The student of orthogonal teachers on samples, and what no rotation-invariant kernel does."""

import numpy as np
import pytest

from twolayer import kernels
from twolayer.data import MultiIndex, sphere
from twolayer.simulation.beyond_the_tangent_kernel import student_loss
from twolayer.theory.beyond_the_tangent_kernel import plateau
from twolayer.theory.spectra import gegenbauer, harmonic_counts, kernel_spectrum


def test_the_student_falls_through_the_floor_with_samples_enough():
    few, many = (
        np.mean([student_loss(8, n, np.random.default_rng(k)) for k in range(3)]) / plateau(8)
        for n in (64, 400)
    )
    assert many < 0.02
    assert 0.8 < few < 1.5


def test_the_student_is_reproducible_and_may_have_one_width():
    runs = [student_loss(5, 60, np.random.default_rng(3), widths=(8,)) for _ in range(2)]
    assert runs[0] == runs[1]


@pytest.mark.parametrize("bad", [{"d": 0}, {"n": 0}, {"widths": (0,)}])
def test_sizes_of_the_student_are_checked(bad):
    good = {"d": 4, "n": 20, "rng": np.random.default_rng(0)}
    with pytest.raises(ValueError, match=next(iter(bad))):
        student_loss(**good | bad)


@pytest.mark.parametrize("d", [10, 20])
def test_the_floor_is_the_teachers_part_beyond_degree_two(d):
    spectrum = kernel_spectrum(kernels.relu_ntk.even(), MultiIndex(d, "abs", r=d), radial=40)
    beyond = spectrum.second_moment[spectrum.degrees > 0].sum() + spectrum.outside
    assert beyond / 2 == pytest.approx(d * plateau(d), rel=1e-3)
    assert spectrum.second_moment[spectrum.degrees == 2].sum() < 1e-9


def test_zonal_functions_of_n_samples_hold_the_share_n_over_their_number():
    """eq-bt-least: of a harmonic of degree four, on average over samples."""
    d, n, rng = 5, 20, np.random.default_rng(0)
    axis, shares = np.eye(1, d), []
    for _ in range(300):
        x = sphere((n, d), rng)
        *_, gram = gegenbauer(np.clip(x @ x.T, -1, 1), d, 4)
        *_, with_axis = gegenbauer(x @ axis[0], d, 4)
        shares.append(with_axis @ np.linalg.solve(gram, with_axis))
    error = np.std(shares) / len(shares) ** 0.5
    assert np.mean(shares) == pytest.approx(n / harmonic_counts(d, 4)[4], abs=4 * error)
    assert error < 0.01
