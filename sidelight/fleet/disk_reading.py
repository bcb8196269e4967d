"""What reads a machine's disks: a caged process, or this one where the settings say so.

One place decides, for the stages of a fleet, for a scan of one instance and for disk images. The
cage is on by default. What a kernel lacks is logged once: by a worker at its start, by other
processes at their first machine. `sidelight doctor` reports it.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from sidelight import __version__
from sidelight.cage import CagedReading, can_seal, missing_protections, report_missing
from sidelight.errors import UsageError
from sidelight.fleet.settings.validation import validate_cage
from sidelight.model import ReadingOptions

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sidelight.blocks import BlockSource
    from sidelight.disk import Attachment
    from sidelight.fleet.settings import Settings
    from sidelight.model import Inventory

    Inspect = Callable[[Sequence[BlockSource], tuple[Attachment, ...]], Inventory]

_BLOCK = 512 << 10  # bytes of a snapshot's block


def check_cage(settings: Settings) -> None:
    """Raise UsageError where the cage is required, and off, or lacks a part on this machine."""
    validate_cage(settings)
    if settings.reading.cage_required and (missing := missing_protections()):
        reasons = "; ".join(f"{name}: {reason}" for name, reason in missing.items())
        raise UsageError(
            f"nothing is scanned without a sealed reader, and this machine has none: {reasons}",
            where="SIDELIGHT_CAGE_REQUIRED",
        )


def reader_of(settings: Settings) -> str:
    """Return what reads disks, and how: another version or option may find more on them."""
    options = repr((settings.reading.containers, settings.reading.skipped_globs)).encode()
    return f"{__version__} {hashlib.sha256(options).hexdigest()[:16]}"


def report_cage(settings: Settings) -> None:
    """Log what readers lack on this machine, once in this process and its forks."""
    if not settings.reading.cage:
        report_missing(["a cage: SIDELIGHT_CAGE is off, and disks are parsed beside credentials"])
    else:
        report_missing(f"{name}: {reason}" for name, reason in missing_protections().items())


def caged_reading(settings: Settings) -> CagedReading | None:
    """Return the reading in a caged process; None where disks are parsed in this one.

    Raises UsageError as `check_cage`.
    """
    check_cage(settings)
    if not settings.reading.cage or not can_seal():
        return None
    reading = settings.reading
    return CagedReading(
        options=ReadingOptions(
            include_containers=reading.containers, skip_dirs=reading.skipped_globs
        ),
        seconds=settings.workers.stage_seconds,
        reserved=(reading.cache_mib << 20) + reading.in_flight * _BLOCK,
        is_required=reading.cage_required,
    )


def inspecting(settings: Settings) -> Inspect:
    """Return what reads the disks of a machine. Raises as `caged_reading`.

    The function raises CageError where a caged reader was stopped or failed.
    """
    caged = caged_reading(settings)
    return in_this_process(settings) if caged is None else caged.inspect


def in_this_process(settings: Settings, reader: str = "own") -> Inspect:
    """Return what reads disks beside this process's credentials, by the `own` or another reader."""
    # Imported here: a worker with a cage does not need the parsers.
    from sidelight import scan
    from sidelight.inventory.collect import CollectOptions

    collecting = CollectOptions(
        include_containers=settings.reading.containers, skip_dirs=settings.reading.skipped_globs
    )

    def inspect(sources: Sequence[BlockSource], attachments: tuple[Attachment, ...]) -> Inventory:
        if settings.reading.cage:
            report_cage(settings)
        return scan.inspect(sources, scan.ScanOptions(reader, attachments, collecting))

    return inspect
