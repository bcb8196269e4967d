"""Real worker processes on a real broker: how they end, what comes first, what they survive."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import redis

from dispatcher.cli.local_stack.embedded_stack import Embedded
from dispatcher.services.fleet_service import FleetService
from sidelight.fleet.settings import Settings
from sidelight.fleet.stages.stage_runner import Next
from sidelight.model import State
from tests.fixtures.redis_servers import certificate, client, free_port, server, wait_for, watched
from tests.fixtures.worker_fleets import STALLING, finish, fleet_on, handing_back, started
from workers.app import make_app
from workers.tasks import publish
from workers.worker_command import ENVIRONMENT, worker_command

if TYPE_CHECKING:
    from sidelight.localcloud.server import LocalCloud

pytestmark = [pytest.mark.services, pytest.mark.images]

ROOT = Path(__file__).resolve().parent.parent.parent


def test_what_is_on_demand_comes_before_a_scheduled_backlog(
    tmp_path: Path, cloud: LocalCloud
) -> None:
    order = tmp_path / "order"
    port = free_port()
    settings = Settings.of(
        store_url=f"sqlite:///{tmp_path}/store.db", broker_url=f"redis://127.0.0.1:{port}/0"
    )
    environment = {"SIDELIGHT_TEST_ORDER": str(order)}
    with server(tmp_path / "redis", [f"port {port}"], probe=client(port)):
        application = make_app(settings)
        region = cloud.environment()["AWS_REGION"]
        for number in range(300):
            publish(application, settings, f"scheduled-{number}", Next(State.READING, region, 6))
        for number in range(3):
            publish(application, settings, f"now-{number}", Next(State.READING, region, 0))
        application.close()
        with fleet_on(
            settings,
            tmp_path,
            application="tests.worker_programs.recording_worker",
            environment=os.environ | environment,
        ):
            wait_for(lambda: order.exists() and len(order.read_text().split()) == 303, "the end")
    messages = order.read_text().split()
    assert messages[:3] == ["now-0", "now-1", "now-2"]
    assert messages[3:] == [f"scheduled-{number}" for number in range(300)]


def test_every_tasks_events_are_sent_though_they_are_gathered(
    tmp_path: Path, cloud: LocalCloud
) -> None:
    """Those of the last task as well, for a worker that ends sends what it has gathered."""
    order = tmp_path / "order"
    port = free_port()
    settings = Settings.of(
        store_url=f"sqlite:///{tmp_path}/store.db", broker_url=f"redis://127.0.0.1:{port}/0"
    )
    with server(tmp_path / "redis", [f"port {port}"], probe=client(port)), ExitStack() as stack:
        application = make_app(settings)
        stack.callback(application.close)
        seen: list[tuple[str, str]] = []
        thread, receiver = listening(application, seen)
        broker = redis.Redis(port=port)
        wait_for(broker.pubsub_numpat, "a listener")
        region = cloud.environment()["AWS_REGION"]
        for number in range(20):
            publish(application, settings, f"{number}", Next(State.READING, region, 6))
            publish(application, settings, f"{number}", Next(State.DELETING, region, 6))
        with fleet_on(
            settings,
            tmp_path,
            application="tests.worker_programs.recording_worker",
            environment=os.environ | {"SIDELIGHT_TEST_ORDER": str(order)},
        ):
            wait_for(lambda: order.exists() and len(order.read_text().split()) == 40, "the end")
        kinds = ("task-received", "task-started", "task-succeeded")
        wait_for(lambda: len({one for one in seen if one[0] in kinds}) == 120, "all events")
        receiver.should_stop = True
        thread.join()


def listening(application: Any, seen: list[tuple[str, str]]) -> tuple[threading.Thread, Any]:
    """A thread that takes down the events of tasks, as Flower would, and what stops it."""
    connection = application.connection_for_read()

    def take(event: dict[str, Any]) -> None:
        seen.append((event["type"], event.get("uuid", "")))

    receiver = application.events.Receiver(connection, handlers={"*": take})

    def run() -> None:
        with connection, suppress(TimeoutError):
            receiver.capture(limit=None, timeout=None, wakeup=False)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread, receiver


def test_redis_with_tls_and_least_rights_and_a_restart_on_the_way(
    tmp_path: Path, cloud: LocalCloud, image: Path, advisories: Path
) -> None:
    for name in ("one", "two", "three"):
        cloud.add_instance(name, [image])
    cert, key = certificate(tmp_path / "tls")
    users = tmp_path / "users.acl"
    users.write_text((ROOT / "deploy/redis/users.acl").read_text().replace("CHANGE-ME", "secret"))
    port = free_port()
    lines = ["port 0", f"tls-port {port}", f"tls-cert-file {cert}", f"tls-key-file {key}",
             f"tls-ca-cert-file {cert}", "tls-auth-clients no", f"aclfile {users}",
             "appendonly yes", "appendfsync always", "maxmemory-policy noeviction"]  # fmt: skip
    login: dict[str, Any] = {"username": "sidelight", "password": "secret"}
    tls: dict[str, Any] = {"ssl": True, "ssl_ca_certs": str(cert)}
    settings = Settings.of(
        store_url=f"sqlite:///{tmp_path}/store.db",
        advisories=str(advisories),
        broker_url=f"rediss://sidelight:secret@127.0.0.1:{port}/0"
        f"?ssl_cert_reqs=required&ssl_ca_certs={cert}",
        poll_seconds=0.1,
    )
    with ExitStack() as workers:
        with server(tmp_path / "redis", lines, probe=client(port, **login, **tls)):
            control = workers.enter_context(fleet_on(settings, tmp_path))
            scans = started(control)
            wait_for(lambda: cloud.calls("CreateSnapshots"), "the first snapshot")
        # It was killed there, and comes back with what it had written.
        probe = client(port, **login, **tls)
        with server(tmp_path / "redis", lines, probe=probe):
            finish(control, scans)
            assert cloud.calls("CreateSnapshots") == 3
            for refused in (("FLUSHALL",), ("KEYS", "*"), ("GET", "another's"), ("ACL", "LIST")):
                with pytest.raises(redis.exceptions.NoPermissionError):
                    probe.execute_command(*refused)
            with pytest.raises(redis.exceptions.ConnectionError):
                client(port, **login, ssl=True).ping()  # whose authority is unknown
    log = (tmp_path / "worker-waiting.log").read_text() + (
        tmp_path / "worker-computing.log"
    ).read_text()
    assert "NOPERM" not in log
    assert "no permissions" not in log


def test_a_fleet_outlives_its_redis_master_where_redis_and_sentinel_have_logins(
    tmp_path: Path, cloud: LocalCloud, image: Path, advisories: Path
) -> None:
    for name in ("one", "two", "three"):
        cloud.add_instance(name, [image])
    with ExitStack() as stack:
        watched_redis = stack.enter_context(watched(tmp_path, secret=True))
        settings = watched_redis.settings(
            store_url=f"sqlite:///{tmp_path}/store.db",
            advisories=str(advisories),
            poll_seconds=0.1,
        )
        control = stack.enter_context(fleet_on(settings, tmp_path))
        scans = started(control)
        wait_for(lambda: cloud.calls("CreateSnapshots"), "the first snapshot")
        watched_redis.master.kill()
        finish(control, scans)
        assert watched_redis.replica.info("replication")["role"] == "master"
        assert cloud.calls("CreateSnapshots") == 3
        assert cloud.snapshots() == []


def test_sigterm_hands_the_scan_being_read_to_another_worker_at_once(
    tmp_path: Path, cloud: LocalCloud, image: Path, advisories: Path
) -> None:
    cloud.add_instance("one", [image])
    stalled = tmp_path / "stalled"
    settings = handing_back(tmp_path, advisories)
    environment = os.environ | {"SIDELIGHT_TEST_STALLED": str(stalled)}
    with Embedded(
        settings, directory=tmp_path, concurrency=1, environment=environment, application=STALLING
    ) as own:
        control = FleetService(own.settings)
        (scan,) = started(control)
        wait_for(stalled.exists, "an inspection")
        first = control.store.scans.get(scan.id)
        assert (first.state, bool(first.lease)) == (State.READING, True)
        command = worker_command("computing", own.settings, size=1, application=STALLING)
        with (tmp_path / "second.log").open("wb") as log, subprocess.Popen(
            command, env=environment | own.settings.as_environment() | ENVIRONMENT,
            stdout=log, stderr=log, start_new_session=True,
        ) as second:  # fmt: skip
            try:
                os.kill(own.pids[1], signal.SIGTERM)
                wait_for(
                    lambda: control.store.scans.get(scan.id).state is State.DONE, "the scan's end"
                )
                # The one that was asked to end has ended.
                wait_for(lambda: own.ended() == [own.pids[1]], "the worker's end")
            finally:
                second.send_signal(signal.SIGTERM)
        assert cloud.calls("CreateSnapshots") == 1
        assert cloud.snapshots() == []
        assert len(list(control.store.findings.rows())) == 1
        assert control.store.scans.get(scan.id).last_error == ""
        control.close()
