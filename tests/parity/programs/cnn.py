"""A convolutional network: BatchNorm, pooling, SGD with momentum, train and eval mode, a state_dict round trip."""

import torch
import torch.nn as nn
import torch.nn.functional as F


class Net(nn.Module):
    def __init__(self):
        super(Net, self).__init__()
        self.conv1 = nn.Conv2d(1, 6, 3, padding=1)
        self.bn1 = nn.BatchNorm2d(6)
        self.conv2 = nn.Conv2d(6, 8, kernel_size=3, stride=2)
        self.dropout = nn.Dropout2d(0.25)
        self.fc1 = nn.Linear(8 * 2 * 2, 16)
        self.fc2 = nn.Linear(16, 5)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 2)
        x = self.dropout(F.leaky_relu(self.conv2(x)))
        x = torch.flatten(x, 1)
        x = F.gelu(self.fc1(x))
        return F.log_softmax(self.fc2(x), dim=1)


def main():
    torch.manual_seed(3)
    model = Net().double()
    images = torch.rand(24, 1, 12, 12, dtype=torch.float64)
    labels = torch.randint(0, 5, (24,))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, nesterov=True, weight_decay=5e-4)
    results = []
    for epoch in range(3):
        model.train()
        for i in range(0, 24, 8):
            data, target = images[i : i + 8], labels[i : i + 8]
            optimizer.zero_grad()
            loss = F.nll_loss(model(data), target)
            loss.backward()
            optimizer.step()
            results.append(loss.item())
        model.eval()
        with torch.no_grad():
            out = model(images)
            results.append(F.nll_loss(out, labels, reduction="sum").item())
            results.append(out.argmax(dim=1, keepdim=True).eq(labels.view_as(out[:, :1])).sum().item())
    other = Net().double()
    other.load_state_dict(model.state_dict())
    other.eval()
    results.append((other(images) - model(images)).abs().max().item())
    results += [b.double().sum().item() for b in model.buffers()]
    return results
