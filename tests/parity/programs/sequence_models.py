"""Sequences: an LSTM tagger, a BiLSTM with a CRF, packed sequences, a temporal convolution, mixture of experts, forecasting."""

import math

import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim
from torch.nn.utils.rnn import pack_padded_sequence, pack_sequence, pad_packed_sequence, pad_sequence

START_TAG, STOP_TAG = "<START>", "<STOP>"


def prepare_sequence(seq, to_ix):
    return torch.tensor([to_ix[w] for w in seq], dtype=torch.long)


class LSTMTagger(nn.Module):
    def __init__(self, embedding_dim, hidden_dim, vocab_size, tagset_size):
        super(LSTMTagger, self).__init__()
        self.hidden_dim = hidden_dim
        self.word_embeddings = nn.Embedding(vocab_size, embedding_dim)
        self.lstm = nn.LSTM(embedding_dim, hidden_dim)
        self.hidden2tag = nn.Linear(hidden_dim, tagset_size)

    def forward(self, sentence):
        embeds = self.word_embeddings(sentence)
        lstm_out, _ = self.lstm(embeds.view(len(sentence), 1, -1))
        return F.log_softmax(self.hidden2tag(lstm_out.view(len(sentence), -1)), dim=1)


def argmax(vec):
    _, idx = torch.max(vec, 1)
    return idx.item()


def log_sum_exp(vec):
    max_score = vec[0, argmax(vec)]
    max_score_broadcast = max_score.view(1, -1).expand(1, vec.size()[1])
    return max_score + torch.log(torch.sum(torch.exp(vec - max_score_broadcast)))


class BiLSTM_CRF(nn.Module):
    def __init__(self, vocab_size, tag_to_ix, embedding_dim, hidden_dim):
        super().__init__()
        self.hidden_dim, self.tag_to_ix, self.tagset_size = hidden_dim, tag_to_ix, len(tag_to_ix)
        self.word_embeds = nn.Embedding(vocab_size, embedding_dim)
        self.lstm = nn.LSTM(embedding_dim, hidden_dim // 2, num_layers=1, bidirectional=True)
        self.hidden2tag = nn.Linear(hidden_dim, self.tagset_size)
        self.transitions = nn.Parameter(torch.randn(self.tagset_size, self.tagset_size))
        self.transitions.data[tag_to_ix[START_TAG], :] = -10000
        self.transitions.data[:, tag_to_ix[STOP_TAG]] = -10000
        self.hidden = self.init_hidden()

    def init_hidden(self):
        return (torch.randn(2, 1, self.hidden_dim // 2), torch.randn(2, 1, self.hidden_dim // 2))

    def _forward_alg(self, feats):
        init_alphas = torch.full((1, self.tagset_size), -10000.0)
        init_alphas[0][self.tag_to_ix[START_TAG]] = 0.0
        forward_var = init_alphas
        for feat in feats:
            alphas_t = []
            for next_tag in range(self.tagset_size):
                emit_score = feat[next_tag].view(1, -1).expand(1, self.tagset_size)
                trans_score = self.transitions[next_tag].view(1, -1)
                alphas_t.append(log_sum_exp(forward_var + trans_score + emit_score).view(1))
            forward_var = torch.cat(alphas_t).view(1, -1)
        return log_sum_exp(forward_var + self.transitions[self.tag_to_ix[STOP_TAG]])

    def _get_lstm_features(self, sentence):
        self.hidden = self.init_hidden()
        lstm_out, self.hidden = self.lstm(self.word_embeds(sentence).view(len(sentence), 1, -1), self.hidden)
        return self.hidden2tag(lstm_out.view(len(sentence), self.hidden_dim))

    def _score_sentence(self, feats, tags):
        score = torch.zeros(1)
        tags = torch.cat([torch.tensor([self.tag_to_ix[START_TAG]], dtype=torch.long), tags])
        for i, feat in enumerate(feats):
            score = score + self.transitions[tags[i + 1], tags[i]] + feat[tags[i + 1]]
        return score + self.transitions[self.tag_to_ix[STOP_TAG], tags[-1]]

    def viterbi(self, feats):
        back, score = [], torch.full((1, self.tagset_size), -10000.0)
        score[0][self.tag_to_ix[START_TAG]] = 0
        for feat in feats:
            best, ids = (score + self.transitions).max(dim=1)
            score = (best + feat).view(1, -1)
            back.append(ids)
        path = [argmax(score + self.transitions[self.tag_to_ix[STOP_TAG]])]
        for ids in reversed(back):
            path.append(ids[path[-1]].item())
        return path[::-1][1:]

    def neg_log_likelihood(self, sentence, tags):
        feats = self._get_lstm_features(sentence)
        return self._forward_alg(feats) - self._score_sentence(feats, tags)


class TemporalBlock(nn.Module):
    def __init__(self, cin, cout, dilation):
        super().__init__()
        self.conv = nn.utils.parametrizations.weight_norm(nn.Conv1d(cin, cout, 3, padding=2 * dilation, dilation=dilation))
        self.chomp = 2 * dilation

    def forward(self, x):
        return F.elu(self.conv(x)[:, :, : -self.chomp].contiguous())


class MoE(nn.Module):
    def __init__(self, dim, n_experts, k):
        super().__init__()
        self.experts = nn.ModuleList([nn.Sequential(nn.Linear(dim, 6), nn.SiLU(), nn.Linear(6, dim)) for _ in range(n_experts)])
        self.gate, self.k = nn.Linear(dim, n_experts, bias=False), k

    def forward(self, x):
        logits = self.gate(x)
        top, index = logits.topk(self.k, dim=-1)
        gates = torch.zeros_like(logits).scatter(-1, index, F.softmax(top, dim=-1))
        out = torch.zeros_like(x)
        for e, expert in enumerate(self.experts):
            rows = (index == e).any(dim=-1).nonzero().squeeze(-1)
            if rows.numel() == 0:
                continue
            out.index_add_(0, rows, expert(x[rows]) * gates[rows, e].unsqueeze(1))
        load = F.one_hot(index, len(self.experts)).sum(dim=(0, 1)).to(x.dtype)
        return out, load.var() / load.mean() ** 2


class Forecaster(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm1, self.lstm2 = nn.LSTMCell(1, 8), nn.LSTMCell(8, 8)
        self.linear = nn.Linear(8, 1)

    def forward(self, input, future=0):
        outputs = []
        h_t = c_t = h_t2 = c_t2 = torch.zeros(input.size(0), 8, dtype=torch.double)
        for input_t in input.split(1, dim=1):
            h_t, c_t = self.lstm1(input_t, (h_t, c_t))
            h_t2, c_t2 = self.lstm2(h_t, (h_t2, c_t2))
            output = self.linear(h_t2)
            outputs += [output]
        for i in range(future):
            h_t, c_t = self.lstm1(output, (h_t, c_t))
            h_t2, c_t2 = self.lstm2(h_t, (h_t2, c_t2))
            output = self.linear(h_t2)
            outputs += [output]
        return torch.cat(outputs, dim=1)


def main():
    torch.manual_seed(1)
    torch.set_default_dtype(torch.float64)
    results = []
    training_data = [("the dog ate the apple".split(), ["DET", "NN", "V", "DET", "NN"]), ("everybody read that book".split(), ["NN", "V", "DET", "NN"])]
    word_to_ix = {}
    for sent, tags in training_data:
        for word in sent:
            word_to_ix.setdefault(word, len(word_to_ix))
    tag_to_ix = {"DET": 0, "NN": 1, "V": 2}
    model = LSTMTagger(6, 6, len(word_to_ix), len(tag_to_ix))
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    for _ in range(3):
        for sentence, tags in training_data:
            model.zero_grad()
            loss = nn.NLLLoss()(model(prepare_sequence(sentence, word_to_ix)), prepare_sequence(tags, tag_to_ix))
            loss.backward()
            optimizer.step()
        results.append(loss.item())
    tag_to_ix = {**tag_to_ix, START_TAG: 3, STOP_TAG: 4}
    crf = BiLSTM_CRF(len(word_to_ix), tag_to_ix, 5, 4)
    optimizer = optim.SGD(crf.parameters(), lr=0.01, weight_decay=1e-4)
    for sentence, tags in training_data:
        crf.zero_grad()
        loss = crf.neg_log_likelihood(prepare_sequence(sentence, word_to_ix), prepare_sequence(tags, tag_to_ix))
        loss.backward()
        optimizer.step()
        results.append(loss.item())
    with torch.no_grad():
        results += crf.viterbi(crf._get_lstm_features(prepare_sequence(training_data[0][0], word_to_ix)))

    seqs = [torch.randn(n, 3) for n in (2, 5, 3)]
    lengths = torch.tensor([len(s) for s in seqs])
    padded = pad_sequence(seqs, batch_first=True, padding_value=0.0)
    gru = nn.GRU(3, 4, bidirectional=True, batch_first=True)
    packed = pack_padded_sequence(padded, lengths, batch_first=True, enforce_sorted=False)
    out, h = gru(packed)
    unpacked, sizes = pad_packed_sequence(out, batch_first=True, total_length=6)
    (unpacked.pow(2).sum() + h.sum()).backward()
    results += [unpacked.sum().item(), *sizes.tolist(), *packed.batch_sizes.tolist(), gru.weight_hh_l0.grad.norm().item()]
    results.append(nn.RNN(3, 2)(pack_sequence(seqs, enforce_sorted=False))[0].data.sum().item())
    tcn = nn.Sequential(TemporalBlock(3, 4, 1), TemporalBlock(4, 2, 2))
    loss = tcn(torch.randn(2, 3, 9)).abs().mean()
    loss.backward()
    results += [loss.item(), *(p.grad.norm().item() for p in tcn.parameters()), len(list(tcn.state_dict()))]
    moe, x = MoE(4, 3, 2), torch.randn(7, 4)
    out, balance = moe(x)
    (out.pow(2).sum() + 0.01 * balance).backward()
    results += [out.sum().item(), balance.item(), moe.gate.weight.grad.norm().item()]
    waves = torch.sin(torch.arange(16)[None, :] / 3 + torch.randint(0, 6, (3, 1)).double())
    seq = Forecaster().double()
    optimizer = optim.LBFGS(seq.parameters(), lr=0.8, max_iter=3)

    def closure():
        optimizer.zero_grad()
        loss = F.mse_loss(seq(waves[:, :-1]), waves[:, 1:])
        loss.backward()
        results.append(loss.item())
        return loss

    optimizer.step(closure)
    with torch.no_grad():
        results += seq(waves[:1, :-1], future=4)[0, -4:].tolist()
    results.append(math.exp(min(results[-1], 1)))
    return [float(r) for r in results]
