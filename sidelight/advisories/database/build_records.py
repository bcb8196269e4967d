"""The records that travel between the passes of a build, as JSON lists in the order of members."""

from __future__ import annotations

import json
from typing import NamedTuple, NotRequired, Self, TypedDict


def pack(value: object) -> bytes:
    """Return compact JSON; equal values have equal bytes. Unencodable characters become `?`."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8", "replace")


class FactRow(NamedTuple):
    """One source's facts of a vulnerability. `precedence`: a lower number decides.

    `severity` is a rank. `referenced`: an advisory is about the vulnerability.
    """

    precedence: int
    source: str
    vectors: list[str]
    severity: int | None
    title: str
    epss: float | None
    epss_percentile: float | None
    exploited_since: str
    referenced: bool

    @classmethod
    def unpack(cls, data: bytes) -> Self:
        """Decode the result of `pack`."""
        return cls._make(json.loads(data))


class JudgedFact(NamedTuple):
    """What the database records of a vulnerability; `vectors` are [source, vector] pairs."""

    title: str
    severity: int | None
    rated_by: str
    score: float | None
    vectors: list[list[str]]
    epss: float | None
    epss_percentile: float | None
    exploited_since: str


class AdvisoryRow(NamedTuple):
    """An advisory as a feed has it. `severity` is a rank; dates are ISO 8601, or empty."""

    aliases: list[str]
    vulnerabilities: list[str]
    severity: int | None
    title: str
    vectors: list[str]
    references: list[str]
    published: str
    modified: str

    @classmethod
    def unpack(cls, data: bytes) -> Self:
        """Decode the result of `pack`."""
        return cls._make(json.loads(data))

    def merge(self, other: AdvisoryRow) -> AdvisoryRow:
        """Add another file's record of the same advisory: the first value, all items of lists."""
        return AdvisoryRow(
            sorted({*self.aliases, *other.aliases}),
            sorted({*self.vulnerabilities, *other.vulnerabilities}),
            self.severity or other.severity,
            self.title or other.title,
            sorted({*self.vectors, *other.vectors}),
            sorted({*self.references, *other.references}),
            self.published or other.published,
            self.modified or other.modified,
        )


class ResolvedAdvisory(NamedTuple):
    """An advisory with its vulnerabilities after aliases; the best vector is the first."""

    about: list[str]
    severity: int | None
    title: str
    score: float | None
    vectors: list[str]
    references: list[str]
    published: str
    modified: str

    @classmethod
    def unpack(cls, data: bytes) -> Self:
        """Decode the result of `pack`."""
        return cls._make(json.loads(data))


class PackedSpan(NamedTuple):
    """A span of versions; the keys in hexadecimal."""

    introduced: str
    end: str
    flags: int
    text: str
    since: str


class AffectedRow(NamedTuple):
    """One advisory's entry on one package. `label` is [stream, module, state].

    `advisory` is the advisory's key; `rank` is the severity's rank + 1, 0 for none.
    """

    advisory: str
    label: list[str]
    rank: int
    spans: list[PackedSpan]

    @classmethod
    def unpack(cls, data: bytes) -> Self:
        """Decode the result of `pack`."""
        advisory, label, rank, spans = json.loads(data)
        return cls(advisory, label, rank, [PackedSpan._make(span) for span in spans])


class DatabaseContents(TypedDict):
    """The section `info` of an advisory database.

    `ecosystems`: numbers of affected ranges. `files`: [name, SHA-256] pairs. `latest`: the day of
    each ecosystem's newest advisory. `last_days`: by release, [day, source].
    `binary_sources`: by ecosystem, [offset, size] of its section (binary_sources.py); databases
    that were built before have none. `signals`: numbers of vulnerabilities in CISA's catalogue
    (`kev`) and with a score of FIRST (`epss`); older databases do not say.
    """

    advisories: int
    binary_sources: NotRequired[dict[str, tuple[int, int]]]
    ecosystems: dict[str, int]
    files: list[tuple[str, str]]
    latest: dict[str, str]
    last_days: dict[str, list[str]]
    newest: str
    packages: int
    problems: int
    rows: int
    signals: NotRequired[dict[str, int]]
    vulnerabilities: int
    withdrawn: int
