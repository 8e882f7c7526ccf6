"""What a parameter or an outcome may be: a name for the error message, and a check."""

from typing import Any

import numpy as np

from ..api import functions

cat_of, stack_of = functions["cat"], functions["stack"]


class Constraint:
    """`check(value)` is True where the value is allowed; `event_dim` last dimensions are judged together."""

    lower_bound: Any = None
    upper_bound: Any = None

    def __init__(self, name, check, event_dim=0, is_discrete=False):
        self.name, self.check, self.event_dim, self.is_discrete = name, check, event_dim, is_discrete

    def __repr__(self):
        return self.name


def bounded(name, check, lower_bound=None, upper_bound=None, **options):
    """A constraint that remembers its bounds."""
    made = Constraint(name, check, **options)
    made.lower_bound, made.upper_bound = lower_bound, upper_bound
    return made


def interval(low, high):
    """Numbers from low to high."""
    return bounded(f"between {low} and {high}", lambda x: (x >= low) & (x <= high), low, high)


def integers(low, high):
    """Whole numbers from low to high."""
    return Constraint(f"a whole number from {low} to {high}", lambda x: (x % 1 == 0) & (x >= low) & (x <= high), is_discrete=True)


real = Constraint("a number", lambda x: x == x)
real_vector = Constraint("a vector of numbers", lambda x: (x == x).all(-1), 1)
positive = Constraint("greater than 0", lambda x: x > 0)
nonnegative = Constraint("at least 0", lambda x: x >= 0)
unit_interval = interval(0, 1)
boolean = Constraint("0 or 1", lambda x: (x == 0) | (x == 1), is_discrete=True)
nonnegative_integer = Constraint("a whole number from 0 on", lambda x: (x % 1 == 0) & (x >= 0), is_discrete=True)
simplex = Constraint("at least 0 with the sum 1", lambda x: (x >= 0).all(-1) & ((x.sum(-1) - 1).abs() < 1e-6), 1)
one_hot = Constraint("a single 1 among zeros", lambda x: ((x == 0) | (x == 1)).all(-1) & (x.sum(-1) == 1), 1, True)
lower_cholesky = Constraint("a lower triangle with a positive diagonal",
                            lambda x: (x.tril() == x).flatten(-2).all(-1) & (x.diagonal(dim1=-2, dim2=-1) > 0).all(-1), 2)  # fmt: skip
symmetric = Constraint("symmetric", lambda x: (abs(x - x.mT) < 1e-6).flatten(-2).all(-1), 2)
dependent = Constraint("what the other parameters allow", lambda x: x == x)


def dependent_property(function=None, *, is_discrete=False, event_dim=0):
    """A property that gives a constraint which depends on the parameters."""
    return property(function) if function is not None else property


def is_dependent(constraint):
    """True if only the parameters tell what is allowed."""
    return constraint is dependent


def greater_than(lower_bound):
    """Numbers above a bound."""
    return bounded(f"greater than {lower_bound}", lambda x: x > lower_bound, lower_bound)


def greater_than_eq(lower_bound):
    """Numbers from a bound on."""
    return bounded(f"at least {lower_bound}", lambda x: x >= lower_bound, lower_bound)


def less_than(upper_bound):
    """Numbers below a bound."""
    return bounded(f"less than {upper_bound}", lambda x: x < upper_bound, upper_bound=upper_bound)


def half_open_interval(lower_bound, upper_bound):
    """Numbers from a bound up to, but without, another."""
    return bounded(f"from {lower_bound} up to {upper_bound}", lambda x: (x >= lower_bound) & (x < upper_bound), lower_bound, upper_bound)


integer_interval = integers
positive_integer = Constraint("a whole number from 1 on", lambda x: (x % 1 == 0) & (x >= 1), is_discrete=True)
nonnegative_real = nonnegative
lower_triangular = Constraint("a lower triangle", lambda x: (x.tril() == x).flatten(-2).all(-1), 2)
square = Constraint("a square matrix", lambda x: (x == x).flatten(-2).all(-1) & (x.shape[-2] == x.shape[-1]), 2)
positive_definite = Constraint("a positive definite matrix", lambda x: symmetric.check(x) & (np.linalg.eigvalsh(x.array).min(-1) > 0), 2)
positive_semidefinite = Constraint("a positive semidefinite matrix", lambda x: symmetric.check(x) & (np.linalg.eigvalsh(x.array).min(-1) >= 0), 2)
corr_cholesky = Constraint("the Cholesky factor of a correlation matrix",
                           lambda x: lower_cholesky.check(x) & ((x.pow(2).sum(-1) - 1).abs() < 1e-5).all(-1), 2)  # fmt: skip


def multinomial(upper_bound):
    """Counts that sum to a number."""
    return Constraint(f"counts with the sum {upper_bound}", lambda x: (x >= 0).all(-1) & (x.sum(-1) <= upper_bound), 1, True)


def cat(cseq, dim=0, lengths=None):
    """Constraints for parts of given lengths along a dimension, one behind the other."""
    lengths = [1] * len(cseq) if lengths is None else list(lengths)

    def check(x):
        return cat_of([c.check(part) for c, part in zip(cseq, x.split(lengths, dim))], dim)

    return Constraint(f"in parts along {dim}: {list(cseq)}", check, max(c.event_dim for c in cseq), any(c.is_discrete for c in cseq))


def stack(cseq, dim=0):
    """A constraint for each slice of a dimension."""

    def check(x):
        return stack_of([c.check(part) for c, part in zip(cseq, x.unbind(dim))], dim)

    events = max(c.event_dim for c in cseq)
    return Constraint(f"in slices along {dim}: {list(cseq)}", check, events + (dim + events < 0), any(c.is_discrete for c in cseq))


def MixtureSameFamilyConstraint(base_constraint):  # noqa: N802 (PyTorch's name)
    """What all components of a mixture allow, for outcomes that have no dimension for the component."""

    def check(x):
        found = base_constraint.check(x.unsqueeze(-1 - base_constraint.event_dim))
        return found.flatten(x.ndim - base_constraint.event_dim).all(-1)

    return Constraint(f"for each component {base_constraint}", check, base_constraint.event_dim, base_constraint.is_discrete)


def independent(constraint, reinterpreted_batch_ndims):
    """A constraint for several last dimensions together."""
    n = reinterpreted_batch_ndims
    return Constraint(f"each {constraint}", lambda x: constraint.check(x).flatten(-n).all(-1) if n else constraint.check(x),
                      constraint.event_dim + n, constraint.is_discrete)  # fmt: skip
