"""Suppression rules: stored, applied when a finding is opened, and reapplied when they change.

VEX documents act as the rules do (vex_documents.py); judgement.py has how both decide.
A change of the rules increments the counter `rules`. Every transaction that opens findings reads it
with a lock that the change waits for. So a finding is either judged by the new rule, or is already
stored when all findings are judged again. The counter `judged` is the last applied revision.
"""

from __future__ import annotations

import json
import uuid
from dataclasses import asdict
from typing import TYPE_CHECKING

from sqlalchemy import Connection, delete, select, update

from sidelight.model import (
    NO_ACTION,
    SUPPRESS,
    FindingStatus,
    FindingType,
    InstanceRef,
    Judged,
    SuppressionRule,
)
from sidelight.store.base.counters import increment, read_counter, set_counter
from sidelight.store.base.dialect import parts
from sidelight.store.base.schema import finding_filters, findings, inventories
from sidelight.store.findings.judgement import (
    SuppressionCheck,
    apply_suppressions,
    current_suppressions,
)
from sidelight.store.findings.outbox import OPEN_FINDINGS, OpenFinding, open_findings
from sidelight.store.findings.vex_claims import has_claims
from sidelight.suppression import parse

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence
    from datetime import datetime

    from sidelight.store.base.clock import Clock
    from sidelight.store.base.engine import Database

_INSTANCES = 100  # instances with findings that one transaction judges again
_FINDINGS = 1000  # network findings that one transaction judges again


class SuppressionRules:
    """Filters of findings: of the fleet, and of accounts."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def all(self, owner: str | None = None) -> list[SuppressionRule]:
        """Return the filters of an owner, or all, by name."""
        query = select(finding_filters).order_by(finding_filters.c.name, finding_filters.c.owner)
        if owner is not None:
            query = query.where(finding_filters.c.owner == owner)
        with self._database.read() as connection:
            return [SuppressionRule(**row) for row in connection.execute(query).mappings()]

    def find(self, number: str) -> SuppressionRule | None:
        """Return the filter with this id; None if there is none."""
        with self._database.read() as connection:
            query = select(finding_filters).where(finding_filters.c.id == number)
            row = connection.execute(query).mappings().first()
        return None if row is None else SuppressionRule(**row)

    def save(self, rule: SuppressionRule) -> int:
        """Create or replace an owner's filter and judge findings; return how many changed.

        A filter without an id replaces the one of its name. Raises FormatError for bad criteria,
        StoreError where another filter of its owner has the name.
        """
        parse(json.loads(rule.criteria))
        now = self._clock()
        table = finding_filters
        kept = ("id", "owner", "created_at")
        values = asdict(rule) | {"updated_at": now}
        with self._database.write() as connection:
            increment(connection, "rules")
            query = select(table.c.id).where(table.c.owner == rule.owner)
            same = table.c.id == rule.id if rule.id else table.c.name == rule.name
            known = connection.execute(query.where(same)).scalar()
            if known is None:
                new = {"id": rule.id or uuid.uuid4().hex, "created_at": now}
                connection.execute(table.insert().values(**values | new))
            else:
                changed = {name: value for name, value in values.items() if name not in kept}
                connection.execute(update(table).where(table.c.id == known).values(**changed))
        return self.judge()

    def remove(self, name: str, owner: str = "") -> bool:
        """Remove an owner's filter and judge all findings; False if none has this name."""
        table = finding_filters
        with self._database.write() as connection:
            increment(connection, "rules")
            statement = delete(table).where(table.c.name == name, table.c.owner == owner)
            was_removed = connection.execute(statement).rowcount == 1
        self.judge()
        return was_removed

    def reconsider(self) -> int:
        """Judge all findings again, after the members of an organization changed."""
        with self._database.write() as connection:
            increment(connection, "rules")
        return self.judge()

    def judge(self) -> int:
        """Judge all findings unless the present rules are applied; return the number that changed.

        Each transaction judges some instances. After an interruption, the next caller starts again
        from the first instance. Rules whose time has come do not suppress any more.
        """
        self._expire()
        with self._database.read() as connection:
            revision = read_counter(connection, "rules")
            if read_counter(connection, "judged") >= revision:
                return 0
        changed, last = 0, InstanceRef("", "", "")
        while True:
            with self._database.write() as connection:
                held = _next_instances(connection, last)
                if not held:
                    break
                changed += _judge_again(connection, held, self._clock())
                last = held[-1]
        changed += self._judge_networks()
        with self._database.write() as connection:
            if read_counter(connection, "judged") < revision:
                increment(connection, "judged")
                set_counter(connection, "judged", revision)
        return changed

    def _expire(self) -> None:
        """Take the effect of rules whose time has come."""
        table, now = finding_filters, self._clock()
        due = (table.c.action == SUPPRESS, table.c.expires_at <= now)
        with self._database.read() as connection:
            if connection.execute(select(table.c.id).where(*due).limit(1)).first() is None:
                return
        with self._database.write() as connection:
            increment(connection, "rules")
            values = {"action": NO_ACTION, "updated_at": now}
            connection.execute(update(table).where(*due).values(values))

    def _judge_networks(self) -> int:
        """Judge all network findings: an instance may have some without an inventory."""
        changed, last = 0, 0
        query = OPEN_FINDINGS.where(findings.c.type == FindingType.NETWORK_REACHABILITY.value)
        while True:
            with self._database.write() as connection:
                part = query.where(findings.c.id > last).order_by(findings.c.id).limit(_FINDINGS)
                rows = open_findings(connection, part.with_for_update())
                if not rows:
                    return changed
                changed += apply_suppressions(
                    connection, current_suppressions(connection), rows, self._clock()
                )
                last = rows[-1].id


def judge_with(
    connection: Connection, now: datetime
) -> Callable[[Iterable[Judged]], dict[Judged, FindingStatus]]:
    """Return the function that decides on the findings opened in this transaction."""
    read_counter(connection, "rules", share=True)
    suppressions = current_suppressions(connection)

    def judge(subjects: Iterable[Judged]) -> dict[Judged, FindingStatus]:
        if not suppressions:
            return {}
        wanted = list(subjects)
        check = SuppressionCheck(connection, suppressions, [subject.detail for subject in wanted])
        return {
            subject: check.status(
                subject.place, subject.detail, "", (subject.first_observed, now, now)
            )
            for subject in wanted
        }

    return judge


def doubt(connection: Connection) -> None:
    """Request a new judgement of all findings, if rules exist: vulnerability details changed."""
    has_rules = connection.execute(select(finding_filters.c.id).limit(1)).first() is not None
    if has_rules or has_claims(connection):
        increment(connection, "rules")


def judge_details(connection: Connection, ids: Sequence[int], now: datetime) -> int:
    """Judge the open findings of these details again, in the transaction that changed them."""
    suppressions = current_suppressions(connection)
    rows: list[OpenFinding] = []
    if suppressions:
        for part in parts(ids):
            rows += open_findings(connection, OPEN_FINDINGS.where(findings.c.detail.in_(part)))
    return apply_suppressions(connection, suppressions, rows, now) if rows else 0


def judge_moved(
    connection: Connection, ids: Sequence[int], announced: Collection[int], now: datetime
) -> int:
    """Judge open findings that have got other details; `announced` ones have an event anyway."""
    rows: list[OpenFinding] = []
    for part in parts(ids):
        rows += open_findings(connection, OPEN_FINDINGS.where(findings.c.id.in_(part)))
    return apply_suppressions(connection, current_suppressions(connection), rows, now, announced)


def _next_instances(connection: Connection, last: InstanceRef) -> list[InstanceRef]:
    """Lock the next instances after the last one, as every change of findings does."""
    account, instance = inventories.c.account, inventories.c.instance
    query = (
        select(account, inventories.c.region, instance)
        .where((account > last.account) | ((account == last.account) & (instance > last.instance)))
        .order_by(account, instance)
        .limit(_INSTANCES)
        .with_for_update()
    )
    return [InstanceRef._make(row) for row in connection.execute(query)]


def _judge_again(connection: Connection, held: Sequence[InstanceRef], now: datetime) -> int:
    suppressions = current_suppressions(connection)
    rows: list[OpenFinding] = []
    for account in {place.account for place in held}:
        query = OPEN_FINDINGS.where(
            findings.c.account == account,
            findings.c.instance.in_([place.instance for place in held if place.account == account]),
        )
        rows += open_findings(connection, query)
    return apply_suppressions(connection, suppressions, rows, now)
