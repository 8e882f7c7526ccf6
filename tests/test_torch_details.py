"""Details that programs of strangers met: PyTorch's numbers, types and kinds of error, one test per cause."""

import math
import operator
import pickle

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.autograd import Function, grad, gradgradcheck


class Exponential(Function):
    @staticmethod
    def forward(ctx, x):
        out = x.exp()
        ctx.save_for_backward(out)
        return out

    @staticmethod
    def backward(ctx, g):
        (out,) = ctx.saved_tensors
        return g * out


class SinCos(Function):
    @staticmethod
    def forward(ctx, x):
        s, c = x.sin(), x.cos()
        ctx.save_for_backward(s, c)
        return s, c

    @staticmethod
    def backward(ctx, gs, gc):
        s, c = ctx.saved_tensors
        return gs * c - gc * s


class Doubled(Function):
    @staticmethod
    def forward(ctx, x):
        ctx.mark_dirty(x)
        x.mul_(2)
        return x

    @staticmethod
    def backward(ctx, g):
        return g * 2


def leaf(*values):
    return tg.tensor(values, dtype=tg.float64, requires_grad=True)


# --- autograd.Function ---------------------------------------------------------------------------------------------------


def test_a_saved_result_has_second_derivatives():
    x = leaf(0.3, -1.0)
    (first,) = grad(Exponential.apply(x).sum(), x, create_graph=True)
    (second,) = grad(first.sum(), x, create_graph=True)
    (third,) = grad(second.sum(), x)
    for g in (first, second, third):
        np.testing.assert_allclose(g.detach().numpy(), np.exp([0.3, -1.0]))
    assert gradgradcheck(Exponential.apply, (leaf(0.5, 2.0),))


def test_saved_results_of_a_function_with_two():
    x = leaf(0.7)
    s, c = SinCos.apply(x)
    (first,) = grad((s * c).sum(), x, create_graph=True)
    (second,) = grad(first.sum(), x)
    assert first.item() == pytest.approx(np.cos(1.4))
    assert second.item() == pytest.approx(-2 * np.sin(1.4))


def test_a_saved_result_keeps_no_cycle():
    import gc
    import weakref

    x = leaf(1.0)
    gc.disable()
    try:
        out = Exponential.apply(x)
        node = weakref.ref(out.node)
        del out
        assert node() is None
    finally:
        gc.enable()


def test_mark_dirty():
    x = leaf(1.0, 2.0)
    t = x * 1
    view = t[:1]
    out = Doubled.apply(t)
    assert out is t and t.tolist() == [2.0, 4.0] and view.tolist() == [2.0]
    t.sum().backward()
    assert x.grad.tolist() == [2.0, 2.0]
    with pytest.raises(RuntimeError, match="leaf"):
        Doubled.apply(leaf(1.0))


# --- indices -------------------------------------------------------------------------------------------------------------


def test_nested_lists_are_one_index_per_dimension():
    x = tg.arange(9).reshape(3, 3)
    assert x[[[0, 1], [1, 2]]].tolist() == [1, 5]
    assert x[[[0, 2]]].tolist() == [[0, 1, 2], [6, 7, 8]]
    assert x[[tg.tensor([0, 1]), tg.tensor([0, 0])]].tolist() == [0, 3]
    x[[[0, 1], [1, 2]]] = -1
    assert x.flatten().tolist() == [0, -1, 2, 3, 4, -1, 6, 7, 8]


def test_writing_to_a_part_of_an_expanded_tensor():
    x = tg.zeros(3)
    x.expand(2, 3)[0] = tg.tensor([1.0, 2.0, 3.0])
    x.expand(2, 3)[1, 2] = 9.0
    assert x.tolist() == [1.0, 2.0, 9.0]
    with pytest.raises(RuntimeError, match="clone"):
        x.expand(2, 3)[:, 0] = 5.0
    guarded = np.zeros(3)
    guarded.flags.writeable = False
    with pytest.raises(RuntimeError):
        tg.from_numpy(guarded).expand(2, 3)[0] = 1.0


@pytest.mark.parametrize("kind", [IndexError, RuntimeError])
def test_positions_out_of_range(kind):
    with pytest.raises(kind):
        tg.zeros(2).scatter_(0, tg.tensor([5]), 1.0)
    with pytest.raises(kind):
        tg.zeros(2).gather(0, tg.tensor([2]))


def test_einsum_with_lists_of_indices():
    x, y = tg.arange(6.0).reshape(2, 3), tg.arange(12.0).reshape(3, 4)
    assert tg.einsum(x, [0, 1], y, [1, 2], [0, 2]).tolist() == (x @ y).tolist()
    assert tg.einsum(x, [0, 1], y, [1, 2]).tolist() == (x @ y).tolist()
    assert tg.einsum(x, [..., 0], [0, ...]).tolist() == x.T.tolist()


# --- making tensors ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data, dtype",
    [([np.float32(1.5), 2], "float32"), ([np.float32(1.5), 2.5], "float32"), ([1.5, np.float64(2)], "float64"), ([np.float16(2), 1], "float16"),
     ([[3.0, 4.0], np.array([1.0, 2.0])], "float64"), ([np.bool_(True), 1.5], "float32"), ([tg.tensor(1.5), 2], "float32"),
     ([np.int32(1), np.int32(2)], "int32"), ([1 + 2j, 1.5], "complex64"), ([[], []], "float32"), ([True, 2], "int64")],
)  # fmt: skip
def test_dtype_of_mixed_lists(data, dtype):
    assert tg.tensor(data).dtype == getattr(tg, dtype)


def test_single_elements_in_a_list_are_numbers():
    assert tg.tensor([tg.tensor([1.0]), tg.tensor([2.0])]).tolist() == [1.0, 2.0]
    assert tg.tensor([tg.tensor([[1]]), 3]).tolist() == [1, 3]
    assert tg.tensor([[tg.tensor([1])], [tg.tensor([2])]]).shape == (2, 1)


def test_numbers_beyond_an_integer_type():
    for make in (lambda: tg.tensor(300, dtype=tg.uint8), lambda: tg.tensor([200], dtype=tg.int8), lambda: tg.full((2,), 256, dtype=tg.uint8),
                 lambda: tg.zeros(2, dtype=tg.uint8).fill_(300), lambda: tg.zeros(1, dtype=tg.int8).masked_fill(tg.tensor([True]), 128)):  # fmt: skip
        with pytest.raises(RuntimeError, match="cannot be stored"):
            make()
    assert tg.tensor(-1, dtype=tg.uint8).item() == 255 and tg.full((1,), -1, dtype=tg.uint8).item() == 255


def test_numbers_wrap_around_beside_integer_tensors():
    byte = tg.tensor([200], dtype=tg.uint8)
    assert (byte + 300).item() == 244 and (byte * -1).item() == 56 and (5 - byte).item() == 61
    assert (tg.tensor([1], dtype=tg.int8) + 1000).item() == -23
    assert byte.clone().add_(300).item() == 244


@pytest.mark.parametrize("make", [tg.zeros, tg.ones, tg.empty, tg.randn, tg.rand, tg.eye, lambda n: tg.full((n,), 1.0)])
def test_negative_sizes(make):
    with pytest.raises(RuntimeError):
        make(-1)


def test_what_cannot_become_a_tensor():
    for data in (None, {"a": 1}, [None], {1, 2}):
        with pytest.raises(RuntimeError):
            tg.tensor(data)
    with pytest.raises(RuntimeError):
        assert "a" in tg.tensor([1])
    with pytest.raises(ValueError):
        tg.cat([])
    with pytest.raises(RuntimeError, match="floating"):
        tg.norm(tg.tensor([3, 4]))


# --- printing ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "values, text",
    [([1 + 2j], "tensor([1.+2.j])"), ([1.5 - 2j, 3], "tensor([1.5000-2.j, 3.0000+0.j])"), ([100 + 2.5j, 1j], "tensor([100.+2.5000j,   0.+1.0000j])"),
     ([-0.5 - 0.25j], "tensor([-0.5000-0.2500j])")],
)  # fmt: skip
def test_complex_numbers_print_as_two_columns(values, text):
    assert str(tg.tensor(values)) == text


def test_names_of_steps():
    x, y = tg.ones(2, 3, requires_grad=True), tg.ones(3, 2)
    steps = dict(Select=x[0], Slice=x[:, 1:], Index=x[[0, 1]], Unsqueeze=x[None], View=x.reshape(-1), Mm=x @ y, Mv=x @ y[:, 0], Transpose=x.mT,
                 Addmm=tg.nn.functional.linear(x, y.T, tg.ones(2)), MseLoss=tg.nn.functional.mse_loss(x, tg.ones(2, 3)), Cat=tg.cat([x, x]))  # fmt: skip
    for name, out in steps.items():
        assert f"grad_fn=<{name}Backward0>" in repr(out), name
    assert "SumBackward1" in repr(x.sum(1)) and "SumBackward0" in repr(x.sum())


def test_results_of_linalg_have_their_full_names():
    assert str(tg.linalg.slogdet(tg.eye(2))).startswith("return_types.linalg_slogdet(\nsign=tensor(1.)")


# --- numbers -------------------------------------------------------------------------------------------------------------


def test_an_ignored_target_loses_nothing():
    loss = tg.nn.functional.cross_entropy(tg.tensor([[0.1, 0.2], [0.3, 0.4]]), tg.tensor([0, -100]), reduction="none")
    assert np.signbit(loss.numpy()).tolist() == [False, False] and loss[1].item() == 0


def test_gradient_of_eigenvectors_is_symmetric():
    p = tg.tensor([[2.0, 0.3, 0.1], [0.3, 1.0, -0.2], [0.1, -0.2, 3.0]], dtype=tg.float64, requires_grad=True)
    tg.linalg.eigh(p)[1].abs().sum().backward()
    np.testing.assert_allclose(p.grad.numpy(), p.grad.numpy().T, atol=1e-15)


def test_norm_of_no_gradients_has_the_default_type():
    assert tg.nn.utils.clip_grad_norm_([tg.ones(1, requires_grad=True)], 1.0).dtype == tg.float32


# --- what random indices and numbers found -------------------------------------------------------------------------------


def test_ints_beside_arrays_are_taken_first():
    x = tg.arange(24).reshape(2, 3, 4)
    rows = tg.tensor([0, 1])
    assert x[0, :, rows].tolist() == [[0, 1], [4, 5], [8, 9]]
    assert x[:, rows, ..., 0].tolist() == [[0, 4], [12, 16]]
    assert x[0, None, rows].shape == (1, 2, 4) and x[rows, :, [0, 1]].tolist() == [[0, 4, 8], [13, 17, 21]]
    x[0, :, rows] = tg.tensor([-1, -2])
    assert x[0].tolist() == [[-1, -2, 2, 3], [-1, -2, 6, 7], [-1, -2, 10, 11]]
    w = tg.ones(2, 3, 4, requires_grad=True)
    y = w * 1
    y[1, :, rows] = 5.0
    (y[0, :, rows] * tg.tensor([1.0, 2.0])).sum().backward(retain_graph=True)
    assert w.grad[0, 0].tolist() == [1.0, 2.0, 0.0, 0.0]
    w.grad = None
    y.sum().backward()
    assert w.grad[1, 2].tolist() == [0.0, 0.0, 1.0, 1.0]


def test_a_vector_of_one_element_stored_as_a_number():
    value = tg.tensor([[0.5]], requires_grad=True)
    x = tg.zeros(3)
    x[1] = value * 2
    x.sum().backward()
    assert x.tolist() == [0.0, 1.0, 0.0] and value.grad.tolist() == [[2.0]]


def test_negative_powers_of_whole_numbers():
    assert (tg.tensor([2, 1, -1, 3, -1, 0]) ** tg.tensor([-1, -2, -3, 2, -2, -1])).tolist() == [0, 1, -1, 9, 1, 0]
    assert (2 ** tg.tensor([-1, 2])).tolist() == [0, 4]
    with pytest.raises(RuntimeError, match="negative"):
        tg.tensor([2, 3]) ** -1


def test_bins_are_rounded_as_in_torch():
    x = tg.tensor([-1.0, -0.7, -0.4, 0.1, 0.29, 0.3, 0.7, 1.0], dtype=tg.float32)
    assert tg.histc(x, 10, -1, 1).tolist() == [1, 1, 0, 1, 0, 1, 2, 0, 1, 1]
    hist, edges = tg.histogram(x, 4)
    assert hist.tolist() == [2, 1, 3, 2] and edges.tolist() == [-1.0, -0.5, 0.0, 0.5, 1.0]
    assert tg.histogram(x).hist.shape == (100,)
    assert tg.histogram(tg.tensor(3.0), 2).bin_edges.tolist() == [2.5, 3.0, 3.5], "one value lies in the middle"
    assert tg.histogram(tg.zeros(0), 2).bin_edges.tolist() == [0.0, 0.5, 1.0]


def test_a_module_that_renames_what_it_loads():
    class Renamed(tg.nn.Module):
        def __init__(self):
            super().__init__()
            self.w = tg.nn.Parameter(tg.ones(2))

        def _load_from_state_dict(self, state_dict, prefix, *rest):
            if prefix + "old" in state_dict:
                state_dict[prefix + "w"] = state_dict.pop(prefix + "old")
            super()._load_from_state_dict(state_dict, prefix, *rest)

    model = tg.nn.Sequential(Renamed(), Renamed())
    state = {"0.old": tg.zeros(2), "1.w": tg.full((2,), 3.0)}
    assert str(model.load_state_dict(state)) == "<All keys matched successfully>"
    assert model[0].w.tolist() == [0.0, 0.0] and model[1].w.tolist() == [3.0, 3.0] and "0.old" in state


def test_the_cpu_as_a_context():
    with tg.device("cpu"):
        assert tg.ones(1).device == tg.device("cpu")


def test_a_quotient_may_be_overwritten():
    x, y = leaf(1.0, 2.0), leaf(4.0, 5.0)
    share = x / y
    share.masked_fill_(tg.tensor([True, False]), 0.0)
    share.sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), [0, 1 / 5])
    np.testing.assert_allclose(y.grad.numpy(), [0, -2 / 25])
    z = x * 1
    scaled = z.rsqrt()
    z += 1
    scaled.sum().backward()


def test_windows_are_views():
    x = leaf(1.0, 2.0, 3.0, 4.0)
    a = x * 1
    overlapping, apart = a.unfold(0, 2, 1), a.unfold(0, 2, 2)
    apart[1] = 0.0
    assert a.tolist() == [1.0, 2.0, 0.0, 0.0] and overlapping.tolist() == [[1.0, 2.0], [2.0, 0.0], [0.0, 0.0]]
    (overlapping.sum() + a.sum()).backward()
    assert x.grad.tolist() == [2.0, 3.0, 0.0, 0.0]
    with pytest.raises(RuntimeError, match="clone"):
        overlapping.mul_(2)
    turned = tg.arange(6.0).reshape(2, 3).T
    assert turned.unfold(0, 2, 1).tolist() == [[[0.0, 1.0], [3.0, 4.0]], [[1.0, 2.0], [4.0, 5.0]]]
    assert turned.unfold(1, 1, 1).shape == (3, 2, 1) and tg.zeros(0, 3).unfold(1, 2, 1).shape == (0, 2, 2)


def test_widths_when_scientific_notation_is_forced():
    try:
        tg.set_printoptions(sci_mode=True)
        assert str(tg.tensor([2.0, -1.0])) == "tensor([ 2.0000e+00, -1.0000e+00])"
        assert str(tg.tensor([0.0, 0.0])) == "tensor([0., 0.])"
        tg.set_printoptions(sci_mode=False)
        assert str(tg.tensor([1e-6, 2.5])) == "tensor([0.0000, 2.5000])"
    finally:
        tg.set_printoptions(profile="default")
    assert str(tg.tensor([complex(-0.5, -0.0), complex(1, float("nan"))])) == "tensor([-0.5000-0.j,  1.0000+nanj])"


def test_axis_beside_dim():
    m = tg.arange(6.0).view(2, 3)
    assert tg.cat((m, m), axis=1).shape == (2, 6) and tg.stack([m, m], axis=2).shape == (2, 3, 2)
    assert tg.swapaxes(m, axis0=0, axis1=1).shape == (3, 2)


def test_an_ensemble_on_a_model_without_numbers_of_its_own():
    models = [tg.nn.Linear(2, 1) for _ in range(3)]
    for i, model in enumerate(models):
        tg.nn.init.constant_(model.weight, i), tg.nn.init.zeros_(model.bias)
    params, buffers = tg.func.stack_module_state(models)
    base = models[0].to("meta")
    out = tg.func.vmap(lambda p, b, x: tg.func.functional_call(base, (p, b), (x,)), in_dims=(0, 0, None))(params, buffers, tg.ones(4, 2))
    assert out.shape == (3, 4, 1) and out[:, 0, 0].tolist() == [0.0, 2.0, 4.0]


def test_results_that_view_takes_from_permuted_memory():
    x = tg.arange(120.0).view(5, 4, 6).permute(2, 0, 1)
    results = [tg.cat([x, x], 1), tg.stack([x, x], 1), x.softmax(-1), x.log_softmax(0), x.sum(1), x.mean(-1, keepdim=True), x.amax(2), x.cumsum(1),
               tg.nn.functional.layer_norm(x, (4,)), tg.nn.functional.group_norm(x, 1), tg.nn.BatchNorm1d(5)(x),
               tg.einsum("bqd,bkd->bqk", x, x), tg.einsum("bqk,bkd->bqd", x @ x.mT, x)]  # fmt: skip
    for out in results:
        assert out.is_contiguous() and out.view(-1).shape == (out.numel(),)
    assert (x + x).stride() == x.stride()
    with pytest.raises(RuntimeError, match="view"):
        x.view(-1)


def test_the_slope_of_straight_pieces_is_differentiable_itself():
    functional = tg.nn.functional
    for f in (functional.relu, functional.leaky_relu, functional.relu6, functional.hardtanh, lambda x: functional.threshold(x, 0.5, 0.0)):
        x = tg.tensor([0.25, -2.0, 3.0], requires_grad=True)
        weight, bias = tg.ones(3, requires_grad=True), tg.zeros(3, requires_grad=True)
        (g,) = grad(f(x * weight + bias).sum(), x, create_graph=True)
        assert grad(g.sum(), x, retain_graph=True)[0].tolist() == [0.0, 0.0, 0.0]
        (g**2).sum().backward()
        assert bias.grad.tolist() == [0.0, 0.0, 0.0] and weight.grad.tolist() == (2 * g**2).tolist()


# --- what programs import before they compute --------------------------------------------------------------------------------


def test_switches_are_modules():
    import tinygrad_edu.backends.cudnn as cudnn

    assert cudnn is tg.backends.cudnn and not cudnn.is_available()
    with tg.backends.cudnn.flags(benchmark=True, deterministic=False):
        assert cudnn.benchmark and not cudnn.deterministic
    assert not cudnn.benchmark and cudnn.deterministic


def test_timers():
    from tinygrad_edu.utils.benchmark import Compare, Language, Measurement, Timer

    x = tg.ones(3)
    found = Timer("y = x * 2\n    ", setup="\n        k = 2\n        j = 3\n", globals=dict(x=x), label="double").blocked_autorange(min_run_time=1e-4)
    assert found.number_per_run >= 1 and found.median > 0 and found.mean > 0 and found.task_spec.label == "double"
    assert Timer("torch.ones(2)").timeit(2).number_per_run == 2  # the name is known there, as in PyTorch
    three = Measurement(2, [2.0, 4.0, 6.0], label="step", sub_label="8", description="ours")
    assert (three.mean, three.median, three.iqr) == (2.0, 2.0, 1.0) and "2.00 s" in repr(three)
    table = Compare([three])
    table.extend_results([Measurement(1, [5e-3], label="step", sub_label="16", description="theirs")])
    assert str(table).splitlines() == ["step (ms)", "                ours      theirs", "8            2000.00            ", "16                          5.00"]
    with pytest.raises(ValueError, match="Python"):
        Timer("x;", language=Language.CPP)


def test_processes(monkeypatch):
    from tinygrad_edu import multiprocessing

    started = []

    class Process:
        def __init__(self, target, args, daemon):
            self.target, self.args, self.exitcode = target, args, None

        def start(self):
            self.exitcode = int(self.target(*self.args) == "bad")

        def join(self):
            started.append(self.args)

    class Context:
        pass

    Context.Process = Process
    monkeypatch.setattr(multiprocessing, "get_context", lambda method: Context)
    multiprocessing.spawn(lambda i, word: word, args=("good",), nprocs=2)
    assert started == [(0, "good"), (1, "good")]
    with pytest.raises(RuntimeError, match="these ended with an error"):
        multiprocessing.spawn(lambda i: "bad")
    assert multiprocessing.get_sharing_strategy() in multiprocessing.get_all_sharing_strategies() and multiprocessing.Pool


def test_names_of_own_functions():
    class PairOf(tg.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2, x * 3

        @staticmethod
        def backward(ctx, g, h):
            return g * 2 + h * 3

    assert [repr(y) for y in PairOf.apply(tg.ones(1, requires_grad=True))] == ["tensor([2.], grad_fn=<PairOfBackward>)", "tensor([3.], grad_fn=<PairOfBackward>)"]


def test_choice_among_nothing():
    for weights in (tg.zeros(0), tg.zeros(3, 0)):
        with pytest.raises(RuntimeError, match="multinomial"):
            tg.multinomial(weights, 1)


def test_empty_places_in_a_list_of_modules():
    nn = tg.nn
    layers = nn.ModuleList([nn.Linear(1, 1), None, nn.ReLU()])
    assert layers[1] is None and len(layers) == 3 and list(layers.state_dict()) == ["0.weight", "0.bias"]
    assert repr(layers).splitlines()[2] == "  (1): None" and [name for name, _ in layers.named_children()] == ["0", "2"]
    layers.append(None)
    layers[0] = None
    layers[1] = nn.Tanh()
    del layers[0]
    layers.insert(0, None)
    assert [type(layer).__name__ for layer in layers] == ["NoneType", "Tanh", "ReLU", "NoneType"] and list(layers.parameters()) == []
    with pytest.raises(TypeError, match="expected modules, got NoneType"):
        nn.Sequential(nn.ReLU(), None)


def test_storage():
    x = tg.tensor([[4.0, 1.0], [5.0, 3.0]])
    storage = x.t().storage()
    storage[1] = 7.0
    assert x.tolist() == [[4.0, 7.0], [5.0, 3.0]] and storage.tolist() == list(storage) == [4.0, 7.0, 5.0, 3.0]
    assert repr(storage) == " 4.0\n 7.0\n 5.0\n 3.0\n[Storage(dtype=float32, device=cpu) of size 4]"
    assert x.fill_(0).storage().fill_(2).dtype == tg.float32 and x.tolist() == [[2.0, 2.0], [2.0, 2.0]]


def test_version():
    assert tg.version.__version__ == tg.__version__ and tg.version.cuda is None


def test_einops():
    einops = pytest.importorskip("einops")
    from tinygrad_edu.einops import EinMix, Rearrange, Reduce, rearrange, repeat

    x = tg.arange(24.0).view(2, 3, 4).requires_grad_()
    assert rearrange(x, "a b c -> c (b a)").tolist() == x.permute(2, 1, 0).reshape(4, 6).tolist()
    assert einops.reduce(x, "a b c -> b", "max").tolist() == [15.0, 19.0, 23.0] and repeat(x, "a b c -> a b k c", k=2).shape == (2, 3, 2, 4)
    mixed = EinMix("a w -> a q", weight_shape="w q", bias_shape="q", w=3, q=5)
    model = tg.nn.Sequential(Rearrange("a b c -> a (b c)"), tg.nn.Linear(12, 6), Rearrange("a (h w) -> a h w", h=2), Reduce("a h w -> a w", "mean"), mixed)
    model(x).sum().backward()
    assert x.grad.shape == x.shape and mixed.weight.grad.shape == (3, 5) and mixed.bias.grad.sum().item() == 10.0


def test_numpy_functions_without_an_operator():
    x = tg.tensor([[1.0, 2.0], [4.0, 8.0]])
    a, b = np.broadcast_arrays(x, np.ones(2))
    assert type(a) is np.ndarray and a.tolist() == x.tolist() and b.shape == (2, 2)
    assert np.histogram(x, bins=[0, 3, 9])[0].tolist() == [2, 2] and np.broadcast_arrays(*[x, 1.0])[1].shape == (2, 2)
    with pytest.raises(TypeError, match="np.broadcast_arrays has no operator"):
        np.broadcast_arrays(x.requires_grad_(), 1.0)


def test_names_of_recurrent_weights():
    rnn = tg.nn.GRU(2, 3, 2, bidirectional=True)
    assert rnn._flat_weights_names == [name for name, _ in rnn.named_parameters()] == list(rnn._parameters)
    assert [id(w) for w in rnn._flat_weights] == [id(w) for w in rnn.parameters()]


def test_parameter_without_a_shape_says_so():
    assert repr(tg.nn.LazyLinear(3).weight) == "<UninitializedParameter>"


def test_lazy_layers_take_the_state_of_complete_ones():
    def make():
        return tg.nn.Sequential(tg.nn.LazyConv2d(4, 2, groups=2), tg.nn.LazyBatchNorm2d(), tg.nn.Flatten(), tg.nn.LazyLinear(2, bias=False))

    x = tg.arange(36.0).reshape(2, 2, 3, 3)
    model, twin, wide = make(), make(), make().double()
    model(x)
    assert twin[3].has_uninitialized_params() and str(twin[0].weight) == "<UninitializedParameter>"
    twin.load_state_dict(model.state_dict())
    state = tg.get_rng_state()
    assert not twin[3].has_uninitialized_params() and tg.equal(twin.eval()(x), model.eval()(x))
    assert tg.equal(state, tg.get_rng_state()) and type(twin[3]) is tg.nn.Linear and twin[3].in_features == 16
    assert wide(x.double()).dtype == tg.float64 and wide[1].running_mean.dtype == tg.float64


# --- what PyTorch's own tests found --------------------------------------------------------------------------------------


Z = tg.tensor([[1 + 2j, 3 - 1j]])


def test_constant_complex_tensors_are_conjugated():
    for turned in (Z.mH, Z.H, Z.adjoint(), tg.adjoint(Z), Z.conj().T, tg.conj_physical(Z).T):
        assert turned.tolist() == [[1 - 2j], [3 + 1j]]
    assert Z.clone().conj_physical_().tolist() == [[1 - 2j, 3 + 1j]]
    assert tg.vdot(Z[0], Z[0]).item() == tg.linalg.vecdot(Z, Z)[0].item() == 15
    assert tg.angle(Z).allclose(tg.atan2(Z.imag, Z.real)) and not tg.isreal(Z).any()


def test_lengths_of_complex_vectors_are_real():
    length = 15**0.5
    found = (Z.norm(), tg.linalg.norm(Z), tg.linalg.vector_norm(Z), tg.dist(Z, Z * 2), tg.nn.functional.pairwise_distance(Z, Z * 0, eps=0))
    assert all(abs(x.item() - length) < 1e-6 and x.dtype == tg.float32 for x in found)
    assert tg.nn.functional.normalize(Z).allclose(Z / length)
    assert tg.cov(tg.tensor([1j, -1j])).item() == 2
    assert tg.float_power(Z, 2).dtype == tg.complex128
    slope = tg.gradient(tg.tensor([0j, 1j, 2j]))[0]
    assert slope.tolist() == [1j, 1j, 1j]
    with pytest.raises(RuntimeError, match="logsumexp"):
        tg.logsumexp(Z, 0)


def test_the_absolute_value_of_a_complex_zero_has_gradient_0():
    x = tg.zeros(4, requires_grad=True)
    tg.fft.rfft(x).abs().sum().backward()
    assert x.grad.tolist() == [0, 0, 0, 0]
    z = tg.tensor([0, 1j], requires_grad=True)
    tg.linalg.norm(z).backward()
    assert z.grad.tolist() == [0, 1j]


def test_the_parts_of_a_complex_tensor_are_views():
    z = Z.clone()
    z.real.fill_(7)
    z.imag += 1
    assert z.tolist() == [[7 + 3j, 7 + 0j]]
    z.imag = 0
    assert z.tolist() == [[7, 7]]
    assert tg.view_as_real(tg.tensor(1 + 2j)).tolist() == [1, 2]


def test_real_values_written_into_a_complex_tensor_keep_their_gradient():
    x = leaf(1.0, 2.0)
    z = tg.zeros(2, dtype=tg.complex128)
    z[:] = x
    z.abs().square().sum().backward()
    assert x.grad.tolist() == [2, 4]


def test_an_exponent_of_a_python_number_keeps_its_type():
    b = tg.tensor([0.0, 1.0], requires_grad=True)
    (0**b).sum().backward()
    assert b.grad.dtype == tg.float32


def test_a_tensor_of_bytes_is_a_mask():
    with pytest.warns(UserWarning, match="mask"):
        assert tg.arange(5)[tg.tensor([1, 0, 1, 0, 1], dtype=tg.uint8)].tolist() == [0, 2, 4]


def test_generators_run_without_gradients():
    @tg.no_grad()
    def steps():
        got = yield tg.is_grad_enabled()
        try:
            yield tg.is_grad_enabled(), got
        except KeyError:
            yield tg.is_grad_enabled()
        return 5

    def outer():
        return (yield from steps())

    running = outer()
    assert next(running) is False and tg.is_grad_enabled()
    assert running.send(3) == (False, 3) and tg.is_grad_enabled()
    assert running.throw(KeyError()) is False and tg.is_grad_enabled()
    with pytest.raises(StopIteration) as end:
        next(running)
    assert end.value.value == 5


def test_a_function_may_return_more_than_tensors():
    class Counted(Function):
        @staticmethod
        def forward(ctx, x):
            return 3, x * 2, None

        @staticmethod
        def backward(ctx, nothing, g, no):
            assert nothing is None and no is None
            return g * 2

    x = leaf(1.0)
    count, out, nothing = Counted.apply(x)
    out.sum().backward()
    assert count == 3 and nothing is None and x.grad.tolist() == [2]


def test_backward_hooks_see_a_call_once_and_all_its_results():
    seen = []
    loss = tg.nn.MSELoss()
    loss.register_full_backward_hook(lambda module, into, out: seen.append(1))
    x = leaf(1.0)
    (first,) = grad(loss(x, leaf(3.0)), x, create_graph=True)
    assert grad(first.sum(), x)[0].item() == 2 and seen == [1]

    class Pair(tg.nn.Module):
        def forward(self, x):
            return x * 2, "text"

    pair = Pair()
    pair.register_full_backward_hook(lambda module, into, out: seen.append([g is None for g in out]))
    pair(x)[0].sum().backward()
    assert seen == [1, [False, True]]


def test_zeros_made_for_a_missing_gradient_can_be_derived_again():
    x, a = leaf(0.5), leaf(1.0)
    (first,) = grad((x * a).sum(), x, create_graph=True)
    (second,) = grad(first.sum(), x, create_graph=True, materialize_grads=True)
    assert grad(second.sum(), x, materialize_grads=True)[0].tolist() == [0]


def test_integers_are_stored_in_other_integers():
    x = tg.tensor([200], dtype=tg.uint8)
    x += tg.tensor([100], dtype=tg.int64)
    assert x.tolist() == [44]
    assert tg.zeros(2, dtype=tg.int64).masked_fill_(tg.tensor([True, False]), 1.9).tolist() == [1, 0]
    assert tg.zeros(3).index_copy_(0, tg.tensor([1]), tg.tensor(5.0)).tolist() == [0, 5, 0]


def test_the_diagonal_of_a_tall_matrix_can_begin_again():
    assert tg.zeros(6, 2).fill_diagonal_(1, wrap=True).tolist() == [[1, 0], [0, 1], [0, 0], [1, 0], [0, 1], [0, 0]]


def test_empty_batches_pass_a_batch_norm():
    layer = tg.nn.BatchNorm1d(3)
    x = tg.zeros(0, 3, requires_grad=True)
    layer(x).sum().backward()
    assert layer.running_var.tolist() == [1, 1, 1] and layer.weight.grad.tolist() == [0, 0, 0] and x.grad.shape == (0, 3)


def test_a_copy_of_a_constant_has_its_gradient_too():
    import copy

    a = tg.zeros(2)
    a.grad = tg.ones(2)
    assert copy.deepcopy(a).grad.tolist() == [1, 1]


def test_one_variance_for_a_whole_batch():
    x = tg.arange(6.0).reshape(3, 2)
    one = tg.nn.functional.gaussian_nll_loss(x, x * 0, tg.tensor([[1.0, 4.0]]))
    assert one.allclose(tg.nn.functional.gaussian_nll_loss(x, x * 0, tg.tensor([[1.0, 4.0]] * 3)))


INTEGERS = tg.arange(1, 4)


@pytest.mark.parametrize(
    ("call", "kind"),
    [
        (lambda: tg.add(INTEGERS, INTEGERS, alpha=1.5), RuntimeError),
        (lambda: tg.add(INTEGERS, INTEGERS, alpha=True), RuntimeError),
        (lambda: tg.addcdiv(INTEGERS, INTEGERS, INTEGERS), RuntimeError),
        (lambda: tg.ones(5).chunk(0), RuntimeError),
        (lambda: tg.tensor_split(tg.ones(5), 0), RuntimeError),
        (lambda: tg.tensor_split(tg.tensor(1.0), 2), RuntimeError),
        (lambda: tg.hsplit(tg.ones(2, 5), 2), RuntimeError),
        (lambda: tg.vsplit(tg.ones(5), 5), RuntimeError),
        (lambda: tg.zeros(2, 0).amax(1), IndexError),
        (lambda: tg.zeros(2, 0).amin((0, 1)), IndexError),
        (lambda: tg.zeros(2, 0).kthvalue(1), IndexError),
        (lambda: tg.bincount(INTEGERS, minlength=-1), RuntimeError),
        (lambda: tg.histc(tg.ones(2), bins=-1), RuntimeError),
        (lambda: tg.ones(3)[0.0:1], TypeError),
        (lambda: tg.normal(tg.zeros(2, 3), tg.ones(4)), RuntimeError),
        (lambda: tg.zeros(3).fill_diagonal_(1), RuntimeError),
        (lambda: tg.take_along_dim(tg.ones(2, 2), tg.tensor([0]), 0), RuntimeError),
        (lambda: tg.nn.utils.rnn.pad_sequence(5), RuntimeError),
        (lambda: tg.nn.init.calculate_gain("leaky_relu", "0.1"), ValueError),
        (lambda: tg.nn.LSTM(2.0, 3), TypeError),
        (lambda: tg.nn.GRU(2, 3, batch_first=1), TypeError),
        (lambda: tg.nn.RNNCell(2, 3)(tg.ones(1, 2), tg.ones(1, 1, 3)), ValueError),
        (lambda: tg.nn.CrossEntropyLoss(ignore_index=0)(tg.ones(2, 3), tg.ones(2, 3)), RuntimeError),
    ],
)
def test_errors_are_of_the_same_kind(call, kind):
    with pytest.raises(kind):
        call()


def test_downloads(tmp_path, monkeypatch):
    from tinygrad_edu import hub
    from tinygrad_edu.utils import model_zoo

    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(hub, "chosen", [])
    tg.save({"w": tg.ones(2)}, tmp_path / "weights.pt")
    (tmp_path / "pickled.pth").write_bytes(b"\x80\x02}q\x00.")
    address = (tmp_path / "weights.pt").as_uri()
    assert hub.load_state_dict_from_url(address)["w"].tolist() == [1.0, 1.0]
    (tmp_path / "weights.pt").unlink()  # the copy is read from now on
    assert model_zoo.load_url(address)["w"].tolist() == [1.0, 1.0]
    assert (tmp_path / "home/hub/checkpoints/weights.pt").exists()
    with pytest.raises(RuntimeError, match="not one that torch.save wrote"):
        hub.load_state_dict_from_url((tmp_path / "pickled.pth").as_uri(), model_dir=tmp_path / "models")
    with pytest.raises(OSError, match="missing"):
        hub.download_url_to_file((tmp_path / "missing").as_uri(), tmp_path / "copy")
    assert not list(tmp_path.glob("copy*"))
    hub.set_dir(tmp_path / "elsewhere")
    assert hub.get_dir() == str(tmp_path / "elsewhere")
    with pytest.raises(RuntimeError, match="import PyTorch"):
        hub.load("pytorch/vision", "resnet18")


def test_resize_within_the_memory_there_is():
    x = tg.arange(6.0)
    y = x.view(2, 3).resize_(3, 2)
    y[0, 0] = 9
    assert x[0] == 9 and y.resize_(2, 2).tolist() == [[9, 1], [2, 3]] and y.resize_(3, 2).tolist() == [[9, 1], [2, 3], [4, 5]]
    assert x.view(2, 3).t().resize_(2, 3).tolist() == [[9, 1, 2], [3, 4, 5]]
    assert x[1:].resize_(2, 2).tolist() == [[1, 2], [3, 4]] and x[::2].resize_(2).tolist() == [9, 1]
    with pytest.raises(RuntimeError, match="does not fit"):
        x[1:].resize_(6)
    assert tg.ones(2).resize_(3).tolist() == [1, 1, 0]


def test_sparse_spellings_of_dense_tensors():
    x = tg.tensor([[0.0, 2.0], [3.0, 0.0]], requires_grad=True)
    sparse = (2 * x).to_sparse().coalesce()
    assert sparse.indices().tolist() == [[0, 1], [1, 0]] and sparse._nnz() == 2 and sparse.to_dense().tolist() == [[0, 4], [6, 0]]
    (sparse.values() * tg.tensor([1.0, 10.0])).sum().backward()
    assert x.grad.tolist() == [[0, 2], [20, 0]] and sparse.is_coalesced()
    assert tg.ones(2, 2).sparse_mask(sparse).tolist() == [[0, 1], [1, 0]]


def test_former_and_further_names():
    tg.testing.assert_allclose(tg.tensor([1.0, tg.nan]), np.array([1.0, np.nan]))
    with pytest.raises(AssertionError):
        tg.testing.assert_allclose(tg.ones(1), tg.zeros(1))
    from tinygrad_edu import functional

    assert functional.einsum is tg.einsum and tg.backends.cudnn.version() is None
    with tg.compiler.set_stance("force_eager"):
        assert tg.compiler.set_stance("default")(len) is len


def test_the_slope_of_a_binomial_at_even_odds():
    logits = leaf(0.0)
    tg.distributions.Binomial(10, logits=logits).log_prob(tg.tensor([10.0], dtype=tg.float64)).sum().backward()
    assert logits.grad.tolist() == [5]


def test_distributions_at_their_edges():
    d = tg.distributions
    sure = d.ContinuousBernoulli(logits=tg.tensor([1e10, 100.0, -100.0])).log_prob(tg.tensor([1.0, 1.0, 0.5]))
    assert sure.allclose(tg.tensor([2.7690, 2.7690, -47.2310]), atol=1e-3)
    found = [d.kl_divergence(d.Bernoulli(p), d.Bernoulli(q)).item() for p, q in ((0.0, 0.5), (0.5, 0.0), (1.0, 0.0), (1.0, 1.0))]
    assert found[1:] == [float("inf"), float("inf"), 0] and abs(found[0] - 0.6931) < 1e-4
    with pytest.raises(ValueError, match="Geometric"):
        d.Geometric(0)
    with pytest.raises(RuntimeError, match="do not fit together"):
        d.Normal(tg.zeros(2), tg.ones(3))


def test_types_of_results_as_the_original_has_them():
    assert tg.tensor([True]).clamp(min=0).dtype == tg.int64
    assert tg.cat([tg.ones(2), tg.tensor([], dtype=tg.float64)]).dtype == tg.float64
    assert tg.cat([tg.ones(2), tg.tensor([], dtype=tg.int64)]).dtype == tg.float32
    assert tg.nansum(tg.tensor([100, 100]), dtype=tg.int8).item() == -56
    assert tg.unique(tg.tensor([float("nan"), 1.0, float("nan")])).shape == (3,)
    assert tg.randint(high=5, size=(3,)).shape == (3,)


def test_the_variance_of_complex_numbers():
    z = leaf(0.0, 3.0) + 1j * leaf(1.0, 5.0)
    assert z.var().item() == 4.5 + 8 and abs(tg.std(z, correction=0).item() - 2.5) < 1e-12


def test_a_complex_window_is_undone():
    x = tg.arange(12.0, dtype=tg.float64) + 1j
    window = tg.tensor([1, 1j, 1 + 1j, 2], dtype=tg.complex128)
    spectrum = tg.stft(x, 4, 1, window=window, onesided=False, return_complex=True)
    assert tg.istft(spectrum, 4, 1, window=window, onesided=False, return_complex=True, length=12).allclose(x)


@pytest.mark.parametrize(
    ("call", "kind"),
    [
        (lambda: tg.ones(3).mT, RuntimeError),
        (lambda: tg.ones(2, 2, 2).H, RuntimeError),
        (lambda: tg.ones(3).flip(), TypeError),
        (lambda: tg.fliplr(tg.ones(3)), RuntimeError),
        (lambda: tg.fft.fft2(tg.ones(2, 3), dim=(0, 0)), RuntimeError),
        (lambda: tg.fft.ihfft(Z), RuntimeError),
        (lambda: tg.func.jacrev(lambda x: x, argnums=(0, 0))(tg.ones(2)), RuntimeError),
        (lambda: tg.func.grad(lambda x: x.sum(), argnums=1.0)(tg.ones(2)), RuntimeError),
        (lambda: tg.func.jacfwd(lambda x: None)(tg.ones(2)), RuntimeError),
        (lambda: tg.func.jacrev(lambda x: x, chunk_size=0)(tg.ones(2)), ValueError),
        (lambda: tg.func.jvp(lambda x: x, (tg.ones(2),), (1.0,)), RuntimeError),
        (lambda: tg.nn.functional.embedding_bag(tg.tensor([[9]]), tg.ones(2, 3)), RuntimeError),
    ],
)
def test_other_errors_are_of_the_same_kind(call, kind):
    with pytest.raises(kind):
        call()


def test_old_constructors_with_a_device():
    assert tg.FloatTensor([1, 2], device=tg.device("cpu")).tolist() == [1, 2]
    with pytest.raises(RuntimeError, match="CPU"):
        tg.LongTensor([1, 2], device="cuda")


def test_from_numpy_of_what_numpy_made_of_a_tensor():
    x = tg.tensor([3.0, 1.0], requires_grad=True)
    assert tg.from_numpy(np.sort(x.detach())).tolist() == [1, 3] and not tg.from_numpy(np.sort(x)).requires_grad


def test_modules_may_save_and_load_what_they_like():
    class Shifted(tg.nn.Module):
        def __init__(self):
            super().__init__()
            self.param = tg.nn.Parameter(tg.ones(1))
            self.sub = tg.nn.Linear(2, 2)

        def _save_to_state_dict(self, destination, prefix, keep_vars):
            destination[prefix + "shifted"] = self.param.data + 1

        def _load_from_state_dict(self, state_dict, prefix, *rest):
            self.param.data = state_dict[prefix + "shifted"] - 1

    model, twin = tg.nn.Sequential(Shifted()), tg.nn.Sequential(Shifted())
    model[0].param.data += 4
    twin.load_state_dict(model.state_dict())
    assert twin[0].param.item() == 5 and tg.equal(twin[0].sub.weight, model[0].sub.weight)
    with pytest.raises(RuntimeError, match="unexpected key '0.sub.other'"):
        twin.load_state_dict({**model.state_dict(), "0.sub.other": tg.ones(1)})


def test_names_of_parameters_from_a_plain_dict_are_sorted():
    parameters = tg.nn.ParameterDict({"b": tg.ones(1), "a": tg.ones(1)})
    parameters |= tg.nn.ParameterDict({"0": tg.ones(1)})
    assert list(parameters) == ["a", "b", "0"] == list(parameters.copy())


def test_a_prefix_is_taken_from_the_keys_of_a_state():
    from tinygrad_edu.nn.modules.utils import consume_prefix_in_state_dict_if_present

    state = {"module.weight": 1, "bias": 2}
    consume_prefix_in_state_dict_if_present(state, "module.")
    assert state == {"weight": 1, "bias": 2}


def test_cells_may_be_empty():
    assert tg.nn.RNNCell(3, 0)(tg.ones(2, 3)).shape == (2, 0)


LOGS = tg.zeros(5, 2, 4).log_softmax(2)


@pytest.mark.parametrize(
    ("call", "kind"),
    [
        (lambda: tg.nn.functional.ctc_loss(LOGS, tg.ones(2, 3, dtype=tg.int64), [5, 5], [4, 2]), RuntimeError),
        (lambda: tg.nn.functional.ctc_loss(LOGS, tg.ones(3, dtype=tg.int64), [5, 5], [3, 2]), RuntimeError),
        (lambda: tg.nn.functional.group_norm(tg.zeros(1, 2), 2), ValueError),
        (lambda: tg.nn.functional.cosine_embedding_loss(tg.zeros(2, 3), tg.zeros(2, 3), tg.tensor(1.0)), RuntimeError),
        (lambda: tg.nn.LSTM(3, 4)(tg.zeros(0, 2, 3)), RuntimeError),
        (lambda: tg.nn.RNN(3, 4, proj_size=2), ValueError),
        (lambda: tg.nn.PixelShuffle(0)(tg.zeros(1, 4, 2, 2)), RuntimeError),
        (lambda: tg.nn.Sequential(tg.nn.ReLU()).insert(5, tg.nn.ReLU()), IndexError),
    ],
)
def test_layers_refuse_what_does_not_fit(call, kind):
    with pytest.raises(kind):
        call()


def test_a_parameter_twice_in_a_group_is_updated_twice():
    p = tg.nn.Parameter(tg.tensor([1.0]))
    with pytest.warns(UserWarning, match="more than once in a group"):
        optimizer = tg.optim.SGD([p, p], lr=0.1)
    p.grad = tg.tensor([2.0])
    optimizer.step()
    assert p.item() == pytest.approx(1 - 2 * 0.1 * 2)
    with pytest.raises(ValueError, match="more than one group"):
        optimizer.add_param_group({"params": [p]})


def test_the_type_of_tensors_stands_for_the_default():
    assert tg.tensor([1, 2]).type(tg.Tensor).dtype == tg.float32


def test_factories_fill_the_tensor_they_are_given():
    empty = tg.empty(0, dtype=tg.float64)
    assert tg.arange(3, out=empty) is empty and empty.tolist() == [0, 1, 2]
    for make in (lambda out: tg.ones(2, out=out), lambda out: tg.linspace(1, 1, 2, out=out), lambda out: tg.full((2,), 1, out=out)):
        out = tg.zeros(2, dtype=tg.float64)
        assert make(out) is out and out.tolist() == [1, 1]
    assert tg.eye(2, out=tg.empty(0)).tolist() == [[1, 0], [0, 1]] and tg.rand(2, 3, out=tg.empty(0)).shape == (2, 3)
    assert tg.randperm(1, out=tg.empty(0, dtype=tg.int64)).tolist() == [0]


def test_asarray_copies_when_told_to():
    x = leaf(1.0)
    assert tg.asarray(x * 2).requires_grad is False and tg.asarray(x * 2, requires_grad=True).grad_fn is not None
    a = np.ones(2)
    assert np.shares_memory(tg.asarray(a).numpy(), a) and not np.shares_memory(tg.asarray(a, copy=True).numpy(), a)
    assert tg.asarray([1.0, 2.0], requires_grad=True).is_leaf
    with pytest.raises(ValueError, match="copy"):
        tg.asarray([1, 2], copy=False)


def test_grids_want_vectors():
    for wrong in ((), (tg.ones(2, 2),), (tg.ones(2), tg.arange(2))):
        with pytest.raises(RuntimeError, match="meshgrid"):
            tg.meshgrid(*wrong, indexing="ij")
    with pytest.raises(RuntimeError, match="indexing"):
        tg.meshgrid(tg.ones(2), indexing="ji")


def test_pickled_results_are_leaves():
    y = pickle.loads(pickle.dumps(tg.ones(2, requires_grad=True) * 2))
    assert y.tolist() == [2, 2] and y.requires_grad and y.is_leaf


def test_volatile_variables():
    with pytest.warns(UserWarning, match="no_grad"):
        assert not tg.autograd.Variable(tg.ones(2), volatile=True).requires_grad
    with pytest.warns(UserWarning), pytest.raises(ValueError, match="volatile"):
        tg.autograd.Variable(tg.ones(2), requires_grad=True, volatile=True)


def test_vmap_answers_for_generators_of_ones_own():
    def drawn(randomness, generator):
        return tg.func.vmap(lambda x: tg.rand(3, generator=generator), randomness=randomness)(tg.zeros(4))

    same = drawn("same", tg.Generator().manual_seed(0))
    assert tg.equal(same, same[:1].expand(4, 3)) and tg.equal(same[0], tg.rand(3, generator=tg.Generator().manual_seed(0)))
    assert len(tg.unique(drawn("different", tg.Generator()))) == 12
    with pytest.raises(RuntimeError, match="random numbers"):
        drawn("error", tg.Generator())
    nested = tg.func.vmap(lambda x: drawn("different", None), randomness="same")(tg.zeros(2))
    assert tg.equal(nested[0], nested[1])


def test_quotients_are_rounded_down_as_whole_divisions_are():
    inf = float("inf")
    x, y = leaf(1.0, 1.0, -1.0, 7.0), tg.tensor([0.1, -inf, inf, 2.0], dtype=tg.float64)
    out = tg.div(x, y, rounding_mode="floor")
    assert out.tolist() == [9, -1, -1, 3] == (x // y).tolist()
    out.sum().backward()
    assert x.grad.tolist() == [0, 0, 0, 0]


def test_logarithms_of_mixed_types_are_taken_in_the_wider_one():
    x, y = tg.tensor([3.0], dtype=tg.float64), tg.tensor([7.7])
    assert tg.xlogy(x, y).item() == 3 * np.log(np.float64(np.float32(7.7)))
    assert tg.special.xlog1py(x, y).item() == 3 * np.log1p(np.float64(np.float32(7.7)))
    assert tg.xlogy(2, tg.tensor([1.0])).dtype == tg.float32 == tg.xlogy(tg.arange(2), tg.arange(2)).dtype


# --- pieces that are straight, infinities, and what is not a number --------------------------------------------------------

F = tg.nn.functional
STRAIGHT = dict(
    prelu=lambda x: F.prelu(x, tg.tensor([0.25], dtype=tg.float64)), leaky=F.leaky_relu, relu=F.relu, hardshrink=F.hardshrink,
    softshrink=F.softshrink, threshold=lambda x: F.threshold(x, 0.1, 0.5), max_pool1d=lambda x: F.max_pool1d(x, 2),
    max_pool2d=lambda x: F.max_pool2d(x[None], 2), max_pool3d=lambda x: F.max_pool3d(x[None], (1, 2, 2), stride=1),
    indices=lambda x: F.max_pool2d(x[None], 2, return_indices=True)[0], adaptive=lambda x: F.adaptive_max_pool1d(x, 3),
    uneven=lambda x: F.adaptive_max_pool2d(x[None], (3, 4)),
    fractional=lambda x: F.fractional_max_pool2d(x[None], 2, 2, _random_samples=tg.full((1, 3, 2), 0.3)),
    unpool=lambda x: F.max_unpool1d(*F.max_pool1d(x, 2, return_indices=True), 2),
)  # fmt: skip


@pytest.mark.parametrize("name", STRAIGHT)
def test_straight_pieces_have_second_derivatives(name):
    x = tg.tensor(np.random.default_rng(0).permutation(48).reshape(3, 4, 4) / 12 - 2.01, requires_grad=True)
    out = STRAIGHT[name](x)
    weight = tg.tensor(np.random.default_rng(1).standard_normal(out.shape), requires_grad=True)
    (g,) = tg.autograd.grad((out * weight).sum(), x, create_graph=True)
    assert (tg.autograd.grad((g * g).sum(), weight, retain_graph=True)[0].detach() != 0).any()
    (second,) = tg.autograd.grad(g.sum(), x)
    assert (second == 0).all()
    assert tg.autograd.gradgradcheck(lambda x: STRAIGHT[name](x), x)


def test_a_gradient_penalty_through_a_critic():
    """WGAN-GP (Gulrajani et al. 2017): the penalty's gradient for every weight against finite differences."""
    tg.manual_seed(0)
    critic = tg.nn.Sequential(tg.nn.Conv2d(1, 2, 3), tg.nn.LeakyReLU(0.2), tg.nn.MaxPool2d(2), tg.nn.Conv2d(2, 2, 2), tg.nn.PReLU(),
                              tg.nn.AdaptiveMaxPool2d(1), tg.nn.Flatten(), tg.nn.Linear(2, 1)).double()  # fmt: skip
    x = tg.randn(2, 1, 8, 8, dtype=tg.float64).requires_grad_()

    def penalty():
        (g,) = tg.autograd.grad(critic(x).sum(), x, create_graph=True)
        return ((g.flatten(1).norm(2, dim=1) - 1) ** 2).mean()

    penalty().backward()
    for name, p in critic.named_parameters():
        if p.grad is None or "bias" in name:  # no bias moves the slopes
            continue
        place = np.unravel_index(np.abs(p.grad.numpy()).argmax(), p.shape)
        value, ends = p.array[place], []
        for step in (1e-6, -1e-6):
            with tg.no_grad():
                p[place] = value + step
            ends.append(penalty().item())
        with tg.no_grad():
            p[place] = value
        assert abs((ends[0] - ends[1]) / 2e-6 - p.grad[place].item()) < 1e-6, name


LOSERS = dict(max=lambda x: x.max(), min=lambda x: x.min(), median=lambda x: x.median(), nanmedian=lambda x: x.nanmedian(),
              amax=lambda x: x.amax(0), max_dim=lambda x: x.max(0)[0], floor=lambda x: x.floor() + x.max(), sign=lambda x: x.sign() + x.max(),
              max_pool=lambda x: F.max_pool1d(x[None], 5), power=lambda x: x**0 + x.max())  # fmt: skip


@pytest.mark.parametrize("name", LOSERS)
def test_an_infinite_gradient_does_not_reach_the_losers(name):
    x = tg.tensor([0.3, 2.0, -1.0, 0.5, 0.1], requires_grad=True)
    out = LOSERS[name](x)
    out.backward(tg.full_like(out, math.inf))
    winner = {"min": 2, "median": 0, "nanmedian": 0}.get(name, 1)
    assert x.grad.tolist() == [math.inf if k == winner else 0 for k in range(5)]


def test_large_pools_with_an_infinite_gradient():
    x = tg.arange(8192.0).reshape(1, 1, 8192).requires_grad_()
    out = F.max_pool1d(x, 2, stride=1)
    g = tg.ones_like(out)
    g[0, 0, 5] = math.inf
    out.backward(g)
    assert x.grad[0, 0, :8].tolist() == [0, 1, 1, 1, 1, 1, math.inf, 1]


def test_medians_among_infinities():
    x = tg.tensor([0.5, math.inf, -1.0, 3.0, -math.inf], requires_grad=True)
    assert x.median().item() == x.nanmedian().item() == 0.5
    y = tg.tensor([0.5, math.nan, 2.0, 2.0], requires_grad=True)
    y.nanmedian().backward()
    assert y.grad.tolist() == [0, 0, 0.5, 0.5]
    assert math.isnan(y.median().item())
    assert tg.tensor([-math.inf, -math.inf, 0.0, 1.0, 2.0, 3.0]).quantile(0.3).item() == -math.inf


def numbers(tensor):
    return [None if math.isnan(v) else v for v in tensor.tolist()]


def test_values_and_slopes_at_the_ends():
    inf, nan = math.inf, math.nan
    with np.errstate(all="ignore"):
        assert numbers(tg.angle(tg.tensor([inf, -inf, nan, -2.0]))) == [0, pytest.approx(math.pi), None, pytest.approx(math.pi)]
        x = tg.tensor([inf, -inf], requires_grad=True)
        for target, value in [(0.0, inf), (0.25, inf)]:
            loss = F.binary_cross_entropy_with_logits(x, tg.full((2,), target), reduction="none")
            assert loss[0].item() == value
        p = tg.tensor([0.0, 1.0, 1.5, 0.5], requires_grad=True)
        p.logit().sum().backward()
        assert numbers(p.grad) == [inf, inf, None, 4.0]
        a = tg.tensor([0.0, inf, 1.0], requires_grad=True)
        a.logsumexp(0).backward()
        assert numbers(a.grad) == [0, None, 0]
        assert tg.special.erfcx(tg.tensor(inf, dtype=tg.float64)).item() == 0
        assert tg.i0(tg.tensor(1e308, dtype=tg.float64)).item() == inf
        assert tg.special.i0e(tg.tensor(1e308, dtype=tg.float64)).item() == pytest.approx(math.sqrt(1 / (2 * math.pi)) * 1e-154)
        assert tg.lgamma(tg.tensor(1.5e-323, dtype=tg.float64)).item() == pytest.approx(-math.log(1.5e-323))
    far = tg.tensor([-20.0, -50.0], dtype=tg.float64, requires_grad=True)
    for function, scale in [(F.elu, 1), (F.selu, 1.7580993408473766), (F.celu, 1)]:
        (g,) = tg.autograd.grad(function(far).sum(), far)
        assert g.tolist() == pytest.approx([scale * math.exp(-20), scale * math.exp(-50)], rel=1e-12)
    assert math.copysign(1, F.logsigmoid(tg.tensor(200.0)).item()) == 1  # 0, and not −0


def test_nothing_hides_what_is_not_a_number():
    x = tg.tensor([[1.0, math.nan], [2.0, 3.0]])
    assert numbers(F.normalize(x)[0]) == [None, None]
    assert numbers(F.embedding_bag(tg.tensor([[0, 1]]), x, mode="max")[0]) == [2, None]
    assert numbers(tg.tensor([1.0, 2.0]).clamp(min=tg.tensor([math.nan, 3.0]), max=tg.tensor([5.0, 5.0]))) == [None, 3]


def test_an_interpolation_ends_at_its_end():
    x, y = tg.tensor([1e8, 3.0], requires_grad=True), tg.tensor([1.0, -math.inf], requires_grad=True)
    assert tg.lerp(x, y, 1.0).tolist()[0] == 1.0 and tg.lerp(y, x, 0.75)[1].item() == -math.inf
    tg.lerp(tg.tensor([0.0], requires_grad=True), y[:1], 0.25).backward(tg.tensor([math.inf]))
    assert y.grad.tolist() == [math.inf, 0]


# --- what is put past a module, and operands of other classes -----------------------------------------------------------------


def test_what_is_put_past_setattr_is_no_child():
    inner = tg.nn.Linear(2, 2)

    class Holder(tg.nn.Module):
        def __init__(self):
            super().__init__()
            self.own = tg.nn.Linear(2, 1)
            object.__setattr__(self, "model", inner)
            self.__dict__["other"] = inner
            self.__dict__["scale"] = tg.nn.Parameter(tg.ones(1))

    holder = Holder()
    assert [name for name, _ in holder.named_parameters()] == list(holder.state_dict()) == ["own.weight", "own.bias"]
    assert [name for name, _ in holder.named_modules()] == ["", "own"] and "model" not in repr(holder)
    assert holder.model is inner and "model" not in holder._modules and "scale" not in holder._parameters
    holder.eval()
    assert inner.training
    holder.model = 3  # an attribute like any other
    holder.other = inner  # and now a child
    assert list(holder._modules) == ["own", "other"]
    del holder.other
    holder.__dict__["other"] = inner
    assert list(holder._modules) == ["own"]
    copied = pickle.loads(pickle.dumps(tg.nn.Sequential(tg.nn.Linear(1, 2))))
    assert len(list(copied.parameters())) == 2 and len(copied) == 1


class Symbol:
    """A class that knows what to do with tensors."""


for operation in ("add", "sub", "mul", "truediv", "pow", "floordiv", "mod", "matmul", "and", "or", "xor", "lshift", "rshift", "divmod"):
    setattr(Symbol, f"__r{operation}__", lambda self, other, operation=operation: (operation, other))


@pytest.mark.parametrize("x", [tg.tensor([1, 2]), tg.tensor([1.0, 2.0], requires_grad=True), tg.tensor([1j], requires_grad=True) * 2],
                         ids=["integers", "floats", "complex"])  # fmt: skip
def test_other_classes_may_know_what_to_do(x):
    for name in ("add", "sub", "mul", "truediv", "pow", "floordiv", "mod", "matmul", "and_", "or_", "xor", "lshift", "rshift"):
        assert getattr(operator, name)(x, Symbol()) == (name.strip("_"), x)
    for name in ("iadd", "isub", "imul", "itruediv"):
        assert getattr(operator, name)(x, Symbol()) == (name[1:], x)
    assert divmod(x, Symbol())[0] == "divmod"


def test_what_nobody_can_use_is_an_error():
    x = tg.tensor([1.0, 2.0])
    for other in ([1.0, 2.0], "a", object()):
        with pytest.raises(TypeError, match="add: expected tensors, numeric arrays or numbers"):
            x + other
        with pytest.raises(TypeError, match="add: expected tensors, numeric arrays or numbers"):
            tg.add(x, other)
        with pytest.raises(TypeError):
            x += other
    with pytest.raises(TypeError, match="unsupported operand"):
        x @ None
    with pytest.raises(TypeError):
        tg.add(x, Symbol())  # a function has nobody to leave it to


# --- gradients of complex tensors ----------------------------------------------------------------------------------------------

MASK = tg.tensor([[True, False, True], [False, True, True]])
ROWS = tg.tensor([1, 0, 1])
PLACES = tg.tensor([[0, 2], [1, 1]])


def overwritten(z):
    z = z.clone()
    z.masked_fill_(MASK, 2 + 1j).mul_(1j).index_fill_(1, tg.tensor([0]), 0.5)
    z[0] = z[1] * 2
    return z


OF_COMPLEX = dict(
    pad=lambda z: F.pad(z, (1, -1), value=2j), reflect=lambda z: F.pad(z[None], (1, 2), mode="reflect"), index_select=lambda z: z.index_select(0, ROWS),
    gather=lambda z: tg.gather(z, 1, PLACES), take=lambda z: tg.take(z, ROWS), roll=lambda z: tg.roll(z, 1, 1), flip=lambda z: tg.flip(z, (0,)),
    rot90=lambda z: tg.rot90(z), cat=lambda z: tg.cat([z, z.real], 1), stack=lambda z: tg.stack([z, z * 2j], 1), hstack=lambda z: tg.hstack([z, z]),
    where=lambda z: tg.where(MASK, z, 1j), where_number=lambda z: z.where(MASK, z.conj() * 2), masked_fill=lambda z: z.masked_fill(MASK, 1j),
    masked_select=lambda z: z.masked_select(MASK), index=lambda z: z[ROWS, :2], mask=lambda z: z[MASK], scatter=lambda z: z.scatter(1, PLACES[:, :1], 2.0),
    index_add=lambda z: z.index_add(0, ROWS, tg.stack([z[0], z[1], z[0]])), index_put=lambda z: z.index_put((ROWS[:2], ROWS[:2]), z[0, :2]),
    cumsum=lambda z: tg.cumsum(z, 1), diag=lambda z: tg.diag(z[0]), diagonal=lambda z: tg.diagonal(z, 1), tril=lambda z: tg.tril(z), trace=lambda z: z.trace(),
    unfold=lambda z: z.unfold(1, 2, 1), view=lambda z: z.view(3, 2).T, split=lambda z: tg.split(z, 2, 1)[0], unbind=lambda z: list(z)[1],
    repeat=lambda z: z.repeat_interleave(2, 0), expand=lambda z: tg.broadcast_to(z, (2, 2, 3)), prod=lambda z: z.prod(1), cumprod=lambda z: tg.cumprod(z, 1),
    einsum=lambda z: tg.einsum("ij,kj,kl->il", z, z, z), linear=lambda z: F.linear(z, z), outer=lambda z: tg.outer(z[0], z[1]), vdot=lambda z: tg.vdot(z[0], z[1]),
    conv=lambda z: F.conv1d(z[None], z.reshape(1, 2, 3)[..., :2]), addmm=lambda z: tg.addmm(z[:, :2], z, z.T), alpha=lambda z: tg.add(z, z * z, alpha=2j),
    lerp=lambda z: tg.lerp(z, z * 1j, 0.3), inv=lambda z: tg.linalg.inv(z[:, :2]), det=lambda z: tg.linalg.det(z[:, 1:]), sgn=lambda z: tg.sgn(z),
    solve=lambda z: tg.linalg.solve(z[:, :2], z), slogdet=lambda z: tg.linalg.slogdet(z[:, :2])[1], matrix_exp=lambda z: tg.linalg.matrix_exp(z[:, :2]),
    sqrt=lambda z: tg.sqrt(z), sinh=lambda z: tg.sinh(z), tan=lambda z: z.tan(), atanh=lambda z: tg.atanh(z), acosh=lambda z: tg.acosh(z),
    sigmoid=lambda z: tg.sigmoid(z), power=lambda z: 2.0**z, log1p=lambda z: tg.log1p(z), overwritten=overwritten, converted=lambda z: z.to(tg.complex128),
    fourier=lambda z: z.real * 1j + 2j * z.imag,
)  # fmt: skip


@pytest.mark.parametrize("name", OF_COMPLEX)
def test_gradients_of_complex_tensors(name):
    """Each function as one of twice as many real numbers, against finite differences."""
    rng = np.random.default_rng(3)
    x = tg.tensor(rng.standard_normal((2, 3, 2)), requires_grad=True)

    def real(r):
        out = OF_COMPLEX[name](tg.view_as_complex(r))
        return tg.view_as_real(out) if out.is_complex() else out

    assert tg.autograd.gradcheck(real, x)
    z = tg.tensor(x.detach().numpy() @ [1, 1j], requires_grad=True)  # a leaf: its gradient is that of the two parts, ∂/∂re + i·∂/∂im
    out = OF_COMPLEX[name](z)
    g = tg.tensor(rng.standard_normal((*out.shape, 2)) @ ([1, 1j] if out.is_complex() else [1, 0]))
    (found,) = grad(out, z, g)
    (parts,) = grad(real(x), x, tg.view_as_real(g) if out.is_complex() else g)
    assert np.allclose(tg.view_as_real(found).numpy(), parts.numpy(), 1e-12)


def test_second_derivatives_of_complex_functions():
    z = tg.tensor([0.3 + 0.5j], dtype=tg.complex128, requires_grad=True)
    one = tg.ones(1, dtype=tg.complex128)
    (g,) = grad(z.sin(), z, one, create_graph=True)
    (second,) = grad(g, z, one)
    assert np.allclose(g.detach().numpy(), np.conj(np.cos(z.detach().numpy())))
    assert np.allclose(second.numpy(), np.conj(-np.sin(z.detach().numpy())))


def test_several_shifts_need_as_many_dims():
    x = tg.arange(6).reshape(2, 3)
    assert tg.roll(x, 1).tolist() == tg.roll(x, (1,)).tolist() == np.roll(x.numpy(), 1).tolist()
    assert tg.roll(x, (1, 2), (0, 1)).tolist() == np.roll(x.numpy(), (1, 2), (0, 1)).tolist()
    for dims in (None, 0, (0, 1, 0)):
        with pytest.raises(RuntimeError, match="must be equally many"):
            tg.roll(x, (1, 2), dims)


BFLOAT16 = [lambda x: x.bfloat16(), lambda x: x.to(tg.bfloat16), lambda x: x.to(dtype=tg.bfloat16), lambda x: x.type(tg.bfloat16), lambda x: x.view(tg.bfloat16),
            lambda x: x.sum(dtype=tg.bfloat16), lambda x: x.cumsum(0, dtype=tg.bfloat16), lambda x: x.softmax(0, dtype=tg.bfloat16),
            lambda x: x.norm(dtype=tg.bfloat16), lambda x: tg.zeros(2, dtype=tg.bfloat16), lambda x: tg.randn(2, dtype=tg.bfloat16),
            lambda x: tg.set_default_dtype(tg.bfloat16), lambda x: tg.nn.Linear(2, 2, dtype=tg.bfloat16), lambda x: tg.nn.Linear(2, 2).bfloat16(),
            lambda x: tg.nn.Linear(2, 2).to(tg.bfloat16)]  # fmt: skip


@pytest.mark.parametrize("call", BFLOAT16)
def test_bfloat16_is_refused_everywhere_alike(call):
    with pytest.raises(TypeError, match="bfloat16.*: NumPy has no numbers of this type; use float32"):
        call(tg.ones(2))


def test_bfloat16_has_a_name_and_a_place_among_the_types():
    assert tg.promote_types(tg.bfloat16, tg.float16) is tg.promote_types(tg.float32, tg.bfloat16) is tg.float32
    assert tg.promote_types(tg.int64, tg.bfloat16) is tg.promote_types(tg.bfloat16, tg.bfloat16) is tg.bfloat16
    assert tg.promote_types(tg.bfloat16, tg.float64) is tg.float64 and tg.promote_types(tg.bfloat16, tg.complex64) is tg.complex64
    assert tg.can_cast(tg.bfloat16, tg.float32) and tg.can_cast(tg.int32, tg.bfloat16) and not tg.can_cast(tg.bfloat16, tg.int64)
    with pytest.raises(NotImplementedError, match="bfloat16"), tg.autocast("cpu", dtype=tg.bfloat16):
        pass
