"""What a first page reads: plans of indexes, and a number of steps that findings do not raise."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import delete, select, update

from benchmarks.api_queries import FILTERS
from benchmarks.drawn_store import START, fill
from benchmarks.query_costs import cost, plans
from sidelight.findings import Observation
from sidelight.model import InstanceRef
from sidelight.store import SORT_FIELDS, FindingAggregation, FindingSearch, FoundFindings
from sidelight.store.base.engine import Database
from sidelight.store.base.schema import findings
from sidelight.store.findings.aggregations import Aggregations
from sidelight.store.findings.reconcile import InstanceState, known_findings
from sidelight.suppression import parse
from tests.fixtures.store_templates import lay

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

DETAILS = 150
PAGE = 20
STEPS = 80_000  # that do not count: of what a page reads beside its findings, and of those tested
SMALL, LARGE = 1_500, 6_000
# Findings that are sorted for a page, and tested.
AT_MOST = 50, (25, 100)
# That a page reads, of all tables. With four times the findings the dearest page reads as many.
MOST_ROWS = 10_000


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


@pytest.mark.parametrize("kind", ["PACKAGE", "TITLE"])
def test_an_aggregation_of_an_account_reads_its_counts_alone(
    databases: dict[int, Database], kind: str
) -> None:
    database = databases[LARGE]
    of_one = FindingAggregation(kind, ("100000000001",))
    run = partial(Aggregations(database).page, of_one, PAGE)
    lines = [str(line) for plan in plans(database, run, "EXPLAIN QUERY PLAN ") for line in plan]
    counts = [line for line in lines if "detail_counts" in line]
    assert counts
    for line in counts:
        assert "USING INDEX ix_detail_counts_account (account=?)" in line


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
            cost(
                databases[count],
                partial(FoundFindings(databases[count], *AT_MOST).page, search, PAGE),
            )
            for count in (SMALL, LARGE)
        ]
        if steps[1].steps > 2 * steps[0].steps + STEPS:
            dear[name] = steps
    assert not dear


@pytest.mark.services
@pytest.mark.slow
def test_postgresql_neither_reads_nor_sorts_all_findings_for_a_first_page(
    make_postgresql: Callable[[], str],
) -> None:
    url = make_postgresql()
    fill(url, LARGE, LARGE // 30, DETAILS)
    database = Database(url)
    found = FoundFindings(database, *AT_MOST)
    scans, dear = [], {}
    for sort in ("", "SEVERITY", "LAST_OBSERVED_AT", "FIRST_OBSERVED_AT"):
        for name, criteria in FILTERS.items():
            search = FindingSearch(parse(criteria) if criteria else None, None, sort, True)
            run = partial(found.page, search, PAGE)
            lines = [str(line) for plan in plans(database, run, "EXPLAIN ") for line in plan]
            scans += [(name, sort) for line in lines if "Seq Scan on findings" in line]
            rows = cost(database, run).rows
            if rows > MOST_ROWS:
                dear[name, sort] = rows
    database.close()
    assert not scans
    assert not dear


def test_all_pages_have_each_finding_once_while_findings_change(
    databases: dict[int, Database],
) -> None:
    database = databases[LARGE]
    found = FoundFindings(database, *AT_MOST)
    search = FindingSearch(None, None, "SEVERITY", descending=True)
    with database.read() as connection:
        before = set(connection.execute(select(findings.c.id)).scalars())
    seen: list[int] = []
    steps: list[int] = []
    after: Mapping[str, object] | None = None
    closed: set[int] = set()
    while after is not None or not seen:
        position = after
        page = found.page(search, 100, position)
        steps.append(cost(database, partial(found.page, search, 100, position)).steps)
        seen += [row.id for row in page.rows]
        after = page.position
        # One that was seen and one that was not are deleted, and another changes its status.
        gone = {seen[-1], min(before - set(seen) - closed, default=0)}
        closed |= gone - {seen[-1]}
        with database.write() as connection:
            connection.execute(delete(findings).where(findings.c.id.in_(gone)))
            changed = update(findings).where(findings.c.id == seen[-2])
            connection.execute(changed.values(status="SUPPRESSED", updated_at=START))
    assert len(seen) == len(set(seen))
    assert before - closed <= set(seen)
    # A page of the last quarter costs what one of the first does.
    quarter = len(steps) // 4
    assert sum(steps[-quarter - 1 : -1]) < 2 * sum(steps[:quarter])
