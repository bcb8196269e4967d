"""Open findings that were last observed when their instance's inventory was.

So a scan of an unchanged machine writes no finding. Each finding says its own time until the next
scan of its machine. PostgreSQL: the index is built after the migration, while other transactions
read and write (`sidelight.store.large_indexes`).
"""

import sqlalchemy as sa
from alembic import op

from sidelight.store import large_indexes
from sidelight.store.base.column_types import Instant

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None

OWN = sa.text("NOT follows")


def upgrade() -> None:
    """Forward."""
    op.add_column(
        "findings", sa.Column("follows", sa.Boolean(), nullable=False, server_default=sa.false())
    )
    op.add_column("inventories", sa.Column("observed_at", Instant(), nullable=True))
    large_indexes.drop_index("ix_findings_last_observed", "findings")
    large_indexes.create_index(
        "ix_findings_observed", "findings", ["last_observed", "id"], sqlite_where=OWN,
        postgresql_where=OWN,
    )  # fmt: skip
    columns = ["observed_at", "account", "instance"]
    op.create_index("ix_inventories_observed", "inventories", columns)


def downgrade() -> None:
    """Back: each finding gets the time of its inventory."""
    op.execute(
        "UPDATE findings SET last_observed = (SELECT observed_at FROM inventories"
        " WHERE inventories.account = findings.account"
        " AND inventories.instance = findings.instance)"
        " WHERE follows AND EXISTS (SELECT 1 FROM inventories"
        " WHERE inventories.account = findings.account"
        " AND inventories.instance = findings.instance AND observed_at IS NOT NULL)"
    )
    op.drop_index("ix_inventories_observed", table_name="inventories")
    op.drop_index("ix_findings_observed", table_name="findings", if_exists=True)
    op.create_index(
        "ix_findings_last_observed", "findings", ["last_observed", "id"], if_not_exists=True
    )
    op.drop_column("inventories", "observed_at")
    op.drop_column("findings", "follows")
