"""One block of a transformer that learns to say what came before: every derivative written by hand, in NumPy."""

import numpy as np


def embed(table, tokens):
    return table[tokens]


def embed_backward(g, table, tokens):
    out = np.zeros_like(table)
    np.add.at(out, tokens, g)
    return out


def layer_norm(x):
    """Each row with mean 0 and variance 1."""
    return (x - x.mean(axis=-1, keepdims=True)) / np.sqrt(x.var(axis=-1, keepdims=True) + 1e-5)


def layer_norm_backward(g, x):
    out = layer_norm(x)
    g = g - g.mean(axis=-1, keepdims=True) - out * (g * out).mean(axis=-1, keepdims=True)
    return g / np.sqrt(x.var(axis=-1, keepdims=True) + 1e-5)


def softmax(z):
    powers = np.exp(z - z.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def softmax_backward(g, z):
    p = softmax(z)
    return p * (g - (g * p).sum(axis=-1, keepdims=True))


def scores(q, k):
    """How well each query fits each key, scaled; the future is out of sight."""
    z = q @ k.swapaxes(-1, -2) / np.sqrt(q.shape[-1])
    return np.where(np.tri(z.shape[-1], dtype=bool), z, -1e9)


def scores_backward(g, q, k):
    g = np.where(np.tri(g.shape[-1], dtype=bool), g, 0) / np.sqrt(q.shape[-1])
    return g @ k, g.swapaxes(-1, -2) @ q


def gelu(x):
    """x times the probability that a normal number is below x, by tanh."""
    return 0.5 * x * (1 + np.tanh(0.7978845608 * (x + 0.044715 * x**3)))


def gelu_backward(g, x):
    t = np.tanh(0.7978845608 * (x + 0.044715 * x**3))
    inner = 0.7978845608 * (1 + 3 * 0.044715 * x**2)
    return g * (0.5 * (1 + t) + 0.5 * x * (1 - t**2) * inner)


def block(x, w_q, w_k, w_v, w_up, w_down):
    """Attention, then a little network on each place; both are added to what came in."""
    n = layer_norm(x)
    x = x + softmax(scores(n @ w_q, n @ w_k)) @ (n @ w_v)
    return x + gelu(layer_norm(x) @ w_up) @ w_down


def block_backward(g, x, w_q, w_k, w_v, w_up, w_down):
    n = layer_norm(x)
    q, k, v = n @ w_q, n @ w_k, n @ w_v
    z = scores(q, k)
    middle = x + softmax(z) @ v
    normed = layer_norm(middle)
    a = normed @ w_up
    g_w_down = over_batch(gelu(a), g)
    g_a = gelu_backward(g @ w_down.T, a)
    g_w_up = over_batch(normed, g_a)
    g = g + layer_norm_backward(g_a @ w_up.T, middle)
    g_q, g_k = scores_backward(softmax_backward(g @ v.swapaxes(-1, -2), z), q, k)
    g_v = softmax(z).swapaxes(-1, -2) @ g
    g_n = g_q @ w_q.T + g_k @ w_k.T + g_v @ w_v.T
    g = g + layer_norm_backward(g_n, x)
    return g, over_batch(n, g_q), over_batch(n, g_k), over_batch(n, g_v), g_w_up, g_w_down


def over_batch(x, g):
    """The gradient of w in x @ w, summed over batch and places."""
    return x.reshape(-1, x.shape[-1]).T @ g.reshape(-1, g.shape[-1])


def loss_and_gradients(parameters, tokens, wanted):
    """The cross-entropy of saying `wanted`, and the gradients of table, place, block and readout."""
    table, place, *weights, readout = parameters
    x = embed(table, tokens) + place
    out = block(x, *weights)
    z = out @ readout
    p = softmax(z)
    rows = np.arange(wanted.size)
    loss = -np.log(p.reshape(-1, p.shape[-1])[rows, wanted.reshape(-1)]).mean()
    g = p.copy()
    g.reshape(-1, p.shape[-1])[rows, wanted.reshape(-1)] -= 1
    g /= wanted.size
    g_readout = over_batch(out, g)
    g, *g_weights = block_backward(g @ readout.T, x, *weights)
    return loss, [embed_backward(g, table, tokens), g.sum(axis=0), *g_weights, g_readout]


def start(rng, words=5, places=6, width=8):
    shapes = [(words, width), (places, width), *[(width, width)] * 3, (width, 16), (16, width), (width, words)]
    return [rng.normal(size=shape) * 0.4 for shape in shapes]


def main():
    rng = np.random.default_rng(0)
    parameters = start(rng)
    tokens = rng.integers(0, 5, (16, 6))
    wanted = np.concatenate([tokens[:, :1], tokens[:, :-1]], axis=1)
    velocity = [np.zeros_like(p) for p in parameters]
    for step in range(121):
        loss, gradients = loss_and_gradients(parameters, tokens, wanted)
        for p, v, g in zip(parameters, velocity, gradients):
            v *= 0.9
            v += g
            p -= 0.1 * v
        if step % 40 == 0:
            print(f"step {step:3}: loss {loss:.6f}")
    print("how often each word was heard:", embed_backward(np.ones((16, 6, 1)), np.zeros((5, 1)), tokens).reshape(-1))
    print("gelu, its slope at 1:", round(float(gelu_backward(1.0, np.array(1.0))), 4))


if __name__ == "__main__":
    main()
