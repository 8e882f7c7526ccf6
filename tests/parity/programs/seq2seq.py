"""Translation with an attention decoder: teacher forcing, hand-made vocabulary, masks, greedy decoding."""

from __future__ import unicode_literals, print_function, division

import random
import re
import unicodedata

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import optim
from torch.utils.data import DataLoader, RandomSampler, TensorDataset

device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
SOS_token, EOS_token, MAX_LENGTH = 0, 1, 6
PAIRS = [("je suis ici", "i am here"), ("tu es grand", "you are tall"), ("il est là", "he is there"),
         ("nous sommes petits", "we are small"), ("je suis grand", "i am tall"), ("il est ici !", "he is here !")]


class Lang:
    def __init__(self, name):
        self.name = name
        self.word2index = {}
        self.word2count = {}
        self.index2word = {0: "SOS", 1: "EOS"}
        self.n_words = 2

    def addSentence(self, sentence):
        for word in sentence.split(" "):
            if word not in self.word2index:
                self.word2index[word] = self.n_words
                self.word2count[word] = 1
                self.index2word[self.n_words] = word
                self.n_words += 1
            else:
                self.word2count[word] += 1


def normalizeString(s):
    s = "".join(c for c in unicodedata.normalize("NFD", s.lower().strip()) if unicodedata.category(c) != "Mn")
    return re.sub(r"[^a-zA-Z!?]+", r" ", s).strip()


class EncoderRNN(nn.Module):
    def __init__(self, input_size, hidden_size, dropout_p=0.1):
        super(EncoderRNN, self).__init__()
        self.hidden_size = hidden_size
        self.embedding = nn.Embedding(input_size, hidden_size)
        self.gru = nn.GRU(hidden_size, hidden_size, batch_first=True)
        self.dropout = nn.Dropout(dropout_p)

    def forward(self, input):
        return self.gru(self.dropout(self.embedding(input)))


class BahdanauAttention(nn.Module):
    def __init__(self, hidden_size):
        super().__init__()
        self.Wa = nn.Linear(hidden_size, hidden_size)
        self.Ua = nn.Linear(hidden_size, hidden_size)
        self.Va = nn.Linear(hidden_size, 1)

    def forward(self, query, keys):
        scores = self.Va(torch.tanh(self.Wa(query) + self.Ua(keys)))
        scores = scores.squeeze(2).unsqueeze(1)
        weights = F.softmax(scores, dim=-1)
        return torch.bmm(weights, keys), weights


class AttnDecoderRNN(nn.Module):
    def __init__(self, hidden_size, output_size, dropout_p=0.1):
        super().__init__()
        self.embedding = nn.Embedding(output_size, hidden_size)
        self.attention = BahdanauAttention(hidden_size)
        self.gru = nn.GRU(2 * hidden_size, hidden_size, batch_first=True)
        self.out = nn.Linear(hidden_size, output_size)
        self.dropout = nn.Dropout(dropout_p)

    def forward(self, encoder_outputs, encoder_hidden, target_tensor=None):
        batch_size = encoder_outputs.size(0)
        decoder_input = torch.empty(batch_size, 1, dtype=torch.long, device=device).fill_(SOS_token)
        decoder_hidden = encoder_hidden
        decoder_outputs, attentions = [], []
        for i in range(MAX_LENGTH):
            decoder_output, decoder_hidden, attn_weights = self.forward_step(decoder_input, decoder_hidden, encoder_outputs)
            decoder_outputs.append(decoder_output)
            attentions.append(attn_weights)
            if target_tensor is not None:
                decoder_input = target_tensor[:, i].unsqueeze(1)
            else:
                _, topi = decoder_output.topk(1)
                decoder_input = topi.squeeze(-1).detach()
        decoder_outputs = torch.cat(decoder_outputs, dim=1)
        return F.log_softmax(decoder_outputs, dim=-1), decoder_hidden, torch.cat(attentions, dim=1)

    def forward_step(self, input, hidden, encoder_outputs):
        embedded = self.dropout(self.embedding(input))
        context, attn_weights = self.attention(hidden.permute(1, 0, 2), encoder_outputs)
        output, hidden = self.gru(torch.cat((embedded, context), dim=2), hidden)
        return self.out(output), hidden, attn_weights


def main():
    torch.manual_seed(11)
    random.seed(11)
    torch.set_default_dtype(torch.float64)
    source, target = Lang("fra"), Lang("eng")
    pairs = [[normalizeString(s) for s in pair] for pair in PAIRS]
    for a, b in pairs:
        source.addSentence(a)
        target.addSentence(b)
    ids = [torch.zeros((len(pairs), MAX_LENGTH), dtype=torch.int64) for _ in range(2)]
    for row, pair in enumerate(pairs):
        for table, lang, sentence in zip(ids, (source, target), pair):
            words = [lang.word2index[w] for w in sentence.split(" ")] + [EOS_token]
            table[row, : len(words)] = torch.LongTensor(words)
    data = TensorDataset(ids[0].to(device), ids[1].to(device))
    loader = DataLoader(data, sampler=RandomSampler(data), batch_size=3)
    encoder = EncoderRNN(source.n_words, 10).to(device)
    decoder = AttnDecoderRNN(10, target.n_words).to(device)
    optimizers = [optim.Adam(m.parameters(), lr=0.01) for m in (encoder, decoder)]
    criterion = nn.NLLLoss()
    results = []
    for epoch in range(3):
        total_loss = 0
        for input_tensor, target_tensor in loader:
            for optimizer in optimizers:
                optimizer.zero_grad()
            outputs, hidden = encoder(input_tensor)
            forced = target_tensor if random.random() < 0.7 else None
            decoded, _, _ = decoder(outputs, hidden, forced)
            loss = criterion(decoded.view(-1, decoded.size(-1)), target_tensor.view(-1))
            loss.backward()
            for optimizer in optimizers:
                optimizer.step()
            total_loss += loss.item()
        results.append(total_loss / len(loader))
    encoder.eval()
    decoder.eval()
    with torch.no_grad():
        decoded, _, attentions = decoder(*encoder(ids[0][:2]))
        _, topi = decoded.topk(1)
        for idx in topi.squeeze()[0]:
            results.append(idx.item())
            if idx.item() == EOS_token:
                break
        words = [target.index2word[i.item()] for i in topi.squeeze()[1]]
    return [float(r) for r in results + [len(" ".join(words)), *attentions[0, :2].flatten().tolist()]]
