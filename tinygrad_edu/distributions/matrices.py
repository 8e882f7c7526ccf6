"""Distributions of matrices: correlations (LKJ), and covariances of normal numbers (Wishart)."""

import math

import numpy as np

import tinygrad_edu as tg

from .. import linalg
from ..autograd.modes import no_grad
from ..autograd.tensor import Tensor
from . import constraints
from .continuous import Beta
from .derived import Chi2
from .distribution import Distribution, lazy, together


class LKJCholesky(Distribution):
    """The Cholesky factor L of a random correlation matrix, with density ∏ Lᵢᵢ^(2·concentration − 2 + n − i) up to a factor.

    Concentration 1 makes all correlation matrices equally likely; above it they are closer to the identity. (Lewandowski et al. 2009)

    >>> import tinygrad_edu as tg
    >>> L = tg.distributions.LKJCholesky(3, 0.5).sample()
    >>> (L @ L.T).diag().allclose(tg.ones(3))
    True
    """

    arg_constraints = dict(concentration=constraints.positive)
    support = constraints.corr_cholesky

    def __init__(self, dim, concentration=1.0, validate_args=None):
        if dim < 2:
            raise ValueError(f"LKJCholesky: dim must be at least 2, got {dim}")
        self.dim = dim
        (self.concentration,) = together(concentration)
        super().__init__(self.concentration.shape, (dim, dim), validate_args)

    def expand(self, batch_shape, _instance=None):
        return type(self)(self.dim, self.concentration.expand(tuple(batch_shape)), validate_args=False)

    def sample(self, sample_shape=()):
        n, kind = self.dim, self.concentration.dtype
        with no_grad():
            offset = tg.tensor([0.0, *range(n - 1)], dtype=kind)
            length = Beta(offset + 0.5, (self.concentration + 0.5 * (n - 2)).unsqueeze(-1) - 0.5 * offset).sample(sample_shape)
            direction = tg.randn(self.extended(sample_shape), dtype=kind).tril(-1)
            size = direction.norm(dim=-1, keepdim=True)
            direction = direction / tg.where(size == 0, 1.0, size)  # the first row has no direction
            lower = length.unsqueeze(-1).sqrt() * direction
            return lower + (1 - lower.square().sum(-1)).clamp(min=float(np.finfo(kind).tiny)).sqrt().diag_embed()

    def log_prob(self, value):
        n, a = self.dim, self.concentration
        order = 2 * (a - 1).unsqueeze(-1) + n - tg.arange(2, n + 1)
        power = (order * self.checked(value).diagonal(dim1=-1, dim2=-2)[..., 1:].log()).sum(-1)
        alpha = a + 0.5 * (n - 1)
        return power - 0.5 * (n - 1) * math.log(math.pi) - tg.mvlgamma(alpha - 0.5, n - 1) + tg.lgamma(alpha) * (n - 1)


class Wishart(Distribution):
    """The sum of x·xᵀ over `df` normal vectors x with a given covariance; give the covariance, the precision, or the Cholesky factor.

    >>> import tinygrad_edu as tg
    >>> tg.distributions.Wishart(tg.tensor(3.0), tg.eye(2)).mean
    tensor([[3., 0.],
            [0., 3.]])
    """

    support = constraints.positive_definite
    has_rsample = True

    def __init__(self, df, covariance_matrix=None, precision_matrix=None, scale_tril=None, validate_args=None):
        given = dict(covariance_matrix=covariance_matrix, precision_matrix=precision_matrix, scale_tril=scale_tril)
        given = {name: matrix for name, matrix in given.items() if matrix is not None}
        if len(given) != 1:
            raise AssertionError(f"Wishart: give one of covariance_matrix, precision_matrix and scale_tril, got {sorted(given) or 'none'}")
        ((name, matrix),) = given.items()
        if matrix.ndim < 2 or matrix.shape[-1] != matrix.shape[-2]:
            raise ValueError(f"Wishart: {name} must be a square matrix, got shape {list(matrix.shape)}")
        df = df if isinstance(df, Tensor) else tg.tensor(df, dtype=matrix.dtype)
        n, batch = matrix.shape[-1], np.broadcast_shapes(tuple(matrix.shape[:-2]), tuple(df.shape))
        if bool((df <= n - 1).any()):
            raise ValueError(f"Wishart: df={df.detach()} must be greater than {n - 1} for matrices of size {n}")
        self.df = df.expand(batch)
        self.__dict__[name] = matrix.expand(*batch, n, n)
        self.arg_constraints = dict(df=constraints.greater_than(n - 1), covariance_matrix=constraints.positive_definite,
                                    precision_matrix=constraints.positive_definite, scale_tril=constraints.lower_cholesky)  # fmt: skip
        super().__init__(batch, (n, n), validate_args)
        self.scale_tril  # noqa: B018 (a matrix that is not positive definite is refused here, not at the first use)

    @lazy
    def scale_tril(self):
        """The Cholesky factor of the covariance."""
        if "covariance_matrix" in self.__dict__:
            return linalg.cholesky(self.covariance_matrix)
        inverse = linalg.cholesky(self.precision_matrix.flip((-2, -1))).flip((-2, -1)).mT
        return linalg.solve_triangular(inverse, tg.eye(self.event_shape[-1], dtype=inverse.dtype), upper=False)

    @lazy
    def covariance_matrix(self):
        """LLᵀ"""
        return self.scale_tril @ self.scale_tril.mT

    @lazy
    def precision_matrix(self):
        """The inverse of the covariance."""
        return linalg.inv(self.covariance_matrix)

    def per_matrix(self, x):
        """One number per matrix, to be multiplied with matrices."""
        return x.reshape(*self.batch_shape, 1, 1)

    mean = property(lambda self: self.per_matrix(self.df) * self.covariance_matrix)

    @property
    def mode(self):
        """(df − n − 1) · covariance, where that factor is positive"""
        factor = self.df - self.event_shape[-1] - 1
        return self.per_matrix(tg.where(factor <= 0, tg.full_like(factor, math.nan), factor)) * self.covariance_matrix

    @property
    def variance(self):
        """df · (Vᵢⱼ² + Vᵢᵢ·Vⱼⱼ)"""
        v = self.covariance_matrix
        d = v.diagonal(dim1=-2, dim2=-1)
        return self.per_matrix(self.df) * (v**2 + d.unsqueeze(-1) * d.unsqueeze(-2))

    def drawn(self, sample_shape):
        """L·A·Aᵀ·Lᵀ, where A has roots of chi-square numbers on its diagonal and normal ones beneath it (Bartlett)."""
        n = self.event_shape[-1]
        chi2 = Chi2(self.df.unsqueeze(-1) - tg.arange(n, dtype=self.df.dtype), validate_args=False)
        roots = chi2.rsample(sample_shape).sqrt()
        roots = roots.clamp(min=float(np.finfo(roots.dtype).eps)).diag_embed()
        i, j = np.tril_indices(n, -1)
        beneath = np.zeros(tuple(roots.shape), roots.dtype)
        beneath[..., i, j] = tg.randn((*roots.shape[:-2], n * (n - 1) // 2), dtype=roots.dtype).array
        lower = self.scale_tril @ (roots + Tensor(beneath, None))
        return lower @ lower.mT

    def rsample(self, sample_shape=(), max_try_correction=None):
        shape = (sample_shape,) if isinstance(sample_shape, int) else tuple(sample_shape)
        value = self.drawn(shape)
        again = self.definite(value, len(shape)).any(-1)  # PyTorch draws again what is positive definite; so that both go on alike
        flat = value.reshape(-1, *self.batch_shape, *self.event_shape)
        for _ in range(10 if max_try_correction is None else max_try_correction):
            places = np.flatnonzero(again)
            if not len(places):
                break
            new = self.drawn((len(places),))
            flat = flat.index_copy(0, tg.tensor(places), new)
            again[places] = (~self.definite(new, 1)).any(-1)
        return flat.reshape(value.shape)

    def definite(self, value, samples):
        """Whether each matrix is positive definite, an array (samples, matrices of a batch)."""
        found = np.asarray(self.support.check(value.detach()).array)
        return found.reshape(math.prod(found.shape[:samples]), -1)

    def log_prob(self, value):
        value, n, p = self.checked(value), self.df, self.event_shape[-1]
        logs = self.scale_tril.diagonal(dim1=-2, dim2=-1).log().sum(-1)
        trace = tg.cholesky_solve(*tg.broadcast_tensors(value, self.scale_tril)).diagonal(dim1=-2, dim2=-1).sum(-1)
        return -n * (p * math.log(2) / 2 + logs) - tg.mvlgamma(n / 2, p) + (n - p - 1) / 2 * linalg.slogdet(value)[1] - trace / 2

    def entropy(self):
        n, p = self.df, self.event_shape[-1]
        logs = self.scale_tril.diagonal(dim1=-2, dim2=-1).log().sum(-1)
        digammas = tg.digamma((n / 2).unsqueeze(-1) - tg.arange(p, dtype=n.dtype) / 2).sum(-1)
        return (p + 1) * (p * math.log(2) / 2 + logs) + tg.mvlgamma(n / 2, p) - (n - p - 1) / 2 * digammas + n * p / 2


__all__ = ["LKJCholesky", "Wishart"]
