"""Does transformers read a folder that Heed saved, with the same ids and logits?

Run: python tooling/oracle/verify_folder.py DIR   prints one line, OK or FAIL; the exit status is 0 or 1

Beside the model DIR has heed-expected.json: { texts?: [string] (of a folder with a tokenizer), ids: [[int]], logits: file name, greedy?: { maxNewTokens, ids: [[int]] } }.
The logits file is safetensors in DIR; its key "<i>" holds the logits Heed gives for ids[i], float32 [seqLen, vocabSize].
`greedy.ids[i]` is ids[i] with its continuation.
"""

import json
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging

TOLERANCE = 1e-4
logging.set_verbosity_error()
logging.disable_progress_bar()


def fail(reason):
    print(f"FAIL {folder}: {reason}")
    sys.exit(1)


def check():
    expected = json.loads((folder / "heed-expected.json").read_text())
    texts, ids = expected.get("texts", []), expected["ids"]
    if not ids or (texts and len(ids) != len(texts)):
        fail(f"{len(texts)} texts and {len(ids)} rows of ids")
    tokenizer = AutoTokenizer.from_pretrained(folder) if texts else None
    for text, row in zip(texts, ids):
        found = tokenizer(text)["input_ids"]
        if found != row:
            fail(f"ids of {text!r} are {found}, Heed has {row}")
    # eager: the default attention leaves out Gemma 2's soft cap
    eager = {"dtype": torch.float32, "attn_implementation": "eager"}
    model, report = AutoModelForCausalLM.from_pretrained(folder, output_loading_info=True, **eager)
    for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"):
        if report[kind]:
            fail(f"{kind}: {sorted(report[kind])}")
    logits, worst = load_file(folder / expected["logits"]), 0.0
    for i, row in enumerate(ids):
        with torch.no_grad():
            theirs = model.eval()(torch.tensor([row])).logits[0]
        ours = logits[str(i)]
        if ours.shape != theirs.shape:
            fail(f"logits {i} have shape {list(ours.shape)}, transformers gives {list(theirs.shape)}")
        difference = (ours - theirs).abs().max().item()
        if not difference <= TOLERANCE:  # NaN too
            fail(f"logits {i} differ by {difference:.2e}, expected at most {TOLERANCE}")
        worst = max(worst, difference)
    greedy = expected.get("greedy")
    for i, row in enumerate(greedy["ids"] if greedy else []):
        found = model.generate(torch.tensor([ids[i]]), do_sample=False, max_new_tokens=greedy["maxNewTokens"])[0].tolist()
        if found != row:
            fail(f"greedy ids {i} are {found}, Heed has {row}")
    print(
        f"OK {folder}: {type(model).__name__}, {sum(map(len, ids))} ids of {len(texts)} texts equal, "
        f"logits within {worst:.1e}" + (f", {len(greedy['ids'])} greedy continuations equal" if greedy else "")
    )


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    folder = Path(sys.argv[1])
    try:
        check()
    except Exception as error:  # whatever transformers throws is the answer
        fail(f"{type(error).__name__}: {error}")
