"""The texts on which HF tokenizers is asked."""

import random


def torture_strings():
    """120 texts: scripts, spaces, combining marks, emoji, markup, digits, long runs, random code points."""
    texts = [
        "", " ", "  ", "\n", "\r\n", "\t\t", " \n \t ", "a", " a", "a ", "  a  ", "hello world", "Hello World",
        "HELLO WORLD", "hello  world", "hello\nworld", "hello\r\nworld", "hello\tworld", "hello world\n\n\n",
        "To be, or not to be: that is the question.", "First Citizen:\nBefore we proceed any further, hear me speak.",
        "I'll you've we're it's he'd I'm can't DON'T I'LL", "it's 5 o'clock, isn't it?", "\u2018quoted\u2019 \u201ctext\u201d",
        "don\u2019t", "...", "!!!???", "a.b.c", "foo_bar-baz/qux", "user@example.com https://example.com/a?b=c&d=e#f",
        "1 22 333 4444 55555 666666 1234567890", "3.14159 1,000,000 $5.99 50% -7", "1st 2nd 3rd \u00bd \u00b2 \u2167 \u0665\u0666",
        "caf\u00e9", "cafe\u0301", "na\u00efve r\u00e9sum\u00e9 \u00c5ngstr\u00f6m", "\u00c9COLE", "\u0130stanbul I\u0131\u0130i", "Stra\u00dfe STRASSE \u1e9e",
        "\u039f\u03b4\u03c5\u03c3\u03c3\u03b5\u03cd\u03c2 \u039f\u0394\u03a5\u03a3\u03a3\u0395\u03a5\u03a3", "\u041f\u0440\u0438\u0432\u0435\u0442, \u043c\u0438\u0440!", "\u0633\u0644\u0627\u0645 \u062f\u0646\u06cc\u0627", "\u05e9\u05c1\u05b8\u05dc\u05d5\u05b9\u05dd \u05e2\u05d5\u05dc\u05dd", "\u0939\u0948\u0932\u094b \u0926\u0941\u0928\u093f\u092f\u093e",
        "\u0e2a\u0e27\u0e31\u0e2a\u0e14\u0e35\u0e0a\u0e32\u0e27\u0e42\u0e25\u0e01", "\u4f60\u597d\uff0c\u4e16\u754c\uff01", "\u8bdd\u8bf4\u5929\u4e0b\u5927\u52bf\uff0c\u5206\u4e45\u5fc5\u5408\uff0c\u5408\u4e45\u5fc5\u5206\u3002", "\u65e5\u672c\u8a9e\u306e\u30c6\u30ad\u30b9\u30c8\u3067\u3059\u3002", "\u30d1\u30d4\u30d7\u30da\u30dd \u306f\u3099\u3072\u3099 \uff8a\uff9f\uff8b\uff9f",
        "\uc548\ub155\ud558\uc138\uc694 \uc138\uacc4", "\u1112\u1161\u11ab\u1100\u1173\u11af", "Ti\u1ebfng Vi\u1ec7t c\u00f3 d\u1ea5u", "mixed \u4e2d\u6587 and English\u6df7\u5408", "\uff21\uff22\uff23\uff11\uff12\uff13", "\ufb01 \ufb02 \u2460 \u33a1 \u2122",
        "\U0001f600", "a\U0001f600b", "\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466", "\U0001f1e9\U0001f1ea\U0001f1eb\U0001f1f7", "\U0001f44d\U0001f3fd thumbs", "\u2764\ufe0f love", "\U0001d54f\U0001d550 math",
        "\U00020000\U0002a6d6 rare han", "\ufeffbom at start", "zero\u200bwidth\u200c\u200djoin", "soft\u00adhyphen", "nbsp\u00a0here\u202fand\u2009there", "line\u2028sep\u2029para",
        "\u0085next line", "\u3000ideographic space\u3000", "control\x00\x01\x02\x1f\x7fchars", "bell\x07back\x08", "\ufffd replacement \ufffd", "private \ue000 \U000f0000", "unassigned \u0378 \U000e0fff",
        "a\u0301\u0302\u0303\u0304 stacked", "\u0301leading mark", "q\u0323\u0307 q\u0307\u0323 order", "Z\u0351\u036b\u0343A\u0321\u034aL\u0356G\u0334O\u0321", "\u1e9b\u0323", "\u212b \u2126 \u00c5", "\u0958 \u0929 \u0931",
        "<s>", "</s>", "<unk>", "<pad> <mask>", "[CLS] hello [SEP]", "text with [MASK] inside", "  [MASK]  ", "x[MASK]y", "<|endoftext|>", "hi<|endoftext|>there", "<|endoftext|><|endoftext|>",
        "<0x0A><0xE4>", "\u2581under\u2581bar", "\u2581", "\u2581\u2581 x", "##prefix ##", "\u0120 G-dot \u010a", "</w> end", "Yesterday yesterday YESTERDAY",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "ab" * 70, "the" * 60, " " * 40, "\n" * 20 + "x", "a " * 30, "!" * 50,
        "def f(x):\n    return x ** 2  # square\n\n\nclass A:\n\tpass\n", '{"key": [1, 2.5, null], "s": "\\u00e9\\n"}', "<div class=\"a\">&amp;</div>",
        "newadded tokenword NewAdded newaddedx xnewadded new added", "stripme  lefty  righty  stripme",
    ]
    rng = random.Random(7)
    while len(texts) < 120:
        length = rng.randrange(1, 30)
        pools = [(0x20, 0x7F), (0xA0, 0x24F), (0x300, 0x5FF), (0x1E00, 0x2FFF), (0x3040, 0x30FF), (0x4E00, 0x9FFF), (0x1F300, 0x1F6FF)]
        lo, hi = rng.choice(pools)
        texts.append("".join(chr(rng.randrange(lo, hi)) if rng.random() < 0.8 else rng.choice(" \n.a") for _ in range(length)))
    return texts[:120]
