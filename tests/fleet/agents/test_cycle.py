"""Rounds of the agent-based method on a local cloud: findings follow what agents send."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from sidelight.advisories import AdvisoryDatabase, build
from sidelight.aws.session import Session
from sidelight.aws.ssm.collected_objects import CollectedObjects, prefix_of
from sidelight.errors import AccessDeniedError
from sidelight.fleet.advisory_file import Opened
from sidelight.fleet.agents.associations_plan import SyncTarget
from sidelight.fleet.agents.cycle import AgentCycle
from sidelight.fleet.agents.deep_inspection.resources import DeepReport
from sidelight.fleet.agents.ssm_resources import SsmResources
from sidelight.inventory.ssm.items import APPLICATION
from sidelight.localcloud.faults import FaultKind, FaultPlan, Rule
from sidelight.localcloud.server import LocalCloud
from sidelight.store import Store
from tests.fixtures.collector_outputs import FLASK, RACK, output, tar
from tests.fixtures.store_templates import lay

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sidelight.fleet.agents.cycle import CycleResult

pytestmark = pytest.mark.services
BUCKET = "inventories-of-the-fleet"
HALF_AN_HOUR = 1800


class Place(NamedTuple):
    account: str = "123456789012"
    region: str = "us-east-1"


HERE = Place()


def bash(version: str) -> dict[str, str]:
    source = f"bash-{version}-1.amzn2023.src.rpm"
    return {"Name": "bash", "Version": version, "Release": "1.amzn2023", "Architecture": "x86_64",
            "Publisher": "Amazon Linux", "PackageId": source}  # fmt: skip


class Rounds:
    """A local cloud with a fleet's store, and the rounds that are run on it."""

    def __init__(self, cloud: LocalCloud, folder: Path, bucket: str) -> None:
        self.cloud = cloud
        self.image = folder / "disk.img"
        self.image.write_bytes(bytes(1 << 20))
        record = {
            "id": "ALAS2023-2026-001", "modified": "2026-01-01T00:00:00Z",
            "aliases": ["CVE-2026-0001"],
            "affected": [{
                "package": {"ecosystem": "Amazon Linux:2023", "name": "bash"},
                "ranges": [{"type": "ECOSYSTEM",
                            "events": [{"introduced": "0"}, {"fixed": "5.2.20-1.amzn2023"}]}],
            }],
        }  # fmt: skip
        (folder / "feed.json").write_text(json.dumps(record))
        build([folder / "feed.json"], folder / "advisories.db")
        self.advisories = Opened(AdvisoryDatabase.open(folder / "advisories.db"))
        url = f"sqlite:///{folder}/fleet.db"
        lay(url)
        self.store = Store(url)
        self.store.reevaluation.notice(self.advisories)
        self.session = Session()
        self.session.client("s3").create_bucket(Bucket=BUCKET)
        target = SyncTarget(bucket, "us-east-1")
        self.resources = SsmResources(self.session, target)
        self.cycle = AgentCycle(self.store, self.session, target)

    def add(self, version: str) -> str:
        return self.cloud.add_instance(
            "web",
            [self.image],
            ssm={"PlatformName": "Amazon Linux", "PlatformVersion": "2023"},
            inventory={APPLICATION: [bash(version)]},
        )

    def run(self) -> CycleResult:
        self.resources.ensure(HERE)
        managed = self.resources.managed(HERE).values()
        has_sync = self.resources.reports[HERE.account, HERE.region].has_sync
        return self.cycle.run(HERE, managed, self.advisories, has_sync=has_sync)

    def open(self) -> set[tuple[str, str]]:
        return {
            (row.instance, row.package_finding.vulnerability) for row in self.store.findings.rows()
        }


@pytest.fixture(params=[BUCKET, ""], ids=["by the bucket", "by the API"])
def rounds(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Rounds]:
    with LocalCloud(tmp_path / "cloud") as cloud:
        for name, value in cloud.environment().items():
            monkeypatch.setenv(name, value)
        created = Rounds(cloud, tmp_path, request.param)
        yield created
        created.store.close()


def test_findings_follow_what_an_agent_sends(rounds: Rounds) -> None:
    old, new = rounds.add("5.2.15"), rounds.add("5.2.20")

    first = rounds.run()

    assert sorted(first.evaluated) == sorted([old, new])
    assert rounds.open() == {(old, "CVE-2026-0001")}
    rounds.cloud.install(old, APPLICATION, [bash("5.2.21")])
    rounds.cloud.clock.advance(HALF_AN_HOUR)
    second = rounds.run()
    assert second.evaluated == (old,)
    assert (second.counts.parsed, second.findings.closed) == (1, 1)
    assert rounds.open() == set()


def test_an_unchanged_fleet_is_not_parsed_again(rounds: Rounds) -> None:
    for _ in range(5):
        rounds.add("5.2.15")
    assert rounds.run().counts.parsed == 5

    at_once = rounds.run()
    rounds.cloud.clock.advance(HALF_AN_HOUR)
    after_the_next_run = rounds.run()

    assert (at_once.counts.fetched, at_once.counts.parsed) == (0, 0)
    assert (after_the_next_run.counts.fetched, after_the_next_run.counts.parsed) == (5, 0)
    assert len(rounds.open()) == 5


@pytest.mark.parametrize("rounds", [""], indirect=True)
def test_one_instances_refusal_leaves_the_others_evaluated(rounds: Rounds) -> None:
    first, second = rounds.add("5.2.15"), rounds.add("5.2.15")
    rounds.run()
    rounds.cloud.install(first, APPLICATION, [bash("5.2.21")])
    rounds.cloud.install(second, APPLICATION, [bash("5.2.21")])
    rounds.cloud.clock.advance(HALF_AN_HOUR)
    rule = Rule(FaultKind.ACCESS_DENIED, "ssm:ListInventoryEntries", nth=(1,))
    rounds.cloud.plan = FaultPlan([rule])

    result = rounds.run()

    ((failed, why),) = result.failures
    assert "list_inventory_entries" in why
    assert {failed, *result.evaluated} == {first, second}
    assert rounds.open() == {(failed, "CVE-2026-0001")}
    again = rounds.run()
    assert again.evaluated == (failed,)
    assert rounds.open() == set()


@pytest.mark.parametrize("rounds", [BUCKET], indirect=True)
@pytest.mark.parametrize(
    "time", ["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "2099-12-31T00:00:00Z", 7]
)
def test_one_instances_impossible_capture_time_leaves_the_others_evaluated(
    rounds: Rounds, time: object
) -> None:
    hostile, other = rounds.add("5.2.20"), rounds.add("5.2.20")
    rounds.run()
    put_object(hostile, {**bash("5.2.15"), "captureTime": time})
    put_object(other, bash("5.2.15"))

    result = rounds.run()

    assert set(result.evaluated) == {hostile, other}
    assert rounds.open() == {(hostile, "CVE-2026-0001"), (other, "CVE-2026-0001")}
    taken = rounds.store.taken_inventories.get(HERE.account, hostile)
    assert taken is not None
    assert taken.origin.taken_at <= rounds.store.clock()


def test_an_instance_of_an_unknown_system_leaves_the_others_evaluated(rounds: Rounds) -> None:
    unknown = rounds.cloud.add_instance(
        "odd", [rounds.image],
        ssm={"PlatformName": "Plan 9", "PlatformVersion": "4"},
        inventory={APPLICATION: [{"Name": "rc"}]},
    )  # fmt: skip
    other = rounds.add("5.2.15")

    result = rounds.run()

    assert set(result.evaluated) == {unknown, other}
    assert rounds.open() == {(other, "CVE-2026-0001")}
    problems = rounds.store.findings.inventory(HERE.account, unknown).problems
    assert "the operating system 'Plan 9' is not known" in problems[0].what


@pytest.mark.parametrize("rounds", [BUCKET], indirect=True)
def test_a_role_that_may_not_list_outputs_evaluates_the_systems_packages(
    rounds: Rounds, monkeypatch: pytest.MonkeyPatch
) -> None:
    instance = rounds.add("5.2.15")
    rounds.resources.ensure(HERE)
    managed = rounds.resources.managed(HERE).values()

    def denied(*_arguments: object) -> None:
        raise AccessDeniedError("ListObjectsV2: AccessDenied", where="s3://bucket")

    monkeypatch.setattr(CollectedObjects, "newest", denied)

    result = rounds.cycle.run(HERE, managed, rounds.advisories, has_sync=True, deep=DeepReport())

    assert result.evaluated == (instance,)
    assert "AccessDenied" in result.deep[instance].detail
    assert rounds.open() == {(instance, "CVE-2026-0001")}


@pytest.mark.parametrize("rounds", [BUCKET], indirect=True)
def test_packages_of_an_output_that_is_gone_stay_until_there_is_another(rounds: Rounds) -> None:
    instance = rounds.add("5.2.15")
    s3 = Session().client("s3")
    key = f"{prefix_of('', HERE.account, HERE.region)}/{instance}/collect/stdout"
    s3.put_object(Bucket=BUCKET, Key=key, Body=output(tar(FLASK, RACK)))

    def packages(deep: DeepReport | None) -> dict[str, str]:
        rounds.resources.ensure(HERE)
        managed = rounds.resources.managed(HERE).values()
        rounds.cycle.run(HERE, managed, rounds.advisories, has_sync=True, deep=deep)
        found = rounds.store.findings.inventory(HERE.account, instance)
        return {package.name: package.version for package in found.packages}

    both = {"flask": "2.0.0", "rack": "1.0.0"}
    assert packages(DeepReport()) == {"bash": "5.2.15-1.amzn2023", **both}
    s3.delete_object(Bucket=BUCKET, Key=key)
    assert packages(DeepReport()) == {"bash": "5.2.15-1.amzn2023", **both}
    rounds.cloud.install(instance, APPLICATION, [bash("5.2.21")])
    rounds.cloud.clock.advance(HALF_AN_HOUR)
    assert packages(DeepReport()) == {"bash": "5.2.21-1.amzn2023", **both}
    s3.put_object(Bucket=BUCKET, Key=key, Body=output(tar(FLASK)))
    assert packages(DeepReport()) == {"bash": "5.2.21-1.amzn2023", "flask": "2.0.0"}
    assert packages(None) == {"bash": "5.2.21-1.amzn2023"}


@pytest.mark.parametrize("rounds", [""], indirect=True)
def test_an_instance_whose_clock_was_ahead_is_read_once_its_clock_is_right(rounds: Rounds) -> None:
    instance = rounds.add("5.2.15")
    rounds.run()
    send(instance, "5.2.16", "2099-12-31T00:00:00Z")
    assert rounds.run().evaluated == (instance,)

    send(instance, "5.2.21", "2026-12-31T00:00:00Z")

    assert rounds.run().evaluated == (instance,)
    assert rounds.open() == set()


def put_object(instance: str, entry: dict[str, Any]) -> None:
    """Write what the data sync would write of an instance's applications."""
    folder = f"{APPLICATION}/accountid={HERE.account}/region={HERE.region}"
    key = f"{folder}/resourcetype=ManagedInstanceInventory/{instance}.json"
    Session().client("s3").put_object(Bucket=BUCKET, Key=key, Body=json.dumps(entry).encode())


def send(instance: str, version: str, time: str) -> None:
    """Send an inventory as an instance's agent does."""
    Session().client("ssm", region=HERE.region).put_inventory(
        InstanceId=instance,
        Items=[{
            "TypeName": APPLICATION, "SchemaVersion": "1.1", "CaptureTime": time,
            "Content": [bash(version)],
        }],
    )  # fmt: skip
