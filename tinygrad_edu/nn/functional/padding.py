"""Borders around a tensor: constant, reflected, replicated or circular."""

from ...ops.shapes import concatenate, flip, pad_constant


def pad(input, pad, mode="constant", value=None):
    """input with a border of (before, after) elements for the last dimension, then for the one before it, and so on

    mode "constant" fills with value (0); "reflect" mirrors without the edge, "replicate" repeats the edge, "circular" goes on
    at the other end. The last three pad the last one, two or three dimensions of an input with one or two more.
    A negative width cuts off.

    >>> import tinygrad_edu as tg
    >>> tg.nn.functional.pad(tg.tensor([[1.0, 2.0, 3.0]]), (1, 2), mode="reflect")
    tensor([[2., 1., 2., 3., 2., 1.]])
    """
    pad = [int(n) for n in pad]
    if len(pad) % 2 or len(pad) > 2 * input.ndim:
        raise RuntimeError(f"pad: {pad} must hold two numbers for each padded dimension, from the last one on, and the input has "
                           f"{input.ndim} dimensions")  # fmt: skip
    shape = input.array.shape
    widths = dict(zip(range(len(shape) - 1, -1, -1), zip(pad[::2], pad[1::2])))
    for axis, (before, after) in widths.items():
        if shape[axis] + before + after < 0:
            raise RuntimeError(f"pad: ({before}, {after}) cuts more off dimension {axis} than its size {shape[axis]}")
    if mode == "constant":
        return pad_constant(input, widths=tuple([widths.get(a, (0, 0)) for a in range(len(shape))]), value=0 if value is None else value)
    if mode not in borders:
        raise NotImplementedError(f'pad: mode must be "constant", "reflect", "replicate" or "circular", not {mode!r}')
    if value:
        raise ValueError(f"pad: mode {mode!r} takes its values from the input, and value={value} was given; leave it out")
    if len(pad) not in (2, 4, 6) or input.ndim - len(pad) // 2 not in (1, 2):
        raise NotImplementedError(f"pad: mode {mode!r} pads the last one, two or three dimensions of an input that has one or two "
                                  f"more; got {len(pad)} widths for shape {list(input.shape)}")  # fmt: skip
    for axis, (before, after) in widths.items():
        input = bordered(input, axis, before, after, mode)
    return input


def reflected(part, n, before, after):
    """The mirrored pieces before and after, without the edges."""
    return part(1, before + 1, True), part(n - 1 - after, n - 1, True)


def continued(part, n, before, after):
    """The pieces of the other end."""
    return part(n - before, n, False), part(0, after, False)


def replicated(part, n, before, after):
    """The edges, as pieces of size 1 to be repeated."""
    return part(0, 1, False), part(n - 1, n, False)


borders = dict(reflect=reflected, circular=continued, replicate=replicated)


def bordered(x, axis, before, after, mode):
    """x with a border along one axis; negative widths cut off."""
    if mode == "circular" and min(before, after) < 0:  # what is cut off does not come back at the other end
        x = x[(slice(None),) * axis + (slice(max(-before, 0), x.shape[axis] - max(-after, 0)),)]
        before, after = max(before, 0), max(after, 0)
    n = x.shape[axis]
    limit = n - 1 if mode == "reflect" else n
    if mode != "replicate" and max(before, after) > limit:
        raise RuntimeError(f"pad: mode {mode!r} can add at most {limit} elements to dimension {axis} of size {n}, and "
                           f"({before}, {after}) was asked for")  # fmt: skip

    def part(start, stop, mirrored):
        piece = x[(slice(None),) * axis + (slice(start, stop),)]
        return flip(piece, axes=(axis,)) if mirrored else piece

    left, right = borders[mode](part, n, max(before, 0), max(after, 0))
    if mode == "replicate":
        left, right = (edge.expand(*x.shape[:axis], max(width, 0), *x.shape[axis + 1 :]) for edge, width in ((left, before), (right, after)))
    middle = part(max(-before, 0), n - max(-after, 0), False) if before < 0 or after < 0 else x
    pieces = [p for p, width in ((left, before), (middle, 1), (right, after)) if width > 0]
    return concatenate(*pieces, axis=axis) if len(pieces) > 1 else middle


__all__ = ["pad"]
