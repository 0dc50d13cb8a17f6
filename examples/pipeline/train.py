#!/usr/bin/env python3
"""train.py TRAIN MODEL --rounds N --rate R"""
import argparse
import pathlib

import logistic

p = argparse.ArgumentParser()
p.add_argument("train")
p.add_argument("model")
p.add_argument("--rounds", type=int, default=200)
p.add_argument("--rate", type=float, default=1.0)
a = p.parse_args()

columns, rows, labels = logistic.read(a.train)
model = logistic.fit(rows, labels, a.rounds, a.rate)
pathlib.Path(a.model).mkdir(parents=True, exist_ok=True)
logistic.save(f"{a.model}/model.safetensors", model, {"format": "logistic-regression"})
print(f"{len(rows)} rows of {len(columns)} columns, {a.rounds} rounds")
