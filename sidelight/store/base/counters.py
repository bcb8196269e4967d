"""Counters that are read and incremented within transactions."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, bindparam, select, update

from sidelight.store.base.dialect import insert, once
from sidelight.store.base.schema import sequences

if TYPE_CHECKING:
    from sqlalchemy import Select


def increment(connection: Connection, name: str, by: int = 1) -> int:
    """Increment a counter; return its value before. Its row is locked until the transaction ends.

    So numbers are assigned in the order of the commits, and a rollback leaves no gap.
    """
    connection.execute(_raising(connection), {"name": name, "value": by})
    return read_counter(connection, name) - by


@once
def _raising(connection: Connection) -> Any:
    adding = insert(connection, sequences)
    return adding.on_conflict_do_update(
        index_elements=["name"], set_={"value": sequences.c.value + adding.excluded.value}
    )


def read_counter(connection: Connection, name: str, *, share: bool = False) -> int:
    """Read a counter; with `share` it cannot change until the end of the transaction."""
    return int(connection.execute(_reading(share=share), {"of_name": name}).scalar() or 0)


@cache
def _reading(*, share: bool) -> Select[Any]:
    query = select(sequences.c.value).where(sequences.c.name == bindparam("of_name"))
    return query.with_for_update(read=True) if share else query


def set_counter(connection: Connection, name: str, number: int) -> None:
    """Set an existing counter."""
    connection.execute(update(sequences).where(sequences.c.name == name).values(value=number))
