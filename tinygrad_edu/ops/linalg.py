"""Linear algebra on (…, n, n) and (…, m, n) matrices: NumPy's LAPACK calls and their derivative rules.

A decomposition has several results and an operator has one: `eigh`, `svd` and `qr` return their factors side by side in
one array, which `split_eigh` and its kin take apart. The rules are those of Giles (2008), "Collected matrix derivative
results for forward and reverse mode algorithmic differentiation", with the signs of real matrices.
`domain`, where an operator needs special matrices, is a function that makes one of any matrix.
"""

import numpy as np

from ..autograd.operator import general, undifferentiable
from ..autograd.refusals import alike
from ..autograd.tensor import array_of

SQUARE = [((3, 3),), ((3, 1, 2, 2),)]
TALL = [((4, 3),), ((2, 3, 2),)]


def mT(x):
    """The transposed matrices."""
    return x.swapaxes(-1, -2)


def row(x):
    """Vectors as matrices of one row: a factor for each column."""
    return x.reshape((*x.shape[:-1], 1, x.shape[-1]))


def column(x):
    """Vectors as matrices of one column: a factor for each row."""
    return x.reshape((*x.shape, 1))


def identity(x):
    """The identity matrix as large as the rows of x."""
    return np.eye(x.shape[-1], dtype=x.dtype)


def lower_ones(x):
    """Ones on and below the diagonal of a matrix as large as the rows of x."""
    return np.tri(x.shape[-1], dtype=x.dtype)


def well_conditioned(x):
    """x + 3·1, far from singular for small entries."""
    return x * 0.3 + 3 * identity(x)


def symmetric(x):
    """x + xᵀ + diag(1, 3, …): symmetric, with distinct eigenvalues."""
    return 0.3 * (x + mT(x)) + np.diag(2.0 * np.arange(x.shape[-1]) + 1).astype(x.dtype)


def positive_definite(x):
    """x·xᵀ + 1"""
    return x @ mT(x) + identity(x)


@general(np.linalg.inv, symbol="⁻¹", domain=well_conditioned, samples=SQUARE, floats=True,
         x=lambda g, out: -(mT(out) @ g @ mT(out)))  # fmt: skip
def inv(x):
    """x⁻¹, shape (…, n, n)"""
    return np.linalg.inv(x)


def solve_rule(g, a, out, needs):
    """For b, the solution of aᵀ · y = g; for a, −y · outᵀ."""
    y = solve(mT(a), g)
    return (-(y @ mT(out)) if needs[0] else None), y


@general(symbol="solve", domain=dict(a=well_conditioned), samples=[((3, 3), (3, 2)), ((2, 3, 3), (3, 1))], floats=True,
         promote=("a", "b"), together=solve_rule, refuse=alike)  # fmt: skip
def solve(a, b):
    """a⁻¹ · b, shapes (…, n, n) and (…, n, k) → (…, n, k)"""
    return np.linalg.solve(a, b)


def cofactors(x, out):
    """The derivative of the determinant: det · x⁻ᵀ, or where x is nearly singular, the determinants of its minors."""
    n = x.shape[-1]
    array = array_of(x)
    try:
        inverse = np.linalg.inv(array)
        regular = np.abs(inverse).max(initial=0) * np.abs(array).max(initial=0) * n < 1e6
    except np.linalg.LinAlgError:
        regular = False
    if regular:
        return column(column(out)) * mT(inv(x))
    others = np.array([[k for k in range(n) if k != i] for i in range(n)], np.int64)
    minors = x[(Ellipsis, others[:, None, :, None], others[None, :, None, :])]
    return det(minors) * ((-1.0) ** np.add.outer(np.arange(n), np.arange(n))).astype(x.dtype)


@general(np.linalg.det, symbol="det", samples=SQUARE, floats=True, x=lambda g, x, out: column(column(g)) * cofactors(x, out))
def det(x):
    """The determinant of x, shape (…, n, n) → (…)"""
    return np.linalg.det(x)


@general(symbol="ln|det|", domain=well_conditioned, samples=SQUARE, floats=True, x=lambda g, x: column(column(g)) * mT(inv(x)))
def log_abs_det(x):
    """ln |det x|, shape (…, n, n) → (…)"""
    return np.linalg.slogdet(x)[1]


@undifferentiable(floats=True)
def det_sign(x):
    """The sign of det x: −1, 0 or 1"""
    return np.linalg.slogdet(x)[0]


def cholesky_rule(g, out):
    """L⁻ᵀ · Φ(Lᵀ·g) · L⁻¹ made symmetric, where Φ takes the lower triangle with half of the diagonal."""
    inner = mT(out) @ g
    inner = inner * (lower_ones(out) - 0.5 * identity(out))
    y = solve(mT(out), mT(solve(mT(out), inner)))  # or its transpose, which is as good
    return 0.5 * (y + mT(y))


@general(np.linalg.cholesky, symbol="chol", domain=positive_definite, samples=SQUARE, floats=True, x=cholesky_rule)
def cholesky(x):
    """L with L · Lᵀ = x, lower triangular, for symmetric positive definite x"""
    return np.linalg.cholesky(x)


def quotient(numerator, gaps):
    """numerator / gaps; where both are 0, as between equal eigenvalues that the result treats alike, 0."""
    free = (array_of(gaps) == 0) & (array_of(numerator) == 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(free, 0, numerator / np.where(free, 1, gaps))


def eigh_rule(g, out):
    """V · ((Vᵀ·gV) / (wⱼ − wᵢ) + diag gw) · Vᵀ, its symmetric part: both triangles of x count alike"""
    w, v = split_eigh(out)
    gw, gv = split_eigh(g)
    inner = quotient((mT(v) @ gv) * (1 - identity(v)), row(w) - column(w)) + row(gw) * identity(v)
    return v @ ((inner + mT(inner)) / 2) @ mT(v)


@general(symbol="eigh", domain=symmetric, samples=SQUARE, floats=True, x=eigh_rule)
def eigh_packed(x):
    """Eigenvalues and eigenvectors of symmetric x: row 0 is w, the rows below are V, with x · V = V · diag w"""
    w, v = np.linalg.eigh(x)
    return np.concatenate([row(w), v], axis=-2)


def split_eigh(packed):
    """w and V from the result of eigh_packed."""
    return packed[..., 0, :], packed[..., 1:, :]


def eigvalsh_rule(g, x):
    """V · diag(g) · Vᵀ"""
    _, v = split_eigh(eigh_packed(x))
    return (v * row(g)) @ mT(v)


@general(np.linalg.eigvalsh, symbol="eigvalsh", domain=symmetric, samples=SQUARE, floats=True, x=eigvalsh_rule)
def eigvalsh(x):
    """The eigenvalues of symmetric x in ascending order, shape (…, n, n) → (…, n)"""
    return np.linalg.eigvalsh(x)


def svd_rule(g, x_shape, out):
    """U · (skew(Uᵀ·gU)/E · S + S · skew(Vᵀ·gV)/E + diag gS) · Vᵀ with Eᵢⱼ = sⱼ² − sᵢ², and what lies outside of U and V"""
    m, n = x_shape[-2:]
    u, s, vh = split_svd(out, m)
    gu, gs, gvh = split_svd(g, m)
    gaps = row(s * s) - column(s * s)
    left, right = mT(u) @ gu, vh @ mT(gvh)
    left, right = quotient(left - mT(left), gaps), quotient(right - mT(right), gaps)
    inner = left * row(s) + column(s) * right + row(gs) * identity(left)
    result = u @ inner @ vh
    if m > n:
        result = result + outside(u, quotient(gu, row(s))) @ vh
    if n > m:
        result = result + u @ mT(outside(mT(vh), mT(quotient(gvh, column(s)))))
    return result


def outside(u, x):
    """(1 − U·Uᵀ) · x, the part of x that the columns of U do not span."""
    return x - u @ (mT(u) @ x)


@general(symbol="svd", domain=lambda x: x + np.eye(*x.shape[-2:], dtype=x.dtype) * np.arange(1, x.shape[-1] + 1, dtype=x.dtype),
         samples=[((3, 3),), ((2, 4, 3),), ((2, 2, 3),)], floats=True, x=svd_rule)  # fmt: skip
def svd_packed(x):
    """Singular values and vectors of x, (…, m, n) → (…, k, m + 1 + n): row i holds uᵢ, sᵢ and vᵢ"""
    u, s, vh = np.linalg.svd(x, full_matrices=False)
    return np.concatenate([mT(u), column(s), vh], axis=-1)


def split_svd(packed, m):
    """U, S and Vᵀ from the result of svd_packed; m is the number of rows of the matrix."""
    return mT(packed[..., :m]), packed[..., m], packed[..., m + 1 :]


def svdvals_rule(g, x):
    """U · diag(g) · Vᵀ"""
    u, _, vh = split_svd(svd_packed(x), x.shape[-2])
    return (u * row(g)) @ vh


@general(symbol="svdvals", samples=[((3, 3),), ((4, 3),), ((2, 2, 3),)], floats=True, x=svdvals_rule)
def svdvals(x):
    """The singular values of x in descending order, (…, m, n) → (…, min(m, n))"""
    return np.linalg.svd(x, compute_uv=False)


def qr_rule(g, x_shape, out):
    """(gQ + Q · sym(triu(gR·Rᵀ − Qᵀ·gQ))) · R⁻ᵀ for m ≥ n"""
    q, r = split_qr(out, x_shape[-2])
    gq, gr = split_qr(g, x_shape[-2])
    inner = gr @ mT(r) - mT(q) @ gq
    upper = inner * mT(lower_ones(r))
    both = upper + mT(upper) * (1 - identity(r))
    return mT(solve(r, mT(gq + q @ both)))


@general(symbol="qr", domain=lambda x: x + 2 * np.eye(*x.shape[-2:], dtype=x.dtype), samples=[((3, 3),), *TALL], floats=True, x=qr_rule)
def qr_packed(x):
    """Q · R = x with orthonormal columns Q and upper triangular R, for m ≥ n: Qᵀ and R side by side, (…, n, m + n)"""
    q, r = np.linalg.qr(x)
    return np.concatenate([mT(q), r], axis=-1)


def split_qr(packed, m):
    """Q and R from the result of qr_packed; m is the number of rows of the matrix."""
    return mT(packed[..., :m]), packed[..., m:]


def pinv_rule(g, x, out):
    """−Pᵀ·g·Pᵀ + (1 − x·P)·gᵀ·P·Pᵀ + Pᵀ·P·gᵀ·(1 − P·x) (Golub and Pereyra 1973), for constant rank"""
    p, pt, gt = out, mT(out), mT(g)
    result = -(pt @ g @ pt)
    after = gt @ (p @ pt)
    before = (pt @ p) @ gt
    return result + after - x @ (p @ after) + before - (before @ p) @ x


@general(symbol="⁺", samples=[((3, 3),), ((4, 2),), ((2, 2, 3),)], floats=True,
         domain=lambda x: x + 2 * np.eye(*x.shape[-2:], dtype=x.dtype), x=pinv_rule)  # fmt: skip
def pinv_within(x, *, atol=0.0, rtol=None):
    """The Moore-Penrose inverse of x, (…, m, n) → (…, n, m); singular values up to max(atol, rtol · largest) count as 0"""
    u, s, vh = np.linalg.svd(x, full_matrices=False)
    small = s <= limit_of(x, s, atol, rtol)
    inverse = np.where(small, 0, 1 / np.where(small, 1, s))
    return mT(vh) @ (column(inverse) * mT(u))


def limit_of(x, values, atol, rtol):
    """Up to which size the singular values of x count as zero, shape (…, 1)."""
    rtol = max(x.shape[-2:]) * np.finfo(x.dtype).eps if rtol is None else np.asarray(rtol)[..., None]
    return np.maximum(np.asarray(atol)[..., None], rtol * np.abs(values).max(axis=-1, keepdims=True, initial=0))


PADE = (64764752532480000.0, 32382376266240000.0, 7771770303897600.0, 1187353796428800.0, 129060195264000.0,
        10559470521600.0, 670442572800.0, 33522128640.0, 1323241920.0, 40840800.0, 960960.0, 16380.0, 182.0)  # and 1; fmt: skip


def matrix_exp_rule(g, x):
    """The corner of exp([[xᵀ, g], [0, xᵀ]]), the derivative of exp at xᵀ in the direction g (Najfeld and Havel 1995)"""
    n = x.shape[-1]
    upper = np.concatenate([mT(x), g], axis=-1)
    lower = np.concatenate([np.zeros_like(array_of(x)), mT(x)], axis=-1)
    return matrix_exp(np.concatenate([upper, lower], axis=-2))[..., :n, n:]


@general(symbol="exp", domain=lambda x: x * 0.5, samples=SQUARE, floats=True, x=matrix_exp_rule)
def matrix_exp(x):
    """Σ xᵏ / k!, the exponential of a matrix, by scaling and squaring (Higham 2005)"""
    size = np.abs(x).sum(axis=-2).max(initial=0)
    squarings = int(np.ceil(np.log2(size / 5.37))) if 5.37 < size < np.inf else 0
    x = x / 2**squarings
    one, x2 = identity(x), x @ x
    x4 = x2 @ x2
    x6 = x4 @ x2
    b = PADE
    odd = x @ (x6 @ (x6 + b[11] * x4 + b[9] * x2) + b[7] * x6 + b[5] * x4 + b[3] * x2 + b[1] * one)
    even = x6 @ (b[12] * x6 + b[10] * x4 + b[8] * x2) + b[6] * x6 + b[4] * x4 + b[2] * x2 + b[0] * one
    out = np.linalg.solve(even - odd, even + odd)
    for _ in range(squarings):
        out = out @ out
    return out


