"""updateinfo.xml: Amazon Linux, Bottlerocket, Fedora, EPEL, AlmaLinux, Rocky Linux.

(rpm-software-management.github.io, "updateinfo"; createrepo_c). It is read element by element, with
one update in memory.
"""

from __future__ import annotations

import re
from typing import IO, TYPE_CHECKING
from xml.etree.ElementTree import ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import iterparse

from sidelight.advisories.feeds.formats import alas
from sidelight.advisories.feeds.formats.errata import Build, advisory, affected
from sidelight.advisories.rating import severity as severities
from sidelight.errors import DamagedError
from sidelight.model import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator
    from xml.etree.ElementTree import Element

    from sidelight.model import Advisory

ROOT = "updates"
_FEDORA = re.compile(r"Fedora (EPEL )?(\d+)( Modular)?")
_RELEASE = re.compile(r"\.(?:el|module\+el|module_el)(\d+)")


def parse(stream: IO[bytes]) -> Iterator[Advisory | Problem]:
    """Yield every security update. Raises DamagedError for an incomplete XML document."""
    updates, element = 0, None
    try:
        for _event, element in iterparse(stream, events=("end",), forbid_dtd=True):
            if element.tag == "update":
                updates += 1
                yield from _update(element)
                element.clear()
        if element is not None and not updates and len(element):
            raise DamagedError(f"no update in it, but {element[0].tag[:40]!r}")
    except (ParseError, DefusedXmlException) as error:
        raise DamagedError(f"not XML, or cut off: {error}") from error


def _update(update: Element) -> Iterator[Advisory | Problem]:
    if not update.get("type"):
        raise DamagedError("an update without a type")
    if update.get("type") != "security":
        return
    name = (update.findtext("id") or "").strip()
    if not name:
        raise DamagedError("a security update without an id")
    title = update.findtext("title") or update.findtext("summary") or ""
    rows = update.findall("pkglist/collection/package")
    builds = [
        Build(
            row.get("name", ""),
            row.get("epoch") or "",
            row.get("version", ""),
            row.get("release", ""),
        )
        for row in rows
    ]
    if not all(build.name and build.version and build.release for build in builds):
        raise DamagedError(f"{name} has a package without a name, a version or a release")
    source, ecosystem, stream = _place(name, update, builds)
    if not ecosystem:
        yield Problem(name, "the update does not name its distribution's release")
        return
    references = update.findall("references/reference")
    cve_texts = [row.get("id", "") for row in references if row.get("type") == "cve"]
    cve_texts += [row.get("title", "") for row in references]
    yield advisory(
        name,
        source,
        affected(builds, ecosystem, stream=stream, title=title),
        cves=[*cve_texts, update.findtext("description") or ""]
        if source == "Fedora"
        else cve_texts,
        title=title.rpartition(f"{name}: ")[2],
        severity=severities.of_word(update.findtext("severity")),
        references=[row.get("href", "") for row in references],
        published=_date(update, "issued"),
        modified=_date(update, "updated"),
    )


def _date(update: Element, tag: str) -> str:
    element = update.find(tag)
    return "" if element is None else element.get("date", "")


def _place(name: str, update: Element, builds: list[Build]) -> tuple[str, str, str]:
    """Return the source, the ecosystem and the stream."""
    if name.startswith("ALAS"):
        release, stream = alas.of_id(name)
        return "Amazon", f"Amazon Linux:{release}", stream
    release_name = update.findtext("release") or update.findtext("pkglist/collection/name") or ""
    if release_name == "Bottlerocket":
        return "Bottlerocket", "Bottlerocket", ""
    if name.startswith("FEDORA-") and not release_name:
        raise DamagedError(f"{name} does not name its release")
    if match := _FEDORA.match(release_name):
        kind = "EPEL" if match[1] else "Fedora"
        return "Fedora", f"{kind}:{match[2]}", ""
    majors = {match[1] for build in builds if (match := _RELEASE.search("." + build.release))}
    major = majors.pop() if len(majors) == 1 else ""
    distribution = {"AL": "AlmaLinux", "RL": "Rocky Linux", "RX": "Rocky Linux"}.get(name[:2], "")
    return distribution, f"{distribution}:{major}" if distribution and major else "", ""
