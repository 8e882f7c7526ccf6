"""Correct functions by the thousand: every operator of the registry, and random compositions; no cause may be claimed for any."""

import os

import numpy as np
import operator_kit as kit

import tinygrad_edu as tg
from tinygrad_edu.autograd import engine
from tinygrad_edu.autograd.gradcheck import check_gradient, check_gradients

SEED = int(os.environ.get("GRADCHECK_SEED", 7))
CASES = [case for op in kit.differentiable_operators().values() for case in kit.cases_of(op)]

UNARY = [tg.sin, tg.cos, tg.tanh, tg.sigmoid, tg.exp, tg.square, tg.relu, tg.abs, lambda x: (x * x + 0.5).sqrt(), lambda x: (x * x + 0.5).log(),
         lambda x: 1 / (x * x + 1), tg.nn.functional.softplus, tg.nn.functional.gelu, lambda x: -x, lambda x: 3 * x - 1, lambda x: x * x.detach() * 0 + x,
         lambda x: x - x.mean(), lambda x: x / (1 + (x * x).sum()), lambda x: x.flip(0), lambda x: tg.softmax(x, -1), lambda x: x.cumsum(-1),
         lambda x: x.clamp(-0.8, 0.8), lambda x: tg.where(x > 0.1, x * x, 0.2 * x), lambda x: x * 1e4, lambda x: x * 1e-4, tg.atan,
         lambda x: tg.nn.functional.leaky_relu(x), lambda x: tg.log_softmax(x, -1), lambda x: x.sort(-1)[0], lambda x: x.roll(1, 0)]  # fmt: skip
BINARY = [lambda x, y: x + y, lambda x, y: x - y, lambda x, y: x * y, lambda x, y: x / (y * y + 1), tg.maximum, tg.minimum,
          lambda x, y: tg.atan2(x, y * y + 1), lambda x, y: x * y.sum(), lambda x, y: tg.hypot(x, y + 3), lambda x, y: x.exp() * y.sin()]  # fmt: skip
REDUCE = [lambda x: x.sum(), lambda x: x.mean(), lambda x: x.sum(0), lambda x: x.mean(-1), lambda x: x.max(), lambda x: (x * x).sum(-1), tg.var,
          lambda x: x.logsumexp(-1), lambda x: x.norm(), lambda x: x.amax(-1), lambda x: x.prod(-1), lambda x: x.std(0)]  # fmt: skip


def composition(rng):
    """(function of tensors, arrays): a random expression over one to three inputs whose shapes broadcast."""
    m, n = rng.integers(2, 4, 2)
    shapes = [(m, n), [(m, n), (n,), (1, n), (m, 1), ()][rng.integers(5)], (n, n)]
    count = int(rng.integers(1, 4))
    plan = [(rng.integers(len(UNARY)), rng.integers(len(BINARY)), rng.integers(6), rng.integers(4)) for _ in range(rng.integers(1, 5))]
    last, whole = int(rng.integers(len(REDUCE))), rng.random() < 0.7

    def function(*xs):
        x, second = xs[0], xs[1] if len(xs) > 1 else None
        for unary, binary, way, times in plan:
            if way == 0 and len(xs) > 2:
                x = x @ xs[2]
            elif way in (1, 2) and second is not None:
                x = BINARY[binary](x, second)
            elif way == 3:
                x = BINARY[binary](x, x.tanh())
            elif way == 4:
                x = x[[0, 1, 0, *range(1, m)][:m]]
            x = UNARY[unary](x)
            if times == 0:
                x = x + UNARY[unary % 5](xs[0])
        return REDUCE[last](x) if whole else x

    arrays = [rng.uniform(0.3, 1.4, s) * rng.choice([-1.0, 1.0], s) for s in shapes[:count]]
    return function, [np.asarray(a) for a in arrays]


def tame(function, arrays):
    """True if values, first and second derivatives are numbers of ordinary size."""
    leaves = [tg.tensor(a, requires_grad=True) for a in arrays]
    with np.errstate(all="ignore"):
        out = function(*leaves)
        first = engine.grad(out, leaves, tg.ones_like(out), create_graph=True, allow_unused=True, materialize_grads=True)
        found = [np.asarray(t.array) for t in (out, *first)]
        if any(f.requires_grad for f in first):
            roots = [f for f in first if f.requires_grad]
            second = engine.grad(roots, leaves, [tg.ones_like(f) for f in roots], allow_unused=True, materialize_grads=True)
            found += [np.asarray(t.array) for t in second]
    return all(np.isfinite(a).all() and np.abs(a).max(initial=0) < 1e9 for a in found)


def check(number):
    """Check correct function `number`; returns (its name, the GradientCheck)."""
    rng = np.random.default_rng([SEED, number])
    if number % 2:
        case = CASES[(number // 2) % len(CASES)]
        arrays, name = case.arrays(number + 100_000 * (SEED - 7)), repr(case)
        single = number % 10 == 1 and all(a.dtype.kind != "f" or np.abs(a).max(initial=0) < 100 for a in arrays)
        tensors = [tg.tensor(a.astype(np.float32) if single and a.dtype.kind == "f" else a, requires_grad=k in case.active)
                   for k, a in enumerate(arrays)]  # fmt: skip
        if not case.active:
            return name, None
        return name, check_gradients(lambda *xs: case(*xs), tensors, fast_mode=number % 6 == 3)
    function, arrays = composition(rng)
    while not tame(function, arrays):
        function, arrays = composition(rng)
    name = f"composition {number}"
    if number % 8 == 6:  # with NumPy arrays in and out, and the engine's gradient as the claim

        def plain(*xs):
            return function(*(tg.tensor(x) for x in xs)).detach().numpy()

        def claim(g, *xs):
            leaves = [tg.tensor(x, requires_grad=True) for x in xs]
            found = engine.grad(function(*leaves), leaves, tg.tensor(g), allow_unused=True)
            return [None if f is None else f.numpy() for f in found]

        return name, check_gradient(plain, claim, *arrays, kind="vjp")
    single = number % 16 == 4
    leaves = [tg.tensor(a, dtype=tg.float32 if single else tg.float64, requires_grad=True) for a in arrays]
    return name, check_gradients(function, leaves, order=2 if number % 32 == 16 else 1, fast_mode=number % 8 == 2)
