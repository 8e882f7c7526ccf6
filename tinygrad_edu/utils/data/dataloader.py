"""DataLoader: batches from a dataset, in order or shuffled, in this thread or prefetched by others."""

import queue
import threading
from copy import copy
from itertools import islice
from typing import NamedTuple

import numpy as np

from ...api import random
from ...autograd.tensor import Tensor
from .collate import default_collate, default_convert
from .dataset import IterableDataset, Subset, TensorDataset
from .sampler import BatchSampler, RandomSampler, SequentialSampler, new_seed


class WorkerInfo(NamedTuple):
    """What a worker can know of itself: its number, how many there are, its seed, and its copy of the dataset."""

    id: int
    num_workers: int
    seed: int
    dataset: object


class Place(threading.local):
    """Which worker this thread is, if it is one."""
    info = None


place = Place()


def get_worker_info():
    """The WorkerInfo of the worker that this code runs in; None in the main thread."""
    return place.info


class DataLoader:
    """Iterate over batches of a dataset.

    `shuffle` visits the examples in a new random order each time, drawn from `generator` or the default one; `sampler` and
    `batch_sampler` give other orders. `collate_fn` makes a batch from a list of examples; batch_size=None turns batching off.
    With num_workers, as many threads prepare prefetch_factor batches each ahead of time: what waits for files or releases
    Python's lock gets faster. Each has its own copy of the dataset object and draws random numbers from a seed of its own,
    base seed + worker number, as PyTorch's processes do. pin_memory is accepted: there is no other memory to pin for.

    >>> import tinygrad_edu as tg
    >>> from tinygrad_edu.utils.data import DataLoader, TensorDataset
    >>> data = TensorDataset(tg.arange(5), tg.arange(5) ** 2)
    >>> for x, y in DataLoader(data, batch_size=3): print(x.tolist(), y.tolist())
    [0, 1, 2] [0, 1, 4]
    [3, 4] [9, 16]
    """

    ready = False  # True after __init__, when what chooses the batches is fixed

    def __init__(self, dataset, batch_size=1, shuffle=None, sampler=None, batch_sampler=None, num_workers=0, collate_fn=None,
                 pin_memory=False, drop_last=False, timeout=0, worker_init_fn=None, multiprocessing_context=None, generator=None, *,
                 prefetch_factor=None, persistent_workers=False, pin_memory_device="", in_order=True):  # fmt: skip
        if not isinstance(num_workers, int) or num_workers < 0:
            raise ValueError(f"DataLoader: num_workers must be 0 (load in this thread) or the number of threads, got {num_workers}")
        if timeout < 0:
            raise ValueError(f"DataLoader: timeout is in seconds and cannot be negative, got {timeout}")
        if prefetch_factor is not None and (num_workers == 0 or prefetch_factor < 1):
            raise ValueError(f"DataLoader: prefetch_factor is how many batches each worker prepares, at least 1 and only with "
                             f"num_workers > 0; got {prefetch_factor} with {num_workers} workers")  # fmt: skip
        if persistent_workers and num_workers == 0:
            raise ValueError("DataLoader: persistent_workers needs num_workers > 0")
        iterable = isinstance(dataset, IterableDataset)
        if iterable and (shuffle or sampler is not None or batch_sampler is not None):
            raise ValueError("DataLoader: an IterableDataset has an order of its own; shuffle, sampler and batch_sampler do not "
                             "apply, shuffle inside its __iter__")  # fmt: skip
        if not iterable and not hasattr(dataset, "__getitem__"):
            raise TypeError(f"DataLoader: expected a dataset with __getitem__ and __len__, got {type(dataset).__name__}")
        if sampler is not None and shuffle:
            raise ValueError("DataLoader: sampler and shuffle=True both set the order; give one of them")
        if batch_sampler is not None:
            if batch_size != 1 or shuffle or sampler is not None or drop_last:
                raise ValueError("DataLoader: batch_sampler sets the batches; batch_size, shuffle, sampler and drop_last do not apply")
            batch_size, drop_last = None, False
        elif batch_size is None and drop_last:
            raise ValueError("DataLoader: batch_size=None turns batching off, so there is no last batch to drop")
        if sampler is None and not iterable:
            sampler = RandomSampler(dataset, generator=generator) if shuffle else SequentialSampler(dataset)
        if batch_size is not None and batch_sampler is None:
            batch_sampler = BatchSampler(() if iterable else sampler, batch_size, drop_last)  # also checks both arguments
        self.dataset, self.batch_size, self.drop_last, self.sampler, self.batch_sampler = dataset, batch_size, drop_last, sampler, batch_sampler  # fmt: skip
        self.num_workers, self.timeout, self.worker_init_fn, self.generator = num_workers, timeout, worker_init_fn, generator
        self.prefetch_factor = 2 if prefetch_factor is None and num_workers else prefetch_factor
        self.pin_memory, self.pin_memory_device, self.persistent_workers = pin_memory, pin_memory_device, persistent_workers
        self.multiprocessing_context, self.in_order, self.iterable = multiprocessing_context, in_order, iterable
        self.collate_fn = collate_fn or (default_convert if batch_sampler is None else default_collate)
        self.kept = None  # the workers' datasets and seeds, with persistent_workers
        self.ready = True

    def __setattr__(self, name, value):
        if self.ready and name in ("batch_size", "batch_sampler", "sampler", "drop_last", "dataset", "persistent_workers"):
            raise ValueError(f"DataLoader.{name} = …: it has chosen its batches already; make a new DataLoader")
        super().__setattr__(name, value)

    def __len__(self):
        if not self.iterable:
            return len(self.sampler if self.batch_sampler is None else self.batch_sampler)
        n = len(self.dataset)
        if self.batch_size is None:
            return n
        return n // self.batch_size if self.drop_last else -(-n // self.batch_size)

    def __iter__(self):
        fetch = fetcher(self)
        if self.num_workers:
            return Prefetching(self, fetch)
        return self.in_this_thread(fetch)

    def in_this_thread(self, fetch):
        """A batch whenever one is asked for. The base seed is drawn, as PyTorch does, though there is no worker to use it."""
        batches = iter(() if self.iterable else self.sampler if self.batch_sampler is None else self.batch_sampler)
        new_seed(self.generator)
        return fetch(self.dataset) if self.iterable else map(fetch, batches)


def fetcher(loader):
    """What turns the numbers of a batch into the batch; for an iterable dataset, what turns the dataset into batches."""
    dataset, collate = loader.dataset, loader.collate_fn
    if loader.iterable:
        return lambda source: batches_of(source, collate, loader.batch_size, loader.drop_last)
    if loader.batch_sampler is None:
        return lambda index, dataset=dataset: collate(dataset[index])
    if collate is default_collate and type(dataset) is TensorDataset:
        return lambda indices, dataset=dataset: rows(dataset.tensors, indices)
    if collate is default_collate and type(dataset) is Subset and type(dataset.dataset) is TensorDataset:
        return lambda indices, dataset=dataset: rows(dataset.dataset.tensors, [dataset.indices[i] for i in indices])

    def fetch(indices, dataset=dataset):
        several = getattr(dataset, "__getitems__", None)
        return collate(several(indices) if callable(several) else [dataset[i] for i in indices])

    return fetch


def rows(tensors, indices):
    """The rows of several tensors, taken at once: the same as stacking them one by one."""
    index = np.array(indices, np.intp)
    return [Tensor(t.array.take(index, 0), None) if t.node is None and t.array.ndim else t[index] for t in tensors]


def batches_of(source, collate, size, drop_last):
    """Batches of an iterable dataset, or single examples if there is no size."""
    examples = iter(source)
    if size is None:
        yield from map(collate, examples)
        return
    while batch := list(islice(examples, size)):
        if len(batch) == size or not drop_last:
            yield collate(batch)


class Prefetching:
    """An iterator whose batches are made by threads; batch i comes from worker i mod n, so the order is always the same."""

    ends = ()

    def __init__(self, loader, fetch):
        n = loader.num_workers
        self.timeout, self.iterable, self.n = loader.timeout or None, loader.iterable, n
        self.numbers = iter(()) if self.iterable else iter(loader.sampler if loader.batch_sampler is None else loader.batch_sampler)
        workers = loader.kept
        if workers is None:
            base = new_seed(loader.generator)
            workers = [Worker(i, n, base + i, copy(loader.dataset), loader.worker_init_fn) for i in range(n)]
            loader.kept = workers if loader.persistent_workers else None
        self.ends = [(queue.SimpleQueue(), queue.SimpleQueue()) for _ in range(n)]  # what to do, what was done
        for worker, (todo, done) in zip(workers, self.ends):
            threading.Thread(target=worker.run, args=(fetch, self.iterable, todo, done), daemon=True).start()
        self.sent = self.received = 0
        self.finished = [False] * n
        for _ in range(n * loader.prefetch_factor):
            self.send()

    def send(self):
        """Give the next batch to the worker whose turn it is."""
        batch = None if self.iterable else next(self.numbers, None)
        if not all(self.finished) if self.iterable else batch is not None:
            self.ends[self.sent % self.n][0].put((batch,))
            self.sent += 1

    def __iter__(self):
        return self

    def __next__(self):
        while self.received < self.sent:
            i = self.received % self.n
            if self.finished[i]:
                self.received += 1
                self.send()
                continue
            try:
                kind, value = self.ends[i][1].get(timeout=self.timeout)
            except queue.Empty:
                raise RuntimeError(f"DataLoader: worker {i} has not finished its batch within timeout={self.timeout} s; allow more "
                                   "time, or look for what blocks it") from None  # fmt: skip
            self.received += 1
            self.finished[i] = kind == "end"  # of this worker's part of an iterable dataset
            self.send()
            if kind == "end":
                continue
            if kind == "error":
                value.add_note(f"in worker {i} of a DataLoader")
                raise value
            return value
        self.close()
        raise StopIteration

    def close(self):
        """Let the threads end."""
        for todo, _ in self.ends:
            todo.put(None)

    __del__ = close


class Worker:
    """One worker's own things, and the loop that a thread runs with them."""

    def __init__(self, number, n, seed, dataset, init):
        self.info = WorkerInfo(number, n, seed, dataset)
        self.generator = random.Generator().manual_seed(seed % 2**64)
        self.init = init

    def run(self, fetch, iterable, todo, done):
        """Make batches until None comes in; errors go to the thread that asked."""
        place.info, random.drawing.generator = self.info, self.generator
        failed = batches = None
        try:
            if self.init is not None:
                init, self.init = self.init, None
                init(self.info.id)
            if iterable:
                batches = fetch(self.info.dataset)
        except Exception as error:
            failed = error
        while (task := todo.get()) is not None:
            try:
                if failed is not None:
                    raise failed
                result = "batch", next(batches) if iterable else fetch(task[0], self.info.dataset)
            except StopIteration:
                result = "end", None
            except Exception as error:
                result = "error", error
            done.put(result)
