"""Shared memory, writes in place and back propagation's public functions: what a wrong condition in them would change.

Each test here was written for mutants of tests/mutation/run.py that everything else let live.
"""

import warnings
import weakref

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.autograd import Function, engine, memory
from tinygrad_edu.autograd.function import FunctionCtx
from tinygrad_edu.autograd.node import ancestors, births, leaf
from tinygrad_edu.autograd.operator import elementwise, registry


def vector(*values, dtype=tg.float64):
    return tg.tensor(values, dtype=dtype, requires_grad=True)


# --- gradients that an optimizer has used ------------------------------------------------------------------------------------


@pytest.mark.parametrize("call, held", [
    (lambda g: g.mul_(0.5), True), (lambda g: g.div_(2), True), (lambda g: g.clamp_(-9, 9), True),
    (lambda g: g.clip_(-9, 9), True), (lambda g: None, True),
    (lambda g: g.zero_(), False), (lambda g: g.fill_(1), False), (lambda g: g.copy_(tg.ones(2)), False),
])  # fmt: skip
def test_scaled_and_clipped_gradients_still_hold_what_a_step_used(call, held):
    x = tg.tensor([1.0, 2.0], requires_grad=True)
    optimizer = tg.optim.SGD([x], lr=0.1)
    (x * 2).sum().backward()
    optimizer.step()
    (x * 2).sum().backward()
    call(x.grad)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        optimizer.step()
    assert ["zero_grad" in str(w.message) for w in caught] == [True] * held


@pytest.mark.parametrize("added, when, what, held", [
    (False, None, "", True), (False, "before", "zero_", True), (False, "before", "mul_", True), (False, "after", "mul_", False),
    (False, "after", "clip_", False), (False, "after", "zero_", False), (True, "after", "backward()", True),
    (True, "after", "mul_", True), (True, "after", "clamp_", True),
    (True, "after", "zero_", False), (True, "before", "zero_", True), (True, None, "", True),
])  # fmt: skip
@pytest.mark.parametrize("shared", [False, True])
def test_what_note_use_remembers(added, when, what, held, shared):
    """After a step any write to the gradient replaces it; once `backward()` has added to it, scaling does not."""
    g = tg.ones(2)
    if when == "before":
        memory.note_write(g.array, what)
    step = births()
    g.used, g.shared = -step if added else step, shared
    if when == "after":
        memory.note_write(g.array, what)
    memory.note_use(g)
    assert g.used == (-step if held and not shared else 0)


def test_a_leaf_in_memory_of_a_constant_is_still_a_leaf():
    whole = tg.zeros(3)
    part = whole[:2].requires_grad_()
    with pytest.raises(RuntimeError, match="a leaf tensor that requires grad cannot be updated"):
        part.add_(1)
    assert whole.tolist() == [0.0, 0.0, 0.0] and part.is_leaf


def test_the_first_step_may_have_any_number():
    g = tg.ones(2)
    g.used = 1
    memory.note_write(g.array, "mul_")
    memory.note_use(g)
    assert g.used == 0


# --- saved values: what counts as overwritten -----------------------------------------------------------------------------


@pytest.mark.parametrize("given, changed, found", [
    ("before", "before", None), ("before", "after", None), ("after", "after", "NumPy"), ("after", "never", None),
    ("never", "after", None),
])  # fmt: skip
def test_memory_given_away_counts_from_then_on(given, changed, found):
    """What was given away before a node was made, the node has copied; what is given away later is compared with what it was."""
    array = np.arange(3.0)
    for now in ("before", "after"):
        if given == now:
            memory.hand_out(array)
        if changed == now:
            array[0] = 9.0
        if now == "before":
            node = leaf((3,), array.dtype)
    result = memory.overwritten(node, array)
    assert result is found if found is None else found in result


def test_a_dead_array_says_nothing_of_the_one_that_has_its_number_now():
    node, array, dead = leaf((3,), np.dtype("f8")), np.arange(3.0), np.ones(3)
    alive = weakref.ref(dead)
    del dead
    memory.handed_out[id(array)] = births(), memory.checksum(array) + 1, alive
    memory.writes[id(array)] = [(births(), None)], "add_", alive
    assert memory.overwritten(node, array) is None and memory.last_write_to(array) == (0, "")
    memory.note_write(array, "x.data", array[1:])
    assert memory.overwritten(node, array[:1]) is None and memory.overwritten(node, array) == "x.data"
    memory.note_write(array[1:], "add_")
    assert memory.overwritten(node, array) == "add_"


def test_results_computed_again_are_not_taken_for_dead_arrays_that_were_written_to():
    for _ in range(20):
        x = tg.tensor(np.arange(8.0).reshape(1, 1, 8), requires_grad=True)
        out = tg.nn.functional.max_pool1d(x, 2)
        with tg.no_grad():
            out.mul_(0)
        others = [tg.ones(3).add_(1) for _ in range(20)]
        del others
        out.sum().backward()
        assert x.grad.tolist() == [[[0.0, 1.0] * 4]]


def test_a_result_is_computed_again_exactly_where_that_is_needed_and_possible(fresh_registry):
    calls = []

    @elementwise(x=lambda g, x, out: 2 * g * out / x)
    def counted_square(x):
        """x²"""
        calls.append(1)
        return x * x

    for written, again, right in [("neither", 0, True), ("out", 1, True), ("x", 0, False), ("both", 0, False)]:
        leaf_of_all = vector(1.0, 3.0)
        x = leaf_of_all * 1
        out = counted_square(x)
        calls.clear()
        with tg.no_grad():
            tg.ones(1).add_(1)
            for t in dict(neither=(), out=(out,), x=(x,), both=(out, x))[written]:
                t.add_(1)
        if right:
            out.sum().backward(retain_graph=True)
            assert leaf_of_all.grad.tolist() == [2.0, 6.0]
            with tg.no_grad():
                x.add_(1)
        assert len(calls) == again
        with pytest.raises(RuntimeError, match="counted_square saved a value"):
            out.sum().backward()
        assert len(calls) == again


@pytest.mark.parametrize("constant", [0, 1, None])
def test_results_of_several_inputs_are_not_computed_again(constant):
    inputs = [vector(1.0, 2.0) if k != constant else tg.ones(2, dtype=tg.float64) for k in range(2)]
    for name in ("logaddexp", "hypot"):
        out = registry[name].function(*inputs)
        with tg.no_grad():
            out.mul_(2)
        with pytest.raises(RuntimeError, match=f"{name} saved a value"):
            out.sum().backward()


class Scaled(Function):
    """x · factor; the factor is a constant for back propagation."""

    @staticmethod
    def forward(ctx, x, factor):
        ctx.save_for_backward(None, factor)
        return x * factor, x * 2

    @staticmethod
    def backward(ctx, g, h):
        return g * ctx.saved_tensors[1] + 2 * h, None


@pytest.mark.parametrize("shared", ["given by NumPy", "a view of it", "given to NumPy", "plain"])
def test_what_a_function_saves_is_out_of_numpys_reach(shared):
    x, array = vector(1.0, 2.0), np.ones(2)
    factor = tg.from_numpy(array)
    if shared == "a view of it":
        factor = factor[:]
    elif shared != "given by NumPy":
        factor = tg.ones(2, dtype=tg.float64)
        array = factor.numpy() if shared == "given to NumPy" else array
    first, second = Scaled.apply(x, factor)
    array[:] = 100.0
    tg.ones(1).add_(1)
    (first + second).sum().backward()
    assert x.grad.tolist() == [3.0, 3.0]


def test_what_is_dead_is_forgotten_and_what_lives_is_not(monkeypatch):
    """Arrays that were given away: the list of them is tidied up now and then, whatever numbers the new ones have."""
    monkeypatch.setattr(memory, "handed_out", {})
    first, second = ([np.ones(1) for _ in range(1500)] for _ in range(2))
    for array in first:
        memory.hand_out(array)
    assert len(memory.handed_out) == 1500
    del first, array
    for array in second:
        memory.hand_out(array)
    assert len(memory.handed_out) == 1500 and all(memory.handed_out[id(a)][2]() is a for a in second)


# --- views and aliases -------------------------------------------------------------------------------------------------------


def test_history_stays_on_its_side_of_detach():
    """As in PyTorch: what detach() returns shares memory, and neither side gets the other's history."""
    w = vector(1.0, 2.0, 3.0)
    c = tg.zeros(3, dtype=tg.float64)
    d = c.detach()
    d.add_(w)
    assert c.tolist() == d.tolist() == [1.0, 2.0, 3.0] and d.node.name == "add" and not c.requires_grad
    d[1:].mul_(w[1:])
    assert c.tolist() == [1.0, 4.0, 9.0] and not c.requires_grad
    assert {t.name for t in ancestors(d.node)} == {"leaf", "add", "getitem", "mul", "put_flat"}, "what is no view is not taken"
    c = tg.zeros(3, dtype=tg.float64)
    d, part = c.detach(), c[1:]
    inner = d[1:]
    c.add_(w)
    assert d.tolist() == [1.0, 2.0, 3.0] and [t.requires_grad for t in (c, part, d, inner)] == [True, True, False, False]
    part.sum().backward()
    assert w.grad.tolist() == [0.0, 1.0, 1.0]


def test_views_of_views_of_what_detach_returned():
    w = vector(1.0, 2.0, 3.0)
    c = tg.ones(3, dtype=tg.float64)
    d = c.detach()
    v = d[1:]
    u = v[1:]
    assert u.detached is d and c[1:][1:].detached is None
    d.mul_(w)
    assert u.requires_grad and u.tolist() == [3.0]
    u.sum().backward()
    assert w.grad.tolist() == [0.0, 0.0, 1.0]


def test_an_updated_view_is_a_view_of_the_updated_root():
    """As in PyTorch: a kept gradient of the view is that of its own uses; those of the root come through the root."""
    x = vector(1.0, 2.0, 3.0, 4.0)
    y = x * 1
    a = y[:2]
    a.retain_grad()
    a.mul_(10)
    (a.sum() + 5 * y.sum()).backward()
    assert a.grad.tolist() == [1.0, 1.0] and x.grad.tolist() == [60.0, 60.0, 5.0, 5.0]
    c, x = tg.zeros(4, dtype=tg.float64), vector(1.0, 2.0)
    v = c.detach()[1:]
    v[1:] = x
    v.retain_grad()
    (v * v).sum().backward()
    assert v.grad.tolist() == [0.0, 2.0, 4.0] and x.grad.tolist() == [2.0, 4.0] and not c.requires_grad


@pytest.mark.parametrize("seed", range(20))
def test_programs_of_random_updates_through_views(seed):
    """Whatever is updated through whichever view, in any order: these programs are affine, so one difference tells the slope."""
    places = [0, -1, slice(1, 3), np.s_[:, 1], (0, 2), np.s_[..., 0], np.s_[:, ::2]]

    def run(values):
        rng, given = np.random.default_rng(seed), tg.tensor(values, requires_grad=True)
        x, views = given * 1.5, []
        for _ in range(8):
            i, kind = places[rng.integers(len(places))], rng.integers(5)
            if kind == 0:
                x[i] += given[i] * 2
            elif kind == 1:
                x[i] *= 1.25
            elif kind == 2:
                x[i] = x[i]
            elif kind == 3:
                x[i] = given[i] - 1
            else:
                views.append(x[i])
            if views and rng.random() < 0.4:
                views[-1].mul_(0.5)
        total = (x * tg.tensor(np.arange(1.0, 13.0).reshape(3, 4))).sum() + sum(((v * 3).sum() for v in views), tg.zeros(()))
        total.backward()
        return total.item(), given.grad.numpy()

    rng = np.random.default_rng(seed + 100)
    start, step = rng.standard_normal((2, 3, 4))
    (before, slope), (after, _) = run(start), run(start + step)
    np.testing.assert_allclose((slope * step).sum(), after - before, rtol=1e-9, atol=1e-9)


def test_where_the_elements_of_views_lie():
    numbers = np.arange(24.0).reshape(2, 3, 4)
    strided = [numbers[:, ::2], numbers[::-1, 1:], numbers.transpose(1, 0, 2), np.asfortranarray(numbers)]
    for root in (numbers, numbers.astype("f4"), *strided):
        for part in (..., slice(1, None), (..., 1), np.s_[:, ::-1, 1:3], (0, 0, 0, ...), slice(0), (None, 1, slice(None), None)):
            view = root[part].T
            where = memory.positions_of(view, root)
            assert np.array_equal(root.reshape(-1)[where], view) and where.dtype == np.int64


def test_adding_to_a_part_writes_it_once():
    """x[i] += y updates the view x[i], and puts it where it is already: that adds nothing to the history."""
    for index in (0, -1, slice(1, 3), ..., (), (slice(None), 1), (0, 2), None, (..., 0)):
        x, a, b = (vector(*np.arange(1.0, 10.0)).reshape(3, 3) * k for k in (1, 2, 3))
        x[index] += a[index] * b[index]
        names = [node.name for node in ancestors(x.node)]
        assert names.count("put_flat") == 1 and "setitem" not in names
        x[index] = a[index]
        assert x.node.name == "setitem" and np.array_equal(x[index].detach().numpy(), a[index].detach().numpy())
    leaf_of_all = vector(1.0, 2.0, 3.0)
    x = leaf_of_all * 2
    x[1] *= 3
    x[1:] -= x[:2]
    x[0] = x[1]
    (x * vector(1.0, 10.0, 100.0).detach()).sum().backward()
    assert x.tolist() == [10.0, 10.0, -6.0] and leaf_of_all.grad.tolist() == [-2 * 11, 6 * 11 - 6 * 100, 2 * 100]
    with pytest.raises(RuntimeError, match="leaf"):
        leaf_of_all[0] = leaf_of_all[0]


def test_an_update_of_the_root_adds_one_step_to_its_history():
    y = vector(1.0, 2.0) * 1
    view = y[:1]
    y.mul_(3)
    assert y.node.name == "mul" and len(ancestors(y.node)) == 3 and view.grad_fn.next_functions[0][0] is y.grad_fn
    alone = vector(1.0, 2.0) * 1
    alone.mul_(3)
    assert alone.node.name == "mul" and len(ancestors(alone.node)) == 3


def test_the_wish_for_a_gradient_moves_and_is_not_made_up():
    x = vector(1.0, 2.0)
    y = x * 2
    y.retain_grad()
    former = y.node
    y.mul_(3)
    y.sum().backward()
    assert y.grad.tolist() == [1.0, 1.0] and former.grad is None
    y = x * 2
    y.register_hook(lambda g: None)
    y.mul_(3)
    y.sum().backward()
    with pytest.warns(UserWarning, match="retain_grad"):
        assert y.grad is None


def test_aliases_of_views_share_what_the_root_knows():
    """NumPy writes through an alias of a view: the memory is known to be shared, from the root to every view."""
    c, w = tg.tensor([1.0, 2.0, 3.0]), tg.ones(3, requires_grad=True)
    array = c[1:].detach().numpy()
    out = (c * w).sum()
    array[:] = 100.0
    out.backward()
    assert w.grad.tolist() == [1.0, 2.0, 3.0]
    y = w * 2
    with tg.no_grad():
        view = y[1:]
    for t in (view.detach(), y.detach().detach(), y.detach()[1:].detach()):
        assert not t.numpy().flags.writeable


def test_an_alias_of_a_leaf_is_plain_memory_once_the_leaf_stops_asking():
    w = tg.tensor([1.0, 2.0], requires_grad=True)
    d = w.detach()
    assert not d.numpy().flags.writeable
    w.requires_grad_(False)
    array = d.numpy()
    array[0] = 5.0
    assert w.tolist() == [5.0, 2.0]
    w.requires_grad_(True)
    array[0] = 7.0
    assert w.tolist() == [5.0, 2.0], "a leaf's memory is its own"


def test_checksums_tell_contents_apart_whatever_the_layout():
    a = np.arange(12.0).reshape(3, 4)
    others = [a.astype(kind) for kind in ("f2", "f4", complex, "i8", bool)]
    for array in (a, a.T, a[::2], a[:, 1], a[::-1], np.asfortranarray(a), a[:0], np.array(3.0), *others):
        before = memory.checksum(array)
        assert before == memory.checksum(array.copy())
        if array.size:
            changed = array.copy()
            changed[(-1,) * array.ndim] = 1 - changed[(-1,) * array.ndim]
            assert memory.checksum(changed) != before


# --- writes ------------------------------------------------------------------------------------------------------------------


def test_outside_of_graphs_everything_can_be_updated():
    array = np.ones(3)
    x = tg.from_numpy(array)
    part = x[:2]
    assert x.clamp_(min=2.0) is x and part.pow_(2.0) is part
    assert array.tolist() == [4.0, 4.0, 2.0] and not x.requires_grad
    calls = []
    memory.write(part, "test_", lambda former: calls.append(1) or former * 2)
    assert len(calls) == 1 and array.tolist() == [8.0, 8.0, 2.0]
    w = vector(-1.0, 2.0)
    y = w * 1
    with tg.no_grad():
        for t in (w, w[:1], y, y[:1]):
            node = t.node
            assert t.clamp_(min=0.5) is t and t.node is node and t.relu_() is t and t.node is node
    assert w.requires_grad and w.is_leaf and w.tolist() == [0.5, 2.0] == y.tolist()


def test_an_update_that_changes_nothing_is_an_update():
    x = tg.tensor([1, 2, 3])
    version = x._version
    assert x.floor_() is x and memory.write(x, "same_", lambda former: former) is x
    assert x.tolist() == [1, 2, 3] and x._version > version


@pytest.mark.parametrize("make, words", [
    (lambda: vector(1.0, 2.0), "^add_: a leaf tensor that requires grad"),
    (lambda: vector(1.0, 2.0)[:1], "^add_: memory that is shared with a leaf tensor that requires grad"),
])  # fmt: skip
def test_who_is_a_leaf_is_said(make, words):
    with pytest.raises(RuntimeError, match=words):
        make().add_(1)


def test_shared_memory_with_views_is_not_updated_in_a_graph():
    w, array = vector(1.0, 2.0, 3.0), np.ones(3)
    x = tg.from_numpy(array)
    view = x[:1]
    with pytest.raises(RuntimeError, match="^mul_: NumPy shares this memory"):
        x.mul_(w)
    assert array.tolist() == [1.0, 1.0, 1.0] and not x.requires_grad and view.item() == 1.0
    del view
    x.mul_(w)
    array[:] = 0.0
    (x * x).sum().backward()
    assert w.grad.tolist() == [2.0, 4.0, 6.0]
    x[:1].mul_(w[2])
    assert x.tolist() == [3.0, 2.0, 3.0], "from then on the memory is the tensor's own"


def test_the_history_of_an_updated_tensor_has_the_tensors_type():
    w = vector(3.0, 4.0)
    for make in (lambda: tg.ones(2), lambda: tg.ones(2, requires_grad=True) * 1):
        y = make()
        y.mul_(w)
        assert y.dtype == y.node.dtype == np.float32 and y.tolist() == [3.0, 4.0]
    x = tg.tensor(2.0, requires_grad=True)
    y = x * 1
    y.retain_grad()
    y.mul_(tg.tensor(3.0, dtype=tg.float64))
    y.backward()
    if y.dtype == np.float32:
        assert y.grad.dtype == x.grad.dtype == np.float32 and x.grad.item() == 3.0


def test_every_update_takes_tensors():
    """A former value without history is given to the operator as a tensor, as the values in the graph are."""
    w = tg.tensor([[5.0, 6.0], [7.0, 8.0]], requires_grad=True)
    x = tg.zeros(2, 2)
    x.put_(tg.tensor([[0, 1], [3, 2]]), w)
    assert x.tolist() == [[5.0, 6.0], [8.0, 7.0]]
    (x * tg.tensor([[1.0, 10.0], [100.0, 1000.0]])).sum().backward()
    assert w.grad.tolist() == [[1.0, 10.0], [1000.0, 100.0]]


@pytest.mark.parametrize("make, words", [
    (lambda: tg.ones(1).expand(3), "expanded"), (lambda: tg.ones(1).expand(2), "expanded"),
    (lambda: tg.ones(1, 3).expand(2, 3), "expanded"), (lambda: tg.ones(2, 1).expand(2, 2), "expanded"),
    (lambda: tg.from_numpy(locked(np.ones(3))), "read-only"), (lambda: tg.from_numpy(locked(np.ones((1, 1)))), "read-only"),
    (lambda: tg.from_numpy(np.broadcast_to(np.ones(3), (1, 3))), "read-only"),
    (lambda: tg.from_numpy(locked(np.zeros((2, 1)))), "read-only"),
])  # fmt: skip
def test_why_memory_cannot_be_written(make, words):
    for write in (lambda x: x.add_(1), lambda x: x.clamp_(2.0), lambda x: x.__setitem__(Ellipsis, 3.0), lambda x: x.zero_()):
        x = make()
        before = x.tolist()
        with pytest.raises(RuntimeError, match=words):
            write(x)
        assert x.tolist() == before


def locked(array):
    array.flags.writeable = False
    return array


# --- tensors -----------------------------------------------------------------------------------------------------------------


def test_requires_grad_takes_any_truth_value():
    for yes in (True, 1, 2, "yes", np.True_):
        x = tg.ones(2)
        x.requires_grad = yes
        node = x.node
        x.grad = tg.ones(2)
        x.requires_grad = yes
        assert x.node is node and x.grad is not None, "asked for twice changes nothing"
        for no in (False, 0, None, "", np.False_):
            x.requires_grad = no
            assert x.requires_grad is False
            x.requires_grad = no
            x.requires_grad = yes


def test_a_leaf_owns_memory_only_where_numpy_has_it_too():
    c = tg.zeros(4)
    view = c[1:3]
    view.requires_grad_()
    with tg.no_grad():
        c.add_(1)
    assert view.tolist() == [1.0, 1.0], "a leaf may be a view, as in PyTorch"
    x = tg.from_numpy(np.ones(2))
    x.requires_grad_()
    assert not x.shared
    x.requires_grad_(False)
    w = vector(2.0)
    part = x[:1]
    part.mul_(w)
    assert x.requires_grad and x.tolist() == [2.0, 1.0]


def test_leaves_have_no_grad_fn():
    x = vector(1.0)
    assert x.grad_fn is None and (x * 2).node.name == "mul" and tg.ones(1).grad_fn is None


def test_a_gradient_given_to_a_constant_stays_when_it_becomes_a_leaf():
    x, g = tg.ones(2), tg.ones(2)
    x.grad = g
    x.requires_grad_()
    assert x.grad is g and x.node.shape == (2,) and x.node.dtype == np.float32
    (x * 3).sum().backward()
    assert x.grad is g and g.tolist() == [4.0, 4.0]


def test_tensors_are_told_apart_by_what_they_are():
    x, same = tg.ones(2), tg.ones(2)
    assert len({x, same, x}) == 2 and {x: 1, same: 2}[x] == 1 and hash(x) != hash(same)


def test_numbers_become_memory_when_they_are_shared():
    x = tg.ones(3).sum()
    assert not isinstance(x.array, np.ndarray)
    array = memory.as_memory(x)
    assert array is x.array is memory.as_memory(x) and type(array) is np.ndarray and array.shape == ()
    alias = tg.ones(3).sum().detach()
    alias[...] = 5.0
    assert alias.item() == 5.0


# --- the public functions of back propagation -----------------------------------------------------------------------------


def test_backward_takes_one_tensor_or_several_of_each():
    def check(expected, *args, **kwargs):
        x, y = vector(1.0, 2.0), vector(3.0, 4.0)
        roots = [arg(x, y) for arg in args]
        engine.backward(*roots, **{k: v(x, y) for k, v in kwargs.items()})
        assert [t.grad if t.grad is None else t.grad.tolist() for t in (x, y)] == expected

    seed = tg.tensor([1.0, 10.0], dtype=tg.float64)
    check([[3.0, 4.0], [1.0, 2.0]], lambda x, y: (x * y).sum())
    check([[3.0, 4.0], [1.0, 2.0]], lambda x, y: [(x * y).sum()])
    check([[3.0, 3.0], [2.0, 2.0]], lambda x, y: (t for t in ((x * 3).sum(), (y * 2).sum())))
    check([[3.0, 40.0], [1.0, 20.0]], lambda x, y: x * y, lambda x, y: seed)
    check([[3.0, 40.0], [1.0, 20.0]], lambda x, y: [x * y], lambda x, y: [seed])
    check([[3.0, 40.0], [2.0, 2.0]], lambda x, y: iter([x * y.detach(), (y * 2).sum()]), lambda x, y: iter([seed, None]))
    check([[3.0, 40.0], [1.0, 20.0]], lambda x, y: x * y, lambda x, y: np.array([1.0, 10.0]))
    check([[6.0, 8.0], [2.0, 4.0]], lambda x, y: (x * y).sum(), lambda x, y: 2.0)
    for inputs in (lambda x, y: x, lambda x, y: [x], lambda x, y: (t for t in [x])):
        check([[3.0, 4.0], None], lambda x, y: (x * y).sum(), inputs=inputs)
    check([[3.0, 4.0], [1.0, 2.0]], lambda x, y: (x * y).sum(), inputs=lambda x, y: iter((y, x)))
    for nothing in ([], (), iter([])):
        with pytest.raises(RuntimeError, match="at least"):
            engine.backward((vector(1.0) * 2).sum(), inputs=nothing)
    with pytest.raises(TypeError, match="expected a Tensor to start from, got float"):
        engine.backward(3.0)
    with pytest.raises(RuntimeError, match="input 0 does not require grad"):
        engine.grad(vector(1.0) * 2, 3.0)


def test_backward_to_some_inputs_runs_no_rule_for_the_others(fresh_registry):
    calls = []

    def rule(g, y):
        calls.append("x")
        return g * y

    @elementwise(x=rule, y=lambda g, x: g * x)
    def watched_product_of_two(x, y):
        """x · y"""
        return x * y

    x, y = vector(2.0), vector(3.0)
    engine.backward(watched_product_of_two(x, y), inputs=y)
    assert y.grad.item() == 2.0 and x.grad is None and calls == []
    engine.backward(watched_product_of_two(x, y), inputs=x)
    assert x.grad.item() == 3.0 and y.grad.item() == 2.0 and calls == ["x"]


def test_gradients_are_tensors_and_are_added_to_in_place():
    for x in (vector(1.0, 2.0), tg.tensor(2.0, requires_grad=True)):
        (x * 3).sum().backward()
        held = x.grad
        assert type(held) is tg.Tensor and type(held.array) is np.ndarray
        (x * 3).sum().backward()
        assert x.grad is held and np.all(held.numpy() == 6.0)
    x = vector(1.0, 2.0)
    x.grad = tg.tensor([5.0], dtype=tg.float64).expand(2)
    (x * 3).sum().backward()
    assert type(x.grad) is tg.Tensor and x.grad.tolist() == [8.0, 8.0] and not x.grad.requires_grad
    x.grad.add_(1)
    x = tg.tensor(2.0, requires_grad=True)
    x.grad = number = tg.ones(4).sum()
    (x * 3).sum().backward()
    assert type(x.grad) is tg.Tensor and x.grad.item() == 7.0 and not isinstance(number.array, np.ndarray)


def test_gradients_of_outputs_are_kept_in_recordings_only():
    x = vector(1.0, 2.0)
    y = x * 3
    y.register_hook(lambda g: None)
    x.register_post_accumulate_grad_hook(lambda t: None)
    y.sum().backward(retain_graph=True)
    assert y.node.note.gradient is None and x.node.note.gradient is None


def test_hooks_after_accumulation_are_for_what_accumulates():
    seen, x, root = [], vector(1.0), vector(5.0)
    root.register_post_accumulate_grad_hook(lambda t: seen.append("root"))
    engine.backward([root, x * 2], inputs=[x])
    assert seen == [] and root.grad is None and x.grad.tolist() == [2.0]
    engine.backward([root, x * 2])
    assert seen == ["root"] and root.grad.tolist() == [1.0]


def test_many_gradients_at_once():
    x, other = vector(1.0, 2.0, 3.0), vector(1.0)
    matrix = tg.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], dtype=tg.float64)
    eye = tg.eye(2, dtype=tg.float64)
    assert tg.autograd.grad(matrix @ x, x, eye, is_grads_batched=True)[0].tolist() == matrix.tolist()
    with pytest.raises(RuntimeError, match="do not depend on input 1"):
        tg.autograd.grad(matrix @ x, [x, other], eye, is_grads_batched=True)
    found = tg.autograd.grad(matrix @ x, [x, other], eye, is_grads_batched=True, allow_unused=True)
    assert found[0].tolist() == matrix.tolist() and found[1] is None
    found = tg.autograd.grad(matrix @ x, [x, other], eye, is_grads_batched=True, materialize_grads=True)
    assert found[1].tolist() == [[0.0], [0.0]]
    (found,) = tg.autograd.grad(matrix @ x**2, x, eye, is_grads_batched=True, create_graph=True)
    assert found.tolist() == (2 * matrix * x.detach()).tolist() and found.requires_grad
    assert tg.autograd.grad(found[1].sum(), x)[0].tolist() == [8.0, 10.0, 12.0]


def test_a_second_pass_reads_what_the_first_left():
    """Contributions, hooks and kept gradients are the same in every pass through a graph that is kept."""
    rng = np.random.default_rng(0)
    x = tg.tensor(rng.standard_normal(4), requires_grad=True)
    h = x.sin()
    h.retain_grad()
    seen = []
    h.register_hook(lambda g: seen.append(g.numpy().copy()))
    out = (h * h + h * x + x.exp() * h + h).sum()
    passes = []
    for _ in range(3):
        x.grad = h.node.grad = None
        out.backward(retain_graph=True)
        passes.append((x.grad.numpy().copy(), h.grad.numpy().copy()))
        x.grad.mul_(0)
        h.grad.mul_(0)
    for gx, gh in passes[1:]:
        np.testing.assert_array_equal(gx, passes[0][0])
        np.testing.assert_array_equal(gh, passes[0][1])
    a = x.detach().numpy()
    np.testing.assert_allclose(passes[0][1], 2 * np.sin(a) + a + np.exp(a) + 1)
    assert len(seen) == 3


def test_backprop_speaks_of_arrays_unless_a_graph_is_wanted():
    x = vector(1.0, 2.0)
    y = x * x
    for seed, options in ((np.ones(2), {}), (tg.ones(2, dtype=tg.float64), dict(create_graph=True))):
        grads = {y.node: seed}
        steps = list(engine.backprop(grads, retain_graph=True, **options))
        assert len(steps) == 1 and steps[0][0] is y.node and steps[0][1] is seed
        assert list(grads) == [x.node] and type(grads[x.node]) is type(seed)


def test_hooks_of_some_leaves_run_once_the_gradient_is_complete():
    seen, x, y, z = [], vector(1.0), vector(2.0), vector(3.0)
    y.register_hook(lambda g: seen.append(g.item()))
    z.register_hook(lambda g: g * 10)
    (x * y + y * z + y).backward()
    assert seen == [1 + 3 + 1] and [t.grad.item() for t in (x, y, z)] == [2.0, 5.0, 20.0]
    assert [g.item() for g in engine.grad(x * y + y * z + y, (x, y, z))] == [2.0, 5.0, 20.0] and seen == [5.0, 5.0]


def test_bad_gradients_are_looked_for_where_that_is_asked():
    x = vector(0.0)
    with tg.autograd.detect_anomaly(), np.errstate(all="ignore"):
        y = (x**0.5).sum()
        with pytest.raises(RuntimeError, match="pow"):
            y.backward()
    assert x.grad is None


def test_a_gradient_is_taken_as_it_is_exactly_where_nobody_else_holds_its_memory(fresh_registry):
    made, kept, pieces = [], np.ones(3), np.arange(6.0)

    def fresh(g):
        made.append(id(array := np.full(3, 7.0)))
        return array

    stretched, part = lambda g: np.broadcast_to(np.float64(2), 3), lambda g: np.arange(6.0)[:3]
    results = [fresh, lambda g: kept, lambda g: pieces[:3], stretched, part]

    @elementwise(x=lambda g, k: results[k](g))
    def giving(x, *, k):
        """x"""
        return x.copy()

    def gradient(k):
        x = tg.tensor(np.zeros(3), requires_grad=True)
        giving(x, k=k).sum().backward()
        return x.grad.array

    assert id(gradient(0)) == made[0], "no copy of what is nobody else's"
    for k in range(1, 5):
        found = gradient(k)
        assert found.base is None and found.flags.writeable
        assert not np.shares_memory(found, kept) and not np.shares_memory(found, pieces)
    x = vector(1.0, 2.0)
    h = x * 1
    h.retain_grad()
    (h + 0).sum().backward()
    h.grad.add_(1)
    assert x.grad.tolist() == [1.0, 1.0], "what is kept for a result is not its input's"


# --- writes through .data to parts of a memory -------------------------------------------------------------------------


def drawn_index(rng, shape):
    """A random index of ints and slices, such as x[1, ::2]."""
    return tuple(int(rng.integers(n)) if rng.random() < 0.4 else slice(int(rng.integers(n)), None, int(rng.integers(1, 4))) for n in shape)


@pytest.mark.parametrize("seed", range(4))
def test_writes_to_parts_are_refused_where_they_touch_what_was_saved(seed):
    rng, numbers = np.random.default_rng(seed), np.arange(24).reshape(4, 6)
    for _ in range(30):
        x, saved = tg.zeros(4, 6, dtype=tg.float64), drawn_index(rng, (4, 6))
        for _ in range(rng.integers(0, 3)):  # before anything is saved, every write is free
            x.data[drawn_index(rng, (4, 6))] = 1.0
        w = tg.ones_like(x[saved], requires_grad=True)
        loss, before, touched = (w * x[saved]).sum(), x[saved].tolist(), False
        for _ in range(rng.integers(1, 4)):
            index = drawn_index(rng, (4, 6))
            x.data[index] = 2.0
            touched |= bool(np.isin(numbers[index], numbers[saved]).any())
        if touched:
            with pytest.raises(RuntimeError, match="has overwritten"):
                loss.backward()
        else:
            loss.backward()
            assert w.grad.tolist() == before


def bytes_of(array):
    """Where each byte of each element lies."""
    start = array.__array_interface__["data"][0]
    first = [start + sum(i * step for i, step in zip(place, array.strides)) for place in np.ndindex(array.shape)]
    return {place + k for place in first for k in range(array.itemsize)}


def test_what_a_part_touches_is_known_to_the_byte():
    """Parts of one memory, read as numbers of any size: real and imaginary parts, halves of a number, every other column."""
    rng, buffer, found = np.random.default_rng(0), np.zeros(24 * 8, np.uint8), set()
    for _ in range(150):
        sides = []
        for _ in range(2):
            array = buffer.view(rng.choice(["u1", "f2", "f4", "f8", "c8", "c16"])).reshape(rng.choice([2, 4, 6]), -1)
            array = array.imag if rng.random() < 0.3 and array.dtype.kind == "c" else array
            sides.append(array[(*drawn_index(rng, array.shape), ...)])
        both = bool(bytes_of(sides[0]) & bytes_of(sides[1]))
        assert memory.touches(sides[0].__array_interface__, sides[1]) is both
        found.add(both)
    assert found == {True, False}
    z, w = tg.ones(3, dtype=tg.complex64), tg.ones(3, requires_grad=True)
    loss = (w * z.real).sum()
    z.imag.data[1:] = 5.0
    loss.backward()
    assert w.grad.tolist() == [1.0, 1.0, 1.0]


@pytest.mark.parametrize("count, touching, refused", [
    (1, None, False), (63, None, False), (64, None, True), (100, None, True), (1, 0, True), (63, 0, True), (63, 30, True), (63, 62, True),
])  # fmt: skip
def test_only_the_latest_parts_are_remembered(count, touching, refused):
    """Of more than that, some may have touched anything: back propagation refuses rather than guesses."""
    array, node = np.zeros(200), None
    for k in range(-1, count):
        place = 1 if k == touching else 10 + k
        memory.note_write(array, "x.data", array[place : place + 1])
        node = node or leaf((2,), array.dtype)  # the first write is older
    assert memory.overwritten(node, array[:2]) == ("x.data" if refused else None)
    assert memory.overwritten(leaf((2,), array.dtype), array) is None, "saved after all of it"
    assert len(memory.writes[id(array)][0]) <= 64


@pytest.mark.parametrize("write", [
    lambda x: x.fill_(2.0), lambda x: x.__setitem__(5, 2.0), lambda x: x[5:].fill_(2.0), lambda x: x.data.__setitem__(tg.tensor([5]), 2.0),
    lambda x: x.data.fill_(2.0), lambda x: x.data[1:].__setitem__(1, 2.0),
])  # fmt: skip
@pytest.mark.parametrize("order", ["alone", "before", "after"])
def test_writes_that_count_for_all_parts(write, order):
    """In-place updates, other tensors' x[i] = v, and .data with an index that picks: as if they had touched everything."""
    x, w = tg.zeros(8), tg.ones(2, requires_grad=True)
    loss = (w * x[:2]).sum()
    if order == "after":
        x.data[6] = 1.0
    write(x)
    if order == "before":
        x.data[6] = 1.0
    with pytest.raises(RuntimeError, match="has overwritten"):
        loss.backward()
    x.data[6] = 1.0
    loss, expected = (w * x[:2]).sum(), x[:2].tolist()  # saved after all of it
    x.data[6] = 2.0
    loss.backward()
    assert w.grad.tolist() == expected


# --- what was left to find -----------------------------------------------------------------------------------------------


def test_views_know_what_they_are_views_of_and_copies_do_not():
    x = tg.arange(12.0).reshape(3, 4)
    root = x.base
    assert root.base is None and root[2:].base is root and x.T.base is root and x[1:][:, 1:].T.base is root
    assert x.T.reshape(-1).base is x[tg.tensor([0, 2])].base is x.T.contiguous().base is (x * 1)[None].base.base is None
    copy = x.T.reshape(-1)
    copy.mul_(0)
    assert x.sum().item() == 66.0 and root.views[-1]() is not copy
    y = vector(1.0, 2.0) * 1
    for made in (y.detach()[1:], y.detach()[None][0]):
        assert made.detached is made.base and made.base.detached is True
    assert y[1:].detached is None


def test_what_detach_returns_keeps_no_graph():
    x = vector(1.0, 2.0)
    y = x * 2
    node, d, view = weakref.ref(y.node), y.detach(), y[1:].detach()
    del y
    assert node() is None and d.tolist() == [2.0, 4.0] and view.tolist() == [4.0]
    assert d.frozen and view.frozen and not d.numpy().flags.writeable
    c = tg.ones(3)
    assert c.detach().base is c and x.detach().base is x and not x.detach().frozen, "of what no graph has made, it is a view"


KINDS = dict(b=tg.bool, u=tg.uint8, i=tg.int64, s=tg.int8, f=tg.float32, d=tg.float64, c=tg.complex64)


@pytest.mark.parametrize("into", KINDS)
@pytest.mark.parametrize("result", KINDS)
def test_updates_keep_the_category_of_numbers(into, result):
    """As in PyTorch: float results are not cut to integers, nor complex ones to real ones, nor numbers to truth values."""
    x, value = tg.zeros(2, dtype=KINDS[into]), tg.tensor([1, 0]).to(KINDS[result])
    order = "b uis fd c".split()
    rank = lambda kind: next(k for k, kinds in enumerate(order) if kind in kinds)
    if rank(result) > rank(into):
        with pytest.raises(RuntimeError, match="^put_: the result is .* cannot be stored in a tensor of"):
            memory.write(x, "put_", lambda former: value)
        assert not x.any()
    else:
        memory.write(x, "put_", lambda former: value)
        assert x.tolist() == [1, 0] and x.dtype == KINDS[into]


def test_an_update_keeps_what_its_own_rule_needs():
    x = vector(1.0, 2.0)
    y = x * 2
    y.sin_()
    y.mul_(x)
    y.sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), np.sin([2.0, 4.0]) + [2.0, 4.0] * np.cos([2.0, 4.0]))


def test_positions_of_addresses():
    rng = np.random.default_rng(0)
    for n in (1, 2, 7, 400):
        own = rng.integers(0, n, n) * 8
        places = own[rng.permutation(n)]
        assert np.array_equal(memory.found_at(places, own), [np.flatnonzero(own == p)[0] for p in places]), "the first of several"
        for missing in (-8, 3, own.max() + 8):
            assert 0 <= memory.found_at(np.array([missing]), own)[0] < n
    x = tg.arange(10.0)
    view = x[2:5]
    assert view.as_strided((3,), (1,)).tolist() == [2.0, 3.0, 4.0]
    for size, stride, offset in (((4,), (1,), None), ((2,), (9,), None), ((1,), (1,), 0), ((1,), (1,), 9)):
        with pytest.raises(RuntimeError, match="outside of it"):
            view.as_strided(size, stride, offset)


class Mixed(Function):
    """A tensor and a number, or a number alone."""

    @staticmethod
    def forward(ctx, x, alone):
        assert isinstance(ctx, FunctionCtx)
        return 3.5 if alone else (x * 2, 3.5)

    @staticmethod
    def backward(ctx, g, h):
        return g * 2, None


def test_functions_return_what_is_no_tensor_as_it_is():
    for x in (vector(1.0), vector(1.0).detach()):
        with tg.no_grad():
            assert Mixed.apply(x, True) == 3.5
            y, number = Mixed.apply(x, False)
        assert y.tolist() == [2.0] and number == 3.5 and not y.requires_grad
    assert Mixed.apply(x, True) == 3.5 and Mixed.apply(x, False)[1] == 3.5
    with pytest.raises(TypeError, match="must return a Tensor"):
        Mixed.apply(vector(1.0), True)
    y, number = Mixed.apply(vector(1.0), False)
    assert y.requires_grad and number == 3.5


@pytest.mark.parametrize("create_graph", [False, True])
def test_zeros_for_unused_inputs_are_like_other_gradients(create_graph):
    x, unused = vector(1.0, 2.0), tg.ones(2, 3, requires_grad=True)
    used, zeros = engine.grad((x * x).sum(), (x, unused), materialize_grads=True, create_graph=create_graph)
    assert zeros.shape == (2, 3) and zeros.dtype == tg.float32 and not zeros.any()
    assert used.requires_grad is zeros.requires_grad is create_graph
    if create_graph:
        ((used * used).sum() + (3 * zeros).sum()).backward()
        assert zeros.grad.shape == (2, 3) and zeros.grad.dtype == tg.float32 and x.grad.tolist() == [8.0, 16.0]
