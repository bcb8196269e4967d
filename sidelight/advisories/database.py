"""Reading the advisory database: one mapped file, nothing of it read before it is asked for."""

from __future__ import annotations

import hashlib
import json
import mmap
import struct
import zlib
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any, Self

from sidelight.advisories import changes, digest, layout
from sidelight.advisories.ecosystems import canonical, normal_name
from sidelight.advisories.end_of_life import LAST_DAY
from sidelight.advisories.group import Group
from sidelight.advisories.records import Records
from sidelight.errors import DatabaseError
from sidelight.model import Affected, Interval, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path
    from types import TracebackType

    from sidelight.advisories.changes import Changes
    from sidelight.advisories.group import GroupRow
    from sidelight.advisories.records import AdvisoryRecord, VulnerabilityRecord

_SEVERITIES = (None, *Severity)


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
        self._slots = self._view("slots").cast("I")
        self._mask = len(self._slots) - 1
        self._group_starts = self._view("group_offsets").cast("Q")
        self.records = Records(
            data,
            self._view("advisory_offsets").cast("Q"),
            self._view("vulnerability_offsets").cast("Q"),
            str(path),
        )
        self.labels: list[tuple[str, str, str]] = [
            (stream, module, state) for stream, module, state in self._json("labels")
        ]
        self._info: dict[str, Any] = self._json("info")

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
        """The database cannot be used any more.

        The file stays mapped as long as a finding has yet to tell something from it.
        """
        vars(self).clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _view(self, name: str) -> memoryview:
        start, size = self._sections[name]
        return memoryview(self._data)[start : start + size]

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
            if self.records.vulnerability_id(middle) < wanted:
                low = middle + 1
            else:
                high = middle
        if (
            low == int(self._info["vulnerabilities"])
            or self.records.vulnerability_id(low) != wanted
        ):
            return ""
        return self._digest("vulnerability_digests", low, 2)

    def _digest(self, section: str, number: int, words: int) -> str:
        start, size = self._sections[section][0], words * digest.SIZE
        return self._data[start + number * size : start + (number + 1) * size].hex()

    def _find(self, ecosystem: str, name: str) -> tuple[int, Group] | None:
        key = f"{ecosystem}\0{name}".encode("utf-8", "surrogatepass")
        data, mask, slots = self._data, self._mask, self._slots
        slot = zlib.crc32(key) & mask
        while True:
            number = slots[slot]
            if not number:
                return None
            start = self._group_starts[number - 1]
            body = start + layout.GROUP.size
            if data[body : body + len(key)] == key:
                head = layout.GROUP.unpack_from(data, start)
                if head[0] == len(key):
                    return number - 1, Group(data, body + len(key), head)
            slot = (slot + 1) & mask

    def packages(self) -> Iterator[tuple[str, str]]:
        """Every (ecosystem, name) that advisories speak of, in order."""
        for number in range(len(self._group_starts) - 1):
            yield self.package(number)

    def package(self, number: int) -> tuple[str, str]:
        """The (ecosystem, name) with this number, from 0."""
        place = self._group_starts[number]
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
        return self.records.advisory(number)

    def vulnerability(self, number: int) -> VulnerabilityRecord:
        """The vulnerability with this number, from 0."""
        return self.records.vulnerability(number)

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
