"""How the functions of this folder become functions of the package and methods of Tensor, in PyTorch's spelling."""

import functools
from operator import index, itemgetter

import numpy as np

from ..autograd import dtypes
from ..autograd.tensor import Tensor, array_of

functions: dict = {}  # name → function, for tg.<name>
methods: dict = {}  # name → function, for Tensor.<name>

NUMPY_NAMES = {"axis": "dim", "keepdims": "keepdim", "axes": "dims", "x": "input", "a": "input", "self": "input"}


# what PyTorch calls an argument in some places, or in the method of the same name → what it is called here
FORMER = dict(split=dict(tensor="input", split_size="split_size_or_sections"), true_divide=dict(dividend="input", divisor="other"),
              broadcast_to=dict(shape="size"), transpose=dict(axis0="dim0", axis1="dim1"), heaviside=dict(values="other"), bmm=dict(batch2="mat2"),
              dot=dict(other="tensor"), matmul=dict(tensor2="other"), mul=dict(value="other"), div=dict(value="other"), take=dict(indices="index"),
              narrow=dict(dimension="dim"), floor_divide=dict(value="other"), masked_scatter=dict(tensor="source"),
              tensor_split=dict(indices="indices_or_sections", sections="indices_or_sections"),
              searchsorted=dict(input="values"), bucketize=dict(input="values"))  # fmt: skip


def both(*names, method=True, function=True):
    """Enter a function as tg.<name> and as a method of Tensor, under its own name or the given ones.

    NumPy's argument names (axis, keepdims) are accepted beside PyTorch's (dim, keepdim).
    """

    def enter(f):
        def spelled(*args, **kwargs):
            if kwargs:
                accepted, renamed = spelling_of(f)
                for name in renamed.keys() & kwargs.keys():
                    kwargs[renamed[name]] = kwargs.pop(name)
                if "out" in kwargs and "out" not in accepted:
                    return into(kwargs.pop("out"), spelled(*args, **kwargs))
            return f(*args, **kwargs)

        spelled.__name__ = spelled.__qualname__ = f.__name__
        spelled.__doc__, spelled.__module__, spelled.__wrapped__ = f.__doc__, f.__module__, f
        for name in names or (f.__name__,):
            if function:
                functions[name] = spelled
            if method:
                methods[name] = spelled
        return spelled

    return enter


@functools.cache
def spelling_of(f):
    """The arguments that a function accepts, and {another name: its name here}."""
    accepted = set(f.__code__.co_varnames[: f.__code__.co_argcount + f.__code__.co_kwonlyargcount])
    renamed = {ours: theirs for ours, theirs in NUMPY_NAMES.items() if theirs in accepted and ours not in accepted}
    if "dims" in accepted and "dim" not in accepted:
        renamed["axis"] = renamed["dim"] = "dims"
    if "other" in accepted:
        renamed["y"] = "other"
    return accepted, renamed | FORMER.get(f.__name__, {})


def into(out, result):
    """PyTorch's `out=`: store the result (or each of several) in a tensor that exists, outside of any graph."""
    if isinstance(result, tuple) and isinstance(out, (tuple, list)) and len(out) == len(result):
        stored = [into(o, r) for o, r in zip(out, result)]
        return type(result)(*stored) if hasattr(result, "_fields") else tuple(stored)
    if not isinstance(out, Tensor):
        raise TypeError(f"out=: expected a Tensor, got {type(out).__name__}")
    if out.node is not None or isinstance(result, Tensor) and result.node is not None:
        raise RuntimeError("out=: results in a graph cannot be stored in an existing tensor; use the returned tensor instead")
    if not isinstance(result, Tensor):
        raise TypeError(f"out=: the result is {type(result).__name__}; only tensors can be stored in out")
    if dtypes.ranks[result.dtype.kind] > dtypes.ranks[out.dtype.kind]:
        raise RuntimeError(f"out=: a result of {result.dtype} cannot be stored in a tensor of {out.dtype}")
    if out.shape != result.shape:
        if out.array.size:
            raise RuntimeError(f"out=: the result has shape {list(result.shape)} and out has {list(out.shape)}")
        out.array = np.empty(result.shape, out.dtype)  # an empty tensor takes the shape of the result
    return out.copy_(result)


def only_function(*names):
    """Enter as tg.<name> only."""
    return both(*names, method=False)


def only_method(*names):
    """Enter as a method of Tensor only."""
    return both(*names, function=False)


def as_tensor(x):
    """`x` if it is a tensor, else a constant made of it."""
    from .create import as_tensor as convert

    return x if isinstance(x, Tensor) else convert(x)


def magnitudes(x):
    """|x| of complex numbers; real ones as they are, for their norms are the same."""
    return x.abs() if x.dtype.kind == "c" else x


def dims_of(dim):
    """A dimension argument for an operator: None, an int, or a tuple of ints; an empty list means all."""
    if dim is None or type(dim) is int:
        return dim
    if isinstance(dim, (tuple, list)):
        return tuple(int(d) for d in dim) or None
    return int(dim)


def axes_of(name, x, dim):
    """A dimension argument for an operator, each dimension checked; on a 0-d tensor, 0 and −1 mean all there is."""
    if dim is None:
        return None
    n = x.array.ndim
    if type(dim) is int and -n <= dim < n:
        return dim
    if isinstance(dim, (tuple, list)):
        dims = tuple(check_dim(name, x, int(d)) for d in dim)
        if len(set(dims)) < len(dims):
            raise RuntimeError(f"{name}: dim {tuple(dim)} names a dimension twice")
        return dims if dims and n else None
    dim = check_dim(name, x, int(dim))
    return dim if n else None


class Results(tuple):
    """Several results that can be taken by position or by name, printed as PyTorch prints them."""

    __slots__ = ()
    _fields: tuple = ()

    def __new__(cls, *values):
        return tuple.__new__(cls, values)

    def __getnewargs__(self):
        return tuple(self)

    def __repr__(self):
        return f"return_types.{type(self).__name__}(\n" + ",\n".join(f"{field}={value!r}" for field, value in zip(self._fields, self)) + ")"


def named_results(name, fields):
    """The class of the results of one function; a namedtuple would take five times as long to make."""
    names = tuple(fields.split())
    return type(name, (Results,), dict(__slots__=(), _fields=names, **{field: property(itemgetter(k)) for k, field in enumerate(names)}))


def ints(args):
    """A shape or list of dimensions given as several ints, or as one sequence."""
    if len(args) == 1 and isinstance(args[0], (tuple, list)):
        args = args[0]
    return tuple(args if {*map(type, args)} == {int} else map(index, args))


def sizes_of(name, args, named, keyword):
    """Several ints or one sequence of them, given by position or by keyword."""
    if named:
        if args or set(named) != {keyword}:
            raise TypeError(f"{name}: unexpected arguments {sorted(named)}; it takes {keyword}, as several ints or one tuple")
        args = (named[keyword],)
    return ints(args)


def check_dim(name, x, dim):
    """`dim` as a number from 0, or an error that says which ones exist."""
    n = array_of(x).ndim or 1
    if not -n <= dim < n:
        raise IndexError(f"{name}: dimension {dim} is out of range for a tensor of shape {list(array_of(x).shape)}; "
                         f"it must be between {-n} and {n - 1}")  # fmt: skip
    return dim % n
