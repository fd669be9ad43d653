"""BLEU of small corpora by sacrebleu, for packages/trainer/test/fixtures/bleu.json.

Run: python tooling/oracle/bleu.py   (sacrebleu 2.6; seed 61)
"""

import json
import random
from pathlib import Path

import sacrebleu

OUT = Path(__file__).parents[2] / "packages/trainer/test/fixtures/bleu.json"
random.seed(61)

REFERENCES = [
    "Ein Hund läuft über die grüne Wiese.",
    'Der Mann sagt: "Es kostet 3,50 Euro (ungefähr)!"',
    "Zwei Kinder spielen mit einem rot-weißen Ball, der 1.5-mal so groß ist.",
    "Am 24.12.2016 um 10:30 Uhr, im U-Bahn-Hof; 50% der Leute fehlen...",
    "AT&amp;T &lt;hier&gt; &quot;zitiert&quot; A&B, x_y@z.de/a~b [c] {d} #1 $5 ^ `q`",
    "Eine Frau, die ein Buch liest – „Faust“ – sitzt im Café\u00a0Größe.",
    "Drei.",
    "1,000,000 Menschen - 10-20 davon - sehen <skipped>zu.",
    "你好 世界 🎉 und  doppelte   Abstände\u2009hier\t. ",
]


def noisy(line):
    words = line.split(" ")
    out = []
    for word in words:
        chance = random.random()
        if chance < 0.12:
            continue
        out.append(random.choice(words) if chance < 0.24 else word)
    if random.random() < 0.3:
        random.shuffle(out)
    return " ".join(out)


many = [noisy(line) for _ in range(4) for line in REFERENCES]
CASES = {
    "the references themselves": (REFERENCES, [REFERENCES]),
    "noisy translations": (many, [REFERENCES * 4]),
    "two references for each line": (many, [REFERENCES * 4, [noisy(line) for line in REFERENCES * 4]]),
    "translations too short": ([line[: len(line) // 2] for line in REFERENCES], [REFERENCES]),
    "some orders without a match": (["der Hund die", "Ball Kinder"], [["die Katze der", "Kinder und ein Ball"]]),
    "no match": (["a b c d e"], [["v w x y z"]]),
    "shorter than an order": (["Ein Hund"], [["Ein Hund"]]),
    "an empty translation": (["", "Ein Hund läuft hier"], [["Ein Mann", "Ein Hund läuft hier"]]),
}

cases = []
for name, (translations, references) in CASES.items():
    result = sacrebleu.corpus_bleu(translations, references)
    cases.append(
        {
            "name": name,
            "translations": translations,
            "references": references,
            "score": result.score,
            "precisions": result.precisions,
            "brevityPenalty": result.bp,
            "systemLength": result.sys_len,
            "referenceLength": result.ref_len,
        }
    )
OUT.write_text("[\n" + ",\n".join(json.dumps(case, ensure_ascii=False) for case in cases) + "\n]\n")
