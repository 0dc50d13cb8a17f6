#!/usr/bin/env python3
"""evaluate.py MODEL TEST: a metric a line, NAME=VALUE"""
import sys

import logistic

model = logistic.load(f"{sys.argv[1]}/model.safetensors")
_, rows, labels = logistic.read(sys.argv[2])
scores = [logistic.probability(model, row) for row in rows]
right = sum((s >= 0.5) == (y == 1) for s, y in zip(scores, labels))
pairs = [(a > b) + 0.5 * (a == b) for a, y in zip(scores, labels) if y == 1 for b, x in zip(scores, labels) if x == 0]
print(f"accuracy={right / len(rows):.4f}")
print(f"auc={sum(pairs) / len(pairs):.4f}")
