"""Products of matrices and vectors, and the affine map of a layer in one step."""

from math import prod

import numpy as np

from ..autograd.operator import general
from ..autograd.refusals import alike
from ..autograd.tensor import Tensor, array_of

COMBINATIONS = [((3,), (3,)), ((2, 3), (3,)), ((3,), (3, 2)), ((2, 3), (3, 4)), ((5, 2, 3), (3, 4)),
                ((2, 3), (5, 3, 4)), ((5, 1, 2, 3), (4, 3, 2)), ((4, 2, 3), (3,)), ((3,), (4, 3, 2))]  # fmt: skip


def rows(x):
    """x as a matrix: all dimensions but the last taken together, also where there are no elements."""
    return x.reshape((prod(x.shape[:-1]), x.shape[-1]))


def matmul_left(g, x_shape, y):
    """g @ yᵀ; vectors are treated as rows and columns."""
    if y.ndim == 1:
        return g.reshape((*g.shape, 1)) * y
    if len(x_shape) == 1:
        g = g.reshape((*g.shape[:-1], 1, g.shape[-1]))
    if y.ndim == 2 and g.ndim > 2:
        return (rows(g) @ y.swapaxes(0, 1)).reshape((*g.shape[:-1], y.shape[0]))
    return g @ y.swapaxes(-1, -2)


def matmul_right(g, x, y_shape):
    """xᵀ @ g; vectors are treated as rows and columns."""
    if x.ndim == 1:
        return x.reshape((-1, 1)) * g.reshape((*g.shape[:-1], 1, g.shape[-1])) if len(y_shape) > 1 else g * x
    if len(y_shape) == 1:
        return g.reshape((prod(g.shape),)) @ rows(x)
    if len(y_shape) == 2 and x.ndim > 2:
        return rows(x).swapaxes(0, 1) @ rows(g)
    return x.swapaxes(-1, -2) @ g


@general(np.matmul, symbol="@", samples=COMBINATIONS, x=matmul_left, y=matmul_right, refuse=alike)
def matmul(x, y):
    """x @ y, shapes (…, m, k) @ (…, k, n) → (…, m, n); a vector is a row on the left, a column on the right"""
    try:
        return x.dot(y) if x.ndim == 2 == y.ndim else np.matmul(x, y)
    except ValueError:
        raise unequal(x, y) from None


def unequal(x, y):
    """The error of x @ y: which two numbers must be equal, and what would make them so."""
    if not x.ndim or not y.ndim:
        return ValueError(f"x @ y needs vectors or matrices, and {'x' if not x.ndim else 'y'} is a single number; multiply numbers with *")
    k, rows = x.shape[-1], y.shape[-2:][0]
    if k == rows:
        return ValueError(f"x @ y: leading dimensions must be equal or 1, and the shapes are {list(x.shape)} and {list(y.shape)}")
    turned = ["x @ y.T"] * (y.ndim == 2 and y.shape[1] == k) + ["x.T @ y"] * (x.ndim == 2 and x.shape[0] == rows)
    hint = f"; {' and '.join(turned)} would fit" if turned else ""
    return ValueError(f"x @ y: x, of shape {list(x.shape)}, has {k} columns, and y, of shape {list(y.shape)}, has {rows} rows; they must be "
                      f"equally many{hint}")  # fmt: skip


def linear_weight(g, x):
    """gᵀ @ x, with all leading dimensions taken together."""
    if x.ndim == 1:
        return g.reshape((-1, 1)) * x
    if x.ndim > 2:
        g, x = g.reshape((-1, g.shape[-1])), x.reshape((-1, x.shape[-1]))
    return g.swapaxes(0, 1).dot(x)


def linear_bias(g):
    """Σ g over all leading dimensions; a product with ones is three times faster than a sum of rows."""
    if g.ndim == 1:
        return g
    if g.ndim > 2:
        g = g.reshape((-1, g.shape[-1]))
    n = len(g)
    return g.sum(axis=0) if n >= 4096 or isinstance(g, Tensor) else ones(n, g.dtype).dot(g)


kept_ones: dict = {}


def ones(n, dtype):
    """A read-only vector of ones, kept: it is wanted at every step."""
    vector = kept_ones.get((n, dtype))
    if vector is None:
        vector = kept_ones[n, dtype] = np.ones(n, dtype)
        vector.flags.writeable = False
        if len(kept_ones) > 64:
            kept_ones.pop(next(iter(kept_ones)))
    return vector


def linear_input(g, weight):
    """g @ weight"""
    if g.ndim > 2:
        return (g.reshape((-1, g.shape[-1])).dot(weight)).reshape((*g.shape[:-1], weight.shape[1]))
    return g.dot(weight)


@general(symbol="linear", samples=[((4, 3), (2, 3), (2,)), ((3,), (2, 3), (2,)), ((2, 2, 3), (4, 3), (4,)), ((1, 3), (2, 3), (2,)), ((4, 3), (2, 3))],
         x=linear_input, weight=linear_weight, bias=linear_bias, refuse=alike)  # fmt: skip
def affine(x, weight, bias=None):
    """x @ weightᵀ + bias, shapes (…, in), (out, in), (out) → (…, out)"""
    try:
        if x.ndim > 2:
            out = x.reshape((-1, x.shape[-1])).dot(weight.T).reshape((*x.shape[:-1], weight.shape[0]))
        elif x.ndim:
            out = x.dot(weight.T)
        else:  # dot would multiply the whole weight
            raise misfit(x, weight)
    except ValueError:
        raise misfit(x, weight) from None
    if bias is None:
        return out
    if out.size > 4096:
        return np.add(out, bias, out)
    return np.add(out, bias.reshape(out.shape) if out.size == bias.size else bias)  # equal shapes add twice as fast


def misfit(x, weight):
    """The error of a linear map: how many numbers it takes, how many there are, and what would fit."""
    if not x.ndim:
        return ValueError("linear: the input is a single number without a dimension; give it one, as in x.reshape(1)")
    wanted = weight.shape[-1]
    hint = ""
    if x.ndim > 2 and prod(x.shape[1:]) == wanted:
        hint = f"; x.flatten(1), of shape {[x.shape[0], wanted]}, would fit"
    elif x.ndim == 2 and x.shape[0] == wanted:
        hint = f"; x.T, of shape {list(x.shape[::-1])}, would fit"
    elif x.ndim == 1 and wanted == 1:
        hint = f"; x[:, None], {x.shape[0]} samples of one number, would fit"
    return ValueError(f"linear: the input, of shape {list(x.shape)}, has {x.shape[-1]} numbers in its last dimension, and the weight, of shape "
                      f"{list(weight.shape)}, takes {wanted}{hint}")  # fmt: skip


@general(symbol="·", samples=[((3,), (3,))], x=lambda g, y: g * y, y=lambda g, x: g * x, refuse=alike)
def dot_vectors(x, y):
    """Σ x · y of two vectors"""
    if x.ndim != 1 or y.ndim != 1:
        raise ValueError("dot takes two vectors (1-d tensors); use x @ y for matrices")
    return x.dot(y)


@general(np.outer, symbol="outer", samples=[((3,), (2,))], x=lambda g, y: g @ y, y=lambda g, x: x @ g)
def outer(x, y):
    """xᵢ · yⱼ, shapes (m), (n) → (m, n)"""
    if x.ndim != 1 or y.ndim != 1:
        raise ValueError("outer takes two vectors (1-d tensors)")
    return np.outer(x, y)


def einsum_rule(g, i, operands, operands_shapes, equation):
    """The gradient of one operand: the result's place and its own exchanged; lost indices are stretched back."""
    terms, result = equation.split("->")
    terms = terms.split(",")
    mine = terms[i]
    others = [t for k, t in enumerate(terms) if k != i]
    rest = [x for k, x in enumerate(operands) if k != i]
    sizes = dict(zip(mine, operands_shapes[i]))
    available = set(result).union(*others)
    seen = "".join(dict.fromkeys(mine))  # a repeated index, as in ii->, is put on the diagonal afterwards
    reachable = "".join(c for c in seen if c in available and sizes[c] != 1)  # size 1 was stretched to the others' size
    out = einsum_of([result, *others], reachable, [g, *rest])
    found = dict(zip(reachable, out.shape))
    out = out.reshape([found.get(c, 1) for c in seen])
    out = broadcast_to(out, shape=[sizes[c] for c in seen])
    for k, c in enumerate(mine):  # open the diagonal, one repeated index at a time
        if c in mine[:k]:
            pair = {mine.index(c), k}
            mask = np.eye(sizes[c], dtype=bool).reshape([sizes[c] if a in pair else 1 for a in range(out.ndim + 1)])
            out = np.where(mask, out.reshape((*out.shape[:k], 1, *out.shape[k:])), 0)
    return out


def einsum_of(terms, result, operands):
    """einsum of arrays or tensors, with the terms given one by one."""
    return einsum_operator(*operands, equation=",".join(terms) + "->" + result)


EINSUM = [((2, 3), (3, 4), dict(equation="ij,jk->ik")), ((2, 3), (2, 3), dict(equation="ij,ij->")),
          ((2, 3), dict(equation="ij->j")), ((3, 3), dict(equation="ii->i")), ((3, 3), dict(equation="ii->")),
          ((2, 3), (3, 4), (4, 2), dict(equation="ij,jk,kl->il")), ((5, 2, 3), (5, 3, 4), dict(equation="bij,bjk->bik")),
          ((2, 1), (3, 1), dict(equation="ij,jk->ik")), ((1, 3), (4, 1), dict(equation="bi,bj->b"))]  # fmt: skip


@general(symbol="einsum", samples=EINSUM, operands=einsum_rule, refuse=alike)
def einsum_operator(*operands, equation):
    """Products of the operands' elements, summed over the indices that the result leaves out"""
    if len(operands) == 1:
        return np.einsum(equation, *operands).copy()  # ii->i is a view
    if len(operands) == 2:  # NumPy lays out the second operand's indices first, and PyTorch the first one's
        terms, result = equation.split("->")
        left, right = terms.split(",")
        equation, operands = f"{right},{left}->{result}", operands[::-1]
    return np.einsum(equation, *operands, optimize=True)


def explicit(equation, operands):
    """`equation` with its result written out and `...` replaced by letters, as the rule needs it."""
    equation = equation.replace(" ", "")
    terms, arrow, result = equation.partition("->")
    terms = terms.split(",")
    if len(terms) != len(operands):
        raise ValueError(f"einsum: {equation!r} has {len(terms)} operands, and {len(operands)} were given")
    if "..." in equation:
        unused = [c for c in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz" if c not in equation]
        extra = [array_of(x).ndim - len(t.replace("...", "")) if "..." in t else 0 for t, x in zip(terms, operands)]
        letters = "".join(unused[: max(extra)])
        terms = [t.replace("...", letters[len(letters) - n :]) for t, n in zip(terms, extra)]
        result = result.replace("...", letters) if arrow else result
        if not arrow:
            joined = "".join(terms)
            result = letters + "".join(sorted(c for c in set(joined) if joined.count(c) == 1 and c not in letters))
    elif not arrow:
        joined = "".join(terms)
        result = "".join(sorted(c for c in set(joined) if joined.count(c) == 1))
    return ",".join(terms) + "->" + result


from .reductions import broadcast_to  # noqa: E402
