"""Wait for snapshots that EC2 knows and EBS direct does not know yet, for commands that read them.

The rule is the same as for a fleet's scans (`sidelight.fleet.stages.late_answers`): EC2's own
description decides what a refusal means. EBS direct learns of a completed snapshot within seconds
or minutes. Until then each of its hosts may answer 404 or 403. Sources: awslabs/coldsnap, issues 43
and 141; "Eventual consistency in the EC2 API" in EC2's manual.
"""

from __future__ import annotations

import logging
import threading
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Protocol

from sidelight.aws.ebs_faults import patience, retry_delay
from sidelight.errors import AccessDeniedError, CloudError, SidelightError

if TYPE_CHECKING:
    from collections.abc import Callable

    from sidelight.aws.ec2 import SnapshotInfo
    from sidelight.errors import SourceError

log = logging.getLogger(__name__)

LATE_SECONDS = 600.0  # how long EBS direct may not know a completed snapshot
PENDING_SECONDS = 4 * 3600.0
ABSENT_SECONDS = 10.0  # how long EC2 itself may not list a new snapshot
# EC2's code for a denied DescribeSnapshots.
NOT_ASKED = "UnauthorizedOperation"
PENDING = "is pending"
UNKNOWN = "is not known to EBS direct everywhere yet"


class Snapshots(Protocol):
    """The part of `sidelight.aws.ec2.Ec2` that LateAnswers uses."""

    def snapshot(self, snapshot_id: str) -> SnapshotInfo | None:
        """Return EC2's description; None where EC2 does not list it."""


class LateAnswers:
    """Waits before a refused snapshot is requested again, or raises. Safe for several threads."""

    def __init__(  # noqa: PLR0913 - all but one by keyword, each with a default
        self,
        ec2: Snapshots,
        *,
        late_seconds: float = LATE_SECONDS,
        pending_seconds: float = PENDING_SECONDS,
        say: Callable[[str], object] = lambda _: None,
        sleep: Callable[[float], None] = time.sleep,
        monotonic: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """`say` gets a text at each attempt: the reason of the wait and its end."""
        self._ec2 = ec2
        self._late_seconds = late_seconds
        self._pending_seconds = pending_seconds
        self._say = say
        self._sleep = sleep
        self._monotonic = monotonic
        self._now = now
        self._lock = threading.Lock()
        # (snapshot, reason of the wait) -> its begin; hosts of EC2 may disagree for a while.
        self._begun: dict[tuple[str, str], float] = {}
        self._waited_at: dict[str, float] = {}  # snapshot -> the end of the last wait
        self._ended: set[str] = set()  # snapshots whose refusal is final

    def time(self) -> float:
        """Return the time in seconds, for `wait`."""
        return self._monotonic()

    def wait(self, snapshot_id: str, refusal: SourceError, asked_at: float) -> None:
        """Wait before the next attempt. Raises the refusal where no wait will change it.

        `asked_at`: when the refused call began. Returns at once if another thread has waited since.
        """
        with self._lock:
            if self._waited_at.get(snapshot_id, -1.0) >= asked_at:
                return
            # Do not ask EC2 again for each block of a snapshot.
            if snapshot_id in self._ended:
                raise refusal
            self._ended.add(snapshot_id)
            limit, why = self._limit(snapshot_id, refusal)
            is_new = (snapshot_id, why) not in self._begun
            # After a pending snapshot is completed, the time counts from now.
            begun = self._begun.setdefault((snapshot_id, why), self._monotonic())
            waited = self._monotonic() - begun
            if waited >= limit:
                if not waited:
                    raise refusal
                what = f"{refusal.what} (asked again for {waited:.0f} s)"
                raise type(refusal)(what, where=refusal.where) from refusal
            until = self._now() + timedelta(seconds=limit - waited)
            text = f"{why}; asking again until {until:%H:%M:%S} UTC"
            if is_new:
                # EBS direct's text for a pending snapshot ("does not exist") would only confuse.
                cause = "" if why == PENDING else f" ({refusal.what})"
                log.warning("%s %s%s", snapshot_id, text, cause)
            self._say(f"{snapshot_id} {text}")
            self._sleep(min(limit - waited, retry_delay(waited)))
            self._waited_at[snapshot_id] = self._monotonic()
            self._ended.discard(snapshot_id)

    def _limit(self, snapshot_id: str, refusal: SourceError) -> tuple[float, str]:
        """Return how long to retry, and the reason of the wait. Raises SidelightError."""
        try:
            info = self._ec2.snapshot(snapshot_id)
        except SidelightError as unknown:
            if isinstance(unknown, AccessDeniedError) and NOT_ASKED in unknown.what:
                what = f"{refusal.what}; EC2 cannot be asked whether it is too new to be read"
                what = f"{what} (ec2:DescribeSnapshots is denied)"
                raise type(refusal)(what, where=refusal.where) from unknown
            raise refusal from unknown
        if info is None:
            return ABSENT_SECONDS, "is not listed by EC2 yet"
        if info.state == "pending":
            return self._pending_seconds, PENDING
        if info.state != "completed":
            raise CloudError(f"is in state {info.state}: {info.message}", where=snapshot_id)
        known_since = info.completed_at or info.started_at
        age = (self._now() - known_since).total_seconds() if known_since else 0.0
        if age >= self._late_seconds and (snapshot_id, UNKNOWN) not in self._begun:
            return 0.0, UNKNOWN
        return patience(refusal, self._late_seconds), UNKNOWN
