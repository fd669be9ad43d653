"""What transformers' generation does, for packages/transformer/test/generation: logits-processors.json (the scores each processor
gives), generation.json (ids and scores of `generate` with each setting, on the tiny models beside it), stop-strings.json.

Run: python tooling/oracle/generation.py   (after gpt2_tiny.py and seq2seq_tiny.py, whose models it reads)
"""

import json

import torch
from fixture import fixtures, write_json
from tiny import PAD, generation_case, left_padded
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM, PreTrainedTokenizerFast, StopStringCriteria
from transformers.generation import logits_process as hf

VOCAB = 12
torch.manual_seed(3)
PROMPT = [1, 2, 3, 1, 2]
SCORES = torch.randn(4, VOCAB) * 2
EOS = torch.tensor([0])
BIASES = [[[7], -1.5], [[1, 2, 5], 4.0], [[2, 2], 9.0]]
SOURCE = [[4, 1, 2, 6, 1, 2, 9]]
SOURCES = torch.tensor(SOURCE * 4)

CASES = {
    "repetitionPenalty": (hf.RepetitionPenaltyLogitsProcessor(1.7), [1.7]),
    "noRepeatNgram": (hf.NoRepeatNGramLogitsProcessor(3), [3]),
    "noRepeatUnigram": (hf.NoRepeatNGramLogitsProcessor(1), [1]),
    "noBadWords": (hf.NoBadWordsLogitsProcessor([[7], [1, 2, 5], [2, 2], [0]], EOS), [[[7], [1, 2, 5], [2, 2], [0]], [0]]),
    "minLength": (hf.MinLengthLogitsProcessor(6, EOS), [6, [0]]),
    "minLengthReached": (hf.MinLengthLogitsProcessor(5, EOS), [5, [0]]),
    "forcedToken": (hf.ForcedEOSTokenLogitsProcessor(6, 4), [[4], 5]),
    "suppressTokens": (hf.SuppressTokensLogitsProcessor([3, 8]), [[3, 8]]),
    "suppressTokensAtBegin": (hf.SuppressTokensAtBeginLogitsProcessor([3, 8], 5), [[3, 8], 5]),
    "temperature": (hf.TemperatureLogitsWarper(0.6), [0.6]),
    "topK": (hf.TopKLogitsWarper(4), [4]),
    "topKAll": (hf.TopKLogitsWarper(50), [50]),
    "topP": (hf.TopPLogitsWarper(0.8), [0.8]),
    "topPNarrow": (hf.TopPLogitsWarper(0.05), [0.05]),
    "minP": (hf.MinPLogitsWarper(0.2), [0.2]),
    "minPKeepsThree": (hf.MinPLogitsWarper(0.9, min_tokens_to_keep=3), [0.9, 3]),
    "typical": (hf.TypicalLogitsWarper(0.7), [0.7]),
    "epsilon": (hf.EpsilonLogitsWarper(0.06), [0.06]),
    "epsilonKeepsThree": (hf.EpsilonLogitsWarper(0.9, min_tokens_to_keep=3), [0.9, 3]),
    "eta": (hf.EtaLogitsWarper(0.2), [0.2]),
    "sequenceBias": (hf.SequenceBiasLogitsProcessor(BIASES), [BIASES]),
    "encoderRepetitionPenalty": (hf.EncoderRepetitionPenaltyLogitsProcessor(1.7, SOURCES), [1.7, SOURCE]),
    "encoderNoRepeatNgram": (hf.EncoderNoRepeatNGramLogitsProcessor(3, SOURCES), [3, SOURCE]),
    "exponentialDecay": (hf.ExponentialDecayLengthPenalty((2, 1.4), EOS, 1), [3, 1.4, [0]]),
    "prefixConstrained": (hf.PrefixConstrainedLogitsProcessor(lambda batch, ids: [2, 5], 1), [[2, 5]]),
    "logitNormalization": (hf.LogitNormalization(), []),
}

ids = torch.tensor([PROMPT] * len(SCORES))
written = {}
for name, (processor, arguments) in CASES.items():
    scores = processor(ids, SCORES.clone())
    rows = [[None if value == float("-inf") else value for value in row] for row in scores.tolist()]
    written[name] = {"arguments": arguments, "scores": rows}

FOLDER = fixtures("transformer")
(FOLDER / "logits-processors.json").write_text(json.dumps({"ids": PROMPT, "scores": SCORES.tolist(), "cases": written}) + "\n")


def rounded(value):
    if isinstance(value, list):
        return [rounded(item) for item in value]
    return None if value == float("-inf") else round(value, 5)


def ids_case(model, name, inputs, options):
    case = generation_case(model, name, inputs, options)
    if "scores" in case:
        case["sequencesScores"] = case.pop("scores")
    return case


@torch.no_grad()
def output_case(model, name, inputs, options):
    """A generation with everything it can tell; scores of the first row or beam only."""
    case = generation_case(model, name, inputs, options)
    found = model.generate(
        **inputs, **{"do_sample": False, **options}, return_dict_in_generate=True, output_scores=True, output_logits=True
    )
    indices = getattr(found, "beam_indices", None)
    case["scores"] = [rounded(step[0].tolist()) for step in found.scores]
    case["logits"] = [rounded(step[0].tolist()) for step in found.logits]
    if indices is not None:
        case["sequencesScores"] = rounded(found.sequences_scores.tolist())
        case["beamIndices"] = indices.tolist()
    for key, normalized in (("transitionScores", False), ("normalizedScores", True)):
        scores = model.compute_transition_scores(found.sequences, found.scores, indices, normalize_logits=normalized)
        case[key] = rounded(scores.tolist())
    return case


def with_assistant(case, folder):
    return {**case, "assistant": folder}


def gpt2_cases():
    model = AutoModelForCausalLM.from_pretrained(FOLDER / "gpt2-tiny/lm", attn_implementation="eager").eval()
    torch.manual_seed(7)
    ids = torch.randint(PAD + 1, model.config.vocab_size, (2, 6))
    plain, padded, one = {"input_ids": ids}, left_padded(ids, (0, 3)), {"input_ids": ids[:1]}
    greedy = model.generate(**plain, do_sample=False, max_new_tokens=16)[:, 6:].tolist()
    end, other = greedy[0][5], greedy[1][2]
    beams = {"num_beams": 3, "max_new_tokens": 8}
    ended = {**beams, "num_return_sequences": 3, "eos_token_id": [end, other]}
    cases = [
        ids_case(model, "padding without a mask", {"input_ids": padded["input_ids"]}, {"max_new_tokens": 10}),
        ids_case(model, "several ends", plain, {"max_new_tokens": 16, "eos_token_id": [end, other]}),
        ids_case(model, "repetition penalty", plain, {"max_new_tokens": 16, "repetition_penalty": 1.8}),
        ids_case(model, "no repeated n-gram", plain, {"max_new_tokens": 16, "no_repeat_ngram_size": 2}),
        ids_case(model, "sequence bias", plain, {
            "max_new_tokens": 12, "sequence_bias": [[[greedy[0][1]], -50.0], [greedy[1][3:5], -50.0]],
        }),
        ids_case(model, "bad words", plain, {"max_new_tokens": 12, "bad_words_ids": [[greedy[0][0]], greedy[1][1:3]]}),
        ids_case(model, "suppressed tokens", plain, {
            "max_new_tokens": 12, "suppress_tokens": [greedy[0][2]], "begin_suppress_tokens": [greedy[1][0]],
        }),
        ids_case(model, "forced end", plain, {"max_new_tokens": 6, "forced_eos_token_id": [20, 30]}),
        ids_case(model, "least length", plain, {"max_new_tokens": 16, "min_new_tokens": 9, "eos_token_id": [end, other]}),
        ids_case(model, "an end that becomes likelier", plain, {
            "max_new_tokens": 20, "eos_token_id": [44], "exponential_decay_length_penalty": (3, 2.5),
        }),
        ids_case(model, "many settings at once", padded, {
            "max_new_tokens": 20, "repetition_penalty": 1.3, "no_repeat_ngram_size": 3, "bad_words_ids": [[greedy[0][0]]],
            "min_new_tokens": 4, "suppress_tokens": [11], "eos_token_id": [end, other], "renormalize_logits": True,
        }),
        output_case(model, "outputs of greedy", padded, {"max_new_tokens": 3, "repetition_penalty": 1.5}),
        output_case(model, "outputs of beams", padded, {**beams, "max_new_tokens": 3, "num_return_sequences": 2}),
    ]
    for early in (True, False, "never"):
        for length_penalty in (-1.0, 0.0, 2.0):
            options = {**ended, "early_stopping": early, "length_penalty": length_penalty}
            case = output_case(model, f"beams, early stopping {early}, length penalty {length_penalty}", padded, options)
            cases.append({key: value for key, value in case.items() if key not in ("scores", "logits")})
    assistant = AutoModelForCausalLM.from_pretrained(FOLDER / "gpt2-tiny/lm-varied", attn_implementation="eager").eval()
    for name, options in {
        "assistant": {}, "assistant, an end": {"eos_token_id": [end]}, "assistant, penalty": {"repetition_penalty": 1.4},
    }.items():
        options = {"max_new_tokens": 20, **options}
        case = ids_case(model, name, one, options)
        again = model.generate(**one, do_sample=False, **options, assistant_model=assistant)
        assert again.tolist() == case["ids"], name
        cases.append(with_assistant(case, "gpt2-tiny/lm-varied"))
    looked_up = {"input_ids": torch.cat([ids[:1], ids[:1, :4]], 1)}
    cases.append(ids_case(model, "prompt look-up", looked_up, {"max_new_tokens": 16, "prompt_lookup_num_tokens": 4}))
    return {"model": "gpt2-tiny/lm", "cases": cases}


def seq2seq_cases(folder):
    model = AutoModelForSeq2SeqLM.from_pretrained(FOLDER / folder, attn_implementation="eager").eval()
    torch.manual_seed(8)
    ids = torch.randint(PAD + 1, model.config.vocab_size, (2, 7))
    ids[1, 5:] = model.config.pad_token_id
    plain = {"input_ids": ids}
    length = {"max_new_tokens": 10}
    end = model.generate(**plain, **length, do_sample=False, forced_bos_token_id=9)[0, 4].item()
    return {"model": folder, "cases": [
        ids_case(model, "padding without a mask", plain, length),
        ids_case(model, "n-grams of the source", plain, {**length, "encoder_no_repeat_ngram_size": 1}),
        ids_case(model, "tokens of the source", plain, {**length, "encoder_repetition_penalty": 3.0}),
        ids_case(model, "a forced first token", plain, {**length, "forced_bos_token_id": 9}),
        ids_case(model, "a forced first token, beams", plain, {
            **length, "forced_bos_token_id": 9, "num_beams": 3, "encoder_no_repeat_ngram_size": 2, "num_return_sequences": 2,
        }),
        with_assistant(ids_case(model, "assistant", {"input_ids": ids[:1]}, length), folder),
        ids_case(model, "a forced first token, beams that stop early", plain, {
            **length, "forced_bos_token_id": 9, "num_beams": 4, "early_stopping": True, "length_penalty": 2.0,
            "eos_token_id": [0, end],
        }),
    ]}


write_json(FOLDER / "generation.json", [gpt2_cases(), seq2seq_cases("bart-tiny"), seq2seq_cases("t5-tiny/gated")])

TEXTS = [
    "The stop of all stops stopped; he said: stop!", "naïve café, 東京 and 東方 🙂🙃 end\n\nHuman: hello", "aaaa baab abab aaab",
]
STOPS = [["stop"], ["stopped"], [" he", "!"], ["京", "\n\nHuman:"], ["🙂"], ["aab"], ["x", "d:"], ["abab", "é,"]]


def stop_tokenizers():
    lines = TEXTS + ["stop the ops", "top said", "東 京 🙂", "abcdef"]  # the last one is what transformers decodes tokens after
    byte_level = Tokenizer(models.BPE())
    byte_level.pre_tokenizer, byte_level.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    byte_level.train_from_iterator(lines, trainers.BpeTrainer(
        vocab_size=300, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), special_tokens=["<|end|>"], show_progress=False,
    ))
    spaced = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True))
    spaced.pre_tokenizer = pre_tokenizers.Metaspace()
    spaced.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    spaced.train_from_iterator(lines[:1] + lines[2:5] + lines[6:], trainers.BpeTrainer(
        vocab_size=330, special_tokens=["<unk>", *(f"<0x{byte:02X}>" for byte in range(256))], show_progress=False,
    ))
    pieces = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    pieces.pre_tokenizer, pieces.decoder = pre_tokenizers.BertPreTokenizer(), decoders.WordPiece(cleanup=False)
    pieces.train_from_iterator(lines, trainers.WordPieceTrainer(vocab_size=90, special_tokens=["[UNK]"], show_progress=False))
    return {"byteLevel": byte_level, "byteFallback": spaced, "wordPiece": pieces}


def stop_cases(tokenizer):
    """Whether each text stops after each of its tokens."""
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer)
    for stops in STOPS:
        try:
            criterion = StopStringCriteria(fast, stops)
        except ValueError:  # no token can be part of these texts
            continue
        for text in TEXTS:
            ids = fast(text, add_special_tokens=False)["input_ids"]
            done = [bool(criterion(torch.tensor([ids[: i + 1]]), None)[0]) for i in range(len(ids))]
            yield {"stopStrings": stops, "ids": ids, "stopsAt": [i for i, stop in enumerate(done) if stop]}


write_json(FOLDER / "stop-strings.json", [
    {"name": name, "tokenizer": json.loads(tokenizer.to_str()), "cases": list(stop_cases(tokenizer))}
    for name, tokenizer in stop_tokenizers().items()
])
