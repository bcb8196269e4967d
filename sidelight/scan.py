"""Pure composition: sources -> disks -> filesystems -> inventory."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sidelight.disk import volumes
from sidelight.filesystems.machine.mount_table import MachineTree, assemble, open_slices
from sidelight.inventory import collect
from sidelight.inventory.early_reads import read_ahead_early
from sidelight.model import Inventory, Problem, Status

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sidelight.blocks import BlockSource
    from sidelight.disk import Attachment, VolumeSlice
    from sidelight.model import ConfiguredListener


@dataclass(frozen=True, slots=True)
class ScanOptions:
    """How to read. `reader` is `own` or `reference`; `attachments` are the disks'."""

    reader: str = "own"
    attachments: tuple[Attachment, ...] = ()
    collecting: collect.CollectOptions = field(default_factory=collect.CollectOptions)


DEFAULT = ScanOptions()


def open_machine(
    sources: Sequence[BlockSource], options: ScanOptions = DEFAULT, *, walks_all: bool = False
) -> tuple[MachineTree, list[Problem]]:
    """One machine's tree from all of its disks, and what could not be read on the way.

    With `walks_all` what a walk of all of it needs is fetched first, in few rounds of calls.
    Raises UsageError for an unknown reader; what is on the disks is never an error, but a Problem.
    """
    problems: list[Problem] = []
    slices = volumes(sources, problems, options.attachments)
    opened = open_slices(slices, problems, options.reader)
    # Directories that are left out are not paid for.
    if walks_all and not options.collecting.skip_dirs:
        read_ahead_early(
            (fs for _, fs in opened), include_containers=options.collecting.include_containers
        )
    tree = assemble(slices, opened)
    if not opened and not problems:
        # Nothing at all was recognised: that is not a clean machine.
        problems += [_without_filesystem(source.name, slices) for source in sources]
    return tree, problems


def _without_filesystem(name: str, slices: Sequence[VolumeSlice]) -> Problem:
    """What a disk has where none of its slices can hold software."""
    held = {item.kind for item in slices if item.name == name or item.name.startswith(f"{name}/")}
    kinds = ", ".join(sorted(held - {"", "blank"}))
    what = f"no filesystem was found, only {kinds}" if kinds else "no filesystem was found"
    return Problem(name, what)


def _by_port(listener: ConfiguredListener) -> tuple[str, int, str, int]:
    return listener.service, listener.port, listener.path, listener.line


def inspect(sources: Sequence[BlockSource], options: ScanOptions = DEFAULT) -> Inventory:
    """Read one machine: its disks' filesystems, assembled, and the software on them.

    The status is COMPLETE without a Problem, FAILED where no filesystem could be read or nothing
    on them is evidence of an operating system or a package, and PARTIAL else.
    """
    tree, problems = open_machine(sources, options, walks_all=True)
    collected = collect.collect(tree, options.collecting)
    found = tuple(dict.fromkeys([*problems, *collected.problems, *tree.problems]))
    filesystems = tuple(tree.filesystems)
    if not filesystems or (found and not collected.packages and not collected.os.id):
        status = Status.FAILED
    else:
        status = Status.PARTIAL if found else Status.COMPLETE
    return Inventory(
        status=status,
        os=collected.os,
        packages=tuple(collected.packages),
        problems=found,
        filesystems=filesystems,
        left_out=(*tree.left_out, *collected.left_out),
        listeners=tuple(sorted(collected.listeners, key=_by_port)),
        skipped=tuple(collected.skipped),
        dependencies=tuple(collected.dependencies),
    )
