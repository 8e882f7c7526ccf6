"""What a parameter or an outcome may be: a name for the error message, and a check."""


class Constraint:
    """`check(value)` is True where the value is allowed; `event_dim` last dimensions are judged together."""

    def __init__(self, name, check, event_dim=0, is_discrete=False):
        self.name, self.check, self.event_dim, self.is_discrete = name, check, event_dim, is_discrete

    def __repr__(self):
        return self.name


def interval(low, high):
    """Numbers from low to high."""
    return Constraint(f"between {low} and {high}", lambda x: (x >= low) & (x <= high))


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
