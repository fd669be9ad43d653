"""An adapter of PEFT's for a classifier whose head learns whole, for packages/trainer/test/fixtures/lora-bert/.

Run: python tooling/oracle/lora_classifier.py   (torch, transformers, peft; seeded)

The base is examples/models/countries-bert, which has neither pooler nor classifier: PEFT keeps both in the adapter
(modules_to_save). All of the adapter is drawn at random; expected.json holds logits of the adapted model.
"""

import json

import torch
from fixture import fixtures, write_json
from peft import LoraConfig, get_peft_model
from tiny import new_folder
from transformers import AutoModelForSequenceClassification

BASE = fixtures("trainer").parents[3] / "examples" / "models" / "countries-bert"
IDS = [[2, 40, 17, 9, 60, 3], [2, 5, 8, 3, 0, 0]]

folder = new_folder(fixtures("trainer") / "lora-bert")
base = AutoModelForSequenceClassification.from_pretrained(BASE, num_labels=3)
adapted = get_peft_model(base, LoraConfig(
    task_type="SEQ_CLS", r=2, lora_alpha=4, target_modules=["query", "value"],
    modules_to_save=["classifier", "bert.pooler.dense"],
)).eval()
torch.manual_seed(52)
for parameter in adapted.parameters():
    if parameter.requires_grad:
        torch.nn.init.normal_(parameter, std=0.3)
adapted.save_pretrained(folder)
(folder / "README.md").unlink(missing_ok=True)
(folder / "adapter_model.safetensors").chmod(0o644)
config = json.loads((folder / "adapter_config.json").read_text())
write_json(folder / "adapter_config.json", config | {"base_model_name_or_path": ""})
ids = torch.tensor(IDS)
with torch.no_grad():
    logits = adapted(input_ids=ids, attention_mask=(ids != 0).long()).logits
write_json(folder / "expected.json", {"inputIds": IDS, "attentionMask": (ids != 0).long().tolist(), "logits": logits.tolist()})
