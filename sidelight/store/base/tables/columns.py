"""The metadata of all tables, and the kinds of columns that many have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import BigInteger, Column, Integer, MetaData, String

from sidelight.store.base.column_types import Instant

if TYPE_CHECKING:
    from datetime import datetime

# Every constraint has a name, so that a later migration can refer to it.
metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def identifier(name: str, **options: Any) -> Column[str]:
    """Return a column for an id of ours or of AWS."""
    return Column(name, String(64), nullable=False, **options)


def serial(name: str) -> Column[int]:
    """Return a primary key of ascending numbers."""
    return Column(name, BigInteger().with_variant(Integer, "sqlite"), primary_key=True)


def instant(name: str, *, nullable: bool = False) -> Column[datetime]:
    """Return a column for a time in UTC."""
    return Column(name, Instant, nullable=nullable)
