"""Gradients through solutions: fixed points, differential equations, Gaussian processes, rendering, label sequences, images."""

import math

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.distributions import Categorical, MultivariateNormal, Normal, kl_divergence


class Cell(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner, self.outer = nn.Linear(4, 4), nn.Linear(3, 4)

    def forward(self, z, x):
        return torch.tanh(0.3 * self.inner(z) + self.outer(x))


def fixed_point():
    """A layer that runs until nothing changes; its gradient is found in the same way, in a hook."""
    cell, x = Cell(), torch.randn(2, 3)
    with torch.no_grad():
        z = torch.zeros(2, 4)
        for _ in range(40):
            z = cell(z, x)
    z = cell(z, x)
    start = z.clone().detach().requires_grad_()
    once = cell(start, x)

    def solve(g):
        r = g
        for _ in range(40):
            r = torch.autograd.grad(once, start, r, retain_graph=True)[0] + g
        return r

    z.register_hook(solve)
    z.sum().backward()
    return z, [p.grad for p in cell.parameters()]


def burgers():
    """A network that solves a differential equation, trained with L-BFGS."""
    net = nn.Sequential(nn.Linear(2, 10), nn.Tanh(), nn.Linear(10, 1))
    optimizer = torch.optim.LBFGS(net.parameters(), lr=0.5, max_iter=3, line_search_fn="strong_wolfe")
    points, initial = torch.rand(12, 2, requires_grad=True), torch.cat([torch.rand(6, 1), torch.zeros(6, 1)], 1)

    def closure():
        optimizer.zero_grad()
        u = net(points)
        slopes = torch.autograd.grad(u, points, torch.ones_like(u), create_graph=True)[0]
        along, later = slopes[:, :1], slopes[:, 1:]
        curved = torch.autograd.grad(along.sum(), points, create_graph=True)[0][:, [0]]
        loss = ((later + u * along - 0.01 * curved) ** 2).mean() + ((net(initial) + torch.sin(math.pi * initial[:, :1])) ** 2).mean()
        loss.backward()
        return loss

    return [optimizer.step(closure) for _ in range(2)], list(net.parameters())


def gaussian_process():
    x = torch.rand(8, 1) * 4
    y = x.sin().squeeze() + 0.05 * torch.randn(8)
    width, height, noise = (nn.Parameter(torch.tensor(v)) for v in (0.0, 0.0, -2.0))
    optimizer, out = torch.optim.Adam([width, height, noise], 0.1), []

    def kernel(a, b):
        return height.exp() * torch.exp(-0.5 * torch.cdist(a, b).pow(2) / width.exp() ** 2)

    for _ in range(3):
        covariance = kernel(x, x) + (noise.exp() + 1e-6) * torch.eye(8)
        factor = torch.linalg.cholesky(covariance)
        weights = torch.cholesky_solve(y[:, None], factor).squeeze()
        loss = 0.5 * y @ weights + factor.diagonal().log().sum() + 4 * math.log(2 * math.pi)
        out += [loss, MultivariateNormal(torch.zeros(8), covariance).log_prob(y)]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        at = torch.linspace(0, 4, 5)[:, None]
        v = torch.linalg.solve_triangular(factor, kernel(at, x).T, upper=False)
        return out, kernel(at, x) @ weights, kernel(at, at) - v.T @ v, torch.logdet(covariance)


def radiance_field():
    net = nn.Sequential(nn.Linear(27, 16), nn.ReLU(), nn.Linear(16, 4))
    i, j = torch.meshgrid(torch.arange(3), torch.arange(3), indexing="xy")
    rays = torch.stack([(i - 1.5) / 2.0, -(j - 1.5) / 2.0, -torch.ones_like(i)], -1).to(torch.get_default_dtype())
    depth = torch.linspace(2.0, 6.0, 5).expand(3, 3, 5)
    middle = 0.5 * (depth[..., 1:] + depth[..., :-1])
    upper, lower = torch.cat([middle, depth[..., -1:]], -1), torch.cat([depth[..., :1], middle], -1)
    depth = lower + (upper - lower) * torch.rand(depth.shape)
    points = rays[..., None, :] * depth[..., :, None]
    waves = torch.cat([points] + [f(2.0**k * points) for k in range(4) for f in (torch.sin, torch.cos)], -1)
    raw = net(waves)
    gaps = torch.cat([depth[..., 1:] - depth[..., :-1], torch.full((3, 3, 1), 1e10)], -1) * rays[..., None, :].norm(dim=-1)
    alpha = 1.0 - torch.exp(-F.relu(raw[..., 3]) * gaps)
    clear = torch.cumprod(torch.cat([torch.ones(3, 3, 1), 1.0 - alpha + 1e-10], -1), -1)[..., :-1]
    image = torch.sum((alpha * clear)[..., None] * torch.sigmoid(raw[..., :3]), -2)
    (image**2).sum().backward()
    return image, [p.grad for p in net.parameters()]


def conditional_random_field():
    labels, steps = 3, 5
    emitted, moves = torch.randn(2, steps, labels, requires_grad=True), nn.Parameter(torch.randn(labels, labels))
    tags, mask, batch = torch.randint(0, labels, (2, steps)), torch.ones(2, steps, dtype=torch.bool), torch.arange(2)
    mask[1, 3:] = False
    score, total = emitted[batch, 0, tags[:, 0]], emitted[:, 0]
    best, back = emitted[:, 0].detach(), []
    for t in range(1, steps):
        score = score + (moves[tags[:, t - 1], tags[:, t]] + emitted[batch, t, tags[:, t]]) * mask[:, t]
        next_total = torch.logsumexp(total.unsqueeze(2) + moves + emitted[:, t].unsqueeze(1), 1)
        total = torch.where(mask[:, t].unsqueeze(1), next_total, total)
        top, place = (best.unsqueeze(2) + moves.detach()).max(1)
        best = torch.where(mask[:, t : t + 1], top + emitted[:, t].detach(), best)
        back.append(place)
    loss = (total.logsumexp(1) - score).mean()
    loss.backward()
    path = [best.argmax(1)]
    for place in reversed(back):
        path.append(place.gather(1, path[-1].unsqueeze(1)).squeeze(1))
    return loss, emitted.grad, moves.grad, torch.stack(path[::-1], 1)


def proximal_policy():
    body = nn.Sequential(nn.Linear(4, 16), nn.Tanh())
    policy, value = nn.Linear(16, 3), nn.Linear(16, 1)
    for layer, gain in ((body[0], math.sqrt(2)), (policy, 0.01), (value, 1.0)):
        nn.init.orthogonal_(layer.weight, gain)
        nn.init.constant_(layer.bias, 0.0)
    parameters = [*body.parameters(), *policy.parameters(), *value.parameters()]
    optimizer, seen = torch.optim.Adam(parameters, lr=3e-3, eps=1e-5), torch.randn(12, 4)
    with torch.no_grad():
        before, v = Categorical(logits=policy(body(seen))), value(body(seen)).squeeze(-1)
        action = before.sample()
        likely = before.log_prob(action)
    reward, done, advantage, last = torch.randn(12), (torch.rand(12) < 0.1).to(v.dtype), torch.zeros(12), 0.0
    for t in reversed(range(12)):
        delta = reward[t] + 0.99 * (v[t + 1] if t < 11 else 0.0) * (1 - done[t]) - v[t]
        advantage[t] = last = delta + 0.99 * 0.95 * (1 - done[t]) * last
    returns, out = advantage + v, [action, advantage]
    for batch in torch.randperm(12).split(4):
        now, guess = Categorical(logits=policy(body(seen[batch]))), value(body(seen[batch])).squeeze(-1)
        ratio = (now.log_prob(action[batch]) - likely[batch]).exp()
        a = (advantage[batch] - advantage[batch].mean()) / (advantage[batch].std() + 1e-8)
        loss = -torch.min(ratio * a, ratio.clamp(0.8, 1.2) * a).mean() + 0.5 * (guess - returns[batch]).pow(2).mean() - 0.01 * now.entropy().mean()
        optimizer.zero_grad()
        loss.backward()
        out += [loss, nn.utils.clip_grad_norm_(parameters, 0.5)]
        optimizer.step()
    return out


class BayesianLinear(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.mean, self.spread = nn.Parameter(torch.empty(outputs, inputs).uniform_(-0.2, 0.2)), nn.Parameter(torch.full((outputs, inputs), -3.0))

    def forward(self, x):
        scale = F.softplus(self.spread)
        self.divergence = kl_divergence(Normal(self.mean, scale), Normal(0.0, 1.0)).sum()
        return F.linear(x, self.mean + scale * torch.randn_like(scale))


def bayes_by_backprop():
    model = nn.Sequential(BayesianLinear(1, 8), nn.Tanh(), BayesianLinear(8, 2))
    optimizer, x, out = torch.optim.Adam(model.parameters(), 0.01), torch.linspace(-1, 1, 10).unsqueeze(1), []
    for _ in range(3):
        mean, log_variance = model(x).chunk(2, 1)
        loss = F.gaussian_nll_loss(mean, x**3, log_variance.exp(), full=True, reduction="sum") + sum(model[i].divergence for i in (0, 2)) / 10
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        out.append(loss)
    with torch.no_grad():
        guesses = torch.stack([model(x)[:, 0] for _ in range(5)])
    return out, guesses.mean(0), guesses.std(0), torch.quantile(guesses, torch.tensor([0.05, 0.5, 0.95]), dim=0)


def sizes_and_margins():
    """Where PyTorch has habits: factors that change no size, alignments of unnormalised scores, rows that do not count."""
    image, out = torch.arange(24.0).reshape(1, 2, 3, 4).requires_grad_(), []
    for mode, factor in (("nearest", 1.2), ("nearest", (2.3, 1.1)), ("bilinear", (1.1, 2.3)), ("bicubic", 1.7), ("area", 0.7)):
        y = F.interpolate(image, scale_factor=factor, mode=mode)
        out += [y, torch.autograd.grad((y * y).sum(), image)[0]]
    log_probs = torch.randn(8, 2, 4).log_softmax(2).detach().requires_grad_()
    F.ctc_loss(log_probs, torch.tensor([[1, 2, 2], [3, 1, 0]]), torch.tensor([8, 6]), torch.tensor([3, 2])).backward()
    scores = torch.randn(3, 4, requires_grad=True)
    loss = F.cross_entropy(scores, torch.full((3,), -100))
    loss.backward()
    layer = nn.utils.parametrizations.weight_norm(nn.Linear(3, 2), dim=-1)
    q = torch.randn(1, 2, 3, 4)
    mixed = F.scaled_dot_product_attention(q, q, q, attn_mask=torch.rand(3, 3) < 0.8, is_causal=True)
    return out, log_probs.grad, loss, scores.grad, layer.parametrizations.weight.original0, layer(torch.ones(1, 3)), mixed
