"""An instance's tabs: why a package is there, and what was not looked at is not clean."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING

import pytest

from dispatcher.services.package_relations import package_key
from sidelight.model import Coverage, Instance
from tests.fixtures.console_rig import ConsoleRig, person, text_of
from tests.fixtures.stored_findings import (
    ACCOUNT,
    REGION,
    Database,
    FakeAdvisory,
    inspected,
    inventory,
    package,
    scanned,
)

if TYPE_CHECKING:
    from sidelight.model import Inventory
    from sidelight.store import Store

HOSTILE = '"><script>alert(1)</script>\u202e'
NGINX, SSL, LIBC = package("nginx", "1.22"), package("libssl3", "3.0"), package("libc6", "2.36")
PATH = f"/instances/{ACCOUNT}/i-1"


@pytest.fixture
def rig(store: Store) -> ConsoleRig:
    machine = Instance("i-1", ACCOUNT, REGION, "running", (), name="web")
    store.instances.discovered(ACCOUNT, REGION, [machine])
    return ConsoleRig(store)


def machine(*requires: tuple[int, ...] | None) -> Inventory:
    return replace(inventory(NGINX, SSL, LIBC), dependencies=requires)


def tab(rig: ConsoleRig, query: str) -> str:
    return text_of(rig.get(f"{PATH}?{query}", person()))


def rows(rig: ConsoleRig) -> dict[str, tuple[object, object]]:
    items = json.loads(tab(rig, "tab=packages&format=json"))
    return {item["name"]: (item["required_by"], item["requires"]) for item in items}


def test_packages_have_the_numbers_of_what_requires_them(rig: ConsoleRig) -> None:
    inspected(rig.store, machine((1, 2), (2,), ()))
    assert rows(rig) == {"nginx": (0, 2), "libssl3": (1, 1), "libc6": (2, 0)}


def test_unknown_dependencies_are_not_none(rig: ConsoleRig) -> None:
    inspected(rig.store, machine((1,), None, ()))
    assert rows(rig) == {
        "nginx": ("unknown", 1), "libssl3": (1, "unknown"), "libc6": ("unknown", 0),
    }  # fmt: skip
    file = csv.DictReader(io.StringIO(tab(rig, "tab=packages&format=csv")))
    assert "unknown" in {row["Required by"] for row in file}
    page = tab(rig, f"tab=packages&of={package_key(LIBC)}")
    assert "No package is known to require it" in page
    page = tab(rig, f"tab=packages&of={package_key(SSL)}")
    assert "There may be others: of 1 packages it is not known" in page
    assert "Not known: the files of this kind" in page


def test_an_inventory_without_dependencies_says_so(rig: ConsoleRig) -> None:
    inspected(rig.store, inventory(NGINX))
    assert rows(rig) == {"nginx": ("unknown", "unknown")}


def test_a_package_has_the_way_by_which_it_came(rig: ConsoleRig) -> None:
    inspected(rig.store, machine((1,), (2,), ()))
    page = tab(rig, f"tab=packages&of={package_key(LIBC)}")
    way = page[page.index('<ol class="trail"') : page.index("</ol>", page.index("trail"))]
    assert [way.index(name) for name in ("nginx", "libssl3", "libc6")] == sorted(
        way.index(name) for name in ("nginx", "libssl3", "libc6")
    )
    assert "No other package of this instance" in page
    page = tab(rig, f"tab=packages&of={package_key(NGINX)}")
    assert "No other package of this instance requires it." in page


def test_a_package_that_is_gone_is_said_to_be(rig: ConsoleRig) -> None:
    inspected(rig.store, machine((), (), ()))
    page = tab(rig, "tab=packages&of=0123456789abcdef")
    assert "This instance has this package no more." in page
    assert "This instance has this package no more." not in tab(rig, "tab=packages")


def test_hostile_names_are_inert_in_the_ways(rig: ConsoleRig) -> None:
    hostile = package(HOSTILE)
    read = replace(inventory(hostile, LIBC), dependencies=((1,), ()))
    inspected(rig.store, read)
    for chosen in (hostile, LIBC):
        page = tab(rig, f"tab=packages&of={package_key(chosen)}")
        assert "&lt;script&gt;alert(1)" in page
        assert "<script>alert" not in page
        assert "\u202e" not in page


def test_a_finding_leads_to_what_requires_its_package(rig: ConsoleRig) -> None:
    database = Database({"libssl3": [FakeAdvisory("CVE-2026-1")]})
    scanned(rig.store, database, machine((1,), (), ()))
    (row,) = rig.store.findings.rows(account=ACCOUNT)
    page = text_of(rig.get(f"/findings/{row.id}", person()))
    query = f"tab=packages&amp;of={package_key(SSL)}"
    assert f'href="{PATH}?{query}"' in page
    assert "Why is " in tab(rig, query.replace("&amp;", "&"))


def test_a_finding_of_the_system_itself_leads_to_no_package(rig: ConsoleRig) -> None:
    scanned(rig.store, Database(last_day=date(2020, 6, 30)), machine((), (), ()))
    (row,) = rig.store.findings.rows(account=ACCOUNT)
    assert row.finding.headline.startswith("END-OF-LIFE")
    assert "What requires it" not in text_of(rig.get(f"/findings/{row.id}", person()))


def test_a_network_that_was_not_evaluated_is_not_said_to_be_closed(rig: ConsoleRig) -> None:
    scanned(rig.store, Database(), machine((), (), ()))
    now = rig.store.clock()
    packages = Coverage(ACCOUNT, REGION, "i-1", "web", "ACTIVE", "SUCCESSFUL", scanned_at=now)
    rig.store.instances.cover([packages])
    assert "No active finding" in tab(rig, "tab=findings")
    page = tab(rig, "tab=network")
    assert "Its network was not evaluated yet" in page
    assert "No port can be reached" not in page
    network = replace(packages, scan_type="NETWORK")
    rig.store.instances.cover([packages, network])
    assert "No port can be reached" in tab(rig, "tab=network")
