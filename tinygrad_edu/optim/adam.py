"""Adam and its family: steps scaled by running averages of the gradient and of its square."""

import numpy as np

from ..autograd.tensor import Tensor
from .optimizer import Elementwise, check_betas, check_flags, check_options, decayed, number, scalar_type


def averages(g, m, v, beta, rest, beta2, rest2, s):
    """m ← m + (1 − β₁)(g − m) and v ← β₂·v + (1 − β₂)·g², in place; returns the scratch it used."""
    s = np.subtract(g, m, s)
    s *= rest
    m += s
    s = np.multiply(g, g, s)
    s *= rest2
    v *= beta2
    v += s
    return s


class Adam(Elementwise):
    """m ← β₁·m + (1−β₁)·g, v ← β₂·v + (1−β₂)·g², p ← p − lr · m̂ / (√v̂ + eps), where m̂ = m/(1−β₁ᵗ) and v̂ = v/(1−β₂ᵗ).

    amsgrad divides by the largest √v̂ so far. decoupled_weight_decay shrinks p by lr · weight_decay instead of adding
    weight_decay · p to the gradient. (Kingma and Ba 2015; Reddi, Kale and Kumar 2018)

    >>> import tinygrad_edu as tg
    >>> x = tg.tensor([1.0], requires_grad=True)
    >>> optimizer = tg.optim.Adam([x], lr=0.1)
    >>> (x * x).sum().backward(); optimizer.step(); x
    tensor([0.9000], requires_grad=True)
    """

    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0, amsgrad=False, *, foreach=None, maximize=False,
                 capturable=False, differentiable=False, fused=None, decoupled_weight_decay=False):  # fmt: skip
        check_options(type(self).__name__, lr=lr, eps=eps, weight_decay=weight_decay)
        check_betas(type(self).__name__, betas)
        check_flags(type(self).__name__, differentiable, capturable)
        super().__init__(params, dict(lr=lr, betas=betas, eps=eps, weight_decay=weight_decay, amsgrad=amsgrad, maximize=maximize,
                                      foreach=foreach, capturable=capturable, differentiable=differentiable, fused=fused,
                                      decoupled_weight_decay=decoupled_weight_decay))  # fmt: skip

    def arrays(self, group):
        return ("exp_avg", "exp_avg_sq", "max_exp_avg_sq") if group["amsgrad"] else ("exp_avg", "exp_avg_sq")

    def constants(self, group, state, n):
        beta, beta2 = map(number, group["betas"])
        lr, decay = number(group["lr"]), number(group["weight_decay"])
        root = (1 - beta2**n) ** 0.5  # √v̂ + eps = (√v + eps·root) / root
        apart = group["decoupled_weight_decay"]
        return (beta, 1 - beta, beta2, 1 - beta2, number(group["eps"]) * root, lr * root / (1 - beta**n),
                decay if decay and not apart else None, 1 - lr * decay if decay and apart else None, group["maximize"])  # fmt: skip

    @staticmethod
    def kernel(c, p, g, m, v, *rest):
        beta, rest1, beta2, rest2, eps, rate, decay, shrink, maximize = c
        *largest, s, q = rest
        g = decayed(p, g, decay, maximize, s, q)
        if shrink is not None:
            p *= shrink
        s = averages(g, m, v, beta, rest1, beta2, rest2, s)
        if largest:
            v = np.maximum(largest[0], v, out=largest[0])
        s = np.sqrt(v, s)
        s += eps
        s = np.divide(m, s, s)
        s *= rate
        p -= s


class AdamW(Adam):
    """Adam with decoupled weight decay: p ← p · (1 − lr · weight_decay) before each step. (Loshchilov and Hutter 2019)

    >>> import tinygrad_edu as tg
    >>> x = tg.tensor([1.0], requires_grad=True)
    >>> optimizer = tg.optim.AdamW([x], lr=0.1, weight_decay=0.5)
    >>> (x * x).sum().backward(); optimizer.step(); x
    tensor([0.8500], requires_grad=True)
    """

    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=1e-2, amsgrad=False, *, maximize=False,
                 foreach=None, capturable=False, differentiable=False, fused=None):  # fmt: skip
        super().__init__(params, lr, betas, eps, weight_decay, amsgrad, foreach=foreach, maximize=maximize, capturable=capturable,
                         differentiable=differentiable, fused=fused, decoupled_weight_decay=True)  # fmt: skip


class NAdam(Elementwise):
    """Adam with Nesterov's momentum: p ← p − lr · (μₜ₊₁·m/(1−∏μ·μₜ₊₁) + (1−μₜ)·g/(1−∏μ)) / (√v̂ + eps).

    μₜ = β₁ · (1 − 0.96^(t · momentum_decay) / 2), and ∏μ is the product of all μ so far. (Dozat 2016)

    >>> import tinygrad_edu as tg
    >>> x = tg.tensor([1.0], requires_grad=True)
    >>> optimizer = tg.optim.NAdam([x], lr=0.1)
    >>> (x * x).sum().backward(); optimizer.step(); bool(x < 1)
    True
    """

    shared_constants = False

    def __init__(self, params, lr=2e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0, momentum_decay=4e-3,
                 decoupled_weight_decay=False, *, foreach=None, maximize=False, capturable=False, differentiable=False):  # fmt: skip
        check_options("NAdam", lr=lr, eps=eps, weight_decay=weight_decay, momentum_decay=momentum_decay)
        check_betas("NAdam", betas)
        check_flags("NAdam", differentiable, capturable)
        super().__init__(params, dict(lr=lr, betas=betas, eps=eps, weight_decay=weight_decay, momentum_decay=momentum_decay,
                                      decoupled_weight_decay=decoupled_weight_decay, maximize=maximize, foreach=foreach,
                                      capturable=capturable, differentiable=differentiable))  # fmt: skip

    def begin(self, state, p, group):
        state["step"] = Tensor(scalar_type().type(0), None)
        state["mu_product"] = Tensor(scalar_type().type(1), None)
        for name in self.arrays(group):
            state[name] = Tensor(np.zeros_like(p), None)

    def arrays(self, group):
        return "exp_avg", "exp_avg_sq"

    def constants(self, group, state, n):
        beta, beta2 = map(number, group["betas"])
        lr, decay = number(group["lr"]), number(group["weight_decay"])
        mu, following = (beta * (1 - 0.5 * 0.96 ** (i * group["momentum_decay"])) for i in (n, n + 1))
        product = state["mu_product"]
        product.array = product.array * mu
        so_far = float(product.array)
        apart = group["decoupled_weight_decay"]
        return (beta, 1 - beta, beta2, 1 - beta2, number(group["eps"]), (1 - beta2**n) ** 0.5, lr * (1 - mu) / (1 - so_far),
                lr * following / (1 - so_far * following), decay if decay and not apart else None,
                1 - lr * decay if decay and apart else None, group["maximize"])  # fmt: skip

    @staticmethod
    def kernel(c, p, g, m, v, s, q):
        beta, rest, beta2, rest2, eps, root, rate, rate_of_m, decay, shrink, maximize = c
        g = decayed(p, g, decay, maximize, s, q)
        if shrink is not None:
            p *= shrink
        s = averages(g, m, v, beta, rest, beta2, rest2, s)
        q = np.multiply(g, rate, q)
        q += np.multiply(m, rate_of_m, s)
        s = np.sqrt(v, s)
        s /= root
        s += eps
        q /= s
        p -= q


class RAdam(Elementwise):
    """Adam whose adaptive scale waits until its variance is small: before ρₜ > 5, p ← p − lr · m̂. (Liu and others 2020)

    >>> import tinygrad_edu as tg
    >>> x = tg.tensor([1.0], requires_grad=True)
    >>> optimizer = tg.optim.RAdam([x], lr=0.1)
    >>> (x * x).sum().backward(); optimizer.step(); x
    tensor([0.8000], requires_grad=True)
    """

    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0, decoupled_weight_decay=False, *, foreach=None,
                 maximize=False, capturable=False, differentiable=False):  # fmt: skip
        check_options("RAdam", lr=lr, eps=eps, weight_decay=weight_decay)
        check_betas("RAdam", betas)
        check_flags("RAdam", differentiable, capturable)
        super().__init__(params, dict(lr=lr, betas=betas, eps=eps, weight_decay=weight_decay, maximize=maximize, foreach=foreach,
                                      capturable=capturable, decoupled_weight_decay=decoupled_weight_decay,
                                      differentiable=differentiable))  # fmt: skip

    def arrays(self, group):
        return "exp_avg", "exp_avg_sq"

    def constants(self, group, state, n):
        beta, beta2 = map(number, group["betas"])
        lr, decay = number(group["lr"]), number(group["weight_decay"])
        correction = 1 - beta2**n
        longest = 2 / (1 - beta2) - 1
        length = longest - 2 * n * beta2**n / correction
        rate, adaptive = lr / (1 - beta**n), length > 5
        if adaptive:
            rate *= ((length - 4) * (length - 2) * longest / ((longest - 4) * (longest - 2) * length)) ** 0.5 * correction**0.5
        apart = group["decoupled_weight_decay"]
        return (beta, 1 - beta, beta2, 1 - beta2, number(group["eps"]), rate, decay if decay and not apart else None,
                1 - lr * decay if decay and apart else None, adaptive, group["maximize"])  # fmt: skip

    @staticmethod
    def kernel(c, p, g, m, v, s, q):
        beta, rest, beta2, rest2, eps, rate, decay, shrink, adaptive, maximize = c
        g = decayed(p, g, decay, maximize, s, q)
        if shrink is not None:
            p *= shrink
        s = averages(g, m, v, beta, rest, beta2, rest2, s)
        if adaptive:
            s = np.sqrt(v, s)
            s += eps
            s = np.divide(m, s, s)
            s *= rate
        else:
            s = np.multiply(m, rate, s)
        p -= s


class Adamax(Elementwise):
    """m ← β₁·m + (1−β₁)·g, u ← max(β₂·u, |g| + eps), p ← p − lr/(1−β₁ᵗ) · m/u. (Kingma and Ba 2015)

    >>> import tinygrad_edu as tg
    >>> x = tg.tensor([1.0], requires_grad=True)
    >>> optimizer = tg.optim.Adamax([x], lr=0.1)
    >>> (x * x).sum().backward(); optimizer.step(); x
    tensor([0.9000], requires_grad=True)
    """

    def __init__(self, params, lr=2e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0, foreach=None, *, maximize=False,
                 differentiable=False, capturable=False):  # fmt: skip
        check_options("Adamax", lr=lr, eps=eps, weight_decay=weight_decay)
        check_betas("Adamax", betas)
        check_flags("Adamax", differentiable, capturable)
        super().__init__(params, dict(lr=lr, betas=betas, eps=eps, weight_decay=weight_decay, foreach=foreach, maximize=maximize,
                                      differentiable=differentiable, capturable=capturable))  # fmt: skip

    def arrays(self, group):
        return "exp_avg", "exp_inf"

    def constants(self, group, state, n):
        beta, beta2 = map(number, group["betas"])
        return (1 - beta, beta2, number(group["eps"]), number(group["lr"]) / (1 - beta**n), number(group["weight_decay"]) or None,
                group["maximize"])  # fmt: skip

    @staticmethod
    def kernel(c, p, g, m, u, s, q):
        rest, beta2, eps, rate, decay, maximize = c
        g = decayed(p, g, decay, maximize, s, q)
        s = np.subtract(g, m, s)
        s *= rest
        m += s
        s = np.abs(g, s)
        s += eps
        u *= beta2
        np.maximum(u, s, out=u)
        s = np.divide(m, u, s)
        s *= rate
        p -= s
