"""Pages of what is not there: 404 with a text, for every page that has an id in its path."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from dispatcher.console.pages import PAGES
from sidelight.advisories import build
from sidelight.fleet.settings import Settings
from sidelight.store import Store
from tests.fixtures.console_fleet import HOSTILE, OWN, ConsoleFleet
from tests.fixtures.console_rig import ConsoleRig, header, person, text_of
from tests.fixtures.matches import osv
from tests.fixtures.stored_findings import Database, FakeAdvisory, inventory, package, scanned

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

UNKNOWN = (
    "CVE-1999-0001", "0", "-1", "9" * 30, "²", "x" * 10_000, "..", "%", "*", "!x", "x*", "\x00",
    "\udcff", HOSTILE[:200],
)  # fmt: skip
WITH_IDS = [page for page in PAGES if "{" in page.path]


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConsoleFleet]:
    with Store(f"sqlite:///{tmp_path_factory.mktemp('store')}/store.db") as store:
        store.migrate()
        yield ConsoleFleet(store, "web")


@pytest.fixture
def rig(fleet: ConsoleFleet) -> ConsoleRig:
    return fleet.rig


@pytest.mark.parametrize("value", UNKNOWN, ids=range(len(UNKNOWN)))
def test_an_unknown_id_is_not_found_on_every_page(rig: ConsoleRig, value: str) -> None:
    text = quote(value, safe="", errors="replace")
    assert len(WITH_IDS) >= 10
    for page in WITH_IDS:
        names = {"account": OWN, "instance": text, "name": text, "number": text, "finding": text,
                 "package": text, "organization": text}  # fmt: skip
        if "{instance}" not in page.path:
            names["account"] = text
        path = page.path.format(**{**names, "key": text, "view": text})
        form = {"reason": "x", "days": "1"}
        answer = rig.get(path, person()) if page.method == "GET" else rig.post(path, form, person())
        assert answer.status == 404, (page.path, value[:50], answer.status)
        body = text_of(answer)
        assert len(body) < 40_000, page.path
        assert "<script>" not in body
        assert header(answer, "Content-Type").startswith("text/html")


def test_a_missing_page_keeps_the_way_back(rig: ConsoleRig) -> None:
    body = text_of(rig.get(f"/findings/999999?account={OWN}", person()))
    assert "There is no such finding" in body
    assert f'href="/findings?account={OWN}"' in body
    assert 'aria-label="Pages"' in body


def test_a_vulnerability_that_findings_have_is_found(fleet: ConsoleFleet) -> None:
    path = f"/vulnerabilities/{fleet.vulnerability}"
    assert fleet.rig.get(path, person()).status == 200
    assert fleet.rig.get(f"{path}*", person()).status == 404
    assert fleet.rig.get(f"/vulnerabilities/!{fleet.vulnerability}", person()).status == 404


def test_a_vulnerability_that_advisories_alone_name_is_found(store: Store, tmp_path: Path) -> None:
    record = osv("CVE-2030-0001", "Debian:12", "openssl", "3", summary="A fault of openssl")
    (tmp_path / "feed.jsonl").write_text(json.dumps(record) + "\n")
    build([tmp_path / "feed.jsonl"], tmp_path / "db")
    rig = ConsoleRig(store, Settings.of(advisories=str(tmp_path / "db")))
    answer = rig.get("/vulnerabilities/CVE-2030-0001", person())
    assert answer.status == 200
    assert "No instance that was scanned has it" in text_of(answer)
    assert rig.get("/vulnerabilities/CVE-2030-0002", person()).status == 404


def test_a_vulnerability_of_another_account_is_not_revealed(store: Store) -> None:
    advisories = Database({"openssl": [FakeAdvisory("CVE-2026-1")]})
    scanned(store, advisories, inventory(package("openssl")))
    rig = ConsoleRig(store)
    own = person(accounts=frozenset(), account="123456789012")
    other = person(accounts=frozenset(), account="999999999999", name="bob")
    assert rig.get("/vulnerabilities/CVE-2026-1", own).status == 200
    assert rig.get("/vulnerabilities/CVE-2026-1", other).status == 404
