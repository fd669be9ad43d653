"""The products, training steps and operations of `src/contestant.ts` in PyTorch.

The models are a LLaMA and a GPT-2 as nanoGPT would write them: no framework around them, fused attention, fused AdamW.
"""

import torch
import torch.nn as nn
import torch.nn.functional as F


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


class Gpt2Block(nn.Module):
    def __init__(self, size, heads):
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(size), nn.LayerNorm(size)
        self.qkv, self.proj = nn.Linear(size, 3 * size), nn.Linear(size, size)
        self.up, self.down = nn.Linear(size, 4 * size), nn.Linear(4 * size, size)

    def forward(self, x):
        batch, length, size = x.shape
        parts = self.qkv(self.norm1(x)).split(size, dim=2)
        q, k, v = (part.view(batch, length, self.heads, -1).transpose(1, 2) for part in parts)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.proj(y.transpose(1, 2).contiguous().view(batch, length, size))
        return x + self.down(F.gelu(self.up(self.norm2(x)), approximate="tanh"))


class Gpt2(nn.Module):
    def __init__(self, layers, heads, hiddenSize, seqLen, vocabSize, **_):
        super().__init__()
        self.embed, self.positions = nn.Embedding(vocabSize, hiddenSize), nn.Embedding(seqLen, hiddenSize)
        self.layers = nn.ModuleList([Gpt2Block(hiddenSize, heads) for _ in range(layers)])
        self.norm = nn.LayerNorm(hiddenSize)

    def forward(self, ids):
        x = self.embed(ids) + self.positions(torch.arange(ids.shape[1]))
        for layer in self.layers:
            x = layer(x)
        logits = F.linear(self.norm(x), self.embed.weight)
        return F.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten())


def matmul(kind, sizes, _):
    m, n, k = (sizes[name] for name in "mnk")
    a, b = torch.rand(m, k) * 2 - 1, torch.rand(*((n, k) if kind == "transposed" else (k, n))) * 2 - 1
    right = b.T if kind == "transposed" else b
    return lambda: torch.mm(a, right)


def train(kind, sizes, use_compile):
    torch.manual_seed(0)
    model = {"llama": Llama, "gpt2": Gpt2}[kind](**sizes)
    run = torch.compile(model) if use_compile else model
    optimizer_step = adamw_step(list(model.parameters()))
    ids = torch.randint(sizes["vocabSize"], (sizes["batch"], sizes["seqLen"]))

    def step():
        loss = run(ids)
        loss.backward()
        optimizer_step()
        loss.item()

    return step


def adamw_step(parameters):
    """Clipping to norm 1 and AdamW, after which the gradients are gone."""
    groups = [
        {"params": [p for p in parameters if p.dim() > 1], "weight_decay": 0.1},
        {"params": [p for p in parameters if p.dim() <= 1], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=1e-3, betas=(0.9, 0.99), fused=True)

    def step():
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return step


def random(*shape):
    return (torch.rand(shape) * 2 - 1).requires_grad_()


def linear(activation):
    def create(rows, inFeatures, outFeatures):
        inputs = [random(rows, inFeatures), random(outFeatures, inFeatures), random(outFeatures)]
        return inputs, lambda x, weight, bias: activation(F.linear(x, weight, bias))

    return create


def elementwise(function):
    return lambda rows, hiddenSize: ([random(rows, hiddenSize)], function)


def layer_norm(rows, hiddenSize):
    inputs = [random(rows, hiddenSize), random(hiddenSize), random(hiddenSize)]
    return inputs, lambda x, weight, bias: F.layer_norm(x, weight.shape, weight, bias, 1e-5)


def rms_norm(rows, hiddenSize):
    return [random(rows, hiddenSize), random(hiddenSize)], lambda x, weight: F.rms_norm(x, weight.shape, weight, 1e-6)


def rotary(batch, seqLen, heads, headDim):
    cos, sin = torch.rand(seqLen, headDim // 2), torch.rand(seqLen, headDim // 2)
    return [random(batch, heads, seqLen, headDim)], lambda x: rotate(x, cos, sin)


def attention(batch, seqLen, heads, headDim):
    inputs = [random(batch, heads, seqLen, headDim) for _ in range(3)]
    return inputs, lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=True)


def swiglu(rows, hiddenSize):
    return [random(rows, hiddenSize), random(rows, hiddenSize)], lambda gate, up: F.silu(gate) * up


def embedding(rows, vocabSize, hiddenSize):
    ids = torch.randint(vocabSize, (rows,))
    return [random(vocabSize, hiddenSize)], lambda weight: F.embedding(ids, weight)


def cross_entropy(rows, vocabSize):
    labels = torch.randint(vocabSize, (rows,))
    return [random(rows, vocabSize)], lambda logits: F.cross_entropy(logits, labels)


OPERATIONS = {
    "linear": linear(lambda x: x),
    "linearGelu": linear(lambda x: F.gelu(x, approximate="tanh")),
    "layerNorm": layer_norm,
    "rmsNorm": rms_norm,
    "rotary": rotary,
    "attention": attention,
    "swiGlu": swiglu,
    "gelu": elementwise(F.gelu),
    "geluTanh": elementwise(lambda x: F.gelu(x, approximate="tanh")),
    "silu": elementwise(F.silu),
    "dropout": elementwise(lambda x: F.dropout(x, 0.1)),
    "embedding": embedding,
    "crossEntropy": cross_entropy,
    "softmax": elementwise(lambda x: F.softmax(x, -1)),
}


def op(kind, sizes, use_compile):
    if kind == "adamW":
        return optimizer_step(**sizes)
    inputs, apply = OPERATIONS[kind](**sizes)
    run = torch.compile(apply) if use_compile else apply
    dy = torch.ones_like(apply(*inputs))
    return lambda: torch.autograd.grad(run(*inputs), inputs, dy)


def optimizer_step(parameters, size):
    values = [random(size // 768, 768) for _ in range(parameters)]
    gradients = [torch.rand_like(value) for value in values]
    step = adamw_step(values)

    def run():
        for value, gradient in zip(values, gradients):
            value.grad = gradient
        step()

    return run
