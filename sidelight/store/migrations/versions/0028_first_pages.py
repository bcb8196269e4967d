"""Indexes that find the first page of a search without reading what it leaves out.

PostgreSQL: the indexes are built after the migration, while other transactions read and write
(`sidelight.store.large_indexes`). The way back builds them in its transaction.
"""

import sqlalchemy as sa
from alembic import op

from sidelight.store import large_indexes
from sidelight.store.base.column_types import SqlValue

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None

ADDED = {
    "ix_findings_resource": ("instance", "account", "key"),
    "ix_findings_account_detail": ("account", "detail", "id"),
    "ix_findings_status_detail": ("status", "detail", "id", "account", "instance"),
    "ix_findings_region": ("region", "id"),
    "ix_findings_expiry": ("expires_at",),
}
DROPPED = {
    "ix_findings_instance": ("instance", "account", "key"),
    "ix_findings_account": ("account", "id"),
    "ix_findings_counts": ("status", "detail", "account", "instance"),
    "ix_findings_expires_at": ("expires_at",),
}
OPTIONS: dict[str, dict[str, SqlValue]] = {
    "ix_findings_resource": {"postgresql_ops": {"instance": "text_pattern_ops"}},
    "ix_findings_expiry": {
        "sqlite_where": sa.text("expires_at IS NOT NULL"),
        "postgresql_where": sa.text("expires_at IS NOT NULL"),
    },
}
EXPLOIT = "ix_finding_terms_exploit"


def upgrade() -> None:
    """Forward."""
    large_indexes.create_index(EXPLOIT, "finding_terms", ["exploit", "detail"], unique=True)
    for name, columns in ADDED.items():
        large_indexes.create_index(name, "findings", columns, **OPTIONS.get(name, {}))
    for name in DROPPED:
        large_indexes.drop_index(name, "findings")


def downgrade() -> None:
    """Back."""
    for name, columns in DROPPED.items():
        op.create_index(name, "findings", list(columns), if_not_exists=True)
    for name in ADDED:
        op.drop_index(name, table_name="findings", if_exists=True)
    op.drop_index(EXPLOIT, table_name="finding_terms", if_exists=True)
