"""Muon, and SparseAdam for tables of embeddings, against numbers recorded from PyTorch 2.13 and against PyTorch itself."""

import numpy as np
import pytest

import tinygrad_edu as tg

nn, optim = tg.nn, tg.optim
pytestmark = pytest.mark.usefixtures("float64")
MUON = [dict(), dict(nesterov=False, adjust_lr_fn="match_rms_adamw", weight_decay=0.0), dict(momentum=0.5, ns_steps=3, adjust_lr_fn="original")]


def muon(lib, rows=3, **options):
    """Two sums over the weights after each of six steps; float64, in which both libraries round alike."""
    w = lib.tensor(np.sin(np.arange(rows * 4.0)).reshape(rows, 4), requires_grad=True)
    x, y = (lib.tensor(np.cos(np.arange(n * 5.0)).reshape(5, n)) for n in (4, rows))
    optimizer = lib.optim.Muon([w], lr=0.05, **options)
    numbers = []
    for _ in range(6):
        optimizer.zero_grad()
        ((x @ w.T - y) ** 2).mean().backward()
        optimizer.step()
        numbers += [w.sum().item(), (w * w).sum().item()]
    return numbers


def words(lib):
    """Sums over a table after each step of SparseAdam: several look-ups in one pass, gradients that add up, and discarded ones."""
    table = lib.nn.Embedding(8, 3, padding_idx=2, sparse=True, _weight=lib.tensor(np.sin(np.arange(24.0)).reshape(8, 3)))
    bag = lib.nn.EmbeddingBag(8, 3, mode="sum", sparse=True, _weight=lib.tensor(np.cos(np.arange(24.0)).reshape(8, 3)))
    optimizer = lib.optim.SparseAdam([*table.parameters(), *bag.parameters()], lr=0.1, betas=(0.8, 0.9))
    numbers = []
    for i in range(6):
        optimizer.zero_grad()
        if i == 3:
            table(lib.tensor([5, 6])).exp().sum().backward()
        if i == 4:
            table(lib.tensor([7])).sum().backward()
            optimizer.zero_grad()
        loss = (table(lib.tensor([i, 2])) ** 2).sum() + table(lib.tensor([i // 2])).sin().sum()
        (loss + (bag(lib.tensor([[i, 1], [0, i]])) ** 2).sum()).backward()
        optimizer.step()
        numbers += [table.weight[:, 0].sum().item(), (table.weight**2).sum().item(), (bag.weight**2).sum().item()]
    return numbers


RECORDED = {
    "muon": [
        [0.3704580918127207, 5.6636360391839435, 0.3206199615099072, 5.33964399892238, 0.27091505506173236, 5.028139769107735,
         0.22530388798954865, 4.727529961698442, 0.12706433144022578, 4.438560688666638, 0.14519732032989952, 4.167914107736528],
        [0.3937836138860572, 5.888152306783318, 0.34876896544855707, 5.776868601734003, 0.3443100421087134, 5.667134852613756,
         0.3310336749212134, 5.558525146429629, 0.3180429522649634, 5.450858742866752, 0.26926518126886956, 5.343707920089869],
        [0.3431997910314706, 5.658589507969587, 0.27461367488881333, 5.329988171371649, 0.20142664167061908, 5.015308310949482,
         0.13380573893101627, 4.71563984448399, 0.06663280398636129, 4.428244712223428, -0.004574383471070476,
         4.150504694146333],
    ],
    "words": [0.3732063121860375, 11.393132897571752, 12.079425471134353, 0.19664323336722922, 10.908406956630419, 11.597437157091074,
     0.11673666059080356, 10.825887809624252, 10.97697917882185, -0.1605059779208382, 10.680445942380372, 10.447317705102524,
     -0.10030740334285948, 10.456862481761556, 9.966452759837768, -0.17371072900202122, 10.273597864835542, 9.51833984119881],
}  # fmt: skip


@pytest.mark.parametrize("number", range(len(MUON)))
def test_muon_gives_the_recorded_numbers(number):
    np.testing.assert_allclose(muon(tg, **MUON[number]), RECORDED["muon"][number], rtol=1e-10)


def test_sparse_adam_gives_the_recorded_numbers():
    np.testing.assert_allclose(words(tg), RECORDED["words"], rtol=1e-12)


def test_pytorch_here_and_now():
    torch = pytest.importorskip("torch")
    np.testing.assert_allclose(words(tg), words(torch), rtol=1e-12)
    np.testing.assert_allclose(muon(tg, rows=6), muon(torch, rows=6), rtol=0.02)  # its bfloat16 products depend on the processor


@pytest.mark.parametrize("shape", [(6, 3), (3, 6)])
def test_muon_moves_by_a_nearly_orthogonal_matrix(shape):
    w = tg.zeros(shape, requires_grad=True)
    optimizer = optim.Muon([w], lr=1.0, weight_decay=0.0, adjust_lr_fn="match_rms_adamw")
    w.grad = tg.tensor(np.random.default_rng(0).normal(size=shape))
    optimizer.step()
    values = np.linalg.svd(w.detach().numpy() / (0.2 * 6**0.5), compute_uv=False)
    assert 0.6 < values.min() and values.max() < 1.3


def test_muon_continues_from_its_state():
    w = tg.tensor(np.eye(3), requires_grad=True)
    optimizer = optim.Muon([w], lr=tg.tensor(0.1))
    (w.sin() ** 2).sum().backward()
    optimizer.step()
    again = w.detach().clone().requires_grad_()
    other = optim.Muon([again], lr=0.5)
    other.load_state_dict(optimizer.state_dict())
    for x, o in ((w, optimizer), (again, other)):
        o.zero_grad()
        (x.sin() ** 2).sum().backward()
        o.step()
    assert w.equal(again) and list(optimizer.state_dict()["state"][0]) == ["momentum_buffer"]


def test_rows_that_nobody_looked_up_stay():
    table = nn.Embedding(5, 2, sparse=True)
    assert repr(table) == "Embedding(5, 2, sparse=True)"
    optimizer = optim.SparseAdam(table.parameters(), lr=0.1)
    for rows in ([1, 3], [1]):
        before = table.weight.detach().clone()
        optimizer.zero_grad()
        with tg.no_grad():
            table(tg.tensor([4]))
        table(tg.tensor(rows)).square().sum().backward()
        optimizer.step()
        assert np.flatnonzero((table.weight.detach() != before).any(1).numpy()).tolist() == rows
    assert optimizer.state_dict()["state"][0]["step"] == 2


def test_errors():
    w = tg.ones(2, 2, requires_grad=True)
    w.sum().backward()
    with pytest.raises(RuntimeError, match="SparseAdam does not support dense gradients"):
        optim.SparseAdam([w]).step()
    table = nn.Embedding(3, 2, sparse=True)
    (table(tg.tensor([0])).sum() + table.weight.sum()).backward()
    with pytest.raises(RuntimeError, match="dense gradients"):
        optim.SparseAdam(table.parameters()).step()
    for wrong, text in ((dict(lr=0.0), "positive"), (dict(betas=(1.0, 0.9)), "betas"), (dict(lr=-1.0), "negative")):
        with pytest.raises(ValueError, match=text):
            optim.SparseAdam([w], **wrong)
    for params, wrong, text in (([tg.ones(2, requires_grad=True)], {}, "matrices"), ([w], dict(adjust_lr_fn="other"), "adjust_lr_fn"),
                                ([w], dict(ns_steps=100), "below 100"), ([w], dict(momentum=-1), "negative")):  # fmt: skip
        with pytest.raises(ValueError, match=text):
            optim.Muon(params, **wrong)
