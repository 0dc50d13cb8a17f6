#!/usr/bin/env python3
"""Writes vectors.json: how an audit draws, built a second time.

It shares nothing with the Go code but docs/formats/audit.md. Run it as

    python3 vectors.py > vectors.json
"""

import hashlib
import json
import sys
from decimal import Decimal, getcontext

getcontext().prec = 400
CHUNK = 1 << 20


def draws_for(altered, confidence):
    same, limit = 1 - Decimal(altered), 1 - Decimal(confidence)
    if same >= limit:
        k = max(1, int(limit.ln() / same.ln()) - 2)
    else:
        k = 1
    while same**k > limit:
        k += 1
    return k


def positions(seed, total, n):
    out, i = [], 0
    limit = (1 << 64) // total * total
    while len(out) < n:
        x = int.from_bytes(hashlib.sha256(b"stele audit draw v1\n" + seed + i.to_bytes(8, "big")).digest()[:8], "big")
        if x < limit:
            out.append(x % total)
        i += 1
    return out


def chunks_of(files):
    at = 0
    for path, size in files:
        for start in range(0, size, CHUNK):
            end = min(start + CHUNK, size)
            yield path, start, end, at + start, at + end
        at += size


def plan(files, seed, n):
    total = sum(size for _, size in files)
    every = list(chunks_of(files))
    drawn = positions(seed, total, n) if total else []
    if n >= len(every):
        return total, True, [c[:3] for c in every]
    return total, False, [c[:3] for c in every if any(c[3] <= p < c[4] for p in drawn)]


def seed(i):
    return hashlib.sha256(b"seed %d" % i).digest()


odds = [
    (a, c, draws_for(a, c))
    for a in ["0.5", "0.1", "0.05", "0.01", "0.005", "0.001", "0.0001", "0.000001", "0.999999999", "0.123456789"]
    for c in ["0.5", "0.75", "0.875", "0.95", "0.99", "0.999", "0.999999999"]
] + [("0.1", "0.19", draws_for("0.1", "0.19")), ("0.1", "0.190000001", draws_for("0.1", "0.190000001")),
     ("0.1", "0.271", draws_for("0.1", "0.271")), ("0.005", "0.009975", draws_for("0.005", "0.009975")),
     ("0.000000001", "0.999999999", draws_for("0.000000001", "0.999999999"))]

# Shares where 1 − (1 − altered)^k is exactly the confidence.
for a in ["0.1", "0.2", "0.3", "0.4", "0.6", "0.7", "0.8", "0.9", "0.01", "0.33", "0.005", "0.123"]:
    for k in range(1, 10):
        with_k = 1 - (1 - Decimal(a)) ** k
        if -with_k.normalize().as_tuple().exponent <= 9:
            odds.append((a, str(with_k.normalize()), k))
            assert draws_for(*odds[-1][:2]) == k

trees = {
    "example": [("daily/01.csv", 400000), ("daily/02.csv", 600000), ("weights.bin", 5 * CHUNK + 17)],
    "one small file": [("a", 10)],
    "one large file": [("large.bin", 40 * CHUNK + 17)],
    "mixed": [("a/0", 0), ("a/1", 1), ("a/2", CHUNK - 1), ("a/3", CHUNK), ("a/4", CHUNK + 1), ("b", 5 * CHUNK + 17), ("c", 0), ("d", 100), ("e", 2 * CHUNK)],
    "many small files and a large one": [("f%04d" % i, 1000 + i) for i in range(300)] + [("large.bin", 9 * CHUNK)],
    "empty files": [("a", 0), ("b", 0)],
    "nothing": [],
}

plans = []
for name, files in trees.items():
    for n in (5,) if name == "example" else (1, 3, 20, 200):
        s = bytes(range(32)) if name == "example" else seed(len(plans))
        total, everything, drawn = plan(files, s, n)
        plans.append({"tree": name, "seed": s.hex(), "draws": n, "bytes": total, "all": everything,
                      "chunks": [{"path": p, "start": a, "end": b} for p, a, b in drawn]})

json.dump({
    "draws": [{"altered": a, "confidence": c, "draws": k} for a, c, k in odds],
    "positions": [{"seed": s.hex(), "total": str(t), "positions": [str(p) for p in positions(s, t, n)]} for s, t, n in [
        (bytes(32), 1, 3), (bytes(32), 10, 8), (bytes(range(32)), 6242897, 5), (bytes(range(32)), 10995116277760, 8), (seed(1), (1 << 63) + 1, 8), (seed(2), (1 << 64) - 1, 4), (seed(3), 1 << 63, 4)]],
    "trees": [{"name": name, "files": [{"path": p, "size": s} for p, s in files]} for name, files in trees.items()],
    "plans": plans,
}, sys.stdout, indent=1)
print()
