"""Losses against PyTorch, number by number; their stability far out, and what they refuse."""

import itertools

import numpy as np
import pytest
from layer_tables import check_live, check_recorded

import tinygrad_edu as tg

nn, F = tg.nn, tg.nn.functional

T5, T23 = "lib.tensor([2, 0, 1, 2, 2])", "lib.tensor([[1, 0, 2], [2, 1, -100]])"
W3 = "lib.tensor([0.5, 1.0, 2.5], dtype=lib.float64)"
SIGNS = "lib.tensor([1.0, -1.0, -1.0, 1.0], dtype=lib.float64)"
CASES = []
for reduction in ("mean", "sum", "none"):
    r = f"reduction='{reduction}'"
    CASES += [(f"nn.{name}({r})", [(4, 3), (4, 3)]) for name in ("MSELoss", "L1Loss", "SmoothL1Loss", "HuberLoss", "BCEWithLogitsLoss",
                                                                "MultiLabelSoftMarginLoss", "PoissonNLLLoss", "HingeEmbeddingLoss")]  # fmt: skip
    CASES += [
        (f"lambda x, y: F.smooth_l1_loss(x, y, {r}, beta=0.4)", [(4, 3), (4, 3)]), (f"lambda x, y: F.huber_loss(x, y, delta=0.4, {r})", [(4, 3), (4, 3)]),
        (f"lambda x, y, w: F.mse_loss(x, y, weight=w, {r})", [(4, 3)] * 3), (f"lambda x, y, w: F.l1_loss(x, y, weight=w, {r})", [(4, 3)] * 3),
        (f"lambda x, y, w: F.huber_loss(x, y, weight=w, {r})", [(4, 3)] * 3),
        (f"lambda x, y: F.binary_cross_entropy(x.sigmoid(), y.sigmoid(), {r})", [(4, 3), (4, 3)]),
        (f"lambda x, y, w: F.binary_cross_entropy(x.sigmoid(), y.sigmoid(), w.detach(), {r})", [(4, 3), (4, 3), (3,)]),
        (f"lambda x, y, w, p: F.binary_cross_entropy_with_logits(x, y, w.detach(), {r}, pos_weight=p.detach())", [(4, 3), (4, 3), (4, 1), (3,)]),
        (f"lambda x: F.cross_entropy(x, {T5}, {r})", [(5, 3)]), (f"lambda x: F.cross_entropy(x, {T5}, {W3}, {r})", [(5, 3)]),
        (f"lambda x: F.cross_entropy(x, {T5}, ignore_index=2, {r})", [(5, 3)]), (f"lambda x: F.cross_entropy(x, {T5}, label_smoothing=0.2, {r})", [(5, 3)]),
        (f"lambda x: F.cross_entropy(x, {T5}, {W3}, ignore_index=0, label_smoothing=0.2, {r})", [(5, 3)]),
        (f"lambda x: F.cross_entropy(x, {T23}, {r})", [(2, 3, 3)]), (f"lambda x: F.cross_entropy(x, {T23}, {W3}, label_smoothing=0.1, {r})", [(2, 3, 3)]),
        (f"lambda x: F.cross_entropy(x, lib.tensor([[[1, 0], [2, 2]]]), {r})", [(1, 3, 2, 2)]), (f"lambda x: F.cross_entropy(x, lib.tensor(1), {r})", [(3,)]),
        (f"lambda x, y: F.cross_entropy(x, y.softmax(1), {r})", [(5, 3), (5, 3)]), (f"lambda x, y: F.cross_entropy(x, y, {W3}, label_smoothing=0.2, {r})", [(5, 3), (5, 3)]),
        (f"lambda x, y: F.cross_entropy(x, y, {W3}, {r})", [(2, 3, 2), (2, 3, 2)]), (f"lambda x, y: F.cross_entropy(x, y, {r})", [(3,), (3,)]),
        (f"lambda x: F.nll_loss(x, {T5}, {r})", [(5, 3)]), (f"lambda x: F.nll_loss(x, {T5}, {W3}, ignore_index=1, {r})", [(5, 3)]),
        (f"lambda x: F.nll_loss(x, {T23}, {r})", [(2, 3, 3)]), (f"lambda x: F.nll_loss(x, lib.tensor(2), {r})", [(3,)]),
        (f"lambda x: nn.NLLLoss({W3}, {r})(x, lib.tensor([[[1, 0], [2, 2]]]))", [(1, 3, 2, 2)]),
        (f"lambda x, y: F.kl_div(x.log_softmax(1), y.softmax(1), {r})", [(4, 3), (4, 3)]), (f"lambda x, y: F.kl_div(x, y, log_target=True, {r})", [(4, 3), (4, 3)]),
        (f"lambda x, y: F.poisson_nll_loss(x.exp(), y.exp() * 2, log_input=False, full=True, {r})", [(4, 3), (4, 3)]),
        (f"lambda x, y, v: F.gaussian_nll_loss(x, y, v.exp(), {r})", [(4, 3)] * 3), (f"lambda x, y, v: F.gaussian_nll_loss(x, y, v.exp(), full=True, eps=0.5, {r})", [(4, 3), (4, 3), (4, 1)]),
        (f"lambda x, y, v: F.gaussian_nll_loss(x, y, v.exp(), {r})", [(4, 3), (4, 3), (4,)]), (f"lambda x, y: F.gaussian_nll_loss(x, y, 0.3, {r})", [(4, 3), (4, 3)]),
        (f"lambda x: F.hinge_embedding_loss(x, {SIGNS}, margin=0.5, {r})", [(4,)]),
        (f"lambda x, y: F.margin_ranking_loss(x, y, {SIGNS}, 0.3, {r})", [(4,), (4,)]), (f"lambda x, y: F.margin_ranking_loss(x, y, lib.ones(1, dtype=lib.float64), {r})", [(4,), (4,)]),
        (f"lambda x, y: F.cosine_embedding_loss(x, y, {SIGNS}, 0.1, {r})", [(4, 3), (4, 3)]), (f"lambda x, y: F.cosine_embedding_loss(x, y, lib.tensor(-1), {r})", [(3,), (3,)]),
        (f"nn.TripletMarginLoss({r})", [(4, 3)] * 3), (f"nn.TripletMarginLoss(margin=2.0, p=1.0, swap=True, {r})", [(4, 3)] * 3),
        (f"nn.TripletMarginWithDistanceLoss({r})", [(4, 3)] * 3),
        (f"lambda a, b, c: F.triplet_margin_with_distance_loss(a, b, c, distance_function=lambda x, y: 1 - F.cosine_similarity(x, y), swap=True, {r})", [(4, 3)] * 3),
        (f"lambda x: F.soft_margin_loss(x, {SIGNS}, {r})", [(4,)]), (f"lambda x, y: nn.SoftMarginLoss({r})(x, y.detach())", [(4, 3), (4, 3)]), (f"lambda x, y: F.multilabel_soft_margin_loss(x, y, {W3}, {r})", [(4, 3), (4, 3)]),
        (f"lambda x: F.multi_margin_loss(x, {T5}, {r})", [(5, 3)]), (f"lambda x: F.multi_margin_loss(x, {T5}, 2, 0.7, {W3}, {r})", [(5, 3)]),
        (f"lambda x: F.multi_margin_loss(x, lib.tensor(1), {r})", [(3,)]),
        (f"lambda x: F.multilabel_margin_loss(x, lib.tensor([[2, 0, -1, 1], [1, -1, 0, 0], [3, 2, 1, 0]]), {r})", [(3, 4)]), (f"lambda x: F.multilabel_margin_loss(x, lib.tensor([3, 0, -1, 1]), {r})", [(4,)]),
    ]  # fmt: skip
CASES += [
    ("lambda x, y: F.kl_div(x.log_softmax(1), y.softmax(1), reduction='batchmean')", [(4, 3), (4, 3)]), ("lambda x, y: F.smooth_l1_loss(x, y, beta=0.0)", [(4, 3), (4, 3)]),
    ("lambda x, y: F.mse_loss(x, y, size_average=False)", [(4, 3), (4, 3)]), ("lambda x, y: F.mse_loss(x, y, reduce=False)", [(4, 3), (4, 3)]),
    ("lambda x: F.cross_entropy(x, lib.arange(300) % 10)", [(300, 10)]), ("lambda x: F.cross_entropy(x, lib.full((3,), -100), reduction='sum')", [(3, 4)]),
    ("lambda x: F.cross_entropy(x, lib.tensor([1, 1], dtype=lib.int32).long())", [(2, 4)]),
]  # fmt: skip
CTC = [f"lambda x: F.ctc_loss(x.log_softmax(-1), lib.tensor([[1, 2, 2], [3, 1, 0]]), lib.tensor([6, 5]), lib.tensor([3, 2]), reduction='{r}')" for r in ("mean", "sum", "none")]
CTC += ["lambda x: F.ctc_loss(x.log_softmax(-1), lib.tensor([1, 2, 2, 3]), (6, 6), (3, 1), blank=0)",
        "lambda x: F.ctc_loss(x.log_softmax(-1), lib.tensor([[1, 1, 1, 1, 2, 2], [2, 3, 0, 0, 0, 0]]), (6, 6), (6, 2), zero_infinity=True)"]  # fmt: skip


@pytest.mark.parametrize(("text", "shapes"), CASES, ids=[f"{text} {shapes}" for text, shapes in CASES])
def test_recorded_numbers_of_pytorch(text, shapes):
    check_recorded(tg, text, shapes)


@pytest.mark.parametrize(("text", "shapes"), CASES, ids=[f"{text} {shapes}" for text, shapes in CASES])
def test_pytorch_here_and_now(text, shapes):
    check_live(tg, pytest.importorskip("torch"), text, shapes)


def ctc(lib, text):
    x = lib.tensor(np.random.default_rng(1).standard_normal((6, 2, 4))).requires_grad_()
    out = eval(text, {"lib": lib, "F": lib.nn.functional})(x)
    out.sum().backward()
    return out.detach().numpy(), x.grad.numpy()


@pytest.mark.parametrize("text", CTC)
def test_ctc_here_and_now(text):
    torch = pytest.importorskip("torch")
    for ours, theirs in zip(ctc(tg, text), ctc(torch, text)):
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-10)


def test_ctc_sums_over_all_alignments():
    rng = np.random.default_rng(0)
    p = rng.random((4, 3))
    p /= p.sum(axis=1, keepdims=True)
    total = 0.0
    for path in itertools.product(range(3), repeat=4):
        merged = [c for i, c in enumerate(path) if (i == 0 or c != path[i - 1]) and c != 0]
        total += np.prod(p[range(4), path]) * (merged == [1, 2])
    loss = F.ctc_loss(tg.tensor(np.log(p)).unsqueeze(1), tg.tensor([[1, 2]]), tg.tensor([4]), tg.tensor([2]), reduction="sum")
    assert loss.item() == pytest.approx(-np.log(total))


@pytest.mark.parametrize("dtype", [tg.float32, tg.float64])
def test_far_out_nothing_overflows(dtype):
    x = tg.tensor([[-1000.0, 1000.0, 0.0], [1000.0, -1000.0, 500.0]], dtype=dtype, requires_grad=True)
    ones = tg.ones(2, 3, dtype=dtype)
    for loss in (F.cross_entropy(x, tg.tensor([0, 2])), F.binary_cross_entropy_with_logits(x, ones), F.binary_cross_entropy_with_logits(x, ones, pos_weight=ones[0] * 2),
                 F.binary_cross_entropy(x.sigmoid(), 1 - ones), F.nll_loss(F.log_softmax(x, 1), tg.tensor([1, 1])), F.soft_margin_loss(x, ones),
                 F.cross_entropy(x, ones / 3), F.cross_entropy(x, tg.tensor([0, 2]), label_smoothing=0.1), F.huber_loss(x, ones), F.smooth_l1_loss(x, ones)):  # fmt: skip
        (g,) = tg.autograd.grad(loss, x)
        assert np.isfinite(loss.item())
        assert np.isfinite(g.numpy()).all()
        assert loss.dtype == g.dtype == dtype


CERTAIN = [(0.0, 0.0), (0.0, 1.0), (1.0, 0.0), (1.0, 1.0), (0.0, 0.3), (1e-30, 1.0), (1e-14, 0.5), (0.5, 0.5), (1e-44, 1.0)]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_binary_cross_entropy_of_certain_answers(dtype):
    expected = {(0.0, 0.0): 0, (0.0, 1.0): 100, (1.0, 0.0): 100, (1.0, 1.0): 0}
    for (p, t), value in expected.items():
        x = tg.tensor([p], dtype=getattr(tg, dtype), requires_grad=True)
        loss = F.binary_cross_entropy(x, tg.tensor([t], dtype=getattr(tg, dtype)))
        loss.backward()
        assert loss.item() == pytest.approx(value)
        assert x.grad.item() == pytest.approx((p - t) * 1e12)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("p", "t"), CERTAIN)
def test_binary_cross_entropy_is_that_of_pytorch_to_the_second_order(p, t, dtype):
    torch = pytest.importorskip("torch")
    results = []
    for lib in (tg, torch):
        x = lib.tensor([p], dtype=getattr(lib, dtype), requires_grad=True)
        y = lib.tensor([t], dtype=getattr(lib, dtype), requires_grad=True)
        loss = lib.nn.functional.binary_cross_entropy(x, y).sum()
        first = lib.autograd.grad(loss, (x, y), create_graph=True)
        second = lib.autograd.grad(first[0].sum(), (x, y))
        slopes = first if 1e-40 < p < 1 else first[:1]  # the target's slope is 100 or −100 for a certain answer, ±∞ in PyTorch
        results.append([loss.item(), *(g.item() for g in (*slopes, *second))])
    assert results[0] == pytest.approx(results[1], rel=1e-5)


@pytest.mark.parametrize("name", ["mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss", "binary_cross_entropy", "binary_cross_entropy_with_logits",
                                  "kl_div", "poisson_nll_loss", "soft_margin_loss", "hinge_embedding_loss", "multilabel_soft_margin_loss"])  # fmt: skip
def test_silent_broadcasting_is_refused(name):
    with pytest.raises(ValueError, match=r"\[4, 1\].*\[4\].*reshape\(4, 1\)"):
        getattr(F, name)(tg.rand(4, 1), tg.rand(4))


ERRORS = [(lambda: F.cross_entropy(tg.ones(2, 3), tg.tensor([0, 3])), IndexError, "target 3 .*0 to 2"), (lambda: F.cross_entropy(tg.ones(2, 3), tg.tensor([0, -1])), IndexError, "-1"),
          (lambda: F.cross_entropy(tg.ones(2, 3), tg.tensor([0.0, 1.0])), RuntimeError, "long"), (lambda: F.cross_entropy(tg.ones(2, 3), tg.tensor([[0], [1]])), ValueError, r"shape \[2\]"),
          (lambda: F.cross_entropy(tg.ones(2, 3), tg.tensor([0, 1]), tg.ones(2)), RuntimeError, "3 classes"), (lambda: F.mse_loss(tg.ones(2), tg.ones(2), reduction="avg"), ValueError, "avg"),
          (lambda: F.binary_cross_entropy(tg.tensor([1.5]), tg.tensor([1.0])), RuntimeError, "sigmoid"), (lambda: F.mse_loss(tg.ones(2), 1.0), TypeError, "float"),
          (lambda: F.gaussian_nll_loss(tg.ones(2), tg.ones(2), -tg.ones(2)), ValueError, "negative"), (lambda: nn.CrossEntropyLoss(reduction="average"), ValueError, "average"),
          (lambda: F.cross_entropy(tg.ones(2, 3), tg.tensor([0, 1]), label_smoothing=2), RuntimeError, "between 0 and 1"), (lambda: nn.TripletMarginLoss(margin=0.0), ValueError, "positive"),
          (lambda: F.huber_loss(tg.ones(2), tg.ones(2), delta=0), RuntimeError, "positive")]  # fmt: skip


@pytest.mark.parametrize(("call", "kind", "text"), ERRORS, ids=[text for _, _, text in ERRORS])
def test_errors_say_what_is_wrong(call, kind, text):
    with pytest.raises(kind, match=text):
        call()


def test_a_target_changed_after_the_loss_is_noticed():
    x, target = tg.randn(3, 4).requires_grad_(), tg.tensor([0, 1, 2])
    loss = F.cross_entropy(x, target)
    target.fill_(3)
    with pytest.raises(RuntimeError, match="overwritten"):
        loss.backward()


def test_all_ignored_is_nan_as_in_pytorch():
    assert np.isnan(F.cross_entropy(tg.ones(2, 3), tg.tensor([-100, -100])).item())
    assert np.isnan(F.nll_loss(tg.ones(2, 3), tg.tensor([-100, -100])).item())
    scores = tg.ones(2, 3, requires_grad=True)
    F.cross_entropy(scores, tg.tensor([-100, -100])).backward()
    assert scores.grad.tolist() == [[0, 0, 0]] * 2


def test_ctc_takes_log_probabilities_as_normalized():
    """PyTorch's gradient: exp log_probs − the share of the alignments, which sums to 0 at each step that was read."""
    scores = tg.randn(4, 2, 3, generator=tg.Generator().manual_seed(3), dtype=tg.float64)
    log_probs = scores.log_softmax(2).requires_grad_()
    F.ctc_loss(log_probs, tg.tensor([[1, 2], [2, 0]]), (4, 3), (2, 1)).backward()
    grad = log_probs.grad.numpy()
    np.testing.assert_allclose(grad.sum(2), 0, atol=1e-14)
    assert grad[:3].any() and not grad[3, 1].any()


def test_one_margin_keeps_the_form_of_its_target():
    assert F.multi_margin_loss(tg.ones(3), tg.tensor([2]), reduction="none").shape == (1,)
    assert F.multi_margin_loss(tg.ones(3), tg.tensor(2), reduction="none").shape == ()


@pytest.mark.parametrize(
    ("loss", "before", "words"),
    [
        (lambda x: F.cross_entropy(x, tg.tensor([0, 1])), lambda x: x.softmax(1), "cross_entropy applies softmax itself"),
        (lambda x: F.nll_loss(x, tg.tensor([0, 1])), lambda x: x.softmax(1), "use log_softmax"),
        (lambda x: F.binary_cross_entropy_with_logits(x, tg.ones(2, 2)), tg.sigmoid, "applies sigmoid itself"),
        (lambda x: F.binary_cross_entropy_with_logits(x, tg.ones(2, 2)), tg.nn.Sequential(tg.nn.Linear(2, 2), tg.nn.Sigmoid()), "applies sigmoid itself"),
    ],
)
def test_what_a_loss_applies_itself_is_not_applied_before(loss, before, words, recwarn):
    x = tg.tensor([[1.0, 2.0], [3.0, 1.0]], requires_grad=True)
    loss(x)
    loss(x * 2.0)
    loss(before(x).detach())
    assert not recwarn
    with pytest.warns(UserWarning, match=words):
        loss(before(x))
