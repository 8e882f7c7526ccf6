"""Distances learned: siamese contrastive, triplet, NT-Xent, CLIP-style, a memory bank with momentum, mixup, label smoothing."""

import copy

import torch
import torch.nn as nn
import torch.nn.functional as F


class Siamese(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(6, 10), nn.PReLU(), nn.Linear(10, 4))
        for m in self.net:
            if isinstance(m, nn.Linear):
                torch.nn.init.xavier_uniform_(m.weight)
                m.bias.data.fill_(0.01)

    def forward_once(self, x):
        return self.net(x)

    def forward(self, a, b):
        return self.forward_once(a), self.forward_once(b)


class ContrastiveLoss(nn.Module):
    def __init__(self, margin=1.0):
        super().__init__()
        self.margin = margin
        self.eps = 1e-9

    def forward(self, output1, output2, target, size_average=True):
        distances = (output2 - output1).pow(2).sum(1)
        losses = 0.5 * (target.to(distances.dtype) * distances
                        + (1 + -1 * target).to(distances.dtype) * F.relu(self.margin - (distances + self.eps).sqrt()).pow(2))
        return losses.mean() if size_average else losses.sum()


def nt_xent(z1, z2, temperature=0.5):
    n = z1.shape[0]
    z = F.normalize(torch.cat([z1, z2], dim=0), dim=1)
    similarity = torch.mm(z, z.T) / temperature
    similarity.fill_diagonal_(float("-inf")) if not similarity.requires_grad else None
    mask = torch.eye(2 * n, dtype=torch.bool)
    similarity = similarity.masked_fill(mask, -9e15)
    positives = mask.roll(shifts=n, dims=0)
    return (-similarity[positives] + torch.logsumexp(similarity, dim=-1)).mean()


class MoCo(nn.Module):
    def __init__(self, dim=4, K=16, m=0.9, T=0.2):
        super().__init__()
        self.K, self.m, self.T = K, m, T
        self.encoder_q = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, dim))
        self.encoder_k = copy.deepcopy(self.encoder_q)
        for param_q, param_k in zip(self.encoder_q.parameters(), self.encoder_k.parameters()):
            param_k.data.copy_(param_q.data)
            param_k.requires_grad = False
        self.register_buffer("queue", torch.randn(dim, K))
        self.queue = nn.functional.normalize(self.queue, dim=0)
        self.register_buffer("queue_ptr", torch.zeros(1, dtype=torch.long))

    @torch.no_grad()
    def _momentum_update_key_encoder(self):
        for param_q, param_k in zip(self.encoder_q.parameters(), self.encoder_k.parameters()):
            param_k.data = param_k.data * self.m + param_q.data * (1.0 - self.m)

    @torch.no_grad()
    def _dequeue_and_enqueue(self, keys):
        batch_size = keys.shape[0]
        ptr = int(self.queue_ptr)
        assert self.K % batch_size == 0
        self.queue[:, ptr : ptr + batch_size] = keys.T
        self.queue_ptr[0] = (ptr + batch_size) % self.K

    def forward(self, im_q, im_k):
        q = F.normalize(self.encoder_q(im_q), dim=1)
        with torch.no_grad():
            self._momentum_update_key_encoder()
            idx_shuffle = torch.randperm(im_k.shape[0])
            idx_unshuffle = torch.argsort(idx_shuffle)
            k = F.normalize(self.encoder_k(im_k[idx_shuffle]), dim=1)[idx_unshuffle]
        l_pos = torch.einsum("nc,nc->n", [q, k]).unsqueeze(-1)
        l_neg = torch.einsum("nc,ck->nk", [q, self.queue.clone().detach()])
        logits = torch.cat([l_pos, l_neg], dim=1)
        logits /= self.T
        labels = torch.zeros(logits.shape[0], dtype=torch.long)
        self._dequeue_and_enqueue(k)
        return logits, labels


def mixup_data(x, y, alpha=0.7):
    lam = 0.3 * alpha
    index = torch.randperm(x.size(0))
    return lam * x + (1 - lam) * x[index, :], y, y[index], lam


class LabelSmoothing(nn.Module):
    def __init__(self, classes, smoothing=0.1):
        super().__init__()
        self.confidence, self.smoothing, self.cls = 1.0 - smoothing, smoothing, classes

    def forward(self, pred, target):
        pred = pred.log_softmax(dim=-1)
        with torch.no_grad():
            true_dist = torch.zeros_like(pred)
            true_dist.fill_(self.smoothing / (self.cls - 1))
            true_dist.scatter_(1, target.data.unsqueeze(1), self.confidence)
        return torch.mean(torch.sum(-true_dist * pred, dim=-1))


def main():
    torch.manual_seed(8)
    torch.set_default_dtype(torch.float64)
    x, y = torch.randn(8, 6), torch.randint(0, 3, (8,))
    results = []
    model = Siamese()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01, amsgrad=True)
    triplet, loss_fn = nn.TripletMarginLoss(margin=1.0, p=2), ContrastiveLoss()
    for _ in range(4):
        a, b = model(x, x.flip(0))
        c = model.forward_once(x.roll(1, 0))
        same = (y == y.flip(0)).long()
        loss = loss_fn(a, b, same) + triplet(a, c, b) + nt_xent(a, b) * 0.1
        loss = loss + F.cosine_embedding_loss(a, b, same * 2 - 1) + F.margin_ranking_loss(a[:, 0], b[:, 0], torch.ones(8))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        results.append(loss.item())
    distances = torch.cdist(a, a)
    hardest = (distances * (y[:, None] == y[None]).double()).max(dim=1)[0] - distances[~torch.eye(8, dtype=bool)].view(8, 7).min(1).values
    results += [F.softplus(hardest).mean().item(), torch.pdist(a).sum().item()]
    moco = MoCo()
    optimizer = torch.optim.SGD([p for p in moco.parameters() if p.requires_grad], lr=0.1, momentum=0.9, nesterov=True)
    for step in range(4):
        logits, labels = moco(x, x + 0.1 * torch.randn_like(x))
        loss = F.cross_entropy(logits, labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        results += [loss.item(), moco.queue.sum().item(), moco.queue_ptr.item()]
    results += [len(moco.state_dict()), sum(p.numel() for p in moco.parameters() if p.requires_grad)]
    head = nn.Linear(6, 3)
    mixed_x, y_a, y_b, lam = mixup_data(x, y)
    criterion, smooth = nn.CrossEntropyLoss(label_smoothing=0.1), LabelSmoothing(3)
    out = head(mixed_x)
    loss = lam * criterion(out, y_a) + (1 - lam) * criterion(out, y_b) + smooth(out, y)
    loss.backward()
    image, text = F.normalize(head(x), dim=-1), F.normalize(x[:, :3], dim=-1)
    logits = image @ text.t() * torch.tensor(0.07).reciprocal().log().exp()
    clip = (F.cross_entropy(logits, torch.arange(8)) + F.cross_entropy(logits.t(), torch.arange(8))) / 2
    return [float(r) for r in results + [loss.item(), *head.weight.grad.flatten().tolist(), clip.item()]]
