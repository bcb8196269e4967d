"""Second-opinion readers behind the same protocol: PyPI's `ext4` and `dissect.xfs`.

They come with the extra `sidelight[reference]` and are imported only where they are asked for.
Where they are known to give wrong answers without a word, this refuses (UnsupportedError): `ext4`
1.4.1 on what has no extents, and with inline data, meta_bg or bigalloc; `dissect.xfs` 3.13 where
directory blocks are larger than the filesystem's. Neither replays a journal: a dirty one is a
Problem.
"""

from __future__ import annotations

import io
import stat
import struct
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sidelight.errors import (
    DamagedError,
    LimitError,
    NotRecognisedError,
    SidelightError,
    UnsupportedError,
    UsageError,
)
from sidelight.filesystems.protocol import Inode, Kind
from sidelight.model import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sidelight.blocks import BlockSource
    from sidelight.filesystems.protocol import Entry, Piece

KINDS = {
    stat.S_IFREG: Kind.REGULAR,
    stat.S_IFDIR: Kind.DIRECTORY,
    stat.S_IFCHR: Kind.CHARACTER,
    stat.S_IFBLK: Kind.BLOCK,
    stat.S_IFIFO: Kind.FIFO,
    stat.S_IFSOCK: Kind.SOCKET,
    stat.S_IFLNK: Kind.SYMLINK,
}

# ext4's superblock (offset 1024): s_feature_incompat at 96, s_feature_ro_compat at 100.
EXT_FEATURES = struct.Struct("<II")
EXT_EXTENTS = 0x40
EXT_RECOVER = 0x4
# filetype, recover, extents, 64bit, mmp, flex_bg, csum_seed, largedir.
EXT_READ = 0x2 | 0x4 | 0x40 | 0x80 | 0x100 | 0x200 | 0x2000 | 0x4000
EXT_BIGALLOC = 0x200
EXT_INODE_EXTENTS = 0x80000
# XFS's superblock: sb_dirblklog, the power of two of filesystem blocks in a directory block.
XFS_DIRBLKLOG = 192


def open_reference(source: BlockSource, kind: str) -> Reference:
    """The reference reader for what `disk.signatures` calls `kind`.

    Raises UsageError where its library is not installed, else as a Filesystem's constructor does.
    """
    if kind in {"ext2", "ext3", "ext4"}:
        return ExtReference(source, kind)
    if kind == "xfs":
        return XfsReference(source)
    if kind == "btrfs":
        from sidelight.filesystems.btrfs import BtrfsFilesystem

        return BtrfsFilesystem(source)
    if kind in {"", "blank"}:
        raise NotRecognisedError("no known filesystem", where=source.name)
    raise UnsupportedError(f"{kind} has no reference reader", where=source.name)


class Reference:
    """What both readers share: one inode at a time, as a Filesystem."""

    kind: str
    uuid: str
    label: str
    block_size: int
    root: int
    journal: str

    def __init__(self, source: BlockSource) -> None:
        self.source_name = source.name
        self.problems: list[Problem] = []
        self._stream = io.BufferedReader(_Stream(source), 1 << 16)

    def _inode(self, number: int) -> Any:
        raise NotImplementedError

    def _entries(self, inode: Any) -> Iterator[Entry]:
        raise NotImplementedError

    def _describe(self, inode: Any, number: int) -> Inode:
        raise NotImplementedError

    def _target(self, inode: Any) -> bytes:
        raise NotImplementedError

    def directories(self, numbers: Sequence[int]) -> Iterator[tuple[int, list[Entry]]]:
        """Entries, a directory at a time; what a damaged one gave before the library gave up."""
        for number in numbers:
            found: list[Entry] = []
            try:
                found.extend(
                    entry
                    for entry in self._entries(self._inode(number))
                    if entry[0] not in {b".", b".."}
                )
            except Exception as error:  # noqa: BLE001 -- a library's errors are of any type
                self.problems.append(self._problem(number, error))
            yield number, found

    def inodes(self, numbers: Sequence[int]) -> dict[int, Inode]:
        """Metadata, an inode at a time."""
        found = {}
        for number in numbers:
            try:
                found[number] = self._describe(self._inode(number), number)
            except Exception as error:  # noqa: BLE001 -- a library's errors are of any type
                self.problems.append(self._problem(number, error))
        return found

    def contents(
        self, numbers: Sequence[int], limit: int
    ) -> Iterator[tuple[int, bytes | SidelightError]]:
        """Whole files, in the order asked for."""
        for number in numbers:
            try:
                size = self._one(number).size
                if size > limit:
                    raise LimitError(
                        f"inode {number} has {size} bytes, more than {limit}",
                        where=self.source_name,
                    )
                yield number, self.read(number, 0, size)
            except SidelightError as error:
                yield number, error

    def pieces(self, wanted: Sequence[Piece]) -> Iterator[tuple[Piece, bytes | SidelightError]]:
        """Parts of files, in the order asked for."""
        for piece in wanted:
            try:
                yield piece, self.read(*piece)
            except SidelightError as error:
                yield piece, error

    def read(self, number: int, offset: int, length: int) -> bytes:
        """Bytes of a file. Raises DamagedError where the library fails."""
        size = self._one(number).size
        length = max(0, min(length, size - offset))
        try:
            data = self._content(self._inode(number), offset, length)
        except SidelightError:
            raise
        except Exception as error:
            raise self._damaged(number, error) from error
        if len(data) != length:
            raise DamagedError(
                f"inode {number}: {len(data)} of {length} bytes", where=self.source_name
            )
        return data

    def _content(self, inode: Any, offset: int, length: int) -> bytes:
        stream = inode.open()
        stream.seek(offset)
        return bytes(stream.read(length))

    def readlink(self, number: int) -> bytes:
        """A link's target. Raises DamagedError where the library fails."""
        try:
            return self._target(self._inode(number))
        except Exception as error:
            raise self._damaged(number, error) from error

    def _one(self, number: int) -> Inode:
        try:
            return self._describe(self._inode(number), number)
        except Exception as error:
            raise self._damaged(number, error) from error

    def _damaged(self, number: int, error: Exception) -> DamagedError:
        what = f"inode {number}: {type(error).__name__}: {error}"
        return DamagedError(what, where=self.source_name)

    def _problem(self, number: int, error: Exception) -> Problem:
        where = f"{self.source_name}: inode {number}"
        return Problem(where, f"{type(error).__name__}: {error}")


class ExtReference(Reference):
    """ext4 by the library `ext4`."""

    def __init__(self, source: BlockSource, kind: str) -> None:
        """Raises UsageError, UnsupportedError, DamagedError, SourceError."""
        super().__init__(source)
        try:
            import ext4
        except ImportError as error:
            raise _absent("ext4") from error
        incompatible, read_only = EXT_FEATURES.unpack(source.read_at(1024 + 96, 8))
        if not incompatible & EXT_EXTENTS or incompatible & ~EXT_READ or read_only & EXT_BIGALLOC:
            raise UnsupportedError(
                f"the reference reader is wrong about some features of this {kind} "
                f"(incompat {incompatible:#x}, ro_compat {read_only:#x})",
                where=source.name,
            )
        try:
            self._volume = ext4.Volume(self._stream)
            superblock = self._volume.superblock
            self.uuid = str(UUID(bytes=bytes(superblock.s_uuid)))
            self.label = bytes(superblock.s_volume_name).split(b"\0")[0].decode("utf-8", "replace")
            self.block_size = int(self._volume.block_size)
            has_journal = bool(int(superblock.s_feature_compat) & 4)
        except Exception as error:
            raise DamagedError(f"{type(error).__name__}: {error}", where=source.name) from error
        self.kind = kind
        self.root = 2
        self.journal = "clean" if has_journal else "none"
        if incompatible & EXT_RECOVER:
            self.journal = "unreplayed"
            self.problems.append(Problem(source.name, "the reference reader replays no journal"))

    def _inode(self, number: int) -> Any:
        inode = self._volume.inodes[number]
        fast_link = stat.S_ISLNK(int(inode.i_mode)) and int(inode.i_size) < 60
        special = KINDS.get(stat.S_IFMT(int(inode.i_mode))) not in {Kind.REGULAR, Kind.DIRECTORY}
        if not (int(inode.i_flags) & EXT_INODE_EXTENTS or fast_link or special):
            # As on a filesystem that was ext3 once: the library sees nothing there.
            raise UnsupportedError(f"inode {number} has no extents", where=self.source_name)
        return inode

    def _entries(self, inode: Any) -> Iterator[Entry]:
        for entry, kind in inode.opendir():
            yield bytes(entry.name_bytes), int(entry.inode), int(kind.value)

    def _describe(self, inode: Any, number: int) -> Inode:
        mode = int(inode.i_mode)
        return Inode(
            number,
            KINDS.get(stat.S_IFMT(mode), Kind.UNKNOWN),
            mode,
            int(inode.i_uid),
            int(inode.i_gid),
            int(inode.i_size),
            int(inode.i_links_count),
            _ext_time(inode, "mtime"),
            _ext_time(inode, "ctime"),
            _ext_time(inode, "atime"),
        )

    def _target(self, inode: Any) -> bytes:
        target = inode.readlink()
        return target if isinstance(target, bytes) else str(target).encode()


class XfsReference(Reference):
    """XFS by the library `dissect.xfs`."""

    def __init__(self, source: BlockSource) -> None:
        """Raises UsageError, UnsupportedError, DamagedError, SourceError."""
        super().__init__(source)
        try:
            from dissect.xfs.xfs import XFS
        except ImportError as error:
            raise _absent("dissect.xfs") from error
        if source.read_at(XFS_DIRBLKLOG, 1) != b"\0":
            raise UnsupportedError(
                "the reference reader loses entries of directory blocks larger than a block",
                where=source.name,
            )
        try:
            self._xfs = XFS(self._stream)
            self.uuid = str(self._xfs.uuid)
            self.label = str(self._xfs.name)
            self.block_size = int(self._xfs.block_size)
            self.root = int(self._xfs.sb.sb_rootino)
        except Exception as error:
            raise DamagedError(f"{type(error).__name__}: {error}", where=source.name) from error
        self.kind = "xfs"
        self.journal = _xfs_journal(source)
        if self.journal != "clean":
            self.problems.append(Problem(source.name, "the reference reader replays no journal"))

    def _inode(self, number: int) -> Any:
        return self._xfs.get_inode(number)

    def _entries(self, inode: Any) -> Iterator[Entry]:
        for entry in inode.iterdir():
            kind = KINDS.get(entry.filetype, Kind.UNKNOWN)
            yield entry.filename.encode("utf-8", "surrogateescape"), int(entry.inum), kind

    def _describe(self, inode: Any, number: int) -> Inode:
        raw = inode.inode
        mode = int(raw.di_mode)
        return Inode(
            number,
            KINDS.get(stat.S_IFMT(mode), Kind.UNKNOWN),
            mode,
            int(raw.di_uid),
            int(raw.di_gid),
            int(inode.size),
            int(raw.di_nlink),
            int(inode.mtime_ns),
            int(inode.ctime_ns),
            int(inode.atime_ns),
        )

    def _target(self, inode: Any) -> bytes:
        return str(inode.link).encode("utf-8", "surrogateescape")


class _Stream(io.RawIOBase):
    """A BlockSource as a seekable stream."""

    def __init__(self, source: BlockSource) -> None:
        super().__init__()
        self._source = source
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = (0, self._position, self._source.size)[whence]
        self._position = max(0, base + offset)
        return self._position

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        length = max(0, min(len(view), self._source.size - self._position))
        if length:
            view[:length] = self._source.read_at(self._position, length)
        self._position += length
        return length


def _ext_time(inode: Any, name: str) -> int:
    """Nanoseconds: 32 signed bits of seconds, then two more and the nanoseconds in `extra`."""
    seconds = int(getattr(inode, f"i_{name}"))
    seconds -= (seconds & 0x80000000) << 1
    extra = int(getattr(inode, f"i_{name}_extra", 0) or 0)
    return (seconds + ((extra & 3) << 32)) * 10**9 + (extra >> 2)


def _xfs_journal(source: BlockSource) -> str:
    """Whether the log is clean, by our own reader: the library does not look."""
    from sidelight.filesystems.xfs.reader import XfsFilesystem

    try:
        return "clean" if XfsFilesystem(source).journal == "clean" else "unreplayed"
    except SidelightError:
        return "unreplayed"


def _absent(library: str) -> UsageError:
    return UsageError(f"the reference reader needs {library}: install sidelight[reference]")
