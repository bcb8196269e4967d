"""ListCoverage and ListCoverageStatistics."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from sidelight.model import Coverage
from sidelight.store import GROUP_KEYS
from tests.fixtures.api_calls import ApiCaller, service_model
from tests.fixtures.searched_findings import ACCOUNTS, fill

if TYPE_CHECKING:
    from sidelight.store import Store


@pytest.fixture
def caller(store: Store) -> ApiCaller:
    machines = fill(store, 8, 5, covers=True)
    reasons = ("SUCCESSFUL", "PARTIAL", "REGION_NOT_ENABLED", "EC2_INSTANCE_STOPPED")
    store.instances.cover(
        [
            Coverage(m.account, m.region, m.id, "", "ACTIVE", reasons[number % 4])
            for number, m in enumerate(machines)
        ]
    )
    return ApiCaller(store, ACCOUNTS[0], None)


def test_coverage_is_listed_page_by_page(caller: ApiCaller) -> None:
    pages = list(caller.pages("ListCoverage", "coveredResources", maxResults=4))
    rows = [row for page in pages for row in page]
    assert {len(page) for page in pages[:-1]} == {4}
    keys = {(row["accountId"], row["resourceId"], row["scanType"]) for row in rows}
    assert len(keys) == len(rows) == len(caller.store.instances.coverage(None))
    assert {row["scanStatus"]["reason"] for row in rows} == {
        "SUCCESSFUL", "DEEP_INSPECTION_NO_INVENTORY", "ACCESS_DENIED", "EC2_INSTANCE_STOPPED",
    }  # fmt: skip


def test_accounts_and_regions_that_could_not_be_listed_are_no_resources(caller: ApiCaller) -> None:
    before = caller.all("ListCoverage", "coveredResources")
    caller.store.instances.cover(
        [
            Coverage(ACCOUNTS[0], "", "*", "", "INACTIVE", "ACCESS_DENIED", "denied"),
            Coverage(ACCOUNTS[0], "eu-west-1", "eu-west-1:*", "", "INACTIVE", "INTERNAL_ERROR", ""),
        ]
    )

    assert caller.all("ListCoverage", "coveredResources") == before
    assert caller.call("ListCoverageStatistics")["totalCounts"] == len(before)


def test_a_partial_scan_is_found_by_the_reason_that_is_shown(caller: ApiCaller) -> None:
    reason = [{"comparison": "EQUALS", "value": "DEEP_INSPECTION_NO_INVENTORY"}]
    rows = caller.all(
        "ListCoverage", "coveredResources", filterCriteria={"scanStatusReason": reason}
    )
    assert rows
    assert {row["scanStatus"]["reason"] for row in rows} == {"DEEP_INSPECTION_NO_INVENTORY"}


@pytest.mark.parametrize("group", service_model().shape_for("GroupKey").enum)
def test_statistics_have_every_group_key(caller: ApiCaller, group: str) -> None:
    assert group in GROUP_KEYS
    total = len(caller.store.instances.coverage(None))
    counts = caller.all("ListCoverageStatistics", "countsByGroup", groupBy=group)
    assert caller.call("ListCoverageStatistics", groupBy=group)["totalCounts"] == total
    assert sum(count["count"] for count in counts) == (total if counts else 0)


def test_coverage_of_other_accounts_is_not_shown(caller: ApiCaller) -> None:
    alone = replace(caller, accounts=frozenset())
    rows = alone.all("ListCoverage", "coveredResources")
    assert {row["accountId"] for row in rows} == {ACCOUNTS[0]}
    counts = alone.all("ListCoverageStatistics", "countsByGroup", groupBy="ACCOUNT_ID")
    assert [count["groupKey"] for count in counts] == [ACCOUNTS[0]]
    assert alone.call("ListCoverageStatistics")["totalCounts"] == len(rows)
