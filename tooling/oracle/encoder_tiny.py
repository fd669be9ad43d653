"""Tiny random BERT, RoBERTa and DistilBERT of every class, for packages/transformer/test/fixtures.

Run: python tooling/oracle/encoder_tiny.py   (torch, transformers; seeded)
"""

import itertools

import torch
from fixture import fixtures
from tiny import PAD, left_padded, record, seeded
from transformers import (
    BertConfig,
    BertForMaskedLM,
    BertForPreTraining,
    BertForQuestionAnswering,
    BertForSequenceClassification,
    BertForTokenClassification,
    BertModel,
    DistilBertConfig,
    DistilBertForMaskedLM,
    DistilBertForSequenceClassification,
    DistilBertModel,
    RobertaConfig,
    RobertaForMaskedLM,
    RobertaForSequenceClassification,
    RobertaForTokenClassification,
    RobertaModel,
)

VOCAB, SEQ_LEN, BATCH = 41, 7, 2
SHAPE = {
    "vocab_size": VOCAB, "hidden_size": 16, "intermediate_size": 20, "num_hidden_layers": 2, "num_attention_heads": 2,
    "max_position_embeddings": 16, "initializer_range": 0.25, "pad_token_id": PAD,
}
BERT = BertConfig(**SHAPE)
ROBERTA = RobertaConfig(**SHAPE, type_vocab_size=1, layer_norm_eps=1e-5)
ROBERTA_RELU = RobertaConfig(**ROBERTA.to_dict() | {"hidden_act": "relu"})  # whose head has GELU all the same
DISTIL = DistilBertConfig(
    vocab_size=VOCAB, dim=16, hidden_dim=20, n_layers=2, n_heads=2, max_position_embeddings=16, initializer_range=0.25, pad_token_id=PAD
)

SEEDS = itertools.count(200)
torch.manual_seed(5)
IDS = torch.randint(PAD + 1, VOCAB, (BATCH, SEQ_LEN))
TYPES = torch.tensor([[0, 0, 0, 1, 1, 1, 1], [0, 0, 1, 1, 1, 0, 0]])
RIGHT = torch.tensor([[1] * SEQ_LEN, [1] * (SEQ_LEN - 2) + [0] * 2])
LABELS = {
    "none": {},
    "masked": {"labels": torch.tensor([[-100, 9, -100, -100, 20, 5, -100], [7, -100, -100, 40, -100, -100, -100]])},
    "pretraining": {
        "labels": torch.tensor([[-100, 9, -100, -100, 20, 5, -100], [7, -100, -100, 40, -100, -100, -100]]),
        "next_sentence_label": torch.tensor([1, 0]),
    },
    "sequence": {"labels": torch.tensor([2, 0])},
    "scores": {"labels": torch.tensor([0.5, -1.0])},
    "several": {"labels": torch.tensor([[1.0, 0.0, 1.0], [0.0, 0.0, 1.0]])},
    "tokens": {"labels": torch.tensor([[0, 4, 2, -100, 1, 1, 3], [3, 3, -100, 0, 2, -100, -100]])},
    "answer": {"start_positions": torch.tensor([1, SEQ_LEN + 3]), "end_positions": torch.tensor([4, 2])},
}


def cases(labels, types):
    """Padded on the right (with gradients), not padded, padded on the left."""
    padded = {"input_ids": IDS.masked_fill(RIGHT == 0, PAD), "attention_mask": RIGHT}
    with_types = {"token_type_ids": TYPES.masked_fill(RIGHT == 0, 0)} if types else {}
    given = LABELS[labels]
    found = [("right padding", {**padded, **with_types, **given}, bool(given)), ("no padding", {"input_ids": IDS, **given}, False)]
    return found if given else [*found, ("left padding", left_padded(IDS, (0, 3)), False)]


def write(folder, model_class, config, labels, types=False, **changes):
    if labels not in ("none", "masked"):  # a second layer tells nothing new of a head
        changes = {"num_hidden_layers": 1, **changes}
    config = type(config)(**{**config.to_dict(), **changes})
    model = seeded(model_class, config, seed=next(SEEDS))
    # The models without a head show the inner states; the others share them.
    skip = () if labels == "none" else ("hiddenStates", "attentions")
    record(model, fixtures("transformer") / folder, cases(labels, types), skip=skip)


THREE = {"id2label": {0: "LOW", 1: "MIDDLE", 2: "HIGH"}, "label2id": {"LOW": 0, "MIDDLE": 1, "HIGH": 2}}
FIVE = {"num_labels": 5}

write("bert-tiny/model", BertModel, BERT, "none", types=True)
write("bert-tiny/pretraining", BertForPreTraining, BERT, "pretraining", types=True)
write("bert-tiny/masked-lm", BertForMaskedLM, BERT, "masked", types=True)
write("bert-tiny/sequence-classification", BertForSequenceClassification, BERT, "sequence", types=True, **THREE)
write("bert-tiny/regression", BertForSequenceClassification, BERT, "scores", num_labels=1)
write("bert-tiny/multi-label", BertForSequenceClassification, BERT, "several", num_labels=3, problem_type="multi_label_classification")
write("bert-tiny/token-classification", BertForTokenClassification, BERT, "tokens", types=True, **FIVE)
write("bert-tiny/question-answering", BertForQuestionAnswering, BERT, "answer", types=True)
write("roberta-tiny/model", RobertaModel, ROBERTA, "none")
write("roberta-tiny/masked-lm", RobertaForMaskedLM, ROBERTA_RELU, "masked")
write("roberta-tiny/sequence-classification", RobertaForSequenceClassification, ROBERTA, "sequence", **THREE)
write("roberta-tiny/token-classification", RobertaForTokenClassification, ROBERTA, "tokens", **FIVE)
write("distilbert-tiny/model", DistilBertModel, DISTIL, "none")
write("distilbert-tiny/masked-lm", DistilBertForMaskedLM, DISTIL, "masked")
write("distilbert-tiny/sequence-classification", DistilBertForSequenceClassification, DISTIL, "sequence", **THREE)
