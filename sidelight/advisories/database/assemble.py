"""Turn the sorted feed data into the database's records: facts, advisories and package rows."""

from __future__ import annotations

import json
from array import array
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from sidelight.advisories.build_marks import UNKNOWN
from sidelight.advisories.database import digest
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
_SPEAKERS = ("NVD", "CVE", "Red Hat", "Ubuntu", "GitHub", "PyPA", "RustSec", "Go")
_REFERENCES = 16
# Databases that judge independently: a rejected CVE does not withdraw their own advisory.
_OWN_JUDGEMENT = ("GHSA-", "PYSEC-", "RUSTSEC-", "GO-", "MAL-")


def pack(value: object) -> bytes:
    """Return compact JSON; equal values have equal bytes. Unencodable characters become `?`."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8", "replace")


def place_of(name: str, source: str) -> bytes:
    """Return an advisory's unique key for the sorted passes."""
    return f"{name}\0{source}".encode()


def put_fact(facts: Spill, fact: VulnerabilityFact, *, referenced: bool = False) -> None:
    """Store one source's facts of a vulnerability; `referenced` if an advisory is about it."""
    severity = None if fact.severity is None else fact.severity.rank
    values = [fact.vectors, severity, fact.title, fact.epss, fact.epss_percentile]
    speaker = _SPEAKERS.index(fact.source) if fact.source in _SPEAKERS else len(_SPEAKERS)
    facts.put(
        fact.id.encode(),
        pack([speaker, fact.source, *values, fact.exploited_since, referenced]),
    )


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
        merged = _merged([json.loads(value) for _place_again, value in same])
        name, source = place.decode().split("\0")
        names, known, severity, title, vectors = merged[:5]
        about = _about(name, aliases.vulnerabilities(name, names, known), refused.cves)
        if not about:
            continue
        # An erratum's overall severity does not apply to each of its CVEs.
        alone = len(about) == 1
        for item in about:
            fact = VulnerabilityFact(
                id=item,
                source=source,
                vectors=tuple(vectors) if alone else (),
                title=title,
            )
            put_fact(facts, fact, referenced=True)
        best = chosen(vectors)
        score = None if best is None else best[1]
        vectors = [best[0], *(v for v in vectors if v != best[0])] if best else vectors
        resolved.put(place, pack([about, severity, title, score, vectors, *merged[5:]]))


def _about(name: str, candidates: list[str], rejected: set[str]) -> list[str]:
    """Return the vulnerabilities that are not rejected; a language database's own id stays."""
    remaining = [item for item in candidates if item not in rejected]
    return [name] if not remaining and name.startswith(_OWN_JUDGEMENT) else remaining


def _merged(same: list[list[Any]]) -> list[Any]:
    """Merge one advisory's records from several files: the first value, all items of lists."""
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


def vulnerabilities(facts: Spill, numbers: dict[str, int], digests: bytearray) -> Iterator[bytes]:
    """Yield the fields of records.VulnerabilityRecord; fill `numbers` with each id's number."""
    for key, same in groupby(facts, key=_FIRST):
        facts_of_one = sorted((json.loads(value) for _key, value in same), key=itemgetter(0, 1))
        if not any(item[-1] for item in facts_of_one):
            continue  # no advisory is about it
        name = key.decode()
        numbers[name] = len(numbers)
        judged = _judged(facts_of_one)
        digests += digest.of_vulnerability(name, judged)
        yield pack([name, *judged])


def _judged(facts: list[list[Any]]) -> list[Any]:
    vectors: dict[str, str] = {}
    severity, rated_by, score, first = None, "", None, ""
    for _speaker, source, own, own_severity, *_more in facts:
        best = chosen(own)
        if best is not None and score is None:
            first, score = best
            rated_by, severity = source, None
        if severity is None and score is None and own_severity is not None:
            severity, rated_by = own_severity, source
        for vector in own:
            vectors.setdefault(vector, source)
    listed = sorted(vectors, key=lambda vector: vector != first)
    titles = [item[4] for item in facts if item[4]]
    best_title = next((item[4] for item in facts if item[1] == "GitHub" and item[4]), "")
    return [
        best_title or (titles[0] if titles else ""),
        severity,
        rated_by,
        score,
        [[vectors[vector], vector] for vector in listed],
        next((item[5] for item in facts if item[5] is not None), None),
        next((item[6] for item in facts if item[6] is not None), None),
        next((item[7] for item in facts if item[7]), ""),
    ]


def advisories(resolved: Spill, numbers: dict[str, int], places: Places) -> Iterator[bytes]:
    """Yield records of advisories in layout.py's format; fill `places` with number and digest."""
    for key, value in resolved:
        name, source = key.decode().split("\0")
        about, severity, title, score, vectors, references, published, modified = json.loads(value)
        references = references[:_REFERENCES]
        shown = [name, source, about, severity, title, score, vectors, references]
        places[key] = len(places), digest.of(shown)
        about = array("I", [len(about), *(numbers[item] for item in about)])
        details = [severity, title, score, vectors, references, published, modified]
        yield about.tobytes() + pack([name, source, *details])


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
        place, label, rank, packed = json.loads(value)
        if place.encode() not in self._places:
            return None
        if label[1] == UNKNOWN:
            label[1] = self._modules.of(place.encode(), ecosystem)
            value = pack([place, label, rank, packed])
        row_spans = tuple(
            Span(bytes.fromhex(introduced), bytes.fromhex(end), flags, text, since)
            for introduced, end, flags, text, since in packed
        )
        number, advisory_digest = self._places[place.encode()]
        return advisory_digest, value, Row(number, (label[0], label[1], label[2]), rank, row_spans)
