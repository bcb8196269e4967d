"""A PostgreSQL server of a benchmark's own, on a Unix socket in a temporary directory."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def postgresql(*, durable: bool = True) -> Iterator[str]:
    """The URL of an empty database; commits are as durable as by default, or not at all."""
    initdb = shutil.which("initdb") or max(
        map(str, Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    )
    binaries = Path(initdb).resolve().parent
    # PostgreSQL refuses to run as root: then as the user that Debian's package made.
    user = pwd.getpwnam("postgres").pw_name if os.geteuid() == 0 else None

    def run(*command: object) -> None:
        subprocess.run(
            [str(part) for part in command],
            check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/", user=user,
        )  # fmt: skip

    with tempfile.TemporaryDirectory(prefix="pg") as name:
        if user is not None:
            shutil.chown(name, user)
        data, log = Path(name) / "data", Path(name) / "log"
        options = f"-c listen_addresses='' -c unix_socket_directories={name}"
        if not durable:
            options += " -c fsync=off -c synchronous_commit=off -c max_wal_size=8GB"
        run(binaries / "initdb", "-D", data, "-U", "sidelight", "-A", "trust", "-E", "UTF8")
        run(binaries / "pg_ctl", "-D", data, "-w", "-l", log, "-o", options, "start")
        try:
            yield f"postgresql://sidelight@/postgres?host={name}"
        finally:
            run(binaries / "pg_ctl", "-D", data, "-w", "-m", "immediate", "stop")
