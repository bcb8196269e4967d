"""What scans use instead of snapshots of their own: existing ones, or the stored inventory.

`disk_readings` has when an instance's disks were read last. It begins empty: each machine is read
once more before a scan of it can be skipped.
"""

import sqlalchemy as sa
from alembic import op

from sidelight.store.base.column_types import Instant

revision = "0032"
down_revision = "0031"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward."""
    source = sa.Column("source", sa.String(16), nullable=False, server_default="")
    op.add_column("scans", source)
    op.create_table(
        "scan_sources",
        sa.Column("scan", sa.String(64), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("data_at", Instant(), nullable=False),
        sa.Column("snapshots", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("scan", name=op.f("pk_scan_sources")),
    )
    op.create_table(
        "disk_readings",
        sa.Column("account", sa.String(64), nullable=False),
        sa.Column("instance", sa.String(64), nullable=False),
        sa.Column("volumes", sa.Text(), nullable=False),
        sa.Column("read_at", Instant(), nullable=False),
        sa.Column("data_at", Instant(), nullable=False),
        sa.Column("reader", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("account", "instance", name=op.f("pk_disk_readings")),
    )
    op.add_column("coverage", sa.Column("data_at", Instant(), nullable=True))
    op.add_column(
        "coverage", sa.Column("data_source", sa.String(16), nullable=False, server_default="")
    )


def downgrade() -> None:
    """Back."""
    op.drop_column("coverage", "data_source")
    op.drop_column("coverage", "data_at")
    op.drop_table("disk_readings")
    op.drop_table("scan_sources")
    op.drop_column("scans", "source")
