"""Work on one instance reads as much in a fleet of four times as many findings.

SQLite keeps no statistics here: it may take an index of a column that nearly all findings share
(status, type, Region) for as good as that of the instance.
"""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Final

import pytest

from benchmarks.drawn_store import fill
from benchmarks.query_costs import cost
from sidelight.model import FindingStatus, FindingType, Severity
from sidelight.store import LISTING_ORDERS, ListedFindings, Store
from tests.fixtures.store_templates import lay
from tests.fixtures.stored_findings import (
    ACCOUNT,
    FakeAdvisory,
    inventory,
    package,
    scanned,
)
from tests.fixtures.stored_findings import Database as Fake

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SMALL, LARGE = 1_500, 6_000
# Steps of SQLite's virtual machine, of 100: depths of indexes, and groups without a finding of it.
SPARE = 2_000
ID = f"i-{7:017x}"
NAMES = [f"package-{number}" for number in range(40)]
_machines = count()


def a_machine() -> str:
    return f"i-new-{next(_machines)}"


def first_page(order: str, wanted: ListedFindings) -> Callable[[Store], object]:
    return lambda store: next(store.finding_listing.pages(wanted, order), None)


def scan(store: Store) -> None:
    says = {name: [FakeAdvisory(f"CVE-2026-{name}", severity=Severity.HIGH)] for name in NAMES}
    scanned(store, Fake(says), inventory(*map(package, NAMES)), a_machine())


def fold(store: Store) -> None:
    store.kept_counts.fold()


WORK: Final[dict[str, Callable[[Store], object]]] = {
    "list by instance": first_page("instance", ListedFindings()),
    "list by instance in a Region": first_page("instance", ListedFindings(region="eu-west-1")),
    "list by instance, all statuses": first_page("instance", ListedFindings(status=None)),
    **{
        f"list one instance by {order}": first_page(order, ListedFindings(instances=(ID,)))
        for order in LISTING_ORDERS
    },
    "list one instance of a type": first_page(
        "severity", ListedFindings(instances=(ID,), kind=FindingType.PACKAGE_VULNERABILITY)
    ),
    "places of one instance": lambda store: store.finding_listing.places(
        ListedFindings(instances=(ID,))
    ),
    "active findings of one instance": lambda store: list(
        store.findings.rows(
            instance=ID, status=FindingStatus.ACTIVE, kind=FindingType.PACKAGE_VULNERABILITY
        )
    ),
    "exposure of one instance": lambda store: store.exposures.update(ACCOUNT, [ID]),
    "a first scan": scan,
    "fold its counts": fold,
}


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[int, Store]]:
    filled = {}
    for findings in (SMALL, LARGE):
        url = f"sqlite:///{tmp_path_factory.mktemp('costs')}/store.db"
        lay(url)
        fill(url, findings, findings // 30, 150)
        filled[findings] = Store(url)
    yield filled
    for store in filled.values():
        store.close()


@pytest.mark.parametrize("name", WORK)
def test_other_instances_cost_the_work_on_one_nothing(stores: dict[int, Store], name: str) -> None:
    steps = {}
    for size, store in stores.items():
        if name == "fold its counts":
            fold(store)
            scan(store)
        run = WORK[name]
        steps[size] = cost(store._database, lambda: run(store)).steps  # noqa: B023
    assert steps[LARGE] <= steps[SMALL] + SPARE


def test_a_tally_of_active_findings_reads_a_row_an_instance(stores: dict[int, Store]) -> None:
    store = stores[LARGE]
    fold(store)
    tally = store.finding_listing.tally
    kept = cost(store._database, lambda: tally(ListedFindings())).steps
    read = cost(store._database, lambda: tally(ListedFindings(status=None))).steps
    assert kept < read / 4
