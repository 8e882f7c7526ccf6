"""Small habits of many programs: indexing, in-place updates, hooks on modules, samplers, custom datasets, containers, scheduling, printing."""

import itertools
import random
import re
import time
import warnings
from abc import ABC, abstractmethod
from contextlib import nullcontext
from functools import lru_cache, partial, reduce
from typing import Any, Callable, Dict, Iterable, NamedTuple, Optional, Sequence, Union

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.utils.data as data
from torch import Tensor, nn as tnn, optim
from torch.nn import functional as TF
from torch.nn.init import xavier_normal_, zeros_
from torch.nn import Module as Loss
from torch.nn.utils import clip_grad_norm_
from torch.optim.lr_scheduler import CosineAnnealingWarmRestarts, CyclicLR, MultiStepLR, OneCycleLR, SequentialLR, LinearLR
from torch.utils.data import BatchSampler, ConcatDataset, IterableDataset, SequentialSampler, Sampler, WeightedRandomSampler, default_collate


class Out(NamedTuple):
    logits: Tensor
    hidden: Optional[Tensor] = None


class Base(nn.Module, ABC):
    @abstractmethod
    def encode(self, x: Tensor) -> Tensor: ...

    @property
    def device(self) -> torch.device:
        return next(self.parameters()).device

    @classmethod
    def build(cls, **kw: Any) -> "Base":
        return cls(**kw)

    def num_params(self):
        return sum(int(np.prod(p.shape)) for p in self.parameters())


class Net(Base):
    ACT: Dict[str, Callable] = {"relu": F.relu, "gelu": partial(F.gelu, approximate="tanh"), "silu": F.silu}

    def __init__(self, sizes: Sequence[int], act: str = "gelu"):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(i, o) for i, o in itertools.pairwise(sizes)])
        self.scale = nn.ParameterDict({"a": nn.Parameter(torch.ones(1)), "b": nn.Parameter(torch.zeros(1))})
        self.extra = nn.ParameterList([nn.Parameter(torch.randn(sizes[-1])) for _ in range(2)])
        self.act = self.ACT[act]
        for l in self.layers:
            xavier_normal_(l.weight)
            zeros_(l.bias)

    def encode(self, x):
        return reduce(lambda h, l: self.act(l(h)), self.layers[:-1], x)

    def forward(self, x: Union[Tensor, np.ndarray]) -> Out:
        if not torch.is_tensor(x):
            x = torch.as_tensor(x, dtype=self.layers[0].weight.dtype, device=self.device)
        h = self.encode(x)
        y = self.layers[-1](h) * self.scale["a"] + self.scale["b"]
        for e in self.extra:
            y = y + e
        return Out(y, h)


class Charbonnier(Loss):
    def __init__(self, eps=1e-3, size_average=None, reduce=None, reduction: str = "mean") -> None:
        super().__init__()
        self.reduction = reduction
        self.eps = eps

    def forward(self, input, target):
        loss = torch.sqrt((input - target) ** 2 + self.eps**2)
        return loss.mean() if self.reduction == "mean" else loss.sum()


class Stream(IterableDataset):
    def __init__(self, n):
        self.n = n

    def __iter__(self):
        info = torch.utils.data.get_worker_info()
        assert info is None
        return iter({"v": torch.tensor(float(i)), "name": f"n{i}"} for i in range(self.n))


class Bucket(Sampler):
    def __init__(self, lengths, size):
        self.order, self.size = sorted(range(len(lengths)), key=lengths.__getitem__), size

    def __iter__(self):
        batches = [self.order[i : i + self.size] for i in range(0, len(self.order), self.size)]
        yield from (batches[i] for i in torch.randperm(len(batches)).tolist())

    def __len__(self):
        return -(-len(self.order) // self.size)


class AverageMeter:
    def __init__(self, name, fmt=":f"):
        self.name, self.fmt = name, fmt
        self.val = self.avg = self.sum = self.count = 0

    def update(self, val, n=1):
        self.val = val
        self.sum += val * n
        self.count += n
        self.avg = self.sum / self.count

    def __str__(self):
        return ("{name} {val" + self.fmt + "} ({avg" + self.fmt + "})").format(**self.__dict__)


def accuracy(output, target, topk=(1,)):
    with torch.no_grad():
        maxk, batch_size = max(topk), target.size(0)
        _, pred = output.topk(maxk, 1, True, True)
        correct = pred.t().eq(target.view(1, -1).expand_as(pred.t()))
        return [correct[:k].reshape(-1).float().sum(0, keepdim=True).mul_(100.0 / batch_size) for k in topk]


@torch.no_grad()
def evaluate(model, loader):
    was = model.training
    model.eval()
    total = sum(F.cross_entropy(model(x).logits, y, reduction="sum").item() for x, y in loader)
    model.train(was)
    return total / len(loader.dataset)


@lru_cache(maxsize=None)
def positions(n):
    return torch.arange(n).float()


def schedules(results):
    p = [nn.Parameter(torch.zeros(1))]
    makers = [lambda o: MultiStepLR(o, milestones=[2, 4], gamma=0.5), lambda o: CosineAnnealingWarmRestarts(o, T_0=3, T_mult=2),
              lambda o: OneCycleLR(o, max_lr=0.3, total_steps=8), lambda o: CyclicLR(o, base_lr=0.01, max_lr=0.1, step_size_up=3, mode="triangular2"),
              lambda o: SequentialLR(o, [LinearLR(o, 0.1, total_iters=3), MultiStepLR(o, [2])], milestones=[3])]
    for make in makers:
        opt = optim.SGD(p, lr=0.2, momentum=0.9)
        sched = make(opt)
        for _ in range(6):
            opt.step()
            sched.step()
            results.append(opt.param_groups[0]["lr"])


def main():
    torch.manual_seed(41)
    random.seed(41)
    torch.set_default_dtype(torch.float64)
    warnings.filterwarnings("ignore")
    t0, results = time.time(), []
    model = Net.build(sizes=(4, 6, 5, 3))
    x, y = torch.randn(20, 4), torch.randint(3, size=(20,))
    ds = data.TensorDataset(x, y)
    counts = torch.bincount(y, minlength=3).double()
    sampler = WeightedRandomSampler((1.0 / counts)[y], num_samples=20, replacement=True)
    loader = data.DataLoader(ds, batch_size=7, sampler=sampler, pin_memory=False)
    opt = optim.Adamax(model.parameters(), lr=0.01)
    losses, top1 = AverageMeter("Loss", ":.4e"), AverageMeter("Acc@1", ":6.2f")
    ctx = nullcontext() if True else torch.autocast("cpu")
    for epoch in range(2):
        for i, (xb, yb) in enumerate(loader, start=1):
            with ctx:
                out: Out = model(xb)
                loss = F.cross_entropy(out.logits, yb)
            l1 = sum(p.abs().sum() for n, p in model.named_parameters() if re.match(r"layers\.\d+\.weight", n))
            (loss + 1e-4 * l1 + Charbonnier()(out.hidden, torch.zeros_like(out.hidden))).backward()
            clip_grad_norm_(model.parameters(), max_norm=1.0)
            opt.step()
            opt.zero_grad()
            losses.update(loss.item(), xb.size(0))
            top1.update(accuracy(out.logits, yb, topk=(1, 2))[0][0], len(xb))
        results += [losses.avg, float(top1.avg), evaluate(model, data.DataLoader(ds, batch_size=8)), len(str(losses))]
    results += [model.num_params(), len(list(model.named_modules())), len(repr(model.layers)), model(x.numpy()).logits.sum().item()]
    names = [n for n, _ in model.named_parameters()]
    results += [len(names), names.index("scale.a"), len(" ".join(names)), len(dict(model.named_children()))]
    assert isinstance(model, nn.Module) and issubclass(Net, tnn.Module) and TF.relu is F.relu
    both = ConcatDataset([ds, data.TensorDataset(x + 1, y)])
    results += [len(both), both[25][0].sum().item(), both.cumulative_sizes[-1]]
    for batch in data.DataLoader(Stream(5), batch_size=2):
        results += [batch["v"].sum().item(), len(batch["name"])]
    lengths = [3, 1, 4, 1, 5, 9, 2, 6]
    seqs = [torch.arange(n).double() for n in lengths]
    for batch in data.DataLoader(seqs, batch_sampler=Bucket(lengths, 3), collate_fn=lambda b: nn.utils.rnn.pad_sequence(b, True, -1)):
        results += [*batch.shape, batch.sum().item()]
    results += [list(BatchSampler(SequentialSampler(range(7)), 3, drop_last=True))[1][2], default_collate([(1, 2.0), (3, 4.0)])[1].sum().item()]
    schedules(results)

    a = torch.arange(12).reshape(3, 4)
    results += [a[-1, -1].item(), a[:, [0, 2]].sum().item(), a[a % 2 == 0].sum().item(), a[torch.tensor([0, 2]), torch.tensor([1, 3])].sum().item()]
    results += [a[None, ..., 1].shape[0], a[1:, ::2].flatten()[-1].item(), int(a.sum()), a.float().mean().item(), (a // 5).sum().item(), (a % 5).sum().item()]
    b = a.clone().double()
    b[1] = 0.5
    b[:, 1] += torch.arange(3)
    b[b > 8] /= 2
    b[0, :2], b[2, 2:] = b[2, 2:].clone(), b[0, :2].clone()
    b.index_fill_(1, torch.tensor([3]), -1).index_copy_(0, torch.tensor([1]), torch.ones(1, 4)).put_(torch.tensor([0]), torch.tensor([9.0]))
    b.fill_diagonal_(0.25).pow_(2).sqrt_().lerp_(torch.ones(3, 4), 0.5)
    results += b.flatten().tolist()
    vals, idx = b.flatten().kthvalue(3)
    results += [vals.item(), b.median().item(), *b.quantile(torch.tensor([0.1, 0.9])).tolist(), *torch.std_mean(b, dim=0)[0].tolist(), b.logsumexp((0, 1)).item()]
    results += [*torch.unique(a % 3, return_counts=True)[1].tolist(), *torch.histc(b, bins=3, min=0, max=2).tolist(), *torch.bucketize(b[0], torch.tensor([0.3, 1.0])).tolist()]
    results += [torch.cartesian_prod(torch.arange(2), torch.arange(3)).sum().item(), torch.combinations(torch.arange(4)).shape[0], torch.tril_indices(3, 3).sum().item()]
    gx, gy = torch.meshgrid(torch.arange(3), torch.arange(2), indexing="ij")
    results += [gx.sum().item(), gy.flatten()[1].item(), torch.einsum("ij,kj->ik", b, b).trace().item(), torch.tensordot(b, b, dims=([1], [1])).sum().item()]
    results += [torch.block_diag(b[:2, :2], b[1:, 1:]).shape[1], torch.kron(torch.eye(2), b).sum().item(), torch.rot90(b).sum().item(), torch.vander(torch.arange(3.0)).sum().item()]
    w = torch.zeros(3, requires_grad=True)
    with torch.no_grad():
        w[1:] = torch.tensor([1.0, 2.0])
    z = torch.zeros(3)
    z[0] = w[1] * 2
    z[1:] = w[1:] ** 2
    z *= 3
    z.sum().backward()
    results += w.grad.tolist() + [torch.logical_xor(w > 0, w < 2).sum().item(), torch.isclose(w, w + 1e-9).all().item(), bool((w == w).all())]
    results += [len(f"{w.grad}"), len(f"{w.sum().item():>10.4f}"), len(str(torch.arange(3))), len(repr(torch.tensor([1.5, float("nan"), -2.0]))), len(str(torch.rand(30, 30)))]
    results += [positions(4).sum().item(), torch.finfo(torch.float32).eps, torch.iinfo(torch.int64).max / 2**63, torch.tensor(3).item(), time.time() >= t0]
    it: Iterable[Tensor] = torch.ones(2, 3).unbind(0)
    results += [sum(t.sum().item() for t in it), [t.shape[0] for t in torch.ones(7).chunk(3)][-1], torch.Size([2, 3]).numel(), len(torch.split(torch.ones(5), [2, 3])[1])]
    gen = torch.Generator()
    gen.manual_seed(3)
    results += [torch.randn(2, generator=gen).sum().item(), torch.randperm(5, generator=gen)[0].item(), torch.initial_seed(), torch.empty(3).normal_(1, 2).sum().item()]
    results += [torch.empty(2).exponential_(2.0).sum().item(), torch.randn(3).geometric_(0.3).sum().item(), torch.poisson(torch.tensor([3.0])).item(), torch.rand(2).log_normal_().sum().item()]
    return [float(r) for r in results]
