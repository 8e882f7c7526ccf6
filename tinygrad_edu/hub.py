"""`torch.hub`, which model files import: files are downloaded, checked and loaded, PyTorch's too; repositories are not."""

import hashlib
import os
import re
import urllib.parse
import urllib.request
from pathlib import Path

__all__ = ["download_url_to_file", "get_dir", "load", "load_state_dict_from_url", "set_dir"]

chosen: list[str] = []


def get_dir():
    """Where downloads go: what `set_dir` chose, or $TORCH_HOME/hub, by default ~/.cache/torch/hub"""
    home = os.environ.get("TORCH_HOME") or os.path.join(os.environ.get("XDG_CACHE_HOME") or "~/.cache", "torch")
    return chosen[-1] if chosen else os.path.expanduser(os.path.join(home, "hub"))


def set_dir(d):
    """Choose where downloads go"""
    chosen[:] = [os.path.expanduser(os.fspath(d))]


def download_url_to_file(url, dst, hash_prefix=None, progress=True):
    """Write what is at an address to a file; the file is there only when it is whole.

    Raises RuntimeError if the SHA-256 of what came, in hexadecimal digits, does not begin with `hash_prefix`.
    """
    part, digest = Path(f"{dst}.part"), hashlib.sha256()
    try:
        with urllib.request.urlopen(url) as source, open(part, "wb") as file:
            while piece := source.read(1 << 20):
                digest.update(piece)
                file.write(piece)
        if hash_prefix is not None and not digest.hexdigest().startswith(hash_prefix):
            raise RuntimeError(f"invalid hash value of {url}: its SHA-256 is {digest.hexdigest()}, and should begin with {hash_prefix!r}; the file was "
                               "changed or damaged on its way, and is not kept")  # fmt: skip
        os.replace(part, dst)
    finally:
        part.unlink(missing_ok=True)


def load_state_dict_from_url(url, model_dir=None, map_location=None, progress=True, check_hash=False, file_name=None, weights_only=True):
    """The state_dict at an address, downloaded once: a file of PyTorch's, one that `save` wrote, or a .safetensors or .npz file.

    With check_hash=True the download is compared with the first digits of its SHA-256 in the name, as in resnet18-f37072fd.pth, if there are any.
    Only tensors and plain data are read, unless weights_only=False is asked for, which is the default in PyTorch.
    """
    from .io import load as load_file

    folder = Path(model_dir or os.path.join(get_dir(), "checkpoints"))
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / (file_name or os.path.basename(urllib.parse.urlparse(url).path))
    if not path.exists():
        in_name = re.search(r"-([a-f0-9]+)\.", path.name) if check_hash else None
        download_url_to_file(url, path, in_name and in_name[1])
    return load_file(path, map_location, weights_only=weights_only)


def load(repo_or_dir, model, *args, **kwargs):
    """Refused with RuntimeError: the repositories there are import PyTorch"""
    raise RuntimeError(f"hub.load({repo_or_dir!r}, {model!r}): repositories for torch.hub import PyTorch, not this library; "
                       "copy the model's file, change its imports, and load its weights with load_state_dict_from_url")  # fmt: skip
