"""Findings by Inspector's criteria, sorted by its SortFields, a page at a time.

A page continues after the sort key and the id of the last finding of the page before: findings that
are opened or deleted meanwhile move no other one. Only a finding whose own sort key changes may be
listed at its new place. Without a sort field the order is by id, which never changes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sidelight.model import Instance
from sidelight.store.base import documents
from sidelight.store.findings.criteria_sql import conditions_of
from sidelight.store.findings.described_rows import described_rows
from sidelight.store.findings.findings import rows_by_id
from sidelight.store.findings.search_query import TESTED, SearchQuery, few_findings

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from sidelight.model import FindingRow
    from sidelight.store.base.engine import Database
    from sidelight.suppression import Criteria


@dataclass(frozen=True, slots=True)
class FindingSearch:
    """The findings to list: of `accounts`, None for all; `sort` is one of SORT_FIELDS."""

    criteria: Criteria | None = None
    accounts: Collection[str] | None = None
    sort: str = ""
    descending: bool = False


@dataclass(frozen=True, slots=True)
class FindingPage:
    """A page of findings; their instances and names of operating systems by (account, id).

    `position` is that of the last finding, a JSON object, if there are more; None if not.
    """

    rows: Sequence[FindingRow]
    instances: Mapping[tuple[str, str], Instance]
    platforms: Mapping[tuple[str, str], str]
    position: Mapping[str, object] | None = None


class FoundFindings:
    """Searches findings."""

    def __init__(
        self, database: Database, few: int | None = None, tested: Sequence[int] | None = None
    ) -> None:
        """`few` overrides how many findings are read and sorted, and `tested` how many are tested.

        With `few` alone none is tested.
        """
        self._database = database
        self.few = few
        self.tested = (TESTED if few is None else ()) if tested is None else tested

    def page(
        self, search: FindingSearch, size: int, after: Mapping[str, object] | None = None
    ) -> FindingPage:
        """Return up to `size` findings after a position.

        Raises StoreError, and ValueError for a position of another search.
        """
        conditions = conditions_of(search.criteria, search.accounts)
        query = SearchQuery(conditions, search.sort, after, descending=search.descending)
        with self._database.read() as connection:
            few = few_findings(connection) if self.few is None else self.few
            found = query.run(connection, size + 1, few, self.tested)
            ids = [row[-1] for row in found[:size]]
            rows, texts, platforms = described_rows(connection, ids)
        page = [rows[number] for number in ids if number in rows]
        known = {pair: documents.load(Instance, text) for pair, text in texts.items()}
        position = query.position(found[size - 1]) if len(found) > size else None
        return FindingPage(page, known, platforms, position)

    def by_id(
        self, ids: Collection[int], accounts: Collection[str] | None
    ) -> dict[int, FindingRow]:
        """Return findings of these accounts by id; unknown ones are left out."""
        with self._database.read() as connection:
            rows = rows_by_id(connection, ids)
        return {
            number: row
            for number, row in rows.items()
            if accounts is None or row.account in accounts
        }
