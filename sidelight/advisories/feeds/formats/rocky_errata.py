"""Rocky Linux's errata as JSON: the pages of errata.rockylinux.org and of its successor's API.

The older form lists builds per product under `rpms`, the newer one under `packages`, with modules.
Both have the vector of each CVE.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sidelight.advisories.feeds.formats.errata import Build, advisory, affected, split_name
from sidelight.advisories.feeds.formats.shape import items, mapping, text, texts
from sidelight.advisories.rating import severity as severities
from sidelight.advisories.rating.cvss import version_of
from sidelight.errors import DamagedError
from sidelight.model import VulnerabilityFact

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sidelight.model import Advisory

_SOURCE = "Rocky Linux"
_PRODUCT = re.compile(r"Rocky Linux (\d+)")


def recognises(record: Mapping[str, object]) -> bool:
    """Return whether a JSON object is an erratum, or a page of them."""
    return "advisories" in record or ("name" in record and "affectedProducts" in record)


def parse(record: Mapping[str, object]) -> Iterator[Advisory | VulnerabilityFact]:
    """Yield the advisories of a page, or of one erratum. Raises DamagedError for another shape."""
    for entry in items(record, "advisories") if "advisories" in record else [record]:
        cves = [text(item, "name") or text(item, "cve") for item in items(entry, "cves")]
        if not cves:
            continue
        if not text(entry, "name"):
            raise DamagedError("an erratum without a name")
        title = text(entry, "synopsis")
        builds: dict[str, list[Build]] = {}
        for major, build in (*_by_product(entry), *_by_package(entry)):
            builds.setdefault(major, []).append(build)
        severity = text(entry, "severity")
        yield advisory(
            text(entry, "name"),
            _SOURCE,
            tuple(
                row
                for major, major_builds in builds.items()
                for row in affected(major_builds, f"Rocky Linux:{major}", title=title)
            ),
            cves=cves,
            title=title,
            severity=severities.of_word(severity.removeprefix("SEVERITY_")),
            published=text(entry, "publishedAt") or text(entry, "published_at"),
        )
        yield from _vectors(entry)


def _vectors(entry: Mapping[str, object]) -> Iterator[VulnerabilityFact]:
    for item in items(entry, "cves"):
        name = text(item, "name") or text(item, "cve")
        vector = text(item, "cvss3ScoringVector") or text(item, "cvss3_scoring_vector")
        if name and version_of(vector):
            yield VulnerabilityFact(name, _SOURCE, vectors=(vector,))


def _by_product(entry: Mapping[str, object]) -> Iterator[tuple[str, Build]]:
    products = mapping(entry, "rpms")
    for product in products:
        for name in texts(mapping(products, product), "nvras"):
            parsed_name = split_name(name)
            if parsed_name is not None and parsed_name[1] != "src":
                yield product.rpartition(" ")[2], parsed_name[0]


def _by_package(entry: Mapping[str, object]) -> Iterator[tuple[str, Build]]:
    for package in items(entry, "packages"):
        parsed_name = split_name(text(package, "nevra"))
        match = _PRODUCT.match(text(package, "product_name"))
        if parsed_name is None or parsed_name[1] == "src" or match is None:
            continue
        name, stream = text(package, "module_name"), text(package, "module_stream")
        yield match[1], parsed_name[0]._replace(module=f"{name}:{stream}" if name else "")
