"""Kept counts: they agree with the findings after every change, folded or not."""

from __future__ import annotations

import json
import random
import tempfile
import threading
from collections import Counter
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from alembic import command
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, func, select, text, update

from sidelight.model import (
    AccountConfiguration,
    AccountStatus,
    FindingStatus,
    FindingType,
    Severity,
    Status,
    SuppressionRule,
)
from sidelight.store import AGGREGATION_KEYS, FindingAggregation, Store
from sidelight.store.base.engine import Database as StoreDatabase
from sidelight.store.base.schema import (
    count_changes,
    detail_counts,
    finding_terms,
    findings,
    instance_counts,
)
from sidelight.store.findings.active_counts import (
    COUNTS,
    are_kept,
    counting_instances,
    of_details,
    of_instances,
)
from sidelight.store.migrate import _config
from tests.fakes.clocks import Clock
from tests.fixtures.searched_findings import fill
from tests.fixtures.store_templates import lay
from tests.fixtures.stored_findings import (
    ACCOUNT,
    Database,
    FakeAdvisory,
    inventory,
    package,
    reevaluated,
    scanned,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

NAMES = ("openssl", "zlib", "curl")
HIGH = json.dumps({"severity": [{"comparison": "EQUALS", "value": "HIGH"}]})
KINDS = ("ACCOUNT", "AWS_EC2_INSTANCE", "PACKAGE", "TITLE")
Groups = dict[tuple[str, ...], tuple[Counter[Severity], int, int]]


def expected(store: Store, kind: str) -> Groups:
    """Groups that are counted from all findings, by hand."""
    groups: Groups = {}
    for row in store.findings.rows():
        package_name = getattr(getattr(row.finding, "package", None), "name", "")
        if kind == "PACKAGE" and not package_name:
            continue
        values = {
            "account": row.account,
            "instance": row.instance,
            "package": package_name.replace("\udcff", "\\udcff"),
            "title": row.finding.headline.replace("\udcff", "\\udcff"),
            "vulnerability": getattr(row.finding, "vulnerability", ""),
        }
        key = tuple(values[name] for name in AGGREGATION_KEYS[kind])
        severities, fixable, network = groups.get(key, (Counter(), 0, 0))
        severities[row.finding.severity] += 1
        groups[key] = (
            severities,
            fixable + (row.finding.fix_available == "YES"),
            network + (row.finding.type is FindingType.NETWORK_REACHABILITY),
        )
    return groups


def counted(store: Store, kind: str) -> Groups:
    groups: Groups = {}
    after: Mapping[str, object] | None = None
    while True:
        page = store.aggregations.page(FindingAggregation(kind), 50, after)
        for group in page.groups:
            severities = +Counter(dict(group.severities))
            groups[tuple(group.keys.values())] = severities, group.fixable, group.network
        after = page.position
        if after is None:
            return groups


def assert_counts_agree(store: Store) -> None:
    for kind in KINDS:
        assert counted(store, kind) == expected(store, kind), kind


def unfolded(store: Store) -> int:
    database = StoreDatabase(store.where)
    with database.read() as connection:
        number = connection.execute(select(func.count()).select_from(count_changes)).scalar_one()
    database.close()
    return int(number)


def fold(store: Store) -> None:
    while store.kept_counts.fold():
        pass


instances = st.sampled_from(("i-1", "i-2", "i-3"))
changes = st.one_of(
    st.tuples(
        st.just("scan"), instances, st.frozensets(st.sampled_from(NAMES)),
        st.sampled_from((Status.COMPLETE, Status.PARTIAL)),
    ),
    st.tuples(
        st.just("advise"), st.frozensets(st.sampled_from(NAMES)),
        st.sampled_from((Severity.HIGH, Severity.CRITICAL)),
    ),
    st.tuples(st.just("suppress")),
    st.tuples(st.just("unsuppress")),
    st.tuples(st.just("close"), instances),
    st.tuples(st.just("wait"), st.sampled_from((1, 8, 31))),
    st.tuples(st.just("disable")),
    st.tuples(st.just("retain")),
    st.tuples(st.just("fold"), st.sampled_from((1, 3, 1000))),
    st.tuples(st.just("recount")),
)  # fmt: skip


class Changed:
    """A store that a list of changes is applied to."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self.store, self.clock = store, clock
        self.advisories = Database({name: [FakeAdvisory("CVE-2026-1")] for name in NAMES})

    def apply(self, name: str, *values: object) -> None:
        getattr(self, name)(*values)

    def scan(self, instance: str, names: frozenset[str], status: Status) -> None:
        # What is scanned is of an enabled account: no scan begins in another.
        enabled = AccountConfiguration(ACCOUNT, status=AccountStatus.ENABLED)
        self.store.configurations.change(ACCOUNT, lambda _: enabled)
        packages = [package(name) for name in sorted(names)]
        scanned(self.store, self.advisories, inventory(*packages, status=status), instance)

    def advise(self, names: frozenset[str], severity: Severity) -> None:
        advisories = {name: [FakeAdvisory("CVE-2026-1", severity=severity)] for name in names}
        self.advisories = Database(advisories)
        reevaluated(self.store, self.advisories)

    def suppress(self) -> None:
        self.store.suppression_rules.save(SuppressionRule("high", HIGH))

    def unsuppress(self) -> None:
        self.store.suppression_rules.remove("high")

    def close(self, instance: str) -> None:
        self.store.findings.close_instances(ACCOUNT, [instance])

    def wait(self, days: int) -> None:
        self.clock.advance(timedelta(days=days).total_seconds())

    def disable(self) -> None:
        now = self.store.clock()
        disabled = AccountConfiguration(ACCOUNT, status=AccountStatus.DISABLED, disabled_at=now)
        self.store.configurations.change(ACCOUNT, lambda _: disabled)

    def retain(self) -> None:
        self.store.retention.run()

    def fold(self, limit: int) -> None:
        self.store.kept_counts.fold(limit)

    def recount(self) -> None:
        self.store.kept_counts.recount()


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(st.lists(changes, max_size=12))
def test_counts_agree_with_findings_after_any_changes(steps: list[tuple[object, ...]]) -> None:
    clock = Clock()
    with tempfile.TemporaryDirectory() as directory:
        url = f"sqlite:///{Path(directory)}/store.db"
        lay(url)
        with Store(url, clock=clock) as store:
            changed = Changed(store, clock)
            for name, *values in steps:
                changed.apply(str(name), *values)
                assert_counts_agree(store)
            fold(store)
            assert_counts_agree(store)


@pytest.mark.parametrize("folds", [False, True])
def test_counts_agree_through_the_life_of_findings(store: Store, clock: Clock, folds: bool) -> None:
    changed = Changed(store, clock)
    steps: list[tuple[object, ...]] = [
        ("scan", "i-1", frozenset(NAMES), Status.COMPLETE),
        ("scan", "i-2", frozenset(NAMES), Status.COMPLETE),
        ("suppress",),
        ("advise", frozenset(NAMES), Severity.CRITICAL),
        ("unsuppress",),
        ("advise", frozenset(NAMES[:1]), Severity.HIGH),
        ("scan", "i-1", frozenset(NAMES[:1]), Status.COMPLETE),
        ("close", "i-2"),
        ("scan", "i-2", frozenset(NAMES), Status.COMPLETE),
        ("wait", 31),
        ("retain",),
        ("disable",),
        ("wait", 2),
        ("retain",),
    ]
    seen = set()
    for name, *values in steps:
        changed.apply(str(name), *values)
        seen.add(sum(sum(group[0].values()) for group in expected(store, "ACCOUNT").values()))
        assert_counts_agree(store)
        if folds:
            fold(store)
            assert unfolded(store) == 0
            assert_counts_agree(store)
    assert len(seen) > 3
    assert 0 in seen


def test_findings_written_and_deleted_outside_of_scans_are_counted(store: Store) -> None:
    fill(store, 3)
    assert_counts_agree(store)
    fold(store)
    assert_counts_agree(store)
    database = StoreDatabase(store.where)
    with database.write() as connection:
        connection.execute(delete(findings).where(findings.c.id % 3 == 0))
        connection.execute(
            update(findings).where(findings.c.id % 3 == 1).values(status=FindingStatus.ACTIVE.value)
        )
    database.close()
    assert_counts_agree(store)
    store.kept_counts.fold(5)
    assert_counts_agree(store)


def test_a_change_of_terms_that_counts_alike_records_no_change(store: Store) -> None:
    database = Database({"openssl": [FakeAdvisory("CVE-2026-1", epss=0.1)]})
    scanned(store, database, inventory(package("openssl")))
    fold(store)
    reevaluated(store, Database({"openssl": [FakeAdvisory("CVE-2026-1", epss=0.2)]}))
    assert unfolded(store) == 0
    reevaluated(store, Database({"openssl": [FakeAdvisory("CVE-2026-1", severity=Severity.LOW)]}))
    assert unfolded(store) > 0
    assert_counts_agree(store)


def test_wrong_counts_are_repaired_by_counting_again(store: Store) -> None:
    fill(store, 4)
    fold(store)
    database = StoreDatabase(store.where)
    with database.write() as connection:
        connection.execute(update(instance_counts).values(high=77))
        connection.execute(delete(detail_counts))
    assert counted(store, "ACCOUNT") != expected(store, "ACCOUNT")
    store.kept_counts.recount()
    assert_counts_agree(store)
    database.close()


def test_a_store_with_findings_is_counted_after_its_upgrade(store: Store) -> None:
    fill(store, 5)
    database = StoreDatabase(store.where)
    for revision in ("0028", "head"):
        with database.write() as connection:
            config = _config()
            config.attributes["connection"] = connection
            move = command.upgrade if revision == "head" else command.downgrade
            move(config, revision)
    with database.read() as connection:
        assert not are_kept(connection)
    assert_counts_agree(store)
    store.kept_counts.fold()
    with database.read() as connection:
        assert are_kept(connection)
    database.close()
    assert_counts_agree(store)


@pytest.mark.services
def test_counts_agree_where_processes_write_and_count_at_once(
    make_postgresql: Callable[[], str],
) -> None:
    url = make_postgresql()
    with Store(url) as store:
        store.migrate()
        fill(store, 6, 400)
        done = threading.Event()
        failures: list[BaseException] = []

        def guarded(work: Callable[[], object]) -> None:
            try:
                while not done.is_set():
                    work()
            except BaseException as error:  # noqa: BLE001 - the test raises it
                failures.append(error)

        database = StoreDatabase(url)
        draw = random.Random(1)

        def turn_findings() -> None:
            status = draw.choice([FindingStatus.ACTIVE, FindingStatus.SUPPRESSED]).value
            some = (findings.c.id % 7 == draw.randrange(7)) & (findings.c.status != "CLOSED")
            with database.write() as connection:
                connection.execute(update(findings).where(some).values(status=status))

        def turn_terms() -> None:
            severity = draw.choice([Severity.HIGH, Severity.CRITICAL]).value
            some = finding_terms.c.detail % 5 == draw.randrange(5)
            with database.write() as connection:
                connection.execute(update(finding_terms).where(some).values(severity=severity))

        works = (turn_findings, turn_terms, partial(store.kept_counts.fold, 100))
        threads = [threading.Thread(target=guarded, args=(work,)) for work in works]
        for thread in threads:
            thread.start()
        for _ in range(40):
            assert_counts_consistent(database)
        done.set()
        for thread in threads:
            thread.join()
        assert not failures
        assert_counts_consistent(database)
        fold(store)
        assert unfolded(store) == 0
        assert_counts_consistent(database)
        database.close()


def assert_counts_consistent(database: StoreDatabase) -> None:
    """Compare kept counts with those of findings, in one view of the store."""
    with database.read() as connection:
        connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
        kept, by_detail = of_instances(), of_details()
        names = ("account", "instance", "type", *COUNTS)
        rows = connection.execute(select(*(kept.c[name] for name in names)))
        live = counting_instances(findings).subquery("live")
        expected_rows = connection.execute(select(*(live.c[name] for name in names)))
        assert sorted(map(tuple, rows)) == sorted(map(tuple, expected_rows))
        total = func.sum(by_detail.c.active)
        keys = by_detail.c.account, by_detail.c.detail
        numbers = connection.execute(select(*keys, total).group_by(*keys).having(total != 0))
        active = (
            select(findings.c.account, findings.c.detail, func.count())
            .where(findings.c.status == FindingStatus.ACTIVE.value)
            .group_by(findings.c.account, findings.c.detail)
        )
        assert sorted(map(tuple, numbers)) == sorted(map(tuple, connection.execute(active)))
