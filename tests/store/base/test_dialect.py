"""Statements that are built once."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, create_mock_engine, select

from sidelight.store.base.dialect import once
from sidelight.store.base.schema import looks


def test_a_statement_is_built_once_for_each_dialect_and_arguments() -> None:
    built: list[tuple[str, str]] = []

    @once
    def statement(connection: Connection, column: str) -> Any:
        built.append((connection.dialect.name, column))
        return select(looks.c[column])

    sqlite, postgresql = (
        create_mock_engine(url, lambda *_: None) for url in ("sqlite://", "postgresql+psycopg://")
    )
    for _ in range(2):
        for connection in (sqlite, postgresql):
            for column in ("region", "due_at"):
                query = statement(connection, column)  # type: ignore[arg-type] # has a dialect, as one
                assert [one.name for one in query.selected_columns] == [column]
    assert sorted(built) == [
        ("postgresql", "due_at"), ("postgresql", "region"), ("sqlite", "due_at"),
        ("sqlite", "region"),
    ]  # fmt: skip
