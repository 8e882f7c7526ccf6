"""Images made larger or smaller: each axis is resampled by a few weighted neighbours."""

import math

import numpy as np

from ...autograd.tensor import Tensor
from ...ops import windows as ops
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
    if antialias:
        raise NotImplementedError("interpolate(antialias=True) is not supported; smooth the input first, as by avg_pool2d")
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
    for axis, (m, w, f) in enumerate(zip(sizes, wanted, scales)):
        places, shares = neighbours(mode, m, w, f, bool(align_corners))
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
    """The places (N, H, W, 2) that a 2 × 3 matrix per sample maps the result's places to, for `grid_sample`

    >>> import tinygrad_edu as tg
    >>> tg.nn.functional.affine_grid(tg.tensor([[[1.0, 0, 0], [0, 1, 0]]]), (1, 1, 1, 2), align_corners=True)
    tensor([[[[-1.,  0.],
              [ 1.,  0.]]]])
    """
    if len(size) != 4 or tuple(theta.shape) != (size[0], 2, 3):
        raise NotImplementedError(
            f"affine_grid: theta must be (N, 2, 3) and size (N, C, H, W); got {list(theta.shape)} and {list(size)}"
        )
    _, _, height, width = size
    xs, ys = (centres(n, align_corners) for n in (width, height))
    base = np.stack(
        [np.broadcast_to(xs, (height, width)), np.broadcast_to(ys[:, None], (height, width)), np.ones((height, width))], -1
    )
    places = Tensor(base.reshape(-1, 3).astype(theta.dtype)) @ theta.transpose(1, 2)
    return places.reshape(size[0], height, width, 2)


def centres(n, align_corners):
    """The places of n elements on an axis from −1 to 1."""
    if n == 1:
        return np.zeros(1)
    return np.linspace(-1, 1, n) * (1 if align_corners else (n - 1) / n)


def grid_sample(input, grid, mode="bilinear", padding_mode="zeros", align_corners=None):
    """input (N, C, H, W) at the places grid (N, H′, W′, 2), each (x, y) from −1 to 1: (N, C, H′, W′)

    mode: "bilinear" or "nearest"; beyond the edges padding_mode gives "zeros", or the "border".

    >>> import tinygrad_edu as tg
    >>> tg.nn.functional.grid_sample(tg.tensor([[[[0.0, 2.0]]]]), tg.zeros(1, 1, 1, 2), align_corners=True)
    tensor([[[[1.]]]])
    """
    if input.ndim != 4 or grid.ndim != 4 or grid.shape[0] != input.shape[0] or grid.shape[3] != 2:
        raise NotImplementedError(
            f"grid_sample: input must be (N, C, H, W) and grid (N, H', W', 2); got {list(input.shape)} and {list(grid.shape)}"
        )
    if mode not in ("bilinear", "nearest") or padding_mode not in ("zeros", "border"):
        raise NotImplementedError(
            f'grid_sample: mode must be "bilinear" or "nearest" and padding_mode "zeros" or "border"; '
            f"got {mode!r}, {padding_mode!r}"
        )
    n, _, height, width = input.shape
    axes = []
    for k, size in ((0, width), (1, height)):
        at = grid[..., k]
        at = (at + 1) * ((size - 1) / 2) if align_corners else (at + 1) * (size / 2) - 0.5
        axes.append(at.clamp(0, size - 1) if padding_mode == "border" else at)
    samples = np.arange(n).reshape(-1, 1, 1)
    lows = [np.rint(at.array) if mode == "nearest" else np.floor(at.array) for at in axes]
    channels_last, out = input.permute(0, 2, 3, 1), None
    for dx, dy in ((0, 0),) if mode == "nearest" else ((0, 0), (1, 0), (0, 1), (1, 1)):
        share, places, real = None, [], True
        for at, low, step, size in zip(axes, lows, (dx, dy), (width, height)):
            place = low + step
            if mode == "bilinear":
                part = 1 - (at - low) if not step else at - low
                share = part if share is None else share * part
            real = real & (place >= 0) & (place < size)
            places.append(np.clip(np.nan_to_num(place), 0, size - 1).astype(int))
        value = channels_last[samples, places[1], places[0]] * real[..., None].astype(input.dtype)
        value = value if share is None else value * share.unsqueeze(-1)
        out = value if out is None else out + value
    return out.permute(0, 3, 1, 2)


__all__ = ["affine_grid", "grid_sample", "interpolate", "upsample", "upsample_bilinear", "upsample_nearest"]
