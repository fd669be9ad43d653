"""Ten steps of optimizers with clipping, for packages/trainer/test/fixtures/optimizers.json.

Run: python tooling/oracle/optimizers.py   (torch, transformers; seeded)

Adafactor is HF's as its Trainer calls it. Muon is torch's, kept in F32 (its Newton-Schulz iteration would round to bfloat16),
on matrices, AdamW on the rest. Neither library has Lion: it is written out from the paper. `ema` is the AdamW case's weights
averaged by torch.optim.swa_utils. `sparse` are runs in which one parameter has a gradient in some steps only.
"""

import json
from pathlib import Path

import torch
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from transformers.optimization import Adafactor

OUT = Path(__file__).parents[2] / "packages/trainer/test/fixtures/optimizers.json"
STEPS, MAX_NORM, RATES, EMA_DECAY = 10, 1.0, [1e-2, 2e-2, 5e-3], 0.7

class Lion(torch.optim.Optimizer):
    """Chen et al. 2023, algorithm 2."""

    def __init__(self, params, lr, betas, weight_decay):
        super().__init__(params, {"lr": lr, "betas": betas, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            beta1, beta2 = group["betas"]
            for p in group["params"]:
                m = self.state[p].setdefault("exp_avg", torch.zeros_like(p))
                direction = torch.sign(beta1 * m + (1 - beta1) * p.grad)
                p.sub_(group["lr"] * (direction + group["weight_decay"] * p))
                m.copy_(beta2 * m + (1 - beta2) * p.grad)


class MuonAndAdamW(torch.optim.Optimizer):
    def __init__(self, groups, lr, weight_decay, momentum, adamw):
        matrices, others = groups
        self.parts = [
            torch.optim.Muon([matrices], lr=lr, weight_decay=weight_decay, momentum=momentum, adjust_lr_fn="match_rms_adamw"),
            torch.optim.AdamW([others], lr=lr, **adamw),
        ]
        self.param_groups = [group for part in self.parts for group in part.param_groups]

    def step(self):
        for part in self.parts:
            part.step()


torch.Tensor.bfloat16 = torch.Tensor.clone
CASES = {
    "adamw": (torch.optim.AdamW, {"betas": (0.8, 0.95), "eps": 1e-6, "weight_decay": 0.1}),
    "sgd": (torch.optim.SGD, {"weight_decay": 0.1}),
    "sgd-momentum": (torch.optim.SGD, {"momentum": 0.9, "weight_decay": 0.1}),
    "lion": (Lion, {"betas": (0.8, 0.95), "weight_decay": 0.1}),
    "adafactor": (Adafactor, {"scale_parameter": False, "relative_step": False, "weight_decay": 0.1}),
    "muon": (MuonAndAdamW, {"weight_decay": 0.1, "momentum": 0.9, "adamw": {"betas": (0.8, 0.95), "eps": 1e-6}}),
}


# Steps in which the matrix has no gradient, as an expert that no token chose.
WITHOUT_GRADIENT = {0, 1, 2, 5}


def run(factory, options, without=frozenset()):
    torch.manual_seed(7)
    start = {"proj.weight": torch.randn(3, 4), "proj.bias": torch.randn(3)}
    gradients = [{name: torch.randn_like(value) for name, value in start.items()} for _ in range(STEPS)]
    parameters = {name: torch.nn.Parameter(value.clone()) for name, value in start.items()}
    groups = [
        {"params": [parameters["proj.weight"]]},
        {"params": [parameters["proj.bias"]], "weight_decay": 0.0},
    ]
    optimizer = factory(groups, lr=1.0, **options)
    holder = torch.nn.ParameterList(parameters.values())
    averaged = AveragedModel(holder, multi_avg_fn=get_ema_multi_avg_fn(EMA_DECAY))
    norms = []
    for step in range(STEPS):
        for name, value in parameters.items():
            value.grad = gradients[step][name].clone()
        if step in without:
            parameters["proj.weight"].grad = None
            del gradients[step]["proj.weight"]
        norms.append(torch.nn.utils.clip_grad_norm_(parameters.values(), MAX_NORM).item())
        for group in optimizer.param_groups:
            group["lr"] = RATES[step % len(RATES)]
        optimizer.step()
        averaged.update_parameters(holder)
    dump = lambda tensors: {name: value.detach().tolist() for name, value in tensors.items()}
    return {"start": dump(start), "gradients": [dump(g) for g in gradients], "norms": norms, "end": dump(parameters), "ema": dump(dict(zip(start, averaged.module)))}


cases = {name: run(*case) for name, case in CASES.items()}
sparse = {name: run(*CASES[name], WITHOUT_GRADIENT) for name in ["adamw", "sgd", "adafactor"]}
fixture = {"maxNorm": MAX_NORM, "rates": RATES, "emaDecay": EMA_DECAY, "cases": cases, "sparse": sparse}
OUT.parent.mkdir(parents=True, exist_ok=True)
OUT.write_text(json.dumps(fixture) + "\n")
