"""What clients of the API set: filters, tags, keys, reports, tokens, members that left."""

import uuid

import sqlalchemy as sa
from alembic import op

from sidelight.store.base.column_types import AnyText, Instant

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

RUNNING = sa.text("status = 'IN_PROGRESS'")


def upgrade() -> None:
    """Forward. Suppression rules become filters of the whole fleet."""
    filters = op.create_table(
        "finding_filters",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("owner", sa.String(64), nullable=False),
        sa.Column("region", sa.String(64), nullable=False),
        sa.Column("name", sa.String(128), nullable=False),
        sa.Column("action", sa.String(16), nullable=False),
        sa.Column("description", AnyText, nullable=False),
        sa.Column("reason", AnyText, nullable=False),
        sa.Column("criteria", sa.Text, nullable=False),
        sa.Column("created_at", Instant, nullable=False),
        sa.Column("updated_at", Instant, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_finding_filters"),
        sa.UniqueConstraint("owner", "name", name="uq_finding_filters_owner_name"),
    )
    rules = sa.table(
        "suppression_rules",
        *(sa.column(name) for name in ("name", "description", "criteria")),
        sa.column("created_at", Instant),
        sa.column("updated_at", Instant),
    )
    same = {"owner": "", "region": "", "action": "SUPPRESS", "reason": ""}
    connection = op.get_bind()
    for row in connection.execute(sa.select(rules)).mappings().all():
        values = {**row, **same, "id": uuid.uuid4().hex}
        connection.execute(filters.insert().values(**values))
    op.drop_table("suppression_rules")
    _create_tables()
    _create_jobs()
    for name, kind in (("vm_scanner", sa.Boolean), ("ami_scanning", sa.Text)):
        op.add_column("account_configurations", sa.Column(name, kind, nullable=True))
    left = sa.Column("left_organization", sa.String(64), nullable=False, server_default="")
    op.add_column("account_configurations", left)


def _create_tables() -> None:
    op.create_table(
        "resource_tags",
        sa.Column("arn", sa.String(1011), nullable=False),
        sa.Column("key", sa.String(128), nullable=False),
        sa.Column("value", AnyText, nullable=False),
        sa.PrimaryKeyConstraint("arn", "key", name="pk_resource_tags"),
    )
    op.create_table(
        "encryption_keys",
        sa.Column("account", sa.String(64), nullable=False),
        sa.Column("region", sa.String(64), nullable=False),
        sa.Column("scan_type", sa.String(16), nullable=False),
        sa.Column("resource_type", sa.String(64), nullable=False),
        sa.Column("kms_key", sa.String(2048), nullable=False),
        sa.PrimaryKeyConstraint(
            "account", "region", "scan_type", "resource_type", name="pk_encryption_keys"
        ),
    )
    op.create_table(
        "request_tokens",
        sa.Column("account", sa.String(64), nullable=False),
        sa.Column("operation", sa.String(64), nullable=False),
        sa.Column("token", sa.String(64), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("answer", sa.Text, nullable=False),
        sa.Column("at", Instant, nullable=False),
        sa.PrimaryKeyConstraint("account", "operation", "token", name="pk_request_tokens"),
    )
    op.create_index("ix_request_tokens_at", "request_tokens", ["at"])


def _create_jobs() -> None:
    op.create_table(
        "report_jobs",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("account", sa.String(64), nullable=False),
        sa.Column("region", sa.String(64), nullable=False),
        sa.Column("accounts", sa.Text, nullable=False),
        sa.Column("format", sa.String(32), nullable=False),
        sa.Column("criteria", sa.Text, nullable=False),
        sa.Column("destination", sa.Text, nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("error_code", sa.String(64), nullable=False),
        sa.Column("error_message", AnyText, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("lease", sa.String(64), nullable=False),
        sa.Column("lease_until", Instant, nullable=True),
        sa.Column("created_at", Instant, nullable=False),
        sa.Column("ended_at", Instant, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_report_jobs"),
    )
    op.create_index("ix_report_jobs_status_created_at", "report_jobs", ["status", "created_at"])
    op.create_index(
        "uq_report_jobs_running", "report_jobs", ["account", "kind"], unique=True,
        sqlite_where=RUNNING, postgresql_where=RUNNING,
    )  # fmt: skip


def downgrade() -> None:
    """Back: filters of accounts are lost."""
    rules = op.create_table(
        "suppression_rules",
        sa.Column("name", sa.String(128), primary_key=True),
        sa.Column("description", AnyText, nullable=False),
        sa.Column("criteria", sa.Text, nullable=False),
        sa.Column("created_at", Instant, nullable=False),
        sa.Column("updated_at", Instant, nullable=False),
    )
    columns = ", ".join(column.name for column in rules.columns)
    op.execute(
        f"INSERT INTO suppression_rules ({columns}) SELECT {columns} FROM finding_filters"
        " WHERE owner = '' AND action = 'SUPPRESS'"
    )
    names = "finding_filters", "resource_tags", "encryption_keys", "request_tokens", "report_jobs"
    for name in names:
        op.drop_table(name)
    with op.batch_alter_table("account_configurations") as batch:
        for name in ("vm_scanner", "ami_scanning", "left_organization"):
            batch.drop_column(name)
