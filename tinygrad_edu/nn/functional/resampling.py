"""Images made larger or smaller: each axis is resampled by a few weighted neighbours."""

import math
from itertools import product

import numpy as np

from ...api.create import linspace
from ...autograd.tensor import Tensor
from ...ops import windows as ops
from ...ops.indexing import where
from .pooling import adaptive_average

AXES = {
    "nearest": (1, 2, 3),
    "nearest-exact": (1, 2, 3),
    "linear": (1,),
    "bilinear": (2,),
    "trilinear": (3,),
    "bicubic": (2,),
    "area": (1, 2, 3),
}


def interpolate(
    input, size=None, scale_factor=None, mode="nearest", align_corners=None, recompute_scale_factor=None, antialias=False
):
    """The input (N, C, *S) with its spatial axes resampled to `size`, or to S · scale_factor

    mode: "nearest", "nearest-exact", "linear" (3-d input), "bilinear" and "bicubic" (4-d), "trilinear" (5-d), "area".
    With align_corners the first and last elements stay in place; otherwise elements are little squares that are scaled.

    >>> import tinygrad_edu as tg
    >>> tg.nn.functional.interpolate(tg.tensor([[[0.0, 2.0]]]), size=4, mode="linear")
    tensor([[[0.0000, 0.5000, 1.5000, 2.0000]]])
    """
    n = input.array.ndim - 2
    if mode not in AXES:
        raise NotImplementedError(f"interpolate: mode must be one of {', '.join(AXES)}, not {mode!r}")
    if n not in AXES[mode]:
        raise NotImplementedError(
            f"interpolate: mode={mode!r} wants an input of {' or '.join(str(a + 2) for a in AXES[mode])} dimensions "
            "(N, C, *), got "
            f"shape {list(input.shape)}"
        )
    if align_corners is not None and mode in ("nearest", "nearest-exact", "area"):
        raise ValueError(
            f"interpolate: align_corners has a meaning for linear, bilinear, bicubic and trilinear, "
            f"not for {mode!r}; leave it out"
        )
    if antialias and mode not in ("bilinear", "bicubic"):
        raise ValueError("interpolate: antialias has a meaning for bilinear and bicubic of images (N, C, H, W)")
    if (size is None) == (scale_factor is None):
        raise ValueError("interpolate: give either size or scale_factor")
    sizes = tuple(input.array.shape[2:])
    scales = [None] * n
    if size is not None:
        if recompute_scale_factor:
            raise ValueError("interpolate: recompute_scale_factor has a meaning for scale_factor only, and size was given")
        wanted = spatial("size", size, n, int)
    else:
        factors = spatial("scale_factor", scale_factor, n, float)
        wanted = tuple(math.floor(m * f) for m, f in zip(sizes, factors))
        scales = scales if recompute_scale_factor else factors
    if any(w < 1 for w in wanted) or any(m < 1 for m in sizes):
        raise RuntimeError(
            f"interpolate: sizes must be positive: the input has {list(sizes)}, the result would have {list(wanted)}"
        )
    if mode == "area":
        return adaptive_average("interpolate", n, input, wanted)
    out = input
    if mode == "nearest" and n == 2 and sum(wanted) <= 128:  # PyTorch copies small images to one or two times their size whatever the factor
        scales = [None if w in (m, 2 * m) else f for m, w, f in zip(sizes, wanted, scales)]
    for axis, (m, w, f) in enumerate(zip(sizes, wanted, scales)):
        if w == m and (mode.endswith("linear") or antialias):
            continue  # as in PyTorch, although a factor of 1.05 may not change the size either
        places, shares = (smooth_neighbours if antialias else neighbours)(mode, m, w, f, bool(align_corners))
        if shares is not None or w != m or not (places[:, 0] == np.arange(m)).all():
            out = ops.resample(out, axis=axis + 2, places=places, shares=shares)
    return out.clone() if out is input else out


def spatial(argument, value, n, kind):
    """One number, or one per spatial axis."""
    values = tuple(value) if isinstance(value, (tuple, list)) else (value,) * n
    if len(values) != n:
        raise ValueError(f"interpolate: {argument}={tuple(values)} has {len(values)} numbers, and the input has {n} spatial axes")
    return tuple(kind(v) for v in values)


def neighbours(mode, size, wanted, factor, align_corners):
    """For each element of the result, which elements of the axis it is made of, and with which shares (None: copied)."""
    step = 1 / factor if factor is not None else size / wanted
    i = np.arange(wanted)
    if mode == "nearest":
        return np.minimum(np.floor(i * np.float32(step) if factor is None else i * step).astype(int), size - 1)[:, None], None
    if mode == "nearest-exact":
        return np.minimum(np.floor((i + 0.5) * step).astype(int), size - 1)[:, None], None
    if align_corners:
        at = i * ((size - 1) / (wanted - 1) if wanted > 1 else 0.0)
    else:
        at = (i + 0.5) * step - 0.5
    if mode != "bicubic":
        at = np.maximum(at, 0)
        low = np.minimum(np.floor(at).astype(int), size - 1)
        share = at - low
        return np.stack([low, np.minimum(low + 1, size - 1)], 1), np.stack([1 - share, share], 1)
    low = np.floor(at).astype(int)
    t = at - low
    shares = np.stack([cubic_far(t + 1), cubic_near(t), cubic_near(1 - t), cubic_far(2 - t)], 1)
    return np.clip(low[:, None] + np.arange(-1, 3), 0, size - 1), shares


def smooth_neighbours(mode, size, wanted, factor, align_corners):
    """As `neighbours`, with a kernel that is wide enough to see every element where the image is made smaller."""
    step = 1 / factor if factor is not None else size / wanted
    if align_corners:
        step = (size - 1) / (wanted - 1) if wanted > 1 else 0.0
    wide = max(step, 1.0)
    support = wide * (1 if mode == "bilinear" else 2)
    centre = step * (np.arange(wanted) + 0.5)
    first = np.maximum((centre - support + 0.5).astype(int), 0)
    count = np.minimum((centre + support + 0.5).astype(int), size) - first
    k = np.arange(count.max())
    t = np.abs((k + first[:, None] - centre[:, None] + 0.5) / wide)
    if mode == "bilinear":
        shares = np.maximum(1 - t, 0)
    else:
        shares = np.where(t < 1, cubic_near(t, -0.5), np.where(t < 2, cubic_far(t, -0.5), 0))
    shares = np.where(k < count[:, None], shares, 0)
    return np.minimum(first[:, None] + k, size - 1), shares / shares.sum(1, keepdims=True)


def cubic_near(t, a=-0.75):
    """Keys' kernel at distances up to 1."""
    return ((a + 2) * t - (a + 3)) * t * t + 1


def cubic_far(t, a=-0.75):
    """Keys' kernel at distances from 1 to 2."""
    return ((a * t - 5 * a) * t + 8 * a) * t - 4 * a


def upsample(input, size=None, scale_factor=None, mode="nearest", align_corners=None):
    """`interpolate`, under its former name."""
    return interpolate(input, size, scale_factor, mode, align_corners)


def upsample_nearest(input, size=None, scale_factor=None):
    """`interpolate` by the nearest element, under its former name."""
    return interpolate(input, size, scale_factor)


def upsample_bilinear(input, size=None, scale_factor=None):
    """`interpolate` between four neighbours with aligned corners, under its former name."""
    return interpolate(input, size, scale_factor, "bilinear", True)


# --- sampling at any place ---------------------------------------------------------------------------------------------


def affine_grid(theta, size, align_corners=None):
    """The places (N, *S, n) that an n × (n + 1) matrix per sample maps the result's places to, for `grid_sample`

    n is 2 for size (N, C, H, W) and 3 for (N, C, D, H, W).

    >>> import tinygrad_edu as tg
    >>> tg.nn.functional.affine_grid(tg.tensor([[[1.0, 0, 0], [0, 1, 0]]]), (1, 1, 1, 2), align_corners=True)
    tensor([[[[-1.,  0.],
              [ 1.,  0.]]]])
    """
    n, lengths = len(size) - 2, tuple(int(m) for m in size[2:])
    if n not in (2, 3) or tuple(theta.shape) != (size[0], n, n + 1):
        raise NotImplementedError(
            "affine_grid: theta must be (N, 2, 3) and size (N, C, H, W), or (N, 3, 4) and (N, C, D, H, W); "
            f"got {list(theta.shape)} and {list(size)}"
        )
    axes = np.meshgrid(*(centres(m, align_corners) for m in lengths), indexing="ij")
    base = np.stack([*axes[::-1], np.ones(lengths)], -1)
    places = Tensor(base.reshape(-1, n + 1).astype(theta.dtype), None) @ theta.transpose(1, 2)
    return places.reshape(size[0], *lengths, n)


def centres(n, align_corners):
    """The places of n elements on an axis from −1 to 1."""
    if n == 1:
        return np.zeros(1)
    places = linspace(-1, 1, n, dtype=np.float64).array  # in PyTorch's order, for a grid often lies exactly on the elements
    return places if align_corners else places * (n - 1) / n


def folded(at, size, padding_mode, align_corners):
    """Coordinates brought back to the elements 0 … size − 1: cut off at the border, or reflected there."""
    if padding_mode == "reflection":
        low, high = (0, 2 * (size - 1)) if align_corners else (-1, 2 * size - 1)  # twice the turning points
        if low == high:
            return at * 0
        span, values = (high - low) / 2, at.array - low / 2
        flips, turned = np.floor(np.abs(values) / span), np.where(values < 0, -1, 1)
        slope = turned * np.where(flips % 2 == 0, 1, -1)
        offset = low / 2 + np.where(flips % 2 == 0, -flips, flips + 1) * span
        at = (at - low / 2) * Tensor(slope.astype(at.dtype), None) + Tensor(offset.astype(at.dtype), None)
    inside = (at.array > 0) & (at.array < size - 1)  # at the edge the gradient is 0
    return where(inside, at, Tensor(np.clip(at.array, 0, size - 1), None))


def grid_sample(input, grid, mode="bilinear", padding_mode="zeros", align_corners=None):
    """input (N, C, *S) at the places grid (N, *L, n), each (x, y) or (x, y, z) from −1 to 1: (N, C, *L)

    mode: "bilinear" (of all neighbours in a volume too), "nearest", or "bicubic" for images; beyond the edges padding_mode gives
    "zeros", the "border", or the image's "reflection".

    >>> import tinygrad_edu as tg
    >>> tg.nn.functional.grid_sample(tg.tensor([[[[0.0, 2.0]]]]), tg.zeros(1, 1, 1, 2), align_corners=True)
    tensor([[[[1.]]]])
    """
    n = input.ndim - 2
    if n not in (2, 3) or grid.ndim != n + 2 or grid.shape[0] != input.shape[0] or grid.shape[-1] != n:
        raise RuntimeError(
            f"grid_sample: input must be (N, C, H, W) and grid (N, H', W', 2), or (N, C, D, H, W) and (N, D', H', W', 3); "
            f"got {list(input.shape)} and {list(grid.shape)}"
        )
    if mode not in TAPS or mode == "bicubic" and n == 3:
        raise ValueError(f'grid_sample: mode must be "bilinear", "nearest" or, for images, "bicubic", got {mode!r}')
    if padding_mode not in ("zeros", "border", "reflection"):
        raise ValueError(f'grid_sample: padding_mode must be "zeros", "border" or "reflection", got {padding_mode!r}')
    taps = []  # for each axis of S, the last one first: a list of (places, shares)
    for k, size in enumerate(reversed(input.shape[2:])):
        at = scaled(grid[..., k] + 1, size - 1, 0.0) if align_corners else scaled(grid[..., k] + 1, size, -0.5)
        if padding_mode != "zeros" and mode != "bicubic":
            at = folded(at, size, padding_mode, align_corners)
        axis = TAPS[mode](at)
        if padding_mode != "zeros" and mode == "bicubic":
            axis = [(folded(Tensor(place, None), size, padding_mode, align_corners).array, share) for place, share in axis]
        taps.append([seen(place, share, size) for place, share in axis])
    samples, out = np.arange(input.shape[0]).reshape(-1, *(1,) * n), None
    channels_last = input.movedim(1, -1)
    for corner in product(*taps):
        value = channels_last[(samples, *(place for place, _ in corner[::-1]))]
        for _, share in corner:
            value = value if share is None else value * share.unsqueeze(-1)
        out = value if out is None else out + value
    return out.movedim(-1, 1)


def scaled(at, size, offset):
    """at · size / 2 + offset, rounded once as PyTorch's machine instruction does: the identity's grid hits elements exactly"""
    wide = np.float64 if at.dtype.itemsize < 8 else np.longdouble
    exact = (at.array.astype(wide) * wide(size / 2) + wide(offset)).astype(at.dtype)
    rounded = at * (size / 2) + offset
    return rounded + Tensor(exact - rounded.array, None)


def seen(place, share, size):
    """A tap whose places exist: outside of the image its share is 0."""
    inside = (place >= 0) & (place < size)
    if not inside.all():
        real = Tensor(inside.astype(place.dtype), None)
        share = real if share is None else share * real
    return np.clip(np.nan_to_num(place), 0, size - 1).astype(int), share


def cubic_taps(at):
    """Four neighbours with the shares of Keys' kernel."""
    low = np.floor(at.array)
    t = at - Tensor(low, None)
    shares = cubic_far(t + 1), cubic_near(t), cubic_near(1 - t), cubic_far(2 - t)
    return [(low + k - 1, share) for k, share in enumerate(shares)]


def linear_taps(at):
    """Two neighbours, with shares that fall with the distance."""
    low = np.floor(at.array)
    t = at - Tensor(low, None)
    return [(low, 1 - t), (low + 1, t)]


def nearest_tap(at):
    """The nearest element, whatever the place: the gradient for the place is 0."""
    return [(np.rint(at.array), where(np.zeros(at.shape, bool), at, 1.0) if at.requires_grad else None)]


TAPS = dict(nearest=nearest_tap, bilinear=linear_taps, bicubic=cubic_taps)


__all__ = ["affine_grid", "grid_sample", "interpolate", "upsample", "upsample_bilinear", "upsample_nearest"]
