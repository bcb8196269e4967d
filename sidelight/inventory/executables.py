"""Which files may be Go or Rust programs, found without reading whole files.

By mode and size, as the kernel goes by, since a program may be called `photo.png`. A filesystem
that has seen all inodes on its walk says which may be programs; only these are read. The magic
number last, for what no OS package owns.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from sidelight.filesystems.protocol import PROGRAM_BYTES, FindsPrograms, InodeKind
from sidelight.inventory.treefile import WantedFileRef

if TYPE_CHECKING:
    from sidelight.filesystems.protocol import Entry, Filesystem
    from sidelight.inventory.treefile import TreeRoot

ELF = b"\x7fELF"
# What a zip archive that the kernel runs begins with: an interpreter's line, or the archive itself,
# for which a binary format may be registered.
ARCHIVE = (b"#!", b"PK\x03\x04")
HEAD = 64  # bytes of an ELF header
_EXECUTABLE = 0o111
# Files that wait for a look at their inodes, some 150 bytes each. Inode numbers are in the order of
# the disk, so with many the blocks of inode tables are swept once and not for each few directories.
BATCH = 100_000
AT_ONCE = 4_000  # inodes that are decoded together
_NAMES = 1024  # bytes; what the names of a program's sections hardly exceed
_MOST_SECTIONS = 256 << 10  # bytes of section headers that are fetched ahead
_MOST_OFFSET = 1 << 40


def sections_of(head: bytes) -> tuple[int, int]:
    """(offset, length) of an ELF file's section headers and of the names before them.

    These are the last thing in a program, and the first that is looked at: a program without them
    gives its first bytes. Source: the System V ABI (e_shoff, e_shentsize, e_shnum).
    """
    if len(head) < HEAD or head[4] not in {1, 2} or head[5] not in {1, 2}:
        return 0, HEAD
    order, wide = "<>"[head[5] - 1], head[4] == 2
    (offset,) = struct.unpack_from(order + ("Q" if wide else "L"), head, 40 if wide else 32)
    size, count = struct.unpack_from(order + "2H", head, 58 if wide else 46)
    if offset > _MOST_OFFSET or size * count > _MOST_SECTIONS:
        return 0, HEAD
    before = min(offset, _NAMES)
    return offset - before, before + size * count


class Sieve:
    """Gathers candidates from directory entries, and keeps those that their inodes confirm.

    `more`: how many were found beyond the most that may be kept.
    """

    def __init__(self, kept: list[WantedFileRef], most: int) -> None:
        """`kept` is filled, a batch at a time, with `most` places: call `flush` at the end."""
        self.more = 0
        self._kept = kept
        self._most = most
        self._waiting: list[tuple[TreeRoot, bytes, Filesystem, list[Entry]]] = []
        self._count = 0

    def add(self, root: TreeRoot, directory: bytes, fs: Filesystem, entries: list[Entry]) -> None:
        """The files of one directory (its path within its root)."""
        files = [entry for entry in entries if entry[2] == _REGULAR]
        for begin in range(0, len(files), BATCH):
            part = files[begin : begin + BATCH]
            self._waiting.append((root, directory, fs, part))
            self._count += len(part)
            if self._count >= BATCH:
                self.flush()

    def flush(self) -> None:
        """Look at the inodes of those that wait."""
        by_fs: dict[int, tuple[Filesystem, list[int]]] = {}
        for _, _, fs, entries in self._waiting:
            numbers = by_fs.setdefault(id(fs), (fs, []))[1]
            numbers += [entry[1] for entry in entries]
        programs = {key: _programs(fs, numbers) for key, (fs, numbers) in by_fs.items()}
        for root, directory, fs, entries in self._waiting:
            found = programs[id(fs)]
            for name, inode, _ in entries:
                if inode in found:
                    self._keep(root, directory + b"/" + name if directory else name, fs, inode)
        self._waiting.clear()
        self._count = 0

    def _keep(self, root: TreeRoot, path: bytes, fs: Filesystem, inode: int) -> None:
        if len(self._kept) < self._most:
            self._kept.append(WantedFileRef(root, path, fs, inode, None))
        else:
            self.more += 1


def _programs(fs: Filesystem, numbers: list[int]) -> set[int]:
    """Those of these inodes that the kernel would run and that are large enough."""
    numbers.sort()
    if isinstance(fs, FindsPrograms):
        numbers = fs.may_be_programs(numbers)
    return {
        number
        for begin in range(0, len(numbers), AT_ONCE)
        for number, inode in fs.inodes(numbers[begin : begin + AT_ONCE]).items()
        if inode.mode & _EXECUTABLE
        and inode.size >= PROGRAM_BYTES
        and inode.kind == InodeKind.REGULAR
    }


_REGULAR = int(InodeKind.REGULAR)
