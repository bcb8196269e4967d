"""Counts of active findings that are kept, and triggers that record each change of what they count.

The triggers run in the transaction of the change, so that older processes record theirs as well.
PostgreSQL locks `findings` against writing for a moment, while the triggers are created. A store
that has findings is counted later, without a lock: by the dispatcher or `fleet recount`.
"""

import sqlalchemy as sa
from alembic import op

from sidelight.store.base.count_triggers import create_triggers, drop_triggers

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None

COUNTS = (
    "critical", "high", "medium", "low", "informational", "untriaged", "exploitable", "fixable",
)  # fmt: skip


def upgrade() -> None:
    """Forward."""
    op.create_table(
        "instance_counts",
        sa.Column("account", sa.String(64), primary_key=True),
        sa.Column("instance", sa.String(64), primary_key=True),
        sa.Column("type", sa.String(32), primary_key=True),
        sa.Column("region", sa.String(64), nullable=False),
        *(sa.Column(name, sa.Integer(), nullable=False) for name in COUNTS),
    )
    op.create_table(
        "detail_counts",
        sa.Column("detail", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("account", sa.String(64), primary_key=True),
        sa.Column("active", sa.Integer(), nullable=False),
    )
    op.create_table(
        "count_changes",
        sa.Column(
            "id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True
        ),
        sa.Column("account", sa.String(64), nullable=False),
        sa.Column("instance", sa.String(64), nullable=False),
        sa.Column("detail", sa.BigInteger(), nullable=False),
        sa.Column("change", sa.Integer(), nullable=False),
    )  # fmt: skip
    connection = op.get_bind()
    create_triggers(connection)
    has_findings = connection.execute(sa.text("SELECT id FROM findings LIMIT 1")).first()
    if has_findings is None:
        statement = "INSERT INTO sequences (name, value) VALUES ('kept counts', 1)"
        connection.execute(sa.text(statement))


def downgrade() -> None:
    """Back: the counts are derived."""
    connection = op.get_bind()
    drop_triggers(connection)
    connection.execute(sa.text("DELETE FROM sequences WHERE name = 'kept counts'"))
    for name in ("count_changes", "detail_counts", "instance_counts"):
        op.drop_table(name)
