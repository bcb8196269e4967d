"""OSV records (ossf.github.io/osv-schema, 1.0 to 1.7) of any database."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import unquote

from sidelight.advisories.ecosystems import canonical, normal_name
from sidelight.advisories.feeds.formats.shape import is_rejected, items, text, texts
from sidelight.advisories.rating import severity as severities
from sidelight.advisories.source_builds import SourceBuild
from sidelight.errors import DamagedError, FormatError
from sidelight.model import Advisory, Affected, Interval, Problem
from sidelight.versions import pep440, sort_key
from sidelight.versions.rpm import without_epoch

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sidelight.model import Severity

# The source, by the prefix of an id; True for a distribution's errata, whose `related` are the CVEs
# that they fix.
_SOURCES = (
    ("GHSA-", "GitHub", False),
    ("PYSEC-", "PyPA", False),
    ("RUSTSEC-", "RustSec", False),
    ("GO-", "Go", False),
    ("MAL-", "OpenSSF", False),
    ("ALPINE-", "Alpine", False),
    ("DEBIAN-", "Debian", False),
    ("UBUNTU-", "Ubuntu", False),
    ("CVE-", "CVE", False),
    ("DSA-", "Debian", True),
    ("DLA-", "Debian", True),
    ("DTSA-", "Debian", True),
    ("USN-", "Ubuntu", True),
    ("ALSA-", "AlmaLinux", True),
    ("ALBA-", "AlmaLinux", True),
    ("ALEA-", "AlmaLinux", True),
    ("RLSA-", "Rocky Linux", True),
    ("RXSA-", "Rocky Linux", True),
    ("RLBA-", "Rocky Linux", True),
    ("RLEA-", "Rocky Linux", True),
    ("RHSA-", "Red Hat", True),
    ("RHBA-", "Red Hat", True),
    ("RHEA-", "Red Hat", True),
    ("SUSE-", "SUSE", True),
    ("openSUSE-", "openSUSE", True),
)
# Notices of kernel livepatches: no package version contains their fix.
_LIVEPATCH = "LSN-"
# Errata that fix or add something: about security only if they name a CVE.
_NOT_SECURITY = ("ALBA-", "ALEA-", "RLBA-", "RLEA-", "RHBA-", "RHEA-")
_CVE = re.compile(r"CVE-\d{4}-\d{4,}")
_WITHDRAWN = re.compile(r"\W*(?:withdrawn|duplicate advisory)\b", re.IGNORECASE)
_OPENING = 400  # characters at the beginning of a text that may declare its withdrawal
_TITLE = 240  # characters
_REFERENCES = 10
_WORD = re.compile(r"(Critical|Important|Moderate|Low):\s")
_LISTS_BINARIES = "Ubuntu:"  # the ecosystems whose records list what dpkg installs of a source
_RANGES = frozenset({"SEMVER", "ECOSYSTEM", "GIT"})
_UPPER = re.compile(r"<(=?) ?(\S+)")
_MODULE = re.compile(r"(?<![\w.+-])([\w.+-]++):([\w.+-]++)(?=[\s/]|$)")


def recognises(record: Mapping[str, object]) -> bool:
    """Return whether a JSON object is an OSV record."""
    return "id" in record and "modified" in record and not {"document", "vulns"} & record.keys()


def parse(record: Mapping[str, object]) -> Iterator[Advisory | Problem | SourceBuild]:
    """Yield a record's advisory (nothing if it is not about security), and its problems.

    Also the binaries that each affected source package of Ubuntu builds.

    A row of versions that its ecosystem refuses is a Problem. Raises DamagedError if a field does
    not have the schema's shape.
    """
    name = text(record, "id")
    if not name:
        raise DamagedError("a record without an id")
    if name.startswith(_LIVEPATCH):
        return
    if record.get("withdrawn") or _is_withdrawn(name, record):
        yield Advisory(name, _source(name)[0], withdrawn=True)
        return
    source, is_erratum = _source(name)
    aliases = texts(record, "aliases")
    named = [name, *aliases, *texts(record, "upstream")]
    if is_erratum:
        named += texts(record, "related")
    cves = sorted({cve for item in named for cve in _CVE.findall(item)})
    if not cves and name.startswith(_NOT_SECURITY):
        return
    summary, details = text(record, "summary"), text(record, "details")
    specific = record.get("database_specific") or {}
    problems: list[Problem] = []
    affected = tuple(_affected(record, summary, problems))
    yield from problems
    yield Advisory(
        id=name,
        source=source,
        aliases=tuple(alias for alias in aliases if not _CVE.fullmatch(alias)),
        vulnerabilities=tuple(cves),
        title=_title(summary, details),
        severity=_severity(record, specific, summary),
        vectors=_vectors(record),
        references=tuple(text(item, "url") for item in items(record, "references")[:_REFERENCES]),
        published=text(record, "published"),
        modified=text(record, "modified"),
        affected=affected,
    )
    yield from _source_builds(record)


def _source_builds(record: Mapping[str, object]) -> Iterator[SourceBuild]:
    """Yield the binaries of each source package: `{"binary_name", "binary_version"}` each.

    Records before schema 1.6.3 have `{name: version, ...}` in their place.
    """
    for row in items(record, "affected"):
        package, specific = row.get("package"), row.get("ecosystem_specific")
        if not isinstance(package, dict) or not isinstance(specific, dict):
            continue
        ecosystem, _stream = canonical(text(package, "ecosystem"))
        if not ecosystem.startswith(_LISTS_BINARIES) or not specific.get("binaries"):
            continue
        built = {
            name: version
            for item in items(specific, "binaries")
            for name, version in _built(item).items()
        }
        own = _source_versions(row, text(package, "purl"))
        others = frozenset(name for name, version in built.items() if version not in own)
        yield SourceBuild(ecosystem, text(package, "name"), tuple(built), others)


def _built(item: Mapping[str, object]) -> dict[str, str]:
    if "binary_name" in item:
        return {text(item, "binary_name"): text(item, "binary_version")}
    return {name: text(item, name) for name in item}


def _source_versions(row: Mapping[str, object], purl: str) -> set[str]:
    """Return the versions of a source package that a row names: its newest, fixes, and all."""
    versions = set(texts(row, "versions"))
    versions.add(unquote(purl.partition("@")[2].partition("?")[0]))
    for span in items(row, "ranges"):
        versions.update(text(event, "fixed") for event in items(span, "events"))
    versions.discard("")
    return versions


def _is_withdrawn(name: str, record: Mapping[str, object]) -> bool:
    """Return whether the text declares a withdrawal: that of a rejected CVE, and GitHub's.

    Some of GitHub's mirrors lose the field, and keep the text.
    """
    summary, details = text(record, "summary"), text(record, "details")
    if not name.startswith("GHSA-"):
        return is_rejected(details)
    return bool(_WITHDRAWN.match(summary) or _WITHDRAWN.match(details)) or (
        "has been withdrawn" in details[:_OPENING]
    )


def _source(name: str) -> tuple[str, bool]:
    for prefix, source, is_erratum in _SOURCES:
        if name.startswith(prefix):
            return source, is_erratum
    return name.partition("-")[0], False


def _title(summary: str, details: str) -> str:
    chosen = summary or details.partition("\n")[0]
    chosen = " ".join(chosen.split())
    return chosen if len(chosen) <= _TITLE else chosen[: _TITLE - 1].rstrip() + "…"


def _severity(record: Mapping[str, object], specific: object, summary: str) -> Severity | None:
    """Return the vendor's severity: GitHub's, Ubuntu's, or the first word of an erratum's title."""
    words: list[object] = [specific.get("severity")] if isinstance(specific, dict) else []
    words += [text(item, "score") for item in items(record, "severity")]
    match = _WORD.match(summary)
    words += [match[1]] if match else []
    return next((severity for word in words if (severity := severities.of_word(word))), None)


def _vectors(record: Mapping[str, object]) -> tuple[str, ...]:
    scores = [text(item, "score") for item in items(record, "severity")]
    for row in items(record, "affected"):
        scores += [text(item, "score") for item in items(row, "severity")]
    return tuple(dict.fromkeys(item for item in scores if item.startswith(("CVSS:", "AV:"))))


def _affected(
    record: Mapping[str, object], summary: str, problems: list[Problem]
) -> Iterator[Affected]:
    for row in items(record, "affected"):
        package = row.get("package")
        if not isinstance(package, dict) or not package.get("ecosystem"):
            continue  # only a range of commits
        feed_name = text(package, "ecosystem")
        ecosystem, stream = canonical(feed_name)
        specific = row.get("ecosystem_specific")
        specific = specific if isinstance(specific, dict) else {}
        urgency = text(specific, "urgency") or text(specific, "ubuntu_priority")
        try:
            packages = list(_packages(row, text(package, "name"), ecosystem, specific))
        except DamagedError:
            raise
        except FormatError as error:
            problems.append(Problem(f"{feed_name} {text(package, 'name')}", str(error)))
            continue
        for name, intervals in packages:
            yield Affected(
                ecosystem=ecosystem,
                name=normal_name(ecosystem, name),
                intervals=intervals,
                versions=texts(row, "versions"),
                stream=stream,
                module=_module(intervals, summary),
                severity=severities.of_word(urgency),
                state="end-of-life" if urgency == "end-of-life" else "",
            )


def _packages(
    row: Mapping[str, object], name: str, ecosystem: str, specific: dict[str, object]
) -> Iterator[tuple[str, tuple[Interval, ...]]]:
    """Yield the names of installed packages, with the affected versions of each.

    SUSE names the source package and lists the binaries with their own fixed versions. Rocky Linux
    names only the source package (the database's `src:<name>`), and only the last digit of an
    epoch: so no epoch is kept.
    """
    is_source = ecosystem.startswith("Rocky Linux:")
    if ecosystem.startswith(("SUSE", "openSUSE")):
        binaries = [pair for item in items(specific, "binaries") for pair in item.items()]
        for binary, fixed in binaries:
            if isinstance(fixed, str):
                yield binary, (Interval(end=fixed),)
        if binaries:
            return
    if not name:
        raise DamagedError("a package without a name")
    intervals: list[Interval] = []
    for span in items(row, "ranges"):
        kind, events = text(span, "type"), items(span, "events")
        if kind not in _RANGES or not events:
            raise DamagedError(f"a range of {name} of type {kind[:40]!r}, of {len(events)} events")
        if kind != "GIT":
            intervals += intervals_of([*events, *_last_known(row, events)], ecosystem)
    if is_source:
        yield f"src:{name}", tuple(replace(span, end=without_epoch(span.end)) for span in intervals)
    else:
        yield name, tuple(intervals)


def _last_known(
    row: Mapping[str, object], events: list[dict[str, object]]
) -> list[dict[str, object]]:
    """Return GitHub's upper bound of an unfixed range, which is in a field outside the events."""
    specific = row.get("database_specific")
    upper_bound = (
        specific.get("last_known_affected_version_range") if isinstance(specific, dict) else None
    )
    match = _UPPER.fullmatch(upper_bound) if isinstance(upper_bound, str) else None
    if match is None or any("introduced" not in event for event in events):
        return []
    return [{"last_affected" if match[1] else "fixed": match[2]}]


def intervals_of(events: list[dict[str, object]], ecosystem: str) -> list[Interval]:
    """Return the intervals between a range's events, in the ecosystem's order of versions.

    Raises FormatError if a version cannot be ordered.
    """
    placed: list[tuple[bytes, str, str]] = []
    for event in events:
        for kind in ("introduced", "fixed", "last_affected"):
            version = event.get(kind)
            if isinstance(version, str):
                is_start = kind == "introduced" and version == "0"
                boundary = kind, version
                if ecosystem == "PyPI" and kind != "introduced":
                    boundary = _regular_end(kind, version)
                placed.append((b"" if is_start else sort_key(ecosystem, boundary[1]), *boundary))
    # Events are in any order. Of those at one version a beginning goes before an end that is
    # included; else they keep the feed's order.
    placed.sort(key=lambda item: (item[0], item[1] == "last_affected"))
    intervals: list[Interval] = []
    start: str | None = None
    for place, kind, version in placed:
        if kind == "introduced":
            start = start if start is not None else ("" if place == b"" else version)
        elif start is not None:
            intervals.append(Interval(start, version, end_included=kind == "last_affected"))
            start = None
    if start is not None:
        intervals.append(Interval(start))
    return intervals


def _regular_end(kind: str, version: str) -> tuple[str, str]:
    """Replace an end that PEP 440 refuses, as `1.9.0ubuntu1.2`, by that of its base release.

    It would sort below all regular versions, and its range would be empty, or unlimited.
    """
    beginning = pep440.regular_beginning(version)
    return ("last_affected", beginning) if beginning else (kind, version)


def _module(intervals: tuple[Interval, ...], summary: str) -> str:
    """Return an rpm module build's `name:stream`; `?` if only the version marks it as one."""
    if not any(".module" in interval.end for interval in intervals):
        return ""
    match = _MODULE.search(_WORD.sub("", summary.removeprefix("Red Hat Security Advisory: ")))
    return f"{match[1]}:{match[2]}" if match else "?"
