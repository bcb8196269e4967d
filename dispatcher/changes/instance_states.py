"""EC2 Instance State-change Notification: an instance is looked at when it starts, stops, ends.

Source of the fields: "Instance state change events" of EC2's user guide.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from dispatcher.changes.bus_events import BusEvent
    from dispatcher.discovery.accounts import AccountRegion

KIND: Final = ("aws.ec2", "EC2 Instance State-change Notification")
_INSTANCE: Final = re.compile(r"i-[0-9a-f]{8,17}")
# `pending` and `stopping` are followed by another event.
_ENDED: Final = frozenset({"shutting-down", "terminated"})
_WANTED: Final = _ENDED | {"running", "stopped"}


class InstanceStateHandler:
    """Describes the instances that events name: their state is EC2's, not the event's."""

    def __init__(
        self, look: Callable[[AccountRegion, Collection[str], Collection[str]], Collection[str]]
    ) -> None:
        """`look(account_region, ids, ended)` discovers, plans and starts scans of these instances.

        Of those that EC2 does not list, the `ended` ones are gone; it returns the others.
        """
        self._look = look

    def handle(self, account_region: AccountRegion, events: Sequence[BusEvent]) -> list[str]:
        """Describe the instances; return the events of those that EC2 does not list yet."""
        named: dict[str, list[BusEvent]] = {}
        ended: set[str] = set()
        for event in sorted(events, key=lambda event: event.at):
            instance, state = event.detail.get("instance-id"), event.detail.get("state")
            if not isinstance(instance, str) or _INSTANCE.fullmatch(instance) is None:
                continue  # a text that is not an id has nothing to look at
            if isinstance(state, str) and state in _WANTED:
                named.setdefault(instance, []).append(event)
                (ended.add if state in _ENDED else ended.discard)(instance)
        missing = self._look(account_region, sorted(named), ended) if named else ()
        return [event.id for instance in missing for event in named.get(instance, ())]
