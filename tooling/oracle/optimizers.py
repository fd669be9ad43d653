"""Ten steps of torch optimizers with clipping, for packages/trainer/test/fixtures/optimizers.json.

Run: python tooling/oracle/optimizers.py   (torch; seeded)
"""

import json
from pathlib import Path

import torch

OUT = Path(__file__).parents[2] / "packages/trainer/test/fixtures/optimizers.json"
STEPS, MAX_NORM, RATES = 10, 1.0, [1e-2, 2e-2, 5e-3]

CASES = {
    "adamw": (torch.optim.AdamW, {"betas": (0.8, 0.95), "eps": 1e-6, "weight_decay": 0.1}),
    "sgd": (torch.optim.SGD, {"weight_decay": 0.1}),
    "sgd-momentum": (torch.optim.SGD, {"momentum": 0.9, "weight_decay": 0.1}),
}


def run(factory, options):
    torch.manual_seed(7)
    start = {"proj.weight": torch.randn(3, 4), "proj.bias": torch.randn(3)}
    gradients = [{name: torch.randn_like(value) for name, value in start.items()} for _ in range(STEPS)]
    parameters = {name: torch.nn.Parameter(value.clone()) for name, value in start.items()}
    groups = [
        {"params": [parameters["proj.weight"]]},
        {"params": [parameters["proj.bias"]], "weight_decay": 0.0},
    ]
    optimizer = factory(groups, lr=1.0, **options)
    norms = []
    for step in range(STEPS):
        for name, value in parameters.items():
            value.grad = gradients[step][name].clone()
        norms.append(torch.nn.utils.clip_grad_norm_(parameters.values(), MAX_NORM).item())
        for group in optimizer.param_groups:
            group["lr"] = RATES[step % len(RATES)]
        optimizer.step()
    dump = lambda tensors: {name: value.detach().tolist() for name, value in tensors.items()}
    return {"start": dump(start), "gradients": [dump(g) for g in gradients], "norms": norms, "end": dump(parameters)}


fixture = {"maxNorm": MAX_NORM, "rates": RATES, "cases": {name: run(*case) for name, case in CASES.items()}}
OUT.parent.mkdir(parents=True, exist_ok=True)
OUT.write_text(json.dumps(fixture) + "\n")
