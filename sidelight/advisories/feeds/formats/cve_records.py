"""CVE records, version 5 (github.com/CVEProject/cvelistV5): build ranges of Windows Server.

Microsoft's records name a product and its affected builds (`10.0.20348.0` to below
`10.0.20348.2700`), but no update. Records of other authorities give vectors and titles only: they
do not name packages as a package manager does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sidelight.advisories.feeds.formats import windows_rows
from sidelight.advisories.feeds.formats.errata import CVE
from sidelight.advisories.feeds.formats.shape import items, mapping, text
from sidelight.errors import DamagedError
from sidelight.model import Advisory, Affected, Interval, VulnerabilityFact

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_METRICS = ("cvssV3_1", "cvssV3_0", "cvssV4_0", "cvssV2_0")


def recognises(record: Mapping[str, object]) -> bool:
    """Return whether a JSON object is a CVE record."""
    return record.get("dataType") == "CVE_RECORD"


def parse(record: Mapping[str, object]) -> Iterator[Advisory | VulnerabilityFact]:
    """Yield Microsoft's advisory, or another authority's fact. Raises DamagedError for bad shapes.

    A rejected record is a withdrawn advisory.
    """
    metadata = mapping(record, "cveMetadata")
    name = text(metadata, "cveId")
    if not CVE.fullmatch(name):
        raise DamagedError(f"a record of {name[:40]!r}, which is not a CVE")
    if text(metadata, "state") == "REJECTED":
        yield Advisory(name, "CVE", withdrawn=True)
        return
    container = mapping(mapping(record, "containers"), "cna")
    vectors = tuple(
        vector
        for metric in items(container, "metrics")
        for version in _METRICS
        if (vector := text(mapping(metric, version), "vectorString"))
    )
    if text(metadata, "assignerShortName") != "microsoft":
        yield VulnerabilityFact(name, "CVE", vectors=vectors, title=text(container, "title"))
        return
    yield Advisory(
        id=name,
        source="Microsoft",
        vulnerabilities=(name,),
        title=text(container, "title"),
        vectors=tuple(dict.fromkeys(vectors)),
        references=tuple(text(item, "url") for item in items(container, "references")),
        published=text(metadata, "datePublished"),
        modified=text(metadata, "dateUpdated"),
        affected=tuple(dict.fromkeys(_rows(container))),
    )


def _rows(container: Mapping[str, object]) -> Iterator[Affected]:
    for item in items(container, "affected"):
        name = windows_rows.product(text(item, "product"))
        for version in items(item, "versions") if name else ():
            first, end = (windows_rows.build(text(version, key)) for key in ("version", "lessThan"))
            if text(version, "status") == "affected" and end:
                yield Affected(windows_rows.ECOSYSTEM, name, (Interval(first, end),))
