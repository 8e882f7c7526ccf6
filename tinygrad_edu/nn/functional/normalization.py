"""Normalisation as functions."""

from math import prod

import numpy as np

from ...autograd import memory
from ...autograd.operands import ShapeError
from ...autograd.tensor import Tensor, array_of
from ...ops.normalization import moments, normalize, rms_normalize
from ...ops.windows import avg_pool


def per_channel(values, ndim):
    """Numbers for each channel, ready to broadcast against (N, C, *)."""
    return None if values is None else values.reshape((1, -1) + (1,) * (ndim - 2))


def check_affine(name, input, **given):
    """Refuse weights, biases and statistics that do not have one number per channel."""
    if not isinstance(input, Tensor) or input.array.ndim < 2:
        given_shape = list(input.shape) if isinstance(input, Tensor) else type(input).__name__
        raise ShapeError(f"{name}: the input must be (N, C, *), and it is {given_shape}")
    channels = input.array.shape[1]
    for argument, values in given.items():
        if values is not None and values.array.shape != (channels,):
            raise RuntimeError(
                f"{name}: {argument} has shape {list(values.shape)}; the input, {list(input.shape)}, "
                f"has {channels} channels, "
                f"so it must be [{channels}]"
            )


def batch_norm(input, running_mean, running_var, weight=None, bias=None, training=False, momentum=0.1, eps=1e-05):
    """(input − mean) / √(var + eps) · weight + bias for each channel of (N, C, *)

    In training mean and variance are those of the batch, and running_mean and running_var move towards them, in place, by
    `momentum` (the variance with Bessel's correction, n − 1); otherwise they are running_mean and running_var.

    >>> import tinygrad_edu as tg
    >>> tg.nn.functional.batch_norm(tg.tensor([[1.0], [3.0]]), None, None, training=True, eps=0.0)
    tensor([[-1.],
            [ 1.]])
    """
    check_affine("batch_norm", input, running_mean=running_mean, running_var=running_var, weight=weight, bias=bias)
    ndim = input.array.ndim
    if not training:
        if running_mean is None or running_var is None:
            raise RuntimeError(
                "batch_norm: running_mean and running_var are needed where training=False; "
                "pass training=True to use the batch's own"
            )
        scale = (running_var + eps).rsqrt()
        if weight is not None:
            scale = scale * weight
        out = (input - per_channel(running_mean, ndim)) * per_channel(scale, ndim)
        return out if bias is None else out + per_channel(bias, ndim)
    axes = (0, *range(2, ndim))
    n = input.array.size // max(1, input.array.shape[1])
    if n == 1:
        raise ShapeError(
            f"batch_norm: one value per channel has no variance: the input is {list(input.shape)}; use a larger batch, or eval()"
        )
    if n == 0:  # an empty batch tells nothing about the running statistics
        scaled = input if weight is None else input * per_channel(weight, ndim)
        return scaled if bias is None else scaled + per_channel(bias, ndim)
    mean, variance = moments(input.array, axes)
    update(running_mean, mean, momentum)
    update(running_var, variance * (n / (n - 1)), momentum)
    return normalize(
        input,
        per_channel(weight, ndim),
        per_channel(bias, ndim),
        axes=axes,
        eps=eps,
        mean=mean,
        scale=1 / np.sqrt(variance + eps),
    )


def update(running, new, momentum):
    """Move a running statistic towards a new one, in place."""
    if running is not None:
        array = memory.as_memory(running)
        memory.writable(running, "batch_norm")
        np.multiply(array, 1 - momentum, array)
        np.add(array, (momentum * new).reshape(-1).astype(array.dtype, copy=False), array)
        memory.note_write(array, "batch_norm")


def layer_norm(input, normalized_shape, weight=None, bias=None, eps=1e-05):
    """(input − mean) / √(var + eps) · weight + bias, mean and variance over the last dimensions, of normalized_shape

    >>> import tinygrad_edu as tg
    >>> tg.nn.functional.layer_norm(tg.tensor([[1.0, 3.0]]), (2,), eps=0.0)
    tensor([[-1.,  1.]])
    """
    shape = checked_shape("layer_norm", input, normalized_shape, weight=weight, bias=bias)
    return normalized(input, weight, bias, tuple(range(input.array.ndim - len(shape), input.array.ndim)), eps)


def normalized(input, weight, bias, axes, eps):
    """`normalize` with the moments given, so that the derivative need not compute them again."""
    mean, variance = moments(input.array, axes)
    return normalize(input, weight, bias, axes=axes, eps=eps, mean=mean, scale=1 / np.sqrt(variance + eps))


def checked_shape(name, input, normalized_shape, **given):
    """normalized_shape as a tuple, if it is how the input's shape ends."""
    shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
    if not shape or input.array.shape[-len(shape) :] != shape:
        raise RuntimeError(f"{name}: the input has shape {list(input.shape)}; it must end with normalized_shape={list(shape)}")
    for argument, values in given.items():
        if values is not None and values.array.shape != shape:
            raise RuntimeError(f"{name}: {argument} has shape {list(values.shape)}; it must be normalized_shape={list(shape)}")
    return shape


def rms_norm(input, normalized_shape, weight=None, eps=None):
    """input / √(mean(input²) + eps) · weight, the mean over the last dimensions; eps is the machine's epsilon unless given

    >>> import tinygrad_edu as tg
    >>> tg.nn.functional.rms_norm(tg.tensor([3.0, 4.0]), (2,))
    tensor([0.8485, 1.1314])
    """
    shape = checked_shape("rms_norm", input, normalized_shape, weight=weight)
    eps = float(np.finfo(input.dtype).eps) if eps is None else eps
    return rms_normalize(input, weight, axes=tuple(range(-len(shape), 0)), eps=eps)


def group_norm(input, num_groups, weight=None, bias=None, eps=1e-05):
    """(input − mean) / √(var + eps) · weight + bias, mean and variance over groups of channels of each sample (N, C, *)

    >>> import tinygrad_edu as tg
    >>> tg.nn.functional.group_norm(tg.tensor([[1.0, 3.0, 5.0, 9.0]]), 2, eps=0.0)
    tensor([[-1.,  1., -1.,  1.]])
    """
    check_affine("group_norm", input, weight=weight, bias=bias)
    n, channels = input.array.shape[:2]
    if num_groups < 1 or channels % num_groups:
        raise RuntimeError(
            f"group_norm: num_groups={num_groups} does not divide the {channels} channels of the input {list(input.shape)}"
        )
    if input.array.size == num_groups:
        raise ShapeError(f"group_norm: one value per group has no variance: the input is {list(input.shape)}, in {num_groups} groups")
    out = normalized(input.reshape(n, num_groups, prod(input.array.shape[1:]) // num_groups), None, None, (2,), eps).reshape(input.array.shape)
    if weight is not None:
        out = out * per_channel(weight, out.ndim)
    return out if bias is None else out + per_channel(bias, out.ndim)


def instance_norm(
    input, running_mean=None, running_var=None, weight=None, bias=None, use_input_stats=True, momentum=0.1, eps=1e-05
):
    """(input − mean) / √(var + eps) · weight + bias, mean and variance over each channel of each sample (N, C, *)

    >>> import tinygrad_edu as tg
    >>> tg.nn.functional.instance_norm(tg.tensor([[[1.0, 3.0]]]), eps=0.0)
    tensor([[[-1.,  1.]]])
    """
    check_affine("instance_norm", input, running_mean=running_mean, running_var=running_var, weight=weight, bias=bias)
    ndim = input.array.ndim
    if not use_input_stats:
        return batch_norm(input, running_mean, running_var, weight, bias, False, momentum, eps)
    axes = tuple(range(2, ndim))
    n = int(np.prod(input.array.shape[2:]))
    if n <= 1:
        raise ShapeError(
            f"instance_norm: one value per channel has no variance: the input is {list(input.shape)}; use a larger image"
        )
    mean, variance = moments(input.array, axes)
    update(running_mean, mean.mean(axis=0), momentum)
    update(running_var, variance.mean(axis=0) * (n / (n - 1)), momentum)
    return normalize(
        input,
        per_channel(weight, ndim),
        per_channel(bias, ndim),
        axes=axes,
        eps=eps,
        mean=mean,
        scale=1 / np.sqrt(variance + eps),
    )


def local_response_norm(input, size, alpha=0.0001, beta=0.75, k=1.0):
    """input / (k + alpha · mean of input² over `size` neighbouring channels)^beta (Krizhevsky et al. 2012)

    >>> import tinygrad_edu as tg
    >>> tg.nn.functional.local_response_norm(tg.ones(1, 3, 1), 3, alpha=3.0, beta=1.0).flatten()
    tensor([0.3333, 0.2500, 0.3333])
    """
    if array_of(input).ndim < 3:
        raise ShapeError(
            f"local_response_norm: the input must be (N, C, L) or have more dimensions, and it is {list(input.shape)}"
        )
    n, channels = input.array.shape[:2]
    squares = (input * input).reshape(n, 1, channels, prod(input.array.shape[2:]))
    border = ((size // 2, (size - 1) // 2), (0, 0))
    mean = avg_pool(squares, kernel=(size, 1), stride=(1, 1), padding=border, divisor=size)
    return input / (mean.reshape(input.array.shape) * alpha + k) ** beta


__all__ = ["batch_norm", "group_norm", "instance_norm", "layer_norm", "local_response_norm", "rms_norm"]
