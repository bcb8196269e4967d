"""An index of coverage's entries of whole accounts and Regions: few among those of machines."""

import sqlalchemy as sa
from alembic import op

revision = "0037"
down_revision = "0036"
branch_labels = None
depends_on = None

NAME, TABLE = "ix_coverage_targets", "coverage"
TARGETS = sa.text("instance LIKE '%*'")


def upgrade() -> None:
    """Forward."""
    op.create_index(
        NAME, TABLE, ["account", "instance"], if_not_exists=True,
        sqlite_where=TARGETS, postgresql_where=TARGETS,
    )  # fmt: skip


def downgrade() -> None:
    """Back."""
    op.drop_index(NAME, table_name=TABLE, if_exists=True)
