"""Many directories at once: inodes, then block maps, then all blocks in the order of the disk.

Source: the kernel's Documentation/filesystems/ext4/directory.rst. A hash tree is read as the linear
directory that it also is: its index blocks look like one unused entry.
"""

from __future__ import annotations

import base64
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from sidelight.errors import FormatError, SourceError
from sidelight.filesystems.crc32c import crc32c, crc32c_many
from sidelight.filesystems.ext import layout
from sidelight.filesystems.ext.dirents import LOCKSTEP, Region, decode_blocks, decode_region
from sidelight.filesystems.ext.inline import inline_parts
from sidelight.filesystems.protocol import Kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from sidelight.filesystems.ext.inodes import Inodes, Node
    from sidelight.filesystems.ext.mapping import Mapper, Run
    from sidelight.filesystems.ext.volume import Volume
    from sidelight.filesystems.protocol import Entry

# Directory blocks read and decoded at once, in bytes, and directories mapped at once.
WINDOW = 8 << 20
CHUNK = 1 << 15
# A window spans at most so many stretches of a snapshot block's size: what is prefetched must still
# be in a cache of the default budget when it is read.
STRETCH = 512 << 10
MOST_STRETCHES = 64


class Listing(NamedTuple):
    """A directory and where its blocks lie."""

    node: Node
    runs: Sequence[Run]


class Directories:
    """The directories of one filesystem."""

    def __init__(self, volume: Volume, inodes: Inodes, mapper: Mapper) -> None:
        self._volume = volume
        self._inodes = inodes
        self._mapper = mapper
        # What fast commits made of directories.
        self.finished: dict[int, list[Entry]] = {}

    def read(self, numbers: Iterable[int]) -> Iterator[tuple[int, list[Entry]]]:
        """Each number once, in physical order, with what could be read of it."""
        wanted = list(dict.fromkeys(numbers))
        if self.finished:
            for number in wanted:
                if number in self.finished:
                    yield number, list(self.finished[number])
            wanted = [number for number in wanted if number not in self.finished]
        for at in range(0, len(wanted), CHUNK):
            yield from self._chunk(wanted[at : at + CHUNK])

    def _chunk(self, numbers: list[int]) -> Iterator[tuple[int, list[Entry]]]:
        nodes = self._inodes.nodes(numbers)
        mapped: list[Node] = []
        small: list[tuple[Node, list[Entry]]] = []
        for number in numbers:
            node = nodes.get(number)
            if node is None:
                yield number, []
            elif node.kind is not Kind.DIRECTORY:
                self._volume.report("not a directory", f"inode {number}")
                yield number, []
            elif node.flags & layout.FLAG_INLINE_DATA:
                small.append((node, self._inline(node)))
            else:
                mapped.append(node)
        yield from self._finished(small)
        listings = self._listings(mapped)
        listings.sort(key=lambda listing: listing.runs[0][1] if listing.runs else 0)
        for window in self._windows(listings):
            yield from self._finished(self._window(window))

    def _listings(self, nodes: list[Node]) -> list[Listing]:
        size = self._volume.block_size
        listings = []
        for node, mapping in zip(nodes, self._mapper.map(nodes), strict=True):
            place = f"inode {node.number}"
            for fault in mapping.faults:
                self._volume.report(fault, place)
            runs = _without_repeats(mapping.runs)
            blocks = -(-node.size // size)
            have = sum(count for _, _, count in runs)
            if have < blocks and not mapping.faults:
                self._volume.report(f"the directory has only {have} of {blocks} blocks", place)
            listings.append(Listing(node, runs))
        return listings

    def _windows(self, listings: list[Listing]) -> Iterator[list[Listing]]:
        """Listings in parts of about WINDOW bytes; one directory is never cut."""
        size = self._volume.block_size
        window: list[Listing] = []
        total = 0
        stretches: set[int] = set()
        for listing in listings:
            total += sum(run[2] for run in listing.runs) * size
            for _, physical, count in listing.runs:
                first, last = physical * size // STRETCH, (physical + count - 1) * size // STRETCH
                stretches.update(range(first, last + 1))
            if window and (total > WINDOW or len(stretches) > MOST_STRETCHES):
                yield window
                window, total, stretches = [], 0, set()
            window.append(listing)
        if window:
            yield window

    def _window(self, window: list[Listing]) -> list[tuple[Node, list[Entry]]]:
        """Read all blocks of these directories and decode them together."""
        size = self._volume.block_size
        runs = [(node, *run) for node, run_list in window for run in run_list]
        self._volume.source.prefetch([(p * size, c * size) for _, _, p, c in runs])
        blocks, data = self._blocks(window)
        self._verify(blocks, data)
        entries, bounds, faults = self._decode(data, len(blocks))
        for at, fault in faults.items():
            node, _, physical = blocks[at]
            self._volume.report(fault, f"inode {node.number}, block {physical}")
        # Blocks come directory by directory, so a directory's entries lie together.
        spans: dict[int, tuple[int, int]] = {}
        for at, (node, _, _) in enumerate(blocks):
            begin = spans[node.number][0] if node.number in spans else bounds[at]
            spans[node.number] = (begin, bounds[at + 1])
        finished = []
        for node, _ in window:
            begin, end = spans.get(node.number, (0, 0))
            finished.append((node, entries[begin:end]))
        return finished

    def _blocks(self, window: list[Listing]) -> tuple[list[tuple[Node, int, int]], bytes]:
        """(directory, its block, block on disk) of all that could be read, and their bytes."""
        size = self._volume.block_size
        blocks: list[tuple[Node, int, int]] = []
        parts: list[bytes] = []
        pending: list[tuple[Node, int, int]] = []

        def flush() -> None:
            if not pending:
                return
            try:
                parts.append(self._volume.source.read_at(pending[0][2] * size, len(pending) * size))
                blocks.extend(pending)
            except SourceError:
                self._singly(pending, blocks, parts)
            pending.clear()

        for node, runs in window:
            for logical, physical, count in runs:
                if pending and physical != pending[-1][2] + 1:
                    flush()
                pending.extend((node, logical + n, physical + n) for n in range(count))
        flush()
        return blocks, b"".join(parts)

    def _singly(
        self,
        pending: list[tuple[Node, int, int]],
        blocks: list[tuple[Node, int, int]],
        parts: list[bytes],
    ) -> None:
        for block in pending:
            try:
                parts.append(self._volume.block(block[2]))
                blocks.append(block)
            except SourceError as error:
                place = f"inode {block[0].number}, block {block[2]}"
                self._volume.report(f"unreadable: {error}", place)

    def _decode(self, data: bytes, count: int) -> tuple[list[Entry], list[int], dict[int, str]]:
        size, most = self._volume.block_size, self._volume.superblock.inodes
        if count >= LOCKSTEP:
            return decode_blocks(data, size, most)
        entries: list[Entry] = []
        bounds, faults = [0], {}
        for at in range(count):
            more, fault = decode_region(data, Region(at * size, (at + 1) * size, most))
            entries += more
            bounds.append(len(entries))
            if fault:
                faults[at] = fault
        return entries, bounds, faults

    def _verify(self, blocks: list[tuple[Node, int, int]], data: bytes) -> None:
        """Report blocks whose checksum is wrong. Their entries are given all the same."""
        if not self._volume.superblock.metadata_csum or not blocks:
            return
        size = self._volume.block_size
        rows = np.frombuffer(data, dtype=np.uint8).reshape(-1, size)
        owners = {node.number: node for node, _, _ in blocks}
        numbers = np.array(list(owners), dtype=np.int64)
        generations = np.array([node.generation for node in owners.values()], dtype=np.uint32)
        seeds = dict(
            zip(owners, self._volume.inode_seeds(numbers, generations).tolist(), strict=True)
        )
        seed = np.array([seeds[node.number] for node, _, _ in blocks], dtype=np.uint32)
        tail = size - layout.DIRENT_TAIL
        stored = np.ascontiguousarray(rows[:, size - 4 :]).view("<u4")[:, 0]
        head = np.frombuffer(layout.DIRENT_TAIL_HEAD, dtype=np.uint8)
        good = (rows[:, tail : tail + 8] == head).all(axis=1)
        good &= crc32c_many(rows[:, :tail], seed) == stored
        for at in np.flatnonzero(~good).tolist():
            if not _index_sound(data[at * size : (at + 1) * size], blocks[at], int(seed[at])):
                node, _, physical = blocks[at]
                place = f"inode {node.number}, block {physical}"
                self._volume.report("the directory block's checksum is wrong", place)

    def _inline(self, node: Node) -> list[Entry]:
        place = f"inode {node.number}"
        try:
            area, value = inline_parts(node, f"{self._volume.where}: {place}")
        except FormatError as error:
            self._volume.report(error.what, place)
            area, value = node.raw[layout.INODE_BLOCK :][: layout.INODE_BLOCK_SIZE], b""
        most = self._volume.superblock.inodes
        entries: list[Entry] = []
        for data, begin in ((area, layout.INLINE_PARENT), (value, 0)):
            more, fault = decode_region(data, Region(begin, len(data), most))
            entries += more
            if fault:
                self._volume.report(f"inline entries: {fault}", place)
        return entries

    def _finished(
        self, listings: list[tuple[Node, list[Entry]]]
    ) -> Iterator[tuple[int, list[Entry]]]:
        """Names judged, encrypted ones made printable, missing kinds looked up."""
        odd: set[int] = set()
        unknown: set[int] = set()
        for node, entries in listings:
            if not entries:
                continue
            names, numbers, kinds = zip(*entries, strict=True)
            together = b"".join(names)
            if b"/" in together or b"\0" in together or not all(names):
                odd.add(node.number)
            if 0 in kinds:
                unknown.update(n for n, kind in zip(numbers, kinds, strict=True) if not kind)
        found = self._inodes.kinds(unknown) if unknown else {}
        for node, entries in listings:
            done = entries
            if node.flags & layout.FLAG_ENCRYPT:
                self._volume.report("the directory's names are encrypted", f"inode {node.number}")
                done = [(_no_key_name(e[0]), e[1], e[2]) for e in done if e[0]]
            elif node.number in odd:
                done = self._possible(node, done)
            if unknown:
                done = [
                    (name, number, kind or found.get(number, Kind.UNKNOWN))
                    for name, number, kind in done
                ]
            yield node.number, done

    def _possible(self, node: Node, entries: list[Entry]) -> list[Entry]:
        """Without names that no file can have."""
        kept = [e for e in entries if e[0] and b"/" not in e[0] and b"\0" not in e[0]]
        if len(kept) < len(entries):
            lost = len(entries) - len(kept)
            self._volume.report(f"{lost} impossible names", f"inode {node.number}")
        return kept


def _no_key_name(name: bytes) -> bytes:
    """A ciphertext as a name without `/`, much as the kernel shows it to who lacks the key."""
    return base64.urlsafe_b64encode(name).rstrip(b"=")


def _without_repeats(runs: Sequence[Run]) -> Sequence[Run]:
    """No block on disk twice: a damaged directory must not cost more than the disk has."""
    ordered = sorted((physical, count) for _, physical, count in runs)
    if all(a + n <= b for (a, n), (b, _) in pairwise(ordered)):
        return runs
    seen: set[int] = set()
    kept: list[Run] = []
    for logical, physical, count in runs:
        for n in range(count):
            if physical + n not in seen:
                seen.add(physical + n)
                kept.append((logical + n, physical + n, 1))
    return kept


def _index_sound(raw: bytes, block: tuple[Node, int, int], seed: int) -> bool:
    """Whether this is a block of a hash tree's index, with a right checksum."""
    node, logical, _ = block
    if not node.flags & layout.FLAG_INDEX:
        return False
    inode, length, _, _ = layout.DIRENT.unpack_from(raw)
    whole = length == len(raw) or (len(raw) == 65536 and length in {0, 65535})
    if logical == 0:
        at = layout.DX_ROOT_COUNT
    elif inode == 0 and whole:
        at = layout.DX_NODE_COUNT
    else:
        return False
    limit = int.from_bytes(raw[at : at + 2], "little")
    count = int.from_bytes(raw[at + 2 : at + 4], "little")
    tail = at + limit * layout.DX_ENTRY
    if count > limit or tail + 8 > len(raw):
        return False
    # The tail is a reserved word and the checksum, which counts as zero.
    covered = raw[: at + count * layout.DX_ENTRY] + raw[tail : tail + 4] + bytes(4)
    return crc32c(covered, seed) == int.from_bytes(raw[tail + 4 : tail + 8], "little")
