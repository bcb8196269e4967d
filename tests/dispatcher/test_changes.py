"""Events of instances through SQS: scanned at once, in whatever number and order they come."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from dispatcher.changes import instance_states
from dispatcher.discovery.accounts import AccountRegion, ScanScope
from dispatcher.loop import DispatcherLoop, Intervals
from dispatcher.on_demand import in_process
from dispatcher.planning.eligibility import Configuration
from sidelight.aws.session import Session
from sidelight.fleet.settings import Settings
from sidelight.localcloud.faults import FaultKind, FaultPlan, Rule
from sidelight.store import Store
from tests.fakes.clocks import Clock

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dispatcher.changes.event_receiver import EventReceiver
    from dispatcher.services.fleet_service import FleetService
    from sidelight.localcloud.server import LocalCloud

pytestmark = pytest.mark.services
ACCOUNT, REGION = "123456789012", "us-east-1"


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    path = tmp_path / "disk.img"
    path.write_bytes(bytes(1 << 20))
    return path


class Bus:
    """EventBridge with a rule that delivers to a queue."""

    def __init__(self) -> None:
        self._sqs = Session().client("sqs", region=REGION)
        self.queue = str(self._sqs.create_queue(QueueName="changes")["QueueUrl"])

    def put(self, body: str) -> None:
        """Deliver any message."""
        self._sqs.send_message(QueueUrl=self.queue, MessageBody=body)

    def send(self, instance: str, state: str, **changes: str) -> str:
        """Deliver an instance's event; its text."""
        source, detail_type = instance_states.KIND
        body = {
            "version": "0", "id": str(uuid.uuid4()), "source": source, "detail-type": detail_type,
            "account": ACCOUNT, "region": REGION, "time": datetime.now(UTC).isoformat(),
            "resources": [], "detail": {"instance-id": instance, "state": state}, **changes,
        }  # fmt: skip
        self.put(json.dumps(body))
        return json.dumps(body)

    def left(self) -> int:
        """How many messages were not deleted."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        found = self._sqs.get_queue_attributes(QueueUrl=self.queue, AttributeNames=names)
        return sum(int(value) for value in found["Attributes"].values())


@pytest.fixture
def bus(cloud: LocalCloud) -> Bus:
    assert cloud.endpoint
    return Bus()


@pytest.fixture
def control(tmp_path: Path, cloud: LocalCloud, bus: Bus) -> Iterator[FleetService]:
    assert cloud.endpoint
    settings = Settings.of(store_url=f"sqlite:///{tmp_path}/store.db", event_queue=bus.queue)
    clock = Clock()
    clock.time = datetime.now(UTC)
    store = Store(settings.store.url, clock=clock)
    store.migrate()
    control = in_process(settings, store=store)
    yield control
    control.close()


@pytest.fixture
def receiver(control: FleetService) -> EventReceiver:
    """The receiver of a dispatcher that has discovered its account-region."""
    loop = DispatcherLoop(control, ScanScope(), Configuration(), pace=Intervals())
    assert loop._round()
    assert loop._receiver is not None
    return loop._receiver


def reasons(control: FleetService) -> dict[str, str]:
    return {row.instance: row.reason for row in control.store.instances.coverage()}


def test_an_instance_that_is_launched_is_discovered_and_scanned_at_once(
    control: FleetService, cloud: LocalCloud, receiver: EventReceiver, bus: Bus, disk: Path
) -> None:
    instance = cloud.add_instance("web", [disk])
    body = bus.send(instance, "running")
    bus.put(body)  # SQS delivers at least once

    receiver.turn()

    assert [scan.instance for scan in control.store.scans.select(live=True)] == [instance]
    assert reasons(control) == {instance: "PENDING_INITIAL_SCAN"}
    assert bus.left() == 0
    # It has its time of day as any other.
    (place,) = control.scans.discovered()
    discovery = control.scans._discovered.get(place)
    assert discovery is not None
    assert [one.id for one in discovery.instances] == [instance]
    bus.put(body)
    calls = cloud.answers("DescribeInstances")
    receiver.turn()
    assert cloud.answers("DescribeInstances") == calls, "a repeated event asks nothing"


def test_an_instance_that_ends_is_covered_so_and_its_findings_are_closed(
    control: FleetService, cloud: LocalCloud, receiver: EventReceiver, bus: Bus, disk: Path
) -> None:
    instance = cloud.add_instance("web", [disk])
    bus.send(instance, "running")
    receiver.turn()
    Session().client("ec2", region=REGION).terminate_instances(InstanceIds=[instance])
    bus.send(instance, "terminated")
    receiver.turn()
    assert reasons(control)[instance] == "RESOURCE_TERMINATED"
    assert control.store.instances.is_gone(ACCOUNT, instance)


def test_a_forged_end_of_an_instance_that_runs_changes_nothing(
    control: FleetService, cloud: LocalCloud, receiver: EventReceiver, bus: Bus, disk: Path
) -> None:
    instance = cloud.add_instance("web", [disk])
    bus.send(instance, "running")
    receiver.turn()
    bus.send(instance, "terminated")
    receiver.turn()
    assert reasons(control) == {instance: "PENDING_INITIAL_SCAN"}
    assert not control.store.instances.is_gone(ACCOUNT, instance)


def test_an_event_of_another_account_or_of_nothing_is_dropped(
    control: FleetService, cloud: LocalCloud, receiver: EventReceiver, bus: Bus
) -> None:
    calls = cloud.answers("DescribeInstances")
    bus.send("i-00000001", "running", account="999999999999")
    bus.send("i-00000001", "running", region="eu-west-1")
    bus.put("[]")
    receiver.turn()
    assert bus.left() == 0
    assert cloud.answers("DescribeInstances") == calls
    assert reasons(control) == {}


def test_an_instance_that_ec2_does_not_list_yet_comes_again(
    control: FleetService, receiver: EventReceiver, bus: Bus
) -> None:
    bus.send("i-0123456789abcdef0", "running")
    receiver.turn()
    assert bus.left() == 1
    assert reasons(control) == {}


def test_a_refusal_of_ec2_leaves_the_event_in_the_queue_and_says_so(
    cloud: LocalCloud, receiver: EventReceiver, bus: Bus, disk: Path
) -> None:
    bus.send(cloud.add_instance("web", [disk]), "running")
    cloud.plan = FaultPlan([Rule(FaultKind.ACCESS_DENIED, "DescribeInstances")])
    receiver.turn()
    assert bus.left() == 1
    assert "DescribeInstances" in receiver.error or "describe_instances" in receiver.error


def test_an_instance_launched_while_a_discovery_lists_is_not_taken_for_a_terminated_one(
    control: FleetService, cloud: LocalCloud, receiver: EventReceiver, bus: Bus, disk: Path
) -> None:
    (place,) = control.scans.discovered()
    ec2 = control.ec2(place)
    clock: Any = control.store.clock
    real = ec2.instances

    def instances() -> list[Any]:
        listed = real()
        clock.advance(1)
        bus.send(cloud.add_instance("late", [disk]), "running")
        receiver.turn()
        clock.advance(1)
        return listed

    ec2.instances = instances  # type: ignore[method-assign]
    control.scans._discoverer._ec2 = lambda _place: ec2
    control.scans.start_everywhere([place], Configuration(), on_demand=False)
    assert list(reasons(control).values()) == ["PENDING_INITIAL_SCAN"]


def test_the_dispatcher_receives_while_it_is_active_and_ends_at_once(
    control: FleetService, cloud: LocalCloud, bus: Bus, disk: Path
) -> None:
    loop = DispatcherLoop(control, ScanScope(), Configuration(), pace=Intervals())
    instance = cloud.add_instance("web", [disk])
    beats = 0

    def wait(_seconds: float) -> None:
        nonlocal beats
        beats += 1
        loop._rounds.join()
        if beats == 1:
            bus.send(instance, "stopped")
        elif bus.left() == 0 or beats > 500:
            loop.stop()
        else:
            loop._stop.wait(0.02)

    loop.run(wait)
    assert bus.left() == 0
    assert loop._receiving is not None
    assert not loop._receiving.is_alive()
    assert control.scans.is_discovered(AccountRegion(ACCOUNT, REGION))
