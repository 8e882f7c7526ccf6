"""What operators promise beyond their derivatives: types, shapes, memory, empty arrays, indices, constants."""

import inspect

import numpy as np
import operator_kit as kit
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_edu as tg
from tinygrad_edu.autograd.operator import registry

SEEDS = st.integers(0, 2**32 - 1)
OPERATORS = kit.differentiable_operators()
RULED = [name for name, op in OPERATORS.items() if op.kind != "composite"]
CONSTANT = [name for name, op in sorted(registry.items()) if op.kind == "constant"]


@pytest.mark.parametrize("name", list(OPERATORS))
@settings(max_examples=max(1, settings().max_examples // 10))
@given(seed=SEEDS)
def test_contract(name, seed):
    """Types, shapes, memory: what an operator and its rules may rely on, and must keep."""
    for case in kit.cases_of(OPERATORS[name]):
        kit.check_arrays(case, seed)
        kit.check_only_reads(case, seed)
        kit.check_float32(case, seed)
        kit.check_strides(case, seed)
        if name in RULED:
            kit.check_raw_shapes(case, seed)
            kit.check_general_function(case, seed)


@pytest.mark.parametrize("name", CONSTANT)
def test_constants_stop_gradients(name):
    """Operators without derivatives: arrays in, array out; a tensor in, a constant out."""
    op = registry[name]
    inputs = [x for x in op.inputs if x not in op.defaults]
    for array in (np.array([[1.5, -2.5], [0.5, 3.0]]), np.array([[3, 1], [2, 5]])):
        required = {k: v for k, v in op.params.items() if v is inspect.Parameter.empty}
        if required or "bitwise" in name and array.dtype.kind == "f" or name in ("gcd", "lcm") and array.dtype.kind == "f":
            continue
        plain = op.function(*[array] * len(inputs))
        assert isinstance(plain, (np.ndarray, np.generic))
        result = op.function(*[tg.tensor(array, requires_grad=array.dtype.kind == "f")] * len(inputs))
        assert not result.requires_grad
        assert np.array_equal(result.array, plain, equal_nan=True)


REDUCTIONS = ["sum", "mean", "amax", "amin", "prod", "var", "std", "logsumexp", "cumsum", "cumprod", "softmax", "log_softmax"]


@pytest.mark.parametrize("name", REDUCTIONS)
@given(data=st.data(), seed=SEEDS)
def test_reductions_along_any_axis(name, data, seed):
    op = OPERATORS[name]
    shape = data.draw(st.lists(st.integers(1, 3), min_size=1, max_size=4).map(tuple))
    params = {}
    if "keepdims" in op.params:
        axes = st.lists(st.integers(-len(shape), len(shape) - 1), min_size=1, unique_by=lambda a: a % len(shape)).map(tuple)
        params["axis"] = data.draw(st.none() | st.integers(-len(shape), len(shape) - 1) | axes)
        params["keepdims"] = data.draw(st.booleans())
        if "correction" in op.params:
            params["correction"] = 0
            if int(np.prod([shape[a] for a in np.atleast_1d(range(len(shape)) if params["axis"] is None else params["axis"])])) < 2:
                return  # the variance of one number is 0 everywhere, and std has a kink there
    else:
        params["axis"] = data.draw(st.integers(-len(shape), len(shape) - 1))
    case = kit.Case(op, (shape,), params)
    kit.check_first_order(case, seed)
    kit.check_second_order(case, seed)


@pytest.mark.parametrize("name", ["sum", "mean", "prod", "cumsum", "cumprod", "logcumsumexp", "clone", "flip", "reshape", "concatenate", "squared_error"])
def test_empty_arrays(name):
    """Sums, joins and copies of nothing: nothing, or the neutral element, and an empty gradient."""
    op = registry[name]
    params = dict(cumsum=dict(axis=0), cumprod=dict(axis=0), logcumsumexp=dict(axis=1), flip=dict(axes=(0,)), reshape=dict(shape=(3, 0)),
                  mean=dict(axis=1, keepdims=True), squared_error=dict(reduction="sum")).get(name, {})  # fmt: skip
    shape = (0, 3)
    xs = [tg.zeros(shape, requires_grad=True) for _ in range(2 if name in ("concatenate", "squared_error") else 1)]
    out = op.function(*xs, **params)
    out.sum().backward()
    assert all(x.grad.shape == shape for x in xs)


@given(data=st.data())
def test_indexing_like_numpy(data):
    """x[index] for drawn indices: values and gradients as NumPy's own getitem and add.at give them."""
    shape = data.draw(st.lists(st.integers(1, 4), min_size=1, max_size=3).map(tuple))
    x = tg.tensor(np.arange(1.0, 1 + np.prod(shape)).reshape(shape), requires_grad=True)
    parts = []
    for n in shape[: data.draw(st.integers(1, len(shape)))]:
        array = st.lists(st.integers(-n, n - 1), min_size=1, max_size=3).map(np.array)
        parts.append(data.draw(st.integers(-n, n - 1) | st.slices(n) | array | st.just(Ellipsis) | st.none()))
    if sum(p is Ellipsis for p in parts) > 1:
        parts = [p for p in parts if p is not Ellipsis]
    index = tuple(parts)
    try:
        expected = x.detach().numpy()[index]
    except (IndexError, ValueError):
        with pytest.raises((IndexError, ValueError)):
            x[index]
        return
    if any(isinstance(p, slice) and p.step is not None and p.step < 0 for p in parts):
        expected = expected.copy()
    out = x[index]
    assert np.array_equal(out.detach().numpy(), expected)
    weights = np.arange(1.0, 1 + expected.size).reshape(expected.shape)
    out.backward(tg.tensor(weights))
    accumulated = np.zeros(shape)
    np.add.at(accumulated, index, weights)
    assert np.array_equal(x.grad.numpy(), accumulated)
