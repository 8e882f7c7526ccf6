"""A network with one hidden layer that learns three classes: every derivative written by hand, in NumPy."""

import numpy as np


def linear(x, w, b):
    return x @ w + b


def linear_backward(g, x, w):
    return g @ w.T, x.T @ g, g.sum(axis=0)


def relu(x):
    return np.maximum(x, 0)


def relu_backward(g, x):
    return g * (x > 0)


def sigmoid(x):
    return 0.5 * np.tanh(0.5 * x) + 0.5


def sigmoid_backward(g, x):
    out = sigmoid(x)
    return g * out * (1 - out)


def dropout(x, mask, keep):
    return x * mask / keep


def dropout_backward(g, mask, keep):
    return g * mask / keep


def softmax(z):
    z = z - z.max(axis=1, keepdims=True)
    powers = np.exp(z)
    return powers / powers.sum(axis=1, keepdims=True)


def cross_entropy(z, labels):
    z = z - z.max(axis=1, keepdims=True)
    log_p = z - np.log(np.exp(z).sum(axis=1, keepdims=True))
    return -log_p[np.arange(len(labels)), labels].mean()


def cross_entropy_backward(z, labels):
    g = softmax(z)
    g[np.arange(len(labels)), labels] -= 1
    return g / len(labels)


def squared_error(prediction, target):
    """Mean over the samples; the prediction is a column (n, 1), the target a row of n numbers."""
    return ((prediction - target.reshape(-1, 1)) ** 2).mean()


def squared_error_backward(prediction, target):
    return 2 * (prediction - target.reshape(-1, 1)) / len(target)


def penalty(w, strength):
    return strength * (w**2).sum()


def penalty_backward(w, strength):
    return 2 * strength * w


STRENGTH, KEEP = 0.001, 0.8


def loss_of(parameters, x, labels, mask):
    w1, b1, gate, w2, b2 = parameters
    h = relu(linear(x, w1, b1)) * sigmoid(gate)
    z = linear(dropout(h, mask, KEEP), w2, b2)
    return cross_entropy(z, labels) + penalty(w1, STRENGTH) + penalty(w2, STRENGTH)


def gradients_of(parameters, x, labels, mask):
    w1, b1, gate, w2, b2 = parameters
    a = linear(x, w1, b1)
    r, s = relu(a), sigmoid(gate)
    d = dropout(r * s, mask, KEEP)
    g, g_w2, g_b2 = linear_backward(cross_entropy_backward(linear(d, w2, b2), labels), d, w2)
    g = dropout_backward(g, mask, KEEP)
    g_gate = sigmoid_backward((g * r).sum(axis=0), gate)
    _, g_w1, g_b1 = linear_backward(relu_backward(g * s, a), x, w1)
    return [g_w1 + penalty_backward(w1, STRENGTH), g_b1, g_gate, g_w2 + penalty_backward(w2, STRENGTH), g_b2]


def train_step(parameters, x, labels, mask, lr):
    gradients = gradients_of(parameters, x, labels, mask)
    for p, g in zip(parameters, gradients):
        p -= lr * g


def start(rng, hidden=16):
    return [rng.normal(size=(2, hidden)), np.zeros(hidden), np.zeros(hidden), rng.normal(size=(hidden, 3)) * 0.3, np.zeros(3)]


def data(rng, n=90):
    labels = np.arange(n) % 3
    angle = rng.uniform(0, 3, n) + labels * 2 * np.pi / 3
    radius = (angle - labels * 2 * np.pi / 3) / 3 + 0.1
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1) * 2, labels


def main():
    rng = np.random.default_rng(0)
    x, labels = data(rng)
    parameters = start(rng)
    everything = np.ones((len(x), 16)) * KEEP
    for step in range(301):
        train_step(parameters, x, labels, rng.random((len(x), 16)) < KEEP, lr=0.5)
        if step % 100 == 0:
            print(f"step {step:3}: loss {loss_of(parameters, x, labels, everything):.4f}")
    print("length of the weights:", round(float(sum((p**2).sum() for p in parameters)), 3))
    sure = np.array([[1000.0, 0.0, 0.0], [0.0, 0.0, 1000.0]])
    with np.errstate(all="ignore"):
        print("probabilities of a sure network:", softmax(sure)[0])
    w, y = np.zeros((2, 1)), x @ [1.0, -2.0]
    for _ in range(200):
        w -= 0.1 * x.T @ squared_error_backward(x @ w, y)
    print("a line fitted to 1, -2:", w.reshape(-1).round(3), "error", f"{squared_error(x @ w, y):.2e}")


if __name__ == "__main__":
    main()
