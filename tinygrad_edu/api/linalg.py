"""Linear algebra in the spelling of `torch.linalg`, and its names at the top level.

Matrices are the last two dimensions; all dimensions before them are a batch. What has several results returns a named
tuple. `eig` and `eigvals`, whose results are complex, are in factors.py; functions of complex matrices in complex_linalg.py.
"""

import functools
import math

import numpy as np

from ..autograd.tensor import Tensor, array_of
from ..ops import linalg, reductions, shapes
from .product import cross as cross_product
from .product import matmul
from .spelling import axes_of, both, check_dim, into, ints, magnitudes, named_results, only_function
from .spelling import functions as public

__all__: list = []

Cholesky = named_results("linalg_cholesky_ex", "L info")
Inverse = named_results("linalg_inv_ex", "inverse info")
Solution = named_results("linalg_solve_ex", "result info")
SVD = named_results("linalg_svd", "U S Vh")
TopSVD = named_results("svd", "U S V")
QR = named_results("linalg_qr", "Q R")
Eigh = named_results("linalg_eigh", "eigenvalues eigenvectors")
SignLog = named_results("linalg_slogdet", "sign logabsdet")
LeastSquares = named_results("linalg_lstsq", "solution residuals rank singular_values")


OF_COMPLEX: dict = {}  # name → the function for complex matrices, where it is another one


class LinAlgError(RuntimeError, np.linalg.LinAlgError):
    """A matrix that the computation needs otherwise: singular, not positive definite, not square."""


def entry(function):
    """Enter a function into this module's names, with `out=` and one type of error."""
    accepted = function.__code__.co_varnames[: function.__code__.co_argcount + function.__code__.co_kwonlyargcount]
    renamed = {"axis": "dim", "keepdims": "keepdim", "input": "A", "x": "A"}
    renamed = {ours: theirs for ours, theirs in renamed.items() if theirs in accepted and ours not in accepted}

    @functools.wraps(function)
    def spelled(*args, **kwargs):
        for name in renamed.keys() & kwargs.keys():
            kwargs[renamed[name]] = kwargs.pop(name)
        out = kwargs.pop("out", None)
        chosen = function
        if function.__name__ in OF_COMPLEX and any(isinstance(a, Tensor) and a.array.dtype.kind == "c" for a in args):
            chosen = OF_COMPLEX[function.__name__]
        try:
            result = chosen(*args, **kwargs)
        except np.linalg.LinAlgError as error:
            if isinstance(error, LinAlgError):
                raise
            renewed = LinAlgError(f"linalg.{function.__name__}: {str(error).rstrip('.').lower()}")
            for note in getattr(error, "__notes__", ()):
                renewed.add_note(note)
            raise renewed from None
        return result if out is None else into(out, result)

    if function.__module__ == __name__:
        __all__.append(function.__name__)
    return spelled


def matrices(name, A):
    """`A` if it holds floating-point matrices, else an error."""
    if not isinstance(A, Tensor):
        raise TypeError(f"linalg.{name}: expected a Tensor, got {type(A).__name__}")
    if A.ndim < 2:
        raise RuntimeError(f"linalg.{name}: expected matrices, shape (…, m, n), got shape {list(A.shape)}")
    return floats(name, A)


WITH_COMPLEX_RULES = {"inv", "solve", "matrix_norm", "cond", "det", "slogdet", "matrix_power", "matrix_exp"}  # what complex matrices have too


def floats(name, A):
    """`A` if its numbers are floating-point, or complex where that is defined here, else an error."""
    if A.dtype.kind != "f" and not (A.dtype.kind == "c" and name in WITH_COMPLEX_RULES):
        raise RuntimeError(f"linalg.{name}: expected floating-point numbers, got {A.dtype}; convert them first, as in x.float()")
    return A


def square(name, A):
    """`A` if it holds square floating-point matrices, else an error."""
    matrices(name, A)
    if A.shape[-1] != A.shape[-2]:
        raise RuntimeError(f"linalg.{name}: expected square matrices, shape (…, n, n), got shape {list(A.shape)}")
    return A


def mT(A):
    """The transposed matrices."""
    return shapes.swapaxes(A, axis0=-1, axis1=-2)


def zero_info(A):
    """The error codes of the `_ex` functions: all fine."""
    return Tensor(np.zeros(A.shape[:-2], np.int32), None)


@entry
def inv(A):
    """The inverse of square matrices

    >>> import tinygrad_edu as tg
    >>> tg.linalg.inv(tg.tensor([[2.0, 0.0], [0.0, 4.0]]))
    tensor([[0.5000, 0.0000],
            [0.0000, 0.2500]])
    """
    return linalg.inv(square("inv", A))


@entry
def inv_ex(A, *, check_errors=False):
    """The pair (inverse, info); a singular matrix is an error here in any case"""
    return Inverse(inv(A), zero_info(A))


def is_vector(A, B):
    """True if B holds right-hand sides as vectors, a batch of them or a single one."""
    return B.ndim == 1 or A.ndim - 1 == B.ndim and B.shape == A.shape[:-1]


@entry
def solve(A, B, *, left=True):
    """The solution X of A · X = B (or of X · A = B), shapes (…, n, n) and (…, n, k) or (…, n)"""
    square("solve", A)
    if is_vector(A, B):
        if not left:
            raise RuntimeError("linalg.solve: left=False needs matrices on the right-hand side; B holds vectors")
        return linalg.solve(A, B.unsqueeze(-1)).squeeze(-1)
    return linalg.solve(A, B) if left else mT(linalg.solve(mT(A), mT(B)))


@entry
def solve_ex(A, B, *, left=True, check_errors=False):
    """The pair (result, info); a singular matrix is an error here in any case"""
    return Solution(solve(A, B, left=left), zero_info(A))


@entry
def solve_triangular(A, B, *, upper, left=True, unitriangular=False):
    """The solution X of A · X = B for triangular A, of which the other triangle is not looked at"""
    square("solve_triangular", A)
    A = shapes.triu(A, k=int(unitriangular)) if upper else shapes.tril(A, k=-int(unitriangular))
    if unitriangular:
        A = A + Tensor(np.eye(A.shape[-1], dtype=A.dtype), None)
    return linalg.solve(A, B) if left else mT(linalg.solve(mT(A), mT(B)))


@entry
def det(A):
    """The determinant of square matrices"""
    return linalg.det(square("det", A))


@entry
def slogdet(A):
    """The pair (sign, logabsdet): the determinant is sign · e^logabsdet"""
    square("slogdet", A)
    if A.dtype.kind == "c":
        d = linalg.det(A)
        return SignLog(d.sgn(), d.abs().log())
    return SignLog(linalg.det_sign(A), linalg.log_abs_det(A))


@entry
def cholesky(A, *, upper=False):
    """Triangular L with A = L · Lᵀ (or Lᵀ · L) for symmetric positive definite A"""
    L = linalg.cholesky(square("cholesky", A))
    return mT(L) if upper else L


@entry
def cholesky_ex(A, *, upper=False, check_errors=False):
    """The pair (L, info): info is 0, or the size of the first leading block that is not positive definite, where L is NaN

    >>> import tinygrad_edu as tg
    >>> tg.linalg.cholesky_ex(tg.tensor([[1.0, 2.0], [2.0, 1.0]])).info
    tensor(2, dtype=int32)
    """
    try:
        return Cholesky(cholesky(A, upper=upper), zero_info(A))
    except np.linalg.LinAlgError:
        if check_errors:
            raise
    blocks = [first_bad_block(matrix) for matrix in A.array.reshape(-1, *A.shape[-2:])]
    bad = np.array(blocks, np.int32).reshape(A.shape[:-2])
    hidden = Tensor(bad[..., None, None] > 0, None)
    safe = public["where"](hidden, Tensor(np.eye(A.shape[-1], dtype=A.dtype), None), A)
    return Cholesky(public["where"](hidden, math.nan, cholesky(safe, upper=upper)), Tensor(bad, None))


def first_bad_block(matrix):
    """The size of the first leading block of a matrix that is not positive definite; 0 if there is none."""
    for k in range(1, len(matrix) + 1):
        try:
            np.linalg.cholesky(matrix[:k, :k])
        except np.linalg.LinAlgError:
            return k
    return 0


def lower(A, UPLO):
    """`A` with the triangle that counts below the diagonal."""
    if UPLO not in ("L", "U", "l", "u"):
        raise RuntimeError(f'UPLO must be "L" or "U", not {UPLO!r}')
    return A if UPLO in "Ll" else mT(A)


@entry
def eigh(A, UPLO="L"):
    """The pair (eigenvalues, eigenvectors) of symmetric matrices, in ascending order; vectors are columns"""
    return Eigh(*linalg.split_eigh(linalg.eigh_packed(lower(square("eigh", A), UPLO))))


@entry
def eigvalsh(A, UPLO="L"):
    """The eigenvalues of symmetric matrices in ascending order"""
    return linalg.eigvalsh(lower(square("eigvalsh", A), UPLO))


@entry
def svd(A, full_matrices=True, *, driver=None):
    """The triple (U, S, Vh) with A = U · diag(S) · Vh

    With `full_matrices`, U and Vh are square; what goes beyond the first min(m, n) vectors is a constant for gradients.
    """
    matrices("svd", A)
    m, n = A.shape[-2:]
    U, S, Vh = linalg.split_svd(linalg.svd_packed(A), m)
    if full_matrices and m != n:
        full = np.linalg.svd(A.array)
        U = completed(U, full[0], -1)
        Vh = completed(Vh, full[2], -2)
    return SVD(U, S, Vh)


def completed(part, whole, axis):
    """The first vectors from a graph, the others from NumPy."""
    k = part.shape[axis]
    rest = whole[..., k:] if axis == -1 else whole[..., k:, :]
    return shapes.concatenate(part, Tensor(rest, None), axis=axis) if rest.size else part


@entry
def svdvals(A, *, driver=None):
    """The singular values in descending order"""
    return linalg.svdvals(matrices("svdvals", A))


@entry
def qr(A, mode="reduced"):
    """The pair (Q, R) with A = Q · R; mode "complete" gives a square Q, "r" an empty one"""
    matrices("qr", A)
    m, n = A.shape[-2:]
    if mode not in ("reduced", "complete", "r"):
        raise RuntimeError(f'linalg.qr: mode must be "reduced", "complete" or "r", not {mode!r}')
    if mode == "complete" and m > n:
        if A.node is not None:
            raise NotImplementedError('linalg.qr: mode="complete" has no derivative for more rows than columns; use "reduced"')
        return QR(*(Tensor(part, None) for part in np.linalg.qr(A.array, "complete")))
    if m < n:  # the square part decides: A = Q · [R₁, Qᵀ·A₂]
        Q, R = linalg.split_qr(linalg.qr_packed(A[..., :m]), m)
        R = shapes.concatenate(R, mT(Q) @ A[..., m:], axis=-1)
    else:
        Q, R = linalg.split_qr(linalg.qr_packed(A), m)
    return QR(Tensor(np.empty(0, A.dtype), None) if mode == "r" else Q, R)


def tolerances(atol, rtol):
    """Both tolerances as arrays; with an absolute one alone, the relative one is 0."""
    atol = np.asarray(0.0 if atol is None else array_of(atol))
    if rtol is None:
        return atol, None if np.all(atol <= 0) else np.asarray(0.0)
    return atol, np.asarray(array_of(rtol))


@entry
def pinv(A, rcond=None, hermitian=False, *, atol=None, rtol=None):
    """The Moore-Penrose inverse; singular values up to max(atol, rtol · largest) count as 0"""
    matrices("pinv", A)
    atol, rtol = tolerances(atol, rcond if rtol is None else rtol)
    if hermitian:
        w, v = linalg.split_eigh(linalg.eigh_packed(square("pinv", A)))
        small = Tensor(np.abs(w.array) <= linalg.limit_of(A.array, w.array, atol, rtol), None)
        inverse = public["where"](small, 0.0, 1 / public["where"](small, 1.0, w))
        return (v * inverse.unsqueeze(-2)) @ mT(v)
    if not A.array.size:
        return mT(A) * 1.0
    return linalg.pinv_within(A, atol=atol, rtol=rtol)


@entry
def matrix_rank(A, tol=None, hermitian=False, *, atol=None, rtol=None):
    """How many singular values count: are larger than max(atol, rtol · largest)"""
    matrices("matrix_rank", A)
    atol, rtol = tolerances(tol if atol is None else atol, rtol)
    values = np.linalg.eigvalsh(A.array) if hermitian else np.linalg.svd(A.array, compute_uv=False)
    return Tensor(np.asarray((np.abs(values) > linalg.limit_of(A.array, values, atol, rtol)).sum(-1)), None)


@entry
def matrix_power(A, n):
    """A · A · … · A with n factors; the inverse's power for negative n"""
    square("matrix_power", A)
    if n < 0:
        A, n = inv(A), -n
    result = None
    while n:
        if n & 1:
            result = A if result is None else result @ A
        n >>= 1
        A = A @ A if n else A
    return A * 0 + Tensor(np.eye(A.shape[-1], dtype=A.dtype), None) if result is None else shapes.clone(result) if result is A else result


@entry
def matrix_exp(A):
    """Σ Aᵏ / k!, the exponential of square matrices"""
    return linalg.matrix_exp(square("matrix_exp", A))


@entry
def vector_norm(x, ord=2, dim=None, keepdim=False, *, dtype=None):
    """(Σ |x|^ord)^(1/ord) along dim, of the flattened tensor if dim is None"""
    x = x if dtype is None else x.astype(dtype)
    x = floats("vector_norm", magnitudes(x))
    return reductions.vector_norm(x, axis=axes_of("linalg.vector_norm", x, dim), order=plain(ord), keepdims=keepdim)


def plain(order):
    """The order as the operator compares it: 2 and 1 as integers."""
    if isinstance(order, str):
        raise RuntimeError(f"linalg.vector_norm: the order must be a number, not {order!r}")
    return int(order) if order in (0, 1, 2) else float(order)


@entry
def matrix_norm(A, ord="fro", dim=(-2, -1), keepdim=False, *, dtype=None):
    """The norm of matrices: "fro", "nuc", ±2 (singular values), ±1 (column sums) or ±inf (row sums)"""
    A = floats("matrix_norm", A if dtype is None else A.astype(dtype))
    a, b = (check_dim("linalg.matrix_norm", A, d) for d in ints((dim,)))
    if a == b or A.ndim < 2:
        raise RuntimeError(f"linalg.matrix_norm: dim must name two different dimensions of shape {list(A.shape)}, not {dim}")
    if ord == "fro":
        return reductions.vector_norm(magnitudes(A), axis=(a, b), order=2, keepdims=keepdim)
    if ord in ("nuc", 2, -2):
        values = svdvals(shapes.moveaxis(A, source=(a, b), destination=(-2, -1)))
        out = values.sum(-1) if ord == "nuc" else values.amax(-1) if ord == 2 else values.amin(-1)
    elif ord in (1, -1, math.inf, -math.inf):
        a, b = (b, a) if abs(ord) != 1 else (a, b)  # sums over a, extremes over b
        sums = A.abs().sum(a)
        b = b - (b > a)
        out = sums.amax(b) if ord > 0 else sums.amin(b)
    else:
        raise RuntimeError(f'linalg.matrix_norm: the order must be "fro", "nuc", ±1, ±2 or ±inf, not {ord!r}')
    if keepdim:
        for d in sorted((a, b if ord in ("nuc", 2, -2) else b + (b >= a))):
            out = out.unsqueeze(d)
    return out


@entry
def norm(A, ord=None, dim=None, keepdim=False, *, dtype=None):
    """A vector's or a matrix's norm, as `dim` names one dimension or two; of all elements without `ord` and `dim`"""
    if ord is None:
        return vector_norm(A, 2, dim, keepdim, dtype=dtype)
    if dim is None:
        if A.ndim not in (1, 2):
            raise RuntimeError(f"linalg.norm: with ord={ord!r} and no dim the tensor must have 1 or 2 dimensions, not {A.ndim}")
        dim = tuple(range(A.ndim))
    dims = (dim,) if isinstance(dim, int) else tuple(dim)
    if len(dims) == 1 and not isinstance(ord, str):
        return vector_norm(A, ord, dims, keepdim, dtype=dtype)
    return matrix_norm(A, ord, dims, keepdim, dtype=dtype)


@entry
def cond(A, p=None):
    """‖A‖ · ‖A⁻¹‖, the condition number; infinite for singular matrices"""
    matrices("cond", A)
    if p in (None, 2, -2):
        values = svdvals(A)
        largest, smallest = values[..., 0], values[..., -1]
        return smallest / largest if p == -2 else largest / smallest
    square("cond", A)
    if not A.array.size:
        return Tensor(np.zeros(A.shape[:-2], A.dtype), None)
    try:
        inverse = inv(A)
    except LinAlgError:
        if A.ndim > 2:
            return public["stack"]([cond(a, p) for a in A.unbind(0)])
        return Tensor(np.asarray(np.inf, A.dtype), None)
    return matrix_norm(A, p) * matrix_norm(inverse, p)


@entry
def lstsq(A, B, rcond=None, *, driver=None):
    """The named tuple (solution, residuals, rank, singular_values) of min ‖A · X − B‖"""
    matrices("lstsq", A)
    if driver not in (None, "gels", "gelsy", "gelsd", "gelss"):
        raise RuntimeError(f'linalg.lstsq: driver must be "gels", "gelsy", "gelsd" or "gelss", not {driver!r}')
    vector = is_vector(A, B)
    right = B.unsqueeze(-1) if vector else B
    m, n = A.shape[-2:]
    rcond = max(m, n) * np.finfo(A.dtype).eps if rcond is None else rcond
    values = np.linalg.svd(A.array, compute_uv=False)
    solution = linalg.pinv_within(A, rtol=np.asarray(rcond)) @ right
    rank = (values > rcond * values.max(-1, keepdims=True, initial=0)).sum(-1)
    residuals = Tensor(np.empty(0, A.dtype), None)
    if m > n and np.all(rank == n) and driver != "gelsy" and driver is not None:
        residuals = (A @ solution - right).square().sum(-2)
    found = Tensor(np.asarray(values if driver in ("gelsd", "gelss") else np.empty(0, A.dtype)), None)
    counted = Tensor(np.empty(0, np.int64), None) if driver == "gels" else Tensor(np.asarray(rank), None)
    return LeastSquares(solution.squeeze(-1) if vector else solution, residuals, counted, found)


@entry
def multi_dot(tensors):
    """The product of two or more matrices in the order that needs the fewest multiplications"""
    if len(tensors) < 2:
        raise RuntimeError(f"linalg.multi_dot: expected at least two tensors, got {len(tensors)}")
    first, last = tensors[0], tensors[-1]
    chain = [first.unsqueeze(0) if first.ndim == 1 else first, *tensors[1:-1], last.unsqueeze(1) if last.ndim == 1 else last]
    if any(t.ndim != 2 for t in chain):
        raise RuntimeError(f"linalg.multi_dot: expected matrices (vectors only at the ends), got {[list(t.shape) for t in tensors]}")
    out = product_of(chain)
    out = out.squeeze(0) if first.ndim == 1 else out
    return out.squeeze(-1) if last.ndim == 1 else out


def product_of(chain):
    """The product of a chain of matrices, parted where that is cheapest."""
    n = len(chain)
    size = [chain[0].shape[0], *(t.shape[1] for t in chain)]
    cost = {(i, i): (0, i) for i in range(n)}
    for length in range(1, n):
        for i in range(n - length):
            j = i + length
            cost[i, j] = min((cost[i, k][0] + cost[k + 1, j][0] + size[i] * size[k + 1] * size[j + 1], k) for k in range(i, j))

    def product(i, j):
        k = cost[i, j][1]
        return chain[i] if i == j else matmul(product(i, k), product(k + 1, j))

    return product(0, n - 1)


@entry
def cross(input, other, *, dim=-1):
    """The vector product of 3-vectors along dim"""
    return cross_product(input, other, dim)


@entry
def vecdot(x, y, *, dim=-1):
    """Σ x* · y along dim"""
    return (public["conj"](x) * y).sum(dim)


@entry
def vander(x, *, N=None):
    """The powers x⁰ … xᴺ⁻¹ as a new last dimension"""
    if N is not None and N <= 1:
        raise RuntimeError(f"linalg.vander: N must be greater than 1, not {N}")
    x = x if x.ndim else x.unsqueeze(0)
    return x.unsqueeze(-1) ** Tensor(np.arange(x.shape[-1] if N is None else N), None)


@entry
def diagonal(A, *, offset=0, dim1=-2, dim2=-1):
    """The diagonals of matrices"""
    return shapes.diagonal(A, k=offset, axis0=dim1, axis1=dim2)


@entry
def tensorinv(A, ind=2):
    """The inverse of A as a map between tensors: its first `ind` dimensions against the others"""
    if ind <= 0:
        raise RuntimeError(f"linalg.tensorinv: ind must be positive, not {ind}")
    rows, columns = tuple(A.shape[:ind]), tuple(A.shape[ind:])
    return inv(A.reshape(math.prod(rows), math.prod(columns))).reshape(*columns, *rows)


@entry
def tensorsolve(A, B, dims=None):
    """X with tensordot(A, X, X.ndim) = B"""
    if dims is not None:
        dims = [check_dim("linalg.tensorsolve", A, d) for d in ints((dims,))]
        A = shapes.permute(A, axes=tuple([i for i in range(A.ndim) if i not in dims] + dims))
    unknown = tuple(A.shape[B.ndim :])
    return solve(A.reshape(B.numel(), math.prod(unknown)), B.reshape(-1)).reshape(*unknown)


__all__ += ["LinAlgError", "matmul"]

# --- at the top level and as methods -----------------------------------------------------------------------------------

both("inverse")(inv)
for function in (det, slogdet, matrix_power, matrix_exp):
    both(function.__name__)(function)


@both("logdet")
def logdet(A):
    """ln det A; NaN where the determinant is negative"""
    sign, size = slogdet(A)
    return public["where"](sign < 0, math.nan, size)


@both("pinverse")
def pinverse(input, rcond=1e-15):
    """The Moore-Penrose inverse"""
    return pinv(input, rcond)


@both("cholesky")
def top_cholesky(input, upper=False):
    """Triangular L with input = L · Lᵀ (or Lᵀ · L)"""
    return cholesky(input, upper=upper)


@both("cholesky_solve")
def cholesky_solve(B, L, upper=False):
    """X with (L · Lᵀ) · X = B"""
    L = mT(L) if upper else L
    return solve_triangular(mT(L), solve_triangular(L, B, upper=False), upper=True)


@both("cholesky_inverse")
def cholesky_inverse(L, upper=False):
    """The inverse of L · Lᵀ"""
    one = Tensor(np.eye(L.shape[-1], dtype=L.dtype), None)
    return cholesky_solve(one, L, upper) if L.ndim == 2 else cholesky_solve(one.expand(*L.shape), L, upper)


@both("qr")
def top_qr(input, some=True):
    """The pair (Q, R)"""
    return qr(input, "reduced" if some else "complete")


@both("svd")
def top_svd(input, some=True, compute_uv=True):
    """The triple (U, S, V) with input = U · diag(S) · Vᵀ"""
    if not compute_uv:
        S = svdvals(input)
        m, n = input.shape[-2:]
        batch = input.shape[:-2]
        return TopSVD(Tensor(np.zeros((*batch, m, m), input.dtype), None), S, Tensor(np.zeros((*batch, n, n), input.dtype), None))
    U, S, Vh = svd(input, not some)
    return TopSVD(U, S, mT(Vh))


@only_function("vander")
def top_vander(x, N=None, increasing=False):
    """The powers of a vector's elements, one row each, from the highest one to 1 (or in increasing order)"""
    powers = np.arange(x.shape[0] if N is None else N)
    return x.unsqueeze(-1) ** Tensor(powers if increasing else powers[::-1].copy(), None)


@only_function("chain_matmul")
def chain_matmul(*matrices):
    """The product of several matrices in the order that needs the fewest multiplications"""
    return multi_dot(matrices) if len(matrices) > 1 else matrices[0]

