"""Data forks: extent lists and B+trees, of many inodes at once, to places on the disk."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from sidelight.blocks.scatter_read import as_rows, windows
from sidelight.filesystems.xfs import layout
from sidelight.filesystems.xfs.extents import remap
from sidelight.filesystems.xfs.volume import column, same_uuid

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy.typing as npt

    from sidelight.blocks import Extent
    from sidelight.filesystems.xfs.volume import XfsVolume

    Bytes = npt.NDArray[np.uint8]
    Flags = npt.NDArray[np.bool_]
    Integers = npt.NDArray[np.int64]

# Extents of one file: beyond, the image is hostile (a terabyte in 4 KiB pieces has 2^28).
EXTENT_CAP = 1 << 24


class Fork(NamedTuple):
    """A data fork as its inode holds it."""

    number: int  # of the inode
    format: int
    extents: int  # how many there should be
    area: bytes


@dataclass(slots=True)
class ExtentMapping:
    """Where a file lies. `fault` is what is wrong with the map, empty where nothing is.

    Extents in bytes, by place in the file; unwritten ones are left out, as they read as zeros.
    """

    extents: list[Extent]
    fault: str = ""


class _ExtentBlock(NamedTuple):
    """A block of an extent B+tree that is to be read."""

    block: int  # filesystem block
    level: int  # 0 for a leaf
    owner: int  # index among the forks


def map_forks(volume: XfsVolume, forks: Sequence[Fork]) -> dict[int, ExtentMapping]:
    """The extents of many forks (extent lists and B+trees), by inode number.

    All trees are descended together, a level at a time.
    """
    faults = [""] * len(forks)
    records: list[list[bytes]] = [[] for _ in forks]
    roots: list[_ExtentBlock] = []
    for index, fork in enumerate(forks):
        if fork.format == layout.FORMAT_EXTENTS:
            length = fork.extents * layout.EXTENT_SIZE
            if length > len(fork.area):
                faults[index] = f"{fork.extents} extents do not fit the inode"
                length = len(fork.area) // layout.EXTENT_SIZE * layout.EXTENT_SIZE
            records[index].append(fork.area[:length])
        elif fork.format == layout.FORMAT_BTREE:
            nodes, faults[index] = _root(fork, index)
            roots += nodes
        else:
            faults[index] = f"impossible format {fork.format} of the data fork"
    if roots:
        _descend(volume, forks, roots, records, faults)
    joined = [b"".join(parts) for parts in records]
    for index, (fork, data) in enumerate(zip(forks, joined, strict=True)):
        if not faults[index] and len(data) != fork.extents * layout.EXTENT_SIZE:
            faults[index] = f"{len(data) // layout.EXTENT_SIZE} extents instead of {fork.extents}"
    return _decode(volume, forks, joined, faults)


def _root(fork: Fork, index: int) -> tuple[list[_ExtentBlock], str]:
    """The children of a B+tree's root, which lies in the inode."""
    area = fork.area
    if len(area) < layout.BMDR_HEADER.size + 16:
        return [], "no room for the root of an extent tree"
    level, count = layout.BMDR_HEADER.unpack_from(area)
    room = (len(area) - layout.BMDR_HEADER.size) // 16
    if not 1 <= level <= layout.BMBT_MAX_LEVEL or not 1 <= count <= room:
        return [], "impossible root of an extent tree"
    start = layout.BMDR_HEADER.size + room * 8
    pointers = np.frombuffer(area, ">u8", count, start).tolist()
    return [_ExtentBlock(pointer, level - 1, index) for pointer in pointers], ""


def _descend(
    volume: XfsVolume,
    forks: Sequence[Fork],
    nodes: list[_ExtentBlock],
    records: list[list[bytes]],
    faults: list[str],
) -> None:
    """Read trees a level at a time, each block of a file once; leaves' records go to `records`.

    Leaves of one tree come in the order of their keys. Trees of unlike heights share the rounds.
    """
    visited: set[tuple[int, int]] = set()
    found: dict[int, list[tuple[int, bytes]]] = {}
    totals = [0] * len(forks)
    while nodes:
        fresh = []
        for node in nodes:
            if (node.owner, node.block) in visited:
                faults[node.owner] = f"block {node.block} is in the extent tree twice"
                continue
            visited.add((node.owner, node.block))
            fresh.append(node)
        nodes = []
        for node, block in _read_nodes(volume, forks, fresh, faults):
            _, count = layout.BMBT_COUNTS.unpack_from(block)
            header = layout.BMBT_HEADER_V5 if volume.superblock.v5 else layout.BMBT_HEADER_V4
            room = (len(block) - header) // 16
            totals[node.owner] += count
            if not 1 <= count <= room or totals[node.owner] > EXTENT_CAP:
                faults[node.owner] = f"impossible block {node.block} of the extent tree"
            elif node.level:
                pointers = np.frombuffer(block, ">u8", count, header + room * 8).tolist()
                nodes += [_ExtentBlock(pointer, node.level - 1, node.owner) for pointer in pointers]
            else:
                leaf = block[header : header + count * layout.EXTENT_SIZE]
                key = int.from_bytes(leaf[:8], "big") & ((1 << 63) - 1)
                found.setdefault(node.owner, []).append((key, leaf))
    for owner, leaves in found.items():
        leaves.sort(key=lambda leaf: leaf[0])
        records[owner] = [leaf for _, leaf in leaves]


def _read_nodes(
    volume: XfsVolume, forks: Sequence[Fork], nodes: Iterable[_ExtentBlock], faults: list[str]
) -> Iterable[tuple[_ExtentBlock, bytes]]:
    """The verified blocks of one level, in physical order."""
    sb = volume.superblock
    placed = []
    for node in nodes:
        group, block = node.block >> sb.ag_block_log, node.block & ((1 << sb.ag_block_log) - 1)
        linear = group * sb.ag_blocks + block
        if block >= sb.ag_blocks or linear >= sb.blocks:
            faults[node.owner] = f"the extent tree points to block {node.block}, which cannot be"
        else:
            placed.append((linear << sb.block_log, node))
    placed.sort()
    offsets = np.array([offset for offset, _ in placed], np.int64)
    for window in windows(offsets, sb.block_size):
        data, errors = volume.harvest.gather(offsets[window], sb.block_size)
        array = as_rows(data, sb.block_size)
        part = [node for _, node in placed[window]]
        for row, error in errors.items():
            faults[part[row].owner] = f"block {part[row].block} of the extent tree: {error}"
        judged = _judge(volume, forks, array, offsets[window], part)
        for row, (node, what) in enumerate(zip(part, judged, strict=True)):
            if row in errors:
                continue
            if what:
                faults[node.owner] = f"block {node.block} of the extent tree: {what}"
            else:
                yield node, array[row].tobytes()


def _judge(
    volume: XfsVolume,
    forks: Sequence[Fork],
    array: Bytes,
    offsets: Integers,
    nodes: Sequence[_ExtentBlock],
) -> list[str]:
    """What is wrong with each block of an extent tree; empty where nothing is."""
    sb = volume.superblock
    what = [""] * len(nodes)
    if sb.v5:
        owners = np.array([forks[node.owner].number for node in nodes], np.uint64)
        strange = ~same_uuid(array, layout.BMBT_UUID, sb.meta_uuid)
        strange |= column(array, layout.BMBT_BLKNO, ">u8") != offsets // layout.BASIC_BLOCK
        strange |= column(array, layout.BMBT_OWNER, ">u8") != owners
        for row in np.flatnonzero(strange).tolist():
            if forks[nodes[row].owner].number not in volume.adopted:
                what[row] = "it belongs elsewhere (UUID, place or owner differ)"
        bad = volume.bad_checksums(array.tobytes(), array, layout.BMBT_CRC, offsets)
        for row in np.flatnonzero(bad).tolist():
            what[row] = "bad checksum"
    magic = layout.BMBT_MAGIC_V5 if sb.v5 else layout.BMBT_MAGIC_V4
    levels = column(array, 4, ">u2").tolist()
    for row, node in enumerate(nodes):
        if array[row, :4].tobytes() != magic or levels[row] != node.level:
            what[row] = "no such block of an extent tree here"
    return what


def _decode(
    volume: XfsVolume, forks: Sequence[Fork], records: Sequence[bytes], faults: list[str]
) -> dict[int, ExtentMapping]:
    """All forks' records (Data Extents: flag 1, offset 54, block 52, count 21 bits) at once."""
    sb = volume.superblock
    words = np.frombuffer(b"".join(records), ">u8").reshape(-1, 2)
    logical, linear, count, written, good = _fields(volume, words)
    ends = np.cumsum([len(data) // layout.EXTENT_SIZE for data in records]).tolist()
    if len(logical) > 1:
        ordered = logical[1:] >= logical[:-1] + count[:-1]
        firsts = np.zeros(len(logical), np.bool_)
        firsts[[end for end in ends if end < len(logical)]] = True
        good[1:] &= ordered | firsts[1:]
    keep = (good & written).tolist()
    all_good, all_kept = bool(good.all()), bool((good & written).all())
    extents = list(
        zip(
            (logical << sb.block_log).tolist(),
            (linear << sb.block_log).tolist(),
            (count << sb.block_log).tolist(),
            strict=True,
        )
    )
    mapped = {}
    start = 0
    for fork, end, fault in zip(forks, ends, faults, strict=True):
        own = extents[start:end]
        if not all_good and not good[start:end].all():
            fault = fault or "an extent that cannot be"  # noqa: PLW2901 - the last word on it
        if not all_kept:
            own = [extent for extent, ok in zip(own, keep[start:end], strict=True) if ok]
        if fork.number in volume.remaps:
            own = remap(own, volume.remaps[fork.number])
        mapped[fork.number] = ExtentMapping(own, fault)
        start = end
    return mapped


def _fields(
    volume: XfsVolume, words: npt.NDArray[np.uint64]
) -> tuple[Integers, Integers, Integers, Flags, Flags]:
    """Of extents, shape (n, 2): place in the file, on the disk, length; is it written; can it be.

    The first three are in filesystem blocks.
    """
    sb = volume.superblock
    high, low = words[:, 0].astype(np.uint64), words[:, 1].astype(np.uint64)
    logical = ((high >> np.uint64(9)) & np.uint64((1 << 54) - 1)).astype(np.int64)
    block = (((high & np.uint64(0x1FF)) << np.uint64(43)) | (low >> np.uint64(21))).astype(np.int64)
    count = (low & np.uint64((1 << 21) - 1)).astype(np.int64)
    written = (high >> np.uint64(63)) == 0
    in_group = block & ((1 << sb.ag_block_log) - 1)
    linear = (block >> sb.ag_block_log) * sb.ag_blocks + in_group
    good = (count > 0) & (in_group + count <= sb.ag_blocks) & (linear + count <= sb.blocks)
    # A file's last byte is below 2^63, so no extent starts at or beyond that.
    good &= logical < (1 << (63 - sb.block_log)) - count
    return logical, linear, count, written, good


def only_extents(volume: XfsVolume, records: Bytes) -> Integers:
    """Where directories of one block lie, in bytes, from their only extents, shape (n, 16).

    -1 where the extent is not just this block, or cannot be.
    """
    sb = volume.superblock
    words = np.ascontiguousarray(records).view(">u8")
    logical, linear, count, written, good = _fields(volume, words)
    good &= written & (logical == 0) & (count << sb.block_log == sb.dir_block_size)
    return np.where(good, linear << sb.block_log, -1)


def entries_at(volume: XfsVolume, records: Bytes) -> tuple[Integers, Integers]:
    """(offsets, lengths) in bytes of the extents, shape (n, 16), that hold directory entries.

    Those that cannot be are left out.
    """
    block_log = volume.superblock.block_log
    words = np.ascontiguousarray(records).view(">u8")
    logical, linear, count, written, good = _fields(volume, words)
    good &= written & (logical < layout.DIR_LEAF_OFFSET >> block_log)
    return linear[good] << block_log, count[good] << block_log
