"""The database's records of vulnerabilities and advisories, each decoded when it is asked for."""

from __future__ import annotations

import json
import struct
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from sidelight.errors import DatabaseError

if TYPE_CHECKING:
    import mmap
    from collections.abc import Sequence

_ALONE = struct.Struct("<II")  # a count of one, and the one
_decode = json.JSONDecoder().raw_decode  # without json.loads' guess at the encoding


class VulnerabilityRecord(NamedTuple):
    """What the database keeps of a vulnerability; ranks are of Severity, None where unknown."""

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
    """What the database keeps of an advisory; `vulnerabilities` are numbers."""

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
    """So many u32; compiled once."""
    return struct.Struct(f"<{count}I")


class Records:
    """The records of an open database. Safe to share between threads.

    Whoever holds it holds the mapping: a database's records outlast its being closed.
    """

    def __init__(
        self, data: mmap.mmap, advisories: memoryview, vulnerabilities: memoryview, where: str
    ) -> None:
        """`advisories` and `vulnerabilities` tell where their records begin, and the last ends."""
        self._data = data
        self._advisory_starts = advisories
        self._vulnerability_starts = vulnerabilities
        self._where = where
        self._about: dict[int, tuple[int, ...]] = {}
        self._advisories: dict[int, AdvisoryRecord] = {}
        self._vulnerabilities: dict[int, VulnerabilityRecord] = {}

    def about(self, number: int) -> tuple[int, ...]:
        """The numbers of the vulnerabilities that an advisory is about; nothing else is read."""
        found = self._about.get(number)
        if found is None:
            start = self._advisory_starts[number]
            count, first = _ALONE.unpack_from(self._data, start)
            found = self._about[number] = (
                (first,) if count == 1 else numbers(count).unpack_from(self._data, start + 4)
            )
        return found

    def advisory(self, number: int) -> AdvisoryRecord:
        """The advisory with this number, from 0."""
        found = self._advisories.get(number)
        if found is None:
            about = self.about(number)
            start, end = self._advisory_starts[number : number + 2]
            fields = self._fields(start + 4 + 4 * len(about), end)
            fields.insert(_VULNERABILITIES, about)
            found = self._advisories[number] = AdvisoryRecord._make(fields)
        return found

    def vulnerability(self, number: int) -> VulnerabilityRecord:
        """The vulnerability with this number, from 0."""
        found = self._vulnerabilities.get(number)
        if found is None:
            start, end = self._vulnerability_starts[number : number + 2]
            fields = self._fields(start, end)
            fields[_VECTORS] = tuple([(source, vector) for source, vector in fields[_VECTORS]])
            found = self._vulnerabilities[number] = VulnerabilityRecord._make(fields)
        return found

    def vulnerability_id(self, number: int) -> bytes:
        """The first member of its record, for which the rest need not be decoded."""
        start, end = self._vulnerability_starts[number : number + 2]
        name = self._data[start + 2 : self._data.find(b'"', start + 2, end)]
        return name if b"\\" not in name else str(self._fields(start, end)[0]).encode()

    def _fields(self, start: int, end: int) -> list[Any]:
        try:
            fields: list[Any] = _decode(self._data[start:end].decode())[0]
        except ValueError as error:
            raise DatabaseError("a record is damaged", where=self._where) from error
        return fields
