"""play(fn): one HTML file that steps forward and backward through a computation, with every number."""

import json
from html import escape
from pathlib import Path

import numpy as np

from ..autograd.modes import no_grad
from ..autograd.tensor import Tensor
from . import formula, graph, render, text, trace
from .player_page import PAGE

MOST = 120  # operators; a longer play nobody watches, and draw() folds it
SHOWN = 36  # numbers of a tensor that the page holds


class Player:
    """The page of a played computation: `.html` is its text, `.save("play.html")` writes it; notebooks show it."""

    def __init__(self, html, steps, title):
        self.html, self.steps, self.title = html, steps, title

    def save(self, path):
        """Write the page to a .html file and return its path."""
        path = Path(path)
        if path.suffix.lower() not in (".html", ".htm"):
            raise ValueError(f"save({str(path)!r}): a player is a page, and is saved as .html")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(self.html, encoding="utf-8")
        return path

    def _repr_mimebundle_(self, include=None, exclude=None, **options):
        frame = f'<iframe srcdoc="{escape(self.html, quote=True)}" style="width:100%;height:640px;border:1px solid #ccc"></iframe>'
        return {"text/plain": repr(self), "text/html": frame}

    def __repr__(self):
        return f"<{self.title}: {len(self.steps)} steps; .save('play.html') writes it>"


def play(fn, *args, names=None, model=None, check=True, title=None, direction="LR"):
    """Step through `fn(*args)`, forward and then backward, in one HTML file without server or network.

    `fn` computes a scalar from tensors that require grad, any way it likes. Each step shows the operator's formula, the
    numbers put in, and in the backward pass `gradient = old + upstream · local = new`; at the end stand the gradients
    beside finite differences (`check`), for which fn is run again with each number nudged.

    >>> import tinygrad_edu as tg
    >>> w, x = tg.tensor(3.0, requires_grad=True), tg.tensor(2.0)
    >>> tg.viz.play(lambda: (w * x).tanh())
    <backpropagation, step by step: 7 steps; .save('play.html') writes it>
    """
    scopes = trace.callers_scopes()
    if isinstance(fn, Tensor):
        loss, again = fn, None
    elif callable(fn):
        done = trace.run(fn, args)
        loss, scopes, again = done.result, [*done.scopes, done.arguments, *scopes], lambda: fn(*args)
        model = fn if model is None and trace.is_module(fn) else model
    else:
        raise TypeError(f"play(): expected a function that computes a loss, got {type(fn).__name__}")
    if not isinstance(loss, Tensor) or loss.array.size != 1:
        shown = f"shape {list(loss.shape)}" if isinstance(loss, Tensor) else type(loss).__name__
        raise ValueError(f"play(): the computation must end in a single number, a loss, and it ends in {shown}; reduce it, as in .sum()")
    if loss.node is None:
        raise ValueError("play(): nothing in the computation asks for a gradient; create the leaves with requires_grad=True")
    order = trace.ancestors(loss.node)
    operators = [n for n in order if n.op is not None]
    if len(operators) > MOST:
        raise ValueError(f"play(): the computation has {len(operators)} operators, and {MOST} are the limit; draw() folds larger ones")
    if not all(trace.recorded(n) for n in operators):
        raise ValueError("play(): the values are not known; pass the function that computes the loss, or compute it inside `with recording():`")
    namer = trace.Names(scopes, names, model)
    namer.add_assigned(order)
    title = title or "backpropagation, step by step"
    return Writer(loss.node, order, namer, again if check else None, title, direction).player()


class Writer:
    """The work of one page."""

    def __init__(self, root, order, names, again, title, direction):
        self.root, self.order, self.names, self.again, self.title = root, order, names, again, title
        self.operators = [n for n in order if n.op is not None]
        self.values = trace.leaf_values(self.operators)
        self.gradients = trace.all_gradients([root])
        self.called: dict = {}
        for node in order:
            found = names.nodes.get(node)
            if found is None:
                found = "L" if node is root else f"v{sum(1 for n in self.called.values() if n.startswith('v')) + 1}"
            self.called[node] = found
        for node, word in self.called.items():
            names.nodes.setdefault(node, word)
        self.sketch = graph.Sketch(order, [root], names, "values", 10**9, None, direction)
        self.sketch.with_ids = True
        self.sketch.gradients = {n: np.asarray(g) for n, g in self.gradients.items()}

    def player(self):
        """The finished page."""
        drawing = graph.Drawing(self.sketch.build(None))
        steps = [*self.start(), *self.forward(), *self.backward(), *self.finish()]
        data = dict(steps=steps, boxes=self.boxes(), root=self.sketch.id(self.root))
        listing = "\n".join(f"<li>{s['log']}</li>" for s in steps)
        body = json.dumps(data, ensure_ascii=False, separators=(",", ":")).replace("</", "<\\/").replace("<!--", "<\\!--")
        html = PAGE
        for key, value in dict(TITLE=escape(self.title), FONTS=render.FONTS.replace('"', "'"), SVG=drawing.svg, STEPS=listing,
                               LAST=str(len(steps) - 1), DATA=body).items():  # fmt: skip
            html = html.replace(f"@@{key}@@", value)
        return Player(html, steps, self.title)

    # --- the picture -------------------------------------------------------------------------------------------------

    def boxes(self):
        """Per tensor: what is written in its box, so that the page can hide and change it."""
        boxes = {}
        for node in self.order:
            value = self.value(node)
            boxes[self.sketch.id(node)] = dict(name=self.called[node], leaf=node.op is None, head=1,
                                               value=lines(text.array(value)), more=int(np.size(value) > 12))  # fmt: skip
        return boxes

    def value(self, node):
        """A tensor's value when it was computed."""
        return self.values[node] if node.op is None else np.asarray(node.note.value)

    def gradient_lines(self, g):
        """What is written as a box's gradient."""
        shown = text.array(g)
        return ["grad", *lines(shown)] if "\n" in shown else [f"grad {shown}"]

    # --- the steps ---------------------------------------------------------------------------------------------------

    def start(self):
        """Before anything is computed."""
        leaves = ", ".join(self.called[n] for n in self.order if n.op is None)
        return [dict(phase="start", title="The computation", log=f"Given: {escape(leaves)}. Forward: results are computed from left to right.",
                     body="", show=[], edges=[], focus=[])]  # fmt: skip

    def names_of_inputs(self, node):
        """What the inputs are called in formulas."""
        called = {}
        inputs = [trace.input_name(trace.call_of(node).op, i) for i in range(len(trace.parents(node)))]
        for i, x in enumerate(inputs):
            parent = trace.parents(node)[i] if i < len(trace.parents(node)) else None
            called[x] = self.called[parent] if parent is not None else self.names.constant(node, i) or x
        return called

    def arrows(self, node, slot=None):
        """The ids of the arrows that enter an operator."""
        target = self.sketch.op_id(node)
        return [f"{self.sketch.id(p)}-{target}-{i}" for i, p in enumerate(trace.parents(node)) if p is not None and slot in (None, i)]

    def forward(self):
        """One step per operator."""
        steps = []
        for node in self.operators:
            out = self.called[node]
            named = self.names_of_inputs(node)
            arrays = [a if isinstance(a, (int, float, type(None))) else np.asarray(a) for a in trace.given(node)]
            found = formula.forward_on_symbols(node.op, arrays, node.params, named) if node.op.kind != "function" else None
            value = self.value(node)
            if found is not None and not (np.shape(found.value) == np.shape(value) and np.allclose(np.asarray(found.value, float), value, rtol=1e-4, equal_nan=True)):
                found = None
            result = text.array(value, newline=" ")
            said = []
            if found is None or len(formula.written(found)) > 90:  # its function looks into arrays: name it, and say its formula
                inside = [named[x] if p is not None else self.names.constant(node, i) or text.shortened(text.array(a, newline=" "), 24)
                          for i, (x, p, a) in enumerate(zip(named, trace.parents(node), arrays)) if a is not None]  # fmt: skip
                found, call = None, trace.call_of(node)
                words = f"{call.op.name}({', '.join(inside)})" + (f", output {node.op.position}" if call is not node else "")
                math, log = typeset(formula.ml_name(out), f"<mtext>{escape(words)}</mtext>", matrix(value)), f"{out} = {words} = {result}"
                said = [escape(call.op.formula)]
            else:
                words, numbers = formula.written(found), formula.written(found, True)
                math = typeset(formula.ml_name(out), formula.mathml(found), *([formula.mathml(found, True)] if small(found) else []), matrix(value))
                log = f"{out} = {words}" + (f" = {numbers}" if numbers != words and small(found) else "") + f" = {result}"
                math += product_view(found)
            notes = said + ([escape(text.shortened(text.source_line(node.note.line), 110))] if node.note.line else [])
            notes += [f"shapes: {escape(', '.join(text.shape(np.shape(a)) for a in arrays if a is not None))} → {text.shape(node.shape)}"] if node.shape else []
            steps.append(dict(phase="forward", title=f"forward: {node.op.name}", log=escape(log), body=math + "".join(f"<p class=note>{n}</p>" for n in notes),
                              show=[self.sketch.id(node)], edges=self.arrows(node), focus=[self.sketch.op_id(node), self.sketch.id(node)]))  # fmt: skip
        return steps

    def backward(self):
        """One step per gradient that flows through an operator to one input."""
        grads = {self.root: np.ones(self.root.shape, self.root.dtype)}
        loss = self.called[self.root]
        steps = [dict(phase="backward", title="backward: the start", log=escape(f"∂{loss}/∂{loss} = 1. Backward: from the youngest to the oldest."),
                      body=typeset(d(loss, loss), "<mn>1</mn>"), show=[], edges=[], focus=[self.sketch.id(self.root)],
                      grads={self.sketch.id(self.root): self.gradient_lines(grads[self.root])}, numbers={loss: [1.0]})]  # fmt: skip
        uses = {}
        for node in self.operators:
            for p in trace.parents(node):
                if p is not None:
                    uses[p] = uses.get(p, 0) + 1
        for node in reversed(self.operators):
            g = grads.get(node)
            if g is None:
                continue
            saved = trace.arguments_of(node)
            for slot, (parent, c) in enumerate(zip(trace.parents(node), trace.contributions(node, g))):
                if c is None:
                    continue
                old = grads.get(parent)
                grads[parent] = c if old is None else old + c
                steps.append(self.backward_step(node, slot, parent, g, saved[slot], old, c, grads[parent], uses[parent]))
        return steps

    def backward_step(self, node, slot, parent, g, saved, old, c, new, uses):
        """p.grad = old + upstream · local = new, in formulas and numbers."""
        p, out, loss = self.called[parent], self.called[node], self.called[self.root]
        upstream = f"∂{loss}/∂{out}" if node is not self.root else "g"  # at the loss it is 1, and drops out of the formulas
        named = self.names_of_inputs(node)
        found = None
        if node.op.kind != "function":
            found = formula.rule_on_symbols(node.op, slot, saved, named, g, upstream, out)
        if found is not None and (len(formula.written(found)) > 110 or not agrees(found, c)):
            found = None
        scalar = np.size(c) == 1 and np.size(g) == 1
        shown = text.array(c, newline=" ")
        lines_of_body, log = [], f"∂{loss}/∂{p}"
        if scalar and node.op.kind == "elementwise":
            local = formula.rule_on_symbols(node.op, slot, saved, named, out_name=out)
            up, factor = float(np.asarray(g).reshape(-1)[0]), None
            if local is not None and np.size(local.value) == 1 and len(formula.written(local)) <= 110:
                factor = float(np.asarray(local.value).reshape(-1)[0])
                if not np.isclose(up * factor, float(np.asarray(c).reshape(-1)[0]), rtol=1e-4, atol=1e-30, equal_nan=True):
                    factor = None
            if factor is not None:
                lines_of_body.append(typeset(d(out, p), *unique(formula.mathml(local), formula.mathml(local, True), f"<mn>{text.number(factor)}</mn>")))
                old_ml = "" if old is None else f"<mn>{text.array(old)}</mn><mo>+</mo>"
                lines_of_body.append(typeset(d(loss, p), (d(loss, p, "old") + "<mo>+</mo>" if old is not None else "") + d(loss, out) + "<mo>·</mo>" + d(out, p),
                                             f"{old_ml}<mn>{bracket(up)}</mn><mo>·</mo><mn>{bracket(factor)}</mn>", f"<mn>{text.array(new)}</mn>"))  # fmt: skip
                before = "" if old is None else f"{text.array(old)} + "
                log += f" = {before}∂{loss}/∂{out} · ∂{out}/∂{p} = {before}{bracket(up)} · {bracket(factor)} = {text.array(new)}" if old is None else \
                       f" = old + upstream · local = {before}{bracket(up)} · {bracket(factor)} = {text.array(new)}"  # fmt: skip
            else:
                log += f" = {'' if old is None else text.array(old) + ' + '}{shown} = {text.array(new)}"
        else:
            if found is not None:
                lines_of_body.append(typeset(d(loss, p), formula.mathml(found) if old is None else d(loss, p, "old") + "<mo>+</mo>" + formula.mathml(found), matrix(new)))
                log += f" = {'' if old is None else 'old + '}{formula.written(found)} = {text.array(new, newline=' ')}"
            else:
                lines_of_body.append(typeset(d(loss, p), d(loss, p, "old") + "<mo>+</mo>" + matrix(c), matrix(new)) if old is not None else typeset(d(loss, p), matrix(new)))
                log += f" = {text.array(new, newline=' ')}" if old is None else f" = old + {shown} = {text.array(new, newline=' ')}"
        if found is not None:
            lines_of_body.append(product_view(found))
        notes = self.notes(node, slot, parent, found, c)
        if found is None and (not scalar or node.op.kind != "elementwise"):
            op = trace.call_of(node).op
            words = formula.rule_in_words(op, slot)
            notes.insert(0, f"{op.name}: {op.formula}.  Its rule for {trace.input_name(op, slot)}: {words}" if words else f"{op.name}: {op.formula}")
        if old is not None:
            notes.insert(0, f"{p} is used {uses} times: this gradient is added to what it had ({text.array(old, newline=' ')})")
        elif uses > 1:
            notes.insert(0, f"{p} is used {uses} times: more gradients will be added to this one")
        if scalar and float(np.asarray(c).reshape(-1)[0]) == 0:
            notes.append("this path carries nothing: its derivative is 0 here")
        target = self.sketch.id(parent)
        return dict(phase="backward", title=f"backward: through {node.op.name} to {p}", log=escape(log),
                    body="".join(lines_of_body) + "".join(f"<p class=note>{escape(n)}</p>" for n in notes), show=[], edges=self.arrows(node, slot),
                    focus=[self.sketch.op_id(node), target], grads={target: self.gradient_lines(new)},
                    numbers={p: np.asarray(new, float).reshape(-1)[:SHOWN].tolist()})  # fmt: skip

    def notes(self, node, slot, parent, found, c):
        """Where a transpose comes from, which axes were summed, which rule it is."""
        notes = []
        for left, right, whole in formula.products(found) if found is not None else []:
            if left.ndim == 2 and right.ndim == 2:
                notes.append(f"shapes: {text.shape(left.shape)} @ {text.shape(right.shape)} → {text.shape(whole.shape)}")
                if "T" in (left.head, right.head):
                    pair = " and ".join(f"{'column' if (x.head == 'T') != (x is right) else 'row'} {i} of {formula.written(x.args[0] if x.head == 'T' else x)}"
                                        for x, i in ((left, "i"), (right, "j")))  # fmt: skip
                    turned = " and ".join(formula.written(x.args[0]) for x in (left, right) if x.head == "T")
                    notes.append(f"where the transpose comes from: entry [i, j] of the gradient sums over what the forward pass shared, the products of {pair}. "
                                 f"@ pairs rows with columns, so {turned} is turned; and the shape becomes {text.shape(parent.shape)}, that of {self.called[parent]}")  # fmt: skip
                break
        if node.op.kind == "elementwise":
            stretched = graph.stretched(node, parent.shape) if len(parent.shape) else f"a single number, used {int(np.prod(node.shape))} times" if node.shape else ""
            if stretched:
                notes.append(f"{self.called[parent]} was {stretched}; its gradient is the sum over that: {text.shape(node.shape)} → {text.shape(parent.shape)}")
        return notes

    def finish(self):
        """All gradients of leaves, beside finite differences."""
        leaves = [n for n in self.order if n.op is None]
        checked = self.finite_differences(leaves) if self.again else {}
        rows, worst = [], 0.0
        largest = max((float(np.max(np.abs(g))) for g in map(self.gradients.get, leaves) if g is not None and np.size(g)), default=0.0)
        for leaf in leaves:
            g = np.asarray(self.gradients.get(leaf, np.zeros(leaf.shape)))
            f = checked.get(leaf)
            if f is not None:
                worst = max(worst, float(np.max(np.abs(f - g)) / (np.max(np.abs(g)) + np.max(np.abs(f)) + 1e-3 * largest + 1e-12)) if g.size else 0.0)
            rows.append(f"<tr><th scope=row>{escape(self.called[leaf])}</th><td>{escape(text.array(g, newline=' '))}</td>"
                        f"<td>{escape(text.array(f, newline=' ')) if f is not None else '—'}</td></tr>")  # fmt: skip
        table = ("<table><caption>gradients of the leaves</caption><tr><th>leaf<th>gradient by backward<th>finite difference</tr>" + "".join(rows) + "</table>")
        unsure = "" if checked or not self.again else " The function gives different results when run again, so there are no finite differences."
        log = "Done: " + "; ".join(f"∂{self.called[self.root]}/∂{self.called[n]} = {text.array(self.gradients.get(n, np.zeros(n.shape)), newline=' ')}" for n in leaves)
        if checked and worst < 0.02:
            log += f". Finite differences agree within {worst:.1e} (relative)."
        elif checked:
            log += f". Finite differences differ by up to {worst:.1e} (relative): there is a kink, float32 is too coarse, or a derivative is wrong; gradcheck tells which."
        else:
            log += unsure
        return [dict(phase="done", title="done: every leaf has its gradient", log=escape(log), body=table, show=[], edges=[], focus=[self.sketch.id(n) for n in leaves])]

    def finite_differences(self, leaves):
        """{leaf: (f(w + h) − f(w − h)) / 2h} for small leaves, by running the function again."""
        tensors = {}
        for node in self.operators:
            for i, parent in enumerate(trace.parents(node)):
                held = trace.giver(node, i)
                if parent is not None and parent.op is None and isinstance(held, Tensor) and held.node is parent:
                    tensors[parent] = held
        with no_grad():
            value = self.loss_again()
            if value is None or not np.isclose(value, float(np.asarray(self.root.note.value).reshape(-1)[0]), rtol=1e-5, equal_nan=True):
                return {}
            found = {}
            for leaf in leaves:
                t = tensors.get(leaf)
                if t is None or t.array.size > SHOWN:
                    continue
                kept, out = t.array, np.zeros(t.array.size)
                for k in range(kept.size):
                    place = np.unravel_index(k, kept.shape)
                    h = (1e-5 if kept.dtype.itemsize == 8 else 4e-3) * max(1.0, abs(float(kept[place])))
                    ends = []
                    for sign in (1, -1):
                        t.array = np.array(kept)
                        t.array[place] += sign * h
                        try:
                            ends.append((self.loss_again(), float(t.array[place])))
                        finally:
                            t.array = kept
                    (a, at_a), (b, at_b) = ends
                    out[k] = np.nan if a is None or b is None else (a - b) / (at_a - at_b)
                found[leaf] = out.reshape(leaf.shape)
        return found

    def loss_again(self):
        """The loss of another run, as a number; None if it failed."""
        try:
            return float(trace.array_of(self.again()).reshape(-1)[0])
        except Exception:
            return None


def lines(words):
    """A text's lines."""
    return words.split("\n")


def bracket(x):
    """A number as a factor."""
    words = text.number(float(x))
    return f"({words})" if words.startswith("−") else words


def small(found):
    """True if all names in a formula stand for single numbers, so that putting in numbers makes sense."""
    return np.size(found.value) == 1 and all(small(a) for a in found.args if isinstance(a, formula.Symbol))


def agrees(found, c):
    """True if the formula gives the very gradient (before the sum over broadcast axes: the same total)."""
    value = np.asarray(found.value, float)
    return bool(np.isclose(value.sum(), np.sum(c), rtol=1e-4, atol=1e-6, equal_nan=True)) or value.shape != np.shape(c)


def unique(*parts):
    """The parts without repetitions of the one before."""
    return [x for k, x in enumerate(parts) if k == 0 or x != parts[k - 1]]


def d(a, b, label=None):
    """∂a/∂b in MathML."""
    fraction = f"<mfrac><mrow><mo>∂</mo>{formula.ml_name(a)}</mrow><mrow><mo>∂</mo>{formula.ml_name(b)}</mrow></mfrac>"
    return f"<msub><mrow><mo>(</mo>{fraction}<mo>)</mo></mrow><mtext>{label}</mtext></msub>" if label else fraction


def matrix(value):
    """A value in MathML: a number, a matrix, or a summary of a large one."""
    value = np.asarray(value)
    if value.size > 16 or value.ndim > 2:
        return f"<mtext>{escape(text.array(value, newline=' '))}</mtext>"
    if value.ndim == 0:
        return formula.ml_number(text.number(value[()]))
    rows = "".join("<mtr>" + "".join(f"<mtd>{formula.ml_number(text.number(v))}</mtd>" for v in row) + "</mtr>" for row in np.atleast_2d(value))
    return f"<mrow><mo>[</mo><mtable>{rows}</mtable><mo>]</mo></mrow>"


def product_view(found):
    """The matrix product inside of a formula, entry by entry: the page marks a row, a column and what they give."""
    for left, right, whole in formula.products(found):
        a, b, c = (np.asarray(x.value) for x in (left, right, whole))
        if max(a.ndim, b.ndim) == 2 and min(a.ndim, b.ndim) >= 1 and max(a.size, b.size, c.size) <= SHOWN and 1 <= a.shape[-1] <= 8:
            a, b = np.atleast_2d(a), b if b.ndim == 2 else b[:, None]
            c = c.reshape(len(a), b.shape[1])
            parts = [table(formula.written(left), a, left.shape, "left"), "<span>@</span>", table(formula.written(right), b, right.shape, "right"),
                     "<span>=</span>", table(f"{formula.written(left)} @ {formula.written(right)}", c, whole.shape, "whole")]  # fmt: skip
            return f'<div class=product>{"".join(parts)}</div><p class="note entry"></p>'
    return ""


def table(name, rows, shape, kind):
    """A matrix of the product; the entries of the result are buttons."""
    cell = (lambda i, j, v: f'<button data-at="{i},{j}">{v}</button>') if kind == "whole" else (lambda i, j, v: v)
    body = "".join("<tr>" + "".join(f"<td>{cell(i, j, text.number(v))}" for j, v in enumerate(row)) for i, row in enumerate(rows))
    return f"<table class={kind}><caption>{escape(name)} {text.shape(shape)}</caption>{body}</table>"


def typeset(*parts):
    """A chain of equal things as one displayed formula."""
    return '<math display="block"><mrow>' + "<mo>=</mo>".join(parts) + "</mrow></math>"
