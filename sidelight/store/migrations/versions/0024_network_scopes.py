"""Which objects of a network changed, and when it is evaluated as a whole."""

import sqlalchemy as sa
from alembic import op

from sidelight.store.base.column_types import Instant

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward: what is due is the whole network."""
    op.add_column("network_evaluations", sa.Column("whole_at", Instant, nullable=True))
    op.execute("UPDATE network_evaluations SET whole_at = due_at")
    op.add_column(
        "network_evaluations", sa.Column("changed", sa.Text, nullable=False, server_default="[]")
    )


def downgrade() -> None:
    """Back: what is due is due as a whole."""
    with op.batch_alter_table("network_evaluations") as batch:
        batch.drop_column("whole_at")
        batch.drop_column("changed")
