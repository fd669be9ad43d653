"""Which files HF's `datasets` takes for each split of a data set, for packages/trainer/test/fixtures/dataset-files.json.

Run: python tooling/oracle/dataset_files.py   (datasets; nothing random)
"""

import json
import tempfile
from pathlib import Path

from datasets import load_dataset_builder

OUT = Path(__file__).parents[2] / "packages/trainer/test/fixtures/dataset-files.json"

header = lambda configs: f"---\nlicense: mit\ntags:\n- a\n{configs}---\n# About\n"
several = header(
    """configs:
- config_name: en
  data_files:
  - split: train
    path: en/train-*.parquet
  - split: held_out
    path:
    - "en/other.parquet"
    - en/more/*.parquet
- config_name: fr
  default: true
  data_dir: fr
- config_name: plain
  data_files: "*.csv"
  sep: ";"
"""
)
several_files = ["en/train-0.parquet", "en/train-1.parquet", "en/other.parquet", "en/more/a.parquet", "fr/train.jsonl", "fr/dev.jsonl", "all.csv"]
layouts = {
    "shards": ["data/train-00000-of-00002.parquet", "data/train-00001-of-00002.parquet", "data/test-00000-of-00001.parquet", "data/extra-00000-of-00001-abc.parquet", "train.csv"],
    "names at the top": ["train.csv", "test.csv", "my-validation.csv", "LICENSE.md"],
    "names in a folder": ["data/train_0.jsonl", "data/train_1.jsonl.gz", "data/eval.jsonl", "notes/notes.pdf"],
    "folders": ["data/training/a.txt", "data/training/b/c.txt", "my dev/a.txt", "train.txt"],
    "words within words": ["trained.csv", "pretrain.csv", "a train 1.csv"],
    "one file": ["corpus.txt"],
    "several formats": ["a.json", "b.csv", "c.csv", "d.parquet"],
    "as many of two formats": ["train.json", "train.parquet", "train.csv"],
    "special folders": ["__MACOSX/train.csv", "x/train.csv", ".hidden/train.csv", "x/.train.csv"],
    "packed": ["train.jsonl.zst"],
    "letters of patterns": ["train+1 (a).csv", "train[2].csv"],
}
cases = [(name, files, "", None) for name, files in layouts.items()]
cases += [
    ("configs: the default", several_files, several, None),
    ("configs: by name", several_files, several, "en"),
    ("configs: one pattern", several_files, several, "plain"),
    ("configs: a list of patterns", ["x/a.csv", "x/y/b.csv", "c.csv"], header("configs:\n- config_name: all\n  data_files:\n  - x/**\n  - c.csv\n"), None),
    ("configs: only a folder", ["in/part.csv", "out.csv"], header("configs:\n- config_name: only\n  data_dir: ./in\n"), "only"),
    ("configs: letters and classes", ["a1.csv", "b2.csv", "c3.csv", "d/a9.csv"], header("configs:\n- config_name: default\n  data_files:\n  - split: train\n    path: '[ab]?.csv'\n  - split: test\n    path: '**/[!ab]*[0-9].csv'\n"), None),
]

expected = []
for name, files, readme, config in cases:
    with tempfile.TemporaryDirectory() as folder:
        for file in files:
            path = Path(folder, file)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("x")
        if readme:
            Path(folder, "README.md").write_text(readme)
        builder = load_dataset_builder(folder, config)
        root = str(Path(folder).resolve()) + "/"
        splits = {str(split): [file.replace(root, "").removeprefix("./") for file in found] for split, found in builder.config.data_files.items()}
        expected.append({"name": name, "files": files, "readme": readme, "config": config, "splits": splits})
OUT.write_text(json.dumps(expected, ensure_ascii=False, indent=1) + "\n")
