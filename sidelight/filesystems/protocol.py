"""What every filesystem reader offers, shaped for reading many things at once."""

from __future__ import annotations

import stat
from enum import IntEnum
from typing import TYPE_CHECKING, NamedTuple, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sidelight.errors import SidelightError
    from sidelight.model import Problem


class InodeKind(IntEnum):
    """The type of an inode, by the numbers that ext and XFS write in directory entries."""

    UNKNOWN = 0
    REGULAR = 1
    DIRECTORY = 2
    CHARACTER = 3
    BLOCK = 4
    FIFO = 5
    SOCKET = 6
    SYMLINK = 7


# By the mode's file type: `stat.S_IFMT(mode)`.
KINDS = {
    stat.S_IFIFO: InodeKind.FIFO,
    stat.S_IFCHR: InodeKind.CHARACTER,
    stat.S_IFDIR: InodeKind.DIRECTORY,
    stat.S_IFBLK: InodeKind.BLOCK,
    stat.S_IFREG: InodeKind.REGULAR,
    stat.S_IFLNK: InodeKind.SYMLINK,
    stat.S_IFSOCK: InodeKind.SOCKET,
}

# (name, inode number, kind): a plain tuple, since a walk makes one for each path of a machine.
# The name is bytes as on disk: it need not be UTF-8.
Entry = tuple[bytes, int, int]

# Entries of one directory that are kept, some 150 bytes each; the rest of it is not read.
MOST_ENTRIES = 2_000_000
# Entries of a directory that are held at once: one that has more comes in several parts.
MOST_AT_ONCE = 100_000
TOO_MANY = f"a directory of more than {MOST_ENTRIES} entries: the rest is not read"

# (inode number, offset, length): a part of a regular file.
Piece = tuple[int, int, int]


class Inode(NamedTuple):
    """One inode's metadata. Times in nanoseconds since the epoch, UTC; `size` in bytes.

    A tuple, as a listing of a machine with all its metadata makes one for each path.
    """

    number: int
    kind: InodeKind
    mode: int  # permission bits and file type, as in st_mode
    uid: int
    gid: int
    size: int
    links: int
    mtime_ns: int
    ctime_ns: int
    atime_ns: int
    crtime_ns: int | None = None


class Filesystem(Protocol):
    """A read-only filesystem on a BlockSource. Inode numbers are the handles; nothing has state.

    Damage is data: each method gives what is readable and appends a Problem (with coordinates) to
    `problems` for what is not. The constructor raises NotRecognisedError where this is no such
    filesystem, UnsupportedError or DamagedError where nothing at all can be read.
    A single-object method (`stat` of one, `read`, `readlink`) raises FormatError or SourceError,
    since its caller asked for just that.
    """

    kind: str  # "ext2", "ext3", "ext4", "xfs", …
    source_name: str
    uuid: str  # as in fstab: lower case with dashes
    label: str
    block_size: int  # bytes
    root: int  # the root directory's inode number
    journal: str  # "none", "clean", "replayed" or "unreplayed"
    problems: list[Problem]

    def directories(self, numbers: Sequence[int]) -> Iterator[tuple[int, list[Entry]]]:
        """Entries of many directories, without "." and "..".

        The inodes are prefetched together, then all their blocks; directories come in physical
        order, not in the order asked for. Every number yields once; a damaged directory yields the
        entries that could be read. One of more than MOST_AT_ONCE entries may yield several times,
        with other entries each time, and other directories in between. The kind of an entry may be
        UNKNOWN only where the filesystem stores none and the inode cannot be read.
        """

    def inodes(self, numbers: Sequence[int]) -> dict[int, Inode]:
        """Metadata of many inodes, prefetched together. A damaged one is absent, with a Problem."""

    def contents(
        self, numbers: Sequence[int], limit: int
    ) -> Iterator[tuple[int, bytes | SidelightError]]:
        """Whole contents of regular files, in physical order.

        A file larger than `limit` bytes yields LimitError; one that cannot be read, its error.
        """

    def pieces(self, wanted: Sequence[Piece]) -> Iterator[tuple[Piece, bytes | SidelightError]]:
        """Parts of regular files, in physical order, prefetched many together.

        Each is short where its file ends, as pread; one that cannot be read yields its error.
        """

    def read(self, number: int, offset: int, length: int) -> bytes:
        """Bytes of one regular file; short at its end, as pread."""

    def readlink(self, number: int) -> bytes:
        """A symbolic link's target."""


# The least program that is looked for: Go's are ten times larger, and so are Rust's with a list of
# their crates.
PROGRAM_BYTES = 32 << 10


@runtime_checkable
class FindsPrograms(Protocol):
    """A Filesystem that finds programs among its files without reading their inodes again."""

    def may_be_programs(self, numbers: Sequence[int]) -> list[int]:
        """Those of these inodes that may be regular files which the kernel would run.

        With an execute bit and PROGRAM_BYTES or more; in doubt, an inode is among them.
        """


@runtime_checkable
class ReadsAhead(Protocol):
    """A Filesystem that can fetch what a walk of all of it needs at once, not level by level."""

    def read_ahead(self) -> None:
        """Say that the whole tree will be walked now. Changes nothing but the time that takes.

        Where blocks come by calls over a network, it waits for a few rounds of many calls. What is
        wrong with what it reads is left for the walk to say. The second time it does nothing.
        """

    def read_inodes_ahead(self, most: int) -> bool:
        """Fetch the inodes in use, where all of them take `most` bytes or less; whether they do.

        Only where blocks come by calls; elsewhere it does nothing, and says no.
        """

    def prefetch(self, wanted: Sequence[Piece]) -> None:
        """Begin to fetch these parts of files, which will be read soon, and wait for none of them.

        Where blocks come by calls; of very much only the first in physical order.
        """


class Subvolume(NamedTuple):
    """One tree of several within a filesystem. `path` has no slashes at its ends.

    `snapshot`: it began as a copy of another.
    """

    id: int
    path: bytes
    root: int  # its root directory's inode number
    read_only: bool
    snapshot: bool = False


@runtime_checkable
class HasSubvolumes(Protocol):
    """A Filesystem of several trees. Its `root` is what a mount without options shows."""

    root: int
    subvolumes: list[Subvolume]
    source_name: str
    problems: list[Problem]

    def directories(self, numbers: Sequence[int]) -> Iterator[tuple[int, list[Entry]]]:
        """As a Filesystem's."""
