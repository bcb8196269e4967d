"""The findings of networks: opened, kept, closed and reopened as findings of packages are.

An evaluation of an account-region holds its claim (sidelight.store.instances.network_evaluations),
so that one process at a time reconciles an instance's network findings. An unchanged network writes
no row.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import Connection, bindparam, select, update

from sidelight.findings import AnnouncedFields, Observation, announced, key_of
from sidelight.model import FindingChanges, FindingStatus, FindingType, InstanceRef, NetworkFinding
from sidelight.store.base import documents
from sidelight.store.base.dialect import parts, put_rows
from sidelight.store.base.schema import finding_details, findings
from sidelight.store.findings.finding_terms import write_terms
from sidelight.store.findings.outbox import announce_details
from sidelight.store.findings.reconcile import InstanceState, settle
from sidelight.store.findings.suppression_rules import judge_details, judge_with

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from sidelight.model import Finding
    from sidelight.store.base.clock import Clock
    from sidelight.store.base.engine import Database

_AT_ONCE = 100  # instances in one transaction
_NETWORK = FindingType.NETWORK_REACHABILITY
_NO_SOFTWARE = 0


@dataclass(frozen=True, slots=True)
class NetworkObservation:
    """The result of an evaluation for an instance.

    `closes` says of a stored finding that was not found again whether the evaluation looked at all
    that it depends on.
    """

    place: InstanceRef
    findings: Sequence[NetworkFinding]
    closes: Callable[[NetworkFinding], bool]


class _Detail(NamedTuple):
    """A finding's details as they are to be stored."""

    identity: str
    key: str
    finding: NetworkFinding
    document: str
    digest: str


# The row of stored details, and what they are now.
_Change = tuple[Any, _Detail]


class NetworkFindings:
    """Network findings by instance."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def evaluate(self, account: str, observed: Sequence[NetworkObservation]) -> FindingChanges:
        """Open, keep, reopen and close the findings of these instances of one account."""
        changes = FindingChanges()
        for part in parts(observed, _AT_ONCE):
            changes += self._evaluate([item for item in part if item.place.account == account])
        return changes

    def open_instances(self, account: str, region: str) -> set[str]:
        """Return the instances of an account-region that have open network findings."""
        query = select(findings.c.instance).where(
            findings.c.account == account,
            findings.c.region == region,
            findings.c.type == _NETWORK.value,
            findings.c.status != FindingStatus.CLOSED.value,
        )
        with self._database.read() as connection:
            return set(connection.execute(query.distinct()).scalars())

    def _evaluate(self, observed: Sequence[NetworkObservation]) -> FindingChanges:
        now = self._clock()
        with self._database.write() as connection:
            judge = judge_with(connection, now)
            wanted = {item.place: _details(item) for item in observed}
            details = [detail for own in wanted.values() for detail in own.values()]
            ids, changed = _stored(connection, details)
            states = [
                InstanceState(
                    Observation(
                        item.place,
                        {key: ids[detail.identity] for key, detail in wanted[item.place].items()},
                        type=_NETWORK,
                    ),
                    closes=_of_networks(item.closes),
                )
                for item in observed
            ]
            changes = settle(connection, states, judge, now, observed=False)
            if changed:
                judge_details(connection, [row.id for row, _ in changed], now)
                announce_details(connection, _announced_ids(changed), now)
            return changes


def _of_networks(
    closes: Callable[[NetworkFinding], bool],
) -> Callable[[Finding | NetworkFinding], bool]:
    return lambda finding: isinstance(finding, NetworkFinding) and closes(finding)


def _details(observed: NetworkObservation) -> dict[str, _Detail]:
    """Return the details of an instance's findings by key."""
    details = {}
    for finding in observed.findings:
        key, document = key_of(finding), documents.dump(finding)
        owner = f"{observed.place.account}\0{observed.place.instance}\0{key}"
        details[key] = _Detail(
            hashlib.sha256(owner.encode("utf-8", "surrogatepass")).hexdigest(),
            key,
            finding,
            document,
            hashlib.sha256(document.encode()).hexdigest(),
        )
    return details


def _stored(
    connection: Connection, wanted: Sequence[_Detail]
) -> tuple[Mapping[str, int], Sequence[_Change]]:
    """Write new and changed details; return the id of each by its identity, and the changed."""
    identities = [detail.identity for detail in wanted]
    known = {row.vulnerability: row for row in _known(connection, identities)}
    new = [_row(detail) for detail in wanted if detail.identity not in known]
    put_rows(connection, finding_details, new)
    changed = [
        (known[detail.identity], detail)
        for detail in wanted
        if detail.identity in known and known[detail.identity].digest != detail.digest
    ]
    _update(connection, changed)
    ids = {identity: row.id for identity, row in known.items()}
    if new:
        added = {row["vulnerability"] for row in new}
        ids |= {row.vulnerability: row.id for row in _known(connection, sorted(added))}
        terms = {ids[item.identity]: item.finding for item in wanted if item.identity in added}
        write_terms(connection, terms, known=False)
    write_terms(connection, {row.id: item.finding for row, item in changed}, known=True)
    return ids, changed


def _known(connection: Connection, identities: Sequence[str]) -> Iterable[Any]:
    columns = [finding_details.c[name] for name in ("id", "vulnerability", "digest", "document")]
    for part in parts(identities):
        query = select(*columns).where(
            finding_details.c.software == _NO_SOFTWARE, finding_details.c.vulnerability.in_(part)
        )
        yield from connection.execute(query).all()


def _row(detail: _Detail) -> dict[str, Any]:
    return {
        "software": _NO_SOFTWARE,
        "vulnerability": detail.identity,
        "key": detail.key,
        "severity": detail.finding.severity.value,
        "score": None,
        "current": True,
        "touched": 0,
        "facts": "",
        "digest": detail.digest,
        "document": detail.document,
        "type": _NETWORK.value,
    }


def _update(connection: Connection, changed: Sequence[_Change]) -> None:
    if not changed:
        return
    connection.execute(
        update(finding_details)
        .where(finding_details.c.id == bindparam("row"))
        .values(
            severity=bindparam("to_severity"),
            digest=bindparam("to_digest"),
            document=bindparam("to_document"),
        ),
        [
            {
                "row": row.id,
                "to_severity": detail.finding.severity.value,
                "to_digest": detail.digest,
                "to_document": detail.document,
            }
            for row, detail in changed
        ],
    )


def _announced_ids(changed: Iterable[_Change]) -> list[int]:
    """Return the changed details that are announced."""
    return [
        row.id
        for row, detail in changed
        if documents.load(AnnouncedFields, row.document) != announced(detail.finding)
    ]
