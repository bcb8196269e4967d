"""What upgrades would close: counts for `sidelight.remediation`, and the actions that are kept.

The actions of the whole fleet and of each account are computed at intervals and kept. Those of
several accounts are combined from the kept ones when they are first asked for, and kept from then.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from sqlalchemy import func, literal, select, tuple_

from sidelight.model import FindingStatus, FindingType, InstanceRef, Severity
from sidelight.remediation import FixableDetail, UpgradeAction, combine, plan, weigh
from sidelight.store.base.ordered_join import same_instance, values_by_instance
from sidelight.store.base.positions import key_values
from sidelight.store.base.schema import coverage, finding_terms, findings
from sidelight.store.findings.active_counts import are_kept, of_details
from sidelight.store.findings.kept_plans import WHOLE_FLEET, KeptPlans, scope_name

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
    from datetime import datetime

    from sqlalchemy import ColumnElement, Connection, Select, Subquery

    from sidelight.store.base.clock import Clock
    from sidelight.store.base.column_types import SqlColumn, SqlRow
    from sidelight.store.base.engine import Database

MOST_ACTIONS: Final = 500
MOST_OF_ACCOUNT: Final = 5_000  # kept of each account: plans of several accounts need them all
_PLACE: Final = (findings.c.account, findings.c.instance)
_INTERNET: Final = "\nAWS::EC2::InternetGateway\n"


@dataclass(frozen=True, slots=True)
class RemediationPlan:
    """Actions, the heaviest first, and when they were computed; None if they never were."""

    actions: Sequence[UpgradeAction]
    counted_at: datetime | None


@dataclass(frozen=True, slots=True)
class UpgradedMachine:
    """A machine that an action is for: the findings that it closes there. `label` is its name."""

    place: InstanceRef
    label: str
    findings: int


class Remediations:
    """The remediation plan."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._kept = KeptPlans(database)

    def compute(
        self,
        accounts: Collection[str] | None = None,
        severities: Collection[Severity] = (),
        limit: int = MOST_ACTIONS,
    ) -> RemediationPlan:
        """Compute the plan of these accounts, or of the fleet; it reads all their findings."""
        now = self._clock()
        with self._database.read() as connection:
            actions = plan(_details(connection, accounts), severities)
            spread = _spread(connection, accounts)
        weighed = weigh(
            replace(action, machines=spread[action.key][0], exposed=spread[action.key][1])
            for action in actions
            if action.key in spread
        )
        return RemediationPlan(weighed[:limit], now)

    def refresh(self, stopped: Callable[[], bool] = lambda: False) -> int:
        """Compute and keep the plans of the fleet and of each account; return the fleet's actions.

        Where it is stopped, plans are as old as the time of the last complete run says.
        """
        begun, found = self._clock(), self.compute()
        self._kept.put(WHOLE_FLEET, found.actions, begun)
        accounts, scopes = self._kept.accounts_with_findings(), self._kept.scopes(begun)
        for name, members in scopes.items():
            if stopped():
                return len(found.actions)
            self._kept.put(name, self.compute(members).actions, begun)
        for account in accounts:
            if stopped():
                return len(found.actions)
            plan_of_account = self.compute({account}, limit=MOST_OF_ACCOUNT)
            self._kept.put(account, plan_of_account.actions, begun)
        self._kept.complete([*accounts, *scopes], begun)
        return len(found.actions)

    def kept(
        self, accounts: Collection[str] | None = None, limit: int = MOST_ACTIONS
    ) -> RemediationPlan:
        """Return the plan of the fleet or of these accounts as it was last computed.

        It reads a row for each of their actions. Several accounts whose plan nobody asked for
        before are combined: the more there are, the longer it takes, and `vulnerabilities` are 0.
        Their plan is kept then.
        """
        if accounts is None:
            actions = self._kept.actions(WHOLE_FLEET, limit)
        elif len(accounts) == 1:
            actions = self._kept.actions(next(iter(accounts)), limit)
        elif not accounts:
            actions = []
        elif self._kept.has_scope(accounts, self._clock()):
            actions = self._kept.actions(scope_name(accounts), limit)
        else:
            actions = combine(
                action for account in sorted(accounts) for action in self._kept.actions(account)
            )[:MOST_ACTIONS]
            self._kept.put(scope_name(accounts), actions, self._clock(), scope=accounts)
        return RemediationPlan(actions[:limit], self._kept.counted_at())

    def action(
        self, key: tuple[str, str, str], accounts: Collection[str] | None
    ) -> UpgradeAction | None:
        """Return one kept action, all of its counts; None where the plan does not have it."""
        found = next((one for one in self.kept(accounts).actions if one.key == key), None)
        if found is None or found.vulnerabilities:
            return found
        with self._database.read() as connection:
            counted = _counts(connection, accounts)
            both = finding_terms.join(counted, counted.c.detail == finding_terms.c.detail)
            query = select(func.count(finding_terms.c.vulnerability.distinct())).select_from(both)
            number = connection.execute(_closed_by(query, key)).scalar_one()
        return replace(found, vulnerabilities=int(number))

    def machines(
        self,
        key: tuple[str, str, str],
        accounts: Collection[str] | None,
        after: Mapping[str, object] | None = None,
        limit: int = 50,
    ) -> list[UpgradedMachine]:
        """Return machines of an action by account and id, up to `limit` after a position.

        A position's `key` is an account and an instance. Raises ValueError for another one.
        """
        first = None if after is None else key_values(after, _PLACE)
        with self._database.read() as connection:
            rows: list[SqlRow] = []
            for part in _account_parts(connection, key, accounts, limit):
                if first is not None and part[-1] < str(first[0]):
                    continue
                query = _machines(key, part).limit(limit - len(rows))
                if first is not None:
                    query = query.where(tuple_(*_PLACE) > tuple_(*first))
                rows += connection.execute(query).all()
                if len(rows) >= limit:
                    break
            pairs = {(row.account, row.instance) for row in rows}
            labels = values_by_instance(connection, coverage, "name", pairs)
        return [
            UpgradedMachine(
                InstanceRef(row.account, row.region, row.instance),
                labels.get((row.account, row.instance), ""),
                int(row.number),
            )
            for row in rows
        ]


def _active(accounts: Collection[str] | None) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = [findings.c.status == FindingStatus.ACTIVE.value]
    if accounts is not None:
        conditions.append(findings.c.account.in_(sorted(accounts)))
    return conditions


def _counts(connection: Connection, accounts: Collection[str] | None) -> Subquery:
    """Select the active findings of these accounts by detail: `detail` and `number`.

    Kept counts answer, or index entries alone where they are not kept yet.
    """
    if not are_kept(connection):
        return (
            select(findings.c.detail, func.count().label("number"))
            .where(*_active(accounts))
            .group_by(findings.c.detail)
            .subquery()
        )
    kept = of_details()
    total = func.sum(kept.c.active)
    query = select(kept.c.detail, total.label("number")).group_by(kept.c.detail).having(total > 0)
    if accounts is not None:
        query = query.where(kept.c.account.in_(sorted(accounts)))
    return query.subquery()


def _account_parts(
    connection: Connection,
    key: tuple[str, str, str],
    accounts: Collection[str] | None,
    limit: int,
) -> Iterator[list[str]]:
    """Yield the accounts with machines of an action in their order, some at once.

    Each part has `limit` findings of it at least, if its last account is not the last of all.
    """
    one = literal(1).label("active")
    unkept = select(findings.c.account, findings.c.detail, one).where(*_active(accounts))
    source = of_details() if are_kept(connection) else unkept.subquery()
    total = func.sum(source.c.active)
    query = (
        _closed_by(select(source.c.account, total.label("number")), key)
        .select_from(source.join(finding_terms, finding_terms.c.detail == source.c.detail))
        .group_by(source.c.account)
        .having(total > 0)
        .order_by(source.c.account)
    )
    if accounts is not None:
        query = query.where(source.c.account.in_(sorted(accounts)))
    part: list[str] = []
    number = 0
    for row in connection.execute(query).all():
        part.append(row.account)
        number += int(row.number)
        if number >= limit:
            yield part
            part, number = [], 0
    if part:
        yield part


def _machines(key: tuple[str, str, str], accounts: Sequence[str]) -> Select[SqlRow]:
    """Select the machines of an action in some accounts, in their order."""
    region = func.min(findings.c.region).label("region")
    query = select(*_PLACE, region, func.count().label("number"))
    return (
        _closed_by(query, key)
        .join(finding_terms, finding_terms.c.detail == findings.c.detail)
        .where(*_active(accounts))
        .group_by(*_PLACE)
        .order_by(*_PLACE)
    )


def _details(connection: Connection, accounts: Collection[str] | None) -> list[FixableDetail]:
    """Return the details of active findings with a fix, and their numbers."""
    counts = _counts(connection, accounts)
    columns = [finding_terms.c[name] for name in (
        "purl_type", "ecosystem", "package", "fixed_version", "severity", "vulnerability",
    )]  # fmt: skip
    query = (
        select(*columns, (finding_terms.c.exploit == "YES").label("exploited"), counts.c.number)
        .join(counts, counts.c.detail == finding_terms.c.detail)
        .where(
            finding_terms.c.type == FindingType.PACKAGE_VULNERABILITY.value,
            finding_terms.c.fixed_version != "",
        )
    )
    return [
        FixableDetail(
            row.purl_type, row.ecosystem, row.package, row.fixed_version, Severity(row.severity),
            row.vulnerability, bool(row.exploited), int(row.number),
        )
        for row in connection.execute(query)
    ]  # fmt: skip


def _closed_by(query: Select[SqlRow], key: tuple[str, str, str]) -> Select[SqlRow]:
    """Limit a query of finding_terms to those of findings that an action closes."""
    purl_type, ecosystem, package = key
    return query.where(
        finding_terms.c.package == package,
        finding_terms.c.purl_type == purl_type,
        finding_terms.c.ecosystem == ecosystem,
        finding_terms.c.fixed_version != "",
    )


def _spread(
    connection: Connection, accounts: Collection[str] | None
) -> dict[tuple[str, str, str], tuple[int, int]]:
    """Count the machines of each action, and those that the internet reaches, in one query."""
    terms = finding_terms
    places = (
        select(
            terms.c.purl_type, terms.c.ecosystem, terms.c.package, findings.c.account,
            findings.c.instance,
        )
        .join(terms, terms.c.detail == findings.c.detail)
        .where(
            terms.c.type == FindingType.PACKAGE_VULNERABILITY.value,
            terms.c.fixed_version != "",
            *_active(accounts),
        )
        .distinct()
        .subquery()
    )  # fmt: skip
    reached = _reached(accounts)
    both = same_instance(places, reached)
    key = (places.c.purl_type, places.c.ecosystem, places.c.package)
    query = (
        select(*key, func.count(), func.count(reached.c.instance))
        .select_from(places.outerjoin(reached, both))
        .group_by(*key)
    )
    return {
        (kind, ecosystem, package): (int(machines), int(exposed))
        for kind, ecosystem, package, machines, exposed in connection.execute(query)
    }


def _reached(accounts: Collection[str] | None) -> SqlColumn:
    """Select the instances that an open port lets the internet reach."""
    return (
        select(findings.c.account, findings.c.instance)
        .join(finding_terms, finding_terms.c.detail == findings.c.detail)
        .where(
            findings.c.type == FindingType.NETWORK_REACHABILITY.value,
            finding_terms.c.component_types.contains(_INTERNET, autoescape=True),
            *_active(accounts),
        )
        .distinct()
        .subquery()
    )
