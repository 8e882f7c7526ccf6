"""The documentation is true: every block of code runs and prints what the page says, every example of a docstring too."""

import doctest
import importlib
import importlib.util
import pkgutil
import re

import numpy as np
import pytest
from page_runner import ROOT, blocks, run_page

import tinygrad_edu as tg

PAGES = sorted((ROOT / "docs").glob("*.md"))
MODULES = sorted(m.name for m in pkgutil.walk_packages(tg.__path__, "tinygrad_edu.") if not m.name.endswith("__main__"))
FLAGS = doctest.NORMALIZE_WHITESPACE | doctest.IGNORE_EXCEPTION_DETAIL


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_page(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # pages save pictures
    tg.manual_seed(0)
    run_page(page)


def test_pages_have_code():
    """The runner finds the blocks: a page of prose alone would pass without being looked at."""
    count = {page.name: sum(b.language == "python" for b in blocks(page)) for page in PAGES}
    assert all(count[name] >= 3 for name in ("index.md", "first_network.md", "engine.md", "new_operator.md", "pytorch.md")), count


@pytest.mark.parametrize("name", MODULES)
def test_docstrings(name):
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name.startswith("tinygrad_edu"):
            raise
        pytest.skip(f"needs {error.name}")
    result = doctest.testmod(module, optionflags=FLAGS)
    assert not result.failed


def test_links():
    """Every link to a file of ours leads somewhere."""
    for page in [*PAGES, ROOT / "README.md"]:
        text = re.sub(r"(?ms)^\s*```.*?^\s*```", "", page.read_text(encoding="utf-8"))
        for target in re.findall(r"\]\(([^)\s]+)\)", text):
            if not target.startswith(("http://", "https://", "#")):
                assert (page.parent / target.partition("#")[0]).exists(), f"{page.name}: {target}"


def test_every_page_can_be_reached():
    start = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    for page in PAGES:
        assert page.name == "index.md" or f"({page.name})" in start, f"index.md has no link to {page.name}"


def test_table_of_operators():
    """docs/operators.md is what docs/make_operators.py writes."""
    specification = importlib.util.spec_from_file_location("make_operators", ROOT / "docs" / "make_operators.py")
    script = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(script)
    written = (ROOT / "docs" / "operators.md").read_text(encoding="utf-8")
    assert written == script.page(), "run  python docs/make_operators.py  and commit docs/operators.md"


KINKS = re.findall(
    r"(?m)^\| `(.+?)` \| `(.+?)` \| `(.+?)` \| `(.+?)` \|", (ROOT / "docs" / "conventions.md").read_text(encoding="utf-8")
)


@pytest.mark.parametrize(("function", "at", "value", "gradient"), KINKS)
@pytest.mark.filterwarnings("ignore:divide by zero", "ignore:invalid value")
def test_convention(function, at, value, gradient):
    """Each row of docs/conventions.md."""
    names = {"tg": tg, "nn": tg.nn, "inf": tg.inf, "nan": tg.nan}
    x = tg.tensor(eval(at, names), requires_grad=True)
    out = eval(function, {**names, "x": x})
    out.sum().backward()
    np.testing.assert_allclose(out.detach().numpy(), np.float32(eval(value, names)), rtol=1e-6, atol=1e-30)
    np.testing.assert_allclose(x.grad.numpy(), np.float32(eval(gradient, names)), rtol=1e-4, atol=1e-30)


def test_conventions_are_found():
    assert len(KINKS) >= 35


# --- the runner itself: a page that lies must fail -------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "```python\nprint(1 + 1)\n```\n```text\n3\n```\n",
        "```python\nprint(1 + 1)\n```\n",
        "```python\n1 / 0\n```\n",
        "```python\nint('x')\n```\n```text\nValueError: no such thing\n```\n",
        "```python tinygrad_edu/autograd/node.py\nclass Knot:\n```\n",
        "```python\nprint(1)\n",
    ],
)
def test_false_page_fails(text, tmp_path):
    page = tmp_path / "page.md"
    page.write_text(text, encoding="utf-8")
    with pytest.raises((AssertionError, ZeroDivisionError)):
        run_page(page)


def test_true_page_passes(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(
        "```python\nx = 2\n```\n\n```python\nprint(x)\nint('x')\n```\n\n```text\n2\n"
        "ValueError: invalid literal for int() with base 10: 'x'\n```\n"
        '```python tinygrad_edu/autograd/node.py\nclass Node:\n...\ndef __repr__(self):\n```\n',
        encoding="utf-8",
    )  # fmt: skip
    assert run_page(page) == 3
