"""Makes packages/tokenizer/test/fixtures/truncation-windows.json.gz: all windows of truncated texts, as HF tokenizers 0.22.2 gives them.

HF 0.23 stops tokenizing where the first window is full: later windows are lost, and cut from the left, words are numbered
from the first that is left (huggingface/tokenizers#2091). Run at the repository root with that version:
pip install tokenizers==0.22.2; python tooling/oracle/truncation_windows.py
"""

import gzip
import json

import tokenizers
from tokenizers import Tokenizer

from hf_tokenizers import LONG, OUT, SHORT, STRATEGIES, write

NAMES = ["byte-level-bpe", "llama3-bpe", "unigram", "wordpiece"]
SIZES = [(8, 0), (13, 2), (30, 4)]


def window(e):
    return {"ids": e.ids, "offsets": [list(o) for o in e.offsets], "wordIds": e.word_ids}


def cases(tokenizer):
    for direction in ["left", "right"]:
        for max_length, stride in SIZES:
            # of a pair, longest_first shares the room another way since 0.23
            for text, pair, strategy in [(LONG, None, "longestFirst"), (SHORT, LONG, "onlySecond"), (LONG, SHORT, "onlyFirst")]:
                if pair is not None and max_length < 30:
                    continue
                tokenizer.enable_truncation(max_length, stride=stride, strategy=STRATEGIES[strategy], direction=direction)
                e = tokenizer.encode(text, pair)
                truncation = {"maxLength": max_length, "stride": stride, "strategy": strategy, "direction": direction}
                options = {**({} if pair is None else {"pair": pair}), "truncation": truncation}
                yield {"text": text, "options": options, "windows": [window(part) for part in [e, *e.overflowing]]}


def main():
    if not tokenizers.__version__.startswith("0.22."):
        raise SystemExit(f"tokenizers is {tokenizers.__version__}, expected 0.22.2, which gives all windows")
    made = {}
    for name in NAMES:
        with gzip.open(f"{OUT}/{name}.json.gz") as f:
            made[name] = list(cases(Tokenizer.from_str(json.dumps(json.load(f)["tokenizer"]))))
    write("truncation-windows", made)


if __name__ == "__main__":
    main()
