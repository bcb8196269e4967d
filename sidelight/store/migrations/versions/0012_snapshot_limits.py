"""What AWS lets an account and region have pending, and its last refusal."""

import sqlalchemy as sa
from alembic import op

from sidelight.store.base.column_types import Instant

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward."""
    op.create_table(
        "snapshot_limits",
        sa.Column("account", sa.String(64), nullable=False),
        sa.Column("region", sa.String(64), nullable=False),
        sa.Column("pending_quota", sa.Float(), nullable=True),
        sa.Column("get_quota", sa.Float(), nullable=True),
        sa.Column("list_quota", sa.Float(), nullable=True),
        sa.Column("quotas_at", Instant(), nullable=True),
        sa.Column("others", sa.Integer(), nullable=True),
        sa.Column("others_at", Instant(), nullable=True),
        sa.Column("refused_until", Instant(), nullable=True),
        sa.Column("refused_wait", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("account", "region", name="pk_snapshot_limits"),
    )


def downgrade() -> None:
    """Back."""
    op.drop_table("snapshot_limits")
