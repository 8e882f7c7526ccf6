"""Specialised functions do what `apply` does, whatever they get, and do the ordinary case themselves; operators are what they were defined as.

`apply` in operator.py is the meaning of an operator; the function that specialize.py writes for it is only faster. So both get every mixture
of arguments, in every mode, and must agree in value, type, parents, saved values, notes, gradients and errors. Nothing here knows what the
written functions look like, but that the ordinary case must not reach `apply`: that is all they are for.
"""

import functools
import inspect
import itertools
import re
import threading
import warnings

import numpy as np
import operator_kit as kit
import pytest

import tinygrad_edu as tg
from tinygrad_edu.autograd import Tensor, engine, modes, operator
from tinygrad_edu.autograd.composites import composite
from tinygrad_edu.autograd.operator import elementwise, general, linear, numpy_functions, registry, undifferentiable
from tinygrad_edu.autograd.specialize import function_of, general_function

MODES = dict(plain=lambda: tg.enable_grad(), no_grad=lambda: tg.no_grad(), recording=lambda: tg.recording(), anomaly=lambda: tg.autograd.detect_anomaly())


ODD = "facts_of_another facts_of_none promoted_once second_promoted first_promoted parameters_like_facts without_rules at_once types_of".split()


@pytest.fixture
def odd_operators(fresh_registry):
    """Operators with every feature that the package's own have not, and samples of them: {name: (op, shapes, params)}."""

    @elementwise(x=lambda g, y_shape, y_dtype: g, y=lambda g, x: g * x)
    def facts_of_another(x, y):
        """x + x · y: a rule that wants the shape of the other input, which may be a number"""
        return x + x * y

    @general(x=lambda g, y, y_shape, y_dtype: g if y is None else g * y, y=lambda g, x, out: g * x)
    def facts_of_none(x, y=None):
        """x · y, or x"""
        return x * 1.0 if y is None else x * y

    @general(promote=("x",), x=lambda g, y: g if y is None else g * y, y=lambda g, x: g * x)
    def promoted_once(x, y=None):
        """x · y in the type that comes out"""
        return np.asarray(x * 1.0 if y is None else x * y)

    @elementwise(promote=("y",), x=lambda g: g, y=lambda g: g)
    def second_promoted(x, y):
        """x + y"""
        return np.asarray(x + y)

    @elementwise(promote=("x",), x=lambda g, y: g * y, y=None)
    def first_promoted(x, y):
        """x · y for integers y"""
        return np.asarray(x * y)

    @linear(x=lambda g, new_shape, note_dtype, x_shape: g.reshape(x_shape) * new_shape[0])
    def parameters_like_facts(x, *, new_shape, note_dtype="f8"):
        """n₀ · x in another shape: its parameters are called as shapes and types of inputs are"""
        return new_shape[0] * x.reshape(new_shape)

    @linear(x=None)
    def without_rules(x):
        """2 x, for which nobody gave a derivative"""
        return 2 * x

    @general(together=lambda g, needs, x, y: (g * y if needs[0] else None, g * x if needs[1] else None))
    def at_once(x, y):
        """x · y, with one rule"""
        return x * y

    @undifferentiable()
    def types_of(*xs):
        """How many inputs have the type of the first"""
        return np.asarray(sum(x.dtype == xs[0].dtype for x in xs))

    two, one = ((2,), (2,)), ((2,),)
    return {f.op.name: kit.Case(f.op, shapes, params) for f, shapes, params in (
        (facts_of_another, two, {}), (facts_of_none, two, {}), (promoted_once, two, {}), (second_promoted, two, {}), (first_promoted, two, {}),
        (parameters_like_facts, one, dict(new_shape=(2, 1))), (without_rules, one, {}), (at_once, two, {}), (types_of, two, {}))}  # fmt: skip


# --- which operators, and which arguments ------------------------------------------------------------------------------------------


def alike(op):
    """All that tells how calls of two operators differ, but for their functions: operators with the same are treated the same."""
    kept = {w for wants in op.wants for w in wants}
    defaults = tuple(x in op.defaults for x in op.inputs)
    promoted = bool(op.promoted) if op.variadic else tuple(op.promoted)
    required = [value is inspect.Parameter.empty for value in op.params.values()]
    return (op.kind == "elementwise", op.differentiable, bool(op.variadic), op.view, bool(op.together), len(op.inputs), defaults, promoted,
            tuple(bool(r) for r in op.rules), tuple(x in kept for x in op.inputs), any(required), bool(op.params))  # fmt: skip


def representatives():
    """{name: case}: an operator of each sort, with its smallest sample."""
    found = {}
    known = "add mul affine affine_sigmoid matmul sum reshape concatenate argmax_along".split()  # these stand for those like them
    for name, op in sorted(registry.items(), key=lambda item: item[0] not in known):
        if op.kind == "composite" or alike(op) in found:
            continue
        cases = kit.cases_of(op) if op.kind != "constant" or op.samples else [kit.Case(op, [(2, 2)] * len(op.inputs), {})]
        required = [p for p, value in op.params.items() if value is inspect.Parameter.empty]
        cases = [c for c in cases if set(required) <= set(c.params)]
        if cases:
            found[alike(op)] = name, max(cases, key=lambda c: (len(c.shapes), -sum(a.size for a in c.arrays(0))))
    return dict(found.values())


CASES = representatives()
ARGUMENTS = dict(
    leaf=lambda a: tg.tensor(a, requires_grad=a.dtype.kind == "f"),
    constant=lambda a: Tensor(a.copy(), None),
    held=lambda a: tg.from_numpy(a.copy()),
    view_of_held=lambda a: tg.from_numpy(a.copy()).reshape(a.shape),
    narrow=lambda a: tg.tensor(a.astype(np.float32) if a.dtype.kind == "f" else a, requires_grad=a.dtype.kind == "f"),
    integers=lambda a: Tensor(np.ones(a.shape, np.int64), None),
    array=lambda a: a.copy(),
    integer=lambda a: 2,
    number=lambda a: 0.75,
    boolean=lambda a: True,
    nothing=lambda a: None,
)
KINDS = list(ARGUMENTS)
FEW = ["leaf", "constant", "held", "narrow", "array"]


def arguments(case, kinds, dtype=np.float64):
    """Arguments of these kinds for a case."""
    return [ARGUMENTS[kind](a) for kind, a in zip(kinds, arrays_of(case, dtype))]


@functools.cache
def arrays_of(case, dtype):
    """The inputs of a case, once."""
    return [np.asarray(a) for a in case.prepare(case.arrays(3, dtype))]


def mixtures(case, kinds=KINDS):
    """Kinds of arguments: every pair for two elementwise inputs; else each kind in each place, among leaves and among others."""
    n, op = len(case.shapes), case.op
    fitting = [[k for k in kinds if k != "nothing" or x in op.defaults] for x in case.inputs]  # no input is None but an optional one
    if n == 1 or n == 2 and op.kind == "elementwise":
        return list(itertools.product(*fitting))
    others = ("leaf", "constant") if n < 3 else ("leaf",)
    return list(dict.fromkeys(tuple(kind if j == i else other for j in range(n)) for other in others for i in range(n) for kind in fitting[i]))


# --- what comes out, as something that can be compared -------------------------------------------------------------------------------


def shown(value, xs):
    """A value without identity, but for whether an array is the very memory of an input."""
    if isinstance(value, (np.ndarray, np.generic)):
        mine = [k for k, x in enumerate(xs) if isinstance(x, Tensor) and value is x.array and isinstance(value, np.ndarray)]
        return "array", type(value), str(value.dtype), value.shape, value.tobytes(), mine
    if isinstance(value, Tensor):
        return "tensor", shown(value.array, xs), value.requires_grad
    if isinstance(value, (tuple, list)):
        return type(value), [shown(v, xs) for v in value]
    if isinstance(value, dict):
        return {k: shown(v, xs) for k, v in value.items()}
    return float(value) if type(value) in (int, float) else value  # a number is kept as it came, or in the type of the computation


def origin(node, xs):
    """Which argument a node belongs to, and through which conversions."""
    if node is None:
        return None
    mine = [k for k, x in enumerate(xs) if isinstance(x, Tensor) and x.node is node]
    return mine or (node.name, [origin(p, xs) for p in node.parents])


def outcome(function, xs, params):
    """All that a call shows: the result and where it came from, its gradients, or the error."""
    try:
        out = function(*xs, **params)
    except Exception as error:
        return type(error), re.sub(r"\bat 0x\w+", "", str(error)), getattr(error, "__notes__", [])
    if not isinstance(out, Tensor) or out.node is None:
        return shown(out, xs), getattr(out, "base", None) is not None
    node, leaves = out.node, [x for x in xs if isinstance(x, Tensor) and x.requires_grad]
    row = [shown(out, xs), out.base is not None, node.op, shown(node.params, xs), node.shape, node.dtype, [origin(p, xs) for p in node.parents]]
    row += [shown(node.saved, xs), node.note is None]
    if node.note is not None:
        row += [node.note.line, node.note.names, shown(node.note.value, xs), shown(node.note.inputs, xs)]
    try:
        row += [shown(engine.grad(out, leaves, Tensor(np.ones(out.shape, out.dtype), None), allow_unused=True), xs)]
    except Exception as error:
        row += [type(error), str(error)]
    return row


def agree(case, function, kinds, mode="plain", dtype=np.float64):
    """The function and `apply` do the same with the same arguments."""
    rows = []
    for chosen in (function, general_function(case.op)):  # the second is `apply`, as a function
        xs = arguments(case, kinds, dtype)
        with np.errstate(all="ignore"), warnings.catch_warnings(), MODES[mode]():
            warnings.simplefilter("ignore")
            rows.append(outcome(chosen, xs, case.params))
    assert rows[0] == rows[1], f"{case}, {kinds}, {mode}, {np.dtype(dtype)}"


# --- the same as apply -----------------------------------------------------------------------------------------------------------------


def check_all(case):
    """Every mixture in the ordinary mode; some in the others and in float32."""
    function = function_of(case.op)
    for kinds in mixtures(case):
        agree(case, function, kinds)
    for kinds in mixtures(case, FEW):
        agree(case, function, kinds, dtype=np.float32)
    n = len(case.shapes)
    for mode in ("no_grad", "recording", "anomaly"):
        for kinds in [("leaf",) * n, ("constant",) * n, ("leaf",) + ("held",) * (n - 1)]:
            agree(case, function, kinds, mode)


@pytest.mark.parametrize("name", list(CASES))
def test_every_mixture_of_arguments(name):
    check_all(CASES[name])


@pytest.mark.parametrize("name", ODD)
def test_every_mixture_for_operators_that_nobody_has_written_yet(name, odd_operators):
    check_all(odd_operators[name])


# --- without apply -----------------------------------------------------------------------------------------------------------------------


def ordinary_mixtures(case):
    """What the written functions are for: tensors of one floating-point type; one of two numbers; what is left out; what is not converted."""
    op, n = case.op, len(case.shapes)
    if op.variadic or op.view or not op.differentiable or arrays_of(case, np.float64)[0].dtype.kind != "f":
        return
    kept = {want for wants in op.wants for want in wants}
    fitting = [["leaf", "constant"] for _ in range(n)]
    for i, x in enumerate(op.inputs[:n]):
        fitting[i] += ["held"] if x not in kept else []  # nothing is copied that is not kept
        fitting[i] += ["nothing"] if x in op.defaults else []
        fitting[i] += ["narrow", "integers"] if i and i not in op.promoted and len(op.promoted) < 2 else []
    yield from itertools.product(*fitting)
    if op.kind == "elementwise" and list(op.promoted) == [0, 1] and len(op.inputs) == 2 and not any(w.endswith(op.facts) for w in kept):
        yield from ((a, b) for a in ("leaf", "constant") for b in ("integer", "number"))
        yield from ((a, b) for b in ("leaf", "constant") for a in ("integer", "number"))


def unreachable(*args):
    raise AssertionError(f"{args[0]} was applied the long way")


def check_ordinary(case, monkeypatch):
    """Calls a freshly written function with each ordinary mixture, where `apply` must not be called; returns how many these were."""
    calls = [arguments(case, kinds, dtype) for dtype in (np.float64, np.float32) for kinds in ordinary_mixtures(case)]
    with monkeypatch.context() as patch, np.errstate(all="ignore"):
        patch.setattr(operator, "apply", unreachable)
        function = function_of(case.op)
        for xs in calls:
            out = function(*xs, **case.params)
            assert out.requires_grad == any(isinstance(x, Tensor) and x.requires_grad for x in xs), f"{case}, {xs}"
            with tg.no_grad():
                assert function(*xs, **case.params).node is None
    return len(calls)


COUNTS = dict(add=2 * (3 * 3 + 8), mul=2 * (2 * 2 + 8), affine=2 * (2 * 2 * 4), first_promoted=2 * (3 * 4), promoted_once=2 * (2 * 5), types_of=0, without_rules=0)


@pytest.mark.parametrize("name", list(CASES))
def test_the_ordinary_case_does_not_go_the_long_way(name, monkeypatch):
    count = check_ordinary(CASES[name], monkeypatch)
    assert count == COUNTS.get(name, count)


@pytest.mark.parametrize("name", ODD)
def test_nor_does_it_for_operators_that_nobody_has_written_yet(name, odd_operators, monkeypatch):
    count = check_ordinary(odd_operators[name], monkeypatch)
    assert count == COUNTS.get(name, count)


def test_there_are_ordinary_cases():
    assert all(any(ordinary_mixtures(CASES[name])) for name in ("abs", "add", "mul", "matmul", "affine", "sum", "affine_sigmoid", "convolution", "zeta"))


def test_nodes_without_parameters_share_their_dictionary():
    x = tg.ones(2, requires_grad=True)
    assert (x * 2).node.params is (x + x).node.params is x.exp().node.params == {}


# --- whole numbers and booleans -------------------------------------------------------------------------------------------------------------

WHOLE = ["int64", "int32", "uint8", "int16", "bool"]


def whole_arguments(case, dtype):
    """Lists of arguments: all of this type, one a number, one of another type, all of no dimension."""
    xs = [Tensor(np.abs(a).astype(dtype), None) for a in arrays_of(case, np.float64)]
    found = [xs, [Tensor(x.array.reshape(-1)[0], None) for x in xs]]
    found += [[*xs[:i], other, *xs[i + 1 :]] for i in range(len(xs)) for other in (2, 0.75, True, Tensor(np.ones(xs[i].shape, np.int32), None))]
    return [*found, [found[1][0], 2], [2, found[1][0]]] if len(xs) == 2 else found


@pytest.mark.parametrize("name", list(CASES))
def test_whole_numbers_and_booleans(name):
    case = CASES[name]
    function = function_of(case.op)
    for dtype in WHOLE if not case.op.variadic else ["int64"]:
        for xs in whole_arguments(case, dtype):
            with np.errstate(all="ignore"), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                found, expected = (outcome(f, xs, case.params) for f in (function, general_function(case.op)))
            assert found == expected, f"{case}, {dtype}, {xs}"


def test_whole_numbers_do_not_go_the_long_way_either(monkeypatch):
    def way(function, *xs, **params):
        try:
            return "short" if isinstance(function(*xs, **params), Tensor) else None
        except AssertionError as error:
            return "long" if "long way" in str(error) else None

    x = {dtype: tg.ones(3, dtype=getattr(tg, dtype)) for dtype in WHOLE}
    monkeypatch.setattr(operator, "apply", unreachable)
    add, eq, less, sub, exp, divide, summed = (function_of(registry[name]) for name in ("add", "eq", "lt", "sub", "exp", "div", "sum"))
    for dtype in ("int64", "int32", "uint8", "bool"):
        a, b = x[dtype], x["int32" if dtype == "int64" else "int64"]
        assert way(add, a, a) == way(eq, a, a) == way(summed, a, axis=None, keepdims=False) == "short", dtype
        assert way(less, a, a) == way(sub, a, a) == ("long" if dtype == "bool" else "short"), "what refuses something looks at booleans"
        assert way(add, a, b) == way(eq, b, a) == way(exp, a) == way(divide, a, a) == "long", "these change the type"
        assert way(add, a, 2) == way(eq, 2, a) == ("short" if dtype == "int64" else "long")
        assert way(add, a, 0.5) == way(eq, 0.5, a) == way(add, a, True) == way(divide, a, 2) == "long"
    join, floats = function_of(registry["concatenate"]), tg.ones(2, requires_grad=True)
    assert way(join, floats, floats, axis=0) == "short" and way(join, a, a, axis=0) == way(join, floats, a, axis=0) == "long"
    a = x["int64"].sum()
    assert way(add, a, a) == "short" and way(add, a, 2) == way(add, 2, a) == "long", "a number of no dimension counts as one of Python's there"
    assert way(eq, tg.ones(2), tg.ones(2)) == way(eq, tg.ones(2), 2) == way(eq, 2.0, tg.ones(2)) == "short"


# --- numbers, and what is left out ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [2, 0.75])
def test_a_number_counts_as_a_tensor_of_the_other_type(number):
    """float32 stays float32, and 2 is 2.0: in the result and in the gradient."""
    for op in registry.values():
        if op.kind != "elementwise" or list(op.promoted) != [0, 1] or op.inputs[0] == "input":  # losses take tensors
            continue
        for place in (0, 1):
            found = []
            for value in (number, tg.tensor(number, dtype=tg.float32)):
                xs = arguments(kit.Case(op, ((3,), (3,)), {}), ("leaf", "leaf"), np.float32)
                xs[place] = value
                with np.errstate(all="ignore"):
                    out = op.function(*xs)
                    (g,) = engine.grad(out, xs[1 - place], tg.ones(3), allow_unused=True)
                found.append([out.dtype, out.numpy(force=True), None if g is None else g.dtype, 0 if g is None else g.numpy()])
            (a, x, b, g), (c, y, d, h) = found
            assert a == c == np.float32 and b == d, f"{op.name}, number as input {place}: {found}"
            np.testing.assert_allclose(x, y, 1e-6, err_msg=op.name)
            np.testing.assert_allclose(g, h, 1e-6, err_msg=op.name)


def test_parameters_without_a_default_must_be_given():
    count = 0
    for name, op in registry.items():
        if op.kind == "composite" or all(value is not inspect.Parameter.empty for value in op.params.values()):
            continue
        xs = [tg.ones(2, 2, requires_grad=True) for _ in op.inputs]
        with pytest.raises(TypeError, match=rf"{name}\(\) missing .* required keyword-only argument"):
            function_of(op)(*xs)
        count += 1
    assert count > 20


def test_inputs_without_a_default_must_be_given():
    for case in CASES.values():
        given = [tg.ones(2, 2, requires_grad=True) for x in case.op.inputs if x not in case.op.defaults][1:]
        if not case.op.variadic:
            with pytest.raises(TypeError, match=r"missing 1 required positional argument"):
                function_of(case.op)(*given, **case.params)


def test_what_must_be_given_in_few_calls():
    x = tg.ones(2, 2, requires_grad=True)
    for name, xs, missing in (("exp", (), "'x'"), ("mul", (x,), "'y'"), ("matmul", (x,), "'y'"), ("reshape", (x,), "'shape'")):
        with pytest.raises(TypeError, match=rf"^{name}\(\) missing 1 required .* argument: {missing}$"):
            function_of(registry[name])(*xs)


def test_nothing_to_join():
    for name in ("concatenate", "stack"):
        for function in (function_of(registry[name]), general_function(registry[name])):
            with pytest.raises(ValueError, match="at least one array"):
                function()


def test_where_needs_both_values():
    x = tg.ones(2)
    for args in ((x > 0, None, x), (x > 0, x)):
        with pytest.raises(TypeError, match="give both values"):
            tg.where(*args)


def test_warnings_of_operators_come_from_the_package(fresh_registry):
    """A filter for the package's warnings holds for what an operator says of its caller, in the long and in the short way."""

    @linear(x=lambda g: g)
    def warning_copy(x):
        """x"""
        warnings.warn("copied", stacklevel=2)
        return x.copy()

    x = tg.ones(2, requires_grad=True)
    for function in (warning_copy, function_of(warning_copy.op), general_function(warning_copy.op)):
        for _ in range(2):
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", module=r"tinygrad_edu\.")
                function(x)


# --- apply ---------------------------------------------------------------------------------------------------------------------------------


def long_ways(x):
    """Results that `apply` computes: of views, of joined tensors, and where an array comes in."""
    return [x.reshape(-1, 1), tg.cat([x, x]), x * np.ones(2)]


def test_arrays_in_array_out():
    for name in ("reshape", "mul", "concatenate", "exp", "sum", "affine", "argmax_along"):
        case = CASES.get(name) or kit.cases_of(registry[name])[0] if name != "argmax_along" else kit.Case(registry[name], ((2, 3),), {})
        for function in (function_of(case.op), general_function(case.op)):
            assert isinstance(function(*arrays_of(case, np.float64), **case.params), (np.ndarray, np.float64, np.integer))
    assert registry["mul"].function(2, 3) == 6 and registry["exp"].function(0.0) == 1.0


def test_a_node_of_a_result_that_apply_computes():
    x = tg.tensor([1.0, 2.0], dtype=tg.float64, requires_grad=True)
    for y in long_ways(x):
        assert type(y.node.parents) is tuple and y.node.parents[0] is x.node and y.node.note is None and y.dtype == np.float64
    for function in (registry["eq"].function, lambda x, y: tg.argmax(x), lambda x, y: x.floor_divide(y)):
        assert not function(x, x).requires_grad


def test_a_recording_holds_what_apply_saw():
    x = tg.tensor([1.0, 2.0], dtype=tg.float64, requires_grad=True)
    for context in (tg.recording, tg.autograd.detect_anomaly):
        with context():
            results = [*long_ways(x), x * 2]
        for y in results:
            assert y.node.note.line[0] == __file__
        for y, count in zip(results, (1, 2, 2, 2)):
            if context is tg.recording:
                assert np.array_equal(y.node.note.value, y.array) and len(y.node.note.inputs) == count and y.node.note.givers[0]() is x
            else:
                assert y.node.note.value is None and y.node.note.names[0] == "x"


def test_an_anomaly_names_the_operator():
    x = tg.tensor([1.0, 0.0], requires_grad=True)
    for call, words in (("x / x", r"div\(x, x\) gave NaN, at \[1\]"), ("x.log()", r"log\(x\) gave -inf, at \[1\]")):
        with pytest.raises(RuntimeError, match=words), tg.autograd.detect_anomaly():
            eval(call, {"x": x})


def test_not_a_number_is_a_result_like_any_other():
    x = tg.tensor([np.nan, np.inf], dtype=tg.float64, requires_grad=True)
    for context in (tg.enable_grad, tg.no_grad, tg.recording):
        with context():
            assert all(np.isnan(y.numpy(force=True)).any() for y in long_ways(x))
    with pytest.raises(RuntimeError, match="detect_anomaly"), tg.autograd.detect_anomaly():
        long_ways(x)


def test_saved_values_are_packed_while_somebody_asks_for_it_and_then_only():
    x, seen = tg.tensor([1.0, 2.0], requires_grad=True), []

    def pack(value):
        seen.append(value.tolist())
        return value

    with tg.autograd.graph.saved_tensors_hooks(pack, lambda value: value * 10):
        y = (x * x).sum()
    with tg.no_grad(), tg.enable_grad():  # a mode is switched, and nothing is packed
        z = x * x
    assert seen == [[1.0, 2.0]] * 2
    y.backward()
    assert x.grad.tolist() == [20.0, 40.0] and z.node.saved is not None


@pytest.mark.parametrize("context", [tg.no_grad, tg.recording, tg.autograd.detect_anomaly])
def test_the_modes_of_another_thread_change_nothing_here(context):
    inside, done = threading.Event(), threading.Event()

    def other():
        with context():
            inside.set()
            done.wait(60)

    thread = threading.Thread(target=other)
    thread.start()
    try:
        assert inside.wait(60) and modes.special
        x = tg.tensor([np.nan, 1.0], dtype=tg.float64, requires_grad=True)
        results = [*long_ways(x), x * 2, x.sum()]
        assert all(y.requires_grad and y.node.note is None for y in results)
    finally:
        done.set()
        thread.join()


def test_no_gradient_goes_where_no_rule_is():
    """Hurwitz's ζ has no derivative for its exponent: its node has no parent there, and keeps nothing for it."""
    x, q = (tg.tensor([2.5, 3.5], dtype=tg.float64, requires_grad=True) for _ in range(2))
    for args in ((x, q), (x, q.detach().numpy()), (x, q.float())):
        node = registry["zeta"].function(*args).node
        assert node.parents[0] is None and node.saved[0] is None
    assert engine.grad(tg.special.zeta(x, q).sum(), [x, q], allow_unused=True)[0] is None


def test_the_first_input_is_the_one_that_is_viewed(fresh_registry):
    @linear(view=True, x=lambda g, x_shape: np.zeros(x_shape), places=None)
    def taken(x, places):
        """x from a place on"""
        return x[int(places.sum()) :]

    for function in (taken, general_function(taken.op)):
        x, places = tg.arange(4.0), tg.tensor([1, 1])
        out = function(x, places)
        assert out.base is x and out.tolist() == [2.0, 3.0]
        x[2] = 9.0
        assert out.tolist() == [9.0, 3.0]


def test_any_number_of_inputs_gets_one_type(fresh_registry):
    first = tg.ones(1, dtype=tg.float64, requires_grad=True)
    others = [tg.ones(1, requires_grad=True) for _ in range(120)]
    out = tg.cat([first, *others])
    assert out.dtype == np.float64 and out.node.parents[0] is first.node
    assert [p.name for p in out.node.parents[1:]] == ["cast"] * 120 and all(p.parents == (x.node,) for p, x in zip(out.node.parents[1:], others))
    assert {g.dtype for g in engine.grad(out.sum(), others)} == {np.dtype("f4")}

    @undifferentiable()
    def types_of(*xs):
        """The bytes per element of each input"""
        return np.array([x.itemsize for x in xs])

    assert types_of(first, *others).tolist() == [8] + [4] * 120, "what has no derivative is computed with what it gets"


# --- definitions -----------------------------------------------------------------------------------------------------------------------------


def test_what_is_not_said_is_not_so(fresh_registry):
    """The defaults of the decorators, as operators show and keep them."""

    def half(x):
        """x / 2 of a copy"""
        return np.asarray(x // 2)

    for decorator in (elementwise(x=lambda g: g), linear(x=lambda g: g), general(x=lambda g: g), undifferentiable(), undifferentiable(promote=("x",))):
        registry.pop("half", None)
        function = decorator(half)
        op = function.op
        assert (op.view, op.floats, op.symbol, op.samples, op.domain, op.numpy, op.together) == (False, False, "half", [], None, (), None)
        out = function(tg.arange(4))
        assert out.dtype == np.int64 and out.base is None and out.tolist() == [0, 0, 1, 1]


def test_integers_stay_integers_where_nothing_else_is_said():
    integers, truths = tg.tensor([[3, 1], [2, 4]]), tg.tensor([True, False])
    for f in ("sum", "prod", "amax", "amin", "abs", "neg", "square", "flip", "tril", "clone", "relu"):
        params = dict(flip=dict(axes=(0,)), tril=dict(diagonal=0)).get(f, {})
        params = {k: v for k, v in params.items() if k in registry[f].params}
        assert registry[f].function(integers, **params).dtype == np.int64, f
    for f in ("mean", "sqrt", "exp", "div"):
        assert registry[f].function(*[integers] * len(registry[f].inputs)).dtype == np.float32, f
    for inputs in (kit.INTEGER_INPUTS, kit.BOOLEAN_INPUTS):  # which others' types have no say in, and which have none
        for name, places in inputs.items():
            assert not set(places) & set(registry[name].promoted), name
    assert registry["where"].function(truths, tg.ones(2), tg.ones(2, dtype=tg.float64)).dtype == np.float64


def test_views_are_what_shares_memory():
    for name, op in registry.items():
        if op.kind in ("composite", "constant") or op.variadic:
            continue
        case = next(c for c in kit.cases_of(op) if c.shapes)
        xs = arguments(case, ("constant",) * len(case.shapes))
        with np.errstate(all="ignore"):
            out = op.function(*xs, **case.params)
        assert op.view or out.base is None, name
        assert not op.view or name == "getitem" or out.base is xs[0], name


def test_numpys_functions_lead_to_the_operators():
    count = 0
    for op in registry.values():
        for f in getattr(op, "numpy", ()):
            assert f in numpy_functions and (numpy_functions[f] is op.function or f in numpy_functions[f].op.numpy), op.name
            count += 1
    assert count > 80
    x = tg.tensor([0.5, 0.25], requires_grad=True)
    for f in (np.exp, np.tanh, np.sum, np.transpose):
        assert isinstance(f(x), Tensor) and f(x).requires_grad


def test_samples_may_come_from_a_generator(fresh_registry):
    def build(decorator):
        def doubled(x, *, times=2):
            """times · x"""
            return x * times

        registry.pop("doubled", None)
        return decorator(doubled)

    for decorator in (lambda **options: linear(x=lambda g, times: g * times, **options), composite):
        function = build(decorator(samples=(((n,), dict(times=n)) for n in (1, 2, 3))))
        for _ in range(2):
            assert [(c.shapes, c.params) for c in kit.cases_of(function.op)] == [(((n,),), dict(times=n)) for n in (1, 2, 3)]


def test_composites(fresh_registry):
    """A composite is its function, with a row in the registry and NumPy's spelling."""

    def cube_of(x):
        """x³

        More.
        """
        return x * x * x

    function = composite(np.spacing, np.signbit, domain=(1, 2))(cube_of)
    op = registry["cube_of"]
    assert function is cube_of and function.op is op and op.function is function
    assert (op.name, op.kind, op.formula, op.doc, op.samples, op.domain) == ("cube_of", "composite", "x³", "x³\n\nMore.", [], (1, 2))
    x = tg.tensor(2.0, requires_grad=True)
    assert np.spacing(x).item() == np.signbit(x).item() == 8.0 and numpy_functions[np.spacing] is function
    kit.check_first_order(kit.cases_of(op)[0], 1)

    @composite()
    def undocumented(x):
        return x + x

    assert registry["undocumented"].formula == registry["undocumented"].doc == "" and undocumented(x).item() == 4.0


def test_rules_have_names_for_tracebacks_and_profilers():
    count = 0
    for op in registry.values():
        for x, rule in zip(op.inputs, op.rules) if op.kind != "composite" else ():
            if rule is not None and "[" in rule.__name__:
                assert rule.__name__ == rule.__code__.co_name == rule.__code__.co_qualname == f"{op.name}.rule[{x}]"
                count += 1
    assert count > 100


def test_inputs_come_by_name_or_in_any_number(fresh_registry):
    def mixed(x, *others):
        """x + Σ others"""
        return x + sum(others)

    with pytest.raises(TypeError, match=r"a rule for 'x', but the inputs are \['others'\]"):
        general(x=lambda g: g, others=lambda g: g)(mixed)


def test_gradients_of_odd_operators(odd_operators):
    x, y = (tg.tensor([2.0, 3.0], dtype=tg.float64, requires_grad=True) for _ in range(2))
    expected = dict(facts_of_another=([1, 1], [2, 3]), facts_of_none=([2, 3], [2, 3]), promoted_once=([2, 3], [2, 3]), second_promoted=([1, 1], [1, 1]),
                    at_once=([2, 3], [2, 3]), parameters_like_facts=([2, 2],))  # fmt: skip
    for name, gradients in expected.items():
        for function in (odd_operators[name].op.function, general_function(odd_operators[name].op)):
            out = function(*(x, y)[: len(gradients)], **odd_operators[name].params)
            assert [g.tolist() for g in engine.grad(out.sum(), (x, y)[: len(gradients)])] == [*map(list, gradients)], name
        node = odd_operators["facts_of_another"].op.function(x, 2.5).node
        assert node.saved == [((), np.dtype("f8")), None], "a number has a shape and a type too"
    for function in (odd_operators["facts_of_none"].op.function, general_function(odd_operators["facts_of_none"].op)):
        node = function(x).node
        assert node.saved[0] == (None, None, None), "of what is left out there is no shape, on either way"


def test_a_first_input_that_may_be_missing(fresh_registry):
    """The operator computes in the type of an input that is there."""

    @general(promote=("y",), x=lambda g: g, y=lambda g: g)
    def optional_second(x, y=None):
        """x + y"""
        return x.copy() if y is None else x + y

    x = tg.tensor([1.0, 2.0], requires_grad=True)
    assert optional_second(x).tolist() == [1.0, 2.0] and optional_second(x, tg.ones(2)).tolist() == [2.0, 3.0]
    optional_second(x).sum().backward()
    assert x.grad.tolist() == [1.0, 1.0]


def test_joined_constants_that_numpy_overwrites():
    """A product of several operands keeps them: what NumPy shares is copied. Joined ones are not kept."""
    for names, function in (("ij,jk->ik", lambda x, c: tg.einsum("ij,jk->ik", x, c)), ("cat", lambda x, c: tg.cat([x, c]) ** 2)):
        memory = np.array([[1.0, 2.0], [3.0, 4.0]])
        x = tg.ones(2, 2, dtype=tg.float64, requires_grad=True)
        out = function(x, tg.from_numpy(memory))
        memory[:] = 100
        out.sum().backward()
        assert x.grad.tolist() == ([[3.0, 7.0], [3.0, 7.0]] if names != "cat" else [[2.0, 2.0], [2.0, 2.0]])


def test_joined_tensors_of_any_kind():
    x, y = tg.ones(2, requires_grad=True), tg.ones(2, dtype=tg.float64, requires_grad=True)
    for values in ((x, y), (x, np.ones(2)), (x, tg.ones(2)), (tg.ones(2), tg.ones(2)), (tg.arange(2), tg.arange(2)), (x,), (x, x, y)):
        out = registry["concatenate"].function(*values)
        assert out.requires_grad == any(getattr(v, "requires_grad", False) for v in values)
        assert out.dtype == np.result_type(*(v.dtype for v in values)) and out.shape == (2 * len(values),)
        if out.requires_grad:
            assert [p is not None for p in out.node.parents] == [getattr(v, "requires_grad", False) for v in values]
        with tg.no_grad():
            assert not registry["concatenate"].function(*values).requires_grad


@pytest.mark.parametrize("make", [function_of, general_function])
def test_memory_that_numpy_has_is_copied_into_graphs(make):
    data, x = np.array([2.0, 3.0]), tg.ones(2, dtype=tg.float64, requires_grad=True)
    y = make(registry["mul"])(x, tg.from_numpy(data))
    data[:] = 7
    y.sum().backward()
    assert x.grad.tolist() == [2, 3]


@pytest.mark.parametrize("make", [function_of, general_function])
def test_an_input_that_may_be_left_out_comes_by_name_too(make):
    x, weight, bias = tg.ones(2, 3), tg.ones(4, 3), tg.arange(4.0)
    affine = make(registry["affine"])
    assert affine(x, weight).tolist() == [[3.0] * 4] * 2 and affine(x, weight, bias=bias).tolist() == affine(x, weight, bias).tolist() == [[3.0, 4.0, 5.0, 6.0]] * 2


def test_a_constant_of_any_number_of_inputs(fresh_registry):
    @undifferentiable()
    def how_many(*xs):
        """The number of its inputs"""
        return np.array(len(xs))

    counted = how_many(tg.ones(2, requires_grad=True), tg.ones(2))
    assert counted.item() == 2 and not counted.requires_grad
