"""FIRST's Exploit Prediction Scoring System: CSV of CVE, probability and percentile.

(first.org/epss/data_stats). A comment line may precede the header; older files have no percentile.
Columns are identified by name, case-insensitively.
"""

from __future__ import annotations

import csv
import io
from typing import IO, TYPE_CHECKING

from sidelight.errors import DamagedError
from sidelight.model import VulnerabilityFact

if TYPE_CHECKING:
    from collections.abc import Iterator

_PERCENTILE = ("percentile", "epss percentile")


def parse(stream: IO[bytes]) -> Iterator[VulnerabilityFact]:
    """Yield one fact per line.

    Raises DamagedError for missing columns, values outside of 0 to 1, and a duplicate CVE.
    """
    lines = io.TextIOWrapper(stream, encoding="utf-8", newline="")
    try:
        rows = csv.reader(line for line in lines if not line.startswith("#"))
        header = [name.strip().lower() for name in next(rows, [])]
        if "cve" not in header or "epss" not in header:
            raise DamagedError(f"no columns `cve` and `epss` but {', '.join(header[:6])}")
        percentile = next((header.index(name) for name in _PERCENTILE if name in header), None)
        columns = header.index("cve"), header.index("epss"), percentile
        number = 1
        seen: set[str] = set()
        for number, row in enumerate(rows, 2):
            if not row:
                continue
            fact = _fact(row, columns, number)
            if fact.id in seen:
                raise DamagedError(f"line {number} has {fact.id} again")
            seen.add(fact.id)
            yield fact
        if number == 1:
            raise DamagedError("nothing behind its header")
    except (UnicodeDecodeError, csv.Error) as error:
        raise DamagedError(f"not CSV: {error}") from error
    finally:
        lines.detach()


def _fact(row: list[str], columns: tuple[int, int, int | None], number: int) -> VulnerabilityFact:
    cve, epss, percentile = columns
    try:
        probability = float(row[epss])
        rank = None if percentile is None else float(row[percentile])
        name = row[cve]
    except (ValueError, IndexError) as error:
        raise DamagedError(f"line {number} is cut off or has no number") from error
    if not name.startswith("CVE-"):
        raise DamagedError(f"line {number} is of {name[:40]!r}, which is not a CVE")
    if not 0 <= probability <= 1 or not (rank is None or 0 <= rank <= 1):
        raise DamagedError(f"line {number} has a probability outside 0 to 1")
    return VulnerabilityFact(name, "FIRST", epss=probability, epss_percentile=rank)
