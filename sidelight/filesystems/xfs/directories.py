"""Directory entries: in the inode (shortform) and in data blocks (block, leaf and node forms).

Leaves, nodes and free indices are never read: the data blocks alone hold every entry.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from sidelight.errors import SourceError
from sidelight.filesystems.protocol import Entry, Kind
from sidelight.filesystems.xfs import bmap, layout
from sidelight.filesystems.xfs.gather import gather
from sidelight.filesystems.xfs.inodes import extent_counts, fork_ends, read_kinds, read_rows
from sidelight.filesystems.xfs.volume import column

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy.typing as npt

    from sidelight.blocks import Extent
    from sidelight.filesystems.xfs.volume import Volume

    Bytes = npt.NDArray[np.uint8]

Listing = tuple[int, list[Entry]]
# The pieces of a directory block: (offset in the source, length), in bytes.
Block = list[tuple[int, int]]

# Bytes of directory blocks in memory at once.
WINDOW = 16 << 20
# Bytes of one directory: ten million long names. Beyond, the image is hostile.
DIRECTORY_CAP = 4 << 30

# By the type byte of an entry; 8 is a whiteout of overlayfs, a character device.
_KINDS = (*(int(kind) for kind in Kind), int(Kind.CHARACTER))


def read_directories(volume: Volume, numbers: Sequence[int]) -> Iterator[Listing]:
    """Every number once, with its entries; see Filesystem.directories."""
    left = dict.fromkeys(numbers)
    sorted_out = _SortedOut()
    for wanted, rows in read_rows(volume, numbers):
        _sort_out(volume, wanted, rows, sorted_out)
    for listing in _with_kinds(volume, sorted_out.inline):
        del left[listing[0]]
        yield listing
    for window in _windows(volume, sorted_out):
        for listing in _with_kinds(volume, _read_window(volume, window)):
            del left[listing[0]]
            yield listing
    for number in left:
        yield number, []


@dataclass(slots=True)
class _SortedOut:
    """Directories by where their entries are."""

    inline: list[Listing] = field(default_factory=list)
    forks: list[bmap.Fork] = field(default_factory=list)
    sizes: dict[int, int] = field(default_factory=dict)  # of those with forks, in bytes


def _sort_out(volume: Volume, numbers: Sequence[int], rows: Bytes, into: _SortedOut) -> None:
    """Shortform directories are parsed at once, the others' forks collected."""
    size, core = volume.superblock.inode_size, volume.superblock.inode_core
    data = rows.tobytes()
    modes = column(rows, layout.DI_MODE, ">u2").tolist()
    formats = rows[:, layout.DI_FORMAT].tolist()
    lengths = column(rows, layout.DI_SIZE, ">u8").tolist()
    ends = fork_ends(volume, rows)
    counts = extent_counts(volume, rows)
    for row, number in enumerate(numbers):
        start = row * size
        area = data[start + core : start + ends[row]]
        if modes[row] & 0xF000 != 0x4000:
            volume.problem(f"inode {number}", "not a directory")
            into.inline.append((number, []))
        elif formats[row] == layout.FORMAT_LOCAL:
            entries, fault = parse_shortform(area, lengths[row], volume.superblock.ftype)
            if fault := fault or name_fault(entries):
                volume.problem(f"inode {number}", fault)
                entries = _sane(entries)
            into.inline.append((number, entries))
        else:
            into.forks.append(bmap.Fork(number, formats[row], counts[row], area))
            into.sizes[number] = lengths[row]


def parse_shortform(area: bytes, size: int, ftype: bool) -> tuple[list[Entry], str]:
    """Entries of a directory in its inode's fork (Short Form Directories), and what is wrong."""
    entries: list[Entry] = []
    if size > len(area) or size < 6:
        return entries, f"impossible size {size} of a directory in its inode"
    count, large = area[0], area[1]
    width = 8 if large else 4
    kinds = _KINDS
    at = 2 + width
    tail = width + (1 if ftype else 0)
    for _ in range(count):
        if at + 3 > size:
            return entries, "a directory in its inode ends within an entry"
        length = area[at]
        name_end = at + 3 + length
        end = name_end + tail
        if end > size or not length:
            return entries, "a directory in its inode ends within an entry"
        kind = area[name_end] if ftype else 0
        number = int.from_bytes(area[end - width : end], "big")
        entries.append((area[at + 3 : name_end], number, kinds[kind] if kind < 9 else 0))
        at = end
    return entries, "" if at == size else "bytes left over in a directory in its inode"


def parse_block(data: bytes, start: int, end: int, ftype: bool, entries: list[Entry]) -> str:
    """Append a data block's entries between two offsets; returns what is wrong, empty if nothing.

    (Block and Leaf Directories: u64 inode, u8 length, name, u8 type where the filesystem stores
    it, padding to 8, u16 own offset. A hole has 0xffff and its length in the inode's place.)
    """
    unpack = layout.DIR_ENTRY.unpack_from
    hole = layout.DIR_FREE_TAG
    kinds = _KINDS
    append = entries.append
    extra = 19 if ftype else 18  # 11 or 12 bytes around the name, rounded up to 8
    at = start
    last = end - 16
    while at <= last:
        number, length = unpack(data, at)
        if number >= hole:
            skip = (number >> 32) & 0xFFFF
            if skip < 8 or skip & 7:
                return f"impossible hole at {at}"
            at += skip
            continue
        begin = at + 9
        at += (length + extra) & ~7
        if at > end or not length:
            return f"impossible entry at {begin - 9}"
        stop = begin + length
        name = data[begin:stop]
        if length <= 2 and name in (b".", b".."):
            continue
        kind = data[stop] if ftype else 0
        append((name, number, kinds[kind] if kind < 9 else 0))
    return "" if at == end or (at > last and _is_hole(data, at, end)) else f"stray bytes at {at}"


def _is_hole(data: bytes, at: int, end: int) -> bool:
    """Whether a last hole of 8 bytes ends exactly here."""
    return at + 8 == end and data[at : at + 4] == b"\xff\xff\x00\x08"


def name_fault(entries: Sequence[Entry]) -> str:
    """What no name may have: "/", NUL, or being one of the dots. Empty where all are sane."""
    joined = b"\0".join([entry[0] for entry in entries])
    if b"/" in joined or joined.count(0) != max(0, len(entries) - 1):
        return "a name with a slash or a NUL in it"
    return ""


def _sane(entries: list[Entry]) -> list[Entry]:
    """Entries whose names can be used in a path."""
    dots = (b".", b"..")
    return [e for e in entries if b"/" not in e[0] and b"\0" not in e[0] and e[0] not in dots]


def _with_kinds(volume: Volume, listings: list[Listing]) -> Iterator[Listing]:
    """Read the inodes of entries whose type is not stored; a window's at once."""
    unknown = {
        number
        for _, entries in listings
        if any(not entry[2] for entry in entries)
        for _, number, kind in entries
        if not kind
    }
    if not unknown:
        yield from listings
        return
    kinds = read_kinds(volume, unknown)
    for directory, entries in listings:
        yield (
            directory,
            [
                (name, number, kind or int(kinds.get(number, Kind.UNKNOWN)))
                for name, number, kind in entries
            ],
        )


class _Part:
    """A directory, or a piece of a very large one, with the places of its blocks."""

    __slots__ = ("blocks", "last", "number")

    def __init__(self, number: int, blocks: list[Block], last: bool) -> None:
        self.number = number
        # Where a block has several pieces it is fragmented.
        self.blocks = blocks
        self.last = last


def _windows(volume: Volume, into: _SortedOut) -> Iterator[list[_Part]]:
    """Directories in physical order, in windows of bounded bytes."""
    mapped = bmap.map_forks(volume, into.forks)
    size = volume.superblock.dir_block_size
    room = max(1, WINDOW // size)
    found = sorted(
        (mapping.extents[0][1] if mapping.extents else -1, number)
        for number, mapping in mapped.items()
    )
    window: list[_Part] = []
    used = 0
    for _, number in found:
        mapping = mapped[number]
        blocks, fault = _blocks(mapping.extents, into.sizes[number], size)
        if fault := mapping.fault or fault:
            volume.problem(f"inode {number}", fault)
        for begin in range(0, max(1, len(blocks)), room):
            part = blocks[begin : begin + room]
            window.append(_Part(number, part, begin + room >= len(blocks)))
            used += max(1, len(part))
            if used >= room:
                yield window
                window, used = [], 0
    if window:
        yield window


def _blocks(extents: Sequence[Extent], length: int, size: int) -> tuple[list[Block], str]:
    """A directory's data blocks, and what is wrong, empty where nothing is."""
    limit = min(layout.DIR_LEAF_OFFSET, length, DIRECTORY_CAP)
    fault = "" if length <= DIRECTORY_CAP else "the directory is too large"
    blocks: list[Block] = []
    partial: Block = []
    covered = 0
    for logical, physical, run in extents:
        if logical >= limit:
            if logical < layout.DIR_LEAF_OFFSET:
                fault = fault or "blocks beyond the directory's size"
            break
        if logical != covered and (partial or logical % size):
            # Holes are known, but only of whole blocks that were freed.
            fault = fault or "a directory block with a hole"
            partial = []
        take = min(run, limit - logical)
        covered = logical + take
        at = 0
        if partial:
            at = min(take, size - sum(piece for _, piece in partial))
            partial.append((physical, at))
            if sum(piece for _, piece in partial) == size:
                blocks.append(partial)
                partial = []
        whole = at + (take - at) // size * size
        blocks += [[(physical + step, size)] for step in range(at, whole, size)]
        if whole < take:
            partial.append((physical + whole, take - whole))
    if partial:
        fault = fault or "the directory ends within a block"
    if not blocks:
        fault = fault or "a directory without a block"
    return blocks, fault


def _read_window(volume: Volume, window: Sequence[_Part]) -> list[Listing]:
    """Read and parse a window's blocks. Pieces of a very large directory are joined by `_join`."""
    size = volume.superblock.dir_block_size
    pieces = [(block, part.number) for part in window for block in part.blocks]
    whole = sorted((block[0][0], number) for block, number in pieces if len(block) == 1)
    offsets = np.array([offset for offset, _ in whole], np.int64)
    array, errors = gather(volume.source, offsets, size)
    found: dict[int, list[Entry]] = {part.number: [] for part in window}
    owners = [number for _, number in whole]
    for row, error in errors.items():
        volume.problem(f"inode {owners[row]}", f"a directory block at {offsets[row]}: {error}")
    keep = [row for row in range(len(owners)) if row not in errors]
    if errors:
        array, offsets, owners = array[keep], offsets[keep], [owners[row] for row in keep]
    _parse_rows(volume, _Rows(array, offsets, owners), found)
    broken = [(block, number) for block, number in pieces if len(block) > 1]
    if broken:
        _read_fragmented(volume, broken, found)
    for number, entries in found.items():
        if fault := name_fault(entries):
            volume.problem(f"inode {number}", fault)
            found[number] = _sane(entries)
    return list(found.items())


def _read_fragmented(
    volume: Volume,
    blocks: Sequence[tuple[Block, int]],
    found: dict[int, list[Entry]],
) -> None:
    """Directory blocks in several places (possible where they are larger than the filesystem's)."""
    volume.source.prefetch(sorted(piece for block, _ in blocks for piece in block))
    blobs, offsets, owners, replayed = [], [], [], []
    for block, number in blocks:
        try:
            data = b"".join([volume.source.read_at(offset, run) for offset, run in block])
        except SourceError as error:
            volume.problem(f"inode {number}", f"a directory block at {block[0][0]}: {error}")
            continue
        blobs.append(data)
        offsets.append(block[0][0])
        owners.append(number)
        replayed.append(any(volume.was_replayed(*piece) for piece in block))
    size = volume.superblock.dir_block_size
    array = np.frombuffer(b"".join(blobs), np.uint8).reshape(-1, size)
    rows = _Rows(array, np.array(offsets, np.int64), owners, np.array(replayed, np.bool_))
    _parse_rows(volume, rows, found)


class _Rows(NamedTuple):
    """Directory blocks: their bytes, where they lie (the first piece), whose they are."""

    array: Bytes
    offsets: npt.NDArray[np.int64]
    owners: Sequence[int]
    replayed: npt.NDArray[np.bool_] | None = None  # where several pieces hide it


def _parse_rows(volume: Volume, rows: _Rows, found: dict[int, list[Entry]]) -> None:
    """Verify and parse blocks, all at once; entries go to `found` by directory.

    A block with a bad checksum is a Problem and is parsed all the same: what parses may be true,
    and a scan that lists less would see less.
    """
    sb = volume.superblock
    size = sb.dir_block_size
    if sb.v5:
        _verify_rows(volume, rows)
    header = layout.DIR_HEADER_V5 if sb.v5 else layout.DIR_HEADER_V4
    one, many = (
        (layout.DIR_BLOCK_MAGIC_V5, layout.DIR_DATA_MAGIC_V5)
        if sb.v5
        else (layout.DIR_BLOCK_MAGIC_V4, layout.DIR_DATA_MAGIC_V4)
    )
    data = rows.array.tobytes()
    ftype = sb.ftype
    for row, number in enumerate(rows.owners):
        start = row * size
        end = start + size
        magic = data[start : start + 4]
        if magic == one:
            count, _ = layout.DIR_TAIL.unpack_from(data, end - 8)
            end -= 8 + 8 * count
        if end < start + header or magic not in (one, many):
            volume.problem(f"inode {number}", f"no directory block at {rows.offsets[row]}")
            continue
        if fault := parse_block(data, start + header, end, ftype, found[number]):
            volume.problem(f"inode {number}", f"a directory block at {rows.offsets[row]}: {fault}")


def _verify_rows(volume: Volume, rows: _Rows) -> None:
    array, offsets = rows.array, rows.offsets
    if not len(array):
        return
    bad = volume.bad_checksums(array, layout.DIR_CRC, offsets)
    if rows.replayed is not None:
        bad &= ~rows.replayed
    uuid = np.frombuffer(volume.superblock.meta_uuid, np.uint8)
    strange = (array[:, layout.DIR_UUID : layout.DIR_UUID + 16] != uuid).any(axis=1)
    strange |= column(array, layout.DIR_BLKNO, ">u8") != offsets // layout.BASIC_BLOCK
    strange |= column(array, layout.DIR_OWNER, ">u8") != np.array(rows.owners, np.uint64)
    for row in np.flatnonzero(bad).tolist():
        volume.problem(
            f"inode {rows.owners[row]}", f"bad checksum of the block at {rows.offsets[row]}"
        )
    for row in np.flatnonzero(strange & ~bad).tolist():
        volume.problem(
            f"inode {rows.owners[row]}",
            f"the block at {rows.offsets[row]} belongs elsewhere (UUID, place or owner differ)",
        )
