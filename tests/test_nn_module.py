"""Module, containers, hooks, state, nn.init and nn.utils as PyTorch programs rely on them."""

import copy
import json
import warnings
from pathlib import Path

import numpy as np
import pytest
from module_programs import PROGRAMS

import tinygrad_edu as tg

nn = tg.nn
RECORDED = Path(__file__).parent / "reference" / "modules.json"


def check_same(ours, theirs, place):
    """Nested lists of words and numbers, the numbers up to float32's rounding."""
    if isinstance(theirs, (list, tuple)):
        assert isinstance(ours, (list, tuple)) and len(ours) == len(theirs), f"{place}: {ours} and {theirs}"
        for i, (a, b) in enumerate(zip(ours, theirs)):
            check_same(a, b, f"{place}[{i}]")
    elif isinstance(theirs, float):
        assert ours == pytest.approx(theirs, rel=1e-5, abs=1e-5), f"{place}: {ours} and {theirs}"
    else:
        assert ours == theirs, f"{place}: {ours} and {theirs}"


@pytest.mark.parametrize("program", PROGRAMS, ids=[p.__name__ for p in PROGRAMS])
def test_programs_answer_as_recorded_from_pytorch(program):
    check_same(program(tg, nn), json.loads(RECORDED.read_text(encoding="utf-8"))[program.__name__], program.__name__)


@pytest.mark.parametrize("program", PROGRAMS, ids=[p.__name__ for p in PROGRAMS])
def test_programs_answer_as_pytorch_here_and_now(program):
    torch = pytest.importorskip("torch")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = program(torch, torch.nn)
    check_same(program(tg, nn), theirs, program.__name__)


def test_a_plain_list_of_modules_warns():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = [nn.Linear(1, 1)]

    with pytest.warns(UserWarning, match="nn.ModuleList"):
        net = Net()
    assert list(net.parameters()) == []


def test_a_refused_state_changes_nothing_and_names_everything():
    m = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 1))
    before = {k: v.tolist() for k, v in m.state_dict().items()}
    state = {"0.weight": tg.ones(2, 2), "0.bais": tg.ones(2), "1.weight": tg.ones(3, 3), "1.bias": tg.ones(1)}
    with pytest.raises(RuntimeError) as caught:
        m.load_state_dict(state)
    for text in ("missing key '0.bias' (there is an unexpected '0.bais')", "unexpected key '0.bais'", "[3, 3]", "[1, 2]", "nothing was changed"):
        assert text in str(caught.value)
    assert {k: v.tolist() for k, v in m.state_dict().items()} == before


def test_missing_attributes_name_the_nearest_one():
    with pytest.raises(AttributeError, match="did you mean 'weight'"):
        nn.Linear(1, 1).wieght  # noqa: B018

    class Broken(nn.Module):
        @property
        def size(self):
            return self.dimensions[0]

    with pytest.raises(AttributeError, match="'dimensions'"):
        Broken().size  # noqa: B018


def test_errors_inside_a_model_name_the_path_of_the_module():
    m = nn.Sequential(nn.Linear(2, 3), nn.Sequential(nn.ReLU(), nn.Linear(4, 1)))
    with pytest.raises(ValueError) as caught:
        m(tg.ones(1, 2))
    assert any("1.1" in note for note in caught.value.__notes__)


def test_hooks_of_dropped_handles_stay():
    m, calls = nn.Linear(1, 1), []
    for i in range(20):
        m.register_forward_hook(lambda *a, i=i: calls.append(i))
    m(tg.ones(1, 1))
    assert calls == list(range(20))


def test_a_backward_hook_sees_what_flows_through_its_module_alone():
    m, seen = nn.Linear(2, 2), []
    m.register_full_backward_hook(lambda module, grad_input, grad_output: seen.append(grad_input[0].tolist()))
    x = tg.ones(1, 2, requires_grad=True)
    (m(x) + 100 * x).sum().backward()
    assert seen[0] == [m.weight.detach().sum(dim=0).tolist()]
    assert x.grad.tolist()[0] == pytest.approx([100 + w for w in seen[0][0]])


def test_deepcopy_trains_apart():
    m = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    twin = copy.deepcopy(m)
    with tg.no_grad():
        twin[0].weight.fill_(5.0)
    assert not tg.equal(m[0].weight, twin[0].weight)
    assert list(m.state_dict()) == list(twin.state_dict())


INITS = ["uniform_(t, -1, 2)", "normal_(t, 1, 2)", "constant_(t, 3)", "ones_(t)", "zeros_(t)", "xavier_uniform_(t, 2.0)", "xavier_normal_(t)",
         "kaiming_uniform_(t, 0.3, 'fan_out')", "kaiming_normal_(t, nonlinearity='relu')", "trunc_normal_(t, std=0.02)", "trunc_normal_(t, 0.5, 1.0, -0.1, 0.2)",
         "trunc_normal_(t, 0.0, 1.0, -0.5, 1.5)", "orthogonal_(t, 2.0)"]  # fmt: skip


@pytest.mark.parametrize("shape", [(5, 3), (3, 7), (4, 2, 3)])
@pytest.mark.parametrize("text", INITS)
def test_initial_values_are_those_of_pytorch(text, shape):
    torch, results = pytest.importorskip("torch"), []
    for lib in (tg, torch):
        lib.manual_seed(1)
        t = lib.empty(*shape)
        assert eval(f"init.{text}", {"init": lib.nn.init, "t": t}) is t
        results.append(t.numpy())
    np.testing.assert_allclose(*results, rtol=2e-4, atol=2e-6)


@pytest.mark.parametrize("text", ["eye_(lib.empty(3, 4))", "sparse_(lib.empty(6, 4), 0.4)", "dirac_(lib.empty(4, 2, 3))", "dirac_(lib.empty(4, 2, 3, 5), 2)"])
def test_other_initial_values_are_those_of_pytorch(text):
    torch, results = pytest.importorskip("torch"), []
    for lib in (tg, torch):
        lib.manual_seed(1)
        results.append(eval(f"init.{text}", {"init": lib.nn.init, "lib": lib}).numpy())
    np.testing.assert_allclose(*results, rtol=1e-5, atol=1e-6)


def test_initial_values_have_their_properties():
    tg.manual_seed(0)
    w = nn.init.orthogonal_(tg.empty(6, 4), gain=2.0).numpy()
    np.testing.assert_allclose(w.T @ w, 4 * np.eye(4), atol=1e-5)
    t = nn.init.trunc_normal_(tg.empty(2000), mean=1.0, std=2.0, a=0.0, b=3.0).numpy()
    assert t.min() >= 0 and t.max() <= 3
    assert (nn.init.sparse_(tg.empty(10, 3), 0.3).numpy() == 0).sum(axis=0).tolist() == [3, 3, 3]
    x = tg.randn(1, 2, 5)
    assert tg.allclose(nn.functional.pad(x, (1, 1))[:, :, 1:-1], x)
    assert nn.init.dirac_(tg.empty(2, 2, 3)).tolist() == [[[0, 1, 0], [0, 0, 0]], [[0, 0, 0], [0, 1, 0]]]
    assert nn.init.calculate_gain("leaky_relu", 1.0) == 1.0
    with pytest.warns(FutureWarning, match="xavier_normal_"):
        nn.init.xavier_normal(tg.empty(2, 2))


CLIPS = ["clip_grad_norm_(ps, 1.0)", "clip_grad_norm_(ps, 1000.0)", "clip_grad_norm_(ps, 0.5, 1.0)", "clip_grad_norm_(ps, 0.5, float('inf'))",
         "clip_grad_norm_(iter(ps), 2.0, 3.0)", "clip_grad_norm_(ps[0], 0.1)", "clip_grad_value_(ps, 0.7)", "get_total_norm([p.grad for p in ps[:2]])"]  # fmt: skip
CLIPPED = {"clip_grad_norm_(ps, 1.0)": lambda gs, n: [g / (n + 1e-6) for g in gs], "clip_grad_value_(ps, 0.7)": lambda gs, n: [np.clip(g, -0.7, 0.7) for g in gs]}


def gradients(lib):
    rng = np.random.default_rng(0)
    ps = [lib.tensor(rng.standard_normal(s)).requires_grad_() for s in ((3, 2), (4,), (2,))]
    for p in ps[:2]:
        p.grad = lib.tensor(rng.standard_normal(tuple(p.shape)))
    return ps


@pytest.mark.parametrize("text", CLIPS)
def test_clipping_is_that_of_pytorch(text):
    torch, results = pytest.importorskip("torch"), []
    for lib in (tg, torch):
        ps = gradients(lib)
        total = eval(f"utils.{text}", {"utils": lib.nn.utils, "ps": ps})
        results.append([0.0 if total is None else total.item(), *ps[0].grad.reshape(-1).tolist(), *ps[1].grad.tolist(), ps[2].grad])
    assert results[0][:-1] == pytest.approx(results[1][:-1])
    assert results[0][-1] is None


@pytest.mark.parametrize("text", CLIPPED)
def test_clipping_by_hand(text):
    ps = gradients(tg)
    before = [p.grad.numpy().copy() for p in ps[:2]]
    norm = np.sqrt(sum((g**2).sum() for g in before))
    total = eval(f"nn.utils.{text}")
    for p, g in zip(ps, CLIPPED[text](before, norm)):
        np.testing.assert_allclose(p.grad.numpy(), g)
    assert total is None or total.item() == pytest.approx(norm)


def test_a_norm_that_is_not_finite_can_be_an_error():
    p = tg.ones(2, requires_grad=True)
    p.grad = tg.tensor([float("nan"), 1.0])
    with pytest.raises(RuntimeError, match="nan"):
        nn.utils.clip_grad_norm_([p], 1.0, error_if_nonfinite=True)


def test_parameters_travel_as_a_vector():
    m, twin = nn.Linear(3, 2), nn.Linear(3, 2)
    vector = nn.utils.parameters_to_vector(m.parameters())
    vector.sum().backward()
    assert m.bias.grad.tolist() == [1, 1]
    nn.utils.vector_to_parameters(vector, twin.parameters())
    assert tg.equal(m.weight, twin.weight) and twin.weight.requires_grad
    with tg.no_grad():
        m.weight.fill_(0.0)
    assert twin.weight.abs().sum().item() > 0


@pytest.mark.parametrize("text", ["weight_norm(nn.Linear(3, 2))", "spectral_norm(nn.Linear(3, 2))", "spectral_norm(nn.Conv2d(2, 3, 2), n_power_iterations=2)",
                                  "weight_norm(nn.Linear(3, 2), dim=None)", "parametrizations.weight_norm(nn.Linear(3, 2), dim=1)",
                                  "parametrizations.spectral_norm(nn.Linear(3, 2))", "parametrizations.spectral_norm(nn.Linear(3, 2), 'bias')"])  # fmt: skip
def test_reparametrised_layers_are_those_of_pytorch(text):
    torch, results = pytest.importorskip("torch"), []
    for lib in (tg, torch):
        lib.manual_seed(2)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            m = eval(f"u.{text}", {"u": lib.nn.utils, "nn": lib.nn})
        shape = (2, 2, 3, 3) if "Conv" in text else (4, 3)
        x = lib.arange(float(np.prod(shape))).reshape(shape) / 10
        numbers = []
        for mode in (True, True, False):
            m.train(mode)
            out = m(x)
            (out * out).sum().backward()
            numbers += [out.detach().numpy().ravel(), *(p.grad.numpy().ravel().copy() for p in m.parameters())]
        numbers += [v.detach().numpy().ravel() for v in m.state_dict().values()]
        results.append((list(m.state_dict()), repr(m), np.concatenate(numbers)))
    assert results[0][:2] == results[1][:2]
    np.testing.assert_allclose(results[0][2], results[1][2], rtol=2e-4, atol=2e-5)


def test_reparametrisation_can_be_taken_back():
    assert nn.utils.weight_norm(nn.Linear(3, 2), dim=-1).weight_g.shape == ()  # −1 is None there
    for way, back in ((nn.utils.weight_norm, nn.utils.remove_weight_norm), (nn.utils.spectral_norm, nn.utils.remove_spectral_norm)):
        m, x = way(nn.Linear(3, 2)).eval(), tg.randn(4, 3)
        before = m(x)
        assert list(back(m).state_dict()) in (["weight", "bias"], ["bias", "weight"])
        assert tg.allclose(m(x), before, atol=1e-6)
    m = nn.utils.parametrizations.weight_norm(nn.Linear(3, 2))
    before = m(x)
    nn.utils.parametrize.remove_parametrizations(m, "weight")
    assert type(m) is nn.Linear and tg.allclose(m(x), before, atol=1e-6)


def test_import_paths_of_pytorch():
    """Model files import base classes from nn.modules.*, and PyTorch's names for them."""
    from tinygrad_edu.nn.modules.batchnorm import _BatchNorm
    from tinygrad_edu.nn.modules.conv import _ConvNd
    from tinygrad_edu.nn.modules.distance import CosineSimilarity
    from tinygrad_edu.nn.modules.loss import _Loss
    from tinygrad_edu.nn.modules.utils import _pair

    assert isinstance(tg.nn.BatchNorm2d(3), _BatchNorm) and issubclass(tg.nn.Conv2d, _ConvNd) and issubclass(tg.nn.MSELoss, _Loss)
    assert CosineSimilarity is tg.nn.CosineSimilarity
    assert _pair(3) == (3, 3) and _pair((1, 2)) == (1, 2)


def test_weights_lie_in_memory_as_pytorch_lays_them():
    """Code that writes into a flat view of a weight reaches the weight."""
    layer = tg.nn.Linear(3, 2)
    layer.weight.data.view(-1)[0] = 5.0
    layer.weight.data.flatten()[1] = 7.0
    assert layer.weight[0, :2].tolist() == [5.0, 7.0] and layer.weight.stride() == (3, 1) and layer.weight.is_contiguous()


def test_calls_are_as_short_as_before_once_all_hooks_are_removed():
    model, x = nn.Sequential(nn.Linear(2, 2), nn.Sigmoid()), tg.ones(1, 2)
    short = model(x).node.name
    for register in (model[0].register_forward_hook, model[1].register_forward_pre_hook, nn.modules.module.register_module_forward_hook):
        handles = [register(lambda *args: None), register(lambda *args: None)]
        assert model(x).node.name != short
        handles.pop().remove()
        assert model(x).node.name != short, "one is left"
        handles.pop().remove()
        assert model(x).node.name == short
    model.register_state_dict_post_hook(lambda *args: None)
    assert model(x).node.name == short, "a hook that no call sees"


def test_modules_begin_with_their_constructor():
    class Forgetful(nn.Module):
        def __init__(self, part):
            self.part = part

    for part in (nn.Linear(1, 1), nn.Parameter(tg.ones(1))):
        with pytest.raises(AttributeError, match=r"call super\(\).__init__\(\) first"):
            Forgetful(part)


def test_a_computed_parameter_without_an_inverse_cannot_be_assigned():
    class Doubled(nn.Module):
        def forward(self, x):
            return 2 * x

    layer = nn.Linear(2, 2)
    nn.utils.parametrize.register_parametrization(layer, "weight", Doubled())
    with pytest.raises(RuntimeError, match="right_inverse"):
        layer.weight = tg.ones(2, 2)


def test_copies_of_parameters_have_no_gradient():
    layer = nn.Linear(2, 2)
    layer(tg.ones(1, 2)).sum().backward()
    twin = copy.deepcopy(layer)
    assert twin.weight.grad is None and layer.weight.grad is not None
    plain = tg.ones(2, requires_grad=True)
    plain.sum().backward()
    assert copy.deepcopy(plain).grad.tolist() == [1, 1]  # PyTorch copies those of other tensors


def test_children_convert_themselves():
    class Strided(nn.Module):
        def __init__(self):
            super().__init__()
            self.stride = tg.ones(2)  # no buffer

        def _apply(self, fn, recurse=True):
            super()._apply(fn)
            self.stride = fn(self.stride)
            return self

    model = nn.Sequential(Strided()).double()
    assert model[0].stride.dtype == tg.float64


def test_states_know_the_versions_of_their_modules():
    seen = []

    class Counted(nn.Linear):
        _version = 3

        def _load_from_state_dict(self, state_dict, prefix, local_metadata, strict, *lists):
            seen.append((prefix, local_metadata.get("version"), strict))
            super()._load_from_state_dict(state_dict, prefix, local_metadata, strict, *lists)

    model = nn.Sequential(Counted(1, 1), nn.BatchNorm1d(1))
    state = model.state_dict()
    assert {k: v["version"] for k, v in state._metadata.items()} == {"": 1, "0": 3, "1": 2}
    model.load_state_dict(state)
    model.load_state_dict(dict(state), strict=False)
    assert seen == [("0.", 3, True), ("0.", None, True)]  # as in PyTorch, strictness is judged at the end
