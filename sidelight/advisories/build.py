"""The database's making: feeds in, one sorted file out, in bounded memory."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from dataclasses import dataclass, field
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from sidelight.advisories import feeds
from sidelight.advisories.compile import Span, spans
from sidelight.advisories.joining import Aliases
from sidelight.advisories.rating import chosen
from sidelight.advisories.spill import Spill
from sidelight.advisories.writer import Labels, Row, Writer
from sidelight.errors import DamagedError, FormatError
from sidelight.model import Advisory, Affected, Problem, VulnerabilityFact

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

_PROBLEMS_KEPT = 100
_NAME = 1024  # characters of an id, an ecosystem or a package's name
_TICK = 1000  # records between two reports of progress
_FIRST = itemgetter(0)
# Whose word on a CVE goes first; then all others, by name.
_SPEAKERS = ("NVD", "CVE", "Red Hat", "Ubuntu", "GitHub", "PyPA", "RustSec", "Go")
_REFERENCES = 16
Pairs = "Iterator[tuple[bytes, bytes]]"


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
    withdrawn: int = 0
    problem_count: int = 0
    problems: list[Problem] = field(default_factory=list)
    files: list[tuple[str, str]] = field(default_factory=list)
    newest: str = ""

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
            _resolve(reading, resolved)
            numbers: dict[str, int] = {}
            writer.records("vulnerabilities", _vulnerabilities(facts, numbers))
            places: dict[bytes, int] = {}
            writer.records("advisories", _numbered(resolved, numbers, places))
            report("packages", 0)
            labels, counts = Labels(), Counter[str]()
            groups = _Groups(rows, places, counts)
            writer.groups(iter(groups), labels)
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
            if item.is_unique:
                _once(item, seen)
            _take(item.where, item.parsed, reading)
        elif isinstance(item.parsed, VulnerabilityFact):
            _named(item.where, item.parsed.id)
            _fact(reading.facts, item.parsed)
        else:
            reading.problem(f"{item.where}: {item.parsed.where}", item.parsed.what)
        if count % _TICK == 0:
            report(path.name, count)
    report(path.name, count)
    with path.open("rb") as stream:
        reading.files.append((path.name, hashlib.file_digest(stream, "sha256").hexdigest()))


def _once(item: feeds.Item, seen: dict[int, tuple[int, str]]) -> None:
    """Real feeds repeat a record now and then; what they may not do is contradict it."""
    advisory = item.parsed
    if not isinstance(advisory, Advisory):
        return
    said = hash(advisory)
    where = item.where.rpartition(": ")[2]
    earlier, place = seen.setdefault(hash((advisory.id, advisory.source)), (said, where))
    if earlier != said:
        what = f"the id {advisory.id} is already at {place}, with other contents"
        raise DamagedError(what, where=item.where)


def _pack(value: object) -> bytes:
    """Compact JSON; equal values have equal bytes. What no encoding has becomes a question mark."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8", "replace")


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
    name = _place(advisory.id, advisory.source)
    for row in advisory.affected:
        _row(where, name, row, reading)
    severity = None if advisory.severity is None else advisory.severity.rank
    reading.advisories.put(
        name,
        _pack(
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
        if len(name) > _NAME or "\0" in name or (not name.isascii() and not _is_text(name)):
            raise DamagedError(f"{name[:40]!r} of {len(name)} characters is no name", where=where)


def _is_text(name: str) -> bool:
    return not any(0xD800 <= ord(char) <= 0xDFFF for char in name)


def _place(name: str, source: str) -> bytes:
    return f"{name}\0{source}".encode()


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
    if found:
        rank = 0 if row.severity is None else row.severity.rank + 1
        packed = [[s.introduced.hex(), s.end.hex(), s.flags, s.text, s.since] for s in found]
        label = [row.stream, row.module, row.state]
        key = f"{row.ecosystem}\0{row.name}".encode()
        value = _pack([advisory.decode(), label, rank, packed])
        reading.rows.put(key, value)


def _fact(facts: Spill, fact: VulnerabilityFact, *, referenced: bool = False) -> None:
    severity = None if fact.severity is None else fact.severity.rank
    said = [fact.vectors, severity, fact.title, fact.epss, fact.epss_percentile]
    speaker = _SPEAKERS.index(fact.source) if fact.source in _SPEAKERS else len(_SPEAKERS)
    facts.put(
        fact.id.encode(),
        _pack([speaker, fact.source, *said, fact.exploited_since, referenced]),
    )


def _resolve(reading: _Pass, resolved: Spill) -> None:
    """Tell what each advisory is about, now that all aliases are known, and merge equal names."""
    for place, same in groupby(reading.advisories, key=_FIRST):
        merged = _merged([json.loads(value) for _place_again, value in same])
        name, source = place.decode().split("\0")
        aliases, known, severity, title, vectors = merged[:5]
        about = reading.aliases.vulnerabilities(name, aliases, known)
        # What an erratum says of all its CVEs together is not what it says of each.
        alone = len(about) == 1
        for item in about:
            fact = VulnerabilityFact(
                id=item,
                source=source,
                vectors=tuple(vectors) if alone else (),
                title=title,
            )
            _fact(reading.facts, fact, referenced=True)
        best = chosen(vectors)
        score = None if best is None else best[1]
        vectors = [best[0], *(v for v in vectors if v != best[0])] if best else vectors
        resolved.put(place, _pack([about, severity, title, score, vectors, *merged[5:]]))


def _merged(same: list[list[Any]]) -> list[Any]:
    """One advisory out of what several files hold under its name: the first word, all lists."""
    if len(same) == 1:
        return same[0]
    out = list(same[0])
    for other in same[1:]:
        for place, value in enumerate(other):
            if isinstance(value, list):
                out[place] = sorted({*out[place], *value})
            elif not out[place]:
                out[place] = value
    return out


def _vulnerabilities(facts: Spill, numbers: dict[str, int]) -> Iterator[bytes]:
    """The fields of database.VulnerabilityRecord, and in `numbers` the place of each id."""
    for key, same in groupby(facts, key=_FIRST):
        said = sorted((json.loads(value) for _key, value in same), key=itemgetter(0, 1))
        if not any(item[-1] for item in said):
            continue  # no advisory speaks of it
        name = key.decode()
        numbers[name] = len(numbers)
        yield _pack([name, *_judged(said)])


def _judged(said: list[list[Any]]) -> list[Any]:
    vectors: dict[str, str] = {}
    severity, rated_by, score, first = None, "", None, ""
    for _speaker, source, own, own_severity, *_more in said:
        best = chosen(own)
        if best is not None and score is None:
            first, score = best
            rated_by, severity = source, None
        if severity is None and score is None and own_severity is not None:
            severity, rated_by = own_severity, source
        for vector in own:
            vectors.setdefault(vector, source)
    listed = sorted(vectors, key=lambda vector: vector != first)
    titles = [item[4] for item in said if item[4]]
    best_title = next((item[4] for item in said if item[1] == "GitHub" and item[4]), "")
    return [
        best_title or (titles[0] if titles else ""),
        severity,
        rated_by,
        score,
        [[vectors[vector], vector] for vector in listed],
        next((item[5] for item in said if item[5] is not None), None),
        next((item[6] for item in said if item[6] is not None), None),
        next((item[7] for item in said if item[7]), ""),
    ]


def _numbered(
    resolved: Spill, numbers: dict[str, int], places: dict[bytes, int]
) -> Iterator[bytes]:
    """The fields of database.AdvisoryRecord, and in `places` the place of each."""
    for key, value in resolved:
        name, source = key.decode().split("\0")
        about, severity, title, score, vectors, references, published, modified = json.loads(value)
        places[key] = len(places)
        about = [numbers[item] for item in about]
        references = references[:_REFERENCES]
        said = [severity, title, score, vectors, references, published, modified]
        yield _pack([name, source, about, *said])


class _Groups:
    """The sorted rows, a package at a time; counts packages, and rows by ecosystem."""

    def __init__(self, rows: Spill, places: dict[bytes, int], counts: Counter[str]) -> None:
        self._rows = rows
        self._places = places
        self._counts = counts
        self.count = 0

    def __iter__(self) -> Iterator[tuple[bytes, list[Row]]]:
        for key, same in groupby(self._rows, key=_FIRST):
            rows = {self._row(value) for _key, value in same}
            self.count += 1
            self._counts[key.partition(b"\0")[0].decode()] += len(rows)
            yield key, sorted(rows)

    def _row(self, value: bytes) -> Row:
        place, label, rank, packed = json.loads(value)
        found = tuple(
            Span(bytes.fromhex(introduced), bytes.fromhex(end), flags, text, since)
            for introduced, end, flags, text, since in packed
        )
        number = self._places[place.encode()]
        return Row(number, (label[0], label[1], label[2]), rank, found)


def _info(
    reading: _Pass, counts: Counter[str], packages: int, vulnerabilities: int, advisories: int
) -> dict[str, Any]:
    return {
        "advisories": advisories,
        "ecosystems": dict(sorted(counts.items())),
        "files": sorted(reading.files),
        "newest": reading.newest,
        "packages": packages,
        "problems": reading.problem_count,
        "rows": sum(counts.values()),
        "vulnerabilities": vulnerabilities,
        "withdrawn": reading.withdrawn,
    }
