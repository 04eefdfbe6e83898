"""Checks of arguments: each raises before any work, naming argument, value and what is allowed."""

import math
import numbers

import numpy as np


def positive_int(name, value):
    """Return `value` as an int, or raise unless it is a positive integer."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise TypeError(f"{name}={value!r} must be a positive integer")
    if value < 1:
        raise ValueError(f"{name}={value!r} must be a positive integer")
    return int(value)


def integer(name, value, minimum, maximum=math.inf):
    """Return `value` as an int, or raise unless it is an integer between the two bounds."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise TypeError(f"{name}={value!r} must be an integer")
    if not minimum <= value <= maximum:
        bound = f">= {minimum}" if maximum == math.inf else f"between {minimum} and {maximum}"
        raise ValueError(f"{name}={value!r} must be an integer {bound}")
    return int(value)


def real(name, value, *, minimum=-math.inf, strict=False):
    """Return `value` as a float, or raise unless it is finite and at least `minimum`."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(f"{name}={value!r} must be a real number")
    if not math.isfinite(value) or value < minimum or (strict and value == minimum):
        bound = "" if minimum == -math.inf else f" and {'>' if strict else '>='} {minimum:g}"
        raise ValueError(f"{name}={value!r} must be finite{bound}")
    return float(value)


def real_array(name, value, *, minimum=-math.inf, strict=False):
    """Return `value` as a float64 array, or raise unless every entry is finite and large enough."""
    array = np.asarray(value)
    if not (np.issubdtype(array.dtype, np.floating) or np.issubdtype(array.dtype, np.integer)):
        raise TypeError(f"{name} must hold real numbers, got dtype {array.dtype}")
    array = array.astype(float)
    bad = ~np.isfinite(array) | (array <= minimum if strict else array < minimum)
    if bad.any():
        bound = "" if minimum == -math.inf else f" and {'>' if strict else '>='} {minimum:g}"
        raise ValueError(f"{name} must be finite{bound}, got {array[bad].flat[0]}")
    return array


def one_of(name, value, allowed):
    """Return `value`, or raise unless it is one of `allowed`."""
    if value not in allowed:
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
        value = np.array(value)  # a copy: torch cannot share memory that is read-only
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

    if not isinstance(value, torch.Tensor):
        array = np.asarray(value)  # torch cannot share memory that is read-only
        value = torch.as_tensor(array if array.flags.writeable else array.copy())
    out = value
    if out.is_complex() or out.dtype == torch.bool:
        raise TypeError(f"{name} must hold real numbers, got dtype {out.dtype}")
    if dtype is not None or not out.is_floating_point():
        out = out.to(dtype or torch.float64)
    if device is not None:
        out = out.to(device)
    if out.ndim != ndim:
        raise ValueError(f"{name} has shape {tuple(out.shape)}; it must have {ndim} axes")
    # a finite sum has finite terms, and costs a tenth of looking at each
    if not torch.isfinite(out.detach().sum()) and not torch.isfinite(out).all():
        raise ValueError(f"{name} holds non-finite values; every entry must be finite")
    return out


def same_length(name_x, x, name_y, y):
    """Raise unless `x` and `y` have the same, positive number of rows."""
    if len(x) != len(y) or len(x) == 0:
        raise ValueError(
            f"{name_x} has {len(x)} rows and {name_y} has {len(y)}; "
            "they must have the same number, at least one"
        )
