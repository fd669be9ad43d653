"""Writes GGUF files with gguf-py, and what it dequantizes and quantizes, for the readers' and writers' tests.

Usage: python tooling/oracle/gguf_fixture.py (from the root of the repository)
"""

from pathlib import Path

import gguf
import numpy as np
from gguf import GGMLQuantizationType as T
from gguf import GGUFWriter
from gguf.quants import dequantize, quantize
from safetensors.numpy import save_file

OUT = Path("packages/tensor-backend/test/fixtures/files/gguf")
OUT.mkdir(parents=True, exist_ok=True)
rng = np.random.default_rng(22)

# Where each block has its float16 scales, so that random bytes can be given finite ones.
HALVES = {
    T.Q4_0: [0],
    T.Q4_1: [0, 2],
    T.Q5_0: [0],
    T.Q5_1: [0, 2],
    T.Q8_0: [0],
    T.Q2_K: [80, 82],
    T.Q3_K: [108],
    T.Q4_K: [0, 2],
    T.Q5_K: [0, 2],
    T.Q6_K: [208],
    T.IQ4_NL: [0],
}


def random_blocks(kind: T, rows: int = 2, columns: int = 512) -> np.ndarray:
    elements, size = gguf.GGML_QUANT_SIZES[kind]
    blocks = rng.integers(0, 256, (rows * columns // elements, size), dtype=np.uint8)
    for at in HALVES[kind]:
        halves = rng.standard_normal(len(blocks)).astype(np.float16)
        blocks[:, at : at + 2] = halves.view(np.uint8).reshape(-1, 2)
    return blocks.reshape(rows, -1)


blocks = {kind.name: random_blocks(kind) for kind in HALVES}
writer = GGUFWriter(OUT / "blocks.gguf", "llama")
writer.add_uint8("test.uint8", 200)
writer.add_int8("test.int8", -100)
writer.add_uint16("test.uint16", 60000)
writer.add_int16("test.int16", -30000)
writer.add_uint32("test.uint32", 4_000_000_000)
writer.add_int32("test.int32", -2_000_000_000)
writer.add_float32("test.float32", 1e-5)
writer.add_float64("test.float64", 0.1)
writer.add_uint64("test.uint64", 2**64 - 1)
writer.add_key_value("test.int64", -5, gguf.GGUFValueType.INT64)
writer.add_bool("test.bool", True)
writer.add_string("test.string", "naïve 🤗")
writer.add_array("test.tokens", ["<s>", "▁the", ""])
writer.add_array("test.scores", [0.5, -1.0])
writer.add_array("test.integers", [1, -2, 3])
writer.add_array("test.bools", [True, False])
for name, data in blocks.items():
    writer.add_tensor(name, data, raw_dtype=T[name])
writer.add_tensor("integers", np.array([[1, -2, 3]], dtype=np.int32))
writer.write_header_to_file()
writer.write_kv_data_to_file()
writer.write_tensors_to_file()
writer.close()
save_file({name: dequantize(data, T[name]) for name, data in blocks.items()}, OUT / "blocks-dequantized.safetensors")

weights = {
    "token_embd.weight": rng.standard_normal((5, 64), dtype=np.float32),
    "blk.0.attn_norm.weight": rng.standard_normal(32, dtype=np.float32) * np.float32(1e-3),
    "mixed.weight": (rng.standard_normal((2, 3, 32)) * 10.0 ** rng.integers(-6, 4, (2, 3, 32))).astype(np.float32),
    "zeros.weight": np.zeros((1, 32), dtype=np.float32),
}
weights["mixed.weight"][0, 0] = np.arange(-16, 16) / 2  # ties in rounding
save_file(weights, OUT / "weights.safetensors")
for kind in ("F32", "F16", "BF16", "Q8_0", "Q4_0"):
    writer = GGUFWriter(OUT / f"weights-{kind.lower()}.gguf", "llama")
    writer.add_uint32("llama.block_count", 1)
    writer.add_array("tokenizer.ggml.tokens", ["a", "b"])
    writer.add_array("tokenizer.ggml.scores", [0.25, -1.5])
    for name, data in weights.items():
        writer.add_tensor(name, quantize(data, T[kind]), raw_dtype=T[kind])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
