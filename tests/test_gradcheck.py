"""gradcheck passes what is right, catches what is wrong, and says where and why."""

import pytest

import tinygrad_edu as tg
from tinygrad_edu.autograd import Function, GradcheckError, gradcheck, gradgradcheck


def leaf(*values, dtype=tg.float64):
    return tg.tensor(list(values), dtype=dtype, requires_grad=True)


def wrong(factor=0.5, extra=0.0):
    """x² with a derivative that is off."""

    class Square(Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        def backward(ctx, g):
            return g * (2 * factor * ctx.saved_tensors[0] + extra)

    return Square.apply


@pytest.mark.parametrize("fast", [False, True])
def test_right_gradients_pass(fast):
    x, w = leaf(0.5, 2.0, -1.0), tg.tensor([[1.0, 2, 3], [3, 4, 5]], dtype=tg.float64, requires_grad=True)
    assert gradcheck(lambda x, w: (w @ x, (x * x).sum()), (x, w), fast_mode=fast)
    assert gradgradcheck(lambda x, w: ((w @ x).tanh(), (x * x).sum()), (x, w), fast_mode=fast)
    assert gradcheck(lambda x, n: x**n, (x, 3), fast_mode=fast)
    assert gradcheck(lambda x: (x > 0, x * 2)[1], x, check_grad_dtypes=True, fast_mode=fast)
    assert x.grad is None and x.tolist() == [0.5, 2.0, -1.0]


@pytest.mark.parametrize("factor, text", [(0.5, "exactly half"), (-1.0, "exactly the negative of"), (2.0, "exactly twice"), (1.01, "1.01 times")])
def test_a_missing_factor_is_named(factor, text):
    x = leaf(0.5, 2.0)
    with pytest.raises(GradcheckError, match=text) as caught:
        gradcheck(wrong(factor), x)
    worst = caught.value.report.worst
    assert worst.row == (1,) and worst.column == (1,) and worst.numeric == pytest.approx(4.0) and worst.analytic == pytest.approx(4 * factor)
    assert "output 0[1] with respect to input 0[1]" in str(caught.value)
    assert gradcheck(wrong(factor), x, raise_exception=False) is False
    assert gradcheck(wrong(factor), x, raise_exception=False, fast_mode=True) is False


def test_second_order_mistakes_are_caught():
    class Cube(Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x**3

        @staticmethod
        def backward(ctx, g):
            return g * 3 * ctx.saved_tensors[0].detach() ** 2  # right, but a constant for the second derivative

    x = leaf(0.5, 2.0)
    assert gradcheck(Cube.apply, x)
    assert not gradgradcheck(Cube.apply, x, raise_exception=False)
    assert gradgradcheck(lambda x: x**3, x, gen_non_contig_grad_outputs=True)
    assert gradgradcheck(lambda x: x**3, x, leaf(1.0, 2.0))


def test_kinks_accept_what_lies_between_the_slopes():
    at = leaf(0.0, 1e-7, 1.0)
    for function in (tg.relu, tg.abs, lambda x: tg.maximum(x, -x), lambda x: x.clamp(min=0)):
        assert gradcheck(function, at)

    class Steep(Function):
        @staticmethod
        def forward(ctx, x):
            return x.relu()

        @staticmethod
        def backward(ctx, g):
            return g * 1.5

    assert not gradcheck(Steep.apply, leaf(0.0), raise_exception=False)


def test_jumps_are_no_kinks():
    with pytest.raises(GradcheckError, match="kink or a jump"):
        gradcheck(tg.floor, leaf(1.0))
    assert gradcheck(tg.floor, leaf(1.5))


def test_hints():
    with pytest.raises(GradcheckError, match="float32, whose rounding"):
        gradcheck(tg.sin, leaf(1.0, 2.0, dtype=tg.float32))
    assert gradcheck(tg.sin, leaf(1.0, 2.0, dtype=tg.float32), eps=1e-2, atol=1e-2, rtol=1e-2)
    with pytest.raises(GradcheckError, match="two calls of func gave different results"):
        gradcheck(lambda x: x * tg.rand(2, dtype=tg.float64), leaf(1.0, 2.0))
    with pytest.raises(GradcheckError, match="changed its input 0 in place"):
        gradcheck(lambda x: x.data.add_(1) * x, leaf(1.0, 2.0))
    with pytest.raises(GradcheckError, match="no gradient arrives"):
        gradcheck(lambda x: x.detach() * 2, leaf(1.0, 2.0))


def test_what_cannot_be_checked_is_refused():
    with pytest.raises(ValueError, match="no input requires grad"):
        gradcheck(tg.sin, tg.ones(2))
    with pytest.raises(ValueError, match="must return a tensor"):
        gradcheck(lambda x: 5.0, leaf(1.0))
    with pytest.raises(ValueError, match="clone"):
        gradcheck(tg.sin, leaf(1.0).expand(3))
    for option in ("check_batched_grad", "check_forward_ad"):
        with pytest.raises(ValueError, match=option):
            gradcheck(tg.sin, leaf(1.0), **{option: True})


def test_empty_and_zero_dimensional_inputs():
    assert gradcheck(lambda x: x * 2, tg.tensor(1.5, dtype=tg.float64, requires_grad=True))
    assert gradcheck(lambda x: x * 2, tg.zeros(0, 2, dtype=tg.float64, requires_grad=True))


def test_inputs_that_are_results():
    x = leaf(1.0, 2.0)
    assert gradcheck(lambda y: y * y, (x * 3,))
