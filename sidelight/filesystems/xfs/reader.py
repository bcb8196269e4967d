"""XFS, read only: the Filesystem protocol over a BlockSource."""

from __future__ import annotations

from bisect import bisect_right
from collections import OrderedDict
from typing import TYPE_CHECKING

from sidelight.blocks import read_in_physical_order
from sidelight.blocks.read_order import prefetch_in_physical_order, within
from sidelight.errors import (
    DamagedError,
    FormatError,
    LimitError,
    SidelightError,
    SourceError,
    UnsupportedError,
)
from sidelight.filesystems.letter_case import fold_ascii
from sidelight.filesystems.protocol import Entry, Inode, InodeKind, Piece
from sidelight.filesystems.xfs import bmap, layout
from sidelight.filesystems.xfs import read_ahead as ahead
from sidelight.filesystems.xfs.directories import read_directories
from sidelight.filesystems.xfs.inodes import RawInode, may_be_programs, read_metadata, read_raw
from sidelight.filesystems.xfs.links import read_link
from sidelight.filesystems.xfs.log_head_tail import XfsLog
from sidelight.filesystems.xfs.recovery import recover
from sidelight.filesystems.xfs.superblock import read_superblock
from sidelight.filesystems.xfs.volume import XfsVolume

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from sidelight.blocks import BlockSource, Extent
    from sidelight.model import Problem

# Maps of files kept between calls of `read`.
MAPS_KEPT = 64


class XfsFilesystem:
    """An XFS filesystem of version 4 or 5, with its log replayed in memory.

    Nothing is ever written. Raises NotRecognisedError, UnsupportedError (naming the feature bits)
    or DamagedError where nothing can be read.
    """

    def __init__(self, source: BlockSource) -> None:
        self.kind = "xfs"
        self.source_name = source.name
        self.problems: list[Problem] = []
        where = f"{source.name}/xfs"
        superblock = read_superblock(source, where)
        self._volume = XfsVolume(source, superblock, where, self.problems)
        if not superblock.checksum_ok:
            self._volume.problem("superblock", "bad checksum")
        if superblock.needs_repair:
            self._volume.problem("superblock", "the filesystem is marked as needing repair")
        if source.size < superblock.blocks << superblock.block_log:
            self._volume.problem("superblock", "the source is shorter than the filesystem")
        self.journal = self._recover()
        superblock = self._volume.superblock
        self.uuid = superblock.uuid_text
        self.label = superblock.label
        self.block_size = superblock.block_size
        self.root = superblock.root
        self._maps: OrderedDict[int, tuple[int, list[Extent]]] = OrderedDict()

    def read_ahead(self) -> None:
        """See ReadsAhead."""
        ahead.read_ahead(self._volume)

    def read_inodes_ahead(self, most: int) -> bool:
        """Fetch inodes before a walk; see the protocol."""
        return ahead.read_inodes_ahead(self._volume, most)

    def directories(self, numbers: Sequence[int]) -> Iterator[tuple[int, list[Entry]]]:
        """Entries of many directories; see the protocol."""
        return read_directories(self._volume, numbers)

    def folding(self, number: int) -> Callable[[bytes], bytes] | None:  # noqa: ARG002 - all alike
        """How names are compared; see IgnoresCase."""
        return fold_ascii if self._volume.superblock.ascii_ci else None

    def may_be_programs(self, numbers: Sequence[int]) -> list[int]:
        """Inodes that may be programs; see the protocol."""
        return may_be_programs(self._volume, numbers)

    def inodes(self, numbers: Sequence[int]) -> dict[int, Inode]:
        """Metadata of many inodes; see the protocol."""
        return read_metadata(self._volume, numbers)

    def contents(
        self, numbers: Sequence[int], limit: int
    ) -> Iterator[tuple[int, bytes | SidelightError]]:
        """Whole contents of regular files; see the protocol."""
        files: list[tuple[int, int, list[Extent]]] = []
        for number, found in self._locate(numbers, limit):
            if isinstance(found, SidelightError):
                yield number, found
            else:
                files.append((number, found[0], _cut(found[1], found[0])))
        yield from read_in_physical_order(self._volume.source, files)

    def prefetch(self, wanted: Sequence[Piece]) -> None:
        """Begin to fetch parts of files; see the protocol."""
        if self._volume.harvest.apart:
            _, files = self._placed(wanted)
            prefetch_in_physical_order(self._volume.source, files)

    def pieces(self, wanted: Sequence[Piece]) -> Iterator[tuple[Piece, bytes | SidelightError]]:
        """Parts of regular files; see the protocol."""
        known, files = self._placed(wanted)
        yield from known
        yield from read_in_physical_order(self._volume.source, files)

    def _placed(
        self, wanted: Sequence[Piece]
    ) -> tuple[
        list[tuple[Piece, bytes | SidelightError]], list[tuple[Piece, int, Sequence[Extent]]]
    ]:
        """What is known of pieces from their inodes alone; and of the others length and extents."""
        known: list[tuple[Piece, bytes | SidelightError]] = []
        by_number: dict[int, list[Piece]] = {}
        for piece in dict.fromkeys(wanted):
            by_number.setdefault(piece[0], []).append(piece)
        files: list[tuple[Piece, int, Sequence[Extent]]] = []
        for number, found in self._locate(list(by_number), (1 << 63) - 1):
            for piece in by_number[number]:
                if isinstance(found, SidelightError):
                    known.append((piece, found))
                    continue
                length = min(piece[2], found[0] - piece[1])
                if piece[1] < 0 or length <= 0:
                    known.append((piece, b""))
                else:
                    files.append((piece, length, within(found[1], piece[1], length)))
        return known, files

    def _locate(
        self, numbers: Sequence[int], limit: int
    ) -> Iterator[tuple[int, tuple[int, list[Extent]] | SidelightError]]:
        """(size, extents) of regular files, or why their contents cannot be had."""
        left = dict.fromkeys(numbers)
        sizes: dict[int, int] = {}
        forks = []
        for window in read_raw(self._volume, numbers):
            for raw in window:
                del left[raw.number]
                if error := self._refusal(raw, limit):
                    yield raw.number, error
                    continue
                sizes[raw.number] = raw.size
                forks.append(bmap.Fork(raw.number, raw.format, raw.extents, raw.fork))
        for number, mapping in bmap.map_forks(self._volume, forks).items():
            if mapping.fault:
                yield number, DamagedError(mapping.fault, where=self._where(number))
            else:
                yield number, (sizes[number], mapping.extents)
        for number in left:
            yield number, self._lost(number)

    def read(self, number: int, offset: int, length: int) -> bytes:
        """Bytes of one regular file; see the protocol."""
        size, extents = self._map(number)
        end = min(offset + length, size)
        if offset < 0 or offset >= end:
            return b""
        if end - offset > 1 << 31:
            raise LimitError("more than 2 GiB in one read", where=self._where(number))
        data = bytearray(end - offset)
        first = max(0, bisect_right(extents, (offset, 1 << 63, 0)) - 1)
        for index in range(first, len(extents)):
            logical, physical, run = extents[index]
            if logical >= end:
                break
            begin, stop = max(logical, offset), min(logical + run, end)
            if begin < stop:
                data[begin - offset : stop - offset] = self._volume.source.read_at(
                    physical + begin - logical, stop - begin
                )
        return bytes(data)

    def readlink(self, number: int) -> bytes:
        """A symbolic link's target; see the protocol."""
        return read_link(self._volume, self._raw(number))

    def _recover(self) -> str:
        """Look at the log and replay it if need be; what `journal` says."""
        volume, superblock = self._volume, self._volume.superblock
        if not superblock.log_start:
            volume.problem("log", "it lies on another device: what is in it is not seen")
            return "unreplayed"
        try:
            # A walk wants the groups' headers: they come along with the log's blocks.
            volume.source.prefetch(ahead.heads(superblock))
            log = XfsLog(volume.source, superblock, volume.where)
            ends = log.find_ends()
            if ends.clean or ends.head == ends.tail:
                return "clean"
            if unknown := superblock.log_incompat & ~layout.LOG_INCOMPAT_KNOWN:
                raise UnsupportedError(f"unknown log features {unknown:#x}", where=volume.where)
            source, replaced, complete = recover(volume, log, ends)
        except (FormatError, SourceError) as error:
            volume.problem("log", f"cannot be replayed: {error}")
            return "unreplayed"
        volume.source, volume.replayed = source, replaced
        if 0 in replaced:
            try:
                volume.superblock = read_superblock(source, volume.where)
            except FormatError as error:
                volume.problem("superblock", f"after recovery: {error}")
                return "unreplayed"
        return "replayed" if complete else "unreplayed"

    def _where(self, number: int) -> str:
        return f"{self._volume.where}: inode {number}"

    def _raw(self, number: int) -> RawInode:
        """One inode. Raises DamagedError with what its Problem says."""
        for window in read_raw(self._volume, (number,)):
            for raw in window:
                return raw
        raise self._lost(number)

    def _lost(self, number: int) -> DamagedError:
        """Why an inode is not available, as its Problem says."""
        where = self._where(number)
        found = [problem.what for problem in self.problems if problem.where == where]
        return DamagedError(found[-1] if found else "cannot be read", where=where)

    def _refusal(self, raw: RawInode, limit: int) -> SidelightError | None:
        """Why a file's contents cannot be had, if so."""
        where = self._where(raw.number)
        if raw.kind is not InodeKind.REGULAR:
            return DamagedError("not a regular file", where=where)
        if raw.realtime:
            return UnsupportedError("the file lies on a realtime device", where=where)
        if raw.size > limit:
            return LimitError(f"{raw.size} bytes, more than {limit}", where=where)
        return None

    def _map(self, number: int) -> tuple[int, list[Extent]]:
        """A regular file's size and extents."""
        known = self._maps.get(number)
        if known:
            return known
        raw = self._raw(number)
        if error := self._refusal(raw, (1 << 63) - 1):
            raise error
        fork = bmap.Fork(number, raw.format, raw.extents, raw.fork)
        mapping = bmap.map_forks(self._volume, [fork])[number]
        if mapping.fault:
            raise DamagedError(mapping.fault, where=self._where(number))
        self._maps[number] = raw.size, mapping.extents
        while len(self._maps) > MAPS_KEPT:
            self._maps.popitem(last=False)
        return raw.size, mapping.extents


def _cut(extents: list[Extent], size: int) -> list[Extent]:
    """Without what lies wholly beyond the file's end (space allocated ahead)."""
    if extents and extents[-1][0] + extents[-1][2] > size:
        return [
            (logical, physical, min(length, size - logical))
            for logical, physical, length in extents
            if logical < size
        ]
    return extents
