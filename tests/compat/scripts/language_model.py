"""A language model of characters by an LSTM, on a text of this file's own."""

import math

import torch
import torch.nn as nn
import torch.nn.functional as F

TEXT = "the ferry left the quay at nine and the gulls went with it. nobody on the quay waved, and the ferry did not mind. " * 4


class Corpus:
    def __init__(self, text):
        self.idx2char = sorted(set(text))
        self.char2idx = {c: i for i, c in enumerate(self.idx2char)}
        self.ids = torch.tensor([self.char2idx[c] for c in text]).type(torch.int64)


class RNNModel(nn.Module):
    def __init__(self, ntoken, ninp, nhid, nlayers, dropout=0.1):
        super().__init__()
        self.drop = nn.Dropout(dropout)
        self.encoder = nn.Embedding(ntoken, ninp)
        self.rnn = nn.LSTM(ninp, nhid, nlayers, dropout=dropout)
        self.decoder = nn.Linear(nhid, ntoken)
        nn.init.uniform_(self.encoder.weight, -0.1, 0.1)
        self.nhid, self.nlayers, self.ntoken = nhid, nlayers, ntoken

    def forward(self, input, hidden):
        output, hidden = self.rnn(self.drop(self.encoder(input)), hidden)
        decoded = self.decoder(self.drop(output)).view(-1, self.ntoken)
        return F.log_softmax(decoded, dim=1), hidden

    def init_hidden(self, bsz):
        weight = next(self.parameters())
        return weight.new_zeros(self.nlayers, bsz, self.nhid), weight.new_zeros(self.nlayers, bsz, self.nhid)


def batchify(data, bsz):
    nbatch = data.size(0) // bsz
    return data.narrow(0, 0, nbatch * bsz).view(bsz, -1).t().contiguous()


def repackage_hidden(h):
    return h.detach() if isinstance(h, torch.Tensor) else tuple(repackage_hidden(v) for v in h)


torch.manual_seed(1111)
corpus = Corpus(TEXT)
train_data = batchify(corpus.ids, 4)
model = RNNModel(len(corpus.idx2char), 12, 16, 2)
criterion = nn.NLLLoss()
lr, bptt = 2.0, 20
for epoch in range(1, 3):
    model.train()
    total_loss = 0.0
    hidden = model.init_hidden(4)
    for batch, i in enumerate(range(0, train_data.size(0) - 1, bptt)):
        seq_len = min(bptt, len(train_data) - 1 - i)
        data, targets = train_data[i : i + seq_len], train_data[i + 1 : i + 1 + seq_len].view(-1)
        model.zero_grad()
        hidden = repackage_hidden(hidden)
        output, hidden = model(data, hidden)
        loss = criterion(output, targets)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 0.25)
        for p in model.parameters():
            p.data.add_(p.grad, alpha=-lr)
        total_loss += loss.item()
    print("| epoch {:3d} | {:5d} batches | loss {:5.2f} | ppl {:8.2f}".format(
        epoch, batch + 1, total_loss / (batch + 1), math.exp(total_loss / (batch + 1))))
model.eval()
with torch.no_grad():
    hidden, input = model.init_hidden(1), torch.randint(len(corpus.idx2char), (1, 1), dtype=torch.long)
    for _ in range(10):
        output, hidden = model(input, hidden)
        input.fill_(torch.multinomial(output.squeeze().exp(), 1)[0])
print(input.shape, output.dtype)
