"""Convolutions, and sliding windows as columns."""

from math import prod

from ...autograd.operands import ShapeError
from ...autograd.tensor import Tensor, array_of
from ...ops import windows as ops


def per_axis(name, argument, value, n):
    """An int or a sequence of n ints as a tuple of n ints."""
    if isinstance(value, (tuple, list)):
        if len(value) == 1:
            value = tuple(value) * n
        if len(value) != n:
            raise ShapeError(f"{name}: {argument}={tuple(value)} has {len(value)} numbers; give one number, or {n}")
        return tuple(int(v) for v in value)
    return (int(value),) * n


def at_least(name, argument, values, least):
    """Refuse numbers below `least`."""
    if any(v < least for v in values):
        raise ShapeError(f"{name}: {argument} must be at least {least}, got {list(values)}")
    return values


def batched(name, input, n):
    """The input as (N, C, *S), and whether the batch axis was added."""
    if not isinstance(input, Tensor):
        raise TypeError(f"{name}: expected a Tensor as input, got {type(input).__name__}")
    if input.array.ndim == n + 2:
        return input, False
    if input.array.ndim == n + 1:
        return input.unsqueeze(0), True
    sizes = ", ".join(("L",) if n == 1 else ("D", "H", "W")[-n:])
    raise ShapeError(
        f"{name}: the input has shape {list(input.array.shape)}; it must be (N, C, {sizes}), or (C, {sizes}) for a single sample"
    )


def borders(name, padding, kernel, stride, dilation):
    """The padding of each axis as (before, after): a number, or "valid", or "same"."""
    if isinstance(padding, str):
        if padding == "valid":
            return ((0, 0),) * len(kernel)
        if padding != "same":
            raise ShapeError(f'{name}: padding must be a number, "valid" or "same", not {padding!r}')
        if any(s != 1 for s in stride):
            raise ShapeError(f'{name}: padding="same" needs stride 1, got {list(stride)}; give the padding in numbers')
        totals = [d * (k - 1) for k, d in zip(kernel, dilation)]
        return tuple((t // 2, t - t // 2) for t in totals)
    return tuple((p, p) for p in at_least(name, "padding", per_axis(name, "padding", padding, len(kernel)), 0))


def check_channels(name, input, weight, bias, groups, given, result, shape):
    """Refuse weights that do not fit the input."""
    if array_of(weight).ndim != array_of(input).ndim:
        raise ShapeError(f"{name}: weight has shape {list(weight.shape)}; it must be {shape}")
    if groups < 1 or given % groups or result % groups:
        raise ShapeError(f"{name}: groups={groups} must divide the {given} input channels and the {result} output channels")
    if input.array.shape[1] != given:
        order = [0, input.ndim - 1, *range(1, input.ndim - 1)]
        hint = f"; channels come second: x.permute({', '.join(map(str, order))})" if input.array.shape[-1] == given else ""
        raise ShapeError(
            f"{name}: the input has {input.array.shape[1]} channels, shape {list(input.array.shape)}; this weight, of shape "
            f"{list(weight.shape)} with groups={groups}, wants {given}{hint}"
        )
    if bias is not None and tuple(bias.shape) != (result,):
        raise ShapeError(f"{name}: bias has shape {list(bias.shape)}; it must be [{result}], one number per output channel")


def convolve(name, n, input, weight, bias, stride, padding, dilation, groups):
    """conv1d, conv2d and conv3d."""
    input, single = batched(name, input, n)
    check_channels(name, input, weight, bias, groups, weight.shape[1] * groups, weight.shape[0], "(out, in / groups, *kernel)")
    stride = at_least(name, "stride", per_axis(name, "stride", stride, n), 1)
    dilation = at_least(name, "dilation", per_axis(name, "dilation", dilation, n), 1)
    kernel = tuple(weight.array.shape[2:])
    padding = borders(name, padding, kernel, stride, dilation)
    for size, k, d, (a, b) in zip(input.array.shape[2:], kernel, dilation, padding):
        if size + a + b < d * (k - 1) + 1:
            raise RuntimeError(
                f"{name}: the kernel covers {[d * (k - 1) + 1 for k, d in zip(kernel, dilation)]} elements and "
                "the padded input has "
                f"only {[m + a + b for m, (a, b) in zip(input.array.shape[2:], padding)]}; use more padding or a smaller kernel"
            )
    out = ops.convolution(input, weight, bias, stride=stride, dilation=dilation, padding=padding, groups=groups)
    return out.squeeze(0) if single else out


def conv1d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    """Σ weight · window + bias, shapes (N, C, L), (out, C/groups, k) → (N, out, L′)

    L′ = ⌊(L + 2·padding − dilation·(k − 1) − 1) / stride⌋ + 1; padding may be "valid" (none) or "same" (L′ = L).

    >>> import tinygrad_edu as tg
    >>> tg.nn.functional.conv1d(tg.tensor([[[1.0, 2.0, 4.0]]]), tg.tensor([[[-1.0, 1.0]]]))
    tensor([[[1., 2.]]])
    """
    return convolve("conv1d", 1, input, weight, bias, stride, padding, dilation, groups)


def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    """Σ weight · window + bias, shapes (N, C, H, W), (out, C/groups, kh, kw) → (N, out, H′, W′); sizes as in conv1d

    >>> import tinygrad_edu as tg
    >>> tg.nn.functional.conv2d(tg.ones(1, 1, 3, 3), tg.ones(1, 1, 3, 3), padding="same")
    tensor([[[[4., 6., 4.],
              [6., 9., 6.],
              [4., 6., 4.]]]])
    """
    return convolve("conv2d", 2, input, weight, bias, stride, padding, dilation, groups)


def conv3d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    """Σ weight · window + bias, shapes (N, C, D, H, W), (out, C/groups, kd, kh, kw) → (N, out, D′, H′, W′); sizes as in conv1d

    >>> import tinygrad_edu as tg
    >>> tg.nn.functional.conv3d(tg.ones(1, 2, 4, 4, 4), tg.ones(3, 2, 2, 2, 2), stride=2).shape
    Size([1, 3, 2, 2, 2])
    """
    return convolve("conv3d", 3, input, weight, bias, stride, padding, dilation, groups)


def convolve_transposed(name, n, input, weight, bias, stride, padding, output_padding, groups, dilation):
    """conv_transpose1d, 2d and 3d."""
    input, single = batched(name, input, n)
    check_channels(name, input, weight, bias, groups, weight.shape[0], weight.shape[1] * groups, "(in, out / groups, *kernel)")
    stride = at_least(name, "stride", per_axis(name, "stride", stride, n), 1)
    dilation = at_least(name, "dilation", per_axis(name, "dilation", dilation, n), 1)
    padding = at_least(name, "padding", per_axis(name, "padding", padding, n), 0)
    extra = at_least(name, "output_padding", per_axis(name, "output_padding", output_padding, n), 0)
    if any(e >= s and e >= d for e, s, d in zip(extra, stride, dilation)):
        raise RuntimeError(
            f"{name}: output_padding={list(extra)} must be smaller than the stride {list(stride)} or "
            f"the dilation {list(dilation)}: "
            "it chooses among the sizes that a convolution maps to this one"
        )
    kernel = tuple(weight.array.shape[2:])
    shape = tuple(
        (m - 1) * s - 2 * p + d * (k - 1) + e + 1
        for m, s, p, d, k, e in zip(input.array.shape[2:], stride, padding, dilation, kernel, extra)
    )
    if any(m < 1 for m in shape):
        raise RuntimeError(f"{name}: the result would have shape {list(shape)}; use less padding or a larger input")
    out = ops.convolution_transpose(
        input,
        weight,
        bias,
        shape=shape,
        stride=stride,
        dilation=dilation,
        padding=tuple((p, max(0, p - e)) for p, e in zip(padding, extra)),
        groups=groups,
    )
    return out.squeeze(0) if single else out


def conv_transpose1d(input, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1):
    """input · weight spread over windows, + bias: the adjoint of conv1d, shapes (N, C, L), (C, out/groups, k) → (N, out, L′)

    L′ = (L − 1)·stride − 2·padding + dilation·(k − 1) + output_padding + 1

    >>> import tinygrad_edu as tg
    >>> tg.nn.functional.conv_transpose1d(tg.tensor([[[1.0, 2.0]]]), tg.tensor([[[1.0, 10.0]]]), stride=2)
    tensor([[[ 1., 10.,  2., 20.]]])
    """
    return convolve_transposed("conv_transpose1d", 1, input, weight, bias, stride, padding, output_padding, groups, dilation)


def conv_transpose2d(input, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1):
    """The adjoint of conv2d, + bias, shapes (N, C, H, W), (C, out/groups, kh, kw) → (N, out, H′, W′); sizes: conv_transpose1d

    >>> import tinygrad_edu as tg
    >>> tg.nn.functional.conv_transpose2d(tg.ones(1, 2, 4, 4), tg.ones(2, 3, 2, 2), stride=2).shape
    Size([1, 3, 8, 8])
    """
    return convolve_transposed("conv_transpose2d", 2, input, weight, bias, stride, padding, output_padding, groups, dilation)


def conv_transpose3d(input, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1):
    """The adjoint of conv3d, + bias, shapes (N, C, D, H, W), (C, out/groups, kd, kh, kw) → (N, out, D′, H′, W′)

    >>> import tinygrad_edu as tg
    >>> tg.nn.functional.conv_transpose3d(tg.ones(1, 2, 2, 2, 2), tg.ones(2, 1, 2, 2, 2)).shape
    Size([1, 1, 3, 3, 3])
    """
    return convolve_transposed("conv_transpose3d", 3, input, weight, bias, stride, padding, output_padding, groups, dilation)


def unfold(input, kernel_size, dilation=1, padding=0, stride=1):
    """Every window of (N, C, H, W) as a column: (N, C·kh·kw, number of windows)

    >>> import tinygrad_edu as tg
    >>> tg.nn.functional.unfold(tg.arange(6.0).reshape(1, 1, 2, 3), (2, 2))[0]
    tensor([[0., 1.],
            [1., 2.],
            [3., 4.],
            [4., 5.]])
    """
    input, single = batched("unfold", input, 2)
    kernel, stride, dilation, padding = window("unfold", kernel_size, stride, dilation, padding)
    lengths = ops.lengths_of(input.array.shape[2:], kernel, stride, dilation, padding)
    if not all(lengths):
        raise RuntimeError(
            f"unfold: no window of size {list(kernel)} fits the input of shape {list(input.array.shape)}; use more padding"
        )
    out = ops.unfold(input, kernel=kernel, stride=stride, dilation=dilation, padding=padding)
    n, c = input.array.shape[:2]
    out = out.reshape(n, c * prod(kernel), prod(lengths))
    return out.squeeze(0) if single else out


def window(name, kernel_size, stride, dilation, padding):
    """The window of unfold and fold."""
    kernel, stride, dilation = (
        at_least(name, argument, per_axis(name, argument, value, 2), 1)
        for argument, value in (("kernel_size", kernel_size), ("stride", stride), ("dilation", dilation))
    )
    return kernel, stride, dilation, borders(name, padding, kernel, stride, dilation)


def fold(input, output_size, kernel_size, dilation=1, padding=0, stride=1):
    """Columns (N, C·kh·kw, number of windows) added into an image (N, C, *output_size), overlaps summed: the adjoint of unfold

    >>> import tinygrad_edu as tg
    >>> tg.nn.functional.fold(tg.ones(1, 4, 2), (2, 3), (2, 2))[0, 0]
    tensor([[1., 2., 1.],
            [1., 2., 1.]])
    """
    if input.ndim not in (2, 3):
        raise ShapeError(f"fold: the input has shape {list(input.shape)}; it must be (N, C·kh·kw, number of windows)")
    single = input.ndim == 2
    input = input.unsqueeze(0) if single else input
    shape = per_axis("fold", "output_size", output_size, 2)
    kernel, stride, dilation, padding = window("fold", kernel_size, stride, dilation, padding)
    lengths = ops.lengths_of(shape, kernel, stride, dilation, padding)
    n, rows, count = input.array.shape
    if rows % prod(kernel) or count != prod(lengths):
        raise RuntimeError(
            f"fold: the input has shape {list(input.shape)}; an image of {list(shape)} has {list(lengths)} "
            f"windows, so it must "
            f"be (N, C·{prod(kernel)}, {prod(lengths)})"
        )
    out = ops.fold(
        input.reshape(n, rows // prod(kernel), prod(kernel), *lengths),
        shape=shape,
        kernel=kernel,
        stride=stride,
        dilation=dilation,
        padding=padding,
    )
    return out.squeeze(0) if single else out


def conv_tbc(input, weight, bias, pad=0):
    """conv1d of sequences (T, N, C) with a weight (k, C, out), both in the order of speech models → (T′, N, out)"""
    return conv1d(input.permute(1, 2, 0), weight.permute(2, 1, 0), bias, padding=pad).permute(2, 0, 1)


__all__ = ["conv1d", "conv2d", "conv3d", "conv_tbc", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d", "fold", "unfold"]
