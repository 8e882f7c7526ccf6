"""Recurrent networks over a whole sequence: one operator each, its rule back propagation through time.

Each operator takes the projected inputs of all time steps, (T, B, gates · H), so that all inputs go through one matrix product,
and loops over time for what depends on the step before. Rules recompute the gates for all steps at once from the states.
"""

import numpy as np

from ..autograd.operator import general
from .activations import sigmoid


def earlier(first, states):
    """The state before each step: `first`, and all but the last of `states`."""
    return np.concatenate([first.reshape((1, *first.shape)), states[:-1]])


def rows(x):
    """All time steps and the batch as one axis."""
    return x.reshape((-1, x.shape[-1]))


def recurrent(states, weight):
    """state @ weightᵀ for all steps at once."""
    return (rows(states) @ weight.swapaxes(0, 1)).reshape((*states.shape[:-1], weight.shape[0]))


def rnn_rule(g, h, weight, out, needs, activation):
    """Through time: z gets (g + what flows back from the next step) · slope."""
    slope = 1 - out * out if activation == "tanh" else out > 0
    steps, flow = [], None
    for t in range(len(g) - 1, -1, -1):
        flow = (g[t] if flow is None else g[t] + flow @ weight) * slope[t]
        steps.append(flow)
    steps = np.stack(steps[::-1])
    return steps, flow @ weight, rows(steps).swapaxes(0, 1) @ rows(earlier(h, out)) if needs[2] else None


@general(
    symbol="rnn",
    samples=[((3, 2, 2), (2, 2), (2, 2), dict(activation="tanh"))],
    promote=("x", "h", "weight"),
    floats=True,
    together=rnn_rule,
)
def rnn_sequence(x, h, weight, *, activation="tanh"):
    """hₜ = tanh(xₜ + hₜ₋₁ @ weightᵀ), shapes (T, B, H), (B, H), (H, H) → (T, B, H); activation "relu" for max(·, 0)"""
    out, turned = np.empty_like(x), weight.T.copy() if len(x) > 1 else weight.T  # its products are quicker in this order
    for t, z in enumerate(x):
        z = h.dot(turned) + z
        h = np.tanh(z, out[t]) if activation == "tanh" else np.maximum(z, 0, out=out[t])
    return out


def lstm_gates(z):
    """σ for input, forget and output gate and tanh for the candidate, in one pass: σ(z) = tanh(z/2)/2 + 1/2."""
    n = z.shape[-1] // 4
    scale = np.full(4 * n, 0.5, z.dtype)
    shift = scale.copy()
    scale[2 * n : 3 * n], shift[2 * n : 3 * n] = 1, 0
    return np.tanh(z * scale) * scale + shift


def lstm_rule(g, x, h, c, weight, out, needs):
    """Through time, with the factors of all steps computed at once before: only what flows back is a loop."""
    n = c.shape[-1]
    h_before = earlier(h, out[..., :n])
    c_before = earlier(c, out[..., n:])
    gates = lstm_gates(x + recurrent(h_before, weight))
    i, f, u, o = (gates[..., k * n : (k + 1) * n] for k in range(4))
    top = np.tanh(out[..., n:])
    factors = np.concatenate([u * (i * (1 - i)), c_before * (f * (1 - f)), i * (1 - u * u), top * (o * (1 - o))], axis=-1)
    to_cell = o * (1 - top * top)
    steps, dh, dc = [], g[-1][:, :n], g[-1][:, n:]
    for t in range(len(g) - 1, -1, -1):
        dc = dc + dh * to_cell[t]
        z = np.concatenate([dc, dc, dc, dh], axis=-1) * factors[t]
        steps.append(z)
        dh, dc = z @ weight, dc * f[t]
        if t:
            dh, dc = dh + g[t - 1][:, :n], dc + g[t - 1][:, n:]
    steps = np.stack(steps[::-1])
    return steps, dh, dc, rows(steps).swapaxes(0, 1) @ rows(h_before) if needs[3] else None


@general(
    symbol="lstm",
    samples=[((3, 2, 8), (2, 2), (2, 2), (8, 2))],
    promote=("x", "h", "c", "weight"),
    floats=True,
    together=lstm_rule,
)
def lstm_sequence(x, h, c, weight):
    """cₜ = σ(f) · cₜ₋₁ + σ(i) · tanh(u), hₜ = σ(o) · tanh(cₜ), [i, f, u, o] = xₜ + hₜ₋₁ @ weightᵀ; (T, B, 4H) → (T, B, [h, c])"""
    n, turned = c.shape[-1], weight.T.copy() if len(x) > 1 else weight.T  # its products are quicker in this order
    out = np.empty_like(x, shape=(*x.shape[:2], 2 * n))
    for t, z in enumerate(x):
        gates = lstm_gates(h.dot(turned) + z)
        c = gates[:, n : 2 * n] * c + gates[:, :n] * gates[:, 2 * n : 3 * n]
        h = gates[:, 3 * n :] * np.tanh(c)
        out[t, :, :n], out[t, :, n:] = h, c
    return out


def gru_rule(g, x, h, weight, bias, out, needs):
    """Through time, with the factors of all steps computed at once before: only what flows back is a loop."""
    n = h.shape[-1]
    before = earlier(h, out)
    inner = recurrent(before, weight)
    if bias is not None:
        inner = inner + bias
    gates = sigmoid(x[..., : 2 * n] + inner[..., : 2 * n])
    r, z = gates[..., :n], gates[..., n:]
    new = np.tanh(x[..., 2 * n :] + r * inner[..., 2 * n :])
    to_new = (1 - z) * (1 - new * new)
    to_reset = to_new * inner[..., 2 * n :] * (r * (1 - r))
    to_update = (before - new) * (z * (1 - z))
    outer_factors = np.concatenate([to_reset, to_update, to_new], axis=-1)
    inner_factors = np.concatenate([to_reset, to_update, to_new * r], axis=-1)
    flows, steps, flow = [], [], g[-1]
    for t in range(len(g) - 1, -1, -1):
        wide = np.concatenate([flow, flow, flow], axis=-1)
        flows.append(wide)
        step = wide * inner_factors[t]
        steps.append(step)
        flow = flow * z[t] + step @ weight
        if t:
            flow = flow + g[t - 1]
    steps = np.stack(steps[::-1])
    weight_gradient = rows(steps).swapaxes(0, 1) @ rows(before) if needs[2] else None
    return np.stack(flows[::-1]) * outer_factors, flow, weight_gradient, rows(steps).sum(axis=0)


@general(
    symbol="gru",
    samples=[((3, 2, 6), (2, 2), (6, 2), (6,)), ((2, 2, 6), (2, 2), (6, 2))],
    promote=("x", "h", "weight", "bias"),
    floats=True,
    together=gru_rule,
)
def gru_sequence(x, h, weight, bias=None):
    """hₜ = (1 − z) · n + z · hₜ₋₁, [r, z] = σ(x + p), n = tanh(x + r · p), p = hₜ₋₁ @ weightᵀ + bias; (T, B, 3H) → (T, B, H)"""
    n, turned = h.shape[-1], weight.T.copy() if len(x) > 1 else weight.T  # its products are quicker in this order
    out = np.empty_like(x, shape=(*x.shape[:2], n))
    for t, z in enumerate(x):
        inner = h.dot(turned)
        if bias is not None:
            inner = inner + bias
        gates = sigmoid(z[:, : 2 * n] + inner[:, : 2 * n])
        new = np.tanh(z[:, 2 * n :] + gates[:, :n] * inner[:, 2 * n :])
        h = new + gates[:, n:] * (h - new)
        out[t] = h
    return out
