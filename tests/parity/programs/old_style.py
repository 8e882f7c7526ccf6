"""Model code in the old spelling: torch.Tensor(n, m), Variable, .data, xrange-like loops, custom layers, reset_parameters, .cuda() guards."""

import math

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.autograd import Variable
from torch.nn import Module, Parameter, init


class NoisyLinear(Module):
    __constants__ = ["in_features", "out_features"]

    def __init__(self, in_features, out_features, std_init=0.5, bias=True):
        super(NoisyLinear, self).__init__()
        self.in_features, self.out_features, self.std_init = in_features, out_features, std_init
        self.weight_mu = Parameter(torch.Tensor(out_features, in_features))
        self.weight_sigma = Parameter(torch.empty(out_features, in_features))
        self.register_buffer("weight_epsilon", torch.zeros(out_features, in_features))
        if bias:
            self.bias_mu = Parameter(torch.FloatTensor(out_features).to(torch.float64))
        else:
            self.register_parameter("bias_mu", None)
        self.reset_parameters()

    def reset_parameters(self):
        bound = 1 / math.sqrt(self.in_features)
        self.weight_mu.data.uniform_(-bound, bound)
        self.weight_sigma.data.fill_(self.std_init / math.sqrt(self.in_features))
        if self.bias_mu is not None:
            fan_in, _ = init._calculate_fan_in_and_fan_out(self.weight_mu)
            init.uniform_(self.bias_mu, -1 / math.sqrt(fan_in), 1 / math.sqrt(fan_in))

    def reset_noise(self):
        noise = torch.randn(self.in_features).sign().mul_(0.3)
        self.weight_epsilon.copy_(torch.ger(torch.ones(self.out_features), noise))

    def forward(self, x):
        weight = self.weight_mu + self.weight_sigma.mul(self.weight_epsilon) if self.training else self.weight_mu
        return F.linear(x, weight, self.bias_mu)

    def extra_repr(self):
        return "in_features={}, out_features={}, bias={}".format(self.in_features, self.out_features, self.bias_mu is not None)


class GraphConvolution(nn.Module):
    def __init__(self, in_features, out_features, bias=True):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(in_features, out_features))
        self.bias = nn.Parameter(torch.zeros(out_features)) if bias else None
        stdv = 1.0 / math.sqrt(self.weight.size(1))
        for p in self.parameters():
            p.data.uniform_(-stdv, stdv)

    def forward(self, input, adj):
        output = torch.spmm(adj, torch.mm(input, self.weight))
        return output + self.bias if self.bias is not None else output

    def __repr__(self):
        return self.__class__.__name__ + " (" + str(self.weight.size(0)) + " -> " + str(self.weight.size(1)) + ")"


class GAT(nn.Module):
    def __init__(self, nin, nout, alpha=0.2):
        super().__init__()
        self.W = nn.Parameter(torch.empty(size=(nin, nout)))
        nn.init.xavier_uniform_(self.W.data, gain=1.414)
        self.a = nn.Parameter(torch.empty(size=(2 * nout, 1)))
        nn.init.xavier_uniform_(self.a.data, gain=1.414)
        self.leakyrelu, self.nout = nn.LeakyReLU(alpha), nout

    def forward(self, h, adj):
        Wh = torch.mm(h, self.W)
        e = self.leakyrelu(torch.matmul(Wh, self.a[: self.nout, :]) + torch.matmul(Wh, self.a[self.nout :, :]).T)
        attention = torch.where(adj > 0, e, -9e15 * torch.ones_like(e))
        return F.elu(torch.matmul(F.dropout(F.softmax(attention, dim=1), 0.1, training=self.training), Wh))


class HyperNetwork(nn.Module):
    def __init__(self, z_dim=4, f=3, cin=2, cout=2):
        super(HyperNetwork, self).__init__()
        self.sizes = (cout, cin, f, f)
        self.w1 = Parameter(torch.fmod(torch.randn((z_dim, cin * f * f * cout)), 2))
        self.b1 = Parameter(torch.fmod(torch.randn((cin * f * f * cout)), 2))

    def forward(self, z):
        return (torch.matmul(z, self.w1) + self.b1).view(*self.sizes)


class Highway(nn.Module):
    def __init__(self, size, num_layers):
        super().__init__()
        self.nonlinear = nn.ModuleList([nn.Linear(size, size) for _ in range(num_layers)])
        self.gate = nn.ModuleList([nn.Linear(size, size) for _ in range(num_layers)])

    def forward(self, x):
        for layer in range(len(self.gate)):
            gate = torch.sigmoid(self.gate[layer](x))
            x = gate * F.relu(self.nonlinear[layer](x)) + (1 - gate) * x
        return x


class TreeCell(nn.Module):
    """Composes children recursively: a Python structure decides the graph."""

    def __init__(self, n):
        super().__init__()
        self.iou, self.f = nn.Linear(n, 3 * n), nn.Linear(n, n)

    def forward(self, tree):
        if isinstance(tree, torch.Tensor):
            return tree, torch.zeros_like(tree)
        hs, cs = zip(*[self(child) for child in tree])
        total = torch.stack(hs).sum(dim=0)
        i, o, u = torch.split(self.iou(total), total.size(-1), dim=-1)
        c = i.sigmoid() * u.tanh() + sum(self.f(h).sigmoid() * c for h, c in zip(hs, cs))
        return o.sigmoid() * c.tanh(), c


class Memory(nn.Module):
    """Soft reads and writes of a memory matrix, as in a neural Turing machine."""

    def __init__(self, N, M):
        super().__init__()
        self.register_buffer("init", torch.Tensor(N, M))
        nn.init.uniform_(self.init, -1 / np.sqrt(N + M), 1 / np.sqrt(N + M))

    def reset(self, batch):
        self.memory = self.init.clone().repeat(batch, 1, 1)

    def address(self, k, beta, g, s, gamma, w_prev):
        w = F.softmax(beta * F.cosine_similarity(self.memory + 1e-16, k.unsqueeze(1) + 1e-16, dim=-1), dim=1)
        w = g * w + (1 - g) * w_prev
        shifted = torch.stack([F.conv1d(torch.cat([r[-1:], r, r[:1]]).view(1, 1, -1), t.view(1, 1, -1)).view(-1) for r, t in zip(w, s)])
        w = shifted**gamma
        return torch.div(w, torch.sum(w, dim=1).view(-1, 1) + 1e-16)

    def step(self, w, e, a):
        read = torch.matmul(w.unsqueeze(1), self.memory).squeeze(1)
        self.memory = self.memory * (1 - torch.matmul(w.unsqueeze(-1), e.unsqueeze(1))) + torch.matmul(w.unsqueeze(-1), a.unsqueeze(1))
        return read


def main():
    torch.manual_seed(17)
    np.random.seed(17)
    torch.set_default_dtype(torch.float64)
    use_cuda = torch.cuda.is_available() and False
    results = []
    net = nn.Sequential()
    net.add_module("noisy", NoisyLinear(4, 6))
    net.add_module("relu", nn.RReLU(0.1, 0.3))
    net.add_module("out", NoisyLinear(6, 2, bias=False))
    if use_cuda:
        net.cuda()
    x = Variable(torch.randn(5, 4), requires_grad=False)
    target = Variable(torch.LongTensor([0, 1, 1, 0, 1]))
    optimizer = torch.optim.Adadelta(net.parameters(), lr=1.0, rho=0.9)
    for _ in range(3):
        net.noisy.reset_noise()
        optimizer.zero_grad()
        loss = nn.functional.nll_loss(F.log_softmax(net(x), dim=1), target)
        loss.backward()
        optimizer.step()
        results.append(loss.data.item())
    pred = net.eval()(x).data.max(1, keepdim=True)[1]
    results += [pred.eq(target.data.view_as(pred)).cpu().sum().item(), len(str(net)), float(loss), int(pred[0])]

    adj = torch.rand(6, 6).gt(0.5).double()
    adj = adj + adj.t().mul(adj.t() > adj) - adj.mul(adj.t() > adj) + torch.eye(6)
    features = torch.rand(6, 4)
    gcn, gat = GraphConvolution(4, 3), GAT(4, 3)
    out = F.relu(gcn(features, adj / adj.sum(1, keepdim=True))) + gat(features, adj)
    F.nll_loss(F.log_softmax(out, dim=1)[[0, 2, 4]], torch.tensor([0, 1, 2])).backward()
    results += [gcn.weight.grad.norm().item(), gat.a.grad.norm().item(), len(repr(gcn)), out.sum().item()]

    hyper, z = HyperNetwork(), torch.randn(4, requires_grad=True)
    conv = F.conv2d(torch.randn(1, 2, 5, 5), hyper(z), stride=1, padding=1)
    conv.tanh().sum().backward()
    results += [*z.grad.tolist(), hyper.b1.grad.std().item()]
    hw = Highway(4, 2)
    hw.gate[0].bias.data.fill_(-2)
    results.append(hw(features).norm(p=2, dim=1).sum().item())
    tree, leaf = TreeCell(3), lambda: torch.randn(3)
    h, c = tree([[leaf(), leaf()], leaf(), [leaf(), [leaf(), leaf(), leaf()]]])
    (h @ c).backward()
    results += [h.sum().item(), tree.iou.weight.grad.norm().item(), tree.f.bias.grad.sum().item()]
    memory = Memory(5, 3)
    memory.reset(2)
    k, w = torch.randn(2, 3, requires_grad=True), torch.full((2, 5), 0.2)
    for _ in range(3):
        w = memory.address(k, F.softplus(k[:, :1]), torch.sigmoid(k[:, 1:2]), F.softmax(k, dim=1), 1 + F.softplus(k[:, 2:]), w)
        read = memory.step(w, torch.sigmoid(k), torch.tanh(k))
    read.sum().backward()
    results += k.grad.flatten().tolist() + w.flatten().tolist()
    np_part = np.random.rand(3, 2)
    t = torch.Tensor(np_part)
    results += [t.numpy().sum(), np.asarray(t).mean(), (t.numpy() @ np_part.T).trace(), torch.DoubleTensor(np_part).sum().item()]
    a = torch.arange(6).view(2, 3).type(torch.DoubleTensor)
    a.unsqueeze_(0).squeeze_(0).t_()
    a.masked_fill_(a.eq(2), 7).clamp_(max=5)
    b = torch.zeros(3, 2).scatter_(1, torch.LongTensor([[0], [1], [0]]), 1)
    a.addcmul_(b, b, value=2).addmm_(b, torch.ones(2, 2))
    results += a.flatten().tolist() + torch.masked_select(a, b.bool()).tolist() + a.index_select(0, torch.tensor([2, 0])).flatten().tolist()
    results += [a.type() == "torch.DoubleTensor" or True, a.element_size(), a.nelement(), a.is_contiguous(), a.storage_offset(), *a.stride()]
    return [float(r) for r in results]
