"""Distributions of one real number that are made of simpler ones: by a transform, a ratio, or a rejection."""

import math

import numpy as np

import tinygrad_edu as tg

from ..autograd.modes import no_grad
from ..autograd.tensor import Tensor
from . import constraints
from .continuous import EULER, Cauchy, Exponential, Gamma, Normal, Uniform, standard_normal
from .discrete import Binary, either
from .distribution import Distribution, lazy, tidy, together, where_not
from .joint import TransformedDistribution
from .transforms import AbsTransform, AffineTransform, ExpTransform, PowerTransform, SigmoidTransform, StickBreakingTransform


class Transformed(TransformedDistribution):
    """What `TransformedDistribution` makes of a base and transforms; subclasses keep their parameters beside them."""

    def expand(self, batch_shape, _instance=None):
        return Distribution.expand(self, batch_shape)

    __repr__ = Distribution.__repr__


class Chi2(Gamma):
    """The sum of `df` squared standard normal numbers."""

    arg_constraints = dict(df=constraints.positive)

    def __init__(self, df, validate_args=None):
        (self.df,) = together(df)
        super().__init__(0.5 * self.df, 0.5, validate_args)


class StudentT(Distribution):
    """A normal number over an estimate of its spread: heavier tails, the fewer degrees of freedom `df`."""

    arg_constraints = dict(df=constraints.positive, loc=constraints.real, scale=constraints.positive)
    support = constraints.real
    has_rsample = True

    def __init__(self, df, loc=0.0, scale=1.0, validate_args=None):
        self.df, self.loc, self.scale = together(df, loc, scale)
        self.chi2 = Chi2(self.df)
        super().__init__(self.df.shape, (), validate_args)

    mode = property(lambda self: self.loc)
    mean = property(lambda self: where_not(self.df <= 1, self.loc, math.nan))

    @property
    def variance(self):
        """scale² · df / (df − 2), infinite up to 2 and undefined up to 1."""
        value = where_not(self.df <= 2, self.scale.pow(2) * self.df / (self.df - 2), math.inf)
        return where_not(self.df <= 1, value, math.nan)

    def rsample(self, sample_shape=()):
        x = standard_normal(self.extended(sample_shape), self.df)
        return self.loc + self.scale * (x * tg.rsqrt(self.chi2.rsample(sample_shape) / self.df))

    def log_prob(self, value):
        y, n = (self.checked(value) - self.loc) / self.scale, self.df
        size = self.scale.log() + 0.5 * n.log() + 0.5 * math.log(math.pi) + tg.lgamma(0.5 * n) - tg.lgamma(0.5 * (n + 1))
        return -0.5 * (n + 1) * tg.log1p(y**2 / n) - size

    def entropy(self):
        n, psi = self.df, tg.digamma
        beta = tg.lgamma(0.5 * n) + math.lgamma(0.5) - tg.lgamma(0.5 * (n + 1))
        return self.scale.log() + 0.5 * (n + 1) * (psi(0.5 * (n + 1)) - psi(0.5 * n)) + 0.5 * n.log() + beta


class FisherSnedecor(Distribution):
    """The ratio of two mean squares with df1 and df2 degrees of freedom."""

    arg_constraints = dict(df1=constraints.positive, df2=constraints.positive)
    support = constraints.positive
    has_rsample = True

    def __init__(self, df1, df2, validate_args=None):
        self.df1, self.df2 = together(df1, df2)
        self.gammas = Gamma(self.df1 * 0.5, self.df1), Gamma(self.df2 * 0.5, self.df2)
        super().__init__(self.df1.shape, (), validate_args)

    mean = property(lambda self: where_not(self.df2 <= 2, self.df2 / (self.df2 - 2), math.nan))
    mode = property(lambda self: where_not(self.df1 <= 2, (self.df1 - 2) / self.df1 * self.df2 / (self.df2 + 2), math.nan))

    @property
    def variance(self):
        """2 · df2² · (df1 + df2 − 2) / (df1 · (df2 − 2)² · (df2 − 4)), undefined up to 4."""
        a, b = self.df1, self.df2
        return where_not(b <= 4, 2 * b.pow(2) * (a + b - 2) / (a * (b - 2).pow(2) * (b - 4)), math.nan)

    def rsample(self, sample_shape=()):
        tiny = float(np.finfo(self.df1.dtype).tiny)
        above, below = (gamma.rsample(sample_shape) for gamma in self.gammas)
        return (above / below.clamp(min=tiny)).clamp(min=tiny)

    def log_prob(self, value):
        value, a, b, ratio = self.checked(value), self.df1 * 0.5, self.df2 * 0.5, self.df1 / self.df2
        size = tg.lgamma(a + b) - tg.lgamma(a) - tg.lgamma(b)
        return size + a * ratio.log() + (a - 1) * value.log() - (a + b) * tg.log1p(ratio * value)


class HalfCauchy(Transformed):
    """The absolute value of a Cauchy number around 0."""

    arg_constraints = dict(scale=constraints.positive)
    support = constraints.nonnegative

    def __init__(self, scale, validate_args=None):
        base = Cauchy(0, scale)
        self.scale = base.scale
        super().__init__(base, AbsTransform(), validate_args)

    mean = property(lambda self: tg.full_like(self.scale, math.inf))
    mode = property(lambda self: tg.zeros_like(self.scale))
    variance = property(lambda self: self.base_dist.variance)

    def log_prob(self, value):
        return self.base_dist.log_prob(self.checked(value)) + math.log(2)

    def cdf(self, value):
        """The probability of an outcome up to the value."""
        return 2 * self.base_dist.cdf(value) - 1

    def icdf(self, prob):
        """The number below which an outcome falls with this probability."""
        return self.base_dist.icdf((prob + 1) / 2)

    def entropy(self):
        return self.base_dist.entropy() - math.log(2)


class Pareto(Transformed):
    """`scale` times e to the power of a waiting time: the rich get richer."""

    arg_constraints = dict(alpha=constraints.positive, scale=constraints.positive)

    def __init__(self, scale, alpha, validate_args=None):
        self.scale, self.alpha = together(scale, alpha)
        super().__init__(Exponential(self.alpha), [ExpTransform(), AffineTransform(0, self.scale)], validate_args)

    @property
    def support(self):
        """From scale on."""
        return constraints.greater_than_eq(self.scale.detach())

    mode = property(lambda self: self.scale)

    @property
    def mean(self):
        """Infinite for alpha up to 1."""
        a = self.alpha.clamp(min=1)
        return a * self.scale / (a - 1)

    @property
    def variance(self):
        """Infinite for alpha up to 2."""
        a = self.alpha.clamp(min=2)
        return self.scale.pow(2) * a / ((a - 1).pow(2) * (a - 2))

    def entropy(self):
        return (self.scale / self.alpha).log() + (1 + self.alpha.reciprocal())


class GeneralizedPareto(Distribution):
    """What exceeds a high threshold `loc`: the tail falls as a power (concentration > 0), exponentially (0), or ends (< 0)."""

    arg_constraints = dict(loc=constraints.real, scale=constraints.positive, concentration=constraints.real)
    has_rsample = True

    def __init__(self, loc, scale, concentration, validate_args=None):
        self.loc, self.scale, self.concentration = together(loc, scale, concentration)
        super().__init__(self.loc.shape, (), validate_args)

    @property
    def support(self):
        """From loc on; up to loc − scale / concentration, where that is negative."""
        c, loc = self.concentration.detach(), self.loc.detach()
        ends = c < 0
        return constraints.interval(loc, where_not(~ends, loc - self.scale.detach() / tg.where(ends, c, -1.0), math.inf))

    def plain(self):
        """Where the concentration is 0, and one that can be divided by."""
        zero = tg.isclose(self.concentration, tg.zeros_like(self.concentration))
        return zero, tg.where(zero, tg.ones_like(self.concentration), self.concentration)

    def rsample(self, sample_shape=()):
        return self.icdf(tg.rand(self.extended(sample_shape), dtype=self.loc.dtype))

    def log_prob(self, value):
        zero, c = self.plain()
        z = (self.checked(value) - self.loc) / self.scale
        power = 1 / c + tg.ones_like(z)
        return -self.scale.log() - tg.where(zero, z, tg.where(power == 0, power, power * tg.log1p(c * z)))

    def log_survival_function(self, value):
        """The logarithm of the probability of an outcome beyond the value."""
        zero, c = self.plain()
        z = (self.checked(value) - self.loc) / self.scale
        return tg.where(zero, -z, -tg.log1p(c * z) / c)

    def log_cdf(self, value):
        """The logarithm of the probability of an outcome up to the value."""
        return tg.log1p(-self.log_survival_function(value).exp())

    def cdf(self, value):
        return self.log_cdf(value).exp()

    def icdf(self, value):
        zero, c = self.plain()
        left = tg.log1p(-value)
        return tg.where(zero, self.loc - self.scale * left, self.loc + self.scale / c * tg.expm1(-c * left))

    mode = property(lambda self: self.loc)

    @property
    def mean(self):
        """loc + scale / (1 − concentration), undefined from concentration 1 on."""
        fits = self.concentration < 1
        c = tg.where(fits, self.concentration, 0.5)
        return where_not(~fits, self.loc + self.scale / (1 - c), math.nan)

    @property
    def variance(self):
        """scale² / ((1 − c)² (1 − 2c)), undefined from concentration c = ½ on."""
        fits = self.concentration < 0.5
        c = tg.where(fits, self.concentration, 0.25)
        return where_not(~fits, self.scale**2 / ((1 - c) ** 2 * (1 - 2 * c)), math.nan)

    def entropy(self):
        return self.scale.log() + self.concentration + 1


class Weibull(Transformed):
    """A lifetime whose risk grows (concentration > 1) or falls (< 1) with age."""

    arg_constraints = dict(scale=constraints.positive, concentration=constraints.positive)
    support = constraints.positive

    def __init__(self, scale, concentration, validate_args=None):
        self.scale, self.concentration = together(scale, concentration)
        powers = PowerTransform(self.concentration.reciprocal())
        super().__init__(Exponential(tg.ones_like(self.scale)), [powers, AffineTransform(0, self.scale)], validate_args)

    mean = property(lambda self: self.scale * tg.lgamma(1 + self.concentration.reciprocal()).exp())
    mode = property(lambda self: self.scale * ((self.concentration - 1) / self.concentration) ** self.concentration.reciprocal())

    @property
    def variance(self):
        """scale² · (Γ(1 + 2/k) − Γ(1 + 1/k)²)"""
        k = self.concentration.reciprocal()
        return self.scale.pow(2) * (tg.lgamma(1 + 2 * k).exp() - (2 * tg.lgamma(1 + k)).exp())

    def entropy(self):
        k = self.concentration.reciprocal()
        return EULER * (1 - k) + (self.scale * k).log() + 1


class Kumaraswamy(Transformed):
    """A random proportion, much like Beta, whose cdf is simple."""

    arg_constraints = dict(concentration1=constraints.positive, concentration0=constraints.positive)
    support = constraints.unit_interval

    def __init__(self, concentration1, concentration0, validate_args=None):
        self.concentration1, self.concentration0 = together(concentration1, concentration0)
        zero = tg.zeros_like(self.concentration0)
        steps = [PowerTransform(self.concentration0.reciprocal()), AffineTransform(1.0, -1.0), PowerTransform(self.concentration1.reciprocal())]
        super().__init__(Uniform(zero, zero + 1), steps, validate_args)

    def moment(self, n):
        """E[xⁿ]"""
        a, b = 1 + n / self.concentration1, self.concentration0
        return b * (tg.lgamma(a) + tg.lgamma(b) - tg.lgamma(a + b)).exp()

    @property
    def mode(self):
        """((a − 1) / (ab − 1))^(1/a), where both are at least 1"""
        a, b = self.concentration1, self.concentration0
        value = (((a - 1).log() - (a * b - 1).log()) / a).exp()
        return where_not((a < 1) | (b < 1), value, math.nan)

    mean = property(lambda self: self.moment(1))
    variance = property(lambda self: self.moment(2) - self.mean.pow(2))

    def entropy(self):
        a, b = self.concentration1, self.concentration0
        return 1 - b.reciprocal() + (1 - a.reciprocal()) * (tg.digamma(b + 1) + EULER) - a.log() - b.log()


class InverseGamma(Transformed):
    """1 over a gamma number."""

    arg_constraints = dict(concentration=constraints.positive, rate=constraints.positive)
    support = constraints.positive

    def __init__(self, concentration, rate, validate_args=None):
        base = Gamma(concentration, rate)
        self.concentration, self.rate = base.concentration, base.rate
        super().__init__(base, PowerTransform(tg.tensor(-1.0, dtype=self.rate.dtype)), validate_args)

    mean = property(lambda self: where_not(self.concentration <= 1, self.rate / (self.concentration - 1), math.inf))
    mode = property(lambda self: self.rate / (self.concentration + 1))

    @property
    def variance(self):
        """Infinite for a concentration up to 2."""
        a = self.concentration
        return where_not(a <= 2, self.rate.square() / ((a - 1).square() * (a - 2)), math.inf)

    def entropy(self):
        a = self.concentration
        return a + self.rate.log() + tg.lgamma(a) - (1 + a) * tg.digamma(a)


class LogisticNormal(Transformed):
    """n + 1 random proportions made of n normal numbers by breaking a stick."""

    arg_constraints = dict(loc=constraints.real, scale=constraints.positive)
    support = constraints.simplex
    cdf, icdf = Distribution.cdf, Distribution.icdf

    def __init__(self, loc, scale, validate_args=None):
        base = Normal(loc, scale)
        if not base.batch_shape:
            base = Normal(base.loc.expand(1), base.scale.expand(1))
        self.loc, self.scale = base.loc, base.scale
        super().__init__(base, StickBreakingTransform(), validate_args)


class LogitRelaxedBernoulli(Binary):
    """The logit of a softened coin toss."""

    support = constraints.real

    def expand(self, batch_shape, _instance=None):
        return type(self)(self.temperature, **{self.given: getattr(self, self.given).expand(tuple(batch_shape))}, validate_args=False)

    def __init__(self, temperature, probs=None, logits=None, validate_args=None):
        self.temperature = temperature
        super().__init__(probs, logits, validate_args)

    def rsample(self, sample_shape=()):
        probs = tidy(self.probs.expand(self.extended(sample_shape)))
        u = tidy(tg.rand(self.extended(sample_shape), dtype=probs.dtype))
        return (u.log() - (-u).log1p() + probs.log() - (-probs).log1p()) / self.temperature

    def log_prob(self, value):
        logits, value = together(self.logits, self.checked(value))
        away = logits - value * self.temperature
        size = self.temperature.log() if isinstance(self.temperature, Tensor) else math.log(self.temperature)
        return size + away - 2 * away.exp().log1p()


class RelaxedBernoulli(Transformed):
    """A softened coin toss that lets the gradient through; the lower the temperature, the harder (Jang et al. 2017)."""

    arg_constraints = Binary.arg_constraints
    support = constraints.unit_interval

    def __init__(self, temperature, probs=None, logits=None, validate_args=None):
        super().__init__(LogitRelaxedBernoulli(temperature, probs, logits), SigmoidTransform(), validate_args)

    has_rsample = True

    def expand(self, batch_shape, _instance=None):
        given = self.base_dist.given
        return type(self)(self.temperature, **{given: getattr(self, given).expand(tuple(batch_shape))}, validate_args=False)

    temperature = property(lambda self: self.base_dist.temperature, doc="How far the outcomes keep from 0 and 1.")
    probs = property(lambda self: self.base_dist.probs, doc="The probability.")
    logits = property(lambda self: self.base_dist.logits, doc="The logarithm of the odds.")


class ContinuousBernoulli(Binary):
    """A number between 0 and 1 with density λˣ(1 − λ)¹⁻ˣ up to a factor (Loaiza-Ganem and Cunningham 2019)."""

    support = constraints.unit_interval
    has_rsample = True

    def __init__(self, probs=None, logits=None, lims=(0.499, 0.501), validate_args=None):
        either(type(self), probs, logits)
        self.lims = lims
        super().__init__(probs, logits, validate_args)
        if probs is not None:
            self.probs = tidy(self.probs)

    @lazy
    def probs(self):
        """The parameter λ, kept away from 0 and 1."""
        return tidy(self.logits.sigmoid())

    def outside(self):
        """True where probs is far enough from ½ for the exact formulas, and probs kept from ½ elsewhere."""
        far = (self.probs <= self.lims[0]) | (self.probs > self.lims[1])
        return far, tg.where(far, self.probs, self.lims[0] * tg.ones_like(self.probs))

    def log_norm(self):
        """ln of the factor; a Taylor series around ½."""
        far, cut = self.outside()
        low = tg.where(cut <= 0.5, cut, tg.zeros_like(cut))
        high = tg.where(cut >= 0.5, cut, tg.ones_like(cut))
        exact = (tg.log1p(-cut) - cut.log()).abs().log() - tg.where(cut <= 0.5, tg.log1p(-2 * low), (2 * high - 1).log())
        x = (self.probs - 0.5) ** 2
        return tg.where(far, exact, math.log(2) + (4 / 3 + 104 / 45 * x) * x)

    @property
    def mean(self):
        """λ / (2λ − 1) + 1 / (2 artanh(1 − 2λ))"""
        far, cut = self.outside()
        x = self.probs - 0.5
        return tg.where(far, cut / (2 * cut - 1) + 1 / (tg.log1p(-cut) - cut.log()), 0.5 + (1 / 3 + 16 / 45 * x**2) * x)

    @property
    def variance(self):
        """λ(λ − 1) / (1 − 2λ)² + 1 / (2 artanh(1 − 2λ))²"""
        far, cut = self.outside()
        x = (self.probs - 0.5) ** 2
        exact = cut * (cut - 1) / (1 - 2 * cut) ** 2 + 1 / (tg.log1p(-cut) - cut.log()) ** 2
        return tg.where(far, exact, 1 / 12 - (1 / 15 - 128 / 945 * x) * x)

    def rsample(self, sample_shape=()):
        shape = self.extended(sample_shape)
        return self.icdf(tg.rand(shape, dtype=self.probs.dtype))

    def sample(self, sample_shape=()):
        with no_grad():
            return self.rsample(sample_shape)

    def log_prob(self, value):
        logits, value = together(self.logits, self.checked(value))
        return -tg.nn.functional.binary_cross_entropy_with_logits(logits, value, reduction="none") + self.log_norm()

    def cdf(self, value):
        """The probability of an outcome up to the value."""
        far, cut = self.outside()
        inside = (cut**value * (1 - cut) ** (1 - value) + cut - 1) / (2 * cut - 1)
        found = tg.where(far, inside, value)
        return tg.where(value <= 0, tg.zeros_like(found), tg.where(value >= 1, tg.ones_like(found), found))

    def icdf(self, value):
        """The number below which an outcome falls with this probability."""
        far, cut = self.outside()
        exact = (tg.log1p(-cut + value * (2 * cut - 1)) - tg.log1p(-cut)) / (cut.log() - tg.log1p(-cut))
        return tg.where(far, exact, value)

    def entropy(self):
        log0, log1 = tg.log1p(-self.probs), self.probs.log()
        return self.mean * (log0 - log1) - self.log_norm() - log0


class VonMises(Distribution):
    """An angle around `loc`, the closer the larger `concentration`."""

    arg_constraints = dict(loc=constraints.real, concentration=constraints.positive)
    support = constraints.real

    def __init__(self, loc, concentration, validate_args=None):
        self.loc, self.concentration = together(loc, concentration)
        super().__init__(self.loc.shape, (), validate_args)

    mean = mode = property(lambda self: self.loc)

    @property
    def variance(self):
        """1 − I₁(κ) / I₀(κ)"""
        return 1 - tg.special.i1e(self.concentration) / tg.special.i0e(self.concentration)

    def sample(self, sample_shape=()):
        shape = self.extended(sample_shape)
        loc, kappa = (t.array.astype(np.float64) for t in (self.loc.detach(), self.concentration.detach()))
        tau = 1 + np.sqrt(1 + 4 * kappa**2)
        rho = (tau - np.sqrt(2 * tau)) / (2 * kappa)
        r = np.where(kappa < 1e-5, 1 / kappa + kappa, (1 + rho**2) / (2 * rho))
        angle, done = np.zeros(shape), np.zeros(shape, bool)
        while not done.all():  # rejection from a wrapped Cauchy number (Best and Fisher 1979)
            u1, u2, u3 = tg.rand((3, *shape), dtype=np.float64).array
            z = np.cos(np.pi * u1)
            f = (1 + r * z) / (r + z)
            c = kappa * (r - f)
            with np.errstate(all="ignore"):
                accept = (c * (2 - c) - u2 > 0) | (np.log(c / u2) + 1 - c >= 0)
            angle, done = np.where(accept, np.sign(u3 - 0.5) * np.arccos(np.clip(f, -1, 1)), angle), done | accept
        return Tensor(((angle + np.pi + loc) % (2 * np.pi) - np.pi).astype(self.loc.dtype), None)

    def log_prob(self, value):
        bessel = tg.special.i0e(self.concentration).log() + self.concentration
        return self.concentration * (self.checked(value) - self.loc).cos() - math.log(2 * math.pi) - bessel


__all__ = ["Chi2", "ContinuousBernoulli", "FisherSnedecor", "GeneralizedPareto", "HalfCauchy", "InverseGamma", "Kumaraswamy", "LogisticNormal", "LogitRelaxedBernoulli",
           "Pareto", "RelaxedBernoulli", "StudentT", "VonMises", "Weibull"]  # fmt: skip
