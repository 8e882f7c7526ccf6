"""What surrounds a model: optimizers from papers, a learning-rate finder, folds and early stopping, metrics, graphs, recommendations."""

import itertools

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


def optimisers_from_papers():
    class Lion(optim.Optimizer):
        def __init__(self, params, lr=1e-2, betas=(0.9, 0.99), wd=0.1):
            super().__init__(params, dict(lr=lr, betas=betas, weight_decay=wd))

        @torch.no_grad()
        def step(self, closure=None):
            loss = None
            if closure is not None:
                with torch.enable_grad():
                    loss = closure()
            for g in self.param_groups:
                for p in filter(lambda p: p.grad is not None, g["params"]):
                    st = self.state[p]
                    if len(st) == 0:
                        st["m"] = torch.zeros_like(p, memory_format=torch.preserve_format)
                    m, (b1, b2) = st["m"], g["betas"]
                    p.data.mul_(1 - g["lr"] * g["weight_decay"])
                    u = m.clone().mul_(b1).add(p.grad, alpha=1 - b1).sign_()
                    p.add_(u, alpha=-g["lr"])
                    m.mul_(b2).add_(p.grad, alpha=1 - b2)
            return loss

    class SAM(optim.Optimizer):
        def __init__(self, params, base, rho=0.05, **kw):
            super().__init__(params, dict(rho=rho, **kw))
            self.base = base(self.param_groups, **kw)
            self.param_groups = self.base.param_groups
            self.defaults.update(self.base.defaults)

        @torch.no_grad()
        def first(self):
            n = torch.norm(torch.stack([p.grad.norm(p=2) for g in self.param_groups for p in g["params"] if p.grad is not None]), p=2)
            for g in self.param_groups:
                for p in g["params"]:
                    self.state[p]["old"] = p.data.clone()
                    p.add_(p.grad * (g["rho"] / (n + 1e-12)).to(p))
            self.zero_grad()

        @torch.no_grad()
        def second(self):
            for g in self.param_groups:
                for p in g["params"]:
                    p.data = self.state[p]["old"]
            self.base.step()
            self.zero_grad()

    def newton_schulz(G, steps=5):
        a, b, c = 3.4445, -4.7750, 2.0315
        X = G / (G.norm() + 1e-7)
        for _ in range(steps):
            A = X @ X.T
            B = b * A + c * A @ A
            X = a * X + B @ X
        return X

    X, Y = data(16, 4), data(16, 2, seed=1)
    out = []
    for kind in ("lion", "sam", "lookahead", "shampoo", "muon"):
        m = fill(nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 2)))
        f = lambda: F.mse_loss(m(X), Y)
        if kind == "lion":
            o = Lion(m.parameters())
            for _ in range(4):
                o.zero_grad()
                f().backward()
                o.step()
        elif kind == "sam":
            o = SAM(m.parameters(), optim.SGD, lr=0.1, momentum=0.9)
            for _ in range(4):
                f().backward()
                o.first()
                f().backward()
                o.second()
        elif kind == "lookahead":
            o = optim.Adam(m.parameters(), 0.05)
            slow = [p.clone().detach() for p in m.parameters()]
            for i in range(6):
                o.zero_grad()
                f().backward()
                o.step()
                if i % 3 == 2:
                    for s, p in zip(slow, m.parameters()):
                        s.add_(p.data - s, alpha=0.5)
                        p.data.copy_(s)
        else:
            pre = {}
            for _ in range(3):
                f().backward()
                with torch.no_grad():
                    for n, p in m.named_parameters():
                        if p.ndim < 2:
                            p.sub_(0.05 * p.grad)
                        elif kind == "muon":
                            p -= 0.05 * newton_schulz(p.grad)
                        else:
                            L, R = pre.setdefault(n, (torch.eye(p.shape[0]) * 1e-2, torch.eye(p.shape[1]) * 1e-2))
                            L += p.grad @ p.grad.T
                            R += p.grad.T @ p.grad

                            def ip(M):
                                e, v = torch.linalg.eigh(M)
                                return v @ torch.diag(e.clamp(min=1e-6) ** -0.25) @ v.T

                            p.add_(ip(L) @ p.grad @ ip(R), alpha=-0.05)
                        p.grad = None
        out.append([f()] + [p.detach() for p in m.parameters()])
    return out


def lr_finder_kfold_early_stopping():
    X = data(40, 3)
    y = (X.sum(1) > 0).long()
    out = []
    m = fill(nn.Linear(3, 2))
    o = optim.SGD(m.parameters(), lr=1e-4)
    sch = optim.lr_scheduler.LambdaLR(o, lambda i: (1.0 / 1e-4) ** (i / 9))
    hist = {"lr": [], "loss": []}
    avg = 0.0
    for i in range(10):
        l = F.cross_entropy(m(X), y)
        o.zero_grad()
        l.backward()
        o.step()
        sch.step()
        avg = 0.9 * avg + 0.1 * l.item()
        hist["lr"].append(o.param_groups[0]["lr"])
        hist["loss"].append(avg / (1 - 0.9 ** (i + 1)))
    for f, idx in enumerate(torch.arange(40).chunk(4)):
        mask = torch.ones(40, dtype=torch.bool)
        mask[idx] = False
        m = fill(nn.Linear(3, 2), f)
        o = optim.AdamW(m.parameters(), 0.1)
        best, wait, snap = float("inf"), 0, None
        for ep in range(12):
            m.train()
            l = F.cross_entropy(m(X[mask]), y[mask])
            o.zero_grad()
            l.backward()
            o.step()
            m.eval()
            with torch.inference_mode():
                v = F.cross_entropy(m(X[~mask]), y[~mask]).item()
            if v < best - 1e-2:
                best, wait, snap = v, 0, {k: t.clone() for k, t in m.state_dict().items()}
            else:
                wait += 1
                if wait >= 2:
                    break
        m.load_state_dict(snap)
        pr = m(X[idx]).argmax(1)
        cm = torch.zeros(2, 2, dtype=torch.int64)
        for a, b in zip(y[idx], pr):
            cm[a.long(), b.long()] += 1
        cm2 = torch.bincount(y[idx] * 2 + pr, minlength=4).reshape(2, 2)
        tp = cm.diag()
        out += [best, ep, cm, cm2, tp / cm.sum(0).clamp(min=1), (tp.sum() / cm.sum()).item()]
    return hist, out


def roc_auc_metrics():
    s, y = torch.sigmoid(data(30)), (data(30) + 0.7 * data(30, seed=1) > 0).int()
    d = torch.argsort(s, descending=True)
    ys = y[d]
    tps = ys.cumsum(0)
    fps = torch.arange(1, 31) - tps
    tpr, fpr = torch.cat([torch.zeros(1), tps / tps[-1]]), torch.cat([torch.zeros(1), fps / fps[-1]])
    auc = torch.trapezoid(tpr, fpr)
    auc2 = (s[y == 1][:, None] > s[y == 0][None]).float().mean()
    prec = tps / torch.arange(1, 31)
    ap = (prec * ys).sum() / ys.sum()
    bins = torch.linspace(0, 1, 6)
    b = torch.bucketize(s, bins[1:-1])
    conf = torch.zeros(5).scatter_reduce(0, b, s, "mean", include_self=False)
    acc = torch.zeros(5).scatter_reduce_(0, b, y.double(), "mean", include_self=False)
    n = torch.bincount(b, minlength=5)
    ece = ((conf - acc).abs() * n / n.sum()).sum()
    r = torch.argsort(torch.argsort(s)).double()
    z = data(30, seed=5)
    r2 = z.argsort().argsort().double()
    sp = torch.corrcoef(torch.stack([r, r2]))[0, 1]
    rel = torch.tensor([3.0, 2, 3, 0, 1, 2])
    dcg = lambda t: ((2**t - 1) / torch.log2(torch.arange(2, len(t) + 2).double())).sum()
    mse, mae = F.mse_loss(s, y.double()), (s - y).abs().mean()
    r2s = 1 - ((y - s) ** 2).sum() / ((y.double() - y.double().mean()) ** 2).sum()
    q = torch.quantile(s, torch.tensor([0.05, 0.5, 0.95]))
    psnr = 10 * torch.log10(1 / mse)
    top = (torch.topk(data(5, 4), 2, dim=1)[1] == torch.tensor([0, 1, 2, 3, 0]).view(-1, 1)).any(1).float().mean()
    return (
        auc,
        auc2,
        ap,
        ece,
        conf,
        sp,
        dcg(rel) / dcg(rel.sort(descending=True).values),
        mse,
        mae,
        r2s,
        q,
        psnr,
        top,
        s.std(),
        torch.histc(s, 5, 0, 1),
        torch.cummax(prec.flip(0), 0)[0].flip(0),
    )


def graph_networks():
    ei = torch.tensor([[0, 1, 1, 2, 3, 4, 4, 0], [1, 0, 2, 1, 4, 3, 0, 4]])
    x = data(5, 3).requires_grad_()
    n = 5
    row, col = ei
    ei2 = torch.cat([ei, torch.arange(n).repeat(2, 1)], 1)
    deg = torch.zeros(n).scatter_add_(0, ei2[1], torch.ones(ei2.size(1)))
    dis = deg.pow(-0.5)
    dis[dis == float("inf")] = 0
    norm = dis[ei2[0]] * dis[ei2[1]]
    W = data(3, 4, seed=1).requires_grad_()
    gcn = torch.zeros(n, 4).index_add_(0, ei2[1], norm.view(-1, 1) * (x @ W)[ei2[0]])
    A = torch.zeros(n, n)
    A[ei2[0], ei2[1]] = 1.0
    dense = torch.diag(dis) @ A.T @ torch.diag(dis) @ x @ W
    sage = torch.cat([x, torch.zeros(n, 3).scatter_reduce(0, col[:, None].expand(-1, 3), x[row], "mean", include_self=False)], -1)
    gin = (1 + 0.1) * x + torch.zeros_like(x).scatter_add(0, col.unsqueeze(-1).expand(-1, 3), x[row])
    mx = torch.full((n, 3), -1e9).scatter_reduce(0, col[:, None].expand_as(x[row]), x[row], reduce="amax")
    e = F.leaky_relu(x[row].sum(-1) + 2 * x[col].mean(-1), 0.2)
    m = torch.full((n,), -torch.inf).scatter_reduce(0, col, e, "amax")
    ex = (e - m[col]).exp()
    al = ex / torch.zeros(n).scatter_add(0, col, ex)[col]
    gat = torch.zeros(n, 3).index_add(0, col, al[:, None] * x[row])
    batch = torch.tensor([0, 0, 0, 1, 1])
    pool = torch.stack([gcn[batch == b].mean(0) for b in batch.unique()])
    cnt = torch.bincount(batch)
    pool2 = torch.zeros(2, 4).index_add(0, batch, gcn) / cnt[:, None]
    L = torch.diag(A.sum(1)) - A
    ev = torch.linalg.eigvalsh((L + L.T) / 2)
    pos = data(5, 3, seed=4).requires_grad_()
    rel = pos[row] - pos[col]
    d2 = (rel**2).sum(-1, keepdim=True)
    npos = pos + torch.zeros_like(pos).index_add_(0, row, rel / (d2.sqrt() + 1))
    sp = torch.sparse_coo_tensor(ei, torch.ones(8), (n, n))
    spm = torch.sparse.mm(sp, x)
    (gcn.sum() + sage.pow(2).sum() + gin.tanh().sum() + mx.sum() + gat.sum() + npos.norm() + spm.sin().sum()).backward()
    return (
        gcn,
        torch.allclose(gcn, dense),
        sage,
        gin,
        mx,
        al,
        gat,
        torch.allclose(pool, pool2),
        ev,
        npos,
        x.grad,
        W.grad,
        pos.grad,
        spm,
        sp.to_dense(),
    )


def recommender():
    class NCF(nn.Module):
        def __init__(s):
            super().__init__()
            s.u, s.i = nn.Embedding(6, 4), nn.Embedding(8, 4)
            s.b = nn.Embedding(8, 1)
            s.mlp = nn.Sequential(nn.Linear(8, 6), nn.ReLU(), nn.Dropout(0.0), nn.Linear(6, 1))

        def forward(s, u, i):
            a, b = s.u(u), s.i(i)
            return s.mlp(torch.cat([a, b], dim=-1)).squeeze(-1) + (a * b).sum(1) + s.b(i).flatten()

    m = fill(NCF())
    o = optim.Adagrad(m.parameters(), 0.1)
    u, p, n = torch.tensor([0, 1, 5, 5]), torch.tensor([3, 2, 7, 1]), torch.tensor([0, 0, 1, 6])
    out = []
    for _ in range(4):
        l = -F.logsigmoid(m(u, p) - m(u, n)).mean() + 1e-3 * sum(w.pow(2).sum() for w in m.parameters())
        o.zero_grad()
        l.backward()
        o.step()
        out.append(l.item())
    fm = data(4, 5, 3)
    ff = 0.5 * (fm.sum(1).pow(2) - fm.pow(2).sum(1)).sum(1)
    cross = torch.stack([fm[:, i] * fm[:, j] for i, j in itertools.combinations(range(5), 2)], 1).sum((1, 2))
    sc = m.u.weight @ m.i.weight.T
    sc[torch.tensor([0, 1]), torch.tensor([3, 2])] = -1e9
    top = sc.topk(3, dim=-1).indices
    hit = (top[[0, 1, 5]] == torch.tensor([[3], [2], [7]])).any(-1)
    return out, ff, torch.allclose(ff, cross), top, hit, m.b.weight.grad
