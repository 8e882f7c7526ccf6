"""Run the code of a Markdown page: its ```python blocks in order, each against the ```text block below it.

The blocks of a page share their variables. Output is compared line by line; where a block ends in an error, the last line of the
text is `ErrorType: message`. As in a notebook, a last line that is an expression is shown: a picture is made, any other value is
printed. A block that says where it is quoted from (```python tinygrad_edu/autograd/engine.py) is not run: its lines must stand in
that file, one after the other, `...` standing for lines left out. docs/contributing.md says it to those who write pages.

`python tests/page_runner.py PAGE …` writes what the cells print into the pages; look at the difference before you keep it.
"""

import ast
import contextlib
import io
import re
import sys
from pathlib import Path, PurePath

import tinygrad_edu as tg
from tinygrad_edu.autograd.operator import numpy_functions, registry

ROOT = Path(__file__).parent.parent


sys.path.insert(0, str(ROOT / "docs"))

import pages  # noqa: E402  (docs/pages.py, which the site uses as well)


def blocks(path):
    """All fenced blocks of a page, in order."""
    try:
        return [piece for piece in pages.pieces(path.read_text(encoding="utf-8")) if piece.language is not None]
    except AssertionError as error:
        raise AssertionError(f"{path.name}: {error}") from None


def run_page(path, found=None):
    """Run a page; returns how many blocks were run or compared. A list `found` gets (block, what it printed) and nothing is compared."""
    scope = {"__name__": "__main__", "display": lambda *values: [show(v) for v in values] and None}
    blocks(path)  # no fence is left open
    known, functions, compared = dict(registry), dict(numpy_functions), 0
    dtype = tg.get_default_dtype()
    try:
        for block in pages.cells(path.read_text(encoding="utf-8")):
            where = f"{path.name}, line {block.line}"
            if block.language == "{literalinclude}":
                check_reference(block, path, where)
            if block.language != "python":
                continue
            compared += 1
            if block.info:
                check_quote(block, where)
                continue
            expected = block.expected or ""
            printed = run_block(block, scope, path, bool(expected))
            if found is not None:
                found.append((block, tidy(printed)))
                continue
            assert tidy(printed) == tidy(expected), f"{where}: printed\n{tidy(printed)}\nbut the page says\n{tidy(expected)}"
    finally:  # operators that a page defines, and its default dtype, stay on the page
        registry.clear()
        registry.update(known)
        numpy_functions.clear()
        numpy_functions.update(functions)
        tg.set_default_dtype(dtype)
    return compared


def run_block(block, scope, path, may_fail):
    """What the block prints; a last line for the error that ends it, if the page shows one."""
    out = io.StringIO()
    tree = ast.parse("\n" * (block.line - 1) + block.text, str(path))
    shown = None
    if tree.body and isinstance(tree.body[-1], ast.Expr) and not block.text.rstrip().endswith(";"):
        shown = compile(ast.Expression(tree.body.pop().value), str(path), "eval")
    with contextlib.redirect_stdout(out):
        try:
            exec(compile(tree, str(path), "exec"), scope)
            if shown is not None:
                show(eval(shown, scope))
        except Exception as error:
            if not may_fail:
                raise
            print(f"{type(error).__name__}: {error}")
            for note in getattr(error, "__notes__", []):
                print(note)
    return out.getvalue()


def show(value):
    """What a notebook does with the value of a last line: a picture is made, any other value but None is printed."""
    if hasattr(value, "_repr_mimebundle_"):
        assert "not drawn" not in value._repr_mimebundle_()["text/plain"]
    elif hasattr(value, "savefig"):
        value.savefig(io.BytesIO(), format="svg")
    elif hasattr(value, "_repr_html_"):
        assert value._repr_html_()
    elif value is not None and not isinstance(value, PurePath):  # .save() returns where, which differs between systems
        print(repr(value))


def tidy(text):
    """Without blanks at the ends of lines, without empty lines at the ends; every node's running number as #1, every place as line 1."""
    text = re.sub(r'File "[^"]*", line \d+', 'File "page", line 1', text)
    return "\n".join(re.sub(r"#\d+\b", "#1", line.rstrip()) for line in text.strip("\n").splitlines())


def check_quote(block, where):
    """The quoted lines must stand in the file, in this order; each part between `...` without a gap."""
    source = [line.strip() for line in (ROOT / block.info).read_text(encoding="utf-8").splitlines()]
    source = [line for line in source if line]
    place = 0
    for part in re.split(r"(?m)^\s*\.\.\.\s*$", block.text):
        lines = [line.strip() for line in part.splitlines() if line.strip()]
        starts = range(place, len(source) - len(lines) + 1)
        found = next((i for i in starts if source[i : i + len(lines)] == lines), None)
        assert found is not None, (
            f"{where}: {block.info} does not have these lines (any more), after what was quoted before:\n{part}"
        )
        place = found + len(lines)


def check_reference(block, path, where):
    """What a literalinclude points to must be there."""
    file = path.parent / block.info
    assert file.exists(), f"{where}: there is no {block.info}"
    for wanted in re.findall(r":pyobject:\s*(\S+)", block.text):
        name = wanted.rpartition(".")[2]
        found = re.search(rf"(?m)^\s*(def|class) {name}\b", file.read_text(encoding="utf-8"))
        assert found, f"{where}: {block.info} has no {wanted} (any more)"


def write_output(path):
    """Put what each cell prints into its text block, which is added or taken away as need be."""
    tg.manual_seed(0)
    found = []
    run_page(path, found)
    lines = path.read_text(encoding="utf-8").splitlines()
    for block, printed in reversed(found):
        end = block.line - 1 + len(block.text.split("\n"))  # the fence that closes the cell
        while end < len(lines) and not lines[end].strip().startswith("```"):
            end += 1
        after = end + 1
        if block.expected is not None:
            after = next(i for i in range(end + 1, len(lines)) if lines[i].startswith("```text"))
            after = next(i for i in range(after + 1, len(lines)) if lines[i].startswith("```")) + 1
        lines[end + 1 : after] = ["", "```text", *printed.splitlines(), "```"] if printed else []
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    import os
    import tempfile

    named = [Path(name).resolve() for name in sys.argv[1:]]
    for page in named:
        with tempfile.TemporaryDirectory() as place:
            os.chdir(place)
            write_output(page)
            os.chdir(ROOT)
