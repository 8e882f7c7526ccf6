"""Where a function may be tested: an interval, and the kinks and poles inside of it to stay away from."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Domain:
    """The numbers from `low` to `high` that are at least `margin` away from every point of `avoid`.

    Slopes are measured by moving an input a little; across a kink (ReLU at 0) or near a pole (1/x at 0) they say nothing.

    >>> from tinygrad_edu.testing import Domain
    >>> domain = Domain(-1, 1, avoid=(0,))
    >>> domain.contains([-0.5, 0.001, 2.0]).tolist()
    [True, False, False]
    """

    low: float = -3.0
    high: float = 3.0
    avoid: tuple = ()
    margin: float = 1 / 64

    def __post_init__(self):
        if not self.low < self.high:
            raise ValueError(f"Domain: low must be below high, got {self.low} and {self.high}")
        if not self.margin >= 0:
            raise ValueError(f"Domain: margin must not be negative, got {self.margin}")
        if not len(self.grid()):
            raise ValueError(f"Domain: nothing is left of [{self.low}, {self.high}] at a distance of {self.margin} from {self.avoid}")

    def contains(self, values):
        """A truth value per element."""
        values = np.asarray(values, np.float64)
        inside = (values >= self.low) & (values <= self.high)
        for point in self.avoid:
            inside &= np.abs(values - point) >= self.margin
        return inside

    def grid(self):
        """The values that tests draw from, the simplest first: 1, −1, 2, ½ …; all are short in binary, so exact in float32."""
        step = 2.0 ** min(-6, np.floor(np.log2((self.high - self.low) / 64)))
        values = np.arange(np.ceil(self.low / step), np.floor(self.high / step) + 1) * step
        values = values[self.contains(values)]
        digits = sum((values * 2.0**k) % 1 != 0 for k in range(int(-np.log2(step)) + 1)) if len(values) else values
        return values[np.lexsort((values < 0, np.abs(np.abs(values) - 1), digits))]

    def sample(self, rng, shape=()):
        """Random values from the domain, uniform but for what is avoided."""
        values = np.asarray(rng.uniform(self.low, self.high, shape))
        for _ in range(100):
            outside = ~self.contains(values)
            if not outside.any():
                return values
            values[outside] = rng.uniform(self.low, self.high, int(outside.sum()))
        raise ValueError(f"{self!r}: found no values in it; is the margin too wide?")


ANYWHERE = Domain(-3, 3)
NONZERO = Domain(-3, 3, avoid=(0.0,), margin=0.25)
POSITIVE = Domain(0.25, 4)
UNIT = Domain(-0.9, 0.9)
PROBABILITY = Domain(0.05, 0.95)
SMOOTH = Domain(-3, 3, avoid=tuple(k / 2 for k in range(-6, 7)))  # off the halves, where kinks of common functions are


def domain_of(function, argument=None):
    """The domain that an operator of ours states in its definition, by name or function; SMOOTH where it states none.

    >>> from tinygrad_edu.testing import domain_of
    >>> domain_of("log").low
    0.2
    """
    from ..autograd.operator import registry

    operator = registry.get(function) if isinstance(function, str) else getattr(function, "op", None)
    if operator is None:
        raise ValueError(f"domain_of: {function!r} is not an operator; give a name such as 'log', or an operator's function")
    stated = operator.domain
    if isinstance(stated, dict):
        stated = stated.get(argument if argument is not None else operator.inputs[0])
    if callable(stated):
        raise ValueError(f"domain_of: {operator.name} needs inputs of a form, not of a range; make them fit in the test itself")
    return SMOOTH if stated is None else Domain(*stated, avoid=SMOOTH.avoid, margin=min(1 / 64, (stated[1] - stated[0]) / 100))
