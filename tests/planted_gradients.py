"""Functions with a planted mistake in their gradient, by the kind of cause that the diagnosis must name; test_diagnosis.py checks them.

Some are `autograd.Function`s, as PyTorch users write them; some are NumPy functions with a gradient beside them, as learners write them.
"""

import numpy as np

import tinygrad_edu as tg
from tinygrad_edu.autograd import Function, engine
from tinygrad_edu.autograd.gradcheck import check_gradient, check_gradients

RNG = np.random.default_rng(0)
SEED = [0]  # of the numbers; other ones must lead to the same causes
PLANTED = {}  # name → (kind, words that the message holds, function that returns the GradientCheck)


def planted(kind, *words):
    """Enter a check under the function's name."""

    def enter(function):
        def check():
            RNG.bit_generator.state = np.random.default_rng(SEED[0]).bit_generator.state
            tg.manual_seed(SEED[0])
            return function()

        PLANTED[function.__name__] = (kind, words, check)
        return function

    return enter


def leaf(*shape, low=0.3, high=2.0, seed=0, signs=False):
    values = np.random.default_rng(seed + 100 * SEED[0]).uniform(low, high, shape)
    if signs:
        values *= np.where(np.arange(values.size).reshape(shape) % 2, 1.0, -1.0)
    return tg.tensor(values, requires_grad=True)


def function(name, forward, backward):
    """A Function from forward(*xs) and backward(g, out, *xs)."""

    def run(ctx, *xs):
        out = forward(*xs)
        ctx.save_for_backward(*xs, out) if isinstance(out, tg.Tensor) else ctx.save_for_backward(*xs, *out)
        ctx.count = len(xs)
        return out

    def back(ctx, *g):
        saved = ctx.saved_tensors
        xs, out = saved[: ctx.count], saved[ctx.count :]
        return backward(*g, *out, *xs)

    return type(name, (Function,), {"forward": staticmethod(run), "backward": staticmethod(back)}).apply


def unary(forward, backward, x=None):
    """Check a Function of one input."""
    return check_gradients(function("Planted", forward, backward), leaf(4) if x is None else x)


def binary(forward, backward, x, y):
    return check_gradients(function("Planted", forward, backward), (x, y))


# --- constant factors --------------------------------------------------------------------------------------------------------


@planted("factor", "exactly twice the slope", "a factor 2 too many")
def twice():
    return unary(lambda x: x * x, lambda g, out, x: 4 * g * x)


@planted("factor", "exactly half the slope", "The derivative of x² is 2x, not x")
def half():
    return unary(lambda x: x * x, lambda g, out, x: g * x)


@planted("factor", "the negative of the slope", "the sign is wrong")
def negated():
    return unary(lambda x: tg.cos(x), lambda g, out, x: g * tg.sin(x))


@planted("factor", "1.01 times")
def some_constant():
    return unary(lambda x: tg.exp(x), lambda g, out, x: 1.01 * g * out)


@planted("factor", "1/ln 2")
def base_of_the_logarithm():
    return unary(lambda x: tg.log(x) / np.log(2) * np.log(2), lambda g, out, x: g / x / np.log(2))


@planted("factor", "π/180")
def degrees():
    return unary(lambda x: tg.sin(x), lambda g, out, x: g * tg.cos(x) * np.pi / 180)


@planted("factor", "minus twice")
def minus_twice():
    return unary(lambda x: x**3, lambda g, out, x: -6 * g * x * x)


@planted("size_factor", "12 times", "the 1/n of a mean is missing")
def mean_without_its_count():
    return unary(lambda x: x.mean(), lambda g, out, x: g * tg.ones_like(x), leaf(3, 4))


@planted("size_factor", "1/12", "the function sums")
def sum_with_a_count():
    return unary(lambda x: (x * x).sum(), lambda g, out, x: g * 2 * x / 12, leaf(3, 4))


@planted("size_factor", "5 = the elements of")
def loss_not_averaged():
    x, t = RNG.normal(size=5), RNG.normal(size=5)
    return check_gradient(lambda y: ((y - t) ** 2).mean(), lambda y: 2 * (y - t), x)


@planted("normalised", "length 1")
def scaled_to_length_one():
    x = RNG.normal(size=6)
    return check_gradient(lambda x: (x**2).sum(), lambda x: x / np.linalg.norm(x), x)


# --- shapes and axes ---------------------------------------------------------------------------------------------------------


@planted("transposed", "transpose of the right one", "rows and columns")
def transposed():
    return binary(lambda x, w: x @ w, lambda g, out, x, w: (g @ w.T, (x.T @ g).T), leaf(4, 3), leaf(3, 3, seed=1))


@planted("transposed", "transpose of the right gradient")
def transposed_shape():
    return binary(lambda x, w: x @ w, lambda g, out, x, w: (g @ w.T, (x.T @ g).T), leaf(4, 3), leaf(3, 2, seed=1))


@planted("transposed", "transpose of the right gradient")
def transposed_by_hand():
    x, w = RNG.normal(size=(4, 3)), RNG.normal(size=(3, 2))
    return check_gradient(lambda w: x @ w, lambda g, w: g.T @ x, w)


@planted("reshaped", "order of the transpose")
def reshaped_for_transposed():
    return unary(lambda x: x.T * 1.5, lambda g, out, x: 1.5 * g.reshape(x.shape), leaf(2, 3))


@planted("upstream_transposed", "g, not g.T")
def upstream_transposed():
    return unary(lambda x: x.sum(1, keepdim=True) * tg.ones(3, 3, dtype=tg.float64) * x[0], lambda g, out, x: engine_grad(x, g.T), leaf(3, 3))


def engine_grad(x, g):
    y = x.detach().requires_grad_()
    with tg.enable_grad():
        return engine.grad(y.sum(1, keepdim=True) * tg.ones(3, 3, dtype=tg.float64) * y[0], y, g)[0]


@planted("not_adjoint", "needs its transpose")
def the_forward_operation_again():
    return unary(lambda x: x.cumsum(0), lambda g, out, x: g.cumsum(0))


@planted("missing_sum", "sum over the broadcast axis 0 is missing", "5 times going forward")
def missing_broadcast_sum():
    x, b = RNG.normal(size=(5, 3)), RNG.normal(size=3)
    return check_gradient(lambda x, b: x + b, lambda g, x, b: (g, g), x, b)


@planted("missing_sum", "only the first of its 5 entries")
def first_row_for_the_sum():
    return binary(lambda x, b: x * b, lambda g, out, x, b: (g * b, (g * x)[0]), leaf(5, 3), leaf(3, seed=1))


@planted("mean_not_sum", "must be summed, not averaged")
def mean_for_the_sum():
    return binary(lambda x, b: x + b, lambda g, out, x, b: (g, g.mean(0)), leaf(5, 3), leaf(3, seed=1))


@planted("mean_not_sum", "must be summed")
def mean_for_the_sum_by_hand():
    x, w, b, t = RNG.normal(size=(6, 3)), RNG.normal(size=(3, 2)), RNG.normal(size=2), RNG.normal(size=(6, 2))

    def gradient(w, b):
        d = 2 * (x @ w + b - t)
        return x.T @ d, d.mean(0)

    return check_gradient(lambda w, b: ((x @ w + b - t) ** 2).sum(), gradient, w, b)


@planted("missing_sum", "only the first row")
def first_row_for_the_sum_by_hand():
    x, w, b, t = RNG.normal(size=(6, 3)), RNG.normal(size=(3, 2)), RNG.normal(size=2), RNG.normal(size=(6, 2))

    def gradient(w, b):
        d = 2 * (x @ w + b - t)
        return x.T @ d, d[0]

    return check_gradient(lambda w, b: ((x @ w + b - t) ** 2).sum(), gradient, w, b)


@planted("wrong_shape", "keepdims=True")
def lost_axis():
    x = RNG.normal(size=(1, 3))
    return check_gradient(lambda x: (x**2).sum(), lambda x: (2 * x).sum(0), x)


@planted("wrong_shape", "no sum, transpose or reshape")
def shape_of_something_else():
    return check_gradient(lambda x: (x**2).sum(), lambda x: np.ones(7), RNG.normal(size=3))


@planted("summed_too_much", "a gradient needs every element")
def summed_too_much():
    return check_gradient(lambda x: x.sum() * 3, lambda x: np.array(3.0), RNG.normal(size=3))


# --- which input -------------------------------------------------------------------------------------------------------------


@planted("swapped", "changed places")
def swapped_gradients():
    return binary(lambda x, y: x * y, lambda g, out, x, y: (g * x, g * y), leaf(4), leaf(4, seed=1))


@planted("other_input", "this is the gradient of xs[1]")
def gradient_of_another_input():
    return binary(lambda x, y: x * tg.exp(y), lambda g, out, x, y: (g * x * tg.exp(y),) * 2, leaf(4), leaf(4, seed=1))


@planted("operands_swapped", "exchanged")
def operands_swapped():
    return binary(lambda x, y: x / y, lambda g, out, x, y: (g / x, -g * x / y**2), leaf(4), leaf(4, seed=1))


@planted("outputs_swapped", "outputs 0 and 1 have changed places")
def outputs_swapped():
    return unary(lambda x: (tg.sin(x), tg.exp(x)), lambda g, h, s, e, x: h * tg.cos(x) + g * e)


@planted("output_ignored", "output 1 is ignored")
def output_ignored():
    return unary(lambda x: (tg.sin(x), tg.exp(x)), lambda g, h, s, e, x: g * tg.cos(x))


@planted("no_dependence", "does not change with this input")
def gradient_of_an_unused_input():
    return binary(lambda x, y: x * 2, lambda g, out, x, y: (g * 2, g), leaf(4), leaf(4, seed=1))


# --- what arrives ------------------------------------------------------------------------------------------------------------


@planted("zero", "zero everywhere")
def zeros():
    return unary(lambda x: x * x, lambda g, out, x: g * 0)


@planted("zero", "zeros or None")
def none():
    return unary(lambda x: x * x, lambda g, out, x: None)


@planted("detached", "no gradient arrives", ".detach()")
def detached():
    return check_gradients(lambda x: x.detach() * 2, leaf(3))


@planted("detached", "outside of the graph", ".detach()")
def detached_in_part():
    return check_gradients(lambda x: (x * x.detach()).sum() + (x * 3).sum(), leaf(3))


@planted("detached", ".item()")
def a_number_of_python():
    return check_gradients(lambda x: x * x.sum().item(), leaf(3))


@planted("none", "None was returned")
def none_by_hand():
    return check_gradient(lambda x, y: (x * y).sum(), lambda x, y: (y, None), RNG.normal(size=3), RNG.normal(size=3))


@planted("ignores_upstream", "the factor g (grad_output) is missing")
def upstream_ignored():
    return unary(lambda x: x * x, lambda g, out, x: 2 * x)


@planted("squared_upstream", "g² instead of g")
def upstream_squared():
    return unary(lambda x: x * x, lambda g, out, x: 2 * x * g * g)


@planted("nonlinear_upstream", "not proportional")
def upstream_clipped():
    return unary(lambda x: x * x, lambda g, out, x: 2 * x * g.clamp(-0.75, 1.0))


@planted("passed_on", "passed on unchanged", "chain rule")
def passed_on():
    return unary(lambda x: tg.tanh(x), lambda g, out, x: g * 1)


@planted("hook", "a hook", "changes the gradient")
def a_hook():
    def function(x):
        y = x * x
        y.register_hook(lambda g: g * 0.1)
        return y.sum()

    return check_gradients(function, leaf(3))


@planted("backward_state", "two backward passes gave different gradients")
def backward_keeps_state():
    calls = []

    def back(g, out, x):
        calls.append(1)
        return 2 * g * x * (1 + 1e-3 * len(calls))

    return unary(lambda x: x * x, back)


@planted("state", "keeps a state")
def forward_keeps_state():
    calls = []

    def function(x):
        calls.append(1)
        return x * len(calls)

    return check_gradients(function, leaf(3))


# --- formulas ----------------------------------------------------------------------------------------------------------------


@planted("expects_output", "written for the result")
def formula_of_the_output():
    return check_gradient(lambda x: 1 / (1 + np.exp(-x)), lambda x: x * (1 - x), np.array([-1.0, 0.3, 2.0]))


@planted("at_output", "taken at the result instead of the input")
def taken_at_the_output():
    return unary(lambda x: tg.sin(x), lambda g, out, x: g * tg.cos(out))


@planted("value", "the value of the function")
def value_for_derivative():
    return unary(lambda x: tg.sin(x), lambda g, out, x: g * out)


@planted("sign_lost", "the sign was lost")
def sign_lost():
    return unary(lambda x: x * x, lambda g, out, x: g * 2 * abs(x), leaf(5, signs=True))


@planted("reciprocal", "1 divided by the slope")
def reciprocal():
    return unary(lambda x: tg.exp(x), lambda g, out, x: g / out)


@planted("squared", "the square of the slope")
def factor_twice():
    return unary(lambda x: x * x * x, lambda g, out, x: g * 9 * x**4)


@planted("clipped", "cut off at ±1")
def clipped():
    x = np.array([-3.0, 0.2, 0.1, 2.0])
    return check_gradient(lambda x: (x**2).sum(), lambda x: np.clip(2 * x, -1, 1), x)


@planted("diagonal_only", "mixed terms")
def softmax_diagonal():
    return unary(lambda x: tg.softmax(x, 0), lambda g, out, x: g * out * (1 - out))


@planted("mean_constant", "treated as a constant")
def mean_as_a_constant():
    return unary(lambda x: (x - x.mean()) ** 2, lambda g, out, x: 2 * g * (x - x.mean()), leaf(5))


@planted("added_constant", "+0.01 is added")
def added_constant():
    return check_gradient(lambda x: (x**2).sum(), lambda x: 2 * x + 0.01, RNG.normal(size=4))


@planted("added_constant", "does not depend on the gradient that arrives")
def added_whatever_arrives():
    return unary(lambda x: x * x, lambda g, out, x: 2 * g * x + 0.01)


@planted("averaged", "the mean of the right ones")
def averaged_over_an_axis_of_the_input():
    return unary(lambda x: x**3, lambda g, out, x: (3 * g * x * x).mean(0, keepdim=True) * tg.ones_like(x), leaf(4, 3))


@planted("weight_decay", "0.1 · w", "weight decay")
def weight_decay_in_one():
    w, a = RNG.normal(size=5), RNG.normal(size=5)
    return check_gradient(lambda w: np.sin(a * w).sum(), lambda w: a * np.cos(a * w) + 0.1 * w, w)


@planted("l1_penalty", "sign(w)", "L1 penalty")
def l1_in_one():
    w, a = RNG.uniform(0.5, 2, size=5) * [1, -1, 1, -1, 1], RNG.normal(size=5)
    return check_gradient(lambda w: np.sin(a * w).sum() + 0.2 * np.abs(w).sum(), lambda w: a * np.cos(a * w), w)


@planted("not_finite", "NaN", "0/0")
def not_finite():
    return unary(lambda x: x * x, lambda g, out, x: g * tg.where(x > 1, 2 * x, 0 * x / 0.0))


# --- places ------------------------------------------------------------------------------------------------------------------


@planted("reversed", "reverse order")
def reversed_order():
    return unary(lambda x: x * x, lambda g, out, x: (2 * g * x).flip(0))


@planted("shifted", "off by one")
def off_by_one():
    return unary(lambda x: x**3, lambda g, out, x: (3 * g * x * x).roll(1, 0), leaf(5))


@planted("permuted", "not put back")
def permutation_not_undone():
    order = np.array([2, 0, 3, 1])
    return check_gradient(lambda x: (np.arange(1.0, 5.0) * x[order] ** 2).sum(), lambda x: 2 * np.arange(1.0, 5.0) * x[order], RNG.normal(size=4))


@planted("overwritten", "overwrites", "np.add.at")
def scatter_overwrites():
    index, c = np.array([0, 2, 2, 1]), RNG.normal(size=4)

    def gradient(x):
        z = np.zeros_like(x)
        z[index] = c
        return z

    return check_gradient(lambda x: (c * x[index]).sum(), gradient, RNG.normal(size=3))


@planted("overwritten", "only its last use counts")
def scatter_overwrites_in_a_function():
    index = [0, 2, 2, 1]

    def back(g, out, x):
        z = tg.zeros_like(x)
        z[index] = g
        return z

    return unary(lambda x: x[index], back, leaf(3))


@planted("first_only", "only the first entry along axis 0")
def first_index_only():
    def back(g, out, x):
        z = tg.zeros_like(x)
        z[1] = g[0]
        return z

    return unary(lambda x: x[[1, 2, 0]], back, leaf(3))


@planted("first_row", "only row 0 is right")
def first_row_only():
    def gradient(x):
        g = np.zeros_like(x)
        g[0] = 3 * x[0] ** 2
        return g

    return check_gradient(lambda x: (x**3).sum(), gradient, RNG.normal(size=(4, 3)))


@planted("sign_case", "where the input is negative")
def case_forgotten():
    return unary(lambda x: tg.where(x > 0, x, 0.1 * x), lambda g, out, x: g * 1, leaf(6, signs=True))


@planted("sign_case", "from")
def case_of_large_values():
    x = np.array([0.1, 0.5, 2.0, 3.0])
    return check_gradient(lambda x: np.where(x < 1, x**2, 2 * x - 1).sum(), lambda x: 2 * x, x)


@planted("edge", "the border")
def border():
    def gradient(x):
        g = 2 * x
        g[-1] = 0
        return g

    return check_gradient(lambda x: (x**2).sum(), gradient, RNG.normal(size=5))


@planted("one_element", "only the element [1, 2] is wrong")
def one_element():
    def gradient(x):
        g = 2 * x
        g[1, 2] += 1
        return g

    return check_gradient(lambda x: (x**2).sum(), gradient, RNG.normal(size=(3, 4)))


@planted("diagonal", "the diagonal is wrong")
def diagonal():
    return check_gradient(lambda x: (x**2).sum(), lambda x: 2 * x - np.diag(np.diag(x)), RNG.normal(size=(3, 3)))


@planted("triangle", "above the diagonal")
def triangle():
    return check_gradient(lambda x: (x**2).sum(), lambda x: 2 * np.tril(x), RNG.normal(size=(3, 3)))


@planted("value_factor", "slope times the value", "that of a norm x/|x|")
def norm_without_its_division():
    return check_gradient(lambda x: np.sqrt((x**2).sum()), lambda x: x, RNG.normal(size=5))


@planted("at_negative", "taken at −x instead of x")
def sign_inside():
    return check_gradient(lambda x: np.log1p(np.exp(x)), lambda g, x: g / (1 + np.exp(x)), np.linspace(-2, 2, 5), kind="vjp")


@planted("input_factor", "an exponent was not lowered")
def exponent_not_lowered():
    return unary(lambda x: x**3, lambda g, out, x: 3 * g * x**3)


@planted("mask_missing", "only the element that it was taken from")
def maximum_for_everybody():
    return unary(lambda x: tg.nn.functional.max_pool1d(x, 2), lambda g, out, x: g.repeat_interleave(2, -1), leaf(1, 1, 6))


@planted("mask_inverted", "the wrong way round")
def condition_the_wrong_way_round():
    return unary(lambda x: tg.relu(x), lambda g, out, x: g * (x < 0), leaf(6, signs=True))


@planted("nonlinear_upstream", "x > 0, not g > 0")
def condition_on_the_gradient():
    return unary(lambda x: tg.relu(x), lambda g, out, x: g * (g > 0) * (x > 0), leaf(6, signs=True))


@planted("nonlinear_upstream", "the sign of the gradient that arrives from above is lost")
def size_of_the_gradient():
    return unary(lambda x: x * x, lambda g, out, x: g.abs() * 2 * x)


@planted("upstream_summed", "summed to one number")
def gradient_summed():
    return unary(lambda x: x * x, lambda g, out, x: g.sum() * 2 * x)


@planted("upstream_shifted", "read one place off")
def split_at_the_wrong_place():
    return binary(lambda a, b: tg.cat([a, b]), lambda g, out, a, b: (g[:2], g[1:4]), leaf(2), leaf(3, seed=1))


@planted("missing_sum", "wrong axis", "summed along axis 1")
def summed_along_the_wrong_axis():
    return binary(lambda x, b: x + b, lambda g, out, x, b: (g, g.sum(1)), leaf(3, 3), leaf(3, seed=1))


@planted("missing_sum", "add", "over the wrong axis")
def summed_along_the_wrong_axis_by_hand():
    x = RNG.normal(size=(3, 3))
    return check_gradient(lambda b: ((x + b) ** 2).sum(), lambda b: (2 * (x + b)).sum(1), RNG.normal(size=3))


@planted("reshaped", "permute with the inverse order")
def reshaped_for_permuted():
    return unary(lambda x: x.permute(1, 2, 0) * 2, lambda g, out, x: 2 * g.reshape(2, 3, 4), leaf(2, 3, 4))


@planted("size_factor", "3/4 of")
def mean_over_another_axis():
    return unary(lambda x: x.mean(0), lambda g, out, x: g.expand(3, 4) / 4, leaf(3, 4))


@planted("size_factor", "7 = the elements of t")
def mean_of_data_in_a_closure():
    t = RNG.normal(size=7)
    return check_gradient(lambda w: ((w * t - 1) ** 2).mean(), lambda w: (2 * (w * t - 1) * t).sum(), 0.3)


@planted("flipped", "a kernel is flipped exactly once")
def kernel_not_flipped():
    def correlate(x, w):
        return np.array([(x[k : k + 3] * w).sum() for k in range(4)])

    def gradient(g, x, w):
        return np.convolve(g, w[::-1]), np.array([(g * x[k : k + 4]).sum() for k in range(3)])

    return check_gradient(correlate, gradient, RNG.normal(size=6), RNG.normal(size=3))


@planted("counted_twice", "is added to that of")
def shared_input_counted_twice():
    return binary(lambda a, b: a * b, lambda g, out, a, b: (g * b + g * a,) * 2, leaf(4), leaf(4, seed=1))


@planted("diagonal_missing", "the mixed terms are right")
def softmax_without_its_diagonal():
    return unary(lambda x: tg.softmax(x, 0), lambda g, out, x: -out * (g * out).sum())


@planted("rounded", "rounded input")
def cast_to_integers():
    return unary(lambda x: x * x, lambda g, out, x: 2 * g * x.int(), leaf(4, low=1.1, high=4))


@planted("second_derivative", "differentiated once too often")
def second_derivative():
    return unary(lambda x: x**3, lambda g, out, x: 6 * g * x)


@planted("stale", "stays the same when the inputs change")
def value_of_an_earlier_call():
    former = leaf(4, seed=9).detach()
    return unary(lambda x: x * x * x.sum(), lambda g, out, x: 2 * g * former)


@planted("first_only", "only the first row", "one of its 4 samples")
def one_sample_of_the_batch():
    x = RNG.normal(size=(4, 3))
    return check_gradient(lambda w: ((x @ w) ** 2).sum(), lambda w: 2 * x[:1].T @ (x[:1] @ w), RNG.normal(size=(3, 2)))


@planted("overwritten", "treated as a constant", "mean", "std")
def statistics_as_constants():
    return unary(lambda x: (x - x.mean()) / x.std(), lambda g, out, x: g / x.std(), leaf(5))


@planted("sign_case", "the size of the input is large")
def first_and_last_are_large():
    huber = lambda x: np.where(np.abs(x) < 1, 0.5 * x * x, np.abs(x) - 0.5).sum()
    return check_gradient(huber, lambda x: x, np.array([-2.0, -0.5, 0.3, 1.5]))


@planted("conjugate", "g · conj(f′(z))")
def conjugate_missing():
    z = tg.tensor([1 + 2j, 3 - 1j], dtype=tg.complex128, requires_grad=True)
    square = function("Planted", lambda a, b: (a * a - b * b, 2 * a * b),
                      lambda g, h, p, q, a, b: (2 * g * a - 2 * h * b, 2 * g * b + 2 * h * a))  # fmt: skip
    return check_gradients(lambda z: tg.complex(*square(z.real, z.imag)), z)


@planted("formula", "− in place of +", "backward() of Planted")
def sign_in_the_formula():
    return unary(lambda x: tg.sigmoid(x), lambda g, out, x: g * out * (1 + out))


@planted("formula", "with the square of")
def square_forgotten_in_the_formula():
    x, w2 = RNG.normal(size=(5, 3)), RNG.normal(size=(4, 2))
    return check_gradient(lambda w: (np.tanh(x @ w) @ w2).sum(), lambda w: x.T @ (np.ones((5, 2)) @ w2.T * (1 - np.tanh(x @ w))), RNG.normal(size=(3, 4)))


@planted("formula", "the two factors of @ exchanged")
def factors_exchanged():
    return binary(lambda x, w: x @ w, lambda g, out, x, w: (w.T @ g, x.T @ g), leaf(3, 3), leaf(3, 3, seed=1))


@planted("formula", "without this add", "x is right as it is")
def derivative_at_another_point():
    return check_gradient(lambda x: np.sin(x).sum(), lambda x: np.cos(x + 1), RNG.normal(size=4))


# --- several uses, several steps ---------------------------------------------------------------------------------------------


@planted("overwritten", "used in 2 places", "must be added")
def contribution_overwritten():
    x = RNG.normal(size=4)
    return check_gradient(lambda x: (np.sin(x) * 2 + np.exp(x)).sum(), lambda x: np.exp(x), x)


@planted("chain_factor", "tanh", "is missing in the chain")
def chain_factor_missing():
    x, t, w1, w2 = RNG.normal(size=(5, 3)), RNG.normal(size=(5, 2)), RNG.normal(size=(3, 4)), RNG.normal(size=(4, 2))

    def gradient(w1, w2):
        h = np.tanh(x @ w1)
        d = 2 * (h @ w2 - t)
        return x.T @ (d @ w2.T), h.T @ d

    return check_gradient(lambda w1, w2: ((np.tanh(x @ w1) @ w2 - t) ** 2).sum(), gradient, w1, w2)


@planted("wrong_value", "tanh", "is given x where it needs the result")
def wrong_value_in_the_chain():
    x, t, w1, w2 = RNG.normal(size=(5, 3)), RNG.normal(size=(5, 2)), RNG.normal(size=(3, 4)), RNG.normal(size=(4, 2))

    def gradient(w1, w2):
        z = x @ w1
        h = np.tanh(z)
        d = 2 * (h @ w2 - t)
        return x.T @ (d @ w2.T * (1 - z**2)), h.T @ d

    return check_gradient(lambda w1, w2: ((np.tanh(x @ w1) @ w2 - t) ** 2).sum(), gradient, w1, w2)


@planted("factor", "exactly half", "backward() of Planted")
def in_the_middle_of_a_network():
    square = function("Planted", lambda x: x * x, lambda g, out, x: g * x)
    w = leaf(4, 4, seed=3)
    return check_gradients(lambda x: tg.tanh(square(x @ w) * 0.1).sum(), leaf(2, 4))


@planted("overwritten", "overwritten where they must be added")
def engine_overwrites():
    import inspect
    import textwrap

    source = textwrap.dedent(inspect.getsource(engine.backprop)).replace("grads[parent] = grads[parent] + c", "grads[parent] = c")
    source = source.replace("grads[parent] += c", "grads[parent] = c")
    namespace, right = vars(engine).copy(), engine.backprop
    exec(source, namespace)
    engine.backprop = namespace["backprop"]
    try:
        return check_gradients(lambda x: (tg.sin(x) + tg.exp(x)).sum(), leaf(3))
    finally:
        engine.backprop = right


# --- not the gradient's fault, or not only -------------------------------------------------------------------------------


@planted("random", "Dropout draws", "freeze_generator=True", "all derivatives agree")
def dropout():
    model = tg.nn.Sequential(tg.nn.Linear(3, 8), tg.nn.Dropout(0.5), tg.nn.Linear(8, 2)).double()
    return check_gradients(model, leaf(4, 3))


@planted("random", "there is a mistake still", "exactly half")
def dropout_with_a_mistake():
    square = function("Planted", lambda x: x * x, lambda g, out, x: g * x)
    return check_gradients(lambda x: tg.nn.functional.dropout(square(x), 0.5), leaf(9))


@planted("jump", "has a jump")
def jump():
    return check_gradients(tg.floor, tg.tensor([1.0, 1.5], dtype=tg.float64, requires_grad=True))


@planted("domain", "edge of the domain")
def edge_of_the_domain():
    return check_gradients(lambda x: tg.sqrt(x), tg.tensor([0.0, 1.5], dtype=tg.float64, requires_grad=True))


@planted("ties", "ties are counted 3 times")
def ties_counted_twice():
    return unary(lambda x: x.max(), lambda g, out, x: g * (x == out).double(), tg.tensor([2.0, 1.0, 2.0, 2.0], dtype=tg.float64, requires_grad=True))


@planted("special_point", "only at this point")
def kinks_that_cancel():
    return check_gradients(lambda x: x.relu() - (-x).relu(), tg.tensor([0.0, 1.0], dtype=tg.float64, requires_grad=True))


@planted("second_order", "cut off from the graph")
def second_order_cut():
    cube = function("Planted", lambda x: x**3, lambda g, out, x: g * 3 * x.detach() ** 2)
    return check_gradients(cube, leaf(3), order=2)


@planted("once_differentiable", "no second derivative")
def once_differentiable():
    class Cube(Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x**3

        @staticmethod
        @tg.autograd.once_differentiable
        def backward(ctx, g):
            return 3 * g * ctx.saved_tensors[0] ** 2

    return check_gradients(Cube.apply, leaf(3), order=2)


@planted("factor", "the first derivatives are wrong already", "exactly half")
def second_order_of_a_wrong_first():
    return check_gradients(function("Planted", lambda x: x * x, lambda g, out, x: g * x), leaf(3), order=2)


@planted("float32", "right in float64 and wrong in float32")
def unstable_in_float32():
    return check_gradients(lambda x: ((x + 1e6) - 1e6) ** 2, tg.tensor([0.123, 0.456], requires_grad=True))
