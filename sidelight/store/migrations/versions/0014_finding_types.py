"""Findings of other types than vulnerable packages."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward. All findings so far are of packages."""
    column = sa.Column(
        "type", sa.String(32), nullable=False, server_default="PACKAGE_VULNERABILITY"
    )
    op.add_column("findings", column)


def downgrade() -> None:
    """Back: findings of other types are lost."""
    op.execute("DELETE FROM findings WHERE type <> 'PACKAGE_VULNERABILITY'")
    op.drop_column("findings", "type")
