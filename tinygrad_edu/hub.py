"""`torch.hub`, which model files import: files are downloaded; weights that PyTorch has pickled are refused, with the way to convert them."""

import os
import shutil
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
    """Write what is at an address to a file; the file is there only when it is whole"""
    part = Path(f"{dst}.part")
    try:
        with urllib.request.urlopen(url) as source, open(part, "wb") as file:
            shutil.copyfileobj(source, file)
        os.replace(part, dst)
    finally:
        part.unlink(missing_ok=True)


def load_state_dict_from_url(url, model_dir=None, map_location=None, progress=True, check_hash=False, file_name=None, weights_only=False):
    """The state_dict at an address, downloaded once: a .safetensors or .npz file, or one that `save` wrote.

    Raises RuntimeError for PyTorch's own files, after the download: they are pickles, and the message says how to convert them.
    """
    from .io import load as load_file

    folder = Path(model_dir or os.path.join(get_dir(), "checkpoints"))
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / (file_name or os.path.basename(urllib.parse.urlparse(url).path))
    if not path.exists():
        download_url_to_file(url, path)
    return load_file(path, map_location)


def load(repo_or_dir, model, *args, **kwargs):
    """Refused with RuntimeError: the repositories there are import PyTorch"""
    raise RuntimeError(f"hub.load({repo_or_dir!r}, {model!r}): repositories for torch.hub import PyTorch, not this library; "
                       "copy the model's file, change its imports, and load its weights with load_state_dict_from_url")  # fmt: skip
