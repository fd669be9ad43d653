"""Learning rates of HF's get_scheduler, for packages/trainer/test/fixtures/schedules.json.

Run: python tooling/oracle/schedules.py   (transformers 5, torch; nothing random)
"""

import json
from pathlib import Path

import torch
from transformers import get_scheduler

OUT = Path(__file__).parents[2] / "packages/trainer/test/fixtures/schedules.json"

# name, warm-up steps, training steps, learning rate, HF's lr_scheduler_kwargs
CASES = [
    ("linear", 10, 50, 1e-3, {}),
    ("linear", 0, 7, 5e-5, {}),
    ("cosine", 5, 60, 3e-4, {}),
    ("cosine", 0, 40, 3e-4, {"num_cycles": 1.5}),
    ("cosine_with_restarts", 4, 50, 1e-3, {"num_cycles": 3}),
    ("cosine_with_min_lr", 4, 50, 1e-3, {"min_lr_rate": 0.1}),
    ("polynomial", 6, 50, 1e-3, {}),
    ("polynomial", 6, 50, 1e-3, {"power": 2.0, "lr_end": 1e-5}),
    ("constant", 0, 20, 2e-5, {}),
    ("constant_with_warmup", 8, 20, 2e-5, {}),
    ("inverse_sqrt", 10, 60, 1e-3, {}),
    ("inverse_sqrt", 0, 30, 1e-3, {}),
    ("inverse_sqrt", 10, 60, 1e-3, {"timescale": 40}),
    ("warmup_stable_decay", 5, 50, 1e-3, {"num_decay_steps": 15}),
    ("warmup_stable_decay", 5, 50, 1e-3, {"num_decay_steps": 15, "min_lr_ratio": 0.1, "decay_type": "1-sqrt", "warmup_type": "1-sqrt"}),
    ("warmup_stable_decay", 5, 50, 1e-3, {"num_decay_steps": 10, "num_stable_steps": 20, "decay_type": "linear", "warmup_type": "cosine"}),
]


def rates(name, warmup, total, lr, kwargs):
    optimizer = torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))], lr=lr)
    scheduler = get_scheduler(name, optimizer, warmup, total, kwargs)
    out = []
    for _ in range(total + 3):  # a few steps past the end too
        out.append(scheduler.get_last_lr()[0])
        optimizer.step()
        scheduler.step()
    return out


def camel(key):
    head, *rest = key.split("_")
    return head + "".join(word.capitalize() for word in rest)


cases = [
    {
        "type": name,
        "numWarmupSteps": warmup,
        "numTrainingSteps": total,
        "learningRate": lr,
        "options": {camel(key): value for key, value in kwargs.items()},
        "rates": rates(name, warmup, total, lr, kwargs),
    }
    for name, warmup, total, lr, kwargs in CASES
]
OUT.parent.mkdir(parents=True, exist_ok=True)
OUT.write_text("[\n" + ",\n".join(json.dumps(case) for case in cases) + "\n]\n")
