"""What all tests share: fixed hypothesis profiles, one seed, and the default modes restored after each test."""

import os

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

import tinygrad_edu as tg
from tinygrad_edu.autograd import dtypes, modes
from tinygrad_edu.autograd.operator import numpy_functions, registry

QUIET = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much, HealthCheck.differing_executors]
settings.register_profile("ci", max_examples=10, derandomize=True, deadline=None, database=None, suppress_health_check=QUIET)
settings.register_profile("nightly", max_examples=300, deadline=None, suppress_health_check=QUIET)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


@pytest.fixture(autouse=True)
def fresh_state():
    """Every test starts from the same seed, and must leave the modes as it found them."""
    tg.manual_seed(0)
    yield
    left = (dtypes.default, modes.state.grad, modes.state.recording, modes.state.anomaly)
    dtypes.default = np.dtype("float32")
    tg.set_grad_enabled(True), tg.autograd.set_detect_anomaly(False)
    assert left == (np.dtype("float32"), True, False, False), "the test has left a mode or the default dtype switched"


@pytest.fixture
def float64():
    """float64 as the default dtype, for comparisons with slopes."""
    tg.set_default_dtype(tg.float64)
    yield
    tg.set_default_dtype(tg.float32)


@pytest.fixture
def fresh_registry():
    """Operators that a test defines are gone after it."""
    before, functions = dict(registry), dict(numpy_functions)
    yield
    for table, kept in ((registry, before), (numpy_functions, functions)):
        table.clear()
        table.update(kept)
