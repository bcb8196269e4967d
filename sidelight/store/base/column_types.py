"""Column types for values that SQLite and PostgreSQL store differently or refuse."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import DateTime, Text, TypeDecorator
from sqlalchemy.dialects.postgresql import TEXT

if TYPE_CHECKING:
    from sqlalchemy import Dialect
    from sqlalchemy.types import TypeEngine

# Columns and rows of any types: SQLAlchemy types a comparison by both operands.
SqlColumn = Any
SqlRow = Any
SqlValue = Any


class Instant(TypeDecorator[datetime]):
    """A time in UTC: with its zone in PostgreSQL, without in SQLite, aware in Python."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Convert to UTC, without the zone for SQLite, which stores none."""
        if value is None:
            return None
        moment = value.astimezone(UTC)
        return moment.replace(tzinfo=None) if dialect.name == "sqlite" else moment

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - the base class's signature
        """Return an aware time in UTC, independent of the database's zone."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class AnyText(TypeDecorator[str]):
    """Text of a scanned machine: may contain NUL or lone surrogates, which databases refuse.

    Those are stored as backslash escapes. Text that must be restored exactly is in a JSON document.
    """

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:  # noqa: ARG002 - the base class's signature
        """Escape the text."""
        return None if value is None else storable(value)


class OrderedText(AnyText):
    """AnyText that is sorted by its bytes in every database, whatever its locale."""

    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[str]:
        """Return the type in this database: SQLite compares bytes anyway."""
        text: TypeEngine[str] = Text() if dialect.name == "sqlite" else TEXT(collation="C")
        return dialect.type_descriptor(text)


def storable(value: str) -> str:
    """Return the text as AnyText stores it."""
    return value.replace("\0", "\\x00").encode("utf-8", "backslashreplace").decode()
