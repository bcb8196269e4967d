"""An index of the kept counts of details by account: aggregations of few accounts read no others'.

PostgreSQL: it is built after the migration, while other transactions read and write
(`sidelight.store.large_indexes`).
"""

from alembic import op

from sidelight.store import large_indexes

revision = "0036"
down_revision = "0035"
branch_labels = None
depends_on = None

NAME, TABLE = "ix_detail_counts_account", "detail_counts"


def upgrade() -> None:
    """Forward."""
    large_indexes.create_index(NAME, TABLE, ("account",))


def downgrade() -> None:
    """Back."""
    op.drop_index(NAME, table_name=TABLE, if_exists=True)
