"""Turn the sorted feed data into the database's records: facts, advisories and package rows."""

from __future__ import annotations

from array import array
from functools import reduce
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from sidelight.advisories.build_marks import UNKNOWN
from sidelight.advisories.database import digest
from sidelight.advisories.database.build_records import (
    AdvisoryRow,
    AffectedRow,
    FactRow,
    JudgedFact,
    ResolvedAdvisory,
    pack,
)
from sidelight.advisories.database.version_spans import Span
from sidelight.advisories.database.writer import Row
from sidelight.advisories.rating.vectors import chosen
from sidelight.model import VulnerabilityFact

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterator

    from sidelight.advisories.database.aliases import Aliases
    from sidelight.advisories.database.external_sort import Spill
    from sidelight.advisories.database.modules import Modules

# By an advisory's key (see place_of): its number and its digest.
Places: TypeAlias = "dict[bytes, tuple[int, bytes]]"

_FIRST = itemgetter(0)
# Sources on a CVE in the order of precedence; then all others, by name.
_SOURCES = ("NVD", "CVE", "Red Hat", "Ubuntu", "GitHub", "PyPA", "RustSec", "Go")
_PRECEDENCE = {source: number for number, source in enumerate(_SOURCES)}
_REFERENCES = 16
# Databases that judge independently: a rejected CVE does not withdraw their own advisory.
_OWN_JUDGEMENT = ("GHSA-", "PYSEC-", "RUSTSEC-", "GO-", "MAL-")


def place_of(name: str, source: str) -> bytes:
    """Return an advisory's unique key for the sorted passes."""
    return f"{name}\0{source}".encode()


def put_fact(facts: Spill, fact: VulnerabilityFact, *, referenced: bool = False) -> None:
    """Store one source's facts of a vulnerability; `referenced` if an advisory is about it."""
    severity = None if fact.severity is None else fact.severity.rank
    row = FactRow(
        precedence=_PRECEDENCE.get(fact.source, len(_PRECEDENCE)),
        source=fact.source,
        vectors=list(fact.vectors),
        severity=severity,
        title=fact.title,
        epss=fact.epss,
        epss_percentile=fact.epss_percentile,
        exploited_since=fact.exploited_since,
        referenced=referenced,
    )
    facts.put(fact.id.encode(), pack(row))


class Refused(NamedTuple):
    """The records to ignore: keys of withdrawn advisories, and rejected CVEs."""

    places: set[bytes]
    cves: set[str]


def resolve(
    advisories: Spill, aliases: Aliases, facts: Spill, resolved: Spill, refused: Refused
) -> None:
    """Set each advisory's vulnerabilities, now that all aliases are known; merge equal names.

    Rejected CVEs are removed; an advisory without other vulnerabilities is left out.
    """
    for place, same in groupby(advisories, key=_FIRST):
        if place in refused.places:
            continue
        row = reduce(AdvisoryRow.merge, (AdvisoryRow.unpack(value) for _again, value in same))
        name, source = place.decode().split("\0")
        known = aliases.vulnerabilities(name, row.aliases, row.vulnerabilities)
        about = _about(name, known, refused.cves)
        if not about:
            continue
        # An erratum's overall severity does not apply to each of its CVEs.
        alone = len(about) == 1
        for item in about:
            fact = VulnerabilityFact(
                id=item,
                source=source,
                vectors=tuple(row.vectors) if alone else (),
                title=row.title,
            )
            put_fact(facts, fact, referenced=True)
        best = chosen(row.vectors)
        advisory = ResolvedAdvisory(
            about=about,
            severity=row.severity,
            title=row.title,
            score=None if best is None else best[1],
            vectors=[best[0], *(v for v in row.vectors if v != best[0])] if best else row.vectors,
            references=row.references,
            published=row.published,
            modified=row.modified,
        )
        resolved.put(place, pack(advisory))


def _about(name: str, candidates: list[str], rejected: set[str]) -> list[str]:
    """Return the vulnerabilities that are not rejected; a language database's own id stays."""
    remaining = [item for item in candidates if item not in rejected]
    return [name] if not remaining and name.startswith(_OWN_JUDGEMENT) else remaining


def vulnerabilities(facts: Spill, numbers: dict[str, int], digests: bytearray) -> Iterator[bytes]:
    """Yield the fields of records.VulnerabilityRecord; fill `numbers` with each id's number."""
    for key, same in groupby(facts, key=_FIRST):
        facts_of_one = sorted((FactRow.unpack(value) for _key, value in same), key=itemgetter(0, 1))
        if not any(fact.referenced for fact in facts_of_one):
            continue  # no advisory is about it
        name = key.decode()
        numbers[name] = len(numbers)
        judged = _judged(facts_of_one)
        digests += digest.of_vulnerability(name, judged)
        yield pack([name, *judged])


def _judged(facts: list[FactRow]) -> JudgedFact:
    """Judge by the facts in the order of precedence: the first source with a value decides."""
    vectors: dict[str, str] = {}
    severity, rated_by, score, first = None, "", None, ""
    for fact in facts:
        best = chosen(fact.vectors)
        if best is not None and score is None:
            first, score = best
            rated_by, severity = fact.source, None
        if severity is None and score is None and fact.severity is not None:
            severity, rated_by = fact.severity, fact.source
        for vector in fact.vectors:
            vectors.setdefault(vector, fact.source)
    listed = sorted(vectors, key=lambda vector: vector != first)
    titles = [fact.title for fact in facts if fact.title]
    best_title = next((f.title for f in facts if f.source == "GitHub" and f.title), "")
    return JudgedFact(
        title=best_title or (titles[0] if titles else ""),
        severity=severity,
        rated_by=rated_by,
        score=score,
        vectors=[[vectors[vector], vector] for vector in listed],
        epss=next((f.epss for f in facts if f.epss is not None), None),
        epss_percentile=next(
            (f.epss_percentile for f in facts if f.epss_percentile is not None), None
        ),
        exploited_since=next((f.exploited_since for f in facts if f.exploited_since), ""),
    )


def advisories(resolved: Spill, numbers: dict[str, int], places: Places) -> Iterator[bytes]:
    """Yield records of advisories in layout.py's format; fill `places` with number and digest."""
    for key, value in resolved:
        name, source = key.decode().split("\0")
        advisory = ResolvedAdvisory.unpack(value)
        advisory = advisory._replace(references=advisory.references[:_REFERENCES])
        *shown, _published, _modified = advisory
        places[key] = len(places), digest.of([name, source, *shown])
        _about_names, *details = advisory
        vulnerability_numbers = [numbers[item] for item in advisory.about]
        head = array("I", [len(vulnerability_numbers), *vulnerability_numbers])
        yield head.tobytes() + pack([name, source, *details])


class PackageGroups:
    """The sorted rows, one package at a time.

    It counts packages, and rows by ecosystem; `digests` has one digest per package.
    """

    def __init__(self, rows: Spill, places: Places, counts: Counter[str], modules: Modules) -> None:
        self._rows = rows
        self._places = places
        self._counts = counts
        self._modules = modules
        self.count = 0
        self.digests = bytearray()

    def __iter__(self) -> Iterator[tuple[bytes, list[Row]]]:
        for key, same in groupby(self._rows, key=_FIRST):
            ecosystem = key.partition(b"\0")[0].decode()
            values = [value for _key, value in same]
            row_entries = [
                row for value in values if (row := self._row(value, ecosystem)) is not None
            ]
            if not row_entries:
                continue
            self.digests += digest.of_group(
                key, [(advisory_digest, value) for advisory_digest, value, _row in row_entries]
            )
            rows = {row for _digest, _value, row in row_entries}
            self.count += 1
            self._counts[ecosystem] += len(rows)
            yield key, sorted(rows)

    def _row(self, value: bytes, ecosystem: str) -> tuple[bytes, bytes, Row] | None:
        """Return the advisory's digest, the packed row, and the row; None for a skipped one."""
        row = AffectedRow.unpack(value)
        place = row.advisory.encode()
        if place not in self._places:
            return None
        stream, module, state = row.label
        if module == UNKNOWN:
            module = self._modules.of(place, ecosystem)
            value = pack(row._replace(label=[stream, module, state]))
        row_spans = tuple(
            Span(bytes.fromhex(span.introduced), bytes.fromhex(span.end), *span[2:])
            for span in row.spans
        )
        number, advisory_digest = self._places[place]
        return advisory_digest, value, Row(number, (stream, module, state), row.rank, row_spans)
