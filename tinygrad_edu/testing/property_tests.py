"""gradtest: a function becomes a property test of its gradients, with inputs drawn by hypothesis."""

import inspect

import numpy as np
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from ..autograd.tensor import Tensor
from . import records
from .domains import SMOOTH
from .gradients import checked
from .strategies import broadcastable_shapes, matmul_shapes, together
from .strategies import shapes as any_shapes

QUIET = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much, HealthCheck.differing_executors]
PHASES = [Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink]  # not "explain": the report says what is wrong


def gradtest(function=None, /, *, order=1, shapes="broadcast", domain=SMOOTH, distinct=True, examples=25, fixtures=(), eps=None, atol=None,
             rtol=None, **strategies):  # fmt: skip
    """Turn a function of tensors into a property test: its gradients equal the measured slopes for whatever hypothesis draws.

    Every parameter without a default is drawn: from the strategy of its name in `strategies`, else as a float64 tensor from
    `domain` (a pair or a Domain), with `shapes` that fit: "broadcast", "same", "matmul" (two parameters), one shape, or a
    strategy of tuples of shapes. Whatever tensors that require grad come in are checked; `order=2` checks the gradients of the
    gradients too. `distinct` keeps all elements different. Parameters named in `fixtures` are pytest's to fill.

    The result takes no arguments: pytest runs it where its name begins with `test_`, and so does a plain call.

    >>> import tinygrad_edu as tg
    >>> from tinygrad_edu.testing import gradtest
    >>> @gradtest(order=2, examples=5)
    ... def test_swish(x):
    ...     return x * x.sigmoid()
    >>> test_swish()
    """
    if function is None:
        return lambda f: gradtest(f, order=order, shapes=shapes, domain=domain, distinct=distinct, examples=examples, fixtures=fixtures,
                                  eps=eps, atol=atol, rtol=rtol, **strategies)  # fmt: skip
    parameters = inspect.signature(function).parameters
    names = [n for n, p in parameters.items() if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    unknown = [n for n in [*strategies, *fixtures] if n not in parameters]
    if unknown:
        raise TypeError(f"gradtest: {name_of_test(function)} has no parameter {unknown[0]!r}; it has {', '.join(parameters) or 'none'}")
    free = [n for n in names if n not in strategies and n not in fixtures]
    if not free and not strategies:
        raise TypeError(f"gradtest: {name_of_test(function)} has no parameter to draw a tensor for")
    drawn = dict(strategies)
    if free:
        drawn["inputs"] = together(shape_sets(shapes, len(free)), np.float64, domain, distinct)

    def test(**values):
        __tracebackhide__ = True  # the message says all
        inputs = dict(zip(free, values.pop("inputs", ()))) | values
        active = [n for n in parameters if isinstance(inputs.get(n), Tensor) and inputs[n].requires_grad]

        def of_active(*tensors):
            return function(**{**inputs, **dict(zip(active, tensors))})

        parameter = inspect.Parameter
        of_active.__signature__ = inspect.Signature([parameter(n, parameter.POSITIONAL_OR_KEYWORD) for n in active])  # type: ignore[attr-defined]
        of_active.__name__ = of_active.__qualname__ = function.__name__
        checked(of_active, tuple(inputs[n] for n in active), name_of_test(function), order, eps=eps, atol=atol, rtol=rtol)

    kind = inspect.Parameter.KEYWORD_ONLY
    test.__signature__ = inspect.Signature([inspect.Parameter(n, kind) for n in [*fixtures, *drawn]])  # type: ignore[attr-defined]
    for attribute in ("__name__", "__qualname__", "__doc__", "__module__"):
        setattr(test, attribute, getattr(function, attribute))
    count = records.options.examples(examples)
    quiet = [*QUIET, HealthCheck.function_scoped_fixture] if fixtures else QUIET
    return settings(max_examples=count, deadline=None, suppress_health_check=quiet, phases=PHASES,
                    report_multiple_bugs=False)(given(**drawn)(test))


def name_of_test(function):
    return function.__qualname__.rpartition("<locals>.")[2]


def shape_sets(shapes, count):
    """The strategy of tuples of `count` shapes that a word, a shape or a strategy stands for."""
    if isinstance(shapes, st.SearchStrategy):
        return shapes
    if isinstance(shapes, (tuple, list)):
        return st.just((tuple(shapes),) * count)
    if shapes == "broadcast":
        return broadcastable_shapes(count, max_dims=2)
    if shapes == "same":
        return any_shapes(max_dims=2, max_side=3).map(lambda shape: (shape,) * count)
    if shapes == "matmul" and count == 2:
        return matmul_shapes(max_dims=1)
    if shapes == "matmul":
        raise ValueError(f'gradtest: shapes="matmul" is for two parameters, and there are {count}')
    raise ValueError(f'gradtest: shapes is "broadcast", "same", "matmul", a shape or a strategy of tuples of shapes; got {shapes!r}')
