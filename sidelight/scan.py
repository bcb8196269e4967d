"""Pure composition: sources -> disks -> filesystems -> inventory."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sidelight.disk import volumes
from sidelight.filesystems.mounts import MachineTree, assemble, open_regions
from sidelight.inventory import collect
from sidelight.model import Inventory, Problem, Status

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sidelight.blocks import BlockSource
    from sidelight.disk import Attachment


@dataclass(frozen=True, slots=True)
class Options:
    """How to read. `reader` is `own` or `reference`; `attachments` are the disks'."""

    reader: str = "own"
    attachments: tuple[Attachment, ...] = ()
    collecting: collect.Options = field(default_factory=collect.Options)


DEFAULT = Options()


def open_machine(
    sources: Sequence[BlockSource], options: Options = DEFAULT
) -> tuple[MachineTree, list[Problem]]:
    """One machine's tree from all of its disks, and what could not be read on the way.

    Raises UsageError for an unknown reader; what is on the disks is never an error, but a Problem.
    """
    problems: list[Problem] = []
    regions = volumes(sources, problems, options.attachments)
    opened = open_regions(regions, problems, options.reader)
    tree = assemble(regions, opened)
    if not opened and not problems:
        # Nothing at all was recognised: that is no clean machine.
        problems += [Problem(source.name, "no filesystem was found") for source in sources]
    return tree, problems


def inspect(sources: Sequence[BlockSource], options: Options = DEFAULT) -> Inventory:
    """Read one machine: its disks' filesystems, assembled, and the software on them.

    The status is COMPLETE without a Problem, FAILED where no filesystem could be read or nothing
    on them tells of an operating system or a package, and PARTIAL else.
    """
    tree, problems = open_machine(sources, options)
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
    )
