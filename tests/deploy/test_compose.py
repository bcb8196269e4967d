"""compose.yaml's commands and settings as plain processes: workers come and go, nothing is lost."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from sidelight.localcloud.conditions import KIND
from sidelight.localcloud.server import LocalCloud
from sidelight.model import State
from sidelight.store import Store
from tests.fixtures.api_requests import SEAL_TEXT
from tests.fixtures.redis_servers import client, free_port, server, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


pytestmark = [pytest.mark.services, pytest.mark.images, pytest.mark.slow]

DEPLOY = Path(__file__).resolve().parent.parent.parent / "deploy"
MACHINES = 10


class Compose:
    """The services of compose.yaml, run without containers."""

    def __init__(self, variables: dict[str, str], places: dict[str, str], logs: Path) -> None:
        """`variables` are .env's; `places` are what is elsewhere than in the containers."""
        self._services = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
        self._variables = variables
        self._places = places
        self._logs = logs
        self._signalled: set[int] = set()

    def command(self, service: str) -> list[str]:
        return [self._placed(str(part)) for part in self._services[service]["command"]]

    def environment(self, service: str) -> dict[str, str]:
        variables = self._services[service]["environment"]
        values = {name: self._placed(self._filled(value)) for name, value in variables.items()}
        return {name: value for name, value in values.items() if value}

    @contextmanager
    def up(self, service: str, name: str) -> Iterator[subprocess.Popen[bytes]]:
        """A process of a service, that is terminated at the end."""
        with (self._logs / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "dispatcher.cli", *self.command(service)],
                env=os.environ | self.environment(service) | {"SIDELIGHT_POLL_SECONDS": "0.2"},
                stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True,
            )  # fmt: skip
        try:
            yield process
        finally:
            self.end(process)
            try:
                process.wait(90)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                raise

    def end(self, process: subprocess.Popen[bytes]) -> None:
        """SIGTERM, once: as a scaling in sends it."""
        if process.pid not in self._signalled:
            self._signalled.add(process.pid)
            process.send_signal(signal.SIGTERM)

    def _filled(self, value: str) -> str:
        def variable(match: re.Match[str]) -> str:
            name, _, rest = match.group(1).partition(":")
            found = self._variables.get(name, "")
            assert found or not rest.startswith("?"), f"{name} is not set"
            return found or rest.removeprefix("-")

        # The innermost first: a default may name a variable.
        text, before = str(value), ""
        while text != before:
            text, before = re.sub(r"\$\{([^{}]*)\}", variable, text), text
        return text

    def _placed(self, value: str) -> str:
        for there, here in self._places.items():
            value = value.replace(there, here)
        return value


def test_workers_come_and_go_while_a_fleet_is_scanned(
    tmp_path: Path, image: Path, advisories: Path, make_postgresql: Callable[[], str]
) -> None:
    pytest.importorskip("psycopg")
    users = tmp_path / "users.acl"
    users.write_text((DEPLOY / "redis/users.acl").read_text().replace("CHANGE-ME", "secret"))
    port = free_port()
    store_url = make_postgresql()
    # Kind: creations and reads are counted, of which a throttle or a lag would add some.
    cloud = LocalCloud(tmp_path / "cloud", conditions=KIND, latency=0.4)
    with cloud, ExitStack() as stack:
        for number in range(MACHINES):
            cloud.add_instance(f"m{number}", [image], immutable=True)
        variables = cloud.environment() | {
            "REDIS_PASSWORD": "secret", "POSTGRES_PASSWORD": "secret", "SIDELIGHT_DEPLOYMENT": "t",
            "SIDELIGHT_ACCESS_SEAL": SEAL_TEXT, "SIDELIGHT_MESSAGE_KEYS": SEAL_TEXT,
        }  # fmt: skip
        compose = Compose(
            variables,
            {
                "@redis:6379/": f"@127.0.0.1:{port}/",
                "postgresql+psycopg://sidelight:secret@postgres/sidelight": store_url,
                "/advisories/advisories.db": str(advisories),
                "/tmp/health": str(tmp_path / "health"),  # noqa: S108 - the container's
                "/run/secrets/redis_users": str(users),
            },
            tmp_path,
        )
        # redis-server's options are its configuration's lines.
        words = " ".join(compose.command("redis")[1:]).split("--")
        lines = [f"port {port}", *(line.strip() for line in words if line.strip())]
        login: dict[str, Any] = {"username": "sidelight", "password": "secret"}
        stack.enter_context(server(tmp_path / "redis", lines, probe=client(port, **login)))
        store = stack.enter_context(Store(store_url))
        store.migrate()
        stack.enter_context(compose.up("worker-waiting", "waiting"))

        def done() -> int:
            return store.scans.counts().get(State.DONE, 0)

        def ready(name: str) -> bool:
            return " ready." in (tmp_path / f"{name}.log").read_text()

        with (
            compose.up("worker-computing", "computing-0") as first,
            compose.up("worker-computing", "computing-1") as second,
        ):
            wait_for(lambda: ready("computing-0") and ready("computing-1"), "workers", 200)
            stack.enter_context(compose.up("dispatcher", "dispatcher"))
            wait_for(lambda: done() >= 1, "the first machine", 200)
            # One comes, and two go in the midst of whatever they do.
            stack.enter_context(compose.up("worker-computing", "computing-2"))
            compose.end(first)
            compose.end(second)
            assert done() < MACHINES
            cloud.latency = 0.0
        assert first.returncode == second.returncode == 0
        wait_for(lambda: done() == MACHINES, "the fleet's end", 300)
        until = time.monotonic() + 60
        while cloud.snapshots():
            assert time.monotonic() < until
            time.sleep(0.1)
        assert cloud.answers("CreateSnapshots") == MACHINES
        assert store.scans.counts() == {State.DONE: MACHINES}
        found = [(row.instance, row.package_finding.vulnerability) for row in store.findings.rows()]
        assert len(found) == len(set(found)) == MACHINES
        assert {scan.last_error for scan in store.scans.select()} == {""}
        # Each machine's few blocks were read once: nobody began again.
        reads = {cost.get_calls for cost in store.costs.of(
            [scan.id for scan in store.scans.select()]).values()}  # fmt: skip
        assert len(reads) == 1
