"""Window functions, symmetric (sym=True) or one period of a periodic one."""

import numpy as np

from ..api.create import check_device, dtype_of, finished
from ..autograd import dtypes

__all__: list = []


def window(values):
    """Give a function of (places k = 0 … n − 1, n, parameters) PyTorch's arguments."""

    def function(M, *, sym=True, dtype=None, layout=None, device=None, requires_grad=False, **parameters):
        check_device(device)
        if M < 0:
            raise ValueError(f"{values.__name__}: requires a non-negative window length, got {M}")
        n = M if sym else M + 1
        made = np.ones(M) if M <= 1 else values(np.arange(n, dtype=np.float64), n, **parameters)[:M]
        return finished(made.astype(dtypes.default if dtype is None else dtype_of(dtype)), requires_grad)

    function.__name__, function.__doc__, function.__module__ = values.__name__, values.__doc__, __name__
    __all__.append(values.__name__)
    return function


def cosines(k, n, weights):
    """Σ (−1)ʲ · wⱼ · cos(2πjk / (n − 1))"""
    return sum((-1) ** j * w * np.cos(2 * np.pi * j * k / (n - 1)) for j, w in enumerate(weights))


@window
def general_cosine(k, n, a):
    """Σ (−1)ʲ · aⱼ · cos(2πjk / (n − 1))"""
    return cosines(k, n, a)


@window
def general_hamming(k, n, alpha=0.54):
    """α − (1 − α) · cos(2πk / (n − 1))"""
    return cosines(k, n, (alpha, 1 - alpha))


@window
def hamming(k, n):
    """0.54 − 0.46 · cos(2πk / (n − 1))"""
    return cosines(k, n, (0.54, 0.46))


@window
def hann(k, n):
    """½ − ½ · cos(2πk / (n − 1))"""
    return cosines(k, n, (0.5, 0.5))


@window
def blackman(k, n):
    """0.42 − 0.5 · cos(2πk / (n − 1)) + 0.08 · cos(4πk / (n − 1))"""
    return cosines(k, n, (0.42, 0.5, 0.08))


@window
def nuttall(k, n):
    """Four cosines"""
    return cosines(k, n, (0.3635819, 0.4891775, 0.1365995, 0.0106411))


@window
def bartlett(k, n):
    """1 − |2k / (n − 1) − 1|"""
    return 1 - np.abs(2 * k / (n - 1) - 1)


@window
def cosine(k, n):
    """sin(π(k + ½) / n)"""
    return np.sin(np.pi * (k + 0.5) / n)


@window
def gaussian(k, n, std=1.0):
    """exp(−½ ((k − (n − 1)/2) / σ)²)"""
    return np.exp(-0.5 * ((k - (n - 1) / 2) / std) ** 2)


@window
def exponential(k, n, center=None, tau=1.0):
    """exp(−|k − center| / τ)"""
    return np.exp(-np.abs(k - ((n - 1) / 2 if center is None else center)) / tau)


@window
def kaiser(k, n, beta=12.0):
    """I₀(β √(1 − (2k/(n − 1) − 1)²)) / I₀(β)"""
    return np.kaiser(n, beta)
