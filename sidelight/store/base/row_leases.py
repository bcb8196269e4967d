"""Leases of rows: the columns `lease`, a token, and `lease_until`, changed by compare-and-set."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, TypedDict

from sqlalchemy import or_, update

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime, timedelta

    from sqlalchemy import BindParameter, ColumnElement, Connection, Table


class NewLease(TypedDict):
    """The values of a claim."""

    lease: str
    lease_until: datetime


def new_lease(now: datetime, duration: timedelta) -> NewLease:
    """Return a lease that no other claim has."""
    return {"lease": uuid.uuid4().hex, "lease_until": now + duration}


def free(table: Table, now: datetime | BindParameter[datetime]) -> ColumnElement[bool]:
    """Match rows without a lease, or with an expired one."""
    return or_(table.c.lease_until.is_(None), table.c.lease_until <= now)


def change_held(
    connection: Connection,
    table: Table,
    lease: str,
    values: Mapping[str, object],
    *row: ColumnElement[bool],
) -> bool:
    """Change the row that these conditions match, False if the lease does not hold it any more."""
    statement = update(table).where(*row, table.c.lease == lease).values(dict(values))
    return connection.execute(statement).rowcount == 1
