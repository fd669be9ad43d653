"""Makes the part fixtures of packages/tokenizer: each normalizer, pre-tokenizer, post-processor and decoder alone.

Run at the repository root: python tooling/oracle/hf_tokenizer_parts.py
"""

import io
import itertools
import json
import tempfile

import sentencepiece
from sentencepiece import sentencepiece_model_pb2
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from hf_tokenizer_texts import torture_strings
from hf_tokenizers import LLAMA3, SHAKESPEARE, encoding, with_overflowing, write

TEXTS = [text for text in torture_strings() if len(text) <= 60]


def described(part):
    return json.loads(part.__getstate__())


def small_charsmap():
    """The compiled map of a few rules: one to many, many to one, to nothing, astral, combining sequences."""
    rules = {
        "\u00a0": " ", "\u3000": " ", "\u200b": "", "\ufb01": "fi", "\u212b": "\u00c5", "e\u0301": "\u00e9", "cafe": "CAFE", "\u2126": "\u03a9",
        "\uff21": "A", "\u33a1": "m2", "\U0001f600": ":-)", "\u306f\u3099": "\u3070", "\u1112\u1161\u11ab": "\ud55c", "\t": " ", "\n": " ",
    }
    lines = ["\t".join(" ".join(f"{ord(c):X}" for c in text) for text in rule) for rule in rules.items()]
    model = io.BytesIO()
    with open(SHAKESPEARE) as f, tempfile.NamedTemporaryFile("w", suffix=".tsv") as table:
        table.write("\n".join(lines) + "\n")
        table.flush()
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(f.read().split("\n")[:2000]), model_writer=model, vocab_size=200,
            normalization_rule_tsv=table.name, minloglevel=2,
        )
    proto = sentencepiece_model_pb2.ModelProto.FromString(model.getvalue())
    return proto.normalizer_spec.precompiled_charsmap


def normalizer_parts():
    n = normalizers
    yield from (n.NFC(), n.NFD(), n.NFKC(), n.NFKD(), n.Lowercase(), n.StripAccents(), n.Nmt(), n.ByteLevel())
    for flags in itertools.product((True, False), (True, False), (None, True, False), (True, False)):
        yield n.BertNormalizer(*flags)
    yield from (n.Strip(left, right) for left in (True, False) for right in (True, False))
    yield from (n.Replace(" ", "\u2581"), n.Replace("a", ""), n.Replace("", "x"), n.Replace(Regex(r"\s+"), " "), n.Replace(Regex(r"[aeiou]"), "<v>"))
    yield from (n.Replace(Regex(r"(\w)\1"), "$1"), n.Replace(Regex(r"^"), "> "), n.Prepend("\u2581"), n.Prepend(""))
    yield n.Precompiled(small_charsmap())
    yield n.Sequence([n.NFD(), n.StripAccents(), n.Lowercase(), n.Strip()])
    yield n.Sequence([])


def normalizer_cases():
    for part in normalizer_parts():
        each = Tokenizer(models.WordLevel({"?": 0}, unk_token="?"))
        each.normalizer = part
        each.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
        rows = []
        for text in TEXTS:
            rows.append({
                "text": text,
                "normalized": part.normalize_str(text),
                # of each code point of the normalized text, where it stands in the text, in code points
                "offsets": [list(offsets) for offsets in each.encode(text).offsets],
            })
        yield {"part": described(part), "cases": rows}


def pre_tokenizer_parts():
    p = pre_tokenizers
    yield from (p.BertPreTokenizer(), p.Whitespace(), p.WhitespaceSplit(), p.UnicodeScripts(), p.CharDelimiterSplit("-"), p.CharDelimiterSplit(" "))
    yield from (p.ByteLevel(add_prefix_space=prefix, use_regex=regex) for prefix in (True, False) for regex in (True, False))
    yield from (p.Metaspace("\u2581", scheme, split) for scheme in ("always", "never", "first") for split in (True, False))
    yield p.Metaspace("_", "always", True)
    yield from (p.Digits(individual_digits=individual) for individual in (True, False))
    yield from (p.FixedLength(length=length) for length in (1, 5))
    behaviors = ("removed", "isolated", "merged_with_previous", "merged_with_next", "contiguous")
    yield from (p.Punctuation(behavior) for behavior in behaviors)
    for behavior in behaviors:
        yield from (p.Split(" ", behavior), p.Split(Regex(r"\p{N}{1,3}|\s"), behavior), p.Split(Regex(r"\w+"), behavior, invert=True))
    yield p.Split(Regex(LLAMA3), "isolated")
    yield p.Sequence([p.Split(Regex(r"[\r\n]"), "isolated"), p.Punctuation("contiguous"), p.Digits(True), p.ByteLevel(False, use_regex=False)])
    yield p.Sequence([p.WhitespaceSplit(), p.Metaspace()])
    yield p.Sequence([])


def pre_tokenizer_cases():
    for part in pre_tokenizer_parts():
        rows = [{"text": text, "pieces": [[piece, *span] for piece, span in part.pre_tokenize_str(text)]} for text in TEXTS]
        yield {"part": described(part), "cases": rows}


def post_processor_parts():
    p = processors
    special = [("[CLS]", 1), ("[SEP]", 2)]
    yield from (p.BertProcessing(("[SEP]", 2), ("[CLS]", 1)), p.TemplateProcessing("$0", "$A $B", []))
    yield from (p.RobertaProcessing(("[SEP]", 2), ("[CLS]", 1), trim, prefix) for trim in (True, False) for prefix in (True, False))
    yield from (p.ByteLevel(trim_offsets=trim) for trim in (True, False))
    yield p.TemplateProcessing("[CLS]:0 $A:0 [SEP]:0", "[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1", special)
    yield p.TemplateProcessing("$A:3 [SEP]:4", "$B:1 [SEP] $A:2 [CLS]:5", special)
    yield p.TemplateProcessing("TWO $A", "TWO $A TWO:1 $B:1", [{"id": "TWO", "ids": [1, 2], "tokens": ["[CLS]", "[SEP]"]}])
    yield p.Sequence([p.ByteLevel(trim_offsets=True), p.TemplateProcessing("[CLS] $A [SEP]", "[CLS] $A [SEP] $B:1 [SEP]:1", special)])


def post_processor_cases():
    base = json.loads(post_processing_tokenizer().to_str())
    rows = []
    for part in post_processor_parts():
        t = post_processing_tokenizer()
        t.post_processor = part
        cases = []
        for text, pair in [("ab b", None), (" a  b ", None), ("", None), ("ab", " ba b"), ("", "a"), ("a", "")]:
            for special in (True, False):
                cases.append({"text": text, "pair": pair, "addSpecialTokens": special, "expected": encoding(t.encode(text, pair, add_special_tokens=special))})
        t.enable_truncation(8, stride=1)
        for text, pair in [("ab b a b ab b a ab", None), ("ab b a b ab b a ab", "b a b a")]:
            cases.append({"text": text, "pair": pair, "maxLength": 8, "stride": 1, "expected": with_overflowing(t.encode(text, pair))})
        rows.append({"part": described(part), "cases": cases})
    return {"tokenizer": base, "parts": rows}


def post_processing_tokenizer():
    vocabulary = {"[UNK]": 0, "[CLS]": 1, "[SEP]": 2, "a": 3, "b": 4, "\u0120": 5, "ab": 6, "\u0120b": 7, "\u0120a": 8}
    t = Tokenizer(models.BPE(vocabulary, [("a", "b"), ("\u0120", "b"), ("\u0120", "a")]))
    t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    return t


def decoder_parts():
    d = decoders
    yield from (d.ByteLevel(), d.ByteFallback(), d.Fuse(), d.WordPiece(), d.WordPiece("@@", False), d.BPEDecoder(), d.BPEDecoder("_"))
    yield from (d.Metaspace("\u2581", scheme, split) for scheme in ("always", "never", "first") for split in (True, False))
    yield from (d.CTC(), d.CTC("_", "a", False), d.Strip(" ", 1, 0), d.Strip("a", 2, 2), d.Replace("\u2581", " "), d.Replace(Regex("a+"), "<$0>"))
    yield d.Sequence([d.Replace("\u2581", " "), d.ByteFallback(), d.Fuse(), d.Strip(" ", 1, 0)])
    yield d.Sequence([d.ByteLevel(), d.Fuse(), d.Strip("a", 1, 1)])


TOKENS = [
    [], [""], ["hello"], ["hello", "world"], ["\u2581hello", "\u2581wor", "ld", "\u2581"], ["\u2581\u2581x", "\u2581", "y\u2581z"], ["un", "##aff", "##able", "."],
    ["##start", "do", "n", "'", "t", "##x"], ["I", "'", "m", ",", "it", "'", "s", "we", "'", "ve", "they", "'", "re", "?", "!", "do", "not"],
    ["hel", "lo</w>", "wor", "ld</w>"], ["a_", "b_", "c"], ["\u0120hello", "\u0120w", "\u00c3\u00a9", "\u010a", "\u00e4\u00bd", "\u0142"], ["\u00e4", "\u00bd", "\u0142", "\u00ff", "a"],
    ["<0xE4>", "<0xBD>", "<0xA0>", "!"], ["<0xE4>", "<0xBD>", "x"], ["<0xFF>", "<0x0A>", "<0x41>"], ["a", "<0xZZ>", "<0x4>", "<0xf0>"], ["<0xF0>", "<0x9F>", "<0x98>", "<0x80>", "<0x80>"],
    ["<pad>", "<pad>", "h", "h", "e", "e", "l", "<pad>", "l", "o", "|", "|", "w"], ["_", "a", "a", "b", "_", "b"], ["|", "|", "a", "|", "b", "|"], [" a", "aa", "  b  ", "aaa"],
    ["\u4f60", "\u597d", "\u0000", "raw \u00e9"], ["x</w>", "</w>", "y</w>z</w>"], ["a", " .", " !", "b ' c", " n't", "x@@", "@@y"],
]


def decoder_cases():
    for part in decoder_parts():
        cases = []
        for tokens in TOKENS:
            try:
                cases.append({"tokens": tokens, "decoded": part.decode(tokens)})
            except BaseException:  # HF's Strip panics on a token shorter than what it strips from the right
                continue
        yield {"part": described(part), "cases": cases}


if __name__ == "__main__":
    write("normalizers", list(normalizer_cases()))
    write("pre-tokenizers", list(pre_tokenizer_cases()))
    write("post-processors", post_processor_cases())
    write("decoders", list(decoder_cases()))
