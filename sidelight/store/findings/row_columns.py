"""Columns of findings that are tested in the rows of the instances that a condition names.

Without statistics, SQLite takes an index of one equal column for as good as one of two. Of findings
of an instance that are active, it would read all active findings of the fleet by their status.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sidelight.model import FindingStatus
from sidelight.store.base.ordered_join import Unindexed
from sidelight.store.base.schema import findings

if TYPE_CHECKING:
    from sidelight.store.base.column_types import SqlColumn

ROW_DETAIL: Final[SqlColumn] = Unindexed(findings.c.detail)
ROW_REGION: Final[SqlColumn] = Unindexed(findings.c.region)
ROW_STATUS: Final[SqlColumn] = Unindexed(findings.c.status)
ROW_TYPE: Final[SqlColumn] = Unindexed(findings.c.type)
ROW_IS_ACTIVE: Final = FindingStatus.ACTIVE.value == ROW_STATUS
