"""check_optimizer: an optimizer against its formula and against what every optimizer must do; check_training_step: a whole step."""

import copy

import numpy as np

from .checklist import Result
from .compare import as_array

SHAPES = [(2, 3), (4,), ()]


def check_optimizer(make, reference=None, *, steps=6, seed=0, converges=True, rtol=1e-9, atol=1e-9, library=None, raise_exception=True):
    """Check the optimizer that `make(params)` returns; returns the Result, raises a CheckError that lists all that is wrong.

    `reference(p, g, state)` computes one update of one parameter in plain NumPy and returns the new p; `state` is a dict of its
    own, empty at first. Without it, only what holds for every optimizer is checked: parameters without a gradient stay, gradients
    are only read, updates are in place and keep the dtype, parameters do not share state, state_dict carries on where it stopped,
    groups have options of their own, zero_grad() forgets, step(closure) returns the loss, the first step goes downhill and (with
    `converges`) a parabola gets lower. `library=torch` checks an optimizer of PyTorch.

    >>> import tinygrad_edu as tg
    >>> from tinygrad_edu.testing import check_optimizer
    >>> def momentum(p, g, state):
    ...     state["v"] = 0.9 * state.get("v", 0) + g
    ...     return p - 0.1 * state["v"]
    >>> check_optimizer(lambda params: tg.optim.SGD(params, lr=0.1, momentum=0.9), momentum).ok
    True
    """
    if library is None:
        import tinygrad_edu as library
    trial = Trial(make, reference, steps, seed, library, rtol, atol)
    params = trial.parameters()
    result = Result(f"check_optimizer({type(make(params)).__name__})")
    if reference is not None:
        result.run("steps follow the formula", trial.follows)
    result.run("a parameter without gradient stays", trial.stays)
    result.run("gradients are only read", trial.reads)
    result.run("updates are in place and keep the dtype", trial.in_place)
    result.run("parameters do not share state", trial.separate)
    result.run("state_dict carries on where it stopped", trial.travels)
    result.run("groups have options of their own", trial.groups)
    result.run("zero_grad() forgets", trial.forgets)
    result.run("step(closure) returns the loss", trial.closure)
    result.run("the first step goes downhill", trial.downhill)
    if converges:
        result.run("a parabola gets lower", trial.converges)
    __tracebackhide__ = True
    return result.finish(raise_exception)


class Trial:
    """Parameters, a fixed row of gradients for each, and one method per check."""

    def __init__(self, make, reference, steps, seed, library, rtol, atol):
        self.make, self.reference, self.steps, self.library, self.close = make, reference, steps, library, (rtol, atol)
        rng = np.random.default_rng(seed)
        self.values = [np.asarray(rng.uniform(-2, 2, shape)) for shape in SHAPES]
        # signs stay and sizes change, so that averages of gradients and of their squares both show
        self.gradients = [[np.asarray(np.sign(v) * rng.uniform(0.1, 2, v.shape)) for v in self.values] for _ in range(steps)]

    def parameters(self, dtype="float64", only=None):
        kind = getattr(self.library, dtype)
        return [self.library.tensor(v.tolist(), dtype=kind, requires_grad=True) for i, v in enumerate(self.values) if only in (None, i)]

    def tensor(self, array, like):
        return self.library.tensor(np.asarray(array).tolist(), dtype=like.dtype)

    def run(self, params, optimizer, steps, start=0, only=None):
        """Some steps with the fixed gradients; the values after each."""
        rows = []
        for gradients in self.gradients[start : start + steps]:
            for p, g in zip(params, [g for i, g in enumerate(gradients) if only in (None, i)]):
                p.grad = self.tensor(g, p)
            optimizer.step()
            rows.append([np.array(as_array(p)) for p in params])
        return rows

    def differ(self, found, expected, what):
        """A sentence on the first step that differs, or None."""
        for n, (row, wanted) in enumerate(zip(found, expected), 1):
            for a, b in zip(row, wanted):
                if not np.allclose(a, b, *self.close, equal_nan=True):
                    place = np.unravel_index(np.nanargmax(np.abs(a - b)) if np.isfinite(a - b).any() else 0, a.shape)
                    return (f"step {n}: {what}; a parameter of shape {list(a.shape)}, element {[int(i) for i in place]}: "
                            f"{a[place]:.9g} instead of {b[place]:.9g}")  # fmt: skip

    def follows(self):
        params = self.parameters()
        found = self.run(params, self.make(params), self.steps)
        states, values, expected = [{} for _ in self.values], [v.copy() for v in self.values], []
        for gradients in self.gradients:
            values = [np.asarray(self.reference(v, g.copy(), s), np.float64) for v, g, s in zip(values, gradients, states)]
            expected.append(values)
        return self.differ(found, expected, "the formula gives another value")

    def stays(self):
        params = self.parameters()
        optimizer = self.make(params)
        params[0].grad = self.tensor(self.gradients[0][0], params[0])
        optimizer.step()
        if not np.array_equal(as_array(params[1]), self.values[1]):
            return "a parameter whose .grad is None was changed"

    def reads(self):
        params = self.parameters()
        optimizer, given = self.make(params), []
        for n, gradients in enumerate(self.gradients[:3], 1):
            for p, g in zip(params, gradients):
                p.grad = self.tensor(g, p)
                given.append((n, p.grad, g))
            optimizer.step()
            for made, g, former in given:
                if not np.array_equal(as_array(g), former):
                    return f"step {n} wrote into the gradient of step {made}" + ("; is it kept as state without a copy?" if made < n else "")

    def in_place(self):
        for dtype in ("float32", "float64"):
            params = self.parameters(dtype)
            optimizer, memory = self.make(params), [p.detach() for p in params]
            for p, g in zip(params, self.gradients[0]):
                p.grad = self.tensor(g, p)
            optimizer.step()
            for p, shared in zip(params, memory):
                if str(as_array(p).dtype) != dtype:
                    return f"a parameter of {dtype} became {as_array(p).dtype}"
                if not np.array_equal(as_array(p), as_array(shared)):
                    return "the parameter got new memory; whoever holds the old one (a model, a view) does not see the update"

    def separate(self):
        params = self.parameters()
        together = self.run(params, self.make(params), self.steps)
        for i in range(len(self.values)):
            (alone,) = [self.parameters(only=i)]
            rows = self.run(alone, self.make(alone), self.steps, only=i)
            problem = self.differ([[row[i]] for row in together], rows, "it moves otherwise when it is trained with others")
            if problem:
                return problem

    def travels(self):
        half = self.steps // 2
        params = self.parameters()
        whole = self.run(params, self.make(params), self.steps)
        params = self.parameters()
        optimizer = self.make(params)
        self.run(params, optimizer, half)
        saved = copy.deepcopy(optimizer.state_dict())
        other = self.make(params)
        other.load_state_dict(saved)
        rest = self.run(params, other, self.steps - half, half)
        return self.differ(rest, whole[half:], f"after saving and loading the state at step {half} it moves otherwise")

    def groups(self):
        params = self.parameters()
        probe = self.make(params)
        if "lr" not in probe.param_groups[0]:
            return None
        lr = float(probe.param_groups[0]["lr"])
        optimizer = self.make([dict(params=params[:1], lr=lr / 2), dict(params=params[1:])])
        mixed = self.run(params, optimizer, 2)
        params = self.parameters()
        optimizer = self.make(params)
        for group in optimizer.param_groups:
            group["lr"] = lr / 2
        slow = self.run(params, optimizer, 2)
        params = self.parameters()
        fast = self.run(params, self.make(params), 2)
        if lr and all(np.array_equal(a[0], b[0]) for a, b in zip(mixed, fast)):
            return f"a group with lr {lr / 2:g} of its own moves as if it had the default, {lr:g}"
        return self.differ([row[:1] for row in mixed], [row[:1] for row in slow], "a group with lr of its own does not use it") or self.differ(
            [row[1:] for row in mixed], [row[1:] for row in fast], "a group without lr of its own does not use the default")  # fmt: skip

    def forgets(self):
        params = self.parameters()
        optimizer = self.make(params)
        self.run(params, optimizer, 1)
        optimizer.zero_grad()
        left = [p.grad for p in params if p.grad is not None and np.any(as_array(p.grad))]
        if left:
            return "after zero_grad() a parameter still has a gradient"

    def closure(self):
        params = self.parameters()
        optimizer = self.make(params)

        def closure():
            optimizer.zero_grad()
            loss = sum((p * p).sum() for p in params)
            loss.backward()
            return loss

        loss = optimizer.step(closure)
        if loss is None:
            return "step(closure) returned None instead of the loss"

    def downhill(self):
        params = self.parameters()
        (row,) = self.run(params, self.make(params), 1)
        for new, old, g in zip(row, self.values, self.gradients[0]):
            if not np.sum((new - old) * g) < 0:
                return f"a parameter of shape {list(old.shape)} did not move against its gradient"

    def converges(self):
        params = self.parameters()
        optimizer = self.make(params)
        loss = lambda: sum((p * p).sum() for p in params)
        first = float(loss().detach())
        for _ in range(50):
            optimizer.zero_grad()
            loss().backward()
            optimizer.step()
        last = float(loss().detach())
        if not last < first:
            return f"after 50 steps Σp² is {last:.6g}, and it was {first:.6g}"


def check_training_step(step, parameters, loss, update=None, *, lr=None, steps=3, eps=1e-5, rtol=1e-4, atol=1e-7, raise_exception=True):
    """Check whole training steps: after each `step()` the parameters are where the slopes of `loss()` say.

    `parameters` are tensors or arrays (a list, or a dict with their names); `loss()` computes the loss anew, from their values
    of the moment, and must not depend on random numbers. A plain step is p − lr · slope; any other is given by
    `update(p, slope, state)`, which returns the new p. Nothing is assumed about how the step is done: forgotten zero_grad, a
    second step, a detached layer, a parameter that no optimizer knows, gradients of the batch before are all found.

    >>> import tinygrad_edu as tg
    >>> from tinygrad_edu.testing import check_training_step
    >>> w = tg.tensor([1.0, 2.0], dtype=tg.float64, requires_grad=True)
    >>> optimizer, loss = tg.optim.SGD([w], lr=0.1), lambda: (w**3).sum()
    >>> def step():
    ...     optimizer.zero_grad()
    ...     loss().backward()
    ...     optimizer.step()
    >>> check_training_step(step, [w], loss, lr=0.1).ok
    True
    """
    if (update is None) == (lr is None):
        raise TypeError("check_training_step: give lr= for plain descent, or update= for any other rule")
    update = update or (lambda p, g, state: p - lr * g)
    named = parameters if isinstance(parameters, dict) else {f"parameter {i}": p for i, p in enumerate(parameters)}
    result, states = Result("check_training_step"), {name: {} for name in named}
    for n in range(1, steps + 1):
        slopes = {name: measured_slopes(memory_of(p), loss, eps) for name, p in named.items()}
        before = {name: np.array(memory_of(p), np.float64) for name, p in named.items()}
        step()

        def compared(slopes=slopes, before=before):
            lines = []
            for name, p in named.items():
                wanted, found = np.asarray(update(before[name], slopes[name], states[name]), np.float64), np.asarray(memory_of(p), np.float64)
                if not np.allclose(found, wanted, rtol, atol, equal_nan=True):
                    lines.append(explained_step(name, before[name], found, wanted))
            return "\n".join(lines[:3] + [f"and {len(lines) - 3} more parameters"] * (len(lines) > 3))

        result.run(f"step {n}", compared)
        if not result.ok:
            break
    __tracebackhide__ = True
    return result.finish(raise_exception)


def memory_of(p):
    """The array in which a parameter's numbers are; writing to it moves the parameter."""
    if isinstance(p, np.ndarray):
        return p
    from ..autograd.tensor import Tensor, as_memory

    return as_memory(p) if isinstance(p, Tensor) else p.detach().numpy()


def measured_slopes(array, loss, eps):
    """Central differences of the loss, element by element."""
    slopes = np.zeros(array.shape)
    for place in np.ndindex(array.shape):
        former = array[place]
        ends = []
        for sign in (1, -1):
            array[place] = former + sign * eps
            ends.append(float(np.asarray(as_array(loss()))))
        array[place] = former
        slopes[place] = (ends[0] - ends[1]) / (2 * eps)
    return slopes


def explained_step(name, before, found, wanted):
    """Where a parameter should be and is, and how the two moves compare."""
    moved, due = found - before, wanted - before
    place = np.unravel_index(int(np.nan_to_num(np.abs(found - wanted), nan=np.inf).argmax()), found.shape)
    text = f"{name}{[int(i) for i in place]}: moved from {before[place]:.6g} to {found[place]:.6g}, due was {wanted[place]:.6g}"
    if not np.any(moved):
        return text + "; it did not move at all"
    if np.sum(due * due):
        factor = float(np.sum(moved * due) / np.sum(due * due))
        if np.allclose(moved, factor * due, 1e-3, 1e-9):
            return text + f"; it moved {factor:.4g} times as far as it should"
    return text
