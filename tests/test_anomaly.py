"""Anomaly mode: the line, the variable, the operator and the input that first gave NaN or inf, forward and backward."""

import linecache
import subprocess
import sys

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import nn
from tinygrad_edu.autograd import modes

detect_anomaly = tg.autograd.detect_anomaly


def leaf(*values):
    return tg.tensor(values, requires_grad=True, dtype=tg.float64)


def message(function, *args, mode=detect_anomaly):
    """What a function raises inside of anomaly mode, with its notes."""
    with mode(), pytest.raises(RuntimeError) as caught:
        function(*args)
    return "\n".join([str(caught.value), *getattr(caught.value, "__notes__", [])])


def line_of(function, text):
    """The number of the line of a function that holds some text."""
    code = function.__code__
    last = max(line for *_, line in code.co_lines() if line)
    return next(n for n in range(code.co_firstlineno, last + 1) if text in linecache.getline(__file__, n))


# --- forward -----------------------------------------------------------------------------------------------------------


def entropy(p):
    safe = p * 1
    logs = tg.log(p)
    return -(safe * logs).sum()


def test_a_forward_value_names_line_variable_operator_and_input():
    text = message(entropy, leaf(0.5, 0.0, 0.5))
    assert text.startswith("detect_anomaly: log(p) gave -inf, at [1] of logs, float64[3] (1 of 3)\n")
    assert f'File "{__file__}", line {line_of(entropy, "logs = ")}, in entropy' in text
    assert "    logs = tg.log(p)\n           ^^^^^^^^^\n" in text
    assert "p, float64[3], is 0 there and goes from 0 to 0.5" in text
    assert "while computing log(float64[3])" in text


def inside(x):
    return 3 * (x - x.exp()) + 1


def test_the_part_of_the_line_is_marked():
    text = message(inside, leaf(1.0, 1000.0))
    assert "    return 3 * (x - x.exp()) + 1\n                    ^^^^^^^\n" in text and "exp(x) gave inf" in text


def two_inputs(big, small):
    ratio = big / small
    return ratio


@pytest.mark.parametrize("small, words", [
    (leaf(1.0, 0.0), ["div(big, small) gave inf", "at [1] of ratio", "big, float64[2], is 2 there", "small, float64[2], is 0 there"]),
    (0.0, ["div(big, 0.0) gave inf", "at [0]"]),
    (tg.tensor([[1.0], [0.0]], dtype=tg.float64), ["at [1, 0] of ratio, float64[2, 2] (2 of 4)", "small, float64[2, 1], is 0 there"]),
])  # fmt: skip
def test_each_input_is_shown(small, words):
    text = message(two_inputs, leaf(1.0, 2.0), small)
    for word in words:
        assert word in text, text


def test_inputs_of_products_are_shown_with_their_range():
    a, b = tg.full((1, 2), 1e30), tg.tensor([[1.0, 1e30], [0.0, -1.0]])
    text = message(lambda: a @ b)
    assert "matmul(a, b) gave inf" in text and "at [0, 1]" in text
    assert "a, float32[1, 2], goes from 1e+30 to 1e+30" in text and "b, float32[2, 2], goes from -1 to 1e+30" in text


def test_values_without_gradients_are_watched_too():
    x = tg.tensor([0.0, 1.0])
    assert "log(x) gave -inf" in message(lambda: tg.log(x))
    with tg.no_grad():
        assert "log(x) gave -inf" in message(lambda: tg.log(x))


def test_an_input_that_came_in_bad_is_said_to():
    data = tg.tensor([[1.0, 2.0], [tg.nan, 4.0]])
    text = message(lambda: data * 2)
    assert "data, float32[2, 2], is nan there and holds NaN already, at [1, 0] (1 of 4): it came in so, as data" in text
    text = message(lambda x: x.sum(), leaf(1.0, tg.nan))
    assert "x, float64[2], holds NaN already, at [1] (1 of 2): a leaf" in text
    assert "gave NaN, of the result, float64[] (1 of 1)" in text


def test_inputs_without_a_name_and_variadic_ones():
    text = message(lambda x: (x * 1).log(), leaf(0.0))
    assert "the input x, float64[1], is 0 there; mul computed it" in text or "mul computed it" in text
    first = leaf(1.0)
    text = message(lambda: tg.cat([first, tg.tensor([tg.nan], dtype=tg.float64)]))
    assert "concatenate(first, xs[1]) gave NaN" in text and "the input xs[1], float64[1], holds NaN already" in text


class Holder:
    def __init__(self, scale):
        self.scale = scale

    def use(self, x):
        self.result = x / self.scale
        return self.result


def test_attributes_are_named():
    text = message(Holder(leaf(0.0)).use, leaf(1.0))
    assert "div(x, self.scale) gave inf, at [0] of self.result" in text


def test_masks_with_minus_infinity_pass():
    scores, mask = leaf(1.0, 2.0, 3.0), tg.tensor([True, False, False])
    with detect_anomaly():
        (scores.masked_fill(mask, -tg.inf).softmax(0)[1] * 2).backward()
        (scores + tg.tensor([0.0, -tg.inf, 0.0])).softmax(0)[0].backward()
        assert tg.maximum(scores, -tg.inf).isfinite().all() and (tg.tensor([tg.inf]) * 2).isinf().all()
        assert tg.nan_to_num(tg.tensor([tg.nan])).item() == 0
    assert np.isfinite(scores.grad.numpy()).all()


def test_all_rows_masked_is_nan_and_names_the_softmax():
    scores = leaf(1.0, 2.0)
    text = message(lambda: scores.masked_fill(tg.tensor([True, True]), -tg.inf).softmax(0))
    assert "softmax" in text and "holds -inf already, at [0] (2 of 2)" in text


def test_what_is_checked_can_be_chosen():
    x = tg.tensor([0.0, 1.0])
    with detect_anomaly(check_inf=False):
        assert tg.log(x)[0].item() == -np.inf
        with pytest.raises(RuntimeError, match="gave NaN"):
            tg.log(x) * 0
    with detect_anomaly(check_nan=False):
        assert np.isnan((tg.log(x) * 0)[0].item())
        y = leaf(1.0)
        z = (y * y).sum()
        z.backward()
        with pytest.raises(RuntimeError, match=r"freed by an earlier .*(\n.*)*z = \(y \* y\)\.sum\(\)"):
            z.backward()


def test_nothing_happens_without_the_mode_and_it_ends():
    x = leaf(0.0)
    with detect_anomaly():
        assert modes.state.anomaly and modes.special == 1
    with np.errstate(all="ignore"):
        tg.sqrt(x).sum().backward()
    assert x.grad.item() == np.inf and modes.special == 0 and modes.state.anomaly is False


def test_pytorchs_ways_to_switch():
    x = leaf(0.0)
    assert not tg.is_anomaly_enabled() and not tg.is_anomaly_check_nan_enabled()
    with tg.autograd.set_detect_anomaly(True), np.errstate(all="ignore"):
        assert tg.is_anomaly_enabled() is True and tg.is_anomaly_check_nan_enabled() is True
        assert "log(x) gave" in message(lambda: tg.log(x), mode=tg.enable_grad)
        with tg.autograd.set_detect_anomaly(False):
            assert tg.log(x).item() == -np.inf
        assert tg.is_anomaly_enabled()
    assert not tg.is_anomaly_enabled()
    tg.autograd.set_detect_anomaly(True, check_nan=False)
    assert tg.is_anomaly_enabled() and not tg.is_anomaly_check_nan_enabled()
    tg.autograd.set_detect_anomaly(False)

    @detect_anomaly()
    def decorated():
        return tg.is_anomaly_enabled()

    @detect_anomaly
    def bare():
        return tg.is_anomaly_enabled()

    assert decorated() and bare() and not tg.is_anomaly_enabled()
    with tg.autograd.detect_anomaly(check_nan=True):
        assert tg.is_anomaly_check_nan_enabled()


# --- backward ----------------------------------------------------------------------------------------------------------


def kinked(distance):
    root = distance.sqrt()
    return (root * 3).sum()


def test_a_derivative_names_the_forward_line_and_the_bad_input():
    x = leaf(4.0, 0.0)
    text = message(lambda: kinked(x).backward())
    assert text.startswith("detect_anomaly: the derivative rule of sqrt gave inf in the backward pass, at [1] of the gradient for its "
                           "input distance (x), float64[2] (1 of 2)\n")  # fmt: skip
    assert f'line {line_of(kinked, "root = ")}, in kinked\n    root = distance.sqrt()\n           ^^^^^^^^^^^^^^^\n' in text
    assert "the gradient of the result, float64[2], is 3 there" in text
    assert "the result, float64[2], is 0 there and goes from 0 to 2" in text
    assert x.grad is None, "a failed backward changes no gradient"
    assert text.count("root = ") == 1, "the line is shown once"


def test_the_input_with_the_bad_derivative_is_the_one_that_is_named():
    a, b = leaf(1.0, 2.0), leaf(1.0, 1e-150)

    def ratio():
        return (a * 1e50 / b).sum()

    text = message(lambda: ratio().backward())
    assert "derivative rule of div" in text and "for its input b (y)" in text
    a, b = leaf(2.0), leaf(0.0)
    assert "for its input b (x)" in message(lambda: (a + b**0.5).sum().backward())
    x = leaf(0.0)  # twice the same input
    assert "derivative rule of div" in message(lambda: (x / (x + 1e-320)).sum().backward())


def test_without_the_lines_the_message_says_how_to_get_them():
    y = kinked(leaf(0.0))
    text = message(y.backward)
    assert "derivative rule of sqrt" in text and "run the forward pass inside autograd.detect_anomaly() too" in text


def test_a_bad_gradient_that_came_in_is_said_to():
    y = leaf(1.0, 2.0) * 3
    text = message(lambda: y.backward(tg.tensor([1.0, tg.nan], dtype=tg.float64)))
    assert "the gradient of the result, float64[2], is nan there" in text and "gradient=, from a hook" in text


def test_gradients_of_gradients():
    x = leaf(0.0)
    with detect_anomaly():
        (slope,) = tg.autograd.grad((x**1.5).sum(), x, create_graph=True)
        with pytest.raises(RuntimeError, match="in the backward pass"):
            slope.sum().backward()


class Wrong(tg.autograd.Function):
    @staticmethod
    def forward(ctx, x, power):
        ctx.power = power
        return tg.tensor(x.detach().numpy() ** power)

    @staticmethod
    def backward(ctx, g):
        return g * tg.nan if ctx.power == 2 else tg.full_like(g, tg.nan), None


def test_functions_of_the_user():
    x = leaf(4.0, 1.0)
    text = message(lambda: Wrong.apply(x, 2).sum().backward())
    assert "mul(g, nan) gave NaN" in text and "return g * tg.nan if ctx.power" in text, "the line of the rule itself"
    assert "in the derivative rule of Wrong" in text and "Wrong.apply(x, 2)" in text, "and that of the forward pass"
    text = message(lambda: Wrong.apply(x, 3).sum().backward())
    assert "the derivative rule of Wrong gave NaN" in text and "for its input x (input 0)" in text
    text = message(lambda: Wrong.apply(leaf(-4.0), 0.5))
    assert "Wrong(input 0, 0.5) gave NaN" in text


# --- modules -------------------------------------------------------------------------------------------------------------


class Block(nn.Module):
    def __init__(self, *widths):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(a, b) for a, b in zip(widths, widths[1:])])

    def forward(self, x):
        for layer in self.layers:
            x = layer(x)
        return x


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.block, self.head = Block(5, 4), nn.Sequential(nn.Linear(4, 4), nn.Sigmoid(), nn.Linear(3, 2))

    def forward(self, x):
        return self.head(self.block(x))


@pytest.mark.parametrize("shape, note", [
    ((2, 6), "in block.layers.0: Linear(in_features=5, out_features=4, bias=True)"),
    ((2, 5), "in head.2: Linear(in_features=3, out_features=2, bias=True)"),
])  # fmt: skip
def test_an_error_names_the_module(shape, note):
    with pytest.raises(ValueError) as caught:
        Net()(tg.ones(shape))
    assert caught.value.__notes__[-1] == note and len(caught.value.__notes__) == 2
    assert str(caught.value).startswith("linear: the input, of shape [2,"), "the message's own text leads"
    with pytest.raises(ValueError) as caught, tg.recording():
        Net()(tg.ones(shape))
    assert caught.value.__notes__[-1] == note


def test_an_error_names_a_module_without_path_and_one_in_a_fused_pair():
    with pytest.raises(ValueError) as caught:
        nn.Linear(2, 3)(tg.ones(1, 4))
    assert caught.value.__notes__[-1] == "in Linear(in_features=2, out_features=3, bias=True)"
    with pytest.raises(ValueError) as caught:
        nn.Sequential(nn.Linear(2, 3), nn.Sigmoid())(tg.ones(1, 4))
    assert caught.value.__notes__[-1] == "in 0: Linear(in_features=2, out_features=3, bias=True)"


def test_an_error_of_the_users_own_and_a_repr_that_fails():
    class Picky(nn.Module):
        def forward(self, x):
            raise KeyError("nothing fits")

        def __repr__(self):
            raise ValueError("no repr")

    with pytest.raises(KeyError, match="nothing fits") as caught:
        nn.Sequential(nn.ReLU(), Picky())(tg.ones(1))
    assert caught.value.__notes__ == ["in 1: Picky"]


def test_a_module_called_inside_of_two_models_is_named_from_the_outermost():
    class Outer(nn.Module):
        def __init__(self):
            super().__init__()
            self.nets = nn.ModuleDict({"a": Net(), "b": nn.ReLU()})

        def forward(self, x):
            return self.nets["a"](self.nets["b"](x))

    with pytest.raises(ValueError) as caught:
        Outer()(tg.ones(2, 7))
    assert [n for n in caught.value.__notes__ if n.startswith("in ")] == [
        "in nets.a.block.layers.0: Linear(in_features=5, out_features=4, bias=True)"]  # fmt: skip


def test_an_error_that_was_caught_on_the_way_leaves_no_trace():
    class Forgiving(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = nn.Linear(2, 2), nn.Linear(3, 3)

        def forward(self, x):
            try:
                return self.first(x)
            except ValueError:
                return self.second(x)

    assert Forgiving()(tg.ones(1, 3)).shape == (1, 3)
    with pytest.raises(ValueError) as caught:
        Forgiving()(tg.ones(1, 4))
    assert [n for n in caught.value.__notes__ if n.startswith("in ")] == ["in second: Linear(in_features=3, out_features=3, bias=True)"]


def test_anomalies_in_modules_name_path_and_parameter():
    model = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1))
    with tg.no_grad():
        model[2].weight[0, 1] = tg.nan
    text = message(model, tg.ones(4, 2))
    assert "affine(x, 2.weight, 2.bias) gave NaN" in text and "in 2: Linear(in_features=3, out_features=1, bias=True)" in text
    assert "2.weight, float32[1, 3], holds NaN already, at [0, 1] (1 of 3): a leaf, so its data or an update" in text


class Root(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(tg.tensor([1.0, 0.0]))

    def forward(self, x):
        return x * self.scale.sqrt()


def test_a_bad_derivative_in_a_module_names_path_and_parameter():
    model = nn.Sequential(Root())
    text = message(lambda: model(tg.ones(2)).sum().backward())
    assert "for its input 0.scale (x)" in text and "\n  in 0: Root()\n" in text and "return x * self.scale.sqrt()" in text


# --- errors of back propagation ------------------------------------------------------------------------------------------


def squared(x):
    return (x * x).sum()


def overwritten():
    x = leaf(1.0, 2.0)
    y = squared(x)
    with tg.no_grad():
        x.add_(1)
    y.backward()


def freed():
    y = squared(leaf(1.0))
    y.backward()
    y.backward()


def hooked():
    y = leaf(1.0, 2.0) * 2
    y.register_hook(lambda g: tg.ones(7))
    y.sum().backward()


def broken_rule():
    x = leaf(1.0, 2.0)
    y = squared(x)
    y.node.parents[0].saved = [(tg.ones(3).array,), (tg.ones(3).array,)]
    y.backward()


@pytest.mark.parametrize("program, source", [
    (overwritten, "return (x * x).sum()"), (freed, "return (x * x).sum()"), (hooked, "y = leaf(1.0, 2.0) * 2"),
    (broken_rule, "return (x * x).sum()")])  # fmt: skip
@pytest.mark.parametrize("mode", [detect_anomaly, tg.recording, None])
def test_backward_errors_name_the_forward_line_or_how_to_get_it(program, source, mode):
    with pytest.raises((RuntimeError, ValueError)) as caught:
        if mode is None:
            program()
        else:
            with mode():
                program()
    text = "\n".join([str(caught.value), *getattr(caught.value, "__notes__", [])])
    assert (source in text and f'File "{__file__}"' in text) == (mode is not None), text
    assert ("run the forward pass inside autograd.detect_anomaly()" in text) == (mode is None)


def test_programs_without_source():
    """What exec and the prompt compute has no file to show."""
    scope = {"tg": tg, "x": leaf(0.0)}
    text = message(lambda: exec("y = tg.log(x)", scope))
    assert "log(x) gave -inf" in text and 'File "<string>", line 1' in text


def test_the_message_ends_a_program_as_people_see_it():
    code = "import tinygrad_edu as tg\nx = tg.tensor([0.0])\nwith tg.autograd.detect_anomaly():\n    y = tg.log(x)\n"
    run = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True)
    assert run.returncode == 1 and "RuntimeError: detect_anomaly: log(x) gave -inf" in run.stderr


def test_two_threads_have_a_mode_each():
    from concurrent.futures import ThreadPoolExecutor

    def elsewhere():
        with np.errstate(all="ignore"):
            return tg.log(tg.zeros(1)).item()

    with detect_anomaly(), ThreadPoolExecutor(1) as pool:
        assert pool.submit(elsewhere).result() == -np.inf


def test_a_parameter_that_an_update_made_infinite_is_named():
    weight = tg.nn.Parameter(tg.ones(2))
    optimizer = tg.optim.SGD([weight], lr=1e38)
    weight.grad = tg.tensor([1e10, 1.0])
    with np.errstate(all="ignore"):
        optimizer.step()
    with detect_anomaly(), pytest.raises(RuntimeError, match=r"(?s)mul\(weight, 2\) gave -inf.*weight.*an update \(too large a step\?\) made it so"):
        weight * 2
    mask = tg.tensor([-np.inf, 0.0])
    with detect_anomaly():
        assert (tg.ones(2, requires_grad=True) + mask).softmax(0).tolist() == [0, 1]
