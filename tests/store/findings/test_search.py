"""Searching findings: the pure criteria are the oracle of the SQL, and pages have no gap."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st
from sqlalchemy import event

from sidelight.model import FindingStatus
from sidelight.store import SORT_FIELDS, FindingSearch, FoundFindings, Store
from sidelight.store.base.engine import Database
from sidelight.store.findings.search_query import TESTED
from sidelight.suppression import FIELDS, detail_values, filtered, instance_values, parse
from tests.fixtures.hypothesis_profiles import many
from tests.fixtures.searched_findings import ACCOUNTS, START, all_rows, fill, ids
from tests.fixtures.store_templates import lay

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from sidelight.model import FindingRow, Instance

SEEDS = (1, 2)
# Findings that are tested in an order: none, some, so many that all are.
TESTS = ((), (3,), (8, 60), TESTED)
COMPARISONS = ("EQUALS", "PREFIX", "NOT_EQUALS")


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[SearchedStore]]:
    worlds = []
    for seed in SEEDS:
        url = f"sqlite:///{tmp_path_factory.mktemp('search')}/store.db"
        lay(url)
        worlds.append(SearchedStore(url, seed))
    yield worlds
    for world in worlds:
        world.close()


class SearchedStore:
    """A filled store, its findings, and the values that criteria can name."""

    def __init__(self, url: str, seed: int) -> None:
        lay(url)
        self.store = Store(url)
        self.machines: dict[tuple[str, str], Instance] = {
            (machine.account, machine.id): machine
            for machine in fill(self.store, seed, covers=True)
        }
        self.rows = all_rows(self.store)
        self.database = Database(url)
        self.values = values_of(self.rows, self.known)

    def known(self, account: str, instance: str) -> Instance | None:
        return self.machines.get((account, instance))

    def search(
        self, search: FindingSearch, size: int, few: int, tested: Sequence[int] = ()
    ) -> list[FindingRow]:
        found = FoundFindings(self.database, few, tested)
        rows: list[FindingRow] = []
        after: Mapping[str, object] | None = None
        while True:
            page = found.page(search, size, after)
            rows += page.rows
            after = page.position
            if after is None:
                return rows

    def close(self) -> None:
        self.database.close()
        self.store.close()


def values_of(
    rows: Sequence[FindingRow], known: Callable[[str, str], Instance | None]
) -> dict[str, set[object]]:
    """The texts that the findings have, by criterion."""
    values: dict[str, set[object]] = {}
    for row in rows:
        of_row = {
            "findingArn": (row.arn, row.arn.replace(":sidelight:", ":inspector2:")),
            "findingStatus": (row.status.value,),
        }
        machine = known(row.account, row.instance)
        of_instance = instance_values(row.account, row.region, row.instance, machine)
        for name, items in {**detail_values(row.finding), **of_instance, **of_row}.items():
            if name not in ("vulnerablePackages", "portRange", "resourceTags"):
                values.setdefault(name, set()).update(items)
    packages = [p for row in rows for p in detail_values(row.finding).get("vulnerablePackages", ())]
    for package in packages:
        assert isinstance(package, dict)
        for name, items in package.items():
            values.setdefault(f"package.{name}", set()).update(items)
    return values


def texts(world: SearchedStore, name: str) -> st.SearchStrategy[dict[str, object]]:
    known = sorted(str(value) for value in world.values.get(name, {"x"}) if value != "")
    value = st.sampled_from(known or ["x"])
    begin = st.tuples(value, st.integers(1, 60)).map(lambda pair: pair[0][: pair[1]])
    return st.fixed_dictionaries(
        {"comparison": st.sampled_from(COMPARISONS), "value": st.one_of(value, begin)}
    )


def ranges(low: str, high: str, value: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    def ordered(pair: tuple[object, object]) -> dict[str, object]:
        begin, end = sorted(pair, key=str)
        return {low: begin, high: end}

    both = st.tuples(value, value).map(ordered)
    return st.one_of(both, value.map(lambda v: {low: v}), value.map(lambda v: {high: v}))


def comparisons(world: SearchedStore, name: str) -> st.SearchStrategy[object]:
    kind = FIELDS[name][0]
    numbers = st.sampled_from([0.0, 0.25, 0.5, 5.5, 9.8])
    if kind == "number":
        return ranges("lowerInclusive", "upperInclusive", numbers)
    if kind == "date":
        date = st.integers(0, 9).map(lambda hours: (START + timedelta(hours=hours)).timestamp())
        return ranges("startInclusive", "endInclusive", date)
    if kind == "ports":
        return ranges("beginInclusive", "endInclusive", st.sampled_from([22, 443]))
    if kind == "map":
        return st.sampled_from(["env", "Team", "x"]).flatmap(
            lambda key: st.fixed_dictionaries(
                {"comparison": st.just("EQUALS"), "key": st.just(key)},
                optional={"value": st.sampled_from(["prod", "test", "a"])},
            )
        )
    if kind == "package":
        names = ("name", "version", "release", "architecture", "filePath", "sourceLayerHash")
        members = {name: texts(world, f"package.{name}") for name in names}
        epoch = ranges("lowerInclusive", "upperInclusive", st.sampled_from([0, 1, 2]))
        return st.fixed_dictionaries({}, optional={**members, "epoch": epoch}).filter(bool)
    return texts(world, name)


def criteria_of(world: SearchedStore) -> st.SearchStrategy[dict[str, object]]:
    names = st.lists(st.sampled_from(sorted(FIELDS)), min_size=1, max_size=3, unique=True)
    return names.flatmap(
        lambda chosen: st.fixed_dictionaries(
            {name: st.lists(comparisons(world, name), min_size=1, max_size=3) for name in chosen}
        )
    )


@pytest.mark.slow
@many(200, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_a_search_finds_what_the_pure_criteria_match(
    filled: list[SearchedStore], data: st.DataObject
) -> None:
    world = data.draw(st.sampled_from(filled))
    criteria = parse(data.draw(criteria_of(world)))
    accounts = data.draw(st.sampled_from([None, ACCOUNTS[:1], ACCOUNTS[:2], ()]))
    sort = data.draw(st.sampled_from(["", *sorted(SORT_FIELDS)]))
    descending, few = data.draw(st.booleans()), data.draw(st.sampled_from([0, 3, 5000]))
    size = data.draw(st.sampled_from([1, 7, 100]))
    tested = data.draw(st.sampled_from(TESTS))
    expected = [
        row
        for row in filtered(world.rows, criteria, world.known)
        if accounts is None or row.account in accounts
    ]
    search = FindingSearch(criteria, accounts, sort, descending)
    found = world.search(search, size, few, tested)
    assert sorted(ids(found)) == ids(expected)
    assert len(set(ids(found))) == len(found)


@pytest.mark.slow
@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize(("few", "tested"), [(0, ()), (5000, ()), (0, (8, 60))])
@pytest.mark.parametrize("sort", sorted(SORT_FIELDS))
def test_findings_are_sorted_by_every_field(
    filled: list[SearchedStore], sort: str, few: int, tested: Sequence[int], descending: bool
) -> None:
    world = filled[0]
    found = world.search(FindingSearch(None, ACCOUNTS, sort, descending), 13, few, tested)
    keys = [KEYS[sort](row) for row in found] if sort in KEYS else []
    assert keys == sorted(keys, reverse=descending)
    assert sorted(ids(found)) == ids(world.rows)


KEYS: dict[str, Callable[[FindingRow], Any]] = {
    "AWS_ACCOUNT_ID": lambda row: row.account,
    "SEVERITY": lambda row: row.finding.severity.rank,
    "FINDING_STATUS": lambda row: row.status.value,
    "FIRST_OBSERVED_AT": lambda row: row.first_observed,
    "VULNERABILITY_ID": lambda row: getattr(row.finding, "vulnerability", ""),
    "INSPECTOR_SCORE": lambda row: -1 if row.finding.score is None else row.finding.score,
    "EPSS_SCORE": lambda row: -1 if (epss := getattr(row.finding, "epss", None)) is None else epss,
}


@pytest.mark.parametrize("sort", ["", "SEVERITY", "FIRST_OBSERVED_AT"])
def test_findings_that_come_and_go_between_pages_move_no_other(store: Store, sort: str) -> None:
    fill(store, 3)
    before = all_rows(store)
    search = FindingSearch(None, None, sort, descending=True)
    found, after = [], None
    closed = 0
    while True:
        page = store.found_findings.page(search, 10, after)
        found += ids(page.rows)
        after = page.position
        if after is None:
            break
        if closed < 3:
            store.findings.close_instances(ACCOUNTS[0], [before[0].instance])
            fill(store, 10 + closed, 15)
            closed += 1
    assert len(found) == len(set(found))
    assert set(ids(before)) <= set(found)


def test_a_position_of_another_search_is_refused(store: Store) -> None:
    fill(store, 3)
    page = store.found_findings.page(FindingSearch(sort="SEVERITY"), 1)
    with pytest.raises(ValueError, match="another search"):
        store.found_findings.page(FindingSearch(), 1, page.position)


@pytest.mark.parametrize(
    ("sort", "value"),
    [
        ("SEVERITY", "HIGH"),
        ("SEVERITY", 1 << 40),
        ("SEVERITY", True),
        ("EPSS_SCORE", "0.5"),
        ("EPSS_SCORE", 10**400),
        ("FIRST_OBSERVED_AT", 5),
        ("FIRST_OBSERVED_AT", "yesterday"),
        ("FIRST_OBSERVED_AT", "0001-01-01T00:00:00+23:00"),
        ("VULNERABILITY_ID", None),
        ("AWS_ACCOUNT_ID", "1\0"),
        ("AWS_ACCOUNT_ID", "\ud800"),
        ("AWS_ACCOUNT_ID", ["1"]),
    ],
)
def test_a_position_with_a_value_of_another_type_is_refused(
    store: Store, sort: str, value: object
) -> None:
    fill(store, 3)
    search = FindingSearch(sort=sort)
    position = store.found_findings.page(search, 1).position
    assert position is not None
    key = position["key"]
    assert isinstance(key, list)
    with pytest.raises(ValueError, match=r"."):
        store.found_findings.page(search, 1, {"key": [value, *key[1:]]})
    with pytest.raises(ValueError, match="another search"):
        store.found_findings.page(search, 1, {"key": [*key[:-1], 1 << 63]})


def test_a_page_costs_the_same_statements_whatever_its_size(store: Store) -> None:
    fill(store, 3)
    database = Database(store.where)
    statements: list[str] = []
    event.listen(
        database.engine, "before_cursor_execute",
        lambda *args: statements.append(str(args[2])),
    )  # fmt: skip
    found = FoundFindings(database)
    counts = []
    for size in (1, 100):
        statements.clear()
        found.page(
            FindingSearch(parse({"severity": [{"comparison": "EQUALS", "value": "HIGH"}]})), size
        )
        counts.append(sum("set_config" not in statement for statement in statements))
    database.close()
    assert max(counts) <= 8


def test_postgresql_compiles_no_statement_of_a_page(store: Store) -> None:
    database = Database(store.where)
    if database.engine.dialect.name == "postgresql":
        with database.read() as connection:
            assert connection.exec_driver_sql("SHOW jit").scalar_one() == "off"
    database.close()


def test_the_instances_of_a_page_come_with_it(store: Store) -> None:
    fill(store, 3)
    page = store.found_findings.page(FindingSearch(), 100)
    known = {(row.account, row.instance) for row in page.rows}
    assert set(page.instances) <= known
    assert page.instances
    assert {row.status for row in page.rows} == set(FindingStatus)


@pytest.mark.slow
def test_every_criterion_agrees_on_each_database(store: Store) -> None:
    machines = {(m.account, m.id): m for m in fill(store, 4, covers=True)}
    rows = all_rows(store)
    known = machines.get
    values = values_of(rows, lambda account, instance: known((account, instance)))
    for criteria in single_criteria(values):
        parsed = parse(criteria)
        expected = filtered(rows, parsed, lambda account, instance: known((account, instance)))
        for few, tested in ((0, ()), (5000, ()), (0, (8, 60))):
            store.found_findings.few, store.found_findings.tested = few, tested
            page = store.found_findings.page(FindingSearch(parsed, sort="SEVERITY"), 1000)
            assert sorted(ids(page.rows)) == ids(expected), criteria


def single_criteria(values: dict[str, set[object]]) -> Iterator[dict[str, object]]:
    """One criterion of each comparison, for every criterion of texts and for the others."""
    for name, (kind, _) in FIELDS.items():
        if kind == "string":
            text = min((str(value) for value in values.get(name, ()) if value), default="x")
            for comparison in COMPARISONS:
                shown = text[: max(1, len(text) // 2)] if comparison == "PREFIX" else text
                yield {name: [{"comparison": comparison, "value": shown}]}
        elif kind == "number":
            yield {name: [{"lowerInclusive": 0.25, "upperInclusive": 6.0}]}
            yield {name: [{"upperInclusive": 0.0}, {"lowerInclusive": 9.0}]}
        elif kind == "date":
            later = (START + timedelta(hours=3)).timestamp()
            yield {name: [{"startInclusive": START.timestamp(), "endInclusive": later}]}
        elif kind == "map":
            yield {name: [{"comparison": "EQUALS", "key": "env", "value": "prod"}]}
            yield {name: [{"comparison": "EQUALS", "key": "env"}], "ec2InstanceVpcId": [
                {"comparison": "NOT_EQUALS", "value": "vpc-1"}]}  # fmt: skip
        elif kind == "package":
            for comparison in COMPARISONS:
                test = {"comparison": comparison, "value": "openssl"}
                yield {name: [{"name": test, "epoch": {"lowerInclusive": 0}}]}
        else:
            yield {name: [{"beginInclusive": 22, "endInclusive": 22}]}
