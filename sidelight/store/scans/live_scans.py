"""The condition of live scans in statements that name an account, among its thirty days of scans.

Without statistics, SQLite takes any index of the account for as good as that of the live scans. A
range of that index's second column, which has all instances, decides for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlalchemy import and_

from sidelight.store.base.schema import LIVE_SCAN, scans

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement

IS_LIVE: Final[ColumnElement[bool]] = and_(LIVE_SCAN, scans.c.instance > "")
