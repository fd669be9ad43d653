"""Tiny random models of transformers, and what they compute, as fixtures.

`record` writes a folder: config.json, generation_config.json and model.safetensors as `save_pretrained` does, and
expected.safetensors + expected.json:

{ architecture, atol, rtol,
  cases: [{ name, inputs: {inputIds: key, ...}, outputs: {logits: key, hiddenStates: [key, ...], ...}, grads: {parameter: key} }],
  generation: [{ name, inputs: {inputIds, attentionMask?} (the ids themselves), options, ids, scores? }] }

Inputs, outputs and options have HF's names in camelCase. Rows of padding (attentionMask is 0) mean nothing in a decoder: in
outputs they are set to 0. Generated ids are HF's: a decoder's begin with the prompt, an encoder-decoder's with the start token.
"""

import copy
import json
import shutil
import warnings
from pathlib import Path

import torch
from fixture import Tensors, write_json
from safetensors.torch import load_file, save_file
from transformers import GenerationConfig
from transformers.utils import logging

PAD = 3  # not 0: beam search of transformers 5.18 fills up with the end token where the id of padding is 0

warnings.filterwarnings("ignore")
logging.set_verbosity_error()
logging.disable_progress_bar()
torch.set_num_threads(1)  # threads cost more than they give on matrices this small


def camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(word.capitalize() for word in rest)


def seeded(model_class, config, seed=0):
    """A model in eval mode whose norms and biases are random too, so that no parameter is without effect."""
    torch.manual_seed(seed)
    model = model_class._from_config(config, attn_implementation="eager")  # the one that returns weights
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.dim() == 1:
                parameter.add_(torch.randn(parameter.shape) * 0.2)
    model.generation_config = GenerationConfig.from_model_config(config)
    return model.eval()


def camel_outputs(output):
    named = {}
    for name, value in output.items():
        if isinstance(value, torch.Tensor) and value.is_floating_point():
            named[camel(name)] = value
        elif isinstance(value, tuple) and value and isinstance(value[0], torch.Tensor):
            named[camel(name)] = list(value)
    return named


def without_padding(value, kept):
    """0 where a row belongs to padding: axis 1 of [batch, seqLen, ...], axis 2 of attentions [batch, numHeads, seqLen, keyLen]."""
    for axis in (1, 2):
        if value.dim() > axis + 1 and value.shape[0] == kept.shape[0] and value.shape[axis] == kept.shape[1]:
            shape = [kept.shape[0], *([1] * (axis - 1)), kept.shape[1], *([1] * (value.dim() - axis - 1))]
            return torch.where(kept.bool().reshape(shape), value, 0.0)
    return value


def forward_case(model, tensors, number, name, inputs, gradients, zero_padding, skip, rename):
    model.zero_grad()
    output = model(**inputs, output_hidden_states=True, output_attentions=True)
    named = {key: value for key, value in camel_outputs(output).items() if key not in skip}
    kept = inputs.get("attention_mask")
    if zero_padding and kept is not None:
        for key, value in named.items():
            named[key] = [without_padding(v, kept) for v in value] if isinstance(value, list) else without_padding(value, kept)
    outputs = {}
    for key, value in named.items():
        if isinstance(value, list):
            outputs[key] = [tensors.add(f"{number}.{key}.{i}", item) for i, item in enumerate(value)]
        else:
            outputs[key] = tensors.add(f"{number}.{key}", value)
    case = {
        "name": name,
        "inputs": {camel(key): tensors.add(f"{number}.{camel(key)}", value) for key, value in inputs.items()},
        "outputs": outputs,
    }
    if gradients:
        output.loss.backward()
        found = {key: parameter.grad for key, parameter in model.named_parameters() if parameter.grad is not None}
        case["grads"] = {key: tensors.add(f"{number}.grad.{key}", gradient) for key, gradient in rename(found).items()}
    return case


@torch.no_grad()
def generation_case(model, name, inputs, options):
    """Ids by generate; the same with weights disturbed in the fifth digit, so that no choice hangs on rounding."""
    arguments = {"do_sample": False, **options}

    def run(of):
        return of.generate(**inputs, **arguments, return_dict_in_generate=True, output_scores=True)

    found = run(model)
    for seed in range(3):
        disturbed = copy.deepcopy(model)
        torch.manual_seed(seed)
        for parameter in disturbed.parameters():
            parameter.mul_(1 + 1e-5 * torch.randn(parameter.shape))
        again = run(disturbed).sequences
        assert again.shape == found.sequences.shape and (again == found.sequences).all(), f"{name}: ids hang on rounding"
    case = {
        "name": name,
        "inputs": {camel(key): value.tolist() for key, value in inputs.items()},
        "options": {camel(key): value for key, value in options.items()},
        "ids": found.sequences.tolist(),
    }
    scores = getattr(found, "sequences_scores", None)
    if scores is not None:
        case["scores"] = [round(score, 6) for score in scores.tolist()]
    return case


def new_folder(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def save(model, folder: Path, rename=None, **options) -> None:
    model.save_pretrained(folder, **options)
    if rename:
        save_file(rename(load_file(folder / "model.safetensors")), folder / "model.safetensors", metadata={"format": "pt"})
    for path in folder.iterdir():
        path.chmod(0o644)


def record(model, folder, cases, generation=(), zero_padding=False, skip=(), atol=1e-4, rtol=1e-3, with_weights=True, rename=None):
    """cases: [(name, inputs, gradients?)]; generation: [(name, inputs, options)]; skip: outputs not kept;
    rename: state dict -> the same under other keys."""
    if with_weights:
        save(model, new_folder(folder), rename)
    tensors = Tensors()
    expected = {
        "architecture": type(model).__name__,
        "atol": atol,
        "rtol": rtol,
        "cases": [
            forward_case(model, tensors, i, name, inputs, gradients, zero_padding, skip, rename or dict)
            for i, (name, inputs, gradients) in enumerate(cases)
        ],
    }
    if generation:
        expected["generation"] = [generation_case(model, *case) for case in generation]
    tensors.write(folder / "expected.safetensors")
    write_json(folder / "expected.json", expected)


def left_padded(ids, padding):
    """inputs with `padding[i]` pad tokens before row i, which is cut at the end to keep the width."""
    ids = ids.clone()
    mask = torch.ones_like(ids)
    for row, count in enumerate(padding):
        if count:
            ids[row] = torch.cat([torch.full((count,), PAD), ids[row][:-count]])
            mask[row, :count] = 0
    return {"input_ids": ids, "attention_mask": mask}


def positions(mask):
    """As `generate` counts them: from the first token that is no padding."""
    return (mask.cumsum(-1) - 1).clamp(min=0)


def causal_labels(inputs, ignored=()):
    """The ids themselves; -100 at padding, at the first token after it (its prediction comes from padding) and at `ignored`."""
    labels = inputs["input_ids"].clone()
    mask = inputs.get("attention_mask", torch.ones_like(labels))
    labels[mask == 0] = -100
    labels[torch.arange(len(labels)), mask.argmax(-1)] = -100
    for row, column in ignored:
        labels[row, column] = -100
    return labels


def causal_cases(vocab, seq_len=7, batch=2, padding=(0, 3), seed=1):
    """Without padding (with gradients), and left-padded as it comes and with positions that count tokens only."""
    torch.manual_seed(seed)
    ids = torch.randint(PAD + 1, vocab, (batch, seq_len))
    plain = {"input_ids": ids}
    plain["labels"] = causal_labels(plain, ignored=[(0, 3)])
    padded = left_padded(ids, padding)
    padded["labels"] = causal_labels(padded)
    return [
        ("no padding", plain, True),
        ("left padding", padded, False),
        ("left padding, positions of the tokens", {**padded, "position_ids": positions(padded["attention_mask"])}, False),
    ]


def without_labels(cases):
    return [(name, {key: value for key, value in inputs.items() if key != "labels"}, False) for name, inputs, _ in cases]


def classification_cases(vocab, seed=6):
    """Three classes of a decoder, read off the last token that is no padding, wherever the padding is."""
    torch.manual_seed(seed)
    ids = torch.randint(PAD + 1, vocab, (3, 6))
    right = torch.tensor([[1] * 6, [1] * 4 + [0] * 2, [1] * 5 + [0]])
    labels = {"labels": torch.tensor([2, 0, 1])}
    return [
        ("right padding", {"input_ids": ids.masked_fill(right == 0, PAD), "attention_mask": right, **labels}, True),
        ("left padding", {**left_padded(ids, (0, 2, 3)), **labels}, False),
        ("no padding", {"input_ids": ids, **labels}, False),
    ]


def causal_generation(vocab, model, seq_len=5, batch=2, padding=(0, 2), new_tokens=20, seed=2):
    """Greedy and beam ids, with and without left padding; the last of each stops at a token that greedy reaches. No other end."""
    torch.manual_seed(seed)
    ids = torch.randint(PAD + 1, vocab, (batch, seq_len))
    plain = {"input_ids": ids}
    padded = left_padded(ids, padding)
    no_end = {"max_new_tokens": new_tokens}
    greedy = model.generate(ids, do_sample=False, **no_end)[0, seq_len:].tolist()
    end = next((token for token in greedy[3:] if token not in greedy[:3]), greedy[3])
    return [
        ("greedy", plain, no_end),
        ("greedy, left padding", padded, no_end),
        ("greedy, an end token", padded, {**no_end, "eos_token_id": end}),
        ("beams", plain, {**no_end, "num_beams": 3}),
        ("beams, left padding", padded, {**no_end, "num_beams": 3}),
        ("beams, an end token", padded, {
            **no_end, "num_beams": 3, "num_return_sequences": 2, "length_penalty": 0.5, "early_stopping": True,
            "eos_token_id": end,
        }),
    ]
