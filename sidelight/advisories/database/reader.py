"""Read the advisory database: one mapped file, of which a record is read only when needed."""

from __future__ import annotations

import hashlib
import json
import mmap
import os
import struct
import zlib
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any, Self

from sidelight.advisories.database import binary_sources, digest, layout
from sidelight.advisories.database.package_rows import PackageRows
from sidelight.advisories.database.records import Records
from sidelight.advisories.ecosystems import canonical, normal_name
from sidelight.advisories.end_of_life import LAST_DAY
from sidelight.closing import Closing
from sidelight.errors import DatabaseError
from sidelight.model import Affected, Interval, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from sidelight.advisories.database.binary_sources import BinarySources
    from sidelight.advisories.database.build_records import DatabaseContents
    from sidelight.advisories.database.package_rows import GroupRow
    from sidelight.advisories.database.records import AdvisoryRecord, VulnerabilityRecord

_SEVERITIES = (None, *Severity)


@dataclass(frozen=True, slots=True)
class DatabaseInfo:
    """The contents of a database. `newest` is the latest change that any advisory gives.

    `ecosystems` are (name, rows); `files` the (name, SHA-256) of its source files. `exploited` and
    `scored` are the vulnerabilities of CISA's catalogue and with an EPSS score: 0 without such a
    feed, None where the database was built before it said so.
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
    exploited: int | None
    scored: int | None


def _at_once(path: str, flags: int) -> int:
    """Open a file without waiting: a named pipe without a writer would never open."""
    return os.open(path, flags | os.O_NONBLOCK)


class AdvisoryDatabase(Closing):
    """An open database. Safe to share between threads; immutable."""

    def __init__(self, path: Path, data: mmap.mmap) -> None:
        self._path = path
        self._data = data
        fields = layout.HEADER.unpack_from(data)
        self._size: int = fields[3]
        offsets = fields[4:]
        self._sections = {
            name: (offsets[2 * i], offsets[2 * i + 1]) for i, name in enumerate(layout.SECTIONS)
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
        self._info: DatabaseContents = self._json("info")

    @classmethod
    def open(cls, path: Path) -> Self:
        """Map a database. It checks header, size and index; `verify` checks the whole file.

        Raises DatabaseError if the file is missing or damaged, or has another schema.
        """
        try:
            with open(path, "rb", opener=_at_once) as stream:
                data = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
        except FileNotFoundError as error:
            raise DatabaseError("there is no advisory database here", where=str(path)) from error
        except (OSError, ValueError) as error:
            what = getattr(error, "strerror", "") or str(error)
            raise DatabaseError(f"cannot be read: {what}", where=str(path)) from error
        try:
            _check(path, data)
            return cls(path, data)
        except (struct.error, ValueError, TypeError) as error:
            raise DatabaseError("its index is damaged", where=str(path)) from error

    def close(self) -> None:
        """Close the database; it cannot be used any more.

        The file stays mapped while any lazily loaded finding still refers to it.
        """
        vars(self).clear()

    def _view(self, name: str) -> memoryview:
        start, size = self._sections[name]
        return memoryview(self._data)[start : start + size]

    def _json(self, section: str) -> Any:
        return json.loads(self.section(section))

    @property
    def sha256(self) -> str:
        """The SHA-256 of the contents, which identifies the database."""
        start = layout.HEADER.size + layout.DIGEST_SIZE
        return self._data[start : start + layout.DIGEST_SIZE].hex()

    def info(self) -> DatabaseInfo:
        """Return the contents of the database."""
        return DatabaseInfo(
            path=self._path,
            size=self._size,
            sha256=self.sha256,
            schema=layout.SCHEMA,
            ecosystems=tuple(sorted(self._info["ecosystems"].items())),
            files=tuple((name, digest) for name, digest in self._info["files"]),
            advisories=self._info["advisories"],
            vulnerabilities=self._info["vulnerabilities"],
            packages=self._info["packages"],
            rows=self._info["rows"],
            withdrawn=self._info["withdrawn"],
            problems=self._info["problems"],
            newest=self._info["newest"],
            exploited=self._info.get("signals", {}).get("kev"),
            scored=self._info.get("signals", {}).get("epss"),
        )

    @property
    def ecosystems(self) -> frozenset[str]:
        """The names of the ecosystems that have advisories."""
        return frozenset(self._info["ecosystems"])

    @property
    def last_days(self) -> frozenset[tuple[str, str]]:
        """The (release, last day of free updates) from feeds."""
        return frozenset((name, day) for name, (day, _who) in self._info["last_days"].items())

    def last_day(self, *names: str) -> date | None:
        """Return the last day of free updates of the first known name, else None.

        The source is a feed of the database's build, else the table included in Sidelight.
        """
        last_days = self._info["last_days"]
        for name in names:
            if name in last_days:
                return date.fromisoformat(last_days[name][0])
            if name in LAST_DAY:
                return LAST_DAY[name]
        return None

    def latest(self, ecosystem: str) -> str:
        """Return the day (`2026-01-31`) of an ecosystem's newest advisory, "" if it has none."""
        return self._info.get("latest", {}).get(ecosystem, "")

    def binary_sources(self, ecosystem: str) -> BinarySources | None:
        """Return the source packages of a release's binaries; None if no feed lists them.

        It is decoded at each call. Raises DatabaseError.
        """
        place = self._info.get("binary_sources", {}).get(ecosystem)
        if place is None:
            return None
        start, size = place
        return binary_sources.decoded(self._data[start : start + size], str(self._path))

    def verify(self) -> None:
        """Check every byte. Raises DatabaseError if the contents do not match the digest."""
        digest = hashlib.sha256()
        for start in range(layout.HEADER_SIZE, self._size, 1 << 20):
            digest.update(self._data[start : min(start + (1 << 20), self._size)])
        if digest.hexdigest() != self.sha256:
            raise DatabaseError("its contents are damaged", where=str(self._path))

    def group(self, ecosystem: str, name: str) -> PackageRows | None:
        """Return all rows of a package, or None if no advisory is about it.

        `ecosystem` is the database's own name for it (see ecosystems.canonical).
        """
        entry = self._find(ecosystem, name)
        return None if entry is None else entry[1]

    def package_digest(self, ecosystem: str, name: str) -> str:
        """Return a digest in hexadecimal, equal in two databases with equal rows (digest.py).

        "" if no advisory is about the package.
        """
        entry = self._find(ecosystem, name)
        return "" if entry is None else self._digest("group_digests", entry[0], 1)

    def vulnerability_digest(self, vulnerability: str) -> str:
        """Return the digest of a vulnerability's facts including EPSS; "" for an unknown one."""
        number = self._numbered(vulnerability)
        return "" if number is None else self._digest("vulnerability_digests", number, 2)

    def named_vulnerability(self, vulnerability: str) -> VulnerabilityRecord | None:
        """Return a vulnerability by its id; None if no feed names it."""
        number = self._numbered(vulnerability)
        return None if number is None else self.vulnerability(number)

    def _numbered(self, vulnerability: str) -> int | None:
        """Return the number of a vulnerability, whose ids are sorted; None for an unknown one."""
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
            return None
        return low

    def _digest(self, section: str, number: int, words: int) -> str:
        start, size = self._sections[section][0], words * digest.SIZE
        return self._data[start + number * size : start + (number + 1) * size].hex()

    def _find(self, ecosystem: str, name: str) -> tuple[int, PackageRows] | None:
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
                    return number - 1, PackageRows(data, body + len(key), head)
            slot = (slot + 1) & mask

    def packages(self) -> Iterator[tuple[str, str]]:
        """Yield every (ecosystem, name) with advisories, in order."""
        for number in range(len(self._group_starts) - 1):
            yield self.package(number)

    def package(self, number: int) -> tuple[str, str]:
        """Return the (ecosystem, name) with this number, from 0."""
        offset = self._group_starts[number]
        body = offset + layout.GROUP.size
        key = self._data[body : body + layout.GROUP.unpack_from(self._data, offset)[0]]
        ecosystem, _nul, name = key.decode("utf-8", "surrogatepass").partition("\0")
        return ecosystem, name

    def section(self, name: str) -> bytes:
        """Return the bytes of one of the sections of layout.py."""
        start, size = self._sections[name]
        return self._data[start : start + size]

    def advisory(self, number: int) -> AdvisoryRecord:
        """Return the advisory with this number, from 0."""
        return self.records.advisory(number)

    def vulnerability(self, number: int) -> VulnerabilityRecord:
        """Return the vulnerability with this number, from 0."""
        return self.records.vulnerability(number)

    def lookup(self, ecosystem: str, name: str) -> Sequence[Affected]:
        """Return all affected versions of a package, by the feed's or the database's ecosystem.

        Versions are as the feeds write them; a single version is an interval of one version.
        """
        own, _stream = canonical(ecosystem)
        group = self.group(own, normal_name(own, name))
        if group is None:
            return ()
        return [self._affected(own, name, row) for row in group.rows()]

    def _affected(self, ecosystem: str, name: str, row: GroupRow) -> Affected:
        number, label, severity, row_spans = row
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
                for span in row_spans
            ),
            stream=stream,
            module=module,
            severity=_SEVERITIES[severity],
            state=state,
            advisory=self.advisory(number).id,
        )


def digest_of_file(path: Path) -> str:
    """Return the SHA-256 that a database's header names, without a check of its contents.

    Raises DatabaseError for a file that is none, or cannot be read.
    """
    start = layout.HEADER.size + layout.DIGEST_SIZE
    try:
        with path.open("rb") as stream:
            header = stream.read(start + layout.DIGEST_SIZE)
    except OSError as error:
        raise DatabaseError(f"cannot be read: {error.strerror}", where=str(path)) from error
    if not header.startswith(layout.MAGIC) or len(header) < start + layout.DIGEST_SIZE:
        raise DatabaseError("is not an advisory database", where=str(path))
    return header[start:].hex()


def _check(path: Path, data: mmap.mmap) -> None:
    where = str(path)
    if len(data) < layout.HEADER_SIZE or data[: len(layout.MAGIC)] != layout.MAGIC:
        raise DatabaseError("is not an advisory database", where=where)
    header = data[: layout.HEADER.size]
    _magic, schema, _flags, size, *offsets = layout.HEADER.unpack(header)
    if schema != layout.SCHEMA:
        what = f"its schema is {schema}, this version reads {layout.SCHEMA}: build it again"
        raise DatabaseError(what, where=where)
    if size != len(data):
        raise DatabaseError(f"it has {len(data)} of {size} bytes", where=where)
    index = hashlib.sha256()
    for number in range(layout.FIRST_OF_INDEX, len(layout.SECTIONS)):
        start, length = offsets[2 * number], offsets[2 * number + 1]
        if start + length > size:
            raise DatabaseError("its index is damaged", where=where)
        index.update(data[start : start + length])
    digest = hashlib.sha256(header + index.digest()).digest()
    if digest != data[layout.HEADER.size : layout.HEADER.size + layout.DIGEST_SIZE]:
        raise DatabaseError("its index is damaged", where=where)
