"""What single calls cost on small tensors: PyTorch's time, ours and their ratio, for the calls that programs make most.

    python tests/benchmarks/calls.py                  # every call
    python tests/benchmarks/calls.py sort "randn"     # those with these words in them
    python tests/benchmarks/calls.py --slow           # only those where we take longer

Both libraries in one process with one thread, timed in turn (A B B A …): processor time, the least of the rounds, in microseconds. `both`
is forward and backward. A ratio above 1 means that PyTorch is faster.
"""

import argparse
import gc
import os
import time

os.environ.update(OPENBLAS_NUM_THREADS="1", OMP_NUM_THREADS="1", MKL_NUM_THREADS="1")

# {name: expression}: `t` is the library, `x y` 8 × 8 of floats, `v` 16 of them, `i` 8 × 8 and `j` 8 integers, `m` 8 × 8 of booleans
CALLS = {
    # random numbers
    "randn(16)": "t.randn(16)",
    "randn(8, 8)": "t.randn(8, 8)",
    "randn(4)": "t.randn(4)",
    "randn(4096)": "t.randn(4096)",
    "randn_like": "t.randn_like(x)",
    "rand(16)": "t.rand(16)",
    "rand(8, 8)": "t.rand(8, 8)",
    "randint(10, (16,))": "t.randint(0, 10, (16,))",
    "randperm(32)": "t.randperm(32)",
    "randperm(1000)": "t.randperm(1000)",
    "normal_": "e.normal_()",
    "uniform_(-1, 1)": "e.uniform_(-1, 1)",
    "bernoulli_(0.5)": "e.bernoulli_(0.5)",
    "bernoulli": "t.bernoulli(p)",
    "multinomial(1)": "t.multinomial(p, 1)",
    "multinomial(4, True)": "t.multinomial(p, 4, replacement=True)",
    "dropout *": "F.dropout(x, 0.5)",
    "normal(0, 1, size)": "t.normal(0.0, 1.0, (4, 4))",
    # new tensors
    "tensor(1.0)": "t.tensor(1.0)",
    "tensor([1.0, 2.0])": "t.tensor([1.0, 2.0])",
    "tensor(nested)": "t.tensor([[1.0, 2.0], [3.0, 4.0]])",
    "tensor(ndarray)": "t.tensor(array)",
    "from_numpy": "t.from_numpy(array)",
    "zeros(4, 4)": "t.zeros(4, 4)",
    "ones((4, 4))": "t.ones((4, 4))",
    "full": "t.full((4, 4), 0.5)",
    "arange(10)": "t.arange(10)",
    "linspace": "t.linspace(0, 1, 10)",
    "eye(4)": "t.eye(4)",
    "zeros_like": "t.zeros_like(x)",
    "tril(ones)": "t.tril(x)",
    # conversions
    "item()": "s.item()",
    "float(t)": "float(s)",
    "tolist()": "v.tolist()",
    "numpy()": "v.detach().numpy()",
    "detach()": "x.detach()",
    "clone() *": "x.clone()",
    "to(float64)": "x.to(t.float64)",
    "to('cpu')": "x.to('cpu')",
    "float() of ints": "i.float()",
    "long()": "k.long()",
    "shape": "x.shape",
    "size(0)": "x.size(0)",
    # arithmetic and comparisons
    "x + y *": "x + y",
    "x * 2 *": "x * 2",
    "1 - x *": "1 - x",
    "x / y *": "x / y",
    "x ** 2 *": "x ** 2",
    "-x *": "-x",
    "x == y": "k == l",
    "x > 0": "k > 0",
    "i == j": "i == i",
    "~m": "~m",
    "m & m": "m & m",
    "i + 1": "i + 1",
    "exp *": "x.exp()",
    "log *": "t.log(p)",
    "sqrt *": "p.sqrt()",
    "tanh *": "t.tanh(x)",
    "sigmoid *": "t.sigmoid(x)",
    "relu *": "F.relu(x)",
    "gelu *": "F.gelu(x)",
    "silu *": "F.silu(x)",
    "leaky_relu *": "F.leaky_relu(x, 0.1)",
    "abs *": "x.abs()",
    "clamp *": "x.clamp(-1, 1)",
    "clamp(min) *": "x.clamp(min=0)",
    "where *": "t.where(m, x, y)",
    "masked_fill *": "x.masked_fill(m, 0.0)",
    "maximum *": "t.maximum(x, y)",
    "x += y": "e.add_(k)",
    "mul_": "e.mul_(1.0)",
    "zero_": "e.zero_()",
    "copy_": "e.copy_(k)",
    # products
    "x @ y *": "x @ y",
    "bmm *": "t.bmm(b, b)",
    "einsum ij,jk *": "t.einsum('ij,jk->ik', x, y)",
    "einsum bij,bjk *": "t.einsum('bij,bjk->bik', b, b)",
    "outer *": "t.outer(v, v)",
    "v @ v *": "v @ v",
    # reductions
    "sum() *": "x.sum()",
    "sum(1) *": "x.sum(1)",
    "mean() *": "x.mean()",
    "mean(-1, keepdim) *": "x.mean(-1, keepdim=True)",
    "max() *": "x.max()",
    "max(1) *": "x.max(1)[0]",
    "min(1) *": "x.min(dim=1).values",
    "argmax(1)": "x.argmax(1)",
    "argmax()": "k.argmax()",
    "std() *": "x.std()",
    "var(1) *": "x.var(1)",
    "norm() *": "x.norm()",
    "norm(dim=1) *": "x.norm(dim=1)",
    "prod() *": "v.prod()",
    "cumsum *": "x.cumsum(1)",
    "logsumexp *": "t.logsumexp(x, 1)",
    "all()": "m.all()",
    "any()": "m.any()",
    "sum of bools": "m.sum()",
    "allclose": "t.allclose(k, k)",
    "sort *": "x.sort(1)[0]",
    "argsort": "k.argsort(1)",
    "topk *": "x.topk(3)[0]",
    "unique": "i.unique()",
    "nonzero": "m.nonzero()",
    # softmax, losses, normalization
    "softmax *": "F.softmax(x, -1)",
    "log_softmax *": "F.log_softmax(x, -1)",
    "cross_entropy *": "F.cross_entropy(x, j)",
    "nll_loss *": "F.nll_loss(x, j)",
    "mse_loss *": "F.mse_loss(x, k)",
    "l1_loss *": "F.l1_loss(x, k)",
    "smooth_l1_loss *": "F.smooth_l1_loss(x, k)",
    "bce *": "F.binary_cross_entropy(p, q)",
    "bce_with_logits *": "F.binary_cross_entropy_with_logits(x, q)",
    "kl_div *": "F.kl_div(x, q, reduction='batchmean')",
    "layer_norm *": "norm(x)",
    "batch_norm *": "batch(x)",
    "batch_norm eval *": "still(x)",
    "group_norm *": "group(b)",
    "normalize *": "F.normalize(x)",
    "cosine_similarity *": "F.cosine_similarity(x, y)",
    "embedding *": "words(i)",
    "one_hot": "F.one_hot(j, 8)",
    # indexing and shapes
    "x[1] *": "x[1]",
    "x[1, 2] *": "x[1, 2]",
    "x[:, 1] *": "x[:, 1]",
    "x[1:3] *": "x[1:3]",
    "x[..., None] *": "x[..., None]",
    "x[j] *": "x[j]",
    "x[:, j] *": "x[:, j]",
    "x[arange, j] *": "x[r, j]",
    "x[m] *": "x[m]",
    "x[1] = 0": "e.__setitem__(1, 0.0)",
    "x[m] = 0": "e.__setitem__(m, 0.0)",
    "gather *": "x.gather(1, i)",
    "scatter *": "x.scatter(1, i, y)",
    "scatter_add *": "x.scatter_add(1, i, y)",
    "index_select *": "x.index_select(0, j)",
    "view *": "x.view(4, 16)",
    "reshape(-1) *": "x.reshape(-1)",
    "flatten *": "t.flatten(b, 1)",
    "transpose *": "x.transpose(0, 1)",
    "t() *": "x.t()",
    "permute *": "b.permute(0, 2, 1)",
    "contiguous *": "x.t().contiguous()",
    "unsqueeze *": "x.unsqueeze(0)",
    "squeeze *": "x.squeeze()",
    "expand *": "v.expand(4, 16)",
    "repeat *": "x.repeat(2, 2)",
    "cat *": "t.cat([x, y], 1)",
    "stack *": "t.stack([x, y])",
    "split": "x.split(2, 1)",
    "chunk": "x.chunk(2, 1)",
    "unbind": "x.unbind(0)",
    "pad *": "F.pad(x, (1, 1))",
    "flip *": "x.flip(0)",
    "roll *": "x.roll(1, 0)",
    "triu *": "x.triu()",
    "diag *": "t.diag(x)",
    # layers
    "Linear *": "linear(x)",
    "Sequential *": "mlp(x)",
    "Module.__call__": "identity(x)",
    "Conv2d 4 × 1 × 28 × 28 *": "conv(images)",
    "MaxPool2d 4 × 1 × 28 × 28 *": "F.max_pool2d(images, 2)",
    "avg_pool2d *": "F.avg_pool2d(images, 2)",
    "LSTM 8 → 16, 4 × 10 *": "lstm(sequence)[0]",
    "GRU 8 → 16, 4 × 10 *": "gru(sequence)[0]",
    "RNN 8 → 16, 4 × 10 *": "rnn(sequence)[0]",
    "LSTMCell *": "cell(x)[0]",
    "attention 4 × 10 × 8 *": "attention(sequence, sequence, sequence)[0]",
    "sdpa 4 × 10 × 8 *": "F.scaled_dot_product_attention(sequence, sequence, sequence, is_causal=True)",
    "encoder layer *": "encoder(sequence)",
    # training
    "zero_grad": "sgd.zero_grad()",
    "SGD.step": "sgd.step()",
    "momentum.step": "momentum.step()",
    "Adam.step": "adam.step()",
    "AdamW.step": "adamw.step()",
    "RMSprop.step": "rmsprop.step()",
    "clip_grad_norm_": "t.nn.utils.clip_grad_norm_(parameters, 1.0)",
    "state_dict": "mlp.state_dict()",
    "parameters()": "list(mlp.parameters())",
    "no_grad": "no_grad(t)",
    "DataLoader epoch of 8": "sum(1 for _ in loader)",
    "DataLoader shuffled": "sum(1 for _ in shuffled)",
}


def surroundings(t):
    """The names that the expressions use."""
    import numpy as np

    rng, nn = np.random.RandomState(0), t.nn

    def floats(*shape):
        return t.tensor(rng.standard_normal(shape).astype(np.float32), requires_grad=True)

    def network():
        return nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 8))

    def no_grad(t):
        with t.no_grad():
            pass

    t.manual_seed(0)
    i, j = (t.tensor(rng.randint(0, 8, shape)) for shape in ((8, 8), 8))
    x, y, b, images, sequence = floats(8, 8), floats(8, 8), floats(4, 8, 8), floats(4, 1, 28, 28), floats(4, 10, 8)
    p = t.tensor((rng.random_sample((8, 8)) * 0.9 + 0.05).astype(np.float32), requires_grad=True)
    mlp = network()
    mlp(x).sum().backward()
    parameters, optim = list(mlp.parameters()), t.optim
    data = t.utils.data.TensorDataset(x.detach().repeat(8, 1), j.repeat(8))
    return dict(
        t=t, F=nn.functional, x=x, y=y, v=floats(16), p=p, q=p.detach().clone(), i=i, j=j, m=i > 3, r=t.arange(8), b=b, s=t.tensor(1.5),
        k=x.detach().clone(), l=y.detach().clone(), e=t.zeros(8, 8), array=rng.random_sample((4, 4)).astype(np.float32),
        norm=nn.LayerNorm(8), batch=nn.BatchNorm1d(8), still=nn.BatchNorm1d(8).eval(), group=nn.GroupNorm(2, 8), words=nn.Embedding(8, 8),
        linear=nn.Linear(8, 8), mlp=mlp, identity=nn.Identity(), conv=nn.Conv2d(1, 8, 3, padding=1), images=images, sequence=sequence,
        lstm=nn.LSTM(8, 16, batch_first=True), gru=nn.GRU(8, 16, batch_first=True), rnn=nn.RNN(8, 16, batch_first=True), cell=nn.LSTMCell(8, 16),
        attention=nn.MultiheadAttention(8, 2, batch_first=True), encoder=nn.TransformerEncoderLayer(8, 2, 16, batch_first=True),
        sgd=optim.SGD(parameters, 0.0), momentum=optim.SGD(parameters, 0.0, momentum=0.9), adam=optim.Adam(parameters, 0.0),
        adamw=optim.AdamW(parameters, 0.0), rmsprop=optim.RMSprop(parameters, 0.0), parameters=parameters, no_grad=no_grad,
        loader=t.utils.data.DataLoader(data, batch_size=8), shuffled=t.utils.data.DataLoader(data, batch_size=8, shuffle=True),
    )  # fmt: skip


def timer(expression, t, backward):
    """A function of n that gives the processor time of n evaluations."""
    namespace = surroundings(t) | dict(clock=time.process_time)
    one = expression
    if backward:
        namespace["g"] = t.ones_like(eval(expression, namespace).detach())
        one = f"({expression}).backward(g)"
    exec(f"def run(n):\n    start = clock()\n    for _ in range(n): {one}\n    return clock() - start", namespace)
    return namespace["run"]


def measure(runs, rounds, aim=0.004):
    """The least processor time of one evaluation of each run, in microseconds, timed in turn."""
    counts = []
    for run in runs:
        run(10)  # what is made at the first call
        n, spent = 1, run(1)
        while spent < aim / 4:
            n *= 4
            spent = run(n)
        counts.append(max(1, int(n * aim / spent)))
    best = [float("inf")] * len(runs)
    order = list(range(len(runs)))
    for _ in range(rounds):
        for k in order:
            best[k] = min(best[k], runs[k](counts[k]) / counts[k])
        order.reverse()
    return [1e6 * b for b in best]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("words", nargs="*", help="only calls with one of these words in them")
    parser.add_argument("--rounds", type=int, default=12, help="how many rounds (12)")
    parser.add_argument("--slow", action="store_true", help="print only the calls where we take longer")
    options = parser.parse_args()
    import torch

    import tinygrad_edu

    torch.set_num_threads(1)
    gc.disable()
    print(f"{'':30}{'torch, µs':>12}{'ours, µs':>12}{'ratio':>8}")
    for name, expression in CALLS.items():
        if options.words and not any(word in name for word in options.words):
            continue
        for backward in (False, True) if name.endswith(" *") else (False,):
            theirs, ours = measure([timer(expression, t, backward) for t in (torch, tinygrad_edu)], options.rounds)
            if not options.slow or ours > theirs:
                print(f"{name.removesuffix(' *') + backward * ', both':30}{theirs:12.1f}{ours:12.1f}{ours / theirs:8.2f}", flush=True)
        gc.collect()


if __name__ == "__main__":
    main()
