"""The Kullback–Leibler divergence: how many nats it costs to take one distribution for another."""

import math

import tinygrad_edu as tg

from .. import linalg
from .continuous import EULER, Beta, Cauchy, Exponential, Gamma, Gumbel, HalfNormal, Laplace, LogNormal, Normal, Uniform
from .derived import Pareto
from .discrete import Bernoulli, Binomial, Categorical, Geometric, OneHotCategorical, Poisson
from .distribution import sum_last
from .joint import Dirichlet, Independent, MultivariateNormal, half_log_determinant, squared_distance
from .matrices import Wishart

REGISTERED: dict = {}


def register_kl(type_p, type_q):
    """Decorates a function of (p, q) that `kl_divergence` calls for these two classes."""

    def decorate(compute):
        REGISTERED[type_p, type_q] = compute
        return compute

    return decorate


def kl_divergence(p, q):
    """KL(p ‖ q) = E_p[ln p − ln q], in closed form, of shape batch_shape.

    >>> import tinygrad_edu as tg
    >>> Normal = tg.distributions.Normal
    >>> tg.distributions.kl_divergence(Normal(1.0, 1.0), Normal(0.0, 1.0))
    tensor(0.5000)
    """
    for kind_p in type(p).__mro__:
        for kind_q in type(q).__mro__:
            if (kind_p, kind_q) in REGISTERED:
                return REGISTERED[kind_p, kind_q](p, q)
    raise NotImplementedError(f"kl_divergence: no closed form is registered for {type(p).__name__} and {type(q).__name__}; "
                              "average p.log_prob(x) - q.log_prob(x) over x = p.rsample((n,))")  # fmt: skip


@register_kl(Normal, Normal)
def kl_normal(p, q):
    """½(σ²/τ² + (μ − ν)²/τ² − 1 − ln σ²/τ²)"""
    ratio = (p.scale / q.scale).pow(2)
    return 0.5 * (ratio + ((p.loc - q.loc) / q.scale).pow(2) - 1 - ratio.log())


@register_kl(LogNormal, LogNormal)
def kl_lognormal(p, q):
    """That of the two normal distributions."""
    return kl_normal(p.base_dist, q.base_dist)


@register_kl(Laplace, Laplace)
def kl_laplace(p, q):
    """ln τ/σ + |μ − ν|/τ + σ/τ·exp(−|μ − ν|/σ) − 1"""
    ratio, away = p.scale / q.scale, (p.loc - q.loc).abs()
    return -ratio.log() + away / q.scale + ratio * (-away / p.scale).exp() - 1


@register_kl(Uniform, Uniform)
def kl_uniform(p, q):
    """ln of the ratio of the widths; infinite if p reaches beyond q"""
    cost = ((q.high - q.low) / (p.high - p.low)).log()
    return tg.where((q.low > p.low) | (q.high < p.high), tg.full_like(cost, math.inf), cost)


@register_kl(Exponential, Exponential)
def kl_exponential(p, q):
    """r − ln r − 1 with r the ratio of the rates"""
    ratio = q.rate / p.rate
    return ratio - ratio.log() - 1


@register_kl(Gamma, Gamma)
def kl_gamma(p, q):
    """In terms of lgamma and digamma."""
    a, b = p.concentration, q.concentration
    return (b * (p.rate / q.rate).log() + tg.lgamma(b) - tg.lgamma(a) + (a - b) * tg.digamma(a)
            + (q.rate - p.rate) * (a / p.rate))  # fmt: skip


@register_kl(Beta, Beta)
def kl_beta(p, q):
    """In terms of lgamma and digamma."""

    def size(d):
        return tg.lgamma(d.concentration1) + tg.lgamma(d.concentration0) - tg.lgamma(d.total)

    return (size(q) - size(p) + (p.concentration1 - q.concentration1) * tg.digamma(p.concentration1)
            + (p.concentration0 - q.concentration0) * tg.digamma(p.concentration0)
            + (q.total - p.total) * tg.digamma(p.total))  # fmt: skip


@register_kl(Dirichlet, Dirichlet)
def kl_dirichlet(p, q):
    """In terms of lgamma and digamma."""
    a, b = p.concentration, q.concentration
    total = a.sum(-1)
    sizes = tg.lgamma(total) - tg.lgamma(b.sum(-1)) - (tg.lgamma(a) - tg.lgamma(b)).sum(-1)
    return sizes + ((a - b) * (tg.digamma(a) - tg.digamma(total).unsqueeze(-1))).sum(-1)


@register_kl(Bernoulli, Bernoulli)
def kl_bernoulli(p, q):
    """p ln p/q + (1 − p) ln (1 − p)/(1 − q)"""
    softplus = tg.logaddexp
    nothing = tg.zeros_like(q.logits)
    one = p.probs * (softplus(-q.logits, nothing) - softplus(-p.logits, nothing))
    zero = (1 - p.probs) * (softplus(q.logits, nothing) - softplus(p.logits, nothing))

    def settled(part, there, possible):
        """Infinite where q excludes the outcome, and 0 where p does."""
        part = tg.where(possible == 0, tg.full_like(part, math.inf), part)
        return tg.where(there == 0, tg.zeros_like(part), part)

    return settled(one, p.probs, q.probs) + settled(zero, 1 - p.probs, 1 - q.probs)


@register_kl(Categorical, Categorical)
def kl_categorical(p, q):
    """Σ p ln p/q; infinite where q excludes what p allows"""
    cost = p.probs * (p.logits - q.logits)
    cost = tg.where((q.probs == 0).expand_as(cost), tg.full_like(cost, math.inf), cost)
    cost = tg.where((p.probs == 0).expand_as(cost), tg.zeros_like(cost), cost)
    return cost.sum(-1)


@register_kl(OneHotCategorical, OneHotCategorical)
def kl_one_hot(p, q):
    """That of the two categorical distributions."""
    return kl_categorical(p.categorical, q.categorical)


@register_kl(Geometric, Geometric)
def kl_geometric(p, q):
    """−H(p) − ln(1 − q)/p − logit q"""
    return -p.entropy() - tg.log1p(-q.probs) / p.probs - q.logits


@register_kl(Poisson, Poisson)
def kl_poisson(p, q):
    """λ ln λ/μ − (λ − μ)"""
    return p.rate * (p.rate.log() - q.rate.log()) - (p.rate - q.rate)


@register_kl(MultivariateNormal, MultivariateNormal)
def kl_multivariate_normal(p, q):
    """½(tr Σq⁻¹Σp + (μp − μq)ᵀΣq⁻¹(μp − μq) − n + ln det Σq/det Σp)"""
    trace = linalg.solve_triangular(q.lower, p.lower, upper=False).pow(2).sum((-2, -1))
    spread = half_log_determinant(q.lower) - half_log_determinant(p.lower)
    return spread + 0.5 * (trace + squared_distance(q.lower, q.loc - p.loc) - p.event_shape[0])


@register_kl(Independent, Independent)
def kl_independent(p, q):
    """The sum over the dimensions that belong to one outcome."""
    if p.reinterpreted_batch_ndims != q.reinterpreted_batch_ndims:
        raise NotImplementedError("kl_divergence: the two Independent distributions sum over different numbers of dimensions")
    return sum_last(kl_divergence(p.base_dist, q.base_dist), p.reinterpreted_batch_ndims)


@register_kl(Cauchy, Cauchy)
def kl_cauchy(p, q):
    """ln ((σ + τ)² + (μ − ν)²) / 4στ (Chyzak and Nielsen 2019)"""
    return ((p.scale + q.scale).pow(2) + (p.loc - q.loc).pow(2)).log() - (4 * p.scale * q.scale).log()


@register_kl(HalfNormal, HalfNormal)
def kl_half_normal(p, q):
    """That of the two normal distributions."""
    return kl_normal(p.base_dist, q.base_dist)


@register_kl(Gumbel, Gumbel)
def kl_gumbel(p, q):
    """In terms of the ratio of the scales and lgamma."""
    ratio, away, constant = p.scale / q.scale, q.loc / q.scale, p.loc / q.scale
    return -ratio.log() - away + constant + ratio * EULER + (away + tg.lgamma(1 + ratio) - constant).exp() - (1 + EULER)


@register_kl(Pareto, Pareto)
def kl_pareto(p, q):
    """ln α/β + β ln s/t + β/α − 1; infinite if p reaches below q"""
    ratio = q.alpha / p.alpha
    cost = q.alpha * (p.scale / q.scale).log() - ratio.log() + ratio - 1
    return tg.where(p.scale < q.scale, tg.full_like(cost, math.inf), cost)


@register_kl(Binomial, Binomial)
def kl_binomial(p, q):
    """n · (p · (logit p − logit q) + ln (1 − p)/(1 − q)) for one number of attempts"""
    if bool((p.total_count < q.total_count).any()):
        raise NotImplementedError("KL between Binomials where q.total_count > p.total_count is not implemented")
    cost = p.total_count * (p.probs * (p.logits - q.logits) + (-p.probs).log1p() - (-q.probs).log1p())
    return tg.where(p.total_count > q.total_count, tg.full_like(cost, math.inf), cost)


@register_kl(Uniform, Normal)
def kl_uniform_normal(p, q):
    """ln √(2πσ²)/(b − a) + ((b − a)²/12 + ((a + b)/2 − μ)²) / 2σ²"""
    width, spread = p.high - p.low, ((p.high + p.low - 2 * q.loc) / 2).pow(2)
    return (math.sqrt(math.pi * 2) * q.scale / width).log() + (width.pow(2) / 12 + spread) * (1 / (2 * q.scale.pow(2)))


@register_kl(Wishart, Wishart)
def kl_wishart(p, q):
    """By the determinants, the trace of Sq⁻¹ · Sp and the multivariate gamma function (Wikipedia: Wishart distribution)"""
    n, half_p, half_q = p.event_shape[-1], p.df / 2, q.df / 2
    ratio = linalg.solve_triangular(q.scale_tril, p.scale_tril.expand(*tg.broadcast_shapes(p.batch_shape, q.batch_shape), n, n), upper=False)
    digammas = sum(tg.digamma(half_p - k / 2) for k in range(n))
    determinants = half_log_determinant(q.scale_tril) - half_log_determinant(p.scale_tril)
    gammas = tg.mvlgamma(half_q, n) - tg.mvlgamma(half_p, n)
    return q.df * determinants + half_p * (ratio.pow(2).sum((-2, -1)) - n) + gammas + (half_p - half_q) * digammas
