"""Makes every fixture again, one script after the other.

Run: python tooling/oracle/all.py [NAME...]   (names of scripts without .py; by default all that need no file of other people and no other version)
"""

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
NOT_MAKERS = {"all", "fixture", "hf_tokenizer_texts", "tiny", "verify_adapter", "verify_folder", "verify_saved"}

NEED_FILES = {"mingpt_sorter", "onnx_vectors", "real_tokenizers"}
NEED_OTHER_VERSIONS = {"truncation_windows"}

names = sys.argv[1:] or sorted({script.stem for script in HERE.glob("*.py")} - NOT_MAKERS - NEED_FILES - NEED_OTHER_VERSIONS)
failed = []
for name in names:
    print(f"== {name}", flush=True)
    if subprocess.run([sys.executable, HERE / f"{name}.py"], cwd=HERE.parents[1]).returncode:
        failed.append(name)
sys.exit(f"failed: {', '.join(failed)}" if failed else 0)
