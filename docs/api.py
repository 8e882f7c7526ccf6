"""A directive for the reference: ```{api} tinygrad_edu.nn lists what a module offers, from its signatures and docstrings.

The docstrings are plain text with `code` and doctests; they are shown as Markdown. Options: `:as:` is the name in front (nn),
`:names:` chooses some names, `:methods:` lists the methods of a class instead, `:inherited:` those of its bases too.
"""

import importlib
import inspect
import re

from docutils import nodes
from docutils.parsers.rst import directives
from docutils.statemachine import StringList
from sphinx.util.docutils import SphinxDirective

PACKAGE = "tinygrad_edu"
TICKS = "````````"


def is_ours(value):
    """True for classes and functions of this package."""
    return callable(value) and (getattr(value, "__module__", None) or "").startswith(PACKAGE)


def public_names(module):
    """The names that a module offers, without modules and what it took from elsewhere."""
    names = getattr(module, "__all__", None) or [n for n in dir(module) if not n.startswith("_")]
    whole_package = hasattr(module, "__path__")
    found = {}
    for name in names:
        try:
            value = getattr(module, name)
        except (AttributeError, ImportError):
            continue
        if is_ours(value) and (whole_package or hasattr(module, "__all__") or value.__module__ == module.__name__):
            found[name] = value
    return found


def signature_of(value):
    """The signature without annotations; a default that has no short spelling is `...`."""
    try:
        signature = inspect.signature(value)
    except (TypeError, ValueError):
        return "(...)"
    parameters = []
    for p in signature.parameters.values():
        if p.name == "self" and p is next(iter(signature.parameters.values())):
            continue
        default = p.default
        if default is not p.empty and not isinstance(default, (int, float, str, bool, tuple, type(None))):
            default = Ellipsis
        parameters.append(p.replace(annotation=p.empty, default=default))
    return str(signature.replace(parameters=parameters, return_annotation=signature.empty)).replace("Ellipsis", "...")


def escaped(line):
    """A line of prose as Markdown: what stands outside of backticks means itself."""
    bullet = re.match(r"\s*[*-] ", line)
    start = bullet[0] if bullet else ""
    parts = re.split(r"(`[^`]*`)", line[len(start) :])
    return start + "".join(p if p.startswith("`") and len(p) > 1 else re.sub(r"([*_<\[\]{}$#\\|`~])", r"\\\1", p) for p in parts)


def markdown(doc):
    """A docstring as Markdown: doctests and indented blocks become blocks of code."""
    out, block, kind = [], [], None

    def close():
        nonlocal kind
        if block:
            while block and not block[-1].strip():
                block.pop()
            out.extend(["", f"```{kind}", *block, "```", ""])
        block.clear()
        kind = None

    for line in inspect.cleandoc(doc or "").splitlines():
        if kind == "pycon" and not line.strip() or kind == "text" and line.strip() and not line.startswith("    "):
            close()
        if kind is None and line.startswith(">>>"):
            kind = "pycon"
        elif kind is None and line.startswith("    ") and (not out or not out[-1].strip()):
            kind = "text"
        if kind:
            block.append(line[4:] if kind == "text" else line)
        else:
            out.append(escaped(line))
    close()
    return out


def entry(kind, name, signature, doc, inner=()):
    """One object as a block of Sphinx's Python domain."""
    ticks = TICKS if inner else TICKS[:5]
    return [f"{ticks}{{py:{kind}}} {name}{signature}", "", *markdown(doc), *inner, ticks, ""]


def doc_of(value, name=None, owner=None):
    """Its docstring, or that of the method that it overrides."""
    if owner is not None:
        for base in owner.__mro__:
            found = vars(base).get(name)
            found = found.__func__ if isinstance(found, (staticmethod, classmethod)) else found
            if getattr(found, "__doc__", None):
                return found.__doc__
        return ""
    return vars(value).get("__doc__") if inspect.isclass(value) else value.__doc__


def members(cls, inherited=False):
    """[(name, plain function or property)] of a class's public methods, those of its bases too if asked for."""
    found = {}
    for base in reversed(cls.__mro__ if inherited else [cls]):
        if base.__module__.startswith(PACKAGE):
            found |= {n: v for n, v in vars(base).items() if not n.startswith("_")}
    chosen = []
    for name, value in found.items():
        if isinstance(value, (staticmethod, classmethod)):
            value = value.__func__
        if isinstance(value, property) or inspect.isfunction(value) or type(value).__name__ == "getset_descriptor":
            chosen.append((name, value))
    return chosen


def documented_methods(cls, prefix, skip=(), inherited=False):
    """The entries of a class's methods; those that say nothing of their own are left to the base class."""
    lines = []
    for name, value in sorted(members(cls, inherited)):
        own = getattr(value, "__doc__", None)
        if name in skip or not own:
            continue
        is_property = not inspect.isfunction(value)
        lines += entry(
            "property" if is_property else "method", f"{prefix}{name}", "" if is_property else signature_of(value), own
        )
    return lines


class Api(SphinxDirective):
    """Write the entries of a module or a class."""

    required_arguments = 1
    option_spec = {
        "as": directives.unchanged,
        "names": directives.unchanged,
        "methods": directives.flag,
        "inherited": directives.flag,
        "except": directives.unchanged,
    }

    def run(self):
        where = self.arguments[0]
        if "methods" in self.options:
            module, _, name = where.rpartition(".")
            return self.parsed(self.methods(getattr(importlib.import_module(module), name)))
        module = importlib.import_module(where)
        chosen = self.options.get("names", "").split()
        found = {n: getattr(module, n) for n in chosen} if chosen else public_names(module)
        prefix = self.options.get("as", where)
        groups = {}
        left_out = self.options.get("except", "").split()
        for name, value in sorted(found.items(), key=lambda item: item[0].lower()):
            if name not in left_out:
                groups.setdefault(value.__module__, {})[name] = value
        if len(groups) < 2 or chosen:
            return self.parsed(self.entries({k: v for g in groups.values() for k, v in g.items()}, prefix))
        made = []
        for file in sorted(groups, key=lambda m: (self.title(m), m)):
            section = nodes.section(ids=[nodes.make_id(f"{where} {file}")])
            section += nodes.title("", self.title(file))
            self.state.document.note_explicit_target(section)
            section += self.parsed(self.entries(groups[file], prefix))
            made.append(section)
        return made

    @staticmethod
    def title(file):
        """The first words of a module's docstring."""
        doc = (importlib.import_module(file).__doc__ or file).strip().partition("\n")[0]
        return re.split(r"[:;(]|\. |\.$", doc)[0].strip().replace("`", "")

    def entries(self, found, prefix):
        """The lines of some functions and classes."""
        lines = []
        for name, value in found.items():
            dotted = f"{prefix}.{name}" if prefix else name
            if inspect.isclass(value):
                inner = documented_methods(value, "", skip=("forward", "extra_repr", "reset_parameters", "closed_form"))
                lines += entry("class", dotted, signature_of(value), doc_of(value), inner)
            else:
                lines += entry("function", dotted, signature_of(value), doc_of(value))
        return lines

    def methods(self, cls):
        """The lines of a class's methods. Those that are functions of the package too are only named."""
        top = importlib.import_module(PACKAGE)
        every = dict(members(cls, "inherited" in self.options))
        same = sorted(
            n for n in every if not n.endswith("_") and getattr(top, n, None) is not None and inspect.isfunction(every[n])
        )
        in_place = sorted(n for n in every if n.endswith("_") and n[:-1] in every)
        prefix = f"{self.options.get('as', cls.__name__)}."
        lines = []
        if cls.__name__ == "Tensor":
            lines += ["As the functions of the same name, with the tensor as the first argument: "
                      + ", ".join(f"`{n}`" for n in same) + ".", "",
                      "In place, with the result written into the tensor: " + ", ".join(f"`{n}`" for n in in_place) + ".", ""]  # fmt: skip
        else:
            same, in_place = [], []
        return lines + documented_methods(cls, prefix, {*same, *in_place}, "inherited" in self.options)

    def parsed(self, lines):
        """Markdown lines as nodes."""
        container = nodes.Element()
        self.state.nested_parse(StringList(lines, self.get_source_info()[0]), self.content_offset, container)
        return container.children


def setup(app):
    app.add_directive("api", Api)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
