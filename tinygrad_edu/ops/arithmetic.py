"""Arithmetic, comparison and logic, element by element."""

from math import log

import numpy as np

from ..autograd.operator import elementwise, undifferentiable
from ..autograd.refusals import difference, ordered
from ..autograd.tensor import array_of
from .functions import nothing


@elementwise(np.add, symbol="+", x=lambda g: g, y=lambda g: g)
def add(x, y):
    """x + y"""
    return x + y


@elementwise(np.subtract, symbol="−", x=lambda g: g, y=lambda g: -g, refuse=difference)
def sub(x, y):
    """x − y"""
    return x - y


@elementwise(np.multiply, symbol="×", x=lambda g, y: g * y, y=lambda g, x: g * x)
def mul(x, y):
    """x · y"""
    return x * y


@elementwise(np.true_divide, symbol="÷", domain=(0.3, 3), floats=True,
             x=lambda g, y: g / y,
             y=lambda g, x, y: -g * (x / y) / y)  # fmt: skip
def div(x, y):
    """x / y"""
    return x / y


@elementwise(np.negative, symbol="−", x=lambda g: -g)
def neg(x):
    """−x"""
    return -x


def pow_base(g, x, y):
    """y · x^(y−1), and 0 where y is 0, also at x = 0."""
    if isinstance(y, (int, float)):
        if y == 2:
            return g * (x * 2)
        return nothing(g) if y == 0 else g * (y * x ** (y - 1))
    return np.where(y == 0, 0, g * (y * x ** np.where(y == 0, 1, y - 1)))


def pow_exponent(g, x, y, out):
    """x^y · ln x, and 0 where x is 0 and y is not negative."""
    if isinstance(x, (int, float)) and x > 0:
        return g * (out * log(x))
    zero = (x == 0) & (y >= 0)
    return np.where(zero, 0, g * (out * np.log(np.where(zero, 1, x).astype(out.dtype))))


@elementwise(np.power, symbol="^", domain=(0.3, 2.5), x=pow_base, y=pow_exponent)
def pow(x, y):
    """x^y"""
    if getattr(y, "dtype", np.dtype(float)).kind == "i" and y.ndim and np.any(y < 0):
        return whole_power(x, y)
    return x**y


def whole_power(x, y):
    """x^y of whole numbers, cut off after the point: 0 for negative y unless x is 1 or −1."""
    if getattr(x, "dtype", np.dtype(int)).kind not in "iub":
        return x**y
    odd = np.where(y % 2 == 0, 1, x)
    return np.where(y < 0, np.where(np.abs(x) == 1, odd, 0), x ** np.where(y < 0, 0, y)).astype(np.result_type(x, y))


def refuse_zero(x, y):
    """Whole numbers cannot be divided by 0: an error, where NumPy warns and gives 0."""
    whole = isinstance(y, int) or getattr(y, "dtype", np.dtype(float)).kind in "iu"
    if whole and (isinstance(x, int) or getattr(x, "dtype", np.dtype(float)).kind in "iu") and not np.all(y):
        raise RuntimeError("ZeroDivisionError: a whole number was divided by 0; convert the tensors first, as in x.float()")


@elementwise(np.remainder, symbol="mod", domain=dict(x=(4.1, 6), y=(3.1, 3.9)),
             x=lambda g: g,
             y=lambda g, x, y: -g * np.floor(x / y), refuse=ordered)  # fmt: skip
def remainder(x, y):
    """x − y · ⌊x / y⌋, with the sign of y"""
    refuse_zero(x, y)
    out = np.remainder(x, y)
    return np.where(out == 0, np.copysign(out, x), out)[()] if out.dtype.kind == "f" else out  # NumPy gives a zero the sign of y


@elementwise(np.fmod, symbol="fmod", domain=dict(x=(4.1, 6), y=(3.1, 3.9)),
             x=lambda g: g,
             y=lambda g, x, y: -g * np.trunc(x / y), refuse=ordered)  # fmt: skip
def fmod(x, y):
    """x − y · trunc(x / y), with the sign of x"""
    refuse_zero(x, y)
    return np.fmod(x, y)


@elementwise(np.maximum, symbol="max",
             x=lambda g, x, y: winnings(g, x, y),
             y=lambda g, x, y: winnings(g, y, x), refuse=ordered)  # fmt: skip
def maximum(x, y):
    """max(x, y); equal inputs share the gradient"""
    return np.maximum(x, y)


@elementwise(np.minimum, symbol="min",
             x=lambda g, x, y: winnings(g, y, x),
             y=lambda g, x, y: winnings(g, x, y), refuse=ordered)  # fmt: skip
def minimum(x, y):
    """min(x, y); equal inputs share the gradient"""
    return np.minimum(x, y)


def winnings(g, x, y):
    """g where x is larger, half of it where both are equal, and 0 where y is larger, even if g is infinite."""
    return np.where(x < y, 0, np.where(x == y, 0.5 * g, g))


@elementwise(np.fmax, symbol="fmax",
             x=lambda g, x, y: np.where(wins(x, y), g, 0),
             y=lambda g, x, y: np.where(wins(x, y), 0, g), refuse=ordered)  # fmt: skip
def fmax(x, y):
    """max(x, y), where NaN loses against a number"""
    return np.fmax(x, y)


@elementwise(np.fmin, symbol="fmin",
             x=lambda g, x, y: np.where(wins(-x, -y), g, 0),
             y=lambda g, x, y: np.where(wins(-x, -y), 0, g), refuse=ordered)  # fmt: skip
def fmin(x, y):
    """min(x, y), where NaN loses against a number"""
    return np.fmin(x, y)


def wins(x, y):
    """Where fmax takes x: it is not smaller, or y is not a number."""
    x, y = array_of(x), array_of(y)
    return (x >= y) | np.isnan(y)


def per_square(a, x, y):
    """a / (x² + y²), and 0 at the origin."""
    square = x * x + y * y
    zero = array_of(square) == 0
    return np.where(zero, 0, a / np.where(zero, 1, square))


@elementwise(np.arctan2, symbol="atan2", floats=True, domain=(0.3, 3),
             x=lambda g, x, y: g * per_square(y, x, y),
             y=lambda g, x, y: -g * per_square(x, x, y))  # fmt: skip
def atan2(x, y):
    """The angle of the point (y, x), in radians: arctan(x / y) in the right quadrant"""
    return np.arctan2(x, y)


@elementwise(np.hypot, floats=True, domain=(0.3, 3), x=lambda g, x, out: g * x / out, y=lambda g, y, out: g * y / out)
def hypot(x, y):
    """√(x² + y²)"""
    return np.hypot(x, y)


@elementwise(np.logaddexp, floats=True,
             x=lambda g, x, out: g * np.exp(x - out),
             y=lambda g, y, out: g * np.exp(y - out))  # fmt: skip
def logaddexp(x, y):
    """ln(eˣ + eʸ), without overflow"""
    return np.logaddexp(x, y)


@elementwise(np.logaddexp2, floats=True,
             x=lambda g, x, out: g * np.exp2(x - out),
             y=lambda g, y, out: g * np.exp2(y - out))  # fmt: skip
def logaddexp2(x, y):
    """log₂(2ˣ + 2ʸ), without overflow"""
    return np.logaddexp2(x, y)


@elementwise(np.copysign, floats=True,
             x=lambda g, x, out: g * np.sign(x) * np.sign(out),
             y=nothing)  # fmt: skip
def copysign(x, y):
    """|x| with the sign of y"""
    return np.copysign(x, y)


@elementwise(symbol="lerp", x=lambda g, weight: g * (1 - weight), y=lambda g, weight: g * weight, weight=lambda g, x, y: g * (y - x))
def lerp_elementwise(x, y, weight):
    """x + weight · (y − x), counted from y where it is nearer, so that it ends there"""
    with np.errstate(invalid="ignore"):  # one of the two may be ∞ − ∞
        way = y - x
        return np.where(np.abs(weight) < 0.5, x + weight * way, y - way * (1 - weight))


@elementwise(np.ldexp, promote=(), x=lambda g, y: ldexp_integer(g, y), y=None)
def ldexp_integer(x, y):
    """x · 2ʸ for integers y"""
    return np.ldexp(x, y)


@undifferentiable(np.floor_divide, symbol="//", promote=("x", "y"), refuse=ordered)
def floor_divide(x, y):
    """⌊x / y⌋"""
    refuse_zero(x, y)
    return np.floor_divide(x, y)


@undifferentiable(np.equal, symbol="=", promote=("x", "y"))
def eq(x, y):
    """x = y, element by element"""
    return np.equal(x, y)


@undifferentiable(np.not_equal, symbol="≠", promote=("x", "y"))
def ne(x, y):
    """x ≠ y, element by element"""
    return np.not_equal(x, y)


@undifferentiable(np.less, symbol="<", promote=("x", "y"), refuse=ordered)
def lt(x, y):
    """x < y, element by element"""
    return np.less(x, y)


@undifferentiable(np.less_equal, symbol="≤", promote=("x", "y"), refuse=ordered)
def le(x, y):
    """x ≤ y, element by element"""
    return np.less_equal(x, y)


@undifferentiable(np.greater, symbol=">", promote=("x", "y"), refuse=ordered)
def gt(x, y):
    """x > y, element by element"""
    return np.greater(x, y)


@undifferentiable(np.greater_equal, symbol="≥", promote=("x", "y"), refuse=ordered)
def ge(x, y):
    """x ≥ y, element by element"""
    return np.greater_equal(x, y)


@undifferentiable(np.logical_and, symbol="and", promote=())
def logical_and(x, y):
    """x and y: True where both are nonzero"""
    return np.logical_and(x, y)


@undifferentiable(np.logical_or, symbol="or", promote=())
def logical_or(x, y):
    """x or y: True where one at least is nonzero"""
    return np.logical_or(x, y)


@undifferentiable(np.logical_xor, symbol="xor", promote=())
def logical_xor(x, y):
    """True where exactly one of x and y is nonzero"""
    return np.logical_xor(x, y)


@undifferentiable(np.logical_not, symbol="not", promote=())
def logical_not(x):
    """not x: True where x is zero"""
    return np.logical_not(x)


def as_bits(x, y):
    """Both operands, a number beyond the integer type of the other wrapped around: −32 beside bytes is 224"""
    if isinstance(x, int) and hasattr(y, "dtype"):
        return np.asarray(x).astype(y.dtype), y
    if isinstance(y, int) and hasattr(x, "dtype"):
        return x, np.asarray(y).astype(x.dtype)
    return x, y


@undifferentiable(np.bitwise_and, symbol="&", promote=("x", "y"))
def bitwise_and(x, y):
    """x & y, bit by bit"""
    return np.bitwise_and(*as_bits(x, y))


@undifferentiable(np.bitwise_or, symbol="|", promote=("x", "y"))
def bitwise_or(x, y):
    """x | y, bit by bit"""
    return np.bitwise_or(*as_bits(x, y))


@undifferentiable(np.bitwise_xor, symbol="^", promote=("x", "y"))
def bitwise_xor(x, y):
    """x xor y, bit by bit"""
    return np.bitwise_xor(*as_bits(x, y))


@undifferentiable(np.invert, symbol="~")
def bitwise_not(x):
    """~x, bit by bit"""
    return np.invert(x)


@undifferentiable(np.left_shift, symbol="<<", promote=("x", "y"))
def bitwise_left_shift(x, y):
    """x · 2ʸ, for integers"""
    return np.left_shift(x, y)


@undifferentiable(np.right_shift, symbol=">>", promote=("x", "y"))
def bitwise_right_shift(x, y):
    """⌊x / 2ʸ⌋, for integers"""
    return np.right_shift(x, y)


@undifferentiable(np.isnan, promote=())
def isnan(x):
    """True where x is not a number"""
    return np.isnan(x)


@undifferentiable(np.isinf, promote=())
def isinf(x):
    """True where x is infinite"""
    return np.isinf(x)


@undifferentiable(np.isfinite, promote=())
def isfinite(x):
    """True where x is neither infinite nor NaN"""
    return np.isfinite(x)


@undifferentiable(np.signbit, promote=())
def signbit(x):
    """True where x is negative, or −0"""
    return np.signbit(x)


@undifferentiable(np.gcd, promote=("x", "y"))
def gcd(x, y):
    """The greatest common divisor of integers"""
    return np.gcd(x, y)


@undifferentiable(np.lcm, promote=("x", "y"))
def lcm(x, y):
    """The least common multiple of integers"""
    return np.lcm(x, y)


@elementwise(np.nextafter, x=lambda g: g, y=nothing)
def nextafter(x, y):
    """The next floating-point number after x in the direction of y"""
    return np.nextafter(x, y)


@undifferentiable(np.heaviside)
def heaviside(x, y):
    """0 where x < 0, y where x = 0, 1 where x > 0"""
    return np.heaviside(x, y).astype(x.dtype)
