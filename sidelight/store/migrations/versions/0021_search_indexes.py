"""Indexes for counts of findings, and for the order of findings by their details."""

from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

SEARCHED = (
    "type", "severity_rank", "vulnerability", "source", "vendor_severity", "score", "epss",
    "protocol", "package",
)  # fmt: skip


def upgrade() -> None:
    """Forward."""
    columns = ["status", "detail", "account", "instance"]
    op.create_index("ix_findings_counts", "findings", columns)
    _terms(unique=True)


def downgrade() -> None:
    """Back."""
    op.drop_index("ix_findings_counts", table_name="findings")
    _terms(unique=False)


def _terms(*, unique: bool) -> None:
    for name in SEARCHED:
        op.drop_index(f"ix_finding_terms_{name}", table_name="finding_terms")
        op.create_index(
            f"ix_finding_terms_{name}", "finding_terms", [name, "detail"], unique=unique
        )
