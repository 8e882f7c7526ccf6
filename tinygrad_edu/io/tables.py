"""State_dicts for other programs: .safetensors, which PyTorch and JAX read, and .npz, which NumPy reads."""

import hashlib
import io
import json
import os
import struct
import zipfile
import zlib
from math import prod

import numpy as np

from ..api.create import check_device
from ..autograd.tensor import Tensor
from .container import advice, check_array
from .files import bytes_of, opened, write_file
from .shared import from_bfloat16

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
                array = from_bfloat16(array) if row["dtype"] == "BF16" else array.copy()
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
