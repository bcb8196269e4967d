"""Details of findings on machines that nothing outside of their network reaches."""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

MOVED = """
UPDATE findings SET detail = (
    SELECT unreached_details.first FROM unreached_details
    WHERE unreached_details.detail = findings.detail
)
WHERE detail IN (SELECT detail FROM unreached_details WHERE detail <> first)
"""


def upgrade() -> None:
    """Forward: the next evaluation of a network changes the scores of its findings."""
    op.create_table(
        "unreached_details",
        sa.Column("first", sa.BigInteger, nullable=False, autoincrement=False),
        sa.Column("detail", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("first", name="pk_unreached_details"),
    )
    op.create_index("ix_unreached_details_detail", "unreached_details", ["detail"])
    op.create_table(
        "unreached_instances",
        sa.Column("account", sa.String(64), nullable=False),
        sa.Column("instance", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("account", "instance", name="pk_unreached_instances"),
    )


def downgrade() -> None:
    """Back: all findings have their packages' details again. Unused details are deleted later."""
    op.execute(MOVED)
    op.drop_table("unreached_details")
    op.drop_table("unreached_instances")
