"""When the snapshots that are waited for in an account and region are looked at next."""

import sqlalchemy as sa
from alembic import op

from sidelight.store.base.column_types import Instant

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "looks",
        sa.Column("account", sa.String(length=64), nullable=False),
        sa.Column("region", sa.String(length=64), nullable=False),
        sa.Column("due_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("account", "region", name=op.f("pk_looks")),
    )


def downgrade() -> None:
    """Back."""
    op.drop_table("looks")
