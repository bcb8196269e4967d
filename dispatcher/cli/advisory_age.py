"""The warning of commands whose answers depend on old advisories."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sidelight.errors import UsageError
from sidelight.report.output import complain

if TYPE_CHECKING:
    from sidelight.fleet.settings import Settings


def warn_of_age(settings: Settings) -> None:
    """Write to standard error which feeds are old, if any; nothing where there is no database."""
    # Imported late: a command's help needs no advisories.
    from sidelight.fleet.advisory_updates.ages import ages_of

    try:
        ages = ages_of(settings.findings.advisories_path)
    except UsageError:
        return
    text = ages.complaint(datetime.now(UTC)) if ages else ""
    if text:
        complain(f"sidelight: {text}; newer advisories: sidelight advisories update")
