"""Corners of the engine: several roots, kept and freed graphs, accumulation into what a graph or nobody owns, writes, defaults.

Each test here was written for mutants of tests/mutation/run.py that everything else let live.
"""

import gc
import warnings
import weakref

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.autograd import Tensor, engine, memory, modes
from tinygrad_edu.autograd.node import Node, ancestors, leaf, note_of
from tinygrad_edu.autograd.operator import elementwise, general, linear, registry, undifferentiable


def vector(*values, **options):
    return tg.tensor(values, dtype=tg.float64, requires_grad=True, **options)


# --- engine: the order, what is freed, what is kept -----------------------------------------------------------------------


def test_sum_to_keeps_the_shapes_apart():
    ones = np.ones
    for g, shape in [(ones((1, 4)), (1, 1)), (ones((4, 1)), (1, 1)), (ones((1, 4)), [1]), (ones((2, 1, 4)), [1, 1]), (ones((3, 1, 4)), (1, 4)), (ones(4), [4]), (ones((5, 4)), [1, 4])]:
        out = engine.sum_to(g, shape)
        assert out.shape == tuple(shape) and out.sum() == g.sum()


def test_roots_are_visited_from_the_youngest_whatever_their_order():
    for order in ([0, 1, 2], [2, 1, 0], [1, 0, 2], [1, 2, 0], [0, 2, 1], [2, 0, 1]):
        x = vector(1.0, 2.0)
        a = x * 3
        b = a * a
        c = b * a
        roots = [a, b, c]
        grads = {roots[k].node: np.ones(2) for k in order}
        left = dict(grads)
        visited = [node for node, _ in engine.backprop(left, retain_graph=True)]
        assert visited == [c.node, b.node, a.node], "each node once, children first"
        assert list(left) == [x.node], "the leaves are left"
        engine.backward([roots[k] for k in order], [tg.ones(2, dtype=tg.float64)] * 3)
        at = 3 * np.array([1.0, 2.0])
        np.testing.assert_allclose(x.grad.numpy(), 3 * (1 + 2 * at + 3 * at**2))


def test_a_leaf_among_the_roots():
    x = vector(1.0)
    y = x * 2
    young = vector(5.0)
    engine.backward([young, y], [tg.ones(1, dtype=tg.float64), tg.ones(1, dtype=tg.float64)])
    assert young.grad.tolist() == [1.0] and x.grad.tolist() == [2.0]
    x = vector(3.0)
    x.sum().backward()
    assert x.grad.tolist() == [1.0]
    z = tg.tensor(2.0, requires_grad=True)
    z.backward()
    assert z.grad.item() == 1.0


def test_the_leaves_are_what_is_left():
    xs = [vector(float(k)) for k in range(5)]
    total = sum((x * k for k, x in enumerate(xs, 1)), xs[0] * 0)
    grads = {total.node: np.ones(1)}
    assert all(node.op is not None for node, _ in engine.backprop(grads))
    assert {node: float(g[0]) for node, g in grads.items()} == {x.node: k for k, x in enumerate(xs, 1)}


def test_backprop_frees_unless_told_otherwise():
    x = vector(2.0)
    y = x * x
    list(engine.backprop({y.node: np.ones(1)}, retain_graph=True))
    assert y.node.saved is not None
    list(engine.backprop({y.node: np.ones(1)}))
    assert y.node.saved is None
    with pytest.raises(RuntimeError, match="retain_graph"):
        y.backward()


def test_what_keeps_no_value_can_be_passed_again():
    x = vector(2.0, 3.0)
    y = (x + 1).sum()
    y.backward()
    y.backward()
    assert x.grad.tolist() == [2.0, 2.0]


def test_bad_gradients_pass_while_nobody_looks_for_them():
    x = vector(0.0)
    with np.errstate(all="ignore"):
        (x**0.5).sum().backward()
    assert x.grad.item() == np.inf


def test_gradients_of_gradients_write_nothing_in_place():
    x = vector(1.0, 2.0)
    y = (x * 2 + x * x + x * 3 + x**3).sum()
    before = memory.last_write
    (g,) = engine.grad(y, x, create_graph=True)
    assert memory.last_write == before
    (h,) = engine.grad(g.sum(), x)
    np.testing.assert_allclose(h.numpy(), [8.0, 14.0])


def test_many_contributions_are_added_without_touching_what_others_hold():
    x, held = vector(1.0, 2.0), []
    a = x * 2
    a.register_hook(lambda g: held.append(g.numpy().copy()))
    b = tg.ones(2, dtype=tg.float64)
    out = a + b
    (out + a * 3 + a * 5 + x).backward(tg.tensor([1.0, 10.0], dtype=tg.float64))
    assert held[0].tolist() == [9.0, 90.0] and x.grad.tolist() == [19.0, 190.0]


def test_rules_for_several_inputs_where_the_first_is_a_constant():
    x, weight = tg.tensor(np.arange(6.0).reshape(2, 3)), vector(1.0, 2.0, 3.0)
    out = tg.nn.functional.layer_norm(x, (3,), weight)
    out.sum().backward()
    assert weight.grad.shape == (3,)


def test_second_derivatives_of_operators_with_any_number_of_inputs():
    a, b = vector(1.0, 2.0), vector(3.0, 5.0)
    out = tg.einsum("i,i->", a, b)
    ga, gb = engine.grad(out, (a, b), create_graph=True)
    assert engine.grad((ga * ga).sum(), b)[0].tolist() == [6.0, 10.0]
    assert engine.grad((gb * gb).sum(), a)[0].tolist() == [2.0, 4.0]
    joined = tg.cat([a, b, a])
    (g,) = engine.grad((joined**2).sum(), a, create_graph=True)
    assert engine.grad(g.sum(), a)[0].tolist() == [4.0, 4.0]


def test_only_the_inputs_that_are_asked_for_get_a_gradient():
    x, other = vector(1.0, 2.0), vector(1.0)
    y = x * 3
    z = (y * y * other).sum()
    z.backward(inputs=[x])
    assert x.grad is not None and other.grad is None and y.node.grad is None
    y = x * 3
    (y * y).sum().backward(inputs=[y])
    assert y.node.grad.tolist() == [6.0, 12.0]
    with pytest.raises(RuntimeError, match="must require grad"):
        (x * 2).sum().backward(inputs=[x, tg.ones(1)])


def test_gradients_that_remember_are_added_up_in_the_graph():
    x = vector(2.0)
    (x**3).sum().backward(create_graph=True)
    (x**2).sum().backward(create_graph=True)
    assert x.grad.item() == 16.0 and x.grad.requires_grad
    (g,) = engine.grad(x.grad.sum(), x)
    assert g.item() == 6 * 2 + 2
    before = x.grad
    (x * 5).sum().backward()
    assert x.grad.item() == 21.0 and before.item() == 16.0, "what a graph remembers is not written to"


def test_adding_to_a_gradient_that_is_a_number_or_read_only():
    x = tg.tensor(3.0, requires_grad=True)
    for k in range(1, 4):
        (x * x).backward()
        assert x.grad.item() == 6.0 * k
    y = vector(1.0, 2.0)
    y.grad = Tensor(np.broadcast_to(np.float64(7.0), (2,)), None)
    (y * 2).sum().backward()
    assert y.grad.tolist() == [9.0, 9.0]
    y.grad = tg.ones(2, dtype=tg.float64)
    same = y.grad
    (y * 2).sum().backward()
    assert y.grad is same and same.tolist() == [3.0, 3.0], "else in place, as PyTorch does"


def test_a_step_on_gradients_that_were_not_cleared_is_noticed_once():
    x = vector(1.0, 2.0)
    optimizer = tg.optim.SGD([x], lr=0.1)
    (x * 2).sum().backward()
    optimizer.step()
    (x * 2).sum().backward()
    with pytest.warns(UserWarning, match="zero_grad"):
        optimizer.step()
    y = vector(1.0, 2.0)
    optimizer = tg.optim.SGD([y], lr=0.1)
    for _ in range(3):
        (y * 2).sum().backward()
        (y * 2).sum().backward()
        optimizer.step()
        y.grad.zero_()
    for _ in range(2):
        (y * 2).sum().backward()
        optimizer.step()
        optimizer.zero_grad()


def test_create_graph_records_even_where_gradients_are_off():
    x = vector(2.0)
    y = (x**3).sum()
    with tg.no_grad():
        (g,) = engine.grad(y, x, create_graph=True)
    assert g.requires_grad and engine.grad(g.sum(), x)[0].item() == 12.0


def test_create_graph_keeps_the_graph_unless_told_otherwise():
    x = vector(2.0)
    y = (x * x).sum()
    engine.grad(y, x, create_graph=True)
    engine.grad(y, x, create_graph=True, retain_graph=False)
    with pytest.raises(RuntimeError, match="freed"):
        engine.grad(y, x)


def test_inputs_and_outputs_come_one_or_several():
    x, y = vector(1.0), vector(2.0)
    assert [g.item() for g in engine.grad([x * y, x], [x, y])] == [3.0, 1.0]
    assert [g.item() for g in engine.grad((x * y, x), (x, y), (tg.tensor([2.0]), None))] == [5.0, 2.0]
    assert engine.grad(x * y, iter([x]))[0].item() == 2.0
    assert engine.grad(x * y, y, tg.tensor([3.0]))[0].item() == 3.0
    with pytest.raises(RuntimeError, match="input 1 does not require grad"):
        engine.grad(x * y, [x, tg.ones(1)])
    with pytest.raises(RuntimeError, match="input 0 does not require grad"):
        engine.grad(x * y, [np.ones(1)])
    with pytest.raises(RuntimeError, match="do not depend on input 1"):
        engine.grad(x * 2, [x, y])
    assert engine.grad(x * 2, [x, y], allow_unused=True)[1] is None
    zero = engine.grad(x * 2, [x, y], materialize_grads=True)[1]
    assert zero.tolist() == [0.0] and zero.dtype == tg.float64
    engine.backward((x * y, x * 3), (None, tg.tensor([2.0])))
    assert x.grad.item() == 8.0


def test_pruning_does_not_run_rules_that_nobody_asked_for(fresh_registry):
    calls = []

    def rule(g, y):
        calls.append("x")
        return g * y

    @elementwise(x=rule, y=lambda g, x: g * x)
    def watched_product(x, y):
        """x · y"""
        return x * y

    x, y = vector(2.0), vector(3.0)
    assert engine.grad(watched_product(x, y), y)[0].item() == 2.0 and calls == []
    assert engine.grad(watched_product(x, y), x)[0].item() == 3.0 and calls == ["x"]


def test_hooks_see_the_gradients_of_results_in_recordings():
    x = vector(1.0, 2.0)
    with tg.recording():
        y = x * 3
        y.sum().backward()
    assert np.array_equal(np.asarray(y.node.note.gradient), [1.0, 1.0])
    seen = []
    x.register_post_accumulate_grad_hook(lambda t: seen.append(t.grad.tolist()))
    (x * 2).sum().backward()
    assert seen == [[5.0, 5.0]]
    other = vector(1.0)
    other.register_post_accumulate_grad_hook(lambda t: seen.append("other"))
    (x * 2 + other).sum().backward(inputs=[x])
    assert seen == [[5.0, 5.0], [7.0, 7.0]]


def test_hooks_replace_gradients_of_results_and_of_leaves():
    x = vector(1.0, 2.0)
    y = x * 3
    y.register_hook(lambda g: g * 10)
    x.register_hook(lambda g: g + 1)
    y.sum().backward()
    assert x.grad.tolist() == [31.0, 31.0]
    x.grad = None
    y = x * 3
    y.register_hook(lambda g: g * 2)
    (g,) = engine.grad((y * y).sum(), x, create_graph=True)
    assert g.tolist() == [37.0, 73.0] and g.requires_grad


# --- node ------------------------------------------------------------------------------------------------------------------


def test_nodes_say_what_they_are():
    x = vector(1.0, 2.0)
    y = x * 2
    assert x.node.name == "leaf" and y.node.name == "mul"
    assert repr(x.node) == f"#{x.node.birth} = leaf() float64[2]"
    assert repr(y.node) == f"#{y.node.birth} = mul(#{x.node.birth}, constant) float64[2]"
    assert y.node.next_functions == ((x.node, 0), (None, 0))
    assert y.node.birth > x.node.birth
    a = leaf((2, 3), np.dtype("f4"))
    assert (a.op, a.parents, a.saved, a.params, a.shape, a.dtype, a.grad, a.note) == (None, (), (), {}, (2, 3), np.dtype("f4"), None, None)
    b = leaf((), np.dtype("f8"))
    assert b.birth == a.birth + 1


def test_notes_begin_empty():
    node = Node(None, (), (), {}, (), np.dtype("f8"))
    note = note_of(node)
    assert note is note_of(node) and node.note is note
    for name in ("hooks", "after", "value", "inputs", "name", "line", "gradient", "spot"):
        assert getattr(note, name) is None
    assert note.module == note.givers == note.names == () and note.retain is False and note.explained is False


def test_ancestors_are_all_there_once_and_oldest_first():
    x, y = vector(1.0), vector(2.0)
    a = x * y
    b = a * a + x
    found = ancestors(b.node)
    births = [n.birth for n in found]
    assert births == sorted(births) and len(set(births)) == 5 and found[0] is x.node and found[-1] is b.node
    assert ancestors(x.node) == [x.node] and ancestors(y.node, a.node) == [x.node, y.node, a.node]
    assert ancestors() == []
    y = x
    for _ in range(60):
        y = y + y  # 2⁶⁰ paths, 61 nodes
    assert len(ancestors(y.node)) == 61


# --- tensor ----------------------------------------------------------------------------------------------------------------


def test_sizes():
    size = tg.ones(2, 3).shape
    assert size == (2, 3) and size.numel() == 6 and repr(size) == "Size([2, 3])" and tg.ones(()).shape.numel() == 1
    for made, expected in ((size + (4,), (2, 3, 4)), (size + [4], (2, 3, 4)), ((4,) + size, (4, 2, 3)), ([4] + size, (4, 2, 3)), (size * 2, (2, 3, 2, 3)), (2 * size, (2, 3, 2, 3)),
                           (size[:1], (2,)), (size[::-1], (3, 2))):  # fmt: skip
        assert made == expected and type(made) is type(size)
    assert size[0] == 2 and type(size[0]) is int


def test_a_tensor_begins_plain():
    for x in (Tensor(np.ones(2), None), tg.ones(2)):
        assert x.base is None and x.frozen is False and x.detached is None and x.views == () and x.used == 0 and x.shared is False
    for name in ("shape", "dtype", "ndim", "itemsize", "nbytes"):
        assert getattr(tg.Tensor, name).__doc__


def test_the_facts_of_a_tensor():
    x = tg.ones(2, 3)
    assert (x.ndim, x.itemsize, x.nbytes, x.dtype, len(x)) == (2, 4, 24, np.float32, 2)
    assert bool(tg.tensor([1.0])) and not bool(tg.tensor(0.0)) and isinstance(bool(tg.tensor([2.0])), bool)
    with pytest.raises(RuntimeError, match="2 elements"):
        bool(tg.ones(2))
    with pytest.raises(RuntimeError, match="0 elements"):
        bool(tg.ones(0))
    with pytest.raises(TypeError, match="0-d"):
        len(tg.tensor(1.0))
    assert x.is_leaf and x.grad_fn is None and x.grad is None and not x.requires_grad
    assert hash(x) == hash(x) and len({x, x}) == 1


def test_switching_requires_grad_keeps_the_gradient_of_before():
    x = vector(1.0, 2.0)
    (x * 3).sum().backward()
    x.requires_grad = True
    node = x.node
    x.requires_grad = False
    assert x.node is None and x.grad.tolist() == [3.0, 3.0]
    x.requires_grad = False
    x.requires_grad = True
    assert x.node is node and x.grad.tolist() == [3.0, 3.0]
    x.requires_grad = False
    x.data = tg.ones(3, dtype=tg.float64)
    x.requires_grad = True
    assert x.node is not node and x.grad is None
    y = x * 2
    with pytest.raises(RuntimeError, match="the result of mul"):
        y.requires_grad = False
    y.requires_grad = True
    assert not y.is_leaf
    with pytest.raises(RuntimeError, match="int64"):
        tg.arange(3).requires_grad = True


def test_a_leaf_of_memory_that_numpy_has_gets_its_own():
    array = np.ones(2)
    x = tg.from_numpy(array)
    x.requires_grad = True
    array[0] = 5.0
    assert x.tolist() == [1.0, 1.0]
    view = tg.from_numpy(np.ones(4))[1:3]
    view.requires_grad_()
    assert view.base is None and not view.shared
    plain = tg.ones(3)
    kept = plain.array
    plain.requires_grad = True
    assert plain.array is kept


def test_gradients_of_constants_and_of_results():
    x = tg.ones(2)
    x.grad = None
    x.grad = tg.ones(2)
    assert x.grad.tolist() == [1.0, 1.0] and not x.requires_grad
    x.grad = None
    assert x.grad is None
    y = vector(1.0) * 2
    with pytest.warns(UserWarning, match="retain_grad") as caught:
        assert y.grad is None
    assert len(caught) == 1 and caught[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert y.grad is None  # said once
    z = vector(1.0) * 2
    z.retain_grad()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert z.grad is None
    z.backward()
    assert z.grad.item() == 1.0
    w = vector(1.0)
    for wrong in (tg.ones(1), tg.ones(2, dtype=tg.float64)):
        with pytest.raises(RuntimeError, match="same shape and dtype"):
            w.grad = wrong


def test_pytorchs_old_constructor():
    assert tg.Tensor(2, 3).shape == (2, 3) and tg.Tensor([1, 2]).tolist() == [1.0, 2.0] and tg.Tensor((1.0,)).shape == (1,)
    assert tg.Tensor().shape == (0,) and tg.Tensor(4).shape == (4,) and tg.Tensor(np.int64(2), 3).shape == (2, 3)
    for data in (np.ones(3), np.arange(3), np.array([True, False]), [np.float64(1), 2], tg.arange(2), range(3)):
        assert tg.Tensor(data).dtype == np.float32 and tg.Tensor(data).tolist() == [float(x) for x in data]
    held = np.zeros(2, np.float32)
    made, held[0] = tg.Tensor(held), 1
    assert made.tolist() == [0, 0]
    for data in (3.0, np.float64(3), None):
        with pytest.raises(TypeError, match="expected sizes as ints, or one list or array of numbers"):
            tg.Tensor(data)
    array = np.ones(2)
    assert Tensor(array, None).array is array and Tensor(array, None).node is None


# --- memory ------------------------------------------------------------------------------------------------------------------


def test_owners_of_memory():
    a = np.arange(12.0)
    assert memory.owner(a) is a and memory.owner(a.reshape(3, 4)[1:][:, 2]) is a
    from_bytes = np.frombuffer(b"\0" * 16, np.float64)
    assert memory.owner(from_bytes[1:]) is from_bytes


def test_copies_for_owners():
    g = np.arange(6.0).reshape(2, 3)
    node = leaf((2, 3), np.dtype("f8"))
    copy = memory.owned(node, g)
    assert copy is not g and np.array_equal(copy, g)
    assert memory.owned(node, np.asfortranarray(g)).flags.f_contiguous
    number = memory.owned(leaf((), np.dtype("f4")), np.float32(2))
    assert isinstance(number, np.ndarray) and number.dtype == np.float32
    t = tg.ones(2)
    assert memory.owned(node, t) is t


def test_notes_of_writes(monkeypatch):
    monkeypatch.setattr(memory, "writes", {})
    monkeypatch.setattr(memory, "crowded", 40)
    a, b, other = np.ones(4), np.ones(4), np.ones(4)
    assert memory.last_write_to(other) == memory.last_write_to(np.float64(3)) == (0, "")
    memory.note_write(a[1:], "first_")
    first = memory.last_write_to(a)
    assert first == (memory.last_write, "first_") == memory.last_write_to(a[2:]) and memory.last_write_to(other) == (0, "")
    memory.note_writes([a, b[::2]], "both_")
    assert memory.last_write_to(a) == memory.last_write_to(b) == (memory.last_write, "both_") and memory.last_write > first[0]
    arrays = [np.ones(1) for _ in range(90)]
    for x in arrays:
        memory.note_write(x, "many_")
    assert {memory.last_write_to(x[:])[1] for x in arrays} == {"many_"} and memory.last_write_to(a)[1] == "both_", "what lives is kept"
    assert len(memory.writes) == 92
    memory.note_write(a, "x.data", a[1:])
    assert memory.last_write_to(a) == (memory.last_write, "x.data")
    last, x, others = arrays[-1], None, [np.ones(1) for _ in range(200)]
    del arrays
    for x in others:
        memory.note_write(x, "again_")
    assert len(memory.writes) == 203 and memory.last_write_to(last)[1] == "many_", "what is dead is thrown away"


def test_notes_of_arrays_that_were_given_away():
    a = np.arange(3.0)
    before = memory.last_write
    memory.hand_out(a)
    assert memory.last_write > before
    again = memory.last_write
    memory.hand_out(a[1:])
    assert memory.last_write == again, "noted once"
    number, checksum, alive = memory.handed_out[id(a)]
    assert number == again and checksum == memory.checksum(a) and alive() is a
    a[0] = 7
    assert memory.checksum(a) != checksum and memory.checksum(a[:0]) == memory.checksum(np.ones(0))
    assert memory.checksum(np.ones((2, 2)).T) == memory.checksum(np.ones(4))
    kept = len(memory.handed_out)
    arrays = [np.ones(1) for _ in range(1500)]
    for x in arrays:
        memory.hand_out(x)
    assert len(memory.handed_out) >= 1500, "what is alive is remembered"
    del arrays, x
    live = [np.ones(1) for _ in range(1500)]
    for x in live:
        memory.hand_out(x)
    assert len(memory.handed_out) < kept + 2048 and id(a) in memory.handed_out, "what is dead is forgotten"


@pytest.mark.parametrize("change", [lambda x, n: x.add_(1), lambda x, n: n.__setitem__(0, 9.0)])
def test_saved_values_that_changed_are_noticed_wherever_they_are(change):
    for compute in (lambda x: (x * x).sum(), lambda x: tg.einsum("i,i->", x, x), lambda x: tg.exp(x[1:] * x[:-1]).sum(), lambda x: (x.reshape(2, 1) * x).sum()):
        x = vector(1.0, 2.0)
        with tg.no_grad():
            given = x.detach().clone()
        held = given.numpy()
        t = tg.tensor(given.tolist(), dtype=tg.float64, requires_grad=True)
        out = compute(t * 1)
        out.backward()
        plain = given * 1
        out = compute(t * 1 + plain)
        change(plain, held)
        out.backward()
    x = vector(1.0, 2.0)
    y = x * 1
    z = y * y
    with tg.no_grad():
        y.add_(1)
    with pytest.raises(RuntimeError, match="mul saved a value float64.2. .*add_ has overwritten"):
        z.sum().backward()


def test_results_that_were_overwritten_are_computed_again_where_they_can_be():
    x = tg.tensor([[[1.0, 3.0, 2.0, 5.0]]], dtype=tg.float64, requires_grad=True)
    out = tg.nn.functional.max_pool1d(x, 2)
    with tg.no_grad():
        out.mul_(0)
    out.sum().backward()
    assert x.grad.tolist() == [[[0.0, 1.0, 0.0, 1.0]]]
    y = vector(1.0, 2.0)
    out = tg.exp(y)
    with tg.no_grad():
        out.mul_(0)
    with pytest.raises(RuntimeError, match="exp saved a value"):
        out.sum().backward()


def test_views_know_their_root_and_forget_dead_views():
    x = tg.zeros(10)
    views = [x[k:] for k in range(10)]
    assert all(v.base is x for v in views) and len(x.views) == 10
    deeper = views[2][1:]
    assert deeper.base is x
    del views, deeper
    gc.collect()
    for _ in range(100):
        x[1:]
    assert len(x.views) < 40
    copy = x[[0, 1]]
    assert copy.base is None
    alias = x.detach()
    assert alias.base is x and alias.detached is True
    assert alias[1:].detached is alias


def test_writes_into_views_reach_the_history_of_the_root():
    x = vector(1.0, 2.0, 3.0, 4.0)
    y = x * 1
    a, b = y[:2], y[1:3]
    a.mul_(10)
    assert y.tolist() == [10.0, 20.0, 3.0, 4.0] and b.tolist() == [20.0, 3.0]
    (b.sum() + y.sum()).backward()
    assert x.grad.tolist() == [10.0, 20.0, 2.0, 1.0]
    x.grad = None
    y = x * 1
    row, turned = y.reshape(2, 2), y.reshape(2, 2).t()
    y[0] = 7.0
    turned.mul_(tg.tensor([[1.0, 2.0], [3.0, 4.0]], dtype=tg.float64))
    (row * tg.tensor([[1.0, 10.0], [100.0, 1000.0]], dtype=tg.float64)).sum().backward()
    assert y.tolist() == [7.0, 6.0, 6.0, 16.0]
    assert x.grad.tolist() == [0.0, 30.0, 200.0, 4000.0]


def test_writes_that_could_not_be_right_are_refused():
    x = vector(1.0, 2.0)
    with pytest.raises(RuntimeError, match="a leaf tensor"):
        x.add_(1)
    with pytest.raises(RuntimeError, match="shared with a leaf"):
        x[:1].add_(1)
    y = x * 1
    with tg.no_grad():
        view = y[:1]
    with pytest.raises(RuntimeError, match="made under no_grad"):
        view.add_(1)
    shared = tg.from_numpy(np.ones(3))
    part = shared[:2]
    with pytest.raises(RuntimeError, match="NumPy shares this memory"):
        part.add_(x)
    lonely = tg.from_numpy(np.ones(2))
    lonely.add_(x)
    assert lonely.requires_grad and lonely.tolist() == [2.0, 3.0]
    with pytest.raises(RuntimeError, match="shape"):
        tg.ones(2).add_(tg.ones(3, 2))
    with pytest.raises(RuntimeError, match="cannot be stored"):
        tg.arange(2).add_(0.5)
    with pytest.raises(RuntimeError, match="expanded"):
        tg.ones(1).expand(3).add_(1)
    locked = np.ones(2)
    locked.flags.writeable = False
    with pytest.raises(RuntimeError, match="read-only"):
        tg.from_numpy(locked).add_(1)


def test_writes_convert_and_return_the_tensor():
    x = tg.ones(2)
    assert x.add_(tg.ones(2, dtype=tg.float64)) is x and x.dtype == tg.float32 and x.tolist() == [2.0, 2.0]
    memory_of_x = x.array
    x.mul_(3)
    assert x.array is memory_of_x
    y = vector(1.0, 2.0) * 1
    y.retain_grad()
    y.mul_(3)
    (y * 2).sum().backward()
    assert y.grad.tolist() == [2.0, 2.0], "the wish to keep the gradient goes with the tensor"


def test_positions_of_views():
    a = np.arange(12.0).reshape(3, 4)
    for view in (a[1:, ::2], a.T[1:], a[::-1], a[2:, 1], a[:, None, 3]):
        assert np.array_equal(a.reshape(-1)[memory.positions_of(view, a)], view)
    turned = np.asfortranarray(a)
    assert np.array_equal(turned.reshape(-1)[memory.positions_of(turned[1:, 1:], turned)], a[1:, 1:])


# --- operands ----------------------------------------------------------------------------------------------------------------


def test_types_of_operands():
    f4, f8 = tg.ones(2), tg.ones(2, dtype=tg.float64)
    i8 = tg.arange(2)
    table = [(f4 + 1, "f4"), (f4 + 1.5, "f4"), (f4 + f8, "f8"), (i8 + 1, "i8"), (i8 + 1.5, "f4"), (i8 + f4, "f4"), (f4 * np.float64(2), "f4"), (f4 + np.ones(2), "f8"),
             (i8 / 2, "f4"), (i8 + True, "i8"), (tg.exp(i8), "f4"), (tg.add(1, f4), "f4"), (tg.where(f4 > 0, 1.0, f8), "f8"), (1 / f8, "f8")]  # fmt: skip
    for result, kind in table:
        assert result.dtype == np.dtype(kind)
    x = tg.ones(2, requires_grad=True)
    (x * f8).sum().backward()
    assert x.grad.dtype == np.float32
    for wrong, words in (("text", "str"), ([1.0], "list"), (object(), "object"), (np.array(["a"]), "<U1")):
        with pytest.raises(TypeError, match=words):
            registry["add"].function(f4, wrong)


def test_arrays_of_the_user_are_copied_where_a_graph_would_keep_them():
    x, array = vector(1.0, 2.0), np.array([3.0, 4.0])
    y = x * array
    array[:] = 0
    y.sum().backward()
    assert x.grad.tolist() == [3.0, 4.0]
    constant, other = tg.from_numpy(np.array([3.0, 4.0])), vector(1.0, 2.0)
    y = other * constant
    constant.numpy()[:] = 0
    y.sum().backward()
    assert other.grad.tolist() == [3.0, 4.0]
    view = tg.from_numpy(np.array([3.0, 4.0, 5.0]))[:2]
    third = vector(1.0, 2.0)
    y = third * view
    view.numpy()[:] = 0
    y.sum().backward()
    assert third.grad.tolist() == [3.0, 4.0]


def test_errors_show_the_call():
    with pytest.raises(ValueError) as caught:
        tg.ones(2, 3) @ tg.ones(2, 3)
    assert caught.value.__notes__ == ["while computing matmul(float32[2, 3], float32[2, 3]):  " + registry["matmul"].formula]
    with pytest.raises(Exception) as caught:  # noqa: B017
        registry["sum"].function(tg.ones(2, 3), axis=7)
    assert "sum(float32[2, 3], axis=7, keepdims=False)" in caught.value.__notes__[0]


# --- operator, signatures, composites, specialize ------------------------------------------------------------------------------


def test_an_operator_is_checked_when_it_is_defined(fresh_registry):
    def define(words, decorator, function):
        with pytest.raises(TypeError, match=words):
            decorator(function)

    def no_formula(x):
        return x

    def fine(x, y=None, *, power=2):
        """A formula"""
        return x

    define("first line of the docstring", elementwise(x=lambda g: g), no_formula)
    define("a rule for 'z'", elementwise(x=lambda g: g, y=None, z=lambda g: g), fine)
    define("no rule for 'y'", elementwise(x=lambda g: g), fine)
    define(r"names \['z'\]", elementwise(x=lambda g, z: g, y=None), fine)
    define(r"it may name .*'out'.*'power'.*'x', 'x_dtype', 'x_shape'", elementwise(x=lambda g, z: g, y=None), fine)
    define(r"together names \['wrong'\]", general(together=lambda g, wrong: (g, g)), fine)
    define(r"names \['needs'\]", elementwise(x=lambda g, needs: g, y=None), fine)
    define(r"names \['i'\]", elementwise(x=lambda g, i: g, y=None), fine)
    elementwise(x=lambda g, x, out, x_shape, x_dtype, power: g, y=None)(fine)
    define("exists already: A formula", elementwise(x=lambda g: g, y=None), fine)
    assert registry["fine"].rules[0].__name__ == "fine.rule[x]" and registry["fine"].rules[0].__code__.co_name == "fine.rule[x]"
    assert repr(registry["fine"]) == "<operator fine: A formula>"


def test_what_an_operator_knows_of_itself(fresh_registry):
    @elementwise(np.spacing, symbol="⊙", domain=(1, 2), samples=[{}], x=lambda g, y: g * y, y=lambda g, x_shape: g, third=None)
    def known(x, y, third=None, *, factor, power=2):
        """First line

        More.
        """
        return x * y * factor

    op = known.op
    assert (op.name, op.kind, op.symbol, op.formula, op.inputs, op.variadic) == ("known", "elementwise", "⊙", "First line", ["x", "y", "third"], None)
    assert op.doc == "First line\n\nMore." and op.domain == (1, 2) and op.samples == [{}] and op.numpy == (np.spacing,)
    assert list(op.params) == ["factor", "power"] and op.params["power"] == 2 and op.defaults == {"third": None}
    assert op.wants == (("y",), ("x_shape",), ()) and op.differentiable and op.keeps_values and not op.view and not op.floats
    assert list(op.promoted) == [0, 1, 2] and op.together is None and op.function is known
    assert known.__name__ == "known" and known.__doc__ == op.doc and known.__wrapped__ is op.forward
    x = vector(2.0)
    out = known(x, 3.0, factor=5.0)
    assert out.item() == 30.0 and out.node.params == {"factor": 5.0, "power": 2}
    with pytest.raises(TypeError):
        known(x, 3.0)

    @linear(x=lambda g, x_shape: g, promote=())
    def shapeless(x):
        """x"""
        return x.copy()

    assert not shapeless.op.keeps_values and list(shapeless.op.promoted) == [] and shapeless.op.symbol == "shapeless"

    @undifferentiable()
    def constant_of(x):
        """1"""
        return np.ones_like(x)

    assert not constant_of.op.differentiable and not constant_of(x).requires_grad

    @general(xs=lambda g, i, xs, xs_shapes, xs_dtypes: g * (i + 1))
    def numbered(*xs):
        """Σ x"""
        return sum(xs[1:], xs[0])

    a, b = vector(1.0), vector(2.0)
    out = numbered(a, b, 3.0)
    assert [p is not None for p in out.node.parents] == [True, True, False] and out.node.saved[2] is None
    assert out.node.saved[1][0] == 1 and out.node.saved[0][2] == [(1,), (1,), ()]
    assert out.node.saved[0][2] is out.node.saved[1][2], "the shapes of all inputs are kept once"
    out.sum().backward()
    assert a.grad.item() == 1.0 and b.grad.item() == 2.0


def test_what_is_saved(fresh_registry):
    def rule(g, x_shape, y_dtype, out, power):
        assert (x_shape, y_dtype, power) == ((2,), np.dtype("f8"), 3)
        return g

    for build in (elementwise, general):
        registry.pop("saving", None)

        @build(x=rule, y=lambda g, x: g * 2)
        def saving(x, y, *, power=3):
            """x + y"""
            return x + y

        x, y = vector(1.0, 2.0), vector(3.0, 4.0)
        for function in (saving, lambda *a: tg.autograd.operator.apply(saving.op, a, {"power": 3})):
            out = function(x, y)
            assert [len(s) for s in out.node.saved] == [4, 1] and out.node.saved[0][2] is out.array
            out.sum().backward()
            out = function(x, np.ones(2))
            assert out.node.saved[1] is None and out.node.parents == (x.node, None)
            out = function(tg.ones(2, dtype=tg.float64), y)
            assert out.node.saved[0] is None and out.node.parents == (None, y.node)
            with tg.no_grad():
                assert function(x, y).node is None
            assert function(tg.ones(2), tg.ones(2)).node is None
            assert isinstance(function(np.ones(2), np.ones(2)), np.ndarray)


def test_general_and_specialised_functions_agree():
    from tinygrad_edu.autograd.specialize import general_function

    x, y = vector(1.0, 2.0), vector(3.0, 4.0)
    for name, args, params in (("mul", (x, y), {}), ("mul", (2.0, y), {}), ("mul", (x, 3), {}), ("sum", (x,), {"axis": 0}), ("affine", (tg.ones(1, 2, dtype=tg.float64), tg.ones(3, 2, dtype=tg.float64)), {}),
                               ("mul", (), {"x": x, "y": y}), ("mul", (x,), {"y": y}), ("clip", (x,), {"low": 1.5}), ("concatenate", (x, y), {"axis": 0})):  # fmt: skip
        special, general_one = registry[name].function, general_function(registry[name])
        a, b = special(*args, **params), general_one(*args, **params)
        assert np.array_equal(a.array, b.array) and a.requires_grad == b.requires_grad
        if a.requires_grad:
            assert a.node.parents == b.node.parents and a.node.params == b.node.params
            assert [None if s is None else len(s) for s in a.node.saved] == [None if s is None else len(s) for s in b.node.saved]
    with pytest.raises(TypeError):
        registry["mul"].function(x)
    with pytest.raises(TypeError):
        registry["mul"].function(x, y, wrong=1)


# --- function --------------------------------------------------------------------------------------------------------------------


class Two(tg.autograd.Function):
    """x · y and x + y"""

    @staticmethod
    def forward(ctx, x, y, scale=1.0):
        ctx.save_for_backward(x, None, y)
        ctx.scale = scale
        return x * y * scale, x + y

    @staticmethod
    def backward(ctx, g, h):
        x, nothing, y = ctx.saved_tensors
        assert nothing is None
        return g * y * ctx.scale + h, g * x * ctx.scale + h, None


def test_functions_with_several_results():
    x, y = vector(2.0), vector(3.0)
    a, b = Two.apply(x, y, 10.0)
    assert (a.item(), b.item()) == (60.0, 5.0)
    (a + b * 7).sum().backward()
    assert (x.grad.item(), y.grad.item()) == (37.0, 27.0)
    for chosen, expected in ((0, (3.0, 2.0)), (1, (1.0, 1.0))):
        found = engine.grad(Two.apply(x, y)[chosen], (x, y))
        assert tuple(g.item() for g in found) == expected
    (g,) = engine.grad(Two.apply(x, y)[0].sum(), x, create_graph=True)
    assert engine.grad(g.sum(), y)[0].item() == 1.0
    a, b = Two.apply(x, y)
    assert a.node.op.name == "Two[0]" and b.node.op.formula == "output 1 of Two" and a.node.parents[0].op.name == "Two" and a.node.op.symbol == "Two[0]"
    assert a.node.parents[0].op.formula == "x · y and x + y" and a.node.shape == (1,) and b.node.dtype == np.float64
    with tg.no_grad():
        assert not Two.apply(x, y)[0].requires_grad
    assert not Two.apply(tg.ones(1), tg.ones(1))[0].requires_grad


def function_of(backward, forward=None):
    """A Function with these two methods."""
    return type("Made", (tg.autograd.Function,), dict(forward=staticmethod(forward or (lambda ctx, *xs: xs[0] * 2)), backward=staticmethod(backward)))


def test_what_a_backward_may_return():
    x, y = vector(2.0, 3.0), vector(3.0, 1.0)
    assert engine.grad(function_of(lambda ctx, g: g * 2).apply(x).sum(), x)[0].tolist() == [2.0, 2.0]
    assert engine.grad(function_of(lambda ctx, g: [g * 2, None, None]).apply(x, 1, 2).sum(), x)[0].tolist() == [2.0, 2.0]
    assert engine.grad(function_of(lambda ctx, g: (g * 2, None, None)).apply(x).sum(), x)[0].tolist() == [2.0, 2.0]  # Nones beyond the inputs
    assert engine.grad(function_of(lambda ctx, g: None).apply(x).sum(), x)[0].tolist() == [0.0, 0.0]
    assert engine.grad(function_of(lambda ctx, g: (g.float(), g.float())).apply(x, y).sum(), y)[0].dtype == np.float64
    assert engine.grad(function_of(lambda ctx, g: tg.ones(5, 2, dtype=tg.float64)).apply(x).sum(), x)[0].tolist() == [5.0, 5.0]
    for wrong, kind, words in [(lambda ctx, g: g, RuntimeError, "returned 1 gradients; forward had 2 inputs"), (lambda ctx, g: (g, g, g), RuntimeError, "returned 3 gradients"),
                               (lambda ctx, g: (g, 1.0), TypeError, "gradient 1 is float"), (lambda ctx, g: (g, tg.ones(3, dtype=tg.float64)), RuntimeError, r"gradient 1 has shape \[3\]"),
                               (lambda ctx, g: (g, g.sum()), RuntimeError, r"gradient 1 has shape \[\]")]:  # fmt: skip
        with pytest.raises(kind, match=words):
            function_of(wrong).apply(x, y).sum().backward()
    same = []
    found = engine.grad(function_of(lambda ctx, g: same.append(g * 2) or same[0]).apply(x).sum(), x)[0]
    same[0].array[:] = 0
    assert found.tolist() == [2.0, 2.0], "a gradient is a copy"
    assert engine.grad(function_of(lambda ctx, g: (g.float(), None)).apply(x, 1).sum(), x)[0].dtype == np.float64


def test_what_a_context_tells():
    seen = []

    def forward(ctx, x, y, z):
        seen.append(ctx.needs_input_grad)
        assert not tg.is_grad_enabled()
        ctx.set_materialize_grads(False)
        second = y * 1
        ctx.mark_non_differentiable(second)
        return x * 2, second, (y > 0) * 1, x * 3

    def backward(ctx, *gradients):
        seen.append([g if g is None else g.tolist() for g in gradients])
        seen.append(tg.is_grad_enabled())
        return gradients[0] * 2, None, None

    x, y = vector(2.0), vector(3.0)
    outputs = function_of(backward, forward).apply(x, y.detach(), 5)
    assert [o.requires_grad for o in outputs] == [True, False, False, True]
    outputs[0].sum().backward()
    assert seen == [(True, False, False), [[1.0], None, None, None], False] and x.grad.item() == 2.0
    made = function_of(lambda ctx, g, h: seen.append(h.tolist()) or g, lambda ctx, x: (x * 1, x * 2))
    made.apply(x)[0].sum().backward()
    assert seen[-1] == [0.0]
    with pytest.raises(RuntimeError, match="mark_dirty must be returned"):
        function_of(None, lambda ctx, x: ctx.mark_dirty(x)).apply(x)
    with pytest.raises(TypeError, match="must return a Tensor, or a tuple with Tensors in it"):
        function_of(None, lambda ctx, x: 1.0).apply(x)
    assert function_of(None, lambda ctx, x: (x * 1, 1.0)).apply(x)[1] == 1.0
    with pytest.raises(NotImplementedError, match="static method forward"):
        tg.autograd.Function.apply(x)
    with pytest.raises(NotImplementedError, match="static method backward"):
        type("Half", (tg.autograd.Function,), dict(forward=staticmethod(lambda ctx, x: x * 2))).apply(x).sum().backward()


def test_functions_guard_what_they_save_and_free_it():
    class Keep(tg.autograd.Function):
        """x²"""

        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        def backward(ctx, g):
            return g * 2 * ctx.saved_tensors[0]

    x = vector(2.0)
    y = Keep.apply(x)
    y.sum().backward()
    with pytest.raises(RuntimeError, match="freed"):
        y.sum().backward()
    z = x * 1
    y = Keep.apply(z)
    with tg.no_grad():
        z.add_(1)
    with pytest.raises(RuntimeError, match="Keep saved a value float64.1."):
        y.sum().backward()


def test_functions_set_up_apart():
    class Apart(tg.autograd.Function):
        """x · k"""

        @staticmethod
        def forward(x, k):
            return x * k

        @staticmethod
        def setup_context(ctx, inputs, output):
            ctx.k = inputs[1]
            assert output.item() == 6.0

        @staticmethod
        def backward(ctx, g):
            return g * ctx.k, None

    x = vector(2.0)
    assert engine.grad(Apart.apply(x, 3), x)[0].item() == 3.0


def test_once_differentiable():
    class Once(tg.autograd.Function):
        """x²"""

        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        @tg.autograd.function.once_differentiable
        def backward(ctx, g):
            return g * 2 * ctx.saved_tensors[0]

    x = vector(3.0)
    assert engine.grad(Once.apply(x), x)[0].item() == 6.0
    with pytest.raises(RuntimeError, match="once_differentiable"):
        g = tg.ones(1, dtype=tg.float64, requires_grad=True)
        (slope,) = engine.grad(Once.apply(x), x, g, create_graph=True)
        engine.grad(slope.sum(), g)


def test_nothing_is_left_behind():
    """A graph is freed with its last tensor, without the cycle collector."""
    x = vector(1.0)
    y = x * 2
    node = weakref.ref(y.node)
    gc.disable()
    try:
        del y
        assert node() is None
    finally:
        gc.enable()
    assert modes.special == 0


# --- a second round ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scale", [lambda g: g.mul_(0.5), lambda g: g.div_(2), lambda g: g.clamp_(-1, 1), lambda g: g.clip_(-1, 1)])
def test_scaled_gradients_still_hold_what_they_held(scale):
    """Clipping between two backward passes does not hide that zero_grad was forgotten; other writes count as a fresh start."""
    x = vector(1.0, 2.0)
    optimizer = tg.optim.SGD([x], lr=0.1)
    (x * 2).sum().backward()
    optimizer.step()
    (x * 2).sum().backward()
    scale(x.grad)
    (x * 2).sum().backward()
    with pytest.warns(UserWarning, match="zero_grad"):
        optimizer.step()
    y = vector(1.0, 2.0)
    optimizer = tg.optim.SGD([y], lr=0.1)
    (y * 2).sum().backward()
    optimizer.step()
    y.grad.copy_(tg.zeros(2, dtype=tg.float64))
    (y * 2).sum().backward()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        optimizer.step()


def test_results_of_functions_are_recorded_too():
    for mode in (tg.autograd.detect_anomaly, tg.recording):
        with mode():
            a, b = Two.apply(vector(2.0), vector(3.0))
            single = function_of(lambda ctx, g: g).apply(vector(1.0))
        for node in (a.node, b.node, single.node):
            assert node.note is not None and node.note.line[0] == __file__
    plain = function_of(lambda ctx, g: g).apply(vector(1.0))
    assert plain.node.note is None


def test_writes_of_another_type_in_a_graph():
    x = tg.ones(2, requires_grad=True)
    y = x * 1
    y.add_(vector(1.0, 2.0))
    assert y.dtype == np.float32 and y.tolist() == [2.0, 3.0]
    y.sum().backward()
    assert x.grad.tolist() == [1.0, 1.0] and x.grad.dtype == np.float32
    with tg.no_grad():
        z = x * 1
        z.add_(vector(1.0, 2.0))
    assert z.dtype == np.float32 and not z.requires_grad


def test_results_are_not_computed_again_from_what_has_changed_too():
    x = vector(1.0, 3.0, 2.0, 5.0)
    y = (x * 1).reshape(1, 1, 4)
    out = tg.nn.functional.max_pool1d(y, 2)
    with tg.no_grad():
        out.mul_(0)
        y.mul_(2)
    with pytest.raises(RuntimeError, match="max_pool saved a value"):
        out.sum().backward()


def test_each_kind_of_operator_keeps_its_options(fresh_registry):
    @linear(np.spacing, symbol="L", samples=[((2,),)], domain=(1, 2), promote=("x",), floats=True, view=True, x=lambda g: g)
    def kept_linear(x):
        """x"""
        return x[:]

    op = kept_linear.op
    assert (op.kind, op.symbol, op.samples, op.domain, list(op.promoted), op.floats, op.view, op.numpy) == ("linear", "L", [((2,),)], (1, 2), [0], True, True, (np.spacing,))

    @general(np.spacing, symbol="G", samples=[((2,), (2,))], domain=(1, 2), promote=("y",), floats=True, together=lambda g, x, needs: (g, g))
    def kept_general(x, y):
        """x + y"""
        return x + y

    op = kept_general.op
    assert (op.kind, op.symbol, op.samples, op.domain, list(op.promoted), op.floats, op.view) == ("general", "G", [((2,), (2,))], (1, 2), [1], True, False)
    assert op.together is not None and op.wants == (("x", "needs"),) * 2 and op.differentiable and op.keeps_values
    out = kept_general(vector(1.0), 2.0)
    assert out.node.saved[1] is None and out.node.saved[0][1] == (True, False)

    @undifferentiable(np.spacing, symbol="U", samples=[((2,),)], promote=("x",), floats=True)
    def kept_constant(x):
        """x"""
        return x.copy()

    op = kept_constant.op
    assert (op.kind, op.symbol, op.samples, list(op.promoted), op.floats, op.view) == ("constant", "U", [((2,),)], [0], True, False)
    assert kept_constant(tg.arange(2)).dtype == np.float32

    @elementwise(x=lambda g, out: g * out, y=None)
    def kept_result(x, y):
        """x"""
        return x * 1.0

    assert kept_result.op.keeps_values and list(kept_result.op.promoted) == [0, 1]

    @general(x=lambda g: g, y=None)
    def half_promoted(x, y):
        """x"""
        return x * 1.0

    assert list(half_promoted.op.promoted) == [0] and not half_promoted.op.keeps_values

    def named_rule(g):
        return g

    @general(x=named_rule)
    def by_name(x):
        """x"""
        return x * 1.0

    assert by_name.op.rules[0].__name__ == "named_rule"


def test_a_result_can_be_given_a_gradient():
    y = vector(1.0) * 2
    y.grad = tg.ones(1, dtype=tg.float64)
    assert y.grad.item() == 1.0, "and there is no warning that it has none"


def test_freshly_specialised_functions_do_what_the_general_ones_do():
    """Written anew here, as the functions of operators are written only once."""
    from tinygrad_edu.autograd.specialize import function_of as fresh_function
    from tinygrad_edu.autograd.specialize import general_function

    f8, f4 = np.array([0.5, 1.5]), np.array([0.5, 1.5], np.float32)
    kinds = [lambda a: tg.tensor(a, requires_grad=True), lambda a: Tensor(a.copy(), None), lambda a: a.copy(), lambda a: 2, lambda a: 2.0, lambda a: True]
    for name, count, params in (("mul", 2, {}), ("pow", 2, {}), ("add", 2, {}), ("maximum", 2, {}), ("exp", 1, {}), ("sum", 1, {}), ("sum", 1, dict(axis=0, keepdims=True)),
                                ("clip", 1, dict(low=0.7)), ("softmax", 1, dict(axis=0)), ("eq", 2, {}), ("reshape", 1, dict(shape=(2, 1))), ("squared_error", 2, dict(reduction="sum"))):  # fmt: skip
        op = registry[name]
        special, plain = fresh_function(op), general_function(op)
        for array in (f8, f4, np.array([1, 2])):
            for chosen in [(k,) for k in kinds] if count == 1 else [(a, b) for a in kinds for b in kinds]:
                outcomes = []
                for function in (special, plain):
                    try:
                        xs = [k(array if i == 0 else f8 if array is f4 else array) for i, k in enumerate(chosen)]
                        out = function(*xs, **params)
                        row = [type(out), np.asarray(getattr(out, "array", out)).tolist(), str(out.dtype), getattr(out, "requires_grad", None)]
                        if isinstance(out, Tensor) and out.node is not None:
                            leaves = [x for x in xs if isinstance(x, Tensor) and x.requires_grad]
                            row += [g.tolist() for g in engine.grad(out, leaves, Tensor(np.ones(out.shape, out.dtype), None))]
                            row.append([s is None for s in out.node.parents])
                    except Exception as error:
                        row = [type(error)]
                    outcomes.append(row)
                assert outcomes[0] == outcomes[1], (name, array.dtype, outcomes)
    x, w, b = (tg.tensor(a, requires_grad=True) for a in (np.ones((2, 3)), np.ones((4, 3)), np.ones(4)))
    for name, args, params in (("affine", (x, w, b), {}), ("affine", (x, w), {}), ("affine", (x, w, None), {}), ("normalize", (x, tg.ones(3, dtype=tg.float64)), dict(axes=(1,))),
                               ("normalize", (x,), dict(axes=(1,))), ("normalize", (x.detach(), w[0], w[1]), dict(axes=(1,)))):  # fmt: skip
        rows = []
        for function in (fresh_function(registry[name]), general_function(registry[name])):
            out = function(*args, **params)
            leaves = [a for a in args if a is not None and a.requires_grad]
            rows.append((out.tolist(), [p is None for p in out.node.parents if p is not None or True][: len(args)], [g.tolist() for g in engine.grad(out.sum(), leaves)]))
        assert rows[0] == rows[1], name
    for wrong in (lambda f: f(), lambda f: f(x, w, b, 1), lambda f: f(x, w, wrong=1), lambda f: f(x)):
        with pytest.raises(TypeError):
            wrong(fresh_function(registry["affine"]))


def test_results_come_as_a_tuple():
    x = vector(1.0, 2.0)
    assert type(engine.grad((x * x).sum(), x)) is tuple and type(engine.grad((x * x).sum(), [x])) is tuple
    later = (x * x).sum()
    assert type(engine.grad([later], (x,), [None])) is tuple


def test_several_hooks_after_accumulation():
    x, y, seen = vector(1.0), vector(2.0), []
    x.register_post_accumulate_grad_hook(lambda t: seen.append("x"))
    y.register_post_accumulate_grad_hook(lambda t: seen.append("y"))
    (x * y).sum().backward()
    assert sorted(seen) == ["x", "y"]
