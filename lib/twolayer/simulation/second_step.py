"""Two gradient steps of one network: what `twolayer.theory.second_step` predicts, measured."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from twolayer import _checks
from twolayer.data import SingleIndex, sphere
from twolayer.gradients import descent_direction
from twolayer.measures import leading_singular, squared_overlap
from twolayer.network import TwoLayer
from twolayer.ridge import fit_readout
from twolayer.theory.second_step import TwoSteps

__all__ = ["run"]


def run(
    steps: TwoSteps,
    eta2: ArrayLike,
    d: int,
    rng: np.random.Generator,
    *,
    alpha: float | None = None,
    ridge: float | str = "gcv",
    n_test: int = 4000,
) -> dict[str, np.ndarray]:
    """One network: its second gradient, the way it went in both steps, and its test errors.

    Gradients and features are in float32, singular vectors and ridge regression in float64.

    Parameters
    ----------
    steps : TwoSteps
    eta2 : array_like, shape () or (k,)
        Sizes of the second step, each from the same first one, in units of sqrt(m).
    d : int
        Input dimension; n0, m and n are rounded.
    rng : numpy.random.Generator
    alpha : float, optional
        n/d, fresh samples of the readout per dimension; without it no error is measured.
    ridge : float or "gcv"
        Of the readout, see `twolayer.ridge.fit_readout`.
    n_test : int

    Returns
    -------
    dict of ndarray
        Of the second gradient ``values``, its four largest singular values, and of the first
        input-side vector the ``squared_overlap`` with theta and the ``squared_overlap_with_v``,
        v the first gradient; ``both``, of the shape of `eta2`: squared overlap with theta of the
        displacement by both steps; ``first``, that of v. With `alpha` test errors: ``start``
        without a step, ``once`` after the first, ``twice`` after both, of the shape of `eta2`.

    Examples
    --------
    >>> steps = TwoSteps("tanh", "sign", alpha0=4.0, eta1=2.0)
    >>> found = run(steps, 2.0, 300, np.random.default_rng(0))
    >>> round(float(found["both"]), 1)  # one network; the limit is 0.879
    0.9
    """
    if not isinstance(steps, TwoSteps):
        raise TypeError(f"steps={steps!r} must be a TwoSteps")
    etas = _checks.real_array("eta2", eta2, minimum=0)
    d, rng = _checks.positive_int("d", d), _checks.generator(rng)
    n_test = _checks.positive_int("n_test", n_test)

    data = SingleIndex(d, steps.link, steps.noise)
    network = _initial(steps, d, rng)
    x, y = _batch(steps, data, rng)
    root = network.m**0.5
    once = network.with_weights(network.W + steps.eta1 * root * descent_direction(network, x, y))
    v, theta = x.T.astype(float) @ y / len(y), data.directions[0]
    if not steps.reuse:
        x, y = _batch(steps, data, rng)
    H = descent_direction(once, x, y)
    top = leading_singular(H)[2]
    out = {
        "values": np.linalg.svd(H.astype(float), compute_uv=False)[:4],
        "squared_overlap": squared_overlap(top, theta),
        "squared_overlap_with_v": squared_overlap(top, v),
        "first": squared_overlap(v, theta),
    }
    twice = [once.with_weights(once.W + eta * root * H) for eta in etas.ravel()]
    moved = [leading_singular(after.W - network.W)[2] for after in twice]
    out["both"] = np.reshape([squared_overlap(way, theta) for way in moved], etas.shape)
    if alpha is not None:
        alpha = _checks.real("alpha", alpha, minimum=0, strict=True)
        sets = [data.sample(max(1, round(n)), rng) for n in (alpha * d, n_test)]
        errors = [_error(net, *sets, ridge) + steps.noise**2 for net in (network, once, *twice)]
        out |= {"start": errors[0], "once": errors[1]}
        out["twice"] = np.reshape(errors[2:], etas.shape)
    return {name: np.asarray(value, dtype=float) for name, value in out.items()}


def _initial(steps, d, rng):
    """Rows on the unit sphere; readouts of unit norm in all."""
    W = sphere((max(1, round(steps.width_ratio * d)), d), rng)
    equal = steps.readout == "equal"
    a = rng.choice([-1.0, 1.0], len(W)) if equal else rng.standard_normal(len(W))
    a /= np.linalg.norm(a)
    return TwoLayer(W.astype("float32"), a.astype("float32"), steps.activation)


def _batch(steps, data, rng):
    x, y = data.sample(max(1, round(steps.alpha0 * data.d)), rng)
    return x.astype("float32"), y.astype("float32")


def _error(network, training, test, ridge):
    """Test error of a ridge readout on fresh samples, without the test labels' noise."""
    features = [network.features(x.astype("float32")).astype(float) for x, _ in (training, test)]
    readout = fit_readout(features[0], training[1], ridge)
    return np.mean((features[1] @ readout - test[1]) ** 2)
