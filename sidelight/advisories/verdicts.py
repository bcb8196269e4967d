"""What all advisories together say of one vulnerability in one package's version."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from sidelight.advisories import remedies
from sidelight.advisories.environment import adjusted
from sidelight.advisories.severity import of_score
from sidelight.advisories.streams import UNKNOWN
from sidelight.model import Exposure, FindingType, FixAvailable, Severity
from sidelight.versions import sort_key

if TYPE_CHECKING:
    from sidelight.advisories.database import Database
    from sidelight.advisories.group import Hit
    from sidelight.advisories.records import AdvisoryRecord, Records, VulnerabilityRecord
    from sidelight.advisories.streams import Label
    from sidelight.model import Package

    _Told = list[tuple[Hit, AdvisoryRecord]]
    _Rating = tuple[int, str]  # minus the severity's rank, who says so

_SEVERITIES = tuple(Severity)
_REFERENCES = 10
# Ubuntu's words on a version that would mend: nobody says whether it was ever published.
_ON_ITS_WAY = ("pending", "ignored")
_UNKNOWN_STREAM = "module-stream-unknown"
# Streams whose builds not every user of the distribution may have.
_FOR_SUBSCRIBERS = ("esm", "pro", "els")


class Verdict(NamedTuple):
    """Everything of a finding that is the same for all binaries of one source package.

    In the order of model.Finding's members.
    """

    vulnerability: str
    severity: Severity
    fixed: str
    advisories: tuple[str, ...]
    title: str
    severity_source: str
    vector: str
    score: float | None
    references: tuple[str, ...]
    vectors: tuple[tuple[str, str], ...]
    epss: float | None
    epss_percentile: float | None
    exploited_since: str
    fix_available: FixAvailable
    stream: str
    state: str
    adjusted: float | None
    adjusted_vector: str


_BEFORE_REMEDY = Verdict._fields.index("stream")


class Judge:
    """Joins what the advisories of one database say, and remembers it."""

    def __init__(self, database: Database, exposure: Exposure) -> None:
        self._records: Records = database.records
        self._labels: list[Label] = database.labels
        self._exposure = exposure
        # Binaries of one source are mended by the same errata: these say the same of each.
        self._known: dict[tuple[str, int, tuple[Hit, ...]], Verdict] = {}

    def forget(self) -> None:
        """Drop what it remembers."""
        self._known.clear()

    def verdict(self, ecosystem: str, number: int, hits: list[Hit]) -> Verdict:
        """What the hits, one or more, say of the vulnerability with this number."""
        key = (ecosystem, number, tuple(hits))
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = self._verdict(ecosystem, number, hits)
        return known

    def _verdict(self, ecosystem: str, number: int, hits: list[Hit]) -> Verdict:
        vulnerability = self._records.vulnerability(number)
        told = [(hit, self._records.advisory(hit.advisory)) for hit in hits]
        rating = _rating(told, vulnerability, ecosystem)
        score, vectors = _scored(told, vulnerability)
        fix = hits[0] if len(hits) == 1 else _last_fix(hits, ecosystem)
        stream, module, state = self._labels[fix.label]
        if len(hits) > 1 and not state:
            states = [self._labels[hit.label][2] for hit in hits]
            state = next(filter(None, states), "")
        if module == UNKNOWN:
            state = state or _UNKNOWN_STREAM
        vector = vectors[0][1] if vectors else ""
        exploited = bool(vulnerability.exploited_since)
        own = adjusted(vector, vulnerability.epss, exploited=exploited, exposure=self._exposure)
        return Verdict(
            vulnerability.id,
            Severity.UNTRIAGED if rating is None else _SEVERITIES[-rating[0]],
            fix.fixed,
            _names(told),
            vulnerability.title,
            "" if rating is None else rating[1],
            vector,
            score,
            _references(told, vulnerability.id),
            vectors,
            vulnerability.epss,
            vulnerability.epss_percentile,
            vulnerability.exploited_since,
            _availability(hits, fix, stream, state),
            stream,
            state,
            *(own or (None, "")),
        )


class Answer(NamedTuple):
    """What the database has against one version of a package: hits by vulnerability's number."""

    judge: Judge
    ecosystem: str
    hits: dict[int, list[Hit]]

    def tell(self, package: Package, number: int) -> tuple[Any, ...]:
        """The members of a Finding but its package, in their order."""
        said = self.judge.verdict(self.ecosystem, number, self.hits[number])
        return (
            *said[:_BEFORE_REMEDY],
            remedies.remedy(package, self.ecosystem, said),
            self.ecosystem,
            *said[_BEFORE_REMEDY:],
            FindingType.PACKAGE_VULNERABILITY,
        )


def _names(told: _Told) -> tuple[str, ...]:
    if len(told) == 1:
        return (told[0][1].id,)
    return tuple(sorted({advisory.id for _hit, advisory in told}))


def _availability(hits: list[Hit], fix: Hit, stream: str, state: str) -> FixAvailable:
    if not fix.fixed:
        return FixAvailable.NO
    if state in _ON_ITS_WAY or (stream and stream.startswith(_FOR_SUBSCRIBERS)):
        return FixAvailable.PARTIAL
    if len(hits) > 1 and not all(hit.fixed for hit in hits):
        return FixAvailable.PARTIAL
    return FixAvailable.YES


def _rating(told: _Told, vulnerability: VulnerabilityRecord, ecosystem: str) -> _Rating | None:
    """How severe, and who says so: the best authority, and of equal ones the severest.

    The distribution for this package, then the advisory that is about this CVE alone, then the
    CVE's own records, last an erratum's word on all its CVEs together.
    """
    graded = max([hit.severity for hit, _advisory in told])
    if graded:
        return 1 - graded, ecosystem.partition(":")[0]
    alone = [advisory for _hit, advisory in told if len(advisory.vulnerabilities) == 1]
    found = _said(alone) if alone else None
    if found is not None:
        return found
    if vulnerability.score is not None:
        return -of_score(vulnerability.score).rank, vulnerability.rated_by
    if vulnerability.severity is not None:
        return -vulnerability.severity, vulnerability.rated_by
    return _said([advisory for _hit, advisory in told if advisory not in alone])


def _said(advisories: list[AdvisoryRecord]) -> _Rating | None:
    """The severest word of the advisories, else their highest score."""
    words = [(-item.severity, item.source) for item in advisories if item.severity is not None]
    if words:
        return min(words)
    scores = [(-of_score(i.score).rank, i.source) for i in advisories if i.score is not None]
    return min(scores) if scores else None


def _scored(
    told: _Told, vulnerability: VulnerabilityRecord
) -> tuple[float | None, tuple[tuple[str, str], ...]]:
    """The score, and all vectors with who gave them, first the one that the score is of.

    An advisory about this CVE alone goes first; the CVE's own vectors have those of all such
    advisories. What an erratum says of many CVEs together counts only where there is nothing else.
    """
    for _hit, advisory in told:
        if advisory.score is not None and len(advisory.vulnerabilities) == 1:
            first = (advisory.source, advisory.vectors[0])
            if vulnerability.vectors[:1] == (first,):
                return advisory.score, vulnerability.vectors
            others = [item for item in vulnerability.vectors if item[1] != first[1]]
            return advisory.score, (first, *others)
    if vulnerability.score is not None:
        return vulnerability.score, vulnerability.vectors
    for _hit, advisory in told:
        if advisory.score is not None:
            return advisory.score, tuple((advisory.source, item) for item in advisory.vectors)
    return None, vulnerability.vectors


def _last_fix(hits: list[Hit], ecosystem: str) -> Hit:
    """The hit with the latest fixed version, which satisfies every advisory; else any hit."""
    fixes = [hit for hit in hits if hit.fixed]
    if not fixes:
        return hits[0]
    if len({hit.fixed for hit in fixes}) == 1:
        return fixes[0]
    return max(fixes, key=lambda hit: (sort_key(ecosystem, hit.fixed), hit.fixed))


def _references(told: _Told, vulnerability: str) -> tuple[str, ...]:
    found = dict.fromkeys([url for _hit, advisory in told for url in advisory.references])
    if vulnerability.startswith("CVE-"):
        found[f"https://www.cve.org/CVERecord?id={vulnerability}"] = None
    return tuple(found)[-_REFERENCES:]
