"""torch.func, contrastive, generative and attention models as their papers' code has them."""

import copy
import math
import itertools
from functools import partial
from typing import Optional, List, Tuple, Dict, Any, Callable

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import nn, optim, Tensor
from torch.func import functional_call, grad, hessian, jacfwd, jacrev, jvp, stack_module_state, vjp, vmap


def per_sample_gradients():
    class SimpleCNN(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv1 = nn.Conv2d(1, 4, 3, 1)
            self.conv2 = nn.Conv2d(4, 6, 3, 1)
            self.fc1 = nn.Linear(96, 10)

        def forward(self, x):
            x = F.relu(self.conv1(x))
            x = F.relu(self.conv2(x))
            x = F.max_pool2d(x, 2)
            x = torch.flatten(x, 1)
            return F.log_softmax(self.fc1(x), dim=1)

    model = SimpleCNN()
    data = torch.randn(5, 1, 12, 12)
    targets = torch.randint(0, 10, (5,))
    params = {k: v.detach() for k, v in model.named_parameters()}
    buffers = {k: v.detach() for k, v in model.named_buffers()}

    def compute_loss(params, buffers, sample, target):
        batch = sample.unsqueeze(0)
        targets = target.unsqueeze(0)
        predictions = functional_call(model, (params, buffers), (batch,))
        return F.nll_loss(predictions, targets)

    ft = vmap(grad(compute_loss), in_dims=(None, None, 0, 0))
    g = ft(params, buffers, data, targets)
    gs, ls = vmap(torch.func.grad_and_value(compute_loss), in_dims=(None, None, 0, 0))(params, buffers, data, targets)
    return (
        g,
        ls,
        gs["conv1.weight"],
        vmap(grad(compute_loss), in_dims=(None, None, 0, 0), chunk_size=2)(params, buffers, data, targets)["fc1.bias"],
    )


def ensembling():
    class MLP(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc1 = nn.Linear(12, 8)
            self.fc2 = nn.Linear(8, 3)
            self.register_buffer("scale", torch.ones(1))

        def forward(self, x):
            return self.fc2(F.relu(self.fc1(x.flatten(1)))) * self.scale

    models = [MLP() for _ in range(4)]
    mb = torch.randn(4, 6, 3, 4)
    params, buffers = stack_module_state(models)
    base = copy.deepcopy(models[0])
    base = base.to("meta") if False else base

    def fmodel(params, buffers, x):
        return functional_call(base, (params, buffers), (x,))

    p1 = vmap(fmodel)(params, buffers, mb)
    p2 = vmap(fmodel, in_dims=(0, 0, None))(params, buffers, mb[0])
    p1.sum().backward()
    return (
        p1,
        p2,
        [m(x) for m, x in zip(models, mb)],
        params["fc1.weight"].grad.sum((1, 2)),
        {k: v.shape for k, v in params.items()},
    )


def jacobians():
    D = 5
    w, b, x = torch.randn(D, D), torch.randn(D), torch.randn(D)

    def predict(weight, bias, x):
        return F.linear(x, weight, bias).tanh()

    out = [
        jacrev(predict, argnums=2)(w, b, x),
        jacfwd(predict, argnums=2)(w, b, x),
        jacrev(predict, argnums=(0, 1))(w, b, x),
        hessian(lambda *a: predict(*a).sum(), argnums=2)(w, b, x),
    ]
    unit = torch.eye(D)
    _, vf = vjp(partial(predict, w, b), x)
    (f,) = vmap(vf)(unit)
    out.append(f)
    batch = torch.randn(7, D)
    out.append(vmap(jacrev(predict, argnums=2), in_dims=(None, None, 0))(w, b, batch)[0])
    hv = lambda f, xs, ts: jvp(grad(f), xs, ts)[1]
    f = lambda x: x.sin().sum()
    out.append(hv(f, (x,), (torch.ones(D),)))
    xr = x.clone().requires_grad_()
    J = torch.stack([torch.autograd.grad(predict(w, b, xr)[i], xr, retain_graph=True)[0] for i in range(D)])
    out.append(J)
    y = predict(w, b, xr)
    out.append(torch.autograd.grad(y, xr, torch.eye(D), is_grads_batched=True, retain_graph=True)[0])
    out.append(vmap(lambda v: torch.autograd.grad(y, xr, v, retain_graph=True)[0])(torch.eye(D)))
    out.append(torch.autograd.functional.jacobian(lambda a, b: (a @ b, a * 2), (w, b)))
    out.append(torch.autograd.functional.jvp(lambda t: t.exp(), x, torch.ones(D)))
    out.append(torch.autograd.functional.vhp(lambda t: t.exp().sum(), x, torch.ones(D)))
    out.append(jacrev(lambda d: {"a": d["x"] ** 2, "b": d["y"].sum()})({"x": x, "y": b}))
    out.append(vmap(torch.dot)(batch, batch))
    out.append(vmap(vmap(lambda a, b: a * b, in_dims=(None, 0)), in_dims=(0, None))(x, b))
    out.append(
        vmap(lambda a, k: a + k["z"], in_dims=(0, {"z": 1}), out_dims=1)(
            batch, {"z": torch.randn(3, 7, D).transpose(0, 1).reshape(7 * 3, D)[:7].T.reshape(D, 7)}
        )
    )
    out.append(jacfwd(jacrev(lambda x: (x**3).sum()))(x))
    out.append(torch.func.linearize(lambda t: t.sin(), x)[1](torch.ones(D)))
    return out


def maml_func():
    model = nn.Sequential(nn.Linear(1, 8), nn.ReLU(), nn.Linear(8, 1))
    params = dict(model.named_parameters())
    opt = torch.optim.Adam(params.values(), 1e-2)
    out = []

    def mse(p, x, y):
        return F.mse_loss(functional_call(model, p, x), y)

    def inner(p, x1, y1, x2, y2, alpha=0.1):
        g = grad(mse)(p, x1, y1)
        new = {k: p[k] - alpha * g[k] for k in p}
        return mse(new, x2, y2)

    for it in range(3):
        A = torch.rand(3, 1, 1) * 4 + 1
        x1 = torch.rand(3, 6, 1) * 10 - 5
        x2 = torch.rand(3, 6, 1) * 10 - 5
        losses = vmap(partial(inner, params))(x1, A * x1.sin(), x2, A * x2.sin())
        l = losses.mean()
        opt.zero_grad()
        l.backward()
        opt.step()
        out += [l.item(), losses]
    return out


def ntk():
    net = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 2))
    params = {k: v.detach() for k, v in net.named_parameters()}

    def fn(p, x):
        return functional_call(net, p, (x.unsqueeze(0),)).squeeze(0)

    x1, x2 = torch.randn(3, 4), torch.randn(2, 4)
    j1 = vmap(jacrev(fn), (None, 0))(params, x1).values()
    j2 = vmap(jacrev(fn), (None, 0))(params, x2).values()
    r = sum(torch.einsum("Naf,Mbf->NMab", a.flatten(2), b.flatten(2)) for a, b in zip(j1, j2))
    return r


def wgan_gp():
    G = nn.Sequential(nn.Linear(4, 8), nn.LeakyReLU(0.2, inplace=True), nn.Linear(8, 2))
    D = nn.Sequential(nn.Linear(2, 8), nn.LeakyReLU(0.2, inplace=True), nn.Linear(8, 1))
    og, od = optim.Adam(G.parameters(), 1e-3, betas=(0.5, 0.9)), optim.RMSprop(D.parameters(), 5e-4)
    out = []

    def gp(D, real, fake):
        alpha = torch.Tensor(np.random.random((real.size(0), 1))).to(real.dtype)
        inter = (alpha * real + (1 - alpha) * fake).requires_grad_(True)
        d = D(inter)
        f = torch.Tensor(real.shape[0], 1).fill_(1.0).requires_grad_(False)
        g = torch.autograd.grad(outputs=d, inputs=inter, grad_outputs=f, create_graph=True, retain_graph=True, only_inputs=True)[
            0
        ]
        g = g.view(g.size(0), -1)
        return ((g.norm(2, dim=1) - 1) ** 2).mean()

    for i in range(4):
        real = torch.randn(6, 2)
        z = torch.randn(6, 4)
        od.zero_grad()
        fake = G(z)
        dl = -torch.mean(D(real)) + torch.mean(D(fake.detach())) + 10 * gp(D, real.data, fake.data)
        dl.backward()
        od.step()
        og.zero_grad()
        gl = -torch.mean(D(G(z)))
        gl.backward()
        og.step()
        out += [dl.item(), gl.item()]
    for p in D.parameters():
        p.data.clamp_(-0.01, 0.01)
    return out, list(D.parameters())


def distill():
    T, al = 4.0, 0.7
    teacher = nn.Linear(5, 3)
    student = nn.Sequential(nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 3))
    opt = optim.Adam(student.parameters(), 1e-2)
    out = []
    teacher.eval()
    for _ in range(3):
        x, y = torch.randn(8, 5), torch.randint(0, 3, (8,))
        opt.zero_grad()
        with torch.no_grad():
            tl = teacher(x)
        sl = student(x)
        soft_t = F.softmax(tl / T, dim=-1)
        soft_p = F.log_softmax(sl / T, dim=-1)
        l1 = torch.sum(soft_t * (soft_t.log() - soft_p)) / soft_p.size()[0] * T**2
        l2 = nn.KLDivLoss(reduction="batchmean")(soft_p, soft_t) * al * T * T + F.cross_entropy(sl, y) * (1 - al)
        l3 = F.kl_div(soft_p, soft_t.log(), log_target=True, reduction="sum")
        c = nn.CosineEmbeddingLoss()(sl, tl, target=torch.ones(x.size(0)))
        (l1 + l2 + c).backward()
        opt.step()
        out += [l1, l2, l3, c]
    return out


def gpt_sampling():
    logits = torch.randn(2, 12)
    out = []

    def top_k_top_p(logits, top_k=0, top_p=0.0, filter_value=-float("Inf")):
        logits = logits.clone()
        if top_k > 0:
            idx = logits < torch.topk(logits, top_k)[0][..., -1, None]
            logits[idx] = filter_value
        if top_p > 0:
            s, si = torch.sort(logits, descending=True)
            cp = torch.cumsum(F.softmax(s, dim=-1), dim=-1)
            rm = cp > top_p
            rm[..., 1:] = rm[..., :-1].clone()
            rm[..., 0] = 0
            logits[rm.scatter(1, si, rm)] = filter_value
        return logits

    a = top_k_top_p(logits, 5)
    b = top_k_top_p(logits, 0, 0.8)
    out += [a, b, torch.multinomial(F.softmax(a, -1), 1), torch.multinomial(F.softmax(b, -1), 3, replacement=True)]
    g = -torch.empty_like(logits).exponential_().log()
    out.append((logits + g).argmax(-1))
    out.append(F.gumbel_softmax(logits, tau=0.5, hard=True))
    out.append(F.gumbel_softmax(logits, tau=1.0, hard=False, dim=0))
    beams = [(torch.tensor([0]), 0.0)]
    trans = F.log_softmax(torch.randn(12, 12), -1)
    for _ in range(3):
        cand = []
        for seq, sc in beams:
            v, i = trans[seq[-1]].topk(3)
            for vv, ii in zip(v, i):
                cand.append((torch.cat([seq, ii.view(1)]), sc + vv.item()))
        beams = sorted(cand, key=lambda t: -t[1])[:3]
    out.append(beams)
    rep = logits.clone()
    prev = torch.tensor([[1, 2], [3, 3]])
    s = rep.gather(1, prev)
    s = torch.where(s < 0, s * 1.2, s / 1.2)
    rep.scatter_(1, prev, s)
    out.append(rep)
    return out


def llama_blocks():
    class RMSNorm(nn.Module):
        def __init__(self, dim, eps=1e-6):
            super().__init__()
            self.eps = eps
            self.weight = nn.Parameter(torch.ones(dim))

        def _norm(self, x):
            return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.eps)

        def forward(self, x):
            return self._norm(x.float()).type_as(x) * self.weight

    def rotate_half(x):
        x1, x2 = x.chunk(2, dim=-1)
        return torch.cat((-x2, x1), dim=-1)

    def rope(q, k, base=10000.0):
        T, D = q.shape[-2:]
        inv = 1.0 / (base ** (torch.arange(0, D, 2).float() / D))
        t = torch.arange(T, dtype=inv.dtype)
        fr = torch.outer(t, inv)
        emb = torch.cat((fr, fr), dim=-1)
        cos, sin = emb.cos()[None, None], emb.sin()[None, None]
        return (q * cos) + (rotate_half(q) * sin), (k * cos) + (rotate_half(k) * sin)

    class Attn(nn.Module):
        def __init__(self, d, h, kv):
            super().__init__()
            self.h, self.kv, self.hd = h, kv, d // h
            self.q, self.k, self.v, self.o = (
                nn.Linear(d, d, bias=False),
                nn.Linear(d, kv * self.hd, bias=False),
                nn.Linear(d, kv * self.hd, bias=False),
                nn.Linear(d, d, bias=False),
            )

        def forward(self, x, cache=None):
            B, T, _ = x.shape
            q = self.q(x).view(B, T, self.h, self.hd).transpose(1, 2)
            k = self.k(x).view(B, T, self.kv, self.hd).transpose(1, 2)
            v = self.v(x).view(B, T, self.kv, self.hd).transpose(1, 2)
            q, k = rope(q, k)
            k = torch.repeat_interleave(k, self.h // self.kv, dim=1)
            v = v[:, :, None].expand(B, self.kv, self.h // self.kv, T, self.hd).reshape(B, self.h, T, self.hd)
            return self.o(F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).contiguous().view(B, T, -1))

    class FF(nn.Module):
        def __init__(self, d, m=4):
            super().__init__()
            hid = m * ((int(2 * 4 * d / 3) + m - 1) // m)
            self.w1, self.w2, self.w3 = (nn.Linear(*s, bias=False) for s in ((d, hid), (hid, d), (d, hid)))

        def forward(self, x):
            return self.w2(F.silu(self.w1(x)) * self.w3(x))

    class Block(nn.Module):
        def __init__(self, d, h, kv):
            super().__init__()
            self.a, self.f, self.n1, self.n2 = Attn(d, h, kv), FF(d), RMSNorm(d), RMSNorm(d)

        def forward(self, x):
            x = x + self.a(self.n1(x))
            return x + self.f(self.n2(x))

    m = nn.Sequential(nn.Embedding(10, 16), Block(16, 4, 2), Block(16, 4, 1), RMSNorm(16), nn.Linear(16, 10, bias=False))
    m[4].weight = m[0].weight
    decay = [p for p in m.parameters() if p.dim() >= 2]
    nod = [p for p in m.parameters() if p.dim() < 2]
    opt = torch.optim.AdamW(
        [{"params": decay, "weight_decay": 0.1}, {"params": nod, "weight_decay": 0.0}], lr=1e-2, betas=(0.9, 0.95), fused=False
    )
    out = []
    for it in range(3):
        ix = torch.randint(10, (2, 7))
        logits = m(ix[:, :-1])
        loss = F.cross_entropy(logits.view(-1, logits.size(-1)), ix[:, 1:].reshape(-1), ignore_index=-1)
        opt.zero_grad(set_to_none=True)
        loss.backward()
        out.append(torch.nn.utils.clip_grad_norm_(m.parameters(), 1.0))
        opt.step()
        out.append(loss.item())
    return out


def alibi_masks():
    n, T = 4, 5
    out = []
    slopes = torch.tensor([2 ** (-8 * (i + 1) / n) for i in range(n)])
    pos = torch.arange(T)[None, :] - torch.arange(T)[:, None]
    al = slopes[:, None, None] * pos[None]
    mask = torch.triu(torch.full((T, T), float("-inf")), diagonal=1)
    q, k, v = (torch.randn(2, n, T, 3, requires_grad=True) for _ in range(3))
    y = F.scaled_dot_product_attention(q, k, v, attn_mask=al + mask)
    y.pow(2).sum().backward()
    out += [y, q.grad, k.grad]
    kp = torch.tensor([[False] * 5, [False] * 3 + [True] * 2])
    mha = nn.MultiheadAttention(8, 2, batch_first=True, dropout=0.0)
    x = torch.randn(2, 5, 8)
    o, w = mha(x, x, x, key_padding_mask=kp, attn_mask=nn.Transformer.generate_square_subsequent_mask(T), is_causal=False)
    out += [o, w]
    o, w = mha(x, x, x, need_weights=False)
    out += [o, w]
    o, w = mha(x, x, x, average_attn_weights=False)
    out.append(w)
    tr = nn.Transformer(8, 2, 1, 1, 16, 0.0, batch_first=True)
    out.append(tr(x, x[:, :3], tgt_mask=tr.generate_square_subsequent_mask(3), src_key_padding_mask=kp))
    dec = nn.TransformerDecoder(
        nn.TransformerDecoderLayer(8, 2, 16, 0.0, "gelu", norm_first=True, batch_first=True), 2, norm=nn.LayerNorm(8)
    )
    out.append(dec(x[:, :3], x, tgt_is_causal=True, tgt_mask=tr.generate_square_subsequent_mask(3)))
    enc = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, 0.1), 2)
    enc.eval()
    out.append(enc(x.transpose(0, 1), mask=(torch.tril(torch.ones(5, 5)) == 0)))
    print(enc.layers[0])

    def pe(L, d):
        p = torch.zeros(L, d)
        pos = torch.arange(0, L, dtype=torch.float).unsqueeze(1)
        div = torch.exp(torch.arange(0, d, 2).float() * (-math.log(10000.0) / d))
        p[:, 0::2] = torch.sin(pos * div)
        p[:, 1::2] = torch.cos(pos * div)
        return p.unsqueeze(0).transpose(0, 1)

    out.append(pe(6, 8))
    return out


def diffusion():
    T = 10
    beta = torch.linspace(1e-4, 0.02, T)
    alpha = 1.0 - beta
    ac = torch.cumprod(alpha, axis=0)
    acp = F.pad(ac[:-1], (1, 0), value=1.0)
    sra = torch.sqrt(1.0 / alpha)
    pv = beta * (1.0 - acp) / (1.0 - ac)
    out = [ac, pv]

    def extract(a, t, xs):
        b = t.shape[0]
        return a.gather(-1, t).reshape(b, *((1,) * (len(xs) - 1)))

    class SinEmb(nn.Module):
        def __init__(self, d):
            super().__init__()
            self.dim = d

        def forward(self, t):
            h = self.dim // 2
            e = math.log(10000) / (h - 1)
            e = torch.exp(torch.arange(h) * -e)
            e = t[:, None] * e[None, :]
            return torch.cat((e.sin(), e.cos()), dim=-1)

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.te = nn.Sequential(SinEmb(8), nn.Linear(8, 8), nn.GELU())
            self.c1, self.c2 = nn.Conv2d(1, 8, 3, padding=1), nn.Conv2d(8, 1, 3, padding=1)
            self.gn = nn.GroupNorm(4, 8)
            self.down = nn.Conv2d(8, 8, 4, 2, 1)
            self.up = nn.ConvTranspose2d(8, 8, 4, 2, 1)

        def forward(self, x, t):
            h = self.gn(self.c1(x)) + self.te(t)[:, :, None, None]
            h = F.silu(h)
            h = h + self.up(F.silu(self.down(h)))
            return self.c2(h)

    n = Net()
    opt = optim.Adam(n.parameters(), 1e-3)
    for _ in range(3):
        x = torch.rand(4, 1, 8, 8) * 2 - 1
        t = torch.randint(0, T, (4,)).long()
        noise = torch.randn_like(x)
        xn = extract(ac.sqrt(), t, x.shape) * x + extract((1 - ac).sqrt(), t, x.shape) * noise
        l = F.smooth_l1_loss(noise, n(xn, t))
        opt.zero_grad()
        l.backward()
        opt.step()
        out.append(l.item())
    img = torch.randn(2, 1, 8, 8)
    with torch.inference_mode():
        for i in reversed(range(0, T)):
            t = torch.full((2,), i, dtype=torch.long)
            m = extract(sra, t, img.shape) * (
                img - extract(beta, t, img.shape) * n(img, t) / extract((1 - ac).sqrt(), t, img.shape)
            )
            img = m if i == 0 else m + torch.sqrt(extract(pv, t, img.shape)) * torch.randn_like(img)
    return out, img.clamp(-1, 1)


def seq2seq_attention():
    class Enc(nn.Module):
        def __init__(self, i, h, p=0.1):
            super().__init__()
            self.embedding = nn.Embedding(i, h)
            self.gru = nn.GRU(h, h, batch_first=True)
            self.dropout = nn.Dropout(p)

        def forward(self, x):
            return self.gru(self.dropout(self.embedding(x)))

    class Bahdanau(nn.Module):
        def __init__(self, h):
            super().__init__()
            self.Wa, self.Ua, self.Va = nn.Linear(h, h), nn.Linear(h, h), nn.Linear(h, 1)

        def forward(self, q, k):
            s = self.Va(torch.tanh(self.Wa(q) + self.Ua(k)))
            s = s.squeeze(2).unsqueeze(1)
            w = F.softmax(s, dim=-1)
            return torch.bmm(w, k), w

    class Dec(nn.Module):
        def __init__(self, h, o):
            super().__init__()
            self.embedding = nn.Embedding(o, h)
            self.attention = Bahdanau(h)
            self.gru = nn.GRU(2 * h, h, batch_first=True)
            self.out = nn.Linear(h, o)
            self.dropout = nn.Dropout(0.1)

        def forward(self, eo, eh, target=None):
            di = torch.empty(eo.size(0), 1, dtype=torch.long).fill_(0)
            dh = eh
            outs, att = [], []
            for i in range(4):
                e = self.dropout(self.embedding(di))
                c, w = self.attention(dh.permute(1, 0, 2), eo)
                o, dh = self.gru(torch.cat((e, c), dim=2), dh)
                o = self.out(o)
                outs.append(o)
                att.append(w)
                if target is not None:
                    di = target[:, i].unsqueeze(1)
                else:
                    _, topi = o.topk(1)
                    di = topi.squeeze(-1).detach()
            return F.log_softmax(torch.cat(outs, dim=1), dim=-1), dh, torch.cat(att, dim=1)

    e, d = Enc(9, 6), Dec(6, 8)
    oe, od = optim.Adam(e.parameters(), 1e-2), optim.Adam(d.parameters(), 1e-2)
    x, y = torch.randint(0, 9, (3, 5)), torch.randint(0, 8, (3, 4))
    out = []
    for k in range(3):
        oe.zero_grad()
        od.zero_grad()
        eo, eh = e(x)
        o, _, att = d(eo, eh, y if k != 1 else None)
        l = nn.NLLLoss()(o.view(-1, o.size(-1)), y.view(-1))
        l.backward()
        oe.step()
        od.step()
        out += [l.item(), att[0]]
    lens = torch.tensor([2, 5, 3])
    pk = nn.utils.rnn.pack_padded_sequence(torch.randn(3, 5, 6), lens, batch_first=True, enforce_sorted=False)
    r = nn.LSTM(6, 4, 2, batch_first=True, bidirectional=True, dropout=0.0)
    po, (h, c) = r(pk)
    u, l2 = nn.utils.rnn.pad_packed_sequence(po, batch_first=True)
    out += [u, l2, h, c, pk.batch_sizes]
    r.flatten_parameters()
    mask = torch.arange(5)[None, :] < lens[:, None]
    out.append(mask)
    out.append(torch.nn.utils.rnn.pad_sequence([torch.ones(2), torch.ones(4)], padding_value=-1))
    return out


def crf_vectorised():
    B, T, K = 2, 4, 3
    em, tr = torch.randn(B, T, K, requires_grad=True), torch.randn(K, K, requires_grad=True)
    mask = torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0]]).bool()
    tags = torch.randint(0, K, (B, T))
    sc = em[:, 0]
    for t in range(1, T):
        nx = torch.logsumexp(sc.unsqueeze(2) + tr + em[:, t].unsqueeze(1), dim=1)
        sc = torch.where(mask[:, t].unsqueeze(1), nx, sc)
    Z = torch.logsumexp(sc, 1)
    gold = em.gather(2, tags.unsqueeze(2)).squeeze(2)
    gold = (gold * mask).sum(1) + (tr[tags[:, :-1], tags[:, 1:]] * mask[:, 1:]).sum(1)
    nll = (Z - gold).mean()
    nll.backward()
    return nll, em.grad, tr.grad, mask.long().sum(1) - 1


def vq_vae():
    class VQ(nn.Module):
        def __init__(self, n, d, beta):
            super().__init__()
            self.n, self.d, self.beta = n, d, beta
            self.embedding = nn.Embedding(n, d)
            self.embedding.weight.data.uniform_(-1 / n, 1 / n)

        def forward(self, x):
            x = x.permute(0, 2, 3, 1).contiguous()
            sh = x.shape
            f = x.view(-1, self.d)
            dist = (
                torch.sum(f**2, dim=1, keepdim=True)
                + torch.sum(self.embedding.weight**2, dim=1)
                - 2 * torch.matmul(f, self.embedding.weight.t())
            )
            idx = torch.argmin(dist, dim=1).unsqueeze(1)
            enc = torch.zeros(idx.shape[0], self.n, device=x.device)
            enc.scatter_(1, idx, 1)
            q = torch.matmul(enc, self.embedding.weight).view(sh)
            el = F.mse_loss(q.detach(), x)
            ql = F.mse_loss(q, x.detach())
            loss = ql + self.beta * el
            q = x + (q - x).detach()
            ap = torch.mean(enc, dim=0)
            perp = torch.exp(-torch.sum(ap * torch.log(ap + 1e-10)))
            return loss, q.permute(0, 3, 1, 2).contiguous(), perp, enc

    vq = VQ(6, 4, 0.25)
    e, d = nn.Conv2d(1, 4, 4, 2, 1), nn.ConvTranspose2d(4, 1, 4, 2, 1)
    opt = optim.Adam([*vq.parameters(), *e.parameters(), *d.parameters()], lr=1e-2, amsgrad=False)
    x = torch.randn(2, 1, 8, 8)
    out = []
    for _ in range(3):
        opt.zero_grad()
        l, q, p, en = vq(e(x))
        r = F.mse_loss(d(q), x)
        (l + r).backward()
        opt.step()
        out += [l, r, p, en.sum(0)]
    return out


def contrastive():
    z1, z2 = torch.randn(4, 6, requires_grad=True), torch.randn(4, 6, requires_grad=True)
    out = []

    def nt_xent(a, b, t=0.5):
        n = a.shape[0]
        z = F.normalize(torch.cat([a, b]), dim=1)
        s = z @ z.T / t
        s.fill_diagonal_(-9e15) if False else None
        mask = torch.eye(2 * n, dtype=torch.bool)
        s = s.masked_fill(mask, -9e15)
        pos = mask.roll(shifts=n, dims=0)
        return (-s[pos] + torch.logsumexp(s, dim=-1)).mean()

    l = nt_xent(z1, z2)
    l.backward()
    out += [l, z1.grad]

    def barlow(a, b, lam=5e-3):
        N, D = a.shape
        a = (a - a.mean(0)) / a.std(0)
        b = (b - b.mean(0)) / b.std(0)
        c = a.T @ b / N
        on = torch.diagonal(c).add_(-1).pow_(2).sum() if not c.requires_grad else (torch.diagonal(c) - 1).pow(2).sum()
        off = c.flatten()[:-1].view(D - 1, D + 1)[:, 1:].flatten().pow(2).sum()
        return on + lam * off

    out += [barlow(z1, z2)]
    c = z1.detach().T @ z2.detach()
    out.append(torch.diagonal(c).add_(-1).pow_(2).sum())
    logits = z1 @ z2.t() * torch.tensor(0.07).log().neg().exp()
    lab = torch.arange(4)
    out.append((F.cross_entropy(logits, lab) + F.cross_entropy(logits.T, lab)) / 2)

    def triplet_hard(e, y, m=0.3):
        d = torch.cdist(e, e, p=2)
        same = y[:, None] == y[None]
        ap = (d * same).max(1)[0]
        an = (d + 1e6 * same).min(1)[0]
        return F.relu(ap - an + m).mean()

    tl = triplet_hard(z1, torch.tensor([0, 1, 0, 1]))
    tl.backward()
    out += [tl, z1.grad]
    a, p, n = torch.randn(3, 5), torch.randn(3, 5), torch.randn(3, 5)
    out += [
        nn.TripletMarginLoss(margin=1.0, p=2)(a, p, n),
        nn.TripletMarginWithDistanceLoss(distance_function=lambda x, y: 1.0 - F.cosine_similarity(x, y), swap=True)(a, p, n),
        nn.MultiMarginLoss()(a, torch.tensor([0, 1, 2])),
        nn.MultiLabelMarginLoss()(a, torch.tensor([[0, 2, -1, 1, 0]] * 3)),
        nn.MultiLabelSoftMarginLoss()(a, (p > 0).double()),
        F.margin_ranking_loss(a, p, torch.sign(n)),
        F.hinge_embedding_loss(a, torch.sign(n)),
        F.soft_margin_loss(a, torch.sign(n)),
        F.poisson_nll_loss(a, p.abs()),
        F.gaussian_nll_loss(a, p, n.exp()),
        F.ctc_loss(torch.randn(6, 2, 4).log_softmax(2), torch.randint(1, 4, (2, 3)), (6, 5), (3, 2)),
    ]
    return out


def focal_dice_iou():
    p, y = torch.randn(6, 3, requires_grad=True), torch.tensor([0, 2, 1, 1, 0, 2])
    ce = F.cross_entropy(p, y, reduction="none", weight=torch.tensor([1.0, 2.0, 0.5]))
    pt = torch.exp(-ce)
    fl = (0.25 * (1 - pt) ** 2 * ce).mean()
    fl.backward()
    out = [fl, p.grad]
    b1, b2 = (
        torch.tensor([[0.0, 0, 2, 2], [1, 1, 3, 4]], requires_grad=True),
        torch.tensor([[1.0, 1, 3, 3], [0, 0, 2, 2], [2, 2, 5, 5]]),
    )
    lt = torch.max(b1[:, None, :2], b2[:, :2])
    rb = torch.min(b1[:, None, 2:], b2[:, 2:])
    wh = (rb - lt).clamp(min=0)
    inter = wh[:, :, 0] * wh[:, :, 1]
    a1 = (b1[:, 2] - b1[:, 0]) * (b1[:, 3] - b1[:, 1])
    a2 = (b2[:, 2] - b2[:, 0]) * (b2[:, 3] - b2[:, 1])
    iou = inter / (a1[:, None] + a2 - inter)
    out += [iou, torch.autograd.grad(iou.sum(), b1)[0]]

    def nms(b, s, t):
        order = s.argsort(descending=True)
        keep = []
        while order.numel() > 0:
            i = order[0].item()
            keep.append(i)
            if order.numel() == 1:
                break
            xx = b[order[1:]].clone()
            xx[:, :2] = torch.max(xx[:, :2], b[i, :2])
            xx[:, 2:] = torch.min(xx[:, 2:], b[i, 2:])
            w = (xx[:, 2:] - xx[:, :2]).clamp(min=0).prod(1)
            ar = (b[:, 2:] - b[:, :2]).prod(1)
            ov = w / (ar[i] + ar[order[1:]] - w)
            ids = (ov <= t).nonzero().squeeze(1)
            order = order[ids + 1]
        return keep

    out.append(nms(b2, torch.tensor([0.9, 0.8, 0.7]), 0.1))
    pr, gt = torch.sigmoid(torch.randn(2, 4, 4)), (torch.rand(2, 4, 4) > 0.5).double()
    out += [
        1 - (2.0 * (pr * gt).sum() + 1) / (pr.sum() + gt.sum() + 1),
        F.binary_cross_entropy(pr, gt),
        F.binary_cross_entropy_with_logits(pr, gt, pos_weight=torch.tensor(2.0)),
        (pr > 0.5).eq(gt.bool()).double().mean(),
    ]
    cm = torch.zeros(3, 3, dtype=torch.int64)
    for t, q in zip(y.view(-1), p.argmax(1).view(-1)):
        cm[t.long(), q.long()] += 1
    out += [cm, cm.diag() / cm.sum(1), torch.bincount(y * 3 + p.argmax(1), minlength=9).reshape(3, 3)]
    return out
