"""CISA's catalogue of known exploited vulnerabilities, as JSON (cisa.gov/known-exploited…)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sidelight.advisories.feeds.formats.shape import items, text
from sidelight.errors import DamagedError
from sidelight.model import VulnerabilityFact

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

SOURCE: Final = "CISA"


def recognises(record: Mapping[str, object]) -> bool:
    """Return whether a JSON object is the catalogue."""
    return "catalogVersion" in record and "vulnerabilities" in record


def parse(record: Mapping[str, object]) -> Iterator[VulnerabilityFact]:
    """Yield one fact per vulnerability.

    Raises DamagedError for another shape, an empty catalogue, and a duplicate name.
    """
    listed = items(record, "vulnerabilities")
    if not listed:
        raise DamagedError("a catalogue without a vulnerability")
    seen: set[str] = set()
    for number, item in enumerate(listed, 1):
        name = text(item, "cveID")
        if not name or name in seen:
            raise DamagedError(
                f"vulnerability {number} has no `cveID`, or one again: {name[:40]!r}"
            )
        seen.add(name)
        yield VulnerabilityFact(
            id=name,
            source=SOURCE,
            title=text(item, "vulnerabilityName"),
            exploited_since=text(item, "dateAdded"),
        )
