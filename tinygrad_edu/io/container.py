"""Our own files: a description in JSON, the arrays as they lie in memory, and checksums of both.

All numbers are little-endian:

    8 bytes   the signature
    8 bytes   length of the description
    8 bytes   length of the whole file
    …         the description: JSON, with a place for every array
    32 bytes  SHA-256 of all of the above
    …         the arrays, one after the other, as they lie in memory
    32 bytes  SHA-256 of all of the above

So a file that was cut short or changed in any bit is an error, never other numbers. Where an object is more than plain data, such as a whole
model, the description names an array that holds a pickle of it, in which tensors and arrays stand as numbers.
"""

import base64
import hashlib
import io
import json
import pickle
import struct
from collections import Counter, OrderedDict, defaultdict
from math import prod

import numpy as np

from ..api.complexes import ComplexTensor
from ..api.methods import attributes_of
from ..autograd import dtypes
from ..autograd.size import Size
from ..autograd.tensor import Tensor, as_memory
from ..nn.parameter import Buffer, Parameter
from . import machine
from .files import DIGEST, bytes_of, write_file
from .shared import bind, stretches, view_of, with_attributes

SIGNATURE = b"\x93tgedu\r\n"  # not text, and a transfer that changes line ends is noticed
FIXED = struct.Struct("<8sQQ")
CONTAINERS = {"list": list, "tuple": tuple, "Size": Size}
MAPPINGS = {"dict": dict, "OrderedDict": OrderedDict, "Counter": Counter}


class NotPlainError(TypeError):
    """An object is more than tensors and plain data: it takes a pickle."""


def write(obj, f, pickle_module=None, pickle_protocol=None):
    """Write an object to a path or file: as plain data if it is that, else with a pickle."""
    arrays = Arrays()
    try:
        content = arrays.describe(obj, "obj", ())
    except NotPlainError as why:
        arrays = Arrays()
        content = {"pickle": arrays.pickle(obj, why, pickle_module or pickle, pickle_protocol)}
    text = json.dumps(dict(content=content, tensors=arrays.rows(), arrays=arrays.table)).encode()
    total = FIXED.size + len(text) + DIGEST + sum(a.nbytes for a in arrays.arrays) + DIGEST

    def put(emit):
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

    write_file(f, put)


def read(source, start, weights_only=True, pickle_module=None):
    """The object in a file whose first bytes were read already."""
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
        builder = Builder(arrays, found["tensors"])
        content, data = found["content"], None
        if not (type(content) is dict and "pickle" in content):
            result = builder.build(content)
        else:
            data = arrays[builder.number(content["pickle"], arrays)].tobytes()
            result = builder.plain(data) if weights_only else None
    except machine.RefusedError as error:
        raise machine.RefusedError(f"{source.name} holds {error}") from None
    except machine.ERRORS as error:
        raise RuntimeError(f"{source.name} cannot be read, though its checksum is right: {error!r}; it was not written by "
                           "tinygrad_edu.save") from error  # fmt: skip
    if data is not None and not weights_only:
        result = machine.unpickle(io.BytesIO(data), pickle_module or pickle, builder.persistent, lambda name: None)  # its errors are the user's own
    builder.bind()
    return result


class Arrays:
    """The arrays and tensors that occur in an object, each once, and the object's description with numbers in their places."""

    def __init__(self):
        self.arrays, self.table, self.known = [], [], {}
        self.tensors, self.attributes, self.seen = [], [], {}

    def describe(self, x, path, around):
        """`x` as JSON; `path` says where it is, for errors, and `around` holds what contains it."""
        kind = type(x)
        if x is None or kind in (bool, int, float, str):
            return x
        if ordinary(x):
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
            raise NotPlainError(f"{path} contains itself")
        around = (*around, x)
        for name, container in CONTAINERS.items():
            if kind is container:
                return {name: [self.describe(v, f"{path}[{i}]", around) for i, v in enumerate(x)]}
        for name, container in MAPPINGS.items():
            if kind is container:
                return {name: [[self.key(k, path), self.describe(v, f"{path}[{k!r}]", around)] for k, v in x.items()]}
        raise NotPlainError(f"{path} is a {kind.__module__}.{kind.__qualname__}; {advice(x)}")

    def key(self, key, path):
        """A key of a dict: plain and hashable."""
        if isinstance(key, (Tensor, np.ndarray)) or not isinstance(key, (str, int, float, bool, bytes, tuple, type(None))):
            raise NotPlainError(f"{path} has a {type(key).__name__} as a key")
        return self.describe(key, f"a key of {path}", ())

    def tensor(self, t, path):
        """The number of a tensor: the same object has the same number. The attributes that the user gave it are described, too."""
        if id(t) not in self.seen:
            self.seen[id(t)] = len(self.tensors)
            self.tensors.append(t)
            attributes = attributes_of(t)
            self.attributes.append(self.describe(attributes, path, ()) if attributes else None)
        return self.seen[id(t)]

    def rows(self):
        """What the file says of each tensor: its array, whether it asks for a gradient and is a Parameter, what part of the array it shows
        (None for all of it), and its attributes."""
        arrays = [as_memory(t) for t in self.tensors]
        parts, rows = stretches(arrays), []
        for i, (t, array, attributes) in enumerate(zip(self.tensors, arrays, self.attributes)):
            whole, part = array, None
            if i in parts:
                whole, offset = parts[i]
                part = [offset, list(array.shape), [s // array.itemsize for s in array.strides]]
            rows.append([self.array(whole, "obj"), t.requires_grad, isinstance(t, Parameter), part, attributes])
        return rows

    def array(self, a, path):
        """The number of an array: the same memory has the same number."""
        if a.dtype.kind not in "biufc":
            raise NotPlainError(f"{path} is an array of {a.dtype}")
        where = a.__array_interface__["data"][0], a.shape, a.strides, a.dtype.str
        if where not in self.known or not a.size:
            self.known[where] = len(self.arrays)
            column_major = a.flags.f_contiguous and not a.flags.c_contiguous
            self.arrays.append(a.T if column_major else a)
            self.table.append([a.dtype.newbyteorder("<").str, list(a.shape), "F" if column_major else "C"])
        return self.known[where]

    def pickle(self, obj, why, module, protocol):
        """The number of an array with a pickle of `obj`, in which tensors and arrays of numbers stand as (kind, number)."""
        known = self

        class Pickler(module.Pickler):
            def persistent_id(self, x):
                if ordinary(x) and not attributes_of(x):
                    return "tensor", known.tensor(x, "obj")
                if type(x) is np.ndarray and x.dtype.kind in "biufc":
                    return "array", known.array(x, "obj")
                return None

        file = io.BytesIO()
        try:
            Pickler(file, pickle.DEFAULT_PROTOCOL if protocol is None else protocol).dump(obj)
        except Exception as error:
            error.add_note(f"save: {why}. Such objects are pickled, and a pickle names functions and classes, so they must be defined by "
                           "name at the top of a module")  # fmt: skip
            raise
        return self.array(np.frombuffer(file.getvalue(), np.uint8), "obj")


def ordinary(x):
    """True for tensors of our own classes: they need no pickle to say what they are."""
    return type(x) in (Tensor, Parameter, Buffer) or isinstance(x, ComplexTensor)


def advice(x):
    """What to save instead."""
    if hasattr(x, "state_dict"):
        return "save its state_dict()"
    if isinstance(x, dict):
        return "save dict(…) of it"
    return "save tuple(…) of it" if isinstance(x, tuple) else "save list(…) of it" if hasattr(x, "__iter__") else "leave it out"


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
        self.arrays, self.table, self.tensors = arrays, tensors, {}

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
            return machine.DTYPES[value]
        raise ValueError(f"an unknown kind {kind!r}")

    def tensor(self, value):
        """The tensor of this number, the same one each time it is asked for."""
        i = self.number(value, self.table)
        if i not in self.tensors:
            place, requires_grad, parameter, part, attributes = [*self.table[i], None, None][:5]
            array = self.arrays[self.number(place, self.arrays)]
            t = Tensor(view_of(array, *part) if part else array, None)
            if parameter is True:
                t = Parameter(t, requires_grad=requires_grad is True)
            elif requires_grad is True:
                t.requires_grad = True
            self.tensors[i] = t
            with_attributes(t, {} if attributes is None else self.build(attributes))
        return self.tensors[i]

    def bind(self):
        """When all is built: tensors in the same memory learn of each other."""
        together = defaultdict(list)
        for i, t in self.tensors.items():
            together[self.table[i][0]].append(t)
        for place, tensors in together.items():
            if len(tensors) > 1:
                bind(self.arrays[place], tensors)

    def persistent(self, pair):
        """What stands as (kind, number) in a pickle."""
        kind, value = pair
        return self.tensor(value) if kind == "tensor" else self.arrays[self.number(value, self.arrays)]

    def plain(self, data):
        """The object of a pickle that needs nothing but tensors and plain data."""

        def find(what):
            found = machine.found(what, table)
            if found is None:
                raise machine.RefusedError(f"a {what}, {machine.TRUST}; a file of model.state_dict() needs neither")
            return found

        def rebuilt(kind, array, requires_grad, attributes):
            t = Parameter(Tensor(array, None), requires_grad) if kind is Parameter else Tensor(array, None)
            t.requires_grad = requires_grad
            return with_attributes(t, attributes)

        table = {"tinygrad_edu.api.methods.rebuilt": machine.Maker("rebuilt", rebuilt), "tinygrad_edu.autograd.tensor.Tensor": Tensor,
                 "tinygrad_edu.nn.parameter.Parameter": Parameter, "tinygrad_edu.nn.parameter.Buffer": Buffer}  # fmt: skip
        return machine.run(io.BytesIO(data), find, self.persistent)

    @staticmethod
    def number(value, of):
        """The number, if there is such a place."""
        if type(value) is not int or not 0 <= value < len(of):
            raise IndexError(f"there is no number {value!r} among {len(of)}")
        return value
