"""Special functions in the spelling of `torch.special`, and their names at the top level."""

import math

import numpy as np

from ..autograd import dtypes
from ..autograd.function import Function
from ..autograd.operator import registry
from ..autograd.tensor import Tensor, array_of
from ..ops import functions, indexing
from ..ops import incomplete as incomplete_gamma
from ..ops import special as operators
from . import elementwise, reduce
from .elementwise import alike
from .spelling import as_tensor, both, methods
from .spelling import functions as public

__all__ = ["bessel_j0", "bessel_j1", "bessel_y0", "bessel_y1", "chebyshev_polynomial_t", "chebyshev_polynomial_u", "chebyshev_polynomial_v",
           "chebyshev_polynomial_w", "digamma", "entr", "erf", "erfc", "erfcx", "erfinv", "exp2", "expit", "expm1", "gammainc", "gammaincc", "gammaln",
           "hermite_polynomial_h", "hermite_polynomial_he", "i0", "i0e", "i1",
           "i1e", "laguerre_polynomial_l", "legendre_polynomial_p", "log1p", "log_ndtr", "log_softmax", "logit", "logsumexp", "modified_bessel_i0",
           "modified_bessel_i1", "modified_bessel_k0", "modified_bessel_k1", "multigammaln", "ndtr", "ndtri", "polygamma", "psi",
           "round", "scaled_modified_bessel_k0", "scaled_modified_bessel_k1", "shifted_chebyshev_polynomial_t", "shifted_chebyshev_polynomial_u",
           "shifted_chebyshev_polynomial_v", "shifted_chebyshev_polynomial_w", "sinc", "softmax", "spherical_bessel_j0", "xlog1py", "xlogy", "zeta"]  # fmt: skip

OPERATORS = """digamma entr erf erfc erfcx erfinv exp2 sigmoid expm1 lgamma i0 i0e i1 i1e log1p log_ndtr ndtr ndtri sinc zeta""".split()
(digamma, entr, erf, erfc, erfcx, erfinv, exp2, expit, expm1, gammaln, i0, i0e, i1, i1e, log1p, log_ndtr, ndtr, ndtri, sinc,
 zeta) = (elementwise.named(registry[name].function) for name in OPERATORS)  # fmt: skip
psi, modified_bessel_i0, modified_bessel_i1 = digamma, i0, i1
for name, function in dict(lgamma=gammaln, digamma=digamma, i0=i0).items():
    public[name] = methods[name] = function
logit, xlogy, round = elementwise.logit, elementwise.xlogy, elementwise.round
softmax, log_softmax, logsumexp = elementwise.softmax, elementwise.log_softmax, reduce.logsumexp


def polygamma(n, input):
    """The n-th derivative of digamma"""
    if n < 0:
        raise RuntimeError(f"polygamma: n must not be negative, got {n}")
    input = as_tensor(input)
    return operators.digamma(input) if n == 0 else operators.polygamma_of(input, n=int(n))


public["polygamma"] = polygamma
both("polygamma", function=False)(lambda self, n: polygamma(n, self))


@both("mvlgamma")
def multigammaln(input, p):
    """ln Γₚ(input), the logarithm of the multivariate gamma function"""
    if p < 1 or (array_of(input) <= (p - 1) / 2).any():
        raise RuntimeError(f"mvlgamma: p = {p} must be at least 1, and every element greater than (p − 1) / 2 = {(p - 1) / 2}")
    input = input if input.dtype.kind == "f" else input.astype(dtypes.default)
    steps = Tensor(np.arange(p).astype(input.dtype) / 2, None)
    return operators.lgamma(input.unsqueeze(-1) - steps).sum(-1) + p * (p - 1) / 4 * math.log(math.pi)


def xlog1py(input, other):
    """input · ln(1 + other), and 0 where input is 0"""
    input, other = alike(input, other)
    x, y = array_of(input), array_of(other)
    zero = Tensor((x == 0) & ((y <= -1) | (y == np.inf)), None)  # where the logarithm is finite, it is the derivative for input
    return indexing.where(zero, 0.0, input * functions.log1p(indexing.where(zero, 0.0, other)))


# --- the incomplete gamma functions ----------------------------------------------------------------------------------------


@both("igamma")
def gammainc(input, other):
    """P(a, x) = ∫₀ˣ tᵃ⁻¹e⁻ᵗdt / Γ(a), with a = input and x = other; the gradient is for x"""
    return incomplete(input, other, incomplete_gamma.gamma_lower)


@both("igammac")
def gammaincc(input, other):
    """Q(a, x) = 1 − P(a, x), with a = input and x = other; the gradient is for x"""
    return incomplete(input, other, incomplete_gamma.gamma_upper)


class NoDerivative(Function):
    """The same values; a gradient that comes this way is an error"""

    @staticmethod
    def forward(ctx, x):
        """x"""
        return x.clone()

    @staticmethod
    def backward(ctx, g):
        """Refused."""
        raise NotImplementedError("gammainc: there is no derivative for the first argument, as in PyTorch; use a.detach()")


def incomplete(a, x, operator):
    """One of the two, whose first argument has no gradient."""
    a, x = as_tensor(a), as_tensor(x)
    if not a.requires_grad:
        return operator(a, x)
    return operator(a, x) + (NoDerivative.apply(a) - a.detach())


# --- Bessel functions, by their integrals ----------------------------------------------------------------------------------


def integral(name, doc, compute):
    """A function of one variable without a gradient, as in PyTorch, computed in float64."""

    def function(input):
        if input.requires_grad:
            raise NotImplementedError(f"{name}: there is no derivative, as in PyTorch; use x.detach()")
        kind = dtypes.floating(input.dtype)
        with np.errstate(all="ignore"):
            return Tensor(np.asarray(compute(np.asarray(input.array, np.float64))).astype(kind), None)

    function.__name__, function.__doc__ = name, doc
    return function


def bessel_j(n, x):
    """1/π · ∫₀^π cos(nθ − x sin θ) dθ: the trapezoidal rule is exact for a periodic function with enough points."""
    places = np.linspace(0, np.pi, 64 + 2 * int(np.abs(x[np.isfinite(x)]).max(initial=0)), endpoint=False)
    places = places + places[1] / 2
    return np.cos(n * places - np.multiply.outer(x, np.sin(places))).mean(-1)


def bessel_y(n, x):
    """1/π · ∫₀^π sin(x sin θ − nθ) dθ − 1/π · ∫₀^∞ (eⁿᵗ + (−1)ⁿe⁻ⁿᵗ) e^(−x sinh t) dt"""
    count = 80 + 2 * int(np.abs(x[np.isfinite(x)]).max(initial=0))
    t, w = np.polynomial.legendre.leggauss(count)
    first = (np.sin(np.multiply.outer(x, np.sin((t + 1) * np.pi / 2)) - n * (t + 1) * np.pi / 2) * w).sum(-1) / 2
    t, w = np.polynomial.legendre.leggauss(400)
    last = np.arcsinh(750 / np.maximum(x, 1e-300))[..., None]
    t = (t + 1) / 2 * last
    second = ((np.exp(n * t) + (-1) ** n * np.exp(-n * t)) * np.exp(-x[..., None] * np.sinh(t)) * w).sum(-1) * last[..., 0] / 2
    return np.where(x > 0, first - second / np.pi, np.where(x == 0, -np.inf, np.nan))


def bessel_k(n, x, scaled=False):
    """∫₀^∞ e^(−x cosh t) cosh(nt) dt, times eˣ if scaled"""
    last = np.arccosh(1 + 750 / np.maximum(x, 1e-300))[..., None]
    t = np.linspace(0, 1, 400) * last
    weights = np.r_[0.5, np.ones(398), 0.5]
    value = (np.exp(-x[..., None] * (np.cosh(t) - 1)) * np.cosh(n * t) * weights).sum(-1) * last[..., 0] / 399
    return np.where(x > 0, value * (1 if scaled else np.exp(-x)), np.where(x == 0, np.inf, np.nan))


bessel_j0 = integral("bessel_j0", "The Bessel function of the first kind of order 0", lambda x: bessel_j(0, x))
bessel_j1 = integral("bessel_j1", "The Bessel function of the first kind of order 1", lambda x: np.where(x == 0, 0.0, bessel_j(1, x)))
bessel_y0 = integral("bessel_y0", "The Bessel function of the second kind of order 0", lambda x: bessel_y(0, x))
bessel_y1 = integral("bessel_y1", "The Bessel function of the second kind of order 1", lambda x: bessel_y(1, x))
modified_bessel_k0 = integral("modified_bessel_k0", "The modified Bessel function of the second kind of order 0", lambda x: bessel_k(0, x))
modified_bessel_k1 = integral("modified_bessel_k1", "The modified Bessel function of the second kind of order 1", lambda x: bessel_k(1, x))
scaled_modified_bessel_k0 = integral("scaled_modified_bessel_k0", "eˣ · K₀(x)", lambda x: bessel_k(0, x, True))
scaled_modified_bessel_k1 = integral("scaled_modified_bessel_k1", "eˣ · K₁(x)", lambda x: bessel_k(1, x, True))
spherical_bessel_j0 = integral("spherical_bessel_j0", "sin(x) / x", lambda x: np.sinc(x / np.pi))

# --- orthogonal polynomials, by their recurrences -----------------------------------------------------------------------------


def polynomial(name, first, following, argument=lambda x: x):
    """p(x, n) from p₀ = 1, p₁ = first(x) and pₖ₊₁ = following(k, x, pₖ, pₖ₋₁), without a gradient, as in PyTorch."""

    def function(input, n):
        x, n = as_tensor(input), as_tensor(n)
        if x.requires_grad:
            raise NotImplementedError(f"{name}: there is no derivative, as in PyTorch; use x.detach()")
        kind, degrees = dtypes.floating(x.dtype), np.asarray(n.array).astype(int)
        z = argument(np.asarray(x.array, np.float64))
        before, value = np.ones_like(z), first(z)
        shape = np.broadcast_shapes(z.shape, degrees.shape)
        out = np.where(degrees < 0, 0.0, np.where(degrees == 0, before, value)) * np.ones(shape)
        for k in range(1, int(degrees.max(initial=0))):
            before, value = value, following(k, z, value, before)
            out = np.where(degrees == k + 1, value, out)
        return Tensor(out.astype(kind), None)

    function.__name__, function.__doc__ = name, f"The {name.rpartition('_')[0].replace('_', ' ')} of degree n at input"
    return function


def chebyshev(k, x, p, before):
    """2x · pₖ − pₖ₋₁"""
    return 2 * x * p - before


CHEBYSHEV = dict(t=lambda x: x, u=lambda x: 2 * x, v=lambda x: 2 * x - 1, w=lambda x: 2 * x + 1)
(chebyshev_polynomial_t, chebyshev_polynomial_u, chebyshev_polynomial_v, chebyshev_polynomial_w) = (
    polynomial(f"chebyshev_polynomial_{letter}", first, chebyshev) for letter, first in CHEBYSHEV.items())  # fmt: skip
(shifted_chebyshev_polynomial_t, shifted_chebyshev_polynomial_u, shifted_chebyshev_polynomial_v, shifted_chebyshev_polynomial_w) = (
    polynomial(f"shifted_chebyshev_polynomial_{letter}", first, chebyshev, lambda x: 2 * x - 1) for letter, first in CHEBYSHEV.items())  # fmt: skip
hermite_polynomial_h = polynomial("hermite_polynomial_h", lambda x: 2 * x, lambda k, x, p, before: 2 * (x * p - k * before))
hermite_polynomial_he = polynomial("hermite_polynomial_he", lambda x: x, lambda k, x, p, before: x * p - k * before)
laguerre_polynomial_l = polynomial("laguerre_polynomial_l", lambda x: 1 - x,
                                   lambda k, x, p, before: ((2 * k + 1 - x) * p - k * before) / (k + 1))  # fmt: skip
legendre_polynomial_p = polynomial("legendre_polynomial_p", lambda x: x,
                                   lambda k, x, p, before: ((2 * k + 1) * x * p - k * before) / (k + 1))  # fmt: skip
