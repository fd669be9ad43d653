"""Makes packages/tokenizer/test/fixtures/real-*.json.gz: what HF gives for other people's tokenizer files.

Run at the repository root: python tooling/oracle/real_tokenizers.py --data FOLDER
FOLDER holds the files, in the folders named below.
"""

import argparse
import gzip
import os

os.environ["HF_HUB_OFFLINE"] = "1"

from tokenizers import AddedToken, Tokenizer
from transformers import BertTokenizer, GPT2Tokenizer, RobertaTokenizer

from hf_tokenizer_texts import torture_strings
from hf_tokenizers import cases, write

FILES = [
    "Patrick-ring-motive+distilgpt2/tokenizerjson.gz",
    "opensearch-project+ml-commons/bert-base-uncased.tokenizer.json",
    "pytorch+torchtune/tiny_bpe_tokenizer.json",
    "pytorch+torchtune/tokenizer.json",
    "pytorch+torchtune/tokenizer_gemma_cropped.json",
]
BERT = {
    "microsoft+BlingFire/bert_base_cased_tok/vocab.txt": False,
    "microsoft+BlingFire/bert_chinese/vocab.txt": True,
    "microsoft+BlingFire/bert_multi_cased/vocab.txt": False,
    "opensearch-project+ml-commons/bert-base-uncased.vocab.txt": True,
}
BYTE_LEVEL = {
    "microsoft+BlingFire/gpt2": (GPT2Tokenizer, "vocab.json", "merges.txt"),
    "graykode+gpt-2-Pytorch": (GPT2Tokenizer, "encoder.json", "vocab.bpe"),
    "microsoft+BlingFire/roberta": (RobertaTokenizer, "vocab.json", "merges.txt"),
}


def read(path):
    with (gzip.open if path.endswith("gz") else open)(path, "rt", encoding="utf-8") as f:
        return f.read()


def ids(tokenizer):
    return [{"text": text, "ids": tokenizer(text)["input_ids"]} for text in torture_strings()]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", required=True)
    at = lambda path: os.path.join(parser.parse_args().data, path)
    whole = {}
    for path in FILES:
        whole[path] = list(cases(Tokenizer.from_str(read(at(path))), torture_strings()))
    write("real-tokenizers", whole)
    vocabularies = {}
    for path, lowercase in BERT.items():
        vocabularies[path] = ids(BertTokenizer(vocab=at(path), do_lower_case=lowercase))
    for folder, (make, vocab, merges) in BYTE_LEVEL.items():
        mask = {"mask_token": AddedToken("<mask>", lstrip=True)} if make is RobertaTokenizer else {}
        vocabularies[f"{folder}/{vocab}"] = ids(make(vocab=at(f"{folder}/{vocab}"), merges=at(f"{folder}/{merges}"), **mask))
    write("real-vocabularies", vocabularies)


if __name__ == "__main__":
    main()
