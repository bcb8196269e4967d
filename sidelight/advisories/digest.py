"""Digests of what the database keeps: equal where nothing that a finding shows has changed.

They do not depend on the numbers that a database gives its records, so that those of two databases
compare. The dates of an advisory are left out: they change when nothing else does.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

SIZE = 8  # bytes; of a million packages, two collide by chance once in 30 million builds


def of(value: object) -> bytes:
    """The digest of what JSON can hold."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=SIZE).digest()


def of_vulnerability(name: str, judged: list[Any]) -> bytes:
    """Two digests, of its facts without EPSS and of EPSS alone, which changes every day.

    `judged` are the fields of VulnerabilityRecord after its id.
    """
    title, severity, rated_by, score, vectors, epss, percentile, exploited_since = judged
    facts = of([name, title, severity, rated_by, score, vectors, exploited_since])
    return facts + of([name, epss, percentile])


def of_group(key: bytes, rows: Iterable[tuple[bytes, bytes]]) -> bytes:
    """The digest of a package: its key, and its rows with their advisories' digests."""
    digest = hashlib.blake2b(key, digest_size=SIZE)
    for advisory, row in rows:
        digest.update(b"%b%d:%b" % (advisory, len(row), row))
    return digest.digest()
