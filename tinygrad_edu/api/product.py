"""Products of vectors and matrices in PyTorch's spelling."""

import numpy as np

from ..autograd.tensor import Tensor, array_of
from ..ops import products
from .spelling import as_tensor, both, only_function
from .spelling import functions as public


def both_dims(name, input, other, n, m):
    """Refuse operands of another number of dimensions."""
    if input.ndim != n or other.ndim != m:
        raise RuntimeError(f"{name}: expected {n} and {m} dimensions, got shapes {list(input.shape)} and {list(other.shape)}; "
                           "use x @ y for any number")  # fmt: skip


@both("matmul")
def matmul(input, other):
    """input @ other, shapes (…, m, k) @ (…, k, n) → (…, m, n)"""
    return products.matmul(input, other)


@both("mm")
def mm(input, mat2):
    """The product of two matrices"""
    both_dims("mm", input, mat2, 2, 2)
    return products.matmul(input, mat2)


@both("bmm")
def bmm(input, mat2):
    """The products of two batches of matrices, (b, m, k) and (b, k, n)"""
    both_dims("bmm", input, mat2, 3, 3)
    if input.shape[0] != mat2.shape[0]:
        raise RuntimeError(f"bmm: batches of {input.shape[0]} and {mat2.shape[0]} matrices; they must be the same")
    return products.matmul(input, mat2)


@both("mv")
def mv(input, vec):
    """The product of a matrix and a vector"""
    both_dims("mv", input, vec, 2, 1)
    return products.matmul(input, vec)


@both("dot")
def dot(input, tensor):
    """Σ input · tensor, of two vectors"""
    if not isinstance(tensor, Tensor) or input.ndim != 1 or tensor.ndim != 1:
        if input.ndim == 2 or np.ndim(array_of(tensor)) == 2:
            return products.matmul(input, tensor)  # NumPy's meaning, which derivative rules use
        both_dims("dot", input, as_tensor(tensor), 1, 1)
    return products.dot_vectors(input, tensor)


@both("inner")
def inner(input, other):
    """Σ over the last dimensions of both"""
    if not input.ndim or not other.ndim:
        return input * other
    return tensordot_last(input, other)


def tensordot_last(x, y):
    """The contraction of both last dimensions."""
    rows = x.reshape(-1, x.shape[-1]) @ y.reshape(-1, y.shape[-1]).transpose(0, 1)
    return rows.reshape(*x.shape[:-1], *y.shape[:-1])


@both("vdot")
def vdot(input, other):
    """Σ input* · other, of two vectors"""
    return dot(public["conj"](input), other)


@both("outer", "ger")
def outer(input, vec2):
    """inputᵢ · vec2ⱼ"""
    return products.outer(input, vec2)


@only_function("einsum")
def einsum(equation, *operands):
    """Products of the operands' elements, summed over the indices that the result leaves out

    >>> import tinygrad_edu as tg
    >>> tg.einsum("ij,jk->ik", tg.ones(2, 3), tg.ones(3, 2)).shape
    Size([2, 2])
    """
    if isinstance(equation, Tensor):
        equation, operands = from_sublists(equation, *operands)
    if len(operands) == 1 and isinstance(operands[0], (list, tuple)):
        operands = tuple(operands[0])
    equation = products.explicit(equation, operands)
    sizes: dict = {}
    for term, x in zip(equation.partition("->")[0].split(","), operands):
        if len(term) != x.ndim:
            raise RuntimeError(f"einsum: the term {term!r} has {len(term)} indices, and its operand has shape {list(x.shape)}")
        for c, n in zip(term, x.shape):
            if sizes.setdefault(c, n) not in (n, 1) and n != 1:
                raise RuntimeError(f"einsum: index {c!r} has size {sizes[c]} in one operand and {n} in another")
    return products.einsum_operator(*operands, equation=equation)


def from_sublists(*arguments):
    """(equation, operands) of einsum(x, [0, 1], y, [1, 2], [0, 2]), where numbers from 0 to 51, or ..., stand for the indices."""
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    operands = [a for a in arguments if isinstance(a, Tensor)]
    terms = ["".join("..." if i is Ellipsis else letters[i] for i in a) for a in arguments if not isinstance(a, Tensor)]
    n = len(operands)
    return ",".join(terms[:n]) + "".join("->" + term for term in terms[n:]), operands


def blended(name, input, product, beta, alpha):
    """β · input + α · product; β = 0 leaves the input out, NaN and all."""
    if product.dtype.kind in "iub" and any(isinstance(factor, float) for factor in (beta, alpha)):
        raise RuntimeError(f"{name}: beta={beta} and alpha={alpha} must be integers for tensors of {product.dtype}")
    product = product if alpha == 1 else alpha * product
    if beta == 0:
        shape = np.broadcast_shapes(input.shape, product.shape)
        return product + Tensor(np.zeros(shape, input.dtype), None) if shape != product.shape else product
    return (input if beta == 1 else beta * input) + product


@both("addmm")
def addmm(input, mat1, mat2, *, beta=1, alpha=1):
    """β · input + α · mat1 @ mat2"""
    return blended("addmm", input, mat1 @ mat2, beta, alpha)


@both("addmv")
def addmv(input, mat, vec, *, beta=1, alpha=1):
    """β · input + α · mat @ vec"""
    return blended("addmv", input, mat @ vec, beta, alpha)


@both("baddbmm")
def baddbmm(input, batch1, batch2, *, beta=1, alpha=1):
    """β · input + α · batch1 @ batch2"""
    return blended("baddbmm", input, batch1 @ batch2, beta, alpha)


@both("addbmm")
def addbmm(input, batch1, batch2, *, beta=1, alpha=1):
    """β · input + α · Σ batch1 @ batch2 over the batch"""
    return blended("addbmm", input, (batch1 @ batch2).sum(0), beta, alpha)


@both("addr")
def addr(input, vec1, vec2, *, beta=1, alpha=1):
    """β · input + α · vec1ᵢ · vec2ⱼ"""
    return blended("addr", input, products.outer(vec1, vec2), beta, alpha)


@both("kron")
def kron(input, other):
    """The Kronecker product: each element of input times the whole of other"""
    n = max(input.ndim, other.ndim)
    a = input.reshape((1,) * (n - input.ndim) + tuple(input.shape))
    b = other.reshape((1,) * (n - other.ndim) + tuple(other.shape))
    for i in range(n):
        a, b = a.unsqueeze(2 * i + 1), b.unsqueeze(2 * i)
    out = a * b
    return out.reshape([out.shape[2 * i] * out.shape[2 * i + 1] for i in range(n)])


@both("cross")
def cross(input, other, dim=None):
    """The vector product of 3-vectors along dim, the first dimension of size 3 unless given"""
    if dim is None:
        dim = next((d for d, n in enumerate(input.shape) if n == 3), -1)
    a, b = input.unbind(dim), other.unbind(dim)
    if len(a) != 3 or len(b) != 3:
        raise RuntimeError(f"cross: dimension {dim} must have size 3 in both, got {len(a)} and {len(b)}")
    from .shape import stack

    return stack((a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]), dim)


@only_function("cdist")
def cdist(x1, x2, p=2.0, compute_mode=None):
    """The distances between all pairs of rows, (…, m, k) and (…, n, k) → (…, m, n)"""
    from ..ops.reductions import vector_norm

    return vector_norm(x1.unsqueeze(-2) - x2.unsqueeze(-3), axis=-1, order=float(p) if p != 2 else 2)
