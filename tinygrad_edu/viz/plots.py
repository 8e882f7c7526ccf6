"""Pictures of training on matplotlib (an extra): loss curves, landscapes, decision boundaries, weights, confusion matrices."""

from functools import cache
from io import StringIO
from pathlib import Path

import numpy as np

from ..autograd.modes import no_grad
from ..autograd.tensor import Tensor
from .trace import array_of

COLORS = ("#1f5fae", "#b3401f", "#2e7d32", "#6a3aa8", "#9a6700", "#00707a")
DASHES = ("-", "--", "-.", ":", (0, (5, 1)), (0, (1, 1)))
MARKERS = ("o", "s", "^", "D", "v", "P")


@cache
def plot_class():
    """matplotlib's Figure, which notebooks also show where pyplot is not loaded."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise ImportError('plots need matplotlib: run  pip install "tinygrad_edu[viz]"') from None

    class Plot(Figure):
        """A figure with a picture of itself."""

        def _repr_svg_(self):
            made = StringIO()
            self.savefig(made, format="svg")
            return made.getvalue()

    return Plot


def figure(axes=None, size=(5.2, 3.6)):
    """(figure, axes): the given axes, or new ones that need no display and no global state."""
    if axes is not None:
        return axes.figure, axes
    made = plot_class()(figsize=size, layout="constrained")
    return made, made.add_subplot()


def saved(made, path):
    """Save the figure if a path is given; returns the figure, which notebooks show."""
    if path is not None:
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        made.savefig(path, dpi=150)
    return made


def numbers(values):
    """Losses as an array, whether they are numbers or tensors."""
    if isinstance(values, Tensor):
        return np.asarray(values.array, float).reshape(-1)
    return np.asarray([float(array_of(v)) for v in values])


def curves(losses, path=None, *, x=None, xlabel="step", ylabel="loss", log=None, title=None, smooth=None, axes=None):
    """Loss curves: one list of numbers, or a dict of several with their names.

    The scale is logarithmic where the values are positive and span a factor of 20; `log` decides otherwise. `smooth` adds
    the running mean over that many steps. Returns the matplotlib figure, and saves it if `path` is given.

    >>> import tinygrad_edu as tg
    >>> figure = tg.viz.curves({"sgd": [1.0, 0.5, 0.1], "adam": [1.0, 0.2, 0.01]})
    """
    made, axes = figure(axes)
    series = dict(losses) if isinstance(losses, dict) else {None: losses}
    series = {k: numbers(v) for k, v in series.items()}
    if any(v.size == 0 for v in series.values()):
        raise ValueError("curves(): there is nothing to draw, for a list of losses is empty")
    for k, (name, values) in enumerate(series.items()):
        at = np.arange(1, len(values) + 1) if x is None else np.asarray(x)
        color, dash = COLORS[k % len(COLORS)], DASHES[k % len(DASHES)]
        if smooth and len(values) > smooth:
            axes.plot(at, values, color=color, alpha=0.25, linewidth=0.8)
            mean = np.convolve(values, np.ones(smooth) / smooth, "valid")
            axes.plot(at[smooth - 1 :], mean, color=color, linestyle=dash, label=name, linewidth=1.8)
        else:
            marker = "o" if len(values) <= 30 else None
            axes.plot(at, values, color=color, linestyle=dash, label=name, linewidth=1.8, marker=marker, markersize=3)
    every = np.concatenate(list(series.values()))
    finite = every[np.isfinite(every)]
    if log if log is not None else finite.size and finite.min() > 0 and finite.max() > 20 * finite.min():
        axes.set_yscale("log")
    axes.set(xlabel=xlabel, ylabel=ylabel, title=title)
    axes.grid(True, which="major", alpha=0.3)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    if any(series):
        axes.legend(frameon=False)
    return saved(made, path)


def heights(loss, x, y):
    """The loss on a grid: all points at once where the function takes them so, else one after the other."""
    grid = np.stack(np.meshgrid(x, y))
    with no_grad(), np.errstate(all="ignore"):
        try:
            found = np.asarray(array_of(loss(Tensor(grid, None))), float)
        except Exception:  # a function of two numbers, and of nothing else
            found = np.empty(0)
        if found.shape != grid.shape[1:]:
            rows = grid.reshape(2, -1).T
            found = np.array([float(array_of(loss(Tensor(row.copy(), None)))) for row in rows]).reshape(grid.shape[1:])
    return found


def landscape(loss, walks=None, path=None, *, x=None, y=None, names=("x", "y"), title=None, axes=None):
    """The landscape of a loss of two numbers, as a map with contour lines, and walks through it, such as those of optimizers.

    `loss` takes a tensor of two numbers. `walks` is a list of places, [[x, y], …], or a dict of several with their names; a
    ring marks where each begins, a cross where it ends. `x` and `y` are the borders, (from, to); by themselves they fit the
    walks. Returns the matplotlib figure.

    >>> import tinygrad_edu as tg
    >>> figure = tg.viz.landscape(lambda p: p[0] ** 2 + 20 * p[1] ** 2, {"straight down": [[-4, 1], [-2, 0.5], [0, 0]]})
    """
    made, axes = figure(axes)
    walks = walks if isinstance(walks, dict) else {None: walks} if walks is not None else {}
    walks = {name: np.array([np.asarray(array_of(place), float) for place in walk]) for name, walk in walks.items()}
    for name, walk in walks.items():
        if walk.ndim != 2 or walk.shape[1:] != (2,):
            raise ValueError(f"landscape(): a walk is a list of places with two numbers each, and {name or 'this one'} has shape {list(walk.shape)}")
    places = np.concatenate(list(walks.values())) if walks else np.array([[-5.0, -5.0], [5.0, 5.0]])
    places = places[np.isfinite(places).all(axis=1)]
    borders = []
    for k, given in enumerate((x, y)):
        low, high = (places[:, k].min(), places[:, k].max()) if len(places) else (-1.0, 1.0)
        room = 0.15 * (high - low) or 0.5
        borders.append(given or ((low - room, high + room) if walks else (low, high)))
    xs, ys = (np.linspace(*border, 81) for border in borders)
    values = heights(loss, xs, ys)
    low, high = np.nanmin(values), np.nanmax(values)
    if high > low:
        levels = low + np.linspace(0.0, 1.0, 15) ** 2 * (high - low)  # at equal distances in a bowl
        axes.contourf(xs, ys, values, levels=levels, cmap="Blues_r", alpha=0.45, extend="both")
        axes.contour(xs, ys, values, levels=levels, colors="#5b6b7a", linewidths=0.5)
    for k, (name, walk) in enumerate(walks.items()):
        color, dash = COLORS[k % len(COLORS)], DASHES[k % len(DASHES)]
        axes.plot(walk[:, 0], walk[:, 1], color=color, linestyle=dash, linewidth=1.6, label=name, marker="." if len(walk) <= 60 else None, markersize=4)
        axes.plot(*walk[0], marker="o", color=color, markersize=7, markerfacecolor="white")
        axes.plot(*walk[-1], marker="X", color=color, markersize=8, markeredgecolor="white")
    axes.set(xlabel=names[0], ylabel=names[1], title=title, xlim=borders[0], ylim=borders[1])
    if any(walks):
        axes.legend(frameon=True, framealpha=0.85, edgecolor="none")
    return saved(made, path)


def predictions(model, points):
    """The model's outputs at the points, without a graph; a Module is asked in evaluation mode."""
    training = getattr(model, "training", None)
    if training:
        model.eval()
    try:
        with no_grad():
            out = model(Tensor(points, None))
    finally:
        if training:
            model.train()
    return np.asarray(array_of(out))


def boundary(model, inputs, targets=None, path=None, *, threshold=0.5, resolution=160, margin=0.15, names=("x1", "x2"), title=None, axes=None):
    """Where a model of two inputs says yes: its output as a surface, the line where it decides, and the samples on top.

    One output is compared with `threshold`; of several the largest wins. Returns the matplotlib figure.

    >>> import tinygrad_edu as tg
    >>> points = tg.rand(20, 2)
    >>> figure = tg.viz.boundary(lambda x: x[:, 1:] - x[:, :1] + 0.5, points, points[:, 1] > points[:, 0])
    """
    points = np.asarray(array_of(inputs))
    if points.ndim != 2 or points.shape[1] != 2:
        raise ValueError(f"boundary(): expected inputs of shape [n, 2], got {list(points.shape)}; only two inputs fit on paper")
    made, axes = figure(axes, (4.8, 4.2))
    low, high = points.min(0), points.max(0)
    room = np.where(high > low, (high - low) * margin, 0.5)
    a, b = (np.linspace(low[i] - room[i], high[i] + room[i], resolution) for i in (0, 1))
    grid = np.stack(np.meshgrid(a, b), -1).reshape(-1, 2).astype(points.dtype if points.dtype.kind == "f" else np.float32)
    from matplotlib.colors import CenteredNorm, ListedColormap

    out = predictions(model, grid)
    out = out.reshape(len(grid), -1)
    if out.shape[1] == 1:
        surface = out.reshape(resolution, resolution)
        reach = max(float(np.abs(surface - threshold).max()), 1e-12)
        shown = axes.contourf(a, b, surface, levels=20, cmap="RdBu", alpha=0.75, norm=CenteredNorm(threshold, reach))  # undecided is white
        made.colorbar(shown, ax=axes, label="output", shrink=0.85)
        if surface.min() < threshold < surface.max():
            axes.contour(a, b, surface, levels=[threshold], colors="#1b2733", linewidths=1.6)
    else:
        classes = out.argmax(1).reshape(resolution, resolution)
        axes.contourf(a, b, classes, levels=np.arange(out.shape[1] + 1) - 0.5, alpha=0.35,
                      cmap=ListedColormap([COLORS[k % len(COLORS)] for k in range(out.shape[1])]))  # fmt: skip
    if targets is None:
        axes.plot(points[:, 0], points[:, 1], "o", color="#1b2733", markersize=3)
    else:
        labels = np.asarray(array_of(targets))
        labels = labels.argmax(1) if labels.ndim == 2 and labels.shape[1] > 1 else np.rint(labels.reshape(-1)).astype(int)
        if len(labels) != len(points):
            raise ValueError(f"boundary(): {len(points)} inputs and {len(labels)} targets; there must be one target for each input")
        size = 8 if len(points) <= 20 else 3.5
        for k, value in enumerate(np.unique(labels)):
            chosen = labels == value
            color = (COLORS[1], COLORS[0])[k] if out.shape[1] == 1 and k < 2 else COLORS[k % len(COLORS)]
            axes.plot(points[chosen, 0], points[chosen, 1], MARKERS[k % len(MARKERS)], color=color, markersize=size,
                      markeredgecolor="white", markeredgewidth=0.6, label=f"target {value}")  # fmt: skip
        axes.legend(frameon=False, fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.13), ncols=4)  # where it hides no point
    axes.set(xlabel=names[0], ylabel=names[1], title=title)
    return saved(made, path)


def weights(model, path=None, *, shape=None, most=16, gradients=False, title=None):
    """Weights as images: a Module's matrices (or a tensor), or with `shape` each row of the first one as a picture.

    Blue is positive, red negative, white zero; every image has its own scale, written on it.

    >>> import tinygrad_edu as tg
    >>> figure = tg.viz.weights(tg.nn.Linear(4, 3))
    """
    if isinstance(model, Tensor):
        matrices = [("", model.array)]
    elif gradients:
        matrices = [(n, p.grad.array) for n, p in model.named_parameters() if p.ndim >= 2 and p.grad is not None]
    else:
        matrices = [(n, p.array) for n, p in model.named_parameters() if p.ndim >= 2]
    if not matrices:
        raise ValueError("weights(): there is no matrix to show" + (", for no parameter has a gradient yet" if gradients else ""))
    if shape is not None:
        name, first = matrices[0]
        if first.reshape(len(first), -1).shape[1] != int(np.prod(shape)):
            raise ValueError(f"weights(shape={tuple(shape)}): {name or 'the tensor'} has rows of {first.reshape(len(first), -1).shape[1]} numbers")
        matrices = [(f"{name}[{i}]", row.reshape(shape)) for i, row in enumerate(first)]
    matrices = matrices[:most]
    columns = min(len(matrices), 4)
    rows = -(-len(matrices) // columns)
    made = plot_class()(figsize=(2.6 * columns, 2.5 * rows), layout="constrained")
    for k, (name, values) in enumerate(matrices):
        axes = made.add_subplot(rows, columns, k + 1)
        flat = values.reshape(len(values), -1) if values.ndim != 2 else values
        top = float(np.abs(flat).max()) or 1.0
        axes.imshow(flat, cmap="RdBu", vmin=-top, vmax=top, aspect="auto", interpolation="nearest")
        axes.set_title(f"{name} ±{top:.2g}".strip(), fontsize=8)
        axes.set(xticks=[], yticks=[])
    if title:
        made.suptitle(title)
    return saved(made, path)


def confusion(predicted, targets, path=None, *, names=None, title=None, axes=None):
    """How often each class was taken for which: rows are the truth, columns the prediction.

    `predicted` holds class numbers, or scores with one column per class.

    >>> import tinygrad_edu as tg
    >>> figure = tg.viz.confusion([0, 1, 1, 2], [0, 1, 2, 2])
    """
    p, t = np.asarray(array_of(predicted)), np.asarray(array_of(targets))
    p = p.argmax(1) if p.ndim == 2 and p.shape[1] > 1 else np.rint(p.reshape(-1)).astype(int)
    t = t.argmax(1) if t.ndim == 2 and t.shape[1] > 1 else np.rint(t.reshape(-1)).astype(int)
    if p.shape != t.shape or not p.size:
        raise ValueError(f"confusion(): {p.size} predictions and {t.size} targets; there must be one prediction for each target")
    n = int(max(p.max(), t.max(), len(names or []) - 1)) + 1
    counts = np.zeros((n, n), int)
    np.add.at(counts, (t, p), 1)
    side = min(2.2 + 0.42 * n, 9)
    made, axes = figure(axes, (side + 0.6, side))
    axes.imshow(counts, cmap="Blues", vmin=0, vmax=max(counts.max(), 1))
    for i in range(n):
        for j in range(n):
            if counts[i, j]:
                axes.text(j, i, str(counts[i, j]), ha="center", va="center", fontsize=9 if n <= 12 else 6,
                          color="white" if counts[i, j] > 0.55 * counts.max() else "#1b2733")  # fmt: skip
    labels = list(names) if names else list(range(n))
    axes.set(xticks=range(n), yticks=range(n), xticklabels=labels, yticklabels=labels, xlabel="predicted", ylabel="true",
             title=title if title is not None else f"{(p == t).mean():.1%} right")  # fmt: skip
    return saved(made, path)
