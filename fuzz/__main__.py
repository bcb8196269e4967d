"""Run the targets one after another, guided by coverage, as `make fuzz` does.

    python -m fuzz [--runs 100000] [--seconds 60] [--only lvm-text] [--rounds 1] [--log FILE] …

Each target runs in a process of its own (libFuzzer never returns). What fails is printed once a
fault with the input that gives it again, and counted; 1 comes back for any. A line of the log:
target, CPU seconds, faults, inputs, the structures that they held.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

from fuzz import corpus
from fuzz.targets import NAMES


def run(name: str, runs: int, seconds: float, folder: Path) -> tuple[Counter[str], str]:
    """One target for so many inputs or CPU seconds, from the corpus in a folder and into it."""
    kept = folder / name
    kept.mkdir(parents=True, exist_ok=True)
    corpus.unpack(name, kept)
    command = [sys.executable, "-m", "fuzz.run", name, str(runs), str(seconds), str(kept)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    lines = done.stdout.splitlines()
    for line in lines[:-1]:
        print(line, flush=True)
    summary = lines[-1] if lines else ""
    if done.returncode or not summary.startswith("{"):
        return Counter(faults=1), f"ended with {done.returncode}\n{done.stderr[-3000:]}"
    return Counter(json.loads(summary)), ""


def main() -> int:
    """Every target in turn."""
    parser = argparse.ArgumentParser(prog="python -m fuzz")
    parser.add_argument("--runs", type=int, default=20_000, help="inputs a target and round")
    parser.add_argument("--seconds", type=float, default=3600, help="at most, of CPU, likewise")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--only", action="append", choices=NAMES)
    parser.add_argument("--log", type=Path, help="a line for each target and round is added")
    parser.add_argument("--corpus", type=Path, help="a folder to keep what was found in")
    chosen = parser.parse_args()
    total: Counter[str] = Counter()
    with tempfile.TemporaryDirectory(prefix="sidelight-fuzz-") as scratch:
        folder = chosen.corpus or Path(scratch)
        for _ in range(chosen.rounds):
            for name in chosen.only or NAMES:
                counts, fault = run(name, chosen.runs, chosen.seconds, folder)
                line = "  ".join(f"{what} {count}" for what, count in sorted(counts.items()))
                print(f"{name}: {line} {fault}", flush=True)
                if chosen.log:
                    with chosen.log.open("a") as log:
                        print(f"{name}: {line} {fault}", file=log)
                total += Counter({key: counts[key] for key in ("inputs", "structures", "faults")})
    print("in total: " + ", ".join(f"{count} {what}" for what, count in total.items()))
    return 1 if total["faults"] else 0


if __name__ == "__main__":
    sys.exit(main())
