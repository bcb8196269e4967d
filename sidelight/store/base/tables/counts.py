"""Counts of active findings that aggregations read, and the changes that they do not have yet.

All of it is derived. `sidelight.store.base.count_triggers` writes the changes.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, String, Table

from sidelight.store.base.tables.columns import identifier, metadata, serial

# Active findings of an instance by type, severity, and whether there is an exploit or a fix.
instance_counts = Table(
    "instance_counts",
    metadata,
    identifier("account", primary_key=True),
    identifier("instance", primary_key=True),
    Column("type", String(32), primary_key=True),
    identifier("region"),
    *(
        Column(name, Integer, nullable=False)
        for name in (
            "critical", "high", "medium", "low", "informational", "untriaged", "exploitable",
            "fixable",
        )
    ),
)  # fmt: skip

# Active findings of details in an account. A row may be missing, or be 0, where there are none.
detail_counts = Table(
    "detail_counts",
    metadata,
    Column("detail", BigInteger, primary_key=True, autoincrement=False),
    identifier("account", primary_key=True),
    Column("active", Integer, nullable=False),
    # Who sees few accounts reads the counts of these.
    Index("ix_detail_counts_account", "account"),
)

# Changes that are not in the counts above: by how much the active findings of an instance and these
# details changed; 0 where what they count as did.
count_changes = Table(
    "count_changes",
    metadata,
    serial("id"),
    identifier("account"),
    identifier("instance"),
    Column("detail", BigInteger, nullable=False),
    Column("change", Integer, nullable=False),
)
