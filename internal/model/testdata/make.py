#!/usr/bin/env python3
"""Makes vectors/ by the libraries whose files are recognised: Python's pickle,
NumPy, joblib and PyTorch, and a writer of safetensors that shares nothing with
ours. Run it again only to add a file: what stands there is kept.

    python3 make.py      (needs numpy, joblib, torch)
"""
import bz2, gzip, io, json, os, pickle, struct, zipfile, zlib

import joblib
import numpy as np
import torch

os.chdir(os.path.join(os.path.dirname(os.path.abspath(__file__)), "vectors"))


def keep(name, data):
    if not os.path.exists(name):
        with open(name, "wb") as f:
            f.write(data)


class Call:
    """Loading it calls os.getcwd: code, and harmless."""

    def __reduce__(self):
        return os.getcwd, ()


class Thing:
    def __init__(self):
        self.weights = [0.5, -1.25]


def safetensors(tensors, metadata=None, pad=True):
    header = {"__metadata__": metadata} if metadata else {}
    data = b""
    for name, dtype, shape, raw in tensors:
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header).encode()
    if pad:
        text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + data


# Safetensors: one file, and a model of two shards with its index.
keep("two.safetensors", safetensors([
    ("layer.weight", "F32", [2, 3], struct.pack("<6f", *range(6))),
    ("layer.bias", "BF16", [3], b"\0\0" * 3),
    ("scale", "F64", [], struct.pack("<d", 1.5)),
    ("none", "I8", [0, 7], b""),
], {"format": "pt", "author": "somebody"}))
keep("half-bytes.safetensors", safetensors([("q", "F4", [3, 2], b"\x12\x34\x56"), ("s", "F8_E8M0", [1], b"\x7f")]))
keep("unpadded.safetensors", safetensors([("b", "U8", [1], b"\1")], pad=False))
os.makedirs("sharded", exist_ok=True)
keep("sharded/model-00001-of-00002.safetensors", safetensors([("a", "F16", [4], b"\0" * 8)], {"format": "pt"}))
keep("sharded/model-00002-of-00002.safetensors", safetensors([("b", "F16", [2, 2], b"\0" * 8), ("c", "I64", [1], b"\0" * 8)], {"format": "pt"}))
keep("sharded/model.safetensors.index.json", json.dumps({
    "metadata": {"total_size": 24.0, "note": None},
    "weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors", "c": "model-00002-of-00002.safetensors"},
}, indent=2).encode())

# Pickles of every protocol, with and without a call.
for protocol in range(6):
    keep(f"call-{protocol}.pkl", pickle.dumps(Call(), protocol))
    keep(f"thing-{protocol}.pkl", pickle.dumps(Thing(), protocol))
    keep(f"values-{protocol}.pkl", pickle.dumps({"a": [1, 2.5, "x", None, True, b"y"], "b": (3, -4, 1 << 70)}, protocol))

# PyTorch: the zip archive, the form before 1.6, a script.
state = {"w": torch.tensor([[1.0, 2.0]]), "b": torch.tensor([0.5])}
for name, zipped in (("zip.pt", True), ("legacy.pt", False)):
    buf = io.BytesIO()
    torch.save(state, buf, _use_new_zipfile_serialization=zipped)
    keep(name, buf.getvalue())
buf = io.BytesIO()
torch.jit.save(torch.jit.script(torch.nn.Linear(2, 1)), buf)
keep("script.pt", buf.getvalue())

# joblib, plain and compressed; NumPy with and without Python objects.
for name, how in (("plain.joblib", 0), ("zlib.joblib", ("zlib", 3)), ("gzip.joblib", ("gzip", 3)), ("bz2.joblib", ("bz2", 3))):
    buf = io.BytesIO()
    joblib.dump({"w": np.arange(4.0)}, buf, compress=how)
    keep(name, buf.getvalue())
for name, array in (("objects.npy", np.array([{"a": 1}, None], dtype=object)), ("numbers.npy", np.arange(3)),
                    ("record.npy", np.zeros(1, dtype=[("a", "<f8"), ("O", "<i4")])), ("record-objects.npy", np.array([(1.0, None)], dtype=[("a", "<f8"), ("b", "O")]))):
    buf = io.BytesIO()
    np.save(buf, array, allow_pickle=True)
    keep(name, buf.getvalue())
buf = io.BytesIO()
np.savez_compressed(buf, a=np.arange(3), b=np.array([None, 1], dtype=object))
keep("objects.npz", buf.getvalue())
buf = io.BytesIO()
np.savez(buf, a=np.arange(3))
keep("numbers.npz", buf.getvalue())

# What is none of it.
buf = io.BytesIO()
with zipfile.ZipFile(buf, "w") as z:
    z.writestr("readme.txt", "nothing to load")
keep("plain.zip", buf.getvalue())
keep("notes.gz", gzip.compress(b"just text\n", mtime=0))
keep("notes.bz2", bz2.compress(b"just text\n"))
keep("notes.z", zlib.compress(b"just text\n"))
