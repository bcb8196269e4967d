"""A fleet is upgraded and taken back while its scans run: real processes of two versions.

Dispatchers and workers on Redis, PostgreSQL and the local cloud, replaced one by one as an
orchestrator does. docs/upgrades.md says what holds.
"""

from __future__ import annotations

import base64
from contextlib import ExitStack
from itertools import count
from typing import TYPE_CHECKING, Final

import psycopg
import pytest

from tests.fixtures.redis_servers import client, free_port, server, wait_for
from tests.fixtures.versions_of_sidelight import code_of_history, newer_code, present_code

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from sidelight.localcloud.server import LocalCloud
    from tests.fixtures.versions_of_sidelight import RunningProcess, VersionedCode

pytestmark = [pytest.mark.services, pytest.mark.images, pytest.mark.long]

DISPATCHER: Final = ("fleet", "run", "--every", "2")
WAITING: Final = ("fleet", "worker", "waiting", "--concurrency", "8")
COMPUTING: Final = ("fleet", "worker", "computing", "--concurrency", "1")
SECONDS: Final = 400.0  # that one step of a fleet may take where the machine is busy
WAVE: Final = 3  # instances
KEY: Final = base64.b64encode(bytes(range(32))).decode()
ADDING: Final = """
def upgrade():
    op.add_column("scans", sa.Column("added", sa.String(8), nullable=False, server_default="x"))
    op.create_table("more", sa.Column("id", sa.Integer(), primary_key=True))


def downgrade():
    op.drop_table("more")
    op.drop_column("scans", "added")
"""
TAKING: Final = f"oldest_code = revision\n{ADDING}"


class RollingFleet:
    """The processes of a fleet, whatever their versions, on one store, broker and cloud."""

    def __init__(
        self, cloud: LocalCloud, image: Path, directory: Path, environment: dict[str, str]
    ) -> None:
        self.cloud, self.image, self.directory = cloud, image, directory
        self.environment = environment
        self._logs = count()
        self.processes: dict[tuple[VersionedCode, tuple[str, ...]], RunningProcess] = {}
        self.instances: list[str] = []

    def start(self, code: VersionedCode, *commands: tuple[str, ...]) -> None:
        for command in commands:
            log = self.directory / f"{next(self._logs)}-{command[-3]}.log"
            self.processes[code, command] = code.start(
                *command, environment=self.environment, log=log
            )

    def stop(self, code: VersionedCode, *commands: tuple[str, ...]) -> None:
        for command in commands:
            self.processes.pop((code, command)).stop()

    def kill(self) -> None:
        for process in self.processes.values():
            process.kill()

    def replace(self, old: VersionedCode, new: VersionedCode, command: tuple[str, ...]) -> None:
        """As an orchestrator does: the new process is there before the old one ends."""
        self.start(new, command)
        if command != DISPATCHER:
            log = self.processes[new, command].log
            self.wait(lambda: " ready." in log.read_text(), "a worker")
        self.stop(old, command)

    def wave(self) -> list[str]:
        """More machines, which the dispatcher discovers."""
        found = [
            self.cloud.add_instance(f"m{len(self.instances) + n}", [self.image])
            for n in range(WAVE)
        ]
        self.instances += found
        return found

    def wait(self, condition: Callable[[], object], what: str) -> None:
        def alive() -> object:
            ended = [p for p in self.processes.values() if p.process.poll() is not None]
            assert not ended, ended[0].log.read_text()[-3000:]
            return condition()

        try:
            wait_for(alive, what, SECONDS)
        except AssertionError as error:
            logs = "".join(
                f"\n== {path}\n{path.read_text()[-1500:]}" for path in self.directory.glob("*.log")
            )
            raise AssertionError(
                f"{error}: {self.rows('SELECT instance, state FROM scans')}{logs}"
            ) from error

    def rows(self, query: str) -> list[tuple[object, ...]]:
        """Rows of the store by SQL: no version's code has to know the tables of the other."""
        with psycopg.connect(self.environment["SIDELIGHT_STORE_URL"]) as connection:
            return sorted(connection.execute(query.encode()).fetchall())

    def revision(self) -> str:
        """Of the tables; empty where there are none."""
        if not self.rows("SELECT 1 FROM pg_tables WHERE tablename = 'scans'"):
            return ""
        ((revision,),) = self.rows("SELECT version_num FROM alembic_version")
        return str(revision)

    def states(self, instances: list[str]) -> list[str]:
        if not self.revision():
            return []
        rows = self.rows("SELECT instance, state FROM scans")
        return [str(state) for instance, state in rows if instance in instances]

    def under_way(self, instances: list[str]) -> None:
        """Wait until each of these has a scan, and one of them snapshots and no end."""

        def is_so() -> bool:
            states = self.states(instances)
            return len(states) == WAVE and bool(set(states) - {"NEW", "SNAPSHOTTING"})

        self.wait(is_so, "scans under way")

    def done(self, instances: list[str]) -> None:
        self.wait(lambda: self.states(instances) == ["DONE"] * WAVE, "the end of a wave")

    def check(self) -> None:
        """One scan an instance, DONE; its finding once; each snapshot once, and deleted."""
        expected = sorted((instance, "DONE") for instance in self.instances)
        assert self.rows("SELECT instance, state FROM scans") == expected
        found = self.rows("SELECT instance FROM findings")
        assert found == sorted((instance,) for instance in self.instances)
        kept = self.rows("SELECT scan, deleted_at IS NULL FROM snapshots")
        assert len(kept) == len(self.instances), "no snapshot was created twice"
        assert {row[1] for row in kept} == {False}
        assert self.cloud.snapshots() == []
        assert self.rows("SELECT value FROM sequences WHERE name = 'dropped' AND value > 0") == []


@pytest.fixture
def make_fleet(
    cloud: LocalCloud,
    image: Path,
    advisories: Path,
    make_postgresql: Callable[[], str],
    tmp_path: Path,
) -> Iterator[Callable[..., RollingFleet]]:
    port = free_port()
    environment = {
        **cloud.environment(),
        "SIDELIGHT_STORE_URL": make_postgresql(),
        "SIDELIGHT_BROKER_URL": f"redis://127.0.0.1:{port}/0",
        "SIDELIGHT_ADVISORIES": str(advisories),
        "SIDELIGHT_POLL_SECONDS": "0.2",
        "SIDELIGHT_BACKOFF_SECONDS": "0.5",
        "SIDELIGHT_SOFT_SHUTDOWN_SECONDS": "10",
    }
    with (
        server(tmp_path / "redis", [f"port {port}"], probe=client(port)),
        ExitStack() as stack,
    ):

        def make(**more: str) -> RollingFleet:
            fleet = RollingFleet(cloud, image, tmp_path, environment | more)
            stack.callback(fleet.kill)
            return fleet

        yield make


def upgrade(fleet: RollingFleet, old: VersionedCode, new: VersionedCode) -> None:
    """From the old version alone to the new one alone, with scans under way at each step."""
    wave = fleet.wave()
    fleet.start(old, DISPATCHER, WAITING, COMPUTING)
    fleet.under_way(wave)
    assert fleet.revision() == old.revision
    # The first new process migrates, while the old one is active.
    fleet.start(new, DISPATCHER)
    fleet.wait(lambda: fleet.revision() == new.revision, "the migration")
    second = fleet.wave()
    fleet.done(wave)
    fleet.done(second)  # found, taken, read, evaluated and deleted by old processes alone
    third = fleet.wave()
    fleet.under_way(third)
    fleet.stop(old, DISPATCHER)
    fleet.replace(old, new, WAITING)
    fourth = fleet.wave()
    # The new version's dispatcher and waiting worker beside the old version's reading worker.
    fleet.done(fourth)
    fifth = fleet.wave()
    fleet.under_way(fifth)
    fleet.replace(old, new, COMPUTING)
    for later in (third, fifth, fleet.wave()):
        fleet.done(later)


def test_an_upgrade_of_older_code_and_its_rollback_lose_and_double_nothing(
    make_fleet: Callable[..., RollingFleet], tmp_path: Path
) -> None:
    """Older code is of the repository's history, from before the last migration."""
    old, new = code_of_history(tmp_path), present_code(tmp_path)
    assert old.revision < new.revision
    signed = {"SIDELIGHT_MESSAGE_KEYS": KEY} if old.has("workers/message_signatures.py") else {}
    fleet = make_fleet(**signed)
    upgrade(fleet, old, new)
    # The way back, as docs/upgrades.md has it: no process of the new version, then the tables.
    wave = fleet.wave()
    fleet.under_way(wave)
    fleet.stop(new, DISPATCHER, WAITING, COMPUTING)
    done = new.run(
        "sidelight.store", fleet.environment["SIDELIGHT_STORE_URL"], old.revision,
        environment=fleet.environment,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    fleet.start(old, DISPATCHER, WAITING, COMPUTING)
    for later in (wave, fleet.wave()):
        fleet.done(later)
    assert fleet.revision() == old.revision
    fleet.check()


def test_this_version_goes_on_with_a_newer_ones_tables_and_back(
    make_fleet: Callable[..., RollingFleet], tmp_path: Path
) -> None:
    """With signed messages. The rollback is a rolling one, on the newer tables."""
    old, new = present_code(tmp_path), newer_code(tmp_path, ADDING)
    fleet = make_fleet(SIDELIGHT_MESSAGE_KEYS=KEY)
    upgrade(fleet, old, new)
    wave = fleet.wave()
    fleet.under_way(wave)
    for command in (DISPATCHER, WAITING, COMPUTING):
        fleet.replace(new, old, command)
    for later in (wave, fleet.wave()):
        fleet.done(later)
    assert fleet.revision() == new.revision, "a version that does not know it leaves it"
    fleet.check()


def test_this_version_stops_at_a_newer_ones_tables_that_lack_what_it_uses(
    make_fleet: Callable[..., RollingFleet], tmp_path: Path
) -> None:
    old, new = present_code(tmp_path), newer_code(tmp_path, TAKING)
    fleet = make_fleet()
    wave = fleet.wave()
    fleet.start(old, DISPATCHER, WAITING)
    fleet.under_way(wave)
    running = {command: fleet.processes.pop((old, command)) for command in (DISPATCHER, WAITING)}
    fleet.start(new, DISPATCHER)
    fleet.wait(lambda: fleet.revision() == new.revision, "the migration")
    text = f"(revision {new.revision}; this version's: {old.revision})"
    for process in running.values():
        assert process.process.wait(SECONDS) == 4, process.log.read_text()[-3000:]
        assert text in process.log.read_text()
    for command in (DISPATCHER, WAITING, COMPUTING):
        done = old.run("dispatcher.cli", *command, environment=fleet.environment)
        assert done.returncode == 4, done.stderr
        assert f"(revision {new.revision}; this version's: {old.revision})" in done.stderr
    fleet.start(new, WAITING, COMPUTING)
    fleet.done(wave)
    fleet.check()
