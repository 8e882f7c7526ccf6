"""Factorisations beside those of api/linalg.py: LU, Householder's reflections, low-rank approximations, eigenvalues of any matrix."""

from math import prod

import numpy as np

from ..autograd.function import Function
from ..autograd.tensor import Tensor, array_of
from ..ops import shapes
from . import linalg
from .linalg import entry, matrices, mT, square, zero_info
from .spelling import both, methods, named_results, only_function
from .spelling import functions as public

__all__ = ["eig", "eigvals", "householder_product", "ldl_factor", "ldl_factor_ex", "ldl_solve", "lu", "lu_factor", "lu_factor_ex", "lu_solve"]

LU = named_results("linalg_lu", "P L U")
Factors = named_results("linalg_lu_factor", "LU pivots")
FactorsEx = named_results("linalg_lu_factor_ex", "LU pivots info")
LDL = named_results("linalg_ldl_factor", "LD pivots")
LDLEx = named_results("linalg_ldl_factor_ex", "LD pivots info")
Eig = named_results("linalg_eig", "eigenvalues eigenvectors")
GeQRF = named_results("geqrf", "a tau")


# --- Gauss ---------------------------------------------------------------------------------------------------------------


def row_order(array, pivot=True):
    """The order of one matrix's rows in which every pivot is the largest of its column, and the exchanges that lead to it."""
    a, (m, n) = array.astype(np.float64), array.shape
    order, exchanges = np.arange(m), np.arange(min(m, n))
    for k in range(min(m, n)):
        best = k + int(np.abs(a[k:, k]).argmax()) if pivot else k
        exchanges[k] = best
        a[[k, best]], order[[k, best]] = a[[best, k]], order[[best, k]]
        if a[k, k] != 0:
            a[k + 1 :, k:] -= np.outer(a[k + 1 :, k] / a[k, k], a[k, k:])
    return order, exchanges


def eliminate(A, pivot=True):
    """(order of the rows, exchanges, L, U) of matrices (…, m, n), by Gauss's elimination in steps that have gradients."""
    *batch, m, n = A.shape
    flat = A.array.reshape(-1, m, n)
    found = [row_order(a, pivot) for a in flat]
    order = np.array([o for o, _ in found], np.int64).reshape(*batch, m)
    exchanges = np.array([e for _, e in found], np.int64).reshape(*batch, min(m, n))
    rest = public["take_along_dim"](A, Tensor(np.broadcast_to(order[..., None], A.shape).copy(), None), -2)
    columns, rows = [], []
    for k in range(min(m, n)):
        row, column = rest[..., :1, :], rest[..., :, :1]
        pivot_value = row[..., :1]
        singular = pivot_value.array == 0
        factor = column / (pivot_value if not singular.any() else public["where"](Tensor(singular, None), 1.0, pivot_value))
        columns.append(shapes.pad_constant(factor, widths=((0, 0),) * len(batch) + ((k, 0), (0, 0)), value=0.0))
        rows.append(shapes.pad_constant(row, widths=((0, 0),) * len(batch) + ((0, 0), (k, 0)), value=0.0))
        rest = rest[..., 1:, 1:] - factor[..., 1:, :] * row[..., 1:]
    lower = shapes.concatenate(*columns, axis=-1)
    one = Tensor(np.eye(m, min(m, n), dtype=A.dtype), None)
    return order, exchanges, lower.tril(-1) + one, shapes.concatenate(*rows, axis=-2)


def permutation(order, dtype):
    """The matrix P with A = P · (A in the given order of rows)."""
    return Tensor(np.ascontiguousarray(np.eye(order.shape[-1], dtype=dtype)[order].swapaxes(-1, -2)), None)


@entry
def lu(A, *, pivot=True):
    """The named tuple (P, L, U) with A = P · L · U: a permutation, a lower and an upper triangle

    >>> import tinygrad_edu as tg
    >>> P, L, U = tg.linalg.lu(tg.tensor([[1.0, 2.0], [3.0, 4.0]]))
    >>> (P @ L @ U).tolist()
    [[1.0, 2.0], [3.0, 4.0]]
    """
    order, _, lower, upper = eliminate(matrices("lu", A), pivot)
    return LU(permutation(order, A.dtype) if pivot else Tensor(np.empty(0, A.dtype), None), lower, upper)


@entry
def lu_factor(A, *, pivot=True):
    """The pair (LU, pivots) for lu_solve: L below the diagonal, U above it, and the exchanges of rows, counted from 1"""
    _, exchanges, lower, upper = eliminate(matrices("lu_factor", A), pivot)
    m, n = A.shape[-2:]
    whole = lower.tril(-1)
    if n > m:
        whole = shapes.pad_constant(whole, widths=((0, 0),) * (A.ndim - 1) + ((0, n - m),), value=0.0)
    if m > n:
        upper = shapes.pad_constant(upper, widths=((0, 0),) * (A.ndim - 2) + ((0, m - n), (0, 0)), value=0.0)
    return Factors(whole + upper, Tensor((exchanges + 1).astype(np.int32), None))


@entry
def lu_factor_ex(A, *, pivot=True, check_errors=False):
    """lu_factor, and zeros where PyTorch has error codes"""
    return FactorsEx(*lu_factor(A, pivot=pivot), zero_info(A))


def unpacked(factors, pivots):
    """(P, L, U) of what lu_factor returned."""
    m, n = factors.shape[-2:]
    k, exchanges = min(m, n), array_of(pivots).astype(int) - 1
    flat, orders = exchanges.reshape(-1, exchanges.shape[-1]), []
    for row in flat:
        order = np.arange(m)
        for i, j in enumerate(row):
            order[[i, j]] = order[[j, i]]
        orders.append(order)
    order = np.array(orders, int).reshape(*exchanges.shape[:-1], m)
    lower = factors[..., :, :k].tril(-1) + Tensor(np.eye(m, k, dtype=factors.dtype), None)
    return permutation(order, factors.dtype), lower, factors[..., :k, :].triu()


@entry
def lu_solve(LU, pivots, B, *, left=True, adjoint=False):
    """X with A · X = B, from what lu_factor made of A"""
    P, lower, upper = unpacked(LU, pivots)
    if not left:
        return mT(lu_solve(LU, pivots, mT(B), adjoint=not adjoint))
    if adjoint:
        return P @ linalg.solve_triangular(mT(lower), linalg.solve_triangular(mT(upper), B, upper=False), upper=True, unitriangular=True)
    return linalg.solve_triangular(upper, linalg.solve_triangular(lower, mT(P) @ B, upper=False, unitriangular=True), upper=True)


@both("lu_solve")
def top_lu_solve(b, LU_data, LU_pivots):
    """X with A · X = b, from what lu_factor made of A"""
    return lu_solve(LU_data, LU_pivots, b)


@only_function("lu_unpack")
def lu_unpack(LU_data, LU_pivots, unpack_data=True, unpack_pivots=True):
    """The named tuple (P, L, U) of what lu_factor returned"""
    return LU(*unpacked(LU_data, LU_pivots))


@both("lu")
def top_lu(input, pivot=True, get_infos=False):
    """What lu_factor returns, under a former name"""
    found = lu_factor(input, pivot=pivot)
    return (*found, zero_info(input)) if get_infos else found


# --- symmetric matrices --------------------------------------------------------------------------------------------------------


class Underived(Function):
    """A result that has no derivative"""

    @staticmethod
    def forward(ctx, name, result, *inputs):
        """What was computed before."""
        ctx.name = name
        return result

    @staticmethod
    def backward(ctx, *gradients):
        """Refused."""
        raise NotImplementedError(f"linalg.{ctx.name}: there is no derivative, as in PyTorch; use linalg.solve, which has one")


GROWTH = (1 + 17**0.5) / 8  # a pivot this large beside its column keeps the numbers small (Bunch and Kaufman 1977)


def mirrored(a):
    """The symmetric matrix with the lower triangle of a."""
    return np.tril(a) + np.tril(a, -1).T


def chosen_pivot(a, k):
    """(which row comes to the diagonal, how many rows the pivot has: 1 or 2) for the symmetric matrix a, whose lower triangle is kept."""
    below = np.abs(a[k + 1 :, k])
    largest = below.max(initial=0)
    if abs(a[k, k]) >= GROWTH * largest:
        return k, 1
    row = k + 1 + int(below.argmax())
    beside = max(np.abs(a[row, k:row]).max(), np.abs(a[row + 1 :, row]).max(initial=0))
    if abs(a[k, k]) * beside >= GROWTH * largest * largest:
        return k, 1
    return row, 1 if abs(a[row, row]) >= GROWTH * beside else 2


def symmetric_elimination(a):
    """(the place of the first pivot that is 0, counted from 1, else 0; pivots): a becomes L below the diagonal blocks D.

    A pivot p > 0 says that rows k and p − 1 were exchanged; two equal ones p < 0, that row k + 1 was with −p − 1, under a block of two.
    """
    n, k, info, pivots = len(a), 0, 0, np.empty(len(a), np.int32)
    while k < n:
        row, size = chosen_pivot(a, k)
        last = k + size - 1
        if row != last:
            whole = mirrored(a[k:, k:])
            i, j = last - k, row - k
            whole[[i, j]] = whole[[j, i]]
            whole[:, [i, j]] = whole[:, [j, i]]
            a[k:, k:] = np.tril(whole)
        columns, block = a[last + 1 :, k : last + 1].copy(), mirrored(a[k : last + 1, k : last + 1])
        if size == 1 and block[0, 0] == 0:
            info = info or k + 1
        else:
            a[last + 1 :, k : last + 1] = np.linalg.solve(block, columns.T).T
            a[last + 1 :, last + 1 :] -= np.tril(a[last + 1 :, k : last + 1] @ columns.T)
        pivots[k : last + 1] = row + 1 if size == 1 else -(row + 1)
        k = last + 1
    return info, pivots


@entry
def ldl_factor_ex(A, *, hermitian=False, check_errors=False):
    """The triple (LD, pivots, info): symmetric A as L · D · Lᵀ with rows exchanged, info the first pivot that is 0, counted from 1, or 0"""
    square("ldl_factor_ex", A)
    n = A.shape[-1]
    found = np.tril(A.array).reshape(prod(A.shape[:-2]), n, n)
    steps = [symmetric_elimination(a) for a in found]
    info = np.array([i for i, _ in steps], np.int32).reshape(A.shape[:-2])
    pivots = np.array([p for _, p in steps], np.int32).reshape(A.shape[:-1])
    LD = Tensor(found.reshape(A.shape), None)
    return LDLEx(Underived.apply("ldl_factor", LD, A) if A.requires_grad else LD, Tensor(pivots, None), Tensor(info[()], None))


@entry
def ldl_factor(A, *, hermitian=False):
    """The pair (LD, pivots) for ldl_solve: symmetric A as L · D · Lᵀ with rows exchanged; D has blocks of one and of two rows

    >>> import tinygrad_edu as tg
    >>> A = tg.tensor([[1.0, 2.0], [2.0, 1.0]])
    >>> tg.linalg.ldl_solve(*tg.linalg.ldl_factor(A), tg.tensor([[3.0], [3.0]])).tolist()
    [[1.0], [1.0]]
    """
    LD, pivots, info = ldl_factor_ex(A, hermitian=hermitian)
    if array_of(info).any():
        raise linalg.LinAlgError("linalg.ldl_factor: a pivot is 0, so the matrix is singular; ldl_factor_ex says which")
    return LDL(LD, pivots)


@entry
def ldl_solve(LD, pivots, B, *, hermitian=False):
    """X with A · X = B, from what ldl_factor made of A; shapes (…, n, n), (…, n) and (…, n, k)"""
    square("ldl_solve", LD)
    if B.ndim < 2:
        raise IndexError(f"linalg.ldl_solve: B must be matrices (…, n, k), and has shape {list(B.shape)}; use B.unsqueeze(-1) for a vector")
    factors, places, right = LD.array, array_of(pivots), B.array
    batch = np.broadcast_shapes(factors.shape[:-2], right.shape[:-2])
    out = np.broadcast_to(right, (*batch, *right.shape[-2:])).copy()
    n = factors.shape[-1]
    factors, places = np.broadcast_to(factors, (*batch, n, n)), np.broadcast_to(places, (*batch, n))
    for at in np.ndindex(*batch):
        solve_in_place(factors[at], places[at], out[at])
    result = Tensor(out, None)
    return Underived.apply("ldl_solve", result, LD, B) if LD.requires_grad or B.requires_grad else result


def solve_in_place(a, pivots, x):
    """x becomes the solution: down through L and D with the exchanges, and up through Lᵀ with them."""
    n, k, blocks = len(a), 0, []
    while k < n:
        size = 1 if pivots[k] > 0 else 2
        last, row = k + size - 1, abs(pivots[k]) - 1
        blocks.append((k, last, row))
        x[[last, row]] = x[[row, last]]
        x[last + 1 :] -= a[last + 1 :, k : last + 1] @ x[k : last + 1]
        x[k : last + 1] = np.linalg.solve(mirrored(a[k : last + 1, k : last + 1]), x[k : last + 1])
        k = last + 1
    for k, last, row in reversed(blocks):
        x[k : last + 1] -= a[last + 1 :, k : last + 1].T @ x[last + 1 :]
        x[[last, row]] = x[[row, last]]


# --- Householder -----------------------------------------------------------------------------------------------------------


@both("geqrf")
def geqrf(input):
    """The pair (a, tau): R above the diagonal, and the reflections whose product is Q, for householder_product"""
    a, tau = np.linalg.qr(matrices("geqrf", input).array, mode="raw")
    return GeQRF(Tensor(np.ascontiguousarray(a.swapaxes(-1, -2)), None), Tensor(tau, None))


@entry
def householder_product(A, tau):
    """The first columns of H₁ · H₂ ⋯ with Hᵢ = 1 − τᵢ · vᵢ · vᵢᵀ, the vectors v below the diagonal of A (…, m, n)"""
    *_, m, n = matrices("householder_product", A).shape
    vectors = A[..., :, : tau.shape[-1]].tril(-1) + Tensor(np.eye(m, tau.shape[-1], dtype=A.dtype), None)
    out = Tensor(np.broadcast_to(np.eye(m, n, dtype=A.dtype), A.shape).copy(), None)
    for i in reversed(range(tau.shape[-1])):
        v = vectors[..., i : i + 1]
        out = out - (tau[..., i, None, None] * v) @ (mT(v) @ out)
    return out


@both("orgqr")
def orgqr(input, tau):
    """householder_product under a former name"""
    return householder_product(input, tau)


@both("ormqr")
def ormqr(input, tau, other, left=True, transpose=False):
    """Q · other, with the whole Q of the reflections in input and tau; Qᵀ with transpose, other · Q without left"""
    m = input.shape[-2]
    wide = shapes.pad_constant(input, widths=((0, 0),) * (input.ndim - 1) + ((0, max(0, m - input.shape[-1])),), value=0.0)
    q = householder_product(wide[..., :m], tau)
    q = mT(q) if transpose else q
    return q @ other if left else other @ q


# --- approximations ----------------------------------------------------------------------------------------------------------


@only_function("svd_lowrank")
def svd_lowrank(A, q=6, niter=2, M=None):
    """The first q singular values and vectors, approximately: (U, S, V) (Halko et al. 2009)"""
    A = A if M is None else A - M
    wide = A.shape[-2] < A.shape[-1]
    A = mT(A) if wide else A
    Q = linalg.qr(A @ public["randn"](A.shape[-1], q, dtype=A.dtype)).Q
    for _ in range(niter):
        Q = linalg.qr(mT(A) @ Q).Q
        Q = linalg.qr(A @ Q).Q
    U, S, Vh = linalg.svd(mT(Q) @ A, full_matrices=False)
    U, V = Q @ U, mT(Vh)
    return linalg.TopSVD(V, S, U) if wide else linalg.TopSVD(U, S, V)


@only_function("pca_lowrank")
def pca_lowrank(A, q=None, center=True, niter=2):
    """The first q principal components of the rows of A, approximately: (U, S, V)"""
    q = min(6, *A.shape[-2:]) if q is None else q
    return svd_lowrank(A - A.mean(-2, keepdim=True) if center else A, q, niter)


# --- eigenvalues -------------------------------------------------------------------------------------------------------------


def eigensystem(name, A):
    """NumPy's eigenvalues and eigenvectors, as complex constants."""
    if getattr(A, "dtype", np.dtype(float)).kind != "c":
        square(name, A)
    elif A.ndim < 2 or A.shape[-1] != A.shape[-2]:
        raise RuntimeError(f"linalg.{name}: expected square matrices, shape (…, n, n), got shape {list(A.shape)}")
    kind = np.result_type(A.dtype, np.complex64)
    values, vectors = np.linalg.eig(A.array)
    return Tensor(values.astype(kind), None), Tensor(vectors.astype(kind), None)


def with_history(name, A):
    """The eigenvalues and eigenvectors, in a graph where the matrices are in one."""
    found = eigensystem(name, A)
    if not A.requires_grad:
        return found
    from .complexes import ComplexTensor, Eigensystem, parts

    values = Eigensystem.apply(*parts(A), *(x.array for x in found))
    return ComplexTensor(*values[:2]), ComplexTensor(*values[2:])


@entry
def eig(A):
    """The named tuple (eigenvalues, eigenvectors) of square matrices: complex numbers

    Gradients are finite where all eigenvalues differ, and defined where the loss does not depend on the phase of the eigenvectors.
    """
    return Eig(*with_history("eig", A))


@entry
def eigvals(A):
    """The eigenvalues of square matrices: complex numbers

    >>> import tinygrad_edu as tg
    >>> tg.linalg.eigvals(tg.tensor([[0.0, -2.0], [2.0, 0.0]])).abs()
    tensor([2., 2.])
    """
    return with_history("eigvals", A)[0]


public["matrix_rank"] = methods["matrix_rank"] = linalg.matrix_rank
