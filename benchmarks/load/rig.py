"""What a load run needs: disks, advisories, the cloud's process, a store, workers."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.postgresql import postgresql
from dispatcher.cli.local_stack.embedded_stack import Embedded
from sidelight.fleet.settings import Settings
from sidelight.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ROOT = Path(__file__).resolve().parents[2]
ROLE = "SidelightScanner"


@dataclass(frozen=True)
class Options:
    """A run. `machines` are the demo's, by name; rates are an account's calls a second."""

    instances: int
    accounts: int
    concurrency: int
    machines: Sequence[str]
    get_per_second: float
    list_per_second: float
    snapshot_seconds: float
    postgres: bool


@dataclass(frozen=True)
class Rig:
    """What runs: processes by id, and where things are."""

    settings: Settings
    cloud_pid: int
    workers: Embedded
    endpoint: str
    log: Path
    environment: dict[str, str]


@contextmanager
def rig(options: Options, home: Path) -> Iterator[Rig]:
    """Everything started, the fleet in the cloud and not yet discovered; ended after."""
    images, database = prepare(options, home)
    with ExitStack() as stack:
        process, environment = stack.enter_context(cloud(options, images, home))
        url = f"sqlite:///{home / 'store.db'}"
        if options.postgres:
            url = stack.enter_context(postgresql())
        with Store(url) as store:
            store.migrate()
        environment |= {
            "PYTHONPATH": str(ROOT),
            "SIDELIGHT_LOAD_LOG": str(home / "stages.log"),
        }
        settings = Settings.of(
            store_url=url,
            advisories=str(database),
            role_name=ROLE if options.accounts > 1 else "",
            get_per_second=options.get_per_second,
            list_per_second=options.list_per_second,
            poll_seconds=1.0,
        )
        workers = stack.enter_context(
            Embedded(
                settings,
                concurrency=options.concurrency,
                directory=home / "logs",
                environment={**os.environ, **environment},
                application="benchmarks.load.app",
            )
        )
        yield Rig(
            settings=workers.settings,
            cloud_pid=process.pid,
            workers=workers,
            endpoint=environment["AWS_ENDPOINT_URL"],
            log=home / "stages.log",
            environment=environment,
        )


def prepare(options: Options, home: Path) -> tuple[list[Path], Path]:
    """The disks and the advisory database."""
    disks = home / "disks"
    disks.mkdir(parents=True, exist_ok=True)
    build = (sys.executable, ROOT / "demo" / "build.py", disks)
    built = subprocess.run(build, stdout=subprocess.PIPE, text=True, check=True)
    images = {Path(line).stem: Path(line) for line in built.stdout.splitlines() if line}
    database = home / "advisories.db"
    subprocess.run(
        [sys.executable, "-m", "dispatcher.cli", "advisories", "build", "--out", database,
         ROOT / "demo" / "advisories"],
        check=True, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    return [images[name] for name in options.machines], database


@contextmanager
def cloud(
    options: Options, images: Sequence[Path], home: Path
) -> Iterator[tuple[subprocess.Popen[str], dict[str, str]]]:
    """The cloud's process, and the environment that it says to use."""
    command = [
        sys.executable, "-m", "benchmarks.load.cloud", str(home / "cloud"),
        str(options.instances), str(options.accounts), str(options.snapshot_seconds),
        *map(str, images),
    ]  # fmt: skip
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    try:
        assert process.stdout is not None
        environment: dict[str, str] = {}
        for line in process.stdout:
            name, _, value = line.removeprefix("export ").partition("=")
            environment[name] = value.strip()
            if len(environment) == 5:
                break
        else:
            raise RuntimeError("the cloud did not start")
        yield process, environment
    finally:
        process.terminate()
        process.communicate()
