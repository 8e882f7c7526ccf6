"""The models of PyTorch's tutorials and examples, each a program of its own."""

import math
import random
from collections import OrderedDict, namedtuple, deque
from functools import partial
from typing import Optional, List, Tuple

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim
from torch import Tensor
from torch.autograd import Variable
from torch.utils.data import DataLoader, Dataset, TensorDataset


def spatial_transformer():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv1 = nn.Conv2d(1, 10, kernel_size=5)
            self.conv2 = nn.Conv2d(10, 20, kernel_size=5)
            self.conv2_drop = nn.Dropout2d()
            self.fc1 = nn.Linear(320, 50)
            self.fc2 = nn.Linear(50, 10)
            self.localization = nn.Sequential(
                nn.Conv2d(1, 8, kernel_size=7),
                nn.MaxPool2d(2, stride=2),
                nn.ReLU(True),
                nn.Conv2d(8, 10, kernel_size=5),
                nn.MaxPool2d(2, stride=2),
                nn.ReLU(True),
            )
            self.fc_loc = nn.Sequential(nn.Linear(10 * 3 * 3, 32), nn.ReLU(True), nn.Linear(32, 3 * 2))
            self.fc_loc[2].weight.data.zero_()
            self.fc_loc[2].bias.data.copy_(torch.tensor([1, 0, 0, 0, 1, 0], dtype=torch.float))

        def stn(self, x):
            xs = self.localization(x)
            xs = xs.view(-1, 10 * 3 * 3)
            theta = self.fc_loc(xs)
            theta = theta.view(-1, 2, 3)
            grid = F.affine_grid(theta, x.size())
            x = F.grid_sample(x, grid)
            return x

        def forward(self, x):
            x = self.stn(x)
            x = F.relu(F.max_pool2d(self.conv1(x), 2))
            x = F.relu(F.max_pool2d(self.conv2_drop(self.conv2(x)), 2))
            x = x.view(-1, 320)
            x = F.relu(self.fc1(x))
            x = F.dropout(x, training=self.training)
            x = self.fc2(x)
            return F.log_softmax(x, dim=1)

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = Net().to(device)
    opt = optim.SGD(model.parameters(), lr=0.01)
    x = torch.randn(4, 1, 28, 28)
    y = torch.randint(0, 10, (4,))
    out = []
    for _ in range(3):
        opt.zero_grad()
        loss = F.nll_loss(model(x.to(device)), y.to(device))
        loss.backward()
        opt.step()
        out.append(loss.item())
    model.eval()
    with torch.no_grad():
        out.append(F.nll_loss(model(x), y, size_average=False).item())
    return out


def grid_sample_modes():
    x = torch.randn(2, 3, 5, 6, requires_grad=True)
    g = (torch.rand(2, 4, 4, 2) * 2.6 - 1.3).requires_grad_()
    out = []
    for mode in ("bilinear", "nearest", "bicubic"):
        for pad in ("zeros", "border", "reflection"):
            for ac in (True, False):
                y = F.grid_sample(x, g, mode=mode, padding_mode=pad, align_corners=ac)
                gr = torch.autograd.grad((y**2).sum(), (x, g))
                out += [y, gr]
    x = torch.randn(1, 2, 3, 4, 5)
    g = torch.rand(1, 2, 2, 2, 3) * 2 - 1
    for pad in ("zeros", "border", "reflection"):
        out.append(F.grid_sample(x, g, padding_mode=pad, align_corners=False))
        out.append(F.grid_sample(x, g, mode="nearest", padding_mode=pad, align_corners=False))
    out.append(F.affine_grid(torch.randn(1, 3, 4), [1, 2, 3, 4, 5], align_corners=False))
    return out


def fgsm():
    model = nn.Sequential(nn.Flatten(), nn.Linear(16, 20), nn.ReLU(), nn.Linear(20, 4), nn.LogSoftmax(1))
    correct = 0
    out = []
    for eps in (0, 0.05, 0.3):
        for i in range(3):
            data = torch.rand(1, 1, 4, 4)
            target = torch.tensor([i])
            data.requires_grad = True
            output = model(data)
            init_pred = output.max(1, keepdim=True)[1]
            if init_pred.item() != target.item():
                correct += 1
            loss = F.nll_loss(output, target)
            model.zero_grad()
            loss.backward()
            data_grad = data.grad.data
            sign = data_grad.sign()
            p = torch.clamp(data + eps * sign, 0, 1)
            output = model(p)
            out += [output, output.max(1, keepdim=True)[1]]
    return out, correct


def neural_style():
    def gram_matrix(input):
        a, b, c, d = input.size()
        features = input.view(a * b, c * d)
        G = torch.mm(features, features.t())
        return G.div(a * b * c * d)

    class ContentLoss(nn.Module):
        def __init__(self, target):
            super().__init__()
            self.target = target.detach()

        def forward(self, input):
            self.loss = F.mse_loss(input, self.target)
            return input

    class StyleLoss(nn.Module):
        def __init__(self, target_feature):
            super().__init__()
            self.target = gram_matrix(target_feature).detach()

        def forward(self, input):
            G = gram_matrix(input)
            self.loss = F.mse_loss(G, self.target)
            return input

    class Normalization(nn.Module):
        def __init__(self, mean, std):
            super().__init__()
            self.mean = torch.tensor(mean).view(-1, 1, 1)
            self.std = torch.tensor(std).view(-1, 1, 1)

        def forward(self, img):
            return (img - self.mean) / self.std

    cnn = nn.Sequential(
        nn.Conv2d(3, 6, 3, padding=1),
        nn.ReLU(inplace=True),
        nn.Conv2d(6, 6, 3, padding=1),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(2),
        nn.Conv2d(6, 8, 3, padding=1),
    )
    style = torch.rand(1, 3, 12, 12)
    content = torch.rand(1, 3, 12, 12)
    norm = Normalization([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    model = nn.Sequential(norm)
    cl, sl = [], []
    i = 0
    for layer in cnn.children():
        if isinstance(layer, nn.Conv2d):
            i += 1
            name = f"conv_{i}"
        elif isinstance(layer, nn.ReLU):
            name = f"relu_{i}"
            layer = nn.ReLU(inplace=False)
        elif isinstance(layer, nn.MaxPool2d):
            name = f"pool_{i}"
        else:
            raise RuntimeError("Unrecognized layer: {}".format(layer.__class__.__name__))
        model.add_module(name, layer)
        if name in ("conv_2",):
            t = model(content).detach()
            c = ContentLoss(t)
            model.add_module(f"content_loss_{i}", c)
            cl.append(c)
        if name in ("conv_1", "conv_2", "conv_3"):
            t = model(style).detach()
            s = StyleLoss(t)
            model.add_module(f"style_loss_{i}", s)
            sl.append(s)
    for i in range(len(model) - 1, -1, -1):
        if isinstance(model[i], ContentLoss) or isinstance(model[i], StyleLoss):
            break
    model = model[: (i + 1)]
    img = content.clone()
    img.requires_grad_(True)
    model.eval()
    model.requires_grad_(False)
    opt = optim.LBFGS([img])
    run = [0]
    out = []
    while run[0] <= 20:

        def closure():
            with torch.no_grad():
                img.clamp_(0, 1)
            opt.zero_grad()
            model(img)
            style_score = 0
            content_score = 0
            for s in sl:
                style_score += s.loss
            for c in cl:
                content_score += c.loss
            style_score *= 1e4
            loss = style_score + content_score
            loss.backward()
            run[0] += 1
            out.append(loss.item())
            return style_score + content_score

        opt.step(closure)
    with torch.no_grad():
        img.clamp_(0, 1)
    return out[:15], img.sum(), len(model)


def time_sequence():
    class Sequence(nn.Module):
        def __init__(self):
            super(Sequence, self).__init__()
            self.lstm1 = nn.LSTMCell(1, 8)
            self.lstm2 = nn.LSTMCell(8, 8)
            self.linear = nn.Linear(8, 1)

        def forward(self, input, future=0):
            outputs = []
            h_t = torch.zeros(input.size(0), 8, dtype=torch.double)
            c_t = torch.zeros(input.size(0), 8, dtype=torch.double)
            h_t2 = torch.zeros(input.size(0), 8, dtype=torch.double)
            c_t2 = torch.zeros(input.size(0), 8, dtype=torch.double)
            for input_t in input.split(1, dim=1):
                h_t, c_t = self.lstm1(input_t, (h_t, c_t))
                h_t2, c_t2 = self.lstm2(h_t, (h_t2, c_t2))
                output = self.linear(h_t2)
                outputs += [output]
            for i in range(future):
                h_t, c_t = self.lstm1(output, (h_t, c_t))
                h_t2, c_t2 = self.lstm2(h_t, (h_t2, c_t2))
                output = self.linear(h_t2)
                outputs += [output]
            outputs = torch.cat(outputs, dim=1)
            return outputs

    np.random.seed(2)
    T = 20
    L = 20
    N = 6
    x = np.empty((N, L), "int64")
    x[:] = np.array(range(L)) + np.random.randint(-4 * T, 4 * T, N).reshape(N, 1)
    data = np.sin(x / 1.0 / T).astype("float64")
    input = torch.from_numpy(data[3:, :-1])
    target = torch.from_numpy(data[3:, 1:])
    seq = Sequence()
    seq.double()
    crit = nn.MSELoss()
    opt = optim.LBFGS(seq.parameters(), lr=0.8, max_iter=5)
    out = []
    for i in range(2):

        def closure():
            opt.zero_grad()
            o = seq(input)
            loss = crit(o, target)
            out.append(loss.item())
            loss.backward()
            return loss

        opt.step(closure)
        with torch.no_grad():
            pred = seq(input, future=5)
            out.append(crit(pred[:, :-5], target).item())
    return out, pred


def super_resolution():
    class Net(nn.Module):
        def __init__(self, upscale_factor):
            super().__init__()
            self.relu = nn.ReLU()
            self.conv1 = nn.Conv2d(1, 16, (5, 5), (1, 1), (2, 2))
            self.conv2 = nn.Conv2d(16, 16, (3, 3), (1, 1), (1, 1))
            self.conv4 = nn.Conv2d(16, upscale_factor**2, (3, 3), (1, 1), (1, 1))
            self.pixel_shuffle = nn.PixelShuffle(upscale_factor)
            self._initialize_weights()

        def forward(self, x):
            x = self.relu(self.conv1(x))
            x = self.relu(self.conv2(x))
            return self.pixel_shuffle(self.conv4(x))

        def _initialize_weights(self):
            nn.init.orthogonal_(self.conv1.weight, nn.init.calculate_gain("relu"))
            nn.init.orthogonal_(self.conv2.weight, nn.init.calculate_gain("relu"))
            nn.init.orthogonal_(self.conv4.weight)

    net = Net(3)
    opt = optim.Adam(net.parameters(), lr=1e-3)
    x = torch.rand(2, 1, 6, 6)
    y = torch.rand(2, 1, 18, 18)
    out = []
    for _ in range(3):
        opt.zero_grad()
        l = F.mse_loss(net(x), y)
        l.backward()
        opt.step()
        out.append(10 * math.log10(1 / l.item()))
    return out


def reinforce():
    from torch.distributions import Categorical

    class Policy(nn.Module):
        def __init__(self):
            super().__init__()
            self.affine1 = nn.Linear(4, 16)
            self.dropout = nn.Dropout(p=0.6)
            self.affine2 = nn.Linear(16, 2)
            self.saved_log_probs = []
            self.rewards = []

        def forward(self, x):
            x = self.affine1(x)
            x = self.dropout(x)
            x = F.relu(x)
            return F.softmax(self.affine2(x), dim=1)

    policy = Policy()
    opt = optim.Adam(policy.parameters(), lr=1e-2)
    eps = np.finfo(np.float32).eps.item()
    out = []
    for ep in range(3):
        state = np.array([0.1, -0.2, 0.3, 0.05])
        for t in range(8):
            s = torch.from_numpy(state).double().unsqueeze(0)
            probs = policy(s)
            m = Categorical(probs)
            action = m.sample()
            policy.saved_log_probs.append(m.log_prob(action))
            a = action.item()
            state = np.tanh(state * 0.9 + (0.1 if a else -0.1))
            policy.rewards.append(float(state.sum()))
        R = 0
        policy_loss = []
        returns = deque()
        for r in policy.rewards[::-1]:
            R = r + 0.99 * R
            returns.appendleft(R)
        returns = torch.tensor(returns)
        returns = (returns - returns.mean()) / (returns.std() + eps)
        for log_prob, R in zip(policy.saved_log_probs, returns):
            policy_loss.append(-log_prob * R)
        opt.zero_grad()
        loss = torch.cat(policy_loss).sum()
        loss.backward()
        opt.step()
        out.append(loss.item())
        del policy.rewards[:]
        del policy.saved_log_probs[:]
    return out


def actor_critic():
    from torch.distributions import Categorical, Normal

    SavedAction = namedtuple("SavedAction", ["log_prob", "value"])

    class Policy(nn.Module):
        def __init__(self):
            super().__init__()
            self.affine1 = nn.Linear(4, 32)
            self.action_head = nn.Linear(32, 2)
            self.value_head = nn.Linear(32, 1)
            self.saved_actions = []
            self.rewards = []

        def forward(self, x):
            x = F.relu(self.affine1(x))
            return F.softmax(self.action_head(x), dim=-1), self.value_head(x)

    model = Policy()
    opt = optim.Adam(model.parameters(), lr=3e-2)
    out = []
    for ep in range(2):
        state = np.ones(4) * 0.1
        for t in range(6):
            p, v = model(torch.from_numpy(state))
            m = Categorical(p)
            a = m.sample()
            model.saved_actions.append(SavedAction(m.log_prob(a), v))
            state = state * 0.9 + a.item() * 0.1
            model.rewards.append(state.sum())
        R = 0
        returns = []
        for r in model.rewards[::-1]:
            R = r + 0.99 * R
            returns.insert(0, R)
        returns = torch.tensor(returns)
        returns = (returns - returns.mean()) / (returns.std() + 1e-8)
        pl, vl = [], []
        for (lp, v), R in zip(model.saved_actions, returns):
            pl.append(-lp * (R - v.item()))
            vl.append(F.smooth_l1_loss(v, torch.tensor([R])))
        opt.zero_grad()
        loss = torch.stack(pl).sum() + torch.stack(vl).sum()
        loss.backward()
        opt.step()
        out.append(loss.item())
        del model.rewards[:]
        del model.saved_actions[:]
    return out


def siamese():
    class Siamese(nn.Module):
        def __init__(self):
            super().__init__()
            self.cnn = nn.Sequential(
                nn.ReflectionPad2d(1),
                nn.Conv2d(1, 4, 3),
                nn.ReLU(inplace=True),
                nn.BatchNorm2d(4),
                nn.ReflectionPad2d(1),
                nn.Conv2d(4, 8, 3),
                nn.ReLU(inplace=True),
                nn.BatchNorm2d(8),
            )
            self.fc = nn.Sequential(nn.Linear(8 * 64, 10), nn.ReLU(inplace=True), nn.Linear(10, 5))

        def once(self, x):
            o = self.cnn(x)
            o = o.view(o.size()[0], -1)
            return self.fc(o)

        def forward(self, a, b):
            return self.once(a), self.once(b)

    class Contrastive(nn.Module):
        def __init__(self, margin=2.0):
            super().__init__()
            self.margin = margin

        def forward(self, o1, o2, label):
            d = F.pairwise_distance(o1, o2, keepdim=True)
            return torch.mean((1 - label) * torch.pow(d, 2) + label * torch.pow(torch.clamp(self.margin - d, min=0.0), 2))

    net = Siamese()
    crit = Contrastive()
    opt = optim.Adam(net.parameters(), lr=0.0005)
    out = []
    for _ in range(3):
        a, b, l = torch.rand(4, 1, 8, 8), torch.rand(4, 1, 8, 8), torch.randint(0, 2, (4, 1)).float()
        opt.zero_grad()
        o = net(a, b)
        loss = crit(*o, l)
        loss.backward()
        opt.step()
        out.append(loss.item())

    def init_w(m):
        if isinstance(m, nn.Linear):
            torch.nn.init.xavier_uniform_(m.weight)
            m.bias.data.fill_(0.01)

    net.apply(init_w)
    return out, net.fc[0].weight.sum(), [b for b in net.buffers()]


def forward_forward():
    def overlay(x, y):
        x_ = x.clone()
        x_[:, :10] *= 0.0
        x_[range(x.shape[0]), y] = x.max()
        return x_

    class Layer(nn.Linear):
        def __init__(self, i, o, bias=True, device=None, dtype=None):
            super().__init__(i, o, bias, device, dtype)
            self.relu = torch.nn.ReLU()
            self.opt = optim.Adam(self.parameters(), lr=0.03)
            self.threshold = 2.0

        def forward(self, x):
            x_direction = x / (x.norm(2, 1, keepdim=True) + 1e-4)
            return self.relu(torch.mm(x_direction, self.weight.T) + self.bias.unsqueeze(0))

        def train_(self, xp, xn):
            for _ in range(3):
                gp = self.forward(xp).pow(2).mean(1)
                gn = self.forward(xn).pow(2).mean(1)
                loss = torch.log(1 + torch.exp(torch.cat([-gp + self.threshold, gn - self.threshold]))).mean()
                self.opt.zero_grad()
                loss.backward()
                self.opt.step()
            return self.forward(xp).detach(), self.forward(xn).detach(), loss.item()

    layers = [Layer(20, 16), Layer(16, 16)]
    x, y = torch.rand(6, 20), torch.randint(0, 10, (6,))
    xp = overlay(x, y)
    rnd = torch.randperm(x.size(0))
    xn = overlay(x, y[rnd])
    out = []
    for l in layers:
        xp, xn, loss = l.train_(xp, xn)
        out.append(loss)
    gs = []
    for lab in range(10):
        h = overlay(x, lab)
        goodness = []
        for l in layers:
            h = l(h)
            goodness += [h.pow(2).mean(1)]
        gs += [sum(goodness).unsqueeze(1)]
    return out, torch.cat(gs, 1).argmax(1)


def gat():
    class GATLayer(nn.Module):
        def __init__(self, i, o, dropout=0.0, alpha=0.2, concat=True):
            super().__init__()
            self.alpha, self.concat, self.dropout, self.o = alpha, concat, dropout, o
            self.W = nn.Parameter(torch.empty(size=(i, o)))
            nn.init.xavier_uniform_(self.W.data, gain=1.414)
            self.a = nn.Parameter(torch.empty(size=(2 * o, 1)))
            nn.init.xavier_uniform_(self.a.data, gain=1.414)
            self.leakyrelu = nn.LeakyReLU(self.alpha)

        def forward(self, h, adj):
            Wh = torch.mm(h, self.W)
            e = self.leakyrelu(torch.matmul(Wh, self.a[: self.o, :]) + torch.matmul(Wh, self.a[self.o :, :]).T)
            zero_vec = -9e15 * torch.ones_like(e)
            att = torch.where(adj > 0, e, zero_vec)
            att = F.softmax(att, dim=1)
            att = F.dropout(att, self.dropout, training=self.training)
            h = torch.matmul(att, Wh)
            return F.elu(h) if self.concat else h

        def __repr__(self):
            return self.__class__.__name__ + " (" + str(self.W.shape[0]) + ")"

    class GAT(nn.Module):
        def __init__(self, nfeat, nhid, nclass, nheads):
            super().__init__()
            self.attentions = [GATLayer(nfeat, nhid) for _ in range(nheads)]
            for i, a in enumerate(self.attentions):
                self.add_module("attention_{}".format(i), a)
            self.out_att = GATLayer(nhid * nheads, nclass, concat=False)

        def forward(self, x, adj):
            x = F.dropout(x, 0.6, training=self.training)
            x = torch.cat([att(x, adj) for att in self.attentions], dim=1)
            x = F.dropout(x, 0.6, training=self.training)
            x = F.elu(self.out_att(x, adj))
            return F.log_softmax(x, dim=1)

    adj = (torch.rand(10, 10) > 0.6).double()
    adj = ((adj + adj.T + torch.eye(10)) > 0).double()
    x = torch.randn(10, 5)
    y = torch.randint(0, 3, (10,))
    idx = torch.arange(6)
    m = GAT(5, 4, 3, 2)
    opt = optim.Adam(m.parameters(), lr=0.005, weight_decay=5e-4)
    out = []
    for _ in range(4):
        m.train()
        opt.zero_grad()
        o = m(x, adj)
        l = F.nll_loss(o[idx], y[idx])
        l.backward()
        opt.step()
        out.append(l.item())
    m.eval()
    preds = m(x, adj).max(1)[1].type_as(y)
    correct = preds.eq(y).double().sum()
    print(m)
    return out, correct / len(y), list(m.state_dict())


def mdn():
    class MDN(nn.Module):
        def __init__(self, n_hidden, n_gaussians):
            super().__init__()
            self.z_h = nn.Sequential(nn.Linear(1, n_hidden), nn.Tanh())
            self.z_pi = nn.Linear(n_hidden, n_gaussians)
            self.z_sigma = nn.Linear(n_hidden, n_gaussians)
            self.z_mu = nn.Linear(n_hidden, n_gaussians)

        def forward(self, x):
            z_h = self.z_h(x)
            return F.softmax(self.z_pi(z_h), -1), torch.exp(self.z_sigma(z_h)), self.z_mu(z_h)

    one = 1.0 / np.sqrt(2.0 * np.pi)

    def gauss(y, mu, sigma):
        result = (y.expand_as(mu) - mu) * torch.reciprocal(sigma)
        result = -0.5 * (result * result)
        return (torch.exp(result) * torch.reciprocal(sigma)) * one

    def mdn_loss(pi, sigma, mu, y):
        result = gauss(y, mu, sigma) * pi
        return torch.mean(-torch.log(torch.sum(result, dim=1)))

    eps = torch.randn(40, 1)
    x = torch.linspace(-10, 10, 40).view(-1, 1)
    y = 7 * torch.sin(0.75 * x) + 0.5 * x + eps
    m = MDN(8, 3)
    opt = torch.optim.Adam(m.parameters())
    out = []
    for _ in range(5):
        l = mdn_loss(*m(y), x)
        opt.zero_grad()
        l.backward()
        opt.step()
        out.append(l.data.tolist())
    pi, s, mu = m(y)
    k = torch.multinomial(pi, 1).view(-1)
    sampled = torch.normal(mu, s)[np.arange(40), k].data
    mix = torch.distributions.MixtureSameFamily(torch.distributions.Categorical(pi), torch.distributions.Normal(mu, s))
    return out, k, sampled, -mix.log_prob(x.squeeze()).mean()


def word2vec():
    CONTEXT_SIZE, DIM = 2, 10
    text = """When forty winters shall besiege thy brow, And dig deep trenches in thy beauty's field""".split()
    ngrams = [([text[i - j - 1] for j in range(CONTEXT_SIZE)], text[i]) for i in range(CONTEXT_SIZE, len(text))]
    vocab = sorted(set(text))
    w2i = {w: i for i, w in enumerate(vocab)}

    class NGram(nn.Module):
        def __init__(self, v, e, c):
            super().__init__()
            self.embeddings = nn.Embedding(v, e)
            self.linear1 = nn.Linear(c * e, 32)
            self.linear2 = nn.Linear(32, v)

        def forward(self, inputs):
            embeds = self.embeddings(inputs).view((1, -1))
            return F.log_softmax(self.linear2(F.relu(self.linear1(embeds))), dim=1)

    losses = []
    lf = nn.NLLLoss()
    model = NGram(len(vocab), DIM, CONTEXT_SIZE)
    opt = optim.SGD(model.parameters(), lr=0.001)
    for epoch in range(2):
        total = 0
        for context, target in ngrams:
            idx = torch.tensor([w2i[w] for w in context], dtype=torch.long)
            model.zero_grad()
            lp = model(idx)
            loss = lf(lp, torch.tensor([w2i[target]], dtype=torch.long))
            loss.backward()
            opt.step()
            total += loss.item()
        losses.append(total)

    class SkipGram(nn.Module):
        def __init__(self, v, d):
            super().__init__()
            self.u = nn.Embedding(v, d, sparse=False)
            self.v = nn.Embedding(v, d, padding_idx=0)
            self.u.weight.data.uniform_(-0.5 / d, 0.5 / d)
            self.v.weight.data.uniform_(-0, 0)

        def forward(self, pu, pv, nv):
            eu, ev, en = self.u(pu), self.v(pv), self.v(nv)
            score = torch.clamp(torch.sum(torch.mul(eu, ev), dim=1), max=10, min=-10)
            ns = torch.clamp(torch.bmm(en, eu.unsqueeze(2)).squeeze(), max=10, min=-10)
            return torch.mean(-F.logsigmoid(score) - torch.sum(F.logsigmoid(-ns), dim=1))

    m = SkipGram(8, 4)
    o = optim.SGD(m.parameters(), lr=0.5)
    for _ in range(3):
        o.zero_grad()
        l = m(torch.randint(0, 8, (5,)), torch.randint(0, 8, (5,)), torch.randint(0, 8, (5, 3)))
        l.backward()
        o.step()
        losses.append(l.item())
    sim = F.cosine_similarity(m.u.weight.unsqueeze(0), m.u.weight.unsqueeze(1), dim=-1)
    return losses, model.embeddings.weight[w2i["thy"]], sim.topk(3, dim=1)


def crf():
    START, STOP = "<START>", "<STOP>"

    def argmax(vec):
        _, idx = torch.max(vec, 1)
        return idx.item()

    def log_sum_exp(vec):
        max_score = vec[0, argmax(vec)]
        max_b = max_score.view(1, -1).expand(1, vec.size()[1])
        return max_score + torch.log(torch.sum(torch.exp(vec - max_b)))

    class BiLSTM_CRF(nn.Module):
        def __init__(self, vocab_size, tag_to_ix, e, h):
            super().__init__()
            self.hidden_dim = h
            self.tag_to_ix = tag_to_ix
            self.tagset_size = len(tag_to_ix)
            self.word_embeds = nn.Embedding(vocab_size, e)
            self.lstm = nn.LSTM(e, h // 2, num_layers=1, bidirectional=True)
            self.hidden2tag = nn.Linear(h, self.tagset_size)
            self.transitions = nn.Parameter(torch.randn(self.tagset_size, self.tagset_size))
            self.transitions.data[tag_to_ix[START], :] = -10000
            self.transitions.data[:, tag_to_ix[STOP]] = -10000
            self.hidden = self.init_hidden()

        def init_hidden(self):
            return (torch.randn(2, 1, self.hidden_dim // 2), torch.randn(2, 1, self.hidden_dim // 2))

        def _forward_alg(self, feats):
            init_alphas = torch.full((1, self.tagset_size), -10000.0)
            init_alphas[0][self.tag_to_ix[START]] = 0.0
            fv = init_alphas
            for feat in feats:
                alphas_t = []
                for nt in range(self.tagset_size):
                    emit = feat[nt].view(1, -1).expand(1, self.tagset_size)
                    trans = self.transitions[nt].view(1, -1)
                    nv = fv + trans + emit
                    alphas_t.append(log_sum_exp(nv).view(1))
                fv = torch.cat(alphas_t).view(1, -1)
            return log_sum_exp(fv + self.transitions[self.tag_to_ix[STOP]])

        def feats(self, s):
            self.hidden = self.init_hidden()
            e = self.word_embeds(s).view(len(s), 1, -1)
            o, self.hidden = self.lstm(e, self.hidden)
            return self.hidden2tag(o.view(len(s), self.hidden_dim))

        def score(self, feats, tags):
            score = torch.zeros(1)
            tags = torch.cat([torch.tensor([self.tag_to_ix[START]], dtype=torch.long), tags])
            for i, feat in enumerate(feats):
                score = score + self.transitions[tags[i + 1], tags[i]] + feat[tags[i + 1]]
            return score + self.transitions[self.tag_to_ix[STOP], tags[-1]]

        def viterbi(self, feats):
            bps = []
            iv = torch.full((1, self.tagset_size), -10000.0)
            iv[0][self.tag_to_ix[START]] = 0
            fv = iv
            for feat in feats:
                b, vv = [], []
                for nt in range(self.tagset_size):
                    v = fv + self.transitions[nt]
                    best = argmax(v)
                    b.append(best)
                    vv.append(v[0][best].view(1))
                fv = (torch.cat(vv) + feat).view(1, -1)
                bps.append(b)
            t = fv + self.transitions[self.tag_to_ix[STOP]]
            best = argmax(t)
            ps = t[0][best]
            path = [best]
            for b in reversed(bps):
                best = b[best]
                path.append(best)
            path.pop()
            path.reverse()
            return ps, path

        def neg(self, s, tags):
            f = self.feats(s)
            return self._forward_alg(f) - self.score(f, tags)

        def forward(self, s):
            return self.viterbi(self.feats(s))

    t2i = {"B": 0, "I": 1, "O": 2, START: 3, STOP: 4}
    m = BiLSTM_CRF(9, t2i, 5, 4)
    opt = optim.SGD(m.parameters(), lr=0.01, weight_decay=1e-4)
    s, tags = torch.tensor([0, 3, 5, 8, 1]), torch.tensor([0, 1, 2, 2, 0])
    out = []
    for _ in range(3):
        m.zero_grad()
        l = m.neg(s, tags)
        l.backward()
        opt.step()
        out.append(l)
    with torch.no_grad():
        return out, m(s)


def pointnet():
    class TNet(nn.Module):
        def __init__(self, k=3):
            super().__init__()
            self.k = k
            self.conv1 = nn.Conv1d(k, 8, 1)
            self.conv2 = nn.Conv1d(8, 16, 1)
            self.fc = nn.Linear(16, k * k)
            self.bn1, self.bn2 = nn.BatchNorm1d(8), nn.BatchNorm1d(16)

        def forward(self, x):
            bs = x.size(0)
            x = F.relu(self.bn1(self.conv1(x)))
            x = F.relu(self.bn2(self.conv2(x)))
            x = nn.MaxPool1d(x.size(-1))(x)
            x = nn.Flatten(1)(x)
            iden = torch.eye(self.k, requires_grad=True).repeat(bs, 1, 1)
            return self.fc(x).view(-1, self.k, self.k) + iden

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.t = TNet(3)
            self.f = TNet(8)
            self.c1 = nn.Conv1d(3, 8, 1)
            self.c2 = nn.Conv1d(8, 12, 1)
            self.fc = nn.Linear(12, 4)

        def forward(self, x):
            m = self.t(x)
            xb = torch.bmm(torch.transpose(x, 1, 2), m).transpose(1, 2)
            xb = F.relu(self.c1(xb))
            m2 = self.f(xb)
            xb = torch.bmm(xb.transpose(1, 2), m2).transpose(1, 2)
            x = torch.max(self.c2(xb), 2, keepdim=True)[0]
            return F.log_softmax(self.fc(x.view(-1, 12)), -1), m, m2

    def lossf(o, y, m3, m64, alpha=0.0001):
        crit = nn.NLLLoss()
        bs = o.size(0)
        i3 = torch.eye(3, requires_grad=True).repeat(bs, 1, 1)
        i64 = torch.eye(8).repeat(bs, 1, 1)
        d3 = i3 - torch.bmm(m3, m3.transpose(1, 2))
        d64 = i64 - torch.bmm(m64, m64.transpose(1, 2))
        return crit(o, y) + alpha * (torch.norm(d3) + torch.norm(d64)) / float(bs)

    net = Net()
    opt = optim.Adam(net.parameters(), 1e-3)
    x = torch.randn(4, 3, 20)
    y = torch.randint(0, 4, (4,))
    out = []
    for _ in range(3):
        opt.zero_grad()
        l = lossf(*[v for v in (lambda r: (r[0], y, r[1], r[2]))(net(x))])
        l.backward()
        opt.step()
        out.append(l.item())
    return out


def unet():
    class DoubleConv(nn.Module):
        def __init__(self, i, o, m=None):
            super().__init__()
            m = m or o
            self.double_conv = nn.Sequential(
                nn.Conv2d(i, m, kernel_size=3, padding=1, bias=False),
                nn.BatchNorm2d(m),
                nn.ReLU(inplace=True),
                nn.Conv2d(m, o, kernel_size=3, padding=1, bias=False),
                nn.BatchNorm2d(o),
                nn.ReLU(inplace=True),
            )

        def forward(self, x):
            return self.double_conv(x)

    class Up(nn.Module):
        def __init__(self, i, o, bilinear):
            super().__init__()
            if bilinear:
                self.up = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True)
                self.conv = DoubleConv(i + o, o, i // 2)
            else:
                self.up = nn.ConvTranspose2d(i, i // 2, kernel_size=2, stride=2)
                self.conv = DoubleConv(i // 2 + o, o)

        def forward(self, x1, x2):
            x1 = self.up(x1)
            dY = x2.size()[2] - x1.size()[2]
            dX = x2.size()[3] - x1.size()[3]
            x1 = F.pad(x1, [dX // 2, dX - dX // 2, dY // 2, dY - dY // 2])
            return self.conv(torch.cat([x2, x1], dim=1))

    class UNet(nn.Module):
        def __init__(self, bil):
            super().__init__()
            self.inc = DoubleConv(1, 4)
            self.d = nn.Sequential(nn.MaxPool2d(2), DoubleConv(4, 8))
            self.u = Up(8, 4, bil)
            self.outc = nn.Conv2d(4, 2, 1)

        def forward(self, x):
            a = self.inc(x)
            return self.outc(self.u(self.d(a), a))

    def dice(inp, tgt, eps=1e-6):
        inter = 2 * (inp * tgt).sum(dim=(-1, -2))
        sets = inp.sum(dim=(-1, -2)) + tgt.sum(dim=(-1, -2))
        sets = torch.where(sets == 0, inter, sets)
        return 1 - ((inter + eps) / (sets + eps)).mean()

    out = []
    for bil in (True, False):
        net = UNet(bil)
        opt = optim.RMSprop(net.parameters(), lr=1e-4, weight_decay=1e-8, momentum=0.999, foreach=True)
        scaler = torch.cuda.amp.GradScaler(enabled=False)
        x = torch.randn(2, 1, 7, 9)
        y = torch.randint(0, 2, (2, 7, 9))
        for _ in range(2):
            with torch.autocast("cpu", enabled=False):
                p = net(x)
                loss = nn.CrossEntropyLoss()(p, y) + dice(
                    F.softmax(p, dim=1).float(), F.one_hot(y, 2).permute(0, 3, 1, 2).float()
                )
            opt.zero_grad(set_to_none=True)
            scaler.scale(loss).backward()
            scaler.unscale_(opt)
            torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            scaler.step(opt)
            scaler.update()
            out.append(loss.item())
    return out


def vit():
    class PatchEmbed(nn.Module):
        def __init__(self, img=8, p=4, c=3, d=16):
            super().__init__()
            self.n = (img // p) ** 2
            self.proj = nn.Conv2d(c, d, kernel_size=p, stride=p)

        def forward(self, x):
            return self.proj(x).flatten(2).transpose(1, 2)

    class Attention(nn.Module):
        def __init__(self, dim, num_heads=4, qkv_bias=False):
            super().__init__()
            self.h = num_heads
            self.scale = (dim // num_heads) ** -0.5
            self.qkv = nn.Linear(dim, dim * 3, bias=qkv_bias)
            self.proj = nn.Linear(dim, dim)

        def forward(self, x):
            B, N, C = x.shape
            qkv = self.qkv(x).reshape(B, N, 3, self.h, C // self.h).permute(2, 0, 3, 1, 4)
            q, k, v = qkv.unbind(0)
            attn = (q @ k.transpose(-2, -1)) * self.scale
            attn = attn.softmax(dim=-1)
            return self.proj((attn @ v).transpose(1, 2).reshape(B, N, C))

    def drop_path(x, p=0.0, training=False):
        if p == 0.0 or not training:
            return x
        keep = 1 - p
        shape = (x.shape[0],) + (1,) * (x.ndim - 1)
        r = x.new_empty(shape).bernoulli_(keep)
        if keep > 0.0:
            r.div_(keep)
        return x * r

    class Block(nn.Module):
        def __init__(self, d):
            super().__init__()
            self.norm1 = nn.LayerNorm(d, eps=1e-6)
            self.attn = Attention(d)
            self.norm2 = nn.LayerNorm(d, eps=1e-6)
            self.mlp = nn.Sequential(
                OrderedDict([("fc1", nn.Linear(d, 2 * d)), ("act", nn.GELU()), ("fc2", nn.Linear(2 * d, d))])
            )
            self.gamma = nn.Parameter(1e-1 * torch.ones(d))

        def forward(self, x):
            x = x + drop_path(self.gamma * self.attn(self.norm1(x)), 0.2, self.training)
            return x + drop_path(self.mlp(self.norm2(x)), 0.2, self.training)

    class ViT(nn.Module):
        def __init__(self):
            super().__init__()
            self.pe = PatchEmbed()
            self.cls_token = nn.Parameter(torch.zeros(1, 1, 16))
            self.pos_embed = nn.Parameter(torch.zeros(1, 5, 16))
            self.blocks = nn.ModuleList([Block(16) for _ in range(2)])
            self.norm = nn.LayerNorm(16)
            self.head = nn.Linear(16, 5)
            nn.init.trunc_normal_(self.pos_embed, std=0.02)
            nn.init.trunc_normal_(self.cls_token, std=0.02)
            self.apply(self._init_weights)

        def _init_weights(self, m):
            if isinstance(m, nn.Linear):
                nn.init.trunc_normal_(m.weight, std=0.02)
                if isinstance(m, nn.Linear) and m.bias is not None:
                    nn.init.constant_(m.bias, 0)
            elif isinstance(m, nn.LayerNorm):
                nn.init.constant_(m.bias, 0)
                nn.init.constant_(m.weight, 1.0)

        def forward(self, x):
            x = self.pe(x)
            x = torch.cat((self.cls_token.expand(x.shape[0], -1, -1), x), dim=1) + self.pos_embed
            for b in self.blocks:
                x = b(x)
            return self.head(self.norm(x)[:, 0])

    m = ViT()
    opt = optim.AdamW(m.parameters(), lr=1e-3, weight_decay=0.05)
    sched = optim.lr_scheduler.CosineAnnealingLR(opt, T_max=5)
    x, y = torch.randn(4, 3, 8, 8), torch.randint(0, 5, (4,))
    out = []
    for _ in range(4):
        l = F.cross_entropy(m(x), y, label_smoothing=0.1)
        opt.zero_grad()
        l.backward()
        opt.step()
        sched.step()
        out += [l.item(), sched.get_last_lr()[0]]
    print(m.blocks[0])
    return out


def swin_windows():
    def window_partition(x, ws):
        B, H, W, C = x.shape
        x = x.view(B, H // ws, ws, W // ws, ws, C)
        return x.permute(0, 1, 3, 2, 4, 5).contiguous().view(-1, ws, ws, C)

    def window_reverse(w, ws, H, W):
        B = int(w.shape[0] / (H * W / ws / ws))
        x = w.view(B, H // ws, W // ws, ws, ws, -1)
        return x.permute(0, 1, 3, 2, 4, 5).contiguous().view(B, H, W, -1)

    ws, nh = 2, 2
    table = nn.Parameter(torch.zeros((2 * ws - 1) * (2 * ws - 1), nh))
    nn.init.trunc_normal_(table, std=0.02)
    coords_h = torch.arange(ws)
    coords_w = torch.arange(ws)
    coords = torch.stack(torch.meshgrid([coords_h, coords_w], indexing="ij"))
    cf = torch.flatten(coords, 1)
    rel = cf[:, :, None] - cf[:, None, :]
    rel = rel.permute(1, 2, 0).contiguous()
    rel[:, :, 0] += ws - 1
    rel[:, :, 1] += ws - 1
    rel[:, :, 0] *= 2 * ws - 1
    idx = rel.sum(-1)
    bias = table[idx.view(-1)].view(ws * ws, ws * ws, -1).permute(2, 0, 1).contiguous()
    x = torch.randn(2, 4, 4, 3, requires_grad=True)
    s = torch.roll(x, shifts=(-1, -1), dims=(1, 2))
    w = window_partition(s, ws)
    img_mask = torch.zeros((1, 4, 4, 1))
    cnt = 0
    for h in (slice(0, -2), slice(-2, -1), slice(-1, None)):
        for ww in (slice(0, -2), slice(-2, -1), slice(-1, None)):
            img_mask[:, h, ww, :] = cnt
            cnt += 1
    mw = window_partition(img_mask, ws).view(-1, ws * ws)
    am = mw.unsqueeze(1) - mw.unsqueeze(2)
    am = am.masked_fill(am != 0, float(-100.0)).masked_fill(am == 0, float(0.0))
    r = window_reverse(w, ws, 4, 4)
    r = torch.roll(r, shifts=(1, 1), dims=(1, 2))
    ((r**2).sum() + (bias**2).sum()).backward()
    x0 = r[:, 0::2, 0::2, :]
    x1 = r[:, 1::2, 0::2, :]
    return am, r, x.grad, table.grad, bias, torch.cat([x0, x1], -1)


def realnvp():
    class Coupling(nn.Module):
        def __init__(self, mask):
            super().__init__()
            self.register_buffer("mask", mask)
            self.s = nn.Sequential(nn.Linear(2, 8), nn.LeakyReLU(), nn.Linear(8, 2), nn.Tanh())
            self.t = nn.Sequential(nn.Linear(2, 8), nn.LeakyReLU(), nn.Linear(8, 2))

        def forward(self, z):
            z_ = self.mask * z
            s = self.s(z_) * (1 - self.mask)
            t = self.t(z_) * (1 - self.mask)
            return z_ + (1 - self.mask) * (z * torch.exp(s) + t), s.sum(1)

        def inverse(self, x):
            x_ = self.mask * x
            s = self.s(x_) * (1 - self.mask)
            t = self.t(x_) * (1 - self.mask)
            return (1 - self.mask) * (x - t) * torch.exp(-s) + x_, -s.sum(dim=1)

    prior = torch.distributions.MultivariateNormal(torch.zeros(2), torch.eye(2))
    masks = torch.from_numpy(np.array([[0, 1], [1, 0]] * 2).astype(np.float64))
    flows = nn.ModuleList([Coupling(m) for m in masks])
    opt = optim.Adam([p for p in flows.parameters() if p.requires_grad], lr=1e-2)
    out = []
    data = torch.randn(32, 2) @ torch.tensor([[1.0, 0.5], [0.0, 0.3]])
    for _ in range(5):
        x, ld = data, torch.zeros(32)
        for f in reversed(flows):
            x, d = f.inverse(x)
            ld = ld + d
        loss = -(prior.log_prob(x) + ld).mean()
        opt.zero_grad()
        loss.backward(retain_graph=True)
        opt.step()
        out.append(loss.item())
    z = prior.sample((4,))
    return out, z, [k for k in flows.state_dict()]


def neural_ode():
    class ODEF(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 2))
            for m in self.net.modules():
                if isinstance(m, nn.Linear):
                    nn.init.normal_(m.weight, mean=0, std=0.1)
                    nn.init.constant_(m.bias, val=0)

        def forward(self, t, y):
            return self.net(y**3)

    def rk4(f, y0, t):
        ys = [y0]
        y = y0
        for t0, t1 in zip(t[:-1], t[1:]):
            h = t1 - t0
            k1 = f(t0, y)
            k2 = f(t0 + h / 2, y + h * k1 / 2)
            k3 = f(t0 + h / 2, y + h * k2 / 2)
            k4 = f(t1, y + h * k3)
            y = y + h * (k1 + 2 * k2 + 2 * k3 + k4) / 6
            ys.append(y)
        return torch.stack(ys)

    A = torch.tensor([[-0.1, 2.0], [-2.0, -0.1]])
    y0 = torch.tensor([[2.0, 0.0]])
    t = torch.linspace(0.0, 2.0, 11)

    class L(nn.Module):
        def forward(self, t, y):
            return torch.mm(y**3, A)

    with torch.no_grad():
        true = rk4(L(), y0, t)
    f = ODEF()
    opt = optim.RMSprop(f.parameters(), lr=1e-3)
    out = []
    for _ in range(4):
        opt.zero_grad()
        l = torch.mean(torch.abs(rk4(f, y0, t) - true))
        l.backward()
        opt.step()
        out.append(l.item())
    return out, true[-1]


def gp():
    X = torch.linspace(0, 1, 12).unsqueeze(-1)
    y = torch.sin(6 * X).squeeze() + 0.1 * torch.randn(12)
    ls, var, noise = (torch.tensor(v, requires_grad=True) for v in (-1.0, 0.0, -2.0))

    def kern(a, b):
        return var.exp() * torch.exp(-0.5 * (torch.cdist(a, b) / ls.exp()) ** 2)

    opt = optim.Adam([ls, var, noise], lr=0.1)
    out = []
    for _ in range(5):
        opt.zero_grad()
        K = kern(X, X) + noise.exp() * torch.eye(12)
        L = torch.linalg.cholesky(K)
        alpha = torch.cholesky_solve(y.unsqueeze(-1), L)
        nll = 0.5 * (y.unsqueeze(0) @ alpha).squeeze() + L.diagonal().log().sum() + 0.5 * len(X) * math.log(2 * math.pi)
        nll.backward()
        opt.step()
        out.append(nll.item())
    with torch.no_grad():
        Xs = torch.rand(5, 1)
        Ks = kern(X, Xs)
        v = torch.linalg.solve_triangular(L, Ks, upper=False)
        mu = Ks.T @ alpha
        cov = kern(Xs, Xs) - v.T @ v
        mvn = torch.distributions.MultivariateNormal(mu.squeeze(-1), cov + 1e-6 * torch.eye(5))
        lp = mvn.log_prob(torch.zeros(5))
    sq = torch.sum((X[:, None] - X[None]) ** 2, -1)
    return out, mu, cov, lp, sq[0], torch.logdet(K), torch.inverse(K.detach())[0], torch.linalg.eigvalsh(K.detach())[:3]


def pinn():
    net = nn.Sequential(nn.Linear(2, 12), nn.Tanh(), nn.Linear(12, 12), nn.Tanh(), nn.Linear(12, 1))
    opt = optim.Adam(net.parameters(), lr=1e-3)
    out = []
    for _ in range(3):
        x = (torch.rand(16, 1) * 2 - 1).requires_grad_(True)
        t = torch.rand(16, 1, requires_grad=True)
        u = net(torch.hstack([x, t]))
        u_t = torch.autograd.grad(u, t, grad_outputs=torch.ones_like(u), retain_graph=True, create_graph=True)[0]
        u_x = torch.autograd.grad(u, x, grad_outputs=torch.ones_like(u), retain_graph=True, create_graph=True)[0]
        u_xx = torch.autograd.grad(u_x, x, grad_outputs=torch.ones_like(u_x), retain_graph=True, create_graph=True)[0]
        f = u_t + u * u_x - (0.01 / math.pi) * u_xx
        x0 = torch.linspace(-1, 1, 8)[:, None]
        loss = (f**2).mean() + F.mse_loss(net(torch.cat([x0, torch.zeros_like(x0)], 1)), -torch.sin(math.pi * x0))
        opt.zero_grad()
        loss.backward()
        opt.step()
        out.append(loss.item())
    lb = optim.LBFGS(
        net.parameters(),
        lr=1.0,
        max_iter=8,
        max_eval=10,
        history_size=5,
        tolerance_grad=1e-5,
        tolerance_change=1.0 * np.finfo(float).eps,
        line_search_fn="strong_wolfe",
    )

    def closure():
        lb.zero_grad()
        l = F.mse_loss(net(torch.cat([x0, torch.zeros_like(x0)], 1)), -torch.sin(math.pi * x0))
        l.backward()
        out.append(l.item())
        return l

    lb.step(closure)
    return out
