"""Aggregations: counted from all findings by hand, page by page."""

from __future__ import annotations

from collections import Counter, defaultdict
from functools import partial
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import insert

from benchmarks.query_costs import plans
from sidelight.model import Finding, FindingStatus, OperatingSystem, Severity, platform_name
from sidelight.store import AGGREGATION_KEYS, FindingAggregation, FindingGroup, Store
from sidelight.store.base.engine import Database
from sidelight.store.base.schema import instance_platforms
from sidelight.store.findings.aggregations import Aggregations
from sidelight.store.maintenance.kept_counts import KeptCounts
from tests.fixtures.searched_findings import ACCOUNTS, all_rows, fill

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sidelight.model import FindingRow, Instance


@pytest.fixture
def machines(store: Store) -> dict[tuple[str, str], Instance]:
    known = {(machine.account, machine.id): machine for machine in fill(store, 6)}
    database = Database(store.where)
    with database.write() as connection:
        for number, (account, instance) in enumerate(known):
            values = {"account": account, "instance": instance}
            name = ("UBUNTU_22_04", "DEBIAN_12")[number % 2]
            connection.execute(insert(instance_platforms).values(platform=name, **values))
    database.close()
    return known


@pytest.mark.parametrize("kind", ["PACKAGE", "TITLE"])
def test_groups_of_a_whole_fleet_read_the_counts_once_and_not_by_an_index(
    store: Store, machines: dict[tuple[str, str], Instance], kind: str
) -> None:
    assert machines
    KeptCounts(database := Database(store.where)).recount()
    run = partial(Aggregations(database).page, FindingAggregation(kind, sort="ALL"), 1)
    if database.engine.dialect.name == "postgresql":
        _, first, *_ = plans(database, run, "EXPLAIN ")
        lines = [str(line) for line in first]
        assert not [line for line in lines if "Merge Join" in line or "pk_detail_counts" in line]
        assert sum(" on detail_counts" in line for line in lines) == 1
    database.close()


def pages(store: Store, wanted: FindingAggregation, size: int = 2) -> list[FindingGroup]:
    groups: list[FindingGroup] = []
    after: Mapping[str, object] | None = None
    while True:
        page = store.aggregations.page(wanted, size, after)
        groups += page.groups
        after = page.position
        if after is None:
            return groups


def keys_of(
    row: FindingRow, kind: str, machines: Mapping[tuple[str, str], Instance]
) -> tuple[str, ...]:
    machine = machines.get((row.account, row.instance))
    package = getattr(row.finding, "package", None)
    values = {
        "account": row.account,
        "instance": row.instance,
        "image": machine.image_id if machine else "",
        "package": package.name.replace("\udcff", "\\udcff") if package else "",
        "title": row.finding.headline.replace("\udcff", "\\udcff"),
        "vulnerability": getattr(row.finding, "vulnerability", ""),
    }
    return tuple(values[name] for name in AGGREGATION_KEYS[kind])


@pytest.mark.parametrize("kind", sorted(AGGREGATION_KEYS))
def test_active_findings_are_counted_in_every_group(
    store: Store, machines: dict[tuple[str, str], Instance], kind: str
) -> None:
    expected: dict[tuple[str, ...], Counter[Severity]] = defaultdict(Counter)
    for row in all_rows(store):
        keys = keys_of(row, kind, machines)
        needed = ("package", "image")
        known = all(k for n, k in zip(AGGREGATION_KEYS[kind], keys, strict=True) if n in needed)
        if row.status is FindingStatus.ACTIVE and known:
            expected[keys][row.finding.severity] += 1
    groups = pages(store, FindingAggregation(kind))
    assert len({tuple(group.keys.values()) for group in groups}) == len(groups)
    found = {tuple(group.keys.values()): Counter(group.severities) for group in groups}
    assert {key: +count for key, count in found.items()} == expected
    critical = [group.severities[Severity.CRITICAL] for group in groups]
    assert critical == sorted(critical, reverse=True)


def test_counts_beside_severities_are_of_active_findings(
    store: Store, machines: dict[tuple[str, str], Instance]
) -> None:
    rows = [row for row in all_rows(store) if row.status is FindingStatus.ACTIVE]
    groups = {group.keys["account"]: group for group in pages(store, FindingAggregation("ACCOUNT"))}
    for account in ACCOUNTS:
        of_it = [row.finding for row in rows if row.account == account]
        assert groups[account].exploitable == sum(
            isinstance(one, Finding) and one.exploit_available for one in of_it
        )
        assert groups[account].fixable == sum(one.fix_available == "YES" for one in of_it)
        assert groups[account].all == len(of_it)
    for group in pages(store, FindingAggregation("AMI")):
        of_image = {
            (row.instance, row.region) for row in rows
            if keys_of(row, "AMI", machines) == tuple(group.keys.values())
        }  # fmt: skip
        assert group.instances == len(of_image)
        assert group.region == min(region for _, region in of_image)


Test = list[tuple[str, str]]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "texts", "agrees"),
    [
        ("ACCOUNT", {"account": [("EQUALS", ACCOUNTS[0])]},
         lambda g: g.keys["account"] == ACCOUNTS[0]),
        ("PACKAGE", {"package": [("PREFIX", "open")]},
         lambda g: g.keys["package"].startswith("open")),
        ("TITLE", {"vulnerability": [("NOT_EQUALS", "CVE-2024-0000")]},
         lambda g: g.keys["vulnerability"] != "CVE-2024-0000"),
        ("TITLE", {"title": [("PREFIX", "CVE-2025")]},
         lambda g: g.keys["title"].startswith("CVE-2025")),
        ("AMI", {"image": [("EQUALS", "ami-0a1b2c3d")]},
         lambda g: g.keys["image"] == "ami-0a1b2c3d"),
        ("AWS_EC2_INSTANCE", {"platform": [("PREFIX", "UBUNTU")]},
         lambda g: g.platform == "UBUNTU_22_04"),
        ("AWS_EC2_INSTANCE", {"image": [("EQUALS", "ami-0b1c2d3e")]},
         lambda g: g.instance is not None and g.instance.image_id == "ami-0b1c2d3e"),
        ("VM_INSTANCE", {"region": [("EQUALS", "us-east-1")]}, lambda g: g.region == "us-east-1"),
        ("VM_INSTANCE", {"instance": [("EQUALS", f"i-{1:017x}"), ("EQUALS", f"i-{2:017x}")]},
         lambda g: g.keys["instance"] in (f"i-{1:017x}", f"i-{2:017x}")),
    ],
)  # fmt: skip
def test_groups_are_filtered(
    store: Store,
    machines: dict[tuple[str, str], Instance],
    kind: str,
    texts: dict[str, Test],
    agrees: Callable[[FindingGroup], bool],
) -> None:
    groups = pages(store, FindingAggregation(kind))
    filtered = pages(store, FindingAggregation(kind, texts=texts))
    assert filtered == [group for group in groups if agrees(group)]
    assert filtered
    assert machines


def test_groups_are_filtered_by_tags_and_accounts(
    store: Store, machines: dict[tuple[str, str], Instance]
) -> None:
    kind = "AWS_EC2_INSTANCE"
    groups = pages(store, FindingAggregation(kind, ACCOUNTS[:2], tags=[("env", "prod")]))
    assert {group.keys["instance"] for group in groups} == {
        row.instance
        for row in all_rows(store)
        if row.status is FindingStatus.ACTIVE
        and row.account in ACCOUNTS[:2]
        and (row.account, row.instance) in machines
        and ("env", "prod") in machines[row.account, row.instance].tags
    }
    assert pages(store, FindingAggregation(kind, ())) == []
    of_networks = pages(store, FindingAggregation(kind, finding_type="NETWORK_REACHABILITY"))
    assert of_networks
    assert all(group.network == group.all for group in of_networks)


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("sort", ["ALL", "HIGH", "CRITICAL", "NETWORK_FINDINGS"])
def test_groups_are_sorted_by_each_count(store: Store, sort: str, descending: bool) -> None:
    fill(store, 6)
    groups = pages(store, FindingAggregation("TITLE", sort=sort, descending=descending), 3)
    counts = [
        {"ALL": group.all, "NETWORK_FINDINGS": group.network}.get(sort)
        if sort not in Severity.__members__
        else group.severities[Severity[sort]]
        for group in groups
    ]
    assert counts == sorted(map(int, map(str, counts)), reverse=descending)


def test_a_type_without_findings_here_has_no_groups(store: Store) -> None:
    fill(store, 6)
    assert pages(store, FindingAggregation("IMAGE_LAYER")) == []


@pytest.mark.parametrize(
    ("os", "name"),
    [
        (OperatingSystem("ubuntu", "22.04"), "UBUNTU_22_04"),
        (OperatingSystem("amzn", "2"), "AMAZON_LINUX_2"),
        (OperatingSystem("amzn", "2023"), "AMAZON_LINUX_2023"),
        (OperatingSystem("debian", "12"), "DEBIAN_12"),
        (OperatingSystem("rhel", "9.4"), "REDHAT_9"),
        (OperatingSystem("bottlerocket", "1.20"), "BOTTLEROCKET"),
        (OperatingSystem(), ""),
        (OperatingSystem("é\n", "1"), "___1"),
    ],
)
def test_a_platform_has_inspectors_name(os: OperatingSystem, name: str) -> None:
    assert platform_name(os) == name
