"""SQL that fixes a query's plan: both databases misjudge a LIMIT with filters on joined tables.

SQLite keeps the order of a CROSS JOIN, and uses no index for a column behind a unary plus. For
PostgreSQL `fix_plan` switches off what would change the order, for one transaction.
"""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from sqlalchemy import ARRAY, Boolean, Integer, Text, and_, bindparam, func, literal, select
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.sql.selectable import Join

from sidelight.store.base.column_types import SqlColumn, SqlRow, SqlValue
from sidelight.store.base.dialect import parts

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from sqlalchemy import CTE, ColumnElement, Connection, Table
    from sqlalchemy.sql.compiler import SQLCompiler
    from sqlalchemy.sql.selectable import FromClause

_FIXED = ("enable_hashjoin", "enable_mergejoin", "enable_seqscan")
_SORTED = ("enable_sort", "enable_bitmapscan")
_PAIRS: Final = 5000  # in one statement


class OrderedJoin(Join):
    """A join whose right side is looked up for each row of the left side."""

    inherit_cache = True


class Unindexed(FunctionElement[SqlValue]):
    """A column that SQLite does not look up by an index."""

    inherit_cache = True

    def __init__(self, named: SqlColumn) -> None:
        super().__init__(named)
        self.type = named.type


class Position(FunctionElement[int]):
    """Where a text first occurs in a column, from 1; 0 if it does not."""

    inherit_cache = True
    type = Integer()


class ByteRange(FunctionElement[bool]):
    """Whether a column is a text or after it, and before another, in the order of their bytes."""

    inherit_cache = True
    type = Boolean()

    def __init__(self, named: SqlColumn, begin: str, end: str) -> None:
        super().__init__(named, literal(begin), literal(end))


def ordered_join(left: FromClause, right: FromClause, on: ColumnElement[bool]) -> OrderedJoin:
    """Return the inner join of two tables in this order."""
    return OrderedJoin(left, right, on)


def same_instance(left: FromClause, right: FromClause) -> ColumnElement[bool]:
    """Return the condition that rows of two tables are of one instance."""
    return and_(left.c.account == right.c.account, left.c.instance == right.c.instance)


def is_instance(table: FromClause) -> ColumnElement[bool]:
    """Return the condition that rows are of the instance of two parameters.

    They are `of_account` and `of_instance`: so the statement is built once for all instances.
    """
    return and_(
        table.c.account == bindparam("of_account"), table.c.instance == bindparam("of_instance")
    )


def is_in_region(table: FromClause) -> ColumnElement[bool]:
    """Return the condition that rows are of the parameters `in_account` and `in_region`."""
    return and_(
        table.c.account == bindparam("in_account"), table.c.region == bindparam("in_region")
    )


def by_instance(
    connection: Connection, table: Table, member: str, pairs: Collection[tuple[str, str]]
) -> Iterator[SqlRow]:
    """Yield account, instance and a member of these instances' rows, each by its key.

    SQLite looks for the pairs of an IN in all rows.
    """
    for part in parts(sorted(pairs), _PAIRS):
        rows = _pairs(connection, part)
        table_of_it = ordered_join(rows, table, same_instance(table, rows))
        query = select(table.c.account, table.c.instance, table.c[member])
        yield from connection.execute(query.select_from(table_of_it))


def _pairs(connection: Connection, pairs: Sequence[tuple[str, str]]) -> CTE:
    """Return these pairs as a table: the statement is the same for any number of them."""
    if connection.dialect.name == "postgresql":
        arrays = [literal(list(column), ARRAY(Text)) for column in zip(*pairs, strict=True)]
        rows = func.unnest(*arrays).table_valued("account", "instance").render_derived()
        return select(*rows.c).cte("wanted")
    each = func.json_each(json.dumps(pairs)).table_valued("value")
    members = [func.json_extract(each.c.value, f"$[{number}]") for number in (0, 1)]
    account, instance = members
    return select(account.label("account"), instance.label("instance")).cte("wanted")


def values_by_instance(
    connection: Connection, table: Table, member: str, pairs: Collection[tuple[str, str]]
) -> dict[tuple[str, str], SqlValue]:
    """Return one column of these instances' rows by (account, id); those without are left out."""
    rows = by_instance(connection, table, member, pairs)
    return {(account, instance): value for account, instance, value in rows}


def fix_plan(connection: Connection, *, sorts: bool) -> None:
    """Join in the written order by indexes; without `sorts`, read in the order of an index.

    It holds until the transaction ends, or the next call.
    """
    if connection.dialect.name != "postgresql":
        return
    settings = {"join_collapse_limit": "1", "plan_cache_mode": "force_custom_plan"}
    settings |= dict.fromkeys(_FIXED, "off") | dict.fromkeys(_SORTED, "on" if sorts else "off")
    connection.execute(select(*(func.set_config(*item, True) for item in settings.items())))


def count_groups(connection: Connection) -> None:
    """Let PostgreSQL group all findings without files, until the transaction ends."""
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.set_config("work_mem", "64MB", True)))


@contextmanager
def hashed_joins(connection: Connection) -> Iterator[None]:
    """Let PostgreSQL join large tables by hashing.

    Else it looks up each of many rows, or reads a whole table in the order of an index to merge it.
    """
    if connection.dialect.name != "postgresql":
        yield
        return
    others = ("enable_nestloop", "enable_mergejoin")
    connection.execute(select(*(func.set_config(name, "off", True) for name in others)))
    yield
    connection.execute(select(*(func.set_config(name, "on", True) for name in others)))


@compiles(OrderedJoin, "sqlite")
def _cross_join(element: OrderedJoin, compiler: SQLCompiler, **options: object) -> str:
    options |= {"asfrom": True}
    left = compiler.process(element.left, **options)
    right = compiler.process(element.right, **options)
    on = "" if element.onclause is None else compiler.process(element.onclause, **options)
    return f"{left} CROSS JOIN {right} ON {on}"


@compiles(Unindexed)
def _column(element: Unindexed, compiler: SQLCompiler, **options: object) -> str:
    return compiler.process(element.clauses, **options)


@compiles(Unindexed, "sqlite")
def _plus_column(element: Unindexed, compiler: SQLCompiler, **options: object) -> str:
    return f"+{compiler.process(element.clauses, **options)}"


@compiles(Position)
def _strpos(element: Position, compiler: SQLCompiler, **options: object) -> str:
    return f"strpos({compiler.process(element.clauses, **options)})"


@compiles(Position, "sqlite")
def _instr(element: Position, compiler: SQLCompiler, **options: object) -> str:
    return f"instr({compiler.process(element.clauses, **options)})"


@compiles(ByteRange)
def _pattern_range(element: ByteRange, compiler: SQLCompiler, **options: object) -> str:
    # The operators of text_pattern_ops: the order of others is that of the database's locale.
    named, begin, end = (compiler.process(item, **options) for item in element.clauses)
    return f"({named} ~>=~ {begin} AND {named} ~<~ {end})"


@compiles(ByteRange, "sqlite")
def _range(element: ByteRange, compiler: SQLCompiler, **options: object) -> str:
    named, begin, end = (compiler.process(item, **options) for item in element.clauses)
    return f"({named} >= {begin} AND {named} < {end})"
