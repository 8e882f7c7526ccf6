"""What operators do with their arguments, and the corners of autograd.Function: types, copies, messages, what a record keeps.

Each test here was written for mutants of tests/mutation/run.py that everything else let live.
"""

import traceback

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.autograd.operands import KindError, ShapeError
from tinygrad_edu.autograd.operator import elementwise, general, linear, numpy_functions, registry, undifferentiable


@pytest.fixture
def fresh_registry():
    """Operators that a test defines are gone after it."""
    before, functions = dict(registry), dict(numpy_functions)
    yield
    for table, kept in ((registry, before), (numpy_functions, functions)):
        table.clear()
        table.update(kept)


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
