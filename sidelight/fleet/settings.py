"""The settings of commands, dispatcher and workers: options, environment, defaults, in that order.

docs/settings.md lists them; a test compares the table with this class.
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, fields, replace
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sidelight.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

PREFIX = "SIDELIGHT_"
# Variables that are not members of Settings, and their readers.
OTHERS = {
    "SIDELIGHT_MIRRORS": "`advisories fetch`",
    "SIDELIGHT_DEBUG": "every command: print the traceback of an error",
    "SIDELIGHT_IMAGE": "deploy/compose.yaml",
    "SIDELIGHT_SHARED_DATA": "the tests",
    "SIDELIGHT_LOAD_LOG": "the load proof",
}
TESTS = "SIDELIGHT_TEST_"  # the tests' own worker processes
# Kubernetes sets variables in each pod for the services of its namespace: for a service called
# sidelight-metrics, SIDELIGHT_METRICS_SERVICE_HOST and SIDELIGHT_METRICS_PORT_8417_TCP_ADDR.
_SERVICE = "_SERVICE_HOST"
AUTO = "auto"  # derived from AWS's quota
OFF = "off"  # instead of a number whose zero means "no limit"
# These must be above 0, or no scan would ever complete; for the others 0 means none, or at once.
_NEEDED = frozenset({"lease_seconds", "stage_seconds", "attempts", "delete_attempts", "in_flight",
                     "cache_mib"})  # fmt: skip
_TRUE, _FALSE = frozenset({"1", "true", "yes", "on"}), frozenset({"0", "false", "no", "off", ""})
NO_ADVISORIES = (
    "no advisory database: name one with --advisories or SIDELIGHT_ADVISORIES. To make one: "
    "`sidelight advisories fetch --into feeds`, then "
    "`sidelight advisories build --out advisories.db feeds`"
)


class Unchosen(float):
    """A default that was not chosen explicitly, for a setting that depends on the account.

    The same number from the environment or an option is a plain float, and is used unchanged.
    """


@dataclass(frozen=True, slots=True)
class Settings:
    """Each member is read from SIDELIGHT_<ITS NAME>; times are in seconds.

    `advisories` is a database that `sidelight advisories build` wrote. `deployment` distinguishes
    our snapshots from those of another Sidelight in the same account; if empty, the store's is
    used. `role_name` is the role to assume in each account, with `external_id` and `session_tags`
    (`KEY=VALUE,…`), from the environment's credentials or from `hub_role`, a role's ARN. With
    `scanner_account` (ours), snapshots are shared with it and read there; without it they are read
    with the account's own role. `kms_grants`: create grants on customer keys so that we may
    decrypt.
    """

    broker_url: str = "redis://127.0.0.1:6379/0"
    # How long a command waits for a broker that does not answer, before it fails.
    broker_seconds: float = 30.0
    store_url: str = "sqlite:///sidelight.db"
    advisories: str = ""
    deployment: str = ""
    role_name: str = ""
    external_id: str = ""
    session_tags: str = ""
    hub_role: str = ""
    scanner_account: str = ""
    kms_grants: bool = False

    # A dead worker is detected when its lease ends; a heartbeat renews the lease of a live one.
    lease_seconds: float = 120.0
    # Above the longest scan: Redis delivers a message again after this, even if it is in work.
    visibility_seconds: float = 6 * 3600.0
    # The time limit of a stage: an instance that takes longer to read is given up. The reader's own
    # limit for an instance (30 min) ends before, and leaves a partial inventory.
    stage_seconds: float = 2700.0
    # MiB that a reading process may use; 0 is an equal share of the container's or machine's.
    memory_mib: int = 0
    # Attempts at one stage; then the scan goes to FAILED by way of DELETING.
    attempts: int = 5
    # Attempts at deletion, before it leaves the remaining snapshots to the sweep.
    delete_attempts: int = 12
    backoff_seconds: float = 5.0
    longest_backoff_seconds: float = 600.0
    # The interval of snapshot polls, and the longest time that a snapshot may be pending.
    poll_seconds: float = 10.0
    snapshot_seconds: float = 4 * 3600.0
    # How long a scan waits where a volume has too many snapshots in progress.
    busy_seconds: float = 3600.0
    # How long a scan retries where EBS direct does not know a completed snapshot, its tags, its
    # share or its key's grant yet.
    late_seconds: float = 600.0

    # The master's name, for a broker of sentinel://HOST:PORT;sentinel://… .
    sentinel_master: str = ""
    # Sentinel's own login, if it requires one; Redis's is in the broker's URL.
    sentinel_username: str = ""
    sentinel_password: str = ""
    # With sqs://, the queues' URLs up to their names, so that no queue is created or listed.
    sqs_prefix: str = ""
    # A queue for each stage and region, so that workers read in their own region.
    regional_queues: bool = False
    # Where the dispatcher sends findings' events: eventbridge:BUS, sns:ARN or file:PATH.
    publish: str = ""
    # Lets anyone with access to the broker stop the workers: off unless Flower has to control them.
    remote_control: bool = False
    soft_shutdown_seconds: float = 60.0

    # Rate limits: calls a second per account-region, shared by all workers; 0 means no limit. AWS
    # allows 1,000 and 50 of the first two. Where AWS has raised an account's quota, the same share
    # of that quota is used, unless a rate is set here. EC2's buckets of the others, which the
    # account's other tools share, refill at 5, 20 and 5 a second: ours are half of that. A throttle
    # halves them for a while. A rate below 20 holds in every second, and an eleventh of it stays
    # unused on average (`sidelight.fleet.rate_limit.slots`).
    get_per_second: float = Unchosen(900.0)
    list_per_second: float = Unchosen(40.0)
    create_per_second: float = 2.5
    describe_per_second: float = 10.0
    delete_per_second: float = 2.5
    # The URL of the Redis that shares the rate limits; empty: the broker, if it is a Redis.
    # `process`: not shared, each process has these rates on its own.
    budgets_url: str = ""
    # The longest wait for the rate limit, except for block reads: then the message is handed back.
    patience_seconds: float = 5.0
    # Concurrent block reads of one scan.
    in_flight: int = 64
    # MiB of blocks cached for each snapshot that is read; with less, more are paid for twice.
    cache_mib: int = 144  # as sidelight.blocks.cache.DEFAULT_BUDGET, which help doesn't import
    # The quota of our pending snapshots per account-region: AWS allows 100, and the account's
    # backups share them. `auto`: half of what others leave free of the account's own quota, 50 of
    # AWS's default. A number is used unchanged, however many others have; 0 means no limit.
    snapshots_pending: str = AUTO
    # The quota of our existing snapshots, so that creation does not outrun the readers, and that of
    # snapshots in creation per volume (EC2 allows 5, and 1 for st1 and sc1 volumes, which is always
    # obeyed). 0 means no limit.
    snapshots_in_flight: int = 1000
    snapshots_per_volume: int = 3
    # The dollar budget of an account's EBS direct API calls in 24 hours. When it is spent, new
    # scans wait, and a scan that is being read stops and waits. 0 or `off` means no limit. The
    # snapshots' storage is not included: EC2 does not report their bytes, and they exist for
    # minutes.
    usd_per_day: float = 25.0

    # Whether the files of container runtimes are read as well (/var/lib/docker and the like). It
    # costs the blocks of these files, some blocks a layer (docs/cost-model.md).
    containers: bool = False

    # A directory that caches paid blocks until their scan is read, so that a scan whose worker died
    # does not pay twice; empty: no cache. The blocks are the instances' data. If a worker dies and
    # no other continues its scan on this machine, they stay until newer blocks replace them.
    block_cache: str = ""
    block_cache_gib: float = 10.0

    @classmethod
    def from_environment(
        cls, environment: Mapping[str, str] | None = None, **options: Any
    ) -> Settings:
        """Read settings from the environment; an option that is not None overrides its variable.

        Raises UsageError, naming the variable, for an invalid value and for a SIDELIGHT_ variable
        that does not exist.
        """
        variables = os.environ if environment is None else environment
        refuse_unknown(variables)
        values = {}
        for field in fields(cls):
            variable = PREFIX + field.name.upper()
            if variable in variables and options.get(field.name) is None:
                values[field.name] = _read(field.name, field.default, variables[variable])
        overrides = {name: value for name, value in options.items() if value is not None}
        return replace(cls(**values), **overrides)

    def as_environment(self) -> dict[str, str]:
        """Return a worker's environment, without defaults that are Unchosen: they stay so there."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {
            PREFIX + name.upper(): str(value)
            for name, value in values.items()
            if not isinstance(value, Unchosen)
        }

    @property
    def tags_of_sessions(self) -> dict[str, str]:
        """Return `session_tags` by key. Raises UsageError."""
        tags = {}
        for item in filter(None, (part.strip() for part in self.session_tags.split(","))):
            key, equals, value = item.partition("=")
            if not (key and equals):
                raise UsageError(f"{item!r} is not KEY=VALUE", where=PREFIX + "SESSION_TAGS")
            tags[key] = value
        return tags

    @property
    def sentinel_login(self) -> dict[str, str]:
        """Return the options of a Sentinel client: its username and password, if they are set."""
        login = {"username": self.sentinel_username, "password": self.sentinel_password}
        return {name: value for name, value in login.items() if value}

    @property
    def pending_given(self) -> int | None:
        """Return `snapshots_pending` if it is a number, else None. Raises UsageError."""
        if self.snapshots_pending == AUTO:
            return None
        return int(_number_or_auto(PREFIX + "SNAPSHOTS_PENDING", self.snapshots_pending))

    @property
    def block_cache_bytes(self) -> int:
        """Return the size limit of the disk cache of blocks, in bytes."""
        return int(self.block_cache_gib * (1 << 30))

    @property
    def advisories_path(self) -> Path:
        """Return the advisory database's path. Raises UsageError where none is set."""
        if not self.advisories:
            raise UsageError(NO_ADVISORIES)
        return Path(self.advisories)


def variables() -> list[str]:
    """Return every SIDELIGHT_ variable that is read, in order."""
    return [*(PREFIX + field.name.upper() for field in fields(Settings)), *OTHERS]


def refuse_unknown(environment: Mapping[str, str]) -> None:
    """Raise UsageError for a SIDELIGHT_ variable that no code reads: it is misspelt."""
    names = sorted(name for name in environment if name.startswith(PREFIX))
    services = [name.removesuffix(_SERVICE) for name in names if name.endswith(_SERVICE)]
    known = variables()
    for name in names:
        is_service = any(name.startswith((f"{s}_SERVICE_", f"{s}_PORT")) for s in services)
        if name in known or name.startswith(TESTS) or is_service:
            continue
        suffixes = [variable[len(PREFIX) :] for variable in known]
        near = get_close_matches(name[len(PREFIX) :], suffixes, 1)
        hint = f"did you mean {PREFIX}{near[0]}?" if near else "docs/settings.md lists all of them"
        raise UsageError(f"there is no such setting; {hint}", where=name)


def _read(name: str, default: Any, text: str) -> Any:
    variable = PREFIX + name.upper()
    kind = float if isinstance(default, Unchosen) else type(default)
    if name == "snapshots_pending":
        return _number_or_auto(variable, text)
    if kind is str:
        return text
    try:
        if kind is bool:
            return _boolean(text)
        value = kind(0 if name == "usd_per_day" and text.strip().lower() == OFF else text)
        sound = math.isfinite(value)
    except (ValueError, OverflowError) as error:
        word = {bool: "yes or no", int: "a whole number", float: "a number"}[kind]
        raise UsageError(f"{text!r} is not {word}", where=variable) from error
    if not sound or value < 0 or (name in _NEEDED and not value):
        least = "above 0" if name in _NEEDED else "0 or more"
        raise UsageError(f"{text} is not a finite number, {least}", where=variable)
    return value


def _number_or_auto(variable: str, text: str) -> str:
    word = text.strip().lower()
    if word != AUTO and not (word.isascii() and word.isdigit() and len(word) < 10):
        raise UsageError(f"{text!r} is not {AUTO} or a whole number, 0 or more", where=variable)
    return word


def _boolean(text: str) -> bool:
    word = text.strip().lower()
    if word not in _TRUE | _FALSE:
        raise ValueError(word)
    return word in _TRUE
