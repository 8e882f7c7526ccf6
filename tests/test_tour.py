"""The tour: every public idea once, in the order in which one meets them. Read this file first."""

import numpy as np
import pytest

import tinygrad_edu as tg


def test_a_tensor_remembers_how_it_was_computed():
    x = tg.tensor(3.0, requires_grad=True)  # a leaf: we ask for its gradient
    y = x**2 + 2 * x
    assert y.item() == 15.0
    y.backward()  # the chain rule, from y back to every leaf
    assert x.grad.item() == 2 * 3 + 2


def test_gradients_add_up():
    w = tg.tensor([1.0, 2.0], requires_grad=True)
    (w * w).sum().backward()
    (w * w).sum().backward()
    assert w.grad.tolist() == [4.0, 8.0]  # twice 2·w: set w.grad = None between the steps of a training


def test_what_is_not_remembered():
    w = tg.tensor([1.0, 2.0], requires_grad=True)
    with tg.no_grad():
        assert not (w * 2).requires_grad
    assert not w.detach().requires_grad
    assert tg.tensor([1.0]).node is None  # a constant


def test_the_graph_is_plain_data():
    x = tg.tensor([1.0, 2.0], requires_grad=True)
    y = (x * 3).sum()
    assert [node.name for node in tg.autograd.ancestors(y.node)] == ["leaf", "mul", "sum"]
    assert y.node.parents[0].parents[0] is x.node


def test_broadcasting_is_undone():
    x, b = tg.ones(4, 3, requires_grad=True), tg.zeros(3, requires_grad=True)
    (x + b).sum().backward()
    assert b.grad.tolist() == [4.0, 4.0, 4.0]


def test_numpy_works_on_tensors():
    x = tg.tensor([0.0, 1.0], requires_grad=True)
    y = np.exp(x) * np.array([1.0, 2.0])
    assert isinstance(y, tg.Tensor) and y.requires_grad
    assert x.detach().numpy().tolist() == [0.0, 1.0]


def test_gradients_of_gradients():
    x = tg.tensor(2.0, requires_grad=True)
    (first,) = tg.autograd.grad(x**3, x, create_graph=True)
    (second,) = tg.autograd.grad(first, x)
    assert (first.item(), second.item()) == (12.0, 12.0)


def test_a_derivative_of_your_own():
    class Clamp(tg.autograd.Function):
        """max(x, 0), whose gradient passes everywhere"""

        @staticmethod
        def forward(ctx, x):
            return x.clamp(min=0)

        @staticmethod
        def backward(ctx, g):
            return g

    x = tg.tensor([-1.0, 1.0], dtype=tg.float64, requires_grad=True)
    Clamp.apply(x).sum().backward()
    assert x.grad.tolist() == [1.0, 1.0]
    with pytest.raises(tg.autograd.GradcheckError):  # which is not its derivative
        tg.autograd.gradcheck(Clamp.apply, x)


def test_in_place_is_right_or_refused():
    x = tg.tensor([1.0, 2.0], requires_grad=True)
    y = x * 1
    y[0] = 10 * x[1]
    y.sum().backward()
    assert x.grad.tolist() == [0.0, 11.0]
    z = x.exp()
    z.add_(1)  # the derivative of exp needs the value that was just overwritten
    with pytest.raises(RuntimeError, match="exp saved a value"):
        z.sum().backward()


def test_a_network_learns():
    tg.manual_seed(0)
    x = tg.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    y = tg.tensor([[0.0], [1.0], [1.0], [0.0]])
    model = tg.nn.Sequential(tg.nn.Linear(2, 8), tg.nn.Tanh(), tg.nn.Linear(8, 1), tg.nn.Sigmoid())
    optimizer = tg.optim.SGD(model.parameters(), lr=1.0, momentum=0.9)
    for _ in range(300):
        optimizer.zero_grad()
        loss = tg.nn.functional.binary_cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
    assert ((model(x) > 0.5) == (y > 0.5)).all() and loss.item() < 0.05
