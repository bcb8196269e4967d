"""A local AWS in this process: one HTTP server on loopback.

    with LocalCloud(directory) as cloud:
        cloud.add_instance("web", [Path("disk.img")])
        ec2 = boto3.client("ec2", endpoint_url=cloud.endpoint, ...)

It speaks EC2, STS, KMS, SSM, S3, Organizations, IAM and ELB by moto, and the EBS direct APIs by
itself, from the bytes of image files. An access key id of 12 digits is the account of that number;
one that STS gave is the role's; any other is 123456789012. Signatures are not checked.
"""

from __future__ import annotations

import signal
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, Self

from sidelight.errors import UsageError
from sidelight.localcloud import admin_api
from sidelight.localcloud.clock import Clock
from sidelight.localcloud.conditions import DEFAULT
from sidelight.localcloud.counters import Counters
from sidelight.localcloud.faults import FaultPlan
from sidelight.localcloud.http_server import Listener
from sidelight.localcloud.machine import DEFAULT_ACCOUNT, DEFAULT_REGION
from sidelight.localcloud.tokens import Tokens

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from sidelight.localcloud.conditions import Conditions
    from sidelight.localcloud.messages import Reply, Request
    from sidelight.localcloud.moto_services import ControlPlane
    from sidelight.localcloud.pipeline import Front
    from sidelight.localcloud.snapshot_store import Shelf


class LocalCloud:
    """A cloud from `start` to `stop`, or within `with`. One at a time in a process."""

    _running: ClassVar[LocalCloud | None] = None
    _guard: ClassVar[threading.Lock] = threading.Lock()

    def __init__(  # noqa: PLR0913 - all but one by keyword, each with a default
        self,
        directory: Path,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        conditions: Conditions | None = None,
        snapshot_seconds: float | None = None,
        snapshot_interval: float | None = None,
        snapshot_limit: int | None = None,
        plan: FaultPlan | None = None,
        latency: float = 0.0,
        empty_pages: float | None = None,
        seed: int = 0,
        strict_roles: bool | None = None,
        role_seconds: int = 12 * 3600,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """A cloud that keeps its frozen images in `directory`.

        `conditions`: its limits and lags, by default `conditions.DEFAULT`. Of these, by their own
        names: `snapshot_seconds` from pending to completed; `snapshot_interval`, the seconds that
        have to lie between concurrent snapshots of a volume (15 at AWS; 0: not checked);
        `snapshot_limit`, how many may be pending at once, an account and region; `empty_pages`:
        the probability that a page of a listing comes empty. `seed`: of all that is drawn.
        `latency`: seconds for every call.
        `strict_roles`: only roles that exist can be assumed, by whom they trust; `role_seconds`:
        the most that a role's session lasts.
        """
        self.clock = Clock()
        self.counters = Counters()
        self._directory = directory
        self._address = (host, port)
        overrides = {
            "snapshot_seconds": snapshot_seconds,
            "snapshot_interval": snapshot_interval,
            "snapshot_limit": snapshot_limit,
            "empty_pages": empty_pages,
            "strict_roles": strict_roles,
        }
        changed: dict[str, Any] = {
            key: value for key, value in overrides.items() if value is not None
        }
        self.conditions = replace(conditions or DEFAULT, **changed)
        self._plan = plan or FaultPlan()
        self._latency = latency
        self._seed = seed
        self._role_seconds = role_seconds
        self._sleep = sleep
        self._shelf: Shelf | None = None
        self._control_plane: ControlPlane | None = None
        self._front: Front | None = None
        self._listener: Listener | None = None
        self._volumes: dict[str, dict[str, str]] = {}

    def start(self) -> Self:
        """Listen. Raises UsageError where another runs, or the address cannot be had."""
        # moto takes more than a second to import, and the command line need not wait for it.
        from sidelight.localcloud.ebs_direct import EbsDirect
        from sidelight.localcloud.moto_services import ControlPlane
        from sidelight.localcloud.pipeline import Front
        from sidelight.localcloud.rates import Buckets
        from sidelight.localcloud.refusals import throttles
        from sidelight.localcloud.snapshot_store import Shelf
        from sidelight.localcloud.sts import Sessions

        with LocalCloud._guard:
            if LocalCloud._running is not None:
                raise UsageError("a local cloud runs in this process already")
            conditions, seed = self.conditions, self._seed
            shelf = Shelf(self._directory, self.clock, conditions, seed)
            sessions = Sessions(
                self.clock, strict=conditions.strict_roles, seconds=self._role_seconds
            )
            control_plane = ControlPlane(shelf, sessions)
            ebs = EbsDirect(
                shelf, Tokens(self.clock), empty_pages=conditions.empty_pages, seed=seed
            )
            weather = throttles(conditions.throttle_rate, seed)
            front = Front(ebs, control_plane, self.counters, self._sleep, weather)
            front.buckets = Buckets(self.clock) if conditions.rates else None
            front.checks_time = conditions.checks_time
            front.checks_policies = conditions.checks_policies
            front.plan, front.latency = self._plan, self._latency
            self._front = front
            self._shelf, self._control_plane = shelf, control_plane
            try:
                self._listener = Listener(*self._address, self._answer)
            except OSError as error:
                shelf.close()
                host, port = self._address
                raise UsageError(f"cannot listen: {error}", where=f"{host}:{port}") from error
            LocalCloud._running = self
        return self

    def stop(self) -> None:
        """End every connection and remove the frozen images. Twice does no harm."""
        with LocalCloud._guard:
            if self._listener is None or self._shelf is None:
                return
            self._listener.stop()
            self._listener = None
            self._shelf.close()
            LocalCloud._running = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def endpoint(self) -> str:
        """The URL for AWS_ENDPOINT_URL."""
        if self._listener is None:
            raise UsageError("the local cloud is not started")
        host, port = self._listener.server_address[:2]
        return f"http://{host!s}:{port}"

    def environment(self, account: str = DEFAULT_ACCOUNT) -> dict[str, str]:
        """What a client of this account needs in its environment."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": account,
            "AWS_SECRET_ACCESS_KEY": "local",
            "AWS_DEFAULT_REGION": DEFAULT_REGION,
            "AWS_REGION": DEFAULT_REGION,
        }

    def add_instance(
        self,
        name: str,
        images: Sequence[str | Path] | Mapping[str, str | Path],
        **options: Any,
    ) -> str:
        """Run an instance whose volumes hold these images; its id.

        `images` by device, or in order: the first is the root. `options` are Machine's members:
        tags, account, region, state, volume_type, volume_sizes, encrypted, kms_key_id, immutable,
        ssm and so on. Raises UsageError for an image that is not there, and the like.
        """
        if self._control_plane is None:
            raise UsageError("the local cloud is not started")
        machine = admin_api.machine_of(name, images, options)
        instance_id, volumes = self._control_plane.add(machine)
        self._volumes[instance_id] = volumes
        return instance_id

    def volumes(self, instance_id: str) -> dict[str, str]:
        """Volume ids by device, of an instance that `add_instance` made."""
        return dict(self._volumes[instance_id])

    def stop_agent(self, instance_id: str) -> None:
        """Let an instance's SSM agent ping no more: after 5 minutes its connection is lost."""
        if self._control_plane is not None:
            self._control_plane.agents.stop_agent(instance_id)

    def start_agent(self, instance_id: str) -> None:
        """Let a stopped agent ping again."""
        if self._control_plane is not None:
            self._control_plane.agents.start_agent(instance_id)

    def install(self, instance_id: str, type_name: str, entries: list[dict[str, str]]) -> None:
        """Change what an instance's agent finds of one inventory type, from its next run on."""
        if self._control_plane is not None:
            self._control_plane.agents.install(instance_id, type_name, entries)

    def set_commands(
        self, instance_id: str, *, root: Path | None = None, output: bytes | None = None
    ) -> None:
        """Let an instance's agent run documents' commands on a directory, or print `output`.

        Without both it prints what a collector finds where there is nothing. Commands find the
        directory in SIDELIGHT_ROOT.
        """
        if self._control_plane is not None:
            self._control_plane.agents.set_commands(instance_id, root, output)

    def break_volume(self, volume_id: str, why: str) -> None:
        """Let its snapshots end in state error from now on; with an empty `why`, no more."""
        if self._shelf is not None:
            self._shelf.broken[volume_id] = why

    def set_idle(self, volume_id: str) -> None:
        """Let nothing write a volume from now on, as CloudWatch shows it."""
        if self._shelf is not None:
            self._shelf.writes.idle_since[volume_id] = self.clock.now()

    def write(self, volume_id: str) -> None:
        """Let a volume be written from now on, as every volume is that is not set idle."""
        if self._shelf is not None:
            self._shelf.writes.idle_since.pop(volume_id, None)

    def lose_metrics(self, volume_id: str, seconds: float) -> None:
        """Let CloudWatch have no data points of a volume's last seconds."""
        if self._shelf is not None:
            now = self.clock.now()
            self._shelf.writes.gaps[volume_id].append((now - seconds, now))

    def share_volume(self, volume_id: str, instance_id: str, device: str) -> None:
        """Attach a volume to a second instance as well: Multi-Attach, of io1 and io2 volumes."""
        if self._control_plane is None:
            raise UsageError("the local cloud is not started")
        self._control_plane.share(volume_id, instance_id, device)

    def snapshots(self) -> list[str]:
        """The ids of all snapshots that exist, over all accounts and regions.

        One that was deleted while pending is not among them, although EC2 lists it until it is
        completed.
        """
        if self._shelf is None:
            return []
        return sorted(s.id for s in list(self._shelf.snapshots.values()) if not s.deleted)

    def calls(self, operation: str = "*", account: str = "*") -> int:
        """How often an operation was called: `GetSnapshotBlock`, `ec2:*`."""
        return self.counters.calls(operation, account)

    def answers(self, operation: str = "*", account: str = "*") -> int:
        """How often an operation was called without an error: not throttled, nor too early."""
        return self.counters.answers(operation, account)

    @property
    def plan(self) -> FaultPlan:
        """The fault plan. A new one may be set at any time."""
        return self._front.plan if self._front is not None else self._plan

    @plan.setter
    def plan(self, plan: FaultPlan) -> None:
        self._plan = plan
        if self._front is not None:
            self._front.plan = plan

    @property
    def latency(self) -> float:
        """Seconds added to every call."""
        return self._front.latency if self._front is not None else self._latency

    @latency.setter
    def latency(self, seconds: float) -> None:
        self._latency = seconds
        if self._front is not None:
            self._front.latency = seconds

    def set_clocks_apart(self, seconds: float) -> None:
        """Let AWS's clock be ahead of this machine's, which is as if this machine's were wrong."""
        if self._front is None:
            raise UsageError("the local cloud is not started")
        self._front.ahead = seconds

    def _answer(self, request: Request) -> Reply:
        if request.path.startswith(admin_api.PREFIX):
            return admin_api.answer(self, request)
        if self._front is None:
            raise UsageError("the local cloud is not started")
        return self._front(request)


def print_line(line: str) -> None:
    """Print a line at once: a pipe's or a file's reader waits for it while the server goes on."""
    print(line, flush=True)  # noqa: T201 - it is the command's output


def run(
    directory: Path,
    *,
    machines: Sequence[Mapping[str, Any]] = (),
    say: Callable[[str], object] = print_line,
    **options: Any,
) -> None:
    """`sidelight local up`: serve until SIGINT or SIGTERM. For the main thread.

    `machines` are instances to begin with, as POST /_sidelight/instances takes them; `options` are
    LocalCloud's. `say` gets the environment, a shell line each, when all is ready.
    Raises UsageError.
    """
    ended = threading.Event()
    cloud = LocalCloud(directory, **options)
    before = {
        number: signal.signal(number, lambda *_: ended.set())
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        with cloud:
            for machine in machines:
                cloud.add_instance(**machine)
            for name, value in cloud.environment().items():
                say(f"export {name}={value}")
            ended.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
