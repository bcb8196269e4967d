"""Digests of the database's records: equal if no member that a finding shows has changed.

They do not depend on the numbers of the records in a database, so that the digests of two databases
are comparable. An advisory's dates are excluded: they change when nothing else does.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sidelight.advisories.database.build_records import JudgedFact

SIZE = 8  # bytes; of a million packages, two collide by chance once in 30 million builds


def of(value: object) -> bytes:
    """Return the digest of a JSON value."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=SIZE).digest()


def of_vulnerability(name: str, judged: JudgedFact) -> bytes:
    """Return two digests: its facts without EPSS, and EPSS alone, which changes every day."""
    facts = of(
        [
            name, judged.title, judged.severity, judged.rated_by, judged.score, judged.vectors,
            judged.exploited_since,
        ]
    )  # fmt: skip
    return facts + of([name, judged.epss, judged.epss_percentile])


def of_group(key: bytes, rows: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Return the digest of a package: its key, and its rows with their advisories' digests."""
    digest = hashlib.blake2b(key, digest_size=SIZE)
    for advisory, row in rows:
        digest.update(b"%b%d:%b" % (advisory, len(row), row))
    return digest.digest()
