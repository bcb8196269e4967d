"""What suppresses a finding: the VEX statement that decides, or the first rule by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sidelight.model import Finding, FindingStatus, InstanceRef, VexReason
from sidelight.store.findings.judgement import known_instance_values, suppressing_rules
from sidelight.store.findings.vex_claims import ClaimBook, has_claims, sources
from sidelight.suppression import Level, detail_values, row_values

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlalchemy import Connection

    from sidelight.model import FindingRow, SuppressionRule
    from sidelight.store.base.engine import Database
    from sidelight.suppression import Values


class SuppressionReasons:
    """Finds the VEX statements and the rules of suppressed findings."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def of(self, rows: Iterable[FindingRow]) -> dict[int, SuppressionRule | VexReason]:
        """Return what suppresses each suppressed finding, by its id.

        Findings of other states have nothing. Those whose rule or document has just been removed
        have nothing either, until all are judged again.
        """
        suppressed = [row for row in rows if row.status is FindingStatus.SUPPRESSED]
        if not suppressed:
            return {}
        found: dict[int, SuppressionRule | VexReason] = {}
        of_instance: dict[InstanceRef, Values] = {}
        with self._database.read() as connection:
            found.update(_stated(connection, suppressed))
            rules = suppressing_rules(connection)
            for row in suppressed:
                if row.id in found:
                    continue
                place = InstanceRef(row.account, row.region, row.instance)
                if place not in of_instance:
                    of_instance[place] = known_instance_values(connection, place)
                details = detail_values(row.finding)
                # As they were judged: as active ones.
                about = row_values(
                    row.arn, FindingStatus.ACTIVE.value, row.first_observed, row.last_observed,
                    row.updated_at,
                )  # fmt: skip
                for rule, test in rules:
                    if (
                        test.agree(Level.DETAIL, details)
                        and test.agree(Level.INSTANCE, of_instance[place])
                        and test.agree(Level.ROW, about)
                    ):
                        found[row.id] = rule
                        break
        return found


def _stated(connection: Connection, rows: Sequence[FindingRow]) -> dict[int, VexReason]:
    """Return the statements that suppress these findings."""
    if not has_claims(connection):
        return {}
    details = {row.id: row.finding for row in rows if isinstance(row.finding, Finding)}
    book = ClaimBook(connection, details)
    last = {}
    for row in rows:
        claim = book.suppressing(InstanceRef(row.account, row.region, row.instance), row.id)
        if claim is not None:
            last[row.id] = claim
    known = sources(connection, {claim.document for claim in last.values()})
    return {
        number: VexReason(
            claim.statement.status, claim.statement.justification, claim.statement.statement,
            known[claim.document],
        )
        for number, claim in last.items()
        if claim.document in known
    }  # fmt: skip
