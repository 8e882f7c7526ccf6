"""Complex tensors: a real and an imaginary part, each an ordinary tensor with its own history.

So every derivative is a real one, found by the rules that are there already. What is not written down here computes the right numbers,
and its gradient is an error.
"""

from typing import Any

import numpy as np

from ..autograd import memory, modes
from ..autograd.function import Function, once_differentiable
from ..autograd.node import leaf
from ..autograd.tensor import Tensor, array_of, as_memory
from .methods import rebuilt
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
        return Tensor(np.ascontiguousarray(out.real), None), Tensor(np.ascontiguousarray(out.imag), None), None, None


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
            self.node = Barrier.apply(re, im, Tensor(array, None)).node

    real = property(lambda self: self.re)
    imag = property(lambda self: self.im)

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

    __radd__, __rmul__ = __add__, __mul__
    add, sub, mul, div, matmul, pow = __add__, __sub__, __mul__, __truediv__, __matmul__, __pow__
    multiply, subtract, divide, mm, bmm = mul, sub, div, matmul, matmul
    def abs(self):
        """√(re² + im²); the gradient at 0 is 0"""
        zero = (array_of(self.re) == 0) & (array_of(self.im) == 0)
        if not zero.any():
            return public["hypot"](self.re, self.im)
        zero = Tensor(zero, None)
        return public["where"](zero, 0.0, public["hypot"](public["where"](zero, 1.0, self.re), self.im))

    absolute = __abs__ = abs

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

    @property
    def barrier(self):
        """What an operator that knows no complex derivative gets as this leaf's node: it refuses the gradient."""
        return Barrier.apply(self.re, self.im, Tensor(self.array, None)).node

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
    compute, plain = getattr(ComplexTensor, name), tensor_methods[f"{name}_"]

    def method(self, *args, **kwargs):
        if isinstance(self, ComplexLeaf):
            return plain(self, *args, **kwargs)
        return replace(self, compute(self, *args, **kwargs))

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


for name in "add sub mul div pow multiply subtract divide square reciprocal exp log".split():
    setattr(ComplexTensor, f"{name}_", overwriting(name))
for name, operation in dict(iadd="add", isub="sub", imul="mul", itruediv="div").items():
    setattr(ComplexTensor, f"__{name}__", getattr(ComplexTensor, f"{operation}_"))


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
        pair = Tensor(array.real.copy(), None), Tensor(array.imag.copy(), None)
        return Barrier.apply(x, pair) if isinstance(x, Tensor) and x.requires_grad else pair
    x = as_tensor(x)
    return x, x * 0


def split(x):
    """A complex tensor with its parts; one that came from elsewhere, such as a constant, gets them now."""
    return x if isinstance(x, ComplexTensor) else ComplexTensor(*parts(x))


def on_both_parts(name):
    """A method that treats the real and the imaginary part alike."""
    plain = tensor_methods[name]

    def method(self, *args, **kwargs):
        re, im = plain(self.re, *args, **kwargs), plain(self.im, *args, **kwargs)
        return tuple(map(ComplexTensor, re, im)) if isinstance(re, tuple) else ComplexTensor(re, im)

    method.__name__, method.__doc__ = name, plain.__doc__
    return method


ALIKE = """reshape view flatten unflatten permute transpose t movedim swapaxes swapdims unsqueeze squeeze expand expand_as repeat tile roll
flip sum mean cumsum diagonal unbind split chunk narrow index_select select contiguous clone tril triu view_as reshape_as __getitem__""".split()
for name in ALIKE:
    if name in tensor_methods:
        setattr(ComplexTensor, name, on_both_parts(name))


def on_both_views(name):
    """A property that treats the real and the imaginary part alike."""

    def view(self):
        return ComplexTensor(getattr(self.re, name), getattr(self.im, name))

    return property(view, doc=tensor_methods[name].__doc__)


for name in ("T", "mT"):
    setattr(ComplexTensor, name, on_both_views(name))


def dispatching(name):
    """The function of the package, which hands complex tensors to their method."""
    plain, method = public[name], getattr(ComplexTensor, name)

    def function(input, *args, **kwargs):
        if isinstance(input, ComplexTensor) or args and isinstance(args[0], ComplexTensor):
            return method(split(input), *args, **kwargs)
        return plain(input, *args, **kwargs)

    function.__name__, function.__doc__, function.__wrapped__ = name, plain.__doc__, plain
    if hasattr(plain, "op"):
        function.op = plain.op
    return function


for name in "abs exp log mul add sub div matmul sum mean square angle conj pow".split():
    public[name] = dispatching(name)


def on_lists(name):
    """cat or stack: complex if one of the tensors is."""
    plain = public[name]

    def function(tensors, dim=0, **options):
        dim = options.pop("axis", dim)
        if any(isinstance(t, ComplexTensor) for t in tensors):
            pairs = [parts(t) for t in tensors]
            return ComplexTensor(plain([re for re, _ in pairs], dim), plain([im for _, im in pairs], dim))
        return plain(tensors, dim, **options)

    function.__name__, function.__doc__, function.__wrapped__ = name, plain.__doc__, plain
    return function


for name in ("cat", "stack"):
    public[name] = on_lists(name)

plain_einsum = public["einsum"]


def einsum(equation, *operands):
    """Sums of products as the equation says, of complex tensors too"""
    given = operands[0] if len(operands) == 1 and isinstance(operands[0], (list, tuple)) else operands
    if not any(isinstance(t, ComplexTensor) for t in given):
        return plain_einsum(equation, *operands)
    if len(given) > 2:
        raise NotImplementedError("einsum: with complex tensors it takes one or two operands; multiply the others in a second call")
    if len(given) == 1:
        return ComplexTensor(*(plain_einsum(equation, t) for t in parts(given[0])))
    (a, b), (c, d) = (parts(t) for t in given)
    ac, bd, ad, bc = (plain_einsum(equation, *pair) for pair in ((a, c), (b, d), (a, d), (b, c)))
    return ComplexTensor(ac - bd, ad + bc)


public["einsum"] = einsum


@only_function("complex")
def of_parts(real, imag):
    """real + i · imag"""
    pair = public["broadcast_tensors"](as_tensor(real), as_tensor(imag))
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
