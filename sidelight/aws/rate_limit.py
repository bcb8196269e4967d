"""The rate limiter protocol used before each AWS call."""

from __future__ import annotations

from typing import Protocol


class RateLimiter(Protocol):
    """A limiter that may wait before a call, and to which throttles are reported.

    Kinds of calls: `get` and `list` of EBS direct; `create`, `delete` (and other changes of a
    snapshot) and `describe` of EC2. Those of Systems Manager are in `sidelight.aws.ssm.calls`.
    """

    def before(self, kind: str) -> None:
        """Wait for a slot of this kind. Its errors are raised to the caller."""

    def throttled(self, kind: str) -> None:
        """Report that AWS throttled a call of this kind."""


class Unlimited:
    """No shared limiter, for a command that scans one machine."""

    def before(self, kind: str) -> None:
        """Return at once."""

    def throttled(self, kind: str) -> None:
        """Do nothing: the caller backs off on its own."""
