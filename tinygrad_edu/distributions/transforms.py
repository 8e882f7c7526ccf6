"""Functions that can be undone, with the logarithm of how much they stretch: what changes a density."""

import math
from copy import copy
from typing import Any

import numpy as np

import tinygrad_edu as tg

from ..autograd.tensor import Tensor
from ..nn import functional as F
from . import constraints
from .distribution import sum_last


class Dimensions:
    """The number of dimensions of a side that only an instance knows; what the instance is given counts more."""

    def __init__(self, side):
        self.side = side

    def __get__(self, owner, kind=None):
        return self if owner is None else getattr(owner, self.side).event_dim


class Transform:
    """`t(x)` forward, `t.inv(y)` back, `t.log_abs_det_jacobian(x, y)` = ln |dy/dx|.

    With cache_size=1 the last x and y are remembered, so that undoing what was just done returns x itself.
    """

    sign = 1
    domain_dim = codomain_dim = 0  # how many last dimensions of x, and of y, belong together
    bijective = True

    def __init__(self, cache_size=0):
        self.cache_size, self.last = cache_size, (None, None)

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        for name in ("domain", "codomain"):  # a class that says what x and y are has said how many dimensions that takes
            if name in cls.__dict__ and f"{name}_dim" not in cls.__dict__:
                what = cls.__dict__[name]
                setattr(cls, f"{name}_dim", Dimensions(name) if isinstance(what, property) else what.event_dim)

    def _call(self, x):
        """The y of this x: what a subclass defines, as in PyTorch; or else `forward`."""
        if type(self).forward is Transform.forward:
            raise NotImplementedError(f"{type(self).__name__}: a transform needs a method _call(x)")
        return self.forward(x)

    def _inverse(self, y):
        """The x of this y: what a subclass defines, as in PyTorch; or else `inverse`."""
        if type(self).inverse is Transform.inverse:
            raise NotImplementedError(f"{type(self).__name__}: a transform that is to be undone needs a method _inverse(y)")
        return self.inverse(y)

    def forward(self, x):
        """The y of this x."""
        return self._call(x)

    def inverse(self, y):
        """The x of this y."""
        return self._inverse(y)

    def log_abs_det_jacobian(self, x, y):
        """ln |dy/dx|"""
        raise NotImplementedError(f"{type(self).__name__}: densities need a method log_abs_det_jacobian(x, y)")

    _cache_size = property(lambda self: self.cache_size)

    def __call__(self, x):
        if self.cache_size and self.last[0] is x:
            return self.last[1]
        y = self.forward(x)
        if self.cache_size:
            self.last = x, y
        return y

    def undo(self, y):
        """The x of this y."""
        if self.cache_size and self.last[1] is y:
            return self.last[0]
        x = self.inverse(y)
        if self.cache_size:
            self.last = x, y
        return x

    @property
    def inv(self):
        """The transform backwards."""
        return Inverse(self)

    event_dim = property(lambda self: max(self.domain_dim, self.codomain_dim), doc="The larger of both numbers of dimensions.")

    def forward_shape(self, shape):
        """The shape of y for an x of this shape."""
        return shape

    def inverse_shape(self, shape):
        """The shape of x for a y of this shape."""
        return shape

    domain: Any = constraints.real
    codomain: Any = constraints.real  # what x, and what y, may be
    facts: tuple = ()  # the names of what tells two transforms of a class apart

    def with_cache(self, cache_size=1):
        """The same transform, with or without a memory of its last x and y."""
        if cache_size == self.cache_size:
            return self
        other = copy(self)
        other.cache_size, other.last = cache_size, (None, None)
        return other

    def __eq__(self, other):
        if self is other:
            return True
        return type(self) is type(other) and bool(self.facts) and all(same(getattr(self, n), getattr(other, n)) for n in self.facts)

    __hash__ = object.__hash__

    def __repr__(self):
        return f"{type(self).__name__}()"


def same(a, b):
    """True if two facts, perhaps tensors, are equal."""
    if isinstance(a, Tensor) or isinstance(b, Tensor):
        return bool((a == b).all())
    return a == b


class Inverse(Transform):
    """A transform backwards."""

    def __init__(self, other):
        super().__init__(other.cache_size)
        self.other = other

    def __repr__(self):
        return f"Inverse({self.other})"

    def __call__(self, y):
        return self.other.undo(y)

    def undo(self, x):
        return self.other(x)

    def with_cache(self, cache_size=1):
        return Inverse(self.other.with_cache(cache_size))

    @property
    def inv(self):
        return self.other

    facts = ("other",)
    domain = property(lambda self: self.other.codomain)
    codomain = property(lambda self: self.other.domain)
    sign = property(lambda self: self.other.sign)
    domain_dim = property(lambda self: self.other.codomain_dim)
    codomain_dim = property(lambda self: self.other.domain_dim)

    def forward_shape(self, shape):
        return self.other.inverse_shape(shape)

    def inverse_shape(self, shape):
        return self.other.forward_shape(shape)

    def log_abs_det_jacobian(self, x, y):
        """−ln |dx/dy| of the other direction."""
        return -self.other.log_abs_det_jacobian(y, x)


class ComposeTransform(Transform):
    """Transforms one after the other."""

    def __init__(self, parts, cache_size=0):
        super().__init__(cache_size)
        self.parts = list(parts)

    def __repr__(self):
        return "ComposeTransform(\n    " + ",\n    ".join(str(part) for part in self.parts) + "\n)"

    facts = ("parts",)
    sign = property(lambda self: math.prod(part.sign for part in self.parts))
    domain = property(lambda self: self.parts[0].domain if self.parts else constraints.real)
    codomain = property(lambda self: self.parts[-1].codomain if self.parts else constraints.real)

    @property
    def domain_dim(self):
        """What the first part that looks at several dimensions together, and those before it, need."""
        count = self.parts[-1].codomain_dim if self.parts else 0
        for part in reversed(self.parts):
            count = max(count + part.domain_dim - part.codomain_dim, part.domain_dim)
        return count

    @property
    def codomain_dim(self):
        """What the last part, and those before it, give."""
        count = self.parts[0].domain_dim if self.parts else 0
        for part in self.parts:
            count = max(count + part.codomain_dim - part.domain_dim, part.codomain_dim)
        return count

    def forward_shape(self, shape):
        """The shape after every part."""
        for part in self.parts:
            shape = part.forward_shape(shape)
        return shape

    def inverse_shape(self, shape):
        """The shape before every part."""
        for part in reversed(self.parts):
            shape = part.inverse_shape(shape)
        return shape

    def forward(self, x):
        """x after every part."""
        for part in self.parts:
            x = part(x)
        return x

    def inverse(self, y):
        """y before every part."""
        for part in reversed(self.parts):
            y = part.inv(y)
        return y

    def log_abs_det_jacobian(self, x, y):
        """The sum over the parts."""
        if not self.parts:
            return tg.zeros_like(x)
        total, count = 0.0, self.domain_dim
        for part in self.parts:
            z = part(x)
            total = total + sum_last(part.log_abs_det_jacobian(x, z), count - part.domain_dim)
            count, x = count + part.codomain_dim - part.domain_dim, z
        return total


class AffineTransform(Transform):
    """y = loc + scale·x"""

    def __init__(self, loc, scale, event_dim=0, cache_size=0):
        super().__init__(cache_size)
        self.loc, self.scale, self.domain_dim, self.codomain_dim = loc, scale, event_dim, event_dim
        if event_dim:
            self.domain = self.codomain = constraints.independent(constraints.real, event_dim)

    facts = ("loc", "scale")

    @property
    def sign(self):
        """Whether it turns the line around: 1 or −1."""
        return self.scale.sign() if isinstance(self.scale, Tensor) else int(np.sign(self.scale))

    def forward(self, x):
        """loc + scale·x"""
        return self.loc + self.scale * x

    def inverse(self, y):
        """(y − loc) / scale"""
        return (y - self.loc) / self.scale

    def log_abs_det_jacobian(self, x, y):
        """ln |scale|"""
        log = self.scale.abs().log() if isinstance(self.scale, Tensor) else math.log(abs(self.scale))
        return sum_last(tg.zeros_like(x) + log, self.domain_dim)


class ExpTransform(Transform):
    """y = eˣ"""

    def forward(self, x):
        """eˣ"""
        return x.exp()

    def inverse(self, y):
        """ln y"""
        return y.log()

    def log_abs_det_jacobian(self, x, y):
        """x"""
        return x


def _clipped_sigmoid(x):
    """1 / (1 + e⁻ˣ), kept inside (0, 1)"""
    facts = np.finfo(x.dtype)
    return x.sigmoid().clamp(min=float(facts.tiny), max=1 - float(facts.eps))


class SigmoidTransform(Transform):
    """y = 1 / (1 + e⁻ˣ), kept inside (0, 1)"""

    def forward(self, x):
        """The sigmoid of x."""
        return _clipped_sigmoid(x)

    def inverse(self, y):
        """ln y − ln(1 − y)"""
        facts = np.finfo(y.dtype)
        y = y.clamp(min=float(facts.tiny), max=1 - float(facts.eps))
        return y.log() - tg.log1p(-y)

    def log_abs_det_jacobian(self, x, y):
        """ln y(1 − y)"""
        return -F.softplus(-x) - F.softplus(x)


class TanhTransform(Transform):
    """y = tanh x"""

    def forward(self, x):
        """tanh x"""
        return x.tanh()

    def inverse(self, y):
        """artanh y"""
        return y.atanh()

    def log_abs_det_jacobian(self, x, y):
        """ln(1 − y²), written so that it stays exact far out"""
        return 2 * (math.log(2) - x - F.softplus(-2 * x))


class PowerTransform(Transform):
    """y = x to the power of a constant, for positive x"""

    def __init__(self, exponent, cache_size=0):
        super().__init__(cache_size)
        self.exponent = exponent if isinstance(exponent, Tensor) else tg.tensor(exponent)

    sign = property(lambda self: self.exponent.sign())

    def forward(self, x):
        """x^exponent"""
        return x.pow(self.exponent)

    def inverse(self, y):
        """y^(1/exponent)"""
        return y.pow(1 / self.exponent)

    def log_abs_det_jacobian(self, x, y):
        """ln |exponent · y / x|"""
        return (self.exponent * y / x).abs().log()


class SoftplusTransform(Transform):
    """y = ln(1 + eˣ)"""

    def forward(self, x):
        """ln(1 + eˣ)"""
        return F.softplus(x)

    def inverse(self, y):
        """ln(e^y − 1)"""
        return (-y).expm1().neg().log() + y

    def log_abs_det_jacobian(self, x, y):
        """−ln(1 + e⁻ˣ)"""
        return -F.softplus(-x)


class AbsTransform(Transform):
    """y = |x|, which cannot be undone: the inverse is y itself"""

    bijective = False

    def forward(self, x):
        """|x|"""
        return x.abs()

    def inverse(self, y):
        """y"""
        return y


class SoftmaxTransform(Transform):
    """Numbers to proportions by exponentials; the logarithm brings them back up to a constant"""

    domain_dim = codomain_dim = 1
    bijective = False

    def forward(self, x):
        """The softmax over the last dimension."""
        return F.softmax(x, -1)

    def inverse(self, y):
        """ln y"""
        return y.log()


class StickBreakingTransform(Transform):
    """n numbers to n + 1 proportions: each breaks its share off what is left of a stick"""

    domain_dim = codomain_dim = 1

    def forward(self, x):
        """The shares."""
        offset = x.shape[-1] + 1 - tg.ones(x.shape[-1], dtype=x.dtype).cumsum(-1)
        z = SigmoidTransform()(x - offset.log())
        left = (1 - z).cumprod(-1)
        return F.pad(z, [0, 1], value=1) * F.pad(left, [1, 0], value=1)

    def inverse(self, y):
        """What breaks those shares off."""
        cut = y[..., :-1]
        offset = y.shape[-1] - tg.ones(cut.shape[-1], dtype=y.dtype).cumsum(-1)
        left = (1 - cut.cumsum(-1)).clamp(min=float(np.finfo(y.dtype).tiny))
        return cut.log() - left.log() + offset.log()

    def log_abs_det_jacobian(self, x, y):
        """Σ (−x + ln sigmoid x + ln y)"""
        offset = x.shape[-1] + 1 - tg.ones(x.shape[-1], dtype=x.dtype).cumsum(-1)
        x = x - offset.log()
        return (-x + F.logsigmoid(x) + y[..., :-1].log()).sum(-1)

    def forward_shape(self, shape):
        return (*shape[:-1], shape[-1] + 1)

    def inverse_shape(self, shape):
        return (*shape[:-1], shape[-1] - 1)


class LowerCholeskyTransform(Transform):
    """Any square matrix to a lower triangle with a positive diagonal"""

    domain_dim = codomain_dim = 2

    def forward(self, x):
        """What is below the diagonal, and e to the power of the diagonal."""
        return x.tril(-1) + x.diagonal(dim1=-2, dim2=-1).exp().diag_embed()

    def inverse(self, y):
        """What is below the diagonal, and the logarithm of the diagonal."""
        return y.tril(-1) + y.diagonal(dim1=-2, dim2=-1).log().diag_embed()


class PositiveDefiniteTransform(LowerCholeskyTransform):
    """Any square matrix to a positive definite one"""

    def forward(self, x):
        """L · Lᵀ"""
        lower = super().forward(x)
        return lower @ lower.mT

    def inverse(self, y):
        """The Cholesky factor, with the logarithm of its diagonal."""
        return super().inverse(tg.linalg.cholesky(y))


def places_below(n):
    """Where the elements beneath the diagonal lie in a matrix of size n, as positions in row order."""
    i, j = np.tril_indices(n, -1)
    return i * n + j


class CorrCholeskyTransform(Transform):
    """n(n − 1)/2 numbers to the Cholesky factor of a correlation matrix of size n: tanh of each breaks what is left of a unit row"""

    domain_dim, codomain_dim = 1, 2
    domain, codomain = constraints.real_vector, constraints.corr_cholesky

    def forward(self, x):
        """Row by row: rᵢⱼ = tanh x, yᵢⱼ = rᵢⱼ · √∏ₖ﹤ⱼ (1 − rᵢₖ²)."""
        n = self.forward_shape(tuple(x.shape))[-1]
        eps = float(np.finfo(x.dtype).eps)
        below = tg.tanh(x).clamp(min=-1 + eps, max=1 - eps)
        r = tg.zeros(*x.shape[:-1], n * n, dtype=x.dtype).index_copy(-1, tg.tensor(places_below(n)), below).reshape(*x.shape[:-1], n, n)
        left = (1 - r**2).sqrt().cumprod(-1)
        return (r + tg.eye(n, dtype=x.dtype)) * F.pad(left[..., :-1], (1, 0), value=1)

    def inverse(self, y):
        """artanh of each number over the root of what is left of its row."""
        left = F.pad((1 - (y * y).cumsum(-1))[..., :-1], (1, 0), value=1)
        t = self.below(y) / self.below(left).sqrt()
        return (tg.log1p(t) - tg.log1p(-t)) / 2

    def below(self, matrix):
        """The elements beneath the diagonal, in row order."""
        return matrix.flatten(-2)[..., tg.tensor(places_below(matrix.shape[-1]))]

    def log_abs_det_jacobian(self, x, y):
        """Of x and what is beneath the diagonal of y."""
        left = 1 - (y * y).cumsum(-1)
        i, j = np.tril_indices(y.shape[-1], -2)
        sticks = 0.5 * left.flatten(-2)[..., tg.tensor(i * y.shape[-1] + j)].log().sum(-1)
        return sticks - 2 * (x + F.softplus(-2 * x) - math.log(2.0)).sum(-1)

    def forward_shape(self, shape):
        n = round((0.25 + 2 * shape[-1]) ** 0.5 + 0.5)
        if n * (n - 1) // 2 != shape[-1]:
            raise ValueError(f"CorrCholeskyTransform: {shape[-1]} numbers do not fill what is beneath the diagonal of a matrix; 1, 3, 6, … do")
        return (*shape[:-1], n, n)

    def inverse_shape(self, shape):
        if len(shape) < 2 or shape[-2] != shape[-1]:
            raise ValueError(f"CorrCholeskyTransform: expected square matrices, got shape {list(shape)}")
        return (*shape[:-2], shape[-1] * (shape[-1] - 1) // 2)


class CumulativeDistributionTransform(Transform):
    """Outcomes to their probabilities, by a distribution's cdf"""

    def __init__(self, distribution, cache_size=0):
        super().__init__(cache_size)
        self.distribution = distribution

    def forward(self, x):
        """cdf(x)"""
        return self.distribution.cdf(x)

    def inverse(self, y):
        """icdf(y)"""
        return self.distribution.icdf(y)

    def log_abs_det_jacobian(self, x, y):
        """ln of the density at x"""
        return self.distribution.log_prob(x)


class ReshapeTransform(Transform):
    """Another shape for the last dimensions"""

    def __init__(self, in_shape, out_shape, cache_size=0):
        super().__init__(cache_size)
        self.in_shape, self.out_shape = tuple(in_shape), tuple(out_shape)
        if math.prod(self.in_shape) != math.prod(self.out_shape):
            raise ValueError(f"ReshapeTransform: {list(in_shape)} and {list(out_shape)} have different numbers of elements")
        self.domain_dim, self.codomain_dim = len(self.in_shape), len(self.out_shape)

    def forward(self, x):
        """x in the second shape."""
        return x.reshape(self.forward_shape(tuple(x.shape)))

    def inverse(self, y):
        """y in the first shape."""
        return y.reshape(self.inverse_shape(tuple(y.shape)))

    def log_abs_det_jacobian(self, x, y):
        """0"""
        return tg.zeros(x.shape[: x.ndim - self.domain_dim], dtype=x.dtype)

    def forward_shape(self, shape):
        return (*shape[: len(shape) - self.domain_dim], *self.out_shape)

    def inverse_shape(self, shape):
        return (*shape[: len(shape) - self.codomain_dim], *self.in_shape)


class IndependentTransform(Transform):
    """A transform whose last dimensions are judged together"""

    def __init__(self, base_transform, reinterpreted_batch_ndims, cache_size=0):
        super().__init__(cache_size)
        self.base_transform, self.reinterpreted_batch_ndims = base_transform, reinterpreted_batch_ndims
        self.domain_dim = base_transform.domain_dim + reinterpreted_batch_ndims
        self.codomain_dim = base_transform.codomain_dim + reinterpreted_batch_ndims

    sign = property(lambda self: self.base_transform.sign)

    def forward(self, x):
        """What the transform makes of x."""
        return self.base_transform(x)

    def inverse(self, y):
        """What the transform made y of."""
        return self.base_transform.inv(y)

    def log_abs_det_jacobian(self, x, y):
        """The sum over the last dimensions."""
        return sum_last(self.base_transform.log_abs_det_jacobian(x, y), self.reinterpreted_batch_ndims)

    def forward_shape(self, shape):
        return self.base_transform.forward_shape(shape)

    def inverse_shape(self, shape):
        return self.base_transform.inverse_shape(shape)


class Pieces(Transform):
    """Several transforms, each for its own part along a dimension; a subclass says how the parts are cut and joined."""

    def __init__(self, tseq, dim=0, lengths=None, cache_size=0):
        super().__init__(cache_size)
        self.transforms, self.dim = list(tseq), dim
        self.lengths = [1] * len(self.transforms) if lengths is None else list(lengths)
        self.domain_dim = self.codomain_dim = max(t.event_dim for t in self.transforms)

    def forward(self, x):
        """Each part by its transform."""
        return self.join([t(part) for t, part in zip(self.transforms, self.cut(x))])

    def inverse(self, y):
        """Each part by its transform, backwards."""
        return self.join([t.inv(part) for t, part in zip(self.transforms, self.cut(y))])

    def log_abs_det_jacobian(self, x, y):
        """Each part's, side by side."""
        parts = zip(self.transforms, self.cut(x), self.cut(y))
        found = [sum_last(t.log_abs_det_jacobian(a, b), self.domain_dim - t.domain_dim) for t, a, b in parts]
        dim = self.dim - x.ndim if self.dim >= 0 else self.dim
        if dim + self.domain_dim >= 0:
            return sum(found[1:], found[0])
        return self.join(found, dim + self.domain_dim)


class CatTransform(Pieces):
    """Transforms for parts of given lengths, one behind the other"""

    domain = property(lambda self: constraints.cat([t.domain for t in self.transforms], self.dim, self.lengths))
    codomain = property(lambda self: constraints.cat([t.codomain for t in self.transforms], self.dim, self.lengths))

    def cut(self, x):
        """The parts."""
        return x.split(self.lengths, self.dim)

    def join(self, parts, dim=None):
        """The parts, one behind the other."""
        return tg.cat(parts, self.dim if dim is None else dim)


class StackTransform(Pieces):
    """Transforms for the slices of a dimension"""

    def __init__(self, tseq, dim=0, cache_size=0):
        super().__init__(tseq, dim, cache_size=cache_size)

    domain = property(lambda self: constraints.stack([t.domain for t in self.transforms], self.dim))
    codomain = property(lambda self: constraints.stack([t.codomain for t in self.transforms], self.dim))

    def cut(self, x):
        """The slices."""
        return x.unbind(self.dim)

    def join(self, parts, dim=None):
        """The slices, stacked."""
        return tg.stack(parts, self.dim)


KINDS: dict = {
    ExpTransform: (constraints.real, constraints.positive), SigmoidTransform: (constraints.real, constraints.unit_interval),
    TanhTransform: (constraints.real, constraints.interval(-1.0, 1.0)), PowerTransform: (constraints.positive, constraints.positive),
    SoftplusTransform: (constraints.real, constraints.positive), AbsTransform: (constraints.real, constraints.positive),
    SoftmaxTransform: (constraints.real_vector, constraints.simplex), StickBreakingTransform: (constraints.real_vector, constraints.simplex),
    LowerCholeskyTransform: (constraints.independent(constraints.real, 2), constraints.lower_cholesky),
    PositiveDefiniteTransform: (constraints.independent(constraints.real, 2), constraints.positive_definite),
    CumulativeDistributionTransform: (constraints.real, constraints.unit_interval),
}  # fmt: skip
for kind, (low, high) in KINDS.items():
    kind.domain, kind.codomain, kind.facts = low, high, ("domain",)
PowerTransform.facts, CumulativeDistributionTransform.facts, CorrCholeskyTransform.facts = ("exponent",), ("distribution",), ("domain",)
ReshapeTransform.facts, IndependentTransform.facts = ("in_shape", "out_shape"), ("base_transform", "reinterpreted_batch_ndims")
ReshapeTransform.domain = property(lambda self: constraints.independent(constraints.real, self.domain_dim))
ReshapeTransform.codomain = property(lambda self: constraints.independent(constraints.real, self.codomain_dim))
IndependentTransform.domain = property(lambda self: constraints.independent(self.base_transform.domain, self.reinterpreted_batch_ndims))
IndependentTransform.codomain = property(lambda self: constraints.independent(self.base_transform.codomain, self.reinterpreted_batch_ndims))

identity_transform = ComposeTransform([])
