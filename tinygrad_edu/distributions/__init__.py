"""Probability distributions: what is random in a program, with its log density, its entropy and its divergences.

A distribution has a `batch_shape`, how many independent ones it holds, and an `event_shape`, the shape of one outcome.
`sample()` draws without a gradient; `rsample()` draws so that the gradient reaches the parameters. Both read the random
stream as PyTorch does, so the same seed gives the same outcomes.
"""

from . import constraints, transforms
from .continuous import Beta, Cauchy, Exponential, Gamma, Gumbel, HalfNormal, Laplace, LogNormal, Normal, Uniform
from .discrete import Bernoulli, Categorical, Geometric, OneHotCategorical, Poisson, RelaxedOneHotCategorical
from .distribution import Distribution
from .divergence import kl_divergence, register_kl
from .joint import Dirichlet, Independent, MixtureSameFamily, MultivariateNormal, TransformedDistribution
from .transforms import (
    AffineTransform,
    ComposeTransform,
    ExpTransform,
    SigmoidTransform,
    TanhTransform,
    Transform,
)

__all__ = ["AffineTransform", "Bernoulli", "Beta", "Categorical", "Cauchy", "ComposeTransform", "Dirichlet", "Distribution", "ExpTransform",
           "Exponential", "Gamma", "Geometric", "Gumbel", "HalfNormal", "Independent", "Laplace", "LogNormal", "MixtureSameFamily",
           "MultivariateNormal", "Normal", "OneHotCategorical", "Poisson", "RelaxedOneHotCategorical", "SigmoidTransform", "TanhTransform",
           "Transform", "TransformedDistribution", "Uniform", "constraints", "kl_divergence", "register_kl", "transforms"]  # fmt: skip
