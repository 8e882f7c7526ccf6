"""Optimizers that scale each element's step by its own past: RMSprop, Adagrad, Adadelta, Rprop, Adafactor; and averaged SGD."""

import numpy as np

from ..autograd.modes import enable_grad, no_grad
from ..autograd.tensor import Tensor
from .optimizer import Elementwise, Optimizer, as_reals, check_flags, check_options, decayed, number, scalar_type


class RMSprop(Elementwise):
    """v ← α·v + (1−α)·g², p ← p − lr · g / (√v + eps); centered divides by √(v − ḡ²), momentum sums the steps up. (Hinton 2012)

    >>> import tinygrad_edu as tg
    >>> x = tg.tensor([1.0], requires_grad=True)
    >>> optimizer = tg.optim.RMSprop([x], lr=0.01)
    >>> (x * x).sum().backward(); optimizer.step(); x
    tensor([0.9000], requires_grad=True)
    """

    def __init__(self, params, lr=1e-2, alpha=0.99, eps=1e-8, weight_decay=0, momentum=0, centered=False, capturable=False,
                 foreach=None, maximize=False, differentiable=False):  # fmt: skip
        check_options("RMSprop", lr=lr, eps=eps, weight_decay=weight_decay, momentum=momentum, alpha=alpha)
        check_flags("RMSprop", differentiable, capturable)
        super().__init__(params, dict(lr=lr, momentum=momentum, alpha=alpha, eps=eps, centered=centered, weight_decay=weight_decay,
                                      capturable=capturable, foreach=foreach, maximize=maximize, differentiable=differentiable))  # fmt: skip

    def arrays(self, group):
        momentum, centered = ["momentum_buffer"] * bool(group["momentum"]), ["grad_avg"] * bool(group["centered"])
        return ["square_avg", *momentum, *centered]

    def constants(self, group, state, n):
        alpha = number(group["alpha"])
        return (alpha, 1 - alpha, number(group["eps"]), number(group["lr"]), number(group["weight_decay"]) or None,
                number(group["momentum"]) or None, group["centered"], group["maximize"])  # fmt: skip

    @staticmethod
    def kernel(c, p, g, v, *rest):
        alpha, rest_of_alpha, eps, lr, decay, momentum, centered, maximize = c
        *buffers, s, q = rest
        g = decayed(p, g, decay, maximize, s, q)
        s = np.multiply(g, g, s)
        s *= rest_of_alpha
        v *= alpha
        v += s
        if centered:
            mean = buffers[-1]
            s = np.subtract(g, mean, s)
            s *= rest_of_alpha
            mean += s
            s = np.multiply(mean, mean, s)
            s = np.subtract(v, s, s)
            s = np.sqrt(s, s)
        else:
            s = np.sqrt(v, s)
        s += eps
        s = np.divide(g, s, s)
        if momentum is not None:
            buffers[0] *= momentum
            buffers[0] += s
            s = np.multiply(buffers[0], lr, s)
        else:
            s *= lr
        p -= s


class Adagrad(Elementwise):
    """v ← v + g², p ← p − lr/(1 + (t−1)·lr_decay) · g / (√v + eps). (Duchi, Hazan and Singer 2011)

    >>> import tinygrad_edu as tg
    >>> x = tg.tensor([1.0], requires_grad=True)
    >>> optimizer = tg.optim.Adagrad([x], lr=0.1)
    >>> (x * x).sum().backward(); optimizer.step(); x
    tensor([0.9000], requires_grad=True)
    """

    def __init__(self, params, lr=1e-2, lr_decay=0, weight_decay=0, initial_accumulator_value=0, eps=1e-10, foreach=None, *,
                 maximize=False, differentiable=False, fused=None):  # fmt: skip
        check_options("Adagrad", lr=lr, lr_decay=lr_decay, weight_decay=weight_decay, eps=eps,
                      initial_accumulator_value=initial_accumulator_value)  # fmt: skip
        check_flags("Adagrad", differentiable)
        super().__init__(params, dict(lr=lr, lr_decay=lr_decay, eps=eps, weight_decay=weight_decay,
                                      initial_accumulator_value=initial_accumulator_value, foreach=foreach, maximize=maximize,
                                      differentiable=differentiable, fused=fused))  # fmt: skip
        for group in self.param_groups:
            for p in group["params"]:
                self.begin(self.state[p], as_reals(np.asarray(p.array)), group)

    def begin(self, state, p, group):
        state["step"] = Tensor(scalar_type().type(0), None)
        state["sum"] = Tensor(np.full_like(p, group["initial_accumulator_value"]), None)

    def arrays(self, group):
        return ("sum",)

    def constants(self, group, state, n):
        return (number(group["lr"]) / (1 + (n - 1) * number(group["lr_decay"])), number(group["eps"]),
                number(group["weight_decay"]) or None, group["maximize"])  # fmt: skip

    @staticmethod
    def kernel(c, p, g, v, s, q):
        rate, eps, decay, maximize = c
        g = decayed(p, g, decay, maximize, s, q)
        s = np.multiply(g, g, s)
        v += s
        s = np.sqrt(v, s)
        s += eps
        s = np.divide(g, s, s)
        s *= rate
        p -= s

    def share_memory(self):
        """Nothing to do: threads share all memory."""


class Adadelta(Elementwise):
    """v ← ρ·v + (1−ρ)·g², Δ = √(u + eps)/√(v + eps) · g, u ← ρ·u + (1−ρ)·Δ², p ← p − lr · Δ. (Zeiler 2012)

    >>> import tinygrad_edu as tg
    >>> x = tg.tensor([1.0], requires_grad=True)
    >>> optimizer = tg.optim.Adadelta([x])
    >>> (x * x).sum().backward(); optimizer.step(); bool(x < 1)
    True
    """

    def __init__(self, params, lr=1.0, rho=0.9, eps=1e-6, weight_decay=0, foreach=None, *, capturable=False, maximize=False,
                 differentiable=False):  # fmt: skip
        check_options("Adadelta", lr=lr, eps=eps, weight_decay=weight_decay)
        check_flags("Adadelta", differentiable, capturable)
        if not 0 <= rho <= 1:
            raise ValueError(f"Adadelta: rho must be between 0 and 1, got {rho}")
        super().__init__(params, dict(lr=lr, rho=rho, eps=eps, weight_decay=weight_decay, maximize=maximize, capturable=capturable,
                                      foreach=foreach, differentiable=differentiable))  # fmt: skip

    def arrays(self, group):
        return "square_avg", "acc_delta"

    def constants(self, group, state, n):
        rho = number(group["rho"])
        return (rho, 1 - rho, number(group["eps"]), number(group["lr"]), number(group["weight_decay"]) or None, group["maximize"])

    @staticmethod
    def kernel(c, p, g, v, u, s, q):
        rho, rest, eps, lr, decay, maximize = c
        g = decayed(p, g, decay, maximize, s, q)
        s = np.multiply(g, g, s)
        s *= rest
        v *= rho
        v += s
        s = np.add(v, eps, s)
        s = np.sqrt(s, s)
        s = np.divide(g, s, s)
        q = np.add(u, eps, q)
        q = np.sqrt(q, q)
        q *= s
        s = np.multiply(q, q, s)
        s *= rest
        u *= rho
        u += s
        q *= lr
        p -= q


class Rprop(Elementwise):
    """Step sizes that grow while the gradient keeps its sign and shrink when it turns; the gradient's size is not used.

    On a turn the element rests for one step. (Riedmiller and Braun 1993)

    >>> import tinygrad_edu as tg
    >>> x = tg.tensor([1.0], requires_grad=True)
    >>> optimizer = tg.optim.Rprop([x], lr=0.1)
    >>> (x * x).sum().backward(); optimizer.step(); x
    tensor([0.9000], requires_grad=True)
    """

    def __init__(self, params, lr=1e-2, etas=(0.5, 1.2), step_sizes=(1e-6, 50), *, capturable=False, foreach=None, maximize=False,
                 differentiable=False):  # fmt: skip
        check_options("Rprop", lr=lr)
        check_flags("Rprop", differentiable, capturable)
        if not 0 < etas[0] < 1 < etas[1]:
            raise ValueError(f"Rprop: etas must be a factor below 1 and one above 1, got {etas}")
        super().__init__(params, dict(lr=lr, etas=etas, step_sizes=step_sizes, foreach=foreach, maximize=maximize,
                                      differentiable=differentiable, capturable=capturable))  # fmt: skip

    def begin(self, state, p, group):
        state["step"] = Tensor(scalar_type().type(0), None)
        state["prev"] = Tensor(np.zeros_like(p), None)
        state["step_size"] = Tensor(np.full_like(p, number(group["lr"])), None)

    def arrays(self, group):
        return "prev", "step_size"

    def constants(self, group, state, n):
        return *map(float, group["etas"]), *map(float, group["step_sizes"]), group["maximize"]

    @staticmethod
    def kernel(c, p, g, before, size, s, q):
        shrink, grow, smallest, largest, maximize = c
        if maximize:
            g = q = np.negative(g, q)
        turn = np.sign(g * before)
        size *= np.where(turn > 0, grow, np.where(turn < 0, shrink, np.ones_like(shrink)))
        np.clip(size, smallest, largest, out=size)
        before[...] = np.where(turn < 0, np.zeros_like(shrink), g)
        p -= np.sign(before) * size


class ASGD(Elementwise):
    """SGD with decay whose iterates are averaged in state[p]["ax"] from step t0 on. (Polyak and Juditsky 1992)

    p ← p · (1 − λ·η) − η·g, where η = lr / (1 + λ · lr · t)^α.

    >>> import tinygrad_edu as tg
    >>> x = tg.tensor([1.0], requires_grad=True)
    >>> optimizer = tg.optim.ASGD([x], lr=0.1, lambd=0.0)
    >>> (x * x).sum().backward(); optimizer.step(); x
    tensor([0.8000], requires_grad=True)
    """

    shared_constants = False

    def __init__(self, params, lr=1e-2, lambd=1e-4, alpha=0.75, t0=1e6, weight_decay=0, foreach=None, maximize=False,
                 differentiable=False, capturable=False):  # fmt: skip
        check_options("ASGD", lr=lr, weight_decay=weight_decay)
        check_flags("ASGD", differentiable, capturable)
        super().__init__(params, dict(lr=lr, lambd=lambd, alpha=alpha, t0=t0, weight_decay=weight_decay, foreach=foreach,
                                      maximize=maximize, differentiable=differentiable, capturable=capturable))  # fmt: skip

    def begin(self, state, p, group):
        kind = scalar_type().type
        state.update(step=Tensor(kind(0), None), eta=Tensor(kind(number(group["lr"])), None), mu=Tensor(kind(1), None), ax=Tensor(np.zeros_like(p), None))

    def arrays(self, group):
        return ("ax",)

    def constants(self, group, state, n):
        eta, mu = float(state["eta"].array), float(state["mu"].array)
        lr, lambd, kind = number(group["lr"]), number(group["lambd"]), state["eta"].dtype.type
        state["eta"].array = kind(lr / (1 + lambd * lr * n) ** group["alpha"])
        state["mu"].array = kind(1 / max(1, n - group["t0"]))
        return (float(1 - lambd * eta), float(eta), float(mu) if mu != 1 else None, number(group["weight_decay"]) or None,
                group["maximize"])  # fmt: skip

    @staticmethod
    def kernel(c, p, g, average, s, q):
        shrink, eta, mu, decay, maximize = c
        g = decayed(p, g, decay, maximize, s, q)
        p *= shrink
        p -= np.multiply(g, eta, s)
        if mu is None:
            average[...] = p
        else:
            s = np.subtract(p, average, s)
            s *= mu
            average += s


class Adafactor(Optimizer):
    """As Adam without momentum, but a matrix keeps only the means of its rows' and columns' squared gradients. (Shazeer, Stern 2018)

    >>> import tinygrad_edu as tg
    >>> w = tg.ones(2, 2).requires_grad_()
    >>> optimizer = tg.optim.Adafactor([w], lr=0.1)
    >>> (w * w).sum().backward(); optimizer.step(); w[0].detach()
    tensor([0.9000, 0.9000])
    """

    def __init__(self, params, lr=1e-2, beta2_decay=-0.8, eps=(None, 1e-3), d=1.0, weight_decay=0.0, *, foreach=None, maximize=False):
        check_options("Adafactor", lr=lr, weight_decay=weight_decay)
        if beta2_decay > 0 or d < 1:
            raise ValueError(f"Adafactor: beta2_decay={beta2_decay} must not be positive, and d={d} must be at least 1")
        super().__init__(params, dict(lr=lr, beta2_decay=beta2_decay, eps=eps, d=d, weight_decay=weight_decay, foreach=foreach,
                                      maximize=maximize))  # fmt: skip

    @no_grad()
    def step(self, closure=None):
        """One step; `closure`, if given, computes the loss anew."""
        loss = None
        if closure is not None:
            with enable_grad():
                loss = closure()
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    self.update(p, group, self.state[p])
        return loss

    def update(self, p, group, state):
        """One parameter's step."""
        g = -p.grad.array if group["maximize"] else p.grad.array
        if not state:
            state["step"] = Tensor(np.zeros((), scalar_type()), None)
            for name, shape in dict(row_var=(*g.shape[:-1], 1), col_var=(*g.shape[:-2], 1, *g.shape[-1:])).items() if g.ndim > 1 else ():
                state[name] = Tensor(np.zeros(shape, g.dtype), None)
            if g.ndim <= 1:
                state["variance"] = Tensor(np.zeros_like(g), None)
        state["step"] += 1
        step, (eps1, eps2), lr = float(state["step"]), group["eps"], number(group["lr"])
        eps1 = float(np.finfo(p.dtype).eps) if eps1 is None else eps1
        new = step ** group["beta2_decay"]
        alpha = max(eps2, np.linalg.norm(p.array) / p.array.size**0.5) * min(lr, step**-0.5)
        if group["weight_decay"]:
            p.mul_(1 - lr * group["weight_decay"])
        squared = g * g
        if g.ndim > 1:
            for name, axis in (("row_var", -1), ("col_var", -2)):
                mean = state[name].array
                mean += new * (squared.mean(axis, keepdims=True) - mean)
            rows = state["row_var"].array
            estimate = rows @ state["col_var"].array / np.maximum(rows.mean(-2, keepdims=True), eps1)
        else:
            estimate = state["variance"].array
            estimate += new * (squared - estimate)
        update = g / np.sqrt(np.maximum(estimate, eps1 * eps1))
        size = np.linalg.norm(update) / (update.size**0.5 * group["d"])
        p.add_(Tensor(update, None), alpha=-alpha / max(1.0, float(size)))
