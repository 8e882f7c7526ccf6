"""An MLP classifier on generated spirals: DataLoader, CrossEntropyLoss, Adam, a schedule, evaluation."""

import math

import torch
from torch import nn, optim
from torch.utils.data import DataLoader, TensorDataset, random_split


class MLP(nn.Module):
    def __init__(self, inputs, hidden, classes, p=0.1):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(inputs, hidden), nn.ReLU(), nn.Dropout(p), nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, classes)
        )

    def forward(self, x):
        return self.layers(x)


def spirals(n, classes):
    xs, ys = [], []
    for c in range(classes):
        t = torch.linspace(0.1, 1, n)
        angle = 4 * t + 2 * math.pi * c / classes + 0.1 * torch.randn(n)
        xs.append(torch.stack((t * torch.sin(angle), t * torch.cos(angle)), dim=1))
        ys.append(torch.full((n,), c, dtype=torch.long))
    return torch.cat(xs), torch.cat(ys)


def main():
    torch.manual_seed(0)
    torch.set_default_dtype(torch.float64)
    x, y = spirals(40, 3)
    train, test = random_split(TensorDataset(x, y), [90, 30], generator=torch.Generator().manual_seed(1))
    loader = DataLoader(train, batch_size=16, shuffle=True)
    model = MLP(2, 16, 3)
    criterion = nn.CrossEntropyLoss(label_smoothing=0.05)
    optimizer = optim.Adam(model.parameters(), lr=1e-2, weight_decay=1e-4)
    scheduler = optim.lr_scheduler.StepLR(optimizer, step_size=2, gamma=0.5)
    results = []
    for epoch in range(4):
        model.train()
        total = 0.0
        for xb, yb in loader:
            optimizer.zero_grad()
            loss = criterion(model(xb), yb)
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            total += loss.item() * xb.size(0)
        scheduler.step()
        results += [total / len(train), scheduler.get_last_lr()[0]]
    model.eval()
    with torch.no_grad():
        correct = sum((model(xb).argmax(dim=1) == yb).sum().item() for xb, yb in DataLoader(test, batch_size=10))
    results.append(correct / len(test))
    return results + [p.norm().item() for p in model.parameters()]
