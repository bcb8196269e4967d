"""Indexes of findings without what each row repeats, and without those that others serve as well.

PostgreSQL keeps equal entries of an index once; with a key or an id in each entry none are equal.
PostgreSQL: the indexes are built after the migration, while other transactions read and write
(`sidelight.store.large_indexes`). The way back builds the former ones in its transaction.
"""

import sqlalchemy as sa
from alembic import op

from sidelight.store import large_indexes
from sidelight.store.base.column_types import SqlValue

revision = "0034"
down_revision = "0033"
branch_labels = None
depends_on = None

CLOSED = sa.text("closed_at IS NOT NULL")
PREFIXES = {"postgresql_ops": {"instance": "text_pattern_ops"}}
ADDED = {
    "ix_findings_of_instance": ("instance", "account"),
    "ix_findings_closed": ("account", "instance", "key"),
    "ix_findings_by_status": ("status", "detail", "id"),
    "ix_findings_in_region": ("region",),
    "ix_findings_first": ("first_observed",),
    "ix_findings_updated": ("updated_at",),
}
DROPPED = {
    "ix_findings_resource": ("instance", "account", "key"),
    "ix_findings_status": ("status", "id"),
    "ix_findings_status_detail": ("status", "detail", "id", "account", "instance"),
    "ix_findings_region": ("region", "id"),
    "ix_findings_first_observed": ("first_observed", "id"),
    "ix_findings_updated_at": ("updated_at", "id"),
}
OPTIONS: dict[str, dict[str, SqlValue]] = {
    "ix_findings_of_instance": PREFIXES,
    "ix_findings_closed": {"sqlite_where": CLOSED, "postgresql_where": CLOSED},
    "ix_findings_resource": PREFIXES,
}


def upgrade() -> None:
    """Forward."""
    for name, columns in ADDED.items():
        large_indexes.create_index(name, "findings", columns, **OPTIONS.get(name, {}))
    for name in DROPPED:
        large_indexes.drop_index(name, "findings")


def downgrade() -> None:
    """Back."""
    for name, columns in DROPPED.items():
        options = OPTIONS.get(name, {})
        op.create_index(name, "findings", list(columns), if_not_exists=True, **options)
    for name in ADDED:
        op.drop_index(name, table_name="findings", if_exists=True)
