"""Hooks on the values that a graph keeps, and dual tensors: against plain back propagation, NumPy, and PyTorch's counts."""

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import nn
from tinygrad_edu.autograd import forward_ad as fw
from tinygrad_edu.autograd import graph

pytestmark = pytest.mark.usefixtures("float64")
SEED = np.random.default_rng(11)


def leaf(*shape):
    return tg.tensor(SEED.normal(size=shape), requires_grad=True)


# --- hooks on saved values ---------------------------------------------------------------------------------------------------

# operator, shapes of its inputs, how often PyTorch 2.13 packs
COUNTS = [
    (lambda a, b: a * b, [(3,), (3,)], 2), (lambda a: a.exp(), [(3,)], 1), (lambda a, b: a @ b, [(2, 3), (3, 4)], 2), (lambda a: a**2, [(3,)], 1),
    (lambda a, b: a / b, [(3,), (3,)], 2), (lambda a: a.sum(), [(3,)], 0), (lambda a: a.relu(), [(3,)], 1), (lambda a, b: a + b, [(3,), (3,)], 0),
    (lambda a, w, b: nn.functional.linear(a, w, b), [(2, 3), (4, 3), (4,)], 2), (lambda a: a.softmax(-1), [(2, 3)], 1),
]  # fmt: skip


@pytest.mark.parametrize("number", range(len(COUNTS)))
def test_each_saved_value_is_packed_once_and_unpacked_once(number):
    function, shapes, count = COUNTS[number]
    xs, log = [leaf(*s) for s in shapes], []
    with graph.saved_tensors_hooks(lambda t: (log.append("packed"), t.tolist())[1], lambda x: (log.append("unpacked"), tg.tensor(x))[1]):
        out = function(*xs)
    assert log == ["packed"] * count
    weights = tg.tensor(SEED.normal(size=tuple(out.shape)))
    ours = tg.autograd.grad(out, xs, weights)
    assert log == ["packed"] * count + ["unpacked"] * count
    for g, expected in zip(ours, tg.autograd.grad(function(*xs), xs, weights)):
        assert g.equal(expected)


def test_gradients_are_those_of_what_unpack_returns():
    w = leaf(4, 4)
    with graph.saved_tensors_hooks(lambda t: t.to(tg.float16), lambda t: t.double()):
        y = (w**2).sum()
    y.backward()
    np.testing.assert_array_equal(w.grad.numpy(), 2 * w.detach().numpy().astype(np.float16).astype(np.float64))


def test_gradients_of_gradients_and_second_passes():
    w, v = leaf(3, 3), leaf(3)
    for hooks in (graph.saved_tensors_hooks(lambda t: t.clone(), lambda t: t), graph.save_on_cpu(pin_memory=True)):
        with hooks:
            y = ((w @ v).tanh() * v).sum() + nn.functional.layer_norm(w, (3,)).pow(3).sum()
        (g,) = tg.autograd.grad(y, w, create_graph=True)
        (h,) = tg.autograd.grad((g**2).sum(), w, retain_graph=True)
        plain = ((w @ v).tanh() * v).sum() + nn.functional.layer_norm(w, (3,)).pow(3).sum()
        (g2,) = tg.autograd.grad(plain, w, create_graph=True)
        (h2,) = tg.autograd.grad((g2**2).sum(), w)
        assert g.allclose(g2) and h.allclose(h2)
        first = tg.autograd.grad(y, w, retain_graph=True)[0]
        assert tg.autograd.grad(y, w)[0].equal(first)
        with pytest.raises(RuntimeError, match="freed"):
            tg.autograd.grad(y, w)


def test_the_innermost_hooks_count_and_errors_close_them():
    x, log = leaf(2), []
    outer = graph.saved_tensors_hooks(lambda t: (log.append("outer"), t)[1], lambda t: t)
    with outer:
        with graph.saved_tensors_hooks(lambda t: (log.append("inner"), t)[1], lambda t: t):
            x.exp()
        x.exp()
    with pytest.raises(ZeroDivisionError), outer:
        raise ZeroDivisionError
    x.exp()
    assert log == ["inner", "outer"]
    with graph.saved_tensors_hooks(lambda t: t, lambda t: 3):
        y = x.exp().sum()
    with pytest.raises(TypeError, match="unpack must return a Tensor"):
        y.backward()
    with graph.disable_saved_tensors_hooks("not here"), pytest.raises(RuntimeError, match="not here"), outer:
        pass


def test_functions_save_through_hooks_too():
    class Square(tg.autograd.Function):
        """x · x"""

        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x, None)
            return x * x

        @staticmethod
        def backward(ctx, g):
            x, nothing = ctx.saved_tensors
            assert nothing is None and ctx.saved_tensors[0].shape == x.shape
            return 2 * x * g

    x = tg.ones(2, requires_grad=True)
    with graph.saved_tensors_hooks(lambda t: t, lambda t: t * 3):
        y = Square.apply(x).sum()
    y.backward()
    assert x.grad.tolist() == [6.0, 6.0]


def test_saved_values_may_be_overwritten_where_it_is_allowed():
    x = tg.ones(2, 3, requires_grad=True)
    with graph.allow_mutation_on_saved_tensors():
        y = x.clone()
        out = (y**2).sum()
        y.sin_()
        out.backward()
    assert x.grad.tolist() == [[2.0] * 3] * 2
    y = x.clone()
    out = (y**2).sum()
    graph.increment_version(y)
    with pytest.raises(RuntimeError, match="increment_version"):
        out.backward()


def test_edges():
    x = leaf(2)
    edge = graph.get_gradient_edge(x * 2)
    assert isinstance(edge.node, graph.Node) and edge.output_nr == 0
    with pytest.raises(RuntimeError, match="does not require gradients"):
        graph.get_gradient_edge(tg.ones(2))


# --- dual tensors --------------------------------------------------------------------------------------------------------------

FUNCTIONS = [lambda t: t.sin() * t, lambda t: t @ t.T, lambda t: t.softmax(-1)[0], lambda t: nn.functional.layer_norm(t, (4,)), lambda t: (t**2).sum(),
             lambda t: t.abs().sqrt().cumsum(1), lambda t: t.max(1).values, lambda t: tg.linalg.inv(t @ t.T)]  # fmt: skip


@pytest.mark.parametrize("number", range(len(FUNCTIONS)))
def test_directions_are_differences(number):
    function, x, v = FUNCTIONS[number], tg.tensor(SEED.normal(size=(3, 4))), tg.tensor(SEED.normal(size=(3, 4)))
    with fw.dual_level():
        value, direction = fw.unpack_dual(function(fw.make_dual(x, v)))
    assert value.equal(function(x)) and not value.requires_grad and not direction.requires_grad
    step = 1e-6
    np.testing.assert_allclose(direction.numpy(), (function(x + step * v) - function(x - step * v)).numpy() / (2 * step), rtol=1e-6, atol=1e-7)


def test_what_is_put_in_comes_out():
    x, v = tg.ones(2), tg.tensor([1.0, 2.0])
    with fw.dual_level():
        dual = fw.make_dual(x, v)
        assert fw.unpack_dual(dual).tangent is v and fw.unpack_dual(x).tangent is None
        assert fw.unpack_dual(dual.detach()).tangent is None and fw.unpack_dual(tg.ones(2) * 2).tangent is None
        other = fw.make_dual(x * 3, tg.tensor([1.0, 0.0]))
        assert fw.unpack_dual(dual * other + dual).tangent.tolist() == [5.0, 8.0]
        later = dual.sin()
    assert fw.unpack_dual(later).tangent is None


def test_directions_have_gradients_of_parameters():
    model = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 2))
    x, v = tg.tensor(SEED.normal(size=(3, 4))), tg.tensor(SEED.normal(size=(3, 4)))
    with fw.dual_level():
        value, direction = fw.unpack_dual(model(fw.make_dual(x, v)))
        assert value.requires_grad and direction.requires_grad
        direction.square().sum().backward()
    ours = [p.grad.clone() for p in model.parameters() if p.grad is not None]
    model.zero_grad()
    tg.autograd.functional.jvp(model, x, v, create_graph=True)[1].square().sum().backward()
    for g, p in zip(ours, (p for p in model.parameters() if p.grad is not None), strict=True):
        assert g.allclose(p.grad)


def test_parameters_as_dual_tensors():
    layer, x = nn.Linear(4, 2), tg.tensor(SEED.normal(size=(3, 4)))
    moves = {n: tg.tensor(SEED.normal(size=tuple(p.shape))) for n, p in layer.named_parameters()}
    with fw.dual_level():
        for name, p in list(layer.named_parameters()):
            delattr(layer, name)
            setattr(layer, name, fw.make_dual(p, moves[name]))
        assert fw.unpack_dual(layer(x)).tangent.allclose(x @ moves["weight"].T + moves["bias"])


def test_levels():
    x = tg.ones(2)
    with tg.no_grad(), fw.dual_level():
        assert fw.unpack_dual(fw.make_dual(x, x).exp()).tangent.allclose(x.exp())
        with pytest.raises(RuntimeError, match="Nested"), fw.dual_level():
            pass
        for wrong in ((x.long(), x), (x, x.long()), (x, 1.0)):
            with pytest.raises(ValueError, match="Expected"):
                fw.make_dual(*wrong)
        with pytest.raises(RuntimeError, match="same shape"):
            fw.make_dual(x, tg.ones(3))
    assert tg.is_grad_enabled()
    with pytest.raises(RuntimeError, match="no level"):
        fw.make_dual(x, x)
    with pytest.raises(RuntimeError, match="no level is currently active"):
        fw.exit_dual_level()
    fw.enter_dual_level()
    with pytest.raises(RuntimeError, match="not the last one"):
        fw.exit_dual_level(level=1)
    fw.exit_dual_level(level=0)


# --- grad_fn: the graph as PyTorch shows it -----------------------------------------------------------------------------------------


def test_walk_of_grad_fn():
    x, w = leaf(2), tg.ones(2, requires_grad=True)
    y = ((x * w).exp() + 1).sum()
    step = y.grad_fn
    assert isinstance(step, graph.Node) and step is y.grad_fn and type(step).__name__ == step.name() == "SumBackward0"
    assert repr(step).startswith("<SumBackward0 object at 0x") and x.grad_fn is None and tg.ones(1).grad_fn is None
    seen, names, stack = set(), [], [step]
    while stack:
        fn = stack.pop()
        if fn not in seen:
            seen.add(fn)
            names.append(fn.name())
            stack += [parent for parent, _ in fn.next_functions if parent is not None]
    ends = [fn for fn in seen if fn.name().endswith("AccumulateGrad")]
    assert names[:4] == ["SumBackward0", "AddBackward0", "ExpBackward0", "MulBackward0"] and len(names) == 6
    assert {id(fn.variable) for fn in ends} == {id(x), id(w)} and ends[0].next_functions == ()
    with pytest.raises(AttributeError, match="no attribute 'variable'"):
        _ = step.variable
    with pytest.raises(AttributeError, match="no attribute 'foo'"):
        _ = step.foo
    end = (tg.ones(1, requires_grad=True) * 1).grad_fn.next_functions[0][0]
    with pytest.raises(RuntimeError, match="no longer alive"):
        _ = end.variable


@pytest.mark.parametrize(
    "name, make",
    [("PowBackward0", lambda x: x**2), ("PowBackward1", lambda x: x**x), ("PowBackward2", lambda x: 2**x), ("RsubBackward1", lambda x: 1 - x),
     ("MaxBackward1", lambda x: x.max()), ("MinBackward1", lambda x: x.min()), ("AmaxBackward0", lambda x: x.amax(0)), ("SubBackward0", lambda x: x - 1),
     ("PowBackward0", lambda x: x.square()), ("UnfoldBackward0", lambda x: x.unfold(0, 2, 1)), ("torch::autograd::CopySlices", lambda x: written(x * 1))],
)  # fmt: skip
def test_names_of_steps(name, make):
    assert make(leaf(2).abs().detach().requires_grad_()).grad_fn.name() == name


def written(x):
    x[0] = 1
    return x


def test_hooks_of_steps():
    x, y, seen = leaf(2), tg.tensor([2.0, 3.0], dtype=tg.float64, requires_grad=True), []
    out = x * y
    total = out.sum()
    handle = out.grad_fn.register_hook(lambda inputs, results: seen.append((inputs, results)))
    total.backward(retain_graph=True)
    inputs, results = seen.pop()
    assert [g.tolist() for g in inputs] == [y.tolist(), x.tolist()] == [x.grad.tolist(), y.grad.tolist()] and results[0].tolist() == [1.0, 1.0]
    handle.remove()
    out.grad_fn.register_hook(lambda inputs, results: (inputs[0] * 10, None))
    out.grad_fn.register_prehook(lambda results: (results[0] * 3,))
    x.grad = y.grad = None
    total.backward(retain_graph=True)
    assert not seen and x.grad.tolist() == (30 * y).tolist() and y.grad.tolist() == [0.0, 0.0]
    (g,) = tg.autograd.grad(total, x, create_graph=True)
    assert tg.autograd.grad(g.sum(), y)[0].tolist() == [30.0, 30.0], "hooks work on tensors with a history too"


def test_hooks_of_steps_with_one_rule_for_all_inputs():
    x, weight = tg.randn(3, 4, requires_grad=True), tg.ones(4, requires_grad=True)
    out, seen = nn.functional.layer_norm(x, (4,), weight), []
    out.grad_fn.register_hook(lambda inputs, results: seen.append([None if g is None else tuple(g.shape) for g in inputs]))
    out.grad_fn.next_functions[0][0].register_hook(lambda inputs, results: seen.append(tuple(results[0].shape)))
    (out**2).sum().backward()
    assert (3, 4) in seen[0] and (4,) in seen[0] and seen[1] == (3, 4)


def test_saved_values_of_steps():
    x, y = leaf(2), leaf(2)
    product, power, e = x * y, x**2, x.exp()
    assert product.grad_fn._saved_self is not None and product.grad_fn._saved_self.equal(x) and product.grad_fn._saved_other.equal(y)
    assert power.grad_fn._saved_self.equal(x) and power.grad_fn._saved_exponent == 2 and e.grad_fn._saved_result.equal(e)
    assert tg.autograd.grad(e.grad_fn._saved_result.sum(), x, retain_graph=True)[0].equal(e), "a saved result knows its history"
    with pytest.raises(AttributeError, match="not saved"):
        _ = (x + y).grad_fn._saved_self
    e.sum().backward()
    with pytest.raises(RuntimeError, match="freed"):
        _ = e.grad_fn._saved_result


def test_steps_of_functions():
    class Halves(tg.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.word = "kept"
            ctx.save_for_backward(x)
            return x[:1] * 2, x[1:] * 3

        @staticmethod
        def backward(ctx, a, b):
            return tg.cat([a * 2, b * 3])

    x = leaf(2)
    a, b = Halves.apply(x)
    step = a.grad_fn
    assert step is b.grad_fn and step.name() == "HalvesBackward" and step.word == "kept" and step.saved_tensors[0] is x
    assert [n for _, n in (a + b).grad_fn.next_functions] == [0, 1] and (a + b).grad_fn.next_functions[1][0] is step


def test_hooks_on_several_gradients():
    x, y, seen = leaf(2), leaf(2), []
    handle = graph.register_multi_grad_hook((x, y), seen.append)
    (x * 2 + y * 3).sum().backward()
    assert [g.tolist() for g in seen[0]] == [[2.0, 2.0], [3.0, 3.0]] and len(seen) == 1
    handle.remove()
    first = graph.register_multi_grad_hook((x, y), seen.append, mode="any")
    (x * 2 + y * 3).sum().backward()
    assert len(seen) == 2 and seen[1].tolist() in ([2.0, 2.0], [3.0, 3.0])
    first.remove()
    with pytest.raises(ValueError, match="mode"):
        graph.register_multi_grad_hook((x, y), print, mode="none")
