"""VEX documents of the fleet: added, replaced by newer versions, and taken back.

They act as suppression rules do: a change judges all findings again before it returns.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from sqlalchemy import Connection, insert, select

from sidelight.model import Finding, FindingStatus, InstanceRef, finding_arn
from sidelight.store.base.column_types import storable
from sidelight.store.base.counters import increment
from sidelight.store.base.schema import finding_details, findings, vex_documents
from sidelight.store.findings.judgement import SuppressionCheck, current_suppressions
from sidelight.store.findings.outbox import OPEN_FINDINGS, OpenFinding, open_findings
from sidelight.store.findings.vex_claims import (
    ClaimOverlay,
    VexClaim,
    claims_of,
    drop_claims,
    sources,
    write_claims,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from sidelight.model import VexSource
    from sidelight.store.base.clock import Clock
    from sidelight.store.base.engine import Database
    from sidelight.store.findings.suppression_rules import SuppressionRules
    from sidelight.vex.statements import VexStatement

_DETAILS: Final = 500  # that one read judges
_COLUMNS: Final = (
    "identity", "format", "version", "author", "issued", "file", "sha256", "statements",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class StatedFinding:
    """A finding that documents would suppress, or no longer suppress.

    `statement` suppresses it, and `document` is the name of its file; they are None and empty for
    one that becomes active.
    """

    arn: str
    place: InstanceRef
    finding: Finding
    status: FindingStatus
    statement: VexStatement | None = None
    document: str = ""


@dataclass(slots=True)
class VexPreview:
    """What documents would change. `matched` are the statements about any open finding.

    These are pairs of a document's place among those offered, and a statement's in the document.
    """

    changes: list[StatedFinding] = field(default_factory=list)
    matched: set[tuple[int, int]] = field(default_factory=set)


class VexDocuments:
    """The documents in the store."""

    def __init__(self, database: Database, clock: Clock, rules: SuppressionRules) -> None:
        self._database = database
        self._clock = clock
        self._rules = rules

    def all(self) -> list[VexSource]:
        """Return the documents, those added first before others."""
        with self._database.read() as connection:
            return list(sources(connection).values())

    def find(self, identity: str) -> VexSource | None:
        """Return the document of this identity; None if there is none."""
        with self._database.read() as connection:
            return _known(connection, identity)

    def preview(self, offered: Sequence[tuple[VexSource, Sequence[VexStatement]]]) -> VexPreview:
        """Return what adding documents would change; nothing is written. Raises LimitError."""
        found = VexPreview()
        with self._database.read() as connection:
            overlay = self._overlay(connection, offered)
            suppressions = current_suppressions(connection)
            names = {number: item.file for number, item in sources(connection).items()}
            names |= {-1 - number: source.file for number, (source, _) in enumerate(offered)}
            for details in _open_details(connection):
                check = SuppressionCheck(connection, suppressions, details, overlay)
                for row in _rows(connection, check.claims.details):
                    _judge(found, check, row, names)
        return found

    def add(self, source: VexSource, statements: Sequence[VexStatement]) -> int:
        """Add a document, or replace the one of its identity; return how many findings changed.

        Raises LimitError.
        """
        claims = claims_of(statements)
        row: dict[str, object] = {name: getattr(source, name) for name in _COLUMNS}
        row |= {"key": _key(source.identity), "added_at": self._clock()}
        with self._database.write() as connection:
            increment(connection, "rules")
            known = _known(connection, source.identity)
            if known is not None:
                drop_claims(connection, known.id)
            statement = insert(vex_documents).values(**row).returning(vex_documents.c.id)
            write_claims(connection, connection.execute(statement).scalar_one(), claims)
        return self._rules.judge()

    def remove(self, identity: str) -> int | None:
        """Take a document back; return how many findings changed, None if there is no such one."""
        with self._database.write() as connection:
            increment(connection, "rules")
            known = _known(connection, identity)
            if known is not None:
                drop_claims(connection, known.id)
        changed = self._rules.judge()
        return None if known is None else changed

    def _overlay(
        self, connection: Connection, offered: Sequence[tuple[VexSource, Sequence[VexStatement]]]
    ) -> ClaimOverlay:
        without: set[int] = set()
        claims: dict[str, list[VexClaim]] = {}
        for number, (source, statements) in enumerate(offered):
            known = _known(connection, source.identity)
            if known is not None:
                without.add(known.id)
            for key, of_key in claims_of(statements).items():
                # Their documents have numbers below 0, in the order in which they are offered.
                own = [item._replace(order=item.order + number, document=-1 - number)
                       for item in of_key]  # fmt: skip
                claims.setdefault(key, []).extend(own)
        return ClaimOverlay(without, claims)


def _judge(
    found: VexPreview, check: SuppressionCheck, row: OpenFinding, names: Mapping[int, str]
) -> None:
    place = InstanceRef(row.account, row.region, row.instance)
    found.matched |= {
        (-1 - claim.document, claim.position)
        for claim in check.claims.about(place, row.detail)
        if claim.document < 0
    }
    arn = finding_arn(place, row.id)
    dates = (row.first_observed, row.last_observed, row.updated_at)
    status = check.status(place, row.detail, arn, dates)
    finding = check.finding(row.detail)
    if status.value == row.status or not isinstance(finding, Finding):
        return
    change = StatedFinding(arn, place, finding, status)
    decided = check.claims.suppressing(place, row.detail)
    if decided is not None:
        statement = decided.statement
        change = replace(change, statement=statement, document=names.get(decided.document, ""))
    found.changes.append(change)


def _known(connection: Connection, identity: str) -> VexSource | None:
    query = select(vex_documents.c.id).where(vex_documents.c.key == _key(identity))
    number = connection.execute(query).scalar()
    return None if number is None else sources(connection, [number]).get(number)


def _key(identity: str) -> str:
    return hashlib.sha256(storable(identity).encode()).hexdigest()


def _open_details(connection: Connection) -> Iterator[list[int]]:
    """Yield the ids of details with open findings, in parts."""
    last = 0
    is_open = select(findings.c.id).where(
        findings.c.detail == finding_details.c.id, findings.c.status != FindingStatus.CLOSED.value
    )
    query = select(finding_details.c.id).where(is_open.exists())
    while True:
        part = query.where(finding_details.c.id > last).order_by(finding_details.c.id)
        ids = list(connection.execute(part.limit(_DETAILS)).scalars())
        if not ids:
            return
        yield ids
        last = ids[-1]


def _rows(connection: Connection, details: Collection[int]) -> Iterator[OpenFinding]:
    for detail in sorted(details):
        query = OPEN_FINDINGS.where(findings.c.detail == detail).order_by(findings.c.id)
        yield from open_findings(connection, query)
