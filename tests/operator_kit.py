"""The checks that every operator must pass, as functions: test_operators.py runs them, test_bug_zoo.py tests the checks.

A `Case` is an operator with shapes and parameters. Nothing here knows any operator: all comes from the registry, so a new
operator is tested by being there. In a sample an array stands for itself (an integer input, say) and is not differentiated.
"""

import numpy as np

import tinygrad_edu as tg
from tinygrad_edu.autograd import Tensor, engine
from tinygrad_edu.autograd.operator import registry

PATTERNS = {1: [((2, 3),), ((),)],
            2: [((2, 3), (2, 3)), ((2, 3), (3,)), ((1, 3), (2, 1)), ((), (2,))],
            3: [((2, 3), (2, 3), (3,)), ((), (2, 1), (3,))]}  # fmt: skip
INTEGER_INPUTS = {"ldexp_integer": [1]}  # inputs that are integers by nature
BOOLEAN_INPUTS = {"where": [0]}


class Case:
    """One operator, the shapes of its inputs, and its parameters."""

    def __init__(self, op, shapes, params):
        self.op, self.shapes, self.params = op, shapes, params
        self.inputs = [op.variadic] * len(shapes) if getattr(op, "variadic", None) else getattr(op, "inputs", ["x"] * len(shapes))
        self.integers = INTEGER_INPUTS.get(op.name, ()), BOOLEAN_INPUTS.get(op.name, ())

    def __repr__(self):
        shapes = [s if isinstance(s, tuple) else s.tolist() for s in self.shapes]
        return f"{self.op.name}{shapes}{self.params or ''}"

    @property
    def active(self):
        """The positions of the inputs that have derivatives."""
        op = self.op
        fixed = {i for group in self.integers for i in group} | {i for i, s in enumerate(self.shapes) if isinstance(s, np.ndarray)}
        if op.kind == "composite":
            return [i for i in range(len(self.shapes)) if i not in fixed]
        rules = op.rules * len(self.shapes) if op.variadic else op.rules
        return [i for i in range(len(self.shapes)) if i not in fixed and (op.together or rules[i])]

    def domain(self, i):
        """The domain of input i: a range, or a function that makes a fitting input of any."""
        domain = self.op.domain
        return (domain.get(self.inputs[i]) if isinstance(domain, dict) else domain) or (-3, 3)

    def arrays(self, seed, dtype=np.float64):
        """Inputs within the domain: distinct, apart from each other across all inputs, and away from kinks."""
        rng = np.random.default_rng(seed)
        sizes = [int(np.prod(s)) if isinstance(s, tuple) else 0 for s in self.shapes]
        ranks = rng.permutation(max(sum(sizes), 1)) + 0.25 + 0.5 * rng.random(max(sum(sizes), 1))
        result, start = [], 0
        for i, (shape, n) in enumerate(zip(self.shapes, sizes)):
            place = ranks[start : start + n].reshape(shape if isinstance(shape, tuple) else -1)
            start += n
            if isinstance(shape, np.ndarray):
                result.append(shape)
            elif i in self.integers[0]:
                result.append(rng.integers(-3, 4, shape))
            elif i in self.integers[1]:
                result.append(rng.random(shape) > 0.5)
            else:
                low, high = (-2, 2) if callable(self.domain(i)) else self.domain(i)
                values = low + (high - low) * place / max(sum(sizes), 1)
                result.append(np.asarray(self.away_from_kinks(values), dtype))
        return result

    def away_from_kinks(self, values):
        """Values moved off the multiples of ½, where kinks of common functions are, and off the parameters."""
        numbers = [p for p in self.params.values() if isinstance(p, float)]
        for kink in [np.round(values * 2) / 2, *numbers, *(-p for p in numbers)]:
            near = np.abs(values - kink) < 4e-3
            values = np.where(near, kink + np.where(values < kink, -4e-3, 4e-3), values)
        return values

    def prepare(self, xs):
        """Inputs made fit for the operator, where its domain is a function."""
        return [self.domain(i)(x) if callable(self.domain(i)) else x for i, x in enumerate(xs)]

    def __call__(self, *xs, function=None):
        """The operator applied to arrays or tensors."""
        return (function or self.op.function)(*self.prepare(xs), **self.params_for(xs))

    def params_for(self, xs):
        """The parameters; arrays of floats among them, such as weights of classes, in the type of the inputs."""
        dtype = next((x.dtype for x in xs if x.dtype.kind == "f"), np.float64)
        floats = {k: v.astype(dtype) for k, v in self.params.items() if isinstance(v, np.ndarray) and v.dtype.kind == "f"}
        return {**self.params, **floats}

    def tensors(self, arrays, active=None):
        """The inputs as tensors; those with derivatives as leaves."""
        active = self.active if active is None else active
        return [tg.tensor(a, requires_grad=i in active) for i, a in enumerate(arrays)]


def cases_of(op):
    """The cases of one operator: its samples, for elementwise operators in several broadcasting patterns."""
    samples = list(op.samples)
    if op.kind in ("elementwise", "constant") or op.kind == "composite" and not any(sized(s) for s in samples):
        if any(sized(s) for s in samples):
            return [case_from(op, s) for s in samples]
        count = len(op.inputs) if op.kind != "composite" else 1
        return [Case(op, shapes, dict(p)) for p in [s for s in samples if isinstance(s, dict)] or [{}] for shapes in PATTERNS[count]]
    return [case_from(op, s) for s in samples]


def sized(sample):
    """True if a sample names shapes, not only parameters."""
    return not isinstance(sample, dict)


def case_from(op, sample):
    *shapes, params = sample if sample and isinstance(sample[-1], dict) else (*sample, {})
    return Case(op, tuple(shapes), dict(params))


def differentiable_operators():
    """Every operator and composite that has derivatives, by name."""
    return {name: op for name, op in sorted(registry.items()) if op.kind != "constant"}


def check_slopes(function, arrays, i, computed, what, rng, rtol=2e-6, atol=1e-6, eps=1e-6):
    """`computed` is the derivative of a function that returns a number with respect to array i, measured by moving array i:
    up to eight elements one by one, and all of them together along a random direction."""
    assert computed.shape == arrays[i].shape, f"{what}: shape {computed.shape} instead of {arrays[i].shape}"
    i %= len(arrays)
    count = arrays[i].size
    ways = [np.eye(1, count, k).reshape(arrays[i].shape) for k in rng.permutation(count)[:8]]
    ways += [rng.uniform(0.5, 1.5, arrays[i].shape)] if count > 1 else []
    for way in ways:
        up, down = (function([a + step * way if k == i else a for k, a in enumerate(arrays)]) for step in (eps, -eps))
        agree(np.sum(computed * way), (up - down) / (2 * eps), f"{what}, along {way.tolist()}", rtol, atol)


def agree(computed, expected, what, rtol=2e-6, atol=1e-6):
    """Raise an AssertionError that shows both sides if they differ."""
    computed, expected = np.asarray(computed), np.asarray(expected)
    assert computed.shape == expected.shape, f"{what}: shape {computed.shape} instead of {expected.shape}"
    scale = max(1.0, float(np.max(np.abs(expected), initial=0.0)))
    assert np.allclose(computed, expected, rtol, atol * scale), f"{what}:\n{computed}\ninstead of\n{expected}"


def gradients(case, arrays, weights, create_graph=False):
    """The tensors, and the gradients of Σ weights · result with respect to the active inputs."""
    xs = case.tensors(arrays)
    out = case(*xs)
    weights = weights if isinstance(weights, Tensor) else Tensor(np.asarray(weights, out.dtype), None)
    active = [xs[i] for i in case.active]
    return xs, engine.grad(out, active, weights, create_graph=create_graph, allow_unused=True, materialize_grads=True)


def result_shape(case, arrays):
    return np.shape(case(*[a.copy() for a in arrays]))


def check_first_order(case, seed):
    """The derivative rules agree with measured slopes."""
    arrays = case.arrays(seed)
    rng = np.random.default_rng(seed)
    weights = rng.uniform(0.5, 1.5, result_shape(case, arrays))
    _, found = gradients(case, arrays, weights)
    for i, g in zip(case.active, found):
        check_slopes(lambda moved: np.sum(case(*moved) * weights), arrays, i, g.array, f"{case}: the gradient of input {i}", rng)
        assert g.dtype == np.float64


def check_second_order(case, seed):
    """The derivatives of the derivative rules agree with measured slopes, with respect to the inputs and to g."""
    arrays = case.arrays(seed)
    rng = np.random.default_rng(seed)
    weights = rng.uniform(0.5, 1.5, result_shape(case, arrays))
    g = tg.tensor(weights, requires_grad=True)
    xs, found = gradients(case, arrays, g, create_graph=True)
    directions = [rng.uniform(0.5, 1.5, x.shape) for x in found]
    roots = [(x, tg.tensor(d)) for x, d in zip(found, directions) if x.requires_grad]
    wanted = [xs[i] for i in case.active] + [g]
    if roots:
        second = engine.grad([x for x, _ in roots], wanted, [d for _, d in roots], allow_unused=True, materialize_grads=True)
    else:
        second = [Tensor(np.zeros(x.shape), None) for x in wanted]

    def first(moved):
        return sum(np.sum(x.array * d) for x, d in zip(gradients(case, moved[:-1], moved[-1])[1], directions))

    for i, computed in zip([*case.active, -1], second):
        which = "g" if i == -1 else f"input {i}"
        check_slopes(first, [*arrays, weights], i, computed.array, f"{case}: the second derivative, of {which}", rng, 1e-5, 1e-5)


def check_adjoint(case, seed):
    """⟨w, J t⟩ = ⟨Jᵀ w, t⟩ with J t measured along a random direction, or computed, where forward mode has a rule."""
    arrays = case.arrays(seed)
    rng = np.random.default_rng(seed)
    weights = rng.uniform(0.5, 1.5, result_shape(case, arrays))
    tangents = [rng.uniform(0.5, 1.5, a.shape) if i in case.active else np.zeros_like(a) for i, a in enumerate(arrays)]
    xs, found = gradients(case, arrays, weights)
    right = sum(np.sum(g.array * tangents[i]) for i, g in zip(case.active, found))
    if case.op.kind == "linear" and not callable(case.op.domain):
        left = np.sum(weights * (case(*arrays) * 0 + case(*tangents)))
        agree(left, right, f"{case}: ⟨w, A t⟩ and ⟨Aᵀ w, t⟩", 1e-10, 1e-10)
        zero = case(*[a * 0 for a in arrays])
        assert not np.any(zero), f"{case}: called linear, but its value at 0 is {zero}"
    else:
        ends = [case(*[a + s * t if i in case.active else a for i, (a, t) in enumerate(zip(arrays, tangents))]) for s in (1e-6, -1e-6)]
        agree(np.sum(weights * (ends[0] - ends[1]) / 2e-6), right, f"{case}: ⟨w, J t⟩ and ⟨Jᵀ w, t⟩")
        if case.op.kind == "elementwise":  # the rule for g is the rule for tangents
            shape = result_shape(case, arrays)
            xs = case.tensors(arrays)
            node = case(*xs).node
            along = sum(np.asarray(rule(np.broadcast_to(tangents[i], shape) + 0.0, *node.saved[i]))
                        for i, rule in enumerate(case.op.rules) if i in case.active)  # fmt: skip
            agree(np.broadcast_to(along, shape), (ends[0] - ends[1]) / 2e-6, f"{case}: forward mode by the rule")


def check_raw_shapes(case, seed):
    """What a rule returns has its input's shape, or one that the input's shape broadcasts to; and the input's dtype."""
    for dtype in (np.float64, np.float32):
        arrays = case.arrays(seed, dtype)
        out = case.op.function(*[Tensor(a, None) if i not in case.active else tg.tensor(a, requires_grad=True)
                                 for i, a in enumerate(case.prepare(arrays))], **case.params_for(arrays))  # fmt: skip
        g = np.ones(out.shape, dtype)
        node = out.node
        parts = engine.at_once(case.op, g, node.saved) if case.op.together else [None] * len(node.parents)
        for parent, rule, args, part in zip(node.parents, case.op.pullbacks, node.saved, parts):
            if args is None or parent is None:
                continue
            part = rule(g, *args) if part is None else part
            assert np.broadcast_shapes(part.shape, parent.shape) == part.shape, (
                f"{case}: the rule returned shape {part.shape} for an input of shape {parent.shape}")  # fmt: skip
            assert part.dtype == dtype, f"{case}: the rule made {part.dtype} of {np.dtype(dtype)}"
        if case.op.together:
            given = [p for p in parts if p is not None]
            assert not any(np.shares_memory(p, q) for k, p in enumerate(given) for q in given[:k]), f"{case}: two gradients share memory"


def check_arrays(case, seed):
    """Arrays in, array out, with plain NumPy's result; inputs are only read; the tensor's result is the same."""
    arrays = case.prepare(case.arrays(seed))
    for a in arrays:
        if isinstance(a, np.ndarray):
            a.flags.writeable = False
    plain = case.op.function(*arrays, **case.params_for(arrays))
    assert isinstance(plain, (np.ndarray, np.generic)), f"{case}: arrays went in, and {type(plain).__name__} came out"
    tensors = case.op.function(*[Tensor(a.copy(), None) for a in arrays], **case.params_for(arrays))
    assert isinstance(tensors, Tensor), f"{case}: tensors went in, and {type(tensors).__name__} came out"
    assert np.array_equal(tensors.array, plain, equal_nan=True) and tensors.dtype == plain.dtype
    if hasattr(case.op, "forward"):
        assert np.array_equal(case.op.forward(*arrays, **case.params_for(arrays)), plain, equal_nan=True)
        if not case.op.view:
            assert not any(np.shares_memory(plain, a) for a in arrays), f"{case}: the result is a view, but view=True is not set"


def check_only_reads(case, seed):
    """Neither the forward pass nor a rule writes to what it is given."""
    arrays = case.arrays(seed)
    xs = case.tensors(arrays)
    prepared = case.prepare(xs)
    for x in [*xs, *[p for p in prepared if isinstance(p, Tensor)]]:
        if isinstance(x.array, np.ndarray):
            x.array.flags.writeable = False
    out = case.op.function(*prepared, **case.params_for(arrays))
    if isinstance(out.array, np.ndarray):
        out.array.flags.writeable = False
    weights = np.ones(out.shape)
    weights.flags.writeable = False
    engine.grad(out, [xs[i] for i in case.active], Tensor(weights, None), allow_unused=True)
    for x, a in zip(xs, arrays):
        assert np.array_equal(x.array, a, equal_nan=True)


def check_float32(case, seed):
    """float32 stays float32, in the value and in every gradient, and is the float64 result up to rounding."""
    single, double = case.arrays(seed, np.float32), case.arrays(seed)
    xs = case.tensors(single)
    out = case(*xs)
    if case.op.name != "cast":
        assert out.dtype == np.float32, f"{case}: float32 became {out.dtype}"
    weights = np.ones(out.shape)
    found = engine.grad(out, [xs[i] for i in case.active], Tensor(weights.astype(out.dtype), None), allow_unused=True, materialize_grads=True)
    _, expected = gradients(case, double, weights)
    for g, e in zip(found, expected):
        assert g.dtype == np.float32, f"{case}: the gradient of a float32 input is {g.dtype}"
        agree(g.array, e.array, f"{case}: float32", 2e-3, 2e-3)


def check_strides(case, seed):
    """Inputs with any memory layout give the same values and gradients as contiguous ones."""
    arrays = case.arrays(seed)
    weights = np.random.default_rng(seed).uniform(0.5, 1.5, result_shape(case, arrays))
    expected = [case(*case.tensors(arrays)), *gradients(case, arrays, weights)[1]]
    for layout in (lambda a: np.array(a, order="F"), lambda a: np.repeat(a, 2, -1)[..., ::2] if a.ndim else a,
                   lambda a: np.ascontiguousarray(a[::-1])[::-1] if a.ndim else a):  # fmt: skip
        xs = [Tensor(layout(a), None) for a in arrays]
        for i in case.active:
            xs[i].requires_grad = True
        out = case(*xs)
        strange = np.array(weights, order="F")
        found = engine.grad(out, [xs[i] for i in case.active], Tensor(strange, None), allow_unused=True, materialize_grads=True)
        for computed, wanted in zip([out, *found], expected):
            agree(computed.array, wanted.array, f"{case}: strided input", 1e-12, 1e-12)


def is_analytic(case, arrays):
    """True if the forward function accepts complex numbers and satisfies the Cauchy–Riemann equations there."""
    rng = np.random.default_rng(1)
    try:
        with np.errstate(all="ignore"):
            at = [a + 0.05j * rng.random(a.shape) if i in case.active else a for i, a in enumerate(arrays)]
            way = [rng.random(a.shape) if i in case.active else np.zeros(a.shape, a.dtype) for i, a in enumerate(arrays)]
            value = lambda h: np.asarray(case(*[a + h * w if i in case.active else a for i, (a, w) in enumerate(zip(at, way))]))
            real, imaginary = (value(1e-5) - value(-1e-5)) / 2e-5, (value(1e-5j) - value(-1e-5j)) / 2e-5j
        return real.dtype.kind == "c" and np.allclose(real, imaginary, 1e-4, 1e-6)
    except (TypeError, ValueError, KeyError, np.linalg.LinAlgError, np.exceptions.ComplexWarning):
        return False


def check_complex_step(case, seed):
    """f′(x) = Im f(x + ih) / h to the last digits, where f is analytic; returns False where it is not."""
    arrays = case.arrays(seed)
    if not is_analytic(case, arrays):
        return False
    weights = np.random.default_rng(seed).uniform(0.5, 1.5, result_shape(case, arrays))
    _, found = gradients(case, arrays, weights)
    for i, g in zip(case.active, found):
        expected = np.zeros(arrays[i].shape)
        for place in np.ndindex(arrays[i].shape):
            moved = [a.astype(complex) if k in case.active else a for k, a in enumerate(arrays)]
            moved[i][place] += 1e-30j
            expected[place] = np.sum(np.asarray(case(*moved)).imag * weights) / 1e-30
        agree(g.array, expected, f"{case}: complex step, input {i}", 1e-11, 1e-11)
    return True


def check_general_function(case, seed):
    """The specialised function does what the general one does, for every choice of tensors, leaves, arrays and modes."""
    from tinygrad_edu.autograd.specialize import general_function

    general = general_function(case.op)
    for dtype in (np.float64, np.float32):
        arrays = case.prepare(case.arrays(seed, dtype))
        n = len(arrays)
        choices = [["leaf"] * n, ["constant"] * n, *[["leaf" if j == i else "constant" for j in range(n)] for i in range(n)],
                   *[["leaf" if j == i else "array" for j in range(n)] for i in range(n) if n > 1]]  # fmt: skip
        for choice in choices if dtype == np.float64 else choices[:2]:
            results = []
            for function in (case.op.function, general):
                make = dict(leaf=lambda a: tg.tensor(a, requires_grad=a.dtype.kind == "f"), constant=lambda a: Tensor(a, None), array=lambda a: a)
                xs = [make[kind](a.copy()) for kind, a in zip(choice, arrays)]
                out = function(*xs, **case.params_for(arrays))
                row = [out]
                if out.requires_grad:
                    leaves = [x for x in xs if isinstance(x, Tensor) and x.requires_grad]
                    row += engine.grad(out, leaves, Tensor(np.ones(out.shape, out.dtype), None), allow_unused=True)
                results.append(row)
            (a, *ga), (b, *gb) = results
            assert a.dtype == b.dtype and a.requires_grad == b.requires_grad, f"{case} {choice}"
            assert np.array_equal(a.array, b.array, equal_nan=True), f"{case} {choice}"
            for x, y in zip(ga, gb, strict=True):
                assert (x is None) == (y is None) and (x is None or x.dtype == y.dtype and np.array_equal(x.array, y.array)), f"{case} {choice}"
