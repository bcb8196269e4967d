"""A scan's whole world in one process: a clock by hand, a cloud, a queue, and a place for faults.

The cloud is a fake of the narrow EC2 protocol that the steps use, as awkward as AWS: snapshots are
pending for a while, a new one is not listed at once, a missing one is no error when described but
one when deleted, a busy volume refuses, tags are all that tells whose a snapshot is.
"""

from __future__ import annotations

import itertools
import os
import tempfile
from collections import deque
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dispatcher.enqueue import enqueue, tick
from dispatcher.sweep import Swept, sweep
from sidelight.aws.ec2 import InstanceStatus, SnapshotInfo
from sidelight.errors import CloudError, SidelightError, SnapshotNotFoundError, StoreError
from sidelight.fleet.context import Context
from sidelight.fleet.settings import Settings
from sidelight.fleet.snapshot_ownership import Territory
from sidelight.fleet.stages.poll_snapshots import look
from sidelight.fleet.stages.take_snapshots import STEPS
from sidelight.model import (
    TERMINAL,
    Finding,
    FindingStatus,
    Instance,
    Inventory,
    OperatingSystem,
    Package,
    ReadStats,
    Severity,
    State,
    Status,
    Volume,
)
from sidelight.store import Store
from tests.store.templates import lay

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from sidelight.disk import Attachment
    from sidelight.fleet.stages.stage_runner import Next
    from sidelight.model import Scan

ACCOUNT, REGION = "123456789012", "eu-west-1"
START = datetime(2026, 1, 1, tzinfo=UTC)
HERE = Territory(ACCOUNT, REGION, "here")
PENDING_SECONDS = 25.0
UNLISTED_SECONDS = 1.0


class Clock:
    """Time by hand."""

    def __init__(self) -> None:
        self.time = START

    def __call__(self) -> datetime:
        return self.time

    def advance(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)


class KilledError(BaseException):
    """The worker's end: nothing in the code under test may catch it."""


class Mode(Enum):
    """What happens at a point."""

    FAIL_BEFORE = "fails before"
    FAIL_AFTER = "done, but its answer is lost"
    KILL_BEFORE = "killed before"
    KILL_AFTER = "killed after"
    STALL = "stalls until another worker has done the rest"


# Those that a single worker meets; a stall needs a second one.
ALONE = tuple(mode for mode in Mode if mode is not Mode.STALL)


@dataclass
class Tripwire:
    """Numbers everything that a worker does to the outside, and trips where it is told to.

    `decide(number, name)` gives the mode for a point, or None.
    """

    decide: Callable[[int, str], Mode | None] = lambda _number, _name: None
    seen: list[str] = field(default_factory=list)
    armed: bool = True
    meanwhile: Callable[[], None] = lambda: None

    def __call__(
        self, name: str, work: Callable[[], Any], error: type[SidelightError] = CloudError
    ) -> Any:
        mode = None
        if self.armed:
            mode = self.decide(len(self.seen), name)
            self.seen.append(name)
        if mode is Mode.STALL:
            self.armed = False
            self.meanwhile()
        if mode is Mode.KILL_BEFORE:
            raise KilledError(name)
        if mode is Mode.FAIL_BEFORE:
            raise error("injected before", where=name)
        result = work()
        if mode is Mode.KILL_AFTER:
            raise KilledError(name)
        if mode is Mode.FAIL_AFTER:
            raise error("injected after", where=name)
        return result


class FakeEc2:
    """One account and region."""

    def __init__(self, clock: Clock, trip: Tripwire) -> None:
        self.calls = 0
        self.snapshots: dict[str, SnapshotInfo] = {}
        self.volumes: dict[str, tuple[str, ...]] = {}
        self.broken: set[str] = set()  # volumes whose snapshots end in error
        self.refuse: dict[str, str] = {}  # instance -> error code of its creation
        self.instance_states: dict[str, str] = {}  # running where not named; "": not listed
        self.pending_limit = 0  # of the account and region, for all tools; 0 is none
        self.others: list[SnapshotInfo] = []  # what another tool has pending
        self.refused = 0  # creations beyond the limit
        self.undeletable = False
        self.pending_seconds = PENDING_SECONDS
        self.created = 0
        self._clock, self._trip = clock, trip
        self._numbers = itertools.count(1)

    def create_snapshots(
        self, instance_id: str, tags: Mapping[str, str], description: str
    ) -> list[SnapshotInfo]:
        return list(
            self._trip("ec2.create_snapshots", lambda: self._create(instance_id, tags, description))
        )

    def snapshots_by_id(self, ids: Sequence[str]) -> list[SnapshotInfo]:
        def matching() -> list[SnapshotInfo]:
            return [s for s in self._listed() if s.id in ids]

        found: list[SnapshotInfo] = self._trip("ec2.describe_by_id", matching)
        return found

    def snapshots_by_tags(self, tags: Mapping[str, str | None]) -> list[SnapshotInfo]:
        def matching() -> list[SnapshotInfo]:
            return [
                s
                for s in self._listed()
                if all(
                    (s.tag(key) == value if value is not None else s.tag(key))
                    for key, value in tags.items()
                )
            ]

        found: list[SnapshotInfo] = self._trip("ec2.describe_by_tag", matching)
        return found

    def pending_snapshots(self) -> list[SnapshotInfo]:
        def pending() -> list[SnapshotInfo]:
            return [s for s in [*self._listed(), *self.others] if s.state == "pending"]

        found: list[SnapshotInfo] = self._trip("ec2.describe_pending", pending)
        return found

    def instance_status(self, instance_id: str) -> InstanceStatus | None:
        def status() -> InstanceStatus | None:
            state = self.instance_states.get(instance_id, "running")
            return InstanceStatus(state, len(self.volumes[instance_id])) if state else None

        found: InstanceStatus | None = self._trip("ec2.describe_instance", status)
        return found

    def delete_snapshot(self, snapshot_id: str) -> bool:
        def delete() -> bool:
            if self.undeletable:
                raise CloudError("in use", where=snapshot_id, code="InvalidSnapshot.InUse")
            return self.snapshots.pop(snapshot_id, None) is not None

        return bool(self._trip("ec2.delete_snapshot", delete))

    def pending(self) -> int:
        """How many of ours are pending, whether they are listed yet or not."""
        return sum(
            (self._clock() - info.started_at).total_seconds() < self.pending_seconds
            for info in self.snapshots.values()
            if info.started_at
        )

    def _create(
        self, instance_id: str, tags: Mapping[str, str], description: str
    ) -> list[SnapshotInfo]:
        if instance_id in self.refuse:
            code = self.refuse[instance_id]
            raise CloudError(f"{code}: refused", where=instance_id, code=code)
        wanted = self.pending() + len(self.others) + len(self.volumes[instance_id])
        if 0 < self.pending_limit < wanted:
            self.refused += 1
            text = "Maximum allowed active snapshot limit exceeded."
            raise CloudError(text, where=instance_id, code="PendingSnapshotLimitExceeded")
        made = [
            SnapshotInfo(
                id=f"snap-{next(self._numbers):017x}",
                volume=volume,
                state="pending",
                description=description,
                started_at=self._clock(),
                tags=tuple(sorted(tags.items())),
                owner=ACCOUNT,
            )
            for volume in self.volumes[instance_id]
        ]
        self.created += len(made)
        self.snapshots |= {info.id: info for info in made}
        return made

    def _listed(self) -> Iterator[SnapshotInfo]:
        for info in list(self.snapshots.values()):
            age = (self._clock() - info.started_at).total_seconds() if info.started_at else 0.0
            if age < UNLISTED_SECONDS:
                continue
            done = "error" if info.volume in self.broken else "completed"
            yield replace(info, state=done if age >= self.pending_seconds else "pending")


class FakeSource:
    """A completed snapshot; what it holds is told by its volume."""

    def __init__(self, name: str, volume: str, trip: Tripwire, error: type[SidelightError]) -> None:
        # The volume's name is in the bytes: readers see nothing else of a source.
        self.name, self.size = name, 1 << 20
        self._content = volume.encode().ljust(512, b" ")
        self._trip, self._error = trip, error
        self.closed = False

    def read_at(self, _offset: int, length: int) -> bytes:
        return bytes(self._trip("ebs.get_block", lambda: self._content[:length], self._error))

    def prefetch(self, ranges: object) -> None:
        """Nothing."""

    def stats(self) -> ReadStats:
        return ReadStats(get_calls=1, list_calls=1, distinct_blocks=1, bytes=512, usd=0.000004)

    def close(self) -> None:
        self.closed = True


class World:
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
            (row.instance, row.finding.vulnerability, row.finding.package.purl,
             row.finding.package.path)
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
            return look(self.context, scan_id)
        following = STEPS[state](self.context, scan_id)
        return [] if following is None else [(scan_id, following)]


class BrokerError(SidelightError, OSError):
    """The broker does not answer."""


def ended(scans: Sequence[Scan]) -> bool:
    return all(scan.state in TERMINAL for scan in scans)


@contextmanager
def quick_directory() -> Iterator[Path]:
    """In memory where there is such a place: a world commits some fifty times in a scan."""
    memory = Path("/dev/shm")  # noqa: S108 - a private directory is made in it
    place = memory if os.access(memory, os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=place) as name:
        yield Path(name)


def sqlite_url(directory: Path) -> str:
    return f"sqlite:///{directory}/store.db"


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
