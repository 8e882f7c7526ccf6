"""Tensors from data and from numbers. Those from chance are in random.py."""

import math
from collections.abc import Sequence

import numpy as np

from ..autograd import dtypes
from ..autograd.operands import KindError, ShapeError
from ..autograd.tensor import Tensor, array_of
from .spelling import into, ints, only_function, only_method

dtype_names = {
    "float16": np.float16, "half": np.float16, "float32": np.float32, "float": np.float32, "float64": np.float64,
    "double": np.float64, "int8": np.int8, "uint8": np.uint8, "int16": np.int16, "short": np.int16, "int32": np.int32,
    "int": np.int32, "int64": np.int64, "long": np.int64, "bool": np.bool_, "complex64": np.complex64,
    "complex128": np.complex128, "uint16": np.uint16, "uint32": np.uint32, "uint64": np.uint64,
}  # fmt: skip
dtype_names = {name: dtypes.dtype(kind) for name, kind in dtype_names.items()}  # type: ignore[misc]
bfloat16, complex32 = dtypes.Unsupported("bfloat16", "f", 2), dtypes.Unsupported("complex32", "c", 4)


KNOWN_DEVICES = "cpu cuda hpu ipu lazy meta mkldnn mps mtia privateuseone vulkan xla xpu".split()


class device:
    """Where tensors live: the CPU. Others may be named, as programs do in default arguments; making tensors there is an error.

    >>> import tinygrad_edu as tg
    >>> tg.device("cpu")
    device(type='cpu')
    """

    def __init__(self, type="cpu", index=None):
        name, _, number = str(type).partition(":")
        if name not in KNOWN_DEVICES or number and (not number.isdecimal() or index is not None):
            raise RuntimeError(f'device({type!r}): tensors live on the CPU here; use device("cpu")')
        self.type, self.index = name, int(number) if number else index

    def __repr__(self):
        return f"device(type={self.type!r}{f', index={self.index}' if self.index is not None else ''})"

    def __str__(self):
        return self.type if self.index is None else f"{self.type}:{self.index}"

    def __eq__(self, other):
        """Equal to a device of the same name, and to the name itself; cpu:0 is the CPU, too."""
        one, another = str(self), str(other)
        return isinstance(other, (device, str)) and (one == another or {one, another} == {"cpu", "cpu:0"})

    def __hash__(self):
        return hash("cpu" if self.type == "cpu" else str(self))

    def __enter__(self):
        check_device(self)
        return self

    def __exit__(self, *error):
        """Nothing ends: new tensors live on the CPU within the context and after it."""


cpu = device("cpu")


def check_device(where):
    """Accept any spelling of the CPU, and refuse the rest."""
    if where is not None and where is not cpu and device(where).type != "cpu":
        raise RuntimeError(f'device={str(where)!r}: tensors live on the CPU here; use device("cpu")')


def dtype_of(dtype):
    """A NumPy dtype from ours, NumPy's or Python's types."""
    if dtype is float:
        return dtypes.float64
    if dtype.__class__ is dtypes.Unsupported:
        dtype.refuse(f"dtype={dtype}")
    wanted = np.dtype(dtype)
    if wanted.kind not in "biufc":
        raise TypeError(f"dtype={dtype!r}: tensors hold numbers; use a float, int or bool type such as float32")
    return wanted


def refuse(data, why, kind=KindError):
    """One sentence about data that no tensor can hold."""
    raise kind(f"tensor(data): {why}; data must be a number, a tensor, a numeric array, or nested lists of one shape, "
                    f"got {type(data).__name__}: {str(data):.100}")  # fmt: skip


def array_from(data, dtype=None):
    """A new array with PyTorch's types: Python floats become the default dtype, arrays keep theirs."""
    if isinstance(data, Tensor):
        array = np.array(data.array)
    elif isinstance(data, (np.ndarray, np.generic)):
        array = np.array(data)
    elif isinstance(data, (bool, int, float, complex)):
        array = np.array(data, dtypes.kind_of_number(data) if dtype is None else None)
    else:
        if not isinstance(data, (list, tuple, range)):
            if hasattr(data, "__array__"):
                return array_from(np.asarray(data), dtype)
            if isinstance(data, Sequence) and not isinstance(data, (str, bytes)):  # a deque, for one
                return array_from(list(data), dtype)
            refuse(data, "cannot make a tensor of it")
        kinds = kinds_in(data)
        try:
            array = np.array(unwrapped(data), common_kind(kinds) if kinds and dtype is None and None not in kinds else None)
        except ValueError:
            refuse(data, "the lists have different lengths or depths", UnevenError)
        if array.size == 0 and dtype is None:
            array = array.astype(dtypes.default)
    if array.dtype.kind not in "biufc":
        refuse(data, f"its elements are {array.dtype}, not numbers")
    if dtype is not None and array.dtype != dtype:
        if dtype.kind in "iu" and array.size and not isinstance(data, (Tensor, np.ndarray)):
            check_range("tensor(data)", array, dtype)
        array = array.astype(dtype)
    return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))


class UnevenError(ValueError, TypeError):
    """Nested lists that are no array: PyTorch calls this a ValueError or a TypeError, as it comes."""


def check_range(name, numbers, dtype):
    """Refuse numbers beyond an integer type; negative ones may wrap around in an unsigned type, as PyTorch has it."""
    low, high = numbers.min(), numbers.max()
    facts = np.iinfo(dtype)
    if high > facts.max or low < (facts.min or -int(facts.max)):
        raise RuntimeError(f"{name}: {high if high > facts.max else low} cannot be stored in {dtype}, which ends at {facts.min} and {facts.max}")


def unwrapped(data):
    """Nested lists with every tensor as an array; one of a single element counts as a number."""
    if isinstance(data, Tensor):
        return data.array if data.array.size != 1 else data.array.reshape(())[()]
    if isinstance(data, (list, tuple)):
        return data if set(map(type, data)) <= NUMBERS else [unwrapped(d) for d in data]
    return data


def kinds_in(data):
    """The dtypes that the numbers, arrays and tensors in nested lists stand for; None for anything else."""
    if isinstance(data, (list, tuple)):
        kinds = set(map(type, data))
        if kinds <= NUMBERS:
            return {dtypes.kind_of_class(kind, dtypes.default) for kind in kinds}
        return set().union(*map(kinds_in, data))
    if isinstance(data, (np.ndarray, np.generic, Tensor)):
        return {data.dtype}
    return {dtypes.kind_of_number(data) if isinstance(data, dtypes.numbers) else None}


NUMBERS = set(dtypes.numbers)


def common_kind(kinds):
    """The type that numbers of these types have together: mostly there is only one."""
    return next(iter(kinds)) if len(kinds) == 1 else dtypes.promote(*kinds)


def finished(array, requires_grad, out=None):
    """A tensor of an array that belongs to nobody else, or `out` with its numbers."""
    t = Tensor(array, None)
    if requires_grad:
        t.requires_grad = True
    return t if out is None else into(out, t)


def kind_for(dtype, out=None):
    """The dtype that is asked for, else that of `out`, else the default one."""
    return dtype_of(dtype) if dtype is not None else dtypes.default if out is None else out.dtype


@only_function()
def tensor(data, dtype=None, device=None, requires_grad=False):
    """A tensor with a copy of `data`: numbers, nested lists, arrays or tensors.

    >>> import tinygrad_edu as tg
    >>> tg.tensor([[1.0, 2.0], [3.0, 4.0]])
    tensor([[1., 2.],
            [3., 4.]])
    """
    check_device(device)
    return finished(array_from(data, None if dtype is None else dtype_of(dtype)), requires_grad)


@only_function()
def asarray(obj, *, dtype=None, device=None, copy=None, requires_grad=False):
    """`obj` as a tensor, in its own memory with copy=True, and as a leaf or with its history with requires_grad=True."""
    result = as_tensor(obj, dtype, device)
    if not requires_grad:
        result = result.detach() if result.node is not None else result
    elif result.node is None:
        result = finished(result.array, True)
    apart = not isinstance(obj, (Tensor, np.ndarray)) or not np.shares_memory(result.array, array_of(obj))
    if copy is False and apart:
        raise ValueError(f"asarray(copy=False): {type(obj).__name__} cannot be a tensor without a copy")
    return result.clone() if copy and not apart else result


@only_function()
def as_tensor(data, dtype=None, device=None):
    """`data` as a tensor, without a copy where it is a tensor or an array of that dtype."""
    check_device(device)
    dtype = None if dtype is None else dtype_of(dtype)
    if isinstance(data, Tensor):
        return data if dtype is None or data.dtype == dtype else data.astype(dtype)
    if isinstance(data, np.ndarray) and data.dtype.kind in "biufc" and data.dtype.isnative and dtype in (None, data.dtype):
        return from_numpy(data)
    return Tensor(array_from(data, dtype), None)


@only_function()
def from_numpy(ndarray):
    """A tensor that shares the memory of a NumPy array: each sees what the other writes."""
    if isinstance(ndarray, Tensor):  # what NumPy's functions of tensors return
        return ndarray.detach()
    if not isinstance(ndarray, np.ndarray):
        raise TypeError(f"from_numpy: expected a NumPy array, got {type(ndarray).__name__}; use tensor(data) for other data")
    if ndarray.dtype.kind not in "biufc":
        raise TypeError(f"from_numpy: tensors hold numbers, and this array holds {ndarray.dtype}")
    t = Tensor(ndarray, None)
    t.shared = True
    return t


@only_function()
def from_dlpack(source):
    """A tensor that shares the memory of another library's array, through the DLPack protocol."""
    return from_numpy(np.from_dlpack(source))


def checked_size(name, size):
    """A size without negative numbers."""
    if size and min(size) < 0:
        raise ShapeError(f"{name}: the sizes {list(size)} must not be negative")
    return size


def stored(name, value, dtype):
    """A number as an element of `dtype`, refused where an integer type has no place for it."""
    if dtype.kind in "iu" and isinstance(value, (int, float)):
        check_range(name, np.asarray(value), dtype)
        return np.asarray(value).astype(dtype)
    return value


def filled(make):
    """A function tg.name(*size, dtype, device, requires_grad) and its `_like` form."""

    def of_size(*size, out=None, dtype=None, layout=None, device=None, requires_grad=False, pin_memory=False, memory_format=None, **names):
        check_device(device)
        size = ints(size) if size else ints((names.pop("size"),)) if "size" in names else ()
        if names:
            raise TypeError(f"{make.__name__}: unknown arguments {sorted(names)}")
        return finished(make(checked_size(name, size), kind_for(dtype, out)), requires_grad, out)

    def like(input, *, dtype=None, layout=None, device=None, requires_grad=False, memory_format=None):
        check_device(device)
        kind = array_of(input).dtype if dtype is None else dtype_of(dtype)
        return finished(make(array_of(input).shape, kind), requires_grad)

    def new(self, *size, dtype=None, device=None, requires_grad=False):
        return of_size(*size, dtype=self.dtype if dtype is None else dtype, device=device, requires_grad=requires_grad)

    name = make.__name__
    of_size.__name__, like.__name__, new.__name__ = name, name + "_like", "new_" + name
    of_size.__doc__, like.__doc__ = f"{make.__doc__}, of a size given as ints or as one tuple.", f"{make.__doc__}, of the shape and dtype of `input`."  # fmt: skip
    only_function(name)(of_size)
    only_function(name + "_like")(like)
    only_method("new_" + name)(new)
    return of_size


@filled
def zeros(size, dtype):
    """A tensor of zeros"""
    return np.zeros(size, dtype)


@filled
def ones(size, dtype):
    """A tensor of ones"""
    return np.ones(size, dtype)


@filled
def empty(size, dtype):
    """A tensor whose elements are not set to anything"""
    return np.empty(size, dtype)


@only_function()
def full(size, fill_value, *, dtype=None, device=None, requires_grad=False, out=None, layout=None):
    """A tensor of `size` filled with one number."""
    check_device(device)
    value = array_of(fill_value)
    usual = dtypes.kind_of_number(value.item() if hasattr(value, "item") else value)
    kind = usual if dtype is None and out is None else kind_for(dtype, out)
    size = checked_size("full", ints((size,)) if isinstance(size, (tuple, list)) else (size,))
    return finished(np.full(size, stored("full", value, kind), kind), requires_grad, out)


@only_function()
def full_like(input, fill_value, *, dtype=None, device=None, requires_grad=False, memory_format=None):
    """A tensor of the shape and dtype of `input`, filled with one number."""
    check_device(device)
    kind = array_of(input).dtype if dtype is None else dtype_of(dtype)
    return finished(np.full(array_of(input).shape, stored("full_like", array_of(fill_value), kind), kind), requires_grad)


@only_method()
def new_full(self, size, fill_value, dtype=None, device=None, requires_grad=False):
    """A tensor of this one's dtype, filled with one number."""
    return full(size, fill_value, dtype=self.dtype if dtype is None else dtype, requires_grad=requires_grad)


@only_method()
def new_tensor(self, data, dtype=None, device=None, requires_grad=False):
    """A tensor of `data` with this one's dtype."""
    return tensor(data, self.dtype if dtype is None else dtype, device, requires_grad)


@only_function()
def arange(start=0, end=None, step=1, *, dtype=None, device=None, requires_grad=False, out=None):
    """Numbers from `start` (0) up to but not including `end`, `step` apart."""
    check_device(device)
    if end is None:
        start, end = 0, start
    values = [array_of(v).item() if hasattr(v, "item") else v for v in (start, end, step)]
    if dtype is None and out is None:
        kind = dtypes.default if any(isinstance(v, float) for v in values) else np.dtype("int64")
    else:
        kind = kind_for(dtype, out)
    start, end, step = values
    if step == 0 or (end - start) * step < 0:
        raise RuntimeError(f"arange({start}, {end}, {step}): the step must lead from start to end")
    if kind == np.int64 and start.__class__ is end.__class__ is step.__class__ is int:
        return finished(np.arange(start, end, step, kind), requires_grad, out)
    n = math.ceil((end - start) / step)
    return finished((start + step * np.arange(n)).astype(kind), requires_grad, out)


@only_function()
def linspace(start, end, steps, *, dtype=None, device=None, requires_grad=False, out=None):
    """`steps` numbers from `start` to `end`, both included, evenly spaced."""
    check_device(device)
    kind, steps = kind_for(dtype, out), int(steps)
    kept = kind if kind.kind == "f" else dtypes.default
    start, end = kept.type(array_of(start)), kept.type(array_of(end))
    if steps < 2:
        if steps < 0:
            raise RuntimeError(f"linspace: the number of steps must not be negative, got {steps}")
        return finished(np.full(steps, start, kind), requires_grad, out)
    i, wide = np.arange(steps), np.float64 if kept.itemsize < 8 else np.longdouble  # PyTorch rounds once, at the end
    step = wide((end - start) / kept.type(steps - 1))
    values = np.where(i < steps // 2, wide(start) + step * i, wide(end) - step * (steps - 1 - i))  # the same from both ends
    return finished(values.astype(kept).astype(kind), requires_grad, out)


@only_function()
def logspace(start, end, steps, base=10.0, *, dtype=None, device=None, requires_grad=False, out=None):
    """`steps` numbers from baseˢᵗᵃʳᵗ to baseᵉⁿᵈ, evenly spaced on a logarithmic scale."""
    check_device(device)
    values = np.logspace(float(array_of(start)), float(array_of(end)), steps, base=base)
    return finished(values.astype(kind_for(dtype, out)), requires_grad, out)


@only_function()
def eye(n, m=None, *, dtype=None, device=None, requires_grad=False, out=None):
    """The n × m matrix with ones on its diagonal."""
    check_device(device)
    checked_size("eye", (n,) if m is None else (n, m))
    return finished(np.eye(n, m, dtype=kind_for(dtype, out)), requires_grad, out)


@only_function()
def meshgrid(*tensors, indexing="ij"):
    """Grids of coordinates from vectors: one tensor per vector."""
    vectors = tensors[0] if len(tensors) == 1 and isinstance(tensors[0], (list, tuple)) else tensors
    n = len(vectors)
    if not n or any(v.ndim > 1 for v in vectors) or len({v.dtype for v in vectors}) > 1:
        raise RuntimeError(f"meshgrid: expected vectors of one dtype, got {[f'{v.dtype}{list(v.shape)}' for v in vectors]}")
    if indexing not in ("ij", "xy"):
        raise RuntimeError(f'meshgrid: indexing must be "ij" or "xy", not {indexing!r}')
    order = [1, 0, *range(2, n)] if indexing == "xy" and n > 1 else list(range(n))
    sizes = [int(vectors[i].numel()) for i in order]
    result = []
    for k, v in enumerate(vectors):
        result.append(v.reshape([-1 if order[i] == k else 1 for i in range(n)]).expand(sizes))
    return tuple(result)


@only_function()
def tril_indices(row, col, offset=0, *, dtype=None, device=None):
    """The indices of the lower triangle of a row × col matrix, as a 2 × n tensor."""
    return Tensor(np.stack(np.tril_indices(row, offset, col)).astype(np.int64 if dtype is None else dtype_of(dtype)), None)


@only_function()
def triu_indices(row, col, offset=0, *, dtype=None, device=None):
    """The indices of the upper triangle of a row × col matrix, as a 2 × n tensor."""
    return Tensor(np.stack(np.triu_indices(row, offset, col)).astype(np.int64 if dtype is None else dtype_of(dtype)), None)


@only_function()
def is_tensor(obj):
    """True if `obj` is a Tensor."""
    return isinstance(obj, Tensor)

