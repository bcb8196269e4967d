"""Scans: their states and snapshots, coverage, costs and events."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from sidelight.model.cloud import ReadStats

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from sidelight.model.cloud import Instance


class State(StrEnum):
    """A scan's state. The row is authoritative: a queue message only triggers a check of it."""

    NEW = "NEW"
    SNAPSHOTTING = "SNAPSHOTTING"  # the intent: CreateSnapshots may have happened
    SNAPSHOTS_PENDING = "SNAPSHOTS_PENDING"
    READING = "READING"
    EVALUATING = "EVALUATING"
    DELETING = "DELETING"  # after success and after failure
    DONE = "DONE"
    FAILED = "FAILED"


WAITING: Final = "waiting"  # begins the text of a scan that waits, and has not failed
TERMINAL = frozenset({State.DONE, State.FAILED})
LIVE = frozenset(State) - TERMINAL
# The state machine: the states that may follow each state, in addition to a retry of the same.
# `sidelight.store.scans.transitions` refuses all others. A failed scan passes through DELETING.
TRANSITIONS: Mapping[State, frozenset[State]] = MappingProxyType(
    {
        # READING and EVALUATING at once: a scan with a source needs no snapshots of its own.
        State.NEW: frozenset({State.SNAPSHOTTING, State.READING, State.EVALUATING, State.DELETING}),
        # Back to NEW: AWS refused the only call, so there is no snapshot and no intent.
        State.SNAPSHOTTING: frozenset({State.SNAPSHOTS_PENDING, State.NEW, State.DELETING}),
        State.SNAPSHOTS_PENDING: frozenset({State.READING, State.DELETING}),
        # Back to NEW: an existing snapshot cannot be read, so the scan creates its own.
        State.READING: frozenset({State.EVALUATING, State.NEW, State.DELETING}),
        State.EVALUATING: frozenset({State.DELETING}),
        State.DELETING: frozenset({State.DONE, State.FAILED}),
        State.DONE: frozenset(),
        State.FAILED: frozenset(),
    }
)
# The stages of a scan, in their order, and the stage that works on a scan in each live state.
TAKE, AWAIT, INSPECT, EVALUATE, DELETE = STAGES = ("take", "await", "inspect", "evaluate", "delete")
STAGE_OF: Mapping[State, str] = MappingProxyType(
    {
        State.NEW: TAKE,
        State.SNAPSHOTTING: TAKE,
        State.SNAPSHOTS_PENDING: AWAIT,
        State.READING: INSPECT,
        State.EVALUATING: EVALUATE,
        State.DELETING: DELETE,
    }
)


class SourceKind(StrEnum):
    """What a scan uses instead of snapshots of its own."""

    EXISTING = "EXISTING"  # the owner's snapshots: read, and never changed
    UNCHANGED = "UNCHANGED"  # the stored inventory: no volume was written since its disks were read


@dataclass(frozen=True, slots=True)
class ExistingSnapshot:
    """A snapshot of the account's owner that a scan reads; `position` is its disk's."""

    id: str
    volume: str
    position: int
    started_at: datetime


@dataclass(frozen=True, slots=True)
class ScanSource:
    """The source of a scan that creates no snapshots, and the time of its disks' content.

    `snapshots` are those of EXISTING, in the order of the disks.
    """

    kind: SourceKind
    data_at: datetime
    snapshots: tuple[ExistingSnapshot, ...] = ()


@dataclass(frozen=True, slots=True)
class DiskReading:
    """The last read of an instance's disks. `reader` identifies what read them, and how.

    It is empty where the stored inventory is not the whole of what the disks hold: a part could not
    be read, or the inventory is the agent's.

    What the disks hold is what they held at `data_at`: the time of the snapshots, or a later one up
    to which none of these volumes was written.
    """

    account: str
    instance: str
    volumes: frozenset[str]
    read_at: datetime
    data_at: datetime
    reader: str


KEPT = "kept-"  # the prefix of a keeper's leases, and of no worker's


@dataclass(frozen=True, slots=True)
class Scan:
    """One scan of one instance.

    `attempts` counts the claims of the present stage. A `failure` that is not empty means that the
    scan will end as FAILED. `lease` is the claim's own token, empty if no worker holds the scan.
    `priority`: a lower number runs sooner.
    """

    id: str
    deployment: str
    account: str
    region: str
    instance: str
    state: State
    created_at: datetime
    entered_at: datetime  # its present state
    next_at: datetime
    attempts: int = 0
    lease: str = ""
    lease_until: datetime | None = None
    failure: str = ""
    failure_code: str = ""
    last_error: str = ""
    priority: int = 6
    finished_at: datetime | None = None
    late_since: datetime | None = None  # AWS's first answer of "not yet" in this state
    source: str = ""  # a SourceKind; empty: the scan creates its own snapshots

    @property
    def kept(self) -> bool:
        """Whether a keeper holds the scan across all its stages."""
        return self.lease.startswith(KEPT)


@dataclass(frozen=True, slots=True)
class Transition:
    """The result of a stage: the state that its scan is in now, and when it is due there.

    `own_message`: the scan needs a message of its own; False if another scan's message serves it.
    """

    state: State
    due: datetime
    own_message: bool = True


@dataclass(frozen=True, slots=True)
class Keeper:
    """A client that holds a scan across all its stages, so that no worker can claim it in between.

    Each claim's lease begins with `token`, and lasts `seconds` from its keeper's last renewal.
    """

    token: str
    seconds: float

    @classmethod
    def new(cls, seconds: float) -> Keeper:
        """Return a new keeper with a unique token."""
        return cls(f"{KEPT}{uuid.uuid4().hex}-", seconds)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A snapshot of a scan. `receipt` is the evidence of its deletion; `position` is its disk's."""

    id: str
    scan: str
    volume: str
    position: int
    state: str
    created_at: datetime
    deleted_at: datetime | None = None
    receipt: str = ""


@dataclass(frozen=True, slots=True)
class Coverage:
    """Whether an instance is scanned, and the reason if not, with Inspector's codes.

    An instance has an entry for each scan type. `scan_mode` is empty for NETWORK. `data_source` is
    the SourceKind of the last scan, and `data_at` the time of its disks' content, which is then
    `scanned_at` too; both are empty for a scan that created its own snapshots.
    """

    account: str
    region: str
    instance: str
    name: str
    status_code: str  # ACTIVE or INACTIVE
    reason: str
    detail: str = ""
    scan_mode: str = "EC2_AGENTLESS"
    updated_at: datetime | None = None
    scanned_at: datetime | None = None
    scan_type: str = "PACKAGE"
    data_at: datetime | None = None
    data_source: str = ""


@dataclass(frozen=True, slots=True)
class CoverageChange:
    """One change of an instance's coverage: its status, reason and scan mode from `at` on."""

    account: str
    region: str
    instance: str
    scan_type: str
    at: datetime
    status_code: str
    reason: str
    scan_mode: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class CoverageEvent:
    """A change of coverage as an event, numbered together with the events of findings."""

    sequence: int
    at: datetime
    change: CoverageChange


@dataclass(frozen=True, slots=True)
class ScanEvent:
    """An instance's first scan, with its active findings by severity."""

    sequence: int
    at: datetime
    account: str
    region: str
    instance: str
    severities: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Cost(ReadStats):
    """The cost of a scan's attempts."""

    scan: str


@dataclass(frozen=True, slots=True)
class CostSum(ReadStats):
    """The total cost of several scans. A key not summed by is empty; `day` is 2026-01-31.

    A scan belongs to the day (UTC) of its creation.
    """

    account: str = ""
    region: str = ""
    instance: str = ""
    day: str = ""
    scans: int = 0


@dataclass(frozen=True, slots=True)
class Event:
    """An event of a scan, for people to read."""

    scan: str
    at: datetime
    what: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Known:
    """An instance as last discovered, when it was last scanned, and its packages' coverage.

    `covered` has the status code, reason and scan mode; None without coverage.
    """

    instance: Instance
    seen_at: datetime
    gone_at: datetime | None = None
    scanned_at: datetime | None = None
    tried_at: datetime | None = None
    live_scan: str = field(default="")
    covered: tuple[str, str, str] | None = None


@dataclass(frozen=True, slots=True)
class Sweeping:
    """The results of an account-region's sweeps: `orphans` must stay 0.

    An orphan is a snapshot of ours that still exists after its scan has ended. `orphans` counts all
    that were ever found, `remaining` those that the last sweep could not delete.
    `foreign_snapshots` carried our tags at the last sweep and are not ours: Sidelight does not
    change them.
    """

    account: str
    region: str
    swept_at: datetime
    orphans: int
    remaining: int
    foreign_snapshots: int = 0
