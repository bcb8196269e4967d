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

from dispatcher.cli.advisory_age import warn_of_age
from dispatcher.cli.exit_status import DONE, FAILED, FINDINGS, PARTIAL
from dispatcher.cli.finding_options import (
    SEVERITIES,
    Selection,
    check_template,
    finding_options,
    template_option,
)
from dispatcher.cli.output_file import check_writable, opened
from dispatcher.cli.scan_result import ScanResult, write_bom
from dispatcher.cli.setting_options import (
    ADVISORIES,
    CONTAINERS,
    READING,
    SKIP_DIRS,
    takes_settings,
)
from dispatcher.cli.targets import INSTANCE, Targets, check_targets
from dispatcher.cli.vex_files import read_statements, report_unmatched, vex_options
from sidelight.errors import UsageError
from sidelight.report.formats.format_names import CSV, FINDING_FORMATS, TEMPLATE
from sidelight.report.progress import live
from sidelight.report.sbom.format_names import SBOM_FORMATS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from dispatcher.cli.option_values import ReadValues
    from sidelight.blocks import BlockSource
    from sidelight.blocks.disk_cache import DiskCache
    from sidelight.cage import CagedReading
    from sidelight.disk import Attachment
    from sidelight.fleet.settings import Settings
    from sidelight.model import Inventory, ReadStats, Scan
    from sidelight.report.progress import LiveLine

    Inspect = Callable[[Sequence[BlockSource], tuple[Attachment, ...]], Inventory]

_BOMS = (
    "or an SBOM: cyclonedx-json, cyclonedx-xml (1.6; @1.5, @1.4: of this version), spdx-json (2.3)."
)
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
            click.option("--region", metavar="REGION", help="AWS region.  [default: AWS_REGION]"),
        )
    ):  # fmt: skip
        command = option(command)
    return command


def targets_argument(command: Callable[..., None]) -> Callable[..., None]:
    """Add the TARGET arguments."""
    return click.argument("targets", nargs=-1, required=True, metavar="TARGET...")(command)


def output_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add --output and --stats."""
    for option in reversed(
        (
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
@takes_settings(*READING, CONTAINERS, SKIP_DIRS, ADVISORIES)
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "json", CSV, *FINDING_FORMATS, TEMPLATE, *SBOM_FORMATS]),
    default="table",
    show_default=True,
    metavar="FORMAT",
    help="table; json; csv, as Inspector's reports; a report: sarif (2.1.0), junit, gitlab,"
    " ocsf (1.5), html; VEX: openvex, cyclonedx-vex, csaf (2.0); template; " + _BOMS,
)
@template_option
@output_options
@click.option(
    "--fail-on",
    type=click.Choice([item.lower() for item in SEVERITIES]),
    help="Exit 1 where a finding has this severity or a higher one.",
)
@finding_options
@vex_options
def scan(
    fail_on: str | None, limit: int | None, settings: Settings, **options: Unpack[ReadValues]
) -> None:
    """List the vulnerable software of one machine.

    Exit status: 1 with --fail-on and such a finding, also where the machine was read in part; else
    3 where it was read in part, 4 where it could not be read.
    """
    from sidelight.advisories import AdvisoryDatabase
    from sidelight.completeness import assess
    from sidelight.matching import match, unmatched_ecosystems
    from sidelight.model import Severity
    from sidelight.vex.statements import apply

    selection = Selection.of(options)
    check_targets(options["targets"])
    template = check_template(options["form"], options["template"])
    today, name = datetime.now(UTC).date(), name_of(options["targets"])
    statements = read_statements(options["vex"], options["ignore_file"], today)
    with AdvisoryDatabase.open(settings.findings.advisories_path) as database:
        machine = read(options, settings)
        names = {name, *(Path(target).name for target in options["targets"])}
        decided = apply(match(machine, database, today=today), statements, machine, names)
        findings = [finding for finding in decided.active if selection(finding)]
        suppressed = [item for item in decided.suppressed if selection(item.finding)]
        assessment = assess(machine, unmatched_ecosystems(machine, database))
    report_unmatched(decided)
    warn_of_age(settings)
    machine = replace(machine, status=assessment.status, problems=assessment.problems)
    worst = max((item.severity.rank for item in findings), default=-1)
    failing = bool(fail_on) and worst >= Severity(str(fail_on).upper()).rank
    result = ScanResult(name, machine, findings, suppressed, assessment, *_place_of(options))
    try:
        with opened(options["output"]) as file:
            if template is None:
                result.write(options["form"], file, limit)
            else:
                result.write_template(template, file, limit)
            file.flush()
    except BrokenPipeError:
        # The reader closed the pipe; the exit status still reports the result of --fail-on.
        if not failing:
            raise
    sys.exit(FINDINGS if failing else EXIT[machine.status])


@click.command()
@targets_argument
@reading_options
@takes_settings(*READING, CONTAINERS, SKIP_DIRS)
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "json", *SBOM_FORMATS]),
    default="table",
    show_default=True,
    metavar="FORMAT",
    help="table; json; " + _BOMS,
)
@output_options
def inventory(settings: Settings, **options: Unpack[ReadValues]) -> None:
    """List the software of one machine, without matching it.

    Exit status: 3 where the machine was read in part, 4 where it could not be read.
    """
    from sidelight.completeness import Assessment
    from sidelight.report import as_json, as_table

    machine = read(options, settings)
    with opened(options["output"]) as file:
        if options["form"] == "json":
            file.write(as_json.dumps(as_json.inventory_document(machine)))
        elif options["form"] in SBOM_FORMATS:
            assessment = Assessment(machine.status, machine.problems, ())
            result = ScanResult(
                name_of(options["targets"]), machine, (), (), assessment, *_place_of(options)
            )
            write_bom(result, options["form"], None, file)
        else:
            as_table.print_inventory(name_of(options["targets"]), machine, file)
    sys.exit(EXIT[machine.status])


def _place_of(options: ReadValues) -> tuple[str, str]:
    """Return the instance and its Region; empty for other targets."""
    if not _is_instance(options["targets"]):
        return "", ""
    return name_of(options["targets"]), options["region"] or ""


def read(options: ReadValues, settings: Settings) -> Inventory:
    """Read the machine that the options name, and write its stats to the file of --stats."""
    from sidelight.cage import reader_cpu_seconds
    from sidelight.model import ReadStats
    from sidelight.report import as_json, as_table

    for path in (options["output"], options["stats"]):
        check_writable(path)
    sbom = _sbom_of(options)
    begun, begun_cpu = time.monotonic(), time.process_time() + reader_cpu_seconds()
    name = name_of(options["targets"])
    is_instance = _is_instance(options["targets"])
    with live(f"{'scanning' if is_instance else 'reading'} {name}") as line:
        if sbom is not None:
            from sidelight.sbom_import.sbom_files import read_sbom

            machine, stats = read_sbom(sbom), ReadStats()
        else:
            read_machine = _read_instance if is_instance else _read_disks
            machine, stats = read_machine(options, settings, line)
    line.done(
        f"{name}: {as_table.counted(len(machine.packages), 'package')} read in {line.seconds:.1f} s"
    )
    stats = replace(
        stats,
        seconds=time.monotonic() - begun,
        cpu_seconds=time.process_time() + reader_cpu_seconds() - begun_cpu,
    )
    if options["stats"] is not None:
        with opened(options["stats"]) as file:
            file.write(as_json.dumps(as_json.stats_document(stats)))
    return machine


@contextmanager
def opened_targets(
    options: ReadValues, settings: Settings, show: Callable[[str], object] = lambda _: None
) -> Iterator[Targets]:
    """Open the disks that the options name. `show` gets the reason and the end of waits for AWS."""
    with Targets(
        options["targets"],
        in_flight=settings.reading.in_flight,
        budget=settings.reading.cache_mib << 20,
        region=options["region"],
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


def _sbom_of(options: ReadValues) -> Path | None:
    """Return the bill of materials that is the target. Raises UsageError for one of several."""
    from sidelight.sbom_import.sniffing import is_sbom

    targets = options["targets"]
    found = [target for target in targets if is_sbom(Path(target))]
    if not found:
        return None
    if len(targets) > 1:
        raise UsageError("an SBOM is of a whole machine: name it alone", where=found[0])
    if options["reader"] != "own" or options["volumes"]:
        raise UsageError("--reader and --volume are for images and snapshots", where=found[0])
    return Path(found[0])


def _read_disks(
    options: ReadValues, settings: Settings, line: LiveLine
) -> tuple[Inventory, ReadStats]:
    from sidelight.disk.device_names import attachments_of

    inspect = _inspecting(options, settings)
    reading = line.text

    def waits(text: str) -> None:
        line.text = f"{reading}: {text}"

    with opened_targets(options, settings, waits) as targets:
        attachments = attachments_of(options["volumes"])
        line.detail = lambda: _blocks_so_far(targets)
        line.text = reading
        return inspect(targets.sources, attachments), targets.stats()


def _inspecting(options: ReadValues, settings: Settings) -> Inspect:
    """Return what reads disks: in a cage, but for the second-opinion readers."""
    from sidelight.fleet import disk_reading

    if options["reader"] != "own":
        if settings.reading.cage_required:
            what = f"--reader {options['reader']} reads outside of the cage"
            raise UsageError(what, where="SIDELIGHT_CAGE_REQUIRED")
        return disk_reading.in_this_process(settings, options["reader"])
    caged = disk_reading.caged_reading(settings)
    return disk_reading.in_this_process(settings) if caged is None else _in_a_cage(caged)


def _in_a_cage(reading: CagedReading) -> Inspect:
    from sidelight.errors import CageError
    from sidelight.model import Inventory, OperatingSystem, Problem, Status

    # Its imports go on while the disks are opened.
    reading.warm_up()

    def inspect(sources: Sequence[BlockSource], attachments: tuple[Attachment, ...]) -> Inventory:
        try:
            return reading.inspect(sources, attachments)
        except CageError as error:
            problem = Problem(error.where, error.what)
            return Inventory(Status.FAILED, OperatingSystem(), problems=(problem,))

    return inspect


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
    options: ReadValues, settings: Settings, line: LiveLine
) -> tuple[Inventory, ReadStats]:
    # Imported here: a scan of a file does not need the fleet's code.
    from dispatcher.on_demand import inspect_instance

    if options["reader"] != "own" or options["volumes"]:
        what = "--reader and --volume are for images and snapshots"
        raise UsageError(what, where=options["targets"][0])
    name = options["targets"][0]

    def show(scan: Scan) -> None:
        line.text = f"scanning {name}: {scan.state.value.lower().replace('_', ' ')}"
        # The reason and the end of a wait for AWS.
        reason = scan.last_error if scan.late_since is not None else ""
        line.detail = lambda: reason

    return inspect_instance(name, settings, region=options["region"], show=show)


def name_of(targets: Sequence[str]) -> str:
    """Return the machine's name for tables."""
    return ", ".join(targets)
