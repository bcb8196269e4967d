"""The database's records of vulnerabilities and advisories, each decoded at first use."""

from __future__ import annotations

import json
import struct
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from sidelight.errors import DatabaseError

if TYPE_CHECKING:
    import mmap
    from collections.abc import Sequence

_ALONE = struct.Struct("<II")  # a count of 1, and the number
_decode = json.JSONDecoder().raw_decode  # without json.loads' guess at the encoding


class VulnerabilityRecord(NamedTuple):
    """The database's record of a vulnerability; ranks are Severity's, None if unknown."""

    id: str
    title: str
    severity: int | None
    rated_by: str
    score: float | None
    vectors: tuple[tuple[str, str], ...]
    epss: float | None
    epss_percentile: float | None
    exploited_since: str


_VECTORS = VulnerabilityRecord._fields.index("vectors")


class AdvisoryRecord(NamedTuple):
    """The database's record of an advisory; `vulnerabilities` are numbers."""

    id: str
    source: str
    vulnerabilities: Sequence[int]
    severity: int | None
    title: str
    score: float | None
    vectors: Sequence[str]
    references: Sequence[str]
    published: str
    modified: str


_VULNERABILITIES = AdvisoryRecord._fields.index("vulnerabilities")


@lru_cache(maxsize=4096)
def numbers(count: int) -> struct.Struct:
    """Return the struct of `count` u32, compiled once."""
    return struct.Struct(f"<{count}I")


class Records:
    """The records of an open database. Safe to share between threads.

    A reference to it keeps the mapping: the records remain usable after the database is closed.
    """

    def __init__(
        self, data: mmap.mmap, advisories: memoryview, vulnerabilities: memoryview, where: str
    ) -> None:
        """`advisories` and `vulnerabilities` are their records' offsets, and the last one's end."""
        self._data = data
        self._advisory_starts = advisories
        self._vulnerability_starts = vulnerabilities
        self._where = where
        self._about: dict[int, tuple[int, ...]] = {}
        self._advisories: dict[int, AdvisoryRecord] = {}
        self._vulnerabilities: dict[int, VulnerabilityRecord] = {}

    def about(self, number: int) -> tuple[int, ...]:
        """Return the numbers of an advisory's vulnerabilities; nothing else is read."""
        vulnerability_numbers = self._about.get(number)
        if vulnerability_numbers is None:
            start = self._advisory_starts[number]
            count, first = _ALONE.unpack_from(self._data, start)
            vulnerability_numbers = self._about[number] = (
                (first,) if count == 1 else numbers(count).unpack_from(self._data, start + 4)
            )
        return vulnerability_numbers

    def advisory(self, number: int) -> AdvisoryRecord:
        """Return the advisory with this number, from 0."""
        record = self._advisories.get(number)
        if record is None:
            about = self.about(number)
            start, end = self._advisory_starts[number : number + 2]
            fields = self._fields(start + 4 + 4 * len(about), end)
            fields.insert(_VULNERABILITIES, about)
            record = self._advisories[number] = AdvisoryRecord._make(fields)
        return record

    def vulnerability(self, number: int) -> VulnerabilityRecord:
        """Return the vulnerability with this number, from 0."""
        record = self._vulnerabilities.get(number)
        if record is None:
            start, end = self._vulnerability_starts[number : number + 2]
            fields = self._fields(start, end)
            fields[_VECTORS] = tuple([(source, vector) for source, vector in fields[_VECTORS]])
            record = self._vulnerabilities[number] = VulnerabilityRecord._make(fields)
        return record

    def vulnerability_id(self, number: int) -> bytes:
        """Return the first member of its record without decoding the rest."""
        start, end = self._vulnerability_starts[number : number + 2]
        name = self._data[start + 2 : self._data.find(b'"', start + 2, end)]
        return name if b"\\" not in name else str(self._fields(start, end)[0]).encode()

    def _fields(self, start: int, end: int) -> list[Any]:
        try:
            fields: list[Any] = _decode(self._data[start:end].decode())[0]
        except ValueError as error:
            raise DatabaseError("a record is damaged", where=self._where) from error
        return fields
