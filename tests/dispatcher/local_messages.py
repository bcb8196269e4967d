"""The messages of a control plane without a broker."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dispatcher.on_demand import LocalQueue

if TYPE_CHECKING:
    from collections import deque

    from dispatcher.services.fleet_service import FleetService
    from sidelight.fleet.stages.stage_runner import Next


def messages_of(control: FleetService) -> deque[tuple[str, Next]]:
    """What was published and not taken yet."""
    assert isinstance(control.queue, LocalQueue)
    return control.queue.messages
