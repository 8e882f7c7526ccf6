"""From any real numbers to those that a constraint allows: what a parameter of a distribution is optimised through."""

from . import constraints
from .transforms import (
    AffineTransform,
    ComposeTransform,
    CorrCholeskyTransform,
    ExpTransform,
    LowerCholeskyTransform,
    PositiveDefiniteTransform,
    SigmoidTransform,
    SoftmaxTransform,
    StickBreakingTransform,
    identity_transform,
)


class Registry:
    """Finds the transform for a constraint; `register` adds one."""

    def __init__(self, simplex):
        self.factories = {
            constraints.real: lambda c: identity_transform, constraints.real_vector: lambda c: identity_transform,
            constraints.positive: lambda c: ExpTransform(), constraints.nonnegative: lambda c: ExpTransform(),
            constraints.unit_interval: lambda c: SigmoidTransform(), constraints.simplex: lambda c: simplex(),
            constraints.lower_cholesky: lambda c: LowerCholeskyTransform(),
            constraints.corr_cholesky: lambda c: CorrCholeskyTransform(),
            constraints.positive_definite: lambda c: PositiveDefiniteTransform(),
        }  # fmt: skip

    def register(self, constraint, factory=None):
        """Use `factory(constraint)` for a constraint; without a factory, a decorator."""
        if factory is None:
            return lambda given: self.register(constraint, given)
        self.factories[constraint] = factory
        if not isinstance(constraint, type) and type(constraint).__module__ != constraints.__name__:
            self.factories[type(constraint)] = factory  # a class of the user's: for all of its instances
        return factory

    def __call__(self, constraint):
        for known in (constraint, *type(constraint).__mro__):
            if known in self.factories:
                return self.factories[known](constraint)
        low, high = constraint.lower_bound, constraint.upper_bound
        if low is not None and high is not None:
            return ComposeTransform([SigmoidTransform(), AffineTransform(low, high - low)])
        if low is not None or high is not None:
            return ComposeTransform([ExpTransform(), AffineTransform(low, 1) if high is None else AffineTransform(high, -1)])
        raise NotImplementedError(f"no transform is registered for numbers that must be {constraints.in_words(constraint)}; add one with register(constraint, factory)")


biject_to = Registry(StickBreakingTransform)  # with an inverse on both sides
transform_to = Registry(SoftmaxTransform)  # perhaps with more coordinates than needed, but simpler
