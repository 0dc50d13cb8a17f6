#!/usr/bin/env python3
"""Makes the vectors beside it, with Python's standard library, openssl and
b3sum: nothing of Stele's. The keys are made anew, so the files differ each time.

    cd internal/oms/testdata && python3 make.py
"""
import base64
import hashlib
import json
import os
import pathlib
import subprocess
import tempfile

HERE = pathlib.Path(__file__).parent
PAYLOAD_TYPE = "application/vnd.in-toto+json"
# The model that is signed; oms_test.go has the same.
FILES = {
    "config.json": b'{"layers": 2}\n',
    "empty.txt": b"",
    "weights/00.bin": b"0123456789abcdef\n" * 20,
    "weights/a:b.bin": b"colons in a name are allowed\n",
    "weights.txt": b"sorted before weights/ by one rule and after it by another\n",
}
DEFAULT_IGNORES = [".git", ".gitattributes", ".github", ".gitignore"]
HASHES = {
    "sha256": lambda b: hashlib.sha256(b).hexdigest(),
    "blake2b": lambda b: hashlib.blake2b(b).hexdigest(),
    "blake3": lambda b: subprocess.run(["b3sum", "--no-names"], input=b, capture_output=True, check=True).stdout.decode().strip(),
}


def openssl(*args, **kw):
    return subprocess.run(["openssl", *map(str, args)], check=True, capture_output=True, **kw).stdout


def new_key(work, curve):
    key = work / (curve + ".key")
    openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:" + curve, "-out", key)
    return key, openssl("pkey", "-in", key, "-pubout")


def pae(payload):
    return b"DSSEv1 %d %s %d %s" % (len(PAYLOAD_TYPE), PAYLOAD_TYPE.encode(), len(payload), payload)


def pae_of_0_2_0(payload):  # its mistake: bytes put into a text
    return f"DSSEV1 {len(PAYLOAD_TYPE)} {PAYLOAD_TYPE} {len(payload)} {payload}".encode()


def resources(method, algorithm, shard_size):
    out = []
    for name, data in FILES.items():
        if method == "files":
            out.append((pathlib.PurePosixPath(name), 0, 0, name, HASHES[algorithm](data)))
            continue
        for start in range(0, len(data), shard_size):
            end = min(start + shard_size, len(data))
            out.append((pathlib.PurePosixPath(name), start, end, f"{name}:{start}:{end}", HASHES[algorithm](data[start:end])))
    out.sort()  # as the reference does: by the parts of the path, then by numbers
    return [{"name": n, "algorithm": algorithm, "digest": d} for _, _, _, n, d in out]


def root(list_):
    return hashlib.sha256(b"".join(bytes.fromhex(r["digest"]) for r in list_)).hexdigest()


def statement(method="files", algorithm="sha256", shard_size=None, ignore=DEFAULT_IGNORES):
    list_ = resources(method, algorithm, shard_size)
    serialization = {"method": method, "hash_type": algorithm, "allow_symlinks": False}
    if shard_size:
        serialization["shard_size"] = float(shard_size)  # protobuf's Struct has only doubles
    if ignore is not None:
        serialization["ignore_paths"] = ignore
    return json.dumps({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": "model", "digest": {"sha256": root(list_)}}],
        "predicateType": "https://model_signing/signature/v1.0",
        "predicate": {"resources": list_, "serialization": serialization},
    }, indent=2).encode()


def statement_of_0_2_0():
    return json.dumps({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": n, "digest": {"sha256": HASHES["sha256"](d)}} for n, d in FILES.items()],
        "predicateType": "https://model_signing/Digests/v0.1",
        "predicate": {"unused": "Unused, it's \"here\" for the sake of a\\b"},
    }, indent=2).encode()


def sign(key, digest, message):
    return openssl("dgst", "-" + digest, "-sign", key, input=message)


def write(name, material, payload, signature, keyid=""):
    b64 = lambda b: base64.b64encode(b).decode()
    sig = {"sig": b64(signature)}
    if keyid != "absent":
        sig["keyid"] = keyid
    (HERE / name).write_text(json.dumps({
        "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
        "verificationMaterial": material,
        "dsseEnvelope": {"payload": b64(payload), "payloadType": PAYLOAD_TYPE, "signatures": [sig]},
    }, indent=1))


def by_key(pem):
    return {"publicKey": {"hint": hashlib.sha256(pem).hexdigest()}, "tlogEntries": []}


def certificates(work):
    """A root, one between, and a leaf for signing code; and a leaf for a web server."""
    def config(name, text):
        (work / name).write_text(text)
        return work / name
    days = ["-days", "36500"]
    root_key, _ = new_key(work, "P-521")
    openssl("req", "-x509", "-new", "-key", root_key, "-subj", "/O=Example/CN=Root", "-out", work / "root.pem", *days,
            "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign")
    ca_key, _ = new_key(work, "P-384")
    ca = config("ca.ext", "basicConstraints=critical,CA:TRUE,pathlen:0\nkeyUsage=critical,keyCertSign\n")
    openssl("req", "-new", "-key", ca_key, "-subj", "/O=Example/CN=Between", "-out", work / "ca.csr")
    openssl("x509", "-req", "-in", work / "ca.csr", "-CA", work / "root.pem", "-CAkey", root_key, "-extfile", ca, "-out", work / "ca.pem", *days)
    leaves = {}
    for name, usage in {"signer": "codeSigning", "server": "serverAuth"}.items():
        key = work / (name + ".key")
        openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", key)
        ext = config(name + ".ext", f"basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\nextendedKeyUsage={usage}\n")
        openssl("req", "-new", "-key", key, "-subj", f"/O=Example/CN={name}", "-out", work / (name + ".csr"))
        openssl("x509", "-req", "-in", work / (name + ".csr"), "-CA", work / "ca.pem", "-CAkey", ca_key, "-extfile", ext, "-out", work / (name + ".pem"), *days)
        leaves[name] = key
    chain = lambda leaf: {"x509CertificateChain": {"certificates": [
        {"rawBytes": base64.b64encode(openssl("x509", "-in", work / f, "-outform", "DER")).decode()} for f in (leaf + ".pem", "ca.pem")]}}
    (HERE / "root.pem").write_bytes((work / "root.pem").read_bytes())
    payload = statement()
    for name, key in leaves.items():
        write(f"certificate-{name}.sig", chain(name), payload, sign(key, "sha256", pae(payload)))


def main():
    with tempfile.TemporaryDirectory() as tmp:
        work = pathlib.Path(tmp)
        for curve, digest, args in [
            ("P-256", "sha256", {}),
            ("P-384", "sha384", {"method": "shards", "algorithm": "blake2b", "shard_size": 100}),
            ("P-521", "sha512", {"algorithm": "blake3", "ignore": None}),
        ]:
            key, pem = new_key(work, curve)
            short = curve.lower().replace("-", "")
            (HERE / (short + ".pub.pem")).write_bytes(pem)
            payload = statement(**args)
            write(short + ".sig", by_key(pem), payload, sign(key, digest, pae(payload)))
            if curve == "P-256":
                old = {"publicKey": {"rawBytes": base64.b64encode(pem).decode(), "keyDetails": "PKIX_ECDSA_P256_SHA_256"}, "tlogEntries": []}
                write("old-v1.0.0.sig", old, payload, sign(key, digest, pae(payload)), keyid=None)
            if curve == "P-384":
                oldest = statement_of_0_2_0()
                write("old-v0.2.0.sig", {"publicKey": {"rawBytes": base64.b64encode(pem).decode()}}, oldest, sign(key, "sha256", pae_of_0_2_0(oldest)), keyid="absent")
        certificates(work)


os.chdir(HERE)
main()
