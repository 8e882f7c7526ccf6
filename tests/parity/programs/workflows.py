"""What people do around a model: prune, parametrise, checkpoint, save, hook, average, schedule, load data."""

import copy
import io
import math
import os
import tempfile
from collections import OrderedDict, defaultdict
from typing import Optional, List, Tuple, Union

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim
import torch.nn.utils.prune as prune
import torch.nn.utils.parametrize as parametrize
from torch import Tensor
from torch.nn.parameter import Parameter
from torch.nn.utils.parametrizations import orthogonal, spectral_norm, weight_norm
from torch.optim.lr_scheduler import LambdaLR, StepLR
from torch.utils.checkpoint import checkpoint, checkpoint_sequential
from torch.utils.data import (
    DataLoader,
    Dataset,
    IterableDataset,
    RandomSampler,
    Sampler,
    SequentialSampler,
    Subset,
    TensorDataset,
    WeightedRandomSampler,
    random_split,
    BatchSampler,
)


class LeNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 3, 5)
        self.conv2 = nn.Conv2d(3, 4, 5)
        self.fc1 = nn.Linear(4 * 4 * 4, 12)
        self.fc2 = nn.Linear(12, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), (2, 2))
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        x = x.view(-1, int(x.nelement() / x.shape[0]))
        return self.fc2(F.relu(self.fc1(x)))


def pruning():
    model = LeNet()
    module = model.conv1
    out = []
    prune.random_unstructured(module, name="weight", amount=0.3)
    out += [[n for n, _ in module.named_parameters()], [n for n, _ in module.named_buffers()], module.weight]
    prune.l1_unstructured(module, name="bias", amount=1)
    out += [module.bias, len(module._forward_pre_hooks)]
    prune.ln_structured(module, name="weight", amount=0.5, n=2, dim=0)
    out += [module.weight, list(model.state_dict().keys())]
    for hook in module._forward_pre_hooks.values():
        if hook._tensor_name == "weight":
            out.append(len(list(hook)))
    y = model(torch.randn(2, 1, 28, 28))
    y.sum().backward()
    out += [y, module.weight_orig.grad.abs().sum(), module.bias_orig.grad]
    prune.remove(module, "weight")
    out += [[n for n, _ in module.named_parameters()], module.weight]
    new = LeNet()
    for name, m in new.named_modules():
        if isinstance(m, nn.Conv2d):
            prune.l1_unstructured(m, name="weight", amount=0.2)
        elif isinstance(m, nn.Linear):
            prune.l1_unstructured(m, name="weight", amount=0.4)
    out += [list(dict(new.named_buffers()).keys())]
    m = LeNet()
    params = ((m.conv1, "weight"), (m.conv2, "weight"), (m.fc1, "weight"))
    prune.global_unstructured(params, pruning_method=prune.L1Unstructured, amount=0.2)
    out += [float(torch.sum(p.weight == 0)) / float(p.weight.nelement()) for p, _ in params]

    class FooBar(prune.BasePruningMethod):
        PRUNING_TYPE = "unstructured"

        def compute_mask(self, t, default_mask):
            mask = default_mask.clone()
            mask.view(-1)[::2] = 0
            return mask

    def foobar(module, name):
        FooBar.apply(module, name)
        return module

    fb = LeNet()
    foobar(fb.fc2, name="bias")
    out += [fb.fc2.bias_mask, prune.is_pruned(fb)]
    rs = nn.Linear(6, 4)
    prune.random_structured(rs, "weight", amount=2, dim=1)
    out.append(rs.weight)
    prune.custom_from_mask(rs, "bias", torch.tensor([0, 1, 0, 1]))
    out.append(rs.bias)
    opt = optim.SGD(rs.parameters(), lr=0.1)
    rs(torch.ones(1, 6)).sum().backward()
    opt.step()
    rs(torch.ones(1, 6))
    out += [rs.weight, rs.weight_orig]
    return out


def parametrizations():
    out = []

    class Symmetric(nn.Module):
        def forward(self, X):
            return X.triu() + X.triu(1).transpose(-1, -2)

        def right_inverse(self, A):
            return A.triu()

    class Skew(nn.Module):
        def forward(self, X):
            A = X.triu(1)
            return A - A.transpose(-1, -2)

        def right_inverse(self, A):
            return A.triu(1)

    class MatrixExponential(nn.Module):
        def forward(self, X):
            return torch.matrix_exp(X)

    layer = nn.Linear(3, 3)
    parametrize.register_parametrization(layer, "weight", Symmetric())
    print(layer)
    out.append(layer.weight)
    layer.weight = torch.ones(3, 3).triu() + torch.ones(3, 3).triu(1).T
    out.append(layer.weight)
    with parametrize.cached():
        out.append(layer.weight is layer.weight)
    l2 = nn.Linear(3, 3)
    parametrize.register_parametrization(l2, "weight", Skew())
    parametrize.register_parametrization(l2, "weight", MatrixExponential())
    X = l2.weight
    out += [X, torch.dist(X.T @ X, torch.eye(3)) < 1e-6, list(l2.state_dict()), type(l2).__name__]
    parametrize.remove_parametrizations(l2, "weight", leave_parametrized=True)
    out += [list(l2.state_dict())]
    for shape in ((4, 4), (6, 3), (3, 6)):
        for m in ("matrix_exp", "cayley", "householder"):
            o = orthogonal(nn.Linear(shape[1], shape[0]), orthogonal_map=m)
            w = o.weight
            x = torch.randn(2, shape[1])
            opt = optim.SGD(o.parameters(), lr=0.1)
            o(x).pow(2).sum().backward()
            opt.step()
            out += [w, o.weight]
    wn = weight_norm(nn.Linear(4, 3))
    sn = spectral_norm(nn.Conv2d(2, 3, 3))
    out += [list(wn.state_dict()), list(sn.state_dict())]
    for _ in range(3):
        out.append(sn(torch.ones(1, 2, 4, 4)))
    out.append(wn(torch.ones(1, 4)))
    print(wn)
    print(sn)
    return out


def checkpointing():
    out = []

    def run(a, b, x):
        return torch.sigmoid(a(x)) @ b

    lin = nn.Linear(4, 4)
    drop = nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.5), nn.ReLU(), nn.Linear(8, 4))
    bn = nn.BatchNorm1d(4)
    b = torch.randn(4, 4, requires_grad=True)
    x = torch.randn(5, 4, requires_grad=True)
    for re in (True, False):
        for p in (x, b, *lin.parameters(), *drop.parameters()):
            p.grad = None
        y = checkpoint(run, lin, b, x, use_reentrant=re)
        z = checkpoint(drop, y, use_reentrant=re)
        w = checkpoint(lambda t: (bn(t), t * 2), z, use_reentrant=re)
        loss = w[0].pow(2).sum() * 0.3 + w[1].sum()
        loss.backward()
        out += [loss, x.grad, b.grad, lin.weight.grad, drop[0].weight.grad, bn.running_mean, bn.num_batches_tracked]
    seq = nn.Sequential(*[nn.Sequential(nn.Linear(4, 4), nn.Tanh()) for _ in range(5)])
    y = checkpoint_sequential(seq, 2, x, use_reentrant=False)
    g = torch.autograd.grad(y.sum(), [x, *seq.parameters()])
    out += [y, g]
    g = torch.autograd.grad(checkpoint(lambda t: (t**3).sum(), x, use_reentrant=False), x, create_graph=True)[0]
    out += [torch.autograd.grad(g.sum(), x)[0]]
    with torch.no_grad():
        out.append(checkpoint(seq, x, use_reentrant=False))
    return out


def amp_compile_jit():
    out = []
    device = "cuda" if torch.cuda.is_available() else "cpu"
    use_amp = False
    net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2)).to(device)
    opt = torch.optim.SGD(net.parameters(), lr=0.01)
    scaler = torch.amp.GradScaler(device, enabled=use_amp)
    sc = torch.amp.GradScaler("cpu", init_scale=8.0, growth_interval=2)
    x, y = torch.randn(6, 4), torch.randn(6, 2)
    for k in range(4):
        with torch.autocast(device_type=device, dtype=torch.float16, enabled=use_amp):
            l = F.mse_loss(net(x), y)
        scaler.scale(l).backward()
        scaler.step(opt)
        scaler.update()
        opt.zero_grad()
        out += [l.item(), scaler.get_scale()]
        sc.scale(F.mse_loss(net(x), y)).backward()
        sc.unscale_(opt)
        out.append(nn.utils.clip_grad_norm_(net.parameters(), 0.5))
        sc.step(opt)
        sc.update()
        opt.zero_grad()
        out.append(sc.get_scale())
    net[0].weight.grad = torch.full((8, 4), float("inf"))
    before = net[0].weight.clone()
    sc.step(opt)
    sc.update()
    out += [(net[0].weight == before).all(), sc.get_scale()]

    @torch.compile
    def f(x, y):
        return torch.sin(x) + torch.cos(y)

    out.append(f(x, x))
    m = torch.jit.script(net) if False else torch.jit.trace(net, x)
    out.append(m(x))

    @torch.jit.script
    def fn(x: torch.Tensor, k: int) -> torch.Tensor:
        for i in range(k):
            x = x * 0.5
        return x

    out.append(fn(x, 3))
    with torch.autograd.profiler.record_function("x"):
        pass
    torch.set_float32_matmul_precision("high")
    torch.use_deterministic_algorithms(False)
    return out


def state_dict_surgery():
    out = []
    m = LeNet()
    opt = optim.Adam(m.parameters(), lr=1e-3)
    for _ in range(2):
        opt.zero_grad()
        m(torch.randn(2, 1, 28, 28)).pow(2).mean().backward()
        opt.step()
    with tempfile.TemporaryDirectory() as d:
        path = os.path.join(d, "ckpt.pt")
        torch.save(
            {
                "epoch": 5,
                "model_state_dict": m.state_dict(),
                "optimizer_state_dict": opt.state_dict(),
                "loss": 0.4,
                "args": {"lr": 1e-3, "names": ["a", "b"], "flag": True, "none": None, "t": (1, 2)},
            },
            path,
        )
        ck = torch.load(path, weights_only=True)
        n = LeNet()
        n.load_state_dict(ck["model_state_dict"])
        o2 = optim.Adam(n.parameters(), lr=1)
        o2.load_state_dict(ck["optimizer_state_dict"])
        out += [ck["epoch"], ck["loss"], ck["args"]["t"], o2.param_groups[0]["lr"]]
        buf = io.BytesIO()
        torch.save(m.state_dict(), buf)
        buf.seek(0)
        sd = torch.load(buf, map_location="cpu")
        out.append(list(sd))
        torch.save(torch.arange(5), path)
        out.append(torch.load(path))
        torch.save([torch.ones(2), {"a": torch.zeros(1)}], path)
        out.append(torch.load(path, map_location=torch.device("cpu")))
    x = torch.randn(2, 1, 28, 28)
    for a, o in ((m, opt), (n, o2)):
        o.zero_grad()
        l = a(x).pow(2).mean()
        l.backward()
        o.step()
        out.append(a(x).sum())
    sd = OrderedDict((k.replace("fc", "dense"), v) for k, v in m.state_dict().items())
    r = n.load_state_dict(sd, strict=False)
    out += [r.missing_keys, r.unexpected_keys]
    print(r)
    try:
        n.load_state_dict(sd)
    except RuntimeError as e:
        out.append(type(e).__name__)
    pre = m.state_dict()
    mine = n.state_dict()
    pre = {k: v for k, v in pre.items() if k in mine and v.size() == mine[k].size()}
    mine.update(pre)
    print(n.load_state_dict(mine))
    for k, v in m.state_dict().items():
        print(k, "\t", v.size())
    for k, v in opt.state_dict()["param_groups"][0].items():
        print(k, v)
    for p in m.parameters():
        p.requires_grad = False
    m.fc2 = nn.Linear(12, 3)
    opt = optim.SGD(m.fc2.parameters(), lr=0.1, momentum=0.9)
    l = F.cross_entropy(m(x), torch.tensor([0, 2]))
    l.backward()
    opt.step()
    out += [
        l,
        [n for n, p in m.named_parameters() if p.requires_grad],
        sum(p.numel() for p in m.parameters() if p.requires_grad),
        m.conv1.weight.grad,
    ]
    c = copy.deepcopy(m)
    c.fc2.bias.data.zero_()
    out += [m.fc2.bias, c.fc2.bias]
    return out


def hooks():
    out = []
    acts = {}
    m = LeNet()

    def get(name):
        def hook(model, input, output):
            acts[name] = output.detach()

        return hook

    h = m.conv1.register_forward_hook(get("conv1"))
    h2 = m.fc1.register_forward_pre_hook(lambda mod, inp: (inp[0] * 2,))
    grads = []

    def bh(mod, gi, go):
        grads.append([None if g is None else g.clone() for g in gi])
        grads.append([g.clone() for g in go])

    h3 = m.fc2.register_full_backward_hook(bh)
    h4 = m.fc1.register_full_backward_hook(lambda mod, gi, go: (gi[0] * 0.5,))
    x = torch.randn(2, 1, 28, 28)
    y = m(x)
    y.sum().backward()
    out += [y, acts["conv1"].shape, grads, m.conv1.weight.grad.sum()]
    for hh in (h, h2, h3, h4):
        hh.remove()
    y = m(x)
    out.append(y)
    t = torch.randn(3, requires_grad=True)
    z = t * 2
    z.retain_grad()
    z.register_hook(lambda g: g * 3)
    hh = t.register_hook(lambda g: print("grad", g.tolist()))
    (z**2).sum().backward()
    out += [z.grad, t.grad]
    t.register_post_accumulate_grad_hook(lambda p: out.append(p.grad.clone()))
    (t * 2).sum().backward()

    class Two(nn.Module):
        def forward(self, a, b):
            return a * b, a + b

    two = Two()
    got = []
    two.register_full_backward_hook(lambda m, gi, go: got.append((gi, go)) or tuple(g * 2 for g in gi))
    a, b = torch.ones(2, requires_grad=True), torch.full((2,), 3.0, requires_grad=True)
    p, q = two(a, b)
    (p.sum() + 2 * q.sum()).backward()
    out += [got, a.grad, b.grad]
    feats = {}

    class Extractor(nn.Module):
        def __init__(self, model, layers):
            super().__init__()
            self.model = model
            for l in layers:
                dict([*self.model.named_modules()])[l].register_forward_hook(self.save(l))

        def save(self, l):
            def fn(_, __, o):
                feats[l] = o

            return fn

        def forward(self, x):
            _ = self.model(x)
            return feats

    f = Extractor(LeNet(), ["conv2", "fc1"])(x)
    out += [{k: v.sum() for k, v in f.items()}]
    g = torch.nn.modules.module.register_module_forward_hook(lambda mod, i, o: out.append(type(mod).__name__))
    nn.Linear(1, 1)(torch.ones(1, 1))
    g.remove()
    m.fc1.register_full_backward_pre_hook(lambda mod, go: (go[0] * 0,))
    m.zero_grad()
    m(x).sum().backward()
    out.append(m.conv1.weight.grad.abs().sum())
    m.register_forward_hook(lambda mod, args, kwargs, o: o + len(kwargs), with_kwargs=True)
    out.append(m(x=x) - y)
    return out


def ema_swa():
    from torch.optim.swa_utils import AveragedModel, SWALR, get_ema_multi_avg_fn, update_bn

    m = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 1))
    opt = optim.SGD(m.parameters(), lr=0.1)
    swa = AveragedModel(m)
    ema = AveragedModel(m, multi_avg_fn=get_ema_multi_avg_fn(0.9))
    cus = AveragedModel(m, avg_fn=lambda a, p, n: 0.5 * a + 0.5 * p, use_buffers=True)
    sched = optim.lr_scheduler.CosineAnnealingLR(opt, T_max=4)
    sl = SWALR(opt, swa_lr=0.05, anneal_epochs=2, anneal_strategy="linear")
    out = []
    data = [(torch.randn(8, 3), torch.randn(8, 1)) for _ in range(3)]
    for ep in range(5):
        for x, y in data:
            opt.zero_grad()
            F.mse_loss(m(x), y).backward()
            opt.step()
            ema.update_parameters(m)
        if ep > 2:
            swa.update_parameters(m)
            cus.update_parameters(m)
            sl.step()
        else:
            sched.step()
        out.append(opt.param_groups[0]["lr"])
    update_bn(data, swa)
    out += [swa(data[0][0]), [p for p in ema.parameters()], [b for b in cus.buffers()], swa.n_averaged, list(swa.state_dict())]

    class EMA:
        def __init__(self, model, decay):
            self.model, self.decay, self.shadow, self.backup = model, decay, {}, {}

        def register(self):
            for n, p in self.model.named_parameters():
                if p.requires_grad:
                    self.shadow[n] = p.data.clone()

        def update(self):
            for n, p in self.model.named_parameters():
                assert n in self.shadow
                self.shadow[n] = ((1.0 - self.decay) * p.data + self.decay * self.shadow[n]).clone()

        def apply_shadow(self):
            for n, p in self.model.named_parameters():
                self.backup[n] = p.data
                p.data = self.shadow[n]

        def restore(self):
            for n, p in self.model.named_parameters():
                p.data = self.backup[n]

    e = EMA(m, 0.99)
    e.register()
    opt.zero_grad()
    m(data[0][0]).sum().backward()
    opt.step()
    e.update()
    e.apply_shadow()
    a = m(data[0][0])
    e.restore()
    b = m(data[0][0])
    with torch.no_grad():
        t = copy.deepcopy(m)
        for ps, pt in zip(m.parameters(), t.parameters()):
            pt.data.mul_(0.9).add_((1 - 0.9) * ps.detach().data)
        for ps, pt in zip(m.parameters(), t.parameters()):
            pt.lerp_(ps, 0.1)
    return out, a, b, list(t.parameters())


def custom_functions():
    out = []

    class LegendrePolynomial3(torch.autograd.Function):
        @staticmethod
        def forward(ctx, input):
            ctx.save_for_backward(input)
            return 0.5 * (5 * input**3 - 3 * input)

        @staticmethod
        def backward(ctx, grad_output):
            (input,) = ctx.saved_tensors
            return grad_output * 1.5 * (5 * input**2 - 1)

    class STE(torch.autograd.Function):
        @staticmethod
        def forward(ctx, input, threshold=0.0):
            return (input > threshold).float().to(input.dtype)

        @staticmethod
        def backward(ctx, g):
            return F.hardtanh(g), None

    class LinearF(torch.autograd.Function):
        @staticmethod
        def forward(input, weight, bias):
            output = input.mm(weight.t())
            if bias is not None:
                output += bias.unsqueeze(0).expand_as(output)
            return output

        @staticmethod
        def setup_context(ctx, inputs, output):
            input, weight, bias = inputs
            ctx.save_for_backward(input, weight, bias)

        @staticmethod
        def backward(ctx, grad_output):
            input, weight, bias = ctx.saved_tensors
            gi = gw = gb = None
            if ctx.needs_input_grad[0]:
                gi = grad_output.mm(weight)
            if ctx.needs_input_grad[1]:
                gw = grad_output.t().mm(input)
            if bias is not None and ctx.needs_input_grad[2]:
                gb = grad_output.sum(0)
            return gi, gw, gb

    class GRL(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, lambd):
            ctx.lambd = lambd
            return x.view_as(x)

        @staticmethod
        def backward(ctx, g):
            return g.neg() * ctx.lambd, None

    class Exp(torch.autograd.Function):
        @staticmethod
        def forward(ctx, i):
            r = i.exp()
            ctx.save_for_backward(r)
            return r

        @staticmethod
        def backward(ctx, g):
            (r,) = ctx.saved_tensors
            return g * r

        @staticmethod
        def jvp(ctx, t):
            return t

    class Sorted(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            v, i = torch.sort(x)
            ctx.mark_non_differentiable(i)
            ctx.save_for_backward(i)
            ctx.set_materialize_grads(False)
            return v, i

        @staticmethod
        def backward(ctx, g1, g2):
            (i,) = ctx.saved_tensors
            r = torch.zeros_like(g1)
            r.index_add_(0, i, g1)
            return r

    x = torch.linspace(-1, 1, 6, requires_grad=True)
    P3 = LegendrePolynomial3.apply
    y = P3(x)
    g = torch.autograd.grad(y.sum(), x, create_graph=True)[0]
    out += [y, g, torch.autograd.grad(g.sum(), x)[0]]
    out += [torch.autograd.grad(STE.apply(x).sum() * 3, x)[0], torch.autograd.grad((GRL.apply(x, 2.0) ** 2).sum(), x)[0]]
    i, w, b = torch.randn(3, 4, requires_grad=True), torch.randn(2, 4, requires_grad=True), torch.randn(2, requires_grad=True)
    out += [
        LinearF.apply(i, w, b),
        torch.autograd.grad(LinearF.apply(i, w, b).pow(2).sum(), (i, w, b)),
        torch.autograd.gradcheck(LinearF.apply, (i, w, None)),
        torch.autograd.gradgradcheck(P3, (x,)),
    ]
    v, k = Sorted.apply(-x)
    v[2].backward()
    out += [x.grad, k, k.requires_grad, Exp.apply(x).grad_fn is not None]

    def swish(x):
        return x * torch.sigmoid(x)

    out.append(torch.autograd.functional.hessian(lambda t: swish(t).sum(), x.detach()))
    return out


def custom_optimizers():
    from torch.optim.optimizer import Optimizer, required

    class MySGD(Optimizer):
        def __init__(self, params, lr=required, momentum=0.0):
            if lr is not required and lr < 0.0:
                raise ValueError("Invalid learning rate: {}".format(lr))
            super().__init__(params, dict(lr=lr, momentum=momentum))

        def __setstate__(self, state):
            super().__setstate__(state)

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
                    d_p = p.grad
                    state = self.state[p]
                    if "momentum_buffer" not in state:
                        buf = state["momentum_buffer"] = torch.clone(d_p).detach()
                    else:
                        buf = state["momentum_buffer"]
                        buf.mul_(group["momentum"]).add_(d_p)
                    p.add_(buf, alpha=-group["lr"])
            return loss

    class AdamOld(Optimizer):
        def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0):
            super().__init__(params, dict(lr=lr, betas=betas, eps=eps, weight_decay=weight_decay))

        def step(self, closure=None):
            for group in self.param_groups:
                for p in group["params"]:
                    if p.grad is None:
                        continue
                    grad = p.grad.data
                    if grad.is_sparse:
                        raise RuntimeError("no")
                    state = self.state[p]
                    if len(state) == 0:
                        state["step"] = 0
                        state["exp_avg"] = torch.zeros_like(p.data)
                        state["exp_avg_sq"] = torch.zeros_like(p.data, memory_format=torch.preserve_format)
                    ea, es = state["exp_avg"], state["exp_avg_sq"]
                    b1, b2 = group["betas"]
                    state["step"] += 1
                    if group["weight_decay"] != 0:
                        grad = grad.add(p.data, alpha=group["weight_decay"])
                    ea.mul_(b1).add_(grad, alpha=1 - b1)
                    es.mul_(b2).addcmul_(grad, grad, value=1 - b2)
                    denom = es.sqrt().add_(group["eps"])
                    s = group["lr"] * math.sqrt(1 - b2 ** state["step"]) / (1 - b1 ** state["step"])
                    p.data.addcdiv_(ea, denom, value=-s)

    class Lion(Optimizer):
        def __init__(self, params, lr=1e-4, betas=(0.9, 0.99), wd=0.0):
            super().__init__(params, dict(lr=lr, betas=betas, wd=wd))

        @torch.no_grad()
        def step(self, closure=None):
            for group in self.param_groups:
                for p in filter(lambda p: p.grad is not None, group["params"]):
                    st = self.state[p]
                    if len(st) == 0:
                        st["m"] = torch.zeros_like(p)
                    p.data.mul_(1 - group["lr"] * group["wd"])
                    u = st["m"].clone().mul_(group["betas"][0]).add(p.grad, alpha=1 - group["betas"][0]).sign_()
                    p.add_(u, alpha=-group["lr"])
                    st["m"].mul_(group["betas"][1]).add_(p.grad, alpha=1 - group["betas"][1])

    class SAM(Optimizer):
        def __init__(self, params, base, rho=0.05, **kw):
            super().__init__(params, dict(rho=rho, **kw))
            self.base_optimizer = base(self.param_groups, **kw)
            self.param_groups = self.base_optimizer.param_groups
            self.defaults.update(self.base_optimizer.defaults)

        @torch.no_grad()
        def first_step(self, zero_grad=False):
            norm = torch.norm(
                torch.stack([p.grad.norm(p=2) for g in self.param_groups for p in g["params"] if p.grad is not None]), p=2
            )
            for g in self.param_groups:
                s = g["rho"] / (norm + 1e-12)
                for p in g["params"]:
                    self.state[p]["old_p"] = p.data.clone()
                    p.add_(p.grad * s.to(p))
            if zero_grad:
                self.zero_grad()

        @torch.no_grad()
        def second_step(self, zero_grad=False):
            for g in self.param_groups:
                for p in g["params"]:
                    p.data = self.state[p]["old_p"]
            self.base_optimizer.step()
            if zero_grad:
                self.zero_grad()

    out = []
    x, y = torch.randn(8, 3), torch.randn(8, 1)
    for make in (lambda p: MySGD(p, lr=0.1, momentum=0.9), lambda p: AdamOld(p, weight_decay=0.01), lambda p: Lion(p, wd=0.1)):
        torch.manual_seed(1)
        m = nn.Linear(3, 1)
        o = make(m.parameters())
        for _ in range(4):
            o.zero_grad()
            l = F.mse_loss(m(x), y)
            l.backward()
            o.step()
            out.append(l.item())
        print(o)
        sd = o.state_dict()
        o.load_state_dict(sd)
        out.append(sorted(sd["state"][0].keys()))
    m = nn.Linear(3, 1)
    o = SAM(m.parameters(), optim.SGD, lr=0.1, momentum=0.9)
    s = StepLR(o, 1, 0.5)
    for _ in range(3):
        F.mse_loss(m(x), y).backward()
        o.first_step(True)
        F.mse_loss(m(x), y).backward()
        o.second_step(True)
        s.step()
        out.append(list(m.parameters()))
    try:
        MySGD([torch.ones(1)], lr=-1)
    except ValueError as e:
        out.append(str(e))
    try:
        optim.SGD([], lr=0.1)
    except ValueError as e:
        out.append(1)
    return out


def data_pipeline():
    class Sq(Dataset):
        def __init__(self, n, transform=None):
            self.n, self.transform = n, transform

        def __len__(self):
            return self.n

        def __getitem__(self, i):
            if torch.is_tensor(i):
                i = i.tolist()
            s = {"x": np.arange(i, i + 3, dtype=np.float64), "y": i, "name": f"s{i}"}
            return self.transform(s) if self.transform else s

    class ToT:
        def __call__(self, s):
            return {"x": torch.from_numpy(s["x"]), "y": s["y"], "name": s["name"]}

    out = []
    for b in DataLoader(Sq(7, ToT()), batch_size=3, shuffle=True, num_workers=0):
        out += [b["x"], b["y"], b["name"]]
    for b in DataLoader(Sq(5), batch_size=2, drop_last=True):
        out.append(b)

    def collate(batch):
        xs = [torch.ones(b["y"] + 1) * b["y"] for b in batch]
        lens = torch.tensor([len(x) for x in xs])
        return nn.utils.rnn.pad_sequence(xs, batch_first=True), lens

    for b in DataLoader(Sq(5), batch_size=3, collate_fn=collate):
        out.append(b)
    tr, va = random_split(Sq(10), [7, 3], generator=torch.Generator().manual_seed(42))
    out += [list(tr.indices), list(va.indices), len(tr)]
    a, b, c = random_split(range(11), [0.5, 0.3, 0.2])
    out += [list(a), list(b), list(c)]
    w = torch.tensor([0.1, 0.9, 0.4, 0.2])
    out += [
        list(WeightedRandomSampler(w, 6, replacement=True)),
        list(RandomSampler(range(5))),
        list(BatchSampler(SequentialSampler(range(7)), 3, False)),
        list(RandomSampler(range(4), replacement=True, num_samples=6)),
    ]

    class It(IterableDataset):
        def __init__(self, s, e):
            self.s, self.e = s, e

        def __iter__(self):
            wi = torch.utils.data.get_worker_info()
            assert wi is None
            return iter(range(self.s, self.e))

    out += list(DataLoader(It(3, 8), batch_size=2))

    class Bal(Sampler):
        def __init__(self, y):
            self.y = y

        def __iter__(self):
            return iter(torch.argsort(self.y).tolist())

        def __len__(self):
            return len(self.y)

    ds = TensorDataset(torch.randn(6, 2), torch.tensor([2, 0, 1, 2, 1, 0]))
    dl = DataLoader(ds, batch_size=4, sampler=Bal(ds.tensors[1]))
    out += [list(dl), len(dl), len(ds), ds[2]]
    it = iter(DataLoader(ds, batch_size=2, shuffle=True, generator=torch.Generator().manual_seed(3)))
    x, y = next(it)
    out += [x, y, next(it)]
    sub = Subset(ds, [0, 2])
    cat = ds + sub
    out += [len(cat), cat[7], [len(d) for d in torch.utils.data.ConcatDataset([ds, sub]).datasets]]

    class WrappedDataLoader:
        def __init__(self, dl, func):
            self.dl, self.func = dl, func

        def __len__(self):
            return len(self.dl)

        def __iter__(self):
            for b in self.dl:
                yield self.func(*b)

    out += [
        len(WrappedDataLoader(dl, lambda x, y: (x.view(-1, 1, 1, 2), y))),
        next(iter(WrappedDataLoader(dl, lambda x, y: (x.view(-1, 1, 1, 2), y)))),
    ]
    out += [
        torch.utils.data.default_collate([(1, 2.5, "a"), (3, 4.5, "b")]),
        torch.utils.data.default_collate([{"a": torch.ones(2)}, {"a": torch.zeros(2)}]),
    ]
    out.append([len(b) for b in DataLoader(range(10), batch_sampler=BatchSampler(RandomSampler(range(10)), 4, True))])
    out += [x for x in DataLoader([1.0, 2.0, 3.0], batch_size=None)]
    return out


def schedulers():
    out = []
    S = torch.optim.lr_scheduler
    makes = [
        lambda o: S.StepLR(o, 3, 0.1),
        lambda o: S.MultiStepLR(o, [2, 5], 0.3),
        lambda o: S.ExponentialLR(o, 0.9),
        lambda o: S.CosineAnnealingLR(o, 5, eta_min=0.001),
        lambda o: S.LambdaLR(o, lambda e: 0.95**e),
        lambda o: S.LambdaLR(o, [lambda e: e // 2 + 1, lambda e: 0.95**e]),
        lambda o: S.MultiplicativeLR(o, lambda e: 0.9),
        lambda o: S.ConstantLR(o, 0.5, 4),
        lambda o: S.LinearLR(o, 0.3, 1.0, 4),
        lambda o: S.PolynomialLR(o, 6, 2.0),
        lambda o: S.CosineAnnealingWarmRestarts(o, 3, 2, 0.01),
        lambda o: S.OneCycleLR(o, max_lr=0.5, total_steps=12),
        lambda o: S.OneCycleLR(o, max_lr=[0.5, 0.2], epochs=3, steps_per_epoch=4, anneal_strategy="linear", three_phase=True),
        lambda o: S.CyclicLR(o, 0.01, 0.1, step_size_up=3, mode="triangular2"),
        lambda o: S.CyclicLR(o, 0.01, 0.1, step_size_up=2, step_size_down=3, mode="exp_range", gamma=0.9),
        lambda o: S.ChainedScheduler([S.ConstantLR(o, 0.1, 2), S.ExponentialLR(o, 0.9)]),
        lambda o: S.SequentialLR(o, [S.LinearLR(o, 0.1, total_iters=3), S.CosineAnnealingLR(o, 8)], milestones=[3]),
    ]
    for mk in makes:
        m = nn.Linear(2, 1)
        n = nn.Linear(2, 1)
        o = optim.SGD([{"params": m.parameters()}, {"params": n.parameters(), "lr": 0.05}], lr=0.1, momentum=0.9)
        s = mk(o)
        ls = []
        for e in range(11):
            o.step()
            ls.append([g["lr"] for g in o.param_groups] + [o.param_groups[0]["momentum"]])
            s.step()
            ls.append(s.get_last_lr())
        out.append(ls)
    o = optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    r = S.ReduceLROnPlateau(o, "min", factor=0.5, patience=1, threshold=1e-2, cooldown=1, min_lr=0.05)
    for v in (1, 0.9, 0.9, 0.9, 0.9, 0.9, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5):
        r.step(v)
        out.append(o.param_groups[0]["lr"])
    sd = r.state_dict()
    out += [sd["best"], sd["num_bad_epochs"]]
    s = S.StepLR(o, 2)
    s.step()
    s.step()
    t = S.StepLR(o, 2)
    t.load_state_dict(s.state_dict())
    out += [t.last_epoch, t.get_last_lr()]
    warm = S.LambdaLR(o, lambda step: min((step + 1) ** -0.5, (step + 1) * 10**-1.5))
    out += [[(o.step(), warm.step(), warm.get_last_lr()[0])[2] for _ in range(5)]]
    return out
