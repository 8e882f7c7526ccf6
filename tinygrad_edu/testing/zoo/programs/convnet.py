"""A small convolutional network that tells vertical from horizontal bars: every derivative written by hand, in NumPy."""

import numpy as np


def windows(x, size, stride):
    """All windows of images (n, h, w), as an array (n, rows, columns, size, size)."""
    rows, columns = [(length - size) // stride + 1 for length in x.shape[1:]]
    out = np.empty((len(x), rows, columns, size, size))
    for i in range(rows):
        for j in range(columns):
            out[:, i, j] = x[:, i * stride : i * stride + size, j * stride : j * stride + size]
    return out


def windows_backward(g, shape, stride):
    x = np.zeros(shape)
    size = g.shape[-1]
    for i in range(g.shape[1]):
        for j in range(g.shape[2]):
            x[:, i * stride : i * stride + size, j * stride : j * stride + size] += g[:, i, j]
    return x


def convolve(x, kernels, b, stride):
    """Images (n, h, w) and kernels (k, size, size) give (n, rows, columns, k)."""
    return np.einsum("nijab,kab->nijk", windows(x, kernels.shape[1], stride), kernels) + b


def convolve_backward(g, x, kernels, stride):
    g_windows = np.einsum("nijk,kab->nijab", g, kernels)
    g_kernels = np.einsum("nijk,nijab->kab", g, windows(x, kernels.shape[1], stride))
    return windows_backward(g_windows, x.shape, stride), g_kernels, g.sum(axis=(0, 1, 2))


def max_pool(x):
    """The largest number of each image and channel: (n, rows, columns, k) gives (n, k)."""
    return x.max(axis=(1, 2))


def max_pool_backward(g, x):
    largest = x == x.max(axis=(1, 2), keepdims=True)
    return largest * (g / largest.sum(axis=(1, 2)))[:, None, None]


def average_pool(x):
    return x.mean(axis=(1, 2))


def average_pool_backward(g, x):
    return np.ones_like(x) * g[:, None, None] / (x.shape[1] * x.shape[2])


def batch_norm(x):
    """Each column with mean 0 and variance 1."""
    return (x - x.mean(axis=0)) / np.sqrt(x.var(axis=0) + 1e-5)


def batch_norm_backward(g, x):
    out = batch_norm(x)
    centered = g - g.mean(axis=0) - out * (g * out).mean(axis=0)
    return centered / np.sqrt(x.var(axis=0) + 1e-5)


def forward(parameters, x):
    kernels, b, w = parameters
    maps = np.tanh(convolve(x, kernels, b, stride=1))
    features = np.concatenate([max_pool(maps), average_pool(maps)], axis=1)
    return batch_norm(features) @ w, maps, features


def gradients_of(parameters, x, target):
    """Gradients of the mean squared error."""
    kernels, b, w = parameters
    out, maps, features = forward(parameters, x)
    g = 2 * (out - target) / target.size
    g_w = batch_norm(features).T @ g
    g = batch_norm_backward(g @ w.T, features)
    k = len(kernels)
    g = (max_pool_backward(g[:, :k], maps) + average_pool_backward(g[:, k:], maps)) * (1 - maps**2)
    _, g_kernels, g_b = convolve_backward(g, x, kernels, stride=1)
    return [g_kernels, g_b, g_w]


def bars(rng, n=40):
    x, target = rng.normal(size=(n, 6, 6)) * 0.3, np.where(np.arange(n) % 2, 1.0, -1.0)[:, None]
    for i in range(n):
        if i % 2:
            x[i, :, rng.integers(6)] += 1
        else:
            x[i, rng.integers(6), :] += 1
    return x, target


def main():
    rng = np.random.default_rng(0)
    x, target = bars(rng)
    parameters = [rng.normal(size=(3, 3, 3)) * 0.5, np.zeros(3), rng.normal(size=(6, 1)) * 0.3]
    for step in range(61):
        if step % 20 == 0:
            print(f"step {step:2}: loss {((forward(parameters, x)[0] - target) ** 2).mean():.5f}")
        for p, g in zip(parameters, gradients_of(parameters, x, target)):
            p -= 0.5 * g
    # which picture does a detector like best? climb the gradient of its answer
    picture = np.zeros((1, 6, 6))
    for _ in range(3):
        g = np.ones_like(convolve(picture, parameters[0], parameters[1], stride=1))
        picture += 0.1 * convolve_backward(g, picture, parameters[0], stride=1)[0]
    print("the liked picture, summed up:", round(float(picture.sum()), 4))
    seen = windows_backward(np.ones((1, 2, 2, 2, 2)), (1, 4, 4), stride=2)
    print("how many windows, two apart, see each column:", seen[0].sum(axis=0))
    flat = np.zeros((1, 2, 2, 1))
    print("a pool of four equal numbers passes on:", max_pool_backward(np.ones((1, 1)), flat).sum())


if __name__ == "__main__":
    main()
