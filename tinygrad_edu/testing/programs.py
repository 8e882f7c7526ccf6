"""check_engine: random programs on somebody's engine, against slopes of the same programs replayed in plain NumPy.

A program is a list of steps on values that are numbered as they come: leaves, and operators applied to earlier values. So values
are used again and again, branches are of different length, and shapes are broadcast: what engines get wrong.
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from ..autograd.tensor import Tensor
from . import records
from .checklist import CheckError
from .compare import as_array

LARGEST, MOST = 50.0, 40  # results beyond are not used: of elements, their absolute value and their number
NAMES = "abcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True)
class Operation:
    """An operator: `ours` on the engine's tensors, `reference` on NumPy arrays, and how many values it takes.

    Where `fits(*shapes)` is false, or the reference raises an error, the operator is not used.
    """

    ours: Callable
    reference: Callable
    count: int = 1
    fits: Callable | None = None

    @classmethod
    def of(cls, given, name=""):
        """An Operation from what users give: one, a function, or a pair (on tensors, on arrays)."""
        if isinstance(given, cls):
            return given
        ours, reference = given if isinstance(given, tuple) else (given, None)
        if reference is None:
            reference = replayed(ours)
        for function in (ours, reference):  # np.add has no signature, and a method's may have more than its inputs
            try:
                parameters = inspect.signature(function).parameters.values()
            except (TypeError, ValueError):
                continue
            plain = [p for p in parameters if p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
            if plain:
                return cls(ours, reference, len(plain))
        count = getattr(ours, "nin", None) or getattr(reference, "nin", None)
        if count is None:
            raise TypeError(f"operation {name!r}: cannot see how many inputs it takes; give Operation(ours, reference, count)")
        return cls(ours, reference, count)


def replayed(function):
    """The reference of an operator of ours that has none: its own forward, on constants. Derivatives are still measured."""

    def reference(*arrays):
        return np.asarray(as_array(function(*[Tensor(np.asarray(a), None) for a in arrays])))

    try:
        reference.__signature__ = inspect.signature(function)  # type: ignore[attr-defined]
    except (TypeError, ValueError):
        pass
    return reference


def our_leaf(array):
    x = Tensor(np.array(array), None)
    x.requires_grad = True
    return x


def weighted_sum(out, leaf, weights):
    return (out * leaf(weights)).sum()


@dataclass(frozen=True)
class Engine:
    """How to use an engine: make a leaf of an array, read values, go backward from a single number, read a leaf's gradient.

    `total(out, leaf, weights)` makes the single number to start from, Σ out · weights; an engine of plain numbers has `shapes`
    of `()` only and returns `out` itself. With `twice`, two results of one graph are also sent backward one after the other:
    gradients add up, and what the first pass left in the graph must not count again.
    """

    leaf: Callable = our_leaf
    value: Callable = as_array
    backward: Callable = lambda total: total.backward(retain_graph=True)
    gradient: Callable = lambda leaf: leaf.grad
    total: Callable = weighted_sum
    shapes: tuple = ((2, 3), (3,), (2, 1), (3, 3), (2, 2), (2,))
    twice: bool = True
    deep: int = 1500

    @classmethod
    def of_numbers(cls, make, **options):
        """An engine whose values are single numbers with `.data`, `.grad` and `.backward()`, as micrograd's `Value`."""
        numbers = dict(leaf=lambda array: make(float(array)), value=lambda x: np.asarray(x.data, np.float64),
                       backward=lambda total: total.backward(), total=lambda out, leaf, weights: out, shapes=((),))  # fmt: skip
        return cls(**{**numbers, **options})


@dataclass
class Program:
    """Steps, each a leaf's array or (operation's name, numbers of earlier values), and what they gave."""

    operations: dict
    engine: Engine
    steps: list = field(default_factory=list)
    arrays: list = field(default_factory=list)  # the reference's values

    def leaf(self, array):
        """Add a leaf; returns its number."""
        self.steps.append(np.array(array, np.float64))
        self.arrays.append(self.steps[-1].copy())
        return len(self.arrays) - 1

    def apply(self, name, places):
        """Add an operation on earlier values, if it fits them; returns the result's number, or None."""
        operation = self.operations[name]
        inputs = [self.arrays[i] for i in places]
        if operation.fits is not None and not operation.fits(*[x.shape for x in inputs]):
            return None
        with np.errstate(all="ignore"):
            try:
                value = np.asarray(operation.reference(*[x.copy() for x in inputs]), np.float64)
            except (ValueError, IndexError, TypeError, np.linalg.LinAlgError, RuntimeError):
                return None
        if not 0 < value.size <= MOST or not np.isfinite(value).all() or np.abs(value).max() > LARGEST:
            return None
        self.steps.append((name, tuple(places)))
        self.arrays.append(value)
        return len(self.arrays) - 1

    @property
    def leaves(self):
        """The numbers of the leaves."""
        return [i for i, step in enumerate(self.steps) if isinstance(step, np.ndarray)]

    def replay(self, moved=None):
        """The reference's values, with some leaves replaced: {number: array}."""
        values: list = []
        with np.errstate(all="ignore"):
            for i, step in enumerate(self.steps):
                if isinstance(step, np.ndarray):
                    values.append((moved or {}).get(i, step))
                else:
                    name, places = step
                    values.append(np.asarray(self.operations[name].reference(*[values[k].copy() for k in places]), np.float64))
        return values

    def on_engine(self):
        """The engine's values, computed anew."""
        values: list = []
        for step in self.steps:
            if isinstance(step, np.ndarray):
                values.append(self.engine.leaf(step.copy()))
            else:
                name, places = step
                values.append(self.operations[name].ours(*[values[k] for k in places]))
        return values

    def needed(self, *outputs):
        """The same program without what the outputs do not need, and the outputs' new numbers."""
        keep = set(outputs)
        for i in range(len(self.steps) - 1, -1, -1):
            if i in keep and not isinstance(self.steps[i], np.ndarray):
                keep.update(self.steps[i][1])
        order = sorted(keep)
        number = {old: new for new, old in enumerate(order)}
        steps = [s if isinstance(s, np.ndarray) else (s[0], tuple(number[k] for k in s[1])) for s in (self.steps[i] for i in order)]
        return Program(self.operations, self.engine, steps, [self.arrays[i] for i in order]), [number[i] for i in outputs]

    def problem(self, *outputs):
        """What is wrong with the engine's values or gradients of these results, as a text; None if they are right."""
        program, outputs = self.needed(*outputs)
        found = program.disagreement(outputs)
        return f"{program.text(outputs)}\n{found}" if found else None

    def disagreement(self, outputs):
        try:
            values = self.on_engine()
            for i, (value, array) in enumerate(zip(values, self.arrays)):
                value = np.asarray(as_array(self.engine.value(value)), np.float64)
                if value.shape != array.shape:
                    return f"{name_of(i)} has shape {list(value.shape)}; NumPy's has {list(array.shape)}"
                if not near(value, array):
                    return f"the value of {name_of(i)} is\n{shown(value)}\nand NumPy says\n{shown(array)}"
            for k in outputs:
                self.engine.backward(self.engine.total(values[k], self.engine.leaf, weights_of(self.arrays[k])))
            gradients = {i: self.engine.gradient(values[i]) for i in self.leaves}
            gradients = {i: np.zeros(self.steps[i].shape) if g is None else np.asarray(as_array(g), np.float64) for i, g in gradients.items()}
            after = [np.asarray(as_array(self.engine.value(v)), np.float64) for v in values]
        except Exception as error:  # whatever the engine runs into is what the report is about
            return f"the engine fails: {type(error).__name__}: {error}"
        for i, (value, array) in enumerate(zip(after, self.arrays)):
            if value.shape != array.shape or not near(value, array):
                return f"backward() changed the value of {name_of(i)}"
        for i, g in gradients.items():
            wrong = self.wrong_gradient(i, g, outputs)
            if wrong:
                return wrong

    def scalar(self, outputs, moved):
        values = self.replay(moved)
        return sum(float((values[k] * weights_of(values[k])).sum()) for k in outputs)

    def wrong_gradient(self, i, g, outputs, eps=1e-6):
        """Compare one leaf's gradient along each of its elements, and along all of them at once, which ties need."""
        x, target = self.steps[i], " + ".join(name_of(k) for k in outputs)
        if g.shape != x.shape:
            return f"the gradient of {target} for {name_of(i)} has shape {list(g.shape)}; {name_of(i)} has {list(x.shape)}"
        ways = [(f"{name_of(i)}{[int(n) for n in place]}" if place else name_of(i), unit(x.shape, place)) for place in np.ndindex(x.shape)]
        ways += [(f"all of {name_of(i)} moved together", np.ones(x.shape))] if x.size > 1 else []
        here = self.scalar(outputs, {})
        for what, way in ways:
            up, down = (self.scalar(outputs, {i: x + sign * eps * way}) for sign in (1, -1))
            slope, right, left, found = (up - down) / (2 * eps), (up - here) / eps, (here - down) / eps, float((g * way).sum())
            slack = 1e-5 + 1e-4 * abs(slope)
            if not abs(found - slope) <= slack and not min(left, right) - slack <= found <= max(left, right) + slack:
                return f"gradient of {target} for {what}: the engine says {found:.6g}, the slope is {slope:.6g}"

    def text(self, outputs=()):
        """The program, a line a step."""
        lines = []
        for i, step in enumerate(self.steps):
            if isinstance(step, np.ndarray):
                lines.append(f"{name_of(i)} = leaf {shown(step)}")
            else:
                lines.append(f"{name_of(i)} = {step[0]}({', '.join(name_of(k) for k in step[1])})")
        for k in outputs:
            lines.append(f"backward from {name_of(k)}" if self.arrays[k].ndim == 0 else f"backward from a weighted sum of {name_of(k)}")
        return "\n".join(lines)


def near(a, b):
    """np.allclose for arrays of one shape, at a tenth of its price."""
    return bool((np.abs(a - b) <= 1e-9 + 1e-6 * np.abs(b)).all())


def unit(shape, place):
    way = np.zeros(shape)
    way[place] = 1
    return way


def weights_of(array):
    """The fixed weights with which a result is summed to one number; 1 for a single number."""
    return np.asarray(np.cos(0.7 * np.arange(array.size)).reshape(array.shape))


def name_of(i):
    """a, b, … z, a1, b1, …

    >>> from tinygrad_edu.testing.programs import name_of
    >>> name_of(0), name_of(27)
    ('a', 'b1')
    """
    return NAMES[i % 26] + (str(i // 26) if i >= 26 else "")


def shown(array):
    return np.array2string(np.asarray(array), precision=6, separator=", ", max_line_width=76)


def random_values(rng, shape):
    """Multiples of 1/8 off the halves: ties happen, and the usual kinks are not hit."""
    return np.asarray(rng.choice(np.array([-13, -7, -5, -3, -1, 1, 3, 5, 7, 9, 11]) / 8, shape))


def random_program(operations, engine, rng, steps):
    """Some leaves, one of them perhaps with the numbers of another, and some operations on whatever is there."""
    program, names = Program(operations, engine), sorted(operations)
    for _ in range(rng.integers(1, 4)):
        shape = engine.shapes[rng.integers(len(engine.shapes))]
        program.leaf(random_values(rng, shape))
    if rng.random() < 0.3:
        program.leaf(program.arrays[0])
    for _ in range(8 * steps):
        if len(program.steps) - len(program.leaves) >= steps:
            break
        name = names[rng.integers(len(names))]
        recent = lambda: max(int(len(program.arrays) - 1 - rng.geometric(0.35) + 1), 0)
        program.apply(name, [recent() if rng.random() < 0.7 else int(rng.integers(len(program.arrays))) for _ in range(operations[name].count)])
    return program


def check_engine(operations, engine=None, *, programs=200, steps=7, seed=0, raise_exception=True):
    """True if an engine computes right values and gradients for random programs; else a CheckError with the shortest that fails.

    `operations` is a dict: a name, and the operator on the engine's tensors, alone or in a pair with the same on NumPy arrays
    (without it an operator of ours is replayed, and only its derivatives are checked). `engine` tells how an engine is used;
    the default is ours. Programs share values, repeat them, broadcast, have equal leaves; some go backward from two results,
    and one is a chain of `engine.deep` steps.

    >>> import numpy as np, tinygrad_edu as tg
    >>> from tinygrad_edu.testing import check_engine
    >>> check_engine({"mul": (tg.mul, np.multiply), "tanh": (tg.tanh, np.tanh)}, programs=20)
    True
    """
    engine = engine or Engine()
    operations = {name: Operation.of(given, name) for name, given in operations.items()}
    rng, shortest, size, after = np.random.default_rng(seed), None, np.inf, 0
    for _ in range(records.options.examples(programs)):
        program = random_program(operations, engine, rng, steps)
        results = [i for i in range(len(program.steps)) if i not in program.leaves][-3:]
        trials = [(k,) for k in results] + ([(results[0], results[-1])] if engine.twice and len(results) > 1 else [])
        for outputs in trials:
            length = len(program.needed(*outputs)[0].steps) + 0.5 * (len(outputs) > 1)
            if length < size:
                problem = program.problem(*outputs)
                if problem:
                    shortest, size = problem, length
        after += shortest is not None
        if after > min(programs, 40):  # enough to have found a short one
            break
    shortest = shortest or problem_of_depth(operations, engine)
    records.record("check_engine", shortest is None)
    if shortest is not None and raise_exception:
        __tracebackhide__ = True
        raise CheckError(f"the engine is wrong in this program:\n\n{shortest}", shortest)
    return shortest is None


def problem_of_depth(operations, engine):
    """A long chain of one operation: recursion ends here."""
    if not engine.deep:
        return None
    x = np.full(min(engine.shapes, key=len), 0.375)
    for name, operation in sorted(operations.items()):
        program = Program(operations, engine)
        program.leaf(x)
        for _ in range(engine.deep):
            if program.apply(name, (len(program.arrays) - 1,) + (0,) * (operation.count - 1)) is None:
                break
        else:
            found = program.disagreement([engine.deep])
            return f"a = leaf {shown(x)}\nthen {engine.deep} times {name}\n{found}" if found else None
    return None
