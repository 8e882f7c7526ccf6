"""Activations of neural networks, and the fused operators that make small networks fast."""

import numpy as np

from ..autograd.operator import elementwise
from ..autograd.refusals import ordered
from ..autograd.tensor import Tensor
from .functions import chosen, erf, nothing

# Per itemsize: 1, and the largest x of which e^x is finite; as 0-d arrays, which NumPy takes in half the time of a number.
ONE_AND_LIMIT = {n: (np.array(1, f"f{n}"), np.array(limit, f"f{n}")) for n, limit in {2: 11, 4: 88, 8: 709}.items()}


def sigmoid_rule(g, out):
    """g · out · (1 − out); large arrays in one piece of memory"""
    one = ONE_AND_LIMIT[out.itemsize][0]
    if isinstance(out, Tensor) or out.size < 4096:
        return g * (out * (one - out))
    slope = np.subtract(one, out)
    slope *= out
    slope *= g
    return slope


@elementwise(symbol="σ", floats=True, x=sigmoid_rule)
def sigmoid(x):
    """1 / (1 + e⁻ˣ)"""
    one, limit = ONE_AND_LIMIT[x.itemsize]
    if x.size < 4096:  # eˣ / (eˣ + 1) is the same, and far to the left it ends in 0
        power = np.exp(np.minimum(x, limit))
        return np.divide(power, np.add(power, one))
    out = np.negative(x)
    with np.errstate(over="ignore"):  # e^x = ∞ gives 0, which is right
        np.exp(out, out)
    np.add(out, one, out)
    return np.divide(one, out, out)


@elementwise(symbol="step", x=nothing, samples=[dict(low=0.1)])
def step(x, *, edge=0.0, low=0.0):
    """1 where x > edge, else low: the slope of straight pieces, which is differentiable itself, with slope 0"""
    return np.where(x > edge, 1, low).astype(x.dtype, copy=False)


def relu_rule(g, out):
    """g where the result is positive, else 0, even if g is infinite; for large arrays its bits are masked, ten times as fast as np.where"""
    if isinstance(out, Tensor):
        return g * step(out)
    if out.size < 4096:
        return np.where(out <= 0, 0, g)
    bits = (out <= 0).astype(f"i{out.itemsize}")
    bits -= 1  # all set where g passes, none where it does not
    bits &= g.view(bits.dtype)
    return bits.view(out.dtype)


@elementwise(x=relu_rule, refuse=ordered)
def relu(x):
    """max(x, 0); the slope at 0 is 0"""
    return np.maximum(x, 0)


@elementwise(x=lambda g, x, negative_slope: g * step(x, low=negative_slope), samples=[dict(negative_slope=0.1)])
def leaky_relu(x, *, negative_slope=0.01):
    """x where x > 0, else negative_slope · x"""
    return np.where(x > 0, x, x * negative_slope).astype(x.dtype, copy=False)


@elementwise(symbol="prelu", x=lambda g, x, weight: chosen(np.where(x > 0, g, g * weight), x), weight=lambda g, x: np.where(x > 0, 0, g * x))  # fmt: skip
def prelu_elementwise(x, weight):
    """x where x > 0, else weight · x"""
    return np.where(x > 0, x, x * weight)


@elementwise(floats=True, samples=[dict(alpha=0.7)], x=lambda g, x, alpha: np.where(x > 0, g, g * (alpha * np.exp(np.minimum(x, 0)))))
def elu(x, *, alpha=1.0):
    """x where x > 0, else α · (eˣ − 1)"""
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0))).astype(x.dtype, copy=False)


@elementwise(floats=True, samples=[dict(alpha=0.7)], x=lambda g, x, alpha: np.where(x > 0, g, g * np.exp(np.minimum(x, 0) / alpha)))
def celu(x, *, alpha=1.0):
    """x where x > 0, else α · (e^(x/α) − 1)"""
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0) / alpha)).astype(x.dtype, copy=False)


@elementwise(floats=True, x=lambda g, x: np.where(x > 0, g * 1.0507009873554805, g * (1.7580993408473766 * np.exp(np.minimum(x, 0)))))
def selu(x):
    """λ · x where x > 0, else λ · α · (eˣ − 1), with λ = 1.0507 and α = 1.6733 (Klambauer et al. 2017)"""
    return np.where(x > 0, 1.0507009873554805 * x, 1.7580993408473766 * np.expm1(np.minimum(x, 0))).astype(x.dtype, copy=False)


@elementwise(floats=True, samples=[dict(beta=2.0)], x=lambda g, x, beta, threshold: g * softplus_slope(x, beta, threshold))
def softplus(x, *, beta=1.0, threshold=20.0):
    """ln(1 + e^(βx)) / β, and x itself where βx > threshold"""
    z = x * beta
    return np.where(z > threshold, x, np.logaddexp(z, 0) / beta).astype(x.dtype, copy=False)


def softplus_slope(x, beta, threshold):
    """σ(βx), and 1 above the threshold."""
    return np.where(x * beta > threshold, 1, sigmoid(x * beta))


@elementwise(symbol="ln σ", floats=True, x=lambda g, x: g * sigmoid(-x))
def logsigmoid(x):
    """ln(1 / (1 + e⁻ˣ)), without overflow"""
    return 0 - np.logaddexp(0, -x).astype(x.dtype, copy=False)  # and not −0 where x is large


@elementwise(symbol="silu", floats=True, x=lambda g, x: silu_rule(g, x))
def silu(x):
    """x · σ(x)"""
    return x * sigmoid(x)


def silu_rule(g, x):
    """σ(x) · (1 + x · (1 − σ(x)))"""
    s = sigmoid(x)
    return g * (s * (1 + x * (1 - s)))


def gelu_rule(g, x, out):
    """Φ(x) + x · φ(x), where Φ(x) is out / x, and ½ near 0: no second erf"""
    slope = x * (0.3989422804014327 * np.exp(-0.5 * x * x))
    if isinstance(x, Tensor):
        return g * (0.5 * (1 + erf(x * 0.7071067811865476)) + slope)
    return g * (slope + np.divide(out, x, out=np.full_like(out, 0.5), where=np.abs(x) > 1e-30))


@elementwise(symbol="gelu", floats=True, x=gelu_rule)
def gelu_exact(x):
    """x · Φ(x) = x/2 · (1 + erf(x/√2))"""
    return (0.5 * x) * (1 + erf(x * 0.7071067811865476))


def gelu_tanh_rule(g, x):
    """½ (1 + t) + x/2 · (1 − t²) · √(2/π) · (1 + 0.134145·x²), where t is the hyperbolic tangent"""
    square = x * x
    t = np.tanh(x * (0.7978845608028654 + 0.035677408136300125 * square))
    return g * (0.5 * (1 + t) + (0.5 * x) * (1 - t * t) * (0.7978845608028654 + 0.10703222440890037 * square))


@elementwise(symbol="gelu", floats=True, x=gelu_tanh_rule)
def gelu_tanh(x):
    """x/2 · (1 + tanh(√(2/π) · (x + 0.044715·x³)))"""
    return (0.5 * x) * (1 + np.tanh(x * (0.7978845608028654 + 0.035677408136300125 * (x * x))))


def mish_rule(g, x):
    """t + x · (1 − t²) · σ(x), where t = tanh(ln(1 + eˣ))"""
    t = np.tanh(softplus(x))
    return g * (t + x * (1 - t * t) * sigmoid(x))


@elementwise(symbol="mish", floats=True, x=mish_rule)
def mish(x):
    """x · tanh(ln(1 + eˣ))"""
    return x * np.tanh(np.logaddexp(x, 0).astype(x.dtype, copy=False))


@elementwise(domain=(-2, 2), x=lambda g, x: g / np.square(1 + np.abs(x)))
def softsign(x):
    """x / (1 + |x|)"""
    return x / (1 + np.abs(x))


@elementwise(x=lambda g, x: g * np.square(np.tanh(x)))
def tanhshrink(x):
    """x − tanh x"""
    return x - np.tanh(x)


def hardtanh_rule(g, x, low, high):
    """g between the edges"""
    if isinstance(x, Tensor):
        return g * (step(x, edge=low) * step(-x, edge=-high))
    return np.where((x <= low) | (x >= high), 0, g)


@elementwise(samples=[dict(low=-0.93, high=0.97)], x=hardtanh_rule)
def hardtanh(x, *, low=-1.0, high=1.0):
    """min(max(x, low), high); the slope at the edges is 0"""
    return np.clip(x, low, high).astype(x.dtype, copy=False)


@elementwise(domain=(-2.8, 2.8), x=lambda g, x: np.where((x > -3) & (x < 3), g * (1 / 6), 0))
def hardsigmoid(x):
    """min(max(x + 3, 0), 6) / 6"""
    return np.clip(x + 3, 0, 6) / 6


@elementwise(domain=(-2.8, 2.8), x=lambda g, x: np.where(x <= -3, 0, np.where(x >= 3, g, g * (x / 3 + 0.5))))
def hardswish(x):
    """x · min(max(x + 3, 0), 6) / 6"""
    return x * np.clip(x + 3, 0, 6) / 6


def threshold_rule(g, x, threshold):
    """g above the threshold"""
    if isinstance(x, Tensor):
        return g * step(x, edge=threshold)
    return np.where(x <= threshold, 0, g)


@elementwise(samples=[dict(threshold=0.37, value=-1.5)], x=threshold_rule)
def threshold_elementwise(x, *, threshold, value):
    """x where x > threshold, else value"""
    return np.where(x <= threshold, value, x).astype(x.dtype, copy=False)


def shrink_rule(g, x, lambd):
    """g where |x| > λ"""
    return chosen(np.where((x >= -lambd) & (x <= lambd), 0, g), x)


@elementwise(samples=[dict(lambd=0.47)], x=shrink_rule)
def hardshrink(x, *, lambd=0.5):
    """x where |x| > λ, else 0"""
    return np.where((x >= -lambd) & (x <= lambd), 0, x).astype(x.dtype, copy=False)


@elementwise(samples=[dict(lambd=0.47)], x=shrink_rule)
def softshrink(x, *, lambd=0.5):
    """x − λ where x > λ, x + λ where x < −λ, else 0"""
    return (x - np.clip(x, -lambd, lambd)).astype(x.dtype, copy=False)
