"""The mutation runner itself: it finds places, kills planted mutants, lets an equivalent one live, and changes no file."""

import ast
import importlib.util
import os
import sys
from pathlib import Path

import pytest

pytest.importorskip("resource", reason="the mutation runner forks")
FOLDER = Path(__file__).parent / "mutation"


def module_of(name):
    """A file of tests/mutation as a module."""
    specification = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    module = sys.modules[name] = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def mutation():
    before = list(sys.path)
    yield module_of("mutants")
    sys.path[:] = before
    sys.modules.pop("mutants", None)


@pytest.fixture(scope="module")
def run(mutation):
    yield module_of("run")
    sys.modules.pop("run", None)


SOURCE = '''
def area(width, height, scale=1):
    """The area; not mutated, as it is a docstring."""
    if width < 0 or height < 0:
        raise ValueError("negative")
    total = 0
    for _ in range(height):
        total += width
    return total * scale
'''


def results_of(mutation, source, check):
    """{change: what became of the mutant}"""
    tree, mutants = mutation.mutants_of(source, "area.py")
    found = {}
    for mutant in mutants:
        namespace = {}
        with mutation.applied(mutant):
            code = compile(tree, "area.py", "exec")
        try:
            exec(code, namespace)
            found[mutant.key] = "survived" if check(namespace["area"]) else "killed"
        except Exception:
            found[mutant.key] = "killed"
    return found


def passes(area):
    try:
        area(-1, 2)
        return False
    except ValueError:
        pass
    try:
        area(2, -1)
        return False
    except ValueError:
        pass
    return [area(2, 3), area(0, 5), area(5, 0), area(2, 3, 2)] == [6, 0, 0, 12]


def test_planted_mutants_die_and_equivalent_ones_live(mutation):
    found = results_of(mutation, SOURCE, passes)
    key = "area.py::area | {} → {}".format
    for before, after in [("width < 0", "width <= 0"), ("width < 0", "width >= 0"), ("width < 0 or height < 0", "width < 0"), ("width < 0 or height < 0", "width < 0 and height < 0"),
                          ("total += width", "total -= width"), ("total += width", "total = width"), ("total += width", "(nothing)"), ("return total * scale", "return None"),
                          ("total * scale", "total / scale"), ("total * scale", "total"), ("total * scale", "scale"), ("raise ValueError('negative')", "(nothing)"),
                          ("0 in total = 0", "1"), ("range(height)", "height"), ("width < 0 or height < 0", "True")]:  # fmt: skip
        assert found[key(before, after)] == "killed", (before, after)
    assert not any("docstring" in k or "negative'" in k.split(" → ")[1] for k in found)
    weak = results_of(mutation, SOURCE, lambda area: area(2, 3) == 6)
    assert weak[key("total * scale", "total")] == weak[key("width < 0", "width <= 0")] == "survived", "a weak test lets mutants live"


def test_an_equivalent_mutant_survives(mutation):
    source = "def area(n):\n    return n if n >= 0 else -n\n"
    found = results_of(mutation, source, lambda area: [area(k) for k in range(-3, 4)] == [3, 2, 1, 0, 1, 2, 3])
    assert [k for k, v in found.items() if v == "survived"] == ["area.py::area | n >= 0 → n > 0", "area.py::area | 0 in n >= 0 → 1"], "|0| is 0 either way"


def test_a_mutant_leaves_no_trace_and_its_key_outlives_edits(mutation):
    tree, mutants = mutation.mutants_of(SOURCE, "area.py")
    before = ast.dump(tree, include_attributes=True)
    for mutant in mutants:
        with mutation.applied(mutant):
            assert ast.dump(tree) != ast.dump(ast.parse(SOURCE))
    assert ast.dump(tree, include_attributes=True) == before
    _, later = mutation.mutants_of("import os\n\n\ndef first():\n    return 1\n\n" + SOURCE, "area.py")
    assert {(m.key, m.digest) for m in mutants} <= {(m.key, m.digest) for m in later} and len({m.key for m in mutants}) == len(mutants)
    _, edited = mutation.mutants_of(SOURCE.replace("total * scale", "scale * total"), "area.py")
    assert {m.digest for m in edited}.isdisjoint({m.digest for m in mutants})


def test_rules_are_found_and_planted_mutants_of_them_die(run, mutation):
    import operator_kit as kit

    from tinygrad_edu.autograd.operator import registry

    file = "ops/arithmetic.py"
    source, tree, mutants = run.found_in(file, run.rule_functions())
    before = (run.PACKAGE / file).read_bytes()
    live, original = run.live_functions({str(run.PACKAGE / file): file}), run.original_of(file, source, tree)
    by_key = {m.key: m for m in mutants}
    assert not any("::add |" in key or "floor_divide" in key for key in by_key), "forward functions that no rule calls are not the matter here"

    def verdict(key, operator):
        mutated = run.mutated_code(original, by_key[f"{file}::{key}"], tree)

        def work():
            assert run.patch(original, mutated, live)
            for case in kit.cases_of(registry[operator]):
                kit.check_first_order(case, 1)
            return "survived", ""

        return run.in_fork(work, 60)[0]

    assert verdict("mul.rule[x] | g * y → g / y", "mul") == "killed"
    assert verdict("div.rule[y] | -g → g", "div") == "killed"
    assert verdict("mul.rule[y] | g * x → x", "mul") == "killed"
    assert verdict("wins | x >= y → x > y", "fmax") == "survived", "only ties tell them apart"
    assert (run.PACKAGE / file).read_bytes() == before


def test_forks_say_what_happened(run):
    def forever():
        while True:
            pass

    assert run.in_fork(lambda: ("survived", "x"), 30) == ("survived", "x")
    assert run.in_fork(forever, 0.3)[0] == "timed out"
    assert run.in_fork(lambda: os._exit(3), 30)[0] == "killed"
    assert run.in_fork(lambda: 1 / 0, 30)[0] == "killed"


def test_the_list_of_equivalent_mutants(run):
    known = run.equivalents()
    assert all(" | " in key and " → " in key and "::" in key for key in known) and all(len(a) > 20 for a in known.values())
    assert run.fits("a | b → c", ["a | ", " → c"]) and not run.fits("a | b → d", ["a | ", " → c"]) and not run.fits("ab", ["ab", "b"])
    assert run.argued("x::f | 1 → 2", {"x::f | … → 2": "because"}) == "because" and run.argued("x::f | 1 → 3", {"x::f | … → 2": "because"}) is None


def test_the_report_counts(run, mutation, tmp_path):
    _, mutants = mutation.mutants_of(SOURCE, "ops/products.py")
    results = run.Results(tmp_path / "results.jsonl")
    for k, mutant in enumerate(mutants[:10]):
        results.add(mutant, verdict=("killed", "killed", "timed out", "survived")[k % 4], by="")
    text = run.report(run.Results(tmp_path / "results.jsonl"), [("ops/products.py", m) for m in mutants])
    assert f"| `ops/products.py` | {len(mutants)} ({len(mutants) - 10} not run) | 6 | 2 | 0 | 2 | 80.0 % |" in text and text.count("survived: ") == 2
