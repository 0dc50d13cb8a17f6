#!/usr/bin/env python3
"""split.py CLEAN TRAIN TEST: a row's own hash decides where it goes, so that a
row never moves from one side to the other when more are added."""
import hashlib
import pathlib
import sys

clean, train, test = map(pathlib.Path, sys.argv[1:])
header, *rows = (clean / "rows.csv").read_text().splitlines()
parts = {train: [header], test: [header]}
for row in rows:
    held_out = hashlib.sha256(row.encode()).digest()[0] < 51  # a fifth
    parts[test if held_out else train].append(row)
for folder, lines in parts.items():
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "rows.csv").write_text("\n".join(lines) + "\n")
    print(f"{folder}: {len(lines) - 1} rows")
