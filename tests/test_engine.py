"""Back propagation: sums over paths, order, pruning, freeing, hooks, higher orders, and graphs of a million operators."""

import gc
import math

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.autograd import Tensor, ancestors, engine


def leaf(*values, dtype=None):
    return tg.tensor(list(values), dtype=dtype or tg.float64, requires_grad=True)


def test_diamond():
    x = leaf(1.0, 2.0)
    y = x * 3
    ((y * y) + y * x).sum().backward()
    assert x.grad.tolist() == [2 * 9 * 1 + 6 * 1, 2 * 9 * 2 + 6 * 2]


def test_same_tensor_twice_in_one_operator():
    x = leaf(3.0)
    for function, slope in ((lambda x: x * x, 6), (lambda x: x + x, 2), (lambda x: x - x, 0), (lambda x: x / x, 0),
                            (lambda x: tg.stack([x, x, x]), 3), (lambda x: x**x, 27 * (1 + math.log(3)))):  # fmt: skip
        x.grad = None
        function(x).sum().backward()
        assert x.grad.item() == pytest.approx(slope)


def test_the_number_of_paths_does_not_matter():
    x = leaf(1.0)
    y = x
    for _ in range(26):
        y = y + y
    y.sum().backward()
    assert x.grad.item() == 2.0**26


def test_a_late_short_cut_is_still_visited_in_order():
    """A node is complete before it is visited, whatever the order in which its users were made."""
    x = leaf(2.0)
    early = x * 5
    chain = early
    for _ in range(10):
        chain = chain * 1.5
    (chain + early + x).sum().backward()
    assert x.grad.item() == pytest.approx(5 * 1.5**10 + 5 + 1)


def test_a_gradient_of_several_roots():
    x, y = leaf(1.0, 2.0), leaf(3.0, 4.0)
    a, b = x * y, x + y
    tg.autograd.backward([a.sum(), b], [None, tg.tensor([10.0, 20.0], dtype=tg.float64)])
    assert x.grad.tolist() == [13.0, 24.0] and y.grad.tolist() == [11.0, 22.0]
    x.grad = None
    tg.autograd.backward([x.sum(), x.sum(), x], [None, None, tg.ones(2, dtype=tg.float64)])
    assert x.grad.tolist() == [3.0, 3.0]


def test_accumulation_keeps_the_object_and_the_memory():
    x = leaf(1.0, 2.0)
    (x * x).sum().backward()
    kept, memory = x.grad, x.grad.data_ptr()
    (x * x).sum().backward()
    assert x.grad is kept and x.grad.data_ptr() == memory and kept.tolist() == [4.0, 8.0]
    x.grad = None
    (x * x).sum().backward()
    assert x.grad is not kept and kept.tolist() == [4.0, 8.0]


@pytest.mark.parametrize("function", [lambda x, y: x + y, lambda x, y: x - y, lambda x, y: (x * 1 + y).reshape(2, 1).T, lambda x, y: x.T + y.view(2),
                                      lambda x, y: tg.cat([x, y]), lambda x, y: tg.stack([x, y]), lambda x, y: x.clone() + y[:],
                                      lambda x, y: x.expand(2, 2) + y, lambda x, y: x.double() + y.double()])  # fmt: skip
def test_gradients_of_leaves_own_their_memory(function):
    """No later write to one gradient may reach another, the given gradient, or a saved value."""
    x, y = leaf(1.0, 2.0), leaf(3.0, 4.0)
    out = function(x, y)
    given = tg.ones_like(out)
    out.backward(given)
    arrays = [x.grad.numpy(), y.grad.numpy(), given.numpy(), x.detach().numpy(), y.detach().numpy()]
    for k, a in enumerate(arrays):
        assert not any(np.shares_memory(a, b) for b in arrays[:k])
    before = [x.grad.tolist(), y.grad.tolist()]
    g, h = tg.autograd.grad(function(x, y), [x, y], given)
    g.mul_(100), given.mul_(100), x.grad.mul_(100)
    assert h.tolist() == before[1] and y.grad.tolist() == before[1]
    assert x.grad.flags.writeable if hasattr(x.grad, "flags") else True


def test_second_backward_needs_retain_graph():
    x = leaf(2.0)
    y = (x * x).sum()
    y.backward()
    with pytest.raises(RuntimeError, match="retain_graph=True"):
        y.backward()
    assert x.grad.item() == 4.0, "the failed call has changed a gradient"
    x.grad = None
    y = (x * x).sum()
    y.backward(retain_graph=True)
    y.backward(retain_graph=True)
    y.backward()
    assert x.grad.item() == 12.0
    with pytest.raises(RuntimeError):
        y.backward()


def test_two_losses_share_a_trunk():
    x = leaf(3.0)
    trunk = x * x
    a, b = (trunk * 2).sum(), (trunk * 3).sum()
    a.backward(retain_graph=True)
    b.backward()
    assert x.grad.item() == 30.0
    trunk = x * x
    a, b = (trunk * 2).sum(), (trunk * 3).sum()
    a.backward()
    with pytest.raises(RuntimeError, match="freed by an earlier backward pass"):
        b.backward()


def test_inputs_choose_where_gradients_go():
    x, y = leaf(2.0), leaf(5.0)
    z = x * y
    (z * z).sum().backward(inputs=[x, z])
    assert x.grad.item() == 100.0 and z.grad.item() == 20.0 and y.grad is None
    with pytest.raises(RuntimeError, match="require grad"):
        (x * y).sum().backward(inputs=[tg.ones(1)])
    with pytest.raises(RuntimeError, match="one at least"):
        (x * y).sum().backward(inputs=[])


def test_only_needed_rules_run():
    """Pruning: with inputs given, rules on other paths are not called; constants cost nothing."""
    x, y = leaf(2.0), leaf(5.0)
    calls = []
    a = x * 2
    b = y * 3
    a.register_hook(lambda g: calls.append("a"))
    b.register_hook(lambda g: calls.append("b"))
    tg.autograd.grad((a * b).sum(), x)
    assert calls == ["a"]


def test_grad_options():
    x, y, z = leaf(2.0), leaf(5.0), leaf(1.0)
    out = (x * x * y).sum()
    gx, gy = tg.autograd.grad(out, [x, y])
    assert (gx.item(), gy.item()) == (20.0, 4.0) and x.grad is None and not gx.requires_grad
    with pytest.raises(RuntimeError, match="allow_unused"):
        tg.autograd.grad((x * y).sum(), [x, z])
    assert tg.autograd.grad((x * y).sum(), [x, z], allow_unused=True)[1] is None
    assert tg.autograd.grad((x * y).sum(), [x, z], materialize_grads=True)[1].tolist() == [0.0]
    (g,) = tg.autograd.grad(x * y, x, grad_outputs=tg.tensor([10.0], dtype=tg.float64))
    assert g.item() == 50.0
    mid = x * y
    (g,) = tg.autograd.grad((mid**2).sum(), mid)
    assert g.item() == 20.0
    (a,) = tg.autograd.grad([(x * y).sum(), (x + y).sum()], x)
    assert a.item() == 6.0
    assert tg.autograd.grad(x.sum(), (x, x))[1].item() == 1.0


@pytest.mark.parametrize("order, expected", [(1, 4 * 8), (2, 12 * 4), (3, 24 * 2), (4, 24)])
def test_derivatives_of_any_order(order, expected):
    x = leaf(2.0)
    g = x**4
    for _ in range(order):
        (g,) = tg.autograd.grad(g.sum(), x, create_graph=True)
    assert g.item() == pytest.approx(expected)


def test_backward_with_create_graph_accumulates_a_differentiable_gradient():
    x = leaf(2.0)
    (x**3).sum().backward(create_graph=True)
    assert x.grad.requires_grad and x.grad.item() == 12.0
    g = x.grad
    x.grad = None
    (g**2).sum().backward()
    assert x.grad.item() == 2 * 12 * 12.0


def test_mixed_second_derivatives():
    x, y = leaf(2.0), leaf(3.0)
    (gx,) = tg.autograd.grad((x**2 * y**3).sum(), x, create_graph=True)
    assert tg.autograd.grad(gx.sum(), y)[0].item() == pytest.approx(2 * 2 * 3 * 9)


def test_gradients_of_a_penalty():
    """A gradient inside a loss, as in gradient penalties."""
    x = leaf(0.5, -1.0)
    w = leaf(2.0, 3.0)
    (g,) = tg.autograd.grad(tg.tanh(x * w).sum(), x, create_graph=True)
    (g**2).sum().backward()
    step = 1e-6

    def penalty(w):
        return np.sum((w * (1 - np.tanh(x.detach().numpy() * w) ** 2)) ** 2)

    for i in range(2):
        e = np.eye(2)[i] * step
        slope = (penalty(w.detach().numpy() + e) - penalty(w.detach().numpy() - e)) / (2 * step)
        assert w.grad[i].item() == pytest.approx(slope, rel=1e-6)


def test_a_million_operators():
    """Forward, backward and freeing of a deep graph, without recursion."""
    x = tg.tensor(1.0, requires_grad=True)
    y = x
    gc.disable()  # there is no garbage, and looking for it takes most of the time
    try:
        for _ in range(1_000_000):
            y = y + 1
        y.backward()
        assert x.grad.item() == 1.0
        y = x
        for _ in range(200_000):
            y = y * 1.0
        del y  # freed without having been used
    finally:
        gc.enable()


def test_deep_graphs_walk_without_recursion():
    x = tg.tensor(1.0, requires_grad=True)
    y = x
    for _ in range(20_000):
        y = y * 1.0
    assert len(ancestors(y.node)) == 20_001
    assert tg.autograd.grad(y, x)[0].item() == 1.0


def test_hooks_see_and_replace_gradients():
    x = leaf(1.0, 2.0)
    y = x * 2
    seen = []
    handle = y.register_hook(lambda g: seen.append(g.tolist()))
    y.register_hook(lambda g: g * 10)
    x.register_hook(lambda g: g + 1)
    y.sum().backward()
    assert seen == [[1.0, 1.0]] and x.grad.tolist() == [21.0, 21.0]
    handle.remove()
    x.grad = None
    (x * 2).sum().backward()
    assert len(seen) == 1
    with (x * 1).register_hook(lambda g: g) as handle:
        pass


def test_a_hook_that_writes_changes_only_its_own_path():
    x = leaf(1.0, 2.0)
    a, b = x + 0, x + 0
    a.register_hook(lambda g: (g.mul_(2), None)[1])
    (a + b).sum().backward()
    assert x.grad.tolist() == [3.0, 3.0]


def test_hooks_take_part_in_higher_orders():
    x = leaf(3.0)
    y = x**2
    y.register_hook(lambda g: g * 5)
    (g,) = tg.autograd.grad(y.sum(), x, create_graph=True)
    assert g.item() == 30.0
    assert tg.autograd.grad(g.sum(), x)[0].item() == 10.0


def test_post_accumulate_hooks():
    x = leaf(1.0)
    seen = []
    handle = x.register_post_accumulate_grad_hook(lambda t: seen.append(t.grad.item()))
    (x * 3).sum().backward()
    (x * 3).sum().backward()
    handle.remove()
    (x * 3).sum().backward()
    assert seen == [3.0, 6.0]


def test_retain_grad_and_the_warning_without_it():
    x = leaf(1.0)
    y = x * 2
    z = y * 3
    y.retain_grad()
    z.sum().backward()
    assert y.grad.item() == 3.0
    with pytest.warns(UserWarning, match=r"retain_grad\(\)"):
        assert z.grad is None
    assert z.grad is None, "the explanation comes once"
    x.retain_grad()  # nothing to do for a leaf


def test_a_retained_gradient_follows_in_place_updates():
    x = leaf(4.0)
    y = x * 2
    y.retain_grad()
    y.mul_(3)
    y.sum().backward()
    assert y.grad.item() == 1.0 and x.grad.item() == 6.0


def test_backward_from_a_leaf_and_from_a_view():
    x = leaf(1.0, 2.0)
    given = tg.tensor([5.0, 6.0], dtype=tg.float64)
    x.backward(given)
    given.zero_()
    assert x.grad.tolist() == [5.0, 6.0]
    x.grad = None
    x[1].backward()
    assert x.grad.tolist() == [0.0, 1.0]


def test_gradients_have_the_dtype_of_their_leaf():
    for given in (tg.float16, tg.float32, tg.float64):
        for other in (tg.float16, tg.float32, tg.float64, tg.int64):
            x = tg.tensor([1.0, 2.0], dtype=given, requires_grad=True)
            (x * tg.tensor([3, 4], dtype=other)).sum().backward()
            assert x.grad.dtype == given and x.grad.tolist() == [3.0, 4.0]
    s = tg.tensor(2.0, dtype=tg.float64, requires_grad=True)
    (tg.ones(3) * s).sum().backward()
    assert s.grad.dtype == tg.float64 and s.grad.item() == 3.0


def test_backprop_is_a_generator_that_anyone_may_watch():
    x = leaf(2.0)
    y = (x * x).sum()
    grads = {y.node: np.float64(1.0)}
    steps = [(node.name, np.asarray(g).tolist()) for node, g in engine.backprop(grads)]
    assert steps == [("sum", 1.0), ("mul", [1.0])]
    assert [(node, g.tolist()) for node, g in grads.items()] == [(x.node, [4.0])], "what is left are the leaves"


def test_sum_to_is_the_adjoint_of_broadcasting():
    g = np.arange(24.0).reshape(2, 3, 4)
    for shape in [(), (1,), (4,), (3, 1), (1, 1), (2, 1, 4), (1, 3, 1), (2, 3, 4), (1, 1, 1, 1)[:3]]:
        out = engine.sum_to(g, shape)
        x = np.random.default_rng(0).normal(size=shape)
        assert out.shape == shape and np.isclose(np.sum(out * x), np.sum(g * np.broadcast_to(x, g.shape)))
    with pytest.raises(ValueError, match="does not sum to"):
        engine.sum_to(g[0], (4, 3))
    with pytest.raises(ValueError, match="does not sum to"):
        engine.sum_to(g[0, 0], (4, 1))


def test_anomaly_mode_names_operator_and_line():
    x = leaf(0.0)
    with tg.autograd.detect_anomaly(), pytest.raises(RuntimeError, match="derivative rule of sqrt") as caught:
        with np.errstate(all="ignore"):
            tg.sqrt(x).sum().backward()
    assert "test_engine.py" in str(caught.value) + "".join(getattr(caught.value, "__notes__", []))
    assert x.grad is None


def test_errors_in_rules_name_the_node():
    x = leaf(1.0, 2.0)
    y = x.reshape(2, 1)
    y.node.op, right = type("Op", (), dict(name="reshape", together=None, pullbacks=(lambda g, s: g.reshape(5),), inputs=["x"]))(), y.node.op
    with pytest.raises(ValueError) as caught:
        y.sum().backward()
    assert "in the derivative rule of reshape" in caught.value.__notes__[0] and right.name == "reshape"


def test_requires_grad_can_be_switched():
    x = leaf(1.0)
    x.requires_grad = False
    assert (x * 2).requires_grad is False
    x.requires_grad_()
    (x * 2).sum().backward()
    assert x.grad.item() == 2.0
    x.requires_grad_(False)
    assert x.grad.item() == 2.0
    with pytest.raises(RuntimeError, match="only a leaf"):
        (leaf(1.0) * 2).requires_grad = False


def test_grad_can_be_set():
    x = leaf(1.0, 2.0)
    x.grad = tg.ones(2, dtype=tg.float64)
    (x * 3).sum().backward()
    assert x.grad.tolist() == [4.0, 4.0]
    with pytest.raises(RuntimeError, match="same shape and dtype"):
        x.grad = tg.ones(3, dtype=tg.float64)
    with pytest.raises(RuntimeError, match="same shape and dtype"):
        x.grad = tg.ones(2, dtype=tg.float32)
    with pytest.raises(TypeError, match="expected a Tensor"):
        x.grad = 5
    assert x.grad.tolist() == [4.0, 4.0]


def test_accumulating_into_a_gradient_that_a_graph_has_saved_is_noticed():
    x, z, g = leaf(1.0, 2.0), leaf(2.0, 3.0), tg.ones(2, dtype=tg.float64)
    x.grad = g
    q = (z * g).sum()
    (x * x).sum().backward()
    try:
        q.backward()
    except RuntimeError as error:
        assert "overwritten" in str(error)
    else:
        assert z.grad.tolist() == [1.0, 1.0]


def test_a_failed_backward_changes_no_gradient():
    x, y = leaf(1.0), leaf(1.0)
    good, bad = x * 2, y * y
    with tg.no_grad():
        y += 1
    with pytest.raises(RuntimeError, match="overwritten"):
        tg.autograd.backward([good.sum(), bad.sum()])
    assert x.grad is None and y.grad is None


def test_tensors_of_size_zero():
    x = tg.zeros(0, 3, requires_grad=True)
    (x * 2).sum().backward()
    assert x.grad.shape == (0, 3)
    assert isinstance(x.grad, Tensor)
