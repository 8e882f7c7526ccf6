"""What autograd does beside gradients: own functions, hooks, walks through graphs, writes in place and to views, modes, derivatives of functions, checkpoints."""

import torch
from torch import autograd
from torch.autograd import Function
from torch.autograd.function import once_differentiable, FunctionCtx
from torch.autograd.functional import jacobian, hessian, vjp, jvp, hvp, vhp
import torch.autograd.forward_ad as fwAD
from torch.utils.checkpoint import checkpoint, checkpoint_sequential
from torch.autograd.graph import register_multi_grad_hook, Node, GradientEdge, get_gradient_edge, increment_version
import copy
import pickle


def spelled(value):
    """Nested results with numbers in place of words."""
    if isinstance(value, (list, tuple)):
        return [spelled(v) for v in value]
    return sum(map(ord, value)) if isinstance(value, str) else value


def E(f):
    try:
        return f()
    except Exception as e:
        return "error", type(e).__name__ if type(e).__name__ in ("RuntimeError", "TypeError", "ValueError", "AttributeError", "IndexError") else [c.__name__ for c in type(e).__mro__ if c.__name__ in ("RuntimeError", "TypeError", "ValueError", "AttributeError", "IndexError")][0]


class Cube(Function):
    @staticmethod
    def forward(ctx, x, scale=2.0, flag=None):
        ctx.save_for_backward(x)
        ctx.scale = scale
        ctx.flag = flag
        return scale * x ** 3
    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        print("needs", ctx.needs_input_grad, g.shape)
        return g * ctx.scale * 3 * x ** 2, None, None


class Two(Function):
    @staticmethod
    def forward(ctx, x, y):
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(x, y)
        m = (x > y)
        ctx.mark_non_differentiable(m)
        return x * y, x + y, m
    @staticmethod
    def backward(ctx, ga, gb, gm):
        x, y = ctx.saved_tensors
        print(ga is None, gb is None, gm is None)
        gx = gy = None
        if ga is not None:
            gx, gy = ga * y, ga * x
        if gb is not None:
            gx = gb if gx is None else gx + gb
            gy = gb if gy is None else gy + gb
        return gx, gy


class Inc(Function):
    @staticmethod
    def forward(ctx, x):
        x.add_(1)
        ctx.mark_dirty(x)
        return x
    @staticmethod
    def backward(ctx, g):
        return g * 2


class Setup(Function):
    @staticmethod
    def forward(x, y):
        return x * y, x.sin()
    @staticmethod
    def setup_context(ctx, inputs, output):
        x, y = inputs
        ctx.save_for_backward(x, y)
    @staticmethod
    def backward(ctx, g, h):
        x, y = ctx.saved_tensors
        return g * y + h * x.cos(), g * x
    @staticmethod
    def vmap(info, in_dims, x, y):
        print(info.batch_size, in_dims)
        return Setup.apply(x, y), (0, 0)


class Once(Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.exp()
    @staticmethod
    @once_differentiable
    def backward(ctx, g):
        return g * ctx.saved_tensors[0].exp()


class WrongCount(Function):
    @staticmethod
    def forward(ctx, x):
        return x * 2
    @staticmethod
    def backward(ctx, g):
        return g, g


class WrongShape(Function):
    @staticmethod
    def forward(ctx, x):
        return x * 2
    @staticmethod
    def backward(ctx, g):
        return g[:1]


class NoBack(Function):
    @staticmethod
    def forward(ctx, x):
        return x * 2


class Jvp(Function):
    @staticmethod
    def forward(ctx, x):
        ctx.x = x
        return x ** 2
    @staticmethod
    def backward(ctx, g):
        return 2 * g * ctx.x
    @staticmethod
    def jvp(ctx, t):
        return 2 * t * ctx.x


class Straight(Function):
    @staticmethod
    def forward(ctx, x):
        return x.round()
    @staticmethod
    def backward(ctx, g):
        return g


def E(f):
    try:
        return f()
    except Exception as e:
        return "error", [c.__name__ for c in type(e).__mro__ if c.__name__ in ("RuntimeError", "TypeError", "ValueError", "AttributeError", "IndexError")][:1]


class Holder:
    pass


def main():
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(3)
    found = []
    x = torch.tensor([1., 2., 3.], requires_grad=True)
    y = Cube.apply(x)
    found += [y]
    found += [y.grad_fn.name()]
    y.sum().backward()
    found += [x.grad]
    found += [Cube.apply(x, 3.0, flag=1)]
    Cube.apply(x, 3.0, 1).sum().backward()
    found += [x.grad]
    found += [Cube.apply(torch.ones(2)).requires_grad]
    x.grad = None
    a, b, m = Two.apply(x, x.detach() + 0.5)
    found += [a.requires_grad, b.requires_grad, m.requires_grad, m]
    a.sum().backward(retain_graph=True)
    b.sum().backward()
    found += [x.grad]
    found += [E(lambda: m.sum().backward())]
    z = torch.ones(2, requires_grad=True)
    w = z * 3
    w2 = Inc.apply(w)
    found += [w2 is w, w, w2.grad_fn is w.grad_fn]
    w.sum().backward()
    found += [z.grad]
    found += [E(lambda: Inc.apply(z))]
    o = Setup.apply(x, x.detach())
    found += [o]
    found += [torch.autograd.grad(o[0].sum() + o[1].sum(), x)]
    found += [E(lambda: WrongCount.apply(x).sum().backward())]
    found += [E(lambda: WrongShape.apply(x).sum().backward())]
    found += [E(lambda: NoBack.apply(x).sum().backward())]
    with fwAD.dual_level():
        d = fwAD.make_dual(x.detach(), torch.ones(3))
        print(fwAD.unpack_dual(Jvp.apply(d)).tangent, fwAD.unpack_dual(d.sin() * d).tangent, fwAD.unpack_dual(torch.ones(2)))
    found += [E(lambda: fwAD.make_dual(x, torch.ones(3)))]
    Straight.apply(x * 1.4).sum().backward()
    found += [x.grad]
    found += [torch.autograd.gradcheck(lambda t: t.sin() * 2, (torch.randn(3, requires_grad=True),))]
    found += [E(lambda: torch.autograd.gradcheck(WrongCount.apply, (torch.randn(3, requires_grad=True),)))]
    found += [torch.autograd.gradgradcheck(lambda t: t ** 3, (torch.randn(3, requires_grad=True),))]
    found += [E(lambda: torch.autograd.gradcheck(Straight.apply, (torch.randn(3, requires_grad=True),)))]
    found += [torch.autograd.gradcheck(Straight.apply, (torch.randn(3, requires_grad=True),), raise_exception=False)]
    packs = []
    def pack(t):
        packs.append(tuple(t.shape))
        return t.detach() * 1
    def unpack(t):
        packs.append("u")
        return t
    with torch.autograd.graph.saved_tensors_hooks(pack, unpack):
        q = (x * x.detach().exp()).sum()
    q.backward()
    found += [packs]
    found += [x.grad]
    with torch.autograd.graph.save_on_cpu():
        (x ** 2).sum().backward()
    x = torch.tensor([1., 2.], requires_grad=True)
    y = x * 2
    found += [y.retain_grad()]
    found += [y.retains_grad, x.retains_grad]
    zz = (y ** 2).sum()
    h = y.register_hook(lambda g: g * 10)
    h2 = x.register_hook(lambda g: print("leaf hook", g))
    zz.backward(retain_graph=True)
    found += [x.grad.clone(), y.grad.clone()]
    h.remove()
    x.grad = None
    y.grad = None
    zz.backward(retain_graph=True)
    found += [x.grad.clone(), y.grad.clone()]
    found += [zz.grad_fn.name(), zz.grad_fn.next_functions[0][0].name(), zz.grad_fn.next_functions[0][0].next_functions[0][0].name()]
    zz.grad_fn.register_hook(lambda gi, go: print("node", gi, go))
    y.grad_fn.register_prehook(lambda go: (go[0] * 0.5,))
    x.grad = None
    zz.backward()
    found += [x.grad]
    p = torch.nn.Parameter(torch.ones(2))
    p.register_post_accumulate_grad_hook(lambda t: (print("post", t.grad), t.grad.mul_(2)) and None)
    (p * 3).sum().backward()
    found += [p.grad]
    found += [E(lambda: (p * 1).register_post_accumulate_grad_hook(print))]
    u, v = torch.ones(2, requires_grad=True), torch.ones(2, requires_grad=True)
    mh = register_multi_grad_hook((u, v), lambda gs: print("multi", gs))
    (u * 2 + v * 3).sum().backward()
    e = get_gradient_edge(u * 2)
    torch.manual_seed(1)
    M = torch.rand(3, 3, requires_grad=True)
    x = torch.tensor([1., 2., 3.], requires_grad=True)
    found += [x.is_leaf, (x * 2).is_leaf, x.detach().is_leaf, (x * 2).detach().requires_grad, torch.ones(2).is_leaf]
    found += [E(lambda: (x * 2).requires_grad_(False))]
    found += [(x * 2).requires_grad_().requires_grad]
    found += [E(lambda: torch.tensor([1, 2]).requires_grad_())]
    found += [E(lambda: torch.tensor([1, 2], requires_grad=True))]
    with torch.no_grad():
        a = x * 2
        b = torch.ones(2, requires_grad=True)
        with torch.enable_grad():
            c = x * 2
            with torch.set_grad_enabled(False):
                d = x * 2
            e = x * 3
        f = torch.is_grad_enabled()
    found += [a.requires_grad, b.requires_grad, c.requires_grad, d.requires_grad, e.requires_grad, f, torch.is_grad_enabled()]
    @torch.no_grad()
    def ng(t): return t * 2
    found += [ng(x).requires_grad]
    @torch.no_grad
    def ng2(t): return t * 2
    found += [ng2(x).requires_grad]
    @torch.enable_grad()
    def eg(t): return t * 2
    with torch.no_grad(): print(eg(x).requires_grad, ng(x).requires_grad)
    @torch.no_grad()
    def gen():
        yield (x * 2).requires_grad
        yield (x * 2).requires_grad
    found += [list(gen())]
    torch.set_grad_enabled(False)
    found += [(x * 2).requires_grad]
    torch.set_grad_enabled(True)
    found += [E(lambda: x.add_(1))]
    with torch.no_grad():
        x.add_(1)
    found += [x.data.mul_(2)]
    x.data = torch.tensor([1., 2., 3.])
    found += [x]
    x.detach()[0] = 5.0
    found += [x]
    found += [E(lambda: x.detach_())]
    y = x * 2
    found += [y.detach_()]
    found += [y.requires_grad, y.grad_fn]
    w = torch.tensor([1., 2.], requires_grad=True)
    s = w * 2
    t = s ** 2
    found += [s.add_(1)]
    found += [E(lambda: t.sum().backward())]
    s = w * 2
    t = s.exp()
    found += [t.mul_(2)]
    found += [E(lambda: t.sum().backward())]
    s = w * 2
    t = s + 1
    found += [s.mul_(3)]
    (t.sum() + s.sum()).backward()
    found += [w.grad]
    w.grad = None
    s = w * 1
    v1 = s[0:1]
    found += [v1.mul_(5)]
    found += [s, v1, s.grad_fn.name(), v1.grad_fn.name()]
    (s ** 2).sum().backward()
    found += [w.grad]
    w.grad = None
    s = w.clone()
    s[0] = s[1] * 3
    s[1:] *= 2
    found += [s.view(-1)[0].add_(w[1])]
    s.sum().backward()
    found += [w.grad]
    w.grad = None
    base = w.clone()
    v = base.view(2, 1)
    vv = v[0]
    found += [vv.fill_(7)]
    found += [base]
    (base * w).sum().backward()
    found += [w.grad]
    m = torch.ones(3, 3, requires_grad=True)
    k = m * 1
    found += [k.diagonal().zero_()]
    found += [k[0].add_(k[1])]
    found += [k.t()[2].mul_(2)]
    (k ** 2).sum().backward()
    found += [m.grad]
    m.grad = None
    k = m * 1
    found += [k.masked_fill_(torch.eye(3).bool(), 2).index_fill_(0, torch.tensor([1]), 3).clamp_(max=2.5)]
    found += [k.index_add_(0, torch.tensor([0]), m[1:2] * 2)]
    found += [k.scatter_(1, torch.tensor([[0], [1], [2]]), m[:, :1] * 4)]
    found += [k.copy_(k.flip(0))]
    k.tril_().sum().backward()
    found += [m.grad]
    k = m * 1
    u1, u2, u3 = k.unbind()
    found += [k.chunk(3)[0].requires_grad]
    found += [E(lambda: m.view(-1).add_(1))]
    found += [E(lambda: m[0].mul_(2))]
    ex = m.expand(2, 3, 3)
    found += [E(lambda: (m * 1).expand(2, 3, 3).add_(1))]
    x = torch.tensor(2.0, requires_grad=True)
    y = x ** 3
    g, = torch.autograd.grad(y, x, create_graph=True)
    g2, = torch.autograd.grad(g, x, create_graph=True)
    g3, = torch.autograd.grad(g2, x)
    found += [g, g2, g3]
    found += [E(lambda: torch.autograd.grad(g3, x))]
    x2 = torch.tensor(1.0, requires_grad=True)
    found += [E(lambda: torch.autograd.grad(x ** 2, x2))]
    found += [torch.autograd.grad(x ** 2, x2, allow_unused=True)]
    found += [torch.autograd.grad(x ** 2, [x, x2], materialize_grads=True)]
    found += [E(lambda: torch.autograd.grad(torch.ones(2) * x, x))]
    found += [torch.autograd.grad(torch.ones(2) * x, x, grad_outputs=torch.tensor([1., 3.]))]
    found += [E(lambda: torch.autograd.grad(torch.ones(2) * x, x, grad_outputs=torch.tensor([1., 3., 2.])))]
    found += [torch.autograd.grad([x * 2, x ** 2], [x], grad_outputs=[None, torch.tensor(3.)])]
    found += [torch.autograd.grad(x * torch.ones(3), x, grad_outputs=torch.eye(3), is_grads_batched=True)]
    found += [E(lambda: torch.autograd.grad(torch.tensor(1.0), x))]
    found += [E(lambda: torch.tensor(1.0).backward())]
    found += [E(lambda: (x * torch.ones(2)).backward())]
    (x * torch.ones(2)).backward(torch.ones(2))
    found += [x.grad]
    found += [E(lambda: (x * torch.ones(2)).backward(torch.ones(3)))]
    found += [E(lambda: (x * 2).backward(torch.tensor(1)))]
    found += [torch.autograd.backward([x * 2, x * 3], [torch.tensor(1.0), torch.tensor(2.0)])]
    found += [x.grad]
    found += [(x * x2).backward(inputs=[x2])]
    found += [x.grad, x2.grad]
    found += [E(lambda: (x * x2).backward(inputs=[]))]
    q = x * 2
    found += [(q * x2).backward(inputs=[q])]
    found += [q.grad, q.is_leaf]
    found += [E(lambda: setattr(x, "grad", torch.ones(2)))]
    found += [E(lambda: setattr(x, "grad", 1.0))]
    x.grad = torch.tensor(7.0)
    found += [x.grad]
    found += [x.grad.zero_()]
    x.grad = None
    l = x * 2
    l.backward()
    found += [E(lambda: l.backward())]
    l2 = x ** 2
    l2.backward()
    found += [E(lambda: l2.backward())]
    found += [x.grad]
    found += [E(lambda: (x * 2).grad)]
    found += [torch.tensor(1.0).grad]
    with torch.autograd.set_detect_anomaly(True):
        z = torch.tensor(-1.0, requires_grad=True)
        print(E(lambda: torch.sqrt(z).backward()))
        print(torch.is_anomaly_enabled())
    with torch.autograd.detect_anomaly(check_nan=False):
        torch.sqrt(torch.tensor(-1.0, requires_grad=True)).backward()
    def f(a, b): return (a ** 2 * b).sum(1)
    A, B = torch.arange(6.).reshape(2, 3), torch.ones(2, 3) * 2
    found += [jacobian(f, (A, B))]
    found += [jacobian(lambda a: a.exp(), A[0])]
    found += [jacobian(lambda a: a.exp(), A[0], vectorize=True)]
    found += [jacobian(lambda a: a.exp(), A[0], vectorize=True, strategy="forward-mode")]
    found += [jacobian(lambda a: (a.sin(), a.sum()), A[0])]
    found += [E(lambda: jacobian(lambda a: torch.ones(2), A[0], strict=True))]
    found += [jacobian(lambda a: torch.ones(2), A[0])]
    J = jacobian(lambda a: a ** 3, x, create_graph=True)
    found += [J.requires_grad, torch.autograd.grad(J, x)]
    found += [hessian(lambda a: (a ** 3).sum(), A[0])]
    found += [hessian(lambda a, b: (a * b).sum() ** 2, (A[0], B[0]))]
    found += [E(lambda: hessian(lambda a: a ** 2, A[0]))]
    found += [vjp(f, (A, B), torch.ones(2))]
    found += [vjp(lambda a: a.sum(), A)]
    found += [E(lambda: vjp(lambda a: a * 2, A))]
    found += [jvp(f, (A, B), (torch.ones_like(A), torch.ones_like(B)))]
    found += [jvp(lambda a: a.sin(), A[0], torch.ones(3), create_graph=True)[1].requires_grad]
    found += [hvp(lambda a: (a ** 3).sum(), A[0], torch.ones(3))]
    found += [vhp(lambda a: (a ** 3).sum(), A[0], torch.ones(3))]
    found += [E(lambda: vjp(lambda a: torch.ones(2), A, torch.ones(2), strict=True))]
    found += [E(lambda: jacobian(f, [A, "b"]))]
    with fwAD.dual_level():
        d = fwAD.make_dual(A[0], torch.ones(3))
        o = (d.exp() * d).sum()
        print(fwAD.unpack_dual(o), d[0], fwAD.unpack_dual(d[1:]).tangent)
    found += [E(lambda: fwAD.make_dual(A[0], torch.ones(3)))]
    found += [torch.func.grad(lambda t: (t ** 2).sum())(A), torch.func.jacfwd(lambda t: t ** 2)(A[0]), torch.func.jacrev(lambda t: t ** 2)(A[0]), torch.func.hessian(lambda t: (t ** 3).sum())(A[0]), torch.func.vjp(lambda t: t.sin(), A[0])[1](torch.ones(3)), torch.func.jvp(lambda t: t.sin(), (A[0],), (torch.ones(3),)), torch.func.linearize(lambda t: t ** 2, A[0])[1](torch.ones(3)), torch.func.grad_and_value(lambda t: t.sum())(A), torch.vmap(lambda a, b: a @ b)(A, B)]
    calls = []
    def block(t):
        calls.append(1)
        return torch.sin(t) * torch.nn.functional.dropout(t, 0.5)
    r = torch.ones(4, requires_grad=True)
    torch.manual_seed(0)
    o = checkpoint(block, r, use_reentrant=False)
    o.sum().backward()
    found += [len(calls), r.grad, o]
    torch.manual_seed(0)
    r.grad = None
    o = checkpoint(block, r, use_reentrant=True)
    o.sum().backward()
    found += [len(calls), r.grad, o]
    found += [checkpoint(lambda a, b: (a * b, a + b), r, 2.0, use_reentrant=False)]
    found += [checkpoint_sequential(torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.Tanh(), torch.nn.Linear(3, 1)), 2, r, use_reentrant=False).shape]
    t = torch.ones(2, requires_grad=True)
    u = t.sin()
    found += [t.grad_fn is None, t.requires_grad, t.output_nr if hasattr(t, "output_nr") else 0]
    cc = copy.deepcopy(t)
    found += [cc.requires_grad, cc.is_leaf, cc is t]
    found += [E(lambda: copy.deepcopy(t * 2))]
    found += [copy.copy(t * 2).requires_grad]
    found += [pickle.loads(pickle.dumps(t)).requires_grad]
    found += [t.clone().detach().requires_grad_(True).is_leaf]
    found += [t.new_tensor([1.0]).requires_grad, torch.zeros_like(t).requires_grad, torch.empty_like(t, requires_grad=True).requires_grad]
    found += [torch.tensor(t).requires_grad]
    found += [torch.as_tensor(t) is t]
    found += [t.float().requires_grad, t.double() is t, t.to(torch.float64) is t, t.contiguous() is t]
    found += [(t > 0).requires_grad, t.argmax().requires_grad, t.sort()[1].requires_grad, t.round().requires_grad, t.long().requires_grad, t.sign().requires_grad]
    found += [E(lambda: t.numpy())]
    found += [t.detach().numpy()]
    found += [t.tolist()]
    found += [torch.autograd.Variable(torch.ones(2), requires_grad=True)]
    found += [torch.autograd.grad(t.sum(), t, retain_graph=True)]
    n = torch.randn(3, requires_grad=True)
    out = torch.where(n > 100, n.sqrt(), n)
    found += [torch.autograd.grad(out.sum(), n)[0].isnan().any()]
    nn_ = torch.tensor([0.0, 1.0], requires_grad=True)
    return spelled(found)
