"""The diagnosis: each planted mistake is named, in a teacher's words, and nothing is claimed about what is correct.

GRADCHECK_CASES=10000 checks that many correct functions instead of the usual few hundred (some minutes), GRADCHECK_SEED=8 others.
"""

import os

import correct_gradients
import numpy as np
import planted_gradients
import pytest
from planted_gradients import PLANTED, function, leaf

import tinygrad_edu as tg
from tinygrad_edu.autograd import finite_differences
from tinygrad_edu.autograd.gradcheck import check_gradient, check_gradients

BLOCK = 60


@pytest.mark.parametrize("name", PLANTED)
def test_planted_mistakes_are_named(name):
    kind, words, check = PLANTED[name]
    result = check()
    text = " ".join(result.report.split())
    assert not result.ok and result.causes[0].kind == kind, text
    assert all(word in text for word in words), text
    assert all(len(line) <= 80 for line in result.report.splitlines()), result.report
    assert result._repr_html_().startswith("<div")


@pytest.mark.parametrize("seed", [1, 2])
def test_other_numbers_lead_to_the_same_causes(seed, monkeypatch):
    monkeypatch.setattr(planted_gradients, "SEED", [seed])
    for name in list(PLANTED)[seed::4]:
        kind, _, check = PLANTED[name]
        assert [c.kind for c in check().causes][:1] == [kind], name


def test_there_are_many():
    assert len(PLANTED) >= 80 and len({kind for kind, _, _ in PLANTED.values()}) >= 40


@pytest.mark.parametrize("block", range(-(-int(os.environ.get("GRADCHECK_CASES", 480)) // BLOCK)))
def test_nothing_is_claimed_about_what_is_correct(block):
    for number in range(block * BLOCK, (block + 1) * BLOCK):
        name, result = correct_gradients.check(number)
        assert result is None or result.ok and not result.causes, f"case {number}, {name}:\n{result.report}"


# --- kinks: what is accepted, and said ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("kinked", [tg.relu, tg.abs, lambda x: tg.maximum(x, -x), lambda x: x.clamp(min=0), lambda x: tg.nn.functional.hardtanh(x - 1)])
def test_a_valid_subgradient_is_accepted_and_reported(kinked):
    result = check_gradients(kinked, tg.tensor([0.0, 0.4], dtype=tg.float64, requires_grad=True))
    assert result.ok and not result.causes
    for note in result.notes:
        assert note.kind == "kink" and "is a valid subgradient: accepted" in note.sentence


def test_relu_at_zero_in_a_teachers_words():
    result = check_gradients(lambda x: x.relu(), tg.tensor([0.0, 1.0], dtype=tg.float64, requires_grad=True))
    assert "x[0] is at a kink: the slope is 0 on the left and 1 on the right, and the gradient 0 lies between." in " ".join(result.report.split())


def test_outside_of_the_slopes_is_wrong_at_a_kink_too():
    steep = function("Steep", lambda x: x.relu(), lambda g, out, x: g * tg.where(x >= 0, 1.5, 0.0))
    assert not check_gradients(steep, tg.tensor([0.0], dtype=tg.float64, requires_grad=True)).ok


def test_ties_that_share_or_choose_are_right():
    x = tg.tensor([2.0, 1.0, 2.0, 2.0], dtype=tg.float64, requires_grad=True)
    assert check_gradients(lambda x: x.max(), x).ok
    first = function("First", lambda x: x.max(), lambda g, out, x: g * tg.tensor([1.0, 0, 0, 0], dtype=tg.float64))
    assert check_gradients(first, x).ok


# --- where ---------------------------------------------------------------------------------------------------------------


def test_the_wrong_step_of_a_network_is_named_with_its_line():
    square = function("Square", lambda x: x * x, lambda g, out, x: -2 * g * x)
    w, v = leaf(3, 4, seed=1), leaf(4, 2, seed=2)
    result = check_gradients(lambda x, w, v: (square(tg.tanh(x @ w)) @ v).sum(), (leaf(5, 3), w, v))
    text = " ".join(result.report.split())
    assert len(result.causes) == 1 and "exactly the negative" in text and "in backward() of Square" in text and ".py:" in text
    assert [row.wrong > 0 for row in result.rows] == [True, True, False]


@pytest.mark.parametrize("start", [0.75, -0.4, 1.3])
def test_the_wrong_step_is_named_among_single_numbers(start):
    cube = function("Cube", lambda x: x**3, lambda g, out, x: g * 3 * x)
    result = check_gradients(lambda x: cube((x * 1.5).sin()).exp(), tg.tensor(start, dtype=tg.float64, requires_grad=True))
    text = " ".join(result.report.split())
    assert len(result.causes) == 1 and "in backward() of Cube" in text, text  # the steps around it are right


def test_a_wrong_rule_of_an_operator_is_named(monkeypatch):
    op = tg.autograd.operator.registry["tanh"]
    monkeypatch.setattr(op, "rules", (lambda g, out: g * (1 - out),))
    monkeypatch.setattr(op, "pullbacks", op.rules)
    result = check_gradients(lambda x, w: (tg.tanh(x @ w) ** 2).sum(), (leaf(5, 3), leaf(3, 3, seed=1)))
    assert "derivative" in result.report and "of tanh" in " ".join(result.report.split())


def test_several_mistakes_are_named_one_by_one():
    half = function("Half", lambda x: x * x, lambda g, out, x: g * x)
    minus = function("Minus", lambda x: tg.exp(x), lambda g, out, x: -g * out)
    result = check_gradients(lambda x: half(x).sum() + minus(x).sum(), leaf(4))
    assert {c.kind for c in result.causes} == {"factor"} and len(result.causes) == 2


def test_what_no_hypothesis_explains_is_not_guessed():
    rng = np.random.default_rng(5)
    noise = rng.normal(size=(5, 4))
    result = check_gradient(lambda x: float(np.prod(np.sort(x.ravel()) + 2)), lambda x: noise * x[0], rng.normal(size=(5, 4)))
    assert not result.ok and not result.causes and "none of the known mistakes" in result.report


def test_a_coincidence_is_not_a_cause():
    """At x = 1 the derivative 2x³ is 'twice x', and also 2x: at another point only one of them is."""
    result = check_gradient(lambda x: (x**2).sum(), lambda x: x**3, np.ones(3))
    assert not result.ok and (result.cause is None or result.cause.kind not in ("factor", "all_ones"))


def test_second_order_problems_are_told_from_first_order_ones():
    cube = function("Cube", lambda x: x**3, lambda g, out, x: g * 3 * x.detach() ** 2)
    assert check_gradients(cube, leaf(3)).ok
    part = function("Part", lambda x: x**4, lambda g, out, x: g * 4 * x.detach() * x * x)
    result = check_gradients(part, leaf(3), order=2)
    assert not result.ok and result.cause.kind == "second_order" and "second derivatives differ" in " ".join(result.report.split())


# --- slopes ------------------------------------------------------------------------------------------------------------------


class OneNumber:
    """A function of one number, as finite_differences.py wants it."""

    output_dtypes = (np.dtype(np.float64),)

    def __init__(self, function, x):
        self.function, self.arrays = function, [np.array(x)]

    def evaluate(self):
        with np.errstate(all="ignore"):
            return [np.asarray(self.function(self.arrays[0][()]))]

    def evaluate_complex(self, i, k, step):
        return [np.asarray(self.function(self.arrays[0] + step))]


@pytest.mark.parametrize("f, slope, x", [(np.exp, np.exp, 1.0), (np.sin, np.cos, 40.0), (lambda x: x**5, lambda x: 5 * x**4, 200.0),
                                         (lambda x: 1e6 + np.sin(x), np.cos, 0.5), (np.log, lambda x: 1 / x, 1e-2)])  # fmt: skip
def test_many_steps_find_the_slope_and_bound_its_error(f, slope, x):
    found = finite_differences.refined(OneNumber(f, x), 0, 0)
    error = abs(found.value[0] - slope(x))
    assert error <= 3 * found.error[0] + 1e-15 and found.error[0] < 1e-6 * max(1, abs(slope(x)))


def test_where_real_steps_drown_in_rounding_an_imaginary_one_decides():
    """10¹² + sin(x): the values are rounded to 10⁻⁴, and no real step is both short and exact."""
    function, x = lambda x: (np.sin(x) + 1e12).sum(), np.array([0.3, 1.2])
    result = check_gradient(function, lambda x: np.cos(x), x, rtol=1e-6)
    assert result.ok and result.notes[0].kind == "step", result.report
    wrong = check_gradient(function, lambda x: np.cos(x) * 1.001, x, rtol=1e-6)
    assert not wrong.ok
    coarse = check_gradient(lambda x: (np.abs(np.sin(x)) + 1e12).sum(), lambda x: np.cos(x), x)
    assert not coarse.ok and coarse.cause.kind == "noise"


def test_the_complex_step_is_exact_where_the_function_is_analytic_and_absent_elsewhere():
    found = finite_differences.complex_slopes(OneNumber(lambda x: np.exp(x) / (1 + x * x), 0.7), 0)
    x = 0.7
    assert found[0, 0] == pytest.approx(np.exp(x) * (1 - x) ** 2 / (1 + x * x) ** 2, rel=1e-14)
    assert finite_differences.complex_slopes(OneNumber(np.abs, -0.7), 0) is None
    assert finite_differences.complex_slopes(OneNumber(lambda x: np.maximum(np.real(x), 0), 0.7), 0) is None
