"""Packs ONNX's own node tests, decoded to one JSON file a test, for packages/tensor-backend/test/fixtures/onnx/.

Run: python tooling/oracle/onnx_vectors.py FOLDER   (FOLDER holds test_*.json of onnx v1.22.0, backend/test/data/node; numpy)
Nothing is computed: floats are written with as few digits as give the same float32.
"""

import gzip
import json
import re
import sys
from pathlib import Path

import numpy as np

from fixture import fixtures

# Larger files repeat what smaller ones show.
LARGEST = 130_000

# Why a test is left out, by name; the first that matches counts.
REASONS = [
    ("linear_attention", "linear attention is not an operation of Heed"),
    ("causal_conv", "causal convolution is not an operation of Heed"),
    ("flexattention.*(mod|mask|positional)", "it carries a subgraph that changes the scores"),
    ("nllloss", "it takes log-probabilities; crossEntropy takes logits"),
    ("sce.*none", "crossEntropy returns a mean or a sum"),
    ("sce.*(?<!no)_weight", "crossEntropy has no weights of classes"),
    ("adagrad", "Adagrad is not an optimizer of Heed"),
    ("group_norm", "group normalization is not an operation of Heed"),
    ("hardswish|mish", "it is not an activation of Heed"),
    ("tensorscatter", "writing around the end of a cache is not an operation of Heed"),
    ("uint64", "tensors of 64-bit whole numbers are not served"),
]

FAMILIES = {
    "attention": r"(flex)?attention",
    "norms": r"(layer|rms)_normalization",
    "rotary": "rotary",
    "losses": "sce",
    "optimizers": "adam|momentum|nesterov",
}


def shortest(tensor):
    """The tensor with floats as short as their type allows."""
    kind = {"float32": np.float32, "float16": np.float32}.get(tensor["dtype"])
    if kind is None:
        return tensor
    data = [x if isinstance(x, str) else float(str(kind(x))) for x in tensor["data"]]
    return tensor | {"data": data}


def main():
    target = fixtures("tensor-backend") / "onnx"
    target.mkdir(exist_ok=True)
    packed, others = {}, {}
    for path in sorted(Path(sys.argv[1]).glob("test_*.json")):
        name = path.stem.removeprefix("test_")
        reason = next((why for pattern, why in REASONS if re.search(pattern, name)), None)
        if path.stat().st_size > LARGEST:
            reason = reason or "the file is large, smaller ones show the same"
        if reason:
            others[name] = reason
            continue
        test = json.loads(path.read_text())
        family = next((family for family, pattern in FAMILIES.items() if re.match(pattern, name)), "pointwise")
        packed.setdefault(family, {})[name] = {
            "nodes": test["nodes"],
            "cases": [{key: [shortest(t) for t in case[key]] for key in ("inputs", "outputs")} for case in test["cases"]],
        }
    for family, tests in packed.items():
        data = gzip.compress(json.dumps(tests, separators=(",", ":")).encode(), 9, mtime=0)
        (target / f"{family}.json.gz").write_bytes(data)
        print(f"{family}: {len(tests)} tests, {len(data)} bytes")
    (target / "others.json").write_text(json.dumps(others, indent=2) + "\n")
    print(f"{len(others)} left out")


main()
