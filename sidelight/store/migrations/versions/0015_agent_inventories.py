"""What is known of the inventories that SSM's agents sent."""

import sqlalchemy as sa
from alembic import op

from sidelight.store.base.column_types import AnyText, Instant

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward."""
    op.create_table(
        "agent_inventories",
        sa.Column("account", sa.String(64), nullable=False),
        sa.Column("instance", sa.String(64), nullable=False),
        sa.Column("region", sa.String(64), nullable=False),
        sa.Column("version", AnyText(), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("captured_at", Instant(), nullable=True),
        sa.Column("seen_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("account", "instance", name="pk_agent_inventories"),
    )
    op.create_index(
        "ix_agent_inventories_account_region", "agent_inventories", ["account", "region"]
    )


def downgrade() -> None:
    """Back: each inventory is read again."""
    op.drop_table("agent_inventories")
