"""Ubuntu's CVE tracker as JSON: pages of ubuntu.com/security/cves.json, or one entry per line.

A release's status: `released` names the fixed version; `needed` and `deferred` are affected without
a fix yet; `pending` names the future fixed version, if known, and remains for years after its
release: only builds below it are affected. `ignored` counts as affected only if its text names one
of these statuses; `needs-triage` is unknown and matches nothing. ESM pockets are separate streams.
The tracker's `cvss` names the source of a vector: a vector from NVD is NVD's.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sidelight.advisories.feeds.formats.shape import is_rejected, items, mapping, text
from sidelight.advisories.rating import severity as severities
from sidelight.model import Advisory, Affected, Interval, VulnerabilityFact

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

CODENAMES = {
    "precise": "12.04",
    "trusty": "14.04",
    "xenial": "16.04",
    "artful": "17.10",
    "bionic": "18.04",
    "cosmic": "18.10",
    "disco": "19.04",
    "eoan": "19.10",
    "focal": "20.04",
    "groovy": "20.10",
    "hirsute": "21.04",
    "impish": "21.10",
    "jammy": "22.04",
    "kinetic": "22.10",
    "lunar": "23.04",
    "mantic": "23.10",
    "noble": "24.04",
    "oracular": "24.10",
    "plucky": "25.04",
    "questing": "25.10",
    "resolute": "26.04",
}
_OPEN = {"needed", "deferred", "pending"}
_NAMES_A_FIX = {"released", "pending"}
_WAS_OPEN = re.compile(r"was (?:needed|deferred|pending)(?: \[([0-9][^\s\]]*)\])?")
_VECTOR = re.compile(r"CVSS:[0-9.]+/\S+")
_NVD = "nvd"  # among the sources of `cvss`


def recognises(record: Mapping[str, object]) -> bool:
    """Return whether a JSON object is a page of the site, or one entry of the tracker."""
    if "cves" in record and "total_results" in record:
        return True
    return {"id", "priority", "packages"} <= record.keys()


def parse(record: Mapping[str, object]) -> Iterator[Advisory | VulnerabilityFact]:
    """Yield the advisories of a page, or of one entry. Raises DamagedError for another shape."""
    if "cves" in record:
        for entry in items(record, "cves"):
            yield from _records(entry, tuple(_of_page(entry)))
    else:
        yield from _records(record, tuple(_of_entry(record)))


def _records(
    entry: Mapping[str, object], rows: tuple[Affected, ...]
) -> Iterator[Advisory | VulnerabilityFact]:
    if is_rejected(text(entry, "description")):
        yield Advisory(text(entry, "id"), "Ubuntu", withdrawn=True)
        return
    yield _advisory(entry, rows)
    scores = entry.get("cvss")
    vectors = _VECTOR.findall(str(scores.get(_NVD, ""))) if isinstance(scores, dict) else []
    if vectors:
        yield VulnerabilityFact(text(entry, "id"), "NVD", vectors=tuple(vectors))


def _advisory(entry: Mapping[str, object], rows: tuple[Affected, ...]) -> Advisory:
    name = text(entry, "id")
    scores = entry.get("cvss")
    vectors_text = ""
    if isinstance(scores, dict):
        vectors_text = " ".join(str(vector) for source, vector in scores.items() if source != _NVD)
    impact = mapping(mapping(entry, "impact"), "baseMetricV3") if "impact" in entry else {}
    vectors_text += " " + text(mapping(impact, "cvssV3"), "vectorString")
    title = " ".join(text(entry, "description").split())
    return Advisory(
        id=name,
        source="Ubuntu",
        vulnerabilities=(name,) if name.startswith("CVE-") else (),
        title=title if len(title) <= 240 else title[:239] + "…",
        severity=severities.of_word(text(entry, "priority")),
        vectors=tuple(dict.fromkeys(_VECTOR.findall(vectors_text))),
        published=text(entry, "published") or text(entry, "public_date"),
        modified=text(entry, "updated_at"),
        affected=rows,
    )


def _of_entry(entry: Mapping[str, object]) -> Iterator[Affected]:
    releases = mapping(entry, "packages")
    for release in releases:
        stream, _slash, codename = release.rpartition("/")
        if codename == "esm":  # the older order: `trusty/esm`
            stream, codename = codename, stream
        packages = mapping(releases, release)
        for package in packages:
            release_status = mapping(packages, package)
            yield from _row(
                package,
                codename,
                stream,
                (text(release_status, "status"), text(release_status, "note")),
            )


def _of_page(entry: Mapping[str, object]) -> Iterator[Affected]:
    for package in items(entry, "packages"):
        for release_status in items(package, "statuses"):
            pocket = text(release_status, "pocket")
            stream = pocket if pocket.startswith(("esm", "fips", "realtime")) else ""
            status = text(release_status, "status"), text(release_status, "description")
            yield from _row(
                text(package, "name"), text(release_status, "release_codename"), stream, status
            )


def _row(
    package: str, codename: str, stream: str, status_and_note: tuple[str, str]
) -> Iterator[Affected]:
    status, note = status_and_note
    if codename not in CODENAMES:
        return
    if status in _NAMES_A_FIX and note[:1].isalnum() and " " not in note:
        interval = Interval(end=note)
    elif status in _OPEN:
        interval = Interval()
    elif status == "ignored" and (was_open := _WAS_OPEN.search(note)):
        interval = Interval(end=was_open[1] or "")
    else:
        return
    yield Affected(
        ecosystem=f"Ubuntu:{CODENAMES[codename]}",
        name=package,
        intervals=(interval,),
        stream=stream,
        state="" if status == "released" else status,
    )
