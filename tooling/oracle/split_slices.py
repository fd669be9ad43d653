"""Which rows HF's `datasets` takes for slices of splits, for packages/trainer/test/fixtures/split-slices.json.

Run: python tooling/oracle/split_slices.py   (datasets; nothing random)
"""

import json
from pathlib import Path

from datasets import ReadInstruction

OUT = Path(__file__).parents[2] / "packages/trainer/test/fixtures/split-slices.json"

SPECS = [
    "train", "train+test", " train + test ", "train[:]", "train[:10%]", "train[10%:]", "train[-5%:]+test[:50]", "train[100:200]",
    "train[:-5%]+test[40%:60%]", "train[-10:]", "train[:-10]", "train[-1000:]", "train[:1_000]", "train[5:2]", "train[-3:-7]",
    "train[:50%]", "train[50%:]", "train[:30%]", "train[33%:66%](closest)", "train[:-50%]", "train[10:50%]", "train[0:0]",
    "train[:100%]", "train[-100%:]", "train[7%:8%](pct1_dropremainder)", "train[-7%:](pct1_dropremainder)",
]
SIZES = [{"train": 5, "test": 1}, {"train": 205, "test": 120}, {"train": 1999, "test": 15}]

cases = []
for sizes in SIZES:
    for spec in SPECS:
        try:
            found = ReadInstruction.from_spec(spec.strip()).to_absolute(sizes)
            rows = [[part.splitname, part.from_, max(part.from_, part.to)] for part in found]
        except ValueError as error:
            rows = None
        cases.append({"spec": spec, "sizes": sizes, "rows": rows})
OUT.write_text("[\n" + ",\n".join("  " + json.dumps(case) for case in cases) + "\n]\n")
