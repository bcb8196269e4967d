"""Agent-based scans by the control plane, on a local cloud: findings and coverage follow agents."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from dispatcher.discovery.accounts import AccountRegion
from dispatcher.on_demand import in_process
from dispatcher.planning.configuration_rules import ConfigurationChange
from dispatcher.planning.eligibility import Configuration
from sidelight.advisories import build
from sidelight.aws.session import Session
from sidelight.errors import LimitError
from sidelight.fleet.settings import Settings
from sidelight.localcloud.faults import FaultKind, FaultPlan, Rule
from sidelight.model import Coverage, ScanMode, State
from sidelight.store import Store
from tests.fixtures.collector_outputs import FLASK, RACK, output, tar
from tests.fixtures.scan_states import advance, reach

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mypy_boto3_ec2.type_defs import TagTypeDef

    from dispatcher.services.fleet_service import FleetService
    from sidelight.localcloud.server import LocalCloud

pytestmark = [pytest.mark.services, pytest.mark.images]
ACCOUNT, REGION = "123456789012", "us-east-1"
BUCKET = "inventories-of-the-fleet"
HALF_AN_HOUR = 1800
HERE = AccountRegion(ACCOUNT, REGION)


def bash(version: str) -> dict[str, str]:
    source = f"bash-{version}-1.amzn2023.src.rpm"
    return {"Name": "bash", "Version": version, "Release": "1.amzn2023", "Architecture": "x86_64",
            "Publisher": "Amazon Linux", "PackageId": source}  # fmt: skip


@pytest.fixture
def control(tmp_path: Path, cloud: LocalCloud) -> Iterator[FleetService]:
    assert cloud.endpoint
    record = {
        "id": "ALAS2023-2026-001", "modified": "2026-01-01T00:00:00Z", "aliases": ["CVE-2026-0001"],
        "affected": [{
            "package": {"ecosystem": "Amazon Linux:2023", "name": "bash"},
            "ranges": [{"type": "ECOSYSTEM",
                        "events": [{"introduced": "0"}, {"fixed": "5.2.20-1.amzn2023"}]}],
        }],
    }  # fmt: skip
    (tmp_path / "feed.json").write_text(json.dumps(record))
    build([tmp_path / "feed.json"], tmp_path / "advisories.db")
    Session().client("s3").create_bucket(Bucket=BUCKET)
    settings = Settings.of(
        store_url=f"sqlite:///{tmp_path}/store.db", advisories=str(tmp_path / "advisories.db"),
        agents=True, inventory_bucket=BUCKET,
        # Not the subject: at the usual rates a test waits for its turns.
        ssm_read_per_second=1000.0, ssm_change_per_second=1000.0,
    )  # fmt: skip
    store = Store(settings.store.url)
    store.migrate()
    control = in_process(settings, store=store)
    control.configuration.enable([ACCOUNT], ConfigurationChange())
    yield control
    control.close()


def add(cloud: LocalCloud, image: Path, version: str = "5.2.15", **options: Any) -> str:
    return cloud.add_instance(
        "web",
        [image],
        ssm={"PlatformName": "Amazon Linux", "PlatformVersion": "2023"},
        inventory={"AWS:Application": [bash(version)]},
        **options,
    )


def round_of(control: FleetService) -> int:
    """A round of the dispatcher: discover, plan, then what is scanned by agents."""
    assert control.agent_scans is not None
    started = control.scans.start_everywhere([HERE], Configuration(), on_demand=False)
    return control.agent_scans.run(started.reached)


def agents_only(control: FleetService) -> int:
    """A round of the agent-based method between two discoveries."""
    assert control.agent_scans is not None
    return control.agent_scans.run(
        control.scans.discovered(),
        replan=lambda place, managed: control.scans.agents_changed(place, managed, Configuration()),
    )


def covered(control: FleetService) -> dict[str, Coverage]:
    return {row.instance: row for row in control.store.instances.coverage()}


def test_an_instance_turns_agent_based_when_its_inventory_appears(
    control: FleetService, cloud: LocalCloud, image: Path
) -> None:
    instance = add(cloud, image)
    assert round_of(control) == 0  # the association is made; nothing was sent before the discovery

    assert round_of(control) == 1

    entry = covered(control)[instance]
    assert (entry.scan_mode, entry.reason) == (ScanMode.AGENT_BASED, "SUCCESSFUL")
    assert entry.scanned_at is not None
    findings = list(control.store.findings.rows(instance=instance))
    assert [row.package_finding.vulnerability for row in findings] == ["CVE-2026-0001"]


def test_an_update_closes_findings_and_an_unchanged_inventory_moves_the_last_scan(
    control: FleetService, cloud: LocalCloud, image: Path
) -> None:
    instance = add(cloud, image)
    round_of(control)
    round_of(control)
    before = covered(control)[instance].scanned_at
    assert before is not None

    assert round_of(control) == 0
    after = covered(control)[instance].scanned_at
    assert after is not None
    assert after > before
    cloud.install(instance, "AWS:Application", [bash("5.2.21")])
    cloud.clock.advance(HALF_AN_HOUR)
    assert round_of(control) in {0, 1}  # the agent runs at the first call of this round
    round_of(control)

    assert list(control.store.findings.rows(instance=instance)) == []


def test_an_instance_that_leaves_systems_manager_turns_agentless_before_the_next_discovery(
    control: FleetService, cloud: LocalCloud, image: Path
) -> None:
    instance = add(cloud, image)
    round_of(control)
    (first,) = control.store.scans.select()  # before its agent sent anything
    held = control.store.scans.claim(first.id, {State.NEW}, 60)
    assert held is not None
    advance(control.store, held, State.FAILED)
    agents_only(control)
    assert covered(control)[instance].reason == "SUCCESSFUL"
    calls = cloud.answers("DescribeInstances")

    cloud.stop_agent(instance)
    cloud.clock.advance(HALF_AN_HOUR)
    agents_only(control)

    entry = covered(control)[instance]
    assert (entry.scan_mode, entry.reason) == (ScanMode.AGENTLESS, "PENDING_INITIAL_SCAN")
    assert [scan.instance for scan in control.store.scans.select(live=True)] == [instance]
    cloud.start_agent(instance)
    agents_only(control)
    entry = covered(control)[instance]
    assert (entry.scan_mode, entry.reason) == (ScanMode.AGENT_BASED, "SUCCESSFUL")
    assert cloud.answers("DescribeInstances") == calls + 1, "of the one that left"


def test_an_instance_that_was_terminated_is_not_read_by_snapshots_instead(
    control: FleetService, cloud: LocalCloud, image: Path
) -> None:
    instance = add(cloud, image)
    round_of(control)
    agents_only(control)
    live = len(control.store.scans.select(live=True))
    Session().client("ec2", region=REGION).terminate_instances(InstanceIds=[instance])
    cloud.stop_agent(instance)
    cloud.clock.advance(HALF_AN_HOUR)

    agents_only(control)

    assert covered(control)[instance].reason == "RESOURCE_TERMINATED"
    assert len(control.store.scans.select(live=True)) == live
    assert control.store.instances.is_gone(ACCOUNT, instance)


def test_a_scan_that_ends_after_the_agent_took_over_leaves_the_agents_entry(
    control: FleetService, cloud: LocalCloud, image: Path
) -> None:
    instance = add(cloud, image)
    round_of(control)
    (scan,) = control.store.scans.select()  # begun before the agent sent its first inventory
    agents_only(control)
    before = covered(control)[instance]
    assert (before.scan_mode, before.reason) == (ScanMode.AGENT_BASED, "SUCCESSFUL")
    held = control.store.scans.claim(scan.id, {State.NEW}, 60)
    assert held is not None

    deleting = reach(control.store, held, State.DELETING)
    read_at = control.store.clock() + timedelta(seconds=1)
    result = Coverage(ACCOUNT, REGION, instance, "web", "ACTIVE", "PARTIAL", scanned_at=read_at)
    control.store.instances.finish(deleting, State.DONE, result)

    after = covered(control)[instance]
    assert (after.scan_mode, after.reason) == (before.scan_mode, before.reason)
    assert after.scanned_at == read_at, "a read of a snapshot moves it"


@pytest.mark.parametrize("end", [State.DONE, State.FAILED])
def test_a_scan_that_ends_after_its_instance_was_excluded_leaves_it_excluded(
    control: FleetService, cloud: LocalCloud, image: Path, end: State
) -> None:
    instance = add(cloud, image)
    round_of(control)
    (scan,) = control.store.scans.select()
    tag: TagTypeDef = {"Key": "InspectorEc2Exclusion", "Value": ""}
    Session().client("ec2", region=REGION).create_tags(Resources=[instance], Tags=[tag])
    round_of(control)
    before = covered(control)[instance]
    assert (before.status_code, before.reason) == ("INACTIVE", "EXCLUDED_BY_TAG")

    held = control.store.scans.claim(scan.id, {State.NEW}, 60)
    assert held is not None
    read_at = control.store.clock() + timedelta(seconds=1)
    result = Coverage(
        ACCOUNT, REGION, instance, "web", "ACTIVE", "SUCCESSFUL",
        scanned_at=read_at if end is State.DONE else None,
    )  # fmt: skip
    control.store.instances.finish(reach(control.store, held, State.DELETING), end, result)

    after = covered(control)[instance]
    assert (after.status_code, after.reason) == ("INACTIVE", "EXCLUDED_BY_TAG")
    assert after.scan_mode == before.scan_mode
    assert after.scanned_at == (read_at if end is State.DONE else before.scanned_at)


def test_an_instance_that_was_excluded_for_a_while_gets_its_findings_back(
    control: FleetService, cloud: LocalCloud, image: Path
) -> None:
    instance = add(cloud, image)
    round_of(control)
    round_of(control)
    ec2 = Session().client("ec2", region=REGION)
    tag: TagTypeDef = {"Key": "InspectorEc2Exclusion", "Value": ""}
    ec2.create_tags(Resources=[instance], Tags=[tag])
    round_of(control)
    assert covered(control)[instance].reason == "EXCLUDED_BY_TAG"
    assert list(control.store.findings.rows(instance=instance)) == []

    ec2.delete_tags(Resources=[instance], Tags=[tag])
    assert round_of(control) == 1, "its inventory is unchanged, and evaluated all the same"

    assert covered(control)[instance].reason == "SUCCESSFUL"
    assert len(list(control.store.findings.rows(instance=instance))) == 1


def test_a_denial_stays_in_coverage_until_the_next_round_succeeds(
    control: FleetService, cloud: LocalCloud, image: Path
) -> None:
    add(cloud, image)
    cloud.plan = FaultPlan([Rule(FaultKind.ACCESS_DENIED, "ssm:*")])
    round_of(control)
    control.scans.start_everywhere([HERE], Configuration(), on_demand=False)
    assert covered(control)[f"{REGION}:*"].reason == "ACCESS_DENIED", "a discovery keeps it"

    cloud.plan = FaultPlan([])
    agents_only(control)

    assert f"{REGION}:*" not in covered(control)


def test_one_account_regions_failure_of_any_kind_stops_no_other(
    control: FleetService, cloud: LocalCloud, image: Path
) -> None:
    add(cloud, image)
    there = add(cloud, image, region="eu-west-1")
    places = [HERE, AccountRegion(ACCOUNT, "eu-west-1")]
    assert control.agent_scans is not None
    control.scans.start_everywhere(places, Configuration(), on_demand=False)
    real = control.agent_scans._agents.ensure

    def ensure(account_region: AccountRegion, wanted: object) -> object:
        if account_region == HERE:
            raise LimitError("more than 1000000 objects", where="s3://bucket")
        return real(account_region, wanted)  # type: ignore[arg-type]

    control.agent_scans._agents.ensure = ensure  # type: ignore[method-assign,assignment]
    agents_only(control)

    assert covered(control)[f"{REGION}:*"].reason == "INTERNAL_ERROR"
    assert covered(control)[there].reason == "SUCCESSFUL"


def test_a_denied_account_region_says_so_and_the_agentless_scan_goes_on(
    control: FleetService, cloud: LocalCloud, image: Path
) -> None:
    add(cloud, image)
    cloud.plan = FaultPlan([Rule(FaultKind.ACCESS_DENIED, "ssm:*")])

    started = control.scans.start_everywhere([HERE], Configuration(), on_demand=False)
    assert control.agent_scans is not None
    assert control.agent_scans.run(started.reached) == 0

    entry = covered(control)[f"{REGION}:*"]
    assert entry.reason == "ACCESS_DENIED"
    assert "describe_instance_information: AccessDeniedException" in entry.detail
    assert len(started.scans) == 1


def test_language_packages_stay_where_associations_are_denied_after_a_restart(
    control: FleetService, cloud: LocalCloud, image: Path
) -> None:
    instance = add(cloud, image)
    cloud.set_commands(instance, output=output(tar(FLASK, RACK)))
    round_of(control)
    round_of(control)
    before = control.store.findings.inventory(ACCOUNT, instance)
    assert {"flask", "rack"} < {package.name for package in before.packages}
    reason = covered(control)[instance].reason
    cloud.plan = FaultPlan([Rule(FaultKind.ACCESS_DENIED, "ssm:ListAssociations")])
    assert control.agent_scans is not None
    control.agent_scans._agents.reports.clear()
    control.agent_scans._agents.deep_reports.clear()

    round_of(control)

    assert control.store.findings.inventory(ACCOUNT, instance) == before
    assert covered(control)[f"{REGION}:*"].reason == "ACCESS_DENIED"
    assert covered(control)[instance].reason == reason


def test_a_full_quota_of_data_syncs_is_covered_and_inventories_are_read_by_the_api(
    control: FleetService, cloud: LocalCloud, image: Path
) -> None:
    ssm = Session().client("ssm", region=REGION)
    Session().client("s3").create_bucket(Bucket="elsewhere")
    for number in range(5):
        ssm.create_resource_data_sync(
            SyncName=f"s{number}",
            S3Destination={"BucketName": "elsewhere", "SyncFormat": "JsonSerDe", "Region": REGION},
        )
    instance = add(cloud, image)
    round_of(control)

    assert round_of(control) == 1

    entries = covered(control)
    assert entries[f"{REGION}:*"].reason == "EC2_SSM_RESOURCE_DATA_SYNC_LIMIT_EXCEEDED"
    assert "delete one" in entries[f"{REGION}:*"].detail
    assert entries[instance].reason == "SUCCESSFUL"


def test_an_account_that_is_not_configured_is_left_alone(
    control: FleetService, cloud: LocalCloud, image: Path
) -> None:
    add(cloud, image)
    assert control.agent_scans is not None

    assert control.agent_scans.run([AccountRegion("999999999999", REGION)]) == 0

    assert cloud.calls("CreateAssociation") == 0


def test_without_an_advisory_database_associations_are_kept_and_nothing_is_evaluated(
    control: FleetService, cloud: LocalCloud, image: Path, tmp_path: Path
) -> None:
    instance = add(cloud, image)
    round_of(control)
    (tmp_path / "advisories.db").write_bytes(b"damaged")

    assert round_of(control) == 0

    assert cloud.answers("CreateAssociation") == 2  # the inventory's, and deep inspection's
    assert covered(control)[instance].scanned_at is None
