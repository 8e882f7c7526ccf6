"""Distribution: shapes, checks, and what all distributions share."""

from typing import Any

import numpy as np

import tinygrad_edu as tg

from ..autograd import dtypes
from ..autograd.modes import enable_grad, no_grad
from ..autograd.operands import ShapeError
from ..autograd.size import Size
from ..autograd.tensor import Tensor
from . import constraints


class lazy:  # noqa: N801 (a decorator, used like property)
    """An attribute computed from the others when it is first asked for, always with its gradient."""

    def __init__(self, compute):
        self.compute, self.name, self.__doc__ = compute, compute.__name__, compute.__doc__

    def __get__(self, owner, kind=None):
        if owner is None:
            return self
        with enable_grad():
            value = owner.__dict__[self.name] = self.compute(owner)
        owner.derived = (*owner.derived, self.name)
        return value


def together(*values):
    """The values as tensors of one shape; numbers take the dtype of the first tensor, or the default one."""
    kind = next((v.dtype for v in values if isinstance(v, Tensor)), dtypes.default)
    tensors = [v if isinstance(v, Tensor) else tg.tensor(v, dtype=kind) for v in values]
    try:
        return tg.broadcast_tensors(*tensors)
    except ValueError:
        raise ShapeError(f"distributions: parameters of shapes {[list(t.shape) for t in tensors]} do not fit together") from None


def tidy(probs):
    """Probabilities kept away from 0 and 1 by the rounding error, so that their logarithms are finite."""
    eps = float(np.finfo(probs.dtype).eps)
    return probs.clamp(min=eps, max=1 - eps)


def where_not(condition, x, value):
    """x, but a number where a condition holds."""
    return tg.where(condition, tg.full_like(x, value), x)


def sum_last(x, count):
    """The sum over the last `count` dimensions."""
    return x.sum(tuple(range(-count, 0))) if count else x


class Distribution:
    """What random outcomes are like. `sample_shape + batch_shape + event_shape` is the shape of what is drawn."""

    arg_constraints: dict = {}  # parameter: Constraint
    support: Any = None
    has_rsample = False
    has_enumerate_support = False
    validate = True
    derived = ()  # names of attributes that were computed from the given parameters

    def __init__(self, batch_shape=(), event_shape=(), validate_args=None):
        self.batch_shape, self.event_shape = Size(batch_shape), Size(event_shape)
        if validate_args is not None:
            self.validate = validate_args
        for name, constraint in self.arg_constraints.items() if self.validate else ():
            if name in self.__dict__ and not bool(constraint.check(getattr(self, name).detach()).all()):
                raise ValueError(f"{type(self).__name__}: every {name} must be {constraints.in_words(constraint)}, got {getattr(self, name).detach()}")

    @staticmethod
    def set_default_validate_args(value):
        """Whether distributions check their parameters and outcomes."""
        Distribution.validate = bool(value)

    def extended(self, sample_shape):
        """The shape of what is drawn."""
        sample_shape = (sample_shape,) if isinstance(sample_shape, int) else tuple(sample_shape)
        return Size(sample_shape + self.batch_shape + self.event_shape)

    def _get_checked_instance(self, cls, _instance=None):
        """A new object of this class without its __init__, for an `expand` to fill."""
        if _instance is None and type(self).__init__ is not cls.__init__:
            raise NotImplementedError(f"{type(self).__name__} has an __init__ of its own and must define expand too")
        return type(self).__new__(type(self)) if _instance is None else _instance

    def _set_validate(self, value):
        self.validate = value

    # the names that subclasses written for PyTorch use
    _batch_shape = property(lambda self: self.batch_shape)
    _event_shape = property(lambda self: self.event_shape)
    _validate_args = property(lambda self: self.validate, _set_validate)
    _extended_shape = property(lambda self: lambda sample_shape=(): self.extended(sample_shape))
    _validate_sample = property(lambda self: self.checked)

    def sample(self, sample_shape=()):
        """Outcomes of shape sample_shape + batch_shape + event_shape, without a gradient."""
        with no_grad():
            return self.rsample(sample_shape)

    def sample_n(self, n):
        """n outcomes: sample((n,))."""
        return self.sample((n,))

    def rsample(self, sample_shape=()):
        """Outcomes through which the gradient reaches the parameters, where the distribution has that."""
        raise NotImplementedError(f"{type(self).__name__}: rsample() has no gradient here; use sample(), and log_prob() in the loss")

    def log_prob(self, value):
        """The logarithm of the density, or of the probability, at the value."""
        raise NotImplementedError(f"{type(self).__name__} has no log_prob")

    def entropy(self):
        """The expectation of −log_prob."""
        raise NotImplementedError(f"{type(self).__name__} has no entropy in closed form; average -log_prob(sample) instead")

    def perplexity(self):
        """e to the power of the entropy."""
        return self.entropy().exp()

    @property
    def mean(self):
        """The expected value."""
        raise NotImplementedError(f"{type(self).__name__} has no mean in closed form; average samples")

    @property
    def mode(self):
        """The value with the largest density or probability."""
        raise NotImplementedError(f"{type(self).__name__} has no mode in closed form")

    @property
    def variance(self):
        """The expected squared distance from the mean."""
        raise NotImplementedError(f"{type(self).__name__} has no variance in closed form; take it of samples")

    @property
    def stddev(self):
        """The square root of the variance."""
        return self.variance.sqrt()

    def cdf(self, value):
        """The probability of an outcome up to the value."""
        raise NotImplementedError(f"{type(self).__name__} has no cdf in closed form; count samples below the value")

    def icdf(self, value):
        """The number below which an outcome falls with this probability."""
        raise NotImplementedError(f"{type(self).__name__} has no icdf in closed form; take the quantile of samples")

    def enumerate_support(self, expand=True):
        """All outcomes, along a new first dimension, where there are not too many."""
        raise NotImplementedError(f"{type(self).__name__}: its outcomes cannot be listed")

    def expand(self, batch_shape, _instance=None):
        """The same distribution for a larger batch."""
        shape, kept = tuple(batch_shape), len(self.batch_shape)
        given = {k: self.__dict__[k] for k in self.arg_constraints if k in self.__dict__ and k not in self.derived}
        return type(self)(**{k: v.expand(shape + tuple(v.shape[kept:])) for k, v in given.items()}, validate_args=False)

    def checked(self, value):
        """The value, if this distribution can have it as an outcome."""
        if not self.validate:
            return value
        if not isinstance(value, Tensor):
            raise ValueError(f"{type(self).__name__}.log_prob: expected a Tensor, got {type(value).__name__}; use tensor(value)")
        one, whole = tuple(self.event_shape), tuple(self.batch_shape) + tuple(self.event_shape)
        if tuple(value.shape[value.ndim - len(one) :]) != one:
            raise ValueError(f"{type(self).__name__}.log_prob: one outcome has shape {list(one)}, got {list(value.shape)}")
        np.broadcast_shapes(tuple(value.shape), whole)  # its error names both shapes
        if self.support is not None and not bool(self.support.check(value.detach()).all()):
            raise ValueError(f"{type(self).__name__}.log_prob: every value must be {constraints.in_words(self.support)}, got {value.detach()}")
        return value

    def __repr__(self):
        made_of_others = type(self).__name__ in ("Beta", "Chi2", "HalfCauchy", "HalfNormal", "InverseGamma", "LogNormal", "LogisticNormal")
        given = [k for k in self.arg_constraints if k in self.__dict__ and not made_of_others]  # PyTorch prints no parameters of those
        shown = (f"{k}: {self.__dict__[k] if self.__dict__[k].numel() == 1 else self.__dict__[k].size()}" for k in given)
        return f"{type(self).__name__}({', '.join(shown)})"
