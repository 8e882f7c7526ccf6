"""Language models: a Transformer word model with nn.TransformerEncoder, a LLaMA-like one (RoPE, RMSNorm, SwiGLU, GQA, KV cache), a BERT-like mask."""

import copy
import math
from dataclasses import dataclass
from typing import Optional

import torch
import torch.nn as nn
import torch.nn.functional as F


class PositionalEncoding(nn.Module):
    def __init__(self, d_model, dropout=0.1, max_len=50):
        super().__init__()
        self.dropout = nn.Dropout(p=dropout)
        position = torch.arange(max_len).unsqueeze(1)
        div_term = torch.exp(torch.arange(0, d_model, 2) * (-math.log(10000.0) / d_model))
        pe = torch.zeros(max_len, 1, d_model)
        pe[:, 0, 0::2] = torch.sin(position * div_term)
        pe[:, 0, 1::2] = torch.cos(position * div_term)
        self.register_buffer("pe", pe)

    def forward(self, x):
        return self.dropout(x + self.pe[: x.size(0)])


class TransformerModel(nn.Module):
    def __init__(self, ntoken, d_model, nhead, d_hid, nlayers, dropout=0.2):
        super().__init__()
        self.pos_encoder = PositionalEncoding(d_model, dropout)
        self.transformer_encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(d_model, nhead, d_hid, dropout), nlayers)
        self.embedding, self.d_model = nn.Embedding(ntoken, d_model), d_model
        self.linear = nn.Linear(d_model, ntoken)
        initrange = 0.1
        self.embedding.weight.data.uniform_(-initrange, initrange)
        self.linear.bias.data.zero_()
        self.linear.weight.data.uniform_(-initrange, initrange)

    def forward(self, src, src_mask=None):
        src = self.pos_encoder(self.embedding(src) * math.sqrt(self.d_model))
        if src_mask is None:
            src_mask = nn.Transformer.generate_square_subsequent_mask(len(src))
        return self.linear(self.transformer_encoder(src, src_mask))


def batchify(data, bsz):
    seq_len = data.size(0) // bsz
    return data[: seq_len * bsz].view(bsz, seq_len).t().contiguous()


@dataclass
class Args:
    dim: int = 8
    n_layers: int = 2
    n_heads: int = 4
    n_kv_heads: Optional[int] = 2
    vocab: int = 11
    max_len: int = 16


class RMSNorm(nn.Module):
    def __init__(self, dim, eps=1e-5):
        super().__init__()
        self.eps, self.weight = eps, nn.Parameter(torch.ones(dim))

    def _norm(self, x):
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.eps)

    def forward(self, x):
        return self._norm(x.float().double()).type_as(x) * self.weight


def rotary(x, cos, sin):
    x1, x2 = x[..., ::2], x[..., 1::2]
    return torch.stack((x1 * cos - x2 * sin, x1 * sin + x2 * cos), dim=-1).flatten(-2)


def repeat_kv(x, n):
    b, s, h, d = x.shape
    return x if n == 1 else x[:, :, :, None, :].expand(b, s, h, n, d).reshape(b, s, h * n, d)


class Attention(nn.Module):
    def __init__(self, a: Args):
        super().__init__()
        self.kv = a.n_heads if a.n_kv_heads is None else a.n_kv_heads
        self.h, self.d = a.n_heads, a.dim // a.n_heads
        self.wq, self.wk, self.wv = (nn.Linear(a.dim, n * self.d, bias=False) for n in (self.h, self.kv, self.kv))
        self.wo = nn.Linear(self.h * self.d, a.dim, bias=False)
        self.cache = None

    def forward(self, x, cos, sin, mask):
        b, s, _ = x.shape
        q, k, v = self.wq(x).view(b, s, self.h, -1), self.wk(x).view(b, s, self.kv, -1), self.wv(x).view(b, s, self.kv, -1)
        q, k = rotary(q, cos, sin), rotary(k, cos, sin)
        if self.cache is not None:
            k, v = torch.cat([self.cache[0], k], 1), torch.cat([self.cache[1], v], 1)
        if not self.training:
            self.cache = (k, v)
        q, k, v = (t.transpose(1, 2) for t in (q, repeat_kv(k, self.h // self.kv), repeat_kv(v, self.h // self.kv)))
        out = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        return self.wo(out.transpose(1, 2).contiguous().view(b, s, -1))


class Block(nn.Module):
    def __init__(self, a):
        super().__init__()
        self.attention, self.n1, self.n2 = Attention(a), RMSNorm(a.dim), RMSNorm(a.dim)
        self.w1, self.w3, self.w2 = nn.Linear(a.dim, 12, bias=False), nn.Linear(a.dim, 12, bias=False), nn.Linear(12, a.dim, bias=False)

    def forward(self, x, *rest):
        x = x + self.attention(self.n1(x), *rest)
        h = self.n2(x)
        return x + self.w2(F.silu(self.w1(h)) * self.w3(h))


class Llama(nn.Module):
    def __init__(self, a: Args):
        super().__init__()
        self.emb = nn.Embedding(a.vocab, a.dim)
        self.layers = nn.ModuleList(Block(a) for _ in range(a.n_layers))
        self.norm, self.out = RMSNorm(a.dim), nn.Linear(a.dim, a.vocab, bias=False)
        self.out.weight = self.emb.weight
        freqs = 1.0 / (10000.0 ** (torch.arange(0, a.dim // a.n_heads, 2)[: a.dim // a.n_heads // 2].double() / (a.dim // a.n_heads)))
        angles = torch.outer(torch.arange(a.max_len).double(), freqs)[:, None]
        self.register_buffer("cos", angles.cos(), persistent=False)
        self.register_buffer("sin", angles.sin(), persistent=False)
        self.apply(lambda m: nn.init.normal_(m.weight, std=0.2) if isinstance(m, (nn.Linear, nn.Embedding)) else None)

    def forward(self, tokens, start=0):
        s = tokens.shape[1]
        mask = None
        if s > 1:
            mask = torch.full((s, s), float("-inf")).triu(diagonal=1)
            mask = torch.hstack([torch.zeros((s, start)), mask])
        h = self.emb(tokens)
        for layer in self.layers:
            h = layer(h, self.cos[start : start + s], self.sin[start : start + s], mask)
        return self.out(self.norm(h))

    @torch.no_grad()
    def generate(self, prompt, n, top_p=0.9, temperature=0.8):
        self.eval()
        start, tokens = 0, prompt
        for _ in range(n):
            logits = self(tokens[:, start:], start)[:, -1]
            start = tokens.shape[1]
            probs = torch.softmax(logits / temperature, dim=-1)
            sorted_p, idx = torch.sort(probs, dim=-1, descending=True)
            sorted_p[torch.cumsum(sorted_p, dim=-1) - sorted_p > top_p] = 0.0
            sorted_p.div_(sorted_p.sum(dim=-1, keepdim=True))
            nxt = torch.gather(idx, -1, torch.multinomial(sorted_p, num_samples=1))
            tokens = torch.cat((tokens, nxt), dim=1)
        return tokens


def main():
    torch.manual_seed(23)
    torch.set_default_dtype(torch.float64)
    results = []
    text = torch.randint(0, 13, (120,))
    train = batchify(text, 4)
    model = TransformerModel(13, 8, 2, 12, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 1, gamma=0.95)
    for i in range(0, train.size(0) - 1, 10):
        seq_len = min(10, len(train) - 1 - i)
        data, targets = train[i : i + seq_len], train[i + 1 : i + 1 + seq_len].reshape(-1)
        loss = F.cross_entropy(model(data).view(-1, 13), targets)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 0.5)
        optimizer.step()
        scheduler.step()
        results += [loss.item(), math.exp(loss.item()), scheduler.get_last_lr()[0]]
    llama = Llama(Args())
    tokens = torch.randint(0, 11, (2, 9))
    optimizer = torch.optim.NAdam(llama.parameters(), lr=1e-2)
    for _ in range(2):
        loss = F.cross_entropy(llama(tokens[:, :-1]).flatten(0, 1), tokens[:, 1:].flatten(), ignore_index=3)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        results.append(loss.item())
    results += llama.generate(tokens[:, :3], 6).flatten().tolist()
    results += [sum(p.numel() for p in llama.parameters()), len(llama.state_dict()), len(repr(llama))]
    layer = nn.TransformerDecoderLayer(8, 2, 16, dropout=0.0, activation=F.gelu, batch_first=True, norm_first=True)
    decoder = nn.TransformerDecoder(layer, 2, norm=nn.LayerNorm(8))
    memory, tgt = torch.randn(2, 5, 8), torch.randn(2, 4, 8, requires_grad=True)
    pad = torch.tensor([[False] * 5, [False] * 3 + [True] * 2])
    out = decoder(tgt, memory, tgt_mask=torch.triu(torch.ones(4, 4, dtype=torch.bool), 1), memory_key_padding_mask=pad)
    out.square().sum().backward()
    results += [out.sum().item(), tgt.grad.norm().item()]
    labels, p = tokens.clone(), torch.full(tokens.shape, 0.4)
    masked = torch.bernoulli(p).bool()
    labels[~masked] = -100
    inputs = tokens.masked_fill(masked & torch.bernoulli(torch.full(labels.shape, 0.8)).bool(), 10)
    teacher = copy.deepcopy(llama).requires_grad_(False).train()
    llama.train()
    for m in (llama, teacher):
        for l in m.layers:
            l.attention.cache = None
    student = llama(inputs)
    T = 2.0
    kd = F.kl_div(F.log_softmax(student / T, -1), F.softmax(teacher(tokens) / T, -1), reduction="batchmean") * T * T
    loss = F.cross_entropy(student.view(-1, 11), labels.view(-1)) + 0.5 * kd
    loss.backward()
    results += [loss.item(), llama.emb.weight.grad.norm().item(), masked.sum().item()]
    full = nn.Transformer(8, 2, 1, 1, 16, dropout=0.0, batch_first=True)
    results.append(full(memory, tgt.detach(), tgt_mask=full.generate_square_subsequent_mask(4)).sum().item())
    beams = [([0], 0.0)]
    with torch.no_grad():
        for _ in range(3):
            grown = []
            for seq, score in beams:
                logp = F.log_softmax(teacher(torch.tensor([seq]))[0, -1], dim=-1)
                grown += [(seq + [i.item()], score + v.item()) for v, i in zip(*logp.topk(2))]
            beams = sorted(grown, key=lambda b: b[1], reverse=True)[:2]
    return [float(r) for r in results + [beams[0][1], *beams[0][0]]]
