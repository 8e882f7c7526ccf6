"""Sequences of different lengths: padded to one tensor, or packed step by step."""

from typing import NamedTuple

import numpy as np

from ...autograd.tensor import Tensor, array_of
from ...ops.indexing import scatter
from ...ops.shapes import pad_constant, stack


class Packed(NamedTuple):
    """The fields of a PackedSequence."""

    data: Tensor
    batch_sizes: Tensor
    sorted_indices: Tensor | None = None
    unsorted_indices: Tensor | None = None


class PackedSequence(Packed):
    """Sequences without padding: all first steps, then all second steps, and so on, the longest sequence first"""

    def to(self, *args, **kwargs):
        """The data in another dtype."""
        return self._replace(data=self.data.to(*args, **kwargs))

    def double(self):
        """The data as float64."""
        return self.to(np.float64)

    def float(self):
        """The data as float32."""
        return self.to(np.float32)

    def cpu(self):
        """The sequence itself: everything lives on the CPU."""
        return self

    is_cuda = False


def pad_sequence(sequences, batch_first=False, padding_value=0.0, padding_side="right"):
    """Sequences (lᵢ, …) as one tensor (max l, n, …), or (n, max l, …) with batch_first, filled up with padding_value

    >>> import tinygrad_edu as tg
    >>> tg.nn.utils.rnn.pad_sequence([tg.tensor([1.0, 2.0]), tg.tensor([3.0])], batch_first=True)
    tensor([[1., 2.],
            [3., 0.]])
    """
    if padding_side not in ("left", "right"):
        raise RuntimeError(f'pad_sequence: padding_side must be "left" or "right", not {padding_side!r}')
    if not hasattr(sequences, "__iter__"):
        raise RuntimeError(f"pad_sequence: expected a list of tensors, got {type(sequences).__name__}")
    sequences = list(sequences.unbind(0)) if isinstance(sequences, Tensor) else list(sequences)
    if not sequences or not all(isinstance(s, Tensor) for s in sequences):
        raise RuntimeError("pad_sequence: expected a list of tensors with at least one in it")
    length = max(len(s) for s in sequences)

    def padded(s):
        gap = length - len(s)
        return pad_constant(
            s, widths=((gap, 0) if padding_side == "left" else (0, gap),) + ((0, 0),) * (s.ndim - 1), value=padding_value
        )

    return stack(*(padded(s) for s in sequences), axis=0 if batch_first else 1)


def unpad_sequence(padded_sequences, lengths, batch_first=False):
    """The sequences of a padded tensor, each with its own length"""
    if not batch_first:
        padded_sequences = padded_sequences.swapaxes(0, 1)
    return [s[: int(n)] for s, n in zip(padded_sequences.unbind(0), array_of(lengths))]


def pack_padded_sequence(input, lengths, batch_first=False, enforce_sorted=True):
    """Pack a padded tensor (l, n, …), or (n, l, …) with batch_first, whose sequences have the given lengths

    With enforce_sorted the lengths must fall; otherwise the sequences are sorted, and unpacking restores their order.
    """
    lengths = np.asarray(array_of(lengths) if isinstance(lengths, Tensor) else [int(n) for n in lengths], np.int64)
    if not batch_first:
        input = input.swapaxes(0, 1)
    if len(lengths) != input.shape[0]:
        raise RuntimeError(f"pack_padded_sequence: {input.shape[0]} sequences need as many lengths, got {len(lengths)}")
    if len(lengths) == 0 or lengths.min() <= 0 or lengths.max() > input.shape[1]:
        raise RuntimeError(f"pack_padded_sequence: lengths must be between 1 and {input.shape[1]}, got {lengths.tolist()}")
    order = None
    if not enforce_sorted:
        order = np.argsort(-lengths, kind="stable")
        lengths = lengths[order]
    elif (np.diff(lengths) > 0).any():
        raise RuntimeError(f"pack_padded_sequence: the lengths {lengths.tolist()} do not fall; sort the sequences, or pass "
                           "enforce_sorted=False")  # fmt: skip
    sizes = (np.arange(lengths[0]).reshape((-1, 1)) < lengths).sum(axis=1)
    steps, rows = places(sizes)
    data = rows_of(input, rows if order is None else order[rows], steps)
    if order is None:
        return PackedSequence(data, Tensor(sizes, None))
    return PackedSequence(data, Tensor(sizes, None), Tensor(order, None), Tensor(np.argsort(order, kind="stable"), None))


def pad_packed_sequence(sequence, batch_first=False, padding_value=0.0, total_length=None):
    """The padded tensor (l, n, …), or (n, l, …) with batch_first, of a packed sequence, and the lengths"""
    sizes = array_of(sequence.batch_sizes)
    length = len(sizes) if total_length is None else total_length
    if length < len(sizes):
        raise ValueError(f"pad_packed_sequence: total_length={total_length} is shorter than the longest sequence, {len(sizes)}")
    steps, rows = places(sizes)
    lengths = (np.arange(sizes[0]).reshape((-1, 1)) < sizes).sum(axis=1)
    if sequence.unsorted_indices is not None:
        rows, lengths = array_of(sequence.sorted_indices)[rows], lengths[array_of(sequence.unsorted_indices)]
    index = (rows, steps) if batch_first else (steps, rows)
    shape = ((sizes[0], length) if batch_first else (length, sizes[0])) + tuple(sequence.data.shape[1:])
    out = scatter(sequence.data, index=index, shape=tuple(int(n) for n in shape))
    if padding_value:
        filler = np.full(shape, padding_value, sequence.data.dtype)
        filler[index] = 0
        out = out + Tensor(filler, None)
    return out, Tensor(lengths, None)


def rows_of(x, first, second):
    """x[first, second] for arrays of places in the first two dimensions."""
    return x[first, second]


def places(sizes):
    """The step, and the place among the sequences, of each element of packed data."""
    return np.repeat(np.arange(len(sizes)), sizes), np.concatenate([np.arange(n) for n in sizes])


def unpacked(packed):
    """The data of a PackedSequence as (l, n, …), sequences by falling length, padded with 0, and the lengths."""
    sizes = array_of(packed.batch_sizes)
    steps, rows = places(sizes)
    shape = (len(sizes), int(sizes[0]), *packed.data.shape[1:])
    return scatter(packed.data, index=(steps, rows), shape=shape), (np.arange(sizes[0]).reshape((-1, 1)) < sizes).sum(axis=1)


def pack_like(x, packed):
    """Data (l, n, …) in the order of a PackedSequence, packed as that is."""
    return packed._replace(data=rows_of(x, *places(array_of(packed.batch_sizes))))


def pack_sequence(sequences, enforce_sorted=True):
    """Pack sequences (lᵢ, …) of different lengths"""
    return pack_padded_sequence(pad_sequence(sequences), [len(s) for s in sequences], enforce_sorted=enforce_sorted)


def unpack_sequence(packed_sequences):
    """The sequences of a packed one"""
    return unpad_sequence(*pad_packed_sequence(packed_sequences))


__all__ = [
    "PackedSequence",
    "pack_padded_sequence",
    "pack_sequence",
    "pad_packed_sequence",
    "pad_sequence",
    "unpack_sequence",
    "unpad_sequence",
]
