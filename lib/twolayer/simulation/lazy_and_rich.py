"""Training at an output scale, whose limits are the lazy and the rich regime."""

from __future__ import annotations

from collections.abc import Sequence

from numpy.typing import ArrayLike

from twolayer import _checks
from twolayer.descent import descend, sgd
from twolayer.network import TwoLayer
from twolayer.theory.lazy_and_rich import rates

__all__ = ["run"]


def run(
    network: TwoLayer,
    x: ArrayLike,
    y: ArrayLike,
    *,
    output_scale: float,
    eta: float,
    steps: int,
    record: Sequence[int] | None = None,
) -> TwoLayer:
    """Gradient descent on f = A network, for one network or each of a stack.

    The loss is half the mean of (y - f)^2 / A^2: an output scale A is an inverse scale of the
    labels.

    Parameters
    ----------
    network : TwoLayer
        Best with an output of 0 at its start (`TwoLayer.symmetric`).
    x : array_like, shape (n, d), or (..., n, d)
    y : array_like, shape (n,), or (..., n)
    output_scale : float
        A > 0.
    eta : float
        See `twolayer.theory.lazy_and_rich.rates`.
    steps : int
    record : sequence of int, optional
        See `twolayer.descent.descend`.

    Returns
    -------
    TwoLayer
        What was trained is A times its output.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> net, x = TwoLayer.symmetric(64, 3, "relu", rng), rng.standard_normal((200, 3))
    >>> y = abs(x[:, 0])
    >>> net = run(net, x, y, output_scale=10.0, eta=2.0, steps=1000)
    >>> bool(np.mean((10 * net(x) - y) ** 2) < 0.01)
    True
    """
    scale = _checks.real("output_scale", output_scale, minimum=0, strict=True)
    layers = rates(eta, network.m, network.d)
    layers = {name: rate / 2 for name, rate in layers.items()}  # "squared" has no half
    y = _checks.real_array("y", y) / scale
    return descend(network, sgd(x, y, rates=layers, loss="squared"), steps, record=record)
