"""Run the code of a Markdown page: its ```python blocks in order, each against the ```text block that follows it.

The blocks of a page share their variables. Output is compared line by line; where a block ends in an error, the last line of the
text is `ErrorType: message`. A block that says where it is quoted from (```python tinygrad_edu/autograd/engine.py) is not
run: its lines must stand in that file, one after the other, `...` standing for lines left out.
"""

import contextlib
import io
import re
import textwrap
from pathlib import Path
from typing import NamedTuple

import tinygrad_edu as tg
from tinygrad_edu.autograd.operator import numpy_functions, registry

ROOT = Path(__file__).parent.parent


class Block(NamedTuple):
    """One fenced block: what stands behind the fence, the text, and its first line's number."""

    language: str
    info: str
    text: str
    line: int


def blocks(path):
    """All fenced blocks of a page, in order; fences inside of lists may be indented."""
    found, opened = [], None
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        fence = re.match(r"\s*```(\S*)\s*(.*)$", line)
        if fence and opened is None:
            opened = (fence[1], fence[2].strip(), [], number + 1)
        elif fence:
            language, info, lines, first = opened
            found.append(Block(language, info, textwrap.dedent("\n".join(lines)), first))
            opened = None
        elif opened is not None:
            opened[2].append(line)
    assert opened is None, f"{path.name}: the block that begins in line {opened[3]} has no end"
    return found


def run_page(path):
    """Run a page; returns how many blocks were run or compared."""
    scope, page = {"__name__": "__main__"}, blocks(path)
    known, functions, compared = dict(registry), dict(numpy_functions), 0
    dtype = tg.get_default_dtype()
    try:
        for block, following in zip(page, [*page[1:], None]):
            if block.language != "python":
                continue
            compared += 1
            where = f"{path.name}, line {block.line}"
            if block.info:
                check_quote(block, where)
                continue
            expected = following.text if following and following.language == "text" else ""
            printed = run_block(block, scope, path, bool(expected))
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
    code = compile("\n" * (block.line - 1) + block.text, str(path), "exec")
    with contextlib.redirect_stdout(out):
        try:
            exec(code, scope)
        except Exception as error:
            if not may_fail:
                raise
            print(f"{type(error).__name__}: {error}")
            for note in getattr(error, "__notes__", []):
                print(note)
    return out.getvalue()


def tidy(text):
    """Without blanks at the ends of lines, without empty lines at the ends, and with every node's running number as #1."""
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
