"""One target under atheris: `python -m fuzz.run TARGET RUNS SECONDS CORPUS`; the driver's part."""

from __future__ import annotations

import json
import os
import re
import resource
import sys
import time
import traceback
from collections import Counter
from pathlib import Path

# Bytes that an input may need beyond what the process has when it begins.
MEMORY_BUDGET = 512 << 20
BETWEEN_LIMITS = 256  # inputs


def limit_memory() -> None:
    """An input over the budget gets a MemoryError, which is a finding.

    To be called again and again: atheris never frees some of what an input's comparisons made.
    """
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[0])
    most = pages * resource.getpagesize() + MEMORY_BUDGET
    resource.setrlimit(resource.RLIMIT_AS, (most, resource.getrlimit(resource.RLIMIT_AS)[1]))


def main() -> None:
    """Fuzz; the last line of what is printed holds the counts as JSON."""
    import atheris

    name, runs, seconds, folder = sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), sys.argv[4]
    with atheris.instrument_imports(include=["sidelight"]):
        from fuzz.targets import target

        decode = target(name)
    counts: Counter[str] = Counter()
    seen: set[str] = set()

    def one(data: bytes) -> None:
        if counts["inputs"] % BETWEEN_LIMITS == 0:
            limit_memory()
        counts["inputs"] += 1
        try:
            counts["structures"] += decode(data)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is a finding
            counts["faults"] += 1
            place = traceback.extract_tb(error.__traceback__)[-1]
            # Numbers differ from input to input where the fault does not.
            fault = re.sub(r"\d+", "n", f"{type(error).__name__}: {error}"[:200])
            fault = f"{name}: {fault} ({Path(place.filename).name}:{place.lineno})"
            if fault not in seen and len(seen) < 50:
                seen.add(fault)
                print(f"{fault}\n  {data.hex()}", flush=True)
        spent = time.process_time()
        if counts["inputs"] == runs or spent > seconds:
            counts["cpu-seconds"] = round(spent)
            print(json.dumps(counts), flush=True)
            # libFuzzer has no other end than its own.
            os._exit(0)

    options = ["-max_len=400", "-len_control=0", "-rss_limit_mb=0",
               "-timeout=600", "-verbosity=0"]  # fmt: skip
    atheris.Setup([sys.argv[0], *options, folder], one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
