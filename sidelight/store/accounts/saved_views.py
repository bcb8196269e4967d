"""Views of lists that people of the console save: a page's query under a name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlalchemy import delete, func, select

from sidelight.model import SavedView
from sidelight.store.base.schema import saved_views

if TYPE_CHECKING:
    from sidelight.store.base.clock import Clock
    from sidelight.store.base.engine import Database

MOST_VIEWS: Final = 50  # of one person and page


class SavedViews:
    """Saved views of each person; nobody sees another's."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def of(self, user: str, page: str) -> list[SavedView]:
        """Return a person's views of a page, by name."""
        table = saved_views
        columns = table.c.id, table.c.user, table.c.page, table.c.name, table.c.query
        query = select(*columns).where(table.c.user == user, table.c.page == page)
        with self._database.read() as connection:
            views = [SavedView(*row) for row in connection.execute(query)]
        return sorted(views, key=lambda view: (view.name.casefold(), view.id))

    def put(self, user: str, page: str, name: str, query: str) -> bool:
        """Save a view, or replace the one of its name; False if the person has MOST_VIEWS."""
        table = saved_views
        own = (table.c.user == user) & (table.c.page == page)
        values = {"user": user, "page": page, "name": name, "query": query,
                  "created_at": self._clock()}  # fmt: skip
        with self._database.write() as connection:
            connection.execute(delete(table).where(own, table.c.name == name))
            count = connection.execute(select(func.count()).where(own)).scalar_one()
            if count >= MOST_VIEWS:
                return False
            connection.execute(table.insert().values(values))
        return True

    def remove(self, user: str, number: int) -> SavedView | None:
        """Remove a person's view, and return it; None if the person has no such view."""
        table = saved_views
        columns = table.c.id, table.c.user, table.c.page, table.c.name, table.c.query
        statement = delete(table).where(table.c.user == user, table.c.id == number)
        with self._database.write() as connection:
            row = connection.execute(statement.returning(*columns)).first()
        return None if row is None else SavedView(*row)
