"""Plan which instances are due. PURE: values and the time in, a plan out."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from itertools import zip_longest
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from dispatcher.planning.eligibility import Configuration, judge
from sidelight.model import Coverage, ScanMode

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence
    from datetime import datetime

    from dispatcher.planning.decisions import Eligibility
    from sidelight.model import Instance, Known

T = TypeVar("T")
# Whether an instance is due now, from its scan history.
IsDue: TypeAlias = "Callable[[Known, datetime], bool]"
# For a caller without the loop, such as a daily job. A little less than a day: a job's scans
# start some time after the job, and would otherwise be a day late every other day.
INTERVAL = timedelta(hours=23, minutes=30)
# A failed scan is not repeated at every tick.
RETRY_INTERVAL = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Plan:
    """`due`: instances, the longest unscanned first; `coverage` of those that are not scanned."""

    due: tuple[Instance, ...]
    coverage: tuple[Coverage, ...]


def plan(  # noqa: PLR0913 - values in, by keyword
    known: Iterable[Known],
    now: datetime,
    configuration: Configuration,
    excluded_keys: Collection[str] = (),
    *,
    on_demand: bool = False,
    by: IsDue | None = None,
) -> Plan:
    """Plan the eligible instances without a live scan that were never scanned, or not for a day.

    A failed scan is repeated after an hour. `on_demand` makes every eligible instance without a
    live scan due. `by` replaces the age rule for instances whose last scan succeeded.
    """
    due: list[tuple[bool, datetime, Instance]] = []
    coverage = []
    for history in known:
        verdict = judge(history.instance, configuration, excluded_keys)
        if not verdict.eligible:
            coverage.append(_covered(history.instance, verdict))
            continue
        if history.live_scan:
            continue
        if history.tried_at is None:
            coverage.append(_covered(history.instance, verdict))
        if on_demand or is_due(history, now, by=by or is_old):
            due.append((history.tried_at is not None, history.tried_at or now, history.instance))
    ordered = sorted(due, key=lambda item: (item[0], item[1], item[2].account, item[2].id))
    return Plan(tuple(instance for _, _, instance in ordered), tuple(coverage))


def in_turns(parts: Sequence[Sequence[T]]) -> list[T]:
    """Interleave the parts: the first item of each, then the second of each, and so on.

    Each account has its own rate limits: a queue in account order would use one at a time.
    """
    rounds = zip_longest(*parts, fillvalue=None)
    return [item for turn in rounds for item in turn if item is not None]


def is_due(one: Known, now: datetime, *, by: IsDue) -> bool:
    """Whether it was never scanned, failed RETRY_INTERVAL ago, or is due by the rule `by`."""
    if one.tried_at is None:
        return True
    failed = one.scanned_at is None or one.scanned_at < one.tried_at
    if failed and now - one.tried_at >= RETRY_INTERVAL:
        return True
    return by(one, now)


def is_old(one: Known, now: datetime) -> bool:
    """Whether an instance was not scanned for INTERVAL."""
    return one.tried_at is None or now - one.tried_at >= INTERVAL


def _covered(instance: Instance, verdict: Eligibility) -> Coverage:
    entry = verdict.package
    return Coverage(
        account=instance.account,
        region=instance.region,
        instance=instance.id,
        name=instance.name,
        status_code=entry.status_code,
        reason=entry.reason,
        detail=verdict.detail,
        scan_mode=entry.scan_mode or ScanMode.AGENTLESS,
    )
