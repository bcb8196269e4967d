"""OSV records (ossf.github.io/osv-schema, 1.0 to 1.7), whatever database they come from."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sidelight.advisories import severity as severities
from sidelight.advisories.ecosystems import canonical, normal_name
from sidelight.advisories.formats.shape import is_rejected, items, text, texts
from sidelight.errors import DamagedError, FormatError
from sidelight.model import Advisory, Affected, Interval, Problem
from sidelight.versions import pep440, sort_key
from sidelight.versions.rpm import without_epoch

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sidelight.model import Severity

# Who speaks, by the prefix of an id; the boolean tells errata of a distribution, whose `related`
# are the CVEs that they fix.
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
# Notices of kernel livepatches: what they mend is not in any package's version.
_LIVEPATCH = "LSN-"
# Errata that mend or add something: about security only if they name a CVE.
_NOT_SECURITY = ("ALBA-", "ALEA-", "RLBA-", "RLEA-", "RHBA-", "RHEA-")
_CVE = re.compile(r"CVE-\d{4}-\d{4,}")
_WITHDRAWN = re.compile(r"\W*(?:withdrawn|duplicate advisory)\b", re.IGNORECASE)
_OPENING = 400  # characters of a text in which it says that it was withdrawn
_TITLE = 240  # characters
_REFERENCES = 10
_WORD = re.compile(r"(Critical|Important|Moderate|Low):\s")
_RANGES = frozenset({"SEMVER", "ECOSYSTEM", "GIT"})
_UPPER = re.compile(r"<(=?) ?(\S+)")
_MODULE = re.compile(r"([\w.+-]+):([\w.+-]+)(?=[\s/]|$)")


def recognises(record: dict[str, Any]) -> bool:
    """Whether a JSON object is an OSV record."""
    return "id" in record and "modified" in record and not {"document", "vulns"} & record.keys()


def parse(record: dict[str, Any]) -> Iterator[Advisory | Problem]:
    """One record: its advisory (nothing if it is not about security), and what it lost.

    A row of versions that its ecosystem refuses is a Problem. Raises DamagedError where a field
    has not the shape that the schema says.
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
    cves = sorted({found for item in named for found in _CVE.findall(item)})
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


def _is_withdrawn(name: str, record: dict[str, Any]) -> bool:
    """Whether the text says so: a rejected CVE's, and GitHub's.

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


def _severity(record: dict[str, Any], specific: object, summary: str) -> Severity | None:
    """The vendor's word: GitHub's, Ubuntu's, or the one that opens an erratum's title."""
    words: list[object] = [specific.get("severity")] if isinstance(specific, dict) else []
    words += [text(item, "score") for item in items(record, "severity")]
    match = _WORD.match(summary)
    words += [match[1]] if match else []
    return next((found for word in words if (found := severities.of_word(word))), None)


def _vectors(record: dict[str, Any]) -> tuple[str, ...]:
    found = [text(item, "score") for item in items(record, "severity")]
    for row in items(record, "affected"):
        found += [text(item, "score") for item in items(row, "severity")]
    return tuple(dict.fromkeys(item for item in found if item.startswith(("CVSS:", "AV:"))))


def _affected(record: dict[str, Any], summary: str, problems: list[Problem]) -> Iterator[Affected]:
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
    row: dict[str, Any], name: str, ecosystem: str, specific: dict[str, Any]
) -> Iterator[tuple[str, tuple[Interval, ...]]]:
    """The names that installed packages have, and what is affected of each.

    SUSE names the source package and lists the binaries with their own fixed versions. Rocky Linux
    names the source package alone (the database's `src:<name>`), and of an epoch its last digit:
    so none is kept.
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
    found: list[Interval] = []
    for span in items(row, "ranges"):
        kind, events = text(span, "type"), items(span, "events")
        if kind not in _RANGES or not events:
            raise DamagedError(f"a range of {name} of type {kind[:40]!r}, of {len(events)} events")
        if kind != "GIT":
            found += intervals_of([*events, *_last_known(row, events)], ecosystem)
    if is_source:
        yield f"src:{name}", tuple(replace(span, end=without_epoch(span.end)) for span in found)
    else:
        yield name, tuple(found)


def _last_known(row: dict[str, Any], events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """GitHub's upper bound of a range that nobody has fixed, which it tells beside the events."""
    specific = row.get("database_specific")
    told = specific.get("last_known_affected_version_range") if isinstance(specific, dict) else None
    match = _UPPER.fullmatch(told) if isinstance(told, str) else None
    if match is None or any("introduced" not in event for event in events):
        return []
    return [{"last_affected" if match[1] else "fixed": match[2]}]


def intervals_of(events: list[dict[str, Any]], ecosystem: str) -> list[Interval]:
    """The intervals that a range's events bound, ordered as the ecosystem orders versions.

    Raises FormatError where a version has no place in that order.
    """
    placed: list[tuple[bytes, str, str]] = []
    for event in events:
        for kind in ("introduced", "fixed", "last_affected"):
            version = event.get(kind)
            if isinstance(version, str):
                is_start = kind == "introduced" and version == "0"
                told = kind, version
                if ecosystem == "PyPI" and kind != "introduced":
                    told = _regular_end(kind, version)
                placed.append((b"" if is_start else sort_key(ecosystem, told[1]), *told))
    placed.sort(key=lambda item: item[0])  # events at one version keep the feed's order
    found: list[Interval] = []
    start: str | None = None
    for place, kind, version in placed:
        if kind == "introduced":
            start = start if start is not None else ("" if place == b"" else version)
        elif start is not None:
            found.append(Interval(start, version, end_included=kind == "last_affected"))
            start = None
    if start is not None:
        found.append(Interval(start))
    return found


def _regular_end(kind: str, version: str) -> tuple[str, str]:
    """An end that PEP 440 refuses, as `1.9.0ubuntu1.2`, as the end of the release it is a build of.

    It would sort below all regular versions, and its range would be empty, or without end.
    """
    beginning = pep440.regular_beginning(version)
    return ("last_affected", beginning) if beginning else (kind, version)


def _module(intervals: tuple[Interval, ...], summary: str) -> str:
    """`name:stream` of an rpm module build; `?` where only the version tells that it is one."""
    if not any(".module" in interval.end for interval in intervals):
        return ""
    match = _MODULE.search(_WORD.sub("", summary.removeprefix("Red Hat Security Advisory: ")))
    return f"{match[1]}:{match[2]}" if match else "?"
