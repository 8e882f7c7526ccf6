"""Programs about Module in PyTorch's words: run by both libraries, they must give the same lists. Results of PyTorch are recorded."""

import copy
import pickle
from collections import OrderedDict


def names(it):
    return [n for n, *_ in it]


def registration_order(torch, nn):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.late = None
            self.register_buffer("stat", torch.zeros(2))
            self.second = nn.Linear(2, 2)
            self.w = nn.Parameter(torch.ones(3))
            self.register_parameter("nothing", None)
            self.late = nn.Linear(1, 1)
            self.first = nn.Sequential(nn.Linear(2, 1), nn.ReLU())
            self.register_buffer("hidden", torch.ones(1), persistent=False)
            self.v = nn.Parameter(torch.ones(1))
            self.nothing = nn.Parameter(torch.ones(1))
            self.w = nn.Parameter(torch.ones(4))
            self.number = 3

    n = Net()
    return [
        names(n.named_parameters()),
        names(n.named_buffers()),
        list(n.state_dict()),
        names(n.named_modules()),
        names(n.named_children()),
        list(n._parameters),
        list(n._buffers),
        list(n._modules),
        type(n.state_dict()).__name__,
    ]


def shared(torch, nn):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.a = nn.Linear(2, 2)
            self.b = self.a
            self.c = nn.Linear(2, 2)
            self.c.weight = self.a.weight
            self.list = nn.ModuleList([self.a, self.c, self.c])

    n = Net()
    out = [
        names(n.named_parameters()),
        names(n.named_parameters(remove_duplicate=False)),
        names(n.named_modules()),
        names(n.named_modules(remove_duplicate=False)),
        list(n.state_dict()),
        names(n.named_children()),
        len(list(n.children())),
        len(list(n.parameters())),
    ]
    d = copy.deepcopy(n)
    out += [d.a is d.b, d.c.weight is d.a.weight, d.a.weight is not n.a.weight, names(d.named_parameters()), d.list[0] is d.a]
    p = pickle.loads(pickle.dumps(nn.Sequential(n.a, nn.Tanh(), n.c)))
    out += [p[0].weight is p[2].weight, p[0].weight is p[2].weight, list(p.state_dict()), p[0].weight.requires_grad]
    return out


def attributes(torch, nn):
    out = []
    m = nn.Linear(2, 2)

    def attempt(f):
        try:
            f()
            out.append("ok")
        except Exception as e:
            out.append(type(e).__name__)

    def s(name, v):
        return lambda: setattr(m, name, v)

    attempt(s("weight", torch.ones(2, 2)))
    attempt(s("weight", 3))
    attempt(s("weight", None))
    attempt(s("weight", nn.Parameter(torch.ones(1, 2))))
    out.append(list(m._parameters))
    m.register_buffer("b", torch.ones(1))
    attempt(s("b", torch.zeros(3)))
    attempt(s("b", 3))
    attempt(s("b", None))
    out.append(list(m.state_dict()))
    attempt(s("b", torch.ones(2)))
    out.append(list(m.state_dict()))
    m.sub = nn.ReLU()
    attempt(s("sub", 3))
    attempt(s("sub", None))
    out.append([list(m._modules), names(m.named_children())])
    attempt(s("sub", nn.Tanh()))
    attempt(lambda: m.register_buffer("weight", torch.ones(1)))
    attempt(lambda: m.register_parameter("sub", None))
    attempt(lambda: m.register_buffer("a.b", None))
    attempt(lambda: m.register_buffer("", None))
    attempt(lambda: m.register_buffer(3, None))
    attempt(lambda: m.add_module("forward", nn.ReLU()))
    attempt(lambda: m.register_buffer("x", 3))
    attempt(lambda: m.register_parameter("x", torch.ones(1)))
    attempt(lambda: m.add_module("x", 3))
    attempt(lambda: m.nothing)
    attempt(lambda: delattr(m, "sub"))
    attempt(lambda: delattr(m, "b"))
    attempt(lambda: delattr(m, "weight"))
    out.append([list(m.state_dict()), hasattr(m, "weight"), hasattr(m, "sub")])
    m.bias = nn.Parameter(torch.zeros(2))
    m.b = nn.Parameter(torch.zeros(1))
    m.b2 = torch.ones(1)
    out.append(list(m.state_dict()))
    m.register_buffer("c", torch.ones(1))
    m.c = nn.Parameter(torch.ones(2))
    out.append([names(m.named_parameters()), names(m.named_buffers())])
    del m._parameters["c"]
    out.append(names(m.named_parameters()))
    m._parameters["d"] = nn.Parameter(torch.ones(1))
    out.append([names(m.named_parameters()), m.d.shape[0]])
    m._buffers["e"] = torch.ones(1)
    m._modules["f"] = nn.ReLU()
    out.append([names(m.named_buffers()), names(m.named_modules()), m.f.training])

    class WithProperty(nn.Module):
        @property
        def scale(self):
            return self._scale * 2

        @scale.setter
        def scale(self, v):
            self._scale = v

        @property
        def broken(self):
            return self.missing

    w = WithProperty()
    w.scale = 4
    out.append([w.scale, hasattr(w, "broken")])
    return out


def loading(torch, nn):
    out = []
    m = nn.Sequential(OrderedDict(a=nn.Linear(2, 2), b=nn.Linear(2, 1)))
    state = {k: torch.ones_like(v) * i for i, (k, v) in enumerate(m.state_dict().items())}
    out.append(str(m.load_state_dict(state)))
    out.append([v.sum().item() for v in m.state_dict().values()])
    state.pop("a.bias")
    state["other"] = torch.ones(1)
    r = m.load_state_dict(state, strict=False)
    out.append([r.missing_keys, r.unexpected_keys])
    try:
        m.load_state_dict(state)
    except RuntimeError:
        out.append("RuntimeError")
    state["b.bias"] = torch.ones(3)
    try:
        m.load_state_dict(state, strict=False)
    except RuntimeError:
        out.append("RuntimeError")
    state = m.state_dict()
    state["a.weight"].fill_(7.0)
    out.append(m.a.weight.sum().item())
    new = {k: (v + 1).double() for k, v in m.state_dict().items()}
    old = m.a.weight
    m.load_state_dict(new)
    out.append([str(m.a.weight.dtype).split(".")[-1], m.a.weight is old, m.a.weight.sum().item()])
    m.load_state_dict(new, assign=True)
    out.append(
        [str(m.a.weight.dtype).split(".")[-1], m.a.weight is old, m.a.weight.requires_grad, isinstance(m.a.weight, nn.Parameter)]
    )
    seen = []
    h = m.register_load_state_dict_post_hook(lambda module, keys: seen.append(len(keys.missing_keys)))
    m.load_state_dict(m.state_dict())
    h.remove()
    m.load_state_dict(m.state_dict())
    out.append(seen)

    class Extra(nn.Linear):
        def get_extra_state(self):
            return {"n": 5}

        def set_extra_state(self, s):
            self.n = s["n"]

    e = nn.Sequential(Extra(1, 1))
    out.append([str(k) for k in e.state_dict()])
    e.load_state_dict(e.state_dict())
    out.append(e[0].n)
    out.append(
        [
            list(m.state_dict(prefix="p.")),
            m.state_dict(keep_vars=True)["a.weight"] is m.a.weight,
            m.state_dict()["a.weight"].requires_grad,
        ]
    )
    return out


def converting(torch, nn):
    dt = lambda t: str(t.dtype).split(".")[-1]
    m = nn.Sequential(nn.Linear(2, 2), nn.Embedding(3, 2))
    m[0].register_buffer("count", torch.tensor(3))
    m[0].register_buffer("mean", torch.ones(1))
    p = m[0].weight
    m[0](torch.ones(1, 2)).sum().backward()
    out = [[dt(t) for t in m.state_dict().values()]]
    out.append(m.double() is m)
    out.append([dt(t) for t in m.state_dict().values()])
    out.append([m[0].weight is p, dt(p.grad), p.grad.sum().item()])
    m.to(torch.float32)
    out.append([dt(t) for t in m.state_dict().values()])
    m.to("cpu", torch.float64)
    out.append([dt(t) for t in m.parameters()])
    m.to(torch.ones(1))
    out.append([dt(t) for t in m.parameters()])
    m.type(torch.float64)
    out.append([dt(t) for t in m.state_dict().values()])
    m.float()
    m.half()
    out.append([dt(t) for t in m.parameters()])
    m.float()
    m.cpu()
    m.requires_grad_(False)
    out.append([q.requires_grad for q in m.parameters()])
    m.requires_grad_()
    m.zero_grad()
    out.append(m[0].weight.grad is None)
    return out


def modes(torch, nn):
    class Frozen(nn.Linear):
        def train(self, mode=True):
            return super().train(False)

    m = nn.Sequential(Frozen(1, 1), nn.Sequential(nn.Dropout()))
    out = [[x.training for x in m.modules()]]
    m.train()
    out.append([x.training for x in m.modules()])
    m.eval()
    out.append([x.training for x in m.modules()])
    log = []
    m.apply(lambda x: log.append(type(x).__name__))
    out.append(log)
    try:
        m.train("yes")
    except ValueError:
        out.append("ValueError")
    return out


def hooks(torch, nn):
    torch.manual_seed(0)
    m = nn.Sequential(nn.Linear(2, 2), nn.Tanh())
    log = []
    with torch.no_grad():
        for p in m.parameters():
            p.copy_(torch.arange(p.numel()).reshape(p.shape).float() / 4)
    m[0].register_forward_pre_hook(lambda mod, a: log.append("pre1"))
    m[0].register_forward_pre_hook(lambda mod, a: (a[0] * 2,))
    m[0].register_forward_pre_hook(lambda mod, a: log.append("pre0"), prepend=True)
    m[0].register_forward_hook(lambda mod, a, o: log.append(["fwd", a[0].tolist()]))
    m[0].register_forward_hook(lambda mod, a, o: o + 1)
    h = m.register_forward_hook(lambda mod, a, kw, o: log.append(["kw", list(kw)]), with_kwargs=True)
    m.register_full_backward_hook(lambda mod, gi, go: log.append(["bwd", [g.tolist() for g in gi], [g.tolist() for g in go]]))
    m[1].register_full_backward_hook(lambda mod, gi, go: (gi[0] * 10,))
    m[1].register_full_backward_pre_hook(lambda mod, go: (go[0] * 3,))
    m[0].register_full_backward_hook(lambda mod, gi, go: log.append(["lin", [g.tolist() for g in gi], [g.tolist() for g in go]]))
    x = torch.ones(1, 2).requires_grad_()
    m(x).sum().backward()
    log.append(x.grad.tolist())
    log.append(m[0].weight.grad.tolist())
    h.remove()
    (x + m(x)).sum().backward()
    log.append(x.grad.tolist())

    class Two(nn.Module):
        def forward(self, a, b, k=1):
            return a * b, a + k

    t = Two()
    t.register_full_backward_hook(
        lambda mod, gi, go: log.append(
            [[None if g is None else g.tolist() for g in gi], [None if g is None else g.tolist() for g in go]]
        )
    )
    a, b = torch.tensor([2.0], requires_grad=True), torch.tensor([3.0], requires_grad=True)
    u, v = t(a, b, k=2)
    (u + 2 * v + a).sum().backward()
    log.append([a.grad.tolist(), b.grad.tolist()])
    u, v = t(a, torch.tensor([5.0]))
    u.sum().backward()
    t.register_forward_pre_hook(lambda mod, args, kwargs: (args, {"k": 100}), with_kwargs=True)
    log.append(t(a, b)[1].tolist())
    d = {}
    keep = nn.Linear(1, 1)
    [keep.register_forward_hook(lambda mod, a, o, i=i: d.update({i: 1})) for i in range(5)]
    keep(torch.ones(1, 1))
    log.append(list(d))

    def boom(*a):
        raise ValueError("x")

    bad = nn.Linear(1, 1)
    bad.forward = boom
    bad.register_forward_hook(lambda *a: log.append("always"), always_call=True)
    bad.register_forward_hook(lambda *a: log.append("never"))
    try:
        bad(torch.ones(1))
    except ValueError:
        log.append("raised")
    return log


def containers(torch, nn):
    L = lambda i: nn.Linear(i, 1)
    s = nn.Sequential(L(1), L(2), L(3))
    out = []
    sh = lambda c: [m.in_features for m in c]
    s.append(L(4))
    s.insert(1, L(9))
    out.append([sh(s), list(s._modules)])
    del s[0]
    out.append([sh(s), list(s._modules)])
    out.append([sh(s[1:]), list(s[1:]._modules)])
    out.append(sh(s[:2]))
    s[0] = L(7)
    s.extend([L(8)])
    out.append(sh(s))
    out.append(sh(s + nn.Sequential(L(1))))
    out.append(len(s * 2))
    out.append(s[-1].in_features)
    m = nn.ModuleList([L(1), L(2)])
    m += [L(3)]
    m.append(L(4)).insert(0, L(5))
    out.append([sh(m), list(m._modules)])
    out.append([type(m[:2]).__name__, sh(m[1:3]), len(m)])
    m.pop(0)
    out.append(sh(m))
    out.append([isinstance(m, nn.Sequential), isinstance(s, nn.ModuleList)])
    d = nn.ModuleDict({"x": L(1), "y": L(2)})
    d["z"] = L(3)
    d.update({"w": L(4)})
    out.append(
        [list(d), list(d.keys()), len(d), "x" in d, [k for k, v in d.items()], d.pop("x").in_features, list(d.state_dict())]
    )
    try:
        d["keys"] = L(1)
    except KeyError:
        out.append("KeyError")
    p = nn.ParameterList([torch.ones(2), nn.Parameter(torch.zeros(1))])
    p.append(torch.ones(3))
    out.append(
        [list(p.state_dict()), len(p), len(list(p.parameters())), isinstance(p[0], nn.Parameter), p[-1].shape[0], len(p[1:])]
    )
    q = nn.ParameterDict({"a": torch.ones(2)})
    q["b"] = nn.Parameter(torch.ones(1))
    out.append([list(q.state_dict()), list(q.keys()), "a" in q, q.pop("a").shape[0], list(q)])
    try:
        nn.Sequential(L(1), torch.tanh)
    except TypeError:
        out.append("TypeError")
    try:
        m(torch.ones(1))
    except NotImplementedError:
        out.append("NotImplementedError")
    try:
        s[10]
    except IndexError:
        out.append("IndexError")
    return out


def printing(torch, nn):
    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Dropout(0.1))
            self.none = None
            self.register_module("gone", None)

        def extra_repr(self):
            return "k=3"

    class Plain(nn.Module):
        pass

    class Lines(nn.Module):
        def extra_repr(self):
            return "a\nb"

    m = nn.ModuleDict(
        {
            "blocks": nn.ModuleList([Block() for _ in range(3)] + [nn.Linear(1, 1)]),
            "seq": nn.Sequential(nn.Linear(1, 1), nn.Linear(1, 1)),
            "p": Plain(),
            "l": Lines(),
            "e": nn.ModuleList(),
            "mha": nn.MultiheadAttention(4, 2),
            "s": nn.Sequential(),
        }
    )
    return [repr(m), repr(nn.Sequential(OrderedDict(a=nn.Tanh())))]


def paths(torch, nn):
    m = nn.Sequential(OrderedDict(a=nn.Sequential(nn.Linear(1, 2)), b=nn.ReLU()))
    m.register_buffer("t", torch.ones(1))
    out = []
    out += [
        type(m.get_submodule("a.0")).__name__,
        m.get_parameter("a.0.weight").shape[0],
        m.get_buffer("t").shape[0],
        m.get_submodule("") is m,
    ]
    for f in (
        lambda: m.get_submodule("a.1"),
        lambda: m.get_parameter("t"),
        lambda: m.get_buffer("a"),
        lambda: m.get_parameter("a.0"),
    ):
        try:
            f()
            out.append("ok")
        except AttributeError:
            out.append("AttributeError")
    m.set_submodule("a.0", nn.Tanh())
    out.append(type(m.a[0]).__name__)
    out.append(
        [
            names(m.named_parameters("pre")),
            names(m.named_modules(prefix="pre")),
            names(m.named_parameters(recurse=False)),
            names(m.named_buffers("q")),
        ]
    )
    return out


PROGRAMS = [registration_order, shared, attributes, loading, converting, modes, hooks, containers, printing, paths]
