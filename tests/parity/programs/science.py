"""Scientific computing: a Gaussian process, a PINN, a neural ODE by RK4, PCA, k-means, logistic regression, a Kalman filter."""

import math

import numpy as np
import torch
from torch import nn
from torch.func import functional_call, grad, hessian, jacrev, vmap


def rbf(a, b, lengthscale, variance):
    return variance * torch.exp(-0.5 * torch.cdist(a / lengthscale, b / lengthscale) ** 2)


class GP(nn.Module):
    def __init__(self):
        super().__init__()
        for name in ("log_length", "log_var", "log_noise"):
            setattr(self, name, nn.Parameter(torch.zeros(1)))

    def nll(self, x, y):
        d2 = (x[:, None] - x[None]).pow(2).sum(-1)
        K = self.log_var.exp() * torch.exp(-0.5 * d2 / self.log_length.exp() ** 2) + self.log_noise.exp() * torch.eye(len(x))
        L = torch.linalg.cholesky(K)
        alpha = torch.cholesky_solve(y[:, None], L)
        self.L, self.alpha = L.detach(), alpha.detach()
        return 0.5 * (y @ alpha.squeeze() + 2 * L.diagonal().log().sum() + len(x) * math.log(2 * math.pi))

    def predict(self, x, new):
        ks = rbf(new, x, self.log_length.exp(), self.log_var.exp())
        v = torch.linalg.solve_triangular(self.L, ks.T, upper=False)
        return (ks @ self.alpha).squeeze(-1), self.log_var.exp() - v.pow(2).sum(0)


class ODE(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 2))
        for m in self.net.modules():
            if isinstance(m, nn.Linear):
                nn.init.normal_(m.weight, mean=0, std=0.1)
                nn.init.constant_(m.bias, val=0)

    def forward(self, t, y):
        return self.net(y**3)


def odeint(f, y, ts):
    ys = [y]
    for t0, t1 in zip(ts[:-1], ts[1:]):
        h = t1 - t0
        k1 = f(t0, y)
        k2 = f(t0 + h / 2, y + h / 2 * k1)
        k3 = f(t0 + h / 2, y + h / 2 * k2)
        k4 = f(t1, y + h * k3)
        y = y + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
        ys.append(y)
    return torch.stack(ys)


def pinn(results):
    net = nn.Sequential(nn.Linear(2, 10), nn.Tanh(), nn.Linear(10, 10), nn.Softplus(), nn.Linear(10, 1))
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-2)
    scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.9)
    for _ in range(4):
        x, t = torch.rand(10, 1, requires_grad=True), torch.rand(10, 1, requires_grad=True)
        u = net(torch.cat([x, t], dim=1))
        u_x, u_t = torch.autograd.grad(u, (x, t), grad_outputs=torch.ones_like(u), create_graph=True)
        u_xx = torch.autograd.grad(u_x.sum(), x, create_graph=True)[0]
        residual = u_t + u * u_x - (0.01 / math.pi) * u_xx
        initial = net(torch.cat([x.detach(), torch.zeros(10, 1)], 1)) + torch.sin(math.pi * x.detach())
        loss = residual.square().mean() + initial.square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        scheduler.step()
        results += [loss.item(), optimizer.param_groups[0]["lr"]]


def per_sample(results):
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))
    params = {k: v.detach() for k, v in model.named_parameters()}
    x, y = torch.randn(5, 3), torch.randn(5, 1)

    def loss(params, xi, yi):
        return ((functional_call(model, params, (xi.unsqueeze(0),)) - yi) ** 2).mean()

    grads = vmap(grad(loss), in_dims=(None, 0, 0))(params, x, y)
    norms = torch.stack([g.flatten(1).norm(dim=1) for g in grads.values()]).norm(dim=0)
    clipped = {k: (g * (1 / norms.clamp(min=1)).view(-1, *[1] * (g.dim() - 1))).mean(0) for k, g in grads.items()}
    results += norms.tolist() + [g.sum().item() for g in clipped.values()]
    f = lambda v: model(v).squeeze()
    results += [jacrev(f)(x[0]).sum().item(), hessian(f)(x[0]).trace().item(), vmap(torch.dot)(x, x.flip(0)).sum().item()]


def main():
    torch.manual_seed(9)
    torch.set_default_dtype(torch.float64)
    results = []
    x = torch.linspace(0, 3, 12).unsqueeze(1)
    y = torch.sin(2 * x).squeeze() + 0.1 * torch.randn(12)
    gp = GP()
    optimizer = torch.optim.LBFGS(gp.parameters(), lr=0.5, max_iter=5, line_search_fn="strong_wolfe")

    def closure():
        optimizer.zero_grad()
        loss = gp.nll(x, y)
        loss.backward()
        return loss

    for _ in range(2):
        results.append(optimizer.step(closure).item())
    with torch.no_grad():
        mean, var = gp.predict(x, torch.tensor([[0.5], [4.0]]))
    results += mean.tolist() + var.tolist() + [p.item() for p in gp.parameters()]
    pinn(results)

    true_A = torch.tensor([[-0.1, 2.0], [-2.0, -0.1]])
    ts = torch.linspace(0.0, 1.0, 6)
    with torch.no_grad():
        target = odeint(lambda t, y: torch.mm(y**3, true_A), torch.tensor([[2.0, 0.0]]), ts)
    func = ODE()
    optimizer = torch.optim.RMSprop(func.parameters(), lr=1e-2)
    for _ in range(3):
        optimizer.zero_grad()
        loss = torch.mean(torch.abs(odeint(func, torch.tensor([[2.0, 0.0]]), ts) - target))
        loss.backward()
        optimizer.step()
        results.append(loss.item())

    data = torch.randn(30, 4) @ torch.diag(torch.tensor([3.0, 2.0, 1.0, 0.1])) + 1
    centred = data - data.mean(0, keepdim=True)
    U, S, Vh = torch.linalg.svd(centred, full_matrices=False)
    values, vectors = torch.linalg.eigh(torch.cov(centred.T))
    results += S.tolist() + values.tolist() + (centred @ Vh.T[:, :2]).abs().sum(0).tolist() + [vectors.abs().sum().item()]
    Q, R = torch.linalg.qr(centred)
    results += [(Q @ R - centred).abs().max().item() < 1e-12, torch.linalg.matrix_rank(centred).item(), torch.linalg.cond(R).item()]
    results += torch.linalg.lstsq(data, y.repeat(3)[:30].unsqueeze(1)).solution.flatten().tolist()
    results += [torch.linalg.slogdet(R)[1].item(), torch.linalg.pinv(data).sum().item(), torch.corrcoef(data.T)[0, 1].item()]
    centres = data[torch.randperm(30)[:3]].clone()
    for _ in range(4):
        label = torch.cdist(data, centres).argmin(dim=1)
        for k in range(3):
            if (label == k).any():
                centres[k] = data[label == k].mean(dim=0)
    results += torch.bincount(label, minlength=3).tolist() + centres.sum(1).tolist()

    w, b = torch.zeros(4, requires_grad=True), torch.zeros((), requires_grad=True)
    target = (data[:, 0] > 1).double()
    for _ in range(5):
        loss = nn.functional.binary_cross_entropy(torch.sigmoid(data.mv(w) + b), target) + 1e-2 * w.pow(2).sum()
        w_grad, b_grad = torch.autograd.grad(loss, [w, b])
        with torch.no_grad():
            w.sub_(0.5 * w_grad)
            b -= 0.5 * b_grad
    results += [loss.item(), *w.tolist(), b.item()]
    F_, H, P, m = torch.tensor([[1.0, 0.1], [0.0, 1.0]]), torch.tensor([[1.0, 0.0]]), torch.eye(2), torch.zeros(2, 1)
    for z in y:
        m, P = F_ @ m, F_ @ P @ F_.mT + 0.01 * torch.eye(2)
        gain = P @ H.T @ torch.inverse(H @ P @ H.T + 0.1)
        m, P = m + gain @ (z - H @ m), (torch.eye(2) - gain @ H) @ P
    results += m.flatten().tolist() + [P.det().item()]
    per_sample(results)
    signal = torch.from_numpy(np.sin(np.arange(16) / 2))
    results += [torch.diff(signal).abs().sum().item(), torch.trapezoid(signal, dx=0.5).item(), torch.cumsum(signal, 0)[-1].item()]
    return [float(r) for r in results]
