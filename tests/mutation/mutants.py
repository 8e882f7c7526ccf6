"""Mutants of a source file: each is one small mistake, as a change of the syntax tree; nothing is written to disk.

A mutant is known by a key that outlives edits elsewhere: `file::function | before → after`, with a number behind it where a
function has the same change in several places.
"""

import ast
import copy
import hashlib
from contextlib import contextmanager
from typing import Any, NamedTuple

BINARY = {ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.Pow: ast.Mult, ast.Mod: ast.Mult, ast.FloorDiv: ast.Mult,
          ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd, ast.BitXor: ast.BitAnd, ast.LShift: ast.RShift, ast.RShift: ast.LShift}  # fmt: skip
UNORDERED = (ast.Add, ast.Mult, ast.BitAnd, ast.BitOr, ast.BitXor)
COMPARE = {ast.Lt: (ast.LtE, ast.GtE), ast.LtE: (ast.Lt, ast.Gt), ast.Gt: (ast.GtE, ast.LtE), ast.GtE: (ast.Gt, ast.Lt), ast.Eq: (ast.NotEq,),
           ast.NotEq: (ast.Eq,), ast.Is: (ast.IsNot,), ast.IsNot: (ast.Is,), ast.In: (ast.NotIn,), ast.NotIn: (ast.In,)}  # fmt: skip
OTHER = {"sin": "cos", "cos": "sin", "sinh": "cosh", "cosh": "sinh", "exp": "expm1", "log": "log1p", "sqrt": "square", "square": "sqrt",
         "minimum": "maximum", "maximum": "minimum", "min": "max", "max": "min", "argmin": "argmax", "argmax": "argmin", "sum": "mean", "mean": "sum",
         "all": "any", "any": "all", "zeros_like": "ones_like", "ones_like": "zeros_like", "zeros": "ones", "floor": "ceil", "ceil": "floor",
         "prod": "sum", "heappop": "heappush", "union": "intersection", "append": "extend", "isnan": "isinf"}  # fmt: skip
SILENT = {"add_note", "warn", "getLogger"}  # calls that only say something
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)


class Mutant(NamedTuple):
    """One change: in `parent`, the child at `field` (and `index`, in a list) becomes `new`; None takes it out of the list."""

    key: str
    parent: Any
    field: str
    index: Any
    new: Any
    lines: range  # where it takes effect
    function: str  # the path of the function; "" for the module itself
    digest: str  # changes with the text of the outermost function


def mutants_of(source, file, wanted=None, swaps=False):
    """(tree, mutants) of a file. `wanted(node)` chooses functions (None: everything); `swaps` also exchanges arguments and results."""
    tree = ast.parse(source)
    maker = Maker(file, wanted, swaps)
    maker.visit_body(tree, [])
    return tree, maker.found


@contextmanager
def applied(mutant):
    """The tree of the mutant, for the time of a `with` block."""
    target = getattr(mutant.parent, mutant.field)
    if mutant.index is None:
        setattr(mutant.parent, mutant.field, mutant.new)
    else:
        before = list(target)
        target[mutant.index : mutant.index + 1] = [] if mutant.new is None else [mutant.new]
    try:
        yield
    finally:
        if mutant.index is None:
            setattr(mutant.parent, mutant.field, target)
        else:
            target[:] = before


class Maker:
    """Walks through a tree and collects the mutants."""

    def __init__(self, file, wanted, swaps):
        self.file, self.wanted, self.swaps = file, wanted, swaps
        self.found, self.counts = [], {}
        self.lines, self.digest, self.arguments, self.reshaping = range(0), "", [], False

    def add(self, parent, field, index, new, where, before=None, after=None):
        """One mutant; `new` is a node, or None to take a statement out."""
        old = getattr(parent, field)
        old = old if index is None else old[index]
        if new is not None:
            new = ast.fix_missing_locations(ast.copy_location(new, old))
        before = short(ast.unparse(old)) if before is None else before
        after = after if after is not None else "(nothing)" if new is None else short(ast.unparse(new))
        if before == after:
            return
        key = f"{self.file}::{'.'.join(where)} | {before} → {after}"
        count = self.counts[key] = self.counts.get(key, 0) + 1
        key += f" #{count}" if count > 1 else ""
        self.found.append(Mutant(key, parent, field, index, new, self.lines, ".".join(where), self.digest))

    # --- statements ------------------------------------------------------------------------------------------------------

    def visit_body(self, node, where):
        """All statements of a module, class or function."""
        for i, statement in enumerate(node.body):
            self.statement(node, "body", i, statement, where)

    def statement(self, parent, field, i, node, where):
        if isinstance(node, (ast.Import, ast.ImportFrom, ast.Global, ast.Nonlocal, ast.Pass)) or is_docstring(node) or is_public_list(node):
            return
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            self.definition(node, where)
            return
        inside = self.wanted is None or bool(where)
        if not inside:
            self.lambdas(node, where)
            return
        if not where:
            self.digest = digest(node)
        self.lines = range(node.lineno, own_end(node) + 1)
        alone = len(getattr(parent, field)) == 1
        nothing = ast.Pass() if alone else None
        if isinstance(node, (ast.Expr, ast.Assign, ast.AugAssign, ast.Delete, ast.Raise, ast.Assert)):
            if not (isinstance(node, ast.Expr) and is_silent(node.value)):
                self.add(parent, field, i, nothing, where, after="(nothing)")
        if isinstance(node, (ast.Break, ast.Continue)):
            self.add(parent, field, i, ast.Continue() if isinstance(node, ast.Break) else ast.Break(), where)
            self.add(parent, field, i, nothing, where, after="(nothing)")
        if isinstance(node, ast.AugAssign):
            other = BINARY.get(type(node.op))
            if other:
                self.add(parent, field, i, ast.AugAssign(node.target, other(), node.value), where)
            self.add(parent, field, i, ast.Assign([node.target], node.value), where)
        if isinstance(node, ast.Return) and node.value is not None:
            self.add(parent, field, i, ast.Return(ast.Constant(None)), where)
            if self.swaps and self.arguments:
                self.add(parent, field, i, ast.Return(ast.Name(self.arguments[0], ast.Load())), where)
        if isinstance(node, (ast.If, ast.While)):
            self.forced(node, "test", where)
        for name, value in ast.iter_fields(node):
            self.lines = range(node.lineno, own_end(node) + 1)
            if isinstance(node, ast.Raise) or name in ("annotation", "type_ignores", "type_comment"):
                continue
            if isinstance(value, list):
                for k, item in enumerate(list(value)):
                    if isinstance(item, ast.stmt):
                        self.statement(node, name, k, item, where)
                    elif isinstance(item, ast.excepthandler):
                        for n, inner in enumerate(item.body):
                            self.statement(item, "body", n, inner, where)
                    elif isinstance(item, ast.withitem):
                        self.expression(item, "context_expr", None, where)
                    elif isinstance(item, ast.expr):
                        self.expression(node, name, k, where)
            elif isinstance(value, ast.expr):
                self.expression(node, name, None, where)

    def definition(self, node, where):
        """A function or class: its defaults, then its body."""
        if isinstance(node, ast.FunctionDef):
            if not where and self.wanted is not None:
                self.lambdas(node, where)  # rules in decorators
                if not self.wanted(node):
                    return
            if not where:
                self.digest = digest(node)
            before, self.arguments = self.arguments, [a.arg for a in (*node.args.posonlyargs, *node.args.args) if a.arg not in ("self", "cls")]
            self.lines = range(node.lineno, node.lineno + 1)
            self.defaults(node, [*where, node.name])
            self.visit_body(node, [*where, node.name])
            self.arguments = before
            return
        if self.wanted is None:
            if not where:
                self.digest = digest(node)
            self.visit_body(node, [*where, node.name])

    def defaults(self, node, where):
        if self.wanted is None:
            for k in range(len(node.args.defaults)):
                self.expression(node.args, "defaults", k, where)
            for k, value in enumerate(node.args.kw_defaults):
                if value is not None:
                    self.expression(node.args, "kw_defaults", k, where)

    def lambdas(self, node, where):
        """The wanted lambdas of a statement: derivative rules in decorators' arguments, or in tables."""
        parents = node.decorator_list if isinstance(node, ast.FunctionDef) else [node]
        for top in parents:
            for parent in ast.walk(top):
                for name, inner in rules_in(parent):
                    if self.wanted(inner):
                        path = [*where, f"{node.name}.rule[{name}]" if isinstance(node, ast.FunctionDef) else name]
                        self.digest = digest(inner)
                        self.lambda_body(inner, path)

    def lambda_body(self, node, where):
        before, self.arguments = self.arguments, [a.arg for a in node.args.args]
        self.lines = range(node.body.lineno, (node.body.end_lineno or node.body.lineno) + 1)
        if self.swaps and self.arguments:
            self.add(node, "body", None, ast.Name(self.arguments[0], ast.Load()), where)
        self.expression(node, "body", None, where)
        self.arguments = before

    # --- expressions -----------------------------------------------------------------------------------------------------

    def forced(self, parent, field, where):
        """A condition that always holds, and one that never does."""
        test = getattr(parent, field)
        if not isinstance(test, ast.Constant):
            self.add(parent, field, None, ast.Constant(True), where)
            self.add(parent, field, None, ast.Constant(False), where)

    def expression(self, parent, field, index, where):
        """The mutants of an expression and of what is in it."""
        old = getattr(parent, field)
        node = old if index is None else old[index]
        put = lambda new, **how: self.add(parent, field, index, new, where, **how)  # noqa: E731
        if isinstance(node, (ast.JoinedStr, ast.Starred)) or is_silent(node):
            if isinstance(node, ast.Starred):
                self.expression(node, "value", None, where)
            return
        if isinstance(node, ast.Lambda):
            before = self.arguments
            self.arguments = before + [a.arg for a in node.args.args]
            self.expression(node, "body", None, where)
            self.arguments = before
            return
        if isinstance(node, ast.Constant):
            if isinstance(node.value, str) and not isinstance(parent, (ast.Compare, ast.Tuple, ast.Set)):
                return  # names in messages; what is compared is another matter
            for value in other_constants(node.value):
                if self.reshaping and isinstance(parent, ast.UnaryOp) and value > node.value:
                    continue  # reshape(-2) is reshape(-1) to NumPy
                put(ast.Constant(value), before=f"{ast.unparse(node)} in {short(ast.unparse(parent))}")
        elif isinstance(node, ast.Name):
            swapped = self.swaps and isinstance(node.ctx, ast.Load) and node.id in self.arguments and len(self.arguments) > 1
            if swapped and not is_type_test(parent) and not (isinstance(parent, ast.Attribute) and parent.attr in ("dtype", "itemsize")):
                put(ast.Name(self.arguments[(self.arguments.index(node.id) + 1) % len(self.arguments)], ast.Load()), **named(node, parent))
        elif isinstance(node, ast.BinOp):
            other = BINARY.get(type(node.op))
            if other:
                put(ast.BinOp(node.left, other(), node.right))
            if not isinstance(node.op, UNORDERED):
                put(ast.BinOp(node.right, node.op, node.left))
            put(node.left)
            put(node.right)
        elif isinstance(node, ast.UnaryOp):
            put(node.operand)
        elif isinstance(node, ast.Compare):
            for k, op in enumerate(node.ops):
                for new in COMPARE[type(op)]:
                    put(ast.Compare(node.left, [*node.ops[:k], new(), *node.ops[k + 1 :]], node.comparators))
        elif isinstance(node, ast.BoolOp):
            put(ast.BoolOp(ast.Or() if isinstance(node.op, ast.And) else ast.And(), node.values))
            for k in range(len(node.values)):
                rest = [v for i, v in enumerate(node.values) if i != k]
                put(rest[0] if len(rest) == 1 else ast.BoolOp(node.op, rest))
        elif isinstance(node, ast.IfExp):
            put(node.body)
            put(node.orelse)
        elif isinstance(node, ast.Call):
            self.call(node, put)
        elif isinstance(node, ast.Tuple) and isinstance(node.ctx, ast.Load) and len(node.elts) > 1 and not is_type_test(parent):
            put(ast.Tuple([*node.elts[1:], node.elts[0]], ast.Load()))
        elif isinstance(node, ast.Slice):
            for part in ("lower", "upper", "step"):
                if getattr(node, part) is not None:
                    put(ast.Slice(**{p: None if p == part else getattr(node, p) for p in ("lower", "upper", "step")}))
        elif isinstance(node, (ast.ListComp, ast.SetComp, ast.GeneratorExp, ast.DictComp)):
            for generator in node.generators:
                self.expression(generator, "iter", None, where)
                for k in range(len(generator.ifs)):
                    self.add(generator, "ifs", k, None, where, before=f"if {short(ast.unparse(generator.ifs[k]))}")
                    self.expression(generator, "ifs", k, where)
        self.children(node, where)

    def children(self, node, where):
        before = self.reshaping
        self.reshaping = before or isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "reshape"
        self.parts(node, where)
        self.reshaping = before

    def parts(self, node, where):
        for name, value in ast.iter_fields(node):
            if name in ("generators", "ops", "ctx", "keywords", "op"):
                continue
            if isinstance(value, list):
                for k, item in enumerate(value):
                    if isinstance(item, ast.expr):
                        self.expression(node, name, k, where)
            elif isinstance(value, ast.expr) and not (isinstance(node, ast.Call) and name == "func" and isinstance(value, ast.Name)):
                self.expression(node, name, None, where)
        for keyword in getattr(node, "keywords", []):
            self.expression(keyword, "value", None, where)

    def call(self, node, put):
        """Another function, other arguments, no call at all."""
        name = node.func.attr if isinstance(node.func, ast.Attribute) else node.func.id if isinstance(node.func, ast.Name) else ""
        if name in OTHER:
            func = copy.copy(node.func)
            if isinstance(func, ast.Attribute):
                func.attr = OTHER[name]
            else:
                func.id = OTHER[name]
            put(ast.Call(func, node.args, node.keywords))
        for k, keyword in enumerate(node.keywords):
            if keyword.arg not in (None, "doc", "stacklevel"):
                put(ast.Call(node.func, node.args, [w for i, w in enumerate(node.keywords) if i != k]))
        plain = [a for a in node.args if not isinstance(a, ast.Starred)]
        if len(plain) == len(node.args) >= 2 and name not in SYMMETRIC:
            put(ast.Call(node.func, [node.args[1], node.args[0], *node.args[2:]], node.keywords))
        if isinstance(node.func, ast.Attribute) and not (isinstance(node.func.value, ast.Name) and node.func.value.id in MODULES):
            put(node.func.value)
        elif plain:
            put(plain[0])


SYMMETRIC = {"swapaxes", "maximum", "minimum", "result_type", "hypot", "array_equal"}
MODULES = {"np", "modes", "memory", "dtypes", "operator", "operands", "engine", "inspect", "weakref", "zlib", "functools", "threading", "warnings", "math"}


def rules_in(parent):
    """(name, lambda) of the keyword arguments and table entries that are functions."""
    if isinstance(parent, ast.keyword) and isinstance(parent.value, ast.Lambda):
        yield parent.arg, parent.value
    elif isinstance(parent, ast.Dict):
        for key, value in zip(parent.keys, parent.values):
            if isinstance(value, ast.Lambda):
                yield ast.unparse(key) if key else "", value
    elif isinstance(parent, (ast.Call, ast.Tuple, ast.List, ast.Assign)):
        values = parent.args if isinstance(parent, ast.Call) else [parent.value] if isinstance(parent, ast.Assign) else parent.elts
        for k, value in enumerate(values):
            if isinstance(value, ast.Lambda):
                yield f"lambda {k}", value


def named(node, parent):
    """A key of a replaced name that shows where it stood."""
    return dict(before=f"{node.id} in {short(ast.unparse(parent))}")


def other_constants(value):
    if isinstance(value, bool):
        return [not value]
    if value is Ellipsis or value is None or isinstance(value, (bytes, complex)):
        return []
    if isinstance(value, str):
        return [value + "?"] if value else []
    if isinstance(value, int):
        return [value + 1, value - 1] if value not in (0,) else [1, -1]
    return [value * 2 + 1, -value] if value else [1.0]


def is_docstring(node):
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def is_type_test(node):
    """isinstance(…), where the order of types is no matter, and all inputs of a rule are of one kind."""
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "isinstance"


def is_public_list(node):
    """`__all__ = […]`, and `__slots__`, which saves memory."""
    return isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id in ("__all__", "__slots__")


def is_silent(node):
    """A call that only says something: its text is no part of the computation."""
    func = node.func if isinstance(node, ast.Call) else None
    return isinstance(func, ast.Attribute) and func.attr in SILENT or isinstance(func, ast.Name) and func.id in SILENT


def own_end(node):
    """The last line of a statement itself, without the block below it."""
    if isinstance(node, (ast.If, ast.While, ast.For, ast.With, ast.Try)):
        return max(node.lineno, node.body[0].lineno - 1)
    return node.end_lineno or node.lineno


def digest(node):
    """A short text that changes with a function."""
    return text_digest(ast.dump(node))


def text_digest(text):
    """A short text that changes with a text."""
    return hashlib.sha1(text.encode()).hexdigest()[:12]


def short(text):
    """One line, at most a hundred characters."""
    text = " ".join(text.split())
    return text if len(text) <= 100 else text[:70] + "…" + text[-25:]
