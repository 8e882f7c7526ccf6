"""Distributions of vectors, and distributions made of others."""

import math

import numpy as np

import tinygrad_edu as tg

from .. import linalg
from ..autograd.modes import no_grad
from ..autograd.tensor import Tensor
from . import constraints
from .continuous import gamma_numbers, standard_normal
from .distribution import Distribution, lazy, sum_last
from .pathwise import DirichletOutcomes
from .transforms import ComposeTransform


def squared_distance(lower, x):
    """xᵀ(LLᵀ)⁻¹x"""
    return linalg.solve_triangular(lower, x.unsqueeze(-1), upper=False).pow(2).sum((-2, -1))


def half_log_determinant(lower):
    """½ ln det LLᵀ"""
    return lower.diagonal(dim1=-2, dim2=-1).log().sum(-1)


class MultivariateNormal(Distribution):
    """A bell in n dimensions; give its covariance, its precision, or the Cholesky factor of the covariance.

    >>> import tinygrad_edu as tg
    >>> tg.distributions.MultivariateNormal(tg.zeros(2), tg.eye(2)).log_prob(tg.zeros(2))
    tensor(-1.8379)
    """

    arg_constraints = dict(loc=constraints.real_vector, covariance_matrix=constraints.symmetric, precision_matrix=constraints.symmetric,
                           scale_tril=constraints.lower_cholesky)  # fmt: skip
    support = constraints.real_vector
    has_rsample = True

    def __init__(self, loc, covariance_matrix=None, precision_matrix=None, scale_tril=None, validate_args=None):
        given = dict(covariance_matrix=covariance_matrix, precision_matrix=precision_matrix, scale_tril=scale_tril)
        given = {name: matrix for name, matrix in given.items() if matrix is not None}
        if len(given) != 1:
            raise ValueError("MultivariateNormal: give one of covariance_matrix, precision_matrix and scale_tril, "
                             f"got {sorted(given) or 'none'}")  # fmt: skip
        ((name, matrix),) = given.items()
        if matrix.ndim < 2 or loc.ndim < 1:
            raise ValueError(f"MultivariateNormal: expected a vector and a matrix, got loc {list(loc.shape)}, {name} {list(matrix.shape)}")
        batch, n = np.broadcast_shapes(tuple(matrix.shape[:-2]), tuple(loc.shape[:-1])), loc.shape[-1]
        self.__dict__[name] = matrix.expand(*batch, n, n)
        self.loc = loc.expand(*batch, n)
        super().__init__(batch, (n,), validate_args)
        self.lower  # noqa: B018 (a matrix that is not positive definite is refused here, not at the first use)

    @lazy
    def lower(self):
        """The Cholesky factor of the covariance."""
        if "scale_tril" in self.__dict__:
            return self.scale_tril
        if "covariance_matrix" in self.__dict__:
            return linalg.cholesky(self.covariance_matrix)
        upside_down = linalg.cholesky(tg.flip(self.precision_matrix, (-2, -1)))
        inverse = tg.flip(upside_down, (-2, -1)).mT
        return linalg.solve_triangular(inverse, tg.eye(self.loc.shape[-1], dtype=self.loc.dtype), upper=False)

    @lazy
    def scale_tril(self):
        """The Cholesky factor of the covariance."""
        return self.lower

    @lazy
    def covariance_matrix(self):
        """LLᵀ"""
        return self.lower @ self.lower.mT

    @lazy
    def precision_matrix(self):
        """The inverse of the covariance."""
        return linalg.inv(self.covariance_matrix)

    mean = mode = property(lambda self: self.loc)
    variance = property(lambda self: self.lower.pow(2).sum(-1))

    def rsample(self, sample_shape=()):
        eps = standard_normal(self.extended(sample_shape), self.loc)
        return self.loc + (self.lower @ eps.unsqueeze(-1)).squeeze(-1)

    def log_prob(self, value):
        distance = squared_distance(self.lower, self.checked(value) - self.loc)
        return -0.5 * (self.event_shape[0] * math.log(2 * math.pi) + distance) - half_log_determinant(self.lower)

    def entropy(self):
        return 0.5 * self.event_shape[0] * (1 + math.log(2 * math.pi)) + half_log_determinant(self.lower)


class LowRankMultivariateNormal(Distribution):
    """A bell in n dimensions with covariance W·Wᵀ + diag(D): cov_factor W (…, n, m) and cov_diag D (…, n)."""

    arg_constraints = dict(loc=constraints.real_vector, cov_factor=constraints.real, cov_diag=constraints.positive)
    support = constraints.real_vector
    has_rsample = True

    def __init__(self, loc, cov_factor, cov_diag, validate_args=None):
        n, m = loc.shape[-1], cov_factor.shape[-1]
        if cov_factor.ndim < 2 or cov_factor.shape[-2] != n or cov_diag.shape[-1] != n:
            raise ValueError(f"LowRankMultivariateNormal: loc {list(loc.shape)} needs cov_factor (…, {n}, m) and cov_diag (…, {n}); "
                             f"got {list(cov_factor.shape)} and {list(cov_diag.shape)}")  # fmt: skip
        batch = np.broadcast_shapes(tuple(loc.shape[:-1]), tuple(cov_factor.shape[:-2]), tuple(cov_diag.shape[:-1]))
        self.loc, self.cov_factor, self.cov_diag = loc.expand(*batch, n), cov_factor.expand(*batch, n, m), cov_diag.expand(*batch, n)
        self.scaled = self.cov_factor.mT / self.cov_diag.unsqueeze(-2)  # WᵀD⁻¹
        self.capacitance = linalg.cholesky(self.scaled @ self.cov_factor + tg.eye(m, dtype=loc.dtype))
        super().__init__(batch, (n,), validate_args)

    mean = mode = property(lambda self: self.loc)
    variance = property(lambda self: self.cov_factor.pow(2).sum(-1) + self.cov_diag)
    covariance_matrix = property(lambda self: self.cov_factor @ self.cov_factor.mT + self.cov_diag.diag_embed(), doc="WWᵀ + D")

    @property
    def scale_tril(self):
        """The Cholesky factor of the covariance."""
        return linalg.cholesky(self.covariance_matrix)

    @property
    def precision_matrix(self):
        """The inverse of the covariance."""
        return linalg.inv(self.covariance_matrix)

    def rsample(self, sample_shape=()):
        shape = self.extended(sample_shape)
        first = standard_normal((*shape[:-1], self.cov_factor.shape[-1]), self.loc)
        second = standard_normal(shape, self.loc)
        return self.loc + (self.cov_factor @ first.unsqueeze(-1)).squeeze(-1) + self.cov_diag.sqrt() * second

    def half_log_det(self):
        """½ ln det of the covariance"""
        return half_log_determinant(self.capacitance) + 0.5 * self.cov_diag.log().sum(-1)

    def log_prob(self, value):
        away = self.checked(value) - self.loc
        inner = (self.scaled @ away.unsqueeze(-1)).squeeze(-1)
        distance = (away.pow(2) / self.cov_diag).sum(-1) - squared_distance(self.capacitance, inner)
        return -0.5 * (self.event_shape[0] * math.log(2 * math.pi) + distance) - self.half_log_det()

    def entropy(self):
        return 0.5 * self.event_shape[0] * (1 + math.log(2 * math.pi)) + self.half_log_det()


class Dirichlet(Distribution):
    """Random proportions that sum to 1."""

    arg_constraints = dict(concentration=constraints.positive)
    support = constraints.simplex
    has_rsample = True

    def __init__(self, concentration, validate_args=None):
        self.concentration = concentration
        if concentration.ndim < 1:
            raise ValueError("Dirichlet: the concentration must have one dimension at least, a number per part")
        super().__init__(concentration.shape[:-1], concentration.shape[-1:], validate_args)

    mean = property(lambda self: self.concentration / self.concentration.sum(-1, True))

    @property
    def mode(self):
        """The most likely proportions; a single 1 where every concentration is under 1."""
        above = (self.concentration - 1).clamp(min=0)
        value = above / above.sum(-1, True)
        corner = tg.nn.functional.one_hot(value.argmax(-1), value.shape[-1]).to(value)
        return tg.where((self.concentration < 1).all(-1, keepdim=True), corner, value)

    @property
    def variance(self):
        """The variance of each proportion."""
        total = self.concentration.sum(-1, True)
        return self.concentration * (total - self.concentration) / (total.pow(2) * (total + 1))

    def rsample(self, sample_shape=()):
        alpha = self.concentration.expand(self.extended(sample_shape))
        drawn = gamma_numbers(alpha.array)
        drawn = drawn / drawn.sum(-1, keepdims=True)
        drawn = Tensor(np.clip(drawn, np.finfo(alpha.dtype).tiny, None).astype(alpha.dtype), None)
        return DirichletOutcomes.apply(alpha, drawn) if alpha.requires_grad else drawn

    def log_prob(self, value):
        a = self.concentration
        return tg.xlogy(a - 1, self.checked(value)).sum(-1) + tg.lgamma(a.sum(-1)) - tg.lgamma(a).sum(-1)

    def entropy(self):
        a, k = self.concentration, self.concentration.shape[-1]
        total = a.sum(-1)
        return (tg.lgamma(a).sum(-1) - tg.lgamma(total) - (k - total) * tg.digamma(total)
                - ((a - 1) * tg.digamma(a)).sum(-1))  # fmt: skip


class Independent(Distribution):
    """Makes the last batch dimensions of a distribution part of one outcome: their log densities are summed."""

    def __init__(self, base_distribution, reinterpreted_batch_ndims, validate_args=None):
        self.base_dist, self.reinterpreted_batch_ndims = base_distribution, reinterpreted_batch_ndims
        shape, kept = base_distribution.batch_shape, len(base_distribution.batch_shape) - reinterpreted_batch_ndims
        if kept < 0:
            raise ValueError(f"Independent: {reinterpreted_batch_ndims} dimensions of a batch of shape {list(shape)} were asked for")
        super().__init__(shape[:kept], tuple(shape[kept:]) + tuple(base_distribution.event_shape), validate_args)

    has_rsample = property(lambda self: self.base_dist.has_rsample)
    has_enumerate_support = property(lambda self: not self.reinterpreted_batch_ndims and self.base_dist.has_enumerate_support)
    mean = property(lambda self: self.base_dist.mean)
    mode = property(lambda self: self.base_dist.mode)
    variance = property(lambda self: self.base_dist.variance)

    def sample(self, sample_shape=()):
        return self.base_dist.sample(sample_shape)

    def rsample(self, sample_shape=()):
        return self.base_dist.rsample(sample_shape)

    def log_prob(self, value):
        return sum_last(self.base_dist.log_prob(value), self.reinterpreted_batch_ndims)

    def entropy(self):
        return sum_last(self.base_dist.entropy(), self.reinterpreted_batch_ndims)

    def enumerate_support(self, expand=True):
        if self.reinterpreted_batch_ndims:
            raise NotImplementedError("Enumeration over cartesian product is not implemented")
        return self.base_dist.enumerate_support(expand)

    def expand(self, batch_shape, _instance=None):
        n = self.reinterpreted_batch_ndims
        return type(self)(self.base_dist.expand((*batch_shape, *self.event_shape[:n])), n, validate_args=False)

    @property
    def support(self):
        """What the distribution beneath allows, for all numbers of an outcome."""
        n = self.reinterpreted_batch_ndims
        return constraints.independent(self.base_dist.support, n) if n else self.base_dist.support

    def __repr__(self):
        return f"Independent({self.base_dist}, {self.reinterpreted_batch_ndims})"


class TransformedDistribution(Distribution):
    """What becomes of the outcomes of a distribution when transforms are applied to each number."""

    def __init__(self, base_distribution, transforms, validate_args=None):
        self.base_dist = base_distribution
        self.transforms = list(transforms) if isinstance(transforms, (list, tuple)) else [transforms]
        whole, base_events = ComposeTransform(self.transforms), len(base_distribution.event_shape)
        shape = tuple(whole.forward_shape(tuple(base_distribution.batch_shape) + tuple(base_distribution.event_shape)))
        events = whole.codomain_dim + max(base_events - whole.domain_dim, 0)
        super().__init__(shape[: len(shape) - events], shape[len(shape) - events :], validate_args)

    has_rsample = property(lambda self: self.base_dist.has_rsample)

    @property
    def support(self):
        """What the last transform can give."""
        found = self.transforms[-1].codomain if self.transforms else self.base_dist.support
        events = len(self.event_shape) - (found.event_dim if found is not None else 0)
        return constraints.independent(found, events) if found is not None and events > 0 else found

    def expand(self, batch_shape, _instance=None):
        shape = ComposeTransform(self.transforms).inverse_shape((*batch_shape, *self.event_shape))
        base = self.base_dist.expand(tuple(shape)[: len(shape) - len(self.base_dist.event_shape)])
        return TransformedDistribution(base, self.transforms, validate_args=False)

    def through(self, x):
        """x after every transform."""
        for transform in self.transforms:
            x = transform(x)
        return x

    def sample(self, sample_shape=()):
        with no_grad():
            return self.through(self.base_dist.sample(sample_shape))

    def rsample(self, sample_shape=()):
        return self.through(self.base_dist.rsample(sample_shape))

    def log_prob(self, value):
        y, total, events = self.checked(value), 0.0, len(self.event_shape)
        for transform in reversed(self.transforms):
            x = transform.inv(y)
            events += transform.domain_dim - transform.codomain_dim
            total = total - sum_last(transform.log_abs_det_jacobian(x, y), events - transform.domain_dim)
            y = x
        return total + sum_last(self.base_dist.log_prob(y), events - len(self.base_dist.event_shape))

    def cdf(self, value):
        """The probability of an outcome up to the value."""
        for transform in reversed(self.transforms):
            value = transform.inv(value)
        value = self.base_dist.cdf(value)
        sign = math.prod(transform.sign for transform in self.transforms)
        return value if isinstance(sign, int) and sign == 1 else sign * (value - 0.5) + 0.5

    def icdf(self, value):
        """The number below which an outcome falls with this probability."""
        sign = math.prod(transform.sign for transform in self.transforms)
        return self.through(self.base_dist.icdf(value if isinstance(sign, int) and sign == 1 else sign * (value - 0.5) + 0.5))


class MixtureSameFamily(Distribution):
    """First a component is chosen by a Categorical, then an outcome by that component."""

    def __init__(self, mixture_distribution, component_distribution, validate_args=None):
        self.mixture_distribution, self.component_distribution = mixture_distribution, component_distribution
        shape = component_distribution.batch_shape
        if mixture_distribution.classes != shape[-1]:
            raise ValueError(f"MixtureSameFamily: {mixture_distribution.classes} weights, but the components have batch shape {list(shape)}; "
                             "its last dimension counts the components")  # fmt: skip
        super().__init__(shape[:-1], component_distribution.event_shape, validate_args)

    def expand(self, batch_shape, _instance=None):
        k = self.mixture_distribution.classes
        return type(self)(self.mixture_distribution.expand(batch_shape), self.component_distribution.expand((*batch_shape, k)), validate_args=False)

    has_rsample = False
    support = property(lambda self: constraints.MixtureSameFamilyConstraint(self.component_distribution.support),
                       doc="What all components allow.")  # fmt: skip

    def __repr__(self):
        return f"MixtureSameFamily(\n  {self.mixture_distribution},\n  {self.component_distribution})"

    def weights(self):
        """The weights, with a dimension of size 1 for each dimension of an outcome."""
        probs = self.mixture_distribution.probs
        return probs.reshape(*probs.shape, *(1,) * len(self.event_shape))

    @property
    def mean(self):
        """The weighted mean of the components' means."""
        return (self.weights() * self.component_distribution.mean).sum(-1 - len(self.event_shape))

    @property
    def variance(self):
        """The mean of the components' variances and the variance of their means."""
        dim, means = -1 - len(self.event_shape), self.component_distribution.mean
        inside = (self.weights() * self.component_distribution.variance).sum(dim)
        return inside + (self.weights() * (means - self.mean.unsqueeze(dim)) ** 2).sum(dim)

    def sample(self, sample_shape=()):
        events = len(self.event_shape)
        with no_grad():
            chosen = self.mixture_distribution.sample(sample_shape)
            drawn = self.component_distribution.sample(sample_shape)
            index = chosen.reshape(*chosen.shape, *(1,) * (events + 1))
            dim = drawn.ndim - events - 1
            return drawn.gather(dim, index.expand(*chosen.shape, 1, *self.event_shape)).squeeze(dim)

    def cdf(self, x):
        """The weighted mean of the components' probabilities of an outcome up to x."""
        each = self.component_distribution.cdf(x.unsqueeze(-1 - len(self.event_shape)))
        return (each * self.mixture_distribution.probs).sum(-1)

    def log_prob(self, x):
        each = self.component_distribution.log_prob(x.unsqueeze(-1 - len(self.event_shape)))
        return (each + self.mixture_distribution.logits.log_softmax(-1)).logsumexp(-1)
