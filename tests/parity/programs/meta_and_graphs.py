"""Few-shot prototypes, distillation, message passing with scatter, DeepSets, a neural process, mixture density, evolution, higher-order meta gradients."""

import copy
import math

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import distributions as dist
from torch.func import functional_call, grad, jvp, stack_module_state, vjp, vmap


class MessagePassing(nn.Module):
    def __init__(self, node, edge):
        super().__init__()
        self.message = nn.Sequential(nn.Linear(2 * node + edge, node), nn.SiLU())
        self.update = nn.GRUCell(node, node)

    def forward(self, x, edge_index, edge_attr):
        src, dst = edge_index
        m = self.message(torch.cat([x[src], x[dst], edge_attr], dim=-1))
        agg = torch.zeros_like(x).index_add(0, dst, m)
        deg = torch.zeros(x.size(0)).scatter_add_(0, dst, torch.ones_like(dst, dtype=x.dtype)).clamp_(min=1)
        best = torch.full_like(x, -1e9).scatter_reduce(0, dst[:, None].expand_as(m), m, reduce="amax", include_self=False)
        return self.update(agg / deg.unsqueeze(-1) + torch.where(best > -1e8, best, torch.zeros(())), x)


class DeepSet(nn.Module):
    def __init__(self):
        super().__init__()
        self.phi = nn.Sequential(nn.Linear(2, 6), nn.ELU(), nn.Linear(6, 6))
        self.rho = nn.Sequential(nn.LayerNorm(6), nn.Linear(6, 1))

    def forward(self, x, mask):
        h = self.phi(x).masked_fill(~mask.unsqueeze(-1), 0.0)
        return self.rho(h.sum(1) / mask.sum(1, keepdim=True)).squeeze(-1)


class MDN(nn.Module):
    def __init__(self, k=3):
        super().__init__()
        self.body, self.pi, self.mu, self.sigma = nn.Linear(1, 8), nn.Linear(8, k), nn.Linear(8, k), nn.Linear(8, k)

    def forward(self, x):
        h = torch.tanh(self.body(x))
        return dist.MixtureSameFamily(dist.Categorical(logits=self.pi(h)), dist.Normal(self.mu(h), F.softplus(self.sigma(h)) + 1e-3))


class NeuralProcess(nn.Module):
    def __init__(self, d=6):
        super().__init__()
        self.enc, self.lat, self.dec = nn.Linear(2, d), nn.Linear(d, 2 * d), nn.Linear(d + 1, 2)

    def latent(self, x, y):
        loc, scale = self.lat(F.relu(self.enc(torch.cat([x, y], -1))).mean(dim=1)).chunk(2, -1)
        return dist.Independent(dist.Normal(loc, 0.1 + 0.9 * torch.sigmoid(scale)), 1)

    def forward(self, xc, yc, xt, yt):
        prior, post = self.latent(xc, yc), self.latent(xt, yt)
        z = post.rsample().unsqueeze(1).expand(-1, xt.size(1), -1)
        loc, scale = self.dec(torch.cat([xt, z], -1)).split(1, dim=-1)
        ll = dist.Normal(loc, 0.1 + F.softplus(scale)).log_prob(yt).sum((1, 2))
        return -(ll - dist.kl_divergence(post, prior)).mean()


class BayesLinear(nn.Module):
    def __init__(self, i, o):
        super().__init__()
        self.mu, self.rho = nn.Parameter(torch.empty(o, i).normal_(0, 0.1)), nn.Parameter(torch.full((o, i), -3.0))

    def forward(self, x):
        q = dist.Normal(self.mu, F.softplus(self.rho))
        w = q.rsample()
        self.kl = (q.log_prob(w) - dist.Normal(0.0, 1.0).log_prob(w)).sum()
        return x @ w.t()


def main():
    torch.manual_seed(51)
    torch.set_default_dtype(torch.float64)
    results = []
    x, edges = torch.randn(6, 4), torch.tensor([[0, 1, 2, 3, 4, 1], [1, 2, 0, 1, 3, 0]])
    mp = nn.ModuleList([MessagePassing(4, 2) for _ in range(2)])
    h, attr = x, torch.rand(6, 2)
    for layer in mp:
        h = h + layer(h, edges, attr)
    pooled = torch.zeros(2, 4).index_add_(0, torch.tensor([0, 0, 0, 1, 1, 1]), h)
    pooled.logsumexp(0).sum().backward()
    results += [h.sum().item(), mp[0].message[0].weight.grad.norm().item(), mp[1].update.weight_hh.grad.norm().item()]

    encoder = nn.Sequential(nn.Linear(4, 8), nn.CELU(), nn.Linear(8, 3))
    opt = torch.optim.ASGD(encoder.parameters(), lr=0.05)
    for _ in range(3):
        support, query = torch.randn(3, 2, 4), torch.randn(3, 3, 4)
        proto = encoder(support).mean(1)
        d = -torch.cdist(encoder(query).flatten(0, 1), proto) ** 2
        target = torch.arange(3).repeat_interleave(3)
        loss = F.cross_entropy(d, target)
        opt.zero_grad()
        loss.backward()
        opt.step()
        results += [loss.item(), d.argmax(1).eq(target).double().mean().item()]

    deep, sets = DeepSet(), torch.randn(3, 5, 2)
    mask = torch.arange(5)[None, :] < torch.tensor([2, 5, 3])[:, None]
    out = deep(sets, mask)
    shuffled = deep(sets[:, torch.tensor([1, 0, 2, 4, 3])], mask[:, torch.tensor([1, 0, 2, 4, 3])])
    results += [*out.tolist(), (out - shuffled).abs().max().item() < 1e-12]

    mdn, np_model = MDN(), NeuralProcess()
    opt = torch.optim.Rprop([*mdn.parameters(), *np_model.parameters()], lr=0.01)
    t = torch.linspace(-1, 1, 10).unsqueeze(1)
    for _ in range(3):
        loss = -mdn(t).log_prob((t + 0.3 * torch.sin(2 * math.pi * t)).squeeze(1)).mean()
        xs = torch.rand(2, 7, 1)
        loss = loss + np_model(xs[:, :3], xs[:, :3].sin(), xs, xs.sin())
        opt.zero_grad()
        loss.backward()
        opt.step()
        results.append(loss.item())
    results += mdn(t).sample().tolist()[:3] + mdn(t).mean.tolist()[:2]
    bayes = nn.Sequential(BayesLinear(2, 5), nn.Tanh(), BayesLinear(5, 1))
    loss = F.mse_loss(bayes(sets[:, 0]), sets[:, 0].sum(1, keepdim=True)) + sum(m.kl for m in bayes.modules() if hasattr(m, "kl")) / 100
    loss.backward()
    results += [loss.item(), bayes[0].rho.grad.norm().item()]

    net = nn.Sequential(nn.Linear(1, 6), nn.Tanh(), nn.Linear(6, 1))
    params = dict(net.named_parameters())

    def task_loss(p, a, xs):
        return F.mse_loss(functional_call(net, p, (xs,)), a * xs.sin())

    def adapted(a, xs, xq):
        g = grad(task_loss)(params, a, xs)
        return task_loss({k: v - 0.1 * g[k] for k, v in params.items()}, a, xq)

    meta = vmap(adapted)(torch.tensor([1.0, 2.0, 0.5]), torch.rand(3, 4, 1), torch.rand(3, 4, 1)).mean()
    results += [meta.item(), *(g.sum().item() for g in torch.autograd.grad(meta, params.values()))]
    models = [nn.Linear(3, 2) for _ in range(4)]
    stacked, buffers = stack_module_state(models)
    base = copy.deepcopy(models[0])
    results.append(vmap(lambda p, b, v: functional_call(base, (p, b), (v,)), (0, 0, None))(stacked, buffers, torch.ones(2, 3)).sum().item())
    value, tangent = jvp(lambda v: v.sin() * v.sum(), (torch.arange(3.0),), (torch.ones(3),))
    _, pull = vjp(lambda v: v.exp().cumsum(0), torch.arange(3.0))
    results += [*tangent.tolist(), *pull(torch.ones(3))[0].tolist(), value.sum().item()]
    Hv = torch.autograd.functional.hvp(lambda v: (v**4).sum() + v.prod(), torch.tensor([1.0, 2.0]), torch.tensor([0.5, -1.0]))[1]
    results += Hv.tolist()
    xg = torch.tensor([1.0, 2.0], requires_grad=True)
    J = torch.autograd.grad((xg**2).unbind(), xg, [torch.tensor(1.0), torch.tensor(2.0)], retain_graph=True)[0]
    rows = torch.stack([torch.autograd.grad(xg**3, xg, row)[0] for row in torch.eye(2)])
    results += J.tolist() + rows.flatten().tolist()
    pop, sigma, centre = 8, 0.1, nn.utils.parameters_to_vector(net.parameters()).detach()
    for _ in range(2):
        eps = torch.randn(pop, centre.numel())
        scores = []
        for e in torch.cat([eps, -eps]):
            nn.utils.vector_to_parameters(centre + sigma * e, net.parameters())
            with torch.no_grad():
                scores.append(-F.mse_loss(net(t), t.abs()))
        scores = torch.stack(scores)
        ranks = scores.argsort().argsort().double() / (2 * pop - 1) - 0.5
        centre = centre + 0.05 / (2 * pop * sigma) * torch.cat([eps, -eps]).T @ ranks
        results += [scores.max().item(), centre.norm().item()]
    return [float(r) for r in results]
