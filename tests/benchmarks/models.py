"""How fast small models train: one text for PyTorch and for us, measured side by side in one run.

    python tests/benchmarks/models.py               # every model
    python tests/benchmarks/models.py gpt lstm      # some of them

As in run.py each library runs in a process of its own, with one thread, and processor time is compared, A B B A …, after losses and
parameters have been found equal. The table gives microseconds per training step and the median ratio, PyTorch's time to ours.
"""

import argparse
import importlib.util
import math
import statistics

from run import Worker, agree, serve


def mlp(torch):
    """10-32-32-3, ReLU, dropout: 16 samples, cross entropy, Adam."""
    nn = torch.nn
    model = nn.Sequential(nn.Linear(10, 32), nn.ReLU(), nn.Dropout(0.1), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 3))
    x, y, loss_of = torch.randn(16, 10), torch.randint(0, 3, (16,)), nn.CrossEntropyLoss()
    return [model], torch.optim.Adam(model.parameters()), lambda: loss_of(model(x), y)


def line(torch):
    """y = a·x + b through 20 points, spelled in operators."""
    x = torch.randn(20)
    y = 2 * x + 1
    model = torch.nn.Module()
    model.a, model.b = torch.nn.Parameter(torch.zeros(1)), torch.nn.Parameter(torch.zeros(1))
    return [model], torch.optim.SGD(model.parameters(), lr=0.1), lambda: ((model.a * x + model.b - y) ** 2).mean()


def cnn(torch):
    """Two convolutions with batch norm and pooling: 8 images of 14 × 14, SGD with momentum."""
    nn = torch.nn
    model = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 16, 3, padding=1), nn.ReLU(),
                          nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 10))  # fmt: skip
    x, y = torch.randn(8, 1, 14, 14), torch.randint(0, 10, (8,))
    return [model], torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9), lambda: nn.functional.cross_entropy(model(x), y)


def lstm(torch):
    """An LSTM of 16 over 10 steps: 4 sequences, Adam."""
    model, head = torch.nn.LSTM(8, 16, batch_first=True), torch.nn.Linear(16, 1)
    x, y = torch.randn(4, 10, 8), torch.randn(4, 1)
    optimizer = torch.optim.Adam([*model.parameters(), *head.parameters()])
    return [model, head], optimizer, lambda: torch.nn.functional.mse_loss(head(model(x)[0][:, -1]), y)


def gru(torch):
    """A GRUCell of 16, ten times by hand: 4 sequences, Adam."""
    cell, head = torch.nn.GRUCell(8, 16), torch.nn.Linear(16, 1)
    x, y = torch.randn(10, 4, 8), torch.randn(4, 1)

    def loss():
        state = torch.zeros(4, 16)
        for t in range(10):
            state = cell(x[t], state)
        return torch.nn.functional.mse_loss(head(state), y)

    return [cell, head], torch.optim.Adam([*cell.parameters(), *head.parameters()]), loss


def vae(torch):
    """A variational autoencoder 20-8-2-8-20: 16 samples, Adam."""
    nn, functional = torch.nn, torch.nn.functional
    encoder, mean, spread = nn.Linear(20, 8), nn.Linear(8, 2), nn.Linear(8, 2)
    decoder = nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 20), nn.Sigmoid())
    x, modules = torch.rand(16, 20), [encoder, mean, spread, decoder]

    def loss():
        h = functional.relu(encoder(x))
        m, s = mean(h), spread(h)
        z = m + torch.randn_like(m) * torch.exp(0.5 * s)
        return functional.binary_cross_entropy(decoder(z), x, reduction="sum") - 0.5 * torch.sum(1 + s - m.pow(2) - s.exp())

    return modules, torch.optim.Adam([p for m in modules for p in m.parameters()]), loss


def mnist(torch):
    """The CNN of PyTorch's MNIST example, smaller: 64 images of 28 × 28, two convolutions, dropout, Adam."""
    nn = torch.nn
    model = nn.Sequential(nn.Conv2d(1, 16, 3), nn.ReLU(), nn.Conv2d(16, 32, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Dropout(0.25), nn.Flatten(),
                          nn.Linear(4608, 64), nn.ReLU(), nn.Linear(64, 10), nn.LogSoftmax(dim=1))  # fmt: skip
    x, y = torch.randn(64, 1, 28, 28), torch.randint(0, 10, (64,))
    return [model], torch.optim.Adam(model.parameters()), lambda: nn.functional.nll_loss(model(x), y)


def characters(torch):
    """A language model of characters: an embedding, an LSTM of 128 over 64 steps, 32 texts, 65 characters, Adam."""
    nn = torch.nn
    words, model, head = nn.Embedding(65, 64), nn.LSTM(64, 128, batch_first=True), nn.Linear(128, 65)
    x, y, modules = torch.randint(0, 65, (32, 64)), torch.randint(0, 65, (32, 64)), [words, model, head]
    optimizer = torch.optim.Adam([p for m in modules for p in m.parameters()])
    return modules, optimizer, lambda: nn.functional.cross_entropy(head(model(words(x))[0]).reshape(-1, 65), y.reshape(-1))


def resnet(torch):
    """A stem and two residual blocks with batch norm: 16 images of 3 × 32 × 32, SGD with momentum."""
    nn = torch.nn

    class Block(nn.Module):
        def __init__(self, inside, outside, stride):
            super().__init__()
            self.conv1, self.norm1 = nn.Conv2d(inside, outside, 3, stride, 1, bias=False), nn.BatchNorm2d(outside)
            self.conv2, self.norm2 = nn.Conv2d(outside, outside, 3, 1, 1, bias=False), nn.BatchNorm2d(outside)
            self.short = nn.Sequential(nn.Conv2d(inside, outside, 1, stride, bias=False), nn.BatchNorm2d(outside)) if stride > 1 else nn.Identity()

        def forward(self, x):
            out = nn.functional.relu(self.norm1(self.conv1(x)))
            return nn.functional.relu(self.norm2(self.conv2(out)) + self.short(x))

    model = nn.Sequential(nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU(), Block(16, 16, 1), Block(16, 32, 2),
                          nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 10))  # fmt: skip
    x, y = torch.randn(16, 3, 32, 32), torch.randint(0, 10, (16,))
    return [model], torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9), lambda: nn.functional.cross_entropy(model(x), y)


def gpt(torch, depth=2, wide=32, length=16):
    """A GPT of 2 blocks, 32 wide, 4 heads, attention spelled out: 8 sequences of 16, AdamW."""
    nn, functional = torch.nn, torch.nn.functional

    class Attention(nn.Module):
        def __init__(self, width, heads):
            super().__init__()
            self.heads, self.qkv, self.out = heads, nn.Linear(width, 3 * width), nn.Linear(width, width)
            self.register_buffer("mask", torch.tril(torch.ones(64, 64)).view(1, 1, 64, 64))

        def forward(self, x):
            n, t, width = x.size()
            q, k, v = (part.view(n, t, self.heads, width // self.heads).transpose(1, 2) for part in self.qkv(x).split(width, dim=2))
            scores = (q @ k.transpose(-2, -1)) / math.sqrt(k.size(-1))
            scores = scores.masked_fill(self.mask[:, :, :t, :t] == 0, float("-inf"))
            return self.out((functional.softmax(scores, dim=-1) @ v).transpose(1, 2).contiguous().view(n, t, width))

    class Block(nn.Module):
        def __init__(self, width, heads):
            super().__init__()
            self.norm1, self.attention, self.norm2 = nn.LayerNorm(width), Attention(width, heads), nn.LayerNorm(width)
            self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

        def forward(self, x):
            x = x + self.attention(self.norm1(x))
            return x + self.mlp(self.norm2(x))

    words, places, head = nn.Embedding(20, wide), nn.Embedding(length, wide), nn.Linear(wide, 20)
    blocks = nn.Sequential(*(Block(wide, 4) for _ in range(depth)), nn.LayerNorm(wide))
    x, y, modules = torch.randint(0, 20, (8, length)), torch.randint(0, 20, (8, length)), [words, places, blocks, head]

    def loss():
        logits = head(blocks(words(x) + places(torch.arange(x.size(1)))))
        return functional.cross_entropy(logits.view(-1, logits.size(-1)), y.view(-1))

    return modules, torch.optim.AdamW([p for m in modules for p in m.parameters()], lr=1e-3), loss


def gpt64(torch):
    """The same with 4 blocks, 64 wide: 8 sequences of 32."""
    return gpt(torch, 4, 64, 32)


def workload(make):
    """Training steps of a model; the numbers to compare are its loss and all its parameters."""

    def build(column):
        import numpy as np

        torch = __import__(column)
        torch.manual_seed(0)
        modules, optimizer, loss_of = make(torch)
        losses = [None]

        def step(k=0):
            optimizer.zero_grad()
            loss = loss_of()
            loss.backward()
            optimizer.step()
            losses[0] = loss

        return step, lambda: [losses[0].item(), *(np.asarray(p.detach().numpy()) for m in modules for p in m.parameters())]

    return build


MODELS = {make.__name__: (workload(make), 20, 1) for make in (mlp, line, cnn, lstm, gru, vae, gpt)}
MODELS |= {make.__name__: (workload(make), 2, 1) for make in (mnist, characters, resnet, gpt64)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", choices=[*MODELS, []], help="which ones; all unless given")
    parser.add_argument("--rounds", type=int, default=11, help="how many rounds (11)")
    parser.add_argument("--serve", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        return serve(*options.serve, MODELS)
    columns = [c for c in ("tinygrad_edu", "torch") if importlib.util.find_spec(c)]
    print(f"{'':8}" + "".join(f"{c + ', µs':>18}" for c in columns) + f"{'torch / ours':>22}")
    for name in options.models or MODELS:
        workers = {c: Worker(name, c, __file__) for c in columns}
        numbers = {c: w.ask("check") for c, w in workers.items()}
        if not all(agree(numbers["tinygrad_edu"], other) for other in numbers.values()):
            raise SystemExit(f"{name}: not the same numbers: {numbers}")
        times = {c: [] for c in columns}
        for worker in workers.values():
            worker.ask("time")
        for k in range(options.rounds):
            for column in columns if k % 2 else reversed(columns):
                times[column].append(workers[column].ask("time"))
        for worker in workers.values():
            worker.close()
        row = f"{name:8}" + "".join(f"{statistics.median(times[c]) * 1e6:18.0f}" for c in columns)
        if len(columns) == 2:
            ratios = sorted(a / b for a, b in zip(times["torch"], times["tinygrad_edu"]))
            low, middle, high = (ratios[int(q * (len(ratios) - 1))] for q in (0.25, 0.5, 0.75))
            row += f"{middle:10.2f} ({low:.2f}–{high:.2f})"
        print(row, flush=True)


if __name__ == "__main__":
    main()
