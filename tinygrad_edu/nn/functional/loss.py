"""Losses as functions."""

from ...autograd.tensor import Tensor
from ...ops import losses


def check_shapes(name, input, target):
    """Refuse what PyTorch would silently broadcast: (n, 1) against (n) compares everything with everything."""
    if not isinstance(target, Tensor) or not isinstance(input, Tensor):
        kinds = type(input).__name__, type(target).__name__
        raise TypeError(f"{name}: expected two tensors, got {kinds[0]} and {kinds[1]}; wrap numbers as tensor(…)")
    a, b = input.array.shape, target.array.shape
    if a != b:
        hint = "make them the same"
        if tuple(n for n in a if n != 1) == tuple(n for n in b if n != 1):
            wrong, right = ("target", a) if len(b) < len(a) else ("input", b)
            hint = f"give them one shape, as in {wrong}.reshape({', '.join(map(str, right))})"
        raise ValueError(f"{name}: input has shape {list(a)} and target {list(b)}; they would be broadcast to every pair of "
                         f"elements, which is no loss: {hint}")  # fmt: skip


def check_reduction(name, reduction):
    """Refuse unknown reductions."""
    if reduction not in ("mean", "sum", "none"):
        raise ValueError(f'{name}: reduction must be "mean", "sum" or "none", not {reduction!r}')


def reduced(losses, reduction):
    """The losses as their mean, their sum, or one by one."""
    return losses.mean() if reduction == "mean" else losses.sum() if reduction == "sum" else losses


def mse_loss(input, target, size_average=None, reduce=None, reduction="mean", weight=None):
    """(input − target)², averaged over all elements

    >>> import tinygrad_edu as tg
    >>> tg.nn.functional.mse_loss(tg.zeros(4), tg.tensor([1.0, 0.0, 0.0, 1.0]))
    tensor(0.5000)
    """
    if not (isinstance(input, Tensor) and isinstance(target, Tensor) and input.array.shape == target.array.shape):
        check_shapes("mse_loss", input, target)
    check_reduction("mse_loss", reduction)
    if weight is None:
        return losses.squared_error(input, target, reduction=reduction)
    weighted = losses.squared_error(input, target, reduction="none") * weight
    return weighted.sum() / weight.sum() if reduction == "mean" else reduced(weighted, reduction)


def binary_cross_entropy(input, target, weight=None, size_average=None, reduce=None, reduction="mean"):
    """−target · ln input − (1 − target) · ln(1 − input), averaged; input are probabilities, logarithms at least −100

    >>> import tinygrad_edu as tg
    >>> tg.nn.functional.binary_cross_entropy(tg.tensor([0.5]), tg.tensor([1.0]))
    tensor(0.6931)
    """
    check_shapes("binary_cross_entropy", input, target)
    check_reduction("binary_cross_entropy", reduction)
    array = input.array
    if array.size and not (array.min() >= 0 and array.max() <= 1):
        raise RuntimeError("binary_cross_entropy: the input must be probabilities between 0 and 1, and it reaches from "
                           f"{array.min():g} to {array.max():g}; apply sigmoid, or use binary_cross_entropy_with_logits")  # fmt: skip
    values = losses.binary_entropy(input, target)
    return reduced(values if weight is None else values * weight, reduction)


__all__ = ["binary_cross_entropy", "mse_loss"]
