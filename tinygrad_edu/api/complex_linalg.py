"""Decompositions of complex matrices: NumPy's numbers, with rules of their own for eigenvalues, eigenvectors of A = Aᴴ and singular values."""

import numpy as np

from ..autograd.function import Function, once_differentiable
from ..autograd.tensor import Tensor, array_of
from . import linalg
from .complexes import Barrier, ComplexTensor, is_complex, parts, split
from .spelling import as_tensor


def solve_triangular(A, B, *, upper, left=True, unitriangular=False):
    """X with A · X = B, or X · A = B, for triangular A"""
    A = split(as_tensor(A))
    A = A.triu(int(unitriangular)) if upper else A.tril(-int(unitriangular))
    if unitriangular:
        A = A + Tensor(np.eye(A.shape[-1], dtype=A.dtype), None)
    return linalg.solve(A, B, left=left)


class Spectrum(Function):
    """Eigenvalues λ (real) and eigenvectors V of matrices A = Aᴴ"""

    @staticmethod
    def forward(ctx, re, im, values, vectors):
        """What was computed before."""
        ctx.found = values, vectors
        return Tensor(values, None), *parts(vectors)

    @staticmethod
    @once_differentiable
    def backward(ctx, *gradients):
        """V · (diag gλ + (Vᴴ·gV) / (λⱼ − λᵢ)) · Vᴴ"""
        values, vectors = ctx.found
        a, c, d = (g.array for g in gradients)
        turned = np.conj(np.swapaxes(vectors, -1, -2))
        inner, place = turned @ (c + 1j * d), np.eye(values.shape[-1], dtype=bool)
        apart = np.where(place, 1, values[..., None, :] - values[..., :, None])
        with np.errstate(divide="ignore", invalid="ignore"):
            inner = np.where(place, a[..., None], inner / apart if np.any(inner) else 0)
        return *parts(vectors @ inner @ turned), None, None


def eigh(A, UPLO="L"):
    """The pair (eigenvalues, eigenvectors); gradients are defined where the loss does not depend on the phase of the vectors"""
    A = split(A)
    found = np.linalg.eigh(np.asarray(A.array), UPLO.upper())
    values, re, im = Spectrum.apply(*parts(A), *found)
    return linalg.Eigh(values, ComplexTensor(re, im))


def eigvalsh(A, UPLO="L"):
    """The eigenvalues of matrices A = Aᴴ in ascending order"""
    return eigh(A, UPLO)[0]


def svdvals(A, *, driver=None):
    """The singular values of matrices in descending order"""
    A = split(A)
    found = np.linalg.svd(np.asarray(A.array), full_matrices=False)
    return SingularValues.apply(*parts(A), *found)


class SingularValues(Function):
    """Singular values S of matrices A = U · diag(S) · Vh"""

    @staticmethod
    def forward(ctx, re, im, U, S, Vh):
        """What was computed before."""
        ctx.found = U, Vh
        return Tensor(S, None)

    @staticmethod
    @once_differentiable
    def backward(ctx, g):
        """U · diag(g) · Vh"""
        U, Vh = ctx.found
        return *parts((U * g.array[..., None, :]) @ Vh), None, None, None


def by_numpy(compute, results):
    """A function of complex matrices whose numbers NumPy gives, and whose gradient is refused."""

    def function(A, *args, **options):
        found = compute(np.asarray(array_of(A)), *args, **options)
        found = found if isinstance(found, tuple) else (found,)
        tensors = [Tensor(np.ascontiguousarray(x), None) for x in found]
        if A.requires_grad:
            tensors = [Barrier.apply(*parts(A), t) for t in tensors]
        tensors = [split(t) if is_complex(t) else t for t in tensors]
        return tensors[0] if results is None else results(*tensors)

    return function


def cholesky_of(A, *, upper=False):
    """L with A = L · Lᴴ, or Lᴴ · L"""
    L = np.linalg.cholesky(A)
    return np.conj(np.swapaxes(L, -1, -2)) if upper else L


linalg.OF_COMPLEX.update(
    solve_triangular=solve_triangular, eigh=eigh, eigvalsh=eigvalsh, svdvals=svdvals, cholesky=by_numpy(cholesky_of, None),
    svd=by_numpy(lambda A, full_matrices=True, driver=None: np.linalg.svd(A, full_matrices), linalg.SVD),
    qr=by_numpy(lambda A, mode="reduced": np.linalg.qr(A, mode), linalg.QR),
    pinv=by_numpy(lambda A, rcond=1e-15, hermitian=False: np.linalg.pinv(A, rcond, hermitian), None),
)  # fmt: skip
