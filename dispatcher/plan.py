"""What is due. PURE: values and the time in, what to do out."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from itertools import zip_longest
from typing import TYPE_CHECKING, TypeVar

from dispatcher.eligibility import Configuration, Verdict, judge
from sidelight.store import Coverage

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from datetime import datetime

    from sidelight.model import Instance
    from sidelight.store import Known

T = TypeVar("T")
INTERVAL = timedelta(hours=24)
# A scan that failed is not made again at every tick.
RETRY_INTERVAL = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Plan:
    """`due`, the longest unscanned first, and the coverage of those that are not scanned."""

    due: tuple[Instance, ...]
    coverage: tuple[Coverage, ...]


def plan(
    known: Iterable[Known],
    now: datetime,
    configuration: Configuration,
    excluded_keys: Collection[str] = (),
    *,
    on_demand: bool = False,
) -> Plan:
    """Due is what is eligible, has no live scan, and was not scanned for 24 hours, or ever.

    `on_demand` makes every eligible instance without a live scan due.
    """
    due: list[tuple[bool, datetime, Instance]] = []
    coverage = []
    for one in known:
        verdict = judge(one.instance, configuration, excluded_keys)
        if not verdict.eligible:
            coverage.append(_covered(one.instance, verdict, "INACTIVE"))
            continue
        if one.live_scan:
            continue
        if one.tried_at is None:
            coverage.append(_covered(one.instance, Verdict("PENDING_INITIAL_SCAN"), "ACTIVE"))
        if on_demand or _is_due(one, now):
            due.append((one.tried_at is not None, one.tried_at or now, one.instance))
    ordered = sorted(due, key=lambda item: (item[0], item[1], item[2].account, item[2].id))
    return Plan(tuple(instance for _, _, instance in ordered), tuple(coverage))


def in_turns(parts: Sequence[Sequence[T]]) -> list[T]:
    """One of each part, then the next of each.

    Accounts have budgets of their own: a queue in their order would use one at a time.
    """
    rounds = zip_longest(*parts, fillvalue=None)
    return [one for turn in rounds for one in turn if one is not None]


def _is_due(one: Known, now: datetime) -> bool:
    if one.tried_at is None:
        return True
    if one.scanned_at is None or one.scanned_at < one.tried_at:
        return now - one.tried_at >= RETRY_INTERVAL
    return now - one.tried_at >= INTERVAL


def _covered(instance: Instance, verdict: Verdict, status: str) -> Coverage:
    return Coverage(
        account=instance.account,
        region=instance.region,
        instance=instance.id,
        name=instance.name,
        status_code=status,
        reason=verdict.reason,
        detail=verdict.detail,
    )
