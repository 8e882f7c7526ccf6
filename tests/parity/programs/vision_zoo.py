"""Convolutional families: ResNet, DenseNet, MobileNet, squeeze-excitation, Inception, a ViT, a Swin-like window split, FPN."""

from collections import OrderedDict
from functools import partial
from typing import Any, Callable, List, Optional, Type, Union

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor


def conv3x3(in_planes: int, out_planes: int, stride: int = 1, groups: int = 1, dilation: int = 1) -> nn.Conv2d:
    return nn.Conv2d(in_planes, out_planes, kernel_size=3, stride=stride, padding=dilation, groups=groups, bias=False, dilation=dilation)


class BasicBlock(nn.Module):
    expansion: int = 1

    def __init__(self, inplanes, planes, stride=1, downsample: Optional[nn.Module] = None,
                 norm_layer: Optional[Callable[..., nn.Module]] = None) -> None:
        super().__init__()
        norm_layer = norm_layer or nn.BatchNorm2d
        self.conv1, self.bn1 = conv3x3(inplanes, planes, stride), norm_layer(planes)
        self.relu = nn.ReLU(inplace=True)
        self.conv2, self.bn2 = conv3x3(planes, planes), norm_layer(planes)
        self.downsample = downsample

    def forward(self, x: Tensor) -> Tensor:
        identity = x
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        if self.downsample is not None:
            identity = self.downsample(x)
        out += identity
        return self.relu(out)


class ResNet(nn.Module):
    def __init__(self, block: Type[Union[BasicBlock]], layers: List[int], num_classes=5, zero_init_residual=True, norm_layer=None):
        super().__init__()
        self._norm_layer = norm_layer or nn.BatchNorm2d
        self.inplanes = 4
        self.conv1 = nn.Conv2d(3, 4, kernel_size=5, stride=2, padding=2, bias=False)
        self.bn1 = self._norm_layer(4)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(kernel_size=3, stride=2, padding=1)
        self.layer1 = self._make_layer(block, 4, layers[0])
        self.layer2 = self._make_layer(block, 8, layers[1], stride=2)
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(8 * block.expansion, num_classes)
        for m in self.modules():
            if isinstance(m, nn.Conv2d):
                nn.init.kaiming_normal_(m.weight, mode="fan_out", nonlinearity="relu")
            elif isinstance(m, (nn.BatchNorm2d, nn.GroupNorm)):
                nn.init.constant_(m.weight, 1)
                nn.init.constant_(m.bias, 0)
        if zero_init_residual:
            for m in self.modules():
                if isinstance(m, BasicBlock) and m.bn2.weight is not None:
                    nn.init.constant_(m.bn2.weight, 0.2)

    def _make_layer(self, block, planes, blocks, stride=1):
        downsample = None
        if stride != 1 or self.inplanes != planes * block.expansion:
            downsample = nn.Sequential(nn.Conv2d(self.inplanes, planes, 1, stride, bias=False), self._norm_layer(planes))
        layers = [block(self.inplanes, planes, stride, downsample, norm_layer=self._norm_layer)]
        self.inplanes = planes * block.expansion
        for _ in range(1, blocks):
            layers.append(block(self.inplanes, planes, norm_layer=self._norm_layer))
        return nn.Sequential(*layers)

    def forward(self, x):
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        x = self.layer2(self.layer1(x))
        return self.fc(torch.flatten(self.avgpool(x), 1))


class DenseLayer(nn.Sequential):
    def __init__(self, features, growth, drop=0.1):
        super().__init__(OrderedDict([("norm", nn.BatchNorm2d(features)), ("relu", nn.ReLU(True)),
                                      ("conv", nn.Conv2d(features, growth, 3, padding=1, bias=False))]))
        self.drop_rate = drop

    def forward(self, x):
        new = super().forward(x)
        return torch.cat([x, F.dropout(new, p=self.drop_rate, training=self.training)], 1)


class SqueezeExcite(nn.Module):
    def __init__(self, c, r=2):
        super().__init__()
        self.fc = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(c, c // r, 1), nn.ReLU(), nn.Conv2d(c // r, c, 1), nn.Hardsigmoid())

    def forward(self, x):
        return x * self.fc(x)


class InvertedResidual(nn.Module):
    def __init__(self, inp, oup, stride, expand_ratio):
        super().__init__()
        hidden = int(round(inp * expand_ratio))
        self.use_res_connect = stride == 1 and inp == oup
        self.conv = nn.Sequential(
            nn.Conv2d(inp, hidden, 1, 1, 0, bias=False), nn.BatchNorm2d(hidden), nn.ReLU6(inplace=True),
            nn.Conv2d(hidden, hidden, 3, stride, 1, groups=hidden, bias=False), nn.BatchNorm2d(hidden), nn.Hardswish(),
            SqueezeExcite(hidden), nn.Conv2d(hidden, oup, 1, 1, 0, bias=False), nn.BatchNorm2d(oup))

    def forward(self, x):
        return x + self.conv(x) if self.use_res_connect else self.conv(x)


class Inception(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.branches = nn.ModuleDict({"one": nn.Conv2d(c, 2, 1), "five": nn.Conv2d(c, 2, 5, padding=2),
                                       "asym": nn.Sequential(nn.Conv2d(c, 2, (1, 3), padding=(0, 1)), nn.Conv2d(2, 2, (3, 1), padding=(1, 0)))})

    def forward(self, x):
        outs = [branch(x) for branch in self.branches.values()]
        outs.append(F.avg_pool2d(x, kernel_size=3, stride=1, padding=1, count_include_pad=False))
        return torch.cat(outs, 1)


class ViT(nn.Module):
    def __init__(self, size=8, patch=4, dim=8, depth=2, heads=2, classes=5):
        super().__init__()
        self.patch = patch
        self.to_patch = nn.Sequential(nn.LayerNorm(3 * patch * patch), nn.Linear(3 * patch * patch, dim))
        self.cls_token = nn.Parameter(torch.zeros(1, 1, dim))
        self.pos_embedding = nn.Parameter(torch.randn(1, (size // patch) ** 2 + 1, dim) * 0.02)
        nn.init.trunc_normal_(self.cls_token, std=0.02)
        self.blocks = nn.ModuleList([nn.ModuleList([nn.LayerNorm(dim), nn.Linear(dim, 3 * dim, bias=False), nn.Linear(dim, dim),
                                                    nn.Sequential(nn.LayerNorm(dim), nn.Linear(dim, 16), nn.GELU(), nn.Dropout(0.1),
                                                                  nn.Linear(16, dim))]) for _ in range(depth)])
        self.heads, self.norm, self.head = heads, partial(nn.LayerNorm, eps=1e-6)(dim), nn.Linear(dim, classes)

    def forward(self, img):
        b, c, h, w = img.shape
        p = self.patch
        x = img.reshape(b, c, h // p, p, w // p, p).permute(0, 2, 4, 3, 5, 1).reshape(b, (h // p) * (w // p), p * p * c)
        x = torch.cat((self.cls_token.expand(b, -1, -1), self.to_patch(x)), dim=1) + self.pos_embedding
        for norm, qkv, proj, mlp in self.blocks:
            q, k, v = (t.unflatten(-1, (self.heads, -1)).transpose(1, 2) for t in qkv(norm(x)).chunk(3, dim=-1))
            attn = torch.einsum("bhid,bhjd->bhij", q, k) * q.size(-1) ** -0.5
            out = torch.einsum("bhij,bhjd->bhid", attn.softmax(dim=-1), v)
            x = x + proj(out.transpose(1, 2).flatten(2))
            x = x + mlp(x)
        return self.head(self.norm(x)[:, 0])


def window_partition(x: Tensor, size: int) -> Tensor:
    B, H, W, C = x.shape
    x = x.view(B, H // size, size, W // size, size, C)
    return x.permute(0, 1, 3, 2, 4, 5).contiguous().view(-1, size, size, C)


def train(model: nn.Module, results: List[Any], **kwargs: Any) -> None:
    x, y = torch.randn(4, 3, 8, 8), torch.randint(5, (4,))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, weight_decay=1e-4)
    for _ in range(2):
        loss = F.cross_entropy(model(x), y, **kwargs)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        results.append(loss.item())
    model.eval()
    with torch.no_grad():
        results += [model(x).sum().item(), sum(p.numel() for p in model.parameters()), len(repr(model)), len(model.state_dict())]


def main():
    torch.manual_seed(6)
    torch.set_default_dtype(torch.float64)
    results = []
    train(ResNet(BasicBlock, [1, 2]), results)
    train(ResNet(BasicBlock, [1, 1], norm_layer=partial(nn.GroupNorm, 2)), results, label_smoothing=0.1)
    end = [nn.AdaptiveMaxPool2d(1), nn.Flatten()]
    train(nn.Sequential(nn.Conv2d(3, 4, 3), DenseLayer(4, 2), DenseLayer(6, 2), nn.AvgPool2d(2), *end, nn.Linear(8, 5)), results)
    train(nn.Sequential(InvertedResidual(3, 4, 2, 2), InvertedResidual(4, 4, 1, 2), *end, nn.Dropout(0.2), nn.Linear(4, 5)), results)
    train(nn.Sequential(Inception(3), nn.Mish(), nn.InstanceNorm2d(9, affine=True), *end, nn.Linear(9, 5)), results)
    train(ViT(), results, weight=torch.arange(1.0, 6.0))
    x = torch.randn(1, 4, 4, 3, requires_grad=True)
    windows = window_partition(torch.roll(x, shifts=(-1, -1), dims=(1, 2)), 2)
    (windows[1] ** 3).sum().backward()
    results += [windows.sum().item(), x.grad.norm().item()]
    c3, c4 = torch.randn(1, 4, 8, 8), torch.randn(1, 4, 4, 4, requires_grad=True)
    merged = c3 + F.interpolate(c4, size=c3.shape[-2:], mode="nearest") + F.interpolate(c4, scale_factor=2, mode="bilinear", align_corners=False)
    up = nn.Sequential(nn.PixelShuffle(2), nn.Upsample(scale_factor=2, mode="bicubic"), nn.ReflectionPad2d(1), nn.ZeroPad2d((1, 0, 1, 0)))(merged)
    grid = F.affine_grid(torch.tensor([[[0.9, 0.1, 0.0], [-0.1, 0.9, 0.1]]]), [1, 4, 5, 5], align_corners=False)
    warped = F.grid_sample(merged, grid, align_corners=False)
    (up.pow(2).mean() + warped.sum()).backward()
    unfolded = F.fold(F.unfold(c3, 3, padding=1), (8, 8), 3, padding=1)
    return [float(r) for r in results + [c4.grad.norm().item(), unfolded.sum().item(), *up.shape]]
