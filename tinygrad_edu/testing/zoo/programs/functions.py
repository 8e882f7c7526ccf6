"""Operators with derivatives of their own, as subclasses of autograd.Function, in a network that uses them."""

import tinygrad_edu as tg


class Swish(tg.autograd.Function):
    """x * sigmoid(x)"""

    @staticmethod
    def forward(ctx, x):
        s = x.sigmoid()
        ctx.save_for_backward(x, s)
        return x * s

    @staticmethod
    def backward(ctx, g):
        x, _ = ctx.saved_tensors
        s = x.sigmoid()
        return g * (s + x * s * (1 - s))


class Ratio(tg.autograd.Function):
    """a / b, for tensors of one shape"""

    @staticmethod
    def forward(ctx, a, b):
        ctx.save_for_backward(a, b)
        return a / b

    @staticmethod
    def backward(ctx, g):
        a, b = ctx.saved_tensors
        return g / b, -g * a / b**2


class Length(tg.autograd.Function):
    """The Euclidean length of each row"""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return (x**2).sum(-1).sqrt()

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return g.unsqueeze(-1) * x / (x**2).sum(-1, keepdim=True).sqrt()


class Scale(tg.autograd.Function):
    """Each row divided by its largest absolute value, where that is above 1"""

    @staticmethod
    def forward(ctx, x):
        largest, place = x.abs().max(-1, keepdim=True)
        ctx.save_for_backward(x, place)
        return x / largest.clamp(min=1.0)

    @staticmethod
    def backward(ctx, g):
        x, place = ctx.saved_tensors
        largest = x.gather(-1, place)
        scale = largest.abs().clamp(min=1.0)
        through = -(g * x).sum(-1, keepdim=True) / scale**2 * largest.sign() * (largest.abs() > 1)
        return g / scale + tg.zeros_like(x).scatter(-1, place, through)


def network(x, w, v):
    return Length.apply(Scale.apply(Swish.apply(x @ w))) - Length.apply(Ratio.apply(x, x**2 + 1) @ v)


def main():
    tg.manual_seed(0)
    x = tg.randn(12, 3, dtype=tg.float64)
    w, v = (tg.randn(3, 3, dtype=tg.float64, requires_grad=True) for _ in range(2))
    for step in range(61):
        loss = (network(x, w, v) ** 2).mean()
        g_w, g_v = tg.autograd.grad(loss, [w, v])
        if step % 20 == 0:
            print(f"step {step:2}: loss {loss.item():.6f}")
        with tg.no_grad():
            w -= 0.3 * g_w
            v -= 0.3 * g_v
    # the gradient of a gradient's length, as penalties on gradients need it
    a, b = (tg.tensor([1.0, 2.0], dtype=tg.float64, requires_grad=True) for _ in range(2))
    (g,) = tg.autograd.grad((3 * Swish.apply(a)).sum(), a, create_graph=True)
    slope = tg.autograd.grad((g * g).sum(), a)[0].tolist() if g.requires_grad else "none"
    print("slope of the squared slope of 3 swish:", slope)
    print("gradients of 6 / 2:", *[t.item() for t in tg.autograd.grad(Ratio.apply(a * 6, b * 2)[:1].sum(), [a, b])[0]])


if __name__ == "__main__":
    main()
