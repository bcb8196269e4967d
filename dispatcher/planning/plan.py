"""Plan which instances are due. PURE: values and the time in, a plan out."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from itertools import zip_longest
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from dispatcher.planning.decisions import ACTIVE, INACTIVE, Method
from dispatcher.planning.eligibility import AgentView, Configuration, judge
from dispatcher.planning.facts import FilesystemSupport
from sidelight.model import Coverage, ScanMode, ScanType
from sidelight.model.coverage_reasons import CLOSING, OF_TARGETS, PLANNED

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
    from datetime import datetime

    from dispatcher.planning.decisions import Eligibility, Outcome
    from sidelight.model import Instance, Known, ManagedInstance

T = TypeVar("T")
# Whether an instance is due now, from its scan history.
IsDue: TypeAlias = "Callable[[Known, datetime], bool]"
# For a caller without the loop, such as a daily job. A little less than a day: a job's scans
# start some time after the job, and would otherwise be a day late every other day.
INTERVAL = timedelta(hours=23, minutes=30)
# Network coverage after which an instance begins to be evaluated; a refused call ends without help.
NETWORK_REVIVED = frozenset(
    {
        "EXCLUDED_BY_TAG", "EC2_INSTANCE_STOPPED", "RESOURCE_TERMINATED", "PENDING_DISABLE",
        "PENDING_INITIAL_SCAN",
    }
)  # fmt: skip
# Reasons that close network findings: of a stopped instance they stay.
NETWORK_CLOSING = frozenset({"RESOURCE_TERMINATED", "EXCLUDED_BY_TAG"})
# A failed scan is not repeated at every tick.
RETRY_INTERVAL = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Plan:
    """`due`: instances, the longest unscanned first; `coverage` of those that are not scanned.

    `networks`: the network coverage of every instance, as far as the planner decides on it.
    `restored`: the ids of those whose account was denied, and whose last scan counts again.
    """

    due: tuple[Instance, ...]
    coverage: tuple[Coverage, ...]
    networks: tuple[Coverage, ...] = ()
    restored: tuple[str, ...] = ()


def plan(  # noqa: PLR0913 - values in, by keyword
    known: Iterable[Known],
    now: datetime,
    configuration: Configuration,
    excluded_keys: Collection[str] = (),
    *,
    managed: Mapping[str, ManagedInstance] | None = None,
    on_demand: bool = False,
    by: IsDue | None = None,
) -> Plan:
    """Plan the eligible instances without a live scan that were never scanned, or not for a day.

    A failed scan is repeated after an hour. `on_demand` makes every eligible instance without a
    live scan due. `by` replaces the age rule for instances whose last scan succeeded. `managed` is
    what Systems Manager lists; None if it was not asked. An instance that was not scanned before,
    or by its agent, and is eligible now, is due at once.
    """
    due: list[tuple[bool, datetime, Instance]] = []
    coverage, networks, restored = [], [], []
    for history in known:
        unreadable = _is_unreadable(history)
        verdict = judge(
            history.instance,
            configuration,
            excluded_keys,
            agent=None if managed is None else AgentView(managed.get(history.instance.id), now),
            filesystem=FilesystemSupport.UNREADABLE if unreadable else FilesystemSupport.UNKNOWN,
        )
        networks.append(_network_coverage(history.instance, verdict))
        turns = _turns(history, verdict)
        if verdict.method is not Method.AGENTLESS:
            if turns or verdict.reason:
                coverage.append(_covered(history.instance, verdict))
            continue
        if history.live_scan:
            if turns and not _was_closed(history):
                coverage.append(_covered(history.instance, verdict))
            continue
        if turns and not unreadable:
            coverage.append(_covered(history.instance, verdict))
        if _was_denied(history):
            restored.append(history.instance.id)
        if unreadable:
            starts = on_demand or (by or is_old)(history, now)
        else:
            starts = on_demand or turns or is_due(history, now, by=by or is_old)
        if starts:
            due.append((history.tried_at is not None, history.tried_at or now, history.instance))
    ordered = sorted(due, key=lambda item: (item[0], item[1], item[2].account, item[2].id))
    return Plan(
        tuple(instance for _, _, instance in ordered),
        tuple(coverage),
        tuple(row for row in networks if row.reason),
        tuple(restored),
    )


def network_turns(
    rows: Iterable[Coverage], states: Mapping[str, tuple[str, str]]
) -> tuple[list[Coverage], list[Coverage]]:
    """Return the network coverage to write, and those of it that begin to be evaluated.

    `states` are status code and reason as stored, by instance. What an evaluation wrote of an
    instance that still is evaluated stays.
    """
    written, begun = [], []
    for row in rows:
        stored = states.get(row.instance)
        if row.status_code == ACTIVE:
            if stored is None or (stored[0] != ACTIVE and stored[1] in NETWORK_REVIVED):
                written.append(row)
                begun.append(row)
        elif stored != (row.status_code, row.reason):
            written.append(row)
    return written, begun


def _turns(history: Known, verdict: Eligibility) -> bool:
    """Whether an ACTIVE entry begins: a first one, another scan mode, or after an exclusion."""
    entry = verdict.package
    if entry.status_code != ACTIVE:
        return False
    if history.covered is None:
        return True
    status, reason, scan_mode = history.covered
    return scan_mode != entry.scan_mode or (status != ACTIVE and reason in PLANNED)


def _was_denied(history: Known) -> bool:
    """Whether its account or Region could not be reached, and not its own last scan failed."""
    if history.covered is None or history.scanned_at is None or history.tried_at is None:
        return False
    status, reason, scan_mode = history.covered
    is_denied = status == INACTIVE and reason in OF_TARGETS and scan_mode == ScanMode.AGENTLESS
    return is_denied and history.scanned_at >= history.tried_at


def _was_closed(history: Known) -> bool:
    """Whether its findings were closed: of those a scan that runs may have stored none again."""
    return history.covered is not None and history.covered[1] in CLOSING


def _is_unreadable(history: Known) -> bool:
    """Whether the last scan ended because it could read no filesystem."""
    failed = history.tried_at is not None and (
        history.scanned_at is None or history.scanned_at < history.tried_at
    )
    return failed and history.covered == (INACTIVE, "UNSUPPORTED_OS", ScanMode.AGENTLESS)


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


def _network_coverage(instance: Instance, verdict: Eligibility) -> Coverage:
    entry = verdict.network
    detail = "" if entry.status_code == ACTIVE else verdict.detail
    return _coverage(instance, entry, detail, "", ScanType.NETWORK)


def _covered(instance: Instance, verdict: Eligibility) -> Coverage:
    entry = verdict.package
    scan_mode = entry.scan_mode or ScanMode.AGENTLESS
    return _coverage(instance, entry, verdict.detail, scan_mode, ScanType.PACKAGE)


def _coverage(
    instance: Instance, entry: Outcome, detail: str, scan_mode: str, scan_type: ScanType
) -> Coverage:
    return Coverage(
        account=instance.account,
        region=instance.region,
        instance=instance.id,
        name=instance.name,
        status_code=entry.status_code,
        reason=entry.reason,
        detail=detail,
        scan_mode=scan_mode,
        scan_type=scan_type.value,
    )
