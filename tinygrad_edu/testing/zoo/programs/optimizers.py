"""Four optimizers, written as the formulas say, and a narrow valley that they go down."""

import tinygrad_edu as tg


class Optimizer:
    """Parameter groups with options, a state per parameter, and a step that calls `update` for each parameter."""

    def __init__(self, params, **options):
        params = list(params)
        groups = params if isinstance(params[0], dict) else [dict(params=params)]
        self.param_groups = [{**options, **group} for group in groups]
        self.state = {}

    def zero_grad(self):
        for group in self.param_groups:
            for p in group["params"]:
                p.grad = None

    def step(self, closure=None):
        loss = closure() if closure else None
        with tg.no_grad():
            for group in self.param_groups:
                for p in group["params"]:
                    if p.grad is not None:
                        state = self.state.setdefault(p, {})
                        self.update(p, p.grad, state, group)
        return loss

    def parameters(self):
        return [p for group in self.param_groups for p in group["params"]]

    def state_dict(self):
        groups = [{k: v for k, v in group.items() if k != "params"} for group in self.param_groups]
        state = {i: copied(self.state[p]) for i, p in enumerate(self.parameters()) if p in self.state}
        return dict(groups=groups, state=state)

    def load_state_dict(self, saved):
        for group, options in zip(self.param_groups, saved["groups"]):
            group.update(options)
        self.state = {p: copied(saved["state"][i]) for i, p in enumerate(self.parameters()) if i in saved["state"]}


def copied(state):
    return {k: v.clone() if isinstance(v, tg.Tensor) else v for k, v in state.items()}


class Momentum(Optimizer):
    """v = momentum * v + g;  p = p - lr * v"""

    def __init__(self, params, lr=0.01, momentum=0.9):
        super().__init__(params, lr=lr, momentum=momentum)

    def update(self, p, g, state, group):
        if "v" not in state:
            state["v"] = g.clone()
        else:
            state["v"].mul_(group["momentum"]).add_(g)
        p.sub_(group["lr"] * state["v"])


class Adam(Optimizer):
    """Averages of g and of g², corrected for their start at 0;  p = p - lr * m / (sqrt(v) + eps)"""

    def __init__(self, params, lr=0.01, betas=(0.9, 0.99), eps=1e-3):
        super().__init__(params, lr=lr, betas=betas, eps=eps)

    def update(self, p, g, state, group):
        a, b = group["betas"]
        if not state:
            state.update(step=0, m=tg.zeros_like(p), v=tg.zeros_like(p))
        state["step"] += 1
        state["m"].mul_(a).add_((1 - a) * g)
        state["v"].mul_(b).add_((1 - b) * g * g)
        m = state["m"] / (1 - a ** state["step"])
        v = state["v"] / (1 - b ** state["step"])
        p.sub_(group["lr"] * m / (v.sqrt() + group["eps"]))


class AdamW(Adam):
    """Adam, and apart from the gradient each step takes p a little towards 0;  p = p - lr * decay * p"""

    def __init__(self, params, lr=0.01, betas=(0.9, 0.99), eps=1e-3, decay=0.1):
        Optimizer.__init__(self, params, lr=lr, betas=betas, eps=eps, decay=decay)

    def update(self, p, g, state, group):
        p.sub_(group["lr"] * group["decay"] * p)
        super().update(p, g, state, group)


class RMSprop(Optimizer):
    """v = alpha * v + (1 - alpha) * g²;  p = p - lr * g / (sqrt(v) + eps)"""

    def __init__(self, params, lr=0.01, alpha=0.9, eps=1e-3):
        super().__init__(params, lr=lr, alpha=alpha, eps=eps)

    def update(self, p, g, state, group):
        if not state:
            state["v"] = tg.zeros_like(p)
        state["v"].mul_(group["alpha"]).add_((1 - group["alpha"]) * g * g)
        p.sub_(group["lr"] * g / (state["v"].sqrt() + group["eps"]))


def valley(x, y):
    return 10 * x**2 + 0.1 * (y - 1) ** 2


def main():
    for kind in (Momentum, Adam, AdamW, RMSprop):
        x, y = (tg.tensor(v, dtype=tg.float64, requires_grad=True) for v in (1.0, -1.0))
        optimizer = kind([dict(params=[x]), dict(params=[y], lr=0.05)], lr=0.01)
        line = []
        for step in range(61):
            if step % 20 == 0:
                line.append(f"{valley(x, y).item():9.5f}")
            optimizer.zero_grad()
            valley(x, y).backward()
            optimizer.step()
            if step == 30:  # a break: save, make everything anew, load
                saved = optimizer.state_dict()
                optimizer = kind([dict(params=[x]), dict(params=[y], lr=0.05)], lr=0.01)
                optimizer.load_state_dict(saved)
        print(f"{kind.__name__:9} losses", *line)
    p = tg.tensor([1.0], requires_grad=True)
    optimizer = Momentum([p])
    first = p.grad = tg.tensor([1.0])
    for _ in range(3):
        optimizer.step()
        p.grad = tg.tensor([1.0])
    print("a gradient of 1 that was kept is now", first.item())


if __name__ == "__main__":
    main()
