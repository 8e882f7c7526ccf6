"""Convolutions as modules, and sliding windows as columns."""

import math

import numpy as np

from ...api.create import check_device, dtype_of
from ...autograd import dtypes
from ...autograd.tensor import Tensor
from .. import functional as F
from .. import init
from ..functional.convolution import at_least, borders, per_axis
from ..module import Module
from ..parameter import Parameter


class Convolution(Module):
    """What all convolutions share: parameters, their first values, and how they print."""

    axes = 0
    transposed = False

    def __init__(
        self,
        in_channels,
        out_channels,
        kernel_size,
        stride,
        padding,
        dilation,
        groups,
        bias,
        padding_mode,
        output_padding,
        device,
        dtype,
    ):
        super().__init__()
        check_device(device)
        name, n = type(self).__name__, self.axes
        if groups < 1 or in_channels % groups or out_channels % groups:
            raise ValueError(f"{name}: groups={groups} must divide in_channels={in_channels} and out_channels={out_channels}")
        if padding_mode not in ("zeros", "reflect", "replicate", "circular"):
            raise ValueError(f'{name}: padding_mode must be "zeros", "reflect", "replicate" or "circular", not {padding_mode!r}')
        if self.transposed and padding_mode != "zeros":
            raise ValueError(f'{name}: padding_mode must be "zeros" here, not {padding_mode!r}: padding cuts the result off')
        self.in_channels, self.out_channels, self.groups, self.padding_mode = in_channels, out_channels, groups, padding_mode
        self.kernel_size = at_least(name, "kernel_size", per_axis(name, "kernel_size", kernel_size, n), 1)
        self.stride = at_least(name, "stride", per_axis(name, "stride", stride, n), 1)
        self.dilation = at_least(name, "dilation", per_axis(name, "dilation", dilation, n), 1)
        border = borders(name, padding, self.kernel_size, self.stride, self.dilation)
        self.padding = padding if isinstance(padding, str) else per_axis(name, "padding", padding, n)
        self.output_padding = per_axis(name, "output_padding", output_padding, n)
        self.border = [side for pair in border[::-1] for side in pair]  # last axis first, as `pad` wants it
        dtype = dtypes.default if dtype is None else dtype_of(dtype)
        channels = (in_channels, out_channels // groups) if self.transposed else (out_channels, in_channels // groups)
        self.weight = Parameter(Tensor(np.empty((*channels, *self.kernel_size), dtype), None))
        self.register_parameter("bias", Parameter(Tensor(np.empty(out_channels, dtype), None)) if bias else None)
        self.reset_parameters()

    def reset_parameters(self):
        """Draw new initial values."""
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        if self.bias is not None:
            fan_in = init.fans(self.weight)[0]
            if fan_in:
                init.uniform_(self.bias, -1 / math.sqrt(fan_in), 1 / math.sqrt(fan_in))

    def convolved(self, function, input):
        """The convolution, after the padding that is not zeros."""
        padding = self.padding
        if self.padding_mode != "zeros":
            input, padding = F.pad(input, self.border, mode=self.padding_mode), 0
        return function(input, self.weight, self.bias, self.stride, padding, self.dilation, self.groups)

    def transposed_convolved(self, function, input, output_size):
        """The transposed convolution, with the output_padding that gives output_size."""
        extra = self.output_padding
        if output_size is not None:
            n = self.axes
            wanted = tuple(output_size)[-n:]
            least = [
                (m - 1) * s - 2 * p + d * (k - 1) + 1
                for m, s, p, d, k in zip(input.shape[-n:], self.stride, self.padding, self.dilation, self.kernel_size)
            ]
            extra = tuple(w - m for w, m in zip(wanted, least))
            if len(wanted) != n or any(not 0 <= e < s for e, s in zip(extra, self.stride)):
                largest = [m + s - 1 for m, s in zip(least, self.stride)]
                raise ValueError(
                    f"{type(self).__name__}: output_size={list(output_size)} is not possible; "
                    f"it must be from {least} to {largest}"
                )
        return function(input, self.weight, self.bias, self.stride, self.padding, extra, self.groups, self.dilation)

    def extra_repr(self):
        zeros = (0,) * self.axes
        text = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"
        if self.padding != zeros:
            text += f", padding={self.padding}"
        if self.dilation != (1,) * self.axes:
            text += f", dilation={self.dilation}"
        if self.output_padding != zeros:
            text += f", output_padding={self.output_padding}"
        if self.groups != 1:
            text += f", groups={self.groups}"
        if self.bias is None:
            text += ", bias=False"
        if self.padding_mode != "zeros":
            text += f", padding_mode={self.padding_mode}"
        return text


class Conv1d(Convolution):
    """Σ weight · window + bias: each output channel is a filter that slides over the input

    Shapes: (N, in, L) or (in, L) → (N, out, L′) with L′ = ⌊(L + 2·padding − dilation·(k − 1) − 1) / stride⌋ + 1; weight
    (out, in/groups, k), bias (out). padding is a number, "valid" or "same"; padding_mode fills it with "zeros", "reflect",
    "replicate" or "circular". Both start from U(−b, b) with b = 1 / √(in/groups · k).

    >>> import tinygrad_edu as tg
    >>> tg.nn.Conv1d(2, 4, 3, padding=1)(tg.ones(1, 2, 8)).shape
    Size([1, 4, 8])
    """

    axes = 1

    def __init__(
        self,
        in_channels,
        out_channels,
        kernel_size,
        stride=1,
        padding=0,
        dilation=1,
        groups=1,
        bias=True,
        padding_mode="zeros",
        device=None,
        dtype=None,
    ):
        super().__init__(
            in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias, padding_mode, 0, device, dtype
        )

    def forward(self, input):
        return self.convolved(F.conv1d, input)


class Conv2d(Convolution):
    """Σ weight · window + bias: each output channel is a filter that slides over the image

    Shapes: (N, in, H, W) or (in, H, W) → (N, out, H′, W′), sizes as in Conv1d; weight (out, in/groups, kh, kw), bias (out).

    >>> import tinygrad_edu as tg
    >>> tg.nn.Conv2d(1, 8, 3, stride=2)(tg.ones(5, 1, 28, 28)).shape
    Size([5, 8, 13, 13])
    """

    axes = 2

    def __init__(
        self,
        in_channels,
        out_channels,
        kernel_size,
        stride=1,
        padding=0,
        dilation=1,
        groups=1,
        bias=True,
        padding_mode="zeros",
        device=None,
        dtype=None,
    ):
        super().__init__(
            in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias, padding_mode, 0, device, dtype
        )

    def forward(self, input):
        return self.convolved(F.conv2d, input)


class Conv3d(Convolution):
    """Σ weight · window + bias: each output channel is a filter that slides over the volume

    Shapes: (N, in, D, H, W) or (in, D, H, W) → (N, out, D′, H′, W′), sizes as in Conv1d; weight (out, in/groups, kd, kh, kw).

    >>> import tinygrad_edu as tg
    >>> tg.nn.Conv3d(1, 2, 3)(tg.ones(1, 1, 4, 5, 6)).shape
    Size([1, 2, 2, 3, 4])
    """

    axes = 3

    def __init__(
        self,
        in_channels,
        out_channels,
        kernel_size,
        stride=1,
        padding=0,
        dilation=1,
        groups=1,
        bias=True,
        padding_mode="zeros",
        device=None,
        dtype=None,
    ):
        super().__init__(
            in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias, padding_mode, 0, device, dtype
        )

    def forward(self, input):
        return self.convolved(F.conv3d, input)


class ConvTranspose1d(Convolution):
    """The adjoint of Conv1d, + bias: each input number spreads a filter over the output

    Shapes: (N, in, L) → (N, out, L′) with L′ = (L − 1)·stride − 2·padding + dilation·(k − 1) + output_padding + 1; weight
    (in, out/groups, k), bias (out). `forward(input, output_size)` chooses the output_padding.

    >>> import tinygrad_edu as tg
    >>> tg.nn.ConvTranspose1d(2, 4, 3, stride=2)(tg.ones(1, 2, 8)).shape
    Size([1, 4, 17])
    """

    axes, transposed = 1, True

    def __init__(
        self,
        in_channels,
        out_channels,
        kernel_size,
        stride=1,
        padding=0,
        output_padding=0,
        groups=1,
        bias=True,
        dilation=1,
        padding_mode="zeros",
        device=None,
        dtype=None,
    ):
        super().__init__(
            in_channels,
            out_channels,
            kernel_size,
            stride,
            padding,
            dilation,
            groups,
            bias,
            padding_mode,
            output_padding,
            device,
            dtype,
        )

    def forward(self, input, output_size=None):
        return self.transposed_convolved(F.conv_transpose1d, input, output_size)


class ConvTranspose2d(Convolution):
    """The adjoint of Conv2d, + bias: each input number spreads a filter over the output

    Shapes: (N, in, H, W) → (N, out, H′, W′), sizes as in ConvTranspose1d; weight (in, out/groups, kh, kw), bias (out).

    >>> import tinygrad_edu as tg
    >>> tg.nn.ConvTranspose2d(8, 1, 4, stride=2, padding=1)(tg.ones(5, 8, 7, 7)).shape
    Size([5, 1, 14, 14])
    """

    axes, transposed = 2, True

    def __init__(
        self,
        in_channels,
        out_channels,
        kernel_size,
        stride=1,
        padding=0,
        output_padding=0,
        groups=1,
        bias=True,
        dilation=1,
        padding_mode="zeros",
        device=None,
        dtype=None,
    ):
        super().__init__(
            in_channels,
            out_channels,
            kernel_size,
            stride,
            padding,
            dilation,
            groups,
            bias,
            padding_mode,
            output_padding,
            device,
            dtype,
        )

    def forward(self, input, output_size=None):
        return self.transposed_convolved(F.conv_transpose2d, input, output_size)


class ConvTranspose3d(Convolution):
    """The adjoint of Conv3d, + bias: each input number spreads a filter over the output

    Shapes: (N, in, D, H, W) → (N, out, D′, H′, W′), sizes as in ConvTranspose1d.

    >>> import tinygrad_edu as tg
    >>> tg.nn.ConvTranspose3d(2, 1, 2, stride=2)(tg.ones(1, 2, 3, 3, 3)).shape
    Size([1, 1, 6, 6, 6])
    """

    axes, transposed = 3, True

    def __init__(
        self,
        in_channels,
        out_channels,
        kernel_size,
        stride=1,
        padding=0,
        output_padding=0,
        groups=1,
        bias=True,
        dilation=1,
        padding_mode="zeros",
        device=None,
        dtype=None,
    ):
        super().__init__(
            in_channels,
            out_channels,
            kernel_size,
            stride,
            padding,
            dilation,
            groups,
            bias,
            padding_mode,
            output_padding,
            device,
            dtype,
        )

    def forward(self, input, output_size=None):
        return self.transposed_convolved(F.conv_transpose3d, input, output_size)


class Unfold(Module):
    """Every window of (N, C, H, W) as a column: (N, C·kh·kw, number of windows)

    >>> import tinygrad_edu as tg
    >>> tg.nn.Unfold(2)(tg.ones(1, 3, 4, 5)).shape
    Size([1, 12, 12])
    """

    def __init__(self, kernel_size, dilation=1, padding=0, stride=1):
        super().__init__()
        self.kernel_size, self.dilation, self.padding, self.stride = kernel_size, dilation, padding, stride

    def forward(self, input):
        return F.unfold(input, self.kernel_size, self.dilation, self.padding, self.stride)

    def extra_repr(self):
        return f"kernel_size={self.kernel_size}, dilation={self.dilation}, padding={self.padding}, stride={self.stride}"


class Fold(Module):
    """Columns (N, C·kh·kw, number of windows) added into an image (N, C, *output_size), overlaps summed

    >>> import tinygrad_edu as tg
    >>> tg.nn.Fold((4, 5), 2)(tg.ones(1, 12, 12)).shape
    Size([1, 3, 4, 5])
    """

    def __init__(self, output_size, kernel_size, dilation=1, padding=0, stride=1):
        super().__init__()
        self.output_size, self.kernel_size, self.dilation, self.padding, self.stride = (
            output_size,
            kernel_size,
            dilation,
            padding,
            stride,
        )

    def forward(self, input):
        return F.fold(input, self.output_size, self.kernel_size, self.dilation, self.padding, self.stride)

    def extra_repr(self):
        return (
            f"output_size={self.output_size}, kernel_size={self.kernel_size}, dilation={self.dilation}, "
            f"padding={self.padding}, "
            f"stride={self.stride}"
        )


__all__ = ["Conv1d", "Conv2d", "Conv3d", "ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d", "Fold", "Unfold"]
