"""Divergences between distributions of different kinds: KL(p ‖ q) = −H(p) − E_p[ln q], from a few expectations of p.

What p has to give for each q: E x and the variance for Normal; E x for Exponential and ContinuousBernoulli; E x and E ln x for Gamma;
E ln x for Pareto; E x and E e^(−x/s) for Gumbel. The divergence is infinite where p reaches beyond what q allows.
"""

import math

import tinygrad_edu as tg

from .. import linalg
from .continuous import EULER, Beta, Exponential, Gamma, Gumbel, Laplace, Normal, Uniform
from .derived import ContinuousBernoulli, Pareto
from .discrete import Bernoulli, Binomial, Poisson
from .distribution import sum_last
from .divergence import kl_divergence, kl_multivariate_normal, register_kl
from .joint import LowRankMultivariateNormal, MultivariateNormal, TransformedDistribution


def infinite(p, q):
    """p has outcomes that q excludes."""
    return tg.full_like(p.mean.detach(), math.inf)


BEYOND: list = [
    (Beta, [Pareto]), (ContinuousBernoulli, [Pareto]), (Exponential, [Beta, ContinuousBernoulli, Pareto, Uniform]),
    (Gamma, [Beta, ContinuousBernoulli, Pareto, Uniform]), (Gumbel, [Beta, ContinuousBernoulli, Exponential, Gamma, Pareto, Uniform]),
    (Laplace, [Beta, ContinuousBernoulli, Exponential, Gamma, Pareto, Uniform]),
    (Normal, [Beta, ContinuousBernoulli, Exponential, Gamma, Pareto, Uniform]), (Pareto, [Beta, ContinuousBernoulli, Uniform]),
    (Poisson, [Bernoulli, Binomial]),
]  # fmt: skip
for kind, others in BEYOND:
    for other in others:
        register_kl(kind, other)(infinite)


# --- expectations ------------------------------------------------------------------------------------------------------------


def x_log_x(x):
    """x ln x"""
    return tg.special.xlogy(x, x)


def mean_log(p):
    """E ln x"""
    if isinstance(p, Beta):
        return tg.digamma(p.concentration1) - tg.digamma(p.total)
    if isinstance(p, Exponential):
        return -EULER - p.rate.log()
    if isinstance(p, Pareto):
        return p.scale.log() + 1 / p.alpha
    return (x_log_x(p.high) - x_log_x(p.low)) / (p.high - p.low) - 1


def mean_decay(p, s):
    """E e^(−x/s)"""
    if isinstance(p, Exponential):
        return p.rate * s / (p.rate * s + 1)
    if isinstance(p, Gamma):
        return (1 + 1 / (p.rate * s)) ** -p.concentration
    if isinstance(p, Normal):
        return (0.5 * (p.scale / s) ** 2 - p.loc / s).exp()
    return s / (p.high - p.low) * ((-p.low / s).exp() - (-p.high / s).exp())


def where(condition, value):
    """The value, infinite where a condition holds."""
    return tg.where(condition, tg.full_like(value, math.inf), value)


def tame(p, order):
    """p, but Pareto tails so heavy that E xᵒʳᵈᵉʳ is infinite are made lighter: so that what is thrown away then has a gradient."""
    return Pareto(p.scale, tg.where(p.alpha <= order, order + 1.0, p.alpha), validate_args=False) if isinstance(p, Pareto) else p


# --- divergences from them ---------------------------------------------------------------------------------------------------


@register_kl(Beta, Normal)
@register_kl(ContinuousBernoulli, Normal)
@register_kl(Exponential, Normal)
@register_kl(Gamma, Normal)
@register_kl(Gumbel, Normal)
@register_kl(Laplace, Normal)
@register_kl(Pareto, Normal)
def kl_to_normal(p, q):
    """½ ln 2πτ² + (V x + (E x − ν)²) / 2τ² − H(p)"""
    tamed = tame(p, 2)
    away = tamed.variance + (tamed.mean - q.loc) ** 2
    cost = 0.5 * (2 * math.pi * q.scale**2).log() + away / (2 * q.scale**2) - p.entropy()
    return where(p.alpha <= 2, cost) if isinstance(p, Pareto) else cost


@register_kl(Beta, Exponential)
@register_kl(ContinuousBernoulli, Exponential)
@register_kl(Gamma, Exponential)
@register_kl(Pareto, Exponential)
@register_kl(Uniform, Exponential)
def kl_to_exponential(p, q):
    """λ · E x − ln λ − H(p)"""
    cost = q.rate * tame(p, 1).mean - q.rate.log() - p.entropy()
    return where(p.low < 0, cost) if isinstance(p, Uniform) else where(p.alpha <= 1, cost) if isinstance(p, Pareto) else cost


@register_kl(Beta, Gamma)
@register_kl(Exponential, Gamma)
@register_kl(Pareto, Gamma)
@register_kl(Uniform, Gamma)
def kl_to_gamma(p, q):
    """lnΓ(b) − b ln β − (b − 1) · E ln x + β · E x − H(p)"""
    b = q.concentration
    cost = tg.lgamma(b) - b * q.rate.log() - (b - 1) * mean_log(p) + q.rate * tame(p, 1).mean - p.entropy()
    return where(p.low < 0, cost) if isinstance(p, Uniform) else where(p.alpha <= 1, cost) if isinstance(p, Pareto) else cost


@register_kl(Exponential, Gumbel)
@register_kl(Gamma, Gumbel)
@register_kl(Normal, Gumbel)
@register_kl(Uniform, Gumbel)
def kl_to_gumbel(p, q):
    """ln s + (E x − ν)/s + e^(ν/s) · E e^(−x/s) − H(p)"""
    return q.scale.log() + (p.mean - q.loc) / q.scale + (q.loc / q.scale).exp() * mean_decay(p, q.scale) - p.entropy()


@register_kl(Beta, ContinuousBernoulli)
@register_kl(Uniform, ContinuousBernoulli)
@register_kl(ContinuousBernoulli, ContinuousBernoulli)
def kl_to_continuous_bernoulli(p, q):
    """−E x · logit q − ln(1 − q) − ln C(q) − H(p); PyTorch makes it infinite for a Uniform that touches 0 or 1"""
    cost = -p.mean * q.logits - tg.log1p(-q.probs) - q.log_norm() - p.entropy()
    return where((p.high >= 1) | (p.low <= 0), cost) if isinstance(p, Uniform) else cost


@register_kl(Beta, Uniform)
def kl_beta_uniform(p, q):
    """ln (b − a) − H(p)"""
    return where((q.low > 0) | (q.high < 1), (q.high - q.low).log() - p.entropy())


@register_kl(ContinuousBernoulli, Uniform)
def kl_continuous_bernoulli_uniform(p, q):
    """ln (b − a) − H(p); PyTorch makes it infinite for a Uniform that ends at 0 or 1"""
    return where((q.low >= 0) | (q.high <= 1), (q.high - q.low).log() - p.entropy())


@register_kl(Uniform, Beta)
def kl_uniform_beta(p, q):
    """ln B(a, b) − (a − 1) · E ln x − (b − 1) · E ln (1 − x) − ln (high − low)"""
    a, b, width = q.concentration1, q.concentration0, p.high - p.low
    other = (x_log_x(1 - p.low) - x_log_x(1 - p.high)) / width - 1
    cost = tg.lgamma(a) + tg.lgamma(b) - tg.lgamma(a + b) - (a - 1) * mean_log(p) - (b - 1) * other - width.log()
    return where((p.high > 1) | (p.low < 0), cost)


@register_kl(Uniform, Pareto)
def kl_uniform_pareto(p, q):
    """(α + 1) · E ln x − ln α − α ln s − ln (high − low)"""
    cost = (q.alpha + 1) * mean_log(p) - q.alpha.log() - q.alpha * q.scale.log() - (p.high - p.low).log()
    return where(p.low < q.scale, cost)


@register_kl(Normal, Laplace)
def kl_normal_laplace(p, q):
    """ln 2s + E |x − ν| / s − H(p)"""
    away = (p.loc - q.loc) / p.scale
    distance = math.sqrt(2 / math.pi) * p.scale * (-0.5 * away**2).exp() + (p.loc - q.loc) * tg.erf(math.sqrt(0.5) * away)
    return (2 * q.scale).log() + distance / q.scale - p.entropy()


@register_kl(Bernoulli, Poisson)
def kl_bernoulli_poisson(p, q):
    """λ − p ln λ − H(p)"""
    return q.rate - p.probs * q.rate.log() - p.entropy()


# --- distributions made of others --------------------------------------------------------------------------------------------


def dense(d):
    """A low-rank normal distribution as an ordinary one."""
    if isinstance(d, MultivariateNormal):
        return d
    return MultivariateNormal(d.loc, scale_tril=linalg.cholesky(d.covariance_matrix), validate_args=False)


@register_kl(LowRankMultivariateNormal, LowRankMultivariateNormal)
@register_kl(LowRankMultivariateNormal, MultivariateNormal)
@register_kl(MultivariateNormal, LowRankMultivariateNormal)
def kl_low_rank(p, q):
    """That of the two normal distributions."""
    if p.event_shape != q.event_shape:
        raise ValueError(f"kl_divergence: outcomes have shapes {list(p.event_shape)} and {list(q.event_shape)}; they must be the same")
    return kl_multivariate_normal(dense(p), dense(q))


@register_kl(TransformedDistribution, TransformedDistribution)
def kl_transformed(p, q):
    """That of the distributions beneath, where both go through the same transforms."""
    if p.transforms != q.transforms or p.event_shape != q.event_shape:
        raise NotImplementedError("kl_divergence: the transforms of the two distributions differ, so there is no closed form; average "
                                  "p.log_prob(x) - q.log_prob(x) over x = p.rsample((n,))")  # fmt: skip
    return sum_last(kl_divergence(p.base_dist, q.base_dist), len(p.event_shape) - len(p.base_dist.event_shape))
