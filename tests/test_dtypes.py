"""Which type a result has: PyTorch's promotion, with weak numbers and one default type."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_edu as tg

NAMES = ["bool", "uint8", "int32", "int64", "float16", "float32", "float64"]
VALUES = st.tuples(st.sampled_from(NAMES), st.sampled_from([(), (2,)])) | st.sampled_from([2, 2.0, True])


def make(t, value):
    return t.ones(value[1], dtype=getattr(t, value[0])) if isinstance(value, tuple) else value


@pytest.mark.parametrize("op", ["add", "mul", "truediv", "sub", "pow"])
@given(x=VALUES, y=VALUES)
def test_promotion_as_in_pytorch(op, x, y):
    """Live, where PyTorch is installed: dtype of every pair of arrays, 0-d tensors and numbers."""
    torch = pytest.importorskip("torch")
    if not isinstance(x, tuple) and not isinstance(y, tuple):
        return
    function = lambda t: getattr(__import__("operator"), op)(make(t, x), make(t, y))
    try:
        expected = function(torch).dtype
    except RuntimeError:
        return  # PyTorch refuses to subtract booleans
    if str(expected) == "torch.bool" and op in ("add", "mul", "pow") or op == "pow" and str(expected) == "torch.uint8":
        return
    try:
        found = function(tg).dtype
    except TypeError:
        return  # NumPy refuses what PyTorch defines for booleans
    assert f"torch.{found}" == str(expected), (x, y)


@pytest.mark.parametrize("make, expected", [
    (lambda: tg.tensor(1.5), "float32"), (lambda: tg.tensor([1, 2]), "int64"), (lambda: tg.tensor([True]), "bool"),
    (lambda: tg.tensor(np.ones(2)), "float64"), (lambda: tg.tensor(np.float64(1)), "float64"), (lambda: tg.tensor([1, 2.5]), "float32"),
    (lambda: tg.ones(2) * 2.5, "float32"), (lambda: tg.ones(2) * np.float64(2.5), "float32"), (lambda: tg.ones(2) * np.sqrt(2), "float32"),
    (lambda: tg.arange(3) * 2.5, "float32"), (lambda: tg.arange(3) / 2, "float32"), (lambda: tg.arange(3) + True, "int64"),
    (lambda: tg.ones(2) * tg.tensor(2.0, dtype=tg.float64), "float32"), (lambda: tg.ones(2) * tg.ones(1, dtype=tg.float64), "float64"),
    (lambda: tg.ones(2) * tg.arange(2), "float32"), (lambda: tg.arange(2).exp(), "float32"), (lambda: tg.arange(2).sum(), "int64"),
    (lambda: (tg.arange(2) > 0).sum(), "int64"), (lambda: tg.tensor([1, 2], dtype=tg.int32).sum(), "int64"),
    (lambda: tg.ones(2, dtype=tg.float16) + 1.5, "float16"), (lambda: tg.ones(2) > 1, "bool"), (lambda: tg.ones(3).argmax(), "int64"),
])  # fmt: skip
def test_types_of_results(make, expected):
    assert str(make().dtype) == expected


def test_default_dtype(float64):
    assert tg.tensor(1.5).dtype == tg.float64 and tg.zeros(2).dtype == tg.float64 and (tg.arange(3) / 2).dtype == tg.float64
    assert tg.tensor(np.ones(2, np.float32)).dtype == tg.float32


@given(x=st.sampled_from(NAMES[4:]), y=st.sampled_from(NAMES[4:]))
def test_gradients_return_in_their_own_type(x, y):
    a, b = tg.ones(2, dtype=getattr(tg, x), requires_grad=True), tg.ones(2, dtype=getattr(tg, y), requires_grad=True)
    for out in (a * b, a + b, a / b, tg.where(tg.tensor([True, False]), a, b), tg.stack([a, b]), tg.maximum(a, b)):
        ga, gb = tg.autograd.grad(out.sum(), [a, b])
        assert ga.dtype == a.dtype and gb.dtype == b.dtype


def test_casts_carry_gradients():
    x = tg.ones(2, requires_grad=True)
    (x.double() * 3).sum().backward()
    assert x.grad.dtype == tg.float32 and x.grad.tolist() == [3.0, 3.0]
    assert not x.long().requires_grad and not (x > 0).requires_grad and not x.argmax().requires_grad
