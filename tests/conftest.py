import os

os.environ.setdefault("MPLBACKEND", "agg")
os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is imported: workers share the cores

import hypothesis
import numpy as np
import pytest

hypothesis.settings.register_profile("book", deadline=None)  # other workers may hold the cores
hypothesis.settings.load_profile("book")


@pytest.fixture
def rng():
    return np.random.default_rng(20261121)
