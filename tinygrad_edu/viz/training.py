"""Film a small training and play it in one HTML file: weights, gradients, activations, loss and decision boundary per step."""

import json
from html import escape
from pathlib import Path

import numpy as np

from ..autograd.tensor import Tensor
from . import neurons, render, trace
from .plots import predictions
from .training_page import PAGE

MOST_NUMBERS, MOST_FRAMES, GRID = 2000, 300, 28


class Film:
    """The frames of a training: call `shoot(loss)` in your own loop, after backward(); then `save("training.html")`.

    `inputs` and `targets` are the samples; `sample` is the number of the one whose activations are shown. The model must
    be a plain stack of Linear layers with activations, with at most 2000 parameters.
    """

    def __init__(self, model, inputs, targets, *, sample=0, names=None, outputs=None, title="training, step by step"):
        self.model, self.inputs, self.targets, self.title = model, as_tensor(inputs), as_tensor(targets), title
        self.sample = self.inputs[sample]
        count = sum(p.array.size for p in model.parameters())
        if count > MOST_NUMBERS:
            raise ValueError(f"a film shows every parameter at every step, and this model has {count:,}; {MOST_NUMBERS:,} are the limit. "
                             "viz.curves and viz.boundary show larger trainings")  # fmt: skip
        self.layers, inputs_row, _ = neurons.layers_of_module(model, self.sample, None, None)
        sizes = [self.layers[0].weight.shape[1], *(layer.weight.shape[0] for layer in self.layers)]
        canvas = neurons.Canvas(self.layers, inputs_row, None, "values", names, outputs, neurons.MOST, sizes, "the network")
        canvas.reserve = 8
        self.network, self.frames, self.step = canvas.svg(), [], 0
        x = self.inputs.array
        self.grid = None
        if x.ndim == 2 and x.shape[1] == 2 and sizes[-1] == 1:
            low, high = x.min(0), x.max(0)
            room = np.where(high > low, 0.15 * (high - low), 0.5)
            a, b = (np.linspace(low[i] - room[i], high[i] + room[i], GRID) for i in (0, 1))
            self.grid = np.stack(np.meshgrid(a, b[::-1]), -1).reshape(-1, 2).astype(x.dtype)
            self.corners = [float(v) for v in (a[0], a[-1], b[0], b[-1])]

    def shoot(self, loss, step=None):
        """Take one frame: the parameters and gradients as they are now. Returns the loss as a number."""
        if len(self.frames) >= MOST_FRAMES:
            raise ValueError(f"the film has {MOST_FRAMES} frames, which is the limit; shoot every tenth step, for instance")
        self.step = self.step + 1 if step is None else step
        layers, _, _ = neurons.layers_of_module(self.model, self.sample, None, None)
        value = float(trace.array_of(loss).reshape(-1)[0]) if not isinstance(loss, float) else loss
        frame = dict(step=self.step, loss=value, layers=[
            dict(w=rounded(layer.weight), b=rounded(layer.bias), gw=rounded(layer.weight_gradient), gb=rounded(layer.bias_gradient),
                 a=rounded(layer.out), s=rounded(layer.total)) for layer in layers])  # fmt: skip
        if self.grid is not None:
            frame["grid"] = [round(float(v), 3) for v in predictions(self.model, self.grid).reshape(-1)]
        self.frames.append(frame)
        return value

    @property
    def html(self):
        """The page."""
        if not self.frames:
            raise ValueError("the film is empty: call shoot(loss) while training")
        data: dict = dict(frames=self.frames)
        if self.grid is not None:
            data |= dict(corners=self.corners, size=GRID, points=self.inputs.array.tolist(), targets=self.targets.array.reshape(-1).tolist())
        body = json.dumps(nan_free(data), separators=(",", ":")).replace("</", "<\\/")
        html = PAGE
        for key, value in dict(TITLE=escape(self.title), FONTS=render.FONTS.replace('"', "'"), NETWORK=self.network,
                               LAST=str(len(self.frames) - 1), POSITIVE=neurons.POSITIVE, NEGATIVE=neurons.NEGATIVE,
                               HIDDEN="" if self.grid is not None else "hidden", DATA=body).items():  # fmt: skip
            html = html.replace(f"@@{key}@@", value)
        return html

    def save(self, path):
        """Write the page to a .html file and return its path."""
        path = Path(path)
        if path.suffix.lower() not in (".html", ".htm"):
            raise ValueError(f"save({str(path)!r}): a film is a page, and is saved as .html")
        page = self.html
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(page, encoding="utf-8")
        return path

    def _repr_mimebundle_(self, include=None, exclude=None, **options):
        if not self.frames:
            return {"text/plain": repr(self)}
        frame = f'<iframe srcdoc="{escape(self.html, quote=True)}" style="width:100%;height:640px;border:1px solid #ccc"></iframe>'
        return {"text/plain": repr(self), "text/html": frame}

    def __repr__(self):
        return f"<{self.title}: {len(self.frames)} frames; .save('training.html') writes it>"


def train(model, optimizer, loss, inputs, targets, *, steps=200, frames=60, sample=0, names=None, outputs=None, title="training, step by step"):
    """Train on all samples at once for some steps, film it, and return the film: `.save("training.html")`.

    >>> import tinygrad_edu as tg
    >>> model = tg.nn.Sequential(tg.nn.Linear(2, 2), tg.nn.Tanh(), tg.nn.Linear(2, 1))
    >>> x = tg.rand(8, 2)
    >>> tg.viz.train(model, tg.optim.SGD(model.parameters(), lr=0.1), tg.nn.MSELoss(), x, x[:, :1], steps=20, frames=5)
    <training, step by step: 5 frames; .save('training.html') writes it>
    """
    if not 1 <= frames <= MOST_FRAMES:
        raise ValueError(f"train(frames={frames}): a film has 1 to {MOST_FRAMES} frames")
    film = Film(model, inputs, targets, sample=sample, names=names, outputs=outputs, title=title)
    shots = {int(k) for k in np.linspace(0, steps - 1, min(frames, steps)).round()}
    for step in range(steps):
        optimizer.zero_grad()
        value = loss(model(film.inputs), film.targets)
        value.backward()
        if step in shots:
            film.shoot(value, step)
        optimizer.step()
    return film


def as_tensor(x):
    """A tensor of floats, of whatever it was."""
    return x if isinstance(x, Tensor) else Tensor(np.asarray(x, np.float32), None)


def rounded(a):
    """Numbers short enough to travel: five digits."""
    if a is None:
        return None
    a = np.asarray(a, float)
    return [rounded(row) for row in a] if a.ndim > 1 else [float(f"{v:.5g}") for v in a]


def nan_free(value):
    """JSON has no NaN: such numbers travel as None."""
    if isinstance(value, dict):
        return {k: nan_free(v) for k, v in value.items()}
    if isinstance(value, list):
        return [nan_free(v) for v in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value
