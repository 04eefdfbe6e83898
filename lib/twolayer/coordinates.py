"""Is a network lazy? What training moves, measured, and how that goes with the width.

For models that are not the book's: any `torch.nn.Module`, and scikit-learn's `MLPRegressor` and
`MLPClassifier`.
"""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from twolayer import _checks
from twolayer.kernels import empirical_ntk
from twolayer.network import TwoLayer

if TYPE_CHECKING:
    import pandas
    import xarray

__all__ = ["CoordCheck", "coord_check", "movement", "untrained"]

_MODELS = "it must be a torch.nn.Module, a fitted MLPRegressor or MLPClassifier, or a TwoLayer"
_MIDWAY = 0.25  # between no power of the width, and the power -1/2
_ALIVE = 0.1  # of the features
_RISE = 1e-3  # of the loss: less may be rounding


class _Look(NamedTuple):
    """A model at one moment, on some inputs."""

    outputs: dict[str, np.ndarray]  # of each layer of weights, (k, ...)
    weights: dict[str, np.ndarray]
    features: np.ndarray  # what the last of them, the readout, takes
    kernel: np.ndarray
    statistics: dict[str, np.ndarray]  # buffers: moved by a pass, not by a step


def movement(
    start: Any,
    end: Any,
    x: ArrayLike,
    *,
    rates: Mapping[str, float] | None = None,
    readout: str | None = None,
) -> xarray.Dataset:
    """How far training has moved a model: its layers, its features and its tangent kernel.

    Parameters
    ----------
    start, end : torch.nn.Module, fitted MLPRegressor or MLPClassifier, or TwoLayer
        Before training (``copy.deepcopy`` keeps it; of scikit-learn's see `untrained`) and after;
        at least two layers of weights, each as wide at the end as at the start.
    x : array_like, shape (k, ...)
        Inputs on which outputs are compared; a few dozen will do.
    rates : dict of str to float, optional
        Weights of the parameters in the tangent kernel, by their names (of a TwoLayer W, b, a): one
        that is left out does not count. With the step sizes of gradient descent it is the kernel
        that the descent follows. All are 1 without it.
    readout : str, optional
        Of a module: the name of the part that takes the features. Without it the last layer to run,
        if all other parameters that change the output feed it; else an error asks for the name.

    Returns
    -------
    xarray.Dataset
        Over `layer`, the modules with weights of their own: "activation", the root mean square of
        its outputs at the start; "after", that at the end; "change", that of their difference;
        "weights", the Frobenius norm of its weights' change over that of the weights. Of the whole
        the same ratio twice: "features", of what the last layer takes, and "kernel", of the tangent
        kernel on `x`; and "left", the size of the features at the end over that at the start.

    Notes
    -----
    Of several outputs the kernel has one matrix each, as if they were so many networks. Modules are
    looked at in `eval` mode. There the running statistics of batch normalisation count, which move
    without any step: if they have moved, a warning says so.

    Examples
    --------
    >>> start = TwoLayer([[1.0, 0.0]], [2.0], "relu")
    >>> moved = movement(start, start.with_weights([[1.5, 0.0]]), [[3.0, 1.0]])
    >>> float(moved.features), moved.change.values  # relu(3) to relu(4.5), read out by 2
    (0.5, array([1.5, 3. ]))
    """
    looks = [_look(name, v, x, rates, readout) for name, v in (("start", start), ("end", end))]
    return _compare(*looks)


def _compare(start, end):
    import xarray

    if start.weights.keys() != end.weights.keys():
        raise ValueError(f"end has layers {list(end.weights)}; start has {list(start.weights)}")
    layers = list(start.weights)
    for name in layers:
        shapes = end.weights[name].shape, start.weights[name].shape
        if shapes[0] != shapes[1]:
            raise ValueError(f"end has weights of shape {shapes[0]} in {name!r}; start {shapes[1]}")
    if moved := [
        k for k, v in start.statistics.items() if not np.array_equal(v, end.statistics[k])
    ]:
        warnings.warn(
            f"{moved} have moved, which no optimiser steps; what is compared moves with them",
            stacklevel=3,
        )
    rows = {
        "activation": [_rms(start.outputs[k]) for k in layers],
        "after": [_rms(end.outputs[k]) for k in layers],
        "change": [_rms(end.outputs[k] - start.outputs[k]) for k in layers],
        "weights": [_ratio(start.weights[k], end.weights[k]) for k in layers],
    }
    whole = {name: _ratio(getattr(start, name), getattr(end, name)) for name in _WHOLE}
    whole["left"] = _rms(end.features) / (_rms(start.features) or np.nan)
    return xarray.Dataset({k: ("layer", v) for k, v in rows.items()} | whole, {"layer": layers})


_WHOLE = ("features", "kernel")
_LEVELS = ("left", "loss_start", "loss_end", "score")


def _rms(values):
    return float(np.sqrt(np.mean(np.square(values, dtype=float))))


def _ratio(start, end):
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(np.linalg.norm(end - start) / np.linalg.norm(start))


# --- what is looked at


def _look(name, model, x, rates, readout=None):
    if isinstance(model, TwoLayer):
        return _of_two_layers(model, x, rates)
    return _of_module(_module(name, model), x, rates, readout)


def _of_two_layers(network, x, rates):
    """A network of the book; preactivations and output are those of its two layers."""
    outputs = {"W": network.preactivations(x), "a": network(x)}
    weights = {"W": network.W, "a": network.a}
    features = network.activation(outputs["W"])
    return _Look(outputs, weights, features, empirical_ntk(network, rates)(x), {})


def _module(name, model):
    """The model as a torch module: itself, or the layers of an MLPRegressor."""
    import torch

    if isinstance(model, torch.nn.Module):
        return model
    if not hasattr(model, "hidden_layer_sizes"):
        raise TypeError(f"{name} is a {type(model).__name__}; {_MODELS}")
    from sklearn.utils.validation import check_is_fitted

    check_is_fitted(model)
    kinds = {"relu": torch.nn.ReLU, "tanh": torch.nn.Tanh, "logistic": torch.nn.Sigmoid}
    layers = []
    for W, b in zip(model.coefs_, model.intercepts_, strict=True):
        linear = torch.nn.Linear(*W.shape, dtype=torch.float64)
        linear.weight.data = torch.as_tensor(W.T.copy(), dtype=torch.float64)
        linear.bias.data = torch.as_tensor(b.copy(), dtype=torch.float64)
        layers += [linear, kinds.get(model.activation, torch.nn.Identity)()]
    return torch.nn.Sequential(*layers[:-1])


def _of_module(module, x, rates, readout):
    """Outputs by hooks; the kernel from the gradients of one output of one input at a time."""
    x, own = _inputs(module, x), {}
    for name, part in module.named_modules():
        if any(p.ndim > 1 for p in part.parameters(recurse=False)):
            own[name or type(part).__name__] = part
    outputs, taken, handles = {}, {}, []
    parts = dict(own)
    if readout is not None:
        _checks.one_of("readout", readout, tuple(dict(module.named_modules()))[1:])
        parts[readout] = module.get_submodule(readout)
    for name, part in parts.items():

        def keep(part, given, got, name=name):
            if name in own:
                outputs.setdefault(name, _array(got[0] if isinstance(got, tuple) else got))
            taken.setdefault(name, (given[0], _array(given[0])))

        handles.append(part.register_forward_hook(keep))
    try:
        with _evaluated(module):
            f = module(x)
            _check_layers(module, own, outputs, f)
            if readout is None:
                _check_readout(module, own, list(outputs)[-1], taken, f)
            kernel = _tangent_kernel(module, x, rates)
    finally:
        for handle in handles:
            handle.remove()
    if readout is not None and readout not in taken:
        raise ValueError(f"readout={readout!r} did not run")
    weights = {k: _array(next(p for p in own[k].parameters(False) if p.ndim > 1)) for k in outputs}
    features = taken[list(outputs)[-1] if readout is None else readout][1]
    moving = {k: _array(v) for k, v in module.named_buffers() if v.is_floating_point()}
    return _Look(outputs, weights, features, kernel, moving)


@contextlib.contextmanager
def _evaluated(module):
    """The module in `eval` mode; after it each part is in its own mode again."""
    modes = [(part, part.training) for part in module.modules()]
    try:
        yield module.eval()
    finally:
        for part, mode in modes:
            part.training = mode


def _check_layers(module, own, outputs, f):
    if not hasattr(f, "grad_fn"):
        raise TypeError(f"{type(module).__name__} gave a {type(f).__name__}; it must give a tensor")
    if len(outputs) < 2:
        raise TypeError(
            f"{type(module).__name__} ran through {len(outputs)} layers of weights; "
            "there must be at least two, the last of them the readout"
        )


def _check_readout(module, own, last, taken, f):
    """Raise unless all that changes the output feeds the last layer, or is its own."""
    import torch

    mine = {id(p) for p in own[last].parameters(recurse=False)}
    named = {
        k: p
        for k, p in module.named_parameters()
        if p.requires_grad and p.numel() > 1 and id(p) not in mine
    }

    def feeding(tensor):
        if not (named and tensor.requires_grad):
            return set()
        grads = torch.autograd.grad(
            tensor.sum(), list(named.values()), retain_graph=True, allow_unused=True
        )
        return {k for k, g in zip(named, grads, strict=True) if g is not None}

    past = feeding(f) - feeding(taken[last][0])
    if past:
        raise ValueError(
            f"{sorted(past)} change the output, but not what {last!r} takes, the last layer to run;"
            " name by readout= the part that takes the features (a parameter must be in a part)"
        )


def _array(tensor):
    return tensor.detach().cpu().double().numpy().copy()


def _inputs(module, x):
    """`x` in the precision of the module, on its device."""
    import torch

    weights = next(module.parameters(), None)
    if weights is None:
        raise TypeError(f"{type(module).__name__} has no parameters")
    x = x if isinstance(x, torch.Tensor) else torch.as_tensor(_checks.real_array("x", x))
    if x.ndim < 2 or len(x) == 0:
        raise ValueError(f"x has shape {tuple(x.shape)}; it must be (k, ...), with k >= 1 inputs")
    return x.to(weights.device, weights.dtype if x.is_floating_point() else None)


def _tangent_kernel(module, x, rates):
    """For each output the inner products of its gradients: shape (outputs, k, k)."""
    import torch

    named = dict(module.named_parameters())
    rates = dict.fromkeys(named, 1.0) if rates is None else dict(rates)
    for name, rate in rates.items():
        _checks.one_of("rates", name, tuple(named))
        _checks.real(f"rates[{name!r}]", rate, minimum=0)
    counted = [name for name, rate in rates.items() if rate and named[name].requires_grad]
    params = [named[name] for name in counted]
    if not counted:
        raise ValueError(f"rates={rates} count no parameter that requires a gradient")
    found = []
    for one in x:
        for f in module(one[None]).flatten():
            g = torch.autograd.grad(f, params, retain_graph=True, materialize_grads=True)
            found.append([v.flatten() for v in g])
    outputs, kernel = len(found) // len(x), 0.0
    for name, rows in zip(counted, zip(*found, strict=True), strict=True):
        rows = torch.stack(rows).reshape(len(x), outputs, -1).transpose(0, 1)
        kernel = kernel + rates[name] * _array(rows @ rows.transpose(1, 2))
    return np.asarray(kernel)


# --- against the width


@dataclasses.dataclass(frozen=True)
class CoordCheck:
    """What `coord_check` has found; printed, the powers, levels at each width and the verdict.

    Parameters
    ----------
    table : xarray.Dataset
        As from `movement`, over `width` and `seed`; and "loss_start" and "loss_end", the loss on
        all samples, of a module in `eval` mode; of scikit-learn's models that of the last pass.
    powers : pandas.DataFrame
        By quantity and layer: the fitted "power" of the width, and "low" and "high", 95 percent.
    verdict : str
        "lazy", "rich", "growing", "unstable" or "undecided".
    """

    table: xarray.Dataset
    powers: pandas.DataFrame
    verdict: str

    def __str__(self):
        rows = self.powers.loc[:, "power":].to_string(float_format="{:+.2f}".format)
        shown = [k for k in (*_WHOLE, *_LEVELS) if k in self.table]
        levels = self.table[shown].mean("seed").to_dataframe()[shown].T
        levels = levels.to_string(float_format="{:.3g}".format)
        return (
            f"powers of the width\n{rows}\n\nmean over seeds\n{levels}\n\nverdict: {self.verdict}"
        )


def coord_check(
    make: Callable[[int], Any],
    widths: Sequence[int],
    x: ArrayLike,
    y: ArrayLike,
    *,
    steps: int | None = None,
    rng: np.random.Generator,
    seeds: int = 3,
    loss: Callable[..., Any] | None = None,
    train: Callable[[Any, Any], Any] | None = None,
    readout: str | None = None,
    probes: int = 32,
    score: Callable[[Any], float] | None = None,
) -> CoordCheck:
    """Train a model at several widths, and fit how what moves goes with the width.

    Parameters
    ----------
    make : callable
        ``make(width)``: a new torch.nn.Module with its optimiser, or with the step size of gradient
        descent; or an `MLPRegressor` or `MLPClassifier`. torch's generator is seeded before,
        `random_state` after.
    widths : sequence of int
        Three or more, ascending; a factor of 16 between the ends is little.
    x : array_like, shape (n, ...)
    y : array_like, shape (n,), or as the outputs
        Whole numbers stay so where there is a `loss`: class labels.
    steps : int
        Of the optimiser, each on all samples; of scikit-learn's, passes in its own batches.
    rng : numpy.random.Generator
    seeds : int
        >= 2: models a width.
    loss : callable, optional
        ``loss(outputs, y)`` of tensors, for modules; without it the mean square.
    train : callable, optional
        ``train(model, optimiser)`` in place of `steps`: a loop of your own, with its batches and
        schedule. The optimiser's step sizes are looked at before.
    readout : str, optional
        As for `movement`.
    probes : int
        Rows of `x` on which outputs and kernels are compared: the first ones.
    score : callable, optional
        Of the trained model; kept as "score" in the table.

    Returns
    -------
    CoordCheck

    Notes
    -----
    Movement is that of `movement`, with the optimiser's step sizes as `rates`. A power is the slope
    of a line through all logarithms. The verdict asks "features" and "kernel". In a wide network of
    two layers neither depends on the width in mean-field scaling; in NTK scaling features go as
    width^(-1/2), for a neuron's share of the output is of that order, and the kernel as width^(-1),
    a mean over neurons of moves of random sign, or with kinks as width^(-3/4). So "lazy" is: both
    intervals are below -1/4; "rich": both are between -1/4 and 1/4; "growing": one is above;
    "unstable", before all else: numbers are not finite, or at some width the loss ends above its
    start, or less than a tenth of the features is left (ReLUs that have died have moved, too); else
    "undecided". To plot sizes against width is the idea of Yang et al. 2021, who look at
    activations.

    Examples
    --------
    >>> import torch
    >>> def make(width):
    ...     model = torch.nn.Sequential(
    ...         torch.nn.Linear(3, width), torch.nn.Tanh(), torch.nn.Linear(width, 1)
    ...     )
    ...     return model, 1 / width
    >>> rng = np.random.default_rng(0)
    >>> x = rng.standard_normal((30, 3))
    >>> coord_check(make, [16, 64, 256], x, x[:, 0], steps=5, rng=rng).verdict
    'lazy'
    """
    import xarray

    widths = [_checks.positive_int("widths", width) for width in widths]
    if len(widths) < 3 or widths != sorted(set(widths)):
        raise ValueError(f"widths={widths} must be three or more, ascending")
    if (steps is None) == (train is None):
        raise TypeError(f"steps={steps!r} and train={train!r}: give one of them")
    steps = None if steps is None else _checks.positive_int("steps", steps)
    probes = _checks.positive_int("probes", probes)
    seeds = _checks.integer("seeds", seeds, 2)
    x = _checks.real_array("x", x)
    y = np.asarray(y) if np.asarray(y).dtype.kind in "iu" else _checks.real_array("y", y)
    _checks.same_length("x", x, "y", y)
    states = _checks.generator(rng).integers(2**31, size=(len(widths), seeds))
    how = _How(steps, loss, train, readout, x[:probes], score)
    rows = []
    for width, row in zip(widths, states.tolist(), strict=True):
        runs = [_run(make, width, state, x, y, how) for state in row]
        rows.append(xarray.concat(runs, "seed"))
    table = xarray.concat(rows, xarray.IndexVariable("width", widths))
    powers = _powers(table.drop_vars(_LEVELS[1:], errors="ignore"))
    return CoordCheck(table, powers, _verdict(table, powers))


class _How(NamedTuple):
    """Settings of `coord_check` that are the same for all models."""

    steps: int | None
    loss: Callable[..., Any] | None
    train: Callable[[Any, Any], Any] | None
    readout: str | None
    probe: np.ndarray
    score: Callable[[Any], float] | None


def _run(make, width, state, x, y, how):
    """One model at one width, at its start and trained, compared."""
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(state)
        made = make(width)
        model, optimiser = made if isinstance(made, tuple) else (made, None)
        if isinstance(model, torch.nn.Module):
            found = _run_module(model, _optimiser(model, optimiser, width), x, y, how)
        elif hasattr(model, "hidden_layer_sizes"):
            if how.train is not None:
                raise TypeError(
                    f"train is for modules; make({width}) gave a {type(model).__name__}"
                )
            start, model = _fit_regressor(model, x, y, how.steps, state)
            found = movement(start, model, how.probe)
            found = found.assign(loss_start=start.loss_, loss_end=model.loss_)
        else:
            raise TypeError(
                f"make({width}) gave a {type(model).__name__}; it must give a torch.nn.Module with "
                "its optimiser or step size, or an MLPRegressor or MLPClassifier"
            )
    return found if how.score is None else found.assign(score=float(how.score(model)))


def _run_module(model, optimiser, x, y, how):
    given = model, how.probe, _rates(model, optimiser), how.readout
    before, value = _look("make(width)", *given), _objective(model, x, y, how.loss)
    first = _level(model, value)
    if how.train is None:
        _descend(model, optimiser, value, how.steps)
    else:
        how.train(model, optimiser)
    found = _compare(before, _look("make(width)", *given))
    return found.assign(loss_start=first, loss_end=_level(model, value))


def _optimiser(model, optimiser, width):
    import torch

    if optimiser is None:
        raise TypeError(
            f"make({width}) gave a {type(model).__name__} alone; a module comes with its optimiser "
            "or its step size, as a tuple"
        )
    if not isinstance(optimiser, torch.optim.Optimizer):
        eta = _checks.real("the step size beside the module", optimiser, minimum=0, strict=True)
        return torch.optim.SGD(model.parameters(), lr=eta)
    if not _rates(model, optimiser):
        raise ValueError(f"the optimiser that make({width}) gave holds no parameter of its module")
    return optimiser


def _rates(model, optimiser):
    """The step sizes of the optimiser, by the names of the parameters."""
    rates = {id(p): group["lr"] for group in optimiser.param_groups for p in group["params"]}
    return {k: float(rates[id(p)]) for k, p in model.named_parameters() if id(p) in rates}


def _objective(model, x, y, loss):
    """The loss of the model on all samples, to be called; it must compare like with like."""
    import torch

    x, y = _inputs(model, x), torch.as_tensor(y)
    labels = loss is not None and not y.is_floating_point()
    y = y.to(x.device, torch.long if labels else next(model.parameters()).dtype)

    def value():
        outputs = model(x)
        if outputs.ndim == y.ndim + 1 and outputs.shape[-1] == 1:
            outputs = outputs[..., 0]
        same = outputs.shape == y.shape
        if not (same or labels) and (loss is None or outputs.numel() == y.numel()):
            shapes = tuple(y.shape), tuple(outputs.shape)
            raise ValueError(
                f"y has shape {shapes[0]}; it must be that of the outputs, {shapes[1]}"
            )
        return (loss or torch.nn.functional.mse_loss)(outputs, y)

    return value


def _level(model, value):
    import torch

    with _evaluated(model), torch.no_grad():
        return float(value())


def _descend(model, optimiser, value, steps):
    def closure():
        optimiser.zero_grad()
        loss = value()
        loss.backward()
        return loss

    model.train()
    for _ in range(steps):
        optimiser.step(closure)


def untrained(model: Any, x: ArrayLike, y: ArrayLike) -> Any:
    """An `MLPRegressor` or `MLPClassifier` at the start of its own `fit`, to compare with its end.

    Parameters
    ----------
    model : MLPRegressor or MLPClassifier
        Left as it is; its `random_state` must be an integer, or its `fit` starts elsewhere.
    x : array_like, shape (n, d)
    y : array_like, shape (n,) or (n, outputs)
        As for its `fit`.

    Returns
    -------
    MLPRegressor or MLPClassifier
        Fitted by a pass of no length: its weights are those of the start.

    Examples
    --------
    >>> from sklearn.neural_network import MLPRegressor
    >>> x, y = np.eye(3), np.array([1.0, -1.0, 0.0])
    >>> model = MLPRegressor(hidden_layer_sizes=(4,), random_state=0, tol=1.0)
    >>> moved = movement(untrained(model, x, y), model.fit(x, y), x)
    >>> bool(moved.features > 0)
    True
    """
    from sklearn.base import clone
    from sklearn.exceptions import ConvergenceWarning

    if not hasattr(model, "hidden_layer_sizes"):
        raise TypeError(f"model={model!r} must be an MLPRegressor or MLPClassifier")
    _checks.integer("random_state", model.random_state, 0)
    still = {"solver": "sgd", "learning_rate_init": 1e-300, "early_stopping": False, "max_iter": 1}
    start = clone(model).set_params(**still)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        start.fit(x, y)
    return start.set_params(**model.get_params())


def _fit_regressor(model, x, y, steps, state):
    """A regressor, or a classifier, at its start, and after passes of its own."""
    from sklearn.base import clone
    from sklearn.exceptions import ConvergenceWarning

    if model.early_stopping:
        raise ValueError("early_stopping=True must be False: all models take the same passes")
    start = untrained(clone(model).set_params(random_state=state), x, y)
    end = copy.deepcopy(start).set_params(warm_start=True, max_iter=steps)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        end.fit(x, y)
    return start, end


def _powers(table):
    """The slope of each quantity in logarithms, with its interval."""
    import pandas
    from scipy import stats

    rows = {}
    for name, values in table.data_vars.items():
        layers = values.layer.values.tolist() if "layer" in values.dims else [""]
        for layer in layers:
            v = values.sel(layer=layer) if layer else values
            v = v.transpose("width", "seed").values
            size = np.repeat(np.log(table.width.values), v.shape[1])
            if not (np.isfinite(v) & (v > 0)).all():
                rows[name, layer] = [np.nan] * 3
                continue
            fit = stats.linregress(size, np.log(v.ravel()))
            half = stats.t.ppf(0.975, v.size - 2) * fit.stderr
            rows[name, layer] = [fit.slope, fit.slope - half, fit.slope + half]
    index = pandas.MultiIndex.from_tuples(rows, names=["quantity", "layer"])
    return pandas.DataFrame(list(rows.values()), index, ["power", "low", "high"])


def _verdict(table, powers):
    numbers = table[[*_WHOLE, "loss_start", "loss_end"]]
    finite = np.isfinite(numbers.to_array()).all()
    mean = table.mean("seed")
    rises = mean.loss_end > mean.loss_start + _RISE * abs(mean.loss_start)
    if not finite or rises.any() or (mean.left < _ALIVE).any():
        return "unstable"
    if not table[list(_WHOLE)].to_array().any():  # not by a rounding
        return "lazy"
    low, high = (powers.loc[[(k, "") for k in _WHOLE], end] for end in ("low", "high"))
    if (high < -_MIDWAY).all():
        return "lazy"
    if (low > _MIDWAY).any():
        return "growing"
    return "rich" if ((low > -_MIDWAY) & (high < _MIDWAY)).all() else "undecided"
