"""The demo, step by step.

Everything is real but the cloud: disks, package databases, advisories, the broker, the workers,
boto3 and the EBS direct protocol. What is started here is ended here, also on Ctrl-C and kill -9.
"""

from __future__ import annotations

import argparse
import base64
import fcntl
import json
import os
import re
import secrets
import shlex
import shutil
import sys
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import findings
from build import RECIPES, build
from processes import (
    LOOPBACK,
    SIDELIGHT,
    child,
    exports,
    foreground,
    free_port,
    raise_interruptions,
    wait_for_port,
)
from show import Show

from dispatcher.cli.local_stack.embedded_stack import Embedded
from dispatcher.services.console_users import ConsoleUserService
from sidelight.fleet.settings import Settings
from sidelight.model import Principal, Role
from sidelight.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

HERE = Path(__file__).resolve().parent
SNAPSHOT_SECONDS = 2
EXPORTED = 5  # lines of `sidelight local up`
FLOWER_PORT, CONSOLE_PORT = 5555, 8417
CONSOLE_USER = "demo"
INTERRUPTED = 130
# The demo's cloud is on loopback, wherever the user's own settings point to.
NOT_THE_USERS = ("AWS_", "SIDELIGHT_", "CELERY_", "FLOWER_")
ISOLATION = {
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
    "NO_PROXY": LOOPBACK,
    "no_proxy": LOOPBACK,
}


@dataclass(frozen=True)
class Home:
    """The directory of what the demo makes."""

    path: Path

    @property
    def logs(self) -> Path:
        """The workers' logs."""
        return self.path / "logs"

    @property
    def environment(self) -> Path:
        """The shell commands for another shell, while the demo is held."""
        return self.path / "env"

    @property
    def database(self) -> Path:
        """The advisory database."""
        return self.path / "advisories.db"


def isolate() -> None:
    """Take the user's AWS and Sidelight settings, and any proxy, out of this process's way."""
    for name in [name for name in os.environ if name.startswith(NOT_THE_USERS)]:
        del os.environ[name]
    os.environ.update(ISOLATION)


@contextmanager
def sole_use(home: Home) -> Iterator[None]:
    """Hold the directory's lock. Exits where another demo has it."""
    home.path.mkdir(parents=True, exist_ok=True)
    with (home.path / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            sys.exit("another demo is running (make demo HOLD=1? make flower?): end that one first")
        yield


def prepare(show: Show, home: Home) -> list[Path]:
    """Make the machines' disks, whose paths are returned, and the advisory database."""
    show.step("1. Four machines' disks, from real package databases")
    disks = home.path / "disks"
    disks.mkdir(exist_ok=True)
    images = [build(recipe, disks) for recipe in RECIPES]
    for image, recipe in zip(images, RECIPES, strict=True):
        status = image.stat()
        layout = f"{recipe.filesystem} in {recipe.table.upper()}" if recipe.table else (
            recipe.filesystem
        )  # fmt: skip
        show.line(
            f"   {image.name:13} {layout:12} {status.st_blocks * 512 / 1e6:6.1f} MB of "
            f"{status.st_size / 1e6:.0f} MB written"
        )
    show.step("2. Real advisories, one file")
    show.sidelight(
        "advisories", "build", "--out", relative(home.database), relative(HERE / "advisories"),
        environment=dict(os.environ),
    )  # fmt: skip
    return images


@contextmanager
def local_cloud(show: Show, home: Home, images: Sequence[Path]) -> Iterator[dict[str, str]]:
    """`sidelight local up` in a process of its own; the environment that it prints."""
    show.step(f"3. A local cloud with these machines (snapshots take {SNAPSHOT_SECONDS} s)")
    # Kind: the lags of AWS, of up to two minutes each, are not what a demo of a minute shows.
    command = ["local", "up", "--kind", "--port", "0", "--directory", str(home.path / "cloud")]
    command += ["--snapshot-seconds", str(SNAPSHOT_SECONDS)]
    for image in images:
        command += ["--image", str(image)]
    with child([*SIDELIGHT, *command], stdout=-1) as process:
        environment = exports(process, EXPORTED)
        for name, value in environment.items():
            show.line(f"   export {name}={value}")
        yield environment


def fresh_environment(show: Show, home: Home, cloud: dict[str, str]) -> dict[str, str]:
    """The environment of the fleet's commands, with a store that is empty."""
    for old in ("fleet.db", "fleet.db-wal", "fleet.db-shm"):
        (home.path / old).unlink(missing_ok=True)
    shutil.rmtree(home.logs, ignore_errors=True)
    home.logs.mkdir()
    return {
        **os.environ, **cloud,
        "SIDELIGHT_STORE_URL": f"sqlite:///{home.path / 'fleet.db'}",
        "SIDELIGHT_ADVISORIES": str(home.database),
        "SIDELIGHT_POLL_SECONDS": "1",
        "COLUMNS": str(show.width),
    }  # fmt: skip


def scan(show: Show, environment: dict[str, str], *options: str) -> None:
    """The fleet's scan, its findings, its cost, and the proof that no snapshot remains."""
    show.step("4. The fleet's scan: broker, workers, snapshots, blocks over EBS direct APIs")
    show.sidelight("fleet", "scan", *options, environment=environment)
    show.step("5. Findings")
    found = rows_of(
        show.sidelight("fleet", "findings", "--format", "json", environment=environment, quiet=True)
    )
    show.table(findings.by_machine(found, findings.instance_names(environment)))
    show.line("")
    show.table(findings.worst(found, show.width))
    show.step("6. Is a snapshot left behind?")
    left = findings.tagged_snapshots(environment)
    show.sidelight("fleet", "sweep", environment=environment)
    show.line(f"DescribeSnapshots with our tag, asked by boto3: {len(left)} snapshots")
    if left:
        sys.exit(f"snapshots were left behind: {left}")


def rows_of(document: str) -> list[dict[str, Any]]:
    """The list of findings, with or without an object around it."""
    found = json.loads(document)
    rows: list[dict[str, Any]] = found["findings"] if isinstance(found, dict) else found
    return rows


def hold(show: Show, home: Home, environment: dict[str, str], *, with_flower: bool) -> None:
    """Broker, workers, the console and perhaps Flower, with a scan, until Ctrl-C."""
    settings = Settings.from_environment(environment)
    with ExitStack() as stack:
        embedded = stack.enter_context(
            Embedded(settings, environment=environment, directory=home.logs)
        )  # fmt: skip
        with Store(settings.store.url) as store:
            store.migrate()  # the console refuses a store that does not exist
            password = console_user(store, environment["AWS_ACCESS_KEY_ID"])
        full = {
            **environment, "SIDELIGHT_BROKER_URL": embedded.settings.broker.url,
            "SIDELIGHT_ACCESS_SEAL": base64.b64encode(secrets.token_bytes(32)).decode(),
        }  # fmt: skip
        addresses = {"CONSOLE_URL": stack.enter_context(console(home, full))}
        shared = {
            **full, **api_environment(show, full, addresses["CONSOLE_URL"]),
            "SIDELIGHT_CONSOLE_USER": CONSOLE_USER, "SIDELIGHT_CONSOLE_PASSWORD": password,
        }  # fmt: skip
        if with_flower:
            addresses["FLOWER_URL"] = stack.enter_context(flower(home, full))
        for name, address in addresses.items():
            show.step(f"{name.removesuffix('_URL').capitalize()}: {address}")
        stack.callback(home.environment.unlink, missing_ok=True)
        write_environment(home.environment, shared, addresses)
        scan(show, full)
        # A dispatcher counts every minute; none runs here, and the console shows its counts.
        show.sidelight("fleet", "recount", environment=full, quiet=True)
        try:
            show.step("Everything runs until Ctrl-C. In another shell, in this directory:")
            show.line(f"   . {relative(home.environment)}; sidelight fleet findings")
            show.line("   " + list_findings(home, addresses["CONSOLE_URL"]))
            for name, address in addresses.items():
                show.line(f"   {name.removesuffix('_URL').capitalize()}: {address}")
            show.line(f"   Sign in to the console as {CONSOLE_USER} with {password}")
            while True:
                embedded.revive()
                time.sleep(1)
        except KeyboardInterrupt:
            show.line("\nEnding the workers, the broker and the local cloud.")


def console_user(store: Store, account: str) -> str:
    """Create the demo's user of the console, an administrator; its password, another each time."""
    password = secrets.token_urlsafe(12)
    who = Principal(CONSOLE_USER, Role.ADMINISTRATOR, account, None)
    ConsoleUserService(store).create(who, password)
    return password


def api_environment(show: Show, environment: dict[str, str], url: str) -> dict[str, str]:
    """An administrator's key of the demo's API, and where it is.

    The local cloud takes this key, too, as one of its own account: it checks no signatures.
    """
    words = ("access", "create", "demo", "--account", environment["AWS_ACCESS_KEY_ID"],
             "--role", "administrator", "--fleet", "--format", "json")  # fmt: skip
    key = json.loads(show.sidelight(*words, environment=environment, quiet=True))
    return {
        "AWS_ACCESS_KEY_ID": key["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"],
        "AWS_ENDPOINT_URL_INSPECTOR2": url.rstrip("/"),
        "SIDELIGHT_CONSOLE_URL": url,
    }


def list_findings(home: Home, url: str) -> str:
    """A line for another shell: the AWS CLI lists the findings."""
    command = f"aws inspector2 list-findings --endpoint-url {url.rstrip('/')}"
    return f". {relative(home.environment)}; {command}"


@contextmanager
def console(home: Home, environment: dict[str, str]) -> Iterator[str]:
    """`sidelight serve`; its address."""
    port = free_port(CONSOLE_PORT)
    with (
        (home.logs / "serve.log").open("wb") as log,
        child([*SIDELIGHT, "serve", "--port", str(port)], environment,
              stdout=log, stderr=log) as process,
    ):  # fmt: skip
        wait_for_port(port, process, "sidelight serve", home.logs / "serve.log")
        yield f"http://{LOOPBACK}:{port}/"


@contextmanager
def flower(home: Home, environment: dict[str, str]) -> Iterator[str]:
    """Flower on the fleet's broker; its address."""
    port = free_port(FLOWER_PORT)
    command = [sys.executable, "-m", "celery", "-A", "workers.monitoring", "flower",
               f"--address={LOOPBACK}", f"--port={port}", "--logging=error"]  # fmt: skip
    with (
        (home.logs / "flower.log").open("wb") as log,
        child(command, environment, stdout=log, stderr=log) as process,
    ):
        wait_for_port(port, process, "Flower", home.logs / "flower.log")
        yield f"http://{LOOPBACK}:{port}/"


def write_environment(path: Path, environment: dict[str, str], addresses: dict[str, str]) -> None:
    """Write what another shell needs to use this cloud, store and broker, as shell commands."""
    names = [name for name in environment if name.startswith(("AWS_", "SIDELIGHT_"))]
    lines = [f"export {name}={shlex.quote(environment[name])}" for name in sorted(names)]
    lines += [f"export DEMO_{name}={shlex.quote(value)}" for name, value in addresses.items()]
    programs = shlex.quote(str(Path(sys.executable).parent))
    # It holds an administrator's key: for its owner alone, from the moment that it exists.
    path.unlink(missing_ok=True)
    path.touch(mode=0o600, exist_ok=False)
    path.write_text("\n".join([*lines, f"export PATH={programs}:$PATH", ""]))


def relative(path: Path) -> str:
    """A path as a user in the checkout would type it."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def picture(show: Show, path: Path) -> None:
    """Write what was shown as SVG, for the README."""
    # The template names fonts on a server, which a reader's browser must not ask for.
    path.write_text(re.sub(r"@font-face \{.*?\}", "", show.svg("make demo"), flags=re.DOTALL))


def run(arguments: argparse.Namespace) -> None:
    """All steps, in one `with` that ends what they started."""
    show, home = Show(wide=arguments.svg is not None), Home(arguments.directory.resolve())
    with ExitStack() as stack:
        stack.enter_context(sole_use(home))
        images = prepare(show, home)
        cloud = stack.enter_context(local_cloud(show, home, images))
        environment = fresh_environment(show, home, cloud)
        if arguments.hold or arguments.flower:
            hold(show, home, environment, with_flower=arguments.flower)
            return
        scan(show, environment, "--embedded", "--logs", relative(home.logs))
        show.step("Next: `make demo HOLD=1` keeps it running; `make flower` shows the queues.")
        show.line(
            f"   The console is then on http://{LOOPBACK}:{CONSOLE_PORT}/; sign in as printed"
            " and as in .demo/env."
        )
    if arguments.svg is not None:
        picture(show, arguments.svg)


def main() -> int:
    """Run it; the exit status."""
    parser = argparse.ArgumentParser(description="Scan a small fleet in a local cloud.")
    parser.add_argument("--hold", action="store_true", help="keep it running until Ctrl-C")
    parser.add_argument("--flower", action="store_true", help="keep it running, with Flower")
    parser.add_argument("--directory", type=Path, default=HERE.parent / ".demo",
                        help="where its disks, logs and store are made")  # fmt: skip
    parser.add_argument("--svg", type=Path, help="write the output as a picture, too")
    arguments = parser.parse_args()
    raise_interruptions()
    isolate()
    with ExitStack() as stack:
        if arguments.hold or arguments.flower:
            stack.enter_context(foreground())
        try:
            run(arguments)
        except KeyboardInterrupt:
            print("\ninterrupted; nothing is left running", file=sys.stderr)
            return INTERRUPTED
        except BrokenPipeError:
            # `make demo | head`: the reader has ended.
            sys.stderr.close()
            return 0
    return 0
