"""Does HF tokenizers read every tokenizer.json that heed-tokenizers.mjs wrote, with the same ids and decoded texts?

Run: python tooling/oracle/verify_tokenizers.py OUT   prints a line for each folder, OK or FAIL; the exit status is 0 or 1

With tokenizers 0.23.2: equal for the SentencePiece models of the fixtures, test_model and test_ja_model of SentencePiece,
XLNet's spiece.model, LLaMA 2's tokenizer.model and torchtune's; for the rank files r50k_base, p50k_base, cl100k_base,
o200k_base, Qwen's and LLaMA 3's; for the GGUF vocabulary of the fixtures and llama.cpp's bert-bge, deepseek-llm, gpt-2,
llama-spm and mpt.
"""

import json
import sys
from pathlib import Path

from tokenizers import Tokenizer


def check(folder):
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    cases = json.loads((folder / "heed-expected.json").read_text())
    for case in cases:
        ids = tokenizer.encode(case["text"]).ids
        if ids != case["ids"]:
            return f"FAIL ids of {case['text']!r} are {ids}, Heed has {case['ids']}"
        decoded = tokenizer.decode(ids)
        if decoded != case["decoded"]:
            return f"FAIL {ids} decode to {decoded!r}, Heed has {case['decoded']!r}"
    return f"OK {len(cases)} texts"


failed = False
for path in sorted(Path(sys.argv[1]).glob("*/tokenizer.json")):
    line = check(path.parent)
    failed = failed or line.startswith("FAIL")
    print(f"{path.parent.name}: {line}")
sys.exit(failed)
