"""Large feeds, and the memory that reading one takes."""

from __future__ import annotations

import json
import tracemalloc
from typing import TYPE_CHECKING

from sidelight.advisories.feeds import read
from sidelight.errors import FormatError

if TYPE_CHECKING:
    from pathlib import Path


def json_bytes(value: object) -> bytes:
    return json.dumps(value).encode()


def peak_of(path: Path) -> tuple[int, int]:
    """How many items a file gives, or -1 where it is refused, and the bytes that reading takes."""
    tracemalloc.start()
    try:
        count = sum(1 for _ in read.read(path))
    except FormatError:
        count = -1
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return count, peak


_ENTRY = b'{"description":"x","releases":{"bookworm":{"status":"open","urgency":"low"}}}'
TRACKED = b'"p%d":{"CVE-2020-%05d":' + _ENTRY + b"}"
