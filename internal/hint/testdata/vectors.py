#!/usr/bin/env python3
"""Writes vectors.json: marks files, built a second time.

It shares nothing with the Go code but docs/formats/marks.md. Run it as

    python3 vectors.py > vectors.json
"""
import hashlib
import json

MASK = (1 << 64) - 1


def uvarint(n):
    out = b""
    while n >= 128:
        out += bytes([n & 127 | 128])
        n >>= 7
    return out + bytes([n])


def difference(now, before):
    """The difference of two 64-bit numbers, as the nearest signed one, zigzag."""
    d = (now - before) & MASK
    return uvarint(2 * d if d < 1 << 63 else 2 * ((1 << 64) - d) - 1)


def text(s):
    b = s.encode()
    return uvarint(len(b)) + b


def marks(records, algorithm, fingerprint):
    out = b"stele marks v1\n"
    mtime = inode = device = 0
    for r in records:
        version, etag, times = r.get("version", ""), r.get("etag", ""), "mtime" in r
        out += bytes([1 | (2 if version else 0) | (4 if etag else 0) | (8 if times else 0)])
        out += uvarint(r.get("entry", 0))
        if version:
            out += text(version)
        if etag:
            out += text(etag)
        if times:
            out += difference(r["mtime"], mtime) + difference(r["ctime"], r["mtime"])
            out += difference(r["inode"], inode) + difference(r["device"], device)
            mtime, inode, device = r["mtime"], r["inode"], r["device"]
    out += b"\0" + len(records).to_bytes(8, "big")
    out += bytes([{"sha256": 1, "blake3": 2}[algorithm]]) + bytes.fromhex(fingerprint)
    return out + hashlib.sha256(out).digest()


def case(name, algorithm, records):
    fingerprint = hashlib.sha256(name.encode()).hexdigest()
    return {
        "name": name,
        "fingerprint": "stele-" + algorithm + ":" + fingerprint,
        "records": records,
        "marks": marks(records, algorithm, fingerprint).hex(),
    }


T = 1_700_000_000_123_456_789

print(json.dumps({"marks": [
    case("no files", "sha256", []),
    case("one file on a disk", "sha256", [{"mtime": T, "ctime": T, "inode": 1234, "device": 2049}]),
    case("no marks", "blake3", [{}, {"entry": 7}, {}]),
    case("a bucket with versions", "sha256", [
        {"version": "3HL4kqtJvjVBH40Nrjfkd", "etag": '"d41d8cd98f00b204e9800998ecf8427e"'},
        {"version": "3HL4kqtJvjVBH40Nrjfke", "etag": '"d41d8cd98f00b204e9800998ecf8427e"', "entry": 1},
    ]),
    case("a bucket without", "sha256", [{"etag": '"0x8D4BCC2E4835CD0"', "entry": 300}, {"etag": "ü"}]),
    case("generations", "blake3", [{"version": "1700000000123456"}, {"version": "1"}]),
    case("a disk", "sha256", [
        {"mtime": T, "ctime": T + 5, "inode": 100, "device": 2049},
        {"mtime": T + 1, "ctime": T, "inode": 101, "device": 2049, "entry": 12},
        {},
        {"mtime": T - 10**15, "ctime": T, "inode": 99, "device": 2049, "entry": 3},
    ]),
    case("the ends of the numbers", "sha256", [
        {"mtime": (1 << 63) - 1, "ctime": -(1 << 63), "inode": (1 << 64) - 1, "device": (1 << 64) - 1, "entry": (1 << 63) - 1},
        {"mtime": -(1 << 63), "ctime": (1 << 63) - 1, "inode": 0, "device": 1 << 63},
        {"mtime": -1, "ctime": 1, "inode": 1 << 63, "device": 0},
    ]),
    case("long names", "sha256", [{"version": "v" * 1024, "etag": "e" * 1024}]),
]}, indent=1, ensure_ascii=False))
