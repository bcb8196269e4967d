"""The differences between SQLite and PostgreSQL for the same statement."""

from __future__ import annotations

from functools import cache, wraps
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec

from sqlalchemy import ARRAY, BigInteger, Connection, any_, func, literal, select, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from sqlalchemy import Column, Table

# SQLite accepts 32,766 parameters and PostgreSQL 65,535: statements with far fewer plan better.
PART = 500

P = ParamSpec("P")


def insert(connection: Connection, table: Table) -> Any:
    """Return an INSERT that supports ON CONFLICT."""
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    return dialect.insert(table)


def once(
    build: Callable[Concatenate[Connection, P], Any],
) -> Callable[Concatenate[Connection, P], Any]:
    """Cache a statement, built at first use for each dialect and arguments (hashable ones).

    SQLAlchemy takes ten times as long to build an upsert as to run it.
    """
    built: dict[tuple[Any, ...], Any] = {}

    @wraps(build)
    def statement(connection: Connection, /, *args: P.args, **kwargs: P.kwargs) -> Any:
        key = (connection.dialect.name, *args, *kwargs.items())
        if key not in built:
            built[key] = build(connection, *args, **kwargs)
        return built[key]

    return statement


@once
def adding_new(connection: Connection, table: Table) -> Any:
    """Return an INSERT that passes over rows that are there."""
    return insert(connection, table).on_conflict_do_nothing()


def parts(items: Sequence[Any], size: int = PART) -> Iterator[Sequence[Any]]:
    """Return the items in parts of `size`."""
    return (items[begin : begin + size] for begin in range(0, len(items), size))


def one_of(connection: Connection, column: Column[Any], numbers: Sequence[int]) -> Any:
    """Return the condition that a column is one of these numbers, as one parameter if it can be.

    SQLAlchemy writes a parameter for each value of an IN, and the driver reads them all again.
    """
    if connection.dialect.name == "sqlite":
        return column.in_(numbers)
    return column == any_(literal(list(numbers), ARRAY(BigInteger)))


def new_ids(connection: Connection, table: Table, count: int) -> list[int]:
    """Reserve `count` unused ids of a table with an ascending `id`."""
    if connection.dialect.name == "sqlite":
        # The writer holds the database's only lock.
        query = text("SELECT seq FROM sqlite_sequence WHERE name = :table")
        last = int(connection.execute(query, {"table": table.name}).scalar() or 0)
        return list(range(last + 1, last + 1 + count))
    sequence = func.pg_get_serial_sequence(table.name, "id")
    each = func.generate_series(1, count).table_valued("number")
    return list(connection.execute(select(func.nextval(sequence)).select_from(each)).scalars())


def put_rows(connection: Connection, table: Table, rows: Sequence[dict[str, Any]]) -> None:
    """Insert many rows, all of the same columns. Raises DBAPIError.

    PostgreSQL uses COPY: psycopg takes five times as long to parse and adapt a long INSERT.
    """
    if not rows:
        return
    columns = [table.c[name] for name in rows[0]]
    quote = connection.dialect.identifier_preparer.quote
    names = f"{quote(table.name)} ({', '.join(quote(column.name) for column in columns)})"
    if connection.dialect.name == "sqlite":
        marks = ", ".join("?" * len(columns))
        statement = f"INSERT INTO {names} VALUES ({marks})"
        connection.exec_driver_sql(statement, list(_bound(connection, columns, rows)))
        return
    statement = f"COPY {names} FROM STDIN"
    driver: Any = connection.connection.driver_connection
    try:
        with driver.cursor() as cursor, cursor.copy(statement) as copy:
            for row in _bound(connection, columns, rows):
                copy.write_row(row)
    except connection.dialect.loaded_dbapi.Error as error:
        raise DBAPIError(statement, None, error) from error


def _bound(
    connection: Connection, columns: Sequence[Column[object]], rows: Sequence[dict[str, object]]
) -> Iterator[tuple[object, ...]]:
    """Return the rows as the driver takes them; a value in many rows, as a time, is bound once."""
    taken = []
    for column in columns:
        values = [row[column.name] for row in rows]
        bind = column.type.dialect_impl(connection.dialect).bind_processor(connection.dialect)
        taken.append(values if bind is None else list(map(cache(bind), values)))
    return zip(*taken, strict=True)
