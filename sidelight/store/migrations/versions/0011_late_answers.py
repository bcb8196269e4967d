"""Since when AWS has answered a scan with what may be a matter of time."""

import sqlalchemy as sa
from alembic import op

from sidelight.store.base.column_types import Instant

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward."""
    op.add_column("scans", sa.Column("late_since", Instant(), nullable=True))


def downgrade() -> None:
    """Back."""
    op.drop_column("scans", "late_since")
