"""What findings and instances are searched by, and the indexes of the API's sort fields."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa
from alembic import op

from sidelight.model import Instance, Inventory, platform_name
from sidelight.store.base import documents
from sidelight.store.base.column_types import AnyText, OrderedText, SqlRow
from sidelight.store.findings.finding_documents import load_finding
from sidelight.store.findings.finding_terms import terms_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

AT_ONCE = 1000
INDEXES = {
    "instance": ("instance", "account", "key"),
    "detail": ("detail", "id"),
    "status": ("status", "id"),
    "account": ("account", "id"),
    "first_observed": ("first_observed", "id"),
    "last_observed": ("last_observed", "id"),
    "updated_at": ("updated_at", "id"),
}
OLDER = {
    "instance": ("account", "instance", "key"),
    "detail": ("detail",),
    "status": ("status",),
}
SEARCHED = (
    "type", "severity_rank", "vulnerability", "source", "vendor_severity", "score", "epss",
    "protocol", "package",
)  # fmt: skip


def upgrade() -> None:
    """Forward, with the terms of what is stored."""
    for name in OLDER:
        op.drop_index(f"ix_findings_{name}", table_name="findings")
    for name, columns in INDEXES.items():
        op.create_index(f"ix_findings_{name}", "findings", list(columns))
    terms = op.create_table(
        "finding_terms",
        sa.Column("detail", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("type", sa.String(32), nullable=False),
        sa.Column("severity", sa.String(16), nullable=False),
        sa.Column("severity_rank", sa.Integer, nullable=False),
        sa.Column("title", AnyText, nullable=False),
        sa.Column("vulnerability", OrderedText, nullable=False),
        sa.Column("source", OrderedText, nullable=False),
        sa.Column("vendor_severity", OrderedText, nullable=False),
        sa.Column("fix", sa.String(8), nullable=False),
        sa.Column("exploit", sa.String(8), nullable=False),
        sa.Column("score", sa.Float, nullable=False),
        sa.Column("epss", sa.Float, nullable=False),
        sa.Column("related", AnyText, nullable=False),
        sa.Column("package", OrderedText, nullable=False),
        sa.Column("version", AnyText, nullable=False),
        sa.Column("epoch", sa.BigInteger, nullable=False),
        sa.Column("release", AnyText, nullable=False),
        sa.Column("architecture", AnyText, nullable=False),
        sa.Column("path", AnyText, nullable=False),
        sa.Column("protocol", sa.String(16), nullable=False),
        sa.Column("port_begin", sa.Integer, nullable=False),
        sa.Column("port_end", sa.Integer, nullable=False),
        sa.Column("component_ids", AnyText, nullable=False),
        sa.Column("component_types", AnyText, nullable=False),
    )
    for name in SEARCHED:
        op.create_index(f"ix_finding_terms_{name}", "finding_terms", [name, "detail"])
    _fill_terms(op.get_bind(), terms)
    _create_instance_tables(op.get_bind())


def _create_instance_tables(connection: sa.Connection) -> None:
    def key() -> list[sa.Column[str]]:
        return [sa.Column(name, sa.String(64), nullable=False) for name in ("account", "instance")]

    instances = op.create_table(
        "instance_terms",
        *key(),
        *(sa.Column(name, sa.String(64), nullable=False) for name in ("image", "vpc", "subnet")),
        sa.PrimaryKeyConstraint("account", "instance", name="pk_instance_terms"),
    )
    for name in ("image", "vpc", "subnet"):
        op.create_index(f"ix_instance_terms_{name}", "instance_terms", [name])
    tags = op.create_table(
        "instance_tags",
        *key(),
        sa.Column("key", AnyText, nullable=False),
        sa.Column("value", AnyText, nullable=False),
        sa.PrimaryKeyConstraint("account", "instance", "key", name="pk_instance_tags"),
    )
    op.create_index("ix_instance_tags_key", "instance_tags", ["key", "value"])
    _fill_instances(connection, instances, tags)
    platforms = op.create_table(
        "instance_platforms",
        *key(),
        sa.Column("platform", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("account", "instance", name="pk_instance_platforms"),
    )
    _fill_platforms(connection, platforms)


def downgrade() -> None:
    """Back."""
    for name in ("instance_platforms", "instance_tags", "instance_terms", "finding_terms"):
        op.drop_table(name)
    for name in INDEXES:
        op.drop_index(f"ix_findings_{name}", table_name="findings")
    for name, columns in OLDER.items():
        op.create_index(f"ix_findings_{name}", "findings", list(columns))


def _fill_terms(connection: sa.Connection, terms: sa.Table) -> None:
    columns = {column.name for column in terms.columns}
    query = (
        "SELECT id, type, document FROM finding_details WHERE id > :last ORDER BY id LIMIT :most"
    )
    last = 0
    while rows := connection.execute(sa.text(query), {"last": last, "most": AT_ONCE}).all():
        last = rows[-1].id
        values = []
        for row in rows:
            found = terms_of(load_finding(row.type, row.document)) | {"detail": row.id}
            values.append({name: found[name] for name in columns})
        connection.execute(terms.insert(), values)


def _pages(connection: sa.Connection, table: str) -> Iterator[Sequence[SqlRow]]:
    """Yield the rows of a table of instances, a part at a time."""
    query = (
        f"SELECT account, instance, document FROM {table} WHERE account > :account"
        " OR (account = :account AND instance > :instance)"
        " ORDER BY account, instance LIMIT :most"
    )
    last = {"account": "", "instance": ""}
    while rows := connection.execute(sa.text(query), last | {"most": AT_ONCE}).all():
        last = {"account": rows[-1].account, "instance": rows[-1].instance}
        yield rows


def _fill_platforms(connection: sa.Connection, platforms: sa.Table) -> None:
    for rows in _pages(connection, "inventories"):
        values = [
            {
                "account": row.account,
                "instance": row.instance,
                "platform": platform_name(documents.unpack(Inventory, row.document).os),
            }
            for row in rows
        ]
        connection.execute(platforms.insert(), values)


def _fill_instances(connection: sa.Connection, instances: sa.Table, tags: sa.Table) -> None:
    for rows in _pages(connection, "instances"):
        terms, pairs = [], []
        for row in rows:
            known = documents.load(Instance, row.document)
            key = {"account": row.account, "instance": row.instance}
            terms.append(
                key
                | {
                    "image": known.image_id[:64],
                    "vpc": known.vpc_id[:64],
                    "subnet": known.subnet_id[:64],
                }
            )
            pairs += [key | {"key": k, "value": v} for k, v in dict(known.tags).items()]
        connection.execute(instances.insert(), terms)
        if pairs:
            connection.execute(tags.insert(), pairs)
