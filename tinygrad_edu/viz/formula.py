"""Formulas from derivative rules: run a rule on symbols, and what it does to them is the formula. There is no second table.

A Symbol stands for an array: it has the array's value and shape, so that a rule can ask for both, and it writes down what
is done to it. Python's operators, NumPy's functions (through NumPy's own protocols) and methods of arrays all arrive here.
"""

import ast
import inspect
import textwrap
from functools import cache
from html import escape

import numpy as np

from . import text

WORDS = {np.add: "+", np.subtract: "−", np.multiply: "·", np.true_divide: "/", np.power: "^", np.matmul: "@", np.negative: "neg",
         np.greater: ">", np.less: "<", np.greater_equal: "≥", np.less_equal: "≤", np.equal: "=", np.not_equal: "≠",
         np.bitwise_and: "and", np.bitwise_or: "or", np.absolute: "abs"}  # fmt: skip
SUMS = {(np.add, "reduce"): "sum", (np.multiply, "reduce"): "prod", (np.maximum, "reduce"): "max", (np.minimum, "reduce"): "min",
        (np.add, "accumulate"): "cumsum", (np.multiply, "accumulate"): "cumprod"}  # fmt: skip
RANK = {"and": 1, "or": 1, ">": 2, "<": 2, "≥": 2, "≤": 2, "=": 2, "≠": 2, "+": 3, "−": 3, "·": 4, "/": 4, "@": 4,
        "neg": 4, "^": 6, "T": 7}  # fmt: skip
TEX = {"≥": r"\ge", "≤": r"\le", "≠": r"\ne", "·": r"\cdot", "@": r"\,", "−": "-", "and": r"\wedge", "or": r"\vee"}
LATEX_FUNCTIONS = {"exp", "log", "sin", "cos", "tan", "sinh", "cosh", "tanh", "max", "min", "arcsin", "arccos", "arctan"}


class Symbol(np.lib.mixins.NDArrayOperatorsMixin):
    """An array, and the formula that it came from: `head` with `args`, or a name (`head` "name") or number ("number")."""

    def __init__(self, value, head="number", args=()):
        self.value, self.head = value, head
        self.args = tuple(a.frozen() if isinstance(a, Symbol) else a for a in args)

    def frozen(self):
        """What the symbol stands for now; t /= s would change the symbol itself."""
        made = Symbol.__new__(Symbol)
        made.value, made.head, made.args = self.value, self.head, self.args
        return made

    shape = property(lambda self: np.shape(self.value))
    ndim = property(lambda self: np.ndim(self.value))
    size = property(lambda self: np.size(self.value))
    dtype = property(lambda self: np.asarray(self.value).dtype)
    itemsize = property(lambda self: np.asarray(self.value).dtype.itemsize)
    base = None

    @property
    def T(self):
        return transposed(self, self.value.T)

    def __len__(self):
        return len(self.value)

    def __bool__(self):
        return bool(self.value)

    def __array_ufunc__(self, ufunc, method, *inputs, **kwargs):
        into = kwargs.pop("out", None)
        if method not in ("__call__", "reduce", "accumulate") or into is not None and (len(into) != 1 or not isinstance(into[0], Symbol)):
            return NotImplemented  # a rule that writes into arrays has no formula
        with np.errstate(all="ignore"):
            value = getattr(ufunc, method)(*map(value_of, inputs), **kwargs)
        if method == "__call__":
            result = made(WORDS.get(ufunc, ufunc.__name__), value, *map(symbol, inputs))
        else:
            result = made(SUMS.get((ufunc, method), f"{ufunc.__name__}.{method}"), value, symbol(inputs[0]))
        if into is None:
            return result
        into[0].become(result)  # t /= s: the same object stands for something else from now on
        return into[0]

    def become(self, other):
        """Stand for what another symbol stands for."""
        self.value, self.head, self.args = other.value, other.head, other.args

    def __array_function__(self, function, types, args, kwargs):
        value = function(*map(value_of, args), **{k: value_of(v) for k, v in kwargs.items()})
        if function in (np.broadcast_to, np.reshape, np.ascontiguousarray, np.copy):
            return Symbol(value, self.head, self.args)
        if function is np.swapaxes:
            return transposed(args[0], value)
        return made(function.__name__, value, *(symbol(a) for a in args if not isinstance(a, (tuple, list, str)) and a is not None))

    def __getitem__(self, index):
        return Symbol(self.value[value_of(index)], "part", (self,))

    def same(self, value):
        """The same formula in another layout: reshaping moves no number."""
        return Symbol(value, self.head, self.args)

    def reshape(self, *shape):
        return self.same(self.value.reshape(*shape))

    def astype(self, dtype, copy=True):
        return self.same(np.asarray(self.value).astype(dtype))

    def copy(self):
        return self

    def swapaxes(self, a, b):
        return transposed(self, self.value.swapaxes(a, b))

    def transpose(self, *axes):
        return transposed(self, self.value.transpose(*axes))

    def dot(self, other):
        return made("@" if self.ndim and np.ndim(value_of(other)) else "·", self.value.dot(value_of(other)), self, symbol(other))

    def sum(self, axis=None, keepdims=False, **options):
        return made("sum", self.value.sum(axis=axis, keepdims=keepdims), self)

    def mean(self, axis=None, keepdims=False):
        return made("mean", self.value.mean(axis=axis, keepdims=keepdims), self)

    def max(self, axis=None, keepdims=False, **options):
        return made("max", self.value.max(axis=axis, keepdims=keepdims, **options), self)

    def min(self, axis=None, keepdims=False, **options):
        return made("min", self.value.min(axis=axis, keepdims=keepdims, **options), self)

    def prod(self, axis=None, keepdims=False, **options):
        return made("prod", self.value.prod(axis=axis, keepdims=keepdims), self)

    def all(self, axis=None):
        return self.value.all(axis=axis)

    def any(self, axis=None):
        return self.value.any(axis=axis)

    def __str__(self):
        return written(self)


def value_of(x):
    """The array behind a symbol; inside of tuples too."""
    if isinstance(x, (tuple, list)):
        return type(x)(value_of(v) for v in x)
    return x.value if isinstance(x, Symbol) else x


def symbol(x):
    """A symbol as it is; a number or array as a number."""
    return x if isinstance(x, Symbol) else Symbol(x)


def name(words, value):
    """A symbol that is written as a name."""
    return Symbol(np.asarray(value) if isinstance(value, (np.ndarray, np.generic)) else value, "name", (words,))


def is_number(x, wanted):
    """True for the literal number 0 or 1, and arrays full of it, that nobody named."""
    return x.head == "number" and not isinstance(x.value, bool) and np.size(x.value) > 0 and bool(np.all(np.equal(x.value, wanted)))


def made(head, value, *args):
    """A new symbol, with 1 · x, x · 1, x / 1, x + 0 and −(−x) written as what they are."""
    if head == "·":
        if is_number(args[0], 1):
            return args[1].same(value)
        if is_number(args[1], 1):
            return args[0].same(value)
        if is_number(args[0], -1) or is_number(args[1], -1):
            return made("neg", value, args[is_number(args[0], -1)].same(-np.asarray(value)))
        if args[0].head == "neg":
            return made("neg", value, made("·", value, args[0].args[0], args[1]))
        if args[0].head == "/" and is_number(args[0].args[0], 1):
            return made("/", value, args[1], args[0].args[1])
    if head in ("/", "^") and is_number(args[1], 1):
        return args[0].same(value)
    if head in ("+", "−") and is_number(args[1], 0):
        return args[0].same(value)
    if head == "+" and is_number(args[0], 0):
        return args[1].same(value)
    if head == "minimum" and args[1].head == "number" and np.all(np.greater(args[1].value, 80)) and np.all(value == args[0].value):
        return args[0]  # a guard against overflow that did not act
    if head == "neg" and args[0].head == "neg":
        return args[0].args[0].same(value)
    if head == "neg" and args[0].head == "number" and np.size(args[0].value) == 1:
        return Symbol(value)
    if head == "/" and args[0].head == "neg":
        return made("neg", value, made("/", value, args[0].args[0], args[1]))
    return Symbol(value, head, args)


def transposed(x, value):
    """xᵀ; twice is x itself, and (a @ b)ᵀ is bᵀ @ aᵀ."""
    if np.ndim(value) < 2 or x.head == "number" and np.size(value) == 1:
        return x.same(value)
    if x.head == "T":
        return x.args[0].same(value)
    if x.head == "@":
        a, b = x.args
        return Symbol(value, "@", (transposed(b, np.asarray(b.value).T), transposed(a, np.asarray(a.value).T)))
    return Symbol(value, "T", (x,))


def written(x, numbers=False, digits=4):
    """The formula as one line of text; with `numbers`, each name replaced by its value where that is a single number."""
    if x.head == "number" or numbers and x.head == "name" and np.size(x.value) == 1:
        return text.array(np.asarray(x.value).reshape(()), digits) if np.size(x.value) == 1 else text.array(x.value, digits, newline=" ")
    if x.head == "name":
        return str(x.args[0])
    rank = RANK.get(x.head, 9)

    def inner(a, tighter=False):
        words = written(a, numbers, digits)
        lower = RANK.get(a.head, 9) < rank + tighter
        negative = words.startswith("−") and a.head in ("name", "number") and (tighter or len(x.args) > 1 and a is x.args[1])
        return f"({words})" if lower or negative else words

    if x.head == "neg":
        return "−" + inner(x.args[0], True)
    if x.head == "T":
        return inner(x.args[0]) + "ᵀ"
    if x.head == "where":
        condition, yes, no = (written(a, numbers, digits) for a in x.args)
        return f"({yes} if {condition} else {no})"
    if x.head == "part":
        return f"{inner(x.args[0])}[…]"
    if x.head == "^" and is_number(x.args[1], 2):
        return inner(x.args[0], True) + "²"
    if x.head == "square":
        return bracketed(x.args[0], numbers, digits) + "²"
    if x.head == "abs":
        return f"|{written(x.args[0], numbers, digits)}|"
    if rank < 9:
        space = "" if x.head == "^" else " "
        return f"{space}{x.head}{space}".join((inner(x.args[0], x.head == "^"), inner(x.args[1], x.head in "−/^")))
    return f"{x.head}({', '.join(written(a, numbers, digits) for a in x.args)})"


def bracketed(x, numbers, digits):
    """The text in brackets unless it is one word."""
    words = written(x, numbers, digits)
    return words if words.isidentifier() else f"({words})"


def latex(x, numbers=False, digits=4):
    """The formula in LaTeX."""
    if x.head == "number" or numbers and x.head == "name" and np.size(x.value) == 1:
        shown = text.array(np.asarray(x.value).reshape(()), digits) if np.size(x.value) == 1 else r"\text{array}"
        return tex_number(shown)
    if x.head == "name":
        return tex_name(x.args[0])
    rank = RANK.get(x.head, 9)

    def inner(a, tighter=False):
        words = latex(a, numbers, digits)
        lower = RANK.get(a.head, 9) < rank + tighter
        negative = words.startswith("-") and (tighter or a.head in ("name", "number") and len(x.args) > 1 and a is x.args[1])
        return rf"\left({words}\right)" if lower or negative else words

    if x.head == "neg":
        return "-" + inner(x.args[0], True)
    if x.head == "T":
        return inner(x.args[0]) + r"^{\top}"
    if x.head == "/":
        return rf"\frac{{{latex(x.args[0], numbers, digits)}}}{{{latex(x.args[1], numbers, digits)}}}"
    if x.head == "^":
        return f"{inner(x.args[0], True)}^{{{latex(x.args[1], numbers, digits)}}}"
    if x.head == "square":
        words = latex(x.args[0], numbers, digits)
        return f"{words}^2" if x.args[0].head == "name" and not numbers else rf"\left({words}\right)^2"
    if x.head == "sqrt":
        return rf"\sqrt{{{latex(x.args[0], numbers, digits)}}}"
    if x.head == "abs":
        return rf"\left|{latex(x.args[0], numbers, digits)}\right|"
    if x.head == "where":
        condition, yes, no = (latex(a, numbers, digits) for a in x.args)
        return rf"\begin{{cases}}{yes} & {condition}\\ {no} & \text{{else}}\end{{cases}}"
    if x.head == "part":
        return inner(x.args[0]) + r"_{\ldots}"
    if rank < 9:
        return f" {TEX.get(x.head, x.head)} ".join((inner(x.args[0]), inner(x.args[1], x.head in "−")))
    words = f"\\{x.head}" if x.head in LATEX_FUNCTIONS else rf"\operatorname{{{tex_escape(x.head)}}}"
    return rf"{words}\left({', '.join(latex(a, numbers, digits) for a in x.args)}\right)"


def tex_number(words):
    """A number of text.number in LaTeX: 1e−09 becomes 1 · 10⁻⁹."""
    mantissa, e, exponent = words.replace("−", "-").partition("e")
    return rf"{mantissa} \cdot 10^{{{int(exponent)}}}" if e and exponent.lstrip("+-").isdigit() else words.replace("−", "-")


def tex_escape(words):
    """Text in which LaTeX finds nothing to do."""
    out = str(words).replace("\\", r"\backslash ")
    for c in "_%$#&{}":
        out = out.replace(c, "\\" + c)
    return out.replace("^", r"\^{}").replace("~", r"\~{}").replace("∂", r"\partial ")


def tex_name(words):
    """A variable's name: w1 becomes w with index 1, longer words stand upright."""
    stem, index, lowered = name_and_index(words)
    if len(stem) == 1 and stem.isalpha():
        return f"{stem}_{{{index}}}" if index else stem
    return rf"\text{{{tex_escape(stem)}}}_{{{index}}}" if lowered else rf"\text{{{tex_escape(words)}}}"


def name_and_index(words):
    """("w", "1", False) for w1; ("loss", "2", True) where the index is written as one: loss₂."""
    words = str(words)
    stem = words.rstrip("₀₁₂₃₄₅₆₇₈₉")
    if stem and stem != words:
        return stem, words[len(stem) :].translate(str.maketrans("₀₁₂₃₄₅₆₇₈₉", "0123456789")), True
    stem = words.rstrip("0123456789")
    return stem, words[len(stem) :], False


def mathml(x, numbers=False, digits=4):
    """The formula in MathML, which browsers typeset by themselves."""
    if x.head == "number" or numbers and x.head == "name" and np.size(x.value) == 1:
        return ml_number(text.array(np.asarray(x.value).reshape(()), digits) if np.size(x.value) == 1 else "array")
    if x.head == "name":
        return ml_name(x.args[0])
    rank = RANK.get(x.head, 9)

    def inner(a, tighter=False):
        words = mathml(a, numbers, digits)
        lower = RANK.get(a.head, 9) < rank + tighter
        negative = numbers and np.size(a.value) == 1 and a.head in ("name", "number") and float(np.reshape(a.value, -1)[0]) < 0
        return f"<mrow><mo>(</mo>{words}<mo>)</mo></mrow>" if lower or negative and tighter else words

    if x.head == "neg":
        return f"<mrow><mo>−</mo>{inner(x.args[0], True)}</mrow>"
    if x.head == "T":
        return f"<msup>{inner(x.args[0])}<mi>T</mi></msup>"
    if x.head == "/":
        return f"<mfrac>{row(mathml(x.args[0], numbers, digits))}{row(mathml(x.args[1], numbers, digits))}</mfrac>"
    if x.head == "^":
        return f"<msup>{row(inner(x.args[0], True))}{row(mathml(x.args[1], numbers, digits))}</msup>"
    if x.head == "square":
        words = mathml(x.args[0], numbers, digits)
        words = words if x.args[0].head == "name" else f"<mo>(</mo>{words}<mo>)</mo>"
        return f"<msup>{row(words)}<mn>2</mn></msup>"
    if x.head == "sqrt":
        return f"<msqrt>{mathml(x.args[0], numbers, digits)}</msqrt>"
    if x.head == "abs":
        return f"<mrow><mo>|</mo>{mathml(x.args[0], numbers, digits)}<mo>|</mo></mrow>"
    if x.head == "where":
        condition, yes, no = (mathml(a, numbers, digits) for a in x.args)
        return f"<mrow>{yes}<mtext> if </mtext>{condition}<mtext> else </mtext>{no}</mrow>"
    if x.head == "part":
        return f"<msub>{inner(x.args[0])}<mo>…</mo></msub>"
    if rank < 9:
        sign = f"<mo>{escape(x.head)}</mo>" if x.head != "@" else "<mo>·</mo>"
        return f"<mrow>{inner(x.args[0])}{sign}{inner(x.args[1], x.head in '·−')}</mrow>"
    between = "<mo>,</mo>".join(mathml(a, numbers, digits) for a in x.args)
    return f"<mrow><mi>{escape(x.head)}</mi><mo>(</mo>{between}<mo>)</mo></mrow>"


def row(words):
    """Several elements as one."""
    return f"<mrow>{words}</mrow>"


def ml_number(words):
    """A number, with its power of ten where it has one."""
    mantissa, e, exponent = words.partition("e")
    if e and exponent.lstrip("+−").isdigit():
        return f"<mrow><mn>{mantissa}</mn><mo>·</mo><msup><mn>10</mn><mn>{exponent.lstrip('+')}</mn></msup></mrow>"
    return f"<mn>{escape(words)}</mn>"


def ml_name(words):
    """A variable's name, w1 with an index; ∂a/∂b as a fraction."""
    words = str(words)
    if words.startswith("∂") and "/∂" in words:
        above, _, below = words[1:].partition("/∂")
        return f"<mfrac><mrow><mo>∂</mo>{ml_name(above)}</mrow><mrow><mo>∂</mo>{ml_name(below)}</mrow></mfrac>"
    stem, index, lowered = name_and_index(words)
    if index and (len(stem) == 1 or lowered):
        return f"<msub><mi>{escape(stem)}</mi><mn>{index}</mn></msub>"
    return f"<mi>{escape(words)}</mi>"


def forward_on_symbols(op, arrays, params, called):
    """What the operator computes, as a Symbol, or None where its function cannot be read that way."""
    names = op.inputs if not op.variadic else [f"{op.variadic}[{i}]" for i in range(len(arrays))]
    arguments = [name(called.get(x, x), a) if isinstance(a, (np.ndarray, np.generic)) else a for x, a in zip(names, arrays)]
    try:
        out = symbol(op.forward(*arguments, **params))
    except Exception:  # a function that looks into its arrays: the caller shows its docstring's formula instead
        return None
    if out.head == "part" and "index" not in params:
        return None
    return out if out.head not in ("number", "name") and isinstance(out.value, (np.ndarray, np.generic, float, int)) else None


def products(x, found=None):
    """Every matrix product inside of a formula: (left, right, whole)."""
    found = [] if found is None else found
    if isinstance(x, Symbol):
        if x.head == "@":
            found.append((x.args[0], x.args[1], x))
        for a in x.args:
            products(a, found)
    return found


@cache
def rule_in_words(op, i):
    """How an operator's table of rules describes the one of input `i`: the first line of its docstring, or its source."""
    rule = op.together or (op.rules[0] if op.variadic else op.rules[i] if i < len(op.rules) else None)
    if op.kind == "function":
        return (inspect.getdoc(op.function.backward) or f"{op.name}.backward").partition("\n")[0]
    if rule is None:
        return ""
    if rule.__doc__:
        return inspect.getdoc(rule).partition("\n")[0]
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(op.forward)))
    except (OSError, TypeError, SyntaxError):  # typed into a console
        return ""
    wanted = "together" if op.together else op.inputs[0 if op.variadic else i]
    for decorator in getattr(tree.body[0], "decorator_list", ()):
        for keyword in getattr(decorator, "keywords", ()):
            if keyword.arg == wanted:
                return ast.unparse(keyword.value.body if isinstance(keyword.value, ast.Lambda) else keyword.value)
    return ""


def rule_on_symbols(op, i, saved, called=None, g=None, g_name="g", out_name="out"):
    """The derivative rule of input `i` as a Symbol, or None where the rule cannot be read that way.

    `called` maps input names to what they are called in the formula. The symbol's value is what the rule really gives.
    """
    wants = op.wants[0] if op.variadic else op.wants[i] if i < len(op.wants) else ()
    rule = op.together or (op.rules[0] if op.variadic else op.rules[i] if i < len(op.rules) else None)
    if rule is None or saved is None or op.kind == "function":
        return None
    called = called or {}
    arguments = []
    for want, value in zip(wants, saved):
        array_like = isinstance(value, (np.ndarray, np.generic)) and (want in op.inputs or want == "out")
        if array_like:
            words = out_name if want == "out" else called.get(want, want)
            arguments.append(Symbol(value, words.head, words.args) if isinstance(words, Symbol) else name(words, value))
        elif want in op.inputs and isinstance(value, (int, float)) and want in called:
            arguments.append(value)
        else:
            arguments.append(value)
    start = Symbol(np.asarray(1.0)) if g is None else name(g_name, g) if np.size(g) > 1 or g_name != "g" else Symbol(g)
    try:
        out = rule(start, *arguments)
        out = out[i] if op.together else out
    except Exception:  # a rule that looks into its arrays: the caller shows numbers instead
        return None
    out = symbol(out)
    return out if np.asarray(out.value, dtype=getattr(out.value, "dtype", None)).dtype.kind in "fiub" else None
