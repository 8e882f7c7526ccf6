"""Handwritten digits: a network of linear layers and a convolutional one, and which digits they take for others.

scikit-learn's 1797 digits are 8 × 8 pictures with 17 shades. A quarter of them is held out; on the others, an MLP (all pixels
into 256 neurons) and a CNN (small filters that slide over the picture) train in mini-batches from a DataLoader, with Adam and
a learning rate that falls as a cosine. The CNN moves each training picture by up to one pixel, so that it sees no picture twice.
"""

import time

import tinygrad_edu as tg
import tinygrad_edu.nn.functional as F
from tinygrad_edu import nn, optim, viz
from tinygrad_edu.cli import Demo
from tinygrad_edu.utils.data import DataLoader, TensorDataset, random_split


class MLP(nn.Module):
    """64 pixels → 256 → 128 neurons → 10 scores; dropout, for 1348 pictures are few."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Flatten(),
            *(nn.Linear(64, 256), nn.ReLU(), nn.Dropout(0.3)),
            *(nn.Linear(256, 128), nn.ReLU(), nn.Dropout(0.3)),
            nn.Linear(128, 10),
        )

    def forward(self, x):
        return self.layers(x)


class CNN(nn.Module):
    """(1, 8, 8) → 16 filters → 32 filters → halve → 64 filters → halve → 10 scores."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 16, 3, padding=1)
        self.conv2 = nn.Conv2d(16, 32, 3, padding=1)
        self.conv3 = nn.Conv2d(32, 64, 3, padding=1)
        self.norm = nn.BatchNorm2d(32)
        self.dropout = nn.Dropout(0.3)
        self.output = nn.Linear(64 * 2 * 2, 10)

    def forward(self, x):
        x = F.relu(self.conv1(x))
        x = F.max_pool2d(F.relu(self.norm(self.conv2(x))), 2)
        x = F.max_pool2d(F.relu(self.conv3(x)), 2)
        return self.output(self.dropout(x.flatten(1)))


def digits(seed):
    """The digits as two data sets: three quarters to train on, one to be tested with."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    images = tg.tensor(bunch.images, dtype=tg.float32)[:, None] / 16
    data = TensorDataset(images, tg.tensor(bunch.target))
    held_out = len(data) // 4
    return random_split(data, [len(data) - held_out, held_out], generator=tg.Generator().manual_seed(seed))


def moved(x):
    """Each picture of a batch moved by up to one pixel down or up, and right or left."""
    n, frame = len(x), F.pad(x, (1, 1, 1, 1))[:, 0]
    down = tg.randint(3, (n, 1, 1)) + tg.arange(8)[:, None]
    right = tg.randint(3, (n, 1, 1)) + tg.arange(8)
    return frame[tg.arange(n)[:, None, None], down, right][:, None]


def train(model, data, epochs, lr, demo, title, change=None):
    """Minimise the cross-entropy; returns the mean loss of each epoch."""
    loader = DataLoader(data, batch_size=32, shuffle=True, drop_last=True)
    loss_of, optimizer = nn.CrossEntropyLoss(), optim.Adam(model.parameters(), lr=lr)
    scheduler = optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=epochs * len(loader))
    model.train()
    means = []
    for epoch in range(epochs):
        total = 0.0
        for i, (x, y) in enumerate(loader):
            optimizer.zero_grad()
            loss = loss_of(model(change(x) if change else x), y)
            loss.backward()
            optimizer.step()
            scheduler.step()
            total += loss.item()
            done = f"{title}: loss {means[-1]:.4f}" if means else title
            demo.progress(epoch * len(loader) + i + 1, epochs * len(loader), done)
        means.append(total / len(loader))
    return means


@tg.no_grad()
def judge(model, data):
    """For each picture of a data set the likeliest digit, its probability, and the true digit."""
    model.eval()
    found = []
    for x, y in DataLoader(data, batch_size=256):
        probability, digit = F.softmax(model(x), dim=1).max(dim=1)
        found.append((digit, probability, y))
    return [tg.cat(column) for column in zip(*found)]


def accuracy(model, data):
    """The share of pictures that are judged rightly."""
    digit, _, y = judge(model, data)
    return (digit == y).float().mean().item()


def sheet(model, data, most=24):
    """The pictures that the model takes for another digit, the surest mistakes first."""
    from matplotlib.figure import Figure

    digit, probability, y = judge(model, data)
    wrong = [i for i in probability.argsort(descending=True).tolist() if digit[i] != y[i]][:most]
    rows = max(1, -(-len(wrong) // 8))
    figure = Figure(figsize=(9, 0.5 + 1.45 * rows), layout="constrained")
    figure.suptitle(
        f"{(digit != y).sum().item()} of {len(data)} held-out digits were misread" if wrong else "No held-out digit was misread"
    )
    places = figure.subplots(rows, 8, squeeze=False)
    for place in places.flat:
        place.axis("off")
    for place, i in zip(places.flat, wrong):
        place.imshow(data[i][0][0].numpy(), cmap="gray_r", vmin=0, vmax=1)
        place.set_title(
            f"{y[i].item()}, read as {digit[i].item()}\n({probability[i].item():.0%} sure)", fontsize=8, color="#cc3311"
        )
    return figure


def main(arguments=None):
    """Train both networks, and look at their mistakes."""
    demo = Demo("digits", __doc__, arguments)
    try:
        training, held_out = digits(demo.seed)
    except ImportError as error:
        raise SystemExit(f'the digits come with scikit-learn ({error}); run  pip install "tinygrad_edu[demos]"') from None
    print(f"{len(training)} digits to train on, {len(held_out)} held out")
    tg.manual_seed(demo.seed)
    found, curves = {}, {}
    for name, model, epochs, change in (("MLP", MLP(), 30, None), ("CNN", CNN(), 15, moved)):
        start = time.perf_counter()
        curves[name] = train(model, training, epochs // 7 if demo.quick else epochs, 2e-3, demo, name, change)
        took = time.perf_counter() - start
        found[name] = (accuracy(model, training), accuracy(model, held_out))
        count = sum(p.numel() for p in model.parameters())
        print(
            f"{name}: {count} parameters, {took:.1f} s, loss {curves[name][-1]:.4f}; "
            f"right on {found[name][0]:.2%} of the training digits and {found[name][1]:.2%} of the held-out ones"
        )
    digit, _, y = judge(model, held_out)
    found["wrong"] = (digit != y).sum().item()
    demo.save("confusion.svg", lambda: viz.confusion(digit, y, title="CNN, held-out digits"), "which digits were taken for which")
    demo.save("mistakes.png", lambda: sheet(model, held_out), "the misread digits")
    demo.save("loss.svg", lambda: viz.curves(curves, xlabel="epoch", log=True), "the loss of both networks")
    demo.finish()
    return dict(found, curves=curves)


if __name__ == "__main__":
    main()
