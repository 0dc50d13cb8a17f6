#!/usr/bin/env python3
"""Writes vectors.json: the formats of this package, built a second time.

It shares nothing with the Go code but docs/formats. SHA-256 comes from
Python's hashlib, BLAKE3 from the command b3sum. Run it as

    python3 vectors.py > vectors.json
"""
import hashlib
import json
import subprocess

CHUNK = 1 << 20
GENERATOR = "byte i of the file with seed s is (31*i + 7*floor(i/2^8) + 3*floor(i/2^16) + s) mod 256"


def content(size, seed):
    return bytes((31 * i + 7 * (i >> 8) + 3 * (i >> 16) + seed) & 255 for i in range(size))


def sha256(p):
    return hashlib.sha256(p).digest()


def blake3(p):
    return bytes.fromhex(subprocess.run(["b3sum", "--no-names"], input=p, stdout=subprocess.PIPE, check=True).stdout.decode().strip())


H = {"sha256": sha256, "blake3": blake3}
NUMBER = {"sha256": 1, "blake3": 2}


def u64(n):
    return n.to_bytes(8, "big")


def uvarint(n):
    out = b""
    while n >= 128:
        out += bytes([n & 127 | 128])
        n >>= 7
    return out + bytes([n])


def text(s):
    b = s.encode()
    return uvarint(len(b)) + b


def split(n):
    k = 1
    while 2 * k < n:
        k *= 2
    return k


def mth(h, items):
    """RFC 6962 section 2.1 over 32-byte items."""
    if len(items) == 1:
        return h(b"\0" + items[0])
    k = split(len(items))
    return h(b"\1" + mth(h, items[:k]) + mth(h, items[k:]))


class File:
    def __init__(self, alg, path, size, seed):
        h, data = H[alg], content(size, seed)
        self.path, self.size, self.seed = path, size, seed
        self.sha256 = sha256(data)
        self.chunks = []
        if size <= CHUNK:
            self.digest, self.text = h(data), alg
        else:
            self.chunks = [h(data[i:i + CHUNK]) for i in range(0, size, CHUNK)]
            self.digest, self.text = h(b"stele file v1\n" + u64(size) + mth(h, self.chunks)), alg + "-tree"

    def leaf(self):
        return text(self.path) + uvarint(self.size) + self.digest


def node(h, leaves, keys):
    """The search tree: RFC 6962's shape, with the first key of the right."""
    if not leaves:
        return h(b"")
    if len(leaves) == 1:
        return h(b"\0" + leaves[0])
    k = split(len(leaves))
    return h(b"\1" + node(h, leaves[:k], keys[:k]) + node(h, leaves[k:], keys[k:]) + text(keys[k]))


class Tree:
    def __init__(self, alg, name, spec):
        h = H[alg]
        self.alg, self.name = alg, name
        self.files = sorted((File(alg, *s) for s in spec), key=lambda f: f.path.encode())
        self.bytes = sum(f.size for f in self.files)
        self.root = node(h, [f.leaf() for f in self.files], [f.path for f in self.files])
        self.fingerprint = h(b"stele fingerprint v1\n" + u64(len(self.files)) + u64(self.bytes) + self.root)

    def manifest(self, plain):
        out = b"stele manifest v1\n" + bytes([NUMBER[self.alg], 1 if plain else 0])
        last = b""
        for f in self.files:
            p = f.path.encode()
            shared = 0
            while shared < min(len(last), len(p)) and last[shared] == p[shared]:
                shared += 1
            out += uvarint(len(p) - shared) + uvarint(shared) + p[shared:] + uvarint(f.size)
            out += b"".join(f.chunks) or f.digest
            if plain and (self.alg != "sha256" or f.size > CHUNK):
                out += f.sha256
            last = p
        out += b"\0" + u64(len(self.files)) + u64(self.bytes) + self.root
        return out + H[self.alg](out)

    def prove(self, path):
        h, want, seen = H[self.alg], path.encode(), []
        out = b"stele path proof v1\n" + bytes([NUMBER[self.alg]]) + text(path) + u64(len(self.files)) + u64(self.bytes)
        files, index = self.files, 0
        while len(files) > 1:
            k = split(len(files))
            left, right = files[:k], files[k:]
            key = right[0].path
            seen.append(key)
            out += text(key)
            files, other = (left, right) if want < key.encode() else (right, left)
            index += 0 if files is left else k
            out += node(h, [f.leaf() for f in other], [f.path for f in other])
        for f in files:
            seen.append(f.path)
            out += f.leaf()
        present = bool(files) and files[0].path == path
        return {"algorithm": self.alg, "tree": self.name, "path": path, "present": present, "index": index if present else 0,
                "disclosed": sorted(set(seen) - {path}, key=str.encode), "proof": out.hex()}


def prove_range(alg, size, seed, start, end):
    h, f = H[alg], File(alg, "f", size, seed)
    first, last = start // CHUNK, (end - 1) // CHUNK + 1
    out = b"stele range proof v1\n" + bytes([NUMBER[alg]]) + u64(size) + u64(start) + u64(end)

    def siblings(lo, hi):
        if hi <= first or lo >= last:
            return mth(h, f.chunks[lo:hi])
        if first <= lo and hi <= last:
            return b""
        k = split(hi - lo)
        return siblings(lo, lo + k) + siblings(lo + k, hi)

    if size > CHUNK:
        out += siblings(0, len(f.chunks))
    return {"algorithm": alg, "size": size, "seed": seed, "start": start, "end": end, "digest": f.digest.hex(),
            "coveringStart": first * CHUNK, "coveringEnd": min(last * CHUNK, size), "proof": out.hex()}


def collection(alg, name, members):
    """members: (prefix, fingerprint bytes, files, bytes)"""
    h = H[alg]
    members = sorted(members, key=lambda m: (m[0] + "/").encode())
    files, total = sum(m[2] for m in members), sum(m[3] for m in members)
    keys = [m[0] + "/" for m in members]
    leaves = [text(k) + uvarint(m[2]) + uvarint(m[3]) + m[1] for k, m in zip(keys, members)]
    fp = h(b"stele collection v1\n" + u64(len(members)) + u64(files) + u64(total) + node(h, leaves, keys))
    doc = b"stele collection v1\n" + bytes([NUMBER[alg]]) + u64(len(members))
    for m in members:
        doc += text(m[0]) + uvarint(m[2]) + uvarint(m[3]) + m[1]
    return {"algorithm": alg, "name": name, "fingerprint": "stele-%s:%s" % (alg, fp.hex()), "document": doc.hex(),
            "members": [{"prefix": m[0], "fingerprint": "stele-%s:%s" % (alg, m[1].hex()), "files": m[2], "bytes": m[3]} for m in members]}


SIZES = [0, 1, 64, 65, 1024, 1025, 4096, 16384, 16385, 100000, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 3 * CHUNK + CHUNK // 2]
TREES = {
    "empty": [],
    "one": [("photo.jpg", 11, 1)],
    "two": [("train/a.csv", 7, 1), ("train/b.csv", 7, 2)],
    "order": [("a", 1, 1), ("a-b", 2, 2), ("a.txt", 3, 3), ("a/b", 4, 4), ("a/b c", 5, 5), ("a/é", 6, 6), ("aa", 0, 0)],
    "large": [("README.md", 300, 9), ("weights/0.bin", 3 * CHUNK + CHUNK // 2, 3), ("weights/1.bin", CHUNK, 4), ("weights/2.bin", CHUNK + 1, 5)],
    "thirteen": [("p%02d" % i, i * 37, i) for i in range(13)],
}
PROOFS = [("empty", "a"), ("one", "photo.jpg"), ("one", "a.jpg"), ("one", "z.jpg"), ("two", "train/b.csv"), ("two", "train/aa.csv"),
          ("order", "a/b"), ("order", "a/c"), ("order", "0"), ("order", "aa"), ("order", "b"), ("large", "weights/0.bin"),
          ("large", "weights/1"), ("thirteen", "p12"), ("thirteen", "p07"), ("thirteen", "p07a"), ("thirteen", "p00")]
BIG = 3 * CHUNK + CHUNK // 2
RANGES = [(1000, 1, 0, 1000), (1000, 1, 10, 11), (CHUNK, 2, 5, 6), (CHUNK + 1, 5, CHUNK, CHUNK + 1), (CHUNK + 1, 5, 0, 1),
          (BIG, 3, 0, BIG), (BIG, 3, CHUNK, 2 * CHUNK), (BIG, 3, CHUNK - 1, CHUNK + 1), (BIG, 3, BIG - 1, BIG), (6 * CHUNK + 5, 8, 2 * CHUNK, 5 * CHUNK)]


def main():
    out = {"generator": GENERATOR, "files": [], "trees": [], "manifests": [], "pathProofs": [], "rangeProofs": [], "collections": []}
    for alg in H:
        for i, size in enumerate(SIZES):
            f = File(alg, "f", size, i)
            out["files"].append({"algorithm": alg, "size": size, "seed": i, "text": f.text + ":" + f.digest.hex(),
                                 "chunks": [c.hex() for c in f.chunks], "sha256": f.sha256.hex()})
        trees = {name: Tree(alg, name, spec) for name, spec in TREES.items()}
        for t in trees.values():
            out["trees"].append({"algorithm": alg, "name": t.name, "bytes": t.bytes, "root": t.root.hex(),
                                 "fingerprint": "stele-%s:%s" % (alg, t.fingerprint.hex()),
                                 "files": [{"path": f.path, "size": f.size, "seed": f.seed, "digest": f.digest.hex()} for f in t.files]})
            for plain in (False, True):
                out["manifests"].append({"algorithm": alg, "tree": t.name, "plainSHA256": plain, "manifest": t.manifest(plain).hex()})
        out["pathProofs"] += [trees[t].prove(p) for t, p in PROOFS]
        out["rangeProofs"] += [prove_range(alg, *r) for r in RANGES]
        m = lambda prefix, t: (prefix, t.fingerprint, len(t.files), t.bytes)
        days = collection(alg, "days", [m("2026-01-02", trees["two"]), m("2026-01-01", trees["order"]), m("2026-01-02-late", trees["one"])])
        nested = (bytes.fromhex(days["fingerprint"].split(":")[1]), sum(x["files"] for x in days["members"]), sum(x["bytes"] for x in days["members"]))
        out["collections"] += [collection(alg, "single", [m("images", trees["one"])]), days,
                               collection(alg, "nested", [("all/days", *nested), m("all/weights", trees["large"]), m("nothing", trees["empty"])])]
    print(json.dumps(out, indent=1, ensure_ascii=True))


main()
