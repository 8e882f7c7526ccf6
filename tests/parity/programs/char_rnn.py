"""A recurrent character model: Embedding, LSTM and GRU, truncated back propagation, sampling."""

import torch
import torch.nn as nn

TEXT = "the quick brown fox jumps over the lazy dog. pack my box with five dozen liquor jugs. "


class CharModel(nn.Module):
    def __init__(self, vocabulary, kind):
        super().__init__()
        self.encoder = nn.Embedding(vocabulary, 8)
        self.rnn = getattr(nn, kind)(8, 12, num_layers=2, batch_first=True)
        self.decoder = nn.Linear(12, vocabulary)
        self.init_weights()

    def init_weights(self):
        nn.init.uniform_(self.encoder.weight, -0.1, 0.1)
        nn.init.zeros_(self.decoder.bias)
        nn.init.xavier_normal_(self.decoder.weight)

    def forward(self, x, hidden=None):
        out, hidden = self.rnn(self.encoder(x), hidden)
        return self.decoder(out), hidden


def detach(h):
    return h.detach() if isinstance(h, torch.Tensor) else tuple(detach(v) for v in h)


def main():
    torch.manual_seed(7)
    torch.set_default_dtype(torch.float64)
    chars = sorted(set(TEXT))
    index = {c: i for i, c in enumerate(chars)}
    data = torch.tensor([index[c] for c in TEXT * 2], dtype=torch.long)
    data = data[: 2 * 80].view(2, -1)
    results = []
    for kind in ("RNN", "LSTM", "GRU"):
        model = CharModel(len(chars), kind)
        optimizer = torch.optim.RMSprop(model.parameters(), lr=0.01)
        criterion = nn.CrossEntropyLoss()
        hidden = None
        for start in range(0, 60, 15):
            x, y = data[:, start : start + 15], data[:, start + 1 : start + 16]
            if hidden is not None:
                hidden = detach(hidden)
            model.zero_grad()
            logits, hidden = model(x, hidden)
            loss = criterion(logits.reshape(-1, logits.size(-1)), y.reshape(-1))
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 0.25)
            optimizer.step()
            results.append(loss.item())
        with torch.no_grad():
            token, h = torch.tensor([[0]]), None
            for _ in range(5):
                logits, h = model(token, h)
                token = torch.multinomial(torch.softmax(logits[:, -1] / 0.8, dim=-1), 1)
                results.append(token.item())
    return results
