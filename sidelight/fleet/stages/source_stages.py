"""The stages of a scan that creates no snapshots: it reads existing ones, or nothing.

Existing snapshots are the owner's. They are in no table of Sidelight's own snapshots, so that no
stage and no sweep deletes, tags or shares them.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from sidelight.aws.ebs_faults import is_late
from sidelight.errors import SidelightError
from sidelight.fleet.disk_reading import reader_of
from sidelight.fleet.stages.final_errors import GiveUpError, code_of
from sidelight.fleet.stages.inspect import read
from sidelight.model import SourceKind, State

if TYPE_CHECKING:
    from sidelight.fleet.context import Context
    from sidelight.model import Instance, Scan, Transition

log = logging.getLogger(__name__)


def begin_with_source(context: Context, scan: Scan) -> Transition:
    """NEW to READING of existing snapshots, or to EVALUATING; or back to creating snapshots.

    Raises LeaseLostError, MoneySpentError.
    """
    source = context.store.scan_sources.of([scan.id]).get(scan.id)
    if source is None:
        return _without(context, scan, GiveUpError("its source is not known", where=scan.id))
    if source.kind is SourceKind.UNCHANGED:
        return _begin_unchanged(context, scan)
    context.money().check(scan.account)
    instance = context.store.instances.instance(scan.account, scan.instance)
    present = {volume.id for volume in instance.volumes} if instance is not None else set()
    if present != {snapshot.volume for snapshot in source.snapshots}:
        # It was discovered again since its snapshots were chosen.
        changed = GiveUpError("its volumes have changed since", where=scan.instance)
        return _without(context, scan, changed)
    return context.store.scan_sources.begin(scan, State.READING)


def _begin_unchanged(context: Context, scan: Scan) -> Transition:
    """NEW to EVALUATING of the stored inventory, if this process would find the same on the disks.

    The dispatcher does not know which version and options the workers read with.
    """
    last = context.store.instances.disk_readings(scan.account, [scan.instance]).get(scan.instance)
    if last is None or last.reader != reader_of(context.settings):
        why = "its disks were read by another version, or with other options"
        return context.store.scan_sources.drop(scan, why)
    return context.store.scan_sources.begin(scan, State.EVALUATING)


def read_existing(context: Context, scan: Scan, instance: Instance) -> Transition:
    """READING to EVALUATING; back to NEW, to create snapshots, where the existing are refused.

    Raises as `read`, and GiveUpError where none may be created.
    """
    try:
        return read(context, scan, instance)
    except SidelightError as error:
        # Their owner's retention may have deleted or archived them, or a policy denies them. They
        # are not new: EBS direct knows them, and a later attempt would be refused too.
        if not is_late(error):
            raise
        return _without(context, scan, error)


def _without(context: Context, scan: Scan, error: SidelightError) -> Transition:
    """Let the scan create its own snapshots, if that is allowed; else raise GiveUpError."""
    if context.settings.sources.existing_only:
        raise GiveUpError(error.what, where=error.where, code=code_of(error)) from error
    log.info("scan %s creates snapshots: %s", scan.id, error)
    return context.store.scan_sources.drop(scan, str(error))
