"""The database's making: feeds in, one sorted file out, in bounded memory."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Any

from sidelight.advisories import assemble, feeds
from sidelight.advisories.assemble import pack, place_of
from sidelight.advisories.compile import spans
from sidelight.advisories.end_of_life import LastDay
from sidelight.advisories.joining import Aliases
from sidelight.advisories.modules import Modules
from sidelight.advisories.spill import Spill
from sidelight.advisories.writer import Labels, Writer
from sidelight.errors import DamagedError, FormatError
from sidelight.model import Advisory, Affected, Problem, VulnerabilityFact

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

_PROBLEMS_KEPT = 100
_NAME = 1024  # characters of an id, an ecosystem or a package's name
_TICK = 1000  # records between two reports of progress


@dataclass(frozen=True, slots=True)
class BuildSummary:
    """What a build made. `rows` are pairs of a package and an advisory.

    `problems` are the first hundred of `problem_count` rows that are not in the database because
    their versions have no order here; `ecosystems` are (name, rows).
    """

    path: Path
    size: int
    sha256: str
    advisories: int
    vulnerabilities: int
    packages: int
    rows: int
    withdrawn: int
    problem_count: int
    problems: tuple[Problem, ...]
    ecosystems: tuple[tuple[str, int], ...]


@dataclass(slots=True)
class _Pass:
    """What the reading of the feeds gathers."""

    advisories: Spill
    facts: Spill
    rows: Spill
    aliases: Aliases = field(default_factory=Aliases)
    modules: Modules = field(default_factory=Modules)
    withdrawn: int = 0
    problem_count: int = 0
    problems: list[Problem] = field(default_factory=list)
    files: list[tuple[str, str]] = field(default_factory=list)
    newest: str = ""
    last_days: dict[str, LastDay] = field(default_factory=dict)

    def last_day(self, told: LastDay) -> None:
        """Keep the best word on a release: the first by rank, of equals the latest day."""
        known = self.last_days.setdefault(told.ecosystem, told)
        if (told.rank, -date.fromisoformat(told.day).toordinal(), told.source) < (
            known.rank, -date.fromisoformat(known.day).toordinal(), known.source
        ):  # fmt: skip
            self.last_days[told.ecosystem] = told

    def problem(self, where: str, what: str) -> None:
        self.problem_count += 1
        if len(self.problems) < _PROBLEMS_KEPT:
            self.problems.append(Problem(where, what))


def build(
    sources: Sequence[Path],
    out: Path,
    progress: Callable[[str, int], None] | None = None,
) -> BuildSummary:
    """Make a database of all that the sources say, and put it at `out` at once or not at all.

    `progress` is called with a file's name or a step's, and the records of it so far. The same
    sources, in any order, make the same bytes. Raises FormatError (with file and record), or
    UsageError for a source that is not there; then what was at `out` is as it was.
    """
    report = progress or (lambda _step, _count: None)
    with Spill() as advisories, Spill() as facts, Spill() as rows, Spill() as resolved:
        reading = _Pass(advisories, facts, rows)
        paths = {file.resolve(): file for source in sources for file in feeds.files(source)}
        for path in sorted(paths.values()):
            _read(path, reading, report)
        with Writer(out) as writer:
            report("joining", 0)
            assemble.resolve(advisories, reading.aliases, facts, resolved)
            numbers: dict[str, int] = {}
            digests = bytearray()
            writer.records("vulnerabilities", assemble.vulnerabilities(facts, numbers, digests))
            places: assemble.Places = {}
            writer.records("advisories", assemble.advisories(resolved, numbers, places))
            report("packages", 0)
            labels, counts = Labels(), Counter[str]()
            groups = assemble.Groups(rows, places, counts, reading.modules)
            writer.groups(iter(groups), labels)
            writer.plain("vulnerability_digests", digests)
            writer.plain("group_digests", groups.digests)
            info = _info(reading, counts, groups.count, len(numbers), len(places))
            size, digest = writer.finish(labels, info)
    return BuildSummary(
        path=out,
        size=size,
        sha256=digest,
        advisories=len(places),
        vulnerabilities=len(numbers),
        packages=groups.count,
        rows=sum(counts.values()),
        withdrawn=reading.withdrawn,
        problem_count=reading.problem_count,
        problems=tuple(reading.problems),
        ecosystems=tuple(sorted(counts.items())),
    )


def _read(path: Path, reading: _Pass, report: Callable[[str, int], None]) -> None:
    seen: dict[int, tuple[int, str]] = {}
    count = 0
    for count, item in enumerate(feeds.read(path), 1):
        if isinstance(item.parsed, Advisory):
            _once(item, item.parsed, seen)
            _take(item.where, item.parsed, reading)
        elif isinstance(item.parsed, VulnerabilityFact):
            _named(item.where, item.parsed.id)
            assemble.put_fact(reading.facts, item.parsed)
        elif isinstance(item.parsed, LastDay):
            _named(item.where, item.parsed.ecosystem)
            reading.last_day(item.parsed)
        else:
            reading.problem(f"{item.where}: {item.parsed.where}", item.parsed.what)
        if count % _TICK == 0:
            report(path.name, count)
    report(path.name, count)
    with path.open("rb") as stream:
        reading.files.append((path.name, hashlib.file_digest(stream, "sha256").hexdigest()))


def _once(item: feeds.Item, advisory: Advisory, seen: dict[int, tuple[int, str]]) -> None:
    """Real feeds repeat a record now and then; what they may not do is contradict it."""
    packages = frozenset((row.ecosystem, row.name) for row in advisory.affected)
    key = (advisory.id, advisory.source, frozenset() if item.is_unique else packages)
    said = hash(advisory)
    where = item.where.rpartition(": ")[2]
    earlier, place = seen.setdefault(hash(key), (said, where))
    if earlier != said:
        what = f"the id {advisory.id} is already at {place}, with other contents"
        raise DamagedError(what, where=item.where)


def _take(where: str, advisory: Advisory, reading: _Pass) -> None:
    if not advisory.affected:
        reading.withdrawn += advisory.withdrawn
        return
    names = (advisory.id, advisory.source, *advisory.vulnerabilities, *advisory.aliases)
    _named(
        where, *names, *(name for row in advisory.affected for name in (row.ecosystem, row.name))
    )
    reading.newest = max(reading.newest, advisory.modified)
    reading.aliases.add(advisory)
    name = place_of(advisory.id, advisory.source)
    for row in advisory.affected:
        _row(where, name, row, reading)
    severity = None if advisory.severity is None else advisory.severity.rank
    reading.advisories.put(
        name,
        pack(
            [
                advisory.aliases,
                advisory.vulnerabilities,
                severity,
                advisory.title,
                advisory.vectors,
                advisory.references,
                advisory.published,
                advisory.modified,
            ]
        ),
    )


def _named(where: str, *names: str) -> None:
    """Raise DamagedError for a name that cannot be a key: endless, or of no proper characters."""
    for name in names:
        if len(name) > _NAME or not name.isprintable():
            raise DamagedError(f"{name[:40]!r} of {len(name)} characters is no name", where=where)


def _row(where: str, advisory: bytes, row: Affected, reading: _Pass) -> None:
    place = f"{where}: {row.ecosystem} {row.name}"
    try:
        found, refused = spans(row)
    except FormatError as error:
        reading.problem(place, str(error))
        return
    if refused:
        listed = ", ".join(refused[:5])
        reading.problem(place, f"{len(refused)} versions without an order: {listed}")
    if row.module:
        reading.modules.add(advisory, row)
    if found:
        rank = 0 if row.severity is None else row.severity.rank + 1
        packed = [[s.introduced.hex(), s.end.hex(), s.flags, s.text, s.since] for s in found]
        label = [row.stream, row.module, row.state]
        key = f"{row.ecosystem}\0{row.name}".encode()
        value = pack([advisory.decode(), label, rank, packed])
        reading.rows.put(key, value)


def _info(
    reading: _Pass, counts: Counter[str], packages: int, vulnerabilities: int, advisories: int
) -> dict[str, Any]:
    return {
        "advisories": advisories,
        "ecosystems": dict(sorted(counts.items())),
        "files": sorted(reading.files),
        "last_days": {name: [a.day, a.source] for name, a in reading.last_days.items()},
        "newest": reading.newest,
        "packages": packages,
        "problems": reading.problem_count,
        "rows": sum(counts.values()),
        "vulnerabilities": vulnerabilities,
        "withdrawn": reading.withdrawn,
    }
