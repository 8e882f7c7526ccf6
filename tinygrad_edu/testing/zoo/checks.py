"""Is the bug gone? The checks behind the exercises: the public checkers of this package, and the right program's values."""

import contextlib
import inspect
import types
import warnings
from dataclasses import replace

import numpy as np

from ..checklist import Enough, Result
from ..claims import check_function
from ..compare import as_array, assert_close
from ..gradients import checked
from ..optimizers import check_optimizer, check_training_step
from ..programs import Engine, Operation, check_engine
from .exercise import Exercise, source_of


def check(exercise, source, stop=True):
    """The Result of checking a source text as an answer to an exercise: `.ok` if the bug is gone and nothing else is broken.

    The first check that fails ends it, unless `stop` is off.

    >>> from tinygrad_edu.testing import zoo
    >>> exercise = zoo.exercises["mean-without-n"]
    >>> zoo.check(exercise, exercise.right).ok, zoo.check(exercise, exercise.broken).ok
    (True, False)
    """
    program = exercise.program if isinstance(exercise, Exercise) else exercise
    result = Result(f"zoo.{exercise.name if isinstance(exercise, Exercise) else program}", stop=stop)
    modules = []
    with contextlib.suppress(Enough), np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of whatever the answer does
        result.run("the file can be imported", lambda: modules.append(loaded(source, "answer")))
        if modules:
            CHECKS[program](result, modules[0], loaded(source_of(program), program))
    return result


def loaded(source, name):
    """A source text as a module; its main() does not run."""
    module = types.ModuleType(f"bug_zoo_{name}")
    exec(compile(source, f"<{name}>", "exec"), module.__dict__)
    return module


def same_value(mine, right, name, *inputs):
    """What a function should return, from the right program."""
    copies = [[np.array(x) if isinstance(x, np.ndarray) else x for x in inputs] for _ in range(2)]
    assert_close(getattr(mine, name)(*copies[0]), getattr(right, name)(*copies[1]), check_dtype=False)


def pairs(result, mine, right, table):
    """Functions and their derivatives by hand: (name, inputs, vjp(module) → function of g and the inputs)."""
    for name, inputs, vjp in table:
        result.run(f"the value of {name}", lambda name=name, inputs=inputs: same_value(mine, right, name, *inputs))
        result.run(f"the derivative of {name}", lambda name=name, inputs=inputs, vjp=vjp: slope_check(mine, name, inputs, vjp))


def slope_check(mine, name, inputs, vjp):
    check_function(getattr(mine, name), inputs, vjp=vjp(mine), name=name)


# --- the engine -------------------------------------------------------------------------------------------------------


def add_to(a, b):
    total = a * 1.0
    before = total
    total += b
    return total * before


OPERATIONS = {
    "add": (lambda a, b: a + b, np.add),
    "sub": (lambda a, b: a - b, np.subtract),
    "mul": (lambda a, b: a * b, np.multiply),
    "div": (lambda a, b: a / (b * b + 2), lambda a, b: a / (b * b + 2)),
    "one_minus": (lambda a: 1 - a, lambda a: 1 - a),
    "cube": (lambda a: (a * 0.5) ** 3, lambda a: (a * 0.5) ** 3),
    "tanh": (lambda a: a.tanh(), np.tanh),
    "add_to": (add_to, lambda a, b: (a + b) * a),
    "matmul": Operation(lambda a, b: a @ b, np.matmul, 2, lambda a, b: len(a) == len(b) == 2 and a[1] == b[0]),
    "sum": (lambda a: a.sum(), np.sum),
    "sum_rows": Operation(lambda a: a.sum(axis=1), lambda a: a.sum(axis=1), 1, lambda a: len(a) > 1),
    "mean": (lambda a: a.mean(), np.mean),
    "max": (lambda a: a.max(), np.max),
    "turned": Operation(lambda a: a.transpose((1, 2, 0)), lambda a: a.transpose(1, 2, 0), 1, lambda a: len(a) == 3),
    "rows": Operation(lambda a: a[np.array([0, 1, 0])], lambda a: a[np.array([0, 1, 0])], 1, lambda a: a and a[0] > 1),
}
SHAPES = ((2, 3), (3,), (2, 1), (3, 3), (2,), (2, 2, 2), (1, 2, 3))


def engine(result, mine, right):
    use = Engine(leaf=lambda array: mine.Tensor(array), value=lambda t: t.data, backward=lambda t: t.backward(), shapes=SHAPES, deep=0)
    joined = Operation(lambda a, b: mine.concatenate([a, b]), lambda a, b: np.concatenate([a, b]), 2, lambda a, b: a and b and a[1:] == b[1:])
    operations = OPERATIONS | dict(joined=joined)
    for name in operations:  # each operation by itself, then all of them
        result.run(name, lambda name=name: check_engine({name: operations[name]}, use, programs=10, steps=3) and None)
    result.run("programs of all operations", lambda: check_engine(operations, use, programs=80) and None)
    result.run("a long chain", lambda: check_engine({"tanh": operations["tanh"]}, replace(use, deep=3000), programs=1) and None)


# --- networks by hand -------------------------------------------------------------------------------------------------


def network(result, mine, right):
    rng = np.random.default_rng(0)
    x, w, b, z = rng.normal(size=(5, 4)), rng.normal(size=(4, 3)), rng.normal(size=3), rng.normal(size=(5, 3))
    labels, mask, column, target = np.array([0, 2, 1, 1, 0]), rng.random((5, 4)) < 0.6, rng.normal(size=(5, 1)), rng.normal(size=5)
    pairs(result, mine, right, [
        ("linear", (x, w, b), lambda m: lambda g, x, w, b: m.linear_backward(g, x, w)),
        ("relu", (x,), lambda m: m.relu_backward),
        ("sigmoid", (x,), lambda m: m.sigmoid_backward),
        ("penalty", (w, 0.3), lambda m: lambda g, w, s: (g * m.penalty_backward(w, float(s)), g * (w**2).sum())),
        ("cross_entropy", (z, labels), lambda m: lambda g, z, y: g * m.cross_entropy_backward(z, y)),
        ("squared_error", (column, target), lambda m: lambda g, p, t: (g * m.squared_error_backward(p, t), -g * m.squared_error_backward(p, t)[:, 0])),
    ])  # fmt: skip
    result.run("the value of dropout", lambda: same_value(mine, right, "dropout", x, mask, 0.6))
    result.run("the derivative of dropout", lambda: check_function(
        lambda x: mine.dropout(x, mask, 0.6), [x], vjp=lambda g, x: mine.dropout_backward(g, mask, 0.6), name="dropout") and None)  # fmt: skip
    for name, scale in (("softmax", 1), ("softmax of large numbers", 2000), ("softmax of small numbers", 1e-3)):
        result.run(name, lambda scale=scale: same_value(mine, right, "softmax", z * scale))
    result.run("softmax of unequal rows", lambda: same_value(mine, right, "softmax", np.array([[0.0, 0, -3000], [9e3, 9e3 + 1, 0]])))
    result.run("the loss of large numbers", lambda: same_value(mine, right, "cross_entropy", z * 2000, labels))
    parameters = [p.copy() for p in right.start(rng, 4)]
    x, labels = right.data(rng, 9)
    mask = rng.random((9, 4)) < 0.8
    result.run("a training step", lambda: check_training_step(
        lambda: mine.train_step(parameters, x, labels, mask, 0.5), parameters, lambda: right.loss_of(parameters, x, labels, mask), lr=0.5) and None)  # fmt: skip


def recurrent(result, mine, right):
    rng = np.random.default_rng(0)
    parameters, xs, target = right.start(rng, 3), rng.normal(size=(4, 5, 1)), rng.normal(size=(5, 1))

    def backward(g, *parameters):
        _, states = mine.forward(parameters, xs)
        return mine.backward(parameters, xs, states, g)

    result.run("the value of forward", lambda: assert_close(mine.forward(parameters, xs), right.forward(parameters, xs)))
    result.run("the derivative of forward", lambda: check_function(
        lambda *parameters: mine.forward(parameters, xs)[0], parameters, vjp=backward, name="forward") and None)  # fmt: skip
    for most in (0.5, 3.0, 100.0):
        gradients = [rng.normal(size=(2, 2)), rng.normal(size=3) * 5, np.array([0.01])]
        result.run(f"clip to {most}", lambda most=most, gradients=gradients: assert_close(mine.clip(gradients, most), right.clip(gradients, most)))
    mine_now, right_now = [p.copy() for p in parameters], [p.copy() for p in parameters]
    result.run("a training step", lambda: (mine.train_step(mine_now, xs, target), right.train_step(right_now, xs, target),
                                           assert_close(mine_now, right_now))[-1])  # fmt: skip


def convnet(result, mine, right):
    rng = np.random.default_rng(0)
    x, kernels, b, maps = rng.normal(size=(2, 5, 5)), rng.normal(size=(2, 2, 2)), rng.normal(size=2), rng.normal(size=(2, 2, 3, 2))
    flat = np.round(maps)  # with ties
    pairs(result, mine, right, [
        ("max_pool", (maps,), lambda m: m.max_pool_backward),
        ("max_pool", (flat,), lambda m: m.max_pool_backward),
        ("average_pool", (maps,), lambda m: m.average_pool_backward),
        ("batch_norm", (rng.normal(size=(5, 3)),), lambda m: m.batch_norm_backward),
    ])  # fmt: skip
    result.run("the largest of equal numbers", lambda: check_function(
        mine.max_pool, [np.zeros((1, 2, 2, 1))], vjp=lambda g, x: mine.max_pool_backward(g, x), name="max_pool") and None)  # fmt: skip
    for stride in (1, 2, 3):
        result.run(f"the value of convolve, stride {stride}", lambda stride=stride: same_value(mine, right, "convolve", x, kernels, b, stride))
        result.run(f"the derivative of convolve, stride {stride}", lambda stride=stride: check_function(
            lambda x, kernels, b: mine.convolve(x, kernels, b, stride), [x, kernels, b],
            vjp=lambda g, x, kernels, b: mine.convolve_backward(g, x, kernels, stride), name="convolve") and None)  # fmt: skip
    pictures, target = right.bars(rng, 6)
    parameters = [rng.normal(size=(2, 3, 3)), rng.normal(size=2), rng.normal(size=(4, 1))]
    result.run("the value of forward", lambda: assert_close(mine.forward(parameters, pictures), right.forward(parameters, pictures)))
    result.run("the gradients of the network", lambda: check_function(
        lambda *p: ((mine.forward(p, pictures)[0] - target) ** 2).mean(), parameters,
        gradient=lambda *p: mine.gradients_of(p, pictures, target), name="network") and None)  # fmt: skip


def transformer(result, mine, right):
    rng = np.random.default_rng(0)
    draw = lambda *shape: rng.normal(size=shape)
    tokens = np.array([[0, 1, 1], [2, 1, 0]])
    pairs(result, mine, right, [
        ("embed", (draw(4, 2), tokens), lambda m: m.embed_backward),
        ("layer_norm", (draw(2, 4),), lambda m: m.layer_norm_backward),
        ("softmax", (draw(2, 3),), lambda m: m.softmax_backward),
        ("gelu", (np.array([-2.5, -1.0, 0.3, 1.7]),), lambda m: m.gelu_backward),
        ("block", (draw(2, 3, 4), *(draw(4, 4) * 0.7 for _ in range(3)), draw(4, 5) * 0.7, draw(5, 4) * 0.7), lambda m: m.block_backward),
    ])  # fmt: skip
    q, k, g = draw(2, 3, 4), draw(2, 3, 4), draw(2, 3, 3)
    result.run("the value of scores", lambda: same_value(mine, right, "scores", q, k))
    result.run("the derivative of scores", lambda: check_function(
        lambda q, k: np.where(np.tri(3, dtype=bool), mine.scores(q, k), 0), [q, k], vjp=mine.scores_backward, name="scores") and None)  # fmt: skip
    result.run("the derivative of scores, again", lambda: assert_close(mine.scores_backward(g, q, k), right.scores_backward(g, q, k)))
    parameters = right.start(rng, 3, 3, 4)
    tokens = rng.integers(0, 3, (4, 3))
    result.run("the gradients of the network", lambda: check_function(
        lambda *p: np.asarray(right.loss_and_gradients(p, tokens, tokens)[0]), parameters,
        gradient=lambda *p: mine.loss_and_gradients(p, tokens, tokens)[1], name="network") and None)  # fmt: skip
    result.run("the loss of the network", lambda: assert_close(
        float(mine.loss_and_gradients(parameters, tokens, tokens)[0]), float(right.loss_and_gradients(parameters, tokens, tokens)[0])))  # fmt: skip


# --- training with tinygrad_edu ---------------------------------------------------------------------------------------


def momentum(p, g, state):
    state["v"] = 0.8 * state.get("v", 0) + g
    return p - 0.02 * state["v"]


def adam(p, g, state, decay=0.0):
    p = p - 0.02 * decay * p
    state["n"] = n = state.get("n", 0) + 1
    state["m"] = 0.8 * state.get("m", 0) + 0.2 * g
    state["v"] = 0.95 * state.get("v", 0) + 0.05 * g * g
    return p - 0.02 * (state["m"] / (1 - 0.8**n)) / (np.sqrt(state["v"] / (1 - 0.95**n)) + 0.01)


def rmsprop(p, g, state):
    state["v"] = 0.8 * state.get("v", 0) + 0.2 * g * g
    return p - 0.02 * g / (np.sqrt(state["v"]) + 0.01)


def optimizers(result, mine, right):
    betas = dict(lr=0.02, betas=(0.8, 0.95), eps=0.01)
    for name, options, formula in [
        ("Momentum", dict(lr=0.02, momentum=0.8), momentum),
        ("Adam", betas, adam),
        ("AdamW", dict(betas, decay=0.3), lambda p, g, state: adam(p, g, state, 0.3)),
        ("RMSprop", dict(lr=0.02, alpha=0.8, eps=0.01), rmsprop),
    ]:
        make = lambda params, name=name, options=options: getattr(mine, name)(params, **options)
        result.run(name, lambda make=make, formula=formula: check_optimizer(make, formula) and None)
        result.run(f"the defaults of {name}", lambda name=name: None if signature(mine, name) == signature(right, name) else
                   f"{signature(mine, name)} instead of {signature(right, name)}")  # fmt: skip


def signature(module, name):
    return str(inspect.signature(getattr(module, name).__init__))


def training(result, mine, right):
    import tinygrad_edu as tg

    generator = tg.get_rng_state()
    try:
        tg.manual_seed(3)
        x, y = right.data()
        model, optimizer = mine.make(lr=0.1)
        tg.manual_seed(4)
        reference, _ = right.make(lr=0.1)
        state = reference.state_dict()

        def names():
            if sorted(dict(model.named_parameters())) != sorted(state):
                return f"parameters() lists {sorted(dict(model.named_parameters()))}, and there should be {sorted(state)}"
            model.load_state_dict(state)
            assert_close(mine.loss_of(model, x, y).item(), right.loss_of(reference, x, y).item())

        result.run("the model knows its parameters, and computes what it should", names)
        named = dict(model.named_parameters())
        result.run("training steps", lambda: check_training_step(
            lambda: mine.train_step(model, optimizer, x, y), named, lambda: right.loss_of(model, x, y), lr=0.1) and None)  # fmt: skip
        result.run("one loss after the other", lambda: checked(lambda *_: mine.loss_of(model, x, y), tuple(named.values()), "loss_of") and None)
    finally:
        tg.set_rng_state(generator)


def functions(result, mine, right):
    import tinygrad_edu as tg

    rng = np.random.default_rng(0)

    def leaf(*shape):
        return tg.tensor(rng.uniform(0.3, 1.8, shape) * np.where(rng.random(shape) < 0.5, -1, 1), requires_grad=True)

    cases = dict(Swish=(leaf(2, 3),), Ratio=(leaf(3), leaf(3)), Length=(leaf(2, 3),), Scale=(leaf(4, 3),))
    for name, inputs in cases.items():
        def value(name=name, inputs=inputs):
            before = [as_array(x).copy() for x in inputs]
            with tg.no_grad():
                found, wanted = getattr(mine, name).apply(*[x.detach().clone() for x in inputs]), getattr(right, name).apply(*inputs)
            assert_close(found, wanted)
            given = [x.detach().clone() for x in inputs]
            getattr(mine, name).apply(*given)
            assert_close([as_array(x) for x in given], before, msg=lambda text: f"{name} changes its input\n{text}")

        result.run(f"the value of {name}", value)
        result.run(f"the derivatives of {name}", lambda name=name, inputs=inputs: checked(getattr(mine, name).apply, inputs, name, 2) and None)
    x, w, v = leaf(4, 3), leaf(3, 3), leaf(3, 3)
    result.run("the network", lambda: assert_close(mine.network(x, w, v), right.network(x, w, v)))
    result.run("the derivatives of the network", lambda: checked(lambda w, v: mine.network(x.detach(), w, v), (w, v), "network") and None)


CHECKS = dict(engine=engine, network=network, recurrent=recurrent, convnet=convnet, transformer=transformer, optimizers=optimizers,
              training=training, functions=functions)  # fmt: skip
