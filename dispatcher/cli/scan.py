"""`sidelight scan` and `sidelight inventory`."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

import click

from dispatcher.cli.exit_status import DONE, FAILED, FINDINGS, PARTIAL
from dispatcher.cli.finding_options import SEVERITIES, Selection, finding_options
from dispatcher.cli.output_file import check_writable, opened
from dispatcher.cli.setting_options import ADVISORIES, CONTAINERS, READING, takes_settings
from dispatcher.cli.targets import INSTANCE, Targets, check_targets
from sidelight.errors import UsageError
from sidelight.report.progress import live

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from dispatcher.cli.option_values import ReadValues
    from sidelight.blocks.disk_cache import DiskCache
    from sidelight.fleet.settings import Settings
    from sidelight.model import Inventory, ReadStats, Scan
    from sidelight.report.progress import LiveLine

# By the value of sidelight.model.Status.
EXIT = {"complete": DONE, "partial": PARTIAL, "failed": FAILED}


def reading_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options of every command that reads a machine, but those of settings."""
    for option in reversed(
        (
            click.option("--reader", type=click.Choice(["own", "reference"]), default="own",
                         show_default=True,
                         help="Filesystem readers: Sidelight's own, or the second-opinion ones of"
                         " the extra `reference`."),
            click.option("--volume", "volumes", multiple=True, metavar="VOLUME-ID",
                         help="The EBS volume of each TARGET in turn, for an fstab that names"
                         " volumes by id. Repeatable."),
            click.option("--region", help="AWS region.  [default: AWS_REGION]"),
        )
    ):  # fmt: skip
        command = option(command)
    return command


def targets_argument(command: Callable[..., None]) -> Callable[..., None]:
    """Add the TARGET arguments."""
    return click.argument("targets", nargs=-1, required=True, metavar="TARGET...")(command)


def output_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add --format, --output and --stats."""
    for option in reversed(
        (
            click.option("--format", "form", type=click.Choice(["table", "json"]), default="table",
                         show_default=True, help="Output format."),
            click.option("--output", type=click.Path(dir_okay=False, path_type=Path),
                         help="Write to this file instead of standard output."),
            click.option("--stats", type=click.Path(dir_okay=False, path_type=Path),
                         help="Write calls, blocks, bytes, seconds and dollars to this file"
                         " (JSON)."),
        )
    ):  # fmt: skip
        command = option(command)
    return command


@click.command()
@targets_argument
@reading_options
@takes_settings(*READING, CONTAINERS, ADVISORIES)
@output_options
@click.option(
    "--fail-on",
    type=click.Choice([item.lower() for item in SEVERITIES]),
    help="Exit 1 where a finding has this severity or a higher one.",
)
@finding_options
def scan(
    fail_on: str | None, limit: int | None, settings: Settings, **given: Unpack[ReadValues]
) -> None:
    """List the vulnerable software of one machine.

    Exit status: 1 with --fail-on and such a finding, also where the machine was read in part; else
    3 where it was read in part, 4 where it could not be read.
    """
    from sidelight.advisories import AdvisoryDatabase
    from sidelight.completeness import assess
    from sidelight.matching import match, unmatched_ecosystems
    from sidelight.model import Severity
    from sidelight.report import as_json, as_table
    from sidelight.report.as_table import worst_first
    from sidelight.report.tables import Report

    selection = Selection.of(given)
    check_targets(given["targets"])
    with AdvisoryDatabase.open(settings.findings.advisories_path) as database:
        machine = read(given, settings)
        every = match(machine, database, today=datetime.now(UTC).date())
        findings = [finding for finding in every if selection(finding)]
        assessment = assess(machine, unmatched_ecosystems(machine, database))
    machine = replace(machine, status=assessment.status, problems=assessment.problems)
    worst = max((item.severity.rank for item in findings), default=-1)
    failing = bool(fail_on) and worst >= Severity(str(fail_on).upper()).rank
    try:
        with opened(given["output"]) as file:
            if given["form"] == "json":
                shown = findings if limit is None else sorted(findings, key=worst_first)[:limit]
                document = as_json.scan_document(machine, shown, assessment.not_covered)
                file.write(as_json.dumps(document))
            else:
                as_table.print_findings(name_of(given["targets"]), machine, findings, file, limit)
                shown_lines = Report(file)
                for line in assessment.not_covered_lines():
                    shown_lines.line(f"not covered: {line}")
            file.flush()
    except BrokenPipeError:
        # The reader closed the pipe; the exit status still reports the result of --fail-on.
        if not failing:
            raise
    sys.exit(FINDINGS if failing else EXIT[machine.status])


@click.command()
@targets_argument
@reading_options
@takes_settings(*READING, CONTAINERS)
@output_options
def inventory(settings: Settings, **given: Unpack[ReadValues]) -> None:
    """List the software of one machine, without matching it.

    Exit status: 3 where the machine was read in part, 4 where it could not be read.
    """
    from sidelight.report import as_json, as_table

    machine = read(given, settings)
    with opened(given["output"]) as file:
        if given["form"] == "json":
            file.write(as_json.dumps(as_json.inventory_document(machine)))
        else:
            as_table.print_inventory(name_of(given["targets"]), machine, file)
    sys.exit(EXIT[machine.status])


def read(given: ReadValues, settings: Settings) -> Inventory:
    """Read the machine that the options name, and write its stats to the file of --stats."""
    from sidelight.report import as_json, as_table

    for path in (given["output"], given["stats"]):
        check_writable(path)
    begun, begun_cpu = time.monotonic(), time.process_time()
    name = name_of(given["targets"])
    is_instance = _is_instance(given["targets"])
    with live(f"{'scanning' if is_instance else 'reading'} {name}") as line:
        read_machine = _read_instance if is_instance else _read_disks
        machine, stats = read_machine(given, settings, line)
    line.done(
        f"{name}: {as_table.counted(len(machine.packages), 'package')} read in {line.seconds:.1f} s"
    )
    stats = replace(
        stats, seconds=time.monotonic() - begun, cpu_seconds=time.process_time() - begun_cpu
    )
    if given["stats"] is not None:
        with opened(given["stats"]) as file:
            file.write(as_json.dumps(as_json.stats_document(stats)))
    return machine


@contextmanager
def opened_targets(
    given: ReadValues, settings: Settings, show: Callable[[str], object] = lambda _: None
) -> Iterator[Targets]:
    """Open the disks that the options name. `show` gets the reason and the end of waits for AWS."""
    with Targets(
        given["targets"],
        in_flight=settings.reading.in_flight,
        budget=settings.reading.cache_mib << 20,
        region=given["region"],
        kept=_kept_blocks(settings),
        waiting={
            "late_seconds": settings.snapshots.late_seconds,
            "pending_seconds": settings.snapshots.pending_seconds,
            "say": show,
        },
    ) as targets:
        yield targets


def _kept_blocks(settings: Settings) -> DiskCache | None:
    if not settings.reading.block_cache:
        return None
    from sidelight.blocks.disk_cache import DiskCache

    return DiskCache(Path(settings.reading.block_cache), settings.reading.block_cache_bytes)


def _read_disks(
    given: ReadValues, settings: Settings, line: LiveLine
) -> tuple[Inventory, ReadStats]:
    from sidelight import scan as scanning
    from sidelight.disk.device_names import attachments_of
    from sidelight.inventory import collect

    reading = line.text

    def waits(text: str) -> None:
        line.text = f"{reading}: {text}"

    with opened_targets(given, settings, waits) as targets:
        collecting = collect.CollectOptions(include_containers=settings.reading.containers)
        attachments = attachments_of(given["volumes"])
        options = scanning.ScanOptions(given["reader"], attachments, collecting)
        line.detail = lambda: _blocks_so_far(targets)
        line.text = reading
        machine = scanning.inspect(targets.sources, options)
        return machine, targets.stats()


def _blocks_so_far(targets: Targets) -> str:
    """Return the progress of snapshots; empty for disk images, which are not read by block."""
    from sidelight.report.as_table import counted

    stats = targets.stats()
    if not stats.get_calls:
        return ""
    return f"{counted(stats.get_calls, 'block')} read, {stats.bytes / (1 << 20):.0f} MiB"


def _is_instance(targets: Sequence[str]) -> bool:
    """Whether the target is `i-…`. Raises UsageError where it is one of several targets."""
    instances = [target for target in targets if INSTANCE.fullmatch(target)]
    if instances and len(targets) > 1:
        raise UsageError("an instance is a whole machine: name it alone", where=instances[0])
    return bool(instances)


def _read_instance(
    given: ReadValues, settings: Settings, line: LiveLine
) -> tuple[Inventory, ReadStats]:
    # Imported here: a scan of a file does not need the fleet's code.
    from dispatcher.on_demand import inspect_instance

    if given["reader"] != "own" or given["volumes"]:
        what = "--reader and --volume are for images and snapshots"
        raise UsageError(what, where=given["targets"][0])
    name = given["targets"][0]

    def show(scan: Scan) -> None:
        line.text = f"scanning {name}: {scan.state.value.lower().replace('_', ' ')}"
        # The reason and the end of a wait for AWS.
        reason = scan.last_error if scan.late_since is not None else ""
        line.detail = lambda: reason

    return inspect_instance(name, settings, region=given["region"], show=show)


def name_of(targets: Sequence[str]) -> str:
    """Return the machine's name for tables."""
    return ", ".join(targets)
