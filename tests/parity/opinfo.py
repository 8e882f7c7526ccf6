"""Drive PyTorch's own operator table (OpInfo) against our functions of the same name: values, gradients, errors.

    python tests/parity/opinfo.py                     # the whole table, float64 with first and second gradients
    python tests/parity/opinfo.py --dtype int64       # values and result types of another input type
    python tests/parity/opinfo.py softmax linalg.     # names that start so, with every finding printed

It needs `torch` and `expecttest`. Each name ends up as covered, refused (each sample that fails does so by a clear
error), wrong (a value, a shape, a dtype or a gradient differs, or an unexpected exception) or missing.
"""

import argparse
import collections
import itertools
import sys
import time
import warnings
from dataclasses import dataclass, field

import numpy as np
import torch

import tinygrad_edu as tg
from tinygrad_edu import Tensor

PROPERTIES = {"T", "H", "mT", "mH", "real"}
RENAMED = {"__rdiv__": "__rtruediv__"}
RANDOM = {"bernoulli", "cauchy", "exponential", "geometric", "log_normal", "multinomial", "normal", "rand_like", "randint",
          "randint_like", "randn", "randn_like", "uniform", "empty", "empty_like", "new_empty", "nn.functional.dropout",
          "nn.functional.dropout2d", "nn.functional.dropout3d", "nn.functional.alpha_dropout", "nn.functional.rrelu",
          "empty_permuted", "empty_strided", "new_empty_strided", "nn.functional.feature_alpha_dropout",
          "nn.functional.multi_head_attention_forward"}  # fmt: skip
NOT_OURS = ("torch.ops.", "jiterator", "sparse.", "_", "fft.", "masked.", "hash_tensor", "nn.functional.fractional", "to_sparse")
SKIPPED = {"is_complex", "bfloat16", "cdouble", "cfloat", "chalf", "complex", "polar", "view_as_complex", "view_as_real",
           "stft", "istft", "item", "nn.functional.silu_complex", "nn.functional.triplet_margin_with_distance_loss"}  # fmt: skip


@dataclass
class Findings:
    """What happened to the samples of one operator."""

    name: str
    ok: int = 0
    refused: list = field(default_factory=list)
    wrong: list = field(default_factory=list)
    missing: bool = False

    @property
    def verdict(self):
        if self.missing:
            return "missing"
        return "wrong" if self.wrong else "refused" if self.refused and not self.ok else "partly" if self.refused else "covered"


class Skip(Exception):
    """A sample that is not about us: complex numbers, other layouts, other devices."""


def converted(value, seen):
    """A torch value as ours; `seen` collects the pairs (torch tensor, our tensor) that require grad."""
    if isinstance(value, torch.Tensor):
        if value.is_complex() or value.layout is not torch.strided or value.dtype is torch.bfloat16 or value.is_quantized:
            raise Skip
        for theirs, ours in seen:
            if theirs is value:
                return ours
        ours = Tensor(value.detach().numpy().copy(order="K"), None)
        if value.requires_grad:
            ours.requires_grad = True
        seen.append((value, ours))
        return ours
    if isinstance(value, torch.dtype):
        name = str(value).partition(".")[2]
        if name in ("bfloat16", "complex64", "complex128", "complex32", "chalf", "cfloat", "cdouble"):
            raise Skip
        return np.dtype(name)
    if isinstance(value, (torch.layout, torch.device, torch.memory_format)):
        if value in (torch.sparse_coo, torch.sparse_csr):
            raise Skip
        return str(value) if isinstance(value, torch.device) else value
    if isinstance(value, complex):
        raise Skip
    if isinstance(value, (list, tuple)):
        parts = [converted(v, seen) for v in value]
        return type(value)(parts) if type(value) in (list, tuple) else parts
    if isinstance(value, dict):
        return {k: converted(v, seen) for k, v in value.items()}
    return value


def our_function(name, variant=""):
    """Our function of a name in the table, or None."""
    if variant == "grad_oriented":
        return lambda a, b, driver: tg.linalg.lstsq(a, b, driver=driver)[:2]
    if variant == "singular":
        return lambda a, b: tg.linalg.pinv(a @ b.mT)
    if name == "where":  # the table calls it with the condition second
        return lambda x, condition, other: tg.where(condition, x, other)
    if name in ("zero_", "cauchy", "exponential", "geometric", "log_normal", "uniform") or variant == "in_place":
        method = getattr(Tensor, name.rstrip("_") + "_", None)
        return method and (lambda x, *args, **options: method(x.clone(), *args, **options))
    if name in ("nn.functional.embedding", "nn.functional.embedding_bag"):
        function = getattr(tg.nn.functional, name.rpartition(".")[2], None)
        return function and (lambda weight, index, **options: function(index, weight, **options))
    if name == "einsum":
        return lambda operands, equation: tg.einsum(equation, *operands)
    if name in ("polygamma", "special.polygamma"):
        return (lambda x, n: tg.polygamma(n, x)) if hasattr(tg, "polygamma") else None
    name = RENAMED.get(name, name)
    place = tg
    if "." in name:
        *path, last = name.split(".")
        for part in path:
            place = getattr(place, part, None)
        return getattr(place, last, None)
    if name in PROPERTIES:
        return (lambda x: getattr(x, name)) if hasattr(Tensor, name) else None
    found = None if name in ("float", "double", "half", "int", "long", "short", "bool", "char", "byte") else getattr(tg, name, None)
    return found if callable(found) and not isinstance(found, type(np)) else getattr(Tensor, name, None)


def flat(result):
    """Every leaf of nested results, in order."""
    if isinstance(result, (list, tuple)):
        return [leaf for part in result for leaf in flat(part)]
    return [result]


def difference(ours, theirs, rtol, atol):
    """What differs between two results, or None."""
    if isinstance(theirs, torch.Tensor):
        if not isinstance(ours, Tensor):
            return f"returned {type(ours).__name__}, not a tensor"
        if theirs.is_complex():
            raise Skip
        if theirs.layout is not torch.strided:
            raise Skip
        if str(ours.dtype) != str(theirs.dtype).partition(".")[2]:
            return f"dtype {ours.dtype} for {theirs.dtype}"
        if tuple(ours.shape) != tuple(theirs.shape):
            return f"shape {tuple(ours.shape)} for {tuple(theirs.shape)}"
        a, b = np.asarray(ours.array), theirs.detach().resolve_conj().resolve_neg().numpy()
        if a.dtype.kind == "f":
            if a.dtype.itemsize < 8:
                rtol = atol = max(rtol, {2: 2e-3, 4: 2e-5}[a.dtype.itemsize])
            close = np.isclose(a.astype(np.float64), b.astype(np.float64), rtol, atol, equal_nan=True)
        else:
            close = a == b
        if not close.all():
            worst = np.argwhere(~np.atleast_1d(close))[0]
            return f"{(~close).sum()} of {a.size} values, first {np.atleast_1d(a)[tuple(worst)]!r} for {np.atleast_1d(b)[tuple(worst)]!r}"
        return None
    if isinstance(theirs, torch.dtype):
        return None
    if isinstance(theirs, float) and theirs != theirs:
        return None if ours != ours else f"{ours!r} for {theirs!r}"
    if isinstance(theirs, (torch.Size, tuple, list)):
        return None if tuple(ours) == tuple(theirs) else f"{ours!r} for {theirs!r}"
    return None if ours == theirs else f"{ours!r} for {theirs!r}"


TIED = {"argsort", "kthvalue", "median", "mode", "nanmedian", "sort", "topk", "cummax", "cummin"}  # which of equal elements is open
WRAPPERS = {"cholesky_inverse": lambda function, L, *args, upper=False: function(L.triu() if upper else L.tril(), *args, upper=upper)}


def tolerance(op, dtype):
    return {"float16": (2e-3, 2e-3), "float32": (2e-5, 2e-5)}.get(str(dtype).partition(".")[2], (1e-8, 1e-9))


def compare(findings, label, ours, theirs, rtol, atol, tied=False):
    """Compare two nested results; True if they agree."""
    a, b = flat(ours), flat(theirs)
    if tied:
        a, b = (a[:1], b[:1]) if len(b) == 2 else ([], []) if "argsort" in findings.name else (a, b)
    if len(a) != len(b):
        findings.wrong.append(f"{label}: {len(a)} results for {len(b)}")
        return False
    for k, (x, y) in enumerate(zip(a, b)):
        wrong = difference(x, y, rtol, atol)
        if wrong:
            findings.wrong.append(f"{label}[{k}]: {wrong}")
            return False
    return True


def describe(sample):
    """One line about a sample."""

    def short(v):
        if isinstance(v, torch.Tensor):
            return f"{str(v.dtype)[6:]}{list(v.shape)}"
        if isinstance(v, (list, tuple)):
            return f"[{', '.join(short(x) for x in v)}]"
        return repr(v)

    return ", ".join([short(sample.input), *map(short, sample.args), *(f"{k}={short(v)}" for k, v in sample.kwargs.items())])[:150]


CLEAR = (TypeError, NotImplementedError, ValueError, RuntimeError, IndexError)


def is_clear(error):
    """True if the error reads like one that we wrote: a refusal, not an accident."""
    text = str(error)
    accidents = ("unexpected keyword", "positional argument", "has no attribute", "not subscriptable", "object is not",
                 "operand", "unhashable", "required argument")  # fmt: skip
    return isinstance(error, CLEAR) and len(text) > 20 and not any(a in text for a in accidents)


def gradients(outputs, weights, inputs, library, create_graph=False):
    """The gradients of Σ weight · output with respect to inputs, zeros where there is none."""
    total = None
    for out, weight in zip(outputs, weights):
        part = (out * weight).sum()
        total = part if total is None else total + part
    return library.autograd.grad(total, inputs, create_graph=create_graph, allow_unused=True)


def as_arrays(grads, inputs):
    return [np.zeros(tuple(x.shape)) if g is None else np.asarray(g.detach().numpy(force=True) if isinstance(g, torch.Tensor) else g.array)
            for g, x in zip(grads, inputs)]  # fmt: skip


def differentiated(ours, theirs):
    """The pairs of outputs that take part in a graph there: real numbers, and some of them."""
    pairs = [(o, t) for o, t in zip(flat(ours), flat(theirs)) if isinstance(t, torch.Tensor) and t.requires_grad and t.numel()]
    if any(t.is_complex() for _, t in pairs):
        raise Skip
    return pairs


def check_gradients(findings, label, ours, theirs, pairs, second, rtol, atol):
    """First and, if wanted, second gradients of all outputs with respect to all inputs."""
    outputs = differentiated(ours, theirs)
    if not outputs:
        return True
    theirs = [t for _, t in outputs]
    rng = np.random.default_rng(0)
    weights = [rng.standard_normal(tuple(o.shape)).astype(str(o.dtype)[6:]) for o in theirs]
    their_inputs = [t for t, _ in pairs if t.requires_grad]
    our_inputs = [o for _, o in pairs if o.requires_grad]
    try:
        expected = gradients(theirs, [torch.from_numpy(np.array(w)) for w in weights], their_inputs, torch, second)
    except RuntimeError as error:
        if "does not require grad" in str(error) or "not implemented" in str(error) or "not differentiable" in str(error):
            return True
        raise
    tracked = [(o, Tensor(w, None)) for (o, _), w in zip(outputs, weights) if o.requires_grad]  # what is not must have no gradient
    found = gradients(*zip(*tracked), our_inputs, tg, second) if tracked else [None] * len(our_inputs)
    if any(t.dtype is torch.float32 for t in their_inputs):
        rtol = atol = max(rtol, 1e-5)
    for k, (a, b) in enumerate(zip(as_arrays(found, our_inputs), as_arrays(expected, their_inputs))):
        if a.shape != b.shape or not np.allclose(a, b, rtol, atol, equal_nan=True):
            findings.wrong.append(f"{label}: gradient {k} differs by {np.abs(np.subtract(a, b)).max() if a.shape == b.shape else a.shape}")
            return False
    if not second:
        return True
    again = [(f, e) for f, e in zip(found, expected) if e is not None and e.requires_grad and e.numel()]
    if not again:
        return True
    weights = [rng.standard_normal(tuple(e.shape)) for _, e in again]
    expected = gradients([e for _, e in again], [torch.from_numpy(np.array(w)) for w in weights], their_inputs, torch)
    tracked = [(f, Tensor(np.array(w), None)) for (f, _), w in zip(again, weights) if f is not None and f.requires_grad]
    found = gradients(*zip(*tracked), our_inputs, tg) if tracked else [None] * len(our_inputs)
    for k, (a, b) in enumerate(zip(as_arrays(found, our_inputs), as_arrays(expected, their_inputs))):
        known = np.isfinite(b)  # torch's second derivatives at kinks are sometimes NaN where ours are finite
        if not np.allclose(a[known], b[known], rtol * 100, atol * 100):
            findings.wrong.append(f"{label}: second gradient {k} differs by {np.abs(a - b)[known].max()}")
            return False
    return True


def variant_of_views(op):
    """True for samples that look at the memory behind a view: NumPy copies of them do not have it."""
    return op.variant_test_name == "partial_views"


def samples_of(op, dtype, limit, first):
    """The table's samples, at most `limit`: the first ones, or spread over all of them."""
    requires_grad = dtype.is_floating_point and op.supports_autograd
    samples = op.sample_inputs("cpu", dtype, requires_grad=requires_grad)
    samples = list(itertools.islice(samples, limit)) if first else list(samples)
    step = max(1, len(samples) // limit) if limit else 1
    return samples[::step], requires_grad


def check(op, dtype=torch.float64, limit=40, seconds=10.0, second_limit=6, variants=True, first=False):
    """Compare every sample of one entry of the table."""
    findings = Findings(op.name + ("|" + op.variant_test_name if op.variant_test_name else ""))
    function = our_function(op.name, op.variant_test_name)
    if function is None:
        findings.missing = True
        return findings
    rtol, atol = tolerance(op, dtype)
    torch.manual_seed(0)
    samples, requires_grad = samples_of(op, dtype, limit, first)
    end = time.monotonic() + seconds
    for number, sample in enumerate(samples):
        if time.monotonic() > end:
            break
        label = describe(sample)
        if sample.kwargs.get("dropout_p") or variant_of_views(op):
            continue
        forms = [("", function)]
        if variants and op.method_variant is not None and hasattr(Tensor, op.name) and getattr(Tensor, op.name) is not function:
            forms.append(("method ", getattr(Tensor, op.name)))
        for prefix, form in forms:
            try:
                run(findings, op, sample, prefix + label, form, requires_grad, number < second_limit, rtol, atol)
            except Skip:
                continue
        if variants and op.inplace_variant is not None and hasattr(Tensor, op.name + "_") and isinstance(sample.input, torch.Tensor):
            try:
                in_place(findings, op, sample, "in place " + label, rtol, atol)
            except Skip:
                continue
    return findings


def run(findings, op, sample, label, form, requires_grad, second, rtol, atol):
    """One sample through one of our functions."""
    pairs = []
    args = converted((sample.input, *sample.args), pairs)
    kwargs = converted(sample.kwargs, pairs)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            wrapper = WRAPPERS.get(op.name, op.gradcheck_wrapper)
            expected = wrapper(op.op, sample.input, *sample.args, **sample.kwargs)
    except Exception:  # the table itself can hold samples that this build of torch cannot run
        return
    if any(isinstance(t, torch.Tensor) and t.is_complex() for t in flat(expected)):
        raise Skip
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            result = wrapper(form, *args, **kwargs)
    except Exception as error:
        text = f"{label}: {type(error).__name__}: {error}"
        (findings.refused if is_clear(error) else findings.wrong).append(text[:300])
        return
    random = op.name in RANDOM
    if random:
        shapes = [(tuple(t.shape), str(t.dtype)[6:]) for t in flat(expected)] == [(tuple(t.shape), str(t.dtype)) for t in flat(result)]
        if not shapes:
            findings.wrong.append(f"{label}: {result!r:.80} for {expected!r:.80}")
        else:
            findings.ok += 1
        return
    with np.errstate(all="ignore"):
        post = sample.output_process_fn_grad
        try:
            processed = post(result)
        except Exception:
            processed, post = result, lambda x: x
        try:
            their_processed = post(expected)
            tied = op.name in TIED and not requires_grad
            good = compare(findings, label, processed, their_processed, rtol, atol, tied)
            if good and requires_grad and not (op.name.startswith("nn.functional.max_unpool") and not op.variant_test_name):
                good = check_gradients(findings, label, processed, their_processed, pairs, second and op.supports_gradgrad, rtol * 10, atol * 10)
        except Skip:
            raise
        except Exception as error:
            if "aten::" in str(error):  # a derivative that torch itself lacks
                return
            text = f"{label}: gradient: {type(error).__name__}: {error}"
            (findings.refused if isinstance(error, NotImplementedError) else findings.wrong).append(text[:400])
            return
    findings.ok += good


def in_place(findings, op, sample, label, rtol, atol):
    """The form that overwrites its first argument, outside of any graph."""
    name = op.name + "_"
    with torch.no_grad(), tg.no_grad():
        pairs = []
        args = [converted(a, pairs) for a in (sample.input, *sample.args)]
        kwargs = converted(sample.kwargs, pairs)
        mine = args[0].detach().clone()
        their = sample.input.detach().clone()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                getattr(their, name)(*sample.args, **sample.kwargs)
        except Exception:
            return
        if op.name in RANDOM:
            return
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                returned = getattr(mine, name)(*args[1:], **kwargs)
        except Exception as error:
            text = f"{label}: {type(error).__name__}: {error}"
            (findings.refused if is_clear(error) else findings.wrong).append(text[:300])
            return
        if returned is not mine:
            findings.wrong.append(f"{label}: did not return the tensor itself")
            return
        with np.errstate(all="ignore"):
            compare(findings, label, mine, their, rtol, atol)


def check_errors(op, findings):
    """The table's calls that must fail: they must fail here too."""
    function = our_function(op.name)
    if function is None or op.error_inputs_func is None:
        return
    for case in op.error_inputs("cpu"):
        sample = case.sample_input
        try:
            args = converted((sample.input, *sample.args), [])
            kwargs = converted(sample.kwargs, [])
        except Skip:
            continue
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                function(*args, **kwargs)
        except Exception:
            findings.ok += 1
        else:
            findings.wrong.append(f"accepted what must fail ({case.error_regex[:80]}): {describe(sample)}")


def table(names=(), dtype=torch.float64):
    """The entries that concern us."""
    from torch.testing._internal.common_methods_invocations import op_db

    for op in sorted(op_db, key=lambda op: (op.name, op.variant_test_name)):
        if op.name in SKIPPED or op.name.startswith(NOT_OURS) and not op.name.startswith("__"):
            continue
        if names and not any(op.name.startswith(n) for n in names):
            continue
        if dtype in op.supported_dtypes("cpu"):
            yield op


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="*", help="only names that start so")
    parser.add_argument("--dtype", default="float64")
    parser.add_argument("--limit", type=int, default=40, help="samples for each entry (0: all)")
    parser.add_argument("--errors", action="store_true", help="the calls that must fail, instead of the samples")
    parser.add_argument("--brief", action="store_true", help="one finding for each name")
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    dtype = getattr(torch, options.dtype)
    verdicts = collections.defaultdict(list)
    for op in table(options.names, dtype):
        if options.errors:
            findings = Findings(op.name)
            try:
                check_errors(op, findings)
            except Exception as error:
                print("!!", op.name, type(error).__name__, str(error)[:100])
        else:
            try:
                findings = check(op, dtype, options.limit)
            except Exception as error:
                print("!!", op.name, type(error).__name__, str(error)[:200])
                continue
        verdicts[findings.verdict].append(findings.name)
        if findings.wrong or findings.refused:
            print(f"{findings.name}: {findings.ok} ok, {len(findings.refused)} refused, {len(findings.wrong)} wrong")
            many = 1 if options.brief else 4 if not options.names else 40
            for kind in ("wrong", "refused"):
                for text in getattr(findings, kind)[:many]:
                    print(f"    {kind}: {text[:260]}")
        sys.stdout.flush()
    print()
    for verdict, names in sorted(verdicts.items()):
        print(f"{verdict} ({len(names)}): {' '.join(names)}\n")
    return 1 if verdicts["wrong"] else 0


if __name__ == "__main__":
    sys.exit(main())
