"""CISA's catalogue of known exploited vulnerabilities, as JSON (cisa.gov/known-exploited…)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sidelight.advisories.formats.shape import items, text
from sidelight.model import VulnerabilityFact

if TYPE_CHECKING:
    from collections.abc import Iterator


def recognises(record: dict[str, Any]) -> bool:
    """Whether a JSON object is the catalogue."""
    return "catalogVersion" in record and "vulnerabilities" in record


def parse(record: dict[str, Any]) -> Iterator[VulnerabilityFact]:
    """A fact a vulnerability. Raises DamagedError for another shape."""
    for item in items(record, "vulnerabilities"):
        name = text(item, "cveID")
        if name:
            yield VulnerabilityFact(
                id=name,
                source="CISA",
                title=text(item, "vulnerabilityName"),
                exploited_since=text(item, "dateAdded"),
            )
