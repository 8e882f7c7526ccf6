"""Optimizers that people write themselves, on top of PyTorch's, with schedules, states and groups that travel."""

import copy
import io
import math

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import optim


class SAM(optim.Optimizer):
    """Two steps: to where the loss is worst nearby, and back with the gradient from there."""

    def __init__(self, params, base, rho=0.05, adaptive=False, **options):
        super().__init__(params, dict(rho=rho, adaptive=adaptive, **options))
        self.base = base(self.param_groups, **options)
        self.param_groups = self.base.param_groups
        self.defaults.update(self.base.defaults)

    @torch.no_grad()
    def climb(self):
        sizes = [((p.abs() if group["adaptive"] else 1.0) * p.grad).norm(p=2) for group in self.param_groups for p in group["params"]]
        norm = torch.norm(torch.stack(sizes), p=2)
        for group in self.param_groups:
            for p in group["params"]:
                self.state[p]["old"] = p.data.clone()
                p.add_((torch.pow(p, 2) if group["adaptive"] else 1.0) * p.grad * (group["rho"] / (norm + 1e-12)).to(p))
        self.zero_grad()

    @torch.no_grad()
    def step(self, closure=None):
        self.climb()
        with torch.enable_grad():
            closure()
        for group in self.param_groups:
            for p in group["params"]:
                p.data = self.state[p]["old"]
        self.base.step()


class Lion(optim.Optimizer):
    def __init__(self, params, lr=1e-4, betas=(0.9, 0.99), weight_decay=0.0):
        super().__init__(params, dict(lr=lr, betas=betas, weight_decay=weight_decay))

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                p.data.mul_(1 - group["lr"] * group["weight_decay"])
                state, (b1, b2) = self.state[p], group["betas"]
                if len(state) == 0:
                    state["exp_avg"] = torch.zeros_like(p, memory_format=torch.preserve_format)
                p.add_(state["exp_avg"].clone().mul_(b1).add(p.grad, alpha=1 - b1).sign_(), alpha=-group["lr"])
                state["exp_avg"].mul_(b2).add_(p.grad, alpha=1 - b2)


class LARS(optim.SGD):
    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for p in group["params"]:
                size, slope = p.norm(), p.grad.norm()
                p.grad.mul_(torch.where(size * slope > 0, 0.1 * size / slope, torch.ones_like(size)))
        return super().step(closure)


def problem():
    torch.manual_seed(4)
    model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3))
    return model, torch.randn(16, 4), torch.randint(0, 3, (16,))


def own_optimizers():
    out = []
    for make in (
        lambda p: SAM(p, optim.SGD, lr=0.1, momentum=0.9),
        lambda p: SAM(p, optim.Adam, rho=0.1, adaptive=True, lr=0.01),
        lambda p: Lion(p, 1e-2, weight_decay=0.1),
        lambda p: LARS(p, lr=0.1, momentum=0.9),
    ):
        model, x, y = problem()
        optimizer = make(model.parameters())
        schedule = optim.lr_scheduler.CosineAnnealingLR(optimizer, 5)

        def closure():
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            return loss

        for _ in range(3):
            optimizer.zero_grad()
            out.append(closure())
            optimizer.step(closure)
            schedule.step()
        out += [list(model.parameters()), schedule.get_last_lr()]
    return out


def states_that_travel():
    """A state that is loaded is shared with the optimizer it came from, unless it is copied or saved."""
    out = []
    for way in ("shared", "copied", "saved"):
        model, x, y = problem()
        optimizer = optim.Adam(model.parameters(), lr=0.05)

        def step(model, optimizer):
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()

        step(model, optimizer)
        twin = copy.deepcopy(model)
        out.append(twin[0].weight.grad is None)
        other, state = optim.Adam(twin.parameters(), lr=0.3), optimizer.state_dict()
        if way == "copied":
            state = copy.deepcopy(state)
        elif way == "saved":
            buffer = io.BytesIO()
            torch.save({"optimizer": state, "epoch": 1}, buffer)
            buffer.seek(0)
            state = torch.load(buffer)["optimizer"]
        other.load_state_dict(state)
        for _ in range(2):
            step(model, optimizer)
            step(twin, other)
        out += [list(model.parameters()), list(twin.parameters()), other.param_groups[0]["lr"], other.state[twin[0].bias]["step"]]
    return out


def groups_and_hooks():
    model, x, y = problem()
    seen = []
    optimizer = optim.SGD([{"params": model[0].parameters(), "lr": 1e-2}, {"params": model[2].parameters()}], lr=0.1, momentum=0.9)
    optimizer.register_step_pre_hook(lambda o, args, kwargs: seen.append(len(args)))
    optimizer.register_step_post_hook(lambda o, args, kwargs: seen.append(args[0] is o))
    extra = nn.Parameter(torch.zeros(3))
    for step in range(4):
        if step == 2:
            optimizer.add_param_group({"params": extra, "weight_decay": 0.1})
        optimizer.zero_grad()
        F.cross_entropy(model(x) + extra, y).backward()
        optimizer.step()
    z = torch.tensor([1.0 + 2.0j, -1.0 + 0.5j], requires_grad=True)
    for cls in (optim.Adagrad, optim.Adam, optim.RMSprop):
        complex_one = cls([z], lr=0.1)
        for _ in range(2):
            complex_one.zero_grad()
            (z.abs() ** 3).sum().backward()
            complex_one.step()
        seen += [z.real.detach().clone(), z.imag.detach().clone()]
    return seen, list(model.parameters()), extra, [len(g) for g in optimizer.param_groups], len(optimizer.state_dict()["state"])


def schedules_of_schedules():
    out = []
    for make in (
        lambda o, s: s.ChainedScheduler([s.LinearLR(o, 0.1, total_iters=4), s.CosineAnnealingWarmRestarts(o, 3, 2), s.ExponentialLR(o, 0.97)]),
        lambda o, s: s.SequentialLR(o, [s.ConstantLR(o, 0.3, 2), s.OneCycleLR(o, 0.5, total_steps=12), s.StepLR(o, 2)], milestones=[3, 8]),
        lambda o, s: s.LambdaLR(o, [lambda e: min((e + 1) / 5, 0.5 * (1 + math.cos(math.pi * e / 12))), lambda e: 0.9**e]),
    ):
        optimizer = optim.SGD([dict(params=[nn.Parameter(torch.ones(2))]), dict(params=[nn.Parameter(torch.ones(1))], lr=0.3)], 0.1, 0.9)
        schedule = make(optimizer, optim.lr_scheduler)
        for step in range(11):
            optimizer.step()
            schedule.step()
            out += [schedule.get_last_lr(), optimizer.param_groups[0]["momentum"]]
    return out
