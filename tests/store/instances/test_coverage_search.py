"""Searching coverage: every criterion against a plain reading of it, pages and counts."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from sidelight.model import Coverage, ScanType
from sidelight.store import CoverageSearch, Store
from tests.fixtures.searched_findings import ACCOUNTS, START, fill

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sidelight.model import Instance

REASONS = {"PARTIAL": "DEEP_INSPECTION_NO_INVENTORY"}


@pytest.fixture
def machines(store: Store) -> dict[tuple[str, str], Instance]:
    known = fill(store, 5, 10)
    rows = []
    for number, machine in enumerate(known):
        ended = number % 4 == 3
        rows.append(
            Coverage(
                machine.account, machine.region, machine.id, f"vm-{number}",
                "INACTIVE" if ended else "ACTIVE",
                "EC2_INSTANCE_STOPPED" if ended else ("SUCCESSFUL", "PARTIAL")[number % 2],
                scanned_at=None if ended else START + timedelta(hours=number),
            )
        )  # fmt: skip
        rows.append(
            Coverage(
                machine.account, machine.region, machine.id, "", "ACTIVE", "PENDING_INITIAL_SCAN",
                scan_mode="", scan_type="NETWORK", scanned_at=None,
            )
        )  # fmt: skip
    store.instances.cover(rows)
    return {(machine.account, machine.id): machine for machine in known}


LATER = START + timedelta(hours=3)
CASES: list[tuple[dict[str, list[dict[str, object]]], Callable[..., bool]]] = [
    ({}, lambda *_: True),
    (
        {"scanStatusCode": [{"comparison": "EQUALS", "value": "ACTIVE"}]},
        lambda row, _: row.status_code == "ACTIVE",
    ),
    (
        {"scanStatusReason": [{"comparison": "EQUALS", "value": REASONS["PARTIAL"]}]},
        lambda row, _: row.reason == "PARTIAL",
    ),
    (
        {"scanStatusReason": [{"comparison": "NOT_EQUALS", "value": "SUCCESSFUL"},
                              {"comparison": "NOT_EQUALS", "value": "EC2_INSTANCE_STOPPED"}]},
        lambda row, _: row.reason not in ("SUCCESSFUL", "EC2_INSTANCE_STOPPED"),
    ),
    (
        {"accountId": [{"comparison": "EQUALS", "value": ACCOUNTS[0]},
                       {"comparison": "EQUALS", "value": ACCOUNTS[1]}],
         "scanType": [{"comparison": "EQUALS", "value": "PACKAGE"}]},
        lambda row, _: row.account in ACCOUNTS[:2] and row.scan_type == "PACKAGE",
    ),
    (
        {"resourceId": [{"comparison": "NOT_EQUALS", "value": f"i-{0:017x}"}]},
        lambda row, _: row.instance != f"i-{0:017x}",
    ),
    (
        {"scanMode": [{"comparison": "EQUALS", "value": "EC2_AGENTLESS"}]},
        lambda row, _: row.scan_mode == "EC2_AGENTLESS",
    ),
    (
        {"cloudProviderRegion": [{"comparison": "EQUALS", "value": "us-east-1"}],
         "cloudProvider": [{"comparison": "EQUALS", "value": "AWS"}],
         "resourceType": [{"comparison": "NOT_EQUALS", "value": "AWS_ECR_REPOSITORY"}]},
        lambda row, _: row.region == "us-east-1",
    ),
    (
        {"lastScannedAt": [{"startInclusive": LATER}]},
        lambda row, _: row.scanned_at is not None and row.scanned_at >= LATER,
    ),
    (
        {"lastScannedAt": [{"endInclusive": START}, {"startInclusive": LATER,
                                                    "endInclusive": LATER}]},
        lambda row, _: row.scanned_at in (START, LATER),
    ),
    (
        {"ec2InstanceTags": [{"comparison": "EQUALS", "key": "env", "value": "prod"}]},
        lambda row, known: ("env", "prod") in known[row.account, row.instance].tags,
    ),
    (
        {"ec2InstanceTags": [{"comparison": "EQUALS", "key": "Team"}]},
        lambda row, known: "Team" in dict(known[row.account, row.instance].tags),
    ),
    ({"ecrRepositoryName": [{"comparison": "EQUALS", "value": "x"}]}, lambda *_: False),
    ({"ecrRepositoryName": [{"comparison": "NOT_EQUALS", "value": "x"}]}, lambda *_: True),
    ({"ecrImageInUseCount": [{"lowerInclusive": 0}]}, lambda *_: False),
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(("filters", "matches"), CASES)
def test_coverage_is_found_by_every_criterion(
    store: Store,
    machines: dict[tuple[str, str], Instance],
    filters: dict[str, list[dict[str, object]]],
    matches: Callable[..., bool],
) -> None:
    expected = {
        (row.account, row.instance, row.scan_type)
        for row in store.instances.coverage(None)
        if matches(row, machines)
    }
    search = CoverageSearch(filters, None, REASONS)
    found: list[tuple[str, str, str]] = []
    after: Mapping[str, object] | None = None
    while True:
        page = store.found_coverage.page(search, 3, after)
        found += [(row.account, row.instance, row.scan_type) for row in page.rows]
        assert {(row.account, row.instance) for row in page.rows} == set(page.instances)
        after = page.position
        if after is None:
            break
    assert set(found) == expected
    assert found == sorted(expected)
    assert sum(store.found_coverage.counts(search).values()) == len(expected)


def test_coverage_is_counted_by_every_key(
    store: Store, machines: dict[tuple[str, str], Instance]
) -> None:
    def counts(group: str) -> dict[str, int]:
        return store.found_coverage.counts(CoverageSearch(reasons=REASONS), group)

    count = len(machines)
    assert counts("") == {"": 2 * count}
    assert counts("RESOURCE_TYPE") == {"AWS_EC2_INSTANCE": 2 * count}
    assert counts("PROVIDER") == {"AWS": 2 * count}
    assert counts("SCAN_STATUS_CODE") == {"ACTIVE": 18, "INACTIVE": 2}
    assert counts("SCAN_STATUS_REASON") == {
        "DEEP_INSPECTION_NO_INVENTORY": 3, "EC2_INSTANCE_STOPPED": 2, "PENDING_INITIAL_SCAN": 10,
        "SUCCESSFUL": 5,
    }  # fmt: skip
    assert set(counts("ACCOUNT_ID")) == set(counts("PROVIDER_ACCOUNT_ID")) == set(ACCOUNTS)
    assert set(counts("PROVIDER_REGION")) == {"eu-west-1", "us-east-1"}
    assert counts("ECR_REPOSITORY_NAME") == counts("PROVIDER_ORG_ID") == {}


def test_coverage_of_other_accounts_is_not_found(
    store: Store, machines: dict[tuple[str, str], Instance]
) -> None:
    search = CoverageSearch(accounts=ACCOUNTS[:1])
    page = store.found_coverage.page(search, 100)
    assert {row.account for row in page.rows} == {ACCOUNTS[0]}
    assert set(store.found_coverage.counts(search, "ACCOUNT_ID")) == {ACCOUNTS[0]}
    assert store.found_coverage.page(CoverageSearch(accounts=()), 100).rows == []
    assert machines


def test_a_page_has_the_time_and_reason_as_the_listing(
    store: Store, machines: dict[tuple[str, str], Instance]
) -> None:
    page = store.found_coverage.page(CoverageSearch(), 100)
    listed = {(r.account, r.instance, r.scan_type): r for r in store.instances.coverage(None)}
    assert {(r.account, r.instance, r.scan_type): r for r in page.rows} == listed
    assert ScanType.NETWORK in {row.scan_type for row in page.rows}
    assert machines


@pytest.mark.parametrize("key", [[1], ["1", "2", 3], ["1", "2", "\0"], "123"])
def test_a_position_of_another_search_is_refused(store: Store, key: object) -> None:
    with pytest.raises(ValueError, match="another search"):
        store.found_coverage.page(CoverageSearch(), 1, {"key": key})


def texts(store: Store, text: str, accounts: frozenset[str] | None = None) -> set[str]:
    search = CoverageSearch({}, accounts, text=text)
    return {row.instance for row in store.found_coverage.page(search, 100).rows}


@pytest.mark.parametrize("kind", ["public_ipv4", "private_ipv4", "ipv6_addresses"])
def test_an_address_finds_the_instances_that_have_it(
    store: Store, machines: dict[tuple[str, str], Instance], kind: str
) -> None:
    for machine in machines.values():
        for address in getattr(machine, kind):
            having = {m.id for m in machines.values() if address in getattr(m, kind)}
            assert texts(store, address) == having


def test_an_address_is_found_in_any_of_its_texts_and_not_in_a_part(
    store: Store, machines: dict[tuple[str, str], Instance]
) -> None:
    all_ids = {machine.id for machine in machines.values()}
    assert texts(store, "2001:0DB8:0:0:0:0:0:1") == all_ids
    assert texts(store, "2001:db8::") == set()
    assert texts(store, "10.0.0") == set()
    assert texts(store, "2001:db8::1", frozenset()) == set(), "accounts bound it"


def test_an_address_that_an_instance_lost_finds_it_no_more(
    store: Store, machines: dict[tuple[str, str], Instance]
) -> None:
    machine = next(iter(machines.values()))
    moved = replace(machine, private_ipv4=("10.9.9.9",))
    store.instances.discovered(machine.account, machine.region, [moved])
    assert texts(store, "10.9.9.9") == {machine.id}
    assert machine.id not in texts(store, machine.private_ipv4[0])
