"""Functions of one number, element by element: powers, exponentials, trigonometry, rounding."""

import numpy as np

from ..autograd.operator import elementwise, general, undifferentiable
from ..autograd.refusals import ordered
from ..autograd.tensor import Tensor, array_of

# Chebyshev-fitted at 40 digits: erf(x)/x in x² on |x| ≤ 1, and x·exp(x²)·erfc(x) in two ranges of 1/x beyond.
from .erf_table import erf_array, erfc_array, erfinv_array


@elementwise(np.absolute, np.fabs, symbol="|·|", x=lambda g, x: g * np.sign(x))
def abs(x):
    """|x|; the slope at 0 is 0"""
    return np.absolute(x)


def nothing(g):
    """0 of g's shape, also where g is infinite or NaN."""
    return np.zeros_like(g)


@general(symbol="=", samples=[((2, 3), (3,))], g=lambda upstream: upstream, x=lambda upstream: np.zeros_like(upstream))
def straight(g, x):
    """g, which x chose by comparisons: a function of x with slope 0"""
    return g.copy()


def chosen(g, x):
    """A gradient that x chose by comparisons; gradients of gradients find x behind it, with slope 0."""
    return straight(g, x) if isinstance(x, Tensor) else g


@elementwise(np.sign, x=nothing)
def sign(x):
    """−1, 0 or 1, as x is negative, zero or positive; 0 for NaN"""
    out = np.sign(x)
    return np.where(x == x, out, 0)[()] if out.dtype.kind == "f" else out


@elementwise(np.square, symbol="²", x=lambda g, x: g * (2 * x))
def square(x):
    """x²"""
    return x * x


@elementwise(np.sqrt, symbol="√", domain=(0.2, 4), floats=True, x=lambda g, out: g / (2 * out))
def sqrt(x):
    """√x"""
    return np.sqrt(x)


@elementwise(domain=(0.2, 4), floats=True, x=lambda g, out: g * (-0.5 * out**3))
def rsqrt(x):
    """1 / √x"""
    return 1 / np.sqrt(x)


@elementwise(np.cbrt, domain=(0.2, 4), floats=True, x=lambda g, out: g / (3 * out * out))
def cbrt(x):
    """∛x"""
    return np.cbrt(x)


@elementwise(np.reciprocal, symbol="1/·", domain=(0.3, 3), floats=True, x=lambda g, out: -g * out * out)
def reciprocal(x):
    """1 / x"""
    return 1 / x


@elementwise(np.exp, domain=(-2, 2), floats=True, x=lambda g, out: g * out)
def exp(x):
    """eˣ"""
    return np.exp(x)


@elementwise(np.exp2, domain=(-2, 2), floats=True, x=lambda g, out: g * (out * 0.6931471805599453))
def exp2(x):
    """2ˣ"""
    return np.exp2(x)


@elementwise(np.expm1, domain=(-2, 2), floats=True, x=lambda g, out: g * (out + 1))
def expm1(x):
    """eˣ − 1, exact near 0"""
    return np.expm1(x)


@elementwise(np.log, domain=(0.2, 4), floats=True, x=lambda g, x: g / x)
def log(x):
    """ln x"""
    return np.log(x)


@elementwise(np.log2, domain=(0.2, 4), floats=True, x=lambda g, x: g / (x * 0.6931471805599453))
def log2(x):
    """log₂ x"""
    return np.log2(x)


@elementwise(np.log10, domain=(0.2, 4), floats=True, x=lambda g, x: g / (x * 2.302585092994046))
def log10(x):
    """log₁₀ x"""
    return np.log10(x)


@elementwise(np.log1p, domain=(-0.7, 4), floats=True, x=lambda g, x: g / (1 + x))
def log1p(x):
    """ln(1 + x), exact near 0"""
    return np.log1p(x)


@elementwise(np.sin, floats=True, x=lambda g, x: g * np.cos(x))
def sin(x):
    """sin x, with x in radians"""
    return np.sin(x)


@elementwise(np.cos, floats=True, x=lambda g, x: -g * np.sin(x))
def cos(x):
    """cos x, with x in radians"""
    return np.cos(x)


@elementwise(np.tan, domain=(-1.2, 1.2), floats=True, x=lambda g, out: g * (1 + out * out))
def tan(x):
    """tan x, with x in radians"""
    return np.tan(x)


@elementwise(np.arcsin, domain=(-0.9, 0.9), floats=True, x=lambda g, x: g / np.sqrt(1 - x * x))
def asin(x):
    """arcsin x, in radians"""
    return np.arcsin(x)


@elementwise(np.arccos, domain=(-0.9, 0.9), floats=True, x=lambda g, x: -g / np.sqrt(1 - x * x))
def acos(x):
    """arccos x, in radians"""
    return np.arccos(x)


@elementwise(np.arctan, floats=True, x=lambda g, x: g / (1 + x * x))
def atan(x):
    """arctan x, in radians"""
    return np.arctan(x)


@elementwise(np.sinh, domain=(-2, 2), floats=True, x=lambda g, x: g * np.cosh(x))
def sinh(x):
    """sinh x = (eˣ − e⁻ˣ) / 2"""
    return np.sinh(x)


@elementwise(np.cosh, domain=(-2, 2), floats=True, x=lambda g, x: g * np.sinh(x))
def cosh(x):
    """cosh x = (eˣ + e⁻ˣ) / 2"""
    return np.cosh(x)


def tanh_rule(g, out):
    """g · (1 − out²); large arrays in one piece of memory"""
    if isinstance(out, Tensor) or out.size < 4096:
        return g * (1 - out * out)
    slope = out * out
    np.subtract(1, slope, slope)
    slope *= g
    return slope


@elementwise(np.tanh, floats=True, domain=(-2.5, 2.5), x=tanh_rule)
def tanh(x):
    """tanh x = (eˣ − e⁻ˣ) / (eˣ + e⁻ˣ)"""
    return np.tanh(x)


@elementwise(np.arcsinh, floats=True, x=lambda g, x: g / np.sqrt(x * x + 1))
def asinh(x):
    """arsinh x, the inverse of sinh"""
    return np.arcsinh(x)


@elementwise(np.arccosh, domain=(1.2, 4), floats=True, x=lambda g, x: g / np.sqrt(x * x - 1))
def acosh(x):
    """arcosh x, the inverse of cosh, for x ≥ 1"""
    return np.arccosh(x)


@elementwise(np.arctanh, domain=(-0.9, 0.9), floats=True, x=lambda g, x: g / (1 - x * x))
def atanh(x):
    """artanh x, the inverse of tanh, for |x| < 1"""
    return np.arctanh(x)


@elementwise(np.sinc, floats=True, domain=(0.2, 2.5), x=lambda g, x, out: g * sinc_slope(x, out))
def sinc(x):
    """sin(πx) / (πx), and 1 at 0"""
    return np.sinc(x)


def sinc_slope(x, out):
    """(cos πx − sinc x) / x, and 0 at 0."""
    zero = array_of(x) == 0
    safe = np.where(zero, 1, x)
    return np.where(zero, 0, (np.cos(safe * np.pi) - out) / safe)


@elementwise(np.deg2rad, floats=True, x=lambda g: g * 0.017453292519943295)
def deg2rad(x):
    """x · π / 180: degrees to radians"""
    return np.deg2rad(x)


@elementwise(np.rad2deg, floats=True, x=lambda g: g * 57.29577951308232)
def rad2deg(x):
    """x · 180 / π: radians to degrees"""
    return np.rad2deg(x)


@elementwise(floats=True, x=lambda g, x: g * (1.1283791670955126 * np.exp(-x * x)))
def erf(x):
    """2/√π ∫₀ˣ e^(−t²) dt, the error function"""
    return erf_array(x)


@elementwise(floats=True, x=lambda g, x: g * (-1.1283791670955126 * np.exp(-x * x)))
def erfc(x):
    """1 − erf x, exact for large x"""
    return erfc_array(x)


@elementwise(floats=True, domain=(-0.9, 0.9), x=lambda g, out: g * (0.886226925452758 * np.exp(out * out)))
def erfinv(x):
    """The number whose error function is x, for |x| < 1"""
    return erfinv_array(x)


@elementwise(np.floor, x=nothing, refuse=ordered)
def floor(x):
    """⌊x⌋, the integer below"""
    return np.floor(x)


@elementwise(np.ceil, x=nothing, refuse=ordered)
def ceil(x):
    """⌈x⌉, the integer above"""
    return np.ceil(x)


@elementwise(np.trunc, np.fix, x=nothing, refuse=ordered)
def trunc(x):
    """The integer part of x"""
    return np.trunc(x)


@elementwise(np.rint, np.round, np.around, x=nothing)
def round(x, *, decimals=0):
    """x rounded to the nearest integer (or decimal), halves to the even one"""
    return np.round(x, decimals)


@elementwise(x=lambda g: g, refuse=ordered)
def frac(x):
    """x − trunc(x), the fractional part"""
    return x - np.trunc(x)


@elementwise(np.nan_to_num, x=lambda g, x: np.where(np.isfinite(array_of(x)), g, 0))
def nan_to_num(x, *, nan=0.0, posinf=None, neginf=None):
    """x with NaN replaced by 0 and infinities by the largest finite numbers"""
    return np.nan_to_num(x, nan=nan, posinf=posinf, neginf=neginf)


@elementwise(np.clip, domain=(-2, 2), samples=[dict(low=-1.03, high=0.98)],
             x=lambda g, x, low, high: np.where(inside(x, low, high), g, 0), refuse=ordered)  # fmt: skip
def clip(x, *, low=None, high=None):
    """min(max(x, low), high); the gradient passes at the edges"""
    return np.clip(x, low, high).astype(x.dtype, copy=False)


def inside(x, low, high):
    """Where low ≤ x ≤ high."""
    x = array_of(x)
    ok = np.ones(np.shape(x), bool) if low is None else x >= low
    return ok if high is None else ok & (x <= high)


def logit_rule(g, x, eps):
    """1 / (x · (1 − x)), NaN outside of 0 to 1; 0 where x was clamped"""
    low, high = (0, 1) if eps is None else (eps, 1 - eps)
    outside = (array_of(x) < low) | (array_of(x) > high)
    return np.where(outside, np.nan if eps is None else 0, g / (x * (1 - x)))


@elementwise(symbol="logit", domain=(0.1, 0.9), floats=True, samples=[{}, dict(eps=0.02)], x=logit_rule)
def logit(x, *, eps=None):
    """ln(x / (1 − x)), x first clamped to [ε, 1 − ε]"""
    if eps is not None:
        x = np.clip(x, eps, 1 - eps)
    return np.log(x / (1 - x)).astype(x.dtype, copy=False)


@elementwise(np.positive, x=lambda g: g)
def positive(x):
    """x"""
    return +x


@undifferentiable(promote=())
def isreal(x):
    """True where the imaginary part is 0"""
    return np.isreal(x)
