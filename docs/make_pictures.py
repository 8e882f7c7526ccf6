"""Make the pictures of README.md: `python docs/make_pictures.py` (a minute). The other pages make theirs when they are built."""

import shutil
import tempfile
from pathlib import Path

import tinygrad_edu as tg
from tinygrad_edu import viz
from tinygrad_edu.cli import load_demo

FOLDER = Path(__file__).parent / "pictures"


def neuron():
    """One neuron, its loss, and how the gradient flows back to weight and bias."""
    weight, bias = tg.tensor(0.5, requires_grad=True), tg.tensor(-0.2, requires_grad=True)
    x, target = tg.tensor(2.0), tg.tensor(1.0)
    with tg.recording():
        loss = (tg.sigmoid(weight * x + bias) - target).square()
    loss.backward()
    return viz.draw(loss, legend=False)


def main():
    """Draw one neuron, and take the rest from the demos."""
    neuron().save(FOLDER / "neuron_graph.svg")
    with tempfile.TemporaryDirectory() as out:
        load_demo("xor").main(["--seeds", "0", "--out", out])
        shutil.copy(Path(out, "xor_network.svg"), FOLDER / "xor_network.svg")
        demo = load_demo("above_the_line")
        tg.manual_seed(0)
        model, x = demo.Network([2, 5, 1]), tg.rand(1000, 2, dtype=tg.float64)
        y = (x[:, 1:] > x[:, :1]).double()
        live = demo.Live(model, x, y, 10_000, "off")
        demo.train(model, x, y, demo.back_propagation, 1, 1, 10, each=live)
        live(10_000)
        live.strip().savefig(FOLDER / "above_the_line.png", dpi=72)


if __name__ == "__main__":
    main()
