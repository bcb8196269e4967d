"""Which database changed a detail, and how new a database's advisories are.

Of details of before the most that is known is when their package changed.
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward."""
    op.add_column(
        "finding_details", sa.Column("touched", sa.Integer(), nullable=False, server_default="0")
    )
    details = sa.table("finding_details", sa.column("software"), sa.column("touched"))
    software = sa.table("software", sa.column("id"), sa.column("touched"))
    changed = sa.select(software.c.touched).where(software.c.id == details.c.software)
    op.execute(
        sa.update(details).values(
            touched=sa.func.coalesce(changed.scalar_subquery(), sa.literal(0))
        )
    )
    op.add_column(
        "advisory_databases",
        sa.Column("newest", sa.String(length=64), nullable=False, server_default=""),
    )


def downgrade() -> None:
    """Back."""
    op.drop_column("advisory_databases", "newest")
    op.drop_column("finding_details", "touched")
