"""The tasks: thin shells over the steps. They take a scan's id and return nothing."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from kombu.exceptions import OperationalError

from sidelight.errors import SidelightError, StoreError
from sidelight.store import State
from workers import looking, steps, wiring
from workers.app import AWAIT, DELETE, EVALUATE, INSPECT, STAGE_OF, TAKE, app, queue
from workers.contradictions import LONGEST_COUNTDOWN
from workers.holding import Next

if TYPE_CHECKING:
    from collections.abc import Callable

    from celery import Celery, Task

    from workers.context import Context
    from workers.settings import Settings

log = logging.getLogger(__name__)

NAME = "sidelight.{}"
REEVALUATE = "reevaluate"  # in the queue of EVALUATE


def publish(application: Celery, settings: Settings, scan_id: str, following: Next) -> None:
    """Send the message for a scan's present state."""
    stage = STAGE_OF[following.state]
    application.send_task(
        NAME.format(stage),
        args=[scan_id],
        queue=queue(stage, following.region, settings, following.priority),
        priority=following.priority,
        countdown=following.delay or None,
        ignore_result=True,
    )


def _run(scan_id: str, step: Callable[[Context, str], Next | None]) -> None:
    def stage(context: Context, scan_id: str) -> list[tuple[str, Next]]:
        following = step(context, scan_id)
        if _is_next_here(following, context):
            # The row is as if a message had been sent, so that another worker may as well do it.
            following = steps.evaluate(context, scan_id)
        return [] if following is None else [(scan_id, following)]

    _do(scan_id, stage)


def _do(scan_id: str, stage: Callable[[Context, str], list[tuple[str, Next]]]) -> None:
    """Run a stage and publish what is next, of its scan and of others that it served."""
    context = wiring.context()
    try:
        following = stage(context, scan_id)
    except SystemExit:
        _hand_on(context, scan_id)
        raise
    except StoreError:
        # The row says nothing new, so the dispatcher's tick will publish the scan again.
        log.exception("scan %s", scan_id)
        return
    for one, upcoming in following:
        if upcoming.delay > LONGEST_COUNTDOWN:
            continue
        try:
            publish(app, context.settings, one, upcoming)
        except (OperationalError, OSError) as error:
            log.warning("scan %s: the broker does not answer: %s", one, error)


def _hand_on(context: Context, scan_id: str) -> None:
    """Let another have it: we are told to end, and the stage has given the scan back.

    The broker brings the message again, too; that may be before the scan was given back, and then
    it does nothing. Of two messages one finds the scan taken.
    """
    try:
        scan = context.store.scans.get(scan_id)
        publish(app, context.settings, scan_id, Next(scan.state, scan.region, scan.priority))
    except (StoreError, OperationalError, OSError) as error:
        log.warning("scan %s is left to the dispatcher's tick: %s", scan_id, error)


def _is_next_here(following: Next | None, context: Context) -> bool:
    """Whether this process does the next stage itself: a task more costs as much as a match."""
    return (
        following is not None
        and following.state is State.EVALUATING
        and not following.delay
        and bool(context.settings.advisories)
    )


def _task(stage: str) -> Callable[[Callable[[str], None]], Task]:
    decorate: Callable[[Callable[[str], None]], Task] = app.task(name=NAME.format(stage))
    return decorate


@_task(TAKE)
def take_snapshots(scan_id: str) -> None:
    """NEW or SNAPSHOTTING."""
    _run(scan_id, steps.take_snapshots)


@_task(AWAIT)
def await_snapshots(scan_id: str) -> None:
    """SNAPSHOTS_PENDING: this scan's, and all others' in its account and region."""
    _do(scan_id, looking.look)


@_task(INSPECT)
def inspect(scan_id: str) -> None:
    """READING."""
    _run(scan_id, steps.inspect)


@_task(EVALUATE)
def evaluate(scan_id: str) -> None:
    """EVALUATING."""
    _run(scan_id, steps.evaluate)


@_task(DELETE)
def delete_snapshots(scan_id: str) -> None:
    """DELETING."""
    _run(scan_id, steps.delete_snapshots)


@_task(REEVALUATE)
def reevaluate(region: str) -> None:
    """Findings of stored inventories, brought to this worker's database, for a while."""
    context = wiring.context()
    try:
        if steps.reevaluate(context):
            publish_reevaluation(app, context.settings, region)
    except SidelightError:
        # How far it got is in the store, and the dispatcher asks again.
        log.exception("re-evaluation")
    except (OperationalError, OSError) as error:
        log.warning("re-evaluation: the broker does not answer: %s", error)


def publish_reevaluation(application: Celery, settings: Settings, region: str) -> None:
    """Ask a worker to see whether its database is new, and what of it is left to do."""
    application.send_task(
        NAME.format(REEVALUATE),
        args=[region],
        queue=queue(EVALUATE, region, settings),
        priority=6,
        ignore_result=True,
    )
