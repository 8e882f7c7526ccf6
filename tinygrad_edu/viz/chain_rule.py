"""explain(loss, w): the chain rule with the numbers of one computation: every path, its factors, their product, the sum."""

from html import escape

import numpy as np

from ..autograd.tensor import Tensor
from . import formula, text, trace

MOST = 8  # paths that are written out; of more, the sum is grouped by what w enters first
LARGEST = 20_000  # single derivatives that are looked at element by element


class Step:
    """One operator on a path: the derivative of one element of its result for one element of one input."""

    def __init__(self, node, element, parent, parent_element, slot, factor):
        self.node, self.element, self.parent, self.parent_element = node, element, parent, parent_element
        self.slot, self.factor = slot, factor


class Path:
    """One way from w to the loss: its steps, oldest first, and the product of their factors."""

    def __init__(self, steps):
        self.steps = steps
        self.product = 1.0
        for step in reversed(steps):
            self.product = self.product * step.factor

    @property
    def died(self):
        """The first step, seen from the loss, that multiplies by zero; None if the path is alive."""
        return next((s for s in reversed(self.steps) if s.factor == 0), None)


class Explanation:
    """The chain rule in numbers: print it, or take `.text`, `.latex`, `.mathml`; notebooks typeset it.

    `paths` are the ways from w to the loss (those that are written out), `count` how many there are, `total` their sum,
    `gradient` what the engine computes.
    """

    def __init__(self, lines, latex_lines, math_lines, paths, count, total, gradient):
        self.lines, self.latex_lines, self.math_lines = lines, latex_lines, math_lines
        self.paths, self.count, self.total, self.gradient = paths, count, total, gradient

    @property
    def text(self):
        """The explanation as plain text."""
        return "\n".join(self.lines)

    @property
    def latex(self):
        """The chain rule and its numbers as a LaTeX `aligned` block."""
        return "\\begin{aligned}\n" + " \\\\\n".join(self.latex_lines) + "\n\\end{aligned}"

    @property
    def mathml(self):
        """The same in MathML, which browsers typeset by themselves."""
        rows = "".join(f"<mtr><mtd columnalign='right'>{a}</mtd><mtd><mo>=</mo></mtd><mtd columnalign='left'>{b}</mtd></mtr>"
                       for a, b in self.math_lines)  # fmt: skip
        return f'<math xmlns="http://www.w3.org/1998/Math/MathML" display="block"><mtable>{rows}</mtable></math>'

    def __str__(self):
        return self.text

    def __repr__(self):
        return self.text

    def _repr_mimebundle_(self, include=None, exclude=None, **options):
        return {"text/plain": self.text, "text/html": f"{self.mathml}<pre>{escape(self.text)}</pre>", "text/latex": f"$${self.latex}$$"}


def explain(loss, w, *args, index=None, order="youngest first", names=None, model=None, most=MOST, digits=4):
    """Explain ∂loss/∂w by the chain rule, in numbers: every path from w to the loss, its factors, their product, the sum.

    `loss` is a scalar tensor (before backward(), or recorded), or a function that is run on `args`. Of a `w` with several
    elements, `index` chooses one; by itself it is the one with the largest gradient. `order="naive"` shows instead what
    goes wrong when backward visits a tensor as soon as its first gradient arrives.

    >>> import tinygrad_edu as tg
    >>> w, x = tg.tensor(3.0, requires_grad=True), tg.tensor(2.0)
    >>> print(tg.explain(lambda: (w * x) ** 2, w))
    ∂L/∂w = ∂L/∂v1 · ∂v1/∂w
          = 12 · 2
          = 24
    <BLANKLINE>
      ∂L/∂v1 = 12
        ^    v1 · 2 = 6 · 2 = 12
      ∂v1/∂w = 2
        ×    x = 2
    """
    if order not in ("youngest first", "naive"):
        raise ValueError(f"explain(order={order!r}): order is 'youngest first' or 'naive'")
    scopes, done = trace.callers_scopes(), None
    if not isinstance(loss, Tensor) and callable(loss):
        done = trace.run(loss, args)
        scopes, loss = [*done.scopes, done.arguments, *scopes], done.result
    for name, t in dict(loss=loss, w=w).items():
        if not isinstance(t, Tensor):
            raise TypeError(f"explain(): {name} must be a Tensor, got {type(t).__name__}")
        if t.node is None:
            raise ValueError(f"explain(): {name} does not require grad, so no gradient flows there; create the leaves with "
                             "requires_grad=True")  # fmt: skip
    if loss.array.size != 1:
        raise ValueError(f"explain(): the loss must be a single number, and it has shape {list(loss.shape)}; explain one of its elements, as in loss[0]")
    nodes = trace.ancestors(loss.node)
    if w.node not in nodes:
        raise ValueError("explain(): the loss does not depend on w: there is no path from one to the other")
    namer = trace.Names(scopes, names, model)
    namer.add_assigned(nodes)
    return Writer(loss.node, w, nodes, namer, index, most, digits, done).write(naive=order == "naive")


class Writer:
    """The work of one explanation."""

    def __init__(self, root, w, nodes, names, index, most, digits, done):
        self.root, self.w, self.names, self.most, self.digits = root, w.node, names, most, digits
        self.gradients = trace.all_gradients([root])
        if self.w not in self.gradients:
            self.gradients[self.w] = np.zeros(self.w.shape, self.w.dtype)
        g = np.asarray(self.gradients[self.w])
        self.size = g.size
        if index is not None:
            index = index if isinstance(index, tuple) else (index,)
            try:
                self.element = int(np.ravel_multi_index([int(i) % n for i, n in zip(index, self.w.shape, strict=True)], self.w.shape))
            except (ValueError, ZeroDivisionError):
                raise IndexError(f"explain(index={index}): w has shape {list(self.w.shape)}, and an index needs one number per dimension") from None
        else:
            self.element = int(np.argmax(np.abs(np.nan_to_num(g)))) if g.size > 1 else 0
        self.gradient = g.reshape(-1)[self.element]
        needed = {self.w}
        for node in nodes:
            if any(p in needed for p in trace.parents(node)):
                needed.add(node)
        self.order = [n for n in nodes if n in needed]
        self.needed = needed
        self.jacobians: dict = {}
        self.auto: dict = {}
        self.inner = self.breaks()

    # --- names -------------------------------------------------------------------------------------------------------

    def breaks(self):
        """The tensors at which the chain is cut into factors: those with names; all, if none between w and loss has one."""
        between = [n for n in self.order if n is not self.root and n is not self.w]
        named = [n for n in between if n in self.names.nodes]
        if named:
            return {*named, self.root, self.w}
        for k, n in enumerate(between):
            self.auto[n] = f"v{k + 1}"
        return {*between, self.root, self.w}

    def name(self, node, element=None):
        """What a tensor is called, with the element's index where there are several."""
        if node is self.root:
            words = self.names.nodes.get(node, "L")
        elif node is self.w:
            words = self.names.nodes.get(node, "w")
        else:
            words = self.names.nodes.get(node) or self.auto.get(node) or node.op.symbol
        size = int(np.prod(node.shape))
        if element is not None and size > 1:
            words += f"[{', '.join(map(str, np.unravel_index(element, node.shape)))}]"
        return words

    # --- derivatives, element by element -----------------------------------------------------------------------------

    def row(self, node, element):
        """[(slot, parent, parent's element, factor)] of one element of a result."""
        found = self.jacobians.get((node, element))
        if found is not None:
            return found
        hot = np.zeros(node.shape, node.dtype)
        hot.reshape(-1)[element] = 1
        found = []
        for slot, (parent, c) in enumerate(zip(trace.parents(node), trace.contributions(node, hot))):
            if c is None or parent not in self.needed:
                continue
            flat = np.asarray(c).reshape(-1)
            if node.op.kind == "elementwise":
                own = self.own_element(node, element, parent)
                found.append((slot, parent, own, float(flat[own])))
            else:
                reached = np.flatnonzero(flat)
                zero = [] if reached.size or flat.size > 1 else [0]
                found += [(slot, parent, int(k), float(flat[k])) for k in [*reached, *zero]]
        self.jacobians[node, element] = found
        return found

    def own_element(self, node, element, parent):
        """Which element of a broadcast input goes into one element of the result."""
        place = np.unravel_index(element, node.shape)[len(node.shape) - len(parent.shape) :]
        place = tuple(0 if n == 1 else i for i, n in zip(place, parent.shape))
        return int(np.ravel_multi_index(place, parent.shape)) if parent.shape else 0

    def ways(self):
        """{(node, element): [(step to it from an input …)]} for everything between, and how many paths lead to each."""
        reach, stack, derivatives = {}, [(self.root, 0)], 0
        while stack:
            key = stack.pop()
            if key in reach or key[0].op is None or key[0] is self.w:
                continue
            reach[key] = self.row(*key)
            derivatives += len(reach[key])
            if derivatives > LARGEST:
                return None, None
            stack += [(parent, k) for _, parent, k, _ in reach[key]]
        counts = {(self.w, self.element): 1}
        for key in sorted(reach, key=lambda k: k[0].birth):
            counts[key] = sum(counts.get((parent, k), 0) for _, parent, k, _ in reach[key])
        return reach, counts

    def enumerate(self, reach, counts):
        """All paths, from the loss down to w; without recursion."""
        paths, stack = [], [((self.root, 0), ())]
        while stack:
            key, tail = stack.pop()
            if key == (self.w, self.element):
                paths.append(Path(list(tail)))
                continue
            for slot, parent, k, factor in reversed(reach.get(key, [])):
                if counts.get((parent, k)):
                    stack.append(((parent, k), (Step(key[0], key[1], parent, k, slot, factor), *tail)))
        return paths

    # --- writing -----------------------------------------------------------------------------------------------------

    def write(self, naive=False):
        """The explanation."""
        if naive:
            return self.naive()
        reach, counts = self.ways() if self.root is not self.w else ({}, {(self.root, 0): 1})
        count = counts.get((self.root, 0), 0) if counts is not None else None
        if count == 0:
            return self.nothing()
        if count is not None and count <= self.most:
            return self.by_paths(self.enumerate(reach, counts))
        return self.by_uses(count, counts)

    def number(self, x):
        """A number in the explanation's precision."""
        return text.number(float(x), self.digits)

    def factor(self, x):
        """A number as a factor: negative ones in brackets."""
        words = self.number(x)
        return f"({words})" if words.startswith("−") else words

    def derivative(self, a, b, kind="text"):
        """∂a/∂b, for (name, name)."""
        if kind == "text":
            return f"∂{a}/∂{b}"
        if kind == "latex":
            return rf"\frac{{\partial {formula.tex_name(a)}}}{{\partial {formula.tex_name(b)}}}"
        return f"<mfrac><mrow><mo>∂</mo>{formula.ml_name(a)}</mrow><mrow><mo>∂</mo>{formula.ml_name(b)}</mrow></mfrac>"

    def segments(self, path):
        """The path cut at named tensors: [(from, to, steps, product)], the loss's end first."""
        out, steps = [], []
        for step in path.steps:
            steps.append(step)
            if step.node in self.inner:
                product = 1.0
                for s in reversed(steps):
                    product *= s.factor
                out.append((self.name(steps[0].parent, steps[0].parent_element), self.name(step.node, step.element), steps, product))
                steps = []
        return out[::-1]

    def by_paths(self, paths):
        """Few paths: each written out."""
        w, root = self.name(self.w, self.element), self.name(self.root)
        left = self.derivative(root, w)
        pad = " " * len(left)
        lines, tex, math = [], [], []
        many = len(paths) > 1
        for number, path in enumerate(paths):
            parts = self.segments(path)
            chain = " · ".join(self.derivative(b, a) for a, b, _, _ in parts) or "1"
            numbers = " · ".join(self.factor(p) for *_, p in parts) or "1"
            if many:
                lines.append(f"path {number + 1} of {len(paths)}:  {chain}")
                lines.append(f"{' ' * len(f'path {number + 1} of {len(paths)}:')}= {numbers}")
                lines.append(f"{' ' * len(f'path {number + 1} of {len(paths)}:')}= {self.number(path.product)}")
            else:
                lines += [f"{left} = {chain}", f"{pad} = {numbers}", f"{pad} = {self.number(path.product)}"]
            if path.died is not None:
                lines.append("  " + self.death(path.died))
            head = self.derivative(root, w, "latex") if not many else rf"\text{{path {number + 1}}}"
            tex.append(f"{head} &= " + r" \cdot ".join(self.derivative(b, a, "latex") for a, b, _, _ in parts))
            tex.append("&= " + r" \cdot ".join(formula.tex_number(self.factor(p)) for *_, p in parts) + f" = {formula.tex_number(self.number(path.product))}")
            head = self.derivative(root, w, "mathml") if not many else f"<mtext>path {number + 1}</mtext>"
            math.append((head, "<mo>·</mo>".join(self.derivative(b, a, "mathml") for a, b, _, _ in parts) or "<mn>1</mn>"))
            math.append(("", "<mo>·</mo>".join(f"<mn>{self.factor(p)}</mn>" for *_, p in parts) + f"<mo>=</mo><mn>{self.number(path.product)}</mn>"))
        if many:
            total = sum(p.product for p in paths)
            summed = " + ".join(self.factor(p.product) for p in paths)
            lines += ["", f"{left} = {summed}", f"{pad} = {self.number(total)}"]
            tex.append(f"{self.derivative(root, w, 'latex')} &= {summed.replace('−', '-')} = {formula.tex_number(self.number(total))}")
            math.append((self.derivative(root, w, "mathml"), f"<mn>{summed}</mn><mo>=</mo><mn>{self.number(total)}</mn>"))
        seen = set()
        details = []
        for path in paths:
            for a, b, steps, product in self.segments(path):
                if (a, b, len(steps), steps[0].node) in seen:
                    continue
                seen.add((a, b, len(steps), steps[0].node))
                details.append(f"  {self.derivative(b, a)} = {self.number(product)}")
                for step in reversed(steps):
                    words, latex_words, math_words = self.reason(step)
                    details.append(f"    {step.node.op.symbol:<4} {words}")
                    if latex_words and len(steps) == 1:
                        tex.append(rf"{self.derivative(b, a, 'latex')} &= {latex_words}")
                        math.append((self.derivative(b, a, "mathml"), math_words))
        return self.finish([*lines, "", *details], tex, math, paths, len(paths), sum(p.product for p in paths))

    def reason(self, step):
        """How one factor comes about: the rule's formula, with numbers put in, as text, LaTeX and MathML."""
        found = self.formula_of(step)
        result = self.number(step.factor)
        if found is None:
            return f"{step.node.op.formula}:  {result}", "", ""
        words, numbers = formula.written(found, False, self.digits), formula.written(found, True, self.digits)
        if len(words) > 90:
            return f"{step.node.op.formula}:  {result}", "", ""
        chain = [words, *(x for x in (numbers, result) if x != words)]
        chain = [x for k, x in enumerate(chain) if k == 0 or x != chain[k - 1]]
        tex = [formula.latex(found), formula.latex(found, True), formula.tex_number(result)]
        math = [formula.mathml(found), formula.mathml(found, True), f"<mn>{result}</mn>"]
        tex = [x for k, x in enumerate(tex) if k == 0 or x != tex[k - 1]]
        math = [x for k, x in enumerate(math) if k == 0 or x != math[k - 1]]
        return " = ".join(chain), " = ".join(tex), "<mo>=</mo>".join(math)

    def formula_of(self, step):
        """The rule of a step, run on symbols; None where that does not give the very factor."""
        node = step.node
        if node.op.together or node.op.kind == "function":
            return None
        saved = trace.arguments_of(node)[step.slot]
        called = {}
        for i, x in enumerate(node.op.inputs if not node.op.variadic else []):
            parent = trace.parents(node)[i] if i < len(trace.parents(node)) else None
            if parent is not None:
                called[x] = self.names.nodes.get(parent) or self.auto.get(parent) or ("w" if parent is self.w else x)
            else:
                called[x] = self.names.constant(node, i) or x
        out_name = self.names.nodes.get(node) or self.auto.get(node) or "out"
        if node.op.kind == "elementwise":
            saved = tuple(self.at(node, v, step.element) for v in saved)
            found = formula.rule_on_symbols(node.op, step.slot, saved, called, out_name=out_name)
        else:
            hot = np.zeros(node.shape, node.dtype)
            hot.reshape(-1)[step.element] = 1
            found = formula.rule_on_symbols(node.op, step.slot, saved, called, hot, out_name=out_name)
        if found is None:
            return None
        value = np.asarray(formula.value_of(found), np.float64)
        if value.size == 1:
            right = np.isclose(float(value.reshape(-1)[0]), step.factor, rtol=1e-5, equal_nan=True)
        else:
            right = value.size > step.parent_element and np.isclose(value.reshape(-1)[step.parent_element], step.factor, rtol=1e-5)
        return found if right else None

    def at(self, node, value, element):
        """One element of something that an elementwise rule gets."""
        if not isinstance(value, np.ndarray) or not value.ndim:
            return value
        try:
            return np.broadcast_to(value, node.shape).reshape(-1)[element]
        except ValueError:
            return value

    def death(self, step):
        """Why a path carries nothing."""
        words = self.reason(step)[0]
        return f"died at {step.node.op.name}: its derivative for {self.name(step.parent, step.parent_element)} is 0 here  ({words})"

    def by_uses(self, count, counts):
        """Many paths: the sum, grouped by the operators that w enters first."""
        rows = []
        for node in self.order:
            if self.w not in trace.parents(node) or node not in self.gradients:
                continue
            g = np.asarray(self.gradients[node])
            if count is None:
                for parent, c in zip(trace.parents(node), trace.contributions(node, g)):
                    if parent is self.w and c is not None:
                        rows.append((f"through {self.name(node)} ({node.op.name})", None, None, float(np.asarray(c).reshape(-1)[self.element]), None))
                continue
            for element in range(g.size):
                if not counts.get((node, element)):
                    continue
                for slot, parent, k, factor in self.jacobians.get((node, element), []):
                    if parent is self.w and k == self.element:
                        upstream = float(g.reshape(-1)[element])
                        name = self.name(node, element)
                        twice = sum(p is self.w for p in trace.parents(node)) > 1
                        where = f", as {node.op.inputs[slot] if not node.op.variadic else slot} of {node.op.symbol}" if twice else ""
                        rows.append((name, upstream, factor, upstream * factor, where))
        total = sum(r[3] for r in rows)
        w, root = self.name(self.w, self.element), self.name(self.root)
        left = self.derivative(root, w)
        how = f"{count:,} paths" if count is not None else "more paths than can be counted"
        lines = [f"{left} = {self.number(total)}:  {how} lead from {w} to {root}, grouped by what {w} enters first:", ""]
        tex, math = [], []
        shown = sorted(rows, key=lambda r: -abs(r[3]))[: 4 * self.most]
        width = max(len(r[0]) for r in shown)
        for name, upstream, factor, product, where in shown:
            if upstream is None:
                lines.append(f"  {name:<{width}}  {self.number(product)}")
            else:
                lines.append(f"  {self.derivative(root, name)} · {self.derivative(name, w)} = {self.factor(upstream)} · {self.factor(factor)} = {self.number(product)}{where}")
                tex.append(rf"{self.derivative(root, name, 'latex')} \cdot {self.derivative(name, w, 'latex')} &= {formula.tex_number(self.factor(upstream))} \cdot "
                           f"{formula.tex_number(self.factor(factor))} = {formula.tex_number(self.number(product))}")  # fmt: skip
                math.append((self.derivative(root, name, "mathml") + "<mo>·</mo>" + self.derivative(name, w, "mathml"),
                             f"<mn>{self.factor(upstream)}</mn><mo>·</mo><mn>{self.factor(factor)}</mn><mo>=</mo><mn>{self.number(product)}</mn>"))  # fmt: skip
        if len(rows) > len(shown):
            rest = sum(r[3] for r in rows) - sum(r[3] for r in shown)
            lines.append(f"  {len(rows) - len(shown):,} others together: {self.number(rest)}")
        dead = [r for r in rows if r[3] == 0]
        if dead:
            lines.append(f"  {len(dead)} of {len(rows)} carry nothing: a derivative on the way is 0")
        lines += ["", f"  sum = {self.number(total)}"]
        tex.append(f"{self.derivative(root, w, 'latex')} &= {formula.tex_number(self.number(total))}")
        math.append((self.derivative(root, w, "mathml"), f"<mn>{self.number(total)}</mn>"))
        return self.finish(lines, tex, math, [], count, total)

    def nothing(self):
        """No path reaches the element: its gradient is 0."""
        w, root = self.name(self.w, self.element), self.name(self.root)
        return self.finish([f"{self.derivative(root, w)} = 0: no path leads from {w} to {root}; every derivative on the way is 0, or the element is not used."],
                           [f"{self.derivative(root, w, 'latex')} &= 0"], [(self.derivative(root, w, "mathml"), "<mn>0</mn>")], [], 0, 0.0)  # fmt: skip

    def finish(self, lines, tex, math, paths, count, total):
        """The result, with a word about which element it is."""
        if self.size > 1:
            at = ", ".join(map(str, np.unravel_index(self.element, self.w.shape)))
            lines = [f"(element [{at}] of {self.size}; index= chooses another)", *lines]
        while lines and not lines[-1]:
            lines.pop()
        return Explanation(lines, tex, math, paths, count, total, float(self.gradient))

    # --- the wrong order ---------------------------------------------------------------------------------------------

    def naive(self):
        """What backward computes if it passes a gradient on as soon as the first contribution arrives."""
        for k, n in enumerate(n for n in self.order if n is not self.root and n is not self.w and n not in self.names.nodes):
            self.auto.setdefault(n, f"v{k + 1}")
        uses = {}
        for node in self.order:
            for p in trace.parents(node):
                if p in self.needed:
                    uses[p] = uses.get(p, 0) + 1
        for last_first in (False, True):
            grads, log = self.depth_first(uses, last_first)
            if log:
                break
        wrong = float(np.asarray(grads.get(self.w, np.zeros(self.w.shape))).reshape(-1)[self.element])
        right, w, root = float(self.gradient), self.name(self.w, self.element), self.name(self.root)
        which = "the last input first" if last_first else "the first input first"
        lines = [f"Naive order: follow the inputs depth first, {which}, and pass on what has arrived by then.", ""]
        for node, have, want, g in log:
            full = self.gradients[node]
            lines.append(f"  {self.name(node)} was visited when {have} of its {want} gradients had arrived: it passed on {text.array(g, self.digits, newline=' ')} "
                         f"instead of {text.array(full, self.digits, newline=' ')}")  # fmt: skip
        if not log:
            lines.append("  here every tensor on the way had all its gradients when it was visited, so nothing is lost")
        left = self.derivative(root, w)
        lines += ["", f"  {left} = {self.number(wrong)}   naive", f"  {left} = {self.number(right)}   youngest first: a tensor is visited after everything made from it",
                  "", "Nodes are numbered at birth, and a result is always younger than its inputs: going from the youngest",
                  "to the oldest, every gradient is complete before it is passed on."]  # fmt: skip
        tex = [rf"\text{{naive: }} {self.derivative(root, w, 'latex')} &= {formula.tex_number(self.number(wrong))}",
               rf"\text{{right: }} {self.derivative(root, w, 'latex')} &= {formula.tex_number(self.number(right))}"]  # fmt: skip
        math = [("<mtext>naive: </mtext>" + self.derivative(root, w, "mathml"), f"<mn>{self.number(wrong)}</mn>"),
                ("<mtext>right: </mtext>" + self.derivative(root, w, "mathml"), f"<mn>{self.number(right)}</mn>")]  # fmt: skip
        return self.finish(lines, tex, math, [], None, wrong)

    def depth_first(self, uses, last_first):
        """Gradients when each tensor is visited as soon as it is reached, and what was passed on too early."""
        grads, arrived, visited, stack, log = {self.root: np.ones(self.root.shape, self.root.dtype)}, {}, set(), [self.root], []
        while stack:
            node = stack.pop()
            if node in visited or node.op is None or node is self.w:
                continue
            visited.add(node)
            if arrived.get(node, 0) < uses.get(node, 0):
                log.append((node, arrived.get(node, 0), uses[node], grads[node]))
            parts = [(p, c) for p, c in zip(trace.parents(node), trace.contributions(node, grads[node])) if c is not None and p in self.needed]
            for parent, c in parts:
                grads[parent] = grads[parent] + c if parent in grads else c
                arrived[parent] = arrived.get(parent, 0) + 1
            stack += [p for p, _ in (parts if last_first else parts[::-1])]
        return grads, log


__all__ = ["Explanation", "Path", "Step", "explain"]
