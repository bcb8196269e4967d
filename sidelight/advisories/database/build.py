"""Build the database: feeds in, one sorted file out, in bounded memory."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING

from sidelight.advisories.database import assemble
from sidelight.advisories.database.aliases import Aliases
from sidelight.advisories.database.assemble import place_of
from sidelight.advisories.database.binary_sources import TOO_MANY, BinarySourceTable
from sidelight.advisories.database.build_records import (
    AdvisoryRow,
    AffectedRow,
    PackedSpan,
    pack,
)
from sidelight.advisories.database.external_sort import Spill
from sidelight.advisories.database.modules import Modules
from sidelight.advisories.database.version_spans import spans
from sidelight.advisories.database.writer import Labels, Writer
from sidelight.advisories.ecosystems import is_looked_for
from sidelight.advisories.end_of_life import LastDay
from sidelight.advisories.feeds import read
from sidelight.advisories.feeds.formats import kev
from sidelight.advisories.feeds.read import UnknownFeedError
from sidelight.advisories.source_builds import SourceBuild
from sidelight.errors import DamagedError, FormatError
from sidelight.model import Advisory, Affected, Problem, VulnerabilityFact

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from sidelight.advisories.database.build_records import DatabaseContents

_CVE = re.compile(r"CVE-[0-9]{4}-[0-9]{4,}")
_PROBLEMS_KEPT = 100
_NAME = 1024  # characters of an id, an ecosystem or a package's name
_UNKNOWN_SHOWN = 50  # the most files of no known feed that one error names
_TICK = 1000  # records between two reports of progress


@dataclass(frozen=True, slots=True)
class BuildSummary:
    """The result of a build. `rows` are pairs of a package and an advisory.

    `problems` are the first hundred of `problem_count` rows that are not in the database because
    Sidelight cannot order their versions. `skipped` are the documents that `skip_unknown` skipped;
    `ecosystems` are (name, rows), `records` the (file, number of its records).
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
    skipped: tuple[Problem, ...]
    ecosystems: tuple[tuple[str, int], ...]
    records: tuple[tuple[Path, int], ...] = ()


@dataclass(slots=True)
class _Pass:
    """The data collected while reading the feeds."""

    advisories: Spill
    facts: Spill
    rows: Spill
    aliases: Aliases = field(default_factory=Aliases)
    modules: Modules = field(default_factory=Modules)
    binary_sources: BinarySourceTable = field(default_factory=BinarySourceTable)
    withdrawn: int = 0
    problem_count: int = 0
    problems: list[Problem] = field(default_factory=list)
    files: list[tuple[str, str]] = field(default_factory=list)
    newest: str = ""
    last_days: dict[str, LastDay] = field(default_factory=dict)
    withdrawn_places: set[bytes] = field(default_factory=set)
    rejected: set[str] = field(default_factory=set)  # CVEs that the CVE list has withdrawn
    latest: dict[str, str] = field(default_factory=dict)  # by ecosystem, the last day published
    records: dict[Path, int] = field(default_factory=dict)
    signals: Counter[str] = field(default_factory=Counter)

    def last_day(self, candidate: LastDay) -> None:
        """Keep the best source on a release: the first by rank, of equal ranks the latest day."""
        known = self.last_days.setdefault(candidate.ecosystem, candidate)
        if (candidate.rank, -date.fromisoformat(candidate.day).toordinal(), candidate.source) < (
            known.rank, -date.fromisoformat(known.day).toordinal(), known.source
        ):  # fmt: skip
            self.last_days[candidate.ecosystem] = candidate

    def signal(self, fact: VulnerabilityFact) -> None:
        """Count what a feed of exploitation says of a vulnerability."""
        # Others say of their own products what is exploited: without CISA's the rest is unknown.
        self.signals["kev"] += bool(fact.exploited_since) and fact.source == kev.SOURCE
        self.signals["epss"] += fact.epss is not None

    def problem(self, where: str, what: str) -> None:
        self.problem_count += 1
        if len(self.problems) < _PROBLEMS_KEPT:
            self.problems.append(Problem(where, what))


def build(
    sources: Sequence[Path],
    out: Path,
    progress: Callable[[str, int], None] | None = None,
    *,
    skip_unknown: bool = False,
) -> BuildSummary:
    """Build a database from all sources, and rename it to `out` atomically or not at all.

    `progress` is called with the name of a file or step, and its number of records so far. The
    same sources, in any order, give the same bytes. With `skip_unknown`, documents that are broken
    or of no known feed are skipped and listed in the summary, unless nothing of their feed (an
    archive, or a directory) would be left. Without it, the first broken document ends the build,
    and one error names all files of no known feed. Raises FormatError (with file and record), or
    UsageError for a missing source; then `out` is unchanged.
    """
    report = progress or (lambda _step, _count: None)
    with Spill() as advisories, Spill() as facts, Spill() as rows, Spill() as resolved:
        reading = _Pass(advisories, facts, rows)
        paths = {file.resolve(): file for source in sources for file in read.files(source)}
        skipped = _read_all(sorted(paths.values()), reading, report, skip_unknown=skip_unknown)
        with Writer(out) as writer:
            report("joining", 0)
            refused = assemble.Refused(reading.withdrawn_places, reading.rejected)
            assemble.resolve(advisories, reading.aliases, facts, resolved, refused)
            numbers: dict[str, int] = {}
            digests = bytearray()
            writer.records("vulnerabilities", assemble.vulnerabilities(facts, numbers, digests))
            places: assemble.Places = {}
            writer.records("advisories", assemble.advisories(resolved, numbers, places))
            report("packages", 0)
            labels, counts = Labels(), Counter[str]()
            groups = assemble.PackageGroups(rows, places, counts, reading.modules)
            writer.groups(iter(groups), labels)
            writer.plain("vulnerability_digests", digests)
            writer.plain("group_digests", groups.digests)
            sections = reading.binary_sources.sections()
            written = {name: writer.plain(f"binaries of {name}", data) for name, data in sections}
            info = _info(reading, counts, groups.count, len(numbers), len(places))
            info["binary_sources"] = written
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
        skipped=tuple(Problem(error.where, error.what) for error in skipped),
        ecosystems=tuple(sorted(counts.items())),
        records=tuple(reading.records.items()),
    )


def _read_all(
    paths: Sequence[Path],
    reading: _Pass,
    report: Callable[[str, int], None],
    *,
    skip_unknown: bool,
) -> list[FormatError]:
    """Read all files; return the errors of the skipped documents, if skipping is allowed."""
    skipped: list[FormatError] = []
    unknown: list[UnknownFeedError] = []
    losses: dict[Path, _Loss] = {}
    for path in paths:
        before = len(skipped)
        try:
            count = _read(path, reading, report, skipped if skip_unknown else None)
            feed = path if read.is_archive(path) else path.parent
            losses.setdefault(feed, _Loss()).add(count, skipped[before:])
            reading.records[path] = count
        except UnknownFeedError as error:
            if skip_unknown:
                raise  # a file whose beginning is a known feed's
            unknown.append(error)
    if len(unknown) == 1:
        raise unknown[0]
    if unknown:
        listed = "; ".join(map(str, unknown[:_UNKNOWN_SHOWN]))
        raise UnknownFeedError(f"{len(unknown)} files are of no known feed: {listed}")
    _refuse_lost(losses)
    return skipped


@dataclass(slots=True)
class _Loss:
    """The skipped documents of one feed: of an archive, or of a directory's own files."""

    records: int = 0
    skipped: int = 0
    broken: int = 0  # skipped documents that are of a known feed, or may be
    first: FormatError | None = None

    def add(self, records: int, skipped: Sequence[FormatError]) -> None:
        self.records += records
        self.skipped += len(skipped)
        self.broken += sum(not isinstance(error, UnknownFeedError) for error in skipped)
        self.first = self.first or next(iter(skipped), None)


def _refuse_lost(losses: dict[Path, _Loss]) -> None:
    """Raise DamagedError for a feed without any record: it would look like an empty feed.

    Files of no known feed in a directory are not a feed, unless there are no other files.
    """
    is_all = not any(loss.records for loss in losses.values())
    for feed, loss in losses.items():
        is_feed = loss.broken or is_all or read.is_archive(feed)
        if loss.skipped and not loss.records and is_feed:
            count = f"all {loss.skipped} documents" if loss.skipped > 1 else "the only document"
            what = f"{count} of this feed would be skipped; fetch it again, or leave it out"
            raise DamagedError(f"{what}; the first: {loss.first}", where=str(feed))


def _read(
    path: Path,
    reading: _Pass,
    report: Callable[[str, int], None],
    skipped: list[FormatError] | None,
) -> int:
    """Read one file; return the number of its records."""
    seen: dict[int, tuple[int, str]] = {}
    count = 0
    for count, item in enumerate(read.read(path, skipped), 1):
        if isinstance(item.parsed, Advisory):
            _once(item, item.parsed, seen)
            _take(item.where, item.parsed, reading)
        elif isinstance(item.parsed, VulnerabilityFact):
            _named(item.where, item.parsed.id)
            assemble.put_fact(reading.facts, item.parsed)
            reading.signal(item.parsed)
        elif isinstance(item.parsed, LastDay):
            _named(item.where, item.parsed.ecosystem)
            reading.last_day(item.parsed)
        elif isinstance(item.parsed, SourceBuild):
            _named(item.where, *item.parsed[:2], *item.parsed.binaries)
            if reading.binary_sources.add(item.parsed):
                reading.problem(item.where, TOO_MANY)
        else:
            reading.problem(f"{item.where}: {item.parsed.where}", item.parsed.what)
        if count % _TICK == 0:
            report(path.name, count)
    report(path.name, count)
    with path.open("rb") as stream:
        reading.files.append((path.name, hashlib.file_digest(stream, "sha256").hexdigest()))
    return count


def _once(item: read.FeedItem, advisory: Advisory, seen: dict[int, tuple[int, str]]) -> None:
    """Raise DamagedError for a contradictory duplicate. Real feeds sometimes repeat a record."""
    packages = frozenset((row.ecosystem, row.name) for row in advisory.affected)
    key = (advisory.id, advisory.source, frozenset() if item.is_unique else packages)
    contents = hash(advisory)
    where = item.where.rpartition(": ")[2]
    earlier, place = seen.setdefault(hash(key), (contents, where))
    if earlier != contents:
        what = f"the id {advisory.id} is already at {place}, with other contents"
        raise DamagedError(what, where=item.where)


def _take(where: str, advisory: Advisory, reading: _Pass) -> None:
    if advisory.withdrawn:
        _withdrawn(where, advisory, reading)
        return
    if not advisory.affected:
        return
    names = (advisory.id, advisory.source, *advisory.vulnerabilities, *advisory.aliases)
    _named(
        where, *names, *(name for row in advisory.affected for name in (row.ecosystem, row.name))
    )
    reading.newest = max(reading.newest, advisory.modified)
    reading.aliases.add(advisory)
    name = place_of(advisory.id, advisory.source)
    day = (advisory.published or advisory.modified)[:10]
    for row in advisory.affected:
        if not is_looked_for(row.ecosystem):
            continue
        _row(where, name, row, reading)
        reading.latest[row.ecosystem] = max(reading.latest.get(row.ecosystem, ""), day)
    severity = None if advisory.severity is None else advisory.severity.rank
    reading.advisories.put(
        name,
        pack(
            AdvisoryRow(
                list(advisory.aliases),
                list(advisory.vulnerabilities),
                severity,
                advisory.title,
                list(advisory.vectors),
                list(advisory.references),
                advisory.published,
                advisory.modified,
            )
        ),
    )


def _withdrawn(where: str, advisory: Advisory, reading: _Pass) -> None:
    """Ignore an advisory that its publisher has withdrawn, also in another feed's older copy.

    A withdrawn record of a CVE itself, from any publisher, counts as the CVE list's rejection.
    """
    _named(where, advisory.id, advisory.source)
    reading.withdrawn += 1
    reading.withdrawn_places.add(place_of(advisory.id, advisory.source))
    if _CVE.fullmatch(advisory.id):
        reading.rejected.add(advisory.id)


def _named(where: str, *names: str) -> None:
    """Raise DamagedError for a name that cannot be a key: too long, or not printable."""
    for name in names:
        if len(name) > _NAME or not name.isprintable():
            what = f"{name[:40]!r} of {len(name)} characters is not a name"
            raise DamagedError(what, where=where)


def _row(where: str, advisory: bytes, row: Affected, reading: _Pass) -> None:
    place = f"{where}: {row.ecosystem} {row.name}"
    try:
        row_spans, refused = spans(row)
    except FormatError as error:
        reading.problem(place, str(error))
        return
    if refused:
        listed = ", ".join(refused[:5])
        reading.problem(place, f"{len(refused)} versions without an order: {listed}")
    if row.module:
        reading.modules.add(advisory, row)
    if row_spans:
        rank = 0 if row.severity is None else row.severity.rank + 1
        packed = [PackedSpan(s.introduced.hex(), s.end.hex(), *s[2:]) for s in row_spans]
        label = [row.stream, row.module, row.state]
        key = f"{row.ecosystem}\0{row.name}".encode()
        value = pack(AffectedRow(advisory.decode(), label, rank, packed))
        reading.rows.put(key, value)


def _info(
    reading: _Pass, counts: Counter[str], packages: int, vulnerabilities: int, advisories: int
) -> DatabaseContents:
    return {
        "advisories": advisories,
        "ecosystems": dict(sorted(counts.items())),
        "files": sorted(reading.files),
        "latest": dict(sorted(reading.latest.items())),
        "last_days": {name: [a.day, a.source] for name, a in reading.last_days.items()},
        "newest": reading.newest,
        "packages": packages,
        "problems": reading.problem_count,
        "rows": sum(counts.values()),
        "signals": {name: reading.signals[name] for name in ("epss", "kev")},
        "vulnerabilities": vulnerabilities,
        "withdrawn": reading.withdrawn,
    }
