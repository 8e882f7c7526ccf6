"""Complex tensors: a real and an imaginary part, each an ordinary tensor with its own history.

So every derivative is a real one, found by the rules that are there already. Linear operators treat both parts alike (`applied`), and those
that have a complex derivative use their own rules on conjugates (`Analytic`). What is in neither list computes the right numbers, and its
gradient is an error.
"""

from typing import Any

import numpy as np

from ..autograd import memory, modes
from ..autograd.engine import sum_to
from ..autograd.function import Function, once_differentiable
from ..autograd.node import leaf
from ..autograd.operands import operands
from ..autograd.operator import apply, registry
from ..autograd.tensor import Tensor, array_of, as_memory
from .methods import IN_PLACE, rebuilt, unless_left
from .spelling import as_tensor, both, only_function
from .spelling import functions as public
from .spelling import methods as tensor_methods


class Barrier(Function):
    """A complex number in an operator that knows no complex derivative"""

    @staticmethod
    def forward(ctx, *tensors):
        """The arrays that come last, as tensors made of the others."""
        return tensors[-1]

    @staticmethod
    def backward(ctx, *gradients):
        """Refused."""
        raise NotImplementedError("backward(): an operator got a complex tensor whose derivative is not known here; write it with "
                                  ".real and .imag, with + − · / and products of matrices, exp, abs and angle, or with torch.fft")  # fmt: skip


class Joined(Function):
    """re + i·im"""

    @staticmethod
    def forward(ctx, re, im, array):
        """The array of both, as a tensor."""
        return Tensor(array, None)

    @staticmethod
    def backward(ctx, g):
        """The gradient of a complex number is ∂/∂re + i·∂/∂im."""
        return g.real, g.imag, None


class Eigensystem(Function):
    """Eigenvalues λ and eigenvectors V of matrices, each as a real and an imaginary part"""

    @staticmethod
    def forward(ctx, re, im, values, vectors):
        """What was computed before."""
        ctx.found = values, vectors
        return tuple(Tensor(np.ascontiguousarray(x), None) for x in (values.real, values.imag, vectors.real, vectors.imag))

    @staticmethod
    @once_differentiable
    def backward(ctx, *gradients):
        """V⁻ᴴ · (diag gλ + (Vᴴ·gV − Vᴴ·V · diag Re Vᴴ·gV) / (λⱼ − λᵢ)*) · Vᴴ (Boeddeker et al. 2017)"""
        values, vectors = ctx.found
        a, b, c, d = (g.array for g in gradients)
        turned = np.conj(np.swapaxes(vectors, -1, -2))
        inner = turned @ (c + 1j * d)
        own = np.einsum("...ii->...i", inner)
        if not np.allclose(own.imag, 0, atol=1e-3 * max(1.0, np.abs(inner).max(initial=0))):
            raise RuntimeError("linalg.eig: the loss depends on the phase of the eigenvectors, which is not defined; use their absolute "
                               "values, or the projections v·vᴴ")  # fmt: skip
        place = np.eye(values.shape[-1], dtype=bool)
        apart = np.where(place, 1, np.conj(values[..., None, :] - values[..., :, None]))
        with np.errstate(divide="ignore", invalid="ignore"):
            inner = (inner - turned @ vectors * own.real[..., None, :]) / apart
        inner = np.where(place, (a + 1j * b)[..., None], inner)
        out = np.linalg.solve(turned, inner @ turned)
        return *parts(out), None, None


class ComplexTensor(Tensor):
    """A complex tensor in a graph: `real` and `imag` are tensors with gradients.

    >>> import tinygrad_edu as tg
    >>> z = tg.polar(tg.ones(1), tg.tensor([0.5], requires_grad=True))
    >>> (z * z).real
    tensor([0.5403], grad_fn=<SubBackward0>)
    """

    __slots__ = ()

    def __init__(self, re, im):
        array = np.asarray(re.array) + np.asarray(im.array) * np.result_type(re.dtype, np.complex64).type(1j)
        Tensor.__init__(self, array[()], None)
        self.__dict__["re"], self.__dict__["im"] = re, im
        if re.requires_grad or im.requires_grad:
            self.node = Joined.apply(re, im, array).node

    real = property(lambda self: self.re, lambda self, value: self.assign(self.re, value))
    imag = property(lambda self: self.im, lambda self, value: self.assign(self.im, value))

    def assign(self, part, value):
        """Overwrite the real or the imaginary part."""
        part[...] = as_tensor(value)
        ComplexTensor.__init__(self, self.re, self.im)

    def detach(self):
        """The same numbers without their history."""
        return ComplexTensor(self.re.detach(), self.im.detach())

    def conj(self):
        """re − i·im"""
        return ComplexTensor(self.re, -self.im)

    conj_physical = conj
    __copy__ = None

    def __reduce_ex__(self, protocol):
        return rebuilt, (Tensor, as_memory(self), self.requires_grad)

    def resolve_conj(self):
        """The tensor itself: conjugates are computed at once."""
        return self

    @property
    def mH(self):
        """The conjugate of the transposed matrices."""
        return self.conj().transpose(-2, -1)

    H = mH

    def __neg__(self):
        return ComplexTensor(-self.re, -self.im)

    def __add__(self, other):
        re, im = parts(other)
        return ComplexTensor(self.re + re, self.im + im)

    def __sub__(self, other):
        re, im = parts(other)
        return ComplexTensor(self.re - re, self.im - im)

    def __rsub__(self, other):
        return -self + other

    def __mul__(self, other):
        if not is_complex(other):
            return ComplexTensor(self.re * other, self.im * other)
        re, im = parts(other)
        return ComplexTensor(self.re * re - self.im * im, self.re * im + self.im * re)

    def __truediv__(self, other):
        if not is_complex(other):
            return ComplexTensor(self.re / other, self.im / other)
        return self * (split(other).reciprocal() if isinstance(other, Tensor) else 1 / other)

    def __rtruediv__(self, other):
        return self.reciprocal() * other

    def reciprocal(self):
        """1 / z"""
        size = self.re * self.re + self.im * self.im
        return ComplexTensor(self.re / size, -self.im / size)

    def __matmul__(self, other):
        re, im = parts(other)
        return ComplexTensor(self.re @ re - self.im @ im, self.re @ im + self.im @ re)

    def __rmatmul__(self, other):
        return ComplexTensor(*parts(other)) @ self

    def __pow__(self, exponent):
        if isinstance(exponent, int) and exponent >= 0:
            out = ComplexTensor(self.re * 0 + 1, self.im * 0)
            for _ in range(exponent):
                out = out * self
            return out
        return (self.log() * exponent).exp()

    def __rpow__(self, base):
        return (self * split(base, self).log()).exp()

    __radd__, __rmul__ = __add__, __mul__

    def abs(self):
        """√(re² + im²); the gradient at 0 is 0"""
        zero = (array_of(self.re) == 0) & (array_of(self.im) == 0)
        if not zero.any():
            return public["hypot"](self.re, self.im)
        zero = Tensor(zero, None)
        return public["where"](zero, 0.0, public["hypot"](public["where"](zero, 1.0, self.re), self.im))

    absolute = __abs__ = abs

    def sign(self):
        """z / |z|, and 0 at 0"""
        size = self.abs()
        return self / public["where"](size == 0, 1.0, size)

    sgn = sign

    def acosh(self):
        """ln(z + √(z + 1) · √(z − 1))"""
        return (self + (self + 1).sqrt() * (self - 1).sqrt()).log()

    def sigmoid(self):
        """1 / (1 + e⁻ᶻ)"""
        return 1 / ((-self).exp() + 1)

    def angle(self):
        """The angle from the positive real axis."""
        return public["atan2"](self.im, self.re)

    def exp(self):
        """e^re · (cos im + i·sin im)"""
        size = self.re.exp()
        return ComplexTensor(size * self.im.cos(), size * self.im.sin())

    def log(self):
        """ln |z| + i·angle"""
        return ComplexTensor(self.abs().log(), self.angle())

    def norm(self, *args, **options):
        """The norm of the absolute values."""
        return self.abs().norm(*args, **options)

    def square(self):
        """z · z"""
        return self * self

    def item(self):
        """The number, as a Python complex."""
        return complex(self.array)


for name in "add sub mul truediv matmul pow".split():
    setattr(ComplexTensor, f"__{name}__", unless_left(getattr(ComplexTensor, f"__{name}__"), name))


class Part(Function):
    """The real or the imaginary part of a complex leaf"""

    @staticmethod
    def forward(ctx, z, imaginary):
        """A copy, so that an optimizer may write to the leaf."""
        ctx.imaginary = imaginary
        return Tensor((z.array.imag if imaginary else z.array.real).copy(), None)

    @staticmethod
    def backward(ctx, g):
        """The gradient of a complex number is ∂/∂re + i·∂/∂im."""
        unit = 1j if ctx.imaginary else 1 + 0j
        if g.requires_grad:
            return (ComplexTensor(g * 0, g) if ctx.imaginary else ComplexTensor(g, g * 0)), None
        return Tensor(g.array * np.result_type(g.dtype, np.complex64).type(unit), None), None


class ComplexLeaf(ComplexTensor):
    """A complex tensor that asks for its gradient; its parts are read anew each time, as an optimizer may have written to it.

    >>> import tinygrad_edu as tg
    >>> z = tg.tensor([3 + 4j], requires_grad=True)
    >>> z.abs().sum().backward(); z.grad
    tensor([0.6000+0.8000j])
    """

    __slots__ = ()

    re = property(lambda self: Part.apply(self, False) if self.node is not None else Tensor(np.ascontiguousarray(self.array.real), None))
    im = property(lambda self: Part.apply(self, True) if self.node is not None else Tensor(np.ascontiguousarray(self.array.imag), None))

    def detach(self):
        """The same numbers in the same memory, without the leaf's history."""
        return memory.alias(self)

    __iadd__, __isub__, __imul__, __itruediv__ = (tensor_methods[f"__{name}__"] for name in ("iadd", "isub", "imul", "itruediv"))


plain_switch: Any = Tensor.requires_grad


def switch_gradient(x, wanted):
    """x.requires_grad = wanted; complex numbers become a leaf whose gradient is complex."""
    if wanted and x.node is None and x.array.dtype.kind == "c":
        array = x.array if isinstance(x.array, np.ndarray) and x.array.flags.writeable else np.array(x.array)
        x.__dict__.pop("re", None), x.__dict__.pop("im", None)
        before, x.array = x.__dict__.pop("thawed", None), array
        if not isinstance(x, ComplexLeaf):
            x.__class__ = ComplexLeaf
        x.node = before if before and before.shape == array.shape else leaf(array.shape, array.dtype)
    else:
        plain_switch.fset(x, wanted)


def barrier(x):
    """What an operator that knows no complex derivative gets as the node of a complex tensor: it refuses the gradient."""
    return None if x.node is None else Barrier.apply(*parts(x), Tensor(x.array, None)).node


Tensor.barrier = property(barrier)  # type: ignore[attr-defined]
Tensor.requires_grad = property(plain_switch.fget, switch_gradient, doc=plain_switch.__doc__)  # type: ignore[method-assign, assignment]
plain_setitem = tensor_methods["__setitem__"]


def setitem(self, index, value):
    """x[index] = value; where one of them is complex with a history, each part is written to its own."""
    tracked = self.dtype.kind == "c" and modes.state.grad and isinstance(value, Tensor) and value.node is not None
    if not (tracked or isinstance(value, ComplexTensor) or isinstance(self, ComplexTensor)) or isinstance(self, ComplexLeaf):
        return plain_setitem(self, index, value)
    if not isinstance(self, ComplexTensor):
        if self.dtype.kind != "c" or self.node is not None:
            return plain_setitem(self, index, value)
        self.__dict__["re"], self.__dict__["im"] = parts(self)
        self.__class__ = ComplexTensor
    for part, new in zip((self.re, self.im), parts(value)):
        part[index] = new
    ComplexTensor.__init__(self, self.re, self.im)


tensor_methods["__setitem__"] = setitem


def overwriting(name):
    """The form of a method that overwrites its tensor: mul_ from mul. A view writes to the memory that it shows."""
    plain = tensor_methods[f"{name}_"]

    def method(self, *args, **kwargs):
        if isinstance(self, ComplexLeaf):
            return plain(self, *args, **kwargs)
        return replace(self, getattr(self, name)(*args, **kwargs))

    method.__name__, method.__doc__ = f"{name}_", plain.__doc__
    return method


def replace(x, new):
    """Give a complex tensor other numbers, and their history."""
    if x.re.base is not None or x.im.base is not None:
        setitem(x, Ellipsis, new)
    else:
        re, im = parts(new)
        re, im = public["broadcast_to"](re, x.shape), public["broadcast_to"](im, x.shape)
        ComplexTensor.__init__(x, re.clone(), im.clone())
    return x


for name in IN_PLACE:
    setattr(ComplexTensor, f"{name}_", overwriting(name))
for name, operation in dict(iadd="add", isub="sub", imul="mul", itruediv="div").items():
    setattr(ComplexTensor, f"__{name}__", unless_left(getattr(ComplexTensor, f"{operation}_"), name[1:]))


def is_complex(x):
    """True for complex tensors, arrays and numbers."""
    return isinstance(x, complex) or getattr(x, "dtype", np.dtype(float)).kind == "c"


def parts(x):
    """The real and the imaginary part of anything, as tensors or numbers."""
    if isinstance(x, ComplexTensor):
        return x.re, x.im
    if isinstance(x, (bool, int, float)):
        return x, 0.0
    if isinstance(x, complex):
        return x.real, x.imag
    if is_complex(x):
        array = array_of(x)
        if isinstance(x, Tensor) and x.requires_grad:
            return Part.apply(x, False), Part.apply(x, True)
        return Tensor(array.real.copy(), None), Tensor(array.imag.copy(), None)
    x = as_tensor(x)
    return x, Tensor(np.zeros_like(x.array), None)


def split(x, *beside):
    """A complex tensor with its parts; one that came from elsewhere, such as a constant or a number beside other tensors, gets them now."""
    if not hasattr(x, "dtype"):
        x = Tensor(np.asarray(x, np.result_type(np.complex64, *(y.dtype for y in beside))), None)
    return x if isinstance(x, ComplexTensor) else ComplexTensor(*parts(x))


# --- operators of complex numbers -------------------------------------------------------------------------------------------

OWN = {name: getattr(ComplexTensor, name) for name in "square reciprocal exp log abs sign sigmoid acosh".split()}
OWN |= {name.removeprefix("true"): getattr(ComplexTensor, f"__{name}__") for name in "add sub mul truediv matmul pow neg".split()}
LINEAR = {name for name, op in registry.items() if op.kind == "linear"}
LINEAR |= {"where", "positive", "setitem", "index_add_to", "put_flat", "scatter_along", "scatter_add_along"}
ANALYTIC = set("""sqrt rsqrt exp2 expm1 log2 log10 log1p sin cos tan asin acos atan sinh cosh tanh asinh acosh atanh sinc prod cumprod outer
dot_vectors affine einsum_operator inv solve det matrix_exp convolution convolution_transpose convolution_weight""".split())


class Analytic(Function):
    """An operator with a complex derivative, by the rules that it has for real numbers: f takes g to g · f′(z)*"""

    @staticmethod
    def forward(ctx, op, params, *args):
        """The operator on complex arrays."""
        arrays, _ = operands(op, [a.detach() if isinstance(a, Tensor) else a for a in args])
        out = Tensor(op.forward(*arrays, **params), None)
        ctx.op, ctx.params, ctx.args = op, params, args
        ctx.save_for_backward(out)
        return out

    @staticmethod
    def backward(ctx, g):
        """The conjugate of the rule for the conjugate of g; the real part of it for a real input."""
        op, (out,) = ctx.op, ctx.saved_tensors
        parents = [isinstance(a, Tensor) and a.requires_grad for a in ctx.args]
        values = [split(a) if is_complex(a) else a for a in ctx.args] if modes.state.grad else map(array_of, ctx.args)
        g, out = (split(g), split(out)) if modes.state.grad else (g.array, out.array)
        saved, found = op.save(parents, out, *values, **ctx.params), []
        together = op.together and op.together(g.conj(), *next(filter(None, saved)))
        for i, (a, args) in enumerate(zip(ctx.args, saved)):
            c = args and (together[i] if together else (op.rules * len(saved) if op.variadic else op.rules)[i](g.conj(), *args))
            c = c if c is None else sum_to(c, a.shape) if c.shape != a.shape else c
            c = c if c is None or isinstance(c, Tensor) else Tensor(c, None)
            found.append(c if c is None else c.conj() if is_complex(a) else c.real)
        return None, None, *found


def applied(op, args, params):
    """`apply` for operators that complex numbers pass: with a gradient, the result is made of two parts again."""
    complex_ones = [isinstance(a, ComplexTensor) for a in args]
    if not any(complex_ones) and not (any(map(is_complex, args)) and any(isinstance(a, Tensor) and a.requires_grad for a in args)):
        return apply(op, args, params)
    if op.name in OWN:
        return OWN[op.name](split(args[0], *args[1:]), *args[1:], **params)
    if op.name in ANALYTIC:
        out = Analytic.apply(op, params, *args)
        return ComplexTensor(*parts(out)) if out.requires_grad else out
    pairs = [parts(a) if rule else (a, a) for a, rule in zip(args, op.pullbacks)]
    if op.name == "cast":
        if params["dtype"].kind != "c":
            return op.function(pairs[0][0], **params)
        params = dict(dtype=np.empty(0, params["dtype"]).real.dtype)
    imaginary = {**params, "value": getattr(params["value"], "imag", 0)} if "value" in params else params
    params = {**params, "value": getattr(params["value"], "real", params["value"])} if "value" in params else params
    re, im = (op.function(*(pair[i] for pair in pairs), **given) for i, given in enumerate((params, imaginary)))
    return ComplexTensor(re, im)


for name in OWN.keys() | LINEAR | ANALYTIC:
    registry[name].function.__globals__["apply"] = applied  # what an operator's function calls where its arguments are not all real


@only_function("complex")
def of_parts(real, imag):
    """real + i · imag"""
    real, imag = as_tensor(real), as_tensor(imag)
    if real.dtype != imag.dtype:
        raise RuntimeError(f"complex: both parts must have one dtype, got {real.dtype} and {imag.dtype}; convert one, as in imag.to(real.dtype)")
    pair = public["broadcast_tensors"](real, imag)
    return ComplexTensor(*(part if part.base is None else part.clone() for part in pair))  # in memory of its own


@only_function()
def polar(abs, angle):
    """abs · (cos angle + i · sin angle)"""
    return ComplexTensor(abs * angle.cos(), abs * angle.sin())


@only_function()
def view_as_complex(input):
    """Numbers (…, 2) as complex ones (…); the result is a copy"""
    if input.shape[-1] != 2:
        raise RuntimeError(f"view_as_complex: the last dimension must have 2 elements, got shape {list(input.shape)}")
    return ComplexTensor(input[..., 0], input[..., 1])


@both("view_as_real")
def view_as_real(input):
    """Complex numbers (…) as real ones (…, 2); the result is a copy"""
    if not is_complex(input):
        raise RuntimeError(f"view_as_real: expected a complex tensor, got {input.dtype}")
    z = split(input)
    return public["stack"]([z.re, z.im], -1)


@only_function("real")
def real(input):
    """The real part; a real tensor is its own"""
    return part_of(input, "real") if is_complex(input) else input


@only_function("imag")
def imag(input):
    """The imaginary part of a complex tensor"""
    if not is_complex(input):
        raise RuntimeError("imag is not implemented for tensors with non-complex dtypes.")
    return part_of(input, "imag")


def part_of(z, name):
    """A part of a complex tensor: with its own history in a graph, else a view."""
    if isinstance(z, (ComplexTensor, ComplexLeaf)) or not isinstance(z, Tensor) or z.node is not None:
        return getattr(split(z), "re" if name == "real" else "im")
    part = Tensor(getattr(memory.as_memory(z), name), None)
    memory.register_view(z, part)
    return part


def replaceable(name, doc):
    """A part of a complex tensor as a property that can be assigned to."""

    def replace(self, value):
        getattr(self, name).copy_(as_tensor(value))

    return property(public[name], replace, doc=doc)


tensor_methods["real"] = replaceable("real", "The real part; a real tensor is its own.")
tensor_methods["imag"] = replaceable("imag", "The imaginary part of a complex tensor.")
