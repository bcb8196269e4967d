"""What Sidelight creates in accounts besides snapshots."""

import sqlalchemy as sa
from alembic import op

from sidelight.store.base.column_types import Instant

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward."""
    op.create_table(
        "created_resources",
        sa.Column("account", sa.String(64), nullable=False),
        sa.Column("region", sa.String(64), nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("name", sa.String(512), nullable=False),
        sa.Column("recorded_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("account", "region", "kind", "name", name="pk_created_resources"),
    )


def downgrade() -> None:
    """Back: what was created in accounts is not known any more, and stays there."""
    op.drop_table("created_resources")
