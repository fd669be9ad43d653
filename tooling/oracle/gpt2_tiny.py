"""Tiny random GPT-2 models, for packages/transformer/test/fixtures/gpt2-tiny.

Run: python tooling/oracle/gpt2_tiny.py   (torch, transformers; seeded)
"""

from fixture import fixtures
from tiny import PAD, causal_cases, causal_generation, classification_cases, record, seeded, without_labels
from transformers import GPT2Config, GPT2ForSequenceClassification, GPT2LMHeadModel, GPT2Model

VOCAB = 61
FOLDER = fixtures("transformer") / "gpt2-tiny"
SHAPE = {
    "vocab_size": VOCAB, "n_embd": 20, "n_layer": 2, "n_head": 2, "n_positions": 32, "initializer_range": 0.2,
    "bos_token_id": None, "eos_token_id": None, "pad_token_id": PAD,
}
SMALLER = {"n_embd": 12}

model = seeded(GPT2LMHeadModel, GPT2Config(**SHAPE), 11)
record(model, FOLDER / "lm", causal_cases(VOCAB), causal_generation(VOCAB, model), zero_padding=True)

# The options of OpenAI's later models and of GPT-2's relatives: a width of its own, an untied head, scaled attention.
varied = seeded(GPT2LMHeadModel, GPT2Config(
    **SHAPE | SMALLER, n_inner=24, activation_function="relu", tie_word_embeddings=False, scale_attn_by_inverse_layer_idx=True,
    layer_norm_epsilon=1e-3,
), 12)
record(varied, FOLDER / "lm-varied", causal_cases(VOCAB), zero_padding=True, skip=("hiddenStates", "attentions"))

record(seeded(GPT2Model, GPT2Config(**SHAPE), 13), FOLDER / "model", without_labels(causal_cases(VOCAB)), zero_padding=True)
record(
    seeded(GPT2ForSequenceClassification, GPT2Config(**SHAPE | SMALLER, num_labels=3), 14), FOLDER / "sequence-classification",
    classification_cases(VOCAB), zero_padding=True, skip=("hiddenStates", "attentions"),
)
