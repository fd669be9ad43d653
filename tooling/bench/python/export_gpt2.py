"""Exports the GPT-2 of an HF folder to ONNX, with inputs past_0 ... and outputs present_0 ... Arguments: folder, file."""

import sys

import torch
from gpt2 import Block, Gpt2


def attend(self, q, k, v):
    """softmax(q kᵀ / sqrt(head_dim)) v with the mask of any cache, in operators of ONNX."""
    scores = q @ k.transpose(2, 3) * (q.shape[3] ** -0.5)
    rows, cols = torch.arange(q.shape[2])[:, None], torch.arange(k.shape[2])[None]
    scores = scores.masked_fill(cols > rows + k.shape[2] - q.shape[2], float("-inf"))
    return torch.softmax(scores, -1) @ v


Block.attend = attend
folder, path = sys.argv[1:]
model = Gpt2(folder).eval()
count = 2 * len(model.blocks)
heads = model.blocks[0].heads
past = [torch.zeros(1, heads, 3, model.wte.weight.shape[1] // heads) for _ in range(count)]
names = [f"past_{i}" for i in range(count)]
torch.onnx.export(
    model,
    (torch.ones(1, 2, dtype=torch.long), past),
    path,
    input_names=["input_ids", *names],
    output_names=["logits", *(f"present_{i}" for i in range(count))],
    dynamic_axes={"input_ids": {1: "length"}, **{name: {2: "past"} for name in names}},
    opset_version=17,
    dynamo=False,
)
