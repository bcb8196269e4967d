"""When a suppression rule ends."""

import sqlalchemy as sa
from alembic import op

from sidelight.store.base.column_types import Instant

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward."""
    op.add_column("finding_filters", sa.Column("expires_at", Instant(), nullable=True))


def downgrade() -> None:
    """Back: rules with an end have none."""
    op.drop_column("finding_filters", "expires_at")
