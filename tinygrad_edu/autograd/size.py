"""Size: what `x.shape` is, a tuple that counts."""

from math import prod


class Size(tuple):
    """A tensor's shape: a tuple that can also count its elements, as PyTorch's `torch.Size`."""

    __slots__ = ()

    def __getitem__(self, index):
        found = tuple.__getitem__(self, index)
        return Size(found) if index.__class__ is slice else found

    def __add__(self, other):
        return Size(tuple.__add__(self, tuple(other)))

    def __radd__(self, other):
        return Size(tuple(other) + tuple(self))

    def __mul__(self, count):
        return Size(tuple.__mul__(self, count))

    __rmul__ = __mul__

    def numel(self):
        """The number of elements: the product of the sizes."""
        return prod(self)

    def __repr__(self):
        return f"Size({list(self)})"
