"""A logistic regression over standardised columns, with nothing but Python, and
its weights as a safetensors file."""
import csv
import json
import math
import struct


def read(folder):
    with open(f"{folder}/rows.csv", newline="") as f:
        lines = csv.reader(f)
        header = next(lines)
        rows = [[float(cell) for cell in row] for row in lines]
    return header[:-1], [row[:-1] for row in rows], [row[-1] for row in rows]


def probability(m, row):
    z = m["bias"][0] + sum(w * (x - a) / s for w, x, a, s in zip(m["weight"], row, m["mean"], m["scale"]))
    return 1 / (1 + math.exp(-z))


def fit(rows, labels, rounds, rate):
    n, k = len(rows), len(rows[0])
    mean = [sum(column) / n for column in zip(*rows)]
    scale = [math.sqrt(sum((x - a) ** 2 for x in column) / n) or 1.0 for column, a in zip(zip(*rows), mean)]
    z = [[(x - a) / s for x, a, s in zip(row, mean, scale)] for row in rows]
    weight, bias = [0.0] * k, 0.0
    for _ in range(rounds):
        gradient, drift = [0.0] * k, 0.0
        for row, label in zip(z, labels):
            e = 1 / (1 + math.exp(-bias - sum(w * x for w, x in zip(weight, row)))) - label
            gradient = [g + e * x for g, x in zip(gradient, row)]
            drift += e
        weight = [w - rate * (g / n + 0.001 * w) for w, g in zip(weight, gradient)]
        bias -= rate * drift / n
    return {"mean": mean, "scale": scale, "weight": weight, "bias": [bias]}


def save(path, tensors, metadata):
    header, data = {"__metadata__": metadata}, b""
    for name, values in tensors.items():
        raw = struct.pack(f"<{len(values)}f", *values)
        header[name] = {"dtype": "F32", "shape": [len(values)], "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + data)


def load(path):
    with open(path, "rb") as f:
        (n,) = struct.unpack("<Q", f.read(8))
        header, data = json.loads(f.read(n)), f.read()
    header.pop("__metadata__", None)
    return {name: struct.unpack(f"<{t['shape'][0]}f", data[slice(*t["data_offsets"])]) for name, t in header.items()}
