"""`Any` switches the type checker off: how many lines may mention it."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("sidelight", "workers", "dispatcher")
MOST_PER_THOUSAND = 6.0
ANY = re.compile(r"\bAny\b")


def test_fewer_than_six_lines_in_a_thousand_mention_any() -> None:
    lines = [
        line
        for package in PACKAGES
        for path in (ROOT / package).rglob("*.py")
        for line in path.read_text().splitlines()
    ]
    mentions = sum(ANY.search(line) is not None for line in lines)
    assert mentions * 1000 / len(lines) < MOST_PER_THOUSAND, f"{mentions} of {len(lines)} lines"
