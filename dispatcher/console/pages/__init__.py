"""The pages. A module has its own in its `PAGES`; this list and the rail register them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from dispatcher.console.pages import (
    access_keys,
    account_status,
    advisories,
    audit,
    coverage,
    finding,
    findings,
    instance,
    instances,
    network,
    organizations,
    overview,
    packages,
    people,
    plan,
    rules,
    scans,
    search,
    settings,
    styleguide,
    views,
    vulnerability,
    what_if,
)

if TYPE_CHECKING:
    from dispatcher.console.page import ConsolePage

PAGES: Final[tuple[ConsolePage, ...]] = (
    *overview.PAGES,
    *packages.PAGES,
    *what_if.PAGES,
    *network.PAGES,
    *plan.PAGES,
    *scans.PAGES,
    *advisories.PAGES,
    *findings.PAGES,
    *finding.PAGES,
    *vulnerability.PAGES,
    *instances.PAGES,
    *instance.PAGES,
    *rules.PAGES,
    *coverage.PAGES,
    *settings.PAGES,
    *account_status.PAGES,
    *organizations.PAGES,
    *access_keys.PAGES,
    *people.PAGES,
    *audit.PAGES,
    *views.PAGES,
    *search.PAGES,
    *styleguide.PAGES,
)


@dataclass(frozen=True, slots=True)
class RailItem:
    """An entry of the rail; it shows where its page is served and the person's role allows it."""

    path: str
    label: str
    icon: str


RAIL: Final = (
    RailItem("/", "Overview", "overview"),
    RailItem("/findings", "Findings", "findings"),
    RailItem("/instances", "Instances", "instances"),
    RailItem("/packages", "Packages", "packages"),
    RailItem("/network", "Network", "network"),
    RailItem("/plan", "Plan", "plan"),
    RailItem("/scans", "Scans", "scans"),
    RailItem("/coverage", "Coverage", "coverage"),
    RailItem("/rules", "Rules", "rules"),
    RailItem("/advisories", "Advisories", "advisories"),
    RailItem("/settings", "Settings", "settings"),
    RailItem("/audit", "Audit", "audit"),
)
