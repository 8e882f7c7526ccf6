"""A MAML inner loop: functional forward with fast weights, gradients through gradients, LBFGS at the end."""

import torch
import torch.nn.functional as F


def net(x, w):
    x = torch.tanh(F.linear(x, w[0], w[1]))
    return F.linear(x, w[2], w[3])


def main():
    torch.manual_seed(11)
    torch.set_default_dtype(torch.float64)
    weights = [
        torch.randn(10, 1).mul_(0.5).requires_grad_(),
        torch.zeros(10, requires_grad=True),
        torch.randn(1, 10).mul_(0.5).requires_grad_(),
        torch.zeros(1, requires_grad=True),
    ]
    meta = torch.optim.Adam(weights, lr=1e-2)
    results = []
    for step in range(3):
        meta.zero_grad()
        total = 0
        for task in range(3):
            amplitude, phase = torch.rand(1) * 4 + 0.1, torch.rand(1) * 3.14
            x = torch.rand(8, 1) * 10 - 5
            y = amplitude * torch.sin(x + phase)
            fast = weights
            for _ in range(2):
                loss = F.mse_loss(net(x, fast), y)
                grads = torch.autograd.grad(loss, fast, create_graph=True)
                fast = [w - 0.05 * g for w, g in zip(fast, grads)]
            xq = torch.rand(8, 1) * 10 - 5
            total = total + F.mse_loss(net(xq, fast), amplitude * torch.sin(xq + phase))
        total.backward()
        meta.step()
        results.append(total.item())
    x = torch.tensor([-1.5, 1.0], requires_grad=True)
    optimizer = torch.optim.LBFGS([x], lr=1, max_iter=10, line_search_fn="strong_wolfe")

    def closure():
        optimizer.zero_grad()
        f = (1 - x[0]) ** 2 + 100 * (x[1] - x[0] ** 2) ** 2
        f.backward()
        return f

    for _ in range(3):
        results.append(optimizer.step(closure).item())
    hessian = torch.autograd.functional.hessian(lambda v: (v**4).sum() + v.prod(), torch.tensor([1.0, 2.0, 3.0]))
    return results + x.tolist() + hessian.flatten().tolist()
