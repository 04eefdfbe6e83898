"""The coordinate check against that of mup, by the authors of the idea, where it is installed.

It is no dependency of the book: ``pip install mup==1.0.0`` in an environment beside the book's
packages. Both train the same networks by the same optimisers on one batch. mup records the sizes of
activations as they are before a step: at its time 1 our "activation", a step after our last our
"after". What it has not is the change, the weights and the kernel.
"""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch import nn

from twolayer.coordinates import coord_check

mup = pytest.importorskip(
    "mup", reason="mup cannot be imported (optional: see the head of this file)"
)
from mup.coord_check import get_coord_data  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore")  # of mup
WIDTHS, STEPS, SEEDS = [64, 256, 1024], 3, 2


def network(width, readout=nn.Linear):
    return nn.Sequential(
        nn.Linear(64, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), readout(width, 10)
    )


def scaled(width):
    """In mup's parametrisation, from the base of width 64."""
    model = network(width, mup.MuReadout)
    bases = network(64, mup.MuReadout), network(128, mup.MuReadout)
    return mup.set_base_shapes(model, bases[0], delta=bases[1])


def seeded(build, width, state):
    torch.manual_seed(state)
    return build(width)


CASES = {
    "sgd": (network, False, "sgd", torch.optim.SGD, 0.1),
    "adam": (network, False, "adam", torch.optim.Adam, 1e-3),
    "mup, sgd": (scaled, True, "sgd", mup.MuSGD, 0.1),
    "mup, adam": (scaled, True, "adam", mup.MuAdam, 1e-3),
}


def both(case):
    """Root mean squares by mup and by us, (width, seed, layer): at the start, at the end."""
    build, theirs, name, optimiser, eta = CASES[case]
    x, labels = load_digits(return_X_y=True)
    x, labels = x[:48] / 16, labels[:48]
    batch = torch.tensor(x, dtype=torch.float32), torch.tensor(labels)

    def make(width):
        model = build(width)
        return model, optimiser(model.parameters(), lr=eta)

    rng = np.random.default_rng(0)
    check = coord_check(
        make,
        WIDTHS,
        x,
        labels,
        steps=STEPS,
        seeds=SEEDS,
        loss=nn.functional.cross_entropy,
        probes=48,
        rng=rng,
    )
    states = np.random.default_rng(0).integers(2**31, size=(len(WIDTHS), SEEDS))
    found = np.empty((2, len(WIDTHS), SEEDS, 3))
    for (i, j), state in np.ndenumerate(states):
        table = get_coord_data(
            {WIDTHS[i]: lambda i=i, state=state: seeded(build, WIDTHS[i], int(state))},
            [batch],
            optimizer=name,
            lr=eta,
            mup=theirs,
            nsteps=STEPS + 1,
            cuda=False,
            output_fdict={"l2": "l2"},
            show_progress=False,
        ).set_index(["t", "module"])
        for k, t in enumerate((1, STEPS + 1)):
            found[k, i, j] = [table.l2[t, layer] for layer in ("0", "2", "4")]
    ours = check.table[["activation", "after"]].transpose("width", "seed", "layer").to_array()
    return found, ours.values, check


@pytest.mark.parametrize("case", CASES)
def test_sizes_are_those_of_mup(case):
    """To the rounding of single precision, enlarged by three steps."""
    theirs, ours, _ = both(case)
    assert theirs.shape == ours.shape
    np.testing.assert_allclose(ours, theirs, rtol=2e-5)
    assert abs(ours[1] / ours[0] - 1).max() > 1e-3  # training was seen


def test_mup_is_rich_and_the_default_is_not():
    """What both say of the readout: in mup's parametrisation its change has no power."""
    for case, low, high in (("mup, adam", -0.2, 0.2), ("adam", 0.8, 1.3)):
        row = both(case)[2].powers.loc[("change", "4"), "power"]
        assert low < row < high, case
