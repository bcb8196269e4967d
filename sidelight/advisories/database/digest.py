"""Digests of the database's records: equal if no member that a finding shows has changed.

They do not depend on the numbers of the records in a database, so that the digests of two databases
are comparable. An advisory's dates are excluded: they change when nothing else does.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

SIZE = 8  # bytes; of a million packages, two collide by chance once in 30 million builds


def of(value: object) -> bytes:
    """Return the digest of a JSON value."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=SIZE).digest()


def of_vulnerability(name: str, judged: list[Any]) -> bytes:
    """Return two digests: its facts without EPSS, and EPSS alone, which changes every day.

    `judged` are the fields of VulnerabilityRecord after its id.
    """
    title, severity, rated_by, score, vectors, epss, percentile, exploited_since = judged
    facts = of([name, title, severity, rated_by, score, vectors, exploited_since])
    return facts + of([name, epss, percentile])


def of_group(key: bytes, rows: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Return the digest of a package: its key, and its rows with their advisories' digests."""
    digest = hashlib.blake2b(key, digest_size=SIZE)
    for advisory, row in rows:
        digest.update(b"%b%d:%b" % (advisory, len(row), row))
    return digest.digest()
