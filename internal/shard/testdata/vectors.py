#!/usr/bin/env python3
"""Writes vectors.json: shard files, built a second time.

It shares nothing with the Go code but docs/formats. The manifests are those of
the vectors of package fingerprint. Run it as

    python3 vectors.py > vectors.json
"""
import hashlib
import json
import os

HERE = os.path.dirname(os.path.abspath(__file__))
MANIFESTS = {
    (m["algorithm"], m["tree"]): m["manifest"]
    for m in json.load(open(os.path.join(HERE, "../../../fingerprint/testdata/vectors.json")))["manifests"]
    if not m.get("plainSHA256", m.get("plain", False))
}


def uvarint(n):
    out = b""
    while n >= 128:
        out += bytes([n & 127 | 128])
        n >>= 7
    return out + bytes([n])


def text(s):
    b = s.encode()
    return uvarint(len(b)) + b


def listing(paths):
    return hashlib.sha256(b"stele listing v1\n" + b"".join(map(text, paths))).digest()


def index(path, count):
    return int.from_bytes(hashlib.sha256(path.encode()).digest()[:8], "big") % count


def shard(name, i, count, paths, rules, listed, single, algorithm, tree):
    head = b"stele shard v1\n" + bytes([(1 if listed else 0) | (2 if single else 0)])
    head += i.to_bytes(4, "big") + count.to_bytes(4, "big")
    head += len(paths).to_bytes(8, "big") + listing(paths)
    head += uvarint(len(rules)) + b"".join(map(text, rules))
    head += hashlib.sha256(head).digest()
    return {
        "name": name, "index": i, "count": count, "paths": paths, "listing": listing(paths).hex(),
        "rules": rules, "listed": listed, "single": single, "algorithm": algorithm,
        "header": head.hex(), "manifest": MANIFESTS[algorithm, tree],
    }


PATHS = ["a", "b/c", "photo.jpg", "é", "日本/x", "x" * 300]
trees = sorted(t for a, t in MANIFESTS if a == "sha256")
print(json.dumps({
    "parts": [{"path": p, "count": n, "index": index(p, n)} for p in PATHS for n in (1, 2, 3, 16, 4096)],
    "shards": [
        shard("nothing", 0, 1, [], [], False, False, "sha256", trees[0]),
        shard("the third of sixteen", 2, 16, ["a", "b/c"], [".git/", "*.tmp"], False, False, "blake3", trees[-1]),
        shard("a list", 4095, 4096, PATHS[:3], [], True, False, "sha256", trees[1]),
        shard("one file", 0, 2, ["photo.jpg"], [], False, True, "sha256", trees[0]),
        shard("long rules", 0, 2, ["a"], ["r" * 1024, "ü"], False, False, "sha256", trees[0]),
    ],
}, indent=1, ensure_ascii=False))
