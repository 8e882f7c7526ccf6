"""Layers that learn their sizes, adaptive softmax, smooth resizing, Adafactor."""

import torch
import torch.nn as nn
import torch.nn.functional as F


def lazy():
    net = nn.Sequential(
        nn.LazyConv2d(6, kernel_size=3, padding=1),
        nn.LazyBatchNorm2d(),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.LazyConv2d(4, 3, stride=2, bias=False),
        nn.Flatten(),
        nn.LazyLinear(10),
        nn.ReLU(),
        nn.LazyLinear(3),
    )
    print(net)
    y = net(torch.randn(2, 3, 12, 12))
    print(net)
    opt = torch.optim.SGD(net.parameters(), 0.1)
    F.cross_entropy(y, torch.tensor([0, 2])).backward()
    opt.step()
    t = nn.LazyConvTranspose2d(2, 3, stride=2)
    g = nn.LazyConv2d(4, 3, groups=2)
    i = nn.LazyInstanceNorm1d(affine=True)
    return (
        net(torch.ones(2, 3, 12, 12)),
        t(torch.randn(1, 3, 4, 4)),
        g(torch.randn(1, 2, 5, 5)),
        i(torch.randn(2, 3, 5)),
        list(net.state_dict()),
    )


def adaptive():
    m = nn.AdaptiveLogSoftmaxWithLoss(8, 20, [4, 10], div_value=2.0)
    x = torch.randn(6, 8, requires_grad=True)
    y = torch.tensor([0, 3, 5, 11, 19, 9])
    o = m(x, y)
    o.loss.backward()
    return (
        o.output,
        o.loss,
        x.grad,
        m.log_prob(x),
        m.predict(x),
        [p.grad for p in m.parameters()],
        list(m.state_dict()),
        m(x[0], y[0]),
        m,
    )


def dp():
    m = nn.DataParallel(nn.Linear(2, 1))
    return m(torch.ones(1, 2)) if False else list(m.state_dict()), m.module.weight


def aa():
    x = torch.randn(1, 2, 9, 7, requires_grad=True)
    out = []
    for kw in (
        dict(size=(4, 3), mode="bilinear"),
        dict(size=(4, 3), mode="bicubic"),
        dict(size=(12, 9), mode="bilinear"),
        dict(scale_factor=0.6, mode="bicubic"),
        dict(size=(5, 3), mode="bilinear", align_corners=True),
    ):
        y = F.interpolate(x, antialias=True, **kw)
        out += [y, torch.autograd.grad(y.square().sum(), x)]
    return out


def adafactor():
    out = []
    for kw in (dict(), dict(weight_decay=0.1, d=1.5), dict(maximize=True, lr=0.1)):
        torch.manual_seed(0)
        m = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))
        o = torch.optim.Adafactor(m.parameters(), **kw)
        x, y = torch.randn(8, 3), torch.randn(8, 1)
        for _ in range(4):
            o.zero_grad()
            l = F.mse_loss(m(x), y)
            l.backward()
            o.step()
            out.append(l)
        out += [sorted(o.state_dict()["state"][0]), o]
    return out
