"""Arrow files and what pyarrow reads from them, for packages/trainer/test/fixtures/arrow/.

Run: python tooling/oracle/arrow_rows.py   (datasets, pyarrow; nothing random)
"""

import datetime
import json
import shutil
import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.feather as feather
from datasets import ClassLabel, Dataset, Features, List, Value

OUT = Path(__file__).parents[2] / "packages/trainer/test/fixtures/arrow"
shutil.rmtree(OUT, ignore_errors=True)
OUT.mkdir(parents=True)

every_other = lambda i, value: value if i % 2 == 0 else None
kinds = pa.table(
    {
        "text": pa.array([every_other(i, f"row {i}: é, 中") for i in range(12)]),
        "large_text": pa.array([f"{i}" * (i % 4) for i in range(12)], pa.large_string()),
        "word": pa.array([["no", "yes", "perhaps"][i % 3] for i in range(12)]).dictionary_encode(),
        "label": pa.array([i - 2**40 for i in range(12)], pa.int64()),
        "small": pa.array([every_other(i, i) for i in range(12)], pa.int8()),
        "score": pa.array([i / 8 for i in range(12)], pa.float64()),
        "half": pa.array([i / 8 for i in range(12)], pa.float16()),
        "right": pa.array([i % 3 == 0 for i in range(12)]),
        "ids": pa.array([list(range(i % 4)) for i in range(12)], pa.list_(pa.int64())),
        "tags": pa.array([every_other(i, ["a", None][: i % 3]) for i in range(12)], pa.list_(pa.string())),
        "pair": pa.array([[i, -i] for i in range(12)], pa.list_(pa.float32(), 2)),
        "turn": pa.array([{"role": "user", "parts": [{"n": i}]} for i in range(12)]),
        "facts": pa.array([[("k", i)] for i in range(12)], pa.map_(pa.string(), pa.int32())),
        "bytes": pa.array([bytes([i, 255]) for i in range(12)]),
        "time": pa.array([datetime.datetime(2024, 1, 1 + i, 3, 4, 5) for i in range(12)], pa.timestamp("us")),
        "nothing": pa.nulls(12),
    }
)
with pa.ipc.new_file(OUT / "kinds.arrow", kinds.schema) as file:
    for batch in kinds.to_batches(max_chunksize=5):
        file.write_batch(batch)

# A word list that grows from batch to batch, as deltas in a stream.
words = [pa.array(part).dictionary_encode() for part in (["a", "b", "a"], ["a", "b", "c"])]
schema = pa.schema({"word": words[0].type})
grown = pa.DictionaryArray.from_arrays(pa.array([2, 0, 1], pa.int32()), pa.array(["a", "b", "c"]))
with pa.ipc.new_stream(OUT / "growing.arrow", schema, options=pa.ipc.IpcWriteOptions(emit_dictionary_deltas=True)) as file:
    for column in (words[0], grown):
        file.write_batch(pa.record_batch([column], schema=schema))
growing = pa.ipc.open_stream(OUT / "growing.arrow").read_all()

# Long enough for several blocks of LZ4 and zstd, which refer to what came before them.
long = pa.table({"text": [f"{i} of {i % 7}, " * 400 for i in range(60)]})
for codec in ("lz4", "zstd"):
    feather.write_feather(long, OUT / f"{codec}.feather", compression=codec, chunksize=50)

features = Features({"text": Value("string"), "label": ClassLabel(names=["no", "yes"]), "ids": List(Value("int32"))})
saved = Dataset.from_dict(
    {"text": [f"text {i}" for i in range(7)], "label": [i % 2 for i in range(7)], "ids": [[i] * i for i in range(7)]},
    features=features,
)
with tempfile.TemporaryDirectory() as folder:
    saved.save_to_disk(folder, num_shards=2)
    for path in sorted(Path(folder).glob("*.arrow")):
        shutil.copy(path, OUT / path.name)


def plain(value):
    if isinstance(value, bytes):
        return list(value)
    return value.isoformat(timespec="milliseconds") + "Z" if isinstance(value, datetime.datetime) else float(value)


expected = {"kinds.arrow": kinds.to_pylist(), "growing.arrow": growing.to_pylist(), "data-*.arrow": saved.to_list()}
(OUT / "expected.json").write_text(json.dumps(expected, ensure_ascii=False, default=plain) + "\n")
