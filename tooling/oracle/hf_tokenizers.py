"""Makes packages/tokenizer/test/fixtures: what HF tokenizers 0.23 trains and encodes.

Run at the repository root: python tooling/oracle/hf_tokenizers.py [--novel NOVEL] [--only NAME...]
NOVEL is a long Chinese text in UTF-8 (Three Kingdoms, 1,795,281 bytes); without it only its excerpt is trained on.
"""

import argparse
import gzip
import json
import os
import sys

os.environ["TOKENIZERS_PARALLELISM"] = "false"

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from hf_tokenizer_texts import torture_strings

OUT = "packages/tokenizer/test/fixtures"
SHAKESPEARE = "data/tiny-shakespeare.txt"
EXCERPT = f"{OUT}/three-kingdoms-excerpt.txt.gz"
LLAMA3 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"


def encoding(e):
    return {
        "ids": e.ids,
        "tokens": e.tokens,
        "offsets": [list(o) for o in e.offsets],
        "typeIds": e.type_ids,
        "attentionMask": e.attention_mask,
        "specialTokensMask": e.special_tokens_mask,
        "wordIds": e.word_ids,
        "sequenceIds": e.sequence_ids,
    }


def with_overflowing(e):
    return {**encoding(e), "overflowing": [with_overflowing(part) for part in e.overflowing]}


def cases(tokenizer, texts):
    for text in texts:
        e = tokenizer.encode(text)
        yield {
            "text": text,
            **encoding(e),
            "decoded": tokenizer.decode(e.ids),
            "decodedSpecial": tokenizer.decode(e.ids, skip_special_tokens=False),
        }


SHORT = "First Citizen: speak, speak."
LONG = "Before we proceed any further, hear me speak; we are accounted poor citizens."
TRUNCATIONS = [
    {"maxLength": 8},
    {"maxLength": 10, "stride": 2},
    {"maxLength": 9, "direction": "left"},
    {"maxLength": 11, "stride": 2, "direction": "left"},
    {"maxLength": 12, "strategy": "onlyFirst"},
    {"maxLength": 24, "strategy": "onlySecond", "stride": 4},
    {"maxLength": 200},
]
PADDINGS = [
    {},
    {"length": 40},
    {"length": 4},
    {"direction": "left"},
    {"padToMultipleOf": 8},
    {"length": 33, "padToMultipleOf": 16, "direction": "left", "padId": 3, "padTypeId": 1, "padToken": "PADDING"},
]
STRATEGIES = {"longestFirst": "longest_first", "onlyFirst": "only_first", "onlySecond": "only_second"}


def variants(tokenizer):
    """Pairs, words, no special tokens, truncation and padding; each with the options that our encode takes."""
    for text, pair in [(SHORT, LONG), (LONG, SHORT), ("", ""), ("a", ""), ("", "b"), ("\u4f60\u597d", " x ")]:
        for special in (True, False):
            e = tokenizer.encode(text, pair, add_special_tokens=special)
            yield {"text": text, "options": {"pair": pair, "addSpecialTokens": special}, "expected": with_overflowing(e)}
    words = [["hello", "world", "!"], ["First", " Citizen", "", "caf\u00e9"], []]
    for text in words:
        yield {"text": text, "options": {}, "expected": with_overflowing(tokenizer.encode(text, is_pretokenized=True))}
    e = tokenizer.encode(words[0], words[1], is_pretokenized=True)
    yield {"text": words[0], "options": {"pair": words[1]}, "expected": with_overflowing(e)}
    yield {"text": SHORT, "options": {"addSpecialTokens": False}, "expected": with_overflowing(tokenizer.encode(SHORT, add_special_tokens=False))}
    for truncation in TRUNCATIONS:
        strategy = STRATEGIES[truncation.get("strategy", "longestFirst")]
        tokenizer.enable_truncation(
            truncation["maxLength"], stride=truncation.get("stride", 0), strategy=strategy, direction=truncation.get("direction", "right")
        )
        for text, pair in [(LONG, None), (SHORT, LONG), (LONG, SHORT)]:
            if pair is None and strategy == "only_second":
                continue
            for special in (True, False):
                options = {**({} if pair is None else {"pair": pair}), "addSpecialTokens": special, "truncation": truncation}
                try:
                    e = tokenizer.encode(text, pair, add_special_tokens=special)
                except BaseException:  # HF refuses, or panics, where what is left is too short
                    yield {"text": text, "options": options, "expected": None}
                    continue
                yield {"text": text, "options": options, "expected": with_overflowing(e)}
    tokenizer.no_truncation()


def batches(tokenizer):
    texts = ["", "a", SHORT, LONG]
    for padding in PADDINGS:
        pad_token = padding.get("padToken", "<pad>")
        tokenizer.enable_padding(
            direction=padding.get("direction", "right"), pad_id=padding.get("padId", 0), pad_type_id=padding.get("padTypeId", 0),
            pad_token=pad_token, length=padding.get("length"), pad_to_multiple_of=padding.get("padToMultipleOf"),
        )
        yield {
            "texts": texts,
            "padding": {"padId": 0, "padToken": pad_token, **padding},
            "expected": [encoding(e) for e in tokenizer.encode_batch(texts)],
        }
    tokenizer.no_padding()


def write(name, value):
    path = f"{OUT}/{name}.json.gz"
    with open(path, "wb") as f:
        f.write(gzip.compress(json.dumps(value, ensure_ascii=False).encode("utf-8"), mtime=0))
    print(path, os.path.getsize(path), file=sys.stderr)


def lines(path):
    with open(path, encoding="utf-8", newline="\n") as f:
        return list(f)


def excerpt():
    with gzip.open(EXCERPT, "rt", encoding="utf-8", newline="\n") as f:
        return list(f)


def write_excerpt(novel):
    text = "".join(lines(novel)[:700])
    with open(EXCERPT, "wb") as f:
        f.write(gzip.compress(text.encode("utf-8"), mtime=0))


ADDED = [AddedToken("newadded", single_word=True), AddedToken("lefty", lstrip=True), AddedToken("righty", rstrip=True)]


def trained(tokenizer, trainer, corpus=None):
    tokenizer.train_from_iterator(lines(SHAKESPEARE) if corpus is None else corpus, trainer)
    return tokenizer


def without_added(tokenizer):
    return Tokenizer.from_str(json.dumps({**json.loads(tokenizer.to_str()), "added_tokens": []}))


def byte_level_trainer(vocab_size=1200):
    return trainers.BpeTrainer(
        vocab_size=vocab_size, min_frequency=2, show_progress=False, special_tokens=["<|endoftext|>"],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
    )


def byte_level_bpe():
    """GPT-2."""
    t = Tokenizer(models.BPE())
    t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    t.post_processor = processors.ByteLevel(trim_offsets=True)
    t.decoder = decoders.ByteLevel()
    trained(t, byte_level_trainer())
    t.add_tokens(ADDED)
    return t


def roberta_bpe():
    t = Tokenizer(models.BPE())
    t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    t.decoder = decoders.ByteLevel()
    special = ["<s>", "<pad>", "</s>", "<unk>", AddedToken("<mask>", lstrip=True)]
    trained(t, trainers.BpeTrainer(
        vocab_size=700, show_progress=False, special_tokens=special, initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
    ))
    t.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), trim_offsets=True, add_prefix_space=True)
    return t


def decorated(corpus, prefix="", suffix=""):
    """Each character with its prefix and suffix, in order of code points. HF's trainer numbers such symbols in the order
    of a hash map seeded anew for each run, which then decides ties; given as special tokens they have fixed ids."""
    characters = sorted({c for text in corpus for c in text if not c.isspace()})
    return [prefix + c + suffix for c in characters]


def wordpiece_trainer(corpus, learned):
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *decorated(corpus, prefix="##")]
    return trainers.WordPieceTrainer(
        vocab_size=2 * len(special) + learned, min_frequency=2, show_progress=False, special_tokens=special
    )


def wordpiece():
    """BERT, uncased."""
    t = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    t.normalizer = normalizers.BertNormalizer()
    t.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    corpus = lines(SHAKESPEARE)
    t = without_added(trained(t, wordpiece_trainer([text.lower() for text in corpus], 1200), corpus))
    t.decoder = decoders.WordPiece()
    t.add_special_tokens(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"])
    t.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    t.add_tokens([*ADDED, AddedToken("NewAdded", normalized=False)])
    return t


def llama2_model():
    """A BPE over Metaspace words, its vocabulary behind the special tokens and the 256 bytes as SentencePiece writes it."""
    t = Tokenizer(models.BPE())
    t.pre_tokenizer = pre_tokenizers.Metaspace()
    trained(t, trainers.BpeTrainer(vocab_size=800, min_frequency=2, show_progress=False))
    learned = json.loads(t.to_str())["model"]
    names = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), *learned["vocab"]]
    return models.BPE(
        {name: i for i, name in enumerate(names)}, [tuple(merge) for merge in learned["merges"]],
        unk_token="<unk>", fuse_unk=True, byte_fallback=True,
    )


def llama2_template():
    return processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A <s>:1 $B:1", special_tokens=[("<s>", 1)]
    )


def llama2_bpe():
    """As HF converted LLaMA 2 at first: the space is put in by the normalizer."""
    t = Tokenizer(llama2_model())
    t.normalizer = normalizers.Sequence([normalizers.Prepend("\u2581"), normalizers.Replace(" ", "\u2581")])
    t.decoder = decoders.Sequence([decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    t.add_special_tokens(["<unk>", "<s>", "</s>"])
    t.post_processor = llama2_template()
    return t


def llama2_metaspace():
    """As HF converts LLaMA 2 now: `legacy: false`."""
    t = llama2_bpe()
    t.normalizer = None
    t.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    return t


def llama3_bpe():
    t = Tokenizer(models.BPE(ignore_merges=True))
    t.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(LLAMA3), "isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
    ])
    t.decoder = decoders.ByteLevel()
    trained(t, trainers.BpeTrainer(
        vocab_size=1200, show_progress=False, initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
    ))
    t.add_special_tokens(["<|begin_of_text|>", "<|endoftext|>"])
    begin = ("<|begin_of_text|>", t.token_to_id("<|begin_of_text|>"))
    template = processors.TemplateProcessing(
        single="<|begin_of_text|> $A", pair="<|begin_of_text|> $A <|begin_of_text|>:1 $B:1", special_tokens=[begin]
    )
    t.post_processor = processors.Sequence([processors.ByteLevel(trim_offsets=False), template])
    return t


def unigram_trainer(vocab_size=1000):
    return trainers.UnigramTrainer(
        vocab_size=vocab_size, show_progress=False, special_tokens=["<pad>", "</s>", "<unk>"], unk_token="<unk>"
    )


def settled(tokenizer, trainer, corpus):
    """Trained, the last digits off. HF adds and breaks ties in the order of a hash map seeded anew for each run: scores
    differ in their last bits, and characters that lost their piece share the lowest scores among themselves in any order.
    Returns the tokenizer with scores of nine decimals and those characters by code point, and the characters."""
    runs = []
    for _ in range(4):
        trained(tokenizer, trainer, corpus)
        runs.append(dict(json.loads(tokenizer.to_str())["model"]["vocab"]))
    assert all(set(run) == set(runs[0]) for run in runs)
    unordered = sorted(piece for piece in runs[0] if any(abs(run[piece] - runs[0][piece]) > 1e-9 for run in runs))
    scores = {**runs[0], **dict(zip(unordered, sorted((runs[0][piece] for piece in unordered), reverse=True)))}
    special = [token.content for token in tokenizer.get_added_tokens_decoder().values()]
    rows = [(piece, 0.0) for piece in special]
    rows += sorted(((p, round(s, 9)) for p, s in scores.items() if p not in special), key=lambda row: (-row[1], row[0]))
    data = json.loads(tokenizer.to_str())
    data["model"]["vocab"] = rows
    return Tokenizer.from_str(json.dumps(data)), unordered


def unigram_and_unordered():
    t = Tokenizer(models.Unigram())
    t.normalizer = normalizers.Sequence([normalizers.Nmt(), normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")])
    t.pre_tokenizer = pre_tokenizers.Metaspace()
    t.decoder = decoders.Metaspace()
    return settled(t, unigram_trainer(), lines(SHAKESPEARE))


def unigram():
    """T5."""
    t, _ = unigram_and_unordered()
    t.post_processor = processors.TemplateProcessing(single="$A </s>", pair="$A </s> $B </s>", special_tokens=[("</s>", 1)])
    return t


def unigram_bytes():
    """XLM-like with byte fallback: characters that are no piece become the bytes of their UTF-8."""
    pieces = [tuple(piece) for piece in json.loads(unigram().to_str())["model"]["vocab"]]
    pieces += [(f"<0x{byte:02X}>", 0.0) for byte in range(256)]
    t = Tokenizer(models.Unigram(pieces, unk_id=2, byte_fallback=True))
    t.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace(prepend_scheme="always")])
    t.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Metaspace()])
    return t


def word_level_trainer(vocab_size=2000):
    return trainers.WordLevelTrainer(vocab_size=vocab_size, min_frequency=2, show_progress=False, special_tokens=["<pad>", "<unk>"])


def word_level():
    t = Tokenizer(models.WordLevel(unk_token="<unk>"))
    t.normalizer = normalizers.Sequence([normalizers.NFD(), normalizers.Lowercase(), normalizers.StripAccents()])
    t.pre_tokenizer = pre_tokenizers.Whitespace()
    return trained(t, word_level_trainer())


def suffix_bpe():
    """GPT-1 and CLIP: the last symbol of a word carries `</w>`."""
    t = Tokenizer(models.BPE(unk_token="<unk>", end_of_word_suffix="</w>"))
    t.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()])
    t.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    t.decoder = decoders.BPEDecoder(suffix="</w>")
    corpus = lines(SHAKESPEARE)
    special = ["<unk>", *decorated([text.lower() for text in corpus], suffix="</w>")]
    trainer = trainers.BpeTrainer(vocab_size=900, show_progress=False, special_tokens=special, end_of_word_suffix="</w>")
    t = without_added(trained(t, trainer, corpus))
    t.add_special_tokens(["<unk>"])
    return t


TOKENIZERS = {
    "byte-level-bpe": byte_level_bpe,
    "roberta-bpe": roberta_bpe,
    "wordpiece": wordpiece,
    "llama2-bpe": llama2_bpe,
    "llama2-metaspace": llama2_metaspace,
    "llama3-bpe": llama3_bpe,
    "unigram": unigram,
    "unigram-bytes": unigram_bytes,
    "word-level": word_level,
    "suffix-bpe": suffix_bpe,
}


def chinese_models(corpus, vocab_size):
    """What each trainer learns from a Chinese novel."""
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    plain = Tokenizer(models.BPE(unk_token="<unk>"))
    plain.pre_tokenizer = pre_tokenizers.Whitespace()
    pieces = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    pieces.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Punctuation(), pre_tokenizers.WhitespaceSplit()])
    likely = Tokenizer(models.Unigram())
    likely.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Punctuation(), pre_tokenizers.Metaspace()])
    words = Tokenizer(models.WordLevel(unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    plain_trainer = trainers.BpeTrainer(vocab_size=vocab_size, show_progress=False, special_tokens=["<unk>"], max_token_length=4)
    jobs = {
        "byteLevelBpe": (bpe, byte_level_trainer(vocab_size)),
        "bpe": (plain, plain_trainer),
        "wordpiece": (pieces, wordpiece_trainer(corpus, vocab_size)),
        "wordLevel": (words, word_level_trainer(vocab_size)),
    }
    learned = {name: json.loads(trained(t, trainer, corpus).to_str()) for name, (t, trainer) in jobs.items()}
    t, unordered = settled(likely, unigram_trainer(vocab_size), corpus)
    return {**learned, "unigram": json.loads(t.to_str()), "unigramUnordered": unordered}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--novel")
    parser.add_argument("--only", nargs="*")
    args = parser.parse_args()
    wanted = lambda name: not args.only or name in args.only
    texts = torture_strings()
    for name, make in TOKENIZERS.items():
        if not wanted(name):
            continue
        tokenizer = make()
        if json.loads(make().to_str()) != json.loads(tokenizer.to_str()):
            raise SystemExit(f"{name}: training twice gave two vocabularies")
        write(name, {
            "tokenizer": json.loads(tokenizer.to_str()),
            "cases": list(cases(tokenizer, texts)),
            "variants": list(variants(tokenizer)),
            "batches": list(batches(tokenizer)),
            **({"unordered": unigram_and_unordered()[1]} if name == "unigram" else {}),
        })
    if wanted("chinese-excerpt"):
        if args.novel:
            write_excerpt(args.novel)
        write("chinese-excerpt", chinese_models(excerpt(), 4000))
    if args.novel and wanted("chinese-novel"):
        write("chinese-novel", chinese_models(lines(args.novel), 8000))


if __name__ == "__main__":
    main()
