"""Runs of HF's Trainer on a tiny LLaMA, for packages/trainer/test/fixtures/trainer-runs.json.

Run: python tooling/oracle/trainer_runs.py   (torch, transformers, accelerate; seeded; after trajectories.py, whose model and batches it takes)

Each run has its arguments, by our names, and what the Trainer logged: of each step and of each evaluation; and the loss of one
more evaluation at the end, without label smoothing. The data of the
evaluations, which all runs share, is one batch, so that a mean over batches is one over labels.
"""

import json
import tempfile

import torch
from fixture import fixtures, write_json
from torch.utils.data import SequentialSampler
from trajectories import sequences
from transformers import LlamaForCausalLM, Trainer, TrainingArguments

SOURCE = fixtures("trainer") / "trajectory-llama"
SNAKE = {"inputIds": "input_ids", "attentionMask": "attention_mask", "labels": "labels"}
trajectory = json.loads((SOURCE / "trajectory.json").read_text())


def rows(batches):
    return [
        {SNAKE[key]: torch.tensor(value[row]) for key, value in batch.items()}
        for batch in batches
        for row in range(len(batch["inputIds"]))
    ]


def evaluation_batch():
    """Four rows, two of them padded."""
    torch.manual_seed(91)
    ids = torch.cat([sequences(2), sequences(2)])
    mask = torch.ones_like(ids)
    mask[1, 5:], mask[2, 3:] = 0, 0
    return {
        "inputIds": ids.masked_fill(mask == 0, 0).tolist(),
        "attentionMask": mask.tolist(),
        "labels": ids.masked_fill(mask == 0, -100).tolist(),
    }


def collate(examples):
    """Rows of a batch have the same length; some have no mask."""
    masked = [{"attention_mask": torch.ones_like(row["input_ids"]), **row} for row in examples]
    return {key: torch.stack([row[key] for row in masked]) for key in masked[0]}


class InOrder(Trainer):
    def _get_train_sampler(self, train_dataset=None):
        return SequentialSampler(self.train_dataset)


evaluation = evaluation_batch()


def run(learning_rate, max_steps, scheduler, kwargs=None, **others):
    """`others` by HF's names."""
    model = LlamaForCausalLM.from_pretrained(SOURCE)
    with tempfile.TemporaryDirectory() as folder:
        trainer = InOrder(
            model=model,
            args=TrainingArguments(
                output_dir=folder, max_steps=max_steps, learning_rate=learning_rate, lr_scheduler_type=scheduler,
                lr_scheduler_kwargs=kwargs or {}, per_device_train_batch_size=2, gradient_accumulation_steps=2,
                per_device_eval_batch_size=4, weight_decay=0.1, logging_steps=1, eval_strategy="steps", eval_steps=1,
                save_strategy="no", use_cpu=True, report_to=[], disable_tqdm=True, seed=42, **others,
            ),
            train_dataset=rows(sum(trajectory["batches"], [])),
            eval_dataset=rows([evaluation]),
            data_collator=collate,
        )
        trainer.train()
        trainer.label_smoother = None
        plain = trainer.evaluate()["eval_loss"]
    history = trainer.state.log_history
    return {
        "steps": [
            {"loss": log["loss"], "gradNorm": log["grad_norm"], "learningRate": log["learning_rate"]} for log in history if "loss" in log
        ],
        "evalLosses": [{"step": log["step"], "evalLoss": log["eval_loss"]} for log in history if "eval_loss" in log][:-1],
        "plainLoss": plain,
    }


if __name__ == "__main__":
    plateau = {"factor": 0.5, "patience": 0, "cooldown": 1, "threshold": 0.01}
    greedy = {"factor": 0.7, "patience": 0, "min_lr": 1e-3, "max_lr": 0.04}
    write_json(fixtures("trainer") / "trainer-runs.json", {
        "evaluation": evaluation,
        "runs": [
            {
                "args": {"maxSteps": 20, "learningRate": 0.04, "lrSchedulerType": "reduce_lr_on_plateau", "lrSchedulerKwargs": plateau, "evalOnStart": True},
                **run(0.04, 20, "reduce_lr_on_plateau", plateau, eval_on_start=True),
            },
            {
                "args": {"maxSteps": 20, "learningRate": 0.02, "lrSchedulerType": "greedy", "lrSchedulerKwargs": {"factor": 0.7, "patience": 0, "minLr": 1e-3, "maxLr": 0.04}},
                **run(0.02, 20, "greedy", greedy),
            },
            {
                "args": {"maxSteps": 10, "learningRate": 0.02, "labelSmoothingFactor": 0.2, "evalOnStart": True},
                **run(0.02, 10, "linear", label_smoothing_factor=0.2, eval_on_start=True),
            },
        ],
    })
