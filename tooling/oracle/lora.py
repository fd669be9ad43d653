"""Twenty steps of low-rank adaptation of a tiny LLaMA, for packages/trainer/test/fixtures/lora-llama/.

Run: python tooling/oracle/lora.py   (torch, transformers; seeded; after trajectories.py, whose model and batches it takes)

PEFT itself is not needed: y = W x + alpha / r * B A x is written out here, and the files have PEFT's keys and config. `first/` and
`last/` hold the adapter before and after training, lora.json the recipe, what each step gave, and logits of the adapted model.
"""

import json
import math

import torch
from fixture import Tensors, fixtures, write_json
from tiny import new_folder
from transformers import LlamaForCausalLM, get_cosine_schedule_with_warmup

R, ALPHA, TARGETS = 4, 8, ["q_proj", "v_proj", "gate_proj"]
SOURCE = fixtures("trainer") / "trajectory-llama"


class Adapted(torch.nn.Module):
    def __init__(self, base):
        super().__init__()
        self.base = base.requires_grad_(False)
        self.a = torch.nn.Parameter(torch.empty(R, base.in_features))
        self.b = torch.nn.Parameter(torch.zeros(base.out_features, R))
        torch.nn.init.kaiming_uniform_(self.a, a=math.sqrt(5))

    def forward(self, x):
        return self.base(x) + x @ self.a.T @ self.b.T * (ALPHA / R)


def save(adapters, folder):
    tensors = Tensors()
    for path, layer in adapters.items():
        tensors.add(f"base_model.model.{path}.lora_A.weight", layer.a)
        tensors.add(f"base_model.model.{path}.lora_B.weight", layer.b)
    tensors.write(folder / "adapter_model.safetensors")
    write_json(folder / "adapter_config.json", {
        "base_model_name_or_path": "", "bias": "none", "fan_in_fan_out": False, "inference_mode": True,
        "init_lora_weights": True, "lora_alpha": ALPHA, "lora_dropout": 0.0, "modules_to_save": None,
        "peft_type": "LORA", "r": R, "target_modules": TARGETS, "task_type": "CAUSAL_LM", "use_rslora": False,
    })


snake = {"inputIds": "input_ids", "attentionMask": "attention_mask", "labels": "labels"}
trajectory = json.loads((SOURCE / "trajectory.json").read_text())
recipe = trajectory["recipe"]
folder = new_folder(fixtures("trainer") / "lora-llama")
model = LlamaForCausalLM.from_pretrained(SOURCE).requires_grad_(False)
torch.manual_seed(51)
adapters = {}
for path, module in list(model.named_modules()):
    if path.split(".")[-1] in TARGETS:
        adapters[path] = Adapted(module)
        model.set_submodule(path, adapters[path])
save(adapters, folder / "first")

parameters = [p for p in model.parameters() if p.requires_grad]
optimizer = torch.optim.AdamW(
    parameters, lr=recipe["learningRate"], betas=(recipe["adamBeta1"], recipe["adamBeta2"]),
    eps=recipe["adamEpsilon"], weight_decay=recipe["weightDecay"],
)
schedule = get_cosine_schedule_with_warmup(optimizer, recipe["warmupSteps"], recipe["steps"])
count = lambda batch: sum(label != -100 for row in batch["labels"] for label in row[1:])
steps = []
for step in trajectory["batches"]:
    total = sum(count(batch) for batch in step)
    losses = [
        model(**{snake[key]: torch.tensor(value) for key, value in batch.items()}).loss * count(batch) / total
        for batch in step
    ]
    sum(losses).backward()
    norm = torch.nn.utils.clip_grad_norm_(parameters, recipe["maxGradNorm"])
    steps.append({"loss": sum(losses).item(), "gradNorm": norm.item()})
    optimizer.step()
    schedule.step()
    optimizer.zero_grad()
save(adapters, folder / "last")
ids = trajectory["batches"][0][0]["inputIds"][:1]
with torch.no_grad():
    logits = model(torch.tensor(ids)).logits[0, -1]
write_json(folder / "lora.json", {"inputIds": ids, "lastLogits": logits.tolist(), "steps": steps})
