"""L-BFGS: steps along an estimate of the inverse Hessian, kept as the last few changes of position and gradient."""

from math import sqrt

import numpy as np

from ..autograd import memory, modes
from ..autograd.tensor import Tensor, array_of
from .optimizer import Optimizer, check_options, number


class LBFGS(Optimizer):
    """d = −H·g, p ← p + t·d, where H is the limited-memory BFGS estimate of the inverse Hessian.

    `step(closure)` makes up to `max_iter` such moves and calls `closure` for the loss and its gradients at each. With
    line_search_fn="strong_wolfe" the length t is searched for; without, it is lr. All parameters form one group.
    (Nocedal and Wright 2006, algorithms 7.4, 3.5 and 3.6)

    >>> import tinygrad_edu as tg
    >>> x = tg.tensor([3.0, -2.0], requires_grad=True)
    >>> optimizer = tg.optim.LBFGS([x], line_search_fn="strong_wolfe")
    >>> def closure():
    ...     optimizer.zero_grad()
    ...     loss = ((x - 1) ** 2).sum()
    ...     loss.backward()
    ...     return loss
    >>> optimizer.step(closure).item(), x
    (13.0, tensor([1.0000, 1.0000], requires_grad=True))
    """

    def __init__(self, params, lr=1, max_iter=20, max_eval=None, tolerance_grad=1e-7, tolerance_change=1e-9, history_size=100,
                 line_search_fn=None):  # fmt: skip
        check_options("LBFGS", lr=lr)
        if line_search_fn not in (None, "strong_wolfe"):
            raise RuntimeError(f'LBFGS: line_search_fn must be "strong_wolfe" or None, got {line_search_fn!r}')
        max_eval = max_iter * 5 // 4 if max_eval is None else max_eval
        super().__init__(params, dict(lr=lr, max_iter=max_iter, max_eval=max_eval, tolerance_grad=tolerance_grad,
                                      tolerance_change=tolerance_change, history_size=history_size,
                                      line_search_fn=line_search_fn))  # fmt: skip
        if len(self.param_groups) != 1:
            raise ValueError(f"LBFGS: all parameters must form one group, got {len(self.param_groups)} groups")

    def step(self, closure=None):
        """Move several times; `closure` clears the gradients, computes the loss, calls backward() and returns the loss."""
        if closure is None:
            raise TypeError("LBFGS.step(closure): L-BFGS evaluates the loss several times per step; pass a function that calls "
                            "zero_grad(), computes the loss, calls backward() and returns the loss")  # fmt: skip
        group = self.param_groups[0]
        params = group["params"]
        lr, tolerance = number(group["lr"]), group["tolerance_change"]
        state = self.state[params[0]]
        state.setdefault("func_evals", 0)
        state.setdefault("n_iter", 0)

        def evaluate():
            with modes.enable_grad():
                loss = closure()
            return loss, float(loss), gradient(params)

        first_loss, loss, g = evaluate()
        evaluations = 1
        state["func_evals"] += 1
        if np.abs(g).max() <= group["tolerance_grad"]:
            return first_loss
        d, before = array_of(state.get("d")), array_of(state.get("prev_flat_grad"))
        t, former_loss, scale = state.get("t"), state.get("prev_loss"), array_of(state.get("H_diag"))
        changes, moves, inverses = ([array_of(a) for a in state.get(k, ())] for k in ("old_dirs", "old_stps", "ro"))
        for i in range(1, group["max_iter"] + 1):
            state["n_iter"] += 1
            if state["n_iter"] == 1:
                d, scale = -g, 1
            else:
                change, move = g - before, d * t
                curvature = change.dot(move)
                if curvature > 1e-10:
                    for history, newest in ((changes, change), (moves, move), (inverses, 1.0 / curvature)):
                        del history[: max(0, len(history) + 1 - group["history_size"])]
                        history.append(newest)
                    scale = curvature / change.dot(change)
                d = direction(g, changes, moves, inverses, scale)
            before, former_loss = g, loss
            t = min(1.0, 1.0 / np.abs(g).sum()) * lr if state["n_iter"] == 1 else lr
            slope = g.dot(d)
            if slope > -tolerance:
                break
            new_evaluations = 0
            if group["line_search_fn"] is not None:
                start = [memory.as_memory(p).copy() for p in params]

                def along(length, d=d, start=start):
                    add(params, length, d)
                    _, value, g = evaluate()
                    for p, former in zip(params, start):
                        p.array[...] = former
                    memory.note_writes([p.array for p in params], "optimizer.step()")
                    return length, value, g, g.dot(d)

                t, loss, g, new_evaluations = strong_wolfe(along, t, d, loss, g, slope, tolerance, group["max_eval"] - evaluations)
                add(params, t, d)
            else:
                add(params, t, d)
                if i < group["max_iter"]:
                    _, loss, g = evaluate()
                    new_evaluations = 1
            evaluations += new_evaluations
            state["func_evals"] += new_evaluations
            if evaluations >= group["max_eval"] or np.abs(g).max() <= group["tolerance_grad"]:
                break
            if np.abs(d * t).max() <= tolerance or abs(loss - former_loss) < tolerance:
                break
        listed = dict(old_dirs=changes, old_stps=moves, ro=inverses)
        state.update(d=Tensor(d, None), t=float(t), H_diag=scale if scale.__class__ is int else Tensor(scale, None), prev_flat_grad=Tensor(before, None),
                     prev_loss=former_loss, **{k: [Tensor(a, None) for a in history] for k, history in listed.items()})  # fmt: skip
        return first_loss


def gradient(params):
    """All gradients as one vector; zeros where there is none."""
    return np.concatenate([np.zeros(p.array.size, p.dtype) if p.grad is None else np.ravel(p.grad.array) for p in params])


def add(params, length, d):
    """p ← p + length · d for all parameters, each with its part of the vector."""
    start = 0
    for p in params:
        array = memory.as_memory(p)
        array += np.multiply(d[start : start + array.size], length, dtype=array.dtype).reshape(array.shape)
        start += array.size
    memory.note_writes([p.array for p in params], "optimizer.step()")


def direction(g, changes, moves, inverses, scale):
    """−H·g by the two-loop recursion over the kept pairs."""
    q, weights = -g, []
    for change, move, inverse in zip(changes[::-1], moves[::-1], inverses[::-1]):
        weights.append(move.dot(q) * inverse)
        q -= weights[-1] * change
    q *= scale
    for change, move, inverse, weight in zip(changes, moves, inverses, weights[::-1]):
        q += (weight - change.dot(q) * inverse) * move
    return q


def cubic_minimum(first, second, bounds=None):
    """Where the cubic through two points (t, value, …, slope) is lowest, within bounds."""
    (a, value_a, _, slope_a), (b, value_b, _, slope_b) = (first, second) if first[0] <= second[0] else (second, first)
    low, high = (a, b) if bounds is None else bounds
    d = slope_a + slope_b - 3 * (value_a - value_b) / (a - b)
    square = d * d - slope_a * slope_b
    if not square >= 0:
        return (low + high) / 2
    root = sqrt(square)
    return min(max(b - (b - a) * ((slope_b + root - d) / (slope_b - slope_a + 2 * root)), low), high)


def strong_wolfe(along, t, d, loss, g, slope, tolerance, most, c1=1e-4, c2=0.9):
    """A length t at which the loss has fallen enough and its slope has flattened enough: (t, loss, gradient, evaluations).

    `along(t)` gives (t, loss, gradient, slope) at that length; a bracket is widened first and narrowed then.
    """
    origin = before = (0, loss, g, slope)
    new, evaluations, tries, done = along(t), 1, 0, False
    bracket = None
    while tries < most and bracket is None:
        t, value, _, new_slope = new
        if value > loss + c1 * t * slope or (tries > 1 and value >= before[1]):
            bracket = [before, new]
        elif abs(new_slope) <= -c2 * slope:
            bracket, done = [new], True
        elif new_slope >= 0:
            bracket = [before, new]
        else:
            t = cubic_minimum(before, new, bounds=(t + 0.01 * (t - before[0]), t * 10))
            before, new = new, along(t)
            evaluations += 1
            tries += 1
    if bracket is None:
        bracket = [origin, new]
    low = 0 if bracket[0][1] <= bracket[-1][1] else 1
    widest, stuck = np.abs(d).max(), False
    while not done and tries < most:
        ends = bracket[0][0], bracket[1][0]
        if abs(ends[1] - ends[0]) * widest < tolerance:
            break
        t = cubic_minimum(*bracket)
        margin = 0.1 * (max(ends) - min(ends))  # too close to an end twice: step away from it
        if min(max(ends) - t, t - min(ends)) < margin:
            if stuck or t >= max(ends) or t <= min(ends):
                t = max(ends) - margin if abs(t - max(ends)) < abs(t - min(ends)) else min(ends) + margin
                stuck = False
            else:
                stuck = True
        else:
            stuck = False
        new = along(t)
        evaluations += 1
        tries += 1
        _, value, _, new_slope = new
        if value > loss + c1 * t * slope or value >= bracket[low][1]:
            bracket[1 - low] = new
            low = 0 if bracket[0][1] <= bracket[1][1] else 1
        else:
            if abs(new_slope) <= -c2 * slope:
                done = True
            elif new_slope * (bracket[1 - low][0] - bracket[low][0]) >= 0:
                bracket[1 - low] = bracket[low]
            bracket[low] = new
    t, loss, g, _ = bracket[low]
    return t, loss, g, evaluations
