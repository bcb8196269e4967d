"""Instances that nothing outside of their network reaches: their findings' scores are lower.

`unreached_instances` has those whose findings have the details of unreached machines; it changes
with the findings, while the instance's inventory is locked. An unchanged evaluation writes nothing.
"""

from __future__ import annotations

from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from sqlalchemy import and_, bindparam, delete, exists, select, update

from sidelight.completeness import COMPLETE_SCAN
from sidelight.model import FindingStatus, FindingType, ScanType
from sidelight.store.base.counters import read_counter
from sidelight.store.base.dialect import adding_new, parts
from sidelight.store.base.ordered_join import same_instance
from sidelight.store.base.schema import (
    coverage,
    finding_details,
    findings,
    inventories,
    unreached_details,
    unreached_instances,
)
from sidelight.store.findings.row_columns import ROW_TYPE
from sidelight.store.findings.suppression_rules import judge_moved
from sidelight.store.findings.unreached_details import details_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from datetime import datetime

    from sqlalchemy import ColumnElement, Connection, Select

    from sidelight.findings import Observation
    from sidelight.store.base.clock import Clock
    from sidelight.store.base.engine import Database

# An older evaluation says nothing: networks are evaluated every 12 hours, unless set otherwise.
FRESH: Final = timedelta(days=2)
_AT_ONCE: Final = 10  # instances whose findings change in one transaction
_LAPSED: Final = 1000  # instances of which one query asks
_OPEN_PACKAGE: Final = and_(
    FindingType.PACKAGE_VULNERABILITY.value == ROW_TYPE,
    findings.c.status != FindingStatus.CLOSED.value,
)


class _Move(NamedTuple):
    """A finding, its new details, and whether their score is another."""

    finding: int
    detail: int
    is_rescored: bool


class Exposures:
    """The exposure of instances, as the scores of their findings have it."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def update(self, account: str, instances: Collection[str]) -> int:
        """Bring the scores of these instances' findings up to date; return how many changed.

        Call it after an evaluation of the network is stored with its coverage.
        """
        changed = 0
        for part in parts(sorted(instances)):
            with self._database.read() as connection:
                added, removed = _differing(connection, account, part, self._clock())
            for few in parts(sorted(added | removed), _AT_ONCE):
                with self._database.write() as connection:
                    changed += _apply(connection, account, few, self._clock())
        return changed

    def lapse(self) -> int:
        """Restore the scores of instances whose last evaluation is old, or partial, or failed."""
        changed, last = 0, ("", "")
        account, instance = unreached_instances.c.account, unreached_instances.c.instance
        while True:
            query = (
                select(account, instance)
                .where((account > last[0]) | ((account == last[0]) & (instance > last[1])))
                .where(~exists().where(*_evaluated(), same_instance(coverage, unreached_instances)))
                .order_by(account, instance)
                .limit(_LAPSED)
            )
            with self._database.read() as connection:
                rows = connection.execute(query, {"fresh": self._clock() - FRESH}).all()
            if not rows:
                return changed
            for owner in sorted({row.account for row in rows}):
                changed += self.update(owner, [r.instance for r in rows if r.account == owner])
            last = (rows[-1].account, rows[-1].instance)


def expose(connection: Connection, observed: Sequence[Observation], now: datetime) -> None:
    """Replace the details of package findings on unreached machines with those machines' details.

    Call it with the inventories locked, before the counter `rules` is.
    """
    hidden: list[Observation] = []
    for account in sorted({item.place.account for item in observed}):
        own = [item for item in observed if item.place.account == account]
        names = _hidden(connection, account, [item.place.instance for item in own], now)
        hidden += [item for item in own if item.place.instance in names]
    if not hidden:
        return
    details = details_of(
        connection, {number for item in hidden for number in item.details.values()}
    )
    for item in hidden:
        item.details = {key: details.get(number, number) for key, number in item.details.items()}


def _hidden(
    connection: Connection, account: str, instances: Sequence[str], now: datetime
) -> set[str]:
    """Return the unreached ones among locked instances; those without findings may become it."""
    found: set[str] = set()
    for part in parts(instances):
        flagged = _flagged(connection, account, part)
        new = _unreached(connection, account, part, now) - flagged
        if new:
            of_it = findings.c.account == account, findings.c.instance.in_(new), _OPEN_PACKAGE
            query = select(findings.c.instance).where(*of_it).distinct()
            # Findings that are open already change with an event, in `update`.
            new -= set(connection.execute(query).scalars())
            _flag(connection, account, new)
        found |= flagged | new
    return found


def _evaluated() -> Iterable[ColumnElement[bool]]:
    """Return the conditions of a coverage row of a network that was evaluated as a whole.

    The parameter `fresh` is a time: an evaluation before it says nothing.
    """
    return (
        coverage.c.scan_type == ScanType.NETWORK.value,
        coverage.c.status_code == "ACTIVE",
        coverage.c.reason == COMPLETE_SCAN,
        coverage.c.scanned_at >= bindparam("fresh"),
    )


def _unreached(
    connection: Connection, account: str, instances: Collection[str], now: datetime
) -> set[str]:
    """Return the instances whose whole network was evaluated, and has no open port.

    A suppressed network finding is an open port as well.
    """
    values = {"of_account": account, "ids": list(instances), "fresh": now - FRESH}
    return set(connection.execute(_unreached_among(), values).scalars())


@cache
def _unreached_among() -> Select[Any]:
    is_open = exists().where(
        same_instance(findings, coverage),
        FindingType.NETWORK_REACHABILITY.value == ROW_TYPE,
        findings.c.status != FindingStatus.CLOSED.value,
    )
    return select(coverage.c.instance).where(
        coverage.c.account == bindparam("of_account"),
        coverage.c.instance.in_(bindparam("ids", expanding=True)),
        *_evaluated(),
        ~is_open,
    )


def _flagged(connection: Connection, account: str, instances: Collection[str]) -> set[str]:
    values = {"of_account": account, "ids": list(instances)}
    return set(connection.execute(_flagged_among(), values).scalars())


@cache
def _flagged_among() -> Select[Any]:
    table = unreached_instances
    return select(table.c.instance).where(
        table.c.account == bindparam("of_account"),
        table.c.instance.in_(bindparam("ids", expanding=True)),
    )


def _flag(connection: Connection, account: str, instances: Collection[str]) -> None:
    rows = [{"account": account, "instance": instance} for instance in sorted(instances)]
    if rows:
        connection.execute(adding_new(connection, unreached_instances), rows)


def _differing(
    connection: Connection,
    account: str,
    instances: Collection[str],
    now: datetime,
    *,
    lock: bool = False,
) -> tuple[set[str], set[str]]:
    """Return the instances that are unreached now, and those that no longer are.

    One without an inventory has no findings: its first scan decides.
    """
    query = (
        select(inventories.c.instance)
        .where(inventories.c.account == account, inventories.c.instance.in_(instances))
        .order_by(inventories.c.instance)
    )
    known = set(connection.execute(query.with_for_update() if lock else query).scalars())
    hidden = _unreached(connection, account, instances, now)
    flagged = _flagged(connection, account, instances)
    return (hidden - flagged) & known, flagged - hidden


def _apply(connection: Connection, account: str, instances: Sequence[str], now: datetime) -> int:
    added, removed = _differing(connection, account, instances, now, lock=True)
    moves = [*_lowering(connection, account, added), *_restoring(connection, account, removed)]
    _flag(connection, account, added)
    table = unreached_instances
    connection.execute(
        delete(table).where(table.c.account == account, table.c.instance.in_(sorted(removed)))
    )
    if moves:
        connection.execute(
            update(findings)
            .where(findings.c.id == bindparam("row"))
            .values(detail=bindparam("to_detail"), updated_at=now),
            [{"row": move.finding, "to_detail": move.detail} for move in moves],
        )
        read_counter(connection, "rules", share=True)
        rescored = {move.finding for move in moves if move.is_rescored}
        judge_moved(connection, [move.finding for move in moves], rescored, now)
    return len(moves)


def _lowering(connection: Connection, account: str, instances: Collection[str]) -> list[_Move]:
    query = (
        select(findings.c.id, findings.c.detail, finding_details.c.score)
        .join(finding_details, finding_details.c.id == findings.c.detail)
        .where(
            findings.c.account == account, findings.c.instance.in_(sorted(instances)), _OPEN_PACKAGE
        )
    )
    rows = connection.execute(query).all()
    details = details_of(connection, {row.detail for row in rows})
    scores: dict[int, float | None] = {}
    for part in parts(sorted(set(details.values()))):
        of_them = select(finding_details.c.id, finding_details.c.score)
        found = connection.execute(of_them.where(finding_details.c.id.in_(part)))
        scores |= {row.id: row.score for row in found}
    return [
        _Move(row.id, details[row.detail], scores.get(details[row.detail]) != row.score)
        for row in rows
        if details.get(row.detail, row.detail) != row.detail
    ]


def _restoring(connection: Connection, account: str, instances: Collection[str]) -> list[_Move]:
    own, lower = finding_details.alias("own_details"), finding_details.alias("lower_details")
    query = (
        select(findings.c.id, unreached_details.c.first, own.c.score != lower.c.score)
        .join(unreached_details, unreached_details.c.detail == findings.c.detail)
        .join(own, own.c.id == unreached_details.c.first)
        .join(lower, lower.c.id == unreached_details.c.detail)
        .where(
            findings.c.account == account,
            findings.c.instance.in_(sorted(instances)),
            _OPEN_PACKAGE,
            unreached_details.c.first != unreached_details.c.detail,
        )
    )
    return [_Move(row[0], row[1], bool(row[2])) for row in connection.execute(query)]
