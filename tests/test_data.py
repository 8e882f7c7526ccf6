"""Datasets, samplers and the DataLoader: PyTorch's batches in PyTorch's order, with and without workers."""

import random
import threading
from collections import OrderedDict, namedtuple

import numpy as np
import pytest

import tinygrad_edu as tg
import tinygrad_edu.utils.data as ours
from tinygrad_edu.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset

Pair = namedtuple("Pair", "x y")


def plain(value):
    """Batches of either library as nested plain data with the dtypes written out."""
    if hasattr(value, "tolist") and hasattr(value, "dtype"):
        return str(value.dtype).removeprefix("torch."), tuple(value.shape), value.tolist()
    if isinstance(value, dict):
        return type(value).__name__, {k: plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value).__name__, [plain(v) for v in value]
    return value


def both():
    """Our library and PyTorch, each with its data module."""
    torch = pytest.importorskip("torch")
    import torch.utils.data as theirs

    return (tg, ours), (torch, theirs)


def squares(data):
    """A dataset by index, of either library."""

    class Squares(data.Dataset):
        def __len__(self):
            return 11

        def __getitem__(self, i):
            return i, float(i * i)

    return Squares()


LOADERS = {
    "plain": lambda lib, data: data.DataLoader(squares(data), batch_size=4),
    "drop_last": lambda lib, data: data.DataLoader(squares(data), batch_size=4, drop_last=True),
    "shuffle": lambda lib, data: data.DataLoader(squares(data), batch_size=3, shuffle=True),
    "shuffle with a generator": lambda lib, data: data.DataLoader(
        squares(data), batch_size=3, shuffle=True, generator=lib.Generator().manual_seed(5)),
    "tensors": lambda lib, data: data.DataLoader(data.TensorDataset(lib.arange(10), lib.ones(10, 2) * 0.5), batch_size=4, shuffle=True),
    "workers": lambda lib, data: data.DataLoader(squares(data), batch_size=3, shuffle=True, num_workers=2 if lib is tg else 0),
    "replacement": lambda lib, data: data.DataLoader(
        squares(data), batch_size=10, sampler=data.RandomSampler(range(7), replacement=True, num_samples=70)),
    "more than there are": lambda lib, data: data.DataLoader(squares(data), sampler=data.RandomSampler(range(5), num_samples=13)),
    "subset sampler": lambda lib, data: data.DataLoader(squares(data), sampler=data.SubsetRandomSampler([2, 3, 5, 7])),
    "weighted": lambda lib, data: data.DataLoader(
        squares(data), batch_size=6, sampler=data.WeightedRandomSampler([0.1, 5.0, 0.0, 2.0], 12)),
    "weighted, each once": lambda lib, data: data.DataLoader(
        squares(data), batch_size=3, sampler=data.WeightedRandomSampler([0.1, 5.0, 0.5, 2.0], 3, replacement=False)),
    "batch sampler": lambda lib, data: data.DataLoader(squares(data), batch_sampler=[[0, 2], [10], [3, 3, 3]]),
    "no batches": lambda lib, data: data.DataLoader(squares(data), batch_size=None, shuffle=True),
    "split": lambda lib, data: data.DataLoader(data.random_split(squares(data), [0.5, 0.3, 0.2])[0], batch_size=2),
    "split tensors": lambda lib, data: data.DataLoader(data.random_split(data.TensorDataset(lib.arange(9.0)), [6, 3])[1], 2, shuffle=True),
    "joined": lambda lib, data: data.DataLoader(squares(data) + squares(data), batch_size=9),
    "stacked": lambda lib, data: data.DataLoader(data.StackDataset(a=squares(data), b=range(11)), batch_size=6),
    "list": lambda lib, data: data.DataLoader([(1, "a"), (2, "b"), (3, "c")], batch_size=2),
    "own collate": lambda lib, data: data.DataLoader(squares(data), batch_size=4, collate_fn=lambda rows: [i for i, _ in rows]),
}  # fmt: skip


@pytest.mark.parametrize("name", LOADERS)
def test_batches_equal_torchs(name):
    results = []
    for lib, data in both():
        lib.manual_seed(3)
        loader = LOADERS[name](lib, data)
        results.append([len(loader), [[plain(batch) for batch in loader] for _ in range(2)], plain(lib.rand(2))])
    assert results[0] == results[1]


def test_orders_recorded_from_torch():
    """For runs without torch: recorded with PyTorch 2.13, manual_seed(3)."""
    tg.manual_seed(3)
    order = [i for batch in DataLoader(range(10), batch_size=3, shuffle=True) for i in batch.tolist()]
    parts = ours.random_split(range(10), [0.6, 0.4], generator=tg.Generator().manual_seed(7))
    assert [order, *[p.indices for p in parts]] == RECORDED


RECORDED = [[6, 2, 0, 1, 8, 3, 5, 4, 7, 9], [5, 0, 3, 4, 1, 7], [9, 6, 8, 2]]

COLLATED = [
    [1, 2], [1.5, 2.5], [True, False], ["a", "b"], [b"a", b"b"], [(1, 2.0), (3, 4.0)], [[1, 2], [3, 4]], [{"x": 1, "y": "a"}, {"x": 2, "y": "b"}],
    [Pair(1, 2.0), Pair(3, 4.0)], [np.float32(1), np.float32(2)], [np.float64(1), np.float64(2)], [np.int16(1), np.int16(2)],
    [np.ones((2, 2)), np.zeros((2, 2))], [OrderedDict(a=1), OrderedDict(a=2)], [{"x": {"y": [1, (2, "z")]}}] * 2, [np.bool_(True)],
    [("a", 1), ("b", 2)], [["a", 1], ["b", 2]],
]  # fmt: skip


@pytest.mark.parametrize("batch", COLLATED, ids=repr)
def test_collate_equals_torchs(batch):
    (_, data), (_, theirs) = both()
    assert plain(data.default_collate(batch)) == plain(theirs.default_collate(batch))
    assert plain(data.default_convert(batch)) == plain(theirs.default_convert(batch))


def test_collate():
    batch = ours.default_collate([Pair(tg.ones(2), dict(n=1)), Pair(tg.zeros(2), dict(n=2))])
    assert type(batch) is Pair and batch.x.tolist() == [[1, 1], [0, 0]] and batch.y["n"].dtype == tg.int64
    assert ours.default_collate([0.5]).dtype == tg.float64
    w = tg.ones(2, requires_grad=True)
    ours.default_collate([w, w * 2]).sum().backward()
    assert w.grad.tolist() == [3, 3]


def test_rows_of_tensors_are_copies_and_keep_the_graph():
    x, w = tg.arange(4.0), tg.ones(4, requires_grad=True)
    for a, b in DataLoader(TensorDataset(x, w), batch_size=2):
        a.zero_()
        (b * 3).sum().backward()
    assert x.tolist() == [0, 1, 2, 3] and w.grad.tolist() == [3, 3, 3, 3]


class Range(IterableDataset):
    """The example of PyTorch's documentation: workers take a part each, by their number or by worker_init_fn."""

    def __init__(self, start, end, share=True):
        self.start, self.end, self.share = start, end, share

    def __iter__(self):
        info = ours.get_worker_info()
        if info is None or not self.share:
            return iter(range(self.start, self.end))
        return iter(range(self.start + info.id, self.end, info.num_workers))


def split_by_number(number):
    info = ours.get_worker_info()
    part = (info.dataset.end - info.dataset.start) // info.num_workers
    info.dataset.start, info.dataset.end = number * part, (number + 1) * part


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_iterable_datasets(workers):
    loader = DataLoader(Range(0, 10), batch_size=3, num_workers=workers)
    batches = [batch.tolist() for batch in loader]
    assert sorted(sum(batches, [])) == list(range(10))
    if workers == 3:
        assert batches == [[0, 3, 6], [1, 4, 7], [2, 5, 8], [9]]
    assert [b.tolist() for b in DataLoader(Range(0, 7), batch_size=3, drop_last=True)] == [[0, 1, 2], [3, 4, 5]]
    assert list(DataLoader(Range(0, 3), batch_size=None)) == [0, 1, 2]


def test_uneven_workers_do_not_end_early():
    class Uneven(IterableDataset):
        def __iter__(self):
            return iter(range(20 if ours.get_worker_info().id else 1))

    assert len([1 for _ in DataLoader(Uneven(), batch_size=1, num_workers=3, prefetch_factor=1)]) == 41


def test_each_worker_has_its_own_dataset():
    data = Range(0, 8, share=False)
    loader = DataLoader(data, batch_size=2, num_workers=2, worker_init_fn=split_by_number)
    assert [b.tolist() for b in loader] == [[0, 1], [4, 5], [2, 3], [6, 7]]
    assert (data.start, data.end) == (0, 8) and ours.get_worker_info() is None


@pytest.mark.parametrize("persistent", [False, True])
def test_workers_keep_the_order_and_prefetch(persistent):
    seen = set()

    class Waits(Dataset):
        def __len__(self):
            return 20

        def __getitem__(self, i):
            seen.add(threading.current_thread().name)
            return i

    loader = DataLoader(Waits(), batch_size=2, num_workers=3, persistent_workers=persistent, pin_memory=True, timeout=60)
    for _ in range(2):
        assert [b.tolist() for b in loader] == [[i, i + 1] for i in range(0, 20, 2)]
    assert threading.current_thread().name not in seen and len(seen) == 6


class Noise(Dataset):
    def __len__(self):
        return 12

    def __getitem__(self, i):
        return tg.rand(3)


def test_random_numbers_of_workers_do_not_repeat_and_are_reproducible():
    """Neither between workers nor between epochs; the same again for the same seed."""
    runs = []
    for _ in range(2):
        tg.manual_seed(1)
        loader = DataLoader(Noise(), batch_size=2, num_workers=3)
        runs.append([batch.tolist() for _ in range(2) for batch in loader])
    assert runs[0] == runs[1]
    rows = [tuple(row) for batch in runs[0] for row in batch]
    assert len(set(rows)) == len(rows) == 24
    kept = DataLoader(Noise(), batch_size=12, num_workers=1, persistent_workers=True)
    assert next(iter(kept)).tolist() != next(iter(kept)).tolist()


def test_workers_draw_the_numbers_of_torchs_workers():
    """Worker w draws from base seed + w; recorded by seeding a generator with it."""
    tg.manual_seed(1)
    loader = DataLoader(Noise(), batch_size=2, num_workers=2)
    first, second, *_ = loader
    tg.manual_seed(1)
    base = int(tg.empty((), dtype=tg.int64).random_().item())
    for worker, batch in enumerate((first, second)):
        assert tg.rand(2, 3, generator=tg.Generator().manual_seed(base + worker)).tolist() == batch.tolist()


def test_errors_of_workers_come_out_at_their_place():
    class Fails(Dataset):
        def __len__(self):
            return 6

        def __getitem__(self, i):
            return 1 // (i - 3)

    batches = iter(DataLoader(Fails(), batch_size=1, num_workers=2))
    for _ in range(3):
        next(batches)
    with pytest.raises(ZeroDivisionError) as caught:
        next(batches)
    assert "in worker 1 of a DataLoader" in caught.value.__notes__
    assert [b.item() for b in batches] == [1, 0]

    def refuse(number):
        raise OSError("no such file")

    with pytest.raises(OSError, match="no such file"):
        next(iter(DataLoader(Fails(), num_workers=1, worker_init_fn=refuse)))


def test_a_worker_that_does_not_answer_is_named():
    release = threading.Event()

    class Stuck(Dataset):
        def __len__(self):
            return 1

        def __getitem__(self, i):
            release.wait(60)

    try:
        with pytest.raises(RuntimeError, match=r"worker 0 .* timeout=0.01"):
            next(iter(DataLoader(Stuck(), num_workers=1, timeout=0.01)))
    finally:
        release.set()


def test_threads_end_when_the_iterator_is_dropped():
    before = threading.active_count()
    batches = iter(DataLoader(range(1000), batch_size=1, num_workers=2))
    next(batches)
    threads = [t for t in threading.enumerate() if t.daemon][-2:]
    del batches
    for t in threads:
        t.join(30)
    assert threading.active_count() <= before


def test_datasets():
    data = TensorDataset(tg.arange(6).reshape(3, 2), tg.tensor([1.0, 2.0, 3.0]))
    assert len(data) == 3 and data[-1][0].tolist() == [4, 5] and data[:2][1].tolist() == [1, 2]
    joined = data + data
    assert len(joined) == 6 and joined[-1][1].item() == 3 and joined[3][1].item() == 1
    assert [len(row) for row in joined] == [2] * 6  # iteration ends by IndexError
    chained = Range(0, 2) + Range(5, 7)
    assert list(chained) == [0, 1, 5, 6]
    assert ours.StackDataset([1, 2], [3, 4])[1] == (2, 4)
    parts = ours.random_split(data, [1, 2], generator=tg.Generator().manual_seed(0))
    assert sorted(parts[0].indices + parts[1].indices) == [0, 1, 2]

    class Doubled(ours.Subset):
        def __getitem__(self, i):
            return super().__getitem__(i) * 2

    assert [b.tolist() for b in DataLoader(Doubled([1, 2, 3], [0, 2]), batch_size=2)] == [[2, 6]]

    class Typed(Dataset[int]):
        pass

    with pytest.raises(NotImplementedError, match="Typed has no __getitem__"):
        Typed()[0]


def test_shuffling_does_not_touch_other_generators():
    np_state, py_state = np.random.get_state()[1].tolist(), random.getstate()  # noqa: NPY002
    list(DataLoader(range(8), shuffle=True, num_workers=1))
    assert np.random.get_state()[1].tolist() == np_state and random.getstate() == py_state  # noqa: NPY002


ERRORS = [
    (lambda: DataLoader([1], num_workers=-1), ValueError, "num_workers"),
    (lambda: DataLoader([1], batch_size=0), ValueError, "batch_size must be a positive integer, got 0"),
    (lambda: DataLoader([1], drop_last=1), ValueError, "drop_last must be True or False"),
    (lambda: DataLoader([1], prefetch_factor=2), ValueError, "prefetch_factor"),
    (lambda: DataLoader([1], persistent_workers=True), ValueError, "num_workers > 0"),
    (lambda: DataLoader([1], timeout=-1), ValueError, "timeout"),
    (lambda: DataLoader([1], shuffle=True, sampler=[0]), ValueError, "give one of them"),
    (lambda: DataLoader([1], batch_size=2, batch_sampler=[[0]]), ValueError, "batch_sampler sets the batches"),
    (lambda: DataLoader([1], batch_size=None, drop_last=True), ValueError, "no last batch"),
    (lambda: DataLoader(Range(0, 3), shuffle=True), ValueError, "order of its own"),
    (lambda: DataLoader(3), TypeError, "__getitem__"),
    (lambda: setattr(DataLoader([1]), "batch_size", 2), ValueError, "make a new DataLoader"),
    (lambda: DataLoader([], shuffle=True), ValueError, "positive integer, got 0"),
    (lambda: TensorDataset(tg.ones(2), tg.ones(3)), AssertionError, r"\[2, 3\]"),
    (lambda: TensorDataset(np.ones(2)), TypeError, "from_numpy"),
    (lambda: ours.StackDataset([1], a=[1]), ValueError, "not both"),
    (lambda: ours.StackDataset([1], [1, 2]), ValueError, r"\[1, 2\]"),
    (lambda: ours.ConcatDataset([]), AssertionError, "at least one"),
    (lambda: ours.ConcatDataset([Range(0, 1)]), AssertionError, "ChainDataset"),
    (lambda: list(ours.ChainDataset([[1]])), TypeError, "ConcatDataset"),
    (lambda: ours.ConcatDataset([[1]])[1], IndexError, "no example 1 among 1"),
    (lambda: ours.random_split([1, 2], [2, 1]), ValueError, "sum to 3, and the dataset has 2"),
    (lambda: ours.random_split([1, 2], [1.5, -0.5]), ValueError, "between 0 and 1"),
    (lambda: ours.default_collate([object()]), TypeError, "collate_fn"),
    (lambda: ours.default_collate([[1], [1, 2]]), RuntimeError, "different lengths"),
    (lambda: ours.default_collate([np.array(["a"])]), TypeError, "tensors hold numbers"),
    (lambda: ours.WeightedRandomSampler([[1.0]], 1), ValueError, "one list of numbers"),
    (lambda: ours.WeightedRandomSampler([1.0], 0), ValueError, "num_samples must be a positive integer"),
    (lambda: ours.RandomSampler([1], replacement=3), TypeError, "replacement"),
    (lambda: iter(ours.Sampler()), NotImplementedError, "__iter__"),
    (lambda: iter(IterableDataset()), NotImplementedError, "__iter__"),
]


@pytest.mark.parametrize("attempt, error, text", ERRORS)
def test_errors(attempt, error, text):
    with pytest.raises(error, match=text):
        attempt()


def test_the_path_of_collate_in_pytorch():
    from tinygrad_edu.utils.data._utils.collate import default_collate

    assert default_collate is ours.default_collate


def test_an_empty_part_of_a_split_warns():
    with pytest.warns(UserWarning, match="part 1 is empty"):
        ours.random_split([1], [0.9, 0.1])
