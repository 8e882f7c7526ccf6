"""PyTorch's names that few programs ask for: layers in the order of arguments of torch's top, copies, short-time transforms, settings.

Results come from the functions of nn.functional, from NumPy, or were recorded from PyTorch 2.13; the last test compares with PyTorch itself.
"""

import math

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import nn
from tinygrad_edu.autograd import gradcheck, gradgradcheck

F = nn.functional
pytestmark = pytest.mark.usefixtures("float64")
SEED = np.random.default_rng(7)


def normal(*shape, grad=False):
    return tg.tensor(SEED.normal(size=shape), requires_grad=grad)


def same(ours, expected, tolerance=1e-12):
    ours, expected = (t.detach().numpy() if isinstance(t, tg.Tensor) else np.asarray(t) for t in (ours, expected))
    assert ours.shape == expected.shape
    np.testing.assert_allclose(ours, expected, tolerance, tolerance)


# --- layers ----------------------------------------------------------------------------------------------------------------


def test_cells_are_the_modules_steps():
    x, h, c = normal(4, 3), normal(4, 5), normal(4, 5)
    for make, step, state in ((nn.LSTMCell, tg.lstm_cell, (h, c)), (nn.GRUCell, tg.gru_cell, h), (nn.RNNCell, tg.rnn_tanh_cell, h),
                              (lambda *n: nn.RNNCell(*n, nonlinearity="relu"), tg.rnn_relu_cell, h)):  # fmt: skip
        cell = make(3, 5)
        ours = step(x, state, cell.weight_ih, cell.weight_hh, cell.bias_ih, cell.bias_hh)
        expected = cell(x, state)
        for a, b in zip(*(r if isinstance(r, tuple) else (r,) for r in (ours, expected))):
            same(a, b)


def test_layers_with_the_weight_first():
    x, w, b, mean, var = normal(2, 3, 4, 4), normal(3), normal(3), normal(3), normal(3).exp()
    same(tg.batch_norm(x, w, b, mean.clone(), var.clone(), False, 0.1, 1e-5, False), F.batch_norm(x, mean, var, w, b))
    same(tg.instance_norm(x, w, b, None, None, True, 0.1, 1e-5, False), F.instance_norm(x, weight=w, bias=b))
    table, index = normal(5, 2), tg.tensor([[1, 2], [4, 0]])
    same(tg.embedding(table, index), table.numpy()[index.numpy()])
    same(tg.embedding_bag(table, index.flatten(), tg.tensor([0, 3]), mode=2)[0], np.stack([table.numpy()[[1, 2, 4]].max(0), table.numpy()[0]]))
    same(tg.norm_except_dim(x, 2, 1), np.sqrt((x.numpy() ** 2).sum((0, 2, 3), keepdims=True)))
    kernel, turned = normal(4, 3, 2, 2), normal(3, 4, 2, 2)
    same(tg.convolution(x, kernel, None, [2, 2], [1, 1], [1, 1], False, [0, 0], 1), F.conv2d(x, kernel, None, 2, 1))
    same(tg.convolution(x, turned, None, [2, 2], [0, 0], [1, 1], True, [1, 1], 1), F.conv_transpose2d(x, turned, None, 2, 0, 1))
    same(tg.grid_sampler(x, tg.zeros(2, 1, 1, 2), 0, 0, True), x[:, :, 1:3, 1:3].mean((2, 3), keepdim=True))
    same(tg.constant_pad_nd(w, (1, 0), 2.0), np.concatenate([[2.0], w.numpy()]))
    speech, filters = normal(6, 2, 3), normal(3, 3, 4)
    same(tg.conv_tbc(speech, filters, tg.zeros(4), 1)[0], (speech[:2].permute(1, 0, 2).reshape(2, 6) @ filters[1:].reshape(6, 4)))


def test_losses_take_numbers_for_their_reduction():
    x, y = normal(4, 3), normal(4, 3)
    for number, word in enumerate(("none", "mean", "sum")):
        same(tg.kl_div(x, y.exp(), number), F.kl_div(x, y.exp(), reduction=word))
        same(tg.triplet_margin_loss(x, y, x * y, 1.0, 2.0, 1e-6, False, number), F.triplet_margin_loss(x, y, x * y, reduction=word))
        same(tg.cosine_embedding_loss(x, y, tg.ones(4), 0.1, reduction=number), F.cosine_embedding_loss(x, y, tg.ones(4), 0.1, reduction=word))
    with pytest.raises(ValueError, match="must be 0"):
        tg.kl_div(x, y, reduction=3)


def test_a_layer_and_its_cross_entropy():
    x, target, weights = normal(5, 3), tg.tensor([1, 3, 0, 1, -100]), tg.tensor([1.0, 2.0, 3.0, 4.0])
    loss = nn.LinearCrossEntropyLoss(3, 4, bias=True, weight=weights, label_smoothing=0.1)
    same(loss(x, target), F.cross_entropy(loss.linear(x), target, weights, label_smoothing=0.1))
    many = nn.LinearCrossEntropyLoss(3, 4, out_features=(2,), options=nn.LinearCrossEntropyOptions())
    targets = tg.tensor([[1, 2], [3, 0], [0, 0], [1, 1], [-100, 2]])
    same(many(x, targets), F.cross_entropy(many.linear(x).reshape(5, 4, 2), targets))
    with pytest.raises(RuntimeError, match="probabilities"):
        F.linear_cross_entropy(x, normal(4, 3), tg.ones(5, 4) / 4, ignore_index=1)
    with pytest.raises(RuntimeError, match="the input must be"):
        F.linear_cross_entropy(x, normal(4, 2), target)


@pytest.mark.parametrize("transpose", [False, True])
def test_a_fused_batch_norm_computes_the_same(transpose):
    conv = (nn.ConvTranspose2d if transpose else nn.Conv2d)(3, 4, 2, bias=not transpose)
    bn, x = nn.BatchNorm2d(4), normal(2, 3, 5, 5)
    bn(conv(x))
    with pytest.raises(AssertionError, match="eval"):
        nn.utils.fuse_conv_bn_eval(conv, bn)
    fused = nn.utils.fuse_conv_bn_eval(conv.eval(), bn.eval(), transpose)
    same(fused(x), bn(conv(x)))
    linear, norm = nn.Linear(3, 4).eval(), nn.BatchNorm1d(4).eval()
    same(nn.utils.fuse_linear_bn_eval(linear, norm)(x[:, :, 0, 0]), norm(linear(x[:, :, 0, 0])))


# --- tensors ---------------------------------------------------------------------------------------------------------------


def test_copies_have_memory_of_their_own():
    x = normal(2, 3)
    views = tg.view_copy(x, (3, 2)), tg.t_copy(x), *tg.unbind_copy(x), tg.narrow_copy(x, 1, 0, 2), tg.expand_copy(x, (4, 2, 3)), tg.alias_copy(x)
    before = [v.clone() for v in views]
    x.zero_()
    for v, old in zip(views, before):
        assert v.equal(old)
    assert tg.t_copy(before[-1]).equal(before[-1].t())


def test_tensors_made_otherwise():
    assert tg.frombuffer(bytearray(np.arange(4.0).tobytes()), dtype=tg.float64, offset=8, count=2).tolist() == [1.0, 2.0]
    assert tg.empty_strided((2, 3), (1, 2)).stride() == (1, 2) and tg.ones(2).new_empty_strided((2, 2), (2, 1)).shape == (2, 2)
    assert tg.nonzero_static(tg.tensor([3, 0, 4]), size=3).tolist() == [[0], [2], [-1]]
    points = normal(20, 2)
    hist, edges = tg.histogramdd(points, [3, 2], range=[-2.0, 2.0, -1.0, 1.0])
    expected, theirs = np.histogramdd(points.numpy(), [3, 2], [(-2, 2), (-1, 1)])
    same(hist, expected), same(edges[0], theirs[0]), same(edges[1], theirs[1])
    upper = tg.tensor([[2.0, 1.0], [0.0, 4.0]])
    same(tg.triangular_solve(tg.ones(2, 1), upper).solution, np.linalg.solve(upper.numpy(), np.ones((2, 1))))
    same(tg.triangular_solve(tg.ones(2, 1), upper, transpose=True).solution, np.linalg.solve(upper.numpy().T, np.ones((2, 1))))
    assert tg.segment_reduce(tg.tensor([1.0, 5.0, 3.0]), "max", lengths=tg.tensor([2, 0, 1]), initial=0.0).tolist() == [5.0, 0.0, 3.0]
    x = normal(4, 2, grad=True)
    for how in ("sum", "mean", "max", "min", "prod"):
        assert gradcheck(lambda x, how=how: tg.segment_reduce(x, how, lengths=tg.tensor([1, 3])), x)
    with pytest.raises(RuntimeError, match="removed"):
        tg.symeig(upper)
    y = tg.tensor([1.0, -2.0])
    assert y.map_(tg.tensor([3.0, 4.0]), lambda a, b: a + b).tolist() == [4.0, 2.0]
    assert tg.tensor([0.2, -2.0]).hardshrink(0.5).tolist() == [0.0, -2.0] and tg.tensor([-2.0]).prelu(tg.tensor([0.25])).tolist() == [-0.5]
    assert tg.cond(tg.tensor(True), lambda a: a + 1, lambda a: a - 1, (y,)).tolist() == [5.0, 3.0]


def test_types_that_numpy_lacks_have_names():
    types = {"float32": tg.float32, "bfloat16": tg.bfloat16, "float16": tg.float16}
    assert types["bfloat16"] != tg.float32 and tg.ones(1).dtype != tg.bfloat16 and repr(tg.bfloat16) == "bfloat16"
    assert tg.finfo(tg.bfloat16).eps == 0.0078125 and tg.finfo(tg.bfloat16).max == 3.3895313892515355e38
    assert str(tg.finfo(tg.float16)) == ("finfo(resolution=0.001, min=-65504, max=65504, eps=0.000976562, smallest_normal=6.10352e-05, "
                                         "tiny=6.10352e-05, dtype=float16)")  # fmt: skip
    with tg.autocast("cpu", dtype=tg.bfloat16, enabled=False):
        assert tg.get_autocast_dtype("cpu") is tg.bfloat16 and not tg.is_autocast_enabled()
    for attempt in (lambda: tg.ones(2, dtype=tg.bfloat16), lambda: tg.ones(2).to(tg.bfloat16), lambda: tg.ones(2).bfloat16(), lambda: nn.Linear(1, 1).bfloat16()):
        with pytest.raises(TypeError, match="NumPy has no numbers of this type"):
            attempt()


def test_modes_and_settings():
    with tg.inference_mode(False):
        assert tg.is_grad_enabled() and not tg.is_inference_mode_enabled()
    with tg.inference_mode():
        assert not tg.is_grad_enabled() and tg.is_inference_mode_enabled()

    @tg.inference_mode()
    def inside():
        return tg.is_inference_mode_enabled()

    @tg.inference_mode
    def plainly():
        return tg.is_grad_enabled()

    assert inside() and not plainly() and not tg.is_inference_mode_enabled()
    w = tg.ones(2, requires_grad=True)
    tg.autograd.backward([w * 3, w * w], grad_tensors=[tg.ones(2), tg.tensor([1.0, 2.0])])
    assert w.grad.tolist() == [5.0, 7.0]
    shared = nn.Linear(1, 1)
    assert len(list(nn.Sequential(shared, shared).modules(remove_duplicate=False))) == 3
    assert isinstance(nn.LSTM(1, 1), nn.RNNBase) and isinstance(nn.GRUCell(1, 1), nn.RNNCellBase)


# --- short-time Fourier transforms -------------------------------------------------------------------------------------------

SHORT = [dict(n_fft=8, hop_length=3), dict(n_fft=10, hop_length=4, win_length=7), dict(n_fft=8, normalized=True, center=False),
         dict(n_fft=8, onesided=False), dict(n_fft=7, hop_length=2, pad_mode="constant")]  # fmt: skip


@pytest.mark.parametrize("options", SHORT, ids=str)
def test_windows_are_transformed_one_by_one(options):
    n, hop = options["n_fft"], options.get("hop_length", options["n_fft"] // 4)
    width, x = options.get("win_length", n), SEED.normal(size=(2, 30))
    window = SEED.uniform(0.5, 1, width)
    out = tg.stft(tg.tensor(x), window=tg.tensor(window), return_complex=True, **options).numpy()
    if options.get("center", True):
        x = np.pad(x, ((0, 0), (n // 2, n // 2)), options.get("pad_mode", "reflect"))
    before = (n - width) // 2
    full = np.pad(window, (before, n - width - before))
    frames = np.stack([x[:, m : m + n] * full for m in range(0, x.shape[1] - n + 1, hop)], -1)
    expected = np.fft.fft(frames, axis=1) / (math.sqrt(n) if options.get("normalized") else 1)
    same(out, expected if options.get("onesided") is False else expected[:, : n // 2 + 1])


def test_the_inverse_gives_the_signal_back():
    x = normal(2, 40)
    for n, hop, options in ((8, 2, {}), (10, 3, dict(normalized=True)), (8, 4, dict(onesided=False)), (7, 2, {})):
        window = tg.hann_window(n) + 0.1
        z = tg.stft(x, n, hop, window=window, return_complex=True, **options)
        same(tg.istft(z, n, hop, window=window, length=40, **options), x)
        same(z.istft(n, hop, window=window, **options)[:, :30], x[:, :30])
    signal = tg.tensor(SEED.normal(size=30) + 1j * SEED.normal(size=30))
    same(tg.istft(tg.stft(signal, 8, window=tg.ones(8)), 8, window=tg.ones(8), return_complex=True, length=30), signal)


def test_short_transforms_have_derivatives_of_signal_and_window():
    x, window = normal(14, grad=True), tg.tensor(SEED.uniform(0.5, 1, 4), requires_grad=True)

    def there(x, window):
        return tg.stft(x, 4, 2, window=window, return_complex=False)

    def back(x, window):
        z = tg.stft(x, 4, 2, window=tg.ones(4), return_complex=True)
        return tg.istft(z, 4, 2, window=window, length=13)

    assert gradcheck(there, (x, window)) and gradgradcheck(there, (x, window))
    assert gradcheck(back, (x, window)) and gradgradcheck(back, (x, window))


def test_transforms_of_signals_whose_halves_are_conjugates():
    z, x = tg.complex(normal(3, 4), normal(3, 4)), normal(3, 6)
    same(tg.fft.hfftn(z), tg.fft.irfftn(z.conj(), norm="forward"))
    same(tg.fft.hfft2(z, norm="ortho", dim=(1, 0)), tg.fft.irfft2(z.conj(), norm="ortho", dim=(1, 0)))
    same(tg.fft.ihfftn(x).numpy(), np.fft.rfftn(x.numpy()).conj() / 18)
    same(tg.fft.hfft2(tg.fft.ihfft2(x)), x)
    assert gradcheck(lambda x: tg.view_as_real(tg.fft.ihfft2(x)), normal(2, 3, grad=True))


# --- shares of data, modules as functions ------------------------------------------------------------------------------------


def test_every_process_gets_its_share():
    from tinygrad_edu.utils.data import DataLoader, DistributedSampler

    assert [list(DistributedSampler(range(7), 3, k, shuffle=False)) for k in range(3)] == [[0, 3, 6], [1, 4, 0], [2, 5, 1]]
    assert [list(DistributedSampler(range(7), 3, k, shuffle=False, drop_last=True)) for k in range(3)] == [[0, 3], [1, 4], [2, 5]]
    shares = [DistributedSampler(range(10), 2, k, seed=3) for k in range(2)]
    first = [list(s) for s in shares]
    assert sorted(first[0] + first[1]) == list(range(10)) and list(shares[0]) == first[0] and len(shares[0]) == 5
    assert first[0] == [6, 3, 8, 1, 2]  # recorded from PyTorch 2.13
    for s in shares:
        s.set_epoch(1)
    assert list(shares[0]) != first[0]
    assert [b.tolist() for b in DataLoader(range(10), batch_size=3, sampler=DistributedSampler(range(10), 2, 1, False))] == [[1, 3, 5], [7, 9]]
    with pytest.raises(ValueError, match="not been initialized"):
        DistributedSampler(range(3))
    with pytest.raises(ValueError, match="between 0 and 1"):
        DistributedSampler(range(3), 2, 2)


def test_a_group_of_one_process():
    from tinygrad_edu import distributed
    from tinygrad_edu.utils.data.distributed import DistributedSampler

    assert distributed.is_available() and not distributed.is_initialized() and not distributed.is_nccl_available()
    with pytest.raises(ValueError, match="not been initialized"):
        distributed.get_rank()
    with pytest.raises(RuntimeError, match="a group of 4 processes"):
        distributed.init_process_group("nccl", rank=0, world_size=4)
    distributed.init_process_group("gloo", rank=0, world_size=1)
    try:
        assert (distributed.get_rank(), distributed.get_world_size(), distributed.get_backend()) == (0, 1, "gloo")
        x, into, objects = tg.tensor([1.0, 2.0]), [tg.zeros(2)], [None]
        assert distributed.all_reduce(x, op=distributed.ReduceOp.AVG) is None and distributed.all_reduce(x, async_op=True).wait()
        distributed.all_gather(into, x), distributed.all_gather_object(objects, "a"), distributed.barrier()
        assert x.tolist() == into[0].tolist() == [1.0, 2.0] and objects == ["a"]
        distributed.all_gather_into_tensor(joined := tg.zeros(1, 2), x)
        assert joined.tolist() == [[1.0, 2.0]]
        assert sorted(DistributedSampler(range(3))) == [0, 1, 2]
    finally:
        distributed.destroy_process_group()
    assert not distributed.is_initialized()


def test_tied_parameters_of_a_functional_call():
    tied = nn.Sequential(nn.Linear(2, 2, bias=False), nn.Linear(2, 2, bias=False))
    tied[1].weight = tied[0].weight
    w, x = normal(2, 2), normal(3, 2)
    same(tg.func.functional_call(tied, {"1.weight": w}, x), x @ w.T @ w.T)
    same(tg.func.functional_call(tied, {"1.weight": w}, x, tie_weights=False), x @ tied[0].weight.T @ w.T)
    with pytest.raises(ValueError, match="tied"):
        tg.func.functional_call(tied, {"0.weight": w, "1.weight": w * 2}, x)


def test_batch_norms_without_running_averages():
    net, x = nn.Sequential(nn.BatchNorm1d(3), nn.Linear(3, 2)), normal(4, 3)
    net(x)
    expected = net(x)
    assert tg.func.replace_all_batch_norm_modules_(net) is net and net[0].running_mean is None
    same(net.eval()(x), expected)


WRONG = [
    (lambda: tg.stft(tg.ones(8), 4, window=tg.ones(4)), RuntimeError, "return_complex"),
    (lambda: tg.stft(tg.ones(8), 4, window=tg.ones(3), return_complex=True), RuntimeError, "window of win_length=4"),
    (lambda: tg.stft(tg.ones(2), 4, window=tg.ones(4), center=False, return_complex=True), RuntimeError, "the length of the signal"),
    (lambda: tg.stft(tg.ones(1, 1, 8), 4, window=tg.ones(4), return_complex=True), RuntimeError, r"\(T\) or \(B, T\)"),
    (lambda: tg.istft(tg.ones(3, 4), 4), RuntimeError, "complex"),
    (lambda: tg.istft(tg.complex(tg.ones(4, 4), tg.ones(4, 4)), 8), RuntimeError, "frequencies"),
    (lambda: tg.istft(tg.complex(tg.ones(3, 4), tg.ones(3, 4)), 4, 4, window=tg.hann_window(4)), RuntimeError, "gap"),
    (lambda: F.fractional_max_pool2d(tg.ones(1, 4, 4), 2), ValueError, "output_size or output_ratio"),
    (lambda: F.fractional_max_pool2d(tg.ones(1, 4, 4), 3, 3), RuntimeError, "do not fit"),
    (lambda: nn.FractionalMaxPool2d(2, output_ratio=1.5), ValueError, "between 0 and 1"),
    (lambda: nn.FractionalMaxPool3d(2, 3, 0.5), ValueError, "not both"),
    (lambda: tg.empty_strided((2, 2), (1,)), RuntimeError, "same length"),
    (lambda: tg.segment_reduce(tg.ones(3), "sum", lengths=tg.tensor([1])), RuntimeError, "add up to 1"),
]


@pytest.mark.parametrize("number", range(len(WRONG)))
def test_errors(number):
    call, kind, text = WRONG[number]
    with pytest.raises(kind, match=text):
        call()


def test_a_missing_window_is_told():
    with pytest.warns(UserWarning, match="no window"):
        tg.stft(tg.ones(8), 4, return_complex=True)


def test_pytorch_has_the_same_numbers():
    torch = pytest.importorskip("torch")
    x, w = SEED.normal(size=(2, 30)), SEED.uniform(0.5, 1, 8)
    results = []
    for lib in (torch, tg):
        signal, window = lib.tensor(x, requires_grad=True), lib.tensor(w, requires_grad=True)
        z = lib.stft(signal, 8, 3, window=window, normalized=True, return_complex=True)
        (lib.istft(z, 8, 3, window=window * 1.5, normalized=True, length=28) ** 3).sum().backward()
        results.append([signal.grad.numpy(), window.grad.numpy(), lib.view_as_real(z).detach().numpy()])
    for ours, theirs in zip(*results):
        np.testing.assert_allclose(ours, theirs, 1e-10, 1e-10)
