"""Tokenises JSON lines by `datasets.map` with a fast tokenizer, in batches, by one process and one thread; run by ../data-prepare.mjs.

python datasets_map.py <rows.jsonl> <tokenizer folder>   (datasets, transformers); prints the seconds of `map` and the tokens.
"""

import json
import sys
import tempfile
import time

import datasets
from transformers import PreTrainedTokenizerFast
from transformers.utils import logging

logging.set_verbosity_error()
datasets.disable_progress_bars()
rows, folder = sys.argv[1:]
tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)


def encode(batch):
    return {"ids": tokenizer(batch["text"], add_special_tokens=False, return_attention_mask=False, return_token_type_ids=False)["input_ids"]}


with tempfile.TemporaryDirectory() as cache:
    texts = datasets.load_dataset("json", data_files=rows, split="train", cache_dir=cache)
    start = time.perf_counter()
    encoded = texts.map(encode, batched=True, remove_columns=["text"])
    seconds = time.perf_counter() - start
    tokens = sum(len(ids) for ids in encoded["ids"])
print(json.dumps({"seconds": seconds, "numTokens": tokens}))
