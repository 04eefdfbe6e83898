"""How two-layer networks learn features by gradient descent.

Rooms: `hermite`, `activations`, `data`, `kernels`; `network`, `gradients`, `descent`, `ridge`,
`estimators`, `pruning`, `measures`; `theory` predicts, `simulation` measures, each with a module a
chapter; `lab` holds what a chapter works with. Each loads when it is first used.

NumPy arrays go in and come out. Randomness comes in as a `numpy.random.Generator`. Arguments are
checked before any work: a wrong type or dtype gives TypeError, a wrong shape, a number out of its
range, an unknown name or an entry that is not finite gives ValueError; each names argument, value
and what is allowed. Docstrings name only errors and warnings beyond these.
"""

import importlib

from . import _renamed

__all__ = [
    "activations",
    "data",
    "descent",
    "estimators",
    "gradients",
    "hermite",
    "kernels",
    "lab",
    "measures",
    "network",
    "pruning",
    "ridge",
    "simulation",
    "theory",
]


def __getattr__(name: str):
    if name in __all__:
        return importlib.import_module(f"twolayer.{name}")
    if name == "__version__":
        from importlib.metadata import version

        return version("twolayer")
    return _old_names(name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__, "__version__"])


_old_names = _renamed.names_of(__name__)
_renamed.keep_modules()
