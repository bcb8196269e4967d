"""`sidelight fleet enable|disable|configure|accounts`, as a person and as a script use them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click
import pytest

from dispatcher.services.configuration import ConfigurationService
from sidelight.model import AccountStatus, Coverage, Ec2ScanMode, Instance, Volume
from sidelight.store import Store
from tests.fixtures.document_schemas import conform
from tests.fixtures.store_templates import lay

if TYPE_CHECKING:
    from pathlib import Path

    from sidelight.localcloud.server import LocalCloud

WEB, DATA, ADMINISTRATOR = "222222222222", "333333333333", "111111111111"
ORGANIZATION = "o-exampleorgid"


class Commands:
    """The command line on a store of its own, without AWS."""

    def __init__(self, directory: Path) -> None:
        self.url = f"sqlite:///{directory}/store.db"
        lay(self.url)
        with Store(self.url) as store:
            volumes = (Volume("vol-1", "/dev/sda1", 8),)
            machine = Instance("i-1", WEB, "eu-west-1", "running", volumes)
            store.instances.discovered(WEB, "eu-west-1", [machine])

    def __call__(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("SIDELIGHT_", "AWS_"))}
        return subprocess.run(
            [sys.executable, "-m", "dispatcher.cli", "fleet", *arguments, "--store", self.url],
            env=clean | environment,
            capture_output=True,
            text=True,
            check=False,
        )

    def json(self, *arguments: str) -> Any:
        done = self(*arguments, "--format", "json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


@pytest.fixture
def fleet(tmp_path: Path) -> Commands:
    return Commands(tmp_path)


@pytest.mark.slow
def test_what_enable_and_configure_set_is_listed(fleet: Commands) -> None:
    done = fleet.json("enable", WEB, "--mode", "EC2_HYBRID", "--path", "/opt/a", "--path", "/opt/b")
    conform("fleet-configured-accounts", done)
    fleet.json("configure", WEB, "--exclusion-tag", "NoScan", "--no-deep-inspection")
    listed = fleet.json("accounts", "list")
    conform("fleet-accounts", listed)
    (held,) = listed
    assert (held["mode"], held["exclusion_tag"]) == ("EC2_HYBRID", "NoScan")
    assert (held["package_paths"], held["deep_inspection"]) == (["/opt/a", "/opt/b"], False)
    fleet.json("configure", WEB, "--no-paths")
    assert fleet.json("accounts", "list")[0]["package_paths"] == []
    fleet.json("configure", WEB, "--reset")
    assert fleet.json("accounts", "list")[0]["exclusion_tag"] == "InspectorEc2Exclusion"


@pytest.mark.slow
def test_a_dry_run_lists_what_would_change_and_changes_nothing(fleet: Commands) -> None:
    before = fleet.json("accounts", "list")
    conform("fleet-configuration-plan", fleet.json("enable", WEB, "--path", "/opt", "--dry-run"))
    conform("fleet-disable-plan", fleet.json("disable", WEB, "--dry-run"))
    shown = fleet("enable", WEB, "--exclusion-tag", "NoScan", "--dry-run")
    assert shown.returncode == 0, shown.stderr
    assert "exclusion_tag NoScan" in shown.stdout
    assert "nothing was changed" in shown.stdout
    shown = fleet("disable", WEB, "--dry-run")
    assert shown.returncode == 0, shown.stderr
    assert "0 running scans would end, 0 snapshots" in shown.stdout
    assert fleet.json("accounts", "list") == before


@pytest.mark.services
def test_a_scan_of_a_disabled_account_says_so_also_as_a_dry_run(
    fleet: Commands, cloud: LocalCloud
) -> None:
    with Store(fleet.url) as store:
        ConfigurationService(store, agent_based=False).begin_disable(["123456789012"])
    for options in (("--dry-run",), ("--no-wait",)):
        done = fleet("scan", *options, SIDELIGHT_BROKER_URL="memory://", **cloud.environment())
        assert done.returncode == 0, done.stderr
    assert "disabled" in done.stderr
    assert cloud.calls("DescribeInstances") == 0


@pytest.mark.slow
def test_an_organization_s_members_can_be_named_together(fleet: Commands) -> None:
    done = fleet("accounts", "delegate", ORGANIZATION, "--administrator", ADMINISTRATOR,
                 "--auto-enable")  # fmt: skip
    assert "accounts that join are enabled" in done.stdout
    shown = fleet.json("configure", "--organization", ORGANIZATION, "--exclusion-tag", "NoScan")
    assert [held["account"] for held in shown["accounts"]] == [ADMINISTRATOR]
    assert fleet("accounts", "release", ORGANIZATION).returncode == 0
    assert fleet("accounts", "release", ORGANIZATION).returncode == 2


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("enable",), "name accounts"),
        (("enable", "12"), "12 digits"),
        (("configure", WEB), "nothing to set"),
        (("configure", WEB, "--reset", "--mode", "EC2_HYBRID"), "not both"),
        (("configure", WEB, "--path", "/a", "--no-paths"), "not both"),
        (("configure", WEB, "--path", "/../etc"), "custom path"),
        (("enable", WEB, "--mode", "EC2_SSM_AGENT_BASED"), "no instance would be scanned"),
        (("enable", WEB, "--organization", ORGANIZATION), "name accounts"),
        (("configure", "--organization", ORGANIZATION, "--mode", "EC2_HYBRID"), "no such"),
        (("accounts", "delegate", "o-1"), "o-exampleorgid"),
    ],
)  # fmt: skip
def test_a_request_that_cannot_be_is_one_line_and_changes_nothing(
    fleet: Commands, arguments: tuple[str, ...], why: str
) -> None:
    done = fleet(*arguments)
    assert done.returncode == 2
    assert why in done.stderr
    assert len(done.stderr.splitlines()) == 1
    with Store(fleet.url) as store:
        assert store.configurations.accounts() == []


@pytest.mark.slow
def test_an_account_that_is_being_disabled_is_refused(fleet: Commands) -> None:
    with Store(fleet.url) as store:
        ConfigurationService(store, agent_based=False).begin_disable([WEB])
        assert store.configurations.account(WEB).status is AccountStatus.PENDING_DISABLE  # type: ignore[union-attr]
    refused = fleet("enable", WEB)
    assert (refused.returncode, "DISABLE_IN_PROGRESS" in refused.stderr) == (4, True)
    both = fleet("enable", WEB, DATA)
    assert both.returncode == 3
    assert f"{DATA}: ENABLED, mode {Ec2ScanMode.HYBRID}" in both.stdout


@pytest.mark.slow
@pytest.mark.parametrize("width", [80, 160])
def test_the_table_of_accounts_fits_its_terminal(fleet: Commands, width: int) -> None:
    paths = [part for number in range(5) for part in ("--path", f"/opt/application-{number}/lib")]
    fleet("accounts", "delegate", ORGANIZATION, "--administrator", ADMINISTRATOR, *paths)
    fleet("configure", ADMINISTRATOR, "--exclusion-tag", "DoNotScanThisInstancePlease")
    done = fleet("accounts", "list", COLUMNS=str(width), FORCE_COLOR="1", NO_COLOR="1",
                 TERM="xterm")  # fmt: skip
    assert done.returncode == 0, done.stderr
    plain = click.unstyle(done.stdout)
    assert max(map(len, plain.splitlines())) <= width
    text = " ".join(plain.split())
    for shown in (WEB, ADMINISTRATOR, "ENABLED", "EC2_HYBRID", "DoNotScanThisInstancePlease"):
        assert shown in text


@pytest.mark.slow
def test_coverage_says_what_to_do_and_its_history_when_it_changed(fleet: Commands) -> None:
    excluded = Coverage(WEB, "eu-west-1", "i-1", "web", "INACTIVE", "EXCLUDED_BY_TAG", "tag X")
    with Store(fleet.url) as store:
        store.instances.cover([excluded])
        store.instances.cover([replace(excluded, status_code="ACTIVE", reason="SUCCESSFUL")])
    rows = fleet.json("coverage")
    conform("fleet-coverage", rows)
    assert rows[0]["next_due_at"] > datetime.now(UTC).isoformat()
    history = fleet.json("coverage", "--history", "--instance", "i-1")
    conform("fleet-coverage-history", history)
    assert [change["reason"] for change in history] == ["EXCLUDED_BY_TAG", "SUCCESSFUL"]
    assert "EC2_AGENTLESS" in fleet("coverage", "--history").stdout
    with Store(fleet.url) as store:
        store.instances.cover([excluded])
    (row,) = fleet.json("coverage")
    assert row["next_due_at"] is None
    assert row["remedy"] in fleet("coverage").stdout
    assert "exclusion tag" in row["remedy"]


@pytest.mark.slow
@pytest.mark.parametrize("width", [80, 160])
@pytest.mark.parametrize("options", [(), ("--history",)])
def test_the_tables_of_coverage_fit_their_terminal(
    fleet: Commands, width: int, options: tuple[str, ...]
) -> None:
    why = "no EBS volume: an instance store leaves no snapshot"
    row = Coverage(WEB, "eu-west-1", "i-0123456789abcdef0", "web", "INACTIVE", "NO_EBS_VOLUME", why)
    with Store(fleet.url) as store:
        store.instances.cover([row])
    done = fleet("coverage", *options, COLUMNS=str(width), FORCE_COLOR="1", NO_COLOR="1",
                 TERM="xterm")  # fmt: skip
    assert done.returncode == 0, done.stderr
    plain = click.unstyle(done.stdout)
    assert max(map(len, plain.splitlines())) <= width
    for shown in (row.instance, row.reason, row.scan_mode, why):
        assert shown in " ".join(plain.split())


@pytest.mark.services
def test_a_dry_run_lists_what_the_agent_based_method_would_create(
    fleet: Commands, cloud: LocalCloud
) -> None:
    account, region = "123456789012", "us-east-1"
    machine = Instance("i-2", account, region, "running", ())
    with Store(fleet.url) as store:
        store.instances.discovered(account, region, [machine])
    done = fleet("enable", account, "--mode", "EC2_SSM_AGENT_BASED", "--dry-run",
                 SIDELIGHT_AGENTS="1", SIDELIGHT_INVENTORY_BUCKET="inventories",
                 **cloud.environment())  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert f"{account}/{region}: " in done.stdout
    assert "InventoryCollection" in done.stdout
    assert "would be created: " + f"{account}/{region}: Sidelight-DeepInspection" in done.stdout
    assert "not created: InspectorDistributor-do-not-delete" in done.stdout
    assert cloud.calls("CreateAssociation") == cloud.calls("CreateResourceDataSync") == 0
    with Store(fleet.url) as store:
        assert store.configurations.accounts() == []


@pytest.mark.slow
def test_an_account_that_cannot_be_listed_is_in_coverage_and_among_the_accounts(
    fleet: Commands,
) -> None:
    with Store(fleet.url) as store:
        store.instances.cover(
            [Coverage(DATA, "", "*", "", "INACTIVE", "INTERNAL_ERROR", "ec2 is down")]
        )
    listed = fleet.json("accounts", "list")
    conform("fleet-accounts", listed)
    unreached = {item["account"]: item["unreached"] for item in listed}
    assert unreached[WEB] == []
    (one,) = unreached[DATA]
    assert (one["reason"], one["detail"], one["region"]) == ("INTERNAL_ERROR", "ec2 is down", "")
    assert "doctor" in one["remedy"]
    assert f"{DATA}: could not be listed, INTERNAL_ERROR" in fleet("accounts", "list").stdout
    shown = fleet("coverage").stdout
    assert "0 instances; 1 account or Region could not be listed" in shown
    assert "INTERNAL_ERROR: Each discovery tries again." in shown
