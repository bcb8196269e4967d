"""Where files' blocks lie: extent trees and block maps of many files, a tree level at a time.

Sources: the kernel's Documentation/filesystems/ext4/ifork.rst; the checks are those of its
__ext4_ext_check and ext4_check_blockref.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from sidelight.errors import SourceError
from sidelight.filesystems.crc32c import crc32c
from sidelight.filesystems.ext import layout

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from sidelight.filesystems.ext.inodes import InodeRecord
    from sidelight.filesystems.ext.volume import ExtVolume

# (first block in the file, first block in the filesystem, count of blocks)
Run = tuple[int, int, int]

MOST_RUNS = 1 << 20  # a file in more pieces than this is hostile
ROOT = layout.INODE_BLOCK
MOST_IN_INODE = 4  # extents that an inode has room for
EVERY_BLOCK = (0, 1 << 32)  # of a file, whatever its size says
_POINTERS = layout.DIRECT_BLOCKS + 3  # of an inode's block map


@dataclass(slots=True)
class BlockMapping:
    """One file's runs in the file's order, and what was wrong with its tree.

    Unwritten extents and holes are not runs: they read as zeros.
    """

    runs: list[Run] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


class _Child(NamedTuple):
    """A tree block to read: whose, where, how far above the data, what it begins to map."""

    file: int
    block: int
    depth: int
    logical: int


class Mapper:
    """Maps many files at once: all blocks of one tree level are prefetched together."""

    def __init__(self, volume: ExtVolume) -> None:
        self._volume = volume
        # What fast commits changed: inode -> (first block in the file, on disk or None, count).
        self.changes: dict[int, list[tuple[int, int | None, int]]] = {}

    def map(
        self, nodes: Sequence[InodeRecord], spans: Sequence[tuple[int, int]] | None = None
    ) -> list[BlockMapping]:
        """The runs of each file within its size, or within blocks [first, last) of each."""
        mappings = [BlockMapping() for _ in nodes]
        size = self._volume.block_size
        if spans is None:
            spans = [(0, -(-node.size // size)) for node in nodes]
        level: list[_Child] = []
        for at, node in enumerate(nodes):
            if spans[at][0] >= spans[at][1]:
                continue
            block = node.raw[ROOT : ROOT + layout.INODE_BLOCK_SIZE]
            if node.flags & layout.FLAG_EXTENTS:
                level += self._extents(at, block, None, spans[at], mappings[at])
            else:
                level += self._root_map(at, block, spans[at], mappings[at])
        seen: set[tuple[int, int]] = set()
        while level:
            level = self._descend(level, nodes, spans, mappings, seen)
        for at, mapping in enumerate(mappings):
            for change in self.changes.get(nodes[at].number, ()):
                self._change(mapping, change, spans[at])
            _tidy(mapping)
        return mappings

    def _descend(
        self,
        level: list[_Child],
        nodes: Sequence[InodeRecord],
        spans: Sequence[tuple[int, int]],
        mappings: list[BlockMapping],
        seen: set[tuple[int, int]],
    ) -> list[_Child]:
        """Read one level of all trees; what lies below it comes back."""
        size = self._volume.block_size
        has = self._volume.harvest.has
        self._volume.source.prefetch(
            [(child.block * size, size) for child in level if not has(child.block * size)]
        )
        below: list[_Child] = []
        for child in level:
            mapping = mappings[child.file]
            node = nodes[child.file]
            if (child.file, child.block) in seen:
                mapping.faults.append(f"block {child.block} is in its tree twice")
                continue
            seen.add((child.file, child.block))
            if len(mapping.runs) > MOST_RUNS:
                continue
            try:
                raw = self._volume.tree_block(child.block)
            except SourceError as error:
                mapping.faults.append(f"block {child.block}: {error}")
                continue
            span = spans[child.file]
            if not node.flags & layout.FLAG_EXTENTS:
                below += self._map_block(child, raw, span, mapping)
            elif self._tree_block_sound(node, child, raw, mapping):
                below += self._extents(child.file, raw, child, span, mapping)
        return below

    def _change(
        self, mapping: BlockMapping, change: tuple[int, int | None, int], span: tuple[int, int]
    ) -> None:
        """Take a range out of the runs and put another in its place."""
        first, physical, count = change
        mapping.runs = [
            part for run in mapping.runs for part in _without(run, first, first + count)
        ]
        if physical is None:
            return
        if not self._volume.holds(physical, count):
            mapping.faults.append(f"the fast commit at file block {first} is impossible")
            return
        begin, end = max(first, span[0]), min(first + count, span[1])
        if begin < end:
            mapping.runs.append((begin, physical + begin - first, end - begin))

    def _tree_block_sound(
        self, node: InodeRecord, child: _Child, raw: bytes, mapping: BlockMapping
    ) -> bool:
        if not self._volume.superblock.metadata_csum:
            return True
        most = int.from_bytes(raw[4:6], "little")
        tail = layout.EXTENT_HEADER.size + most * layout.EXTENT_ENTRY
        if tail + 4 <= len(raw):
            seed = self._volume.inode_seed(node.number, node.generation)
            if crc32c(raw[:tail], seed) == int.from_bytes(raw[tail : tail + 4], "little"):
                return True
        mapping.faults.append(f"block {child.block}: the extent block's checksum is wrong")
        return False

    def _extents(
        self, file: int, raw: bytes, parent: _Child | None, span: tuple[int, int], out: BlockMapping
    ) -> list[_Child]:
        """The entries of one extent block (or the root in the inode, without a parent)."""
        place = f"block {parent.block}: " if parent else ""
        magic, entries, most, depth, _ = layout.EXTENT_HEADER.unpack_from(raw)
        room = (len(raw) - layout.EXTENT_HEADER.size) // layout.EXTENT_ENTRY
        if (
            magic != layout.EXTENT_MAGIC
            or not entries <= most <= room
            or depth > layout.EXTENT_MOST_DEPTH
            or (parent is not None and depth != parent.depth)
            or (depth > 0 and entries == 0)
        ):
            out.faults.append(f"{place}the extent header is damaged")
            return []
        body = raw[layout.EXTENT_HEADER.size :][: entries * layout.EXTENT_ENTRY]
        if parent is not None and entries and int.from_bytes(body[:4], "little") != parent.logical:
            out.faults.append(f"{place}its first extent is not where its parent says")
            return []
        if depth == 0:
            self._leaves(body, span, place, out)
            return []
        return self._indices(_Child(file, 0, depth, 0), body, span, place, out)

    def _leaves(self, body: bytes, span: tuple[int, int], place: str, out: BlockMapping) -> None:
        first, last = span
        expected = 0
        for logical, length, high, low in layout.EXTENT_LEAF.iter_unpack(body):
            unwritten = length > layout.EXTENT_UNWRITTEN
            count = length - layout.EXTENT_UNWRITTEN if unwritten else length
            physical = low | high << 32
            if logical < expected or not self._volume.holds(physical, count):
                out.faults.append(f"{place}the extent at file block {logical} is impossible")
                continue
            expected = logical + count
            begin, end = max(logical, first), min(logical + count, last)
            if begin < end and not unwritten:
                out.runs.append((begin, physical + begin - logical, end - begin))

    def _indices(
        self, above: _Child, body: bytes, span: tuple[int, int], place: str, out: BlockMapping
    ) -> list[_Child]:
        first, last = span
        children: list[_Child] = []
        entries = list(layout.EXTENT_INDEX.iter_unpack(body))
        ends = [entry[0] for entry in entries[1:]] + [1 << 32]
        expected = 0
        for (logical, low, high, _), end in zip(entries, ends, strict=True):
            block = low | high << 32
            if logical < expected or not self._volume.holds(block):
                out.faults.append(f"{place}the extent index at file block {logical} is impossible")
                continue
            expected = logical + 1
            if logical < last and end > first:
                children.append(_Child(above.file, block, above.depth - 1, logical))
        return children

    def _root_map(
        self, file: int, raw: bytes, span: tuple[int, int], out: BlockMapping
    ) -> list[_Child]:
        """Twelve direct blocks, then one tree of each depth 1, 2 and 3."""
        pointers = np.frombuffer(raw, dtype="<u4")
        self._direct(pointers[: layout.DIRECT_BLOCKS], 0, span, out)
        children = []
        logical = layout.DIRECT_BLOCKS
        per_block = self._volume.block_size // 4
        for depth in (1, 2, 3):
            covers: int = per_block**depth
            block = int(pointers[layout.DIRECT_BLOCKS + depth - 1])
            if block and logical < span[1] and logical + covers > span[0]:
                children += self._checked(_Child(file, block, depth, logical), out)
            logical += covers
        return children

    def _map_block(
        self, child: _Child, raw: bytes, span: tuple[int, int], out: BlockMapping
    ) -> list[_Child]:
        """One block of pointers."""
        pointers = np.frombuffer(raw, dtype="<u4")
        if child.depth == 1:
            self._direct(pointers, child.logical, span, out)
            return []
        covers: int = (self._volume.block_size // 4) ** (child.depth - 1)
        first = max(0, (span[0] - child.logical) // covers)
        last = min(len(pointers), -(-(span[1] - child.logical) // covers))
        below: list[_Child] = []
        for at in (np.flatnonzero(pointers[first:last]) + first).tolist():
            logical = child.logical + at * covers
            grandchild = _Child(child.file, int(pointers[at]), child.depth - 1, logical)
            below += self._checked(grandchild, out)
        return below

    def _checked(self, child: _Child, out: BlockMapping) -> list[_Child]:
        if self._volume.holds(child.block):
            return [child]
        out.faults.append(f"there is no block {child.block}")
        return []

    def _direct(
        self,
        pointers: np.ndarray[tuple[int], np.dtype[np.uint32]],
        logical: int,
        span: tuple[int, int],
        out: BlockMapping,
    ) -> None:
        """Runs of consecutive pointers; zeros are holes."""
        first = max(0, span[0] - logical)
        last = min(len(pointers), span[1] - logical)
        if first >= last:
            return
        part = pointers[first:last].astype(np.int64)
        cuts = np.flatnonzero((np.diff(part) != 1) | (part[1:] == 0) | (part[:-1] == 0)) + 1
        starts = [0, *cuts.tolist()]
        for begin, end in zip(starts, [*cuts.tolist(), len(part)], strict=True):
            block = int(part[begin])
            if block == 0:
                continue
            if self._volume.holds(block, end - begin):
                out.runs.append((logical + first + begin, block, end - begin))
            else:
                out.faults.append(f"there is no block {block + end - begin - 1}")


def single_runs(
    volume: ExtVolume, rows: NDArray[np.uint8], blocks: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Where inodes' so many blocks lie, if in one run that the inode itself maps; else 0.

    What most directories are, found for many at once. Anything odd is left to the Mapper, and so
    are inodes that have more blocks.
    """
    words = rows.view("<u4")
    first = ROOT // 4
    # An extent tree of one leaf: header (two words and the generation), then the leaf's three.
    head, depth = words[:, first].astype(np.int64), words[:, first + 1]
    halves = rows.view("<u2")[:, first * 2 :]
    start = words[:, first + 5] | halves[:, 9].astype(np.int64) << 32
    length = halves[:, 8].astype(np.int64)
    extents = words[:, layout.INODE_FLAGS // 4] & layout.FLAG_EXTENTS != 0
    leaf = (head == layout.EXTENT_MAGIC | 1 << 16) & (depth & 0xFFFF0000 == 0)
    leaf &= (halves[:, 2] >= 1) & (halves[:, 2] <= MOST_IN_INODE)
    leaf &= (words[:, first + 3] == 0) & (length == blocks) & (length <= layout.EXTENT_UNWRITTEN)
    pointers = words[:, first : first + layout.DIRECT_BLOCKS].astype(np.int64)
    steps = np.arange(layout.DIRECT_BLOCKS)
    past = steps >= blocks[:, np.newaxis]
    direct = np.where(past, pointers == 0, pointers - pointers[:, :1] == steps)
    mapped = direct.all(axis=1) & (blocks <= layout.DIRECT_BLOCKS)
    # The roots of the trees of blocks that direct pointers do not reach.
    mapped &= (words[:, first + layout.DIRECT_BLOCKS : first + _POINTERS] == 0).all(axis=1)
    starts = np.where(extents, start, pointers[:, 0])
    ends = starts + np.where(extents, length, blocks)
    good = np.where(extents, leaf, mapped) & (blocks > 0)
    sb = volume.superblock
    good &= (starts > sb.first_data_block) & (ends <= sb.blocks)
    return np.where(good, starts, 0)


def _without(run: Run, first: int, last: int) -> list[Run]:
    """What of a run lies outside of blocks [first, last)."""
    logical, physical, count = run
    end = logical + count
    if last <= logical or end <= first:
        return [run]
    parts: list[Run] = []
    if logical < first:
        parts.append((logical, physical, first - logical))
    if last < end:
        parts.append((last, physical + last - logical, end - last))
    return parts


def _tidy(mapping: BlockMapping) -> None:
    """In the file's order, neighbours joined, overlaps and too many of them refused."""
    if len(mapping.runs) > MOST_RUNS:
        mapping.faults.append(f"more than {MOST_RUNS} extents")
        del mapping.runs[MOST_RUNS:]
    if len(mapping.runs) < 2:
        return
    mapping.runs.sort()
    joined = [mapping.runs[0]]
    for logical, physical, count in mapping.runs[1:]:
        before, place, length = joined[-1]
        if logical < before + length:
            mapping.faults.append(f"file block {logical} is mapped twice")
        elif logical == before + length and physical == place + length:
            joined[-1] = (before, place, length + count)
        else:
            joined.append((logical, physical, count))
    mapping.runs = joined
