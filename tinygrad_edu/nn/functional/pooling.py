"""Pooling: one number for each window."""

from math import prod

import numpy as np

from ...autograd.operands import ShapeError
from ...autograd.tensor import Tensor
from ...ops import windows as ops
from ...ops.indexing import gather_chosen, setitem
from .convolution import at_least, batched, per_axis


def window(name, n, kernel_size, stride, padding, dilation=1):
    """The arguments that all pools share, as tuples."""
    kernel = at_least(name, "kernel_size", per_axis(name, "kernel_size", kernel_size, n), 1)
    stride = kernel if stride is None or stride == [] else at_least(name, "stride", per_axis(name, "stride", stride, n), 1)
    padding = at_least(name, "padding", per_axis(name, "padding", padding, n), 0)
    dilation = at_least(name, "dilation", per_axis(name, "dilation", dilation, n), 1)
    if any(p > (d * (k - 1) + 1) // 2 for p, k, d in zip(padding, kernel, dilation)):
        raise RuntimeError(
            f"{name}: padding={list(padding)} must be at most half of the window, {list(kernel)}: "
            "a window inside the border has no element"
        )
    return kernel, stride, padding, dilation


def count(name, sizes, kernel, stride, padding, dilation, ceil_mode):
    """How many windows along each axis, and the border (before, after) that they reach into."""
    lengths, borders = [], []
    for n, k, s, p, d in zip(sizes, kernel, stride, padding, dilation):
        room = n + 2 * p - d * (k - 1) - 1
        windows = (-(-room // s) if ceil_mode else room // s) + 1
        if ceil_mode and (windows - 1) * s >= n + p:
            windows -= 1  # a window must start inside the data or the border before it
        if windows < 1:
            raise RuntimeError(
                f"{name}: no window of size {list(kernel)} fits the input of size {list(sizes)}; "
                "use a smaller window or more padding"
            )
        lengths.append(windows)
        borders.append((p, max(0, (windows - 1) * s + d * (k - 1) + 1 - n - p)))
    return tuple(lengths), tuple(borders)


def maximum(name, n, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices):
    """max_pool1d, 2d and 3d."""
    input, single = batched(name, input, n)
    kernel, stride, padding, dilation = window(name, n, kernel_size, stride, padding, dilation)
    sizes = tuple(input.array.shape[2:])
    lengths, borders = count(name, sizes, kernel, stride, padding, dilation, ceil_mode)
    geometry = dict(kernel=kernel, stride=stride, dilation=dilation, padding=borders)
    out = ops.max_pool(input, **geometry)
    if return_indices:
        chosen = ops.first_largest(input.array, out.array, **geometry)
        indices = Tensor(positions(chosen, sizes, lengths, **geometry), None)
        return (out.squeeze(0), indices.squeeze(0)) if single else (out, indices)
    return out.squeeze(0) if single else out


def positions(chosen, sizes, lengths, kernel, stride, dilation, padding):
    """The flat position, in the input, of each window's chosen element."""
    tap = chosen.argmax(axis=0)
    flat = 0
    for axis, offset in enumerate(np.unravel_index(tap, kernel)):
        start = np.arange(lengths[axis]).reshape((-1,) + (1,) * (len(kernel) - axis - 1)) * stride[axis] - padding[axis][0]
        flat = flat * sizes[axis] + start + offset * dilation[axis]
    return flat


def max_pool1d_with_indices(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=True):
    """max_pool1d, and the position of each maximum."""
    return maximum("max_pool1d", 1, input, kernel_size, stride, padding, dilation, ceil_mode, True)


def max_pool2d_with_indices(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=True):
    """max_pool2d, and the flat position of each maximum in its channel."""
    return maximum("max_pool2d", 2, input, kernel_size, stride, padding, dilation, ceil_mode, True)


def max_pool3d_with_indices(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=True):
    """max_pool3d, and the flat position of each maximum in its channel."""
    return maximum("max_pool3d", 3, input, kernel_size, stride, padding, dilation, ceil_mode, True)


def max_pool1d(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False):
    """max of each window, shapes (N, C, L) → (N, C, L′); stride is kernel_size unless given

    L′ = ⌊(L + 2·padding − dilation·(k − 1) − 1) / stride⌋ + 1, rounded up with ceil_mode. Of equal maxima the first one counts.

    >>> import tinygrad_edu as tg
    >>> tg.nn.functional.max_pool1d(tg.tensor([[[1.0, 3.0, 2.0, 0.0]]]), 2)
    tensor([[[3., 2.]]])
    """
    return maximum("max_pool1d", 1, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def max_pool2d(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False):
    """max of each window, shapes (N, C, H, W) → (N, C, H′, W′); sizes as in max_pool1d

    >>> import tinygrad_edu as tg
    >>> tg.nn.functional.max_pool2d(tg.arange(16.0).reshape(1, 1, 4, 4), 2)
    tensor([[[[ 5.,  7.],
              [13., 15.]]]])
    """
    return maximum("max_pool2d", 2, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def max_pool3d(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False):
    """max of each window, shapes (N, C, D, H, W) → (N, C, D′, H′, W′); sizes as in max_pool1d

    >>> import tinygrad_edu as tg
    >>> tg.nn.functional.max_pool3d(tg.ones(1, 1, 4, 4, 4), 2).shape
    Size([1, 1, 2, 2, 2])
    """
    return maximum("max_pool3d", 3, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def average(name, n, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override):
    """avg_pool1d, 2d and 3d."""
    input, single = batched(name, input, n)
    kernel, stride, padding, dilation = window(name, n, kernel_size, stride, padding)
    sizes = tuple(input.array.shape[2:])
    lengths, borders = count(name, sizes, kernel, stride, padding, dilation, ceil_mode)
    if divisor_override is not None:
        if divisor_override == 0:
            raise ShapeError(f"{name}: divisor_override must not be 0")
        divisor = divisor_override
    elif any(padding) or ceil_mode:  # windows at the edge have fewer elements
        low, high = (
            [0] * n if not count_include_pad else [-p for p in padding],
            [m + (p if count_include_pad else 0) for m, p in zip(sizes, padding)],
        )
        divisor = np.ones(())
        for m, k, s, p, a, b in zip(lengths, kernel, stride, padding, low, high):
            starts = np.arange(m) * s - p
            divisor = divisor[..., None] * (np.minimum(starts + k, b) - np.maximum(starts, a))
        if (divisor == prod(kernel)).all():
            divisor = prod(kernel)
    else:
        divisor = prod(kernel)
    out = ops.avg_pool(input, kernel=kernel, stride=stride, padding=borders, divisor=divisor)
    return out.squeeze(0) if single else out


def avg_pool1d(input, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True):
    """mean of each window, shapes (N, C, L) → (N, C, L′); stride is kernel_size unless given

    >>> import tinygrad_edu as tg
    >>> tg.nn.functional.avg_pool1d(tg.tensor([[[1.0, 3.0, 2.0, 0.0]]]), 2)
    tensor([[[2., 1.]]])
    """
    return average("avg_pool1d", 1, input, kernel_size, stride, padding, ceil_mode, count_include_pad, None)


def avg_pool2d(input, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True, divisor_override=None):
    """mean of each window, shapes (N, C, H, W) → (N, C, H′, W′); with count_include_pad the border's zeros are counted

    >>> import tinygrad_edu as tg
    >>> tg.nn.functional.avg_pool2d(tg.arange(16.0).reshape(1, 1, 4, 4), 2)
    tensor([[[[ 2.5000,  4.5000],
              [10.5000, 12.5000]]]])
    """
    return average("avg_pool2d", 2, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)


def avg_pool3d(input, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True, divisor_override=None):
    """mean of each window, shapes (N, C, D, H, W) → (N, C, D′, H′, W′)

    >>> import tinygrad_edu as tg
    >>> tg.nn.functional.avg_pool3d(tg.ones(1, 1, 4, 4, 4), 2).shape
    Size([1, 1, 2, 2, 2])
    """
    return average("avg_pool3d", 3, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)


def power_mean(name, n, input, norm_type, kernel_size, stride, ceil_mode):
    """lp_pool1d, 2d and 3d."""
    kernel = per_axis(name, "kernel_size", kernel_size, n)
    if norm_type in (float("inf"), -float("inf")):
        sign = 1 if norm_type > 0 else -1
        return sign * maximum(name, n, sign * input.abs(), kernel, stride, 0, 1, ceil_mode, False)
    mean = average(name, n, input**norm_type, kernel, stride, 0, ceil_mode, True, None)
    return (mean.sign() * mean.abs().relu() * prod(kernel)) ** (1 / norm_type)


def lp_pool1d(input, norm_type, kernel_size, stride=None, ceil_mode=False):
    """(Σ x^p)^(1/p) of each window, p = norm_type, shapes (N, C, L) → (N, C, L′)

    >>> import tinygrad_edu as tg
    >>> tg.nn.functional.lp_pool1d(tg.tensor([[[3.0, 4.0]]]), 2, 2)
    tensor([[[5.]]])
    """
    return power_mean("lp_pool1d", 1, input, norm_type, kernel_size, stride, ceil_mode)


def lp_pool2d(input, norm_type, kernel_size, stride=None, ceil_mode=False):
    """(Σ x^p)^(1/p) of each window, p = norm_type, shapes (N, C, H, W) → (N, C, H′, W′)

    >>> import tinygrad_edu as tg
    >>> tg.nn.functional.lp_pool2d(tg.ones(1, 1, 2, 2), 2, 2)
    tensor([[[[2.]]]])
    """
    return power_mean("lp_pool2d", 2, input, norm_type, kernel_size, stride, ceil_mode)


def lp_pool3d(input, norm_type, kernel_size, stride=None, ceil_mode=False):
    """(Σ x^p)^(1/p) of each window, p = norm_type, shapes (N, C, D, H, W) → (N, C, D′, H′, W′)

    >>> import tinygrad_edu as tg
    >>> tg.nn.functional.lp_pool3d(tg.ones(1, 1, 1, 2, 2), 2, (1, 2, 2))
    tensor([[[[[2.]]]]])
    """
    return power_mean("lp_pool3d", 3, input, norm_type, kernel_size, stride, ceil_mode)


# --- pools that are told the size of the result -----------------------------------------------------------------------


def output_sizes(name, n, output_size, sizes):
    """The wanted sizes; None keeps the input's."""
    wanted = tuple(output_size) if isinstance(output_size, (tuple, list)) else (output_size,) * n
    if len(wanted) != n:
        raise ShapeError(f"{name}: output_size={tuple(wanted)} has {len(wanted)} numbers; give one number, or {n}")
    return tuple(m if w is None else int(w) for w, m in zip(wanted, sizes))


def edges(size, wanted):
    """Where each of the wanted windows starts and ends: together they cover the axis, and overlap if they must."""
    i = np.arange(wanted)
    return i * size // wanted, -(-(i + 1) * size // wanted)


def adaptive_average(name, n, input, output_size):
    """adaptive_avg_pool1d, 2d and 3d: along each axis the mean over its windows."""
    input, single = batched(name, input, n)
    sizes = tuple(input.array.shape[2:])
    wanted = output_sizes(name, n, output_size, sizes)
    if all(w == 1 for w in wanted):
        out = input.mean(tuple(range(2, n + 2)), keepdim=True)
    elif all(w and m % w == 0 for w, m in zip(wanted, sizes)):
        kernel = tuple(m // w for w, m in zip(wanted, sizes))
        out = ops.avg_pool(input, kernel=kernel, stride=kernel, padding=((0, 0),) * n, divisor=prod(kernel))
    else:
        out = input
        for axis, (size, w) in enumerate(zip(sizes, wanted)):
            starts, ends = edges(size, w)
            longest = int((ends - starts).max()) if w else 1
            places = starts[:, None] + np.arange(longest)
            inside = places < ends[:, None]
            shares = inside / (ends - starts)[:, None]
            out = ops.resample(out, axis=axis + 2, places=np.where(inside, places, starts[:, None]), shares=shares)
    return out.squeeze(0) if single else out


def adaptive_avg_pool1d(input, output_size):
    """mean over output_size windows that cover the axis, shapes (N, C, L) → (N, C, output_size)

    >>> import tinygrad_edu as tg
    >>> tg.nn.functional.adaptive_avg_pool1d(tg.arange(6.0).reshape(1, 1, 6), 3)
    tensor([[[0.5000, 2.5000, 4.5000]]])
    """
    return adaptive_average("adaptive_avg_pool1d", 1, input, output_size)


def adaptive_avg_pool2d(input, output_size):
    """mean over windows that cover the image, shapes (N, C, H, W) → (N, C, *output_size)

    >>> import tinygrad_edu as tg
    >>> tg.nn.functional.adaptive_avg_pool2d(tg.arange(4.0).reshape(1, 1, 2, 2), 1)
    tensor([[[[1.5000]]]])
    """
    return adaptive_average("adaptive_avg_pool2d", 2, input, output_size)


def adaptive_avg_pool3d(input, output_size):
    """mean over windows that cover the volume, shapes (N, C, D, H, W) → (N, C, *output_size)

    >>> import tinygrad_edu as tg
    >>> tg.nn.functional.adaptive_avg_pool3d(tg.ones(1, 1, 4, 4, 4), 2).shape
    Size([1, 1, 2, 2, 2])
    """
    return adaptive_average("adaptive_avg_pool3d", 3, input, output_size)


def adaptive_maximum(name, n, input, output_size, return_indices):
    """adaptive_max_pool1d, 2d and 3d."""
    input, single = batched(name, input, n)
    sizes = tuple(input.array.shape[2:])
    wanted = output_sizes(name, n, output_size, sizes)
    if all(w and m % w == 0 for w, m in zip(wanted, sizes)):
        kernel = tuple(m // w for w, m in zip(wanted, sizes))
        result = maximum(name, n, input, kernel, None, 0, 1, False, return_indices)
        out, indices = result if return_indices else (result, None)
    else:
        x, bounds = input.array, [edges(m, w) for m, w in zip(sizes, wanted)]
        flat = np.arange(prod(sizes)).reshape(sizes)
        chosen = np.empty((*x.shape[:2], *wanted), np.int64)
        for cell in np.ndindex(*wanted):
            window = tuple(slice(starts[i], ends[i]) for i, (starts, ends) in zip(cell, bounds))
            inside = x[(slice(None), slice(None), *window)].reshape((*x.shape[:2], -1))
            chosen[(slice(None), slice(None), *cell)] = flat[window].reshape(-1)[inside.argmax(axis=-1)]
        picked = gather_chosen(input.reshape(*x.shape[:2], -1), axis=2, index=chosen.reshape((*x.shape[:2], -1)))
        out, indices = picked.reshape(chosen.shape), Tensor(chosen, None)
    if single:
        out, indices = out.squeeze(0), None if indices is None else indices.squeeze(0)
    return (out, indices) if return_indices else out


def adaptive_max_pool1d(input, output_size, return_indices=False):
    """max over output_size windows that cover the axis, shapes (N, C, L) → (N, C, output_size)

    >>> import tinygrad_edu as tg
    >>> tg.nn.functional.adaptive_max_pool1d(tg.arange(5.0).reshape(1, 1, 5), 2)
    tensor([[[2., 4.]]])
    """
    return adaptive_maximum("adaptive_max_pool1d", 1, input, output_size, return_indices)


def adaptive_max_pool2d(input, output_size, return_indices=False):
    """max over windows that cover the image, shapes (N, C, H, W) → (N, C, *output_size)

    >>> import tinygrad_edu as tg
    >>> tg.nn.functional.adaptive_max_pool2d(tg.arange(4.0).reshape(1, 1, 2, 2), 1)
    tensor([[[[3.]]]])
    """
    return adaptive_maximum("adaptive_max_pool2d", 2, input, output_size, return_indices)


def adaptive_max_pool3d(input, output_size, return_indices=False):
    """max over windows that cover the volume, shapes (N, C, D, H, W) → (N, C, *output_size)

    >>> import tinygrad_edu as tg
    >>> tg.nn.functional.adaptive_max_pool3d(tg.ones(1, 1, 4, 4, 4), 2).shape
    Size([1, 1, 2, 2, 2])
    """
    return adaptive_maximum("adaptive_max_pool3d", 3, input, output_size, return_indices)


def adaptive_max_pool1d_with_indices(input, output_size, return_indices=False):
    """adaptive_max_pool1d, and the position of each maximum."""
    return adaptive_maximum("adaptive_max_pool1d", 1, input, output_size, True)


def adaptive_max_pool2d_with_indices(input, output_size, return_indices=False):
    """adaptive_max_pool2d, and the flat position of each maximum in its channel."""
    return adaptive_maximum("adaptive_max_pool2d", 2, input, output_size, True)


def adaptive_max_pool3d_with_indices(input, output_size, return_indices=False):
    """adaptive_max_pool3d, and the flat position of each maximum in its channel."""
    return adaptive_maximum("adaptive_max_pool3d", 3, input, output_size, True)


# --- pools whose windows chance lays out ---------------------------------------------------------------------------------


def random_starts(sample, size, wanted, kernel):
    """Where the wanted windows start, for each number u of `sample` in [0, 1): ⌊(i + u)·α⌋ − ⌊u·α⌋, the last one at the end."""
    alpha = sample.dtype.type(size - kernel) / sample.dtype.type(max(wanted - 1, 1))
    sample = sample[..., None]
    starts = ((np.arange(wanted, dtype=sample.dtype) + sample) * alpha).astype(np.int64) - (sample * alpha).astype(np.int64)
    starts[..., -1] = size - kernel
    return starts


def fractional_maximum(name, n, input, kernel_size, output_size, output_ratio, return_indices, samples):
    """fractional_max_pool2d and 3d."""
    if output_size is None and output_ratio is None:
        raise ValueError(f"{name}: give either output_size or output_ratio")
    input, single = batched(name, input, n)
    kernel = at_least(name, "kernel_size", per_axis(name, "kernel_size", kernel_size, n), 1)
    sizes = tuple(input.array.shape[2:])
    if output_size is None:
        ratios = tuple(output_ratio) if isinstance(output_ratio, (tuple, list)) else (output_ratio,) * n
        output_size = tuple(int(m * r) for m, r in zip(sizes, ratios, strict=True))
    wanted = at_least(name, "output_size", per_axis(name, "output_size", output_size, n), 1)
    if any(w + k - 1 > m for w, k, m in zip(wanted, kernel, sizes)):
        raise RuntimeError(f"{name}: output_size={list(wanted)} windows of {list(kernel)} do not fit the input of size {list(sizes)}; "
                           "output_size + kernel_size − 1 may be at most the size")  # fmt: skip
    lead = input.array.shape[:2]
    if samples is None:
        from ...api.random import rand

        samples = rand(*lead, n, dtype=input.dtype)
    if tuple(samples.shape) != (*lead, n):
        raise ShapeError(f"{name}: _random_samples has shape {list(samples.shape)}; it must be (N, C, {n}) = {[*lead, n]}")
    order = range(n) if n == 3 else (1, 0)  # in two dimensions the first number is for the width
    flat = np.zeros((*lead, *(1,) * (2 * n)), np.int64)  # (N, C, windows…, places in a window…)
    for axis, (k, w, m, at) in enumerate(zip(kernel, wanted, sizes, order)):
        starts = random_starts(np.asarray(samples.array)[..., at], m, w, k)
        places = starts[..., None] + np.arange(k)  # (N, C, w, k)
        shape = [*lead, *(1,) * (2 * n)]
        shape[2 + axis], shape[2 + n + axis] = w, k
        flat = flat * m + places.reshape(shape)
    flat = flat.reshape(*lead, prod(wanted), prod(kernel))
    values = np.take_along_axis(input.array.reshape(*lead, 1, -1), flat.reshape(*lead, 1, -1), axis=-1).reshape(flat.shape)
    chosen = np.take_along_axis(flat, values.argmax(axis=-1)[..., None], axis=-1)[..., 0]
    out = gather_chosen(input.reshape(*lead, -1), axis=2, index=chosen).reshape((*lead, *wanted))
    indices = Tensor(chosen.reshape((*lead, *wanted)), None)
    if single:
        out, indices = out.squeeze(0), indices.squeeze(0)
    return (out, indices) if return_indices else out


def fractional_max_pool2d(input, kernel_size, output_size=None, output_ratio=None, return_indices=False, _random_samples=None):
    """max of windows whose steps are drawn so that output_size of them, or output_ratio of each size, cover the image,
    shapes (N, C, H, W) → (N, C, H′, W′)  (Graham 2015)

    `_random_samples` (N, C, 2), numbers in [0, 1), replaces the draw. With return_indices the flat positions of the maxima come second.

    >>> import tinygrad_edu as tg
    >>> tg.nn.functional.fractional_max_pool2d(tg.arange(9.0).reshape(1, 1, 3, 3), 2, 2)
    tensor([[[[4., 5.],
              [7., 8.]]]])
    """
    return fractional_maximum("fractional_max_pool2d", 2, input, kernel_size, output_size, output_ratio, return_indices, _random_samples)


def fractional_max_pool3d(input, kernel_size, output_size=None, output_ratio=None, return_indices=False, _random_samples=None):
    """max of windows whose steps are drawn so that output_size of them, or output_ratio of each size, cover the volume,
    shapes (N, C, D, H, W) → (N, C, D′, H′, W′); as fractional_max_pool2d

    >>> import tinygrad_edu as tg
    >>> tg.nn.functional.fractional_max_pool3d(tg.ones(1, 1, 5, 5, 5), 2, output_ratio=0.5).shape
    Size([1, 1, 2, 2, 2])
    """
    return fractional_maximum("fractional_max_pool3d", 3, input, kernel_size, output_size, output_ratio, return_indices, _random_samples)


def fractional_max_pool2d_with_indices(input, kernel_size, output_size=None, output_ratio=None, return_indices=False, _random_samples=None):
    """fractional_max_pool2d, and the flat position of each maximum in its channel."""
    return fractional_maximum("fractional_max_pool2d", 2, input, kernel_size, output_size, output_ratio, True, _random_samples)


def fractional_max_pool3d_with_indices(input, kernel_size, output_size=None, output_ratio=None, return_indices=False, _random_samples=None):
    """fractional_max_pool3d, and the flat position of each maximum in its channel."""
    return fractional_maximum("fractional_max_pool3d", 3, input, kernel_size, output_size, output_ratio, True, _random_samples)


def unpool(name, n, input, indices, kernel_size, stride, padding, output_size):
    """max_unpool1d, 2d and 3d."""
    input, single = batched(name, input, n)
    kernel, stride, padding, _ = window(name, n, kernel_size, stride, padding)
    if tuple(indices.shape) != tuple(input.shape)[single:]:
        raise ShapeError(
            f"{name}: indices have shape {list(indices.shape)} and the input {list(input.shape)[single:]}; they must be the same"
        )
    if output_size is None:
        sizes = tuple((m - 1) * s - 2 * p + k for m, s, p, k in zip(input.array.shape[2:], stride, padding, kernel))
    else:
        sizes = tuple(int(m) for m in output_size)[-n:]
    lead = input.array.shape[:2]
    index = indices.array.reshape((*lead, -1))
    if index.size and (index.min() < 0 or index.max() >= prod(sizes)):
        raise IndexError(
            f"{name}: an index is {index.max()}, and the result has {list(sizes)} elements; "
            "pass the output_size of the pool's input"
        )
    grid = np.ogrid[tuple(slice(m) for m in lead)]
    places = (grid[0][..., None], grid[1][..., None], index)
    out = setitem(Tensor(np.zeros((*lead, prod(sizes)), input.dtype), None), input.reshape(*lead, -1), index=places).reshape(
        (*lead, *sizes)
    )
    return out.squeeze(0) if single else out


def max_unpool1d(input, indices, kernel_size, stride=None, padding=0, output_size=None):
    """Zeros with the elements of input at the indices that max_pool1d returned

    >>> import tinygrad_edu as tg
    >>> out, where = tg.nn.functional.max_pool1d(tg.tensor([[[1.0, 3.0, 2.0, 0.0]]]), 2, return_indices=True)
    >>> tg.nn.functional.max_unpool1d(out, where, 2)
    tensor([[[0., 3., 2., 0.]]])
    """
    return unpool("max_unpool1d", 1, input, indices, kernel_size, stride, padding, output_size)


def max_unpool2d(input, indices, kernel_size, stride=None, padding=0, output_size=None):
    """Zeros with the elements of input at the indices that max_pool2d returned

    >>> import tinygrad_edu as tg
    >>> out, where = tg.nn.functional.max_pool2d(tg.arange(4.0).reshape(1, 1, 2, 2), 2, return_indices=True)
    >>> tg.nn.functional.max_unpool2d(out, where, 2)
    tensor([[[[0., 0.],
              [0., 3.]]]])
    """
    return unpool("max_unpool2d", 2, input, indices, kernel_size, stride, padding, output_size)


def max_unpool3d(input, indices, kernel_size, stride=None, padding=0, output_size=None):
    """Zeros with the elements of input at the indices that max_pool3d returned

    >>> import tinygrad_edu as tg
    >>> out, where = tg.nn.functional.max_pool3d(tg.arange(8.0).reshape(1, 1, 2, 2, 2), 2, return_indices=True)
    >>> tg.nn.functional.max_unpool3d(out, where, 2).sum()
    tensor(7.)
    """
    return unpool("max_unpool3d", 3, input, indices, kernel_size, stride, padding, output_size)


__all__ = [
    "adaptive_avg_pool1d",
    "adaptive_avg_pool2d",
    "adaptive_avg_pool3d",
    "adaptive_max_pool1d",
    "adaptive_max_pool1d_with_indices",
    "adaptive_max_pool2d",
    "adaptive_max_pool2d_with_indices",
    "adaptive_max_pool3d",
    "adaptive_max_pool3d_with_indices",
    "avg_pool1d",
    "avg_pool2d",
    "avg_pool3d",
    "fractional_max_pool2d",
    "fractional_max_pool2d_with_indices",
    "fractional_max_pool3d",
    "fractional_max_pool3d_with_indices",
    "lp_pool1d",
    "lp_pool2d",
    "lp_pool3d",
    "max_pool1d",
    "max_pool1d_with_indices",
    "max_pool2d",
    "max_pool2d_with_indices",
    "max_pool3d",
    "max_pool3d_with_indices",
    "max_unpool1d",
    "max_unpool2d",
    "max_unpool3d",
]
