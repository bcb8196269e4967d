"""A fleet in one process: a clock by hand, a cloud, a queue, a worker, and a place for faults.

The cloud is as awkward as AWS: snapshots are pending for a while, a new one is not listed at once,
a missing one is an error when deleted and not when described, a busy volume refuses, tags are all
that shows whose a snapshot is.
"""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from dispatcher.enqueue import enqueue, tick
from dispatcher.sweep import Swept, sweep
from sidelight.errors import CloudError, SidelightError, SnapshotNotFoundError, StoreError
from sidelight.fleet.context import Context
from sidelight.fleet.settings import Settings
from sidelight.fleet.snapshot_ownership import Territory
from sidelight.fleet.stages.poll_snapshots import poll
from sidelight.fleet.stages.take_snapshots import STEPS
from sidelight.model import (
    TERMINAL,
    Finding,
    FindingStatus,
    Instance,
    Inventory,
    OperatingSystem,
    Package,
    Severity,
    State,
    Status,
    Volume,
)
from sidelight.store import Store
from tests.fakes.clocks import Clock
from tests.fakes.fake_ec2 import ACCOUNT, REGION, FakeEc2, FakeSource
from tests.fakes.tripwire import KilledError, Tripwire
from tests.fixtures.store_templates import lay

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sidelight.disk import Attachment
    from sidelight.fleet.stages.stage_runner import Next
    from sidelight.model import Scan


HERE = Territory(ACCOUNT, REGION, "here")


class FakeFleet:
    """A fleet, its store, and a queue with one worker."""

    def __init__(self, url: str, *, machines: int = 1, disks: int = 2, **settings: Any) -> None:
        self.clock = Clock()
        self.trip = Tripwire(armed=False)
        lay(url)
        self.store = Store(url, clock=self.clock, busy_seconds=1.0)
        self.store.migrate()
        _wire_store(self.store, self.trip)
        self.ec2 = FakeEc2(self.clock, self.trip)
        self.instances = [self._machine(n, disks) for n in range(machines)]
        self.store.instances.discovered(ACCOUNT, REGION, self.instances)
        self.status = Status.COMPLETE
        self.version = "1.0"
        self.read_error: type[SidelightError] = CloudError
        self.inspect_error: BaseException | None = None
        self.sources: list[FakeSource] = []
        self.queue: deque[tuple[datetime, State, str]] = deque()
        self.context = Context(
            store=self.store,
            settings=Settings.of(**settings),
            deployment="here",
            ec2=lambda _account, _region: self.ec2,
            open_snapshot=self._open,
            inspect=self._inspect,
            match=self._match,
            jitter=lambda: 1.0,
        )

    def close(self) -> None:
        self.store.close()

    def start(self) -> list[Scan]:
        """Enqueue a scan of every machine."""
        return enqueue(self.store, self._publish, self.instances, "here")

    def only_scan(self) -> Scan:
        """The first scan's row."""
        return self.store.scans.select()[0]

    def start_through_faults(self) -> None:
        """Enqueue until it went through: the dispatcher's next tick discovers and plans again."""
        for _ in range(100):
            with suppress(KilledError, Exception):
                self.start()
            if self.store.scans.select():
                return
        raise AssertionError("cannot be enqueued")

    def run(self, rounds: int = 3000) -> None:
        """Work until every scan has ended; an armed tripwire may kill the worker on the way."""
        for _ in range(rounds):
            try:
                tick(self.store, self._publish)
                if not self._work() and not self.store.scans.select(live=True):
                    return
            except (KilledError, StoreError, BrokerError):
                # The process is gone; its lease and its row are what is left. Another comes.
                continue
        raise AssertionError(f"stuck: {self.store.scans.counts()}")

    def run_one(self) -> None:
        """Publish what is due, and work on one message."""
        tick(self.store, self._publish)
        self._work()

    def sweep(self) -> Swept:
        """What the dispatcher's sweep does."""
        return sweep(self.store, self.ec2, HERE)

    def findings(self) -> list[tuple[str, str, str, str]]:
        """Active findings by instance, vulnerability, purl and path."""
        return sorted(
            (row.instance, row.package_finding.vulnerability, row.package_finding.package.purl,
             row.package_finding.package.path)
            for row in self.store.findings.rows(status=FindingStatus.ACTIVE)
        )  # fmt: skip

    def states(self) -> set[State]:
        return {scan.state for scan in self.store.scans.select()}

    def _machine(self, number: int, disks: int) -> Instance:
        volumes = tuple(
            Volume(f"vol-{number}-{disk}", f"/dev/sd{chr(97 + disk)}", 1) for disk in range(disks)
        )
        instance = Instance(
            f"i-{number:017x}", ACCOUNT, REGION, "running", volumes, name=f"m{number}"
        )
        self.ec2.volumes[instance.id] = tuple(volume.id for volume in volumes)
        return instance

    def _open(self, _scan: Scan, snapshot_id: str) -> FakeSource:
        def opened() -> FakeSource:
            info = self.ec2.snapshots.get(snapshot_id)
            if info is None:
                raise SnapshotNotFoundError("is gone", where=snapshot_id)
            return FakeSource(snapshot_id, info.volume, self.trip, self.read_error)

        source: FakeSource = self.trip("ebs.list_blocks", opened)
        self.sources.append(source)
        return source

    def _inspect(self, sources: Sequence[Any], attachments: tuple[Attachment, ...]) -> Inventory:
        if self.inspect_error is not None:
            raise self.inspect_error
        names = [f"lib{source.read_at(0, 512).decode().strip()}" for source in sources]
        packages = tuple(
            Package("deb", name, self.version, f"{attachment.device}/status",
                    f"pkg:deb/debian/{name}@{self.version}")
            for name, attachment in zip(names, attachments, strict=True)
        )  # fmt: skip
        return Inventory(self.status, OperatingSystem("debian", "12"), packages)

    def _match(self, inventory: Inventory) -> list[Finding]:
        return [
            Finding(f"CVE-2026-{number}", Severity.HIGH, package, "2.0", ("DSA-1",))
            for package in inventory.packages
            if package.version < "2.0"
            for number in (1, 2)
        ]

    def _publish(self, scan_id: str, following: Next) -> None:
        self.trip(
            "broker.publish",
            lambda: self.queue.append(
                (self.clock() + timedelta(seconds=following.delay), following.state, scan_id)
            ),
            BrokerError,
        )

    def _work(self) -> bool:
        """One message; False where there is none. Waiting is the clock's work."""
        if not self.queue:
            self.clock.advance(5.0)
            return False
        due, state, scan_id = self.queue.popleft()
        self.clock.time = max(self.clock.time, due)
        followings = self.trip("stage", lambda: self._stage(state, scan_id), StoreError)
        self.clock.advance(0.1)
        for one, following in followings:
            self._publish(one, following)
        return True

    def _stage(self, state: State, scan_id: str) -> list[tuple[str, Next]]:
        if state is State.SNAPSHOTS_PENDING:
            return poll(self.context, scan_id)
        following = STEPS[state](self.context, scan_id)
        return [] if following is None else [(scan_id, following)]


class BrokerError(SidelightError, OSError):
    """The broker does not answer."""


def ended(scans: Sequence[Scan]) -> bool:
    return all(scan.state in TERMINAL for scan in scans)


def _wire_store(store: Store, trip: Tripwire) -> None:
    """Every commit of the store becomes a point: refused before, or done and its answer lost."""
    database: Any = store._database
    write = database.write

    class Wired:
        def __enter__(self) -> Any:
            trip("store.begin", lambda: None, StoreError)
            self._context = write()
            return self._context.__enter__()

        def __exit__(self, *error: object) -> Any:
            result = self._context.__exit__(*error)
            if error[0] is None:
                trip("store.committed", lambda: None, StoreError)
            return result

    database.write = Wired
