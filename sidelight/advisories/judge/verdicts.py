"""The verdict of all advisories together on one vulnerability in one package's version."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from sidelight.advisories.build_marks import UNKNOWN
from sidelight.advisories.judge import remedies
from sidelight.advisories.rating.adjusted_score import adjusted
from sidelight.advisories.rating.severity import of_score
from sidelight.model import Exposure, FindingType, FixAvailable, Severity
from sidelight.versions import sort_key

if TYPE_CHECKING:
    from sidelight.advisories.database.package_rows import Hit
    from sidelight.advisories.database.reader import AdvisoryDatabase
    from sidelight.advisories.database.records import AdvisoryRecord, Records, VulnerabilityRecord
    from sidelight.advisories.judge.streams import Label
    from sidelight.model import Package

    _Entries = list[tuple[Hit, AdvisoryRecord]]
    _Rating = tuple[int, str]  # minus the severity's rank, and its source

_SEVERITIES = tuple(Severity)
_REFERENCES = 10
# Ubuntu's states of a fixed version of which no source reports whether it was ever published.
_ON_ITS_WAY = ("pending", "ignored")
_UNKNOWN_STREAM = "module-stream-unknown"
# Streams whose builds are available only to subscribers.
_FOR_SUBSCRIBERS = ("esm", "pro", "els")


class Verdict(NamedTuple):
    """The members of a finding that are the same for all binaries of one source package.

    Their order is that of model.Finding's members.
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
    """Joins the advisories of one database into verdicts, and caches the verdicts."""

    def __init__(self, database: AdvisoryDatabase, exposure: Exposure) -> None:
        self._records: Records = database.records
        self._labels: list[Label] = database.labels
        self._exposure = exposure
        # The same errata fix all binaries of one source: their verdicts are the same.
        self._known: dict[tuple[str, int, tuple[Hit, ...]], Verdict] = {}

    def forget(self) -> None:
        """Clear the cache."""
        self._known.clear()

    def verdict(self, ecosystem: str, number: int, hits: list[Hit]) -> Verdict:
        """Return the verdict of one or more hits on the vulnerability with this number."""
        key = (ecosystem, number, tuple(hits))
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = self._verdict(ecosystem, number, hits)
        return known

    def _verdict(self, ecosystem: str, number: int, hits: list[Hit]) -> Verdict:
        vulnerability = self._records.vulnerability(number)
        entries = [(hit, self._records.advisory(hit.advisory)) for hit in hits]
        rating = _rating(entries, vulnerability, ecosystem)
        score, vectors = _scored(entries, vulnerability)
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
            _names(entries),
            vulnerability.title,
            "" if rating is None else rating[1],
            vector,
            score,
            _references(entries, vulnerability.id),
            vectors,
            vulnerability.epss,
            vulnerability.epss_percentile,
            vulnerability.exploited_since,
            _availability(hits, fix, stream, state),
            stream,
            state,
            *(own or (None, "")),
        )


class VersionHits(NamedTuple):
    """The database's hits for one version of a package, by the vulnerability's number."""

    judge: Judge
    ecosystem: str
    hits: dict[int, list[Hit]]

    def members(self, package: Package, number: int) -> tuple[Any, ...]:
        """Return the members of a Finding without its package, in their order."""
        verdict = self.judge.verdict(self.ecosystem, number, self.hits[number])
        return (
            *verdict[:_BEFORE_REMEDY],
            remedies.remedy(package, self.ecosystem, verdict),
            self.ecosystem,
            *verdict[_BEFORE_REMEDY:],
            FindingType.PACKAGE_VULNERABILITY,
        )


def _names(entries: _Entries) -> tuple[str, ...]:
    if len(entries) == 1:
        return (entries[0][1].id,)
    return tuple(sorted({advisory.id for _hit, advisory in entries}))


def _availability(hits: list[Hit], fix: Hit, stream: str, state: str) -> FixAvailable:
    if not fix.fixed:
        return FixAvailable.NO
    if state in _ON_ITS_WAY or (stream and stream.startswith(_FOR_SUBSCRIBERS)):
        return FixAvailable.PARTIAL
    if len(hits) > 1 and not all(hit.fixed for hit in hits):
        return FixAvailable.PARTIAL
    return FixAvailable.YES


def _rating(
    entries: _Entries, vulnerability: VulnerabilityRecord, ecosystem: str
) -> _Rating | None:
    """Return the severity and its source: the best authority, of equal ones the most severe.

    First the distribution for this package, then an advisory about this CVE alone, then the CVE's
    own records, last an erratum's overall severity for all its CVEs.
    """
    graded = max([hit.severity for hit, _advisory in entries])
    if graded:
        return 1 - graded, ecosystem.partition(":")[0]
    alone = [advisory for _hit, advisory in entries if len(advisory.vulnerabilities) == 1]
    rating = _highest_rating(alone) if alone else None
    if rating is not None:
        return rating
    if vulnerability.score is not None:
        return -of_score(vulnerability.score).rank, vulnerability.rated_by
    if vulnerability.severity is not None:
        return -vulnerability.severity, vulnerability.rated_by
    return _highest_rating([advisory for _hit, advisory in entries if advisory not in alone])


def _highest_rating(advisories: list[AdvisoryRecord]) -> _Rating | None:
    """Return the advisories' highest severity, else the severity of their highest score."""
    words = [(-item.severity, item.source) for item in advisories if item.severity is not None]
    if words:
        return min(words)
    scores = [(-of_score(i.score).rank, i.source) for i in advisories if i.score is not None]
    return min(scores) if scores else None


def _scored(
    entries: _Entries, vulnerability: VulnerabilityRecord
) -> tuple[float | None, tuple[tuple[str, str], ...]]:
    """Return the score, and all (source, vector) pairs, first the vector of the score.

    An advisory about this CVE alone goes first; the CVE's own vectors include those of all such
    advisories. An erratum's overall score for many CVEs counts only if there is no other.
    """
    for _hit, advisory in entries:
        if advisory.score is not None and len(advisory.vulnerabilities) == 1:
            first = (advisory.source, advisory.vectors[0])
            if vulnerability.vectors[:1] == (first,):
                return advisory.score, vulnerability.vectors
            others = [item for item in vulnerability.vectors if item[1] != first[1]]
            return advisory.score, (first, *others)
    if vulnerability.score is not None:
        return vulnerability.score, vulnerability.vectors
    for _hit, advisory in entries:
        if advisory.score is not None:
            return advisory.score, tuple((advisory.source, item) for item in advisory.vectors)
    return None, vulnerability.vectors


def _last_fix(hits: list[Hit], ecosystem: str) -> Hit:
    """Return the hit with the latest fixed version, which satisfies every advisory; else any."""
    fixes = [hit for hit in hits if hit.fixed]
    if not fixes:
        return hits[0]
    if len({hit.fixed for hit in fixes}) == 1:
        return fixes[0]
    return max(fixes, key=lambda hit: (sort_key(ecosystem, hit.fixed), hit.fixed))


def _references(entries: _Entries, vulnerability: str) -> tuple[str, ...]:
    urls = dict.fromkeys([url for _hit, advisory in entries for url in advisory.references])
    if vulnerability.startswith("CVE-"):
        urls[f"https://www.cve.org/CVERecord?id={vulnerability}"] = None
    return tuple(urls)[-_REFERENCES:]
