"""Does the training tasks of `src/contestant.ts` with HF's Rust trainers on one thread: a line of JSON in, a line of JSON out."""

import argparse
import json
import os
import sys
import time

os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["RAYON_NUM_THREADS"] = "1"

from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


def learn(vocabulary, corpus):
    options = {"vocab_size": 16000, "min_frequency": 2, "show_progress": False}
    if vocabulary == "wordpiece":
        tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
        tokenizer.normalizer = normalizers.BertNormalizer()
        tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        trainer = trainers.WordPieceTrainer(special_tokens=SPECIAL, **options)
    else:
        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        trainer = trainers.BpeTrainer(initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), **options)
    tokenizer.train_from_iterator(corpus, trainer)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("corpus")
    with open(parser.parse_args().corpus, encoding="utf-8", newline="\n") as f:
        corpus = list(f)
    for line in sys.stdin:
        task = json.loads(line)
        seconds = []
        for _ in range(task["repeats"]):
            start = time.perf_counter()
            learn(task["vocabulary"], corpus)
            seconds.append(time.perf_counter() - start)
        print(json.dumps({"seconds": seconds}), flush=True)


if __name__ == "__main__":
    main()
