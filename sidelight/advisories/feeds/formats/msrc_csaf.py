"""Microsoft's CSAF documents (msrc.microsoft.com/csaf/advisories), one a vulnerability.

A product has the branches `<10.0.20348.2700` (affected) and `10.0.20348.2700` (fixed). A vendor fix
of the affected branch has the update's address (`https://support.microsoft.com/help/5041160`).
Only Windows Server is read, as in msrc_cvrf.py.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sidelight.advisories.feeds.formats import csaf, windows_rows
from sidelight.advisories.feeds.formats.shape import items, mapping, text, texts
from sidelight.errors import DamagedError, LimitError
from sidelight.model import Advisory, VulnerabilityFact

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sidelight.model import Affected

_SOURCE = "Microsoft"
_UPDATE = re.compile(r"(?:/help/|q=KB|/kb/)(\d{6,8})\b")
_RANGE = re.compile(r"< ?([\d.]{1,40})")


def recognises(record: Mapping[str, object]) -> bool:
    """Return whether a JSON object is a CSAF document of Microsoft's."""
    if not csaf.recognises(record):
        return False
    publisher = mapping(record, "document").get("publisher")
    name = publisher.get("name") if isinstance(publisher, dict) else ""
    return isinstance(name, str) and name.startswith("Microsoft")


def parse(record: Mapping[str, object]) -> Iterator[Advisory | VulnerabilityFact]:
    """Yield one advisory per vulnerability. Raises DamagedError for another shape."""
    tracking = mapping(mapping(record, "document"), "tracking")
    if not text(tracking, "id"):
        raise DamagedError("a document without an id")
    affected: dict[str, tuple[str, str]] = {}
    _branches(mapping(record, "product_tree"), "", affected, 0)
    for item in items(record, "vulnerabilities"):
        name = text(item, "cve")
        if not name:
            continue
        rows = dict.fromkeys(_rows(item, affected))
        scores = [mapping(score, "cvss_v3") for score in items(item, "scores")]
        vectors = dict.fromkeys(text(score, "vectorString") for score in scores)
        published = text(tracking, "initial_release_date")
        yield Advisory(
            id=name,
            source=_SOURCE,
            vulnerabilities=(name,),
            title=text(item, "title"),
            vectors=tuple(filter(None, vectors)),
            references=(f"https://msrc.microsoft.com/update-guide/vulnerability/{name}",),
            published=published,
            modified=text(tracking, "current_release_date"),
            affected=tuple(rows),
        )
        threats = [text(threat, "details") for threat in items(item, "threats")]
        if rows and any("Exploited:Yes" in details for details in threats):
            yield VulnerabilityFact(name, _SOURCE, exploited_since=published[:10])


def _branches(
    node: Mapping[str, object], product: str, affected: dict[str, tuple[str, str]], depth: int
) -> None:
    """Collect the product and the first fixed build of each affected product id."""
    if depth > csaf.MAX_DEPTH:
        raise LimitError(f"a product tree deeper than {csaf.MAX_DEPTH}")
    for branch in items(node, "branches"):
        category, name = text(branch, "category"), text(branch, "name")
        own = windows_rows.product(name) if category == "product_name" else product
        match = _RANGE.fullmatch(name) if category == "product_version_range" else None
        if match and own:
            product_id = text(mapping(branch, "product"), "product_id")
            affected[product_id] = (own, windows_rows.build(match[1]))
        _branches(branch, own, affected, depth + 1)


def _rows(
    vulnerability: Mapping[str, object], affected: dict[str, tuple[str, str]]
) -> Iterator[Affected]:
    updates: dict[str, str] = {}
    for item in items(vulnerability, "remediations"):
        match = _UPDATE.search(text(item, "url")) or _UPDATE.search(text(item, "details"))
        if text(item, "category") == "vendor_fix" and match:
            updates |= dict.fromkeys(texts(item, "product_ids"), windows_rows.update(match[1]))
    for product in texts(mapping(vulnerability, "product_status"), "known_affected"):
        name, build = affected.get(product, ("", ""))
        update = updates.get(product, "")
        if name and (build or update):
            yield windows_rows.fixed_by(name, build, update)
