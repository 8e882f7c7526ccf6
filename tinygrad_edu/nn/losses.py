"""Losses as modules."""

from . import functional as F
from .functional.loss import check_reduction
from .module import Module


class Loss(Module):
    """A loss with a reduction: "mean", "sum" or "none"."""

    def __init__(self, size_average=None, reduce=None, reduction="mean"):
        super().__init__()
        check_reduction(type(self).__name__, reduction)
        self.reduction = reduction


class MSELoss(Loss):
    """(input − target)², averaged over all elements"""

    def forward(self, input, target):
        return F.mse_loss(input, target, reduction=self.reduction)


class BCELoss(Loss):
    """−target · ln input − (1 − target) · ln(1 − input), averaged; input are probabilities"""

    def __init__(self, weight=None, size_average=None, reduce=None, reduction="mean"):
        super().__init__(reduction=reduction)
        self.register_buffer("weight", weight)

    def forward(self, input, target):
        return F.binary_cross_entropy(input, target, self.weight, reduction=self.reduction)


__all__ = ["BCELoss", "MSELoss"]
