"""Hypothesis strategies: tensors, shapes that fit together, axes, indices, dtypes, values away from kinks.

All shrink to the simplest case that fails: few dimensions of size 1, and ones in the tensor.
"""

import math

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ..autograd.tensor import Tensor
from .domains import ANYWHERE, Domain

LETTERS = {"f": ["float64", "float32", "float16"], "i": ["int64", "int32", "int16", "int8"], "u": ["uint8"], "b": ["bool"]}


def dtypes(kinds="f", half=False):
    """dtypes, NumPy's objects: floats ("f"), integers ("i"), unsigned ones ("u"), truth values ("b"); float16 only with `half`.

    >>> from tinygrad_edu.testing import dtypes
    >>> dtypes("fi").filter(lambda d: d.kind == "i") is not None
    True
    """
    unknown = set(kinds) - set(LETTERS)
    if unknown or not kinds:
        raise ValueError(f"dtypes: kinds are letters out of {''.join(LETTERS)}, got {kinds!r}")
    names = [name for kind in kinds for name in LETTERS[kind] if half or name != "float16"]
    return st.sampled_from([np.dtype(name) for name in names])


def shapes(min_dims=0, max_dims=3, min_side=1, max_side=4, min_size=0, max_size=64):
    """Shapes of tensors, tuples; `min_side=0` allows empty tensors."""
    return hnp.array_shapes(min_dims=min_dims, max_dims=max_dims, min_side=min_side, max_side=max_side).filter(
        lambda shape: min_size <= math.prod(shape) <= max_size
    )


def broadcastable_shapes(count=2, max_dims=3, max_side=3, min_side=1):
    """Tuples of `count` shapes that broadcast together: (2, 1) and (3,), () and (2, 3) …"""
    return hnp.mutually_broadcastable_shapes(num_shapes=count, min_side=min_side, max_dims=max_dims, max_side=max_side).map(
        lambda shapes: tuple(shapes.input_shapes)
    )


def matmul_shapes(max_dims=2, max_side=3, vectors=True):
    """Pairs of shapes that `@` multiplies; with vectors on either side, and up to `max_dims` dimensions of matrices to broadcast."""
    signature = np.matmul.signature if vectors else "(m,n),(n,p)->(m,p)"
    return hnp.mutually_broadcastable_shapes(signature=signature, max_dims=max_dims, min_side=1, max_side=max_side).map(
        lambda shapes: tuple(shapes.input_shapes)
    )


def axes(shape, none=True, several=True, negative=True):
    """Arguments for `dim=` or `axis=` of a tensor of this shape (or with that many dimensions): None, 0, −1, (0, 2) …"""
    n = shape if isinstance(shape, int) else len(shape)
    start = -n if negative else 0
    choices = [st.none()] if none or not n else []
    if n:
        choices.append(st.integers(start, n - 1))
        if several:
            picked = st.lists(st.integers(start, n - 1), min_size=1, max_size=n, unique_by=lambda axis: axis % n)
            choices.append(picked.map(tuple))
    return st.one_of(choices)


def indices(shape, basic=True, lists=True, masks=True, newaxis=True):
    """Things to put between brackets for a tensor of this shape: numbers, slices, ..., None; lists with repeats; masks."""
    shape = tuple(shape)
    choices = []
    if basic:
        steps = hnp.basic_indices(shape, allow_newaxis=newaxis, allow_ellipsis=True)
        choices.append(steps.filter(forward_only))
    if lists and shape and all(shape):
        choices.append(integer_arrays(shape))
    if masks and shape and math.prod(shape):
        choices.append(hnp.arrays(bool, shape).filter(np.any))
    if not choices:
        raise ValueError(f"indices: nothing is left to draw for a tensor of shape {list(shape)}")
    return st.one_of(choices)


def forward_only(index):
    """True if no slice runs backwards, which PyTorch's indexing does not know."""
    parts = index if isinstance(index, tuple) else (index,)
    return all(part.step is None or part.step > 0 for part in parts if isinstance(part, slice))


@st.composite
def integer_arrays(draw, shape):
    """Arrays of row numbers for the first dimensions; numbers may come twice, which is what breaks rules."""
    depth = draw(st.integers(1, len(shape)))
    result = draw(st.sampled_from([(2,), (1,), (3,), (2, 2)]))
    arrays = [draw(hnp.arrays(np.int64, result, elements=st.integers(-n, n - 1))) for n in shape[:depth]]
    return tuple(arrays) if depth > 1 else arrays[0]


def elements(domain=ANYWHERE):
    """Numbers from a domain, exact in float32: an interval (low, high) or a Domain."""
    return st.sampled_from(as_domain(domain).grid().tolist())


def as_domain(domain):
    """A Domain from what users give: one, or a pair.

    >>> from tinygrad_edu.testing.strategies import as_domain
    >>> as_domain((0, 1)).high
    1
    """
    if isinstance(domain, Domain):
        return domain
    if isinstance(domain, tuple) and len(domain) == 2:
        return Domain(*domain)
    raise TypeError(f"domain: expected a Domain or a pair (low, high), got {domain!r}")


LAYOUTS = ["contiguous", "transposed", "strided", "reversed"]


@st.composite
def arrays(draw, shape=None, dtype=np.float64, domain=ANYWHERE, distinct=False, layouts=False):
    """NumPy arrays, with options as for `tensors`."""
    shape = draw(as_strategy(shapes() if shape is None else shape))
    dtype = np.dtype(draw(as_strategy(dtype)))
    if dtype.kind == "b":
        numbers = st.booleans()
    elif dtype.kind in "iu":
        low, high = (domain.low, domain.high) if isinstance(domain, Domain) else domain
        numbers = st.integers(max(math.ceil(low), 0 if dtype.kind == "u" else -128), math.floor(high))
    else:
        numbers = elements(domain)
    array = draw(hnp.arrays(dtype, shape, elements=numbers, fill=st.nothing(), unique=distinct))
    layout = draw(st.sampled_from(LAYOUTS)) if layouts and array.ndim else "contiguous"
    return laid_out(array, layout)


def laid_out(array, layout):
    """The same values in memory of another order."""
    if layout == "transposed":
        return np.asfortranarray(array)
    if layout == "strided":
        wide = np.zeros((*array.shape[:-1], 2 * array.shape[-1]), array.dtype)
        wide[..., ::2] = array
        return wide[..., ::2]
    if layout == "reversed":
        return np.ascontiguousarray(array[::-1])[::-1]
    return array


def as_strategy(value):
    return value if isinstance(value, st.SearchStrategy) else st.just(value)


def tensors(shape=None, dtype=np.float64, domain=ANYWHERE, requires_grad=None, distinct=False, layouts=False):
    """Tensors of ours. `shape`, `dtype`: a value or a strategy. `domain`: where the elements come from.

    `distinct` makes all elements different, as maxima and sorting need; `layouts` draws memory orders other than row by row.
    `requires_grad` is on for floats unless it is given.

    >>> from hypothesis import given
    >>> @given(tensors(shape=(2,), domain=(0, 1)))
    ... def test(x):
    ...     assert x.requires_grad and x.shape == (2,) and (x >= 0).all()
    >>> test()
    """

    def made(array):
        x = Tensor(np.asarray(array), None)
        x.requires_grad = array.dtype.kind == "f" if requires_grad is None else requires_grad
        return x

    return arrays(shape, dtype, domain, distinct, layouts).map(made)


def together(shape_sets, dtype, domain, distinct):
    """Tuples of tensors whose shapes are drawn together; `distinct` separates them from each other too."""

    @st.composite
    def strategy(draw):
        picked = draw(shape_sets)
        if distinct:
            sizes = [math.prod(shape) for shape in picked]
            flat = np.asarray(draw(st.lists(elements(domain), min_size=sum(sizes), max_size=sum(sizes), unique=True)), dtype)
            parts = np.split(flat, np.cumsum(sizes)[:-1])
            values = [np.ascontiguousarray(part).reshape(shape) for part, shape in zip(parts, picked)]
        else:
            values = [draw(arrays(shape, dtype, domain)) for shape in picked]
        result = []
        for value in values:
            result.append(Tensor(value, None))
            result[-1].requires_grad = np.dtype(dtype).kind == "f"
        return tuple(result)

    return strategy()


def broadcastable_tensors(count=2, dtype=np.float64, domain=ANYWHERE, distinct=False, max_dims=3, max_side=3):
    """Tuples of tensors that broadcast together."""
    return together(broadcastable_shapes(count, max_dims, max_side), dtype, domain, distinct)


def matmul_tensors(dtype=np.float64, domain=ANYWHERE, max_dims=1, max_side=3, vectors=True):
    """Pairs of tensors that `@` multiplies."""
    return together(matmul_shapes(max_dims, max_side, vectors), dtype, domain, False)
