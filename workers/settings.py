"""What the workers and the dispatcher are told by their environment, in one place."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sidelight.blocks.cache import DEFAULT_BUDGET
from sidelight.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

PREFIX = "SIDELIGHT_"
# Without one of these no scan would ever be done; of others nought is none, or at once.
_NEEDED = frozenset({"lease_seconds", "stage_seconds", "attempts", "delete_attempts", "in_flight"})
_TRUE, _FALSE = frozenset({"1", "true", "yes", "on"}), frozenset({"0", "false", "no", "off", ""})


@dataclass(frozen=True, slots=True)
class Settings:
    """Each member is read from SIDELIGHT_<ITS NAME>; times are in seconds.

    `advisories` is a database that `sidelight advisories build` made. `deployment` tells our
    snapshots from those of another Sidelight in the same account; empty, the store has one.
    `role_name` is the role that is assumed in each account, with `external_id` and `session_tags`
    (`KEY=VALUE,…`), from the environment's credentials or from `hub_role`, a role's ARN. With
    `scanner_account` (ours) snapshots are shared to it and read there; without it they are read
    with the account's own role. `kms_grants`: let ourselves decrypt by grants on customer keys.
    """

    broker_url: str = "redis://127.0.0.1:6379/0"
    store_url: str = "sqlite:///sidelight.db"
    advisories: str = ""
    deployment: str = ""
    role_name: str = ""
    external_id: str = ""
    session_tags: str = ""
    hub_role: str = ""
    scanner_account: str = ""
    kms_grants: bool = False

    # A worker that dies is noticed when its lease ends; a heartbeat renews it meanwhile.
    lease_seconds: float = 120.0
    # Above the longest scan: Redis hands a message out again after this, done or not.
    visibility_seconds: float = 6 * 3600.0
    # No stage runs longer: it is stopped, and counts as failed.
    stage_seconds: float = 4 * 3600.0
    # Of one stage; then the scan goes to FAILED by way of DELETING.
    attempts: int = 5
    # Deletion tries longer, before it leaves what is left to the sweep.
    delete_attempts: int = 12
    backoff_seconds: float = 5.0
    longest_backoff_seconds: float = 600.0
    # How often a pending snapshot is looked at, and for how long.
    poll_seconds: float = 10.0
    snapshot_seconds: float = 4 * 3600.0
    # How long a scan waits for its turn where a volume has too many snapshots under way.
    busy_seconds: float = 3600.0

    # The master's name, for a broker of sentinel://HOST:PORT;sentinel://… .
    sentinel_master: str = ""
    # Sentinel's own login, where it asks for one; Redis's is in the broker's URL.
    sentinel_username: str = ""
    sentinel_password: str = ""
    # With sqs:// the queues' URLs up to their names, so that none has to be made or listed.
    sqs_prefix: str = ""
    # A queue for each stage and region, so that workers read in their own region.
    regional_queues: bool = False
    # Where the dispatcher sends findings' events: eventbridge:BUS, sns:ARN or file:PATH.
    publish: str = ""
    # Lets anyone on the broker stop the workers: off but where Flower is to steer.
    remote_control: bool = False
    soft_shutdown_seconds: float = 60.0

    # Calls a second that all workers share, an account and region; 0 is without limit. AWS allows
    # 1,000 and 50 of the first two; the others refill at 5 to 20 a second, shared with the
    # account's other users. A throttle halves them for a while. Below 20 no second has more, and
    # over many an eleventh is left (`workers.bucket`).
    get_per_second: float = 900.0
    list_per_second: float = 40.0
    create_per_second: float = 4.0
    describe_per_second: float = 10.0
    delete_per_second: float = 4.0
    # They are shared in this Redis, a URL as the broker's; empty: in the broker, where it is one.
    # `process`: not shared, each process has these rates of its own.
    budgets_url: str = ""
    # Longer than this no call but a block's waits for its turn: the message is handed back.
    patience_seconds: float = 5.0
    # Block reads of one scan at once.
    in_flight: int = 64
    # MiB of blocks kept of each snapshot that is read; with less, more of them are paid for twice.
    cache_mib: int = DEFAULT_BUDGET >> 20
    # Snapshots of ours that exist at once, an account and region, and of one volume those that are
    # being made (EC2 allows 5, of st1 and sc1 volumes 1, which is kept anyway). 0 is without limit.
    snapshots_in_flight: int = 1000
    snapshots_per_volume: int = 3
    # An account's, of the EBS direct APIs' calls in the last 24 hours: with that spent, new scans
    # wait. The snapshots' storage is not in it (EC2 does not tell their bytes; they live minutes),
    # nor what the scans that are under way have still to read.
    usd_per_day: float = 0.0

    # Whether what container runtimes keep is read as well (/var/lib/docker and the like); it costs
    # what its files cost, some blocks a layer (docs/cost-model.md).
    containers: bool = False

    # A directory where the blocks that were paid for are kept until their scan has read all, so
    # that one whose worker died does not pay twice; empty: none. They are the machines' data: what
    # a dead worker left where no other goes on is there until newer blocks take its room.
    block_cache: str = ""
    block_cache_gib: float = 10.0

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> Settings:
        """Read them. Raises UsageError, naming the variable, for what cannot be one."""
        given = os.environ if environment is None else environment
        values = {}
        for field in fields(cls):
            variable = PREFIX + field.name.upper()
            if variable in given:
                value = _read(variable, field.default, given[variable])
                values[field.name] = value
                if isinstance(value, str):
                    continue
                if not math.isfinite(value) or value < 0 or (field.name in _NEEDED and not value):
                    raise UsageError(f"{value} is too little or too much", where=variable)
        return cls(**values)

    def as_environment(self) -> dict[str, str]:
        """For a worker's process."""
        return {
            PREFIX + field.name.upper(): str(getattr(self, field.name)) for field in fields(self)
        }

    @property
    def tags_of_sessions(self) -> dict[str, str]:
        """`session_tags` by key. Raises UsageError."""
        tags = {}
        for item in filter(None, (part.strip() for part in self.session_tags.split(","))):
            key, given, value = item.partition("=")
            if not (key and given):
                raise UsageError(f"{item!r} is not KEY=VALUE", where=PREFIX + "SESSION_TAGS")
            tags[key] = value
        return tags

    @property
    def sentinel_login(self) -> dict[str, str]:
        """Options of a client of Sentinel's: what is given of its username and password."""
        given = {"username": self.sentinel_username, "password": self.sentinel_password}
        return {name: value for name, value in given.items() if value}

    @property
    def block_cache_bytes(self) -> int:
        """The budget of the kept blocks."""
        return int(self.block_cache_gib * (1 << 30))

    @property
    def advisories_path(self) -> Path:
        """The database's file. Raises UsageError where none is named."""
        if not self.advisories:
            raise UsageError("no advisory database: set SIDELIGHT_ADVISORIES")
        return Path(self.advisories)


def _read(variable: str, default: Any, text: str) -> Any:
    kind = _boolean if isinstance(default, bool) else type(default)
    try:
        return kind(text)
    except ValueError as error:
        name = type(default).__name__
        raise UsageError(f"{text!r} is no {name}", where=variable) from error


def _boolean(text: str) -> bool:
    word = text.strip().lower()
    if word not in _TRUE | _FALSE:
        raise ValueError(word)
    return word in _TRUE
