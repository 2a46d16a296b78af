"""Receipts by the words of docs/audit.md: the hash and the seal of each row, and that its fates and counts say the same.

Usage: check_receipts.py PATH_OF_receipt_print
"""
import hashlib
import json
import re
import subprocess
import sys

LETTERS = "ASRDPHJU"


def digest(first, row, more=()):
    counts = row["counts"][:6] + [row["counts"][6] + row["counts"][7]]
    lines = [first, row["group"], row["topic"], row["partition"], row["n"], row["kind"], row["stands_for"], row["lo"], row["hi"],
             row["epoch"], *counts, row["fates"], row["resolved"], row["outbox_from"], row["outbox_to"], row["decision"],
             row["at_us"], row["prev_hash"], *more]
    return hashlib.sha256("".join(f"{line}\n" for line in lines).encode()).hexdigest()


def check(row):
    assert digest("pawl receipt 1", row) == row["hash"], row
    assert digest("pawl fold 1", row, [row["kept_hash"]]) == row["seal"], row
    runs = [(int(n), letter) for n, letter in re.findall(r"(\d+)([A-Z])", row["fates"])]
    assert " ".join(f"{n}{letter}" for n, letter in runs) == row["fates"], row
    assert sum(n for n, _ in runs) == row["hi"] - row["lo"], row
    assert all(a[1] != b[1] for a, b in zip(runs, runs[1:])), row
    resolved = re.findall(r"(\d+)([A-Z])", row["resolved"])
    for i, letter in enumerate(LETTERS):
        have = sum(n for n, l in runs if l == letter) + sum(1 for _, l in resolved if l == letter)
        assert have == row["counts"][i], (row, letter)
    return {letter for _, letter in runs} | {"r" for _ in resolved}


def main():
    out = subprocess.run([sys.argv[1]], check=True, capture_output=True, text=True).stdout
    rows = [json.loads(line) for line in out.splitlines()]
    assert len(rows) == 201, len(rows)
    assert set().union(*map(check, rows)) == set("ASRDPHr")
    assert len({row["hash"] for row in rows}) == len(rows)


main()
