"""Groups of findings by two levels; and what other pages show of settings and feeds."""

from __future__ import annotations

import json
import re
from collections import Counter
from html import unescape
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from sidelight.advisories import build
from sidelight.fleet.settings import Settings
from sidelight.model import Finding, FindingStatus, Instance, Role
from tests.fixtures.console_rig import ConsoleRig, header, person, text_of
from tests.fixtures.matches import osv
from tests.fixtures.searched_findings import all_rows, fill
from tests.fixtures.stored_findings import ACCOUNT, FakeAdvisory, inventory, package, scanned
from tests.fixtures.stored_findings import Database as Advisories

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


def tagged(store: Store) -> None:
    """Findings of two instances with an owner, one without, and one that is not discovered."""
    advisory = FakeAdvisory("CVE-2026-1", "3")
    for name in ("i-1", "i-2", "i-3", "i-4"):
        scanned(store, Advisories({"openssl": [advisory]}), inventory(package("openssl")), name)
    tags = {"i-1": (("owner", "web"),), "i-2": (("owner", "a=b&c"), ("env", "prod")),
            "i-3": (("owner", ""),)}  # fmt: skip
    store.instances.discovered(ACCOUNT, "eu-west-1", [
        Instance(name, ACCOUNT, "eu-west-1", "running", (), tags=own)
        for name, own in tags.items()
    ])  # fmt: skip


def test_groups_by_a_tag_have_each_value_and_what_lacks_it(store: Store) -> None:
    tagged(store)
    groups = rows_of(ConsoleRig(store), "group=tag:owner")
    assert {(str(g["group"]), g["findings"], g["instances"]) for g in groups} == {
        ("web", 1, 1), ("a=b&c", 1, 1), ("empty", 1, 1), ("without owner", 1, 1),
    }  # fmt: skip
    pairs = rows_of(ConsoleRig(store), "group=tag:owner&then=tag:env")
    assert ("a=b&c", "prod") in {(g["group"], g["then"]) for g in pairs}
    assert len(pairs) == 4


def test_a_group_of_a_tag_leads_to_its_findings(store: Store) -> None:
    tagged(store)
    rig = ConsoleRig(store)
    page = text_of(rig.get("/findings?group=tag:owner", person()))
    links = [unescape(url) for url in re.findall(r'<a href="([^"]*)" class="row"', page)]
    assert len(links) == 2  # an empty or missing value cannot be a scope
    for url in links:
        found = json.loads(text_of(rig.get(f"{url}&format=json", person())))
        assert len(found) == 1
    # In the scope of another tag, or of two tags, no link widens what is shown.
    for query in ("group=tag:owner&tag=env", "group=tag:owner&then=tag:env"):
        page = text_of(rig.get(f"/findings?{query}", person()))
        assert "a=b&amp;c" in page
        assert not re.findall(r'<a href="[^"]*" class="row"', page)


def test_a_person_names_the_tag_to_group_by(store: Store) -> None:
    rig = ConsoleRig(store)
    answer = rig.get("/findings?severity=HIGH&group=package&grouptag=owner", person())
    assert header(answer, "location") == "/findings?severity=HIGH&group=tag%3Aowner"
    answer = rig.get("/findings?group=package&thentag=owner", person())
    assert header(answer, "location") == "/findings?group=package&then=tag%3Aowner"


@pytest.mark.parametrize("by", ["tag:", "tag:" + "x" * 129, "tag", "version"])
def test_what_is_no_grouping_is_the_list(store: Store, by: str) -> None:
    page = text_of(ConsoleRig(store).get(f"/findings?group={by}", person()))
    assert "By severity" not in page


def test_a_hostile_tag_is_inert(store: Store) -> None:
    tagged(store)
    key = quote("<b>x\u202e'\"&\x00")
    html = text_of(ConsoleRig(store).get(f"/findings?group=tag:{key}&then=tag:{key}2", person()))
    assert "<b>x" not in html
    assert "without" in html
    assert "\u202e" not in re.sub(r'value="[^"]{0,1000}"', "", html)
