"""Directory entries: in the inode (shortform) and in data blocks (block, leaf and node forms).

Leaves, nodes and free indices are never read: the data blocks alone hold every entry.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from sidelight.errors import SourceError
from sidelight.filesystems.protocol import Entry, Kind
from sidelight.filesystems.xfs import bmap, layout
from sidelight.filesystems.xfs.directory_entries import parse_each, parse_many, parse_shortform
from sidelight.filesystems.xfs.gather import FAR, WINDOW_BLOCKS, gather
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

# After this many blocks that are none, the rest of a directory is not read: a hostile one may claim
# gigabytes of anything.
STRIKES = 64
# From this many blocks on, parsing them in step beats parsing one after the other.
MANY = 48


def read_directories(volume: Volume, numbers: Sequence[int]) -> Iterator[Listing]:
    """Every number once, with its entries; see Filesystem.directories."""
    left = dict.fromkeys(numbers)
    for listings in _listings(volume, numbers):
        for number, entries in _with_kinds(volume, _with_sane_names(volume, listings)):
            del left[number]
            yield number, entries
    for number in left:
        yield number, []


def _listings(volume: Volume, numbers: Sequence[int]) -> Iterator[list[Listing]]:
    """Directories in batches of bounded size, as they could be parsed."""
    sorted_out = _SortedOut()
    for wanted, rows in read_rows(volume, numbers):
        _sort_out(volume, wanted, rows, sorted_out)
    yield sorted_out.inline
    for window in _windows(volume, sorted_out):
        _read_window(volume, window, sorted_out)
        yield [(number, sorted_out.found.pop(number, [])) for number in window.complete]


@dataclass(slots=True)
class _SortedOut:
    """Directories by where their entries are."""

    inline: list[Listing] = field(default_factory=list)
    forks: list[bmap.Fork] = field(default_factory=list)
    sizes: dict[int, int] = field(default_factory=dict)  # of those with forks, in bytes
    found: dict[int, list[Entry]] = field(default_factory=dict)  # what their blocks gave so far
    strikes: Counter[int] = field(default_factory=Counter)  # their blocks that are none


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
            if fault:
                volume.problem(f"inode {number}", fault)
            into.inline.append((number, entries))
        else:
            into.forks.append(bmap.Fork(number, formats[row], counts[row], area))
            into.sizes[number] = lengths[row]


def _with_sane_names(volume: Volume, listings: list[Listing]) -> list[Listing]:
    """Leave out entries whose names no path can have: with a slash or NUL in them, or dots."""
    names = [entry[0] for _, entries in listings for entry in entries]
    joined = b"\0".join(names)
    if b"/" not in joined and joined.count(0) == max(0, len(names) - 1):
        return listings
    kept = []
    for number, entries in listings:
        sane = [entry for entry in entries if b"/" not in entry[0] and b"\0" not in entry[0]]
        if len(sane) < len(entries):
            volume.problem(f"inode {number}", "a name with a slash or a NUL in it")
        kept.append((number, sane))
    return kept


def _with_kinds(volume: Volume, listings: list[Listing]) -> list[Listing]:
    """Read the inodes of entries whose type is not stored; a batch's at once."""
    unknown = {entry[1] for _, entries in listings for entry in entries if not entry[2]}
    if not unknown:
        return listings
    kinds = read_kinds(volume, unknown)
    return [
        (
            directory,
            [
                (name, number, kind or int(kinds.get(number, Kind.UNKNOWN)))
                for name, number, kind in entries
            ],
        )
        for directory, entries in listings
    ]


@dataclass(slots=True)
class _Window:
    """Blocks of directories that are read together, each with its directory's number."""

    whole: list[tuple[int, int]] = field(default_factory=list)  # offset in the source, number
    broken: list[tuple[Block, int]] = field(default_factory=list)
    complete: list[int] = field(default_factory=list)  # directories whose last block is here
    far: set[int] = field(default_factory=set)  # a snapshot's blocks that it touches

    def full(self, room: int) -> bool:
        """Whether it is time to read: so many blocks, or so many places to read from."""
        return len(self.whole) + len(self.broken) >= room or len(self.far) >= WINDOW_BLOCKS


def _windows(volume: Volume, into: _SortedOut) -> Iterator[_Window]:
    """Directories in physical order, in windows of bounded bytes; a large one spans several."""
    mapped = bmap.map_forks(volume, into.forks)
    size = volume.superblock.dir_block_size
    room = max(1, WINDOW // size)
    found = sorted(
        (mapping.extents[0][1] if mapping.extents else -1, number)
        for number, mapping in mapped.items()
    )
    window = _Window()
    for first, number in found:
        mapping = mapped[number]
        if mapping.extents == [(0, first, size)] and into.sizes[number] == size:
            # Most directories by far: one block.
            window.whole.append((first, number))
            window.far.add(first >> FAR)
            fault = mapping.fault
        else:
            blocks, fault = _blocks(mapping.extents, into.sizes[number], size)
            fault = mapping.fault or fault
            for block in blocks:
                if into.strikes[number] > STRIKES:
                    fault = fault or "most of it is no directory"
                    break
                window.far.update(offset >> FAR for offset, _ in block)
                if len(block) == 1:
                    window.whole.append((block[0][0], number))
                else:
                    window.broken.append((block, number))
                if window.full(room):
                    yield window
                    window = _Window()
        if fault:
            volume.problem(f"inode {number}", fault)
        window.complete.append(number)
        if window.full(room):
            yield window
            window = _Window()
    if window.complete:
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


def _read_window(volume: Volume, window: _Window, into: _SortedOut) -> None:
    """Read and parse a window's blocks; entries go to `into.found` by directory."""
    size = volume.superblock.dir_block_size
    window.whole.sort()
    offsets = np.array([offset for offset, _ in window.whole], np.int64)
    owners = [number for _, number in window.whole]
    array, errors = gather(volume.source, offsets, size)
    if errors:
        for row, error in errors.items():
            volume.problem(f"inode {owners[row]}", f"a directory block at {offsets[row]}: {error}")
        keep = [row for row in range(len(owners)) if row not in errors]
        array, offsets, owners = array[keep], offsets[keep], [owners[row] for row in keep]
    _parse_rows(volume, _Rows(array, offsets, owners), into)
    if window.broken:
        _read_fragmented(volume, window.broken, into)


def _read_fragmented(
    volume: Volume,
    blocks: Sequence[tuple[Block, int]],
    into: _SortedOut,
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
    _parse_rows(volume, rows, into)


class _Rows(NamedTuple):
    """Directory blocks: their bytes, where they lie (the first piece), whose they are."""

    array: Bytes
    offsets: npt.NDArray[np.int64]
    owners: Sequence[int]
    replayed: npt.NDArray[np.bool_] | None = None  # where several pieces hide it


def _parse_rows(volume: Volume, rows: _Rows, into: _SortedOut) -> None:
    """Verify and parse blocks, all at once; entries go to `found` by directory.

    A block with a bad checksum is a Problem and is parsed all the same: what parses may be true,
    and a scan that lists less would see less.
    """
    sb = volume.superblock
    size = sb.dir_block_size
    foreign = _verify_rows(volume, rows) if sb.v5 else set()
    header = layout.DIR_HEADER_V5 if sb.v5 else layout.DIR_HEADER_V4
    one, many = (
        (layout.DIR_BLOCK_MAGIC_V5, layout.DIR_DATA_MAGIC_V5)
        if sb.v5
        else (layout.DIR_BLOCK_MAGIC_V4, layout.DIR_DATA_MAGIC_V4)
    )
    data = rows.array.tobytes()
    bounds, judged = [], []
    for row, number in enumerate(rows.owners):
        if row in foreign:
            continue
        start = row * size
        end = start + size
        magic = data[start : start + 4]
        if magic == one:
            count, _ = layout.DIR_TAIL.unpack_from(data, end - 8)
            end -= 8 + 8 * count
        if end < start + header or magic not in (one, many):
            volume.problem(f"inode {number}", f"no directory block at {rows.offsets[row]}")
            into.strikes[number] += 1
            continue
        bounds.append((start + header, end))
        judged.append(row)
    parse = parse_many if len(bounds) >= MANY else parse_each
    parsed, faults = parse(data, bounds, sb.ftype)
    for row, entries in zip(judged, parsed, strict=True):
        into.found.setdefault(rows.owners[row], []).extend(entries)
    for index, fault in faults.items():
        row = judged[index]
        where = f"inode {rows.owners[row]}"
        volume.problem(where, f"a directory block at {rows.offsets[row]}: {fault}")


def _verify_rows(volume: Volume, rows: _Rows) -> set[int]:
    """Note bad checksums; returns the rows that are whole and another's: not to be parsed."""
    array, offsets = rows.array, rows.offsets
    if not len(array):
        return set()
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
    foreign = np.flatnonzero(strange & ~bad).tolist()
    for row in foreign:
        volume.problem(
            f"inode {rows.owners[row]}",
            f"the block at {offsets[row]} belongs elsewhere (UUID, place or owner differ)",
        )
    return set(foreign)
