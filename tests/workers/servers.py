"""Debian's redis-server and redis-sentinel on loopback, in processes of their own."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
import redis

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
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
