"""save and load: tensors and plain Python data in one file, without pickle; and state_dicts as .safetensors and .npz.

A file of ours, all numbers little-endian:

    8 bytes   the signature
    8 bytes   length of the description
    8 bytes   length of the whole file
    …         the description: JSON, with a place for every array
    32 bytes  SHA-256 of all of the above
    …         the arrays, one after the other, as they lie in memory
    32 bytes  SHA-256 of all of the above

So a file that was cut short or changed in any bit is an error, never other numbers. A file is written beside its place,
under a name of its own, and moved there when it is complete: at any moment there is the old file or the new one.
"""

import base64
import contextlib
import hashlib
import io
import json
import os
import secrets
import stat
import struct
import zipfile
import zlib
from collections import Counter, OrderedDict
from math import prod

import numpy as np

from .api.create import check_device
from .autograd import dtypes, memory
from .autograd.size import Size
from .autograd.tensor import Tensor, as_memory
from .nn.parameter import Parameter

SIGNATURE = b"\x93tgedu\r\n"  # not text, and a transfer that changes line ends is noticed
FIXED = struct.Struct("<8sQQ")
DIGEST = 32
PIECE = 1 << 24  # bytes that are hashed and written at a time
CONTAINERS = {"list": list, "tuple": tuple, "Size": Size}
MAPPINGS = {"dict": dict, "OrderedDict": OrderedDict, "Counter": Counter}
HOLDS = "tensors, arrays, numbers, strings, bytes, None, and lists, tuples and dicts of them"


# --- ours ------------------------------------------------------------------------------------------------------------


def save(obj, f, pickle_module=None, pickle_protocol=None, _use_new_zipfile_serialization=True):
    """Write tensors and plain Python data to a file: a path, or an object with a `write` method.

    `obj` may hold tensors, arrays, numbers, strings, bytes, None, and lists, tuples and dicts of them, such as state_dicts. A
    tensor that occurs twice is one tensor again after `load`, and tensors that share all of their memory share it again. At any
    moment there is the old file or the new one, whatever happens. Paths that end in .safetensors or .npz get that format.

    There is no pickle in the file, so the arguments about it make no difference. Raises TypeError, before anything is written, if something in `obj` cannot be saved.

    >>> import tinygrad_edu as tg, io
    >>> file = io.BytesIO()
    >>> tg.save(dict(step=3, weights=[tg.ones(2)]), file)
    >>> _ = file.seek(0); tg.load(file)
    {'step': 3, 'weights': [tensor([1., 1.])]}
    """
    kind = suffix(f)
    if kind:
        return WRITERS[kind](obj, f)
    arrays = Arrays()
    text = json.dumps(dict(content=arrays.describe(obj, "obj", ()), tensors=arrays.tensors, arrays=arrays.table)).encode()
    total = FIXED.size + len(text) + DIGEST + sum(a.nbytes for a in arrays.arrays) + DIGEST

    def write(emit):
        digest = hashlib.sha256()

        def both(data):
            digest.update(data)
            emit(data)

        both(FIXED.pack(SIGNATURE, len(text), total) + text)
        both(digest.digest())
        for array in arrays.arrays:
            for piece in bytes_of(array):
                both(piece)
        emit(digest.digest())

    write_file(f, write)


def load(f, map_location=None, pickle_module=None, *, weights_only=True, mmap=None, **pickle_load_args):
    """Read what `save` wrote. The checksum is verified, so what comes back is what was saved, or an error that names the file.

    Nothing in a file is ever executed, so weights_only makes no difference; map_location may name the CPU. Paths that end in
    .safetensors or .npz are read in that format.
    """
    if isinstance(map_location, str) or hasattr(map_location, "type"):
        check_device(map_location)
    kind = suffix(f)
    if kind:
        return READERS[kind](f)
    with opened(f) as source:
        start = source.read(FIXED.size)
        if start[: len(SIGNATURE)] != SIGNATURE:
            raise RuntimeError(foreign(source, start))
        if len(start) < FIXED.size:
            raise RuntimeError(f"{source.name} is cut short: its first {FIXED.size} bytes are not all there; use another copy")
        _, length, total = FIXED.unpack(start)
        if source.size is not None and source.size != total or length + FIXED.size + 2 * DIGEST > total:
            raise RuntimeError(f"{source.name} is damaged: it should have {total} bytes and has {source.size}; it was cut short or "
                               "changed, use another copy")  # fmt: skip
        text = source.read(length)
        source.verify("its description")
        try:
            found = json.loads(text)
            table = [check_array(*row) for row in found["arrays"]]
            if sum(n for *_, n in table) != total - FIXED.size - length - 2 * DIGEST:
                raise ValueError("the arrays do not fill the file")
            arrays = [source.array(*row) for row in table]
            source.verify("its content")
            return Builder(arrays, found["tensors"]).build(found["content"])
        except (ValueError, KeyError, TypeError, IndexError, RecursionError) as error:
            raise RuntimeError(f"{source.name} cannot be read, though its checksum is right: {error!r}; it was not written by "
                               "tinygrad_edu.save") from error  # fmt: skip


class Arrays:
    """The arrays and tensors that occur in an object, each once, and the object's description with numbers in their places."""

    def __init__(self):
        self.arrays, self.table, self.known = [], [], {}
        self.tensors, self.seen = [], {}

    def describe(self, x, path, around):
        """`x` as JSON; `path` says where it is, for errors, and `around` holds what contains it."""
        kind = type(x)
        if x is None or kind in (bool, int, float, str):
            return x
        if isinstance(x, Tensor):
            return {"tensor": self.tensor(x, path)}
        if isinstance(x, str):
            return str(x)
        if isinstance(x, (np.ndarray, np.generic)):
            return {"array" if isinstance(x, np.ndarray) else "scalar": self.array(np.asarray(x), path)}
        if kind is bytes:
            return {"bytes": base64.b64encode(x).decode()}
        if kind is complex:
            return {"complex": [x.real, x.imag]}
        if isinstance(x, (np.dtype, dtypes.dtype)):
            return {"dtype": x.str} if isinstance(x, np.dtype) else {"type": x.name}
        if any(x is outer for outer in around):
            raise TypeError(f"save: {path} contains itself; a file holds trees only")
        around = (*around, x)
        for name, container in CONTAINERS.items():
            if kind is container:
                return {name: [self.describe(v, f"{path}[{i}]", around) for i, v in enumerate(x)]}
        for name, container in MAPPINGS.items():
            if kind is container:
                return {name: [[self.key(k, path), self.describe(v, f"{path}[{k!r}]", around)] for k, v in x.items()]}
        raise TypeError(f"save: {path} is a {kind.__module__}.{kind.__qualname__}, which cannot be saved; a file holds {HOLDS}; "
                        + advice(x))  # fmt: skip

    def key(self, key, path):
        """A key of a dict: plain and hashable."""
        if isinstance(key, (Tensor, np.ndarray)) or not isinstance(key, (str, int, float, bool, bytes, tuple, type(None))):
            raise TypeError(f"save: {path} has a {type(key).__name__} as a key; keys can be strings, numbers, bytes, None and tuples")
        return self.describe(key, f"a key of {path}", ())

    def tensor(self, t, path):
        """The number of a tensor: the same object has the same number."""
        if id(t) not in self.seen:
            self.seen[id(t)] = len(self.tensors)
            self.tensors.append([self.array(as_memory(t), path), t.requires_grad, isinstance(t, Parameter)])
        return self.seen[id(t)]

    def array(self, a, path):
        """The number of an array: the same memory has the same number."""
        if a.dtype.kind not in "biufc":
            raise TypeError(f"save: {path} is an array of {a.dtype}; only arrays of numbers can be saved")
        where = a.__array_interface__["data"][0], a.shape, a.strides, a.dtype.str
        if where not in self.known or not a.size:
            self.known[where] = len(self.arrays)
            column_major = a.flags.f_contiguous and not a.flags.c_contiguous
            self.arrays.append(a.T if column_major else a)
            self.table.append([a.dtype.newbyteorder("<").str, list(a.shape), "F" if column_major else "C"])
        return self.known[where]


def advice(x):
    """What to save instead."""
    if hasattr(x, "state_dict"):
        return "save its state_dict()"
    if isinstance(x, dict):
        return "save dict(…) of it"
    return "save tuple(…) of it" if isinstance(x, tuple) else "save list(…) of it" if hasattr(x, "__iter__") else "leave it out"


def bytes_of(array):
    """The elements in order, little-endian, in pieces."""
    array = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
    view = memoryview(array.reshape(-1).view(np.uint8)) if array.size else memoryview(b"")
    for i in range(0, len(view), PIECE):
        yield view[i : i + PIECE]


def check_array(dtype, shape, order):
    """The dtype, shape, order and size in bytes of an array in a file, all of them possible."""
    kind = np.dtype(dtype)
    if kind.kind not in "biufc" or order not in ("C", "F") or kind.str != dtype:
        raise ValueError(f"there is no array of {dtype!r} in order {order!r}")
    if not all(type(n) is int and n >= 0 for n in shape) or len(shape) > 64:
        raise ValueError(f"no array has the shape {shape}")
    return kind, tuple(shape), order, prod(shape) * kind.itemsize


class Builder:
    """An object from its description."""

    def __init__(self, arrays, tensors):
        self.arrays, self.table, self.tensors, self.roots = arrays, tensors, {}, {}

    def build(self, x):
        """One object: a container with what is in it, a tensor, an array, or plain data."""
        if not isinstance(x, dict):
            if isinstance(x, list):
                raise ValueError("a bare list")
            return x
        ((kind, value),) = x.items()
        if kind in CONTAINERS:
            return CONTAINERS[kind]([self.build(v) for v in value])
        if kind in MAPPINGS:
            return MAPPINGS[kind]({self.build(k): self.build(v) for k, v in value})
        if kind == "tensor":
            return self.tensor(value)
        if kind == "array":
            return self.arrays[self.number(value, self.arrays)]
        if kind == "scalar":
            return self.arrays[self.number(value, self.arrays)][()]
        if kind == "bytes":
            return base64.b64decode(value, validate=True)
        if kind == "complex":
            return complex(*value)
        if kind == "dtype":
            return np.dtype(value)
        if kind == "type":
            return dtypes.dtype(value)
        raise ValueError(f"an unknown kind {kind!r}")

    def tensor(self, value):
        """The tensor of this number, the same one each time it is asked for."""
        i = self.number(value, self.table)
        if i not in self.tensors:
            place, requires_grad, parameter = self.table[i]
            array = self.arrays[self.number(place, self.arrays)]
            root = self.roots.get(place)
            if parameter is True:
                t = Parameter(Tensor(array, None), requires_grad=requires_grad is True)
            else:
                t = Tensor(array, None) if root is None else memory.alias(root)
                if requires_grad is True:
                    t.requires_grad = True
            self.tensors[i] = t
            self.roots.setdefault(place, t)
        return self.tensors[i]

    @staticmethod
    def number(value, of):
        """The number, if there is such a place."""
        if type(value) is not int or not 0 <= value < len(of):
            raise IndexError(f"there is no number {value!r} among {len(of)}")
        return value


class Source:
    """A file that is being read, its name for errors, and the checksum of what was read so far."""

    def __init__(self, file, name, size):
        self.file, self.name, self.size, self.digest = file, name, size, hashlib.sha256()

    def read(self, n):
        """Up to n bytes; fewer only at the end."""
        parts, left = [], n
        while left > 0:
            part = self.file.read(min(left, PIECE))  # a forged length runs into the end, not out of memory
            if not part:
                break
            self.digest.update(part)
            parts.append(part)
            left -= len(part)
        return b"".join(parts)

    def verify(self, what):
        """Compare the checksum so far with the one that comes next."""
        wanted = self.digest.digest()
        if self.read(DIGEST) != wanted:
            raise RuntimeError(f"{self.name} is damaged: the checksum of {what} is wrong; it was cut short or changed, use another copy")

    def array(self, dtype, shape, order, n):
        """The next array of the file, in memory of its own."""
        if self.size is None:  # a stream, of which nobody knows whether it is as long as it says
            data = bytearray(self.read(n))
            if len(data) < n:
                raise RuntimeError(f"{self.name} is cut short: {n} bytes were expected, and {len(data)} are left; use another copy")
            return np.frombuffer(data, dtype).reshape(shape, order=order)
        array = np.empty(shape, dtype, order)
        if array.size:
            view = memoryview((array if order == "C" else array.T).reshape(-1).view(np.uint8))
            for i in range(0, n, PIECE):
                piece = self.read(min(PIECE, n - i))
                view[i : i + len(piece)] = piece  # ValueError where the file has become shorter meanwhile
        return array


@contextlib.contextmanager
def opened(f):
    """A Source for a path or a file object."""
    if hasattr(f, "read"):
        yield Source(f, f"the file {getattr(f, 'name', type(f).__name__)!r}", None)
        return
    path = os.fspath(f)
    with open(path, "rb") as file:
        yield Source(file, f"{path!r}", os.fstat(file.fileno()).st_size)


def foreign(source, start):
    """What a file that is not ours seems to be, and how to read it."""
    what = f"{source.name} was not written by tinygrad_edu.save: "
    if not start:
        return what + "it is empty"
    if start.startswith(b"PK"):
        with contextlib.suppress(OSError, zipfile.BadZipFile, AttributeError):
            source.file.seek(0)
            names = zipfile.ZipFile(source.file).namelist()
            if names and all(name.endswith(".npy") for name in names):
                return what + "it is an .npz archive of arrays; use tinygrad_edu.io.load_npz"
        return what + CONVERT.format("it is a zip archive, such as torch.save writes")
    if start.startswith(b"\x80"):
        return what + CONVERT.format("it is a pickle, such as older versions of torch.save write")
    if start.startswith(b"\x93NUMPY"):
        return what + "it is a NumPy array; use from_numpy(numpy.load(path))"
    if start[8:9] == b"{":
        return what + "it looks like a .safetensors file; use tinygrad_edu.io.load_safetensors"
    return what + f"it begins with {start[:8]!r}"


CONVERT = ("{}. Unpickling can run any code, so it is not read here; convert it once with PyTorch: "
           "safetensors.torch.save_file(torch.load(path, weights_only=True), 'weights.safetensors')")  # fmt: skip


# --- writing a file so that there is always the old one or the new one ---------------------------------------------------


def write_file(f, write):
    """Call `write(emit)` for a file object, or for a new file that then replaces the old one at a path."""
    if hasattr(f, "write"):
        write(f.write)
        return
    path = os.path.realpath(os.fspath(f))  # a link stays a link, and what it shows is replaced
    try:
        former = os.stat(path)
    except FileNotFoundError:
        former = None
    if former is not None and not stat.S_ISREG(former.st_mode):
        if stat.S_ISDIR(former.st_mode):
            raise IsADirectoryError(f"save: {os.fspath(f)!r} is a folder; give the name of a file in it")
        with open(path, "wb") as file:  # a device or a pipe
            write(file.write)
        return
    if former is not None and not os.access(path, os.W_OK):
        raise PermissionError(f"save: {os.fspath(f)!r} is write-protected; choose another name or change its permissions")
    beside = f"{path}.{secrets.token_hex(8)}.tmp"
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)  # the umask applies
    try:
        try:
            if former is not None and hasattr(os, "fchmod"):
                os.fchmod(descriptor, stat.S_IMODE(former.st_mode))
            write(lambda data: write_all(descriptor, data))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.replace(beside, path)
    except BaseException as error:  # Ctrl-C too
        with contextlib.suppress(OSError):
            os.unlink(beside)
        if isinstance(error, OSError):
            error.add_note(f"while saving {os.fspath(f)!r}; the file that was there before is unchanged")
        raise
    sync_folder(os.path.dirname(path))


def write_all(descriptor, data):
    """os.write until everything is written: one call may write a part."""
    view = memoryview(data).cast("B")
    while view:
        view = view[os.write(descriptor, view) :]


def sync_folder(folder):
    """Make the new name last through a power failure, where the system can."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder or ".", os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


# --- state_dicts in other formats ------------------------------------------------------------------------------------

SAFE = {"BOOL": "|b1", "U8": "|u1", "I8": "|i1", "U16": "<u2", "I16": "<i2", "U32": "<u4", "I32": "<i4", "U64": "<u8", "I64": "<i8",
        "F16": "<f2", "F32": "<f4", "F64": "<f8", "C64": "<c8"}  # fmt: skip
SAFE_NAMES = {dtype: name for name, dtype in SAFE.items()}


def suffix(f):
    """The other format that a path asks for by its ending, or None."""
    if hasattr(f, "write") or hasattr(f, "read"):
        return None
    path = os.fspath(f)
    return next((s for s in (".safetensors", ".npz") if str(path).endswith(s)), None)


def state_arrays(state_dict, what):
    """The arrays of a flat dict of tensors, contiguous and little-endian."""
    if not isinstance(state_dict, dict):
        raise TypeError(f"{what}: expected a dict of tensors, such as model.state_dict(), got {type(state_dict).__name__}; {advice(state_dict)}")
    arrays = {}
    for name, value in state_dict.items():
        if not isinstance(name, str):
            raise TypeError(f"{what}: the names of tensors must be strings, got {name!r}")
        if not isinstance(value, (Tensor, np.ndarray, np.generic)):
            raise TypeError(f"{what}: {name!r} is a {type(value).__name__}, and this format holds a flat dict of tensors; save the "
                            "rest with tinygrad_edu.save to a path without this ending")  # fmt: skip
        array = np.asarray(value.array if isinstance(value, Tensor) else value)
        if array.dtype.kind not in "biufc":
            raise TypeError(f"{what}: {name!r} is an array of {array.dtype}; only arrays of numbers can be saved")
        arrays[name] = np.ascontiguousarray(array, array.dtype.newbyteorder("<")).reshape(array.shape)
    return arrays


def save_safetensors(state_dict, f, metadata=None):
    """Write a flat dict of tensors as .safetensors, which PyTorch, JAX and others read, with a checksum in its metadata.

    >>> import tinygrad_edu as tg, io
    >>> file = io.BytesIO()
    >>> tg.io.save_safetensors(tg.nn.Linear(2, 1).state_dict(), file)
    >>> _ = file.seek(0); sorted(tg.io.load_safetensors(file))
    ['bias', 'weight']
    """
    arrays, header, end = state_arrays(state_dict, "save_safetensors"), {}, 0
    order = sorted(arrays, key=lambda name: (-arrays[name].itemsize, name))  # large elements first keeps all aligned
    for name in order:
        a = arrays[name]
        if name == "__metadata__" or a.dtype.str not in SAFE_NAMES:
            raise TypeError(f"save_safetensors: {name!r} cannot be saved as {a.dtype} under this name; the format has {', '.join(SAFE)}")
        header[name] = dict(dtype=SAFE_NAMES[a.dtype.str], shape=list(a.shape), data_offsets=[end, end + a.nbytes])
        end += a.nbytes
    header = {name: header[name] for name in arrays}
    digest = hashlib.sha256(json.dumps(header, sort_keys=True).encode())
    for name in order:
        for piece in bytes_of(arrays[name]):
            digest.update(piece)
    text = json.dumps({"__metadata__": {"format": "pt", **(metadata or {}), "sha256": digest.hexdigest()}, **header}).encode()
    text += b" " * (-len(text) % 8)

    def write(emit):
        emit(struct.pack("<Q", len(text)) + text)
        for name in order:
            for piece in bytes_of(arrays[name]):
                emit(piece)

    write_file(f, write)


def load_safetensors(f, device="cpu"):
    """Read a .safetensors file as a dict of tensors; bfloat16 becomes float32, which holds the same numbers.

    The checksum that `save_safetensors` writes is verified; files of others have none.
    """
    check_device(device)
    with opened(f) as source:
        start = source.read(8)
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else -1
        if not 2 <= length <= 100_000_000 or source.size is not None and length > source.size - 8:
            raise RuntimeError(f"{source.name} is not a .safetensors file, or it is cut short: its header would have {length} bytes")
        text = source.read(length)
        if len(text) < length:
            raise RuntimeError(f"{source.name} is cut short: its header should have {length} bytes and has {len(text)}; use another copy")
        data = source.read(source.size - 8 - length if source.size is not None else 1 << 62)
        try:
            header = json.loads(text)
            metadata = header.pop("__metadata__", {})
            result, end = {}, 0
            for name, row in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
                kind, (begin, end_of_row) = np.dtype("<u2" if row["dtype"] == "BF16" else SAFE[row["dtype"]]), row["data_offsets"]
                _, shape, _, n = check_array(kind.str, row["shape"], "C")
                if begin != end or end_of_row != begin + n or end_of_row > len(data):
                    raise ValueError(f"{name!r} lies at {row['data_offsets']}, where {n} bytes from {end} on would belong")
                array = np.frombuffer(data, kind, prod(shape), begin).reshape(shape)
                array = (array.astype(np.uint32) << 16).view(np.float32) if row["dtype"] == "BF16" else array.copy()
                result[name], end = Tensor(array.astype(array.dtype.newbyteorder("="), copy=False), None), end_of_row
            if end != len(data):
                raise ValueError(f"{len(data) - end} bytes belong to no tensor")
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise RuntimeError(f"{source.name} is not a valid .safetensors file, or it is damaged: {error!r}") from error
        if "sha256" in metadata:
            digest = hashlib.sha256(json.dumps(header, sort_keys=True).encode() + data)
            if digest.hexdigest() != metadata["sha256"]:
                raise RuntimeError(f"{source.name} is damaged: its checksum is wrong; it was changed, use another copy")
        return {name: result[name] for name in header}


def save_npz(state_dict, f):
    """Write a flat dict of tensors as an .npz archive, which numpy.load reads.

    >>> import tinygrad_edu as tg, io
    >>> file = io.BytesIO()
    >>> tg.io.save_npz(dict(x=tg.ones(2)), file)
    >>> _ = file.seek(0); tg.io.load_npz(file)
    {'x': tensor([1., 1.])}
    """
    arrays = state_arrays(state_dict, "save_npz")
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED, allowZip64=True) as entries:
        for name, array in arrays.items():
            with entries.open(f"{name}.npy", "w", force_zip64=True) as entry:
                np.lib.format.write_array(entry, array, allow_pickle=False)
    write_file(f, lambda emit: emit(archive.getbuffer()))


def load_npz(f):
    """Read an .npz archive as a dict of tensors; arrays of objects are refused."""
    with opened(f) as source:
        try:
            with zipfile.ZipFile(source.file) as archive:
                return {info.filename.removesuffix(".npy"): npz_entry(archive, info) for info in archive.infolist()}
        except (ValueError, zipfile.BadZipFile, zlib.error, struct.error, EOFError, RuntimeError, OSError, NotImplementedError) as error:
            raise RuntimeError(f"{source.name} is not an .npz archive of numbers, or it is damaged: {error}") from error


def npz_entry(archive, info):
    """One array of an archive, whose header must agree with its size."""
    with archive.open(info) as entry:
        version = np.lib.format.read_magic(entry)
        read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, column_major, dtype = read_header(entry)
        if dtype.kind not in "biufc":
            raise ValueError(f"{info.filename!r} holds {dtype}, not numbers")
        data = entry.read(prod(shape) * dtype.itemsize + 1)  # the archive checks its CRC at the end
        if len(data) != prod(shape) * dtype.itemsize:
            raise ValueError(f"{info.filename!r} has {len(data)} bytes and announces {prod(shape) * dtype.itemsize}")
    array = np.frombuffer(data, dtype).reshape(shape, order="F" if column_major else "C")
    return Tensor(array.astype(dtype.newbyteorder("="), order="K", copy=True), None)


WRITERS = {".safetensors": save_safetensors, ".npz": save_npz}
READERS = {".safetensors": load_safetensors, ".npz": load_npz}

__all__ = ["load", "load_npz", "load_safetensors", "save", "save_npz", "save_safetensors"]
