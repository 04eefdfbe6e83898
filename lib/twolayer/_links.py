"""A function under quadrature: where the rule is split, and whether that is enough."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from twolayer.activations import Activation
from twolayer.data import as_link
from twolayer.hermite import nodes

_PANELS = tuple(np.arange(-11.0, 12.0))  # for a function of which nothing is known
_SHIFTED = tuple(np.arange(-11.5, 12.0))

Rule = tuple[np.ndarray, np.ndarray]


def rules(function: Any) -> tuple[Rule, Rule]:
    """Two rules (nodes and weights) for averages over a link: one to use, one that has to agree.

    Split at the kinks that an `Activation` declares, in panels of width 1 where nothing is known.
    """
    f = as_link(function)
    if callable(function) and not isinstance(f, Activation):
        return _pair(_PANELS, _SHIFTED, 60)
    kinks = tuple(getattr(f, "kinks", ()))
    return _pair(kinks, kinks, 150)


@functools.lru_cache(maxsize=256)
def _pair(kinks, others, n_nodes):
    return nodes(kinks, 200), nodes(others, n_nodes)


def quadrature(name: str, function: Any) -> Rule:
    """The rule for averages over a link, or an error where it does not converge."""
    rule, other = rules(function)
    if not agree(as_link(function), rule, other):
        raise ValueError(
            f"{name}={function!r}: quadrature does not converge; where the {name} jumps or bends, "
            "give it as an Activation with its kinks"
        )
    return rule


def agree(f: Any, rule: Rule, other: Rule, tolerance: float = 1e-4) -> bool:
    """Whether two rules give the same E[y^2] and E[y z] for y = f(z)."""
    one, two = (_moments(f, *nodes_and_weights) for nodes_and_weights in (rule, other))
    size = np.array([two[0], np.sqrt(two[0])])
    return bool(np.all(abs(one - two) <= tolerance * size))


def _moments(f, z, w):
    y = np.asarray(f(z), dtype=float)
    return np.array([y**2 @ w, y * z @ w])
