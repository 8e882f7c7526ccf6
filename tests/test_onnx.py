"""`onnx.export`: every entry of the table against our own values, whole models, dynamic sizes, names, and what is refused."""

import io
import re
import sys
from pathlib import Path

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="needs onnx: pip install 'onnx>=1.17' onnxruntime")
from onnx.reference import ReferenceEvaluator  # noqa: E402
from operator_kit import Case, cases_of  # noqa: E402

import tinygrad_edu as tg  # noqa: E402
from tinygrad_edu import nn  # noqa: E402
from tinygrad_edu.autograd.operator import registry  # noqa: E402
from tinygrad_edu.nn import functional as F  # noqa: E402
from tinygrad_edu.onnx.example import tensors_in  # noqa: E402
from tinygrad_edu.onnx.table import table  # noqa: E402

try:
    import onnxruntime
except ModuleNotFoundError:
    onnxruntime = None
pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning:onnx", "ignore::DeprecationWarning:onnx")

SHAPES = {"det_sign": ((2, 3, 3),)}
SINGLE = {"erf", "erfc", "gelu_exact", "ndtr"}  # the reference has the error function to seven digits alone
INTEGERS = {"bitwise_and", "bitwise_or", "bitwise_xor", "bitwise_not"}


def quiet(run):
    with np.errstate(all="ignore"):
        return run()


def with_reference(model, feed):
    return quiet(lambda: ReferenceEvaluator(model).run(None, feed))


def with_runtime(model, feed):
    options = onnxruntime.SessionOptions()
    options.log_severity_level, options.intra_op_num_threads = 4, 1
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"]).run(None, feed)


def differs(model, feed, expected, tolerance, run):
    """The largest difference, relative where numbers are large."""
    outputs = run(model, feed)
    assert len(outputs) == len(expected)
    worst = 0.0
    for a, b in zip(outputs, expected):
        b = np.asarray(b)
        assert a.dtype == b.dtype and a.shape == b.shape, f"{a.dtype}{a.shape} instead of {b.dtype}{b.shape}"
        np.testing.assert_allclose(a, b, tolerance, tolerance)
        worst = max(worst, float(np.max(np.abs(a.astype(float) - b) / np.maximum(1, np.abs(b)), initial=0))) if b.dtype.kind == "f" else worst
    return worst


def exported(model, *args, **options):
    return tg.onnx.export(model, args, **options).model_proto


def feed_of(proto, args):
    return {i.name: np.asarray(t.array) for i, t in zip(proto.graph.input, tensors_in(args))}


def check(model, *args, other=(), runs=None, **options):
    """Export a model, and compare its outputs here, in the reference and in ONNX Runtime, for the example and for other inputs."""
    proto = exported(model, *args, **options)
    runs = runs or [with_reference, *([with_runtime] if onnxruntime else [])]
    worst = 0.0
    for given in (args, *other):
        with tg.no_grad():
            expected = [np.asarray(t.array) for t in tensors_in(model(*given))]
        tolerance = 1e-11 if expected[0].dtype == np.float64 else 2e-5
        worst = max([worst, *(differs(proto, feed_of(proto, given), expected, tolerance, run) for run in runs)])
    return proto, worst


def samples_of(name):
    """(case, arrays) of an operator, in float64 and float32, or integers where it takes nothing else."""
    cases = [Case(registry[name], SHAPES[name], {})] if name in SHAPES else cases_of(registry[name])
    for case in cases:
        for dtype in (np.float64, np.float32):
            arrays = case.prepare(case.arrays(3, dtype))
            if name in INTEGERS:
                arrays = [np.trunc(a).astype(np.int64) for a in arrays]
            yield case, arrays


def check_sample(case, arrays):
    """One sample of one operator, in the reference and in ONNX Runtime, which has some operators for float32 alone."""
    params = case.params_for(arrays)
    model = lambda *xs: case.op.function(*xs, **params)
    xs = [tg.tensor(a) for a in arrays]
    expected, proto = np.asarray(model(*xs).array), exported(model, *xs)
    double, name = expected.dtype == np.float64 or arrays[0].dtype == np.float64, case.op.name
    tolerance = 1e-12 if expected.dtype == np.float64 else 1e-5
    if name != "convolution_transpose" or case.params.get("groups", 1) == 1:  # the reference has none with groups
        differs(proto, feed_of(proto, xs), [expected], 1e-5 if name in SINGLE else tolerance, with_reference)
    if onnxruntime:
        try:
            return differs(proto, feed_of(proto, xs), [expected], tolerance, with_runtime)
        except onnxruntime.capi.onnxruntime_pybind11_state.NotImplemented:
            if not double:
                raise
    return 0.0


@pytest.mark.parametrize("name", sorted(table))
def test_every_entry_gives_our_values(name):
    for case, arrays in samples_of(name):
        check_sample(case, arrays)


# --- whole models -------------------------------------------------------------------------------------------------------


def draw(*shape, dtype=None):
    return tg.randn(*shape, dtype=dtype)


class Residual(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.first, self.norm = nn.Conv2d(channels, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x):
        return F.relu(x + self.second(F.relu(self.norm(self.first(x)))))


class UNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.down, self.below = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 8, 3, padding=1)
        self.up, self.out = nn.ConvTranspose2d(8, 4, 2, stride=2), nn.Conv2d(8, 2, 1)

    def forward(self, x):
        top = F.relu(self.down(x))
        below = F.relu(self.below(F.max_pool2d(top, 2)))
        return self.out(tg.cat([self.up(below), top], dim=1))


class Language(nn.Module):
    """A small GPT: token and place embeddings, causal attention, an output layer."""

    def __init__(self):
        super().__init__()
        self.tokens, self.places = nn.Embedding(11, 8), nn.Embedding(6, 8)
        self.norm, self.qkv, self.out, self.head = nn.LayerNorm(8), nn.Linear(8, 24), nn.Linear(8, 8), nn.Linear(8, 11, bias=False)
        self.register_buffer("mask", tg.tril(tg.ones(6, 6)))

    def forward(self, ids):
        b, t = ids.shape
        x = self.tokens(ids) + self.places(tg.arange(t))
        q, k, v = (a.view(b, t, 2, 4).transpose(1, 2) for a in self.qkv(self.norm(x)).split(8, dim=2))
        scores = (q @ k.transpose(-2, -1) / 2.0).masked_fill(self.mask[:t, :t] == 0, float("-inf"))
        x = x + self.out((scores.softmax(-1) @ v).transpose(1, 2).reshape(b, t, 8))
        return self.head(x)


def perceptron():
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3), nn.Softmax(1))


def network():
    net = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2), nn.Dropout(), nn.Flatten(), nn.Linear(128, 5))
    net(tg.randn(4, 3, 8, 8))  # so that the running statistics are not 0 and 1
    return net


class Recurrent(nn.Module):
    def __init__(self, kind):
        super().__init__()
        self.layer, self.head = kind(3, 4, num_layers=2, batch_first=True, bidirectional=True), nn.Linear(8, 2)

    def forward(self, x):
        return self.head(self.layer(x)[0][:, -1])


class Causal(nn.Module):
    """Masks made in the forward pass, of the size of the input."""

    def forward(self, x):
        mask = tg.triu(tg.full((x.shape[1],) * 2, float("-inf")), 1)
        return attended(x) + F.scaled_dot_product_attention(x, x, x, attn_mask=mask)


BATCH = dict(dynamic_axes={"x": {0: "batch"}}, input_names=["x"])
LONGER = dict(dynamic_axes={"x": {0: "batch", 1: "time"}}, input_names=["x"])
MODELS = dict(
    perceptron=(perceptron, lambda b, t: draw(b, 4), BATCH),
    network=(network, lambda b, t: draw(b, 3, 8, 8), BATCH),
    residual=(lambda: Residual(4), lambda b, t: draw(b, 4, 6, 6), BATCH),
    unet=(UNet, lambda b, t: draw(b, 1, 8, 8), BATCH),
    encoder=(lambda: nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), lambda b, t: draw(b, t, 8), LONGER),
    rnn=(lambda: Recurrent(nn.RNN), lambda b, t: draw(b, t, 3), LONGER),
    lstm=(lambda: Recurrent(nn.LSTM), lambda b, t: draw(b, t, 3), LONGER),
    gru=(lambda: Recurrent(nn.GRU), lambda b, t: draw(b, t, 3), LONGER),
    language=(Language, lambda b, t: tg.randint(0, 11, (b, t)), LONGER),
    causal=(Causal, lambda b, t: draw(b, t, 4), LONGER),
    groups=(lambda: nn.Sequential(nn.GroupNorm(2, 4), nn.InstanceNorm1d(4), nn.AdaptiveAvgPool1d(2)), lambda b, t: draw(b, 4, 6), BATCH),
    upsampled=(lambda: nn.Upsample(scale_factor=2, mode="bilinear"), lambda b, t: draw(b, 2, 3, 4), BATCH),
)  # fmt: skip


@pytest.mark.parametrize("name", MODELS)
def test_models_of_any_batch(name):
    make, data, options = MODELS[name]
    tg.manual_seed(1)
    model = make().eval()
    check(model, data(3, 4), other=[(data(1, 4),), (data(5, 6 if options is LONGER else 4),)], **options)


@pytest.mark.parametrize("program", [
    lambda x: x.sum(0) / x.shape[0] + len(x) * 2,
    lambda x: x.reshape(-1, 2).sum(0) + x.view(x.shape[0], 2, 2).transpose(0, 1).reshape(2, -1).var(1),
    lambda x: tg.cat([x[: x.shape[0] - 1], x[-1:].expand(x.shape[0] + 1, 4)]),
    lambda x: x.unsqueeze(1).repeat(1, 3, 1).view(3 * x.shape[0], 4) * tg.zeros(3 * len(x), 1).add(2),
    lambda x: x + tg.arange(len(x)).float()[:, None],
    lambda x: F.pad(x, (0, 1)).argsort(0),
])  # fmt: skip
def test_sizes_that_follow(program):
    tg.manual_seed(4)
    check(program, draw(4, 4), other=[(draw(7, 4),), (draw(2, 4),)], input_names=["x"], dynamic_axes={"x": {0: "n"}})


@pytest.mark.parametrize("name", ["perceptron", "residual", "gru", "causal"])
def test_models_in_double(name):
    make, data, options = MODELS[name]
    tg.manual_seed(1)
    check(make().eval().double(), data(3, 4).double(), other=[(data(2, 4).double(),)], runs=[with_reference], **options)


SPECIAL = dict(nan_to_num={}, isnan={}, isinf={}, isfinite={}, signbit={}, sign={}, sinc={}, round={}, trunc={}, relu={}, clip=dict(low=-1.0, high=None))


@pytest.mark.parametrize("name", SPECIAL)
def test_special_values(name):
    values = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 0.5, 1.5, -2.5], np.float32)
    with np.errstate(all="ignore"):
        check(lambda x: registry[name].function(x, **SPECIAL[name]), tg.tensor(values if name != "sinc" else values[3:]))


@pytest.mark.parametrize("name", ["fmax", "fmin", "copysign", "atan2", "remainder", "heaviside", "logical_and"])
def test_special_pairs(name):
    x, y = np.meshgrid(np.float32([-1, -0.0, 0, 2]), np.float32([-0.5, 0, 3, np.nan] if name in ("fmax", "fmin") else [-0.5, 0.25, 3]))
    check(lambda x, y: registry[name].function(x, y), tg.tensor(x), tg.tensor(y))


def test_names_and_versions():
    tg.manual_seed(0)
    proto = exported(network().eval(), draw(2, 3, 8, 8), input_names=["image"], output_names=["classes"], dynamic_axes={"image": {0: "n"}, "classes": {0: "n"}})
    assert [i.name for i in proto.graph.input] == ["image"] and [o.name for o in proto.graph.output] == ["classes"]
    weights = {i.name: onnx.numpy_helper.to_array(i) for i in proto.graph.initializer}
    state = network().state_dict()
    assert {k for k in state if "num_batches" not in k} <= set(weights) and weights["0.weight"].shape == (8, 3, 3, 3)
    size = lambda value: [d.dim_param or d.dim_value for d in value.type.tensor_type.shape.dim]
    assert size(proto.graph.input[0]) == ["n", 3, 8, 8] and size(proto.graph.output[0]) == ["n", 5]
    assert proto.ir_version == 10 and [(o.domain, o.version) for o in proto.opset_import] == [("", 18)]
    assert any(n.name == "6/Gemm" for n in proto.graph.node)
    onnx.checker.check_model(proto, full_check=True)
    bare = exported(perceptron(), draw(1, 4), export_params=False)
    assert len(bare.graph.input) == 5 and not any(i.name == "0.weight" for i in bare.graph.initializer)


def test_files(tmp_path):
    model = nn.Linear(2, 1)
    program = tg.onnx.export(model, tg.ones(1, 2), tmp_path / "a.onnx", do_constant_folding=False, dynamo=True)
    program.save(tmp_path / "b.onnx", external_data=True)
    file = io.BytesIO()
    tg.onnx.export(model, (tg.ones(1, 2),), file)
    written = {onnx.load(tmp_path / name).SerializeToString() for name in ("a.onnx",)} | {file.getvalue(), program.model_proto.SerializeToString()}
    assert len(written) == 1 and (tmp_path / "b.onnx.data").exists()


def test_nothing_is_changed():
    """Statistics, gradients, random numbers of the model's own and the operators are as before, after an error too."""
    model, forward = network(), registry["add"].forward
    before = {k: v.clone() for k, v in model.state_dict().items()}
    with pytest.raises(NotImplementedError):
        exported(model, draw(4, 3, 8, 8))
    assert all(tg.equal(v, before[k]) for k, v in model.state_dict().items())
    assert type(model[0].weight.array) is np.ndarray and registry["add"].forward is forward and not tg.onnx.is_in_onnx_export()
    seen = []
    exported(lambda x: seen.append(tg.onnx.is_in_onnx_export()) or x + 1, tg.ones(2))
    assert seen == [True, True]


def test_inputs_and_outputs_of_any_form():
    cell = nn.LSTMCell(2, 3)
    proto, _ = check(lambda x, state: cell(x, state), draw(4, 2), (draw(4, 3), draw(4, 3)))
    assert [i.name for i in proto.graph.input] == ["x", "state_0", "state_1"] and len(proto.graph.output) == 2
    check(lambda x, scale=2.0: {"twice": x * scale, "same": x}, draw(3))
    proto = tg.onnx.export(lambda x, *, y: x - y, tg.ones(2), kwargs=dict(y=tg.ones(2))).model_proto
    assert [i.name for i in proto.graph.input] == ["x", "y"]
    check(lambda x: (x, x, tg.ones(2)), draw(2))


def marked(x):
    y = x.clone()
    y[:, 0] = x[:, 1] * 2
    y += 1
    return y


def filled(x):
    out = tg.zeros(3, 2)
    out[1] = x[0]
    return out.relu_()


def attended(x):
    return F.scaled_dot_product_attention(x, x, x, is_causal=True)


PROGRAMS = dict(
    mask=(lambda ids: ((ids != 0) & (ids < 5)).float().sum(1), lambda: tg.randint(0, 9, (3, 4))),
    masked=(lambda x: x.masked_fill(x > 0, 0.0), lambda: draw(3, 4)),
    chosen=(lambda x: tg.where(x > 0, x < 1, x > -1), lambda: draw(3, 4)),
    integers=(lambda ids: (ids * 2 + 1) // 3 % 4, lambda: tg.randint(0, 9, (3, 4))),
    mixed=(lambda ids: ids * 0.5 + ids.float(), lambda: tg.randint(0, 9, (3, 4))),
    selected=(lambda x: (x[x > 0] * 2).sum() + x[(x < 0).all(1)].mean(), lambda: -tg.ones(3, 4) + 3 * tg.eye(3, 4)[:1] + draw(3, 4) * 0.1),
    places=(lambda x: (x > 0).nonzero(), lambda: draw(3, 4)),
    best=(lambda x: x.max(dim=1), lambda: draw(3, 4)),
    argmax=(lambda x: x.argmax(-1), lambda: draw(3, 4)),
    top=(lambda x: x.topk(2), lambda: draw(3, 4)),
    sorted=(lambda x: tg.sort(x, descending=True), lambda: draw(3, 4)),
    picked=(lambda x, i: x[i, 1:], lambda: (draw(3, 4), tg.tensor([2, 0, 0]))),
    rows=(lambda x, i: x.index_select(1, i) + x.gather(1, i.view(1, 3).expand(3, 3)), lambda: (draw(3, 4), tg.tensor([2, 0, 0]))),
    ends=(lambda x: (x[-1], x[..., -2:], x[::2, None], x[:, [0, 2]]), lambda: draw(3, 4)),
    pieces=(lambda x: tg.cat([*x.chunk(2, 1), x.flip(0)], 1), lambda: draw(3, 4)),
    marked=(marked, lambda: draw(3, 4)),
    filled=(filled, lambda: draw(3, 2)),
    attended=(attended, lambda: draw(2, 3, 4)),
    double=(lambda x: (x.std(0) * x.var() + x.float().double()).sum(), lambda: draw(3, 4, dtype=tg.float64)),
    padded=(lambda x: F.pad(x, (1, 1), mode="reflect"), lambda: draw(1, 3, 4)),
    loss=(lambda x, y: F.cross_entropy(x, y), lambda: (draw(3, 4), tg.tensor([2, 0, 3]))),
    complex=(lambda x: (tg.view_as_complex(x) * 2j).abs(), lambda: draw(3, 2)),
    detached=(lambda x: x.detach().view(-1).T.data * x.shape[0], lambda: draw(3, 4)),
)  # fmt: skip


@pytest.mark.filterwarnings("ignore:.*T:UserWarning")
@pytest.mark.parametrize("name", PROGRAMS)
def test_programs(name):
    program, data = PROGRAMS[name]
    tg.manual_seed(2)
    args = data()
    args = args if isinstance(args, tuple) else (args,)
    again = data()
    check(program, *args, other=[again if isinstance(again, tuple) else (again,)])


def test_a_branch_is_frozen():
    with pytest.warns(UserWarning, match="frozen as the example takes it"):
        proto = exported(lambda x: x.exp() if x[0] == 1 else x.sin() + 1, tg.tensor([1.0, 2.0]))
    assert [n.op_type for n in proto.graph.node] == ["Exp", "Identity"]


REFUSED = [
    (lambda: exported(nn.Sequential(nn.Linear(2, 2), nn.Dropout()), draw(2, 2)), r"Dropout|model.eval\(\)"),
    (lambda: exported(lambda x: x * x.sum().item(), draw(3)), r"the number .* of mul, line \d+ of test_onnx.py changes with the inputs"),
    (lambda: exported(lambda x: x + tg.tensor(np.sort(x.numpy())), draw(3)), "a constant float32.* of add"),
    (lambda: exported(nn.Sequential(nn.Flatten(0), nn.Unflatten(0, (2, 2)), Inverse()), draw(4)), "operator inv has no translation to ONNX in 2, line"),
    (lambda: exported(lambda z: z * 2, tg.ones(2, dtype=tg.complex64)), "complex"),
    (lambda: exported(lambda x: overwritten(x), draw(4)), "overwritten in place through a view"),
    (lambda: exported(lambda x: x + tg.eye(x.shape[0]), draw(4, 1), dynamic_axes={"x": [0]}), "elements have no simple rule"),
    (lambda: exported(lambda x: sum(x[i] for i in range(len(x))), draw(4, 2), dynamic_axes={"x": {0: "n"}}), "takes other steps for other sizes"),
    (lambda: exported(lambda x: F.pad(x, (0, len(x))), draw(4, 1), dynamic_axes={"x": [0]}), "pad_constant with widths=.* that follows a dynamic axis"),
    (lambda: exported(lambda x: x / len(x) ** 0.5, draw(4, 1), dynamic_axes={"x": [0]}), "the number 2.0, which is .* in another run, of div"),
    (lambda: exported(lambda x: x[x > 0].reshape(1, -1), draw(4)), "reshape.* size depends on values, as x.mask. gives"),
    (lambda: exported(nn.Linear(2, 2), draw(2, 2), opset_version=11), "opset_version=11"),
    (lambda: exported(nn.Linear(2, 2), draw(2, 2), dynamic_shapes={"y": {0: "n"}}), "'y', and the inputs are input"),
]  # fmt: skip


class Inverse(nn.Module):
    def forward(self, x):
        return tg.linalg.inv(x)


def overwritten(x):
    y = x * 2
    y.view(2, 2)[0].add_(1)
    return y * 3


@pytest.mark.parametrize("number", range(len(REFUSED)))
def test_what_is_refused(number):
    attempt, text = REFUSED[number]
    tg.manual_seed(3)
    with pytest.raises((NotImplementedError, ValueError), match=text):
        attempt()


def test_without_the_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ModuleNotFoundError, match="pip install 'onnx>=1.17'"):
        tg.onnx.export(nn.Linear(1, 1), tg.ones(1, 1))


@pytest.mark.parametrize("name, wrong", [("silu", lambda g, s, x: g.Sigmoid(x)), ("flip", "Identity"), ("convolution", lambda g, s, x, w, b=None: g.Conv(x, w))])
def test_a_wrong_entry_is_noticed(name, wrong, monkeypatch):
    monkeypatch.setitem(table, name, wrong)
    with pytest.raises((AssertionError, onnx.shape_inference.InferenceError, RuntimeError)):
        test_every_entry_gives_our_values(name)


def test_the_how_to_page(tmp_path, monkeypatch):
    """The blocks that tests/test_docs.py leaves out, because they need onnx."""
    pytest.importorskip("onnxruntime")
    monkeypatch.chdir(tmp_path)
    text = (Path(__file__).parent.parent / "docs" / "howto" / "export_onnx.md").read_text(encoding="utf-8")
    shown, space = [], {"print": lambda x: shown.append(str(x))}
    for block in re.findall(r"```py(?:thon)?\n(.*?)```", text, re.DOTALL):
        exec(block, space)
    assert shown == ["-0.6353", "(3, 1)"]
