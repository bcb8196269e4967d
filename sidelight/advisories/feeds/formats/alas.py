"""Amazon Linux security advisories as JSON, with the contents of updateinfo.xml.

It has the same fields, with names in CamelCase; `_repo` is `2/core`, `2/extras/docker`,
`2023/kernel-livepatch`, if the copy has it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sidelight.advisories.feeds.formats.errata import Build, advisory, affected
from sidelight.advisories.feeds.formats.shape import items, mapping, text
from sidelight.advisories.rating import severity as severities

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sidelight.model import Advisory

_ID = re.compile(r"ALAS(2022|2023|2)?(.*?)-\d{4}-\d+")


def recognises(record: Mapping[str, object]) -> bool:
    """Return whether a JSON object is an ALAS advisory."""
    return str(record.get("ID", "")).startswith("ALAS") and "Pkglist" in record


def parse(record: Mapping[str, object]) -> Iterator[Advisory]:
    """Yield one advisory. Raises DamagedError if a field does not have ALAS's shape."""
    name = text(record, "ID")
    release, stream = _place(name, text(record, "_repo"))
    collection = mapping(mapping(record, "Pkglist"), "Collection")
    builds = [
        Build(
            text(row, "Name"),
            text(row, "Epoch"),
            text(row, "Version"),
            text(row, "Release"),
        )
        for row in items(collection, "Package")
    ]
    references = items(mapping(record, "References"), "Reference")
    yield advisory(
        name,
        "Amazon",
        affected(builds, f"Amazon Linux:{release}", stream=stream),
        cves=[text(row, "ID") for row in references if text(row, "Type") == "cve"],
        title=text(record, "Title").rpartition(f"{name}: ")[2],
        severity=severities.of_word(text(record, "Severity")),
        references=[text(row, "Href") for row in references],
        published=text(mapping(record, "Issued"), "Date"),
        modified=text(mapping(record, "Updated"), "Date"),
    )


def _place(name: str, repository: str) -> tuple[str, str]:
    """Return the release and the stream: `2`, `extras/docker`."""
    if repository:
        release, _slash, rest = repository.partition("/")
        return release, "" if rest == "core" else rest.replace("kernel-livepatch", "livepatch")
    return of_id(name)


def of_id(name: str) -> tuple[str, str]:
    """Return the release and the stream in an advisory's id: `ALAS2DOCKER-2021-001`."""
    match = _ID.match(name)
    if match is None:
        return "", ""
    release, topic = match[1] or "2018.03", match[2].lower()
    if not topic or release != "2":
        return release, topic
    return release, f"extras/{topic}"
