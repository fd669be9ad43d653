"""Makes packages/tokenizer/test/fixtures/gguf-vocabulary.json.gz: a GGUF file without tensors, by the gguf package.

Run at the repository root, after sentencepiece_models.py: python tooling/oracle/gguf_vocabulary.py
It holds the small `bpe-llama` of sentencepiece.json.gz and one value of each type.
"""

import base64
import gzip
import json
import os
import tempfile

import gguf
from sentencepiece import sentencepiece_model_pb2

from hf_tokenizers import OUT, write


def main():
    with gzip.open(f"{OUT}/sentencepiece.json.gz", "rt", encoding="utf-8") as f:
        data = base64.b64decode(json.load(f)["bpe-llama"]["model"])
    pieces = sentencepiece_model_pb2.ModelProto.FromString(data).pieces
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "vocabulary.gguf")
        writer = gguf.GGUFWriter(path, "llama")
        writer.add_context_length(2048)
        writer.add_tokenizer_model("llama")
        writer.add_token_list([piece.piece for piece in pieces])
        writer.add_token_scores([piece.score for piece in pieces])
        writer.add_token_types([piece.type for piece in pieces])
        writer.add_bos_token_id(1)
        writer.add_eos_token_id(2)
        writer.add_unk_token_id(0)
        writer.add_add_bos_token(False)
        writer.add_chat_template("{{ messages[0].content }}")
        for name in ("uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64"):
            getattr(writer, f"add_{name}")(f"test.{name}", 5 if name.startswith("u") else -5)
        writer.add_float32("test.float32", 0.5)
        writer.add_float64("test.float64", 0.1)
        writer.add_bool("test.bool", True)
        writer.add_string("test.string", "\ufeffcaf\u00e9 \U0001f600")
        writer.add_array("test.array", [1, 2, 3])
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.close()
        with open(path, "rb") as f:
            write("gguf-vocabulary", base64.b64encode(f.read()).decode())


if __name__ == "__main__":
    main()
