"""What one person has on the page: points, settings, a network and its optimizer. It trains, and tells what there is to see."""

from typing import Any

import numpy as np

import tinygrad_edu as torch
from tinygrad_edu import nn, optim

from . import commands, data, lessons
from .commands import ACTIVATIONS, LOSSES, MOST_POINTS, OPTIMIZERS, Refused

FINE, COARSE = 96, 32  # cells along one side: of the plane, and of a neuron's map
REBUILD = {"task", "units", "activation", "loss", "seed"}  # settings with which a new network begins
CURVE = 129  # places along x where a fitted curve is computed


class Board:
    """The points of one task, and the way back."""

    def __init__(self):
        self.points: list = []
        self.recipe: dict | None = None  # how they were made, while nobody has touched them
        self.past: list = []
        self.held = None  # the point that is being dragged

    def change(self, points, recipe=None):
        """Take these points, and remember the old ones."""
        self.past = [*self.past[-99:], (self.points, self.recipe)]
        self.points, self.recipe, self.held = points, recipe, None

    def add(self, x, y, label):
        """One more point."""
        if len(self.points) >= MOST_POINTS:
            raise Refused(f"there are {MOST_POINTS} points, and that is the most; delete some first")
        self.change([*self.points, (round(x, 2), round(y, 2), label)])

    def existing(self, index):
        """The index, if there is such a point."""
        if index >= len(self.points):
            raise Refused(f"there is no point {index}: there are {len(self.points)}, counted from 0")
        return index

    def delete(self, index):
        """One point less."""
        self.existing(index)
        self.change(self.points[:index] + self.points[index + 1 :])

    def move(self, index, x, y, done):
        """Drag a point; all the way until it is let go counts as one change."""
        moved = list(self.points)
        moved[index] = (round(x, 2), round(y, 2), moved[self.existing(index)][2])
        if self.held == index:
            self.points = moved
        else:
            self.change(moved)
        self.held = None if done else index

    def undo(self):
        """Take back the last change."""
        if not self.past:
            raise Refused("there is nothing to undo")
        (self.points, self.recipe), self.held = self.past.pop(), None


class Session:
    """Everything behind one open page; not safe for use from several threads, and needs no more than one.

    >>> session = Session()
    >>> first = session.loss()
    >>> for _ in range(200):
    ...     session.step()
    >>> session.loss() < first
    True
    """

    def __init__(self):
        self.generator = torch.Generator()
        self.boards = {task: Board() for task in data.RECIPES}
        self.settings: dict[str, Any] = {}
        self.training, self.notice, self.selected = False, "", -1
        self.begin_lesson(0)

    # --- what the page asks for ---------------------------------------------------------------------------------------

    @property
    def board(self):
        """The points of the present task."""
        return self.boards[self.settings["task"]]

    def begin_lesson(self, number):
        """Set everything as a lesson wants it."""
        if number >= len(lessons.LESSONS):
            raise Refused(f"there is no lesson {number}: there are {len(lessons.LESSONS)}, counted from 0")
        lesson = lessons.LESSONS[number]
        self.settings = {**lessons.START, **lesson.settings}
        if lesson.preset is None:
            self.board.change([])
            self.reset()
        else:
            self.load(lesson.preset, lesson.n, lesson.noise)
            self.reset()
        self.board.past.clear()

    def load(self, name, count, noise, seed=1):
        """Points of a recipe, in the place of the present ones."""
        task = self.settings["task"]
        known = [r.__name__ for r in data.RECIPES[task]]
        if name not in known:
            raise Refused(f"{name} is no data set of this task; it has {', '.join(known)}")
        recipe = dict(name=name, count=count, noise=noise, seed=seed)
        self.board.change(data.make(task, **recipe), recipe)
        self.reset()

    def change_settings(self, values):
        """New values for some settings: a new network if it must be, else the present one learns on with them."""
        wanted = {**self.settings, **values}
        if "loss" not in values and wanted["loss"] not in LOSSES[wanted["task"]]:
            wanted["loss"] = next(iter(LOSSES[wanted["task"]]))
        if wanted["loss"] not in LOSSES[wanted["task"]]:
            fitting = ", ".join(LOSSES[wanted["task"]])
            raise Refused(f"loss {wanted['loss']} does not fit the task {wanted['task']}; these do: {fitting}")
        changed = {key for key in wanted if wanted[key] != self.settings[key]}
        self.settings = wanted
        if "task" in changed and not self.board.past and not self.board.points:
            self.load(data.RECIPES[wanted["task"]][0].__name__, 40 if wanted["task"] == "fit" else 200, 0.1)
        if changed & REBUILD:
            self.reset(keep_training=True)
        elif changed & {"optimizer", "rate", "decay", "batch"}:
            self.notice = ""
            if changed & {"optimizer", "decay"}:
                self.optimizer = self.new_optimizer()
            for group in self.optimizer.param_groups:
                group["lr"] = wanted["rate"]
            self.points_changed(keep_order=changed.isdisjoint({"batch"}))

    def restore(self, settings, points):
        """Everything as the page had it before its connection broke."""
        missing = set(commands.SETTINGS) - set(settings)
        if missing:
            raise Refused(f"restore: the settings {', '.join(sorted(missing))} are missing")
        if settings["loss"] not in LOSSES[settings["task"]]:
            raise Refused(f"restore: loss {settings['loss']} does not fit the task {settings['task']}")
        self.settings = settings
        self.board.change(points)
        self.reset()

    def reset(self, keep_training=False):
        """Begin again: new weights from the seed, no step made."""
        self.training = self.training and keep_training
        sizes = [2 if self.settings["task"] == "classify" else 1, *self.settings["units"], 1]
        layers: list[nn.Module] = []
        self.generator.manual_seed(self.settings["seed"])
        with data.drawing_from(self.generator):
            for n, m in zip(sizes, sizes[1:]):
                layers += [nn.Linear(n, m), getattr(nn, ACTIVATIONS[self.settings["activation"]])()]
        del layers[-1]
        if self.settings["task"] == "classify" and self.settings["loss"] == "mse":
            layers.append(nn.Sigmoid())
        self.sizes, self.model = sizes, nn.Sequential(*layers)
        self.criterion = getattr(nn, LOSSES[self.settings["task"]][self.settings["loss"]])()
        self.optimizer = self.new_optimizer()
        self.steps, self.epochs, self.notice, self.selected = 0, 0.0, "", -1
        self.points_changed()

    def new_optimizer(self):
        """The optimizer of the settings, without a past."""
        name, options = OPTIMIZERS[self.settings["optimizer"]]
        return getattr(optim, name)(
            self.model.parameters(), lr=self.settings["rate"], weight_decay=self.settings["decay"], **options
        )

    def points_changed(self, keep_order=False):
        """Take over the points of the board; the order of mini-batches begins anew."""
        rows = torch.tensor(self.board.points, dtype=torch.float32).reshape(-1, 3)
        if self.settings["task"] == "classify":
            self.x, self.y = rows[:, :2], rows[:, 2:]
        else:
            self.x, self.y = rows[:, :1], rows[:, 1:2]
        self.training = self.training and len(rows) > 0
        if self.selected >= len(rows):
            self.selected = -1
        if not keep_order:
            self.batches = self.shuffled(len(rows), self.settings["batch"])
        self.pure = self.steps == 0  # whether the present settings and points are those of every step so far

    # --- training -----------------------------------------------------------------------------------------------------

    def shuffled(self, n, size):
        """Mini-batches for ever, shuffled anew in each epoch; all points in their order if they fit into one."""
        while n and (size == 0 or size >= n):
            yield slice(None)
        while n:
            with data.drawing_from(self.generator):
                order = torch.randperm(n)
            yield from order.split(size)

    def ready(self):
        """Refuse to train where nothing can be learned."""
        if not self.board.points:
            raise Refused("there are no points to learn from: click some into the plane, or choose a data set")
        if not np.isfinite(self.loss()):
            raise Refused("the weights are no numbers any more: press Reset, and choose a smaller learning rate")

    def step(self):
        """One step of the optimizer on the next mini-batch."""
        batch = next(self.batches)
        self.optimizer.zero_grad()
        loss = self.criterion(self.model(self.x[batch]), self.y[batch])
        loss.backward()
        self.optimizer.step()
        self.steps += 1
        self.epochs += len(batch) / len(self.x) if not isinstance(batch, slice) else 1.0
        if not np.isfinite(loss.item()):
            self.training = False
            self.notice = f"The loss stopped being a number at step {self.steps}: the steps are too large. Press Reset, and choose a smaller learning rate."

    def loss(self):
        """The loss over all points; NaN if there are none."""
        if not self.board.points:
            return float("nan")
        with torch.no_grad():
            return self.criterion(self.model(self.x), self.y).item()

    def gradients(self):
        """∂loss/∂parameter over all points, for every parameter; None if there are no points."""
        if not self.board.points:
            return None
        return torch.autograd.grad(self.criterion(self.model(self.x), self.y), list(self.model.parameters()))

    def snapshot(self):
        """(network, loss, x, y): a copy of the network, and few enough points for a page that steps through one computation."""
        if not self.board.points:
            raise Refused("there is no point to play: click one into the plane first")
        copy = nn.Sequential(
            *(type(m)(m.in_features, m.out_features) if isinstance(m, nn.Linear) else type(m)() for m in self.model)
        )
        copy.load_state_dict(self.model.state_dict())
        few = slice(self.selected, self.selected + 1) if self.selected >= 0 else slice(0, 3)
        return copy, type(self.criterion)(), self.x[few].clone(), self.y[few].clone()

    # --- what there is to see -----------------------------------------------------------------------------------------

    def activations(self, x):
        """What every neuron gives for the points x: an (n, units) array per layer, inputs first, probabilities last."""
        seen = [x.numpy()]
        with torch.no_grad():
            for layer in self.model:
                x = layer(x)
                if isinstance(layer, nn.Linear):
                    seen.append(x.numpy())
                else:
                    seen[-1] = x.numpy()
            if self.settings["loss"] == "bce":
                seen[-1] = x.sigmoid().numpy()
        return seen

    def view(self):
        """(facts, arrays): all that the page draws of the present network."""
        classify = self.settings["task"] == "classify"
        parameters = list(self.model.parameters())
        facts: dict[str, Any] = dict(step=self.steps, epoch=round(self.epochs, 2), training=self.training)
        arrays = {"weights": flat(parameters)}
        loss = self.loss()
        facts["loss"] = loss if np.isfinite(loss) else None
        if classify and self.board.points:
            right = (self.activations(self.x)[-1] > 0.5) == (self.y.numpy() > 0.5)
            facts["accuracy"] = float(right.mean())
        grid = PLANE if classify else LINE
        seen = self.activations(grid)
        if classify:
            arrays["plane"] = shades(2 * seen[-1] - 1, 1.0)
            small = [
                a.reshape(FINE, FINE, -1)[1 :: FINE // COARSE, 1 :: FINE // COARSE].reshape(COARSE * COARSE, -1) for a in seen
            ]
            small[-1] = 2 * small[-1] - 1
        else:
            arrays["curve"] = np.clip(np.nan_to_num(seen[-1], nan=1e9), -1e9, 1e9).astype(np.float32).reshape(-1)
            small = [a[::2] for a in seen]
        scales = [data.SIDE, *(float(np.max(np.abs(a), initial=1e-12)) for a in seen[1:-1]), 1.0 if classify else data.SIDE]
        arrays["maps"] = np.concatenate([shades(a, s).T for a, s in zip(small, scales)])
        if self.settings["gradients"] and (found := self.gradients()) is not None:
            arrays["gradients"] = flat(found)
        if self.selected >= 0:
            point = slice(self.selected, self.selected + 1)
            arrays["activations"] = np.concatenate([a[0] for a in self.activations(self.x[point])]).astype(np.float32)
        return facts, arrays


def flat(tensors):
    """All numbers of some tensors in one row: each weight (out, in), then its bias."""
    return np.concatenate([t.detach().numpy().reshape(-1) for t in tensors]).astype(np.float32)


def shades(values, scale):
    """Numbers from −scale to scale as bytes from 1 to 255; 128 is zero, and what is no number."""
    with np.errstate(all="ignore"):
        return (np.clip(np.nan_to_num(values / scale, nan=0.0), -1, 1) * 127 + 128).round().astype(np.uint8)


def centres(n):
    """The middles of n equal cells across the plane."""
    return -data.SIDE + (np.arange(n, dtype=np.float32) + 0.5) * (2 * data.SIDE / n)


# the plane's cells row by row, the first row at the top, as a screen has them; and the places of a curve from end to end
PLANE = torch.from_numpy(np.stack(np.meshgrid(centres(FINE), -centres(FINE)), axis=-1).reshape(-1, 2).astype(np.float32))
LINE = torch.linspace(-data.SIDE, data.SIDE, CURVE).unsqueeze(1)
