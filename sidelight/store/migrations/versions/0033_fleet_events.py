"""Events of coverage and of first scans, which are numbered after their commit."""

import sqlalchemy as sa
from alembic import op

from sidelight.store.base.column_types import Instant

revision = "0033"
down_revision = "0032"
branch_labels = None
depends_on = None

PENDING = sa.text("sequence IS NULL")


def upgrade() -> None:
    """Forward."""
    op.create_table(
        "fleet_events",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True),
        sa.Column("sequence", sa.BigInteger(), nullable=True),
        sa.Column("at", Instant(), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("account", sa.String(64), nullable=False),
        sa.Column("region", sa.String(64), nullable=False),
        sa.Column("instance", sa.String(64), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_fleet_events_sequence", "fleet_events", ["sequence"], unique=True)
    op.create_index("ix_fleet_events_at", "fleet_events", ["at"])
    op.create_index(
        "ix_fleet_events_pending", "fleet_events", ["id"], sqlite_where=PENDING,
        postgresql_where=PENDING,
    )  # fmt: skip
    # An instance that was scanned before is not scanned for the first time.
    op.execute(
        "UPDATE inventories SET observed_at = evaluated_at"
        " WHERE observed_at IS NULL AND evaluated_at IS NOT NULL"
    )


def downgrade() -> None:
    """Back: these events are lost; their numbers stay used."""
    op.drop_table("fleet_events")
