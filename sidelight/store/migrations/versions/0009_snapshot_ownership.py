"""Whose a snapshot is: the volumes that a scan asked for, and how many others carry our tags."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward. Of scans from before this the volumes are not known: NULL."""
    op.add_column("scans", sa.Column("volumes", sa.Text(), nullable=True))
    op.add_column(
        "sweeps",
        sa.Column("foreign_snapshots", sa.BigInteger(), nullable=False, server_default="0"),
    )


def downgrade() -> None:
    """Back."""
    op.drop_column("sweeps", "foreign_snapshots")
    op.drop_column("scans", "volumes")
