"""Affine and bilinear maps, distances, and functions that only rearrange."""

import numpy as np

from ...api import shape as shapes
from ...api.spelling import check_dim, magnitudes
from ...autograd import modes
from ...autograd.tensor import Tensor, array_of
from ...ops.products import affine
from ...ops.reductions import vector_norm


def linear(input, weight, bias=None):
    """input @ weightᵀ + bias, shapes (…, in), (out, in), (out) → (…, out)

    >>> import tinygrad_edu as tg
    >>> tg.nn.functional.linear(tg.ones(1, 2), tg.ones(3, 2)).shape
    Size([1, 3])
    """
    return affine(input, weight, bias)


def bilinear(input1, input2, weight, bias=None):
    """Σᵢⱼ input1ᵢ · weightₖᵢⱼ · input2ⱼ + biasₖ, shapes (…, in1), (…, in2), (out, in1, in2), (out) → (…, out)"""
    a, b, w = tuple(input1.shape), tuple(input2.shape), tuple(weight.shape)
    if a[:-1] != b[:-1] or a[-1:] + b[-1:] != w[1:]:
        raise RuntimeError(f"bilinear: inputs of shapes {list(a)} and {list(b)} do not fit the weight {list(w)}; they must agree in "
                           "all dimensions but the last, and weight must be (out, in1, in2)")  # fmt: skip
    rows = input1.reshape((-1, a[-1])) @ weight.permute(1, 0, 2).reshape((a[-1], w[0] * w[2]))  # (n, out · in2)
    out = (rows.reshape((-1, w[0], w[2])) * input2.reshape((-1, 1, b[-1]))).sum(dim=-1).reshape((*a[:-1], w[0]))
    return out if bias is None else out + bias


def one_hot(tensor, num_classes=-1):
    """1 at each class index and 0 elsewhere, shape (…) → (…, num_classes), integers

    >>> import tinygrad_edu as tg
    >>> tg.nn.functional.one_hot(tg.tensor([2, 0]))
    tensor([[0, 0, 1],
            [1, 0, 0]])
    """
    index = array_of(tensor)
    if index.dtype != np.int64:
        raise RuntimeError(f"one_hot: the class indices must be int64, not {index.dtype}; use x.long()")
    if index.size == 0 and num_classes <= 0:
        raise RuntimeError("one_hot: an empty tensor does not tell how many classes there are; give num_classes")
    if index.size and index.min() < 0:
        raise RuntimeError(f"one_hot: class indices must not be negative, and one is {index.min()}")
    if num_classes == -1:
        num_classes = int(index.max()) + 1
    elif index.size and index.max() >= num_classes:
        raise RuntimeError(f"one_hot: class {index.max()} does not exist among num_classes={num_classes}")
    out = np.zeros((index.size, num_classes), np.int64)
    out[np.arange(index.size), index.reshape(-1)] = 1
    return Tensor(out.reshape((*index.shape, num_classes)), None)


def cosine_similarity(x1, x2, dim=1, eps=1e-8):
    """Σ x1 · x2 / (max(‖x1‖, eps) · max(‖x2‖, eps)) along dim

    >>> import tinygrad_edu as tg
    >>> tg.nn.functional.cosine_similarity(tg.tensor([[1.0, 0.0]]), tg.tensor([[1.0, 1.0]]))
    tensor([0.7071])
    """
    x1, x2 = shapes.broadcast_tensors(x1, x2) if x1.shape != x2.shape else (x1, x2)
    check_dim("cosine_similarity", x1, dim)
    return (unit(x1, dim, eps) * unit(x2, dim, eps)).sum(dim=dim)


def unit(x, dim, eps):
    """x / max(‖x‖, eps) along dim; the lower bound takes no part in the derivative."""
    size = vector_norm(x, axis=dim, order=2, keepdims=True)
    small = array_of(size) < eps
    return x / (size + Tensor(np.where(small, eps - array_of(size), 0).astype(size.dtype), None) if small.any() else size)


def pairwise_distance(x1, x2, p=2.0, eps=1e-6, keepdim=False):
    """‖x1 − x2 + eps‖ₚ along the last dimension"""
    return vector_norm(magnitudes(x1 - x2 + eps), axis=-1, order=p, keepdims=keepdim)


def pdist(input, p=2.0):
    """‖xᵢ − xⱼ‖ₚ for all pairs of rows i < j, shape (n, m) → (n (n − 1) / 2)"""
    if input.ndim != 2:
        raise RuntimeError(f"pdist: expected a matrix, one row for each point, got shape {list(input.shape)}")
    i, j = np.triu_indices(len(input), 1)
    return vector_norm(input[i] - input[j], axis=-1, order=p)


def pixel_shuffle(input, upscale_factor):
    """Channels become pixels: (…, c · r², h, w) → (…, c, h · r, w · r) for the factor r (Shi et al. 2016)"""
    r = upscale_factor
    if r < 1:
        raise RuntimeError(f"pixel_shuffle: upscale_factor must be at least 1, got {r}")
    if input.ndim < 3 or input.shape[-3] % (r * r):
        raise RuntimeError(f"pixel_shuffle: expected (…, c · {r}², h, w), got shape {list(input.shape)}")
    *lead, c, h, w = input.shape
    n = len(lead)
    x = input.reshape((*lead, c // (r * r), r, r, h, w))
    x = x.permute(*range(n), n, n + 3, n + 1, n + 4, n + 2)
    return x.reshape((*lead, c // (r * r), h * r, w * r))


def pixel_unshuffle(input, downscale_factor):
    """Pixels become channels: (…, c, h · r, w · r) → (…, c · r², h, w) for the factor r"""
    r = downscale_factor
    if r < 1:
        raise RuntimeError(f"pixel_unshuffle: downscale_factor must be at least 1, got {r}")
    if input.ndim < 3 or input.shape[-1] % r or input.shape[-2] % r:
        raise RuntimeError(f"pixel_unshuffle: expected (…, c, h · {r}, w · {r}), got shape {list(input.shape)}")
    *lead, c, h, w = input.shape
    n = len(lead)
    x = input.reshape((*lead, c, h // r, r, w // r, r))
    x = x.permute(*range(n), n, n + 2, n + 4, n + 1, n + 3)
    return x.reshape((*lead, c * r * r, h // r, w // r))


def channel_shuffle(input, groups):
    """Channel i of group j becomes channel j of group i: (n, g · c, …) → (n, c · g, …)"""
    if input.ndim < 3 or input.shape[1] % groups:
        raise RuntimeError(f"channel_shuffle: expected (n, {groups} · c, …) with at least 3 dimensions, got shape {list(input.shape)}")
    n, c, *rest = input.shape
    return input.reshape((n, groups, c // groups, *rest)).swapaxes(1, 2).reshape((n, c, *rest))


native_channel_shuffle = channel_shuffle


def renormalized(weight, rows, max_norm, norm_type):
    """Shrink, in place and outside of any graph, those of some rows whose norm is larger than max_norm."""
    with modes.no_grad():
        rows = np.unique(rows)
        values = array_of(weight)[rows]
        norms = vector_norm(Tensor(values, None), axis=-1, order=norm_type, keepdims=True).array
        large = norms[:, 0] > max_norm
        if large.any():
            weight[rows[large]] = Tensor((values[large] * (max_norm / (norms[large] + 1e-7))).astype(values.dtype, copy=False), None)


__all__ = ["bilinear", "channel_shuffle", "cosine_similarity", "linear", "native_channel_shuffle", "one_hot", "pairwise_distance", "pdist", "pixel_shuffle",
           "pixel_unshuffle"]  # fmt: skip
