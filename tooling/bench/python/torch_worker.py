"""Does the tasks of `src/contestant.ts` in PyTorch: a line of JSON in, a line of JSON out.

The model is a LLaMA as nanoGPT would write it: no framework around it, fused attention, fused AdamW.
"""

import argparse
import json
import sys
import time

import torch
import torch.nn as nn
import torch.nn.functional as F
from gpt2 import Gpt2


class RMSNorm(nn.Module):
    def __init__(self, size):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))

    def forward(self, x):
        return F.rms_norm(x, self.weight.shape, self.weight, 1e-6)


def rotate(x, cos, sin):
    a, b = x.chunk(2, -1)
    return torch.cat([a * cos - b * sin, b * cos + a * sin], -1)


class Layer(nn.Module):
    def __init__(self, size, heads, intermediate):
        super().__init__()
        self.heads = heads
        self.q, self.k, self.v, self.o = (nn.Linear(size, size, bias=False) for _ in range(4))
        self.gate, self.up = (nn.Linear(size, intermediate, bias=False) for _ in range(2))
        self.down = nn.Linear(intermediate, size, bias=False)
        self.norm1, self.norm2 = RMSNorm(size), RMSNorm(size)

    def forward(self, x, cos, sin):
        batch, length, size = x.shape
        h = self.norm1(x)
        q, k, v = (f(h).view(batch, length, self.heads, -1).transpose(1, 2) for f in (self.q, self.k, self.v))
        y = F.scaled_dot_product_attention(rotate(q, cos, sin), rotate(k, cos, sin), v, is_causal=True)
        x = x + self.o(y.transpose(1, 2).reshape(batch, length, size))
        h = self.norm2(x)
        return x + self.down(F.silu(self.gate(h)) * self.up(h))


class Llama(nn.Module):
    def __init__(self, layers, heads, hiddenSize, seqLen, vocabSize, **_):
        super().__init__()
        self.embed = nn.Embedding(vocabSize, hiddenSize)
        intermediate = round(hiddenSize * 8 / 3 / 32) * 32
        self.layers = nn.ModuleList([Layer(hiddenSize, heads, intermediate) for _ in range(layers)])
        self.norm = RMSNorm(hiddenSize)
        size = hiddenSize // heads
        angles = torch.outer(torch.arange(seqLen).float(), 10000.0 ** (-torch.arange(0, size, 2).float() / size))
        self.register_buffer("cos", angles.cos())
        self.register_buffer("sin", angles.sin())

    def forward(self, ids):
        x = self.embed(ids)
        for layer in self.layers:
            x = layer(x, self.cos, self.sin)
        logits = F.linear(self.norm(x), self.embed.weight)
        return F.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten())


def matmul(sizes, _):
    a, b = torch.rand(sizes["m"], sizes["k"]) * 2 - 1, torch.rand(sizes["k"], sizes["n"]) * 2 - 1
    return lambda: torch.mm(a, b)


def train(sizes, use_compile):
    torch.manual_seed(0)
    model = Llama(**sizes)
    decay = [p for p in model.parameters() if p.dim() > 1]
    rest = [p for p in model.parameters() if p.dim() <= 1]
    groups = [{"params": decay, "weight_decay": 0.1}, {"params": rest, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=1e-3, betas=(0.9, 0.99), fused=True)
    ids = torch.randint(sizes["vocabSize"], (sizes["batch"], sizes["seqLen"]))
    run = torch.compile(model) if use_compile else model

    def step():
        loss = run(ids)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        loss.item()

    return step


def prefill(task, _):
    model = Gpt2(task["path"]).eval()
    ids = torch.arange(100, 100 + task["prompt"])[None]

    @torch.inference_mode()
    def run():
        logits, _ = model(ids, model.empty())
        logits.argmax().item()

    return run


def decode(task, _):
    """Gives the seconds after the prompt."""
    model = Gpt2(task["path"]).eval()
    ids = torch.arange(100, 100 + task["prompt"])[None]

    @torch.inference_mode()
    def run():
        logits, past = model(ids, model.empty())
        start = time.perf_counter()
        for _ in range(task["written"]):
            logits, past = model(logits.argmax(-1), past)
        logits.argmax().item()
        return time.perf_counter() - start

    return run


TASKS = {"matmul": matmul, "train": train, "prefill": prefill, "decode": decode}
MAX_TURN_SECONDS = 5  # a slow contestant does fewer repeats in a turn

parser = argparse.ArgumentParser()
parser.add_argument("--threads", type=int, default=1)
parser.add_argument("--compile", action="store_true")
options = parser.parse_args()
torch.set_num_threads(options.threads)

prepared = {}
for line in sys.stdin:
    request = json.loads(line)
    repeats = request.pop("repeats")
    key = json.dumps(request)
    if key not in prepared:
        prepared[key] = TASKS[request["name"]](request.get("sizes", request), options.compile)
        for _ in range(3):
            prepared[key]()
    seconds = []
    turn = time.perf_counter()
    while len(seconds) < repeats and (not seconds or time.perf_counter() - turn < MAX_TURN_SECONDS):
        start = time.perf_counter()
        measured = prepared[key]()
        seconds.append(time.perf_counter() - start if measured is None else measured)
    print(json.dumps({"seconds": seconds}), flush=True)
