"""The encoder-decoder of 2017 computed by torch.nn.Transformer, for packages/transformer/test/fixtures/transformer-tiny.

Run: python tooling/oracle/vaswani.py   (torch, transformers; seeded)

Folders have Heed's own config.json and keys (`ours`), which are BART's where it has the part. One table of embeddings, scaled by
sqrt(d_model), serves source, target and output; positions are sin(pos / 10000^(2i / d_model)) at channel 2i and cos at 2i + 1.
torch.nn.Transformer ends each stack with a norm, also where the layers are post-norm; the paper does not, hence `final_norm`.
Generation is transformers'.
"""

import math

import torch
import torch.nn.functional as F
from fixture import fixtures
from tiny import PAD, record, seeded
from torch import nn
from transformers import GenerationMixin, PreTrainedConfig, PreTrainedModel
from transformers.modeling_outputs import BaseModelOutput, Seq2SeqLMOutput

START, END, VOCAB = 1, 2, 37
torch.backends.mha.set_fastpath_enabled(False)


class TransformerConfig(PreTrainedConfig):
    model_type = "transformer"
    attribute_map = {"num_hidden_layers": "encoder_layers", "hidden_size": "d_model"}

    vocab_size: int = VOCAB
    d_model: int = 16
    d_ff: int = 24
    encoder_layers: int = 2
    decoder_layers: int = 2
    num_attention_heads: int = 2
    activation_function: str = "relu"
    dropout: float = 0.1
    layer_norm_eps: float = 1e-5
    pre_norm: bool = False
    final_norm: bool = True
    share_embeddings: bool = True
    label_smoothing: float = 0.1
    is_encoder_decoder: bool = True


def sinusoids(length, width):
    rates = 10000.0 ** (-torch.arange(0, width, 2).double() / width)
    angles = torch.arange(length).double()[:, None] * rates
    return torch.stack([angles.sin(), angles.cos()], -1).flatten(-2).float()  # [length, width]


class WeightsOf:
    """Collects what the attentions of some modules weigh, which torch's layers do not ask for."""

    def __init__(self, modules):
        self.found, self.hooks = [], []
        for module in modules:
            self.hooks.append(module.register_forward_pre_hook(self.ask, with_kwargs=True))
            self.hooks.append(module.register_forward_hook(lambda _, __, output: self.found.append(output[1])))

    def ask(self, _, arguments, options):
        return arguments, options | {"need_weights": True, "average_attn_weights": False}

    def take(self):
        for hook in self.hooks:
            hook.remove()
        return tuple(self.found)


class Encoder:
    """A model's encoder as `generate` calls it."""

    def __init__(self, model):
        self.forward = model.encode

    def __call__(self, *arguments, **options):
        return self.forward(*arguments, **options)


class Transformer(PreTrainedModel, GenerationMixin):
    config_class = TransformerConfig
    main_input_name = "input_ids"

    def __init__(self, config):
        super().__init__(config)
        stacks = nn.Transformer(
            config.d_model, config.num_attention_heads, config.encoder_layers, config.decoder_layers, config.d_ff, config.dropout,
            config.activation_function, layer_norm_eps=config.layer_norm_eps, norm_first=config.pre_norm, batch_first=True,
        )
        self.encoder, self.decoder = stacks.encoder, stacks.decoder
        if not config.final_norm:
            self.encoder.norm = self.decoder.norm = None
        self.encoder.main_input_name = "input_ids"
        self.embedding = nn.Embedding(config.vocab_size, config.d_model)
        nn.init.normal_(self.embedding.weight, std=config.d_model**-0.5)
        self.drop = nn.Dropout(config.dropout)
        self.post_init()

    def _init_weights(self, module):
        """torch.nn.Transformer has done it."""

    def get_encoder(self, modality=None):
        return Encoder(self)

    def embed(self, ids):
        width = self.config.d_model
        return self.drop(self.embedding(ids) * math.sqrt(width) + sinusoids(ids.shape[1], width))

    def run(self, stack, x, **masks):
        """The stack's output after its norm, and its inner states: its input, then what each layer gives, the last one normed."""
        states = [x]
        hooks = [layer.register_forward_hook(lambda _, __, output: states.append(output)) for layer in stack.layers]
        y = stack(x, **masks)
        for hook in hooks:
            hook.remove()
        return y, (*states[:-1], y)

    def encode(self, input_ids=None, attention_mask=None, **_):
        padding = None if attention_mask is None else attention_mask == 0
        weights = WeightsOf(layer.self_attn for layer in self.encoder.layers)
        y, states = self.run(self.encoder, self.embed(input_ids), src_key_padding_mask=padding)
        return BaseModelOutput(last_hidden_state=y, hidden_states=states, attentions=weights.take())

    def forward(
        self, input_ids=None, attention_mask=None, decoder_input_ids=None, decoder_attention_mask=None, encoder_outputs=None,
        labels=None, label_smoothing=0.0, **_,
    ):
        encoded = encoder_outputs or self.encode(input_ids, attention_mask)
        length = decoder_input_ids.shape[1]
        own = WeightsOf(layer.self_attn for layer in self.decoder.layers)
        cross = WeightsOf(layer.multihead_attn for layer in self.decoder.layers)
        y, states = self.run(
            self.decoder, self.embed(decoder_input_ids), memory=encoded.last_hidden_state,
            tgt_mask=torch.ones(length, length, dtype=torch.bool).triu(1),
            tgt_key_padding_mask=None if decoder_attention_mask is None else decoder_attention_mask == 0,
            memory_key_padding_mask=None if attention_mask is None else attention_mask == 0,
        )
        logits = y @ self.embedding.weight.T
        loss = None
        if labels is not None:
            loss = F.cross_entropy(logits.flatten(0, 1), labels.flatten(), label_smoothing=label_smoothing)
        return Seq2SeqLMOutput(
            loss=loss, logits=logits, decoder_hidden_states=states, decoder_attentions=own.take(), cross_attentions=cross.take(),
            encoder_last_hidden_state=encoded.last_hidden_state, encoder_hidden_states=encoded.hidden_states,
            encoder_attentions=encoded.attentions,
        )

    def prepare_inputs_for_generation(self, input_ids, encoder_outputs=None, attention_mask=None, **_):
        return {"decoder_input_ids": input_ids, "encoder_outputs": encoder_outputs, "attention_mask": attention_mask}


def tiny(seed, gain=1.5, **changes):
    """Seeds and the gain of all but the embedding are chosen so that what is generated varies a little."""
    model = seeded(Transformer, TransformerConfig(
        pad_token_id=PAD, bos_token_id=START, eos_token_id=END, decoder_start_token_id=START, use_cache=False, **changes
    ), seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.dim() > 1 and name != "embedding.weight":
                parameter.mul_(gain)
    return model


NAMES = [
    ("linear1", "fc1"), ("linear2", "fc2"), ("encoder.norm", "encoder.norm"), ("embedding", "shared"),
    ("norm1", "self_attn_layer_norm"), ("norm3", "final_layer_norm"), ("multihead_attn", "encoder_attn"),
]


def ours(state):
    """Torch's state dict, or gradients of it, under Heed's keys, with queries, keys and values apart."""
    renamed = {}
    for key, value in state.items():
        norm2 = "final_layer_norm" if key.startswith("encoder") else "encoder_attn_layer_norm"
        for theirs, name in [*NAMES, ("norm2", norm2)]:
            key = key.replace(theirs, name)
        if "in_proj_" in key:
            for part, piece in zip("qkv", value.chunk(3)):
                renamed[key.replace("in_proj_", f"{part}_proj.")] = piece.contiguous()
        else:
            renamed[key] = value
    return renamed


def shifted(labels):
    """Decoder inputs: the start token, then the labels but the last; padding where labels do not count."""
    start = torch.full((labels.shape[0], 1), START)
    return torch.cat([start, labels[:, :-1].masked_fill(labels[:, :-1] == -100, PAD)], 1)


def cases():
    torch.manual_seed(9)
    ids = torch.randint(PAD + 1, VOCAB, (2, 7))
    mask = torch.tensor([[1] * 7, [1] * 4 + [0] * 3])
    source = {"input_ids": ids.masked_fill(mask == 0, PAD), "attention_mask": mask}
    labels = torch.cat([torch.randint(PAD + 1, VOCAB, (2, 4)), torch.tensor([[END], [-100]])], 1)
    labels[1, 3] = END
    target = {"decoder_input_ids": shifted(labels), "labels": labels}
    forward = [
        ("padding on the right", {**source, **target}, True),
        ("padding on the right of both sides", {**source, **target, "decoder_attention_mask": (labels != -100).long()}, False),
        ("no padding", {"input_ids": ids, "decoder_input_ids": torch.randint(PAD + 1, VOCAB, (2, 9))}, False),
    ]
    beams = {"max_new_tokens": 12, "num_beams": 4, "length_penalty": 0.6, "num_return_sequences": 2}
    return forward, [
        ("greedy", source, {"max_new_tokens": 12}),
        ("greedy, no padding", {"input_ids": ids}, {"max_new_tokens": 12}),
        ("beams", source, {"max_new_tokens": 12, "num_beams": 3}),
        ("beams, as the paper decodes", source, beams),
    ]


if __name__ == "__main__":
    for name, seed, changes in [
        ("post-norm", 23, {}),
        ("pre-norm", 21, {"pre_norm": True, "activation_function": "gelu"}),
        ("paper", 1, {"final_norm": False}),
    ]:
        forward, generation = cases()
        if name == "paper":
            forward = [(title, inputs, False) for title, inputs, _ in forward]
        record(tiny(seed, **changes), fixtures("transformer") / "transformer-tiny" / name, forward, generation, rename=ours)
