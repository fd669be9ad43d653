"""Turns a llama2.c checkpoint (version 0) and its tokenizer into a HF folder.

Run: python tooling/oracle/llama2c_to_hf.py [MODEL.bin TOKENIZER.bin DIR]
Without arguments it makes packages/llama/test/fixtures/stories260K from ../shared/data/C beside the repository, and checks there
that transformers writes the 200 tokens which llama2.c's own test expects.

llama2.c rotates pairs (0, 1), (2, 3), ... of a head; HF rotates (i, i + headDim / 2): rows of q and k are put in HF's order.
"""

import json
import shutil
import struct
import sys
from pathlib import Path

import numpy as np
import sentencepiece
import torch
from fixture import ROOT, fixtures, write_json
from sentencepiece import sentencepiece_model_pb2 as proto
from tiny import new_folder, save
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, processors
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

SOURCES = ROOT.parent / "shared/data/C"
SPECIAL = ["<unk>", "<s>", "</s>"]


def read_checkpoint(path):
    raw = path.read_bytes()
    dim, hidden, layers, heads, kv_heads, vocab, seq_len = struct.unpack("7i", raw[:28])
    tied, vocab = vocab > 0, abs(vocab)  # a negative size announces a head of its own at the end
    numbers = np.frombuffer(raw, dtype="<f4", offset=28)
    head_dim, at = dim // heads, 0

    def take(*shape):
        nonlocal at
        size = int(np.prod(shape))
        part = torch.from_numpy(numbers[at : at + size].reshape(shape).copy())
        at += size
        return part

    def half_layout(weight, heads):  # [layers, heads * headDim, dim]
        pairs = weight.view(layers, heads, head_dim // 2, 2, dim)
        return pairs.transpose(2, 3).reshape(weight.shape)

    state = {"model.embed_tokens.weight": take(vocab, dim)}
    kv_dim = kv_heads * head_dim
    for key, stack in [
        ("input_layernorm", take(layers, dim)),
        ("self_attn.q_proj", half_layout(take(layers, dim, dim), heads)),
        ("self_attn.k_proj", half_layout(take(layers, kv_dim, dim), kv_heads)),
        ("self_attn.v_proj", take(layers, kv_dim, dim)),
        ("self_attn.o_proj", take(layers, dim, dim)),
        ("post_attention_layernorm", take(layers, dim)),
        ("mlp.gate_proj", take(layers, hidden, dim)),
        ("mlp.down_proj", take(layers, dim, hidden)),
        ("mlp.up_proj", take(layers, hidden, dim)),
    ]:
        for i in range(layers):
            state[f"model.layers.{i}.{key}.weight"] = stack[i].clone()
    state["model.norm.weight"] = take(dim)
    take(2, seq_len, head_dim // 2)  # tables of cosines and sines
    state["lm_head.weight"] = state["model.embed_tokens.weight"] if tied else take(vocab, dim)
    assert at == len(numbers), f"{path}: {len(numbers)} numbers, {at} expected"

    config = LlamaConfig(
        vocab_size=vocab, hidden_size=dim, intermediate_size=hidden, num_hidden_layers=layers, num_attention_heads=heads,
        num_key_value_heads=kv_heads, max_position_embeddings=seq_len, rms_norm_eps=1e-5, tie_word_embeddings=tied,
        bos_token_id=1, eos_token_id=2,
    )
    model = LlamaForCausalLM(config)
    model.load_state_dict(state)
    # The training text separates stories by <s>: llama2.c ends there too.
    model.generation_config = GenerationConfig(bos_token_id=1, eos_token_id=[1, 2], do_sample=False)
    return model.eval()


def read_pieces(path, count):
    """[(piece, score)], with SentencePiece's sign for a space."""
    raw, at, pieces = path.read_bytes(), 4, []
    for i in range(count):
        score, length = struct.unpack_from("fi", raw, at)
        text = raw[at + 8 : at + 8 + length].decode()
        pieces.append((SPECIAL[i] if i < 3 else text.replace(" ", "▁"), score))
        at += 8 + length
    return pieces


def make_tokenizer(pieces):
    """SentencePiece's BPE as HF has it: a piece's score is the rank of the merges that give it."""
    ids = {piece: i for i, (piece, _) in enumerate(pieces)}
    merges = []
    for piece, score in pieces[3:]:
        splits = [(piece[:cut], piece[cut:]) for cut in range(1, len(piece)) if piece[:cut] in ids and piece[cut:] in ids]
        merges += [(-score, ids[a], ids[b], a, b) for a, b in splits]
    tokenizer = Tokenizer(models.BPE(
        vocab=ids, merges=[(a, b) for *_, a, b in sorted(merges)], unk_token="<unk>", fuse_unk=True, byte_fallback=True
    ))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A <s>:1 $B:1", special_tokens=[("<s>", 1)]
    )
    tokenizer.decoder = decoders.Sequence([
        decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)
    ])
    tokenizer.add_special_tokens([AddedToken(token, normalized=False, special=True) for token in SPECIAL])
    return tokenizer


def check_against_sentencepiece(tokenizer, pieces, texts):
    model = proto.ModelProto()
    kinds = proto.ModelProto.SentencePiece
    for i, (piece, score) in enumerate(pieces):
        kind = kinds.UNKNOWN if i == 0 else kinds.CONTROL if i < 3 else kinds.BYTE if i < 259 else kinds.NORMAL
        model.pieces.add(piece=piece, score=score, type=kind)
    model.trainer_spec.model_type = proto.TrainerSpec.BPE
    model.trainer_spec.byte_fallback = True
    model.normalizer_spec.name = "identity"
    model.normalizer_spec.add_dummy_prefix = True
    model.normalizer_spec.remove_extra_whitespaces = False
    model.normalizer_spec.escape_whitespaces = True
    reference = sentencepiece.SentencePieceProcessor(model_proto=model.SerializeToString())
    for text in texts:
        assert tokenizer.encode(text, add_special_tokens=False).ids == reference.encode(text), text
    print(f"{len(texts)} texts: ids as SentencePiece's")


def convert(model_path, tokenizer_path, folder):
    model = read_checkpoint(model_path)
    pieces = read_pieces(tokenizer_path, model.config.vocab_size)
    tokenizer = make_tokenizer(pieces)
    shakespeare = (ROOT / "data").rglob("*.txt")
    texts = [line for path in shakespeare for line in path.read_text().splitlines() if line][:2000]
    check_against_sentencepiece(tokenizer, pieces, [*texts, "naïve café 東京 🙂", "two  spaces ", "a\tb\nc"])
    folder.mkdir(parents=True, exist_ok=True)
    save(model, folder)
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token="<unk>", bos_token="<s>", eos_token="</s>", model_max_length=model.config.max_position_embeddings
    ).save_pretrained(folder)
    config_path = folder / "tokenizer_config.json"
    config = json.loads(config_path.read_text()) | {"tokenizer_class": "PreTrainedTokenizerFast"}  # of transformers 4 and 5
    config_path.write_text(json.dumps(config, indent=2) + "\n")


def fixture():
    folder = new_folder(fixtures("llama") / "stories260K")
    source = SOURCES / "ytmytm+llama2.c64"
    convert(source / "stories260K.bin", source / "tok512.bin", folder)
    shutil.copyfile(SOURCES / "karpathy+llama2.c/LICENSE", folder / "LICENSE")
    text = (SOURCES / "karpathy+llama2.c/stories260K.expected_greedy_200.txt").read_text()
    model, tokenizer = AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    ids = model.generate(torch.tensor([[1]]), max_new_tokens=200, do_sample=False)[0].tolist()
    written = tokenizer.decode(ids, skip_special_tokens=True)
    assert written.strip() == text.strip(), written
    print(f"{len(ids) - 1} greedy tokens: the text of llama2.c's test")
    prompt = "Lily and Tim went to the park."
    write_json(folder / "expected.json", {
        "generation": {"inputIds": [[1]], "options": {"maxNewTokens": 200}, "ids": [ids], "text": text.strip()},
        "encodings": [
            {"text": t, "ids": tokenizer.encode(t), "decoded": tokenizer.decode(tokenizer.encode(t), skip_special_tokens=True)}
            for t in [prompt, "", " a b", "naïve café 東京 🙂", "two  spaces\nand lines\n", text.strip()]
        ],
    })


if __name__ == "__main__":
    if len(sys.argv) == 4:
        convert(*map(Path, sys.argv[1:]))
    elif len(sys.argv) != 1:
        sys.exit(__doc__)
    elif SOURCES.exists():
        fixture()
    else:
        print(f"skipped: no {SOURCES}")
