"""The snapshots that nobody has seen gone, for the sweep: an index of these few."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward."""
    undeleted = sa.text("deleted_at IS NULL")
    op.create_index(
        "ix_snapshots_undeleted",
        "snapshots",
        ["scan"],
        sqlite_where=undeleted,
        postgresql_where=undeleted,
    )


def downgrade() -> None:
    """Back."""
    op.drop_index("ix_snapshots_undeleted", "snapshots")
