"""The settings of store, broker and workers."""

from __future__ import annotations

from dataclasses import dataclass

from sidelight.fleet.settings.definition import CALLERS, QUEUES, STAGES, Process, setting


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreSettings:
    """The database of scans, inventories and findings."""

    url: str = setting(
        "SIDELIGHT_STORE_URL", "sqlite:///sidelight.db", unit="URL", readers=QUEUES,
        meaning="`sqlite:///FILE` or `postgresql://USER@HOST/NAME`",
    )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerSettings:
    """The queue between dispatcher and workers: Redis, Sentinel or SQS (docs/brokers.md)."""

    url: str = setting(
        "SIDELIGHT_BROKER_URL", "redis://127.0.0.1:6379/0", unit="URL", readers=QUEUES,
        meaning="`redis://HOST:6379/0`, `rediss://`, `sentinel://HOST:26379/0` or `sqs://`",
    )  # fmt: skip
    answer_seconds: float = setting(
        "SIDELIGHT_BROKER_SECONDS", 30.0, unit="seconds", readers=CALLERS,
        meaning="How long a command waits for a broker that does not answer; then it exits with"
        " status 4",
    )  # fmt: skip
    # Above the longest scan: Redis delivers a message again after this, even if it is in work.
    visibility_seconds: float = setting(
        "SIDELIGHT_VISIBILITY_SECONDS", 6 * 3600.0, unit="seconds", readers=QUEUES,
        meaning="The broker delivers a message again after this; above the longest stage",
    )  # fmt: skip
    sentinel_master: str = setting(
        "SIDELIGHT_SENTINEL_MASTER", "", unit="name", readers=QUEUES,
        meaning="The master's name, for a broker at `sentinel://`",
    )  # fmt: skip
    sentinel_username: str = setting(
        "SIDELIGHT_SENTINEL_USERNAME", "", unit="name", readers=QUEUES,
        meaning="Sentinel's own login, if it requires one; Redis's is in the broker's URL",
    )  # fmt: skip
    sentinel_password: str = setting(
        "SIDELIGHT_SENTINEL_PASSWORD", "", unit="text", readers=QUEUES,
        meaning="Sentinel's own password",
    )  # fmt: skip
    sqs_prefix: str = setting(
        "SIDELIGHT_SQS_PREFIX", "", unit="URL", readers=QUEUES,
        meaning="The queues' URLs up to their names, for a broker at `sqs://`: then no queue is"
        " created or listed",
    )  # fmt: skip
    regional_queues: bool = setting(
        "SIDELIGHT_REGIONAL_QUEUES", False, readers=QUEUES,
        meaning="A queue for each stage and region, so that workers read in their own region",
    )  # fmt: skip
    remote_control: bool = setting(
        "SIDELIGHT_REMOTE_CONTROL", False, readers=QUEUES,
        meaning="Accept Celery's remote control, which Flower uses: anyone on the broker can stop"
        " workers then",
    )  # fmt: skip

    message_keys: str = setting(
        "SIDELIGHT_MESSAGE_KEYS", "", unit="base64", readers=QUEUES,
        meaning="The keys that sign messages, 32 bytes each, separated by commas: the first signs,"
        " each verifies. With any, workers drop messages without a signature; empty: none is"
        " signed",
    )  # fmt: skip

    @property
    def sentinel_login(self) -> dict[str, str]:
        """Return the options of a Sentinel client: its username and password, if they are set."""
        login = {"username": self.sentinel_username, "password": self.sentinel_password}
        return {name: value for name, value in login.items() if value}


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSettings:
    """The limits of a worker's process and of one stage of a scan."""

    # A heartbeat renews the lease of a live worker.
    lease_seconds: float = setting(
        "SIDELIGHT_LEASE_SECONDS", 120.0, unit="seconds", readers=STAGES, positive=True,
        meaning="A dead worker is noticed after this; a heartbeat renews the lease",
    )  # fmt: skip
    # The reader's own limit for an instance (30 min) ends before, and leaves a partial inventory.
    stage_seconds: float = setting(
        "SIDELIGHT_STAGE_SECONDS", 2700.0, unit="seconds", readers=QUEUES, positive=True,
        meaning="A stage that runs longer is stopped, and its scan fails",
    )  # fmt: skip
    memory_mib: int = setting(
        "SIDELIGHT_MEMORY_MIB", 0, unit="MiB", readers=(Process.COMPUTING,),
        meaning="Memory that one computing process may use; 0: an equal share of the container's"
        " or the machine's",
    )  # fmt: skip
    soft_shutdown_seconds: float = setting(
        "SIDELIGHT_SOFT_SHUTDOWN_SECONDS", 60.0, unit="seconds", readers=QUEUES,
        meaning="After SIGTERM, how long running stages may take to finish",
    )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrySettings:
    """How often a stage is tried again before its scan fails, by way of deleting its snapshots."""

    attempts: int = setting(
        "SIDELIGHT_ATTEMPTS", 5, unit="count", readers=STAGES, positive=True,
        meaning="Attempts at a stage before the scan fails",
    )  # fmt: skip
    delete_attempts: int = setting(
        "SIDELIGHT_DELETE_ATTEMPTS", 12, unit="count", readers=STAGES, positive=True,
        meaning="Attempts at deletion before snapshots are left to the sweep",
    )  # fmt: skip
    backoff_seconds: float = setting(
        "SIDELIGHT_BACKOFF_SECONDS", 5.0, unit="seconds", readers=STAGES,
        meaning="Wait after the first failed attempt; it doubles each time",
    )  # fmt: skip
    longest_backoff_seconds: float = setting(
        "SIDELIGHT_LONGEST_BACKOFF_SECONDS", 600.0, unit="seconds", readers=STAGES,
        meaning="The longest such wait",
    )  # fmt: skip
