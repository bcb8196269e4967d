"""Findings of a page with what is shown of their instances, in one statement."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sidelight.store.base.dialect import parts
from sidelight.store.base.ordered_join import same_instance
from sidelight.store.base.schema import findings, instance_platforms, instances
from sidelight.store.findings.finding_documents import load_finding
from sidelight.store.findings.findings import by_id_query, finding_row

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlalchemy import Connection

    from sidelight.model import Finding, FindingRow, NetworkFinding


def described_rows(
    connection: Connection, ids: Collection[int]
) -> tuple[dict[int, FindingRow], dict[tuple[str, str], str], dict[tuple[str, str], str]]:
    """Return findings by id, and by (account, id) the documents and platforms of their instances.

    Unknown ones are left out of each. One statement for up to PART findings.
    """
    rows: dict[int, FindingRow] = {}
    texts: dict[tuple[str, str], str] = {}
    platforms: dict[tuple[str, str], str] = {}
    known: dict[tuple[str, str], Finding | NetworkFinding] = {}
    for part in parts(sorted(ids)):
        query = by_id_query(connection, part).add_columns(
            instances.c.document.label("instance_document"), instance_platforms.c.platform
        )
        query = query.outerjoin(instances, same_instance(instances, findings)).outerjoin(
            instance_platforms, same_instance(instance_platforms, findings)
        )
        for row in connection.execute(query):
            detail = row.type, row.document
            if detail not in known:
                known[detail] = load_finding(*detail)
            rows[row.id] = finding_row(row, known[detail])
            if row.instance_document is not None:
                texts[row.account, row.instance] = row.instance_document
            if row.platform:
                platforms[row.account, row.instance] = row.platform
    return rows, texts, platforms
