"""The affine map."""

from ...ops.products import affine


def linear(input, weight, bias=None):
    """input @ weightᵀ + bias, shapes (…, in), (out, in), (out) → (…, out)

    >>> import tinygrad_edu as tg
    >>> tg.nn.functional.linear(tg.ones(1, 2), tg.ones(3, 2)).shape
    Size([1, 3])
    """
    return affine(input, weight, bias)


__all__ = ["linear"]
