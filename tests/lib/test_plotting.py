import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr

from twolayer.lab import plotting
from twolayer.theory import one_step


@pytest.fixture
def ax():
    plotting.use_style()
    fig, ax = plt.subplots()
    yield ax
    fig.canvas.draw()
    plt.close(fig)


def test_theory_and_simulation_draws_mean_and_standard_error(ax, rng):
    values = rng.standard_normal((8, 3))
    samples = xr.DataArray(values, {"d": [10, 20, 40]}, ("seed", "d"))
    plotting.theory_and_simulation(ax, [0, 1], [0, 1], samples, label="law")
    container = ax.containers[0]
    np.testing.assert_array_equal(container.lines[0].get_xdata(), [10, 20, 40])
    np.testing.assert_allclose(container.lines[0].get_ydata(), values.mean(0))
    low, high = (bar.get_ydata() for bar in container.lines[1])
    np.testing.assert_allclose((high - low) / 2, values.std(0, ddof=1) / np.sqrt(8))
    assert ax.lines[0].get_color() == container.lines[0].get_color()
    assert container.lines[0].get_linestyle() == "None"  # simulation is never a line
    assert ax.get_legend_handles_labels()[1] == ["law"]


def test_points_stand_at_the_coordinate_that_is_named(ax, rng):
    samples = xr.DataArray(rng.standard_normal((2, 4)), {"d": [10, 20]}, ("d", "seed"))
    samples = samples.assign_coords(ratio=("d", [0.5, 1.0]))
    plotting.points(ax, samples, "ratio")
    plotting.points(ax, samples, x=[3, 4])
    plotting.points(ax, samples.sel(d=10), x=7)
    drawn = [c.lines[0].get_xdata().tolist() for c in ax.containers]
    assert drawn == [[0.5, 1.0], [3, 4], [7]]


def test_spectrum_marks_the_outlier_only_above_the_threshold(ax, rng):
    values = np.linalg.svd(rng.standard_normal((40, 40)) / 40**0.5, compute_uv=False)
    grid = np.linspace(0.01, 2, 50)
    bulk = one_step.bulk_density(grid, 1.0)
    plotting.spectrum(ax, values, grid, bulk, one_step.outlier(0.5, 1.0))
    assert not ax.texts
    plotting.spectrum(ax, values, grid, bulk, one_step.outlier(2.0, 1.0))
    assert ax.texts[0].xy[0] == pytest.approx(2.5)


def test_particles_shows_every_neuron_in_units_of_an_initial_weight(ax, rng):
    W, a = rng.standard_normal((30, 9)) / 3, rng.standard_normal(30)
    plotting.particles(ax, W, a, np.eye(9)[:2], start=0 * W, covariance=np.diag([4.0, 1.0]))
    dots = ax.collections[-1]
    order = np.argsort(-abs(a))
    np.testing.assert_allclose(dots.get_offsets(), 3 * W[order, :2])
    assert np.all(np.diff(dots.get_sizes()) <= 0)
    ellipse = ax.patches[0]
    assert (ellipse.width, ellipse.height) == pytest.approx((8, 4))
    assert abs(ellipse.angle) % 180 == pytest.approx(0)


def test_levels(ax):
    plotting.levels(ax, {"bound": 0.3, "floor": 0.1})
    assert [t.get_text() for t in ax.texts] == ["bound", "floor"]


def test_bad_input(ax):
    with pytest.raises(TypeError, match=r"must be an xarray\.DataArray, got ndarray"):
        plotting.points(ax, np.ones((2, 3)))
    with pytest.raises(ValueError, match="must have 'seed' and one more"):
        plotting.points(ax, xr.DataArray(np.ones((2, 3)), dims=("a", "b")))
    with pytest.raises(ValueError, match="2 orthonormal rows of length 3"):
        plotting.particles(ax, np.ones((4, 3)), np.ones(4), np.ones((2, 3)))
    with pytest.raises(ValueError, match=r"a has shape \(3,\); W has 4 rows"):
        plotting.particles(ax, np.ones((4, 3)), np.ones(3), np.eye(3)[:2])
