"""Writes checkpoints with torch.save in both of its layouts, what they hold as safetensors, and a malicious one.

Usage: python tooling/oracle/torch_pickle.py (from the root of the repository)
"""

import os
from collections import OrderedDict
from pathlib import Path

import torch
from safetensors.torch import save_file

OUT = Path("packages/tensor-backend/test/fixtures/files/torch")
OUT.mkdir(parents=True, exist_ok=True)
torch.manual_seed(21)

base = torch.randn(6, 8)
embeddings = torch.nn.Parameter(torch.randn(5, 3))
model = OrderedDict(
    {
        "whole": base,
        "transposed": base.t(),
        "columns": base[:, 1::3],
        "rows": base[2:5],
        "permuted": torch.randn(2, 3, 4).permute(2, 0, 1),
        "expanded": torch.randn(3, 1).expand(3, 4),
        "embed.weight": embeddings,
        "head.weight": embeddings,
        "half": torch.randn(4, 3).half().t(),
        "bfloat16": torch.randn(3).bfloat16(),
        "double": torch.randn(2, 2, dtype=torch.float64).t(),
        "int64": torch.tensor([[1, -2, 2**31 - 1]]).t(),
        "int8": torch.tensor([[1, -2], [3, 4]], dtype=torch.int8).t(),
        "bool": torch.tensor([True, False]),
        "uint16": torch.tensor([7, 65535], dtype=torch.uint16),
        "scalar": torch.tensor(2.5),
        "empty": torch.zeros(0, 4),
    }
)
model._metadata = OrderedDict({"": {"version": 1}})  # as torch.nn.Module.state_dict leaves it
rest = {"epoch": 3, "lr": 1e-3, "big": -(2**70), "name": "é", "none": None, "flags": [True, False], "pair": (1, -300, 70000)}
checkpoint = {"model": model, "optimizer": [{"momentum": torch.ones(2)}], "device": torch.device("cpu"), **rest}

torch.save(checkpoint, OUT / "zip.pt")
legacy = {**checkpoint, "model": OrderedDict((name, tensor) for name, tensor in model.items() if name != "uint16")}
torch.save(legacy, OUT / "legacy.bin", _use_new_zipfile_serialization=False)

contents = {f"model.{name}": tensor.detach().clone().contiguous() for name, tensor in model.items()}
save_file({**contents, "optimizer.0.momentum": torch.ones(2)}, OUT / "contents.safetensors")


class Malicious:
    def __reduce__(self):
        return os.system, ("echo this must never run",)


torch.save({"weight": Malicious()}, OUT / "malicious.pt")
