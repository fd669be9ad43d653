"""Numbers of PyTorch and transformers for packages/layers: attention, rope frequencies, sinusoidal positions.

Run: python tooling/oracle/layers.py
"""
import json
from pathlib import Path

import torch
from transformers import LlamaConfig
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS
from transformers.models.marian.modeling_marian import MarianSinusoidalPositionalEmbedding

OUT = Path(__file__).parents[2] / "packages/layers/test/fixtures"


def flat(tensor):
    return [round(value, 7) for value in tensor.detach().flatten().tolist()]


def multi_head_attention():
    torch.manual_seed(1)
    attention = torch.nn.MultiheadAttention(8, 2, batch_first=True)
    x = torch.randn(2, 3, 8, requires_grad=True)
    memory = torch.randn(2, 4, 8)
    padding = torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0]])
    torch.nn.init.normal_(attention.in_proj_bias, std=0.3)
    output, weights = attention(x, memory, memory, key_padding_mask=padding == 0, average_attn_weights=False)
    output.square().sum().backward()
    names = ["q_proj", "k_proj", "v_proj"]
    state = {f"{n}.weight": flat(w) for n, w in zip(names, attention.in_proj_weight.chunk(3))}
    state |= {f"{n}.bias": flat(b) for n, b in zip(names, attention.in_proj_bias.chunk(3))}
    state |= {"out_proj.weight": flat(attention.out_proj.weight), "out_proj.bias": flat(attention.out_proj.bias)}
    return {
        "state": state, "x": flat(x), "memory": flat(memory), "padding": padding.tolist(),
        "output": flat(output), "weights": flat(weights), "xGradient": flat(x.grad),
    }


def rope():
    cases = [
        {"rope_type": "default", "rope_theta": 500000.0},
        {"rope_type": "linear", "rope_theta": 10000.0, "factor": 4.0},
        {"rope_type": "llama3", "rope_theta": 500000.0, "factor": 8.0, "low_freq_factor": 1.0,
         "high_freq_factor": 4.0, "original_max_position_embeddings": 8192},
        {"rope_type": "yarn", "rope_theta": 10000.0, "factor": 4.0, "original_max_position_embeddings": 2048},
        {"rope_type": "yarn", "rope_theta": 150000.0, "factor": 32.0, "original_max_position_embeddings": 4096,
         "beta_fast": 32.0, "beta_slow": 1.0, "truncate": False, "mscale": 1.0, "mscale_all_dim": 0.7},
    ]
    results = []
    for parameters in cases:
        config = LlamaConfig(hidden_size=256, num_attention_heads=4, rope_parameters=dict(parameters),
                             max_position_embeddings=131072)
        if parameters["rope_type"] == "default":
            from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding
            inverse, factor = LlamaRotaryEmbedding.compute_default_rope_parameters(config)
        else:
            inverse, factor = ROPE_INIT_FUNCTIONS[parameters["rope_type"]](config, "cpu")
        results.append({"parameters": parameters, "inverse": inverse.tolist(), "attentionFactor": factor})
    return results


def sinusoidal():
    table = MarianSinusoidalPositionalEmbedding(6, 8)
    return {"halves": flat(table.create_weight())}


def generator():
    """xoshiro128** and splitmix32 in plain integers, as their authors wrote them."""
    mask = 0xFFFFFFFF
    rotl = lambda x, k: ((x << k) | (x >> (32 - k))) & mask
    state, s = [], 42
    for _ in range(4):
        s = (s + 0x9E3779B9) & mask
        z = s
        z = ((z ^ (z >> 16)) * 0x21F0AAAD) & mask
        z = ((z ^ (z >> 15)) * 0x735A2D97) & mask
        state.append(z ^ (z >> 15))
    values = []
    for _ in range(8):
        values.append((rotl((state[1] * 5) & mask, 7) * 9) & mask)
        t = (state[1] << 9) & mask
        state[2] ^= state[0]
        state[3] ^= state[1]
        state[1] ^= state[2]
        state[0] ^= state[3]
        state[2] ^= t
        state[3] = rotl(state[3], 11)
    return values


OUT.mkdir(parents=True, exist_ok=True)
(OUT / "layers.json").write_text(json.dumps({
    "multiHeadAttention": multi_head_attention(), "rope": rope(), "sinusoidal": sinusoidal(), "random": generator(),
}) + "\n")
