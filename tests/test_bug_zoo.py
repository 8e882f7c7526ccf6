"""The tests of the tests: every derivative rule is broken in every way we could think of, and each must be caught.

So is the engine. A mutant that computes the same as the original for all cases is equivalent and cannot be caught: those are
counted, and must be of the few kinds that are listed here.
"""

import inspect
import textwrap
from itertools import repeat

import numpy as np
import operator_kit as kit
import pytest

import tinygrad_edu as tg
from tinygrad_edu.autograd import Tensor, engine

OPERATORS = {name: op for name, op in kit.differentiable_operators().items() if op.kind != "composite"}
CHECKS = [kit.check_first_order, kit.check_raw_shapes, kit.check_second_order, kit.check_only_reads, kit.check_float32]


ZERO = {("sign", "x"), ("step", "x"), ("floor", "x"), ("ceil", "x"), ("trunc", "x"), ("round", "x"), ("copysign", "y"), ("nextafter", "y"),
        ("heaviside", "x"), ("straight", "x")}  # fmt: skip  (derivatives that are 0 by nature)


def array_of(x):
    return x.array if isinstance(x, Tensor) else x


def like(c, array):
    """A broken gradient in the form of the right one."""
    return Tensor(array, None) if isinstance(c, Tensor) else array


def reordered(c, change):
    """The gradient with its elements in another order, where it has several; None if that changes nothing."""
    a = array_of(c)
    if a.ndim == 0 or a.size < 2:
        return None
    return like(c, change(a))


def averaged(c):
    """A gradient broadcast along its first axis, as a forgotten or wrong reduction leaves it."""
    a = array_of(c)
    if a.ndim == 0 or a.shape[0] < 2:
        return None
    return like(c, np.broadcast_to(a.mean(axis=0, keepdims=True), a.shape).astype(a.dtype))


def transposed(c):
    a = array_of(c)
    if a.ndim < 2 or a.shape[-1] != a.shape[-2] or a.shape[-1] < 2:
        return None
    return like(c, a.swapaxes(-1, -2).copy())


def detached(x):
    return Tensor(x.array, None) if isinstance(x, Tensor) else tuple(detached(y) for y in x) if isinstance(x, tuple) else x


def swapped(rule, g, args):
    """The rule with two of its arguments exchanged, if two have the same shape."""
    arrays = [i for i, a in enumerate(args) if isinstance(a, (np.ndarray, np.generic, Tensor))]
    pairs = [(i, j) for i in arrays for j in arrays if i < j and np.shape(array_of(args[i])) == np.shape(array_of(args[j]))]
    if not pairs:
        return None
    i, j = pairs[0]
    args = list(args)
    args[i], args[j] = args[j], args[i]
    return rule(g, *args)


def overwrite_g(rule, g, args):
    if isinstance(g, np.ndarray):
        g *= 1
    return rule(g, *args)


MUTANTS = {
    "1.01 times": lambda rule, g, args: rule(g, *args) * 1.01,
    "half": lambda rule, g, args: rule(g, *args) * 0.5,
    "negated": lambda rule, g, args: -rule(g, *args),
    "zero": lambda rule, g, args: rule(g, *args) * 0,
    "plus 0.01": lambda rule, g, args: rule(g, *args) + 0.01,
    "without g": lambda rule, g, args: rule(like(g, np.ones_like(array_of(g))), *args),
    "g squared": lambda rule, g, args: rule(g * g, *args),
    "transposed": lambda rule, g, args: transposed(rule(g, *args)),
    "reversed": lambda rule, g, args: reordered(rule(g, *args), lambda a: a[::-1].copy()),
    "off by one": lambda rule, g, args: reordered(rule(g, *args), lambda a: np.roll(a, 1, -1)),
    "averaged": lambda rule, g, args: averaged(rule(g, *args)),
    "one axis too many": lambda rule, g, args: rule(g, *args).reshape((1,) * 2 + (-1,)) * np.ones((2, 1, 1)),
    "swapped arguments": swapped,
    "detached g": lambda rule, g, args: rule(detached(g), *args),
    "detached arguments": lambda rule, g, args: rule(g, *detached(tuple(args))),
    "float32 inside": lambda rule, g, args: rule(g, *args).astype(np.float32),
    "float64 inside": lambda rule, g, args: rule(g, *args).astype(np.float64),
    "overwrites g": overwrite_g,
}


def is_same_graph(right, wrong):
    """True if two gradients were made from the same leaves."""
    leaves = [{n for n in tg.autograd.ancestors(t.node) if n.op is None} if t.node else set() for t in (right, wrong)]
    return leaves[0] == leaves[1]


class Mutated:
    """An operator with one rule broken, for the time of a `with` block."""

    def __init__(self, op, i, mutant):
        self.op, self.i, self.differs, self.mutant = op, i, False, mutant

    def broken(self, rule):
        def mutated(g, *args):
            right = rule(g, *args)
            wrong = self.mutant(rule, g, args)
            if wrong is None:
                return right
            a, b = np.asarray(array_of(right)), np.asarray(array_of(wrong))
            same_graph = not isinstance(right, Tensor) or right.node is wrong.node is None or is_same_graph(right, wrong) or not a.any()
            if not same_graph or a.shape != b.shape or a.dtype != b.dtype or not np.allclose(a, b, 1e-7, 1e-7, equal_nan=True):
                self.differs = True
            return wrong

        return mutated

    def __enter__(self):
        op = self.op
        self.before = op.rules, op.pullbacks, op.together
        if op.together:
            together = op.together

            def broken_together(g, *args):
                parts = list(together(g, *args))
                if parts[self.i] is not None:
                    parts[self.i] = self.broken(lambda g, *args: together(g, *args)[self.i])(g, *args)
                return tuple(parts)

            op.together = broken_together
        else:
            op.rules = tuple(self.broken(r) if k == self.i and r else r for k, r in enumerate(op.rules))
            op.pullbacks = repeat(op.rules[0]) if op.variadic else op.rules
        return self

    def __exit__(self, *error):
        self.op.rules, self.op.pullbacks, self.op.together = self.before


def is_caught(cases):
    for check in CHECKS:
        for case in cases:
            try:
                check(case, 1)
            except Exception:  # an assertion, or any error that the broken rule causes
                return True
    return False


def by_size(case):
    """Small cases first, but not those with a single number, which no reordering changes."""
    sizes = [a.size for a in case.arrays(0)]
    return min(sizes) < 2, sum(sizes)


def differs_in(case, mutated):
    """True if the broken rule gives anything else than the right one: on float32, or on tensors, whose graph counts too."""
    try:
        arrays = case.arrays(2, np.float32)
        kit.gradients(case, arrays, np.random.default_rng(2).uniform(0.5, 1.5, kit.result_shape(case, arrays)))
        if not mutated.differs:
            arrays = case.arrays(1)
            g = tg.tensor(np.random.default_rng(1).uniform(0.5, 1.5, kit.result_shape(case, arrays)), requires_grad=True)
            kit.gradients(case, arrays, g, create_graph=True)
    except Exception:
        return True
    return mutated.differs


def survivors(op):
    """The mutants of an operator's rules that no check caught: (different from the original, equivalent to it)."""
    missed, equivalent = [], []
    cases = kit.cases_of(op)
    for i in sorted({0 if op.variadic else i for case in cases for i in case.active}):
        relevant = sorted((case for case in cases if op.variadic or i in case.active), key=by_size)
        for name, mutant in MUTANTS.items():
            with Mutated(op, i, mutant) as mutated, np.errstate(all="ignore"):
                differs = name == "overwrites g" or differs_in(relevant[0], mutated)
                caught = differs and (is_caught(relevant[:1]) or is_caught(relevant[1:3]))
                if not differs or name == "detached arguments" and not caught:  # of a piecewise linear function
                    equivalent.append((op.name, op.inputs[i], name))
                elif not caught:
                    missed.append((op.name, op.inputs[i], name))
    return missed, equivalent


@pytest.mark.parametrize("name", list(OPERATORS))
def test_every_broken_rule_is_caught(name):
    missed, equivalent = survivors(OPERATORS[name])
    assert not missed, f"these broken rules pass all checks: {missed}"
    allowed = {"transposed", "swapped arguments", "detached arguments", "averaged", "reversed", "off by one", "float64 inside",
               "float32 inside", "without g", "overwrites g"}  # fmt: skip
    unexpected = [m for m in equivalent if m[2] not in allowed and m[:2] not in ZERO]
    assert not unexpected, f"these broken rules are as good as the right one; do the samples make the gradient 0? {unexpected}"


def test_the_kit_passes_what_is_right():
    """The checks do not simply fail on everything: the mutant that changes nothing passes."""
    for name in ("mul", "sum", "matmul", "concatenate", "getitem"):
        with Mutated(OPERATORS[name], 0, lambda rule, g, args: rule(g, *args)) as mutated:
            assert not is_caught(kit.cases_of(OPERATORS[name])) and not mutated.differs


# --- wrong forwards, for the checks that look at values ---------------------------------------------------------------


@pytest.mark.parametrize("check, forward", [
    (kit.check_arrays, lambda x, y: Tensor(x + y, None)),
    (kit.check_float32, lambda x, y: np.asarray(x + y, np.float64)),
    (kit.check_only_reads, lambda x, y: np.add(x, y, out=x) if np.shape(x) == np.shape(x + y) and np.ndim(x) else x + y),
    (kit.check_first_order, lambda x, y: x + 1.01 * y),
    (kit.check_adjoint, lambda x, y: x - y),
])  # fmt: skip
def test_broken_forwards_are_caught(check, forward, monkeypatch):
    op = OPERATORS["add"]
    monkeypatch.setattr(op, "forward", forward)
    from tinygrad_edu.autograd.specialize import function_of

    monkeypatch.setattr(op, "function", function_of(op))
    with pytest.raises(Exception):  # noqa: B017  (whatever the broken function leads to)
        for case in kit.cases_of(op):
            check(case, 1)


def test_views_that_are_not_declared_are_caught(monkeypatch):
    monkeypatch.setattr(OPERATORS["reshape"], "view", False)
    with pytest.raises(AssertionError, match="view"):
        kit.check_arrays(kit.cases_of(OPERATORS["reshape"])[0], 1)


# --- broken engines ---------------------------------------------------------------------------------------------------


def battery():
    """Programs whose gradients are known, that each need something else of the engine."""
    x = tg.tensor([1.0, 2.0, 3.0], requires_grad=True)
    a = x
    for _ in range(20):
        a = a + a
    a.sum().backward()
    assert x.grad.tolist() == [2.0**20] * 3  # a sum over 2²⁰ paths, in linear time
    x.grad = None
    old = x * 2  # a diamond in which the younger branch is the longer one
    young = ((x * 3) * 1) * 1
    (old * young).sum().backward()
    assert x.grad.tolist() == [12.0, 24.0, 36.0]
    x.grad = None
    young = ((x * 3) * 1) * 1
    old = x * 2
    (old * young + old).sum().backward()
    assert x.grad.tolist() == [14.0, 26.0, 38.0]
    b = tg.tensor(1.0, requires_grad=True)
    (x * b + b).sum().backward()
    assert b.grad.item() == 9.0  # stretched: summed back to 0-d
    x.grad = None
    (x * x).sum().backward()
    (x * x).sum().backward()
    assert x.grad.tolist() == [4.0, 8.0, 12.0]  # .grad accumulates
    y = (x * x).sum()
    y.backward()
    with pytest.raises(RuntimeError, match="retain_graph"):
        y.backward()
    y = (x * x * x).sum()
    y.backward(retain_graph=True)
    y.backward()
    p, q = tg.tensor(2.0, requires_grad=True), tg.tensor(3.0, requires_grad=True)
    (p * q).backward(inputs=[p])
    assert p.grad.item() == 3.0 and q.grad is None
    shared = tg.tensor([1.0, 1.0], requires_grad=True)
    other = tg.tensor([1.0, 1.0], requires_grad=True)
    s = shared + other
    (s.sum() + (shared * 5).sum() + (shared * 7).sum()).backward()
    assert shared.grad.tolist() == [13.0, 13.0] and other.grad.tolist() == [1.0, 1.0]  # no array is added into by mistake
    (g,) = tg.autograd.grad((x**4).sum(), x, create_graph=True)
    (h,) = tg.autograd.grad(g.sum(), x, create_graph=True)
    (k,) = tg.autograd.grad(h.sum(), x)
    assert np.allclose(k.numpy(), [24.0, 48.0, 72.0])
    v = tg.tensor([1.0, 2.0], requires_grad=True)
    w = v * v
    with tg.no_grad():
        v.add_(1)
    with pytest.raises(RuntimeError, match="overwritten"):
        w.sum().backward()
    t = tg.tensor([2.0], requires_grad=True)
    u = t * 3
    u.register_hook(lambda g: g * 10)
    u.sum().backward()
    assert t.grad.tolist() == [30.0]


ENGINE_MUTANTS = {
    "= for +=": ("grads[parent] = grads[parent] + c", "grads[parent] = c"),
    "= for += in place": ("grads[parent] += c", "grads[parent] = c"),
    "everything is ours to add into": ("elif parent in sums:", "elif isinstance(grads[parent], np.ndarray):"),
    "oldest first": ("(-parent.birth, parent)", "(parent.birth, parent)"),
    "no unbroadcasting": ("if c.shape != parent.shape:", "if False:"),
    "never freed": ("node.saved = None", "pass"),
    "always freed": ("if not retain_graph and op.keeps_values:", "if op.keeps_values:"),
    "no look at writes": ("if node.birth < memory.last_write:", "if False:"),
    "hooks forgotten": ("g = noted(node, g, create_graph)", "pass"),
    "no graph of gradients": ("saved = as_tensors(node)", "pass"),
}


@pytest.mark.parametrize("name", ENGINE_MUTANTS)
def test_broken_engines_are_caught(name, monkeypatch):
    right, wrong = ENGINE_MUTANTS[name]
    source = textwrap.dedent(inspect.getsource(engine.backprop))
    assert right in source, f"the engine no longer contains {right!r}: bring this mutant up to date"
    namespace = vars(engine).copy()
    exec(source.replace(right, wrong), namespace)
    monkeypatch.setattr(engine, "backprop", namespace["backprop"])
    with pytest.raises((Exception, pytest.fail.Exception)):  # an assertion of the battery, or what the broken engine runs into
        battery()


def naive_backprop(grads, *args, **kwargs):
    """Back propagation by recursion, along every path: right for trees, exponential and too deep for graphs."""
    for node, g in list(grads.items()):
        yield node, g
        if node.op is not None:
            for parent, rule, saved in zip(node.parents, node.op.pullbacks, node.saved):
                if saved is not None:
                    yield from naive_backprop({parent: engine.sum_to(rule(g, *saved), parent.shape)})


def test_recursion_along_paths_is_caught(monkeypatch):
    monkeypatch.setattr(engine, "backprop", naive_backprop)
    x = tg.tensor(1.0, requires_grad=True)
    y = x
    for _ in range(2000):
        y = y * 1
    with pytest.raises(RecursionError):
        y.backward()


def test_the_battery_passes_with_the_real_engine():
    battery()
