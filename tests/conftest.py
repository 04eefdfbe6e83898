import os

os.environ.setdefault("MPLBACKEND", "agg")
os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is imported: workers share the cores

import numpy as np
import pytest


@pytest.fixture
def rng():
    return np.random.default_rng(20261121)
