"""Layers of research papers: a quantised autoencoder, a mixture of experts, a selective scan, graph attention, rotary attention."""

import math

import torch
import torch.nn as nn
import torch.nn.functional as F


class VectorQuantizer(nn.Module):
    """The nearest of k codes, with codes that follow running averages."""

    def __init__(self, codes=8, width=4, beta=0.25, decay=0.9):
        super().__init__()
        self.codes, self.width, self.beta, self.decay = codes, width, beta, decay
        embed = torch.randn(codes, width)
        self.register_buffer("embed", embed)
        self.register_buffer("counts", torch.zeros(codes))
        self.register_buffer("sums", embed.clone())

    def forward(self, z):
        z = z.permute(0, 2, 3, 1).contiguous()
        flat = z.view(-1, self.width)
        distances = flat.pow(2).sum(1, keepdim=True) + self.embed.pow(2).sum(1) - 2 * flat @ self.embed.t()
        index = distances.argmin(1)
        hits = F.one_hot(index, self.codes).type(flat.dtype)
        quantized = F.embedding(index, self.embed).view_as(z)
        if self.training:
            with torch.no_grad():
                self.counts.mul_(self.decay).add_(hits.sum(0), alpha=1 - self.decay)
                self.sums.mul_(self.decay).add_(hits.t() @ flat, alpha=1 - self.decay)
                n = self.counts.sum()
                smooth = (self.counts + 1e-5) / (n + self.codes * 1e-5) * n
                self.embed.copy_(self.sums / smooth.unsqueeze(1))
        loss = self.beta * F.mse_loss(quantized.detach(), z)
        used = hits.mean(0)
        perplexity = torch.exp(-torch.sum(used * torch.log(used + 1e-10)))
        return (z + (quantized - z).detach()).permute(0, 3, 1, 2), loss, perplexity


def quantised_autoencoder():
    encoder = nn.Sequential(nn.Conv2d(1, 8, 4, 2, 1), nn.ReLU(True), nn.Conv2d(8, 4, 3, padding=1))
    decoder = nn.Sequential(nn.ConvTranspose2d(4, 8, 4, 2, 1), nn.ReLU(True), nn.Conv2d(8, 1, 3, padding="same"))
    quantizer = VectorQuantizer()
    optimizer = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], 1e-2)
    x, out = torch.rand(4, 1, 8, 8), []
    for _ in range(3):
        code, commitment, perplexity = quantizer(encoder(x))
        loss = F.mse_loss(decoder(code), x) + commitment
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        out += [loss, perplexity]
    return out, quantizer.state_dict()


class Experts(nn.Module):
    """Each token goes to k of the experts."""

    def __init__(self, width, experts=4, k=2):
        super().__init__()
        self.gate = nn.Linear(width, experts, bias=False)
        self.experts = nn.ModuleList(nn.Sequential(nn.Linear(width, 2 * width), nn.SiLU(), nn.Linear(2 * width, width)) for _ in range(experts))
        self.k = k

    def forward(self, x):
        tokens = x.view(-1, x.shape[-1])
        scores = self.gate(tokens)
        weights, chosen = torch.topk(F.softmax(scores, dim=1), self.k, dim=-1)
        weights /= weights.sum(dim=-1, keepdim=True)
        out = torch.zeros_like(tokens)
        mask = F.one_hot(chosen, num_classes=len(self.experts)).permute(2, 1, 0)
        for number, expert in enumerate(self.experts):
            rank, token = torch.where(mask[number])
            out.index_add_(0, token, expert(tokens[token]) * weights[token, rank, None])
        share = F.one_hot(chosen, len(self.experts)).to(scores.dtype).mean((0, 1))
        return out.view(x.shape), (scores.softmax(-1).mean(0) * share).sum() * len(self.experts)


def mixture_of_experts():
    model = Experts(6)
    out, balance = model(torch.randn(2, 5, 6))
    (out.square().mean() + 0.01 * balance).backward()
    return out, balance, [p.grad for p in model.parameters()]


class SelectiveScan(nn.Module):
    """A state space whose matrices depend on the input."""

    def __init__(self, width=4, states=3, inner=8):
        super().__init__()
        self.inner, self.states = inner, states
        self.project = nn.Linear(width, 2 * inner, bias=False)
        self.conv = nn.Conv1d(inner, inner, 3, groups=inner, padding=2)
        self.select = nn.Linear(inner, 1 + 2 * states, bias=False)
        self.step = nn.Linear(1, inner)
        self.log_decay = nn.Parameter(torch.log(torch.arange(1.0, states + 1).repeat(inner, 1)))
        self.skip = nn.Parameter(torch.ones(inner))
        self.out = nn.Linear(inner, width, bias=False)

    def forward(self, x):
        length = x.shape[1]
        x, gate = self.project(x).split([self.inner, self.inner], dim=-1)
        x = F.silu(self.conv(x.transpose(1, 2))[..., :length].transpose(1, 2))
        delta, b, c = self.select(x).split([1, self.states, self.states], -1)
        delta, decay = F.softplus(self.step(delta)), -torch.exp(self.log_decay)
        kept = torch.exp(torch.einsum("bld,dn->bldn", delta, decay))
        added = torch.einsum("bld,bln,bld->bldn", delta, b, x)
        state, ys = x.new_zeros(x.shape[0], self.inner, self.states), []
        for i in range(length):
            state = kept[:, i] * state + added[:, i]
            ys.append(torch.einsum("bdn,bn->bd", state, c[:, i]))
        return self.out((torch.stack(ys, dim=1) + x * self.skip) * F.silu(gate))


def selective_scan():
    model, x = SelectiveScan(), torch.randn(2, 6, 4, requires_grad=True)
    y = model(x)
    y.pow(2).sum().backward()
    return y, x.grad, [p.grad for p in model.parameters()]


class GraphAttention(nn.Module):
    def __init__(self, inputs, outputs, heads):
        super().__init__()
        self.project = nn.Linear(inputs, heads * outputs, bias=False)
        self.score = nn.Parameter(torch.empty(2, 1, heads, outputs))
        nn.init.xavier_normal_(self.score, gain=1.414)
        self.heads, self.outputs = heads, outputs

    def forward(self, x, edges):
        source, target = edges
        h = self.project(x).view(-1, self.heads, self.outputs)
        left, right = ((h * s).sum(-1) for s in self.score)
        e = F.leaky_relu(left[source] + right[target], 0.2)
        highest = torch.full((len(x), self.heads), -torch.inf).scatter_reduce(0, target[:, None].expand_as(e), e, "amax")
        e = (e - highest[target]).exp()
        total = torch.zeros(len(x), self.heads).index_add(0, target, e)
        a = e / (total[target] + 1e-16)
        out = torch.zeros(len(x), self.heads, self.outputs).index_add_(0, target, h[source] * a.unsqueeze(-1))
        return F.elu(out.flatten(1)), a


def graph_attention():
    model, x = GraphAttention(3, 2, 2), torch.randn(6, 3)
    edges = torch.tensor([[0, 1, 2, 3, 4, 5, 0, 2, 5], [1, 2, 3, 4, 5, 0, 0, 2, 1]])
    y, a = model(x, edges)
    y.sum().backward()
    return y, a, [p.grad for p in model.parameters()]


def rotated(x):
    """Rotary positions: pairs of features turn with the position."""
    t, frequency = torch.arange(x.size(-2)), 10000.0 ** (-torch.arange(0, x.size(-1), 2) / x.size(-1))
    angle = torch.outer(t.to(frequency), frequency)
    even, odd = x[..., ::2], x[..., 1::2]
    turned = torch.stack([even * angle.cos() - odd * angle.sin(), even * angle.sin() + odd * angle.cos()], -1)
    return turned.flatten(-2)


class Block(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        hidden = int(8 * width / 3)
        self.heads = heads
        self.before, self.between = nn.RMSNorm(width), nn.RMSNorm(width, eps=1e-5)
        self.qkv, self.out = nn.Linear(width, 3 * width, bias=False), nn.Linear(width, width, bias=False)
        self.up, self.gate, self.down = nn.Linear(width, hidden), nn.Linear(width, hidden), nn.Linear(hidden, width)

    def forward(self, x):
        b, t, c = x.shape
        q, k, v = self.qkv(self.before(x)).view(b, t, 3, self.heads, c // self.heads).permute(2, 0, 3, 1, 4).unbind(0)
        y = F.scaled_dot_product_attention(rotated(q), rotated(k), v, is_causal=True)
        x = x + self.out(y.transpose(1, 2).reshape(b, t, c))
        h = self.between(x)
        return x + self.down(F.silu(self.gate(h)) * self.up(h))


def small_language_model():
    vocabulary, width = 11, 8
    model = nn.ModuleDict({"embed": nn.Embedding(vocabulary, width), "blocks": nn.Sequential(Block(width, 2), Block(width, 2)),
                           "norm": nn.RMSNorm(width)})  # fmt: skip
    for name, p in model.named_parameters():
        if name.endswith("out.weight"):
            nn.init.normal_(p, 0.0, 0.02 / math.sqrt(4))

    def scores(tokens):
        return F.linear(model["norm"](model["blocks"](model["embed"](tokens))), model["embed"].weight)

    optimizer = torch.optim.AdamW(model.parameters(), 1e-2, weight_decay=0.1)
    text, out = torch.randint(0, vocabulary, (60,)), []
    for _ in range(3):
        starts = torch.randint(len(text) - 8, (4,))
        batch = torch.stack([text[i : i + 8] for i in starts])
        loss = F.cross_entropy(scores(batch[:, :-1]).flatten(0, 1), batch[:, 1:].flatten(), ignore_index=0)
        optimizer.zero_grad()
        loss.backward()
        out += [loss, nn.utils.clip_grad_norm_(model.parameters(), 1.0)]
        optimizer.step()
    tokens = batch[:2, :3]
    with torch.no_grad():
        for step in range(6):
            z = scores(tokens[:, -7:])[:, -1] / 0.8
            if step % 2:  # the few most probable ones
                z[z < torch.topk(z, 3)[0][:, [-1]]] = -float("inf")
            else:  # the most probable ones that are 0.8 together
                ordered, index = z.sort(descending=True)
                gone = ordered.softmax(-1).cumsum(-1) > 0.8
                gone[..., 1:] = gone[..., :-1].clone()
                gone[..., 0] = False
                z = z.masked_fill(gone.scatter(1, index, gone), -float("inf"))
            tokens = torch.cat([tokens, torch.multinomial(z.softmax(-1), 1)], 1)
    return out, tokens
