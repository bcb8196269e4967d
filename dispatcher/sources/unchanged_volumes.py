"""Decide which machines need not be read again. PURE: facts and the time in, a decision out.

A machine's disks hold what they held at the last read if the same volumes have been attached since
and none of them was written. A stopped machine writes nothing. A running one is decided by
CloudWatch. What is not certain is read.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from datetime import datetime

    from sidelight.model import DiskReading, Instance

# EC2 names the time at which a stop was asked for. The system writes until it is down, and one that
# hibernates writes its memory.
STOPPING: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class UnchangedCandidate:
    """A machine that may be unchanged since its last read.

    `is_stopped`: it was stopped before that, and is unchanged. Else its volumes' writes decide.
    """

    last: DiskReading
    is_stopped: bool


def candidate(
    instance: Instance, last: DiskReading | None, longest: timedelta, now: datetime
) -> UnchangedCandidate | str:
    """Return the machine as a candidate, or why it is read.

    `longest`: the most since the read; `now`: when the instance was as it is here.
    """
    why = _why_no_proof(last, longest, now)
    if why or last is None:
        return why
    why = _why_other_volumes(instance, last) or _why_may_run(instance, last)
    return why or UnchangedCandidate(last, is_stopped=instance.state == "stopped")


def _why_no_proof(last: DiskReading | None, longest: timedelta, now: datetime) -> str:
    """Return why the last read proves nothing; empty if it does."""
    if last is None:
        return "its disks were not read yet"
    if now <= last.data_at:
        return "nothing is known since its last scan"
    if not last.reader:
        return "its inventory is partial, or its agent's"
    if now - last.read_at > longest:
        return f"its disks were read more than {longest / timedelta(days=1):g} days ago"
    return ""


def _why_may_run(instance: Instance, last: DiskReading) -> str:
    """Return why the machine may have been started or stopped since; empty if it was not."""
    if instance.state == "running":
        is_known = instance.launched_at is not None and instance.launched_at <= last.data_at
        return "" if is_known else "it was started since"
    if instance.state != "stopped":
        return f"it is {instance.state}"
    if instance.stopping_at is None or instance.stopping_at + STOPPING > last.data_at:
        return "it was stopped after its last scan, or shortly before"
    if any(volume.multi_attach for volume in instance.volumes):
        return "another instance may write its volumes"
    return ""


def _why_other_volumes(instance: Instance, last: DiskReading) -> str:
    """Return why the volumes are not those of the last read; empty if they are."""
    if not instance.volumes or {volume.id for volume in instance.volumes} != last.volumes:
        return "it has other volumes than at its last scan"
    for volume in instance.volumes:
        # Detached and attached again, it may have been written elsewhere; on another device, it is
        # another disk to the machine.
        if volume.attached_at is None or volume.attached_at > last.data_at:
            return f"{volume.id} was attached since its last scan"
    return ""
