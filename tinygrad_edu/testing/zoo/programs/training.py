"""An autoencoder with a classifier on top, and the loop that trains them, with tinygrad_edu."""

import tinygrad_edu as tg
from tinygrad_edu import nn


class Model(nn.Module):
    """Two small layers, a few refinements of the code, and a readout."""

    def __init__(self):
        super().__init__()
        self.encoder = nn.Linear(4, 3)
        self.refinements = nn.ModuleList([nn.Linear(3, 3) for _ in range(2)])
        self.readout = nn.Linear(3, 1)

    def forward(self, x):
        code = self.encoder(x).tanh()
        for layer in self.refinements:
            code = code + layer(code).tanh()
        return self.readout(code)


def make(lr):
    """A model and the optimizer that trains it."""
    model = Model().double()
    model.readout = nn.Linear(3, 1).double()
    optimizer = tg.optim.SGD(model.parameters(), lr=lr)
    return model, optimizer


def loss_of(model, x, y):
    return nn.functional.mse_loss(model(x), y)


def train_step(model, optimizer, x, y):
    """One step on the whole batch, in two halves to save memory."""
    optimizer.zero_grad()
    for part, target in zip(x.chunk(2), y.chunk(2)):
        loss = loss_of(model, part, target) / 2
        loss.backward()
    optimizer.step()


def data():
    x = tg.randn(16, 4, dtype=tg.float64)
    return x, (x[:, :1] * x[:, 1:2]).tanh() + x[:, 2:3]


def main():
    tg.manual_seed(0)
    x, y = data()
    model, optimizer = make(lr=0.1)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    for step in range(61):
        if step % 20 == 0:
            print(f"step {step:2}: loss {loss_of(model, x, y).item():.5f}")
        train_step(model, optimizer, x, y)
    for name, p in model.named_parameters():
        print(f"{name:22} moved by {(p - before[name]).abs().sum().item():.3f}")


if __name__ == "__main__":
    main()
