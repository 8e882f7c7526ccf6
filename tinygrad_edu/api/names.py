"""Names at PyTorch's top that few programs ask for: functions that copy, in-place functions, settings, and one or two of a kind."""

import numpy as np

from ..autograd import dtypes, modes
from ..autograd.tensor import Tensor, array_of
from . import create, linalg
from .create import check_device, dtype_of, finished
from .spelling import both, ints, methods, named_results, only_function, only_method
from .spelling import functions as public

# --- a function of its own for each view, with memory of its own ---------------------------------------------------------

COPIED = """alias as_strided detach diagonal expand narrow permute select split split_with_sizes squeeze t transpose unbind unfold unsqueeze
view view_as_complex view_as_real""".split()


def copying(name):
    """torch.view_copy and its kin: what the method of the name without _copy returns, in memory of its own."""
    method = methods.get(name) or public.get(name)

    def copied(input, *args, **kwargs):
        out = method(input, *args, **kwargs) if method is not None else input
        return tuple(x.clone() for x in out) if isinstance(out, (tuple, list)) else out.clone()

    copied.__name__, copied.__doc__ = f"{name}_copy", f"`{name}`, in memory of its own."
    return copied


for name in COPIED:
    public[f"{name}_copy"] = copying(name)
methods["narrow_copy"] = public["narrow_copy"]

OVERWRITING = """addmv arccos arccosh arcsin arcsinh arctan arctanh fix gcd i0 lcm ldexp resize_as""".split()
for name in OVERWRITING:
    public[f"{name}_"] = methods[f"{name}_"]
public["conj_physical_"] = methods["conj_physical_"] = lambda input: input.copy_(public["conj"](input)) if input.dtype.kind == "c" else input
public["unsafe_split_with_sizes"] = methods["unsafe_split_with_sizes"] = methods["split_with_sizes"]

# --- tensors ---------------------------------------------------------------------------------------------------------------


@only_function()
def frombuffer(buffer, *, dtype, count=-1, offset=0, requires_grad=False):
    """A tensor of the numbers that lie in a buffer: it shares the memory, where that may be written to

    >>> import tinygrad_edu as tg
    >>> tg.frombuffer(bytearray([1, 2, 3]), dtype=tg.uint8)
    tensor([1, 2, 3], dtype=uint8)
    """
    array = np.frombuffer(buffer, dtype_of(dtype), count, offset)
    t = create.from_numpy(array) if array.flags.writeable else Tensor(array.copy(), None)
    return t.requires_grad_() if requires_grad else t


@only_function()
def empty_strided(size, stride, *, dtype=None, layout=None, device=None, requires_grad=False, pin_memory=False):
    """A tensor of a size, whose next elements lie `stride` elements further in memory; its numbers are not set"""
    check_device(device)
    size, stride = ints((size,)), ints((stride,))
    if len(size) != len(stride):
        raise RuntimeError(f"empty_strided: size {list(size)} and stride {list(stride)} must have the same length")
    kind = dtypes.default if dtype is None else dtype_of(dtype)
    length = 1 + sum((n - 1) * s for n, s in zip(size, stride)) if 0 not in size else 0
    memory = np.empty(length, kind)
    return finished(np.lib.stride_tricks.as_strided(memory, size, [s * kind.itemsize for s in stride]), requires_grad)


@only_function()
def empty_permuted(size, physical_layout, *, dtype=None, layout=None, device=None, requires_grad=False, pin_memory=False):
    """A tensor of a size whose dimensions lie in memory in another order, the last of it next to each other; its numbers are not set"""
    check_device(device)
    size, order = ints((size,)), ints((physical_layout,))
    if sorted(order) != list(range(len(size))):
        raise RuntimeError(f"empty_permuted: physical_layout {list(order)} must name each of the {len(size)} dimensions once")
    kind = dtypes.default if dtype is None else dtype_of(dtype)
    return finished(np.empty([size[d] for d in order], kind).transpose(np.argsort(order)), requires_grad)


@only_method()
def new_empty_strided(self, size, stride, dtype=None, layout=None, device=None, requires_grad=False, pin_memory=False):
    """empty_strided, of this tensor's type"""
    return empty_strided(size, stride, dtype=self.dtype if dtype is None else dtype, requires_grad=requires_grad)


@both()
def nonzero_static(input, *, size, fill_value=-1):
    """The first `size` rows of nonzero(); filled up with fill_value"""
    found = np.argwhere(array_of(input))[:size]
    out = np.full((size, found.shape[1]), fill_value, np.int64)
    out[: len(found)] = found
    return Tensor(out, None)


@both()
def histogramdd(input, bins, *, range=None, weight=None, density=False):
    """The pair (hist, bin_edges): how many points (n, d) fall into each cell of a grid

    >>> import tinygrad_edu as tg
    >>> tg.histogramdd(tg.tensor([[0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]), [2, 2]).hist
    tensor([[0., 1.],
            [1., 1.]])
    """
    points = array_of(input)
    d = points.shape[-1]
    if isinstance(bins, (tuple, list)) and bins and isinstance(bins[0], Tensor):
        bins = [array_of(edges) for edges in bins]
    pairs = None if range is None else [tuple(range[2 * i : 2 * i + 2]) for i in np.arange(d)]
    w = None if weight is None else array_of(weight).reshape(-1)
    hist, edges = np.histogramdd(points.reshape(-1, d), bins, pairs, density=density, weights=w)
    return HistogramDD(Tensor(hist.astype(input.dtype), None), tuple(Tensor(e.astype(input.dtype), None) for e in edges))


HistogramDD = named_results("histogramdd", "hist bin_edges")
TriangularSolve = named_results("triangular_solve", "solution cloned_coefficient")


@both()
def triangular_solve(input, A, upper=True, transpose=False, unitriangular=False):
    """(x, A) with A x = input, A triangular; torch.linalg.solve_triangular is the new name"""
    coefficient = A.transpose(-2, -1) if transpose else A
    solution = linalg.solve_triangular(coefficient, input, upper=upper != transpose, unitriangular=unitriangular)
    return TriangularSolve(solution, A.clone())


def removed(name, instead):
    """A function that PyTorch no longer has."""

    def gone(*args, **kwargs):
        raise RuntimeError(f"{name}: this function was removed from PyTorch; use {instead}")

    gone.__name__, gone.__doc__ = name, f"Removed from PyTorch: use {instead}."
    public[name] = methods[name] = gone


removed("eig", "linalg.eig"), removed("symeig", "linalg.eigh"), removed("lstsq", "linalg.lstsq"), removed("solve", "linalg.solve")


@only_method()
def map_(self, tensor, callable):
    """Each element replaced by what the callable gives for it and the one of another tensor; in place, without a gradient"""
    return self.copy_(Tensor(np.vectorize(callable, otypes=[self.dtype])(array_of(self), array_of(tensor)), None))


@only_method()
def hardshrink(self, lambd=0.5):
    """nn.functional.hardshrink of the tensor"""
    from ..nn import functional

    return functional.hardshrink(self, lambd)


@only_method()
def prelu(self, weight):
    """nn.functional.prelu of the tensor"""
    from ..nn import functional

    return functional.prelu(self, weight)


@both()
def stft(input, n_fft, hop_length=None, win_length=None, window=None, center=True, pad_mode="reflect", normalized=False, onesided=None,
         return_complex=None, align_to_window=None):  # fmt: skip
    """The Fourier transforms of overlapping windows of a signal; see `spectral.stft`"""
    from ..spectral import stft as transform

    return transform(input, n_fft, hop_length, win_length, window, center, pad_mode, normalized, onesided, return_complex, align_to_window)


@both()
def istft(input, n_fft, hop_length=None, win_length=None, window=None, center=True, normalized=False, onesided=None, length=None,
          return_complex=False):  # fmt: skip
    """The signal whose stft is given; see `spectral.istft`"""
    from ..spectral import istft as inverse

    return inverse(input, n_fft, hop_length, win_length, window, center, normalized, onesided, length, return_complex)


@only_function()
def segment_reduce(data, reduce, *, lengths=None, indices=None, offsets=None, axis=0, unsafe=False, initial=None):
    """sum, mean, max, min or prod of each segment of an axis, whose lengths are given; segments without elements give `initial`

    >>> import tinygrad_edu as tg
    >>> tg.segment_reduce(tg.tensor([1.0, 2.0, 3.0]), "sum", lengths=tg.tensor([2, 1]))
    tensor([3., 3.])
    """
    if lengths is None and offsets is None:
        raise RuntimeError("segment_reduce: give lengths or offsets")
    sizes = array_of(lengths) if lengths is not None else np.diff(array_of(offsets))
    if sizes.ndim != 1 or axis != 0:
        raise NotImplementedError("segment_reduce: lengths of one dimension, and axis 0")
    if sizes.sum() != data.shape[0] and not unsafe:
        raise RuntimeError(f"segment_reduce: the lengths add up to {int(sizes.sum())}, and the data has {data.shape[0]} rows")
    neutral = dict(sum=0.0, mean=np.nan, max=-np.inf, min=np.inf, prod=1.0)
    if reduce not in neutral:
        raise RuntimeError(f"segment_reduce: reduce must be one of {', '.join(neutral)}, not {reduce!r}")
    empty = data.new_full(tuple(data.shape[1:]), neutral[reduce] if initial is None else initial)

    def reduced(part):
        if not part.shape[0]:
            return empty
        if reduce in ("max", "min"):
            part = part if initial is None else public["cat"]([part, empty.unsqueeze(0)])
            return getattr(part, f"a{reduce}")(0)
        if reduce == "prod":
            return part.prod(0) if initial is None else part.prod(0) * initial
        total = part.sum(0) if initial is None else part.sum(0) + initial
        return total / part.shape[0] if reduce == "mean" else total

    return public["stack"]([reduced(part) for part in data.split([int(n) for n in sizes])])


@only_function()
def cond(pred, true_fn, false_fn, operands=()):
    """true_fn(*operands) if pred is true, else false_fn(*operands)"""
    return (true_fn if bool(pred) else false_fn)(*operands)


def _assert(condition, message):
    """An error with this message, unless the condition holds."""
    assert condition, message


def _assert_async(input, assert_msg=""):
    """An error, unless the one element of a tensor is true."""
    if not bool(input):
        raise RuntimeError(assert_msg or "Expected Tensor with single nonzero value, but got zero")


class SymInt:
    """The size that a tracer of PyTorch does not know yet. There is no tracer here: nothing is an instance of it."""


class SymFloat(SymInt):
    """The number that a tracer of PyTorch does not know yet."""


class SymBool(SymInt):
    """The truth value that a tracer of PyTorch does not know yet."""


def _check(cond, message=None):
    """A RuntimeError with what message() returns, unless the condition holds."""
    if not cond:
        raise RuntimeError("Expected cond to be True" if message is None else message())


# --- settings that change nothing here --------------------------------------------------------------------------------------

public.update(
    set_anomaly_enabled=modes.set_detect_anomaly,
    is_autocast_enabled=lambda device_type=None: False,
    is_autocast_cpu_enabled=lambda: False,
    is_autocast_cache_enabled=lambda: True,
    get_autocast_gpu_dtype=lambda: create.dtype_names["float16"],
    get_autocast_dtype=lambda device_type: create.bfloat16 if str(device_type) == "cpu" else create.dtype_names["float16"],
    get_autocast_cpu_dtype=lambda: create.bfloat16,
    clear_autocast_cache=lambda: None,
    get_deterministic_debug_mode=lambda: 0,
    set_deterministic_debug_mode=lambda debug_mode: None,
    is_deterministic_algorithms_warn_only_enabled=lambda: False,
    set_warn_always=lambda b: None,
    is_warn_always_enabled=lambda: False,
    set_flush_denormal=lambda mode: False,
    to_dlpack=lambda tensor: tensor.__dlpack__(),
    is_distributed=lambda input: False,
    sym_int=int,
    sym_float=float,
    sym_not=lambda a: not a,
    sym_max=lambda a, b: max(a, b),
    sym_min=lambda a, b: min(a, b),
    sym_sum=lambda args: sum(args),
    sym_ite=lambda b, t, f: t if b else f,
    bfloat16=create.bfloat16,
    complex32=create.complex32,
    cfloat=create.dtype_names["complex64"],
    cdouble=create.dtype_names["complex128"],
    channels_last_3d="channels_last_3d",
    layout=str,
    memory_format=str,
)
for name in "is_ipu is_maia is_mkldnn is_mtia is_vulkan is_xla is_sparse_csr".split():
    methods[name] = property(lambda self: False, doc="False: tensors live on the CPU, and are dense.")  # type: ignore[misc]
methods["is_distributed"] = lambda self: False
methods["cfloat"] = lambda self: self.to(create.dtype_names["complex64"])
methods["cdouble"] = lambda self: self.to(create.dtype_names["complex128"])
methods["bfloat16"] = lambda self, memory_format=None: self.to(create.bfloat16)
methods["dim_order"] = lambda self: tuple(sorted(range(self.ndim), key=lambda d: (-self.stride(d), d)))
methods["output_nr"] = property(lambda self: 0, doc="0: each tensor is the only result of its node.")  # type: ignore[misc]
