"""Read a scan's snapshots: the stage that takes long, and is paid for."""

from __future__ import annotations

import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

from sidelight.disk import Attachment
from sidelight.errors import LeaseLostError, SnapshotNotFoundError
from sidelight.model import Status
from sidelight.store import Cost
from workers.holding import GiveUpError
from workers.witness import Witness

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sidelight.model import Instance
    from sidelight.store import Scan
    from workers.context import Context, OpenSnapshot


def read(context: Context, scan: Scan, instance: Instance) -> None:
    """READING to EVALUATING: what is on the instance's disks, and what it cost to know.

    Raises GiveUpError where nothing can be read, and what another attempt may mend.
    """
    devices = {volume.id: volume.device for volume in instance.volumes}
    snapshots = context.store.scans.snapshots(scan.id)
    if not snapshots:
        raise SnapshotNotFoundError("has no snapshots", where=scan.id)
    started, cpu = time.perf_counter(), time.thread_time()
    opened: list[OpenSnapshot] = []
    try:
        with ExitStack() as stack:
            for snapshot in snapshots:
                source = context.open_snapshot(scan, snapshot.id)
                stack.callback(source.close)
                opened.append(source)
            attachments = tuple(
                Attachment(devices.get(snapshot.volume, ""), snapshot.volume)
                for snapshot in snapshots
            )
            witnesses = [Witness(source) for source in opened]
            inventory = context.inspect(witnesses, attachments)
            _check_complete(context, scan, witnesses)
    except BaseException:
        # What was read was paid for, whatever came of it.
        context.store.costs.add(_cost(scan, opened, started, cpu))
        raise
    if inventory.status is Status.FAILED:
        problem = next(iter(inventory.problems), None)
        context.store.costs.add(_cost(scan, opened, started, cpu))
        raise GiveUpError(
            str(problem.what if problem else "nothing could be read"),
            where=problem.where if problem else scan.instance,
            code="UNSUPPORTED_OS",
        )
    cost = _cost(scan, opened, started, cpu)
    try:
        context.store.findings.save_inventory(scan, inventory, cost)
    except LeaseLostError:
        # Another has read it as well: it was paid for twice.
        context.store.costs.add(cost)
        raise


def _check_complete(context: Context, scan: Scan, witnesses: Sequence[Witness]) -> None:
    """Raise where blocks were missing that another attempt may get; the last takes what it has."""
    if scan.attempts >= context.settings.attempts:
        return
    for witness in witnesses:
        if witness.error is not None:
            raise witness.error


def _cost(scan: Scan, opened: Sequence[OpenSnapshot], started: float, cpu: float) -> Cost:
    stats = [source.stats() for source in opened]
    return Cost(
        scan.id,
        get_calls=sum(one.get_calls for one in stats),
        list_calls=sum(one.list_calls for one in stats),
        blocks=sum(one.distinct_blocks for one in stats),
        bytes=sum(one.bytes for one in stats),
        seconds=time.perf_counter() - started,
        cpu_seconds=time.thread_time() - cpu,
        usd=sum(one.usd for one in stats),
    )
