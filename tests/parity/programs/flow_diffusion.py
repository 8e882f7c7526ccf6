"""Generative models: a RealNVP flow, a denoising diffusion model with a U-Net, a masked autoregressive layer."""

import math
from dataclasses import dataclass, field
from typing import List, Optional, Tuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.distributions import MultivariateNormal


class Coupling(nn.Module):
    def __init__(self, dim: int, hidden: int, mask: Tensor):
        super().__init__()
        self.register_buffer("mask", mask)
        self.s = nn.Sequential(nn.Linear(dim, hidden), nn.LeakyReLU(), nn.Linear(hidden, dim), nn.Tanh())
        self.t = nn.Sequential(nn.Linear(dim, hidden), nn.LeakyReLU(), nn.Linear(hidden, dim))

    def forward(self, x: Tensor) -> Tuple[Tensor, Tensor]:
        kept = x * self.mask
        s, t = self.s(kept) * (1 - self.mask), self.t(kept) * (1 - self.mask)
        return kept + (1 - self.mask) * (x * s.exp() + t), s.sum(dim=1)

    def inverse(self, y: Tensor) -> Tensor:
        kept = self.mask * y
        s, t = self.s(kept) * (1 - self.mask), self.t(kept) * (1 - self.mask)
        return kept + (1 - self.mask) * ((y - t) * torch.exp(-s))


class RealNVP(nn.Module):
    def __init__(self, n: int = 4):
        super().__init__()
        masks = torch.tensor([[0.0, 1.0], [1.0, 0.0]]).repeat(n // 2, 1)
        self.layers = nn.ModuleList(Coupling(2, 8, m) for m in masks)
        self.prior = MultivariateNormal(torch.zeros(2), torch.eye(2))

    def log_prob(self, x):
        total = x.new_zeros(x.shape[0])
        for layer in self.layers:
            x, log_det = layer(x)
            total += log_det
        return self.prior.log_prob(x) + total

    @torch.no_grad()
    def sample(self, n):
        z = self.prior.sample((n,))
        for layer in reversed(self.layers):
            z = layer.inverse(z)
        return z


def timestep_embedding(t: Tensor, dim: int, max_period: float = 10000.0) -> Tensor:
    half = dim // 2
    freqs = torch.exp(-math.log(max_period) * torch.arange(half, dtype=torch.get_default_dtype()) / half)
    args = t[:, None].to(freqs.dtype) * freqs[None]
    return torch.cat([torch.cos(args), torch.sin(args)], dim=-1)


class ResBlock(nn.Module):
    def __init__(self, cin, cout, emb, groups=2):
        super().__init__()
        self.norm1, self.conv1 = nn.GroupNorm(groups, cin), nn.Conv2d(cin, cout, 3, padding="same")
        self.emb = nn.Linear(emb, 2 * cout)
        self.norm2, self.conv2 = nn.GroupNorm(groups, cout), nn.Conv2d(cout, cout, 3, padding=1)
        self.skip = nn.Conv2d(cin, cout, 1) if cin != cout else nn.Identity()
        nn.init.zeros_(self.conv2.bias)

    def forward(self, x, t):
        h = self.conv1(F.silu(self.norm1(x)))
        scale, shift = self.emb(F.silu(t))[:, :, None, None].chunk(2, dim=1)
        h = self.conv2(F.silu(self.norm2(h) * (1 + scale) + shift))
        return h + self.skip(x)


@dataclass
class Config:
    channels: int = 4
    mults: Tuple[int, ...] = (1, 2)
    steps: int = 10
    betas: Tuple[float, float] = (1e-3, 0.2)
    notes: List[str] = field(default_factory=list)
    clip: Optional[float] = None


class UNet(nn.Module):
    def __init__(self, cfg: Config):
        super().__init__()
        c, emb = cfg.channels, 8
        self.time = nn.Sequential(nn.Linear(8, emb), nn.SiLU(), nn.Linear(emb, emb))
        self.inp = nn.Conv2d(1, c, 3, padding=1)
        widths = [c * m for m in cfg.mults]
        self.down, self.pool, self.up, self.grow = nn.ModuleList(), nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        for a, b in zip([c] + widths[:-1], widths):
            self.down.append(ResBlock(a, b, emb))
            self.pool.append(nn.Conv2d(b, b, 3, stride=2, padding=1))
        self.mid = ResBlock(widths[-1], widths[-1], emb)
        self.attn = nn.MultiheadAttention(widths[-1], 2, batch_first=True)
        for a, b in zip(widths[::-1], widths[::-1][1:] + [c]):
            self.grow.append(nn.ConvTranspose2d(a, a, 4, stride=2, padding=1))
            self.up.append(ResBlock(2 * a, b, emb))
        self.out = nn.Conv2d(c, 1, 1)

    def forward(self, x, t):
        t = self.time(timestep_embedding(t, 8))
        x, skips = self.inp(x), []
        for block, pool in zip(self.down, self.pool):
            x = block(x, t)
            skips.append(x)
            x = pool(x)
        x = self.mid(x, t)
        b, c, h, w = x.shape
        seq = x.flatten(2).transpose(1, 2)
        x = x + self.attn(seq, seq, seq, need_weights=False)[0].transpose(1, 2).reshape(b, c, h, w)
        for block, grow in zip(self.up, self.grow):
            x = block(torch.cat((grow(x), skips.pop()), dim=1), t)
        return self.out(x)


class DDPM(nn.Module):
    def __init__(self, model, cfg):
        super().__init__()
        self.model, self.cfg = model, cfg
        betas = torch.linspace(*cfg.betas, cfg.steps)
        alphas = 1.0 - betas
        alphas_cumprod = torch.cumprod(alphas, dim=0)
        prev = F.pad(alphas_cumprod[:-1], (1, 0), value=1.0)
        for name, value in dict(betas=betas, sqrt_ac=alphas_cumprod.sqrt(), sqrt_1mac=(1 - alphas_cumprod).sqrt(),
                                recip=alphas.rsqrt(), var=betas * (1 - prev) / (1 - alphas_cumprod)).items():
            self.register_buffer(name, value, persistent=name != "var")

    def extract(self, a, t, shape):
        return a.gather(-1, t).reshape(t.shape[0], *((1,) * (len(shape) - 1)))

    def forward(self, x0):
        t = torch.randint(0, self.cfg.steps, (x0.shape[0],)).long()
        noise = torch.randn_like(x0)
        xt = self.extract(self.sqrt_ac, t, x0.shape) * x0 + self.extract(self.sqrt_1mac, t, x0.shape) * noise
        return F.mse_loss(self.model(xt, t), noise)

    @torch.inference_mode()
    def sample(self, shape):
        x = torch.randn(shape)
        for i in reversed(range(self.cfg.steps)):
            t = torch.full((shape[0],), i, dtype=torch.long)
            eps = self.model(x, t)
            mean = self.recip[i] * (x - self.betas[i] / self.sqrt_1mac[i] * eps)
            x = mean + (torch.sqrt(self.var[i]) * torch.randn_like(x) if i > 0 else 0)
        return x


class MaskedLinear(nn.Linear):
    def __init__(self, n):
        super().__init__(n, n)
        self.register_buffer("mask", torch.tril(torch.ones(n, n), diagonal=-1))

    def forward(self, x):
        return F.linear(x, self.weight * self.mask, self.bias)


def main():
    torch.manual_seed(21)
    torch.set_default_dtype(torch.float64)
    results = []
    angle = torch.rand(32) * math.pi
    data = torch.stack([angle.cos(), angle.sin()], -1) + 0.05 * torch.randn(32, 2)
    flow = RealNVP()
    optimizer = torch.optim.Adam(flow.parameters(), lr=1e-2)
    for _ in range(4):
        loss = -flow.log_prob(data).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        results.append(loss.item())
    results += flow.sample(3).flatten().tolist()
    cfg = Config(channels=4)
    ddpm = DDPM(UNet(cfg), cfg)
    optimizer = torch.optim.AdamW(ddpm.parameters(), lr=2e-3)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=3)
    ema = torch.optim.swa_utils.AveragedModel(ddpm, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.9))
    for _ in range(3):
        loss = ddpm(torch.rand(4, 1, 8, 8) * 2 - 1)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        scheduler.step()
        ema.update_parameters(ddpm)
        results += [loss.item(), scheduler.get_last_lr()[0]]
    ema.eval()
    results += [ema.module.sample((2, 1, 8, 8)).abs().mean().item(), len(ddpm.state_dict()), len(list(ddpm.buffers()))]
    made = nn.Sequential(MaskedLinear(5), nn.Hardtanh(), MaskedLinear(5))
    x = torch.rand(1, 5)
    jac = torch.autograd.functional.jacobian(made, x).squeeze()
    return [float(r) for r in results + [jac.triu().abs().sum().item(), jac.sum().item(), len(repr(made))]]
