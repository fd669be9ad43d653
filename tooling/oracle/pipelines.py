"""What transformers' pipelines say with tiny random BERTs and a small WordPiece vocabulary, and with a RoBERTa and a byte-level BPE, for packages/transformer/test/fixtures/pipelines.

Run: python tooling/oracle/pipelines.py   (torch, transformers, tokenizers; seeded)
"""

import torch
from fixture import fixtures, write_json
from tiny import camel, new_folder, save, seeded
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import (
    BertConfig,
    BertForMaskedLM,
    BertForQuestionAnswering,
    BertForSequenceClassification,
    BertForTokenClassification,
    PreTrainedTokenizerFast,
    RobertaConfig,
    RobertaForTokenClassification,
    pipeline,
)

FOLDER = fixtures("transformer") / "pipelines"
TEXTS = [
    "Anna lives in Paris and works for the city.",
    "The quick brown fox jumps over the lazy dog!",
    "He said: it rains.",
    "Unbelievable stories, unlikely places.",
]
SPACED = ["Anna, unlikely in M\u00fcnchen", "The lazy dog: it rains"]
QUESTIONS = [
    {"question": "Where does Anna live?", "context": TEXTS[0]},
    {"question": "What jumps?", "context": TEXTS[1]},
    {"question": "What jumps?", "context": " ".join(TEXTS)},
]


def tokenizer():
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    made = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    made.normalizer = normalizers.BertNormalizer(lowercase=True)
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    made.decoder = decoders.WordPiece()
    made.train_from_iterator(TEXTS * 3, trainers.WordPieceTrainer(vocab_size=130, special_tokens=special))
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=made, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]",
        mask_token="[MASK]", model_max_length=48,
    )


def byte_level_tokenizer():
    """As RoBERTa's; no longest input is named, so that the positions of the model bound it."""
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    made.train_from_iterator(
        TEXTS * 3, trainers.BpeTrainer(vocab_size=320, special_tokens=special, initial_alphabet=alphabet)
    )
    made.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), trim_offsets=True, add_prefix_space=False)
    return PreTrainedTokenizerFast(
        tokenizer_object=made, bos_token="<s>", eos_token="</s>", unk_token="<unk>", pad_token="<pad>", mask_token="<mask>",
        cls_token="<s>", sep_token="</s>", model_input_names=["input_ids", "attention_mask"],
    )


def rounded(value):
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [rounded(item) for item in value]
    return round(float(value), 6) if hasattr(value, "__float__") and not isinstance(value, (int, bool)) else value


def make(name, model_class, seed, **options):
    tokens = tokenizer()
    config = BertConfig(
        vocab_size=len(tokens), hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=20,
        max_position_embeddings=48, initializer_range=0.5, **options,
    )
    model = seeded(model_class, config, seed)
    keep(model, tokens, name)
    return model, tokens


def keep(model, tokens, name):
    folder = new_folder(FOLDER / name)
    save(model, folder)
    tokens.save_pretrained(folder)
    for path in folder.iterdir():
        path.chmod(0o644)


def answers(model, tokens, question, context, top_k=1, align_to_words=True, handle_impossible_answer=False):
    """As transformers 4.57's question-answering pipeline, which transformers 5 has no more, window by window."""
    windows = tokens(
        question, context, truncation="only_second", max_length=48, stride=24, return_overflowing_tokens=True,
        return_offsets_mapping=True, return_token_type_ids=True,
    )
    found, no_answer = [], 1.0
    for i, offsets in enumerate(windows["offset_mapping"]):
        inputs = {name: torch.tensor([windows[name][i]]) for name in ["input_ids", "attention_mask", "token_type_ids"]}
        with torch.no_grad():
            output = model(**inputs)
        counted = inputs["input_ids"][0] == tokens.cls_token_id
        counted |= torch.tensor([sequence == 1 for sequence in windows.sequence_ids(i)])
        start = output.start_logits[0].masked_fill(~counted, -1e4).softmax(-1)
        end = output.end_logits[0].masked_fill(~counted, -1e4).softmax(-1)
        no_answer = min(no_answer, float(start[0] * end[0]))
        start[0] = end[0] = 0.0
        spans = torch.outer(start, end).triu().tril(14)
        scores, places = spans.flatten().topk(2 * top_k + 10 if align_to_words else top_k)
        for score, at in zip(scores.tolist(), places.tolist()):
            first, last = divmod(at, spans.shape[1])
            if score == 0:
                continue  # no span of the context
            begin, stop = offsets[first][0], offsets[last][1]
            if align_to_words:
                begin = windows[i].word_to_chars(windows[i].token_to_word(first), 1)[0]
                stop = windows[i].word_to_chars(windows[i].token_to_word(last), 1)[1]
            answer = context[begin:stop]
            same = next((other for other in found if other["answer"].lower() == answer.lower()), None)
            if same:
                same["score"] += score
            else:
                found.append({"score": score, "start": begin, "end": stop, "answer": answer})
    if handle_impossible_answer:
        found.append({"score": no_answer, "start": 0, "end": 0, "answer": ""})
    best = sorted(found, key=lambda answer: answer["score"], reverse=True)[:top_k]
    return best[0] if len(best) == 1 else best


expected = {"texts": TEXTS}

model, tokens = make("fill-mask", BertForMaskedLM, 1)
masked = ["Anna [MASK] in Paris.", "The [MASK] brown [MASK] jumps."]
run = pipeline("fill-mask", model=model, tokenizer=tokens)
expected["fill-mask"] = {"inputs": masked, "outputs": [run(text, top_k=3) for text in masked]}
extract = pipeline("feature-extraction", model=model.bert, tokenizer=tokens)
expected["feature-extraction"] = {"inputs": TEXTS[:2], "outputs": [extract(text)[0] for text in TEXTS[:2]]}

labels = {0: "negative", 1: "neutral", 2: "positive"}
model, tokens = make("text-classification", BertForSequenceClassification, 2, id2label=labels,
                     label2id={v: k for k, v in labels.items()})
run = pipeline("text-classification", model=model, tokenizer=tokens)
expected["text-classification"] = {"inputs": TEXTS, "outputs": [run(text, top_k=None) for text in TEXTS]}

tags = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]
model, tokens = make("token-classification", BertForTokenClassification, 3, id2label=dict(enumerate(tags)),
                     label2id={v: k for k, v in enumerate(tags)})
expected["token-classification"] = {"inputs": TEXTS, "outputs": {
    strategy: [pipeline("token-classification", model=model, tokenizer=tokens, aggregation_strategy=strategy)(text) for text in TEXTS]
    for strategy in ["none", "simple", "first", "average", "max"]
}}
run = pipeline("token-classification", model=model, tokenizer=tokens, aggregation_strategy="first", stride=8)
expected["token-classification-stride"] = {"inputs": [" ".join(TEXTS)], "outputs": [run(" ".join(TEXTS), ignore_labels=[])]}

model, tokens = make("question-answering", BertForQuestionAnswering, 4)
asked = [
    {}, {"align_to_words": False}, {"top_k": 3}, {"top_k": 4, "align_to_words": False},
    {"top_k": 15, "handle_impossible_answer": True},
]
expected["question-answering"] = {"inputs": QUESTIONS, "outputs": [
    {"options": {camel(name): value for name, value in options.items()},
     "answers": [answers(model, tokens, **question, **options) for question in QUESTIONS]}
    for options in asked
]}

tokens = byte_level_tokenizer()
config = RobertaConfig(
    vocab_size=len(tokens), hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=20,
    max_position_embeddings=34, type_vocab_size=1, initializer_range=0.5, pad_token_id=1, bos_token_id=0, eos_token_id=2,
    id2label=dict(enumerate(tags)), label2id={v: k for k, v in enumerate(tags)},
)
model = seeded(RobertaForTokenClassification, config, 5)
keep(model, tokens, "token-classification-byte-level")
run = pipeline("token-classification", model=model, tokenizer=tokens)
expected["token-classification-byte-level"] = {"inputs": SPACED, "outputs": {
    strategy: [run(text, aggregation_strategy=strategy, ignore_labels=[]) for text in SPACED]
    for strategy in ["none", "simple", "first", "average", "max"]
}}

write_json(FOLDER / "expected.json", rounded(expected))
