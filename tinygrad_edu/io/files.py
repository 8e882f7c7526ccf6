"""Files as they are read and written: sources with a checksum, and writing so that there is always the old file or the new one."""

import contextlib
import hashlib
import os
import secrets
import stat

import numpy as np

PIECE = 1 << 24  # bytes that are hashed and written at a time
DIGEST = 32


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


def bytes_of(array):
    """The elements in order, little-endian, in pieces."""
    array = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
    view = memoryview(array.reshape(-1).view(np.uint8)) if array.size else memoryview(b"")
    for i in range(0, len(view), PIECE):
        yield view[i : i + PIECE]


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
