"""What operators do with their arguments, and the corners of autograd.Function: types, copies, messages, what a record keeps.

Each test here was written for mutants of tests/mutation/run.py that everything else let live.
"""

import gc
import traceback
import weakref

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.autograd import Function, modes
from tinygrad_edu.autograd.operands import KindError, ShapeError
from tinygrad_edu.autograd.operator import elementwise, general, linear, registry, undifferentiable


def vector(*values, dtype=tg.float64):
    return tg.tensor(values, dtype=dtype, requires_grad=True)


# --- the type of a result ------------------------------------------------------------------------------------------------------

KINDS = {"?": "bool", "B": "uint8", "i": "int32", "l": "int64", "e": "float16", "f": "float32", "d": "float64", "F": "complex64", "D": "complex128"}
NUMBERS = (True, 2, 2.5, 2j)
# torch.result_type of PyTorch 2.13: rows are nine arrays and nine 0-d tensors, columns the same and then the four numbers (half precision and
# complex numbers make complex64 here, as NumPy has no smaller)
RESULT_TYPES = """
?BilefdFD?BilefdFD?lfF
BBilefdFDBBBBefdFDBBfF
iiilefdFDiiiiefdFDiifF
llllefdFDllllefdFDllfF
eeeeefdFDeeeeeeeFFeeeF
ffffffdFDfffffffFFfffF
dddddddDDdddddddDDdddD
FFFFFFDFDFFFFFFFFFFFFF
DDDDDDDDDDDDDDDDDDDDDD
?BilefdFD?BilefdFD?lfF
BBilefdFDBBilefdFDBBfF
iBilefdFDiiilefdFDiifF
lBilefdFDllllefdFDllfF
eeeeefdFDeeeeefdFDeeeF
ffffefdFDffffffdFDfffF
ddddefdFDdddddddDDdddD
FFFFFFDFDFFFFFFDFDFFFF
DDDDFFDFDDDDDDDDDDDDDD
""".split()


def operand(k):
    """Number `k` of the table: an array of two, a 0-d result (of a sum, as in a loss), or a number."""
    if k >= 2 * len(KINDS):
        return NUMBERS[k - 2 * len(KINDS)]
    dtype = list(KINDS.values())[k % len(KINDS)]
    x = tg.tensor([1, 2] if k < len(KINDS) else [1], dtype=getattr(tg, dtype))
    if dtype.startswith("float"):
        x.requires_grad_()
    return x if k < len(KINDS) else x.max() if dtype == "uint8" else x[0]


@pytest.mark.parametrize("mode", [tg.enable_grad, tg.no_grad, tg.recording])
def test_results_have_the_type_that_pytorch_gives_them(mode):
    with mode():
        for i, row in enumerate(RESULT_TYPES):
            for j, kind in enumerate(row):
                x, y = operand(i), operand(j)
                for a, b in ((x, y), (y, x)):
                    out = a * b
                    assert out.dtype == KINDS[kind], (i, j)
                    expected = np.multiply(*(np.asarray(v.detach().numpy() if isinstance(v, tg.Tensor) else v) for v in (a, b)))
                    assert np.array_equal(out.detach().numpy(), expected)


@pytest.mark.parametrize("mode", [tg.enable_grad, tg.recording])
def test_gradients_have_the_type_of_their_inputs(mode):
    """Whatever type the operator computes in, and whether the input is an array, a 0-d result or read as one."""
    floats = [k for k in range(2 * len(KINDS)) if list(KINDS.values())[k % len(KINDS)].startswith("float")]
    for i in floats:
        for j in floats:
            leaves = [tg.tensor([2.0], dtype=operand(k).dtype, requires_grad=True) for k in (i, j)]
            with mode():
                inputs = [leaf * 1 if k < len(KINDS) else leaf.sum() for leaf, k in zip(leaves, (i, j))]
                out = (inputs[0] * inputs[1]).sum()
                inputs[0].retain_grad()
                out.backward()
            assert [x.grad.dtype for x in leaves] == [x.dtype for x in leaves] and inputs[0].grad.dtype == inputs[0].dtype, (i, j)
            assert [x.grad.item() for x in leaves] == [2.0, 2.0]


def test_numbers_of_numpy_count_as_python_numbers_and_its_arrays_as_tensors():
    i8, f4 = tg.arange(2), tg.ones(2)
    for number, with_int, with_float in [(np.float64(2.5), "f4", "f4"), (np.float32(2.5), "f4", "f4"), (np.float16(2.5), "f4", "f4"), (np.int32(3), "i8", "f4"),
                                         (np.uint8(3), "i8", "f4"), (np.bool_(True), "i8", "f4"), (np.complex128(2j), "c8", "c8"), (np.complex64(2j), "c8", "c8")]:  # fmt: skip
        for x, kind in ((i8, with_int), (f4, with_float)):
            out = x + number
            assert out.dtype == np.dtype(kind) and out.tolist() == [x[0].item() + number, x[1].item() + number]
            assert tg.add(number, x).dtype == np.dtype(kind)
    for x in (tg.ones(2), vector(1.0, 1.0, dtype=tg.float32)):
        assert (x + np.ones(2, "f4")).dtype == np.float32 and (x + np.ones(2, "i8")).dtype == np.float32 and (x + np.ones(2)).dtype == np.float64
    x = vector(1.0, 1.0)
    (x * np.array([2, 3], "f4") * np.array([True, False])).sum().backward()
    assert x.grad.tolist() == [2.0, 0.0] and x.grad.dtype == np.float64


def test_where_only_numbers_decide_they_make_the_default_types():
    condition = tg.tensor([True, False])
    for a, b, kind in [(1.0, 2.0, "f4"), (1, 2, "i8"), (True, False, "?"), (1, 2.5, "f4"), (1j, 2.0, "c8"), (1j, 2j, "c8")]:
        out = tg.where(condition, a, b)
        assert out.dtype == np.dtype(kind) and out.tolist() == [a, b]


def test_comparisons_compare_in_the_common_type():
    tenth = tg.tensor(0.1, dtype=tg.float64)
    x = tg.tensor([0.1])
    assert (x == tenth).tolist() == [True] and (x < tenth).tolist() == [False] and (x >= 0.1).tolist() == [True]
    assert (x != tg.tensor([0.1], dtype=tg.float64)).tolist() == [True]
    small = tg.tensor([1, 200], dtype=tg.uint8)
    assert (small < 300).tolist() == [True, True] and (small == -1).tolist() == [False, False], "numbers that the type does not hold"
    for out, kind in [(tg.arange(3) // 2.5, "f4"), (tg.ones(3) // tenth, "f4"), (tg.arange(3) // 2, "i8"), (small // tg.tensor(2), "u1"), (small & True, "u1"),
                      (small << tg.tensor(1), "u1"), (tg.gcd(small, tg.tensor(2)), "u1")]:  # fmt: skip
        assert out.dtype == np.dtype(kind)


# --- what an operator's function gets ---------------------------------------------------------------------------------------------


def watching(seen):
    """Operators of every kind that note the arrays they get: two inputs, of which the rules keep both."""

    def forward(name):
        def watched(x, y):
            """x · y"""
            seen.append((x, y))
            return np.multiply(x, y)

        watched.__name__ = name
        return watched

    rules = dict(x=lambda g, y: g * y, y=lambda g, x: g * x)
    return {
        "elementwise": elementwise(**rules)(forward("watched_elementwise")),
        "linear": linear(**rules)(forward("watched_linear")),
        "general": general(**rules)(forward("watched_general")),
        "constant": undifferentiable(promote=("x", "y"))(forward("watched_constant")),
    }


def test_the_users_arrays_are_copied_where_a_graph_keeps_them_and_only_there(fresh_registry):
    seen = []
    leaf, constant, mine = vector(1.0, 2.0), tg.ones(2, dtype=tg.float64), np.array([3.0, 4.0])
    held = tg.from_numpy(mine)
    for kind, operator in watching(seen).items():
        for value in (mine, held, held[:], held.detach()):
            for x, mode, kept in [(leaf, tg.enable_grad, kind != "constant"), (leaf, tg.no_grad, False), (constant, tg.enable_grad, False)]:
                for order in (1, -1):
                    with mode():
                        operator(*(x, value)[::order])
                    found = seen[-1][::order]
                    assert np.shares_memory(found[1], mine) is not kept, (kind, type(value), kept)
                    assert found[0] is x.array


def test_zero_dimensional_results_stay_numbers_until_somebody_shares_them():
    x, y = tg.ones(2).sum(), tg.tensor(2.0)
    for use in (lambda: x * y, lambda: x * 1.5, lambda: x > y, lambda: tg.stack([x, y]), lambda: tg.where(x > 0, x, y), lambda: x + np.ones(2)):
        use()
        with tg.recording():
            use()
    assert type(x.array) is np.float32
    view = x.reshape(1)
    assert type(x.array) is np.ndarray and np.shares_memory(view.array, x.array)


def test_numbers_reach_an_operator_as_they_are_or_as_arrays_where_it_is_not_elementwise(fresh_registry):
    seen = []
    x = tg.tensor([1.0, 2.0], dtype=tg.float16)
    for kind, operator in watching(seen).items():
        for number in (True, 3, 2.5):
            with tg.recording():
                assert operator(x, number).dtype == np.float16 and operator(number, x).dtype == np.float16
            for found in (seen[-2][1], seen[-1][0]):
                if kind in ("elementwise", "constant"):
                    assert found is number
                else:
                    assert type(found) is np.ndarray and found.dtype == np.float16 and found == number


def test_an_operator_that_promotes_nothing_takes_everything_as_it_is(fresh_registry):
    seen = []

    @undifferentiable(floats=True, promote=())
    def watched(x, y=None):
        """x"""
        seen.append((x, y))
        return np.asarray(x)

    x, y = tg.arange(2), tg.ones(2, dtype=tg.float64)
    watched(x, y), watched(x, 2.5), watched(x)
    assert [(a.dtype.char, getattr(b, "dtype", b)) for a, b in seen] == [(np.dtype("int64").char, np.float64), (np.dtype("int64").char, 2.5), (np.dtype("int64").char, None)]


@pytest.mark.parametrize("kind, rule", [(elementwise, dict(x=None)), (general, dict(x=None)), (undifferentiable, {})])
def test_what_an_operator_refuses_is_asked_before_it_computes(kind, rule, fresh_registry):
    seen = []

    def refuse(op, args, arrays):
        seen.append((op.name, args, arrays))
        raise NotImplementedError(op.name)

    @kind(refuse=refuse, **rule)
    def refusing(x):
        """x"""
        raise AssertionError("computed what is refused")

    x = tg.tensor([1j])
    for function in (refusing, lambda x: tg.autograd.operator.apply(refusing.op, (x,), {})):
        with pytest.raises(NotImplementedError, match="^refusing$"):
            function(x)
        name, args, arrays = seen.pop()
        assert name == "refusing" and args == (x,) and args[0] is x and len(arrays) == 1 and arrays[0] is x.array


def test_what_the_user_holds_is_not_copied_where_no_graph_keeps_it(fresh_registry):
    seen = []

    @elementwise(x=lambda g, y: g * y, y=None)
    def noting(x, y):
        """x · y"""
        seen.append(y)
        return x * y

    held, x = np.ones(2), tg.ones(2, dtype=tg.float64, requires_grad=True)
    for function in (noting, lambda x, y: tg.autograd.operator.apply(noting.op, (x, y), {})):
        for chosen, kept in ((x, False), (x.detach(), True)):
            function(chosen, tg.from_numpy(held))
            assert (seen.pop() is held) == kept


def test_arguments_left_out_are_no_operands(fresh_registry):
    """They are None to the operator, and have no part in the type."""
    seen = []

    @elementwise(x=lambda g: g, y=lambda g: g, z=lambda g: g)
    def watched(x, y=None, z=None):
        """x + z"""
        seen.append((x, y, z))
        return x if z is None else x + z

    with tg.recording():
        assert watched(tg.arange(2)).dtype == np.int64 and watched(tg.arange(2), None, tg.ones(2)).dtype == np.float32
        assert watched(tg.arange(2), z=0.5).tolist() == [0.5, 1.5]
    assert [[v is None for v in values] for values in seen] == [[False, True, True], [False, True, False], [False, True, False]]


def test_a_tensor_that_joins_a_graph_leaves_the_memory_that_numpy_has():
    """x.mul_(w) writes to the user's array once more; what the user writes to it later does not reach the graph."""
    for make in (tg.from_numpy, lambda a: tg.tensor(a)):
        array = np.array([1.0, 1.0])
        x, w, z = make(array), vector(2.0, 3.0), vector(5.0, 7.0)
        array = array if make is tg.from_numpy else x.numpy()
        x.mul_(w)
        assert array.tolist() == [2.0, 3.0] and not x.shared
        y = (x * z).sum() + (x * x).sum()
        array[:] = 100
        y.backward()
        assert z.grad.tolist() == [2.0, 3.0] and w.grad.tolist() == [5 + 4.0, 7 + 6.0]


# --- what an operator says ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value, words", [
    ("text", "str: 'text'"), ([1.0, 2.0], "list: [1.0, 2.0]"), (np.str_("text"), f"str_: {np.str_('text')!r}"), (np.array(["a", "b"]), "an array of dtype <U1"),
    (np.array([None]), "an array of dtype object"), (np.datetime64("2026-11-22"), "datetime64: "), (np.array(["2026-11-22"], "M8[D]"), "an array of dtype datetime64[D]"),
])  # fmt: skip
def test_what_is_no_operand_is_named(value, words):
    for x in (tg.ones(2), vector(1.0, 2.0)):
        with pytest.raises(TypeError) as caught:
            registry["add"].function(x, value)
        assert str(caught.value).startswith(f"add: expected tensors, numeric arrays or numbers, got {words}")
        assert str(caught.value).endswith("; make a tensor of it first, as in tensor([1.0, 2.0])")
    with pytest.raises(TypeError) as caught:
        registry["add"].function(tg.ones(2), ["long"] * 1000)
    assert len(str(caught.value)) < 350


@pytest.mark.parametrize("general", [False, True])
def test_errors_have_pytorchs_and_numpys_name_one_note_and_one_traceback(general, fresh_registry):
    """In the specialised functions and in the general one, which computes in recordings."""

    @elementwise(x=lambda g: g, y=lambda g: g)
    def fails(x, y, *, how, table=None):
        """x ∘ y"""
        raise deeper(how)

    def deeper(how):
        how.add_note("as the operator found")
        raise how

    mode = tg.recording() if general else tg.enable_grad()
    with mode, pytest.raises(ShapeError, match="these do not fit") as caught:
        fails(tg.ones(2, 3), tg.ones(2), how=ValueError("these do not fit"), table=np.zeros(1000))
    error = caught.value
    assert isinstance(error, RuntimeError) and isinstance(error, ValueError) and type(error) is ShapeError
    assert error.__notes__ == ["as the operator found",
                               "while computing fails(float32[2, 3], float32[2], how=ValueError('these do not fit')):  x ∘ y"]  # fmt: skip
    assert [frame.name for frame in traceback.extract_tb(error.__traceback__)][-2:] == ["fails", "deeper"]
    shown = "".join(traceback.format_exception(error))
    assert "During handling" not in shown and "direct cause" not in shown
    with mode, pytest.raises(KindError) as caught:
        fails(tg.ones(2), 1.5, how=TypeError("no such kind"))
    assert isinstance(caught.value, RuntimeError) and "while computing fails(float32[2], 1.5, how=TypeError('no such kind'), table=None):  x ∘ y" in caught.value.__notes__
    with mode, pytest.raises(ZeroDivisionError) as caught:
        fails(tg.ones(2), tg.ones(2), how=ZeroDivisionError("others keep their type"))
    assert type(caught.value) is ZeroDivisionError and len(caught.value.__notes__) == 2


def test_ints_that_a_type_does_not_hold_wrap_around_as_in_pytorch():
    small = tg.tensor([1, 200], dtype=tg.uint8)
    for found, expected in [(small + 300, [45, 244]), (small * -1, [255, 56]), (small - 300, [213, 156]), (-3 - small, [252, 53])]:
        assert found.tolist() == expected and found.dtype == np.uint8
    signed = tg.tensor([1, -100], dtype=tg.int8) + 300
    assert signed.tolist() == [45, -56] and signed.dtype == np.int8
    assert (tg.tensor([1], dtype=tg.int32) * (2**32 + 3)).tolist() == [3]
    with pytest.raises(OverflowError) as caught:
        small // 300
    assert caught.value.__notes__ == ["while computing floor_divide(uint8[2], 300):  " + registry["floor_divide"].formula]


# --- autograd.Function ---------------------------------------------------------------------------------------------------------------


def function_of(forward, backward, **more):
    """A Function with these two methods."""
    return type("Made", (Function,), dict(forward=staticmethod(forward), backward=staticmethod(backward), __doc__=None, **more))


class Pair(Function):
    """x · y and x + y"""

    @staticmethod
    def forward(ctx, x, y):
        ctx.save_for_backward(x, None, y)
        return x * y, x + y

    @staticmethod
    def backward(ctx, g, h):
        x, _, y = ctx.saved_tensors
        return g * y + h, g * x + h


class Exponential(Function):
    """eˣ and e⁻ˣ, which keeps its own results"""

    @staticmethod
    def forward(ctx, x):
        up, down = x.exp(), (-x).exp()
        ctx.save_for_backward(up, down)
        return up, down

    @staticmethod
    def backward(ctx, g, h):
        up, down = ctx.saved_tensors
        return g * up - h * down


def test_several_results_are_a_tuple_of_named_steps():
    x, y = vector(2.0), vector(3.0)
    for out in (Pair.apply(x, y), Pair.apply(x.detach(), y.detach())):
        assert type(out) is tuple and [o.item() for o in out] == [6.0, 5.0]
    a, b = Pair.apply(x, y)
    assert [t.node.op.position for t in (a, b)] == [0, 1], "pictures ask for it"
    mixed = function_of(lambda ctx, x: (x.float(), x * 2), lambda ctx, g, h: g.double() + h * 2)
    parent = mixed.apply(x)[1].node.parents[0]
    assert repr(parent).endswith("float32[]") and parent.name == "Made", "the type of the first result"


@pytest.mark.parametrize("create_graph", [False, True])
def test_every_result_and_every_input_has_its_part(create_graph):
    for weights in ((1.0, 0.0), (0.0, 1.0), (2.0, 3.0)):
        x, y = vector(2.0), vector(5.0)
        a, b = Pair.apply(x, y)
        found = tg.autograd.grad((a * weights[0] + b * weights[1]).sum(), (x, y), create_graph=create_graph)
        assert [g.item() for g in found] == [5 * weights[0] + weights[1], 2 * weights[0] + weights[1]]
        if create_graph and weights[0]:
            assert [tg.autograd.grad(g.sum(), other, retain_graph=True)[0].item() for g, other in zip(found, (y, x))] == [weights[0]] * 2


def test_results_that_are_saved_too_get_gradients_from_both_sides():
    """d/dx of (2eˣ + 3e⁻ˣ) and its derivative, which comes through the saved results and through the returned ones at once."""
    x = vector(0.5)
    up, down = np.exp(0.5), np.exp(-0.5)
    a, b = Exponential.apply(x)
    loss = (2 * a + 3 * b).sum()
    (slope,) = tg.autograd.grad(loss, x, create_graph=True)
    assert slope.item() == pytest.approx(2 * up - 3 * down)
    (second,) = tg.autograd.grad(slope.sum() + 10 * loss, x, create_graph=True)
    assert second.item() == pytest.approx(2 * up + 3 * down + 10 * (2 * up - 3 * down))
    (third,) = tg.autograd.grad(second.sum() + (a * b).sum(), x)
    assert third.item() == pytest.approx(2 * up - 3 * down + 10 * (2 * up + 3 * down))
    assert tg.autograd.gradcheck(Exponential.apply, x) and tg.autograd.gradgradcheck(Exponential.apply, x)


def test_a_function_can_be_passed_again_unless_it_saved_tensors():
    plain = function_of(lambda ctx, x: (x * 2, x * 3), lambda ctx, g, h: g * 2 + h * 3)
    attribute = function_of(lambda ctx, x: setattr(ctx, "factor", 2) or x * 2, lambda ctx, g: g * ctx.factor)
    x = vector(1.0)
    for loss in (sum(plain.apply(x)), attribute.apply(x)):
        x.grad = None
        loss.sum().backward()
        once = x.grad.item()
        loss.sum().backward()
        assert x.grad.item() == 2 * once
    a, b = Pair.apply(x, x)
    loss = (a + b).sum()
    loss.backward()
    with pytest.raises(RuntimeError, match=r"saved by Pair at .* were freed"):
        (a * 1).sum().backward()


@pytest.mark.parametrize("shape, given, fits", [
    ((2, 3), (2, 3), True), ((2, 3), (4, 2, 3), True), ((1, 3), (2, 3), True), ((1, 3), (5, 2, 3), True), ((3,), (2, 3), True), ((), (2, 3), True), ((), (), True),
    ((1,), (0,), True), ((2, 3), (3,), False), ((2, 3), (1, 3), False), ((2, 3), (2, 1), False), ((2, 3), (3, 2), False), ((2, 3), (), False), ((1, 3), (1,), False),
    ((1, 3), (3,), False), ((3,), (2, 1), False), ((0,), (1,), False), ((3, 2), (2, 3, 3), False),
])  # fmt: skip
def test_gradients_of_the_inputs_shape_or_of_one_it_can_be_stretched_to(shape, given, fits):
    function = function_of(lambda ctx, x: x.sum(), lambda ctx, g: tg.ones(given, dtype=tg.float64))
    for create_graph in (False, True):
        x = tg.ones(shape, dtype=tg.float64, requires_grad=True)
        if fits:
            (g,) = tg.autograd.grad(function.apply(x), x, create_graph=create_graph)
            assert g.shape == shape and (g == np.prod(given) / max(1, np.prod(shape))).all()
        else:
            with pytest.raises(RuntimeError) as caught:
                tg.autograd.grad(function.apply(x), x, create_graph=create_graph)
            assert f"gradient 0 has shape {list(given)}, and the input has shape {list(shape)}; they must be the same" in str(caught.value)


@pytest.mark.parametrize("returned", [lambda g: (g, g), lambda g: [g, g], lambda g: (g * 1, g[:]), lambda g: (g.float(), g.float())])
def test_gradients_of_several_inputs_share_no_memory(returned):
    kept = []
    function = function_of(lambda ctx, x, y: x + y, lambda ctx, g: kept.extend(returned(g)) or kept[-2:])
    x, y = vector(1.0, 2.0), vector(3.0, 4.0)
    z = x * 1
    function.apply(z, y).sum().backward()
    (function.apply(x, y) * 2).sum().backward()
    assert x.grad.tolist() == [3.0, 3.0] == y.grad.tolist() and x.grad.dtype == y.grad.dtype == np.float64
    x.grad.mul_(100)
    for t in kept:
        t.mul_(100)
    assert x.grad.tolist() == [300.0, 300.0] and y.grad.tolist() == [3.0, 3.0]


IDENTITIES = [lambda ctx, x: x, lambda ctx, x: x.view_as(x), lambda ctx, x: x[:], lambda ctx, x: x.detach(), lambda ctx, x: (x, x[:1])]


@pytest.mark.parametrize("forward", IDENTITIES)
def test_a_result_that_is_an_input_has_memory_of_its_own(forward):
    """PyTorch refuses updates in place of either; here they concern one of the two."""
    reverse = function_of(forward, lambda ctx, g, *more: -g)
    first = lambda out: out[0] if isinstance(out, tuple) else out
    leaf = vector(1.0, 2.0)
    y = leaf * 1
    z = first(reverse.apply(y))
    y.mul_(3)
    assert z.tolist() == [1.0, 2.0] and tg.autograd.grad(z.sum(), leaf)[0].tolist() == [-1.0, -1.0]
    y = leaf * 1
    z = first(reverse.apply(y))
    z.mul_(3)
    assert y.tolist() == [1.0, 2.0] and tg.autograd.grad(z.sum(), leaf)[0].tolist() == [-3.0, -3.0]
    first(reverse.apply(leaf)).mul_(5)
    assert leaf.tolist() == [1.0, 2.0]
    array = np.array([1.0, 2.0])
    z = first(function_of(lambda ctx, x, y: forward(ctx, y), lambda ctx, g, *more: (g, None)).apply(leaf, tg.from_numpy(array)))
    array[:] = 7
    assert z.tolist() == [1.0, 2.0]


def test_results_of_a_functions_own_are_not_copied():
    made = []
    function = function_of(lambda ctx, x, k: made.append(x * k) or made[0], lambda ctx, g: (g, None))
    assert function.apply(vector(1.0, 2.0), 3).array is made[0].array
    made.clear()
    assert function.apply(tg.ones(2), 3) is made[0]


def test_inputs_that_are_returned_where_nothing_is_recorded_lose_their_history():
    leaf = vector(1.0, 2.0)
    identity = function_of(lambda ctx, x: x, lambda ctx, g: g)
    with tg.no_grad():
        out = identity.apply(leaf)
    assert out is not leaf and not out.requires_grad and out.tolist() == [1.0, 2.0]
    constant = tg.ones(2)
    assert not identity.apply(constant).requires_grad
    marked = function_of(lambda ctx, x: ctx.mark_non_differentiable(x) or (x, x * 2), lambda ctx, g, h: h * 2)
    same, double = marked.apply(leaf)
    assert same is not leaf and not same.requires_grad and double.requires_grad
    assert tg.autograd.grad((same * double).sum(), leaf)[0].tolist() == [2.0, 4.0]


def test_a_single_result_may_be_a_constant_too():
    x = vector(3.0, 1.0)
    for forward in (lambda ctx, x: x.argmax(), lambda ctx, x: (x > 2), lambda ctx, x: (ctx.mark_non_differentiable(y := x * 2), y)[1]):
        assert not function_of(forward, lambda ctx, g: g).apply(x).requires_grad


def test_what_forward_saved_can_be_read_there_and_passes_hooks():
    def forward(ctx, x):
        ctx.save_for_backward(x, None)
        assert ctx.saved_tensors[0] is x and ctx.saved_tensors[1] is None
        return x * x

    square = function_of(forward, lambda ctx, g: 2 * ctx.saved_tensors[0] * g)
    x = vector(1.0, 2.0)
    with tg.autograd.graph.saved_tensors_hooks(lambda t: t, lambda t: t * 3):
        y = square.apply(x)
    y.sum().backward()
    assert x.grad.tolist() == [6.0, 12.0]


def test_what_is_no_tensor_has_no_gradient_to_be_made_of_zeros():
    seen = []
    counted = function_of(lambda ctx, x: (3, x * 2, None, x * 5), lambda ctx, *gradients: seen.append(gradients) or gradients[1] * 2)
    x = vector(1.0)
    counted.apply(x)[1].sum().backward()
    ((count, g, nothing, zeros),) = seen
    assert count is None and nothing is None and g.tolist() == [1.0] and zeros.tolist() == [0.0] and x.grad.tolist() == [2.0]


# --- once_differentiable -----------------------------------------------------------------------------------------------------------


def once(forward, backward):
    return function_of(forward, tg.autograd.function.once_differentiable(backward))


def test_batched_gradients_beside_a_refusal_leave_it_as_it_is():
    """They free what the graph keeps, but of a step without a derivative there is nothing to free."""
    x = vector(1.0, 2.0)
    double = function_of(lambda ctx, x: x * 2, tg.autograd.function.once_differentiable(lambda ctx, g: g * 2))
    (g,) = tg.autograd.grad(double.apply(x).sum(), x, create_graph=True)
    y = vector(3.0, 4.0)
    (rows,) = tg.autograd.grad(g * y, y, tg.tensor(np.eye(2)), is_grads_batched=True)
    assert rows.tolist() == [[2.0, 0.0], [0.0, 2.0]]
    for _ in range(2):
        with pytest.raises(RuntimeError, match="marked once_differentiable: it has no second derivative"):
            tg.autograd.grad(g.sum(), x, retain_graph=True)


def test_what_is_differentiable_once_gives_first_derivatives_and_refuses_second_ones():
    """Also where the graph could have been followed through the saved tensors, in part: NumPy's part would be missing."""
    cube = once(lambda ctx, x: ctx.save_for_backward(x) or x**3, lambda ctx, g: g * ctx.saved_tensors[0] * tg.tensor(3 * ctx.saved_tensors[0].detach().numpy()))
    x = vector(2.0, 3.0)
    assert tg.autograd.grad(cube.apply(x).sum(), x)[0].tolist() == [12.0, 27.0]
    for loss in (lambda: cube.apply(x).sum(), lambda: (cube.apply(x) * x).sum(), lambda: (cube.apply(x) + x**3).sum()):
        (slope,) = tg.autograd.grad(loss(), x, create_graph=True)
        with pytest.raises(RuntimeError, match="marked once_differentiable: it has no second derivative"):
            tg.autograd.grad(slope.sum(), x)
    weights = vector(1.0, 1.0)
    (slope,) = tg.autograd.grad(cube.apply(x), x, weights, create_graph=True)
    assert slope.tolist() == [12.0, 27.0]
    with pytest.raises(RuntimeError, match="once_differentiable"):
        tg.autograd.grad(slope.sum(), weights)


def test_what_is_differentiable_once_runs_without_a_graph():
    seen = []

    def backward(ctx, g, h):
        seen.append((tg.is_grad_enabled(), g if g is None else g.tolist(), h if h is None else h.tolist()))
        return (h if g is None else g) * 2, None

    pair = once(lambda ctx, x, k: ctx.set_materialize_grads(False) or (x * 2, x * 2), backward)
    for create_graph in (False, True):
        for k in (0, 1):
            x, w = vector(1.0, 2.0), vector(3.0, 4.0)
            (slope,) = tg.autograd.grad((pair.apply(x, 5)[k] * w).sum(), x, create_graph=create_graph)
            assert slope.tolist() == [6.0, 8.0] and slope.requires_grad is create_graph
            if create_graph:
                with pytest.raises(RuntimeError, match="once_differentiable"):
                    tg.autograd.grad(slope.sum(), w)
    assert seen == [(False, [3.0, 4.0], None), (False, None, [3.0, 4.0])] * 2
    wrong = once(lambda ctx, x: x * 2, lambda ctx, g: 1.0)
    for create_graph in (False, True):
        x = vector(1.0)
        with pytest.raises(TypeError, match="gradient 0 is float"):
            tg.autograd.grad(wrong.apply(x).sum(), x, create_graph=create_graph)


# --- Functions in recordings, and where anomalies are looked for -----------------------------------------------------------------------


def test_only_recordings_and_anomaly_mode_write_down_what_a_function_did(monkeypatch):
    single = function_of(lambda ctx, x, k: x * k, lambda ctx, g: (g * 2, None))
    x = vector(1.0, 2.0)
    monkeypatch.setattr(modes, "special", modes.special + 1)  # as if another thread had switched something
    a, b = Pair.apply(x, x)
    for node in (single.apply(x, 2).node, a.node, b.node, a.node.parents[0]):
        assert node.note is None
    with tg.recording():
        out, (a, b) = single.apply(x, 2), Pair.apply(x, x)
    assert out.node.note.value is out.array and out.node.op.arguments == ((x, 2), {})
    assert [getattr(v, "tolist", lambda v=v: v)() for v in out.node.note.inputs] == [[1.0, 2.0], 2] and isinstance(out.node.note.inputs[0], np.ndarray)
    assert a.node.parents[0].note.value is None and [t.node.note.value.tolist() for t in (a, b)] == [[1.0, 4.0], [2.0, 4.0]]
    with tg.autograd.detect_anomaly():
        out, (a, b) = single.apply(x, 2), Pair.apply(x, x)
    assert out.node.note.line[0] == a.node.note.line[0] == __file__ and out.node.op.arguments is None and out.node.note.value is None


def test_bad_numbers_in_functions_stop_in_anomaly_mode_only():
    logarithm = function_of(lambda ctx, x, y: tg.log(x) + y, lambda ctx, g: (g, g))
    x, y = vector(-1.0, 2.0), vector(0.0, 0.0)
    with np.errstate(all="ignore"):
        for mode in (tg.enable_grad, tg.recording):
            with mode():
                assert np.isnan(logarithm.apply(x, y).tolist()[0])
        with tg.autograd.detect_anomaly(), pytest.raises(RuntimeError, match=r"log\(x\) gave NaN"):
            logarithm.apply(x, y)
    reciprocal = function_of(lambda ctx, x: tg.tensor(1 / x.detach().numpy()), lambda ctx, g: g)
    with np.errstate(all="ignore"), tg.autograd.detect_anomaly(), pytest.raises(RuntimeError, match=r"Made\(.*\) gave inf, at \[1\]"):
        reciprocal.apply(vector(1.0, 0.0))
    copy = function_of(lambda ctx, x: tg.tensor(x.detach().numpy() * 1), lambda ctx, g: g)
    infinite = vector(np.inf, 1.0) * 1
    with tg.autograd.detect_anomaly():
        assert copy.apply(infinite).tolist() == [np.inf, 1.0], "what is infinite already may give an infinite result"
        with pytest.raises(RuntimeError, match="holds inf already"):  # but a parameter that is infinite went wrong before
            copy.apply(vector(np.inf, 1.0))


@pytest.mark.parametrize("k", [0, 1])
def test_bad_derivatives_of_functions_name_the_input(k):
    bad = function_of(lambda ctx, x, y: x + y, lambda ctx, g: tuple(tg.tensor(np.array([np.nan])) if i == k else g for i in range(2)))
    x, y = vector(1.0), vector(2.0)
    with tg.autograd.detect_anomaly():
        out = bad.apply(x, y)
        with pytest.raises(RuntimeError, match=f"the derivative rule of Made gave NaN in the backward pass, at .0. of the gradient for its input {'xy'[k]} "):
            out.sum().backward()


def test_complex_results_are_no_constants():
    """The Function gets a complex gradient, and operators that know no complex derivative refuse it."""
    turned = lambda x: tg.tensor(x.detach().numpy() * (1 + 2j))
    back = lambda ctx, *gs: (gs[-1] * (1 - 2j)).real
    x = vector(1.0, 2.0)
    for out in (function_of(lambda ctx, x: turned(x), back).apply(x), function_of(lambda ctx, x: (x * 3, turned(x)), back).apply(x)[1]):
        assert out.requires_grad
        assert tg.autograd.grad(tg.view_as_real(out).sum(), x, retain_graph=True)[0].tolist() == [3, 3]
        assert tg.autograd.grad((out * 1j).imag.sum(), x, retain_graph=True)[0].tolist() == [1, 1]
        with pytest.raises(NotImplementedError, match="complex tensor whose derivative is not known"):
            tg.view_as_real(tg.nn.functional.softsign(out)).sum().backward()


# --- results that are saved, and inputs that are updated in place ---------------------------------------------------------------------


class Power(Function):
    """xᵏ for two exponents in turn, which keeps its result beside its input; the derivative uses both"""

    @staticmethod
    def forward(ctx, x, k):
        out = x**k
        ctx.save_for_backward(x, out)
        ctx.save_for_forward(x)
        ctx.k = k
        return out

    @staticmethod
    def backward(ctx, g):
        assert type(ctx.saved_tensors) is tuple and all(isinstance(t, tg.Tensor) for t in ctx.saved_tensors)
        return g * ctx.k * ctx.saved_tensors[1] / ctx.saved_tensors[0], None


def test_a_single_result_that_is_saved_beside_an_input():
    x = vector(2.0)
    y = Power.apply(x, 3)
    (slope,) = tg.autograd.grad(y.sum(), x, create_graph=True)
    (second,) = tg.autograd.grad(slope.sum() + 10 * y.sum(), x, create_graph=True)
    (third,) = tg.autograd.grad(second.sum(), x)
    assert [slope.item(), second.item(), third.item()] == pytest.approx([12.0, 12.0 + 120.0, 6.0 + 120.0])
    assert second.grad_fn is not None and all(n.name != "Power[0]" for n in tg.autograd.engine.ancestors(second.node)), "one result has no parts"


def test_an_input_that_is_returned_and_saved_is_the_input():
    """−x as if it were x: the derivative of g · x by x does not pass through the Function once more."""
    for forward in (lambda ctx, x, y: ctx.save_for_backward(x) or x, lambda ctx, x, y: ctx.save_for_backward(x) or (x, y * 2)):
        function = function_of(forward, lambda ctx, g, *more: (g * ctx.saved_tensors[0] ** 3, None))
        x = vector(2.0)
        out = function.apply(x, tg.ones(1, dtype=tg.float64))
        (slope,) = tg.autograd.grad((out[0] if isinstance(out, tuple) else out).sum(), x, create_graph=True)
        assert slope.item() == 8.0 and tg.autograd.grad(slope.sum(), x)[0].item() == 12.0


def test_what_the_user_may_write_to_is_saved_as_a_copy():
    array = np.array([3.0, 4.0])
    seen = []
    function = function_of(lambda ctx, x, y: ctx.save_for_backward(y) or x * y, lambda ctx, g: seen.append(ctx.saved_tensors[0]) or (g * ctx.saved_tensors[0], None))
    x = vector(1.0, 2.0)
    out = function.apply(x, tg.from_numpy(array))
    array[:] = 100
    assert tg.autograd.grad(out.sum(), x)[0].tolist() == [3.0, 4.0] and isinstance(seen[0], tg.Tensor)


def doubled(several=False, returned=True, save=False):
    """A Function that doubles its input in place."""

    def forward(ctx, x, other):
        x.mul_(2)
        ctx.mark_dirty(x)
        if save:
            ctx.save_for_backward(x)
        out = x if returned else x * 1
        return (other * 3, out) if several else out

    def backward(ctx, *gradients):
        g = gradients[-1] * 2
        return (g * ctx.saved_tensors[0] ** 0 if save else g), (gradients[0] * 3 if several else None)

    return function_of(forward, backward)


@pytest.mark.parametrize("several", [False, True])
def test_an_input_updated_in_place_gets_the_functions_history(several):
    leaf, other = vector(1.0, 2.0), vector(5.0, 6.0)
    last = lambda out: out[-1] if several else out
    for view_of in (lambda y: y, lambda y: y[1:]):
        for use in (lambda y, part: y, lambda y, part: part):
            y = leaf * 1
            part, view = view_of(y), y[:]
            out = doubled(several).apply(part, other)
            assert last(out) is part and type(out) is (tuple if several else tg.Tensor)
            assert y.tolist() == view.tolist() == [2.0 if part is y else 1.0, 4.0]
            (g,) = tg.autograd.grad(use(y, part).sum(), leaf, retain_graph=True)
            expected = [2.0 if part is y else 1.0 if use(y, part) is y else 0.0, 2.0]
            assert g.tolist() == expected
            assert use(y, part) is part or tg.autograd.grad(view.sum(), leaf, retain_graph=True)[0].tolist() == expected
            if several:
                assert out[0] is not other and tg.autograd.grad(out[0].sum(), other)[0].tolist() == [3.0, 3.0]
    constant = tg.ones(2, dtype=tg.float64)
    assert last(doubled(several).apply(constant, other.detach())) is constant and constant.tolist() == [2.0, 2.0] and not constant.requires_grad
    with tg.no_grad():
        assert last(doubled(several).apply(leaf, other)) is leaf and leaf.tolist() == [2.0, 4.0] and leaf.requires_grad


def test_updates_in_place_that_a_graph_could_not_follow_are_refused():
    leaf, other = vector(1.0, 2.0), tg.ones(2, dtype=tg.float64)
    for x, words in [(leaf, "Made, mark_dirty: a leaf tensor that requires grad cannot be updated"), (leaf[:1], "mark_dirty: memory that is shared with a leaf tensor")]:
        for several in (False, True):
            with pytest.raises(RuntimeError, match=words):
                doubled(several).apply(x, other)
    for x in (leaf * 1, other):
        for several in (False, True):
            with pytest.raises(RuntimeError, match="Made: an input given to mark_dirty must be returned by forward too"):
                doubled(several, returned=False).apply(x, other)


@pytest.mark.parametrize("several", [False, True])
def test_an_updated_input_that_is_saved_leaves_nothing_behind(several):
    leaf = vector(1.0, 2.0)
    out = doubled(several, save=True).apply(leaf * 1, tg.ones(2, dtype=tg.float64))
    out = out[-1] if several else out
    (slope,) = tg.autograd.grad((out * out).sum(), leaf, create_graph=True)
    assert slope.tolist() == [8.0, 16.0] and tg.autograd.grad(slope.sum(), leaf)[0].tolist() == [8.0, 8.0]
    node = weakref.ref(out.node)
    gc.disable()
    try:
        del out, slope
        assert node() is None
    finally:
        gc.enable()


def test_results_keep_apart_what_shares_memory_with_any_input():
    """Also where the input is itself a part of something larger."""
    leaf = vector(1.0, 2.0, 3.0)
    whole = leaf * 1
    part = whole[1:]
    out = function_of(lambda ctx, k, x: x[:1], lambda ctx, g: (None, tg.cat([g, g * 0]))).apply(2, part)
    whole.mul_(10)
    assert out.tolist() == [2.0] and tg.autograd.grad(out.sum(), leaf)[0].tolist() == [0.0, 1.0, 0.0]


def test_refused_second_derivatives_are_steps_like_others():
    pair = once(lambda ctx, x, y, k: ctx.save_for_backward(x, y) or x * y * k, lambda ctx, g: (g * ctx.saved_tensors[1], g * ctx.saved_tensors[0], None))
    x, y = vector(2.0), vector(3.0)
    found = tg.autograd.grad(pair.apply(x, y, 1.0).sum(), (x, y), create_graph=True)
    assert [g.item() for g in found] == [3.0, 2.0]
    for g in found:
        assert repr(g.node).endswith("float64[1]") and g.node.name == "once_differentiable" == g.node.op.formula == g.node.op.doc
        for target in (x, y):
            for create_graph in (False, True):
                with pytest.raises(RuntimeError, match="it has no second derivative"):
                    tg.autograd.grad(g.sum(), target, create_graph=create_graph)
        z = vector(1.0)
        for _ in range(2):
            assert tg.autograd.grad((g * z).sum(), z, retain_graph=False)[0].item() == g.item(), "a path that is not asked for"


def test_operators_that_know_no_complex_derivative_refuse_complex_leaves_and_results():
    leaf = tg.tensor([3 + 4j, 1j], requires_grad=True)
    for z in (leaf, leaf * 2):
        out = tg.nn.functional.softsign(z)
        assert out.requires_grad and np.allclose(out.detach().numpy(), z.detach().numpy() / (1 + abs(z.detach().numpy())))
        with pytest.raises(NotImplementedError, match="complex tensor whose derivative is not known"):
            tg.view_as_real(out).sum().backward()
        with pytest.raises(NotImplementedError, match="complex tensor whose derivative is not known"):
            tg.autograd.grad(tg.nn.functional.softsign(z), leaf, tg.ones(2, dtype=tg.complex64))
        with tg.no_grad():
            assert not tg.nn.functional.softsign(z).requires_grad
        assert not tg.nn.functional.softsign(z.detach()).requires_grad
    tg.view_as_real(leaf * (1 + 1j)).sum().backward()
    assert leaf.grad.tolist() == [2 + 0j, 2 + 0j]
