"""Checks of arguments: each raises before any work, naming argument, value and what is allowed."""

import math
import numbers
import warnings

import numpy as np

_LARGEST = 1e50  # of a setting: its powers stay in range


def positive_int(name, value):
    """Return `value` as an int, or raise unless it is a positive integer."""
    number = _scalar(value)
    if isinstance(number, bool) or not isinstance(number, numbers.Integral):
        raise TypeError(f"{name}={value!r} must be a positive integer")
    if number < 1:
        raise ValueError(f"{name}={value!r} must be a positive integer")
    return int(number)


def integer(name, value, minimum, maximum=math.inf):
    """Return `value` as an int, or raise unless it is an integer between the two bounds."""
    number = _scalar(value)
    if isinstance(number, bool) or not isinstance(number, numbers.Integral):
        raise TypeError(f"{name}={value!r} must be an integer")
    if not minimum <= number <= maximum:
        bound = f">= {minimum}" if maximum == math.inf else f"between {minimum} and {maximum}"
        raise ValueError(f"{name}={value!r} must be an integer {bound}")
    return int(number)


def real(name, value, *, minimum=-math.inf, strict=False, largest=_LARGEST):
    """Return `value` as a float, or raise unless it is finite and from `minimum` to `largest`."""
    number = _scalar(value)
    if isinstance(number, bool) or not isinstance(number, numbers.Real):
        raise TypeError(f"{name}={value!r} must be a real number")
    if not math.isfinite(number) or number < minimum or (strict and number == minimum):
        raise ValueError(f"{name}={value!r} must be finite{_bound(minimum, strict)}")
    if abs(number) > largest:
        raise ValueError(f"{name}={value!r} must be at most {largest:g} in size")
    return float(number)


def _scalar(value):
    """The Python number in an array or a tensor without axes, and in a NumPy number."""
    return value.item() if getattr(value, "ndim", None) == 0 else value


def _bound(minimum, strict):
    return "" if minimum == -math.inf else f" and {'>' if strict else '>='} {minimum:g}"


def array(name, value):
    """Return anything like an array as a NumPy array in single or double precision, or raise.

    Tensors count, with gradients or without, on any device; data frames too, and lists of either.
    The array may share the memory of `value`.
    """
    if hasattr(value, "detach"):
        value = value.detach().cpu()
        value = value.float() if "bfloat16" in str(value.dtype) else value  # NumPy has none
    try:
        out = np.asarray(value)
    except (TypeError, ValueError, RuntimeError) as error:  # ragged, or tensors in a list
        if isinstance(value, (list, tuple)) and any(hasattr(v, "detach") for v in value):
            return array(name, [array(name, v) for v in value])
        raise TypeError(f"{name} cannot be read as an array of numbers: {error}") from None
    if out.dtype == object and all(_is_real(v) for v in out.flat):  # of a data frame, say
        out = out.astype(float)
    if out.dtype.kind not in "fiu":
        raise TypeError(f"{name} must hold real numbers, got dtype {out.dtype}")
    return out if out.dtype in (np.float32, np.float64) else out.astype(float)


def _is_real(value):
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


def real_array(name, value, ndim=None, *, minimum=-math.inf, strict=False, dtype=float, copy=True):
    """Return anything like an array (see `array`) as a float array, or raise.

    Every entry must be finite and large enough, and the number of axes `ndim`, where it is given.
    A `dtype` of None keeps single and double precision. Without `copy` memory may be shared.
    """
    out = array(name, value)
    out = out.astype(dtype or out.dtype, copy=copy)
    if ndim is not None and out.ndim != ndim:
        raise ValueError(f"{name} has shape {out.shape}; it must have {ndim} axes")
    with np.errstate(over="ignore", invalid="ignore"):
        finite = math.isfinite(out.sum())  # finite terms: a tenth of the price of each look
    if not finite or minimum > -math.inf:
        bad = ~np.isfinite(out) | (out <= minimum if strict else out < minimum)
        if bad.any():
            bound = _bound(minimum, strict)
            raise ValueError(f"{name} must be finite{bound}, got {out[bad].flat[0]}")
    return out


def instance(name, value, *kinds):
    """Return `value`, or raise unless it is of one of these classes."""
    if not isinstance(value, kinds):
        allowed = " or a ".join(kind.__name__ for kind in kinds)
        raise TypeError(f"{name}={value!r} must be a {allowed}")
    return value


def one_network(name, value):
    """Return `value`, or raise unless it is one `twolayer.network.TwoLayer`, no stack."""
    if not hasattr(value, "preactivations"):  # its class comes with torch
        raise TypeError(f"{name}={value!r} must be a TwoLayer")
    if value.shape:
        raise ValueError(f"{name} is a stack of shape {value.shape}; give one of them")
    return value


def link(name, value):
    """Return a name or a callable; Hermite coefficients as a tuple, which a cache can keep."""
    if isinstance(value, str) or callable(value):
        return value
    return tuple(real_array(name, value, 1).tolist())


def one_of(name, value, allowed):
    """Return `value`, or raise unless it is one of `allowed`."""
    if isinstance(value, np.ndarray) or value not in allowed:
        raise ValueError(f"{name}={value!r} is unknown; allowed: {', '.join(map(repr, allowed))}")
    return value


def generator(rng):
    """Return `rng`, or raise unless it is a numpy Generator."""
    if not isinstance(rng, np.random.Generator):
        raise TypeError(
            f"rng={rng!r} must be a numpy.random.Generator, see numpy.random.default_rng"
        )
    return rng


def generators(name, value, count):
    """Return `value` as a list, or raise unless it holds `count` numpy Generators."""
    rngs = [generator(rng) for rng in value]
    if len(rngs) != count:
        raise ValueError(f"{name} holds {len(rngs)} generators; it must hold {count}")
    return rngs


def signs(name, value, count):
    """Return `value` as a float64 array, or raise unless it is `count` numbers, each -1 or 1."""
    array = real_array(name, value)
    if array.shape != (count,) or not np.isin(array, (-1, 1)).all():
        raise ValueError(f"{name}={array} must be {count} numbers, each -1 or 1")
    return array


def masks(name, value, shape, device):
    """Return `value` as a boolean tensor of this shape (..., m, d), or raise if a mask is empty."""
    import torch  # here: what needs no tensor loads without it

    if not isinstance(value, torch.Tensor):
        value = np.array(value, order="C")  # a copy: torch shares no memory that is read-only
    value = torch.as_tensor(value, device=device)
    if value.shape != shape:
        raise ValueError(f"{name} has shape {tuple(value.shape)}; it must be {tuple(shape)}")
    if not ((value == 0) | (value == 1)).all():
        raise ValueError(f"{name} must hold booleans, or zeros and ones")
    if not value.any(-1).any(-1).all():
        raise ValueError(f"{name} holds an empty ticket: each must keep at least one weight")
    return value.bool()


def tensor(name, value, ndim, *, dtype=None, device=None):
    """Return `value` as a finite torch tensor with `ndim` axes, or raise."""
    import torch  # here: what needs no tensor loads without it

    out = value
    if not isinstance(out, torch.Tensor):
        source = array(name, value)
        shared = source.flags.writeable and min(source.strides, default=0) >= 0
        out = torch.as_tensor(source if shared else source.copy())
    if out.is_complex() or out.dtype == torch.bool:
        raise TypeError(f"{name} must hold real numbers, got dtype {out.dtype}")
    if dtype is not None or not out.is_floating_point():
        out = out.to(dtype or torch.float64)
    if device is not None:
        out = out.to(device)
    if out.ndim != ndim:
        raise ValueError(f"{name} has shape {tuple(out.shape)}; it must have {ndim} axes")
    # a finite sum has finite terms, and costs a tenth of looking at each; vmap hides the values
    hidden = torch._C._functorch.is_batchedtensor(out)
    if not hidden and not torch.isfinite(out.detach().sum()) and not torch.isfinite(out).all():
        raise ValueError(f"{name} holds non-finite values; every entry must be finite")
    return out


def broadcast(**arrays):
    """The arrays at their common shape, or raise where they have none."""
    try:
        return np.broadcast_arrays(*arrays.values())
    except ValueError:
        shapes = ", ".join(f"{name} has shape {np.shape(v)}" for name, v in arrays.items())
        raise ValueError(f"{shapes}; they must broadcast") from None


def same_length(name_x, x, name_y, y):
    """Raise unless `x` and `y` have the same, positive number of rows."""
    if len(x) != len(y) or len(x) == 0:
        raise ValueError(
            f"{name_x} has {len(x)} rows and {name_y} has {len(y)}; "
            "they must have the same number, at least one"
        )


def warn_convergence(message, stacklevel=3):
    """Warn with scikit-learn's `ConvergenceWarning`, which is loaded only when it is needed."""
    from sklearn.exceptions import ConvergenceWarning

    warnings.warn(message, ConvergenceWarning, stacklevel=stacklevel)
