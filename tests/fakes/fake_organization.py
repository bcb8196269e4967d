"""An organization in one process: accounts, Regions, instances and their agents, moved by a clock.

`MachineScript` says what happens to an instance at which hour. EC2, Systems Manager and
Organizations are answered from it; the snapshots are those of `FakeEc2`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from dispatcher.discovery.accounts import AccountRegion, UnreachableTarget
from sidelight.aws.ssm.capture import Capture, digest_of
from sidelight.errors import AccessDeniedError
from sidelight.fleet.agents.association_manager import AssociationReport
from sidelight.fleet.agents.ssm_resources import DEFAULT_LIMITS
from sidelight.inventory.ssm.items import APPLICATION, InventoryItem
from sidelight.model import (
    Instance,
    ManagedInstance,
    PingStatus,
    PlatformType,
    SeenInventory,
    Volume,
)
from tests.fakes.fake_ec2 import FakeEc2
from tests.fakes.tripwire import Tripwire

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sidelight.aws.ec2 import SnapshotInfo
    from sidelight.fleet.agents.deep_inspection.resources import DeepReport
    from sidelight.model import DeepLimits
    from tests.fakes.clocks import Clock

PLATFORMS = {"": PlatformType.LINUX, "windows": PlatformType.WINDOWS}


@dataclass(frozen=True)
class MachineState:
    """An instance between two of its events. `inventory` is the age of its newest one, in hours.

    Without an `agent` Systems Manager does not list it; one that is not `online` lost its
    connection. With a `frozen` inventory the agent sends none any more.
    """

    state: str = "running"
    agent: bool = False
    online: bool = True
    frozen: bool = False
    inventory: float | None = 0.2
    version: str = "5.2.15"
    tags: tuple[tuple[str, str], ...] = ()
    volume_tags: tuple[tuple[str, str], ...] = ()
    volumes: int = 1
    platform: str = ""


@dataclass
class MachineScript:
    """An instance, and its states from the hours of the simulation on at which they begin."""

    id: str
    place: AccountRegion
    kind: str
    states: Sequence[tuple[float, MachineState | None]]

    def at(self, hour: float) -> tuple[float, MachineState] | None:
        """The state and since when; None where the instance does not exist."""
        begun = [(since, state) for since, state in self.states if since <= hour]
        if not begun or begun[-1][1] is None:
            return None
        since, state = begun[-1]
        assert state is not None
        return since, state


@dataclass
class FakeOrganization:
    """The organization. `denied` are account-regions where Systems Manager refuses."""

    clock: Clock
    machines: Sequence[MachineScript]
    places: Sequence[AccountRegion]
    start: datetime
    denied: set[AccountRegion] = field(default_factory=set)
    suspended: set[str] = field(default_factory=set)
    associations: set[AccountRegion] = field(default_factory=set)
    reports: dict[tuple[str, str], AssociationReport] = field(default_factory=dict)
    limits: DeepLimits = DEFAULT_LIMITS
    deep_reports: dict[tuple[str, str], DeepReport] = field(default_factory=dict)

    def __post_init__(self) -> None:
        trip = Tripwire(armed=False)
        self.clouds = {}
        for number, place in enumerate(self.places):
            ec2 = FakeEc2(self.clock, trip, place.account, 1 + number * 1_000_000)
            self.clouds[place] = AccountRegionCloud(self, place, ec2)
        self._by_place: dict[AccountRegion, list[MachineScript]] = {}
        for machine in self.machines:
            self._by_place.setdefault(machine.place, []).append(machine)

    @property
    def hour(self) -> float:
        """Hours since the simulation began."""
        return (self.clock() - self.start).total_seconds() / 3600

    def look_up(self, _wanted: object) -> list[AccountRegion | UnreachableTarget]:
        """The account-regions, then the suspended accounts."""
        error = AccessDeniedError("the account is SUSPENDED in its organization", where="here")
        return [
            *(place for place in self.places if place.account not in self.suspended),
            *(
                UnreachableTarget(account, "", error, account, suspended=True)
                for account in sorted(self.suspended)
            ),
        ]

    def present_at(
        self, account_region: AccountRegion
    ) -> list[tuple[MachineScript, float, MachineState]]:
        """The instances that exist now."""
        found = []
        for machine in self._by_place.get(account_region, ()):
            present = machine.at(self.hour)
            if present is not None:
                found.append((machine, *present))
        return found

    # Systems Manager's part: dispatcher.discovery.agents.AgentResources.
    def managed(self, account_region: AccountRegion) -> Mapping[str, ManagedInstance]:
        self._refuse(account_region)
        return {
            machine.id: self._managed(machine, since, state)
            for machine, since, state in self.present_at(account_region)
            if state.agent
        }

    def planned(self, account_region: AccountRegion, _wanted: object = None) -> Sequence[str]:
        return [] if account_region in self.associations else ["association"]

    def ensure(self, account_region: AccountRegion, _wanted: object = None) -> Sequence[str]:
        if account_region in self.denied:
            detail = "ssm:ListAssociations is denied"
            report = AssociationReport(reason="ACCESS_DENIED", detail=detail)
        else:
            self.associations.add(account_region)
            report = AssociationReport(has_sync=True)
        self.reports[account_region.account, account_region.region] = report
        return []

    def present(self, account_region: AccountRegion) -> Sequence[str]:
        return ["association"] if account_region in self.associations else []

    def remove(self, account_region: AccountRegion) -> Sequence[str]:
        self._refuse(account_region)
        there = self.present(account_region)
        self.associations.discard(account_region)
        return there

    def captures(self, account_region: AccountRegion) -> tuple[Captures, dict[str, str]]:
        """The inventories in the bucket, and their versions by instance."""
        found = {
            machine.id: state
            for machine, _, state in self.present_at(account_region)
            if state.agent
        }
        return Captures(found), {name: state.version for name, state in found.items()}

    def _managed(
        self, machine: MachineScript, since: float, state: MachineState
    ) -> ManagedInstance:
        online = state.online and state.state == "running"
        at = None
        if state.inventory is not None:
            # An agent that works sends each half hour; one that does not has an older and older.
            begun = since if state.frozen else self.hour if online else since
            at = self.start + timedelta(hours=begun - state.inventory)
        return ManagedInstance(
            machine.id,
            PingStatus.ONLINE if online else PingStatus.CONNECTION_LOST,
            platform_type=PLATFORMS[state.platform],
            platform_name="Amazon Linux" if not state.platform else "Windows Server 2022",
            platform_version="2023" if not state.platform else "10.0.20348",
            inventory_at=at,
        )

    def _refuse(self, account_region: AccountRegion) -> None:
        if account_region in self.denied:
            raise AccessDeniedError(
                "ssm:DescribeInstanceInformation is denied", where=str(account_region)
            )


@dataclass
class Captures:
    """Inventories of one package, whose version changes with an instance's state."""

    states: Mapping[str, MachineState]

    def read(self, instance_id: str, _seen: SeenInventory) -> Capture:
        state = self.states[instance_id]
        entry = {
            "Name": "bash", "Version": state.version, "Release": "1.amzn2023", "Epoch": "0",
            "Architecture": "x86_64", "Publisher": "Amazon Linux",
            "PackageId": f"bash-{state.version}-1.amzn2023.src.rpm",
        }  # fmt: skip
        item = InventoryItem(APPLICATION, [entry])
        return Capture(instance_id, {APPLICATION: item}, digest_of([item]))


class AccountRegionCloud:
    """EC2 of one account-region; a suspended account's refuses every call."""

    def __init__(
        self, world: FakeOrganization, account_region: AccountRegion, snapshots: FakeEc2
    ) -> None:
        self._world = world
        self._place = account_region
        self.snapshots = snapshots
        self.calls = 0

    @property
    def _calls(self) -> FakeEc2:
        """What answers a call. Raises AccessDeniedError."""
        if self._place.account in self._world.suspended:
            raise AccessDeniedError("the account is suspended", where=str(self._place))
        return self.snapshots

    def instances(self) -> list[Instance]:
        self.calls += 1
        known = self._calls.volumes
        found = [self._instance(*one) for one in self._world.present_at(self._place)]
        for instance in found:
            known[instance.id] = tuple(v.id for v in instance.volumes)
        return found

    def instances_by_id(self, ids: Sequence[str]) -> tuple[list[Instance], list[str]]:
        return [instance for instance in self.instances() if instance.id in ids], []

    def instance_status(self, instance_id: str) -> Any:
        there = {machine.id for machine, _, _ in self._world.present_at(self._place)}
        self._calls.instance_states[instance_id] = "running" if instance_id in there else ""
        return self._calls.instance_status(instance_id)

    def create_snapshots(
        self, instance_id: str, tags: Mapping[str, str], description: str
    ) -> list[SnapshotInfo]:
        return self._calls.create_snapshots(instance_id, tags, description)

    def snapshots_by_id(self, ids: Sequence[str]) -> list[SnapshotInfo]:
        return self._calls.snapshots_by_id(ids)

    def snapshots_by_tags(self, tags: Mapping[str, str | None]) -> list[SnapshotInfo]:
        return self._calls.snapshots_by_tags(tags)

    def pending_snapshots(self) -> list[SnapshotInfo]:
        return self._calls.pending_snapshots()

    def delete_snapshot(self, snapshot_id: str) -> bool:
        return self._calls.delete_snapshot(snapshot_id)

    def _instance(self, machine: MachineScript, _since: float, state: MachineState) -> Instance:
        volumes = tuple(
            Volume(f"vol-{machine.id[2:]}{number}", f"/dev/sd{number}", 8, tags=state.volume_tags)
            for number in range(state.volumes)
        )
        return Instance(
            machine.id, self._place.account, self._place.region, state.state, volumes,
            tags=state.tags, name=machine.kind, platform=state.platform,
            root_device_type="ebs" if state.volumes else "instance-store",
        )  # fmt: skip
