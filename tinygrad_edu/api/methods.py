"""Tensor's operators, methods and in-place forms, its place in NumPy's world, and how it prints."""

import numpy as np

from ..autograd import dtypes, engine, memory, modes
from ..autograd.grad_fn import gradient_function, registered
from ..autograd.node import note_of
from ..autograd.operator import numpy_functions
from ..autograd.size import Size
from ..autograd.specialize import function_of
from ..autograd.tensor import Tensor, array_of, as_memory
from ..ops import arithmetic as ar
from ..ops import products, shapes
from . import everyday, linalg
from .create import check_device, cpu, dtype_of, stored
from .create import device as device_type
from .spelling import functions as public
from .spelling import methods, only_method

# --- operators -------------------------------------------------------------------------------------------------------


def comparison(operator):
    """x == y and its kin: element by element with numbers, tensors and arrays; anything else is not comparable."""

    def compare(self, other):
        return operator(self, other) if isinstance(other, USABLE) else NotImplemented

    return compare


USABLE = (Tensor, np.ndarray, *dtypes.numbers, np.generic)
SEQUENCES = (list, tuple, str, bytes)  # their reflected forms are about repetition and formatting
KNOWN = (*USABLE, *SEQUENCES)


def bitwise(operator, logical):
    """x & y and its kin: logic for booleans, bits for integers."""

    def compute(self, other):
        return (logical if other.__class__ is bool and self.dtype == bool else operator)(self, other)

    return compute


def left_to(other, name):
    """True if the other operand's class may know what to do with a tensor, as in x + symbol."""
    return other is None or not isinstance(other, KNOWN) and hasattr(type(other), f"__r{name}__")


def binary(op, name):
    """An operator as Python calls it: what it cannot use is left to the reflected method of the other operand, if there is one."""
    function = function_of(op)

    def apply_or_leave(op, args, params):
        return NotImplemented if left_to(args[1], name) else op.function.__globals__["apply"](op, args, params)

    function.__globals__["apply"] = apply_or_leave  # what it calls where the arguments are not all tensors or floats
    function.op = op
    return function


def unless_left(method, name):
    """A method such as x += y that leaves what it cannot use to the other operand."""

    def compute(self, other):
        return NotImplemented if left_to(other, name) else method(self, other)

    compute.__name__, compute.__doc__ = method.__name__, method.__doc__
    return compute


def reverse(operator):
    """The operator with its operands exchanged: what Python calls for 2 − x. A list times a number that is a tensor is Python's."""
    repeats = operator is ar.mul
    return lambda self, other: NotImplemented if repeats and isinstance(other, (list, tuple, str)) else operator(other, self)


OPERATORS = dict(add=ar.add, sub=ar.sub, mul=ar.mul, truediv=ar.div, pow=ar.pow, floordiv=ar.floor_divide, mod=ar.remainder,
                 matmul=products.matmul, and_=ar.bitwise_and, or_=ar.bitwise_or, xor=ar.bitwise_xor,
                 lshift=ar.bitwise_left_shift, rshift=ar.bitwise_right_shift)  # fmt: skip
for name, op in OPERATORS.items():
    methods[f"__{name.strip('_')}__"] = binary(op.op, name.strip("_"))
    methods[f"__r{name.strip('_')}__"] = reverse(op)
for name in ("eq", "ne", "lt", "le", "gt", "ge"):
    methods[f"__{name}__"] = comparison(getattr(ar, name))
methods["__neg__"], methods["__pos__"] = ar.neg, lambda self: self
methods["__abs__"] = methods["abs"]
methods["__invert__"] = ar.bitwise_not


def as_number(kind):
    """float(x) and its kin, for a tensor of one element."""

    def convert(self):
        if self.array.size != 1:
            raise ValueError(f"{kind.__name__}(tensor): a tensor of shape {list(self.array.shape)} is not a single number; use .tolist()")
        return kind(self.array.item())

    return convert


for python_type in (float, int, complex):
    methods[f"__{python_type.__name__}__"] = as_number(python_type)
methods["__iter__"] = lambda self: iter(methods["unbind"](self)) if self.ndim else refuse_iteration()
methods["__reversed__"] = lambda self: methods["flip"](self, 0)


def refuse_iteration():
    """Say why a single number cannot be iterated over."""
    raise TypeError("iteration over a 0-d tensor: it is a single number; use .item()")


@only_method()
def __index__(self):
    if self.dtype.kind not in "iub" or self.array.size != 1:
        raise TypeError(f"only integer tensors of a single element can be an index, not {self.dtype}{list(self.array.shape)}")
    return int(self.array.item())


@only_method()
def __contains__(self, value):
    if not isinstance(value, (Tensor, bool, int, float, complex, np.generic)):
        raise RuntimeError(f"x in tensor: it holds numbers, and x is {type(value).__name__}")
    return bool((self.array == array_of(value)).any())


# --- in place --------------------------------------------------------------------------------------------------------


def in_place(function):
    """The form of a function that overwrites its first argument: add_ from add."""
    ufunc = dict(add=np.add, sub=np.subtract, mul=np.multiply, div=np.true_divide).get(function.__name__)
    name = f"{function.__name__}_"

    def method(self, *args, **kwargs):
        if ufunc and len(args) == 1 and not kwargs and fast(self, args[0]):
            ufunc(self.array, array_of(args[0]), out=self.array)
            memory.note_write(self.array, name)
            return self
        return memory.write(self, name, lambda former: function(former, *args, **kwargs))

    method.__name__ = name
    method.__doc__ = f"`{function.__name__}`, in place: overwrites the tensor and returns it."
    return method


def fast(x, other):
    """True if NumPy may compute in place: no graph, one floating type, and a result of the tensor's own shape."""
    a, b = x.array, array_of(other)
    if modes.state.grad and (memory.in_graph(x) or isinstance(other, Tensor) and other.node is not None):
        return False
    if not isinstance(a, np.ndarray) or a.dtype.kind != "f" or x.shared or not a.flags.writeable:
        return False
    if isinstance(b, (int, float)):
        return True
    return getattr(b, "dtype", None) == a.dtype and (b.shape == a.shape or b.ndim <= a.ndim and fits(b.shape, a.shape))


def fits(small, large):
    """True if `small` broadcasts to `large`."""
    return all(m in (1, n) for m, n in zip(small[::-1], large[::-1]))


IN_PLACE = """abs absolute sign sgn sqrt rsqrt square reciprocal exp exp2 expm1 log log2 log10 log1p sin cos tan asin acos
atan arcsin arccos arctan sinh cosh tanh asinh acosh atanh arcsinh arccosh arctanh sinc deg2rad rad2deg erf erfinv erfc lgamma
digamma mvlgamma polygamma i0 igamma igammac floor ceil trunc fix frac round sigmoid relu neg negative add sub subtract mul multiply div divide
true_divide pow float_power remainder fmod floor_divide clamp clamp_min clamp_max clip lerp addcmul addcdiv masked_fill
masked_scatter scatter scatter_add scatter_reduce index_add index_copy index_fill index_put index_reduce put renorm cumsum cumprod
tril triu atan2 arctan2 hypot heaviside nextafter ldexp gcd lcm logical_and logical_or logical_not logical_xor bitwise_and
bitwise_or bitwise_xor bitwise_not bitwise_left_shift bitwise_right_shift eq ne lt le gt ge not_equal less less_equal greater
greater_equal nan_to_num logit addmm addmv addr addbmm baddbmm copysign xlogy""".split()
for name in IN_PLACE:
    methods[name + "_"] = in_place(methods[name])
for name, target in dict(iadd="add_", isub="sub_", imul="mul_", itruediv="div_", ipow="pow_", imod="remainder_",
                         ifloordiv="floor_divide_", iand="bitwise_and_", ior="bitwise_or_", ixor="bitwise_xor_").items():  # fmt: skip
    methods[f"__{name}__"] = unless_left(methods[target], name[1:])


@only_method()
def copy_(self, src, non_blocking=False):
    """Overwrite the tensor with the values of another, broadcast to its shape."""
    source = src if isinstance(src, Tensor) else Tensor(np.asarray(src), None)
    source = source.real if source.array.dtype.kind == "c" != self.array.dtype.kind else source  # as PyTorch, which warns
    old, new = self.array, source.array
    if old.dtype == new.dtype and new.shape in ((), old.shape) and not (modes.state.grad and (source.node is not None or memory.in_graph(self))):
        memory.fill(self, Ellipsis, new, "copy_")
    else:
        methods["__setitem__"](self, Ellipsis, source)
    return self


@only_method()
def fill_(self, value):
    """Overwrite every element with one number."""
    if isinstance(value, (bool, int, float)):
        value = np.asarray(stored("fill_", value, self.array.dtype), self.array.dtype)
    return copy_(self, value)


@only_method()
def zero_(self):
    """Overwrite every element with 0."""
    return copy_(self, np.zeros((), self.array.dtype))


@only_method()
def fill_diagonal_(self, fill_value, wrap=False):
    """Overwrite the main diagonal with one number."""
    memory.check_update(self, "fill_diagonal_") if modes.state.grad and memory.in_graph(self) else None
    if self.ndim < 2 or self.ndim > 2 and len(set(self.shape)) > 1:
        raise RuntimeError(f"fill_diagonal_: expected a matrix, or more dimensions of one size, got shape {list(self.shape)}")
    n = min(self.shape)
    rows = places = np.arange(n)
    if wrap and self.ndim == 2 and n and self.shape[0] > n:  # a tall matrix: begin again below, with a row between
        steps = np.arange(0, self.shape[0] * n, n + 1)
        rows, places = steps // n, steps % n
    methods["__setitem__"](self, (rows, *(places,) * (self.ndim - 1)), fill_value)
    return self


def reshaping(name):
    """The in-place form of a function that only changes the shape: the tensor becomes the view."""

    def method(self, *args, **kwargs):
        out = methods[name](self, *args, **kwargs)
        self.array, self.node = out.array, out.node
        return self

    methods[name + "_"] = method


for name in ("squeeze", "unsqueeze", "transpose", "t", "swapaxes", "swapdims"):
    reshaping(name)

# --- the graph -------------------------------------------------------------------------------------------------------


@only_method()
def backward(self, gradient=None, retain_graph=None, create_graph=False, inputs=None):
    """Compute the gradients of this tensor and add them to `.grad` of the leaves it was made from."""
    engine.backward((self,), (gradient,), retain_graph, create_graph, inputs)


@only_method()
def detach(self):
    """The same values, and memory, without their history."""
    return memory.alias(self)


@only_method()
def detach_(self):
    """Forget how this tensor was made: it becomes a constant."""
    if memory.history(self) is not self:
        raise RuntimeError("detach_: a view cannot be detached in place; use y = x.detach()")
    self.frozen = self.frozen or self.node is not None
    self.node = None
    return self


@only_method()
def requires_grad_(self, requires_grad=True):
    """Ask for this leaf's gradient, or stop asking; returns the tensor."""
    self.requires_grad = requires_grad
    return self


@only_method()
def retain_grad(self):
    """Keep the gradient of this result in `.grad` too when `backward()` passes."""
    if self.node is None:
        raise RuntimeError("retain_grad: this tensor does not require grad, so there is no gradient to keep")
    if self.node.op is not None:
        note_of(self.node).retain = True


@only_method()
def register_hook(self, hook):
    """Call `hook(gradient)` when this tensor's gradient is computed; what it returns, if anything, replaces it."""
    if self.node is None:
        raise RuntimeError("register_hook: this tensor does not require grad, so no gradient will pass here")
    return registered(note_of(self.node), "hooks", hook)


@only_method()
def register_post_accumulate_grad_hook(self, hook):
    """Call `hook(tensor)` after `backward()` has added to this leaf's `.grad`."""
    if self.node is None or self.node.op is not None:
        raise RuntimeError("register_post_accumulate_grad_hook: only leaves that require grad accumulate gradients")
    return registered(note_of(self.node), "after", (hook, self))


def data(self):
    """The values without history, sharing memory; assigning replaces them."""
    return memory.alias(self)


def set_data(self, value):
    """Replace the values of a tensor, without history."""
    if not isinstance(value, Tensor):
        raise TypeError(f"x.data = …: expected a Tensor, got {type(value).__name__}")
    if self.node is not None and value.dtype.kind != self.dtype.kind:
        raise RuntimeError(f"x.data = …: a tensor that requires grad must stay floating-point, got {value.dtype}")
    if value.array is self.array:
        return  # x.data -= y ends here: the memory is the tensor's own
    root = value if value.base is None else value.base
    for view in (alive() for alive in self.views if root is not self):
        if view is not None and view.detached is None:
            view.detached = True  # it keeps the former memory
    if root is self:
        self.array = as_memory(value)
    elif self.node is not None and (value.shared or root.shared):
        self.array = value.array.copy()  # NumPy writes cannot reach the graph
        self.base = self.detached = None
    else:
        self.array = as_memory(value)
        self.detached = True
        memory.share(root, self)
    if self.node is not None and self.node.op is None:
        self.node.shape, self.node.dtype = self.array.shape, self.array.dtype


methods["data"] = property(data, set_data)
methods["grad_fn"] = property(gradient_function, doc="The step of the graph that made this tensor, or None for a leaf or a constant.")

# --- numbers out -----------------------------------------------------------------------------------------------------


@only_method()
def numpy(self, *, force=False):
    """The values as a NumPy array that shares the memory; read-only where a graph may hold it."""
    if modes.tapes and modes.state.tape is not None:
        modes.state.tape.read(".numpy()")
    if self.node is not None:
        if not force:
            raise RuntimeError("numpy(): this tensor requires grad, and NumPy would compute outside of the graph; use "
                               ".detach().numpy()")  # fmt: skip
        return self.array.copy()
    array = as_memory(self)
    root = self if self.base is None else self.base
    if root.frozen or root.node is not None or any(v is not None and v.node is not None for v in (alive() for alive in root.views)):
        view = array.view()
        view.flags.writeable = False
        return view
    if not root.shared:
        memory.hand_out(array)
    root.shared = self.shared = True
    return array.view()


@only_method()
def item(self):
    """The single number, as a Python number."""
    if self.array.size != 1:
        raise RuntimeError(f"item(): a tensor of shape {list(self.array.shape)} is not a single number; use .tolist()")
    return self.array.item()


@only_method()
def tolist(self):
    """The values as nested lists of Python numbers."""
    return self.array.tolist()


@only_method()
def __array__(self, dtype=None, copy=None):
    if self.node is not None:
        raise RuntimeError("np.asarray(tensor): this tensor requires grad, and NumPy would compute outside of the graph; "
                           "use np.asarray(tensor.detach())")  # fmt: skip
    if dtype is not None and np.dtype(dtype) != self.dtype or copy:
        return np.array(self.array, dtype)
    return numpy(self)


methods["__array_priority__"] = 1000


@only_method()
def __dlpack__(self, **options):
    return np.ascontiguousarray(self.array.copy() if self.node is None else numpy(self)).__dlpack__(**options)


methods["__dlpack_device__"] = lambda self: as_memory(self).__dlpack_device__()

# --- NumPy's functions -----------------------------------------------------------------------------------------------


@only_method()
def __array_ufunc__(self, ufunc, method, *inputs, **kwargs):
    """np.exp(tensor), array * tensor: our operator of the same meaning computes."""
    function = numpy_functions.get(ufunc)
    if method == "reduce" and ufunc in REDUCTIONS:
        function, method = public[REDUCTIONS[ufunc]], "__call__"
        kwargs.setdefault("axis", 0)
    if kwargs.get("out") is not None:
        raise TypeError(f"np.{ufunc.__name__}(…, out=…): the result of a computation with tensors is a new tensor; write "
                        "y = … instead of computing into an array (array += tensor does that too)")  # fmt: skip
    kwargs.pop("out", None)
    if function is None or method != "__call__":  # NumPy computes, of tensors without a graph
        name = ufunc.__name__ + ("" if method == "__call__" else "." + method)
        found = getattr(ufunc, method)(*plain(list(inputs), name), **plain(kwargs, name))
        return tuple(Tensor(np.asarray(x), None) for x in found) if isinstance(found, tuple) else Tensor(np.asarray(found), None)
    return function(*inputs, **kwargs)


REDUCTIONS = {np.add: "sum", np.multiply: "prod", np.maximum: "amax", np.minimum: "amin", np.logical_and: "all",
              np.logical_or: "any"}  # fmt: skip


@only_method()
def __array_function__(self, function, types, args, kwargs):
    """np.sum(tensor), np.where(…, tensor, …): our function of the same meaning computes; without one, NumPy's, of tensors without a graph."""
    ours = NUMPY.get(function) or numpy_functions.get(function)
    if ours is None:
        ours, (args, kwargs) = function, plain((args, kwargs), function.__name__)
    return ours(*args, **kwargs)


def plain(x, name):
    """NumPy's arrays in place of the tensors in nested arguments."""
    if isinstance(x, Tensor):
        if x.node is not None:
            raise TypeError(unknown_numpy(name))
        return as_memory(x)
    if isinstance(x, dict):
        return {key: plain(value, name) for key, value in x.items()}
    return type(x)(plain(v, name) for v in x) if type(x) in (list, tuple) else x


def unknown_numpy(name):
    """One sentence: which NumPy function is missing, and what there is instead."""
    from difflib import get_close_matches

    known = sorted({f.__name__ for f in [*numpy_functions, *NUMPY]})
    near = get_close_matches(name.partition(".")[0], known, 1, 0.5)
    hint = f"; the nearest one there is: np.{near[0]}" if near else ""
    return f"np.{name} has no operator for tensors{hint}; use tensor.detach().numpy() to compute outside of the graph"


def zeros_like(x, dtype=None, order="K", subok=True, shape=None):
    """np.zeros_like of a tensor: a constant tensor."""
    return Tensor(np.zeros_like(array_of(x), dtype=dtype, shape=shape), None)


NUMPY = {
    np.reshape: lambda x, shape, **options: public["reshape"](x, shape),
    np.transpose: lambda x, axes=None: shapes.permute(x, axes=tuple(range(x.ndim))[::-1] if axes is None else tuple(axes)),
    np.moveaxis: lambda x, source, destination: shapes.moveaxis(x, source=source, destination=destination),
    np.concatenate: lambda xs, axis=0: shapes.concatenate(*xs, axis=axis),
    np.stack: lambda xs, axis=0: shapes.stack(*xs, axis=axis),
    np.hstack: lambda xs: public["hstack"](xs), np.vstack: lambda xs: public["vstack"](xs),
    np.swapaxes: lambda x, a, b: shapes.swapaxes(x, axis0=a, axis1=b),
    np.expand_dims: lambda x, axis: public["unsqueeze"](x, axis),
    np.squeeze: lambda x, axis=None: public["squeeze"](x, axis),
    np.broadcast_to: lambda x, shape: public["broadcast_to"](x, shape),
    np.sum: public["sum"], np.mean: public["mean"], np.prod: public["prod"],
    np.max: public["amax"], np.min: public["amin"], np.amax: public["amax"], np.amin: public["amin"],
    np.var: lambda x, axis=None, ddof=0, keepdims=False: public["var"](x, axis, correction=ddof, keepdim=keepdims),
    np.std: lambda x, axis=None, ddof=0, keepdims=False: public["std"](x, axis, correction=ddof, keepdim=keepdims),
    np.cumsum: lambda x, axis=None: public["cumsum"](x if axis is not None else x.reshape(-1), axis or 0),
    np.cumprod: lambda x, axis=None: public["cumprod"](x if axis is not None else x.reshape(-1), axis or 0),
    np.where: public["where"], np.clip: lambda x, a_min=None, a_max=None, **k: public["clamp"](x, a_min, a_max),
    np.dot: lambda x, y: x * y if not array_of(x).ndim or not array_of(y).ndim else products.matmul(x, y),
    np.matmul: products.matmul, np.outer: lambda x, y: products.outer(x.reshape(-1), y.reshape(-1)),
    np.einsum: lambda equation, *xs, **options: public["einsum"](equation, *xs),
    np.tensordot: lambda a, b, axes=2: public["tensordot"](a, b, axes),
    np.flip: lambda x, axis=None: shapes.flip(x, axes=tuple(range(x.ndim)) if axis is None else axis),
    np.roll: lambda x, shift, axis=None: public["roll"](x, shift, axis),
    np.tile: lambda x, reps: shapes.tile(x, repeats=(reps,) if isinstance(reps, int) else tuple(reps)),
    np.tril: public["tril"], np.triu: public["triu"], np.diagonal: public["diagonal"], np.diag: public["diag"],
    np.trace: public["trace"], np.ravel: lambda x, **k: x.reshape(-1), np.copy: shapes.clone,
    np.zeros_like: zeros_like, np.shape: lambda x: tuple(x.shape), np.ndim: lambda x: x.ndim, np.size: lambda x: x.numel(),
    np.ones_like: lambda x, dtype=None, order="K", subok=True, shape=None: Tensor(np.ones_like(array_of(x), dtype=dtype, shape=shape), None),
    np.full_like: lambda x, value, **k: Tensor(np.full_like(array_of(x), value, **k), None),
    np.argmax: public["argmax"], np.argmin: public["argmin"], np.all: public["all"], np.any: public["any"],
    np.linalg.norm: lambda x, ord=None, axis=None, keepdims=False: linalg.norm(x, ord, axis, keepdims),
    np.linalg.solve: lambda a, b: linalg.solve(a, b), np.linalg.slogdet: lambda a: linalg.slogdet(a),
    np.linalg.svd: lambda a, full_matrices=True, compute_uv=True: linalg.svd(a, full_matrices) if compute_uv else linalg.svdvals(a),
    np.linalg.eigh: lambda a, UPLO="L": linalg.eigh(a, UPLO), np.linalg.qr: lambda a, mode="reduced": linalg.qr(a, mode),
    np.linalg.pinv: lambda a, rcond=None: linalg.pinv(a, rcond), np.linalg.matrix_power: lambda a, n: linalg.matrix_power(a, n),
    np.allclose: public["allclose"], np.isclose: public["isclose"], np.array_equal: public["equal"],
    np.sort: lambda x, axis=-1: public["sort"](x, axis)[0], np.argsort: lambda x, axis=-1: public["argsort"](x, axis),
    np.take: lambda x, indices, axis=None: public["take"](x, indices) if axis is None else public["index_select"](x, axis, indices),
    np.repeat: lambda x, repeats, axis=None: public["repeat_interleave"](x, repeats, axis),
    np.split: lambda x, n, axis=0: public["tensor_split"](x, n, axis), np.round: public["round"],
    np.nan_to_num: public["nan_to_num"], np.real: lambda x: x, np.isnan: ar.isnan, np.unique: public["unique"],
    np.cross: public["cross"], np.kron: public["kron"],
    np.array_repr: lambda x, *args, **kwargs: repr(x), np.array_str: lambda x, *args, **kwargs: str(x),
}  # fmt: skip

# --- types, devices and shapes ---------------------------------------------------------------------------------------


@only_method("astype", "type_as_dtype")
def astype(self, dtype):
    """The tensor in another type of number; itself if it has that type."""
    dtype = dtype_of(dtype)
    if self.dtype == dtype:
        return self
    return shapes.cast(self, dtype=dtype) if dtype.kind in "fc" else Tensor(self.array.astype(dtype), None)  # integers have no gradient


@only_method()
def to(self, *args, dtype=None, device=None, copy=False, non_blocking=False, memory_format=None):
    """The tensor in another dtype, or on a device: the CPU is the only one."""
    for a in args:
        if isinstance(a, Tensor):
            dtype = a.dtype
        elif isinstance(a, (str, device_type)) and str(a).partition(":")[0] in ("cpu", "cuda", "mps", "xpu", "meta"):
            check_device(a)
        elif isinstance(a, bool) or a is None:
            continue
        elif isinstance(a, str) and not hasattr(dtypes, a) and not hasattr(np, a):
            device_type(a)  # an error that says what devices there are
        else:
            dtype = a
    check_device(device)
    out = self if dtype is None else astype(self, dtype)
    return shapes.clone(out) if copy and out is self else out


methods["cpu"] = lambda self, memory_format=None: self
methods["type_as"] = lambda self, other: astype(self, other.dtype)


def conversion(name, dtype):
    """x.float() and its kin."""

    def convert(self, memory_format=None):
        return self if self.array.dtype is dtype else astype(self, dtype)

    convert.__name__, convert.__doc__ = name, f"The tensor in {dtype}; itself if it has that type."
    methods[name] = convert


CONVERSIONS = dict(float="float32", double="float64", half="float16", int="int32", long="int64", short="int16", bool="bool",
                   char="int8", byte="uint8")  # fmt: skip
for name, kind in CONVERSIONS.items():
    conversion(name, np.dtype(kind))


@only_method("type")
def type_(self, dtype=None):
    """The tensor in another dtype; without an argument, the name of its own."""
    if dtype is None:
        return f"torch.{everyday.NAMES[str(self.dtype)]}Tensor"  # PyTorch's own words: programs compare them
    if dtype is Tensor:  # torch.Tensor stands for the default type
        return astype(self, dtypes.get_default_dtype())
    return astype(self, everyday.KINDS[dtype.rpartition(".")[2].removesuffix("Tensor")] if isinstance(dtype, str) else dtype)


@only_method()
def cuda(self, *args, **kwargs):
    """Refused: tensors live on the CPU."""
    raise RuntimeError('cuda(): tensors live on the CPU here; use device("cpu"), or nothing at all')


@only_method()
def size(self, dim=None):
    """The shape, or the size of one dimension."""
    return Size(self.array.shape) if dim is None else self.array.shape[dim]


@only_method("dim", "ndimension")
def dim(self):
    """The number of dimensions."""
    return self.array.ndim


def matrices(name, x, sizes=None):
    """x, if it holds matrices."""
    if x.array.ndim < 2 if sizes is None else x.array.ndim not in sizes:
        raise RuntimeError(f"x.{name}: expected {'matrices' if sizes is None else 'a matrix'}, got shape {list(x.shape)}")
    return x


methods["nelement"] = lambda self: int(self.array.size)
methods["element_size"] = lambda self: self.array.itemsize
methods["stride"] = lambda self, dim=None: tuple(s // self.array.itemsize for s in as_memory(self).strides) if dim is None else as_memory(self).strides[dim] // self.array.itemsize  # fmt: skip
methods["storage_offset"] = lambda self: 0 if self.base is None else (self.array.__array_interface__["data"][0] - self.base.array.__array_interface__["data"][0]) // self.array.itemsize  # fmt: skip
methods["is_contiguous"] = lambda self, memory_format=None: bool(as_memory(self).flags.c_contiguous)
methods["data_ptr"] = lambda self: as_memory(self).__array_interface__["data"][0]
methods["T"] = property(lambda self: shapes.permute(self, axes=tuple(range(self.ndim))[::-1]), doc="The transpose: all dimensions in reverse order.")  # fmt: skip
methods["mT"] = property(lambda self: shapes.swapaxes(matrices("mT", self), axis0=-1, axis1=-2), doc="The transposed matrices.")
methods["H"] = property(lambda self: matrices("H", self, (0, 2)).conj().T, doc="The transpose, conjugated.")
methods["mH"] = property(lambda self: matrices("mH", self).conj().mT, doc="The transposed matrices, conjugated.")
methods["real"] = property(lambda self: self, doc="The real part: the tensor itself.")
methods["is_cuda"] = property(lambda self: False, doc="False: tensors live on the CPU.")
methods["is_sparse"] = property(lambda self: False, doc="False: tensors are dense.")
methods["is_quantized"] = property(lambda self: False, doc="False.")
methods["_version"] = property(lambda self: memory.last_write_to(as_memory(self))[0])
methods["share_memory_"] = lambda self: self
methods["pin_memory"] = lambda self: self
methods["apply_"] = lambda self, f: copy_(self, Tensor(np.vectorize(f)(self.array), None))


methods["device"] = property(lambda self: cpu, doc="Where the tensor lives: the CPU.")


OURS = {"views", "base", "shared", "thawed", "detached", "frozen", "used", "re", "im"}  # what Tensor itself keeps among the attributes


def attributes_of(x):
    """The attributes that the user has given a tensor."""
    return {name: value for name, value in x.__dict__.items() if name not in OURS}


@only_method()
def __deepcopy__(self, memo):
    """A copy of a leaf or constant; results of a graph cannot be copied with their history. Shared memory is shared among the copies."""
    if self.node is not None and self.node.op is not None:
        raise RuntimeError("deepcopy: only leaves can be copied, not results of a graph; use .detach().clone()")
    import copy

    new = type(self).__new__(type(self))
    memo[id(self)] = new
    array = as_memory(self)
    whole = memory.owner(array)
    if whole is array and self.base is None and not self.views or not whole.flags.forc:
        new.array = array.copy(order="K")
    else:
        roots = memo.setdefault("memory", {})
        if id(whole) not in roots:
            roots[id(whole)] = Tensor(whole.copy(order="K"), None)
        root = roots[id(whole)].array
        offset = array.ctypes.data - whole.ctypes.data
        new.array = np.ndarray(array.shape, array.dtype, root if root.flags.c_contiguous else root.T, offset, array.strides)
        new.array.flags.writeable = array.flags.writeable
        memory.share(roots[id(whole)], new)
        new.detached = True
    new.node = None
    new.__dict__.update(copy.deepcopy(attributes_of(self), memo))
    if self.node is not None:
        new.requires_grad = True
        if self.node.grad is not None:
            new.node.grad = Tensor(self.node.grad.array.copy(), None)
    elif self.grad is not None:
        new.grad = Tensor(self.grad.array.copy(), None)
    return new


@only_method()
def __copy__(self):
    """Another tensor in the same memory, with the same attributes."""
    new = rebuilt(type(self), as_memory(self), False, attributes_of(self))
    memory.share(self if self.base is None else self.base, new)
    new.detached = True
    new.requires_grad = self.requires_grad
    return new


@only_method()
def __reduce_ex__(self, protocol):
    return rebuilt, (type(self), as_memory(self), self.requires_grad, attributes_of(self))


def rebuilt(kind, array, requires_grad, attributes=()):
    """The tensor that was pickled; a result of a graph is a leaf now."""
    t = Tensor.__new__(kind)
    t.array, t.node = array, None
    t.requires_grad = requires_grad
    t.__dict__.update(attributes)
    return t


# --- installation ----------------------------------------------------------------------------------------------------


def install():
    """Give Tensor everything that was collected."""
    everyday.install_overwriting()
    methods["__str__"] = methods["__repr__"]
    for name, value in methods.items():
        setattr(Tensor, name, value)
    Tensor.__hash__ = object.__hash__  # by identity: __eq__ compares elements

