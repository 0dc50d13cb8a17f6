#!/usr/bin/env python3
"""clean.py RAW CLEAN: rows that are whole, each once, in one table."""
import csv
import pathlib
import sys

raw, clean = map(pathlib.Path, sys.argv[1:])
seen, rows, dropped, header = set(), [], 0, None
for path in sorted(raw.rglob("*.csv")):
    with open(path, newline="") as f:
        lines = csv.reader(f)
        header = next(lines)
        for row in lines:
            key = tuple(row)
            if len(row) == len(header) and all(cell.strip() for cell in row) and key not in seen:
                seen.add(key)
                rows.append(row)
            else:
                dropped += 1
clean.mkdir(parents=True, exist_ok=True)
with open(clean / "rows.csv", "w", newline="") as f:
    out = csv.writer(f, lineterminator="\n")
    out.writerow(header)
    out.writerows(rows)
print(f"{len(rows)} rows kept, {dropped} dropped")
