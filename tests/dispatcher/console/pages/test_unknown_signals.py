"""What no feed says is unknown on each page, not 0."""

from __future__ import annotations

import json
import re
from html import unescape
from typing import TYPE_CHECKING, Any

import pytest

from dispatcher.fleet_counter import FleetCounter
from sidelight.advisories import AdvisoryDatabase, build
from sidelight.advisories.database import build as database_build
from sidelight.fleet.advisory_file import Opened
from sidelight.fleet.settings import Settings
from sidelight.model import Coverage, Role
from tests.fakes.clocks import START
from tests.fixtures.console_rig import ConsoleRig, person, text_of
from tests.fixtures.matches import osv
from tests.fixtures.stored_findings import ACCOUNT, Database, FakeAdvisory, inventory, scanned
from tests.fixtures.stored_findings import package as package_of

if TYPE_CHECKING:
    from pathlib import Path

    from sidelight.store import Store

KEV = {"catalogVersion": "2026.01.01", "vulnerabilities": [
    {"cveID": "CVE-2020-1", "vulnerabilityName": "x", "dateAdded": "2026-01-01"}]}  # fmt: skip
EPSS = "#model_version:v2025.03.14,score_date:2026-01-01T00:00:00+0000\ncve,epss,percentile\n"


def rig_of(store: Store, folder: Path, *feeds: str, registers: bool = True) -> ConsoleRig:
    """A console with a scanned instance, and a database of these feeds."""
    files = {"osv": json.dumps(osv("CVE-2026-1", "Debian:12", "openssl", "3")),
             "kev": json.dumps(KEV), "epss": f"{EPSS}CVE-2020-1,0.5,0.9\n"}  # fmt: skip
    paths = []
    for name in ("osv", *feeds):
        paths.append(folder / f"{name}.{'csv' if name == 'epss' else 'json'}")
        paths[-1].write_text(files[name])
    build(paths, folder / "db")
    scanned(store, Database({"openssl": [FakeAdvisory("CVE-2026-1", "3")]}),
            inventory(package_of("openssl")), "i-1")  # fmt: skip
    store.instances.cover([Coverage(ACCOUNT, "eu-west-1", "i-1", "", "ACTIVE", "SUCCESSFUL",
                                    scanned_at=START)])  # fmt: skip
    if registers:
        with AdvisoryDatabase.open(folder / "db") as opened:
            store.reevaluation.register(Opened(opened))
    FleetCounter(store).run()
    return ConsoleRig(store, Settings.of(advisories=str(folder / "db")))


def shown(rig: ConsoleRig, path: str) -> str:
    answer = rig.get(path, person(Role.READER))
    assert answer.status == 200, text_of(answer)
    return text_of(answer)


def tile(html: str, label: str) -> tuple[str, str]:
    """A tile's tone and its words, without its label."""
    (part,) = [part for part in html.split('class="tile ')[1:]
               if f'<span class="label">{label}</span>' in part]  # fmt: skip
    words = re.findall(r'<span class="(?:value|note)">([^<]*)</span>', part)
    return part.partition('"')[0], unescape(" ".join(words[:2]))


def test_no_exploit_is_0_only_with_a_feed_of_exploits(store: Store, tmp_path: Path) -> None:
    without = shown(rig_of(store, tmp_path), "/")
    assert tile(without, "Exploited now (KEV)") == ("", "? unknown: no KEV feed")


def test_no_exploit_is_0_and_good_with_the_feed(store: Store, tmp_path: Path) -> None:
    html = shown(rig_of(store, tmp_path, "kev"), "/")
    assert tile(html, "Exploited now (KEV)") == ("good", "0 findings with a known exploit")


def test_a_database_that_nothing_was_evaluated_with_says_nothing(
    store: Store, tmp_path: Path
) -> None:
    html = shown(rig_of(store, tmp_path, "kev", registers=False), "/")
    tone, text = tile(html, "Exploited now (KEV)")
    assert (tone, text[0]) == ("", "?")


def test_a_database_that_cannot_be_read_says_nothing(store: Store, tmp_path: Path) -> None:
    rig = rig_of(store, tmp_path, "kev")
    (tmp_path / "db").write_bytes(b"x")
    tone, text = tile(shown(rig, "/"), "Exploited now (KEV)")
    assert (tone, text) == ("", "? unknown: the advisory database cannot be read here")


def test_an_older_database_says_nothing_and_is_read(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = database_build._info

    def without(*arguments: Any) -> dict[str, object]:
        return {name: value for name, value in real(*arguments).items() if name != "signals"}

    monkeypatch.setattr(database_build, "_info", without)
    rig = rig_of(store, tmp_path, "kev")
    assert "which does not say whether it has KEV" in shown(rig, "/")
    assert "which does not say whether it has KEV" in shown(rig, "/advisories")


@pytest.mark.parametrize(
    ("path", "text"),
    [("/findings?epss=0.1..", "EPSS scores are unknown: no EPSS feed."),
     ("/findings?sort=-epss", "EPSS scores are unknown: no EPSS feed."),
     ("/findings?exploit=YES&group=package", "What is exploited is unknown: no KEV feed."),
     ("/vulnerabilities/CVE-2026-1", "unknown: no EPSS feed"),
     ("/vulnerabilities/CVE-2026-1", "Exploited: unknown"),
     ("/findings/1", "EPSS: unknown"), ("/findings/1", "Exploited: unknown"),
     ("/advisories", "no EPSS feed"), ("/advisories", "no KEV feed")],
)  # fmt: skip
def test_each_page_says_what_no_feed_says(
    store: Store, tmp_path: Path, path: str, text: str
) -> None:
    assert text in shown(rig_of(store, tmp_path), path)


@pytest.mark.parametrize("path", ["/findings?epss=0.1..&exploit=YES", "/findings?sort=epss",
                                  "/vulnerabilities/CVE-2026-1", "/findings/1",
                                  "/advisories"])  # fmt: skip
def test_with_both_feeds_nothing_is_unknown(store: Store, tmp_path: Path, path: str) -> None:
    html = shown(rig_of(store, tmp_path, "kev", "epss"), path)
    texts = ("unknown:", ": unknown", "is unknown", "KEV feed", "EPSS feed")
    assert [text for text in texts if text in html] == []


def test_no_recorded_cost_is_not_free(store: Store) -> None:
    html = shown(ConsoleRig(store), "/")
    assert tile(html, "Cost this month") == ("", "? no scan's cost is recorded yet")
    assert tile(html, "Snapshots left behind") == ("warn", "? no sweep has run yet")
    assert tile(html, "Reachable and vulnerable") == ("warn", "? no network was evaluated yet")
