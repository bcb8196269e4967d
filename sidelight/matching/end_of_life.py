"""The end of an operating system's updates, as a finding."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sidelight.advisories import ecosystems
from sidelight.inventory.purl import format_purl
from sidelight.model import Finding, OperatingSystem, Package, Severity

if TYPE_CHECKING:
    from datetime import date

    from sidelight.advisories.database.reader import AdvisoryDatabase

# The file that identifies a system which has no os-release.
_RELEASE_FILES = {
    "macos": "/System/Library/CoreServices/SystemVersion.plist",
    "windows-server": r"C:\Windows\System32\ntoskrnl.exe",
}
_WITH_LONG_TERM = ("SUSE:", "SUSE Micro:")


def discontinued(
    os: OperatingSystem, today: date | None, database: AdvisoryDatabase
) -> list[Finding]:
    """Return a finding if the operating system gets no updates any more on that day.

    A system with long-term advisories in the database, as SUSE's LTSS, is not at its end.
    """
    ecosystem = ecosystems.of_machine(os)
    major = os.version_id.partition(".")[0]
    last = database.last_day(f"{os.id}:{major}", ecosystem)
    if today is None or last is None or today <= last:
        return []
    if ecosystem.startswith(_WITH_LONG_TERM) and database.latest(ecosystem) > last.isoformat():
        return []  # long-term support continues the same line of versions (docs/decisions/0014)
    package = Package(
        type="os",
        name=os.id,
        version=os.version_id,
        path=_RELEASE_FILES.get(os.id, "/etc/os-release"),
        purl=format_purl("generic", "", os.id, os.version_id),
    )
    name = os.pretty_name or f"{os.id} {os.version_id}"
    return [
        Finding(
            vulnerability=f"END-OF-LIFE-{os.id}-{os.version_id}",
            severity=Severity.CRITICAL,
            package=package,
            fixed_version="",
            advisories=(),
            title=f"{name} has got no security updates since {last.isoformat()}",
            severity_source="Sidelight",
            ecosystem=ecosystem,
            state="end-of-life",
        )
    ]
