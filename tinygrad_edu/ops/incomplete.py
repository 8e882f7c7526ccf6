"""The incomplete gamma functions: the shares of Γ(a) below and above x."""

import numpy as np

from ..autograd.operator import elementwise
from .special import lgamma


def shares(a, x):
    """(P, Q) in float64: by a series where x < a + 1, by a continued fraction elsewhere; both to rounding error."""
    a, x = np.broadcast_arrays(np.asarray(a, np.float64), np.asarray(x, np.float64))
    with np.errstate(all="ignore"):
        front = np.exp(a * np.log(x) - x - lgamma.op.forward(a + 1))  # xᵃe⁻ˣ / Γ(a + 1)
        term = total = np.ones_like(x)
        for k in range(1, 2000):  # Σ xᵏ / ((a + 1) ⋯ (a + k))
            term = np.where(x < a + 1, term * x / (a + k), 0)
            total = total + term
            if not (term > 1e-17 * total).any():
                break
        lower = front * total
        tiny = 1e-300
        b = x + 1 - a
        c, d = np.full_like(x, 1 / tiny), 1 / np.where(b == 0, tiny, b)
        fraction = d
        for k in range(1, 2000):  # Lentz's method
            step = -k * (k - a)
            b = b + 2
            d, c = step * d + b, b + step / c
            d = 1 / np.where(d == 0, tiny, d)
            c = np.where(c == 0, tiny, c)
            change = c * d
            fraction = fraction * change
            if not (np.abs(change - 1)[x >= a + 1] > 1e-16).any():
                break
        upper = front * a * fraction
        series = x < a + 1
        p, q = np.where(series, lower, 1 - upper), np.where(series, 1 - lower, upper)
        p, q = np.where(x == 0, 0, p), np.where(x == 0, 1, q)
        p, q = np.where((a == 0) & (x > 0), 1, p), np.where((a == 0) & (x > 0), 0, q)
        p, q = np.where(np.isinf(x) & np.isfinite(a), 1, p), np.where(np.isinf(x) & np.isfinite(a), 0, q)
        wrong = (a < 0) | (x < 0) | (a == 0) & (x == 0) | np.isnan(a) | np.isnan(x)
    return np.where(wrong, np.nan, p), np.where(wrong, np.nan, q)


def density(a, x):
    """xᵃ⁻¹e⁻ˣ / Γ(a)"""
    log_gamma = float(lgamma(float(a))) if isinstance(a, (int, float)) else lgamma(a)  # a number does not decide the type
    return np.exp((a - 1) * np.log(x) - x - log_gamma)


@elementwise(symbol="P", domain=dict(a=(0.5, 3), x=(0.5, 4)), floats=True, a=None, x=lambda g, a, x: g * density(a, x))
def gamma_lower(a, x):
    """∫₀ˣ tᵃ⁻¹e⁻ᵗdt / Γ(a); no gradient for a"""
    return shares(a, x)[0].astype(np.result_type(a, x))[()]


@elementwise(symbol="Q", domain=dict(a=(0.5, 3), x=(0.5, 4)), floats=True, a=None, x=lambda g, a, x: -g * density(a, x))
def gamma_upper(a, x):
    """∫ₓ^∞ tᵃ⁻¹e⁻ᵗdt / Γ(a); no gradient for a"""
    return shares(a, x)[1].astype(np.result_type(a, x))[()]
