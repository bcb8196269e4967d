"""Hold a scan while a stage works on it, and decide what a stage that raised means.

A claim counts as an attempt at once, so that a worker that is killed is counted too. A heartbeat
renews the lease; when it finds the lease lost, the stage's own compare-and-set fails as well.
"""

from __future__ import annotations

import logging
import re
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sidelight.aws.ec2 import BUSY, INSTANCE_GONE
from sidelight.errors import (
    AccessDeniedError,
    CloudError,
    KeyDeniedError,
    LeaseLostError,
    SidelightError,
    SnapshotNotFoundError,
    StoreError,
    ThrottledError,
)
from sidelight.store import LIVE, State
from sidelight.store.stages import turn
from workers.budgets import BudgetSpentError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from sidelight.store import Scan, Turn
    from workers.context import Context

log = logging.getLogger(__name__)

BUSY_ATTEMPT = 4  # what is waited for is waited for as after so many failures


@dataclass(frozen=True, slots=True)
class Next:
    """What to publish after a stage: the scan's state and region, in so many seconds."""

    state: State
    region: str
    priority: int
    delay: float = 0.0


class GiveUpError(SidelightError):
    """What no further attempt would mend; `code` is the coverage's reason."""

    def __init__(self, what: str, *, where: str = "", code: str = "INTERNAL_ERROR") -> None:
        super().__init__(what, where=where)
        self.code = code


def held(
    context: Context,
    scan_id: str,
    states: Collection[State],
    stage: Callable[[Context, Scan], None],
) -> Next | None:
    """Run a stage on a scan that is in one of these states; what is to be done next.

    None where there is nothing to do: another worker has it, or it is elsewhere already. Never
    raises for what a stage raised but SystemExit, which gives the scan back; StoreError where the
    store itself cannot be reached.
    """
    lease = context.settings.lease_seconds
    scan = context.store.scans.claim(scan_id, states, lease, context.keeper)
    if scan is None:
        return None
    with turn(context.store.clock()) as begun:
        if not _worked(context, scan, stage):
            return None
        return upcoming(context, scan, begun)


def _worked(context: Context, scan: Scan, stage: Callable[[Context, Scan], None]) -> bool:
    """Run the stage, and decide what it means if it raises; False where the scan was lost."""
    try:
        with _heartbeat(context, scan):
            _check_attempts(context, scan)
            stage(context, scan)
    except LeaseLostError as error:
        log.warning("scan %s: %s", scan.id, error)
        return False
    except SystemExit:
        # This worker is told to end. The scan is given back now, not when its lease ends.
        present = context.store.scans.get(scan.id)
        if present.lease == scan.lease:
            with suppress(LeaseLostError):
                context.store.scans.postpone(present, 0.0)
        raise
    except Exception as error:
        if not isinstance(error, SidelightError):
            log.exception("scan %s in %s", scan.id, scan.state)
        return failed_if_held(context, scan, error)
    return True


def upcoming(context: Context, scan: Scan, ended: Turn) -> Next | None:
    """What is to be published for a scan after this turn; None where it has ended, or is served."""
    to, due = ended.left.get(scan.id, (State.DONE, scan.next_at))
    if to not in LIVE:
        return None
    delay = max(0.0, (due - context.store.clock()).total_seconds())
    return Next(to, scan.region, scan.priority, delay)


def _check_attempts(context: Context, scan: Scan) -> None:
    if scan.attempts > _most(context, scan):
        # The workers died at it again and again, so that nobody could say why.
        raise GiveUpError(scan.last_error or "the workers died at it", where=scan.state)


def _most(context: Context, scan: Scan) -> int:
    settings = context.settings
    return settings.delete_attempts if scan.state is State.DELETING else settings.attempts


def failed_if_held(context: Context, scan: Scan, error: Exception) -> bool:
    """As `failed`; False, and nothing done, where the scan is another's by now."""
    # The stage may have changed the row's state, under the same lease.
    present = context.store.scans.get(scan.id)
    if present.lease != scan.lease:
        return False
    try:
        failed(context, present, error)
    except LeaseLostError as lost:
        log.warning("scan %s: %s", scan.id, lost)
        return False
    return True


def failed(context: Context, scan: Scan, error: Exception) -> None:
    """Another attempt later, or the way to FAILED."""
    settings, scans = context.settings, context.store.scans
    reason = f"{type(error).__name__}: {error}"
    if isinstance(error, SidelightError):
        reason = str(error)
    if isinstance(error, BudgetSpentError):
        # Nothing was tried: the turn comes later, and not for all who were sent away at once.
        delay = max(error.delay, settings.patience_seconds) * (1 + context.jitter())
        scans.postpone(scan, delay, paced=True)
        return
    age = (context.store.clock() - scan.entered_at).total_seconds()
    if _is_busy(error) and age < settings.busy_seconds:
        scans.postpone(scan, backoff(context, BUSY_ATTEMPT))
        return
    if scan.state is State.DELETING:
        _failed_to_delete(context, scan, reason)
    elif _is_final(error) or scan.attempts >= settings.attempts:
        scans.fail(scan, reason, code_of(error))
    else:
        scans.postpone(scan, backoff(context, scan.attempts), error=reason)


def _failed_to_delete(context: Context, scan: Scan, reason: str) -> None:
    # Local: the steps know this module.
    from workers.ending import end

    if scan.attempts < context.settings.delete_attempts:
        context.store.scans.postpone(scan, backoff(context, scan.attempts), error=reason)
        return
    # The sweep goes on: to it a snapshot of an ended scan is an orphan.
    end(context, scan, State.FAILED, f"its snapshots are left to the sweep: {reason}")


def backoff(context: Context, attempt: int) -> float:
    """Seconds to wait after the `attempt`th: doubling, capped, half of it jitter."""
    settings = context.settings
    doubled = settings.backoff_seconds * float(2 ** min(attempt - 1, 16))
    longest = min(settings.longest_backoff_seconds, doubled)
    return longest * (0.5 + 0.5 * context.jitter())


def code_of(error: Exception) -> str:
    """The coverage's reason for an error, in Inspector's words."""
    if isinstance(error, GiveUpError):
        return error.code
    if isinstance(error, CloudError) and error.code in INSTANCE_GONE:
        return "RESOURCE_TERMINATED"
    # EC2 has no code of its own for a key that it cannot use; its words name KMS or the key's id.
    if isinstance(error, KeyDeniedError) or _names_a_key(str(error)):
        return "ACCESS_DENIED_TO_ENCRYPTION_KEY"
    return "ACCESS_DENIED" if isinstance(error, AccessDeniedError) else "INTERNAL_ERROR"


def key_or(code: str, message: str) -> str:
    """The coverage's reason for what EC2 says of a snapshot: the key's, where it names one."""
    return "ACCESS_DENIED_TO_ENCRYPTION_KEY" if _names_a_key(message) else code


def _names_a_key(message: str) -> bool:
    return re.search(r"\bkms\b|\bkey id\b", message, re.IGNORECASE) is not None


def _is_busy(error: Exception) -> bool:
    """Whether nothing is wrong: somebody else is at it, or too many are."""
    if isinstance(error, CloudError):
        return error.code in BUSY
    return isinstance(error, ThrottledError)


def _is_final(error: Exception) -> bool:
    if isinstance(error, CloudError):
        return error.code in INSTANCE_GONE
    return isinstance(error, GiveUpError | AccessDeniedError | SnapshotNotFoundError)


@contextmanager
def _heartbeat(context: Context, scan: Scan) -> Iterator[None]:
    """Renew the lease three times in its length, on a thread: a stage may read for long."""
    ended = threading.Event()
    seconds = context.settings.lease_seconds

    def beat() -> None:
        while not ended.wait(seconds / 3):
            try:
                if not context.store.scans.renew(scan, seconds):
                    return
            except StoreError as error:
                # The next beat may get through; if none does, the lease ends, as it should.
                log.warning("scan %s: heartbeat: %s", scan.id, error)

    thread = threading.Thread(target=beat, name=f"heartbeat-{scan.id[:8]}", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
