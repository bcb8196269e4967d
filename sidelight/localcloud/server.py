"""A local AWS in this process: one HTTP server on loopback.

    with LocalCloud(directory) as cloud:
        cloud.add_instance("web", [Path("disk.img")])
        ec2 = boto3.client("ec2", endpoint_url=cloud.endpoint, ...)

It speaks EC2, STS, KMS, SSM, Organizations, IAM and ELB by moto, and the EBS direct APIs by
itself, from the bytes of image files. An access key id of 12 digits is the account of that number;
one that STS gave is the role's; any other is 123456789012. Signatures are not checked.
"""

from __future__ import annotations

import signal
import threading
import time
from typing import TYPE_CHECKING, Any, ClassVar, Self

from sidelight.errors import UsageError
from sidelight.localcloud import control
from sidelight.localcloud.clock import Clock
from sidelight.localcloud.counters import Counters
from sidelight.localcloud.faults import FaultPlan
from sidelight.localcloud.listen import Listener
from sidelight.localcloud.machine import DEFAULT_ACCOUNT, DEFAULT_REGION
from sidelight.localcloud.tokens import Tokens

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from sidelight.localcloud.control_plane import ControlPlane
    from sidelight.localcloud.front import Front
    from sidelight.localcloud.shelf import Shelf
    from sidelight.localcloud.wire import Reply, Request


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
        snapshot_seconds: float = 0.0,
        snapshot_interval: float = 0.0,
        snapshot_limit: int = 0,
        plan: FaultPlan | None = None,
        latency: float = 0.0,
        empty_pages: float = 0.0,
        seed: int = 0,
        strict_roles: bool = False,
        role_seconds: int = 12 * 3600,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """A cloud that keeps its frozen images in `directory`.

        `snapshot_seconds` from pending to completed. `snapshot_interval`: seconds that have to lie
        between concurrent snapshots of a volume (15 at AWS; 0: not checked).
        `snapshot_limit`: how many may be pending at once, an account and region. `latency`: seconds
        for every call. `empty_pages`: the probability that a page of a listing comes empty.
        `strict_roles`: only roles that exist can be assumed, by whom they trust; `role_seconds`:
        the most that a role's session lasts.
        """
        self.clock = Clock()
        self.counters = Counters()
        self._directory = directory
        self._address = (host, port)
        self._pace = (snapshot_seconds, snapshot_interval, snapshot_limit)
        self._plan = plan or FaultPlan()
        self._latency = latency
        self._empty_pages = (empty_pages, seed)
        self._roles = (strict_roles, role_seconds)
        self._sleep = sleep
        self._shelf: Shelf | None = None
        self._control_plane: ControlPlane | None = None
        self._front: Front | None = None
        self._listener: Listener | None = None
        self._volumes: dict[str, dict[str, str]] = {}

    def start(self) -> Self:
        """Listen. Raises UsageError where another runs, or the address cannot be had."""
        # moto takes more than a second to import, and the command line need not wait for it.
        from sidelight.localcloud.control_plane import ControlPlane
        from sidelight.localcloud.ebs_direct import EbsDirect
        from sidelight.localcloud.front import Front
        from sidelight.localcloud.shelf import Pace, Shelf
        from sidelight.localcloud.sts import Sessions

        with LocalCloud._guard:
            if LocalCloud._running is not None:
                raise UsageError("a local cloud runs in this process already")
            shelf = Shelf(self._directory, self.clock, Pace(*self._pace))
            strict, seconds = self._roles
            sessions = Sessions(self.clock, strict=strict, seconds=seconds)
            control_plane = ControlPlane(shelf, sessions)
            probability, seed = self._empty_pages
            ebs = EbsDirect(shelf, Tokens(self.clock), empty_pages=probability, seed=seed)
            front = Front(ebs, control_plane, self.counters, self._sleep)
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
        machine = control.machine_of(name, images, options)
        instance_id, volumes = self._control_plane.add(machine)
        self._volumes[instance_id] = volumes
        return instance_id

    def volumes(self, instance_id: str) -> dict[str, str]:
        """Volume ids by device, of an instance that `add_instance` made."""
        return dict(self._volumes[instance_id])

    def break_volume(self, volume_id: str, why: str) -> None:
        """Let its snapshots end in state error from now on; with an empty `why`, no more."""
        if self._shelf is not None:
            self._shelf.broken[volume_id] = why

    def share_volume(self, volume_id: str, instance_id: str, device: str) -> None:
        """Attach a volume to a second instance as well: Multi-Attach, of io1 and io2 volumes."""
        if self._control_plane is None:
            raise UsageError("the local cloud is not started")
        self._control_plane.share(volume_id, instance_id, device)

    def snapshots(self) -> list[str]:
        """The ids of all snapshots that exist, over all accounts and regions."""
        return sorted(self._shelf.snapshots) if self._shelf is not None else []

    def calls(self, operation: str = "*", account: str = "*") -> int:
        """How often an operation was called: `GetSnapshotBlock`, `ec2:*`."""
        return self.counters.calls(operation, account)

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

    def _answer(self, request: Request) -> Reply:
        if request.path.startswith(control.PREFIX):
            return control.answer(self, request)
        if self._front is None:
            raise UsageError("the local cloud is not started")
        return self._front(request)


def run(
    directory: Path,
    *,
    machines: Sequence[Mapping[str, Any]] = (),
    say: Callable[[str], object] = print,
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
