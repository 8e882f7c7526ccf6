"""Write tests/reference/saved.json: files as torch.save writes them, packed as text, and what comes next in a training. Needs PyTorch.

python tests/reference/make_saved.py
"""

import base64
import io
import json
import zlib
from collections import OrderedDict
from pathlib import Path

import torch
from torch import nn

REFERENCE = Path(__file__).parent / "saved.json"
KINDS = "float16 float32 float64 bfloat16 int8 int16 int32 int64 uint8 uint16 uint32 uint64 bool complex64 complex128".split()


def packed(obj, **options):
    """A file with an object, as text."""
    file = io.BytesIO()
    torch.save(obj, file, **options)
    return base64.b85encode(zlib.compress(file.getvalue(), 9)).decode()


def train(model, optimizer, steps):
    """The losses of some steps."""
    x = torch.tensor([[1.0, 2.0], [-1.0, 0.5], [0.3, -2.0]], dtype=torch.float64)
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = (model(x) - x.sum(1, keepdim=True)).square().mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def checkpoint(kind, **options):
    """A training that was stopped, and the losses that come next."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1)).double()
    optimizer = getattr(torch.optim, kind)(model.parameters(), **options)
    train(model, optimizer, 3)
    state = packed(dict(model=model.state_dict(), optimizer=optimizer.state_dict(), epoch=3))
    return dict(file=state, losses=train(model, optimizer, 4))


def main():
    """Make all files."""
    x, parameter = torch.arange(24.0).reshape(2, 3, 4), nn.Parameter(torch.ones(2))
    parameter.tag = "mine"
    kinds = {kind: torch.tensor([0, 1, 0, 2]).to(getattr(torch, kind)) for kind in KINDS}
    views = [x, x.permute(2, 0, 1), x[1], x[:, 1:, ::2], x[0, :1].expand(3, 4)]
    plain = dict(a=[1, 1.5, None, True, "é", b"ab", 2**70], b=(1, 2), c={3}, d=torch.Size([2]), e=torch.float32, f=torch.device("cuda:0"),
                 g=OrderedDict(x=1), h=2j)  # fmt: skip
    leaves = [parameter, parameter, nn.Parameter(torch.ones(1), requires_grad=False), torch.ones(1, requires_grad=True), torch.zeros(0)]
    everything = dict(kinds=kinds, views=views, plain=plain, leaves=leaves)
    files = dict(
        zip=packed(everything), old=packed(everything, _use_new_zipfile_serialization=False), conjugate=packed(torch.tensor([1 + 2j]).conj()),
        module=packed(nn.Linear(1, 1)), sparse=packed(torch.eye(2).to_sparse()),
        sgd=checkpoint("SGD", lr=0.1, momentum=0.9), adam=checkpoint("Adam", lr=0.1, amsgrad=True),
    )  # fmt: skip
    REFERENCE.write_text(json.dumps(files, indent=0) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
