"""From bytes to a Filesystem: the readers, tried by what the first bytes say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sidelight.disk.signatures import identify
from sidelight.errors import NotRecognisedError, UnsupportedError, UsageError
from sidelight.filesystems.ext.reader import ExtFilesystem
from sidelight.filesystems.xfs.reader import XfsFilesystem

if TYPE_CHECKING:
    from collections.abc import Callable

    from sidelight.blocks import BlockSource
    from sidelight.filesystems.protocol import Filesystem


# (kinds as disk.signatures names them, reader)
READERS: tuple[tuple[frozenset[str], Callable[[BlockSource], Filesystem]], ...] = (
    (frozenset({"ext2", "ext3", "ext4"}), ExtFilesystem),
    (frozenset({"xfs"}), XfsFilesystem),
)


def open_filesystem(source: BlockSource, reader: str = "own") -> Filesystem:
    """The filesystem on `source`, read by Sidelight's `own` readers or by the `reference` ones.

    Raises NotRecognisedError where nothing known is there, UnsupportedError where something is
    that cannot be read, DamagedError where it cannot be read for damage, SourceError where the
    bytes cannot be had, and UsageError for an unknown reader, or one that is not installed.
    """
    kind = identify(source).kind
    if reader == "reference":
        return _open_reference(source, kind)
    if reader != "own":
        raise UsageError(f"no reader is called {reader!r}; there are own and reference")
    for kinds, constructor in READERS:
        if kind in kinds:
            return constructor(source)
    if kind == "btrfs":
        return _open_btrfs(source)
    if kind in {"", "blank"}:
        raise NotRecognisedError("no known filesystem", where=source.name)
    raise UnsupportedError(f"{kind} is not a filesystem that can be read", where=source.name)


def _open_reference(source: BlockSource, kind: str) -> Filesystem:
    """The reference reader for what `disk.signatures` calls `kind`."""
    if kind == "btrfs":
        return _open_btrfs(source)
    if kind in {"", "blank"}:
        raise NotRecognisedError("no known filesystem", where=source.name)
    # Optional: only these modules know the libraries.
    from sidelight.filesystems.foreign.reference import ExtReference, XfsReference

    if kind in {"ext2", "ext3", "ext4"}:
        return ExtReference(source, kind)
    if kind == "xfs":
        return XfsReference(source)
    raise UnsupportedError(f"{kind} has no reference reader", where=source.name)


def _open_btrfs(source: BlockSource) -> Filesystem:
    from sidelight.filesystems.foreign.btrfs import BtrfsFilesystem

    return BtrfsFilesystem(source)
