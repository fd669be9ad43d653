"""Twenty training steps of tiny models in PyTorch, for packages/trainer/test/fixtures/trajectory-*.

Run: python tooling/oracle/trajectories.py   (torch, transformers; seeded)

A folder holds the first weights as a HF folder, the last ones as final.safetensors, and trajectory.json with the recipe, the
batches and what each step gave. Conventions are those of HF's Trainer: the loss of a step is the mean over all labels of its
micro-batches; gradNorm is the norm before clipping; the learning rate of step k (from 0) is the schedule at k.
"""

import copy

import torch
import vaswani
from fixture import Tensors, fixtures, write_json
from tiny import PAD, camel, new_folder, save, seeded
from torch.optim.lr_scheduler import LambdaLR
from transformers import (
    BertConfig,
    BertForMaskedLM,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    get_cosine_schedule_with_warmup,
)

STEPS, ACCUMULATION, BATCH, SEQ_LEN, VOCAB, MASK = 20, 2, 2, 8, 31, 4
RECIPE = {
    "steps": STEPS, "gradientAccumulationSteps": ACCUMULATION, "learningRate": 2e-2, "warmupSteps": 5,
    "lrSchedulerType": "cosine", "weightDecay": 0.1, "adamBeta1": 0.9, "adamBeta2": 0.95, "adamEpsilon": 1e-8, "maxGradNorm": 1.0,
}


def sequences(batch):
    """Rows that a model can learn: each id follows from the one before it, but for one in five."""
    ids = torch.randint(MASK + 1, VOCAB, (batch, SEQ_LEN))
    for column in range(1, SEQ_LEN):
        follows = torch.rand(batch) < 0.8
        ids[follows, column] = (ids[follows, column - 1] * 3 + 7) % (VOCAB - MASK - 1) + MASK + 1
    return ids


def causal_batch(index):
    """Every second micro-batch has a row padded on the right."""
    ids = sequences(BATCH)
    if index % 2 == 0:
        return {"input_ids": ids, "labels": ids.clone()}
    mask = torch.ones_like(ids)
    mask[1, SEQ_LEN - 1 - index % 3 :] = 0
    ids[mask == 0] = PAD
    return {"input_ids": ids, "attention_mask": mask, "labels": ids.masked_fill(mask == 0, -100)}


def masked_batch(index):
    batch = causal_batch(index)
    hidden = torch.rand(BATCH, SEQ_LEN) < 0.3
    hidden[:, 1] = True
    hidden &= batch["labels"] != -100
    return {
        **batch,
        "input_ids": batch["input_ids"].masked_fill(hidden, MASK),
        "labels": batch["labels"].masked_fill(~hidden, -100),
    }


def translation_batch(index):
    """The target is the source in reverse, one id up; rows of different lengths."""
    source = sequences(BATCH)
    mask = torch.ones_like(source)
    mask[1, SEQ_LEN - 1 - index % 3 :] = 0
    labels = torch.full((BATCH, SEQ_LEN + 1), -100)
    for row in range(BATCH):
        length = int(mask[row].sum())
        labels[row, :length] = (source[row, :length].flip(0) - MASK) % (VOCAB - MASK - 1) + MASK + 1
        labels[row, length] = vaswani.END
    ids = source.masked_fill(mask == 0, PAD)
    return {"input_ids": ids, "attention_mask": mask, "decoder_input_ids": vaswani.shifted(labels), "labels": labels}


def schedule_of(optimizer, recipe):
    if recipe["lrSchedulerType"] == "cosine":
        return get_cosine_schedule_with_warmup(optimizer, recipe["warmupSteps"], STEPS)
    width, warmup = recipe["lrSchedulerKwargs"]["hiddenSize"], recipe["warmupSteps"]  # the schedule of 2017, steps from 1
    return LambdaLR(optimizer, lambda step: width**-0.5 * min((step + 1) ** -0.5, (step + 1) * warmup**-1.5))


def train(model, batches, count, recipe):
    """One entry a step; count(labels) says over how many labels a batch's loss is a mean."""
    decayed = [p for p in model.parameters() if p.dim() > 1]
    others = [p for p in model.parameters() if p.dim() <= 1]
    optimizer = torch.optim.AdamW(
        [{"params": decayed, "weight_decay": recipe["weightDecay"]}, {"params": others, "weight_decay": 0.0}],
        lr=recipe["learningRate"], betas=(recipe["adamBeta1"], recipe["adamBeta2"]), eps=recipe["adamEpsilon"],
    )
    schedule = schedule_of(optimizer, recipe)
    smoothing = {"label_smoothing": recipe["labelSmoothingFactor"]} if "labelSmoothingFactor" in recipe else {}
    log = []
    for step in batches:
        total = sum(count(batch["labels"]) for batch in step)
        losses = [model(**batch, **smoothing).loss * count(batch["labels"]) / total for batch in step]
        sum(losses).backward()
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), recipe["maxGradNorm"])
        log.append({"loss": sum(losses).item(), "gradNorm": norm.item(), "learningRate": schedule.get_last_lr()[0]})
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
    return log


def trajectory(name, model, make_batch, count, seed, rename=dict, **changes):
    recipe = RECIPE | changes
    folder = new_folder(fixtures("trainer") / f"trajectory-{name}")
    save(model, folder, rename)
    torch.manual_seed(seed)
    batches = [[make_batch(step * ACCUMULATION + i) for i in range(ACCUMULATION)] for step in range(STEPS)]
    disturbed = copy.deepcopy(model)
    with torch.no_grad():
        for parameter in disturbed.parameters():
            parameter.mul_(1 + 1e-6 * torch.randn(parameter.shape))
    log = train(model, batches, count, recipe)
    losses = torch.tensor([step["loss"] for step in log])
    drift = (losses - torch.tensor([step["loss"] for step in train(disturbed, batches, count, recipe)])).abs().max()
    print(f"{name}: mean loss {losses[:5].mean():.3f} -> {losses[-5:].mean():.3f}; first weights off by 1e-6 make it differ by {drift:.0e}")
    assert losses[-5:].mean() < losses[:5].mean() - 0.1 and drift < 5e-5
    tensors = Tensors()
    for key, parameter in rename(dict(model.named_parameters())).items():
        tensors.add(key, parameter)
    tensors.write(folder / "final.safetensors")
    write_json(folder / "trajectory.json", {
        "architecture": type(model).__name__,
        "recipe": recipe,
        "batches": [[{camel(key): value.tolist() for key, value in batch.items()} for batch in step] for step in batches],
        "steps": log,
    })


SHIFTED = lambda labels: (labels[:, 1:] != -100).sum()  # a causal model predicts the next position
IN_PLACE = lambda labels: (labels != -100).sum()

if __name__ == "__main__":
    tokens = {"vocab_size": VOCAB, "pad_token_id": PAD, "bos_token_id": None, "eos_token_id": None, "initializer_range": 0.1}
    trajectory("llama", seeded(LlamaForCausalLM, LlamaConfig(
        **tokens, hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
        max_position_embeddings=32,
    ), 31), causal_batch, SHIFTED, 41)
    trajectory("gpt2", seeded(GPT2LMHeadModel, GPT2Config(
        **tokens, n_embd=16, n_inner=32, n_layer=2, n_head=2, n_positions=16, resid_pdrop=0, embd_pdrop=0, attn_pdrop=0,
    ), 32), causal_batch, SHIFTED, 42)
    tokens.pop("bos_token_id"), tokens.pop("eos_token_id")
    trajectory("bert", seeded(BertForMaskedLM, BertConfig(
        **tokens, hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2, max_position_embeddings=16,
        hidden_dropout_prob=0, attention_probs_dropout_prob=0,
    ), 33), masked_batch, IN_PLACE, 43)
    trajectory("transformer", vaswani.tiny(
        34, gain=1.0, vocab_size=VOCAB, dropout=0.0
    ), translation_batch, IN_PLACE, 44, rename=vaswani.ours, lrSchedulerType="noam", lrSchedulerKwargs={"hiddenSize": 16},
        learningRate=0.15, labelSmoothingFactor=0.1, weightDecay=0.0, adamBeta2=0.98)
