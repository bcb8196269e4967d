"""Groups of findings by two levels; and what other pages show of settings and feeds."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from sidelight.advisories import build
from sidelight.fleet.settings import Settings
from sidelight.model import Finding, FindingStatus, Role
from tests.fixtures.console_rig import ConsoleRig, person, text_of
from tests.fixtures.matches import osv
from tests.fixtures.searched_findings import all_rows, fill

if TYPE_CHECKING:
    from pathlib import Path

    from sidelight.store import Store


def rows_of(rig: ConsoleRig, query: str) -> list[dict[str, object]]:
    answer = rig.get(f"/findings?format=json&{query}", person(Role.READER))
    found: list[dict[str, object]] = json.loads(text_of(answer))
    return found


def test_groups_of_two_levels_have_the_findings_of_both(store: Store) -> None:
    fill(store, 5)
    found = Counter(
        (row.account, row.finding.package.name if isinstance(row.finding, Finding) else "none")
        for row in all_rows(store)
        if row.status is FindingStatus.ACTIVE
    )
    groups = rows_of(ConsoleRig(store), "group=account&then=package")
    assert len(groups) == len(found) > 3
    shown = Counter({(str(g["group"]), str(g["then"])): g["findings"] for g in groups})
    assert sorted(shown.values()) == sorted(found.values())
    assert {account for account, _ in shown} == {account for account, _ in found}


def test_a_group_of_two_levels_leads_to_its_findings(store: Store) -> None:
    fill(store, 5)
    page = text_of(ConsoleRig(store).get("/findings?group=account&then=severity", person()))
    assert "Within it" not in page  # no such grouping: one level
    page = text_of(ConsoleRig(store).get("/findings?group=account&then=region", person()))
    assert "Within it" in page
    assert "region=eu-west-1" in page
    assert "Then by" in page


@pytest.mark.parametrize("then", ["account", "x", "version", "%00"])
def test_a_second_level_that_is_none_is_left_out(store: Store, then: str) -> None:
    fill(store, 5)
    rig = ConsoleRig(store)
    one, two = rows_of(rig, "group=account"), rows_of(rig, f"group=account&then={then}")
    assert one == two
    assert one


@pytest.mark.parametrize(
    ("address", "is_shown"),
    [("https://flower.example/", True), ("", False), ("javascript:alert(1)", False)],
)
def test_the_scans_link_to_flower_where_a_setting_names_it(
    store: Store, address: str, *, is_shown: bool
) -> None:
    page = text_of(ConsoleRig(store, Settings.of(flower_url=address)).get("/scans", person()))
    assert ("Queues in Flower" in page) is is_shown
    assert "javascript:" not in page


def test_each_ecosystems_feed_has_its_age(store: Store, tmp_path: Path) -> None:
    records = [
        {**osv("CVE-2026-1", "Debian:12", "openssl", "3"), "modified": "2026-01-02T00:00:00Z"},
        {**osv("GHSA-1", "npm", "left-pad", "2"), "modified": "2025-06-01T00:00:00Z"},
    ]
    feed = tmp_path / "feed.jsonl"
    feed.write_text("".join(json.dumps(record) + "\n" for record in records))
    build([feed], tmp_path / "db")
    rig = ConsoleRig(store, Settings.of(advisories=str(tmp_path / "db")))
    page = text_of(rig.get("/advisories", person(Role.READER)))
    assert "Age of each ecosystem" in page
    assert page.index("2025-06-01") < page.index("2026-01-02T")
