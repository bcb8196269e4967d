"""What scans cost that are not kept any more, by day."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "cost_days",
        sa.Column("day", sa.String(length=64), nullable=False),
        sa.Column("account", sa.String(length=64), nullable=False),
        sa.Column("region", sa.String(length=64), nullable=False),
        sa.Column("scans", sa.BigInteger(), nullable=False),
        sa.Column("get_calls", sa.BigInteger(), nullable=False),
        sa.Column("list_calls", sa.BigInteger(), nullable=False),
        sa.Column("blocks", sa.BigInteger(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("seconds", sa.Float(), nullable=False),
        sa.Column("cpu_seconds", sa.Float(), nullable=False),
        sa.Column("usd", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("day", "account", "region", name=op.f("pk_cost_days")),
    )


def downgrade() -> None:
    """Back."""
    op.drop_table("cost_days")
