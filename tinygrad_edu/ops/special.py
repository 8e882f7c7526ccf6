"""Special functions, element by element: the gamma function and its kin, Bessel functions, the normal distribution.

All compute in float64 and round once. Gamma functions move their argument beyond 10 by their recurrence and use the
asymptotic series there; negative arguments are reflected. Bessel functions use their power series up to 30 and the
asymptotic series beyond (Abramowitz and Stegun 1964, chapters 6 and 9).
"""

import numpy as np

from ..autograd.operator import elementwise
from ..autograd.tensor import array_of
from .erf_table import erfc_array, erfinv_array, scaled_erfc

STIRLING = (1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360, 1 / 156, -3617 / 122400)  # B₂ₖ / (2k (2k−1))
BERNOULLI = (1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6, -3617 / 510)  # B₂, B₄, …
HALF_LOG_TAU = 0.91893853320467274178


def quiet(function):
    """Compute in float64 without NumPy's warnings at poles, and return the input's own type."""

    def computed(x, *args):
        x = np.asarray(x)
        with np.errstate(all="ignore"):
            out = function(x.astype(np.float64), *args)
        return np.asarray(out).astype(x.dtype)[()]

    return computed


@quiet
def log_gamma(x):
    """ln |Γ(x)|"""
    y = np.where(x < 0.5, 1 - x, x)  # Γ(x)·Γ(1−x) = π / sin πx
    steps = np.ceil(10 - np.minimum(y, 10))
    factor = np.ones_like(y)
    for k in range(10):
        factor = np.where(k < steps, factor * (y + k), factor)
    z = y + steps
    series = sum(c / z ** (2 * k + 1) for k, c in enumerate(STIRLING))
    out = (z - 0.5) * np.log(z) - z + HALF_LOG_TAU + series - np.log(factor)
    near_two = np.abs(y - 2) < 0.25  # both terms cancel where the result is 0
    out = np.where(near_two | (np.abs(y - 1) < 0.25), near_zero_of_log_gamma(np.where(near_two, y - 2, y - 1), near_two), out)
    out = np.where(np.isposinf(y), np.inf, out)
    reflected = np.log(np.pi / np.abs(np.sin(np.pi * (x - np.round(x))))) - out
    reflected = np.where(np.abs(x) < 1e-290, -np.log(np.abs(x)), reflected)
    return np.where(x < 0.5, np.where(x == np.floor(x), np.inf, reflected), out)


def near_zero_of_log_gamma(t, near_two):
    """ln Γ(1 + t) = −γ·t + Σ ζ(k)·(−t)ᵏ / k, and ln Γ(2 + t) = ln Γ(1 + t) + ln(1 + t), for small t."""
    out = -0.57721566490153286061 * t
    for k in range(2, 32):
        out = out + ZETA[k] * (-t) ** k / k
    return np.where(near_two, out + np.log1p(t), out)


@quiet
def psi(x):
    """Γ′(x) / Γ(x)"""
    y = np.where(x < 0.5, 1 - x, x)  # ψ(x) = ψ(1−x) − π / tan πx
    out = np.zeros_like(y)
    z = y
    for _ in range(10):
        small = z < 10
        out = np.where(small, out - 1 / z, out)
        z = np.where(small, z + 1, z)
    out = out + np.log(z) - 0.5 / z - sum(b / (2 * k + 2) / z ** (2 * k + 2) for k, b in enumerate(BERNOULLI))
    reflected = out - np.pi / np.tan(np.pi * (x - np.round(x)))
    out = np.where(x < 0.5, np.where(x == np.floor(x), np.nan, reflected), out)
    return np.where(x == 0, np.copysign(np.inf, -x), out)


@quiet
def hurwitz(x, q):
    """ζ(x, q) = Σ 1 / (q + k)ˣ; for q < −1 and a whole x from the sum over all integers k, which has period 1."""
    q = np.asarray(q, np.float64)
    far = (q < -1) & (x == np.floor(x))
    near = np.where(far, q - np.floor(q), q)
    out = zeta_sum(x, near)
    if far.any():
        sign = np.where(x % 2 == 0, 1, -1)
        out = np.where(far, out + sign * zeta_sum(x, 1 - near) - sign * zeta_sum(x, 1 - np.where(far, q, 0)), out)
    out = np.where((q <= 0) & (q == np.floor(q)), np.inf, out)
    return np.where(x == 1, np.inf, np.where(x < 1, np.nan, out))


def zeta_sum(x, q):
    """ζ(x, q) for q > −1: twelve terms, and the rest by the Euler-Maclaurin formula, which is good for x up to z; beyond, the rest is nothing."""
    z = q + 12
    out = sum((q + k) ** -x for k in range(12)) + z ** (1 - x) / (x - 1) + 0.5 * z**-x
    term = x * z ** (-x - 1)
    factorial = 2.0
    for k, b in enumerate(BERNOULLI):
        out = out + b / factorial * term
        term = term * (x + 2 * k + 1) * (x + 2 * k + 2) / (z * z)
        factorial *= (2 * k + 3) * (2 * k + 4)
    return out


ZETA = [0.0, 0.0, *hurwitz(np.arange(2.0, 32), 1.0).tolist()]


@quiet
def scaled_bessel(x, order):
    """e^(−|x|) · Iₙ(x), the modified Bessel function of order 0 or 1."""
    size = np.abs(x)
    term = np.ones_like(size) if order == 0 else size / 2
    series = term
    quarter = size * size / 4
    for k in range(1, 80):
        term = term * quarter / (k * (k + order))
        series = series + term
    series = series * np.exp(-size)
    term = np.ones_like(size)
    tail = term
    for k in range(1, 22):
        term = term * ((2 * k - 1) ** 2 - 4 * order) / (8 * k * size)
        tail = tail + term
    tail = tail / (np.sqrt(2 * np.pi) * np.sqrt(size))
    out = np.where(size < 30, series, tail)
    return out if order == 0 else np.copysign(out, x)


def bessel(x, order):
    """Iₙ(x), the modified Bessel function of order 0 or 1."""
    y = np.asarray(x, np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        out = scaled_bessel(y, order) * np.exp(np.abs(y))
    return np.where(np.isinf(y), np.abs(y) if order == 0 else y, out).astype(x.dtype)[()]


@elementwise(symbol="ln Γ", domain=(0.3, 4), floats=True, x=lambda g, x: g * digamma(x))
def lgamma(x):
    """ln |Γ(x)|, the logarithm of the gamma function"""
    return log_gamma(x)


@elementwise(symbol="ψ", domain=(0.3, 4), floats=True, x=lambda g, x: g * polygamma_of(x, n=1))
def digamma(x):
    """ψ(x) = Γ′(x) / Γ(x)"""
    return psi(x)


@elementwise(symbol="ψⁿ", domain=(0.5, 4), floats=True, samples=[dict(n=1), dict(n=2)], x=lambda g, x, n: g * polygamma_of(x, n=n + 1))
def polygamma_of(x, *, n):
    """ψ⁽ⁿ⁾(x), the n-th derivative of digamma, for n ≥ 1"""
    sign_and_factorial = (-1.0) ** (n + 1)
    for k in range(2, n + 1):
        sign_and_factorial *= k
    return sign_and_factorial * hurwitz(np.full_like(x, n + 1.0), x)


@elementwise(symbol="ζ", floats=True, domain=dict(x=(1.5, 4), q=(0.5, 3)), x=None, q=lambda g, x, q: g * (-x * zeta(x + 1, q)))
def zeta(x, q):
    """Σ 1 / (q + k)ˣ over k = 0, 1, …, Hurwitz's zeta function"""
    return hurwitz(np.asarray(x, np.result_type(x, q)), q)


@elementwise(symbol="I₀", domain=(-3, 3), floats=True, x=lambda g, x: g * i1(x))
def i0(x):
    """I₀(x), the modified Bessel function of order 0"""
    return bessel(x, 0)


@elementwise(symbol="I₁", domain=(0.3, 3), floats=True, x=lambda g, x, out: g * (i0(x) - ratio(out, x)))
def i1(x):
    """I₁(x), the modified Bessel function of order 1"""
    return bessel(x, 1)


def ratio(out, x):
    """out / x, and near 0 its limit ½."""
    x_array = array_of(x)
    zero = np.abs(x_array) < np.finfo(x_array.dtype).tiny
    return np.where(zero, 0.5, out / np.where(zero, 1, x))


@elementwise(domain=(0.3, 3), floats=True, x=lambda g, x, out: g * (i1e(x) - np.sign(x) * out))
def i0e(x):
    """e^(−|x|) · I₀(x)"""
    return scaled_bessel(x, 0)


@elementwise(domain=(0.3, 3), floats=True, x=lambda g, x, out: g * (i0e(x) - ratio(out, x) - np.sign(x) * out))
def i1e(x):
    """e^(−|x|) · I₁(x)"""
    return scaled_bessel(x, 1)


@elementwise(floats=True, x=lambda g, x: g * (0.3989422804014327 * np.exp(-0.5 * x * x)))
def ndtr(x):
    """Φ(x), the area under the standard normal density up to x"""
    return 0.5 * erfc_array(x * np.asarray(-0.7071067811865476, x.dtype))


@elementwise(floats=True, x=lambda g, x, out: g * np.exp(-0.5 * x * x - out) * 0.3989422804014327)
def log_ndtr(x):
    """ln Φ(x), also far below 0"""
    y = np.asarray(x, np.float64)
    t = -y * 0.7071067811865476
    with np.errstate(divide="ignore", over="ignore"):
        below = np.log(0.5 * scaled_erfc(np.clip(t, 0, 1e300))) - np.square(np.maximum(t, 0))
        above = np.log1p(-0.5 * erfc_array(-t))
    return np.where(y < -1, below, above).astype(x.dtype)[()]


@elementwise(floats=True, domain=(0.1, 0.9), x=lambda g, out: g * (2.5066282746310002 * np.exp(0.5 * out * out)))
def ndtri(x):
    """The number below which a standard normal one falls with probability x: the inverse of Φ"""
    p = np.asarray(x, np.float64)
    tail = np.minimum(p, 1 - p)
    with np.errstate(all="ignore"):
        out = np.where(tail > 0.01, -1.4142135623730951 * erfinv_array(1 - 2 * np.maximum(tail, 0.01)), -np.sqrt(-2 * np.log(tail)))
        for _ in range(6):  # Newton's method on ln Φ, which is concave: no step can overshoot
            lower = log_ndtr.op.forward(out)
            out = np.where(tail > 0.01, out, out - (lower - np.log(tail)) / (np.exp(-0.5 * out * out - lower) * 0.3989422804014327))
    out = np.where(tail == 0, -np.inf, np.where(tail < 0, np.nan, out))
    return np.where(p < 0.5, out, -out).astype(x.dtype)[()]


@elementwise(floats=True, domain=(-2, 3), x=lambda g, x, out: g * (2 * x * out - 1.1283791670955126))
def erfcx(x):
    """e^(x²) · erfc x, also where erfc is too small for a float"""
    y = np.asarray(x, np.float64)
    with np.errstate(over="ignore"):
        below = 2 * np.exp(y * y) - scaled_erfc(np.clip(-y, 0, 1e300))
        return np.where(y < 0, below, np.where(y == np.inf, 0, scaled_erfc(np.clip(y, 0, 1e300)))).astype(x.dtype)[()]


@elementwise(floats=True, domain=(0.2, 3), x=lambda g, x: g * (-np.log(x) - 1))
def entr(x):
    """−x · ln x for x > 0, 0 at 0 and −∞ below"""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(x > 0, -x * np.log(np.where(x > 0, x, 1)), np.where(x == 0, 0, np.where(x < 0, -np.inf, np.nan))).astype(x.dtype)
