#!/usr/bin/env python3
"""Writes the vectors of entries, checkpoints, trust files and tlog-proofs.

A second implementation, from the specifications and the pages in docs/formats,
that shares no code with the Go one. It needs the package "cryptography".
Usage: python3 vectors.py   (in this directory; deterministic)
"""
import base64
import hashlib
import json
import struct

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

ORIGIN = "example.com/ledger"


def sha(b):
    return hashlib.sha256(b).digest()


def b64(b):
    return base64.b64encode(b).decode()


class Key:
    def __init__(self, name, label, kind):
        self.private = Ed25519PrivateKey.from_private_bytes(sha(b"stele test key " + label.encode()))
        raw = self.private.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        self.name, self.kind = name, kind
        self.public = bytes([kind]) + raw
        self.id = sha(name.encode() + b"\n" + self.public)[:4]
        self.vkey = f"{name}+{self.id.hex()}+{b64(self.public)}"

    def line(self, text, when=0):
        if self.kind == 4:
            sig = struct.pack(">Q", when) + self.private.sign(f"cosignature/v1\ntime {when}\n{text}".encode())
        else:
            sig = self.private.sign(text.encode())
        return f"— {self.name} {b64(self.id + sig)}\n"


LOG = Key(ORIGIN, "log", 1)
OTHER = Key("example.com/other", "other log", 1)
W1 = Key("w1.example", "w1", 4)
W2 = Key("w2.example", "w2", 4)
W3 = Key("w3.example", "w3", 4)


def leaf_hash(b):
    return sha(b"\0" + b)


def node(left, right):
    return sha(b"\1" + left + right)


def root(leaves):
    if not leaves:
        return sha(b"")
    if len(leaves) == 1:
        return leaf_hash(leaves[0])
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return node(root(leaves[:k]), root(leaves[k:]))


def path(m, leaves):
    if len(leaves) == 1:
        return []
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    if m < k:
        return path(m, leaves[:k]) + [root(leaves[k:])]
    return path(m - k, leaves[k:]) + [root(leaves[:k])]


def text(origin, size, r):
    return f"{origin}\n{size}\n{b64(r)}\n"


def write(name, value):
    with open(name, "w") as f:
        json.dump(value, f, indent=1, ensure_ascii=False)
        f.write("\n")


def checkpoints():
    r = root([b"one", b"two", b"three"])
    t = text(ORIGIN, 3, r)
    empty = text(ORIGIN, 0, sha(b""))
    good = t + "\n" + LOG.line(t)
    both = good + W1.line(t, 1700000000)
    out = [
        dict(name="one signature", signed=good, log=LOG.vkey, origin=ORIGIN, size=3),
        dict(name="with a cosignature", signed=both, log=LOG.vkey, witness=W1.vkey, origin=ORIGIN, size=3),
        dict(name="an empty log", signed=empty + "\n" + LOG.line(empty), log=LOG.vkey, origin=ORIGIN, size=0),
    ]

    def refused(name, t, sigs=None):
        out.append(dict(name=name, signed=t + "\n" + (LOG.line(t) if sigs is None else sigs), error=True))

    refused("leading zero", text(ORIGIN, "03", r))
    refused("a sign", text(ORIGIN, "+3", r))
    refused("a huge size", text(ORIGIN, 1 << 63, r))
    refused("no size", text(ORIGIN, "", r))
    refused("extension line", t + "extension\n")
    refused("two lines", f"{ORIGIN}\n3\n")
    refused("no origin", text("", 3, r))
    refused("a space in the origin", text("example.com/a ledger", 3, r))
    refused("a plus in the origin", text("example.com/a+b", 3, r))
    refused("a long origin", text("a" * 256, 3, r))
    refused("a short root", f"{ORIGIN}\n3\n{b64(r[:31])}\n")
    refused("a root without padding", f"{ORIGIN}\n3\n{b64(r)[:-1]}\n")
    spare = b64(r)
    spare = spare[:-2] + chr(ord(spare[-2]) + 1) + "="
    refused("bits after the root's base64", f"{ORIGIN}\n3\n{spare}\n")
    refused("an empty log with a root", text(ORIGIN, 0, r))
    refused("a carriage return", t.replace("\n", "\r\n"))
    refused("no signature", t, "")
    refused("a hyphen for the dash", t, LOG.line(t).replace("—", "-"))
    refused("the same key twice", t, LOG.line(t) * 2)
    refused("no newline at the end", t, LOG.line(t)[:-1])
    refused("a short signature", t, f"— {ORIGIN} {b64(LOG.id)}\n")
    refused("bits after a signature's base64", t, f"— {ORIGIN} AAAAAAB=\n")
    refused("too many signatures", t, "".join(f"— w{i} AAAAAAA=\n" for i in range(101)))
    write("checkpoint.json", out)


def trust():
    L, A, B, C = LOG.vkey, W1.vkey, W2.vkey, W3.vkey
    out = []

    def ok(name, file, want=None):
        out.append(dict(name=name, file=file, text=want or file))

    def no(name, file, error):
        out.append(dict(name=name, file=file, error=error))

    ok("a log alone", f"log {L}\nquorum none\n")
    ok("with its address", f"log {L} https://example.com/ledger\nquorum none\n")
    ok("a witness", f"log {L}\nwitness a {A}\nquorum a\n")
    ok("groups of groups",
       f"log {L}\nwitness a {A}\nwitness b {B} https://w2.example/\nwitness c {C}\ngroup ab 2 a b\ngroup abc 1 ab c\nquorum abc\n")
    ok("words for thresholds, spacing, comments, order",
       f"# trust\n\n\twitness  a {A}\t\n  # more\nwitness b {B}\ngroup g any a b\ngroup h all g\nquorum h\nlog {L}\n",
       f"log {L}\nwitness a {A}\nwitness b {B}\ngroup g 1 a b\ngroup h 1 g\nquorum h\n")
    ok("names are opaque", f"log {L}\nwitness K {A}\nwitness \u212a {B}\ngroup log 2 K \u212a\nquorum log\n")
    ok("no log", "quorum none\n")

    no("nothing", "", "no quorum line")
    no("no quorum", f"log {L}\n", "no quorum line")
    no("two quorums", f"log {L}\nquorum none\nquorum none\n", "line 3")
    no("no newline at the end", f"log {L}\nquorum none", "newline")
    no("unknown keyword", f"log {L}\nlogs {L}\nquorum none\n", "line 2")
    no("a comment behind", f"log {L} # mine\nquorum none\n", "line 1")
    no("a carriage return", f"log {L}\r\nquorum none\n", "line 1")
    no("the same log twice", f"log {L}\nlog {L}\nquorum none\n", "same key")
    no("the same log under two names", f"log {L}\nlog {Key('example.com/twin', 'log', 1).vkey}\nquorum none\n", "same key")
    no("the same witness twice", f"witness a {A}\nwitness b {A}\nquorum a\n", "same key")
    no("a log that is its own witness", f"log {L}\nwitness a {Key('w.example', 'log', 4).vkey}\nquorum a\n", "same key")
    no("a log key as witness", f"log {L}\nwitness a {OTHER.vkey}\nquorum a\n", "signature type")
    no("a witness key as log", f"log {A}\nquorum none\n", "signature type")
    no("a witness called none", f"witness none {A}\nquorum none\n", "not a name that is free")
    no("two of one name", f"witness a {A}\nwitness a {B}\nquorum a\n", "not a name that is free")
    no("a group of the same name", f"witness a {A}\ngroup a 1 a\nquorum a\n", "not a name that is free")
    no("a quorum that is nowhere", f"witness a {A}\nquorum b\n", "line 2")
    no("a quorum above its witness", f"quorum a\nwitness a {A}\n", "line 1")
    no("a group above its member", f"witness a {A}\ngroup g any a b\nwitness b {B}\nquorum g\n", "line 2")
    no("none as member", f"witness a {A}\ngroup g any a none\nquorum g\n", "line 2")
    no("one of nobody", f"witness a {A}\ngroup g any\nquorum g\n", "line 2")
    no("threshold 0", f"witness a {A}\ngroup g 0 a\nquorum g\n", "0 of 1")
    no("threshold too high", f"witness a {A}\ngroup g 2 a\nquorum g\n", "2 of 1")
    no("threshold 01", f"witness a {A}\ngroup g 01 a\nquorum g\n", "threshold")
    no("threshold -1", f"witness a {A}\ngroup g -1 a\nquorum g\n", "-1 of 1")
    no("a member twice", f"witness a {A}\ngroup g 2 a a\nquorum g\n", "member of a group already")
    no("a member of two groups", f"witness a {A}\ngroup g 1 a\ngroup h 1 a\nquorum g\n", "member of a group already")
    no("another key id", f"log {ORIGIN}+00000000+{b64(LOG.public)}\nquorum none\n", "line 1")
    no("ML-DSA", f"witness a a+00000000+{b64(bytes([6]) + bytes(1312))}\nquorum a\n", "not supported")
    no("a fourth word", f"log {L} https://a more\nquorum none\n", "line 1")
    write("trust.json", out)


def proofs():
    leaves = [b"leaf %d" % i for i in range(13)]
    t = text(ORIGIN, 13, root(leaves))
    signed = t + "\n" + LOG.line(t) + W1.line(t, 1700000000)
    hashes = [b64(h) + "\n" for h in path(5, leaves)]
    head, index = "c2sp.org/tlog-proof@v1\n", "index 5\n"
    body = index + "".join(hashes) + "\n" + signed
    out = [
        dict(name="plain", file=head + body, index=5),
        dict(name="with extra", file=head + "extra " + b64(b"leaf 5") + "\n" + body, index=5),
        dict(name="no hashes", file=head + "index 0\n\n" + signed, index=0),
    ]

    def no(name, file):
        out.append(dict(name=name, file=file, error=True))

    no("empty", "")
    no("an older writer", body)
    no("another version", "c2sp.org/tlog-proof@v2\n" + body)
    no("no index", head + "".join(hashes) + "\n" + signed)
    no("leading zero", head + body.replace("index 5", "index 05"))
    no("a huge index", head + body.replace("index 5", f"index {1 << 63}"))
    no("index twice", head + index + body)
    no("extra behind", head + index + "extra AAAA\n\n" + signed)
    no("empty extra", head + "extra \n" + body)
    no("bits after extra's base64", head + "extra AB==\n" + body)
    no("a short hash", head + index + b64(bytes(31)) + "\n\n" + signed)
    no("64 hashes", head + index + hashes[0] * 64 + "\n" + signed)
    no("no checkpoint", head + index + "".join(hashes) + "\n")
    no("a checkpoint without signature", head + index + "".join(hashes) + "\n" + t)
    no("two empty lines", head + index + "".join(hashes) + "\n\n" + signed)
    no("a carriage return", (head + body).replace("\n", "\r\n"))
    write("tlog-proof.json", out)


def entries():
    def envelope(payload=b"{}", sig=b"sig", kind=b"application/vnd.in-toto+json", more=b""):
        out = b"\x01" + sha(b"a key")
        for part in (kind, payload, sig, more):
            out += struct.pack(">H", len(part)) + part
        return out

    def leaf(index, ms, count, control, env):
        return b"stele entry v1\n" + struct.pack(">QQQ", index, ms, count) + control + env

    empty, some = sha(b""), sha(b"a root")
    env = envelope()
    out = []

    def ok(name, b, index, ms, count):
        out.append(dict(name=name, leaf=b.hex(), index=index, time=ms, count=count, hash=b64(leaf_hash(b))))

    def no(name, b):
        out.append(dict(name=name, leaf=b.hex(), error=True))

    ok("genesis", leaf(0, 0, 0, empty, env), 0, 0, 0)
    ok("an entry", leaf(41, 1790000000123, 7, some, env), 41, 1790000000123, 7)
    ok("the last year", leaf(1, 253402300799999, 1, some, env), 1, 253402300799999, 1)
    good = leaf(41, 1790000000123, 7, some, env)
    no("empty", b"")
    no("cut in the header", good[:60])
    no("cut in the envelope", good[:-1])
    no("a byte more", good + b"\0")
    no("another domain", good.replace(b"entry v1", b"entry v2"))
    no("index 2^63-1", leaf((1 << 63) - 1, 0, 7, some, env))
    no("the year 10000", leaf(41, 253402300800000, 7, some, env))
    no("before 1970", leaf(41, (1 << 64) - 1, 7, some, env))
    no("more control entries than entries", leaf(41, 0, 42, some, env))
    no("no genesis before it", leaf(41, 0, 0, empty, env))
    no("control entries before genesis", leaf(0, 0, 1, some, env))
    no("a root of nothing", leaf(0, 0, 0, some, env))
    no("another form of envelope", leaf(41, 0, 7, some, b"\x02" + env[1:]))
    no("another payload type", leaf(41, 0, 7, some, envelope(kind=b"text/plain")))
    no("a delegation", leaf(41, 0, 7, some, envelope(more=b"x")))
    write("entry.json", out)


checkpoints()
trust()
proofs()
entries()
