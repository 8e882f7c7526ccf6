"""Write docs/operators.md from the registry: `python docs/make_operators.py`. A test compares the page with the registry."""

import ast
import importlib
import inspect
import re
import textwrap
from pathlib import Path

import tinygrad_edu  # noqa: F401  (fills the registry)
from tinygrad_edu.autograd.composites import Composite
from tinygrad_edu.autograd.operator import registry

HEAD = """# All operators

This page is written by `docs/make_operators.py` from the registry. `g` is the gradient of the result, and `out` the result; a rule gives the
gradient of the input that it stands for, before the engine sums it over broadcast dimensions. *Keeps* is what stays in memory until the
backward pass, and nothing else does. Below a formula stands which gradient is chosen where there is
none, out of the [conventions](reference/conventions.md), whose rows are tested. [How to write one](howto/new_operator.md).

Kinds: *elementwise* treats each element alone; *linear* is linear in its data; *general* is any other; *constant* has no derivative;
*composite* is a function made of operators.
"""


def family(op):
    """The file in ops/ that defines it."""
    function = op.function if isinstance(op, Composite) else op.forward
    return function.__module__


def signature(op):
    """The operator's call, as it is written in its definition."""
    function = op.function if isinstance(op, Composite) else op.forward
    return f"{op.name}{inspect.signature(function)}"


def rules(op):
    """{input: the rule's source} for one operator, read from its decorator."""
    source = textwrap.dedent(inspect.getsource(op.forward))
    definition = ast.parse(source).body[0]
    found = {}
    for decorator in definition.decorator_list:
        for keyword in getattr(decorator, "keywords", []):
            if keyword.arg in op.inputs or keyword.arg == "together":
                value = keyword.value
                found[keyword.arg] = ast.get_source_segment(source, value.body if isinstance(value, ast.Lambda) else value)
    return found


def kept(op):
    """What the rules ask for beyond shapes and parameters."""
    names = dict.fromkeys(w for wants in op.wants for w in wants if w in op.inputs or w == "out")
    return ", ".join(names) or "nothing"


def cell(text):
    """Text that may stand in a table."""
    return text.replace("|", "\\|").replace("\n", " ")


def code(text):
    """Code that may stand in a table."""
    return f"`{cell(' '.join(text.split()))}`"


def spelled(op, text):
    """A rule as it is shown: its expression, or its name, and what it does where it is a function of its own."""
    if text == "None":
        return "none"
    function = inspect.unwrap(op.forward).__globals__.get(text)
    doc = (inspect.getdoc(function) or "").partition("\n")[0].rstrip(".") if inspect.isfunction(function) else ""
    if inspect.isfunction(function) and not doc:
        body = ast.parse(textwrap.dedent(inspect.getsource(function))).body[0].body
        if len(body) == 1 and isinstance(body[0], ast.Return):
            return code(ast.unparse(body[0].value))
    return f"{code(text)}: {cell(doc)}" if doc else code(text)


SPELLINGS = {"max": "amax", "min": "amin", "norm": "vector_norm", "relu6": "hardtanh", "binary_cross_entropy": "bce"}


def kinks():
    """{operator: [what docs/reference/conventions.md says]}."""
    text = (Path(__file__).parent / "reference" / "conventions.md").read_text(encoding="utf-8")
    found = {}
    for call, at, _, gradient in re.findall(r"(?m)^\| `(.+?)` \| `(.+?)` \| `(.+?)` \| `(.+?)` \|", text):
        if call.endswith(".values"):  # along a dimension another operator chooses
            continue
        if call.startswith("x **"):
            name = "pow"
        elif call == "1 / x":
            name = "div"
        else:
            name = re.match(r"[\w.]*?(\w+)\(", call)[1]
        name = name if name in registry else SPELLINGS.get(name)
        if name in registry:
            shown = code(re.sub(r"\b(tg|nn\.functional)\.", "", call))
            found.setdefault(name, []).append(f"gradient of {shown} at {code(at)}: {code(gradient)}")
    return found


def row(op, kinks):
    """One line of the table."""
    if isinstance(op, Composite):
        shown, keeps = "made of operators", "what they keep"
    elif not op.differentiable:
        shown, keeps = "none", "nothing"
    else:
        source = rules(op)
        lines = [f"{'all' if x == 'together' else x}: {spelled(op, text)}" for x, text in source.items()]
        shown, keeps = "<br>".join(lines), kept(op)
    formula = "<br>".join([cell(op.formula), *kinks.get(op.name, [])])
    return f"| {code(signature(op))} | {formula} | {op.kind} | {shown} | {keeps} |"


def page():
    """The whole page."""
    families = {}
    for op in registry.values():
        families.setdefault(family(op), []).append(op)
    parts, chosen = [HEAD], kinks()
    for module, members in sorted(families.items()):
        title = module.rpartition(".")[2]
        doc = (inspect.getdoc(importlib.import_module(module)) or "").partition("\n")[0]
        parts.append(f"## {title}\n\n{doc} {len(members)} in `{module.replace('.', '/')}.py`.\n")
        parts.append("| operator | formula | kind | derivative rules | keeps |\n|---|---|---|---|---|")
        parts.append("\n".join(row(op, chosen) for op in sorted(members, key=lambda op: op.name)) + "\n")
    return "\n".join(parts)


if __name__ == "__main__":
    Path(__file__).with_name("operators.md").write_text(page(), encoding="utf-8")
