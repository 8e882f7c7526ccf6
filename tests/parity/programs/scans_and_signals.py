"""Layers along a sequence: WaveNet, state spaces with complex numbers, selective scans, RWKV, mixers, spikes, windows, linear attention."""

import math

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.autograd import Function


def data(n, *more, seed=0):
    return torch.from_numpy(np.random.RandomState(seed).randn(n, *more))


def fill(m, seed=0):
    r = np.random.RandomState(seed)
    with torch.no_grad():
        for p in m.parameters():
            p.copy_(torch.from_numpy(r.randn(*p.shape)) * 0.3)
    return m


class CausalConv1d(nn.Conv1d):
    def __init__(self, i, o, k, dilation=1):
        super().__init__(i, o, k, dilation=dilation, padding=(k - 1) * dilation)

    def forward(self, x):
        return super().forward(x)[..., : -self.padding[0]]


class WaveBlock(nn.Module):
    def __init__(self, c, d):
        super().__init__()
        self.f, self.g, self.skip, self.res = CausalConv1d(c, c, 2, d), CausalConv1d(c, c, 2, d), nn.Conv1d(c, c, 1), nn.Conv1d(c, c, 1)

    def forward(self, x):
        h = torch.tanh(self.f(x)) * torch.sigmoid(self.g(x))
        return x + self.res(h), self.skip(h)


def wavenet():
    blocks = fill(nn.ModuleList(WaveBlock(3, 2**i) for i in range(3)))
    x = data(2, 3, 16).requires_grad_()
    h, skips = x, 0
    for b in blocks:
        h, s = b(h)
        skips = skips + s
    y = F.relu(skips)
    (g,) = torch.autograd.grad(y[..., 5].sum(), x)
    return y, g, (g[..., 6:] == 0).all()


def mu_law():
    x = torch.linspace(-1, 1, 9)
    mu = 255
    e = torch.sign(x) * torch.log1p(mu * x.abs()) / math.log1p(mu)
    q = ((e + 1) / 2 * mu + 0.5).long()
    d = (q.to(x) / mu) * 2 - 1
    return q, torch.sign(d) * (torch.exp(d.abs() * np.log1p(mu)) - 1) / mu


class S4D(nn.Module):
    def __init__(self, h, n=4):
        super().__init__()
        self.log_dt = nn.Parameter(torch.linspace(-3, -1, h))
        self.log_A_real = nn.Parameter(torch.log(0.5 * torch.ones(h, n)))
        self.A_imag = nn.Parameter(math.pi * torch.arange(n).expand(h, n).clone().double())
        self.C_re = nn.Parameter(data(h, n, seed=1))
        self.C_im = nn.Parameter(data(h, n, seed=2))
        self.D = nn.Parameter(torch.ones(h))

    def kernel(self, L):
        dt = torch.exp(self.log_dt)
        C = torch.complex(self.C_re, self.C_im)
        A = torch.complex(-torch.exp(self.log_A_real), self.A_imag)
        dtA = A * dt.unsqueeze(-1)
        K = dtA.unsqueeze(-1) * torch.arange(L).double()
        C = C * (torch.exp(dtA) - 1.0) / A
        return 2 * torch.einsum("hn,hnl->hl", C, torch.exp(K)).real

    def forward(self, u):
        L = u.size(-1)
        k_f = torch.fft.rfft(self.kernel(L), n=2 * L)
        u_f = torch.fft.rfft(u, n=2 * L)
        y = torch.fft.irfft(u_f * k_f, n=2 * L)[..., :L]
        return F.gelu(y + u * self.D.unsqueeze(-1))


def s4_diagonal():
    m = S4D(3)
    u = data(2, 3, 10)
    y = m(u)
    y.square().mean().backward()
    return y, [p.grad for p in m.parameters()]


def selective_scan():
    b, l, d, n = 2, 6, 3, 4
    u, delta, B, C = data(b, l, d), F.softplus(data(b, l, d, seed=1)), data(b, l, n, seed=2), data(b, l, n, seed=3)
    A = (-torch.exp(data(d, n, seed=4))).requires_grad_()
    dA = torch.exp(torch.einsum("bld,dn->bldn", delta, A))
    dBu = torch.einsum("bld,bln,bld->bldn", delta, B, u)
    x = torch.zeros(b, d, n)
    ys = []
    for i in range(l):
        x = dA[:, i] * x + dBu[:, i]
        ys.append(torch.einsum("bdn,bn->bd", x, C[:, i]))
    y = torch.stack(ys, dim=1)
    P = torch.cumsum(torch.log(dA), 1)
    par = torch.exp(P) * torch.cumsum(dBu / torch.exp(P), 1)
    z = torch.einsum("bldn,bln->bld", par, C)
    (y * data(b, l, d, seed=5)).sum().backward()
    return y, torch.allclose(y, z), A.grad


class RWKVTime(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.time_decay = nn.Parameter(torch.linspace(-5, 3, d))
        self.time_first = nn.Parameter(torch.ones(d) * math.log(0.3))
        self.mix = nn.Parameter(torch.linspace(0, 1, d)[None, None])
        self.time_shift = nn.ZeroPad2d((0, 0, 1, -1))
        self.k, self.v, self.r = (nn.Linear(d, d, bias=False) for _ in range(3))

    def forward(self, x):
        xx = self.time_shift(x)
        xk = x * self.mix + xx * (1 - self.mix)
        k, v, r = self.k(xk), self.v(xk), torch.sigmoid(self.r(x))
        w = -torch.exp(self.time_decay)
        aa = bb = torch.zeros_like(k[:, 0])
        pp = torch.full_like(aa, -1e38)
        outs = []
        for t in range(x.shape[1]):
            kk, vv = k[:, t], v[:, t]
            ww = self.time_first + kk
            p = torch.maximum(pp, ww)
            e1, e2 = torch.exp(pp - p), torch.exp(ww - p)
            outs.append((e1 * aa + e2 * vv) / (e1 * bb + e2))
            ww = pp + w
            p = torch.maximum(ww, kk)
            e1, e2 = torch.exp(ww - p), torch.exp(kk - p)
            aa, bb, pp = e1 * aa + e2 * vv, e1 * bb + e2, p
        return r * torch.stack(outs, 1)


def rwkv():
    m = fill(RWKVTime(4))
    x = data(2, 5, 4).requires_grad_()
    y = m(x)
    y.sum().backward()
    return y, x.grad, [p.grad for p in m.parameters()]


def mixer_and_convnext():
    class Mixer(nn.Module):
        def __init__(s, n, d):
            super().__init__()
            s.n1, s.n2 = nn.LayerNorm(d), nn.LayerNorm(d)
            s.tok = nn.Sequential(nn.Linear(n, 2 * n), nn.GELU(), nn.Linear(2 * n, n))
            s.ch = nn.Sequential(nn.Linear(d, d), nn.GELU(), nn.Linear(d, d))

        def forward(s, x):
            x = x + s.tok(s.n1(x).transpose(1, 2)).mT
            return x + s.ch(s.n2(x))

    class LayerNorm2d(nn.LayerNorm):
        def forward(self, x):
            return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)

    class Block(nn.Module):
        def __init__(s, d):
            super().__init__()
            s.dw = nn.Conv2d(d, d, 7, padding=3, groups=d)
            s.norm = LayerNorm2d(d, eps=1e-6)
            s.p1 = nn.Linear(d, 4 * d)
            s.p2 = nn.Linear(4 * d, d)
            s.gamma = nn.Parameter(1e-1 * torch.ones(d))

        def forward(s, x):
            h = s.norm(s.dw(x)).permute(0, 2, 3, 1)
            return x + (s.gamma * s.p2(F.gelu(s.p1(h)))).permute(0, 3, 1, 2)

    m, c = fill(Mixer(6, 4)), fill(Block(3))
    a, b = m(data(2, 6, 4)), c(data(2, 3, 8, 8))
    (a.sum() + b.std()).backward()
    return a, b, m.tok[0].weight.grad, c.dw.weight.grad, c.gamma.grad


class Spike(torch.autograd.Function):
    scale = 10.0

    @staticmethod
    def forward(ctx, i):
        ctx.save_for_backward(i)
        out = torch.zeros_like(i)
        out[i > 0] = 1.0
        return out

    @staticmethod
    def backward(ctx, g):
        (i,) = ctx.saved_tensors
        return g.clone() / (Spike.scale * torch.abs(i) + 1.0) ** 2


def spiking():
    w1, w2 = (data(6, 8) * 0.6).requires_grad_(), (data(8, 2, seed=1) * 0.6).requires_grad_()
    x = (data(3, 20, 6, seed=2) > 0.8).double()
    h1 = torch.einsum("abc,cd->abd", (x, w1))
    syn = mem = torch.zeros(3, 8)
    spk, mems = [], []
    for t in range(20):
        s = Spike.apply(mem - 1.0)
        syn, mem = 0.8 * syn + h1[:, t], (0.9 * mem + syn) * (1.0 - s.detach())
        spk.append(s)
        mems.append(mem)
    spk = torch.stack(spk, 1)
    o = torch.einsum("abc,cd->abd", (spk, w2))
    flt = torch.zeros(3, 2)
    rec = []
    for t in range(20):
        flt = 0.8 * flt + o[:, t]
        rec.append(flt)
    m, _ = torch.max(torch.stack(rec, 1), 1)
    loss = nn.NLLLoss()(nn.LogSoftmax(dim=1)(m), torch.tensor([0, 1, 1])) + 1e-3 * spk.sum()
    loss.backward()
    return loss, w1.grad, w2.grad, spk.sum()


class ConvLSTMCell(nn.Module):
    def __init__(self, i, h, k):
        super().__init__()
        self.h = h
        self.conv = nn.Conv2d(i + h, 4 * h, k, padding=k // 2)

    def forward(self, x, state):
        h, c = state
        i, f, o, g = torch.split(self.conv(torch.cat([x, h], dim=1)), self.h, dim=1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        return torch.sigmoid(o) * torch.tanh(c), c


def conv_lstm():
    cell = fill(ConvLSTMCell(1, 3, 3))
    x = data(2, 4, 1, 5, 5).requires_grad_()
    s = tuple(x.new_zeros(2, 3, 5, 5) for _ in range(2))
    for t in range(x.size(1)):
        s = cell(x[:, t], s)
    s[0].mean().backward()
    return s, x.grad, cell.conv.bias.grad


def longformer_and_linear_attention():
    q, k, v = (data(1, 2, 8, 4, seed=i) for i in range(3))
    w = 2
    kp = F.pad(k, (0, 0, w, w))
    kw = kp.unfold(2, 2 * w + 1, 1)
    s = torch.einsum("bhld,bhldw->bhlw", q, kw) / 2.0
    idx = torch.arange(8)[:, None] + torch.arange(-w, w + 1)[None]
    s = s.masked_fill(((idx < 0) | (idx >= 8))[None, None], float("-inf"))
    p = s.softmax(-1)
    vw = F.pad(v, (0, 0, w, w)).as_strided((1, 2, 8, 5, 4), (2 * 12 * 4, 12 * 4, 4, 4, 1))
    o = torch.einsum("bhlw,bhlwd->bhld", p, vw)
    full = q @ k.transpose(-2, -1) / 2.0
    band = torch.ones(8, 8).tril(w).triu(-w).bool()
    ref = full.masked_fill(~band, -torch.inf).softmax(-1) @ v
    Q, K = F.elu(q) + 1, F.elu(k) + 1
    KV = torch.einsum("bhnd,bhnm->bhnmd", K, v).cumsum(dim=2)
    Z = 1 / torch.einsum("bhnd,bhnd->bhn", Q, K.cumsum(2))
    lin = torch.einsum("bhnd,bhnmd,bhn->bhnm", Q, KV, Z)
    proj = torch.linalg.qr(data(4, 4, seed=7))[0]
    phi = lambda t: torch.exp(t @ proj - (t**2).sum(-1, keepdim=True) / 2 - (t @ proj).amax((-1, -2), keepdim=True))
    perf = phi(q / 2**0.5) @ (phi(k / 2**0.5).mT @ v)
    rel = torch.arange(8)[None, :] - torch.arange(8)[:, None]
    n = -rel
    ret = (n < 0).to(torch.long) * 4
    n = n.abs()
    small = n < 2
    large = 2 + (torch.log(n.float() / 2) / math.log(8 / 2) * 2).to(torch.long)
    large = torch.min(large, torch.full_like(large, 3))
    bucket = ret + torch.where(small, n, large)
    return o, torch.allclose(o, ref), lin, perf.abs(), bucket
