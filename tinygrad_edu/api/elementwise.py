"""Element-by-element functions in PyTorch's spelling."""

import numpy as np

from ..autograd import dtypes
from ..autograd.operator import registry
from ..autograd.tensor import Tensor, array_of
from ..ops import arithmetic, functions, indexing, reductions
from .create import bfloat16
from .spelling import FORMER, as_tensor, both, check_dim, into, methods, only_function
from .spelling import functions as public

PLAIN = """abs sqrt rsqrt reciprocal exp exp2 expm1 log log2 log10 log1p sin cos tan asin acos atan sinh cosh
tanh asinh acosh atanh sinc deg2rad rad2deg erf erfc erfinv floor ceil trunc frac positive sigmoid relu remainder fmod
maximum minimum fmax fmin atan2 hypot logaddexp logaddexp2 copysign eq ne lt le gt ge logical_and logical_or logical_xor
logical_not bitwise_and bitwise_or bitwise_xor bitwise_not bitwise_left_shift bitwise_right_shift isnan isinf isfinite
signbit gcd lcm nextafter heaviside isreal neg""".split()

OTHER_NAMES = dict(absolute="abs", arcsin="asin", arccos="acos", arctan="atan", arcsinh="asinh", arccosh="acosh",
                   arctanh="atanh", arctan2="atan2", negative="neg", fix="trunc", not_equal="ne", less="lt",
                   less_equal="le", greater="gt", greater_equal="ge")  # fmt: skip



def named(operator):
    """An operator as a function with PyTorch's argument names, input, other and out."""

    def unary(input, *, out=None):
        result = operator(input)
        return result if out is None else into(out, result)

    def binary(input, other, *, out=None):
        result = operator(input, other)
        return result if out is None else into(out, result)

    several = len(operator.op.inputs) > 1
    function = both(operator.op.name)(binary) if operator.op.name in FORMER else binary if several else unary
    function.op, function.__name__, function.__doc__ = operator.op, operator.op.name, operator.op.doc
    return function


for name in PLAIN:
    public[name] = methods[name] = named(registry[name].function)
for name, target in OTHER_NAMES.items():
    public[name], methods[name] = public[target], methods[target]


def check_alpha(name, alpha, *tensors):
    """Refuse a factor of another kind than the tensors' numbers."""
    kinds = {array_of(t).dtype.kind for t in tensors if isinstance(t, Tensor)}
    if kinds and not kinds - set("iub") and isinstance(alpha, float):
        raise RuntimeError(f"{name}: alpha={alpha} must be an integer for tensors of integers; convert them first, as in x.float()")
    if kinds - {"b"} and isinstance(alpha, bool):
        raise RuntimeError(f"{name}: alpha={alpha} is a truth value, which is for boolean tensors only; use a number")


def binary(operator):
    """An operator with PyTorch's keyword `alpha`, for add and sub; its first versions had add(input, alpha, other)."""

    def scaled(input, other, last=None, *, alpha=1):
        if last is not None:
            alpha, other = other, last
        if alpha.__class__ is not int:
            check_alpha(operator.op.name, alpha, input, other)
        return operator(input, other if alpha == 1 else other * alpha)

    scaled.__name__, scaled.__doc__ = operator.op.name, operator.op.formula.replace("y", "alpha · other").replace("x", "input")
    return scaled


add = both("add")(binary(arithmetic.add))
sub = both("sub", "subtract")(binary(arithmetic.sub))


@both("mul", "multiply")
def mul(input, other):
    """input · other"""
    return arithmetic.mul(input, other)


@both("div", "divide", "true_divide")
def div(input, other, *, rounding_mode=None):
    """input / other; rounding_mode "floor" or "trunc" rounds the quotient."""
    if rounding_mode is None:
        return arithmetic.div(input, other)
    if rounding_mode not in ("floor", "trunc"):
        raise RuntimeError(f'div: rounding_mode must be None, "trunc" or "floor", not {rounding_mode!r}')
    whole = all(dtypes.common([array_of(v)]).kind in "biu" for v in (input, other))
    if whole and rounding_mode == "floor":
        return arithmetic.floor_divide(input, other)
    out = (functions.floor if rounding_mode == "floor" else functions.trunc)(arithmetic.div(input, other))
    if rounding_mode == "floor":  # as // rounds: from the remainder, so that 1 / 0.1 is 9 and 1 / −∞ is −1
        exact = np.asarray(arithmetic.floor_divide(input, other).array)
        apart = (exact != out.array) & ~(np.isnan(exact) & np.isnan(out.array))
        out = indexing.where(Tensor(apart, None), Tensor(exact.astype(out.dtype), None), out) if apart.any() else out
    return out.astype(dtypes.common([array_of(input), array_of(other)])) if whole else out


@both()
def floor_divide(input, other):
    """⌊input / other⌋"""
    return arithmetic.floor_divide(as_tensor(input), other)


@both()
def pow(input, exponent):
    """input to the power of exponent"""
    return arithmetic.pow(input, exponent)


@both("float_power")
def float_power(input, exponent):
    """input to the power of exponent, in float64, or in complex128"""
    wide = np.result_type(np.float64, *(np.asarray(array_of(x)).dtype for x in (input, exponent)))
    return arithmetic.pow(as_tensor(input).astype(wide), exponent)


@both("rsub")
def rsub(input, other, *, alpha=1):
    """other − alpha · input"""
    return arithmetic.sub(other, input if alpha == 1 else input * alpha)


@both("round")
def round(input, *, decimals=0):
    """input rounded to the nearest integer (or decimal), halves to the even one"""
    return functions.round(input, decimals=decimals) if input.dtype.kind == "f" else input


@both()
def nan_to_num(input, nan=0.0, posinf=None, neginf=None):
    """input with NaN and infinities replaced"""
    return functions.nan_to_num(input, nan=nan, posinf=posinf, neginf=neginf)


@both("clamp", "clip")
def clamp(input, min=None, max=None):
    """min(max(input, min), max)"""
    if min is None and max is None:
        raise RuntimeError("clamp: give min, max or both")
    if isinstance(min, Tensor) or isinstance(max, Tensor):
        if min is not None:
            input = clamp_below(input, min)
        return input if max is None else clamp_above(input, max)
    if input.dtype.kind in "iub" and any(isinstance(v, float) for v in (min, max)):
        input = input.astype(dtypes.default)
    elif input.dtype.kind == "b" and any(v is not None and v.__class__ is not bool for v in (min, max)):
        input = input.astype(np.dtype(np.int64))
    return functions.clip(input, low=min, high=max)


def clamp_below(x, low):
    """max(x, low) with tensor bounds, where x keeps its gradient at the edge."""
    return indexing.where((x < low) | (low != low), low, x)


def clamp_above(x, high):
    """min(x, high) with tensor bounds, where x keeps its gradient at the edge."""
    return indexing.where((x > high) | (high != high), high, x)


@both("clamp_min")
def clamp_min(input, min):
    """max(input, min)"""
    return clamp(input, min=min)


@both("clamp_max")
def clamp_max(input, max):
    """min(input, max)"""
    return clamp(input, max=max)


@both()
def lerp(input, end, weight):
    """input + weight · (end − input)"""
    if any(getattr(x, "dtype", np.dtype(float)).kind == "c" for x in (input, end, weight)):
        return input + weight * (end - input)
    return arithmetic.lerp_elementwise(input, end, weight)


@both()
def addcmul(input, tensor1, tensor2, last=None, *, value=1):
    """input + value · tensor1 · tensor2, with the value second in PyTorch's first versions"""
    if last is not None:
        value, tensor1, tensor2 = tensor1, tensor2, last
    return input + value * (tensor1 * tensor2)


@both()
def addcdiv(input, tensor1, tensor2, last=None, *, value=1):
    """input + value · tensor1 / tensor2, with the value second in PyTorch's first versions"""
    if last is not None:
        value, tensor1, tensor2 = tensor1, tensor2, last
    if not any(t.dtype.kind in "fc" for t in (tensor1, tensor2)):
        raise RuntimeError(f"addcdiv: tensors of {tensor1.dtype} and {tensor2.dtype} are not divided; convert one of them, as in x.float()")
    return input + value * (tensor1 / tensor2)


def alike(*values):
    """Tensors of the dtype that arithmetic with them gives."""
    tensors = [as_tensor(v) for v in values]
    kind = dtypes.common([array_of(v) for v in values])
    return [t if t.dtype == kind or kind.kind != "f" else t.astype(kind) for t in tensors]


@both()
def xlogy(input, other):
    """input · ln other, and 0 where input is 0"""
    input, other = alike(input, other)
    x, y = array_of(input), array_of(other)
    zero = Tensor((x == 0) & ((y <= 0) | (y == np.inf)), None)  # where ln other is finite, the derivative for input is ln other
    return indexing.where(zero, 0.0, input * functions.log(indexing.where(zero, 1.0, other)))


@both()
def logit(input, eps=None):
    """ln(input / (1 − input)), input first clamped to [eps, 1 − eps]"""
    return functions.logit(input if input.dtype.kind == "f" else input.astype(dtypes.default), eps=eps)


@both("sign", "sgn")
def sign(input):
    """−1, 0 or 1, as input is negative, zero or positive"""
    return functions.sign(input) if input.dtype != bool else input


@both()
def square(input):
    """input²"""
    return functions.square(input if input.dtype != bool else input.astype(np.dtype("int64")))


@both()
def softmax(input, dim=None, dtype=None):
    """eˣ / Σ eˣ along dim"""
    if dtype is not None:
        input = input.astype(dtype)
    return reductions.softmax(input, axis=softmax_dim("softmax", input, dim))


@both()
def log_softmax(input, dim=None, dtype=None):
    """x − ln Σ eˣ along dim, without overflow"""
    if dtype is not None:
        input = input.astype(dtype)
    return reductions.log_softmax(input, axis=softmax_dim("log_softmax", input, dim))


def softmax_dim(name, x, dim):
    """The dimension, or an error: PyTorch guesses it where it is missing, and guesses wrong as often."""
    if dim is None:
        raise TypeError(f"{name}: give the dimension along which the results sum to 1, as in {name}(x, dim=-1)")
    return check_dim(name, x, dim) if x.ndim else dim


@both()
def isclose(input, other, rtol=1e-05, atol=1e-08, equal_nan=False):
    """|input − other| ≤ atol + rtol · |other|, element by element"""
    rtol, atol = float(rtol), float(atol)
    if rtol < 0 or atol < 0:
        raise RuntimeError(f"isclose: rtol={rtol} and atol={atol} must not be negative")
    if array_of(input).dtype != getattr(array_of(other), "dtype", None):
        raise RuntimeError(f"isclose: {array_of(input).dtype} against {getattr(array_of(other), 'dtype', type(other).__name__)}; both "
                           "must be tensors of one dtype")  # fmt: skip
    return Tensor(np.isclose(array_of(input), array_of(other), rtol, atol, equal_nan), None)


@both()
def allclose(input, other, rtol=1e-05, atol=1e-08, equal_nan=False):
    """True if every element is close"""
    return bool(isclose(input, other, rtol, atol, equal_nan).array.all())


@both()
def equal(input, other):
    """True if shapes and elements are the same"""
    return array_of(input).shape == array_of(other).shape and bool(np.all(array_of(input) == array_of(other)))


@both()
def isposinf(input):
    """True where input is +∞"""
    return Tensor(np.isposinf(array_of(input)), None)


@both()
def isneginf(input):
    """True where input is −∞"""
    return Tensor(np.isneginf(array_of(input)), None)


@only_function()
def where(condition, input=None, other=None):
    """input where the condition holds, else other; with the condition alone, the indices where it holds"""
    if input is None and other is None:
        return tuple(Tensor(i, None) for i in np.nonzero(array_of(condition)))
    if input is None or other is None:
        raise TypeError("where: give both values, as in where(condition, x, 0.0), or neither")
    if array_of(condition).dtype.kind not in "bu":
        raise RuntimeError(f"where: the condition must be boolean, not {array_of(condition).dtype}; compare, as in x > 0")
    condition = as_tensor(condition)
    return indexing.where(condition, input, other)


methods["where"] = lambda self, condition, other: where(condition, self, other)


@only_function("is_floating_point")
def is_floating_point(input):
    """True if the elements are floating-point numbers"""
    return input.dtype.kind == "f"


@only_function("is_complex")
def is_complex(input):
    """True if the elements are complex numbers"""
    return input.dtype.kind == "c"


methods["is_floating_point"], methods["is_complex"] = is_floating_point, is_complex


@only_function()
def result_type(*values):
    """The dtype that arithmetic with these tensors or numbers gives"""
    return dtypes.of[dtypes.common([array_of(v) for v in values])]


@only_function()
def promote_types(type1, type2):
    """The dtype that holds both"""
    if bfloat16 in (type1, type2):  # it gives way to every wider type, and with float16 both do
        other = type2 if type1 is bfloat16 else type1
        return bfloat16 if other is bfloat16 or np.dtype(other).kind in "biu" else promote_types(other, np.float32)
    return dtypes.of[dtypes.promote(np.dtype(type1), np.dtype(type2))]


@only_function()
def can_cast(from_, to):
    """True if values of one dtype may be stored in the other, categories included"""
    kinds = [t.kind if isinstance(t, dtypes.dtype) else np.dtype(t).kind for t in (from_, to)]
    return dtypes.ranks[kinds[0]] <= dtypes.ranks[kinds[1]]
