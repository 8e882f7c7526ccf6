"""Dropout as modules: active in training, the identity in evaluation."""

from .. import functional as F
from ..functional.dropout import check_probability
from ..module import Module


class Dropping(Module):
    """A dropout with probability p of a zero."""

    def __init__(self, p=0.5, inplace=False):
        super().__init__()
        check_probability(type(self).__name__, p)
        self.p, self.inplace = p, inplace

    def extra_repr(self):
        return f"p={self.p}, inplace={self.inplace}"


class Dropout(Dropping):
    """Each element 0 with probability p, else divided by 1 − p

    >>> import tinygrad_edu as tg
    >>> tg.nn.Dropout(0.2).eval()(tg.ones(2))
    tensor([1., 1.])
    """

    def forward(self, input):
        return F.dropout(input, self.p, self.training, self.inplace)


class Dropout1d(Dropping):
    """Whole channels 0 with probability p; input (n, c, l) or (c, l)"""

    def forward(self, input):
        return F.dropout1d(input, self.p, self.training, self.inplace)


class Dropout2d(Dropping):
    """Whole channels 0 with probability p; input (n, c, h, w)"""

    def forward(self, input):
        return F.dropout2d(input, self.p, self.training, self.inplace)


class Dropout3d(Dropping):
    """Whole channels 0 with probability p; input (n, c, d, h, w) or (c, d, h, w)"""

    def forward(self, input):
        return F.dropout3d(input, self.p, self.training, self.inplace)


class AlphaDropout(Dropping):
    """Dropout to SELU's lowest value that keeps mean and variance"""

    def forward(self, input):
        return F.alpha_dropout(input, self.p, self.training)


class FeatureAlphaDropout(Dropping):
    """Alpha dropout of whole channels; input (n, c, …)"""

    def forward(self, input):
        return F.feature_alpha_dropout(input, self.p, self.training)


__all__ = ["AlphaDropout", "Dropout", "Dropout1d", "Dropout2d", "Dropout3d", "FeatureAlphaDropout"]
