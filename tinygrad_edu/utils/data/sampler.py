"""In which order examples are visited. For one seed, the order is the one that PyTorch visits them in."""

from itertools import islice
from typing import Generic, TypeVar

import numpy as np

from ... import distributed
from ...api import functions
from ...api.random import Generator
from ...autograd.tensor import Tensor, array_of

T = TypeVar("T", covariant=True)


def new_seed(generator=None):
    """A seed drawn from a generator (or the default one): 63 random bits."""
    return int(functions["empty"]((), dtype=np.int64).random_(generator=generator).item())


def check_count(name, what, value):
    """Refuse what is not a positive integer."""
    if not isinstance(value, int) or isinstance(value, bool) or value <= 0:
        raise ValueError(f"{name}: {what} must be a positive integer, got {value!r}")


class Sampler(Generic[T]):
    """An order to visit examples in: a subclass gives `__iter__`, which yields numbers, and usually `__len__`."""

    def __init__(self, data_source=None):
        pass

    def __iter__(self):
        raise NotImplementedError(f"{type(self).__name__} has no __iter__ method; give it one that yields the numbers of examples")


class SequentialSampler(Sampler):
    """0, 1, 2, …

    >>> from tinygrad_edu.utils.data import SequentialSampler
    >>> list(SequentialSampler("abc"))
    [0, 1, 2]
    """

    def __init__(self, data_source):
        self.data_source = data_source

    def __iter__(self):
        return iter(range(len(self.data_source)))

    def __len__(self):
        return len(self.data_source)


class RandomSampler(Sampler):
    """A random order, new each time; with `replacement`, independent draws. `num_samples` of them, by default one per example.

    >>> import tinygrad_edu as tg
    >>> from tinygrad_edu.utils.data import RandomSampler
    >>> sorted(RandomSampler(range(4), generator=tg.Generator().manual_seed(0)))
    [0, 1, 2, 3]
    """

    def __init__(self, data_source, replacement=False, num_samples=None, generator=None):
        if not isinstance(replacement, bool):
            raise TypeError(f"RandomSampler: replacement must be True or False, got {replacement!r}")
        self.data_source, self.replacement, self.count, self.generator = data_source, replacement, num_samples, generator
        check_count("RandomSampler", "the number of samples", self.num_samples)

    @property
    def num_samples(self):
        """How many numbers one pass yields."""
        return len(self.data_source) if self.count is None else self.count

    def __iter__(self):
        n, wanted = len(self.data_source), self.num_samples
        generator = Generator().manual_seed(new_seed()) if self.generator is None else self.generator
        if self.replacement:
            for drawn in range(0, wanted // 32 * 32 + 1, 32):  # in blocks of 32, and what remains
                size = min(32, wanted - drawn)
                yield from functions["randint"](0, n, (size,), generator=generator).tolist()
            return
        for _ in range(wanted // n):
            yield from functions["randperm"](n, generator=generator).tolist()
        yield from functions["randperm"](n, generator=generator).tolist()[: wanted % n]

    def __len__(self):
        return self.num_samples


class SubsetRandomSampler(Sampler):
    """The given numbers in random order."""

    def __init__(self, indices, generator=None):
        self.indices, self.generator = indices, generator

    def __iter__(self):
        for i in functions["randperm"](len(self.indices), generator=self.generator).tolist():
            yield self.indices[i]

    def __len__(self):
        return len(self.indices)


class WeightedRandomSampler(Sampler):
    """`num_samples` numbers, each drawn with a probability proportional to its weight; weights need not sum to 1."""

    def __init__(self, weights, num_samples, replacement=True, generator=None):
        check_count("WeightedRandomSampler", "num_samples", num_samples)
        if not isinstance(replacement, bool):
            raise ValueError(f"WeightedRandomSampler: replacement must be True or False, got {replacement!r}")
        array = np.asarray([array_of(w) for w in weights] if isinstance(weights, (list, tuple)) else array_of(weights), np.float64)
        if array.ndim != 1:
            raise ValueError(f"WeightedRandomSampler: the weights must be one list of numbers, got shape {list(array.shape)}")
        self.weights, self.num_samples, self.replacement, self.generator = Tensor(array, None), num_samples, replacement, generator

    def __iter__(self):
        yield from functions["multinomial"](self.weights, self.num_samples, self.replacement, generator=self.generator).tolist()

    def __len__(self):
        return self.num_samples


class DistributedSampler(Sampler):
    """The share of one of several processes: every num_replicas-th number of an order that all of them know from the seed and the epoch

    The last numbers are filled up from the first, so that all shares are equally long; with drop_last they are left out. Call
    `set_epoch` before each epoch for another order. num_replicas and rank are those of the process group, where one was begun.

    >>> from tinygrad_edu.utils.data import DistributedSampler
    >>> list(DistributedSampler(range(5), num_replicas=2, rank=1, shuffle=False))
    [1, 3, 0]
    """

    def __init__(self, dataset, num_replicas=None, rank=None, shuffle=True, seed=0, drop_last=False):
        num_replicas = distributed.get_world_size() if num_replicas is None else num_replicas
        rank = distributed.get_rank() if rank is None else rank
        if not 0 <= rank < num_replicas:
            raise ValueError(f"DistributedSampler: rank must be between 0 and {num_replicas - 1}, got {rank}")
        self.dataset, self.num_replicas, self.rank, self.shuffle, self.seed = dataset, num_replicas, rank, shuffle, seed
        self.epoch, self.drop_last, n = 0, drop_last, len(dataset)
        self.num_samples = n // num_replicas if drop_last else -(-n // num_replicas)
        self.total_size = self.num_samples * num_replicas

    def __iter__(self):
        n = len(self.dataset)
        numbers = list(range(n))
        if self.shuffle:
            generator = Generator()
            generator.manual_seed(self.seed + self.epoch)
            numbers = functions["randperm"](n, generator=generator).tolist()
        while n and len(numbers) < self.total_size:
            numbers += numbers[: self.total_size - len(numbers)]
        return iter(numbers[self.rank : self.total_size : self.num_replicas])

    def __len__(self):
        return self.num_samples

    def set_epoch(self, epoch):
        """Use the order of this epoch from now on."""
        self.epoch = epoch


class BatchSampler(Sampler):
    """Lists of `batch_size` numbers from another sampler; a last, shorter list is left out with `drop_last`.

    >>> from tinygrad_edu.utils.data import BatchSampler
    >>> list(BatchSampler(range(5), batch_size=2, drop_last=False))
    [[0, 1], [2, 3], [4]]
    """

    def __init__(self, sampler, batch_size, drop_last):
        check_count("BatchSampler", "batch_size", batch_size)
        if not isinstance(drop_last, bool):
            raise ValueError(f"BatchSampler: drop_last must be True or False, got {drop_last!r}")
        self.sampler, self.batch_size, self.drop_last = sampler, batch_size, drop_last

    def __iter__(self):
        numbers = iter(self.sampler)
        while batch := list(islice(numbers, self.batch_size)):
            if len(batch) == self.batch_size or not self.drop_last:
                yield batch

    def __len__(self):
        n = len(self.sampler)
        return n // self.batch_size if self.drop_last else -(-n // self.batch_size)
