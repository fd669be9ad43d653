"""Tiny random relatives of LLaMA and its rope scalings, for packages/llama/test/fixtures.

Run: python tooling/oracle/llama_family.py   (torch, transformers; seeded)
"""

import re

import torch
from fixture import fixtures
from tiny import PAD, causal_cases, causal_generation, classification_cases, record, seeded, without_labels
from transformers import CONFIG_MAPPING, MODEL_FOR_CAUSAL_LM_MAPPING, LlamaForSequenceClassification, LlamaModel

VOCAB = 31
SHAPE = {
    "vocab_size": VOCAB, "hidden_size": 16, "intermediate_size": 20, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 64, "initializer_range": 0.25, "bos_token_id": None,
    "eos_token_id": None, "pad_token_id": PAD,
}
WINDOW = 4  # shorter than the sequences, so that it shows
ALTERNATING = ["sliding_attention", "full_attention"]

FAMILY = {  # folder: seed (one whose ids vary), model_type, what differs from SHAPE
    "mistral-tiny": (302, "mistral", {"sliding_window": WINDOW}),
    "qwen2-tiny": (311, "qwen2", {}),
    "qwen2-tiny-windows": (308, "qwen2", {"use_sliding_window": True, "sliding_window": WINDOW, "max_window_layers": 1}),
    "qwen3-tiny": (321, "qwen3", {"head_dim": 6, "tie_word_embeddings": True}),
    "gemma-tiny": (326, "gemma", {"head_dim": 6, "num_key_value_heads": 1}),
    "gemma2-tiny": (306, "gemma2", {
        "head_dim": 6, "sliding_window": WINDOW, "layer_types": ALTERNATING, "query_pre_attn_scalar": 9,
        "attn_logit_softcapping": 3.0, "final_logit_softcapping": 2.0,
    }),
    "gemma3_text-tiny": (308, "gemma3_text", {
        "head_dim": 6, "sliding_window": WINDOW, "layer_types": ALTERNATING, "query_pre_attn_scalar": 9,
        "attn_logit_softcapping": 0.5,  # HF passes over it
        "rope_parameters": {
            "sliding_attention": {"rope_type": "default", "rope_theta": 100.0},
            "full_attention": {"rope_type": "linear", "factor": 8.0, "rope_theta": 10000.0},
        },
    }),
    "phi3-tiny": (329, "phi3", {
        "sliding_window": WINDOW,
        "rope_parameters": {"rope_type": "default", "rope_theta": 500.0, "partial_rotary_factor": 0.5},
    }),
    "olmo2-tiny": (325, "olmo2", {}),
    "mixtral-tiny": (308, "mixtral", {"num_local_experts": 4, "num_experts_per_tok": 2}),
    "phi3-tiny-longrope": (331, "phi3", {
        "max_position_embeddings": 64, "original_max_position_embeddings": 32,
        "rope_parameters": {
            "rope_type": "longrope", "rope_theta": 500.0, "short_factor": [1.0, 1.2], "long_factor": [1.5, 3.0],
        },
    }),
    "smollm3-tiny": (302, "smollm3", {"num_hidden_layers": 3, "no_rope_layers": [1, 0, 1], "tie_word_embeddings": True}),
    "qwen2_moe-tiny": (304, "qwen2_moe", {
        "num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 12, "shared_expert_intermediate_size": 18,
    }),
    "qwen3_moe-tiny": (304, "qwen3_moe", {
        "head_dim": 6, "num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 12, "norm_topk_prob": True,
        "decoder_sparse_step": 2, "mlp_only_layers": [],
    }),
}

TRAINED = 8  # positions of the models below that stretch beyond them
SCALINGS = {
    "linear": {"factor": 4.0},
    "dynamic": {"factor": 3.0},
    "yarn": {"factor": 4.0, "original_max_position_embeddings": TRAINED, "beta_fast": 4.0, "beta_slow": 0.25},
    "yarn-attention-factor": {
        "factor": 2.0, "original_max_position_embeddings": TRAINED, "attention_factor": 1.3, "truncate": False
    },
    "longrope": {
        "factor": 4.0, "original_max_position_embeddings": TRAINED,
        "short_factor": [1.0, 1.1, 1.3, 1.6], "long_factor": [1.2, 2.0, 3.0, 4.5],
    },
    "llama3": {"factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": TRAINED},
}


def model_of(model_type, seed, **changes):
    """Where the head is the table of embeddings, layers weigh more, lest each token repeat itself."""
    config = CONFIG_MAPPING[model_type](**{**SHAPE, **changes})
    model = seeded(MODEL_FOR_CAUSAL_LM_MAPPING[type(config)], config, seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if config.tie_word_embeddings and parameter.dim() > 1 and "embed_tokens" not in name:
                parameter.mul_(2)
    return model


def as_saved(model_type):
    """Gradients under the keys of files: transformers 5 holds all experts of a layer in two tensors, files have three an expert."""

    def rename(state):
        renamed = {}
        for key, value in state.items():
            fused = re.fullmatch(r"(.*)\.mlp\.experts\.(gate_up_proj|down_proj)", key)
            if model_type == "mixtral":
                key = key.replace(".mlp.gate.", ".block_sparse_moe.gate.")
            if not fused:
                renamed[key] = value
                continue
            names = ("w1", "w3", "w2") if model_type == "mixtral" else ("gate_proj", "up_proj", "down_proj")
            part = "block_sparse_moe" if model_type == "mixtral" else "mlp"
            for i, expert in enumerate(value):
                start = f"{fused[1]}.{part}.experts.{i}"
                if fused[2] == "down_proj":
                    renamed[f"{start}.{names[2]}.weight"] = expert
                else:
                    for name, half in zip(names, expert.chunk(2)):
                        renamed[f"{start}.{name}.weight"] = half
        return renamed

    return rename if model_type in ("mixtral", "qwen2_moe", "qwen3_moe") else None


def family():
    for folder, (seed, model_type, changes) in FAMILY.items():
        model = model_of(model_type, seed, **changes)
        plain, padded = causal_generation(VOCAB, model, new_tokens=12)[:2]
        record(
            model, fixtures("llama") / folder, causal_cases(VOCAB), [plain, padded], zero_padding=True,
            skip=("pastKeyValues", "routerLogits"), rename=as_saved(model_type),
        )


def rope_scalings():
    """Sequences within and beyond the positions trained on; ids only of the kinds whose angles do not change on the way."""
    torch.manual_seed(4)
    ids = torch.randint(PAD + 1, VOCAB, (2, 2 * TRAINED + 3))
    forward = [("within the trained positions", {"input_ids": ids[:, :TRAINED]}, False), ("beyond them", {"input_ids": ids}, False)]
    for seed, (name, numbers) in enumerate(SCALINGS.items(), start=350):
        rope_type = name.split("-")[0]
        is_long = "original_max_position_embeddings" in numbers
        model = model_of(
            "llama", seed, num_hidden_layers=1, head_dim=8, num_attention_heads=2, num_key_value_heads=1,
            max_position_embeddings=TRAINED * 4 if is_long else TRAINED,
            rope_parameters={"rope_type": rope_type, "rope_theta": 100.0, **numbers},
        )
        generation = [] if rope_type in ("dynamic", "longrope") else causal_generation(VOCAB, model, new_tokens=12)[:1]
        record(model, fixtures("llama") / "rope-tiny" / name, forward, generation, skip=("hiddenStates", "attentions"))


def heads():
    config = CONFIG_MAPPING["llama"](**SHAPE, num_labels=3)
    record(
        seeded(LlamaForSequenceClassification, config, 360), fixtures("llama") / "llama-tiny/sequence-classification",
        classification_cases(VOCAB), zero_padding=True, skip=("hiddenStates", "attentions"),
    )
    model = seeded(LlamaModel, config, 361)
    record(model, fixtures("llama") / "llama-tiny/model", without_labels(causal_cases(VOCAB)), zero_padding=True)


if __name__ == "__main__":
    heads()
    family()
    rope_scalings()
