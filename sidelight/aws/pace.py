"""Who is asked before every call: a budget that others share."""

from __future__ import annotations

from typing import Protocol

# Kinds of calls: `get` and `list` of EBS direct; `create`, `delete` (and what else changes a
# snapshot) and `describe` of EC2.
KINDS = {
    "create_snapshots": "create",
    "delete_snapshot": "delete",
    "modify_snapshot_attribute": "delete",
}


class Pace(Protocol):
    """May wait before a call, and is told when AWS throttles one."""

    def before(self, kind: str) -> None:
        """Wait for this kind's turn. What it raises goes through to the caller."""

    def throttled(self, kind: str) -> None:
        """AWS has refused such a call for there were too many."""


class Unpaced:
    """No budget: a command for one machine."""

    def before(self, kind: str) -> None:
        """At once."""

    def throttled(self, kind: str) -> None:
        """Each call waits for itself."""
