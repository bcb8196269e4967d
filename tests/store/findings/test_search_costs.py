"""What a first page reads: plans of indexes, and a number of steps that findings do not raise."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest

from benchmarks.api_queries import FILTERS, START, fill
from benchmarks.query_costs import cost, plans
from sidelight.findings import Observation
from sidelight.model import InstanceRef
from sidelight.store import SORT_FIELDS, FindingSearch, FoundFindings
from sidelight.store.base.engine import Database
from sidelight.store.findings.reconcile import InstanceState, known_findings
from sidelight.suppression import parse
from tests.fixtures.store_templates import lay

if TYPE_CHECKING:
    from collections.abc import Iterator

DETAILS = 150
PAGE = 20
STEPS = 20_000  # that do not count: of what a page reads beside its findings
SMALL, LARGE = 1_500, 6_000


@pytest.fixture(scope="module")
def databases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[int, Database]]:
    filled = {}
    for count in (SMALL, LARGE):
        url = f"sqlite:///{tmp_path_factory.mktemp('costs')}/store.db"
        lay(url)
        fill(url, count, count // 30, DETAILS)
        filled[count] = Database(url)
    yield filled
    for database in filled.values():
        database.close()


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("sort", sorted(SORT_FIELDS))
def test_a_first_page_of_any_order_is_read_from_an_index(
    databases: dict[int, Database], sort: str, descending: bool
) -> None:
    found = FoundFindings(databases[SMALL])
    run = partial(found.page, FindingSearch(None, None, sort, descending), PAGE)
    lines = [str(line) for plan in plans(databases[SMALL], run, "EXPLAIN QUERY PLAN ")
             for line in plan]  # fmt: skip
    # "FOR LAST TERM": findings of inventories of one moment, by id.
    assert not [line for line in lines if "TEMP B-TREE FOR ORDER BY" in line]


def test_a_machine_s_findings_of_some_keys_are_read_from_indexes_that_have_the_keys(
    databases: dict[int, Database],
) -> None:
    database = databases[SMALL]
    place = InstanceRef("100000000001", "us-east-1", f"i-{7:017x}")
    state = InstanceState(Observation(place, {}, keys=frozenset({"1", "2"})))

    def run() -> None:
        with database.read() as connection:
            list(known_findings(connection, [state], START))

    (plan,) = plans(database, run, "EXPLAIN QUERY PLAN ")
    for index in ("uq_findings_open", "ix_findings_closed"):
        assert any(
            f"INDEX {index} (account=? AND instance=? AND key=?)" in str(line) for line in plan
        )


@pytest.mark.slow
@pytest.mark.parametrize("sort", ["", "SEVERITY", "LAST_OBSERVED_AT", "AWS_ACCOUNT_ID"])
def test_a_first_page_of_four_times_the_findings_takes_no_more_steps(
    databases: dict[int, Database], sort: str
) -> None:
    dear = {}
    for name, criteria in FILTERS.items():
        search = FindingSearch(parse(criteria) if criteria else None, None, sort, descending=True)
        steps = [
            cost(databases[count], partial(FoundFindings(databases[count], 200).page, search, PAGE))
            for count in (SMALL, LARGE)
        ]
        if steps[1].steps > 2 * steps[0].steps + STEPS:
            dear[name] = steps
    assert not dear
