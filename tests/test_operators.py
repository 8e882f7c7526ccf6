"""Every operator in the registry, with every sample: values, derivatives of first and second order, types, memory.

The checks are in operator_kit.py; hypothesis chooses the numbers, and for elementwise operators the shapes.
"""

import numpy as np
import operator_kit as kit
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import mutually_broadcastable_shapes

import tinygrad_edu as tg

FEW = max(2, settings().max_examples // 5)  # the checks below run all samples of an operator for each example
SEEDS = st.integers(0, 2**32 - 1)
OPERATORS = kit.differentiable_operators()
ELEMENTWISE = [name for name, op in OPERATORS.items() if op.kind == "elementwise" and not any(kit.sized(s) for s in op.samples)]


def of_every_operator(names=OPERATORS, examples=FEW):
    """A test of one operator's cases, for several seeds."""

    def decorate(test):
        return pytest.mark.parametrize("name", list(names))(settings(max_examples=examples)(given(seed=SEEDS)(test)))

    return decorate


def test_every_operator_has_cases():
    for name, op in OPERATORS.items():
        cases = kit.cases_of(op)
        assert cases, f"{name} has no samples, so nothing tests it"
        assert any(case.active for case in cases), f"{name}: no input of any sample is differentiable"


@of_every_operator()
def test_first_order(name, seed):
    for case in kit.cases_of(OPERATORS[name]):
        kit.check_first_order(case, seed)


@of_every_operator(OPERATORS, max(1, FEW // 2))
def test_second_order(name, seed):
    for case in kit.cases_of(OPERATORS[name]):
        kit.check_second_order(case, seed)


@of_every_operator()
def test_adjoint(name, seed):
    for case in kit.cases_of(OPERATORS[name]):
        kit.check_adjoint(case, seed)


def test_complex_step():
    """Derivatives to eleven digits, wherever the forward function is analytic."""
    done = {name for name, op in OPERATORS.items() for case in kit.cases_of(op) if kit.check_complex_step(case, 3)}
    expected = "add sub mul div neg pow exp log sin cos tanh sqrt square reciprocal sum mean prod matmul affine einsum_operator"
    assert done >= set(expected.split()), f"not recognised as analytic: {set(expected.split()) - done}"
    assert len(done) > 60


@pytest.mark.parametrize("name", ELEMENTWISE)
@settings(max_examples=max(3, settings().max_examples // 3))
@given(data=st.data(), seed=SEEDS)
def test_broadcasting(name, data, seed):
    """All shapes that broadcast, 0-d and empty ones among them."""
    op = OPERATORS[name]
    shapes = data.draw(mutually_broadcastable_shapes(num_shapes=len(op.inputs), max_dims=3, min_side=0, max_side=3))
    for params in [s for s in op.samples if isinstance(s, dict)] or [{}]:
        case = kit.Case(op, shapes.input_shapes, params)
        assert kit.result_shape(case, case.arrays(seed)) == shapes.result_shape
        kit.check_first_order(case, seed)
        kit.check_float32(case, seed)


def test_operators_agree_with_autograd():
    """HIPS autograd as a second oracle, for functions of one number that both have."""
    numpy, grad = pytest.importorskip("autograd.numpy"), pytest.importorskip("autograd").elementwise_grad
    compared = 0
    for name in ELEMENTWISE:
        op = OPERATORS[name]
        theirs = [getattr(numpy, f.__name__, None) for f in op.numpy if isinstance(f, np.ufunc)]
        if len(op.inputs) != 1 or not theirs or theirs[0] is None or op.params:
            continue
        (x,) = kit.Case(op, ((7,),), {}).arrays(5)
        if op.name in ("sign", "floor", "ceil", "trunc", "round"):
            continue  # piecewise constant: autograd warns that the output seems independent of the input
        try:
            expected = grad(theirs[0])(x)
        except (NotImplementedError, TypeError):
            continue
        t = tg.tensor(x, requires_grad=True)
        op.function(t).sum().backward()
        assert np.allclose(t.grad.numpy(), expected, 1e-12, 1e-12), name
        compared += 1
    assert compared >= 20
