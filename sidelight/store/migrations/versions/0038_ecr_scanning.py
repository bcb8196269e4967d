"""What clients of the API set for ECR: kept to be read back."""

import sqlalchemy as sa
from alembic import op

revision = "0038"
down_revision = "0037"
branch_labels = None
depends_on = None

NAME, TABLE = "ecr_scanning", "account_configurations"


def upgrade() -> None:
    """Forward."""
    op.add_column(TABLE, sa.Column(NAME, sa.Text, nullable=True))


def downgrade() -> None:
    """Back."""
    with op.batch_alter_table(TABLE) as batch:
        batch.drop_column(NAME)
