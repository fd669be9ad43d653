"""GPT-2 as nanoGPT would write it, with a key-value cache; the weights of an HF folder."""

import json
import os

import torch
import torch.nn as nn
import torch.nn.functional as F
from safetensors.torch import load_file


class Block(nn.Module):
    def __init__(self, size, heads):
        super().__init__()
        self.heads = heads
        self.ln_1, self.ln_2 = nn.LayerNorm(size), nn.LayerNorm(size)
        self.c_attn, self.c_proj = nn.Linear(size, 3 * size), nn.Linear(size, size)
        self.c_fc, self.mlp_proj = nn.Linear(size, 4 * size), nn.Linear(4 * size, size)

    def forward(self, x, past_key, past_value):
        batch, length, size = x.shape
        split = (batch, length, self.heads, size // self.heads)
        q, k, v = (t.view(split).transpose(1, 2) for t in self.c_attn(self.ln_1(x)).chunk(3, -1))
        if past_key is not None:
            k, v = torch.cat([past_key, k], 2), torch.cat([past_value, v], 2)
        y = self.attend(q, k, v)
        x = x + self.c_proj(y.transpose(1, 2).reshape(batch, length, size))
        return x + self.mlp_proj(F.gelu(self.c_fc(self.ln_2(x)), approximate="tanh")), k, v

    def attend(self, q, k, v):
        # A cache of nothing and many tokens, or any cache and one token: no other mask is needed here.
        return F.scaled_dot_product_attention(q, k, v, is_causal=q.shape[2] > 1)


class Gpt2(nn.Module):
    def __init__(self, folder):
        super().__init__()
        with open(os.path.join(folder, "config.json")) as file:
            config = json.load(file)
        size, heads, layers = config["n_embd"], config["n_head"], config["n_layer"]
        self.wte = nn.Embedding(config["vocab_size"], size)
        self.wpe = nn.Embedding(config["n_positions"], size)
        self.blocks = nn.ModuleList([Block(size, heads) for _ in range(layers)])
        self.ln_f = nn.LayerNorm(size)
        self.load(load_file(os.path.join(folder, "model.safetensors")))
        self.requires_grad_(False)

    def load(self, tensors):
        weights = {key.removeprefix("transformer."): value for key, value in tensors.items()}
        named = {key: weights[key] for key in ["wte.weight", "wpe.weight", "ln_f.weight", "ln_f.bias"]}
        names = {"ln_1": "ln_1", "ln_2": "ln_2", "attn.c_attn": "c_attn", "attn.c_proj": "c_proj"}
        names |= {"mlp.c_fc": "c_fc", "mlp.c_proj": "mlp_proj"}
        for i in range(len(self.blocks)):
            for theirs, ours in names.items():
                weight = weights[f"h.{i}.{theirs}.weight"]
                named[f"blocks.{i}.{ours}.weight"] = weight.t().contiguous() if weight.dim() == 2 else weight
                named[f"blocks.{i}.{ours}.bias"] = weights[f"h.{i}.{theirs}.bias"]
        self.load_state_dict(named)

    def forward(self, ids, past):
        """ids [batch, length], past [2 · layers] of [batch, heads, past, head_dim] -> logits of the last position, present"""
        start = 0 if past[0] is None else past[0].shape[2]
        x = self.wte(ids) + self.wpe(torch.arange(start, start + ids.shape[1]))
        present = []
        for i, block in enumerate(self.blocks):
            x, k, v = block(x, past[2 * i], past[2 * i + 1])
            present += [k, v]
        return F.linear(self.ln_f(x[:, -1:]), self.wte.weight), present

    def empty(self):
        return [None] * (2 * len(self.blocks))
