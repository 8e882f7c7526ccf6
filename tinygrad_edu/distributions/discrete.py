"""Distributions of outcomes that can be counted."""

import math

import numpy as np

import tinygrad_edu as tg

from ..autograd.modes import no_grad
from ..nn import functional as F
from . import constraints
from .continuous import Gamma
from .distribution import Distribution, lazy, tidy, together, where_not


def either(kind, probs, logits):
    """Exactly one of probs and logits must be given."""
    if (probs is None) == (logits is None):
        raise ValueError(f"{kind.__name__}: give probs or logits, one of the two")


class Binary(Distribution):
    """Distributions with one probability, given as `probs` or as `logits`, the logarithm of the odds."""

    arg_constraints = dict(probs=constraints.unit_interval, logits=constraints.real)

    def __init__(self, probs=None, logits=None, validate_args=None):
        either(type(self), probs, logits)
        if probs is not None:
            (self.probs,) = together(probs)
        else:
            (self.logits,) = together(logits)
        self.given = "logits" if probs is None else "probs"
        super().__init__(getattr(self, self.given).shape, (), validate_args)

    @lazy
    def probs(self):
        """The probability."""
        return self.logits.sigmoid()

    @lazy
    def logits(self):
        """The logarithm of the odds."""
        kept = tidy(self.probs)
        return kept.log() - tg.log1p(-kept)


class Bernoulli(Binary):
    """1 with probability `probs`, else 0.

    >>> import tinygrad_edu as tg
    >>> tg.distributions.Bernoulli(0.25).log_prob(tg.tensor(1.0)).exp()
    tensor(0.2500)
    """

    support = constraints.boolean
    has_enumerate_support = True
    mode = property(lambda self: where_not(self.probs == 0.5, (self.probs >= 0.5).to(self.probs), math.nan))
    mean = property(lambda self: self.probs)
    variance = property(lambda self: self.probs * (1 - self.probs))

    def sample(self, sample_shape=()):
        with no_grad():
            return tg.bernoulli(self.probs.expand(self.extended(sample_shape)))

    def log_prob(self, value):
        logits, value = together(self.logits, self.checked(value))
        return -F.binary_cross_entropy_with_logits(logits, value.to(logits.dtype), reduction="none")

    def entropy(self):
        return F.binary_cross_entropy_with_logits(self.logits, self.probs, reduction="none")

    def enumerate_support(self, expand=True):
        """The outcomes 0 and 1, along a new first dimension."""
        values = tg.arange(2, dtype=self.probs.dtype).view(-1, *(1,) * len(self.batch_shape))
        return values.expand(-1, *self.batch_shape) if expand else values


class Geometric(Binary):
    """How many failures come before the first success."""

    support = constraints.nonnegative_integer
    mode = property(lambda self: tg.zeros_like(self.probs))
    mean = property(lambda self: 1 / self.probs - 1)
    variance = property(lambda self: (1 / self.probs - 1) / self.probs)

    def __init__(self, probs=None, logits=None, validate_args=None):
        super().__init__(probs, logits, validate_args)
        if self.validate and probs is not None and not bool((self.probs > 0).all()):
            raise ValueError(f"Geometric: every probs must be greater than 0, got {self.probs.detach()}")

    def sample(self, sample_shape=()):
        with no_grad():
            u = tg.zeros(self.extended(sample_shape), dtype=self.probs.dtype)
            u.uniform_(float(np.finfo(u.dtype).tiny), 1)
            return (u.log() / tg.log1p(-self.probs)).floor()

    def log_prob(self, value):
        value, probs = together(self.checked(value), self.probs)
        failure = tg.where((probs == 1) & (value == 0), tg.zeros_like(probs), -probs)
        return value * tg.log1p(failure) + self.probs.log()

    def entropy(self):
        return F.binary_cross_entropy_with_logits(self.logits, self.probs, reduction="none") / self.probs


class Poisson(Distribution):
    """How often something happens that happens `rate` times on average."""

    arg_constraints = dict(rate=constraints.nonnegative)
    support = constraints.nonnegative_integer

    def __init__(self, rate, validate_args=None):
        (self.rate,) = together(rate)
        super().__init__(self.rate.shape, (), validate_args)

    mean = variance = property(lambda self: self.rate)
    mode = property(lambda self: self.rate.floor())

    def sample(self, sample_shape=()):
        with no_grad():
            return tg.poisson(self.rate.expand(self.extended(sample_shape)))

    def log_prob(self, value):
        rate, value = together(self.rate, self.checked(value))
        return tg.xlogy(value, rate) - rate - tg.lgamma(value + 1)


class Categorical(Distribution):
    """One of n classes; `probs` (…, n) are made to sum to 1, `logits` (…, n) are their logarithms up to a constant.

    >>> import tinygrad_edu as tg
    >>> d = tg.distributions.Categorical(probs=tg.tensor([1.0, 3.0]))
    >>> d.probs, d.log_prob(tg.tensor(1)).exp()
    (tensor([0.2500, 0.7500]), tensor(0.7500))
    """

    arg_constraints = dict(probs=constraints.simplex, logits=constraints.real_vector)
    has_enumerate_support = True

    def __init__(self, probs=None, logits=None, validate_args=None):
        either(type(self), probs, logits)
        given = logits if probs is None else probs
        if given.ndim < 1:
            raise ValueError(f"{type(self).__name__}: the last dimension holds the classes, and a 0-d tensor has none")
        if probs is not None:
            self.probs = probs / probs.sum(-1, keepdim=True)
        else:
            self.logits = logits - logits.logsumexp(-1, keepdim=True)
        self.classes, self.given = given.shape[-1], ("logits",) if probs is None else ("probs",)
        super().__init__(given.shape[:-1], (), validate_args)

    @lazy
    def probs(self):
        """The probability of each class."""
        return F.softmax(self.logits, dim=-1)

    @lazy
    def logits(self):
        """The logarithm of each probability."""
        return tidy(self.probs).log()

    @property
    def param_shape(self):
        """The shape of probs."""
        return self.probs.shape

    @property
    def support(self):
        """The classes."""
        return constraints.integers(0, self.classes - 1)

    mode = property(lambda self: self.probs.argmax(-1))
    mean = variance = property(lambda self: tg.full(self.batch_shape, math.nan, dtype=self.probs.dtype), doc="NaN: classes are not numbers.")

    def sample(self, sample_shape=()):
        shape = self.extended(sample_shape)
        batch = max(int(np.prod(self.batch_shape)), 1)
        with no_grad():
            rows = self.probs.reshape(-1, self.classes)
            return tg.multinomial(rows, int(np.prod(shape)) // batch, True).T.reshape(shape)

    def log_prob(self, value):
        value, logs = tg.broadcast_tensors(self.checked(value).long().unsqueeze(-1), self.logits)
        return logs.gather(-1, value[..., :1]).squeeze(-1)

    def entropy(self):
        return -(self.logits.clamp(min=float(np.finfo(self.logits.dtype).min)) * self.probs).sum(-1)

    def enumerate_support(self, expand=True):
        """The classes, along a new first dimension."""
        values = tg.arange(self.classes).view(-1, *(1,) * len(self.batch_shape))
        return values.expand(-1, *self.batch_shape) if expand else values


class Chosen(Distribution):
    """Distributions that are made of a Categorical, kept as `categorical`, and perhaps of other options."""

    options: tuple = ()  # names of further arguments
    probs = property(lambda self: self.categorical.probs)
    logits = property(lambda self: self.categorical.logits)

    def expand(self, batch_shape, _instance=None):
        larger = self.categorical.expand(batch_shape)
        given = dict(logits=larger.logits) if "logits" in self.categorical.given else dict(probs=larger.probs)
        return type(self)(**{name: getattr(self, name) for name in self.options}, **given, validate_args=False)


class OneHotCategorical(Chosen):
    """One of n classes, written as a 1 among zeros."""

    arg_constraints = Categorical.arg_constraints
    support = constraints.one_hot
    has_enumerate_support = True

    def __init__(self, probs=None, logits=None, validate_args=None):
        self.categorical = Categorical(probs, logits, validate_args)
        super().__init__(self.categorical.batch_shape, (self.categorical.classes,), validate_args)

    probs = mean = property(lambda self: self.categorical.probs, doc="The probability of each class, which is the mean.")
    logits = property(lambda self: self.categorical.logits, doc="The logarithm of each probability.")
    variance = property(lambda self: self.probs * (1 - self.probs))

    @property
    def mode(self):
        """The most likely class."""
        return F.one_hot(self.probs.argmax(-1), self.categorical.classes).to(self.probs.dtype)

    def enumerate_support(self, expand=True):
        """All outcomes, along a new first dimension."""
        n = self.categorical.classes
        values = tg.eye(n, dtype=self.probs.dtype).view(n, *(1,) * len(self.batch_shape), n)
        return values.expand(n, *self.batch_shape, n) if expand else values

    def sample(self, sample_shape=()):
        drawn = self.categorical.sample(sample_shape)
        return F.one_hot(drawn, self.categorical.classes).to(self.probs.dtype)

    def log_prob(self, value):
        return self.categorical.log_prob(self.checked(value).argmax(-1))

    def entropy(self):
        return self.categorical.entropy()


class RelaxedOneHotCategorical(Chosen):
    """A softened one-hot choice that lets the gradient through; the lower the temperature, the harder (Jang et al. 2017)."""

    arg_constraints = Categorical.arg_constraints
    support = constraints.simplex
    has_rsample = True
    options = ("temperature",)

    def __init__(self, temperature, probs=None, logits=None, validate_args=None):
        self.temperature, self.categorical = temperature, Categorical(probs, logits, validate_args)
        super().__init__(self.categorical.batch_shape, (self.categorical.classes,), validate_args)

    probs = property(lambda self: self.categorical.probs, doc="The probability of each class.")
    logits = property(lambda self: self.categorical.logits, doc="The logarithm of each probability.")

    def rsample(self, sample_shape=()):
        u = tidy(tg.rand(self.extended(sample_shape), dtype=self.logits.dtype))
        return F.softmax((self.logits - (-u.log()).log()) / self.temperature, dim=-1)

    def log_prob(self, value):
        k, logs = self.categorical.classes, self.checked(value).log()
        t = self.temperature if hasattr(self.temperature, "log") else tg.tensor(self.temperature, dtype=logs.dtype)
        score = self.logits - logs * t
        score = (score - score.logsumexp(-1, keepdim=True)).sum(-1)
        return score + tg.lgamma(tg.tensor(float(k), dtype=logs.dtype)) + (k - 1) * t.log() - logs.sum(-1)


class OneHotCategoricalStraightThrough(OneHotCategorical):
    """A one-hot choice whose gradient is that of its probabilities (Bengio et al. 2013)."""

    has_rsample = True

    def rsample(self, sample_shape=()):
        return self.sample(sample_shape) + (self.probs - self.probs.detach())


class Binomial(Binary):
    """How many of `total_count` attempts succeed, each with probability `probs`."""

    arg_constraints = dict(total_count=constraints.nonnegative_integer, **Binary.arg_constraints)
    has_enumerate_support = True

    def __init__(self, total_count=1, probs=None, logits=None, validate_args=None):
        either(type(self), probs, logits)
        total, given = together(total_count, logits if probs is None else probs)
        self.total_count = total.to(given.dtype)
        super().__init__(None if probs is None else given, given if probs is None else None, validate_args)

    @property
    def support(self):
        """From 0 to the number of attempts."""
        return constraints.integers(0, self.total_count)

    mean = property(lambda self: self.total_count * self.probs)
    mode = property(lambda self: ((self.total_count + 1) * self.probs).floor().clamp(max=self.total_count))
    variance = property(lambda self: self.total_count * self.probs * (1 - self.probs))

    def expand(self, batch_shape, _instance=None):
        shape = tuple(batch_shape)
        return type(self)(self.total_count.expand(shape), **{self.given: getattr(self, self.given).expand(shape)}, validate_args=False)

    def sample(self, sample_shape=()):
        shape = self.extended(sample_shape)
        with no_grad():
            return tg.binomial(self.total_count.expand(shape), self.probs.expand(shape))

    def log_prob(self, value):
        value, n = self.checked(value), self.total_count
        positive = (self.logits.clamp(min=0) + self.logits - self.logits.clamp(max=0)) / 2  # its slope at 0 is ½
        size = n * positive + n * tg.log1p((-self.logits.abs()).exp()) - tg.lgamma(n + 1)
        return value * self.logits - tg.lgamma(value + 1) - tg.lgamma(n - value + 1) - size

    def entropy(self):
        if self.total_count.min() != self.total_count.max():
            raise NotImplementedError("Inhomogeneous total count not supported by `entropy`.")
        logs = self.log_prob(self.enumerate_support(False))
        return -(logs.exp() * logs).sum(0)

    def enumerate_support(self, expand=True):
        """The outcomes, along a new first dimension."""
        if self.total_count.min() != self.total_count.max():
            raise NotImplementedError("Inhomogeneous total count not supported by `enumerate_support`.")
        values = tg.arange(1 + int(self.total_count.max()), dtype=self.total_count.dtype).view(-1, *(1,) * len(self.batch_shape))
        return values.expand(-1, *self.batch_shape) if expand else values


class NegativeBinomial(Binary):
    """How many attempts succeed before `total_count` have failed."""

    arg_constraints = dict(total_count=constraints.nonnegative, **Binary.arg_constraints)
    support = constraints.nonnegative_integer

    def __init__(self, total_count, probs=None, logits=None, validate_args=None):
        either(type(self), probs, logits)
        total, given = together(total_count, logits if probs is None else probs)
        self.total_count = total.to(given.dtype)
        super().__init__(None if probs is None else given, given if probs is None else None, validate_args)

    expand = Binomial.expand
    mean = property(lambda self: self.total_count * self.logits.exp())
    mode = property(lambda self: ((self.total_count - 1) * self.logits.exp()).floor().clamp(min=0.0))
    variance = property(lambda self: self.mean / (-self.logits).sigmoid())

    def sample(self, sample_shape=()):
        with no_grad():
            return tg.poisson(Gamma(self.total_count, (-self.logits).exp()).sample(sample_shape))

    def log_prob(self, value):
        value, n = self.checked(value), self.total_count
        plain = n * F.logsigmoid(-self.logits) + value * F.logsigmoid(self.logits)
        size = -tg.lgamma(n + value) + tg.lgamma(1 + value) + tg.lgamma(n)
        return plain - size.masked_fill(n + value == 0, 0.0)


class Multinomial(Chosen):
    """How often each of n classes is chosen in `total_count` choices."""

    arg_constraints = Categorical.arg_constraints
    options = ("total_count",)

    def __init__(self, total_count=1, probs=None, logits=None, validate_args=None):
        if not isinstance(total_count, int):
            raise NotImplementedError("inhomogeneous total_count is not supported")
        self.total_count, self.categorical = total_count, Categorical(probs, logits, validate_args)
        super().__init__(self.categorical.batch_shape, (self.categorical.classes,), validate_args)

    mean = property(lambda self: self.probs * self.total_count)
    variance = property(lambda self: self.total_count * self.probs * (1 - self.probs))

    @property
    def support(self):
        """Counts that sum to the number of choices."""
        return constraints.multinomial(self.total_count)

    def sample(self, sample_shape=()):
        shape = (sample_shape,) if isinstance(sample_shape, int) else tuple(sample_shape)
        chosen = self.categorical.sample((self.total_count, *shape))
        counts = (chosen.unsqueeze(-1) == tg.arange(self.categorical.classes)).sum(0)
        return counts.to(self.probs.dtype)

    def log_prob(self, value):
        logits, value = tg.broadcast_tensors(self.logits, self.checked(value))
        logits = logits.masked_fill((value == 0) & (logits == -math.inf), 0.0)
        return tg.lgamma(value.sum(-1) + 1) - tg.lgamma(value + 1).sum(-1) + (logits * value).sum(-1)

    def entropy(self):
        n = tg.tensor(float(self.total_count), dtype=self.probs.dtype)
        one = Binomial(self.total_count, probs=self.probs)
        values = one.enumerate_support(expand=False)[1:]
        weighted = (one.log_prob(values).exp() * tg.lgamma(values + 1)).sum((0, -1))
        return n * self.categorical.entropy() - tg.lgamma(n + 1) + weighted


def to_logits(probs, is_binary=False):
    """The logarithms of probabilities, or of the odds."""
    kept = tidy(probs)
    return kept.log() - tg.log1p(-kept) if is_binary else kept.log()


def to_probs(logits, is_binary=False):
    """The probabilities of logits."""
    return logits.sigmoid() if is_binary else F.softmax(logits, dim=-1)
