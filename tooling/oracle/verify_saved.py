"""Does transformers read every folder that heed-saved.mjs wrote, with the same outputs? Works with transformers 4 and 5.

Run: python tooling/oracle/verify_saved.py OUT   prints a line for each folder, OK, SKIP or FAIL; the exit status is 0 or 1
"""

import json
import re
import sys
from pathlib import Path

import torch
import transformers
from safetensors.torch import load_file

TOLERANCE = 2e-4
transformers.utils.logging.set_verbosity_error()
transformers.utils.logging.disable_progress_bar()


def snake(name):
    return re.sub("[A-Z]", lambda letter: "_" + letter[0].lower(), name)


def of_tokens(value, mask):
    """Rows of padding mean nothing."""
    if mask is None or value.dim() < 2 or value.shape[:2] != mask.shape:
        return value
    return value * mask.reshape(*mask.shape, *([1] * (value.dim() - 2)))


def check(folder):
    name = json.loads((folder / "config.json").read_text())["architectures"][0]
    model_class = getattr(transformers, name, None)
    if model_class is None:
        return f"SKIP transformers {transformers.__version__} has no {name}"
    model, report = model_class.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager", output_loading_info=True
    )
    for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"):
        if report[kind]:
            return f"FAIL {kind}: {sorted(report[kind])}"
    tensors = load_file(folder / "heed.safetensors")
    inputs = {
        snake(key[6:]): value if value.is_floating_point() else value.long()
        for key, value in tensors.items()
        if key.startswith("input.")
    }
    mask = inputs.get("decoder_attention_mask" if "decoder_input_ids" in inputs else "attention_mask")
    with torch.no_grad():
        found = model.eval()(**inputs)
    worst, compared = 0.0, []
    for key, ours in tensors.items():
        theirs = found.get(snake(key[7:])) if key.startswith("output.") else None
        if theirs is None:
            continue
        memory_mask = inputs.get("attention_mask") if key.startswith("output.encoder") else mask
        difference = (of_tokens(ours, memory_mask) - of_tokens(theirs, memory_mask)).abs().max().item()
        if not difference <= TOLERANCE:  # NaN too
            return f"FAIL {name}: {key[7:]} differs by {difference:.1e}, expected at most {TOLERANCE}"
        worst = max(worst, difference)
        compared.append(key[7:])
    if not compared:
        return f"FAIL {name}: no output in common"
    return f"OK {name}: {', '.join(compared)} within {worst:.1e}"


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    results = []
    for folder in sorted(Path(sys.argv[1]).iterdir()):
        try:
            result = check(folder)
        except Exception as error:  # whatever transformers throws is the answer
            result = f"FAIL {type(error).__name__}: {error}"
        results.append(result)
        print(f"{folder.name}: {result}", flush=True)
    counts = {word: sum(result.startswith(word) for result in results) for word in ("OK", "SKIP", "FAIL")}
    print(f"transformers {transformers.__version__}: " + ", ".join(f"{count} {word}" for word, count in counts.items()))
    sys.exit(1 if counts["FAIL"] or not counts["OK"] else 0)
