"""Learning rates of HF's get_scheduler, for packages/trainer/test/fixtures/: schedules.json, and of those that follow a metric
metric-schedules.json.

Run: python tooling/oracle/schedules.py   (transformers 5, torch; the metrics are seeded)
"""

import json
import math
import random
from pathlib import Path

import torch
from transformers import get_scheduler

FIXTURES = Path(__file__).parents[2] / "packages/trainer/test/fixtures"

# name, warm-up steps, training steps, learning rate, HF's lr_scheduler_kwargs
CASES = [
    ("linear", 10, 50, 1e-3, {}),
    ("linear", 0, 7, 5e-5, {}),
    ("cosine", 5, 60, 3e-4, {}),
    ("cosine", 0, 40, 3e-4, {"num_cycles": 1.5}),
    ("cosine_with_restarts", 4, 50, 1e-3, {"num_cycles": 3}),
    ("cosine_with_min_lr", 4, 50, 1e-3, {"min_lr_rate": 0.1}),
    ("cosine_with_min_lr", 4, 50, 1e-3, {"min_lr": 2e-4}),
    ("cosine_warmup_with_min_lr", 4, 50, 1e-3, {"min_lr_rate": 0.1}),
    ("cosine_warmup_with_min_lr", 1, 30, 1e-3, {"min_lr": 1e-4, "warmup_lr_rate": 0.25}),
    ("cosine_warmup_with_min_lr", 6, 40, 3e-4, {"min_lr_rate": 0.0, "warmup_lr_rate": 0.1, "num_cycles": 1.5}),
    ("cosine_warmup_with_min_lr", 0, 40, 3e-4, {"min_lr": 1e-5}),
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


# name, learning rate, HF's lr_scheduler_kwargs, kind of metrics
METRIC_CASES = [
    ("reduce_lr_on_plateau", 1e-3, {}, "loss"),
    ("reduce_lr_on_plateau", 1e-3, {"factor": 0.5, "patience": 1}, "loss"),
    ("reduce_lr_on_plateau", 3e-4, {"factor": 0.5, "patience": 0, "cooldown": 2, "min_lr": 5e-5}, "loss"),
    ("reduce_lr_on_plateau", 1e-3, {"mode": "max", "factor": 0.3, "patience": 2, "threshold": 0.05}, "accuracy"),
    ("reduce_lr_on_plateau", 1e-3, {"mode": "max", "patience": 1, "threshold": 0.03, "threshold_mode": "abs", "eps": 1e-5}, "accuracy"),
    ("reduce_lr_on_plateau", 1e-3, {"patience": 2, "threshold": 0.02, "threshold_mode": "abs", "factor": 0.7}, "loss"),
    ("greedy", 5e-5, {}, "loss"),
    ("greedy", 1e-2, {"patience": 0, "factor": 0.8}, "loss"),
    ("greedy", 1e-2, {"patience": 1, "factor": 0.7, "cooldown": 1, "warmup": 2, "min_lr": 1e-3, "max_lr": 1.5e-2}, "loss"),
    ("greedy", 1e-2, {"patience": 0, "factor": 0.5, "min_lr": 5e-3, "reset_start": 3}, "loss"),
    ("greedy", 1e-2, {"mode": "max", "patience": 0, "threshold": 0.01, "threshold_mode": "rel", "smooth": True, "window_size": 4,
                      "factor": 0.6, "min_lr": 1e-3, "reset_start": 2, "eps": 1e-4}, "accuracy"),
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


def metrics(kind):
    """Gets better, then stays as it is but for noise, then gets worse, with a NaN on the way."""
    source = random.Random(81)
    losses = [3 * math.exp(-min(i, 15) / 6) + 0.04 * max(0, i - 28) + 0.03 * source.gauss(0, 1) for i in range(45)]
    losses[9] = math.nan
    return losses if kind == "loss" else [math.exp(-loss) for loss in losses]


def metric_rates(name, lr, kwargs, kind):
    optimizer = torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))], lr=lr)
    scheduler = get_scheduler(name, optimizer, scheduler_specific_kwargs=kwargs)
    out = [lr]
    for metric in metrics(kind):
        optimizer.step()
        scheduler.step(metric)
        out.append(optimizer.param_groups[0]["lr"])
    return out


def camel(key):
    head, *rest = key.split("_")
    return head + "".join(word.capitalize() for word in rest)


def options(kwargs):
    return {camel(key): value for key, value in kwargs.items()}


def write(name, cases):
    (FIXTURES / name).write_text("[\n" + ",\n".join(json.dumps(case) for case in cases) + "\n]\n")


write("schedules.json", [
    {
        "type": name, "numWarmupSteps": warmup, "numTrainingSteps": total, "learningRate": lr, "options": options(kwargs),
        "rates": rates(name, warmup, total, lr, kwargs),
    }
    for name, warmup, total, lr, kwargs in CASES
])
write("metric-schedules.json", [
    {
        "type": name, "learningRate": lr, "options": options(kwargs),
        "metrics": [None if math.isnan(metric) else metric for metric in metrics(kind)],
        "rates": metric_rates(name, lr, kwargs, kind),
    }
    for name, lr, kwargs, kind in METRIC_CASES
])
