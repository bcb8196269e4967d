"""btrfs by the library `dissect.btrfs`, where the extra `sidelight[reference]` is installed.

On one device, its subvolumes and compressed files (zlib, LZO, zstd) included. Nodes are checked
against their checksums (CRC32C, SHA-256, BLAKE2b; xxhash is not looked at), data are not. Refused
(UnsupportedError): several devices. Not replayed: the log of what was synchronised since the last
commit; one that is there is a Problem.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from sidelight.errors import DamagedError, FormatError, SourceError, UnsupportedError
from sidelight.filesystems.crc32c import crc32c
from sidelight.filesystems.foreign.base import Reference
from sidelight.filesystems.protocol import KINDS, Inode, InodeKind, Subvolume
from sidelight.model import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sidelight.blocks import BlockSource
    from sidelight.filesystems.protocol import Entry

TOP_LEVEL = 5  # the id of the subvolume that every filesystem has
FIRST_INODE = 256  # and the root directory of each
# A subvolume of which only a snapshot of its parent's entry is left shows as an empty directory.
EMPTY_INODE = 2
SUBVOLUME_SHIFT = 48
MOST_SUBVOLUMES = 10_000
READ_ONLY = 1  # flag of a root item
CHECKSUM_SIZE = 32  # bytes at the start of a node
CHECKSUMS = {
    0: lambda data: (crc32c(data) ^ 0xFFFFFFFF).to_bytes(4, "little"),
    2: lambda data: hashlib.sha256(data).digest(),
    3: lambda data: hashlib.blake2b(data, digest_size=32).digest(),
}


def handle(subvolume: int, inode: int) -> int:
    """The number that stands for an inode of a subvolume; the top level's are as they are."""
    if not 0 <= inode < 1 << SUBVOLUME_SHIFT:
        raise DamagedError(f"an inode number of {inode}")
    return inode if subvolume == TOP_LEVEL else subvolume << SUBVOLUME_SHIFT | inode


def parts(number: int) -> tuple[int, int]:
    """The subvolume and the inode of a handle."""
    subvolume, inode = divmod(number, 1 << SUBVOLUME_SHIFT)
    return subvolume or TOP_LEVEL, inode


class BtrfsFilesystem(Reference):
    """One btrfs; its root is that of the default subvolume."""

    kind = "btrfs"

    def __init__(self, source: BlockSource) -> None:
        """Raises UnsupportedError (without the library too), DamagedError, SourceError."""
        super().__init__(source)
        try:
            from dissect.btrfs.btrfs import Btrfs
            from dissect.btrfs.c_btrfs import c_btrfs
        except ImportError as error:
            what = "unsupported: btrfs, unless sidelight[reference] is installed"
            raise UnsupportedError(what, where=source.name) from error
        self._format = c_btrfs
        try:
            self._stream.seek(c_btrfs.BTRFS_SUPER_INFO_OFFSET)
            superblock = c_btrfs.btrfs_super_block(self._stream)
            self._refuse(int(superblock.num_devices))
            self._csum_type, self._node_size = int(superblock.csum_type), int(superblock.nodesize)
            self._checksum = CHECKSUMS.get(self._csum_type)
            self._btrfs = Btrfs.__new__(Btrfs)
            self._unchecked = self._btrfs._read_node  # noqa: SLF001 -- where all nodes come from
            self._btrfs._read_node = self._node  # noqa: SLF001 -- and are checked
            self._btrfs.__init__(self._stream)
            self._top = self._btrfs.open_subvolume(TOP_LEVEL)
            default = int(self._btrfs.default_subvolume.objectid)
        except (FormatError, SourceError, MemoryError):
            raise
        except Exception as error:
            raise DamagedError(f"{type(error).__name__}: {error}", where=source.name) from error
        self.uuid = str(self._btrfs.uuid)
        self.label = str(self._btrfs.label)
        self.block_size = int(superblock.sectorsize)
        self.root = handle(default, FIRST_INODE)
        self.journal = "unreplayed" if superblock.log_root else "clean"
        if superblock.log_root:
            what = "the log of what was synchronised last is not replayed"
            self.problems.append(Problem(source.name, what))
        if self._checksum is None:
            what = f"checksums of type {self._csum_type} are not verified"
            self.problems.append(Problem(source.name, what))
        self.subvolumes = self._subvolumes()

    def _refuse(self, devices: int) -> None:
        if devices != 1:
            what = f"unsupported: btrfs on {devices} devices"
            raise UnsupportedError(what, where=self.source_name)

    def _node(self, address: int) -> bytes:
        """A node, if it is what its checksum says."""
        node = bytes(self._unchecked(address))
        if len(node) != self._node_size:
            raise DamagedError(f"node {address} is cut", where=self.source_name)
        if self._checksum is not None:
            found = self._checksum(node[CHECKSUM_SIZE:])
            if node[: len(found)] != found:
                raise DamagedError(f"node {address}: wrong checksum", where=self.source_name)
        return node

    def _subvolumes(self) -> list[Subvolume]:
        """All that there are, the top level first; what was found before damage."""
        found: list[Subvolume] = []
        try:
            for one in self._btrfs.subvolumes():
                if len(found) == MOST_SUBVOLUMES:
                    what = f"more than {MOST_SUBVOLUMES} subvolumes"
                    self.problems.append(Problem(self.source_name, what))
                    break
                number = int(one.objectid)
                path = str(one.path).encode("utf-8", "surrogateescape")
                item = one.tree.root_item
                read_only = bool(int(item.flags) & READ_ONLY)
                snapshot = any(bytes(item.parent_uuid))
                root = handle(number, FIRST_INODE)
                found.append(Subvolume(number, path, root, read_only, snapshot))
        except MemoryError:
            raise
        except Exception as error:  # noqa: BLE001 -- a library's errors are of any type
            what = f"subvolumes: {type(error).__name__}: {error}"
            self.problems.append(Problem(self.source_name, what))
        return found

    def _inode(self, number: int) -> object:
        subvolume, inode = parts(number)
        return self._btrfs.open_subvolume(subvolume).inode(inode)

    def _entries(self, inode: Any) -> Iterator[Entry]:
        if inode.inum == EMPTY_INODE:
            return
        parent = int(inode.subvolume.objectid)
        cursor = inode.subvolume.tree.cursor()
        kind = self._format.BTRFS_DIR_INDEX_KEY
        for _, data in cursor.iter(inode.inum, kind, 2, ignore_offset=True):
            item = self._format.btrfs_dir_item(data)
            name, child = bytes(item.name), int(item.location.objectid)
            if item.location.type != self._format.BTRFS_ROOT_ITEM_KEY:
                yield name, handle(parent, child), int(item.type)
            elif self._lies_in(child, parent):
                yield name, handle(child, FIRST_INODE), InodeKind.DIRECTORY
            else:
                yield name, handle(parent, EMPTY_INODE), InodeKind.DIRECTORY

    def _lies_in(self, subvolume: int, parent: int) -> bool:
        """Whether a subvolume's own parent is this one, and not one that this is a snapshot of."""
        tree = self._btrfs._root_tree  # noqa: SLF001 -- the library has no other way to it
        try:
            tree.find(parent, self._format.BTRFS_ROOT_REF_KEY, subvolume)
        except KeyError:
            return False
        return True

    def _describe(self, inode: Any, number: int) -> Inode:
        if inode.inum == EMPTY_INODE:
            return Inode(number, InodeKind.DIRECTORY, 0o40755, 0, 0, 0, 1, 0, 0, 0)
        raw = inode.inode
        mode = int(raw.mode)
        return Inode(
            number,
            KINDS.get(mode & 0o170000, InodeKind.UNKNOWN),
            mode,
            int(raw.uid),
            int(raw.gid),
            int(raw.size),
            int(raw.nlink),
            _signed(inode.mtime_ns),
            _signed(inode.ctime_ns),
            _signed(inode.atime_ns),
            _signed(inode.otime_ns),
        )

    def _content(self, inode: Any, offset: int, length: int) -> bytes:
        """As the library gives it; what an inline extent is short of reads as zeros."""
        stream = inode.open()
        stream.seek(offset)
        data = bytes(stream.read(length))
        if len(data) < length and inode.size <= self.block_size and not hasattr(stream, "extents"):
            data = data.ljust(length, b"\0")
        return data

    def _target(self, inode: Any) -> bytes:
        return self._content(inode, 0, int(inode.size))


def _signed(nanoseconds: int) -> int:
    """The library takes seconds for unsigned."""
    return nanoseconds - ((1 << 64) * 10**9 if nanoseconds >= (1 << 63) * 10**9 else 0)
