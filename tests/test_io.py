"""Checkpoints: what is saved comes back, or an error that names the file; whatever happens, the old file or the new one."""

import errno
import io
import json
import os
import pickle
import stat
import struct
import subprocess
import sys
import textwrap
import threading
import zipfile
from collections import Counter, OrderedDict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_edu as tg
from tinygrad_edu import nn, optim


def equal(a, b):
    """The same values of the same types, all the way down."""
    if type(a) is not type(b):
        return False
    if isinstance(a, tg.Tensor):
        return a.dtype == b.dtype and a.requires_grad == b.requires_grad and equal(np.asarray(a.array), np.asarray(b.array))
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes() and a.flags.f_contiguous == b.flags.f_contiguous
    if isinstance(a, dict):
        return list(a) == list(b) and all(equal(a[k], b[k]) for k in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(equal, a, b))
    return a == b or a != a and b != b


def round_trip(obj):
    file = io.BytesIO()
    tg.save(obj, file)
    file.seek(0)
    return tg.load(file)


LETTERS = "aé☃😀\x00\"\\{"
leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text(LETTERS, max_size=5) | st.binary(max_size=5) | st.complex_numbers()
keys = st.text(LETTERS, max_size=3) | st.integers() | st.booleans() | st.none() | st.tuples(st.integers(), st.text(LETTERS, max_size=2))
trees = st.recursive(leaves, lambda t: st.lists(t, max_size=3) | st.tuples(t, t) | st.dictionaries(keys, t, max_size=3), max_leaves=8)


@given(trees)
def test_plain_data_comes_back(tree):
    assert equal(round_trip(tree), tree)


DTYPES = ["float16", "float32", "float64", "int8", "int16", "int32", "int64", "uint8", "bool", "complex64", "complex128"]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 3), (2, 0, 3)])
def test_arrays_come_back(dtype, shape, tmp_path):
    values = (np.arange(np.prod(shape, dtype=int)) * 3 + 1).reshape(shape).astype(dtype)
    obj = [tg.tensor(values), values, np.asfortranarray(values), values.T, values[..., None][..., 0], values.astype(values.dtype.newbyteorder(">"))]
    for loaded in (round_trip(obj), (tg.save(obj, tmp_path / "a"), tg.load(tmp_path / "a"))[1]):
        assert equal(loaded[:5], obj[:5])
        assert loaded[5].dtype == values.dtype and np.array_equal(loaded[5], values)


def test_odd_values_come_back():
    strided = np.arange(24.0).reshape(4, 6)[::2, ::-3]
    obj = OrderedDict(a=np.float32(1.5), b=np.int64(-3), c=tg.float32, d=Counter("aab"), e=tg.ones(2, 3).shape, f=-0.0, g=10**300,
                      h="\ud800", i=np.bool_(True), j=tg.tensor(2.5), k=float("inf"))  # fmt: skip
    assert equal(round_trip(obj), obj)
    assert np.array_equal(round_trip(strided), strided)
    assert np.signbit(round_trip(obj)["f"])
    assert tg.tensor(1.0).exp().array.shape == () and round_trip(tg.tensor(0.0).exp()).item() == 1


def test_tensors_keep_what_they_are():
    w, p = tg.ones(2, requires_grad=True), nn.Parameter(tg.ones(2))
    frozen = nn.Parameter(tg.ones(2), requires_grad=False)
    a, b, c, d = round_trip([w, p, frozen, w * 2])
    assert a.requires_grad and a.is_leaf and isinstance(b, nn.Parameter) and b.requires_grad and d.is_leaf
    assert isinstance(c, nn.Parameter) and not c.requires_grad
    a.sum().backward()
    assert a.grad.tolist() == [1, 1]
    with tg.no_grad():
        a.add_(1)  # memory of its own, which can be written
    assert b.tolist() == [1, 1]


def test_tied_tensors_stay_tied():
    w = tg.ones(2, 3)
    state = dict(a=w, b=w, c=w.detach(), d=w[:1])
    loaded = round_trip(state)
    assert loaded["a"] is loaded["b"] and loaded["c"] is not loaded["a"]
    loaded["a"].zero_()
    assert loaded["c"].sum().item() == 0 and loaded["d"].sum().item() == 0
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    model[1].weight = model[0].weight
    file = io.BytesIO()
    tg.save(model.state_dict(), file)
    loaded = round_trip(model.state_dict())
    assert np.shares_memory(loaded["0.weight"].array, loaded["1.weight"].array)


def test_a_training_run_continues_where_it_was_saved(tmp_path):
    path = tmp_path / "checkpoint.tg"

    def run(steps, resume):
        tg.manual_seed(1)
        model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))
        optimizer = optim.Adam(model.parameters(), lr=0.1, amsgrad=True)
        scheduler = optim.lr_scheduler.MultiStepLR(optimizer, [2, 5], 0.5)
        if resume:
            state = tg.load(path)
            model.load_state_dict(state["model"])
            optimizer.load_state_dict(state["optimizer"])
            scheduler.load_state_dict(state["scheduler"])
            tg.set_rng_state(state["random"])
        losses = []
        for _ in range(steps):
            optimizer.zero_grad()
            loss = (model(tg.randn(5, 3)) ** 2).mean()
            loss.backward()
            optimizer.step()
            scheduler.step()
            losses.append(loss.item())
        tg.save(dict(model=model.state_dict(), optimizer=optimizer.state_dict(), scheduler=scheduler.state_dict(),
                     random=tg.get_rng_state()), path)  # fmt: skip
        return losses

    whole = run(8, False)
    assert run(4, False) + run(4, True) == whole


def test_file_objects_hold_several(tmp_path):
    with open(tmp_path / "several", "wb") as file:
        for i in range(3):
            tg.save([tg.full((2,), i)], file)
    with open(tmp_path / "several", "rb") as file:
        assert [tg.load(file)[0][0].item() for _ in range(3)] == [0, 1, 2]


def test_options_of_torch_are_accepted(tmp_path):
    tg.save([1], tmp_path / "a")
    for where in (None, "cpu", tg.device("cpu"), {"cuda:0": "cpu"}, lambda storage, location: storage):
        assert tg.load(str(tmp_path / "a"), map_location=where, weights_only=True) == [1]
    assert tg.load(tmp_path / "a", weights_only=False) == [1]
    with pytest.raises(RuntimeError, match="CPU"):
        tg.load(tmp_path / "a", map_location="cuda")


# --- damage ----------------------------------------------------------------------------------------------------------

SAMPLE = dict(w=tg.arange(5.0), n=[1, "two", None])


def sample(tmp_path):
    path = tmp_path / "sample.tg"
    tg.save(SAMPLE, path)
    return path, path.read_bytes()


def test_every_flipped_bit_is_an_error(tmp_path):
    path, data = sample(tmp_path)
    for i in range(len(data)):
        for bit in range(8) if i < 32 else (0, 5, 7):
            damaged = bytearray(data)
            damaged[i] ^= 1 << bit
            with pytest.raises(RuntimeError, match="BytesIO"):
                tg.load(io.BytesIO(damaged))
        path.write_bytes(damaged)
        with pytest.raises(RuntimeError, match="sample.tg"):
            tg.load(path)


def test_every_truncation_and_extension_is_an_error(tmp_path):
    path, data = sample(tmp_path)
    for n in range(len(data)):
        with pytest.raises(RuntimeError, match="BytesIO"):
            tg.load(io.BytesIO(data[:n]))
    for wrong in (data[:-1], data[:40], data[:10], data + b"\0"):
        path.write_bytes(wrong)
        with pytest.raises(RuntimeError, match=r"sample.tg.* (damaged|cut short)"):
            tg.load(path)


def forged(description, body=b"", length=None, total=None):
    """A file with right checksums around a description of the forger's."""
    import hashlib

    text = description if isinstance(description, bytes) else json.dumps(description).encode()
    size = 24 + len(text) + 32 + len(body) + 32
    start = struct.pack("<8sQQ", b"\x93tgedu\r\n", len(text) if length is None else length, size if total is None else total) + text
    data = start + hashlib.sha256(start).digest() + body
    return data + hashlib.sha256(data).digest()


def described(content, arrays=(), tensors=()):
    return dict(content=content, arrays=list(arrays), tensors=list(tensors))


FORGED = {
    "not json": forged(b"{"),
    "no object": forged([1]),
    "deep": forged(b'{"content":' + b"[" * 100_000),
    "unknown kind": forged(described({"eval": "1"})),
    "two kinds": forged(described({"list": [], "tuple": []})),
    "bare list": forged(described([1])),
    "no such array": forged(described({"array": 0})),
    "negative number": forged(described({"array": -1}, [["<f4", [], "C"]]), b"\0" * 4),
    "a huge array": forged(described({"array": 0}, [["<f8", [2**40, 2**20], "C"]])),
    "a huge file": forged(described({"array": 0}, [["<f8", [2**40], "C"]]), total=2**43 + 200),
    "a huge description": forged(described(1), length=2**62),
    "a huge total": forged(described(1), total=2**64 - 1),
    "a negative size": forged(described({"array": 0}, [["<f8", [-1], "C"]])),
    "empty but huge": forged(described({"array": 0}, [["<f8", [0, 2**62, 2**62], "C"]])),
    "too many dimensions": forged(described({"array": 0}, [["<f8", [1] * 100, "C"]]), b"\0" * 8),
    "objects": forged(described({"array": 0}, [["|O", [1], "C"]]), b"\0" * 8),
    "records": forged(described({"array": 0}, [["<f4,<f4", [1], "C"]]), b"\0" * 8),
    "bytes left over": forged(described(1), b"more"),
    "a key that is a list": forged(described({"dict": [[{"list": []}, 1]]})),
    "no bytes": forged(described({"bytes": "!"})),
    "fractional size": forged(described({"array": 0}, [["<f4", [1.0], "C"]]), b"\0" * 4),
}


@pytest.mark.parametrize("name", FORGED)
def test_forged_files_are_refused(name, tmp_path):
    path = tmp_path / "forged.tg"
    path.write_bytes(FORGED[name])
    for file, text in ((path, "forged.tg"), (io.BytesIO(FORGED[name]), "BytesIO")):
        with pytest.raises(RuntimeError, match=text):
            tg.load(file)


def test_the_forgers_tool_can_also_write_good_files():
    assert tg.load(io.BytesIO(forged(described({"array": 0}, [["<f4", [2], "C"]]), np.ones(2, "<f4").tobytes()))).tolist() == [1, 1]


def foreign_files(folder):
    np.savez(folder / "archive", x=np.ones(2))
    np.save(folder / "array", np.ones(2))
    (folder / "empty").write_bytes(b"")
    (folder / "text").write_text("weights = [1, 2]")
    tg.io.save_safetensors(dict(x=tg.ones(1)), folder / "safe")
    os.rename(folder / "archive.npz", folder / "archive")
    return {"archive": "load_npz", "array.npy": "NumPy array", "empty": "empty", "text": "begins with", "safe": "load_safetensors"}


def test_foreign_files_are_named(tmp_path):
    for name, text in foreign_files(tmp_path).items():
        with pytest.raises(RuntimeError, match=f"{name}.*{text}"):
            tg.load(tmp_path / name)
    with pytest.raises(FileNotFoundError, match="nowhere.tg"):
        tg.load(tmp_path / "nowhere.tg")


class Opaque:
    def __reduce__(self):
        raise TypeError("there is no way to pickle this")


cycle: list = []
cycle.append(cycle)


def test_an_object_that_contains_itself():
    found = io.BytesIO()
    tg.save(cycle, found)
    (inner,) = loaded = tg.load(io.BytesIO(found.getvalue()))
    assert inner is loaded


@pytest.mark.parametrize("obj, error", [(dict(a=[1, Opaque()]), TypeError), (lambda: 1, (AttributeError, pickle.PicklingError))])
def test_unsaveable_objects_leave_the_old_file(obj, error, tmp_path):
    path, data = sample(tmp_path)
    with pytest.raises(error) as raised:
        tg.save(obj, path)
    assert "save: obj" in raised.value.__notes__[0]
    assert path.read_bytes() == data and os.listdir(tmp_path) == ["sample.tg"]


# --- the old file or the new one -------------------------------------------------------------------------------------

CALLS = ["open", "write", "fsync", "close", "replace", "fchmod"]
FORMATS = ["a.tg", "a.safetensors", "a.npz"]


def count_calls(monkeypatch, strike):
    """Call strike(i, name) before the i-th call of the operating system that a save makes."""
    made = []

    def wrapped(name, call):
        def run(*args, **kwargs):
            made.append(name)
            strike(len(made), name)
            return call(*args, **kwargs)

        return run

    fake = type("os", (), {**vars(os)})
    for name in CALLS:
        setattr(fake, name, staticmethod(wrapped(name, getattr(os, name))))
    monkeypatch.setattr(tg.io.files, "os", fake)
    return made


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()], ids=["disk full", "Ctrl-C"])
def test_a_failure_at_any_call_leaves_the_old_file_or_the_new_one(name, error, tmp_path, monkeypatch):
    path = tmp_path / name
    old, new = dict(w=tg.zeros(3)), dict(w=tg.ones(3))
    i, outcomes = 0, set()
    while True:
        i += 1
        tg.save(old, path)

        def strike(number, call, i=i):
            if number == i:
                raise error

        with monkeypatch.context() as patch:
            made = count_calls(patch, strike)
            failed = None
            try:
                tg.save(new, path)
            except (OSError, KeyboardInterrupt) as caught:
                failed = caught
        found = tg.load(path)["w"].tolist()
        assert os.listdir(tmp_path) == [name] or (len(made) == i and made[-1] == "close")  # nothing is left beside it
        for leftover in set(os.listdir(tmp_path)) - {name}:
            os.unlink(tmp_path / leftover)
        if len(made) < i:
            assert failed is None and found == [1, 1, 1]
            assert made.index("write") < made.index("fsync") < made.index("replace") < len(made) - made[::-1].index("fsync")
            break
        replaced = "replace" in made[:-1]
        assert found == ([1, 1, 1] if replaced else [0, 0, 0])
        assert failed is error or replaced  # after the replacement only the folder's fsync can fail, and may
        outcomes.add(replaced)
    assert outcomes == {True, False} and i > 5


KILL = """
    import os, signal, sys
    import tinygrad_edu as tg

    path, killed_at = sys.argv[1], 0
    old, new = dict(w=tg.zeros(3)), dict(w=tg.ones(3))
    finished = False
    while not finished:
        killed_at += 1
        tg.save(old, path)
        child = os.fork()
        if child == 0:
            calls = 0
            class Struck:
                def __getattr__(self, name):
                    call = getattr(os, name)
                    if name not in ("open", "write", "fsync", "close", "replace", "fchmod", "unlink"):
                        return call
                    def run(*args, **kwargs):
                        global calls
                        calls += 1
                        if calls == killed_at:
                            if name == "write":
                                call(args[0], bytes(args[1])[: len(args[1]) // 2])
                            os.kill(os.getpid(), signal.SIGKILL)
                        return call(*args, **kwargs)
                    return run
            tg.io.files.os = Struck()
            tg.save(new, path)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        finished = status == 0
        print(int(tg.load(path)["w"].sum().item()), end=" ")
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this test starts processes with fork")
def test_kill_at_any_call_leaves_the_old_file_or_the_new_one(tmp_path):
    """`kill -9` before every call of the operating system, and in the middle of every write."""
    program = textwrap.dedent(KILL)
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path / "a.tg")], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    found = done.stdout.split()
    assert set(found) == {"0", "3"} and found == sorted(found) and len(found) > 8


def test_a_reader_beside_a_writer_sees_whole_files(tmp_path):
    path = tmp_path / "shared.tg"
    tg.save(tg.zeros(20_000), path)
    failures, stop = [], threading.Event()

    def read():
        try:
            while not stop.is_set():
                values = tg.load(path).numpy()
                assert (values == values[0]).all()
        except Exception as error:
            failures.append(error)

    readers = [threading.Thread(target=read) for _ in range(2)]
    for thread in readers:
        thread.start()
    for i in range(40):
        tg.save(tg.full((20_000,), float(i)), path)
    stop.set()
    for thread in readers:
        thread.join()
    assert not failures and os.listdir(tmp_path) == ["shared.tg"]


def test_two_writers_do_not_mix(tmp_path):
    path = tmp_path / "shared.tg"
    writers = [threading.Thread(target=lambda i=i: [tg.save(tg.full((5000,), float(i)), path) for _ in range(10)]) for i in range(3)]
    for thread in writers:
        thread.start()
    for thread in writers:
        thread.join()
    values = tg.load(path).numpy()
    assert (values == values[0]).all() and os.listdir(tmp_path) == ["shared.tg"]


@pytest.mark.skipif(os.name != "posix", reason="permissions and links of POSIX")
def test_permissions_umask_and_links(tmp_path):
    path, link = tmp_path / "a.tg", tmp_path / "link.tg"
    before = os.umask(0o027)
    try:
        tg.save([1], path)
        assert stat.S_IMODE(path.stat().st_mode) == 0o640
        path.chmod(0o604)
        link.symlink_to(path)
        tg.save([2], link)
    finally:
        os.umask(before)
    assert link.is_symlink() and tg.load(path) == [2] and stat.S_IMODE(path.stat().st_mode) == 0o604
    dangling = tmp_path / "dangling.tg"
    dangling.symlink_to(tmp_path / "new.tg")
    tg.save([3], dangling)
    assert dangling.is_symlink() and tg.load(tmp_path / "new.tg") == [3]
    tg.save([1], "/dev/null")
    with pytest.raises(IsADirectoryError, match="folder"):
        tg.save([1], tmp_path)
    with pytest.raises(FileNotFoundError, match="missing"):
        tg.save([1], tmp_path / "missing" / "a.tg")


# --- other formats ---------------------------------------------------------------------------------------------------

STATE = {"a.weight": np.arange(6.0, dtype="f4").reshape(2, 3).T, "b/../c": np.array(3), "d": np.zeros((0, 2), "f8"), "file": np.array([True]),
         "e": np.arange(4, dtype=">f4")[::2]}  # fmt: skip


@pytest.mark.parametrize("ending", [".safetensors", ".npz"])
def test_state_dicts_in_other_formats(ending, tmp_path):
    path = tmp_path / f"w{ending}"
    tg.save({k: tg.tensor(v) for k, v in STATE.items()}, path)
    loaded = tg.load(path)
    assert list(loaded) == list(STATE)
    for name, value in STATE.items():
        assert loaded[name].shape == value.shape and np.array_equal(loaded[name].numpy(), value)
        assert loaded[name].dtype == value.dtype.newbyteorder("=")
    assert os.listdir(tmp_path) == [path.name]
    model, twin = nn.Linear(3, 2), nn.Linear(3, 2)
    tg.save(model.state_dict(), path)
    twin.load_state_dict(tg.load(path))
    assert np.array_equal(twin.weight.tolist(), model.weight.tolist())
    with tg.no_grad():
        tg.load(path)["weight"].add_(1)


def test_npz_is_numpys(tmp_path):
    tg.save(STATE, tmp_path / "w.npz")
    with np.load(tmp_path / "w.npz") as archive:
        assert all(np.array_equal(archive[name], value) for name, value in STATE.items())
    np.savez_compressed(tmp_path / "v.npz", x=np.asfortranarray(np.arange(6.0).reshape(2, 3)))
    assert tg.load(tmp_path / "v.npz")["x"].tolist() == [[0, 1, 2], [3, 4, 5]]


def test_safetensors_are_those_of_the_library(tmp_path):
    library = pytest.importorskip("safetensors.numpy")
    state = {k: v.astype(v.dtype.newbyteorder("=")) for k, v in STATE.items()}
    tg.save(state, tmp_path / "w.safetensors")
    loaded = library.load_file(tmp_path / "w.safetensors")
    assert all(np.array_equal(loaded[k], v) and loaded[k].dtype == v.dtype for k, v in state.items())
    library.save_file({k: np.ascontiguousarray(v).reshape(v.shape) for k, v in state.items()}, tmp_path / "v.safetensors")
    again = tg.load(tmp_path / "v.safetensors")
    assert all(np.array_equal(again[k].numpy(), v) for k, v in state.items())


def test_weights_travel_to_torch_and_back(tmp_path):
    torch = pytest.importorskip("torch")
    library = pytest.importorskip("safetensors.torch")
    ours, theirs = nn.Linear(3, 2), torch.nn.Linear(3, 2)
    tg.save(ours.state_dict(), tmp_path / "w.safetensors")
    theirs.load_state_dict(library.load_file(tmp_path / "w.safetensors"))
    assert theirs.weight.tolist() == ours.weight.tolist()
    library.save_file({"x": torch.tensor([1.5, -2.0, 3e38], dtype=torch.bfloat16)}, tmp_path / "b.safetensors")
    x = tg.load(tmp_path / "b.safetensors")["x"]
    assert x.dtype == tg.float32 and x.tolist() == torch.tensor([1.5, -2.0, 3e38], dtype=torch.bfloat16).tolist()


def test_every_flipped_bit_of_our_safetensors_is_an_error(tmp_path):
    file = io.BytesIO()
    tg.io.save_safetensors(dict(x=tg.arange(3.0), y=tg.ones(2, dtype=tg.int64)), file)
    data = file.getvalue()
    length = struct.unpack("<Q", data[:8])[0]
    for i in range(len(data)):
        damaged = bytearray(data)
        damaged[i] ^= 1 << i % 8
        if b"sha256" not in damaged or 8 <= i < 8 + length and damaged[8 : 8 + length].isspace():
            continue
        try:
            loaded = tg.io.load_safetensors(io.BytesIO(damaged))
        except RuntimeError as error:
            assert "BytesIO" in str(error)
        else:  # only a bit that means nothing: in the format's name, or between the tokens
            assert loaded["x"].tolist() == [0, 1, 2] and loaded["y"].tolist() == [1, 1]


def safe(header, data=b"", length=None):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def row(dtype="F32", shape=(1,), begin=0, end=4):
    return dict(dtype=dtype, shape=list(shape), data_offsets=[begin, end])


BAD_SAFE = [
    b"", b"123", safe(b"{"), safe({}, length=2**63), safe({}, length=50), safe([1]), safe({"x": 1}),
    safe({"x": row()}), safe({"x": row(end=8)}, b"\0" * 8), safe({"x": row(begin=4, end=8)}, b"\0" * 8), safe({"x": row("F8_E4M3")}, b"\0" * 4),
    safe({"x": row(), "y": row()}, b"\0" * 4), safe({"x": row(shape=[2**62, 4])}, b"\0" * 4), safe({"x": row(shape=[-1])}, b"\0" * 4),
    safe({"x": row()}, b"\0" * 5), safe({"x": row(shape=[1.0])}, b"\0" * 4), safe(b'{"x":' + b"[" * 50_000),
]  # fmt: skip


@pytest.mark.parametrize("data", BAD_SAFE)
def test_bad_safetensors_are_refused(data, tmp_path):
    path = tmp_path / "bad.safetensors"
    path.write_bytes(data)
    with pytest.raises(RuntimeError, match=r"bad\.safetensors"):
        tg.load(path)
    with pytest.raises(RuntimeError, match="BytesIO"):
        tg.io.load_safetensors(io.BytesIO(data))


def npz(entries):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in entries.items():
            archive.writestr(name, data)
    return file.getvalue()


def npy(header, data=b""):
    text = (header + " " * (63 - (len(header) + 10) % 64) + "\n").encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + data


BAD_NPZ = [
    b"", b"PK\x03\x04 no archive", npz({"x.npy": b"text"}), npz({"x.npy": npy("{'descr': '|O', 'fortran_order': False, 'shape': (1,)}", b"\x80")}),
    npz({"x.npy": npy("{'descr': '<f8', 'fortran_order': False, 'shape': (1099511627776,)}", b"\0" * 8)}),
    npz({"x.npy": npy("{'descr': '<f8', 'fortran_order': False, 'shape': (1,)}", b"\0" * 9)}),
    npz({"x.npy": npy("__import__('os')")}), npz({"x.npy": np.lib.format.magic(1, 0)}),
]  # fmt: skip


@pytest.mark.parametrize("data", BAD_NPZ)
def test_bad_npz_are_refused(data, tmp_path):
    path = tmp_path / "bad.npz"
    path.write_bytes(data)
    with pytest.raises(RuntimeError, match=r"bad\.npz"):
        tg.load(path)


OTHER_ERRORS = [
    (lambda path: tg.save(dict(a=[1]), path), "'a' is a list.*flat dict of tensors"),
    (lambda path: tg.save([tg.ones(1)], path), "expected a dict of tensors"),
    (lambda path: tg.save(nn.Linear(1, 1), path), r"state_dict\(\)"),
    (lambda path: tg.save({1: tg.ones(1)}, path), "must be strings"),
    (lambda path: tg.save(dict(a=np.array(["x"])), path), "only arrays of numbers"),
]


@pytest.mark.parametrize("ending", [".safetensors", ".npz"])
@pytest.mark.parametrize("attempt, text", OTHER_ERRORS)
def test_what_other_formats_cannot_hold(attempt, text, ending, tmp_path):
    with pytest.raises(TypeError, match=text):
        attempt(tmp_path / f"w{ending}")
    assert not os.listdir(tmp_path)


def test_a_name_that_safetensors_reserves():
    with pytest.raises(TypeError, match="__metadata__"):
        tg.io.save_safetensors({"__metadata__": tg.ones(1)}, io.BytesIO())
    with pytest.raises(TypeError, match="complex128"):
        tg.io.save_safetensors({"x": np.ones(1, complex)}, io.BytesIO())


def test_a_system_that_writes_in_parts(tmp_path, monkeypatch):
    fake = type("os", (), {**vars(os), "write": staticmethod(lambda descriptor, data: os.write(descriptor, data[:7]))})
    monkeypatch.setattr(tg.io.files, "os", fake)
    tg.save(SAMPLE, tmp_path / "a.tg")
    assert equal(tg.load(tmp_path / "a.tg"), SAMPLE)
