"""Functions that can be undone, with the logarithm of how much they stretch: what changes a density."""

import math

import numpy as np

import tinygrad_edu as tg

from ..autograd.tensor import Tensor
from ..nn import functional as F


class Transform:
    """`t(x)` forward, `t.inv(y)` back, `t.log_abs_det_jacobian(x, y)` = ln |dy/dx|.

    With cache_size=1 the last x and y are remembered, so that undoing what was just done returns x itself.
    """

    sign = 1
    event_dim = 0
    bijective = True

    def __init__(self, cache_size=0):
        self.cache_size, self.last = cache_size, (None, None)

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

    def __repr__(self):
        return f"{type(self).__name__}()"


class Inverse(Transform):
    """A transform backwards."""

    def __init__(self, other):
        super().__init__()
        self.other = other

    def __call__(self, y):
        return self.other.undo(y)

    def undo(self, x):
        return self.other(x)

    @property
    def inv(self):
        return self.other

    sign = property(lambda self: self.other.sign)

    def log_abs_det_jacobian(self, x, y):
        """−ln |dx/dy| of the other direction."""
        return -self.other.log_abs_det_jacobian(y, x)


class ComposeTransform(Transform):
    """Transforms one after the other."""

    def __init__(self, parts, cache_size=0):
        super().__init__(cache_size)
        self.parts = list(parts)

    sign = property(lambda self: math.prod(part.sign for part in self.parts))

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
        total = 0.0
        for part in self.parts:
            z = part(x)
            total = total + part.log_abs_det_jacobian(x, z)
            x = z
        return total


class AffineTransform(Transform):
    """y = loc + scale·x"""

    def __init__(self, loc, scale, event_dim=0, cache_size=0):
        super().__init__(cache_size)
        self.loc, self.scale = loc, scale

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
        return tg.zeros_like(x) + log


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


class SigmoidTransform(Transform):
    """y = 1 / (1 + e⁻ˣ), kept inside (0, 1)"""

    def forward(self, x):
        """The sigmoid of x."""
        facts = np.finfo(x.dtype)
        return x.sigmoid().clamp(min=float(facts.tiny), max=1 - float(facts.eps))

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
