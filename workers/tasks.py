"""The tasks: thin wrappers of the stages. They take a scan's id and return nothing."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from celery import current_task
from kombu.exceptions import OperationalError

from sidelight.errors import SidelightError, StoreError
from sidelight.fleet import bootstrap
from sidelight.fleet.networks import evaluation as networks
from sidelight.fleet.settings.validation import LONGEST_COUNTDOWN
from sidelight.fleet.stages import poll_snapshots
from sidelight.fleet.stages import take_snapshots as steps
from sidelight.fleet.stages.stage_runner import Next
from sidelight.model import State
from sidelight.tracing import TRACEPARENT, span
from workers.celery_main import app
from workers.messages import NAME, NETWORK, REEVALUATE, publish, publish_reevaluation
from workers.queues import AWAIT, DELETE, EVALUATE, INSPECT, TAKE

if TYPE_CHECKING:
    from collections.abc import Callable

    from celery import Task

    from sidelight.fleet.context import Context

__all__ = [
    "NAME", "NETWORK", "REEVALUATE", "await_snapshots", "delete_snapshots", "evaluate",
    "evaluate_network", "inspect", "publish", "publish_reevaluation", "reevaluate",
    "take_snapshots",
]  # fmt: skip

log = logging.getLogger(__name__)


def _run(scan_id: str, step: Callable[[Context, str], Next | None]) -> None:
    def stage(context: Context, scan_id: str) -> list[tuple[str, Next]]:
        following = step(context, scan_id)
        if _is_next_here(following, context):
            # The row is the same as with a sent message, so another worker may run the stage too.
            following = steps.evaluate(context, scan_id)
        return [] if following is None else [(scan_id, following)]

    _do(scan_id, stage)


def _do(scan_id: str, stage: Callable[[Context, str], list[tuple[str, Next]]]) -> None:
    """Run a stage, and publish the next messages of its scan and of other scans that it polled."""
    # The trace goes on from the process that published the message.
    parent = getattr(current_task.request, TRACEPARENT, None) if current_task else None
    with span("task", {"sidelight.scan": scan_id}, parent=parent):
        _do_traced(scan_id, stage)


def _do_traced(scan_id: str, stage: Callable[[Context, str], list[tuple[str, Next]]]) -> None:
    context = bootstrap.context()
    try:
        following = stage(context, scan_id)
    except SystemExit:
        _hand_on(context, scan_id)
        raise
    except StoreError:
        # The row is unchanged, so the dispatcher's tick will publish the scan again.
        log.exception("scan %s", scan_id)
        return
    for next_id, upcoming in following:
        if upcoming.delay > LONGEST_COUNTDOWN:
            continue
        try:
            publish(app, context.settings, next_id, upcoming)
        except (OperationalError, OSError) as error:
            log.warning("scan %s: the broker does not answer: %s", next_id, error)


def _hand_on(context: Context, scan_id: str) -> None:
    """Publish the scan for another worker: this worker is stopping and has given the scan back.

    The broker delivers the old message again too. If that happens before the scan is given back,
    it is a no-op. Of two messages, one finds the scan already claimed.
    """
    try:
        scan = context.store.scans.get(scan_id)
        publish(app, context.settings, scan_id, Next(scan.state, scan.region, scan.priority))
    except (StoreError, OperationalError, OSError) as error:
        log.warning("scan %s is left to the dispatcher's tick: %s", scan_id, error)


def _is_next_here(following: Next | None, context: Context) -> bool:
    """Whether this process runs the next stage itself: another task costs as much as a match."""
    return (
        following is not None
        and following.state is State.EVALUATING
        and not following.delay
        and context.settings.findings.has_advisories
    )


def _task(stage: str) -> Callable[[Callable[[str], None]], Task]:
    decorate: Callable[[Callable[[str], None]], Task] = app.task(name=NAME.format(stage))
    return decorate


@_task(TAKE)
def take_snapshots(scan_id: str) -> None:
    """Run the stage for NEW or SNAPSHOTTING."""
    _run(scan_id, steps.take_snapshots)


@_task(AWAIT)
def await_snapshots(scan_id: str) -> None:
    """Run the stage for SNAPSHOTS_PENDING: poll all pending scans of the account-region."""
    _do(scan_id, poll_snapshots.poll)


@_task(INSPECT)
def inspect(scan_id: str) -> None:
    """Run the stage for READING."""
    _run(scan_id, steps.inspect)


@_task(EVALUATE)
def evaluate(scan_id: str) -> None:
    """Run the stage for EVALUATING."""
    _run(scan_id, steps.evaluate)


@_task(DELETE)
def delete_snapshots(scan_id: str) -> None:
    """Run the stage for DELETING."""
    _run(scan_id, steps.delete_snapshots)


@_task(REEVALUATE)
def reevaluate(region: str) -> None:
    """Re-evaluate stored inventories with this worker's database, for REEVALUATE_SECONDS."""
    context = bootstrap.context()
    try:
        if steps.reevaluate(context):
            publish_reevaluation(app, context.settings, region)
    except SidelightError:
        # The store has the progress, and the dispatcher asks again.
        log.exception("re-evaluation")
    except (OperationalError, OSError) as error:
        log.warning("re-evaluation: the broker does not answer: %s", error)


@_task(NETWORK)
def evaluate_network(place: str) -> None:
    """Evaluate the network of `ACCOUNT/REGION`, if it is due and no other worker does."""
    account, _, region = place.partition("/")
    try:
        networks.evaluate(networks.of_context(bootstrap.context()), account, region)
    except SidelightError:
        # The claim's lease ends, and the dispatcher sends the message again.
        log.exception("network of %s", place)
