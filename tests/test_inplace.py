"""In-place updates: right, or an error that names both sides; compared live with PyTorch where it is installed.

Each program is written for a module `t`, ours or PyTorch. Beside it stands what ours gives: numbers, or after a `!` a part of
the error. PyTorch must agree wherever both give numbers; the two programs marked True, where it differs, say why.
"""


import numpy as np
import pytest

import tinygrad_edu as tg

PROGRAMS = [
    ("""
        w = t.tensor([1.0, 2.0], requires_grad=True)
        (w * w).sum().backward()
        w.data -= 0.1 * w.grad
        return w
     """, [0.8, 1.6]),
    ("""
        w = t.tensor([1.0, 2.0], requires_grad=True)
        y = w * w
        w.data.mul_(3)
        y.sum().backward()
        return w.grad
     """, '! overwritten that memory'),
    ("""
        w = t.tensor([1.0, 2.0], requires_grad=True)
        y = w * w
        w.detach().mul_(3)
        y.sum().backward()
        return w.grad
     """, '! overwritten that memory'),
    ("""
        w = t.tensor([1.0, 2.0], requires_grad=True)
        y = w * w
        with t.no_grad():
            w.mul_(3)
        y.sum().backward()
        return w.grad
     """, '! overwritten that memory'),
    ("""
        c = t.tensor([1.0, 2.0])
        y = c.detach().requires_grad_()
        y += 1
        return y
     """, '! cannot be updated in place'),
    ("""
        c = t.tensor([1.0, 2.0])
        y = c.detach().requires_grad_()
        z = (y * y).sum()
        c.mul_(5)
        z.backward()
        return y.grad
     """, '! overwritten that memory'),
    ("""
        x = t.tensor([[1.0, 2.0], [3.0, 4.0]])
        w = t.tensor([1.0, 1.0], requires_grad=True)
        v = x.T
        x[0] = w * 2
        return (v * v).sum().backward() or w.grad
     """, [8.0, 8.0]),
    ("""
        x = t.zeros(2, 2)
        w = t.tensor([1.0, 3.0], requires_grad=True)
        v = x.T
        v[0] = w * 2
        x.mul_(3)
        (x * x).sum().backward()
        return w.grad
     """, [72.0, 216.0]),
    ("""
        w = t.tensor(3.0, requires_grad=True)
        y = w * 1
        y *= y
        y.backward()
        return w.grad
     """, '! overwritten that memory'),
    ("""
        w = t.tensor(3.0, requires_grad=True)
        y = w.exp()
        y += 1
        y.backward()
        return w.grad
     """, 20.08554),
    ("""
        w = t.tensor(3.0, requires_grad=True)
        y = w.sin()
        y += 1
        y.backward()
        return w.grad
     """, -0.98999),
    ("""
        x = t.zeros(3)
        x += t.tensor([1.0, 2.0, 3.0], dtype=t.float64)
        return x
     """, [1.0, 2.0, 3.0]),
    ("""
        x = t.zeros(3, dtype=t.int64)
        x += 1.5
        return x
     """, '! cannot be stored'),
    ("""
        x = t.tensor([1.0, 2.0, 3.0])
        i = t.tensor([0, 2])
        x.requires_grad_()
        y = x[i]
        i[0] = 1
        y.sum().backward()
        return x.grad
     """, '! overwritten that memory'),
    ("""
        w = t.tensor([1.0], requires_grad=True)
        e = w.expand(3)
        e += 1
        return e
     """, '! cannot be updated in place'),
    ("""
        w = t.ones(1)
        e = w.expand(3)
        e.mul_(2)
        return e
     """, '! several elements of this expanded'),
    ("""
        w = t.tensor([1.0, 2.0], requires_grad=True)
        y = w * 2
        z = y[0:1]
        y.mul_(y)
        (z * 3).sum().backward()
        return w.grad
     """, '! overwritten that memory'),
    ("""
        w = t.tensor([1.0, 2.0, 3.0], requires_grad=True)
        y = w * 2
        a = y[0:2]
        b = y[1:3]
        a.mul_(10)
        (b * b).sum().backward()
        return w.grad
     """, [0.0, 1600.0, 24.0]),
    ("""
        w = t.tensor([1.0, 2.0, 3.0], requires_grad=True)
        y = w * 2
        d = y.detach()
        d.mul_(10)
        return (y * y).sum().backward() or w.grad
     """, [80.0, 160.0, 240.0]),
    ("""
        w = t.tensor([1.0, 2.0, 3.0], requires_grad=True)
        y = w * 2
        z = y * y
        d = y.detach()
        d.mul_(10)
        z.sum().backward()
        return w.grad
     """, '! overwritten that memory'),
    ("""
        w = t.tensor([1.0, 2.0, 3.0], requires_grad=True)
        y = w * 2
        z = y * y
        d = y.data
        d.mul_(10)
        z.sum().backward()
        return w.grad
     """, '! overwritten that memory'),
    ("""
        x = t.tensor([1.0, 2.0], requires_grad=True)
        g = t.tensor([1.0, 1.0])
        x.grad = g
        z = t.tensor([2.0, 3.0], requires_grad=True)
        q = (z * g).sum()
        (x * x).sum().backward()
        q.backward()
        return z.grad
     """, '! overwritten that memory'),
    ("""
        x = t.tensor([1.0, 2.0], requires_grad=True)
        y = x + 0
        y.register_hook(lambda g: g.mul_(2) and None)
        z = y + y * 1 + x
        z.sum().backward()
        return x.grad
     """, 'the truth value of a tensor with 2 elements is ambiguous; use .any() or .all()'),
    ("""
        x = t.tensor([1.0, 2.0], requires_grad=True)
        a = x + 0
        b = x + 0
        a.register_hook(lambda g: (g.mul_(2), None)[1])
        (a + b).sum().backward()
        return x.grad
     """, [3.0, 3.0]),
    ("""
        x = t.tensor([1.0, 2.0], requires_grad=True)
        y = x * 2
        y.zero_()
        y.sum().backward()
        return x.grad
     """, [0.0, 0.0]),
    ("""
        x = t.tensor([1.0, 2.0], requires_grad=True)
        y = x * 2
        y.fill_(3)
        return (y * x).sum().backward() or x.grad
     """, [3.0, 3.0]),
    ("""
        x = t.tensor([1.0, 2.0, 3.0], requires_grad=True)
        y = x * 1
        y[y > 1] = 0
        (y * y).sum().backward()
        return x.grad
     """, [2.0, 0.0, 0.0]),
    ("""
        x = t.tensor([1.0, 2.0, 3.0], requires_grad=True)
        y = x * 1
        y[1] = y[0] * y[2]
        (y * y).sum().backward()
        return x.grad
     """, '! overwritten that memory'),
    ("""
        x = t.tensor([1.0, 2.0, 3.0], requires_grad=True)
        y = x * 1
        y[0:2] = y[1:3]
        (y * y).sum().backward()
        return x.grad
     """, [0.0, 4.0, 12.0]),
    ("""
        x = t.tensor([1.0, 2.0, 3.0], requires_grad=True)
        y = t.zeros(3)
        y.copy_(x)
        (y * y).sum().backward()
        return x.grad
     """, [2.0, 4.0, 6.0]),
    ("""
        x = t.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
        y = x * 1
        y.t().add_(t.tensor([1.0, 2.0]))
        (y * y).sum().backward()
        return x.grad
     """, [[4.0, 6.0], [10.0, 12.0]]),
    ("""
        x = t.tensor([1.0, 2.0], requires_grad=True)
        y = x * 2
        with t.no_grad():
            y.mul_(2)
        (y * y).sum().backward()
        return x.grad
     """, [16.0, 32.0]),
    ("""
        x = t.tensor([1.0, 2.0], requires_grad=True)
        y = x * 2
        z = y * y
        with t.no_grad():
            y.mul_(2)
        z.sum().backward()
        return x.grad
     """, '! overwritten that memory'),
    ("""
        x = t.tensor([1.0, 2.0], requires_grad=True)
        with t.no_grad():
            v = x[0:1]
        v.mul_(2)
        return x
     """, '! cannot be updated in place'),
    ("""
        x = t.tensor([1.0, 2.0], requires_grad=True)
        v = x[0:1]
        with t.no_grad():
            v.mul_(2)
        return x
     """, [2.0, 2.0]),
    ("""
        x = t.tensor([1.0, 2.0], requires_grad=True)
        y = x * 2
        y.detach_()
        y.mul_(3)
        return y
     """, [6.0, 12.0]),
    ("""
        x = t.tensor([1.0, 2.0], requires_grad=True)
        y = x.clone()
        y.requires_grad_(False)
        return y
     """, '! only a leaf can stop'),
    ("""
        x = t.tensor([1.0, 2.0])
        y = x[0:1]
        y.requires_grad_()
        x.mul_(2)
        z = (y * 3).sum()
        z.backward()
        return y.grad
     """, [3.0]),
    ("""
        x = t.tensor([1.0, 2.0, 3.0], requires_grad=True)
        y = x * 1
        v = y.view(3, 1)
        y.unsqueeze_(0)
        y.mul_(2)
        (v * v).sum().backward()
        return x.grad
     """, [8.0, 16.0, 24.0]),
    ("""
        x = t.tensor([4.0, 9.0], requires_grad=True)
        y = x.sqrt()
        y.sqrt_()
        y.sum().backward()
        return x.grad
     """, '! overwritten that memory'),
    ("""
        x = t.tensor([4.0, 9.0], requires_grad=True)
        y = x * 1
        y.sqrt_()
        y.sum().backward()
        return x.grad
     """, [0.25, 0.16667]),
    ("""
        x = t.tensor([4.0, 9.0], requires_grad=True)
        y = x * 1
        y.clamp_(min=5)
        y.sum().backward()
        return x.grad
     """, [0.0, 1.0]),
    ("""
        x = t.tensor([4.0, 9.0], requires_grad=True)
        s = x.sum()
        s += s
        s.backward()
        return x.grad
     """, [2.0, 2.0]),
    ("""
        x = t.tensor([4.0, 9.0], requires_grad=True)
        s = x.sum()
        v = s.reshape(1)
        s.mul_(2)
        v.backward()
        return x.grad
     """, [2.0, 2.0]),
    ("""
        x = t.tensor([4.0, 9.0], requires_grad=True)
        s = x.sum()
        d = s.detach()
        z = s * s
        d.mul_(2)
        z.backward()
        return x.grad
     """, '! overwritten that memory'),
    ("""
        x = t.tensor([4.0, 9.0], requires_grad=True)
        s = x.sum()
        z = s * s
        s.mul_(2)
        z.backward()
        return x.grad
     """, [26.0, 26.0]),
    ("""
        l = [t.tensor([1.0, 2.0], requires_grad=True) * 1 for _ in range(1)]
        y = l[0]
        a, b = y.unbind(0)
        a.mul_(2)
        y.sum().backward()
        return y
     """, [2.0, 2.0]),
    ("""
        x = t.tensor([4.0, 9.0], requires_grad=True)
        y = x * 1
        a, b = y.split(1)
        a.mul_(2)
        return (y * y).sum().backward() or x.grad
     """, [32.0, 18.0]),
    ("""
        x = t.tensor([4.0, 9.0], requires_grad=True)
        c = t.tensor([1.0, 2.0])
        y = x * c
        c += 1
        y.sum().backward()
        return x.grad
     """, '! overwritten that memory'),
    ("""
        x = t.tensor([4.0, 9.0], requires_grad=True)
        c = t.tensor([1.0, 2.0])
        y = x + c
        c += 1
        y.sum().backward()
        return x.grad
     """, [1.0, 1.0]),
    ("""
        x = t.tensor([4.0, 9.0], requires_grad=True)
        c = t.tensor([1.0, 2.0])
        y = x * c.view(1, 2)
        c += 1
        y.sum().backward()
        return x.grad
     """, '! overwritten that memory'),
    ("""
        x = t.tensor([4.0, 9.0], requires_grad=True)
        c = t.tensor([1.0, 2.0])
        v = c[0]
        y = x * c
        v += 1
        y.sum().backward()
        return x.grad
     """, '! overwritten that memory'),
    ("""
        x = t.tensor([4.0, 9.0], requires_grad=True)
        m = t.tensor([True, False])
        y = t.where(m, x, 0.0)
        m[0] = False
        y.sum().backward()
        return x.grad
     """, '! overwritten that memory'),
    ("""
        x = t.tensor([4.0, 9.0], requires_grad=True)
        m = t.tensor([True, False])
        y = x[m]
        m[0] = False
        y.sum().backward()
        return x.grad
     """, '! overwritten that memory'),
    ("""
        x = t.tensor([4.0, 9.0], requires_grad=True)
        m = t.tensor([[1, 0]]).reshape(-1)
        y = x.gather(0, m)
        m[0] = 0
        y.sum().backward()
        return x.grad
     """, [1.0, 1.0]),
    ("""
        x = t.tensor([4.0, 9.0], requires_grad=True)
        y = x.clone()
        y[0] = 5
        y[0] = x[1]
        y.mul_(x)
        y.sum().backward()
        return x.grad
     """, [9.0, 22.0]),
    ("""
        x = t.tensor([4.0, 9.0], requires_grad=True)
        y = x * 2
        y.retain_grad()
        y.mul_(3)
        y.sum().backward()
        return y.grad
     """, [1.0, 1.0]),
    ("""
        x = t.tensor([4.0, 9.0], requires_grad=True)
        y = x * 2
        y.register_hook(lambda g: g * 10)
        y.mul_(3)
        y.sum().backward()
        return x.grad
     """, [60.0, 60.0]),
    ("""
        x = t.tensor([4.0, 9.0], requires_grad=True)
        y = x * 2
        v = y[0:1]
        y = y.mul_(2)
        v.mul_(3)
        y[1:].mul_(5)
        (y.sum() + v.sum() * v.sum()).backward()
        return x.grad
     """, [1164.0, 20.0]),
    ("""
        x = t.tensor([4.0, 9.0], requires_grad=True)
        g, = t.autograd.grad((x ** 3).sum(), x, create_graph=True)
        g.mul_(2)
        g.sum().backward()
        return x.grad
     """, [48.0, 108.0]),
    ("""
        x = t.tensor([4.0, 9.0], requires_grad=True)
        y = x ** 2
        y.backward(t.ones(2), create_graph=True)
        g = x.grad
        z = (g * g).sum()
        x.grad = None
        z.backward()
        return x.grad
     """, [32.0, 72.0]),
    ("""
        x = t.tensor([4.0, 9.0], requires_grad=True)
        (x * x).sum().backward()
        g = x.grad
        (x * x).sum().backward()
        return g
     """, [16.0, 36.0]),
    ("""
        x = t.tensor([4.0, 9.0], requires_grad=True)
        w = t.ones(2)
        x.sum().backward()
        a = x.grad
        y = t.ones(2, requires_grad=True)
        (x + y).sum().backward()
        a.mul_(7)
        return y.grad
     """, [1.0, 1.0]),
    ("""
        x = t.tensor([4.0, 9.0], requires_grad=True)
        v = t.tensor([1.0, 2.0])
        (x * 1).backward(v)
        v.mul_(5)
        return x.grad
     """, [1.0, 2.0]),
    ("""
        x = t.tensor([4.0, 9.0], requires_grad=True)
        v = t.tensor([1.0, 2.0])
        x.backward(v)
        v.mul_(5)
        return x.grad
     """, [1.0, 2.0]),
    ("""
        x = t.tensor([4.0, 9.0], requires_grad=True)
        v = t.tensor([1.0, 2.0])
        g, = t.autograd.grad(x, x, v)
        g.mul_(5)
        return v
     """, [1.0, 2.0], True),
    ("""
        x = t.tensor([4.0, 9.0], requires_grad=True)
        y = t.tensor([4.0, 9.0], requires_grad=True)
        g, h = t.autograd.grad((x + y).sum(), (x, y))
        g.mul_(5)
        return h
     """, [1.0, 1.0]),
    ("""
        x = t.tensor([4.0, 9.0], requires_grad=True)
        g, h = t.autograd.grad((x * x).sum(), (x, x))
        return h
     """, [8.0, 18.0]),
    ("""
        x = t.zeros(2, 3)
        w = t.tensor([1.0, 2.0, 3.0], requires_grad=True)
        x[0] = w
        x[1] = w * 2
        x = x.T
        x[0] *= 4
        x.pow(2).sum().backward()
        return w.grad
     """, [160.0, 20.0, 30.0]),
    ("""
        x = t.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
        y = x * 1
        d = y.diagonal()
        d.mul_(2)
        (y * y).sum().backward()
        return x.grad
     """, [[8.0, 4.0], [6.0, 32.0]]),
    ("""
        x = t.tensor([4.0, 9.0], requires_grad=True)
        x.data = t.tensor([1.0, 1.0])
        (x * x).sum().backward()
        return x.grad
     """, [2.0, 2.0]),
    ("""
        x = t.tensor([4.0, 9.0], requires_grad=True)
        y = (x * x).sum()
        x.data = t.tensor([1.0, 1.0])
        y.backward()
        return x.grad
     """, [8.0, 18.0], True),
    ("""
        x = t.tensor([4.0, 9.0], requires_grad=True)
        y = x * 2
        y.T.mul_(3) if False else y.view(-1).mul_(3)
        y.sum().backward()
        return x.grad
     """, [6.0, 6.0]),
    ("""
        x = t.tensor([True, False])
        x |= t.tensor([False, True])
        return x
     """, [True, True]),
    ("""
        x = t.tensor([4, 9])
        x //= 2
        x *= 3
        return x
     """, [6.0, 12.0]),
    ("""
        x = t.tensor([4, 9])
        x /= 2
        return x
     """, '! cannot be stored'),
    ("""
        x = t.tensor([4.0, 9.0])
        x[0] = t.tensor(5.0, requires_grad=True) * 2
        return x * x
     """, [100.0, 81.0]),
    ("""
        x = t.ones(2, 3)
        x.add_(t.ones(4, 2, 3))
        return x
     """, '! cannot change a shape'),
    ("""
        x = t.ones(3)
        x += t.ones(2, 3)
        return x
     """, '! cannot change a shape'),
    ("""
        x = t.tensor([4.0, 9.0], requires_grad=True)
        for _ in range(3):
            y = (x * x).sum()
            y.backward()
            with t.no_grad():
                x -= 0.01 * x.grad
                x.grad.zero_()
        return x
     """, [3.76477, 8.47073]),
    ("""
        x = t.tensor([4.0, 9.0], requires_grad=True)
        y = x * 2
        z = y.exp()
        y.add_(1)
        z.sum().backward()
        return x.grad
     """, [5961.91602, 131319944.0]),
    ("""
        x = t.tensor([4.0, 9.0], requires_grad=True)
        y = x * 2
        z = y.relu_()
        z.sum().backward()
        return x.grad
     """, [2.0, 2.0]),
    ("""
        x = t.tensor([4.0, 9.0], requires_grad=True)
        y = x.sigmoid()
        y.mul_(2)
        y.sum().backward()
        return x.grad
     """, '! overwritten that memory'),
    ("""
        x = t.tensor([4.0, 9.0], requires_grad=True)
        a = x[0]
        b = x[1]
        return (a * b).backward() or x.grad
     """, [9.0, 4.0]),
    ("""
        w = t.tensor([1.0, 2.0], requires_grad=True)
        h = t.zeros(2)
        for k in range(3):
            h = (h * w).add_(w)
        h.sum().backward()
        return w.grad
     """, [6.0, 17.0]),
    ("""
        w = t.tensor([1.0, 2.0], requires_grad=True)
        y = w * w
        w.requires_grad_(False)
        w.mul_(2)
        y.sum().backward()
        return w.grad
     """, '! overwritten that memory'),
    ("""
        x = t.tensor([[4.0, 9.0], [1.0, 2.0]], requires_grad=True)
        y = x * 1
        y[[0, 0]] = t.tensor([[1.0, 1.0], [2.0, 2.0]])
        return y
     """, [[2.0, 2.0], [1.0, 2.0]]),
    ("""
        x = t.tensor([4.0, 9.0, 1.0], requires_grad=True)
        y = x * 1
        y.index_add_(0, t.tensor([0, 0]), x[:2] * 2)
        (y * y).sum().backward()
        return x.grad
     """, [180.0, 138.0, 2.0]),
    ("""
        x = t.tensor([4.0, 9.0, 1.0], requires_grad=True)
        y = x * 1
        y.masked_fill_(y > 5, 0.0)
        (y * y).sum().backward()
        return x.grad
     """, [8.0, 0.0, 2.0]),
    ("""
        x = t.tensor([4.0, 9.0, 1.0], requires_grad=True)
        y = x * 1
        y.lerp_(x, 0.5)
        (y * y).sum().backward()
        return x.grad
     """, [8.0, 18.0, 2.0]),
    ("""
        x = t.zeros(2)
        a = x[0]
        a += 1
        return x
     """, [1.0, 0.0]),
    ("""
        x = t.zeros(2, 2)
        for row in x:
            row += 1
        return x
     """, [[1.0, 1.0], [1.0, 1.0]]),
    ("""
        w = t.tensor([1.0, 2.0], requires_grad=True)
        n = w.detach().numpy()
        y = (w * w).sum()
        n[0] = 5
        y.backward()
        return w.grad
     """, '! read-only'),
    ("""
        w = t.tensor([1.0, 2.0], requires_grad=True)
        d = w.detach()
        e = t.tensor([0.0])
        w.data.view(-1)[0] += 1
        return w
     """, [2.0, 2.0]),
    ("""
        x = t.tensor([1.0, 2.0])
        y = x.detach()
        y.requires_grad_()
        n = x.numpy()
        z = (y * y).sum()
        n[0] = 7
        z.backward()
        return y.grad
     """, '! read-only'),
    ("""
        x = t.tensor([[1.0, 2.0], [3.0, 4.0]])
        w = t.tensor(2.0, requires_grad=True)
        x[0] = w
        x[1, 1] = w * w
        v = x.diagonal()
        v *= 3
        x.sum().backward()
        return w.grad
     """, 16.0),
    ("""
        x = t.arange(24.0).reshape(2, 3, 4).permute(1, 0, 2).clone()
        w = t.tensor(2.0, requires_grad=True)
        y = x * w
        v = y[1]
        y.mul_(2)
        (v * v).sum().backward()
        return w.grad
     """, 21696.0),
    ("""
        x = t.arange(24.0).reshape(2, 3, 4).permute(2, 0, 1)
        w = t.tensor(2.0, requires_grad=True)
        y = x * w
        v = y[1, :, ::2]
        v.mul_(3)
        (y * y).sum().backward()
        return w.grad
     """, 39440.0),
    ("""
        x = t.zeros(3, dtype=t.int64)
        x[0] = t.tensor(2.0, requires_grad=True)
        return x
     """, [2.0, 0.0, 0.0]),
    ("""
        x = t.zeros(3)
        x[0] = t.tensor(2, dtype=t.int64)
        x[1] = True
        return x
     """, [2.0, 1.0, 0.0]),
    ("""
        x = t.tensor([4.0, 9.0], requires_grad=True)
        y = x * 2
        a = y[0]
        a.mul_(3)
        y.sum().backward()
        return x.grad
     """, [6.0, 2.0]),
    ("""
        x = t.tensor([4.0, 9.0], requires_grad=True)
        y = x * 2
        y[0] += 1
        y[1] *= y[0]
        y.sum().backward()
        return x.grad
     """, '! overwritten that memory'),
    ("""
        x = t.tensor([4.0, 9.0], requires_grad=True)
        y = x * 2
        y[:1] **= 2
        y.sum().backward()
        return x.grad
     """, [32.0, 2.0]),
    ("""
        x = t.tensor([1.0, 2.0])
        v = x[0:1]
        v.requires_grad_()
        v.add_(1)
        return v
     """, '! cannot be updated in place'),
    ("""
        x = t.tensor([1.0, 2.0], requires_grad=True)
        y = x.expand(2, 2)
        y = y.clone()
        y[0] = 0
        y.sum().backward()
        return x.grad
     """, [1.0, 1.0]),
    ("""
        x = t.tensor([1.0, 2.0], requires_grad=True)
        d = (x * 2).detach()
        d[0] = x[1] * 3
        d.sum().backward()
        return x.grad
     """, [0.0, 3.0]),
    ("""
        x = t.tensor([1.0, 2.0], requires_grad=True)
        y = x * 2
        d = y.detach()
        d[0] = x[1] * 3
        y.sum().backward()
        return x.grad
     """, [2.0, 2.0]),
    ("""
        w = t.tensor([1.0, 2.0], requires_grad=True)
        o = w.data
        o[0] = 3
        o += 1
        return w
     """, [4.0, 3.0]),
    ("""
        w = t.tensor([1.0, 2.0], requires_grad=True)
        w.data = w.data * 2
        w.data = w.data - 1
        w.data[0:1].fill_(7)
        return w
     """, [7.0, 3.0]),
    ("""
        w = t.tensor([1.0, 2.0], requires_grad=True)
        c = t.tensor([5.0, 6.0])
        w.data = c
        y = (w * w).sum()
        c.mul_(2)
        y.backward()
        return w.grad
     """, '! overwritten that memory'),
    ("""
        w = t.tensor([1.0, 2.0], requires_grad=True)
        w.data.copy_(t.tensor([3.0, 4.0]))
        w.data.clamp_(max=3.5)
        return w
     """, [3.0, 3.5]),
    ("""
        x = t.tensor([1.0, 2.0], requires_grad=True)
        y = x * 3
        z = y.view(2, 1)
        y.detach_()
        return z
     """, [[3.0], [6.0]]),
    ("""
        x = t.tensor([1.0, 2.0], requires_grad=True)
        y = (x * 3)[0:1]
        y.detach_()
        return y
     """, '! a view cannot be detached'),
    ("""
        x = t.tensor([1.0, 2.0], requires_grad=True)
        y = x * 3
        y.squeeze_()
        y.unsqueeze_(0)
        y.mul_(2)
        y.sum().backward()
        return x.grad
     """, [6.0, 6.0]),
    ("""
        x = t.tensor([1.0, 2.0], requires_grad=True)
        y = x * 3
        v = y[1:]
        y.t_()
        v.mul_(2)
        y.sum().backward()
        return x.grad
     """, [3.0, 6.0]),
    ("""
        x = t.tensor([1.0, 2.0, 3.0], requires_grad=True)
        y = x * 3
        v = y[1:]
        u = v[1:]
        u.mul_(2)
        v.mul_(5)
        y.mul_(7)
        (u.sum() + v.sum() * 2 + y.sum() * 3).backward()
        return x.grad
     """, [63.0, 525.0, 1260.0]),
    ("""
        x = t.tensor([1.0, 2.0, 3.0], requires_grad=True)
        y = x * 3
        v = y[1:]
        (v * v).sum().backward()
        v.mul_(2)
        return v
     """, [12.0, 18.0]),
    ("""
        x = t.tensor([1.0, 2.0, 3.0])
        y = x[1:]
        x.requires_grad_()
        (y * x[1:]).sum().backward()
        return x.grad
     """, [0.0, 2.0, 3.0]),
    ("""
        x = t.tensor([1.0, 2.0, 3.0])
        y = x[1:]
        x.requires_grad_()
        y.add_(1)
        return x
     """, '! cannot be updated in place'),
    ("""
        w = t.tensor([1.0, 2.0], requires_grad=True)
        y = w * 2
        with t.no_grad():
            w += 1
        y.sum().backward()
        return w.grad
     """, [2.0, 2.0]),
    ("""
        w = t.tensor([1.0, 2.0], requires_grad=True)
        y = w ** 2
        with t.no_grad():
            w += 1
        y.sum().backward()
        return w.grad
     """, '! overwritten that memory'),
    ("""
        w = t.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
        y = w.T @ w
        with t.no_grad():
            w.zero_()
        y.sum().backward()
        return w.grad
     """, '! overwritten that memory'),
    ("""
        w = t.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
        v = w.T
        y = v.exp()
        with t.no_grad():
            w.zero_()
        y.sum().backward()
        return w.grad
     """, [[2.71828, 7.38906], [20.08554, 54.59815]]),
    ("""
        w = t.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
        v = w.T
        y = v * v
        with t.no_grad():
            w[0, 0] = 9
        y.sum().backward()
        return w.grad
     """, '! overwritten that memory'),
    ("""
        x = t.tensor(2.0)
        w = t.tensor(3.0, requires_grad=True)
        y = x * w
        x += 1
        y.backward()
        return w.grad
     """, '! overwritten that memory'),
    ("""
        x = t.tensor([2.0]).sum()
        w = t.tensor(3.0, requires_grad=True)
        y = x * w
        x += 1
        y.backward()
        return w.grad
     """, 2.0),
    ("""
        x = t.tensor([2.0]).sum()
        w = t.tensor(3.0, requires_grad=True)
        v = x.reshape(1)
        y = x * w
        v += 1
        y.backward()
        return w.grad
     """, '! overwritten that memory'),
    ("""
        x = t.tensor([2.0]).sum()
        w = t.tensor(3.0, requires_grad=True)
        y = x * w
        v = x.reshape(1)
        v += 1
        y.backward()
        return w.grad
     """, 2.0),
    ("""
        x = t.tensor([2.0]).sum()
        v = x.reshape(1)
        v += 1
        return x
     """, 3.0),
    ("""
        x = t.tensor([2.0]).sum()
        v = x.detach()
        v += 1
        return x
     """, 3.0),
    ("""
        x = t.tensor([2.0, 3.0], requires_grad=True)
        s = x.sum()
        v = s.detach()
        v.zero_()
        return s
     """, 0.0),
    ("""
        x = t.tensor([2.0, 3.0], requires_grad=True)
        l = x.sum()
        l /= 2
        l += x.prod()
        l.backward()
        return x.grad
     """, [3.5, 2.5]),
    ("""
        x = t.tensor([2.0, 3.0], requires_grad=True)
        tot = 0
        for k in range(3):
            tot += (x * k).sum()
        tot.backward()
        return x.grad
     """, [3.0, 3.0]),
    ("""
        x = t.tensor([2.0, 3.0], requires_grad=True)
        tot = t.zeros(())
        for k in range(3):
            tot += (x * x * k).sum()
        tot.backward()
        return x.grad
     """, [12.0, 18.0]),
    ("""
        x = t.tensor([2.0, 3.0], requires_grad=True)
        buf = t.zeros(3, 2)
        for k in range(3):
            buf[k] = x * x * k
        (buf ** 2).sum().backward()
        return x.grad
     """, [160.0, 540.0]),
    ("""
        x = t.tensor([2.0, 3.0], requires_grad=True)
        buf = t.zeros(3, 2)
        h = x
        for k in range(1, 3):
            buf[k] = buf[k - 1] * x + x
        buf.sum().backward()
        return x.grad
     """, '! overwritten that memory'),
    ("""
        x = t.tensor([2.0, 3.0], requires_grad=True)
        buf = t.zeros(3, 2)
        h = x
        for k in range(1, 3):
            buf[k] = buf[k - 1].clone() * x + x
        buf.sum().backward()
        return x.grad
     """, [6.0, 8.0]),
    ("""
        x = t.tensor([2.0, 3.0], requires_grad=True)
        y = x * 1
        y.add_(y)
        y.sub_(y * 0.5)
        y.sum().backward()
        return x.grad
     """, [1.0, 1.0]),
    ("""
        x = t.tensor([2.0, 3.0], requires_grad=True)
        y = x * 1
        y.addcmul_(x, x, value=2)
        y.addcdiv_(x, x)
        y.sum().backward()
        return x.grad
     """, [9.0, 13.0]),
    ("""
        x = t.tensor([2.0, 3.0], requires_grad=True)
        y = x * 1
        y.cumsum_(0)
        y.pow_(2)
        y.sum().backward()
        return x.grad
     """, [14.0, 10.0]),
    ("""
        x = t.tensor([2.0, 3.0], requires_grad=True)
        y = x * 1
        y.scatter_(0, t.tensor([0]), x[1:] * 3)
        y.sum().backward()
        return x.grad
     """, [0.0, 4.0]),
    ("""
        x = t.tensor([2.0, 3.0], requires_grad=True)
        y = x * 1
        y.index_fill_(0, t.tensor([0]), 5.0)
        (y * x).sum().backward()
        return x.grad
     """, [5.0, 6.0]),
    ("""
        x = t.tensor([[2.0, 3.0]], requires_grad=True)
        y = x * 1
        y.T[0] = 5
        (y * x).sum().backward()
        return x.grad
     """, [[5.0, 6.0]]),
    ("""
        x = t.tensor([2.0, 3.0], requires_grad=True)
        y = x * 1
        y.data[0] = 100.0
        (y * x).sum().backward()
        return x.grad
     """, [102.0, 6.0]),
    ("""
        x = t.tensor([2.0, 3.0], requires_grad=True)
        z = t.tensor([2.0, 3.0], dtype=t.float64, requires_grad=True)
        y = x * 1
        y += z
        y.sum().backward()
        return z.grad
     """, [1.0, 1.0]),
    ("""
        x = t.tensor([2.0, 3.0], requires_grad=True)
        y = x * 1
        y.grad_fn
        y.requires_grad = False
        return y
     """, '! only a leaf can stop'),
    ("""
        x = t.tensor([2, 3])
        x.requires_grad_()
        return x
     """, '! only floating-point tensors'),
    ("""
        x = t.tensor([2.0, 3.0])
        y = x.view(2, 1)
        w = t.tensor([[1.0], [2.0]], requires_grad=True)
        y.mul_(w)
        (x * x).sum().backward()
        return w.grad
     """, [[8.0], [36.0]]),
    ("""
        x = t.tensor([2.0, 3.0])
        y = x.view(2, 1)
        w = t.tensor([[1.0], [2.0]], requires_grad=True)
        z = x * w.view(-1)
        y.mul_(w)
        z.sum().backward()
        return w.grad
     """, '! overwritten that memory'),
    ("""
        x = t.tensor([2.0, 3.0], requires_grad=True)
        y = x * 2
        with t.no_grad():
            v = y[0:1]
            v.mul_(5)
        (y * x).sum().backward()
        return x.grad
     """, [24.0, 12.0]),
    ("""
        x = t.tensor([2.0, 3.0], requires_grad=True)
        y = x * 2
        with t.no_grad():
            v = y[0:1]
        v.mul_(x[0])
        y.sum().backward()
        return x.grad
     """, '! made under no_grad'),
    ("""
        x = t.tensor([2.0, 3.0], requires_grad=True)
        y = x.tanh()
        with t.no_grad():
            y[0] = 1.0
        y.sum().backward()
        return x.grad
     """, '! overwritten that memory'),
    ("""
        x = t.tensor([2.0, 3.0], requires_grad=True)
        y = t.softmax(x, 0)
        y /= 2
        y.prod().backward()
        return x.grad
     """, '! overwritten that memory'),
    ("""
        x = t.tensor([2.0, 3.0], requires_grad=True)
        y = x + 1
        y /= 2
        y.prod().backward()
        return x.grad
     """, [1.0, 0.75]),
    ("""
        x = t.tensor([2.0, 3.0], requires_grad=True)
        y = x.prod()
        x.data[0] = 1
        y.backward()
        return x.grad
     """, '! overwritten that memory'),
    ("""
        a = t.tensor([1.0, 2.0], requires_grad=True)
        b = a * 2
        c = b.sum()
        b.zero_()
        c.backward()
        return a.grad
     """, [2.0, 2.0]),
    ("""
        a = t.tensor([1.0, 2.0], requires_grad=True)
        b = t.zeros(2)
        b.add_(a)
        c = b * b
        b.detach().add_(1)
        c.sum().backward()
        return a.grad
     """, '! overwritten that memory'),
    ("""
        a = t.tensor([1.0, 2.0], requires_grad=True)
        a.grad = t.ones(2)
        b = a.grad
        (a * 3).sum().backward()
        return b
     """, [4.0, 4.0]),
    ("""
        a = t.tensor([1.0, 2.0], requires_grad=True)
        (a * 3).sum().backward()
        b = a.grad
        a.grad = None
        (a * 3).sum().backward()
        a.grad.zero_()
        return b
     """, [3.0, 3.0]),
    ("""
        a = t.tensor([1.0, 2.0], requires_grad=True)
        b = a.sum()
        b.backward()
        a.grad[0] = 5
        b2 = a.sum()
        b2.backward()
        return a.grad
     """, [6.0, 2.0]),
    ("""
        a = t.tensor([1.0, 2.0], requires_grad=True)
        b = t.tensor([1.0, 2.0], requires_grad=True)
        (a.view(2, 1) + b.view(1, 2)).sum().backward()
        a.grad.mul_(100)
        return b.grad
     """, [2.0, 2.0]),
    ("""
        a = t.tensor([[1.0, 2.0]], requires_grad=True)
        a.T.sum().backward()
        a.grad[0, 0] = 9
        return a.grad
     """, [[9.0, 1.0]]),
    ("""
        x = t.ones(3)
        y = x.flip(0)
        y += 1
        return x
     """, [1.0, 1.0, 1.0]),
    ("""
        x = t.arange(6.0).reshape(2, 3)
        y = x.reshape(-1)
        y[0] = 100
        return x
     """, [[100.0, 1.0, 2.0], [3.0, 4.0, 5.0]]),
    ("""
        x = t.arange(6.0).reshape(2, 3)
        y = x.T.reshape(-1)
        y[0] = 100
        return x
     """, [[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]),
    ("""
        x = t.arange(6.0).reshape(2, 3)
        y = x.contiguous()
        y[0, 0] = 100
        return x
     """, [[100.0, 1.0, 2.0], [3.0, 4.0, 5.0]]),
    ("""
        x = t.arange(6.0).reshape(2, 3)
        y = x.float()
        y[0, 0] = 100
        z = x.to(t.float32)
        z[0, 1] = 50
        return x
     """, [[100.0, 50.0, 2.0], [3.0, 4.0, 5.0]]),
    ("""
        x = t.arange(6.0).reshape(2, 3)
        y = x.chunk(3, 1)
        y[1].zero_()
        return x
     """, [[0.0, 0.0, 2.0], [3.0, 0.0, 5.0]]),
    ("""
        x = t.arange(6.0).reshape(2, 3)
        y = x.flatten()
        y.zero_()
        z = x.ravel()
        z += 1
        return x
     """, [[1.0, 1.0, 1.0], [1.0, 1.0, 1.0]]),
    ("""
        x = t.arange(6.0).reshape(2, 3)
        x[x > 2] += 10
        x[[0, 1], [0, 1]] *= 5
        x[:, 1] -= 1
        x[..., 0] = 7
        return x
     """, [[7.0, 0.0, 2.0], [7.0, 69.0, 15.0]]),
    ("""
        x = t.arange(3.0)
        y = x.clone()
        x.copy_(y * 2)
        x.swapaxes(0, 0).add_(1)
        return x
     """, [1.0, 3.0, 5.0]),
    ("""
        x = t.arange(6.0).reshape(2, 3)
        x.transpose(0, 1)[0] = t.tensor([9.0, 8.0])
        x.narrow(1, 1, 1).fill_(3)
        x.select(0, 1).mul_(2)
        x.unsqueeze(0).add_(1)
        x.movedim(0, 1)[2].zero_()
        return x
     """, [[10.0, 4.0, 0.0], [17.0, 7.0, 0.0]]),
    ("""
        x = t.arange(4.0).reshape(2, 2)
        r = x.real
        r.add_(1)
        return x
     """, [[1.0, 2.0], [3.0, 4.0]]),
    ("""
        x = t.ones(2, requires_grad=True)
        y = x * 2
        y.copy_(y * y)
        y.sum().backward()
        return x.grad
     """, '! overwritten that memory'),
    ("""
        x = t.ones(2, requires_grad=True)
        x.copy_(t.zeros(2))
        return x
     """, '! cannot be updated in place'),
    ("""
        x = t.ones(2, requires_grad=True)
        x[0] = 1
        return x
     """, '! cannot be updated in place'),
    ("""
        x = t.ones(2, requires_grad=True)
        x.uniform_()
        return x
     """, '! cannot be updated in place'),
    ("""
        x = t.ones(2, requires_grad=True)
        y = x * 1
        y.uniform_(3, 3.0000001)
        (y * x).sum().backward()
        return x.grad
     """, [3.0, 3.0]),
]


def run(code, t):
    """What a program returns, as nested lists of numbers."""
    namespace = {}
    exec("def program(t):" + code, namespace)
    result = namespace["program"](t)
    if result is None:
        return None
    return np.asarray(result.detach().numpy() if hasattr(result, "detach") else result).astype(float)


@pytest.mark.parametrize("number", range(len(PROGRAMS)))
def test_program(number):
    code, expected, *_ = PROGRAMS[number]
    if isinstance(expected, str):
        with pytest.raises((RuntimeError, ValueError)) as caught:
            run(code, tg)
        assert expected[2:] in str(caught.value), code
    elif expected is None:
        assert run(code, tg) is None, code
    else:
        assert np.allclose(run(code, tg), np.asarray(expected, float), 1e-4, 1e-5), code


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("number", range(len(PROGRAMS)))
def test_program_as_in_pytorch(number):
    torch = pytest.importorskip("torch")
    code, expected, *differs = PROGRAMS[number]
    if isinstance(expected, str):
        return  # PyTorch may compute what we refuse; test_program sees to our error
    try:
        theirs = run(code, torch)
    except (RuntimeError, TypeError, ValueError):
        return  # PyTorch refuses what we compute right
    if theirs is None or expected is None:
        assert theirs is None and expected is None, code
    else:
        assert np.allclose(theirs, np.asarray(expected, float), 1e-3) is not bool(differs), code


def test_unchanged_after_a_refused_update():
    """A call that fails has written nothing."""
    x = tg.tensor([1.0, 2.0], requires_grad=True)
    y = x * 2
    for attempt in (lambda: y.add_(tg.ones(3, 2)), lambda: y.add_(tg.ones(3)), lambda: x.add_(1), lambda: y.__setitem__(0, tg.ones(2, 2)),
                    lambda: y.__setitem__(5, 1.0), lambda: x.__setitem__(0, 1.0), lambda: x.detach().expand(3, 2).add_(1)):  # fmt: skip
        with pytest.raises((RuntimeError, ValueError, IndexError)):
            attempt()
        assert x.tolist() == [1.0, 2.0] and y.tolist() == [2.0, 4.0]
    y.sum().backward()
    assert x.grad.tolist() == [2.0, 2.0]


def test_the_error_names_who_saved_and_who_wrote():
    x = tg.tensor([1.0, 2.0], requires_grad=True)
    y = x.exp()
    y.mul_(2)
    with pytest.raises(RuntimeError, match=r"exp saved a value float32\[2\] for its derivative, and mul_ has overwritten"):
        y.sum().backward()


# --- NumPy writes -----------------------------------------------------------------------------------------------------


def test_numpy_views_of_graph_memory_are_read_only():
    w = tg.tensor([1.0, 2.0], requires_grad=True)
    y = w * 3
    constant = tg.tensor([1.0, 2.0])
    alias = constant.detach().requires_grad_()
    for t in (w.detach(), y.detach(), w.data, w.detach()[0:1], w.detach().view(2, 1), constant, alias.detach()):
        with pytest.raises(ValueError, match="read-only"):
            t.numpy()[...] = 5.0
        assert np.asarray(t).flags.writeable is False
    for t in (w, y, alias):
        with pytest.raises(RuntimeError, match="detach"):
            t.numpy()
        copy = t.numpy(force=True)
        copy[...] = 7.0
    assert w.tolist() == [1.0, 2.0] and y.tolist() == [3.0, 6.0]


def test_numpy_shares_memory_outside_of_graphs():
    t = tg.zeros(3)
    t.numpy()[1] = 5.0
    assert t.tolist() == [0.0, 5.0, 0.0]
    a = np.zeros(3, np.float32)
    s = tg.from_numpy(a)
    a[0] = 1.0
    s[2] = 2.0
    assert s.tolist() == [1.0, 0.0, 2.0] and a.tolist() == [1.0, 0.0, 2.0]


@pytest.mark.parametrize("enter", [
    lambda a, w: w * a, lambda a, w: a * w, lambda a, w: w * tg.from_numpy(a), lambda a, w: w * tg.as_tensor(a),
    lambda a, w: w * tg.from_numpy(a).view(3), lambda a, w: w * tg.from_numpy(a)[:], lambda a, w: np.multiply(a, w),
    lambda a, w: tg.tensor(a) * w, lambda a, w: tg.stack([w, tg.from_numpy(a)]).prod(0), lambda a, w: w.dot(tg.from_numpy(a)),
    lambda a, w: tg.from_numpy(a).T * w, lambda a, w: tg.from_numpy(a).detach() * w, lambda a, w: tg.einsum("i,i->i", w, tg.from_numpy(a)),
])  # fmt: skip
def test_writes_to_the_users_array_do_not_reach_the_graph(enter):
    a = np.array([1.0, 2.0, 3.0], np.float32)
    w = tg.tensor([4.0, 5.0, 6.0], requires_grad=True)
    out = enter(a, w).sum()
    a[:] = 100.0
    out.backward()
    assert w.grad.tolist() == [1.0, 2.0, 3.0]


@pytest.mark.parametrize("enter", [
    lambda x, w: w * x, lambda x, w: w * x.view(3), lambda x, w: w * x[:], lambda x, w: w * x.detach(),
    lambda x, w: w * x.reshape(3, 1).squeeze(), lambda x, w: w.dot(x), lambda x, w: (w.view(1, 3) @ x.view(3, 1)),
])  # fmt: skip
@pytest.mark.parametrize("when", ["view taken before", "view taken after"])
def test_a_numpy_view_of_a_constant_in_a_graph(enter, when):
    """Whether `.numpy()` was called before or after: the write does not reach the graph, or NumPy refuses it."""
    x = tg.tensor([1.0, 2.0, 3.0])
    w = tg.tensor([4.0, 5.0, 6.0], requires_grad=True)
    if when == "view taken before":
        view = x.numpy()
        out = enter(x, w).sum()
    else:
        out = enter(x, w).sum()
        view = x.numpy()
    try:
        view[:] = 100.0
    except ValueError:
        pass  # read-only: also right
    try:
        out.backward()
    except RuntimeError as error:  # an error that says what happened: right as well
        assert "NumPy" in str(error) and when == "view taken after"
    else:
        assert w.grad.tolist() == [1.0, 2.0, 3.0]


def test_numpy_views_that_are_only_read_do_no_harm():
    x, w = tg.tensor([1.0, 2.0, 3.0]), tg.tensor([4.0, 5.0, 6.0], requires_grad=True)
    out = (w * x).sum()
    assert x.numpy().sum() == 6.0 and np.asarray(x).max() == 3.0
    out.backward()
    assert w.grad.tolist() == [1.0, 2.0, 3.0]


def test_leaves_made_of_shared_memory_own_theirs():
    a = np.array([1.0, 2.0])
    for make in (lambda: tg.from_numpy(a).requires_grad_(), lambda: tg.from_numpy(a)[:].requires_grad_(),
                 lambda: tg.tensor(a, requires_grad=True), lambda: tg.as_tensor(a).detach().requires_grad_()):  # fmt: skip
        a[:] = [1.0, 2.0]
        w = make()
        out = (w * w).sum()
        a[:] = 100.0
        out.backward()
        assert w.grad.tolist() == [2.0, 4.0]
    w = tg.tensor([0.0, 0.0], dtype=tg.float64, requires_grad=True)
    a[:] = [1.0, 2.0]
    w.data = tg.from_numpy(a)
    out = (w * w).sum()
    a[:] = 100.0
    out.backward()
    assert w.grad.tolist() == [2.0, 4.0]


def test_index_arrays_are_copied():
    for make in (lambda i: i, tg.tensor, tg.from_numpy):
        i = np.array([0, 2])
        x = tg.tensor([1.0, 2.0, 3.0], requires_grad=True)
        index = make(i)
        out = x[index].sum() + x.gather(0, tg.as_tensor(index)).sum() + x.index_select(0, tg.as_tensor(index)).sum()
        i[:] = 1
        out.backward()
        assert x.grad.tolist() == [3.0, 0.0, 3.0]
    index = tg.tensor([0, 2])
    out = x[index].sum()
    index[0] = 1
    with pytest.raises(RuntimeError, match="overwritten"):
        out.backward()


def test_masks_are_copied_or_guarded():
    m = np.array([True, False, True])
    x = tg.tensor([1.0, 2.0, 3.0], requires_grad=True)
    out = x[m].sum() + tg.where(tg.from_numpy(m), x, 0.0).sum() + x.masked_fill(tg.from_numpy(m), 0.0).sum()
    m[:] = False
    out.backward()
    assert x.grad.tolist() == [2.0, 1.0, 2.0]


def test_training_loop_in_place():
    """An optimizer's update under no_grad between steps; the same update between forward and backward is noticed."""
    w = tg.tensor([4.0, 9.0], requires_grad=True)
    for _ in range(3):
        (w * w).sum().backward()
        with tg.no_grad():
            w -= 0.1 * w.grad
        w.grad = None
    assert np.allclose(w.tolist(), [4 * 0.8**3, 9 * 0.8**3])
    loss = (w * w).sum()
    with tg.no_grad():
        w -= 0.1
    with pytest.raises(RuntimeError, match="overwritten"):
        loss.backward()
    assert w.grad is None


def test_many_writes_do_not_pile_up():
    from tinygrad_edu.autograd import memory

    for _ in range(10_000):
        tg.zeros(2).add_(1)
    assert len(memory.writes) < 6000
    x = tg.zeros(4)
    for _ in range(5_000):
        x[0:2].add_(1)
        x.detach().add_(1)
    assert len(x.views) < 64 and x.tolist() == [10_000.0, 10_000.0, 5_000.0, 5_000.0]


def test_writes_to_other_parts_through_data():
    """As ODE solvers keep their stages: parts of one memory, written past the version counter, one after the other."""

    class Assign(tg.autograd.Function):
        @staticmethod
        def forward(ctx, scratch, value, index):
            ctx.index = index
            scratch.data[index] = value
            return scratch

        @staticmethod
        def backward(ctx, g):
            return g, g[ctx.index], None

    def program(overwritten):
        w = tg.ones(2, requires_grad=True)
        k = Assign.apply(tg.empty(2, 3), w * 2, (..., 0))
        k = Assign.apply(k, (k[..., :1] * tg.tensor([3.0])).sum(-1) * w, (..., 1))
        z = (k[..., :2] * k[..., :2]).sum(-1)
        k = Assign.apply(k, z * w, (..., overwritten))
        return w, (k * tg.tensor([1.0, 2.0, 3.0])).sum()

    w, loss = program(2)
    loss.backward()
    assert loss.item() == 268 and w.grad.tolist() == [602, 602]
    w, loss = program(1)
    with pytest.raises(RuntimeError, match="overwritten"):
        loss.backward()
