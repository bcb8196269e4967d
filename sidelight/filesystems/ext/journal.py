"""jbd2's journal: whether there is one, and whether it was left unreplayed."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sidelight.filesystems.ext import layout

if TYPE_CHECKING:
    from sidelight.blocks.source import BlockSource
    from sidelight.filesystems.ext.volume import Volume


class Outcome(NamedTuple):
    """`state` as Filesystem.journal; `source` shows the filesystem after what was replayed."""

    state: str
    source: BlockSource


def open_journal(volume: Volume) -> Outcome:
    """Look at the journal of a filesystem."""
    superblock = volume.superblock
    if not superblock.compat & layout.COMPAT_HAS_JOURNAL:
        return Outcome("none", volume.source)
    if superblock.incompat & layout.INCOMPAT_RECOVER:
        volume.report("the journal was not replayed", "journal")
        return Outcome("unreplayed", volume.source)
    return Outcome("clean", volume.source)
