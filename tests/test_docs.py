"""The documentation is true: every block of code runs and prints what the page says, every example of a docstring too."""

import doctest
import importlib
import importlib.util
import pkgutil
import re

import numpy as np
import pytest
from page_runner import ROOT, blocks, pages, run_page

import tinygrad_edu as tg

DOCS = ROOT / "docs"
PAGES = sorted(p for p in DOCS.glob("**/*.md") if "_build" not in p.parts)
MODULES = sorted(m.name for m in pkgutil.walk_packages(tg.__path__, "tinygrad_edu.") if not m.name.endswith("__main__"))
FLAGS = doctest.NORMALIZE_WHITESPACE | doctest.IGNORE_EXCEPTION_DETAIL


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(DOCS)))
def test_page(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # pages save pictures
    tg.manual_seed(0)
    run_page(page)


def test_pages_have_code():
    """The runner finds the blocks: a page of prose alone would pass without being looked at."""
    count = {str(page.relative_to(DOCS)): sum(b.language == "python" for b in blocks(page)) for page in PAGES}
    expected = ("start/first_network.md", "learn/engine.md", "howto/new_operator.md", "why/pytorch.md")
    assert all(count[name] >= 3 for name in expected), count


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
        text = "\n".join(p.text for p in pages.pieces(page.read_text(encoding="utf-8")) if p.language is None)
        for target in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"`[^`\n]+`", "", text)):
            if not target.startswith(("http://", "https://", "#")):
                assert (page.parent / target.partition("#")[0]).exists(), f"{page.name}: {target}"


def contents(page):
    """The pages that a page's table of contents lists."""
    for block in blocks(page):
        if block.language == "{toctree}":
            if ":glob:" in block.text:
                yield from (p.resolve() for p in page.parent.glob("*.md") if p != page)
                continue
            for line in block.text.splitlines():
                entry = re.search(r"<(.+)>\s*$", line)
                if line.strip() and not line.startswith(":"):
                    yield (page.parent / f"{entry[1] if entry else line.strip()}.md").resolve()


def test_every_page_is_in_the_contents():
    """Once each, from docs/index.md down."""
    found, waiting = [], [(DOCS / "index.md").resolve()]
    while waiting:
        page = waiting.pop()
        assert page.exists(), f"a toctree lists {page.relative_to(DOCS.resolve())}, which is not there"
        found.append(page)
        waiting += contents(page)
    assert len(found) == len(set(found)), "a page is listed twice"
    missing = {p.resolve() for p in PAGES} - set(found)
    assert not missing, f"no toctree lists {sorted(str(p.relative_to(DOCS.resolve())) for p in missing)}"


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(DOCS)))
def test_headings(page):
    """One title, in the first line."""
    prose = "\n".join(p.text for p in pages.pieces(page.read_text(encoding="utf-8")) if p.language is None)
    assert page.read_text(encoding="utf-8").startswith("# ")
    assert len(re.findall(r"(?m)^# ", prose)) == 1
    assert prose.count("<details>") == prose.count("</details>")


def test_notebooks():
    """Every chapter of Learn becomes a notebook: its cells are Python, nothing of MyST is left in its prose."""
    specification = importlib.util.spec_from_file_location("make_notebooks", DOCS / "make_notebooks.py")
    script = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(script)
    names = script.chapters()
    assert {"learn/neuron", "learn/engine", "start/first_network", "zh/learn/neuron"} <= set(names)
    for name in names:
        book = script.notebook(name)
        assert book["nbformat"] == 4 and book["cells"][0]["source"].startswith("# ")
        assert len({cell["id"] for cell in book["cells"]}) == len(book["cells"])
        for cell in book["cells"]:
            if cell["cell_type"] == "code":
                compile(cell["source"], name, "exec")
            else:
                left = re.search(r":::|\{(note|tip|warning|literalinclude|toctree|figure)\}|\.md\)", cell["source"])
                assert not left, f"{name}: {left[0]} in {cell['source'][:200]}"
                assert cell["source"].count("<details>") == cell["source"].count("</details>") <= 1


def test_table_of_operators():
    """docs/operators.md is what docs/make_operators.py writes."""
    specification = importlib.util.spec_from_file_location("make_operators", ROOT / "docs" / "make_operators.py")
    script = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(script)
    written = (ROOT / "docs" / "operators.md").read_text(encoding="utf-8")
    assert written == script.page(), "run  python docs/make_operators.py  and commit docs/operators.md"


KINKS = re.findall(
    r"(?m)^\| `(.+?)` \| `(.+?)` \| `(.+?)` \| `(.+?)` \|", (DOCS / "reference" / "conventions.md").read_text(encoding="utf-8")
)


@pytest.mark.parametrize(("function", "at", "value", "gradient"), KINKS)
@pytest.mark.filterwarnings("ignore:divide by zero", "ignore:invalid value")
def test_convention(function, at, value, gradient):
    """Each row of docs/reference/conventions.md."""
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
        "```python\n1 + 1\n```\n",
        "```{literalinclude} nowhere.py\n```\n",
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
        "```python tinygrad_edu/autograd/node.py\nclass Node:\n...\ndef __repr__(self):\n```\n"
        "```python\nx + 1\n```\n```text\n3\n```\n```python\nx + 1;\n```\n"
        "````md\n```python\nthis is no code\n```\n````\n",
        encoding="utf-8",
    )  # fmt: skip
    assert run_page(page) == 5
