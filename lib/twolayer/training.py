"""One step on the first layer, ridge regression of the readout; descent, Adam, noise on both."""

import dataclasses
import itertools
import math
import warnings

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning

from twolayer import _checks, _stack
from twolayer._blas import product
from twolayer.network import TwoLayer

__all__ = [
    "RidgePath",
    "descend",
    "descent_direction",
    "fit_readout",
    "gradient_step",
    "langevin",
    "learn_directions",
    "mean_field_rates",
    "remove_linear_part",
    "ridge_path",
    "train",
]

_BLOCK = 1024  # rows of data per block: temporaries stay small, products stay at full speed


@torch.no_grad()
def descent_direction(network, x, y):
    """The direction of the first step, H = -sqrt(m) grad L in W, for L = mean (y - f(x))^2 / 2.

    One H serves every step size. Row j is a_j times the average of (y - f) sigma'(w_j.x + b_j) x.

    Parameters
    ----------
    network : TwoLayer
    x : array or tensor, shape (n, d)
    y : array or tensor, shape (n,)

    Returns
    -------
    tensor, shape (m, d)

    Raises
    ------
    ValueError
        If lengths or dimensions do not fit, or an entry is not finite.

    Notes
    -----
    The cost is two matrix products of n m d multiply-adds, the rest is done in place on blocks
    of rows. Source: Ba et al. 2022, equation for G_0, with the factor sqrt(m) taken in.

    Examples
    --------
    >>> from twolayer.network import TwoLayer
    >>> net = TwoLayer(np.zeros((1, 2)), [1.0], "identity")
    >>> descent_direction(net, [[1.0, 2.0]], [3.0])
    tensor([[3., 6.]], dtype=torch.float64)
    """
    x = network.inputs(x)
    y = _checks.tensor("y", y, 1, dtype=x.dtype, device=x.device)
    _checks.same_length("x", x, "y", y)
    H = torch.zeros_like(network.W)
    for xb, yb in zip(x.split(_BLOCK), y.split(_BLOCK), strict=True):
        value, slope = network.activation.both(product(xb, network.W.T).add_(network.b))
        residual = yb - value @ network.a / math.sqrt(network.m)
        H.add_(product(slope.mul_(residual[:, None]).T, xb))
    return H.mul_(network.a[:, None] / len(x))


def gradient_step(network, x, y, eta):
    """The network after one full-batch gradient step on its first layer.

    W1 = W0 - eta sqrt(m) grad L with L = mean (y - f(x))^2 / 2; readout and biases stay.

    Parameters
    ----------
    network : TwoLayer
    x : array or tensor, shape (n, d)
    y : array or tensor, shape (n,)
    eta : float
        Step size, finite.

    Returns
    -------
    TwoLayer
        A new network; the one given is left as it was.

    Raises
    ------
    ValueError
        If shapes do not fit, `eta` or an entry is not finite, or the step gives non-finite weights.

    Examples
    --------
    >>> from twolayer.network import TwoLayer
    >>> net = TwoLayer(np.zeros((1, 2)), [1.0], "identity")
    >>> gradient_step(net, [[1.0, 2.0]], [3.0], eta=0.5).W.detach()
    tensor([[1.5000, 3.0000]], dtype=torch.float64)
    """
    eta = _checks.real("eta", eta)
    W = descent_direction(network, x, y).mul_(eta).add_(network.W.detach())
    if not torch.isfinite(W).all():
        raise ValueError(f"eta={eta} gives non-finite weights; take a smaller step or scale y")
    return network.with_weights(W)


def remove_linear_part(x, y):
    """Labels without their constant and linear parts, fitted by least squares.

    Parameters
    ----------
    x : array or tensor, shape (n, d)
    y : array or tensor, shape (n,)

    Returns
    -------
    residual : ndarray, shape (n,)
        y - intercept - x . slope: its mean and its products with the inputs vanish on the sample.
    intercept : float
    slope : ndarray, shape (d,)
        Of least norm where n <= d.

    Raises
    ------
    ValueError
        If shapes do not fit, an entry is not finite, or all labels are equal.

    Notes
    -----
    Of a linear part b.x the averages mean(y), mean(y x) of Damian, Lee & Soltanolkotabi 2022,
    Algorithm 1, leave a share of order sqrt(d/n), which the first gradient would follow.

    Examples
    --------
    >>> residual, intercept, slope = remove_linear_part([[0.0], [1.0], [2.0]], [1.0, 3.0, 5.0])
    >>> residual.round(9) + 0.0, round(intercept, 9), slope.round(9)
    (array([0., 0., 0.]), 1.0, array([2.]))
    """
    x, y = (_checks.tensor(*v).detach().cpu().numpy() for v in (("x", x, 2), ("y", y, 1)))
    _checks.same_length("x", x, "y", y)
    x, y = x.astype(float, copy=False), y.astype(float, copy=False)
    if np.ptp(y) == 0:
        raise ValueError(f"y is constant, {y[0]:g}; its variance must be positive")
    centre, mean = x.mean(0), y.mean()
    gram, right = np.zeros((x.shape[1], x.shape[1])), np.zeros(x.shape[1])
    for start in range(0, len(x), _BLOCK):  # normal equations, of columns scaled to one length
        inside = x[start : start + _BLOCK] - centre
        gram += inside.T @ inside
        right += inside.T @ (y[start : start + _BLOCK] - mean)
    length = np.sqrt(np.diagonal(gram))
    length = np.where(length > 0, length, 1)
    scaled = gram / np.outer(length, length)
    slope, _, rank, _ = np.linalg.lstsq(scaled, right / length, rcond=1e-12)
    slope /= length
    if rank < len(slope):  # the solution is not unique: the one of least norm, without the squares
        slope = np.linalg.lstsq(x - centre, y - mean, rcond=1e-10)[0]
    intercept = float(mean - centre @ slope)
    return y - intercept - x @ slope, intercept, slope


@torch.no_grad()
def learn_directions(x, y, m, rng, *, activation="relu", dtype=torch.float64):
    """A network whose first layer took one large gradient step, with weight decay 1/eta.

    The step erases the initial weights: what remains of neuron j is the gradient,
    a_j mean(r sigma'(w_j . x) x), at a symmetric initialisation (f = 0) and for labels r without
    constant and linear parts. Rows are scaled to unit norm (so the step's size drops out), biases
    are redrawn from N(0, 1), and the readout is zero: `fit_readout` fits it. A neuron that is open
    for all samples or for none gets no pull and keeps its direction.

    Parameters
    ----------
    x : array or tensor, shape (n, d)
    y : array or tensor, shape (n,)
        Labels; their constant and linear parts are removed here.
    m : int
        Width, even: neurons come in pairs of opposite readout, so of opposite weights.
    rng : numpy.random.Generator
    activation : str or Activation
    dtype : torch.dtype
        Of the network and of the gradient; float32 is accurate enough, and twice as fast.

    Returns
    -------
    TwoLayer
        Unit rows W, shape (m, d).

    Raises
    ------
    ValueError
        If `m` is odd, shapes do not fit, an entry is not finite, all labels are equal, or nothing
        is left of them without their linear part.

    Notes
    -----
    Damian, Lee & Soltanolkotabi 2022, Algorithm 1, lines 1-5; the unit norm is ours. The cost is
    two products of n m/2 d multiply-adds: one neuron of a pair tells the other.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> x = rng.standard_normal((4000, 8))
    >>> net = learn_directions(x, x[:, 0] ** 2, 64, rng)
    >>> bool((net.W[:, 0] ** 2).mean() > 0.8)
    True
    """
    if _checks.positive_int("m", m) % 2:
        raise ValueError(f"m={m} must be even: neurons come in pairs")
    residual, _, _ = remove_linear_part(x, y)
    labels = _checks.tensor("y", y, 1).detach().cpu()
    left, scale = np.abs(residual).max(), float((labels - labels.mean()).abs().max())
    if left <= max(1e-9, 30 * torch.finfo(labels.dtype).eps) * scale:
        raise ValueError(
            "y is linear in x on this sample; it needs variance beyond its linear part"
        )
    x = _checks.tensor("x", x, 2, dtype=dtype)
    half = TwoLayer.mean_field(m // 2, x.shape[1], activation, rng, dtype=dtype)
    residual = torch.as_tensor(residual / left, dtype=dtype)
    pull = torch.zeros_like(half.W)
    for xb, rb in zip(x.split(_BLOCK), residual.split(_BLOCK), strict=True):
        slope = half.activation.derivative(product(xb, half.W.T))
        pull.add_(product(slope.mul_(rb[:, None]).T, xb))
    rounding = 1e4 * torch.finfo(dtype).eps * residual.norm() * x.abs().max()
    pull = torch.where(pull.norm(dim=1, keepdim=True) > rounding, pull, half.W)
    pull /= pull.norm(dim=1, keepdim=True)
    W = torch.cat([pull, -pull])
    return TwoLayer(W, torch.zeros(m, dtype=dtype), activation, rng.standard_normal(m))


@dataclasses.dataclass(frozen=True, eq=False)
class RidgePath:
    """Readouts for many ridges.

    Attributes
    ----------
    ridges : ndarray, shape (k,)
    coefficients : tensor, shape (k, m)
        A readout a ridge.
    gcv : ndarray, shape (k,)
        Generalised cross-validation score, n RSS / (n - dof)^2, in the units of y^2.
    dof : ndarray, shape (k,)
        Effective degrees of freedom, the trace of the smoother.
    """

    ridges: np.ndarray
    coefficients: torch.Tensor
    gcv: np.ndarray
    dof: np.ndarray

    @property
    def best(self):
        """Index of the ridge with the lowest GCV score."""
        return int(np.nanargmin(self.gcv))


@torch.no_grad()
def ridge_path(features, y, ridges):
    """Ridge readouts for a whole path of ridges from one eigendecomposition.

    Each minimises ``|y - features a|^2 + ridge |a|^2`` (a sum over samples, as in scikit-learn's
    `Ridge` with ``fit_intercept=False``).

    Parameters
    ----------
    features : array or tensor, shape (n, m)
    y : array or tensor, shape (n,)
    ridges : array_like, shape (k,)
        Each > 0.

    Returns
    -------
    RidgePath

    Raises
    ------
    ValueError
        If shapes do not fit, an entry is not finite or a ridge is not positive.

    Warns
    -----
    ConvergenceWarning
        As in `fit_readout`, for the smallest ridge.

    Notes
    -----
    The smaller of the two Gram matrices is decomposed: O(min(n, m)^3) once, then O(m min(n, m))
    a ridge. GCV: Golub, Heath & Wahba 1979.

    Examples
    --------
    >>> path = ridge_path([[1.0], [1.0]], [1.0, 3.0], [2.0])
    >>> path.coefficients
    tensor([[1.]], dtype=torch.float64)
    """
    features, y = _regression(features, y)
    ridges = _checks.real_array("ridges", ridges, minimum=0, strict=True)
    if ridges.ndim != 1 or ridges.size == 0:
        raise ValueError(f"ridges has shape {ridges.shape}; it must be a non-empty vector")
    path, (smallest, largest) = _ridge_path(features, y, ridges)
    _warn_if_rough(largest, smallest + ridges.min(), features.dtype)
    return path


def _ridge_path(features, y, ridges):
    """The path, and the extreme eigenvalues of the Gram matrix."""
    n, m = features.shape
    primal = m <= n
    gram = product(features.T, features) if primal else product(features, features.T)
    s, Q = torch.linalg.eigh(gram)
    s = s.clamp(min=0)
    kept = s > s.max() * len(s) * torch.finfo(s.dtype).eps
    if primal:
        c = Q.T @ (features.T @ y)
        projected = torch.where(kept, c / s.clamp(min=torch.finfo(s.dtype).tiny).sqrt(), 0)
        outside = (y @ y - projected @ projected).clamp(min=0)  # part of y no readout can reach
    else:
        projected = Q.T @ y
        c, outside = projected, 0.0
    lam = torch.as_tensor(ridges, dtype=s.dtype, device=s.device)[:, None]
    coefficients = (c / (s + lam)) @ Q.T
    if not primal:
        coefficients = coefficients @ features
    rss = outside + ((lam / (s + lam)) ** 2 * projected**2).sum(1)
    dof = (s / (s + lam)).sum(1)
    left = n - len(s) + (lam / (s + lam)).sum(1)  # n - dof, without cancellation
    gcv = n * rss / left**2
    path = RidgePath(ridges, coefficients, gcv.cpu().numpy(), dof.cpu().numpy())
    return path, (float(s[0]), float(s[-1]))


@torch.no_grad()
def fit_readout(features, y, ridge=1.0):
    """Fit the readout by ridge regression: minimise ``|y - features a|^2 + ridge |a|^2``.

    Parameters
    ----------
    features : array or tensor, shape (n, m)
        Of `TwoLayer.features`, say.
    y : array or tensor, shape (n,)
    ridge : float, array_like or "gcv"
        A number >= 0 gives one readout, by Cholesky of the smaller Gram matrix (0: the least
        squares solution of least norm); a vector of numbers > 0 gives a readout for each, from
        one eigendecomposition; ``"gcv"`` takes the best by generalised cross-validation of 41
        ridges from 1e-6 to 1e2 of the features' mean squared norm per column.

    Returns
    -------
    tensor, shape (m,), or (k, m) for a vector of k ridges
        In the dtype of `features`.

    Raises
    ------
    ValueError
        If shapes do not fit, an entry is not finite, a ridge is negative, or so small that the
        Gram matrix is not positive definite in this dtype.

    Warns
    -----
    ConvergenceWarning
        If the system is so ill-conditioned for this dtype that rounding errors may reach a
        hundredth of the solution, as in float32 near interpolation.

    Examples
    --------
    >>> fit_readout([[1.0], [1.0]], [1.0, 3.0], ridge=2.0)
    tensor([1.], dtype=torch.float64)
    """
    features, y = _regression(features, y)
    if isinstance(ridge, str):
        _checks.one_of("ridge", ridge, ("gcv",))
        scale = float(features.square().sum()) / min(features.shape)
        ridges = (scale or 1.0) * np.logspace(-6, 2, 41)
        path, (smallest, largest) = _ridge_path(features, y, ridges)
        _warn_if_rough(largest, smallest + ridges[path.best], features.dtype)
        return path.coefficients[path.best]
    if np.ndim(ridge) > 0:
        return ridge_path(features, y, ridge).coefficients
    ridge = _checks.real("ridge", ridge, minimum=0)
    if ridge == 0:
        return torch.linalg.lstsq(features, y[:, None], driver="gelsd").solution[:, 0]
    n, m = features.shape
    primal = m <= n
    gram = product(features.T, features) if primal else product(features, features.T)
    gram.diagonal().add_(ridge)
    chol, info = torch.linalg.cholesky_ex(gram)
    if info:
        raise ValueError(f"ridge={ridge} is too small for the rank of the features in {gram.dtype}")
    pivots = chol.diagonal() ** 2  # their extremes bound the extreme eigenvalues from inside
    _warn_if_rough(float(pivots.max()), float(pivots.min()), chol.dtype)
    right = features.T @ y if primal else y
    a = torch.cholesky_solve(right[:, None], chol)[:, 0]
    return a if primal else features.T @ a


def _warn_if_rough(largest, smallest, dtype):
    """Warn where rounding errors may reach a hundredth of the solution."""
    if torch.finfo(dtype).eps * largest > 1e-2 * smallest:
        warnings.warn(
            f"the ridge system is ill-conditioned for {dtype}: its eigenvalues span a factor "
            f"{largest / max(smallest, 1e-300):.0e}; use float64 or a larger ridge",
            ConvergenceWarning,
            stacklevel=3,
        )


def _regression(features, y):
    features = _checks.tensor("features", features, 2)
    if features.shape[1] == 0:
        raise ValueError(f"features has shape {tuple(features.shape)}; it must have columns")
    y = _checks.tensor("y", y, 1, dtype=features.dtype, device=features.device)
    _checks.same_length("features", features, "y", y)
    return features, y


def descend(
    networks,
    x,
    y,
    *,
    rates,
    steps,
    loss="logistic",
    shrink=0.0,
    rngs=None,
    batch=None,
    masks=None,
    every=None,
):
    """Gradient descent on all parameters of several networks at once, in place.

    The networks share a shape and differ in weights, data, masks and seeds. Batched products with
    the gradient written out by hand serve all of them, which pays where networks are small.

    Parameters
    ----------
    networks : sequence of TwoLayer
        k networks of one shape, activation and dtype; changed in place.
    x : array or tensor, shape (k, n, d)
    y : array or tensor, shape (k, n)
        Labels, -1 or 1 (numbers for the squared loss).
    rates : dict of str to float
        Step sizes, > 0, of some of ``"W"``, ``"b"`` and ``"a"``; the others stay.
    steps : int
    loss : {"logistic", "hinge", "squared", "centred"}
        log(1 + exp(-y f)), max(0, 1 - y f) or (y - f)^2; their mean is descended. With
        ``"centred"`` it is the variance of y - f: the squared loss with a free constant, always
        the best one of the samples seen.
    shrink : float or array_like, shape (steps,)
        Share of W and a taken away in every step, in [0, 1]: a step size times a weight decay.
    rngs : sequence of numpy.random.Generator, optional
        One for each network; it draws the minibatches, without replacement within an epoch.
        Needed with `batch`.
    batch : int, optional
        Size of the minibatches, at most n; without it all samples are used in every step.
    masks : array or tensor of bool, shape (k, m, d), optional
        Weights of the first layer to keep: the others are set to zero and stay there. The bias and
        readout of a neuron that keeps none are set to zero too.
    every : int, optional
        How often to yield; once, at the end, without it.

    Yields
    ------
    int
        Steps done, with the networks up to date.

    Raises
    ------
    ValueError
        If shapes do not fit, an entry is not finite, a label is not -1 or 1, a mask keeps nothing,
        a rate is unknown or not positive, `shrink` has another length or leaves [0, 1], or outputs
        or weights leave the finite numbers.

    Notes
    -----
    For networks with entries of `a` of order 1/sqrt(m) see `mean_field_rates`. Arguments are
    checked at once; training goes on as the result is iterated over.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> net = TwoLayer.mean_field(64, 2, "relu", rng)
    >>> x = rng.standard_normal((1, 400, 2))
    >>> y = np.sign(x[..., 0] * x[..., 1])
    >>> for _ in descend([net], x, y, rates=mean_field_rates(1.0, 64), steps=300):
    ...     right = np.sign(net(x[0]).detach().numpy()) == y[0]
    >>> bool(right.mean() > 0.95)
    True
    """
    networks, stack, x, y = _stack.stacked(networks, x, y)
    _stack.check_labels(loss, y)
    steps = _checks.positive_int("steps", steps)
    every = steps if every is None else _checks.positive_int("every", every)
    _checked_rates(rates)
    shrink = _shares(shrink, steps)
    k, n, _ = x.shape
    if batch is not None:
        batch = min(_checks.positive_int("batch", batch), n)
        rngs = _checks.generators("rngs", rngs or (), k)
    if masks is not None:
        masks = _checks.masks("masks", masks, stack["W"].shape, x.device)
    return _descend(networks, stack, x, y, rates, steps, loss, shrink, rngs, batch, masks, every)


def _shares(shrink, steps):
    """`shrink` of every step, or an error unless it has one number a step, each in [0, 1]."""
    shrink = _checks.real_array("shrink", shrink, minimum=0)
    if shrink.shape not in ((), (steps,)):
        raise ValueError(f"shrink has shape {shrink.shape}; it must be a number or ({steps},)")
    if (shrink > 1).any():
        raise ValueError(f"shrink={shrink.max():g} must be at most 1: a share of the weights")
    return np.broadcast_to(shrink, steps)


def mean_field_rates(eta, m):
    """Step sizes of `descend` that move each neuron at a speed which does not depend on the width.

    Parameters
    ----------
    eta : float
        Step size of the readout, > 0.
    m : int
        Width.

    Returns
    -------
    dict of str to float
        eta m for W, 0.3 eta m for b and eta for a.

    Examples
    --------
    >>> mean_field_rates(2.0, m=10)
    {'W': 20.0, 'b': 6.0, 'a': 2.0}
    """
    eta, m = _checks.real("eta", eta, minimum=0, strict=True), _checks.positive_int("m", m)
    return {"W": eta * m, "b": 0.3 * eta * m, "a": eta}


def _checked_rates(rates):
    for name, rate in rates.items():
        _checks.one_of("rates", name, ("W", "b", "a"))
        _checks.real(f"rates[{name!r}]", rate, minimum=0, strict=True)
    if not rates:
        raise ValueError("rates must name at least one of 'W', 'b', 'a'")


def _minibatches(x, y, rngs, batch):
    """Minibatches of every network's data without end; all of it in each without `batch`."""
    if batch is None:
        yield from itertools.repeat((x, y))
    n, rows = x.shape[1], torch.arange(len(x), device=x.device)[:, None]
    while True:
        order = torch.as_tensor(np.stack([rng.permutation(n) for rng in rngs]), device=x.device)
        for at in range(0, n - batch + 1, batch):
            chosen = order[:, at : at + batch]
            yield x[rows, chosen], y[rows, chosen]


@torch.no_grad()
def _descend(networks, stack, x, y, rates, steps, loss, shrink, rngs, batch, masks, every):
    """The loop of `descend`, whose arguments are checked."""
    activation, keep = networks[0].activation, {}
    if masks is not None:
        alive = masks.any(2)
        keep = {"W": masks, "b": alive, "a": alive}
        stack = {name: value * keep[name] for name, value in stack.items()}
    for step, seen in zip(range(steps), _minibatches(x, y, rngs, batch), strict=False):
        moves, f = _stack.negative_gradient(activation, stack, *seen, loss)
        if not torch.isfinite(f).all():
            raise ValueError(f"outputs are not finite at step {step}; rates={rates} are too large")
        if shrink[step]:
            stack["W"].mul_(1 - shrink[step])
            stack["a"].mul_(1 - shrink[step])
        for name, rate in rates.items():
            moved = moves[name] * keep[name] if keep else moves[name]
            stack[name].add_(moved, alpha=rate)
        if (step + 1) % every == 0 or step + 1 == steps:
            if not all(torch.isfinite(value).all() for value in stack.values()):
                raise ValueError(f"weights are not finite: rates={rates} are too large")
            _stack.copy_back(networks, stack)
            yield step + 1


def train(networks, x, y, *, rates, steps, rngs, batch=128, decay=True, every=None):
    """Adam on all parameters of several networks at once, squared loss, in place.

    The networks share a shape and differ in weights, data and seeds: one batched product serves
    all, which saves the overhead of small steps. Each follows the path it would follow alone.

    Parameters
    ----------
    networks : sequence of TwoLayer
        k networks of one shape, activation and dtype; changed in place.
    x : array or tensor, shape (k, n, d)
    y : array or tensor, shape (k, n)
    rates : dict of str to float
        Learning rates, > 0, of some of ``"W"``, ``"b"`` and ``"a"``; the others stay.
    steps : int
    rngs : sequence of numpy.random.Generator
        One for each network; it draws the minibatches, without replacement within an epoch.
    batch : int
        Size of the minibatches, at most n.
    decay : bool
        Let the rates fall to zero along half a cosine.
    every : int, optional
        How often to yield; once, at the end, without it.

    Yields
    ------
    int
        Steps done, with the networks up to date.

    Raises
    ------
    ValueError
        If shapes do not fit, an entry is not finite, a rate is unknown or not positive, or the
        loss leaves the finite numbers.

    Notes
    -----
    Adam: Kingma & Ba 2015, as torch implements it. Training goes on as the result is iterated over;
    arguments are checked at once. What is left of an epoch after whole minibatches is not used.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> net = TwoLayer.symmetric(32, 2, "relu", rng)
    >>> x = rng.standard_normal((1, 256, 2))
    >>> y, rates = abs(x[..., 0]), {"W": 0.03, "a": 0.03}
    >>> for _ in train([net], x, y, rates=rates, steps=300, rngs=[rng]):
    ...     error = ((net(x[0]).detach().numpy() - abs(x[0, :, 0])) ** 2).mean()
    >>> bool(error < 0.02)
    True
    """
    networks, stack, x, y = _stack.stacked(networks, x, y)
    rngs = _checks.generators("rngs", rngs, len(x))
    steps = _checks.positive_int("steps", steps)
    batch = min(_checks.positive_int("batch", batch), x.shape[1])
    every = steps if every is None else _checks.positive_int("every", every)
    _checked_rates(rates)
    return _train(networks, stack, x, y, rates, steps, rngs, batch, decay, every)


def _train(networks, stack, x, y, rates, steps, rngs, batch, decay, every):
    """The loop of `train`, whose arguments are checked."""
    first = networks[0]
    groups = [
        {"params": [stack[name].requires_grad_()], "lr": rate} for name, rate in rates.items()
    ]
    optimiser = torch.optim.Adam(groups)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda t: (1 + math.cos(math.pi * t / steps)) / 2 if decay else 1.0
    )
    for step, (seen, target) in zip(range(steps), _minibatches(x, y, rngs, batch), strict=False):
        with torch.enable_grad():
            z = torch.baddbmm(stack["b"][:, None], seen, stack["W"].mT)
            f = (first.activation(z) @ stack["a"][..., None])[..., 0] / math.sqrt(first.m)
            loss = (f - target).square().mean(1).sum()
            optimiser.zero_grad()
            loss.backward()
        if not torch.isfinite(loss):
            raise ValueError(
                f"the loss is {loss.item()} at step {step}; rates={rates} are too large"
            )
        optimiser.step()
        schedule.step()
        if (step + 1) % every == 0 or step + 1 == steps:
            _stack.copy_back(networks, {name: value.detach() for name, value in stack.items()})
            yield step + 1


def langevin(
    W, u, x, y, *, steps, dt, l2, temperature, rng, loss="squared", averaged=True, every=None
):
    """Noisy gradient descent on f(x) = sum_i u_i relu(w_i.x) / m, neurons w_i on the unit sphere.

    In time t, with ``L = loss(f) + l2 sum |u_i|^2 / (2m)`` and B a Brownian motion (of w on the
    sphere), each neuron follows d(w, u) = -m grad L dt + sqrt(2 temperature) dB: its law in the
    limit of many neurons and long times is what `theory.repopulation.solve` gives.

    Parameters
    ----------
    W : array or tensor, shape (m, d) or (k, m, d)
        Unit rows; k networks with data in common run side by side.
    u : array or tensor, shape (m,) or (k, m); (m, c) or (k, m, c) with c outputs
    x : array or tensor, shape (n, d)
    y : array or tensor, shape (n,) or (n, c)
        Numbers for the squared loss; classes 0..c-1, shape (n,), for the cross-entropy.
    steps : int
    dt : float
        Time step, > 0.
    l2, temperature : float
        lambda_1 and lambda_3 of the paper, >= 0.
    rng : numpy.random.Generator
    loss : {"squared", "cross-entropy"}
        Mean over samples of ``|f - y|^2 / 2``, or of log sum_c exp f_c - f_y.
    averaged : bool
        Let the noise of a step be the mean of this step's and the last one's draw: the bias of the
        stationary law falls from order dt to dt^2. Without it, the Euler method.
    every : int, optional
        How often to yield; once, at the end, without it.

    Yields
    ------
    step : int
        Steps done; the time is step * dt.
    W, u : tensor
        Copies, in the dtype and on the device of the given `W`.

    Raises
    ------
    TypeError, ValueError
        If shapes do not fit, an entry is not finite, a row of W is not of unit length, a number is
        not in its range, a label is no class, or weights leave the finite numbers.

    Notes
    -----
    A step moves w along the great circle of its tangent step, and carries the old draw with it, so
    that on the circle the method is exactly the one for an angle. Averaged noise: Leimkuhler &
    Matthews 2013. Arguments are checked at once; the run goes on as the result is iterated over.

    Examples
    --------
    >>> from twolayer.data import sphere
    >>> rng = np.random.default_rng(0)
    >>> W, x = sphere((500, 2), rng), sphere((40, 2), rng)
    >>> run = langevin(W, np.zeros(500), x, x[:, 0], steps=400, dt=0.5, l2=0.02,
    ...                temperature=0.001, rng=rng)
    >>> step, W, u = next(run)
    >>> step, bool((W[:, 0] * u.sign() > 0).double().mean() > 0.9)
    (400, True)
    """
    W = _checks.tensor("W", W, 3 if np.ndim(W) == 3 else 2)
    u = _checks.tensor("u", u, max(np.ndim(u), W.ndim - 1), dtype=W.dtype, device=W.device)
    x = _checks.tensor("x", x, 2, dtype=W.dtype, device=W.device)
    _checks.one_of("loss", loss, ("squared", "cross-entropy"))
    if u.ndim not in (W.ndim - 1, W.ndim) or u.shape[: W.ndim - 1] != W.shape[:-1] or not u.numel():
        raise ValueError(
            f"u has shape {tuple(u.shape)}; it must be {tuple(W.shape[:-1])} or that "
            "with a last axis of outputs, and not empty"
        )
    if x.shape[1] != W.shape[-1]:
        raise ValueError(f"x has shape {tuple(x.shape)}; it must be (n, {W.shape[-1]})")
    length = W.norm(dim=-1).flatten()
    worst = length[(length - 1).abs().argmax()]
    if abs(worst - 1) > 1e-5:
        raise ValueError(f"W has a row of length {worst:g}; each must be of length 1")
    classes = u.shape[-1] if u.ndim == W.ndim else None
    target = _target(loss, y, x, classes)
    steps = _checks.positive_int("steps", steps)
    every = steps if every is None else _checks.positive_int("every", every)
    dt = _checks.real("dt", dt, minimum=0, strict=True)
    l2 = _checks.real("l2", l2, minimum=0)
    temperature = _checks.real("temperature", temperature, minimum=0)
    rng = _checks.generator(rng)
    return _langevin(
        W.detach(), u.detach(), x, target, steps, dt, l2, temperature, rng, loss, averaged, every
    )


def _target(loss, y, x, classes):
    """The labels as numbers, shape (c, n): one hot for classes."""
    if loss == "cross-entropy":
        if classes is None:
            raise ValueError("u must have a last axis of outputs for the loss 'cross-entropy'")
        y = _checks.tensor("y", y, 1, device=x.device)
        _checks.same_length("x", x, "y", y)
        if ((y % 1 != 0) | (y < 0) | (y >= classes)).any():
            raise ValueError(f"y must hold classes 0..{classes - 1}, as many as u has outputs")
        return torch.nn.functional.one_hot(y.long(), classes).to(x.dtype).T
    y = _checks.tensor("y", y, 1 if classes is None else 2, dtype=x.dtype, device=x.device)
    _checks.same_length("x", x, "y", y)
    if classes is not None and y.shape[1] != classes:
        raise ValueError(f"y has shape {tuple(y.shape)}; it must be ({len(x)}, {classes})")
    return y.reshape(len(x), -1).T


@torch.no_grad()
def _langevin(W, u, x, target, steps, dt, l2, temperature, rng, loss, averaged, every):
    """The loop of `langevin`, whose arguments are checked; neurons are the last axis, for speed."""
    shape, m, n = u.shape, W.shape[-2], len(x)
    W, u = W.mT.contiguous(), u.reshape(*W.shape[:-1], -1).mT.contiguous()
    d, dtype = W.shape[-2], np.float32 if W.dtype == torch.float32 else np.float64
    scale = math.sqrt(2 * temperature * dt) / (2 if averaged else 1)

    def tangent(v):
        return v - (v * W).sum(-2, keepdim=True) * W

    def length(v):  # `norm` is slow along this axis
        return v.square().sum(-2, keepdim=True).sqrt()

    def draw():
        z = rng.standard_normal((*W.shape[:-2], d + u.shape[-2], m), dtype=dtype)
        z = torch.from_numpy(z).to(W)
        return tangent(z[..., :d, :]), z[..., d:, :]

    old = draw() if averaged else (0, 0)
    for step in range(steps):
        h = (x @ W).relu_()  # (..., n, m)
        f = u @ h.mT / m
        r = ((torch.softmax(f, -2) if loss == "cross-entropy" else f) - target) / n
        pull = r @ h  # G of every neuron; the force on w is u.r over the samples where it fires
        fires = h.sign_()
        one = u.shape[-2] == 1
        force = u * ((r * x.T) @ fires) if one else x.T @ fires.mul_(r.mT @ u)
        noise = draw()
        move = scale * (noise[0] + old[0]) - dt * tangent(force)
        u = u - dt * (pull + l2 * u) + scale * (noise[1] + old[1])
        size = length(move)
        along = move / size.clamp(min=torch.finfo(W.dtype).tiny)
        turned = along * size.cos() - W * size.sin()  # where parallel transport takes `along`
        W = W * size.cos() + along * size.sin()
        W = W / length(W)
        if averaged:
            shift = (noise[0] * along).sum(-2, keepdim=True) * (turned - along)
            old = noise[0] + shift, noise[1]
        if not (torch.isfinite(u.sum()) and torch.isfinite(W.sum())):
            raise ValueError(f"weights are not finite after step {step + 1}; dt={dt} is too large")
        if (step + 1) % every == 0 or step + 1 == steps:
            yield step + 1, W.mT.clone(), u.mT.reshape(shape).clone()
