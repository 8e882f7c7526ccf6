"""save and load: tensors, plain Python data and whole models in one file; files of PyTorch; .safetensors and .npz.

`container.py` has the format of our own files, `pytorch.py` reads PyTorch's, `tables.py` has formats for other programs, `machine.py` reads
pickles without running them, `files.py` writes so that there is always the old file or the new one.
"""

from ..api.create import check_device
from . import container, pytorch
from .files import opened
from .tables import READERS, WRITERS, load_npz, load_safetensors, save_npz, save_safetensors, suffix


def save(obj, f, pickle_module=None, pickle_protocol=None, _use_new_zipfile_serialization=True):
    """Write an object to a file: a path, or an object with a `write` method.

    Tensors, arrays, numbers, strings, bytes, None, and lists, tuples and dicts of them, such as state_dicts, are written without pickle: nothing
    in such a file can be executed. Anything else, such as a whole model, is pickled with `pickle_module`, and `load` then asks for
    weights_only=False. Tensors that share memory share it again after `load`. At any moment there is the old file or the new one, whatever
    happens. Paths that end in .safetensors or .npz get that format.

    Raises what pickle raises, before anything is written, if something in `obj` cannot be pickled either.

    >>> import tinygrad_edu as tg, io
    >>> file = io.BytesIO()
    >>> tg.save(dict(step=3, weights=[tg.ones(2)]), file)
    >>> _ = file.seek(0); tg.load(file)
    {'step': 3, 'weights': [tensor([1., 1.])]}
    """
    kind = suffix(f)
    if kind:
        return WRITERS[kind](obj, f)
    container.write(obj, f, pickle_module, pickle_protocol)


def load(f, map_location=None, pickle_module=None, *, weights_only=None, mmap=None, **pickle_load_args):
    """Read what `save` wrote, here or in PyTorch. Checksums are verified: what comes back is what was saved, or an error that names the file.

    With weights_only=True, the default unless a pickle_module is given, nothing in a file is ever executed: tensors and plain data are read, of
    PyTorch's files too, and for anything else an error says what it is. weights_only=False unpickles that, which runs whatever code the file's
    writer put there: only for files that you trust. bfloat16 becomes float32, which holds the same numbers. map_location may name the CPU, where all tensors go.
    Paths that end in .safetensors or .npz are read in that format.
    """
    if isinstance(map_location, str) or hasattr(map_location, "type"):
        check_device(map_location)
    kind = suffix(f)
    if kind:
        return READERS[kind](f)
    if weights_only and pickle_module is not None:
        raise RuntimeError("load(weights_only=True, pickle_module=…): a module that unpickles can run anything; give one of the two")
    weights_only = pickle_module is None if weights_only is None else bool(weights_only)
    with opened(f) as source:
        start = source.read(container.FIXED.size)
        if start.startswith(container.SIGNATURE):
            return container.read(source, start, weights_only, pickle_module)
        if start.startswith((b"PK", b"\x80")):
            return pytorch.read(source, start, weights_only, pickle_module)
        raise RuntimeError(foreign(source, start))


def foreign(source, start):
    """What a file that neither we nor PyTorch wrote seems to be, and how to read it."""
    what = f"{source.name} was written neither by tinygrad_edu.save nor by torch.save: "
    if not start:
        return what + "it is empty"
    if start.startswith(b"\x93NUMPY"):
        return what + "it is a NumPy array; use from_numpy(numpy.load(path))"
    if start[8:9] == b"{":
        return what + "it looks like a .safetensors file; use tinygrad_edu.io.load_safetensors"
    return what + f"it begins with {start[:8]!r}"


__all__ = ["load", "load_npz", "load_safetensors", "save", "save_npz", "save_safetensors"]
