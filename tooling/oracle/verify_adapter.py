"""Does PEFT load every adapter that heed-adapter.mjs wrote, with the same outputs, beside the weights and merged into them?

Run: python tooling/oracle/verify_adapter.py OUT   (torch, transformers, peft) prints a line for each, OK or FAIL; the exit status is 0 or 1
"""

import re
import sys
from pathlib import Path

import peft
import torch
import transformers
from fixture import fixtures
from safetensors.torch import load_file

TOLERANCE = 2e-4


def check(folder):
    name = folder.name.split("-")[0]
    base_folder = fixtures("trainer") / f"trajectory-{name}"
    architecture = transformers.AutoConfig.from_pretrained(base_folder).architectures[0]
    base = getattr(transformers, architecture).from_pretrained(base_folder, attn_implementation="eager").eval()
    tensors = load_file(folder / "heed.safetensors")
    expected, plain = tensors.pop("logits"), tensors.pop("plain")
    inputs = {re.sub("[A-Z]", lambda letter: "_" + letter[0].lower(), key): value.long() for key, value in tensors.items()}
    with torch.no_grad():
        before = base(**inputs).logits
        model = peft.PeftModel.from_pretrained(base, folder).eval()
        found = {"beside": model(**inputs).logits}
        found["merged"] = model.merge_and_unload()(**inputs).logits
    mask = inputs.get("attention_mask", torch.ones_like(inputs["input_ids"]))[..., None]
    distance = lambda a, b: ((a - b) * mask).abs().max().item()
    change = distance(expected, plain)
    distances = {"plain": distance(before, plain)} | {kind: distance(expected, value) for kind, value in found.items()}
    text = ", ".join(f"{kind} within {value:.1e}" for kind, value in distances.items())
    isRight = change > 0.1 and all(value <= TOLERANCE for value in distances.values())
    return f"{'OK' if isRight else 'FAIL'} {architecture}: the adapter moves logits by {change:.2f}; {text}"


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    transformers.utils.logging.set_verbosity_error()
    results = []
    for folder in sorted(Path(sys.argv[1]).iterdir()):
        results.append(check(folder))
        print(f"{folder.name}: {results[-1]}", flush=True)
    print(f"peft {peft.__version__}, transformers {transformers.__version__}")
    sys.exit(0 if results and all(result.startswith("OK") for result in results) else 1)
