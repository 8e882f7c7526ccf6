"""Probability distributions: what is random in a program, with its log density, its entropy and its divergences.

A distribution has a `batch_shape`, how many independent ones it holds, and an `event_shape`, the shape of one outcome.
`sample()` draws without a gradient; `rsample()` draws so that the gradient reaches the parameters. Both read the random
stream as PyTorch does, so the same seed gives the same outcomes.
"""

from . import constraints, crossed, transforms  # noqa: F401  (crossed: it registers divergences)
from .continuous import Beta, Cauchy, Exponential, Gamma, Gumbel, HalfNormal, Laplace, LogNormal, Normal, Uniform
from .derived import (
    Chi2,
    ContinuousBernoulli,
    FisherSnedecor,
    GeneralizedPareto,
    HalfCauchy,
    InverseGamma,
    Kumaraswamy,
    LogisticNormal,
    LogitRelaxedBernoulli,
    Pareto,
    RelaxedBernoulli,
    StudentT,
    VonMises,
    Weibull,
)
from .discrete import (
    Bernoulli,
    Binomial,
    Categorical,
    Geometric,
    Multinomial,
    NegativeBinomial,
    OneHotCategorical,
    OneHotCategoricalStraightThrough,
    Poisson,
    RelaxedOneHotCategorical,
)
from .distribution import Distribution, lazy, together
from .divergence import kl_divergence, register_kl
from .joint import (
    Dirichlet,
    Independent,
    LowRankMultivariateNormal,
    MixtureSameFamily,
    MultivariateNormal,
    TransformedDistribution,
)
from .matrices import LKJCholesky, Wishart
from .registry import biject_to, transform_to
from .transforms import (
    AbsTransform,
    AffineTransform,
    CatTransform,
    ComposeTransform,
    CorrCholeskyTransform,
    CumulativeDistributionTransform,
    ExpTransform,
    IndependentTransform,
    LowerCholeskyTransform,
    PositiveDefiniteTransform,
    PowerTransform,
    ReshapeTransform,
    SigmoidTransform,
    SoftmaxTransform,
    SoftplusTransform,
    StackTransform,
    StickBreakingTransform,
    TanhTransform,
    Transform,
    identity_transform,
)

ExponentialFamily = Distribution  # PyTorch's base of some distributions; here they share everything with the others

__all__ = ["AbsTransform", "AffineTransform", "Bernoulli", "Beta", "Binomial", "CatTransform", "Categorical", "Cauchy", "Chi2", "ComposeTransform",
           "ContinuousBernoulli", "CorrCholeskyTransform", "CumulativeDistributionTransform", "Dirichlet", "Distribution", "ExpTransform", "Exponential", "ExponentialFamily",
           "FisherSnedecor", "Gamma", "GeneralizedPareto", "Geometric", "Gumbel", "HalfCauchy", "HalfNormal", "Independent", "IndependentTransform", "InverseGamma",
           "Kumaraswamy", "LKJCholesky", "Laplace", "LogNormal", "LogisticNormal", "LogitRelaxedBernoulli", "LowRankMultivariateNormal", "LowerCholeskyTransform",
           "MixtureSameFamily", "Multinomial", "MultivariateNormal", "NegativeBinomial", "Normal", "OneHotCategorical",
           "OneHotCategoricalStraightThrough", "Pareto", "Poisson", "PositiveDefiniteTransform", "PowerTransform", "RelaxedBernoulli",
           "RelaxedOneHotCategorical", "ReshapeTransform", "SigmoidTransform", "SoftmaxTransform", "SoftplusTransform", "StackTransform",
           "StickBreakingTransform", "StudentT", "TanhTransform", "Transform", "TransformedDistribution", "Uniform", "VonMises", "Weibull", "Wishart",
           "biject_to", "constraints", "identity_transform", "kl_divergence", "register_kl", "transform_to", "transforms"]  # fmt: skip


def standard_normal(shape, dtype, device):
    """Numbers of a normal distribution with mean 0 and deviation 1."""
    from ..api import functions

    return functions["randn"](shape, dtype=dtype, device=device)


def paths():
    """PyTorch's import paths, as in `from tinygrad_edu.distributions.normal import Normal`."""
    import sys
    from types import ModuleType

    from . import discrete, divergence, registry

    whole = dict(chi2="Chi2", exp_family="ExponentialFamily", fishersnedecor="FisherSnedecor", studentT="StudentT", log_normal="LogNormal",
                 relaxed_bernoulli="RelaxedBernoulli", relaxed_categorical="RelaxedOneHotCategorical", lowrank_multivariate_normal=
                 "LowRankMultivariateNormal", one_hot_categorical="OneHotCategorical", constraint_registry="transform_to", kl="kl_divergence",
                 utils="Distribution", lkj_cholesky="LKJCholesky")  # fmt: skip
    named = {"".join("_" * (i > 0 and c.isupper()) + c.lower() for i, c in enumerate(n)): n for n in __all__ if n[0].isupper() and "Transform" not in n}
    for name, known in {**named, "transformed_distribution": "TransformedDistribution", **whole}.items():
        if name in globals():
            continue
        path = ModuleType(f"{__name__}.{name}", f"PyTorch's import path of {known}.")
        vars(path).update({n: globals()[n] for n in __all__}, probs_to_logits=discrete.to_logits, logits_to_probs=discrete.to_probs,
                          REGISTERED=divergence.REGISTERED, Registry=registry.Registry, _standard_normal=standard_normal,
                          broadcast_all=together, lazy_property=lazy)  # fmt: skip
        sys.modules[path.__name__] = globals()[name] = path


paths()
