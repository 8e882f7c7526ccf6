"""Which type a result has: PyTorch's promotion, with weak numbers and one default type."""

import copy
import math
import pickle

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


def test_a_dtype_says_what_pytorch_programs_ask():
    """One object of each type, with PyTorch's questions, equal to NumPy's of that name and taken by NumPy."""
    x = tg.ones(2)
    assert x.dtype is tg.float32 is tg.float and isinstance(x.dtype, tg.dtype) and str(x.dtype) == repr(x.dtype) == "float32"
    for name, kind in [("float16", "f"), ("float64", "f"), ("complex64", "c"), ("int64", "i"), ("uint8", "u"), ("bool", "b")]:
        ours, numpy = getattr(tg, name), np.dtype(name)
        assert (ours.is_floating_point, ours.is_complex, ours.is_signed) == (kind == "f", kind == "c", kind in "ifc")
        assert ours.itemsize == numpy.itemsize and ours == numpy == ours and {ours: 1}[numpy] == {numpy: 1}[ours] == 1
        assert np.zeros(2, ours).dtype == numpy and ours == numpy.type and ours != np.dtype("int8") and tg.dtype(name) is ours
        assert np.issubdtype(ours, numpy.type) and ours.type is numpy.type  # NumPy's own attributes
        assert pickle.loads(pickle.dumps(ours)) is copy.deepcopy(ours) is ours
    assert tg.float64.to_complex() is tg.complex128 and tg.complex64.to_real() is tg.float32 is tg.float32.to_real()
    assert tg.result_type(x, 1.0) is tg.promote_types(tg.int8, tg.float32) is tg.get_default_dtype() is tg.float32
    with pytest.raises(AttributeError, match="bogus"):
        tg.float32.bogus  # noqa: B018


def test_types_that_numpy_does_not_have_can_be_named():
    assert isinstance(tg.bfloat16, tg.dtype) and tg.bfloat16.is_floating_point and tg.complex32.is_complex and tg.bfloat16.itemsize == 2
    assert tg.bfloat16 == tg.bfloat16 != tg.float16 and tg.float32 != tg.bfloat16 and copy.deepcopy(tg.bfloat16) is tg.bfloat16
    with pytest.raises(TypeError, match="NumPy has no numbers of this type; use float32"):
        tg.zeros(2, dtype=tg.bfloat16)
    with pytest.raises(TypeError, match="bfloat16"):
        np.zeros(2, tg.bfloat16)


REFUSED = [
    (lambda: tg.ones(2, 2) @ tg.ones(2, 2, dtype=tg.float64), RuntimeError, "same dtype, got float32\\[2, 2\\] and float64"),
    (lambda: tg.ones(2) @ tg.arange(2), RuntimeError, "matmul: expected tensors of the same dtype, got float32\\[2\\] and int64\\[2\\]; convert"),
    (lambda: tg.dot(tg.ones(2), tg.ones(2, dtype=tg.float64)), RuntimeError, "same dtype"),
    (lambda: tg.einsum("i,i", tg.ones(2), tg.ones(2, dtype=tg.float64)), RuntimeError, "same dtype"),
    (lambda: tg.nn.Linear(2, 1)(tg.ones(3, 2, dtype=tg.float64)), RuntimeError, "same dtype"),
    (lambda: tg.nn.Conv1d(1, 1, 1)(tg.ones(1, 1, 2, dtype=tg.float64)), RuntimeError, "same dtype"),
    (lambda: tg.tensor([True]) - 1, RuntimeError, "logical_not"),
    (lambda: 1 - tg.tensor([True]), RuntimeError, "logical_not"),
    (lambda: tg.tensor([True]) - tg.tensor([False]), RuntimeError, "^sub: the - operator with a boolean tensor is not supported; use ~ or logical_not"),
    (lambda: tg.ones(1) - True, RuntimeError, "logical_not"),
    (lambda: tg.ones(1) - tg.tensor([True]), RuntimeError, "logical_not"),
    (lambda: tg.arange(3).softmax(0), RuntimeError, "floating-point numbers, got int64"),
    (lambda: tg.ones(2, dtype=tg.bool).log_softmax(0), RuntimeError, "floating-point numbers, got bool"),
    (lambda: tg.tensor([1j]) < 2, RuntimeError, "no order"),
    (lambda: tg.ones(1) < 2j, RuntimeError, "no order"),
    (lambda: tg.tensor([1j, 2]).max(), RuntimeError, "no order"),
    (lambda: tg.tensor([1j, 2]).argmin(0), RuntimeError, "no order"),
    (lambda: tg.tensor([1j, 2]).sort(), RuntimeError, "no order"),
    (lambda: tg.tensor([1j, 2]).clamp(0, 1), RuntimeError, "no order"),
    (lambda: tg.maximum(tg.ones(1), tg.tensor([1j])), RuntimeError, "no order"),
]


@pytest.mark.parametrize("number", range(len(REFUSED)))
def test_what_pytorch_refuses(number):
    attempt, error, text = REFUSED[number]
    with pytest.raises(error, match=text):
        attempt()


def test_what_pytorch_does_not_refuse():
    assert (tg.ones(2) @ np.ones(2)).item() == 2, "NumPy's arrays are constants, which adapt"
    assert tg.arange(3).softmax(0, dtype=tg.float32).dtype == tg.float32 and tg.ones(2, dtype=tg.complex64).softmax(0).tolist() == [0.5, 0.5]
    assert tg.maximum(tg.ones(2), 2).tolist() == [2, 2] and (2 - tg.ones(2, dtype=tg.float64)).tolist() == [1, 1]
    assert (~tg.tensor([True])).item() is False
    assert tg.zeros(2).copy_(tg.tensor([1 + 2j, 3])).tolist() == [1.0, 3.0], "the imaginary part is dropped"


def test_small_print_of_numbers():
    """Values recorded from PyTorch 2.13."""
    assert tg.sign(tg.tensor([-2.0, math.nan, 0.0])).tolist() == [-1.0, 0.0, 0.0]
    assert str(tg.tensor([-4.0, 4.0, -3.0]) % 2) == "tensor([-0., 0., 1.])" and (tg.tensor(0.0) % -2.5).item().hex() == "0x0.0p+0"
    assert tg.tensor([-5.5, 5.5]).remainder(math.inf).tolist() == [math.inf, 5.5]
    assert [0] * tg.tensor(3) == [0, 0, 0] and "ab" * tg.tensor(2) == "abab" and tg.tensor(2) * 3 == 6
    assert tg.ldexp(tg.ones(1, dtype=tg.float16), tg.tensor([2])).dtype == tg.float16
    assert tg.multinomial(tg.tensor([1.0, 0.0]), 2).tolist() == [0, 1], "what weighs nothing comes last"
    assert tg.blackman_window(6)[0].item() == 0 and tg.special.bessel_j1(tg.tensor(0.0)).item() == 0
    text = str(tg.tensor([2.8284, 1.6818, 1.6818, 1.0, 1.0, 1.0, 1.0], dtype=tg.float64))
    assert text.endswith(",\n       dtype=float64)"), "a line breaks where it does with torch.float64"


@pytest.mark.parametrize(
    "attempt, error",
    [(lambda: tg.finfo(tg.int32), TypeError), (lambda: tg.iinfo(tg.float32), TypeError), (lambda: tg.linspace(0, 1, -1), RuntimeError),
     (lambda: tg.multinomial(tg.ones(2), 3), RuntimeError), (lambda: tg.ones(1).to("nowhere"), RuntimeError),
     (lambda: tg.complex(tg.ones(1), tg.ones(1, dtype=tg.float64)), RuntimeError)],
)  # fmt: skip
def test_small_print_of_errors(attempt, error):
    with pytest.raises(error):
        attempt()


def test_cholesky_ex_says_which_block_is_bad():
    good, bad = tg.tensor([[4.0, 2.0], [2.0, 5.0]]), tg.tensor([[1.0, 2.0], [2.0, 1.0]])
    L, info = tg.linalg.cholesky_ex(tg.stack([good, bad, -good]))
    assert info.tolist() == [0, 2, 1] and L[0].tolist() == [[2.0, 0.0], [1.0, 2.0]] and L[1:].isnan().all()
    with pytest.raises(tg.linalg.LinAlgError):
        tg.linalg.cholesky_ex(bad, check_errors=True)
