"""The present network as a program in PyTorch's words: it makes the same data, weights and mini-batches, and ends in the same loss."""

import inspect

from . import data
from .commands import ACTIVATIONS, LOSSES, OPTIMIZERS

STEPS = 1000  # of a network that has not been trained yet


def program(session):
    """The program's text; `import tinygrad_edu as torch` may be replaced by `import torch`."""
    settings, board = session.settings, session.board
    title = "Two classes in the plane" if settings["task"] == "classify" else "A curve through points"
    shape = "-".join(map(str, session.sizes))
    parts = [
        f'"""{title}, learned by a {shape} network: from the playground of tinygrad_edu."""\n',
        "\n".join(imports(settings, board)) + "\n",
        *points(settings, board),
        network(settings, session.sizes),
        training(settings, session.steps or STEPS, len(board.points)),
    ]
    if not session.pure:
        parts.insert(
            1, "# Settings or points were changed while it learned; this program uses the present ones from the start.\n"
        )
    return "\n".join(parts)


def imports(settings, board):
    """The first lines."""
    standard = ["import math", ""] if board.recipe and "math." in source(settings, board) else []
    return [*standard, "import tinygrad_edu as torch  # with PyTorch: import torch",
            "from tinygrad_edu import nn, optim  # with PyTorch: from torch import nn, optim"]  # fmt: skip


def source(settings, board):
    """The text of the function that made the points."""
    return inspect.getsource(next(r for r in data.RECIPES[settings["task"]] if r.__name__ == board.recipe["name"]))


def points(settings, board):
    """x and y: made again where they come from a recipe, else written down."""
    side = f"{data.SIDE:g}"
    if board.recipe:
        recipe = board.recipe
        lines = [f"torch.manual_seed({recipe['seed']})", f"x, y = {recipe['name']}({recipe['count']}, {recipe['noise']})",
                 f"x = x.clamp(-{side}, {side}).round(decimals=2)"]  # fmt: skip
        if settings["task"] == "fit":
            lines.append(f"y = y.clamp(-{side}, {side}).round(decimals=2)")
        return ["", source(settings, board), "", "\n".join(lines) + "\n"]
    if settings["task"] == "classify":
        rows, width, taken = [f"[{x:g}, {y:g}, {label}]" for x, y, label in board.points], 3, "points[:, :2], points[:, 2:]"
    else:
        rows, width, taken = [f"[{x:g}, {y:g}]" for x, y, _ in board.points], 2, "points[:, :1], points[:, 1:]"
    table = "".join("    " + ", ".join(rows[i : i + 5]) + ",\n" for i in range(0, len(rows), 5))
    written = f"points = torch.tensor([\n{table}])" if rows else f"points = torch.zeros(0, {width})  # click some"
    return [f"{written}\nx, y = {taken}\n"]


def network(settings, sizes):
    """The model, its loss and its optimizer."""
    layers = [f"nn.Linear({n}, {m})" for n, m in zip(sizes, sizes[1:])]
    between = f"nn.{ACTIVATIONS[settings['activation']]}()"
    lines = [f"    {layer}, {between}," for layer in layers[:-1]] + [f"    {layers[-1]},"]
    if settings["task"] == "classify" and settings["loss"] == "mse":
        lines[-1] += " nn.Sigmoid(),"
    name, options = OPTIMIZERS[settings["optimizer"]]
    options = dict(lr=settings["rate"], **options, **({"weight_decay": settings["decay"]} if settings["decay"] else {}))
    given = ", ".join(f"{key}={value!r}" for key, value in options.items())
    return "\n".join([
        f"torch.manual_seed({settings['seed']})",
        "model = nn.Sequential(", *lines, ")",
        f"loss_of = nn.{LOSSES[settings['task']][settings['loss']]}()",
        f"optimizer = optim.{name}(model.parameters(), {given})",
        "",
    ])  # fmt: skip


def training(settings, steps, count):
    """The loop, and the loss that it ends in."""
    body = ["    optimizer.zero_grad()", "    loss = loss_of(model(x), y)", "    loss.backward()", "    optimizer.step()"]
    if settings["batch"] == 0 or settings["batch"] >= count:
        lines = [f"for step in range({steps}):", *body]
    else:
        body[1] = "    loss = loss_of(model(x[batch]), y[batch])"
        lines = [
            "",
            "def batches():",
            f'    """Mini-batches of {settings["batch"]} points, shuffled anew in every epoch, for ever."""',
            "    while True:",
            f"        yield from torch.randperm(len(x)).split({settings['batch']})",
            "",
            "",
            f"for step, batch in zip(range({steps}), batches()):",
            *body,
        ]
    lines += ["", "with torch.no_grad():", "    final = loss_of(model(x), y).item()",
              f'print(f"loss after {steps} steps: {{final:.6f}}")', ""]  # fmt: skip
    return "\n".join(lines)
