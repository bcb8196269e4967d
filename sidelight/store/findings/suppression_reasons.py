"""Which rule suppresses a finding: the first by name of those that match it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sidelight.model import FindingStatus, InstanceRef
from sidelight.store.findings.suppression_rules import known_instance_values, suppressing_rules
from sidelight.suppression import Level, detail_values, row_values

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sidelight.model import FindingRow, SuppressionRule
    from sidelight.store.base.engine import Database
    from sidelight.suppression import Values


class SuppressionReasons:
    """Finds the rules of suppressed findings."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def of(self, rows: Iterable[FindingRow]) -> dict[int, SuppressionRule]:
        """Return the rule of each suppressed finding by its id; findings of other states have none.

        A finding whose rule has just been removed has none either, until all are judged again.
        """
        suppressed = [row for row in rows if row.status is FindingStatus.SUPPRESSED]
        if not suppressed:
            return {}
        found: dict[int, SuppressionRule] = {}
        of_instance: dict[InstanceRef, Values] = {}
        with self._database.read() as connection:
            rules = suppressing_rules(connection)
            for row in suppressed:
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
