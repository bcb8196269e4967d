"""Suppression rules: stored, applied when a finding is opened, and reapplied when they change.

A change of the rules increments the counter `rules`. Every transaction that opens findings reads it
with a lock that the change waits for. So a finding is either judged by the new rule, or is already
stored when all findings are judged again. The counter `judged` is the last applied revision.
"""

from __future__ import annotations

import json
import uuid
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from sqlalchemy import Connection, RowMapping, bindparam, delete, select, update

from sidelight.findings import EventKind
from sidelight.model import (
    NO_ACTION,
    SUPPRESS,
    FindingStatus,
    FindingType,
    Instance,
    InstanceRef,
    Judged,
    SuppressionRule,
    finding_arn,
)
from sidelight.store.base import documents as codec
from sidelight.store.base.counters import increment, read_counter, set_counter
from sidelight.store.base.dialect import parts
from sidelight.store.base.schema import (
    account_configurations,
    finding_details,
    finding_filters,
    findings,
    instances,
    inventories,
    organization_configurations,
)
from sidelight.store.findings.finding_documents import load_finding
from sidelight.store.findings.outbox import (
    OPEN_FINDINGS,
    OpenFinding,
    announce,
    change_of,
    open_findings,
)
from sidelight.suppression import Criteria, Level, detail_values, instance_values, parse, row_values

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence
    from datetime import datetime

    from sidelight.model import Finding, NetworkFinding
    from sidelight.store.base.clock import Clock
    from sidelight.store.base.engine import Database
    from sidelight.suppression import Values

_ACTIVE, _SUPPRESSED = FindingStatus.ACTIVE, FindingStatus.SUPPRESSED
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
            return [_filter(row) for row in connection.execute(query).mappings()]

    def find(self, number: str) -> SuppressionRule | None:
        """Return the filter with this id; None if there is none."""
        with self._database.read() as connection:
            query = select(finding_filters).where(finding_filters.c.id == number)
            row = connection.execute(query).mappings().first()
        return None if row is None else _filter(row)

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
                changed += apply_rules(connection, _rules(connection), rows, self._clock())
                last = rows[-1].id


def judge_with(
    connection: Connection, now: datetime
) -> Callable[[Iterable[Judged]], dict[Judged, FindingStatus]]:
    """Return the function that decides on the findings opened in this transaction."""
    read_counter(connection, "rules", share=True)
    rules = _rules(connection)

    def judge(subjects: Iterable[Judged]) -> dict[Judged, FindingStatus]:
        if not rules:
            return {}
        wanted = list(subjects)
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
    if connection.execute(select(finding_filters.c.id).limit(1)).first() is not None:
        increment(connection, "rules")


def judge_details(connection: Connection, ids: Sequence[int], now: datetime) -> int:
    """Judge the open findings of these details again, in the transaction that changed them."""
    rules = _rules(connection)
    rows: list[OpenFinding] = []
    if rules:
        for part in parts(ids):
            rows += open_findings(connection, OPEN_FINDINGS.where(findings.c.detail.in_(part)))
    return apply_rules(connection, rules, rows, now) if rows else 0


def judge_moved(
    connection: Connection, ids: Sequence[int], announced: Collection[int], now: datetime
) -> int:
    """Judge open findings that have got other details; `announced` ones have an event anyway."""
    rows: list[OpenFinding] = []
    for part in parts(ids):
        rows += open_findings(connection, OPEN_FINDINGS.where(findings.c.id.in_(part)))
    return apply_rules(connection, _rules(connection), rows, now, announced)


def documents(connection: Connection, ids: Iterable[int]) -> dict[int, Finding | NetworkFinding]:
    """Load the findings of these details, by id."""
    by_id: dict[int, Finding | NetworkFinding] = {}
    columns = finding_details.c.id, finding_details.c.type, finding_details.c.document
    for part in parts(sorted(set(ids))):
        query = select(*columns).where(finding_details.c.id.in_(part))
        for row in connection.execute(query):
            by_id[row.id] = load_finding(row.type, row.document)
    return by_id


class _Court:
    """The rules, each evaluated once for a detail and once for an instance."""

    def __init__(
        self, connection: Connection, rules: Sequence[RuleTest], details: Iterable[int]
    ) -> None:
        self._connection = connection
        self._of_detail = {
            detail: [rule for rule in rules if rule.agree(Level.DETAIL, detail_values(finding))]
            for detail, finding in documents(connection, details).items()
        }
        self._of_instance: dict[InstanceRef, Values] = {}

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

    def _instance(self, place: InstanceRef) -> Values:
        if place not in self._of_instance:
            self._of_instance[place] = known_instance_values(self._connection, place)
        return self._of_instance[place]


@dataclass(frozen=True, slots=True)
class RuleTest:
    """Criteria for the findings of some accounts, or of all."""

    criteria: Criteria
    accounts: frozenset[str] | None

    def agree(self, level: Level, values: Values) -> bool:
        """Return whether all criteria of a level match; the account is of Level.INSTANCE."""
        if level is Level.INSTANCE and self.accounts is not None:
            account = values["awsAccountId"][0]
            return account in self.accounts and self.criteria.agree(level, values)
        return self.criteria.agree(level, values)


def _rules(connection: Connection) -> list[RuleTest]:
    return [test for _, test in suppressing_rules(connection)]


def suppressing_rules(connection: Connection) -> list[tuple[SuppressionRule, RuleTest]]:
    """Return the rules that suppress, by name, each with what it tests."""
    table = finding_filters
    query = select(table).where(table.c.action == SUPPRESS).order_by(table.c.name, table.c.owner)
    rules = [_filter(row) for row in connection.execute(query).mappings()]
    return [
        (rule, RuleTest(parse(json.loads(rule.criteria)), _accounts(connection, rule.owner)))
        for rule in rules
    ]


def known_instance_values(connection: Connection, place: InstanceRef) -> Values:
    """Return what rules compare of an instance."""
    query = select(instances.c.document).where(
        instances.c.account == place.account, instances.c.instance == place.instance
    )
    document = connection.execute(query).scalar()
    known = None if document is None else codec.load(Instance, document)
    return instance_values(*place, known)


def _accounts(connection: Connection, owner: str) -> frozenset[str] | None:
    """Return the accounts of an owner's rules: its own, and the members that it administers."""
    if not owner:
        return None
    organization, member = organization_configurations, account_configurations
    query = (
        select(member.c.account)
        .join(organization, organization.c.id == member.c.organization)
        .where(organization.c.administrator == owner)
    )
    return frozenset({owner, *connection.execute(query).scalars()})


def _filter(row: RowMapping) -> SuppressionRule:
    return SuppressionRule(**row)


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
    rules = _rules(connection)
    rows: list[OpenFinding] = []
    for account in {place.account for place in held}:
        query = OPEN_FINDINGS.where(
            findings.c.account == account,
            findings.c.instance.in_([place.instance for place in held if place.account == account]),
        )
        rows += open_findings(connection, query)
    return apply_rules(connection, rules, rows, now)


def apply_rules(
    connection: Connection,
    rules: Sequence[RuleTest],
    rows: Sequence[OpenFinding],
    now: datetime,
    announced: Collection[int] = (),
) -> int:
    """Suppress or unsuppress open findings by the rules; return the number that changed.

    The ids that are `announced` have an event also where the rules change nothing.
    """
    court = _Court(connection, rules, {row.detail for row in rows} if rules else ())
    changed: list[tuple[OpenFinding, FindingStatus]] = []
    same: list[tuple[OpenFinding, FindingStatus]] = []
    for row in rows:
        place = InstanceRef(row.account, row.region, row.instance)
        dates = (row.first_observed, row.last_observed, row.updated_at)
        status = court.verdict(place, row.detail, finding_arn(place, row.id), dates)
        if status.value != row.status:
            changed.append((row, status))
        elif row.id in announced:
            same.append((row, status))
    if changed:
        connection.execute(
            update(findings)
            .where(findings.c.id == bindparam("row"))
            .values(status=bindparam("to_status"), updated_at=now),
            [{"row": row.id, "to_status": status.value} for row, status in changed],
        )
    announce(
        connection,
        [change_of(EventKind.UPDATED, row, to.value) for row, to in (*changed, *same)],
        now,
    )
    return len(changed)
