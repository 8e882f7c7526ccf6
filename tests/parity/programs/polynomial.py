"""A cubic fitted to the sine in seven ways: NumPy, tensors, autograd, a Function, nn, optim, and a network with control flow."""

import math
import random

import numpy as np
import torch


class LegendrePolynomial3(torch.autograd.Function):
    """P₃(x) = (5x³ − 3x) / 2"""

    @staticmethod
    def forward(ctx, input):
        ctx.save_for_backward(input)
        return 0.5 * (5 * input**3 - 3 * input)

    @staticmethod
    def backward(ctx, grad_output):
        (input,) = ctx.saved_tensors
        return grad_output * 1.5 * (5 * input**2 - 1)


class Polynomial3(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.a = torch.nn.Parameter(torch.randn(()))
        self.b = torch.nn.Parameter(torch.randn(()))
        self.c = torch.nn.Parameter(torch.randn(()))
        self.d = torch.nn.Parameter(torch.randn(()))

    def forward(self, x):
        return self.a + self.b * x + self.c * x**2 + self.d * x**3

    def string(self):
        return f"y = {self.a.item():.6f} + {self.b.item():.6f} x + {self.c.item():.6f} x^2 + {self.d.item():.6f} x^3"


class DynamicNet(Polynomial3):
    def __init__(self):
        super().__init__()
        self.e = torch.nn.Parameter(torch.randn(()))

    def forward(self, x):
        y = super().forward(x)
        for exp in range(4, random.randint(4, 6)):
            y = y + self.e * x**exp
        return y


def with_numpy(x, y, start):
    a, b, c, d = start
    for _ in range(30):
        grad_y = 2.0 * (a + b * x + c * x**2 + d * x**3 - y)
        a -= 1e-6 * grad_y.sum()
        b -= 1e-6 * (grad_y * x).sum()
        c -= 1e-6 * (grad_y * x**2).sum()
        d -= 1e-6 * (grad_y * x**3).sum()
    return [a, b, c, d]


def with_autograd(x, y, device, dtype):
    a, b, c, d = (torch.randn((), device=device, dtype=dtype, requires_grad=True) for _ in range(4))
    for _ in range(30):
        y_pred = a + b * x + c * x**2 + d * x**3
        loss = (y_pred - y).pow(2).sum()
        loss.backward()
        with torch.no_grad():
            a -= 1e-6 * a.grad
            b -= 1e-6 * b.grad
            c -= 1e-6 * c.grad
            d -= 1e-6 * d.grad
            a.grad = None
            b.grad = None
            c.grad = None
            d.grad = None
    return [loss.item(), a.item(), b.item(), c.item(), d.item()]


def with_function(x, y):
    a = torch.full((), 0.0, requires_grad=True)
    b = torch.full((), -1.0, requires_grad=True)
    c = torch.full((), 0.0, requires_grad=True)
    d = torch.full((), 0.3, requires_grad=True)
    P3 = LegendrePolynomial3.apply
    for _ in range(30):
        loss = (a + b * P3(c + d * x) - y).pow(2).sum()
        loss.backward()
        with torch.no_grad():
            for p in (a, b, c, d):
                p -= 5e-6 * p.grad
                p.grad.zero_()
    return [loss.item(), *(p.item() for p in (a, b, c, d))]


def with_nn(x, y):
    p = torch.tensor([1, 2, 3])
    xx = x.unsqueeze(-1).pow(p)
    model = torch.nn.Sequential(torch.nn.Linear(3, 1), torch.nn.Flatten(0, 1))
    loss_fn = torch.nn.MSELoss(reduction="sum")
    for _ in range(20):
        loss = loss_fn(model(xx), y)
        model.zero_grad()
        loss.backward()
        with torch.no_grad():
            for param in model.parameters():
                param -= 1e-6 * param.grad
    results = [loss.item()]
    optimizer = torch.optim.RMSprop(model.parameters(), lr=1e-3)
    for _ in range(20):
        loss = loss_fn(model(xx), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    linear_layer = model[0]
    return results + [loss.item(), linear_layer.bias.item(), linear_layer.weight[:, 0].item(), linear_layer.weight[:, 2].item()]


def with_module(x, y, model):
    criterion = torch.nn.MSELoss(reduction="sum")
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-8, momentum=0.9)
    for _ in range(20):
        loss = criterion(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return [loss.item(), *(p.item() for p in model.parameters()), len(model.string())]


def main():
    torch.manual_seed(3)
    random.seed(3)
    torch.set_default_dtype(torch.float64)
    device, dtype = torch.device("cpu"), torch.double
    x = torch.linspace(-math.pi, math.pi, 200, device=device, dtype=dtype)
    y = torch.sin(x)
    results = with_numpy(x.numpy(), np.sin(x.numpy()), [0.1, -0.2, 0.3, 0.05])
    results += with_numpy(x, y, torch.randn(4).tolist())
    results += with_autograd(x, y, device, dtype) + with_function(x, y) + with_nn(x, y)
    results += with_module(x, y, Polynomial3()) + with_module(x, y, DynamicNet())
    return [float(r) for r in results]
