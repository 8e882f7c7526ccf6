"""A recurrent network that learns to add up what it hears, with back propagation through time by hand, in NumPy."""

import numpy as np


def forward(parameters, xs):
    """xs: (time, batch, inputs). Returns the last output (batch, 1) and all states, the first of which is zero."""
    w_in, w_hidden, b, w_out = parameters
    h = np.zeros((xs.shape[1], len(w_hidden)))
    states = [h]
    for x in xs:
        h = np.tanh(x @ w_in + h @ w_hidden + b)
        states.append(h)
    return h @ w_out, states


def backward(parameters, xs, states, g):
    """The gradients of the parameters, given the gradient of the last output."""
    w_in, w_hidden, b, w_out = parameters
    g_in, g_hidden, g_b = np.zeros_like(w_in), np.zeros_like(w_hidden), np.zeros_like(b)
    g_out = states[-1].T @ g
    g_h = g @ w_out.T
    for t in reversed(range(len(xs))):
        g_a = g_h * (1 - states[t + 1] ** 2)
        g_in += xs[t].T @ g_a
        g_hidden += states[t].T @ g_a
        g_b += g_a.sum(axis=0)
        g_h = g_a @ w_hidden.T
    return [g_in, g_hidden, g_b, g_out]


def clip(gradients, most):
    """The same direction, but no longer than `most` in all."""
    length = np.sqrt(sum((g**2).sum() for g in gradients))
    return [g * min(1, most / length) for g in gradients]


def train_step(parameters, xs, target, lr=0.1, most=1.0):
    out, states = forward(parameters, xs)
    gradients = backward(parameters, xs, states, 2 * (out - target) / len(target))
    for p, g in zip(parameters, clip(gradients, most)):
        p -= lr * g


def start(rng, hidden=6):
    return [rng.normal(size=(1, hidden)) * 0.5, rng.normal(size=(hidden, hidden)) * 0.4, np.zeros(hidden), rng.normal(size=(hidden, 1)) * 0.5]


def main():
    rng = np.random.default_rng(1)
    parameters = start(rng)
    xs = rng.uniform(-0.5, 0.5, (5, 32, 1))
    target = xs.sum(axis=0)
    for step in range(401):
        out, _ = forward(parameters, xs)
        if step % 100 == 0:
            print(f"step {step:3}: loss {((out - target) ** 2).mean():.5f}")
        train_step(parameters, xs, target)
    a, b = clip([np.full((2, 2), 3.0), np.full(1, 0.1)], 1.0)
    print("two clipped gradients have the lengths", f"{np.sqrt((a**2).sum()):.4f} and {np.sqrt((b**2).sum()):.4f}")


if __name__ == "__main__":
    main()
