"""The settings for AWS: roles, snapshots, calls and dollars."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sidelight.errors import UsageError
from sidelight.fleet.settings.definition import (
    CALLERS,
    CONTROL,
    QUEUES,
    STAGES,
    Kind,
    Process,
    Unchosen,
    setting,
)

AUTO: Final = "auto"  # derived from AWS's quota
OFF: Final = "off"  # instead of a number whose zero means "no limit"


@dataclass(frozen=True, slots=True, kw_only=True)
class AwsSettings:
    """The roles in the scanned accounts (docs/accounts.md).

    Credentials, regions and endpoints come from the usual AWS variables.
    """

    role_name: str = setting(
        "SIDELIGHT_ROLE_NAME", "", unit="name", readers=CALLERS,
        meaning="Role to assume in each account; empty: the environment's credentials",
    )  # fmt: skip
    reader_role_name: str = setting(
        "SIDELIGHT_READER_ROLE_NAME", "", unit="name", readers=CALLERS,
        meaning="Role to assume in each account to read blocks, which can do nothing else; empty:"
        " SIDELIGHT_ROLE_NAME's",
    )  # fmt: skip
    external_id: str = setting(
        "SIDELIGHT_EXTERNAL_ID", "", unit="text", readers=CALLERS,
        meaning="External id for that role",
    )  # fmt: skip
    session_tags: str = setting(
        "SIDELIGHT_SESSION_TAGS", "", unit="`KEY=VALUE,…`", readers=CALLERS,
        meaning="Tags of the role's sessions",
    )  # fmt: skip
    hub_role: str = setting(
        "SIDELIGHT_HUB_ROLE", "", unit="ARN", readers=CALLERS,
        meaning="Role to assume first; empty: the environment's credentials",
    )  # fmt: skip
    # Without a scanner's account, snapshots are read with the scanned account's own role.
    scanner_account: str = setting(
        "SIDELIGHT_SCANNER_ACCOUNT", "", unit="account id", readers=CALLERS,
        meaning="Share snapshots to this account, the scanner's, and read them there; empty: read"
        " in place",
    )  # fmt: skip
    kms_grants: bool = setting(
        "SIDELIGHT_KMS_GRANTS", False, readers=CONTROL,
        meaning="Create grants on customer keys, so that shared snapshots can be decrypted",
    )  # fmt: skip

    @property
    def tags_of_sessions(self) -> dict[str, str]:
        """Return `session_tags` by key. Raises UsageError."""
        tags = {}
        for item in filter(None, (part.strip() for part in self.session_tags.split(","))):
            key, equals, value = item.partition("=")
            if not (key and equals):
                raise UsageError(f"{item!r} is not KEY=VALUE", where="SIDELIGHT_SESSION_TAGS")
            tags[key] = value
        return tags


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotSettings:
    """Sidelight's snapshots: whose they are, how many exist, and how long a scan waits for them.

    AWS allows 100 pending snapshots in an account-region, for all its tools together: AWS Backup,
    Data Lifecycle Manager and CreateImage share the limit. With `SIDELIGHT_SNAPSHOTS_PENDING=auto`
    the dispatcher reads the account's quotas once a day (servicequotas:GetServiceQuota; if it is
    denied, AWS's defaults are assumed). Before scans begin, a worker counts the pending snapshots
    of the account every 15 s, and Sidelight takes half of what others leave free. If
    CreateSnapshots still answers PendingSnapshotLimitExceeded, the scans of that account-region
    wait without a bound. One of them at a time retries, after 15 s and then less and less often, up
    to 5 minutes apart. Status and coverage report it.
    """

    deployment: str = setting(
        "SIDELIGHT_DEPLOYMENT", "", unit="name", readers=CALLERS,
        meaning="Distinguishes this deployment's snapshots from those of another Sidelight in the"
        " account; empty: the store's own id",
    )  # fmt: skip
    pending: int | None = setting(
        "SIDELIGHT_SNAPSHOTS_PENDING", None, kind=Kind.WHOLE, words={AUTO: None},
        unit="count or `auto`", readers=STAGES,
        meaning="Sidelight's snapshots that are pending at once, for an account-region. `auto`:"
        " half of what others leave free of the account's quota (50 of AWS's 100); a number is a"
        " fixed quota; 0: no limit",
    )  # fmt: skip
    # So that creation does not outrun the readers.
    in_flight: int = setting(
        "SIDELIGHT_SNAPSHOTS_IN_FLIGHT", 1000, unit="count", readers=STAGES,
        meaning="Sidelight's snapshots that exist at once, for an account-region, pending or not;"
        " 0: no limit",
    )  # fmt: skip
    # EC2 allows 5, and 1 for st1 and sc1 volumes, which is always obeyed.
    per_volume: int = setting(
        "SIDELIGHT_SNAPSHOTS_PER_VOLUME", 3, unit="count", readers=STAGES,
        meaning="Snapshots of one volume in progress; 0: no limit",
    )  # fmt: skip
    poll_seconds: float = setting(
        "SIDELIGHT_POLL_SECONDS", 10.0, unit="seconds", readers=STAGES,
        meaning="Between polls of pending snapshots",
    )  # fmt: skip
    pending_seconds: float = setting(
        "SIDELIGHT_SNAPSHOT_SECONDS", 4 * 3600.0, unit="seconds",
        readers=(Process.MACHINE, *STAGES),
        meaning="A snapshot that is still pending after this fails its scan",
    )  # fmt: skip
    busy_seconds: float = setting(
        "SIDELIGHT_BUSY_SECONDS", 3600.0, unit="seconds", readers=STAGES,
        meaning="How long a scan waits while EC2 has too many snapshots of a volume in progress",
    )  # fmt: skip
    late_seconds: float = setting(
        "SIDELIGHT_LATE_SECONDS", 600.0, unit="seconds", readers=(Process.MACHINE, *STAGES),
        meaning="How long a scan retries while EBS direct refuses a completed snapshot: it learns"
        " of snapshots, tags, shares and grants late. At most 2 minutes where IAM says that a"
        " permission is missing",
    )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class RateSettings:
    """Rate limits: calls a second for an account-region, shared by all workers; 0: no limit.

    A throttle halves a rate for a while. A rate below 20 holds in every second, and an eleventh of
    it stays unused on average.
    """

    # AWS allows 1,000 and 50 of the first two. EC2's buckets of the others, which the account's
    # other tools share, refill at 5, 20 and 5 a second: ours are half of that.
    get_per_second: float = setting(
        "SIDELIGHT_GET_PER_SECOND", Unchosen(900.0), unit="calls/s", readers=CALLERS,
        meaning="GetSnapshotBlock. If it is not set, it follows a quota that AWS has raised: 90% of"
        " it",
    )  # fmt: skip
    list_per_second: float = setting(
        "SIDELIGHT_LIST_PER_SECOND", Unchosen(40.0), unit="calls/s", readers=CALLERS,
        meaning="ListSnapshotBlocks, likewise: 80%",
    )  # fmt: skip
    create_per_second: float = setting(
        "SIDELIGHT_CREATE_PER_SECOND", 2.5, unit="calls/s", readers=CALLERS,
        meaning="CreateSnapshots; half of the 5/s that AWS gives an account's tools together",
    )  # fmt: skip
    describe_per_second: float = setting(
        "SIDELIGHT_DESCRIBE_PER_SECOND", 10.0, unit="calls/s", readers=CALLERS,
        meaning="EC2's describe calls; half of 20/s",
    )  # fmt: skip
    delete_per_second: float = setting(
        "SIDELIGHT_DELETE_PER_SECOND", 2.5, unit="calls/s", readers=CALLERS,
        meaning="DeleteSnapshot and ModifySnapshotAttribute; half of 5/s",
    )  # fmt: skip
    # Systems Manager's quotas of calls that read or change associations are 1 to 4 a second.
    ssm_read_per_second: float = setting(
        "SIDELIGHT_SSM_READ_PER_SECOND", 5.0, unit="calls/s", readers=CALLERS,
        meaning="Systems Manager's listings of instances, inventories and data syncs",
    )  # fmt: skip
    ssm_change_per_second: float = setting(
        "SIDELIGHT_SSM_CHANGE_PER_SECOND", 1.0, unit="calls/s", readers=CALLERS,
        meaning="Systems Manager's calls for associations, documents, parameters and commands",
    )  # fmt: skip
    url: str = setting(
        "SIDELIGHT_BUDGETS_URL", "", unit="URL", readers=QUEUES,
        meaning="The Redis that keeps these rate limits; empty: the broker's; `process`: each"
        " process has its own",
    )  # fmt: skip
    patience_seconds: float = setting(
        "SIDELIGHT_PATIENCE_SECONDS", 5.0, unit="seconds", readers=CALLERS,
        meaning="A call that would wait longer for its rate hands the message back (block reads"
        " wait)",
    )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetSettings:
    """The dollar budget of each account, which is on by default.

    25 dollars are 8.3 million blocks, some 30,000 scans of a usual machine. Sidelight checks the
    budget before a scan creates snapshots, and again during the read. One scan exceeds it by a
    thousand blocks (0.3 cents) at most. A scan that stops there keeps its snapshots, and reads
    again when budget is available. A scan that needs more than a whole day's budget fails and
    reports it. The snapshots' storage is not included: EC2 does not report their bytes, and they
    exist for minutes.
    """

    usd_per_day: float = setting(
        "SIDELIGHT_USD_PER_DAY", 25.0, words={OFF: 0.0}, unit="dollars or `off`",
        readers=(*STAGES, Process.SERVE),
        meaning="Cap on an account's EBS direct API calls in 24 hours: when it is spent, scans wait"
        " and report it. 0 or `off`: no cap",
    )  # fmt: skip
