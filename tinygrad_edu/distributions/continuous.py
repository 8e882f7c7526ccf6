"""Distributions of one real number."""

import math

import numpy as np

import tinygrad_edu as tg

from ..api.random import source
from ..autograd.modes import no_grad
from ..autograd.tensor import Tensor
from . import constraints
from .distribution import Distribution, together
from .pathwise import GammaOutcomes

EULER = 0.57721566490153286060


def standard_normal(shape, like):
    """Standard normal numbers of a shape, of the dtype of `like`."""
    return tg.normal(tg.zeros(shape, dtype=like.dtype), tg.ones(shape, dtype=like.dtype))


class Normal(Distribution):
    """The bell curve with mean `loc` and standard deviation `scale`.

    >>> import tinygrad_edu as tg
    >>> tg.distributions.Normal(0.0, 1.0).log_prob(tg.tensor(0.0))
    tensor(-0.9189)
    """

    arg_constraints = dict(loc=constraints.real, scale=constraints.positive)
    support = constraints.real
    has_rsample = True

    def __init__(self, loc, scale, validate_args=None):
        self.loc, self.scale = together(loc, scale)
        super().__init__(self.loc.shape, (), validate_args)

    mean = mode = property(lambda self: self.loc)
    stddev = property(lambda self: self.scale)
    variance = property(lambda self: self.scale**2)

    def sample(self, sample_shape=()):
        shape = self.extended(sample_shape)
        with no_grad():
            return tg.normal(self.loc.expand(shape), self.scale.expand(shape))

    def rsample(self, sample_shape=()):
        return self.loc + standard_normal(self.extended(sample_shape), self.loc) * self.scale

    def log_prob(self, value):
        value = self.checked(value)
        return -((value - self.loc) ** 2) / (2 * self.variance) - self.scale.log() - math.log(math.sqrt(2 * math.pi))

    def cdf(self, value):
        """The probability of an outcome up to the value."""
        return 0.5 * (1 + tg.erf((value - self.loc) / self.scale / math.sqrt(2)))

    def icdf(self, value):
        """The number below which an outcome falls with this probability."""
        return self.loc + self.scale * tg.erfinv(2 * value - 1) * math.sqrt(2)

    def entropy(self):
        return 0.5 + 0.5 * math.log(2 * math.pi) + self.scale.log()


class LogNormal(Distribution):
    """e to the power of a normal number."""

    arg_constraints = Normal.arg_constraints
    support = constraints.positive
    has_rsample = True

    def __init__(self, loc, scale, validate_args=None):
        self.base_dist = Normal(loc, scale, validate_args)
        self.loc, self.scale = self.base_dist.loc, self.base_dist.scale
        super().__init__(self.loc.shape, (), validate_args)

    mean = property(lambda self: (self.loc + self.scale**2 / 2).exp())
    mode = property(lambda self: (self.loc - self.scale**2).exp())
    variance = property(lambda self: (self.scale**2).expm1() * (2 * self.loc + self.scale**2).exp())

    def sample(self, sample_shape=()):
        return self.base_dist.sample(sample_shape).exp()

    def rsample(self, sample_shape=()):
        return self.base_dist.rsample(sample_shape).exp()

    def cdf(self, value):
        """The probability of an outcome up to the value."""
        return self.base_dist.cdf(value.log())

    def icdf(self, value):
        """The number below which an outcome falls with this probability."""
        return self.base_dist.icdf(value).exp()

    def log_prob(self, value):
        x = self.checked(value).log()
        return self.base_dist.log_prob(x) - x

    def entropy(self):
        return self.base_dist.entropy() + self.loc


class HalfNormal(Distribution):
    """The absolute value of a normal number with mean 0."""

    arg_constraints = dict(scale=constraints.positive)
    support = constraints.nonnegative
    has_rsample = True

    def __init__(self, scale, validate_args=None):
        self.base_dist = Normal(0, scale, validate_args)
        self.scale = self.base_dist.scale
        super().__init__(self.scale.shape, (), validate_args)

    mean = property(lambda self: self.scale * math.sqrt(2 / math.pi))
    variance = property(lambda self: self.scale**2 * (1 - 2 / math.pi))

    def sample(self, sample_shape=()):
        return self.base_dist.sample(sample_shape).abs()

    def rsample(self, sample_shape=()):
        return self.base_dist.rsample(sample_shape).abs()

    def log_prob(self, value):
        return self.base_dist.log_prob(self.checked(value)) + math.log(2)

    def cdf(self, value):
        """The probability of an outcome up to the value."""
        return 2 * self.base_dist.cdf(value) - 1

    def icdf(self, value):
        """The number below which an outcome falls with this probability."""
        return self.base_dist.icdf((value + 1) / 2)

    mode = property(lambda self: tg.zeros_like(self.scale))

    def entropy(self):
        return self.base_dist.entropy() - math.log(2)


class Uniform(Distribution):
    """Every number from low up to high is equally likely."""

    has_rsample = True

    def __init__(self, low, high, validate_args=None):
        self.low, self.high = together(low, high)
        super().__init__(self.low.shape, (), validate_args)
        if self.validate and not bool((self.low < self.high).all()):
            raise ValueError(f"Uniform: low must be less than high, got {self.low} and {self.high}")

    arg_constraints = dict(low=constraints.real, high=constraints.real)
    mean = property(lambda self: (self.high + self.low) / 2)
    mode = property(lambda self: math.nan * self.high)
    stddev = property(lambda self: (self.high - self.low) / math.sqrt(12))
    variance = property(lambda self: (self.high - self.low) ** 2 / 12)

    @property
    def support(self):
        """From low to high."""
        return constraints.interval(self.low.detach(), self.high.detach())

    def rsample(self, sample_shape=()):
        return self.low + tg.rand(self.extended(sample_shape), dtype=self.low.dtype) * (self.high - self.low)

    def log_prob(self, value):
        value = self.checked(value)
        inside = (value >= self.low) & (value < self.high)
        return inside.to(self.low.dtype).log() - (self.high - self.low).log()

    def cdf(self, value):
        """The probability of an outcome up to the value."""
        return ((value - self.low) / (self.high - self.low)).clamp(0, 1)

    def icdf(self, value):
        """The number below which an outcome falls with this probability."""
        return value * (self.high - self.low) + self.low

    def entropy(self):
        return (self.high - self.low).log()


class Exponential(Distribution):
    """The waiting time for an event that happens `rate` times per unit of time."""

    arg_constraints = dict(rate=constraints.positive)
    support = constraints.nonnegative
    has_rsample = True

    def __init__(self, rate, validate_args=None):
        (self.rate,) = together(rate)
        super().__init__(self.rate.shape, (), validate_args)

    mean = stddev = property(lambda self: self.rate.reciprocal())
    mode = property(lambda self: tg.zeros_like(self.rate))
    variance = property(lambda self: self.rate**-2)

    def rsample(self, sample_shape=()):
        return tg.zeros(self.extended(sample_shape), dtype=self.rate.dtype).exponential_() / self.rate

    def log_prob(self, value):
        return self.rate.log() - self.rate * self.checked(value)

    def cdf(self, value):
        """The probability of an outcome up to the value."""
        return 1 - (-self.rate * value).exp()

    def icdf(self, value):
        """The number below which an outcome falls with this probability."""
        return -tg.log1p(-value) / self.rate

    def entropy(self):
        return 1 - self.rate.log()


class Laplace(Distribution):
    """Two exponential curves back to back around `loc`."""

    arg_constraints = Normal.arg_constraints
    support = constraints.real
    has_rsample = True

    def __init__(self, loc, scale, validate_args=None):
        self.loc, self.scale = together(loc, scale)
        super().__init__(self.loc.shape, (), validate_args)

    mean = mode = property(lambda self: self.loc)
    variance = property(lambda self: 2 * self.scale**2)
    stddev = property(lambda self: math.sqrt(2) * self.scale)

    def rsample(self, sample_shape=()):
        least = float(np.finfo(self.loc.dtype).eps) - 1
        u = tg.zeros(self.extended(sample_shape), dtype=self.loc.dtype).uniform_(least, 1)
        return self.loc - self.scale * u.sign() * tg.log1p(-u.abs())

    def log_prob(self, value):
        return -(2 * self.scale).log() - (self.checked(value) - self.loc).abs() / self.scale

    def cdf(self, value):
        """The probability of an outcome up to the value."""
        away = value - self.loc
        return 0.5 - 0.5 * away.sign() * tg.expm1(-away.abs() / self.scale)

    def icdf(self, value):
        """The number below which an outcome falls with this probability."""
        away = value - 0.5
        return self.loc - self.scale * away.sign() * tg.log1p(-2 * away.abs())

    def entropy(self):
        return 1 + (2 * self.scale).log()


class Cauchy(Distribution):
    """A bell whose tails are so heavy that it has no mean."""

    arg_constraints = Normal.arg_constraints
    support = constraints.real
    has_rsample = True

    def __init__(self, loc, scale, validate_args=None):
        self.loc, self.scale = together(loc, scale)
        super().__init__(self.loc.shape, (), validate_args)

    mode = property(lambda self: self.loc)
    mean = property(lambda self: tg.full_like(self.loc, math.nan))
    variance = property(lambda self: tg.full_like(self.loc, math.inf))

    def rsample(self, sample_shape=()):
        return self.loc + tg.zeros(self.extended(sample_shape), dtype=self.loc.dtype).cauchy_() * self.scale

    def cdf(self, value):
        """The probability of an outcome up to the value."""
        return ((value - self.loc) / self.scale).atan() / math.pi + 0.5

    def icdf(self, value):
        """The number below which an outcome falls with this probability."""
        return (math.pi * (value - 0.5)).tan() * self.scale + self.loc

    def log_prob(self, value):
        return -math.log(math.pi) - self.scale.log() - (((self.checked(value) - self.loc) / self.scale) ** 2).log1p()

    def entropy(self):
        return math.log(4 * math.pi) + self.scale.log()


class Gumbel(Distribution):
    """The largest of many: loc − scale·ln(−ln u)."""

    arg_constraints = Normal.arg_constraints
    support = constraints.real
    has_rsample = True

    def __init__(self, loc, scale, validate_args=None):
        self.loc, self.scale = together(loc, scale)
        super().__init__(self.loc.shape, (), validate_args)

    mode = property(lambda self: self.loc)
    mean = property(lambda self: self.loc + self.scale * EULER)
    variance = property(lambda self: self.stddev**2)
    stddev = property(lambda self: math.pi / math.sqrt(6) * self.scale)

    def rsample(self, sample_shape=()):
        facts = np.finfo(self.loc.dtype)
        u = tg.rand(self.extended(sample_shape), dtype=self.loc.dtype)
        u = float(facts.tiny) + u * (1 - float(facts.eps) - float(facts.tiny))
        return self.loc - self.scale * (-u.log()).log()

    def cdf(self, value):
        """The probability of an outcome up to the value."""
        return (-(-(value - self.loc) / self.scale).exp()).exp()

    def icdf(self, value):
        """The number below which an outcome falls with this probability."""
        return self.loc - self.scale * (-value.log()).log()

    def log_prob(self, value):
        y = (self.loc - self.checked(value)) / self.scale
        return (y - y.exp()) - self.scale.log()

    def entropy(self):
        return self.scale.log() + (1 + EULER)


THIRD, SQUEEZE = float(np.float32(1) / np.float32(3)), float(np.float32(0.0331))  # float32 in PyTorch, so that outcomes are the same


def gamma_number(generator, alpha):
    """One number of the gamma distribution with rate 1 (Marsaglia and Tsang 2000)."""
    factor = 1.0
    if alpha < 1:
        if alpha == 0:
            return 0.0
        factor = (1 - generator.doubles(1)[0]) ** (1 / alpha)
        alpha += 1
    d = alpha - THIRD
    c = 1 / math.sqrt(9 * d)
    while True:
        x = generator.normals(1)[0]
        y = 1 + c * x
        if y <= 0:
            continue
        v, u = y**3, 1 - generator.doubles(1)[0]
        if u < 1 - SQUEEZE * x**4 or math.log(u) < 0.5 * x * x + d * (1 - v + math.log(v)):
            return factor * d * v


def gamma_numbers(alpha):
    """Numbers of the gamma distribution with rate 1 for an array of shapes, in float64."""
    generator = source()
    with generator.lock:
        flat = [gamma_number(generator, a) for a in np.asarray(alpha, np.float64).reshape(-1).tolist()]
    return np.array(flat, np.float64).reshape(np.shape(alpha))


def not_below(x, least):
    """x with smaller numbers raised to the least; the gradient is that of x."""
    low = x.array < least
    return x + Tensor(np.where(low, least - x.array, 0), None) if low.any() else x


class Gamma(Distribution):
    """The waiting time for `concentration` events that happen `rate` times per unit of time."""

    arg_constraints = dict(concentration=constraints.positive, rate=constraints.positive)
    support = constraints.nonnegative
    has_rsample = True

    def __init__(self, concentration, rate, validate_args=None):
        self.concentration, self.rate = together(concentration, rate)
        super().__init__(self.rate.shape, (), validate_args)

    mean = property(lambda self: self.concentration / self.rate)
    variance = property(lambda self: self.concentration / self.rate**2)
    mode = property(lambda self: ((self.concentration - 1) / self.rate).clamp(min=0))

    def rsample(self, sample_shape=()):
        alpha = self.concentration.expand(self.extended(sample_shape))
        drawn = Tensor(gamma_numbers(alpha.array).astype(alpha.dtype), None)
        value = (GammaOutcomes.apply(alpha, drawn) if alpha.requires_grad else drawn) / self.rate
        return not_below(value, float(np.finfo(alpha.dtype).tiny))

    def cdf(self, value):
        """The probability of an outcome up to the value."""
        return tg.special.gammainc(self.concentration, self.rate * self.checked(value))

    def log_prob(self, value):
        value, a = self.checked(value), self.concentration
        return tg.xlogy(a, self.rate) + tg.xlogy(a - 1, value) - self.rate * value - tg.lgamma(a)

    def entropy(self):
        a = self.concentration
        return a - self.rate.log() + tg.lgamma(a) + (1 - a) * tg.digamma(a)


class Beta(Distribution):
    """A random proportion: between 0 and 1, the more concentrated the larger both parameters."""

    arg_constraints = dict(concentration1=constraints.positive, concentration0=constraints.positive)
    support = constraints.unit_interval
    has_rsample = True

    def __init__(self, concentration1, concentration0, validate_args=None):
        self.concentration1, self.concentration0 = together(concentration1, concentration0)
        super().__init__(self.concentration0.shape, (), validate_args)

    total = property(lambda self: self.concentration1 + self.concentration0, doc="Both concentrations together.")
    mean = property(lambda self: self.concentration1 / self.total)

    @property
    def mode(self):
        """That of the two proportions."""
        from .joint import Dirichlet

        return Dirichlet(tg.stack([self.concentration1, self.concentration0], -1)).mode[..., 0]

    variance = property(lambda self: self.concentration1 * self.concentration0 / (self.total**2 * (self.total + 1)))

    def rsample(self, sample_shape=()):
        from .joint import Dirichlet

        return Dirichlet(tg.stack([self.concentration1, self.concentration0], -1)).rsample(sample_shape)[..., 0]

    def log_prob(self, value):
        value, a, b = self.checked(value), self.concentration1, self.concentration0
        scale = tg.lgamma(self.total) - tg.lgamma(a) - tg.lgamma(b)
        return tg.xlogy(a - 1, value) + tg.xlogy(b - 1, 1 - value) + scale

    def entropy(self):
        a, b, psi = self.concentration1, self.concentration0, tg.digamma
        size = tg.lgamma(a) + tg.lgamma(b) - tg.lgamma(self.total)
        return size - (a - 1) * psi(a) - (b - 1) * psi(b) + (self.total - 2) * psi(self.total)
