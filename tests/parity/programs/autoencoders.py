"""Autoencoders and detection: VQ-VAE with a straight-through estimator, denoising and sparse ones, box losses, focal and dice, CTC, capsules."""

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.autograd import Function


class STE(Function):
    @staticmethod
    def forward(ctx, x, levels):
        ctx.levels = levels
        return torch.round(x * levels) / levels

    @staticmethod
    def backward(ctx, g):
        return g.clamp(-1, 1), None


class GradReverse(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, lambd):
        ctx.lambd = lambd
        return x.view_as(x)

    @staticmethod
    def backward(ctx, *grad_outputs):
        (g,) = grad_outputs
        return g.neg() * ctx.lambd, None


class MyReLU(torch.autograd.Function):
    @staticmethod
    def forward(x, slope):
        return x.clamp(min=0) + slope * x.clamp(max=0)

    @staticmethod
    def setup_context(ctx, inputs, output):
        x, slope = inputs
        ctx.save_for_backward(x)
        ctx.slope = slope

    @staticmethod
    def backward(ctx, grad_output):
        (x,) = ctx.saved_tensors
        grad_input = None
        if ctx.needs_input_grad[0]:
            grad_input = grad_output.clone()
            grad_input[x < 0] *= ctx.slope
        return grad_input, None


class VectorQuantizer(nn.Module):
    def __init__(self, n, dim, beta=0.25, decay=0.9):
        super().__init__()
        self.n, self.dim, self.beta, self.decay = n, dim, beta, decay
        self.embedding = nn.Embedding(n, dim)
        self.embedding.weight.data.uniform_(-1 / n, 1 / n)
        self.register_buffer("cluster_size", torch.zeros(n))

    def forward(self, x):
        flat = x.permute(0, 2, 3, 1).contiguous().view(-1, self.dim)
        d = torch.sum(flat**2, dim=1, keepdim=True) + torch.sum(self.embedding.weight**2, dim=1) - 2 * flat @ self.embedding.weight.t()
        idx = torch.argmin(d, dim=1).unsqueeze(1)
        enc = torch.zeros(idx.shape[0], self.n, device=x.device)
        enc.scatter_(1, idx, 1)
        q = torch.matmul(enc, self.embedding.weight).view(x.shape[0], x.shape[2], x.shape[3], -1).permute(0, 3, 1, 2)
        loss = F.mse_loss(q, x.detach()) + self.beta * F.mse_loss(q.detach(), x)
        if self.training:
            self.cluster_size.mul_(self.decay).add_(enc.sum(0), alpha=1 - self.decay)
        q = x + (q - x).detach()
        avg = torch.mean(enc, dim=0)
        return q, loss, torch.exp(-torch.sum(avg * torch.log(avg + 1e-10)))


class VQVAE(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(nn.Conv2d(1, 4, 4, stride=2, padding=1), nn.ReLU(), nn.Conv2d(4, 3, 3, padding=1))
        self.vq = VectorQuantizer(6, 3)
        self.decoder = nn.Sequential(nn.ConvTranspose2d(3, 4, 3, stride=2, padding=1, output_padding=1), nn.ReLU(), nn.Conv2d(4, 1, 3, padding=1))

    def forward(self, x):
        q, loss, perplexity = self.vq(self.encoder(x))
        return self.decoder(q), loss, perplexity


def box_iou(a, b):
    area = lambda t: (t[:, 2] - t[:, 0]) * (t[:, 3] - t[:, 1])
    lt, rb = torch.max(a[:, None, :2], b[:, :2]), torch.min(a[:, None, 2:], b[:, 2:])
    wh = (rb - lt).clamp(min=0)
    inter = wh[:, :, 0] * wh[:, :, 1]
    return inter / (area(a)[:, None] + area(b) - inter)


def nms(boxes, scores, threshold):
    order, keep = scores.argsort(descending=True), []
    while order.numel() > 0:
        i = order[0]
        keep.append(i)
        if order.numel() == 1:
            break
        order = order[1:][box_iou(boxes[i].unsqueeze(0), boxes[order[1:]])[0] <= threshold]
    return torch.stack(keep)


def focal(inputs, targets, alpha=0.25, gamma=2):
    p = torch.sigmoid(inputs)
    ce = F.binary_cross_entropy_with_logits(inputs, targets, reduction="none")
    p_t = p * targets + (1 - p) * (1 - targets)
    return ((alpha * targets + (1 - alpha) * (1 - targets)) * ce * ((1 - p_t) ** gamma)).mean()


def dice(logits, target, smooth=1.0):
    probs = F.softmax(logits, dim=1)
    onehot = F.one_hot(target, logits.size(1)).permute(0, 3, 1, 2).type_as(probs)
    inter = (probs * onehot).sum(dim=(0, 2, 3))
    return 1 - ((2.0 * inter + smooth) / ((probs + onehot).sum((0, 2, 3)) + smooth)).mean()


def squash(s, dim=-1):
    n2 = (s**2).sum(dim, keepdim=True)
    return n2 / (1 + n2) * s / (n2.sqrt() + 1e-8)


def routing(u, iterations=3):
    b = torch.zeros(*u.shape[:3], 1)
    for i in range(iterations):
        c = F.softmax(b, dim=2)
        v = squash((c * u).sum(dim=1, keepdim=True))
        if i < iterations - 1:
            b = b + torch.matmul(u.unsqueeze(3), v.unsqueeze(-1)).squeeze(-1)
    return v.squeeze(1)


def main():
    torch.manual_seed(31)
    torch.set_default_dtype(torch.float64)
    results = []
    x = torch.rand(3, 1, 8, 8)
    model = VQVAE()
    optimizer = torch.optim.RAdam(model.parameters(), lr=5e-3)
    for _ in range(3):
        recon, vq_loss, perplexity = model(x)
        loss = F.mse_loss(recon, x) / x.var() + vq_loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        results += [loss.item(), perplexity.item(), model.vq.cluster_size.max().item()]
    ae = nn.Sequential(nn.Flatten(), nn.Linear(64, 10), nn.Sigmoid(), nn.Linear(10, 64), nn.Unflatten(1, (1, 8, 8)))
    code = {}
    hook = ae[2].register_forward_hook(lambda m, i, o: code.update(h=o))
    out = ae(x + 0.1 * torch.randn_like(x))
    rho = code["h"].mean(0)
    sparse = (0.05 * torch.log(0.05 / rho) + 0.95 * torch.log(0.95 / (1 - rho))).sum()
    (F.binary_cross_entropy(torch.sigmoid(out), x, reduction="sum") + sparse + code["h"].abs().sum()).backward()
    hook.remove()
    results += [sparse.item(), ae[1].weight.grad.norm().item(), ae[3].bias.grad.sum().item()]
    a = torch.randn(4, 3, requires_grad=True)
    (STE.apply(a, 4).pow(2).sum() + GradReverse.apply(a, 0.3).sum() + MyReLU.apply(a, 0.1).pow(3).sum()).backward()
    results += a.grad.flatten().tolist()
    corners = torch.rand(6, 2) * 4
    boxes = torch.cat([corners, corners + 1 + torch.rand(6, 2)], dim=1)
    scores = torch.rand(6)
    results += [box_iou(boxes, boxes).sum().item(), *nms(boxes, scores, 0.2).tolist()]
    pred = boxes.clone().requires_grad_()
    (F.smooth_l1_loss(pred, boxes.roll(1, 0), beta=0.5) + (1 - box_iou(pred, boxes.roll(1, 0)).diag()).mean() + F.huber_loss(pred, boxes * 2)).backward()
    results += pred.grad.sum(0).tolist()
    logits = torch.randn(2, 3, 4, 4, requires_grad=True)
    mask = torch.randint(0, 3, (2, 4, 4))
    loss = dice(logits, mask) + F.cross_entropy(logits, mask, ignore_index=2) + focal(logits[:, 0], (mask == 0).double())
    loss.backward()
    confusion = torch.bincount(3 * mask.flatten() + logits.argmax(1).flatten(), minlength=9).reshape(3, 3)
    iou = confusion.diag() / (confusion.sum(0) + confusion.sum(1) - confusion.diag()).clamp(min=1)
    results += [loss.item(), logits.grad.norm().item(), *iou.tolist()]
    emissions = torch.randn(7, 2, 4, requires_grad=True)
    ctc = nn.CTCLoss(zero_infinity=True)(emissions.log_softmax(2), torch.tensor([[1, 2, 2], [3, 1, 0]]), torch.tensor([7, 6]), torch.tensor([3, 2]))
    ctc.backward()
    results += [ctc.item(), emissions.grad.norm().item()]
    u = torch.randn(2, 5, 3, 4, requires_grad=True)
    v = routing(u)
    lengths = v.norm(dim=-1)
    margin = F.relu(0.9 - lengths[:, 0]).pow(2).sum() + 0.5 * F.relu(lengths[:, 1:] - 0.1).pow(2).sum()
    margin.backward()
    results += [margin.item(), u.grad.norm().item()]
    gumbel = F.gumbel_softmax(torch.randn(3, 4, requires_grad=True), tau=0.5, hard=True)
    results += [gumbel.sum().item(), *gumbel.argmax(-1).tolist()]
    pooled, where = F.max_pool2d(x, 2, return_indices=True)
    results += [F.max_unpool2d(pooled, where, 2).sum().item(), F.lp_pool2d(x, 2, 2).sum().item(), F.local_response_norm(x, 3).sum().item()]
    adv = x.clone().requires_grad_(True)
    F.mse_loss(ae(adv), x).backward()
    with torch.no_grad():
        step = torch.clamp(adv + 0.03 * adv.grad.sign(), 0, 1)
        delta = (step - x).clamp(-0.02, 0.02)
    results += [delta.abs().sum().item(), F.mse_loss(ae(x + delta), x).item()]
    fake, real = torch.randn(4, 3, requires_grad=True), torch.randn(4, 3)
    critic = nn.Sequential(nn.Linear(3, 6), nn.LeakyReLU(0.2), nn.Linear(6, 1))
    mix = torch.rand(4, 1)
    inter = (mix * real + (1 - mix) * fake).detach().requires_grad_(True)
    g = torch.autograd.grad(critic(inter), inter, torch.ones(4, 1), create_graph=True, retain_graph=True, only_inputs=True)[0]
    penalty = ((g.view(4, -1).norm(2, dim=1) - 1) ** 2).mean() * 10
    (critic(fake).mean() - critic(real).mean() + penalty).backward()
    return [float(r) for r in results + [penalty.item(), critic[0].weight.grad.norm().item(), fake.grad.norm().item()]]
