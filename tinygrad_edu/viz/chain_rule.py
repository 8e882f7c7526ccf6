"""explain(loss, w): the chain rule with the numbers of one computation: every path, its factors, their product, the sum."""

from heapq import heappop, heappush
from html import escape

import numpy as np

from ..autograd.tensor import Tensor
from . import formula, text, trace

MOST = 8  # paths that are written out; of more, the sum is grouped by what w enters first
LONGEST = 90  # letters of a formula that is written out
WAYS = 4  # ways from one named tensor to the next that are written out
LARGEST = 20_000  # single derivatives that are looked at element by element
PRODUCTS = {"affine", "matmul"}  # operators in which every slope is a single element of the other input
SPELLED = {"add", "sub", "mul", "div", "neg", "square"}  # operators whose unnamed results are written as what they are: (1 − y)


class Step:
    """One operator on a path: the derivative of one element of its result for one element of one input."""

    def __init__(self, node, element, parent, parent_element, slot, factor):
        self.node, self.element, self.parent, self.parent_element = node, element, parent, parent_element
        self.slot, self.factor = slot, factor


class Factor:
    """One factor of a path: the derivative of a named tensor for the one before it, over all ways between the two.

    `result` and `source` are these two, as (node, element);
    `ways` are lists of steps, oldest first (None where there are more than are written out), `count` says how many there are;
    `direct` is set where other paths lead from one to the other too, through a named tensor, which this factor leaves out.
    """

    def __init__(self, result, source):
        self.result, self.source = result, source
        self.value, self.count, self.ways, self.direct = 0.0, 0, [], False


class Path:
    """One way from w to the loss through named tensors: its factors, oldest first, and their product."""

    def __init__(self, factors):
        self.factors = factors
        self.product = 1.0
        for factor in reversed(factors):
            self.product = self.product * factor.value

    @property
    def died(self):
        """The first step, seen from the loss, that multiplies by zero; None if the path is alive."""
        dead = (f for f in reversed(self.factors) if f.value == 0)
        return next((step for f in dead for way in f.ways or () for step in reversed(way) if step.factor == 0), None)


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
        rows = "".join(f'<mtr><mtd style="text-align:right">{a}</mtd><mtd><mo>=</mo></mtd><mtd style="text-align:left">{b}</mtd></mtr>'
                       for a, b in self.math_lines)  # fmt: skip
        return f'<math xmlns="http://www.w3.org/1998/Math/MathML"><mtable displaystyle="true">{rows}</mtable></math>'

    def __str__(self):
        return self.text

    def __repr__(self):
        return self.text

    def _repr_mimebundle_(self, include=None, exclude=None, **options):
        html = (f'<div style="overflow-x:auto;margin:.6em 0">{self.mathml}</div>'
                f"<details><summary>Operator by operator, as text</summary><pre>{escape(self.text)}</pre></details>")  # fmt: skip
        return {"text/plain": self.text, "text/html": html, "text/latex": f"$${self.latex}$$"}


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

    def factors(self, reach, counts):
        """{(node, element): [the factors from it to the named tensors before it]} for the loss and every named tensor on the way.

        None where there is too much to add up.
        """
        found, stack, looked = {}, [(self.root, 0)], 0
        while stack:
            start = stack.pop()
            if start in found or start not in reach:
                continue
            ends, slopes, ways, many = {}, {start: 1.0}, {start: [()]}, {start: 1}
            waiting = [(-start[0].birth, start[1], start)]
            while waiting:  # back propagation from one named tensor to those before it, element by element
                key = heappop(waiting)[2]
                for slot, parent, k, factor in reach[key]:
                    below = (parent, k)
                    looked += 1
                    if not counts.get(below):
                        continue
                    longer = [(Step(key[0], key[1], parent, k, slot, factor), *way) for way in ways[key]]
                    if parent in self.inner:
                        end = ends.setdefault(below, Factor(start, below))
                        end.value += slopes[key] * factor
                        end.count += many[key]
                        end.ways += longer
                        continue
                    if below not in slopes:
                        heappush(waiting, (-parent.birth, k, below))
                    slopes[below] = slopes.get(below, 0.0) + slopes[key] * factor
                    many[below] = many.get(below, 0) + many[key]
                    ways[below] = [*ways.get(below, []), *longer][: WAYS + 1]
            if looked > 5 * LARGEST:
                return None
            for end in ends.values():
                end.ways = sorted(end.ways, key=lambda way: [step.slot for step in reversed(way)]) if end.count <= WAYS else None
            found[start] = list(ends.values())
            stack += ends
        return found

    def named_paths(self, factors):
        """All paths through named tensors, from the loss down to w, without recursion; None where there are more than are written out."""
        counts = {(self.w, self.element): 1}
        for key in sorted(factors, key=lambda k: k[0].birth):
            counts[key] = sum(counts.get(f.source, 0) for f in factors[key])
        if counts.get((self.root, 0), 0) > self.most:
            return None
        paths, stack = [], [((self.root, 0), ())]
        while stack:
            key, tail = stack.pop()
            if key == (self.w, self.element):
                paths.append(Path(list(tail)))
                continue
            for factor in reversed(factors.get(key, [])):
                if counts.get(factor.source):
                    stack.append((factor.source, (factor, *tail)))
        longer = {(p.factors[i].source, p.factors[k].result) for p in paths for i in range(len(p.factors)) for k in range(i + 1, len(p.factors))}
        for factor in (f for p in paths for f in p.factors):
            factor.direct = (factor.source, factor.result) in longer
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
        factors = self.factors(reach, counts) if counts is not None else None
        paths = self.named_paths(factors) if factors is not None else None
        return self.by_paths(paths) if paths is not None else self.by_uses(count, counts)

    def number(self, x):
        """A number in the explanation's precision."""
        return text.number(float(x), self.digits)

    def factor(self, x):
        """A number as a factor: negative ones in brackets."""
        words = self.number(x)
        return f"({words})" if words.startswith("−") else words

    def derivative(self, a, b, kind="text", direct=False):
        """∂a/∂b, for (name, name)."""
        if kind == "text":
            return f"∂{a}/∂{b}" + (" (direct)" if direct else "")
        if kind == "latex":
            words = rf"\frac{{\partial {formula.tex_name(a)}}}{{\partial {formula.tex_name(b)}}}"
            return rf"\left.{words}\right|_{{\text{{direct}}}}" if direct else words
        words = f"<mfrac><mrow><mo>∂</mo>{formula.ml_name(a)}</mrow><mrow><mo>∂</mo>{formula.ml_name(b)}</mrow></mfrac>"
        return f"<msub><mrow>{words}<mo>|</mo></mrow><mtext>direct</mtext></msub>" if direct else words

    def slope(self, factor, kind="text"):
        """∂a/∂b of a factor."""
        return self.derivative(self.name(*factor.result), self.name(*factor.source), kind, factor.direct)

    def by_paths(self, paths):
        """Few paths: each written out."""
        w, root = self.name(self.w, self.element), self.name(self.root)
        left = self.derivative(root, w)
        pad = " " * len(left)
        lines, tex, math = [], [], []
        many = len(paths) > 1
        for number, path in enumerate(paths):
            parts = path.factors[::-1]
            chain = " · ".join(map(self.slope, parts)) or "1"
            numbers = " · ".join(self.factor(f.value) for f in parts) or "1"
            result = self.number(path.product)
            below = [numbers, result] if len(parts) > 1 else [result]
            head = f"path {number + 1} of {len(paths)}:  " if many else f"{left} = "
            lines += [head + chain, *(" " * (len(head) - 2) + f"= {words}" for words in below)]
            if path.died is not None:
                lines.append("  " + self.death(path.died))
            head = self.derivative(root, w, "latex") if not many else rf"\text{{path {number + 1}}}"
            tex.append(f"{head} &= " + (r" \cdot ".join(self.slope(f, "latex") for f in parts) or "1"))
            product = r" \cdot ".join(formula.tex_number(self.factor(f.value)) for f in parts) + " = " if len(parts) > 1 else ""
            tex.append(f"&= {product}{formula.tex_number(result)}")
            head = self.derivative(root, w, "mathml") if not many else f"<mtext>path {number + 1}</mtext>"
            math.append((head, "<mo>·</mo>".join(self.slope(f, "mathml") for f in parts) or "<mn>1</mn>"))
            product = "<mo>·</mo>".join(f"<mn>{self.factor(f.value)}</mn>" for f in parts) + "<mo>=</mo>" if len(parts) > 1 else ""
            math.append(("", f"{product}<mn>{result}</mn>"))
        if many:
            total = sum(p.product for p in paths)
            summed = " + ".join(self.factor(p.product) for p in paths)
            lines += ["", f"{left} = {summed}", f"{pad} = {self.number(total)}"]
            tex.append(f"{self.derivative(root, w, 'latex')} &= {summed.replace('−', '-')} = {formula.tex_number(self.number(total))}")
            math.append((self.derivative(root, w, "mathml"), f"<mn>{summed}</mn><mo>=</mo><mn>{self.number(total)}</mn>"))
        seen, details = set(), []
        for factor in (f for path in paths for f in path.factors[::-1]):
            if id(factor) not in seen:
                seen.add(id(factor))
                details += self.details(factor)
                found = self.formula_of_factor(factor)
                if found is not None:
                    tex.append(f"{self.slope(factor, 'latex')} &= {formulas(found, factor.value, 'latex', self.digits)}")
                    math.append((self.slope(factor, "mathml"), formulas(found, factor.value, "mathml", self.digits)))
        return self.finish([*lines, "", *details], tex, math, paths, len(paths), sum(p.product for p in paths))

    def details(self, factor):
        """The lines that say where one factor comes from: each operator on each way."""
        head = f"  {self.slope(factor)} = {self.number(factor.value)}"
        if factor.ways is None:
            return [f"{head}, over {factor.count:,} ways"]
        steps = [[f"    {step.node.op.symbol:<4} {self.reason(step)}" for step in reversed(way)] for way in factor.ways]
        if len(steps) == 1:
            return [head, *steps[0]]
        products = [float(np.prod([step.factor for step in way])) for way in factor.ways]
        lines = [f"  {self.slope(factor)} = {' + '.join(map(self.factor, products))} = {self.number(factor.value)}, over {len(steps)} ways"]
        for number, way in enumerate(steps):
            lines += way if all(len(w) == 1 for w in steps) else [f"   way {number + 1}:", *way]
        return lines

    def reason(self, step):
        """How one step's factor comes about: the rule's formula, with numbers put in."""
        found, result = self.formula_of(step), self.number(step.factor)
        if found is None or len(formula.written(found, False, self.digits)) > LONGEST:
            return f"{step.node.op.formula}:  {result}"
        return formulas(found, step.factor, "text", self.digits)

    def formula_of_factor(self, factor):
        """The formula of a whole factor: the product of its steps, added up over the ways; None where one of them has none, or it is long."""
        total = None
        for way in factor.ways or ():
            product = None
            for step in reversed(way):
                found = self.formula_of(step)
                if found is None or np.size(found.value) > 1 and (len(way) > 1 or len(factor.ways) > 1):
                    return None
                product = found if product is None else formula.made("·", formula.value_of(product) * formula.value_of(found), product, found)
            total = product if total is None else formula.made("+", formula.value_of(total) + formula.value_of(product), total, product)
        return total if total is not None and len(formula.written(total, False, self.digits)) <= LONGEST else None

    def formula_of(self, step):
        """The rule of a step, run on symbols; None where that does not give the very factor."""
        node = step.node
        if node.op.together or node.op.kind == "function":
            return None
        if node.op.name in PRODUCTS:
            return self.partner(step)
        saved = trace.arguments_of(node)[step.slot]
        called = {}
        for i, x in enumerate(node.op.inputs if not node.op.variadic else []):
            parent = trace.parents(node)[i] if i < len(trace.parents(node)) else None
            if parent is not None:
                called[x] = self.called(node, step.element, parent) or self.spelled(node, step.element, parent) or unnamed(parent, x)
            else:
                called[x] = self.names.constant(node, i) or x
        out_name = self.named(node, step.element if node.op.kind == "elementwise" else None) or "out"
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

    def partner(self, step):
        """What one element of a matrix product's input is multiplied with on the way to one element of the result: weight[2, 1]."""
        node = step.node
        if not trace.recorded(node) or step.slot > 1:
            return None
        arrays, other = trace.given(node), 1 - step.slot
        out, own = (np.unravel_index(k, n.shape) for k, n in ((step.element, node), (step.parent_element, step.parent)))
        if node.op.name == "affine":
            place = (*out[-1:], *own[-1:]) if other == 1 else (*out[:-1], own[-1])
        else:
            ends = np.ndim(arrays[0]) > 1, np.ndim(arrays[1]) > 1  # a vector has no row, or no column
            row, column = out[-1 - ends[1]] if ends[0] else None, out[-1] if ends[1] else None
            place = (own[-1], column) if other == 1 else (row, own[-1 - ends[1]])
            place = (*out[: len(out) - sum(ends)], *(i for i in place if i is not None))[-np.ndim(arrays[other]) :]
        parent = trace.parents(node)[other]
        words = self.named(parent) if parent is not None else self.names.constant(node, other)
        words = words or unnamed(parent, trace.place_name(node.op, other))
        if len(place) != np.ndim(arrays[other]) or any(i >= n for i, n in zip(place, np.shape(arrays[other]))):
            return None
        value = np.asarray(arrays[other])[place]
        shown = f"{words}[{', '.join(map(str, place))}]" if np.size(arrays[other]) > 1 else words
        return formula.name(shown, value) if np.isclose(float(value), step.factor, rtol=1e-5, equal_nan=True) else None

    def named(self, node, element=None):
        """The name of a tensor and, where it has several, of its element; None if it has none."""
        known = node in self.names.nodes or node in self.auto or node in (self.w, self.root)
        return self.name(node, element) if known else None

    def called(self, node, element, parent):
        """The name of an input, with the element that goes into an element of the result where it is clear."""
        return self.named(parent, self.own_element(node, element, parent) if node.op.kind == "elementwise" else None)

    def spelled(self, node, element, parent):
        """An unnamed input of an elementwise step as what it was made from, such as 1 − y, where that is short; else None."""
        if node.op.kind != "elementwise" or parent.op is None or parent.op.name not in SPELLED or not trace.recorded(parent):
            return None
        place, arguments = self.own_element(node, element, parent), []
        for i, (source, value) in enumerate(zip(trace.parents(parent), trace.given(parent))):
            words = self.called(parent, place, source) if source is not None else self.names.constant(parent, i)
            value = self.at(parent, value, place)
            if source is not None and not words:
                return None
            arguments.append(formula.name(words, value) if words else formula.symbol(value))
        found = formula.symbol(parent.op.forward(*arguments, **parent.params))
        return found if len(formula.written(found)) <= 24 else None

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
        words = self.reason(step)
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


def unnamed(node, slot):
    """What stands for an input without a name: the operator that made it, or the name of its place."""
    return f"{node.op.symbol}(…)" if node is not None and node.op is not None and node.op.symbol.isidentifier() else slot


def formulas(found, value, kind, digits):
    """A formula, the same with numbers put in, and its value, joined by =, without repetitions."""
    write, sign = dict(text=(formula.written, " = "), latex=(formula.latex, " = "), mathml=(formula.mathml, "<mo>=</mo>"))[kind]
    result = text.number(float(value), digits)
    result = result if kind == "text" else formula.tex_number(result) if kind == "latex" else f"<mn>{result}</mn>"
    chain = [write(found, False, digits), write(found, True, digits), result]
    if kind == "text":
        chain = [chain[0], *(x for x in chain[1:] if x != chain[0])]
    return sign.join(x for k, x in enumerate(chain) if k == 0 or x != chain[k - 1])


__all__ = ["Explanation", "Factor", "Path", "Step", "explain"]
