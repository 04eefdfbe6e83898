"""Seconds of `relu_ntk` and of Neural Tangents; run by foundations.py, in their environment."""

import sys

import numpy as np
from table import close, race

from twolayer.kernels import relu_ntk

try:
    import jax
    from neural_tangents import stax
except ImportError:
    sys.exit(3)


def main(n=4000, d=100):
    """Print both."""
    jax.config.update("jax_enable_x64", True)
    network = stax.serial(stax.Dense(1), stax.Relu(), stax.Dense(1))
    compiled = jax.jit(network[2], static_argnums=2)
    x = np.random.default_rng(0).standard_normal((n, d))

    def theirs():
        return np.asarray(compiled(x, None, "ntk"))

    close("Neural Tangents", theirs(), relu_ntk(x), 1e-8)  # also compiles
    print(*race(lambda: relu_ntk(x), theirs))


if __name__ == "__main__":
    main()
