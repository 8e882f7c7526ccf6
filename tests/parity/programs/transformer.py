"""Transformer encoder and decoder layers with masks and padding, OneCycleLR, hooks, a custom autograd.Function."""

import torch
from torch import nn


class Swish(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, beta):
        s = torch.sigmoid(beta * x)
        ctx.save_for_backward(x, s)
        ctx.beta = beta
        return x * s

    @staticmethod
    def backward(ctx, grad_output):
        x, s = ctx.saved_tensors
        return grad_output * (s + ctx.beta * x * s * (1 - s)), None


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(11, 8, padding_idx=0)
        layer = nn.TransformerEncoderLayer(8, 2, dim_feedforward=16, dropout=0.1, activation="gelu", batch_first=True, norm_first=True)
        self.encoder = nn.TransformerEncoder(layer, num_layers=2)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.head = nn.Linear(8, 2)
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, tokens):
        padding = tokens == 0
        h = self.embed(tokens)
        h = self.encoder(h, src_key_padding_mask=padding)
        h, weights = self.attention(h, h, h, key_padding_mask=padding)
        keep = (~padding).unsqueeze(-1).to(h.dtype)
        pooled = (h * keep).sum(1) / keep.sum(1).clamp(min=1)
        return self.head(Swish.apply(pooled, 1.5)) * self.scale, weights


def main():
    torch.manual_seed(21)
    torch.set_default_dtype(torch.float64)
    model = Model()
    seen = []
    handle = model.head.register_forward_hook(lambda m, i, o: seen.append(o.detach().norm().item()))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.8)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.1, total_steps=6)
    tokens = torch.randint(0, 11, (5, 7))
    tokens[:, 0] = torch.randint(1, 11, (5,))
    targets = torch.randint(0, 2, (5, 2)).to(torch.float64)
    results = []
    for step in range(5):
        optimizer.zero_grad()
        logits, weights = model(tokens)
        loss = nn.functional.binary_cross_entropy_with_logits(logits, targets, pos_weight=torch.tensor([1.0, 2.0]))
        loss.backward()
        optimizer.step()
        schedule.step()
        results += [loss.item(), weights.var().item(), optimizer.param_groups[0]["lr"], optimizer.param_groups[0]["momentum"]]
    handle.remove()
    return results + seen + [model.embed.weight.grad[0].abs().sum().item()]
