"""Attention, transformers and embeddings against PyTorch, number by number."""

import math
import warnings

import numpy as np
import pytest
from layer_tables import check_live, check_recorded

import tinygrad_edu as tg

nn, F = tg.nn, tg.nn.functional

MASK = "lib.tensor([[False, True, False], [False, False, True], [False, False, False]])"
ADDED = "lib.tensor([[0.0, 1.5, -2.0], [0.5, 0.0, float('-inf')], [0.0, 0.0, 0.3]], dtype=lib.float64)"
PADDING = "lib.tensor([[False, False, True], [False, True, False]])"
X, INDEX = [(3, 2, 4)], "lib.tensor([[1, 0, 3], [3, 3, 2]])"
SAME = "lambda m: type('Same', (nn.Module,), {'__init__': lambda s: (nn.Module.__init__(s), setattr(s, 'm', m))[0], 'forward': lambda s, x: s.m(x, x, x%s)})()"


def same(module, options=""):
    """A module that attends to itself."""
    return f"({SAME % options})({module})"


CASES = [
    (same("nn.MultiheadAttention(4, 2)"), X), (same("nn.MultiheadAttention(4, 2)"), [(3, 4)]), (same("nn.MultiheadAttention(4, 1, bias=False)"), X),
    (same("nn.MultiheadAttention(4, 2, batch_first=True)", f", need_weights=False, attn_mask={MASK}"), [(2, 3, 4)]),
    (same("nn.MultiheadAttention(4, 2)", f", attn_mask={ADDED}, key_padding_mask=lib.zeros(2, 3, dtype=lib.bool)"), X),
    (same("nn.MultiheadAttention(4, 2)", f", key_padding_mask={PADDING}, average_attn_weights=False"), X),
    (same("nn.MultiheadAttention(4, 2)", f", key_padding_mask={PADDING}, attn_mask={MASK}, need_weights=False, is_causal=True"), X),
    (same("nn.MultiheadAttention(4, 2, add_bias_kv=True)", f", attn_mask={MASK}"), X), (same("nn.MultiheadAttention(4, 2, add_zero_attn=True)", f", key_padding_mask={PADDING}"), X),
    ("nn.MultiheadAttention(4, 2, kdim=3, vdim=5)", [(3, 2, 4), (6, 2, 3), (6, 2, 5)]), ("nn.MultiheadAttention(4, 2)", [(3, 2, 4), (5, 2, 4), (5, 2, 4)]),
    ("nn.MultiheadAttention(4, 2, kdim=3, batch_first=True)", [(2, 3, 4), (2, 6, 3), (2, 6, 4)]),
    ("lambda q, k, v: F.scaled_dot_product_attention(q, k, v)", [(2, 3, 4), (2, 5, 4), (2, 5, 6)]), ("lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=True, scale=0.3)", [(2, 2, 3, 4)] * 3),
    (f"lambda q, k, v: F.scaled_dot_product_attention(q, k, v, attn_mask={MASK})", [(2, 3, 4)] * 3), (f"lambda q, k, v: F.scaled_dot_product_attention(q, k, v, attn_mask={ADDED})", [(2, 3, 4)] * 3),
    ("lambda q, k, v, m: F.scaled_dot_product_attention(q, k, v, attn_mask=m)", [(2, 3, 4), (2, 3, 4), (2, 3, 4), (3, 3)]),
    ("lambda q, k, v: F.scaled_dot_product_attention(q, k, v, attn_mask=lib.tensor([[False] * 3, [True] * 3, [True, False, True]]))", [(2, 3, 4)] * 3),
    ("lambda q, k, v: F.scaled_dot_product_attention(q, k, v, enable_gqa=True)", [(1, 4, 3, 2), (1, 2, 3, 2), (1, 2, 3, 2)]),
    ("nn.TransformerEncoderLayer(4, 2, 6, dropout=0.0)", X), ("nn.TransformerEncoderLayer(4, 2, 6, 0.0, 'gelu', norm_first=True, batch_first=True)", X),
    ("nn.TransformerEncoderLayer(4, 2, 6, dropout=0.0, bias=False, layer_norm_eps=0.1)", X), ("nn.TransformerEncoderLayer(4, 2, 6, dropout=0.0, activation=F.silu)", [(3, 4)]),
    ("nn.TransformerEncoder(nn.TransformerEncoderLayer(4, 2, 6, 0.0), 2, nn.LayerNorm(4), enable_nested_tensor=False)", X),
    ("nn.TransformerDecoderLayer(4, 2, 6, dropout=0.0)", [(3, 2, 4), (5, 2, 4)]), ("nn.TransformerDecoderLayer(4, 2, 6, dropout=0.0, norm_first=True, batch_first=True)", [(2, 3, 4), (2, 5, 4)]),
    ("nn.TransformerDecoder(nn.TransformerDecoderLayer(4, 2, 6, 0.0), 2)", [(3, 2, 4), (5, 2, 4)]), ("nn.Transformer(4, 2, 1, 1, 6, 0.0)", [(5, 2, 4), (3, 2, 4)]),
    (f"lambda w: F.embedding({INDEX}, w)", [(5, 3)]), (f"lambda w: F.embedding({INDEX}, w, padding_idx=3)", [(5, 3)]), (f"lambda w: F.embedding({INDEX}, w, padding_idx=-2)", [(5, 3)]),
    (f"lambda w: F.embedding({INDEX}, w, scale_grad_by_freq=True)", [(5, 3)]), ("lambda w: F.embedding(lib.tensor(1), w)", [(5, 3)]), ("lambda w: F.embedding(lib.arange(64) % 5, w)", [(5, 3)]),
]  # fmt: skip
for mode in ("sum", "mean", "max"):
    CASES += [
        (f"lambda w: F.embedding_bag({INDEX}, w, mode='{mode}')", [(5, 3)]), (f"lambda w: F.embedding_bag(lib.tensor([1, 0, 3, 3, 2]), w, lib.tensor([0, 2, 2, 4]), mode='{mode}')", [(5, 3)]),
        (f"lambda w: F.embedding_bag(lib.tensor([1, 0, 3, 3, 2]), w, lib.tensor([0, 2, 5]), mode='{mode}', include_last_offset=True, padding_idx=3)", [(5, 3)]),
    ]  # fmt: skip
CASES += [(f"lambda w, s: F.embedding_bag({INDEX}, w, mode='sum', per_sample_weights=s)", [(5, 3), (2, 3)])]
IDS = [f"{i} {text[-80:]}" for i, (text, _) in enumerate(CASES)]


@pytest.mark.parametrize(("text", "shapes"), CASES, ids=IDS)
def test_recorded_numbers_of_pytorch(text, shapes):
    check_recorded(tg, text, shapes)


@pytest.mark.parametrize(("text", "shapes"), CASES, ids=IDS)
def test_pytorch_here_and_now(text, shapes):
    check_live(tg, pytest.importorskip("torch"), text, shapes)


@pytest.mark.parametrize("text", ["nn.Embedding(5, 3)", "nn.Embedding(5, 3, padding_idx=-1)", "nn.Embedding(5, 3, max_norm=1.0, norm_type=1.0)", "nn.EmbeddingBag(5, 3)",
                                  "nn.EmbeddingBag(5, 3, mode='max', padding_idx=2)", "nn.Embedding.from_pretrained(lib.arange(15.0).reshape(5, 3))",
                                  "nn.EmbeddingBag(5, 3, mode='sum', max_norm=0.5)", "nn.Embedding(5, 3, scale_grad_by_freq=True)"])  # fmt: skip
def test_embeddings_are_those_of_pytorch_with_their_random_values(text):
    torch = pytest.importorskip("torch")
    results = []
    for lib in (tg, torch):
        lib.manual_seed(3)
        m = eval(text, {"nn": lib.nn, "lib": lib})
        out = m(lib.tensor([[1, 4, 4], [3, 1, 2]]))
        (out * out).sum().backward() if m.weight.requires_grad else None
        results.append([repr(m), list(m.state_dict()), m.weight.detach().tolist(), out.detach().tolist(), m.weight.grad.tolist() if m.weight.requires_grad else None])
    assert results[0][:2] == results[1][:2]
    for ours, theirs in zip(results[0][2:], results[1][2:]):
        if ours is not None:
            np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("text", ["nn.MultiheadAttention(8, 2)", "nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16), 2, enable_nested_tensor=False)", "nn.Transformer(8, 2, 1, 1, 16, batch_first=True)",
                                  "nn.MultiheadAttention(8, 2, add_bias_kv=True, kdim=3)", "nn.Bilinear(3, 4, 5)", "nn.Linear(4, 3)"])  # fmt: skip
def test_initial_values_are_those_of_pytorch(text):
    torch = pytest.importorskip("torch")
    states = []
    for lib in (tg, torch):
        lib.manual_seed(5)
        m = eval(text, {"nn": lib.nn})
        states.append({k: v.detach().numpy() for k, v in m.state_dict().items()})
    assert list(states[0]) == list(states[1])
    for k in states[0]:
        np.testing.assert_allclose(states[0][k], states[1][k], rtol=1e-5, atol=1e-7, err_msg=k)


def test_a_subsequent_mask_hides_the_future():
    mask = nn.Transformer.generate_square_subsequent_mask(3)
    assert np.array_equal(np.isneginf(mask.numpy()), np.triu(np.ones((3, 3), bool), 1))
    q = tg.randn(1, 3, 4)
    a = F.scaled_dot_product_attention(q, q, q, attn_mask=mask)
    b = F.scaled_dot_product_attention(q, q, q, is_causal=True)
    assert tg.allclose(a, b)


def test_padding_changes_nothing():
    """What a mask hides cannot matter."""
    layer = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, 0.0, batch_first=True), 2).double()
    x, hidden = tg.randn(2, 5, 8, dtype=tg.float64), tg.tensor([[False, False, False, True, True]] * 2)
    y = x.clone()
    y[:, 3:] = 100.0
    out = layer(x, src_key_padding_mask=hidden), layer(y, src_key_padding_mask=hidden)
    assert tg.allclose(out[0][:, :3], out[1][:, :3])
    assert tg.allclose(layer(x[:, :3]), out[0][:, :3])


@pytest.mark.parametrize("options", ["", "norm_first=True, ", "bias=False, ", "activation='gelu', "])
@pytest.mark.parametrize("hidden", [[[False, False, True, True], [False, False, False, True]], [[True, False, False, True], [False, False, False, True]]])
def test_padding_is_cleared_where_pytorch_clears_it(options, hidden):
    torch, x = pytest.importorskip("torch"), np.random.default_rng(0).standard_normal((2, 4, 8))
    results = []
    for lib in (tg, torch):
        lib.manual_seed(0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            m = eval(f"nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, {options} batch_first=True), 2, nn.LayerNorm(8))", {"nn": lib.nn})
            m.double().eval()
            with lib.no_grad():
                results += [m(lib.tensor(x), src_key_padding_mask=lib.tensor(hidden)).numpy()]
            results += [m(lib.tensor(x), src_key_padding_mask=lib.tensor(hidden)).detach().numpy()]
    np.testing.assert_allclose(results[:2], results[2:], rtol=1e-5, atol=1e-6)


ERRORS = [(lambda: F.embedding(tg.tensor([5]), tg.ones(5, 2)), "index 5"), (lambda: F.embedding(tg.tensor([0.5]), tg.ones(5, 2)), "long"),
          (lambda: nn.MultiheadAttention(5, 2), "cannot be divided"),
          (lambda: F.scaled_dot_product_attention(tg.ones(2, 3), tg.ones(4, 3), tg.ones(4, 3), tg.ones(2, 4), is_causal=True), "not both"),
          (lambda: nn.MultiheadAttention(4, 2)(tg.ones(2, 1, 4), tg.ones(2, 1, 4), tg.ones(2, 1, 4), attn_mask=tg.ones(3, 3)), "attn_mask must have"),
          (lambda: nn.MultiheadAttention(4, 2)(tg.ones(2, 1, 5), tg.ones(2, 1, 4), tg.ones(2, 1, 4)), "5 features"), (lambda: nn.Embedding(3, 2, padding_idx=3), "padding_idx=3"),
          (lambda: F.embedding_bag(tg.tensor([0, 1]), tg.ones(3, 2), tg.tensor([1])), "begin with 0"), (lambda: nn.TransformerEncoderLayer(4, 2, activation="tanh"), "relu")]  # fmt: skip


@pytest.mark.parametrize(("call", "text"), ERRORS, ids=[text for _, text in ERRORS])
def test_errors_say_what_is_wrong(call, text):
    with pytest.raises((RuntimeError, ValueError, IndexError, AssertionError, NotImplementedError), match=text):
        call()


def test_a_mask_and_causality_at_once():
    x = tg.randn(1, 1, 3, 2, generator=tg.Generator().manual_seed(0))
    lower = tg.ones(3, 3).tril().bool()
    seen = tg.tensor([[True, True, True], [False, True, True], [True, False, True]])
    wanted = F.scaled_dot_product_attention(x, x, x, seen & lower)
    assert tg.equal(F.scaled_dot_product_attention(x, x, x, seen, is_causal=True), wanted)
    added = tg.where(seen, 0.0, -math.inf)
    assert tg.allclose(F.scaled_dot_product_attention(x, x, x, added, is_causal=True), wanted)
