"""What is kept alive, and until when; nothing is left for the cycle collector."""

import gc
import weakref

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.autograd import Function
from tinygrad_edu.autograd.operator import general, registry


@pytest.fixture(autouse=True)
def without_collector():
    """What is freed in these tests is freed by reference counts alone."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def array_ref(t):
    return weakref.ref(t.array)


def test_what_no_rule_needs_is_freed_at_once():
    x = tg.ones(100, requires_grad=True)
    hidden = x * 2 + 1  # neither product nor sum is needed by any rule that follows
    refs = [array_ref(hidden)]
    out = hidden.sum()
    del hidden
    assert refs[0]() is None
    out.backward()
    assert x.grad.tolist() == [2.0] * 100


@pytest.mark.parametrize("function, kept", [(lambda h: h.exp(), False), (lambda h: h.sin(), True), (lambda h: h.relu(), False),
                                            (lambda h: h * h, True), (lambda h: h.sigmoid(), False), (lambda h: h - 1, False)])  # fmt: skip
def test_inputs_are_kept_only_where_a_rule_names_them(function, kept):
    x = tg.ones(100, requires_grad=True)
    hidden = x * 2
    ref = array_ref(hidden)
    out = function(hidden)
    del hidden
    assert (ref() is not None) is kept
    out.sum().backward()


def test_saved_values_are_freed_during_backward():
    x = tg.ones(100, requires_grad=True)
    a = x * 2
    b = a * a
    ref = array_ref(a)
    alive = []
    x.register_hook(lambda g: alive.append(ref() is not None))
    out = b.sum()
    del a, b
    assert ref() is not None
    out.backward()
    assert ref() is None and alive == [False], "saved values go as soon as they are used, before the pass ends"


def test_retain_graph_keeps_saved_values():
    x = tg.ones(100, requires_grad=True)
    a = x * 2
    ref = array_ref(a)
    out = (a * a).sum()
    del a
    out.backward(retain_graph=True)
    assert ref() is not None
    out.backward()
    assert ref() is None


def test_under_no_grad_nothing_is_kept():
    x = tg.ones(100, requires_grad=True)
    with tg.no_grad():
        a = x * 2
        b = a * a
    ref = array_ref(a)
    del a
    assert ref() is None and b.node is None


def graph_of_many_kinds():
    x = tg.ones(4, 3, requires_grad=True)
    w = tg.ones(3, 2, requires_grad=True)
    y = (x @ w).relu().T.reshape(-1)
    y = tg.cat([y, y[:2]]).softmax(0)
    z = y * 1
    z[0] = 5.0
    z.mul_(y.detach())
    v = z[1:]
    v.add_(1)
    return x, w, tg.stack([z.sum(), v.prod(), y.var(), x.std()]).sum()


@pytest.mark.parametrize("use", [
    lambda x, w, out: None,
    lambda x, w, out: out.backward(),
    lambda x, w, out: out.backward(retain_graph=True),
    lambda x, w, out: tg.autograd.grad(tg.autograd.grad(out, x, create_graph=True)[0].sum(), w, allow_unused=True),
    lambda x, w, out: (out.register_hook(lambda g: g), out.backward()),
    lambda x, w, out: (out.retain_grad(), out.backward()),
], ids=["unused", "backward", "retained", "twice", "hook", "retain_grad"])  # fmt: skip
def test_no_garbage(use):
    """Graphs die with the last tensor, by reference counts: gc.collect() finds nothing of ours."""
    x, w, out = graph_of_many_kinds()
    use(x, w, out)
    refs = [weakref.ref(t.node) for t in (x, w, out)] + [weakref.ref(t) for t in (x, w, out)]
    del x, w, out
    assert [r() for r in refs] == [None] * len(refs)


class Cube(Function):
    """x³ in PyTorch's form."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x**3

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return g * 3 * x**2


class Both(Function):
    """exp and its input, two results; the first result is saved."""

    @staticmethod
    def forward(ctx, x):
        out = x.exp()
        ctx.save_for_backward(out)
        return out, x * 2

    @staticmethod
    def backward(ctx, g, h):
        (out,) = ctx.saved_tensors
        return g * out + 2 * h


@pytest.mark.parametrize("function", [Cube.apply, lambda x: Both.apply(x)[0], lambda x: sum(Both.apply(x))])
@pytest.mark.parametrize("run", [True, False])
def test_functions_leave_no_garbage(function, run):
    x = tg.ones(3, requires_grad=True)
    out = function(x).sum()
    if run:
        out.backward()
    refs = [weakref.ref(out.node), weakref.ref(x.node), weakref.ref(x)]
    del x, out
    assert [r() for r in refs] == [None] * 3


def test_views_are_not_kept_by_their_base():
    x = tg.zeros(4)
    views = [x[i : i + 1] for i in range(4)]
    refs = [weakref.ref(v) for v in views]
    del views
    assert [r() for r in refs] == [None] * 4
    for _ in range(1000):
        x[0:2]
    assert len(x.views) <= 16


def test_a_view_keeps_the_memory_but_a_copy_does_not():
    x = tg.zeros(1000)
    ref = array_ref(x)
    view = x[1:]
    del x
    assert ref() is not None
    copy = view.clone()
    del view
    assert ref() is None and copy.shape == (999,)


def test_training_does_not_grow():
    """The number of living objects after the hundredth step is that after the tenth."""
    w = tg.ones(3, requires_grad=True)

    def step():
        loss = ((w * tg.tensor([1.0, 2.0, 3.0])).sigmoid() - 0.5).pow(2).mean()
        loss.backward()
        with tg.no_grad():
            w.sub_(0.1 * w.grad)
        w.grad = None
        return loss.item()

    for _ in range(10):
        step()
    before = sum(issubclass(type(o), (tg.Tensor, tg.autograd.Node)) for o in gc.get_objects())
    for _ in range(100):
        step()
    assert sum(issubclass(type(o), (tg.Tensor, tg.autograd.Node)) for o in gc.get_objects()) <= before


def test_losses_kept_as_numbers_keep_no_graph():
    x = tg.ones(3, requires_grad=True)
    loss = (x * x).sum()
    node = weakref.ref(loss.node)
    history = [loss.item(), float(loss), loss.detach()]
    del loss
    assert node() is None and float(history[2]) == 3.0


def test_truncated_back_propagation_frees_the_past():
    """A state that is detached between chunks keeps nothing of the graph before."""
    w = tg.tensor(0.5, requires_grad=True)
    h = tg.zeros(3)
    nodes = []
    for _ in range(5):
        h = (h * w + 1).tanh()
        nodes.append(weakref.ref(h.node))
        h.sum().backward()
        h = h.detach()
        assert nodes[-1]() is None
    assert h.tolist() and w.grad is not None


def test_gradients_are_not_kept_by_the_graph():
    x = tg.ones(3, requires_grad=True)
    out = (x * x).sum()
    (g,) = tg.autograd.grad(out, x, retain_graph=True)
    ref = weakref.ref(g.array)
    del g
    assert ref() is None and np.isfinite(out.item())


def test_a_gradient_is_copied_exactly_where_somebody_else_holds_its_memory():
    made, kept = [], np.array([1.0, 2.0, 3.0])

    def rule_of(result):
        @general(x=lambda g: result(g))
        def probe(x):
            """x"""
            return x.copy()

        registry.pop("probe")
        return probe

    def gradient(result):
        x = tg.tensor(np.zeros(3), requires_grad=True)
        rule_of(result)(x).sum().backward()
        return x.grad.array

    def fresh(g):
        made.append(id(array := np.full(3, 7.0)))
        return array

    assert id(gradient(fresh)) == made[0]  # nobody else has it: taken as it is
    assert gradient(lambda g: kept) is not kept  # the rule's author keeps it
    pieces = np.arange(6.0)
    assert not np.shares_memory(gradient(lambda g: pieces[:3]), pieces)
    stretched = gradient(lambda g: np.broadcast_to(np.float64(2), 3))
    stretched += 1  # a view of one number would refuse
    assert stretched.tolist() == [3.0, 3.0, 3.0]
    x, y = (tg.tensor(np.zeros(3), requires_grad=True) for _ in range(2))
    (x + y).sum().backward()  # one array for both
    x.grad.array += 1
    assert y.grad.tolist() == [1.0, 1.0, 1.0]
