"""What a parameter or an outcome may be: a name for the error message, and a check."""

from typing import Any

import numpy as np

from ..api import functions

cat_of, stack_of = functions["cat"], functions["stack"]


class Constraint:
    """`check(value)` is True where the value is allowed; `event_dim` last dimensions are judged together.

    A subclass has a method `check`, and `event_dim` and `is_discrete` where they differ; or an instance is given them here.
    """

    lower_bound: Any = None
    upper_bound: Any = None
    event_dim = 0
    is_discrete = False

    def __init__(self, name=None, check=None, event_dim=None, is_discrete=None, title=None):
        given = dict(name=name, check=check, event_dim=event_dim, is_discrete=is_discrete, title=title)
        self.__dict__.update({k: v for k, v in given.items() if v is not None})

    def check(self, value):
        """Where the value is allowed."""
        raise NotImplementedError(f"{type(self).__name__}: a constraint needs a method check(value)")

    def words(self):
        """What is allowed, for an error message."""
        return self.__dict__.get("name") or repr(self)

    def __repr__(self):
        return self.__dict__.get("title") or TITLES.get(type(self), type(self).__name__.removeprefix("_")) + "()"


def in_words(constraint):
    """What a constraint allows, for an error message."""
    return constraint.words() if isinstance(constraint, Constraint) else repr(constraint)


class Bounded(Constraint):
    """Numbers between bounds, which it remembers."""

    def __init__(self, lower_bound=None, upper_bound=None):
        super().__init__()
        self.lower_bound, self.upper_bound = lower_bound, upper_bound

    def __repr__(self):
        bounds = [f"{k}={v}" for k, v in (("lower_bound", self.lower_bound), ("upper_bound", self.upper_bound)) if v is not None]
        return f"{TITLES.get(type(self), type(self).__name__)}({', '.join(bounds)})"


class interval(Bounded):  # noqa: N801 (PyTorch's name, as for the others)
    """Numbers from a bound to another."""

    def check(self, value):
        """Where both bounds are kept."""
        return (value >= self.lower_bound) & (value <= self.upper_bound)

    def words(self):
        """What is allowed, for an error message."""
        return f"between {self.lower_bound} and {self.upper_bound}"


class integers(interval):  # noqa: N801
    """Whole numbers from a bound to another."""

    is_discrete = True

    def check(self, value):
        """Where both bounds are kept by a whole number."""
        return (value % 1 == 0) & super().check(value)

    def words(self):
        """What is allowed, for an error message."""
        return f"a whole number from {self.lower_bound} to {self.upper_bound}"


class greater_than(Bounded):  # noqa: N801
    """Numbers above a bound."""

    def __init__(self, lower_bound):
        super().__init__(lower_bound)

    def check(self, value):
        """Where it is exceeded."""
        return value > self.lower_bound

    def words(self):
        """What is allowed, for an error message."""
        return f"greater than {self.lower_bound}"


class greater_than_eq(greater_than):  # noqa: N801
    """Numbers from a bound on."""

    def check(self, value):
        """Where it is reached."""
        return value >= self.lower_bound

    def words(self):
        """What is allowed, for an error message."""
        return f"at least {self.lower_bound}"


class less_than(Bounded):  # noqa: N801
    """Numbers below a bound."""

    def __init__(self, upper_bound):
        super().__init__(None, upper_bound)

    def check(self, value):
        """Where it is not reached."""
        return value < self.upper_bound

    def words(self):
        """What is allowed, for an error message."""
        return f"less than {self.upper_bound}"


class half_open_interval(Bounded):  # noqa: N801
    """Numbers from a bound up to, but without, another."""

    def check(self, value):
        """Where both bounds are kept."""
        return (value >= self.lower_bound) & (value < self.upper_bound)

    def words(self):
        """What is allowed, for an error message."""
        return f"from {self.lower_bound} up to {self.upper_bound}"


real = Constraint("a number", lambda x: x == x, title="Real()")
real_vector = Constraint("a vector of numbers", lambda x: (x == x).all(-1), 1, title="IndependentConstraint(Real(), 1)")
positive = greater_than(0.0)
nonnegative = greater_than_eq(0.0)
unit_interval = interval(0.0, 1.0)
boolean = Constraint("0 or 1", lambda x: (x == 0) | (x == 1), is_discrete=True, title="Boolean()")
nonnegative_integer = Constraint("a whole number from 0 on", lambda x: (x % 1 == 0) & (x >= 0), is_discrete=True, title="IntegerGreaterThan(lower_bound=0)")
simplex = Constraint("at least 0 with the sum 1", lambda x: (x >= 0).all(-1) & ((x.sum(-1) - 1).abs() < 1e-6), 1, title="Simplex()")
one_hot = Constraint("a single 1 among zeros", lambda x: ((x == 0) | (x == 1)).all(-1) & (x.sum(-1) == 1), 1, True, title="OneHot()")
lower_cholesky = Constraint("a lower triangle with a positive diagonal",
                            lambda x: (x.tril() == x).flatten(-2).all(-1) & (x.diagonal(dim1=-2, dim2=-1) > 0).all(-1), 2, title="LowerCholesky()")  # fmt: skip
symmetric = Constraint("symmetric", lambda x: (abs(x - x.mT) < 1e-6).flatten(-2).all(-1), 2, title="Symmetric()")
dependent = Constraint("what the other parameters allow", lambda x: x == x, title="Dependent()")


def dependent_property(function=None, *, is_discrete=False, event_dim=0):
    """A property that gives a constraint which depends on the parameters."""
    return property(function) if function is not None else property


def is_dependent(constraint):
    """True if only the parameters tell what is allowed."""
    return constraint is dependent


integer_interval = integers
positive_integer = Constraint("a whole number from 1 on", lambda x: (x % 1 == 0) & (x >= 1), is_discrete=True, title="IntegerGreaterThan(lower_bound=1)")
nonnegative_real = nonnegative
lower_triangular = Constraint("a lower triangle", lambda x: (x.tril() == x).flatten(-2).all(-1), 2, title="LowerTriangular()")
square = Constraint("a square matrix", lambda x: (x == x).flatten(-2).all(-1) & (x.shape[-2] == x.shape[-1]), 2, title="Square()")
positive_definite = Constraint("a positive definite matrix", lambda x: symmetric.check(x) & (np.linalg.eigvalsh(x.array).min(-1) > 0), 2, title="PositiveDefinite()")
positive_semidefinite = Constraint("a positive semidefinite matrix", lambda x: symmetric.check(x) & (np.linalg.eigvalsh(x.array).min(-1) >= 0), 2, title="PositiveSemidefinite()")
corr_cholesky = Constraint("the Cholesky factor of a correlation matrix",
                           lambda x: lower_cholesky.check(x) & ((x.pow(2).sum(-1) - 1).abs() < 1e-5).all(-1), 2, title="CorrCholesky()")  # fmt: skip


def multinomial(upper_bound):
    """Counts that sum to a number."""
    return Constraint(f"counts with the sum {upper_bound}", lambda x: (x >= 0).all(-1) & (x.sum(-1) <= upper_bound), 1, True, "Multinomial()")


def cat(cseq, dim=0, lengths=None):
    """Constraints for parts of given lengths along a dimension, one behind the other."""
    lengths = [1] * len(cseq) if lengths is None else list(lengths)

    def check(x):
        return cat_of([c.check(part) for c, part in zip(cseq, x.split(lengths, dim))], dim)

    return Constraint(f"in parts along {dim}: {list(cseq)}", check, max(c.event_dim for c in cseq), any(c.is_discrete for c in cseq), "Cat()")


def stack(cseq, dim=0):
    """A constraint for each slice of a dimension."""

    def check(x):
        return stack_of([c.check(part) for c, part in zip(cseq, x.unbind(dim))], dim)

    events = max(c.event_dim for c in cseq)
    return Constraint(f"in slices along {dim}: {list(cseq)}", check, events + (dim + events < 0), any(c.is_discrete for c in cseq), "Stack()")


def MixtureSameFamilyConstraint(base_constraint):  # noqa: N802 (PyTorch's name)
    """What all components of a mixture allow, for outcomes that have no dimension for the component."""

    def check(x):
        found = base_constraint.check(x.unsqueeze(-1 - base_constraint.event_dim))
        return found.flatten(x.ndim - base_constraint.event_dim).all(-1)

    words, title = f"for each component {in_words(base_constraint)}", f"MixtureSameFamilyConstraint({base_constraint})"
    return Constraint(words, check, base_constraint.event_dim, base_constraint.is_discrete, title)


class independent(Constraint):  # noqa: N801
    """A constraint for several last dimensions together."""

    def __init__(self, base_constraint, reinterpreted_batch_ndims):
        super().__init__(event_dim=base_constraint.event_dim + reinterpreted_batch_ndims, is_discrete=base_constraint.is_discrete)
        self.base_constraint, self.reinterpreted_batch_ndims = base_constraint, reinterpreted_batch_ndims

    def check(self, value):
        """Where each element is allowed."""
        found = self.base_constraint.check(value)
        return found.flatten(-self.reinterpreted_batch_ndims).all(-1) if self.reinterpreted_batch_ndims else found

    def words(self):
        """What is allowed, for an error message."""
        return f"each {in_words(self.base_constraint)}"

    def __repr__(self):
        return f"IndependentConstraint({self.base_constraint}, {self.reinterpreted_batch_ndims})"


TITLES = {interval: "Interval", integers: "IntegerInterval", greater_than: "GreaterThan", greater_than_eq: "GreaterThanEq", less_than: "LessThan",
          half_open_interval: "HalfOpenInterval"}  # how PyTorch prints them


__all__ = [name for name, what in globals().items() if name[0] != "_" and (isinstance(what, Constraint) or
           getattr(what, "__module__", None) == __name__) and name not in ("Bounded", "integers", "in_words")]  # fmt: skip
