"""Does the products of `src/contestant.ts` with numpy's OpenBLAS: a line of JSON in, a line of JSON out."""

import json
import sys
import time

import numpy as np

prepared = {}
for line in sys.stdin:
    task = json.loads(line)
    key = json.dumps([task["kind"], task["sizes"]])
    if key not in prepared:
        m, n, k = (task["sizes"][name] for name in "mnk")
        random = np.random.default_rng(0)
        b = random.random((n, k) if task["kind"] == "transposed" else (k, n), np.float32)
        right = b.T if task["kind"] == "transposed" else b
        prepared[key] = random.random((m, k), np.float32), right, np.empty((m, n), np.float32)
    a, b, c = prepared[key]
    seconds = []
    for _ in range(task["repeats"]):
        start = time.perf_counter()
        np.matmul(a, b, out=c)
        seconds.append(time.perf_counter() - start)
    print(json.dumps({"seconds": seconds}), flush=True)
