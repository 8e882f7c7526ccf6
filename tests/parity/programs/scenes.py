"""Pictures and space: PixelCNN, NeRF, SIREN, StyleGAN's convolution, boxes and matching, aligned regions, self-supervision."""

import copy
import itertools
import math

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import optim


def data(n, *more, seed=0):
    return torch.from_numpy(np.random.RandomState(seed).randn(n, *more))


def fill(m, seed=0):
    r = np.random.RandomState(seed)
    with torch.no_grad():
        for p in m.parameters():
            p.copy_(torch.from_numpy(r.randn(*p.shape)) * 0.3)
    return m


class MaskedConv(nn.Conv2d):
    def __init__(self, kind, *a, **k):
        super().__init__(*a, **k)
        self.register_buffer("mask", torch.ones_like(self.weight))
        h, w = self.kernel_size
        self.mask[:, :, h // 2, w // 2 + (kind == "B") :] = 0
        self.mask[:, :, h // 2 + 1 :] = 0

    def forward(self, x):
        self.weight.data *= self.mask
        return super().forward(x)


def pixelcnn():
    net = fill(
        nn.Sequential(MaskedConv("A", 1, 4, 5, padding=2), nn.ReLU(), MaskedConv("B", 4, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 3, 1))
    )
    opt = optim.RMSprop(net.parameters(), lr=1e-2, centered=True, momentum=0.5)
    x = (data(4, 1, 6, 6) > 0).double()
    t = (x[:, 0] * 2).long()
    out = []
    for _ in range(4):
        opt.zero_grad(set_to_none=True)
        loss = F.cross_entropy(net(x), t)
        loss.backward()
        opt.step()
        out.append(loss.item())
    return out, net(x)[0]


def nerf():
    def posenc(x, L=3):
        rets = [x]
        for i in range(L):
            for fn in [torch.sin, torch.cos]:
                rets.append(fn(2.0**i * x))
        return torch.cat(rets, -1)

    H = W = 3
    focal = 2.0
    i, j = torch.meshgrid(torch.arange(W, dtype=torch.float64), torch.arange(H, dtype=torch.float64), indexing="xy")
    dirs = torch.stack([(i - W * 0.5) / focal, -(j - H * 0.5) / focal, -torch.ones_like(i)], -1)
    c2w = torch.eye(4)[:3]
    c2w[:, 3] = torch.tensor([0.1, 0.2, 4.0])
    rays_d = torch.sum(dirs[..., None, :] * c2w[:3, :3], -1)
    rays_o = c2w[:3, -1].expand(rays_d.shape)
    z = torch.linspace(2.0, 6.0, 8)
    pts = rays_o[..., None, :] + rays_d[..., None, :] * z[..., :, None]
    net = fill(nn.Sequential(nn.Linear(21, 16), nn.ReLU(), nn.Linear(16, 4)))
    raw = torch.cat([net(c) for c in torch.split(posenc(pts.reshape(-1, 3)), 32)], 0).reshape(list(pts.shape[:-1]) + [4])
    sigma, rgb = F.relu(raw[..., 3]), torch.sigmoid(raw[..., :3])
    dists = torch.cat((z[..., 1:] - z[..., :-1], torch.tensor([1e10]).expand(z[..., :1].shape)), dim=-1)
    alpha = 1.0 - torch.exp(-sigma * dists)
    trans = torch.cumprod(torch.cat([torch.ones((*alpha.shape[:-1], 1)), 1.0 - alpha + 1e-10], -1), -1)[..., :-1]
    w = alpha * trans
    rgb_map = torch.sum(w[..., None] * rgb, -2)
    depth = torch.sum(w * z, -1)
    loss = torch.mean((rgb_map - 0.5) ** 2)
    loss.backward()
    pdf = (w[..., 1:-1] + 1e-5).detach()
    pdf = pdf / torch.sum(pdf, -1, keepdim=True)
    cdf = torch.cumsum(pdf, -1)
    cdf = torch.cat([torch.zeros_like(cdf[..., :1]), cdf], -1)
    u = torch.linspace(0.0, 1.0, 5).expand(list(cdf.shape[:-1]) + [5]).contiguous()
    inds = torch.searchsorted(cdf, u, right=True)
    below = torch.max(torch.zeros_like(inds - 1), inds - 1)
    above = torch.min((cdf.shape[-1] - 1) * torch.ones_like(inds), inds)
    inds_g = torch.stack([below, above], -1)
    ms = [inds_g.shape[0], inds_g.shape[1], inds_g.shape[2], cdf.shape[-1]]
    cdf_g = torch.gather(cdf.unsqueeze(2).expand(ms), 3, inds_g)
    return rgb_map, depth, [p.grad for p in net.parameters()], cdf_g.shape, 20.0 * torch.log10(1 / loss.sqrt())


def siren():
    class Sine(nn.Module):
        def __init__(self, i, o, w0=30.0):
            super().__init__()
            self.l, self.w0 = nn.Linear(i, o), w0

        def forward(self, x):
            return torch.sin(self.w0 * self.l(x))

    net = fill(nn.Sequential(Sine(2, 6, 3.0), Sine(6, 6, 1.0), nn.Linear(6, 1)))
    c = (
        torch.stack(torch.meshgrid(*[torch.linspace(-1, 1, 4)] * 2, indexing="ij"), dim=-1)
        .reshape(-1, 2)
        .clone()
        .detach()
        .requires_grad_(True)
    )
    y = net(c)
    grad = torch.autograd.grad(y, [c], grad_outputs=torch.ones_like(y), create_graph=True)[0]
    div = 0.0
    for i in range(2):
        div += torch.autograd.grad(grad[..., i], c, torch.ones_like(grad[..., i]), create_graph=True)[0][..., i : i + 1]
    (div**2).mean().backward()
    return y, grad, div, net[0].l.weight.grad


def modulated_conv_stylegan():
    w = data(4, 3, 3, 3).requires_grad_()
    s = data(2, 3, seed=1).requires_grad_()
    x = data(2, 3, 5, 5, seed=2)
    ww = w[None] * s[:, None, :, None, None]
    d = torch.rsqrt((ww**2).sum(dim=(2, 3, 4), keepdim=True) + 1e-8)
    ww = ww * d
    y = F.conv2d(x.reshape(1, -1, 5, 5), ww.reshape(-1, 3, 3, 3), padding=1, groups=2).view(2, 4, 5, 5)
    k = torch.tensor([1.0, 3.0, 3.0, 1.0])
    k = k[:, None] * k[None]
    k = k / k.sum()
    up = F.conv_transpose2d(y.reshape(8, 1, 5, 5), (k * 4)[None, None], stride=2, padding=1).reshape(2, 4, *[10] * 2)
    g = torch.autograd.grad(up.mul(data(*up.shape, seed=4)).sum() / math.sqrt(up[0].numel()), [w, s], create_graph=True)
    pl = g[1].square().sum(1).mean().sqrt()
    pl.backward()
    std = torch.sqrt(y.var(0, unbiased=False) + 1e-8).mean().view(1, 1, 1, 1).expand(2, 1, 5, 5)
    return y, up, pl, w.grad, std


def yolo_and_detr():
    def giou(a, b):
        area = lambda t: (t[..., 2] - t[..., 0]) * (t[..., 3] - t[..., 1])
        lt, rb = torch.max(a[:, None, :2], b[:, :2]), torch.min(a[:, None, 2:], b[:, 2:])
        inter = (rb - lt).clamp(min=0).prod(2)
        un = area(a)[:, None] + area(b) - inter
        lt, rb = torch.min(a[:, None, :2], b[:, :2]), torch.max(a[:, None, 2:], b[:, 2:])
        full = (rb - lt).clamp(min=0).prod(2)
        return inter / un - (full - un) / full

    def xyxy(t):
        c, wh = t[..., :2], t[..., 2:]
        return torch.cat([c - wh / 2, c + wh / 2], -1)

    p = torch.sigmoid(data(5, 4)).requires_grad_()
    t = torch.sigmoid(data(3, 4, seed=1))
    G = giou(xyxy(p), xyxy(t))
    cost = (torch.cdist(p, t, p=1) - G).detach()
    best = min(itertools.permutations(range(5), 3), key=lambda q: sum(cost[i, j].item() for j, i in enumerate(q)))
    src = torch.as_tensor(best)
    loss = F.l1_loss(p[src], t, reduction="none").sum() / 3 + (1 - torch.diag(giou(xyxy(p[src]), xyxy(t)))).sum()
    cls = data(5, 4, seed=2).requires_grad_()
    tc = torch.full((5,), 3, dtype=torch.int64)
    tc[src] = torch.tensor([0, 1, 2])
    ew = torch.ones(4)
    ew[-1] = 0.1
    loss = loss + F.cross_entropy(cls, tc, ew)
    loss.backward()
    anchors = torch.tensor([[1.0, 2.0], [3.0, 1.0]])
    pred = data(1, 2 * 7, 3, 3, seed=3).view(1, 2, 7, 3, 3).permute(0, 1, 3, 4, 2).contiguous()
    gy, gx = torch.meshgrid(torch.arange(3), torch.arange(3), indexing="ij")
    grid = torch.stack((gx, gy), 2).view(1, 1, 3, 3, 2).double()
    xy = (pred[..., 0:2].sigmoid() * 2.0 - 0.5 + grid) * 8
    wh = (pred[..., 2:4].sigmoid() * 2) ** 2 * anchors.view(1, 2, 1, 1, 2)
    z = torch.cat((xy, wh, pred[..., 4:].sigmoid()), -1).view(1, -1, 7)
    conf = z[..., 4] > 0.5
    sel = z[conf]
    sc, lab = (sel[:, 5:] * sel[:, 4:5]).max(1, keepdim=True)
    order = sc.squeeze(1).argsort(descending=True)
    return G, loss, p.grad, cls.grad, z, sel[order], lab


def roi_align_and_warp():
    feat = data(1, 2, 8, 8).requires_grad_()
    rois = torch.tensor([[1.0, 1.0, 5.0, 6.0], [0.0, 2.0, 7.0, 7.0]])
    outs = []
    for r in rois:
        ys, xs = torch.linspace(r[1], r[3], 3), torch.linspace(r[0], r[2], 3)
        g = torch.stack(torch.meshgrid(ys, xs, indexing="ij")[::-1], -1) / 7 * 2 - 1
        outs.append(F.grid_sample(feat, g[None], align_corners=True))
    o = torch.cat(outs)
    flow = (data(1, 2, 8, 8, seed=1) * 0.5).requires_grad_()
    xx = torch.arange(0, 8).view(1, -1).repeat(8, 1).view(1, 1, 8, 8).repeat(1, 1, 1, 1)
    yy = torch.arange(0, 8).view(-1, 1).repeat(1, 8).view(1, 1, 8, 8)
    grid = torch.cat((xx, yy), 1).double()
    v = grid + flow
    v = torch.stack([2.0 * v[:, 0] / 7 - 1.0, 2.0 * v[:, 1] / 7 - 1.0], 1)
    warped = F.grid_sample(feat, v.permute(0, 2, 3, 1), align_corners=False, padding_mode="border")
    pad = F.pad(feat, [1] * 4)
    corr = torch.stack([(feat * pad[:, :, i : i + 8, j : j + 8]).mean(1) for i in range(3) for j in range(3)], 1)
    (o.sum() + (warped**2).sum() + corr.relu().sum()).backward()
    return o, warped, feat.grad, flow.grad, corr[0, 4]


def byol_dino():
    torch.manual_seed(1)
    enc = fill(nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(inplace=True), nn.Linear(8, 4)))
    tgt = copy.deepcopy(enc)
    for p in tgt.parameters():
        p.requires_grad = False
    pred = fill(nn.Linear(4, 4), 3)
    center = torch.zeros(1, 4)
    opt = optim.SGD(list(enc.parameters()) + list(pred.parameters()), lr=0.1, momentum=0.9, weight_decay=1e-4, nesterov=True)
    out = []
    for step in range(4):
        x1, x2 = data(10, 6, seed=step), data(10, 6, seed=step + 50)
        q1, q2 = pred(enc(x1)), pred(enc(x2))
        with torch.no_grad():
            k1, k2 = tgt(x1), tgt(x2)
        byol = (2 - 2 * F.cosine_similarity(q1, k2.detach(), dim=-1)).mean() + (
            2 - 2 * (F.normalize(q2, dim=-1) * F.normalize(k1, dim=-1)).sum(-1)
        ).mean()
        dino = torch.sum(-F.softmax((k1 - center) / 0.04, dim=-1) * F.log_softmax(q2 / 0.1, dim=-1), dim=-1).mean()
        loss = byol + 0.1 * dino
        opt.zero_grad()
        loss.backward()
        opt.step()
        with torch.no_grad():
            for a, b in zip(enc.parameters(), tgt.parameters()):
                b.data.mul_(0.99).add_((1 - 0.99) * a.detach().data)
            center = center * 0.9 + torch.cat([k1, k2]).mean(0, keepdim=True) * 0.1
        out.append(loss.item())
    return out, center, tgt[0].weight, enc[1].running_var, enc[1].num_batches_tracked
