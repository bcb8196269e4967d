"""Debian's redis-server and redis-sentinel on loopback, in processes of their own."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
import redis

from sidelight.fleet.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def client(port: int, **options: Any) -> Any:
    """Redis's own client."""
    return redis.Redis(host="127.0.0.1", port=port, **options)


@contextmanager
def server(
    directory: Path, lines: Sequence[str], *, program: str = "redis-server", probe: Any = None
) -> Iterator[subprocess.Popen[bytes]]:
    """A server with this configuration, a line each, until the end; ready where `probe` answers."""
    path = shutil.which(program)
    if path is None:
        pytest.skip(f"{program} is absent")
    directory.mkdir(parents=True, exist_ok=True)
    configuration = directory / "redis.conf"
    configuration.write_text("\n".join(["bind 127.0.0.1", f"dir {directory}", *lines]) + "\n")
    with (directory / "log").open("ab") as log:
        process = subprocess.Popen([path, str(configuration)], stdout=log, stderr=log)
    try:
        until = time.monotonic() + 30
        while probe is not None:
            try:
                probe.ping()
                break
            except redis.RedisError:
                assert process.poll() is None, (directory / "log").read_text()
                assert time.monotonic() < until, (directory / "log").read_text()
                time.sleep(0.05)
        yield process
    finally:
        process.kill()
        process.wait()
        if probe is not None:
            probe.close()


@dataclass(frozen=True)
class Watched:
    """A master of Redis, its replica, and Sentinel, which knows them as "ours"."""

    master: subprocess.Popen[bytes]
    replica: Any  # its client
    url: str
    secret: bool

    def settings(self, **more: Any) -> Settings:
        """A broker's that lie behind Sentinel."""
        if self.secret:
            more |= {"sentinel_username": "watcher", "sentinel_password": "eyes"}
        return Settings.of(broker_url=self.url, sentinel_master="ours", **more)


@contextmanager
def watched(directory: Path, *, secret: bool = False) -> Iterator[Watched]:
    """All three, until the end; ready where Sentinel would find a new master.

    `secret`: Redis has a password for all, and Sentinel a user of its own alone.
    """
    master, replica, watcher = free_port(), free_port(), free_port()
    watch = [f"port {watcher}", f"sentinel monitor ours 127.0.0.1 {master} 1",
             "sentinel down-after-milliseconds ours 500",
             "sentinel failover-timeout ours 2000"]  # fmt: skip
    theirs, login, eyes_login, user = [], {}, {}, ""
    if secret:
        theirs = ["requirepass word", "masterauth word"]
        login, eyes_login = {"password": "word"}, {"username": "watcher", "password": "eyes"}
        watch += ["sentinel auth-pass ours word", "user watcher on >eyes allchannels +@all",
                  "user default off"]  # fmt: skip
        user = ":word@"
    follow = [f"port {replica}", f"replicaof 127.0.0.1 {master}", *theirs]
    first, second, third = directory / "master", directory / "replica", directory / "watch"
    with (
        closing(client(replica, **login)) as follower,
        closing(client(watcher, **eyes_login)) as eyes,
        server(first, [f"port {master}", *theirs], probe=client(master, **login)) as process,
        server(second, follow, probe=client(replica, **login)),
        server(third, watch, program="redis-sentinel", probe=client(watcher, **eyes_login)),
    ):
        wait_for(lambda: follower.info("replication")["master_link_status"] == "up", "a replica")
        wait_for(lambda: eyes.sentinel_slaves("ours"), "Sentinel's knowledge of the replica")
        url = f"sentinel://{user}127.0.0.1:{watcher}/0"
        yield Watched(process, follower, url, secret)


def wait_for(condition: Callable[[], object], what: str, seconds: float = 120.0) -> None:
    """Look until it is so."""
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, f"never: {what}"
        time.sleep(0.05)


def certificate(directory: Path) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that is its own authority, and its key."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is absent")
    directory.mkdir(parents=True, exist_ok=True)
    cert, key = directory / "cert.pem", directory / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
         "-nodes", "-keyout", key, "-out", cert, "-days", "2", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=IP:127.0.0.1"],
        check=True, capture_output=True,
    )  # fmt: skip
    return cert, key
