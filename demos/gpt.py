"""A GPT, letter by letter: it reads forty little tales, and then tells some of its own.

The model file is an ordinary one: token and position embeddings, blocks of causal self-attention and a small network, each
behind a LayerNorm and added to what came in, and an output layer that shares its weight with the token embedding. It learns to
say the next letter of forty tales in short words (demos/gpt.txt): AdamW with weight decay on matrices only, gradients clipped
to norm 1, a learning rate that warms up and then falls as a cosine. Letters are drawn by `multinomial` from the likeliest k.
`--text demos/sonnets.txt` gives it Shakespeare to read, which is harder, and any other text can be given too.
"""

import math
import re
import time
from pathlib import Path

import tinygrad_edu as tg
import tinygrad_edu.nn.functional as F
from tinygrad_edu import nn, optim, viz
from tinygrad_edu.cli import Demo, whole_number

CONTEXT = 32  # how many letters the model sees


class CausalSelfAttention(nn.Module):
    """Each position looks at itself and those before it, in several ways (heads) at once."""

    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)

    def forward(self, x):
        batch, length, width = x.shape
        split = (batch, length, self.heads, width // self.heads)
        q, k, v = (part.view(split).transpose(1, 2) for part in self.qkv(x).chunk(3, dim=-1))
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.out(mixed.transpose(1, 2).reshape(batch, length, width))


class Block(nn.Module):
    """Attention, then a network of two layers; both add to what came in."""

    def __init__(self, width, heads, dropout):
        super().__init__()
        self.norm_1, self.norm_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = CausalSelfAttention(width, heads)
        self.network = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))
        self.dropout = nn.Dropout(dropout)

    def forward(self, x):
        x = x + self.dropout(self.attention(self.norm_1(x)))
        return x + self.dropout(self.network(self.norm_2(x)))


class GPT(nn.Module):
    """Letters as numbers (batch, length) → for each position the scores of the next letter (batch, length, letters)."""

    def __init__(self, letters, context, width=64, heads=4, layers=2, dropout=0.0):
        super().__init__()
        self.context = context
        self.token = nn.Embedding(letters, width)
        self.position = nn.Embedding(context, width)
        self.blocks = nn.Sequential(*[Block(width, heads, dropout) for _ in range(layers)])
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, letters, bias=False)
        self.head.weight = self.token.weight  # weight tying: a letter's row is its meaning and its score
        self.apply(self.begin)
        for name, parameter in self.named_parameters():
            if name.endswith(("out.weight", "network.2.weight")):  # their results add up, block after block
                nn.init.normal_(parameter, std=0.02 / math.sqrt(2 * layers))

    @staticmethod
    def begin(module):
        if isinstance(module, (nn.Linear, nn.Embedding)):
            nn.init.normal_(module.weight, std=0.02)
        if isinstance(module, nn.Linear) and module.bias is not None:
            nn.init.zeros_(module.bias)

    def forward(self, ids, targets=None):
        x = self.token(ids) + self.position(tg.arange(ids.shape[1]))
        logits = self.head(self.norm(self.blocks(x)))
        if targets is None:
            return logits, None
        return logits, F.cross_entropy(logits.view(-1, logits.size(-1)), targets.reshape(-1))

    @tg.no_grad()
    def generate(self, ids, count, temperature=1.0, top_k=None):
        """`ids` (batch, length) with `count` more letters, each drawn from the `top_k` likeliest (or from all)."""
        self.eval()
        for _ in range(count):
            logits = self(ids[:, -self.context :])[0][:, -1, :] / temperature
            if top_k is not None:
                least = logits.topk(min(top_k, logits.size(-1)))[0][:, [-1]]
                logits = logits.masked_fill(logits < least, -math.inf)
            ids = tg.cat([ids, tg.multinomial(F.softmax(logits, dim=-1), num_samples=1)], dim=1)
        self.train()
        return ids


def adamw(model, lr, decay=0.1):
    """AdamW in two groups: matrices lose a little weight in each step; biases and LayerNorms do not."""
    parameters = list(model.parameters())  # a tied weight comes once
    groups = [
        {"params": [p for p in parameters if p.dim() >= 2], "weight_decay": decay},
        {"params": [p for p in parameters if p.dim() < 2], "weight_decay": 0.0},
    ]
    return optim.AdamW(groups, lr=lr, betas=(0.9, 0.99))


def warmup_and_cosine(steps, warmup, floor=0.1):
    """The factor of the learning rate in each step: up in a line, then down to `floor` as half a cosine."""

    def factor(step):
        if step < warmup:
            return (step + 1) / (warmup + 1)
        done = min((step - warmup) / max(steps - warmup, 1), 1.0)
        return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * done))

    return factor


def batch_of(data, size, context):
    """`size` random pieces of the text, and the same pieces one letter further on."""
    starts = tg.randint(len(data) - context, (size,))
    places = starts[:, None] + tg.arange(context + 1)
    pieces = data[places]
    return pieces[:, :-1], pieces[:, 1:]


def train(model, data, steps, size, lr, demo):
    """Train; returns the loss of each step."""
    optimizer = adamw(model, lr)
    scheduler = optim.lr_scheduler.LambdaLR(optimizer, warmup_and_cosine(steps, warmup=steps // 20))
    losses = []
    for step in range(steps):
        x, y = batch_of(data, size, model.context)
        _, loss = model(x, y)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        scheduler.step()
        losses.append(loss.item())
        demo.progress(step + 1, steps, f"loss {losses[-1]:.3f}")
    return losses


def words_of(text):
    """The words of a text, in small letters."""
    return re.findall(r"[a-z']+", text.lower())


def longest_copy(sample, text):
    """The longest piece of the sample that stands in the text letter for letter."""
    best, start = "", 0
    while start + len(best) < len(sample):
        longer = sample[start : start + len(best) + 1]
        if longer in text:
            best = longer
        else:
            start += 1
    return best


def main(arguments=None):
    """Train the model, and let it write before and after."""

    def add(parser):
        parser.add_argument("--letters", type=whole_number, default=400, help="how many letters to write (default: %(default)s)")
        parser.add_argument("--text", metavar="FILE", help="what to read (default: the tales that come with the demo)")
        parser.add_argument("--prompt", default="\n", help="what the writing goes on from (default: a new line)")

    demo = Demo("gpt", __doc__, arguments, add=add)
    file = Path(demo.options.text) if demo.options.text else Path(__file__).with_name("gpt.txt")
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        demo.error(f"--text {file}: cannot read it ({error})")
    if len(text) <= CONTEXT:
        demo.error(f"--text {file}: {len(text)} letters are too few; the model reads {CONTEXT} at a time")
    letters = sorted({"\n", *text})
    number_of = {letter: i for i, letter in enumerate(letters)}
    unknown = sorted(set(demo.options.prompt) - set(letters))
    if unknown:
        demo.error(f"--prompt: the text has no {''.join(unknown)!r}; its letters are {''.join(letters).strip()}")

    def encode(string):
        return tg.tensor([number_of[letter] for letter in string])

    def write(model, count):
        start = encode(demo.options.prompt or "\n")[None]
        return "".join(letters[i] for i in model.generate(start, count, temperature=0.5, top_k=10)[0].tolist())

    tg.manual_seed(demo.seed)
    data = encode(text)
    model = GPT(len(letters), context=CONTEXT)
    steps = 40 if demo.quick else 1100
    print(f"{len(text)} letters, {len(letters)} different ones; {sum(p.numel() for p in model.parameters())} parameters")
    before = write(model, 80)
    print(f"\nbefore training:\n{before.strip()}\n")
    start = time.perf_counter()
    losses = train(model, data, steps, 16, 8e-3, demo)
    took = time.perf_counter() - start
    guess = math.log(len(letters))
    print(
        f"{steps} steps in {took:.1f} s: loss {losses[0]:.3f} → {sum(losses[-20:]) / 20:.3f}; "
        f"guessing any letter gives {guess:.3f}"
    )
    sample = write(model, demo.options.letters)
    known, said = set(words_of(text)), words_of(sample)[1:-1]
    real = sum(word in known for word in said) / max(len(said), 1)
    copied = longest_copy(sample, text)
    demo.save(
        "loss.svg", lambda: viz.curves({"cross-entropy": losses}, smooth=20), "the loss over the steps, and its running mean"
    )
    print(f"\nafter training:\n{sample.strip()}\n")
    print(
        f"{real:.0%} of the words are words of the text; "
        f"the longest piece copied from it has {len(copied)} letters: {copied.strip()!r}"
    )
    demo.finish()
    return dict(losses=losses, seconds=took, guess=guess, before=before, sample=sample, real=real, copied=len(copied))


if __name__ == "__main__":
    main()
