"""A system whose support ends has its finding, though its agent sends nothing new any more."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from sidelight.aws.ssm.capture import Capture, digest_of
from sidelight.fleet.agents.associations_plan import SyncTarget
from sidelight.fleet.agents.collector import ByDataSync, InventoryCollector
from sidelight.fleet.agents.cycle import AgentCycle
from sidelight.inventory.ssm.items import APPLICATION, InventoryItem
from sidelight.model import FindingChanges, ManagedInstance, PingStatus, PlatformType
from tests.fixtures.stored_findings import ACCOUNT, REGION, says

if TYPE_CHECKING:
    from sidelight.fleet.agents.cycle import CycleResult
    from sidelight.fleet.agents.source_packages import ReleaseSources
    from sidelight.store import Store
    from tests.fakes.clocks import Clock
    from tests.fixtures.stored_findings import Database

DAY = 86400.0
BASH = {"Name": "bash", "Version": "5.2.15-2", "Architecture": "amd64"}
MACHINE = ManagedInstance(
    "i-1", PingStatus.ONLINE, datetime(2026, 11, 29, tzinfo=UTC), PlatformType.LINUX,
    "Debian GNU/Linux", "12",
)  # fmt: skip


class Here(NamedTuple):
    account: str = ACCOUNT
    region: str = REGION


class SteadyCycle(AgentCycle):
    """Rounds over an inventory that never changes."""

    reads = 0

    def _collector(
        self, place: Any, sources: ReleaseSources, *, has_sync: bool
    ) -> InventoryCollector:
        del place, sources
        assert has_sync
        return InventoryCollector(ByDataSync(self), None, {MACHINE.instance_id: "etag"})

    def read(self, instance_id: str) -> Capture:
        self.reads += 1
        item = InventoryItem(APPLICATION, [BASH], "2026-01-01T00:00:00Z")
        return Capture(instance_id, {APPLICATION: item}, digest_of([item]))


def cycle_of(store: Store) -> SteadyCycle:
    return SteadyCycle(store, None, SyncTarget("", ""))  # type: ignore[arg-type]


def rounds(cycle: SteadyCycle, database: Database) -> CycleResult:
    return cycle.run(Here(), [MACHINE], database, has_sync=True)


def test_the_finding_opens_the_day_after_the_last_one_without_a_new_inventory(
    store: Store, clock: Clock
) -> None:
    database = says()
    database.last_day = clock().date() + timedelta(days=1)
    store.reevaluation.notice(database)
    cycle = cycle_of(store)
    assert rounds(cycle, database).evaluated == (MACHINE.instance_id,)
    clock.advance(DAY)
    assert rounds(cycle, database).findings == FindingChanges(), "the last day itself"

    clock.advance(DAY)
    opened = rounds(cycle, database)

    assert (opened.findings.opened, opened.evaluated, cycle.reads) == (1, (), 1)
    (row,) = store.findings.rows()
    assert row.package_finding.vulnerability == "END-OF-LIFE-debian"
    assert rounds(cycle, database).findings == FindingChanges(), "it is looked at no more"
    assert rounds(cycle_of(store), database).findings == FindingChanges(), "nor after a restart"


def test_a_day_that_moved_on_closes_it_with_the_next_database(store: Store, clock: Clock) -> None:
    database = says()
    database.last_day = clock().date() - timedelta(days=1)
    store.reevaluation.notice(database)
    cycle = cycle_of(store)
    assert rounds(cycle, database).findings.opened == 1

    database.last_day += timedelta(days=365)
    cycle.run(Here(), [MACHINE], database, has_sync=True, new={MACHINE.instance_id})

    assert list(store.findings.rows()) == []
