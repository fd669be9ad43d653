"""Does the tasks of `src/contestant.ts` in PyTorch: a line of JSON in, a line of JSON out."""

import argparse
import json
import sys
import time

import torch
from gpt2 import Gpt2
from torch_tasks import matmul, op, train


def prefill(task):
    model = Gpt2(task["path"]).eval()
    ids = torch.arange(100, 100 + task["prompt"])[None]

    @torch.inference_mode()
    def run():
        logits, _ = model(ids, model.empty())
        logits.argmax().item()

    return run


def decode(task):
    """Gives the seconds after the prompt."""
    model = Gpt2(task["path"]).eval()
    ids = torch.arange(100, 100 + task["prompt"])[None]

    @torch.inference_mode()
    def run():
        logits, past = model(ids, model.empty())
        start = time.perf_counter()
        for _ in range(task["written"]):
            logits, past = model(logits.argmax(-1), past)
        logits.argmax().item()
        return time.perf_counter() - start

    return run


TENSOR_TASKS = {"matmul": matmul, "train": train, "op": op}
MODEL_TASKS = {"prefill": prefill, "decode": decode}
MAX_TURN_SECONDS = 5  # a slow contestant does fewer repeats in a turn

parser = argparse.ArgumentParser()
parser.add_argument("--threads", type=int, default=1)
parser.add_argument("--compile", action="store_true")
options = parser.parse_args()
torch.set_num_threads(options.threads)

prepared = {}
for line in sys.stdin:
    request = json.loads(line)
    repeats = request.pop("repeats")
    key = json.dumps(request)
    if key not in prepared:
        if request["name"] in TENSOR_TASKS:
            prepared[key] = TENSOR_TASKS[request["name"]](request["kind"], request["sizes"], options.compile)
        else:
            prepared[key] = MODEL_TASKS[request["name"]](request)
    seconds = []
    turn = time.perf_counter()
    while len(seconds) < repeats and (not seconds or time.perf_counter() - turn < MAX_TURN_SECONDS):
        start = time.perf_counter()
        measured = prepared[key]()
        seconds.append(measured if isinstance(measured, float) else time.perf_counter() - start)
    print(json.dumps({"seconds": seconds}), flush=True)
