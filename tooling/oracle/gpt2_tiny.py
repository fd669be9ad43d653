"""Tiny random GPT-2 models, for packages/transformer/test/fixtures/gpt2-tiny.

Run: python tooling/oracle/gpt2_tiny.py   (torch, transformers; seeded)
"""

import torch
from fixture import fixtures
from tiny import PAD, causal_cases, causal_generation, left_padded, record, seeded
from transformers import GPT2Config, GPT2ForSequenceClassification, GPT2LMHeadModel, GPT2Model

VOCAB = 61
FOLDER = fixtures("transformer") / "gpt2-tiny"
SHAPE = {
    "vocab_size": VOCAB, "n_embd": 20, "n_layer": 2, "n_head": 2, "n_positions": 32, "initializer_range": 0.2,
    "bos_token_id": None, "eos_token_id": None, "pad_token_id": PAD,
}

model = seeded(GPT2LMHeadModel, GPT2Config(**SHAPE), 11)
record(model, FOLDER / "lm", causal_cases(VOCAB), causal_generation(VOCAB, model), zero_padding=True)

# The options of OpenAI's later models and of GPT-2's relatives: a width of its own, an untied head, scaled attention.
varied = seeded(GPT2LMHeadModel, GPT2Config(
    **SHAPE, n_inner=24, activation_function="relu", tie_word_embeddings=False, scale_attn_by_inverse_layer_idx=True,
    layer_norm_epsilon=1e-3,
), 12)
record(varied, FOLDER / "lm-varied", causal_cases(VOCAB), zero_padding=True, skip=("hiddenStates", "attentions"))

plain = [(name, {key: value for key, value in inputs.items() if key != "labels"}, False) for name, inputs, _ in causal_cases(VOCAB)]
record(seeded(GPT2Model, GPT2Config(**SHAPE), 13), FOLDER / "model", plain, zero_padding=True)

# The class is read off the last token that is no padding, wherever the padding is.
torch.manual_seed(6)
ids = torch.randint(PAD + 1, VOCAB, (3, 6))
right = torch.tensor([[1] * 6, [1] * 4 + [0] * 2, [1] * 5 + [0]])
labels = torch.tensor([2, 0, 1])
record(seeded(GPT2ForSequenceClassification, GPT2Config(**SHAPE, num_labels=3), 14), FOLDER / "sequence-classification", [
    ("right padding", {"input_ids": ids.masked_fill(right == 0, PAD), "attention_mask": right, "labels": labels}, True),
    ("left padding", {**left_padded(ids, (0, 2, 3)), "labels": labels}, False),
    ("no padding", {"input_ids": ids, "labels": labels}, False),
], zero_padding=True, skip=("hiddenStates", "attentions"))
