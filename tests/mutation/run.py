"""Break every derivative rule and the engine in thousands of small ways, run the tests that use the broken line, and report.

    python tests/mutation/run.py                       all; results go to mutation.jsonl in the temporary folder, and a second run goes on
    python tests/mutation/run.py --files ops/products.py autograd/engine.py
    python tests/mutation/run.py --again survived      after new tests, or new entries in equivalent.txt
    python tests/mutation/run.py --report              only the table, from the results that are there

No file of the checkout is changed. One process imports everything once; each mutant is a fork of it, in which the code of the functions
that differ is exchanged. A mutant of a rule first meets the checks of operator_kit.py on the samples of the operators that use it. Whatever
survives that, and every mutant of the engine, meets the tests: a first pass notes which test uses which line, so only tests that use the
line are run, those that killed its neighbours first, then the quick ones, until one fails. A mutant of what runs at import gets a process
that imports the mutated source. Needs a system with fork.
"""

import argparse
import ast
import contextlib
import functools
import gc
import importlib.abc
import importlib.util
import json
import os
import pickle
import resource
import select
import signal
import sys
import tempfile
import time
import warnings
from pathlib import Path
from types import CodeType, FunctionType
from typing import NamedTuple

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
PACKAGE = ROOT / "tinygrad_edu"
sys.path[:0] = [str(HERE), str(HERE.parent), str(ROOT)]

import mutants as mutation  # noqa: E402

ENGINE = [f"autograd/{name}.py" for name in "node tensor operator signatures composites engine memory specialize operands refusals function functional".split()]
RULES = sorted(f"ops/{path.name}" for path in (PACKAGE / "ops").glob("*.py") if path.name != "__init__.py")
BUILDERS = [f"autograd/{name}.py" for name in ("operator", "signatures", "composites", "specialize")]  # these work at import
TESTS = dict(
    autograd="""anomaly dtypes engine errors function functional gradcheck inplace memory mutants_engine mutants_function mutants_memory mutants_special
    numpy_protocol registry saved_values threads tour traps""".split(),
    ops="""operators operator_contracts mutants_rules mutants_algebra mutants_windows nn_activations nn_attention nn_convolution nn_losses nn_module nn_normalization nn_pooling
    nn_recurrent nn_resampling erf traps engine numpy_protocol inplace""".split(),
)
BY_NAME = ("test_operators.py", "test_operator_contracts.py")  # tests with an operator's name as parameter `name`
SLOW = ("test_a_million_operators", "test_03_deep_chains", "test_program_as_in_pytorch", "test_the_message_ends_a_program", "test_promotion_as")
OWN = {f"autograd/{name}.py": "test_mutants_special.py" for name in ("specialize", "operator", "signatures", "composites")}  # these tests go first
OWN |= {f"autograd/{name}.py": "test_mutants_function.py" for name in ("operands", "function")}
OWN |= {f"ops/{name}.py": "test_mutants_windows.py" for name in ("windows", "shapes", "indexing", "recurrent", "embeddings", "reductions")}
FOCUS = dict(ops="mutants_rules mutants_algebra operators operator_contracts".split(),
             autograd="mutants_engine mutants_memory engine memory function registry".split())  # fmt: skip
BUDGET = {"ops": 6.0, "autograd": 2.5}  # seconds of tests for one mutant; what passes them all, or as many as that, has survived
MEMORY = 6 << 30
ALIKE = {"ops/erf_table.py": ["erf", "erfc"]}  # whose tests tell about a file that no operator's name leads to
QUIET = ["-q", "-p", "no:cacheprovider", "--capture=no", "-W", "ignore::pytest.PytestAssertRewriteWarning"]


def main():
    options = parsed()
    results = Results(Path(options.results))
    if options.report:
        print(report(results, *everything(options.files)))
        return
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    import pytest

    folders = {f.partition("/")[0] for f in options.files}
    arguments = paths_of(options.tests or dict.fromkeys(name for folder in sorted(folders) for name in TESTS[folder]))
    if not options.tests:
        arguments += [f"{ROOT}/tests/test_bug_zoo.py::test_the_battery_passes_with_the_real_engine"]
    os.chdir(ROOT)
    importing = Importing()  # started before the package is there
    Checks(options, results).run_all()
    if options.quick:
        importing.close()
        return
    raise SystemExit(pytest.main([*QUIET, *arguments],
                                 plugins=[Server(options, results, importing)]))  # fmt: skip


def paths_of(names):
    """The test files of these names that are there."""
    paths = [ROOT / "tests" / f"test_{name}.py" for name in names]
    return [str(path) for path in paths if path.exists()]


def parsed():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--files", nargs="*", default=[*RULES, *ENGINE], help="such as ops/products.py")
    parser.add_argument("--results", default=str(Path(tempfile.gettempdir()) / "mutation.jsonl"))
    parser.add_argument("--again", nargs="*", default=[], help="verdicts to forget first: survived, timed out, killed")
    parser.add_argument("--tests", nargs="*", default=[], help="only these, such as nn_pooling for tests/test_nn_pooling.py")
    parser.add_argument("--limit", type=int, default=10**9, help="stop after so many mutants")
    parser.add_argument("--seconds", type=float, default=10**9, help="stop after so much time")
    parser.add_argument("--match", default="", help="only keys that contain this text")
    parser.add_argument("--shuffle", action="store_true", help="in an order that has nothing to do with the code: what is done is a fair sample")
    parser.add_argument("--quick", action="store_true", help="only the checks of the operators' samples")
    parser.add_argument("--report", action="store_true")
    return parser.parse_args()


# --- results -------------------------------------------------------------------------------------------------------------


class Results:
    """Verdicts by key, one line of JSON each; the text of the function is part of it, so an edited function is tried again."""

    def __init__(self, path):
        self.path, self.known = path, {}
        if path.exists():
            for line in path.read_text(encoding="utf-8").splitlines():
                entry = json.loads(line)
                self.known[entry["key"], entry["digest"]] = entry

    def add(self, mutant, **entry):
        entry = dict(key=mutant.key, digest=mutant.digest, **entry)
        self.known[mutant.key, mutant.digest] = entry
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry, ensure_ascii=False) + "\n")

    def get(self, mutant):
        return self.known.get((mutant.key, mutant.digest))


@functools.cache
def equivalents():
    """{key or pattern: argument} from equivalent.txt; `…` in a key stands for anything."""
    found, argument = {}, ""
    for line in (HERE / "equivalent.txt").read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            argument = line.lstrip("# ")
        elif line.strip():
            assert argument, f"equivalent.txt: no argument stands above {line!r}"
            found[line.strip()] = argument
    return found


def argued(key, known):
    """The argument for an equivalent mutant, or None."""
    if key in known:
        return known[key]
    for pattern, argument in known.items():
        if "…" in pattern and fits(key, pattern.split("…")):
            return argument
    return None


def fits(text, parts):
    """True if the text is made of these parts, in order, with anything between."""
    if not text.startswith(parts[0]) or not text.endswith(parts[-1]):
        return False
    place = len(parts[0])
    for part in parts[1:-1]:
        place = text.find(part, place)
        if place < 0:
            return False
        place += len(part)
    return place <= len(text) - len(parts[-1])


def everything(files):
    """(file, mutant) pairs that belong to the score, without running anything but the import."""
    import tinygrad_edu  # noqa: F401

    live = live_functions({str(PACKAGE / f): f for f in files})
    wanted = rule_functions()
    return [(f, m) for f in files for m in found_in(f, wanted)[2]], live


def report(results, mutants, live=None):
    """The table: per file killed, timed out, equivalent, survived, score."""
    known = equivalents()
    rows, survivors = {}, []
    for file, mutant in mutants:
        entry = results.get(mutant)
        verdict = entry["verdict"] if entry else "not run"
        if verdict == "survived" and argued(mutant.key, known):
            verdict = "equivalent"
        if verdict == "survived":
            survivors.append(mutant.key)
        row = rows.setdefault(file, dict.fromkeys(("killed", "timed out", "equivalent", "survived", "not run"), 0))
        row[verdict] += 1
    lines = ["| file | mutants | killed | timed out | equivalent | survived | score |", "|---|---:|---:|---:|---:|---:|---:|"]
    for group, files in (("all rules", RULES), ("the whole engine", ENGINE)):
        total = dict.fromkeys(("killed", "timed out", "equivalent", "survived", "not run"), 0)
        for file in files:
            if file in rows:
                lines.append(row_of(f"`{file}`", rows[file]))
                total = {k: total[k] + rows[file][k] for k in total}
        if sum(total.values()):
            lines.append(row_of(f"**{group}**", total))
    return "\n".join([*lines, "", *(f"survived: {key}" for key in survivors)])


def row_of(name, row):
    found = row["killed"] + row["timed out"]
    score = f"{100 * found / (found + row['survived']):.1f} %" if found + row["survived"] else "—"
    missing = f" ({row['not run']} not run)" if row["not run"] else ""
    return (f"| {name} | {sum(row.values())}{missing} | {row['killed']} | {row['timed out']} | {row['equivalent']} | {row['survived']} "
            f"| {score} |")  # fmt: skip


# --- what is mutated -------------------------------------------------------------------------------------------------------


def place_of(code):
    """What tells two functions of a file apart: where each instruction stands."""
    return code.co_firstlineno, hash(tuple(code.co_positions()))


def live_functions(files):
    """{(file, place): functions} of all that is alive."""
    found = {}
    for thing in gc.get_objects():
        if type(thing) is FunctionType and thing.__code__.co_filename in files:
            found.setdefault((files[thing.__code__.co_filename], place_of(thing.__code__)), []).append(thing)
    return found


def rule_functions():
    """(file, code) of all derivative rules, and of the functions in ops/ that they call, directly or not."""
    from tinygrad_edu.autograd.operator import registry

    found, stack = {}, []
    for op in registry.values():
        if op.kind != "composite":
            stack += [r for r in (*op.rules, op.together) if r is not None]
    while stack:
        function = stack.pop()
        code = function.__code__
        if str(PACKAGE / "ops") not in code.co_filename or (code.co_filename, place_of(code)) in found:
            continue
        found[code.co_filename, place_of(code)] = code
        stack += called_by(function)
    return [(Path(file).name, code) for (file, _), code in found.items()]


def called_by(function):
    """The functions that a function calls by their names, operators' forwards and what decorators have wrapped among them."""
    found = []
    for name in names_in(function.__code__):
        value = function.__globals__.get(name)
        value = value.op.forward if hasattr(value, "op") and hasattr(value.op, "forward") else value
        if isinstance(value, FunctionType):
            found += [value, *(c.cell_contents for c in value.__closure__ or () if isinstance(c.cell_contents, FunctionType))]
    return found


def names_in(code):
    return {*code.co_names, *(n for c in code.co_consts if isinstance(c, CodeType) for n in names_in(c))}


def found_in(file, wanted):
    """(source, tree, mutants) of a file of the package: everything in the engine's, rules and what they call in ops/."""
    source = (PACKAGE / file).read_text(encoding="utf-8")
    if not file.startswith("ops/"):
        return source, *mutation.mutants_of(source, file)
    mine = [(code, code.co_name.endswith(("]", ">"))) for name, code in wanted if name == Path(file).name]  # mul.rule[x], <lambda>
    lines = {code.co_firstlineno for code, is_lambda in mine if not is_lambda}
    bodies = {position for code, is_lambda in mine if is_lambda for position in code.co_positions()}

    def is_wanted(node):
        if isinstance(node, ast.Lambda):
            body = node.body
            return (body.lineno, body.end_lineno, body.col_offset, body.end_col_offset) in bodies
        return min([node.lineno, *(d.lineno for d in node.decorator_list)]) in lines

    return source, *mutation.mutants_of(source, file, is_wanted, swaps=True)


# --- how a mutant gets into a process ----------------------------------------------------------------------------------------


class Original(NamedTuple):
    """A file's code, from its text (whose functions are alive) and from its tree (which mutants are compared with)."""

    file: str
    path: str
    text: CodeType
    tree: CodeType


def original_of(file, source, tree):
    path = str(PACKAGE / file)
    return Original(file, path, compile(source, path, "exec", dont_inherit=True), compile(tree, path, "exec", dont_inherit=True))


def mutated_code(original, mutant, tree):
    """The code of the file with one mutant; None if there is none."""
    with mutation.applied(mutant):
        try:
            return compile(tree, original.path, "exec", dont_inherit=True)
        except (SyntaxError, ValueError):
            return None


def differing(text, tree, mutated):
    """(place of the old code, new code) of all functions whose code differs, outer ones too."""
    inner = [[c for c in code.co_consts if isinstance(c, CodeType)] for code in (text, tree, mutated)]
    for a, b, c in zip(*inner):
        if b != c or b.co_consts != c.co_consts:
            yield place_of(a), c
            yield from differing(a, b, c)


def patch(original, mutated, live):
    """Exchange the code of the living functions that differ; returns how many were."""
    count = 0
    for place, code in differing(original.text, original.tree, mutated):
        for function in live.get((original.file, place), ()):
            with contextlib.suppress(ValueError):  # an inner function that closes over other variables now; the outer one is exchanged
                function.__code__ = code.replace(co_name=function.__code__.co_name, co_qualname=function.__code__.co_qualname)
                count += 1
    return count


class Loader(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports one module from a mutated tree, and all others as they are."""

    def __init__(self, name, code):
        self.name, self.code = name, code

    def find_spec(self, name, path, target=None):
        return importlib.util.spec_from_loader(name, self, origin=self.code.co_filename) if name == self.name else None

    def exec_module(self, module):
        module.__file__ = self.code.co_filename
        exec(self.code, module.__dict__)


class Importing:
    """A process that has imported the tools but not the package: mutants of what runs at import are forks of it."""

    def __init__(self):
        import hypothesis.extra.numpy  # noqa: F401
        import numpy  # noqa: F401
        import pytest  # noqa: F401

        here, there = os.pipe(), os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(here[1])
            os.close(there[0])
            with os.fdopen(here[0], "rb") as orders, os.fdopen(there[1], "wb") as answers:
                with contextlib.suppress(EOFError):
                    while True:
                        order = pickle.load(orders)
                        pickle.dump(in_fork(lambda order=order: self.run(*order[:-1]), order[-1]), answers)
                        answers.flush()
            os._exit(0)
        os.close(here[0])
        os.close(there[1])
        self.orders, self.answers = os.fdopen(here[1], "wb"), os.fdopen(there[0], "rb")

    def close(self):
        """End the process, and wait for it."""
        self.orders.close()
        self.answers.close()
        os.waitpid(self.pid, 0)

    def ask(self, file, source_of_mutant, arguments, seconds):
        """The verdict for a mutant that is imported in place of a file."""
        pickle.dump((file, source_of_mutant, arguments, seconds), self.orders)
        self.orders.flush()
        return pickle.load(self.answers)

    def run(self, file, code_of_mutant, arguments):
        import marshal

        import pytest

        code = marshal.loads(code_of_mutant)
        sys.meta_path.insert(0, Loader("tinygrad_edu." + file.removesuffix(".py").replace("/", "."), code))
        failed = Failures()
        try:
            status = pytest.main(["-x", *QUIET, *arguments], plugins=[failed])
        except BaseException as error:
            return "killed", f"import: {type(error).__name__}"
        return ("survived", "") if status == 0 else ("killed", failed.first or "collection")


class Failures:
    """A plugin that notes the first failure."""

    first = None

    def pytest_runtest_logreport(self, report):
        if report.failed and self.first is None:
            self.first = report.nodeid


def in_fork(work, seconds):
    """What `work()` returns in a fork, or ("timed out", …), ("killed", …) for one that dies."""
    reader, writer = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # newer Pythons warn where a process that forks has threads
        pid = os.fork()
    if pid == 0:
        try:
            os.close(reader)
            nothing = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nothing, 1)
            os.dup2(nothing, 2)
            resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            answer = pickle.dumps(work())
            with os.fdopen(writer, "wb") as file:
                file.write(answer)
        finally:
            os._exit(0)
    os.close(writer)
    received, deadline = b"", time.monotonic() + seconds
    while True:
        ready = select.select([reader], [], [], max(0, deadline - time.monotonic()))[0]
        if not ready:
            os.kill(pid, signal.SIGKILL)
            break
        part = os.read(reader, 1 << 20)
        if not part:
            break
        received += part
    os.close(reader)
    _, status = os.waitpid(pid, 0)
    if received:
        with contextlib.suppress(Exception):
            return pickle.loads(received)
    if not ready or os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGALRM:
        return "timed out", ""
    return "killed", "the process died"


# --- first: the operators' own checks ------------------------------------------------------------------------------------------


class Checks:
    """Mutants of rules against the checks of operator_kit.py."""

    def __init__(self, options, results):
        self.options, self.results = options, results
        self.compiled, self.ready, self.killers = None, {}, {}

    def run_all(self):
        files = [f for f in self.options.files if f.startswith("ops/")]
        if not files:
            return
        import operator_kit as kit
        import test_mutants_rules

        from tinygrad_edu.autograd.operator import registry

        warnings.simplefilter("error")
        self.kit, self.more = kit, {}
        for case in (case for cases in test_mutants_rules.CASES.values() for case in cases):
            self.more.setdefault(case.op.name, []).append(case)
        tests = [f for name, f in vars(test_mutants_rules).items() if name.startswith("test_")]
        self.plain = [f for f in tests if not f.__code__.co_argcount]
        self.speaks_of = {f: strings_in(f.__code__) & set(registry) for f in self.plain}  # such as registry["erf"]
        self.named = {}  # operator → calls of the tests that have an operator's name as parameter
        for f in tests:
            for values in parameters_of(f):
                if values.get("name") in registry and "another_way" not in f.__name__:
                    self.named.setdefault(values["name"], []).append(functools.partial(f, **values))
        wanted, users = rule_functions(), users_of_rules()
        self.live = live_functions({str(PACKAGE / f): f for f in files})
        work = {f: found_in(f, wanted) for f in files}
        open_ones = [(f, m) for f in files for m in work[f][2] if self.options.match in m.key and is_open(self.results, m, self.options)]
        print(f"rules: {sum(len(w[2]) for w in work.values())} mutants, {len(open_ones)} to do", flush=True)
        gc.collect()
        gc.freeze()
        started = time.monotonic()
        for done, (file, mutant) in enumerate(open_ones[: self.options.limit]):
            if time.monotonic() - started > self.options.seconds:
                break
            source, tree, _ = work[file]
            original = self.original(file, source, tree)
            mutated = mutated_code(original, mutant, tree)
            if mutated is None:
                self.results.add(mutant, verdict="killed", by="syntax")
                continue
            places = [place for place, _ in differing(original.text, original.tree, mutated)]
            operators = list(dict.fromkeys(op for place in places for op in users.get((Path(file).name, place), ())))
            for name in operators[:8]:
                self.cases(name)
            begin = time.monotonic()
            killers = self.killers.get(mutant.function, ())
            operators.sort(key=lambda op: op not in killers)  # stable: those that killed a neighbour go first
            verdict, by = in_fork(functools.partial(self.check, original, mutated, operators), 60)
            if verdict == "killed" and ": " in by:
                self.killers.setdefault(mutant.function, set()).add(by.split(": ")[1])
                self.plain.sort(key=lambda f, by=by: f.__name__ != by.partition(": ")[0])  # stable: what killed the last one goes first
            self.results.add(mutant, verdict="survived" if verdict == "survived" else verdict, by=by, operators=operators[:40],
                             seconds=round(time.monotonic() - begin, 2))  # fmt: skip
            if done % 200 == 199:
                print(f"{done + 1} of {len(open_ones)} after {time.monotonic() - started:.0f} s, in {file}", flush=True)

    def original(self, file, source, tree):
        if self.compiled is None or self.compiled.file != file:
            self.compiled = original_of(file, source, tree)
        return self.compiled

    def cases(self, name):
        """The cases of an operator, the small ones first."""
        from tinygrad_edu.autograd.operator import registry

        if name not in self.ready:
            self.ready[name] = sorted(self.kit.cases_of(registry[name]), key=lambda c: sum(a.size for a in c.arrays(0)))
        return self.ready[name]

    def check(self, original, mutated, operators):
        """Every check on the samples of the operators, first those that are cheap and find most."""
        import pytest

        kit = self.kit
        if not operators or not patch(original, mutated, self.live):
            return "survived", "no operator's check uses it"
        cases = [case for name in operators[:8] for case in self.cases(name)]
        cases += [case for name in operators for case in self.more.get(name, ())]
        for check in (kit.check_first_order, kit.check_raw_shapes, kit.check_float32, kit.check_second_order, kit.check_arrays, kit.check_only_reads):
            for case in cases:
                signal.setitimer(signal.ITIMER_REAL, 20)
                try:
                    check(case, 1)
                except Exception as error:
                    return "killed", f"{check.__name__}: {case.op.name}: {type(error).__name__}"
        named = [test for name in operators[:8] for test in self.named.get(name, ())]
        plain = [test for test in self.plain if not self.speaks_of[test] or not self.speaks_of[test].isdisjoint([*operators, *ALIKE.get(original.file, ())])]
        for test in [*named, *plain]:
            signal.setitimer(signal.ITIMER_REAL, 30)
            try:
                with contextlib.suppress(pytest.skip.Exception):
                    test()
            except (Exception, pytest.fail.Exception) as error:
                return "killed", f"{getattr(test, 'func', test).__name__}: : {type(error).__name__}"
        return "survived", "the operators' checks"


def strings_in(code):
    """All texts in a function."""
    found = set()
    for value in code.co_consts:
        found |= strings_in(value) if isinstance(value, CodeType) else {value} if isinstance(value, str) else {v for v in value if isinstance(v, str)} if isinstance(value, tuple) else set()
    return found


def parameters_of(test):
    """All combinations of a test's parameters, each as a dictionary."""
    combinations = [{}]
    for mark in getattr(test, "pytestmark", ()):
        if mark.name == "parametrize":
            names = [n.strip() for n in mark.args[0].split(",")]
            rows = [dict(zip(names, row if len(names) > 1 else (row,))) for row in mark.args[1]]
            combinations = [{**a, **b} for a in combinations for b in rows]
    return combinations if combinations != [{}] else []


def users_of_rules():
    """{(file, place of a function in ops/): operators whose derivatives use it}, those that name it themselves first."""
    from tinygrad_edu.autograd.operator import registry

    users = {}
    for op in registry.values():
        if op.kind == "composite":
            continue
        stack = [(r, 0) for r in (*op.rules, op.together) if r is not None]
        seen = set()
        while stack:
            function, depth = stack.pop(0)
            code = function.__code__
            key = Path(code.co_filename).name, place_of(code)
            if str(PACKAGE / "ops") not in code.co_filename or key in seen:
                continue
            seen.add(key)
            users.setdefault(key, []).append((depth, len(users), op.name))
            stack += [(f, depth + 1) for f in called_by(function)]
    for op in registry.values():  # a forward that some rule calls: its own operator's samples tell most
        if op.kind != "composite":
            users.get((Path(op.forward.__code__.co_filename).name, place_of(op.forward.__code__)), []).append((-1, 0, op.name))
    return {key: list(dict.fromkeys(name for *_, name in sorted(found))) for key, found in users.items()}


def is_open(results, mutant, options):
    """Not run yet, or to be run again: not the survivors that are known to be equivalent."""
    entry = results.get(mutant)
    return entry is None or entry["verdict"] in options.again and not (entry["verdict"] == "survived" and argued(mutant.key, equivalents()))


# --- the run -----------------------------------------------------------------------------------------------------------------


class Server:
    """A pytest plugin that takes over after collection."""

    def __init__(self, options, results, importing):
        self.options, self.results, self.importing = options, results, importing
        self.killers = {}

    def pytest_runtestloop(self, session):
        items = {item.nodeid: item for item in session.items if not any(name in item.nodeid for name in SLOW)}
        files = self.options.files
        wanted = rule_functions()
        everything = {f: found_in(f, wanted) for f in files}
        gc.unfreeze()
        self.live = live_functions({str(PACKAGE / f): f for f in files})
        gc.collect()
        gc.freeze()  # after the search, which does not find what is frozen
        todo = [(f, m) for f in files for m in everything[f][2] if self.options.match in m.key and self.is_open(m)]
        if self.options.shuffle:
            todo.sort(key=lambda pair: (self.results.get(pair[1]) is None, mutation.text_digest(pair[1].key)))
        print(f"{sum(len(e[2]) for e in everything.values())} mutants, {len(todo)} to do, {len(items)} tests", flush=True)
        if todo:
            self.run_all(session, items, files, everything, todo)
        print(report(self.results, [(f, m) for f in files for m in everything[f][2]]))
        return True

    def is_open(self, mutant):
        """Not run yet, to be run again, or a rule's mutant that survived the operators' own checks."""
        return is_open(self.results, mutant, self.options) or self.results.get(mutant)["by"] == "the operators' checks" and not argued(mutant.key, equivalents())

    def run_all(self, session, items, files, everything, todo):
        self.uses, self.times, imported, bad = self.coverage(session, items, files)
        self.by_name = {}
        for nodeid, item in items.items():
            if any(name in nodeid for name in BY_NAME) and "name" in getattr(getattr(item, "callspec", None), "params", {}):
                self.by_name.setdefault(item.callspec.params["name"], set()).add(nodeid)
        print(f"{len(bad)} tests fail or are skipped without any mutant: {bad[:9]}", flush=True)
        originals = {f: original_of(f, *everything[f][:2]) for f in files}
        started, done = time.monotonic(), 0
        for file, mutant in todo[: self.options.limit]:
            if time.monotonic() - started > self.options.seconds:
                break
            begin = time.monotonic()
            verdict, by = self.verdict(file, mutant, everything[file][1], originals[file], items, imported)
            if verdict != "survived" and "[" not in by.partition("::")[0]:
                mine = self.killers.setdefault((file, mutant.function), [])
                if by in items:
                    mine[:] = [by, *(k for k in mine if k != by)][:6]
            self.results.add(mutant, verdict=verdict, by=by, seconds=round(time.monotonic() - begin, 2))
            done += 1
            if done % 100 == 0:
                print(f"{done} of {len(todo)} after {time.monotonic() - started:.0f} s, in {file}", flush=True)

    def coverage(self, session, items, files):
        """({(file, line): tests}, {test: seconds}, lines that run at import, tests that fail): each test in a fork of its own, once."""
        names = {str(PACKAGE / f): f for f in files}
        version = mutation.text_digest("".join(p.read_text(encoding="utf-8") for p in sorted([*PACKAGE.rglob("*.py"), *ROOT.glob("tests/*.py")])))
        cache = self.results.path.with_suffix(f".{version}.{len(items)}.{len(files)}.coverage")
        if cache.exists():
            return pickle.loads(cache.read_bytes())
        uses, times, bad = {}, {}, []
        for nodeid, item in items.items():
            if any(name in nodeid for name in BY_NAME):
                times[nodeid] = 0.1
                continue
            answer = in_fork(lambda item=item: traced(item, names), 10)
            if answer[0] != "passed":
                bad.append(nodeid)
                continue
            times[nodeid] = answer[1]
            for place in answer[2]:
                uses.setdefault(place, []).append(nodeid)
        found = uses, times, self.imported_lines(names), bad
        cache.write_bytes(pickle.dumps(found))
        return found

    def imported_lines(self, names):
        reader = HERE / "imported.py"
        import subprocess

        run = subprocess.run([sys.executable, str(reader), *names], capture_output=True, text=True, cwd=ROOT, check=True)
        return {(names[file], line) for file, line in json.loads(run.stdout)}

    def verdict(self, file, mutant, tree, original, items, imported):
        """("killed" | "survived" | "timed out", by which test)."""
        mutated = mutated_code(original, mutant, tree)
        if mutated is None:
            return "killed", "syntax"
        folder = file.partition("/")[0]
        found = {t for line in mutant.lines for t in self.uses.get((file, line), ())}
        entry = self.results.get(mutant) or {}
        for name in entry.get("operators", ())[:4]:
            found |= self.by_name.get(name, set())
        tests = sorted(found, key=lambda t: (OWN.get(file, t) not in t, *self.rank(folder, t)))
        tests = [*(k for k in self.killers.get((file, mutant.function), ()) if k in tests), *tests]
        verdict = "survived", "no test uses this line"
        if tests:
            chosen, spent = [], 0.0
            for test in dict.fromkeys(tests):
                if spent > BUDGET[folder]:
                    break
                chosen.append(test)
                spent += self.times[test]
            verdict = in_fork(lambda: self.run_tests(original, mutated, [items[t] for t in chosen]), 20 + 5 * spent)
            if verdict[0] == "survived" and not verdict[1]:
                verdict = "survived", f"{len(chosen)} of {len(set(tests))} tests"
        at_import = mutant.function == "" or "tests" not in verdict[1] or file in BUILDERS
        if verdict[0] == "survived" and at_import and any((file, line) in imported for line in mutant.lines):
            import marshal

            fitting = Path(file).stem if Path(file).stem in TESTS[folder] and Path(file).stem != "engine" else ""
            arguments = [*paths_of([*AT_IMPORT[folder], fitting, OWN.get(file, "")[5:-3]]), "-k", " and ".join(f"not {name}" for name in SLOW)]
            again = self.importing.ask(file, marshal.dumps(mutated), arguments, 60)
            return (again[0], "imported: " + again[1]) if again[0] != "survived" else ("survived", verdict[1] + "; imported")
        return verdict

    def rank(self, folder, test):
        focused = any(f"test_{name}.py" in test for name in FOCUS[folder])
        return "test_mutants_" not in test, self.times[test] * (1 if focused else 3)

    def run_tests(self, original, mutated, items):
        if not patch(original, mutated, self.live):
            return "survived", "not alive"
        failed = Failures()
        manager = items[0].config.pluginmanager
        manager.register(failed)
        for item in items:
            signal.setitimer(signal.ITIMER_REAL, 5 + 50 * self.times[item.nodeid])
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=None)
            if failed.first is not None:
                return "killed", failed.first
        return "survived", ""


AT_IMPORT = dict(autograd="mutants_engine mutants_memory registry engine".split(), ops=["mutants_rules"])


def traced(item, names):
    """("passed", seconds, lines used) of one test."""
    used = set()

    def local(frame, event, argument):
        if event == "line":
            used.add((names[frame.f_code.co_filename], frame.f_lineno))
        return local

    def on_call(frame, event, argument):
        if frame.f_code.co_filename in names:
            used.add((names[frame.f_code.co_filename], frame.f_lineno))
            return local
        return None

    outcome = []

    class Outcome:
        def pytest_runtest_logreport(self, report):
            outcome.append(report.outcome)

    item.config.pluginmanager.register(Outcome())
    import threading

    threading.settrace(on_call)
    begin = time.process_time()
    sys.settrace(on_call)
    try:
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=None)
    finally:
        sys.settrace(None)
    passed = outcome and all(o == "passed" for o in outcome)
    return "passed" if passed else "failed", time.process_time() - begin, used


if __name__ == "__main__":
    main()
