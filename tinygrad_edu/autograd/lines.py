"""Where in the user's program a step of the computation stands, what the line says, and what things are called there."""

import ast
import linecache
import os
from functools import lru_cache
from types import ModuleType

import numpy as np

from .tensor import Tensor


def spot_of(frame):
    """(code, instruction) where a frame is."""
    return (frame.f_code, frame.f_lasti) if frame is not None else None


def shown_line(place, line=None):
    """The user's line as a traceback shows it: file, number, function, text, and ^^^ under the expression."""
    if place is None:
        return []
    code, instruction = place
    number, end, column, end_column = positions_of(code)[instruction // 2]
    number = line[1] if line else number
    text = linecache.getline(code.co_filename, number)
    lines = [f'  File "{code.co_filename}", line {number}, in {code.co_name}']
    if text.strip():
        lines.append("    " + text.strip())
        if end == number and column is not None and end_column is not None:
            indent = len(text) - len(text.lstrip())
            raw = text.encode()  # columns count bytes
            before, within = len(raw[:column].decode()), len(raw[column:end_column].decode())
            if within < len(text.strip()):
                lines.append("    " + " " * (before - indent) + "^" * within)
    return lines


def in_module(modules):
    """The path and the repr of the module that was running, as errors of modules have it."""
    if not modules:
        return []
    path = next((name for name, module in modules[0].named_modules() if module is modules[-1]), "")
    return [f"  in {path}: {short(modules[-1])}" if path else f"  in {short(modules[-1])}"]


def short(module):
    """The first line of a module's repr; a container's ends there."""
    try:
        first, _, more = repr(module).partition("\n")
    except Exception:  # a repr that fails must not hide the error that it should explain
        return type(module).__name__
    return first + "…)" if more else first


def variable(argument, frame):
    """The name of the variable, or the attribute of one, that holds a tensor or array in the user's frame."""
    if frame is None or not isinstance(argument, (Tensor, np.ndarray)):
        return None
    for scope in (frame.f_locals, frame.f_globals):
        for name, value in scope.items():
            if value is argument and name.isidentifier():
                return name
    for name, value in frame.f_locals.items():
        if hasattr(value, "__dict__") and not isinstance(value, (Tensor, type, ModuleType)):
            for attribute, held in vars(value).items():
                if held is argument:
                    return f"{name}.{attribute}"
    return None


def assigned_name(code, instruction):
    """The variable that the expression at an instruction is assigned to, if it is: `h = <this expression>`."""
    line, end_line, column, end_column = positions_of(code)[instruction // 2]
    return targets_of(code.co_filename, linecache_key(code.co_filename)).get((line, column, end_line, end_column))


@lru_cache(maxsize=256)
def positions_of(code):
    """Where each instruction stands in the source."""
    return list(code.co_positions())


def linecache_key(filename):
    """Something that changes when the source does: notebooks reuse names."""
    return len(linecache.getlines(filename))


@lru_cache(maxsize=64)
def targets_of(filename, version):
    """{place of an expression: the variable it is assigned to}, columns counted in bytes as Python does."""
    lines = linecache.getlines(filename)
    try:
        return targets_in("".join(lines), 0, 0)
    except (SyntaxError, ValueError):  # not all of it is Python, as in a page with code: then line by line
        found = {}
        for number, line in enumerate(lines):
            try:
                found.update(targets_in(line.strip(), number, len(line) - len(line.lstrip())) if "=" in line else {})
            except (SyntaxError, ValueError):
                pass
        return found


def targets_in(source, down, right):
    """`targets_of` a text that begins so many lines and columns further on."""
    found = {}
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Assign):
            value, target = node.value, node.targets[0]
        elif isinstance(node, (ast.AnnAssign, ast.NamedExpr)) and node.value is not None:
            value, target = node.value, node.target
        elif isinstance(node, ast.AugAssign):
            value, target = node, node.target
        else:
            continue
        if isinstance(target, (ast.Name, ast.Attribute, ast.Tuple)):  # of several names: `top, index`
            place = value.lineno + down, value.col_offset + right, value.end_lineno + down, value.end_col_offset + right
            found[place] = ast.unparse(target)
    return found


def line_text(line):
    """", at train.py:12"; nothing for code that has no file."""
    if not line or line[0].startswith("<"):
        return ""
    return f", in line {line[1]} of its cell" if "ipykernel" in line[0] else f", at {os.path.basename(line[0])}:{line[1]}"
