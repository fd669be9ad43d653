"""The recipe of examples/pretrain-bert.ts by HF's Trainer; takes turns with src/pretrain-bert-worker.ts.

Run by src/pretrain-bert.ts:  python pretrain_bert.py <folder>   (torch, transformers)

The folder has the tokenizer that Heed trained, train.json (texts), eval.json (masked examples) and recipe.json. Each line on
standard input allows `turn` more steps; each turn prints its seconds, by the clock and of the processor, and its tokens, the end prints the loss on eval.json.
"""

import json
import sys
import time
from pathlib import Path

import torch
from transformers import (
    AutoTokenizer,
    BertConfig,
    BertForMaskedLM,
    DataCollatorForLanguageModeling,
    Trainer,
    TrainerCallback,
    TrainingArguments,
    set_seed,
)
from transformers.utils import logging

logging.set_verbosity_error()
folder = Path(sys.argv[1])
recipe = json.loads((folder / "recipe.json").read_text())
torch.set_num_threads(recipe["threads"])
set_seed(recipe["seed"])

tokenizer = AutoTokenizer.from_pretrained(folder)
texts = json.loads((folder / "train.json").read_text())
encoded = tokenizer(texts, truncation=True, max_length=recipe["maxLength"], return_special_tokens_mask=True)
examples = [{key: encoded[key][i] for key in ("input_ids", "special_tokens_mask")} for i in range(len(texts))]
sizes = recipe["model"]
model = BertForMaskedLM(BertConfig(
    vocab_size=len(tokenizer), max_position_embeddings=recipe["maxLength"], pad_token_id=tokenizer.pad_token_id,
    hidden_size=sizes["hiddenSize"], intermediate_size=sizes["intermediateSize"],
    num_hidden_layers=sizes["numHiddenLayers"], num_attention_heads=sizes["numAttentionHeads"],
))

collate = DataCollatorForLanguageModeling(tokenizer)
tokens = 0


def collator(rows):
    global tokens
    tokens += sum(len(row["input_ids"]) for row in rows)
    return collate(rows)


class Turns(TrainerCallback):
    """Waits for its turn, and reports it."""

    def on_train_begin(self, args, state, control, **_):
        sys.stdin.readline()
        self.begin()

    def begin(self):
        self.start, self.cpu, self.tokens = time.perf_counter(), time.process_time(), tokens

    def on_step_end(self, args, state, control, **_):
        if state.global_step % recipe["turn"]:
            return
        seconds = {"seconds": time.perf_counter() - self.start, "cpuSeconds": time.process_time() - self.cpu}
        print(json.dumps({**seconds, "tokens": tokens - self.tokens}), flush=True)
        if state.global_step < args.max_steps:
            sys.stdin.readline()
        self.begin()


args = recipe["args"]
Trainer(
    model=model,
    args=TrainingArguments(
        output_dir=str(folder / "hf"), max_steps=args["maxSteps"], per_device_train_batch_size=args["perDeviceTrainBatchSize"],
        learning_rate=args["learningRate"], warmup_steps=args["warmupRatio"], weight_decay=args["weightDecay"],
        seed=recipe["seed"], save_strategy="no", logging_strategy="no", report_to=[], use_cpu=True, disable_tqdm=True,
        remove_unused_columns=False,
    ),
    train_dataset=examples,
    data_collator=collator,
    callbacks=[Turns()],
).train()

model.eval()
loss, labels = 0.0, 0
with torch.no_grad():
    for batch in json.loads((folder / "eval.json").read_text()):
        ids, targets = torch.tensor(batch["inputIds"]), torch.tensor(batch["labels"])
        count = int((targets != -100).sum())
        mask = torch.tensor(batch["attentionMask"])
        loss += float(model(input_ids=ids, attention_mask=mask, labels=targets).loss) * count
        labels += count
print(json.dumps({"evalLoss": loss / labels}), flush=True)
