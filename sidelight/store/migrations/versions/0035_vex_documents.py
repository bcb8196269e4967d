"""VEX documents that suppress findings of the fleet."""

import sqlalchemy as sa
from alembic import op

from sidelight.store.base.column_types import AnyText, Instant

revision = "0035"
down_revision = "0034"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward."""
    op.create_table(
        "vex_documents",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("key", sa.String(64), nullable=False),
        sa.Column("identity", AnyText(), nullable=False),
        sa.Column("format", sa.String(16), nullable=False),
        sa.Column("version", AnyText(), nullable=False),
        sa.Column("author", AnyText(), nullable=False),
        sa.Column("issued", AnyText(), nullable=False),
        sa.Column("file", AnyText(), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("statements", sa.Integer(), nullable=False),
        sa.Column("added_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_vex_documents"),
        sa.UniqueConstraint("key", name="uq_vex_documents_key"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "vex_statements",
        sa.Column("document", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("at", sa.String(40), nullable=False),
        sa.Column("status", sa.String(24), nullable=False),
        sa.Column("justification", sa.String(64), nullable=False),
        sa.Column("statement", AnyText(), nullable=False),
        sa.PrimaryKeyConstraint("document", "position", name="pk_vex_statements"),
    )
    op.create_table(
        "vex_claims",
        sa.Column("key", sa.String(64), nullable=False),
        sa.Column("document", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("products", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("key", "document", "position", name="pk_vex_claims"),
    )
    op.create_index("ix_vex_claims_document", "vex_claims", ["document"])


def downgrade() -> None:
    """Back: the documents are lost, and their findings active at the next change of rules."""
    for name in ("vex_claims", "vex_statements", "vex_documents"):
        op.drop_table(name)
