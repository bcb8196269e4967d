"""Second-opinion readers behind the same protocol: PyPI's `ext4` and `dissect.xfs`.

They come with the extra `sidelight[reference]` and are imported only where they are asked for.
Where they are known to give wrong answers without a word, this refuses (UnsupportedError): `ext4`
1.4.1 on what has no extents, and with inline data, meta_bg or bigalloc; `dissect.xfs` 3.13 where
directory blocks are larger than the filesystem's. Neither replays a journal: a dirty one is a
Problem.

The wheels of `ext4` on PyPI are compiled by Nuitka, and such a module holds the layout of the one
patch release of Python that it was compiled for: that of 1.4.1 for CPython 3.13 crashes Debian 13's
3.13.5 at its first garbage collection (Nuitka's issue 3776). No version number shows which release
that was, so a child process tries it first.
"""

from __future__ import annotations

import functools
import importlib.util
import platform
import stat
import struct
import subprocess
import sys
from importlib.machinery import SourceFileLoader
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sidelight.errors import (
    DamagedError,
    SidelightError,
    UnsupportedError,
    UsageError,
)
from sidelight.filesystems.foreign.base import Reference
from sidelight.filesystems.protocol import KINDS, Inode, InodeKind
from sidelight.model import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sidelight.blocks import BlockSource
    from sidelight.filesystems.protocol import Entry


# ext4's superblock (offset 1024): s_feature_incompat at 96, s_feature_ro_compat at 100.
EXT_FEATURES = struct.Struct("<II")
EXT_EXTENTS = 0x40
EXT_RECOVER = 0x4
# filetype, recover, extents, 64bit, mmp, flex_bg, csum_seed, largedir.
EXT_READ = 0x2 | 0x4 | 0x40 | 0x80 | 0x100 | 0x200 | 0x2000 | 0x4000
EXT_BIGALLOC = 0x200
EXT_INODE_EXTENTS = 0x80000
# What loads `ext4` as far as a compiled one can crash.
EXT_TRIAL = "import gc, ext4; gc.collect()"
EXT_TRIAL_SECONDS = 60.0
# XFS's superblock: sb_dirblklog, the power of two of filesystem blocks in a directory block.
XFS_DIRBLKLOG = 192


class ExtReference(Reference):
    """ext4 by the library `ext4`."""

    def __init__(self, source: BlockSource, kind: str) -> None:
        """Raises UsageError, UnsupportedError, DamagedError, SourceError."""
        super().__init__(source)
        if why := why_not_ext4():
            raise UnsupportedError(why, where=source.name)
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
        except MemoryError:
            raise
        except Exception as error:
            raise DamagedError(f"{type(error).__name__}: {error}", where=source.name) from error
        self.kind = kind
        self.root = 2
        self.journal = "clean" if has_journal else "none"
        if incompatible & EXT_RECOVER:
            self.journal = "unreplayed"
            self.problems.append(Problem(source.name, "the reference reader replays no journal"))

    def _inode(self, number: int) -> object:
        inode = self._volume.inodes[number]
        fast_link = stat.S_ISLNK(int(inode.i_mode)) and int(inode.i_size) < 60
        special = KINDS.get(stat.S_IFMT(int(inode.i_mode))) not in {
            InodeKind.REGULAR,
            InodeKind.DIRECTORY,
        }
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
            KINDS.get(stat.S_IFMT(mode), InodeKind.UNKNOWN),
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
        except MemoryError:
            raise
        except Exception as error:
            raise DamagedError(f"{type(error).__name__}: {error}", where=source.name) from error
        self.kind = "xfs"
        self.journal = _xfs_journal(source)
        if self.journal != "clean":
            self.problems.append(Problem(source.name, "the reference reader replays no journal"))

    def _inode(self, number: int) -> object:
        return self._xfs.get_inode(number)

    def _entries(self, inode: Any) -> Iterator[Entry]:
        for entry in inode.iterdir():
            kind = KINDS.get(entry.filetype, InodeKind.UNKNOWN)
            yield entry.filename.encode("utf-8", "surrogateescape"), int(entry.inum), kind

    def _describe(self, inode: Any, number: int) -> Inode:
        raw = inode.inode
        mode = int(raw.di_mode)
        return Inode(
            number,
            KINDS.get(stat.S_IFMT(mode), InodeKind.UNKNOWN),
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


@functools.cache
def why_not_ext4() -> str:
    """Why `ext4` must not be loaded into this process; empty where it may be, or is absent."""
    spec = importlib.util.find_spec("ext4")
    if spec is None or isinstance(spec.loader, SourceFileLoader):
        return ""
    # -P: never a module of the working directory.
    command = [sys.executable, "-P", "-c", EXT_TRIAL]
    try:
        done = subprocess.run(command, check=False, capture_output=True, timeout=EXT_TRIAL_SECONDS)
    except (OSError, subprocess.SubprocessError) as error:
        return f"the library ext4 could not be tried in a child process: {error}"
    if done.returncode >= 0:
        return ""  # what else is wrong with it, an import says
    return (
        f"the library ext4 crashes this Python ({platform.python_version()}, signal "
        f"{-done.returncode}): it was compiled for another release. Use --reader own, or build it "
        "for this one: pip install --force-reinstall --no-binary ext4 ext4"
    )


def _ext_time(inode: object, name: str) -> int:
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
    return UsageError(f"the reference reader needs {library}")
