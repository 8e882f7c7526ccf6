"""NumPy's functions on tensors, and tensors among arrays: in the graph, or an error that names the function."""

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.autograd.operator import numpy_functions

SKIP = {"ldexp", "gcd", "lcm", "bitwise_and", "bitwise_or", "bitwise_xor", "invert", "left_shift", "right_shift"}
UFUNCS = [f for f in numpy_functions if isinstance(f, np.ufunc) and f.__name__ not in SKIP]


@pytest.mark.parametrize("ufunc", UFUNCS, ids=lambda f: f.__name__)
def test_every_ufunc_on_tensors(ufunc):
    """np.f(tensor) is a tensor with NumPy's values; arrays may stand on either side."""
    if ufunc.signature:
        args = [np.arange(1.0, 5.0).reshape(2, 2), np.arange(2.0, 6.0).reshape(2, 2)]
    else:
        low = 1.2 if ufunc is np.arccosh else 0.2
        args = [np.linspace(low, low + 0.6, 4).reshape(2, 2) + 0.1 * k for k in range(ufunc.nin)]
    expected = ufunc(*args)
    for k in range(len(args)):
        mixed = [tg.tensor(a, requires_grad=True) if i == k else a for i, a in enumerate(args)]
        out = ufunc(*mixed)
        assert isinstance(out, tg.Tensor) and np.allclose(out.detach().numpy(), expected), ufunc
    out = ufunc(*[tg.tensor(a, requires_grad=True) for a in args])
    assert isinstance(out, tg.Tensor)


@pytest.mark.parametrize("function", [
    lambda x: np.sum(x, axis=0), lambda x: np.mean(x), lambda x: np.max(x, axis=1), lambda x: np.reshape(x, (3, 2)), lambda x: np.transpose(x),
    lambda x: np.concatenate([x, x]), lambda x: np.stack([x, np.ones((2, 3))]), lambda x: np.where(x > 1, x, 0), lambda x: np.clip(x, 0.5, 2.5),
    lambda x: np.dot(x, np.ones(3)), lambda x: np.einsum("ij->j", x), lambda x: np.cumsum(x, axis=1), lambda x: np.broadcast_to(x, (2, 2, 3)),
    lambda x: np.swapaxes(x, 0, 1), lambda x: np.expand_dims(x, 0), lambda x: np.tril(x), lambda x: np.var(x, axis=0), lambda x: np.add.reduce(x),
    lambda x: np.linalg.norm(x), lambda x: np.flip(x, 0), lambda x: np.roll(x, 1), lambda x: np.tile(x, 2), lambda x: np.prod(x, axis=1),
    lambda x: np.outer(x, np.ones(2)), lambda x: np.squeeze(x[None]), lambda x: np.ravel(x), lambda x: np.std(x),
])  # fmt: skip
def test_numpy_functions(function):
    data = np.array([[0.3, 1.2, 2.0], [1.7, 0.9, 2.9]])
    x = tg.tensor(data, requires_grad=True)
    out = function(x)
    assert isinstance(out, tg.Tensor) and out.requires_grad and np.allclose(out.detach().numpy(), function(data))
    assert tg.autograd.gradcheck(function, x, fast_mode=True)


def test_array_operators_defer_to_tensors():
    x = tg.tensor([1.0, 2.0], dtype=tg.float64, requires_grad=True)
    a = np.array([3.0, 4.0])
    for out, expected in ((a * x, [3, 8]), (a + x, [4, 6]), (a - x, [2, 2]), (a / x, [3, 2]), (a**x, [3, 16]), (a @ x, 11), (np.float64(2) - x, [1, 0])):
        assert isinstance(out, tg.Tensor) and out.requires_grad and np.allclose(out.detach().numpy(), expected)
    assert (a > x).tolist() == [True, True] and isinstance(a == x, tg.Tensor)


def test_an_array_plus_equals_a_tensor_is_refused_or_rebound():
    a, x = np.ones(2), tg.ones(2, requires_grad=True)
    with pytest.raises(TypeError, match="out="):
        a += x
    assert a.tolist() == [1.0, 1.0]


def test_unknown_functions_name_the_nearest():
    x = tg.ones(3, requires_grad=True)
    with pytest.raises(TypeError, match="np.median"):
        np.median(x)
    with pytest.raises(TypeError, match="np.spacing has no operator"):
        np.spacing(x)
    with pytest.raises(TypeError, match="np.add.accumulate"):
        np.add.accumulate(x)


def test_asarray():
    x = tg.tensor([1.0, 2.0])
    assert np.asarray(x).dtype == np.float32 and np.array(x, dtype=np.float64).dtype == np.float64
    assert np.shares_memory(np.asarray(x), x.numpy()) and not np.shares_memory(np.array(x), x.numpy())
