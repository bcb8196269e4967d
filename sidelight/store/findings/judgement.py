"""Judging findings: which of them suppression rules and VEX documents suppress.

Rules and documents are read in the transaction of the judgement. A finding is suppressed if any
rule agrees, or if the statement of VEX that decides about it says so.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, bindparam, select, update

from sidelight.findings import EventKind
from sidelight.model import (
    SUPPRESS,
    FindingStatus,
    Instance,
    InstanceRef,
    SuppressionRule,
    finding_arn,
)
from sidelight.store.base import documents as codec
from sidelight.store.base.dialect import parts
from sidelight.store.base.schema import (
    account_configurations,
    finding_details,
    finding_filters,
    findings,
    instances,
    organization_configurations,
)
from sidelight.store.findings.finding_documents import load_finding
from sidelight.store.findings.outbox import OpenFinding, announce, change_of
from sidelight.store.findings.vex_claims import ClaimBook, has_claims
from sidelight.suppression import Criteria, Level, detail_values, instance_values, parse, row_values

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from datetime import datetime

    from sqlalchemy import Select

    from sidelight.model import Finding, NetworkFinding
    from sidelight.store.findings.vex_claims import ClaimOverlay
    from sidelight.suppression import Values

_ACTIVE, _SUPPRESSED = FindingStatus.ACTIVE, FindingStatus.SUPPRESSED


def documents(connection: Connection, ids: Iterable[int]) -> dict[int, Finding | NetworkFinding]:
    """Load the findings of these details, by id."""
    by_id: dict[int, Finding | NetworkFinding] = {}
    columns = finding_details.c.id, finding_details.c.type, finding_details.c.document
    for part in parts(sorted(set(ids))):
        query = select(*columns).where(finding_details.c.id.in_(part))
        for row in connection.execute(query):
            by_id[row.id] = load_finding(row.type, row.document)
    return by_id


class SuppressionCheck:
    """Rules and VEX documents: each rule is evaluated once for a detail and once for an instance.

    `overlay` replaces stored claims, to see what a document would do.
    """

    def __init__(
        self,
        connection: Connection,
        suppressions: Suppressions,
        details: Iterable[int],
        overlay: ClaimOverlay | None = None,
    ) -> None:
        self._connection = connection
        self._findings = documents(connection, details)
        self._of_detail = {
            detail: [
                rule
                for rule in suppressions.rules
                if rule.agree(Level.DETAIL, detail_values(finding))
            ]
            for detail, finding in self._findings.items()
        }
        has_vex = suppressions.has_vex or overlay is not None
        self.claims = ClaimBook(connection, self._findings if has_vex else {}, overlay)
        self._of_instance: dict[InstanceRef, Values] = {}

    def finding(self, detail: int) -> Finding | NetworkFinding | None:
        """Return the finding of these details; None for others than those judged."""
        return self._findings.get(detail)

    def status(
        self, place: InstanceRef, detail: int, arn: str, dates: tuple[datetime, datetime, datetime]
    ) -> FindingStatus:
        """Return ACTIVE or SUPPRESSED. The rules see the finding as ACTIVE."""
        is_suppressed = self._agrees(place, detail, arn, dates) or self.claims.suppressing(
            place, detail
        )
        return _SUPPRESSED if is_suppressed else _ACTIVE

    def _agrees(
        self, place: InstanceRef, detail: int, arn: str, dates: tuple[datetime, datetime, datetime]
    ) -> bool:
        rules = self._of_detail.get(detail)
        if not rules:
            return False
        about = row_values(arn, _ACTIVE.value, *dates)
        instance = self._instance(place)
        return any(
            rule.agree(Level.INSTANCE, instance) and rule.agree(Level.ROW, about) for rule in rules
        )

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


@dataclass(frozen=True, slots=True)
class Suppressions:
    """What suppresses findings now: rules, and whether there are VEX documents."""

    rules: Sequence[RuleTest]
    has_vex: bool

    def __bool__(self) -> bool:
        """Whether anything may suppress a finding."""
        return bool(self.rules) or self.has_vex


def current_suppressions(connection: Connection) -> Suppressions:
    """Return what suppresses findings, as this transaction sees it."""
    rules = [test for _, test in suppressing_rules(connection)]
    return Suppressions(rules, has_claims(connection))


def suppressing_rules(connection: Connection) -> list[tuple[SuppressionRule, RuleTest]]:
    """Return the rules that suppress, by name, each with what it tests."""
    rules = [SuppressionRule(**row) for row in connection.execute(_suppressing()).mappings()]
    return [
        (rule, RuleTest(parse(json.loads(rule.criteria)), _accounts(connection, rule.owner)))
        for rule in rules
    ]


@cache
def _suppressing() -> Select[Any]:
    table = finding_filters
    return select(table).where(table.c.action == SUPPRESS).order_by(table.c.name, table.c.owner)


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


def apply_suppressions(
    connection: Connection,
    suppressions: Suppressions,
    rows: Sequence[OpenFinding],
    now: datetime,
    announced: Collection[int] = (),
) -> int:
    """Suppress or unsuppress open findings; return the number that changed.

    The ids that are `announced` have an event also where their status stays.
    """
    check = SuppressionCheck(
        connection, suppressions, {row.detail for row in rows} if suppressions else ()
    )
    changed: list[tuple[OpenFinding, FindingStatus]] = []
    same: list[tuple[OpenFinding, FindingStatus]] = []
    for row in rows:
        place = InstanceRef(row.account, row.region, row.instance)
        dates = (row.first_observed, row.last_observed, row.updated_at)
        status = check.status(place, row.detail, finding_arn(place, row.id), dates)
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
