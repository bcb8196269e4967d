"""Hold a scan's lease while a stage runs, and decide what an error of the stage means.

A claim counts as an attempt at once, so that the attempt of a killed worker is counted too. A
heartbeat renews the lease. When the lease is lost, the stage's own compare-and-set fails as well.
"""

from __future__ import annotations

import logging
import threading
from contextlib import contextmanager, suppress
from contextvars import copy_context
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sidelight.aws.ec2 import BUSY
from sidelight.backoff import delay
from sidelight.errors import (
    AccessDeniedError,
    ClockSkewError,
    CloudError,
    LeaseLostError,
    OwnCredentialsError,
    SidelightError,
    StoreError,
    ThrottledError,
)
from sidelight.fleet.dollar_budget import MoneySpentError
from sidelight.fleet.rate_limit.limiter import RateLimitedError
from sidelight.fleet.stages.final_errors import TIME_LIMIT, GiveUpError, code_of
from sidelight.fleet.stages.late_answers import Wait, judge
from sidelight.fleet.stages.stage_limits import StageTimeError, end_pulse, pulse, stage_time
from sidelight.model import LIVE, STAGE_OF, WAITING, State
from sidelight.report.log_context import logged_as
from sidelight.store import turn
from sidelight.tracing import span

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from sidelight.fleet.context import Context
    from sidelight.model import Scan, Transition

    # A stage returns where it left its scan. Its errors are recorded by `held`.
    Stage = Callable[[Context, Scan], Transition]

log = logging.getLogger(__name__)

# Errors of this worker's machine, for which no account and no permission is to blame.
OWN_FAULTS = (ClockSkewError, OwnCredentialsError)
BUSY_ATTEMPT = 4  # the retry delay while waiting for capacity is that after the 4th failure


@dataclass(frozen=True, slots=True)
class Next:
    """The message to publish after a stage: the scan's state and region; `delay` in seconds."""

    state: State
    region: str
    priority: int
    delay: float = 0.0


def held(
    context: Context,
    scan_id: str,
    states: Collection[State],
    stage: Stage,
) -> Next | None:
    """Run a stage on a scan that is in one of these states; return the next message.

    None where there is nothing to do: another worker holds the scan, or it is in another state.
    An error of the stage is recorded and not raised. Raises SystemExit, after the scan is given
    back, and StoreError where the store cannot be reached.
    """
    lease = context.settings.workers.lease_seconds
    scan = context.store.scans.claim(scan_id, states, lease, context.keeper)
    if scan is None:
        return None
    with stage_reported(scan), turn(context.store.clock()):
        transition = _run(context, scan, stage)
        if transition is not None:
            log.info("scan %s: %s to %s", scan.id, scan.state, transition.state)
    return upcoming(context, scan, transition)


@contextmanager
def stage_reported(scan: Scan) -> Iterator[None]:
    """Have the block's log lines say their scan, and trace it as the scan's stage."""
    fields = {
        "scan": scan.id, "account": scan.account, "region": scan.region,
        "instance": scan.instance, "stage": STAGE_OF.get(scan.state, ""),
    }  # fmt: skip
    attributes = {f"sidelight.{name}": text for name, text in fields.items()}
    with logged_as(**fields), span(f"stage {fields['stage']}", attributes):
        yield


def _run(context: Context, scan: Scan, stage: Stage) -> Transition | None:
    """Run the stage, and handle its errors; None where the lease was lost."""
    try:
        with _heartbeat(context, scan), stage_time(context.settings.workers.stage_seconds):
            _check_attempts(context, scan)
            return stage(context, scan)
    except LeaseLostError as error:
        log.warning("scan %s: %s", scan.id, error)
        return None
    except SystemExit:
        # This worker is being stopped. Give the scan back now, not when its lease ends.
        # A store that refuses must not keep it from its end.
        with suppress(StoreError):
            present = context.store.scans.get(scan.id)
            if present.lease == scan.lease:
                context.store.scans.postpone(present, 0.0)
        raise
    except StageTimeError:
        return failed_if_held(context, scan, _too_slow(context, scan))
    except Exception as error:
        if not isinstance(error, SidelightError):
            log.exception("scan %s in %s", scan.id, scan.state)
        return failed_if_held(context, scan, error)


def _too_slow(context: Context, scan: Scan) -> SidelightError:
    """Return the error for a stage over its time limit; in READING, the scan is given up."""
    # The stage may have changed the row's state, under the same lease.
    state = context.store.scans.get(scan.id).state
    limit = context.settings.workers.stage_seconds
    what = f"{state} took more than {limit:g} s (SIDELIGHT_STAGE_SECONDS)"
    if state is State.READING:
        return GiveUpError(what, where=scan.instance, code=TIME_LIMIT)
    return SidelightError(what, where=scan.instance)


def upcoming(context: Context, scan: Scan, transition: Transition | None) -> Next | None:
    """Return the message to publish after a stage; None where the scan needs none of its own."""
    if transition is None or transition.state not in LIVE or not transition.own_message:
        return None
    delay = max(0.0, (transition.due - context.store.clock()).total_seconds())
    return Next(transition.state, scan.region, scan.priority, delay)


def _check_attempts(context: Context, scan: Scan) -> None:
    if scan.attempts > _most(context, scan):
        # A worker that could record an error at its last attempt would have given the scan up.
        what = "the workers died at it"
        if scan.last_error and not scan.last_error.startswith(WAITING):
            what += f"; an attempt before that: {scan.last_error}"
        raise GiveUpError(what, where=scan.state)


def _most(context: Context, scan: Scan) -> int:
    settings = context.settings
    return (
        settings.retries.delete_attempts
        if scan.state is State.DELETING
        else settings.retries.attempts
    )


def failed_if_held(context: Context, scan: Scan, error: Exception) -> Transition | None:
    """Call `failed` if we still hold the scan; else do nothing and return None."""
    # The stage may have changed the row's state, under the same lease.
    present = context.store.scans.get(scan.id)
    if present.lease != scan.lease:
        return None
    try:
        return failed(context, present, error)
    except LeaseLostError as lost:
        log.warning("scan %s: %s", scan.id, lost)
        return None


def failed(context: Context, scan: Scan, error: Exception) -> Transition:
    """Schedule another attempt, or send the scan towards FAILED."""
    waiting = _set_aside(context, scan, error)
    if waiting is not None:
        return waiting
    judged = judge(context, scan, error)
    if isinstance(judged, Wait):
        if scan.late_since is None:
            log.warning("scan %s waits: %s", scan.id, judged.why)
        return context.store.scans.postpone(scan, judged.delay, why=judged.why, late=True)
    settings, scans, reason = context.settings, context.store.scans, _reason(scan, judged)
    if scan.state is State.DELETING:
        return _failed_to_delete(context, scan, reason, code_of(judged))
    if _is_final(judged, scan.state) or scan.attempts >= settings.retries.attempts:
        return scans.fail(scan, reason, code_of(judged))
    return scans.postpone(scan, backoff(context, scan.attempts), error=reason)


def _set_aside(context: Context, scan: Scan, error: Exception) -> Transition | None:
    """Postpone a scan that waits for rate limit, money or capacity; that is not an attempt.

    None for any other error.
    """
    settings, scans = context.settings, context.store.scans
    if isinstance(error, RateLimitedError):
        # No call was made. The jitter spreads the retries of scans that were refused together.
        delay = max(error.delay, settings.rates.patience_seconds) * (1 + context.jitter())
        return scans.postpone(scan, delay, paced=True)
    if isinstance(error, MoneySpentError):
        transition = scans.postpone(scan, error.delay, paced=True, why=error.what)
        context.store.instances.explain(scan.account, scan.instance, error.what)
        return transition
    age = (context.store.clock() - scan.entered_at).total_seconds()
    if not _is_busy(error) or age >= settings.snapshots.busy_seconds:
        return None
    if isinstance(error, OwnCredentialsError) and context.keeper is not None:
        return None  # a command's own scan, which no other worker takes over
    # The status reports what is wrong with this worker; another worker may be sound.
    why = str(error) if isinstance(error, OWN_FAULTS) else ""
    return scans.postpone(scan, backoff(context, BUSY_ATTEMPT), why=why)


def _reason(scan: Scan, error: Exception) -> str:
    """Return the failure's text for a stage's error."""
    if isinstance(error, SidelightError):
        return str(error)
    if isinstance(error, MemoryError):
        return f"{scan.state} needs more memory than a process has (SIDELIGHT_MEMORY_MIB)"
    return f"{type(error).__name__}: {error}"


def _failed_to_delete(context: Context, scan: Scan, reason: str, code: str) -> Transition:
    # A local import: the stages import this module.
    from sidelight.fleet.stages.finish import end

    if scan.attempts < context.settings.retries.delete_attempts:
        return context.store.scans.postpone(scan, backoff(context, scan.attempts), error=reason)
    # The sweep continues: a snapshot of an ended scan is an orphan.
    failure = f"its snapshots are left to the sweep: {reason}"
    return end(context, scan, State.FAILED, failure, code)


def backoff(context: Context, attempt: int) -> float:
    """Return seconds to wait after the `attempt`th failure: doubling, capped, half of it jitter."""
    settings = context.settings
    return delay(
        settings.retries.backoff_seconds,
        attempt - 1,
        settings.retries.longest_backoff_seconds,
        fixed=0.5,
        jitter=context.jitter,
    )


def _is_busy(error: Exception) -> bool:
    """Whether the error may pass: something is busy or throttled, or this worker is at fault."""
    if isinstance(error, CloudError):
        return error.code in BUSY
    return isinstance(error, (ThrottledError, *OWN_FAULTS))


def _is_final(error: Exception, state: State) -> bool:
    if isinstance(error, MemoryError):
        # A retry of the same bytes would need as much memory.
        return state is State.READING
    return isinstance(error, GiveUpError | AccessDeniedError)


@contextmanager
def _heartbeat(context: Context, scan: Scan) -> Iterator[None]:
    """Renew the lease every third of its length, on a thread: a stage may read for long."""
    ended = threading.Event()
    seconds = context.settings.workers.lease_seconds

    def beat() -> None:
        while not ended.wait(seconds / 3):
            pulse(seconds)
            try:
                if not context.store.scans.renew(scan, seconds):
                    return
            except StoreError as error:
                # The next renewal may succeed; if none does, the lease ends, as it should.
                log.warning("scan %s: heartbeat: %s", scan.id, error)

    beating = copy_context()
    thread = threading.Thread(
        target=beating.run, args=(beat,), name=f"heartbeat-{scan.id[:8]}", daemon=True
    )
    thread.start()
    pulse(seconds)
    try:
        yield
    finally:
        ended.set()
        thread.join()
        end_pulse()
