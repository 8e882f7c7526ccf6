"""Factorisations beside those of api/linalg.py: LU, Householder's reflections, low-rank approximations, eigenvalues of any matrix."""

import numpy as np

from ..autograd.tensor import Tensor, array_of
from ..ops import shapes
from . import linalg
from .linalg import entry, matrices, mT, square, zero_info
from .spelling import both, methods, named_results, only_function
from .spelling import functions as public

__all__ = ["eig", "eigvals", "householder_product", "lu", "lu_factor", "lu_factor_ex", "lu_solve"]

LU = named_results("linalg_lu", "P L U")
Factors = named_results("linalg_lu_factor", "LU pivots")
FactorsEx = named_results("linalg_lu_factor_ex", "LU pivots info")
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
