"""Suppression rules: kept, asked when a finding is opened, and asked again when they change.

A change of the rules raises the counter `rules`, and every transaction that opens findings reads it
with a lock that the change waits for: so a finding is either judged by the new rule, or is there
when all findings are judged again. `judged` is how far that has got.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Row, bindparam, delete, select, update

from sidelight.model import Finding, Instance
from sidelight.store import codec
from sidelight.store.outbox import Kind, announce, news_of
from sidelight.store.rows import (
    FindingRow,
    FindingStatus,
    Judged,
    Place,
    SuppressionRule,
    finding_arn,
)
from sidelight.store.schema import (
    finding_details,
    findings,
    instances,
    inventories,
    suppression_rules,
)
from sidelight.store.statements import insert, parts, put, raised, value
from sidelight.suppression import Criteria, Level, detail_values, instance_values, parse, row_values

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import datetime

    from sidelight.store.clock import Clock
    from sidelight.store.engine import Database

_ACTIVE, _SUPPRESSED = FindingStatus.ACTIVE, FindingStatus.SUPPRESSED
_INSTANCES = 100  # whose findings are judged again in one transaction


class Rules:
    """The rules of the fleet."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def all(self) -> list[SuppressionRule]:
        """The rules by name."""
        with self._database.read() as connection:
            rows = connection.execute(select(suppression_rules).order_by(suppression_rules.c.name))
            return [SuppressionRule(**row._mapping) for row in rows]  # noqa: SLF001 - public

    def save(self, rule: SuppressionRule) -> int:
        """Make or replace a rule, and judge all findings; how many changed.

        Raises FormatError for criteria that are none.
        """
        parse(json.loads(rule.criteria))
        now = self._clock()
        values = {"criteria": rule.criteria, "description": rule.description, "updated_at": now}
        with self._database.write() as connection:
            raised(connection, "rules")
            connection.execute(
                insert(connection, suppression_rules)
                .values(name=rule.name, created_at=now, **values)
                .on_conflict_do_update(index_elements=["name"], set_=values)
            )
        return self.judge()

    def remove(self, name: str) -> bool:
        """Remove a rule, and judge all findings; False where there is none of this name."""
        with self._database.write() as connection:
            raised(connection, "rules")
            statement = delete(suppression_rules).where(suppression_rules.c.name == name)
            found = connection.execute(statement).rowcount == 1
        self.judge()
        return found

    def judge(self) -> int:
        """Judge all findings, unless the present rules have been asked; how many changed.

        In transactions of some instances each. One that was interrupted is made again from its
        beginning, by whoever asks next.
        """
        with self._database.read() as connection:
            revision = value(connection, "rules")
            if value(connection, "judged") >= revision:
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
            if value(connection, "judged") < revision:
                raised(connection, "judged")
                put(connection, "judged", revision)
        return changed


def filtered(rows: Iterable[FindingRow], criteria: Criteria,
             known: Callable[[str, str], Instance | None]) -> list[FindingRow]:  # fmt: skip
    """The findings that a filter shows."""
    found = []
    for row in rows:
        about_row = row_values(
            row.arn, row.status.value, row.first_observed, row.last_observed, row.updated_at
        )
        if (
            criteria.agree(Level.ROW, about_row)
            and criteria.agree(Level.DETAIL, detail_values(row.finding))
            and criteria.agree(
                Level.INSTANCE,
                instance_values(
                    row.account, row.region, row.instance, known(row.account, row.instance)
                ),
            )
        ):
            found.append(row)
    return found


def judge_with(
    connection: Connection, now: datetime
) -> Callable[[Iterable[Judged]], dict[Judged, FindingStatus]]:
    """What decides on findings that are opened in this transaction."""
    value(connection, "rules", share=True)
    rules = _rules(connection)

    def judge(asked: Iterable[Judged]) -> dict[Judged, FindingStatus]:
        if not rules:
            return {}
        wanted = list(asked)
        court = _Court(connection, rules, [one.detail for one in wanted])
        return {
            one: court.verdict(one.place, one.detail, "", (one.first_observed, now, now))
            for one in wanted
        }

    return judge


def doubt(connection: Connection) -> None:
    """What is said of findings changed: the rules are to be asked again, where there are any."""
    if connection.execute(select(suppression_rules.c.name).limit(1)).first() is not None:
        raised(connection, "rules")


def documents(connection: Connection, ids: Iterable[int]) -> dict[int, Finding]:
    """What is said in these details."""
    found: dict[int, Finding] = {}
    for part in parts(sorted(set(ids))):
        query = select(finding_details.c.id, finding_details.c.document)
        for row in connection.execute(query.where(finding_details.c.id.in_(part))):
            found[row.id] = codec.load(Finding, row.document)
    return found


class _Court:
    """The rules, each asked once for a detail and once for an instance."""

    def __init__(
        self, connection: Connection, rules: Sequence[Criteria], details: Iterable[int]
    ) -> None:
        self._connection = connection
        self._of_detail = {
            detail: [rule for rule in rules if rule.agree(Level.DETAIL, detail_values(finding))]
            for detail, finding in documents(connection, details).items()
        }
        self._of_instance: dict[Place | tuple[str, str, str], dict[str, Sequence[Any]]] = {}

    def verdict(
        self, place: Place, detail: int, arn: str, dates: tuple[datetime, datetime, datetime]
    ) -> FindingStatus:
        """ACTIVE or SUPPRESSED. To its rules a finding is ACTIVE until they have spoken."""
        rules = self._of_detail.get(detail)
        if not rules:
            return _ACTIVE
        about = row_values(arn, _ACTIVE.value, *dates)
        instance = self._instance(place)
        agreed = any(
            rule.agree(Level.INSTANCE, instance) and rule.agree(Level.ROW, about) for rule in rules
        )
        return _SUPPRESSED if agreed else _ACTIVE

    def _instance(self, place: Place) -> dict[str, Sequence[Any]]:
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
    """Some instances after the last one, locked like by all who change findings."""
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
    """Suppress open findings or let them go, as the rules say; how many changed."""
    court = _Court(connection, rules, {row.detail for row in rows})
    changed: list[tuple[Row[Any], FindingStatus]] = []
    for row in rows:
        place = Place(row.account, row.region, row.instance)
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
        announce(connection, [news_of(Kind.UPDATED, row, to.value) for row, to in changed], now)
    return len(changed)
