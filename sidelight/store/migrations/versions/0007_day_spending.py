"""What an account spent in a day is summed over that day's scans, not over all there ever were."""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward."""
    op.create_index("ix_scans_ended", "scans", ["account", "finished_at"])


def downgrade() -> None:
    """Back."""
    op.drop_index("ix_scans_ended", table_name="scans")
