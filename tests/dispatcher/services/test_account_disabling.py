"""Disabling an account, against a local cloud: nothing of ours is left in it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from dispatcher.discovery.accounts import AccountRegion, ScanScope
from dispatcher.on_demand import disabler_in_process, in_process, run_stage
from dispatcher.planning.configuration_rules import ConfigurationChange
from dispatcher.planning.eligibility import Configuration
from sidelight.errors import CloudError
from sidelight.fleet.bootstrap import make_context
from sidelight.fleet.settings import Settings
from sidelight.localcloud.faults import FaultKind, FaultPlan, Rule
from sidelight.model import (
    AccountStatus,
    CreatedResource,
    ManagedInstance,
    ResourceKind,
    ScanType,
    State,
)
from sidelight.report.as_json import dumps
from sidelight.store import Store
from tests.fakes.clocks import Clock
from tests.fixtures.document_schemas import conform
from tests.fixtures.local_messages import messages_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from dispatcher.services.account_disabling import AccountDisabler, DisableResult
    from dispatcher.services.fleet_service import FleetService
    from sidelight.localcloud.server import LocalCloud
    from sidelight.model import EffectiveConfiguration

pytestmark = [pytest.mark.services, pytest.mark.images]
ACCOUNT, REGION = "123456789012", "us-east-1"
DAY = 86_400


@dataclass
class Agents:
    """Systems Manager with resources of ours in each region, which it may refuse to remove."""

    resources: list[str] = field(default_factory=lambda: ["association", "data sync"])
    refuses: bool = False

    def managed(self, _place: AccountRegion) -> dict[str, ManagedInstance]:
        return {}

    def planned(self, _place: AccountRegion, _wanted: EffectiveConfiguration) -> Sequence[str]:
        return []

    def ensure(self, _place: AccountRegion, _wanted: EffectiveConfiguration) -> Sequence[str]:
        return []

    def present(self, _place: AccountRegion) -> Sequence[str]:
        return list(self.resources)

    def remove(self, account_region: AccountRegion) -> Sequence[str]:
        if self.refuses:
            raise CloudError("DeleteAssociation: TooManyUpdates", where=account_region.region)
        removed, self.resources = self.resources, []
        return removed


@pytest.fixture
def control(tmp_path: Path, advisories: Path, cloud: LocalCloud) -> Iterator[FleetService]:
    assert cloud.endpoint
    settings = Settings.of(
        store_url=f"sqlite:///{tmp_path}/store.db", advisories=str(advisories),
        poll_seconds=0.0, backoff_seconds=0.01,
    )  # fmt: skip
    store = Store(settings.store.url, clock=Clock())
    store.migrate()
    control = in_process(settings, store=store, agents=Agents())
    yield control
    control.close()


def start(control: FleetService) -> None:
    control.scans.start_everywhere(control.look_up(ScanScope()), Configuration(), on_demand=True)


def run(control: FleetService, *, until: State | None = None) -> None:
    """Run all stages, or those before a state."""
    context = make_context(control.settings, store=control.store)
    clock: Any = control.store.clock
    while messages_of(control):
        scan, following = messages_of(control).popleft()
        if following.state is until:
            continue
        clock.advance(following.delay)
        upcoming = run_stage(context, scan, following.state)
        if upcoming is not None:
            control.queue.publish(scan, upcoming)


def finish(control: FleetService, disabler: AccountDisabler) -> list[DisableResult]:
    """Run it until it is complete: a pending snapshot is deleted when EC2 has completed it."""
    clock: Any = control.store.clock
    results = []
    for _ in range(60):
        results.append(disabler.run(ACCOUNT))
        if results[-1].complete:
            return results
        clock.advance(60.0)
    raise AssertionError(results[-1])


def status(control: FleetService) -> AccountStatus:
    return control.configuration.effective([ACCOUNT])[0].status


@pytest.mark.parametrize("reached", [State.SNAPSHOTS_PENDING, State.READING, State.DELETING, None])
def test_disabling_ends_scans_in_any_stage_and_leaves_nothing(
    control: FleetService, cloud: LocalCloud, image: Path, reached: State | None
) -> None:
    cloud.add_instance("web", [image])
    start(control)
    run(control, until=reached)
    disabler = disabler_in_process(control)
    planned = disabler.plan(ACCOUNT)
    assert len(planned.snapshots) == len(cloud.snapshots()) == (0 if reached is None else 1)
    assert (len(planned.scans), planned.instances) == (0 if reached is None else 1, 1)
    assert planned.resources == ("us-east-1: association", "us-east-1: data sync")
    control.configuration.begin_disable([ACCOUNT])
    assert disabler.pending() == [ACCOUNT]
    results = finish(control, disabler)
    assert results[-1].left == ()
    conform("fleet-disabled-accounts", json.loads(dumps([asdict(item) for item in results])))
    assert results[0].removed == planned.resources
    assert {name for result in results for name in result.deleted} == set(planned.snapshots)
    assert cloud.snapshots() == []
    assert status(control) is AccountStatus.DISABLED
    assert disabler.pending() == []
    assert control.store.instances.coverage(None) == [], "a disabled account has no coverage"
    # Nothing starts there any more, and nothing is asked.
    calls = cloud.calls("DescribeInstances")
    start(control)
    assert control.store.scans.select(live=True) == []
    assert cloud.calls("DescribeInstances") == calls


def test_what_aws_refuses_keeps_the_account_pending_and_coverage_says_so(
    control: FleetService, cloud: LocalCloud, image: Path
) -> None:
    cloud.add_instance("web", [image])
    start(control)
    run(control, until=State.READING)
    control.configuration.begin_disable([ACCOUNT])
    cloud.plan = FaultPlan([Rule(FaultKind.ACCESS_DENIED, "ec2:DeleteSnapshot")])
    disabler = disabler_in_process(control)
    result = disabler.run(ACCOUNT)
    assert not result.complete
    assert len(result.left) == 1
    assert status(control) is AccountStatus.PENDING_DISABLE
    (row,) = control.store.instances.coverage()
    assert (row.status_code, row.reason) == ("INACTIVE", "PENDING_DISABLE")
    assert control.configuration.enable([ACCOUNT], ConfigurationChange()).failed
    cloud.plan = FaultPlan()
    finish(control, disabler)
    assert status(control) is AccountStatus.DISABLED
    assert cloud.snapshots() == []


def test_a_resource_that_cannot_be_removed_keeps_the_account_pending(
    control: FleetService, cloud: LocalCloud, image: Path
) -> None:
    cloud.add_instance("web", [image])
    start(control)
    run(control)
    agents = control.agents
    assert isinstance(agents, Agents)
    agents.refuses = True
    control.configuration.begin_disable([ACCOUNT])
    result = control.disabler.run(ACCOUNT)
    assert (result.complete, len(result.failures)) == (False, 1)
    assert "TooManyUpdates" in result.failures[0]
    agents.refuses = False
    assert control.disabler.run(ACCOUNT).complete


def test_findings_go_a_day_after_disabling_unless_the_account_is_enabled_again(
    control: FleetService, cloud: LocalCloud, image: Path
) -> None:
    cloud.add_instance("web", [image])
    store, clock = control.store, control.store.clock
    start(control)
    run(control)
    count = len(list(store.findings.rows()))
    assert count > 0
    control.configuration.begin_disable([ACCOUNT])
    assert control.disabler.run(ACCOUNT).complete
    assert isinstance(clock, Clock)
    clock.advance(DAY - 1)
    store.retention.run()
    assert len(list(store.findings.rows())) == count
    control.configuration.enable([ACCOUNT], ConfigurationChange())
    clock.advance(DAY)
    assert store.retention.run().findings == 0
    control.configuration.begin_disable([ACCOUNT])
    assert control.disabler.run(ACCOUNT).complete
    clock.advance(DAY)
    assert store.retention.run().findings == count
    assert list(store.findings.rows(status=None)) == []
    assert store.instances.known() == []


def test_an_account_that_is_enabled_again_is_scanned_at_once(
    control: FleetService, cloud: LocalCloud, image: Path
) -> None:
    name = cloud.add_instance("web", [image])
    start(control)
    run(control)
    control.configuration.begin_disable([ACCOUNT])
    assert control.disabler.run(ACCOUNT).complete
    control.configuration.enable([ACCOUNT], ConfigurationChange())
    start(control)
    run(control)
    (row,) = control.store.instances.coverage()
    assert (row.status_code, row.reason) == ("ACTIVE", "SUCCESSFUL")
    history = control.store.coverage_history.of([(ACCOUNT, name)])
    reasons = [change.reason for change in history if change.scan_type == ScanType.PACKAGE]
    assert reasons == [
        "PENDING_INITIAL_SCAN", "SUCCESSFUL", "PENDING_DISABLE", "PENDING_INITIAL_SCAN",
        "SUCCESSFUL",
    ]  # fmt: skip
    (network,) = control.store.instances.coverage(ScanType.NETWORK)
    assert network.reason == "PENDING_INITIAL_SCAN"


def test_what_work_in_flight_creates_after_a_disabling_is_removed_by_the_next_round(
    control: FleetService, cloud: LocalCloud, image: Path
) -> None:
    cloud.add_instance("web", [image])
    start(control)
    disabler = disabler_in_process(control)
    control.configuration.begin_disable([ACCOUNT])
    finish(control, disabler)
    assert disabler.pending() == []
    # A round of agents that had begun before: it creates, and records that.
    created = CreatedResource(ACCOUNT, "us-east-1", ResourceKind.SYSTEMS_MANAGER, "bucket")
    control.store.created_resources.record(created)
    assert disabler.pending() == [ACCOUNT]
    assert disabler.run(ACCOUNT).complete
    assert disabler.pending() == []
    assert status(control) is AccountStatus.DISABLED


def test_a_disabling_that_another_process_ended_does_nothing_once_the_account_is_enabled(
    control: FleetService, cloud: LocalCloud, image: Path
) -> None:
    cloud.add_instance("web", [image])
    disabler = disabler_in_process(control)
    control.configuration.begin_disable([ACCOUNT])
    finish(control, disabler)
    control.configuration.enable([ACCOUNT], ConfigurationChange())
    start(control)
    before = control.store.instances.coverage(None)
    result = disabler.run(ACCOUNT)
    assert (result.complete, result.ended, result.removed) == (False, 0, ())
    assert control.store.instances.coverage(None) == before != []
    assert len(control.store.scans.select(live=True)) == 1
