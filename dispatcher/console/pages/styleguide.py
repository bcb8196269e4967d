"""All parts on one page."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from dispatcher.console.lists import ListColumn, Listing, ListRow
from dispatcher.console.page import ConsolePage, TemplateAnswer
from sidelight.model import Role

if TYPE_CHECKING:
    from dispatcher.console.page import DownloadAnswer, PageRequest

_COLUMNS = (
    ListColumn("name", "Name", sort="name"),
    ListColumn("severity", "Severity", "severity"),
    ListColumn("instance", "Instance", "id"),
    ListColumn("counts", "Findings", "severities"),
    ListColumn("flags", "Flags", "flags", narrow=True),
    ListColumn("seen", "Seen", "time", sort="seen"),
    ListColumn("cost", "Cost", "usd", sort="cost"),
    ListColumn("status", "Status", "status"),
)
_COUNTS = {
    "CRITICAL": 2,
    "HIGH": 31,
    "MEDIUM": 220,
    "LOW": 1204,
    "INFORMATIONAL": 12,
    "UNTRIAGED": 7,
}


def styleguide(request: PageRequest) -> TemplateAnswer | DownloadAnswer:
    """Show every part with samples."""
    listing = Listing(request, "Samples", _COLUMNS, sort="name")
    rows = [
        ListRow(
            {
                "name": f"web-{number}", "severity": grade,
                "instance": f"i-0123456789abcde{number:02x}",
                "counts": _COUNTS, "flags": ["Exploited", "No fix"], "cost": 0.0021 * number,
                "seen": request.now - timedelta(hours=number), "status": "ACTIVE",
            },
            href="#", key=str(number), notes={"name": "Debian 12"},
        )
        for number, grade in enumerate(_COUNTS)
    ]  # fmt: skip
    if listing.format:
        return listing.download_items(rows, "samples")
    data = {"counts": _COUNTS, "t": listing.in_memory(rows)}
    return TemplateAnswer("styleguide.html", data)


PAGES = (ConsolePage("/styleguide", "Style guide", styleguide, role=Role.ADMINISTRATOR),)
