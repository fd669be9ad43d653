"""Tiny random BART, Marian and T5, for packages/transformer/test/fixtures.

Run: python tooling/oracle/seq2seq_tiny.py   (torch, transformers; seeded)
"""

import json

import torch
from fixture import fixtures
from tiny import PAD, record, seeded
from transformers import (
    BartConfig,
    BartForConditionalGeneration,
    MarianConfig,
    MarianMTModel,
    T5Config,
    T5ForConditionalGeneration,
)

VOCAB, END = 43, 2
SHAPE = {
    "vocab_size": VOCAB, "d_model": 16, "encoder_layers": 2, "decoder_layers": 2, "encoder_attention_heads": 2,
    "decoder_attention_heads": 2, "encoder_ffn_dim": 20, "decoder_ffn_dim": 24, "max_position_embeddings": 32, "init_std": 0.3,
    "pad_token_id": PAD, "eos_token_id": END,
}
T5 = {
    "vocab_size": VOCAB, "d_model": 16, "d_kv": 6, "d_ff": 20, "num_layers": 2, "num_decoder_layers": 2, "num_heads": 3,
    "relative_attention_num_buckets": 8, "relative_attention_max_distance": 10, "pad_token_id": PAD, "eos_token_id": END,
    "decoder_start_token_id": PAD,
}

torch.manual_seed(8)
IDS = torch.randint(PAD + 1, VOCAB, (2, 7))
RIGHT = torch.tensor([[1] * 7, [1] * 4 + [0] * 3])
SOURCE = {"input_ids": IDS.masked_fill(RIGHT == 0, PAD), "attention_mask": RIGHT}
LABELS = torch.cat([torch.randint(PAD + 1, VOCAB, (2, 4)), torch.tensor([[END], [-100]])], 1)
LABELS[1, 3] = END
DECODER_IDS = torch.randint(PAD + 1, VOCAB, (2, 12))  # longer than T5's farthest bucket

CASES = [
    ("labels, padding on the right", {**SOURCE, "labels": LABELS}, True),
    ("decoder ids, no padding", {"input_ids": IDS, "decoder_input_ids": DECODER_IDS}, False),
    ("padding in the decoder", {
        **SOURCE,
        "decoder_input_ids": DECODER_IDS[:, :5].masked_fill(torch.tensor([[0] * 5, [0, 0, 0, 0, 1]]).bool(), PAD),
        "decoder_attention_mask": torch.tensor([[1] * 5, [1, 1, 1, 1, 0]]),
    }, False),
]
GENERATION = [
    ("greedy", SOURCE, {"max_new_tokens": 12}),
    ("greedy, no padding", {"input_ids": IDS}, {"max_new_tokens": 12}),
    ("beams", SOURCE, {"max_new_tokens": 12, "num_beams": 3}),
    ("beams that stop early", SOURCE, {
        "max_new_tokens": 12, "num_beams": 4, "num_return_sequences": 2, "length_penalty": 1.5, "early_stopping": True
    }),
    ("greedy, no repeated pairs", SOURCE, {"max_new_tokens": 12, "no_repeat_ngram_size": 2}),
]


def write(folder, model_class, config, seed, gain=1.0, end_bias=0.0, own_head=False, **generation):
    """Seeds and gains are chosen so that what is generated varies, and some of it ends."""
    model = seeded(model_class, config, seed)
    if own_head:  # as T5 1.1 and FLAN-T5: transformers 5 ties all heads at first, and unties one that a file has
        model.lm_head.weight = torch.nn.Parameter(torch.randn(model.lm_head.weight.shape) / 4)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.mul_(gain)
        if hasattr(model, "final_logits_bias"):
            model.final_logits_bias.copy_(torch.randn(model.final_logits_bias.shape))
            model.final_logits_bias[:, END] += end_bias
    model.generation_config.update(**generation)
    record(model, fixtures("transformer") / folder, CASES, GENERATION)
    if own_head:
        path = fixtures("transformer") / folder / "config.json"
        written = json.loads(path.read_text()) | {"tie_word_embeddings": False}  # what files of transformers 4 say
        written.pop("scale_decoder_outputs")
        path.write_text(json.dumps(written, indent=2) + "\n")


if __name__ == "__main__":
    write("bart-tiny", BartForConditionalGeneration, BartConfig(
        **SHAPE, bos_token_id=0, decoder_start_token_id=END, forced_eos_token_id=END
    ), 23)
    write("marian-tiny", MarianMTModel, MarianConfig(
        **SHAPE, bos_token_id=None, decoder_start_token_id=PAD, forced_eos_token_id=None, activation_function="swish",
        scale_embedding=True,
    ), 6, end_bias=2.0, bad_words_ids=[[PAD], [13, 1]])
    write("t5-tiny/relu", T5ForConditionalGeneration, T5Config(**T5), 53, gain=2.5)
    write("t5-tiny/gated", T5ForConditionalGeneration, T5Config(
        **T5, feed_forward_proj="gated-gelu", tie_word_embeddings=False
    ), 14, gain=2.0, own_head=True)
