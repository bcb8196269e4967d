"""A week of an organization: 5 accounts, two of them in 2 Regions, 140 instances in every state.

`make faults` has 3 Regions of each account, and 500 instances.

The dispatcher's loop, planning, the stages and the store are real, on a clock by hand; AWS is
`FakeOrganization`. Each instance's coverage history is compared with the table `EXPECTED`.
"""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from dispatcher.agent_scans import AgentScans
from dispatcher.discovery.accounts import AccountRegion, ScanScope
from dispatcher.discovery.discoverer import Discoverer
from dispatcher.loop import DispatcherLoop, Intervals
from dispatcher.on_demand import in_process
from dispatcher.planning.cadence import DAY, last_time, time_of_day
from dispatcher.planning.configuration_rules import ConfigurationChange
from dispatcher.planning.eligibility import Configuration
from dispatcher.scan_starter import ScanStarter
from dispatcher.services.account_disabling import AccountDisabler
from dispatcher.services.configuration import ConfigurationService
from dispatcher.services.created_resources import CreatedResourceRemover
from dispatcher.sweeper import Sweeper
from sidelight.fleet.advisory_file import Unregistered
from sidelight.fleet.agents.associations_plan import SyncTarget
from sidelight.fleet.agents.collector import InventoryCollector
from sidelight.fleet.agents.cycle import AgentCycle
from sidelight.fleet.context import Context
from sidelight.fleet.settings import Settings
from sidelight.model import (
    AccountStatus,
    Ec2ScanMode,
    Finding,
    Inventory,
    OperatingSystem,
    Package,
    Severity,
    Status,
)
from sidelight.store import Store
from tests.fakes.clocks import Clock
from tests.fakes.fake_ec2 import FakeSource
from tests.fakes.fake_organization import FakeOrganization
from tests.fakes.tripwire import Tripwire
from tests.fixtures.simulated_weeks import (
    BY_AGENTS,
    DENIED,
    DENIED_FROM,
    DENIED_UNTIL,
    DISABLED,
    DISABLED_AT,
    HYBRID,
    SUSPENDED,
    SUSPENDED_AT,
    TICK,
    Simulation,
    expected,
    histories,
    machines,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dispatcher.services.fleet_service import FleetService
    from sidelight.errors import SidelightError
    from sidelight.fleet.agents.source_packages import ReleaseSources
    from sidelight.model import Scan


pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

START = datetime(2026, 3, 2, 7, 13, tzinfo=UTC)
HOURS = 7 * 24
REGIONS = ("us-east-1", "eu-west-1", "ap-south-1")
ACCOUNTS = (HYBRID, BY_AGENTS, DENIED, SUSPENDED, DISABLED)
DEPLOYMENT = "week"  # the times of periodic work follow from it


class OrganizationCycle(AgentCycle):
    """The round over the organization's inventories."""

    def __init__(self, store: Store, world: FakeOrganization) -> None:
        super().__init__(store, None, SyncTarget("", ""))  # type: ignore[arg-type]
        self._world = world

    def _collector(
        self, place: Any, sources: ReleaseSources, *, has_sync: bool
    ) -> InventoryCollector:
        del sources
        assert has_sync
        captures, versions = self._world.captures(place)
        return InventoryCollector(captures, None, versions)


class OrganizationDiscoverer(Discoverer):
    """The discovery without quotas, which AWS alone knows."""

    def _read_quotas(self, account: str, entered: str | None, region: str) -> None:
        """Nothing."""


class Advisories:
    """An advisory file of one vulnerability of bash."""

    def opened(self) -> Unregistered:
        return Unregistered(vulnerable)


def vulnerable(inventory: Inventory) -> list[Finding]:
    return [
        Finding("CVE-2026-1", Severity.HIGH, package, "5.2.20-1", ("ALAS-1",))
        for package in inventory.packages
        if package.version.startswith("5.2.15")
    ]


def service_of(
    store: Store, world: FakeOrganization, simulated: dict[str, list[datetime]]
) -> FleetService:
    """A control plane over the organization; its rounds are noted in `simulated`."""
    settings = Settings.of(store_url="sqlite://", deployment=DEPLOYMENT)
    service: Any = in_process(settings, store=store, agents=world)
    session: Any = None
    discoverer = OrganizationDiscoverer(
        store, session, lambda place: world.clouds[place], settings, service.deployment,
        agents=world,
    )  # fmt: skip
    service.look_up = world.look_up
    service.scans = ScanStarter(
        store=store, discoverer=discoverer, publish=service.queue.publish,
        deployment=service.deployment, agents=True,
    )  # fmt: skip
    ec2: Any = world.clouds.__getitem__
    service.sweeper = Sweeper(store, ec2, service.deployment)
    agents: Any = world
    advisories: Any = Advisories()
    scans = AgentScans(store, session, agents, SyncTarget("", ""), advisories)
    scans._cycle = OrganizationCycle(store, world)
    service.agent_scans = scans
    service.configuration = ConfigurationService(store, agent_based=True)
    resources = CreatedResourceRemover(store, session, settings, service.deployment, world)
    service.disabler = AccountDisabler(store, service.sweeper, resources)

    def noted(name: str, work: Any) -> Any:
        def run(*arguments: Any, **options: Any) -> Any:
            simulated.setdefault(name, []).append(world.clock())
            return work(*arguments, **options)

        return run

    scans.run = noted("agents", scans.run)  # type: ignore[method-assign]
    service.scans.start_everywhere = noted("round", service.scans.start_everywhere)
    fleet_service: FleetService = service
    return fleet_service


EVERY_PLACE = [AccountRegion(account, region) for account in ACCOUNTS for region in REGIONS]
FEW_PLACES = [
    place
    for place in EVERY_PLACE
    if place.region == REGIONS[0] or (place.region == REGIONS[1] and place.account in ACCOUNTS[::4])
]


@pytest.fixture(
    params=[
        pytest.param((FEW_PLACES, 140), id="few"),
        pytest.param((EVERY_PLACE, 500), id="many", marks=pytest.mark.long),
    ]
)
def simulation(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Simulation]:
    places, instances = request.param
    clock = Clock()
    clock.time = START
    world = FakeOrganization(clock, machines(places, instances), places, START)
    store = Store(f"sqlite:///{tmp_path}/store.db", clock=clock)
    store.migrate()
    rounds: dict[str, list[datetime]] = {}
    services = [service_of(store, world, rounds) for _ in range(2)]
    trip = Tripwire(armed=False)

    def opened(scan: Scan, snapshot: str) -> FakeSource:
        error: type[SidelightError] = RuntimeError  # type: ignore[assignment]
        assert (
            snapshot in world.clouds[AccountRegion(scan.account, scan.region)].snapshots.snapshots
        )
        return FakeSource(snapshot, "bash", trip, error)

    def inspect(_sources: object, _attachments: object) -> Inventory:
        bash = Package("rpm", "bash", "5.2.15-1.amzn2023", "rpmdb", "pkg:rpm/amzn/bash@5.2.15")
        return Inventory(Status.COMPLETE, OperatingSystem("amzn", "2023"), (bash,))

    context = Context(
        store=store, settings=Settings.of(poll_seconds=30.0), deployment=services[0].deployment,
        ec2=lambda account, region: world.clouds[AccountRegion(account, region)],
        open_snapshot=opened, inspect=inspect, match=vulnerable, jitter=lambda: 1.0,
    )  # fmt: skip
    pace = Intervals(lease=4 * TICK)
    loops = [DispatcherLoop(one, ScanScope(), Configuration(), pace=pace) for one in services]
    configuration = services[0].configuration
    configuration.enable([HYBRID, DENIED, SUSPENDED, DISABLED], ConfigurationChange())
    configuration.enable([BY_AGENTS], ConfigurationChange(mode=Ec2ScanMode.AGENT_BASED))
    yield Simulation(clock, world, store, services, loops, context, rounds=rounds)
    for service in services:
        service.close()


def test_a_week_goes_as_the_table_says(simulation: Simulation) -> None:
    world, store = simulation.world, simulation.store
    simulation.run(DENIED_FROM)
    world.denied |= {
        account_region for account_region in world.places if account_region.account == DENIED
    }
    simulation.run(70)
    simulation.run(DENIED_UNTIL, dead=(0,))  # the first was killed; the second takes over
    world.denied.clear()
    simulation.run(90, dead=(0,))
    simulation.run(SUSPENDED_AT)
    simulation.run_to_scan_of(SUSPENDED)
    world.suspended.add(SUSPENDED)
    simulation.run(DISABLED_AT)
    simulation.services[0].configuration.begin_disable([DISABLED])
    simulation.run(HOURS)

    found = histories(simulation)
    wrong = {
        f"{one.kind} in {one.place.account}": ([state for _, state in found[one.id]], expected(one))
        for one in world.machines
        if [state for _, state in found[one.id]] != expected(one)
    }
    assert not wrong, "\n".join(
        f"{kind}:\n  {states}\n  {want}" for kind, (states, want) in wrong.items()
    )
    _check_times(simulation, found)
    _check_rounds(simulation)
    _check_scans(simulation)
    _check_end(simulation)
    assert store.scans.select(live=True) == []


def _check_times(
    simulation: Simulation, found: dict[str, list[tuple[datetime, tuple[str, str, str]]]]
) -> None:
    """What changes is seen within half an hour by Systems Manager, and an hour by EC2."""
    bounds = {
        "leaves and comes back": (30.2, 0.6), "agent removed": (30.2, 0.6),
        "agent installed": (30.2, 0.6), "excluded for a while": (20.2, 1.1),
        "terminated": (50.2, 1.1), "launched": (25.2, 1.1), "goes stale": (48.0, 0.6),
    }  # fmt: skip
    for machine in simulation.world.machines:
        if machine.kind not in bounds or machine.place.account == BY_AGENTS:
            continue
        hour, within = bounds[machine.kind]
        since, until = START + timedelta(hours=hour), START + timedelta(hours=hour + within)
        seen = [at for at, _ in found[machine.id] if since <= at <= until]
        assert seen, f"{machine.kind}: {found[machine.id]}"


def _check_rounds(simulation: Simulation) -> None:
    """Rounds begin at their fixed times, each once, over the whole week and two dispatchers."""
    for name, interval, works in (
        ("agents", timedelta(minutes=30), [loop._agents for loop in simulation.loops]),
        ("round", timedelta(hours=1), [loop._rounds for loop in simulation.loops]),
    ):
        (schedule,) = {work.schedule for work in works if work is not None}
        times = simulation.rounds[name]
        slots = Counter(schedule.latest(at) for at in times)
        # The first tick discovers, and the second begins; nothing beats after the last one.
        first = schedule.latest(START + timedelta(seconds=TICK)) + interval
        last = schedule.latest(simulation.clock() - timedelta(seconds=TICK))
        wanted = {first + number * interval for number in range((last - first) // interval + 1)}
        # A dispatcher that takes over discovers at once: at the start, and after a death.
        extra = 2 if name == "round" else 0
        assert wanted <= set(slots), f"{name}: {sorted(wanted - set(slots))} were left out"
        assert sum(slots.values()) - len(slots) <= extra, f"{name}: {slots.most_common(3)}"
        lates = [at - schedule.latest(at) for at in times]
        assert sorted(lates)[len(lates) * 9 // 10] <= timedelta(seconds=2 * TICK), name


def _check_scans(simulation: Simulation) -> None:
    """An instance that is read by snapshots all week is scanned daily at its time of day."""
    scans: dict[str, list[Scan]] = {}
    for scan in simulation.store.scans.select():
        scans.setdefault(scan.instance, []).append(scan)
    plain = [one for one in simulation.world.machines
             if one.kind in ("plain", "stopped") and one.place.account == HYBRID]  # fmt: skip
    assert plain
    for machine in plain:
        times = sorted(scan.created_at for scan in scans[machine.id])
        of_day = time_of_day(machine.place.account, machine.id)
        late = [at - last_time(at, of_day) for at in times[1:]]
        # A catch-up follows where the dispatcher was dead at the time.
        assert all(one <= timedelta(hours=1, seconds=2 * TICK) for one in late), (machine.id, late)
        assert len(times) in {7, 8}, (machine.id, times)
        between = [later - earlier for earlier, later in pairwise(times[1:])]
        assert all(abs(one - DAY) <= timedelta(hours=1, seconds=3 * TICK) for one in between)


def _check_end(simulation: Simulation) -> None:
    """Nothing is left in the disabled account, and no snapshot anywhere."""
    world, store = simulation.world, simulation.store
    for account_region, cloud in world.clouds.items():
        if account_region.account not in world.suspended:
            assert cloud.snapshots.snapshots == {}, account_region
        else:
            assert cloud.snapshots.pending() == 0
    assert not {
        account_region
        for account_region in world.associations
        if account_region.account == DISABLED
    }
    assert store.created_resources.of(DISABLED) == []
    assert store.findings.rows(account=DISABLED) is not None
    assert list(store.findings.rows(account=DISABLED)) == [], "they go after 24 hours"
    assert [row for row in store.instances.coverage() if row.account == DISABLED] == []
    (held,) = simulation.services[0].configuration.effective([DISABLED])
    assert held.status is AccountStatus.DISABLED
