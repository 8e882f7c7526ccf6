"""Sampling, fitting and filtering: Langevin, score matching, splines, Boltzmann machines, mixtures, t-SNE, Kalman, HMC, transport."""

import math

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import optim
from torch.distributions import Normal, kl_divergence


def data(n, *more, seed=0):
    return torch.from_numpy(np.random.RandomState(seed).randn(n, *more))


def fill(m, seed=0):
    r = np.random.RandomState(seed)
    with torch.no_grad():
        for p in m.parameters():
            p.copy_(torch.from_numpy(r.randn(*p.shape)) * 0.3)
    return m


def energy_langevin():
    net = fill(nn.Sequential(nn.Linear(2, 16), nn.SiLU(), nn.Linear(16, 1)))
    for p in net.parameters():
        p.requires_grad_(False)
    x = data(8, 2)
    noise = data(5, 8, 2, seed=9)
    for i in range(5):
        x = x.detach().requires_grad_(True)
        e = net(x).sum()
        (g,) = torch.autograd.grad(e, x)
        x = x.data - 0.5 * g.clamp_(-0.03, 0.03) + 0.01 * noise[i]
        x.clamp_(-1.5, 1.5)
    return x, g


def score_matching():
    net = fill(nn.Sequential(nn.Linear(2, 12), nn.Softplus(), nn.Linear(12, 2)))
    x = data(6, 2).requires_grad_()
    s = net(x)
    loss = 0.5 * (s**2).sum(1)
    for i in range(2):
        loss = loss + torch.autograd.grad(s[:, i].sum(), x, create_graph=True, retain_graph=True)[0][:, i]
    loss.mean().backward()
    v = data(6, 2, seed=3).sign()
    sliced = (torch.autograd.grad((net(x) * v).sum(), x, create_graph=True)[0] * v).sum(-1)
    return loss, [p.grad for p in net.parameters()], sliced


def spline_flow():
    def rqs(x, w, h, d, B=3.0):
        K = w.shape[-1]
        w = 1e-3 + (1 - 1e-3 * K) * F.softmax(w, -1)
        h = 1e-3 + (1 - 1e-3 * K) * F.softmax(h, -1)
        cw = F.pad(torch.cumsum(w, -1), (1, 0)) * 2 * B - B
        ch = F.pad(torch.cumsum(h, -1), pad=(1, 0), mode="constant", value=0.0) * 2 * B - B
        w, h = cw[..., 1:] - cw[..., :-1], ch[..., 1:] - ch[..., :-1]
        d = F.pad(1e-3 + F.softplus(d), (1, 1), value=1.0)
        bins = (torch.searchsorted(cw.contiguous(), x[..., None].contiguous(), right=True) - 1).clamp(0, K - 1)
        g = lambda t: t.gather(-1, bins)[..., 0]
        x0, y0, wk, hk, d0, d1 = g(cw[..., :-1]), g(ch[..., :-1]), g(w), g(h), g(d[..., :-1]), g(d[..., 1:])
        s = hk / wk
        th = (x - x0) / wk
        t1 = th * (1 - th)
        den = s + (d1 + d0 - 2 * s) * t1
        y = y0 + hk * (s * th**2 + d0 * t1) / den
        ld = torch.log(s**2 * (d1 * th.pow(2) + 2 * s * t1 + d0 * (1 - th).pow(2))) - 2 * torch.log(den)
        inside = (x >= -B) & (x <= B)
        return torch.where(inside, y, x), torch.where(inside, ld, torch.zeros_like(ld))

    x = torch.linspace(-3.5, 3.5, 12)
    w, h, d = (data(12, n, seed=i).requires_grad_() for i, n in enumerate((5, 5, 4)))
    y, ld = rqs(x, w, h, d)
    (y + ld).sum().backward()
    return y, ld, w.grad, h.grad, d.grad


def rbm():
    W = data(6, 4) * 0.1
    a, b = torch.zeros(6), torch.zeros(4)
    u = torch.from_numpy(np.random.RandomState(3).rand(9, 5, 6))
    v0 = (data(5, 6) > 0).double()
    out = []
    for i in range(3):
        ph = torch.sigmoid(F.linear(v0, W.t(), b))
        h = (ph > u[3 * i, :, :4]).double()
        pv = torch.sigmoid(F.linear(h, W, a))
        v = (pv > u[3 * i + 1]).double()
        ph2 = torch.sigmoid(v @ W + b)
        W += 0.1 * (torch.mm(v0.t(), ph) - torch.mm(v.t(), ph2)) / 5
        a += 0.1 * torch.sum(v0 - v, dim=0)
        b.add_(torch.sum(ph - ph2, 0), alpha=0.1)
        fe = -(v0.mv(a)) - F.softplus(F.linear(v0, W.t(), b)).sum(1)
        out.append(fe.mean())
    return out, W, a, b


def kmeans_pca_gmm():
    x = torch.cat([data(20, 3) + 3, data(20, 3, seed=1) - 2, data(20, 3, seed=2)])
    c = x[::20].clone()
    for _ in range(5):
        d = torch.cdist(x, c)
        lab = d.argmin(dim=1)
        c = torch.stack([x[lab == k].mean(0) for k in range(3)])
    counts = torch.bincount(lab, minlength=3)
    onehot = F.one_hot(lab, 3).double()
    c2 = (onehot.t() @ x) / onehot.sum(0).unsqueeze(1)
    xc = x - x.mean(dim=0, keepdim=True)
    U, S, Vh = torch.linalg.svd(xc, full_matrices=False)
    var = S**2 / (len(x) - 1)
    proj = (xc @ Vh[:2].T).abs()
    pi, mu, cov = torch.full((3,), 1 / 3), c.clone(), torch.eye(3).repeat(3, 1, 1)
    for _ in range(4):
        lp = torch.distributions.MultivariateNormal(mu, cov).log_prob(x[:, None]) + pi.log()
        r = torch.softmax(lp, 1)
        nk = r.sum(0)
        pi, mu = nk / len(x), (r.T @ x) / nk[:, None]
        diff = x[:, None] - mu
        cov = torch.einsum("nk,nki,nkj->kij", r, diff, diff) / nk[:, None, None] + 1e-6 * torch.eye(3)
    return c, counts, torch.allclose(c, c2), var, proj, pi, mu, cov, torch.logsumexp(lp, 1).sum()


def tsne():
    x = data(12, 4)
    n = 12
    d2 = torch.cdist(x, x).pow(2)
    P = torch.exp(-d2 / 2)
    P.fill_diagonal_(0)
    P = P / P.sum(1, keepdim=True)
    P = (P + P.t()) / (2 * n)
    P = torch.max(P, torch.tensor([1e-21]))
    y = (data(n, 2, seed=1) * 1e-2).requires_grad_()
    opt = torch.optim.SGD([y], lr=5.0, momentum=0.5)
    out = []
    for i in range(6):
        num = 1 / (1 + torch.pdist(y).pow(2))
        q = torch.zeros(n, n)
        iu = torch.triu_indices(n, n, 1)
        q[iu[0], iu[1]] = num
        q = q + q.t()
        Q = torch.clamp(q / q.sum(), min=1e-21)
        loss = torch.sum(P * torch.log(P / Q))
        opt.zero_grad()
        loss.backward()
        opt.step()
        out.append(loss.item())
    return out, y


def lbfgs_logistic_svm():
    X = data(30, 3)
    Y = (X @ torch.tensor([1.0, -2.0, 0.5]) + 0.3 > 0).double()
    w = torch.zeros(4, requires_grad=True)
    out = []
    opt = torch.optim.LBFGS([w], lr=1, max_iter=8, history_size=5, line_search_fn="strong_wolfe")

    def closure():
        if torch.is_grad_enabled():
            opt.zero_grad()
        loss = F.binary_cross_entropy_with_logits(X @ w[:3] + w[3], Y) + 0.01 * w.dot(w)
        if loss.requires_grad:
            loss.backward()
        return loss

    for _ in range(3):
        out.append(opt.step(closure).item())
    s = torch.zeros(4, requires_grad=True)
    o2 = torch.optim.Adagrad([s], lr=0.5, lr_decay=0.01)
    for _ in range(10):
        o2.zero_grad()
        l = F.relu(1 - (2 * Y - 1) * (X @ s[:3] + s[3])).mean() + 1e-2 * s[:-1].norm() ** 2
        l.backward()
        o2.step()
    return out, w, s, l


def kalman_hmm():
    Fm = torch.tensor([[1.0, 1.0], [0.0, 1.0]])
    H = torch.tensor([[1.0, 0.0]])
    Q, R = 0.01 * torch.eye(2), torch.tensor([[0.5]])
    q = torch.tensor(0.1, requires_grad=True)
    x, P = torch.zeros(2, 1), torch.eye(2)
    ll = 0.0
    for z in data(8):
        x = Fm @ x
        P = Fm @ P @ Fm.T + q * torch.eye(2)
        S = H @ P @ H.T + R
        K = P @ H.T @ torch.inverse(S)
        y = z - H @ x
        ll = ll - 0.5 * (y * y / S + torch.log(2 * math.pi * S)).squeeze()
        x = x + K @ y
        P = (torch.eye(2) - K @ H) @ P
    ll.backward()
    T, E, p0 = torch.log_softmax(data(3, 3), 1), torch.log_softmax(data(3, 4, seed=1), 1), torch.log_softmax(data(3, seed=2), 0)
    T.requires_grad_()
    obs = torch.tensor([0, 3, 2, 2, 1])
    al = p0 + E[:, obs[0]]
    for o in obs[1:]:
        al = torch.logsumexp(al.unsqueeze(1) + T, dim=0) + E[:, o]
    L = al.logsumexp(-1)
    L.backward()
    v, back = p0 + E[:, obs[0]], []
    for o in obs[1:]:
        m, i = (v[:, None] + T).max(0)
        v = m + E[:, o]
        back.append(i)
    path = [v.argmax().item()]
    for i in reversed(back):
        path.insert(0, i[path[0]].item())
    return ll, q.grad, x, P, L, T.grad, path


def bayes_hmc_sgld():
    X, y = data(10, 2), data(10, seed=1)

    def logp(w):
        return Normal(X @ w[:2] + w[2], 0.5).log_prob(y).sum() + Normal(torch.zeros(3), 1.0).log_prob(w).sum()

    w = torch.zeros(3)
    mom = data(4, 3, seed=2)
    acc = []
    for k in range(4):
        q = w.clone().requires_grad_()
        p = mom[k].clone()
        (g,) = torch.autograd.grad(logp(q), q)
        h0 = -logp(q) + 0.5 * p @ p
        p = p + 0.02 * g
        for s in range(5):
            q = (q + 0.04 * p).detach().requires_grad_()
            (g,) = torch.autograd.grad(logp(q), q)
            p = p + (0.04 if s < 4 else 0.02) * g
        h1 = -logp(q) + 0.5 * p.dot(p)
        acc.append(torch.exp(h0 - h1).clamp(max=1.0).item())
        if acc[-1] > 0.5:
            w = q.detach()
    mu, rho = torch.zeros(3, requires_grad=True), torch.full((3,), -1.0, requires_grad=True)
    o = optim.Adam([mu, rho], 0.05)
    el = []
    for k in range(4):
        qd = Normal(mu, F.softplus(rho))
        s = qd.mean + qd.stddev * data(3, seed=20 + k)
        loss = kl_divergence(qd, Normal(torch.zeros(3), torch.ones(3))).sum() - Normal(X @ s[:2] + s[2], 0.5).log_prob(y).sum()
        o.zero_grad()
        loss.backward()
        o.step()
        el.append(loss.item())
    return w, acc, el, mu, rho


def sinkhorn_softdtw():
    a, b = torch.full((4,), 0.25), torch.softmax(data(5), 0)
    x, yy = data(4, 2).requires_grad_(), data(5, 2, seed=1)
    C = torch.cdist(x, yy) ** 2
    eps = 0.5
    f, g = torch.zeros(4), torch.zeros(5)
    for _ in range(20):
        f = -eps * torch.logsumexp((g[None] - C) / eps + b.log()[None], 1)
        g = -eps * torch.logsumexp((f[:, None] - C) / eps + a.log()[:, None], 0)
    P = torch.exp((f[:, None] + g[None] - C) / eps) * a[:, None] * b[None]
    cost = (P * C).sum()
    cost.backward()
    D = torch.cdist(data(4, 1), data(5, 1, seed=3)).requires_grad_()
    R = [[torch.tensor(math.inf)] * 6 for _ in range(5)]
    R[0][0] = torch.tensor(0.0)
    for i in range(1, 5):
        for j in range(1, 6):
            R[i][j] = D[i - 1, j - 1] - 0.1 * torch.logsumexp(-torch.stack([R[i - 1][j - 1], R[i - 1][j], R[i][j - 1]]) / 0.1, 0)
    s = R[4][5]
    (G,) = torch.autograd.grad(s, D)
    return P, cost, x.grad, s, G
