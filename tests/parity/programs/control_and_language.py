"""Policies, preferences and tokens: SAC, PPO, masked words, sampling rules, DPO, GRPO, quantisation, equilibria, implicit gradients."""

import copy
import itertools

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import optim
from torch.autograd import Function
from torch.distributions import Categorical, Normal


def data(n, *more, seed=0):
    return torch.from_numpy(np.random.RandomState(seed).randn(n, *more))


def fill(m, seed=0):
    r = np.random.RandomState(seed)
    with torch.no_grad():
        for p in m.parameters():
            p.copy_(torch.from_numpy(r.randn(*p.shape)) * 0.3)
    return m


class DEQ(nn.Module):
    def __init__(self):
        super().__init__()
        self.w = nn.Linear(4, 4, bias=False)
        self.u = nn.Linear(3, 4)

    def f(self, z, x):
        return torch.tanh(self.w(z) + self.u(x))

    def forward(self, x):
        with torch.no_grad():
            z = torch.zeros(x.shape[0], 4)
            for _ in range(60):
                z = self.f(z, x)
        z = self.f(z, x)
        z0 = z.clone().detach().requires_grad_()
        f0 = self.f(z0, x)

        def backward_hook(grad):
            g = grad
            for _ in range(60):
                g = torch.autograd.grad(f0, z0, g, retain_graph=True)[0] + grad
            return g

        if z.requires_grad:
            z.register_hook(backward_hook)
        return z


def deep_equilibrium():
    m = fill(DEQ())
    x = data(5, 3)
    z = m(x)
    z.pow(2).sum().backward()
    return z, [p.grad for p in m.parameters()]


def implicit_qp():
    class Solve(Function):
        @staticmethod
        def forward(ctx, A, b):
            x = torch.linalg.solve(A, b)
            ctx.save_for_backward(A, x)
            return x

        @staticmethod
        def backward(ctx, g):
            A, x = ctx.saved_tensors
            gb = torch.linalg.solve(A.mT, g)
            return -gb.unsqueeze(-1) * x.unsqueeze(-2), gb

    A, b = (data(3, 3) + 4 * torch.eye(3)).requires_grad_(), data(3, seed=1).requires_grad_()
    y = Solve.apply(A, b)
    g1 = torch.autograd.grad(y.pow(2).sum(), (A, b), create_graph=True)
    g2 = torch.autograd.grad(g1[1].sum(), A)[0]
    H = torch.autograd.functional.hessian(lambda t: torch.linalg.solve(A.detach() + t.diag(), b.detach()).sum(), torch.zeros(3))
    Q = A.detach() @ A.detach().T
    kkt = torch.cat([torch.cat([Q, torch.ones(3, 1)], 1), torch.cat([torch.ones(1, 3), torch.zeros(1, 1)], 1)], 0)
    sol = torch.linalg.solve(kkt, torch.cat([-b.detach(), torch.ones(1)]))
    return y, g1, g2, torch.autograd.gradgradcheck(Solve.apply, (A, b)), H, sol, torch.linalg.lstsq(kkt, torch.ones(4, 1)).solution


def sac_and_td3():
    class Actor(nn.Module):
        def __init__(s):
            super().__init__()
            s.n = nn.Linear(3, 8)
            s.mu, s.ls = nn.Linear(8, 2), nn.Linear(8, 2)

        def forward(s, o, eps):
            h = F.relu(s.n(o))
            mu, ls = s.mu(h), torch.clamp(s.ls(h), -20, 2)
            std = ls.exp()
            pi = mu + std * eps
            lp = Normal(mu, std).log_prob(pi).sum(axis=-1)
            lp -= (2 * (np.log(2) - pi - F.softplus(-2 * pi))).sum(axis=1)
            return torch.tanh(pi), lp

    a = fill(Actor())
    q1, q2 = (fill(nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, 1)), i) for i in (1, 2))
    t1, t2 = copy.deepcopy(q1), copy.deepcopy(q2)
    log_alpha = torch.zeros(1, requires_grad=True)
    oq = optim.Adam(itertools.chain(q1.parameters(), q2.parameters()), lr=1e-2)
    oa = optim.Adam(a.parameters(), lr=1e-2)
    ol = optim.Adam([log_alpha], lr=1e-2)
    o, ac, r, o2, d = data(6, 3), torch.tanh(data(6, 2, seed=1)), data(6, seed=2), data(6, 3, seed=3), (data(6, seed=4) > 1).double()
    out = []
    for k in range(3):
        with torch.no_grad():
            a2, lp2 = a(o2, data(6, 2, seed=k))
            tq = torch.min(t1(torch.cat([o2, a2], -1)).squeeze(-1), t2(torch.cat([o2, a2], -1)).squeeze(-1))
            backup = r + 0.99 * (1 - d) * (tq - log_alpha.exp() * lp2)
        lq = sum(((q(torch.cat([o, ac], -1)).squeeze(-1) - backup) ** 2).mean() for q in (q1, q2))
        oq.zero_grad()
        lq.backward()
        oq.step()
        for p in itertools.chain(q1.parameters(), q2.parameters()):
            p.requires_grad = False
        pi, lp = a(o, data(6, 2, seed=10 + k))
        la = (log_alpha.exp().detach() * lp - torch.min(*[q(torch.cat([o, pi], -1)).squeeze(-1) for q in (q1, q2)])).mean()
        oa.zero_grad()
        la.backward()
        oa.step()
        for p in itertools.chain(q1.parameters(), q2.parameters()):
            p.requires_grad = True
        ll = -(log_alpha * (lp + 2.0).detach()).mean()
        ol.zero_grad()
        ll.backward()
        ol.step()
        with torch.no_grad():
            for s, t in zip(q1.parameters(), t1.parameters()):
                t.data.mul_(0.995)
                t.data.add_(0.005 * s.data)
        out += [lq.item(), la.item(), ll.item()]
    return out, log_alpha, [p for p in t1.parameters()]


def ppo_gae():
    net = fill(nn.Sequential(nn.Linear(4, 16), nn.Tanh()))
    pi, v = fill(nn.Linear(16, 3), 1), fill(nn.Linear(16, 1), 2)
    obs = data(8, 4)
    rew = data(8, seed=5)
    done = torch.zeros(8)
    done[4] = 1
    with torch.no_grad():
        h = net(obs)
        dist = Categorical(logits=pi(h))
        act = dist.probs.argmax(-1)
        old = dist.log_prob(act)
        val = v(h).squeeze(-1)
        adv = torch.zeros_like(rew)
        last = 0
        for t in reversed(range(8)):
            nxt = val[t + 1] if t < 7 else torch.tensor(0.0)
            nonterm = 1.0 - done[t]
            delta = rew[t] + 0.99 * nxt * nonterm - val[t]
            adv[t] = last = delta + 0.99 * 0.95 * nonterm * last
        ret = adv + val
    opt = optim.Adam([*net.parameters(), *pi.parameters(), *v.parameters()], lr=3e-3, eps=1e-5)
    out = []
    for ep in range(3):
        for idx in torch.arange(8).view(2, 4):
            h = net(obs[idx])
            d = Categorical(logits=pi(h))
            ratio = (d.log_prob(act[idx]) - old[idx]).exp()
            A = (adv[idx] - adv[idx].mean()) / (adv[idx].std() + 1e-8)
            pg = torch.max(-A * ratio, -A * torch.clamp(ratio, 0.8, 1.2)).mean()
            vv = v(h).view(-1)
            vc = val[idx] + torch.clamp(vv - val[idx], -0.2, 0.2)
            vl = 0.5 * torch.max((vv - ret[idx]) ** 2, (vc - ret[idx]) ** 2).mean()
            loss = pg - 0.01 * d.entropy().mean() + vl * 0.5
            opt.zero_grad()
            loss.backward()
            gn = nn.utils.clip_grad_norm_([*net.parameters(), *pi.parameters()], 0.5)
            opt.step()
            out += [loss.item(), gn.item(), ((ratio - 1) - ratio.log()).mean().item()]
    return out, adv, pi.weight


def bert_mlm_and_sampling():
    torch.manual_seed(7)
    ids = torch.randint(5, 30, (4, 10))
    special = ids % 11 == 0
    labels = ids.clone()
    prob = torch.full(labels.shape, 0.15)
    prob.masked_fill_(special, value=0.0)
    m = torch.bernoulli(prob).bool()
    labels[~m] = -100
    rep = torch.bernoulli(torch.full(labels.shape, 0.8)).bool() & m
    ids[rep] = 4
    rnd = torch.bernoulli(torch.full(labels.shape, 0.5)).bool() & m & ~rep
    words = torch.randint(30, labels.shape, dtype=torch.long)
    ids[rnd] = words[rnd]
    lg = data(4, 10, 30).requires_grad_()
    loss = F.cross_entropy(lg.view(-1, 30), labels.view(-1))
    loss.backward()
    acc = (lg.argmax(-1)[labels != -100] == labels[labels != -100]).float().mean() if (labels != -100).any() else 0
    l = data(3, 12, seed=3) * 3
    v, _ = torch.topk(l, 4)
    tk = l.clone()
    tk[tk < v[:, [-1]]] = -float("Inf")
    sl, si = torch.sort(l, descending=True)
    cp = torch.cumsum(F.softmax(sl, dim=-1), dim=-1)
    rm = cp > 0.8
    rm[..., 1:] = rm[..., :-1].clone()
    rm[..., 0] = 0
    tp = l.masked_fill(rm.scatter(1, si, rm), float("-inf"))
    mp = l.masked_fill(l.softmax(-1) < 0.1 * l.softmax(-1).amax(-1, keepdim=True), -1e9)
    seen = torch.tensor([[1, 2], [3, 3], [0, 1]])
    sc = torch.gather(l, 1, seen)
    rp = l.clone().scatter_(1, seen, torch.where(sc < 0, sc * 1.3, sc / 1.3))
    pick = torch.multinomial(F.softmax(tk, dim=-1), num_samples=1)
    g = torch.argmax(l - torch.log(-torch.log(torch.rand(3, 12))), -1)
    return (
        ids,
        labels,
        loss,
        acc,
        tk.softmax(-1),
        tp.softmax(-1),
        mp.softmax(-1),
        rp,
        pick,
        g,
        torch.distributions.Categorical(logits=tp).entropy(),
    )


def dpo_and_grpo():
    pol, ref = data(4, 6, 9).requires_grad_(), data(4, 6, 9, seed=1)
    lab = torch.from_numpy(np.random.RandomState(2).randint(0, 9, (4, 6)))
    lab[0, :2] = lab[2, :3] = -100

    def lps(l, y):
        y = y[:, 1:].clone()
        l = l[:, :-1]
        m = y != -100
        y[y == -100] = 0
        return (torch.gather(l.log_softmax(-1), 2, y.unsqueeze(2)).squeeze(2) * m).sum(-1)

    pc, pr = lps(pol, lab).chunk(2)
    rc, rr = lps(ref, lab).tensor_split(2)
    h = (pc - pr) - (rc - rr)
    dpo = -F.logsigmoid(0.1 * h) * 0.9 - F.logsigmoid(-0.1 * h) * 0.1
    dpo.mean().backward()
    g1 = pol.grad.clone()
    pol.grad = None
    rew = torch.tensor([1.0, 0.0, 0.5, 0.2])
    adv = (rew - rew.view(2, 2).mean(1).repeat_interleave(2)) / (rew.view(2, 2).std(1).repeat_interleave(2) + 1e-4)
    lp = torch.gather(pol[:, :-1].log_softmax(-1), 2, lab[:, 1:].clamp(min=0)[..., None]).squeeze(-1)
    old = lp.detach() + 0.05
    rp = torch.gather(ref[:, :-1].log_softmax(-1), 2, lab[:, 1:].clamp_min(0)[..., None]).squeeze(-1)
    kl = (rp - lp).exp() - (rp - lp) - 1
    ratio = torch.exp(lp - old)
    l = -(torch.min(ratio * adv[:, None], ratio.clamp(0.8, 1.2) * adv[:, None]) - 0.04 * kl)
    mask = lab[:, 1:].ne(-100)
    loss = ((l * mask).sum(1) / mask.sum(1)).mean()
    loss.backward()
    return dpo, g1, loss, pol.grad, (1.0 * (h > 0)).mean()


def quantisation():
    class FakeQuant(Function):
        @staticmethod
        def forward(ctx, x, s, lo, hi):
            ctx.save_for_backward(x / s)
            ctx.b = lo, hi
            return torch.clamp(torch.round(x / s), lo, hi) * s

        @staticmethod
        def backward(ctx, g):
            (q,), (lo, hi) = ctx.saved_tensors, ctx.b
            inside = (q >= lo) & (q <= hi)
            return g * inside, (g * torch.where(inside, q.round() - q, q.clamp(lo, hi).round())).sum().view(1), None, None

    x = data(4, 5).requires_grad_()
    s = torch.tensor([0.2], requires_grad=True)
    y = FakeQuant.apply(x, s, -8, 7)
    (y * data(4, 5, seed=1)).sum().backward()
    w = data(3, 8)
    sc = w.abs().amax(1, keepdim=True) / 127
    q = torch.clamp((w / sc).round(), -128, 127).to(torch.int8)
    deq = q.float() * sc
    xi = (data(2, 8, seed=3) / 0.05).round().clamp(-128, 127).to(torch.int8)
    acc = xi.to(torch.int32) @ q.to(torch.int32).T
    packed = ((q[:, ::2] & 0xF) | ((q[:, 1::2] & 0xF) << 4)).to(torch.uint8)
    lo = (packed & 15).to(torch.int8)
    hi = (packed >> 4).to(torch.int8)
    lo = torch.where(lo > 7, lo - 16, lo)
    ste = (x.detach() > 0).double() + x - x.detach()
    tern = torch.sign(w) * (w.abs() > 0.7 * w.abs().mean())
    zp = (-w.min() / ((w.max() - w.min()) / 255)).round().int()
    return (
        y,
        x.grad,
        s.grad,
        q,
        deq,
        acc,
        packed,
        lo,
        hi,
        ste,
        tern,
        zp,
        torch.fake_quantize_per_tensor_affine(w, 0.1, 0, -128, 127) if hasattr(torch, "fake_quantize_per_tensor_affine") and False else 0,
    )
