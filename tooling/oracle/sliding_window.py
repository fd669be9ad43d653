"""Long texts of models with sliding windows, for packages/llama/test/fixtures/sliding-window.json: greedy ids of transformers, whose
layers with a window keep its keys and values alone, by the windows of the files and by longer ones.

Run: python tooling/oracle/sliding_window.py   (after llama_family.py, whose models it reads)
"""

import torch
from fixture import fixtures, write_json
from tiny import PAD, generation_case
from transformers import AutoModelForCausalLM

VOCAB = 31
FOLDERS = ["mistral-tiny", "gemma2-tiny", "gemma3_text-tiny", "phi3-tiny"]
WINDOWS = [4, 24]
OPTIONS = {"max_new_tokens": 50, "repetition_penalty": 1.2}  # else these models repeat a few tokens
FEW_KINDS = 6  # a text of fewer tokens than these goes round and round


def prompts(seed):
    torch.manual_seed(seed)
    ids = torch.randint(PAD + 1, VOCAB, (2, 9))
    padded, mask = ids.clone(), torch.ones_like(ids)
    padded[0, :5] = PAD
    mask[0, :5] = 0
    long = torch.randint(PAD + 1, VOCAB, (1, 50))
    return {
        "one": {"input_ids": ids[:1], "attention_mask": mask[1:]},
        "padded": {"input_ids": padded, "attention_mask": mask},
        "long": {"input_ids": long, "attention_mask": torch.ones_like(long)},
    }


def case(model, name):
    """Of the first seed whose text is no matter of rounding and varies."""
    for seed in range(30):
        try:
            found = generation_case(model, name, prompts(seed)[name], OPTIONS)
        except AssertionError:
            continue
        if all(len(set(row[-OPTIONS["max_new_tokens"] :])) >= FEW_KINDS for row in found["ids"]):
            return found
    print(f"left out: {name}, whose texts do not vary or hang on rounding")
    return None


written = []
for folder in FOLDERS:
    for window in WINDOWS:
        model = AutoModelForCausalLM.from_pretrained(
            fixtures("llama") / folder, sliding_window=window, attn_implementation="eager"
        ).eval()
        with torch.no_grad():
            cases = [case(model, name) for name in prompts(0)]
        written.append({"folder": folder, "slidingWindow": window, "cases": [found for found in cases if found]})
        print(folder, window, flush=True)
write_json(fixtures("llama") / "sliding-window.json", written)
