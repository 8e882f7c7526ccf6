"""Where examples come from: datasets by index, datasets by iteration, and ways to join and to split them."""

import math
import warnings
from bisect import bisect_right
from itertools import accumulate
from typing import Generic, TypeVar

from ...api import functions
from ...autograd.tensor import Tensor

T = TypeVar("T", covariant=True)


class Dataset(Generic[T]):
    """Examples by number: a subclass gives `__getitem__(index)` and `__len__()`.

    >>> from tinygrad_edu.utils.data import Dataset
    >>> class Squares(Dataset):
    ...     def __len__(self): return 4
    ...     def __getitem__(self, i): return i * i
    >>> Squares()[3]
    9
    """

    def __getitem__(self, index):
        raise NotImplementedError(f"{type(self).__name__} has no __getitem__ method; give it one that returns the example of that number")

    def __add__(self, other):
        return ConcatDataset([self, other])


class IterableDataset(Dataset[T]):
    """Examples in an order of their own, such as a stream: a subclass gives `__iter__()`."""

    def __iter__(self):
        raise NotImplementedError(f"{type(self).__name__} has no __iter__ method; give it one that yields examples")

    def __add__(self, other):
        return ChainDataset([self, other])


def same_length(name, parts, kind=ValueError):
    """The one length of several datasets."""
    lengths = [len(p) for p in parts]
    if len(set(lengths)) > 1:
        raise kind(f"{name}: the parts must hold equally many examples, and they hold {lengths}")
    return lengths[0]


class TensorDataset(Dataset):
    """Rows of tensors: example i is the tuple of every tensor's row i.

    >>> import tinygrad_edu as tg
    >>> from tinygrad_edu.utils.data import TensorDataset
    >>> TensorDataset(tg.arange(3), tg.ones(3))[1]
    (tensor(1), tensor(1.))
    """

    def __init__(self, *tensors):
        for t in tensors:
            if not isinstance(t, Tensor):
                raise TypeError(f"TensorDataset: expected tensors, got {type(t).__name__}; use tensor(data) or from_numpy(array)")
        if not tensors:
            raise ValueError("TensorDataset: expected at least one tensor")
        same_length("TensorDataset", tensors, AssertionError)
        self.tensors = tensors

    def __getitem__(self, index):
        return tuple(t[index] for t in self.tensors)

    def __len__(self):
        return len(self.tensors[0])


class StackDataset(Dataset):
    """Several datasets side by side: examples are tuples, or dicts if the datasets were given by name."""

    def __init__(self, *args, **kwargs):
        if bool(args) == bool(kwargs):
            raise ValueError("StackDataset: give datasets by position for tuples or by name for dicts; not both, and at least one")
        self.datasets = args or kwargs
        self.length = same_length("StackDataset", args or kwargs.values())

    def __getitem__(self, index):
        if isinstance(self.datasets, dict):
            return {name: d[index] for name, d in self.datasets.items()}
        return tuple(d[index] for d in self.datasets)

    def __getitems__(self, indices):
        """Several examples at once, asking each part for its own several at once where it can."""
        if isinstance(self.datasets, dict):
            columns = [items_of(d, indices) for d in self.datasets.values()]
            return [dict(zip(self.datasets, row)) for row in zip(*columns)]
        return list(zip(*[items_of(d, indices) for d in self.datasets]))

    def __len__(self):
        return self.length


def items_of(dataset, indices):
    """Several examples, at once if the dataset has `__getitems__`."""
    several = getattr(dataset, "__getitems__", None)
    if not callable(several):
        return [dataset[i] for i in indices]
    items = several(indices)
    if len(items) != len(indices):
        raise ValueError(f"{type(dataset).__name__}.__getitems__: {len(indices)} indices went in and {len(items)} examples came out")
    return items


class ConcatDataset(Dataset):
    """Datasets one after the other."""

    def __init__(self, datasets):
        self.datasets = list(datasets)
        if not self.datasets:
            raise AssertionError("ConcatDataset: expected at least one dataset, got none")
        for d in self.datasets:
            if isinstance(d, IterableDataset):
                raise AssertionError(f"ConcatDataset: {type(d).__name__} has no examples by number; chain it with ChainDataset")
        self.cumulative_sizes = list(accumulate(len(d) for d in self.datasets))

    def __len__(self):
        return self.cumulative_sizes[-1]

    def __getitem__(self, index):
        if not -len(self) <= index < len(self):
            raise IndexError(f"ConcatDataset: there is no example {index} among {len(self)}")  # IndexError ends a for loop
        index %= len(self)
        part = bisect_right(self.cumulative_sizes, index)
        return self.datasets[part][index - (self.cumulative_sizes[part - 1] if part else 0)]


class ChainDataset(IterableDataset):
    """Iterable datasets one after the other."""

    def __init__(self, datasets):
        super().__init__()
        self.datasets = datasets

    def __iter__(self):
        for d in self.datasets:
            if not isinstance(d, IterableDataset):
                raise TypeError(f"ChainDataset: expected iterable datasets, got {type(d).__name__}; join it with ConcatDataset")
            yield from d

    def __len__(self):
        return sum(len(d) for d in self.datasets)


class Subset(Dataset):
    """Some examples of a dataset, by their numbers.

    >>> from tinygrad_edu.utils.data import Subset
    >>> list(Subset("abcdef", [0, 2, 4]))
    ['a', 'c', 'e']
    """

    def __init__(self, dataset, indices):
        self.dataset, self.indices = dataset, indices

    def __getitem__(self, index):
        if isinstance(index, list):
            return self.dataset[[self.indices[i] for i in index]]
        return self.dataset[self.indices[index]]

    def __getitems__(self, indices):
        """Several examples at once."""
        if type(self).__getitem__ is not Subset.__getitem__:  # a subclass has changed what an example is
            return [self[i] for i in indices]
        return items_of(self.dataset, [self.indices[i] for i in indices])

    def __len__(self):
        return len(self.indices)


def random_split(dataset, lengths, generator=None):
    """Split a dataset at random into parts of the given lengths, or of fractions that sum to 1.

    What fractions leave over goes to the first parts, one example each.

    >>> import tinygrad_edu as tg
    >>> from tinygrad_edu.utils.data import random_split
    >>> [len(part) for part in random_split(range(10), [0.7, 0.3], generator=tg.Generator().manual_seed(0))]
    [7, 3]
    """
    n = len(dataset)
    if math.isclose(sum(lengths), 1) and sum(lengths) <= 1:
        for fraction in lengths:
            if not 0 <= fraction <= 1:
                raise ValueError(f"random_split: fractions must be between 0 and 1, got {list(lengths)}")
        lengths = [math.floor(n * fraction) for fraction in lengths]
        for i in range(n - sum(lengths)):
            lengths[i % len(lengths)] += 1
        for i, length in enumerate(lengths):
            if length == 0:
                warnings.warn(f"random_split: part {i} is empty; {n} examples are too few for this fraction", stacklevel=2)
    if sum(lengths) != n:
        raise ValueError(f"random_split: the lengths {list(lengths)} sum to {sum(lengths)}, and the dataset has {n} examples; give "
                         "lengths that sum to that, or fractions that sum to 1")  # fmt: skip
    order = functions["randperm"](n, generator=generator).tolist()
    return [Subset(dataset, order[end - length : end]) for end, length in zip(accumulate(lengths), lengths)]
