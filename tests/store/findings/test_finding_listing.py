"""Findings come page by page in every order, and each document is decoded once."""

from __future__ import annotations

import shutil
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from sqlalchemy.pool import QueuePool

from sidelight.model import FindingStatus, FindingType, Severity
from sidelight.store import LISTING_ORDERS, ListedFindings, Store
from sidelight.store.base.engine import Database
from sidelight.store.findings import finding_documents, finding_listing
from sidelight.store.findings.finding_listing import FindingListing
from tests.fixtures.stored_findings import (
    ACCOUNT,
    REGION,
    FakeAdvisory,
    inventory,
    package,
    scanned,
)
from tests.fixtures.stored_findings import Database as Fake

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from sidelight.model import FindingRow

MACHINES = [f"i-{number}" for number in range(7)]
LEVELS = (Severity.LOW, Severity.CRITICAL, Severity.HIGH)


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of seven machines with nine findings each; tests work on copies of it."""
    path = tmp_path_factory.mktemp("listing") / "store.db"
    says = {
        f"p{number}": [FakeAdvisory(f"CVE-2026-{number % 4}{number}", severity=LEVELS[number % 3])]
        for number in range(9)
    }
    with Store(f"sqlite:///{path}") as store:
        store.migrate()
        for machine in MACHINES:
            scanned(store, Fake(says), inventory(*map(package, says)), machine)
    return path


@pytest.fixture
def store(filled: Path, tmp_path: Path) -> Iterator[Store]:
    with Store(f"sqlite:///{shutil.copy(filled, tmp_path)}") as store:
        yield store


def listed(store: Store, wanted: ListedFindings, order: str = "severity") -> list[FindingRow]:
    return [row for page in store.finding_listing.pages(wanted, order) for row in page]


KEYS: dict[str, Callable[[FindingRow], tuple[object, ...]]] = {
    "severity": lambda _: (),
    "score": lambda row: (-(row.finding.score or 0.0),),
    "vulnerability": lambda row: (row.package_finding.vulnerability,),
    "package": lambda row: (row.package_finding.package.name, row.package_finding.package.version),
    "instance": lambda row: (row.account, row.instance),
}


@pytest.mark.parametrize("order", LISTING_ORDERS)
@pytest.mark.parametrize("page", [1, 4, 500])
def test_an_order_is_that_of_a_sort_of_all_findings(
    store: Store, order: str, page: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finding_listing, "PAGE", page)
    found = listed(store, ListedFindings(), order)
    every = sorted(
        store.findings.rows(),
        key=lambda row: (*KEYS[order](row), -row.finding.severity.rank, row.instance, row.id),
    )
    assert len(found) == 63
    assert found == every


def test_pages_are_bounded(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finding_listing, "PAGE", 4)
    sizes = [len(page) for page in store.finding_listing.pages(ListedFindings())]
    assert max(sizes) == 4
    assert sum(sizes) == 63


@pytest.mark.parametrize("order", LISTING_ORDERS)
def test_a_listing_that_waits_for_its_reader_holds_no_connection(store: Store, order: str) -> None:
    with closing(Database(store.where)) as database:
        pages = FindingListing(database).pages(ListedFindings(), order)
        assert next(pages)
        pool = database.engine.pool
        assert isinstance(pool, QueuePool)
        assert pool.checkedout() == 0


def test_each_document_is_decoded_once(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finding_listing, "PAGE", 2)
    load, decoded = finding_documents.load_finding, []

    def counted(kind: str, document: str) -> object:
        decoded.append(document)
        return load(kind, document)

    monkeypatch.setattr(finding_listing, "load_finding", counted)
    assert len(listed(store, ListedFindings())) == 63
    assert len(decoded) == len(set(decoded)) == 9


def test_with_few_kept_documents_the_findings_are_the_same(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = listed(store, ListedFindings(), "instance")
    monkeypatch.setattr(finding_listing, "MOST_DOCUMENTS", 2)
    assert listed(store, ListedFindings(), "instance") == whole


@pytest.mark.parametrize(
    ("wanted", "count"),
    [
        (ListedFindings(instances=("i-1", "i-3")), 18),
        (ListedFindings(severities=(Severity.HIGH,)), 21),
        (ListedFindings(severities=(Severity.HIGH, Severity.LOW), instances=("i-2",)), 6),
        (ListedFindings(account=ACCOUNT, region=REGION), 63),
        (ListedFindings(account="1"), 0),
        (ListedFindings(region="mars-1"), 0),
        (ListedFindings(status=FindingStatus.CLOSED), 0),
        (ListedFindings(status=None), 63),
        (ListedFindings(kind=FindingType.NETWORK_REACHABILITY), 0),
    ],
)
def test_a_choice_is_listed_and_counted_alike(
    store: Store, wanted: ListedFindings, count: int
) -> None:
    for order in LISTING_ORDERS:
        found = listed(store, wanted, order)
        assert len(found) == count
    tally = store.finding_listing.tally(wanted)
    assert sum(tally.severities.values()) == count
    assert tally.instances == len({row.instance for row in found})
    assert store.finding_listing.places(wanted) == ([(ACCOUNT, REGION)] if count else [])


def test_what_is_deleted_between_two_pages_is_left_out(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finding_listing, "PAGE", 10)
    pages = store.finding_listing.pages(ListedFindings())
    first = next(pages)
    store.findings.close_instances(ACCOUNT, MACHINES)
    rest = [row for page in pages for row in page]
    assert len(first) == 10
    assert all(row.status is FindingStatus.CLOSED for row in rest)
