"""Random programs, built step by step by hypothesis, against an engine that knows no graph.

The reference replays the recorded program on plain NumPy arrays and moves each leaf by a small imaginary step, so its
derivatives are exact; it shares no code with ours. Values and gradients must agree, or ours must have raised a clear error.
"""

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

import tinygrad_edu as tg

UNARY = {
    "sin": (lambda t: t.sin(), np.sin), "tanh": (lambda t: t.tanh(), np.tanh), "scaled": (lambda t: t * 0.5, lambda a: a * 0.5),
    "exp": (lambda t: (t * 0.1).exp(), lambda a: np.exp(a * 0.1)), "square": (lambda t: t * t * 0.25, lambda a: a * a * 0.25),
    "sigmoid": (lambda t: t.sigmoid(), lambda a: 1 / (1 + np.exp(-a))), "shifted": (lambda t: 1 - t, lambda a: 1 - a),
    "sum": (lambda t: t.sum(0, keepdim=True) * 0.5, lambda a: a.sum(0, keepdims=True) * 0.5 if a.ndim else a * 0.5),
    "mean": (lambda t: t.mean(-1, keepdim=True), lambda a: a.mean(-1, keepdims=True) if a.ndim else a),
    "clone": (lambda t: t.clone(), lambda a: a.copy()),
}  # fmt: skip
BINARY = {
    "add": (lambda x, y: x + y, np.add), "sub": (lambda x, y: x - y, np.subtract), "mul": (lambda x, y: x * y * 0.5, lambda a, b: a * b * 0.5),
    "div": (lambda x, y: x / (y * y + 2), lambda a, b: a / (b * b + 2)),
}  # fmt: skip
VIEWS = {
    "transpose": (lambda t: t.T, lambda a: a.T), "flat": (lambda t: t.view(-1) if t.is_contiguous() else t.T, lambda a: a.reshape(-1) if a.flags.c_contiguous else a.T),
    "first": (lambda t: t[0:1], lambda a: a[0:1]), "last": (lambda t: t[..., -1], lambda a: a[..., -1]),
    "rest": (lambda t: t[1:], lambda a: a[1:]), "every other": (lambda t: t[::2], lambda a: a[::2]), "unsqueezed": (lambda t: t.unsqueeze(0), lambda a: a[None]),
}  # fmt: skip
IN_PLACE = {
    "add_": (lambda t, y: t.add_(y), lambda a, b: a + b), "mul_": (lambda t, y: t.mul_(y), lambda a, b: a * b),
    "sub_": (lambda t, y: t.sub_(y), lambda a, b: a - b), "copy_": (lambda t, y: t.copy_(y), lambda a, b: b + 0 * a),
}  # fmt: skip
SHAPES = [(2, 3), (3,), (2, 1), (1, 3), (3, 3)]


class Programs(RuleBasedStateMachine):
    """Builds a program on our tensors, and notes it down as steps for the reference."""

    @initialize(seed=st.integers(0, 10**6), shapes=st.lists(st.sampled_from(SHAPES), min_size=2, max_size=3))
    def start(self, seed, shapes):
        rng = np.random.default_rng(seed)
        self.data = [rng.uniform(-1, 1, s) for s in shapes]
        self.tensors = [tg.tensor(d, requires_grad=True) for d in self.data]  # the first ones are the leaves
        self.steps = []  # functions of the list of the reference's arrays that append to it or write into it

    def pick(self, n):
        """An index, counted from the newest value."""
        return len(self.tensors) - 1 - n % len(self.tensors)

    def pick_result(self, n):
        """An index of something computed, if there is any: leaves cannot be updated in place."""
        return len(self.tensors) - 1 - n % max(len(self.tensors) - len(self.data), 1)

    def enter(self, tensor, step):
        """Enter a new value, on both sides."""
        if 0 < tensor.numel() < 40:
            self.tensors.append(tensor)
            self.steps.append(step)

    @rule(i=st.integers(0, 99), name=st.sampled_from(sorted(UNARY)))
    def unary(self, i, name):
        i, (ours, theirs) = self.pick(i), UNARY[name]
        if self.tensors[i].ndim:
            self.enter(ours(self.tensors[i]), lambda v: v.append(theirs(v[i])))

    @rule(i=st.integers(0, 99), j=st.integers(0, 99), name=st.sampled_from(sorted(BINARY)))
    def binary(self, i, j, name):
        i, j, (ours, theirs) = self.pick(i), self.pick(j), BINARY[name]
        if fits(self.tensors[i].shape, self.tensors[j].shape):
            self.enter(ours(self.tensors[i], self.tensors[j]), lambda v: v.append(theirs(v[i], v[j])))

    @rule(i=st.integers(0, 99), name=st.sampled_from(sorted(VIEWS)))
    def view(self, i, name):
        i, (ours, theirs) = self.pick(i), VIEWS[name]
        t = self.tensors[i]
        if t.ndim and (name != "rest" or len(t) > 1):
            self.enter(ours(t), lambda v: v.append(theirs(v[i])))

    @rule(i=st.integers(0, 99), data=st.data())
    def pick_rows(self, i, data):
        i = self.pick(i)
        t = self.tensors[i]
        if t.ndim:
            rows = data.draw(st.lists(st.integers(-len(t), len(t) - 1), min_size=1, max_size=3))
            self.enter(t[rows], lambda v: v.append(v[i][rows]))

    @rule(i=st.integers(0, 99), j=st.integers(0, 99), name=st.sampled_from(sorted(IN_PLACE)))
    def in_place(self, i, j, name):
        i, j, (ours, theirs) = self.pick_result(i), self.pick(j), IN_PLACE[name]
        x, y = self.tensors[i], self.tensors[j]
        if not stretches(y.shape, x.shape):
            return
        before = x.tolist()
        try:
            ours(x, y)
        except RuntimeError as error:
            assert "in place" in str(error) or "leaf" in str(error), error
            assert x.tolist() == before, "a refused update has written"
            return

        def step(v):
            v[i][...] = theirs(v[i], v[j].copy())

        self.steps.append(step)

    @rule(i=st.integers(0, 99), j=st.integers(0, 99), k=st.integers(0, 2))
    def set_item(self, i, j, k):
        i, j = self.pick_result(i), self.pick(j)
        x, y = self.tensors[i], self.tensors[j]
        index = [slice(0, 1), slice(None, None, 2), -1][k]
        if not x.ndim or not stretches(y.shape, x.array[index].shape):
            return
        try:
            x[index] = y
        except RuntimeError as error:
            assert "leaf" in str(error), error
            return

        def step(v):
            v[i][index] = v[j].copy()

        self.steps.append(step)

    @rule(i=st.integers(0, 99), j=st.integers(0, 99), view=st.sampled_from(sorted(VIEWS)), name=st.sampled_from(sorted(IN_PLACE)),
          on_base=st.booleans())  # fmt: skip
    def write_where_a_view_looks(self, i, j, view, name, on_base):
        """A copy, a view of it, and an update of one that the other must notice."""
        i, j, n = self.pick(i), self.pick(j), len(self.tensors)
        if self.tensors[i].ndim and (view != "rest" or len(self.tensors[i]) > 1):
            base, by = self.tensors[i].clone(), self.tensors[j].mean()
            pair = [base, VIEWS[view][0](base)]
            IN_PLACE[name][0](pair[0 if on_base else 1], by)
            self.tensors += [*pair, by]

            def step(v):
                base, by = v[i].copy(order="C"), np.asarray(v[j].mean())
                v += [base, VIEWS[view][1](base), by]
                target = v[n if on_base else n + 1]
                target[...] = IN_PLACE[name][1](target, by)

            self.steps.append(step)

    @rule(i=st.integers(0, 99))
    def detached_copy(self, i):
        i = self.pick(i)
        self.enter(self.tensors[i].detach().clone(), lambda v: v.append(v[i].real.astype(complex)))

    @rule(i=st.integers(0, 99))
    def without_graph(self, i):
        i = self.pick(i)
        with tg.no_grad():
            self.enter(self.tensors[i] * 2, lambda v: v.append(v[i].real * 2 + 0j))

    @rule(i=st.integers(0, 99), twice=st.booleans(), create_graph=st.booleans())
    def differentiate(self, i, twice, create_graph):
        """Gradients of one value with respect to all leaves, compared with the reference."""
        self.compare(self.pick(i), twice, create_graph)

    def teardown(self):
        for i in range(max(len(getattr(self, "tensors", ())) - 5, 0), len(getattr(self, "tensors", ()))):
            self.compare(i)

    def compare(self, i, twice=False, create_graph=False):
        out, leaves = self.tensors[i], self.tensors[: len(self.data)]
        if not out.requires_grad:
            assert not any(np.any(g) for g in self.reference(i)), "the graph was lost"
            return
        weights = np.cos(np.arange(out.numel())).reshape(out.shape)
        try:
            for _ in range(1 + twice):
                found = tg.autograd.grad(out, leaves, tg.tensor(weights), retain_graph=True, create_graph=create_graph, materialize_grads=True)
        except RuntimeError as error:
            assert "overwritten" in str(error), error  # refused: a value that a rule needs is gone
            return
        for k, (g, expected) in enumerate(zip(found, self.reference(i))):
            assert np.allclose(g.detach().numpy(), expected, 1e-9, 1e-9), (k, g, expected)

    def replay(self, leaves):
        values = list(leaves)
        for step in self.steps:
            step(values)
            values[-1] = np.asarray(values[-1])  # what NumPy returns as a number can be updated in place too
        return values

    def reference(self, i):
        """The gradients of value i, weighted, by an imaginary step of each element of each leaf."""
        result = []
        for k, d in enumerate(self.data):
            g = np.zeros(d.shape)
            for place in np.ndindex(d.shape):
                leaves = [x.astype(complex) for x in self.data]
                leaves[k][place] += 1e-30j
                out = self.replay(leaves)[i]
                g[place] = np.sum(out.imag * np.cos(np.arange(out.size)).reshape(out.shape)) / 1e-30
            result.append(g)
        return result

    @invariant()
    def values_agree(self):
        if not hasattr(self, "tensors"):
            return
        values = self.replay([d.astype(complex) for d in self.data])
        for t, v in zip(self.tensors, values, strict=True):
            assert np.allclose(t.array, v.real, 1e-9, 1e-9)


def fits(a, b):
    try:
        np.broadcast_shapes(a, b)
    except ValueError:
        return False
    return True


def stretches(small, large):
    """True if `small` broadcasts to `large`."""
    return fits(small, large) and np.broadcast_shapes(small, large) == tuple(large)


TestPrograms = Programs.TestCase
TestPrograms.settings = settings(max_examples=settings().max_examples * 8, stateful_step_count=20)
