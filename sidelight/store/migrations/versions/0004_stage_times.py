"""What the stages of scans took."""

import sqlalchemy as sa
from alembic import op

from sidelight.store.base.column_types import Instant

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "stage_times",
        sa.Column("scan", sa.String(length=64), nullable=False),
        sa.Column("stage", sa.String(length=20), nullable=False),
        sa.Column("runs", sa.Integer(), nullable=False),
        sa.Column("took", sa.Float(), nullable=False),
        sa.Column("waited", sa.Float(), nullable=False),
        sa.Column("ran", sa.Float(), nullable=False),
        sa.Column("paced", sa.Float(), nullable=False),
        sa.Column("ended_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("scan", "stage", name=op.f("pk_stage_times")),
    )
    op.create_index(op.f("ix_stage_times_ended_at"), "stage_times", ["ended_at"], unique=False)


def downgrade() -> None:
    """Back."""
    op.drop_index(op.f("ix_stage_times_ended_at"), table_name="stage_times")
    op.drop_table("stage_times")
