"""Makes packages/tokenizer/test/fixtures/sentencepiece*.json.gz: SentencePiece's own ids.

Run at the repository root: python tooling/oracle/sentencepiece_models.py [--data FOLDER]
FOLDER holds other people's models, in the folders that VECTORS names; without it only our small models are made.
"""

import argparse
import base64
import io
import os

import sentencepiece
from sentencepiece import sentencepiece_model_pb2
from tokenizers import normalizers

from hf_tokenizer_texts import torture_strings
from hf_tokenizers import SHAKESPEARE, lines, write

VECTORS = [
    "google+sentencepiece/test_model.model",
    "google+sentencepiece/test_ja_model.model",
    "karpathy+llama2.c/tokenizer.model",
    "microsoft+BlingFire/xlnet/spiece.model",
    "mistralai+mistral-common/tokenizer.model.v1",
    "mistralai+mistral-common/mistral_instruct_tokenizer_240216.model.v2",
    "mistralai+mistral-common/mistral_instruct_tokenizer_240323.model.v3",
    "pytorch+torchtune/m.model",
    "pytorch+torchtune/sentencepiece.model",
]
SMALL = {
    "unigram": {"model_type": "unigram", "normalization_rule_name": "identity"},
    "unigram-nfkc": {"model_type": "unigram", "normalization_rule_name": "nmt_nfkc"},
    "unigram-bytes": {"model_type": "unigram", "normalization_rule_name": "identity", "byte_fallback": True, "vocab_size": 600},
    "unigram-user-defined": {
        "model_type": "unigram", "normalization_rule_name": "identity", "user_defined_symbols": ["<sep>", ".", "the", "\u4f60"],
    },
    "unigram-suffix": {"model_type": "unigram", "normalization_rule_name": "identity", "treat_whitespace_as_suffix": True},
    "bpe": {"model_type": "bpe", "normalization_rule_name": "identity"},
    "bpe-llama": {
        "model_type": "bpe", "normalization_rule_name": "identity", "byte_fallback": True, "vocab_size": 700, "split_digits": True,
        "allow_whitespace_only_pieces": True, "remove_extra_whitespaces": False,
    },
    "bpe-no-prefix": {"model_type": "bpe", "normalization_rule_name": "identity", "add_dummy_prefix": False},
    "char": {"model_type": "char", "normalization_rule_name": "identity", "vocab_size": 100, "hard_vocab_limit": False},
}


def trained(settings):
    model = io.BytesIO()
    corpus = [line.rstrip("\n") for line in lines(SHAKESPEARE)[:6000]]
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(corpus), model_writer=model, **{"vocab_size": 400, "minloglevel": 2, "num_threads": 1, **settings}
    )
    return model.getvalue()


def is_comparable(text, model, processor):
    """False where HF, whose tokenizer.json cannot say otherwise, differs by design: it finds control pieces in a text, and
    byte pieces in Unigram; it maps grapheme by grapheme, so that stacked marks stay apart; a lone mark gets no suffix."""
    found = (2, 3, 6) if model.trainer_spec.model_type == 1 else (2, 3)
    if any(piece.type in found and piece.piece in text for piece in model.pieces):
        return False
    if text == "\u2581" and model.trainer_spec.treat_whitespace_as_suffix:
        return False
    charsmap = model.normalizer_spec.precompiled_charsmap
    if not charsmap:
        return True
    mapped = normalizers.Precompiled(charsmap).normalize_str(text).replace("\u2581", " ")
    return mapped.split() == processor.normalize(text).replace("\u2581", " ").split()


def rows(data):
    """Ids, and the text they decode to."""
    processor = sentencepiece.SentencePieceProcessor(model_proto=data)
    model = sentencepiece_model_pb2.ModelProto.FromString(data)
    for text in torture_strings():
        if not is_comparable(text, model, processor):
            continue
        ids = processor.encode(text)
        yield {"text": text, "ids": ids, "decoded": processor.decode(ids)}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--data")
    args = parser.parse_args()
    small = {}
    for name, settings in SMALL.items():
        data = trained(settings)
        small[name] = {"model": base64.b64encode(data).decode(), "cases": list(rows(data))}
    write("sentencepiece", small)
    if args.data:
        vectors = {}
        for path in VECTORS:
            with open(os.path.join(args.data, path), "rb") as f:
                vectors[path] = list(rows(f.read()))
        write("sentencepiece-vectors", vectors)


if __name__ == "__main__":
    main()
