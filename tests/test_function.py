"""autograd.Function: operators with a derivative of one's own, in PyTorch's form."""

import pytest

import tinygrad_edu as tg
from tinygrad_edu.autograd import Function, gradcheck, gradgradcheck, once_differentiable


class Product(Function):
    """x · y · scale, with a second input that may be a number."""

    @staticmethod
    def forward(ctx, x, y, scale=1.0):
        ctx.save_for_backward(x, y)
        ctx.scale = scale
        return x * y * scale

    @staticmethod
    def backward(ctx, g):
        x, y = ctx.saved_tensors
        return g * y * ctx.scale, g * x * ctx.scale, None


class Halves(Function):
    """Two results from one input."""

    @staticmethod
    def forward(ctx, x):
        return x * 2, x * 3

    @staticmethod
    def backward(ctx, g, h):
        return g * 2 + h * 3


def leaf(*values):
    return tg.tensor(list(values), dtype=tg.float64, requires_grad=True)


def test_gradients_of_both_orders():
    x, y = leaf(1.0, 2.0), leaf(3.0, 4.0)
    assert gradcheck(lambda x, y: Product.apply(x, y, 2.0), (x, y))
    assert gradgradcheck(lambda x, y: Product.apply(x, y, 2.0), (x, y))
    out = Product.apply(x, tg.ones(2, dtype=tg.float64))
    out.sum().backward()
    assert x.grad.tolist() == [1.0, 1.0] and out.node.name == "Product"


def test_several_results():
    x = leaf(1.0, 2.0)
    a, b = Halves.apply(x)
    assert gradcheck(lambda x: Halves.apply(x), (x,)) and gradgradcheck(lambda x: [t * t for t in Halves.apply(x)], (x,))
    (a * 10 + b).sum().backward()
    assert x.grad.tolist() == [23.0, 23.0]
    x.grad = None
    Halves.apply(x)[1].sum().backward()
    assert x.grad.tolist() == [3.0, 3.0]


def test_setup_context():
    class Square(Function):
        @staticmethod
        def forward(x):
            return x * x

        @staticmethod
        def setup_context(ctx, inputs, output):
            ctx.save_for_backward(inputs[0])

        @staticmethod
        def backward(ctx, g):
            return g * 2 * ctx.saved_tensors[0]

    assert gradcheck(Square.apply, leaf(1.0, 2.0))


def test_without_gradients_nothing_is_recorded():
    assert not Product.apply(tg.ones(2), tg.ones(2)).requires_grad
    with tg.no_grad():
        assert not Product.apply(leaf(1.0), leaf(1.0)).requires_grad


def test_needs_input_grad():
    seen = []

    class Spy(Function):
        @staticmethod
        def forward(ctx, x, y):
            return x + y

        @staticmethod
        def backward(ctx, g):
            seen.append(ctx.needs_input_grad)
            return g, None

    Spy.apply(leaf(1.0), tg.ones(1, dtype=tg.float64)).sum().backward()
    assert seen == [(True, False)]


@pytest.mark.parametrize("result, error, words", [
    (lambda g: (g, g, g, g), RuntimeError, "returned 4 gradients; forward had 3 inputs"),
    (lambda g: g, RuntimeError, "returned 1 gradients"),
    (lambda g: (g[0], g, None), RuntimeError, "gradient 0 has shape"),
    (lambda g: (1.0, g, None), TypeError, "gradient 0 is float"),
])  # fmt: skip
def test_wrong_gradients_are_refused(result, error, words):
    class Wrong(Product):
        @staticmethod
        def backward(ctx, g):
            return result(g)

    x = leaf(1.0, 2.0)
    with pytest.raises(error, match=words):
        Wrong.apply(x, leaf(1.0, 2.0), 1.0).sum().backward()
    assert x.grad is None


def test_once_differentiable():
    class Once(Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        @once_differentiable
        def backward(ctx, g):
            return g * 2

    x = leaf(1.0)
    Once.apply(x).sum().backward()
    assert x.grad.item() == 2.0


def test_saved_tensors_are_guarded():
    x, y = leaf(1.0, 2.0), leaf(3.0, 4.0)
    out = Product.apply(x, y)
    with tg.no_grad():
        x.mul_(2)
    with pytest.raises(RuntimeError, match="overwritten"):
        out.sum().backward()


def test_gradients_own_their_memory():
    x, y = leaf(1.0, 2.0), leaf(3.0, 4.0)

    class Same(Function):
        @staticmethod
        def forward(ctx, x, y):
            return x + y

        @staticmethod
        def backward(ctx, g):
            return g, g

    Same.apply(x, y).sum().backward()
    x.grad.mul_(100)
    assert y.grad.tolist() == [1.0, 1.0]


def test_attributes_of_the_context_are_the_users():
    class Scale(Function):
        @staticmethod
        def forward(ctx, x, factor):
            ctx.shapes, ctx.parents, ctx.results, ctx.saved, ctx.dirty, ctx.materialize, ctx.undifferentiable = None, 1, 2, 3, 4, 5, factor
            ctx.save_for_backward(x)
            return x * factor

        @staticmethod
        def backward(ctx, g):
            assert (ctx.shapes, ctx.parents, ctx.results, ctx.saved, ctx.dirty, ctx.materialize) == (None, 1, 2, 3, 4, 5)
            return g * ctx.undifferentiable + 0 * ctx.saved_tensors[0], None

    x = tg.tensor([1.0, 2.0], requires_grad=True)
    (Scale.apply(x, 3.0) ** 2).sum().backward()
    assert x.grad.tolist() == [18, 36]
