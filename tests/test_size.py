"""The engine stays readable: the four files that are read in one sitting, counted in lines of code."""

import ast
import io
import tokenize

import pytest
from page_runner import ROOT

CORE = ["node.py", "tensor.py", "operator.py", "engine.py"]
MOST = 410  # lines of code in the four files together
LONGEST = 130  # characters in a line
LAYOUT = {
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENDMARKER,
    tokenize.ENCODING,
}
SOURCES = sorted([*(ROOT / "tinygrad_edu").rglob("*.py"), *(ROOT / "demos").glob("*.py")])


def code_lines(source):
    """How many lines hold code: no blank lines, comments or docstrings; a call written over three lines counts three."""
    lines = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in LAYOUT:
            lines.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and ast.get_docstring(node) is not None:
            lines -= set(range(node.body[0].lineno, node.body[0].end_lineno + 1))
    return len(lines)


def test_how_lines_are_counted():
    assert (
        code_lines(
            '"""Doc."""\n\n# why\nx = 1  # half a line\ndef f():\n    """Doc\n    more."""\n    return (1,\n            2)\n'
        )
        == 4
    )


def test_core_is_short():
    count = {name: code_lines((ROOT / "tinygrad_edu" / "autograd" / name).read_text(encoding="utf-8")) for name in CORE}
    assert sum(count.values()) <= MOST, f"the core has {sum(count.values())} lines of code: {count}"


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_first_line_says_the_job(path):
    assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))


@pytest.mark.parametrize("path", [p for p in SOURCES if p.name in CORE or p.parent.name == "demos"], ids=lambda p: p.name)
def test_lines_fit_a_screen(path):
    """What people read first."""
    long = [
        i
        for i, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if len(line) > LONGEST and "fmt: skip" not in line
    ]
    assert not long, f"lines {long} are longer than {LONGEST} characters"
