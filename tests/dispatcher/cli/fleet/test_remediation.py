"""`sidelight fleet plan` and `recount`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from click.testing import CliRunner

from dispatcher.cli.root import sidelight
from sidelight.store import Store
from tests.fixtures.document_schemas import conform
from tests.fixtures.searched_findings import ACCOUNTS, fill
from tests.fixtures.store_templates import lay
from tests.fixtures.stored_findings import Database, FakeAdvisory, inventory, package, scanned

if TYPE_CHECKING:
    from pathlib import Path

HOSTILE = "x\x1b[31m$(reboot)"


def run(url: str, *arguments: str, status: int = 0) -> str:
    done = CliRunner(env={"SIDELIGHT_STORE_URL": url}).invoke(sidelight, ["fleet", *arguments])
    assert done.exit_code == status, done.output
    return done.stdout


def store_url(tmp_path: Path) -> str:
    url = f"sqlite:///{tmp_path}/store.db"
    lay(url)
    with Store(url) as store:
        database = Database(
            {"openssl": [FakeAdvisory("CVE-2026-1", "3")], HOSTILE: [FakeAdvisory("CVE-2026-2")]}
        )
        scanned(store, database, inventory(package("openssl"), package(HOSTILE)))
    return url


def test_the_plan_lists_upgrades_with_their_machines(tmp_path: Path) -> None:
    url = store_url(tmp_path)
    document = json.loads(run(url, "plan", "--format", "json"))
    conform("fleet-upgrades", document)
    upgrades = {item["package"]: item for item in document}
    assert upgrades["openssl"]["command"] == "apt-get install --only-upgrade openssl"
    assert upgrades["openssl"]["version"] == "3"
    assert upgrades["openssl"]["instances"][0]["instance"] == "i-1"
    hostile = next(item for name, item in upgrades.items() if name != "openssl")
    assert hostile["command"] == ""


def test_names_from_machines_drive_no_terminal(tmp_path: Path) -> None:
    text = run(store_url(tmp_path), "plan")
    assert "\x1b[31m" not in text
    assert "openssl" in text
    assert "2 upgrades close 2 findings" in text


def test_severities_and_accounts_limit_the_plan(tmp_path: Path) -> None:
    url = store_url(tmp_path)
    assert json.loads(run(url, "plan", "--severity", "critical", "--format", "json")) == []
    assert json.loads(run(url, "plan", "--account", "999999999999", "--format", "json")) == []
    assert len(json.loads(run(url, "plan", "--limit", "1", "--format", "json"))) == 1


def test_recount_counts_what_no_dispatcher_counted(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/store.db"
    lay(url)
    with Store(url) as store:
        fill(store, 4)
    assert "counted 7 days again" in run(url, "recount", "--days", "7")
    with Store(url) as store:
        assert store.fleet_overview.counted_at() is not None
        assert store.fleet_overview.days(ACCOUNTS[:1], 1)[0].counted
