"""Read a scan's snapshots: the longest stage, and the only one with paid calls."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING

from sidelight.cage import reader_cpu_seconds
from sidelight.disk import Attachment
from sidelight.errors import CageError, LeaseLostError, SidelightError, SnapshotNotFoundError
from sidelight.fleet.dollar_budget import Bill, billed
from sidelight.fleet.error_recording_source import ErrorRecordingSource
from sidelight.fleet.stages.final_errors import TIME_LIMIT, GiveUpError
from sidelight.model import Cost, Problem, ReadStats, Status

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sidelight.fleet.context import Context, OpenSnapshot
    from sidelight.model import ExistingSnapshot, Instance, Inventory, Scan, Snapshot, Transition


def snapshots_of(context: Context, scan: Scan) -> Sequence[Snapshot] | Sequence[ExistingSnapshot]:
    """Return the snapshots that a scan reads, in the order of its disks: its own, or existing."""
    if not scan.source:
        return context.store.scans.snapshots(scan.id)
    source = context.store.scan_sources.of([scan.id]).get(scan.id)
    return source.snapshots if source is not None else ()


def read(context: Context, scan: Scan, instance: Instance) -> Transition:
    """READING to EVALUATING: store the instance's inventory and the cost of reading it.

    Raises GiveUpError where nothing can be read, else the errors that another attempt may fix.
    """
    devices = {volume.id: volume.device for volume in instance.volumes}
    snapshots = snapshots_of(context, scan)
    if not snapshots:
        raise SnapshotNotFoundError("has no snapshots", where=scan.id)
    bill = Bill(context.money(), scan, context.store.costs.add)
    started, cpu = time.perf_counter(), _cpu_seconds()
    opened: list[OpenSnapshot] = []
    try:
        with ExitStack() as stack, billed(bill):
            for snapshot in snapshots:
                source = context.open_snapshot(scan, snapshot.id)
                stack.callback(source.close)
                opened.append(source)
            attachments = tuple(
                Attachment(devices.get(snapshot.volume, ""), snapshot.volume)
                for snapshot in snapshots
            )
            recorders = [ErrorRecordingSource(source) for source in opened]
            inventory = _with_left_out(
                _inspected(context, recorders, attachments),
                left_out_volumes(context, scan, instance, snapshots),
            )
            _check_paid(context, scan, bill)
            _check_complete(context, scan, recorders)
    except BaseException:
        # The calls were paid for, even if the attempt failed.
        context.store.costs.add(bill.rest(_cost(scan, opened, started, cpu)))
        raise
    if inventory.status is Status.FAILED:
        problem = next(iter(inventory.problems), None)
        context.store.costs.add(bill.rest(_cost(scan, opened, started, cpu)))
        raise GiveUpError(
            str(problem.what if problem else "nothing could be read"),
            where=problem.where if problem else scan.instance,
            code="UNSUPPORTED_OS",
        )
    cost = bill.rest(_cost(scan, opened, started, cpu))
    try:
        return context.store.findings.save_inventory(scan, inventory, cost)
    except LeaseLostError:
        # Another worker has read it as well: the calls were paid for twice.
        context.store.costs.add(cost)
        raise


def _inspected(
    context: Context,
    recorders: Sequence[ErrorRecordingSource],
    attachments: tuple[Attachment, ...],
) -> Inventory:
    """Read the machine. Raises GiveUpError where its reader met a limit, as it would again."""
    try:
        return context.inspect(recorders, attachments)
    except CageError as error:
        if not error.limit:
            raise
        code = TIME_LIMIT if error.limit == "time" else "INTERNAL_ERROR"
        raise GiveUpError(error.what, where=error.where, code=code) from error


def left_out_volumes(
    context: Context,
    scan: Scan,
    instance: Instance,
    snapshots: Sequence[Snapshot] | Sequence[ExistingSnapshot],
) -> list[Problem]:
    """Return a Problem for each attached volume of which CreateSnapshots made no snapshot.

    A volume that was detached before the call is not a problem, nor one that was attached after it.
    EC2 is asked only where a volume that discovery knew has none.
    """
    taken = {snapshot.volume for snapshot in snapshots}
    missing = [
        volume.id
        for volume in instance.volumes
        if volume.id not in taken
        and (volume.attached_at is None or volume.attached_at <= scan.created_at)
    ]
    if not missing:
        return []
    try:
        status = context.ec2(scan.account, scan.region).instance_status(scan.instance)
    except SidelightError as error:
        text = f"it has no snapshot, and EC2 cannot be asked whether it is attached: {error}"
        return [Problem(volume, text) for volume in missing]
    attached = status.volumes if status is not None else frozenset()
    text = "it is attached, and EC2 made no snapshot of it"
    return [Problem(volume, text) for volume in missing if volume in attached]


def _with_left_out(inventory: Inventory, left_out: Sequence[Problem]) -> Inventory:
    """Return the inventory with these problems; a complete one is partial then."""
    if not left_out:
        return inventory
    status = Status.PARTIAL if inventory.status is Status.COMPLETE else inventory.status
    return replace(inventory, status=status, problems=(*inventory.problems, *left_out))


def _cpu_seconds() -> float:
    """Return the CPU seconds of this thread and of the readers that it ran."""
    return time.thread_time() + reader_cpu_seconds()


def _check_paid(context: Context, scan: Scan, bill: Bill) -> None:
    """Raise where the dollar budget stopped calls; GiveUpError where no day's budget is enough."""
    if bill.refused is None:
        return
    if bill.exceeds_cap():
        raise GiveUpError(
            f"reading costs more than the {context.settings.budget.usd_per_day:g} dollars of"
            " SIDELIGHT_USD_PER_DAY",
            where=scan.instance,
        )
    raise bill.refused


def _check_complete(
    context: Context, scan: Scan, recorders: Sequence[ErrorRecordingSource]
) -> None:
    """Raise where blocks are missing that a retry may get; the last attempt accepts the gaps."""
    if scan.attempts >= context.settings.retries.attempts:
        return
    for recorder in recorders:
        if recorder.error is not None:
            raise recorder.error


def _cost(scan: Scan, opened: Sequence[OpenSnapshot], started: float, cpu: float) -> Cost:
    stats = ReadStats.total(source.stats() for source in opened)
    return Cost(
        scan.id,
        get_calls=stats.get_calls,
        list_calls=stats.list_calls,
        blocks=stats.blocks,
        bytes=stats.bytes,
        seconds=time.perf_counter() - started,
        cpu_seconds=_cpu_seconds() - cpu,
        usd=stats.usd,
    )
