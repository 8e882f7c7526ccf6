"""Pooling as modules."""

from .. import functional as F
from ..functional.convolution import per_axis
from ..module import Module


class MaxPool(Module):
    """What the max pools share."""

    def __init__(self, kernel_size, stride=None, padding=0, dilation=1, return_indices=False, ceil_mode=False):
        super().__init__()
        self.kernel_size, self.stride, self.padding = kernel_size, kernel_size if stride is None else stride, padding
        self.dilation, self.return_indices, self.ceil_mode = dilation, return_indices, ceil_mode

    def pooled(self, function, input):
        """The functional form with the module's arguments."""
        return function(input, self.kernel_size, self.stride, self.padding, self.dilation, self.ceil_mode, self.return_indices)

    def extra_repr(self):
        return (
            f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}, dilation={self.dilation}, "
            f"ceil_mode={self.ceil_mode}"
        )


class MaxPool1d(MaxPool):
    """max of each window, shapes (N, C, L) or (C, L) → (N, C, L′)

    Sizes: L′ = ⌊(L + 2·padding − dilation·(k − 1) − 1) / stride⌋ + 1, rounded up with ceil_mode; stride is kernel_size unless
    given. Of equal maxima the first one gets the gradient. With return_indices the flat positions of the maxima come second.

    >>> import tinygrad_edu as tg
    >>> tg.nn.MaxPool1d(2)(tg.ones(1, 2, 8)).shape
    Size([1, 2, 4])
    """

    def forward(self, input):
        return self.pooled(F.max_pool1d, input)


class MaxPool2d(MaxPool):
    """max of each window, shapes (N, C, H, W) or (C, H, W) → (N, C, H′, W′); arguments as in MaxPool1d

    >>> import tinygrad_edu as tg
    >>> tg.nn.MaxPool2d(2)(tg.ones(1, 2, 8, 8)).shape
    Size([1, 2, 4, 4])
    """

    def forward(self, input):
        return self.pooled(F.max_pool2d, input)


class MaxPool3d(MaxPool):
    """max of each window, shapes (N, C, D, H, W) → (N, C, D′, H′, W′); arguments as in MaxPool1d

    >>> import tinygrad_edu as tg
    >>> tg.nn.MaxPool3d(2)(tg.ones(1, 2, 4, 4, 4)).shape
    Size([1, 2, 2, 2, 2])
    """

    def forward(self, input):
        return self.pooled(F.max_pool3d, input)


class MaxUnpool(Module):
    """What the inverses of the max pools share."""

    def __init__(self, kernel_size, stride=None, padding=0):
        super().__init__()
        n, name = self.axes, type(self).__name__
        self.kernel_size = per_axis(name, "kernel_size", kernel_size, n)
        self.stride = per_axis(name, "stride", kernel_size if stride is None else stride, n)
        self.padding = per_axis(name, "padding", padding, n)

    def extra_repr(self):
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class MaxUnpool1d(MaxUnpool):
    """Zeros with the elements of the input at the indices that MaxPool1d(return_indices=True) gave

    >>> import tinygrad_edu as tg
    >>> tg.nn.MaxUnpool1d(2)(*tg.nn.MaxPool1d(2, return_indices=True)(tg.ones(1, 2, 8))).shape
    Size([1, 2, 8])
    """

    axes = 1

    def forward(self, input, indices, output_size=None):
        return F.max_unpool1d(input, indices, self.kernel_size, self.stride, self.padding, output_size)


class MaxUnpool2d(MaxUnpool):
    """Zeros with the elements of the input at the indices that MaxPool2d(return_indices=True) gave

    >>> import tinygrad_edu as tg
    >>> tg.nn.MaxUnpool2d(2)(*tg.nn.MaxPool2d(2, return_indices=True)(tg.ones(1, 2, 8, 8))).shape
    Size([1, 2, 8, 8])
    """

    axes = 2

    def forward(self, input, indices, output_size=None):
        return F.max_unpool2d(input, indices, self.kernel_size, self.stride, self.padding, output_size)


class MaxUnpool3d(MaxUnpool):
    """Zeros with the elements of the input at the indices that MaxPool3d(return_indices=True) gave

    >>> import tinygrad_edu as tg
    >>> tg.nn.MaxUnpool3d(2)(*tg.nn.MaxPool3d(2, return_indices=True)(tg.ones(1, 2, 4, 4, 4))).shape
    Size([1, 2, 4, 4, 4])
    """

    axes = 3

    def forward(self, input, indices, output_size=None):
        return F.max_unpool3d(input, indices, self.kernel_size, self.stride, self.padding, output_size)


class AvgPool1d(Module):
    """mean of each window, shapes (N, C, L) or (C, L) → (N, C, L′); with count_include_pad the border counts

    >>> import tinygrad_edu as tg
    >>> tg.nn.AvgPool1d(2)(tg.ones(1, 2, 8)).shape
    Size([1, 2, 4])
    """

    def __init__(self, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True):
        super().__init__()
        self.kernel_size, self.stride, self.padding = (
            per_axis("AvgPool1d", argument, value, 1)
            for argument, value in (
                ("kernel_size", kernel_size),
                ("stride", kernel_size if stride is None else stride),
                ("padding", padding),
            )
        )
        self.ceil_mode, self.count_include_pad = ceil_mode, count_include_pad

    def forward(self, input):
        return F.avg_pool1d(input, self.kernel_size, self.stride, self.padding, self.ceil_mode, self.count_include_pad)

    def extra_repr(self):
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class AvgPool2d(Module):
    """mean of each window, shapes (N, C, H, W) or (C, H, W) → (N, C, H′, W′); with count_include_pad the border counts

    >>> import tinygrad_edu as tg
    >>> tg.nn.AvgPool2d(2)(tg.ones(1, 2, 8, 8)).shape
    Size([1, 2, 4, 4])
    """

    def __init__(self, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True, divisor_override=None):
        super().__init__()
        self.kernel_size, self.stride, self.padding = kernel_size, kernel_size if stride is None else stride, padding
        self.ceil_mode, self.count_include_pad, self.divisor_override = ceil_mode, count_include_pad, divisor_override

    def forward(self, input):
        return F.avg_pool2d(
            input, self.kernel_size, self.stride, self.padding, self.ceil_mode, self.count_include_pad, self.divisor_override
        )

    def extra_repr(self):
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class AvgPool3d(Module):
    """mean of each window, shapes (N, C, D, H, W) → (N, C, D′, H′, W′); with count_include_pad the border counts

    >>> import tinygrad_edu as tg
    >>> tg.nn.AvgPool3d(2)(tg.ones(1, 2, 4, 4, 4)).shape
    Size([1, 2, 2, 2, 2])
    """

    def __init__(self, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True, divisor_override=None):
        super().__init__()
        self.kernel_size, self.stride, self.padding = kernel_size, kernel_size if stride is None else stride, padding
        self.ceil_mode, self.count_include_pad, self.divisor_override = ceil_mode, count_include_pad, divisor_override

    def forward(self, input):
        return F.avg_pool3d(
            input, self.kernel_size, self.stride, self.padding, self.ceil_mode, self.count_include_pad, self.divisor_override
        )

    def extra_repr(self):
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class LPPool(Module):
    """What the power-mean pools share."""

    def __init__(self, norm_type, kernel_size, stride=None, ceil_mode=False):
        super().__init__()
        self.norm_type, self.kernel_size, self.stride, self.ceil_mode = norm_type, kernel_size, stride, ceil_mode

    def extra_repr(self):
        return f"norm_type={self.norm_type}, kernel_size={self.kernel_size}, stride={self.stride}, ceil_mode={self.ceil_mode}"


class LPPool1d(LPPool):
    """(Σ x^p)^(1/p) of each window, p = norm_type, shapes (N, C, L) or (C, L) → (N, C, L′)

    >>> import tinygrad_edu as tg
    >>> tg.nn.LPPool1d(2, 2)(tg.ones(1, 2, 8)).shape
    Size([1, 2, 4])
    """

    def forward(self, input):
        return F.lp_pool1d(input, float(self.norm_type), self.kernel_size, self.stride, self.ceil_mode)


class LPPool2d(LPPool):
    """(Σ x^p)^(1/p) of each window, p = norm_type, shapes (N, C, H, W) or (C, H, W) → (N, C, H′, W′)

    >>> import tinygrad_edu as tg
    >>> tg.nn.LPPool2d(2, 2)(tg.ones(1, 2, 8, 8)).shape
    Size([1, 2, 4, 4])
    """

    def forward(self, input):
        return F.lp_pool2d(input, float(self.norm_type), self.kernel_size, self.stride, self.ceil_mode)


class LPPool3d(LPPool):
    """(Σ x^p)^(1/p) of each window, p = norm_type, shapes (N, C, D, H, W) or (C, D, H, W) → (N, C, D′, H′, W′)

    >>> import tinygrad_edu as tg
    >>> tg.nn.LPPool3d(2, 2)(tg.ones(1, 2, 4, 4, 4)).shape
    Size([1, 2, 2, 2, 2])
    """

    def forward(self, input):
        return F.lp_pool3d(input, float(self.norm_type), self.kernel_size, self.stride, self.ceil_mode)


class FractionalMaxPool(Module):
    """What the pools with random windows share."""

    axes = 0

    def __init__(self, kernel_size, output_size=None, output_ratio=None, return_indices=False, _random_samples=None):
        super().__init__()
        name, n = type(self).__name__, self.axes
        if (output_size is None) == (output_ratio is None):
            raise ValueError(f"{name}: give either output_size or output_ratio, and not both")
        self.kernel_size, self.return_indices = per_axis(name, "kernel_size", kernel_size, n), return_indices
        self.register_buffer("_random_samples", _random_samples)
        self.output_size = None if output_size is None else per_axis(name, "output_size", output_size, n)
        self.output_ratio = None
        if output_ratio is not None:
            self.output_ratio = tuple(output_ratio) if isinstance(output_ratio, (tuple, list)) else (output_ratio,) * n
            if not all(0 < r < 1 for r in self.output_ratio):
                raise ValueError(f"{name}: output_ratio must be between 0 and 1, got {output_ratio}")

    def pooled(self, function, input):
        """The functional form with the module's arguments."""
        return function(input, self.kernel_size, self.output_size, self.output_ratio, self.return_indices, self._random_samples)


class FractionalMaxPool2d(FractionalMaxPool):
    """max of windows with random steps, shapes (N, C, H, W) or (C, H, W) → (N, C, H′, W′)

    Give output_size, or output_ratio, a share of each size; with return_indices the flat positions of the maxima come second.

    >>> import tinygrad_edu as tg
    >>> tg.nn.FractionalMaxPool2d(2, output_ratio=0.7)(tg.ones(1, 2, 10, 10)).shape
    Size([1, 2, 7, 7])
    """

    axes = 2

    def forward(self, input):
        return self.pooled(F.fractional_max_pool2d, input)


class FractionalMaxPool3d(FractionalMaxPool):
    """max of windows with random steps, shapes (N, C, D, H, W) or (C, D, H, W) → (N, C, D′, H′, W′); as FractionalMaxPool2d

    >>> import tinygrad_edu as tg
    >>> tg.nn.FractionalMaxPool3d(2, output_size=3)(tg.ones(1, 2, 5, 5, 5)).shape
    Size([1, 2, 3, 3, 3])
    """

    axes = 3

    def forward(self, input):
        return self.pooled(F.fractional_max_pool3d, input)


class AdaptivePool(Module):
    """What the pools that are told the size of their result share."""

    def __init__(self, output_size, return_indices=False):
        super().__init__()
        self.output_size, self.return_indices = output_size, return_indices

    def extra_repr(self):
        return f"output_size={self.output_size}"


class AdaptiveAvgPool(AdaptivePool):
    """The adaptive pools that have no indices."""

    def __init__(self, output_size):
        super().__init__(output_size)


class AdaptiveAvgPool1d(AdaptiveAvgPool):
    """mean over windows that cover the input, shapes (N, C, L) or (C, L) → (N, C, *output_size); None keeps a size

    >>> import tinygrad_edu as tg
    >>> tg.nn.AdaptiveAvgPool1d(3)(tg.ones(1, 2, 8)).shape
    Size([1, 2, 3])
    """

    def forward(self, input):
        return F.adaptive_avg_pool1d(input, self.output_size)


class AdaptiveAvgPool2d(AdaptiveAvgPool):
    """mean over windows that cover the input, shapes (N, C, H, W) or (C, H, W) → (N, C, *output_size); None keeps a size

    >>> import tinygrad_edu as tg
    >>> tg.nn.AdaptiveAvgPool2d(3)(tg.ones(1, 2, 8, 8)).shape
    Size([1, 2, 3, 3])
    """

    def forward(self, input):
        return F.adaptive_avg_pool2d(input, self.output_size)


class AdaptiveAvgPool3d(AdaptiveAvgPool):
    """mean over windows that cover the input, shapes (N, C, D, H, W) → (N, C, *output_size); None keeps a size

    >>> import tinygrad_edu as tg
    >>> tg.nn.AdaptiveAvgPool3d(3)(tg.ones(1, 2, 4, 4, 4)).shape
    Size([1, 2, 3, 3, 3])
    """

    def forward(self, input):
        return F.adaptive_avg_pool3d(input, self.output_size)


class AdaptiveMaxPool1d(AdaptivePool):
    """max over windows that cover the input, shapes (N, C, L) or (C, L) → (N, C, *output_size); None keeps a size

    >>> import tinygrad_edu as tg
    >>> tg.nn.AdaptiveMaxPool1d(3)(tg.ones(1, 2, 8)).shape
    Size([1, 2, 3])
    """

    def forward(self, input):
        return F.adaptive_max_pool1d(input, self.output_size, self.return_indices)


class AdaptiveMaxPool2d(AdaptivePool):
    """max over windows that cover the input, shapes (N, C, H, W) or (C, H, W) → (N, C, *output_size); None keeps a size

    >>> import tinygrad_edu as tg
    >>> tg.nn.AdaptiveMaxPool2d(3)(tg.ones(1, 2, 8, 8)).shape
    Size([1, 2, 3, 3])
    """

    def forward(self, input):
        return F.adaptive_max_pool2d(input, self.output_size, self.return_indices)


class AdaptiveMaxPool3d(AdaptivePool):
    """max over windows that cover the input, shapes (N, C, D, H, W) → (N, C, *output_size); None keeps a size

    >>> import tinygrad_edu as tg
    >>> tg.nn.AdaptiveMaxPool3d(3)(tg.ones(1, 2, 4, 4, 4)).shape
    Size([1, 2, 3, 3, 3])
    """

    def forward(self, input):
        return F.adaptive_max_pool3d(input, self.output_size, self.return_indices)


__all__ = [
    "AdaptiveAvgPool1d",
    "AdaptiveAvgPool2d",
    "AdaptiveAvgPool3d",
    "AdaptiveMaxPool1d",
    "AdaptiveMaxPool2d",
    "AdaptiveMaxPool3d",
    "AvgPool1d",
    "AvgPool2d",
    "AvgPool3d",
    "FractionalMaxPool2d",
    "FractionalMaxPool3d",
    "LPPool1d",
    "LPPool2d",
    "LPPool3d",
    "MaxPool1d",
    "MaxPool2d",
    "MaxPool3d",
    "MaxUnpool1d",
    "MaxUnpool2d",
    "MaxUnpool3d",
]
