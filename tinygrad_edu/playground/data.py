"""Points to learn from, each set made by a function in PyTorch's words, so that the page can show the very same code.

Every function takes how many points there shall be and how noisy they are, and returns x, y: for classes x is (n, 2) and y is (n, 1)
with 0 or 1, for a curve x and y are both (n, 1).
"""

import contextlib
import math

import tinygrad_edu as torch

from ..api.random import drawing

SIDE = 2.0  # the plane goes from −2 to 2 in both directions


def xor(n, noise):
    """Class 1 where the two signs differ."""
    x = torch.rand(n, 2) * 3.4 - 1.7
    x = x + 0.15 * x.sign()
    y = (x[:, 0] * x[:, 1] < 0).float().unsqueeze(1)
    return x + noise * torch.randn(n, 2), y


def circles(n, noise):
    """Class 1 in the middle, class 0 in a ring around it."""
    y = (torch.arange(n) % 2).float().unsqueeze(1)
    radius = torch.where(y == 1, 0.8 * torch.rand(n, 1), 1.3 + 0.5 * torch.rand(n, 1))
    angle = 2 * math.pi * torch.rand(n, 1)
    x = radius * torch.cat([angle.cos(), angle.sin()], dim=1)
    return x + noise * torch.randn(n, 2), y


def moons(n, noise):
    """Two half moons, one inside of the other's bend."""
    y = (torch.arange(n) % 2).float().unsqueeze(1)
    angle = math.pi * (torch.rand(n, 1) + y)
    x = torch.cat([angle.cos() + y - 0.5, angle.sin() + 0.5 * y - 0.25], dim=1)
    return 1.2 * x + noise * torch.randn(n, 2), y


def spiral(n, noise):
    """Two arms that wind around each other."""
    y = (torch.arange(n) % 2).float().unsqueeze(1)
    t = torch.rand(n, 1).sqrt()
    angle = 1.5 * 2 * math.pi * t + math.pi * y
    x = 1.8 * t * torch.cat([angle.cos(), angle.sin()], dim=1)
    return x + 0.5 * noise * torch.randn(n, 2), y


def blobs(n, noise):
    """Two clouds, which one straight line separates."""
    y = (torch.arange(n) % 2).float().unsqueeze(1)
    x = (2 * y - 1) * torch.tensor([[0.9, 0.7]])
    return x + (0.25 + noise) * torch.randn(n, 2), y


def line(n, noise):
    """Points around y = 0.7 x + 0.3."""
    x = torch.rand(n, 1) * 3.6 - 1.8
    y = 0.7 * x + 0.3
    return x, y + noise * torch.randn(n, 1)


def sine(n, noise):
    """Points around one and a half waves of a sine."""
    x = torch.rand(n, 1) * 3.8 - 1.9
    y = 1.2 * (2.5 * x).sin()
    return x, y + noise * torch.randn(n, 1)


def step(n, noise):
    """Points around a curve that jumps: −1 on the left, 1 on the right."""
    x = torch.rand(n, 1) * 3.8 - 1.9
    y = x.sign()
    return x, y + noise * torch.randn(n, 1)


@contextlib.contextmanager
def drawing_from(generator):
    """Inside, this thread draws its random numbers from a generator of its own, as a program would from the global one."""
    drawing.generator, before = generator, drawing.generator
    try:
        yield
    finally:
        drawing.generator = before


RECIPES = {"classify": (xor, circles, moons, spiral, blobs), "fit": (line, sine, step)}


def make(task, name, count, noise, seed):
    """The points of a recipe as (x, y, label) with two decimals: for a curve the label is 0.

    >>> make("fit", "line", 2, 0.0, seed=1)
    [(0.93, 0.95, 0), (-0.79, -0.26, 0)]
    """
    recipe = next(r for r in RECIPES[task] if r.__name__ == name)
    with drawing_from(torch.Generator().manual_seed(seed)):
        x, y = recipe(count, noise)
    if task == "classify":
        rows, labels = x, y.flatten().tolist()
    else:
        rows, labels = torch.cat([x, y], dim=1), [0.0] * count
    rows = rows.clamp(-SIDE, SIDE).round(decimals=2).tolist()
    return [(round(a, 2) + 0.0, round(b, 2) + 0.0, int(label)) for (a, b), label in zip(rows, labels)]
