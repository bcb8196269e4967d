"""Details of network findings, and the evaluations of networks by account and Region."""

import sqlalchemy as sa
from alembic import op

from sidelight.store.base.column_types import AnyText, Instant

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward. All details so far are of packages."""
    column = sa.Column(
        "type", sa.String(32), nullable=False, server_default="PACKAGE_VULNERABILITY"
    )
    op.add_column("finding_details", column)
    op.create_index("ix_findings_type", "findings", ["type", "status"])
    op.create_table(
        "network_evaluations",
        sa.Column("account", sa.String(64), nullable=False),
        sa.Column("region", sa.String(64), nullable=False),
        sa.Column("due_at", Instant, nullable=False),
        sa.Column("publish_at", Instant, nullable=False),
        sa.Column("requests", sa.BigInteger, nullable=False),
        sa.Column("lease", sa.String(64), nullable=False),
        sa.Column("lease_until", Instant, nullable=True),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("evaluated_at", Instant, nullable=True),
        sa.Column("detail", AnyText, nullable=False),
        sa.Column("answers", sa.LargeBinary, nullable=True),
        sa.PrimaryKeyConstraint("account", "region", name="pk_network_evaluations"),
    )
    op.create_index("ix_network_evaluations_due", "network_evaluations", ["due_at"])


def downgrade() -> None:
    """Back: network findings are lost."""
    op.drop_table("network_evaluations")
    op.drop_index("ix_findings_type", table_name="findings")
    op.execute("DELETE FROM findings WHERE type = 'NETWORK_REACHABILITY'")
    op.execute(
        "DELETE FROM finding_events WHERE detail IN"
        " (SELECT id FROM finding_details WHERE type = 'NETWORK_REACHABILITY')"
    )
    op.execute("DELETE FROM finding_details WHERE type = 'NETWORK_REACHABILITY'")
    op.drop_column("finding_details", "type")
