"""What the store gives and takes: frozen rows, no SQL."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from datetime import datetime  # noqa: TC003 - a NamedTuple's
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from sidelight.model import Finding, Instance


class State(StrEnum):
    """Where a scan is. The row is the truth: a message of the queue says only "look at it"."""

    NEW = "NEW"
    SNAPSHOTTING = "SNAPSHOTTING"  # the intent: CreateSnapshots may have happened
    SNAPSHOTS_PENDING = "SNAPSHOTS_PENDING"
    READING = "READING"
    EVALUATING = "EVALUATING"
    DELETING = "DELETING"  # after success and after failure
    DONE = "DONE"
    FAILED = "FAILED"


TERMINAL = frozenset({State.DONE, State.FAILED})
LIVE = frozenset(State) - TERMINAL


class FindingStatus(StrEnum):
    """Inspector's: SUPPRESSED is chosen by people and outlives scans."""

    ACTIVE = "ACTIVE"
    SUPPRESSED = "SUPPRESSED"
    CLOSED = "CLOSED"


KEPT = "kept-"  # what a keeper's leases begin with, and no worker's


@dataclass(frozen=True, slots=True)
class Scan:
    """One scan of one instance.

    `attempts` counts the claims of the present stage. `failure` is empty while all goes well;
    set, the scan is on its way to FAILED. `lease` is the claim's own token, empty where no worker
    holds the scan. `priority`: less is sooner.
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

    @property
    def kept(self) -> bool:
        """Whether one keeper has it over all its stages."""
        return self.lease.startswith(KEPT)


@dataclass(frozen=True, slots=True)
class Keeper:
    """Who holds a scan from claim to claim, as no worker does: no other has it in between.

    Each claim's lease begins with `token`, and lasts `seconds` from the last word of its keeper.
    """

    token: str
    seconds: float

    @classmethod
    def new(cls, seconds: float) -> Keeper:
        """One like no other."""
        return cls(f"{KEPT}{uuid.uuid4().hex}-", seconds)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A snapshot of a scan. `receipt` says how its absence was seen; `position` is its disk's."""

    id: str
    scan: str
    volume: str
    position: int
    state: str
    created_at: datetime
    deleted_at: datetime | None = None
    receipt: str = ""


class Place(NamedTuple):
    """Whose findings they are."""

    account: str
    region: str
    instance: str


class Judged(NamedTuple):
    """What the suppression rules are asked about: an instance's finding that is to be opened."""

    place: Place
    detail: int
    first_observed: datetime


def finding_arn(place: Place, number: int) -> str:
    """A finding's name, in the form of Inspector's."""
    return f"arn:aws:sidelight:{place.region}:{place.account}:finding/{number:032x}"


@dataclass(frozen=True, slots=True)
class FindingRow:
    """A finding as it stands for one instance. An `id` is never given twice in a store."""

    id: int
    account: str
    region: str
    instance: str
    status: FindingStatus
    first_observed: datetime
    last_observed: datetime
    finding: Finding
    updated_at: datetime
    closed_at: datetime | None = None

    @property
    def arn(self) -> str:
        """The finding's name."""
        return finding_arn(Place(self.account, self.region, self.instance), self.id)


@dataclass(frozen=True, slots=True)
class FindingEvent:
    """What happened to a finding (OPENED, REOPENED, UPDATED, CLOSED), and its state then."""

    sequence: int
    at: datetime
    kind: str
    row: FindingRow


@dataclass(frozen=True, slots=True)
class FindingChanges:
    """What an evaluation did to findings."""

    opened: int = 0
    kept: int = 0
    closed: int = 0

    def __add__(self, other: FindingChanges) -> FindingChanges:
        """Of two evaluations."""
        return FindingChanges(
            self.opened + other.opened, self.kept + other.kept, self.closed + other.closed
        )


@dataclass(frozen=True, slots=True)
class Reevaluated:
    """What a part of a re-evaluation did. `left`: whether there is more to do.

    `packages` were matched anew, `instances` had findings looked at, `passed` were seen to be
    untouched without a look.
    """

    left: bool
    packages: int = 0
    instances: int = 0
    passed: int = 0
    findings: FindingChanges = field(default_factory=FindingChanges)

    def __add__(self, other: Reevaluated) -> Reevaluated:
        """One part and then the other."""
        return Reevaluated(
            other.left,
            self.packages + other.packages,
            self.instances + other.instances,
            self.passed + other.passed,
            self.findings + other.findings,
        )


@dataclass(frozen=True, slots=True)
class SuppressionRule:
    """A rule: what all of `criteria` (Inspector's FilterCriteria, as JSON) say is suppressed."""

    name: str
    criteria: str
    description: str = ""
    created_at: datetime | None = None
    updated_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Coverage:
    """Whether an instance is scanned, and if not, why: Inspector's codes."""

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


@dataclass(frozen=True, slots=True)
class Cost:
    """What a scan cost, over all its attempts. `bytes` as read, `usd` of the EBS direct APIs."""

    scan: str
    get_calls: int = 0
    list_calls: int = 0
    blocks: int = 0
    bytes: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    usd: float = 0.0


@dataclass(frozen=True, slots=True)
class CostSum:
    """What several scans cost together. What was not summed by is empty; `day` is 2026-01-31.

    A scan belongs to the day (UTC) on which it was made.
    """

    account: str = ""
    region: str = ""
    instance: str = ""
    day: str = ""
    scans: int = 0
    get_calls: int = 0
    list_calls: int = 0
    blocks: int = 0
    bytes: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    usd: float = 0.0


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to a scan, for people to read."""

    scan: str
    at: datetime
    what: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Known:
    """An instance as last discovered, and when it was last scanned."""

    instance: Instance
    seen_at: datetime
    gone_at: datetime | None = None
    scanned_at: datetime | None = None
    tried_at: datetime | None = None
    live_scan: str = field(default="")


@dataclass(frozen=True, slots=True)
class Sweeping:
    """What the sweeps of an account and region saw: `orphans` should be 0 for ever.

    An orphan is a snapshot of ours that was still there when its scan had ended. `orphans` counts
    all that were ever found, `remaining` those that the last sweep could not delete.
    """

    account: str
    region: str
    swept_at: datetime
    orphans: int
    remaining: int
