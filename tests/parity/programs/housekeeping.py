"""What surrounds training: checkpoints, schedulers, early stopping, freezing, hooks, EMA, accumulation, norms, configs, printing."""

import copy
import io
from collections import OrderedDict, defaultdict
from dataclasses import asdict, dataclass
from typing import Dict, List, Optional, Tuple

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.nn.parameter import Parameter
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, ReduceLROnPlateau
from torch.utils.data import DataLoader, Dataset, Subset, random_split


@dataclass
class TrainConfig:
    hidden: int = 8
    lr: float = 1e-2
    patience: int = 2
    betas: Tuple[float, float] = (0.9, 0.98)


class Toy(Dataset):
    def __init__(self, n: int, transform=None):
        self.x = np.random.default_rng(0).normal(size=(n, 5))
        self.transform = transform

    def __len__(self):
        return len(self.x)

    def __getitem__(self, idx):
        if torch.is_tensor(idx):
            idx = idx.tolist()
        row = torch.from_numpy(self.x[idx])
        return {"x": self.transform(row) if self.transform else row, "y": row.sum().sign(), "id": idx}


class EMA:
    def __init__(self, model, decay):
        self.model, self.decay, self.shadow, self.backup = model, decay, {}, {}
        for name, param in model.named_parameters():
            if param.requires_grad:
                self.shadow[name] = param.data.clone()

    def update(self):
        for name, param in self.model.named_parameters():
            if param.requires_grad:
                assert name in self.shadow
                self.shadow[name] = (1.0 - self.decay) * param.data + self.decay * self.shadow[name].clone()

    def apply_shadow(self):
        for name, param in self.model.named_parameters():
            if param.requires_grad:
                self.backup[name], param.data = param.data, self.shadow[name]

    def restore(self):
        for name, param in self.model.named_parameters():
            if param.requires_grad:
                param.data = self.backup[name]


class LinearWithLoRA(nn.Module):
    def __init__(self, linear: nn.Linear, rank: int = 2):
        super().__init__()
        self.linear = linear.requires_grad_(False)
        self.A, self.B = Parameter(torch.empty(rank, linear.in_features)), Parameter(torch.zeros(linear.out_features, rank))
        nn.init.kaiming_uniform_(self.A, a=5**0.5)

    def forward(self, x):
        return self.linear(x) + x @ self.A.t() @ self.B.t()

    def extra_repr(self) -> str:
        return f"rank={self.A.size(0)}, trainable={self.A.requires_grad}"


class Swish(nn.Module):
    def __init__(self):
        super().__init__()
        self.beta = nn.Parameter(torch.Tensor([1.0]))

    def forward(self, x):
        return x * torch.sigmoid(self.beta * x)


class RMSNorm(nn.Module):
    def __init__(self, dim, eps=1e-6):
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(dim))
        self.register_parameter("bias", None)

    def forward(self, x):
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.eps) * self.weight


class SGDSign(Optimizer):
    def __init__(self, params, lr=0.1, momentum=0.9):
        super().__init__(params, dict(lr=lr, momentum=momentum))

    @torch.no_grad()
    def step(self, closure=None):
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                state = self.state[p]
                if len(state) == 0:
                    state["step"], state["buffer"] = 0, torch.zeros_like(p, memory_format=torch.preserve_format)
                state["step"] += 1
                state["buffer"].mul_(group["momentum"]).add_(p.grad, alpha=1 - group["momentum"])
                p.add_(state["buffer"].sign(), alpha=-group["lr"])
        return loss


def collate(batch: List[Dict]) -> Dict[str, torch.Tensor]:
    return {"x": torch.stack([b["x"] for b in batch]), "y": torch.stack([b["y"] for b in batch])}


def count_parameters(model, trainable: Optional[bool] = None) -> int:
    return sum(p.numel() for p in model.parameters() if trainable is None or p.requires_grad is trainable)


def main():
    torch.manual_seed(14)
    torch.set_default_dtype(torch.float64)
    results = []
    cfg = TrainConfig(**{"hidden": 6})
    results += [asdict(cfg)["hidden"], len(asdict(cfg))]
    model = nn.Sequential(OrderedDict([("body", nn.Linear(5, cfg.hidden)), ("norm", RMSNorm(cfg.hidden)), ("act", Swish()),
                                       ("drop", nn.Dropout(p=0.2)), ("head", nn.Linear(cfg.hidden, 1))]))
    train_set, valid_set = random_split(Toy(30, lambda r: r * 2), [24, 6], generator=torch.Generator().manual_seed(42))
    loader = DataLoader(train_set, batch_size=5, shuffle=True, drop_last=False, num_workers=0, collate_fn=collate)
    valid = next(iter(DataLoader(valid_set, batch_size=len(valid_set))))
    results += [len(loader), valid["id"].sum().item(), valid["y"].sum().item(), len(Subset(train_set, range(3)))]
    decay = [p for n, p in model.named_parameters() if n.endswith("weight") and p.ndim > 1]
    rest = [p for n, p in model.named_parameters() if not (n.endswith("weight") and p.ndim > 1)]
    optimizer = torch.optim.AdamW([{"params": decay, "weight_decay": 0.1}, {"params": rest, "weight_decay": 0.0}], lr=cfg.lr, betas=cfg.betas)
    scheduler = ReduceLROnPlateau(optimizer, mode="min", factor=0.5, patience=1, threshold=1e-1)
    warmup = LambdaLR(optimizer, lr_lambda=lambda step: min((step + 1) ** -0.5, (step + 1) * 4**-1.5))
    seen, sizes = defaultdict(list), []
    handles = [m.register_forward_hook(lambda mod, inp, out, name=n: seen[name].append(out.detach().mean().item()))
               for n, m in model.named_modules() if n]
    handles.append(model.body.register_full_backward_hook(lambda mod, gi, go: sizes.append(go[0].norm().item())))
    handles.append(model.head.register_forward_pre_hook(lambda mod, args: (args[0] * 1.0,)))
    handles.append(model.body.weight.register_hook(lambda g: g * 0.5))
    ema, best, stale, best_state = EMA(model, 0.9), float("inf"), 0, None
    for epoch in range(3):
        model.train()
        optimizer.zero_grad()
        for i, batch in enumerate(loader):
            loss = F.soft_margin_loss(model(batch["x"]).squeeze(-1), batch["y"]) / 2
            loss.backward()
            if (i + 1) % 2 == 0 or i + 1 == len(loader):
                results.append(nn.utils.clip_grad_norm_(model.parameters(), max_norm=0.5, norm_type=2).item())
                optimizer.step()
                optimizer.zero_grad()
                warmup.step()
                ema.update()
        model.eval()
        ema.apply_shadow()
        with torch.set_grad_enabled(False):
            val = F.soft_margin_loss(model(valid["x"]).squeeze(-1), valid["y"]).item()
        ema.restore()
        scheduler.step(val)
        results += [val, optimizer.param_groups[0]["lr"]]
        if val < best - 1e-3:
            best, stale, best_state = val, 0, copy.deepcopy(model.state_dict())
        else:
            stale += 1
    for h in handles:
        h.remove()
    results += [sum(map(sum, seen.values())), sum(sizes), stale, len(seen)]
    buffer = io.BytesIO()
    torch.save({"epoch": 3, "model": best_state, "optimizer": optimizer.state_dict(), "rng": torch.get_rng_state()}, buffer)
    buffer.seek(0)
    checkpoint = torch.load(buffer, weights_only=True)
    clone = copy.deepcopy(model)
    missing = clone.load_state_dict(checkpoint["model"], strict=True)
    optimizer2 = torch.optim.AdamW([{"params": decay}, {"params": rest}])
    optimizer2.load_state_dict(checkpoint["optimizer"])
    results += [checkpoint["epoch"], len(missing.missing_keys), optimizer2.param_groups[0]["weight_decay"], len(optimizer2.state)]
    results += [sum(v.sum().item() for v in clone.state_dict().values()), torch.rand(1).item()]
    keys = clone.load_state_dict({k: v for k, v in best_state.items() if "head" not in k}, strict=False)
    results += [len(keys.missing_keys), len(keys.unexpected_keys)]

    model.body = LinearWithLoRA(model.body)
    model.head = nn.Linear(model.head.in_features, 3)
    for name, p in model.named_parameters():
        p.requires_grad = "A" in name or "B" in name or name.startswith("head")
    results += [count_parameters(model), count_parameters(model, True), count_parameters(model, False), len(str(model)), len(str(model.body))]
    custom = SGDSign(filter(lambda p: p.requires_grad, model.parameters()), lr=0.05)
    x, y = torch.randn(6, 5), torch.tensor([0, 1, 2, 0, 1, 2])
    for _ in range(3):
        def closure():
            custom.zero_grad()
            loss = F.multi_margin_loss(model(x), y)
            loss.backward()
            return loss
        results.append(custom.step(closure).item())
    results += [len(custom.state_dict()["state"]), custom.state_dict()["state"][0]["step"], model.body.B.abs().sum().item()]
    vector = nn.utils.parameters_to_vector(model.head.parameters())
    nn.utils.vector_to_parameters(vector * 0.5, model.head.parameters())
    results += [vector.numel(), model.head.weight.sum().item()]
    sn = nn.utils.parametrizations.spectral_norm(nn.Linear(4, 3))
    wn = nn.utils.parametrizations.weight_norm(nn.Linear(4, 3), dim=0)
    for _ in range(2):
        (sn(x[:, :4]).sum() + wn(x[:, :4]).pow(2).sum()).backward()
    results += [sn.weight.norm().item(), sn.parametrizations.weight.original.grad.norm().item(), wn.parametrizations.weight.original0.grad.sum().item()]
    with torch.no_grad():
        results += [sn(x[:, :4]).sum().item(), len(list(sn.named_parameters()))]
    a = torch.arange(24.0).reshape(2, 3, 4)
    a[0, :, 1:3] *= 2
    a[a > 20] = -1
    a[[0, 1], [2, 0]] += torch.tensor([1.0, 2.0, 3.0, 4.0])
    a[..., -1].neg_()
    results += a.flatten().tolist() + [isinstance(a[0, 0, 0].item(), float), a.dtype == torch.float64, f"{a.mean():.3f}" == f"{a.mean().item():.3f}"]
    results += [bool(torch.allclose(a, a.clone())), int(a.argmax()), float(a.std()), len(a), *map(int, a.nonzero()[-1]), *torch.where(a < 0)[2].tolist()]
    return [float(r) for r in results]
