"""The settings of scans that create no snapshots (docs/reading-less.md)."""

from __future__ import annotations

from dataclasses import dataclass

from sidelight.fleet.settings.definition import CALLERS, CONTROL, setting


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceSettings:
    """Scans that create no snapshots, or read no disk (docs/reading-less.md)."""

    existing_hours: float = setting(
        "SIDELIGHT_EXISTING_SNAPSHOTS_HOURS", 0.0, unit="hours", readers=CONTROL,
        meaning="Read completed snapshots of all of an instance's volumes that are younger than"
        " this, of AWS Backup, Data Lifecycle Manager or anyone's in the account, instead of"
        " creating some; 0: never",
    )  # fmt: skip
    existing_apart_seconds: float = setting(
        "SIDELIGHT_EXISTING_SNAPSHOTS_APART", 1.0, unit="seconds", readers=CONTROL,
        meaning="How far apart existing snapshots of an instance's volumes may have been started",
    )  # fmt: skip
    existing_only: bool = setting(
        "SIDELIGHT_EXISTING_SNAPSHOTS_ONLY", False, readers=CALLERS,
        meaning="Never create a snapshot: an instance without existing snapshots that fit is not"
        " scanned, and its coverage says why",
    )  # fmt: skip
    unchanged_days: float = setting(
        "SIDELIGHT_UNCHANGED_DAYS", 0.0, unit="days", readers=CONTROL, most=60,
        meaning="When a scan is due of a machine whose volumes were not written since its disks"
        " were read, match its stored inventory and read nothing, for so long after that read; 0:"
        " read at every scan",
    )  # fmt: skip
