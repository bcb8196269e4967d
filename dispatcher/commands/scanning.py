"""`sidelight scan` and `sidelight inventory`."""

from __future__ import annotations

import re
import sys
import time
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dispatcher.targets import Targets
from sidelight import scan as scanning
from sidelight.advisories import Database
from sidelight.blocks.cache import DEFAULT_BUDGET, DEFAULT_IN_FLIGHT
from sidelight.disk.names import attachments_of
from sidelight.errors import UsageError
from sidelight.inventory import collect
from sidelight.matching import match, unmatched_ecosystems
from sidelight.model import Inventory, Problem, ReadStats, Severity, Status
from sidelight.report import as_json, as_table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import TextIO

    from sidelight.blocks.kept import KeptBlocks

EXIT = {Status.COMPLETE: 0, Status.PARTIAL: 3, Status.FAILED: 4}
FINDINGS = 1
INSTANCE = re.compile(r"i-[0-9a-f]{8}(?:[0-9a-f]{9})?")


def reading_options(command: Callable[..., None]) -> Callable[..., None]:
    """The options of every command that reads a machine."""
    for option in reversed(
        (
            click.argument("targets", nargs=-1, required=True, metavar="TARGET..."),
            click.option("--reader", type=click.Choice(["own", "reference"]), default="own",
                         help="Sidelight's own filesystem readers, or the second-opinion ones."),
            click.option("--volume", "volumes", multiple=True, metavar="vol-…",
                         help="The EBS volume of each TARGET in turn: what fstab's ids name."),
            click.option("--in-flight", type=click.IntRange(1, 1024), default=DEFAULT_IN_FLIGHT,
                         show_default=True, help="EBS direct calls at once."),
            click.option("--cache", type=click.IntRange(1), default=DEFAULT_BUDGET >> 20,
                         show_default=True, help="Block cache of each snapshot, MiB."),
            click.option("--block-cache", envvar="SIDELIGHT_BLOCK_CACHE", metavar="DIR",
                         help="Keep snapshots' blocks there, and pay for none twice."),
            click.option("--region", help="AWS region, where the environment's is not meant."),
        )
    ):  # fmt: skip
        command = option(command)
    return command


def containers_option(command: Callable[..., None]) -> Callable[..., None]:
    """Whether container runtimes' paths are read as well."""
    return click.option(
        "--containers",
        is_flag=True,
        help="Also read what container runtimes keep (/var/lib/docker and the like); each package"
        " is labelled with its runtime.",
    )(command)


def output_options(command: Callable[..., None]) -> Callable[..., None]:
    """Where the answer goes, and in what form."""
    for option in reversed(
        (
            click.option("--format", "form", type=click.Choice(["table", "json"]), default="table",
                         show_default=True),
            click.option("--output", type=click.Path(dir_okay=False, path_type=Path),
                         help="Write there instead of to standard output."),
            click.option("--stats", type=click.Path(dir_okay=False, path_type=Path),
                         help="Write calls, blocks, bytes, seconds and dollars there, as JSON."),
        )
    ):  # fmt: skip
        command = option(command)
    return command


@click.command()
@reading_options
@containers_option
@output_options
@click.option(
    "--advisories",
    type=click.Path(path_type=Path),
    envvar="SIDELIGHT_ADVISORIES",
    required=True,
    help="The advisory database (see `sidelight advisories build`).",
)
@click.option(
    "--fail-on",
    type=click.Choice([item.value.lower() for item in Severity]),
    help="Exit 1 where a finding has this severity or a higher one.",
)
def scan(advisories: Path, fail_on: str | None, **given: Any) -> None:
    """Show the vulnerable software of one machine."""
    with Database.open(advisories) as database:
        machine = read({**given, "advisories": advisories})
        findings = match(machine, database, today=datetime.now(UTC).date())
        problems = tuple(
            Problem("advisories", f"{item.packages} packages of {item.ecosystem}: {item.why}")
            for item in unmatched_ecosystems(machine, database)
        )
        machine = with_problems(machine, problems)
    with opened(given["output"]) as file:
        if given["form"] == "json":
            file.write(as_json.dumps(as_json.scan_document(machine, findings)))
        else:
            as_table.print_findings(name_of(given["targets"]), machine, findings, file)
    worst = max((item.severity.rank for item in findings), default=-1)
    if EXIT[machine.status] == 0 and fail_on and worst >= Severity(fail_on.upper()).rank:
        sys.exit(FINDINGS)
    sys.exit(EXIT[machine.status])


@click.command()
@reading_options
@containers_option
@output_options
def inventory(**given: Any) -> None:
    """Show the software on one machine, without matching it."""
    machine = read(given)
    with opened(given["output"]) as file:
        if given["form"] == "json":
            file.write(as_json.dumps(as_json.inventory_document(machine)))
        else:
            as_table.print_inventory(name_of(given["targets"]), machine, file)
    sys.exit(EXIT[machine.status])


def read(given: dict[str, Any]) -> Inventory:
    """Read the machine that the options name, and write its stats where they say."""
    begun, begun_cpu = time.monotonic(), time.process_time()
    machine, stats = _read_instance(given) if _is_instance(given["targets"]) else _read_disks(given)
    stats = replace(
        stats, seconds=time.monotonic() - begun, cpu_seconds=time.process_time() - begun_cpu
    )
    if given["stats"] is not None:
        with opened(given["stats"]) as file:
            file.write(as_json.dumps(as_json.stats_document(stats)))
    return machine


def _read_disks(given: dict[str, Any]) -> tuple[Inventory, ReadStats]:
    with Targets(
        given["targets"],
        in_flight=given["in_flight"],
        budget=given["cache"] << 20,
        region=given["region"],
        kept=kept_blocks(given.get("block_cache")),
    ) as targets:
        collecting = collect.Options(include_containers=given["containers"])
        attachments = attachments_of(given["volumes"])
        options = scanning.Options(given["reader"], attachments, collecting)
        machine = scanning.inspect(targets.sources, options)
        return machine, targets.stats()


def kept_blocks(directory: str | None) -> KeptBlocks | None:
    """The blocks kept there; within SIDELIGHT_BLOCK_CACHE_GIB, as a worker's."""
    if not directory:
        return None
    from sidelight.blocks.kept import KeptBlocks
    from workers.settings import Settings

    return KeptBlocks(Path(directory), Settings.from_environment().block_cache_bytes)


def _is_instance(targets: Sequence[str]) -> bool:
    """Whether the target is `i-…`. Raises UsageError where it stands beside others."""
    instances = [target for target in targets if INSTANCE.fullmatch(target)]
    if instances and len(targets) > 1:
        raise UsageError("an instance is a whole machine: name it alone", where=instances[0])
    return bool(instances)


def _read_instance(given: dict[str, Any]) -> tuple[Inventory, ReadStats]:
    # The fleet's code, which a scan of a file need not wait for.
    from dispatcher.on_demand import inspect_instance
    from workers.settings import Settings

    if given["reader"] != "own" or given["volumes"]:
        what = "--reader and --volume are for images and snapshots"
        raise UsageError(what, where=given["targets"][0])
    settings = Settings.from_environment()
    settings = replace(
        settings,
        containers=given["containers"] or settings.containers,
        in_flight=given["in_flight"],
        block_cache=given.get("block_cache") or "",
    )
    if given.get("advisories"):
        settings = replace(settings, advisories=str(given["advisories"]))
    return inspect_instance(given["targets"][0], settings, region=given["region"])


def with_problems(machine: Inventory, problems: Sequence[Problem]) -> Inventory:
    """The inventory with more Problems; one that was complete is partial then."""
    if not problems:
        return machine
    status = Status.PARTIAL if machine.status is Status.COMPLETE else machine.status
    return replace(machine, status=status, problems=machine.problems + tuple(problems))


def name_of(targets: Sequence[str]) -> str:
    """What a table calls the machine."""
    return ", ".join(targets)


@contextmanager
def opened(path: Path | None) -> Iterator[TextIO]:
    """Standard output, or the file. Raises UsageError where it cannot be written."""
    if path is None:
        yield sys.stdout
        return
    try:
        file = path.open("w", encoding="utf-8")
    except OSError as error:
        raise UsageError(f"cannot be written: {error.strerror}", where=str(path)) from error
    with file:
        yield file
