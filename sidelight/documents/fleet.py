"""Documents of `sidelight fleet`."""

from typing import NotRequired, TypedDict

from sidelight.documents.machine import FindingDocument
from sidelight.documents.markers import CoverageStatus, Timestamp
from sidelight.documents.network import ReachedByDocument, RuleSuppressionDocument
from sidelight.documents.vex import VexSuppressionDocument
from sidelight.model import FindingStatus, Severity, State


class CoverageDocument(TypedDict):
    """Whether and how an instance is scanned, and the numbers of its active findings.

    `reason` is one of docs/eligibility.md or docs/outcomes.md, `remedy` what to do about it.
    `data_source` is EXISTING or UNCHANGED where the last scan created no snapshots
    (docs/reading-less.md), and `data_at` is the time of its disks' content; else empty and null.
    `next_due_at` is the time of the next scan by snapshots, or of the network's next evaluation;
    null where none is planned.
    """

    account: str
    region: str
    instance: str
    name: str
    status_code: CoverageStatus
    reason: str
    detail: str
    scan_type: str
    scan_mode: str
    updated_at: Timestamp | None
    scanned_at: Timestamp | None
    data_at: Timestamp | None
    data_source: str
    next_due_at: Timestamp | None
    remedy: str
    findings: dict[Severity, int]


class CoverageChangeDocument(TypedDict):
    """One change of an instance's coverage: what holds from `at` on."""

    account: str
    region: str
    instance: str
    scan_type: str
    at: Timestamp
    status_code: CoverageStatus
    reason: str
    scan_mode: str
    detail: str


class AccountDocument(TypedDict):
    """What holds for an account. `inherited` are the members that are its administrator's.

    `configured` is false for an account that nobody configured.
    """

    account: str
    status: str
    mode: str
    deep_inspection: bool
    exclusion_tag: str
    package_paths: list[str]
    configured: bool
    inherited: list[str]


class UnreachedDocument(TypedDict):
    """Why discovery could not list an account, or one Region of it where `region` is not empty.

    Nothing is known of its instances. `tried_at` is the last attempt.
    """

    region: str
    reason: str
    detail: str
    since: str
    tried_at: str
    remedy: str


class ListedAccountDocument(AccountDocument):
    """An account of `fleet accounts list`; `unreached` is empty where discovery lists it."""

    unreached: list[UnreachedDocument]


class FailedAccountDocument(TypedDict):
    """An account that was not changed; `code` is one of Inspector's ErrorCode."""

    account: str
    code: str
    message: str


class ConfiguredAccountsDocument(TypedDict):
    """The accounts as they are configured now, and those that were refused."""

    accounts: list[AccountDocument]
    failed: list[FailedAccountDocument]


class ConfigurationPlanDocument(TypedDict):
    """The accounts as they are, and what `--dry-run` would set and create in them."""

    accounts: list[AccountDocument]
    sets: list[str]
    creates: list[str]


class DisablePlanDocument(TypedDict):
    """What disabling an account would end and remove."""

    account: str
    scans: list[str]
    snapshots: list[str]
    resources: list[str]
    instances: int


class DisabledAccountDocument(TypedDict):
    """What disabling an account did. `left` are snapshots that are still there."""

    account: str
    ended: int
    deleted: list[str]
    removed: list[str]
    left: list[str]
    failures: list[str]
    complete: bool


class ScanCostDocument(TypedDict):
    """The cost of a scan. `bytes` are as read, `usd` is for the EBS direct APIs."""

    scan: str
    get_calls: int
    list_calls: int
    blocks: int
    bytes: int
    seconds: float
    cpu_seconds: float
    usd: float


class ScanStatusDocument(TypedDict):
    """A scan's state. `attempts` counts the claims of the present stage.

    `source` is EXISTING or UNCHANGED for a scan that creates no snapshots, `data_at` the time of
    its disks' content, and `snapshots` the existing ones that it reads.
    """

    id: str
    deployment: str
    account: str
    region: str
    instance: str
    state: State
    created_at: Timestamp
    entered_at: Timestamp
    next_at: Timestamp
    attempts: int
    lease_until: Timestamp | None
    failure: str
    failure_code: str
    last_error: str
    priority: int
    finished_at: Timestamp | None
    late_since: Timestamp | None
    source: str
    data_at: Timestamp | None
    snapshots: list[str]
    cost: ScanCostDocument | None


class FleetFindingDocument(FindingDocument):
    """A finding of an instance, with its history.

    `reached_by` are the open ports and the services that lead to the package. `suppression` is
    the VEX statement or the rule that suppresses the finding, null for one of another state.
    """

    suppression: RuleSuppressionDocument | VexSuppressionDocument | None

    reached_by: list[ReachedByDocument]
    arn: str
    account: str
    region: str
    instance: str
    status: FindingStatus
    first_observed: Timestamp
    last_observed: Timestamp
    updated_at: Timestamp
    closed_at: Timestamp | None


class CostSumDocument(TypedDict):
    """The cost of several scans; of the keys, those that `--by` names."""

    account: NotRequired[str]
    region: NotRequired[str]
    instance: NotRequired[str]
    day: NotRequired[str]
    scans: int
    get_calls: int
    list_calls: int
    blocks: int
    bytes: int
    seconds: float
    cpu_seconds: float
    usd: float


class ForeignSnapshotDocument(TypedDict):
    """A snapshot with Sidelight's tags that is not proven to be Sidelight's.

    `made_by`: the scan that created it, if known.
    """

    id: str
    why: str
    made_by: str


class SweepDocument(TypedDict):
    """The result of a sweep of an account-region, by snapshot id. `orphans` should be empty."""

    account: str
    region: str
    live: list[str]
    orphans: list[str]
    deleted: list[str]
    failed: list[str]
    left: list[str]
    foreign: list[ForeignSnapshotDocument]


class AdoptableDocument(TypedDict):
    """A snapshot without a scan, which EC2's own record shows to be of this deployment."""

    id: str
    volume: str
    started: str
    size_gib: int
    description: str


class AdoptionDocument(TypedDict):
    """The adoptable snapshots of an account-region, and the ids of the deleted ones."""

    account: str
    region: str
    adoptable: list[AdoptableDocument]
    deleted: list[str]


class FleetScanDocument(TypedDict):
    """The result of `sidelight fleet scan`."""

    coverage: list[CoverageDocument]
    scans: list[ScanStatusDocument]
    sweep: list[SweepDocument]


class PlannedScanDocument(TypedDict):
    """An instance that would be scanned. `usd` is an estimate.

    `existing` is the number of the account's snapshots that would be read instead of new ones.
    """

    account: str
    region: str
    instance: str
    name: str
    snapshots: int
    existing: int
    gib: int
    usd: float


class SkippedInstanceDocument(TypedDict):
    """An instance that would not be scanned; `reason` is one of docs/outcomes.md."""

    account: str
    region: str
    instance: str
    reason: str
    detail: str


class RecycleBinDocument(TypedDict):
    """The days that a Recycle Bin keeps deleted snapshots; null: unknown, see `detail`."""

    account: str
    region: str
    days: int | None
    detail: str


class FleetPlanDocument(TypedDict):
    """What `sidelight fleet scan` would do (`--dry-run`), and its estimated cost.

    `by_agents` are scanned over Systems Manager, without a snapshot. `gib` is the size of the
    volumes, `calls` estimated numbers by operation, `usd` the dollars of the EBS direct calls, and
    `storage_usd` at most those of the snapshots' storage.
    """

    scans: list[PlannedScanDocument]
    skipped: list[SkippedInstanceDocument]
    by_agents: list[SkippedInstanceDocument]
    snapshots: int
    gib: int
    calls: dict[str, int]
    usd: float
    storage_usd: float
    recycle_bin: list[RecycleBinDocument]


class FindingChangesDocument(TypedDict):
    """The numbers of findings that a re-evaluation opened, kept and closed."""

    opened: int
    kept: int
    closed: int


class ReevaluationDocument(TypedDict):
    """The result of `sidelight fleet reevaluate`.

    Numbers: packages that were matched again, instances whose findings were reconciled, and
    instances that passed without a comparison.
    """

    left: bool
    packages: int
    instances: int
    passed: int
    findings: FindingChangesDocument
    seconds: float


class PruneDocument(TypedDict):
    """The numbers of deleted rows (`sidelight fleet prune`)."""

    findings: int
    events: int
    inventories: int
    package_sets: int
    packages: int
    details: int
    stage_times: int
    scans: int


class SuppressionRuleDocument(TypedDict):
    """A rule. `filterCriteria` has the shape of Inspector's FilterCriteria."""

    name: str
    description: str
    filterCriteria: dict[str, object]
    createdAt: Timestamp | None
    updatedAt: Timestamp | None


class HealthDocument(TypedDict):
    """The health file of `sidelight fleet run`. `error`: of the last round, empty if it passed."""

    at: Timestamp
    active: bool
    holder: str
    error: str
