"""The ext2, ext3 and ext4 reader: the Filesystem protocol over the parts beside this module."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

from sidelight.blocks import read_in_physical_order
from sidelight.blocks.read_order import assemble, prefetch_in_physical_order, within
from sidelight.errors import (
    DamagedError,
    FormatError,
    IsADirectoryInTreeError,
    LimitError,
    SidelightError,
    SourceError,
    UnsupportedError,
)
from sidelight.filesystems.ext import layout
from sidelight.filesystems.ext.directories import Directories
from sidelight.filesystems.ext.fastcommit import FastReplay
from sidelight.filesystems.ext.inline import inline_contents, inline_range
from sidelight.filesystems.ext.inodes import InodeRecord, Inodes
from sidelight.filesystems.ext.journal import open_journal
from sidelight.filesystems.ext.mapping import Mapper
from sidelight.filesystems.ext.read_ahead import read_ahead, read_inodes_ahead
from sidelight.filesystems.ext.superblock import find_superblock, uuid_text
from sidelight.filesystems.ext.volume import ExtVolume
from sidelight.filesystems.letter_case import fold_unicode
from sidelight.filesystems.protocol import InodeKind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from sidelight.blocks import BlockSource, Extent
    from sidelight.filesystems.ext.mapping import BlockMapping, Run
    from sidelight.filesystems.protocol import Entry, Inode, Piece
    from sidelight.model import Problem

LONGEST_LINK = 4096
NODES_KEPT = 64


class ExtFilesystem:
    """A read-only ext2, ext3 or ext4, with its journal replayed in memory."""

    root = layout.ROOT_INODE

    def __init__(self, source: BlockSource) -> None:
        """Open the filesystem that begins at byte 0 of `source`.

        Raises NotRecognisedError where there is none, UnsupportedError for features that cannot be
        read, DamagedError or SourceError where nothing can be read.
        """
        self.problems: list[Problem] = []
        self.source_name = source.name
        volume = self._volume(source)
        outcome = open_journal(volume)
        self.journal = outcome.state
        if outcome.source is not source:
            # The journal may hold the superblock and the group descriptors too.
            volume = self._volume(outcome.source)
        self._open(volume)
        if outcome.tags:
            try:
                FastReplay(self._inodes, self._mapper, self._directories).apply(outcome.tags)
            except (DamagedError, SourceError) as error:
                self.journal = "unreplayed"
                volume.report(error.what, "journal")

    def _volume(self, source: BlockSource) -> ExtVolume:
        superblock, fault = find_superblock(source, source.name)
        volume = ExtVolume(source, superblock, f"{source.name}/{superblock.kind}", self.problems)
        if fault and not any(problem.what == fault for problem in self.problems):
            volume.report(fault, "superblock")
        return volume

    def _open(self, volume: ExtVolume) -> None:
        superblock = volume.superblock
        self.kind = superblock.kind
        self.uuid = uuid_text(superblock.uuid)
        self.label = superblock.label
        self.block_size = superblock.block_size
        ends = superblock.blocks * superblock.block_size
        if ends > volume.source.size:
            volume.report(f"truncated: {volume.source.size} of {ends} bytes are there")
        self._where = volume.where
        self._source = volume.source
        self._volume_of = volume
        self._inodes = Inodes(volume)
        self._mapper = Mapper(volume)
        self._directories = Directories(volume, self._inodes, self._mapper)
        # Archives and programs are read in many small pieces: their inodes are kept for the next.
        self._kept: OrderedDict[int, InodeRecord] = OrderedDict()

    def read_ahead(self) -> None:
        """See ReadsAhead."""
        read_ahead(self._volume_of)

    def read_inodes_ahead(self, most: int) -> bool:
        """See ReadsAhead."""
        return read_inodes_ahead(self._volume_of, most)

    def directories(self, numbers: Sequence[int]) -> Iterator[tuple[int, list[Entry]]]:
        """See Filesystem.directories."""
        return self._directories.read(numbers)

    def folding(self, number: int) -> Callable[[bytes], bytes] | None:
        """See IgnoresCase."""
        return fold_unicode if number in self._directories.folded else None

    def may_be_programs(self, numbers: Sequence[int]) -> list[int]:
        """See FindsPrograms."""
        return self._inodes.may_be_programs(numbers)

    def inodes(self, numbers: Sequence[int]) -> dict[int, Inode]:
        """See Filesystem.inodes."""
        return self._inodes.inodes(numbers)

    def contents(
        self, numbers: Sequence[int], limit: int
    ) -> Iterator[tuple[int, bytes | SidelightError]]:
        """See Filesystem.contents."""
        wanted = list(dict.fromkeys(numbers))
        nodes = self._inodes.nodes(wanted)
        mapped: list[InodeRecord] = []
        for number in wanted:
            node = nodes.get(number)
            if node is None:
                yield number, DamagedError("the inode cannot be read", where=self._at(number))
                continue
            whole = self._unmapped(node, limit, (0, node.size))
            if whole is None:
                mapped.append(node)
            else:
                yield number, whole
        files = []
        for node, mapping in zip(mapped, self._mapper.map(mapped), strict=True):
            if mapping.faults:
                yield node.number, self._fault(node, mapping)
            else:
                files.append((node.number, node.size, self._extents(mapping.runs)))
        yield from read_in_physical_order(self._source, files)

    def prefetch(self, wanted: Sequence[Piece]) -> None:
        """See ReadsAhead."""
        if self._volume_of.harvest.apart:
            _, files = self._placed(wanted)
            prefetch_in_physical_order(self._source, files)

    def pieces(self, wanted: Sequence[Piece]) -> Iterator[tuple[Piece, bytes | SidelightError]]:
        """See Filesystem.pieces."""
        known, files = self._placed(wanted)
        yield from known
        yield from read_in_physical_order(self._source, files)

    def _placed(
        self, wanted: Sequence[Piece]
    ) -> tuple[
        list[tuple[Piece, bytes | SidelightError]], list[tuple[Piece, int, Sequence[Extent]]]
    ]:
        """What is known of pieces from their inodes alone; and of the others length and extents."""
        size = self.block_size
        known: list[tuple[Piece, bytes | SidelightError]] = []
        nodes = self._inodes.nodes(dict.fromkeys(number for number, _, _ in wanted))
        mapped: list[tuple[Piece, InodeRecord, tuple[int, int]]] = []
        for piece in dict.fromkeys(wanted):
            number, offset, length = piece
            node = nodes.get(number)
            if node is None:
                lost = DamagedError("the inode cannot be read", where=self._at(number))
                known.append((piece, lost))
                continue
            part = self._unmapped(node, node.size, (offset, length))
            end = min(offset + length, node.size)
            if part is not None:
                known.append((piece, part))
            elif offset < 0 or end <= offset:
                known.append((piece, b""))
            else:
                mapped.append((piece, node, (offset // size, -(-end // size))))
        maps = self._mapper.map([node for _, node, _ in mapped], [span for _, _, span in mapped])
        files: list[tuple[Piece, int, Sequence[Extent]]] = []
        for (piece, node, _), mapping in zip(mapped, maps, strict=True):
            if mapping.faults:
                known.append((piece, self._fault(node, mapping)))
            else:
                length = min(piece[2], node.size - piece[1])
                files.append((piece, length, within(self._extents(mapping.runs), *piece[1:])))
        return known, files

    def read(self, number: int, offset: int, length: int) -> bytes:
        """See Filesystem.read. Raises FormatError, PathError or SourceError."""
        node = self._node(number)
        self._refuse(node)
        length = min(length, node.size - offset)
        if offset < 0 or length <= 0:
            return b""
        if node.flags & layout.FLAG_INLINE_DATA:
            return inline_range(node, self._at(number), offset, length)
        return self._range(node, offset, length)

    def readlink(self, number: int) -> bytes:
        """See Filesystem.readlink. Raises FormatError or SourceError."""
        node = self._node(number)
        where = self._at(number)
        if node.kind is not InodeKind.SYMLINK:
            raise DamagedError("not a symbolic link", where=where)
        if node.flags & layout.FLAG_ENCRYPT:
            raise UnsupportedError("the link's target is encrypted", where=where)
        if node.flags & layout.FLAG_INLINE_DATA:
            target = inline_contents(node, where)
        elif self._is_fast(node):
            target = node.raw[layout.INODE_BLOCK :][: node.size]
        elif node.size > max(self.block_size, LONGEST_LINK):
            raise DamagedError(f"a link of {node.size} bytes", where=where)
        else:
            target = self._range(node, 0, node.size)
        # The kernel's targets end at the first NUL, whatever the size says.
        return target.split(b"\0", 1)[0]

    def _is_fast(self, node: InodeRecord) -> bool:
        """Whether the target lies in the inode itself."""
        if node.flags & layout.FLAG_EXTENTS or node.size >= layout.INODE_BLOCK_SIZE:
            return False
        superblock = self._volume_of.superblock
        if superblock.incompat & layout.INCOMPAT_EA_INODE:
            return True
        raw = node.raw
        blocks = int.from_bytes(raw[layout.INODE_BLOCKS :][:4], "little")
        # A block of extended attributes counts too.
        acl = int.from_bytes(raw[layout.INODE_FILE_ACL :][:4], "little")
        return blocks == 0 or acl != 0

    def _unmapped(
        self, node: InodeRecord, limit: int, part: tuple[int, int]
    ) -> bytes | SidelightError | None:
        """What a file gives without its blocks: an error, (offset, length) of inline data, None."""
        try:
            self._refuse(node)
            if node.size > limit:
                what = f"{node.size} bytes are more than the limit of {limit}"
                return LimitError(what, where=self._at(node.number))
            if node.flags & layout.FLAG_INLINE_DATA:
                return inline_range(node, self._at(node.number), *part)
        except SidelightError as error:
            return error
        return None

    def _refuse(self, node: InodeRecord) -> None:
        where = self._at(node.number)
        if node.kind is InodeKind.DIRECTORY:
            raise IsADirectoryInTreeError("a directory", where=where)
        if node.kind is not InodeKind.REGULAR:
            raise DamagedError("not a regular file", where=where)
        if node.flags & layout.FLAG_ENCRYPT:
            raise UnsupportedError("the file is encrypted", where=where)

    def _range(self, node: InodeRecord, offset: int, length: int) -> bytes:
        size = self.block_size
        first, last = offset // size, -(-(offset + length) // size)
        mapping = self._mapper.map([node], [(first, last)])[0]
        if mapping.faults:
            raise self._fault(node, mapping)
        begin = first * size
        extents = [(at - begin, place, count) for at, place, count in self._extents(mapping.runs)]
        if len(extents) > 1:
            self._source.prefetch([(place, count) for _, place, count in extents])
        data = assemble(self._source, (last - first) * size, extents)
        return data[offset - begin : offset - begin + length]

    def _extents(self, runs: Sequence[Run]) -> list[Extent]:
        size = self.block_size
        return [(logical * size, block * size, count * size) for logical, block, count in runs]

    def _node(self, number: int) -> InodeRecord:
        kept = self._kept.get(number)
        if kept is not None:
            return kept
        before = len(self.problems)
        node = self._inodes.nodes((number,)).get(number)
        if node is None:
            what = self.problems[-1].what if len(self.problems) > before else "unreadable"
            raise DamagedError(what, where=self._at(number))
        self._kept[number] = node
        while len(self._kept) > NODES_KEPT:
            self._kept.popitem(last=False)
        return node

    def _fault(self, node: InodeRecord, mapping: BlockMapping) -> FormatError:
        return DamagedError("; ".join(mapping.faults[:3]), where=self._at(node.number))

    def _at(self, number: int) -> str:
        return f"{self._where}: inode {number}"
