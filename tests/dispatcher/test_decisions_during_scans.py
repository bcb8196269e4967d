"""What is decided of an instance while a scan of it runs holds after the scan."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dispatcher.discovery.discoverer import discover
from sidelight.model import Coverage, State
from tests.fakes.fake_ec2 import ACCOUNT, REGION

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sidelight.model import Scan
    from tests.fakes.fake_fleet import FakeFleet


def test_an_instance_that_is_gone_closes_its_findings(fake_fleet: FakeFleet) -> None:
    fake_fleet.start()
    fake_fleet.run()
    gone = fake_fleet.instances[0]

    class Ec2:
        def instances(self) -> list[object]:
            return list(fake_fleet.instances[1:])

    class Kms:
        def tagged(self, _keys: Iterable[str], _tag: str) -> frozenset[str]:
            return frozenset()

    found = discover(fake_fleet.store, Ec2(), Kms(), account=ACCOUNT, region=REGION, tag="t")  # type: ignore[arg-type] # instances as they are
    assert found.gone == [gone.id]
    assert gone.id not in {row[0] for row in fake_fleet.findings()}
    reasons = {row.instance: row.reason for row in fake_fleet.store.instances.coverage()}
    assert reasons[gone.id] == "RESOURCE_TERMINATED"


def run_until(fake_fleet: FakeFleet, scan: Scan, state: State) -> None:
    while fake_fleet.store.scans.select([scan.id])[0].state is not state:
        fake_fleet.run_one()


def findings_of(fake_fleet: FakeFleet, scan: Scan) -> list[tuple[str, str, str, str]]:
    return [row for row in fake_fleet.findings() if row[0] == scan.instance]


@pytest.mark.parametrize(
    ("reason", "stays"),
    [("EXCLUDED_BY_TAG", False), ("EC2_INSTANCE_STOPPED", True), ("PENDING_INITIAL_SCAN", None)],
)
def test_a_scan_does_not_undo_what_was_decided_while_it_ran(
    fake_fleet: FakeFleet, reason: str, *, stays: bool | None
) -> None:
    """`stays`: the findings are left; None where the scan's own result counts."""
    scan = fake_fleet.start()[0]
    run_until(fake_fleet, scan, State.DELETING)
    decided = Coverage(ACCOUNT, REGION, scan.instance, "m0", "INACTIVE", reason, "as was decided")
    fake_fleet.store.instances.cover([decided])
    if stays is False:
        fake_fleet.store.findings.close_instances(ACCOUNT, [scan.instance])
    else:
        assert findings_of(fake_fleet, scan)
    fake_fleet.run()
    (row,) = [c for c in fake_fleet.store.instances.coverage() if c.instance == scan.instance]
    assert bool(findings_of(fake_fleet, scan)) is not (stays is False)
    if stays is None:
        assert (row.status_code, row.reason) == ("ACTIVE", "SUCCESSFUL")
    else:
        assert (row.status_code, row.reason, row.detail) == ("INACTIVE", reason, "as was decided")
    assert row.scanned_at is not None


def test_findings_that_a_scan_stores_after_an_exclusion_are_closed_at_its_end(
    fake_fleet: FakeFleet,
) -> None:
    scan = fake_fleet.start()[0]
    excluded = Coverage(ACCOUNT, REGION, scan.instance, "m0", "INACTIVE", "EXCLUDED_BY_TAG")
    fake_fleet.store.instances.cover([excluded])
    fake_fleet.run()
    assert findings_of(fake_fleet, scan) == []
    assert fake_fleet.findings()
    assert fake_fleet.states() == {State.DONE}
