"""Every fused operation with its gradients, for packages/tensor-backend/test/fixtures/ops.safetensors and ops.json.

Run: python tooling/oracle/ops.py   (torch, transformers; seeded)
Inputs are float32; outputs and gradients are computed from them in float64 and rounded once.
A key is <number of the case>.<input>, .out.<output>, .dy.<output> or .grad.<input>.
"""

import math

import torch
import torch.nn.functional as F
from transformers.models.llama.modeling_llama import apply_rotary_pos_emb

from fixture import Tensors, fixtures, write_json

CONSTANTS = {"cos", "sin"}  # float inputs that get no gradient

tensors = Tensors()
cases = []


def case(op, name, inputs, attrs, compute, atol=1e-5, rtol=1e-4):
    """Runs compute(**inputs) -> {output name: tensor} in float64, then back from a random gradient of each float output."""
    prefix = len(cases)
    wide = {
        key: value.double().requires_grad_(key not in CONSTANTS) if value.is_floating_point() else value.long()
        for key, value in inputs.items()
    }
    outputs = compute(**wide)
    dy = {key: torch.randn(value.shape) for key, value in outputs.items() if value.requires_grad}
    # Two outputs of one case (attention with its weights) have one gradient each, both flowing back.
    differentiable = {key: value for key, value in wide.items() if value.requires_grad}
    grads = torch.autograd.grad(
        [outputs[key] for key in dy],
        list(differentiable.values()),
        [value.double() for value in dy.values()],
    ) if dy else []
    cases.append(
        {
            "op": op,
            "name": name,
            "attrs": attrs,
            "inputs": {key: tensors.add(f"{prefix}.{key}", value) for key, value in inputs.items()},
            "outputs": {key: tensors.add(f"{prefix}.out.{key}", value) for key, value in outputs.items()},
            "dy": {key: tensors.add(f"{prefix}.dy.{key}", value) for key, value in dy.items()},
            "grads": {key: tensors.add(f"{prefix}.grad.{key}", value) for key, value in zip(differentiable, grads)},
            "atol": atol,
            "rtol": rtol,
        }
    )


ACTIVATIONS = {
    "none": lambda x: x,
    "relu": F.relu,
    "gelu": F.gelu,
    "geluTanh": lambda x: F.gelu(x, approximate="tanh"),
    "silu": F.silu,
}


def linear():
    def add(name, lead, width, out, activation="none", bias=True):
        inputs = {"x": torch.randn(*lead, width), "weight": torch.randn(out, width) / math.sqrt(width)}
        if bias:
            inputs["bias"] = torch.randn(out)
        case("linear", name, inputs, {"activation": activation}, lambda x, weight, bias=None: {
            "y": ACTIVATIONS[activation](F.linear(x, weight, bias))
        })

    add("one row, one column", (1,), 1, 1)
    add("one row", (1,), 37, 19)
    add("batch of sequences", (2, 5), 17, 23)
    add("no bias", (3, 7), 16, 32, bias=False)
    add("several tiles", (27,), 66, 35)
    for activation in ACTIVATIONS:
        if activation != "none":
            add(activation, (13,), 21, 9, activation)
    add("gelu without bias", (7,), 5, 33, "gelu", bias=False)


def mat_mul():
    def add(name, a, b, transpose_a=False, transpose_b=False):
        def compute(a, b):
            return {"y": (a.mT if transpose_a else a) @ (b.mT if transpose_b else b)}

        inputs = {"a": torch.randn(a), "b": torch.randn(b)}
        case("matMul", name, inputs, {"transposeA": transpose_a, "transposeB": transpose_b}, compute)

    add("plain", (7, 13), (13, 5))
    add("transposeA", (13, 7), (13, 5), transpose_a=True)
    add("transposeB", (7, 13), (5, 13), transpose_b=True)
    add("transposeA and transposeB", (13, 7), (5, 13), True, True)
    add("row by matrix", (1, 33), (33, 18))
    add("matrix by column", (33, 18), (18, 1))
    add("outer product", (19, 1), (1, 33))
    add("inner product", (1, 67), (67, 1))
    add("several tiles", (26, 66), (66, 35))
    add("several tiles, transposeA", (33, 27), (33, 34), transpose_a=True)
    add("several tiles, transposeB", (27, 33), (34, 33), transpose_b=True)
    add("batched", (2, 3, 5, 7), (2, 3, 7, 9))
    add("batched, transposeB", (2, 3, 5, 7), (2, 3, 9, 7), transpose_b=True)
    add("batched, transposeA", (3, 7, 5), (3, 7, 9), transpose_a=True)
    add("broadcast over a batch of one", (2, 1, 5, 7), (1, 3, 7, 9))
    add("broadcast over a missing batch", (2, 3, 5, 7), (7, 9))


def norms():
    def inputs(shape, bias=None, factor=1.0):
        given = {"x": torch.randn(shape) * factor, "weight": 1 + 0.3 * torch.randn(shape[-1])}
        return given | ({"bias": torch.randn(shape[-1])} if bias else {})

    def rms(name, shape, eps=1e-6, factor=1.0, **tolerance):
        case("rmsNorm", name, inputs(shape, factor=factor), {"eps": eps}, lambda x, weight: {
            "y": F.rms_norm(x, (shape[-1],), weight, eps)
        }, **tolerance)

    def layer(name, shape, bias, eps=1e-5, factor=1.0, **tolerance):
        case("layerNorm", name, inputs(shape, bias, factor), {"eps": eps}, lambda x, weight, bias=None: {
            "y": F.layer_norm(x, (shape[-1],), weight, bias, eps)
        }, **tolerance)

    rms("one row", (1, 19))
    rms("batch of sequences", (2, 3, 33))
    rms("wide row", (3, 259))
    rms("one channel", (5, 1))
    rms("values near eps", (4, 17), eps=1e-5, factor=1e-3, atol=2e-2)
    rms("large values", (4, 17), factor=1e4)
    rms("large eps", (4, 16), eps=0.5)
    layer("one row", (1, 19), True)
    layer("batch of sequences", (2, 3, 33), True)
    layer("wide row", (3, 259), True, eps=1e-12)
    layer("no bias", (7, 21), False)
    layer("values near eps", (4, 17), True, factor=1e-3, atol=2e-2)
    layer("large values", (4, 17), False, factor=1e4)


def rotary():
    def add(name, batch, seq_len, heads, head_dim, rotary_dim=None, interleaved=False, offset=0, per_row=False):
        rotary_dim = rotary_dim or head_dim
        half = rotary_dim // 2
        rates = 10000.0 ** (-torch.arange(half).double() / half)
        positions = torch.arange(seq_len) + offset
        if per_row:
            positions = (positions + 5 * torch.arange(batch)[:, None]).flatten()
        angles = positions[:, None].double() * rates
        inputs = {"x": torch.randn(batch, seq_len, heads, head_dim)}
        tables = {"cos": angles.cos().float(), "sin": angles.sin().float()}  # [seqLen | batch * seqLen, rotaryDim / 2]

        def compute(x, cos, sin):
            cos, sin = (t.reshape(-1, seq_len, 1, half).expand(batch, -1, -1, -1) for t in (cos, sin))
            turned = x[..., :rotary_dim]
            if interleaved:
                a, b = turned[..., 0::2], turned[..., 1::2]
                turned = torch.stack([a * cos - b * sin, b * cos + a * sin], -1).flatten(-2)
            else:
                full = [torch.cat([t, t], -1).squeeze(2) for t in (cos, sin)]
                turned, _ = apply_rotary_pos_emb(turned, turned, *full, unsqueeze_dim=2)
            return {"y": torch.cat([turned, x[..., rotary_dim:]], -1)}

        case("rotary", name, inputs | tables, {"isInterleaved": interleaved, "rotaryDim": rotary_dim}, compute)

    add("half layout", 2, 5, 3, 8)
    add("half layout, odd half", 1, 7, 2, 10)
    add("half layout, wide head", 1, 3, 2, 66)
    add("half layout, one row", 1, 1, 1, 4, offset=11)
    add("half layout, partial", 2, 4, 3, 12, rotary_dim=6)
    add("half layout, positions per row of the batch", 3, 4, 2, 6, per_row=True)
    add("interleaved layout", 2, 5, 3, 8, interleaved=True)
    add("interleaved layout, partial", 2, 4, 2, 14, rotary_dim=10, interleaved=True)
    add("interleaved layout, positions per row of the batch", 2, 3, 2, 6, interleaved=True, per_row=True)


def visible_keys(s, t, is_causal, window, padding):
    position = torch.arange(s)[:, None] + t - s
    key = torch.arange(t)[None, :]
    seen = torch.ones(s, t, dtype=torch.bool)
    if is_causal:
        seen = key <= position
        if window is not None:
            seen = seen & (key > position - window)
    seen = seen[None, None]
    return seen if padding is None else seen & padding.bool()[:, None, None, :]


def attention():
    def add(name, q, k, value_dim=None, bias=None, padding=None, weights=False, **attrs):
        """q: (batch, seqLen, numHeads, headDim); k: (keyLen, numKeyValueHeads)."""
        batch, s, heads, dim = q
        t, kv_heads = k
        inputs = {
            "q": torch.randn(q),
            "k": torch.randn(batch, t, kv_heads, dim),
            "v": torch.randn(batch, t, kv_heads, value_dim or dim),
        }
        if bias is not None:
            inputs["bias"] = bias
        if padding is not None:
            inputs["keyPaddingMask"] = torch.tensor(padding)
        scale = attrs.get("scale", 1 / math.sqrt(dim))
        softcap = attrs.get("softcap")

        def compute(q, k, v, bias=None, keyPaddingMask=None):
            seen = visible_keys(s, t, attrs.get("isCausal", False), attrs.get("slidingWindow"), keyPaddingMask)
            q, k, v = (x.transpose(1, 2) for x in (q, k, v))
            k, v = (x.repeat_interleave(heads // kv_heads, dim=1) for x in (k, v))
            scores = q @ k.mT * scale
            if softcap:
                scores = softcap * torch.tanh(scores / softcap)
            if bias is not None:
                scores = scores + bias
            any_seen = (seen & (scores > -math.inf)).any(-1, keepdim=True)
            # A row that sees nothing is given zeros to keep softmax finite, then 0 as its weights.
            scores = torch.where(any_seen, scores.masked_fill(~seen, -math.inf), 0.0)
            probabilities = torch.where(any_seen, scores.softmax(-1), 0.0)
            y = probabilities @ v
            if any_seen.all() and not softcap:
                mask = torch.zeros(1, dtype=torch.double).masked_fill(~seen, -math.inf)
                mask = mask if bias is None else mask + bias
                mask = mask.expand(batch, heads, s, t)
                assert torch.allclose(y, F.scaled_dot_product_attention(q, k, v, mask, scale=scale), atol=1e-12)
            outputs = {"y": y.transpose(1, 2)}  # [batch, seqLen, numHeads, valueDim]
            return outputs | ({"weights": probabilities} if weights else {})

        case("attention", name, inputs, attrs | {"returnsWeights": weights}, compute)

    add("plain", (2, 5, 3, 8), (5, 3))
    add("one query, one key", (1, 1, 1, 4), (1, 1))
    add("odd head width", (1, 7, 2, 5), (7, 2))
    add("causal", (2, 6, 2, 8), (6, 2), isCausal=True)
    add("causal, queries at the end of longer keys", (2, 3, 2, 8), (7, 2), isCausal=True)
    add("causal, one query of a cache", (2, 1, 4, 8), (9, 2), isCausal=True)
    add("causal, more queries than keys", (1, 5, 2, 4), (3, 2), isCausal=True)
    add("grouped heads", (2, 4, 6, 5), (4, 2))
    add("one key head", (1, 5, 4, 8), (5, 1), isCausal=True)
    add("cross, values of another width", (2, 3, 2, 6), (5, 2), value_dim=9)
    add("scale", (1, 4, 2, 8), (4, 2), scale=0.7)
    add("sliding window", (1, 9, 2, 4), (9, 2), isCausal=True, slidingWindow=3)
    add("sliding window, queries at the end", (1, 4, 2, 4), (9, 1), isCausal=True, slidingWindow=5)
    add("softcap", (1, 5, 2, 8), (5, 2), isCausal=True, softcap=2.0, scale=1.0)
    add("softcap with bias", (1, 3, 2, 4), (3, 2), bias=torch.randn(1, 2, 3, 3), softcap=1.5, scale=1.0)
    add("bias of every head and row", (2, 3, 2, 4), (5, 2), bias=torch.randn(2, 2, 3, 5))
    add("bias shared by the batch", (2, 3, 2, 4), (5, 2), bias=torch.randn(1, 2, 3, 5))
    add("bias shared by the heads", (2, 3, 2, 4), (5, 2), bias=torch.randn(2, 1, 3, 5), isCausal=True)
    hiding = torch.randn(1, 1, 4, 4)
    hiding[..., [0, 1, 3], [2, 0, 1]] = -math.inf
    add("bias that hides keys", (2, 4, 2, 4), (4, 2), bias=hiding)
    add("padding on the left, causal", (2, 5, 2, 4), (5, 2), padding=[[0, 0, 1, 1, 1], [1, 1, 1, 1, 1]], isCausal=True)
    add("padding on the right", (2, 4, 2, 4), (6, 1), padding=[[1, 1, 1, 1, 0, 0], [1, 0, 0, 0, 0, 0]])
    add("all keys padded in one row of the batch", (2, 3, 2, 4), (4, 2), padding=[[0, 0, 0, 0], [0, 1, 1, 0]])
    add("weights returned", (2, 3, 4, 4), (5, 2), padding=[[0, 0, 1, 1, 1], [1, 1, 1, 1, 1]], isCausal=True, weights=True)
    add("several tiles of keys", (1, 3, 2, 6), (150, 1), isCausal=True)
    add("several tiles of queries", (1, 70, 1, 7), (70, 1), isCausal=True)
    add("several tiles, sliding window", (1, 70, 1, 6), (70, 1), isCausal=True, slidingWindow=33)
    add("large scores", (1, 4, 2, 4), (6, 2), scale=30.0)


def pointwise():
    def add(op, function, *shapes):
        for name, values in {
            "odd shape": torch.randn(3, 7, 5) * 2,
            "one value": torch.randn(1),
            "extremes": torch.tensor([0.0, -0.0, 1e-20, -1e-20, 1.0, -1.0, 6.0, -6.0, 12.0, -12.0, 90.0, -90.0, 1e4, -1e4]),
        }.items():
            case(op, name, {"x": values}, {}, lambda x: {"y": function(x)})

    for op in ("relu", "gelu", "geluTanh", "silu"):
        add(op, ACTIVATIONS[op])
    swiglu = lambda gate, up: {"y": F.silu(gate) * up}
    for name, shape in {"one row": (1, 19), "batch of sequences": (2, 3, 37), "one value": (1, 1)}.items():
        case("swiGlu", name, {"gate": torch.randn(shape) * 2, "up": torch.randn(shape)}, {}, swiglu)
    extreme = torch.tensor([[0.0, 90.0, -90.0, 12.0, -12.0, 1e4, -1e4]])
    case("swiGlu", "extremes", {"gate": extreme, "up": torch.ones(1, 7) * 1.5}, {}, swiglu)


def embedding():
    def add(name, ids, rows, width):
        inputs = {"ids": torch.tensor(ids), "weight": torch.randn(rows, width)}
        case("embedding", name, inputs, {}, lambda ids, weight: {"y": F.embedding(ids, weight)})

    add("repeated ids", [[3, 0, 3, 6], [6, 6, 1, 3]], 7, 9)
    add("one id", [0], 1, 5)
    add("one sequence", [2, 2, 2, 2, 2, 18, 0, 5, 2, 7, 11], 19, 33)


def softmaxes():
    for op, function in {"softmax": F.softmax, "logSoftmax": F.log_softmax}.items():
        for name, x in {
            "odd shape": torch.randn(2, 3, 7),
            "one row": torch.randn(1, 33) * 4,
            "one column": torch.randn(4, 1),
            "wide row": torch.randn(2, 517),
            "large values": torch.randn(3, 19) * 1000,
        }.items():
            case(op, name, {"x": x}, {"axis": -1}, lambda x: {"y": function(x, -1)})


def cross_entropy():
    def add(name, rows, vocab, labels=None, factor=1.0, **attrs):
        labels = torch.randint(vocab, (rows,)) if labels is None else torch.tensor(labels)
        inputs = {"logits": torch.randn(rows, vocab) * factor, "labels": labels}
        attrs = {"ignoreIndex": -100, "labelSmoothing": 0.0, "reduction": "mean"} | attrs

        def compute(logits, labels):
            if (labels == attrs["ignoreIndex"]).all():  # 0 / 0 in PyTorch; here nothing counts, so 0 with a gradient of 0
                return {"loss": (logits * 0).sum()}
            return {"loss": F.cross_entropy(
                logits, labels, ignore_index=attrs["ignoreIndex"],
                label_smoothing=attrs["labelSmoothing"], reduction=attrs["reduction"],
            )}

        case("crossEntropy", name, inputs, attrs, compute)

    add("plain", 5, 11)
    add("one row", 1, 7)
    add("one word", 3, 1)
    add("wide vocabulary", 4, 523)
    add("ignored labels", 6, 13, labels=[-100, 3, 0, -100, 12, 3])
    add("all labels ignored", 3, 5, labels=[-100, -100, -100])
    add("another ignoreIndex", 4, 9, labels=[0, 3, 0, 8], ignoreIndex=0)
    add("label smoothing", 5, 11, labelSmoothing=0.1)
    add("label smoothing, ignored labels", 6, 13, labels=[-100, 3, 0, -100, 12, 3], labelSmoothing=0.1)
    add("sum", 5, 11, labels=[1, -100, 10, 4, 0], reduction="sum")
    add("large logits", 4, 17, factor=200.0)


SHAPES = [(5, 7), (7,), (3, 1), (1, 19), (2, 3, 4)]


def optimizer(op, name, make, attrs, states, steps=3):
    """Inputs param<i> and grad<i>.step<n>; outputs param<i> and the optimizer's state after the last step."""
    start = [torch.randn(shape) for shape in SHAPES]
    gradients = [[torch.randn(shape) * 10.0 ** (1 - i) for i, shape in enumerate(SHAPES)] for _ in range(steps)]
    parameters = [torch.nn.Parameter(value.double()) for value in start]
    update = make(parameters)
    for step in gradients:
        for parameter, gradient in zip(parameters, step):
            parameter.grad = gradient.double()
        update.step()
    inputs, outputs = {}, {}
    for i, parameter in enumerate(parameters):
        inputs[f"param{i}"] = start[i]
        outputs[f"param{i}"] = parameter
        for n, step in enumerate(gradients):
            inputs[f"grad{i}.step{n + 1}"] = step[i]
        for key, ours in states.items():
            value = update.state[parameter].get(key)
            if value is not None:
                outputs[f"{ours}{i}"] = value
    prefix = len(cases)
    cases.append({
        "op": op,
        "name": name,
        "attrs": attrs | {"steps": steps},
        "inputs": {key: tensors.add(f"{prefix}.{key}", value) for key, value in inputs.items()},
        "outputs": {key: tensors.add(f"{prefix}.out.{key}", value) for key, value in outputs.items()},
        "dy": {},
        "grads": {},
        "atol": 1e-5,
        "rtol": 1e-4,
    })


def optimizers():
    moments = {"exp_avg": "mean", "exp_avg_sq": "meanSquare"}
    decays = [0.1, 0.0, 0.1, 0.1, 0.02]

    def adam_w(parameters, decays, **options):
        groups = [{"params": [p], "weight_decay": decay} for p, decay in zip(parameters, decays)]
        return torch.optim.AdamW(groups, **options)

    for name, decay, lr, betas, eps in [
        ("decay of some", decays, 1e-2, (0.9, 0.95), 1e-8),
        ("no decay, PyTorch's defaults", [0.0] * len(SHAPES), 1e-3, (0.9, 0.999), 1e-8),
        ("large eps", decays, 0.5, (0.5, 0.9), 0.1),
    ]:
        attrs = {"learningRate": lr, "beta1": betas[0], "beta2": betas[1], "eps": eps, "weightDecay": decay}
        optimizer("adamW", name, lambda p: adam_w(p, decay, lr=lr, betas=betas, eps=eps), attrs, moments)

    for name, momentum, decay, nesterov in [
        ("plain", 0.0, 0.0, False),
        ("momentum", 0.9, 0.0, False),
        ("momentum and decay", 0.8, 0.1, False),
        ("nesterov", 0.9, 0.01, True),
    ]:
        attrs = {"learningRate": 0.05, "momentum": momentum, "weightDecay": decay, "isNesterov": nesterov}
        optimizer("sgd", name, lambda p: torch.optim.SGD(
            p, lr=0.05, momentum=momentum, weight_decay=decay, nesterov=nesterov
        ), attrs, {"momentum_buffer": "velocity"})

    for name, lr, decay in [("plain", 1e-2, 0.0), ("decay", 0.1, 0.1)]:
        attrs = {"learningRate": lr, "weightDecay": decay, "beta2Decay": -0.8, "eps": [None, 1e-3], "clipThreshold": 1.0}
        optimizer("adafactor", name, lambda p: torch.optim.Adafactor(p, lr=lr, weight_decay=decay), attrs, {
            "row_var": "rowVariance", "col_var": "columnVariance", "variance": "variance"
        })


def global_norm():
    for name, factor, max_norm in [("clipped", 1.0, 1.0), ("below the limit", 1e-3, 1.0), ("large gradients", 1e6, 0.5)]:
        gradients = [torch.randn(shape) * factor for shape in SHAPES]
        parameters = [torch.nn.Parameter(torch.zeros(shape, dtype=torch.double)) for shape in SHAPES]
        for parameter, gradient in zip(parameters, gradients):
            parameter.grad = gradient.double()
        norm = torch.nn.utils.clip_grad_norm_(parameters, max_norm)
        prefix = len(cases)
        outputs = {"norm": norm} | {f"grad{i}": p.grad for i, p in enumerate(parameters)}
        cases.append({
            "op": "globalNorm",
            "name": name,
            "attrs": {"maxNorm": max_norm},
            "inputs": {f"grad{i}": tensors.add(f"{prefix}.grad{i}", g) for i, g in enumerate(gradients)},
            "outputs": {key: tensors.add(f"{prefix}.out.{key}", value) for key, value in outputs.items()},
            "dy": {},
            "grads": {},
            "atol": 1e-6,
            "rtol": 1e-5,
        })


GROUPS = [
    linear, mat_mul, norms, rotary, attention, pointwise, embedding, softmaxes, cross_entropy, optimizers, global_norm,
]

if __name__ == "__main__":
    for index, group in enumerate(GROUPS):
        torch.manual_seed(100 + index)  # a group may grow without changing the others
        group()
    for entry in cases:
        for key in [*entry["outputs"].values(), *entry["grads"].values()]:
            assert not tensors.held[key].isnan().any(), key
    folder = fixtures("tensor-backend")
    tensors.write(folder / "ops.safetensors")
    write_json(folder / "ops.json", {"cases": cases})
