"""What was read, sorted, becomes the database's records: facts judged, advisories merged, rows."""

from __future__ import annotations

import json
from array import array
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any, TypeAlias

from sidelight.advisories import digest
from sidelight.advisories.compile import Span
from sidelight.advisories.rating import chosen
from sidelight.advisories.streams import UNKNOWN
from sidelight.advisories.writer import Row
from sidelight.model import VulnerabilityFact

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterator

    from sidelight.advisories.joining import Aliases
    from sidelight.advisories.modules import Modules
    from sidelight.advisories.spill import Spill

# Of an advisory's place (see place_of): its number and its digest.
Places: TypeAlias = "dict[bytes, tuple[int, bytes]]"

_FIRST = itemgetter(0)
# Whose word on a CVE goes first; then all others, by name.
_SPEAKERS = ("NVD", "CVE", "Red Hat", "Ubuntu", "GitHub", "PyPA", "RustSec", "Go")
_REFERENCES = 16


def pack(value: object) -> bytes:
    """Compact JSON; equal values have equal bytes. What no encoding has becomes a question mark."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8", "replace")


def place_of(name: str, source: str) -> bytes:
    """What tells an advisory from all others, in sorted passes."""
    return f"{name}\0{source}".encode()


def put_fact(facts: Spill, fact: VulnerabilityFact, *, referenced: bool = False) -> None:
    """Keep what one source says of a vulnerability; `referenced` if an advisory is about it."""
    severity = None if fact.severity is None else fact.severity.rank
    said = [fact.vectors, severity, fact.title, fact.epss, fact.epss_percentile]
    speaker = _SPEAKERS.index(fact.source) if fact.source in _SPEAKERS else len(_SPEAKERS)
    facts.put(
        fact.id.encode(),
        pack([speaker, fact.source, *said, fact.exploited_since, referenced]),
    )


def resolve(advisories: Spill, aliases: Aliases, facts: Spill, resolved: Spill) -> None:
    """Tell what each advisory is about, now that all aliases are known, and merge equal names."""
    for place, same in groupby(advisories, key=_FIRST):
        merged = _merged([json.loads(value) for _place_again, value in same])
        name, source = place.decode().split("\0")
        names, known, severity, title, vectors = merged[:5]
        about = aliases.vulnerabilities(name, names, known)
        # What an erratum says of all its CVEs together is not what it says of each.
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


def vulnerabilities(facts: Spill, numbers: dict[str, int], digests: bytearray) -> Iterator[bytes]:
    """The fields of records.VulnerabilityRecord; in `numbers` the place of each id."""
    for key, same in groupby(facts, key=_FIRST):
        said = sorted((json.loads(value) for _key, value in same), key=itemgetter(0, 1))
        if not any(item[-1] for item in said):
            continue  # no advisory speaks of it
        name = key.decode()
        numbers[name] = len(numbers)
        judged = _judged(said)
        digests += digest.of_vulnerability(name, judged)
        yield pack([name, *judged])


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


def advisories(resolved: Spill, numbers: dict[str, int], places: Places) -> Iterator[bytes]:
    """Records of advisories as layout.py has them, and in `places` the place of each."""
    for key, value in resolved:
        name, source = key.decode().split("\0")
        about, severity, title, score, vectors, references, published, modified = json.loads(value)
        references = references[:_REFERENCES]
        shown = [name, source, about, severity, title, score, vectors, references]
        places[key] = len(places), digest.of(shown)
        about = array("I", [len(about), *(numbers[item] for item in about)])
        said = [severity, title, score, vectors, references, published, modified]
        yield about.tobytes() + pack([name, source, *said])


class Groups:
    """The sorted rows, a package at a time.

    Counts packages, and rows by ecosystem; `digests` has a digest a package.
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
            told = [self._row(value, ecosystem) for _key, value in same]
            self.digests += digest.of_group(key, [(said, value) for said, value, _row in told])
            rows = {row for _said, _value, row in told}
            self.count += 1
            self._counts[ecosystem] += len(rows)
            yield key, sorted(rows)

    def _row(self, value: bytes, ecosystem: str) -> tuple[bytes, bytes, Row]:
        """The digest of the row's advisory, what is said, and the row."""
        place, label, rank, packed = json.loads(value)
        if label[1] == UNKNOWN:
            label[1] = self._modules.of(place.encode(), ecosystem)
            value = pack([place, label, rank, packed])
        found = tuple(
            Span(bytes.fromhex(introduced), bytes.fromhex(end), flags, text, since)
            for introduced, end, flags, text, since in packed
        )
        number, said = self._places[place.encode()]
        return said, value, Row(number, (label[0], label[1], label[2]), rank, found)
