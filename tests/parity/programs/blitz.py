"""The first hour with the library: tensors, automatic differentiation, a small convolutional network, training by hand."""

import math

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim


class LeNet(nn.Module):
    def __init__(self):
        super(LeNet, self).__init__()
        self.conv1 = nn.Conv2d(1, 4, 3)
        self.conv2 = nn.Conv2d(4, 6, 3)
        self.fc1 = nn.Linear(6 * 2 * 2, 12)
        self.fc2 = nn.Linear(12, 8)
        self.fc3 = nn.Linear(8, 5)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), (2, 2))
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        x = x.view(-1, self.num_flat_features(x))
        x = F.relu(self.fc1(x))
        x = F.relu(self.fc2(x))
        return self.fc3(x)

    def num_flat_features(self, x):
        size = x.size()[1:]
        count = 1
        for s in size:
            count *= s
        return count


class Cube(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x**3

    @staticmethod
    def backward(ctx, grad_output):
        (x,) = ctx.saved_tensors
        return 3 * x**2 * grad_output


def tensors():
    data = [[1.0, 2.0], [3.0, 4.0]]
    a = torch.tensor(data)
    b = torch.from_numpy(np.array(data) * 2)
    ones = torch.ones_like(a)
    r = torch.rand_like(a, dtype=torch.float)
    t = torch.cat([a, b, ones], dim=1)
    t[:, 1] = 0
    t.add_(5)
    shared = torch.ones(5)
    view = shared.numpy()
    shared.add_(1)
    array = np.ones(5)
    linked = torch.from_numpy(array)
    np.add(array, 1, out=array)
    results = [*t.flatten().tolist(), *r.double().flatten().tolist(), *view.tolist(), *linked.tolist()]
    results += [(a @ b.T).sum().item(), a.matmul(b.t()).trace().item(), (a * b).norm().item()]
    results += [len(f"{a}"), len(f"{b.T}"), len(f"{a.tolist()}")]
    x = torch.empty(5, 3).fill_(7.0)
    y = x.new_ones(5, 3, dtype=torch.double)
    torch.add(x, y, out=x)
    results += [x.sum().item(), x.size()[0], len(x.size()), x[:, 1].mean().item()]
    z = torch.randn(4, 4)
    results += [z.view(-1, 8).size(0), z.view(16)[3].item(), isinstance(z, torch.Tensor) + 0.0]
    return results


def gradients():
    x = torch.ones(2, 2, requires_grad=True)
    y = x + 2
    z = y * y * 3
    out = z.mean()
    out.backward()
    results = x.grad.flatten().tolist()
    results += [y.grad_fn is not None, x.is_leaf, y.is_leaf, z.requires_grad, x.grad_fn is None]
    v = torch.randn(3, requires_grad=True)
    w = v * 2
    while w.data.norm() < 1000:
        w = w * 2
    w.backward(torch.tensor([0.1, 1.0, 0.0001]))
    results += v.grad.tolist()
    a = torch.tensor([2.0, 3.0], requires_grad=True)
    b = torch.tensor([6.0, 4.0], requires_grad=True)
    q = Cube.apply(a) * 3 - b**2
    q.backward(gradient=torch.tensor([1.0, 1.0]))
    results += (9 * a**2 == a.grad).tolist() + (-2 * b == b.grad).tolist()
    inp = torch.eye(4, 5, requires_grad=True)
    out = (inp + 1).pow(2).t()
    out.backward(torch.ones_like(out), retain_graph=True)
    results.append(inp.grad.sum().item())
    out.backward(torch.ones_like(out), retain_graph=True)
    results.append(inp.grad.sum().item())
    inp.grad.zero_()
    out.backward(torch.ones_like(out))
    results.append(inp.grad.sum().item())
    with torch.no_grad():
        results.append((v**2).requires_grad)
    results.append((v.detach() * 2).requires_grad)
    u, jvp = torch.autograd.functional.jvp(lambda t: t.exp().sum(), (torch.arange(3.0),), (torch.ones(3),))
    J = torch.autograd.functional.jacobian(lambda t: t.sin() * t.sum(), torch.linspace(0, 1, 3))
    H = torch.autograd.functional.hessian(lambda t: (t**3).sum() * t[0], torch.linspace(0.5, 1, 3))
    return results + [u.item(), jvp.item(), *J.flatten().tolist(), *H.flatten().tolist()]


def network():
    net = LeNet()
    params = list(net.parameters())
    results = [len(params), len(print_of(net))] + list(params[0].size())
    inp = torch.randn(1, 1, 16, 16)
    out = net(inp)
    net.zero_grad()
    out.backward(torch.randn(1, 5), retain_graph=True)
    target = torch.randn(5).view(1, -1)
    loss = nn.MSELoss()(net(inp), target)
    fn = loss.grad_fn
    results += [loss.item(), fn.next_functions[0][0] is not None]
    net.zero_grad()
    results.append(net.conv1.bias.grad is None)
    loss.backward()
    results += net.conv1.bias.grad.tolist()
    learning_rate = 0.01
    for f in net.parameters():
        f.data.sub_(f.grad.data * learning_rate)
    optimizer = optim.SGD(net.parameters(), lr=0.01, momentum=0.9)
    criterion = nn.CrossEntropyLoss()
    running_loss = 0.0
    for i in range(6):
        inputs, labels = torch.randn(4, 1, 16, 16), torch.randint(0, 5, (4,))
        optimizer.zero_grad()
        loss = criterion(net(inputs), labels)
        loss.backward()
        optimizer.step()
        running_loss += loss.item()
        if i % 3 == 2:
            results.append(running_loss / 3)
            running_loss = 0.0
    correct = total = 0
    with torch.no_grad():
        outputs = net(inputs)
        _, predicted = torch.max(outputs.data, 1)
        total += labels.size(0)
        correct += (predicted == labels).sum().item()
    return results + [100 * correct // total, math.log(total)]


def print_of(model):
    return str(model)


def main():
    torch.manual_seed(0)
    torch.set_default_dtype(torch.float64)
    return [float(r) for r in tensors() + gradients() + network()]
