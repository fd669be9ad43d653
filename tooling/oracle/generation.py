"""Scores that transformers' logits processors give, for packages/transformer/test/generation.

Run: python tooling/oracle/generation.py
"""

import json

import torch
from fixture import fixtures
from transformers.generation import logits_process as hf

VOCAB = 12
torch.manual_seed(3)
PROMPT = [1, 2, 3, 1, 2]
SCORES = torch.randn(4, VOCAB) * 2
EOS = torch.tensor([0])

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
    "typical": (hf.TypicalLogitsWarper(0.7), [0.7]),
}

ids = torch.tensor([PROMPT] * len(SCORES))
written = {}
for name, (processor, arguments) in CASES.items():
    scores = processor(ids, SCORES.clone())
    rows = [[None if value == float("-inf") else value for value in row] for row in scores.tolist()]
    written[name] = {"arguments": arguments, "scores": rows}

path = fixtures("transformer") / "logits-processors.json"
path.write_text(json.dumps({"ids": PROMPT, "scores": SCORES.tolist(), "cases": written}) + "\n")
