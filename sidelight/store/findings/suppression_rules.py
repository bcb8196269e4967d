"""Suppression rules: stored, applied when a finding is opened, and reapplied when they change.

A change of the rules increments the counter `rules`. Every transaction that opens findings reads it
with a lock that the change waits for. So a finding is either judged by the new rule, or is already
stored when all findings are judged again. The counter `judged` is the last applied revision.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Row, bindparam, delete, select, update

from sidelight.findings import EventKind
from sidelight.model import (
    Finding,
    FindingStatus,
    Instance,
    InstanceRef,
    Judged,
    SuppressionRule,
    finding_arn,
)
from sidelight.store.base import documents as codec
from sidelight.store.base.counters import increment, read_counter, set_counter
from sidelight.store.base.dialect import insert, parts
from sidelight.store.base.schema import (
    finding_details,
    findings,
    instances,
    inventories,
    suppression_rules,
)
from sidelight.store.findings.outbox import announce, change_of
from sidelight.suppression import Criteria, Level, detail_values, instance_values, parse, row_values

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import datetime

    from sidelight.store.base.clock import Clock
    from sidelight.store.base.engine import Database

_ACTIVE, _SUPPRESSED = FindingStatus.ACTIVE, FindingStatus.SUPPRESSED
_INSTANCES = 100  # instances with findings that one transaction judges again


class SuppressionRules:
    """The rules of the fleet."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def all(self) -> list[SuppressionRule]:
        """Return the rules by name."""
        with self._database.read() as connection:
            rows = connection.execute(select(suppression_rules).order_by(suppression_rules.c.name))
            return [SuppressionRule(**row._mapping) for row in rows]  # noqa: SLF001 - public

    def save(self, rule: SuppressionRule) -> int:
        """Create or replace a rule and judge all findings; return the number that changed.

        Raises FormatError for invalid criteria.
        """
        parse(json.loads(rule.criteria))
        now = self._clock()
        values = {"criteria": rule.criteria, "description": rule.description, "updated_at": now}
        with self._database.write() as connection:
            increment(connection, "rules")
            connection.execute(
                insert(connection, suppression_rules)
                .values(name=rule.name, created_at=now, **values)
                .on_conflict_do_update(index_elements=["name"], set_=values)
            )
        return self.judge()

    def remove(self, name: str) -> bool:
        """Remove a rule and judge all findings; False if no rule has this name."""
        with self._database.write() as connection:
            increment(connection, "rules")
            statement = delete(suppression_rules).where(suppression_rules.c.name == name)
            was_removed = connection.execute(statement).rowcount == 1
        self.judge()
        return was_removed

    def judge(self) -> int:
        """Judge all findings unless the present rules are applied; return the number that changed.

        Each transaction judges some instances. After an interruption, the next caller starts again
        from the first instance.
        """
        with self._database.read() as connection:
            revision = read_counter(connection, "rules")
            if read_counter(connection, "judged") >= revision:
                return 0
        changed, last = 0, ("", "")
        while True:
            with self._database.write() as connection:
                held = _next_instances(connection, last)
                if not held:
                    break
                changed += _judge_again(connection, held, self._clock())
                last = (held[-1].account, held[-1].instance)
        with self._database.write() as connection:
            if read_counter(connection, "judged") < revision:
                increment(connection, "judged")
                set_counter(connection, "judged", revision)
        return changed


def judge_with(
    connection: Connection, now: datetime
) -> Callable[[Iterable[Judged]], dict[Judged, FindingStatus]]:
    """Return the function that decides on the findings opened in this transaction."""
    read_counter(connection, "rules", share=True)
    rules = _rules(connection)

    def judge(asked: Iterable[Judged]) -> dict[Judged, FindingStatus]:
        if not rules:
            return {}
        wanted = list(asked)
        court = _Court(connection, rules, [subject.detail for subject in wanted])
        return {
            subject: court.verdict(
                subject.place, subject.detail, "", (subject.first_observed, now, now)
            )
            for subject in wanted
        }

    return judge


def doubt(connection: Connection) -> None:
    """Request a new judgement of all findings, if rules exist: vulnerability details changed."""
    if connection.execute(select(suppression_rules.c.name).limit(1)).first() is not None:
        increment(connection, "rules")


def documents(connection: Connection, ids: Iterable[int]) -> dict[int, Finding]:
    """Load the findings of these vulnerability details, by id."""
    by_id: dict[int, Finding] = {}
    for part in parts(sorted(set(ids))):
        query = select(finding_details.c.id, finding_details.c.document)
        for row in connection.execute(query.where(finding_details.c.id.in_(part))):
            by_id[row.id] = codec.load(Finding, row.document)
    return by_id


class _Court:
    """The rules, each evaluated once for a detail and once for an instance."""

    def __init__(
        self, connection: Connection, rules: Sequence[Criteria], details: Iterable[int]
    ) -> None:
        self._connection = connection
        self._of_detail = {
            detail: [rule for rule in rules if rule.agree(Level.DETAIL, detail_values(finding))]
            for detail, finding in documents(connection, details).items()
        }
        self._of_instance: dict[InstanceRef | tuple[str, str, str], dict[str, Sequence[Any]]] = {}

    def verdict(
        self, place: InstanceRef, detail: int, arn: str, dates: tuple[datetime, datetime, datetime]
    ) -> FindingStatus:
        """Return ACTIVE or SUPPRESSED. The rules see the finding as ACTIVE."""
        rules = self._of_detail.get(detail)
        if not rules:
            return _ACTIVE
        about = row_values(arn, _ACTIVE.value, *dates)
        instance = self._instance(place)
        agreed = any(
            rule.agree(Level.INSTANCE, instance) and rule.agree(Level.ROW, about) for rule in rules
        )
        return _SUPPRESSED if agreed else _ACTIVE

    def _instance(self, place: InstanceRef) -> dict[str, Sequence[Any]]:
        if place not in self._of_instance:
            query = select(instances.c.document).where(
                instances.c.account == place.account, instances.c.instance == place.instance
            )
            document = self._connection.execute(query).scalar()
            known = None if document is None else codec.load(Instance, document)
            self._of_instance[place] = instance_values(*place, known)
        return self._of_instance[place]


def _rules(connection: Connection) -> list[Criteria]:
    query = select(suppression_rules.c.criteria).order_by(suppression_rules.c.name)
    return [parse(json.loads(text)) for text in connection.execute(query).scalars()]


def _next_instances(connection: Connection, last: tuple[str, str]) -> list[Row[Any]]:
    """Lock the next instances after the last one, as every change of findings does."""
    account, instance = inventories.c.account, inventories.c.instance
    query = (
        select(account, inventories.c.region, instance)
        .where((account > last[0]) | ((account == last[0]) & (instance > last[1])))
        .order_by(account, instance)
        .limit(_INSTANCES)
        .with_for_update()
    )
    return list(connection.execute(query))


def _judge_again(connection: Connection, held: Sequence[Row[Any]], now: datetime) -> int:
    rules = _rules(connection)
    rows: list[Row[Any]] = []
    for account in {row.account for row in held}:
        query = select(findings).where(
            findings.c.account == account,
            findings.c.instance.in_([row.instance for row in held if row.account == account]),
            findings.c.status != FindingStatus.CLOSED.value,
        )
        rows += connection.execute(query).all()
    return apply_rules(connection, rules, rows, now)


def apply_rules(
    connection: Connection, rules: Sequence[Criteria], rows: Sequence[Row[Any]], now: datetime
) -> int:
    """Suppress or unsuppress open findings by the rules; return the number that changed."""
    court = _Court(connection, rules, {row.detail for row in rows})
    changed: list[tuple[Row[Any], FindingStatus]] = []
    for row in rows:
        place = InstanceRef(row.account, row.region, row.instance)
        dates = (row.first_observed, row.last_observed, row.updated_at)
        status = court.verdict(place, row.detail, finding_arn(place, row.id), dates)
        if status.value != row.status:
            changed.append((row, status))
    if changed:
        connection.execute(
            update(findings)
            .where(findings.c.id == bindparam("row"))
            .values(status=bindparam("to_status"), updated_at=now),
            [{"row": row.id, "to_status": status.value} for row, status in changed],
        )
        announce(
            connection, [change_of(EventKind.UPDATED, row, to.value) for row, to in changed], now
        )
    return len(changed)
