"""Exercises with tensors and gradients: indices, views, types of numbers, counting, printing, Functions, hooks, modes, func."""

import copy
import math

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.autograd import Function, grad
from torch.func import functional_call, hessian, jacfwd, jacrev, jvp, vjp, vmap


def data(n, *more, seed=0):
    return torch.from_numpy(np.random.RandomState(seed).randn(n, *more))


def code(text):
    return [ord(c) for c in text]


def indices():
    x = torch.arange(24.0).reshape(2, 3, 4).requires_grad_()
    rows = torch.tensor([0, 2, 1])
    out = [x[0, :, rows], x[:, rows, ..., 0], x[1, None, rows[:2]], x[rows % 2, :, [0, 1, 3]], x[[[0, 1], [1, 2]]], x[..., None, -1], x[x > 7][::3],
           x[torch.tensor([True, False]), 1:], x[:, [2, 0]][..., rows], x[True].shape, x[:, rows[:, None], rows]]  # fmt: skip
    sum((o * (i + 1)).sum() for i, o in enumerate(out) if hasattr(o, "grad")).backward()
    y = torch.zeros(3, 4, 5)
    y[0, :, rows] = torch.arange(12.0).view(4, 3)
    y[1, ..., [4, 0]] += 2
    y[[2, 2], [0, 1]] = y[0, :2].clone()
    y[y == 0] = -1
    y[2, 3, 4] = torch.tensor([[7.0]])
    y.expand(2, 3, 4, 5)[1, 0, 0] = 9
    return out, x.grad, y, y[rows, rows + 1].sum()


def stored_in_place():
    x = data(4, 5).requires_grad_()
    a = x * 2
    w = a.unfold(1, 2, 2)
    a[1, 2] = (x.sum() * 3).view(1, 1)
    a[:, 0] *= a[:, 1].detach().clone()
    w[0, 1] = 0.5
    a.diagonal().add_(3)
    share = a.exp() / a.exp().sum(1, keepdim=True)
    share.masked_fill_(share < 0.1, 0.0)
    (share * data(4, 5, seed=1)).sum().backward()
    buffer = torch.zeros(5)
    for i, v in enumerate(x.detach().requires_grad_().mean(0).split(1)):
        buffer[i] = v * i
    return a, w, share, x.grad, buffer, buffer.requires_grad


def picking_and_placing():
    x = data(3, 5)
    index = torch.tensor([[0, 4, 4], [1, 1, 0], [3, 2, 2]])
    out = [x.gather(1, index), torch.take_along_dim(x, x.argsort(1), 1), torch.zeros(3, 5).scatter_add(1, index, x), x.scatter(1, index[:, :1], 9.0),
           x.scatter_reduce(1, index, x, "prod"), x.index_add(0, torch.tensor([0, 0, 2]), x, alpha=2), x.index_copy(1, torch.tensor([0, 3]), x[:, :2]),
           x.take(torch.tensor([0, -1, 7])), x.put(torch.tensor([1, 1]), torch.ones(2), accumulate=True), x.masked_scatter(x > 0, torch.arange(15.0)),
           torch.index_reduce(x, 1, torch.tensor([0, 1, 0, 1, 4]), x, "amax"), x.select_scatter(torch.ones(5), 0, 1), x.diagonal_scatter(torch.zeros(3)),
           torch.bucketize(x, torch.tensor([-1.0, 0.0, 1.0])), torch.searchsorted(x.sort(1)[0], x), torch.tril_indices(3, 4, -1), x[x.argmax(0), torch.arange(5)]]  # fmt: skip
    return (
        out,
        torch.unique(index, return_inverse=True, return_counts=True),
        torch.unique_consecutive(index.flatten()),
        torch.isin(index, index[0]),
    )


def kinds_of_numbers():
    byte, small = torch.tensor([200, 7], dtype=torch.uint8), torch.tensor([100, -3], dtype=torch.int8)
    out = [byte + 300, byte * -1, 5 - byte, small + 1000, small + byte, byte // 3, byte % 7, small % 3, torch.fmod(small, 3), small / 2, byte**2, ~byte, byte >> 2, small << 1,
           torch.tensor([2, 1, -1, 3, 0]) ** torch.tensor([-1, -2, -3, 2, 0]), 2 ** torch.tensor([-1, 3]), torch.tensor(-7) // 2, torch.div(torch.tensor([-7]), 2, rounding_mode="trunc"),
           torch.tensor([True, False]) + torch.tensor([1.5, 2]), torch.tensor([np.float32(1.5), 2]), torch.tensor([torch.tensor([1]), torch.tensor([2])]), torch.full((2,), -1, dtype=torch.uint8)]  # fmt: skip
    sizes = [
        torch.tensor(v).dtype.itemsize
        for v in ([np.float32(1), 2], [1, 2.5], [np.int8(1), np.int16(2)], [True, 2], [1j], [np.float16(1), 3])
    ]
    kinds = [
        (small + 1.5).dtype.itemsize,
        (torch.ones(1, dtype=torch.float16) + torch.tensor(1.0)).dtype.itemsize,
        small.sum().dtype.itemsize,
        (small > 0).sum().dtype.itemsize,
    ]
    caught = []
    for wrong in (lambda: torch.tensor(300, dtype=torch.uint8), lambda: torch.zeros(-1), lambda: torch.tensor([None]), lambda: small.add_(1.5), lambda: torch.tensor([2]) ** -1,
                  lambda: torch.norm(small), lambda: small.mean(), lambda: torch.zeros(2).scatter_(0, torch.tensor([5]), 1.0), lambda: small // 0):  # fmt: skip
        try:
            wrong()
            caught.append(0)
        except RuntimeError:
            caught.append(1)
    return out, sizes, kinds, caught


def counting():
    x = (data(60) * 3).round() / 2
    h, edges = torch.histogram(x, 5)
    return (torch.histc(x, 10), torch.histc(x, 7, -2, 3), h, edges, torch.histogram(x, 4, range=(-1.0, 2.0), density=True)[0], torch.bincount((x * 2).long() + 12), torch.mode((x * 2).long())[0],
            torch.quantile(x, torch.tensor([0.1, 0.9])), torch.kthvalue(x, 7)[0], x.median(), torch.cummax(x, 0)[0], torch.logcumsumexp(x, 0), torch.diff(x, n=2), torch.cov(x.view(3, 20)),
            torch.std_mean(x), torch.var(x.view(6, 10), 1, correction=2), torch.trapezoid(x), torch.gradient(x.view(6, 10))[1], torch.aminmax(x), torch.count_nonzero(x.view(6, 10), 1))  # fmt: skip


def printed():
    texts = [torch.tensor([1e-5, 1.0]), torch.tensor([2.0, -1.0]), torch.arange(3), torch.tensor([1.5, float("nan")]), torch.tensor([1.25 + 2j, -1 - 1j]), data(3, 4),
             torch.arange(2000), torch.zeros(0, 3), torch.ones(2, requires_grad=True), torch.ones(2, requires_grad=True)[0] * 2, nn.Sequential(nn.Linear(2, 3), nn.ReLU()),
             torch.tensor([100 + 2.5j, 1j]), (torch.ones(2, 2, requires_grad=True) @ torch.ones(2, 2)).sum(1), torch.max(torch.eye(2), 1)]  # fmt: skip
    out = [code(str(t).replace("torch.", "")) for t in texts]
    torch.set_printoptions(sci_mode=True, precision=2)
    out.append(code(str(data(4))))
    torch.set_printoptions(profile="default")
    return out


class Exponential(Function):
    @staticmethod
    def forward(x):
        return x.exp(), x.sin()

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(*inputs, *output)

    @staticmethod
    def backward(ctx, ge, gs):
        x, e, s = ctx.saved_tensors
        return ge * e + gs * (1 - s * s).sqrt() * x.cos().sign()


class Doubled(Function):
    @staticmethod
    def forward(ctx, x):
        ctx.mark_dirty(x)
        return x.mul_(2)

    @staticmethod
    def backward(ctx, g):
        return g * 2


def own_functions():
    x = data(5).requires_grad_()
    e, s = Exponential.apply(x)
    (first,) = grad((e * s).sum(), x, create_graph=True)
    (second,) = grad(first.sum(), x, create_graph=True)
    (third,) = grad(second.sum(), x)
    t = x * 1
    out = Doubled.apply(t)
    (t * data(5, seed=1)).sum().backward()
    return first, second, third, out is t, x.grad


def hooks_and_modes():
    x = data(3).requires_grad_()
    seen = []
    y = x * 3
    handle = y.register_hook(lambda g: g * 2)
    x.register_post_accumulate_grad_hook(lambda p: seen.append(p.grad.clone()))
    y.pow(2).sum().backward(retain_graph=True)
    handle.remove()
    y.pow(2).sum().backward()
    layer = nn.Linear(3, 2)
    with torch.no_grad():
        layer.weight.copy_(data(2, 3)), layer.bias.zero_()
    layer.register_full_backward_hook(lambda m, gi, go: seen.extend([gi[0], go[0]]))
    layer.register_forward_pre_hook(lambda m, a: (a[0] * 2,))
    layer.register_forward_hook(lambda m, a, o: o.tanh())
    layer(data(4, 3, seed=2).requires_grad_()).sum().backward()
    with torch.inference_mode():
        z = x * 2
    with torch.set_grad_enabled(False):
        flags = [(x * 2).requires_grad, torch.is_grad_enabled()]
    with torch.autograd.graph.saved_tensors_hooks(lambda t: t * 1, lambda t: t * 2):
        w = x.exp().sum() + (x * x).sum()
    (g,) = grad(w, x)
    return x.grad, seen, z.requires_grad, flags, g, layer.weight.grad


def transforms_of_functions():
    x = data(4)
    f = lambda t: (t.sin() * t.roll(1)).cumsum(0)
    out = [jacrev(f)(x), jacfwd(f)(x), hessian(lambda t: f(t).prod())(x), jvp(f, (x,), (torch.ones(4),))[1], vjp(f, x)[1](torch.ones(4))[0], vmap(f)(data(3, 4)), vmap(jacrev(f))(data(2, 4)),
           vmap(vmap(torch.dot, (None, 0)), (0, None))(data(2, 4), data(3, 4)), vmap(lambda a, b: a @ b, in_dims=(0, None), out_dims=1)(data(3, 4), data(4, 2)), jacfwd(jacrev(lambda t: t.pow(3).sum()))(x)]  # fmt: skip
    net = nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 1))
    params = {k: torch.full_like(v, 0.1) + data(*v.shape) * 0.1 for k, v in net.named_parameters()}
    loss = lambda p, a, b: (functional_call(net, p, (a,)) - b).pow(2).sum()
    per_sample = vmap(torch.func.grad(loss), in_dims=(None, 0, 0))(params, data(5, 4), data(5, 1))
    return out, per_sample, torch.autograd.functional.hvp(lambda t: f(t).sum(), x, torch.ones(4))


def eigen_gradients():
    a = data(4, 4)
    p = (a @ a.T + torch.eye(4)).requires_grad_()
    out = [torch.linalg.eigh(p)[1].abs(), torch.linalg.eigvalsh(p), torch.linalg.cholesky(p), torch.linalg.solve(p, a), torch.linalg.slogdet(p)[1], torch.linalg.matrix_exp(p * 0.1), torch.linalg.svdvals(p), torch.linalg.qr(p)[1].abs(), torch.linalg.pinv(p[:, :2])]  # fmt: skip
    return out, [grad((o * torch.arange(1.0, o.numel() + 1).view(o.shape)).sum(), p)[0] for o in out]


def losses_with_every_option():
    x, t = data(4, 3).requires_grad_(), torch.tensor([0, 2, 1, -100])
    w = torch.tensor([0.2, 0.3, 0.5])
    out = []
    for reduction in ("none", "sum", "mean"):
        for smoothing in (0.0, 0.1):
            for weight in (None, w):
                l = F.cross_entropy(x, t, weight=weight, reduction=reduction, label_smoothing=smoothing)
                out += [l, grad(l.sum(), x)[0], math.copysign(1, l.flatten()[-1].item())]
    q = x.sigmoid()
    y = (data(4, 3, seed=1) > 0).double()
    out += [F.binary_cross_entropy(q, y, weight=w), F.binary_cross_entropy_with_logits(x, y, pos_weight=w, reduction="sum"), F.huber_loss(x, y, delta=0.3), F.smooth_l1_loss(x, y, beta=0.2), F.kl_div(q.log(), y), F.gaussian_nll_loss(x, y, q, full=True), F.poisson_nll_loss(x, y), F.multi_margin_loss(x[:3], t[:3], weight=w), F.cosine_embedding_loss(x, y, torch.tensor([1, -1, 1, -1]), margin=0.1), F.triplet_margin_loss(x, y, q, swap=True)]  # fmt: skip
    return out


def modules_that_change():
    class Renamed(nn.Module):
        def __init__(self):
            super().__init__()
            self.w = nn.Parameter(torch.ones(2))

        def _load_from_state_dict(self, state, prefix, *rest):
            if prefix + "old" in state:
                state[prefix + "w"] = state.pop(prefix + "old")
            super()._load_from_state_dict(state, prefix, *rest)

    m = nn.Sequential(Renamed(), nn.Linear(2, 2))
    m.load_state_dict({"0.old": torch.tensor([3.0, 4.0]), "1.weight": torch.eye(2), "1.bias": torch.zeros(2)})
    c = copy.deepcopy(m)
    c[1].weight.data.mul_(2)
    with torch.device("cpu"):
        c.append(nn.Linear(2, 1, bias=False))
    nn.init.constant_(c[2].weight, 0.5)
    norm = nn.utils.clip_grad_norm_(c.parameters(), 1.0)
    return m[0].w, c[2](c[1](c[0].w)), norm, norm.dtype.itemsize, [len(k) for k in c.state_dict()]


def sums_of_products():
    a, b, c = data(2, 3, 4), data(2, 4, 5), data(5)
    return (torch.einsum("bij,bjk,k->bi", a, b, c), torch.einsum(a, [0, 1, 2], b, [0, 2, 3], [0, 1, 3]), torch.einsum("...ij->...", a), torch.einsum("bij,bij->b", a, a), torch.tensordot(a, b, ([0, 2], [0, 1])), torch.kron(c, c[:2]), torch.block_diag(a[0], b[0]), torch.cartesian_prod(c[:2], c[2:]), torch.combinations(c, 3), torch.vander(c), torch.cdist(a, a, p=1), torch.baddbmm(torch.ones(1), a, b, beta=0.5), torch.linalg.multi_dot([a[0], b[0], c]))  # fmt: skip
