"""Active findings by instance and by details: kept counts, with the changes since.

A statement that reads these sees what its transaction, and each committed one, wrote. Instances
with changes are counted from their findings, all others are kept (see
`sidelight.store.maintenance.kept_counts`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlalchemy import case, exists, func, select, union_all

from sidelight.model import Severity
from sidelight.store.base.counters import read_counter
from sidelight.store.base.ordered_join import ordered_join, same_instance
from sidelight.store.base.schema import (
    count_changes,
    detail_counts,
    finding_terms,
    findings,
    instance_counts,
)
from sidelight.store.findings.row_columns import ROW_IS_ACTIVE

if TYPE_CHECKING:
    from sqlalchemy import Connection, Select, Subquery
    from sqlalchemy.sql.selectable import FromClause

    from sidelight.store.base.column_types import SqlColumn, SqlRow

KEPT: Final = "kept counts"  # the counter that is 1 once everything was counted
SEVERITIES: Final = tuple(grade.value.lower() for grade in Severity)
COUNTS: Final = (*SEVERITIES, "exploitable", "fixable")
_KEYS: Final = ("account", "instance", "type", "region")


def are_kept(connection: Connection) -> bool:
    """Return whether counts are kept: not yet, if the store had findings when it was upgraded."""
    return read_counter(connection, KEPT) > 0


def of_instances() -> Subquery:
    """Select account, instance, type, region and COUNTS of the instances with active findings."""
    changed = (
        select(count_changes.c.account, count_changes.c.instance).distinct().subquery("changed")
    )
    is_changed = exists().where(same_instance(count_changes, instance_counts))
    kept = select(*(instance_counts.c[name] for name in (*_KEYS, *COUNTS))).where(~is_changed)
    following = ordered_join(changed, findings, same_instance(findings, changed))
    return union_all(kept, counting_instances(following)).subquery("counted")


def counting_instances(table: FromClause) -> Select[SqlRow]:
    """Select the same from the active findings of a table or a join that has `findings`."""
    terms = finding_terms.c
    return (
        select(
            findings.c.account,
            findings.c.instance,
            terms.type,
            # One instance is in one Region.
            func.min(findings.c.region).label("region"),
            *(
                _number(terms.severity == grade.value, name)
                for grade, name in zip(Severity, SEVERITIES, strict=True)
            ),
            _number(terms.exploit == "YES", "exploitable"),
            _number(terms.fix == "YES", "fixable"),
        )
        .select_from(ordered_join(table, finding_terms, terms.detail == findings.c.detail))
        .where(ROW_IS_ACTIVE)
        .group_by(findings.c.account, findings.c.instance, terms.type)
    )


def of_details() -> Subquery:
    """Select account, detail and `active`, whose sum is the number of active findings."""
    return union_all(
        select(detail_counts.c.account, detail_counts.c.detail, detail_counts.c.active),
        select(count_changes.c.account, count_changes.c.detail, count_changes.c.change).where(
            count_changes.c.change != 0
        ),
    ).subquery("counted")


def _number(condition: SqlColumn, name: str) -> SqlColumn:
    return func.sum(case((condition, 1), else_=0)).label(name)
