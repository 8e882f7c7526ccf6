"""The error function against the one of Python's math module: to the last places, at the edges, in any layout, over many blocks."""

import math

import numpy as np
import pytest

from tinygrad_edu.ops.erf_table import BLOCK, erf_array, erfc_array

EXACT = {erf_array: np.vectorize(math.erf, otypes=[float]), erfc_array: np.vectorize(math.erfc, otypes=[float])}


@pytest.mark.parametrize("dtype, units", [(np.float32, 1), (np.float64, 8)])
def test_last_places(dtype, units):
    x = np.concatenate([np.linspace(-6, 6, 20_001), np.geomspace(1e-30, 1, 2_000)]).astype(dtype)
    exact = EXACT[erf_array](x.astype(float))
    out = erf_array(x)
    assert out.dtype == dtype
    assert np.max(np.abs(out - exact) / np.spacing(np.abs(exact).astype(dtype))) <= units
    assert np.abs(out).max() == 1 and np.diff(out[:20_001]).min() >= -units * np.spacing(dtype(1))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_edges(dtype):
    x = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, np.finfo(dtype).max], dtype)
    np.testing.assert_array_equal(erf_array(x), [np.nan, 1, -1, 0, -0.0, 1])
    np.testing.assert_array_equal(erfc_array(x), [np.nan, 0, 2, 1, 1, 0])
    assert np.signbit(erf_array(x)[4])


@pytest.mark.parametrize("f", EXACT)
def test_layouts_and_blocks(f):
    x = np.random.default_rng(0).normal(size=(3, BLOCK + 5, 2))
    for view in (x, x.T, x[:, ::2], x[::-1], x.swapaxes(0, 1), np.broadcast_to(x[0], (2, *x[0].shape)), x[:0], x[0, 0, 0]):
        before = np.array(view)
        np.testing.assert_allclose(f(view), EXACT[f](view) if view.size else view, rtol=1e-13)
        np.testing.assert_array_equal(view, before)
