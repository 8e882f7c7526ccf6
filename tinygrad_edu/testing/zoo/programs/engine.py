"""A small automatic differentiation engine on NumPy arrays, and a network that it trains."""

import numpy as np


class Tensor:
    """An array that remembers its parents, and how to send a gradient back to them."""

    def __init__(self, data, parents=(), send=None):
        self.data = np.array(data, dtype=float)
        self.grad = None
        self.parents = parents
        self.send = send

    def receive(self, g):
        g = unbroadcast(g, self.data.shape)
        self.grad = g if self.grad is None else self.grad + g

    def backward(self):
        order = self.ancestors()
        for tensor in order:
            if tensor.send:
                tensor.grad = None
        self.grad = np.ones_like(self.data)
        for tensor in reversed(order):
            if tensor.send:
                tensor.send(tensor.grad)

    def ancestors(self):
        order, seen, stack = [], set(), [(self, False)]
        while stack:
            tensor, finished = stack.pop()
            if finished:
                order.append(tensor)
            elif tensor not in seen:
                seen.add(tensor)
                stack.append((tensor, True))
                stack += [(parent, False) for parent in tensor.parents]
        return order

    def __add__(self, other):
        other = as_tensor(other)

        def send(g):
            self.receive(g)
            other.receive(g)

        return Tensor(self.data + other.data, (self, other), send)

    def __iadd__(self, other):
        return self + other

    def __mul__(self, other):
        other = as_tensor(other)

        def send(g):
            self.receive(g * other.data)
            other.receive(g * self.data)

        return Tensor(self.data * other.data, (self, other), send)

    def __truediv__(self, other):
        other = as_tensor(other)

        def send(g):
            self.receive(g / other.data)
            other.receive(-g * self.data / other.data**2)

        return Tensor(self.data / other.data, (self, other), send)

    def __pow__(self, n):
        return Tensor(self.data**n, (self,), lambda g: self.receive(g * n * self.data ** (n - 1)))

    def __matmul__(self, other):
        def send(g):
            self.receive(g @ other.data.T)
            other.receive(self.data.T @ g)

        return Tensor(self.data @ other.data, (self, other), send)

    def __neg__(self):
        return self * -1

    def __sub__(self, other):
        return self + -as_tensor(other)

    def __rsub__(self, other):
        return as_tensor(other) - self

    __radd__ = __add__
    __rmul__ = __mul__

    def tanh(self):
        out = np.tanh(self.data)
        return Tensor(out, (self,), lambda g: self.receive(g * (1 - out**2)))

    def sum(self, axis=None):
        def send(g):
            if axis is not None:
                g = np.expand_dims(g, axis)
            self.receive(g * np.ones_like(self.data))

        return Tensor(self.data.sum(axis=axis), (self,), send)

    def mean(self):
        return Tensor(self.data.mean(), (self,), lambda g: self.receive(g * np.ones_like(self.data) / self.data.size))

    def max(self):
        def send(g):
            largest = self.data == self.data.max()
            self.receive(g * largest / largest.sum())

        return Tensor(self.data.max(), (self,), send)

    def transpose(self, axes):
        return Tensor(self.data.transpose(axes), (self,), lambda g: self.receive(g.transpose(np.argsort(axes))))

    def __getitem__(self, index):
        def send(g):
            whole = np.zeros_like(self.data)
            np.add.at(whole, index, g)
            self.receive(whole)

        return Tensor(self.data[index], (self,), send)


def as_tensor(x):
    return x if isinstance(x, Tensor) else Tensor(x)


def unbroadcast(g, shape):
    while g.ndim > len(shape):
        g = g.sum(axis=0)
    for axis, size in enumerate(shape):
        if size == 1:
            g = g.sum(axis=axis, keepdims=True)
    return g


def concatenate(tensors):
    """The tensors one after the other, along their first axis."""
    sends, start = [], 0
    for tensor in tensors:
        end = start + len(tensor.data)
        sends.append(lambda g, tensor=tensor, start=start, end=end: tensor.receive(g[start:end]))
        start = end
    return Tensor(np.concatenate([t.data for t in tensors]), tuple(tensors), lambda g: [send(g) for send in sends])


def main():
    rng = np.random.default_rng(0)
    x = Tensor(rng.normal(size=(16, 3)))
    target = np.tanh(x.data @ [[1.0], [-2.0], [0.5]]) + x.data[:, :1] ** 2
    embedding = Tensor(rng.normal(size=(4, 3)))
    words = np.array([0, 1, 1, 2, 0, 3, 1, 1, 2, 2, 0, 0, 1, 3, 3, 1])
    w1, b1 = Tensor(rng.normal(size=(3, 3)) * 0.5), Tensor(np.zeros(3))
    w2, gain = Tensor(rng.normal(size=(3, 1)) * 0.5), Tensor(np.ones((16, 1)))
    parameters = [w1, b1, w2, gain, embedding]
    for step in range(61):
        hidden = (x @ w1 + b1 + embedding[words]).tanh()
        out = ((1 - hidden) * gain) @ w2
        error = out - target
        loss = (error * error).mean() + 0.01 * (w1**2).sum(axis=0).max() + 0.001 * (Tensor(1.0) / gain).sum()
        for p in parameters:
            p.grad = None
        loss.backward()
        for p in parameters:
            p.data -= 0.1 * p.grad
        if step % 20 == 0:
            print(f"step {step:3}: loss {loss.data:.5f}")
    puzzles()


def puzzles():
    """Gradients that you can check in your head."""
    a, b = Tensor([2.0, 1.0]), Tensor([3.0, 1.0])
    total = a
    total += b
    (total * a).sum().backward()
    print("(a + b) * a       ", a.data, a.grad, "should be [7. 3.]")
    c = Tensor([1.0, 1.0])
    d = c * c
    d.sum().backward()
    (d * 3).sum().backward()
    print("two losses, c * c ", c.data, c.grad, "should be [8. 8.]")
    x = Tensor([1.0, 2.0])
    (x + (x + x)).sum().backward()
    print("x + (x + x)       ", x.data, x.grad, "should be [3. 3.]")
    e, f = Tensor([1.0]), Tensor([1.0])
    (concatenate([e * 2, f * 5]) * np.array([1.0, 10.0])).sum().backward()
    print("one after another ", e.grad, f.grad, "should be [2.] [50.]")
    square = Tensor(np.ones((2, 2)))
    (square.sum(axis=1) * np.array([1.0, 2.0])).sum().backward()
    print("sums of rows      ", square.grad.tolist(), "should be [[1, 1], [2, 2]]")
    cube = Tensor(np.zeros((2, 2, 2)))
    (cube.transpose((1, 2, 0)) * np.arange(8.0).reshape(2, 2, 2)).sum().backward()
    print("turned cube       ", cube.grad.reshape(-1), "should be [0. 2. 4. 6. 1. 3. 5. 7.]")
    largest = Tensor([4.0, 4.0, 1.0])
    largest.max().backward()
    print("largest of 4 4 1  ", largest.grad, "should be [0.5 0.5 0. ]")
    start = deep = Tensor(0.5)
    for _ in range(5000):
        deep = deep * 1.0
    deep.backward()
    print("5000 steps deep   ", start.grad, "should be 1.0")


if __name__ == "__main__":
    main()
