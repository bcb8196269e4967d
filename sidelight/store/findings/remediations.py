"""What upgrades would close: counts for `sidelight.remediation`, and the actions that are kept.

The actions of the whole fleet and of each account are computed at intervals and kept. Those of
several accounts are combined from the kept ones when they are asked for.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from sqlalchemy import func, select, tuple_

from sidelight.model import FindingStatus, FindingType, InstanceRef, Severity
from sidelight.remediation import FixableDetail, UpgradeAction, combine, plan, weigh
from sidelight.store.base.ordered_join import same_instance, values_by_instance
from sidelight.store.base.positions import key_values
from sidelight.store.base.schema import coverage, finding_terms, findings
from sidelight.store.findings.kept_plans import WHOLE_FLEET, KeptPlans

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from datetime import datetime

    from sqlalchemy import ColumnElement, Connection, Select

    from sidelight.store.base.clock import Clock
    from sidelight.store.base.column_types import SqlColumn, SqlRow
    from sidelight.store.base.engine import Database

MOST_ACTIONS: Final = 500
MOST_OF_ACCOUNT: Final = 5_000  # kept of each account: plans of several accounts need them all
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
        accounts = self._kept.accounts_with_findings()
        for account in accounts:
            if stopped():
                return len(found.actions)
            plan_of_account = self.compute({account}, limit=MOST_OF_ACCOUNT)
            self._kept.put(account, plan_of_account.actions, begun)
        self._kept.complete(accounts, begun)
        return len(found.actions)

    def kept(
        self, accounts: Collection[str] | None = None, limit: int = MOST_ACTIONS
    ) -> RemediationPlan:
        """Return the plan of the fleet or of these accounts as it was last computed.

        It reads a row for each of their actions. Of several accounts, `vulnerabilities` are 0.
        """
        if accounts is None:
            actions = self._kept.actions(WHOLE_FLEET, limit)
        elif len(accounts) == 1:
            actions = self._kept.actions(next(iter(accounts)), limit)
        else:
            actions = combine(
                action for account in sorted(accounts) for action in self._kept.actions(account)
            )
        return RemediationPlan(actions[:limit], self._kept.counted_at())

    def action(
        self, key: tuple[str, str, str], accounts: Collection[str] | None
    ) -> UpgradeAction | None:
        """Return one kept action, all of its counts; None where the plan does not have it."""
        found = next((one for one in self.kept(accounts).actions if one.key == key), None)
        if found is None or found.vulnerabilities:
            return found
        query = _of_action(
            select(func.count(finding_terms.c.vulnerability.distinct())).select_from(findings),
            key,
            accounts,
        )
        with self._database.read() as connection:
            number = connection.execute(query).scalar_one()
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
        place = (findings.c.account, findings.c.instance)
        query = (
            _of_action(select(*place, func.min(findings.c.region).label("region"),
                              func.count().label("number")), key, accounts)
            .group_by(*place)
            .order_by(*place)
            .limit(limit)
        )  # fmt: skip
        if after is not None:
            query = query.where(tuple_(*place) > tuple_(*key_values(after, place)))
        with self._database.read() as connection:
            rows = connection.execute(query).all()
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


def _details(connection: Connection, accounts: Collection[str] | None) -> list[FixableDetail]:
    """Count active findings by their details, of index entries alone; return those with a fix."""
    counts = (
        select(findings.c.detail, func.count().label("number"))
        .where(*_active(accounts))
        .group_by(findings.c.detail)
        .subquery()
    )
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


def _of_action(
    query: Select[SqlRow], key: tuple[str, str, str], accounts: Collection[str] | None
) -> Select[SqlRow]:
    """Limit a query of findings to those that an action closes."""
    purl_type, ecosystem, package = key
    return query.join(finding_terms, finding_terms.c.detail == findings.c.detail).where(
        finding_terms.c.package == package,
        finding_terms.c.purl_type == purl_type,
        finding_terms.c.ecosystem == ecosystem,
        finding_terms.c.fixed_version != "",
        *_active(accounts),
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
