"""PyTorch's files: what torch.save wrote, read without PyTorch and without running anything that is in them.

Since 1.6 such a file is a zip archive: `data.pkl` is a pickle in which each storage (a stretch of memory) stands as a key, and `data/<key>`
holds its bytes. Before that it was several pickles one after the other, then the storages.
"""

import io
import pickle
import reprlib
import struct
import weakref
import zipfile
import zlib
from typing import NamedTuple

import numpy as np

from ..autograd import memory
from ..autograd.size import Size
from ..autograd.tensor import Tensor, as_memory
from ..nn.parameter import Parameter
from . import machine
from .files import PIECE
from .machine import Maker, RefusedError, of_kind
from .shared import bind, from_bfloat16, view_of, with_attributes

MAGIC = (0x1950A86A20F9469CFC6C).to_bytes(10, "little")  # the older files begin with a pickle of this number
DAMAGE = (*machine.ERRORS, RuntimeError, OSError, zipfile.BadZipFile, zlib.error, struct.error, NotImplementedError)


class Storage(NamedTuple):
    """What a pickle says of the numbers in a storage: their type here, and the type as they lie in the file."""

    dtype: str
    lies_as: str


PLAIN = dict(Double="f8", Float="f4", Half="f2", Long="i8", Int="i4", Short="i2", Char="i1", Byte="u1", ComplexDouble="c16", ComplexFloat="c8",
             Untyped="u1")  # fmt: skip
KINDS = {name: Storage(kind, kind) for name, kind in PLAIN.items()} | dict(BFloat16=Storage("f4", "u2"), Bool=Storage("?", "u1"))
STORAGES = {f"{module}.{name}Storage": kind for name, kind in KINDS.items() for module in ("torch", "torch.storage", "torch.cuda")}
TYPES = {f"torch.{name}": kind for name, kind in machine.DTYPES.items()}
CLASSES = {"torch.Tensor": Tensor, "torch.nn.parameter.Parameter": Parameter}


def numbers(raw, kind):
    """The numbers of a storage from those that lie in the file."""
    if kind.dtype == "?":
        return raw != 0
    if kind.lies_as != kind.dtype:
        return from_bfloat16(raw)
    return raw.astype(kind.dtype, copy=False)


class Reader:
    """The storages and tensors of one file; `fetch(key, kind, count)` gets the numbers of a storage, or memory where they will be `late`r."""

    def __init__(self, fetch, late=False):
        self.fetch, self.late = fetch, late
        self.storages, self.tensors = {}, {}  # by key; and by the memory: the storage, and weak references to the tensors in it
        makers = {
            "torch._utils._rebuild_tensor": self.tensor, "torch._utils._rebuild_tensor_v2": self.tensor, "torch._utils._rebuild_tensor_v3": self.typed,
            "torch._utils._rebuild_parameter": self.parameter, "torch._utils._rebuild_parameter_with_state": self.parameter,
            "torch._tensor._rebuild_from_type_v2": self.of_class, "torch.Size": Size, "torch.device": machine.some_device,
            "torch.serialization._get_layout": lambda name: of_kind(name, str).removeprefix("torch."),
        }  # fmt: skip
        self.table = {name: Maker(name, make) for name, make in makers.items()} | STORAGES | TYPES | CLASSES

    def persistent(self, said):
        """The numbers of the storage that a pickle speaks of: one array per key."""
        what, kind, key, _, count, *part = said
        if what != "storage":
            raise ValueError(f"it has no storage {reprlib.repr(said)}")
        if key not in self.storages:
            storage = self.fetch(of_kind(key, str), of_kind(kind, Storage), of_kind(count, int))
            self.storages[key] = kind, storage
            self.tensors[id(memory.owner(storage))] = storage, []
        known, storage = self.storages[key]
        if known is not kind:
            raise ValueError(f"the storage {key} has two types of numbers")
        if part and part[0] is not None:  # files of before 0.4 say so where a storage is a part of another
            _, begin, size = part[0]
            return storage[begin : begin + size]
        return storage

    def tensor(self, storage, offset, shape, strides, requires_grad=False, hooks=None, facts=None):
        """A tensor: a part of a storage."""
        _, others = self.tensors[id(memory.owner(storage))]
        t = Tensor(view_of(storage, offset, of_kind(shape, tuple), of_kind(strides, tuple)), None)
        turned = facts and [name for name in ("conj", "neg") if facts.get(name)]
        if self.late and (turned or requires_grad and storage.dtype.kind == "c"):
            raise NotImplementedError("conjugates and complex leaves are not read from files of the older format; save it in the current one")
        if turned:
            t.array = t.array.conj() if "conj" in turned else t.array
            t.array = -t.array if "neg" in turned else t.array
        else:
            others.append(weakref.ref(t))
        t.requires_grad = requires_grad is True
        return t

    def typed(self, storage, offset, shape, strides, requires_grad, hooks, dtype, facts=None):
        """A tensor in a storage that does not say what numbers it holds."""
        if storage.dtype != np.uint8:
            raise TypeError("an untyped storage holds bytes")
        return self.tensor(storage.view(dtype), offset, shape, strides, requires_grad, hooks, facts)

    def parameter(self, data, requires_grad, hooks=None, state=None):
        """A Parameter, with the attributes that it had."""
        parameter = Parameter(data.detach(), requires_grad is True)
        known = self.tensors.get(id(memory.owner(as_memory(data))))
        if known is not None:
            known[1].append(weakref.ref(parameter))
        return with_attributes(parameter, state if isinstance(state, dict) else {})

    def of_class(self, make, kind, args, state):
        """A tensor of a class, or with attributes."""
        t = of_kind(make, Maker)(*of_kind(args, tuple))
        if kind is Parameter:
            return self.parameter(t, t.requires_grad, None, state)
        return with_attributes(t, state if isinstance(state, dict) else {})

    def find(self, name):
        """What a name stands for, or an error that says what to do."""
        found = machine.found(name, self.table)
        if found is not None:
            return found
        if name.startswith(("torch._utils._rebuild", "torch._tensor.", "torch.storage.")) or name.startswith("torch.") and name.count(".") == 1:
            why = "which belongs to a kind of tensor that does not exist here, such as a sparse or quantized one; save x.to_dense() or x.dequantize() in PyTorch"
        elif name.startswith("torch."):
            why = "an object of PyTorch, and only tensors and plain data can be read here; in PyTorch, save model.state_dict() in its place"
        else:
            why = machine.TRUST
        raise RefusedError(f"a {name}, {why}")

    def load(self, file, weights_only, pickle_module):
        """The object of the next pickle in a file."""
        if weights_only:
            return machine.run(file, self.find, self.persistent)
        return machine.unpickle(file, pickle_module, self.persistent, self.of_pytorch)

    def of_pytorch(self, name):
        """What a name of PyTorch's stands for; None for others."""
        return self.find(name) if name.startswith("torch.") else None

    def bind(self):
        """When all is read: tensors in the same memory learn of each other."""
        for storage, alive in self.tensors.values():
            tensors = [t for t in (ref() for ref in alive) if t is not None]
            if len(tensors) > 1:
                bind(storage, tensors)


def read_zip(source, start, weights_only, pickle_module):
    """The object in an archive."""
    file = source.file
    try:
        here = file.tell() if file.seekable() else None
        file.seek(0, io.SEEK_END)  # an archive is read from its end
        file.seek(here - len(start))
    except (AttributeError, OSError, TypeError, ValueError):  # a stream, or what gzip opens
        file = io.BytesIO(start + source.read(1 << 62))
    with zipfile.ZipFile(file) as archive:
        names = archive.namelist()
        if names and all(name.endswith(".npy") for name in names):
            raise RuntimeError(f"{source.name} is an .npz archive of arrays; use tinygrad_edu.io.load_npz")
        if any(name.endswith("/constants.pkl") for name in names):
            raise RuntimeError(f"{source.name} is a program of TorchScript; in PyTorch, save model.state_dict() with torch.save")
        folder = next((name.removesuffix("data.pkl") for name in names if name.endswith("/data.pkl")), None)
        if folder is None:
            raise RuntimeError(f"{source.name} is a zip archive, and not one that torch.save wrote: there is no data.pkl in it")
        order = "big" if f"{folder}byteorder" in names and archive.read(f"{folder}byteorder") == b"big" else "little"

        def fetch(key, kind, count):
            raw, info = np.empty(count, np.dtype(kind.lies_as).newbyteorder(order)), archive.getinfo(f"{folder}data/{key}")
            if info.file_size != raw.nbytes:
                raise ValueError(f"the storage {key} has {info.file_size} bytes, and should have {count} numbers")
            with archive.open(info) as entry:
                for i in range(0, raw.nbytes, PIECE):
                    entry.readinto(raw.view(np.uint8)[i : i + PIECE])
                if entry.read(1):  # at the end the archive compares its own checksum
                    raise ValueError(f"the storage {key} is longer than the archive says")
            return numbers(raw, kind)

        reader = Reader(fetch)
        result = reader.load(io.BytesIO(archive.read(f"{folder}data.pkl")), weights_only, pickle_module)
        reader.bind()
        return result


def read_legacy(source, start, weights_only, pickle_module):
    """The object in a file of PyTorch before 1.6, or with _use_new_zipfile_serialization=False."""
    data = start + source.read(1 << 62)
    file = io.BytesIO(data)

    def plain():
        return machine.run(file, refuse, refuse)

    def refuse(name):
        raise ValueError(f"there is {reprlib.repr(name)} where plain data should be")

    if MAGIC not in data[:24]:
        raise RuntimeError(f"{source.name} is a pickle, and not one that torch.save wrote. Unpickling can run any code, so it is not read here; if you "
                           "trust the file, use pickle.load")  # fmt: skip
    _, version, system = plain(), plain(), plain()
    order, left = "little" if system["little_endian"] else "big", len(data)
    awaited = {}

    def fetch(key, kind, count):
        nonlocal left
        left -= count * np.dtype(kind.lies_as).itemsize
        if version != 1001 or count < 0 or left < 0:
            raise ValueError(f"the storage {key} with {count} numbers is larger than the file")
        awaited[key] = kind, np.empty(count, kind.dtype)
        return awaited[key][1]

    reader = Reader(fetch, late=True)
    result = reader.load(file, weights_only, pickle_module)
    for key in plain():
        kind, storage = awaited.pop(key)
        (count,) = struct.unpack("<q" if order == "little" else ">q", file.read(8))
        if count != storage.size:
            raise ValueError(f"the storage {key} has {count} numbers, and should have {storage.size}")
        lies_as = np.dtype(kind.lies_as).newbyteorder(order)
        storage[...] = numbers(np.frombuffer(file.read(storage.size * lies_as.itemsize), lies_as), kind)
    if awaited or source.size is not None and file.tell() < len(data):
        raise ValueError(f"the storages {sorted(awaited)} are missing" if awaited else "there is more than it speaks of")
    if source.size is None and file.tell() < len(data):
        source.file.seek(file.tell() - len(data), io.SEEK_CUR)  # where the next file begins
    reader.bind()
    return result


def read(source, start, weights_only=True, pickle_module=None):
    """What torch.save wrote, from a file whose first bytes were read already."""
    reading = read_zip if start.startswith(b"PK") else read_legacy
    try:
        return reading(source, start, weights_only, pickle_module or pickle)
    except RefusedError as error:
        raise RefusedError(f"{source.name} holds {error}") from None
    except DAMAGE as error:
        if not weights_only and not isinstance(error, zipfile.BadZipFile) or source.name in str(error):
            raise
        raise RuntimeError(f"{source.name} is damaged, or was not written by torch.save: {error}; use another copy") from error
