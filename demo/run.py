"""`make demo`: a small fleet in a local cloud, scanned as in production.

Everything is real but the cloud: disks, package databases, advisories, the broker, the workers,
boto3 and the EBS direct protocol. What is started here is ended here, also on Ctrl-C and kill -9.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import socket
import subprocess
import sys
from collections import Counter
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from dispatcher.tether import tethered

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).resolve().parent
HOME = HERE.parent / ".demo"
SNAPSHOT_SECONDS = 2
SEVERITIES = ("CRITICAL", "HIGH", "MEDIUM", "LOW", "INFORMATIONAL", "UNTRIAGED")
SIDELIGHT = (sys.executable, "-m", "dispatcher.cli")
FLOWER_PORT = 5555


class Show:
    """What the demo says: steps, commands, tables. Recorded, for the README's picture."""

    def __init__(self) -> None:
        """Width as the terminal's, 130 columns elsewhere."""
        width = None if sys.stdout.isatty() else 130
        self.console = Console(record=True, width=width, highlight=False)

    def step(self, text: str) -> None:
        """A heading."""
        self.console.print(Text(f"\n{text}", style="bold"))

    def sidelight(self, *arguments: str, environment: dict[str, str], quiet: bool = False) -> str:
        """Run a command of ours, shown as a user would type it; its standard output."""
        self.console.print(Text(f"$ sidelight {' '.join(arguments)}", style="cyan"))
        done = subprocess.run(
            tethered([*SIDELIGHT, *arguments]),
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
            check=False,
        )
        if done.returncode not in {0, 3}:
            sys.exit(f"`sidelight {' '.join(arguments)}` ended with {done.returncode}")
        if not quiet:
            self.console.print(Text.from_ansi(done.stdout.rstrip()), soft_wrap=True)
        return done.stdout


@contextmanager
def local_cloud(images: list[Path]) -> Iterator[dict[str, str]]:
    """`sidelight local up` in a process of its own; the environment that it says to use."""
    command = [*SIDELIGHT, "local", "up", "--port", "0", "--directory", str(HOME / "cloud")]
    command += ["--snapshot-seconds", str(SNAPSHOT_SECONDS)]
    for image in images:
        command += ["--image", str(image)]
    process = subprocess.Popen(tethered(command), stdout=subprocess.PIPE, text=True)
    try:
        if process.stdout is None:
            raise RuntimeError("no pipe")
        given: dict[str, str] = {}
        for line in process.stdout:
            name, _, value = line.removeprefix("export ").partition("=")
            given[name.strip()] = value.strip().strip("'\"")
            if len(given) == 5:
                break
        else:
            sys.exit("the local cloud did not start")
        yield given
    finally:
        process.terminate()
        process.wait()


def prepare(show: Show) -> tuple[list[Path], Path]:
    """The machines' disks and the advisory database, made where they are not there yet."""
    show.step("1. Four machines' disks, from real package databases")
    HOME.mkdir(exist_ok=True)
    built = subprocess.run(
        [sys.executable, HERE / "build.py", HOME / "disks"], stdout=subprocess.PIPE, text=True,
        check=False,
    )  # fmt: skip
    if built.returncode:
        sys.exit(built.returncode)
    images = [Path(line) for line in built.stdout.split("\n") if line]
    for image in images:
        used = image.stat().st_blocks * 512
        show.console.print(
            f"   {image.name:13} {used / 1e6:6.1f} MB of {image.stat().st_size / 1e6:.0f}"
        )
    show.step("2. Real advisories, one file")
    database = HOME / "advisories.db"
    show.sidelight(
        "advisories", "build", "--out", relative(database), relative(HERE / "advisories"),
        environment=dict(os.environ),
    )  # fmt: skip
    return images, database


def scan(show: Show, environment: dict[str, str]) -> None:
    """The fleet's scan, its findings, its cost, and the proof that nothing is left."""
    show.step("4. The fleet's scan: broker, workers, snapshots, blocks over the EBS direct APIs")
    show.sidelight(
        "fleet", "scan", "--embedded", "--logs", relative(HOME / "logs"), environment=environment
    )
    show.step("5. What was found")
    found = json.loads(
        show.sidelight("fleet", "findings", "--format", "json", environment=environment, quiet=True)
    )
    show.console.print(by_machine(found, environment))
    show.console.print(worst(found))
    show.step("6. Is a snapshot left behind?")
    left = tagged_snapshots(environment)
    show.sidelight("fleet", "sweep", environment=environment)
    show.console.print(f"DescribeSnapshots with our tag, asked by boto3: {len(left)} snapshots")
    if left:
        sys.exit(f"snapshots were left behind: {left}")


def findings_of(document: Any) -> list[dict[str, Any]]:
    """The list of findings, whatever it is wrapped in."""
    return document["findings"] if isinstance(document, dict) else document


def by_machine(document: Any, environment: dict[str, str]) -> Table:
    """Findings by severity and machine."""
    names = instance_names(environment)
    counts: dict[str, Counter[str]] = {name: Counter() for name in names.values()}
    for finding in findings_of(document):
        name = names.get(finding["instance"], finding["instance"])
        counts.setdefault(name, Counter())[finding["severity"]] += 1
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("machine", min_width=10)
    for severity in SEVERITIES:
        table.add_column(severity.lower(), justify="right")
    for name, count in sorted(counts.items()):
        table.add_row(name, *(str(count[severity]) for severity in SEVERITIES))
    return table


def worst(document: Any) -> Table:
    """A few of the worst findings that have a fix."""
    fixable = [item for item in findings_of(document) if item.get("fixed_version")]
    fixable.sort(key=lambda item: SEVERITIES.index(item["severity"]))
    table = Table(
        box=None,
        pad_edge=False,
        header_style="bold",
        title="the worst with a fix",
        title_justify="left",
    )
    for name in ("severity", "vulnerability", "package", "installed", "fixed in", "path"):
        table.add_column(name, overflow="fold")
    seen = set()
    for item in fixable:
        package = item["package"]
        if package["name"] not in seen and len(seen) < 8:
            seen.add(package["name"])
            table.add_row(
                item["severity"], item["vulnerability"], package["name"], package["version"],
                item["fixed_version"], package["path"],
            )  # fmt: skip
    return table


def ec2_client(environment: dict[str, str]) -> Any:
    """A plain boto3 client: an eye that is not Sidelight's own."""
    import boto3

    make: Any = boto3.client
    return make(
        "ec2",
        endpoint_url=environment["AWS_ENDPOINT_URL"],
        region_name=environment["AWS_REGION"],
        aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
    )


def instance_names(environment: dict[str, str]) -> dict[str, str]:
    """Instance id -> its Name tag."""
    names = {}
    for reservation in ec2_client(environment).describe_instances()["Reservations"]:
        for instance in reservation["Instances"]:
            tags = {tag["Key"]: tag["Value"] for tag in instance.get("Tags", ())}
            names[instance["InstanceId"]] = tags.get("Name", instance["InstanceId"])
    return names


def tagged_snapshots(environment: dict[str, str]) -> list[str]:
    """Ids of the snapshots that carry a scan's tag."""
    answer = ec2_client(environment).describe_snapshots(
        OwnerIds=["self"], Filters=[{"Name": "tag-key", "Values": ["InspectorScan"]}]
    )
    return [snapshot["SnapshotId"] for snapshot in answer["Snapshots"]]


def flower(show: Show, environment: dict[str, str]) -> None:
    """Broker, workers and Flower until Ctrl-C, with a scan so that there is something to see."""
    from dispatcher.embedded import Embedded
    from workers.settings import Settings

    settings = Settings.from_environment(environment)
    with Embedded(settings, environment=environment, directory=HOME / "logs") as embedded:
        full = {**environment, **embedded.settings.as_environment()}
        port = free_port(FLOWER_PORT)
        command = [sys.executable, "-m", "celery", "-A", "workers.app", "flower",
                   "--address=127.0.0.1", f"--port={port}", "--logging=error"]  # fmt: skip
        process = subprocess.Popen(tethered(command), env=full, stdin=subprocess.DEVNULL)
        try:
            show.sidelight("fleet", "scan", environment=full)
            show.step(f"Flower: http://127.0.0.1:{port}/ (Ctrl-C ends everything)")
            process.wait()
        finally:
            process.terminate()
            process.wait()


def free_port(wanted: int) -> int:
    """The wanted port, or any free one where it is taken."""
    for port in (wanted, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    return wanted


def relative(path: Path) -> str:
    """A path as a user in the checkout would type it."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description="Scan a small fleet in a local cloud.")
    parser.add_argument("--flower", action="store_true", help="keep it running, with Flower")
    parser.add_argument("--svg", type=Path, help="write the output as a picture, too")
    arguments = parser.parse_args()
    show = Show()
    with ExitStack() as stack:
        images, database = prepare(show)
        show.step("3. A local cloud with these machines (snapshots take 2 s to complete)")
        cloud = stack.enter_context(local_cloud(images))
        for name, value in cloud.items():
            show.console.print(f"   export {name}={value}")
        for old in (HOME / "fleet.db", HOME / "fleet.db-wal", HOME / "fleet.db-shm"):
            old.unlink(missing_ok=True)
        shutil.rmtree(HOME / "logs", ignore_errors=True)
        environment = {
            **os.environ, **cloud,
            "SIDELIGHT_STORE_URL": f"sqlite:///{HOME / 'fleet.db'}",
            "SIDELIGHT_ADVISORIES": str(database),
            "SIDELIGHT_POLL_SECONDS": "1",
            "COLUMNS": str(show.console.width),
        }  # fmt: skip
        try:
            if arguments.flower:
                flower(show, environment)
            else:
                scan(show, environment)
                show.step(
                    "Next: `make flower` shows the queues at work; `sidelight --help`; README.md"
                )
        except KeyboardInterrupt:
            sys.exit(130)
    if arguments.svg is not None:
        picture = show.console.export_svg(title="make demo")
        # The template names fonts on a server; a reader's browser is not to ask for them.
        picture = re.sub(r"@font-face \{.*?\}", "", picture, flags=re.DOTALL)
        arguments.svg.write_text(picture)


if __name__ == "__main__":
    main()
