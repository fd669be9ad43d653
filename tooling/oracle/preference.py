"""Losses of DPO and of distillation with their gradients, for packages/trainer/test/fixtures/preference.json.

Run: python tooling/oracle/preference.py   (torch; seeded)

DPO is written out as in TRL's DPOTrainer: log probabilities of the answers summed over their labels, of the model less of the
reference, loss_type "sigmoid" with label_smoothing. Distillation is Hinton's, with torch's kl_div over the labelled positions.
"""

import torch
from fixture import fixtures, write_json
from torch.nn.functional import cross_entropy, kl_div, log_softmax, logsigmoid, softmax

ROWS, LENGTH, VOCABULARY = 4, 6, 11
torch.manual_seed(71)
logits = torch.randn(ROWS, LENGTH, VOCABULARY, requires_grad=True)
other = torch.randn(ROWS, LENGTH, VOCABULARY)
labels = torch.randint(0, VOCABULARY, (ROWS, LENGTH))
labels[:, :2] = -100  # the prompt
labels[1, 5] = labels[3, 4] = labels[3, 5] = -100  # padding


def log_probs(values):
    wanted = labels[:, 1:].clone()
    mask = wanted != -100
    wanted[~mask] = 0
    each = log_softmax(values[:, :-1], -1).gather(2, wanted[..., None])[..., 0]
    return (each * mask).sum(-1)


def dpo(beta, smoothing):
    ratios = log_probs(logits) - log_probs(other)
    margin = beta * (ratios[: ROWS // 2] - ratios[ROWS // 2 :])
    return (-logsigmoid(margin) * (1 - smoothing) - logsigmoid(-margin) * smoothing).mean()


def distillation(temperature, alpha, shift):
    student, teacher = (logits[:, :-1], other[:, :-1]) if shift else (logits, other)
    wanted = labels[:, 1:] if shift else labels
    mask = wanted != -100
    soft = kl_div(log_softmax(student[mask] / temperature, -1), softmax(teacher[mask] / temperature, -1), reduction="batchmean")
    return alpha * temperature**2 * soft + (1 - alpha) * cross_entropy(student[mask], wanted[mask])


def case(function, **options):
    logits.grad = None
    loss = function(**options)
    loss.backward()
    return {**options, "loss": loss.item(), "gradient": logits.grad.flatten().tolist()}


write_json(fixtures("trainer") / "preference.json", {
    "logits": logits.tolist(), "other": other.tolist(), "labels": labels.tolist(),
    "dpo": [case(dpo, beta=0.1, smoothing=0.0), case(dpo, beta=0.5, smoothing=0.1)],
    "distillation": [case(distillation, temperature=2.0, alpha=0.5, shift=1), case(distillation, temperature=1.0, alpha=1.0, shift=0)],
})
