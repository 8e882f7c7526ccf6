"""check_module: everything that a layer or a model must do, in one call."""

import copy

import numpy as np

from ..api import random
from ..autograd import Tensor, grad, no_grad
from .checklist import Result
from .compare import assert_close
from .gradients import checked


def check_module(module, *inputs, unused=(), batch=False, order=1, seed=0, double=True, eps=None, atol=None, rtol=None,
                 raise_exception=True):  # fmt: skip
    """Check a Module on example inputs; returns the Result, and raises a CheckError that lists all that is wrong.

    What is checked, on copies: in train and in eval mode the gradients of every parameter, by its path, and of every
    floating-point input that requires grad equal the measured slopes (dropout keeps its mask: the random numbers are seeded);
    every parameter that requires grad is reached, but for those named in `unused`; backward() adds to `.grad`; eval mode
    gives the same result twice; a state_dict makes a changed copy equal again; float32 stays float32; inputs are only read.
    `batch=True` also checks that, in eval mode, each row of the result depends on its own row of the inputs alone.

    >>> import tinygrad_edu as tg
    >>> from tinygrad_edu.testing import check_module
    >>> model = tg.nn.Sequential(tg.nn.Linear(3, 4), tg.nn.Tanh(), tg.nn.Linear(4, 1))
    >>> check_module(model, tg.randn(5, 3), batch=True).ok
    True
    """
    result, generator = Result(f"check_module({type(module).__name__})"), random.get_rng_state()
    try:
        look = Look(module, inputs, seed, double)
        options = dict(eps=eps, atol=atol, rtol=rtol)
        for mode in ("train", "eval"):
            look.module.train(mode == "train")
            result.run(f"gradients in {mode} mode", lambda: look.gradients(order, options))
        look.module.train()
        result.run("every parameter gets a gradient", lambda: look.reached(unused))
        result.run("backward() twice doubles the gradients", look.accumulates)
        result.run("the inputs are only read", look.reads)
        look.module.eval()
        result.run("eval mode: the same result twice", look.repeats)
        result.run("state_dict makes a changed copy equal", look.travels)
        if batch:
            result.run("eval mode: rows are independent", look.rows)
        result.run("float32 stays float32", lambda: look.narrow(module))
        result.run("it has a repr", lambda: None if repr(module) else "repr(module) is empty")
    finally:
        random.set_rng_state(generator)
    __tracebackhide__ = True
    return result.finish(raise_exception)


class Look:
    """A float64 copy of the module and its inputs, and one method per check."""

    def __init__(self, module, inputs, seed, double):
        self.seed = seed
        self.module = copy.deepcopy(module)
        if double:
            self.module.double()
        self.inputs = []
        for x in inputs:
            if isinstance(x, Tensor):
                wanted = x.dtype.kind == "f"
                x = Tensor(np.array(x.array, np.float64 if wanted and double else x.dtype), None)
                x.requires_grad = wanted
            self.inputs.append(x)
        self.parameters = {name: p for name, p in self.module.named_parameters() if p.requires_grad}

    def forward(self, module=None, inputs=None):
        """The results that are tensors, flat, from the same random numbers and buffers each time."""
        module = self.module if module is None else module
        buffers = {name: np.array(b.array) for name, b in module.named_buffers()}
        random.manual_seed(self.seed)
        out = list(flat(module(*(self.inputs if inputs is None else inputs))))
        for name, b in module.named_buffers():  # running statistics: a look must not change what the next one sees
            if name in buffers and b.array.shape == buffers[name].shape:
                b.array[...] = buffers[name]
        return out

    def gradients(self, order, options):
        if not self.parameters and not any(isinstance(x, Tensor) and x.requires_grad for x in self.inputs):
            return "there is nothing to differentiate: no parameter and no floating-point input"
        module = self.module

        def outputs(*inputs):
            return tuple(y for y in flat(module(*inputs)) if y.dtype.kind == "f")

        outputs.__name__ = outputs.__qualname__ = type(module).__name__
        random.manual_seed(self.seed)
        checked(outputs, tuple(self.inputs), type(module).__name__, order, parameters=self.parameters, freeze_generator=True, **options)

    def total(self):
        return sum((y * Tensor(np.cos(np.arange(y.numel())).reshape(y.shape).astype(y.dtype), None)).sum()
                   for y in self.forward() if y.requires_grad)  # fmt: skip

    def reached(self, unused):
        wrong = [name for name in unused if name not in self.parameters]
        if wrong:
            return f"unused= names {wrong}, and the parameters are {list(self.parameters)}"
        total = self.total()
        if not isinstance(total, Tensor):
            return "no result depends on a parameter" if self.parameters else None
        found = grad(total, list(self.parameters.values()), allow_unused=True) if self.parameters else ()
        missed = [name for name, g in zip(self.parameters, found) if g is None and name not in unused]
        if missed:
            return f"no gradient reaches {', '.join(missed)}: is it detached, or never used? (unused=[…] allows it)"

    def accumulates(self):
        if not self.parameters:
            return None
        self.module.zero_grad()
        once = None
        for _ in range(2):
            total = self.total()
            if not isinstance(total, Tensor):
                return None
            total.backward()
            once = once or {n: np.array(p.grad.array) for n, p in self.parameters.items() if p.grad is not None}
        twice = {n: p.grad for n, p in self.parameters.items() if p.grad is not None}
        self.module.zero_grad()
        for x in self.inputs:
            if isinstance(x, Tensor) and x.requires_grad:
                x.grad = None
        assert_close({n: g.array for n, g in twice.items()}, {n: 2 * g for n, g in once.items()})

    def reads(self):
        before = [np.array(x.array) if isinstance(x, Tensor) else None for x in self.inputs]
        self.forward()
        for i, (x, former) in enumerate(zip(self.inputs, before)):
            if former is not None and not np.array_equal(x.array, former, equal_nan=former.dtype.kind == "f"):
                return f"forward wrote into input {i}"

    def repeats(self):
        with no_grad():
            first = [np.array(y.array) for y in flat(self.module(*self.inputs))]
            second = [np.array(y.array) for y in flat(self.module(*self.inputs))]
        assert_close(second, first, equal_nan=True)

    def travels(self):
        other = copy.deepcopy(self.module)
        for p in other.parameters():
            p.array[...] += 1
        other.load_state_dict(self.module.state_dict())
        assert_close([y.array for y in self.forward(other)], [y.array for y in self.forward()], equal_nan=True)

    def rows(self):
        out, count = self.forward(), self.inputs[0].shape[0]
        for i in range(min(count, 4)):
            alone = self.forward(inputs=[x[i : i + 1] if isinstance(x, Tensor) else x for x in self.inputs])
            for whole, single in zip(out, alone):
                if not np.allclose(whole.array[i : i + 1], single.array, 1e-6, 1e-9):
                    return f"row {i} of the result changes when the other rows are left out: does a reduction run over dimension 0?"

    def narrow(self, module):
        module = copy.deepcopy(module).float().eval()
        inputs = [x.detach().float() if isinstance(x, Tensor) and x.dtype.kind == "f" else x for x in self.inputs]
        with no_grad():
            kinds = {str(y.dtype) for y in self.forward(module, inputs) if y.dtype.kind == "f"}
        if kinds - {"float32"}:
            return f"float32 inputs and parameters gave {', '.join(sorted(kinds))}"


def flat(value):
    """The tensors in a result, however it is nested.

    >>> import tinygrad_edu as tg
    >>> from tinygrad_edu.testing.modules import flat
    >>> len(list(flat((tg.ones(1), {"a": [tg.ones(2)]}))))
    2
    """
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, dict):
        for part in value.values():
            yield from flat(part)
    elif isinstance(value, (tuple, list)):
        for part in value:
            yield from flat(part)
