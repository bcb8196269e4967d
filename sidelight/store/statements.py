"""What the same statement is in SQLite and in PostgreSQL."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, select, update
from sqlalchemy.dialects import postgresql, sqlite

from sidelight.store.schema import sequences

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy import Table

# SQLite takes 32,766 parameters and PostgreSQL 65,535: far fewer plan better.
PART = 500


def insert(connection: Connection, table: Table) -> Any:
    """An INSERT that can have an ON CONFLICT."""
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    return dialect.insert(table)


def parts(items: Sequence[Any], size: int = PART) -> Iterator[Sequence[Any]]:
    """The items, some at a time."""
    return (items[begin : begin + size] for begin in range(0, len(items), size))


def raised(connection: Connection, name: str, by: int = 1) -> int:
    """Raise a counter; its value before. Its row is locked to the end of the transaction.

    So numbers are given in the order of the commits, and a rollback leaves no gap.
    """
    table = insert(connection, sequences)
    connection.execute(
        table.values(name=name, value=by).on_conflict_do_update(
            index_elements=["name"], set_={"value": sequences.c.value + by}
        )
    )
    return value(connection, name) - by


def value(connection: Connection, name: str, *, share: bool = False) -> int:
    """A counter's value; with `share` it stays so to the end of the transaction."""
    query = select(sequences.c.value).where(sequences.c.name == name)
    if share:
        query = query.with_for_update(read=True)
    return int(connection.execute(query).scalar() or 0)


def put(connection: Connection, name: str, number: int) -> None:
    """Set a counter that is there."""
    connection.execute(update(sequences).where(sequences.c.name == name).values(value=number))
