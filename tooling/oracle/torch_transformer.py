"""A tiny torch.nn.Transformer between scaled embeddings with sinusoidal positions and a tied projection, as in Vaswani et al. 2017,
with its loss and gradients, for packages/transformer/test/fixtures/torch-transformer.

Run: python tooling/oracle/torch_transformer.py   (torch; seeded)
"""

import math

import torch
from fixture import Tensors, fixtures

VOCAB, WIDTH, PAD, BOS = 23, 16, 0, 1
FOLDER = fixtures("transformer") / "torch-transformer"


def positions(length):
    position = torch.arange(length)[:, None]
    rate = torch.exp(torch.arange(0, WIDTH, 2) * (-math.log(10000.0) / WIDTH))
    table = torch.zeros(length, WIDTH)
    table[:, 0::2] = torch.sin(position * rate)
    table[:, 1::2] = torch.cos(position * rate)
    return table


class Model(torch.nn.Module):
    def __init__(self, norm_first):
        super().__init__()
        self.embedding = torch.nn.Embedding(VOCAB, WIDTH)
        self.transformer = torch.nn.Transformer(
            WIDTH, 2, 2, 2, dim_feedforward=20, dropout=0.0, activation="relu", batch_first=True, norm_first=norm_first
        )

    def embed(self, ids):
        return self.embedding(ids) * math.sqrt(WIDTH) + positions(ids.shape[1])

    def forward(self, source, source_mask, target):
        hidden = source_mask == 0
        causal = torch.nn.Transformer.generate_square_subsequent_mask(target.shape[1])
        memory = self.transformer.encoder(self.embed(source), src_key_padding_mask=hidden)
        decoded = self.transformer.decoder(
            self.embed(target), memory, tgt_mask=causal, memory_key_padding_mask=hidden, tgt_is_causal=True
        )
        return memory, decoded @ self.embedding.weight.T


def write(name, norm_first, seed):
    torch.manual_seed(seed)
    model = Model(norm_first)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape) * 0.1)
    model.embedding.weight.data.mul_(0.3)
    source = torch.randint(3, VOCAB, (2, 6))
    mask = torch.tensor([[1] * 6, [1, 1, 1, 1, 0, 0]])
    labels = torch.randint(3, VOCAB, (2, 5))
    labels[1, 4] = -100
    target = torch.cat([torch.full((2, 1), BOS), labels[:, :-1]], 1)
    memory, logits = model(source, mask, target)
    loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), labels.flatten())
    smoothed = torch.nn.functional.cross_entropy(logits.flatten(0, 1), labels.flatten(), label_smoothing=0.1)
    loss.backward()
    tensors = Tensors()
    for key, value in {"source": source, "mask": mask, "labels": labels, "memory": memory, "logits": logits,
                       "loss": loss, "smoothedLoss": smoothed}.items():
        tensors.add(key, value)
    for key, value in model.state_dict().items():
        tensors.add(f"state.{key}", value)
    for key, parameter in model.named_parameters():
        tensors.add(f"gradient.{key}", parameter.grad)
    tensors.write(FOLDER / f"{name}.safetensors")


write("post-norm", False, 1)
write("pre-norm", True, 2)
