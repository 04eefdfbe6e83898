"""Is a network lazy? What training moves, measured, and how that goes with the width.

For models that are not the book's: any `torch.nn.Module`, and scikit-learn's `MLPRegressor`.
"""

from __future__ import annotations

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

__all__ = ["CoordCheck", "coord_check", "movement"]

_MODELS = "it must be a torch.nn.Module, a fitted MLPRegressor or a TwoLayer"
_MIDWAY = 0.25  # between no power of the width, and the power -1/2
_ALIVE = 0.1  # of the features


class _Look(NamedTuple):
    """A model at one moment, on some inputs."""

    outputs: dict[str, np.ndarray]  # of each layer of weights, (k, ...)
    weights: dict[str, np.ndarray]
    features: np.ndarray  # what the last of them, the readout, takes
    kernel: np.ndarray


def movement(
    start: Any, end: Any, x: ArrayLike, *, rates: Mapping[str, float] | None = None
) -> xarray.Dataset:
    """How far training has moved a model: its layers, its features and its tangent kernel.

    Parameters
    ----------
    start, end : torch.nn.Module, fitted MLPRegressor, or TwoLayer
        Before training (``copy.deepcopy`` keeps it) and after; at least two layers of weights.
    x : array_like, shape (k, ...)
        Inputs on which outputs are compared; a few dozen will do.
    rates : dict of str to float, optional
        Weights of the parameters in the tangent kernel, by their names (of a TwoLayer W, b, a): one
        that is left out does not count. With the step sizes of gradient descent it is the kernel
        that the descent follows. All are 1 without it.

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
    looked at in `eval` mode.

    Examples
    --------
    >>> start = TwoLayer([[1.0, 0.0]], [2.0], "relu")
    >>> moved = movement(start, start.with_weights([[1.5, 0.0]]), [[3.0, 1.0]])
    >>> float(moved.features), moved.change.values  # relu(3) to relu(4.5), read out by 2
    (0.5, array([1.5, 3. ]))
    """
    return _compare(_look("start", start, x, rates), _look("end", end, x, rates))


def _compare(start, end):
    import xarray

    if start.weights.keys() != end.weights.keys():
        raise ValueError(f"end has layers {list(end.weights)}; start has {list(start.weights)}")
    layers = list(start.weights)
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


def _rms(values):
    return float(np.sqrt(np.mean(np.square(values, dtype=float))))


def _ratio(start, end):
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(np.linalg.norm(end - start) / np.linalg.norm(start))


# --- what is looked at


def _look(name, model, x, rates):
    if isinstance(model, TwoLayer):
        return _of_two_layers(model, x, rates)
    return _of_module(_module(name, model), x, rates)


def _of_two_layers(network, x, rates):
    """A network of the book; preactivations and output are those of its two layers."""
    outputs = {"W": network.preactivations(x), "a": network(x)}
    weights = {"W": network.W, "a": network.a}
    features = network.activation(outputs["W"])
    return _Look(outputs, weights, features, empirical_ntk(network, rates)(x))


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


def _of_module(module, x, rates):
    """Outputs by hooks; the kernel from the gradients of one output of one input at a time."""
    x = _inputs(module, x)
    training, own = module.training, {}
    for name, part in module.named_modules():
        if any(p.ndim > 1 for p in part.parameters(recurse=False)):
            own[name or type(part).__name__] = part
    outputs, taken, handles = {}, {}, []
    for name, part in own.items():

        def keep(part, given, got, name=name):
            outputs.setdefault(name, _array(got[0] if isinstance(got, tuple) else got))
            taken.setdefault(name, _array(given[0]))

        handles.append(part.register_forward_hook(keep))
    try:
        module.eval()(x)
        kernel = _tangent_kernel(module, x, rates) if len(outputs) > 1 else None
    finally:
        module.train(training)
        for handle in handles:
            handle.remove()
    if kernel is None:
        raise TypeError(
            f"{type(module).__name__} ran through {len(outputs)} layers of weights; "
            "there must be at least two, the last of them the readout"
        )
    weights = {k: _array(next(p for p in own[k].parameters(False) if p.ndim > 1)) for k in outputs}
    return _Look(outputs, weights, list(taken.values())[-1], kernel)


def _array(tensor):
    return tensor.detach().cpu().double().numpy().copy()


def _inputs(module, x):
    """`x` in the precision of the module, on its device."""
    import torch

    weights = next(module.parameters(), None)
    if weights is None:
        raise TypeError(f"{type(module).__name__} has no parameters")
    x = x if isinstance(x, torch.Tensor) else torch.as_tensor(_checks.real_array("x", x))
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
    """What `coord_check` has found; printed, the powers and the verdict.

    Parameters
    ----------
    table : xarray.Dataset
        As from `movement`, over `width` and `seed`.
    powers : pandas.DataFrame
        By quantity and layer: the fitted "power" of the width, and "low" and "high", 95 percent.
    verdict : str
        "lazy", "rich", "unstable" or "undecided".
    """

    table: xarray.Dataset
    powers: pandas.DataFrame
    verdict: str

    def __str__(self):
        rows = self.powers.loc[:, "power":].to_string(float_format="{:+.2f}".format)
        return f"powers of the width\n{rows}\nverdict: {self.verdict}"


def coord_check(
    make: Callable[[int], Any],
    widths: Sequence[int],
    x: ArrayLike,
    y: ArrayLike,
    *,
    steps: int,
    rng: np.random.Generator,
    seeds: int = 3,
    loss: Callable[..., Any] | None = None,
    probes: int = 32,
    score: Callable[[Any], float] | None = None,
) -> CoordCheck:
    """Train a model at several widths, and fit how what moves goes with the width.

    Parameters
    ----------
    make : callable
        ``make(width)``: a new torch.nn.Module with its optimiser, or with the step size of gradient
        descent; or an `MLPRegressor`. torch's generator is seeded before, `random_state` after.
    widths : sequence of int
        Three or more, ascending; a factor of 16 between the ends is little.
    x : array_like, shape (n, ...)
    y : array_like, shape (n,), or as the outputs
        Whole numbers stay so: class labels.
    steps : int
        Of the optimiser, each on all samples; of an MLPRegressor, passes in its own batches.
    rng : numpy.random.Generator
    seeds : int
        >= 2: models a width.
    loss : callable, optional
        ``loss(outputs, y)`` of tensors, for modules; without it the mean square.
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
    intervals are below -1/4; "rich": both are between -1/4 and 1/4; "unstable": one is above,
    numbers are not finite, or at some width less than a tenth of the features is left (ReLUs that
    have died have moved, too); else "undecided". To plot sizes against width is the idea of Yang et
    al. 2021, who look at activations.

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
    steps, probes = _checks.positive_int("steps", steps), _checks.positive_int("probes", probes)
    seeds = _checks.integer("seeds", seeds, 2)
    x = _checks.real_array("x", x)
    y = np.asarray(y) if np.asarray(y).dtype.kind in "iu" else _checks.real_array("y", y)
    _checks.same_length("x", x, "y", y)
    states = _checks.generator(rng).integers(2**31, size=(len(widths), seeds))
    rows = []
    for width, row in zip(widths, states.tolist(), strict=True):
        runs = [_run(make, width, state, x, y, steps, loss, x[:probes], score) for state in row]
        rows.append(xarray.concat(runs, "seed"))
    table = xarray.concat(rows, xarray.IndexVariable("width", widths))
    powers = _powers(table.drop_vars("score", errors="ignore"))
    return CoordCheck(table, powers, _verdict(table, powers))


def _run(make, width, state, x, y, steps, loss, probe, score):
    """One model at one width, at its start and trained, compared."""
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(state)
        made = make(width)
        model, optimiser = made if isinstance(made, tuple) else (made, None)
        if hasattr(model, "hidden_layer_sizes"):
            start, model = _fit_regressor(model, x, y, steps, state)
            found = movement(start, model, probe)
        elif isinstance(model, torch.nn.Module):
            optimiser = _optimiser(model, optimiser)
            rates = _rates(model, optimiser)
            before = _look("make(width)", model, probe, rates)
            _descend(model, optimiser, x, y, steps, loss)
            found = _compare(before, _look("make(width)", model, probe, rates))
        else:
            raise TypeError(
                f"make({width}) gave a {type(model).__name__}; it must give a torch.nn.Module with "
                "its optimiser or step size, or an MLPRegressor"
            )
    return found if score is None else found.assign(score=float(score(model)))


def _optimiser(model, optimiser):
    import torch

    if isinstance(optimiser, torch.optim.Optimizer):
        return optimiser
    eta = _checks.real("the step size beside the module", optimiser, minimum=0, strict=True)
    return torch.optim.SGD(model.parameters(), lr=eta)


def _rates(model, optimiser):
    """The step sizes of the optimiser, by the names of the parameters."""
    rates = {id(p): group["lr"] for group in optimiser.param_groups for p in group["params"]}
    return {k: float(rates[id(p)]) for k, p in model.named_parameters() if id(p) in rates}


def _descend(model, optimiser, x, y, steps, loss):
    import torch

    loss = torch.nn.functional.mse_loss if loss is None else loss
    x = _inputs(model, x)
    y = torch.as_tensor(y, device=x.device)
    y = y.to(next(model.parameters()).dtype) if y.is_floating_point() else y.long()
    model.train()
    for _ in range(steps):
        optimiser.zero_grad()
        outputs = model(x)
        if outputs.ndim == y.ndim + 1 and outputs.shape[-1] == 1:
            outputs = outputs[..., 0]
        loss(outputs, y).backward()
        optimiser.step()


def _fit_regressor(model, x, y, steps, state):
    """An MLPRegressor at its start, by a pass of no length, and after passes of its own."""
    from sklearn.base import clone
    from sklearn.exceptions import ConvergenceWarning

    settings = {"random_state": state, "warm_start": True, "max_iter": steps}
    still = {"solver": "sgd", "learning_rate_init": 1e-300, "early_stopping": False, "max_iter": 1}
    start = clone(model).set_params(**settings | still)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        start.fit(x, y)
        end = copy.deepcopy(start).set_params(**model.get_params() | settings)
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
    both = table[list(_WHOLE)].to_array()
    if not np.isfinite(both).all() or (table.left.mean("seed") < _ALIVE).any():
        return "unstable"
    if not both.any():  # not by a rounding
        return "lazy"
    low, high = (powers.loc[[(k, "") for k in _WHOLE], end] for end in ("low", "high"))
    if (high < -_MIDWAY).all():
        return "lazy"
    if (low > _MIDWAY).any():
        return "unstable"
    return "rich" if ((low > -_MIDWAY) & (high < _MIDWAY)).all() else "undecided"
