"""Counts that overviews show, and the packages of inventories by name."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from sidelight.model import Finding
from sidelight.store.base.column_types import AnyText, Instant, OrderedText
from sidelight.store.findings.finding_documents import load_finding

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

AT_ONCE = 1000
UPGRADE = ("purl_type", "ecosystem", "fixed_version")
SERIAL = sa.BigInteger().with_variant(sa.Integer, "sqlite")
TABLES = (
    "set_versions", "installed_versions", "installed_names", "remediation_actions",
    "fleet_measures", "finding_days",
)  # fmt: skip


def _key(name: str, length: int = 64) -> sa.Column[str]:
    return sa.Column(name, sa.String(length), nullable=False)


def _primary(table: str, *names: str) -> sa.PrimaryKeyConstraint:
    return sa.PrimaryKeyConstraint(*names, name=f"pk_{table}")


def upgrade() -> None:
    """Forward; what is counted, the dispatcher counts when it runs."""
    _create_counts()
    _create_packages()
    for name, kind in (
        ("purl_type", sa.String(32)), ("ecosystem", AnyText()), ("fixed_version", AnyText()),
    ):  # fmt: skip
        column = sa.Column(name, kind, nullable=False, server_default="")
        op.add_column("finding_terms", column)
    _fill_terms(op.get_bind())
    op.create_index("ix_scans_created", "scans", ["created_at"])
    op.create_index("ix_scans_finished", "scans", ["state", "finished_at"])


def _create_counts() -> None:
    number = sa.BigInteger
    op.create_table(
        "finding_days",
        _key("day", 10), _key("account"), _key("region"), _key("severity", 16),
        _key("machines", 8),
        sa.Column("active", number, nullable=False),
        sa.Column("exploited", number, nullable=True),
        sa.Column("opened", number, nullable=False),
        sa.Column("closed", number, nullable=False),
        sa.Column("counted_at", Instant, nullable=True),
        _primary("finding_days", "day", "account", "region", "severity", "machines"),
    )  # fmt: skip
    op.create_index("ix_finding_days_account", "finding_days", ["account", "day"])
    op.create_table(
        "fleet_measures",
        _key("measure", 32), _key("account"), _key("region"), _key("item", 160),
        sa.Column("value", sa.Float, nullable=False),
        sa.Column("counted_at", Instant, nullable=False),
        _primary("fleet_measures", "measure", "account", "region", "item"),
    )  # fmt: skip
    op.create_table(
        "remediation_actions",
        _key("account"),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("document", sa.Text, nullable=False),
        sa.Column("counted_at", Instant, nullable=False),
        _primary("remediation_actions", "account", "position"),
    )


def _create_packages() -> None:
    op.create_table(
        "installed_names",
        sa.Column("id", SERIAL, nullable=False),
        _key("type", 32), _key("digest"),
        sa.Column("name", AnyText, nullable=False),
        sa.Column("folded", OrderedText, nullable=False),
        _primary("installed_names", "id"),
        sa.UniqueConstraint("digest", name="uq_installed_names_digest"),
        sqlite_autoincrement=True,
    )  # fmt: skip
    op.create_index("ix_installed_names_folded", "installed_names", ["folded", "id"])
    op.create_table(
        "installed_versions",
        sa.Column("id", SERIAL, nullable=False),
        sa.Column("name", sa.BigInteger, nullable=False),
        _key("digest"),
        sa.Column("version", AnyText, nullable=False),
        _primary("installed_versions", "id"),
        sa.UniqueConstraint("digest", name="uq_installed_versions_digest"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_installed_versions_name", "installed_versions", ["name"])
    op.create_table(
        "set_versions",
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("content", sa.BigInteger, nullable=False),
        _primary("set_versions", "version", "content"),
    )
    op.create_index("ix_set_versions_content", "set_versions", ["content"])
    indexed = sa.Column("indexed", sa.Boolean, nullable=False, server_default=sa.false())
    op.add_column("package_sets", indexed)
    where = sa.text("NOT indexed")
    op.create_index(
        "ix_package_sets_unindexed", "package_sets", ["id"],
        sqlite_where=where, postgresql_where=where,
    )  # fmt: skip


def downgrade() -> None:
    """Back."""
    op.drop_index("ix_scans_finished", table_name="scans")
    op.drop_index("ix_scans_created", table_name="scans")
    for name in reversed(UPGRADE):
        op.drop_column("finding_terms", name)
    op.drop_index("ix_package_sets_unindexed", table_name="package_sets")
    op.drop_column("package_sets", "indexed")
    for name in TABLES:
        op.drop_table(name)


def _fill_terms(connection: sa.Connection) -> None:
    query = (
        "SELECT id, type, document FROM finding_details WHERE id > :last ORDER BY id LIMIT :most"
    )
    terms = sa.table(
        "finding_terms", sa.column("detail"), sa.column("purl_type"),
        sa.column("ecosystem", AnyText()), sa.column("fixed_version", AnyText()),
    )  # fmt: skip
    change = (
        sa.update(terms)
        .where(terms.c.detail == sa.bindparam("row"))
        .values({name: sa.bindparam(f"to_{name}", type_=terms.c[name].type) for name in UPGRADE})
    )
    last = 0
    while rows := connection.execute(sa.text(query), {"last": last, "most": AT_ONCE}).all():
        last = rows[-1].id
        values = []
        for row in rows:
            finding = load_finding(row.type, row.document)
            if isinstance(finding, Finding):
                values.append(
                    {
                        "row": row.id,
                        "to_purl_type": finding.package.type[:32],
                        "to_ecosystem": finding.ecosystem,
                        "to_fixed_version": finding.fixed_version,
                    }
                )
        if values:
            connection.execute(change, values)
