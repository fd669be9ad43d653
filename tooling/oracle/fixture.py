"""What every script here shares: where fixtures go, and how tensors are written beside their list of cases."""

import json
from pathlib import Path

import torch
from safetensors.torch import save_file

ROOT = Path(__file__).parents[2]


def fixtures(package: str) -> Path:
    folder = ROOT / "packages" / package / "test" / "fixtures"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def stored(tensor: torch.Tensor) -> torch.Tensor:
    """The tensor as a fixture keeps it: F32 or I32, of its own memory."""
    kind = torch.float32 if tensor.is_floating_point() else torch.int32
    return tensor.detach().to(kind).contiguous().clone()


def write_json(path: Path, value) -> None:
    """Indented, but a list of plain numbers stays on one line."""

    def lines(value, indent):
        inner = indent + "  "
        if isinstance(value, dict) and value and len(json.dumps(value)) > 100:
            rows = [f"{inner}{json.dumps(key)}: {lines(item, inner)}" for key, item in value.items()]
            return "{\n" + ",\n".join(rows) + f"\n{indent}}}"
        if isinstance(value, list) and any(isinstance(item, (dict, list)) for item in value):
            return "[\n" + ",\n".join(inner + lines(item, inner) for item in value) + f"\n{indent}]"
        return json.dumps(value, ensure_ascii=False)

    path.write_text(lines(value, "") + "\n")


class Tensors:
    """Tensors gathered under unique keys, for one safetensors file."""

    def __init__(self):
        self.held: dict[str, torch.Tensor] = {}

    def add(self, key: str, tensor: torch.Tensor) -> str:
        assert key not in self.held, key
        self.held[key] = stored(tensor)
        return key

    def write(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file(self.held, path)
        path.chmod(0o644)
        print(f"{path.relative_to(ROOT)}: {len(self.held)} tensors, {path.stat().st_size} bytes")
