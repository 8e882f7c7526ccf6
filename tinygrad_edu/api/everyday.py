"""The rest of what PyTorch programs say every day: facts about types, old constructors, windows, settings of the machine."""

import math

import numpy as np

from ..autograd import dtypes, memory, modes
from ..autograd.size import Size
from ..autograd.tensor import Tensor, array_of, as_memory
from ..ops import functions, indexing, shapes
from .create import bfloat16, check_device, cpu, dtype_of, finished, kind_for, tensor
from .spelling import as_tensor, both, check_dim, ints, methods, named_results, only_function, only_method
from .spelling import functions as public

# --- facts -------------------------------------------------------------------------------------------------------------


@both()
def is_nonzero(input):
    """True if the single element is not 0"""
    if input.numel() != 1:
        raise RuntimeError(f"is_nonzero: expected a tensor of one element, got shape {list(input.shape)}; use .any() or .all()")
    return bool(input.item())


@both()
def is_same_size(input, other):
    """True if both have the same shape"""
    return input.shape == other.shape


@both()
def is_signed(input):
    """True if the dtype has negative numbers"""
    return input.dtype.kind in "ifc"


class finfo:
    """The limits of a floating-point type: bits, eps, max, min, tiny, smallest_normal, resolution, dtype.

    >>> import tinygrad_edu as tg
    >>> tg.finfo(tg.float32).eps
    1.1920928955078125e-07
    """

    def __init__(self, dtype=None):
        if dtype is bfloat16:  # float32 with 7 bits of its fraction
            self.dtype, self.bits, self.eps, self.resolution = "bfloat16", 16, 2.0**-7, 0.01
            self.max, self.min = 2.0**127 * (2 - 2.0**-7), -(2.0**127) * (2 - 2.0**-7)
            self.tiny = self.smallest_normal = 2.0**-126
            return
        kind = np.dtype(dtypes.default if dtype is None else dtype_of(dtype))
        if kind.kind not in "fc":
            raise TypeError(f"finfo({kind}): that is no floating-point type; use iinfo for integers")
        facts = np.finfo(kind)
        self.dtype, self.bits = str(facts.dtype), facts.bits
        for name in ("eps", "max", "min", "tiny", "smallest_normal"):
            setattr(self, name, float(getattr(facts, name)))
        self.resolution = 10.0**-facts.precision

    def __repr__(self):
        names = ("resolution", "min", "max", "eps", "smallest_normal", "tiny")
        return f"finfo({', '.join(f'{name}={getattr(self, name):g}' for name in names)}, dtype={self.dtype})"


class iinfo:
    """The limits of an integer type: bits, max, min, dtype."""

    def __init__(self, dtype):
        kind = np.dtype(dtype_of(dtype))
        if kind.kind not in "iu":
            raise TypeError(f"iinfo({kind}): that is no integer type; use finfo for floating-point numbers")
        facts = np.iinfo(kind)
        self.dtype, self.bits, self.max, self.min = str(facts.dtype), facts.bits, int(facts.max), int(facts.min)

    def __repr__(self):
        return f"iinfo(min={self.min}, max={self.max}, dtype={self.dtype})"


public["finfo"], public["iinfo"], public["dtype"] = finfo, iinfo, dtypes.dtype
for name in "contiguous_format preserve_format channels_last strided sparse_coo sparse_csr sparse_csc sparse_bsr sparse_bsc jagged".split():
    public[name] = name  # accepted where PyTorch takes a memory format or layout; memory is what NumPy makes it
for name, fact in dict(is_cpu=True, is_mps=False, is_meta=False, is_xpu=False, is_nested=False).items():
    methods[name] = property(lambda self, fact=fact: fact, doc=f"{fact}: tensors live on the CPU.")  # type: ignore[misc]
methods["layout"] = property(lambda self: "strided", doc="How the elements lie in memory.")


class Storage:
    """The memory that a tensor, and all views of it, lie in."""

    def __init__(self, x):
        self.memory = memory.owner(as_memory(x))

    def data_ptr(self):
        """Where it begins: the same for all views."""
        return self.memory.__array_interface__["data"][0]

    def nbytes(self):
        """How many bytes it has."""
        return int(self.memory.nbytes)

    def size(self):
        """How many numbers it holds."""
        return int(self.memory.size)

    __len__ = size

    def tolist(self):
        """Its numbers, in the order in which they lie."""
        return self.memory.ravel(order="K").tolist()

    def __getitem__(self, index):
        return self.tolist()[index]

    def __setitem__(self, index, value):
        flat = self.memory.ravel(order="K")
        flat[index] = value
        if not np.shares_memory(flat, self.memory):
            raise RuntimeError("Storage: these numbers do not lie in one piece of memory; write to the tensor")

    def __iter__(self):
        return iter(self.tolist())

    def fill_(self, value):
        """Write one number everywhere; the storage itself comes back."""
        self[:] = value
        return self

    dtype = property(lambda self: self.memory.dtype, doc="The type of its numbers.")

    def __repr__(self):
        shown = self.tolist() if len(self) <= 100 else [*self.tolist()[:50], "⋮", *self.tolist()[-50:]]
        return "".join(f" {x}\n" for x in shown) + f"[Storage(dtype={self.dtype}, device=cpu) of size {len(self)}]"


public["UntypedStorage"] = public["TypedStorage"] = Storage
methods["storage"] = methods["untyped_storage"] = lambda self: Storage(self)
methods["is_set_to"] = lambda self, other: as_memory(self).__array_interface__ == as_memory(other).__array_interface__
methods["retains_grad"] = property(
    lambda self: self.node is not None and self.node.op is not None and self.node.note is not None and self.node.note.retain,
    doc="True if this result keeps its gradient.",
)
methods["get_device"] = lambda self: -1
methods["to_dense"] = lambda self, dtype=None: self if dtype is None else self.astype(dtype)
methods["to_sparse"] = methods["to_sparse_coo"] = methods["to_sparse_csr"] = lambda self, sparse_dim=None, **options: self
methods["coalesce"] = lambda self: self
methods["is_coalesced"] = lambda self: True
methods["sparse_mask"] = lambda self, mask: self * Tensor((as_memory(mask) != 0).astype(self.dtype), None)
methods["indices"] = methods["_indices"] = lambda self: Tensor(np.stack(np.nonzero(as_memory(self))), None)
methods["values"] = methods["_values"] = lambda self: self[np.nonzero(as_memory(self))]
methods["_nnz"] = lambda self: int(np.count_nonzero(as_memory(self)))
methods["is_pinned"] = methods["is_shared"] = methods["is_inference"] = lambda self: False

# --- real numbers ------------------------------------------------------------------------------------------------------

for name in ("resolve_conj", "resolve_neg", "real"):
    public[name] = lambda input: input
    if name != "real":
        methods[name] = public[name]


@both("conj", "conj_physical")
def conj(input):
    """re − i·im; a real tensor itself"""
    return public["complex"](input.real, -input.imag) if input.dtype.kind == "c" else input


public["is_conj"] = public["is_neg"] = methods["is_conj"] = methods["is_neg"] = lambda input: False


@both()
def angle(input):
    """0 for positive numbers, π for negative ones; the angle from the positive real axis for complex ones"""
    if input.dtype.kind == "c":
        return public["atan2"](input.imag, input.real)
    kind = dtypes.floating(input.dtype)
    return Tensor(np.where(np.isnan(input.array), np.nan, np.where(input.array < 0, np.pi, 0)).astype(kind)[()], None) + functions.sign(input) * 0


@both()
def frexp(input):
    """The pair (mantissa, exponent) with input = mantissa · 2^exponent and 0.5 ≤ |mantissa| < 1"""
    _, exponent = np.frexp(input.array)
    return FrExp(input * Tensor(np.ldexp(np.ones_like(input.array), -exponent), None), Tensor(np.asarray(exponent, np.int32), None))


FrExp = named_results("frexp", "mantissa exponent")


@both()
def ldexp(input, other):
    """input · 2^other"""
    input, other = as_tensor(input), as_tensor(other)
    kind = input.dtype.to_real() if input.dtype.kind in "fc" and other.dtype.kind in "iub" else dtypes.floating(other.dtype)
    return input * functions.exp2(other.astype(kind))


# --- constructors ------------------------------------------------------------------------------------------------------

public["spmm"] = public["dsmm"] = public["mm"]  # the old names for a sparse matrix times a dense one; ours are all dense

KINDS = dict(Float="float32", Double="float64", Half="float16", Int="int32", Long="int64", Short="int16", Char="int8", Byte="uint8",
             Bool="bool")  # fmt: skip
NAMES = {kind: name for name, kind in KINDS.items()} | dict(complex64="ComplexFloat", complex128="ComplexDouble")


def legacy(args, dtype, device=None):
    """What the old constructors make: of numbers a tensor of that size, of data a tensor of it."""
    check_device(device)
    if all(isinstance(a, (int, np.integer)) for a in args):
        return np.zeros(args or 0, dtype)
    if len(args) == 1 and isinstance(args[0], Size):
        return np.zeros(args[0], dtype)
    if len(args) > 1 or not isinstance(args[0], (Tensor, np.ndarray)) and not hasattr(args[0], "__len__"):
        raise TypeError("Tensor(…): expected sizes as ints, or one list or array of numbers; use tensor(data) or zeros(size)")
    return tensor(args[0], dtype=dtype).array


class Constructor(type):
    """The class of FloatTensor and its kin: calling one makes a Tensor, and every Tensor of its dtype is an instance."""

    dtype: np.dtype

    def __call__(cls, *args, device=None):
        return Tensor(legacy(args, cls.dtype, device), None)

    def __instancecheck__(cls, value):
        return isinstance(value, Tensor) and value.dtype == cls.dtype


def old_constructor(name, dtype):
    """FloatTensor and its kin."""

    doc = f"An old way to make a tensor of {dtype}: of a size given as ints, or of data"
    public[name] = Constructor(name, (), dict(dtype=dtype, __doc__=doc, __module__="tinygrad_edu"))  # x.type(DoubleTensor) reads dtype


for name, kind in KINDS.items():
    old_constructor(f"{name}Tensor", np.dtype(kind))

Tensor.of_data = staticmethod(lambda args: legacy(args, dtypes.default))


@only_method()
def new(self, *args):
    """A tensor of this one's dtype: of a size given as ints, or of data"""
    return Tensor(legacy(args, self.dtype), None)


@only_function()
def scalar_tensor(s, *, dtype=None, device=None, requires_grad=False, layout=None, pin_memory=False):
    """A 0-d tensor"""
    check_device(device)
    return finished(np.asarray(s, dtypes.default if dtype is None else dtype_of(dtype)), requires_grad)


@only_function()
def fill(input, value):
    """A tensor like input, filled with one number"""
    value = value if isinstance(value, Tensor) else Tensor(np.asarray(value, input.dtype), None)
    if value.ndim:
        raise RuntimeError(f"fill: the value must be a number or a 0-d tensor, not of shape {list(value.shape)}")
    return indexing.setitem(input, value.astype(input.dtype), index=(Ellipsis,))


def window(name, make, doc):
    """A window function with PyTorch's `periodic`: then it is one longer, without its last number."""

    def function(window_length, periodic=True, *options, dtype=None, device=None, requires_grad=False, layout=None, **named):
        check_device(device)
        n = int(window_length)
        values = make(n + 1, *options, **named)[:-1] if periodic and n > 1 else make(n, *options, **named)
        return finished(values.astype(dtypes.default if dtype is None else dtype_of(dtype)), requires_grad)

    function.__name__, function.__doc__ = name, doc
    public[name] = function


def cosine_window(n, alpha=0.54, beta=0.46):
    """α − β · cos(2πk / (n − 1))"""
    return alpha - beta * np.cos(2 * np.pi * np.arange(n) / max(n - 1, 1)) if n > 1 else np.ones(n)


window("hann_window", lambda n: cosine_window(n, 0.5, 0.5), "½ − ½ · cos(2πk / n)")
window("hamming_window", cosine_window, "α − β · cos(2πk / n)")
window("blackman_window", lambda n: np.maximum(np.blackman(n), 0), "0.42 − 0.5 · cos(2πk / n) + 0.08 · cos(4πk / n)")
window("bartlett_window", np.bartlett, "A triangle from 0 over 1 back to 0")
window("kaiser_window", lambda n, beta=12.0: np.kaiser(n, beta), "Kaiser's window with shape β")


@both("histogram")
def histogram(input, bins=100, *, range=None, weight=None, density=False):
    """The pair (hist, bin_edges): how many elements fall between neighbouring edges"""
    x = input.array.reshape(-1)
    edges = array_of(bins)
    if not isinstance(bins, Tensor):
        low, high = range or ((x.min(), x.max()) if x.size else (0, 1))
        low, high = (low - 0.5, high + 0.5) if low == high else (low, high)
        edges = array_of(public["linspace"](float(low), float(high), bins + 1, dtype=input.dtype))
    inside = (x >= edges[0]) & (x <= edges[-1])
    w = None if weight is None else weight.array.reshape(-1)[inside]
    places = np.minimum(np.searchsorted(edges, x[inside], "right") - 1, len(edges) - 2)  # the last part holds its right edge too
    hist = np.bincount(places, w, len(edges) - 1).astype(input.dtype)
    return Histogram(Tensor(hist / (hist.sum() * np.diff(edges)) if density else hist, None), Tensor(edges, None))


Histogram = named_results("histogram", "hist bin_edges")


@only_function()
def gradient(input, *, spacing=1, dim=None, edge_order=1):
    """Slopes of sampled values along each dimension, by differences of neighbours: a tuple"""
    dims = range(input.ndim) if dim is None else ints((dim,)) if isinstance(dim, (tuple, list)) else (dim,)
    dims = [check_dim("gradient", input, d) for d in dims]
    spacing = 1 if spacing is None else spacing
    spaced = spacing if isinstance(spacing, (tuple, list)) else [spacing] * len(dims)
    if edge_order not in (1, 2) or len(spaced) != len(dims):
        raise RuntimeError(f"gradient: edge_order={edge_order} must be 1 or 2, and spacing {len(dims)} numbers or vectors")
    return tuple(slopes(input, d, h, edge_order) for d, h in zip(dims, spaced))


def slopes(x, dim, spacing, edge_order):
    """One dimension of `gradient`: the parabola through three neighbours, a line (or parabola) at the edges."""
    n = x.shape[dim]
    if n < edge_order + 1:
        raise RuntimeError(f"gradient: dimension {dim} has {n} elements, and edge_order={edge_order} needs {edge_order + 1}")
    x = shapes.moveaxis(x if x.dtype.kind in "fc" else x.astype(dtypes.default), source=dim, destination=0)
    where = array_of(spacing) if isinstance(spacing, Tensor) and spacing.ndim else np.arange(n) * float(array_of(spacing))
    h = np.diff(where).reshape(-1, *[1] * (x.ndim - 1)).astype(x.dtype)

    def parabola(k, at):
        a, b = h[k : k + 1], h[k + 1 : k + 2]
        weights = dict(first=(-(2 * a + b) / (a * (a + b)), (a + b) / (a * b), -a / (b * (a + b))),
                       last=(b / (a * (a + b)), -(a + b) / (a * b), (a + 2 * b) / (b * (a + b))))[at]  # fmt: skip
        return sum(x[k + i : k + i + 1] * Tensor(w, None) for i, w in enumerate(weights))

    parts = [(x[1:2] - x[:1]) / Tensor(h[:1], None) if edge_order == 1 else parabola(0, "first")]
    if n > 2:
        a, b = h[:-1], h[1:]
        parts.append(x[:-2] * Tensor(-b / (a * (a + b)), None) + x[1:-1] * Tensor((b - a) / (a * b), None) + x[2:] * Tensor(a / (b * (a + b)), None))
    parts.append((x[-1:] - x[-2:-1]) / Tensor(h[-1:], None) if edge_order == 1 else parabola(n - 3, "last"))
    return shapes.moveaxis(shapes.concatenate(*parts, axis=0), source=0, destination=dim)


# --- memory ------------------------------------------------------------------------------------------------------------


@only_method()
def resize_(self, *size, memory_format=None):
    """Give the tensor another size in place: its elements in row-major order, zeros (PyTorch: anything) after them"""
    if memory.in_graph(self):
        raise RuntimeError("resize_: this tensor is in a graph; make a new tensor instead")
    size, old = ints(size), as_memory(self)
    owner = memory.owner(old)
    start = (old.__array_interface__["data"][0] - owner.__array_interface__["data"][0]) // max(old.itemsize, 1)
    end = start + math.prod(size)
    if owner.dtype == old.dtype and owner.flags.c_contiguous and end <= owner.size:
        self.array = owner.reshape(-1)[start:end].reshape(size)
        return self
    if self.base is not None or self.views:
        raise RuntimeError(f"resize_: this tensor shares its memory with a view, and {list(size)} does not fit there; make a new tensor instead")
    old = old.reshape(-1)
    self.array = np.zeros(size, self.dtype)
    self.array.reshape(-1)[: old.size] = old[: self.array.size]
    memory.note_write(self.array, "resize_")
    return self


@only_method()
def resize_as_(self, other, memory_format=None):
    """Give the tensor the size of another, in place"""
    return resize_(self, *other.shape)


public["detach"] = lambda input: input.detach()


def is_storage(obj):
    """True if `obj` is what `x.storage()` returns: the elements of a tensor in one row."""
    return isinstance(obj, Storage)


public["is_storage"] = is_storage
public["get_device"] = lambda input: -1


@only_function()
def typename(obj):
    """The name of a tensor's type in PyTorch's words, as torch.FloatTensor; of anything else, its class"""
    return obj.type() if isinstance(obj, Tensor) else f"{type(obj).__module__}.{type(obj).__qualname__}".removeprefix("builtins.")


@only_function("range")
def inclusive_range(start=0, end=None, step=1, *, dtype=None, device=None, requires_grad=False, layout=None, out=None):
    """Numbers from start to end, end included: the former arange"""
    check_device(device)
    start, end = (0, start) if end is None else (start, end)
    count = int((end - start) / step) + 1
    return finished((start + step * np.arange(count)).astype(kind_for(dtype, out)), requires_grad, out)

# --- settings ----------------------------------------------------------------------------------------------------------

settings = dict(threads=1, interop=1, precision="highest", deterministic=True)


def setting(name, setter, getter, doc):
    """A pair of functions that remember what a program set: nothing here depends on it."""

    def change(value, **options):
        settings[name] = value

    change.__name__, change.__doc__ = setter, doc
    public[setter], public[getter] = change, lambda: settings[name]


setting("threads", "set_num_threads", "get_num_threads", "Accepted and remembered: NumPy's BLAS library decides on its own threads.")
setting("interop", "set_num_interop_threads", "get_num_interop_threads", "Accepted and remembered: operators run one after the other.")
setting("precision", "set_float32_matmul_precision", "get_float32_matmul_precision", "Accepted: products are always exact to their dtype.")
setting("deterministic", "use_deterministic_algorithms", "are_deterministic_algorithms_enabled", "Accepted: all algorithms here are.")


@only_function()
def set_default_device(device):
    """Accepted for the CPU, the only device"""
    check_device(device)


@only_function()
def get_default_device():
    """The CPU"""
    return cpu


@only_function()
def set_default_tensor_type(t):
    """The old way to say set_default_dtype: a name such as "torch.DoubleTensor", or tg.DoubleTensor's name"""
    name = str(t).rpartition(".")[2].removesuffix("Tensor")
    if name not in KINDS:
        raise TypeError(f"set_default_tensor_type({t!r}): expected a name such as 'torch.DoubleTensor'; or use set_default_dtype")
    dtypes.set_default_dtype(KINDS[name])


public["is_inference_mode_enabled"] = lambda: modes.state.inference
public["is_anomaly_enabled"] = lambda: bool(modes.state.anomaly)
public["is_anomaly_check_nan_enabled"] = lambda: bool(modes.state.anomaly and modes.state.anomaly.nan)

# --- in place, as functions ----------------------------------------------------------------------------------------------

OVERWRITING = """abs acos acosh asin asinh atan atanh ceil clamp clamp_max clamp_min clip cos cosh deg2rad detach erf erfc exp exp2 expm1
fill floor frac index_put log log10 log1p log2 logit nan_to_num neg negative rad2deg reciprocal relu round rsqrt sigmoid sin sinc
sinh sqrt square tan tanh trunc xlogy zero""".split()


def install_overwriting():
    """torch.exp_(x) is x.exp_(): entered once all methods are known."""
    for name in OVERWRITING:
        public[name + "_"] = methods[name + "_"]
