"""A snapshot that EBS direct refuses to read for a while."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sidelight.errors import SidelightError
    from sidelight.model import Scan
    from tests.fakes.fake_fleet import FakeFleet


def refuse_reading(fake_fleet: FakeFleet, error: SidelightError, seconds: float) -> list[float]:
    """EBS direct refuses for so long after the first try; when each try was, in seconds."""
    opened, tries = fake_fleet.context.open_snapshot, list[float]()
    begun = list[Any]()

    def late(scan: Scan, snapshot_id: str) -> Any:
        begun.append(begun[0] if begun else fake_fleet.clock())
        tries.append((fake_fleet.clock() - begun[0]).total_seconds())
        if tries[-1] < seconds:
            raise error
        return opened(scan, snapshot_id)

    fake_fleet.context = replace(fake_fleet.context, open_snapshot=late)
    return tries
