"""Gradients of gamma and Dirichlet outcomes with respect to their parameters, though they are drawn by rejection.

An outcome x has the cumulative probability F(x; α). To keep that probability while α moves, x has to move by
dx/dα = −(∂F/∂α) / (∂F/∂x): the pathwise gradient. It has no closed form; here are the approximations of Jankowiak and Obermeyer (2018,
"Pathwise derivatives beyond the reparameterization trick"), which PyTorch uses too, so that gradients are the same number by number.
They are right to about three digits.
"""

import numpy as np

import tinygrad_edu as tg

from ..autograd.function import Function, once_differentiable
from ..autograd.tensor import Tensor, array_of

# ln dx/dα of the gamma distribution as p(u, v) / q(u, v), u = ln x/α, v = ln α: row i has the coefficients of uⁱ; vʲ of p, then of q
GAMMA_RATIO = np.array([
    [0.16009398, -0.094634809, 0.025146376, -0.0030648343, 1, 0.32668115, 0.10406089, 0.0014179084],
    [0.53487893, 0.1298071, 0.065735949, -0.0015649758, 0.16639465, 0.020070113, -0.0035938915, -0.00058392623],
    [0.040121004, -0.0065914022, -0.0026286047, -0.0013441777, 0.017050642, -0.0021309326, 0.00085092367, -1.5247877e-07],
])  # fmt: skip

# that of a proportion, over x·(ψ(total) − ψ(α))/β, as p/q: [p or q][power of ln x][power of a = ln α − ln x][power of ln total − a]
BETA_RATIO = np.array([
    [[[1.003668233, -0.01061107488, -0.0657888334, 0.01201642863],
      [0.6336835991, -0.3557432599, 0.05486251648, -0.001465281033],
      [-0.03276231906, 0.004474107445, 0.002429354597, -0.0001557569013]],
     [[0.221950385, -0.3187676331, 0.01799915743, 0.01074823814],
      [-0.2951249643, 0.06219954479, 0.01535556598, 0.001550077057],
      [0.02155310298, 0.004170831599, 0.001292462449, 6.976601077e-05]],
     [[-0.05980841433, 0.008441916499, 0.01085618172, 0.002319392565],
      [0.02911413504, 0.01400243777, -0.002721828457, 0.000751041181],
      [0.005900514878, -0.001936558688, -9.495446725e-06, 5.385558597e-05]]],
    [[[1, -0.02924021934, -0.04438342661, 0.007285809825],
      [0.6357567472, -0.3473456711, 0.05454656494, -0.002407477521],
      [-0.03301322327, 0.004845219414, 0.00231480583, -0.0002307248149]],
     [[0.5925320577, -0.1757678135, 0.01505928619, 0.000564515273],
      [0.1014815858, -0.06589186703, 0.01272886114, -0.0007316646956],
      [-0.007258481865, 0.001096195486, 0.0003934994223, -4.12701925e-05]],
     [[0.06469649321, -0.0236701437, 0.002902096474, -5.896963079e-05],
      [0.001925008108, -0.002869809258, 0.0008000589141, -6.063713228e-05],
      [-0.0003477407336, 6.959756487e-05, 1.097287507e-05, -1.650964693e-06]]],
])  # fmt: skip


def digamma(x):
    """ψ(x) of an array."""
    return array_of(tg.digamma(Tensor(x, None)))


def polynomial(coefficients, x):
    """Σ cᵢ · xⁱ, the coefficients along the first axis."""
    total = np.zeros_like(x)
    for c in coefficients[::-1]:
        total = total * x + c
    return total


def by_case(x, cases):
    """Each element by the first formula whose condition holds: cases are (condition, function of chosen elements, its arguments)."""
    out, left = np.empty_like(x), np.ones(x.shape, bool)
    for condition, formula, arguments in cases:
        chosen = left & condition
        if chosen.any():
            out[chosen] = formula(*(a[chosen] for a in arguments))
        left &= ~chosen
    return out


# --- gamma -----------------------------------------------------------------------------------------------------------------


def gamma_slope(alpha, x):
    """dx/dα of outcomes x of the gamma distribution with shape α and rate 1; arrays of one shape."""
    alpha, x = np.broadcast_arrays(alpha, x)
    with np.errstate(all="ignore"):
        near = (0.9 * alpha <= x) & (x <= 1.1 * alpha)
        both = (alpha, x)
        return by_case(x, [(x < 0.8, gamma_small, both), ((alpha > 8) & near, gamma_near, both), (alpha > 8, gamma_large, both),
                           (True, gamma_ratio, both)])  # fmt: skip


def gamma_small(alpha, x):
    """By the power series of F around x = 0."""
    term, first, second = np.ones_like(x), 1 / alpha, 1 / alpha**2
    for i in range(1, 6):
        term = term * -x / i
        first = first + term / (alpha + i)
        second = second + term / (alpha + i) ** 2
    power = x**alpha
    by_alpha = (np.log(x) - digamma(alpha)) * (power * first) - power * second
    slope = -by_alpha / (x ** (alpha - 1) * np.exp(-x))
    return np.where(np.isnan(slope), 0, slope)


def gamma_near(alpha, x):
    """By a saddle point, close to the mean, where the general formula is 0/0."""
    a = 1 + 24 * alpha * (1 + 12 * alpha)
    b = 1440 * alpha**2 + 6 * x * (53 - 120 * x) - 65 * x**2 / alpha + alpha * (107 + 3600 * x)
    return a * b / (1244160 * alpha**4)


def gamma_large(alpha, x):
    """By a saddle point (Rice)."""
    width = np.sqrt(8 * alpha)
    distance = width / (alpha - x)
    root = (x - alpha - alpha * np.log(x / alpha)) ** -1.5
    inner = np.log(x / alpha) * np.where(x < alpha, distance - root, distance + root) - np.sqrt(2 / alpha) * (alpha + x) / (alpha - x) ** 2
    return -(1 + 1 / (12 * alpha) * (1 + 1 / (24 * alpha))) * x * inner / width


def gamma_ratio(alpha, x):
    """By a ratio of polynomials."""
    u, v = np.log(x / alpha), np.log(alpha)
    c = polynomial(GAMMA_RATIO[:, :, None], np.broadcast_to(u, (8, *u.shape)))
    return np.exp(polynomial(c[:4], v) / polynomial(c[4:], v))


# --- beta and Dirichlet ------------------------------------------------------------------------------------------------------


def beta_slope(x, alpha, total):
    """dx/dα over 1 − x of a proportion x with concentration α, where all concentrations sum to `total`; arrays of one shape."""
    x, alpha, total = np.broadcast_arrays(x, alpha, total)
    with np.errstate(all="ignore"):
        beta = total - alpha
        edge, three = total * x * (1 - x), (x, alpha, beta)
        mean = alpha / total
        near = np.abs(x - mean) <= 0.1 * np.sqrt(alpha * beta / (total + 1)) / total
        large = (alpha > 6) & (beta > 6)
        return by_case(x, [((x <= 0.5) & (edge < 2.5), beta_low, three), ((x >= 0.5) & (edge < 0.75), beta_high, three),
                           (large & near, beta_near, three), (large, beta_large, three), (True, beta_ratio, three)])  # fmt: skip


def beta_low(x, alpha, beta):
    """By the power series of F around x = 0."""
    factor = digamma(alpha) - digamma(alpha + beta) - np.log(x)
    term = np.ones_like(x)
    series = term / alpha * (factor + 1 / alpha)
    for i in range(1, 11):
        term = term * (i - beta) * x / i
        series = series + term / (alpha + i) * (factor + 1 / (alpha + i))
    slope = x * (1 - x) ** -beta * series
    return np.where(np.isnan(slope), 0, slope)


def beta_high(x, alpha, beta):
    """By the power series around x = 1: there the two proportions change places."""
    x, alpha, beta = 1 - x, beta, alpha
    factor = digamma(alpha + beta) - digamma(beta)
    term, falling, slope_of_falling = np.ones_like(x), np.ones_like(x), np.zeros_like(x)
    series = factor / alpha
    for i in range(1, 9):
        term = term * -x / i
        slope_of_falling = slope_of_falling * (beta - i) + falling
        falling = falling * (beta - i)
        series = series + term / (alpha + i) * (slope_of_falling + factor * falling)
    slope = (1 - x) ** (1 - beta) * series
    return np.where(np.isnan(slope), 0, slope)


def beta_near(x, alpha, beta):
    """By a saddle point, close to the mean, where the general formula is 0/0."""
    a, b, total = alpha, beta, alpha + beta
    powers = (47 * x * b**4, (43 + 20 * (16 + 27 * b) * x) * b**3, 3 * (59 + 180 * b - 90 * x) * b**2,
              (453 + 1620 * b * (1 - x) - 455 * x) * b, 8 * (1 - x) * (135 * b - 11))  # fmt: skip
    size = (1 + 12 * a) * (1 + 12 * b) / total**2
    return size / (1 - x) * polynomial(powers, a) / (12960 * a**3 * b**2 * (1 + 12 * total))


def stirling(a):
    """Γ(a) over Stirling's formula, to second order."""
    return 1 + 1 / (12 * a) + 1 / (288 * a**2)


def beta_large(x, alpha, beta):
    """By a saddle point."""
    a, b, total = alpha, beta, alpha + beta
    off = a * (x - 1) + b * x
    first = (2 * a**2 * (x - 1) + a * b * (x - 1) - x * b**2) / (np.sqrt(2 * a / b) * total**1.5 * off**2)
    root = (b * np.log(b / (total * (1 - x))) + a * np.log(a / (total * x))) ** -1.5
    second = 0.5 * np.log(a / (total * x)) * (np.sqrt(8 * a * b / total) / off + np.where(x < a / total, root, -root))
    return stirling(a) * stirling(b) / stirling(total) * (-x / np.sqrt(2 * a * b / total)) * (first + second)


def beta_ratio(x, alpha, beta):
    """By a ratio of polynomials, times a simple formula."""
    total = alpha + beta
    u = np.log(x)
    a = np.log(alpha) - u
    b = np.log(total) - a
    p, q = (polynomial([polynomial([polynomial(row, b) for row in rows], a) for rows in table], u) for table in BETA_RATIO)
    return p / q * (x * (digamma(total) - digamma(alpha)) / beta)


# --- as functions of tensors -------------------------------------------------------------------------------------------------


class GammaOutcomes(Function):
    """Outcomes of the gamma distribution with rate 1, which follow their shapes"""

    @staticmethod
    def forward(ctx, alpha, drawn):
        """The outcomes as they were drawn."""
        ctx.save_for_backward(alpha, drawn)
        return drawn.clone()

    @staticmethod
    @once_differentiable
    def backward(ctx, g):
        """g · dx/dα"""
        alpha, drawn = (t.array for t in ctx.saved_tensors)
        slope = gamma_slope(np.asarray(alpha, np.float64), np.asarray(drawn, np.float64))
        return g * Tensor(slope.astype(drawn.dtype), None), None


class DirichletOutcomes(Function):
    """Proportions, which follow their concentrations"""

    @staticmethod
    def forward(ctx, concentration, drawn):
        """The proportions as they were drawn."""
        ctx.save_for_backward(concentration, drawn)
        return drawn.clone()

    @staticmethod
    @once_differentiable
    def backward(ctx, g):
        """dxᵢ/dαⱼ = slopeⱼ · (δᵢⱼ − xᵢ): what one proportion gains the others give, each by its share."""
        alpha, x = (np.asarray(t.array, np.float64) for t in ctx.saved_tensors)
        slope = beta_slope(x, alpha, alpha.sum(-1, keepdims=True)).astype(g.dtype)
        return Tensor(slope, None) * (g - (ctx.saved_tensors[1] * g).sum(-1, True)), None
