"""What people do with modules beside calling them: wrap, replace, copy, rename, freeze, tie, adapt, average and look inside."""

import copy
import math
from collections import OrderedDict, defaultdict
from dataclasses import dataclass

import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.nn.utils.parametrize as parametrize
from torch.utils.data import DataLoader, TensorDataset, random_split


class Wrapped(nn.Module):
    """Passes on what it does not have itself."""

    def __init__(self, module):
        super().__init__()
        self.module = module

    def forward(self, *args, **kwargs):
        return self.module(*args, **kwargs) + 1

    def __getattr__(self, name):
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(self.module, name)


@dataclass(eq=False)
class Sized(nn.Module):
    inputs: int = 2
    outputs: int = 3

    def __post_init__(self):
        super().__init__()
        self.linear = nn.Linear(self.inputs, self.outputs)

    def forward(self, x, *, scale=1.0):
        return self.linear(x) * scale


class Forgetful(nn.Module):
    def __init__(self):
        self.linear = nn.Linear(1, 1)  # before super().__init__()


def wrapped_and_replaced():
    model = Wrapped(nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.ModuleDict({"a": nn.ReLU(), "b": nn.Sequential(nn.ReLU())})["b"]))

    def replace(module):
        for name, child in module.named_children():
            if isinstance(child, nn.ReLU):
                setattr(module, name, nn.SiLU())
            else:
                replace(child)

    replace(model)
    out = [model(torch.ones(1, 2)), len(model.module), callable(model.append), hasattr(model, "nothing"), len(repr(model)), Sized(2, 4)(torch.ones(2), scale=2.0)]
    try:
        Forgetful()
    except AttributeError:
        out.append(True)
    layer = nn.Linear(2, 2)
    layer.forward = lambda x: x * 7
    return out, layer(torch.ones(2))


class Renamed(nn.Linear):
    """Loads states of a former version, in which the weight was transposed and had another name."""

    _version = 2

    def _load_from_state_dict(self, state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs):
        if local_metadata.get("version", 1) < 2 and prefix + "kernel" in state_dict:
            state_dict[prefix + "weight"] = state_dict.pop(prefix + "kernel").t()
        super()._load_from_state_dict(state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs)


class Detector(nn.Module):
    """Converts a tensor that is no buffer with the rest."""

    def __init__(self):
        super().__init__()
        self.head, self.strides = Renamed(2, 3), torch.tensor([8.0, 16.0])

    def _apply(self, fn, recurse=True):
        super()._apply(fn)
        self.strides = fn(self.strides)
        return self


def states_of_other_versions():
    model = nn.Sequential(OrderedDict(detector=Detector(), norm=nn.BatchNorm1d(3)))
    old = {"detector.head.kernel": torch.arange(6.0).view(2, 3), "detector.head.bias": torch.ones(3), "norm.weight": torch.ones(3),
           "norm.bias": torch.zeros(3), "norm.running_mean": torch.ones(3), "norm.running_var": torch.ones(3)}  # fmt: skip
    model.load_state_dict(old)
    found = model.load_state_dict({**model.state_dict(), "more": torch.ones(1)}, strict=False)
    part = model.load_state_dict({"norm.bias": torch.ones(3)}, strict=False)
    versions = [facts["version"] for facts in model.state_dict()._metadata.values()]
    half = copy.deepcopy(model).half()
    out = [len(found.unexpected_keys), len(part.missing_keys), versions, half.detector.strides.dtype == torch.float16]
    return out, half.norm.num_batches_tracked.dtype == torch.int64, model.state_dict()


def copies():
    model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    model(torch.randn(4, 2)).sum().backward()
    twin = copy.deepcopy(model)
    out = [twin[0].weight.grad is None, model[0].weight.grad is None]
    optimizer = torch.optim.SGD(twin.parameters(), 0.1, weight_decay=0.5)
    optimizer.step()  # nothing has a gradient yet
    out.append(torch.equal(twin[0].weight, model[0].weight))
    twin(torch.randn(4, 2)).pow(2).sum().backward()
    optimizer.step()
    average = {k: torch.stack([m.state_dict()[k].double() for m in (model, twin)]).mean(0) for k in model.state_dict()}
    model.load_state_dict(average)
    return out, model.state_dict(), [p.grad for p in twin.parameters()]


def looking_inside():
    net = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(64, 10))
    rows, handles, seen = [], [], {}

    def note(module, inputs, output):
        rows.append([*output.size(), sum(p.numel() for p in module.parameters() if p.requires_grad)])

    net.apply(lambda m: handles.append(m.register_forward_hook(note)) if not isinstance(m, nn.Sequential) else None)
    net(torch.rand(2, 1, 8, 8))
    for handle in handles:
        handle.remove()
    net[3].register_forward_hook(lambda m, i, o: seen.update(activation=o))
    net[3].register_full_backward_hook(lambda m, gi, go: seen.update(gradient=go[0]))
    out = net(torch.rand(1, 1, 8, 8))
    out[0, out.argmax()].backward()
    heat = F.relu((seen["gradient"].mean((2, 3), keepdim=True) * seen["activation"]).sum(1))
    return rows, heat, sum(p.numel() * p.element_size() for p in net.parameters())


class LowRank(nn.Module):
    def __init__(self, outputs, inputs, rank=2, alpha=4):
        super().__init__()
        self.left, self.right, self.scale, self.enabled = nn.Parameter(torch.zeros(outputs, rank)), nn.Parameter(torch.randn(rank, inputs)), alpha / rank, True

    def forward(self, weight):
        return weight + self.left @ self.right * self.scale if self.enabled else weight


def low_rank_adaptation():
    model = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 2))
    for layer in model:
        if isinstance(layer, nn.Linear):
            parametrize.register_parametrization(layer, "weight", LowRank(*layer.weight.shape))
    for name, p in model.named_parameters():
        p.requires_grad_(name.endswith(("left", "right")))
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], 0.1)
    x, y, out = torch.randn(8, 4), torch.randint(0, 2, (8,)), []
    for _ in range(3):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        out.append(loss)
    for module in model.modules():
        if isinstance(module, LowRank):
            module.enabled = False
    out.append(model(x))
    parametrize.remove_parametrizations(model[0], "weight")
    return out, model[0].weight, [p.requires_grad for p in model.parameters()], len(model.state_dict())


def a_whole_recipe():
    x = torch.randn(60, 6)
    train, valid = random_split(TensorDataset(x, (x[:, 0] * x[:, 1] > 0).long()), [48, 12], generator=torch.Generator().manual_seed(0))
    model = nn.Sequential(nn.Linear(6, 16), nn.LayerNorm(16), nn.GELU(), nn.Dropout(0.1), nn.Linear(16, 2))
    decayed = [p for p in model.parameters() if p.ndim >= 2]
    rest = [p for p in model.parameters() if p.ndim < 2]
    optimizer = torch.optim.AdamW([{"params": decayed, "weight_decay": 0.05}, {"params": rest, "weight_decay": 0.0}], lr=3e-3, betas=(0.9, 0.95))
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda s: min((s + 1) / 3, 0.5 * (1 + math.cos(math.pi * s / 8))))
    shadow = {n: p.data.clone() for n, p in model.named_parameters()}
    criterion, history = nn.CrossEntropyLoss(label_smoothing=0.1), defaultdict(list)
    for _ in range(2):
        model.train()
        for i, (inputs, targets) in enumerate(DataLoader(train, 12, shuffle=True)):
            loss = criterion(model(inputs), targets) / 2
            loss.backward()
            if i % 2:
                history["norm"].append(nn.utils.clip_grad_norm_(model.parameters(), 1.0).item())
                optimizer.step()
                optimizer.zero_grad(set_to_none=True)
                for n, p in model.named_parameters():
                    shadow[n].mul_(0.9).add_(p.data, alpha=0.1)
            schedule.step()
            history["loss"].append(loss.item())
        model.eval()
        kept = {n: p.data for n, p in model.named_parameters()}
        for n, p in model.named_parameters():
            p.data = shadow[n]
        with torch.inference_mode():
            history["score"] += [criterion(model(inputs), targets).item() for inputs, targets in DataLoader(valid, 8)]
        for n, p in model.named_parameters():
            p.data = kept[n]
    return history, schedule.get_last_lr(), list(model.parameters()), shadow
