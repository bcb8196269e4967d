"""Reading the advisory database: one mapped file, nothing of it read before it is asked for."""

from __future__ import annotations

import hashlib
import json
import mmap
import struct
import zlib
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from sidelight.advisories import changes, layout
from sidelight.advisories.ecosystems import canonical, normal_name
from sidelight.advisories.end_of_life import LAST_DAY
from sidelight.advisories.group import Group
from sidelight.errors import DatabaseError
from sidelight.model import Affected, Interval, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path
    from types import TracebackType

    from sidelight.advisories.changes import Changes
    from sidelight.advisories.group import GroupRow

_U64 = struct.Struct("<Q")
_U32 = struct.Struct("<I")
_PAIR = struct.Struct("<QQ")
_SEVERITIES = (None, *Severity)
_decode = json.JSONDecoder().raw_decode  # without json.loads' guess at the encoding


@dataclass(frozen=True, slots=True)
class DatabaseInfo:
    """What a database holds. `newest` is the latest change that any of its advisories tells.

    `ecosystems` are (name, rows); `files` the (name, SHA-256) of what it was built from.
    """

    path: Path
    size: int
    sha256: str
    schema: int
    advisories: int
    vulnerabilities: int
    packages: int
    rows: int
    withdrawn: int
    problems: int
    newest: str
    ecosystems: tuple[tuple[str, int], ...]
    files: tuple[tuple[str, str], ...]


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


class Database:
    """An open database. Safe to share between threads; immutable."""

    def __init__(self, path: Path, data: mmap.mmap) -> None:
        self._path = path
        self._data = data
        fields = layout.HEADER.unpack_from(data)
        self._size: int = fields[3]
        places = fields[4:]
        self._sections = {
            name: (places[2 * i], places[2 * i + 1]) for i, name in enumerate(layout.SECTIONS)
        }
        self._slots, slots_size = self._sections["slots"]
        self._mask = slots_size // 4 - 1
        self._group_offsets = self._sections["group_offsets"][0]
        self._advisory_offsets = self._sections["advisory_offsets"][0]
        self._vulnerability_offsets = self._sections["vulnerability_offsets"][0]
        self.labels: list[tuple[str, str, str]] = [
            (stream, module, state) for stream, module, state in self._json("labels")
        ]
        self._info: dict[str, Any] = self._json("info")
        self._advisories: dict[int, AdvisoryRecord] = {}
        self._vulnerabilities: dict[int, VulnerabilityRecord] = {}

    @classmethod
    def open(cls, path: Path) -> Self:
        """Map a database. Header, size and index are checked; `verify` checks all of it.

        Raises DatabaseError where there is none, or one of another schema, or a damaged one.
        """
        try:
            with path.open("rb") as stream:
                data = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
        except FileNotFoundError as error:
            raise DatabaseError("there is no advisory database here", where=str(path)) from error
        except (OSError, ValueError) as error:
            raise DatabaseError(f"cannot be read: {error}", where=str(path)) from error
        try:
            _check(path, data)
            return cls(path, data)
        except (struct.error, ValueError, TypeError) as error:
            raise DatabaseError("its index is damaged", where=str(path)) from error

    def close(self) -> None:
        """Unmap the file; the database cannot be used any more."""
        self._data.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _json(self, section: str) -> Any:
        return json.loads(self.section(section))

    @property
    def sha256(self) -> str:
        """The SHA-256 of the contents: which database this is."""
        start = layout.HEADER.size + layout.DIGEST_SIZE
        return self._data[start : start + layout.DIGEST_SIZE].hex()

    def info(self) -> DatabaseInfo:
        """What the database holds."""
        return DatabaseInfo(
            path=self._path,
            size=self._size,
            sha256=self.sha256,
            schema=layout.SCHEMA,
            ecosystems=tuple(sorted(self._info["ecosystems"].items())),
            files=tuple((name, digest) for name, digest in self._info["files"]),
            **{
                name: self._info[name]
                for name in (
                    "advisories",
                    "vulnerabilities",
                    "packages",
                    "rows",
                    "withdrawn",
                    "problems",
                    "newest",
                )
            },
        )

    @property
    def ecosystems(self) -> frozenset[str]:
        """The names of the ecosystems that have advisories."""
        return frozenset(self._info["ecosystems"])

    @property
    def last_days(self) -> frozenset[tuple[str, str]]:
        """The (release, last day of free updates) that feeds told."""
        return frozenset((name, day) for name, (day, _who) in self._info["last_days"].items())

    def last_day(self, *names: str) -> date | None:
        """The last day of free updates of the first of these names that is known, else None.

        By what a feed said when the database was built, else by the table that comes with it.
        """
        told: dict[str, list[str]] = self._info["last_days"]
        for name in names:
            if name in told:
                return date.fromisoformat(told[name][0])
            if name in LAST_DAY:
                return LAST_DAY[name]
        return None

    def verify(self) -> None:
        """Check every byte. Raises DatabaseError where one is not what was written."""
        digest = hashlib.sha256()
        for start in range(layout.HEADER_SIZE, self._size, 1 << 20):
            digest.update(self._data[start : min(start + (1 << 20), self._size)])
        if digest.hexdigest() != self.sha256:
            raise DatabaseError("its contents are damaged", where=str(self._path))

    def group(self, ecosystem: str, name: str) -> Group | None:
        """All rows of a package, or None where no advisory speaks of it.

        `ecosystem` is the database's own name for it (see ecosystems.canonical).
        """
        found = self._find(ecosystem, name)
        return None if found is None else found[1]

    def package_digest(self, ecosystem: str, name: str) -> str:
        """Hexadecimal, and equal in two databases that say the same of a package (digest.py).

        "" where no advisory speaks of it.
        """
        found = self._find(ecosystem, name)
        return "" if found is None else self._digest("group_digests", found[0], 1)

    def vulnerability_digest(self, vulnerability: str) -> str:
        """The same of a vulnerability's facts, EPSS among them; "" for one that is not here."""
        low, high = 0, int(self._info["vulnerabilities"])
        wanted = vulnerability.encode("utf-8", "replace")
        while low < high:
            middle = (low + high) // 2
            if self._vulnerability_id(middle) < wanted:
                low = middle + 1
            else:
                high = middle
        if low == int(self._info["vulnerabilities"]) or self._vulnerability_id(low) != wanted:
            return ""
        return self._digest("vulnerability_digests", low, 2)

    def _vulnerability_id(self, number: int) -> bytes:
        """The first member of its record, for which the rest need not be decoded."""
        start, end = _PAIR.unpack_from(self._data, self._vulnerability_offsets + 8 * number)
        name = self._data[start + 2 : self._data.find(b'"', start + 2, end)]
        return name if b"\\" not in name else str(self._fields(start, end)[0]).encode()

    def _digest(self, section: str, number: int, words: int) -> str:
        start, size = self._sections[section][0], words * _U64.size
        return self._data[start + number * size : start + (number + 1) * size].hex()

    def _find(self, ecosystem: str, name: str) -> tuple[int, Group] | None:
        key = f"{ecosystem}\0{name}".encode("utf-8", "surrogatepass")
        data, mask, slots = self._data, self._mask, self._slots
        slot = zlib.crc32(key) & mask
        while True:
            (number,) = _U32.unpack_from(data, slots + 4 * slot)
            if not number:
                return None
            (start,) = _U64.unpack_from(data, self._group_offsets + 8 * (number - 1))
            body = start + layout.GROUP.size
            if data[body : body + len(key)] == key:
                head = layout.GROUP.unpack_from(data, start)
                if head[0] == len(key):
                    return number - 1, Group(data, body + len(key), head)
            slot = (slot + 1) & mask

    def packages(self) -> Iterator[tuple[str, str]]:
        """Every (ecosystem, name) that advisories speak of, in order."""
        _start, size = self._sections["group_offsets"]
        for number in range(size // _U64.size - 1):
            yield self.package(number)

    def package(self, number: int) -> tuple[str, str]:
        """The (ecosystem, name) with this number, from 0."""
        (place,) = _U64.unpack_from(self._data, self._group_offsets + 8 * number)
        body = place + layout.GROUP.size
        key = self._data[body : body + layout.GROUP.unpack_from(self._data, place)[0]]
        ecosystem, _nul, name = key.decode("utf-8", "surrogatepass").partition("\0")
        return ecosystem, name

    def changed_since(self, other: Database) -> Changes:
        """What is new, other or gone here, against an older database (see Changes)."""
        return changes.between(other, self)

    def section(self, name: str) -> bytes:
        """The bytes of one of the sections of layout.py."""
        start, size = self._sections[name]
        return self._data[start : start + size]

    def advisory(self, number: int) -> AdvisoryRecord:
        """The advisory with this number, from 0."""
        found = self._advisories.get(number)
        if found is None:
            start, end = _PAIR.unpack_from(self._data, self._advisory_offsets + 8 * number)
            found = AdvisoryRecord._make(self._fields(start, end))
            self._advisories[number] = found
        return found

    def vulnerability(self, number: int) -> VulnerabilityRecord:
        """The vulnerability with this number, from 0."""
        found = self._vulnerabilities.get(number)
        if found is None:
            start, end = _PAIR.unpack_from(self._data, self._vulnerability_offsets + 8 * number)
            fields = self._fields(start, end)
            fields[_VECTORS] = tuple([(source, vector) for source, vector in fields[_VECTORS]])
            found = VulnerabilityRecord._make(fields)
            self._vulnerabilities[number] = found
        return found

    def _fields(self, start: int, end: int) -> list[Any]:
        try:
            fields: list[Any] = _decode(self._data[start:end].decode())[0]
        except ValueError as error:
            raise DatabaseError("a record is damaged", where=str(self._path)) from error
        return fields

    def lookup(self, ecosystem: str, name: str) -> Sequence[Affected]:
        """All that the advisories say of a package, by the feed's or the database's ecosystem.

        Versions are as the feeds write them; single versions are intervals of one.
        """
        own, _stream = canonical(ecosystem)
        group = self.group(own, normal_name(own, name))
        if group is None:
            return ()
        return [self._affected(own, name, row) for row in group.rows()]

    def _affected(self, ecosystem: str, name: str, row: GroupRow) -> Affected:
        number, label, severity, found = row
        stream, module, state = self.labels[label]
        return Affected(
            ecosystem=ecosystem,
            name=name,
            intervals=tuple(
                Interval(
                    introduced=span.since,
                    end=span.text,
                    end_included=bool(span.flags & layout.END_INCLUDED),
                    introduced_excluded=bool(span.flags & layout.INTRODUCED_EXCLUDED),
                )
                for span in found
            ),
            stream=stream,
            module=module,
            severity=_SEVERITIES[severity],
            state=state,
            advisory=self.advisory(number).id,
        )


def _check(path: Path, data: mmap.mmap) -> None:
    where = str(path)
    if len(data) < layout.HEADER_SIZE or data[: len(layout.MAGIC)] != layout.MAGIC:
        raise DatabaseError("this is no advisory database", where=where)
    header = data[: layout.HEADER.size]
    _magic, schema, _flags, size, *places = layout.HEADER.unpack(header)
    if schema != layout.SCHEMA:
        what = f"its schema is {schema}, this version reads {layout.SCHEMA}: build it anew"
        raise DatabaseError(what, where=where)
    if size != len(data):
        raise DatabaseError(f"it has {len(data)} of {size} bytes", where=where)
    index = hashlib.sha256()
    for number in range(layout.FIRST_OF_INDEX, len(layout.SECTIONS)):
        start, length = places[2 * number], places[2 * number + 1]
        if start + length > size:
            raise DatabaseError("its index is damaged", where=where)
        index.update(data[start : start + length])
    digest = hashlib.sha256(header + index.digest()).digest()
    if digest != data[layout.HEADER.size : layout.HEADER.size + layout.DIGEST_SIZE]:
        raise DatabaseError("its index is damaged", where=where)
