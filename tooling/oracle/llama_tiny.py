"""Tiny random LLaMAs, for packages/llama/test/fixtures/llama-tiny.

Run: python tooling/oracle/llama_tiny.py   (torch, transformers; seeded)
"""

import torch
from fixture import fixtures
from tiny import PAD, causal_cases, causal_generation, new_folder, record, save, seeded
from transformers import LlamaConfig, LlamaForCausalLM

VOCAB = 97
FOLDER = fixtures("llama") / "llama-tiny"

grouped = LlamaConfig(
    vocab_size=VOCAB, hidden_size=32, intermediate_size=40, num_hidden_layers=2, num_attention_heads=4,
    num_key_value_heads=2, max_position_embeddings=64, initializer_range=0.2, rms_norm_eps=1e-5, pad_token_id=PAD, eos_token_id=None,
)
tied = LlamaConfig(
    vocab_size=VOCAB, hidden_size=24, intermediate_size=36, num_hidden_layers=3, num_attention_heads=3, head_dim=10,
    attention_bias=True, mlp_bias=True, tie_word_embeddings=True, rope_parameters={"rope_type": "default", "rope_theta": 500.0},
    max_position_embeddings=64, initializer_range=0.25, rms_norm_eps=1e-6, pad_token_id=PAD, eos_token_id=None,
)

for name, config, seed in [("grouped", grouped, 1), ("tied", tied, 2)]:
    model = seeded(LlamaForCausalLM, config, seed)
    record(model, FOLDER / name, causal_cases(VOCAB), causal_generation(VOCAB, model), zero_padding=True)
    if name == "grouped":
        save(model, new_folder(FOLDER / "grouped-sharded"), max_shard_size="48KB")
        half = model.to(torch.bfloat16)
        save(half, new_folder(FOLDER / "grouped-bf16"))
        name, inputs, _ = causal_cases(VOCAB)[0]
        # Loaded and not converted back: half() has rounded the rotary frequencies too, which no file holds.
        read = LlamaForCausalLM.from_pretrained(FOLDER / "grouped-bf16", dtype=torch.float32, attn_implementation="eager")
        record(read.eval(), FOLDER / "grouped-bf16", [(name, inputs, False)], with_weights=False, skip=("hiddenStates", "attentions"))
