"""Which volumes a scan may have snapshots of, and what the sweeps found."""

import sqlalchemy as sa
from alembic import op

from sidelight.store.base.column_types import Instant

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "intents",
        sa.Column("scan", sa.String(length=64), nullable=False),
        sa.Column("volume", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("scan", "volume", name=op.f("pk_intents")),
    )
    op.create_index(op.f("ix_intents_volume"), "intents", ["volume"], unique=False)
    op.create_table(
        "sweeps",
        sa.Column("account", sa.String(length=64), nullable=False),
        sa.Column("region", sa.String(length=64), nullable=False),
        sa.Column("swept_at", Instant(), nullable=False),
        sa.Column("orphans", sa.BigInteger(), nullable=False),
        sa.Column("remaining", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("account", "region", name=op.f("pk_sweeps")),
    )


def downgrade() -> None:
    """Back."""
    op.drop_table("sweeps")
    op.drop_index(op.f("ix_intents_volume"), table_name="intents")
    op.drop_table("intents")
