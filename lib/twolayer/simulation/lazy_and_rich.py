"""Training at an output scale."""

import numpy as np
import torch

from twolayer import _checks, descent
from twolayer.theory.lazy_and_rich import rates

__all__ = ["run"]


def run(networks, x, y, *, alpha, eta, steps, every=None):
    """Gradient descent on alpha h(x), for several networks h at once, in place.

    The loss is mean (alpha h - y)^2 / alpha^2 = mean (h - y/alpha)^2: the output scale is the
    same as an inverse scale of the labels.

    Parameters
    ----------
    networks : sequence of TwoLayer
        k networks h of one shape, best with h = 0 (`TwoLayer.symmetric`); changed in place.
    x : array or tensor, shape (k, n, d)
    y : array or tensor, shape (k, n)
    alpha : float
        Output scale, > 0.
    eta : float
        See `rates`.
    steps : int
    every : int, optional
        How often to yield; once, at the end, without it.

    Yields
    ------
    int
        Steps done, with the networks up to date: what was trained is alpha times their output.

    Raises
    ------
    ValueError, TypeError
        If `alpha` or `eta` is not positive; else see `twolayer.descent.descend`.

    Examples
    --------
    >>> from twolayer.network import TwoLayer
    >>> rng = np.random.default_rng(0)
    >>> net = TwoLayer.symmetric(64, 3, "relu", rng)
    >>> x = rng.standard_normal((1, 200, 3))
    >>> y = abs(x[..., 0])
    >>> for _ in run([net], x, y, alpha=10.0, eta=1.0, steps=1000):
    ...     error = np.mean((10 * net(x[0]).detach().numpy() - y[0]) ** 2)
    >>> bool(error < 0.01)
    True
    """
    alpha = _checks.real("alpha", alpha, minimum=0, strict=True)
    networks = list(networks)
    step = rates(eta, networks[0].m, networks[0].d) if networks else {}
    y = np.asarray(y) / alpha if not torch.is_tensor(y) else y / alpha
    return descent.descend(networks, x, y, rates=step, steps=steps, loss="squared", every=every)
