"""Files of PyTorch's, whole models, copies and pickles: they come back as PyTorch users expect, and no file runs anything unasked."""

import argparse
import base64
import copy
import gzip
import io
import json
import os
import pickle
import struct
import zipfile
import zlib
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import nn, optim, serialization

SAVED = json.loads((Path(__file__).parent / "reference" / "saved.json").read_text(encoding="utf-8"))


def unpacked(text):
    """A file as torch.save wrote it."""
    return zlib.decompress(base64.b85decode(text))


def load(data, **options):
    return tg.load(io.BytesIO(data), **options)


def round_trip(obj, **options):
    file = io.BytesIO()
    tg.save(obj, file)
    return load(file.getvalue(), **options)


# --- files that PyTorch wrote ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("weights_only", [True, False])
@pytest.mark.parametrize("file", ["zip", "old"])
def test_files_of_pytorch(file, weights_only, tmp_path):
    (tmp_path / "a.pth").write_bytes(unpacked(SAVED[file]))
    found = tg.load(tmp_path / "a.pth", map_location="cpu", weights_only=weights_only)
    for kind, t in found["kinds"].items():
        assert t.tolist() == np.array([0, 1, 0, 2]).astype("f4" if kind == "bfloat16" else kind).tolist(), kind
        assert t.dtype == ("float32" if kind == "bfloat16" else kind) and t.array.flags.writeable
    x = np.arange(24.0, dtype="f4").reshape(2, 3, 4)
    for t, expected in zip(found["views"], [x, x.transpose(2, 0, 1), x[1], x[:, 1:, ::2], np.broadcast_to(x[0, :1], (3, 4))], strict=True):
        assert np.array_equal(t.array, expected) and t.array.strides == expected.strides
    found["views"][0].zero_()
    assert not any(t.any() for t in found["views"])
    plain = dict(a=[1, 1.5, None, True, "é", b"ab", 2**70], b=(1, 2), c={3}, d=tg.Size([2]), e=tg.float32, f=tg.device("cuda:0"), g=OrderedDict(x=1), h=2j)
    assert found["plain"] == plain and list(map(type, found["plain"].values())) == list(map(type, plain.values()))
    parameter, again, frozen, leaf, empty = found["leaves"]
    assert parameter is again and type(parameter) is nn.Parameter and parameter.tag == "mine" and parameter.requires_grad
    assert type(frozen) is nn.Parameter and not frozen.requires_grad and leaf.is_leaf and leaf.requires_grad and empty.shape == (0,)
    (parameter * 2).sum().backward()
    assert parameter.grad.tolist() == [2, 2]


def test_conjugates_of_pytorch():
    assert load(unpacked(SAVED["conjugate"])).tolist() == [1 - 2j]


@pytest.mark.parametrize("kind", ["SGD", "Adam"])
def test_a_training_of_pytorchs_goes_on(kind):
    saved = SAVED[kind.lower()]
    state = load(unpacked(saved["file"]))
    model = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1)).double()
    model.load_state_dict(state["model"])
    optimizer = getattr(optim, kind)(model.parameters())
    optimizer.load_state_dict(state["optimizer"])
    x = tg.tensor([[1.0, 2.0], [-1.0, 0.5], [0.3, -2.0]], dtype=tg.float64)
    for expected in saved["losses"]:
        optimizer.zero_grad()
        loss = (model(x) - x.sum(1, keepdim=True)).square().mean()
        loss.backward()
        optimizer.step()
        assert loss.item() == pytest.approx(expected, rel=1e-12)
    assert state["epoch"] == 3 and state["model"]._metadata[""] == {"version": 1}


@pytest.mark.parametrize("weights_only", [True, False])
def test_what_pytorch_has_and_we_have_not(weights_only):
    for name, text in dict(module=r"torch\.nn\.modules\.linear\.Linear.*state_dict", sparse="_rebuild_sparse_tensor.*to_dense").items():
        with pytest.raises(pickle.UnpicklingError, match=f"BytesIO.*{text}"):
            load(unpacked(SAVED[name]), weights_only=weights_only)


def test_live_files_of_pytorch(tmp_path):
    torch = pytest.importorskip("torch")
    state = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.BatchNorm2d(2), torch.nn.LSTM(2, 3)).state_dict()
    for old in (False, True):
        for protocol in (2, 4, 5):
            torch.save(dict(state=state, a=np.arange(3), s=np.float64(2)), tmp_path / "a.pt", pickle_protocol=protocol, _use_new_zipfile_serialization=not old)
            found = tg.load(tmp_path / "a.pt")
            assert list(found["state"]) == list(state) and all(np.array_equal(found["state"][k].array, v.numpy()) for k, v in state.items())
            assert found["a"].tolist() == [0, 1, 2] and type(found["s"]) is np.float64 and found["s"] == 2


# --- forged and damaged files ----------------------------------------------------------------------------------------


def archive(program, **storages):
    """A file like PyTorch's around a pickle of the forger's."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as entries:
        entries.writestr("archive/data.pkl", program)
        entries.writestr("archive/byteorder", storages.pop("order", "little"))
        for key, data in storages.items():
            entries.writestr(f"archive/data/{key.removeprefix('s')}", data)
    return file.getvalue()


class Evil:
    """An object whose pickle calls a function."""

    def __init__(self, function, *args):
        self.said = function, args

    def __reduce__(self):
        return self.said


def storage(key="0", count=4, kind="torch FloatStorage"):
    """The instructions that ask for a storage."""
    module, name = kind.split()
    return (b"(X\x07\0\0\0storagec" + f"{module}\n{name}\n".encode() + b"X" + struct.pack("<I", len(key)) + key.encode() + b"X\x03\0\0\0cpuJ"
            + struct.pack("<i", count) + b"tQ")  # fmt: skip


def numbers(*values):
    """The instructions for a tuple of integers."""
    return b"(" + b"".join(b"J" + struct.pack("<i", v) for v in values) + b"t"


def tensor(offset=0, shape=(2, 2), strides=(2, 1), where=None):
    """The instructions for a tensor."""
    return (b"ctorch._utils\n_rebuild_tensor_v2\n(" + (where or storage()) + b"J" + struct.pack("<i", offset) + numbers(*shape) + numbers(*strides)
            + b"\x89N" + b"tR")  # fmt: skip


FOUR = np.arange(4, dtype="<f4").tobytes()


def test_the_forgers_tools_can_also_write_good_files():
    assert load(archive(b"\x80\x02" + tensor() + b".", s0=FOUR)).tolist() == [[0, 1], [2, 3]]
    assert load(archive(b"\x80\x02" + tensor() + b".", s0=np.arange(4, dtype=">f4").tobytes(), order="big")).tolist() == [[0, 1], [2, 3]]


ran = []
EVIL = {
    "a system call": pickle.dumps(Evil(os.system, "exit 1")),
    "an evaluation": pickle.dumps(Evil(eval, "ran.append(1)"), 2),
    "a function of ours": pickle.dumps(Evil(tg.load, "file")),
    "a class that is called": b"\x80\x02cos\nsystem\n(X\x01\0\0\0xo.",
    "an old instruction": b"(S'exit 1'\nios\nsystem\n.",
    "a name from a stack": b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x01x\x85R.",
    "a path of attributes": b"\x80\x04\x8c\x0bcollections\x8c\x20OrderedDict.__init__.__globals__\x93.",
    "an extension": b"\x80\x02\x82\x01.",
    "a class of objects": b"\x80\x02cbuiltins\nobject\n)\x81.",
    "a getattr": b"\x80\x02cbuiltins\ngetattr\n.",
}


@pytest.mark.parametrize("name", EVIL)
def test_nothing_in_a_file_is_run(name, monkeypatch):
    monkeypatch.setattr(os, "system", ran.append)
    old = pickle.dumps(0x1950A86A20F9469CFC6C, 2) + pickle.dumps(1001, 2) + pickle.dumps(dict(little_endian=True), 2)
    for data in (archive(EVIL[name]), old + EVIL[name]):
        with pytest.raises(pickle.UnpicklingError, match="BytesIO") as refused:
            load(data)
        assert isinstance(refused.value, RuntimeError)
    assert not ran


def made(name, args=b")"):
    """The instructions for a call of a name."""
    module, _, function = name.rpartition(".")
    return f"c{module}\n{function}\n".encode() + args + b"R"


DAMAGED = {
    "odd arguments": made("torch._utils._rebuild_tensor_v2"),
    "no tuple of arguments": made("collections.OrderedDict", b"]"),
    "a call of a number": b"K\x01)R",
    "a call of a dtype": b"ctorch\nfloat32\n)R",
    "no such storage": tensor(where=storage("7")),
    "a path as key": tensor(where=storage("../data.pkl")),
    "a storage with another size": tensor(where=storage(count=5)),
    "a storage of negative size": tensor(where=storage(count=-1)),
    "a huge storage": tensor(where=storage(count=2**31 - 1, kind="torch DoubleStorage")),
    "a storage with two types": b"(" + storage() + storage(kind="torch IntStorage") + b"t",
    "a storage of anything": storage(kind="collections OrderedDict"),
    "a tensor beyond its storage": tensor(offset=1),
    "a tensor before its storage": tensor(offset=-1),
    "a tensor with wide strides": tensor(strides=(9, 1)),
    "a tensor with negative strides": tensor(offset=1, strides=(-2, -1)),
    "a tensor with negative sizes": tensor(shape=(-1, 2)),
    "a tensor in no storage": tensor(where=b"]"),
    "a tensor in an array": tensor(where=made("numpy._core.multiarray._reconstruct")),
    "an append to a dict": b"}K\x01a",
    "an item in a list": b"]K\x01K\x02s",
    "a key that is a list": b"}]K\x02s",
    "a key that is deep": b"}" + b")" + b"\x85" * 1000 + b"K\x02s",
    "a set of what is deep": made("builtins.set", b"(](" + b")" + b"\x85" * 1000 + b"et"),
    "state for a function": b"ctorch._utils\n_rebuild_tensor_v2\nN}X\x01\0\0\0aK\x01s\x86b",
    "state for a class": b"ctorch.nn.parameter\nParameter\nN}X\x01\0\0\0aK\x01s\x86b",
    "an empty stack": b"0",
    "nothing": b"",
    "an unknown number": b"h\x05",
    "memory for a number": made("builtins.bytearray", b"(J\xff\xff\xff\x7ft"),
    "an array without data": made("numpy._core.multiarray.scalar"),
    "a device of a list": made("torch.device", b"]\x85"),
    "no end": None,
}


@pytest.mark.parametrize("name", DAMAGED)
def test_forged_files_are_refused(name):
    program = b"\x80\x02]" if DAMAGED[name] is None else b"\x80\x02" + DAMAGED[name] + b"."
    with pytest.raises(RuntimeError, match="BytesIO.*(damaged|holds)"):
        load(archive(program, s0=FOUR))


def test_an_array_is_filled_only_once():
    """A second state would free the memory that a view of the first may look at."""
    state = b"(K\x01K\x02\x85cnumpy\ndtype\nX\x02\0\0\0f4\x85R\x89c_codecs\nencode\nX\x08\0\0\0abcdefgh\x85Rtb"
    start = b"\x80\x02" + made("numpy._core.multiarray._reconstruct") + state
    assert load(archive(start + b".")).tobytes() == b"abcdefgh"
    with pytest.raises(RuntimeError, match="no state can be given"):
        load(archive(start + state + b"."))


@pytest.mark.parametrize("file", ["zip", "old"])
def test_damage_to_files_of_pytorch(file):
    data = unpacked(SAVED[file])
    whole = repr(load(data))
    for n in (*range(0, len(data), 401), len(data) - 1):
        with pytest.raises(RuntimeError, match="BytesIO"):
            load(data[:n])
    if file == "zip":  # it has checksums; the older format has none
        for i in range(0, len(data), 151):
            damaged = bytearray(data)
            damaged[i] ^= 1 << i % 8
            try:
                assert repr(load(damaged)) == whole, i  # a date, or what fills up the space
            except RuntimeError as error:
                assert "BytesIO" in str(error)


def test_other_archives_and_pickles(tmp_path):
    def zipped(*names):
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w") as entries:
            for name in names:
                entries.writestr(name, b"")
        return file.getvalue()

    for data, text in (
        (zipped("a/data.pkl", "a/constants.pkl"), "TorchScript"), (zipped("a/b"), "no data.pkl"), (zipped("x.npy"), "load_npz"),
        (pickle.dumps({"weight": [1.0]}), "not one that torch.save wrote.*pickle.load"), (b"PK\3\4", "damaged"),
    ):  # fmt: skip
        (tmp_path / "other.pt").write_bytes(data)
        with pytest.raises(RuntimeError, match=f"other.pt.*{text}"):
            tg.load(tmp_path / "other.pt")

    class Stream(io.BytesIO):
        def seek(self, *where):
            raise io.UnsupportedOperation("a stream")

    assert tg.load(Stream(unpacked(SAVED["adam"]["file"])))["epoch"] == 3
    with gzip.open(tmp_path / "packed.gz", "wb") as file:
        file.write(pickle.dumps(41) + unpacked(SAVED["zip"]))
    with gzip.open(tmp_path / "packed.gz") as file:
        assert pickle.load(file) == 41 and tg.load(file)["plain"]["b"] == (1, 2)
    several = io.BytesIO(unpacked(SAVED["old"]) * 2 + pickle.dumps(42))
    assert tg.load(several)["plain"]["c"] == tg.load(several)["plain"]["c"] == {3} and pickle.load(several) == 42


# --- whole models ----------------------------------------------------------------------------------------------------


def doubled(module, inputs, output):
    return output * 2


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.norm = nn.Linear(2, 2), nn.BatchNorm1d(2)
        self.second = nn.Linear(2, 2)
        self.second.weight = self.first.weight
        self.first.bias.requires_grad_(False)
        self.note, self.missing = {"a", "b"}, None
        self.register_buffer("scale", tg.tensor(2.0), persistent=False)

    def forward(self, x):
        return self.second(self.norm(self.first(x))) * self.scale


def trained():
    tg.manual_seed(0)
    model = Net()
    model.first.register_forward_hook(doubled)
    optimizer = optim.Adam((p for p in model.parameters() if p.requires_grad), lr=0.1)
    scheduler = optim.lr_scheduler.StepLR(optimizer, 2)
    step(model, optimizer, scheduler)
    return dict(model=model, optimizer=optimizer, scheduler=scheduler, generator=tg.Generator().manual_seed(1))


def step(model, optimizer, scheduler, generator=None):
    x = tg.linspace(-1, 1, 6).view(3, 2) if generator is None else tg.rand(3, 2, generator=generator)
    optimizer.zero_grad()
    loss = model(x).square().sum()
    loss.backward()
    optimizer.step()
    scheduler.step()
    return loss.item()


def through_file(obj):
    return round_trip(obj, weights_only=False)


def through_pickle(obj):
    return pickle.loads(pickle.dumps(obj))


@pytest.mark.parametrize("copied", [through_file, through_pickle, copy.deepcopy])
def test_whole_models_and_all_that_points_to_them(copied):
    one = trained()
    two = copied(one)
    model = two["model"]
    assert type(model) is Net and repr(model) == repr(one["model"]) and model.note == {"a", "b"} and model.missing is None
    assert model.second.weight is model.first.weight and not model.first.bias.requires_grad and model.training
    assert model.scale.item() == 2 and "scale" not in model.state_dict() and list(model.state_dict()) == list(one["model"].state_dict())
    assert two["optimizer"].param_groups[0]["params"][0] is model.first.weight and two["scheduler"].optimizer is two["optimizer"]
    assert [step(**two) for _ in range(4)] == [step(**one) for _ in range(4)]
    assert model.first.weight is not one["model"].first.weight
    assert not copied(one["model"].eval()).training


def test_whole_models_are_asked_for(tmp_path):
    tg.save(dict(model=Net(), epoch=3), tmp_path / "net.pt")
    with pytest.raises(pickle.UnpicklingError, match=r"net\.pt' holds a .*\.Net, .*weights_only=False.*add_safe_globals.*state_dict"):
        tg.load(tmp_path / "net.pt")
    assert tg.load(tmp_path / "net.pt", weights_only=False)["epoch"] == 3
    data = bytearray((tmp_path / "net.pt").read_bytes())
    data[-50] ^= 1
    (tmp_path / "net.pt").write_bytes(data)
    with pytest.raises(RuntimeError, match="checksum"):
        tg.load(tmp_path / "net.pt", weights_only=False)


def test_plain_data_needs_no_pickle(monkeypatch):
    monkeypatch.setattr(pickle, "Pickler", None)
    parameter = nn.Parameter(tg.ones(1))
    parameter.tag = dict(a=1)
    state = dict(model=nn.Linear(2, 2).state_dict(), p=parameter, dtype=tg.float32, other=tg.bfloat16, numpy=np.dtype("f4"))
    found = round_trip(state)
    assert found["p"].tag == dict(a=1) and found["dtype"] is tg.float32 and found["other"] is tg.bfloat16 and found["numpy"] == np.dtype("f4")


def test_what_a_pickle_holds_that_is_harmless():
    parameter = nn.Parameter(tg.ones(1))
    parameter.tag = {1}
    found = round_trip([{1, 2}, tg.ones(2), parameter, np.arange(3), np.float32(2), tg.Size([1]), tg.float16, tg.bfloat16, frozenset([3]), bytearray(b"a")])
    assert found[0] == {1, 2} and found[2].tag == {1} and type(found[2]) is nn.Parameter and found[3].tolist() == [0, 1, 2]
    assert found[5:] == [tg.Size([1]), tg.float16, tg.bfloat16, {3}, bytearray(b"a")]


def test_classes_that_are_allowed():
    file = archive(pickle.dumps(argparse.Namespace(lr=0.5), 2))
    with pytest.raises(RuntimeError, match="argparse.Namespace"):
        load(file)
    assert load(file, weights_only=False).lr == 0.5
    with serialization.safe_globals([argparse.Namespace]):
        assert load(file).lr == 0.5 and round_trip(argparse.Namespace(w=tg.ones(2))).w.tolist() == [1, 1]
        assert serialization.get_safe_globals() == [argparse.Namespace]
    assert serialization.get_safe_globals() == []
    serialization.add_safe_globals([(argparse.Namespace, "a.b")])
    serialization.clear_safe_globals()
    with pytest.raises(RuntimeError, match="argparse.Namespace"):
        load(file)


def test_a_pickle_module_of_ones_own():
    class Other:
        Pickler, Unpickler = pickle._Pickler, pickle._Unpickler

    file = io.BytesIO()
    tg.save({1, 2}, file, pickle_module=Other, pickle_protocol=2)
    assert load(file.getvalue(), pickle_module=Other) == {1, 2} == load(file.getvalue())
    with pytest.raises(RuntimeError, match="one of the two"):
        load(file.getvalue(), pickle_module=Other, weights_only=True)
    assert load(unpacked(SAVED["old"]), pickle_module=Other)["plain"]["b"] == (1, 2)


def test_errors_of_pickles_teach(monkeypatch):
    with pytest.raises(Exception, match="lambda") as error:
        tg.save(dict(a=lambda: 1), io.BytesIO())
    assert "obj['a']" in error.value.__notes__[0] and "top of a module" in error.value.__notes__[0]
    file = io.BytesIO()
    tg.save(Net(), file)
    monkeypatch.delitem(globals(), "Net")
    with pytest.raises(AttributeError, match="Net") as error:
        load(file.getvalue(), weights_only=False)
    assert "define or import" in error.value.__notes__[0]


def test_parametrized_modules_say_what_to_do():
    model = nn.utils.parametrizations.weight_norm(nn.Linear(2, 2))
    with pytest.raises(RuntimeError, match="state_dict"):
        tg.save(model, io.BytesIO())
    assert copy.deepcopy(model)(tg.ones(1, 2)).tolist() == model(tg.ones(1, 2)).tolist()


# --- tensors ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("copied", [round_trip, copy.deepcopy])
def test_views_share_their_memory_again(copied):
    numbers = tg.arange(1, 10)
    numbers, evens, last = copied([numbers, numbers[1::2], numbers[8:]])
    evens *= 2
    assert numbers.tolist() == [1, 4, 3, 8, 5, 12, 7, 16, 9] and evens.tolist() == [4, 8, 12, 16]
    last.fill_(0)
    assert numbers[8] == 0
    x = tg.arange(6.0).view(2, 3)
    x, turned, flat, wide = copied([x, x.T, x.detach().view(6), tg.ones(2, 1).expand(2, 3)])
    x.zero_()
    assert not turned.any() and not flat.any() and turned.stride() == (1, 3) and wide.stride() == (1, 0)


@pytest.mark.parametrize("copied", [round_trip, copy.deepcopy, lambda pair: [pair[0], copy.copy(pair[0])[2:]], lambda _: PARTS()])
def test_tensors_in_one_memory_know_of_each_other(copied):
    x = tg.arange(1.0, 5.0)
    whole, part = copied([x, x[2:]])
    assert part.storage_offset() == 2 and whole.storage_offset() == 0
    w = tg.ones(2, requires_grad=True)
    numbers = whole.numpy()
    y = (w * part).sum()
    numbers[:] = 0  # so the graph has kept a copy
    y.backward()
    assert w.grad.tolist() == [3, 4]
    x = tg.arange(1.0, 5.0)
    whole, part = copied([x, x[2:]])
    part.mul_(w)
    assert part.requires_grad and not whole.requires_grad


def PARTS():
    """A tensor and a part of it, from a file of PyTorch's."""
    values = np.arange(1, 5, dtype="<f4").tobytes()
    return list(load(archive(b"\x80\x02(" + tensor(shape=(4,), strides=(1,)) + tensor(offset=2, shape=(2,), strides=(1,)) + b"t.", s0=values)))


def test_expanded_tensors_are_not_overwritten():
    with pytest.raises((RuntimeError, ValueError)):
        round_trip(tg.ones(2, 1).expand(2, 3)).add_(1)


def test_byte_orders_of_numpy():
    big = np.dtype(">f4")
    arrays = [np.array([1.5], big), np.array([2.5], big), np.array([3], "<i2"), np.array([4], ">i2")[0]]
    assert [x.item() for x in load(archive(pickle.dumps(arrays, 2)))] == [1.5, 2.5, 3, 4]


def test_parameters_of_pytorch_with_attributes_and_in_one_memory():
    state = b"}(X\x03\0\0\0sumK\x01X\x03\0\0\0tagK\x02u"
    p = load(archive(b"\x80\x02" + made("torch._utils._rebuild_parameter_with_state", b"(" + tensor() + b"\x88N" + state + b"t") + b".", s0=FOUR))
    assert p.sum().item() == 6 and p.tag == 2 and type(p) is nn.Parameter
    second = made("torch._utils._rebuild_parameter", b"(" + tensor(offset=2, shape=(2,), strides=(1,)) + b"\x88Nt")
    _, p = load(archive(b"\x80\x02(" + tensor() + second + b"t.", s0=FOUR))
    assert p.storage_offset() == 2 and p.requires_grad


def test_small_parts_of_large_memory_are_saved_alone():
    large, file = tg.zeros(10_000), io.BytesIO()
    tg.save([large[:5], large[9_000:9_005]], file)
    assert len(file.getvalue()) < 1000


def test_writes_through_loaded_views_are_noticed():
    w = tg.ones(4)
    a, b = round_trip([w.requires_grad_(), w.detach()[:2]])
    y = (a * a).sum()
    b.zero_()
    with pytest.raises(RuntimeError, match="overwritten"):
        y.backward()


def test_attributes_and_kinds_travel():
    parameter = nn.Parameter(tg.ones(2) * (1 + 2j))
    leaf = (tg.ones(2) * 1j).requires_grad_()
    for copied in (through_file, through_pickle, copy.deepcopy, copy.copy):
        p, z = copied(parameter), copied(leaf)
        assert isinstance(p, nn.Parameter) and p.requires_grad and p.tolist() == [1 + 2j] * 2
        assert z.requires_grad and z.is_leaf and z.tolist() == [1j] * 2
        (p.abs() + z.abs()).sum().backward()
        assert p.grad is not None
    tagged = nn.Parameter(tg.ones(2))
    tagged.tag = "mine"
    x = tg.ones(2, requires_grad=True)
    x.grad = tg.ones(2)
    assert [c(tagged).tag for c in (round_trip, through_pickle, copy.deepcopy, copy.copy)] == ["mine"] * 4
    assert copy.deepcopy(x).grad.tolist() == [1, 1] and through_pickle(x).grad is None
    assert not through_pickle(nn.Buffer(tg.ones(1), persistent=False)).persistent


def test_results_of_a_graph():
    y = tg.ones(2, requires_grad=True) * 2
    with pytest.raises(RuntimeError, match="only leaves"):
        copy.deepcopy([y])
    for copied in (round_trip, through_pickle):
        z = copied(y)
        assert z.is_leaf and z.requires_grad and z.tolist() == [2, 2]
    x = tg.arange(3.0)
    same = copy.copy(x)
    same[0] = 9
    assert same is not x and x[0] == 9


def test_copies_of_optimizers_leave_hooks_behind():
    optimizer = optim.SGD([tg.ones(40_000, requires_grad=True)], lr=0.1, weight_decay=0.1)
    optimizer.register_step_pre_hook(lambda *args: None)
    optimizer.param_groups[0]["params"][0].sum().backward()
    optimizer.step()
    data = pickle.dumps(optimizer)
    assert len(data) < 170_000  # the parameter, and no scratch memory
    assert pickle.loads(data).param_groups[0]["lr"] == 0.1


class Older(optim.SGD):
    """As optimizers of one's own are written for PyTorch: options that older states lack get a value."""

    def __setstate__(self, state):
        super().__setstate__(state)
        for group in self.param_groups:
            group.setdefault("bound", 3)


def test_optimizers_of_ones_own_complete_older_states():
    optimizer = Older([tg.ones(2, requires_grad=True)], lr=0.1)
    optimizer.load_state_dict(optimizer.state_dict())
    assert optimizer.param_groups[0].pop("bound") == 3
    assert pickle.loads(pickle.dumps(optimizer)).param_groups[0]["bound"] == 3


def test_hooks_of_a_loaded_model_are_not_replaced(monkeypatch):
    from itertools import count

    model = nn.Linear(2, 2)
    model.register_forward_hook(doubled)
    (number,) = model._forward_hooks
    monkeypatch.setattr("tinygrad_edu.autograd.grad_fn.handle_ids", count(number))  # as in a new process
    loaded = through_file(model)
    loaded.register_forward_hook(doubled)
    assert tg.equal(loaded(tg.ones(1, 2)), model(tg.ones(1, 2)) * 2)


# --- weights from an address -----------------------------------------------------------------------------------------


def test_downloads_are_checked(tmp_path):
    import hashlib

    from tinygrad_edu import hub

    data = unpacked(SAVED["adam"]["file"])
    digits = hashlib.sha256(data).hexdigest()[:8]
    for name in (f"net-{digits}.pth", "net-00000000.pth", "net.pth"):
        (tmp_path / name).write_bytes(data)
    good, bad, plain = ((tmp_path / name).as_uri() for name in (f"net-{digits}.pth", "net-00000000.pth", "net.pth"))
    assert hub.load_state_dict_from_url(good, tmp_path / "models", check_hash=True)["epoch"] == 3
    assert hub.load_state_dict_from_url(plain, tmp_path / "models", check_hash=True, map_location="cpu")["epoch"] == 3
    with pytest.raises(RuntimeError, match="invalid hash value"):
        hub.load_state_dict_from_url(bad, tmp_path / "models", check_hash=True)
    with pytest.raises(RuntimeError, match="invalid hash value"):
        hub.download_url_to_file(plain, tmp_path / "copy.pth", hash_prefix="0")
    assert sorted(os.listdir(tmp_path / "models")) == [f"net-{digits}.pth", "net.pth"] and not (tmp_path / "copy.pth").exists()
    hub.download_url_to_file(plain, tmp_path / "copy.pth", hash_prefix=digits)
    assert (tmp_path / "copy.pth").read_bytes() == data
