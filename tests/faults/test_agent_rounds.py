"""Agent-based scans: each call of Systems Manager and of the bucket x each fault.

A call fails in every way while rounds of the dispatcher go on. When the fault is over, the next
rounds evaluate the instance, and of what Sidelight makes in the account there is one of each: an
answer that was lost makes no second association.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from dispatcher.discovery.accounts import AccountRegion
from dispatcher.on_demand import in_process
from dispatcher.planning.configuration_rules import ConfigurationChange
from dispatcher.planning.eligibility import Configuration
from sidelight.advisories import build
from sidelight.aws.session import Session
from sidelight.fleet.settings import Settings
from sidelight.localcloud.faults import FaultKind, FaultPlan, Rule
from sidelight.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from dispatcher.services.fleet_service import FleetService
    from sidelight.localcloud.server import LocalCloud

    MakeControl = Callable[[str], FleetService]

pytestmark = [pytest.mark.services, pytest.mark.images]
ACCOUNT, REGION = "123456789012", "us-east-1"
HERE = AccountRegion(ACCOUNT, REGION)
BUCKET = "inventories-of-the-fleet"
HALF_AN_HOUR = 1800
ROUNDS = 4
# By how the inventories are read: from the bucket of a data sync, or by the API.
WITH_BUCKET = (
    "s3:",  # the local cloud does not distinguish the bucket's calls
    "ssm:CreateAssociation",
    "ssm:CreateDocument",
    "ssm:CreateResourceDataSync",
    "ssm:DescribeAssociation",
    "ssm:DescribeInstanceInformation",
    "ssm:GetDocument",
    "ssm:GetInventory",
    "ssm:ListAssociations",
    "ssm:ListResourceDataSync",
)
BY_API = ("ssm:ListInventoryEntries",)
FAULTS = {
    "throttled": Rule(FaultKind.THROTTLE, times=2),
    "5xx": Rule(FaultKind.SERVER_ERROR, times=2),
    "connection reset": Rule(FaultKind.DROP, times=2),
    "answer lost": Rule(FaultKind.LOST_ANSWER, times=1),
    "answer cut": Rule(FaultKind.TRUNCATE, times=1),
    "denied once": Rule(FaultKind.ACCESS_DENIED, times=1),
    "denied": Rule(FaultKind.ACCESS_DENIED),
}
# One of each kind at every run; the others belong to `make faults`.
SAMPLE = {
    ("ssm:CreateAssociation", "answer lost"),
    ("ssm:CreateDocument", "answer lost"),
    ("ssm:GetDocument", "denied"),
    ("ssm:CreateResourceDataSync", "answer lost"),
    ("ssm:ListAssociations", "denied"),
    ("ssm:CreateAssociation", "answer cut"),
    ("ssm:ListInventoryEntries", "5xx"),
    ("s3:", "answer cut"),
}
CASES = [
    pytest.param(
        call, fault, id=f"{call}-{fault}",
        marks=[] if (call, fault) in SAMPLE else [pytest.mark.long],
    )
    for call in (*WITH_BUCKET, *BY_API)
    for fault in FAULTS
]  # fmt: skip


@pytest.fixture
def make_agent_control(
    tmp_path: Path, cloud: LocalCloud, image: Path
) -> Iterator[tuple[LocalCloud, MakeControl, str]]:
    """An instance with an agent, and a control plane that reads its inventory."""
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
    package = {
        "Name": "bash", "Version": "5.2.15", "Release": "1.amzn2023", "Architecture": "x86_64",
        "Publisher": "Amazon Linux", "PackageId": "bash-5.2.15-1.amzn2023.src.rpm",
    }  # fmt: skip
    instance = cloud.add_instance(
        "agent", [image],
        ssm={"PlatformName": "Amazon Linux", "PlatformVersion": "2023"},
        inventory={"AWS:Application": [package]},
    )  # fmt: skip
    controls: list[FleetService] = []

    def make(bucket: str) -> FleetService:
        settings = Settings.of(
            store_url=f"sqlite:///{tmp_path}/agents.db", agents=True, inventory_bucket=bucket,
            advisories=str(tmp_path / "advisories.db"),
            # Not the subject: at the usual rates a test waits half a minute for its turns.
            ssm_read_per_second=1000.0, ssm_change_per_second=1000.0,
        )  # fmt: skip
        store = Store(settings.store.url)
        store.migrate()
        control = in_process(settings, store=store)
        controls.append(control)
        control.configuration.enable([ACCOUNT], ConfigurationChange())
        return control

    yield cloud, make, instance
    for control in controls:
        control.close()


def go_on(control: FleetService, cloud: LocalCloud, rounds: int = ROUNDS) -> None:
    """Rounds of the dispatcher, half an hour after each other."""
    assert control.agent_scans is not None
    for _ in range(rounds):
        started = control.scans.start_everywhere([HERE], Configuration(), on_demand=False)
        control.agent_scans.run(started.reached)
        cloud.clock.advance(HALF_AN_HOUR)


@pytest.mark.parametrize(("call", "fault"), CASES)
def test_a_fault_of_any_call_of_agent_scans_passes(
    make_agent_control: tuple[LocalCloud, MakeControl, str], call: str, fault: str
) -> None:
    cloud, make, instance = make_agent_control
    control = make("" if call in BY_API else BUCKET)
    rule = FAULTS[fault]
    before = cloud.calls(call)
    cloud.plan = FaultPlan([Rule(rule.kind, call, times=rule.times)])
    go_on(control, cloud)
    assert cloud.calls(call) > before, "not met"
    cloud.plan = FaultPlan()
    go_on(control, cloud)
    rows = {row.instance: row for row in control.store.instances.coverage()}
    # Deep inspection needs a bucket.
    reason = "DEEP_INSPECTION_NO_INVENTORY" if call in BY_API else "SUCCESSFUL"
    assert rows[instance].reason == reason
    assert f"{REGION}:*" not in rows
    found = control.store.findings.rows(instance=instance)
    assert [row.package_finding.vulnerability for row in found] == ["CVE-2026-0001"]
    ssm = Session().client("ssm", region=REGION)
    names = [one["AssociationName"] for one in ssm.list_associations()["Associations"]]
    inventory = "InspectorInventoryCollection-do-not-delete"
    deep = "InvokeInspectorLinuxSsmPlugin-do-not-delete"
    assert sorted(names) == ([inventory] if call in BY_API else [inventory, deep])
    syncs = ssm.list_resource_data_sync()["ResourceDataSyncItems"]
    assert len(syncs) == (0 if call in BY_API else 1)


@pytest.mark.parametrize("bucket", [BUCKET, ""])
def test_the_catalogue_has_every_call_of_agent_scans(
    make_agent_control: tuple[LocalCloud, MakeControl, str], bucket: str
) -> None:
    cloud, make, _ = make_agent_control
    control = make(bucket)
    cloud.counters.reset()
    go_on(control, cloud)
    operations = {one.operation for one in cloud.counters.tallies()}
    calls = {one for one in operations if one.startswith(("ssm:", "s3:"))}
    known = set(WITH_BUCKET) if bucket else {*WITH_BUCKET, *BY_API}
    assert calls <= known, "a new call needs a fault"
    assert calls >= (set(WITH_BUCKET) if bucket else set(BY_API))
