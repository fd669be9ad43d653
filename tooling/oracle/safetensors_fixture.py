"""Writes what the Python safetensors library and PyTorch make of the same tensors.

Usage: python tooling/oracle/safetensors_fixture.py (from the root of the repository)
"""

from pathlib import Path

import torch
from huggingface_hub import save_torch_state_dict
from safetensors.torch import save_file

OUT = Path("packages/tensor-backend/test/fixtures/files/safetensors")
OUT.mkdir(parents=True, exist_ok=True)
torch.manual_seed(20)

# Every exponent that float16 knows and some beyond, so that rounding, subnormals and infinities all occur.
wide = torch.randn(4, 64) * torch.exp2(torch.randint(-28, 17, (4, 64)).float())
special = torch.tensor([0.0, -0.0, float("inf"), float("-inf"), float("nan"), 2.0**-25, 2.0**-149, 65519.9, 65520.0, 1.0])
kinds = {
    "f64": wide.double() / 3,
    "f32": wide,
    "bf16": wide.bfloat16(),
    "f16": wide.half(),
    "special.f32": special,
    "special.f16": special.half(),
    "special.bf16": special.bfloat16(),
    "i64": torch.tensor([[0, 1, -1], [2**31 - 1, -(2**31), 50256]]),
    "i32": torch.tensor([2**31 - 1, -(2**31), 7], dtype=torch.int32),
    "i16": torch.tensor([-32768, 32767, -2], dtype=torch.int16),
    "i8": torch.tensor([-128, 127, -2], dtype=torch.int8),
    "u8": torch.tensor([0, 255, 128], dtype=torch.uint8),
    "u16": torch.tensor([0, 65535], dtype=torch.uint16),
    "u32": torch.tensor([0, 2**31 - 1], dtype=torch.uint32),
    "bool": torch.tensor([True, False, True]),
    "scalar": torch.tensor(3.5),
    "empty": torch.zeros(0, 3),
    "näme \"quoted\" \\ \x01 \U00010000": torch.ones(1),
    "\uffff": torch.ones(2),
    "10": torch.ones(3),
}
save_file(kinds, OUT / "kinds.safetensors", metadata={"format": "pt"})


def as_tfjs(tensor: torch.Tensor) -> torch.Tensor:
    if tensor.dtype == torch.bool or tensor.dtype == torch.float32:
        return tensor
    return tensor.float() if tensor.is_floating_point() else tensor.to(torch.int32)


save_file({name: as_tfjs(tensor) for name, tensor in kinds.items()}, OUT / "kinds-as-tfjs.safetensors")

model = {
    "model.embed_tokens.weight": torch.randn(17, 8),
    "model.layers.0.mlp.up_proj.weight": torch.randn(9, 8) * 1e-6,
    "model.layers.0.mlp.up_proj.bias": torch.randn(9),
    "model.layers.10.norm.weight": torch.ones(8),
    "model.layers.2.norm.weight": torch.ones(8),
    "position_ids": torch.arange(5, dtype=torch.int32),
    "mask": torch.tensor([True, False]),
    "lm_head.weight": torch.randn(17, 8),
}
for file, dtype in {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}.items():
    cast = {name: tensor.to(dtype) if tensor.is_floating_point() else tensor for name, tensor in model.items()}
    save_file(cast, OUT / f"model-{file}.safetensors", metadata={"format": "pt"})

sharded = OUT / "sharded"
sharded.mkdir(exist_ok=True)
save_torch_state_dict(model, sharded, max_shard_size=700, filename_pattern="model{suffix}.safetensors")
