"""The registry is complete: every operator has a formula, tests, a name in the package; mistakes of authors fail at once."""

import numpy as np
import operator_kit as kit
import pytest

import tinygrad_edu as tg
from tinygrad_edu.autograd.composites import composite
from tinygrad_edu.autograd.operator import elementwise, general, numpy_functions, registry, undifferentiable


@pytest.fixture
def clean_registry():
    before, functions = dict(registry), dict(numpy_functions)
    yield
    registry.clear(), registry.update(before)
    numpy_functions.clear(), numpy_functions.update(functions)


@pytest.mark.parametrize("name", sorted(registry))
def test_documented_and_tested(name):
    op = registry[name]
    assert op.name == name and op.formula and len(op.formula) < 160, f"{name}: the first line of the docstring is its formula"
    assert callable(op.function) and op.function.op is op
    if op.kind != "constant":
        assert kit.cases_of(op), f"{name}: no samples"


def test_linear_operators_are_linear():
    linear = [op for op in registry.values() if op.kind == "linear"]
    assert len(linear) > 20
    for op in linear:
        for case in kit.cases_of(op):
            a, b = case.arrays(1), case.arrays(2)
            assert np.allclose(case(*[x + 2 * y for x, y in zip(a, b)]), case(*a) + 2 * case(*b)), case


def test_an_operator_in_one_place(clean_registry):
    """What the documentation promises: one definition, and it computes, differentiates twice, and passes the generated tests."""

    @elementwise(x=lambda g, x: g * (3 * x * x))
    def cubed(x):
        """x³"""
        return x * x * x

    op = registry["cubed"]
    for case in kit.cases_of(op):
        for check in (kit.check_first_order, kit.check_second_order, kit.check_adjoint, kit.check_arrays, kit.check_float32, kit.check_strides):
            check(case, 0)
    x = tg.tensor(2.0, requires_grad=True)
    cubed(x).backward()
    assert x.grad.item() == 12.0 and cubed(2.0) == 8.0


@pytest.mark.parametrize("define, words", [
    (lambda: elementwise(x=lambda g, z: g)(named("f")), "names ['z']"),
    (lambda: elementwise(y=lambda g: g)(named("f")), "a rule for 'y'"),
    (lambda: elementwise()(named("f")), "no rule for 'x'"),
    (lambda: elementwise(x=lambda g: g)(named("mul")), "exists already"),
    (lambda: elementwise(x=lambda g: g)(named("f", doc="")), "first line of the docstring"),
    (lambda: general(together=lambda g, nothing: g)(named("f")), "names ['nothing']"),
])  # fmt: skip
def test_mistakes_of_authors_fail_at_import(define, words, clean_registry):
    with pytest.raises(TypeError) as caught:
        define()
    assert words in str(caught.value)


def named(name, doc="x"):
    def f(x):
        return x

    f.__name__, f.__doc__ = name, doc
    return f


def test_undifferentiable_and_composite(clean_registry):
    @undifferentiable()
    def is_big(x):
        """x > 1"""
        return x > 1

    @composite()
    def twice(x):
        """2 · x"""
        return x + x

    x = tg.tensor([1.0, 2.0], requires_grad=True)
    assert is_big(x).tolist() == [False, True] and not is_big(x).requires_grad
    kit.check_first_order(kit.cases_of(registry["twice"])[0], 0)
