"""The values by which findings and instances are searched, in narrow rows.

Both are derived: the transaction that writes a document writes its terms.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Float, Index, Integer, String, Table

from sidelight.store.base.column_types import AnyText, OrderedText
from sidelight.store.base.tables.columns import identifier, metadata

# One row for each row of finding_details. Texts are empty and numbers -1 where a finding has none;
# lists have a line feed before, between and after their items.
finding_terms = Table(
    "finding_terms",
    metadata,
    Column("detail", BigInteger, primary_key=True, autoincrement=False),
    Column("type", String(32), nullable=False),
    Column("severity", String(16), nullable=False),
    Column("severity_rank", Integer, nullable=False),
    Column("title", AnyText, nullable=False),
    Column("vulnerability", OrderedText, nullable=False),
    Column("source", OrderedText, nullable=False),
    Column("vendor_severity", OrderedText, nullable=False),
    Column("fix", String(8), nullable=False),
    Column("exploit", String(8), nullable=False),
    Column("score", Float, nullable=False),
    Column("epss", Float, nullable=False),
    Column("related", AnyText, nullable=False),
    Column("package", OrderedText, nullable=False),
    Column("version", AnyText, nullable=False),
    Column("epoch", BigInteger, nullable=False),
    Column("release", AnyText, nullable=False),
    Column("architecture", AnyText, nullable=False),
    Column("path", AnyText, nullable=False),
    Column("protocol", String(16), nullable=False),
    Column("port_begin", Integer, nullable=False),
    Column("port_end", Integer, nullable=False),
    Column("component_ids", AnyText, nullable=False),
    Column("component_types", AnyText, nullable=False),
    Column("purl_type", String(32), nullable=False, server_default=""),
    Column("ecosystem", AnyText, nullable=False, server_default=""),
    Column("fixed_version", AnyText, nullable=False, server_default=""),
    *(
        # Unique, so that SQLite knows the order of the findings of each.
        Index(f"ix_finding_terms_{name}", name, "detail", unique=True)
        for name in (
            "type", "severity_rank", "vulnerability", "source", "vendor_severity", "score", "epss",
            "protocol", "package", "exploit",
        )
    ),
)  # fmt: skip

instance_terms = Table(
    "instance_terms",
    metadata,
    identifier("account", primary_key=True),
    identifier("instance", primary_key=True),
    identifier("image"),
    identifier("vpc"),
    identifier("subnet"),
    Index("ix_instance_terms_image", "image"),
    Index("ix_instance_terms_vpc", "vpc"),
    Index("ix_instance_terms_subnet", "subnet"),
)

instance_tags = Table(
    "instance_tags",
    metadata,
    identifier("account", primary_key=True),
    identifier("instance", primary_key=True),
    Column("key", AnyText, primary_key=True),
    Column("value", AnyText, nullable=False),
    Index("ix_instance_tags_key", "key", "value"),
)

# The addresses of discovered instances, in their canonical text (RFC 5952 for IPv6).
instance_addresses = Table(
    "instance_addresses",
    metadata,
    identifier("account", primary_key=True),
    identifier("instance", primary_key=True),
    identifier("address", primary_key=True),
    Index("ix_instance_addresses_address", "address"),
)

# The operating system of the last inventory, in Inspector's words.
instance_platforms = Table(
    "instance_platforms",
    metadata,
    identifier("account", primary_key=True),
    identifier("instance", primary_key=True),
    identifier("platform"),
)
