"""Draw a computation graph: what was computed, from what, with which numbers and gradients."""

import re
from collections import Counter
from html import escape
from pathlib import Path

import numpy as np

from ..autograd.node import Node
from ..autograd.tensor import Tensor
from . import fold as folding
from . import render, text, trace
from .legend import with_legend

LEVELS = ("values", "shapes", "modules")
FOLD = 150
LABELLED = 100  # operators; in larger pictures the words on arrows become tooltips, for each one costs a rank of the layout
TANGLED = 300  # operators; in larger pictures the layout stops to improve early: 1,000 with random inputs took 6 s, and take 1
FAR = 40  # places between a tensor and its use; beyond it the tensor is named again at the use, for arrows become a tangle
INK, FAINT, ALARM = "#1b2733", "#5b6b7a", "#c62828"
LOOKS = {  # kind: (shape, style, fill, border, words in the legend)
    "parameter": ("Mrecord", "filled,bold", "#ffe2a8", "#9a6700", "parameter: asks for a gradient"),
    "input": ("tab", "filled", "#cfe3ff", "#1f5fae", "input: data, no gradient"),
    "constant": ("note", "filled,dashed", "#ececec", "#6b6b6b", "constant in the formula"),
    "result": ("record", "filled", "#ffffff", "#45525e", "result"),
    "kept": ("box", "filled", "#d8f0d8", "#2e7d32", "result kept for backward"),
    "output": ("record", "filled,bold", "#e9dcf7", "#6a3aa8", "final result"),
    "operator": ("ellipse", "filled", "#f4f6f8", "#45525e", "operator"),
    "folded": ("box3d", "filled", "#f3ead7", "#6b5a2e", "folded operators"),
    "failed": ("octagon", "filled,bold", "#ffdad6", ALARM, "the operator that failed"),
}


class Drawing:
    """A picture of a graph: `.source` is its DOT text, `.svg` the picture; notebooks show it by themselves.

    `save("graph.svg")` writes a file; the ending decides: svg, png, pdf, dot, html. `error` is what stopped the forward
    pass, if it failed: then the picture ends at the operator that failed.
    """

    def __init__(self, graph, title="computation graph", error=None, kinds=()):
        self.graph, self.title, self.error, self.kinds = graph, title, error, kinds
        self.drawn = None

    @property
    def source(self):
        """The DOT text of the picture, its legend included."""
        if not self.kinds:
            return self.graph.source
        whole = self.graph.copy()
        write_legend(whole, self.kinds)
        return whole.source

    @property
    def svg(self):
        """The picture as SVG text, laid out when it is first wanted."""
        return self.picture()

    def save(self, path, scale=2.0):
        """Write the picture to a file and return its path: .svg, .png, .pdf (with the program dot), .dot or .html."""
        path = Path(path)
        kind = path.suffix.lower().lstrip(".")
        if kind in ("dot", "gv"):
            data = self.source
        elif kind == "svg":
            data = self.picture(path)
        elif kind == "html":
            data = render.page(self.title, self.picture(path))
        elif kind == "png":
            data = render.png_of(self.picture(path), scale)
        elif kind == "pdf":
            data = render.pdf_of(self.source, path)
        else:
            raise ValueError(f"save({str(path)!r}): pictures are saved as .svg, .png, .pdf, .dot or .html, not as {path.suffix!r}")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data) if isinstance(data, bytes) else path.write_text(data, encoding="utf-8")
        return path

    def picture(self, path=None):
        """The SVG; where it cannot be drawn, the DOT text is written beside `path`."""
        if self.drawn is None:
            drawn = render.render_svg(self.graph.source, path, self.source)  # the legend comes beneath, where it disturbs no layout
            self.drawn = with_legend(drawn, [LOOKS[kind] for kind in self.kinds], FAINT)
        return self.drawn

    def show(self):
        """Open the picture in a browser: where there is no notebook."""
        import tempfile
        import webbrowser

        path = self.save(Path(tempfile.mkdtemp()) / "graph.html")
        webbrowser.open(path.as_uri())
        return path

    def _repr_mimebundle_(self, include=None, exclude=None, **options):
        try:
            return {"text/plain": repr(self), "image/svg+xml": self.svg}
        except Exception as error:  # a picture must not break a notebook
            return {"text/plain": f"{self!r}\nnot drawn: {error}"}

    def __repr__(self):
        arrows = len(re.findall(r"^\s*\S+ -> ", self.graph.source, re.MULTILINE))
        failed = f"; the forward pass failed: {type(self.error).__name__}: {text.shortened(self.error, 200)}" if self.error else ""
        return f"<{self.title}: {arrows} arrows; .save('graph.svg') writes it{failed}>"


def draw(tensor_or_fn, *args, level=None, names=None, model=None, params=None, fold=FOLD, depth=None, direction="LR",
         legend=True, second=False, title=None):  # fmt: skip
    """Draw the graph of a tensor, or run `fn(*args)` with everything recorded and draw what it computed.

    `level`: "values" (numbers in the boxes), "shapes", or "modules" (one box per module, `depth` levels deep); by itself
    it is "values" for a small recorded graph. Names are those of the model's parameters and of your variables; `names`, a
    dict, adds some. Gradients appear after backward(), and are written `grad —` before. A graph of more than `fold`
    operators is folded, and the picture says so. If `fn` raises, the picture ends at the operator that failed. `second`
    shows the computation of the gradients too, as create_graph=True records it.

    >>> import tinygrad_edu as tg
    >>> w = tg.tensor(3.0, requires_grad=True)
    >>> picture = tg.viz.draw(lambda x: (w * x).tanh(), tg.tensor(0.5))
    >>> picture
    <computation graph: 5 arrows; .save('graph.svg') writes it>
    """
    if level is not None and level not in LEVELS:
        raise ValueError(f"draw(level={level!r}): the levels are {', '.join(map(repr, LEVELS))}")
    if params is not None:
        names = {**dict(params), **(names or {})}
    scopes, done = trace.callers_scopes(), None
    if isinstance(tensor_or_fn, Tensor) or is_tensors(tensor_or_fn):
        roots = trace.tensors_in(tensor_or_fn)
        if args:
            raise TypeError("draw(tensor, …): arguments only make sense after a function; options are given by name")
    elif callable(tensor_or_fn):
        done = trace.run(tensor_or_fn, args, keep_error=True)
        roots = done.tensors()
        scopes = [*done.scopes, done.arguments, *scopes]
        model = tensor_or_fn if model is None and trace.is_module(tensor_or_fn) else model
    else:
        raise TypeError(f"draw(): expected a tensor or a function that computes one, got {type(tensor_or_fn).__name__}")
    roots = [t for t in roots if t.node is not None]
    error, failed = (done.error, done.failed) if done else (None, None)
    if error is not None and not roots and failed is None:
        raise error
    if not roots and failed is None:
        raise ValueError("draw(): there is no graph to draw, for nothing in it asks for a gradient; create a leaf with "
                         "requires_grad=True, and compute outside of no_grad()")  # fmt: skip
    order = trace.ancestors(*(t.node for t in roots))
    forward_until, gradients = None, {}
    if second:
        order, forward_until, gradients = with_gradients(roots, order)
    namer = trace.Names(scopes, names, model)
    namer.add_assigned(order)
    for leaf, g in gradients.items():
        namer.nodes.setdefault(g, f"gradient of {namer.nodes.get(leaf, 'a parameter')}")
    sketch = Sketch(order, [*(t.node for t in roots if error is None), *gradients.values()], namer, level, fold, depth, direction, failed, error, forward_until)
    graph = sketch.build(title)
    return Drawing(graph, title or "computation graph", error, [kind for kind in LOOKS if kind in sketch.kinds] if legend else ())


def to_dot(tensor, *args, **options):
    """The DOT text of a tensor's graph, for Graphviz or any editor: `draw(…).source`."""
    return draw(tensor, *args, **options).source


def make_dot(tensor, params=None, show_attrs=False, show_saved=False, max_attr_chars=50):
    """`torchviz.make_dot`, for programs that call it: the graph of a tensor with names from `params`, as a `graphviz.Digraph`.

    What a rule saved is always marked, so `show_attrs`, `show_saved` and `max_attr_chars` change nothing. `draw` shows more.
    `.source`, `.save()` and the like are graphviz's own; its `.render()` needs the program dot, `draw(…).save()` does not.

    >>> import tinygrad_edu as tg
    >>> w = tg.tensor(3.0, requires_grad=True)
    >>> "w" in tg.viz.make_dot(w * 2.0, params={"w": w}).source
    True
    """
    return draw(tensor, params=params, legend=False).graph


def is_tensors(value):
    """True for a list, tuple or dict of tensors."""
    return isinstance(value, (list, tuple, dict)) and bool(trace.tensors_in(value))


def with_gradients(roots, order):
    """The graph of Σ roots together with that of its gradients: (nodes, the last birth of the forward pass, {leaf: gradient})."""
    from ..autograd import engine
    from ..autograd.modes import enable_grad, recording

    last = max(node.birth for node in order)
    leaves = [node for node in order if node.op is None]
    kept = {node: node.grad.node for node in leaves if node.grad is not None and node.grad.node is not None}
    if not kept:
        with enable_grad(), recording():
            found = engine.grad(roots, [Tensor(np.zeros(n.shape, n.dtype), n) for n in leaves], create_graph=True, allow_unused=True,
                                grad_outputs=[Tensor(np.ones(r.shape, r.dtype), None) for r in roots])  # fmt: skip
        kept = {leaf: g.node for leaf, g in zip(leaves, found) if g is not None and g.node is not None}
    return trace.ancestors(*(t.node for t in roots), *kept.values()), last, kept


class Sketch:
    """The work of one drawing: decides what is a box, what is written in it, and what is connected."""

    with_ids = False  # the player finds arrows by their id

    def __init__(self, order, roots, names, level, fold, depth, direction, failed=None, error=None, forward_until=None):
        self.order, self.roots, self.names, self.direction = order, set(roots), names, direction
        self.failed, self.error, self.forward_until = failed, error, forward_until
        self.operators = [n for n in order if n.op is not None]
        self.leaves = [n for n in order if n.op is None]
        if level is None:
            small = len(self.operators) <= 60 and all(trace.recorded(n) for n in self.operators)
            small = small and all(np.size(v) <= 12 for n in self.operators for v in (n.note.value, *trace.given(n)))
            level = "values" if small and self.operators else "shapes"
        self.level, self.depth = level, depth
        if level == "modules":
            self.places = folding.merged(folding.by_modules(self.operators, depth))
            if len(self.places) > fold:
                self.places = folding.fold(self.operators, fold)
        else:
            self.places = folding.fold(self.operators, fold)
        paths = [p.path for p in self.places if isinstance(p, folding.Box)]
        paths += [p.note.module + (None,) for p in self.places if not isinstance(p, folding.Box) and p.note is not None]
        self.opened = {path_key(path[:k]) for path in paths for k in range(1, len(path))}  # modules of which parts are drawn
        self.place = {n: p for p in self.places for n in (p.nodes if isinstance(p, folding.Box) else [p])}
        self.gradients = trace.known_gradients(order)
        self.values = trace.leaf_values(self.operators)
        self.uses = Counter(p for n in self.operators for p in trace.parents(n) if p is not None)
        self.ids, self.kinds, self.edges, self.held, self.shared, self.constants, self.calls = {}, set(), {}, {}, {}, {}, {}

    # --- the whole picture -------------------------------------------------------------------------------------------

    def build(self, title):
        """The picture as a graphviz.Digraph."""
        from graphviz import Digraph

        graph = Digraph("computation")
        graph.attr("graph", rankdir=self.direction, fontname="Courier New", fontsize="11", fontcolor=INK, nodesep="0.22",
                   ranksep="0.32", bgcolor="transparent", tooltip=" ")  # fmt: skip
        graph.attr("node", fontname="Courier New", fontsize="10", fontcolor=INK, margin="0.09,0.05", height="0.3")
        graph.attr("edge", fontname="Courier New", fontsize="9", fontcolor=FAINT, color="#45525e", arrowsize="0.6", tooltip=" ")
        if len(self.places) > TANGLED:
            graph.attr("graph", nslimit="0.2", nslimit1="0.2", mclimit="0.1")
        note = self.caption()
        if title or note:
            graph.attr("graph", label="\\n".join(line_of(t) for t in (title, *note) if t) + "\\n", labelloc="t")
        self.kept = kept_results(self.operators)
        self.feeds = self.users_of_leaves()
        self.mark_far_uses()
        tree: dict = {}
        for leaf in self.leaves:
            if leaf in self.feeds:
                self.add(tree, self.cluster_of_leaf(leaf), *self.tensor(leaf))
        for place in self.places:
            if isinstance(place, folding.Box):
                self.add(tree, self.cluster(self.place_path(place)), *self.box(place))
            else:
                path = place.note.module if place.note is not None else ()
                made_with = self.calls.setdefault(trace.call_of(place), place)
                if made_with is place:  # a Function with several outputs is one circle
                    self.add(tree, self.cluster(path, place), *self.operator(place))
                self.add(tree, self.cluster(path, place), *self.tensor(place))
                self.edge(self.op_id(place), self.id(place), [f"output {place.op.position}"] if trace.call_of(place) is not place else [])
                if made_with is not place:
                    continue
            self.inputs(place, tree)
        if self.failed:
            self.failure(tree)
        self.emit(graph, tree)
        for (tail, head, slot), (labels, style) in self.edges.items():
            if self.with_ids:
                style = {**style, "id": f"{tail}-{head}-{'' if slot is None else slot}"}
            lines = [line_of(x) for x in dict.fromkeys(labels)]
            if lines and len(self.places) > LABELLED:
                graph.edge(tail, head, **{**style, "tooltip": "\\n".join(lines)})
                continue
            if self.direction in ("LR", "RL"):
                label = "\\n".join(lines) + ("\\n " if len(lines) == 1 else "")  # lifts a single line off the arrow
            else:
                label = "\\n".join(f"  {line} " for line in lines)  # off the arrow at its left
            graph.edge(tail, head, label=label, **style)
        return graph

    def caption(self):
        """What the reader must know that the boxes do not say."""
        lines = []
        folded = sum(len(p.nodes) for p in self.places if isinstance(p, folding.Box))
        if folded and self.level != "modules":
            boxes = sum(isinstance(p, folding.Box) for p in self.places)
            lines.append(f"{folded:,} of {len(self.operators):,} operators are folded into {boxes} box{'es' if boxes > 1 else ''}; draw(…, fold={len(self.operators)}) "
                         "shows all")  # fmt: skip
        if self.level == "values" and not all(trace.recorded(n) for n in self.operators):
            lines.append("values are known only of what was computed inside `with recording():`, or by draw(fn, …)")
        if self.error is not None:
            lines.append(f"the forward pass failed: {type(self.error).__name__}: {text.shortened(self.error, 110)}")
        return lines

    def id(self, key, part="value"):
        """A short identifier; names with colons would be taken for ports."""
        return self.ids.setdefault((key, part), f"n{len(self.ids) + 1}")

    def op_id(self, node):
        """The identifier of the operator that made a tensor."""
        return self.id(trace.call_of(node), "op")

    def add(self, tree, path, name, attributes):
        """Put a box into its cluster."""
        for step in path:
            tree = tree.setdefault(step, {})
        tree.setdefault("boxes", []).append((name, attributes))

    def emit(self, graph, tree, prefix="cluster"):
        """Write boxes and clusters, outermost first."""
        for name, attributes in tree.get("boxes", []):
            graph.node(name, **attributes)
        for k, (step, below) in enumerate((s, t) for s, t in tree.items() if s != "boxes"):
            with graph.subgraph(name=f"{prefix}_{k}") as inside:
                inside.attr(label=line_of(step[1]), style="rounded", color="#9aa7b3", fontcolor=FAINT, fontsize="10",
                            labeljust="r" if self.direction in ("LR", "RL") else "l", tooltip=line_of(step[1]))  # fmt: skip
                self.emit(inside, below, f"{prefix}_{k}")

    # --- clusters ----------------------------------------------------------------------------------------------------

    def cluster(self, path, node=None):
        """[(key, label)] of the clusters around a module path; for second=True the pass stands around them."""
        around = []
        if self.forward_until is not None and node is not None:
            backward = node.birth > self.forward_until
            around = [(("pass", backward), "gradient: computed by backward with create_graph" if backward else "forward")]
            path = () if backward else path
        return around + [((id(module), k), self.module_label(module)) for k, module in enumerate(path)]

    def cluster_of_leaf(self, leaf):
        """A parameter stands with the module that uses it, if only one does."""
        users = self.feeds.get(leaf, ())
        paths = {self.place_path(u) for u in users}
        if len(paths) == 1 and self.forward_until is None:
            return self.cluster(paths.pop())
        return []

    def place_path(self, place):
        """The modules around a place."""
        if isinstance(place, folding.Box):
            return tuple(place.path if place.times == 1 and path_key(place.path) in self.opened else place.path[:-1])
        return tuple(place.note.module) if place.note is not None else ()

    def module_label(self, module):
        """`layers.0: Linear(2→3)`."""
        name = self.names.modules.get(id(module), ("", None))[0]
        return f"{name}: {described(module)}" if name else described(module)

    # --- boxes -------------------------------------------------------------------------------------------------------

    def kind(self, node):
        """Which look a tensor gets."""
        if node in self.roots:
            return "parameter" if node.op is None else "output"
        if node.op is None:
            return "parameter"
        return "kept" if node in self.kept else "result"

    def tensor(self, node):
        """A tensor's box: its name, value or shape, gradient."""
        kind = self.kind(node)
        value = node.note.value if trace.recorded(node) else self.values.get(node)
        if value is None and node in self.names.held:
            value = self.names.held[node].array
        name = self.names.nodes.get(node, "")
        rows = [name or self.marks[node]] if name or node in self.marks else []
        if self.level == "values" and value is not None:
            rows.append(text.array(value))
            if np.size(value) > 12:
                rows.append(text.shape(node.shape, node.dtype))
        else:
            rows.append(text.shape(node.shape, node.dtype))
        if self.forward_until is None or node.birth <= self.forward_until:
            rows.append(self.gradient_text(node))
        tip = [name or node.name, f"{text.shape(node.shape)} {node.dtype}"]
        if node.op is not None:
            tip += [node.op.formula, text.source_line(node.note.line if node.note is not None else None)]
        return self.id(node), self.look(kind, rows, tip)

    def gradient_text(self, node):
        """`grad 0.02`, or `grad —` while it is not known."""
        g = self.gradients.get(node)
        if g is None:
            return "grad —"
        if self.level == "values" or np.size(g) == 1:
            shown = text.array(g)
            return f"grad\n{shown}" if "\n" in shown else f"grad {shown}"
        return f"grad ~ {text.number(text.size_of(g), 3)}"

    def look(self, kind, rows, tip=()):
        """The attributes of a box of one kind."""
        self.kinds.add(kind)
        shape, style, fill, border, _ = LOOKS[kind]
        label = upright(rows, self.direction) if "record" in shape else plain("\\n".join(line_of(r) for r in rows))
        room = dict(peripheries="2") if kind == "kept" else dict(margin="0.14,0.09") if kind == "folded" else {}
        return dict(**room, label=label, shape=shape, style=style, fillcolor=fill, color=border,
                    tooltip=line_of("\n".join(t for t in tip if t)) or " ")  # fmt: skip

    def operator(self, node):
        """An operator's circle."""
        return self.op_id(node), self.operator_look("operator", trace.call_of(node).op, node.params, [
            trace.call_of(node).op.formula, text.source_line(node.note.line if node.note is not None else None)])  # fmt: skip

    def operator_look(self, kind, op, params, tip):
        """An operator's attributes: its symbol, and parameters that differ from the defaults."""
        usual = getattr(op, "params", {})
        told = {k: parameter_text(k, v) for k, v in params.items() if not (k in usual and same(usual[k], v))}
        shown = [words for words in told.values() if words]
        symbol = [] if shown and op.symbol == "[ ]" else [op.symbol]  # an index stands for itself
        look = self.look(kind, [*symbol, *shown[:2]], [op.name, *tip])
        if len(op.symbol) <= 2 and not shown:
            look.update(shape="circle" if kind == "operator" else look["shape"], margin="0.02", fontsize="13")
        return look

    def box(self, box):
        """A folded box."""
        if box.path:
            first = box.path[-1]
            last = [p for p in (n.note.module[len(box.path) - 1] for n in box.nodes[-1:])][0]
            name = self.names.modules.get(id(first), ("", None))[0]
            end = self.names.modules.get(id(last), ("", None))[0]
            names = f"{name} … {end}" if box.times > 1 and end != name else name
            box.title = f"{names}: {described(first)}" if names else described(first)
            if box.times == 1 and path_key(box.path) in self.opened:
                box.title = ""  # the cluster around it says so
        rows = box.lines()
        if box.times == 1 and box.path and (self.level == "modules" or len(box.nodes) == 1):
            rows = (rows[:1] if box.title else [", ".join(dict.fromkeys(n.op.name for n in box.nodes))]) + [text.shape(box.nodes[-1].shape, box.nodes[-1].dtype)]
        inside = sorted(self.inside(box), key=lambda n: n.birth)
        if inside:
            numbers = sum(int(np.prod(n.shape)) for n in inside)
            rows.append(f"{len(inside):,} parameter{'s' if len(inside) > 1 else ''}, {numbers:,} numbers")
        if id(box) in self.shared:
            rows.append(f"uses {self.shared[id(box)]:,} parameters that others use too")
        if self.roots & set(box.nodes):
            rows.append("→ final result")
        return self.id(id(box), "box"), self.look("folded", rows, [text.source_line(box.nodes[0].note.line)] if box.nodes[0].note else [])

    def inside(self, box):
        """Leaves that only this box uses: they are written into it."""
        return self.held.get(id(box), ())

    def users_of_leaves(self):
        """{leaf: the places that use it}, without leaves that are written into a folded box."""
        users: dict = {}
        for node in self.operators:
            for p in trace.parents(node):
                if p is not None and p.op is None:
                    users.setdefault(p, {})[id(self.place[node])] = self.place[node]
        for leaf in self.leaves:
            users.setdefault(leaf, {})
        shown = {}
        for leaf, places in users.items():
            first = next(iter(places.values()), None)
            if len(places) == 1 and isinstance(first, folding.Box):
                self.held.setdefault(id(first), []).append(leaf)
            else:
                shown[leaf] = tuple(places.values())
        if sum(map(len, shown.values())) > 2 * FOLD and any(isinstance(p, folding.Box) for p in self.places):
            for leaf, places in list(shown.items()):  # too many arrows: the boxes say how many parameters they share
                if all(isinstance(p, folding.Box) for p in places):
                    del shown[leaf]
                    for p in places:
                        self.shared[id(p)] = self.shared.get(id(p), 0) + 1
        return shown

    def mark_far_uses(self):
        """Tensors that are used far from where they stand are written again there: by name, or by a number in brackets."""
        self.position = {id(p): k for k, p in enumerate(self.places)}
        self.first_use = {leaf: min((self.position[id(p)] for p in users), default=0) for leaf, users in self.feeds.items()}
        self.marks: dict = {}
        for place in self.places if len(self.places) > FAR else ():
            for node in place.nodes if isinstance(place, folding.Box) else [place]:
                for parent in trace.parents(node):
                    if parent is not None and self.is_far(parent, place) and parent not in self.marks:
                        self.marks[parent] = self.names.nodes.get(parent) or f"({len(self.marks) + 1})"

    def is_far(self, parent, place):
        """True if an arrow from the tensor to the place would cross most of the picture."""
        if parent.op is None:
            start = self.first_use.get(parent)
        else:
            start = None if isinstance(self.place[parent], folding.Box) else self.position[id(self.place[parent])]
        return start is not None and self.position[id(place)] - start > FAR

    # --- arrows ------------------------------------------------------------------------------------------------------

    def edge(self, tail, head, labels=(), slot=None, **style):
        """An arrow; to a folded box there is one from each place, with all labels, and else one per use."""
        found = self.edges.setdefault((tail, head, slot), ([], style))
        found[0].extend(x for x in labels if x)

    def inputs(self, place, tree):
        """The arrows that enter a place, and the constants it uses."""
        boxed = isinstance(place, folding.Box)
        target = self.id(id(place), "box") if boxed else self.op_id(place)
        for node in place.nodes if boxed else [place]:
            parts = None
            if not boxed and self.level == "values" and node in self.gradients:
                parts = trace.contributions(node, self.gradients[node])
            several = len(trace.parents(node)) > 1 and node.op.name not in ("add", "mul", "maximum", "minimum")
            for i, parent in enumerate(trace.parents(node)):
                slot = trace.place_name(trace.call_of(node).op, i) if several and not boxed else ""
                if parent is None:
                    if not boxed or self.names.constant(node, i) or self.named_origin(node, i) is not None:
                        self.constant(node, i, target, slot, tree)
                    continue
                source = self.place.get(parent)
                if parent.op is None and parent not in self.feeds:
                    continue
                if source is place:
                    continue
                if parent in self.marks and self.is_far(parent, place):
                    again = self.id((parent, id(place)), "again")
                    self.add(tree, [], again, self.look(self.kind(parent), [self.marks[parent]], ["the same tensor, far away"]))
                    self.edge(again, target, [slot], None if boxed else i)
                    continue
                inner = isinstance(source, folding.Box)
                tail = self.id(id(source), "box") if inner else self.id(parent)
                labels = [slot]
                if boxed or inner:
                    labels = [text.shape(parent.shape, parent.dtype)] if inner else []
                else:
                    labels.append(stretched(node, parent.shape))
                    if parts is not None and parts[i] is not None and (np.size(parts[i]) == 1 or np.size(parts[i]) <= 4 and self.uses[parent] > 1):
                        labels.append("∂ " + " ".join(text.array(parts[i], 4 if np.size(parts[i]) == 1 else 3).split()))  # used once, it is the gradient in the box
                slot_number = None if boxed or inner else i
                if len(self.edges.get((tail, target, slot_number), ((),))[0]) < 3:
                    self.edge(tail, target, labels, slot_number)
            self.whole_numbers(node, target, boxed, tree)

    def whole_numbers(self, node, target, boxed, tree):
        """Targets and indices: data that an operator takes beside its inputs."""
        for slot, value in node.params.items():
            if slot in NUMBERED and isinstance(value, np.ndarray) and value.dtype.kind in "iu":
                name, held = self.names.like(value)
                if name or NUMBERED[slot] and not boxed:
                    key = ("tensor", id(held)) if name else ("use", node, slot)
                    self.data(key, name, value, node, tree)
                    self.edge(self.constants[key], target, [] if boxed else [slot], slot, **({} if name else dict(style="dashed")))

    def named_origin(self, node, i):
        """The named tensor of which a constant input is a view: x, where x.flatten(1) goes in."""
        held = trace.origin(node, i)
        return held if held is not None and self.names.of_constant(held) else None

    def data(self, key, name, value, node, tree):
        """The box of data with a name, or of a constant in the formula, which stands with the step that uses it."""
        if key in self.constants:
            return
        self.constants[key] = self.id(key, "constant")
        rows = [name] if name else []
        if value is None:
            rows.append("constant")
        elif self.level == "values" or np.size(value) == 1:
            rows.append(text.array(value))
        if value is not None and np.size(value) > 12 or self.level != "values" and np.size(value if value is not None else 0) > 1:
            rows.append(text.shape(np.shape(value), np.asarray(value).dtype))
        path = () if name else self.cluster(node.note.module if node.note is not None else (), node)
        self.add(tree, path, self.constants[key],
                 self.look("input" if name else "constant", rows, [name or "constant", text.shape(np.shape(value))]))  # fmt: skip

    def constant(self, node, i, target, slot, tree):
        """A constant input: data with a name, or a number in the formula."""
        value = name = None
        if trace.recorded(node):
            value = trace.given(node)[i]
            if value is None:
                return
            name = self.names.constant(node, i)
        else:
            value = saved_constant(node, i)
            found = self.names.arrays.get(id(value)) if value is not None else None
            name = found[0] if found else None
            if value is None and trace.input_name(trace.call_of(node).op, i) in getattr(node.op, "defaults", {}):
                return
        held = None if name else self.named_origin(node, i)
        if held is not None:
            labels = [slot, f"as {text.shape(np.shape(value))}"]
            key, name, value = ("tensor", id(held)), self.names.of_constant(held), held.array
        else:
            labels = [slot, stretched(node, np.shape(value)) if value is not None else ""]
            key = trace.constant_key(node, i) if name else (node, i)
        self.data(key, name, value, node, tree)
        self.edge(self.constants[key], target, labels, i, **({} if name else dict(style="dashed")))

    # --- a failed forward pass ---------------------------------------------------------------------------------------

    def failure(self, tree):
        """The operator that failed, in red, with what it was given."""
        op, args, params = self.failed
        target = self.id("failed", "op")
        self.add(tree, [], target, self.operator_look("failed", op, {}, [op.formula, text.shortened(self.error, 300)]))
        for i, a in enumerate(args):
            label = f"{trace.place_name(op, i)} {text.shape(np.shape(trace.array_of(a)))}"
            if isinstance(a, Tensor) and a.node is not None and a.node in self.place and not isinstance(self.place[a.node], folding.Box):
                tail = self.id(a.node)
            elif isinstance(a, Tensor) and a.node is not None and a.node in self.place:
                tail = self.id(id(self.place[a.node]), "box")
            elif isinstance(a, Tensor) and a.node is not None:
                tail = self.id(a.node)
            elif a is None:
                continue
            else:
                found = self.names.others.get(id(a))
                name = found[0] if found else None
                tail = self.id(("given", i), "constant")
                rows = [x for x in (name, text.shape(np.shape(trace.array_of(a)))) if x]
                self.add(tree, [], tail, self.look("input" if name else "constant", rows))
            self.edge(tail, target, [label], i, color=ALARM, fontcolor=ALARM)


def write_legend(graph, kinds):
    """One example of each kind that occurs, for programs that read the DOT text."""
    with graph.subgraph(name="cluster_legend") as inside:
        inside.attr(label="legend", style="rounded,dashed", color="#c3ccd4", fontcolor=FAINT, fontsize="9", labeljust="l")
        for kind in kinds:
            shape, style, fill, border, words = LOOKS[kind]
            inside.node(f"legend_{kind}", label=words, shape=shape, style=style, fillcolor=fill, color=border, fontsize="8", height="0.2",
                        margin="0.06,0.03", tooltip=words, peripheries="2" if kind == "kept" else "1")  # fmt: skip


def path_key(path):
    """What makes two module paths the same."""
    return tuple(map(id, path))


def described(module):
    """`Linear(2→3)`, or the name of the class."""
    for a, b in (("in_features", "out_features"), ("in_channels", "out_channels")):
        if hasattr(type(module), "__getattr__") and a in vars(module) and b in vars(module):
            return f"{type(module).__name__}({vars(module)[a]}→{vars(module)[b]})"
    return type(module).__name__


def parameter_text(name, value):
    """`axis=1`, or an index as Python writes it; empty for what the shapes say, and for what changes nothing."""
    if hasattr(value, "dtype") or name == "shape" or name in PLAIN and np.all(np.asarray(value) == PLAIN[name]):
        return ""
    if name == "index":
        parts = value if isinstance(value, tuple) else (value,)
        return text.shortened(f"[{', '.join(map(index_text, parts))}]", 24)
    shown = repr(value[0]) if isinstance(value, tuple) and len(value) and len(set(map(repr, value))) == 1 else value
    return f"{name}={text.shortened(shown, 18)}"


NUMBERED = dict(target=True, indices=True, index=False)  # parameters that are data, and whether those without a name are drawn too
PLAIN = dict(stride=1, dilation=1, padding=0, groups=1, output_padding=0)  # what convolutions do by themselves


def index_text(part):
    """One part of an index: `1:3`, `…`, `None`, or what kind of array."""
    if isinstance(part, slice):
        first, last, step = ("" if v is None else str(v) for v in (part.start, part.stop, part.step))
        return f"{first}:{last}" + (f":{step}" if step else "")
    if part is Ellipsis:
        return "..."
    return f"array {text.shape(np.shape(part))}" if np.ndim(part) else str(part)


def saved_constant(node, i):
    """The value of a constant input, if a rule of another input kept it."""
    op = node.op
    if node.saved is None or op.variadic or i >= len(op.inputs):
        return None
    for wants, args in zip(op.wants, node.saved):
        if args is not None and op.inputs[i] in wants:
            return args[wants.index(op.inputs[i])]
    return None


def kept_results(operators):
    """Results whose values some derivative rule keeps until backward."""
    kept = set()
    for node in operators:
        op = trace.call_of(node).op
        if op.kind == "function":
            held = [t for t in op.context.saved_tensors if t is not None]
            kept.update(t.node for t in held if t.node is not None and t.node.op is not None)
            if trace.recorded(node) and any(t.array is node.note.value for t in held):
                kept.add(node)
            continue
        if op.variadic:
            if any(w == op.variadic for w in op.wants[0]):
                kept.update(p for p in trace.parents(node) if p is not None and p.op is not None)
            if "out" in op.wants[0]:
                kept.add(node)
            continue
        for wants, needed in zip(op.wants, trace.parents(node)):
            if needed is None:
                continue
            for w in wants:
                if w == "out":
                    kept.add(node)
                elif w in op.inputs:
                    source = trace.parents(node)[op.inputs.index(w)]
                    if source is not None and source.op is not None:
                        kept.add(source)
    return kept


def stretched(node, shape):
    """Which axes of an elementwise operator's input were broadcast: `axis 0 ×5`."""
    if node.op.kind != "elementwise" or tuple(shape) == tuple(node.shape) or not len(shape):
        return ""
    lead = len(node.shape) - len(shape)
    axes = [i for i, n in enumerate(node.shape) if n != 1 and (i < lead or shape[i - lead] == 1)]
    return "stretched " + ", ".join(f"axis {i} ×{node.shape[i]}" for i in axes) if axes else ""


def same(a, b):
    """True if two parameter values are equal, whatever they are."""
    try:
        return bool(a == b)
    except Exception:
        return False


def line_of(words):
    """Text as a DOT label: backslashes doubled, line breaks kept."""
    return str(words).replace("\\", "\\\\").replace("\r", "").replace("\n", "\\n") if words else ""


def record_of(words):
    """Text as a field of a record label."""
    return re.sub(r"([{}|<>])", r"\\\1", line_of(words)).replace("  ", "\\ \\ ")


def upright(rows, direction):
    """A record label with its fields one above the other, whichever way the graph runs."""
    fields = "|".join(record_of(r) for r in rows)
    return fields if direction in ("LR", "RL") else "{" + fields + "}"


def plain(label):
    """A label that DOT does not take for HTML."""
    return label if not (label.startswith("<") and label.endswith(">")) else label + " "


__all__ = ["Drawing", "draw", "escape", "to_dot", "Node"]
