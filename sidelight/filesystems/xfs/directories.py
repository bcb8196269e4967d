"""Many directories at once: short ones from inodes, the blocks of others in the disk's order."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from sidelight.blocks.scatter_read import FAR, WINDOW_BLOCKS, as_rows
from sidelight.errors import SourceError
from sidelight.filesystems import protocol
from sidelight.filesystems.mode_samples import corrected
from sidelight.filesystems.protocol import Entry, InodeKind
from sidelight.filesystems.xfs import bmap, layout
from sidelight.filesystems.xfs.directory_blocks import DirectoryBlocks, Found, parse_blocks
from sidelight.filesystems.xfs.directory_entries import are_plain, parse_shortform
from sidelight.filesystems.xfs.inodes import (
    Rows,
    extent_counts,
    fork_ends,
    read_kinds,
    read_rows,
    sampled_kinds,
    used_kinds,
)
from sidelight.filesystems.xfs.volume import column
from sidelight.gc_pause import uncollected

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sidelight.blocks import Extent
    from sidelight.filesystems.xfs.volume import XfsVolume

Listing = tuple[int, list[Entry]]
# The pieces of a directory block: (offset in the source, length), in bytes.
Block = list[tuple[int, int]]

# Bytes of directory blocks in memory at once.
WINDOW = 4 << 20
# Bytes of one directory: ten million long names. Beyond, the image is hostile.
DIRECTORY_CAP = 4 << 30

# After this many blocks that are none, the rest of a directory is not read: a hostile one may claim
# gigabytes of anything.
STRIKES = 64


def read_directories(volume: XfsVolume, numbers: Sequence[int]) -> Iterator[Listing]:
    """Every number once, a large one in parts, with its entries; see Filesystem.directories."""
    left = dict.fromkeys(numbers)

    def report(number: int, what: str) -> None:
        volume.problem(f"inode {number}", what)

    modes, judge = partial(sampled_kinds, volume), partial(used_kinds, volume)
    for raw, plain in _listings(volume, numbers):
        listings = corrected(raw, modes, judge, report)
        checked = listings if plain else _with_kinds(volume, _with_sane_names(volume, listings))
        for number, entries in checked:
            left.pop(number, None)
            yield number, entries
        del listings, checked
    for number in left:
        yield number, []


def _listings(volume: XfsVolume, numbers: Sequence[int]) -> Iterator[tuple[list[Listing], bool]]:
    """Directories in batches of bounded size, as they could be parsed, and whether all is plain."""
    sorted_out = _SortedOut()
    with uncollected():
        for rows in read_rows(volume, numbers):
            _sort_out(volume, rows, sorted_out)
        entries = [entry for _, listed in sorted_out.inline for entry in listed]
        plain = are_plain([entry[0] for entry in entries], {entry[2] for entry in entries})
    yield sorted_out.inline, plain
    found = Found()
    for window in _windows(volume, sorted_out, found):
        with uncollected():
            _read_window(volume, window, found)
            listings = [(number, found.entries.pop(number, [])) for number in window.complete]
            listings += _parts_of_large_ones(found)
        yield listings, found.plain
        # Nothing is held of it while the next window is read.
        del listings
        # What is left of a directory that goes on in the next window keeps its own doubts.
        found.plain = found.plain or not found.entries


def _parts_of_large_ones(found: Found) -> list[Listing]:
    """What there is so far of directories of very many entries."""
    large = [number for number, had in found.entries.items() if len(had) > protocol.MOST_AT_ONCE]
    parts = [(number, found.entries.pop(number)) for number in large]
    for number, entries in parts:
        found.handed_on[number] += len(entries)
    return parts


@dataclass(slots=True)
class _SortedOut:
    """Directories by where their entries are."""

    inline: list[Listing] = field(default_factory=list)
    single: list[tuple[int, int]] = field(default_factory=list)  # where the block lies, number
    forks: list[bmap.Fork] = field(default_factory=list)
    sizes: dict[int, int] = field(default_factory=dict)  # of those in `forks`, in bytes


def _sort_out(volume: XfsVolume, inodes: Rows, into: _SortedOut) -> None:
    """Shortform directories are parsed at once, the others' forks collected.

    Most others are a block in one piece: where it lies is found for all of these at once.
    """
    size, core = volume.superblock.inode_size, volume.superblock.inode_core
    numbers, rows, data = inodes
    formats = rows[:, layout.DI_FORMAT]
    lengths = column(rows, layout.DI_SIZE, ">u8")
    ends = fork_ends(volume, rows)
    counts = extent_counts(volume, rows)
    directory = column(rows, layout.DI_MODE, ">u2") & 0xF000 == 0x4000
    single = directory & (formats == layout.FORMAT_EXTENTS) & (counts == 1)
    single &= (lengths == volume.superblock.dir_block_size) & (ends >= core + layout.EXTENT_SIZE)
    if volume.remaps:
        single[:] = False
    places = bmap.only_extents(volume, rows[:, core : core + layout.EXTENT_SIZE])
    single &= places >= 0
    singles = np.flatnonzero(single).tolist()
    into.single += zip(places[single].tolist(), [numbers[row] for row in singles], strict=True)
    rest = np.flatnonzero(~single)
    fields = (rest, *(values[rest] for values in (directory, formats, lengths, ends, counts)))
    ftype = volume.superblock.ftype
    for row, folder, form, length, end, count in zip(*(f.tolist() for f in fields), strict=True):
        number, start = numbers[row], row * size
        area = data[start + core : start + end]
        if not folder:
            volume.problem(f"inode {number}", "not a directory")
            into.inline.append((number, []))
        elif form == layout.FORMAT_LOCAL:
            entries, fault = parse_shortform(area, length, ftype)
            if fault:
                volume.problem(f"inode {number}", fault)
            into.inline.append((number, entries))
        else:
            into.forks.append(bmap.Fork(number, form, count, area))
            into.sizes[number] = length


def _with_sane_names(volume: XfsVolume, listings: list[Listing]) -> list[Listing]:
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


def _with_kinds(volume: XfsVolume, listings: list[Listing]) -> list[Listing]:
    """Read the inodes of entries whose type is not stored; a batch's at once."""
    unknown = {entry[1] for _, entries in listings for entry in entries if not entry[2]}
    if not unknown:
        return listings
    kinds = read_kinds(volume, unknown)
    return [
        (
            directory,
            [
                (name, number, kind or int(kinds.get(number, InodeKind.UNKNOWN)))
                for name, number, kind in entries
            ],
        )
        for directory, entries in listings
    ]


@dataclass(slots=True)
class _Window:
    """Blocks of directories that are read together, each with its directory's number."""

    room: int  # blocks
    whole: list[tuple[int, int]] = field(default_factory=list)  # offset in the source, number
    broken: list[tuple[Block, int]] = field(default_factory=list)
    complete: list[int] = field(default_factory=list)  # directories whose last block is here
    far: set[int] = field(default_factory=set)  # a snapshot's blocks that it touches

    def add(self, block: Block, number: int) -> bool:
        """Take a block; whether it is time to read: so many, or so many places to read from."""
        if len(block) == 1:
            self.whole.append((block[0][0], number))
        else:
            self.broken.append((block, number))
        self.far.update(offset >> FAR for offset, _ in block)
        return self.full()

    def full(self) -> bool:
        """Whether it is time to read."""
        return len(self.whole) + len(self.broken) >= self.room or len(self.far) >= WINDOW_BLOCKS


def _windows(volume: XfsVolume, sorted_out: _SortedOut, found: Found) -> Iterator[_Window]:
    """Directories in physical order, in windows of bounded bytes; a large one spans several."""
    mapped = bmap.map_forks(volume, sorted_out.forks)
    size = volume.superblock.dir_block_size
    room = max(1, WINDOW // size)
    places = sorted_out.single + [
        (mapping.extents[0][1] if mapping.extents else -1, number)
        for number, mapping in mapped.items()
    ]
    places.sort()
    window = _Window(room)
    for place in places:
        number = place[1]
        mapping = mapped.get(number)
        if mapping is None:
            window.whole.append(place)
            window.far.add(place[0] >> FAR)
        else:
            blocks, fault = _blocks(mapping.extents, sorted_out.sizes[number], size)
            fault = mapping.fault or fault
            for block in blocks:
                if found.strikes[number] > STRIKES:
                    fault = fault or "most of it is not a directory"
                    break
                had = found.handed_on[number] + len(found.entries.get(number, ()))
                if had > protocol.MOST_ENTRIES:
                    fault = fault or protocol.TOO_MANY
                    break
                if window.add(block, number):
                    yield window
                    window = _Window(room)
            if fault:
                volume.problem(f"inode {number}", fault)
        window.complete.append(number)
        if window.full():
            yield window
            window = _Window(room)
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


def _read_window(volume: XfsVolume, window: _Window, into: Found) -> None:
    """Read and parse a window's blocks; entries go to `into` by directory."""
    size = volume.superblock.dir_block_size
    window.whole.sort()
    offsets = np.array([offset for offset, _ in window.whole], np.int64)
    owners = [number for _, number in window.whole]
    data, errors = volume.harvest.gather(offsets, size)
    if errors:
        for row, error in errors.items():
            volume.problem(f"inode {owners[row]}", f"a directory block at {offsets[row]}: {error}")
        keep = [row for row in range(len(owners)) if row not in errors]
        data = as_rows(data, size)[keep].tobytes()
        offsets, owners = offsets[keep], [owners[row] for row in keep]
    parse_blocks(volume, DirectoryBlocks(data, as_rows(data, size), offsets, owners), into)
    if window.broken:
        _read_fragmented(volume, window.broken, into)


def _read_fragmented(
    volume: XfsVolume,
    blocks: Sequence[tuple[Block, int]],
    into: Found,
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
    data, places = b"".join(blobs), np.array(offsets, np.int64)
    rows = DirectoryBlocks(data, as_rows(data, size), places, owners, np.array(replayed, np.bool_))
    parse_blocks(volume, rows, into)
