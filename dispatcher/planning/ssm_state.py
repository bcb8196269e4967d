"""The state of an instance in Systems Manager, from SSM's listing. PURE."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from sidelight.model import PingStatus, SsmState

if TYPE_CHECKING:
    from datetime import datetime

    from sidelight.model import ManagedInstance

# Inspector: STALE_INVENTORY where no inventory was collected in the past 7 days.
STALE_AFTER = timedelta(days=7)
# An agent writes the capture time by its own clock. A time further ahead says nothing of the age.
CLOCKS_DIFFER = timedelta(days=1)


def state_of(managed: ManagedInstance | None, now: datetime) -> SsmState:
    """Return the state; None is an instance that SSM does not list."""
    if managed is None:
        return SsmState.UNMANAGED
    if managed.ping_status is not PingStatus.ONLINE:
        return SsmState.CONNECTION_LOST
    if managed.inventory_at is None:
        return SsmState.NO_INVENTORY
    age = now - managed.inventory_at
    return SsmState.MANAGED if -CLOCKS_DIFFER <= age <= STALE_AFTER else SsmState.STALE
