"""Special functions in the spelling of `torch.special`, and their names at the top level."""

import math

import numpy as np

from ..autograd import dtypes
from ..autograd.operator import registry
from ..autograd.tensor import Tensor, array_of
from ..ops import functions, indexing
from ..ops import special as operators
from . import elementwise, reduce
from .spelling import as_tensor, both
from .spelling import functions as public

__all__ = ["digamma", "entr", "erf", "erfc", "erfcx", "erfinv", "exp2", "expit", "expm1", "gammaln", "i0", "i0e", "i1",
           "i1e", "log1p", "log_ndtr", "log_softmax", "logit", "logsumexp", "multigammaln", "ndtr", "ndtri", "polygamma", "psi",
           "round", "sinc", "softmax", "xlog1py", "xlogy", "zeta"]  # fmt: skip

erf, erfc, erfinv, exp2, expm1, log1p, sinc = (registry[n].function for n in ("erf", "erfc", "erfinv", "exp2", "expm1", "log1p", "sinc"))
expit = registry["sigmoid"].function
logit, xlogy, round = elementwise.logit, elementwise.xlogy, elementwise.round
softmax, log_softmax, logsumexp = elementwise.softmax, elementwise.log_softmax, reduce.logsumexp
digamma = psi = operators.digamma
gammaln = operators.lgamma
entr, erfcx, zeta, ndtr, ndtri, log_ndtr = (getattr(operators, n) for n in ("entr", "erfcx", "zeta", "ndtr", "ndtri", "log_ndtr"))
i0, i0e, i1, i1e = operators.i0, operators.i0e, operators.i1, operators.i1e

for name in ("lgamma", "digamma", "i0"):
    both(name)(registry[name].function)


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
    steps = Tensor(np.arange(p).astype(input.dtype) / 2)
    return operators.lgamma(input.unsqueeze(-1) - steps).sum(-1) + p * (p - 1) / 4 * math.log(math.pi)


def xlog1py(input, other):
    """input · ln(1 + other), and 0 where input is 0"""
    input, other = as_tensor(input), as_tensor(other)
    zero = Tensor((array_of(input) == 0) & ~np.isnan(array_of(other)))
    return indexing.where(zero, 0.0, input * functions.log1p(indexing.where(zero, 0.0, other)))
