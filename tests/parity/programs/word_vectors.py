"""Words as vectors: an n-gram model, continuous bag of words, skip-gram with negative samples, a matrix factorisation."""

from collections import Counter

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim

TEXT = """a small boat left the harbour before the sun and a small crew sang on the boat while the harbour slept
and the sun rose over the water and the crew saw the water turn to gold before the boat came home""".split()


class NGramLanguageModeler(nn.Module):
    def __init__(self, vocab_size, embedding_dim, context_size):
        super().__init__()
        self.embeddings = nn.Embedding(vocab_size, embedding_dim)
        self.linear1 = nn.Linear(context_size * embedding_dim, 16)
        self.linear2 = nn.Linear(16, vocab_size)

    def forward(self, inputs):
        embeds = self.embeddings(inputs).view((1, -1))
        return F.log_softmax(self.linear2(F.relu(self.linear1(embeds))), dim=1)


class CBOW(nn.Module):
    def __init__(self, vocab_size, dim):
        super().__init__()
        self.embeddings = nn.EmbeddingBag(vocab_size, dim, mode="sum")
        self.linear = nn.Linear(dim, vocab_size)

    def forward(self, inputs):
        return self.linear(self.embeddings(inputs))


class SkipGram(nn.Module):
    def __init__(self, vocab_size, dim):
        super().__init__()
        self.u = nn.Embedding(vocab_size, dim)
        self.v = nn.Embedding(vocab_size, dim)
        bound = 0.5 / dim
        self.u.weight.data.uniform_(-bound, bound)
        self.v.weight.data.uniform_(-0, 0)

    def forward(self, centre, context, negatives):
        u, v = self.u(centre), self.v(context)
        score = torch.mul(u, v).squeeze()
        score = F.logsigmoid(torch.sum(score, dim=1))
        neg = torch.bmm(self.v(negatives), u.unsqueeze(2)).squeeze(2)
        return -1 * (torch.sum(score) + torch.sum(F.logsigmoid(-1 * neg)))


class Factorisation(nn.Module):
    def __init__(self, users, items, dim=4):
        super().__init__()
        self.user, self.item = nn.Embedding(users, dim), nn.Embedding(items, dim)
        self.user_bias, self.item_bias = nn.Embedding(users, 1), nn.Embedding(items, 1)
        for table in (self.user, self.item):
            nn.init.normal_(table.weight, std=0.1)
        for table in (self.user_bias, self.item_bias):
            nn.init.constant_(table.weight, 0.0)

    def forward(self, u, i):
        dot = (self.user(u) * self.item(i)).sum(1, keepdim=True)
        return (dot + self.user_bias(u) + self.item_bias(i)).squeeze(-1)


def main():
    torch.manual_seed(1)
    torch.set_default_dtype(torch.float64)
    counts = Counter(TEXT)
    vocab = sorted(counts)
    index = {w: i for i, w in enumerate(vocab)}
    results = []

    ngrams = [([TEXT[i - j - 1] for j in range(2)], TEXT[i]) for i in range(2, 14)]
    model = NGramLanguageModeler(len(vocab), 6, 2)
    optimizer = optim.SGD(model.parameters(), lr=0.05)
    loss_function = nn.NLLLoss()
    for _ in range(2):
        total = 0
        for context, target in ngrams:
            context_idxs = torch.tensor([index[w] for w in context], dtype=torch.long)
            model.zero_grad()
            loss = loss_function(model(context_idxs), torch.tensor([index[target]], dtype=torch.long))
            loss.backward()
            optimizer.step()
            total += loss.item()
        results.append(total)
    results += model.embeddings.weight[index["boat"]].tolist()

    windows = torch.tensor([[index[TEXT[i + d]] for d in (-2, -1, 1, 2)] for i in range(2, len(TEXT) - 2)])
    centres = torch.tensor([index[w] for w in TEXT[2:-2]])
    cbow = CBOW(len(vocab), 5)
    optimizer = optim.Adagrad(cbow.parameters(), lr=0.3)
    for _ in range(4):
        optimizer.zero_grad()
        loss = F.cross_entropy(cbow(windows), centres)
        loss.backward()
        optimizer.step()
        results.append(loss.item())
    similar = F.cosine_similarity(cbow.embeddings.weight[index["sun"]], cbow.embeddings.weight)
    results += [float(v) for v in similar.topk(3)[0]] + [int(i) for i in similar.argsort(descending=True)[:3]]

    frequency = np.array([counts[w] for w in vocab], dtype=float) ** 0.75
    noise = torch.from_numpy(frequency / frequency.sum())
    skip = SkipGram(len(vocab), 5)
    optimizer = optim.SparseAdam(skip.parameters(), lr=0.1) if False else optim.Adam(skip.parameters(), lr=0.05)
    for _ in range(3):
        negatives = torch.multinomial(noise, centres.numel() * 3, replacement=True).view(-1, 3)
        optimizer.zero_grad()
        loss = skip(centres, windows[:, 1], negatives)
        loss.backward()
        optimizer.step()
        results += [loss.item(), negatives.sum().item()]
    vectors = skip.u.weight.data.cpu().numpy()
    results.append(float(np.linalg.norm(vectors)))

    ratings = torch.randint(1, 6, (7, 9)).double()
    known = torch.rand(7, 9) < 0.6
    users, items = known.nonzero(as_tuple=True)
    mf = Factorisation(7, 9)
    optimizer = optim.Adam(mf.parameters(), lr=0.1, weight_decay=1e-4)
    for _ in range(5):
        optimizer.zero_grad()
        loss = F.mse_loss(mf(users, items), ratings[known])
        loss.backward()
        optimizer.step()
        results.append(loss.item())
    full = mf.user.weight @ mf.item.weight.t() + mf.user_bias.weight + mf.item_bias.weight.t()
    return [float(r) for r in results + [full[~known].mean().item(), (full.detach().numpy() > 3).sum()]]
