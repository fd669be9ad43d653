"""Files of rows and what HF's `datasets` reads from them, for packages/trainer/test/fixtures/rows/.

Run: python tooling/oracle/datasets_rows.py   (datasets, pyarrow, zstandard and the zstd command; nothing random)
"""

import gzip
import json
import shutil
import subprocess
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from datasets import Dataset, interleave_datasets, load_dataset

OUT = Path(__file__).parents[2] / "packages/trainer/test/fixtures/rows"
shutil.rmtree(OUT, ignore_errors=True)
OUT.mkdir(parents=True)

rows = [
    {"text": f"row {i}: é, \"quoted\"" + ("\nsecond line" if i % 3 == 0 else ""), "label": i % 4, "score": i / 4, "tags": ["a"] * (i % 3)}
    for i in range(20)
]
table = pa.Table.from_pylist(rows)
pq.write_table(table, OUT / "snappy.parquet", compression="snappy", row_group_size=7)
pq.write_table(table, OUT / "zstd.parquet", compression="zstd")

lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
(OUT / "plain.jsonl").write_text(lines)
with open(OUT / "packed.jsonl.gz", "wb") as file, gzip.GzipFile("", "wb", mtime=0, fileobj=file) as packed:
    packed.write(lines.encode())

# The command writes a checksum, which pyarrow does not; some tools write several frames.
packed = subprocess.run(["zstd", "-19", "--zstd=wlog=10", "-c"], input=lines.encode(), capture_output=True, check=True).stdout
(OUT / "packed.jsonl.zst").write_bytes(packed)
# Several blocks, which refer to what came before them.
blocks = "".join(f"row {i % 1000} of {i % 7}\n" for i in range(40_000))
packed = subprocess.run(["zstd", "-19", "-c"], input=blocks.encode(), capture_output=True, check=True).stdout
(OUT / "blocks.txt.zst").write_bytes(packed)
codec = pa.Codec("zstd")
half = len(lines) // 2
frames = [codec.compress(part.encode(), asbytes=True) for part in (lines[:half], lines[half:])]
(OUT / "frames.jsonl.zst").write_bytes(b"".join(frames))

flat = Dataset.from_list([{key: row[key] for key in ("text", "label", "score")} for row in rows])
flat.to_csv(OUT / "plain.csv", index=False)
flat.to_csv(OUT / "plain.tsv", index=False, sep="\t")
(OUT / "poem.txt").write_text("one\ntwo\n\nthree\n\nfour\nfive")

read = lambda kind, name, **more: load_dataset(kind, data_files=str(OUT / name), split="train", **more).to_list()
expected = {
    "snappy.parquet": read("parquet", "snappy.parquet"),
    "zstd.parquet": read("parquet", "zstd.parquet"),
    "plain.jsonl": read("json", "plain.jsonl"),
    "packed.jsonl.gz": read("json", "packed.jsonl.gz"),
    "packed.jsonl.zst": read("json", "packed.jsonl.zst"),
    "frames.jsonl.zst": read("json", "frames.jsonl.zst"),
    "plain.csv": read("csv", "plain.csv"),
    "plain.tsv": read("csv", "plain.tsv", sep="\t"),
    "poem.txt by line": read("text", "poem.txt"),
    "poem.txt by paragraph": read("text", "poem.txt", sample_by="paragraph"),
    "poem.txt by document": read("text", "poem.txt", sample_by="document"),
}
numbers = lambda values: Dataset.from_dict({"a": values})
parts = [numbers([0, 1, 2]), numbers([10, 11]), numbers([20, 21, 22, 23])]
expected["interleaved"] = {
    strategy: interleave_datasets(parts, stopping_strategy=strategy)["a"][:]
    for strategy in ("first_exhausted", "all_exhausted")
}
(OUT / "expected.json").write_text(json.dumps(expected, ensure_ascii=False) + "\n")
