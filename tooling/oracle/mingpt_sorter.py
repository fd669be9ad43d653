"""minGPT's sorter as a GPT-2 folder, with every intermediate value of one pass, for packages/transformer/test/fixtures/mingpt-sorter.

Run: python tooling/oracle/mingpt_sorter.py FOLDER   (of bbycroft/llm-viz, MIT: LICENSE, gpt-nano-sort-model.json, gpt-nano-sort-t0-partials.json)

minGPT keeps the weights of nn.Linear, [out, in]; GPT-2's Conv1D has them [in, out]. The values were recorded by the author of llm-viz.
"""

import base64
import json
import shutil
import sys
from pathlib import Path

import numpy
import torch
from fixture import Tensors, fixtures, write_json
from safetensors.torch import save_file

SOURCE = Path(sys.argv[1]) if len(sys.argv) == 2 else sys.exit(__doc__)
FOLDER = fixtures("transformer") / "mingpt-sorter"
FOLDER.mkdir(exist_ok=True)


def read(name):
    content = json.loads((SOURCE / name).read_text())
    config = content.pop("config")
    tensors = {}
    for key, value in content.items():
        kind = "<f4" if value["dtype"] == "torch.float32" else "<i4"
        array = numpy.frombuffer(base64.b64decode(value["data"]), kind).copy()
        tensors[key] = torch.from_numpy(array).reshape(value["shape"])
    return config, tensors


config, weights = read("gpt-nano-sort-model.json")
turned = ("c_attn.weight", "c_proj.weight", "c_fc.weight")
state = {
    key: (value.T if key.endswith(turned) else value).contiguous()
    for key, value in weights.items()
    if not key.endswith(".attn.bias")
}
save_file(state, FOLDER / "model.safetensors", metadata={"format": "pt"})
write_json(FOLDER / "config.json", {
    "model_type": "gpt2", "architectures": ["GPT2LMHeadModel"], "n_layer": config["n_layer"], "n_head": config["n_head"],
    "n_embd": config["n_embd"], "n_positions": config["block_size"], "vocab_size": config["vocab_size"],
    "activation_function": "gelu_new", "layer_norm_epsilon": 1e-5, "tie_word_embeddings": False,
    "bos_token_id": None, "eos_token_id": None,
})
_, partials = read("gpt-nano-sort-t0-partials.json")
tensors = Tensors()
for key, value in partials.items():
    tensors.add(key, value)
tensors.write(FOLDER / "partials.safetensors")
shutil.copy(SOURCE / "LICENSE", FOLDER / "LICENSE")
